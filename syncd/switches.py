"""What is stopped, by a person or by syncd itself: everything, a connection, or a pair."""

import sqlalchemy as sa

from syncd import schema
from syncd.store import upsert


def stop(connection: sa.Connection, scope: str, reason: str, now: float) -> None:
    """Stop a connection, a pair or everything."""
    upsert(connection, schema.switches, [{"scope": scope, "reason": reason, "at": now}])


def start(connection: sa.Connection, scope: str) -> bool:
    """Start what was stopped; tells whether it was."""
    table = schema.switches
    return connection.execute(sa.delete(table).where(table.c.scope == scope)).rowcount > 0


def reason_of(connection: sa.Connection, scope: str) -> str:
    """Why something is stopped; empty: it is not."""
    return connection.execute(_REASON, {"of": scope}).scalar() or ""


_REASON = sa.select(schema.switches.c.reason).where(schema.switches.c.scope == sa.bindparam("of"))
_SCOPES = sa.select(schema.switches.c.scope)


def stopped_scopes(connection: sa.Connection) -> set[str]:
    """What is stopped: ``*``, ``connection/NAME``, ``pair/NAME``."""
    return set(connection.execute(_SCOPES).scalars())


def is_stopped(connection: sa.Connection, name: str) -> bool:
    """Whether a connection, or everything, is stopped."""
    return bool({"*", f"connection/{name}"} & stopped_scopes(connection))
