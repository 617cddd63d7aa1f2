"""One transaction's work, and what every room writes down in it: marks to read again, and the journal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from syncd import schema
from syncd.limits import Priority
from syncd.mapping import EMPTY, WORDED, word_of
from syncd.model import Fields, Kind, Ref, Value
from syncd.rows import IntentRow, RecordRow
from syncd.setup import Connection, World
from syncd.store import Tx, upsert

ROWS = "rows"  # the key of ``intents.wants`` for a write that brings a person's rows together


IN_FLIGHT = ("sent", "accepted", "unknown")


UNSENT = ("open", "held")


DISPUTE = "spokes_disagree"


CREATE = "create"
ERASED = "create_erased"  # a create that was out when its person was erased: looked up, and never sent again


# Calls beside the fields (syncd.errands, syncd.batches).
ATTACH, RULE, OUTCOME, SCREEN, UNSCHEDULE, SUBMIT = "attach", "rule", "outcome", "screen", "unschedule", "submit"
REMARKS = frozenset({"comment", "rating", "note", "activity"})
ERRANDS = REMARKS | {ATTACH, RULE, OUTCOME, SCREEN, UNSCHEDULE}
TOMORROW = "credits_per_day"  # why a batch waits for the next day: nothing that a run should wait for
UNREAD = "its_list_is_read_first"  # why a create waits: somebody may have entered its likeness where it goes
BESIDE = ERRANDS | {SUBMIT}


FIRST = {Kind.JOB: 0, Kind.CANDIDATE: 1, Kind.APPLICATION: 2, Kind.SCREENING: 3}


@dataclass
class Work:
    """One transaction's work: the rows, the world, and the values in hand (as told within this transaction).

    ``learning``: a first look, which links and compares but makes no intents. ``origin``: the webhook (``w`` and its
    number in the inbox) that all of this goes back to, if one does. ``dropped``: sightings of erased people, by
    connection and kind. ``changed``: links of which an update is wanted. ``doubted``: records of which something was
    told that is not believed yet.
    """

    tx: Tx
    world: World
    new_id: Callable[[], str]
    learning: bool = False
    values: dict[tuple[str, str, str], Fields] = field(default_factory=dict)
    wanted: int = 0
    changed: set[int] = field(default_factory=set)
    woken: set[str] = field(default_factory=set)
    intents: dict[tuple[str, str, str], list[IntentRow]] = field(default_factory=dict)
    holds: dict[int, list[Any]] = field(default_factory=dict)
    origin: str | None = None
    dropped: dict[tuple[str, str], int] = field(default_factory=dict)
    doubted: set[tuple[str, Ref]] = field(default_factory=set)

    @property
    def sql(self) -> sa.Connection:
        """The connection, for what has no row object."""
        return self.tx.sql

    def value(self, connection: str, kind: Kind, row: RecordRow, name: str) -> tuple[bool, Value]:
        """A record's value of one field, if it is in hand or stands in clear."""
        told = row.seen.get(name)
        if told == EMPTY:
            return True, None
        speaker = (row.speakers or {}).get(name, row.id)
        values = self.values.get((connection, kind.value, speaker), {})
        if name in values:
            return True, values[name]
        if name in WORDED and told is not None:
            return True, word_of(told)
        return False, None


def mark(
    work: Work, connection: str, kind: Kind, ref: str, why: str, priority: Priority, due: float | None = None
) -> None:
    """Let a record be read again by id; the more urgent of two reasons stays.

    A mark that is due already is due from now, so that a reading which was asked for before does not answer it.
    """
    table = schema.marks
    where = (table.c.connection == connection, table.c.kind == kind.value, table.c.ref == ref)
    found = work.sql.execute(sa.select(table).where(*where)).first()
    due = work.tx.now if due is None else due
    row = {"connection": connection, "kind": kind.value, "ref": ref, "why": why, "priority": int(priority),
           "due": due, "tries": 0, "origin": work.origin}  # fmt: skip
    if found is not None:
        row["origin"] = work.origin or found.origin
        row["due"] = min(max(found.due, work.tx.now), due)
        if found.priority <= int(priority):
            row |= {"priority": found.priority, "why": found.why}
    upsert(work.sql, table, [row])
    work.woken.add(connection)


def mark_speakers(work: Work, connection: Connection, row: RecordRow, why: str, priority: Priority) -> None:
    """Mark a record, or of a person that is a set of rows each row that speaks for it."""
    refs = {row.id}
    if connection.is_rows(Kind(row.kind)):
        alive = [member.row for member in work.tx.members_of(connection.name, row.id) if not member.gone]
        refs = {ref for ref in (row.speakers or {}).values() if ref in alive} or set(alive[:1])
    for ref in sorted(refs):
        mark(work, connection.name, Kind(row.kind), ref, why, priority)


def note(
    work: Work,
    connection: str,
    kind: str,
    ref: str,
    what: str,
    *,
    link: int | None = None,
    fields: list[str] | None = None,
    detail: str = "",
) -> None:
    """Write one line of the journal: field names, never values."""
    row = {"at": work.tx.now, "connection": connection, "kind": kind, "ref": ref, "link": link, "what": what,
           "fields": fields or [], "detail": detail, "origin": work.origin}  # fmt: skip
    work.sql.execute(_NOTE, row)


_NOTE = sa.insert(schema.journal)
