"""How fast an account is read: a first read, and a second one when nothing has changed, beside a bare loop.

A made-up Workable account (jobs, and candidates in rows of the recorded shape, 100 a page) is served without limits
over HTTP on loopback by a process of its own, which has all pages ready as bytes and does nothing but send them:
uvicorn and Starlette would be the slowest part. The bare loop is httpx and orjson: it fetches and parses the same pages
in the same run and keeps nothing. syncd reads them as ``syncd backfill`` does at first: the whole engine, its road out,
its SQLite file with every commit synced, and a pair with an empty Ninjahire, so that people are joined of their rows,
and all are looked up and matched. The second read sweeps the same pages once more. Each is a process of its own.

"rec/s" counts candidate rows; syncd makes two records (person and application) and a member of each.

    .venv/bin/python benchmarks/reading.py [10000 100000]
"""

import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

JOBS, PER_PAGE = 40, 100
DATE = b"Fri, 15 Jan 2027 08:00:00 GMT"
START = 1_700_000_000
AIMS = {"first": 0.25, "again": 0.7, "MB": 100}


# --- the account ----------------------------------------------------------------------------------------------------


def account(people: int, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each path of the two systems with its answer."""
    from connectors.workable.sandbox_rows import DEFAULT_PIPELINE, PlayedJob, hexed, pipeline_of  # noqa: PLC0415  # only
    # the server has these in memory

    pipeline = pipeline_of(DEFAULT_PIPELINE, 1)
    jobs = [
        PlayedJob(n, f"JOB{n:07d}", START, START, pipeline, f"Made-up job {n}", department="Sales", city="Athens")
        for n in range(JOBS)
    ]
    yield "/spi/v3/jobs?limit=100", {"jobs": [job.listed("acme") for job in jobs]}
    rng = random.Random(1)
    for first in range(0, people, PER_PAGE):
        numbers = range(first, min(first + PER_PAGE, people))
        rows = [played(number, rng.choice(jobs), rng).listed("acme") for number in numbers]
        query = f"limit={PER_PAGE}" + (f"&since_id={hexed(first)}" if first else "")
        more = {"next": f"{base}/spi/v3/candidates?limit={PER_PAGE}&since_id={hexed(first + PER_PAGE)}"}
        answer = {"candidates": rows, **({"paging": more} if first + PER_PAGE < people else {})}
        yield f"/spi/v3/candidates?{query}", answer


def played(number: int, job: Any, rng: random.Random) -> Any:
    """A row; one in ten is a second application of somebody who has one already."""
    from connectors.workable.sandbox_rows import PlayedRow  # noqa: PLC0415  # as above

    person = number if rng.random() < 0.9 else rng.randrange(number + 1)
    born = START + 60 * number
    return PlayedRow(
        number, job, job.pipeline[rng.randrange(7)], born, born + 3600.0, f"Ada{person % 977}", f"Tester{person}",
        f"person{person}@example.com", f"+1202{person % 10_000_000:07d}", "Engineer with many years of experience",
        f"{person % 999} Main Street, Springfield, Illinois, United States",
    )  # fmt: skip


class Server(asyncio.Protocol):
    """Sends ready answers, by their path; any other path is one of the empty Ninjahire's."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self.answers = answers
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        while b"\r\n\r\n" in self.heard:
            head, self.heard = self.heard.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1]
            self.transport.write(self.answers.get(path) or self.answers[b""])


def ready(answer: Any) -> bytes:
    """A whole answer as it goes over the wire."""
    body = orjson.dumps(answer)
    head = b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (DATE, len(body)) + body


async def serve(people: int) -> None:
    answers = {b"": ready({"data": [], "jobs": [], "candidates": [], "applications": [], "count": 0})}
    server = await asyncio.get_running_loop().create_server(lambda: Server(answers), "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answers.update((path.encode(), ready(answer)) for path, answer in account(people, base))
    tell(base=base, bytes=sum(map(len, answers.values())) / max(1, people))
    await server.serve_forever()


# --- who reads ------------------------------------------------------------------------------------------------------


class Watch:
    """Seconds and CPU seconds since it was made."""

    def __init__(self) -> None:
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def told(self) -> dict[str, float]:
        return {"s": time.perf_counter() - self.began, "cpu_s": time.process_time() - self.cpu}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def bare(base: str) -> None:
    watch, rows, url = Watch(), 0, f"{base}/spi/v3/candidates?limit={PER_PAGE}"
    async with httpx.AsyncClient(trust_env=False) as client:
        while url:
            page = orjson.loads((await client.get(url)).content)
            rows += len(page["candidates"])
            url = page.get("paging", {}).get("next")
    tell(first=watch.told(), rows=rows, mb=peak_mb())


async def read(base: str) -> None:
    """syncd's two reads. Its parts are imported here, so that the bare loop's memory is its own."""
    import structlog  # noqa: PLC0415  # see above

    from syncd import app as joined  # noqa: PLC0415
    from syncd.clock import WallClock  # noqa: PLC0415
    from syncd.sealing import Sealer  # noqa: PLC0415
    from syncd.store import Store, open_engine  # noqa: PLC0415

    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(open_engine(f"sqlite:///{folder}/syncd.db"), WallClock())
        store.run_now(joined.migrate)
        sealer, rng = Sealer(b"0" * 32, os.urandom), random.Random(1)
        app = joined.build(configured(base), joined.load_plugins(), store, sealer, rng=rng)
        engine, watch, ends, pages = app.engine, Watch(), [], [0]

        def listen(action: str, facts: Any) -> None:
            pages[-1] += action == "page"
            if (action, facts["connection"], facts.get("walk")) == ("walked", "acme", "candidates"):
                ends.append(watch.told())

        engine.listeners.append(listen)
        await engine.begin()
        await engine.learn()
        engine.learning, watch, before = True, Watch(), store.run_now(changes)
        pages.append(0)
        while len(ends) < 2:
            await engine.run_until_quiet()
        written = store.run_now(changes) - before
        tell(first=ends[0], again=ends[1], mb=peak_mb(), pages=pages[1], written=written, rows=store.run_now(count),
             db_mb=store.run_now(size) / 1e6)  # fmt: skip
        await app.close()


def changes(connection: Any) -> int:
    """How many rows were written since the database was opened."""
    return int(connection.exec_driver_sql("select total_changes()").scalar())


def size(connection: Any) -> int:
    return int(
        connection.exec_driver_sql("select page_count * page_size from pragma_page_count, pragma_page_size").scalar()
    )


def count(connection: Any) -> int:
    return int(connection.exec_driver_sql("select count(*) from members").scalar())


def configured(base: str) -> Any:
    """Workable on the left, an empty Ninjahire on the right, and all that they can keep in step."""
    from syncd.settings import Config  # noqa: PLC0415  # see above

    each = {"base_url": base, "token": "t" * 20, "limits": []}
    return Config.model_validate({
        "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
        "connections": {
            "acme": {**each, "system": "workable", "member": "ops@example.com"},
            "screener": {**each, "system": "ninjahire"},
        },
        "pairs": {
            "screening": {
                "left": "acme", "right": "screener", "jobs": "->", "candidates": "->", "applications": "<->",
            },
        },
    })  # fmt: skip


# --- the run --------------------------------------------------------------------------------------------------------


def tell(**facts: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(facts) + b"\n")
    sys.stdout.flush()


ROLES = {"serve": lambda people: serve(int(people)), "bare": bare, "read": read}


def command(role: str, argument: str) -> list[str]:
    return [sys.executable, __file__, role, argument]


@contextmanager
def served(people: int) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(command("serve", str(people)), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield orjson.loads(process.stdout.readline())
        finally:
            process.kill()


def run(role: str, base: str) -> dict[str, Any]:
    found = subprocess.run(command(role, base), stdout=subprocess.PIPE, check=True, timeout=900)
    told: dict[str, Any] = orjson.loads(found.stdout.splitlines()[-1])
    return told


def measure(people: int) -> None:
    with served(people) as server:
        loop, engine = run("bare", server["base"]), run("read", server["base"])
    assert loop["rows"] == engine["rows"] == people, "somebody has not read all"
    least = loop["first"]
    print(f"{people} candidates, {server['bytes']:.0f} bytes a row, pages of {PER_PAGE}")
    print(f"{'':28}{'rec/s':>9}{'of bare':>9}{'aim':>6}{'CPU s':>8}{'of bare':>9}{'peak MB':>9}")
    lines = (("bare loop", least, loop, None), ("first read", engine["first"], engine, AIMS["first"]),
             ("second read, unchanged", engine["again"], engine, AIMS["again"]))  # fmt: skip
    for name, spent, whole, aim in lines:
        share, cpu = least["s"] / spent["s"], least["cpu_s"] / spent["cpu_s"]
        print(f"  {name:26}{people / spent['s']:>9.0f}{share:>9.2f}{aim or '':>6}{spent['cpu_s']:>8.2f}"
              f"{cpu:>9.2f}{whole['mb']:>9.0f}")  # fmt: skip
    extra = engine["written"] - engine["pages"]
    assert extra < 50, "unchanged pages were not passed at once"
    print(f"  of {engine['pages']} unchanged pages each wrote one row, and the beginning and end of the walks {extra}; "
          f"the database has {engine['db_mb']:.0f} MB")  # fmt: skip


def main(arguments: list[str]) -> None:
    if arguments[:1] and arguments[0] in ROLES:
        asyncio.run(ROLES[arguments[0]](arguments[1]))  # type: ignore[arg-type]  # three kinds of coroutine
        return
    for people in arguments or ["10000", "100000"]:
        measure(int(people))


if __name__ == "__main__":
    main(sys.argv[1:])
