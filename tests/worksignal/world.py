"""The WorkSignal that these tests play with: its sandbox in virtual time, and an account on it."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from connectors.worksignal import WorkSignal, plugin
from connectors.worksignal.sandbox import WorkSignalSandbox
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account
from syncd.sandbox import Limit

START = 1_776_000_000.0  # 2026-04-12 13:20:00 UTC
SECRET = "whsec_made_up"
ACCOUNT = Account(
    "signal",
    "https://worksignal.example.test/api/v1",
    "sandbox-token",
    webhook_secrets=(SECRET,),
    options={"publish": "true"},
)

__all__ = ["ACCOUNT", "SECRET", "START", "new_sandbox", "play", "plugin"]


def new_sandbox(limits: tuple[Limit, ...] | None = (), **kwargs: Any) -> WorkSignalSandbox:
    clock = SteppedClock(START, frozen=True)
    return WorkSignalSandbox(clock=clock, rng=random.Random(7), limits=limits, **kwargs)


def play(
    sandbox: WorkSignalSandbox,
    scene: Callable[[WorkSignal, httpx.AsyncClient], Awaitable[Any]],
    account: Account = ACCOUNT,
) -> Any:
    """Run a scene with a connector on the sandbox, and with a bare client of the account's token."""

    async def run() -> Any:
        transport = httpx.ASGITransport(app=sandbox)
        headers = {"Authorization": f"Bearer {account.token}"}
        async with (
            httpx.AsyncClient(transport=transport) as client,
            httpx.AsyncClient(transport=transport, base_url=account.base_url, headers=headers) as bare,
        ):
            return await scene(WorkSignal(account, client, sandbox.clock), bare)

    return run_stepped(sandbox.clock, run())
