"""``syncd demo``: five hiring systems played on this machine, kept in step through a working day, on a page to watch.

Everything is real but the systems and the time: sandboxes behind sockets, the daemon's engine, store and port, and one
clock for all, which runs 1:1 while anything is under way and jumps to the next due time when all is idle. So limits
such as 10 calls per 10 s and 100 a day hold, and eight hours pass in about a minute.
"""

import asyncio
import contextlib
import random
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from syncd import demo_tell as tell
from syncd.app import load_plugins
from syncd.clock import SteppedClock, run_stepped
from syncd.demo_play import DAY_BEGINS, START, Play, company_of, settings
from syncd.errors import ConfigInvalid
from syncd.server import address_of, listening, serving
from syncd.settings import Server

USUAL = "127.0.0.1:8080"
BREATH_S = 0.5  # real seconds after each sentence, where somebody is watching
SLOW_LIFE_S = 15.0  # real seconds between two things after the day
SLOW_LIFE_STEP_S = 900.0  # stepped seconds that pass at once in between


@dataclass
class Outcome:
    """What a run came to; ``summary`` is empty while it is under way."""

    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: only scripted holds remain. 1: something else went wrong, or the run was broken off."""
        return 0 if self.summary and not self.summary["troubles"] else 1


def demo(*, once: bool, console: Console, listen: str | None = None, seed: int = 1, as_json: bool = False) -> int:
    """Run the demo; the exit code. ``once`` ends it when all agree, else life goes on until Ctrl-C.

    ``listen`` is the page's address; without it 127.0.0.1:8080, or a free port where that is taken. With ``as_json``
    the summary is printed as JSON and nothing else is. Raises ``ConfigInvalid`` where the port cannot be had, or
    nothing can be written.
    """
    outcome, clock = Outcome(), SteppedClock(START)
    rng = random.Random(seed)  # noqa: S311  # made-up people and jitter
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        run_stepped(clock, _run(clock, rng, outcome, console, listen, once=once, as_json=as_json))
    return outcome.exit_code


async def _run(
    clock: SteppedClock,
    rng: random.Random,
    outcome: Outcome,
    console: Console,
    listen: str | None,
    *,
    once: bool,
    as_json: bool,
) -> None:
    teller = tell.Teller(console, is_silent=as_json)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # what was made is taken away again
    async with _set_up(clock, rng, teller, listen) as (play, address, client):
        teller.begin(address, play.records())
        with teller.progress() as heard:
            await play.backfill(heard)
        play.tell_writes()
        teller.day()
        play.subscribe(address, client)
        async with play.serving():
            day = play.day()
            await day.play(DAY_BEGINS, pause_s=0.0 if once else BREATH_S)
            await play.until_in_step(clock.now())
            outcome.summary = await play.summary()
            teller.end(outcome.summary)
            if not once:
                teller.going_on(address)
            while not once:
                await day.go_on(SLOW_LIFE_S, SLOW_LIFE_STEP_S)


@contextlib.asynccontextmanager
async def _set_up(
    clock: SteppedClock, rng: random.Random, teller: tell.Teller, listen: str | None
) -> AsyncIterator[tuple[Play, str, httpx.AsyncClient]]:
    """The sandboxes and syncd behind their ports; everything is gone afterwards."""
    plugins = load_plugins()
    company = company_of(plugins, clock, rng)
    async with contextlib.AsyncExitStack() as held:
        folder = held.enter_context(_folder())
        page = held.enter_context(_page_listener(listen))
        addresses = {}
        for name, sandbox in company.systems.items():
            listener = listening(Server(listen="127.0.0.1:0"))
            await held.enter_async_context(serving(sandbox, listener, dated=False))
            addresses[name] = address_of(listener)
        server = Server(listen="{}:{}".format(*page.getsockname()[:2]))
        play = Play(company, plugins, settings(addresses, folder, server), clock, rng, say=teller.said)
        held.push_async_callback(play.close)
        client = await held.enter_async_context(httpx.AsyncClient(timeout=10.0, trust_env=False))
        await held.enter_async_context(serving(play.site, page))
        yield play, address_of(page), client


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Where the demo's store stands while it runs. Raises ``ConfigInvalid`` where nothing can be written."""
    try:
        made = tempfile.TemporaryDirectory(prefix="syncd-demo-")
    except OSError as error:  # a read-only root without a temporary directory of its own
        raise ConfigInvalid(
            "the demo keeps its store in a temporary directory, and none can be written to: let TMPDIR name one"
            " (a container with a read-only root needs --tmpfs /tmp)"
        ) from error
    with made as name:
        yield Path(name)


def _page_listener(listen: str | None) -> socket.socket:
    if listen is not None:
        return listening(Server(listen=listen))
    try:
        return listening(Server(listen=USUAL))
    except ConfigInvalid:
        return listening(Server(listen="127.0.0.1:0"))
