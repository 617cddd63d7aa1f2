"""The HireSquire that these tests play with: its sandbox in virtual time, and an account on it."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from connectors.hiresquire import HireSquire, connect, plugin
from connectors.hiresquire.sandbox import HireSquireSandbox
from connectors.hiresquire.signature import sign
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account, BatchDraft, BatchFile, Delivery
from syncd.sandbox import Limit

START = 1_776_000_000.0  # 2026-04-12 13:20:00 UTC
SECRET = "whsec_made_up"
BASE = "https://hiresquire.example.test/api/v1"
ACCOUNT = Account("screens", BASE, "sandbox-token", webhook_secrets=(SECRET,))
KEY = "6e0f5a1c-0d53-4a43-9d3f-0d5f7b0f0001"
DESCRIPTION = "We look for somebody who has worked with Python for five years or longer, and likes to write."

__all__ = ["ACCOUNT", "BASE", "DESCRIPTION", "KEY", "SECRET", "START", "plugin"]


def new_sandbox(limits: tuple[Limit, ...] | None = (), **kwargs: Any) -> HireSquireSandbox:
    clock = SteppedClock(START, frozen=True)
    return HireSquireSandbox(clock=clock, rng=random.Random(7), limits=limits, webhook_secret=SECRET, **kwargs)


def play(
    sandbox: HireSquireSandbox,
    scene: Callable[[HireSquire, httpx.AsyncClient], Awaitable[Any]],
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
            return await scene(connect(account, client, sandbox.clock), bare)

    return run_stepped(sandbox.clock, run())


def resume(name: str, words: str = "Ten years of Python, two of them as a lead of a small team.") -> bytes:
    """A made-up person's résumé as text."""
    return f"{name}\n{name.replace(' ', '.').lower()}@example.com\n+12025550123\n{words}\n".encode()


def draft(*names: str, **more: Any) -> BatchDraft:
    """A batch of as many résumés, of the applications 1001, 1002, …"""
    files = tuple(BatchFile.of(f"{1001 + at}.txt", resume(name)) for at, name in enumerate(names or ("Ana Ruiz",)))
    return BatchDraft(**{"title": "Backend Engineer", "description": DESCRIPTION, "files": files, **more})


async def done(connector: HireSquire, sandbox: HireSquireSandbox, batch: str) -> None:
    """Wait until a batch is over."""
    await sandbox.clock.sleep_until(sandbox.batches[int(batch)].due + 1.0)
    told = await connector.batch(batch)
    assert told is not None
    assert told.state != "processing"


def signed(body: bytes, at: float, secret: str = SECRET) -> Delivery:
    """A delivery as the service signs it."""
    stamp = str(int(at))
    header = f"t={stamp},v1={sign(stamp, body, secret).decode()}"
    return Delivery(body, {"x-webhook-signature": header}, None, at)
