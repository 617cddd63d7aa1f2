"""The one road out: slots, turns, retries, bounds and fences, against a strict server in stepped time."""

import asyncio
import contextlib
import contextvars
import gzip
import random
import socket
import ssl
import tracemalloc
from collections import Counter
from email.utils import formatdate

import httpcore
import httpx
import pytest
from prometheus_client import CollectorRegistry

from syncd import limits
from syncd.bounds import LONGEST_READ_S, AnswerBroken, AnswerTooLong
from syncd.clock import SteppedClock, WallClock, run_stepped
from syncd.connector import ask
from syncd.errors import ConfigInvalid, NotSent, OutcomeUnknown, Parked, PlanRefused, RateLimited, Unavailable
from syncd.gate import CALL_S, Gate, MemoryBudget, calling
from syncd.headers import heard, retry_after_s
from syncd.http import STREAMED, ForeignOrigin, Resolving, RetryBudget, Wire, build_client
from syncd.limits import Log, Priority, parse_rules
from syncd.metrics import Metrics
from syncd.sandbox import Hits, Limit

START = 1_800_000_000.0
DAY = 86400.0
STRICT = (Limit(10, 10.0), Limit(10, 10.0, fixed=True))
HOME = "http://127.0.0.1"


class Strict:
    """A server that counts each call at some instant of its latency and refuses what is over the limit."""

    def __init__(self, clock, *, limits=STRICT, latency=(0.02, 0.6), headers=None, seed=1):
        self.clock, self.latency, self.rng = clock, latency, random.Random(seed)
        self.hits = Hits(limits)
        self.headers = headers or (lambda now: {})
        self.arrivals: list[tuple[float, str, str]] = []
        self.refused = 0

    def arrive(self, method="GET", path="/other"):
        """A call reaches the server, ours or somebody else's."""
        over = self.hits.refused(self.clock.now()) is not None
        self.refused += over
        self.arrivals.append((self.clock.now(), method, path))
        return over

    async def __call__(self, scope, receive, send):
        latency = self.rng.uniform(*self.latency)
        before = latency * self.rng.random()
        await self.clock.sleep_until(self.clock.now() + before)
        over = self.arrive(scope["method"], scope["path"])
        headers = {"Date": formatdate(self.clock.now(), usegmt=True), **self.headers(self.clock.now())}
        if over:
            limit = next(one for one in self.hits.limits if self.hits.used(one, self.clock.now()) >= one.calls)
            headers = {"Retry-After": str(int(self.hits.frees_at(limit, self.clock.now()) - self.clock.now()) + 1)}
        await self.clock.sleep_until(self.clock.now() + latency - before)
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 429 if over else 200, "headers": raw})
        await send({"type": "http.response.body", "body": b"{}"})

    def paths(self):
        return [path for _, _, path in self.arrivals]


class Slow(MemoryBudget):
    """A budget whose transactions take a while."""

    def __init__(self, clock, text="", *, takes_s=0.003):
        super().__init__(clock, text)
        self._takes_s = takes_s
        self.changes = 0

    async def change(self, step):
        self.changes += 1
        await self._clock.sleep_until(self._clock.now() + self._takes_s)
        return await super().change(step)


class World:
    """One token in stepped time."""

    def __init__(self, *texts, start=START, park_after_s=60.0, metrics=None, **server):
        self.clock = SteppedClock(start, frozen=True)
        self.rules = parse_rules(texts or ("10/10s",))
        self.server = Strict(self.clock, **server)
        self.budget = Slow(self.clock)
        self.metrics = metrics or Metrics(CollectorRegistry(), version="0")
        self.gate = self.new_gate(park_after_s=park_after_s)
        self.clients: list[httpx.AsyncClient] = []

    def new_gate(self, budget=None, park_after_s=60.0):
        return Gate(
            "acme",
            self.rules,
            budget or self.budget,
            self.clock,
            park_after_s=park_after_s,
            meter=self.metrics,
        )

    def client(self, gate=None, network=None, **more):
        network = network or httpx.ASGITransport(app=self.server)
        client = build_client(gate or self.gate, HOME, rng=random.Random(1), network=network, **more)
        self.clients.append(client)
        return client

    def run(self, main):
        async def whole():
            try:
                return await main
            finally:
                for client in self.clients:
                    await client.aclose()

        return run_stepped(self.clock, whole())

    def log(self):
        return Log.from_json(self.budget.text)

    def counted(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, {"connection": "acme", **labels}) or 0


async def busy_until(clock, at, *works):
    """Let endless works go on until then."""
    tasks = [asyncio.create_task(work) for work in works]
    await clock.sleep_until(at)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            raise outcome


async def again_and_again(client, path, priority, *, method="GET"):
    with calling(priority):
        while True:
            await client.request(method, path)


def answering(*answers):
    """A network that gives these answers in turn (a status, headers, or an error), the last one for ever."""
    left = list(answers)

    def answer(request):
        told = left.pop(0) if len(left) > 1 else left[0]
        told = told(request) if callable(told) else told
        if isinstance(told, Exception):
            raise told
        return httpx.Response(told) if isinstance(told, int) else told

    network = httpx.MockTransport(answer)
    network.left = left
    return network


# --- under a strict server ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [(0.02, 0.02), (0.2, 0.2), (0.02, 0.6), (0.6, 0.6)])
@pytest.mark.parametrize("priority", [Priority.WRITE, Priority.BULK])
def test_a_strict_server_never_refuses_and_little_is_left_unused(latency, priority):
    world = World(latency=latency, start=START + 3.7)
    client = world.client()
    world.run(busy_until(world.clock, START + 303.7, *(again_and_again(client, "/x", priority) for _ in range(12))))
    assert world.server.refused == 0
    assert len(world.server.arrivals) >= 0.98 * 300 * 10 / (10 + latency[1] + 0.01) - 8


def test_two_clients_and_two_processes_share_one_budget():
    world = World()
    other_process = world.new_gate()
    clients = [world.client(), world.client(), world.client(other_process)]
    works = [again_and_again(client, f"/{n}", Priority.READ) for n, client in enumerate(clients) for _ in range(4)]
    world.run(busy_until(world.clock, START + 120, *works))
    assert world.server.refused == 0
    assert len(world.server.arrivals) >= 110
    assert min(Counter(world.server.paths()).values()) >= 15


def test_a_restart_finds_the_same_slots_taken():
    world = World(latency=(0.1, 0.4))

    async def restarts():
        for life in range(10):
            gate = world.new_gate(Slow(world.clock, world.budget.text))
            world.budget = gate._budget
            client = world.client(gate)
            works = (again_and_again(client, f"/{life}", Priority.READ) for _ in range(6))
            await busy_until(world.clock, START + 4.3 * (life + 1), *works)

    world.run(restarts())
    assert world.server.refused == 0
    assert len(world.server.arrivals) >= 10


def test_days_and_seconds_hold_at_once():
    world = World("10/10s", "100/day@UTC", limits=(*STRICT, Limit(100, DAY, fixed=True)), start=START - START % DAY)

    async def walk():
        client = world.client()
        with calling(Priority.BULK):
            while True:
                try:
                    await client.get("/walk")
                except Parked as parked:
                    await world.clock.sleep_until(parked.until)

    begin = world.clock.now()
    world.run(busy_until(world.clock, begin + 3 * DAY, walk()))
    assert world.server.refused == 0
    assert world.counted("syncd_refused_for_rate_total") == 0
    per_day = Counter(int((at - begin) // DAY) for at, _, _ in world.server.arrivals)
    assert all(68 <= per_day[day] <= 70 for day in range(3)), per_day


def test_a_write_waits_little_behind_a_burst_of_walks():
    world = World(latency=(0.1, 0.1))
    client = world.client()
    waits = []

    async def edits():
        while True:
            await world.clock.sleep_until(world.clock.now() + 17.3)
            began = world.clock.now()
            async with world.gate.reserved(2, Priority.WRITE):
                await client.get("/person")
                await client.patch("/person")
            waits.append(world.clock.now() - began - 0.2)

    works = [again_and_again(client, "/walk", Priority.BULK) for _ in range(20)]
    world.run(busy_until(world.clock, START + 600, edits(), *works))
    assert world.server.refused == 0
    assert len(waits) >= 28
    assert max(waits) < 2.5, "without a reserve it is the whole window"


def test_walks_get_a_tenth_under_a_flood_of_writes():
    world = World()
    client = world.client()
    works = [
        *(again_and_again(client, "/write", Priority.WRITE, method="POST") for _ in range(15)),
        *(again_and_again(client, "/walk", Priority.BULK) for _ in range(3)),
    ]
    world.run(busy_until(world.clock, START + 300, *works))
    assert world.server.refused == 0
    paths = Counter(world.server.paths())
    assert paths.total() // 10 <= paths["/walk"] <= paths.total() // 7


def test_more_urgent_calls_go_first_and_equals_in_their_order():
    world = World("1/10s", limits=(Limit(1, 10.0),), latency=(0.1, 0.1), park_after_s=1e6)
    client = world.client()

    async def one(path, priority):
        with calling(priority):
            await client.get(path)

    async def main():
        await client.get("/first")
        wanted = [("/b1", Priority.BULK), ("/r1", Priority.READ), ("/r2", Priority.READ), ("/l1", Priority.LOOKUP)]
        await asyncio.gather(*(one(*each) for each in wanted))

    world.run(main())
    assert world.server.paths() == ["/first", "/l1", "/r1", "/r2", "/b1"]


# --- slots ----------------------------------------------------------------------------------------------------------


def test_a_read_and_its_write_go_out_without_a_wait_between():
    world = World("3/10s", limits=(Limit(3, 10.0),), latency=(0.2, 0.2))
    client = world.client()

    async def main():
        await client.get("/a")
        await client.get("/b")
        async with world.gate.reserved(2, Priority.WRITE):
            await client.get("/person")
            await client.patch("/person")

    world.run(main())
    (read_at, *_), (written_at, *_) = world.server.arrivals[2:]
    assert read_at > START + 10
    assert written_at - read_at < 0.5
    assert world.server.refused == 0


def test_slots_that_were_not_used_are_given_back():
    world = World()

    async def main():
        client = world.client()
        async with world.gate.reserved(2):
            await client.get("/person")

    world.run(main())
    assert len(world.log().entries) == 1


def test_a_slot_given_back_goes_to_who_waits():
    world = World("2/10s", limits=(Limit(2, 10.0),), latency=(0.1, 0.1))
    client = world.client()

    async def main():
        async with world.gate.reserved(2):
            waiting = asyncio.create_task(client.get("/waiting"), context=contextvars.Context())
            await world.clock.sleep_until(START + 1)
        await waiting
        return world.clock.now()

    assert world.run(main()) < START + 2


def test_a_block_that_fails_gives_its_slots_back():
    world = World()

    async def main():
        with pytest.raises(ZeroDivisionError):
            async with world.gate.reserved(2):
                raise ZeroDivisionError

    world.run(main())
    assert world.log().entries == ()


def test_slots_reserved_at_one_gate_are_not_used_at_another():
    world, other = World(), MemoryBudget(SteppedClock(START, frozen=True))

    async def main():
        client = world.client(world.new_gate(other))
        async with world.gate.reserved(2):
            await client.get("/person")

    world.run(main())
    assert world.log().entries == ()
    assert len(Log.from_json(other.text).entries) == 1


def test_a_slot_reserved_too_long_ago_is_not_used():
    world = World()

    async def main():
        client = world.client()
        async with world.gate.reserved(2):
            await world.clock.sleep_until(START + 3 * CALL_S)
            await client.get("/person")

    world.run(main())
    assert [entry.sent_at > START + CALL_S for entry in world.log().entries] == [True]


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.0031, 1.0, 9.99])
def test_whoever_stops_waiting_leaves_no_slot_behind(after_s):
    """Cancelled in the queue, in the middle of the transaction that takes the slot, or asleep."""
    world = World("1/10s", limits=(Limit(1, 10.0),), latency=(0.1, 0.1))
    client = world.client()

    async def main():
        await client.get("/first")
        begun = world.clock.now()
        waiting = [asyncio.create_task(client.get(f"/{n}")) for n in range(3)]
        await world.clock.sleep_until(begun + after_s)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        async with asyncio.timeout(10):
            await client.get("/last")

    world.run(main())
    assert world.server.paths() == ["/first", "/last"]
    assert world.server.arrivals[1][0] < START + 10.4


def test_cancelled_while_a_slot_is_being_taken_gives_it_back():
    world = World()

    async def main():
        task = asyncio.create_task(world.client().get("/x"))
        await world.clock.sleep_until(START + 0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    world.run(main())
    assert world.budget.changes == 2
    assert world.log().entries == ()
    assert world.server.arrivals == []


def test_cancelled_in_flight_keeps_its_slot():
    world = World(latency=(0.5, 0.5))

    async def main():
        task = asyncio.create_task(world.client().get("/x"))
        await world.clock.sleep_until(START + 0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    world.run(main())
    assert [entry.answered_at for entry in world.log().entries] == [None]


def test_a_connection_that_failed_gives_its_slot_back_and_a_lost_answer_does_not():
    for error, left in ((httpx.ConnectError("refused"), 0), (httpx.ReadError("lost"), 1)):
        world = World()
        client = world.client(network=answering(error))

        async def main(client=client):
            with pytest.raises(httpx.TransportError):
                await client.post("/x")

        world.run(main())
        assert len(world.log().entries) == left


def test_a_token_without_rules_pays_nothing():
    world = World()
    gate = Gate("free", (), world.budget, world.clock)

    async def main():
        client = world.client(gate)
        async with gate.reserved(2):
            await asyncio.gather(*(client.get("/x") for _ in range(10)))

    world.run(main())
    assert world.budget.changes == 0
    assert len(world.server.arrivals) == 10


def test_a_token_without_rules_still_obeys_a_429():
    world = World()
    refusal = httpx.Response(429, headers={"Retry-After": "30"})
    gate = Gate("free", (), world.budget, world.clock)
    client = world.client(gate, network=answering(lambda request: refusal, 200))

    async def main():
        assert (await client.post("/x")).status_code == 429
        assert (await client.post("/x")).status_code == 200
        return world.clock.now(), await gate.blocked_until()

    assert world.run(main()) == (START + 30, None)


# --- parked lanes, headers, 429s ------------------------------------------------------------------------------------


def test_a_lane_that_would_wait_long_is_parked():
    world = World("2/day@UTC", limits=(Limit(2, DAY, fixed=True),), start=START - START % DAY + DAY / 2)

    async def main():
        client = world.client()
        await client.get("/a")
        await client.get("/b")
        with pytest.raises(Parked) as parked:
            await client.get("/c")
        return parked.value.until

    assert world.run(main()) == START - START % DAY + DAY + limits.SKEW_S
    assert world.counted("syncd_calls_total", method="GET", outcome="parked") == 1


def test_look_ups_are_possible_when_all_else_is_parked():
    world = World("20/day@UTC", limits=(Limit(20, DAY, fixed=True),), start=START - START % DAY + DAY / 2)

    async def main():
        client = world.client()
        for _ in range(16):
            await client.post("/write")
        with pytest.raises(Parked):
            await client.post("/write")
        with calling(Priority.LOOKUP):
            await client.get("/look-up")
            await client.get("/look-up")

    world.run(main())
    assert Counter(world.server.paths()) == {"/write": 16, "/look-up": 2}


def test_calls_of_another_client_of_the_token_are_heard_and_left_room_for():
    def told(now):
        used = world.server.hits.used(STRICT[0], now)
        return {"X-Rate-Limit-Limit": "10", "X-Rate-Limit-Remaining": str(10 - used)}

    world = World(headers=told, latency=(0.05, 0.05))
    foreign = []

    async def others():
        while True:
            await world.clock.sleep_until(world.clock.now() + 3.0)
            foreign.append(world.server.arrive())

    client = world.client()
    works = (again_and_again(client, "/ours", Priority.READ) for _ in range(2))
    world.run(busy_until(world.clock, START + 600, others(), *works))
    ours = world.server.paths().count("/ours")
    assert ours >= 300
    assert world.counted("syncd_refused_for_rate_total") <= 0.01 * ours
    assert sum(foreign) <= 0.3 * len(foreign), "the other client is crowded out"


def test_a_429_blocks_the_token_for_all_its_callers():
    world = World()
    client = world.client(
        network=answering(lambda request: httpx.Response(429, headers={"Retry-After": "20"}), 200), longest=1000
    )

    async def main():
        with pytest.raises(RateLimited):
            await ask(client, "POST", "/a", explain=lambda response: "slow down")
        await client.post("/b")
        return world.clock.now()

    assert world.run(main()) >= START + 20
    assert world.counted("syncd_refused_for_rate_total") == 1


def test_a_long_429_parks_the_lane():
    world = World("100/day@UTC")
    client = world.client(network=answering(httpx.Response(429, headers={"Retry-After": "36000"})))

    async def main():
        assert (await client.get("/a")).status_code == 429
        with pytest.raises(Parked) as parked:
            await client.get("/b")
        return parked.value.until

    assert world.run(main()) == pytest.approx(START + 36000, abs=1)


SERVED = formatdate(START - 120, usegmt=True)  # a server whose clock is two minutes behind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "250ms"}, 0.25),
        ({"Retry-After-Ms": "1500"}, 1.5),
        ({"Retry-After": formatdate(START + 30, usegmt=True)}, 30),
        ({"Retry-After": formatdate(START - 90, usegmt=True), "Date": SERVED}, 30),
        ({"Retry-After": formatdate(START - 999, usegmt=True)}, 0),
        ({"Retry-After": str(int(START) + 12)}, 12),
        ({"Retry-After": str(int(START - 120 + 12)), "Date": SERVED}, 12),
        ({"Retry-After": f"{int(START) + 12}000"}, 12),
        ({"Retry-After": "2027-01-15T08:00:05Z"}, 5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "2027-01-15T08:00:05"}, None),
        ({"Retry-After": "9" * 40}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after_s(httpx.Response(429, headers=headers), START) == seconds


def test_limit_headers_are_read_under_all_their_names():
    for prefix in ("X-Rate-Limit", "X-RateLimit", "RateLimit"):
        headers = {f"{prefix}-Limit": "10, 10;w=10", f"{prefix}-Remaining": "3", f"{prefix}-Reset": str(int(START) + 9)}
        told = heard(httpx.Response(200, headers=headers), START)
        assert (told.limit, told.remaining, told.reset_at, told.refused) == (10, 3, START + 9, False)


@pytest.mark.parametrize(
    ("reset", "at"), [("8", START + 8), (str(int(START) - 10), None), ("tomorrow", None), ("0", None)]
)
def test_a_reset_in_the_past_tells_nothing(reset, at):
    assert heard(httpx.Response(200, headers={"X-Rate-Limit-Reset": reset}), START).reset_at == at


def test_a_429_without_retry_after_is_blocked_until_its_reset():
    told = heard(httpx.Response(429, headers={"X-RateLimit-Reset": "25"}), START)
    assert (told.refused, told.retry_after_s) == (True, 25)


# --- retries --------------------------------------------------------------------------------------------------------


class BrokenHalfway(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b'{"half":'
        raise httpx.ReadError("lost")


@pytest.mark.parametrize(
    "trouble",
    [
        *(502, 503, 504),
        httpx.Response(429, headers={"Retry-After": "2"}),
        httpx.Response(503, headers={"Retry-After": "2"}),
        *(httpx.ConnectError("no"), httpx.ConnectTimeout("no"), httpx.ReadError("no"), httpx.ReadTimeout("no")),
        httpx.RemoteProtocolError("no"),
        lambda request: httpx.Response(200, stream=BrokenHalfway()),
    ],
)
def test_a_get_is_tried_again_where_the_trouble_may_pass(trouble):
    world = World()
    client = world.client(network=answering(trouble, trouble, httpx.Response(200, text="at last")))

    async def main():
        return (await client.get("/x")).text

    assert world.run(main()) == "at last"
    assert world.counted("syncd_retries_total") == 2
    assert world.counted("syncd_calls_total", method="GET", outcome="ok") == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 301])
def test_a_get_is_not_tried_again_where_the_answer_would_be_the_same(status):
    world = World()
    client = world.client(network=answering(status, 200))

    async def main():
        return (await client.get("/x")).status_code

    assert world.run(main()) == status


def test_a_get_is_tried_three_times_at_most():
    world = World()
    network = answering(503, 503, 503, 200)
    client = world.client(network=network)

    async def main():
        assert (await client.get("/x")).status_code == 503

    world.run(main())
    assert network.left == [200]


def test_the_last_error_is_raised_as_it_was():
    world = World()
    client = world.client(network=answering(httpx.ReadTimeout("slow")))

    async def main():
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/x")
        with pytest.raises(Unavailable):
            await ask(client, "GET", "/x", explain=lambda response: "")

    world.run(main())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("trouble", [503, httpx.ReadError("lost"), httpx.ConnectError("refused")])
def test_whatever_is_no_get_goes_out_once(method, trouble):
    world = World()
    network = answering(trouble, 200)
    client = world.client(network=network)

    async def main():
        with pytest.raises((OutcomeUnknown, NotSent)):
            await ask(client, method, "/x", explain=lambda response: "")

    world.run(main())
    assert network.left == [200]


def test_a_long_retry_after_is_left_to_the_engine():
    world = World()
    network = answering(httpx.Response(503, headers={"Retry-After": "3600"}), 200)
    client = world.client(network=network)

    async def main():
        assert (await client.get("/x")).status_code == 503

    world.run(main())
    assert world.clock.now() < START + 1


def test_retries_wait_what_was_asked_and_a_jitter():
    world = World()
    refusal = httpx.Response(503, headers={"Retry-After": "4"})
    client = world.client(network=answering(refusal, refusal, 200))

    async def main():
        await client.get("/x")

    world.run(main())
    assert START + 8 + 0.2 < world.clock.now() < START + 8 + 0.5 + 1.0 + 0.1


def test_each_try_takes_a_slot_and_a_repeat_leaves_the_reserved_one_to_the_write():
    world = World()
    client = world.client(network=answering(503, 200))

    async def main():
        async with world.gate.reserved(2):
            await client.get("/person")
            before = len(world.log().entries)
            await client.patch("/person")
        return before, len(world.log().entries)

    assert world.run(main()) == (3, 3)


def test_a_sick_host_gets_a_tenth_of_its_calls_as_retries():
    budget = RetryBudget()
    world = World("1000/1m", limits=())
    sent = Counter()

    def sick(request):
        sent["calls"] += 1
        return httpx.Response(503)

    client = world.client(network=httpx.MockTransport(sick), retries=budget)

    async def main():
        for _ in range(200):
            await client.get("/x")

    world.run(main())
    assert 210 <= sent["calls"] <= 222


def test_a_retry_that_is_cancelled_stays_cancelled():
    world = World()
    tries = []

    class Sick(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            tries.append(world.clock.now())
            await world.clock.sleep_until(world.clock.now() + 5.0)
            raise httpx.ReadTimeout("lost")

    async def main():
        reading = asyncio.ensure_future(world.client(network=Sick()).get("/x"))
        while len(tries) < 2:
            await world.clock.sleep_until(world.clock.now() + 1.0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    world.run(main())
    assert len(tries) == 2


def test_one_failed_call_among_few_has_its_three_tries():
    budget = RetryBudget()
    budget.first("host", START)
    assert budget.allows("host", START)
    budget.repeat("host", START)
    budget.repeat("host", START)
    assert not budget.allows("host", START)
    assert budget.allows("other", START)
    assert budget.allows("host", START + 61)


# --- bounds ---------------------------------------------------------------------------------------------------------


class Body(httpx.AsyncByteStream):
    """A body that comes in pieces, and notes how much of it was taken."""

    def __init__(self, clock, pieces, pause_s=0.0):
        self.clock, self.pieces, self.pause_s = clock, pieces, pause_s
        self.taken, self.closed = 0, False

    async def __aiter__(self):
        for piece in self.pieces:
            await self.clock.sleep_until(self.clock.now() + self.pause_s)
            self.taken += len(piece)
            yield piece

    async def aclose(self):
        self.closed = True


def fetched(world, body, headers=None, *, method="GET", longest=1_000_000, **request):
    client = world.client(
        network=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=body)), longest=longest
    )

    async def main():
        return await client.request(method, "/x", **request)

    return world.run(main())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_without_end_is_cut_off(method):
    world = World()
    body = Body(world.clock, (b"x" * 100_000 for _ in range(10_000)))
    with pytest.raises(AnswerTooLong):
        fetched(world, body, method=method)
    assert body.taken <= 1_100_000
    assert body.closed


def test_a_bomb_is_noticed_before_it_has_gone_off():
    world = World()
    bomb = gzip.compress(bytes(300_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLong):
            fetched(world, Body(world.clock, [bomb]), {"Content-Encoding": "gzip"})
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_a_write_whose_answer_is_too_long_is_unknown():
    world = World()
    client = world.client(network=httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 1000)), longest=999)

    async def main():
        with pytest.raises(OutcomeUnknown):
            await ask(client, "POST", "/x", explain=lambda response: "")

    world.run(main())


@pytest.mark.parametrize("size", [0, 1, 10, 300_000, 999_000])
@pytest.mark.parametrize("pieces", [1, 7])
def test_gzip_is_undone(size, pieces):
    world = World()
    plain = random.Random(size).randbytes(size)
    packed = gzip.compress(plain, mtime=0)
    step = len(packed) // pieces + 1
    body = Body(world.clock, [packed[at : at + step] for at in range(0, len(packed), step)])
    response = fetched(world, body, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}, longest=2_000_000)
    assert response.content == plain
    assert body.closed


@pytest.mark.parametrize(
    ("content", "coding"),
    [(gzip.compress(b"whole" * 100, mtime=0)[:-9], "gzip"), (b"not gzip at all", "gzip"), (b"anything", "br")],
)
def test_a_damaged_answer_is_a_lost_answer(content, coding):
    world = World()
    with pytest.raises(AnswerBroken):
        fetched(world, Body(world.clock, [content]), {"Content-Encoding": coding}, method="POST")


def test_an_answer_that_trickles_is_cut_off():
    world = World()
    with pytest.raises(httpx.ReadTimeout):
        fetched(world, Body(world.clock, (b"x" for _ in range(10_000)), pause_s=1.0), method="POST")
    assert world.clock.now() < START + LONGEST_READ_S + 5


def test_a_streamed_answer_is_not_kept():
    world = World()
    body = Body(world.clock, [b"x" * 1000] * 10)
    client = world.client(network=httpx.MockTransport(lambda _: httpx.Response(200, stream=body)))

    async def main():
        async with client.stream("GET", "/resume", extensions={STREAMED: True}) as response:
            assert await anext(response.aiter_raw(1000)) == b"x" * 1000

    world.run(main())
    assert body.taken < 10_000
    assert body.closed


def test_a_streamed_answer_that_is_tried_again_is_closed_first():
    world = World()
    bad = Body(world.clock, [b"try later"])
    client = world.client(network=answering(httpx.Response(503, stream=bad), httpx.Response(200, text="at last")))

    async def main():
        async with client.stream("GET", "/resume", extensions={STREAMED: True}) as response:
            return await response.aread()

    assert world.run(main()) == b"at last"
    assert bad.closed


def test_the_clock_is_held_until_the_body_is_read():
    clock = SteppedClock(START)
    gate = Gate("acme", (), MemoryBudget(clock), clock)
    idle = []

    class Watching(httpx.AsyncByteStream):
        async def __aiter__(self):
            idle.append(clock.idle)
            yield b"x"

    def answer(request):
        idle.append(clock.idle)
        return httpx.Response(200, stream=Watching())

    async def main():
        client = build_client(gate, HOME, rng=random.Random(1), network=httpx.MockTransport(answer))
        await client.get("/x")
        await client.post("/x")
        failing = build_client(gate, HOME, rng=random.Random(1), network=answering(httpx.ReadError("lost")))
        with pytest.raises(httpx.ReadError):
            await failing.post("/x")

    run_stepped(clock, main())
    assert idle == [False] * 4
    assert clock.idle


# --- fences ---------------------------------------------------------------------------------------------------------


def test_an_address_that_must_not_be_called_is_called_by_nobody():
    gate = Gate("acme", (), MemoryBudget(WallClock()), WallClock())
    with pytest.raises(ConfigInvalid, match=r"^base_url must begin with https://"):
        build_client(gate, "http://acme.example.com", rng=random.Random(1))
    with pytest.raises(ConfigInvalid, match=r"^base_url must not hold a name or password"):
        build_client(gate, "https://user:s3cret@10.0.0.1", rng=random.Random(1), allow_private=True)
    build_client(gate, "http://10.0.0.1", rng=random.Random(1), allow_private=True)


def test_a_call_never_leaves_the_connections_own_server():
    world = World()
    seen = []

    def answer(request):
        seen.append(str(request.url))
        return httpx.Response(308, headers={"Location": "https://evil.example.com/"})

    client = world.client(network=httpx.MockTransport(answer), headers={"Authorization": "Bearer canary"})

    async def main():
        for url in ("https://evil.example.com/", "http://127.0.0.1:81/", "https://127.0.0.1/", "http://localhost/"):
            with pytest.raises(ForeignOrigin):
                await client.get(url)
            with pytest.raises(NotSent):
                await ask(client, "POST", url, explain=lambda response: "")
        return (await client.post("/ours", content=b"x")).status_code

    assert world.run(main()) == 308
    assert seen == ["http://127.0.0.1/ours"]


def test_read_only_sends_nothing_but_gets():
    world = World()
    client = world.client(read_only=True)

    async def main():
        await client.get("/x")
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            with pytest.raises(PlanRefused):
                await client.request(method, "/x")

    world.run(main())
    assert [method for _, method, _ in world.server.arrivals] == ["GET"]


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.com:3128")
    gate = Gate("acme", (), MemoryBudget(WallClock()), WallClock())
    client = build_client(gate, "https://acme.example.com", rng=random.Random(1))
    assert client._mounts == {}
    assert client.trust_env is False
    assert client.follow_redirects is False


def test_certificates_are_always_checked():
    tls = Wire(may_be_private=True)._pool._ssl_context
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def answers(monkeypatch, *addresses):
    async def getaddrinfo(self, host, port, **more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


class Sockets:
    def __init__(self, dead=()):
        self.dead, self.tried = dead, []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109  # httpcore's
        self.tried.append(host)
        if host in self.dead:
            raise httpcore.ConnectError("refused")
        return f"a socket to {host}"


def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch):
    answers(monkeypatch, "8.8.8.8", "169.254.169.254")
    backend = Resolving(may_be_private=False)
    backend._sockets = Sockets()
    with pytest.raises(httpcore.ConnectError, match="private"):
        asyncio.run(backend.connect_tcp("rebound.example.com", 443))
    assert backend._sockets.tried == []


@pytest.mark.parametrize("address", ["::127.0.0.1", "64:ff9b:1::a00:1", "2002:a00:1::", "64:ff9b::a00:1"])
def test_an_address_that_carries_another_one_is_not_connected_to(monkeypatch, address):
    answers(monkeypatch, address)
    backend = Resolving(may_be_private=False)
    backend._sockets = Sockets()
    with pytest.raises(httpcore.ConnectError, match="private"):
        asyncio.run(backend.connect_tcp("acme.example.com", 443))
    allowed = Resolving(may_be_private=True)
    allowed._sockets = Sockets()
    assert asyncio.run(allowed.connect_tcp("acme.example.com", 443)) == f"a socket to {address}"


def test_the_judged_address_is_the_one_connected_to(monkeypatch):
    answers(monkeypatch, "8.8.8.8", "1.1.1.1")
    backend = Resolving(may_be_private=False)
    backend._sockets = Sockets(dead=("8.8.8.8",))
    assert asyncio.run(backend.connect_tcp("acme.example.com", 443)) == "a socket to 1.1.1.1"
    assert backend._sockets.tried == ["8.8.8.8", "1.1.1.1"]


def test_the_road_works_over_real_sockets():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = gzip.compress(b'{"jobs": []}', mtime=0)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async def main():
        clock = WallClock()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        gate = Gate("acme", parse_rules(["10/10s"]), MemoryBudget(clock), clock)
        async with server, build_client(gate, f"http://localhost:{port}", rng=random.Random(1)) as client:
            answer = await ask(client, "GET", "/jobs", explain=lambda response: "")
            server.close()
            used = await gate.usage()
            with pytest.raises(NotSent):
                await ask(client, "POST", "/jobs", explain=lambda response: "")
            assert [one.used for one in await gate.usage()] == [used[0].used]
            return answer.json(), used[0].used

    assert asyncio.run(main()) == ({"jobs": []}, 1)


# --- telling --------------------------------------------------------------------------------------------------------


def test_the_gate_tells_its_use_and_what_is_to_come():
    world = World()

    async def main():
        client = world.client()
        for _ in range(4):
            await client.get("/x")
        (used,) = await world.gate.usage()
        return used.used, used.remaining, await world.gate.forecast(6), await world.gate.forecast(106)

    used, remaining, soon, later = world.run(main())
    assert (used, remaining, soon) == (4, 6, 0)
    assert later == pytest.approx(100, abs=5)
    assert world.counted("syncd_budget_used", rule="10/10s") == 4
    assert world.counted("syncd_budget_limit", rule="10/10s") == 10
    assert world.counted("syncd_wait_seconds_count", priority="read") == 4


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (200, "ok"),
        (404, "client_error"),
        (500, "server_error"),
        (httpx.Response(429, headers={"Retry-After": "99"}), "refused_rate"),
        (httpx.ReadError("lost"), "lost"),
        (httpx.ConnectError("refused"), "not_sent"),
    ],
)
def test_calls_are_counted_by_how_they_ended(trouble, outcome):
    world = World()
    client = world.client(network=answering(trouble))

    async def main():
        with contextlib.suppress(httpx.TransportError):
            await client.post("/candidates/secret-id")

    world.run(main())
    assert world.counted("syncd_calls_total", method="POST", outcome=outcome) == 1
    assert b"secret-id" not in world.metrics.render()
