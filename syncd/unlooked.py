"""Connections that were stopped while the first look was made: theirs is made when they go on.

Till all their lists have been read, what they tell is only learnt: nothing is made of it, and nobody is phoned for a
stage that was reached long ago.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from syncd import schema
from syncd.agenda import unswept
from syncd.store import recalled, remember

UNLOOKED = "unlooked "  # with the connection's name: since when all its lists must have been read


def keep_unlooked(connection: sa.Connection, walks: Sequence[tuple[str, str]], since: float) -> None:
    """At the end of a first look: which connections it left out."""
    table = schema.cursors.c
    swept = connection.execute(sa.select(table.connection, table.walk).where(table.swept_at >= since))
    left_out = {name for name, _ in {*walks} - {(row.connection, row.walk) for row in swept}}
    for name in sorted(left_out):
        remember(connection, UNLOOKED + name, repr(since))
        _walk_whole(connection, name)


def is_unlooked(connection: sa.Connection, name: str) -> bool:
    """Whether a connection was left out, and its lists were not all read since."""
    return recalled(connection, UNLOOKED + name) is not None


def forget_unlooked(connection: sa.Connection, name: str, walks: Sequence[str]) -> None:
    """Where all its lists have been read now: they are walked again, for what follows from what stands there."""
    since = recalled(connection, UNLOOKED + name)
    if since is not None and not unswept(connection, [(name, walk) for walk in walks], float(since)):
        connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == UNLOOKED + name))
        _walk_whole(connection, name)


def _walk_whole(connection: sa.Connection, name: str) -> None:
    cursors = schema.cursors
    connection.execute(sa.update(cursors).where(cursors.c.connection == name).values(sweep_due=0.0))
