"""A crash at each commit and each call of a small day: the end is always the same as if nothing had happened."""

import pytest

from tests.simulation.core import Options, Simulation, play

LANES = 8  # tests among which the crash points are dealt out


def moments() -> int:
    """How many commits and calls the undisturbed day has until all is in step."""
    return Simulation(0, Options(small=True, faults=(), minutes=2.0)).run().moments


@pytest.mark.parametrize("lane", range(LANES))
def test_a_crash_at_any_moment_changes_nothing(lane: int) -> None:
    last = min(moments(), 420)  # afterwards nothing but polls of what is in step
    for moment in range(1 + lane, last, LANES):
        simulation = play(0, Options(small=True, faults=(), minutes=2.0, crash_at=moment))
        assert simulation.crashes == 1
        assert {name: len(system.things) for name, system in simulation.systems.items()} == {
            "hub": 4, "plain": 7, "newborn": 7
        }  # fmt: skip
