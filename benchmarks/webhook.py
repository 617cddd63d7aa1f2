"""From a signed webhook to the confirmed write on the other side, with budget to spare; and how many a second are kept.

A daemon in a process of its own (``syncd serve`` as it is, SQLite with every commit synced) between a played Workable
and a played Ninjahire, all over sockets on loopback. A recruiter moves somebody in Workable, Workable sends its signed
``candidate_moved``, the daemon reads the row again, reads the application in Ninjahire, changes it there, and confirms.
The time runs from the moment before Workable sends to the confirming transaction, as the daemon's own journal tells it.
Then events with new ids are posted by eight clients at once, as fast as they are answered; each is answered after its
commit. At last they come at a steady pace for a minute, each at its own time whether or not those before it were
answered; what a late client adds to the wait counts. There the rows are read again only as fast as the systems' own
limits allow, as it is in practice: Workable's ten calls in ten seconds.

    .venv/bin/python benchmarks/webhook.py
    .venv/bin/python benchmarks/webhook.py steady  # the last part alone
"""

import asyncio
import hashlib
import hmac
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pysqlite3.dbapi2 as sqlite3
import uvicorn

from syncd.app import load_plugins
from syncd.clock import WallClock
from syncd.config import load

MOVES, PEOPLE, EVENTS, CLIENTS = 200, 20, 1000, 8
PACE, STEADY_S, STEADY_CLIENTS, STEADY_AIM_S = 210, 60, 48, 0.25  # events a second
TOKEN = "sandbox-token"
LONGEST_S = 120.0  # for any one thing that is waited for
AIM_S = 1.0

CONFIG = """
[store]
url = "sqlite:///{folder}/syncd.db"

[server]
listen = "127.0.0.1:0"

[connections.acme]
system = "workable"
base_url = "{workable}"
token = "sandbox-token"
member = "ops@acme.example"
poll = "1h"
{limits}

[connections.screener]
system = "ninjahire"
base_url = "{ninjahire}"
token = "sandbox-token"
webhook_secret = "whsec_made_up"
poll = "1h"
{limits}

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

[pairs.screening]
left = "acme"
right = "screener"
jobs = "->"
candidates = "->"
applications = "<->"
"""


# --- the daemon, and the systems ------------------------------------------------------------------------------------


async def daemon(config: str) -> int:
    """What ``syncd serve`` runs; its first line is its address."""
    from syncd import logs  # noqa: PLC0415  # only the daemon's process needs these
    from syncd.serve import serve  # noqa: PLC0415

    settings, clock = load(Path(config), os.environ), WallClock()
    logs.configure(sys.stderr, clock, secrets=settings.secrets(), form="json")
    return await serve(settings, load_plugins(), clock=clock, rng=random.Random(), entropy=os.urandom, on_ready=told)


def told(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


@asynccontextmanager
async def played(system: str, client: httpx.AsyncClient) -> AsyncIterator[tuple[Any, str]]:
    """A sandbox without limits on a port of its own, and its address."""
    made = load_plugins()[system].sandbox
    assert made is not None
    box = made(clock=WallClock(), rng=random.Random(7), limits=(), client=client)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(box, log_config=None, lifespan="off", ws="none", log_level="critical"))
    serving = asyncio.ensure_future(server.serve([listener]))
    try:
        yield box, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await serving


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[str]:
    """The daemon's process; its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "daemon",
        str(config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), LONGEST_S)).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not done():
            await asyncio.sleep(0.002)


# --- what is measured -----------------------------------------------------------------------------------------------


async def move_all(workable: Any, ninjahire: Any) -> list[float]:
    """Move people one after another; when each move began. The next begins once the last has arrived."""
    rows = [row for row, told in workable.snapshot()["application"].items() if not told["stage"].startswith("!")]
    began = []
    for number in range(MOVES):
        row, before = rows[number % len(rows)], len(ninjahire.effects)
        present = workable.snapshot()["application"][row]["stage"]
        began.append(time.time())
        workable.move(row, "Offer" if present == "Interview" else "Interview")
        await until(lambda known=before: len(ninjahire.effects) > known)
        await asyncio.sleep(0.03)
    return began


def confirmed(folder: str) -> list[float]:
    """When each write was confirmed, as the journal tells."""
    with sqlite3.connect(f"file:{folder}/syncd.db?mode=ro", uri=True) as database:
        told = "select at from journal where what = 'written' and connection = 'screener' order by id"
        return [at for (at,) in database.execute(told)]


def kept_in(folder: str) -> int:
    """How many events are in the inbox."""
    with sqlite3.connect(f"file:{folder}/syncd.db?mode=ro", uri=True) as database:
        return int(database.execute("select count(*) from inbox").fetchone()[0])


def events_about(workable: Any, first: int, count: int) -> list[bytes]:
    """So many events with ids of their own."""
    rows = sorted(workable.snapshot()["application"])
    return [
        orjson.dumps({"id": f"{n:024x}", "event_type": "candidate_moved", "data": {"id": rows[n % len(rows)]}})
        for n in range(first, first + count)
    ]


async def deliver(address: str, client: httpx.AsyncClient, body: bytes) -> None:
    signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Workable-Signature": signature}
    answer = await client.post(f"{address}/webhooks/acme/candidate_moved", content=body, headers=headers)
    assert answer.status_code == 200, answer.status_code


async def post_all(address: str, workable: Any, client: httpx.AsyncClient) -> float:
    """Kept events a second."""
    events = events_about(workable, 0, EVENTS)

    async def post() -> None:
        while events:
            await deliver(address, client, events.pop())

    began = time.perf_counter()
    await asyncio.gather(*(post() for _ in range(CLIENTS)))
    return EVENTS / (time.perf_counter() - began)


async def post_steadily(address: str, workable: Any, client: httpx.AsyncClient) -> list[float]:
    """Seconds from the moment each event was due to its answer."""
    events = enumerate(events_about(workable, EVENTS, PACE * STEADY_S))
    began, waits = time.perf_counter() + 0.5, []

    async def post() -> None:
        for number, body in events:
            due = began + number / PACE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await deliver(address, client, body)
            waits.append(time.perf_counter() - due)

    await asyncio.gather(*(post() for _ in range(STEADY_CLIENTS)))
    return sorted(waits)


async def measure(folder: str, *, is_steady: bool) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=LONGEST_S) as client,
        played("workable", client) as (workable, at_workable),
        played("ninjahire", client) as (ninjahire, at_ninjahire),
    ):
        workable.fill(jobs=2, people=2 if is_steady else PEOPLE, again=0.0)
        limits = "" if is_steady else 'limits = ["500/1s"]'
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG.format(folder=folder, workable=at_workable, ninjahire=at_ninjahire, limits=limits))
        async with started(config) as address:
            people = len(workable.snapshot()["application"])
            await until(lambda: len(ninjahire.snapshot()["application"]) == people)
            await asyncio.sleep(3.0)  # for what is read in the background after a first sync
            if is_steady:
                report_steady(await post_steadily(address, workable, client), kept_in(folder))
            else:
                first = len(confirmed(folder))
                workable.subscribe(f"{address}/webhooks/acme/candidate_moved", "candidate_moved")
                began = await move_all(workable, ninjahire)
                await until(lambda: len(confirmed(folder)) >= first + MOVES)
                report(began, confirmed(folder)[first:], await post_all(address, workable, client))


def report(began: list[float], ended: list[float], rate: float) -> None:
    assert len(began) == len(ended) == MOVES, f"{MOVES} moves made {len(ended)} writes"
    spans = sorted(end - begin for begin, end in zip(began, ended, strict=True))
    p50, p99 = statistics.median(spans), spans[int(0.99 * len(spans))]
    print(f"{MOVES} moves in Workable, from the webhook to the confirmed write in Ninjahire (aim: p99 <= {AIM_S:g} s)")
    print(f"  {'p50':>8}{'p99':>8}{'longest':>9}{'p99 of aim':>12}")
    print(f"  {p50 * 1000:>5.0f} ms{p99 * 1000:>5.0f} ms{spans[-1] * 1000:>6.0f} ms{p99 / AIM_S:>12.2f}")
    print(f"{EVENTS} webhooks by {CLIENTS} clients, each kept before its 200: {rate:.0f} a second")


def report_steady(waits: list[float], kept: int) -> None:
    p50, p99 = statistics.median(waits), waits[int(0.99 * len(waits))]
    print(f"{kept} webhooks, {PACE} a second for {STEADY_S} s, each kept first (aim: p99 <= {STEADY_AIM_S:g} s)")
    print(f"  p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {waits[-1] * 1000:.0f} ms")
    if kept < PACE * STEADY_S:
        sys.exit(f"{PACE * STEADY_S} were answered, and {kept} are in the inbox")
    if p99 > STEADY_AIM_S:
        sys.exit("too late; is the machine busy?")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["daemon"]:
        return asyncio.run(daemon(arguments[1]))
    for is_steady in (True,) if arguments == ["steady"] else (False, True):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(folder, is_steady=is_steady))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
