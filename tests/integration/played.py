"""The three systems on loopback, and daemons in processes of their own: wall time, real sockets, real kills."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn

from syncd import server
from syncd.app import load_plugins
from syncd.clock import WallClock
from syncd.sandbox import Sandbox
from syncd.settings import Server
from syncd.store import open_engine

TOKEN = "sandbox-token"
SECRET = "whsec_made_up_for_tests"
ROOT = Path(__file__).parents[2]

CONFIG = """
[store]
url = "{store}"
key_file = "{folder}/key"

[server]
listen = "127.0.0.1:0"

[connections.acme]
system = "workable"
base_url = "{workable}"
token = "sandbox-token"
member = "ops@acme.example"
poll = "1h"
limits = ["500/1s"]

[connections.screener]
system = "ninjahire"
base_url = "{ninjahire}"
token = "sandbox-token"
webhook_secret = "whsec_made_up_for_tests"
poll = "1h"
limits = ["500/1s"]

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
base_url = "{worksignal}"
token = "sandbox-token"
poll = "1h"
limits = ["500/1s"]

[pairs.screening]
left = "acme"
right = "screener"
jobs = "->"
candidates = "->"
applications = "<->"

[pairs.voices]
left = "acme"
right = "voice"
jobs = "->"
candidates = "->"
applications = "<->"
"""


@dataclass
class Played:
    """The systems as they are played, by name, and their addresses."""

    boxes: dict[str, Any]
    addresses: dict[str, str]

    @property
    def workable(self) -> Any:
        return self.boxes["workable"]


@contextlib.contextmanager
def systems(*, people: int = 5) -> Iterator[Played]:
    """Workable with some people, the others empty, all without limits, each on a port of its own."""
    plugins, boxes, addresses = load_plugins(), {}, {}
    with contextlib.ExitStack() as stack:
        for system in ("workable", "ninjahire", "worksignal"):
            sandbox = plugins[system].sandbox
            assert sandbox is not None
            boxes[system] = sandbox(clock=WallClock(), rng=random.Random(7), limits=())
            addresses[system] = stack.enter_context(_served(boxes[system]))
        boxes["workable"].fill(jobs=2, people=people, again=0.0)
        yield Played(boxes, addresses)


@contextlib.contextmanager
def _served(box: Sandbox) -> Iterator[str]:
    listener = server.listening(Server(listen="127.0.0.1:0"))
    settings = uvicorn.Config(box, log_config=None, lifespan="off", ws="none", access_log=False, log_level="critical")
    playing = uvicorn.Server(settings)
    thread = threading.Thread(target=playing.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield server.address_of(listener)
    finally:
        playing.should_exit = playing.force_exit = True
        thread.join(10)


@dataclass
class Daemon:
    """A daemon's process. ``address`` is known once its port answers."""

    process: subprocess.Popen[str]
    log: Path
    address: str = field(default="")

    def wait_ready(self, seconds: float = 30.0) -> "Daemon":
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, f"it did not start:\n{self.told()}"
        until(lambda: self.get("/readyz").status_code == 200, seconds, self.told)
        return self

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address + path, trust_env=False, timeout=30)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(self.address + path, content=body, headers=headers, trust_env=False, timeout=30)

    def told(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


@dataclass
class Place:
    """A folder with a config, in which daemons are started."""

    folder: Path
    store_url: str
    daemons: list[Daemon] = field(default_factory=list)

    def start(self) -> Daemon:
        log = self.folder / f"log{len(self.daemons)}"
        with log.open("w") as stream:
            command = [sys.executable, "-m", "tests.integration.daemon", str(self.folder / "config.toml")]
            strict = {**os.environ, "PYTHONWARNINGS": "error"}
            process = subprocess.Popen(command, cwd=ROOT, env=strict, stdout=subprocess.PIPE, stderr=stream, text=True)
        self.daemons.append(Daemon(process, log))
        return self.daemons[-1]

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        """What the store holds, read beside the daemon."""
        engine = open_engine(self.store_url, read_only=True)
        try:
            with engine.connect() as connection:
                return list(connection.execute(statement))
        finally:
            engine.dispose()


@contextlib.contextmanager
def place(folder: Path, played: Played, store_url: str) -> Iterator[Place]:
    """Write the config; at the end no daemon is left."""
    text = CONFIG.format(store=store_url, folder=folder, **played.addresses)
    (folder / "config.toml").write_text(text)
    made = Place(folder, store_url)
    try:
        yield made
    finally:
        for daemon in made.daemons:
            daemon.kill()
            if daemon.process.stdout is not None:
                daemon.process.stdout.close()


def until(holds: Any, seconds: float = 30.0, told: Any = lambda: "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came about:\n{told()}"
        time.sleep(0.05)
