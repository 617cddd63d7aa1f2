"""What the names of the config stand for, as the store knows it: ids mean something in one account only.

A connection whose address names another account than before is stopped, for what is linked there would be taken for
strangers of the same number; a pair that joins others than before is refused. A run may also lack a pair that has left
rows: the config lost it, or the run was narrowed to others. Who is forgotten is to be found all the same, and what is
out is to be looked up.

Of a pair that was lost before this was written down, her links go by the id alone: that costs another's record a new
look at most. Its deeds, cuts and résumés stay, for another's deed that went by mistake might phone somebody twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from syncd import schema, switches
from syncd.errors import ConfigInvalid
from syncd.model import Kind
from syncd.reconcile import End
from syncd.setup import Connection, World
from syncd.store import remember
from syncd.work import Work

_ENDS, _ACCOUNT = "ends/", "account/"
STOPPED = "account"  # how the reason of such a stop begins


@dataclass(frozen=True)
class Ends:
    """A pair by its name, the names of its two connections, and the kinds that it carries."""

    pair: str
    left: str
    right: str
    kinds: tuple[str, ...] = field(default=(), compare=False)

    def at(self, end: End) -> str:
        """The connection at an end."""
        return self.left if end is End.LEFT else self.right

    def end_of(self, connection: str) -> End:
        """The end at which a connection stands."""
        return End.LEFT if connection == self.left else End.RIGHT


def keep_identity(work: Work) -> None:
    """Write down what the names of this run stand for; a connection that stands for another account is stopped."""
    known = _kept(work.sql, _ACCOUNT)
    for connection in work.world.connections.values():
        was, scope = known.get(connection.name, connection.account), f"connection/{connection.name}"
        if was != connection.account and _has_records(work, connection):
            why = f"{STOPPED}: the address was {was}, and is {connection.account}"
            switches.stop(work.sql, scope, why, work.tx.now)
            continue
        believe_account(work, connection)
        if switches.reason_of(work.sql, scope).startswith(STOPPED):  # the old address is back
            switches.start(work.sql, scope)
    for ends in _of_run(work.world):
        remember(work.sql, _ENDS + ends.pair, " ".join((ends.left, ends.right, *ends.kinds)))


def _has_records(work: Work, connection: Connection) -> bool:
    """Whether anything is known of it; a mistyped address, where nothing was read, is simply mended."""
    table = schema.records.c
    return work.sql.execute(sa.select(table.id).where(table.connection == connection.name).limit(1)).first() is not None


def believe_account(work: Work, connection: Connection) -> None:
    """From now on this is the account's address."""
    if connection.account:
        remember(work.sql, _ACCOUNT + connection.name, connection.account)


def refuse_other_ends(connection: sa.Connection, world: World) -> None:
    """Raises ``ConfigInvalid`` where a pair joins others than those of which the store keeps links."""
    known = _ends_kept(connection)
    for ends in _of_run(world):
        was = known.get(ends.pair, ends)
        if was != ends:
            raise ConfigInvalid(
                f"pairs.{ends.pair}: joined {was.left} (left) and {was.right} (right) so far, and what the store keeps "
                f"of it means nothing at {ends.left} and {ends.right}; give the pair another name, and all is linked "
                "anew, or put back what it joined"
            )


def known_ends(work: Work) -> dict[str, Ends]:
    """All pairs that are or ever were, by name."""
    return _ends_kept(work.sql) | {ends.pair: ends for ends in _of_run(work.world)}


def known_at(work: Work, connection: str) -> list[Ends]:
    """The pairs that are or ever were at a connection."""
    return [ends for ends in known_ends(work).values() if connection in (ends.left, ends.right)]


def ends_of(work: Work, pair: str) -> Ends | None:
    """What a pair's name joins; None: the store was not told."""
    found = next((ends for ends in _of_run(work.world) if ends.pair == pair), None)
    return found or _ends_kept(work.sql).get(pair)


def _of_run(world: World) -> Iterator[Ends]:
    for pair in world.pairs:
        yield Ends(pair.name, pair.left.name, pair.right.name, tuple(kind for kind in Kind if pair.carried_to(kind)))


def _ends_kept(connection: sa.Connection) -> dict[str, Ends]:
    return {pair: _told(pair, *joined.split()) for pair, joined in _kept(connection, _ENDS).items()}


def _told(pair: str, left: str, right: str, *kinds: str) -> Ends:
    return Ends(pair, left, right, kinds)


def _kept(connection: sa.Connection, prefix: str) -> dict[str, str]:
    name, value = schema.meta.c.name, schema.meta.c.value
    rows = connection.execute(sa.select(name, value).where(name.startswith(prefix)).order_by(name))
    return {name.removeprefix(prefix): value for name, value in rows}
