"""What is kept no longer than it is needed: people whom no system tells any more, and old lines of the journal.

Somebody is told as long as any system of the configuration has one of her records; what syncd has of her then is what
keeps her from being created twice. Once all of it is gone everywhere, and nothing was heard of her for as long as the
configuration says (``store.keep_people``), all rows about her go. No tombstone stays: if she comes back, she is matched
anew. What is about nobody any more (finished batches, the memory of what was done once) goes with them.
"""

import sqlalchemy as sa

from syncd import schema
from syncd.erasing import Person, erase, gather
from syncd.model import Kind
from syncd.store import recalled, remember
from syncd.work import IN_FLIGHT, Work

DAY_S = 86_400.0
REAPED = "reaped_at"
MOST = 200  # people in one transaction
_records, _journal, _batches, _items = schema.records.c, schema.journal.c, schema.batches.c, schema.batch_items.c


def is_due(connection: sa.Connection, now: float) -> bool:
    """Whether a day has gone by since old rows were last looked for."""
    return now - float(recalled(connection, REAPED) or 0.0) >= DAY_S


def reap(work: Work, people_s: float | None, journal_s: float | None) -> int:
    """Delete what is older than it may be; ``None``: it is kept for ever. How many people went."""
    now, count = work.tx.now, 0
    if people_s is not None:
        count = _reap_people(work, now - people_s)
        _reap_batches(work, now - people_s)
    if journal_s is not None:
        work.sql.execute(sa.delete(schema.journal).where(_journal.at < now - journal_s))
    remember(work.sql, REAPED, repr(now if count < MOST else 0.0))  # there may be more: go on at the next look
    return count


def _reap_people(work: Work, before: float) -> int:
    absent = sa.or_(_records.gone, _records.connection.not_in(sorted(work.world.connections)))
    where = (_records.kind == Kind.CANDIDATE.value, absent, _records.told_at < before)
    found = work.sql.execute(sa.select(_records.connection, _records.id).where(*where)).all()
    count = 0
    for name, id_ in found:
        if count == MOST:
            break
        if work.tx.record(name, Kind.CANDIDATE, id_) is None:
            continue  # went with somebody before
        person = gather(work, [(name, Kind.CANDIDATE, id_)])
        if _is_over(work, person, before):
            erase(work, person, None)
            count += 1
    return count


def _is_over(work: Work, person: Person, before: float) -> bool:
    """Whether no system has her any more, nothing was heard of her since, and nothing of hers is under way."""
    for name, kind, id_ in sorted(person.places):
        row = work.tx.record(name, kind, id_)
        if row is not None and name in work.world.connections and not row.gone:
            return False
        if row is not None and max(row.told_at, row.written_at or 0.0, row.read_at or 0.0) >= before:
            return False
        where = (_journal.connection == name, _journal.kind == kind.value, _journal.ref == id_)
        if (work.sql.execute(sa.select(sa.func.max(_journal.at)).where(*where)).scalar() or 0.0) >= before:
            return False
    return not _is_under_way(work, person)


def _is_under_way(work: Work, person: Person) -> bool:
    table, keys = schema.intents.c, {str(link) for link in person.links}
    out = sa.select(table.connection, table.kind, table.ref, table.wants).where(table.state.in_(IN_FLIGHT))
    return any(
        keys & set(row.wants) or (row.connection, row.kind, row.ref) in person.places for row in work.sql.execute(out)
    )


def _reap_batches(work: Work, before: float) -> None:
    """Batches that ended long ago, and are nobody's any more."""
    ours = sa.exists().where(_items.batch == _batches.id)
    over = (_batches.state.in_(["done", "failed"]), _batches.made_at < before, sa.not_(ours))
    work.sql.execute(sa.delete(schema.batches).where(*over))
    work.sql.execute(sa.delete(schema.batch_items).where(_items.application.like("erased-%"), _items.sent_at < before))
