"""The core under deterministic simulation: memory systems, stepped clock, people, faults, crashes, and the judges.

One hub whose people are sets of rows and two spokes, as the real systems force it. A seed draws the world, what people
do to it and when, which faults there are and when the process dies. The judges read the servers' own logs.
"""

import asyncio
import contextlib
import functools
import gc
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from connectors.memory import MAPPING, WORDS, MemoryConnector, MemorySystem, Thing
from syncd import schema
from syncd.agenda import left_to_do, unswept
from syncd.clock import run_stepped
from syncd.cycle import Engine, Lane
from syncd.limits import Priority
from syncd.mapping import build, canonical
from syncd.model import Kind, Ref
from syncd.reconcile import End
from syncd.setup import Connection, Pair, World
from syncd.store import Store, open_engine, told_last
from syncd.work import BESIDE
from tests.simulation import verdicts
from tests.simulation.deletions import Deletions, judge_deletions
from tests.simulation.times import OwnClock, clock_of, steps_of

START = 1_800_000_000.0
POLL_S = 90.0
SWEEP_S = 120.0
DAYS = (1.0, 1.0, 1.0, 4.0)  # minutes that people work; a seed draws one
LOOK_S = 30.0  # between two looks whether all has come to rest


FAULTS = (*MemorySystem.FAULTS, "limited")


class Crash(BaseException):
    """The process dies here."""


class NoRoad:
    """Calls without limits."""

    @contextlib.contextmanager
    def calling(self, priority: Priority) -> Iterator[None]:
        yield

    @contextlib.asynccontextmanager
    async def reserved(self, calls: int, priority: Priority) -> Any:
        yield


def digest(name: str, text: str) -> str:
    return f"{hash_of(name + '/' + text):016x}"


def hash_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def seal(values: Mapping[str, Any], about: str) -> bytes:
    return orjson.dumps([about, values])


def unseal(sealed: bytes, about: str) -> dict[str, object]:
    named, values = orjson.loads(sealed)
    assert named == about
    return values


@dataclass
class Faults:
    """Which faults a seed has, and how often each call meets one."""

    kinds: tuple[str, ...]
    share: float
    rng: random.Random
    on: bool = True
    fired: dict[str, int] = field(default_factory=dict)

    def __call__(self, method: str, what: str) -> str | None:
        if not self.on or not self.kinds or self.rng.random() >= self.share:
            return None
        kind = self.rng.choice(self.kinds)
        self.fired[kind] = self.fired.get(kind, 0) + 1
        return kind


@dataclass(frozen=True)
class Options:
    """What a run may be told besides its seed; ``crash_at``: die at the n-th moment (commit or call) of the run."""

    crash_at: int | None = None
    crash_share: float = 0.0
    faults: tuple[str, ...] | None = None
    minutes: float | None = None  # None: drawn
    poll_s: float = POLL_S
    deletes: bool = False  # whether people may delete; a seed draws whether they do
    small: bool = False  # one job, two people, three scripted acts: for running it once per crash point


class Simulation:
    """One seed, from its world to its verdict."""

    conditions: frozenset[str] = frozenset()  # see ``bare``

    def __init__(self, seed: int, options: Options | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # the world and what people do
        self.chance = random.Random(f"chance {seed}")  # crashes, and what the engine draws
        self.options = options or Options()
        self.day_s = 60 * (self.rng.choice(DAYS) if self.options.minutes is None else self.options.minutes)
        self.clock = clock_of(seed, START, unsteady=self.options.deletes)
        self.ours = OwnClock(self.clock, steps_of(seed, unsteady=self.options.deletes))
        # Where no version tells whether a lost write took effect, a person is asked: the small day's systems have one.
        versions = self.rng.random() < 0.8 or self.options.small
        self.hub = MemorySystem("rows", self.clock, prefix="h", versions=versions)
        self.plain = MemorySystem("plain", self.clock, prefix="p", versions=versions)
        self.newborn = MemorySystem("newborn", self.clock, prefix="n", versions=versions)
        self.systems = {"hub": self.hub, "plain": self.plain, "newborn": self.newborn}
        self.moments = 0
        self.state = (0, 0)
        self.changing_moments: list[int] = []  # at which something stands otherwise than a moment before
        self.crashes = 0
        self.crashing = False
        self.violations: list[str] = []
        self.faults = self._draw_faults()
        self.deletions = Deletions(self)
        self.one_way = self.rng.random() < 0.2 and not self.options.small
        self.world = self._world()
        self.store = Store(open_engine("sqlite:///:memory:"), self.ours, threaded=False)
        self.database: Any = self.store.engine.raw_connection().driver_connection
        self.database.executescript(_tables())
        self.store.around = self._moment
        for system in self.systems.values():
            system.fault = self.faults
            system.crash = self._moment
        self._population()

    def _draw_faults(self) -> Faults:
        quiet = self.rng.random() < 0.25
        kinds = tuple(f for f in MemorySystem.FAULTS if self.rng.random() < 0.4)
        if self.options.faults is not None:
            kinds, quiet = self.options.faults, False
        elif self.options.deletes and random.Random(f"limited {self.seed}").random() < 0.4:
            kinds += ("limited",)
        return Faults(() if quiet else kinds, self.rng.choice((0.02, 0.1, 0.3)), random.Random(self.rng.random()))

    def _world(self) -> World:
        vocabulary, poll_s = build(MAPPING, {}, "memory"), self.options.poll_s
        made = {
            name: Connection(
                name, system.facts, vocabulary, poll_s=poll_s, sweep_s=poll_s * SWEEP_S / POLL_S, overlap_s=5.0
            )
            for name, system in self.systems.items()
        }
        both = frozenset(End)
        right = frozenset({End.RIGHT})
        flows = {Kind.JOB: right, Kind.CANDIDATE: right if self.one_way else both, Kind.APPLICATION: both}
        pairs = tuple(Pair(f"to_{name}", made["hub"], made[name], flows) for name in ("plain", "newborn"))
        return World(made, pairs, digest, seal, unseal, stamp=f"seed{self.seed}")

    # people

    def _population(self) -> None:
        rng = self.rng
        if self.options.small:
            self.hub.add(Kind.JOB, {"title": "Job 0", "code": "J0", "status": "open"})
            self.apply("Person 0", "p0@example.com", "hub")
            self.apply("Person 1", "p1@example.com", "hub")
            return
        for number in range(rng.randint(1, 3)):
            self.add_job(number)
        for number in range(rng.randint(2, 6)):
            self.apply(f"Person {number}", f"p{number}@example.com", rng.choice(list(self.systems)))
        if rng.random() < 0.6:
            self._same_person_elsewhere()

    def add_job(self, number: int) -> None:
        fields = {"title": f"Job {number}", "code": f"J{number}", "status": "open"}
        self.hub.add(Kind.JOB, fields)
        for spoke in (self.plain, self.newborn):
            if self.rng.random() < 0.4:
                spoke.add(Kind.JOB, {**fields, "code": fields["code"] if self.rng.random() < 0.5 else None})

    def apply(self, name: str, email: str, where: str, job: str | None = None) -> None:
        system = self.systems[where]
        jobs = system.of(Kind.JOB)
        person = {"name": name, "email": email, "phone": self.phone() if self.rng.random() < 0.7 else None}
        if not jobs:
            return
        chosen = job or self.rng.choice(jobs).ref.id
        stage = self.rng.choice(["New", "New", "Screen", "Talk"])
        if system.facts.rows:
            system.add(Kind.APPLICATION, {**person, "stage": stage}, parents={Kind.JOB: chosen})
        else:
            id_ = system.add(Kind.CANDIDATE, person)
            parents = {Kind.JOB: chosen, Kind.CANDIDATE: id_}
            system.add(Kind.APPLICATION, {"stage": stage}, parents=parents)

    def _same_person_elsewhere(self) -> None:
        for thing in list(self.hub.of(Kind.APPLICATION)):
            title = self.hub.things[Ref(Kind.JOB, thing.parents[Kind.JOB])].fields["title"]
            twins = [job for job in self.plain.of(Kind.JOB) if job.fields["title"] == title]
            known = {str(t.fields["email"]) for t in self.plain.of(Kind.CANDIDATE)}
            if twins and str(thing.fields["email"]) not in known and self.rng.random() < 0.5:
                self.apply(str(thing.fields["name"]), str(thing.fields["email"]).upper(), "plain", twins[0].ref.id)

    def phone(self) -> str:
        return f"+1202555{self.rng.randrange(10_000):04d}"

    def act(self) -> None:
        """A person does one thing somewhere."""
        often = [self._edit, self._edit, self._move, self._move, self._move]
        acts = [*often, self._aba, self._both_sides, self._comment, self._apply_again, self._newcomer]
        self.rng.choice(acts)()

    def _any(self, kind: Kind, where: MemorySystem | None = None) -> tuple[MemorySystem, Ref] | None:
        system = where or self.rng.choice(list(self.systems.values()))
        listed = Kind.APPLICATION if system.facts.rows and kind is Kind.CANDIDATE else kind
        things = system.of(listed)
        return (system, self.rng.choice(things).ref) if things else None

    def _edit(self) -> None:
        found = self._any(Kind.CANDIDATE, self.hub if self.one_way else None)
        if found is not None:
            system, ref = found
            if self.rng.random() < 0.8:
                system.edit(ref, {"phone": self.phone()})
            else:
                system.edit(ref, {"name": f"Name {self.rng.randrange(1000)}"})

    def _move(self) -> None:
        found = self._any(Kind.APPLICATION)
        if found is not None:
            system, ref = found
            system.edit(ref, {"stage": self.rng.choice(list(WORDS))})

    def _aba(self) -> None:
        found = self._any(Kind.APPLICATION)
        if found is not None:
            system, ref = found
            before = system.things[ref].fields["stage"]
            system.edit(ref, {"stage": self.rng.choice(list(WORDS))})
            wait = self.rng.choice([0.02, 0.2, 1.0, 30.0, 90.0])
            self.later(wait, lambda: ref in system.things and system.edit(ref, {"stage": before}))

    def _both_sides(self) -> None:
        found = self._any(Kind.APPLICATION)
        if found is None:
            return
        system, ref = found
        who = self.identity(system, ref)
        system.edit(ref, {"stage": self.rng.choice(list(WORDS))})
        for other in self.systems.values():
            for thing in other.of(Kind.APPLICATION):
                if other is not system and self.identity(other, thing.ref) == who and self.rng.random() < 0.7:
                    other.edit(thing.ref, {"stage": self.rng.choice(list(WORDS))})

    def _comment(self) -> None:
        found = self._any(Kind.APPLICATION, self.hub)
        if found is not None:
            self.hub.touch(found[1])

    def _apply_again(self) -> None:
        found = self._any(Kind.APPLICATION, self.hub)
        if found is None:
            return
        row = self.hub.things[found[1]]
        taken = {t.parents[Kind.JOB] for t in self.hub.of(Kind.APPLICATION) if same_mail(t, row)}
        free = [job.ref.id for job in self.hub.of(Kind.JOB) if job.ref.id not in taken]
        if free:
            fields = {**{n: row.fields[n] for n in ("name", "email", "phone")}, "stage": "New"}
            self.hub.add(Kind.APPLICATION, fields, parents={Kind.JOB: self.rng.choice(free)})

    def _newcomer(self) -> None:
        number = self.rng.randrange(10_000, 99_999)
        self.apply(f"Person {number}", f"p{number}@example.com", self.rng.choice(list(self.systems)))

    def later(self, wait_s: float, act: Callable[[], Any]) -> None:
        async def then() -> None:
            await self.clock.sleep_until(self.clock.now() + wait_s)
            act()

        self._tasks.append(asyncio.ensure_future(then()))

    # crashes

    def _moment(self, moment: str) -> None:
        """A commit or a call begins or ends; here the process may die."""
        self.moments += 1
        if self.options.small:
            self._mark_change(is_committed=moment == "after")
        dies = self.crashing and self.chance.random() < self.options.crash_share
        if dies or self.moments == self.options.crash_at:
            self.crashes += 1
            raise Crash(moment)

    def _mark_change(self, *, is_committed: bool) -> None:
        """Whether what outlives the process, what is committed and what the systems were told, has just changed."""
        committed = self.database.total_changes if is_committed else self.state[0]
        told = sum(entry.action not in ("read", "lost") for system in self.systems.values() for entry in system.log)
        if (committed, told) != self.state:
            self.state = (committed, told)
            self.changing_moments.append(self.moments)

    # the run

    def run(self) -> "Simulation":
        """Play the seed; violations are collected in ``violations``."""
        run_stepped(self.clock, self._main())
        return self

    async def _main(self) -> None:
        self._tasks: list[asyncio.Future[Any]] = []
        await self._first_look()
        self.crashing = True
        people = asyncio.ensure_future(self._people())
        self._tasks += self._steps()
        await self._serve_until(self.clock.now() + self.day_s)
        while not people.done():  # they wait for what a crash has delayed
            await self._serve_until(self.clock.now() + 10.0)
        await people
        await asyncio.gather(*self._tasks)
        self.crashing, self.faults.on = False, False
        await self._heal()
        verdicts.judge_safety(self)
        await self._judge_convergence()
        if not self.options.small and self.seed % 3 == 0:  # a further sweep costs a fifth of a run
            await self._judge_quiet()

    def _steps(self) -> list[asyncio.Future[Any]]:
        chance, end = self.ours.chance, self.clock.now() + self.day_s
        return [asyncio.ensure_future(self.ours.wander(chance, end))] if chance is not None else []

    async def _heal(self) -> None:
        """Time in which nobody does anything: until each list was walked whole once more and nothing waits.

        To who sees the clock set forward by many sweeps, no list counts as walked: the sources are told once more.
        """
        if self.ours.chance is not None:
            self.ours.set_right()
        if self.ours.off_s > 0:
            await self._serve_until(self.clock.now() + SWEEP_S + POLL_S)
        healed, latest = self.ours.now(), self.clock.now() + 3 * SWEEP_S + 2 * POLL_S
        while self.clock.now() < latest:
            await self._serve_until(self.clock.now() + LOOK_S)
            unread = await self.store.run(self._unread, healed)
            if not unread and not await self.store.run(left_to_do):
                return
        if unread:
            self.violations.append(f"I23 {unread} were never walked whole again")

    def _unread(self, connection: sa.Connection, healed: float) -> Any:
        walks = [(name, walk.name) for name in self.world.connections for walk in self.world.walks_of(name)]
        return unswept(connection, walks, healed)

    async def _script(self) -> None:
        """The small world's acts: a move at the hub, a correction at a spoke, a newcomer at the other."""
        await self.clock.sleep_until(START + 20.0)
        self.hub.edit(self.hub.of(Kind.APPLICATION)[0].ref, {"stage": "Deal"})
        waits = 0
        while len(self.plain.of(Kind.CANDIDATE)) < 2 or not self.newborn.of(Kind.JOB):  # a crash may have come between
            await self.clock.sleep_until(self.clock.now() + 1.0)
            waits += 1
            assert waits < 200, "what stood at the hub has not come to the spokes"
        second = next(one for one in self.plain.of(Kind.CANDIDATE) if one.fields["name"] == "Person 1")
        self.plain.edit(second.ref, {"phone": "+12025550100"})
        self.apply("Person 2", "p2@example.com", "newborn")

    async def _people(self) -> None:
        if self.options.small:
            await self._script()
            return
        end = self.clock.now() + self.day_s
        while self.clock.now() < end:
            await self.clock.sleep_until(self.clock.now() + self.rng.choice([0.03, 0.5, 5.0, 20.0, 60.0]))
            self.act()
            if self.options.deletes:
                self.deletions.follow()

    def engine(self) -> Engine:
        if self.ours.chance is not None:
            with self.store.engine.connect() as connection:  # no moment of a run: nobody dies in it
                self.ours.begin_again(told_last(connection))
        lanes = {
            name: Lane(self.world.connections[name], MemoryConnector(system), NoRoad())
            for name, system in self.systems.items()
        }
        return Engine(self.world, self.store, self.ours, random.Random(self.chance.random()), lanes)

    async def _first_look(self) -> None:
        while True:
            engine = self.engine()
            try:
                await engine.begin()
                await engine.learn()
            except Crash:
                continue
            return

    async def _serve_until(self, end: float) -> None:
        while self.clock.now() < end:
            engine = self.engine()
            engine.scheduled = True
            try:
                await engine.begin()
                await self._drive(engine, end)
            except Crash:
                self._count_as_begun()
                self._lose_reads()
                await self.clock.sleep_until(self.clock.now() + 1.0)

    def _count_as_begun(self) -> None:
        """A write that was committed as sent just before the process died may have gone out, as far as we can know."""
        with self.store.engine.connect() as connection:
            table = schema.intents.c
            out = sa.select(schema.intents).where(
                table.state == "sent", table.call.not_in(sorted(BESIDE)), table.ref.is_not(None)
            )
            for intent in connection.execute(out):
                sent = self.world.unseal(intent.sent_values, f"{intent.id}/sent")
                word = {"stage": sent["word"]} if "stage" in sent["fields"] else {}
                begun = (self.clock.now(), Ref(Kind(intent.kind), intent.ref), {**sent["fields"], **word})
                self.systems[intent.connection].begun.append(begun)

    def _lose_reads(self) -> None:
        """What had just been read when the process died may not have been kept: no judge may count on it."""
        for system in self.systems.values():
            recent = [entry.no for entry in system.log if entry.at >= self.clock.now() - 0.1]
            system.lose_reads(min(recent, default=len(system.log)))

    async def _drive(self, engine: Engine, end: float) -> None:
        drives = [asyncio.ensure_future(engine.drive(lane)) for lane in engine.lanes.values()]
        over = asyncio.ensure_future(self.clock.sleep_until(end))
        try:
            done, _ = await asyncio.wait({over, *drives}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (over, *drives):
                task.cancel()
            await asyncio.gather(over, *drives, return_exceptions=True)

    # judging

    def identity(self, system: MemorySystem, ref: Ref) -> tuple[str, ...]:
        """Who or what a record is, whatever the system: a job's title, a person's mail, both for an application."""
        thing = self._thing(system, ref)
        if ref.kind is Kind.JOB:
            return (str(thing.fields["title"]),)
        if ref.kind is Kind.CANDIDATE:
            return (canonical("email", thing.fields["email"]),)
        job = self._thing(system, Ref(Kind.JOB, thing.parents[Kind.JOB]))
        person = thing if system.facts.rows else self._thing(system, Ref(Kind.CANDIDATE, thing.parents[Kind.CANDIDATE]))
        return (canonical("email", person.fields["email"]), str(job.fields["title"]))

    def _thing(self, system: MemorySystem, ref: Ref) -> Thing:
        """A record that stands there, or that somebody has deleted."""
        return system.things.get(ref) or self.deletions.removed[ref]

    def by_identity(self, system: MemorySystem, kind: Kind) -> dict[tuple[str, ...], list[Ref]]:
        """The records of a kind by who they are; a row is a person as well."""
        found: dict[tuple[str, ...], list[Ref]] = {}
        listed = Kind.APPLICATION if system.facts.rows and kind is Kind.CANDIDATE else kind
        for thing in system.of(listed):
            who = self.identity(system, thing.ref)
            found.setdefault(who[:1] if kind is Kind.CANDIDATE else who, []).append(thing.ref)
        return found

    def holds(self) -> list[Any]:
        with self.store.engine.connect() as connection:
            return list(connection.execute(sa.select(schema.holds)))

    def held_refs(self) -> set[tuple[str, str, str, str]]:
        """(connection, kind, id, field) of everything that waits for a person, both ends of a held link."""
        held = set()
        with self.store.engine.connect() as connection:
            links = {link.id: link for link in connection.execute(sa.select(schema.links))}
        for hold in self.holds():
            names = hold.field.split() or [""]
            for name in names:
                held.add((hold.connection, hold.kind, hold.ref, name))
                link = links.get(hold.link)
                if link is not None:
                    pair = self.world.pair(link.pair)
                    held.add((pair.left.name, link.kind, link.left or "", name))
                    held.add((pair.right.name, link.kind, link.right or "", name))
        return held

    async def _judge_convergence(self) -> None:
        for _ in range(6):  # a poll may just have begun
            if not (left := await self.store.run(left_to_do)):
                break
            await self._serve_until(self.clock.now() + 7.0)
        else:
            self.violations.append(f"I22 {left} things are stuck")
        held = self.held_refs()
        members = self._members()
        for spoke in ("plain", "newborn"):
            for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION):
                self._compare(spoke, kind, held, members)
        verdicts.judge_reads(self)
        verdicts.judge_words(self)
        verdicts.judge_endings(self)
        judge_deletions(self)
        verdicts.judge_holds(self)

    def _members(self) -> dict[str, str]:
        with self.store.engine.connect() as connection:
            return {m.row: m.person for m in connection.execute(sa.select(schema.members))}

    def _compare(
        self, spoke: str, kind: Kind, held: set[tuple[str, str, str, str]], members: Mapping[str, str]
    ) -> None:
        hub, other = self.by_identity(self.hub, kind), self.by_identity(self.systems[spoke], kind)

        def is_held(where: str, ref: Ref, name: str) -> bool:
            ids = {ref.id, members.get(ref.id, ref.id)} if where == "hub" and kind is Kind.CANDIDATE else {ref.id}
            return any({(where, kind.value, id_, name), (where, kind.value, id_, "")} & held for id_ in ids)

        for who in sorted(hub.keys() | other.keys()):
            ours, theirs = hub.get(who, []), other.get(who, [])
            if not ours or not theirs:
                self._judge_absence(spoke, kind, who, ours, theirs, held, members)
                continue
            fields = {"job": ("title", "status"), "candidate": ("name", "phone"), "application": ("stage",)}[kind.value]
            for name in fields:
                told = {canonical(name, self.hub.things[ref].fields.get(name)) for ref in ours}
                told |= {canonical(name, self.systems[spoke].things[ref].fields.get(name)) for ref in theirs}
                is_open = any(is_held("hub", ref, name) for ref in ours) or any(is_held(spoke, r, name) for r in theirs)
                if len(told) > 1 and not is_open and not self._is_left_alone(spoke, kind, who, name):
                    self.violations.append(f"I20 {kind} {who} {name}: {sorted(told)} at hub and {spoke}, not held")

    def _is_left_alone(self, spoke: str, kind: Kind, who: tuple[str, ...], name: str) -> bool:
        """Rows that differed at first sight are left, and in a one-way world what a spoke's people say of people."""
        if kind is Kind.CANDIDATE:
            rows = [thing for thing in self.hub.of(Kind.APPLICATION) if self.identity(self.hub, thing.ref)[:1] == who]
            first = [thing for thing in rows if len(rows) > 1]
            if self.one_way and self._was_said(spoke, who, name):
                return True
            return bool(first and self._differed_at_first(rows, name))
        return False

    def _was_said(self, spoke: str, who: tuple[str, ...], name: str) -> bool:
        """Whether the spoke's own people said so about somebody."""
        system = self.systems[spoke]
        return any(
            entry.by == "human" and name in entry.after
            for entry in system.log
            if entry.ref.kind is Kind.CANDIDATE
            if self.identity(system, entry.ref)[:1] == who
        )

    def _differed_at_first(self, rows: list[Any], name: str) -> bool:
        """Whether a row told another value than its person's other rows when it was first read."""
        refs, values, read = {row.ref for row in rows}, {}, set()
        for entry in self.hub.log:
            if entry.ref not in refs:
                continue
            if name in entry.after:
                values[entry.ref] = entry.after[name]
            if entry.action == "read" and entry.ref not in read:
                read.add(entry.ref)
                if len({values.get(ref) for ref in read}) > 1:
                    return True
        return False

    def _judge_absence(
        self,
        spoke: str,
        kind: Kind,
        who: tuple[str, ...],
        ours: list[Ref],
        theirs: list[Ref],
        held: set[tuple[str, str, str, str]],
        members: Mapping[str, str],
    ) -> None:
        where, refs = ("hub", ours) if ours else (spoke, theirs)
        if self.deletions.excuse(spoke if ours else "hub", kind, who):
            return
        if where == spoke and (kind is Kind.JOB or (kind is Kind.CANDIDATE and self.one_way)):
            return
        if where == spoke and self.one_way:
            return
        ids = [members.get(ref.id, ref.id) if where == "hub" and kind is Kind.CANDIDATE else ref.id for ref in refs]
        if any((where, kind.value, id_, "") in held for id_ in ids):
            return
        if kind is Kind.CANDIDATE and self._person_waits(where, refs, held):
            return
        is_application = kind is Kind.APPLICATION
        if is_application and (not self._job_is_shared(spoke, who) or self._is_asked(where, refs, held, members)):
            return
        self.violations.append(f"I20 {kind} {who} of {where} is missing at {'hub' if where == spoke else spoke}")

    def _person_waits(self, where: str, refs: list[Ref], held: set[tuple[str, str, str, str]]) -> bool:
        """A person without an application that can be made on the other side stays away."""
        system = self.systems[where]
        ids = {ref.id for ref in refs}
        own = [t for t in system.of(Kind.APPLICATION) if t.parents.get(Kind.CANDIDATE, t.ref.id) in ids]
        shared = [t for t in own if self._job_is_shared("plain", self.identity(system, t.ref))]
        return not shared or all((where, "application", t.ref.id, "") in held for t in shared)

    def _is_asked(
        self, where: str, refs: list[Ref], held: set[tuple[str, str, str, str]], members: Mapping[str, str]
    ) -> bool:
        """Whether it is asked who they are that applied: before that is known, nobody's application is entered."""
        things = [self.systems[where].things[ref] for ref in refs]
        persons = [one.parents.get(Kind.CANDIDATE) or members.get(one.ref.id, one.ref.id) for one in things]
        return all((where, "candidate", person, "") in held for person in persons)

    def _job_is_shared(self, spoke: str, who: tuple[str, ...]) -> bool:
        titles = {str(t.fields["title"]) for t in self.hub.of(Kind.JOB)}
        return who[-1] in titles

    async def _judge_quiet(self) -> None:
        before = self.writes()
        await self._serve_until(self.clock.now() + SWEEP_S + 30.0)
        after = self.writes()
        if after != before:
            self.violations.append(f"I21 {after - before} writes after all was in step")

    def writes(self) -> int:
        return sum(
            1
            for system in self.systems.values()
            for entry in system.log
            if entry.by == "api" and entry.action not in ("read", "lost")
        )


@functools.cache
def _tables() -> str:
    """The statements that make our tables: thousands of runs begin with them."""
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    told: Any = engine.raw_connection().driver_connection
    made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    return ";\n".join(sql for (sql,) in told.execute(made))


def same_mail(one: Any, other: Any) -> bool:
    return canonical("email", one.fields["email"]) == canonical("email", other.fields["email"])


def play(seed: int, options: Options | None = None) -> Simulation:
    """Run one seed; raise with everything needed to look into it if an invariant broke."""
    gc.disable()  # a run is soon over; looking through its memory again and again would take a tenth of its time
    try:
        simulation = Simulation(seed, options).run()
    finally:
        gc.enable()
    if simulation.violations:
        log = sorted(
            (entry.at, name, entry.by, entry.action, str(entry.ref), dict(entry.after))
            for name, system in simulation.systems.items()
            for entry in system.log
            if entry.action not in ("read", "lost")
        )[-40:]
        lines = [f"seed {seed}: {simulation.violations[0]}", *simulation.violations[1:6], *map(str, log)]
        raise AssertionError("\n".join(lines))
    return simulation
