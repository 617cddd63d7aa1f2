"""The demo as its users see it: over sockets, with somebody who looks at the page all the time."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pytest

from syncd import demo
from syncd.clock import SteppedClock
from syncd.sandbox import Sandbox
from syncd.tell import console_on
from tests.ports import free_port


class Watched(SteppedClock):
    """Notes each jump that was made while a sandbox was answering somebody."""

    answering = 0
    jumps = 0
    wrong: list[float] = []  # noqa: RUF012  # one run at a time

    def wake_due(self, *, jump: bool) -> bool:
        left = self.until_next()
        if jump and left:
            type(self).jumps += 1
            if self.answering:
                self.wrong.append(self.now())
        return super().wake_due(jump=jump)


@contextmanager
def browsing(address: str) -> Iterator[list[int]]:
    """Somebody looks at the page again and again, from another thread."""
    statuses: list[int] = []
    stop = threading.Event()

    def look() -> None:
        with httpx.Client(timeout=30.0) as browser:
            while not stop.wait(0.5):
                try:
                    statuses.append(browser.get(address).status_code)
                except httpx.TransportError:  # not open yet, or closed while it was asked
                    statuses.append(0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("no_log")
def test_the_demo_runs_over_sockets_while_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Sandbox.__call__

    async def counted(self: Sandbox, scope: Any, receive: Any, send: Any) -> None:
        Watched.answering += 1
        try:
            await honest(self, scope, receive, send)
        finally:
            Watched.answering -= 1

    monkeypatch.setattr(Sandbox, "__call__", counted)
    monkeypatch.setattr(demo, "SteppedClock", Watched)
    port = free_port()
    out = io.StringIO()
    with browsing(f"http://127.0.0.1:{port}/") as statuses:
        code = demo.demo(once=True, console=console_on(out, {}), listen=f"127.0.0.1:{port}", as_json=True)
    summary = orjson.loads(out.getvalue())
    assert (code, summary["troubles"]) == (0, [])
    assert (summary["refused"], summary["duplicates"], summary["felt"]) == (0, 0, 0)
    assert summary["calls"]["voice"]["rules"][0]["most"] <= 100
    assert Watched.jumps > 500
    assert not Watched.wrong
    assert statuses.count(200) > 10
    assert set(statuses) <= {0, 200}
