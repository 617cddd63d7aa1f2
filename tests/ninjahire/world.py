"""A Ninjahire as the tests need it: its sandbox on a frozen clock, an account, and ways to run and to sign."""

import asyncio
import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable

import httpx

from connectors.ninjahire import plugin
from connectors.ninjahire.api import Ninjahire
from connectors.ninjahire.sandbox import NinjahireSandbox
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account, Delivery

START = 1_767_600_000.0  # 2026-01-05T08:00:00Z
BASE_URL = "https://api.ninjahire.example.test"
TOKEN = "sandbox-token"
SECRET = "whsec_made_up_for_tests"


def played(**switches) -> NinjahireSandbox:
    """An empty sandbox without a limit."""
    rng = switches.pop("rng", None) or random.Random(7)
    return NinjahireSandbox(clock=SteppedClock(START, frozen=True), rng=rng, **{"limits": (), **switches})


def account(**settings) -> Account:
    return Account("screener", BASE_URL, TOKEN, **{"webhook_secrets": (SECRET,), **settings})


def connected(client: httpx.AsyncClient, sandbox: NinjahireSandbox, **settings) -> Ninjahire:
    return plugin.connect(account(**settings), client, sandbox.clock)


def run(sandbox: NinjahireSandbox, scene: Callable[[Ninjahire], Awaitable[object]], **settings) -> object:
    """Run a scene with a connector that reaches the sandbox in-process, in virtual time."""

    async def main() -> object:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as client:
            return await scene(connected(client, sandbox, **settings))

    return run_stepped(sandbox.clock, main())


def answering(*responses: httpx.Response, **settings) -> tuple[Ninjahire, list[httpx.Request]]:
    """A connector whose calls get these answers in turn, and the requests that it made."""
    requests: list[httpx.Request] = []
    left = list(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return left.pop(0)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return plugin.connect(account(**settings), client, SteppedClock(START, frozen=True)), requests


def wait(scene):
    return asyncio.run(scene)


def signed(body: bytes, *, secret: str = SECRET, at: float = START, event: str | None = "application_activty", **more):
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-ninjahire-signature": signature, "x-ninjahire-timestamp": str(int(at)), **more}
    return Delivery(body, headers, event, START)
