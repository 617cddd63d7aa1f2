"""The kit of the played systems: strict limits, faults around an honest core, a log to judge by, webhooks resent."""

import asyncio
import random
from email.utils import parsedate_to_datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncd.clock import SteppedClock, run_stepped
from syncd.sandbox import Fault, Hits, Hook, Limit, Sandbox

START = 1_800_000_000.0  # a multiple of ten seconds
TOKEN = "a-token-of-the-sandbox"


class Bakery(Sandbox):
    """A system of one counter: GET tells it, POST raises it."""

    system = "bakery"
    limits = (Limit(5, 10.0),)
    resend_after_s = (10.0, 60.0)
    loaves = 0

    def routes(self):
        return [Route("/loaves", self.tell), Route("/loaves", self.bake, methods=["POST"])]

    async def tell(self, request):
        return JSONResponse({"loaves": self.loaves})

    async def bake(self, request):
        self.loaves += 1
        self.note("api", "create", "loaf", str(self.number()), {}, {"loaves": self.loaves})
        return JSONResponse({"loaves": self.loaves}, 201)

    def refuse_token(self, request):
        return JSONResponse({"error": "Not authorized"}, 401)

    def refuse_rate(self, limit, wait_s):
        return JSONResponse({"error": "Too many"}, 429, {"Retry-After": str(int(wait_s) + 1)})

    def rate_headers(self, hits, now):
        return {"X-Used": str(hits.used(self.limits[0], now))}


@pytest.fixture
def clock():
    return SteppedClock(START, frozen=True)


@pytest.fixture
def bakery(clock):
    return Bakery(clock=clock, rng=random.Random(1), tokens=(TOKEN,))


def calling(clock, bakery, play, token=TOKEN):
    """Play calls against the sandbox in virtual time."""

    async def main():
        transport = httpx.ASGITransport(app=bakery)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bakery.test", headers=headers) as client:
            return await play(client)

    return run_stepped(clock, main())


async def get(client):
    return await client.get("/loaves")


async def bake(client):
    return await client.post("/loaves")


# --- arrivals -------------------------------------------------------------------------------------------------------


def test_each_call_stands_in_the_log_as_it_arrived(clock, bakery):
    async def play(client):
        await get(client)
        await clock.sleep_until(START + 3.0)
        await bake(client)

    calling(clock, bakery, play)
    assert [(a.at, a.method, a.path, a.token, a.status) for a in bakery.arrivals] == [
        (START, "GET", "/loaves", "token 1", 200),
        (START + 3.0, "POST", "/loaves", "token 1", 201),
    ]
    assert [(e.by, e.action, e.kind, e.after) for e in bakery.effects] == [("api", "create", "loaf", {"loaves": 1})]


@pytest.mark.parametrize("token", ["another", "", TOKEN.upper()])
def test_another_token_is_refused_and_nothing_is_done(clock, bakery, token):
    answer = calling(clock, bakery, bake, token)
    assert (answer.status_code, bakery.loaves) == (401, 0)
    assert bakery.arrivals[0].token == "unknown"


def test_each_answer_bears_the_servers_clock_and_a_good_one_the_limits(clock, bakery):
    clock._offset += 77.0
    good, bad = calling(clock, bakery, get), calling(clock, bakery, get, "another")
    for answer in (good, bad):
        assert parsedate_to_datetime(answer.headers["date"]).timestamp() == START + 77.0
    assert good.headers["x-used"] == "1"
    assert "x-used" not in bad.headers


def test_a_slow_system_takes_its_time(clock, bakery):
    bakery.lag = lambda: 4.0
    calling(clock, bakery, get)
    assert clock.now() == START + 4.0
    assert bakery.arrivals[0].at == START


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_call_over_the_limit_is_refused_and_told_when_to_come_back(clock, bakery):
    async def play(client):
        answers = [(await bake(client)).status_code for _ in range(6)]
        refused = await bake(client)
        await clock.sleep_until(clock.now() + float(refused.headers["retry-after"]))
        return answers, refused.status_code, (await bake(client)).status_code

    answers, refused, later = calling(clock, bakery, play)
    assert (answers, refused, later) == ([201] * 5 + [429], 429, 201)
    assert bakery.loaves == 6, "a refused call did nothing"


def test_a_rolling_window_counts_back_from_each_call():
    hits = Hits([Limit(2, 10.0)])
    taken = [at for at in (0.0, 9.0, 9.5, 10.0, 18.9, 19.0) if hits.refused(START + at) is None]
    assert taken == [0.0, 9.0, 10.0, 19.0]


def test_a_fixed_window_begins_at_multiples_of_its_length():
    """Workable's documents and recordings disagree on which it is: both can be played."""
    limit = Limit(2, 10.0, fixed=True)
    hits = Hits([limit])
    taken = [at for at in (8.0, 9.0, 9.9, 10.0, 10.1, 10.2) if hits.refused(START + at) is None]
    assert taken == [8.0, 9.0, 10.0, 10.1]
    assert hits.frees_at(limit, START + 13.0) == START + 20.0


def test_several_limits_hold_at_once():
    day = Limit(3, 86_400.0)
    hits = Hits([Limit(2, 10.0), day])
    assert [hits.refused(START + at) for at in (0.0, 1.0)] == [None, None]
    assert hits.refused(START + 2.0) == Limit(2, 10.0)
    assert hits.refused(START + 20.0) is None
    assert hits.refused(START + 40.0) == day
    assert hits.frees_at(day, START + 40.0) == START + 86_400.0
    assert hits.refused(START + 86_400.0) is None


def test_a_limit_that_is_not_used_up_frees_at_once():
    assert Hits([]).frees_at(Limit(1, 10.0), START) == START


def test_without_limits_nothing_is_refused(clock):
    bakery = Bakery(clock=clock, rng=random.Random(1), tokens=(TOKEN,), limits=())

    async def play(client):
        return {(await get(client)).status_code for _ in range(50)}

    assert calling(clock, bakery, play) == {200}


def test_tokens_have_budgets_of_their_own(clock):
    bakery = Bakery(clock=clock, rng=random.Random(1), tokens=("one", "two"))

    async def play(client):
        return [(await get(client)).status_code for _ in range(6)]

    assert calling(clock, bakery, play, "one")[-1] == 429
    assert calling(clock, bakery, get, "two").status_code == 200
    assert bakery.arrivals[-1].token == "token 2"


# --- faults ---------------------------------------------------------------------------------------------------------

FAULTS = {
    Fault.LOST_BEFORE: (None, 0),
    Fault.LOST_AFTER: (None, 1),
    Fault.ERROR_BEFORE: (503, 0),
    Fault.ERROR_AFTER: (503, 1),
}


@pytest.mark.parametrize(("fault", "status", "effects"), [(*key,) for key in ((f, *v) for f, v in FAULTS.items())])
def test_what_a_fault_does_and_what_the_client_sees(clock, bakery, fault, status, effects):
    """Two of the four look alike from outside: nobody can tell whether it was done."""
    bakery.faults = lambda method, path: fault

    async def play(client):
        if status is not None:
            return (await bake(client)).status_code
        with pytest.raises(httpx.ReadError):
            await bake(client)
        return None

    assert calling(clock, bakery, play) == status
    assert (bakery.loaves, len(bakery.effects)) == (effects, effects)
    assert [(a.fault, a.status) for a in bakery.arrivals] == [(fault, status or 0)]


def test_a_fault_is_chosen_for_each_call(clock, bakery):
    bakery.faults = lambda method, path: Fault.ERROR_BEFORE if method == "POST" else None

    async def play(client):
        return (await bake(client)).status_code, (await get(client)).status_code

    assert calling(clock, bakery, play) == (503, 200)


def test_a_call_that_was_done_counts_against_the_limit_though_its_answer_was_lost(clock, bakery):
    bakery.faults = lambda method, path: Fault.ERROR_AFTER

    async def play(client):
        for _ in range(5):
            await bake(client)
        bakery.faults = lambda method, path: None
        return (await bake(client)).status_code

    assert calling(clock, bakery, play) == 429


# --- the log as people see it ---------------------------------------------------------------------------------------


def test_the_log_is_told_to_anybody_says_that_it_is_played_and_names_no_token(clock, bakery):
    async def play(client):
        await bake(client)
        client.headers.pop("Authorization")
        return await client.get("/_sandbox")

    answer = calling(clock, bakery, play)
    told = answer.json()
    assert (told["simulated"], told["system"]) == (True, "bakery")
    assert [len(told["arrivals"]), len(told["effects"])] == [1, 1]
    assert TOKEN not in answer.text
    assert len(bakery.arrivals) == 1, "looking at the log is no call"


# --- webhooks -------------------------------------------------------------------------------------------------------


class Receiver:
    """Takes deliveries; answers with the given statuses in turn, then 200."""

    def __init__(self, clock, *statuses):
        self.clock = clock
        self.statuses = list(statuses)
        self.taken = []
        self.app = Starlette(routes=[Route("/hook", self.take, methods=["POST"])])

    async def take(self, request):
        body = await request.body()
        self.taken.append((self.clock.now() - START, body.decode(), request.headers.get("x-signature")))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ReadError("the receiver died")
        return Response(status_code=status)


def deliver(clock, receiver, *hooks, body=b"baked", event="baked", lose=lambda event: False):
    """Let the sandbox send one event and everything that follows from it."""

    async def main():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver.app)) as client:
            bakery = Bakery(clock=clock, rng=random.Random(1), tokens=(TOKEN,), client=client)
            bakery.hooks = {hook.id: hook for hook in hooks}
            bakery.lose_hook = lose
            bakery.emit(event, body, lambda hook, content: {"X-Signature": f"{hook.secret}:{len(content)}"})
            while bakery._deliveries:
                await asyncio.wait(bakery._deliveries)

    run_stepped(clock, main())


def hook(id_="1", *events, **more):
    return Hook(id_, "http://syncd.test/hook", events or ("baked",), **more)


def test_an_event_is_delivered_once_when_it_is_taken(clock):
    receiver = Receiver(clock)
    deliver(clock, receiver, hook(secret="s"))
    assert receiver.taken == [(0.0, "baked", "s:5")]


def test_an_event_is_sent_again_until_it_is_taken(clock):
    receiver = Receiver(clock, 503, 0)
    deliver(clock, receiver, hook())
    assert [at for at, *_ in receiver.taken] == [0.0, 10.0, 70.0]


def test_an_event_that_nobody_takes_is_given_up(clock):
    receiver = Receiver(clock, *[500] * 10)
    deliver(clock, receiver, hook())
    assert len(receiver.taken) == 3


def test_some_systems_tell_the_state_at_sending(clock):
    """Workable says so: a move may be told with the stage of a later one."""

    def state():
        return f"at {clock.now() - START:.0f}".encode()

    receiver = Receiver(clock, 503)
    deliver(clock, receiver, hook(), body=state)
    assert [body for _, body, _ in receiver.taken] == ["at 0", "at 10"]


def test_only_active_hooks_that_want_the_event_get_it(clock):
    receiver = Receiver(clock)
    deliver(clock, receiver, hook("1", "eaten"), hook("2", active=False), hook("3", "eaten", "baked", secret="three"))
    assert [signature for *_, signature in receiver.taken] == ["three:5"]


def test_a_hook_without_a_choice_gets_every_event(clock):
    receiver = Receiver(clock)
    deliver(clock, receiver, Hook("1", "http://syncd.test/hook", ()))
    assert len(receiver.taken) == 1


def test_an_event_may_be_lost_for_good(clock):
    receiver = Receiver(clock)
    deliver(clock, receiver, hook(), lose=lambda event: event == "baked")
    assert receiver.taken == []


def test_without_a_client_no_webhooks_are_sent(clock, bakery):
    bakery.hooks = {"1": hook()}
    bakery.emit("baked", b"x", lambda hook_, content: {})
    assert bakery._deliveries == set()


def test_a_hooks_secret_is_not_shown():
    assert "hush" not in repr(hook(secret="hush"))
