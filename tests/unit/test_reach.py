"""A connection is up when a call with its token was let in; where nothing is called, a probe is made."""

import asyncio

import pytest

from syncd import switches
from syncd.clock import SteppedClock, run_stepped
from syncd.errors import AuthFailed, Parked, Unavailable
from syncd.reach import PROBE_S, ReachMetrics
from syncd.store import remember
from tests.unit.small_app import START, app_of


class Watched:
    """An app, its metrics, and how often the check of ``acme`` was made; ``says``: what the next checks raise."""

    def __init__(self):
        self.clock = SteppedClock(START, frozen=True)
        self.app = app_of(clock=self.clock)
        self.metrics = ReachMetrics(self.clock)
        self.checks = 0
        self.says = None
        for lane in self.app.engine.lanes.values():
            lane.connector.check = self._check if lane.connection.name == "acme" else self._quiet

    async def _check(self):
        self.checks += 1
        if self.says is not None:
            raise self.says

    async def _quiet(self):
        pass

    def live(self, seconds, *, every_s=None):
        """Let time go by with the probes at work; ``every_s``: the lane itself makes a call so often."""

        async def main():
            await self.metrics.begin(self.app)
            probing = asyncio.ensure_future(self.metrics.probe(self.app))
            until = self.clock.now() + seconds
            while self.clock.now() < until:
                await self.clock.sleep_until(min(until, self.clock.now() + (every_s or seconds)))
                if every_s:
                    self.metrics.called("acme", "GET", "ok", 0.1)
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

        run_stepped(self.clock, main())

    def do(self, coroutine):
        return run_stepped(self.clock, coroutine)

    def told(self, name, **labels):
        self.do(self.metrics.measured(self.app))
        return self.metrics.registry.get_sample_value(name, labels)

    def is_up(self):
        return self.told("syncd_connection_up", connection="acme")


@pytest.fixture
def watched():
    return Watched()


def test_a_connection_is_not_up_before_it_has_let_anybody_in(watched):
    assert watched.is_up() == 0
    assert watched.told("syncd_connection_reached_timestamp_seconds", connection="acme") == 0


def test_a_quiet_connection_is_probed_and_up(watched):
    watched.live(60.0)
    assert (watched.checks, watched.is_up()) == (1, 1)
    assert START < watched.told("syncd_connection_reached_timestamp_seconds", connection="acme") <= START + 60.0


def test_probes_are_few_while_all_is_well(watched):
    watched.live(6 * PROBE_S)
    assert 4 <= watched.checks <= 7


def test_who_is_called_anyway_is_not_probed(watched):
    watched.live(2000.0, every_s=10.0)
    assert (watched.checks, watched.is_up()) == (0, 1)


@pytest.mark.parametrize("error", [AuthFailed("401"), Unavailable("away")])
def test_who_lets_nobody_in_is_down_and_up_again_afterwards(watched, error):
    watched.live(60.0)
    watched.says = error
    watched.live(PROBE_S + 60.0)
    assert watched.is_up() == 0
    watched.says = None
    watched.live(120.0)
    assert watched.is_up() == 1


def test_a_failed_call_brings_the_probe_forward(watched):
    watched.live(60.0)
    before, watched.says = watched.checks, Unavailable("away")
    watched.metrics.called("acme", "GET", "lost", 30.0)
    watched.live(90.0)
    assert watched.checks > before
    assert watched.is_up() == 0


def test_a_spent_budget_says_nothing_about_a_system(watched):
    watched.live(60.0)
    watched.says = Parked("spent", until=START + 9999.0)
    watched.live(PROBE_S + 60.0)
    assert watched.is_up() == 1


def test_what_is_stopped_is_not_called(watched):
    watched.app.store.run_now(switches.stop, "*", "by hand", START)
    watched.live(2 * PROBE_S)
    assert watched.checks == 0


def test_whose_token_was_refused_is_down(watched):
    watched.live(60.0)
    watched.app.store.run_now(switches.stop, "connection/acme", "auth: 401", START)
    assert watched.is_up() == 0


def test_probes_take_a_fiftieth_of_a_small_budget(watched):
    lane = watched.app.engine.lanes["acme"]
    object.__setattr__(lane.connection, "limits", ("100/day@UTC",))
    watched.live(86_400.0)
    assert watched.checks <= 3


def test_webhooks_are_expected_where_they_can_be_believed(watched):
    watched.do(watched.metrics.begin(watched.app))
    assert watched.told("syncd_webhook_expected", connection="acme") == 1


@pytest.mark.parametrize(("mode", "is_over", "counted"), [("sweep", True, 3), ("poll", True, 0), ("sweep", False, 0)])
def test_what_only_a_sweep_found_was_missed_but_not_in_the_first_sync(watched, mode, is_over, counted):
    watched.do(watched.metrics.begin(watched.app))
    if is_over:
        watched.app.store.run_now(remember, "learnt", watched.app.world.stamp)
    watched.is_up()
    watched.metrics.listen("page", {"connection": "acme", "walk": "candidates", "mode": mode, "wanted": 3})
    assert watched.told("syncd_missed_changes_total", connection="acme") == counted


def test_a_webhook_that_told_nothing_new_is_an_echo(watched):
    watched.metrics.listen("told_nothing_new", {"connection": "acme", "kind": "application"})
    labels = {"connection": "acme", "kind": "application", "operation": "update", "outcome": "echo"}
    assert watched.told("syncd_changes_total", **labels) == 1
