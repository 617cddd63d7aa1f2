"""The systems on loopback within the test's own loop, and the program in processes of its own.

People act in the loop that serves the systems, so nothing is looked at half changed. Wall time, real sockets.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import sqlalchemy as sa

from syncd import schema
from syncd.app import load_plugins
from syncd.clock import WallClock
from syncd.sandbox import Fault, Limit
from syncd.server import listening, serving
from syncd.settings import Server
from syncd.store import open_engine
from tests.integration.judges import Watched
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}
LIMITS = {
    "acme": (Limit(20, 1.0, fixed=True), Limit(20, 1.0)),
    "screener": (Limit(20, 1.0),),
    "voice": (Limit(20, 1.0, fixed=True), Limit(20, 1.0)),
}
USUAL_LIMITS = (Limit(20, 1.0),)
SECRET = "whsec_made_up_for_tests"
# The command line as it is, but a call counts as lost after seconds and not after a minute, and after as few a batch is
# asked whether it is done, and a source that was away whether it is back.
SCALED = (
    "from syncd import calls, push; push.CALL_TIMEOUT_S = 3.0; calls.FIRST_LOOK_S = 1.0; calls.SOURCE_AWAY_S = 2.0; "
    "from syncd.cli import main; main()"
)
TOKEN = "sandbox-token"
LONGEST_S = 30.0  # for a start: whoever must be faster is judged by the figure
CONFIG = """
[store]
url = "sqlite:///{folder}/syncd.db"

[server]
listen = "127.0.0.1:{port}"

[log]
form = "json"
level = "{level}"

[connections.acme]
system = "workable"
base_url = "{acme}"
token = "{token}"
member = "ops@acme.example"
poll = "{poll}"
sweep = "{sweep}"
overlap = "5s"
limits = ["20/1s"]

[connections.screener]
system = "ninjahire"
base_url = "{screener}"
token = "{token}"
webhook_secret = "{secret}"
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
token = "{token}"
webhook_secret = "{secret}"
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


# --- the systems ----------------------------------------------------------------------------------------------------


class Played:
    """One system on a port of its own, which may go away for a while."""

    def __init__(self, name: str, box: Any) -> None:
        self.name, self.box = name, box
        self.app = Watched(box)
        self.port = free_port()
        self._open = contextlib.AsyncExitStack()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        listener = listening(Server(listen=f"127.0.0.1:{self.port}"))
        await self._open.enter_async_context(serving(self.app, listener, dated=False))

    async def close(self) -> None:
        await self._open.aclose()

    async def go_away(self, seconds: float) -> None:
        await self.close()
        await asyncio.sleep(seconds)
        await self.open()


@dataclass
class Faults:
    """Which calls go wrong, by chance; none while it is off."""

    rng: random.Random
    share: float = 0.1
    on: bool = False
    fired: list[str] = field(default_factory=list)

    def __call__(self, method: str, path: str) -> Fault | None:
        if not self.on or self.rng.random() >= self.share:
            return None
        fault = self.rng.choice(list(Fault))
        self.fired.append(f"{fault} {method} {path}")
        return fault


@contextlib.asynccontextmanager
async def systems(
    seed: int, token: str = TOKEN, which: Mapping[str, str] = SYSTEMS
) -> AsyncIterator[dict[str, Played]]:
    """All of them, empty, served until the end. ``which``: connection -> system."""
    plugins, made = load_plugins(), {}
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        for number, (name, system) in enumerate(which.items()):
            sandbox = plugins[system].sandbox
            assert sandbox is not None
            limits = LIMITS.get(name, USUAL_LIMITS)
            shared: Any = {"clock": WallClock(), "limits": limits, "client": client, "tokens": (token,)}
            box: Any = sandbox(rng=random.Random(seed + number), **shared)
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


def configure(folder: Path, port: int, played: dict[str, Played], **settings: str) -> None:
    """Write the config; ``settings`` replace the usual ones."""
    usual = {
        "poll": "1s",
        "sweep": "4s",
        "people": "<->",
        "rules": "",
        "token": TOKEN,
        "secret": SECRET,
        "level": "info",
    }
    addresses = {name: one.address for name, one in played.items()}
    text = CONFIG.format(folder=folder, port=port, **{**usual, **settings}, **addresses)
    (folder / "config.toml").write_text(text)


def subscribe(played: dict[str, Played], port: int, secret: str = SECRET) -> None:
    """What the systems' administrators set up so that syncd hears of everything."""
    base = f"http://127.0.0.1:{port}/webhooks"
    for event in ("candidate_created", "candidate_moved", "candidate_deleted"):
        played["acme"].box.subscribe(f"{base}/acme/{event}", event)
    played["screener"].box.subscribe(f"{base}/screener", secret=secret)
    played["voice"].box.subscribe(f"{base}/voice", secret=secret)


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
        code, out, err = await self._asked(*words, "--json")
        assert out, err.decode()
        return code, json.loads(out)

    async def say(self, *words: str) -> bytes:
        """All that a command prints, errors and progress too."""
        _, out, err = await self._asked(*words)
        return out + err

    async def _asked(self, *words: str) -> tuple[int, bytes, bytes]:
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        asked = await self._spawn(*words, **pipes)
        out, err = await asyncio.wait_for(asked.communicate(), 60)
        assert asked.returncode is not None
        return asked.returncode, out, err

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
        return "\n".join(log.read_text()[-3000:] for log in self.logs[-4:])

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


class Took(NamedTuple):
    """Seconds by the clock, and those of them in which a process did not stand in the queue for a core."""

    wall_s: float
    own_s: float


async def time_to_ready(syncd: Syncd) -> Took:
    """What a process that was just started takes until /readyz says 200."""
    assert syncd.process is not None
    loop, pid = asyncio.get_running_loop(), syncd.process.pid
    began, queued = loop.time(), queued_s(pid)
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        while True:
            assert syncd.process.returncode is None, syncd.told()
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"http://127.0.0.1:{syncd.port}/readyz")).status_code == 200:
                    wall_s = loop.time() - began
                    return Took(wall_s, wall_s - queued_s(pid) + queued)
            assert loop.time() - began < LONGEST_S, syncd.told()
            await asyncio.sleep(0.02)


def queued_s(pid: int) -> float:
    """How long a process's main thread has been ready to run while others had the cores (Linux tells; else 0)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


async def ended(syncd: Syncd) -> None:
    """Leave no process behind."""
    if syncd.process is not None and syncd.process.returncode is None:
        syncd.process.kill()
        await syncd.process.wait()
