"""Small worlds for tests of the rules: two or three systems, a store on either database, a clock that stands still.

A test tells the store what systems say (``told`` as by a get, ``listed`` as by a list), looks at what the store then
wants (``intents``, ``holds``, ``links``, ``marks``) and plays the answers to its writes; or it lets the real engine run
against the memory systems in virtual time (``live``).
"""

import asyncio
import contextlib
import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from connectors.memory import FACTS, MAPPING, MemoryConnector, MemorySystem
from syncd import cycle, mapping, pull, push, schema
from syncd.clock import SteppedClock, run_stepped
from syncd.cycle import Engine, Lane
from syncd.facts import Facts
from syncd.intents import unsealed
from syncd.limits import Priority
from syncd.model import Kind, Page, Record, Ref
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.setup import Connection, Pair, World
from syncd.store import Store, Tx, open_engine
from syncd.work import Work

START = 1_800_000_000.0
BOTH = frozenset(End)
TO_RIGHT = frozenset({End.RIGHT})
TO_LEFT = frozenset({End.LEFT})
FLOWS = {Kind.JOB: TO_RIGHT, Kind.CANDIDATE: BOTH, Kind.APPLICATION: BOTH}
JOB, CANDIDATE, APPLICATION = Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION


@pytest.fixture(scope="session")
def memory() -> Iterator[sa.Engine]:
    """An SQLite database with our tables for a whole session."""
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database with our tables for a whole session, on each of the two."""
    if request.param == "sqlite":
        yield request.getfixturevalue("memory")
        return
    with request.getfixturevalue("postgres_server").database() as url:
        engine = open_engine(url)
        schema.metadata.create_all(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def small(database: sa.Engine) -> Any:
    """Makes small worlds (``SmallWorld``) over an empty store, on each of the two databases."""
    return worlds_on(database)


@pytest.fixture
def quick(memory: sa.Engine) -> Any:
    """The same on SQLite alone, for what asks nothing of the database that another test does not ask of both."""
    return worlds_on(memory)


@pytest.fixture
def emptied(database: sa.Engine) -> sa.Engine:
    """A database with our tables, empty, on each of the two."""
    _empty(database)
    return database


def worlds_on(database: sa.Engine) -> Any:
    """Makes small worlds over a database that is emptied now."""
    _empty(database)
    return lambda *names, **settings: SmallWorld(database, *names, **settings)


_COPIES: dict[tuple[int, str, str], tuple[int, dict[sa.Table, list[Any]]]] = {}


def _paste(connection: sa.Connection, copy: dict[sa.Table, list[Any]]) -> None:
    for table, rows in copy.items():
        connection.execute(sa.delete(table))
        if rows:
            connection.execute(sa.insert(table), [dict(row._mapping) for row in rows])


def _empty(database: sa.Engine) -> None:
    with database.begin() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(sa.delete(table))


def digest(name: str, text: str) -> str:
    """A digest that names its field, so that a failing test can be read."""
    return hashlib.blake2b(f"{name}/{text}".encode(), digest_size=6).hexdigest()


def seal(values: Mapping[str, Any], about: str) -> bytes:
    return orjson.dumps([about, values])


def unseal(sealed: bytes, about: str) -> dict[str, object]:
    named, values = orjson.loads(sealed)
    assert named == about, "sealed for another place"
    return values


class OpenRoad:
    """Calls without limits; ``parked`` may refuse those of a priority."""

    def __init__(self) -> None:
        self.calls: list[Priority] = []
        self.reservations: list[int] = []
        self.refuse: Any = lambda priority: None

    @contextlib.contextmanager
    def calling(self, priority: Priority) -> Iterator[None]:
        self.refuse(priority)
        self.calls.append(priority)
        yield

    @contextlib.asynccontextmanager
    async def reserved(self, calls: int, priority: Priority) -> Any:
        self.refuse(priority)
        self.reservations.append(calls)
        yield


@dataclass(frozen=True)
class Held:
    """An open hold, as a test wants to read it."""

    connection: str
    kind: str
    ref: str
    field: str
    reason: str


class SmallWorld:
    """Connections ``name=flavour`` (the first is every pair's left end), their pairs, and a store.

    ``facts`` replaces a connection's facts, ``defaults`` are per connection, ``words`` overrides per connection; all
    other settings are those of ``Pair``.
    """

    def __init__(
        self,
        database: sa.Engine,
        *names: str,
        facts: Mapping[str, Facts] | None = None,
        defaults: Mapping[str, Mapping[str, str]] | None = None,
        words: Mapping[str, Mapping[str, Any]] | None = None,
        flows: Mapping[Kind, frozenset[End]] | None = None,
        poll_s: float = 60.0,
        sweep_s: float = 600.0,
        overlap_s: float = 5.0,
        versions: bool = True,
        **pair: Any,
    ) -> None:
        flavours = dict(name.split("=") if "=" in name else (name, name) for name in names or ("rows", "plain"))
        self.clock = SteppedClock(START, frozen=True)
        self.store = Store(database, self.clock, threaded=False)
        self.systems = {
            name: MemorySystem(flavour, self.clock, prefix=name[0], versions=versions)
            for name, flavour in flavours.items()
        }
        for name, other in (facts or {}).items():
            self.systems[name].facts = other
        self.connectors = {name: MemoryConnector(system) for name, system in self.systems.items()}
        made = {
            name: Connection(
                name, system.facts, mapping.build(MAPPING, (words or {}).get(name, {}), name),
                defaults=(defaults or {}).get(name, {}), poll_s=poll_s, sweep_s=sweep_s, overlap_s=overlap_s,
                remarks=tuple(system.facts.remarks),
            )
            for name, system in self.systems.items()
        }  # fmt: skip
        left, *spokes = made.values()
        pairs = tuple(Pair(f"{left.name}-{spoke.name}", left, spoke, flows or FLOWS, **pair) for spoke in spokes)
        self.world = World(made, pairs, digest, seal, unseal, stamp="stamp")
        self._settings = repr((names, facts, defaults, words, flows, poll_s, sweep_s, overlap_s, pair))
        self._ids = itertools.count(1)
        self.learning = False

    # time and transactions

    def later(self, seconds: float) -> None:
        """Let time go by while nothing happens."""
        self.clock._offset += seconds

    def do(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a function over ``Work`` in one transaction."""

        def within(connection: sa.Connection) -> Any:
            work = Work(Tx(connection, self.clock.now()), self.world, self._new_id, learning=self.learning)
            result = function(work, *args, **kwargs)
            work.tx.flush()
            return result

        return self.store.run_now(within)

    def _new_id(self) -> str:
        return f"intent{next(self._ids):04d}"

    # what systems tell

    def proven(self, *names: str) -> None:
        """All walks of these connections (of all, without names) were just proven whole."""
        for name in names or self.systems:
            for walk in self.world.connections[name].facts.walks:
                self.store.run_now(self._prove, name, walk.name)

    def _prove(self, connection: sa.Connection, name: str, walk: str) -> None:
        pull.cursor_of(connection, name, walk)
        table = schema.cursors
        where = (table.c.connection == name, table.c.walk == walk)
        now = self.clock.now()
        connection.execute(sa.update(table).where(*where).values(swept_at=now, polled_at=now))

    def told(self, name: str, *records: Record) -> None:
        """A get told these records (all that one call tells); their links are settled."""

        def take(work: Work) -> None:
            connection = self.world.connections[name]
            touched = pull.absorb(work, connection, records, pull.GET)
            pull.settle_all(work, connection, dict.fromkeys(touched, True))

        self.do(take)

    def known(self, **told: tuple[Record, ...]) -> None:
        """All that stands in the systems when syncd first looks: learnt, linked, every walk proven, then settled.

        The store as it is afterwards is kept and put back when another test asks for the same.
        """
        key = (id(self.store.engine), self._settings, repr(told))
        if key not in _COPIES:
            self.proven()
            for self.learning in (True, False):
                for name, records in told.items():
                    self.told(name, *records)
            _COPIES[key] = (next(self._ids), {table: self.select(table) for table in schema.metadata.sorted_tables})
        else:
            self.store.run_now(_paste, _COPIES[key][1])
        self._ids = itertools.count(_COPIES[key][0])

    def gone(self, name: str, ref: Ref) -> None:
        """A get proved that a record is gone."""
        self.do(pull.absorb_answer, self.world.connections[name], ref, ())

    def listed(
        self,
        name: str,
        walk: str,
        records: tuple[Record, ...],
        *,
        position: str = "",
        next: str | None = None,  # noqa: A002  # a page's own word
        since: float | None = None,
        served_at: float | None = None,
        digest: str | None = None,
    ) -> bool:
        """One page of a list; whether it was passed as unchanged."""
        connection = self.world.connections[name]
        found = next_walk(connection.facts, walk)
        mark = digest or repr([(r.ref, sorted(r.fields.items()), r.version, r.updated_at) for r in records])
        page = Page(lambda: records, mark, next, served_at)
        return bool(self.do(pull.absorb_page, connection, found, position, page, since=since))

    def begin(self, name: str, walk: str, *, sweep: bool = True) -> None:
        """A walk begins."""
        connection = self.world.connections[name]
        found = next_walk(connection.facts, walk)
        self.store.run_now(pull.begin_walk, name, found, self.clock.now(), sweep=sweep, overlap_s=connection.overlap_s)

    def end(self, name: str, walk: str, pages: int = 1) -> list[Ref]:
        """A walk's end is proven; the refs that it did not tell."""
        connection = self.world.connections[name]
        found = next_walk(connection.facts, walk)
        due = self.clock.now() + connection.poll_s
        return list(self.do(pull.end_walk, connection, found, due=due))

    # what the store says

    def select(self, table: sa.Table, *where: Any) -> list[Any]:
        """Rows of a table in the order of their keys."""
        order = list(table.primary_key.columns)
        with self.store.engine.connect() as connection:
            return list(connection.execute(sa.select(table).where(*where).order_by(*order)))

    def intents(self, connection: str | None = None, **want: Any) -> list[IntentRow]:
        """The intents there are, oldest first."""
        rows = [IntentRow(**row._mapping) for row in self.select(schema.intents)]
        want |= {"connection": connection} if connection else {}
        return [row for row in rows if all(getattr(row, name) == value for name, value in want.items())]

    def intent(self, connection: str | None = None, **want: Any) -> IntentRow:
        """The one intent there is."""
        (found,) = self.intents(connection, **want)
        return found

    def values(self, intent: IntentRow) -> dict[str, Any]:
        """What an intent would write."""
        return dict(self.do(unsealed, intent))

    def holds(self) -> set[Held]:
        """What waits for a person."""
        return {Held(row.connection, row.kind, row.ref, row.field, row.reason) for row in self.select(schema.holds)}

    def reasons(self) -> list[str]:
        """Why something waits for a person."""
        return sorted(row.reason for row in self.select(schema.holds))

    def links(self, kind: Kind | None = None) -> list[LinkRow]:
        """The links there are."""
        rows = [LinkRow(**row._mapping) for row in self.select(schema.links)]
        return [row for row in rows if kind is None or row.kind == kind.value]

    def link(self, kind: Kind) -> LinkRow:
        """The one link of a kind."""
        (found,) = self.links(kind)
        return found

    def row(self, connection: str, kind: Kind, id_: str) -> RecordRow:
        """One record as the store knows it."""
        table = schema.records.c
        where = (table.connection == connection, table.kind == kind.value, table.id == id_)
        (found,) = self.select(schema.records, *where)
        return RecordRow(**found._mapping)

    def marks(self, connection: str | None = None) -> set[tuple[str, str, str]]:
        """(connection, id, why) of all that is to be read again."""
        rows = self.select(schema.marks)
        return {(row.connection, row.ref, row.why) for row in rows if connection in (None, row.connection)}

    def cursor(self, connection: str, walk: str) -> Any:
        """A walk's row."""
        table = schema.cursors.c
        (found,) = self.select(schema.cursors, table.connection == connection, table.walk == walk)
        return found

    def journal(self, what: str) -> list[Any]:
        """The journal's lines of one word."""
        return self.select(schema.journal, schema.journal.c.what == what)

    def agrees(self, kind: Kind, name: str) -> bool:
        """Whether a link's bases are what both ends tell now."""
        link = self.link(kind)
        pair = self.world.pair(link.pair)
        ends = ((End.LEFT, link.left, link.left_base), (End.RIGHT, link.right, link.right_base))
        return all(self.row(pair.at(end).name, kind, id_ or "").seen[name] == base.get(name) for end, id_, base in ends)

    def updates(self, connection: str | None = None) -> set[tuple[str, str, tuple[tuple[str, Any], ...]]]:
        """(connection, record, values) of all writes to known records that wait for their turn."""
        found = [i for i in self.intents(connection, state="open") if i.ref is not None]
        return {(i.connection, i.ref or "", tuple(sorted(self.values(i).items()))) for i in found}

    # what is sent

    def claim(self, intent: IntentRow) -> push.Claim | None:
        """Take an intent up, as a lane does."""
        return self.do(push.claim, intent.id, 60.0, lambda *_: False)

    def send(self, intent: IntentRow, *records: Record, word: str | None = None) -> push.Order | None:
        """Send an intent: an update with what its target tells now."""
        if intent.call == "create":
            return self.do(push.send_create, intent.id, word)
        return self.do(push.send_update, intent.id, records, word, asked_at=self.clock.now())

    def confirm(self, intent: IntentRow, record: Record | None, *, known: bool = True) -> None:
        """What was told after an update."""
        self.do(push.confirm, intent.id, record, known=known)

    # the real thing

    def engine(self, seed: int = 1) -> Engine:
        """An engine over the memory systems; each lane has an open road."""
        lanes = {
            name: Lane(self.world.connections[name], connector, OpenRoad())
            for name, connector in self.connectors.items()
        }
        return Engine(self.world, self.store, self.clock, random.Random(seed), lanes)

    def live(self, seconds: float, engine: Engine | None = None, *, learn: bool = False) -> Engine:
        """Let the daemon run for so many seconds of virtual time."""
        chosen = engine or self.engine()
        run_stepped(self.clock, self._live(chosen, seconds, learn=learn))
        return chosen

    async def _live(self, engine: Engine, seconds: float, *, learn: bool) -> None:
        at_home(engine)
        await engine.begin()
        if learn:
            await engine.learn()
        engine.scheduled = True
        drives = [asyncio.ensure_future(engine.drive(lane)) for lane in engine.lanes.values()]
        over = asyncio.ensure_future(self.clock.sleep_until(self.clock.now() + seconds))
        try:
            done, _ = await asyncio.wait({over, *drives}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (over, *drives):
                task.cancel()
            await asyncio.gather(over, *drives, return_exceptions=True)

    def writes(self, name: str) -> list[Any]:
        """What we wrote to a system, from its own log."""
        return [entry for entry in self.systems[name].log if entry.by == "api" and entry.action != "read"]


def at_home(engine: Engine) -> None:
    """Let an engine run in another loop than before: events and walks under way belong to a loop."""
    for lane in engine.lanes.values():
        lane.wake = asyncio.Event()
        lane.walking.clear()


def next_walk(facts: Facts, name: str) -> Any:
    """A system's walk by name."""
    return next(walk for walk in facts.walks if walk.name == name)


# --- records --------------------------------------------------------------------------------------------------------


def job(id_: str, title: str = "Baker", **more: Any) -> Record:
    """A job as a system tells it."""
    fields = {"title": title, "code": None, "status": "open", **more.pop("fields", {})}
    return Record(Ref(JOB, id_), fields, created_at=more.pop("created_at", START), **more)


def person(id_: str, name: str = "Ann Lee", email: str | None = "ann@example.com", **more: Any) -> Record:
    """A person as a system tells her."""
    fields = {"name": name, "email": email, "phone": more.pop("phone", "+12025550100")}
    return Record(Ref(CANDIDATE, id_), fields, created_at=more.pop("created_at", START), **more)


def application(id_: str, job_id: str, person_id: str, stage: str = "New", **more: Any) -> Record:
    """One person on one job."""
    parents = {JOB: job_id, CANDIDATE: person_id}
    return Record(Ref(APPLICATION, id_), {"stage": stage}, parents, created_at=more.pop("created_at", START), **more)


def row(id_: str, job_id: str, stage: str = "New", **person_fields: Any) -> tuple[Record, Record]:
    """A candidate row of the rows flavour: a person and an application at once."""
    times = {name: person_fields.pop(name) for name in ("created_at", "updated_at", "version") if name in person_fields}
    traits = person_fields.pop("traits", frozenset())
    told = replace(person(id_, **person_fields), traits=traits, **times)
    return told, replace(application(id_, job_id, id_, stage), **times)


__all__ = [
    "APPLICATION", "BOTH", "CANDIDATE", "FACTS", "FLOWS", "JOB", "START", "TO_LEFT", "TO_RIGHT", "Held", "OpenRoad",
    "SmallWorld", "application", "at_home", "cycle", "job", "person", "row", "worlds_on",
]  # fmt: skip
