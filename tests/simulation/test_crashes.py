"""A crash at each commit and each call of a small day: the end is always the same as if nothing had happened."""

from functools import cache

import pytest

from tests.simulation.core import Options, Simulation, play

LANES = 8  # tests among which the crash points are dealt out
DAY = Options(small=True, faults=(), minutes=0.75, poll_s=30.0)


@cache
def undisturbed() -> Simulation:
    """The day without a crash."""
    return play(0, DAY)


def standing(simulation: Simulation) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """What stands where in the end, whatever its ids."""
    return {
        name: sorted((str(thing.ref.kind), dict(thing.fields)) for thing in system.things.values())
        for name, system in simulation.systems.items()
    }


@pytest.mark.parametrize("lane", range(LANES))
def test_a_crash_at_any_moment_changes_nothing(lane: int) -> None:
    for moment in range(1 + lane, undisturbed().moments_of_work, LANES):
        simulation = play(0, Options(small=True, faults=(), minutes=0.75, poll_s=30.0, crash_at=moment))
        assert simulation.crashes == 1
        assert standing(simulation) == standing(undisturbed()), f"a crash at moment {moment}"
