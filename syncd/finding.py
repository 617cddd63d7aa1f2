"""Looks up in the store all that might be the same thing as a record; ``syncd.matching`` judges what is found."""

from collections.abc import Iterable

import sqlalchemy as sa

from syncd import schema
from syncd.matching import Found, Likeness
from syncd.model import Kind
from syncd.reconcile import End
from syncd.rows import RecordRow
from syncd.setup import Connection, Pair
from syncd.work import Work

SAME_MINUTE_S = 60.0


def look_up(work: Work, pair: Pair, end: End, row: RecordRow) -> Found | None:
    """All records that might be the same thing; None: the parents are not linked, so nothing can be."""
    kind = Kind(row.kind)
    if kind is Kind.APPLICATION:
        job, person = (across(work, pair, end, k, p) for k, p in ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate)))
        if job is None or person is None:
            return Found() if job is not None and bears(pair, end) else None
        there, here = _on(work, pair, end.other, job, person), _on(work, pair, end, row.job, row.candidate)
    else:
        there, here = _alike(work, pair, end.other, row), _alike(work, pair, end, row)

    def likeness(found: RecordRow, at: End) -> Likeness:
        link = work.tx.link_at(pair.name, kind, at, found.id)
        being_made = link is not None and at is end.other and getattr(link, end) is None
        cut = _cut(work, pair, kind, end, row, found) if at is end.other else None
        linked = (link is not None and not being_made) or cut is not None
        made = at is end and linked and kind is Kind.JOB and _is_made_beside(work, pair, end, row, found)
        return Likeness(found.id, found.key, found.title_key, linked, cut=bool(cut), made=made)

    return Found(
        by_id=[likeness(found, end.other) for found in _naming(work, pair, end, row)],
        there=[likeness(found, end.other) for found in there],
        here=[likeness(found, end) for found in here if found.id != row.id],
    )


def _is_made_beside(work: Work, pair: Pair, end: End, row: RecordRow, found: RecordRow) -> bool:
    """Whether a job stands beside one that we made in the same minute, and nobody has said yet that it is a new one."""
    if row.created_at is None or found.created_at is None or abs(row.created_at - found.created_at) > SAME_MINUTE_S:
        return False
    id_ = across(work, pair, end, Kind.JOB, found.id)
    other = work.tx.record(pair.at(end.other).name, Kind.JOB, id_) if id_ is not None else None
    if other is None or _cut(work, pair, Kind.JOB, end, row, other) is not None:
        return False
    return work.sql.execute(_MADE, {"of": found.connection, "what": found.kind, "id_": found.id}).scalar() is not None


_MADE = (
    sa.select(schema.journal.c.id)
    .where(
        schema.journal.c.connection == sa.bindparam("of"),
        schema.journal.c.kind == sa.bindparam("what"),
        schema.journal.c.ref == sa.bindparam("id_"),
        schema.journal.c.what.in_(["created", "adopted"]),
    )
    .limit(1)
)


def _on(work: Work, pair: Pair, at: End, job: str | None, person: str | None) -> list[RecordRow]:
    """A person's applications on a job."""
    return [row for row in _bearing(work, pair, at, Kind.APPLICATION, "candidate", person) if row.job == job]


def _alike(work: Work, pair: Pair, at: End, row: RecordRow) -> list[RecordRow]:
    """The people of a mail; the jobs of a code or a title."""
    kind = Kind(row.kind)
    found = _bearing(work, pair, at, kind, "key", row.key)
    if kind is Kind.JOB:
        found += _bearing(work, pair, at, kind, "title_key", row.title_key)
    return _by_id(found)


def _bearing(work: Work, pair: Pair, at: End, kind: Kind, name: str, value: str | None) -> list[RecordRow]:
    """The records at an end that bear a value in a column, also who is gone while a create of ours is unanswered.

    What that create made is not somebody new, and who is entered anew is not to be created beside it.
    """
    connection = pair.at(at).name
    gone = work.tx.alike(connection, kind, name, value, gone=True)
    links = {row.id: work.tx.link_at(pair.name, kind, at, row.id) for row in gone}
    unanswered = {id_ for id_, link in links.items() if link and link.how == "created" and not getattr(link, at.other)}
    return [*work.tx.alike(connection, kind, name, value), *(row for row in gone if row.id in unanswered)]


def _naming(work: Work, pair: Pair, end: End, row: RecordRow) -> list[RecordRow]:
    """The records at the other end that keep the id of this one, or whose id this one keeps."""
    kind, other = Kind(row.kind), pair.at(end.other).name
    ids = _known_ids(work, pair.at(end), row)
    found = [one for id_ in ids for one in work.tx.alike(other, kind, "source_id", id_)]
    named = work.tx.record(other, kind, row.source_id) if row.source_id else None
    return _by_id([*found, *([named] if named is not None and not named.gone else [])])


def _by_id(rows: Iterable[RecordRow]) -> list[RecordRow]:
    """Each once, in the order of the ids."""
    return [row for _, row in sorted({row.id: row for row in rows}.items())]


def load_alike(work: Work, pair: Pair, kind: Kind, end: End, rows: Iterable[RecordRow]) -> None:
    """Read in a few statements what matching many records will ask for."""
    here, there, tx = pair.at(end), pair.at(end.other).name, work.tx
    free = [row for row in rows if not row.gone and tx.link_at(pair.name, kind, end, row.id) is None]
    tx.load_alike(there, kind, "source_id", [id_ for row in free for id_ in _known_ids(work, here, row)])
    tx.load_records(there, kind, [row.source_id for row in free if row.source_id])
    if kind is Kind.APPLICATION:
        people = [row.candidate for row in free if row.candidate is not None]
        tx.load_links(pair.name, Kind.JOB, end, [row.job for row in free if row.job is not None])
        tx.load_links(pair.name, Kind.CANDIDATE, end, people)
        counterparts = [across(work, pair, end, Kind.CANDIDATE, person) for person in people]
        for name, ids in ((there, counterparts), (here.name, [*people])):
            tx.load_alike(name, kind, "candidate", ids)
        return
    for name in (there, here.name):
        tx.load_alike(name, kind, "key", [row.key for row in free])
        if kind is Kind.JOB:
            tx.load_alike(name, kind, "title_key", [row.title_key for row in free])
    if kind is Kind.CANDIDATE:
        tx.load_alike(here.name, Kind.APPLICATION, "candidate", [row.id for row in free])
        theirs = (one for row in free for one in tx.alike(here.name, Kind.APPLICATION, "candidate", row.id))
        tx.load_links(pair.name, Kind.JOB, end, [one.job for one in theirs if one.job is not None])


def _known_ids(work: Work, connection: Connection, row: RecordRow) -> list[str]:
    """The ids by which the other system may know a record: its own, or any of a person's rows."""
    if connection.is_rows(Kind(row.kind)):
        return [row.id, *(member.row for member in work.tx.members_of(row.connection, row.id))]
    return [row.id]


def _cut(work: Work, pair: Pair, kind: Kind, end: End, row: RecordRow, found: RecordRow) -> bool | None:
    """What a person said of two records: to be kept apart, or (False) that one is a new thing; None: nothing."""
    left, right = (row.id, found.id) if end is End.LEFT else (found.id, row.id)
    this = {"of": pair.name, "what": kind.value, "at_left": left, "at_right": right}
    apart: bool | None = work.sql.execute(_CUT, this).scalar()
    return apart


_CUT = sa.select(schema.cuts.c.apart).where(
    schema.cuts.c.pair == sa.bindparam("of"),
    schema.cuts.c.kind == sa.bindparam("what"),
    schema.cuts.c.left == sa.bindparam("at_left"),
    schema.cuts.c.right == sa.bindparam("at_right"),
)


def across(work: Work, pair: Pair, end: End, kind: Kind, id_: str | None) -> str | None:
    """The id of a linked record at the other end."""
    link = None if id_ is None else work.tx.link_at(pair.name, kind, end, id_)
    there: str | None = getattr(link, end.other) if link else None
    return there


def bears(pair: Pair, end: End) -> bool:
    """Whether an application's create at the other end bears its person."""
    terms = pair.at(end.other).terms.get(Kind.APPLICATION)
    return terms is not None and terms.facts.bears_person and end.other in pair.carried_to(Kind.APPLICATION)
