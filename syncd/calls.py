"""The calls of errands and batches: what is read for them at the source, what goes out, and what an answer means.

The source is read before anything is decided at the target; whatever fails there leaves the target's lane alone. A file
is read twice, to be judged and to be sent, and kept nowhere in between.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from syncd import batches, errands, pull, push, results
from syncd.batches import Sending, Turn
from syncd.clock import Clock
from syncd.connector import (
    Attaches,
    Batch,
    BatchDraft,
    Batches,
    BatchFile,
    BatchState,
    Connector,
    CreditsSpent,
    File,
    FilesRejected,
    Form,
    HasFiles,
    Remark,
    Remarks,
    Schedules,
    Screens,
)
from syncd.errors import Gone, Rejected, Stale, SyncdError
from syncd.facts import FileLimits
from syncd.files import Proof, as_proven, prove
from syncd.intents import hold_intent, save_intent, unsealed
from syncd.limits import Priority
from syncd.model import Kind, Record, Ref
from syncd.screenings import text_of
from syncd.setup import Connection
from syncd.work import ATTACH, IN_FLIGHT, OUTCOME, REMARKS, RULE, SCREEN, SUBMIT, UNSCHEDULE, Work, mark

P = ParamSpec("P")
T = TypeVar("T")

FIRST_LOOK_S, LAST_LOOK_S = 15.0, 300.0  # how soon, and how rarely at last, a batch is asked whether it is done
REFUSED_LOOKS = 8  # refusals to tell what became of a call, and looks before them, until a person is asked
SOURCE_AWAY_S = 60.0
AFTER_REMARK_S = 5.0  # a move by rule waits so long for the remark about the same screening, again and again
LATE_S = 2 * 86_400.0  # a batch that is not done by then is a person's to ask about


class Road(Protocol):
    """The way of one token's calls."""

    def calling(self, priority: Priority) -> AbstractContextManager[None]:
        """Calls made within are of this priority."""
        ...

    def reserved(self, calls: int, priority: Priority) -> AbstractAsyncContextManager[None]:
        """Within, so many calls go out without waiting."""
        ...


class Lane(Protocol):
    """One token's lane, as far as it is needed here."""

    connection: Connection
    connector: Connector
    webhook_url: str | None

    @property
    def road(self) -> Road:
        """Its way."""
        ...


class Engine(Protocol):
    """What joins the lanes and the store."""

    clock: Clock

    @property
    def lanes(self) -> Mapping[str, Any]:
        """The lanes by connection."""
        ...

    async def do(self, function: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction."""
        ...

    def tell(self, action: str, **facts: Any) -> None:
        """Tell whoever listens."""
        ...

    def wrote(self, connection: str, claimed: push.Claim, call: str) -> None:
        """Tell that a system took a write."""
        ...


class SourceFailed(Exception):  # it says what failed
    """The source could not be read now; the target's lane has nothing to do with it."""


async def make(engine: Engine, lane: Lane, claimed: push.Claim, word: str | None) -> None:
    """Carry out one errand, or send one batch."""
    try:
        if claimed.call == SUBMIT:
            await _submit(engine, lane, claimed.id)
        elif claimed.call == ATTACH:
            await _attach(engine, lane, claimed)
        elif claimed.call in REMARKS:
            await _remark(engine, lane, claimed)
        else:
            await _call(engine, lane, claimed, word)
    except SourceFailed:
        await engine.do(_wait, claimed.id, SOURCE_AWAY_S)


async def look_up(engine: Engine, lane: Lane, intent: Any) -> None:
    """Find out what became of an errand whose answer was lost, or where a batch stands."""
    if intent.call == SUBMIT:
        await _look_at_batch(engine, lane, intent)
        return
    record = await _target(lane, intent.ref, intent.kind)
    if record is None:
        await engine.do(_target_gone, intent.id)
        return
    if await _took_effect(engine, lane, intent, record):
        await engine.do(_known, intent.id)
    else:
        await engine.do(_no_trace, intent.id)


# --- one errand -----------------------------------------------------------------------------------------------------


async def _target(lane: Lane, ref: str, kind: str) -> Record | None:
    wanted = Ref(Kind(kind), ref)
    records = await lane.connector.get(wanted)
    return next((record for record in records if record.ref == wanted), None)


async def _call(engine: Engine, lane: Lane, claimed: push.Claim, word: str | None) -> None:
    """An errand of one call: a move by rule, an outcome, a leave to phone, scheduling switched off."""
    assert claimed.ref is not None
    if claimed.call == RULE and not await engine.do(_is_to_be_judged, claimed.id):
        return
    async with lane.road.reserved(2, Priority.WRITE):
        record = await _target(lane, claimed.ref.id, claimed.kind.value)
        order = await engine.do(_begin, claimed.id, record) if record is not None else None
        if record is None or order is None:
            await engine.do(_target_gone, claimed.id, only=record is None)
            return
        connector = lane.connector
        if claimed.call == RULE:
            stage = lane.connection.terms[Kind.APPLICATION].facts.stage
            await connector.update(record, {str(stage): word})
        elif claimed.call == OUTCOME and isinstance(connector, Batches):
            await connector.report(order["batch"], record.ref.id, order["outcome"])
        elif claimed.call == SCREEN and isinstance(connector, Screens):
            await connector.screen(record)
        elif claimed.call == UNSCHEDULE and isinstance(connector, Schedules):
            await connector.unschedule(record)
    await engine.do(_known, claimed.id)
    engine.wrote(lane.connection.name, claimed, claimed.call)


async def _remark(engine: Engine, lane: Lane, claimed: push.Claim) -> None:
    """A remark: looked for before it is made, because a store that was lost knows of none."""
    connector, ref = lane.connector, claimed.ref
    assert isinstance(connector, Remarks)
    assert ref is not None
    order = await engine.do(_values, claimed.id)
    if order is None:
        return
    remark = _remark_of(claimed.call, order)
    record = await _target(lane, ref.id, claimed.kind.value)
    if record is None:
        await engine.do(_target_gone, claimed.id)
        return
    if await connector.has_remarked(record, remark):
        await engine.do(_was_there, claimed.id)
        return
    async with lane.road.reserved(1, Priority.WRITE):
        if await engine.do(_begin, claimed.id, record) is None:
            return
        await connector.remark(record, remark)
    await engine.do(_known, claimed.id)
    engine.wrote(lane.connection.name, claimed, claimed.call)


def _remark_of(form: str, values: Mapping[str, Any]) -> Remark:
    return Remark(Form(form), values["title"], values["text"], values["marker"], values["score"])


async def _attach(engine: Engine, lane: Lane, claimed: push.Claim) -> None:
    """Send an application's file, unless it is byte for byte what was sent last."""
    connector, ref, limits = lane.connector, claimed.ref, lane.connection.facts.attaches
    assert isinstance(connector, Attaches)
    assert ref is not None
    assert limits is not None
    known = await engine.do(_source_of, claimed.id)
    if known is None:
        return
    source, id_, content = known
    try:
        file, proof = await _file(engine, source, id_, limits)
    except (Rejected, Gone) as error:
        await engine.do(_refused, claimed.id, "file_refused", str(error))
        return
    digest = await engine.do(_digest, proof.digest)
    if digest == content or await engine.do(_came_back, claimed.id, digest):
        await engine.do(_known, claimed.id, content=digest)
        return
    sent = replace(
        file, name=f"resume-{proof.digest[:8]}{proof.extension}", size=proof.size, read=as_proven(file, proof)
    )
    async with lane.road.reserved(3, Priority.WRITE):
        record = await _target(lane, ref.id, claimed.kind.value)
        if (
            record is not None
            and await engine.do(_may_be_there, claimed.id, digest)
            and await connector.has_attached(record, sent.name)
        ):
            await engine.do(_known, claimed.id, content=digest)
            return
        trace = {"content": digest, "name": sent.name}
        begun = record is not None and await engine.do(_begin, claimed.id, record, trace) is not None
        if record is None or not begun:
            await engine.do(_target_gone, claimed.id, only=record is None)
            return
        await connector.attach(record, sent, claimed.id)
    await engine.do(_known, claimed.id, content=digest)
    engine.wrote(lane.connection.name, claimed, ATTACH)


async def _file(engine: Engine, source: str, id_: str, limits: FileLimits) -> tuple[File, Proof]:
    """A source's file, read once; raises ``Rejected`` or ``Gone`` for the file's own fault, else ``SourceFailed``."""
    lane = engine.lanes[source]
    if not isinstance(lane.connector, HasFiles):
        raise Rejected(f"{source} gives no files")
    try:
        with lane.road.calling(Priority.READ):
            file = await lane.connector.resume(Ref(Kind.APPLICATION, id_))
            proof = await prove(file, limits) if file is not None else None
    except (Rejected, Gone):
        raise
    except SyncdError as error:
        raise SourceFailed from error
    if file is None or proof is None:
        raise Gone("there is no file any more")
    return file, proof


async def _took_effect(engine: Engine, lane: Lane, intent: Any, record: Record) -> bool:
    """Whether an errand left its trace at the target."""
    connector = lane.connector
    values = await engine.do(_values, intent.id) or {}
    if intent.call in REMARKS and isinstance(connector, Remarks):
        return await connector.has_remarked(record, _remark_of(intent.call, values))
    if intent.call == ATTACH and isinstance(connector, Attaches):
        return await connector.has_attached(record, values.get("name", ""))
    if intent.call == SCREEN and isinstance(connector, Screens):
        return await connector.may_screen(record)
    if intent.call == UNSCHEDULE and isinstance(connector, Schedules):
        return not await connector.is_scheduling(record)
    if intent.call == RULE:
        stage = record.fields.get(str(lane.connection.terms[Kind.APPLICATION].facts.stage))
        return lane.connection.vocabulary.words["stage"].ours(str(stage)) == values.get("stage")
    return False


# --- what the store is asked ----------------------------------------------------------------------------------------


def _values(work: Work, id_: str) -> dict[str, Any] | None:
    intent = push.load(work, id_)
    if intent is None:
        return None
    sent = work.world.unseal(intent.sent_values, f"{id_}/sent") if intent.sent_values else {}
    return {**unsealed(work, intent), **sent}


def _source_of(work: Work, id_: str) -> tuple[str, str, str | None] | None:
    """(connection, application, digest of what was sent last) of a file's errand."""
    intent = push.load(work, id_)
    known = errands.source_of(work, intent) if intent is not None else None
    if intent is None or known is None:
        return None
    link, source, _ = known
    pair = work.world.pair(link.pair)
    end = pair.end_of(intent.connection)
    return pair.at(end.other).name, source, errands.content_of(work, pair.name, end, ATTACH, source)


def _may_be_there(work: Work, id_: str, digest: str) -> bool:
    intent = push.load(work, id_)
    known = errands.source_of(work, intent) if intent is not None else None
    if intent is None or known is None:
        return False
    link, source, _ = known
    return errands.may_be_there(work, link.pair, work.world.pair(link.pair).end_of(intent.connection), source, digest)


def _came_back(work: Work, id_: str, digest: str) -> bool:
    intent = push.load(work, id_)
    known = errands.source_of(work, intent) if intent is not None else None
    if intent is None or known is None:
        return False
    end = work.world.pair(known[0].pair).end_of(intent.connection)
    return errands.came_back(work, known[0].pair, end, intent.ref or "", digest)


def _digest(work: Work, content: str) -> str:
    return work.world.digest("file", content)


def _begin(
    work: Work, id_: str, record: Record, sent: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any] | None:
    """Make an errand ``sent``, if it is still wanted as the target is now; its values."""
    intent = push.load(work, id_)
    if intent is None or intent.state != "open":
        return None
    values = unsealed(work, intent)
    if intent.call == RULE:
        stage = stage_told(work, intent.connection, record)
        if stage != values["from"]:
            errands.done(work, intent, detail="moved_meanwhile")
            return None
    if intent.call == OUTCOME:
        batch = batches.batch_at(work, work.world.connections[intent.connection], record.ref.id)
        if batch is None:
            errands.done(work, intent, detail="no_batch")
            return None
        values = {**values, "batch": batch}
    push.mark_sent(work, intent, dict(sent))
    return values


def stage_told(work: Work, connection: str, record: Record) -> str | None:
    """The digest of the stage that a record tells."""
    word = work.world.connections[connection].vocabulary.read(record).get("stage")
    return f"={word}" if word is not None else None


def _known(work: Work, id_: str, content: str | None = None) -> None:
    """An errand is done; what a rule moved is read, so that the move goes on as anybody's would."""
    intent = push.load(work, id_)
    if intent is None:
        return
    if content is None and intent.sent_values is not None:
        content = work.world.unseal(intent.sent_values, f"{id_}/sent").get("content")  # type: ignore[assignment]  # JSON
    if intent.call == RULE and intent.ref is not None:
        mark(work, intent.connection, Kind(intent.kind), intent.ref, "moved", Priority.READ)
    errands.done(work, intent, content=content)


def _was_there(work: Work, id_: str) -> None:
    """A remark stands there already. If none of our calls went out for it, it was made before the store was lost."""
    intent = push.load(work, id_)
    if intent is not None:
        errands.done(work, intent, content=None if intent.tries else errands.FOUND)


def _is_to_be_judged(work: Work, id_: str) -> bool:
    """Whether a move by rule may be made: not where it was before the store was lost, as the remark about it tells."""
    intent = push.load(work, id_)
    if intent is None or intent.state != "open":
        return False
    remarked = errands.remarked(work, intent)
    if remarked is None:
        push.put_off(work, intent, AFTER_REMARK_S)
    elif remarked == errands.FOUND:
        errands.done(work, intent, detail="judged_before")
    return remarked not in (None, errands.FOUND)


def _no_trace(work: Work, id_: str) -> None:
    """Looked for and not found: once more, then again; what phones somebody or leaves no trace a person judges."""
    intent = push.load(work, id_)
    if intent is None or intent.state not in IN_FLIGHT:
        return
    if intent.call in (SCREEN, OUTCOME):
        hold_intent(work, intent, "unknown_outcome")
    else:
        push.not_found(work, id_)


def _target_gone(work: Work, id_: str, *, only: bool = True) -> None:
    """The target is not there any more; ``only``: if it is so. Once it is back, the errand is wanted again."""
    intent = push.load(work, id_)
    if intent is None or not only:
        return
    if intent.state in IN_FLIGHT and intent.call in (SCREEN, OUTCOME):
        hold_intent(work, intent, "unknown_outcome")  # who may have been phoned is not phoned again
    else:
        errands.lose(work, intent)
    ref = Ref(Kind(intent.kind), str(intent.ref))
    pull.absorb_answer(work, work.world.connections[intent.connection], ref, ())


def _refused(work: Work, id_: str, reason: str, detail: str) -> None:
    intent = push.load(work, id_)
    if intent is not None:
        hold_intent(work, intent, reason, detail)


def _wait(work: Work, id_: str, wait_s: float) -> None:
    intent = push.load(work, id_)
    if intent is not None and intent.state == "open":
        push.put_off(work, intent, wait_s)


# --- batches --------------------------------------------------------------------------------------------------------


async def _submit(engine: Engine, lane: Lane, id_: str) -> None:
    """Send a batch: its files are judged first, and go out together under the intent's id as the key."""
    connector = lane.connector
    assert isinstance(connector, Batches)
    turn = await engine.do(batches.turn_of, id_, connector.batch_limits)
    if turn is None:
        await engine.do(_nothing_to_send, id_)
        return
    if turn.sent_at is not None and engine.clock.now() > turn.sent_at + connector.batch_limits.key_s:
        await engine.do(batches.fail, id_, "key_expired")
        return
    proven = await _proven(engine, turn, connector)
    if not proven:
        return
    title, description = await _job(engine, turn)
    if len(description) < connector.batch_limits.description:
        await engine.do(batches.fail, id_, "job_unclear", f"{connector.batch_limits.description}")
        return
    await _send_batch(engine, lane, connector, turn, BatchDraft(title, description, (), lane.webhook_url), proven)


Proven = Mapping[str, tuple[File, Proof, str]]  # application -> the file, what it proved to be, its keyed digest


async def _proven(engine: Engine, turn: Turn, connector: Batches) -> Proven:
    """The files of a batch, each read once; what is no file for it is held, what does not fit any more waits."""
    limits = connector.batch_limits
    taken: dict[str, tuple[File, Proof, str]] = {}
    refused: dict[str, tuple[str, str]] = {}
    size = 0
    for at, application in enumerate(turn.applications):
        try:
            file, proof = await _file(engine, turn.source, application, FileLimits(limits.bytes, limits.extensions))
        except (Rejected, Gone) as error:
            refused[application] = ("no_file" if isinstance(error, Gone) else "file_refused", str(error))
            continue
        if size + proof.size > limits.bytes and turn.sent_at is None:
            await engine.do(batches.split, turn, turn.applications[at:])
            break
        size += proof.size
        taken[application] = (file, proof, await engine.do(_digest, proof.digest))
    if turn.sent_at is not None:
        same = turn.sent == {application: digest for application, (_, _, digest) in taken.items()}
        if refused or not same:
            await engine.do(batches.fail, turn.id, "files_changed")
            return {}
    elif refused:
        await engine.do(batches.refuse, turn, refused)
    return taken


async def _job(engine: Engine, turn: Turn) -> tuple[str, str]:
    """A job's title and description as plain text, as its system tells them now."""
    lane = engine.lanes[turn.source]
    try:
        with lane.road.calling(Priority.READ):
            records = await lane.connector.get(Ref(Kind.JOB, turn.job))
    except Rejected:
        return "", ""  # it cannot be read, now or later: too little is known of the job
    except SyncdError as error:
        raise SourceFailed from error
    told = lane.connection.vocabulary.read(records[0]) if records else {}
    return str(told.get("title") or "Job"), text_of(str(told.get("description") or ""))


async def _send_batch(
    engine: Engine, lane: Lane, connector: Batches, turn: Turn, draft: BatchDraft, proven: Proven
) -> None:
    title = turn.title or draft.title
    names = {application: f"{application}{proof.extension}" for application, (_, proof, _) in proven.items()}
    files = tuple(
        BatchFile(names[application], as_proven(file, proof), proof.size)
        for application, (file, proof, _) in proven.items()
    )
    sendings = [Sending(application, names[application], digest) for application, (_, _, digest) in proven.items()]
    async with lane.road.reserved(1, Priority.WRITE):
        if not await engine.do(batches.send, turn, title, sendings, connector.batch_limits.credits):
            return
        try:
            made = await connector.submit(replace(draft, title=title, files=files), turn.id)
        except FilesRejected as error:
            await engine.do(_some_refused, turn, names, error.reasons, str(error))
            return
        except CreditsSpent as error:
            await engine.do(batches.refused_whole, turn.id, "no_credits", str(error))
            return
        except Stale:
            if turn.sent_at is None:
                await engine.do(batches.unsent, turn.id)
            else:  # it may have arrived the first time: other bytes never go out under the same key
                await engine.do(batches.fail, turn.id, "files_changed")
            return
        except Rejected as error:
            await engine.do(batches.refused_whole, turn.id, "batch_refused", str(error))
            return
    wait_s = FIRST_LOOK_S if made.state is BatchState.PROCESSING else 0.0
    await engine.do(batches.accepted, turn.id, made, wait_s)
    engine.tell("written", connection=lane.connection.name, kind=Kind.APPLICATION.value, call=SUBMIT)


def _some_refused(work: Work, turn: Turn, names: Mapping[str, str], reasons: Mapping[str, str], said: str) -> None:
    """The service refused the batch for some files: those are held, and the others go out without them."""
    bad = {application: ("file_refused", reasons[name]) for application, name in names.items() if name in reasons}
    if not bad:
        batches.refused_whole(work, turn.id, "batch_refused", said)
        return
    if batches.refuse(work, turn, bad):
        batches.renew(work, turn)


def _nothing_to_send(work: Work, id_: str) -> None:
    intent = push.load(work, id_)
    if intent is not None and intent.due <= work.tx.now and not batches.pending_of(work, id_):
        batches.fail(work, id_, "empty")


async def _look_at_batch(engine: Engine, lane: Lane, intent: Any) -> None:
    """Where a batch stands: was it made at all, is it done, and what came of it."""
    connector = lane.connector
    assert isinstance(connector, Batches)
    turn = await engine.do(batches.turn_as_sent, intent.id)
    remote = await engine.do(batches.remote_of, intent.id)
    if turn is None:
        return
    if remote is None:
        draft = BatchDraft(turn.title, "", ())
        found = await connector.find_batch(draft, intent.id, turn.sent_at or intent.made_at)
        if not found:
            await engine.do(push.not_found, intent.id)
            return
        await engine.do(batches.accepted, intent.id, found[0], 0.0)
        return
    stands = await connector.batch(remote)
    await _go_on(engine, connector, intent, remote, stands, turn.sent_at or engine.clock.now())


def look_refused(work: Work, id_: str, error: SyncdError) -> None:
    """A system would not tell what became of an intent: it is asked again later, then a person is."""
    intent = push.load(work, id_)
    if intent is None or intent.state not in IN_FLIGHT:
        return
    if intent.looks + 1 < REFUSED_LOOKS:
        intent.looks, intent.due = intent.looks + 1, work.tx.now + LAST_LOOK_S
        save_intent(work, intent)
    elif intent.call == SUBMIT:
        batches.fail(work, id_, "batch_refused", str(error))
    else:
        hold_intent(work, intent, "unknown_outcome", str(error))


async def _go_on(
    engine: Engine, connector: Batches, intent: Any, remote: str, stands: Batch | None, sent_at: float
) -> None:
    if stands is None:
        await engine.do(batches.fail, intent.id, "batch_gone")
    elif stands.state is BatchState.PROCESSING and engine.clock.now() > sent_at + LATE_S:
        await engine.do(batches.fail, intent.id, "batch_late")
    elif stands.state is BatchState.PROCESSING:
        wait_s = min(LAST_LOOK_S, FIRST_LOOK_S * 2 ** min(intent.looks, 10))
        await engine.do(batches.accepted, intent.id, stands, wait_s)
    elif stands.state is BatchState.COMPLETED:
        async for page in connector.results(remote):
            await engine.do(results.take_results, intent.id, page.results, page.records)
        await engine.do(batches.finish, intent.id)
    else:
        await engine.do(batches.fail, intent.id, f"batch_{stands.state.value}", stands.reason or "")
