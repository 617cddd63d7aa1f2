"""Puts in order what an audit has found: rows of the store, and marks to read again. No system is written to.

What is unlike at two ends is decided by the ordinary merge when its records have been read again; here only what stands
in that merge's way is taken away. Each finding is looked at as it is now, for the daemon may have been faster.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from syncd import findings, schema
from syncd.erasing import erase, gather
from syncd.errands import forget_link
from syncd.findings import Finding
from syncd.holds import sync_holds
from syncd.intents import delete_intent, drop_creation, hold_intent, save_intent
from syncd.limits import Priority
from syncd.model import Kind
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow
from syncd.settle import settle
from syncd.setup import Pair
from syncd.work import CREATE, SUBMIT, Work, mark, mark_speakers, note

WHY = "audit"  # of marks, and the word of the journal's lines


def mend(work: Work, found: Sequence[Finding]) -> dict[str, int]:
    """Mend what can be mended; how many of each."""
    done: Counter[str] = Counter()
    for one in found:
        act = _ACTS.get(one.what)
        if act is not None and act(work, one):
            done[one.what] += 1
    return dict(done)


# --- reading again --------------------------------------------------------------------------------------------------


def _read_again(work: Work, one: Finding) -> bool:
    for name, id_ in one.refs:
        _mark(work, name, Kind(one.kind), id_)
    return bool(one.refs)


def _mark(work: Work, name: str, kind: Kind, id_: str) -> None:
    """Let a record be read again by id; it is settled anew then, so its links are merged."""
    connection = work.world.connections.get(name)
    if connection is None:
        return
    row = work.tx.record(name, kind, id_)
    if row is None:
        mark(work, name, kind, id_, WHY, Priority.READ)
        return
    row.settled = None
    work.tx.put_record(row)
    mark_speakers(work, connection, row, WHY, Priority.READ)


def _forget_base(work: Work, one: Finding) -> bool:
    """What the ends agreed on last is forgotten for one field: the pair's rule decides, as at first sight."""
    link = work.tx.link(one.link or 0)
    if link is None:
        return False
    for end in End:
        base: dict[str, str] = getattr(link, f"{end}_base")
        base.pop(one.field, None)
    work.tx.put_link(link)
    note(work, one.refs[0][0], one.kind, one.refs[0][1], WHY, link=link.id, fields=[one.field], detail=one.what)
    return _read_again(work, one)


def _keep_bases(work: Work, one: Finding) -> bool:
    """Bases that are none are written down as empty ones."""
    link = work.tx.link(one.link or 0)
    if link is not None:
        work.tx.put_link(link)
    return _read_again(work, one)


# --- links ----------------------------------------------------------------------------------------------------------


def _relink(work: Work, one: Finding) -> bool:
    """A link that names an unknown record is dropped where its known end has a likeness, else a person is asked."""
    link = work.tx.link(one.link or 0)
    if link is None:
        return False
    pair, kind = work.world.pair(link.pair), Kind(link.kind)
    rows = {end: work.tx.record(pair.at(end).name, kind, getattr(link, end) or "") for end in End}
    known = [end for end in End if rows[end] is not None]
    if len(known) == 2:
        return False
    if not known or not (has_likeness := _has_likeness(work, pair, link, known[0])):
        if known:
            sync_holds(work, pair, link, {"": ("vanished", known[0].other.value)}, {})
        else:
            _drop(work, pair, link)
        return True
    assert has_likeness
    _drop(work, pair, link)
    _mark(work, pair.at(known[0]).name, kind, getattr(link, known[0]))
    return True


def _has_likeness(work: Work, pair: Pair, link: LinkRow, end: End) -> bool:
    """Whether the known end of a link would be linked with another record, were the link not there."""
    kind, id_ = Kind(link.kind), getattr(link, end)
    point = work.sql.begin_nested()
    trial = Work(type(work.tx)(work.sql, work.tx.now), work.world, work.new_id, learning=True)
    own = trial.tx.link(link.id)
    if own is not None:
        trial.tx.drop_link(own)
    settle(trial, pair.at(end).name, kind, id_)
    made = trial.tx.link_at(pair.name, kind, end, id_)
    point.rollback()
    return made is not None


def _drop(work: Work, pair: Pair, link: LinkRow) -> None:
    """Forget a link and all that was to be done about it."""
    forget_link(work, [link])
    refs = [(pair.at(end).name, id_) for end in End if (id_ := getattr(link, end)) is not None]
    for name, id_ in refs[:1]:
        note(work, name, link.kind, id_, WHY, link=link.id, detail="cut")
    work.tx.drop_link(link)


def _drop_half(work: Work, one: Finding) -> bool:
    link = work.tx.link(one.link or 0)
    if link is None or (link.left is not None and link.right is not None):
        return False
    _drop(work, work.world.pair(link.pair), link)
    return _read_again(work, one) or True


def _match_parent(work: Work, one: Finding) -> bool:
    """A child and its parent are read again: the parent is matched, and what hangs on it is settled."""
    pair, (kind, parent) = work.world.pair(one.pair), one.key
    _mark(work, pair.left.name, Kind(kind), parent)
    return _read_again(work, one)


# --- writes and questions -------------------------------------------------------------------------------------------


def _intent(work: Work, id_: str) -> IntentRow | None:
    found = work.sql.execute(sa.select(schema.intents).where(schema.intents.c.id == id_)).mappings().one_or_none()
    return IntentRow(**found) if found is not None else None


def _forget_intent(work: Work, one: Finding) -> bool:
    intent = _intent(work, one.key)
    if intent is None:
        return False
    delete_intent(work, intent)
    note(work, intent.connection, intent.kind, intent.ref or "", WHY, detail="forgotten")
    return _read_again(work, one) or True


def _wake_intent(work: Work, one: Finding) -> bool:
    """What may be out is looked up; what is not is tried."""
    intent = _intent(work, one.key)
    if intent is None:
        return False
    is_out = intent.sent_values is not None or intent.state in ("sent", "unknown") or _is_batch_out(work, intent)
    if intent.state != "accepted":
        intent.state = "unknown" if is_out else "open"
    intent.due = work.tx.now
    save_intent(work, intent)
    return True


def _is_batch_out(work: Work, intent: IntentRow) -> bool:
    table = schema.batches.c
    state = work.sql.execute(sa.select(table.state).where(table.id == intent.id)).scalar()
    return intent.call == SUBMIT and state != "collecting"


def _show(work: Work, one: Finding) -> bool:
    intent = _intent(work, one.key)
    if intent is None:
        return False
    hold_intent(work, intent, intent.reason or "unknown_outcome")
    return True


def _wipe(work: Work, one: Finding) -> bool:
    """What is over keeps no sealed values: an intent goes altogether, a command's arguments are struck out."""
    if isinstance(one.key, int):
        runs = schema.runs
        work.sql.execute(sa.update(runs).where(runs.c.id == one.key).values(arguments={}))
        return True
    intent = _intent(work, one.key)
    if intent is not None and intent.call == CREATE:
        drop_creation(work, intent)
    elif intent is not None:
        delete_intent(work, intent)
    return intent is not None


def _close_hold(work: Work, one: Finding) -> bool:
    return _delete(work, schema.holds, schema.holds.c.id == one.key)


def _look_batch_up(work: Work, one: Finding) -> bool:
    """A batch gets its intent back: one that never went out is sent when it is due, any other is looked up."""
    pair = work.world.pair(one.pair)
    table = schema.batches.c
    state = work.sql.execute(sa.select(table.state).where(table.id == one.key)).scalar()
    stands = {"collecting": "open", "sent": "unknown"}.get(str(state), "accepted")
    intent = IntentRow(
        id=one.key, connection=pair.right.name, kind=Kind.APPLICATION.value, ref=None, call=SUBMIT, state=stands,
        link=None, wants={}, sealed=None, source=pair.left.name, told_at=work.tx.now, priority=6, made_at=work.tx.now,
        due=work.tx.now,
    )  # fmt: skip
    save_intent(work, intent, {})
    return True


# --- lists and rows -------------------------------------------------------------------------------------------------


def _sweep(work: Work, one: Finding) -> bool:
    """A list whose times cannot be is read whole, at once."""
    name, walk = one.key
    table = schema.cursors.c
    fresh = {
        "mode": "idle", "token": None, "since": None, "started_at": None, "high": None, "first_served_at": None,
        "cursor": None, "polled_at": None, "swept_at": None, "poll_due": 0.0, "sweep_due": 0.0, "error": None,
    }  # fmt: skip
    where = (table.connection == name, table.walk == walk)
    work.woken.add(name)
    return work.sql.execute(sa.update(schema.cursors).where(*where).values(fresh)).rowcount > 0


def _forget_cursor(work: Work, one: Finding) -> bool:
    name, walk = one.key
    table = schema.cursors.c
    return _delete(work, schema.cursors, table.connection == name, table.walk == walk)


def _unmark(work: Work, one: Finding) -> bool:
    name, kind, ref = one.key
    table = schema.marks.c
    return _delete(work, schema.marks, table.connection == name, table.kind == kind, table.ref == ref)


def _erase(work: Work, one: Finding) -> bool:
    ((name, id_),) = one.refs
    erase(work, gather(work, [(name, Kind(one.kind), id_)]), one.key)
    return True


def _delete(work: Work, table: sa.Table, *where: sa.ColumnElement[bool]) -> bool:
    return work.sql.execute(sa.delete(table).where(*where)).rowcount > 0


_ACTS: Mapping[str, Callable[[Work, Finding], bool]] = {
    findings.UNLIKE: _read_again,
    findings.UNLINKED: _read_again,
    findings.VANISHED: _read_again,
    findings.NO_BASE: _keep_bases,
    findings.DRIFT: _forget_base,
    findings.ORPHAN: _relink,
    findings.LONE_LINK: _drop_half,
    findings.LONE_CHILD: _match_parent,
    findings.LONE_INTENT: _forget_intent,
    findings.STUCK: _wake_intent,
    findings.ODD_INTENT: _wake_intent,
    findings.UNWIPED: _wipe,
    findings.UNSEEN: _show,
    findings.LONE_HOLD: _close_hold,
    findings.LONE_BATCH: _look_batch_up,
    findings.LONE_MEMBER: _read_again,
    findings.ERASED: _erase,
    findings.CURSOR: _sweep,
    findings.FOREIGN_CURSOR: _forget_cursor,
    findings.FOREIGN_MARK: _unmark,
}
