"""Nothing of a person is left lying about: marked people are synced, and then looked for wherever syncd writes.

At the moment of looking, values wait sealed for a write that was interrupted, a conflict about a person is held, and
webhooks that told of people were taken in. Looked for: names, mails, phones and the tokens, as they are, in other case,
as base64, hex, URL or JSON would spell them.
"""

import asyncio
import base64
import functools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.sandbox import Fault
from tests.integration.town import Syncd, configure, ended, subscribe, systems, until
from tests.ports import free_port

TOKEN = "tokQxTokenMarker81"
SECRET = "whsec_QxSecretMarker82"
FIRST, LAST, UMLAUT = "Qxvornamark", "Wzeltmark", "Žofünkamark"
MARKS = {
    "first name": FIRST,
    "last name": LAST,
    "name with accents": UMLAUT,
    "mail": "qxmailmark",
    "phone": "2025557391",
    "other phone": "2025557392",
    "corrected phone": "2025557393",
    "waiting phone": "2025557394",
    "headline": "Qxheadlinemark",
    "token": TOKEN,
    "webhook secret": SECRET,
}


@pytest.fixture(autouse=True)
def _quiet_servers(caplog):
    """A connection that the sandbox cuts on purpose is no error to tell of."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


# --- how a value may be spelt ---------------------------------------------------------------------------------------


@functools.cache
def spellings(text: str) -> frozenset[bytes]:
    """All that a careless program might have made of it."""
    found: set[bytes] = set()
    for cased in {text, text.upper(), text.lower(), text.casefold()}:
        raw = cased.encode()
        found |= {
            raw,
            raw.hex().encode(),
            raw.hex().upper().encode(),
            quote(cased).encode(),
            quote_plus(cased).encode(),
        }
        found |= {json.dumps(cased)[1:-1].encode(), cased.encode("utf-16-le")}
        found |= set(_in_base64(raw))
    return frozenset(found)


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """The letters that stand for it within a longer text, at each of the three places where it may begin."""
    for shift in range(3):
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * shift + raw).rstrip(b"=")
            first = -(-shift * 8 // 6)
            last = (shift + len(raw)) * 8 // 6
            yield coded[first:last]


def marks_in(content: bytes) -> list[str]:
    """Which marks a text holds in whatever spelling."""
    return [name for name, mark in MARKS.items() if any(spelling in content for spelling in spellings(mark))]


@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize("mark", ["mail", "phone", "name with accents"])
def test_the_search_finds_each_spelling(mark, shift):
    text = "x" * shift + MARKS[mark]
    raw = f"{text} and more".encode()
    for content in (
        raw, text.upper().encode(), raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw),
        quote(text).encode(), json.dumps(text).encode(),
    ):  # fmt: skip
        assert mark in marks_in(b"before " + content + b" after")
    assert marks_in(b"nobody at all") == []


# --- a full sync of marked people -----------------------------------------------------------------------------------


def person(number: int, phone: str) -> dict[str, str]:
    first = UMLAUT if number % 2 else FIRST
    return {"name": f"{first} {LAST}{number}", "email": f"qxmailmark{number}@example.com", "phone": phone}


class Marked:
    """Marked people in three systems, and syncd beside them; all that it writes stands in one folder."""

    def __init__(self, folder: Path, played: dict) -> None:
        self.folder, self.played = folder, played
        self.syncd = Syncd(folder, free_port())
        self.elsewhere = folder / "tmp"
        self.elsewhere.mkdir()
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.found: dict[str, list[str]] = {}
        configure(folder, self.syncd.port, played, token=TOKEN, secret=SECRET, level="debug", poll="2s", sweep="5s")
        self.config = folder / "config.toml"
        self.job = self.acme.add_job(title="Night Nurse", code="J1", department="Care")

    @property
    def acme(self):
        return self.played["acme"].box

    @property
    def screener(self):
        return self.played["screener"].box

    @property
    def voice(self):
        return self.played["voice"].box

    async def fill(self) -> None:
        for number in range(4):
            self.acme.apply(self.job, headline="Qxheadlinemark", **person(number, "+12025557391"))
        self.screener.apply(self.screener.add_job(title="Night Nurse", code="J1"), **person(1, "+12025557391"))
        self.voice.apply(self.voice.add_job(title="Night Nurse"), **person(8, "+12025557392"))

    async def begin(self) -> None:
        await self.fill()
        subscribe(self.played, self.syncd.port, SECRET)
        await self.syncd.start()
        await until(self.syncd.is_ready, 40, self.syncd.told)
        await until(lambda: self._links() >= 10 and self.syncd.is_at_rest(0), 60, self.syncd.told)

    def _links(self) -> int:
        table = schema.links.c
        return len(self.syncd.rows(sa.select(table.id).where(table.left.is_not(None), table.right.is_not(None))))

    async def interrupt(self) -> None:
        """A write that cannot be made, one whose answer is lost, a kill, and two corrections unlike each other."""

        def broken(method: str, path: str) -> Fault | None:
            return Fault.ERROR_BEFORE if method != "GET" else None

        self.voice.faults = broken
        self.screener.faults = lambda method, path: Fault.LOST_AFTER if method != "GET" else None
        rows = [*self.acme.snapshot()["candidate"]]
        self.acme.edit("candidate", rows[0], phone="+12025557394")
        await until(lambda: self._waiting() >= 1, 30, self.syncd.told)
        await self.syncd.die()
        email = self.acme.snapshot()["candidate"][rows[1]]["email"]
        there = next(id_ for id_, one in self.screener.snapshot()["candidate"].items() if one["email"] == email)
        self.acme.edit("candidate", rows[1], phone="+12025557393")
        self.screener.edit("candidate", there, phone_no="+12025557392")
        await self.syncd.start()
        await until(self.syncd.is_ready, 40, self.syncd.told)
        self.acme.move(rows[2], "Interview")
        await self._forge()
        conflicts = sa.select(schema.holds.c.id).where(schema.holds.c.reason == "conflict")
        await until(lambda: self.syncd.rows(conflicts), 40, self.syncd.told)
        await until(lambda: self.syncd.rows(sa.select(schema.inbox.c.id)), 20, self.syncd.told)
        await until(lambda: self._waiting() >= 1, 30, self.syncd.told)

    def _waiting(self) -> int:
        table = schema.intents.c
        sealed = sa.select(table.id).where(table.sealed.is_not(None))
        return len(self.syncd.rows(sealed))

    async def _forge(self) -> None:
        body = json.dumps({"event_type": "candidate_moved", "data": person(3, "+12025557391")}).encode()
        base = f"http://127.0.0.1:{self.syncd.port}/webhooks"
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            for path in ("acme", "screener", "voice"):
                answer = await client.post(f"{base}/{path}", content=body, headers={"X-Workable-Signature": "00"})
                assert answer.status_code in (400, 401, 403)
            assert (await client.post(f"{base}/nobody-{FIRST}", content=body)).status_code in (401, 404)

    async def look_everywhere(self) -> None:
        await self._look_at_port()
        await self._look_at_commands()
        self._look_at_processes()
        self._look_at_files()

    async def _look_at_port(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            for path in ("/", "/metrics", "/healthz", "/readyz"):
                self.note(path, (await client.get(f"http://127.0.0.1:{self.syncd.port}{path}")).content)

    async def _look_at_commands(self) -> None:
        row = next(iter(self.acme.snapshot()["candidate"]))
        commands = (
            ["status"], ["status", "--json"], ["held"], ["held", "--json"],
            ["explain", row], ["explain", row, "--json"], ["links", row, "--json"], ["plan", "--json"],
        )  # fmt: skip
        for words in commands:
            said = await self.syncd.say(*words)
            assert said.strip(), words
            self.note(f"syncd {' '.join(words)}", said)

    def _look_at_processes(self) -> None:
        for pid in Path("/proc").iterdir():
            if pid.name.isdigit():
                try:
                    self.note(f"command line of {pid.name}", (pid / "cmdline").read_bytes())
                    self.note(f"environment of {pid.name}", (pid / "environ").read_bytes())
                except OSError:
                    continue  # it has ended meanwhile

        assert self.syncd.process is not None
        limits = Path(f"/proc/{self.syncd.process.pid}/limits").read_text().splitlines()
        [cores] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
        assert cores == ["0", "0"]  # a dump would hold all of this

    def _look_at_files(self) -> None:
        seen = [path for path in self.folder.rglob("*") if path.is_file() and path != self.config]
        assert {"syncd.db", "syncd.db-wal", "syncd.db-shm", "log0", "log1"} <= {path.name for path in seen}
        for path in seen:
            self.note(str(path.relative_to(self.folder)), path.read_bytes())

    def note(self, where: str, content: bytes) -> None:
        if marks := marks_in(content):
            self.found[where] = marks


async def whole(folder: Path) -> None:
    async with systems(3, TOKEN) as played:
        marked = Marked(folder, played)
        try:
            await marked.begin()
            await marked.interrupt()
            await marked.look_everywhere()
            await marked.syncd.die()  # at a stop SQLite would tidy up
            marked._look_at_files()
        finally:
            await ended(marked.syncd)
    assert marked.found == {}
    assert marks_in(marked.config.read_bytes()) == ["token", "webhook secret"]  # so the search does find things
    assert all(mark in str(marked.acme.snapshot()) for mark in (FIRST, UMLAUT, LAST, "qxmailmark"))


def test_nothing_of_marked_people_is_found_wherever_syncd_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    asyncio.run(whole(tmp_path))
