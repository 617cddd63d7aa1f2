"""Which connections a pair's name joins, as the store knows it: a run may lack a pair that has left rows.

The config may have lost the pair since, or the run was narrowed to others. Who is forgotten is to be found, and what is
out is to be looked up, all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from syncd import schema
from syncd.reconcile import End
from syncd.store import remember
from syncd.work import Work

_PREFIX = "ends/"
_NAME, _VALUE = schema.meta.c.name, schema.meta.c.value


@dataclass(frozen=True)
class Ends:
    """A pair by its name and the names of its two connections."""

    pair: str
    left: str
    right: str

    def at(self, end: End) -> str:
        """The connection at an end."""
        return self.left if end is End.LEFT else self.right

    def end_of(self, connection: str) -> End:
        """The end at which a connection stands."""
        return End.LEFT if connection == self.left else End.RIGHT


def keep_ends(work: Work) -> None:
    """Write down what the pairs of this run join."""
    for ends in _of_this_run(work):
        remember(work.sql, _PREFIX + ends.pair, f"{ends.left} {ends.right}")


def known_ends(work: Work) -> dict[str, Ends]:
    """All pairs that are or ever were, by name; those of this run as this run has them."""
    kept = work.sql.execute(sa.select(_NAME, _VALUE).where(_NAME.startswith(_PREFIX)).order_by(_NAME))
    before = [Ends(name.removeprefix(_PREFIX), *value.split()) for name, value in kept]
    return {ends.pair: ends for ends in (*before, *_of_this_run(work))}


def ends_of(work: Work, pair: str) -> Ends | None:
    """What a pair's name joins; None: the store was not told."""
    found = next((ends for ends in _of_this_run(work) if ends.pair == pair), None)
    return found or known_ends(work).get(pair)


def _of_this_run(work: Work) -> Iterator[Ends]:
    for pair in work.world.pairs:
        yield Ends(pair.name, pair.left.name, pair.right.name)
