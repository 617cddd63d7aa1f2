"""One seed is one run: in two processes that hash differently all that happened is the same, byte for byte.

`make test` runs this before anything else: a simulation that cannot be played again proves nothing.
"""

import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

from tests.simulation.trace import WHOLE

ROOT = Path(__file__).parents[2]
COUNT = int(os.environ.get("TRACES", "1"))  # `make prove` compares more
SEEDS = [17, *(seed for seed in range(COUNT) if seed != 17)][:COUNT]  # crashes, lost answers, deletions
SEEDS += [WHOLE + seed for seed in sorted({6, *range(COUNT // 10)})]  # all of it; the sixth has papers and webhooks


def begun(seeds: list[int], hash_seed: str) -> subprocess.Popen[bytes]:
    """A process that plays seeds and tells what happened."""
    command = [sys.executable, "-m", "tests.simulation.trace", *map(str, seeds)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE)


def runs(told: bytes) -> dict[bytes, list[bytes]]:
    """The lines of each seed's run."""
    parts = [part.splitlines() for part in told.split(b"== seed ")[1:]]
    return {lines[0]: lines for lines in parts}


def first_difference(one: list[bytes], other: list[bytes]) -> str | None:
    """Where two runs part, with what came before; None: nowhere."""
    for at, (here, there) in enumerate(zip_longest(one, other)):
        if here != there:
            before = "\n".join(line.decode() for line in one[max(0, at - 5) : at])
            return f"after\n{before}\nline {at + 1}\none process told: {here!r}\nthe other:        {there!r}"
    return None


def test_the_same_seed_is_the_same_run_in_two_processes() -> None:
    """The second process hashes otherwise, and plays the seeds in another order."""
    processes = [begun(SEEDS, "1"), begun(SEEDS[::-1], "20261122")]
    told = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    one, other = map(runs, told)
    assert {int(seed) for seed in one} == set(SEEDS) == {int(seed) for seed in other}
    for seed, lines in one.items():
        assert len(lines) > 1000, "a run leaves a long trace"
        assert lines == other[seed], f"seed {seed.decode()}: {first_difference(lines, other[seed])}"


def test_where_two_runs_part_is_told() -> None:
    same = [b"a", b"b", b"c"]
    assert first_difference(same, [*same]) is None
    assert "line 2\none process told: b'b'\nthe other:        b'x'" in str(first_difference(same, [b"a", b"x", b"c"]))
    assert "the other:        None" in str(first_difference(same, same[:2]))
