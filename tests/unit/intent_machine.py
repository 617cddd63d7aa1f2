"""The intent machine, explored: every way in which calls, crashes, look-ups and people can follow each other.

The real engine and store stand in a small scene with one write to do. From there each event that is possible is tried,
and from what it leads to each again, breadth first; states that are alike but for times and ids are one. What goes out
is judged at the moment it goes out, and the store after each event.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from syncd import decide, push, schema
from syncd.agenda import agenda_of
from syncd.cycle import Engine, Lane
from syncd.errors import NotSent, OutcomeUnknown, Rejected, Stale, Unavailable
from syncd.model import Kind, Record, Ref
from syncd.rows import IntentRow
from syncd.work import CREATE, IN_FLIGHT, UNSENT
from tests.unit.papers_world import WORDS, PaperConnector, with_papers
from tests.unit.small_world import APPLICATION, BOTH, JOB, TO_RIGHT, OpenRoad, SmallWorld

# What the server makes of a call that is no GET: the error, and whether it took effect first.
ANSWERS: Mapping[str, tuple[Exception | None, bool]] = {
    "did": (None, True),
    "lost after": (OutcomeUnknown("lost"), True),
    "lost before": (OutcomeUnknown("lost"), False),
    "not sent": (NotSent("no connection"), False),
    "refused": (Rejected("no"), False),
    "stale": (Stale("somebody was faster"), False),
}
CRASHES = {"dies before": False, "dies after": True}  # before or after the effect
DID_NOT = {"not sent", "refused", "stale"}  # answers that prove that nothing happened
LEGAL = {"open", "sent", "accepted", "unknown", "held"}
FELT = {"screen"}  # whatever a person feels happens at most once, even if that means never


class Died(BaseException):
    """The process ends within a call."""


class Instant:
    """A clock that is moved by events alone; whoever sleeps is there at once."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep_until(self, at: float) -> None:
        self.at = max(self.at, at)

    def busy(self) -> Any:
        return nullcontext()


def at_once(coroutine: Any) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")


@dataclass(frozen=True)
class Story:
    """What the servers know of one intent: calls since it was last known that none took effect, and effects."""

    out: int = 0
    looks: int = 0  # that told no trace of the last call
    effects: int = 0
    version: int | None = None  # of the target when the call went out


@dataclass(frozen=True)
class State:
    """Everything from which the next event follows."""

    rows: Mapping[str, list[Any]]
    systems: Mapping[str, Any]
    stories: Mapping[str, Story]
    ended: frozenset[str]
    now: float


@dataclass
class Found:
    """What an exploration met."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    closed: bool = False  # nothing is left to explore
    moves: set[tuple[str, str, str]] = field(default_factory=set)  # (state, event, state) of intents
    stuck: int = 0  # states from which patience and answers lead to no rest
    ends: set[str] = field(default_factory=set)  # how it stands where all is at rest


class Machine:
    """One scene: a hub of rows, a plain spoke, one job and one person in step, and something that is to be written."""

    def __init__(self, database: sa.Engine, *, versions: bool = True, spoke: str = "plain", **settings: Any) -> None:
        facts = {"rows": with_papers("rows"), "spoke": with_papers(spoke)}
        self.world = SmallWorld(
            database, "rows", f"spoke={spoke}", facts=facts, words=dict.fromkeys(facts, WORDS), versions=versions,
            flows={JOB: TO_RIGHT, Kind.CANDIDATE: BOTH, APPLICATION: BOTH}, **settings,
        )  # fmt: skip
        self.world.connectors = {name: PaperConnector(system) for name, system in self.world.systems.items()}
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["spoke"]
        self.job = self.hub.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
        self.row = Ref(APPLICATION, self.apply("Ann Lee", "ann@example.com"))
        self.world.live(400.0, learn=True)
        self.database: Any = self.world.store.engine.raw_connection().driver_connection
        assert (self.intents(), self._rows("holds")) == ([], [])
        self.answer, self.unread = "did", False
        self.stories: dict[str, Story] = {}
        self.ended: frozenset[str] = frozenset()
        self.told: list[str] = []
        self._ids = itertools.count(1)

    def apply(self, name: str, email: str) -> str:
        fields = {"name": name, "email": email, "phone": "+12025550100", "stage": "New", "resume": None}
        return self.hub.add(APPLICATION, fields, parents={JOB: self.job})

    def freeze(self) -> None:
        """From now on only events move time, and calls are answered as events say."""
        self.clock = Instant(self.world.clock.now())
        self.world.clock = self.world.store.clock = self.clock  # type: ignore[assignment]
        for name, connector in self.world.connectors.items():
            connector.system.clock = self.clock
            connector._travel = self._road_to(name)
        lanes = {name: Lane(self.world.world.connections[name], one, OpenRoad())
                 for name, one in self.world.connectors.items()}  # fmt: skip
        self.engine = Engine(self.world.world, self.world.store, self.clock, itertools, lanes)  # type: ignore[arg-type]
        self.engine.new_id = lambda: f"i{next(self._ids):06d}"  # type: ignore[method-assign]
        self.engine.rng = type("Rng", (), {"random": lambda _: 0.5})()

    # what the store says, asked in the shortest way

    def _rows(self, table: str) -> list[Any]:
        """All rows of a table, in the order of its columns."""
        return list(self.database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall())

    def intents(self, connection: str | None = None, state: str | None = None) -> list[Any]:
        """The intents, oldest first."""
        names = schema.intents.columns.keys()
        told = self.database.execute(f"SELECT {', '.join(names)} FROM intents ORDER BY made_at, id").fetchall()
        found = [IntentRow(**dict(zip(names, row, strict=True))) for row in told]
        return [one for one in found if connection in (None, one.connection) and state in (None, one.state)]

    # calls

    def _road_to(self, name: str) -> Any:
        async def travel(method: str, what: str, effect: Callable[[], Any]) -> Any:
            if method == "GET":
                if self.unread:
                    raise Unavailable("away")
                return effect()
            return self._take(name, effect)

        return travel

    def _take(self, name: str, effect: Callable[[], Any]) -> Any:
        """A call that changes something arrives at a server."""
        (intent,) = [one for one in self.intents(name) if one.state == "sent"]  # durable first, and one alone
        assert intent.sealed is not None or intent.call in FELT
        assert intent.sent_values is not None
        story = self.stories.get(intent.id, Story())
        assert not story.out, f"{intent.call} goes out again, and nobody knows that it did not happen: {self.told}"
        assert not (intent.call in FELT and story.effects), f"{intent.call} twice: {self.told}"
        thing = self._target(intent)
        version = thing.version if thing is not None else None
        self.stories[intent.id] = story = replace(story, out=1, looks=0, version=version)
        error, takes = ANSWERS.get(self.answer, (None, CRASHES.get(self.answer, False)))
        told = None
        if takes:
            told = effect()
            assert story.effects == 0, f"{intent.call} took effect twice: {self.told}"
            self.stories[intent.id] = replace(story, effects=1)
        if self.answer in CRASHES:
            raise Died
        if self.answer in DID_NOT:
            self._release(intent.id)
        if error is not None:
            raise error
        return told

    def _release(self, id_: str, **changed: Any) -> None:
        """It is known (or a person says) that the last call is no longer out."""
        self.stories[id_] = replace(self.stories.get(id_, Story()), out=0, looks=0, **changed)

    # events

    def events(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """What may happen next, in the state in which the machine is."""
        intents = self.intents()
        if any(one.state == "sent" for one in intents):
            yield "restart", self._restart  # the process died within a call: nothing else happens before it is back
            return
        for name in self.world.systems:
            agenda = self._agenda(name)
            if agenda.lookups:
                yield f"look at {name}", lambda name=name: self._look(name)
                yield f"look in vain at {name}", lambda name=name: self._look(name, unread=True)
            if agenda.opens:
                for answer in (*ANSWERS, *CRASHES):
                    yield f"{name}: {answer}", lambda name=name, answer=answer: self._push(name, answer)
                yield f"{name}: unread", lambda name=name: self._push(name, "did", unread=True)
            if agenda.mark is not None or agenda.detail is not None:
                yield f"read at {name}", lambda name=name: self._read(name)
        if any(one.due > self.clock.now() for one in intents if one.state != "held"):
            yield "wait", self._wait
        yield from self._people(intents)

    def _people(self, intents: list[Any]) -> Iterator[tuple[str, Callable[[], None]]]:
        for system in (self.hub, self.spoke):
            for thing in system.of(APPLICATION)[:1]:
                for stage in self.stages:
                    if thing.fields["stage"] != stage:
                        act = lambda system=system, ref=thing.ref, stage=stage: self._edit(system, ref, stage)  # noqa: E731
                        yield f"{system.prefix} edits", act
        for one in intents:
            if one.state == "held":
                for choice in ("retry", "drop"):
                    yield choice, lambda id_=one.id, choice=choice: self._resolve(id_, choice)

    stages: tuple[str, ...] = ()  # to which people move Ann meanwhile
    secret = ""  # a value that may stand nowhere but in a waiting write

    def _agenda(self, name: str) -> Any:
        return self.world.store.run_now(agenda_of, name, self.clock.now(), [])

    def _lane(self, name: str) -> Lane:
        lane = self.engine.lanes[name]
        lane.parked, lane.failures, lane.rest_until = {}, 0, 0.0
        return lane

    def _push(self, name: str, answer: str, *, unread: bool = False) -> None:
        self.answer, self.unread = answer, unread
        at_once(self.engine._push(self._lane(name), self._agenda(name)))

    def _look(self, name: str, *, unread: bool = False) -> None:
        self.answer, self.unread = "did", unread
        agenda = self._agenda(name)
        if not unread:
            self._count_look(agenda.lookups[0], name)
        at_once(self.engine._look_up(self._lane(name), agenda))

    def _count_look(self, id_: str, name: str) -> None:
        """A look that shows no trace, where none could be hidden by what somebody did since, is evidence; two free."""
        (intent,) = [one for one in self.intents(name) if one.id == id_]
        story = self.stories.get(id_, Story())
        if intent.call in FELT or story.effects:
            return
        if intent.call != CREATE:
            thing = self._target(intent)
            if not self.world.systems[name].versions or thing.version != story.version:
                return
        self.stories[id_] = story = replace(story, looks=story.looks + 1)
        if story.looks >= 2:  # one look may have come too early
            self._release(id_)

    def _read(self, name: str) -> None:
        self.unread = False
        lane, agenda = self._lane(name), self._agenda(name)
        at_once(self.engine._read(lane, agenda) if agenda.mark is not None else self.engine._read_details(lane, agenda))

    def _restart(self) -> None:
        at_once(self.engine.begin())

    def _wait(self) -> None:
        """Time goes by until the next thing is due; meanwhile lists were read and told nothing new."""
        now = self.clock.now()
        self.clock.at = min(one.due for one in self.intents() if one.state != "held" and one.due > now) + 0.001
        self.world.proven()

    def _edit(self, system: Any, ref: Ref, stage: str) -> None:
        """A person moves Ann, and syncd hears of it."""
        system.edit(ref, {"stage": stage})
        name = next(name for name, one in self.world.systems.items() if one is system)
        self.world.told(name, *_told_by(system, ref))

    def _resolve(self, id_: str, choice: str) -> None:
        ((hold,),) = self.database.execute("SELECT id FROM holds WHERE intent = ?", (id_,)).fetchall()
        (intent,) = [one for one in self.intents() if one.id == id_]
        self.world.do(decide.resolve, hold, choice, None)
        if intent.call != CREATE or intent.reason != "unknown_outcome":
            self._release(id_, effects=0)  # she knows what she does

    # states

    def state(self) -> State:
        return State(
            {table.name: self.database.execute(f"SELECT * FROM {table.name}").fetchall() for table in _TABLES},
            {name: deepcopy((one.things, one._number, self.world.connectors[name].desk.leaves))
             for name, one in self.world.systems.items()},
            dict(self.stories), self.ended, self.clock.now(),
        )  # fmt: skip

    def restore(self, state: State) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("PRAGMA defer_foreign_keys = ON")
        for table in reversed(_TABLES):
            self.database.execute(f"DELETE FROM {table.name}")
        for table in _TABLES:
            marks = ",".join("?" * len(table.columns))
            self.database.executemany(f"INSERT INTO {table.name} VALUES ({marks})", state.rows[table.name])
        self.database.execute("COMMIT")
        for name, (things, number, leaves) in state.systems.items():
            system = self.world.systems[name]
            system.things, system._number, system.log = deepcopy(things), number, []
            self.world.connectors[name].desk.leaves = list(leaves)
        self.stories, self.ended, self.clock.at = dict(state.stories), state.ended, state.now

    def key(self) -> str:
        """What tells two states apart: neither times nor ids."""
        intents = self.intents()
        names = {one.id: f"#{number}" for number, one in enumerate(intents)}
        now = self.clock.now()
        told: list[Any] = [
            (
                one.connection, one.kind, one.ref, one.call, one.state, one.reason, one.wants, one.expected, one.looks,
                min(one.tries, push.PATIENCE), one.due > now, one.sealed and one.sealed.replace(one.id.encode(), b""),
                replace(self.stories.get(one.id, Story()), version=None),
                one.ref is not None and one.expected_version == str(self._target(one).version),
            )
            for one in intents
        ]  # fmt: skip
        told += [self._picked("holds", "kind", "ref", "field", "reason")]
        told += [[names.get(id_) for (id_,) in self._picked("holds", "intent")]]
        told += [self._picked("links", "id", "left", "right", "left_base", "right_base", "decided", "how")]
        told += [self._picked("records", "connection", "kind", "id", "seen", "gone", "read_at IS NULL")]
        told += [self._picked("marks", "connection", "kind", "ref", "why")]
        told += [self._picked("deeds", "what", "source", "version")]
        told += [(name, str(ref), thing.fields) for name, one in self.world.systems.items()
                 for ref, thing in one.things.items()]  # fmt: skip
        return repr(told)

    def _picked(self, table: str, *columns: str) -> list[Any]:
        order = ", ".join(column.name for column in schema.metadata.tables[table].primary_key)
        return list(self.database.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}").fetchall())

    def _target(self, intent: Any) -> Any:
        """What an intent is to change; of the hub's people the rows."""
        kind = APPLICATION if intent.connection == "rows" else Kind(intent.kind)
        return self.world.systems[intent.connection].things.get(Ref(kind, intent.ref)) if intent.ref else None

    # exploring

    def explore(self, depth: int, limit: int = 10**9) -> Found:
        """Try all that may happen, up to so many events after one another (and so many states)."""
        found = Found()
        frontier = [self.state()]
        seen = {self.key(): 0}
        edges: dict[int, set[int]] = {}
        rest = set()
        paths: dict[int, list[str]] = {0: []}
        numbers = [0]
        while frontier and found.depth < depth and len(seen) < limit:
            found.depth += 1
            following, following_numbers = [], []
            for number, state in zip(numbers, frontier, strict=True):
                self.restore(state)
                if self._at_rest():
                    rest.add(number)
                    found.ends |= {one.reason or "" for one in self.intents()} or {"done"}
                for event, act in list(self.events()):
                    self.restore(state)
                    self.told = [*paths[number], event]
                    self._happen(event, act, found)
                    found.steps += 1
                    key = self.key()
                    if key not in seen:
                        seen[key] = len(seen)
                        paths[seen[key]] = self.told
                        following.append(self.state())
                        following_numbers.append(seen[key])
                    if event.endswith((": did", "wait", "restart")) or event.startswith(("look at", "read")):
                        edges.setdefault(seen[key], set()).add(number)
            frontier, numbers = following, following_numbers
        found.states, found.closed = len(seen), not frontier
        found.stuck = len(seen) - len(numbers) - len(_reaching(rest, edges) - set(numbers)) if found.closed else 0
        return found

    def _at_rest(self) -> bool:
        """Nothing is open or under way, and nothing waits to be read: all is done or held."""
        return all(one.state == "held" for one in self.intents()) and not self._rows("marks")

    def _happen(self, event: str, act: Callable[[], None], found: Found) -> None:
        before = {one.id: one for one in self.intents()}
        with suppress(Died):
            act()
        after = {one.id: one for one in self.intents()}
        self._judge(after)
        for id_ in before.keys() & after.keys():
            if after[id_].state == "open" and after[id_].wants != before[id_].wants:
                self._release(id_, effects=0)  # it bears another value now: it is another write
        for id_ in before.keys() | after.keys():
            was, now = (some[id_].state if id_ in some else none for some, none in ((before, "new"), (after, "ended")))
            found.moves.add((was, event.rpartition(": ")[2], now))
        self.ended = self.ended | (before.keys() - after.keys())
        assert not self.ended & after.keys(), f"what was over is back: {self.told}"

    def _judge(self, intents: Mapping[str, Any]) -> None:
        """What must be so in each state."""
        holds = [id_ for (id_,) in self._picked("holds", "intent") if id_ is not None]
        assert sorted(holds) == sorted(id_ for id_, one in intents.items() if one.state == "held"), self.told
        for one in intents.values():
            assert one.state in LEGAL, (one.state, self.told)
            assert (one.reason is not None) or one.state != "held", self.told
            assert (one.sent_values is not None) or one.state not in IN_FLIGHT, self.told
            if one.state in UNSENT and one.state != "held":
                assert one.sent_values is None, f"sealed values outlive their call: {self.told}"
        if self.secret and not intents:
            assert self.secret not in repr(self.state().rows), f"a value outlives its write: {self.told}"
        by_target = [(one.connection, one.kind, one.ref) for one in intents.values() if one.ref and one.state == "sent"]
        assert len(by_target) == len(set(by_target)), self.told


def _reaching(rest: set[int], edges: Mapping[int, set[int]]) -> set[int]:
    """The states from which some way leads to rest."""
    found, waiting = set(rest), list(rest)
    while waiting:
        for before in edges.get(waiting.pop(), set()) - found:
            found.add(before)
            waiting.append(before)
    return found


def _told_by(system: Any, ref: Ref) -> tuple[Record, ...]:
    return tuple(sorted(system.told(system.things[ref]), key=lambda record: record.ref != ref))


_TABLES = [table for table in schema.metadata.sorted_tables if table.name not in {"journal", "runs", "figures"}]
