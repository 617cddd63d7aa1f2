"""A daemon that is handed a command goes on, however that ends."""

import asyncio

import pytest

from syncd import serve
from syncd.clock import run_stepped
from syncd.limits import Priority
from syncd.owner import Nobodys
from syncd.reach import ReachMetrics
from syncd.serve import Daemon
from tests.unit.small_app import app_of, config_of


async def nothing(*_):
    return {}


@pytest.fixture
def daemon():
    app = app_of(config_of())
    made = Daemon(app, ReachMetrics(app.store.clock), Nobodys(), asyncio.Event(), nothing)
    yield made
    run_stepped(app.store.clock, app.close())


def drives(daemon):
    """Whether somebody drives the lanes, and none is shut."""
    shut = [name for name, lane in daemon.engine.lanes.items() if Priority.LOOKUP in lane.parked]
    return shut == [] and not daemon._work.done() and not daemon._work.cancelling()


@pytest.mark.parametrize("when", ["at once", "while writes are waited for", "while the lanes end"])
def test_whoever_hands_a_backfill_over_and_hangs_up_leaves_a_daemon_that_goes_on(daemon, monkeypatch, when):
    is_writing = when == "while writes are waited for"
    monkeypatch.setattr(serve, "_has_writes_under_way", lambda connection: is_writing)
    clock = daemon.clock

    async def main():
        daemon._begin_work()
        await clock.sleep_until(clock.now() + 1.0)
        handed = asyncio.ensure_future(daemon._handed_over(daemon.app, "backfill", {}, lambda told: None))
        if when != "at once":
            await asyncio.sleep(0)
        if is_writing:
            await clock.sleep_until(clock.now() + 1.0)
            assert not drives(daemon)
        handed.cancel()
        await asyncio.gather(handed, return_exceptions=True)
        await clock.sleep_until(clock.now() + 1.0)
        assert drives(daemon)
        daemon._work.cancel()
        await asyncio.gather(daemon._work, return_exceptions=True)

    run_stepped(clock, main())
