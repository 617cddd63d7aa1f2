"""What happens: one lane a token, and in each lane one thing at a time, the most urgent first.

All truth stands in the tables; a lane only asks what is due. In each lane: look-ups after lost answers, then writes,
then records that are marked to be read, then the pages of walks, then what only a get tells. Bulk work gets at least
every tenth turn. ``drive`` is the same code in the daemon, in a backfill, in the demo and in the simulation.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
import structlog

from syncd import calls, copies, drafts, pull, push, schema, switches
from syncd.agenda import Agenda, agenda_of, left_to_do, unswept, walks_under_way
from syncd.clock import Clock
from syncd.connector import Connector, Witnesses
from syncd.creating import NextPoll, is_behind
from syncd.errors import AuthFailed, Gone, Parked, Rejected, Stale, SyncdError, Taken, Unavailable
from syncd.facts import Walk
from syncd.identity import keep_identity
from syncd.intents import unsealed
from syncd.large import refuse_large
from syncd.limits import Priority
from syncd.model import Cursor, Kind, Page, Record, Ref
from syncd.plan import Emptied, Guard
from syncd.resting import rest_others
from syncd.setup import Connection, World
from syncd.store import Store, Tx, recalled, remember
from syncd.unlooked import forget_unlooked, is_unlooked, keep_unlooked
from syncd.work import BESIDE, CREATE, Work, mark, note

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

TURNS_BEFORE_BULK = 9
FAILURES_BEFORE_RESTART = 4
QUIET_S = 60.0  # without a page or a write, before a closed lane is said to keep all others waiting
PAGES_TOGETHER = 20  # unchanged, before a lane asks again what is due; also how soon it notices that it is paused

_marks = schema.marks.c


class Road(Protocol):
    """The way of one token's calls: whose turn it is, and slots reserved together."""

    def calling(self, priority: Priority) -> AbstractContextManager[None]:
        """Calls made within are of this priority."""
        ...

    def reserved(self, calls: int, priority: Priority) -> AbstractAsyncContextManager[None]:
        """Within, so many calls go out without waiting; raises ``Parked`` where that would take too long."""
        ...


@dataclass
class Walking:
    """A walk under way in this process: its pages, and where the next one stands.

    ``passed``: where the last pages stood that were unchanged; they are written down a few together. ``changed``: the
    links of which it made an update wanted.
    """

    pages: AsyncIterator[Page]
    position: str
    since: float | None
    started_at: float
    passed: list[str] = field(default_factory=list)
    changed: frozenset[int] = frozenset()

    @property
    def mode(self) -> str:
        """Whether the list is read whole, or only what changed."""
        return "sweep" if self.since is None else "poll"


@dataclass
class Lane:
    """One token's queue of calls. What is kept here is only what may be lost."""

    connection: Connection
    connector: Connector
    road: Road
    webhook_url: str | None = None  # where the system may tell us something, if what it says can be proven
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    walking: dict[str, Walking] = field(default_factory=dict)
    parked: dict[Priority, float] = field(default_factory=dict)
    rest_until: float = 0.0
    failures: int = 0
    since_bulk: int = 0
    next_due: float | None = None
    is_walking: bool = False
    walks_due: dict[str, float] = field(default_factory=dict)

    def is_open(self, priority: Priority, now: float) -> bool:
        """Whether a call of this priority may be tried now."""
        return now >= self.rest_until and all(now >= until for at, until in self.parked.items() if at <= priority)

    def opens_for(self, priority: Priority) -> float:
        """From when a call of this priority may be tried."""
        return max([self.rest_until, *(until for at, until in self.parked.items() if at <= priority)])

    def opens_at(self) -> float:
        """The earliest time at which something that rests or is parked may be tried again; 0: nothing does."""
        return max([self.rest_until, *self.parked.values()], default=0.0)


class Engine:
    """Joins the world, the store and the lanes. ``scheduled``: polls and sweeps begin by themselves when due.

    ``learning``: pages are taken in without intents being made. ``allow_empty``: a side that is suddenly empty is
    believed.
    """

    def __init__(self, world: World, store: Store, clock: Clock, rng: random.Random, lanes: Mapping[str, Lane]) -> None:
        self.world = world
        self.store = store
        self.clock = clock
        self.rng = rng
        self.lanes = dict(lanes)
        self.scheduled = False
        self.learning = False
        self.allow_empty = False
        self.next_poll: NextPoll = lambda connection, now: now + connection.poll_s
        self.allow_large = False
        self.guard = Guard()
        self.emptied = Emptied()
        self.backlog = 200
        self.progressed_at = clock.now()
        self.listeners: list[Callable[[str, Mapping[str, Any]], None]] = []

    # transactions

    async def do(self, function: Callable[Concatenate[Work, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function over the rows in one transaction, and wake the lanes that it made work for."""
        woken: set[str] = set()
        dropped: dict[tuple[str, str], int] = {}

        def within(connection: sa.Connection) -> T:
            work = Work(Tx(connection, self.clock.now()), self.world, self.new_id, learning=self.learning)
            result = function(work, *args, **kwargs)
            work.tx.flush()
            woken.update(work.woken)
            dropped.update(work.dropped)
            return result

        result = await self.store.run(within)
        for name in sorted(woken):  # a set of names has another order in each process
            self.wake(name)
        for (name, kind), count in dropped.items():
            self.mention("erased_seen", connection=name, kind=kind, count=count)
        return result

    def new_id(self) -> str:
        """A new id for an intent; it is the idempotency key as well."""
        return f"{self.rng.getrandbits(128):032x}"

    def wake(self, name: str | None = None) -> None:
        """Let a lane (or all) look for work."""
        for lane in self.lanes.values() if name is None else [self.lanes[name]] if name in self.lanes else []:
            lane.wake.set()

    def tell(self, action: str, **facts: Any) -> None:
        """Tell whoever listens (metrics, progress, the page); never a person's data."""
        self.progressed_at = self.clock.now()
        self.mention(action, **facts)

    def wrote(self, connection: str, claimed: push.Claim, call: str) -> None:
        """Tell that a system took a write, and log it with what it goes back to."""
        self.tell("written", connection=connection, kind=claimed.kind.value, call=call)
        known = {"ref": str(claimed.ref) if claimed.ref else None, "origin": claimed.origin}
        facts = {"kind": claimed.kind.value, "call": call, **{name: fact for name, fact in known.items() if fact}}
        log.info("A system took a write.", action="written", connection=connection, **facts)

    def mention(self, action: str, **facts: Any) -> None:
        """Tell whoever listens what is no progress."""
        for listener in self.listeners:
            listener(action, facts)

    # life

    async def begin(self) -> None:
        """At start: what was under way when the last process ended is looked up."""
        await self.do(keep_identity)
        await self.do(rest_others)
        count = await self.store.run(push.recover, self.clock.now(), push.CALL_TIMEOUT_S)
        if count:
            log.info(
                "Calls of the last run are looked up before anything is repeated.", action="recovered", calls=count
            )

    async def begin_sweeps(self) -> None:
        """Let every list be walked whole."""
        for lane in self.lanes.values():
            for walk in self.world.walks_of(lane.connection.name):
                await self.begin_walk(lane, walk, sweep=True)

    async def learn(self, *, longest_rest_s: float = float("inf")) -> float | None:
        """The first look: walk every list once, link what is the same thing already, and write nothing anywhere.

        Only after it is known what stands where may anything be created; a changed configuration is learnt anew.
        Returns as ``run_until_quiet`` does; afterwards every list is about to be walked again.
        """
        since = await self._learning_since()
        self.learning = True
        try:
            until = None
            while until is None and (unproven := await self.store.run(unswept, self._all_walks(), since)):
                for name, walk in unproven:
                    await self.begin_walk(self.lanes[name], self._walk_named(name, walk), sweep=True)
                until = await self.run_until_quiet(longest_rest_s=longest_rest_s)
        finally:
            self.learning = False
        if until is None:
            await self.store.run(copies.believe, [pair.name for pair in self.world.pairs])
            await self.store.run(keep_unlooked, self._all_walks(), since)
            await self.store.run(remember, "learnt", self.world.stamp)
            await self.store.run(remember, "learnt_at", repr(self.clock.now()))
            await self.begin_sweeps()
        return until

    async def _learning_since(self) -> float:
        """When the first look under this configuration began; a stop in between does not begin it anew."""
        known = (await self.store.run(recalled, "learning") or "").split()
        if known[:1] == [self.world.stamp]:
            return float(known[1])
        now = self.clock.now()
        await self.store.run(remember, "learning", f"{self.world.stamp} {now!r}")
        return now

    def _all_walks(self) -> list[tuple[str, str]]:
        return [(name, walk.name) for name in self.lanes for walk in self.world.walks_of(name)]

    def _walk_named(self, connection: str, name: str) -> Walk:
        return next(walk for walk in self.world.walks_of(connection) if walk.name == name)

    async def has_learnt(self) -> bool:
        """Whether the first look was made under this configuration."""
        return await self.store.run(recalled, "learnt") == self.world.stamp

    async def run_until_quiet(self, *, longest_rest_s: float = float("inf")) -> float | None:
        """Drive all lanes until nothing waits for calls; None: all is done.

        Where a lane stays closed for longer than ``longest_rest_s`` and the others have nothing left that goes on
        without it, the time is returned at which that lane opens again.
        """
        drives = [asyncio.ensure_future(self.drive(lane)) for lane in self.lanes.values()]
        self.progressed_at = self.clock.now()
        try:
            while await self._is_busy():
                if (until := self._closed_until(longest_rest_s)) is not None:
                    return until
                await self._pause(drives)
            return None
        finally:
            for drive in drives:
                drive.cancel()
            await asyncio.gather(*drives, return_exceptions=True)

    async def _pause(self, drives: Sequence[asyncio.Future[None]]) -> None:
        """A second of driving; what a lane died of is raised here."""
        second = asyncio.ensure_future(self.clock.sleep_until(self.clock.now() + 1.0))
        try:
            done, _ = await asyncio.wait([second, *drives], return_when=asyncio.FIRST_COMPLETED)
            for drive in drives:
                if drive in done:
                    drive.result()
        finally:
            second.cancel()

    def _closed_until(self, longest_rest_s: float) -> float | None:
        now = self.clock.now()
        closed = [lane.opens_at() for lane in self.lanes.values() if lane.opens_at() > now + longest_rest_s]
        return min(closed) if closed and now > self.progressed_at + QUIET_S else None

    async def _is_busy(self) -> bool:
        if self.learning:
            return await self.store.run(walks_under_way) > 0
        return await self.store.run(left_to_do) > 0

    async def drive(self, lane: Lane) -> None:
        """Work a lane for ever: what is due now, then sleep until the next due time or a wake."""
        while True:
            lane.wake.clear()
            if not await self.step(lane):
                await self._rest(lane, await self.next_due(lane))

    async def _rest(self, lane: Lane, due: float | None) -> None:
        waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(lane.wake.wait())}
        if due is not None:
            waits.add(asyncio.ensure_future(self.clock.sleep_until(max(due, self.clock.now() + 0.01))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # one thing at a time

    async def step(self, lane: Lane) -> bool:
        """Do the most urgent thing that is due in a lane; tells whether there was one."""
        now = self.clock.now()
        agenda = await self.store.run(agenda_of, lane.connection.name, now, self._feeds(lane))
        lane.next_due = agenda.next_due
        lane.is_walking = any(cursor["mode"] != "idle" for cursor in agenda.cursors.values())
        if agenda.stopped:
            lane.next_due, lane.is_walking = None, False
            lane.walks_due.clear()
            return False
        urgent, bulk = [self._look_up, self._push, self._read], [self._walk, self._read_details]
        for kind in [*bulk, *urgent] if lane.since_bulk >= TURNS_BEFORE_BULK else [*urgent, *bulk]:
            if await kind(lane, agenda):
                lane.since_bulk = 0 if kind in bulk else lane.since_bulk + 1
                return True
        lane.since_bulk = 0
        return False

    def _feeds(self, lane: Lane) -> list[str]:
        """The connections that a lane's records are written to."""
        name = lane.connection.name
        return [
            pair.at(pair.end_of(name).other).name
            for pair in self.world.pairs
            if name in (pair.left.name, pair.right.name)
        ]

    async def next_due(self, lane: Lane) -> float | None:
        """When something will next be due in a lane; None: nothing that time alone brings.

        Called when nothing could be done now: what is due already waits for its class of calls to be let through.
        """
        now, bulk = self.clock.now(), lane.opens_for(Priority.BULK)
        dues = [max(now + 1.0, bulk)] if lane.is_walking else []
        if self.scheduled:
            dues += [max(due, bulk) for due in lane.walks_due.values()]
        if lane.next_due is not None:
            opens = [max(lane.next_due, lane.opens_for(priority)) for priority in Priority]
            dues.append(next((at for at in opens if at > now), now + 1.0))
        return min(dues) if dues else None

    async def _look_up(self, lane: Lane, agenda: Agenda) -> bool:
        if not agenda.lookups or not lane.is_open(Priority.LOOKUP, self.clock.now()):
            return False
        for id_ in agenda.lookups:
            found = await self.do(push.lookup_of, id_)
            if found is not None:
                intent, draft = found
                await self._guarded(lane, Priority.LOOKUP, None, self._look_up_or_wait(lane, intent, draft))
                return True
        return False

    async def _look_up_or_wait(self, lane: Lane, intent: Any, draft: Any) -> None:
        """A look-up that a system refuses is made again later, and not for ever: else it would be due at once again."""
        try:
            await self._look_up_one(lane, intent, draft)
        except (Rejected, Gone, Stale, Taken) as error:
            await self.do(calls.look_refused, intent.id, error)

    async def _look_up_one(self, lane: Lane, intent: Any, draft: Any) -> None:
        with lane.road.calling(Priority.LOOKUP):
            if intent.call in BESIDE:
                await calls.look_up(self, lane, intent)
                return
            if draft is not None:
                records = await push.look_up(lane.connector, draft, (intent.sent_at or self.clock.now()) - 300.0)
                await self.do(push.found, intent.id, records)
                return
            ref = Ref(Kind(intent.kind), intent.ref)
            records = await lane.connector.get(ref)
            await self._ask_who(lane, intent, ref)
        record = next((record for record in records if record.ref == ref), None)
        if record is None:
            await self.do(self._lost_target, intent.id, ref)
        else:
            await self.do(push.confirm, intent.id, record, known=intent.state == "accepted")

    async def _ask_who(self, lane: Lane, intent: Any, ref: Ref) -> None:
        """After a move whose answer was lost: whose the last move was, for the record's story."""
        is_move = any("stage" in part for part in intent.wants.values())
        if intent.state != "unknown" or not is_move or not isinstance(lane.connector, Witnesses):
            return
        is_ours = await lane.connector.moved_by_us(ref)
        if is_ours is not None:
            by = "us" if is_ours else "somebody_else"
            await self.do(note, lane.connection.name, ref.kind.value, ref.id, "last_move", detail=by)

    def _lost_target(self, work: Work, id_: str, ref: Ref) -> None:
        intent = push.load(work, id_)
        if intent is not None:
            push.forget_target(work, intent)
            work.tx.flush()
            connection = work.world.connections[intent.connection]
            pull.absorb_answer(work, connection, ref, (), asked_at=work.tx.now)

    async def _push(self, lane: Lane, agenda: Agenda) -> bool:
        if self.learning or not agenda.opens or not lane.is_open(Priority.WRITE, self.clock.now()):
            return False
        for id_ in agenda.opens:
            claimed = await self.do(push.claim, id_, 60.0, self._is_behind)
            if claimed is not None:
                await self._guarded(lane, Priority.WRITE, id_, self._push_one(lane, claimed))
                return True
        return False

    def _is_behind(self, work: Work, connection: Connection, kind: Kind) -> bool:
        return is_behind(work, connection, kind, self.next_poll, scheduled=self.scheduled)

    async def _push_one(self, lane: Lane, claimed: push.Claim) -> None:
        with lane.road.calling(Priority.WRITE):
            word = await push.word_in_pipeline(
                lane.connector, lane.connection, claimed.kind, claimed.stage, claimed.job
            )
            if claimed.call in BESIDE:
                await calls.make(self, lane, claimed, word)
            elif claimed.ref is None:
                await self._create(lane, claimed, word)
            else:
                await self._update(lane, claimed, claimed.ref, word)

    async def _create(self, lane: Lane, claimed: push.Claim, word: str | None) -> None:
        async with lane.road.reserved(2 if claimed.looks_first else 1, Priority.WRITE):
            if claimed.looks_first:
                draft = await self.do(draft_of, claimed.id, word)
                records = await push.look_up(lane.connector, draft, 0.0) if draft else ()
                if records:
                    await self.do(push.adopt, claimed.id, records, ours=False)
                    return
            order = await self.do(push.send_create, claimed.id, word, stage=claimed.stage)
            if order is None or order.draft is None:
                return
            records = await lane.connector.create(order.draft, order.intent)
        await self.do(push.adopt, order.intent, records, ours=True)
        self.wrote(lane.connection.name, claimed, CREATE)

    async def _update(self, lane: Lane, claimed: push.Claim, ref: Ref, word: str | None) -> None:
        async with lane.road.reserved(2, Priority.WRITE):
            asked_at = self.clock.now()
            records = await lane.connector.get(ref)
            order = await self.do(push.send_update, claimed.id, records, word, asked_at=asked_at, stage=claimed.stage)
            if order is None or order.record is None:
                return
            told = await lane.connector.update(order.record, order.fields)
        await self.do(push.confirm, order.intent, told, known=True)
        self.wrote(lane.connection.name, claimed, "update")

    async def _read(self, lane: Lane, agenda: Agenda) -> bool:
        return await self._read_marked(lane, agenda.mark, Priority.READ)

    async def _read_details(self, lane: Lane, agenda: Agenda) -> bool:
        return await self._read_marked(lane, agenda.detail, Priority.BULK)

    async def _read_marked(self, lane: Lane, ref: Ref | None, priority: Priority) -> bool:
        if ref is None or not lane.is_open(priority, self.clock.now()):
            return False
        await self._guarded(lane, priority, None, self._read_one(lane, ref, priority))
        return True

    async def _read_one(self, lane: Lane, ref: Ref, priority: Priority) -> None:
        asked_at = self.clock.now()
        with lane.road.calling(priority):
            try:
                answers = {ref: await lane.connector.get(ref)}
            except (Rejected, Gone, Stale, Taken) as error:
                await self.store.run(pull.unmark, lane.connection.name, ref, asked_at)
                log.warning("A record cannot be read.", action="unreadable", ref=str(ref), why=str(error))
                return
            for other in await self.do(read_together, lane.connection, ref):
                with contextlib.suppress(Rejected):  # its own turn tells that
                    answers[other] = await lane.connector.get(other)
        if not await self.do(take_answers, lane.connection, answers, asked_at=asked_at):
            self.mention("told_nothing_new", connection=lane.connection.name, kind=ref.kind.value)

    # walks

    async def _walk(self, lane: Lane, agenda: Agenda) -> bool:
        """Source lists wait while the targets have a poll's worth of writes before them."""
        if not lane.is_open(Priority.BULK, self.clock.now()) or agenda.backlog >= self.backlog:
            return False
        for walk in self._in_turn(lane, agenda):
            if await self._is_walking(lane, walk, agenda.cursors.get(walk.name)):
                await self._guarded(lane, Priority.BULK, None, self._next_pages(lane, walk))
                return True
        return False

    async def _next_pages(self, lane: Lane, walk: Walk) -> None:
        """A page, and those behind it while they tell nothing new and nothing else has come up."""
        for _ in range(PAGES_TOGETHER):
            told_nothing = await self._next_page(lane, walk)
            now = self.clock.now()
            is_due = lane.next_due is not None and lane.next_due <= now
            if not told_nothing or is_due or lane.wake.is_set() or not lane.is_open(Priority.BULK, now):
                return

    def _in_turn(self, lane: Lane, agenda: Agenda) -> list[Walk]:
        """The walks, the longest due first: one that is due again at once must not keep the others from their turn."""

        def due(walk: Walk) -> float:
            cursor = agenda.cursors.get(walk.name)
            return float(cursor["poll_due"]) if cursor else 0.0

        return sorted(self.world.walks_of(lane.connection.name), key=due)

    async def _is_walking(self, lane: Lane, walk: Walk, cursor: Mapping[str, Any] | None) -> bool:
        if walk.name in lane.walking:
            return True
        if cursor is None or cursor["mode"] == "idle":
            cursor = await self._begin_if_due(lane, walk, cursor)
        if cursor is None:
            return False
        start = Cursor(cursor["since"], cursor["token"])
        pages = lane.connector.pull(walk, start)
        lane.walking[walk.name] = Walking(pages, cursor["token"] or "", cursor["since"], cursor["started_at"])
        return True

    async def _begin_if_due(self, lane: Lane, walk: Walk, cursor: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        now = self.clock.now()
        is_astray = cursor is not None and cursor["sweep_due"] > now + 2 * lane.connection.sweep_s  # by a hand
        due = 0.0 if cursor is None or is_astray else min(cursor["poll_due"], cursor["sweep_due"])
        lane.walks_due[walk.name] = due
        if not self.scheduled or due > now:
            return None
        sweep = cursor is None or is_astray or cursor["sweep_due"] <= now or cursor["swept_at"] is None
        return await self.begin_walk(lane, walk, sweep=sweep)

    async def begin_walk(self, lane: Lane, walk: Walk, *, sweep: bool) -> Mapping[str, Any]:
        """Let a walk begin; its cursor."""
        if sweep:
            lane.walking.pop(walk.name, None)
        name, overlap_s = lane.connection.name, lane.connection.overlap_s
        lane.wake.set()
        return await self.store.run(pull.begin_walk, name, walk, self.clock.now(), sweep=sweep, overlap_s=overlap_s)

    async def _next_page(self, lane: Lane, walk: Walk) -> bool:
        """Take in a page; tells whether it told nothing new and is not the last."""
        walking = lane.walking[walk.name]
        try:
            with lane.road.calling(Priority.BULK):
                page = await anext(walking.pages)
        except Parked:
            raise
        except (SyncdError, StopAsyncIteration) as error:
            await self._broken_off(lane, walk, error)
            return False
        end = self._end_of(lane, walking) if page.next is None else None
        large = None if self.allow_large or self.learning else self.guard
        passed = [*walking.passed]
        taken = await self.do(take_in, lane.connection, walk, walking, page, passed, end, large)
        walking.passed, walking.changed = passed, taken.changed
        for name in taken.large:
            log.error("A plan is far larger than usual; the pair is stopped.", action="large", pair=name)
        told = {"connection": lane.connection.name, "walk": walk.name, "mode": walking.mode}
        self.tell("page", **told, wanted=taken.wanted)
        if page.next is None:
            self._walked(lane, walk, taken)
            self.tell("walked", **told)
            self.wake()
            return False
        walking.position = page.next
        return taken.unchanged

    def _end_of(self, lane: Lane, walking: Walking) -> "End":
        due = self.next_poll(lane.connection, walking.started_at)
        return End(due, None if self.allow_empty else self.emptied)

    async def _broken_off(self, lane: Lane, walk: Walk, error: Exception) -> None:
        """A walk broke off: it goes on at its token, or, after a refusal or several failures, begins anew later."""
        mode = lane.walking.pop(walk.name).mode
        self.mention("broken_off", connection=lane.connection.name, walk=walk.name, mode=mode)
        is_away = isinstance(error, Unavailable | AuthFailed)
        if not is_away or lane.failures + 1 >= FAILURES_BEFORE_RESTART:
            retry_at = self.clock.now() + min(lane.connection.poll_s, 300.0)
            why = str(error) or "the list ended without a proof of its end"
            await self.store.run(pull.abandon_walk, lane.connection.name, walk.name, why, retry_at)
        if isinstance(error, SyncdError):  # a list that is refused is no better than one that is away
            raise error if is_away else Unavailable(str(error)) from error

    def _walked(self, lane: Lane, walk: Walk, taken: "TakenIn") -> None:
        del lane.walking[walk.name]
        if taken.emptied:
            log.error("A side is suddenly empty; its lane is stopped.", action="emptied", connection=taken.emptied)

    # failing

    async def _guarded(self, lane: Lane, priority: Priority, intent: str | None, what: Any) -> None:
        """Do one thing; an error is the lane's or the intent's to bear, never the engine's."""
        try:
            await what
        except Parked as error:
            lane.parked[priority] = error.until
            await self._put_back(intent, error)
        except AuthFailed as error:
            await self._put_back(intent, error)
            await self.store.run(
                switches.stop, f"connection/{lane.connection.name}", f"auth: {error}", self.clock.now()
            )
            log.warning("A token is not accepted; the connection is paused.", action="auth_failed",
                        connection=lane.connection.name)  # fmt: skip
        except SyncdError as error:
            await self._put_back(intent, error)
            if isinstance(error, Unavailable):
                self._rest_after(lane, error)
        else:
            if lane.failures:
                log.info("A system is back.", action="back", connection=lane.connection.name)
            lane.failures = 0
            lane.parked = {at: until for at, until in lane.parked.items() if until > self.clock.now()}

    async def _put_back(self, intent: str | None, error: SyncdError) -> None:
        if intent is not None:
            await self.do(push.failed, intent, error, self.rng.random())

    def _rest_after(self, lane: Lane, error: Unavailable) -> None:
        lane.failures += 1
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = push.delay_s(lane.failures, self.rng.random())
        lane.rest_until = self.clock.now() + wait_s
        if lane.failures == 1:
            log.warning("A system is away.", action="away", connection=lane.connection.name, why=str(error))


# --- what the lanes ask the store -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """How a walk ends: when the next poll is due, and the guard in force."""

    due: float
    emptied: Emptied | None


@dataclass(frozen=True)
class TakenIn:
    """What came of a page; at a walk's end also a connection that is suddenly empty.

    ``wanted``: the writes that it made wanted. ``changed``: the links of which its walk made updates wanted so far.
    ``large``: the pairs that want too much.
    """

    unchanged: bool
    wanted: int
    changed: frozenset[int]
    large: Sequence[str] = ()
    emptied: str | None = None


def take_in(
    work: Work,
    connection: Connection,
    walk: Walk,
    walking: Walking,
    page: Page,
    passed: list[str],
    end: End | None,
    guard: Guard | None,
) -> TakenIn:
    """One page of a walk in one transaction, and with the last page its end."""
    work.learning |= is_unlooked(work.sql, connection.name)
    unchanged = pull.absorb_page(work, connection, walk, walking.position, page, since=walking.since, passed=passed)
    changed, large = walking.changed | work.changed, list[str]()
    if guard is not None and (work.changed or end is not None):
        large = refuse_large(work, guard, changed, walking.started_at)
    if end is None:
        return TakenIn(unchanged, work.wanted, changed, large)
    pull.keep_passed(work, connection.name, walk.name, passed)
    emptied = finish_walk(work, connection, walk, end)
    forget_unlooked(work.sql, connection.name, [walk.name for walk in work.world.walks_of(connection.name)])
    return TakenIn(unchanged, work.wanted, changed, large, emptied)


def read_together(work: Work, connection: Connection, ref: Ref) -> list[Ref]:
    """The rows that are marked too and speak for the same person: what is wanted of her may need them all in hand."""
    member = work.tx.member(connection.name, ref.id) if connection.is_rows(ref.kind) else None
    person = work.tx.record(connection.name, ref.kind, member.person) if member else None
    speakers = set(person.speakers.values()) - {ref.id} if person and person.speakers else set()
    if not speakers:
        return []
    where = (_marks.connection == connection.name, _marks.kind == ref.kind.value, _marks.ref.in_(sorted(speakers)))
    found = work.sql.execute(sa.select(_marks.ref).where(*where).order_by(_marks.ref)).scalars()
    return [Ref(ref.kind, id_) for id_ in found]


def take_answers(
    work: Work, connection: Connection, answers: Mapping[Ref, tuple[Record, ...]], *, asked_at: float
) -> bool:
    """Take in what several gets told, all of it in hand before anything is decided about one.

    False: a webhook had asked for it, and nothing is to be written for it.
    """
    work.learning |= is_unlooked(work.sql, connection.name)
    is_webhooks = _is_webhooks(work, connection.name, next(iter(answers)), asked_at)
    if len(answers) > 1:
        pull.absorb(work, connection, [record for records in answers.values() for record in records], pull.READ)
    for ref, records in answers.items():
        pull.absorb_answer(work, connection, ref, records, asked_at=asked_at)
    return work.wanted > 0 or not is_webhooks


def _is_webhooks(work: Work, connection: str, ref: Ref, asked_at: float) -> bool:
    """Whether a webhook had asked for a record; what follows in this transaction goes back to what had marked it."""
    where = (_marks.connection == connection, _marks.kind == ref.kind.value, _marks.ref == ref.id)
    marked = work.sql.execute(sa.select(_marks.why, _marks.due, _marks.origin).where(*where)).first()
    if marked is not None and marked.due <= asked_at:
        work.origin = marked.origin
    return marked is not None and marked.why == "webhook"


def finish_walk(work: Work, connection: Connection, walk: Walk, end: End) -> str | None:
    """End a walk: mark what was absent to be read by id; names the connection if that is too much to be believed."""
    absent, guard = pull.end_walk(work, connection, walk, due=end.due), end.emptied
    linked = [ref for ref in absent if _is_linked(work, connection, ref)]
    if linked and guard is not None and guard.refuses(len(linked), _linked(work, connection, walk)):
        why = f"emptied: {len(linked)} linked records are missing from {walk.name}"
        switches.stop(work.sql, f"connection/{connection.name}", why, work.tx.now)
        return connection.name
    for ref in absent:
        mark(work, connection.name, ref.kind, ref.id, "absent", Priority.READ)
    return None


def _is_linked(work: Work, connection: Connection, ref: Ref) -> bool:
    return any(
        work.tx.link_at(pair.name, ref.kind, pair.end_of(connection.name), ref.id) is not None
        for pair in work.world.pairs_of(connection.name, ref.kind)
    )


def _linked(work: Work, connection: Connection, walk: Walk) -> int:
    kinds = [kind.value for kind in walk.kinds if not connection.is_rows(kind)]
    pairs = [pair for pair in work.world.pairs if connection.name in (pair.left.name, pair.right.name)]
    table = schema.links.c
    where = (table.kind.in_(kinds), table.pair.in_([pair.name for pair in pairs]))
    count = work.sql.execute(sa.select(sa.func.count()).select_from(schema.links).where(*where)).scalar_one()
    return int(count // max(1, len(pairs)))


def draft_of(work: Work, id_: str, word: str | None) -> Any:
    """The draft of an open create intent, to look its likeness up before it is sent."""
    intent = push.load(work, id_)
    return drafts.draft_of(work, intent, word, unsealed(work, intent)) if intent else None
