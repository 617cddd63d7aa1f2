"""How much of an allowed rate is used with work waiting, and whether a strict server ever has to refuse.

The server allows 10 calls per 10 s, by both readings of Workable's limit at once (rolling, and windows aligned to the
epoch), and counts a call halfway through its latency. Time is stepped and stands still in between, so a run depends on
nothing but its seed. "allowed" is the most that any schedule could have made in that time. Every call is a call of the
whole road out: queue, log as JSON, metrics, retries, bounds. Walks alone hold two slots back for writes at first; that
delays a few calls and costs nothing in the long run.

    .venv/bin/python benchmarks/budget.py
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

import httpx
from starlette.types import Receive, Scope, Send

from syncd.clock import SteppedClock, run_stepped
from syncd.gate import Gate, MemoryBudget, calling
from syncd.http import build_client
from syncd.limits import Priority, parse_rules
from syncd.sandbox import Hits, Limit

START = 1_800_000_000.0
CALLS, WINDOW_S = 10, 10.0
LIMITS = (Limit(CALLS, WINDOW_S), Limit(CALLS, WINDOW_S, fixed=True))
WORK: dict[str, Callable[[], Iterator[Priority]]] = {
    "writes": lambda: repeat(Priority.WRITE),
    "walks": lambda: repeat(Priority.BULK),
    "both": lambda: cycle(chain(repeat(Priority.WRITE, 3), repeat(Priority.BULK, 3))),
}


class Strict:
    """A server that refuses every call over the limit."""

    def __init__(self, clock: SteppedClock, latency_s: float) -> None:
        self.clock, self.latency_s = clock, latency_s
        self.hits = Hits(LIMITS)
        self.taken = self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.clock.sleep_until(self.clock.now() + self.latency_s / 2)
        refused = self.hits.refused(self.clock.now()) is not None
        self.refused += refused
        self.taken += not refused
        await self.clock.sleep_until(self.clock.now() + self.latency_s / 2)
        await send({"type": "http.response.start", "status": 429 if refused else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def work(clock: SteppedClock, server: Strict, classes: Iterator[Priority], seconds: float) -> None:
    """Twenty workers that always have a next call, until the time is over."""
    gate = Gate("strict", parse_rules([f"{CALLS}/{WINDOW_S:g}s"]), MemoryBudget(clock), clock)
    client = build_client(gate, "http://127.0.0.1", rng=random.Random(1), network=httpx.ASGITransport(app=server))

    async def worker(priority: Priority) -> None:
        with calling(priority):
            while True:
                await client.get("/spi/v3/candidates")

    workers = [asyncio.create_task(worker(next(classes))) for _ in range(20)]
    await clock.sleep_until(START + seconds)
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    await client.aclose()


def measure(name: str, latency_s: float, seconds: float) -> tuple[int, int, int]:
    """Calls made, calls allowed, refusals."""
    clock = SteppedClock(START, frozen=True)
    server = Strict(clock, latency_s)
    run_stepped(clock, work(clock, server, WORK[name](), seconds))
    return server.taken, CALLS * -int(-seconds // WINDOW_S), server.refused


def main() -> None:
    print(f"{'work':8}{'latency':>9}{'time':>8}{'calls':>8}{'allowed':>9}{'used':>8}{'429s':>6}")
    for seconds in (75.0, 600.0):
        for name in WORK:
            for latency_s in (0.02, 0.05, 0.1, 0.2):
                taken, allowed, refused = measure(name, latency_s, seconds)
                share = f"{100 * taken / allowed:.1f}%"
                print(
                    f"{name:8}{latency_s * 1000:>6.0f} ms{seconds:>6.0f} s{taken:>8}{allowed:>9}{share:>8}{refused:>6}"
                )


if __name__ == "__main__":
    main()
