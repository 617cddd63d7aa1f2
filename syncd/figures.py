"""What stands in the store, as the gauges of ``/metrics`` and as what happened since the last look.

``standing`` answers with every series that a configuration has, at 0 where nothing is. ``follow`` reads the journal on
from where it was last read, and counts what became of the changes. Both are plain functions over one connection.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from syncd import limits, look, measures, schema
from syncd.measures import DISPUTES, REASONS, STATES, WORK, reason_word, stop_word
from syncd.metrics import Figures
from syncd.model import Kind
from syncd.setup import Connection, World
from syncd.store import recalled
from syncd.work import CREATE

Values = dict[tuple[str, ...], float]
Table = dict[str, Values]

MOST_LINES = 20_000  # of the journal in one look
MOST_UNDER_WAY = 50_000  # writes whose beginning is remembered
AGAIN = 6  # writes to one record within ``AGAIN_S`` that look like two systems undoing each other
AGAIN_S = 3600.0

_intents, _holds, _marks, _inbox = schema.intents.c, schema.holds.c, schema.marks.c, schema.inbox.c
_journal, _cursors, _number = schema.journal.c, schema.cursors.c, sa.func.count()

_INTENTS = sa.select(
    _intents.connection, _intents.state, _number.label("number"), sa.func.min(_intents.made_at).label("since")
).group_by(_intents.connection, _intents.state)
_HOLDS = sa.select(
    _holds.connection, _holds.reason, _number.label("number"), sa.func.min(_holds.opened_at).label("since")
).group_by(_holds.connection, _holds.reason)
_MARKS = sa.select(
    _marks.connection,
    sa.func.sum(sa.case((_marks.priority >= int(limits.Priority.BULK), 1), else_=0)).label("details"),
    _number.label("number"),
).group_by(_marks.connection)
_ARRIVED = sa.select(_inbox.connection, sa.func.max(_inbox.received_at).label("at")).group_by(_inbox.connection)


# --- what stands ----------------------------------------------------------------------------------------------------


def standing(connection: sa.Connection, world: World, now: float) -> Figures:
    """All gauges that the store can tell, metric -> labels -> value."""
    facts = look.status(connection, world, now)
    table: Table = {}
    for part in (_walks, _stops, _budgets):
        _put(table, part(world, facts))
    _put(table, _pairs(facts))
    _put(table, _waiting(connection, world))
    _put(table, _held(connection, world))
    arrived = {row.connection: row.at for row in connection.execute(_ARRIVED)}
    _put(table, (("webhook_last_arrival_timestamp_seconds", (name,), arrived.get(name)) for name in world.connections))
    return table


Told = Iterator[tuple[str, tuple[str, ...], float | None]]


def _put(table: Table, told: Told) -> None:
    for name, labels, value in told:
        table.setdefault(f"syncd_{name}", {})[labels] = float(value or 0.0)


def _walks(world: World, facts: look.Facts) -> Told:
    """Of each kind, how far the list is known that tells it."""
    for each in facts["connections"]:
        name, connection = each["name"], world.connections[each["name"]]
        walks = {walk["name"]: walk for walk in each["walks"]}
        for kind in Kind:
            walk = connection.walk_of(kind)
            if walk is not None and walk.name in walks:
                told = walks[walk.name]
                yield "poll_last_success_timestamp_seconds", (name, kind.value), told["polled_at"]
                yield "sweep_last_success_timestamp_seconds", (name, kind.value), told["swept_at"]
        yield "poll_interval_seconds", (name,), max((walk["interval_s"] for walk in each["walks"]), default=0.0)
        yield "sweep_interval_seconds", (name,), connection.sweep_s


def _stops(world: World, facts: look.Facts) -> Told:
    for each in facts["connections"]:
        stopped = each["stopped"] and _said(stop_word(each["stopped"]), "connection_stopped")
        for reason in measures.MEASURES["syncd_connection_stopped"].words:
            yield "connection_stopped", (each["name"], reason), reason == stopped
        yield "blocked_until_timestamp_seconds", (each["name"],), each["blocked_until"]


def _said(word: str, name: str) -> str:
    """A reason for a stop, if it is one of those that this metric tells."""
    return word if word in measures.MEASURES[f"syncd_{name}"].words else "person"


def _budgets(world: World, facts: look.Facts) -> Told:
    for each in facts["connections"]:
        daily = {str(rule) for rule in limits.parse_rules(world.connections[each["name"]].limits) if rule.zone}
        for usage in each["budget"]:
            labels, used, limit = (each["name"], usage["rule"]), usage["used"], usage["limit"]
            yield "budget_used", labels, used
            yield "budget_limit", labels, limit
            yield "budget_remaining", labels, max(0, limit - used)
            yield "budget_used_ratio", labels, used / limit if limit else 1.0
            if usage["rule"] in daily:
                yield "budget_resets_timestamp_seconds", labels, usage["frees_at"]


def _pairs(facts: look.Facts) -> Told:
    for pair in facts["pairs"]:
        name = pair["name"]
        stopped = pair["stopped"] and _said(stop_word(pair["stopped"]), "pair_stopped")
        yield "pair_in_step", (name,), pair["in_step"]
        yield "pair_waiting", (name,), pair["waiting"]
        yield "pair_held", (name,), sum(pair["held"].values())
        for kind in pair["flows"]:
            yield "pair_links", (name, kind), pair["links"].get(kind)
        for reason in measures.MEASURES["syncd_pair_stopped"].words:
            yield "pair_stopped", (name, reason), reason == stopped


def _waiting(sql: sa.Connection, world: World) -> Told:
    """Writes and reads that wait for calls."""
    states = {(row.connection, row.state): row for row in sql.execute(_INTENTS)}
    marks = {row.connection: row for row in sql.execute(_MARKS)}
    for name in world.connections:
        numbers = {state: _of(states.get((name, state)), "number") for state in STATES}
        since = [row.since for (of, state), row in states.items() if of == name and state != "held"]
        details = _of(marks.get(name), "details")
        depths = (numbers["unknown"] + numbers["accepted"], numbers["open"], _of(marks.get(name), "number") - details,
                  details)  # fmt: skip
        yield "oldest_waiting_timestamp_seconds", (name,), min(since, default=0.0)
        for state, number in numbers.items():
            yield "intents", (name, state), number
        for work, depth in zip(WORK, depths, strict=True):
            yield "lane_depth", (name, work), depth


def _of(row: Any, name: str) -> int:
    return 0 if row is None else int(getattr(row, name))


def _held(sql: sa.Connection, world: World) -> Told:
    """Questions that wait for a person, and writes of unknown outcome, whether they are still looked for or held."""
    rows = list(sql.execute(_HOLDS))
    unknown = {row.connection: row.number for row in sql.execute(_INTENTS) if row.state == "unknown"}
    for name in world.connections:
        numbers: Counter[str] = Counter()
        for row in rows:
            numbers[reason_word(row.reason)] += row.number if row.connection == name else 0
        for reason in REASONS:
            yield "held", (name, reason), numbers[reason]
        erasures = [row.since for row in rows if row.connection == name and row.reason == "erasure"]
        yield "held_oldest_timestamp_seconds", (name,), min((r.since for r in rows if r.connection == name), default=0)
        yield "erasure_oldest_timestamp_seconds", (name,), min(erasures, default=0)
        yield "erasures_open", (name,), numbers["erasure"]
        yield "conflicts_open", (name,), sum(numbers[reason] for reason in DISPUTES)
        yield "stages_unmapped", (name,), numbers["unmapped_stage"]
        yield "blocked_deletes", (name,), numbers["vanished"]
        yield "unknown_outcomes", (name,), unknown.get(name, 0) + numbers["unknown_outcome"]


def is_first_sync_over(connection: sa.Connection, world: World) -> bool:
    """Whether every list was read whole since the first look under this configuration."""
    if recalled(connection, "learnt") != world.stamp:
        return False
    learnt_at = float(recalled(connection, "learnt_at") or 0.0)
    return all((swept or 0.0) >= learnt_at for swept in connection.execute(sa.select(_cursors.swept_at)).scalars())


# --- what happened --------------------------------------------------------------------------------------------------

Key = tuple[str, str, str, int | None]


@dataclass
class Happened:
    """What the journal told since the last look.

    ``changes``: (connection, kind, operation, outcome) -> how many. ``delays``: (connection, kind, seconds) each.
    ``rewritten``: connection -> records that were written to again and again.
    """

    changes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    delays: list[tuple[str, str, float]] = field(default_factory=list)
    rewritten: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Journal:
    """How far the journal was read, and what is remembered of it: ids, which never leave this object."""

    read: int | None = None
    begun: dict[Key, float] = field(default_factory=dict)
    written: deque[tuple[float, Key]] = field(default_factory=deque)

    def follow(self, connection: sa.Connection, now: float) -> Happened:
        """Read on; the first look only notes where the journal ends and which writes are under way."""
        happened = Happened()
        if self.read is None:
            self._begin(connection)
        else:
            for line in connection.execute(_LINES, {"after": self.read}):
                self.read = line.id
                self._take(line, happened)
        happened.rewritten = self._rewritten(now)
        return happened

    def _begin(self, connection: sa.Connection) -> None:
        self.read = connection.execute(sa.select(sa.func.max(_journal.id))).scalar() or 0
        for row in connection.execute(_UNDER_WAY):
            key = ("", row.kind, "", row.link) if row.ref is None else (row.connection, row.kind, row.ref, None)
            self.begun[key] = row.made_at

    def _take(self, line: Any, happened: Happened) -> None:
        key = _key(line)
        if line.what in _PLANNED:
            self.begun.setdefault(key, line.at)
            if len(self.begun) > MOST_UNDER_WAY:
                del self.begun[next(iter(self.begun))]
        if outcome := self._outcome(line):
            happened.changes[line.connection, line.kind, *outcome] += 1
        if line.what in _DONE:
            if (since := self.begun.pop(key, None)) is not None:
                happened.delays.append((line.connection, line.kind, max(0.0, line.at - since)))
            self.written.append((line.at, key))

    def _outcome(self, line: Any) -> tuple[str, str] | None:
        """(operation, outcome) of a line; None: it ends nothing."""
        if line.what in _DONE:
            return _DONE[line.what]
        if line.what == "unknown":
            return (CREATE if line.detail == CREATE else "update"), "unknown"
        if line.what == "held" and line.detail in DISPUTES:
            return "update", "conflict"
        if line.what == "held" and line.detail == "rejected":
            return (CREATE if ("", line.kind, "", line.link) in self.begun else "update"), "rejected"
        return None

    def _rewritten(self, now: float) -> dict[str, int]:
        while self.written and self.written[0][0] < now - AGAIN_S:
            self.written.popleft()
        times = Counter(key for _, key in self.written if key[3] is None)
        return dict(Counter(key[0] for key, number in times.items() if number >= AGAIN))


_PLANNED = frozenset({"create_planned", "update_planned", "rows_planned"})
_DONE = {"created": (CREATE, "applied"), "adopted": (CREATE, "noop"), "written": ("update", "applied")}
_LINES = (
    sa.select(_journal.id, _journal.at, _journal.connection, _journal.kind, _journal.ref, _journal.link, _journal.what,
              _journal.detail)
    .where(_journal.id > sa.bindparam("after"))
    .order_by(_journal.id)
    .limit(MOST_LINES)
)  # fmt: skip
_UNDER_WAY = sa.select(_intents.connection, _intents.kind, _intents.ref, _intents.link, _intents.made_at)


def _key(line: Any) -> Key:
    """What a planned write and its end have in common: a create its link, an update its record."""
    if line.what in {"create_planned", "created", "adopted"}:
        return "", line.kind, "", line.link
    return line.connection, line.kind, line.ref, None


def expected(world: World) -> tuple[list[str], list[tuple[str, str]]]:
    """The names of all connections, and of their walks."""
    return list(world.connections), [(name, walk.name) for name in world.connections for walk in world.walks_of(name)]


def hears(connection: Connection, *, has_secret: bool, has_path_secret: bool) -> bool:
    """Whether webhooks of a connection can be believed."""
    hooks = connection.facts.hooks
    return hooks is not None and (hooks.key == "token" or has_secret or has_path_secret)
