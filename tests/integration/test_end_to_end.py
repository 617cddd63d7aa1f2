"""The whole over real sockets: three systems on loopback, `syncd serve` in a process that is killed, people, faults.

Wall time with scaled limits: twenty calls a second where the vendors allow ten in ten seconds, sixty a minute or a
hundred a day; a call counts as lost after seconds and not after a minute (``SCALED``). A seed draws what people do and
when, which calls go wrong and when the process dies; the judges read the systems' own logs (``judges``).
`SYNCD_SEEDS=5,6,7` runs other seeds.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from syncd import config, schema
from syncd.app import build_world, load_plugins, sealer_of
from syncd.clock import WallClock
from syncd.sandbox import Fault, Limit
from syncd.server import listening, serving
from syncd.settings import Server
from syncd.store import open_engine
from tests.integration.judges import Kept, Line, Run, holds_of, violations

ROOT = Path(__file__).parents[2]
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}
LIMITS = {
    "acme": (Limit(20, 1.0, fixed=True), Limit(20, 1.0)),
    "screener": (Limit(20, 1.0),),
    "voice": (Limit(20, 1.0, fixed=True), Limit(20, 1.0)),
}
SECRET = "whsec_made_up_for_tests"
SCALED = "from syncd import push; push.CALL_TIMEOUT_S = 3.0; from syncd.cli import main; main()"
ACT_S = 13.0  # how long people work
QUIET_S = 60.0  # within that all must have come to rest
CONFIG = """
[store]
url = "sqlite:///{folder}/syncd.db"

[server]
listen = "127.0.0.1:{port}"

[log]
form = "json"

[connections.acme]
system = "workable"
base_url = "{acme}"
token = "sandbox-token"
member = "ops@acme.example"
poll = "{poll}"
sweep = "{sweep}"
overlap = "5s"
limits = ["20/1s"]

[connections.screener]
system = "ninjahire"
base_url = "{screener}"
token = "sandbox-token"
webhook_secret = "whsec_made_up_for_tests"
poll = "{poll}"
sweep = "{sweep}"
limits = ["20/1s"]

[connections.screener.defaults]
industry = "Software"
state = "CA"
country = "United States"
description = "See the job in Workable."
recruiter_name = "Talent team"
recruiter_email = "talent@example.com"
recruiter_phone = "+12025550100"
source = "Workable"
phone = "+12025550199"

[connections.voice]
system = "worksignal"
base_url = "{voice}"
token = "sandbox-token"
webhook_secret = "whsec_made_up_for_tests"
poll = "{poll}"
sweep = "{sweep}"
limits = ["20/1s"]

[pairs.screening]
left = "acme"
right = "screener"
jobs = "->"
candidates = "{people}"
applications = "<->"
{rules}

[pairs.voices]
left = "acme"
right = "voice"
jobs = "->"
candidates = "<->"
applications = "<->"
{rules}
"""


@dataclass(frozen=True)
class Flavour:
    """How a run is set up. ``rules``: the hub wins conflicts; ``people``: which way screening carries people."""

    poll: str = "1s"
    sweep: str = "4s"
    webhooks: bool = False
    rules: bool = False
    people: str = "<->"


POLLS = Flavour()
WEBHOOKS = Flavour(poll="5s", sweep="6s", webhooks=True)
HUB_RULES = Flavour(rules=True, people="->")


# --- the systems ----------------------------------------------------------------------------------------------------


class Played:
    """One system on a port of its own, which may go away for a while."""

    def __init__(self, name: str, box: Any) -> None:
        self.name, self.box = name, box
        self.port = free_port()
        self._open = contextlib.AsyncExitStack()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        listener = listening(Server(listen=f"127.0.0.1:{self.port}"))
        await self._open.enter_async_context(serving(self.box, listener, dated=False))

    async def close(self) -> None:
        await self._open.aclose()

    async def go_away(self, seconds: float) -> None:
        await self.close()
        await asyncio.sleep(seconds)
        await self.open()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Faults:
    """Which calls go wrong, by chance; none while it is off."""

    rng: random.Random
    share: float = 0.06
    on: bool = False
    fired: list[str] = field(default_factory=list)

    def __call__(self, method: str, path: str) -> Fault | None:
        if not self.on or self.rng.random() >= self.share:
            return None
        fault = self.rng.choice(list(Fault))
        self.fired.append(f"{fault} {method} {path}")
        return fault


@contextlib.asynccontextmanager
async def systems(seed: int) -> AsyncIterator[dict[str, Played]]:
    """The three, empty, served until the end."""
    plugins, made = load_plugins(), {}
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        for number, (name, system) in enumerate(SYSTEMS.items()):
            sandbox = plugins[system].sandbox
            assert sandbox is not None
            box: Any = sandbox(clock=WallClock(), rng=random.Random(seed + number), limits=LIMITS[name], client=client)
            box.resend_after_s = (0.5, 1.0, 2.0, 4.0, 8.0)
            box.faults = Faults(random.Random(seed * 31 + number))
            made[name] = Played(name, box)
        made["screener"].box.phones_after_s = 2.0
        try:
            for played in made.values():
                await played.open()
            yield made
        finally:
            for played in made.values():
                await played.close()


# --- the daemon -----------------------------------------------------------------------------------------------------


@dataclass
class Syncd:
    """The program in processes of its own, over one folder."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | None = None
    logs: list[Path] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)

    async def start(self) -> None:
        self.logs.append(self.folder / f"log{len(self.logs)}")
        with self.logs[-1].open("w") as stream:
            self.process = await self._spawn("serve", stdout=asyncio.subprocess.DEVNULL, stderr=stream)

    async def _spawn(self, *words: str, **streams: Any) -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", SCALED, "--config", str(self.folder / "config.toml"), *words]
        strict = {**os.environ, "PYTHONWARNINGS": "error"}
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=strict, **streams)

    async def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.told()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def die(self) -> None:
        """Be killed without a word."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        self.deaths.append(WallClock().now())

    async def stop(self) -> int:
        """Be asked to end; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 40)

    async def ask(self, *words: str) -> tuple[int, Any]:
        """A command beside the daemon: its exit code and what it printed as JSON."""
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        asked = await self._spawn(*words, "--json", **pipes)
        out, err = await asyncio.wait_for(asked.communicate(), 60)
        assert out, err.decode()
        assert asked.returncode is not None
        return asked.returncode, json.loads(out)

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        """What the store holds, read beside the daemon; nothing while there is no store."""
        if not (self.folder / "syncd.db").exists():
            return []
        engine = open_engine(f"sqlite:///{self.folder}/syncd.db", read_only=True)
        try:
            with engine.connect() as connection:
                return list(connection.execute(statement))
        except sa.exc.OperationalError:
            return []
        finally:
            engine.dispose()

    def told(self) -> str:
        return "\n".join(log.read_text()[-3000:] for log in self.logs)

    def has_learnt(self) -> bool:
        return bool(self.rows(sa.select(schema.meta.c.value).where(schema.meta.c.name == "learnt")))

    def is_at_rest(self, since: float) -> bool:
        """Whether nothing waits for a call, and every list was read whole since a time."""
        waits = schema.intents.c.state != "held"
        late = schema.cursors.c.swept_at <= since
        busy = (sa.select(schema.intents.c.id).where(waits), sa.select(schema.marks.c.ref),
                sa.select(schema.cursors.c.walk).where(late))  # fmt: skip
        return not any(self.rows(question) for question in busy)


async def until(holds: Callable[[], Any], seconds: float, told: Callable[[], str]) -> None:
    """Wait until something holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = holds()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert loop.time() < end, f"it never came about:\n{told()}"
        await asyncio.sleep(0.1)


# --- people ---------------------------------------------------------------------------------------------------------

TITLES = ("Night Nurse", "Tiler", "Data Engineer")
HUB_WORDS = ("Applied", "Phone Screen", "Assessment", "Interview", "Offer", "Hired", "!disqualified")
SCREENER_WORDS = ("Applied", "Screening", "Assessment", "Interview", "Offer", "Hired", "Rejected")
VOICE_WORDS = ("applied", "screening", "interview", "offer", "hired", "rejected")
USUAL = 5  # of each list of words: those that end nothing


@dataclass
class People:
    """All who work in the three systems, and those who apply there."""

    played: dict[str, Played]
    rng: random.Random
    done: list[str] = field(default_factory=list)
    later: list[asyncio.Task[None]] = field(default_factory=list)
    numbers: int = 0

    def box(self, name: str) -> Any:
        return self.played[name].box

    def any(self, name: str, kind: str) -> str | None:
        known = list(self.box(name).snapshot()[kind])
        return self.rng.choice(known) if known else None

    def phone(self) -> str:
        return f"+1202555{self.rng.randrange(10_000):04d}"

    def somebody(self) -> dict[str, Any]:
        self.numbers += 1
        name = f"{self.rng.choice(('Ada', 'Bruno', 'Chidi', 'Dana'))} Test{self.numbers}"
        return {"name": name, "email": f"p{self.numbers}@example.com", "phone": self.phone()}

    # before the first sync

    def fill(self) -> None:
        """Some of the same jobs and people are known on several sides."""
        hub, screener, voice = (self.box(name) for name in SYSTEMS)
        jobs = [hub.add_job(title=title, code=f"J{at}", department="Care") for at, title in enumerate(TITLES)]
        there = {screener: screener.add_job(title=TITLES[0], code="J0"), voice: voice.add_job(title=TITLES[1])}
        for number in range(8):
            person = self.somebody()
            first = number % len(jobs)
            hub.apply(jobs[first], **person)
            if number % 4 == 0:
                hub.apply(jobs[(first + 2) % len(jobs)], **person)
            if first == 0 and number:
                screener.apply(there[screener], **{**person, "email": person["email"].upper()})
            if number == 1:
                voice.apply(there[voice], **person)
        screener.apply(there[screener], **self.somebody())
        voice.apply(there[voice], **self.somebody())

    # what they do

    async def work(self, seconds: float) -> None:
        acts = [self.move, self.move, self.move, self.correct, self.correct, self.comment, self.apply, self.apply_again,
                self.go_and_come_back, self.both_sides, self.rename]  # fmt: skip
        loop = asyncio.get_running_loop()
        end, closing = loop.time() + seconds, loop.time() + seconds * self.rng.uniform(0.4, 0.8)
        while loop.time() < end:
            await asyncio.sleep(self.rng.choice((0.02, 0.1, 0.3, 0.6, 1.0)))
            act = self.rng.choice(acts)
            if closing and loop.time() > closing:
                act, closing = self.close_job, 0.0
            act()
            self.done.append(act.__name__)
        await asyncio.gather(*self.later)

    def word(self, name: str) -> str:
        words = {"acme": HUB_WORDS, "screener": SCREENER_WORDS, "voice": VOICE_WORDS}[name]
        return self.rng.choice(words if self.rng.random() < 0.15 else words[: USUAL if name != "voice" else 4])

    def put(self, name: str, id_: str, word: str) -> None:
        if self.box(name).snapshot()["application"][id_]["stage"] != word:
            self.box(name).move(id_, word)

    def move(self) -> None:
        name = self.rng.choice([*SYSTEMS])
        if (id_ := self.any(name, "application")) is not None:
            self.put(name, id_, self.word(name))

    def correct(self) -> None:
        """A phone number; at the hub on one of a person's rows."""
        name = self.rng.choice(["acme", *SYSTEMS])
        if (id_ := self.any(name, "candidate")) is not None:
            self.box(name).edit("candidate", id_, **{"phone_no" if name == "screener" else "phone": self.phone()})

    def rename(self) -> None:
        if (id_ := self.any("acme", "candidate")) is not None:
            self.box("acme").edit("candidate", id_, name=f"Nadia Named{self.rng.randrange(1000)}")

    def comment(self) -> None:
        if (id_ := self.any("acme", "application")) is not None:
            self.box("acme").comment(id_)

    def apply(self) -> None:
        name = self.rng.choice([*SYSTEMS])
        if (job := self.open_job(name)) is not None:
            self.box(name).apply(job, **self.somebody())

    def open_job(self, name: str) -> str | None:
        jobs = self.box(name).snapshot()["job"]
        known = [id_ for id_, job in jobs.items() if str(job.get("state") or job.get("status")).lower() != "closed"]
        return self.rng.choice(known) if known else None

    def apply_again(self) -> None:
        """Somebody known applies at the hub for one job more."""
        hub = self.box("acme")
        if (id_ := self.any("acme", "candidate")) is None or (job := self.open_job("acme")) is None:
            return
        told = hub.snapshot()
        person = told["candidate"][id_]
        jobs = {about["job"] for row, about in told["application"].items()
                if str(told["candidate"][row]["email"]).lower() == str(person["email"]).lower()}  # fmt: skip
        if job not in jobs:
            names = {"firstname": person["firstname"], "lastname": person["lastname"]}
            hub.apply(job, email=person["email"], phone=person["phone"], **names)

    def go_and_come_back(self) -> None:
        """A move, and back again after a while that may be shorter or longer than a look."""
        name = self.rng.choice([*SYSTEMS])
        if (id_ := self.any(name, "application")) is None:
            return
        before = self.box(name).snapshot()["application"][id_]["stage"]
        self.put(name, id_, self.word(name))

        async def back(wait_s: float) -> None:
            await asyncio.sleep(wait_s)
            self.put(name, id_, before)

        self.later.append(asyncio.ensure_future(back(self.rng.choice((0.02, 0.2, 1.0, 2.5)))))

    def both_sides(self) -> None:
        """The same application is moved on several sides at once."""
        kept = {name: self.box(name).snapshot() for name in SYSTEMS}
        if (id_ := self.any("acme", "application")) is None:
            return
        who = _who(kept["acme"], id_)
        for name, told in kept.items():
            for other in told["application"]:
                if _who(told, other) == who and (name == "acme" or self.rng.random() < 0.7):
                    self.put(name, other, self.word(name))

    def close_job(self) -> None:
        job = self.rng.choice([*self.box("acme").snapshot()["job"]])
        self.box("acme").edit("job", job, state="closed")


def _who(told: Any, id_: str) -> tuple[str, str]:
    about = told["application"][id_]
    return str(told["candidate"][about["candidate"]]["email"]).lower(), str(told["job"][about["job"]]["title"])


# --- a run ----------------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """One seed under one flavour, in one folder."""

    seed: int
    flavour: Flavour
    folder: Path
    played: dict[str, Played]

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.people = People(self.played, random.Random(self.seed + 1000))
        self.syncd = Syncd(self.folder, free_port())
        rules = 'conflicts = "left"\nowner = { stage = "left" }' if self.flavour.rules else ""
        addresses = {name: one.address for name, one in self.played.items()}
        text = CONFIG.format(folder=self.folder, port=self.syncd.port, poll=self.flavour.poll, sweep=self.flavour.sweep,
                             people=self.flavour.people, rules=rules, **addresses)  # fmt: skip
        (self.folder / "config.toml").write_text(text)

    def subscribe(self) -> None:
        """What the systems' administrators set up; now and then an event is lost."""
        base = f"http://127.0.0.1:{self.syncd.port}/webhooks"
        for event in ("candidate_created", "candidate_moved", "candidate_deleted"):
            self.played["acme"].box.subscribe(f"{base}/acme/{event}", event)
        self.played["screener"].box.subscribe(f"{base}/screener", secret=SECRET)
        self.played["voice"].box.subscribe(f"{base}/voice", secret=SECRET)
        for one in self.played.values():
            one.box.lose_hook = lambda event: self.rng.random() < 0.1

    async def begin(self) -> None:
        """From nothing to a daemon that has seen everything once."""
        self.people.fill()
        if self.flavour.webhooks:
            self.subscribe()
        await self.syncd.start()
        await until(self.syncd.is_ready, 30, self.syncd.told)
        await until(self.syncd.has_learnt, 30, self.syncd.told)

    async def misfortune(self) -> None:
        """Calls go wrong, systems go away, the process dies three times: each at a time of its own."""
        for one in self.played.values():
            one.box.faults.on = True
        times = sorted(self.rng.uniform(0.5, ACT_S - 1) for _ in range(3))
        away = asyncio.ensure_future(self.absences())
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for at in times:
            await asyncio.sleep(max(0.0, begin + at - loop.time()))
            await self.syncd.die()
            await self.syncd.start()
        await away

    async def absences(self) -> None:
        for _ in range(2):
            await asyncio.sleep(self.rng.uniform(1.0, ACT_S / 3))
            await self.played[self.rng.choice([*SYSTEMS])].go_away(self.rng.uniform(0.5, 2.0))

    async def rest(self) -> None:
        """Everything heals, people go home, and all comes to rest."""
        for one in self.played.values():
            one.box.faults.on = False
            one.box.lose_hook = lambda event: False
        since = WallClock().now()
        await until(lambda: self.syncd.is_at_rest(since) and self.is_silent(), QUIET_S, self.told)

    def is_silent(self) -> bool:
        """Whether no write came for longer than two polls and a look-up take."""
        writes = [call.at for one in self.played.values() for call in one.box.arrivals if call.method != "GET"]
        return WallClock().now() - max(writes, default=0.0) > 3.0

    def told(self) -> str:
        left = [
            str(dict(row._mapping))
            for question in (sa.select(schema.intents), sa.select(schema.marks), sa.select(schema.cursors))
            for row in self.syncd.rows(question)
        ]
        return "\n".join([*left, self.syncd.told()])

    async def judge(self) -> list[str]:
        """Ask what is held, stop the daemon, and look at everything."""
        _, held = await self.syncd.ask("held")
        code = await self.syncd.stop()
        log = "\n".join(path.read_text() for path in self.syncd.logs)
        bugs = [line for line in log.splitlines() if '"died"' in line or "Traceback" in line or '"bug"' in line]
        one_way = frozenset({"screener"}) if self.flavour.people == "->" else frozenset()
        run = Run(self.kept(), holds_of(held), self.journal(), self.syncd.deaths, self.flavour.rules, one_way)
        return [*([] if code == 0 else [f"SIGTERM: exit {code}"]), *bugs, *violations(run)]

    def kept(self) -> dict[str, Kept]:
        settings = config.load(self.folder / "config.toml", {})
        world = build_world(settings, load_plugins(), sealer_of(settings, random.randbytes))
        return {
            name: Kept(
                name, one.box, world.connections[name].vocabulary, world.connections[name].defaults, LIMITS[name]
            )
            for name, one in self.played.items()
        }

    def journal(self) -> list[Line]:
        return [
            Line(row.at, row.connection, row.kind, row.ref, row.what, tuple(row.fields))
            for row in self.syncd.rows(sa.select(schema.journal).order_by(schema.journal.c.id))
        ]

    def story(self, found: list[str]) -> str:
        """All that is needed to look into a red run."""
        effects = sorted(
            (effect.at, name, effect.by, effect.action, effect.kind, effect.id, dict(effect.before), dict(effect.after))
            for name, one in self.played.items()
            for effect in one.box.effects
        )
        fired = [line for one in self.played.values() for line in one.box.faults.fired]
        head = [
            f"seed {self.seed}, {self.flavour}, {len(found)} violations:",
            *found[:8],
            f"deaths {self.syncd.deaths}",
        ]
        return "\n".join([*head, *fired, *map(str, effects[-400:]), f"folder: {self.folder}"])


async def play(seed: int, flavour: Flavour, folder: Path) -> None:
    """Run one seed; raise with its story if anything happened that should not have."""
    async with systems(seed) as played:
        scene = Scene(seed, flavour, folder, played)
        try:
            await scene.begin()
            await asyncio.gather(scene.people.work(ACT_S), scene.misfortune())
            await scene.rest()
            found = await scene.judge()
        finally:
            await ended(scene.syncd)
        assert not found, scene.story(found)
        assert len(scene.syncd.deaths) == 3
        assert sum(len(one.box.faults.fired) for one in played.values()) > 5


async def ended(syncd: Syncd) -> None:
    if syncd.process is not None and syncd.process.returncode is None:
        syncd.process.kill()
        await syncd.process.wait()


SEEDS = [int(seed) for seed in os.environ.get("SYNCD_SEEDS", "1").split(",")]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("flavour", [POLLS, WEBHOOKS, HUB_RULES], ids=["polls", "webhooks", "hub_rules"])
def test_after_edits_faults_and_kills_everything_agrees_or_is_held(seed, flavour, tmp_path):
    asyncio.run(play(seed, flavour, tmp_path))
