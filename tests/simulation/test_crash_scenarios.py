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

EACH = int(os.environ.get("CRASHES_EACH", "1"))
SHORT = EACH >= 9  # `make test` has time for a death or two of some scenarios
PAIRS_STEP = round(int(os.environ.get("PAIRS_EACH", "900" if SHORT else "144")) ** 0.5)
STOPS_EACH = int(os.environ.get("STOPS_EACH", "96" if SHORT else "24"))
EVERY = os.environ.get("CRASHES") == "moments"
NAMES = list(SCENARIOS)[:: 3 if SHORT else 1]
MAKING = [name for name in NAMES if SCENARIOS[name].makes]
LANES = 1 if SHORT else 4  # tests among which the pairs of a scenario are dealt out


@cache
def calm(name: str) -> tuple[Stage, Told]:
    """A scenario in which nobody dies, and how it ends."""
    stage = Stage(SCENARIOS[name]).play()
    assert stage.problems == []
    return stage, stage.ended()


def dealt(numbers: list[int], name: str, each: int) -> list[int]:
    """Each so many of the numbers, one at least; not the same ones of each scenario."""
    first = sum(map(ord, name)) % min(each, len(numbers))
    return numbers[first::each]


def play(name: str, *deaths: int) -> Stage:
    """A scenario with deaths must end as the calm one."""
    stage = Stage(SCENARIOS[name], deaths).play()
    assert stage.died == len(deaths)
    assert differences(stage, calm(name)[1]) == [], f"{SCENARIOS[name].sentence} Deaths at {deaths}."
    return stage


@pytest.mark.parametrize("name", NAMES)
def test_a_death_at_any_moment_changes_nothing(name: str) -> None:
    stage = calm(name)[0]
    moments = list(range(1, stage.counts[0] + 1)) if EVERY else stage.moments[0]
    for moment in dealt(moments, name, EACH * 4 if SHORT else EACH):
        play(name, moment)


def test_what_is_written_makes_a_moment_and_what_is_read_does_not() -> None:
    stage, told = calm("newcomer")
    assert 5 * told.effects.total() < len(stage.moments[0]) < stage.counts[0] / 2


@pytest.mark.parametrize("lane", range(LANES))
@pytest.mark.parametrize("name", MAKING)
def test_a_death_during_the_recovery_of_a_death_changes_nothing(name: str, lane: int) -> None:
    for first in dealt(calm(name)[0].moments[0], name, PAIRS_STEP)[lane::LANES]:
        once = play(name, first)
        for second in dealt(once.moments[1], f"{name}{first}", PAIRS_STEP):
            play(name, first, second)


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_at_any_await_changes_nothing(name: str) -> None:
    awaits = list(range(1, calm(name)[0].awaits + 1))
    for number in dealt(awaits, name, STOPS_EACH):
        stage = Stage(SCENARIOS[name], stop_at=number).play()
        assert differences(stage, calm(name)[1]) == [], f"{SCENARIOS[name].sentence} Stopped at await {number}."
