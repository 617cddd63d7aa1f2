"""The core's seeds: `make test` plays 300, `make simulate SEEDS=…` more, `make replay SEED=…` one."""

import os

import pytest

from tests.simulation.core import Options, play

CHUNK = 10  # seeds a test, so that several workers share them
COUNT = int(os.environ.get("SEEDS", "300"))
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else list(range(COUNT))
CRASHES = Options(crash_share=0.001)


@pytest.mark.parametrize("start", range(0, len(SEEDS), CHUNK))
def test_seeds_keep_every_invariant(start: int) -> None:
    for seed in SEEDS[start : start + CHUNK]:
        play(seed, CRASHES)
