"""The portal that these tests play with: its sandbox in virtual time, accounts on it, and ways to run."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from connectors.portal import Portal, plugin
from connectors.portal.sandbox import PortalSandbox
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account

START = 1_776_000_000.0  # 2026-04-12 13:20:00 UTC
BASE_URL = "https://portal.example.test"
TOKEN = "sandbox-token"
ACCOUNT = Account("portal", BASE_URL, TOKEN)

__all__ = ["ACCOUNT", "BASE_URL", "START", "TOKEN", "answering", "new_sandbox", "play", "plugin", "wait"]


def new_sandbox(**switches: Any) -> PortalSandbox:
    return PortalSandbox(clock=SteppedClock(START, frozen=True), rng=random.Random(7), **switches)


def play(
    sandbox: PortalSandbox,
    scene: Callable[[Portal, httpx.AsyncClient], Awaitable[Any]],
    account: Account = ACCOUNT,
) -> Any:
    """Run a scene with a connector on the sandbox, and with a bare client that bears the key."""

    async def run() -> Any:
        transport = httpx.ASGITransport(app=sandbox)
        async with (
            httpx.AsyncClient(transport=transport) as client,
            httpx.AsyncClient(
                transport=transport, base_url=f"{BASE_URL}/api", headers={"X-SM-Key": account.token}
            ) as bare,
        ):
            return await scene(Portal(account, client, sandbox.clock), bare)

    return run_stepped(sandbox.clock, run())


def answering(*answers: Any, account: Account = ACCOUNT) -> tuple[Portal, list[httpx.Request]]:
    """A connector whose calls get these answers in turn (JSON or whole responses), and the requests that it made."""
    requests: list[httpx.Request] = []
    left = list(answers)

    def reply(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = left.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    return Portal(account, client, SteppedClock(START, frozen=True)), requests


def wait(scene: Any) -> Any:
    return asyncio.run(scene)
