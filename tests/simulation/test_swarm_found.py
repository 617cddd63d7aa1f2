"""Seeds of the whole that failed once: played for ever, beside the real processes (`make test-system`).

What each found is told in its commit.
"""

from collections.abc import Sequence

import pytest

from tests.simulation.added import ADDED
from tests.simulation.swarm import play

FOUND = (0, 1, 2, 8, 72, 220, 238, 649)  # before there were the faults that were added, and so without these
FOUND_SINCE = (38, 69, 102, 112, 116, 150, 282, 319, 322, 386)
SEEDS = [*((seed, ()) for seed in FOUND), *((seed, ADDED) for seed in FOUND_SINCE)]


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize(("seed", "added"), SEEDS, ids=[str(seed) for seed, _ in SEEDS])
def test_what_failed_once_keeps_every_invariant(seed: int, added: Sequence[str]) -> None:
    play(seed, added=added)
