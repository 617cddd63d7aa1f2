"""Erased people stay erased: whatever tells of one of them again is dropped, and only counted.

A tombstone is a keyed digest, under a key that is used for nothing else, of what names her: an e-mail address, or a
record of a connection. Whoever is told under one of them is hers, and so are the applications and screenings of what is
hers; their tombstones are added, so that a webhook which names no more than an id is known too. Where she seems to have
applied again, a person is asked, who learns the number of the erasure and nothing else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from syncd import batches, errands, schema
from syncd.bases import sent_values
from syncd.erasing import CHILDREN, Person, Place, clear_inbox, erase, gather
from syncd.identity import Ends, known_at
from syncd.intents import delete_intent
from syncd.mapping import canonical
from syncd.model import Kind, Record, Ref, Value
from syncd.rows import IntentRow, RecordRow
from syncd.setup import Connection
from syncd.store import upsert
from syncd.work import FIRST, Work

EMAIL = "email"
RETURNED, LEFT = "erased_returned", "erased_left"  # why a person is asked
_stones = schema.tombstones.c


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a system tells: a record, the e-mail address it has, and the digest of its file, as far as it tells them."""

    record: Record
    email: Value
    file: str | None


# --- making them ----------------------------------------------------------------------------------------------------


def bury(work: Work, grave: str, places: Iterable[Place], email: str | None = None) -> list[dict[str, Any]]:
    """Make the tombstones of somebody's records and e-mail address; their rows."""
    named = [(_of_place(work, place), place[1].value) for place in sorted(places)]
    named += [(_of_email(work, email), EMAIL)] if email is not None else []
    rows = [
        {"digest": digest, "grave": grave, "what": what, "at": work.tx.now, "allowed_at": None}
        for digest, what in dict(named).items()
    ]
    upsert(work.sql, schema.tombstones, rows)
    return rows


def grave_of(work: Work, email: str) -> str | None:
    """The number of the erasure of whoever had this e-mail address."""
    found: str | None = work.sql.execute(
        sa.select(_stones.grave).where(_stones.digest == _of_email(work, email))
    ).scalar()
    return found


def allow(work: Work, grave: str) -> int:
    """Let an erased person be told of again; how many tombstones that concerns."""
    this = _stones.grave == grave
    what = [EMAIL, Kind.CANDIDATE.value]
    freed = work.sql.execute(sa.delete(schema.tombstones).where(this, _stones.what.in_(what))).rowcount
    rest = sa.update(schema.tombstones).where(this).values(allowed_at=work.tx.now)
    holds = schema.holds.c
    work.sql.execute(sa.delete(schema.holds).where(holds.reason == RETURNED, holds.ref == grave))
    return freed + work.sql.execute(rest).rowcount


def _of_place(work: Work, place: Place) -> str:
    connection, kind, id_ = place
    return work.world.tombstone("record", f"{connection}/{kind}/{id_}")


def _of_email(work: Work, email: Value) -> str:
    return work.world.tombstone(EMAIL, canonical("email", email))


# --- seeing them again ----------------------------------------------------------------------------------------------


def dropped(work: Work, connection: Connection, told: Sequence[Sighting]) -> frozenset[Ref]:
    """Which of these records are those of erased people: nothing of them may be taken in."""
    if not told or work.sql.execute(_ANY).first() is None:
        return frozenset()
    at = known_at(work, connection.name)
    names = {one.record.ref: list(_names(work, connection, at, one)) for one in told}
    stones = _stones_of(work, {digest for each in names.values() for digest in each})
    hers: dict[Ref, Any] = {}
    new: list[Record] = []
    for one in sorted(told, key=lambda one: (FIRST[one.record.ref.kind], one.record.ref.id)):
        own, *others = (stones.get(digest) for digest in names[one.record.ref])
        stone = own or next((other for other in others if other), None) or _of_parent(one.record, hers)
        if stone is None:
            continue
        if stone.allowed_at is not None:
            _welcome(work, connection, one, stone if stone is own else None)
            continue
        hers[one.record.ref] = stone
        new += [one.record] if own is None else []
        key = (connection.name, one.record.ref.kind.value)
        work.dropped[key] = work.dropped.get(key, 0) + 1
    _bury_new(work, connection, new, hers)
    return frozenset(hers)


_ANY = sa.select(_stones.digest).limit(1)


def _names(work: Work, connection: Connection, at: Sequence[Ends], one: Sighting) -> Iterator[str]:
    """The digests of all that names whose record it is; its own first."""
    record, kind = one.record, one.record.ref.kind
    yield _of_place(work, (connection.name, kind, record.ref.id))
    if kind in CHILDREN:
        for parent in (Kind.CANDIDATE, Kind.APPLICATION):
            if (id_ := record.parents.get(parent)) is not None:
                yield _of_place(work, (connection.name, parent, id_))
    elif kind is Kind.CANDIDATE and one.email:
        yield _of_email(work, one.email)
    if record.source_id is not None and kind is not Kind.JOB:
        for ends in (ends for ends in at if kind in ends.kinds):
            yield _of_place(work, (ends.at(ends.end_of(connection.name).other), kind, record.source_id))


def _stones_of(work: Work, digests: set[str]) -> dict[str, Any]:
    found = sa.select(schema.tombstones).where(_stones.digest.in_(sa.bindparam("digests", expanding=True)))
    asked, stones = sorted(digests), {}
    for start in range(0, len(asked), 500):
        rows = work.sql.execute(found, {"digests": asked[start : start + 500]})
        stones.update({row.digest: row for row in rows})
    return stones


def _of_parent(record: Record, hers: dict[Ref, Any]) -> Any:
    """The tombstone of a parent that was told together with a record."""
    return next((hers[Ref(kind, id_)] for kind, id_ in record.parents.items() if Ref(kind, id_) in hers), None)


def _bury_new(work: Work, connection: Connection, new: list[Record], hers: dict[Ref, Any]) -> None:
    """Records of hers that were not known when she was erased: what is kept of them goes too."""
    for record in new:
        stone, place = hers[record.ref], (connection.name, record.ref.kind, record.ref.id)
        person = Person(frozenset({place}), frozenset())
        if _is_kept(work, place):
            person = gather(work, [place])
            erase(work, person, stone.grave)
        bury(work, stone.grave, person.places)
        if record.created_at is None or record.created_at > stone.at:
            _tell(work, connection.name, Kind.APPLICATION, stone.grave, RETURNED)


def _is_kept(work: Work, place: Place) -> bool:
    connection, kind, id_ = place
    is_row = kind is Kind.CANDIDATE and work.tx.member(connection, id_) is not None
    return is_row or work.tx.record(connection, kind, id_) is not None


def _tell(work: Work, connection: str, kind: Kind, ref: str, reason: str) -> None:
    """Ask a person, once; the journal does not tell."""
    table = schema.holds.c
    where = (table.connection == connection, table.ref == ref, table.reason == reason)
    if work.sql.execute(sa.select(table.id).where(*where)).first() is None:
        row = {"connection": connection, "kind": kind.value, "ref": ref, "reason": reason, "opened_at": work.tx.now}
        work.sql.execute(sa.insert(schema.holds).values(row))


def _welcome(work: Work, connection: Connection, one: Sighting, stone: Any) -> None:
    """One who may be told of again: what was done once for her old records is not done a second time, in any pair.

    It is now or never: a pair that this run lacks is back when nothing tells her old records from new ones any more.
    """
    if stone is None:
        return
    kind, id_ = one.record.ref.kind, one.record.ref.id
    row = RecordRow(connection.name, kind.value, id_, work.tx.now)
    for ends in known_at(work, connection.name):
        errands.let_be(work, ends, row, one.file)
        if kind is Kind.APPLICATION and ends.left == connection.name:
            batches.keep_out(work, ends.pair, id_)
    work.sql.execute(sa.delete(schema.tombstones).where(_stones.digest == stone.digest))


def still_wanted(work: Work, connection: Connection, refs: Iterable[Ref]) -> tuple[Ref, ...]:
    """Of the records that a webhook names, those that are not an erased person's."""
    refs = tuple(refs)
    if not refs or work.sql.execute(_ANY).first() is None:
        return refs
    digests = {ref: _of_place(work, (connection.name, ref.kind, ref.id)) for ref in refs}
    buried = {digest for digest, stone in _stones_of(work, set(digests.values())).items() if stone.allowed_at is None}
    for ref in (ref for ref in refs if digests[ref] in buried):
        key = (connection.name, ref.kind.value)
        work.dropped[key] = work.dropped.get(key, 0) + 1
    return tuple(ref for ref in refs if digests[ref] not in buried)


# --- what was out when she went -------------------------------------------------------------------------------------


def was_made(work: Work, intent: IntentRow, records: Sequence[Record]) -> None:
    """A create that was out has taken effect: what it made is hers, and is for a person to erase there."""
    grave = str(sent_values(work, intent)["grave"])
    made = {(record.ref.kind, record.ref.id) for record in records if record.ref.kind is not Kind.JOB}
    places = [(intent.connection, kind, id_) for kind, id_ in made]
    bury(work, grave, places)
    clear_inbox(work, places)  # it may have been told of before it was looked up
    for kind, id_ in sorted(made):
        if kind is Kind.CANDIDATE or (Kind.CANDIDATE, id_) not in made:
            _tell(work, intent.connection, kind, id_, LEFT)
    delete_intent(work, intent)
