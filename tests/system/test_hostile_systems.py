"""A connector in a process of its own, over real sockets, before a system whose answers mean harm.

Each answer ends in an error that says what to do next, in little time and memory, and no byte goes anywhere else.
Memory is what the kernel says that the process ever took.
"""

import asyncio
import contextlib
import gzip
import random
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest

from connectors.workable import plugin
from syncd import bounds
from syncd.clock import WallClock
from syncd.connector import Account, ask, download
from syncd.errors import SyncdError
from syncd.gate import Gate, MemoryBudget
from syncd.http import build_client
from tests.integration.played import ROOT

TOKEN = "canary-token-of-the-system-tests"
MOST_MB = 256
GIGABYTE, PIECE = 1_000_000_000, b"x" * 65_536


def told(*lines, body=b"", status="200 OK"):
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def whole(body, *lines, status="200 OK"):
    return told(f"Content-Length: {len(body)}", *lines, body=body, status=status)


def chunk(content):
    return b"%x\r\n%s\r\n" % (len(content), content)


BOMB = gzip.compress(bytes(GIGABYTE // 8), mtime=0)  # of zeros: a thousandth of what is in it
CHUNKED = "Transfer-Encoding: chunked"
ONCE = {
    "bomb": lambda: whole(BOMB, "Content-Encoding: gzip"),
    "chunked bomb": lambda: told(CHUNKED, "Content-Encoding: gzip", body=chunk(BOMB) + b"0\r\n\r\n"),
    "deflate": lambda: whole(b"x\x9cc`", "Content-Encoding: deflate"),
    "brotli": lambda: whole(b"\x0b\x02\x80[]\x03", "Content-Encoding: br"),
    "twice packed": lambda: whole(gzip.compress(gzip.compress(b"{}")), "Content-Encoding: gzip, gzip"),
    "half a gzip": lambda: whole(gzip.compress(b'{"jobs": []}' * 100)[:-20], "Content-Encoding: gzip"),
    "many values": lambda: whole(b"[" + b"{}," * 2_700_000 + b"{}]"),
    "many deep values": lambda: whole(b'{"jobs":[' + b"[[[]]]," * 1_000_000 + b"[]]}"),
    "deep": lambda: whole(b"[" * 100_000),
    "one long text": lambda: whole(orjson.dumps({"jobs": "\U0001f600" + "x" * 8_000_000})),
    "one long number": lambda: whole(b"1" * 8_000_000),
    "a body that is cut": lambda: told("Content-Length: 1000", body=b'{"jobs": ['),
    "a body that is longer": lambda: told("Content-Length: 2", body=b'{}{"jobs": []}'),
    "no chunks": lambda: told(CHUNKED, body=b"zz\r\nhello\r\n"),
    "two lengths": lambda: told("Content-Length: 2", "Content-Length: 14", body=b'{}{"jobs": []}'),
    "a long head": lambda: told(*(f"X-{number}: {'x' * 1000}" for number in range(2000))),
    "no HTTP": lambda: b"SSH-2.0-OpenSSH_9.2\r\n" * 1000,
    "no answer": lambda: b"",
    "a login page": lambda: whole(b"<html>Sign in</html>"),
    "a refusal without end": lambda: told("Content-Length: 900000000", body=PIECE * 100, status="422 Unprocessable"),
}
REDIRECTS = ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent")


class Harmful:
    """Answers each request as its path's last part asks: ``/spi/v3/jobs`` after ``mode`` was set."""

    def __init__(self):
        self.mode, self.elsewhere, self.asked_elsewhere = "", "", []

    async def answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("GET /mode/"):
                self.mode = head.split()[1].removeprefix("/mode/").replace("%20", " ")
                writer.write(whole(b"{}"))
            else:
                await self._harm(writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _harm(self, writer):
        if self.mode in ONCE:
            writer.write(ONCE[self.mode]())
        elif self.mode in REDIRECTS:
            writer.write(whole(b"", f"Location: {self.elsewhere}/take", status=self.mode))
        elif self.mode == "loop":
            writer.write(whole(b"", "Location: /spi/v3/jobs", status="302 Found"))
        elif self.mode == "a link elsewhere":
            writer.write(whole(orjson.dumps({"jobs": [], "paging": {"next": f"{self.elsewhere}/spi/v3/jobs"}})))
        else:
            await {
                "a gigabyte": self._gigabyte,
                "chunks": self._chunks,
                "trickle": self._trickle,
                "hints": self._hints,
            }[self.mode](writer)

    async def _gigabyte(self, writer):
        writer.write(told(f"Content-Length: {GIGABYTE}"))
        for _ in range(GIGABYTE // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()

    async def _chunks(self, writer):
        writer.write(told(CHUNKED))
        for _ in range(GIGABYTE // len(PIECE)):
            writer.write(chunk(PIECE))
            await writer.drain()

    async def _trickle(self, writer):
        writer.write(told(CHUNKED))
        while True:
            writer.write(chunk(b" "))
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _hints(self, writer):
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def overhear(self, reader, writer):
        """The other origin: whatever arrives there went astray."""
        self.asked_elsewhere.append(await reader.read(10_000))
        writer.write(whole(b"{}"))
        writer.close()


MODES = [*ONCE, *REDIRECTS, "loop", "a link elsewhere", "a gigabyte", "chunks", "trickle", "hints"]


@pytest.fixture(scope="module")
def outcome():
    """What the process told: by way and answer the error's name and the seconds it took; and its peak in MB."""

    async def main():
        harmful = Harmful()
        server = await asyncio.start_server(harmful.answer, "127.0.0.1", 0)
        other = await asyncio.start_server(harmful.overhear, "127.0.0.1", 0)
        address, elsewhere = (f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (server, other))
        harmful.elsewhere = elsewhere
        command = [sys.executable, "-m", "tests.system.test_hostile_systems", address]
        run = partial(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        async with server, other:
            done = await asyncio.to_thread(run)
        assert done.returncode == 0, done.stderr[-3000:]
        return {**orjson.loads(done.stdout), "elsewhere": harmful.asked_elsewhere}

    return asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_whatever_is_answered_is_an_error_that_says_what_to_do_next(outcome, mode):
    for way in ("check", "pull", "write", "file"):
        name, seconds = outcome["told"][f"{way} {mode}"]
        assert seconds < 8, f"{way} took {seconds:.1f} s"
        if way == "write":
            assert name in WRITTEN, f"{name} of a write"
        elif way in {"check", "pull"}:
            assert name in {"Unavailable", "Rejected", "data"}, name
            assert name != "data" or mode in {"a body that is longer", "a login page"} or way == "check", name
        else:
            assert name in {"Unavailable", "Rejected", "Gone", "data"}, name


WRITTEN = {"OutcomeUnknown", "Rejected", "data"}


def test_no_answer_took_more_memory_than_256_mb(outcome):
    print(f"peak {outcome['peak_mb']:.0f} MB")  # noqa: T201  # a figure, for whoever runs it with -s
    assert outcome["peak_mb"] < MOST_MB


def test_nothing_went_elsewhere(outcome):
    assert outcome["elsewhere"] == []


# --- the process ------------------------------------------------------------------------------------------------------


class Eager(random.Random):
    """Does not wait between two tries."""

    def uniform(self, a, b):
        return a


async def all_ways(address):
    """Ask in each way for each answer."""
    clock, found = WallClock(), {}
    gate = Gate("acme", (), MemoryBudget(clock), clock)
    switch = httpx.AsyncClient(base_url=address, headers={"Connection": "close"}, trust_env=False)
    async with switch, build_client(gate, address, rng=Eager()) as client:
        connector = plugin.connect(Account("acme", address, TOKEN, member="ops@acme.example"), client, clock)
        ways = {
            "check": connector.check,
            "pull": partial(pulled, connector),
            "write": partial(ask, client, "POST", "/spi/v3/candidates", explain=lambda told: told.json()["error"]),
            "file": partial(drained, client, f"{address}/file"),
        }
        for mode in MODES:
            for way, call in ways.items():
                await switch.get(f"/mode/{mode}")
                began = time.perf_counter()
                found[f"{way} {mode}"] = (await named(call), time.perf_counter() - began)
    return found


async def pulled(connector):
    async for page in connector.pull(connector.facts.walks[0], None):
        assert page.records is not None


async def drained(client, url):
    async for _ in download(client, url, longest=20_000_000):
        pass


async def named(call):
    try:
        await call()
    except SyncdError as error:
        return type(error).__name__ if TOKEN not in str(error) else "an error that tells the token"
    return "data"


def main():
    bounds.LONGEST_READ_S = bounds.CALL_S = 0.5  # a trickle would be borne for minutes
    found = asyncio.run(all_ways(sys.argv[1]))
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    sys.stdout.buffer.write(orjson.dumps({"told": found, "peak_mb": int(peak[1]) / 1024}))


if __name__ == "__main__":
    main()
