"""The real process is killed again and again while people work and webhooks arrive, and nothing is lost or doubled.

`syncd serve` on real sockets against the three played systems: people edit on all sides, calls go wrong, and signed
webhooks are posted; the process dies by SIGKILL at random moments, many of them while it is starting. After each death
what lies on the disk is judged: the database is sound, and each webhook that was answered 2xx stands in the inbox,
with its record marked to be read or read since. After each start the process is ready within ``READY_S``. In the end
all agrees or is held, by the judges that read the systems' own logs. In between it is stopped by SIGTERM, paused by
SIGSTOP, and a second daemon waits beside it and takes over.

`KILLS=100` dies a hundred times (about seven minutes on two idle cores), `SYNCD_SEEDS=5` draws other moments. With
`pytest -s` it tells its figures.
"""

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import logging
import os
import random
import shutil
import signal
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pysqlite3.dbapi2 as sqlite3
import pytest

from tests.integration.scene import Flavour, People, Scene
from tests.integration.town import TOKEN, Syncd, Took, ended, systems, time_to_ready, until

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("SYNCD_SEEDS", "1").partition(",")[0])
READY_S = 5.0
REST_S = 60.0  # and a second for each death: what nobody lived long enough to write is written within the budgets
SENDERS, FEW = 3, 20  # and how many events may be without an answer before no new ones happen
LOUD = Flavour(poll="5s", sweep="6s", webhooks=True, rules=True, people="->")


@pytest.fixture(autouse=True)
def _quiet_servers(caplog):
    """A connection that the sandbox cuts on purpose is no error to tell of."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


# --- who loads it ---------------------------------------------------------------------------------------------------


class Staff(People):
    """People who go on for ever: whenever a job is closed, another one is opened."""

    def close_job(self) -> None:
        super().close_job()
        self.numbers += 1
        self.box("acme").add_job(title=f"Baker {self.numbers}", code=f"B{self.numbers}", department="Kitchen")

    async def work_on(self) -> None:
        while True:
            await self.work(8.0)


@dataclass
class Sender:
    """Posts signed webhooks. ``kept``: event -> the row it names and when it was sent, for each that was answered 2xx.

    What got no answer is sent again, as the vendor would.
    """

    people: People
    url: str
    rng: random.Random
    kept: dict[str, tuple[str, float]] = field(default_factory=dict)
    unanswered: list[tuple[str, str]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    async def post_on(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while True:
                await asyncio.sleep(self.rng.expovariate(4.0))
                await self.post(client, *self.drawn())

    def drawn(self) -> tuple[str, str]:
        if len(self.unanswered) > FEW or (self.unanswered and self.rng.random() < 0.5):
            return self.unanswered.pop(self.rng.randrange(len(self.unanswered)))
        row = self.people.any("acme", "application")
        assert row is not None
        return f"storm{self.rng.getrandbits(64):016x}", row

    async def post(self, client: httpx.AsyncClient, event: str, row: str) -> None:
        body = orjson.dumps({"id": event, "event_type": "candidate_moved", "data": {"id": row}})
        signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        sent = self.people.box("acme").clock.now()
        try:
            answer = await client.post(self.url, content=body, headers={"X-Workable-Signature": signature})
            told = str(answer.status_code)
        except httpx.HTTPError as error:
            told = type(error).__name__
        self.answers[told] += 1
        if told.startswith("2"):
            self.kept[event] = (row, sent)
        else:
            self.unanswered.append((event, row))

    async def send_the_rest(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while self.unanswered:
                await self.post(client, *self.unanswered.pop())


# --- what is looked at after each death -----------------------------------------------------------------------------


def image_of(folder: Path) -> Path:
    """What a death left on the disk, copied so that looking at it changes nothing."""
    copied = folder / "image"
    shutil.rmtree(copied, ignore_errors=True)
    copied.mkdir()
    for name in ("syncd.db", "syncd.db-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(folder / name, copied / name)
    return copied / "syncd.db"


def faults_of(image: Path, sender: Sender) -> list[str]:
    """What is wrong with an image: its pages, its references, and webhooks that it ought to hold and does not."""
    with contextlib.closing(sqlite3.connect(image)) as database:
        found = [f"database: {row}" for row in database.execute("PRAGMA integrity_check") if row != ("ok",)]
        found += [f"reference: {row}" for row in database.execute("PRAGMA foreign_key_check")]
        events = {event for (event,) in database.execute("SELECT event FROM inbox WHERE connection = 'acme'")}
        marked = {ref for (ref,) in database.execute("SELECT ref FROM marks WHERE connection = 'acme'")}
    for event, (row, sent) in sender.kept.items():
        if f"id {event}" not in events:
            found.append(f"lost: {event}, answered 2xx, is not in the inbox")
        elif row not in marked and not was_read(sender.people, row, sent):
            found.append(f"without effect: {event} was kept, and nobody has read {row} or will")
    return found


def was_read(people: People, row: str, since: float) -> bool:
    """Whether a record itself was asked for since a time."""
    arrivals = reversed(people.box("acme").arrivals)
    return any(call.at >= since for call in arrivals if call.method == "GET" and call.path.endswith(f"/{row}"))


# --- the storm ------------------------------------------------------------------------------------------------------


@dataclass
class Storm:
    """A scene in which the process dies ``kills`` times."""

    scene: Scene
    kills: int

    def __post_init__(self) -> None:
        self.rng = random.Random(SEED + 500)
        self.scene.people = self.staff = Staff(self.scene.played, random.Random(SEED + 1000))
        url = f"http://127.0.0.1:{self.scene.syncd.port}/webhooks/acme/candidate_moved"
        self.sender = Sender(self.staff, url, random.Random(SEED + 2000))
        self.ready: list[Took] = []
        self.taken_over: list[Took] = []

    @property
    def syncd(self) -> Syncd:
        return self.scene.syncd

    async def rage(self) -> None:
        load = [asyncio.ensure_future(work) for work in self.load()]
        try:
            for one in self.scene.played.values():
                one.box.faults.on, one.box.faults.share = True, 0.05
            for number in itertools.count():
                if len(self.syncd.deaths) >= self.kills:
                    break
                await self.chapter(number)
                assert not [task.result() for task in load if task.done()]
        finally:
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
        await asyncio.wait(self.staff.later)  # what went away comes back, or was cancelled with the rest
        await self.sender.send_the_rest()

    def load(self) -> list:
        return [self.staff.work_on(), *(self.sender.post_on() for _ in range(SENDERS))]

    async def chapter(self, number: int) -> None:
        """One death, each in its way, and the start after it."""
        how = (self.die, self.die_starting, self.stop_cleanly, self.pause, self.leave_to_another, self.die, self.die)
        await how[number % len(how)]()

    async def die(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.0, 3.0))
        await self.syncd.die()
        await self.begin_again()

    async def die_starting(self) -> None:
        """Twice: once in the middle of the start that follows a death."""
        await self.syncd.die()
        self.judge_image()
        await self.syncd.start()
        await asyncio.sleep(self.rng.uniform(0.3, 2.0))
        await self.die()

    async def stop_cleanly(self) -> None:
        """By SIGTERM, and later by SIGKILL."""
        await asyncio.sleep(self.rng.uniform(0.5, 1.5))
        assert await self.syncd.stop() == 0, self.syncd.told()
        await self.begin_again()
        await self.die()

    async def pause(self) -> None:
        """By SIGSTOP for a while; it goes on as if nothing had been."""
        process = self.syncd.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.rng.uniform(0.5, 4.0))
        process.send_signal(signal.SIGCONT)
        await until(self.syncd.is_ready, READY_S, self.syncd.told)
        await self.die()

    async def leave_to_another(self) -> None:
        """A second daemon waits for the store, even while the first is paused, and takes over when that dies."""
        first, second = self.syncd, Syncd(self.scene.folder, self.syncd.port, logs=self.syncd.logs)
        second.deaths = first.deaths
        assert first.process is not None
        await second.start()
        try:
            await until(lambda: '"action":"waiting"' in second.logs[-1].read_text(), 20, second.told)
            first.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            first.process.send_signal(signal.SIGCONT)
            assert '"action":"serving"' not in second.logs[-1].read_text()
        finally:
            self.scene.syncd = second
            await first.die()
        self.judge_image(may_be_running=True)
        self.taken_over.append(await time_to_ready(self.syncd))

    async def begin_again(self) -> None:
        self.judge_image()
        await self.syncd.start()
        self.ready.append(await time_to_ready(self.syncd))

    def judge_image(self, *, may_be_running: bool = False) -> None:
        if not may_be_running:  # else the copy would be of a file that is being written
            found = faults_of(image_of(self.scene.folder), self.sender)
            assert not found, "\n".join(found[:8])

    def figures(self) -> str:
        deaths, edits = len(self.syncd.deaths), len(self.staff.done)
        times = f"{_times('ready', self.ready)}; {_times('taken over', self.taken_over)}"
        answers = dict(sorted(self.sender.answers.items()))
        return f"{deaths} kills; {times}; {edits} edits; {len(self.sender.kept)} webhooks kept of {answers}\n"


def _times(what: str, told: list[Took]) -> str:
    """Own seconds, without the queue for a core, and the longest by the clock."""
    own = sorted(took.own_s for took in told) or [0.0]
    longest = max((took.wall_s for took in told), default=0.0)
    return f"{what} in {statistics.median(own):.2f} s (median), {own[-1]:.2f} s (longest; {longest:.2f} s by the clock)"


async def play(kills: int, folder: Path) -> Storm:
    async with systems(SEED) as played:
        scene = Scene(SEED, LOUD, folder, played)
        storm = Storm(scene, kills)
        try:
            await scene.begin()
            await storm.rage()
            sys.stdout.write(f"\n{storm.figures()}")
            await scene.rest(REST_S + kills)
            found = await scene.judge()
            storm.judge_image()
        finally:
            await ended(scene.syncd)
        assert not found, scene.story(found)
        return storm


def test_kills_lose_no_webhook_double_nothing_and_leave_the_database_sound(tmp_path):
    storm = asyncio.run(play(KILLS, tmp_path))
    assert max(took.own_s for took in storm.ready + storm.taken_over) <= READY_S, storm.figures()
    assert len(storm.syncd.deaths) >= KILLS
    assert len(storm.sender.kept) >= KILLS
    waited_on_nothing = [one for one in storm.sender.kept.values() if not was_read(storm.staff, *one)]
    assert waited_on_nothing == []
