"""What is due: in a lane, and before all is at rest. One look into the store tells a lane's whole agenda."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from syncd import schema
from syncd.limits import Priority
from syncd.model import Kind, Ref
from syncd.switches import is_stopped, stopped_scopes
from syncd.work import TOMORROW, UNREAD

WAITING = ("accepted", "unknown")  # states of a write that waits to be looked up


@dataclass(frozen=True)
class Agenda:
    """What is due in a lane, as one look into the store tells."""

    stopped: bool
    lookups: tuple[str, ...]
    opens: tuple[str, ...]
    mark: Ref | None
    detail: Ref | None
    cursors: Mapping[str, Mapping[str, Any]]
    backlog: int
    next_due: float | None


_intents, _marks, _switches = schema.intents.c, schema.marks.c, schema.switches.c
_name: sa.BindParameter[str] = sa.bindparam("name")
_now: sa.BindParameter[float] = sa.bindparam("now")


def _word(word: str) -> sa.ColumnElement[str]:
    """A word of ours, written out: to bind forty of them, each time a lane looks up, costs more than the look."""
    return sa.literal_column(f"'{word}'", sa.Text)


def _rows(what: str, first: Any, second: Any, number: Any) -> sa.Select[Any]:
    return sa.select(_word(what).label("what"), first.label("a"), second.label("b"), number.label("n"))


_NONE, _OPEN = _word(""), _intents.state == _word("open")
_WAITS = (_intents.connection == _name, _intents.state.in_([_word(state) for state in ("open", *WAITING)]))
_DUE_INTENTS = (
    _rows("intent", _intents.id, _intents.state, _intents.due)
    .where(*_WAITS, _intents.due <= _now)
    .order_by(sa.case((_OPEN, 1), else_=0), _intents.priority, _intents.made_at, _intents.id)
    .limit(40)
)
_DUE_MARKS = (
    _rows("mark", _marks.kind, _marks.ref, _marks.priority)
    .where(_marks.connection == _name, _marks.due <= _now, _marks.kind.in_([_word(kind.value) for kind in Kind]))
    .order_by(_marks.priority, _marks.due, _marks.kind, _marks.ref)
    .limit(1)
)
_AGENDA = sa.union_all(
    sa.select(_DUE_INTENTS.subquery()),
    sa.select(_DUE_MARKS.subquery()),
    _rows("next", _NONE, _NONE, sa.func.min(_intents.due)).where(*_WAITS),
    _rows("next", _NONE, _NONE, sa.func.min(_marks.due)).where(_marks.connection == _name),
    _rows("backlog", _intents.connection, _NONE, sa.func.count()).where(_OPEN).group_by(_intents.connection),
    _rows("awaited", _NONE, _NONE, sa.func.count()).where(*_WAITS, _intents.reason == _word(UNREAD)),
    _rows("stopped", _switches.scope, _NONE, sa.literal(0)).where(
        sa.or_(_switches.scope == _word("*"), _switches.scope == _word("connection/") + _name)
    ),
)  # fmt: skip
_WALKS = sa.select(schema.cursors).where(schema.cursors.c.connection == _name)


def agenda_of(connection: sa.Connection, name: str, now: float, feeds: list[str]) -> Agenda:
    """One look at what is due in a lane; ``feeds``: the connections whose backlog keeps its lists waiting.

    A list that creates wait for waits for nothing, or two sides would wait for each other.
    """
    told: dict[str, list[Any]] = {what: [] for what in ("intent", "mark", "next", "backlog", "awaited", "stopped")}
    for row in connection.execute(_AGENDA, {"name": name, "now": now}):
        told[row.what].append(row)
    marked = next(((Ref(Kind(row.a), row.b), row.n >= Priority.BULK) for row in told["mark"]), None)
    return Agenda(
        stopped=bool(told["stopped"]),
        lookups=tuple(row.a for row in told["intent"] if row.b != "open"),
        opens=tuple(row.a for row in told["intent"] if row.b == "open"),
        mark=marked[0] if marked and not marked[1] else None,
        detail=marked[0] if marked and marked[1] else None,
        cursors={row["walk"]: dict(row) for row in connection.execute(_WALKS, {"name": name}).mappings()},
        backlog=0 if told["awaited"][0].n else max((row.n for row in told["backlog"] if row.a in feeds), default=0),
        next_due=min((row.n for row in told["next"] if row.n is not None), default=None),
    )


def left_to_do(connection: sa.Connection) -> int:
    """What waits for calls: open and unknown intents, marks, walks under way.

    Held intents wait for people, and what is stopped waits for them as well.
    """
    intents, marks = schema.intents.c, schema.marks.c
    stopped = stopped_scopes(connection)
    if "*" in stopped:
        return 0
    states = intents.state.in_(("open", "sent", *WAITING))
    where = (states, sa.func.coalesce(intents.reason, "") != TOMORROW)
    waiting = connection.execute(sa.select(intents.id, intents.connection, intents.wants).where(*where)).all()
    pairs = _pairs_of_links(connection) if any(scope.startswith("pair/") for scope in stopped) else {}
    batches = _stopped_batches(connection, stopped)
    works = [
        intent
        for intent in waiting
        if intent.id not in batches and not _is_held_up(intent.connection, intent.wants, pairs, stopped)
    ]
    marked = connection.execute(sa.select(marks.connection)).scalars()
    reads = [name for name in marked if f"connection/{name}" not in stopped]
    return len(works) + len(reads) + walks_under_way(connection)


def walks_under_way(connection: sa.Connection) -> int:
    """How many walks are not at their end; those of stopped connections do not count."""
    walking = connection.execute(sa.select(schema.cursors.c.connection).where(schema.cursors.c.mode != "idle"))
    return sum(1 for name in walking.scalars() if not is_stopped(connection, name))


def unswept(connection: sa.Connection, walks: list[tuple[str, str]], since: float) -> list[tuple[str, str]]:
    """The walks whose end was not proven since a time."""
    table = schema.cursors.c
    swept = connection.execute(sa.select(table.connection, table.walk).where(table.swept_at >= since))
    proven = {(row.connection, row.walk) for row in swept}
    return [walk for walk in walks if walk not in proven and not is_stopped(connection, walk[0])]


def _stopped_batches(connection: sa.Connection, stopped: set[str]) -> set[str]:
    """The batches of pairs that are stopped."""
    pairs = [scope.removeprefix("pair/") for scope in stopped if scope.startswith("pair/")]
    table = schema.batches.c
    return set(connection.execute(sa.select(table.id).where(table.pair.in_(pairs))).scalars()) if pairs else set()


def _pairs_of_links(connection: sa.Connection) -> dict[str, str]:
    return {str(row.id): row.pair for row in connection.execute(sa.select(schema.links.c.id, schema.links.c.pair))}


def _is_held_up(name: str, wants: Mapping[str, Any], pairs: Mapping[str, str], stopped: set[str]) -> bool:
    return f"connection/{name}" in stopped or any(f"pair/{pairs.get(key)}" in stopped for key in wants)
