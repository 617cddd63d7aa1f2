"""A crash at each commit and each call of a small day: the end is always the same as if nothing had happened.

A process that dies leaves behind what is committed and what the systems were told; so one death for each moment at
which one of the two has just changed stands for all.
"""

import os
from dataclasses import replace
from functools import cache

import pytest

from tests.simulation.core import Options, Simulation, play

LANES = 8  # tests among which the crash points are dealt out
EACH = int(os.environ.get("CRASHES_EACH", "1"))  # `make test` has time for each eighteenth, `make test-system` for all
DAY = Options(small=True, faults=(), minutes=0.75, poll_s=30.0)


@cache
def undisturbed() -> Simulation:
    """The day without a crash."""
    return play(0, DAY)


def standing(simulation: Simulation) -> dict[str, list[str]]:
    """What stands where in the end, whatever its ids."""
    return {
        name: sorted(f"{thing.ref.kind} {sorted(thing.fields.items())}" for thing in system.things.values())
        for name, system in simulation.systems.items()
    }


@pytest.mark.parametrize("lane", range(LANES))
def test_a_crash_at_any_moment_changes_nothing(lane: int) -> None:
    for moment in undisturbed().changing_moments[::EACH][lane::LANES]:
        simulation = play(0, replace(DAY, crash_at=moment))
        assert simulation.crashes == 1
        assert standing(simulation) == standing(undisturbed()), f"a crash at moment {moment}"
