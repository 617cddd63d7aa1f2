"""The daemon: it owns the store, keeps every lane at work, answers on the port, and stops with nothing half done.

A lane that dies of a bug is told in the log and begun again after a while; the process goes on. When it is to stop, it
begins nothing new, waits for the writes that are under way, and ends; whatever the wait was too short for is looked up
at the next start, as after a kill.
"""

import asyncio
import contextlib
import math
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from syncd import commands, crosscheck, forget, page, pingpong, push, schedule, schema, webhooks
from syncd.app import App, Network, build, open_store, ownership_of, sealer_of, store_url
from syncd.clock import Clock
from syncd.connector import Plugin
from syncd.cycle import Lane
from syncd.errors import ConfigInvalid, Unavailable
from syncd.handover import Desk, Progress, RunCommand, Told
from syncd.limits import Priority
from syncd.logs import trace_of
from syncd.outage import outage_of
from syncd.owner import Ownership
from syncd.reach import ReachMetrics
from syncd.sealing import Entropy
from syncd.server import address_of, build_app, listening, serving
from syncd.settings import Config, revealed
from syncd.site import Source
from syncd.store import open_engine
from syncd.watch import Watch
from syncd.who import who

STOP_S = 20.0  # how long a stop waits for writes under way
STEADY_S = 300.0  # whoever has lived so long begins again at once
LOOK_S = 5.0
PRUNE_S = 3600.0
AGAIN_S = 30.0  # after which whoever asked while the database was away may ask again
FRESH_S = 1.0  # how old the facts on the page and in the metrics may be
DRIVES = frozenset({"backfill", "restored"})  # handed-over commands that drive the lanes themselves

log = structlog.get_logger()


async def serve(
    config: Config,
    plugins: Mapping[str, Plugin],
    *,
    clock: Clock,
    rng: random.Random,
    entropy: Entropy,
    network: Network = lambda name: None,
    on_ready: Callable[[str], None] = lambda address: None,
    run_command: RunCommand | None = None,
    stopping: asyncio.Event | None = None,
) -> int:
    """Run the daemon until SIGTERM, SIGINT or ``stopping``; the exit code.

    ``on_ready`` is told the page's address once the port answers. ``run_command`` does what other processes hand over.
    Raises ``ConfigInvalid``, and ``Unavailable`` where the database does not answer.
    """
    crosscheck.examine(config, plugins).refuse()
    with _stopped_by_signals() if stopping is None else contextlib.nullcontext(stopping) as stop:
        async with _owned(config, clock, stop) as lock:
            if lock is None:
                return 0
            sealer = sealer_of(config, entropy)
            metrics = ReachMetrics(clock)
            with contextlib.closing(open_store(config, clock, sealer)) as store:
                app = build(config, plugins, store, sealer, rng=rng, network=network, meter=metrics)
                try:
                    await forget.replay(app)
                    return await Daemon(app, metrics, lock, stop, run_command).run(on_ready)
                finally:
                    await app.close()


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[asyncio.Event]:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _owned(config: Config, clock: Clock, stopping: asyncio.Event) -> AsyncIterator[Ownership | None]:
    """The right to write to the store, waited for; None: we were stopped while waiting."""
    engine = open_engine(store_url(config))
    lock = ownership_of(config, engine)
    try:
        is_ours, waits = await _taken(lock), False
        while not is_ours and not stopping.is_set():
            if not waits:
                log.info("Another process has this store; this one waits until that one ends.", action="waiting")
            waits = True
            await _sleep(clock, 1.0, stopping)
            is_ours = await _taken(lock)
        yield lock if is_ours else None
    finally:
        lock.release()
        engine.dispose()


async def _taken(lock: Ownership) -> bool:
    try:
        return await asyncio.to_thread(lock.take)
    except OSError as error:
        raise ConfigInvalid(f"store.url: the store's folder cannot be used: {error.strerror}") from error
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable("store.url: the database does not answer") from error


async def _sleep(clock: Clock, seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, but not beyond a stop."""
    waits = [asyncio.ensure_future(clock.sleep_until(clock.now() + seconds)), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(waits)


async def _ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel what is still under way, and wait for its end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- the daemon -----------------------------------------------------------------------------------------------------


class Daemon:
    """What runs while the store is ours. ``down``: what died of a bug and waits to be begun again."""

    def __init__(
        self,
        app: App,
        metrics: ReachMetrics,
        lock: Ownership,
        stopping: asyncio.Event,
        run_command: RunCommand | None,
    ) -> None:
        self.app = app
        self.engine = app.engine
        self.clock = app.store.clock
        self.down: set[str] = set()
        self._metrics = metrics
        self._subscriptions = Watch(app)
        self._lock = lock
        self._stopping = stopping
        self._run_command = run_command
        self._work: asyncio.Task[None] | None = None
        self._one_driver = asyncio.Lock()
        self._polls = {name: config.poll for name, config in app.config.connections.items()}
        self._facts: dict[str, Any] | None = None
        self._sweeping: set[tuple[str, str]] = set()
        self._exit_code = 0
        self._has_begun = False

    async def run(self, on_ready: Callable[[str], None]) -> int:
        """From the first look to the stop; the exit code."""
        config = self.app.config
        secrets = {name: revealed(each.webhook_path_secret) for name, each in config.connections.items()}
        ears = webhooks.ears_of(self.engine, secrets)
        receiver = webhooks.Receiver(self.engine, ears, self._metrics, self.app.hearing)
        await self._prepare()
        listener = listening(config.server)
        site = build_app(
            config.server,
            pages=self._pages(),
            measured=self._measured,
            troubles=self.troubles,
            receive=receiver.receive,
        )
        async with serving(site, listener):
            log.info("Serving.", action="serving", host=config.server.host, port=listener.getsockname()[1])
            on_ready(address_of(listener))
            async with self._desk() as desk:
                await self._run(desk)
        log.info("Stopped.", action="stopped")
        return self._exit_code

    async def _prepare(self) -> None:
        pages = await self.app.store.run(schedule.last_pages)
        pace = schedule.next_poll(self.app.world, self._polls, pages)
        self.engine.next_poll = pace
        await self._subscriptions.begin()
        self.engine.listeners += [pace.listen, self._metrics.listen, self._subscriptions.listen, self._listen]
        await self._metrics.begin(self.app)

    @contextlib.asynccontextmanager
    async def _desk(self) -> AsyncIterator[Desk | None]:
        if self._run_command is None:
            yield None
            return
        async with Desk(self.app, self._handed_over) as desk:
            yield desk

    async def _run(self, desk: Desk | None) -> None:
        tasks = [asyncio.ensure_future(self._kept_up("watch", self._watch))]
        tasks += [asyncio.ensure_future(self._kept_up("probe", partial(self._metrics.probe, self.app)))]
        tasks += [asyncio.ensure_future(self._kept_up("subscriptions", self._subscriptions.run))]
        tasks += [asyncio.ensure_future(self._kept_up("desk", desk.attend))] if desk else []
        self._begin_work()
        try:
            await self._stopping.wait()
            log.info("Stopping; writes under way are waited for.", action="stopping")
            await self._wind_down()
        finally:
            await _ended([*tasks, *([self._work] if self._work else [])])

    def troubles(self) -> list[str]:
        """Why we are not ready, a sentence each; no names, since anybody may ask."""
        reasons = [] if self._has_begun else ["syncd is starting"]
        if self.down:
            reasons.append(f"{len(self.down)} parts of syncd died and will be begun again; see the log")
        return [*reasons, "syncd is stopping"] if self._stopping.is_set() else reasons

    # the lanes

    def _begin_work(self) -> None:
        self._work = asyncio.ensure_future(self._kept_up("work", self._work_on))

    async def _work_on(self) -> None:
        """The first look, if there was none under this config, then every lane for ever."""
        self._open_lanes()
        await self.engine.begin()
        self._has_begun = True
        if not await self.engine.has_learnt():
            log.info("The first look: every list is read, and nothing is written yet.", action="learning")
            await self.engine.learn()
        self._sweeping = await self.app.store.run(_sweeps_under_way)
        self.engine.scheduled = True
        with schedule.waking(self.engine, self._polls):
            lanes = self.engine.lanes.items()
            await asyncio.gather(*(self._kept_up(f"lane {name}", partial(self._drive, lane)) for name, lane in lanes))

    def _open_lanes(self) -> None:
        for lane in self.engine.lanes.values():
            lane.walking.clear()  # a list that was left in the middle goes on at its token
            lane.parked.pop(Priority.LOOKUP, None)

    async def _drive(self, lane: Lane) -> None:
        lane.walking.clear()
        name = lane.connection.name
        await self.app.store.run(push.recover, self.clock.now(), push.CALL_TIMEOUT_S, name)
        await self.engine.drive(lane)

    async def _wind_down(self) -> None:
        """Begin nothing new, and wait for the writes under way; a read that is cut off does no harm."""
        for lane in self.engine.lanes.values():
            lane.parked[Priority.LOOKUP] = math.inf  # what parks look-ups parks everything
        until = self.clock.now() + STOP_S
        while self.clock.now() < until and await self.app.store.run(_has_writes_under_way):
            await self.clock.sleep_until(self.clock.now() + 0.05)
        if self._work is not None:
            await _ended([self._work])

    async def _kept_up(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do what goes on for ever; if it dies, tell what of, and begin it again after a while."""
        deaths = 0
        while True:
            self.down.discard(name)
            began = self.clock.now()
            task = asyncio.ensure_future(work())
            try:
                await asyncio.wait([task])
            finally:
                await _ended([task])
            error = asyncio.CancelledError() if task.cancelled() else task.exception()  # not by us: we are still here
            if error is None:
                return
            deaths = 1 if self.clock.now() - began > STEADY_S else deaths + 1
            wait_s = push.delay_s(deaths, self.engine.rng.random())
            self.down.add(name)
            if (why := outage_of(error)) is not None:
                log.error("The database failed; a part of syncd begins again.", action="store_failed", part=name,
                          wait_s=round(wait_s), why=why)  # fmt: skip
            else:
                log.error("A part of syncd died and will be begun again.", action="died", part=name,
                          wait_s=round(wait_s), trace=trace_of(error))  # fmt: skip
            await self.clock.sleep_until(self.clock.now() + wait_s)

    # commands of others

    async def _handed_over(self, app: App, command: str, arguments: Told, progress: Progress) -> Told:
        """Do a command; one that drives the lanes itself has them for itself."""
        assert self._run_command is not None
        if command not in DRIVES:
            return await self._run_command(app, command, arguments, progress)
        async with self._one_driver:
            world, scheduled = self.engine.world, self.engine.scheduled
            try:
                await self._wind_down()
                self._open_lanes()
                return await self._run_command(app, command, arguments, progress)
            finally:
                self.engine.world, self.engine.scheduled = world, scheduled
                self.engine.allow_empty = self.engine.allow_large = False
                if not self._stopping.is_set():
                    await self._go_on()

    async def _go_on(self) -> None:
        """The lanes are driven again, or still, where whoever handed over hung up before they had come to rest."""
        work = self._work
        if work is not None and not work.done() and not work.cancelling():
            for lane in self.engine.lanes.values():
                lane.parked.pop(Priority.LOOKUP, None)
            return
        await _ended([work] if work else [])
        self._begin_work()

    # watching and telling

    async def _watch(self) -> None:
        """Every few seconds: note who was reached, see that the store is still ours; every hour: forget old events."""
        pruned_at = 0.0
        while True:
            if not await self._still_owns():  # before anything else is tried there
                log.error("The store is no longer ours; another process may have it.", action="lost_store")
                self._exit_code = 1
                self._stopping.set()
                return
            await self._metrics.keep(self.app)
            if self.clock.now() - pruned_at >= PRUNE_S:
                pruned_at = self.clock.now()
                await self.app.store.run(webhooks.prune, pruned_at)
                await commands.reap(self.app)
                await self.app.store.run(pingpong.prune)
            await self.clock.sleep_until(self.clock.now() + LOOK_S)

    async def _still_owns(self) -> bool:
        try:
            return await asyncio.to_thread(self._lock.take)
        except sa.exc.SQLAlchemyError:
            return False

    async def _look(self) -> dict[str, Any]:
        """The facts for page and metrics, at most a second old."""
        if self._facts is None or self.clock.now() - self._facts["at"] >= FRESH_S:
            with _asking_the_store():
                self._facts = await self.app.store.run(page.facts_of, self.app.world, self.clock.now())
        return self._facts

    def _pages(self) -> Source:
        act = self._acted if self._run_command else None
        return Source(facts=self._look, ask=self._asked, troubles=self._notes, act=act, who=partial(who, self.engine))

    async def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        with _asking_the_store():
            return await self.app.store.run(question, self.app.world, *arguments)

    async def _acted(self, command: str, arguments: Told) -> Told:
        """What somebody wants from the page; the next look sees what came of it."""
        try:
            with _asking_the_store():
                return await self._handed_over(self.app, command, arguments, lambda told: None)
        finally:
            self._facts = None

    def _notes(self) -> list[str]:
        """Why not all is known to be in step, besides what the store tells."""
        notes = ["the first look is under way"] if self.engine.learning else []
        count = len(self._sweeping)
        notes += [f"{count} lists are read whole before all is known to be in step"] if count else []
        return [*self.troubles(), *notes]

    def _listen(self, action: str, facts: Mapping[str, Any]) -> None:
        if action == "walked":
            self._sweeping.discard((facts["connection"], facts["walk"]))

    async def _measured(self) -> bytes:
        with _asking_the_store():
            return await self._metrics.measured(self.app)


# --- what is asked of the store ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _asking_the_store() -> Iterator[None]:
    """For the port: a database that does not answer is no bug of ours, and whoever asked may ask again."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        log.exception("The store does not answer.", action="store_away")
        raise Unavailable("the database does not answer", retry_after_s=AGAIN_S) from error


_intents = schema.intents.c
_UNDER_WAY = sa.select(sa.func.count()).where(_intents.state == "sent")


_SWEEPING = sa.select(schema.cursors.c.connection, schema.cursors.c.walk).where(schema.cursors.c.mode == "sweep")


def _has_writes_under_way(connection: sa.Connection) -> bool:
    return bool(connection.execute(_UNDER_WAY).scalar_one())


def _sweeps_under_way(connection: sa.Connection) -> set[tuple[str, str]]:
    return {(row.connection, row.walk) for row in connection.execute(_SWEEPING)}
