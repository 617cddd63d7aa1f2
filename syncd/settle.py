"""Brings one record to where nothing is to be done, or to an intent, or to a hold. All within one transaction.

Level, not edge: whatever brought us here (a page, a webhook, an answer, a person), the record's links are looked at
as they stand now, and a record without one is matched, created, or held.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from syncd import matching, reuse, schema
from syncd.bases import sent_values, took_effect
from syncd.batches import collect
from syncd.creating import borne, create, may_create
from syncd.errands import settle_screening, was_there_before
from syncd.finding import look_up
from syncd.holds import hold_record, load_holds
from syncd.intents import creation_of, drop_creation, load_intents, save_intent
from syncd.matching import How, Likeness
from syncd.merging import merge_link
from syncd.model import Kind
from syncd.places import bring_together
from syncd.reconcile import End
from syncd.rows import LinkRow, RecordRow
from syncd.setup import Pair
from syncd.work import IN_FLIGHT, UNSENT, Work, note


def settle(work: Work, connection: str, kind: Kind, id_: str) -> bool:
    """Settle one record in all its pairs; tells whether nothing is left to do about it."""
    row = work.tx.record(connection, kind, id_)
    if row is None:
        return True
    quiet = True
    for pair in work.world.pairs_of(connection, kind):
        quiet = _settle_in(work, pair, row) and quiet
    if kind is Kind.APPLICATION:  # after its link: a list may show what we made before its answer is looked up
        quiet = bring_together(work, work.world.connections[connection], row) and quiet
    settled = work.world.stamp if quiet and not work.learning else None
    if row.settled != settled:
        if settled is None:
            _unsettle_page(work, row)
        row.settled = settled
        work.tx.put_record(row)
    return quiet


def _unsettle_page(work: Work, row: RecordRow) -> None:
    """The page that tells a record which has something left to do is read again though it be unchanged."""
    if row.page is not None:
        work.sql.execute(_UNSETTLE, {"of": row.connection, "list": row.walk, "at": row.page})


_UNSETTLE = (
    sa.update(schema.pages)
    .where(
        schema.pages.c.connection == sa.bindparam("of"),
        schema.pages.c.walk == sa.bindparam("list"),
        schema.pages.c.position == sa.bindparam("at"),
    )
    .values(settled=None)
)


def _settle_in(work: Work, pair: Pair, row: RecordRow) -> bool:
    end, kind = pair.end_of(row.connection), Kind(row.kind)
    if kind is Kind.SCREENING:
        return settle_screening(work, pair, row)
    if kind is Kind.APPLICATION and end is End.LEFT:
        was_there_before(work, pair, row)
    link = work.tx.link_at(pair.name, kind, end, row.id)
    if link is None:
        if row.gone:
            hold_record(work, pair, row, {})  # who is gone is no question any more
            return True
        if kind is Kind.APPLICATION and pair.batches:
            return collect(work, pair, end, row)
        link, quiet = _match(work, pair, end, row)
        if link is None:
            return quiet
    if link.left is None or link.right is None:
        return _settle_creation(work, pair, end, row, link)
    return merge_link(work, pair, link)


def _settle_creation(work: Work, pair: Pair, end: End, row: RecordRow, link: LinkRow) -> bool:
    """A record that is being created elsewhere was told again: what has not gone out yet is made anew from it."""
    intent = creation_of(work, link)
    if intent is None or intent.state not in UNSENT:
        return False
    part = intent.wants[str(link.id)]
    stale = any(source and row.seen.get(name) != source for name, (_, source) in part.items())
    stale = stale or any(row.seen.get(name) and name not in part for name in borne(pair, end.other, intent, row))
    if not row.gone and not stale:
        return False
    if row.gone and intent.reason == "unknown_outcome":
        return False  # what it may have made is not to be taken for somebody new
    drop_creation(work, intent)
    return True if row.gone else _settle_in(work, pair, row)


def settle_children(work: Work, pair: Pair, link: LinkRow) -> None:
    """Settle the applications of a job or person whose link was just completed or cut."""
    kind = Kind(link.kind)
    if kind is Kind.APPLICATION or not pair.syncs(Kind.APPLICATION):
        return
    for end in End:
        parent, connection = getattr(link, end), pair.at(end).name
        if parent is None:
            continue
        for child in work.tx.alike(connection, Kind.APPLICATION, kind.value, parent):
            settle(work, connection, Kind.APPLICATION, child.id)
            if kind is Kind.JOB and child.candidate is not None:
                settle(work, connection, Kind.CANDIDATE, child.candidate)


def _match(work: Work, pair: Pair, end: End, row: RecordRow) -> tuple[LinkRow | None, bool]:
    """Link a record to its likeness, or make an intent to create it, or hold it; (link, nothing left to do)."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if kind not in other.terms:
        return None, True
    found = None if reuse.belongs_to_another(work, row) else look_up(work, pair, end, row)
    if found is None:
        hold_record(work, pair, row, {})
        return None, not _awaited(work, pair, end, row)
    subject = Likeness(row.id, row.key, row.title_key)
    match = matching.judge(kind, subject, found)
    if match.how is How.LINK and match.id is not None:
        link = _make_link(work, pair, end, row, match.id, match.by)
        return link, False
    if match.how is How.HOLD and match.by == "no_email" and not may_create(work, pair, end, row):
        match = matching.Match(How.CREATE)
    if match.how is How.HOLD:
        hold_record(work, pair, row, {"": (match.by, " ".join(match.choices))})
        return None, False
    return None, create(work, pair, end, row)


def _awaited(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Whether an application waits for a parent that may yet come."""
    return any(
        parent is not None and (work.tx.link_at(pair.name, kind, end, parent) is not None)
        for kind, parent in ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate))
    )


def _make_link(work: Work, pair: Pair, end: End, row: RecordRow, other: str, how: str) -> LinkRow:
    """Link two records; an open create intent for either is completed by the link: nothing is made twice."""
    link = work.tx.link_at(pair.name, Kind(row.kind), end.other, other)
    if link is not None:
        _complete(work, link, end, row)
    else:
        ends = {end.value: row.id, end.other.value: other}
        link = work.tx.new_link(pair.name, Kind(row.kind), how, ends["left"], ends["right"])
    counterpart = work.tx.record(pair.at(end.other).name, Kind(row.kind), other)
    for one in (row, *([counterpart] if counterpart is not None else [])):
        hold_record(work, pair, one, {})
    note(work, row.connection, row.kind, row.id, "linked", link=link.id, detail=how)
    settle_children(work, pair, link)
    return link


def _complete(work: Work, link: LinkRow, end: End, row: RecordRow) -> None:
    """What was to be created shows itself: if our call is out it is ours, else somebody was faster."""
    intent = creation_of(work, link)
    setattr(link, end, row.id)
    work.tx.put_link(link)
    if intent is None:
        return
    part = intent.wants.pop(str(link.id))
    if intent.state in IN_FLIGHT:
        took_effect(work, link, end, row, part, {**sent_values(work, intent), "answered": False})
    if intent.link == link.id or not intent.wants:
        drop_creation(work, intent)
    else:
        save_intent(work, intent)


def load(work: Work, pair: Pair, kind: Kind, end: End, ids: Iterable[str]) -> None:
    """Read in a few statements what settling many records will need: links, other ends, intents, holds."""
    ids = list(ids)
    work.tx.load_links(pair.name, kind, end, ids)
    links = [link for id_ in ids if (link := work.tx.link_at(pair.name, kind, end, id_)) is not None]
    counterparts = [id_ for link in links if (id_ := getattr(link, end.other)) is not None]
    other = pair.at(end.other)
    work.tx.load_records(other.name, kind, counterparts)
    for connection, people in ((pair.at(end), ids), (other, counterparts)):
        refs = people
        if connection.is_rows(kind):
            work.tx.load_people(connection.name, people)
            refs = [member.row for person in people for member in work.tx.members_of(connection.name, person)]
        load_intents(work, connection.name, kind, refs)
    load_holds(work, [link.id for link in links])
