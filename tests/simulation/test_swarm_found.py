"""Seeds of the whole that failed once: played for ever, beside the real processes (`make test-system`).

What each found is told in its commit.
"""

import pytest

from tests.simulation.swarm import play

FOUND = (0, 1, 2, 8, 72, 220, 238, 649)  # before there were the faults that were added, and so without these


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("seed", FOUND)
def test_what_failed_once_keeps_every_invariant(seed: int) -> None:
    play(seed, added=())
