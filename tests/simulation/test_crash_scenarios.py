"""Many small scenarios, a death at each of their moments: the end is always the same as if nobody had died.

What outlives a process is what it committed and what the systems were told: one death for each moment at which one of
the two has just changed stands for all (``CRASHES=moments`` plays every single one). Where something is made, its
recovery dies as well, at each moment. And a process that is told to end is cut off at each of its awaits.
"""

import os
from functools import cache

import pytest

from tests.simulation.scenarios import SCENARIOS
from tests.simulation.stage import Stage, Told, differences

EACH = int(os.environ.get("CRASHES_EACH", "1"))  # `make test` plays few of the points, of some scenarios
PAIRS_EACH = int(os.environ.get("PAIRS_EACH", "144"))  # `make prove` plays all pairs
STOPS_EACH = int(os.environ.get("STOPS_EACH", "24"))
EVERY = os.environ.get("CRASHES") == "moments"
NAMES = list(SCENARIOS)[:: 1 if EACH == 1 else 3]
MAKING = [name for name in NAMES if SCENARIOS[name].makes]
LANES = 4  # tests among which the pairs of a scenario are dealt out


@cache
def calm(name: str) -> tuple[Stage, Told]:
    """A scenario in which nobody dies, and how it ends."""
    stage = Stage(SCENARIOS[name]).play()
    assert stage.problems == []
    return stage, stage.ended()


def points(stage: Stage, life: int) -> list[int]:
    """The moments of a life at which a death is worth playing."""
    return list(range(1, stage.counts[life] + 1)) if EVERY else stage.moments[life]


def play(name: str, *deaths: int) -> Stage:
    """A scenario with deaths must end as the calm one."""
    stage = Stage(SCENARIOS[name], deaths).play()
    assert stage.died == len(deaths)
    assert differences(stage, calm(name)[1]) == [], f"{SCENARIOS[name].sentence} Deaths at {deaths}."
    return stage


@pytest.mark.parametrize("name", NAMES)
def test_a_death_at_any_moment_changes_nothing(name: str) -> None:
    first = sum(map(ord, name)) % EACH  # not the same moment of each
    for moment in points(calm(name)[0], 0)[first::EACH]:
        play(name, moment)


@pytest.mark.parametrize("lane", range(LANES))
@pytest.mark.parametrize("name", MAKING)
def test_a_death_during_the_recovery_of_a_death_changes_nothing(name: str, lane: int) -> None:
    step = round(PAIRS_EACH**0.5)
    for number, first in list(enumerate(points(calm(name)[0], 0)[::step]))[lane::LANES]:
        once = play(name, first)
        for second in points(once, 1)[number % step :: step]:
            play(name, first, second)


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_at_any_await_changes_nothing(name: str) -> None:
    last = calm(name)[0].awaits
    for number in range(1 + len(name) % STOPS_EACH, last + 1, STOPS_EACH):
        stage = Stage(SCENARIOS[name], stop_at=number).play()
        assert differences(stage, calm(name)[1]) == [], f"{SCENARIOS[name].sentence} Stopped at await {number}."
