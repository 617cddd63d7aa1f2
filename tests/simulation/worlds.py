"""The worlds in which planted bugs are hunted: seed -> what was broken. The engine's is in ``tests.simulation.bare``.

The others are small and each about one layer: the road of a token (slots, retries, what an answer means), the inbox of
webhooks, the desk where things are done once beside the fields, and the till where each file costs money. All run in
virtual time; a judge reads what the server did and knows nothing of what was planted.
"""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import orjson
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.routing import Route

from syncd import connector, pull, schema, webhooks
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Delivery, Notice
from syncd.errors import Gone, OutcomeUnknown, Parked, RateLimited, Unavailable
from syncd.gate import Gate, MemoryBudget
from syncd.http import RETRY_SHARE, RETRY_SPELL_S, RetryBudget, build_client
from syncd.limits import parse_rules
from syncd.metrics import Metrics
from syncd.model import Kind, Ref
from syncd.sandbox import Hits, Limit
from syncd.store import Store, open_engine
from tests.simulation.bare import hunt
from tests.simulation.core import START, Crash
from tests.unit.papers_world import PDF, SCREENER, WORDS, PaperConnector, ScreenerConnector, with_papers
from tests.unit.small_world import APPLICATION, BOTH, CANDIDATE, JOB, TO_LEFT, TO_RIGHT, SmallWorld, worlds_on

World = Callable[[int], list[str]]
DAY_S = 86_400.0


def world_of(name: str, conditions: Sequence[str]) -> World:
    """A world by its name and conditions."""
    if name == "engine":
        return hunt(frozenset(conditions))
    assert not conditions, f"the world {name} has no conditions"
    return WORLDS[name]


# --- the road of a token --------------------------------------------------------------------------------------------

ROADS = (("10/10s", Limit(10, 10.0)), ("5/2s", Limit(5, 2.0)), ("20/10s", Limit(20, 10.0)))
HOME = "http://127.0.0.1"


class Server:
    """Counts arrivals, makes things, and loses answers. ``trouble``: how often something goes wrong."""

    def __init__(self, clock: SteppedClock, limit: Limit, rng: random.Random) -> None:
        self.clock, self.rng = clock, rng
        fixed = Limit(limit.calls, limit.window_s, fixed=True)
        self.hits = [Hits([limit]), Hits([fixed])]
        self.latency = rng.choice([(0.02, 0.1), (0.02, 0.9), (0.3, 2.0)])
        self.trouble = rng.choice([0.0, 0.1, 0.4])
        self.over = 0
        self.made: Counter[str] = Counter()
        self.firsts: list[float] = []
        self.repeats: list[float] = []
        self.seen: set[str] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One call: it arrives, takes effect or not, and is answered or not."""
        latency = self.rng.uniform(*self.latency)
        before = latency * self.rng.random()
        await self.clock.sleep_until(self.clock.now() + before)
        path, now = scope["path"], self.clock.now()
        self.over += any([hits.refused(now) is not None for hits in self.hits])  # noqa: C419  # both count it
        if scope["method"] == "GET":
            self._note(f"{path}?{scope['query_string'].decode()}", now)
        is_ill = self.rng.random() < self.trouble
        takes_effect = not is_ill or self.rng.random() < 0.5
        if scope["method"] == "POST" and takes_effect:
            self.made[path] += 1
        status = 200 if scope["method"] == "POST" or self.made[path] else 404
        await self.clock.sleep_until(self.clock.now() + latency - before)
        if is_ill:
            status = self.rng.choice([500, 502, 503, 504, 0])
        if status == 0:
            raise httpx.ReadError("the answer was lost (simulated)")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def _note(self, call: str, now: float) -> None:
        (self.repeats if call in self.seen else self.firsts).append(now)
        self.seen.add(call)


class JumpingClock:
    """Our own clock, which is set back now and then; what others see of time goes on."""

    def __init__(self, clock: SteppedClock) -> None:
        self._clock, self.back_s = clock, 0.0

    def now(self) -> float:
        return self._clock.now() - self.back_s

    async def sleep_until(self, at: float) -> None:
        await self._clock.sleep_until(at + self.back_s)

    def busy(self) -> Any:
        return self._clock.busy()


class Road:
    """One token's calls through the gate to a strict server, over some restarts of ours."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = SteppedClock(START + self.rng.random() * 10, frozen=True)
        self.ours = JumpingClock(self.clock)
        text, limit = self.rng.choice(ROADS)
        self.rules = parse_rules([text])
        self.server = Server(self.clock, limit, self.rng)
        self.numbers = iter(range(1_000_000))
        self.wanted: set[str] = set()
        self.kept = ""
        self.overdone: list[str] = []

    def play(self) -> list[str]:
        run_stepped(self.clock, self._lives())
        broken = [f"I10 {self.server.over} calls were over the limit"] if self.server.over else []
        twice = sorted(path for path, count in self.server.made.items() if count > 1)
        broken += [f"I1 {path} was made {self.server.made[path]} times" for path in twice]
        return broken + self.overdone

    def _overdone_retries(self) -> list[str]:
        """What is counted in one life of the process; a new one begins with a budget of its own."""
        for at in self.server.repeats:
            repeats = sum(1 for other in self.server.repeats if at - RETRY_SPELL_S < other <= at)
            firsts = sum(1 for other in self.server.firsts if at - RETRY_SPELL_S - 20.0 < other <= at)
            if repeats > max(2, RETRY_SHARE * firsts) + 1:
                return [f"I11 {repeats} retries within a minute of {firsts} first calls"]
        return []

    async def _lives(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            budget = MemoryBudget(self.ours, self.kept)
            gate = Gate("acme", self.rules, budget, self.ours)
            network = httpx.ASGITransport(app=self.server)
            client = build_client(gate, HOME, rng=self.rng, network=network, retries=RetryBudget())
            await self._life(client)
            await client.aclose()
            self.overdone += self._overdone_retries()
            self.server.firsts.clear()
            self.server.repeats.clear()
            self.kept = budget.text
            self.ours.back_s += self.rng.choice([0.0, 0.0, 7.0])

    async def _life(self, client: httpx.AsyncClient) -> None:
        over = self.clock.now() + self.rng.choice([7.0, 25.0])
        works = [asyncio.ensure_future(self._work(client, is_maker=at % 2 == 0)) for at in range(6)]
        await self.clock.sleep_until(over)
        for work in works:
            work.cancel()
        for outcome in await asyncio.gather(*works, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise outcome if isinstance(outcome, BaseException) else AssertionError("a work ended")

    async def _work(self, client: httpx.AsyncClient, *, is_maker: bool) -> None:
        while True:
            number = next(self.numbers)
            if is_maker:
                await self._make(client, f"/things/{number}")
            else:
                await self._try(client, "GET", f"/lists?{number}")
            await self.clock.sleep_until(self.clock.now() + self.rng.random())

    async def _make(self, client: httpx.AsyncClient, path: str) -> None:
        """As an intent does: what surely did not happen is sent again, what may have happened is looked for."""
        while True:
            outcome = await self._try(client, "POST", path)
            if outcome == "did":
                return
            while outcome == "unknown":
                found = await self._try(client, "GET", f"{path}?look{next(self.numbers)}")
                outcome = {"did": "found", "gone": "did not"}.get(found, "unknown")
            if outcome == "found":
                return
            await self.clock.sleep_until(self.clock.now() + 1.0)

    async def _try(self, client: httpx.AsyncClient, method: str, path: str) -> str:
        try:
            await connector.ask(client, method, path, explain=lambda response: "")
        except Parked as error:
            await self.ours.sleep_until(error.until)
            return "did not"
        except Gone:
            return "gone"
        except (Unavailable, RateLimited):
            return "did not"
        except OutcomeUnknown:
            return "unknown"
        return "did"


# --- the inbox ------------------------------------------------------------------------------------------------------

SOON_S = 20.0
SECRET, PATH_SECRET = b"made up for tests", "a_path_that_nobody_guesses_0123456789"


class Signing:
    """What judges a delivery: the body says what it is about, and a header proves it."""

    def verify(self, delivery: Delivery) -> Notice | None:
        if delivery.headers.get("x-signature") != _signed(delivery.body):
            return None
        told = orjson.loads(delivery.body)
        return Notice(refs=(Ref(APPLICATION, told["about"]),), event_id=told.get("id"))


def _signed(body: bytes) -> str:
    return hashlib.sha256(SECRET + body).hexdigest()


@dataclass
class Event:
    """Something that happened at a system, and when it was first sent, if it was ever answered with a 2xx."""

    connection: str
    about: str
    body: bytes
    told_at: float | None = None


class Inbox:
    """Two systems tell what happens; the process dies at commits; a worker looks at what is marked."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chance = random.Random(f"chance {seed}")
        self.world = SmallWorld(_emptied(), "rows", "plain")
        self.clock = self.world.clock
        self.store: Store = self.world.store
        self.trouble = 0.0
        self.store.around = self._moment
        self.events: list[Event] = []
        self.looked: dict[tuple[str, str], list[float]] = {}
        self.states: dict[tuple[str, str], int] = {}
        self.broken: list[str] = []
        self.writing = True

    def play(self) -> list[str]:
        run_stepped(self.clock, self._day())
        for event in self.events:
            if event.told_at is not None and not self._was_looked_at(event):
                self.broken.append(
                    f"I8 what was told of {event.about} at {event.told_at} was answered 200 and forgotten"
                )
        return self.broken

    def _was_looked_at(self, event: Event) -> bool:
        """Whether somebody looked soon after; a look much later, for another event, does not count."""
        told_at = event.told_at or 0.0
        looks = self.looked.get((event.connection, event.about), [])
        return any(told_at - 1e-6 <= at <= told_at + SOON_S for at in looks)

    def _moment(self, moment: str) -> None:
        if self.chance.random() < self.trouble:
            if moment == "before" and self.chance.random() < 0.5:
                raise sa.exc.OperationalError("COMMIT", {}, Exception("the disk is full (simulated)"))
            raise Crash(moment)

    async def _day(self) -> None:
        over = asyncio.ensure_future(self._worker())
        for number in range(30):
            await self.clock.sleep_until(self.clock.now() + self.rng.choice([0.05, 0.3, 0.3, 2.0, 40.0]))
            await self._happen(number)
        await self.clock.sleep_until(self.clock.now() + 30.0)
        self.writing = False
        await over

    async def _happen(self, number: int) -> None:
        connection = self.rng.choice(["rows", "plain"])
        about = f"{connection[0]}{self.rng.randint(1, 2)}"
        if self.rng.random() < 0.2:
            await self._forge(connection, about)
            return
        state = self.states[connection, about] = 1 - self.states.get((connection, about), 0)
        body: dict[str, Any] = {"about": about, "state": state}
        if connection == "plain" or self.rng.random() < 0.3:
            body["id"] = f"e{number // 2}"
        event = Event(connection, about, orjson.dumps(body))
        if any(other.connection == connection and "id" in body and b'"%s"' % body["id"].encode() in other.body
               for other in self.events):  # fmt: skip
            return
        self.events.append(event)
        sent_at = self.clock.now()
        for _ in range(8):
            self.trouble = 0.3
            answer = await self._post(connection, event.body, {"x-signature": _signed(event.body)})
            self.trouble = 0.0
            if answer == 200:
                event.told_at = sent_at
                self._is_kept(event)
                return
            await self.clock.sleep_until(self.clock.now() + 0.2)

    def _is_kept(self, event: Event) -> None:
        """A process that dies at this very moment has it."""
        table = schema.inbox.c
        with self.store.engine.connect() as connection:
            kept = connection.execute(sa.select(table.refs).where(table.connection == event.connection)).scalars().all()
        if not any(f"application/{event.about}" in refs for refs in kept):
            self.broken.append(f"I8 a webhook about {event.about} was answered 200 and is not kept")

    async def _forge(self, connection: str, about: str) -> None:
        before = self._rows()
        body = orjson.dumps({"about": about, "state": 7})
        ways = [("", {"x-signature": "0" * 64}), ("", {}), (f"/{PATH_SECRET[:-1]}x", {}), ("/move", {})]
        path, headers = self.rng.choice(ways)
        answer = await self._post(connection, body, headers, path)
        if answer == 200 or self._rows() != before:
            self.broken.append(f"I9 a forged webhook to {connection} was answered {answer} and changed something")

    def _rows(self) -> list[Any]:
        with self.store.engine.connect() as connection:
            tables = (schema.inbox, schema.cursors)
            return [tuple(row) for table in tables for row in connection.execute(sa.select(table))]

    async def _post(self, name: str, body: bytes, headers: dict[str, str], path: str = "") -> int | None:
        """What the sender is told; None: the connection broke. A process that dies takes what it had in hand along."""
        engine = self.world.engine()
        secrets = {"rows": PATH_SECRET, "plain": None}
        ears = {
            known: webhooks.Ear(self.world.world.connections[known], Signing(), secret)
            for known, secret in secrets.items()
        }
        receiver = webhooks.Receiver(engine, ears, _metrics())
        routes = [Route(at, receiver.receive, methods=["POST"]) for at in _ADDRESSES]
        before = asyncio.all_tasks()
        transport = httpx.ASGITransport(app=Starlette(routes=routes))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://syncd.example.test") as client:
                answer = await client.post(f"/webhooks/{name}{path}", content=body, headers=headers)
                status = answer.status_code
        except Crash:
            status = None
        if status is None or self.chance.random() < 0.3:  # it dies, now or right after its answer
            left = asyncio.all_tasks() - before
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return status

    async def _worker(self) -> None:
        """Looks at what is marked, as a lane does: what is marked while a look is under way is looked at again."""
        while self.writing or self._marked():
            for connection, ref in self._marked():
                asked_at = self.clock.now()
                await self.clock.sleep_until(asked_at + self.rng.choice([0.1, 0.8]))
                self.looked.setdefault((connection, ref), []).append(asked_at)
                with self.store.engine.begin() as sql:
                    pull.unmark(sql, connection, Ref(APPLICATION, ref), asked_at)
            await self.clock.sleep_until(self.clock.now() + 0.5)

    def _marked(self) -> list[tuple[str, str]]:
        table = schema.marks.c
        with self.store.engine.connect() as connection:
            return [(row.connection, row.ref) for row in connection.execute(sa.select(table.connection, table.ref))]


_ADDRESSES = ("/webhooks/{connection}", "/webhooks/{connection}/{event}")


@cache
def _metrics() -> Metrics:
    return Metrics(version="0")


@cache
def _database() -> sa.Engine:
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    return engine


def _emptied() -> sa.Engine:
    database = _database()
    worlds_on(database)
    return database


# --- what is done once beside the fields ----------------------------------------------------------------------------


class Once:
    """A small world with papers that goes through faults and crashes; a subclass says what people do."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chance = random.Random(f"chance {seed}")
        self.faults = self.rng.choice([(), ("lost_after",), ("lost_before", "lost_after", "refused")])
        self.dying = self.rng.choice([0.0, 0.01])
        self.is_rough = False
        self.world: SmallWorld = self.made()
        self.world.store.around = self._moment
        for system in self.world.systems.values():
            system.fault = self._fault
            system.crash = self._moment
        self.clock = self.world.clock

    def made(self) -> SmallWorld:
        raise NotImplementedError

    def _fault(self, method: str, what: str) -> str | None:
        if not self.is_rough or not self.faults or self.rng.random() >= 0.3:
            return None
        return self.rng.choice(self.faults)

    def _moment(self, moment: str) -> None:
        if self.is_rough and self.chance.random() < self.dying:
            raise Crash(moment)

    def run(self, seconds: float, *, rough: bool, learn: bool = False) -> None:
        """Let the daemon run, and begin it anew each time that it dies."""
        end = self.clock.now() + seconds
        self.is_rough = rough
        while self.clock.now() < end:
            try:
                self.world.live(end - self.clock.now(), learn=learn)
            except Crash:
                self.world.later(1.0)
        self.is_rough = False


FOUND = {"result": "done", "score": 84, "verdict": "fits", "summary": "Bakes well.", "strengths": None,
         "weaknesses": None}  # fmt: skip
FLOWS = {JOB: TO_RIGHT, CANDIDATE: BOTH, APPLICATION: BOTH, Kind.SCREENING: TO_LEFT}


class Slowly(PaperConnector):
    """What was done to a person shows a while after."""

    SHOWS_S = 40.0

    async def screen(self, record: Any) -> None:
        await super().screen(record)

    async def may_screen(self, record: Any) -> bool:
        shown = [ref for at, ref in self.left_at if at + self.SHOWS_S <= self.system.clock.now()]
        return await self._call("GET", "may_screen", lambda: record.ref.id in shown)

    @property
    def left_at(self) -> list[tuple[float, str]]:
        """When each leave was given, by the server's own list."""
        known = self.__dict__.setdefault("_left_at", [])
        for ref in self.desk.leaves[len(known) :]:
            known.append((self.system.clock.now(), ref))
        return known


class Desk(Once):
    """Résumés, remarks and leave to phone: each is given once, whatever becomes of the answers."""

    def made(self) -> SmallWorld:
        facts = {"rows": with_papers("rows"), "plain": with_papers("plain")}
        world = SmallWorld(
            _emptied(), "rows", "plain", facts=facts, words=dict.fromkeys(facts, WORDS), flows=FLOWS,
            screen_at="screening", resumes=TO_RIGHT,
        )  # fmt: skip
        for name, system in world.systems.items():
            world.connectors[name] = Slowly(system)
        return world

    def play(self) -> list[str]:
        hub, spoke = self.world.systems["rows"], self.world.systems["plain"]
        here, there = (self.world.connectors[name].desk for name in ("rows", "plain"))
        job = hub.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
        ids = []
        for at in range(3):
            fields = {"name": f"Ann {at}", "email": f"ann{at}@example.com", "phone": f"+1202555010{at}", "stage": "New",
                      "resume": "1"}  # fmt: skip
            ids.append(hub.add(APPLICATION, fields, parents={JOB: job}))
            here.files[ids[-1]] = PDF + str(at).encode()
        self.run(200.0, rough=True, learn=True)
        for id_ in ids[:2]:
            hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
        for thing in spoke.of(APPLICATION)[:2]:
            spoke.add(Kind.SCREENING, FOUND, "system", parents={APPLICATION: thing.ref.id})
        self.run(400.0, rough=True)
        self.run(900.0, rough=False)
        return self._judged(here, there, len(spoke.of(Kind.SCREENING)))

    def _judged(self, here: Any, there: Any, screenings: int) -> list[str]:
        told = {
            "leave to phone": Counter(there.leaves),
            "a remark": Counter((ref, form) for ref, form, _ in here.remarks),
            "a file": Counter((ref, content) for ref, _, content in there.attached),
        }
        broken = [
            f"I2 {what} was given {count} times to {key[0] if isinstance(key, tuple) else key}"
            for what, counts in told.items()
            for key, count in counts.items()
            if count > 1
        ]
        missing = 2 * screenings - len(here.remarks) + (3 - len(there.attached))
        if missing > 0 and not self.world.reasons():
            broken.append(f"I20 {missing} files and remarks are missing, and nothing is held")
        return broken


class Till(Once):
    """Résumés are screened by the batch; each costs money once, and a day has its limit."""

    CREDITS_A_DAY = 4
    DESCRIPTION = "Bakes bread and cakes for the whole town."

    def made(self) -> SmallWorld:
        facts = {"rows": with_papers("rows"), "plain": SCREENER}
        words = {"rows": {**WORDS, "fields": {**WORDS["fields"], "job": {"description": "code"}}}, "plain": WORDS}
        flows = {APPLICATION: BOTH, Kind.SCREENING: TO_LEFT}
        world = SmallWorld(
            _emptied(), "rows", "plain", facts=facts, words=words, flows=flows, screen_at="screening", collect_s=30.0,
            credits_a_day=self.CREDITS_A_DAY,
        )  # fmt: skip
        world.connectors["rows"] = PaperConnector(world.systems["rows"])
        world.connectors["plain"] = ScreenerConnector(world.systems["plain"])
        return world

    def play(self) -> list[str]:
        hub, screener = self.world.systems["rows"], self.world.connectors["plain"]
        job = hub.add(JOB, {"title": "Baker", "code": self.DESCRIPTION, "status": "open"})
        screener.keys = self.rng.random() < 0.5  # some services forget them
        count = self.rng.randint(3, 6)
        for at in range(count):
            self._apply(job, at)
            if at == 1:
                self.run(60.0, rough=True, learn=True)
        self.run(600.0, rough=True)
        self.run(900.0, rough=False)
        return self._judged(screener, count)

    def _apply(self, job: str, at: int) -> None:
        hub, screener = self.world.systems["rows"], self.world.connectors["plain"]
        fields = {"name": f"Ann {at}", "email": f"ann{at}@example.com", "phone": None, "stage": "Screen", "resume": "1"}
        id_ = hub.add(APPLICATION, fields, parents={JOB: job})
        content = PDF + str(at).encode()
        self.world.connectors["rows"].desk.files[id_] = content
        if self.rng.random() < 0.15:
            screener.bad.add(content)

    def _judged(self, screener: Any, count: int) -> list[str]:
        billed = Counter(name for batch in screener.batches.values() for name in batch.files)
        broken = [f"I2 the file {name} was billed {times} times" for name, times in billed.items() if times > 1]
        if screener.billed > self.CREDITS_A_DAY:
            broken.append(f"I2 {screener.billed} credits were spent on a day of {self.CREDITS_A_DAY}")
        if not billed and count > len(screener.bad) and not self.world.reasons():
            broken.append("I20 nobody was screened, and nothing is held")
        return broken


WORLDS: dict[str, World] = {
    "road": lambda seed: Road(seed).play(),
    "inbox": lambda seed: Inbox(seed).play(),
    "desk": lambda seed: Desk(seed).play(),
    "till": lambda seed: Till(seed).play(),
}
