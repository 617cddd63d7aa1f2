"""Intents become calls, one at a time, and what the systems answer becomes the bases.

One intent is one non-GET call. It is durable before any byte leaves, it is sent once per claim, and afterwards its
outcome is one of three: did, did not, unknown; an unknown one is looked up and never blindly repeated. An update reads
its target first with both calls reserved in the budget together, so that no wait comes between reading and writing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import tenacity

from syncd import people, pull, schema, tombstones
from syncd.bases import forget_bases, sent_digest, sent_values, took_effect
from syncd.connector import Connector, Finds, Pipelines
from syncd.creating import may_create
from syncd.drafts import create_link, draft_of, in_their_words, parents_of
from syncd.erasing import draft_in
from syncd.errors import (
    AuthFailed,
    Gone,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Stale,
    SyncdError,
    Taken,
    Unavailable,
)
from syncd.holds import hold_record
from syncd.intents import delete_intent, hold_intent, save_intent, unsealed
from syncd.limits import Priority
from syncd.mapping import EMPTY, PARTS, WORDED, bears_part, clean, digest_value
from syncd.model import Draft, Fields, Kind, Record, Ref
from syncd.reconcile import End
from syncd.resting import rest, strangers
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.settle import settle, settle_children
from syncd.setup import Connection
from syncd.store import upsert
from syncd.switches import stopped_scopes
from syncd.work import CREATE, ERASED, IN_FLIGHT, ROWS, SUBMIT, UNREAD, Work, mark, note

IsBehind = Callable[[Work, Connection, Kind], bool]

CALL_TIMEOUT_S = 60.0  # how long one of our calls may be under way before its answer can no longer come
LOOKS = 2  # look-ups without a trace before a create counts as not done
UNASKED = "?"  # no word was looked up for a stage
PATIENCE = 4  # look-ups of an update that does not show before a person is asked

_DELAYS = tenacity.wait_exponential(multiplier=2.0, min=2.0, max=600.0)


def delay_s(tries: int, spread: float) -> float:
    """Seconds until the next try: exponential, with a spread in [0, 1) so that many do not come at once."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = max(1, tries)
    return float(_DELAYS(state)) * (0.5 + spread)


@dataclass(frozen=True)
class Order:
    """What is to be sent, as decided within the transaction that made the intent ``sent``."""

    intent: str
    kind: Kind
    draft: Draft | None = None
    record: Record | None = None
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """An intent whose turn has come, with what must be known before the transaction that sends it."""

    id: str
    kind: Kind
    ref: Ref | None
    call: str
    stage: str | None  # our word that is to be written
    job: str | None  # whose pipeline has the words
    looks_first: bool
    origin: str | None = None  # the webhook that it goes back to


# --- claiming -------------------------------------------------------------------------------------------------------


def load(work: Work, id_: str) -> IntentRow | None:
    """An intent as it stands; what follows in this transaction goes back to what the intent goes back to."""
    found = work.sql.execute(_INTENT, {"id_": id_}).mappings().one_or_none()
    if found is None:
        return None
    work.origin = found["origin"]
    return IntentRow(**found)


_INTENT = sa.select(schema.intents).where(schema.intents.c.id == sa.bindparam("id_"))


def claim(work: Work, id_: str, read_within_s: float, is_behind: IsBehind) -> Claim | None:
    """Take an open intent up, if its target is free and its source was told recently; else put it off.

    ``is_behind``: whether the lists that tell a kind should have been read since. What is to be created where they
    were not may stand there by now, entered by somebody; it waits until they are read.
    """
    intent = load(work, id_)
    if intent is None or intent.state != "open" or intent.due > work.tx.now:
        return None
    if strangers(work, intent):
        rest(work, intent)
        return None
    kind, connection = Kind(intent.kind), work.world.connections[intent.connection]
    busy = (intent.ref is not None and _is_busy(work, intent)) or _is_stopped(work, intent)
    if not busy and intent.call == CREATE and is_behind(work, connection, kind):
        _put_off_creates(work, intent)
        return None
    if busy or not _is_fresh(work, intent, read_within_s):
        intent.due = work.tx.now + (5.0 if busy else 20.0)
        save_intent(work, intent)
        return None
    values = unsealed(work, intent)
    fields_ = values.get("fields", {}) if intent.call == CREATE else values
    ref = Ref(kind, intent.ref) if intent.ref else None
    job = _job_at_target(work, intent)
    exact = connection.terms[kind].facts.exact
    looks_first = exact and intent.call == CREATE
    return Claim(intent.id, kind, ref, intent.call, fields_.get("stage"), job, looks_first, intent.origin)


def _put_off_creates(work: Work, intent: IntentRow) -> None:
    """All creates that wait for the same list wait as one; its end lets them go (``pull.end_walk``)."""
    table = schema.intents
    same = (table.c.connection == intent.connection, table.c.kind == intent.kind, table.c.call == CREATE)
    due = (table.c.state == "open", table.c.due <= work.tx.now)
    work.sql.execute(sa.update(table).where(*same, *due).values(due=work.tx.now + 20.0, reason=UNREAD))


def _is_stopped(work: Work, intent: IntentRow) -> bool:
    """Whether a pair that wants this write is stopped."""
    links = [work.tx.link(int(key)) for key in intent.wants if key != ROWS]
    pairs = [link.pair for link in links if link is not None]
    if intent.call == SUBMIT:
        pairs += work.sql.execute(sa.select(schema.batches.c.pair).where(schema.batches.c.id == intent.id)).scalars()
    return not stopped_scopes(work.sql).isdisjoint(f"pair/{pair}" for pair in pairs)


def _is_busy(work: Work, intent: IntentRow) -> bool:
    table = schema.intents.c
    where = (table.connection == intent.connection, table.kind == intent.kind, table.ref == intent.ref)
    return work.sql.execute(sa.select(table.id).where(*where, table.state.in_(IN_FLIGHT))).first() is not None


def _sources(work: Work, intent: IntentRow) -> list[RecordRow]:
    """The records whose values an intent bears."""
    found = []
    for key in intent.wants:
        link = work.tx.link(int(key)) if key != ROWS else None
        if link is None:
            continue
        pair = work.world.pair(link.pair)
        end = pair.end_of(intent.connection).other
        row = work.tx.record(pair.at(end).name, Kind(link.kind), getattr(link, end) or "")
        found += [row] if row is not None else []
    return found


def _is_fresh(work: Work, intent: IntentRow, read_within_s: float) -> bool:
    """Whether each source was told recently, by itself or by a proven walk without it; one that was not is marked."""
    fresh = True
    for source in _sources(work, intent):
        connection = work.world.connections[source.connection]
        limit = work.tx.now - max(2 * connection.poll_s, read_within_s)
        if max(source.told_at, _polled_at(work, connection, Kind(source.kind))) >= limit:
            continue
        fresh = False
        for ref in sorted(set((source.speakers or {}).values()) or {source.id}):
            mark(work, source.connection, Kind(source.kind), ref, "before_write", Priority.WRITE)
    return fresh


def _polled_at(work: Work, connection: Connection, kind: Kind) -> float:
    walk = connection.walk_of(kind)
    if walk is None:
        return 0.0
    return work.sql.execute(_POLLED_AT, {"of": connection.name, "list": walk.name}).scalar() or 0.0


_POLLED_AT = sa.select(schema.cursors.c.polled_at).where(
    schema.cursors.c.connection == sa.bindparam("of"), schema.cursors.c.walk == sa.bindparam("list")
)


def _job_at_target(work: Work, intent: IntentRow) -> str | None:
    """The job in whose pipeline an application's stage is written."""
    if intent.kind != Kind.APPLICATION.value:
        return None
    if intent.ref is not None:
        row = work.tx.record(intent.connection, Kind.APPLICATION, intent.ref)
        return row.job if row else None
    parents = parents_of(work, intent)
    return parents[Kind.JOB].id if parents and Kind.JOB in parents else None


# --- creating -------------------------------------------------------------------------------------------------------


def send_create(work: Work, id_: str, word: str | None, *, stage: str | None = UNASKED) -> Order | None:
    """Make a create intent ``sent``: the transaction after which it goes out (``stage``: see ``_has_moved_on``)."""
    intent = load(work, id_)
    if intent is None or intent.state != "open":
        return None
    values = unsealed(work, intent)
    if _has_moved_on(values.get("fields", {}), stage):
        return None
    draft = draft_of(work, intent, word, values)
    if draft is None or _is_outdated(work, intent, values) or not _is_in_scope(work, intent):
        drop_create(work, intent)
        return None
    _remember_defaults(work, intent, values)
    mark_sent(work, intent, {**values, "word": word})
    return Order(intent.id, draft.kind, draft=draft)


def _is_outdated(work: Work, intent: IntentRow, values: dict[str, Any]) -> bool:
    """Whether the person that a create bears was told otherwise since it was planned."""
    link = create_link(work, intent)
    borne = {n: v for n, v in values.get("person", {}).items() if n not in values.get("defaulted", ())}
    if link is None or not borne:
        return False
    pair = work.world.pair(link.pair)
    end = pair.end_of(intent.connection).other
    source = work.tx.record(pair.at(end).name, Kind.APPLICATION, getattr(link, end) or "")
    person = work.tx.record(pair.at(end).name, Kind.CANDIDATE, source.candidate or "") if source else None
    told = person.seen if person else {}
    return any(name in told and digest_value(name, v, work.world.digest) != told[name] for name, v in borne.items())


def _is_in_scope(work: Work, intent: IntentRow) -> bool:
    """Whether what a create stands for may still be made: the config, or its job, may have changed since."""
    link = create_link(work, intent)
    if link is None:
        return False
    pair = work.world.pair(link.pair)
    end = pair.end_of(intent.connection).other
    source = work.tx.record(pair.at(end).name, Kind(link.kind), getattr(link, end) or "")
    return source is not None and may_create(work, pair, end, source)


def drop_create(work: Work, intent: IntentRow) -> None:
    """What was to be created cannot be (its parent is gone) or may not: forget intent and link, read the source."""
    links = [work.tx.link(int(key)) for key in intent.wants]
    work.sql.execute(sa.delete(schema.intents).where(schema.intents.c.id == intent.id))
    for link in links:
        if link is not None and (link.left is None or link.right is None):
            pair = work.world.pair(link.pair)
            end = End.LEFT if link.left is not None else End.RIGHT
            ref = getattr(link, end)
            work.tx.drop_link(link)
            mark(work, pair.at(end).name, Kind(link.kind), ref, "dropped", Priority.READ)


def _remember_defaults(work: Work, intent: IntentRow, values: dict[str, Any]) -> None:
    """Digests of every default ever sent, so that it never reads as a value."""
    sent = {**values.get("person", {}), **values.get("fields", {})}
    rows = [
        {"connection": intent.connection, "field": name, "digest": digest_value(name, sent[name], work.world.digest)}
        for name in values.get("defaulted", ())
    ]
    upsert(work.sql, schema.defaults, rows)


def mark_sent(work: Work, intent: IntentRow, values: dict[str, Any]) -> None:
    """From now on a call may be out; ``values``: what must be known of it to look it up."""
    intent.state, intent.reason, intent.sent_at, intent.looks = "sent", None, work.tx.now, 0
    intent.tries += 1
    intent.sent_values = work.world.seal(values, f"{intent.id}/sent")
    save_intent(work, intent)
    names = sorted({name for part in intent.wants.values() for name in part})
    note(work, intent.connection, intent.kind, intent.ref or "", "sent", link=intent.link, fields=names,
         detail=intent.call)  # fmt: skip


def adopt(work: Work, id_: str, records: tuple[Record, ...], *, ours: bool) -> None:
    """A create is known to have taken effect (``ours``), or its likeness was found: fill the link's empty end.

    What the create bore gets bases; what it could not bear has none and is planned as an update at once.
    """
    intent = load(work, id_)
    link = create_link(work, intent) if intent else None
    if intent is not None and intent.call == ERASED:
        tombstones.was_made(work, intent, records)
        return
    if intent is None or link is None:
        return
    connection = work.world.connections[intent.connection]
    touched = pull.absorb(work, connection, records, pull.GET)
    born = {record.ref.kind: record for record in reversed(records)}
    values = sent_values(work, intent) if ours else {}
    done = []
    for key, part in sorted(intent.wants.items(), key=lambda item: int(item[0])):
        own = work.tx.link(int(key))
        record = born.get(Kind(own.kind)) if own else None
        if own is None or record is None:
            continue
        if _fill(work, intent, own, record, part, values):
            done.append(own)
    if not any(own.id == link.id for own in done):
        hold_intent(work, intent, "duplicate", "its likeness is linked to another record")
        return
    delete_intent(work, intent)
    for own in done:
        settle_children(work, work.world.pair(own.pair), own)
    pull.settle_all(work, connection, dict.fromkeys(touched, True))


def _fill(
    work: Work, intent: IntentRow, link: LinkRow, record: Record, part: dict[str, list[str]], values: dict[str, Any]
) -> bool:
    pair = work.world.pair(link.pair)
    end, connection = pair.end_of(intent.connection), work.world.connections[intent.connection]
    kind = Kind(link.kind)
    id_ = record.ref.id
    if connection.is_rows(kind):
        id_ = people.person_of(work, connection, id_) or id_
    present = work.tx.link_at(pair.name, kind, end, id_)
    if present is not None and present.id != link.id:
        return False
    setattr(link, end, id_)
    row = work.tx.record(connection.name, kind, id_)
    if row is not None and values:
        took_effect(work, link, end, row, part, values)
    work.tx.put_link(link)
    if row is not None:
        hold_record(work, pair, row, {})  # a webhook may have shown it before its answer was looked up
    note(work, connection.name, kind.value, id_, "created" if values else "adopted", link=link.id, fields=sorted(part))
    return True


# --- updating -------------------------------------------------------------------------------------------------------


def _has_moved_on(values: Fields, stage: str | None) -> bool:
    """Whether another stage is wanted by now than the one for which a word was found; then the claim is over.

    Between a claim and its sending other lanes go on: the source may have been moved once more, and the intent with it.
    """
    return stage != UNASKED and values.get("stage") != stage


def send_update(
    work: Work,
    id_: str,
    records: tuple[Record, ...],
    word: str | None,
    *,
    asked_at: float,
    stage: str | None = UNASKED,
) -> Order | None:
    """Take in what the target tells now and, if the write is still wanted, make the intent ``sent``.

    Where the target tells what we replaced seconds ago, it is behind, or somebody was quick: the write waits.
    """
    intent = load(work, id_)
    if intent is None or intent.ref is None:
        return None
    connection, ref = work.world.connections[intent.connection], Ref(Kind(intent.kind), intent.ref)
    pull.absorb_answer(work, connection, ref, records, asked_at=asked_at)
    work.tx.flush()
    intent = load(work, id_)
    record = next((record for record in records if record.ref == ref), None)
    if intent is None or intent.state != "open":
        return None
    if record is None:
        delete_intent(work, intent)  # a person's row is gone: what links want is dropped for the rows that are left
        return None
    if any((connection.name, each.ref) in work.doubted for each in records):
        put_off(work, intent, max(1.0, connection.facts.visible_s))
        return None
    told = _told(work, connection, ref)
    wanted = {name for part in intent.wants.values() for name in part}
    sealed = unsealed(work, intent)
    if _has_moved_on(sealed, stage):
        return None
    values = {name: value for name, value in sealed.items() if name in wanted}
    intent.expected = {name: told.get(name, EMPTY) for name in (*values, *(PARTS if "name" in values else ()))}
    intent.expected_version = record.version
    mark_sent(work, intent, {"fields": values, "word": word, "beneath": record.beneath})
    theirs = connection.vocabulary.write(ref.kind, in_their_words(connection, values, word))
    return Order(intent.id, ref.kind, record=record, fields=theirs)


def _told(work: Work, connection: Connection, ref: Ref) -> dict[str, str]:
    """What a record (of a person: that row) told last."""
    if connection.is_rows(ref.kind):
        member = work.tx.member(connection.name, ref.id)
        return member.seen if member else {}
    row = work.tx.record(connection.name, ref.kind, ref.id)
    return row.seen if row else {}


def confirm(work: Work, id_: str, record: Record | None, *, known: bool) -> None:
    """What the system tells after an update becomes the base, field by field.

    ``known``: the write is known to have been taken. Nothing told yet, or told as before: the intent is looked at
    again later. A stage or status, and any field of an unknown outcome, that is told unlike it was sent is somebody's
    edit: the base is what was sent, and the merge does the rest.
    """
    intent = load(work, id_)
    if intent is None or intent.ref is None:
        return
    connection, ref = work.world.connections[intent.connection], Ref(Kind(intent.kind), intent.ref)
    if record is None:
        _look_again(work, intent, "accepted", connection.facts.visible_s)
        return
    touched = pull.absorb(work, connection, (record,), pull.GET)
    told, sent = _told(work, connection, ref), sent_values(work, intent)
    pending = _pending(connection, intent, told, sent)
    if _is_half_taken(connection, intent, record, told, sent):
        pending.add("name")
        _show_half(work, connection, intent, told)
    shown = {key: {n: want for n, want in part.items() if n not in pending} for key, part in intent.wants.items()}
    answered = known and intent.looks == 0
    for key, part in shown.items():
        _confirm_part(work, connection, intent, key, part, told, sent, known=answered)
    names = sorted({name for part in shown.values() for name in part})
    if names:
        _note_written(work, connection, intent, names)
    if pending:
        _keep_pending(intent, pending)
        _wait_on(work, connection, intent, record, known=known)
        return
    delete_intent(work, intent)
    note(work, connection.name, intent.kind, ref.id, "written", fields=names, detail=intent.call)
    _settle_after(work, connection, intent, touched)


def _keep_pending(intent: IntentRow, pending: set[str]) -> None:
    """What does not show yet is all that the intent still bears."""
    left = {key: {n: want for n, want in part.items() if n in pending} for key, part in intent.wants.items()}
    intent.wants = {key: part for key, part in left.items() if part}


def _settle_after(work: Work, connection: Connection, intent: IntentRow, touched: dict[tuple[str, str], bool]) -> None:
    """The other links of the record, and the sources, are merged in the same transaction: a move goes on at once."""
    pull.settle_all(work, connection, dict.fromkeys(touched, True))
    _settle_sources(work, intent)


def _settle_sources(work: Work, intent: IntentRow) -> None:
    for source in _sources(work, intent):
        settle(work, source.connection, Kind(source.kind), source.id)


def _pending(connection: Connection, intent: IntentRow, told: Fields, sent: dict[str, Any]) -> set[str]:
    """Fields that are told as they were before the write, though something else was sent.

    What is never told goes by what went out with it: as long as none of that shows, neither did it arrive.
    """
    untold = connection.terms[Kind(intent.kind)].untold
    before = intent.expected or {}
    names = {name for part in intent.wants.values() for name in part}
    changed = {
        name for name in names - untold if before.get(name, EMPTY) != _digest_sent(intent, name, sent, connection)
    }
    pending = {name for name in changed if told.get(name, EMPTY) == before.get(name, EMPTY)}
    return pending | (names & untold) if pending and pending == changed else pending


def _is_half_taken(
    connection: Connection, intent: IntentRow, record: Record, told: Fields, sent: dict[str, Any]
) -> bool:
    """Whether half of a name is told as it was before, and the name that was sent has no such half."""
    name = sent.get("fields", {}).get("name")
    before, now = intent.expected or {}, connection.vocabulary.read(record)
    return bool(name) and any(
        now.get(part) and told.get(part) == before.get(part) and not bears_part(name, part, str(now[part]))
        for part in PARTS
    )


def _show_half(work: Work, connection: Connection, intent: IntentRow, told: Fields) -> None:
    """Half of a name that we sent is nobody's edit: the merge waits for the other half, or for a person."""
    for key, part in intent.wants.items():
        link = work.tx.link(int(key)) if key != ROWS and "name" in part else None
        if link is not None:
            getattr(link, f"{work.world.pair(link.pair).end_of(connection.name)}_base")["name"] = told["name"]
            work.tx.put_link(link)


def _digest_sent(intent: IntentRow, name: str, sent: dict[str, Any], connection: Connection) -> str:
    wanted = next(part[name][0] for part in intent.wants.values() if name in part)
    return sent_digest(name, wanted, sent.get("word"), connection)


def _wait_on(work: Work, connection: Connection, intent: IntentRow, record: Record, *, known: bool) -> None:
    """What to do with a write that does not show: wait, send again where it surely did not happen, or ask a person."""
    if intent.looks < PATIENCE - 1 and (known or intent.looks < 1):
        _look_again(work, intent, "accepted" if known else "unknown", connection.facts.visible_s)
    elif known:
        _hold_update(work, intent, "not_taken")
    elif record.version is not None and record.version == intent.expected_version:
        reopen(work, intent, "did_not")
    else:
        _hold_update(work, intent, "unknown_outcome")


def _hold_update(work: Work, intent: IntentRow, reason: str, detail: str = "") -> None:
    """A write waits for a person; what waited for its outcome, as one to another row of hers, is planned now."""
    hold_intent(work, intent, reason, detail)
    _settle_sources(work, intent)


def _look_again(work: Work, intent: IntentRow, state: str, wait_s: float) -> None:
    intent.state, intent.looks, intent.due = state, intent.looks + 1, work.tx.now + max(1.0, wait_s)
    save_intent(work, intent)


def put_off(work: Work, intent: IntentRow, wait_s: float) -> None:
    """An open intent has its turn later."""
    intent.due = work.tx.now + wait_s
    save_intent(work, intent)


def reopen(work: Work, intent: IntentRow, why: str, wait_s: float = 0.0) -> None:
    """A write that did not happen is open again."""
    intent.state, intent.due, intent.sent_values = "open", work.tx.now + wait_s, None
    save_intent(work, intent)
    note(work, intent.connection, intent.kind, intent.ref or "", why, link=intent.link)


def forget_target(work: Work, intent: IntentRow) -> None:
    """What we wrote to is gone before we knew whether it took the write.

    It may be back one day. What it tells then may be our own word or somebody's, so it is no change from a base: where
    the ends are unlike, a person is asked.
    """
    for key, part in intent.wants.items():
        link = work.tx.link(int(key)) if key != ROWS else None
        if link is not None:
            for name in part:
                forget_bases(work, link, name)
    reopen(work, intent, "target_gone")


def _confirm_part(
    work: Work,
    connection: Connection,
    intent: IntentRow,
    key: str,
    part: dict[str, list[str]],
    told: Fields,
    sent: dict[str, Any],
    *,
    known: bool,
) -> None:
    kind, ref = Kind(intent.kind), intent.ref or ""
    if connection.is_rows(kind):
        for name, (wanted, *_) in part.items():
            people.wrote_row(work, connection, ref, name, wanted if key == ROWS else None)
        if key != ROWS:
            people.leave_to_rows(work, connection, ref, key, list(part))
    link = work.tx.link(int(key)) if key != ROWS else None
    if link is None:
        return
    pair = work.world.pair(link.pair)
    end = pair.end_of(connection.name)
    here: dict[str, str] = getattr(link, f"{end}_base")
    there: dict[str, str] = getattr(link, f"{end.other}_base")
    flags = {f"={word}" for word in connection.terms[kind].facts.flags}
    for name, (_, source) in part.items():
        now, digest = told.get(name), _digest_sent(intent, name, sent, connection)
        before = (intent.expected or {}).get(name)
        if before in flags and digest not in flags and now != digest and isinstance(now, str):
            _show_beneath(work, link, end, name, sent)
            continue
        is_text = name not in WORDED and known and isinstance(now, str)
        here[name] = str(now) if is_text else digest
        there[name] = source
    work.tx.put_link(link)


def _show_beneath(work: Work, link: LinkRow, end: End, name: str, sent: dict[str, Any]) -> None:
    """A flag is off: what lay beneath it is the base, and the move itself is the next intent.

    If another stage shows, somebody has moved the record since, and the merge sees two changes; so it does where
    nobody told what lay beneath, for then the base stays the flag. What a person decided over the flag holds on.
    """
    beneath = digest_value(name, clean(name, sent.get("beneath")), work.world.digest)
    if beneath == EMPTY:
        return
    getattr(link, f"{end}_base")[name] = beneath
    if link.decided and name in link.decided:
        took, left, right = link.decided[name]
        now = [took, beneath, right] if end is End.LEFT else [took, left, beneath]
        link.decided = {**link.decided, name: now}


def _note_written(work: Work, connection: Connection, intent: IntentRow, names: list[str]) -> None:
    """A copy that is behind may tell for a while what stood there before this write, or before those just before it."""
    kind = Kind.APPLICATION if connection.is_rows(Kind(intent.kind)) else Kind(intent.kind)
    row = work.tx.record(connection.name, kind, intent.ref or "")
    if row is not None:
        replaced = dict(row.replaced or {}) if pull.is_just_written(work, connection, row) else {}
        for name in names if kind == intent.kind else ():
            replaced[name] = sorted({*replaced.get(name, ()), (intent.expected or {}).get(name, EMPTY)})
        row.written_at, row.replaced = work.tx.now, replaced or None
        work.tx.put_record(row)


# --- failing --------------------------------------------------------------------------------------------------------


def failed(work: Work, id_: str, error: SyncdError, spread: float) -> None:
    """What an error says about an intent that was sent (or was about to be)."""
    intent = load(work, id_)
    if intent is None:
        return
    if intent.call == ERASED and not isinstance(error, OutcomeUnknown | RateLimited | Taken):
        delete_intent(work, intent)  # nothing was made
    elif isinstance(error, OutcomeUnknown) or (isinstance(error, RateLimited) and intent.state == "sent"):
        _doubt(work, intent, error)  # who counts the calls may stand behind who carries them out
    elif isinstance(error, Taken) and intent.call in {CREATE, ERASED}:
        intent.state, intent.due, intent.reason = "unknown", work.tx.now, "taken"
        save_intent(work, intent)
    elif isinstance(error, Rejected | Taken):
        _hold_update(work, intent, "rejected", str(error))
    elif isinstance(error, Gone | Stale):
        reopen(work, intent, "stale", 1.0)
        if intent.ref is not None:
            mark(work, intent.connection, Kind(intent.kind), intent.ref, "stale", Priority.WRITE)
        elif intent.tries >= PATIENCE:
            hold_intent(work, intent, "parent_gone", str(error))
    elif isinstance(error, AuthFailed):
        reopen(work, intent, "refused", 60.0)
    else:
        wait_s = error.retry_after_s if isinstance(error, Unavailable) else None
        reopen(work, intent, "did_not", delay_s(intent.tries, spread) if wait_s is None else wait_s)


def _doubt(work: Work, intent: IntentRow, error: SyncdError) -> None:
    asked_s = error.retry_after_s if isinstance(error, Unavailable) else None
    visible_s = work.world.connections[intent.connection].facts.visible_s
    intent.state, intent.due = "unknown", work.tx.now + max(1.0, visible_s, asked_s or 0.0)
    save_intent(work, intent)
    note(work, intent.connection, intent.kind, intent.ref or "", "unknown", link=intent.link, detail=intent.call)


def recover(connection: sa.Connection, now: float, grace_s: float, name: str | None = None) -> int:
    """What was sent when the last process (or the lane ``name``) ended has an unknown outcome; how many."""
    table = schema.intents
    sent = table.c.state == "sent" if name is None else sa.and_(table.c.state == "sent", table.c.connection == name)
    due = sa.case((table.c.sent_at + grace_s > now, table.c.sent_at + grace_s), else_=now)
    return connection.execute(sa.update(table).where(sent).values(state="unknown", due=due)).rowcount


def not_found(work: Work, id_: str) -> None:
    """A look-up found no trace of a create. Twice without one, and it did not happen."""
    intent = load(work, id_)
    if intent is None or intent.state not in IN_FLIGHT:
        return
    connection = work.world.connections[intent.connection]
    if intent.reason == "taken" and intent.looks + 1 >= LOOKS:
        intent.reason = None
        hold_intent(work, intent, "taken_but_not_found")
    elif intent.looks + 1 >= LOOKS and intent.call == ERASED:
        delete_intent(work, intent)
    elif intent.looks + 1 >= LOOKS:
        intent.looks = 0
        reopen(work, intent, "did_not", 1.0)
    else:
        _look_again(work, intent, intent.state, connection.facts.visible_s)


def found(work: Work, id_: str, records: tuple[Record, ...]) -> None:
    """A look-up found what a create made: adopt the oldest; more than one is held for a person."""
    intent = load(work, id_)
    if intent is None:
        return
    kind = Kind(intent.kind)
    own = sorted((r for r in records if r.ref.kind is kind), key=lambda r: (r.created_at or 0.0, r.ref.id))
    if not own:
        not_found(work, id_)
        return
    chosen = (own[0], *_belonging(own[0], records))
    if intent.call == ERASED:
        tombstones.was_made(work, intent, chosen)
        return
    if intent.sent_values is not None and intent.reason != "taken":
        values = {**sent_values(work, intent), "answered": False}
        intent.sent_values = work.world.seal(values, f"{intent.id}/sent")
        save_intent(work, intent)
    adopt(work, id_, chosen, ours=intent.reason != "taken")
    connection = work.world.connections[intent.connection]
    others = pull.absorb(work, connection, [r for r in records if r not in chosen], pull.GET)
    pull.settle_all(work, connection, dict.fromkeys(others, True))


def _belonging(record: Record, records: tuple[Record, ...]) -> list[Record]:
    """What was told together with a record: its person."""
    person = record.parents.get(Kind.CANDIDATE)
    return [r for r in records if r.ref.kind is Kind.CANDIDATE and r.ref.id == person]


def lookup_of(work: Work, id_: str) -> tuple[IntentRow, Draft | None] | None:
    """What is needed to look up an intent's outcome: itself, and the draft of a create as it was sent."""
    intent = load(work, id_)
    if intent is None or intent.state not in IN_FLIGHT or intent.due > work.tx.now:
        return None
    if strangers(work, intent):
        rest(work, intent)
        return None
    if intent.call not in {CREATE, ERASED}:
        return intent, None
    values = sent_values(work, intent)
    if intent.call == ERASED:
        return intent, draft_in(values)
    draft = draft_of(work, intent, values.get("word"), values)
    if draft is None:
        hold_intent(work, intent, "unknown_outcome", "a parent is gone")
        return None
    return intent, draft


# --- the words of a pipeline ----------------------------------------------------------------------------------------


async def word_in_pipeline(
    connector: Connector, connection: Connection, kind: Kind, ours: str | None, job: str | None
) -> str | None:
    """Their word for one of our stages: the first that this job's pipeline has. Raises ``Rejected`` if it has none."""
    if kind is not Kind.APPLICATION or ours is None:
        return None
    choices = connection.vocabulary.words["stage"].theirs(ours)
    if isinstance(connector, Pipelines) and job is not None:
        pipeline = {*await connector.stages(Ref(Kind.JOB, job)), *connection.terms[kind].facts.flags}
        choices = tuple(word for word in choices if word in pipeline)
    if not choices:
        raise Rejected(f"no stage of this job's pipeline stands for {ours!r}")
    return choices[0]


async def look_up(connector: Connector, draft: Draft, since: float) -> tuple[Record, ...]:
    """Whether the system knows what a draft describes."""
    return await connector.find(draft, since) if isinstance(connector, Finds) else ()
