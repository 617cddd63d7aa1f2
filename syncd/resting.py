"""Intents of pairs, or ways of theirs, or connections, that this run lacks: the config lost them, or it was narrowed.

What has not gone out is forgotten: it is wanted anew as soon as its records are looked at under a configuration that
has the pair. What is out, and the batches whose résumés wait, rest until then; nothing of them may be repeated. So does
what a connection wants of its own rows, since no look at the other ends brings that back.
Where the pair is there and only carries less, what is out is looked up all the same.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from syncd import schema
from syncd.intents import delete_intent, drop_creation, save_intent, unsealed
from syncd.model import Kind
from syncd.rows import IntentRow, LinkRow
from syncd.work import BESIDE, CREATE, ERASED, ERRANDS, ROWS, SUBMIT, Work

RESTING = "resting"


def rest_others(work: Work) -> None:
    """Set aside what belongs to other pairs, and take up again what was set aside and belongs to ours."""
    rest_lists(work)
    if _are_all_ours(work):  # as at nearly every start: one by one they would take seconds where many wait
        return
    for found in list(work.sql.execute(sa.select(schema.intents).order_by(schema.intents.c.id)).mappings()):
        intent = IntentRow(**found)
        others = strangers(work, intent)
        if intent.state == RESTING and not others:
            _take_up(work, intent)
        elif others and intent.state == "open" and intent.call != SUBMIT and ROWS not in others:
            _forget(work, intent, others)
        elif others and intent.state not in ("held", RESTING):
            rest(work, intent)


def _are_all_ours(work: Work) -> bool:
    """Whether there is nothing of other pairs, and nothing rests."""
    ours = {"pairs": sorted(pair.name for pair in work.world.pairs), "names": sorted(work.world.connections)}
    return not _may_be_uncarried(work) and not any(work.sql.execute(question, ours).first() for question in _OTHERS)


_intents = schema.intents.c
_OTHERS = (
    *(sa.select(table.c.id).where(table.c.pair.not_in(sa.bindparam("pairs", expanding=True))).limit(1)
      for table in (schema.links, schema.batches)),
    sa.select(_intents.id).where(
        sa.or_(_intents.state == RESTING, _intents.connection.not_in(sa.bindparam("names", expanding=True)))
    ).limit(1),
)  # fmt: skip


def _may_be_uncarried(work: Work) -> bool:
    """Whether something waits to be written where a pair does not carry its kind (maybe another pair does)."""
    ways = [(name, Kind(kind)) for name, kind in work.sql.execute(_WAYS)]
    ways += [(name, Kind.CANDIDATE) for name, kind in ways if kind is Kind.APPLICATION]  # whom a create may bear
    return any(
        not pair.flows_to(kind, pair.end_of(name))
        for name, kind in ways
        for pair in work.world.pairs
        if name in (pair.left.name, pair.right.name)
    )


_WAYS = (
    sa.select(_intents.connection, _intents.kind)
    .where(_intents.state == "open", _intents.call.not_in(sorted(BESIDE)))
    .distinct()
)


def rest_lists(work: Work) -> None:
    """Let lists be that no pair of this run reads, and records of connections that it does not have."""
    cursors, marks = schema.cursors, schema.marks
    read = {(name, walk.name) for name in work.world.connections for walk in work.world.walks_of(name)}
    under_way = sa.select(cursors.c.connection, cursors.c.walk).where(cursors.c.mode != "idle")
    for name, walk in work.sql.execute(under_way).all():
        if (name, walk) not in read:
            this = (cursors.c.connection == name, cursors.c.walk == walk)
            work.sql.execute(sa.update(cursors).where(*this).values(mode="idle", token=None))
    work.sql.execute(sa.delete(marks).where(marks.c.connection.not_in(sorted(work.world.connections))))


def strangers(work: Work, intent: IntentRow) -> set[str]:
    """The links (or the batch) that want an intent and belong to what this run lacks: its connection, pairs, ways."""
    if intent.connection not in work.world.connections:
        return {*intent.wants} or {intent.id}
    known = {pair.name for pair in work.world.pairs}
    if intent.call == SUBMIT:
        batch = work.sql.execute(_BATCH, {"id_": intent.id}).first()
        return {intent.id} if batch is not None and batch.pair not in known else set()
    links = {key: link for key in _keys(intent) if (link := work.tx.link(int(key))) is not None}
    return {key for key, link in links.items() if link.pair not in known or not _is_carried(work, intent, link)}


def _is_carried(work: Work, intent: IntentRow, link: LinkRow) -> bool:
    """Whether a link's pair carries what an intent writes; what is out, or goes beside the fields, is not asked."""
    if intent.sent_values is not None or intent.call in BESIDE | {ERASED}:
        return True
    pair = work.world.pair(link.pair)
    return pair.flows_to(Kind(link.kind), pair.end_of(intent.connection))


def rest(work: Work, intent: IntentRow) -> None:
    """Leave an intent alone until its pair is there, and carries it."""
    intent.state = RESTING
    save_intent(work, intent)


_BATCH = sa.select(schema.batches.c.pair, schema.batches.c.state).where(schema.batches.c.id == sa.bindparam("id_"))


def _keys(intent: IntentRow) -> Iterable[str]:
    return [key for key in intent.wants if key != ROWS]


def _take_up(work: Work, intent: IntentRow) -> None:
    batch = work.sql.execute(_BATCH, {"id_": intent.id}).first() if intent.call == SUBMIT else None
    is_out = intent.sent_values is not None if batch is None else batch.state != "collecting"
    intent.state, intent.due = "unknown" if is_out else "open", work.tx.now
    save_intent(work, intent)


def _forget(work: Work, intent: IntentRow, others: set[str]) -> None:
    if intent.call == CREATE:
        drop_creation(work, intent)
        return
    for key in others if intent.call in ERRANDS else ():
        _unsettle(work, {intent.connection: intent.ref, intent.source: next(iter(intent.wants[key].values()))[0]})
    intent.wants = {key: part for key, part in intent.wants.items() if key not in others}
    if not intent.wants:
        delete_intent(work, intent)
        return
    names = {name for part in intent.wants.values() for name in part}
    save_intent(work, intent, {name: value for name, value in unsealed(work, intent).items() if name in names})


def _unsettle(work: Work, ends: Mapping[str | None, str | None]) -> None:
    """Let records be looked at anew though nothing of them changes; what is wanted beside fields unsettles none."""
    records, pages = schema.records, schema.pages
    for connection, id_ in ends.items():
        these = (records.c.connection == connection, records.c.id == id_)
        told_on = sa.select(records.c.page).where(*these)
        work.sql.execute(sa.update(records).where(*these).values(settled=None))
        same = (pages.c.connection == connection, pages.c.position.in_(told_on))
        work.sql.execute(sa.update(pages).where(*same).values(settled=None))
