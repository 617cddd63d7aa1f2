"""Résumés of one job go out together to be screened: which, when, at what cost, and what came of each.

A batch is one intent, whose id is its idempotency key: open while résumés are collected, sent, and ``accepted`` until
the service is done with it. Each résumé costs money, so an application is in one batch ever, unless a person says
otherwise; what would cost more than a day may cost waits for the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from syncd import copies, schema
from syncd.connector import Batch, BatchLimits
from syncd.creating import is_swept
from syncd.errands import stage_of
from syncd.holds import hold_record
from syncd.intents import delete_intent, save_intent
from syncd.merging import merge_link
from syncd.model import Kind
from syncd.places import FIRST
from syncd.plan import in_scope
from syncd.reconcile import End
from syncd.rows import IntentRow, RecordRow
from syncd.setup import Connection, Pair
from syncd.store import upsert
from syncd.work import SUBMIT, TOMORROW, Work, note

DAY_S = 86_400.0
FORGOTTEN_S = 6 * 3600.0  # by then a batch that was under way when the store was lost is done, and listed
AGAIN = "again"  # an item that is in no batch any more, and tells only what was spent on it
MOST = 100  # files of one batch; the service may allow fewer

_items, _batches = schema.batch_items, schema.batches


# --- collecting -----------------------------------------------------------------------------------------------------


def collect(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Put an application that reached the stage into its job's next batch; True: nothing is left to do about it."""
    if work.learning or end is not End.LEFT or row.job is None or pair.screen_at is None:
        return True
    stage = stage_of(pair.left, row)
    if (item := item_of(work, pair.name, row.id)) is not None and item.state != AGAIN:
        return _settle_item(work, pair, item, row, stage)
    if stage != pair.screen_at or not _is_wanted(work, pair, row):
        hold_record(work, pair, row, {})
        return True
    if not is_swept(work, pair.right, Kind.APPLICATION):
        work.wanted += 1
        return False
    if (known := _screened_before(work, pair, row)) is not None:
        join(work, pair, row, known, "source_id")
        return False
    _add(work, pair, row)
    return False


def _settle_item(work: Work, pair: Pair, item: Any, row: RecordRow, stage: str | None) -> bool:
    """An application that is in a batch, or was."""
    if item.state == "waiting" and stage != pair.screen_at:
        _leave(work, pair, item, row)
        return True
    if item.state in ("held", "waiting") and (known := _screened_before(work, pair, row)) is not None:
        join(work, pair, row, known, "source_id" if item.sent_at is None else "screened")  # it was, after all
        return False
    hold_record(work, pair, row, {"": (item.reason, item.detail)} if item.reason else {})
    return bool(item.state == "done")


def _is_wanted(work: Work, pair: Pair, row: RecordRow) -> bool:
    job = work.tx.record(row.connection, Kind.JOB, row.job or "")
    if job is None or job.gone or "anonymized" in (row.traits or ()):
        return False
    words = pair.left.vocabulary.words["status"]
    told = job.seen.get("status")
    return in_scope(pair, job, words.ours(told.removeprefix("=")) if told else None)


def _screened_before(work: Work, pair: Pair, row: RecordRow) -> RecordRow | None:
    """The latest item that bears this application's id: after a lost store nobody is screened, and billed, again."""
    found = work.tx.alike(pair.right.name, Kind.APPLICATION, "source_id", row.id)
    free = [one for one in found if work.tx.link_at(pair.name, Kind.APPLICATION, End.RIGHT, one.id) is None]
    return max(free, key=lambda one: (one.created_at or 0.0, one.id), default=None)


def _add(work: Work, pair: Pair, row: RecordRow) -> None:
    batch = _collecting(work, pair, str(row.job)) or _new_batch(work, pair, str(row.job), pair.collect_s)
    spent = item_of(work, pair.name, row.id)
    paid = {"credits": spent.credits, "sent_at": spent.sent_at} if spent else {}
    _put_item(work, pair.name, row.id, batch=batch, state="waiting", **paid)
    hold_record(work, pair, row, {})
    note(work, row.connection, row.kind, row.id, "to_be_screened", detail=pair.right.name)
    work.wanted += 1
    if len(items_of(work, batch)) >= MOST:
        _hasten(work, batch)


def _put_item(work: Work, pair: str, application: str, **known: Any) -> None:
    """Keep what is known of an application's screening; of its file nothing is."""
    nothing = {"name": None, "content": None, "credits": 0.0, "sent_at": None, "reason": None, "detail": ""}
    upsert(work.sql, _items, [{"pair": pair, "application": application, **nothing, **known}])


def _collecting(work: Work, pair: Pair, job: str) -> str | None:
    """The job's batch that still takes files: it never went out, and is not full."""
    where = (_batches.c.pair == pair.name, _batches.c.job == job, _batches.c.state == "collecting")
    for id_ in work.sql.execute(sa.select(_batches.c.id).where(*where).order_by(_batches.c.made_at)).scalars():
        if len(items_of(work, id_)) < MOST:
            return str(id_)
    return None


def _new_batch(work: Work, pair: Pair, job: str, wait_s: float) -> str:
    id_ = work.new_id()
    row = {"id": id_, "pair": pair.name, "job": job, "state": "collecting", "title": "", "remote": None,
           "made_at": work.tx.now, "sent_at": None}  # fmt: skip
    upsert(work.sql, _batches, [row])
    intent = IntentRow(
        id=id_, connection=pair.right.name, kind=Kind.APPLICATION.value, ref=None, call=SUBMIT, state="open", link=None,
        wants={}, sealed=None, source=pair.left.name, told_at=work.tx.now, priority=6, made_at=work.tx.now,
        due=work.tx.now + wait_s,
    )  # fmt: skip
    save_intent(work, intent, {})
    return id_


def _hasten(work: Work, batch: str) -> None:
    table = schema.intents
    work.sql.execute(sa.update(table).where(table.c.id == batch, table.c.state == "open").values(due=work.tx.now))


def _leave(work: Work, pair: Pair, item: Any, row: RecordRow) -> None:
    """An application that left the stage before its batch went out is not sent."""
    _drop_items(work, pair, [row.id])
    hold_record(work, pair, row, {})
    note(work, row.connection, row.kind, row.id, "not_to_be_screened", detail=pair.right.name)
    if not pending_of(work, item.batch):
        _end(work, item.batch, "done")


def item_of(work: Work, pair: str, application: str) -> Any:
    """What is known of an application's screening in a pair."""
    where = (_items.c.pair == pair, _items.c.application == application)
    return work.sql.execute(sa.select(_items).where(*where)).first()


def items_of(work: Work, batch: str) -> Sequence[Any]:
    """The items of a batch, by application."""
    return work.sql.execute(sa.select(_items).where(_items.c.batch == batch).order_by(_items.c.application)).all()


def pending_of(work: Work, batch: str) -> list[Any]:
    """The items of a batch that go out with it, or went: those that are held, or left out by a person, do not."""
    return [item for item in items_of(work, batch) if item.state in ("waiting", "sent")]


def end_if_empty(work: Work, batch: str) -> None:
    """Nothing is left that this batch would hold: it does not go out."""
    if not pending_of(work, batch):
        _end(work, batch, "done")


def keep_out(work: Work, pair: str, application: str) -> None:
    """An application that was screened before, of which nothing else is known any more, goes into no batch."""
    _put_item(work, pair, application, batch="", state="done")


def batch_of(work: Work, id_: str) -> Any:
    """A batch by its id here."""
    return work.sql.execute(sa.select(_batches).where(_batches.c.id == id_)).first()


def _drop_items(work: Work, pair: Pair, applications: Iterable[str]) -> None:
    """Take applications out of their batches; what was spent on one still counts towards its day."""
    where = (_items.c.pair == pair.name, _items.c.application.in_(list(applications)))
    work.sql.execute(sa.delete(_items).where(*where, _items.c.sent_at.is_(None)))
    over = {"state": AGAIN, "name": None, "content": None, "reason": None, "detail": ""}
    work.sql.execute(sa.update(_items).where(*where).values(over))


def again(work: Work, pair: Pair, application: str) -> None:
    """A person says that an application is to be screened anew (or for the first time after all)."""
    item = item_of(work, pair.name, application)
    _drop_items(work, pair, [application])
    if item is not None and item.state == "waiting" and not pending_of(work, item.batch):
        _end(work, item.batch, "done")


def leave_be(work: Work, pair: Pair, application: str) -> None:
    """A person says that an application is not to be screened: it stays known, and is left alone."""
    where = (_items.c.pair == pair.name, _items.c.application == application)
    work.sql.execute(sa.update(_items).where(*where).values(state="done", reason=None, detail=""))


# --- sending --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """A batch whose turn has come: the job, and the applications whose résumés it would hold.

    ``sent``: the digests of the files as they went out before, by application; nothing: it never went out.
    """

    id: str
    pair: str
    source: str
    job: str
    applications: tuple[str, ...]
    sent: Mapping[str, str] = field(default_factory=dict)
    sent_at: float | None = None
    title: str = ""


def turn_of(work: Work, id_: str, limits: BatchLimits) -> Turn | None:
    """What a batch would hold now; what would cost more than today may cost is put off to the next day (UTC)."""
    batch = batch_of(work, id_)
    if batch is None:
        return None
    pair = work.world.pair(batch.pair)
    items = pending_of(work, id_)
    known = _known_still(work, pair, items)
    if batch.sent_at is not None and len(known) < len(items):
        fail(work, id_, "files_changed")
        return None
    if batch.sent_at is None:
        items = known
        if overflow := [item.application for item in items[limits.files :]]:
            _move(work, pair, overflow, _new_batch(work, pair, batch.job, 0.0))
        items = items[: limits.files]
        if _is_too_early(work, batch.id):
            return None
        allowed = _affordable(work, pair, limits)
        if allowed < len(items):
            _put_off(work, pair, batch, items[allowed:])
            items = items[:allowed]
    if not items:
        return None
    sent = {item.application: item.content for item in items if item.content}
    names = tuple(item.application for item in items)
    return Turn(id_, pair.name, pair.left.name, batch.job, names, sent, batch.sent_at, batch.title)


def _known_still(work: Work, pair: Pair, items: list[Any]) -> list[Any]:
    """The items whose application is known; nobody's file goes out of whom nothing else is kept."""
    known = [item for item in items if work.tx.record(pair.left.name, Kind.APPLICATION, item.application)]
    _drop_items(work, pair, [item.application for item in items if item not in known])
    return known


def _is_too_early(work: Work, id_: str) -> bool:
    """Whether batches that nobody remembers may be under way, after the store was lost; then it waits for them."""
    until = copies.doubted_at(work.sql) + FORGOTTEN_S
    if work.tx.now >= until:
        return False
    table = schema.intents
    work.sql.execute(sa.update(table).where(table.c.id == id_).values(due=until, reason=TOMORROW))
    return True


def _affordable(work: Work, pair: Pair, limits: BatchLimits) -> int:
    """How many files may still be paid for today."""
    if pair.credits_a_day is None:
        return MOST
    today = work.tx.now - work.tx.now % DAY_S
    if copies.doubted_at(work.sql) >= today:
        return 0  # what was spent today is not known any more
    where = (_items.c.pair == pair.name, _items.c.sent_at >= today)
    spent = work.sql.execute(sa.select(sa.func.sum(_items.c.credits)).where(*where)).scalar() or 0.0
    return max(0, int((pair.credits_a_day - spent) / limits.credits))


def _put_off(work: Work, pair: Pair, batch: Any, items: Sequence[Any]) -> None:
    """These wait for tomorrow's credits, visibly; the batch itself, if none of it can go out today."""
    tomorrow = work.tx.now - work.tx.now % DAY_S + DAY_S
    if len(items) == len(items_of(work, batch.id)):
        later = batch.id
    else:
        later = _new_batch(work, pair, batch.job, 0.0)
        _move(work, pair, [item.application for item in items], later)
    table = schema.intents
    waits = {"due": tomorrow, "state": "open", "reason": TOMORROW}
    work.sql.execute(sa.update(table).where(table.c.id == later).values(waits))
    for item in items:
        _hold(work, pair, item.application, TOMORROW, str(pair.credits_a_day), state="waiting")


def _move(work: Work, pair: Pair, applications: Sequence[str], batch: str) -> None:
    where = (_items.c.pair == pair.name, _items.c.application.in_(applications))
    work.sql.execute(sa.update(_items).where(*where).values(batch=batch, state="waiting", content=None, name=None))


def _hold(work: Work, pair: Pair, application: str, reason: str, detail: str, *, state: str = "held") -> None:
    where = (_items.c.pair == pair.name, _items.c.application == application)
    work.sql.execute(sa.update(_items).where(*where).values(state=state, reason=reason, detail=detail[:200]))
    row = work.tx.record(pair.left.name, Kind.APPLICATION, application)
    if row is not None:
        hold_record(work, pair, row, {"": (reason, detail[:200])})


def refuse(work: Work, turn: Turn, reasons: Mapping[str, tuple[str, str]]) -> bool:
    """Hold these applications (application -> reason, detail), and take them out; whether any are left."""
    pair = work.world.pair(turn.pair)
    for application, (reason, detail) in sorted(reasons.items()):
        _hold(work, pair, application, reason, detail)
    if set(reasons) < set(turn.applications):
        return True
    _end(work, turn.id, "failed")
    return False


def split(work: Work, turn: Turn, applications: Sequence[str]) -> None:
    """These do not fit into the batch any more: they go out in one of their own, at once."""
    pair = work.world.pair(turn.pair)
    _move(work, pair, applications, _new_batch(work, pair, turn.job, 0.0))


def renew(work: Work, turn: Turn) -> None:
    """A batch that was refused whole, without what was refused of it, is another batch: it needs another key."""
    _unpaid(work, turn.id)
    rest = [item.application for item in items_of(work, turn.id) if item.state != "held"]
    if rest:
        split(work, turn, rest)
    _end(work, turn.id, "failed")


def _unpaid(work: Work, id_: str) -> None:
    """A batch that was refused whole cost nothing."""
    work.sql.execute(sa.update(_items).where(_items.c.batch == id_).values(credits=0.0, sent_at=None))


def refused_whole(work: Work, id_: str, reason: str, detail: str) -> None:
    """The service took none of a batch: its applications are held, and nothing was spent."""
    _unpaid(work, id_)
    fail(work, id_, reason, detail)


@dataclass(frozen=True, slots=True)
class Sending:
    """One file of a batch as it goes out: its name there, and its digest."""

    application: str
    name: str
    content: str


def send(work: Work, turn: Turn, title: str, files: Sequence[Sending], credits_each: float) -> bool:
    """The transaction after which a batch goes out: each file's digest, and what it costs."""
    intent = _intent(work, turn.id)
    if intent is None or intent.state != "open":
        return False
    pair = work.world.pair(turn.pair)
    if {one.application for one in files} - {item.application for item in pending_of(work, turn.id)}:
        return False  # somebody was taken out while the files were read
    first = turn.sent_at is None
    for one in files:
        where = (_items.c.pair == pair.name, _items.c.application == one.application)
        values: dict[str, Any] = {
            "state": "sent",
            "name": one.name,
            "content": one.content,
            "reason": None,
            "detail": "",
        }
        if first:
            values |= {"credits": _spent_today(work, pair, one.application) + credits_each, "sent_at": work.tx.now}
        work.sql.execute(sa.update(_items).where(*where).values(values))
        note(work, pair.left.name, Kind.APPLICATION.value, one.application, "sent", detail=SUBMIT)
        row = work.tx.record(pair.left.name, Kind.APPLICATION, one.application)
        if row is not None:
            hold_record(work, pair, row, {})
    sent_at = work.tx.now if first else turn.sent_at
    work.sql.execute(
        sa.update(_batches).where(_batches.c.id == turn.id).values(state="sent", sent_at=sent_at, title=title)
    )
    intent.state, intent.sent_at, intent.looks, intent.tries = "sent", work.tx.now, 0, intent.tries + 1
    intent.reason = None
    save_intent(work, intent)
    return True


def _spent_today(work: Work, pair: Pair, application: str) -> float:
    """What was spent on an application today already, in a batch that came to nothing."""
    item = item_of(work, pair.name, application)
    return (
        float(item.credits) if item.sent_at is not None and item.sent_at >= work.tx.now - work.tx.now % DAY_S else 0.0
    )


def _intent(work: Work, id_: str) -> IntentRow | None:
    found = work.sql.execute(sa.select(schema.intents).where(schema.intents.c.id == id_)).mappings().one_or_none()
    return IntentRow(**found) if found else None


# --- afterwards -----------------------------------------------------------------------------------------------------


def accepted(work: Work, id_: str, batch: Batch, wait_s: float) -> None:
    """The service has taken a batch: ask again until it is done."""
    intent = _intent(work, id_)
    if intent is None:
        return
    work.sql.execute(sa.update(_batches).where(_batches.c.id == id_).values(state="processing", remote=batch.id))
    intent.state, intent.due, intent.looks = "accepted", work.tx.now + wait_s, intent.looks + 1
    save_intent(work, intent)


def remote_of(work: Work, id_: str) -> str | None:
    """A batch's id at the service."""
    remote: str | None = work.sql.execute(sa.select(_batches.c.remote).where(_batches.c.id == id_)).scalar()
    return remote


def turn_as_sent(work: Work, id_: str) -> Turn | None:
    """A batch as it went out, to be looked up."""
    batch = batch_of(work, id_)
    if batch is None:
        return None
    items = items_of(work, id_)
    pair = work.world.pair(batch.pair)
    sent = {item.application: item.content for item in items if item.content}
    names = tuple(item.application for item in items)
    return Turn(id_, pair.name, pair.left.name, batch.job, names, sent, batch.sent_at, batch.title)


def join(work: Work, pair: Pair, row: RecordRow, there: RecordRow, how: str) -> None:
    """Link an application with what was born of its résumé; the first status there is a base, not a change.

    If the application was moved on meanwhile, whatever is no status to be born with was said there by somebody.
    """
    is_linked = work.tx.link_at(pair.name, Kind.APPLICATION, End.LEFT, row.id) is not None
    if is_linked:
        _done(work, pair, row)  # by a person's hand
    if is_linked or work.tx.link_at(pair.name, Kind.APPLICATION, End.RIGHT, there.id) is not None:
        return
    link = work.tx.new_link(pair.name, Kind.APPLICATION, how, row.id, there.id)
    link.left_base = {"stage": _sent_at(pair, row, how)} if "stage" in row.seen else {}
    link.right_base = {"stage": there.seen["stage"]} if "stage" in there.seen else {}
    born = pair.right.vocabulary.words["stage"].theirs(FIRST)
    if born and link.left_base.get("stage") != row.seen.get("stage") and stage_of(pair.right, there) != FIRST:
        link.right_base = {"stage": f"={born[0]}"}
    work.tx.put_link(link)
    _done(work, pair, row)
    note(work, row.connection, row.kind, row.id, "linked", link=link.id, detail=how)
    merge_link(work, pair, link)


def _sent_at(pair: Pair, row: RecordRow, how: str) -> str:
    """The stage at which a résumé went out: who was moved on since, or rejected, is told of once there is whom."""
    words = pair.left.vocabulary.words["stage"].theirs(pair.screen_at or "")
    has_moved = how == "screened" and bool(words) and stage_of(pair.left, row) != pair.screen_at
    return f"={words[0]}" if has_moved else row.seen["stage"]


def _done(work: Work, pair: Pair, row: RecordRow) -> None:
    where = (_items.c.pair == pair.name, _items.c.application == row.id)
    work.sql.execute(sa.update(_items).where(*where).values(state="done", reason=None, detail=""))
    hold_record(work, pair, row, {})


def finish(work: Work, id_: str) -> None:
    """All results are in; an application without one is held."""
    batch = batch_of(work, id_)
    if batch is None:
        return
    for item in items_of(work, id_):
        if item.state in ("waiting", "sent"):
            _hold(work, work.world.pair(batch.pair), item.application, "no_result", "")
    _end(work, id_, "done")


def fail(work: Work, id_: str, reason: str, detail: str = "") -> None:
    """Nothing came, or can come, of a batch: its applications are held."""
    batch = batch_of(work, id_)
    if batch is None:
        return
    for item in items_of(work, id_):
        if item.state in ("waiting", "sent"):
            _hold(work, work.world.pair(batch.pair), item.application, reason, detail)
    _end(work, id_, "failed")


def _end(work: Work, id_: str, state: str) -> None:
    work.sql.execute(sa.update(_batches).where(_batches.c.id == id_).values(state=state))
    intent = _intent(work, id_)
    if intent is not None:
        delete_intent(work, intent)


def told(work: Work, remotes: Iterable[str]) -> None:
    """A webhook says that batches are done: they are asked for at once."""
    ids = sa.select(_batches.c.id).where(_batches.c.remote.in_(list(remotes)))
    table = schema.intents
    where = (table.c.id.in_(ids), table.c.state == "accepted")
    work.sql.execute(sa.update(table).where(*where).values(due=work.tx.now, origin=work.origin))


def batch_at(work: Work, connection: Connection, item: str) -> str | None:
    """The service's id of the batch of which an item was born."""
    for pair in work.world.pairs_of(connection.name, Kind.APPLICATION):
        link = work.tx.link_at(pair.name, Kind.APPLICATION, End.RIGHT, item) if pair.right is connection else None
        known = item_of(work, pair.name, link.left) if link is not None and link.left is not None else None
        if known is not None:
            return remote_of(work, known.batch)
    return None


def unsent(work: Work, id_: str) -> None:
    """A file was changed while it was being sent: the request never ended, so nothing was made; it is begun anew."""
    intent = _intent(work, id_)
    if intent is None:
        return
    work.sql.execute(sa.update(_batches).where(_batches.c.id == id_).values(state="collecting", sent_at=None))
    where = _items.c.batch == id_
    work.sql.execute(sa.update(_items).where(where).values(state="waiting", content=None, credits=0.0, sent_at=None))
    intent.state, intent.due = "open", work.tx.now + 5.0
    save_intent(work, intent)
