"""The whole under deterministic simulation: the real engine, store and connectors against the played systems.

One process, virtual time. A seed draws a hub and its spokes, the people who work there, whether webhooks are sent,
which faults there are and when the process dies. Then everything heals, and the judges of the real runs
(``tests.integration``) read the played systems' own logs. A store in memory that rolls back stands for a kill.
"""

import asyncio
import gc
import random
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import httpx
import sqlalchemy as sa
from starlette.responses import Response

from syncd import app, cycle, look, schema, switches, webhooks
from syncd.agenda import left_to_do, unswept
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Delivery
from syncd.metrics import Metrics
from syncd.sandbox import LostConnection
from syncd.sealing import Sealer
from syncd.server import build_app
from syncd.settings import Config
from syncd.site import Source
from syncd.store import Store, open_engine
from syncd.work import SUBMIT
from tests.integration import city
from tests.integration.judges import Kept, Line, Run, holds_of, violations
from tests.integration.papers import paper_violations
from tests.integration.town import LIMITS, SECRET, TOKEN, USUAL_LIMITS
from tests.simulation.added import ADDED, Added
from tests.simulation.liar import KINDS, Faults, Liar, SkewedClock

START = 1_800_000_000.0
POLL_S, SWEEP_S = 60, 240
LOOK_S = 20.0  # between two looks whether all has come to rest
LONGEST_REST_S = 6 * 3600.0  # a batch is asked about for hours, a refused write is tried again after minutes
STARS = (city.WORKABLE, city.WORKABLE, city.PORTAL, city.NINJAHIRE, city.WORKSIGNAL)
CONNECTION = """
[connections.{{name}}]
system = "{{system}}"
base_url = "{{address}}"
token = "{{token}}"
poll = "{poll}s"
sweep = "{sweep}s"
overlap = "5s"
limits = ["20/1s"]
"""


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Player:
    """One played system: the honest box, and the app through which it is reached."""

    name: str
    box: Any
    app: Liar

    def unskew(self) -> None:
        """Bring the system's own log to the common time."""
        ahead = self.box.clock.ahead_s
        self.box.arrivals = [replace(one, at=one.at - ahead) for one in self.box.arrivals]
        self.box.effects = [replace(one, at=one.at - ahead) for one in self.box.effects]
        self.app.looks = [replace(one, at=one.at - ahead) for one in self.app.looks]

    @property
    def address(self) -> str:
        return f"https://{host_of(self.name)}"


def host_of(name: str) -> str:
    return f"{name}.example.test"


class Workers(city.Crowd):
    """Who works there; some move many at once."""

    def acts(self) -> list[Callable[[], None]]:
        return [*super().acts(), self.move_many] if self.moves_many else super().acts()

    moves_many = False
    noted: Callable[[str], None]  # a fault that was drawn has happened

    def move_many(self) -> None:
        self.noted("mass")
        name = self.rng.choice([*self.played])
        word = self.word(name)
        for id_ in [*self.box(name).snapshot()["application"]]:
            if self.rng.random() < 0.8:
                self.put(name, id_, word)


@cache
def _plugins() -> Mapping[str, Any]:
    return app.load_plugins()


class Swarm:
    """One seed, from its world to its verdict."""

    def __init__(self, seed: int, added: Sequence[str] = ADDED) -> None:
        self.seed = seed
        self.rng = random.Random(f"swarm {seed}")
        self.chance = random.Random(f"swarm chance {seed}")
        self.clock = SteppedClock(START, frozen=True)
        self.star = self._star()
        self.has_webhooks = self.rng.random() < 0.5
        self.crash_share = self.rng.choice((0.0, 0.001, 0.004))
        self.faults = self._faults()
        self.added = Added(seed, self.faults, added)
        self.deaths: list[float] = []
        self.crashing = False
        self.dies: asyncio.Event
        self.site: Any = None
        self.ears: Mapping[str, webhooks.Ear] = {}
        self.taken: list[tuple[str, str]] = []  # the events that were answered with a 2xx: whose, and their keys
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self._hooked))
        self.played = {name: self._player(at, name) for at, name in enumerate(self.star.systems)}
        self.people = Workers(
            self.played, random.Random(self.rng.random()), hub=self.star.hub, gives=self.star.gives, clock=self.clock,
            pauses=(0.5, 2.0, 10.0, 30.0), returns=(0.02, 1.0, 20.0, 90.0),
        )  # fmt: skip
        self.people.moves_many, self.people.noted = "mass" in self.faults.kinds, self.faults.note
        self.config = self._config()
        self.store = Store(open_engine("sqlite:///:memory:"), self.clock, threaded=False)
        self.store.run_now(_make_tables)
        self.store.around = self._moment
        self.sealer = Sealer(b"0" * 32, self.chance.randbytes)
        self.metrics = Metrics(version=app.VERSION)
        self.late: list[asyncio.Future[None]] = []
        self.overdue: list[tuple[Any, bytes]] = []  # webhooks that come when all has long been at rest
        self.bugs: list[str] = []  # what ended in nobody's hands

    # the world

    def _star(self) -> city.Star:
        star = self.rng.choice(STARS)
        names = [name for name in star.pairs if name == "acme" or self.rng.random() < 0.5]
        names = names or [self.rng.choice(list(star.pairs))]
        known = {star.hub, *names}
        return replace(
            star,
            pairs={name: said for name, said in star.pairs.items() if name in names},
            resumes=tuple(way for way in star.resumes if known.issuperset(way)),
            remarks=tuple(way for way in star.remarks if known.issuperset(way)),
        )

    def _faults(self) -> Faults:
        is_quiet = self.rng.random() < 0.25
        kinds = () if is_quiet else tuple(kind for kind in KINDS if self.rng.random() < 0.4)
        return Faults(kinds, self.rng.choice((0.02, 0.05, 0.15)), random.Random(self.rng.random()))

    def _player(self, at: int, name: str) -> Player:
        limits = LIMITS.get(name, USUAL_LIMITS)
        ahead_s = 0.0
        if "skewed" in self.faults.kinds:
            ahead_s = self.rng.uniform(-300.0, 300.0)
            self.faults.note("skewed")
        shared: Any = {
            "clock": SkewedClock(self.clock, ahead_s),
            "limits": limits,
            "client": self.client,
            "tokens": (TOKEN,),
        }
        box: Any = _plugins()[self.star.systems[name]].sandbox(rng=random.Random(self.seed * 7 + at), **shared)
        lag = random.Random(self.seed * 11 + at)
        box.lag = lambda: lag.choice((0.01, 0.05, 0.2))
        liar = Liar(box, host_of(name), self.faults, self._moment)
        liar.befalls, liar.is_loose = self.added.befalls, self.added.loosen(box)
        liar.dice = random.Random(f"{self.seed}:{name}")
        return Player(name, box, liar)

    def _config(self) -> Config:
        addresses = {name: one.address for name, one in self.played.items()}
        template = CONNECTION.format(poll=POLL_S, sweep=SWEEP_S)
        told = tomllib.loads(city.config_of(self.star, addresses, template))
        if self.has_webhooks:
            for name in told["connections"].keys() & {"screener", "voice"}:
                told["connections"][name]["webhook_secret"] = SECRET
        return Config.model_validate({"store": {"url": "sqlite:///:memory:", "key": "0" * 64}, **told})

    # webhooks

    def _subscribe(self) -> None:
        base = "https://sync.example.test/webhooks"
        for name in self.played.keys() & {"acme", "screener", "voice"} if self.has_webhooks else ():
            box = self.played[name].box
            if name == "acme":
                for event in ("candidate_created", "candidate_moved", "candidate_deleted"):
                    box.subscribe(f"{base}/acme/{event}", event)
            else:
                box.subscribe(f"{base}/{name}", secret=SECRET)
            box.lose_hook = lambda event: self.crashing and self.chance.random() < 0.1

    async def _hooked(self, scope: Any, receive: Any, send: Any) -> None:
        """Our own port; nobody is there while the process is dead, and its death is a lost connection to others."""
        if self.site is None:
            raise LostConnection
        body = await _body(receive)
        try:
            if self.faults.has("forged"):
                await self._forge(scope)
            status = await self._passed_on(scope, body)
        except Crash:
            self.dies.set()
            raise LostConnection from None
        await Response(status_code=status)(scope, receive, send)

    async def _passed_on(self, scope: Any, body: bytes) -> int:
        """What something between the system and our port makes of a delivery; what the system is told."""
        fate = self.added.befalls("dropped", "overdue", "replayed")
        if fate in ("overdue", "replayed"):
            self.overdue.append((scope, body))
        if fate in ("dropped", "overdue"):
            return 200
        status = 200
        if self.faults.has("delayed"):
            self.late.append(asyncio.ensure_future(self._delayed(scope, body)))
        else:
            status = await self._delivered(scope, body)
        return await self._delivered(scope, body) if self.faults.has("doubled") else status

    async def _delivered(self, scope: Any, body: bytes) -> int:
        """Hand a delivery to our port; what it answered. I8: what is answered with a 2xx has been kept."""
        status = await _told(self.site, scope, body)
        if status == 200:
            self.taken.append(self._event_of(scope, body))
            self._judge_kept(self.taken[-1:])
        return status

    def _event_of(self, scope: Any, body: bytes) -> tuple[str, str]:
        """Whose event a delivery is, and its key in the inbox."""
        _, _, name, *event = scope["path"].split("/")
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        delivery = Delivery(body, headers, event[0] if event else None, received_at=self.clock.now())
        heard = self.ears[name].judge(delivery)
        return name, webhooks.event_key(heard.notice, delivery, self.digest) if heard else "that nobody signed"

    def _judge_kept(self, events: Iterable[tuple[str, str]]) -> None:
        crashing, self.crashing = self.crashing, False  # this is no moment of the daemon's
        kept = self.store.run_now(_inbox)
        self.crashing = crashing
        for name, key in events:
            if (name, key) not in kept:
                self.bugs.append(f"I8 {key} of {name} was answered with 200, and is not in the inbox")

    async def _delayed(self, scope: Any, body: bytes) -> None:
        """Something between has taken it, and delivers it when everything has gone on."""
        await self.clock.sleep_until(self.clock.now() + self.chance.choice((1.0, 30.0, 300.0)))
        try:
            if self.site is not None:
                await self._delivered(scope, body)
        except Crash:
            self.dies.set()

    async def _forge(self, scope: Any) -> None:
        """Somebody sends what no system has signed: it is refused, and nothing comes of it."""
        headers = [(name, b"f" * len(value)) for name, value in scope["headers"] if b"signature" in name.lower()]
        status = await _told(self.site, {**scope, "headers": headers}, b'{"id": "1", "data": {"id": "1"}}')
        if status != 401:
            self.bugs.append(f"I9 a forged webhook was answered with {status}")

    # crashes

    def _moment(self, moment: str) -> None:
        if self.crashing and self.chance.random() < self.crash_share:
            raise Crash(moment)

    # the run

    def run(self) -> list[str]:
        """Play the seed; what should not have happened."""
        return run_stepped(self.clock, self._main())

    async def _main(self) -> list[str]:
        self.dies = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: self.bugs.append(repr(told)))
        self.people.fill()
        self._subscribe()
        if "cv" in self.played:
            self.played["cv"].box.screening_s, self.played["cv"].box.each_s = 20.0, 2.0
        await self._serve_until(self.clock.now() + 1.0, learns=True)
        self.crashing = self.faults.on = True
        people = asyncio.ensure_future(self.people.work(60 * self.rng.choice((2.0, 4.0))))
        while not people.done():
            self._resume()
            await self._serve_until(self.clock.now() + 30.0)
        await people
        self.crashing = self.faults.on = False
        stuck = await self._heal()
        restless = await self._restless() and await self._restless()
        await asyncio.gather(*self.late)
        self._judge_kept(self.taken)
        restless = restless or await self._much_later()
        for one in self.played.values():
            one.unskew()
        run = await self._told()
        strangers = [line for one in self.played.values() for line in one.app.strangers]
        return [*self.bugs, *strangers, *stuck, *violations(run), *self._beside(run), *restless]

    def _app(self) -> app.App:
        players = self.played
        return app.build(
            self._config_now(), _plugins(), self.store, self.sealer, rng=random.Random(self.chance.random()),
            network=lambda name: httpx.ASGITransport(app=players[name].app),
        )  # fmt: skip

    def _config_now(self) -> Config:
        """The config of one life of the process: now and then somebody takes a pair out of it for a while."""
        if not self.faults.has("unpaired"):
            return self.config
        left_out = self.chance.choice(list(self.config.pairs))
        return self.config.model_copy(update={"pairs": {n: p for n, p in self.config.pairs.items() if n != left_out}})

    async def _serve_until(self, end: float, *, learns: bool = False) -> None:
        while self.clock.now() < end:
            try:
                await self._live(self._app(), end, learns=learns)
            except Crash:
                self.deaths.append(self.clock.now())
                await self.clock.sleep_until(self.clock.now() + 1.0)
            finally:
                self.site = None

    async def _live(self, syncd: app.App, end: float, *, learns: bool) -> None:
        self.dies.clear()
        engine = syncd.engine
        await engine.begin()
        if learns:
            await engine.learn()
        engine.scheduled = True
        self.ears, self.digest = webhooks.ears_of(engine, {}), engine.world.digest
        receiver = webhooks.Receiver(engine, self.ears, self.metrics)
        self.site = _site(self.config, receiver)
        await self._drive(engine, end)

    async def _drive(self, engine: cycle.Engine, end: float) -> None:
        tasks = [asyncio.ensure_future(engine.drive(lane)) for lane in engine.lanes.values()]
        tasks += [asyncio.ensure_future(self.clock.sleep_until(end)), asyncio.ensure_future(self.dies.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if self.dies.is_set():
                raise Crash
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _heal(self) -> list[str]:
        """Nobody does anything any more: until each list was walked whole once more and nothing waits."""
        healed = self.clock.now()
        self._resume()
        while self.clock.now() < healed + LONGEST_REST_S:
            await self._serve_until(self.clock.now() + LOOK_S)
            if not (left := self.store.run_now(self._left, healed)):
                stopped = self.store.run_now(switches.stopped_scopes)
                return [f"I22 {scope} was stopped, and nothing is wrong" for scope in sorted(stopped)]
        return [f"I22 {left} things are stuck"]

    def _resume(self) -> None:
        """The operator starts again what was stopped for a refused token; this is not where the daemon dies."""
        crashing, self.crashing = self.crashing, False
        for name in self.played:
            self.store.run_now(switches.start, f"connection/{name}")
        self.crashing = crashing

    def _left(self, connection: sa.Connection, healed: float) -> int:
        world = app.build_world(self.config, _plugins(), self.sealer)
        walks = [(name, walk.name) for name in world.connections for walk in world.walks_of(name)]
        return left_to_do(connection) or len(unswept(connection, walks, healed))

    # judging

    async def _told(self) -> Run:
        world = app.build_world(self.config, _plugins(), self.sealer)
        held = self.store.run_now(look.held, world)
        journal = self.store.run_now(_journal)
        return Run(self._kept(world), holds_of(held), journal, self.deaths, hub_name=self.star.hub)

    def _kept(self, world: Any) -> dict[str, Kept]:
        kept = {
            name: Kept(name, one.box, world.connections[name].vocabulary, world.connections[name].defaults,
                       LIMITS.get(name, USUAL_LIMITS), one.app.looks)
            for name, one in self.played.items()
        }  # fmt: skip
        if "cv" in kept:
            kept["cv"].told = city.screened_as(kept["cv"], kept[self.star.hub])
        return kept

    def _beside(self, run: Run) -> list[str]:
        return paper_violations(run, self.star.resumes, self.star.remarks, self.star.screen_at)

    async def _restless(self) -> list[str]:
        """What is written though nobody does anything; what waited for a poll may be so once, before all is in step."""
        before = self._writes()
        await self._serve_until(self.clock.now() + SWEEP_S + 2 * LOOK_S)
        more = self._writes()[len(before) :]
        return [f"I21 {len(more)} writes after all was in step: {more[:3]}"] if more else []

    async def _much_later(self) -> list[str]:
        """Webhooks that were long overdue come: of what was settled long ago nothing is written."""
        if not self.overdue:
            return []
        await self.clock.sleep_until(self.clock.now() + self.added.much_later_s())
        deliveries = asyncio.ensure_future(self._deliver_overdue())
        restless = await self._restless()
        await deliveries
        return restless

    async def _deliver_overdue(self) -> None:
        for scope, body in self.overdue[:100]:
            await self.clock.sleep_until(self.clock.now() + 1.0)
            await self._delivered(scope, body)

    def _writes(self) -> list[str]:
        arrivals = sorted(
            (one.at, name, one.method, one.path)
            for name, player in self.played.items()
            for one in player.box.arrivals
            if one.method != "GET"
        )
        return [f"{name} {method} {path}" for _, name, method, path in arrivals]

    def story(self, found: list[str]) -> str:
        """All that is needed to look into a red run; it is played again with the same number."""
        effects = sorted(
            (one.at, name, one.by, one.action, one.kind, one.id, str(dict(one.before)), str(dict(one.after)))
            for name, player in self.played.items()
            for one in player.box.effects
        )
        head = [f"whole seed {self.seed}: {found[0]}", *found[1:8], f"hub {self.star.hub}, {[*self.star.pairs]}"]
        about = [f"faults {self.faults.fired}", f"deaths {self.deaths}", f"webhooks {self.has_webhooks}"]
        return "\n".join([*head, *about, *map(str, effects[-60:])])


async def _body(receive: Any) -> bytes:
    pieces, message = [], {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        pieces.append(message.get("body", b""))
    return b"".join(pieces)


async def _told(site: Any, scope: Any, body: bytes) -> int:
    """The status with which a delivery is answered."""
    statuses = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    await site(dict(scope), receive, send)
    return int(statuses[0])


def _inbox(connection: sa.Connection) -> set[tuple[str, str]]:
    """Whose events stand in the inbox, and their keys."""
    inbox = schema.inbox.c
    return {(row.connection, row.event) for row in connection.execute(sa.select(inbox.connection, inbox.event))}


def _make_tables(connection: sa.Connection) -> None:
    schema.metadata.create_all(connection)


def _journal(connection: sa.Connection) -> list[Line]:
    rows = connection.execute(sa.select(schema.journal).order_by(schema.journal.c.id))
    return [
        Line(row.at, row.connection, row.kind, row.ref, row.what, tuple(row.fields))
        for row in rows
        if row.detail != SUBMIT  # a batch tells at its source what it holds
    ]


def _site(config: Config, receiver: webhooks.Receiver) -> Any:
    async def nothing() -> Any:
        return {}

    async def measured() -> bytes:
        return b""

    pages = Source(facts=nothing, ask=nothing, troubles=list, act=None)
    return build_app(config.server, pages=pages, measured=measured, troubles=list, receive=receiver.receive)


def play(seed: int, added: Sequence[str] = ADDED) -> Swarm:
    """Run one seed; raise with everything needed to look into it if anything happened that should not have."""
    gc.disable()  # a run is soon over
    try:
        swarm = Swarm(seed, added)
        found = swarm.run()
    finally:
        gc.enable()
    if found:
        raise AssertionError(swarm.story(found))
    return swarm
