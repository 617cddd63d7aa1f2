"""A stage on which a small world and what happens in it is played with deaths, and judged.

A script is a generator: what it does, people do; what it yields is waited for (seconds, or a condition), or is a
command or a webhook that goes through the running process and is given again if that dies before it has answered. The
world is in step when the script begins, and the play is over when nothing is left to do and every list was read once
more. The stage judges by the systems' own logs: each effect as often as if nobody had died.
"""

import asyncio
import copy
import re
import types
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
import structlog

from connectors.memory import Entry, MemorySystem
from syncd import schema
from syncd.agenda import left_to_do
from syncd.clock import run_stepped
from syncd.cycle import Engine, Lane
from syncd.model import Kind, Ref
from syncd.store import open_engine
from tests.simulation.core import Crash
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, SmallWorld

PATIENCE_S = 4000.0  # virtual seconds after which a play that does not come to rest never will
LOOK_S = 5.0  # between two looks whether it has


@dataclass(frozen=True)
class Command:
    """What an operator or a sender asks of the running process: a function over ``Work`` in one transaction.

    ``is_done``: whether an earlier, unanswered one took effect; then it is not given again.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    is_done: Callable[[], bool] = lambda: False


Wait = float | Callable[[], bool] | Command
Script = Callable[["Stage"], Iterator[Wait]]


@dataclass(frozen=True)
class Scenario:
    """A world that is in step, and a script. ``makes``: its deaths are played in pairs too.

    ``felt``: the call that is felt by a person, and so happens at most once. ``race``: what two people said at the
    same time, of which either may come first.
    """

    sentence: str
    world: Callable[[sa.Engine], SmallWorld]
    script: Script
    makes: bool = False
    felt: str | None = None
    race: Callable[["Stage"], str | None] | None = None


@cache
def in_memory() -> sa.Engine:
    """The database of all plays that name none."""
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    return engine


@dataclass
class _Kept:
    """A prepared world, to be put back before each play."""

    world: SmallWorld
    put_back: Callable[[], None]
    connectors: Any
    at: float


_KEPT: dict[Any, _Kept] = {}


def _copied(world: SmallWorld, connectors: Any) -> Any:
    """Connectors with their systems, as they are now; time and facts are shared."""
    facts = [thing.facts for thing in connectors.values()] + [thing.system.facts for thing in connectors.values()]
    return copy.deepcopy(connectors, {id(one): one for one in [world.clock, *facts]})


def prepared(made: Callable[[sa.Engine], SmallWorld], database: sa.Engine) -> SmallWorld:
    """A world that is in step; made once and put back as it was."""
    if (made, database) not in _KEPT:
        _emptied(database)
        world = made(database)
        _KEPT[made, database] = _Kept(world, _saved(database), _copied(world, world.connectors), world.clock.now())
    kept = _KEPT[made, database]
    world = kept.world
    kept.put_back()
    world.connectors = _copied(world, kept.connectors)
    world.systems = {name: connector.system for name, connector in world.connectors.items()}
    world.clock._offset, world.clock._sleepers = kept.at, []
    return world


def _emptied(database: sa.Engine) -> None:
    with database.begin() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(sa.delete(table))


def _saved(database: sa.Engine) -> Callable[[], None]:
    """What puts a database back as it is now."""
    if database.dialect.name == "sqlite":
        driven = _driven(database)
        saved = type(driven)(":memory:")
        driven.backup(saved)
        return lambda: saved.backup(driven)
    with database.connect() as connection:
        rows = {t: connection.execute(sa.select(t)).mappings().all() for t in schema.metadata.sorted_tables}

    def put_back() -> None:
        _emptied(database)
        with database.begin() as connection:
            for table, there in rows.items():
                if there:
                    connection.execute(sa.insert(table), [dict(row) for row in there])

    return put_back


def _driven(engine: sa.Engine) -> Any:
    return engine.raw_connection().driver_connection


@dataclass
class Told:
    """How a play ended: what stands where, what was done by us, what waits for a person."""

    standing: dict[str, list[str]]
    effects: Counter[str]
    felt: Counter[str]
    holds: list[str]


class Stage:
    """One play of a scenario. ``deaths``: the numbers of the moments at which the process dies, each counted anew.

    ``moments`` are those at which something stands otherwise than a moment before, ``counts`` says how many there were,
    each for every life of the process. ``stop_at``: the number of the await at which the process is told to end.
    """

    patience_s = PATIENCE_S

    def __init__(
        self,
        scenario: Scenario,
        deaths: tuple[int, ...] = (),
        *,
        stop_at: int | None = None,
        database: sa.Engine | None = None,
    ) -> None:
        self.scenario = scenario
        self.world = prepared(scenario.world, database or in_memory())
        self.store, self.clock = self.world.store, self.world.clock
        self.deaths = list(deaths)
        self.died = 0
        self.is_dead = False
        self.problems: list[str] = []
        self.moments: list[list[int]] = [[]]
        self.counts = [0]
        self.triggers: list[tuple[str, str, str, Any]] = []
        self.stop_at, self.awaits = stop_at, 0
        self.is_calm = stop_at is None and not deaths
        self._committed = 0
        self._state: tuple[int, int] | None = None
        self._wait: Wait | None = None
        self._acts = self.scenario.script(self)
        self._over = False
        self._tasks: list[asyncio.Future[Any]] = []
        self._acted_at = self.clock.now()
        self.store.around = self._commit
        for name_, system in self.world.systems.items():
            system.crash = self._passes
            system.fault = lambda method, what, name=name_: self._calls(name, method, what)

    # what scripts use

    def __getattr__(self, name: str) -> MemorySystem:
        """A system by its name."""
        try:
            return self.__dict__["world"].systems[name]
        except KeyError:
            raise AttributeError(name) from None

    def desk(self, name: str) -> Any:
        return self.world.connectors[name].desk

    def when(self, name: str, method: str, what: str, then: Any) -> None:
        """At the next such call: a fault's name, or what a person does just before it arrives."""
        self.triggers.append((name, method, what, then))

    def one(self, name: str, kind: Kind, /, **fields: Any) -> Any:
        """The one record of a system with these fields; None: there is none."""
        found = [t for t in self.world.systems[name].of(kind) if fields.items() <= t.fields.items()]
        return found[0] if found else None

    def told(self, name: str, kind: Kind, /, **fields: Any) -> Callable[[], bool]:
        """The condition that a system tells such a record."""
        return lambda: self.one(name, kind, **fields) is not None

    def apply(self, name: str, who: str, stage: str = "New", **more: Any) -> str:
        """Somebody applies at the hub's first job."""
        system = self.world.systems[name]
        email = f"{who.lower()}@example.com"
        person = {"name": who, "email": email, "phone": "+12025550100", **more}
        job = system.of(JOB)[0].ref.id
        if system.facts.rows:
            return system.add(APPLICATION, {**person, "stage": stage}, parents={JOB: job})
        id_ = system.add(CANDIDATE, person)
        return system.add(APPLICATION, {"stage": stage}, parents={JOB: job, CANDIDATE: id_})

    # moments

    def _written(self) -> Iterator[Entry]:
        """What was ever changed in the systems, by whomever."""
        for system in self.world.systems.values():
            yield from (entry for entry in system.log if entry.action not in ("read", "lost"))

    def _effects(self) -> int:
        """How much was ever done in the systems, by whomever."""
        count = sum(1 for _ in self._written())
        for connector in self.world.connectors.values():
            desk = getattr(connector, "desk", None)
            if desk is not None:
                count += sum(len(part) for part in (desk.attached, desk.remarks, desk.leaves, desk.outcomes))
                count -= len(desk.scheduling)
            count += getattr(connector, "billed", 0)
        return count

    def _commit(self, moment: str) -> None:
        if moment == "after":
            self._committed = self._changes()
        self._passes(moment)

    def _changes(self) -> int:
        """How many rows were ever written; elsewhere than in SQLite nobody asks."""
        return _driven(self.store.engine).total_changes if self.store.engine.dialect.name == "sqlite" else 0

    def _passes(self, moment: str) -> None:
        """A commit or a call begins or ends; here the process may die, and a dead one does nothing any more."""
        if self.is_dead:
            raise Crash(moment)
        self.counts[-1] += 1
        state = (self._committed, self._effects())
        if state != self._state:
            self._state = state
            self.moments[-1].append(self.counts[-1])
        if self.deaths and self.counts[-1] == self.deaths[0]:
            self.deaths.pop(0)
            self.died += 1
            self.is_dead = True
            raise Crash(moment)

    def _calls(self, name: str, method: str, what: str) -> str | None:
        if method != "GET":
            self._judge_durable(name, what)
        for trigger in self.triggers:
            if trigger[:3] == (name, method, what):
                self.triggers.remove(trigger)
                then = trigger[3]
                return then if isinstance(then, str) else then()
        return None

    def _judge_durable(self, name: str, what: str) -> None:
        """I3: whatever goes out, an intent that says so was committed before."""
        table = schema.intents.c
        where = [table.connection == name, table.state == "sent"]
        if what in {*Kind}:  # what lies beside a record is told by the call, not by the kind
            where.append(table.kind == what)
        with self.store.engine.connect() as connection:
            if connection.execute(sa.select(table.id).where(*where)).first() is None:
                self.problems.append(f"I3 {what} reached {name} without an intent")

    # the play

    def play(self) -> "Stage":
        """From the script's begin to the end; ``problems`` tells what broke."""
        with structlog.testing.capture_logs() as self.lines:
            run_stepped(self.clock, self._main())
        if not self._over:
            self.problems.append(f"I22 the play never came to rest: {self._left()}")
        if self.deaths:
            self.problems.append(f"the process never came to die at {self.deaths}")
        return self

    def _left(self) -> list[Any]:
        return [*self.world.select(schema.intents), *self.world.select(schema.marks)]

    async def _main(self) -> None:
        end = self.clock.now() + self.patience_s
        lives = 0
        while not self._over and self.clock.now() < end:
            engine = self.world.engine(seed=lives)
            engine.scheduled = True
            try:
                await engine.begin()
                await self._drive(engine, end)
            except Crash:
                self.is_dead = False
            lives += 1
            await self._begin_anew()

    async def _begin_anew(self) -> None:
        """Another life of the process, a second later."""
        self._state = None
        self.counts.append(0)
        self.moments.append([])
        await self.clock.sleep_until(self.clock.now() + 1.0)

    async def _drive(self, engine: Engine, end: float) -> None:
        driven = [self._watched(engine, lane) for lane in engine.lanes.values()]
        self._tasks = [asyncio.ensure_future(each) for each in [*driven, self._people(engine, end)]]
        tasks = self._tasks
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():  # the process was told to end
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @types.coroutine
    def _watched(self, engine: Engine, lane: Lane) -> Generator[Any, Any, None]:
        """Drive a lane, and count its awaits; at one of them everything is cancelled, as at a shutdown."""
        work = engine.drive(lane)
        step: Callable[[Any], Any] = work.send
        told: Any = None
        while True:
            try:
                awaited = step(told)
            except StopIteration:
                return
            self.awaits += 1
            if self.awaits == self.stop_at:
                for task in self._tasks:
                    task.cancel()
            try:
                told, step = (yield awaited), work.send
            except BaseException as error:  # noqa: BLE001  # whatever comes is the lane's to see
                told, step = error, work.throw

    async def _people(self, engine: Engine, end: float) -> None:
        """What the script does, and then waiting until all is at rest; it goes on where a death has cut it off."""
        while self.clock.now() < end:
            is_over = await self._act(engine)
            if is_over and self._is_at_rest():
                self._over = True
                return
            await self.clock.sleep_until(self.clock.now() + (LOOK_S if is_over else 1.0))

    async def _act(self, engine: Engine) -> bool:
        """Go on in the script as far as nothing is to be waited for; whether it is over."""
        while True:
            if isinstance(self._wait, Command):
                if not self._wait.is_done():
                    await engine.do(self._wait.function, *self._wait.arguments)
            elif callable(self._wait):
                if not self._wait():
                    return False
            elif self._wait is not None and self.clock.now() < self._wait:
                return False
            wait = next(self._acts, self._acts)
            if wait is self._acts:
                self._wait = None
                return True
            self._acted_at = self.clock.now()
            self._wait = self.clock.now() + wait if isinstance(wait, int | float) else wait

    def _is_at_rest(self) -> bool:
        """Whether nothing is left to do, and every list was walked since anything was done anywhere."""
        last = max([self._acted_at, *(entry.at for entry in self._written())])
        with self.store.engine.connect() as connection:
            polled = [cursor.polled_at or 0.0 for cursor in connection.execute(sa.select(schema.cursors))]
            return min(polled) > last and left_to_do(connection) == 0

    # the end

    def ended(self) -> Told:
        """How it ended, whatever the ids."""
        felt: Counter[str] = Counter()
        effects: Counter[str] = Counter()
        for name, connector in self.world.connectors.items():
            for entry in connector.system.log:
                if entry.by == "api" and entry.action not in ("read", "lost"):
                    effects[f"{name} {entry.action} {entry.ref.kind} {sorted(entry.after.items(), key=str)}"] += 1
            for word in _on_desk(connector):
                (felt if word.split()[0] == self.scenario.felt else effects)[f"{name} {word}"] += 1
        return Told(
            {name: self._standing(system) for name, system in self.world.systems.items()},
            effects,
            felt,
            sorted(f"{hold.connection} {hold.kind} {hold.field} {hold.reason}" for hold in self.world.holds()),
        )

    def _standing(self, system: MemorySystem) -> list[str]:
        things = system.things.values()
        return sorted(f"{t.ref.kind} {sorted(t.fields.items(), key=str)} {self._parents(system, t)}" for t in things)

    def _parents(self, system: MemorySystem, thing: Any) -> list[str]:
        found = [system.things.get(Ref(kind, id_)) for kind, id_ in sorted(thing.parents.items())]
        return [str(parent.fields.get("email") or parent.fields.get("title")) for parent in found if parent]


def _on_desk(connector: Any) -> Iterator[str]:
    """What was done beside the records, as words without ids."""
    desk = getattr(connector, "desk", None)
    if desk is None:
        return
    yield from (f"attach {content!r}" for _, _, content in desk.attached)
    yield from (f"{form} {re.sub(r'.sync:.*', '', text)}" for _, form, text in desk.remarks)
    yield from ("screen" for _ in desk.leaves)
    yield from (f"outcome {outcome}" for *_, outcome in desk.outcomes)
    yield from ("scheduling" for _ in desk.scheduling)
    for made in getattr(connector, "batches", {}).values():
        yield f"submit {made.title} {sorted(made.files.values())}"
    yield from ("billed" for _ in range(getattr(connector, "billed", 0)))


def differences(stage: Stage, calm: Told) -> list[str]:
    """What a play that was disturbed did otherwise than a calm one; nothing: it kept every promise."""
    told = stage.ended()
    problems = [*stage.problems]
    if stage.scenario.race is not None:
        problems += [f"more: {made}" for made in told.effects - calm.effects if " create " in made]
        return problems + [problem for problem in [stage.scenario.race(stage)] if problem]
    if told.felt - calm.felt:
        problems.append(f"I2 felt more than once: {told.felt}")
    asked = [hold for hold in told.holds if hold.endswith("unknown_outcome")][: calm.felt.total()]
    if len(asked) < (calm.felt - told.felt).total():
        problems.append("I19 what never happened waits for nobody")
    for hold in asked:  # it did not happen, or it did and left no trace: a person is asked
        told.holds.remove(hold)
    problems += [
        f"{name}: {told.standing[name]}" for name in told.standing if told.standing[name] != calm.standing[name]
    ]
    problems += [f"more: {told.effects - calm.effects}"] if told.effects - calm.effects else []
    problems += [f"less: {calm.effects - told.effects}"] if calm.effects - told.effects else []
    problems += [f"held: {told.holds}"] if told.holds != calm.holds else []
    return problems
