"""The core's seeds: `make test` plays 300, `make simulate SEEDS=…` more, `make replay SEED=…` one."""

import os

import pytest

from tests.simulation.core import FAULTS, Options, play

CHUNK = 10  # seeds a test, so that several workers share them
COUNT = int(os.environ.get("SEEDS", "300"))
FOUND = (1317, 5570, 6627, 13677, 16256)  # what each found is told in its commit, and played for ever
# Since people delete records, too.
FOUND_SINCE = (575, 4422, 6303, 7083, 7227, 8190, 12148, 12311, 12574, 12679, 13839, 15118, 18480)
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(COUNT)
CRASHES = Options(crash_share=0.005, deletes=True)
FEWER = Options(crash_share=0.001)  # as each was found


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("start", range(0, len(SEEDS), CHUNK))
def test_seeds_keep_every_invariant(start: int) -> None:
    for seed in SEEDS[start : start + CHUNK]:
        play(seed, CRASHES)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("seed", [seed for seed in FOUND if "SEED" not in os.environ or seed in SEEDS])
def test_what_failed_once_keeps_every_invariant(seed: int) -> None:
    play(seed, FEWER)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("seed", [seed for seed in FOUND_SINCE if "SEED" not in os.environ])
def test_what_failed_once_since_people_delete_keeps_every_invariant(seed: int) -> None:
    play(seed, CRASHES)


@pytest.mark.usefixtures("no_log")
@pytest.mark.skipif("SEED" in os.environ, reason="one seed has few faults")
def test_every_fault_befalls_some_seed() -> None:
    """What is drawn need not happen: the seeds are played until each kind of fault has befallen a call."""
    missing = {*FAULTS}
    for seed in range(min(COUNT, 60)):
        missing -= play(seed, CRASHES).faults.fired.keys()
        if not missing:
            return
    raise AssertionError(f"no call of any seed met {sorted(missing)}")
