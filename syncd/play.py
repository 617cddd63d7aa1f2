"""Plays one hiring system on this machine, for a user's own trials: a sandbox behind a port, and what reaches it.

Everything in it is made up and simulated; nothing leaves this machine but the webhooks that somebody registers there.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from syncd.clock import Clock
from syncd.connector import Plugin
from syncd.errors import ConfigInvalid
from syncd.sandbox import Sandbox
from syncd.server import address_of, listening, serving
from syncd.settings import Server

JOBS, PEOPLE = 5, 40
_RESUME = b"%%PDF-1.4\nApplicant %d\nTen years in this trade, and in three towns. Reliable and curious.\n%%%%EOF\n"
Say = Callable[[str], None]


async def play(
    system: str, plugin: Plugin, *, port: int, empty: bool, clock: Clock, rng: random.Random, say: Say
) -> None:
    """Serve a system's sandbox on loopback until cancelled; ``say`` is told its address, its token, and each call."""
    if plugin.sandbox is None:
        raise ConfigInvalid(f"{system} brings no sandbox")
    listener = listening(Server(listen=f"127.0.0.1:{port}"), "--port")
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        sandbox: Sandbox = plugin.sandbox(clock=clock, rng=rng, client=client)
        if not empty:
            _fill(sandbox)
        async with serving(_Watched(sandbox, say), listener, dated=False):
            _introduce(system, sandbox, address_of(listener), say)
            await asyncio.Event().wait()


def _fill(sandbox: Any) -> None:
    fill = getattr(sandbox, "fill", None)
    if fill is not None:
        fill(jobs=JOBS, people=PEOPLE)
    give = getattr(sandbox, "put_resume", None)
    if give is not None:
        for number, application in enumerate(sandbox.snapshot()["application"]):
            give(application, _RESUME % number)


def _introduce(system: str, sandbox: Sandbox, address: str, say: Say) -> None:
    known = (f"{limit.calls} calls per {limit.window_s:g} s" for limit in sandbox.hits[sandbox.tokens[0]].limits)
    limits = ", ".join(dict.fromkeys(known)) or "none"
    members = [member.email for member in getattr(sandbox, "members", {}).values() if member.active]
    say(f"{system} is played at {address} (simulated; all people are made up). Stop it with Ctrl-C.")
    say(f"  token     {sandbox.tokens[0]}")
    say(f"  limits    {limits}")
    if members:
        say(f"  members   {', '.join(members)}")
    say("  webhooks  register an address as with the real system; it is called from this machine")
    say(f"  its log   {address}/_sandbox  (every call, and every change with who made it)")


class _Watched:
    """The sandbox, with a line for each call that reached it."""

    def __init__(self, sandbox: Sandbox, say: Say) -> None:
        self._sandbox = sandbox
        self._say = say
        self._told = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the sandbox does, then tell what arrived."""
        try:
            await self._sandbox(scope, receive, send)
        finally:
            for arrival in self._sandbox.arrivals[self._told :]:
                self._say(f"{arrival.method:<6} {arrival.status}  {arrival.path}  ({arrival.token})")
            self._told = len(self._sandbox.arrivals)
