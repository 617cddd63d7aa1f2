"""The hunt for planted bugs, and what is kept of it: the seed at which each was found first, and the page about all.

``python -m tests.simulation.hunting [NAME …]`` hunts anew, in as many processes as there are processors, and writes
``planted.json`` and ``docs/planted-bugs.md``. That is to be done when the engine or a world has changed so that a kept
seed finds its bug no more.
"""

import logging
import multiprocessing
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import structlog

from tests.simulation.bare import CONDITIONS
from tests.simulation.planted import BUGS
from tests.simulation.planting import Bug
from tests.simulation.worlds import world_of

MOST_SEEDS = 200
KEPT = Path(__file__).with_name("planted.json")
PAGE = Path(__file__).parents[2] / "docs" / "planted-bugs.md"


@dataclass(frozen=True)
class Found:
    """Where a bug was found: the seed, and what the judge said first."""

    seed: int
    said: str


def broken_by(bug: Bug, seed: int) -> list[str]:
    """What the judges say of one seed with the bug planted, of the invariants that it breaks."""
    play = world_of(bug.world[0], bug.world[1:])
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        return [said for said in play(seed) if said.split()[0] in bug.speaks]


def broken_without(world: tuple[str, ...], seed: int) -> list[str]:
    """What the judges say of the same seed as the engine is."""
    return world_of(world[0], world[1:])(seed)


def found(bug: Bug, most: int = MOST_SEEDS) -> Found | None:
    """The first seed that finds a bug, and without it finds nothing; None: none of so many."""
    for seed in range(most):
        if (said := broken_by(bug, seed)) and not broken_without(bug.world, seed):
            return Found(seed, said[0])
    return None


def kept() -> dict[str, Found]:
    """What the last hunt found, by the bug's name."""
    return {name: Found(**told) for name, told in orjson.loads(KEPT.read_bytes()).items()}


# --- the page -------------------------------------------------------------------------------------------------------

HEAD = """# Planted bugs

A test that cannot fail proves nothing. So mistakes are planted in syncd's own code on purpose, each of a kind that
somebody could make, and the simulation must find every one of them within 200 random runs. A safety net hides a broken
layer (a cursor that runs ahead is mended by the next sweep), so the nets that would hide it are off: the third column
says in which world it is hunted, and under which conditions. What speaks knows nothing of what was planted; the
numbers are those of the invariants in [promises.md](promises.md).

`make test` replays the run that found each one; `make prove` does so without the bug, too, and hunts for all anew.
`.venv/bin/python -m tests.simulation.hunting` hunts and writes this page.

| bug | what it breaks | hunted in | spoke | at run |
|---|---|---|---|---|
"""
WORLDS = """
## The worlds

| world | what is played |
|---|---|
| engine | the whole engine, a hub and two spokes, people, lost answers |
| road | one token's calls to a strict and unreliable server, over restarts |
| inbox | webhooks, genuine and forged, while the process dies at commits |
| desk | résumés, remarks and leave to phone, over lost answers and crashes |
| till | résumés that are screened for money by the batch |

## The conditions of the engine's world

| condition | meaning |
|---|---|
"""


def page() -> str:
    """The page about all bugs, in the order of the catalogue."""
    seeds = kept()
    rows = [
        f"| {bug.name} | {bug.breaks} | {_place(bug)} | {seeds[bug.name].said.split()[0]} | {seeds[bug.name].seed} |\n"
        for bug in BUGS.values()
        if bug.name in seeds
    ]
    conditions = [f"| {name} | {meaning} |\n" for name, meaning in CONDITIONS.items()]
    return "".join([HEAD, *rows, WORLDS, *conditions])


def _place(bug: Bug) -> str:
    world, *conditions = bug.world
    return f"{world}: {', '.join(conditions)}" if conditions else world


# --- the command ----------------------------------------------------------------------------------------------------


def _hunted(name: str) -> tuple[str, Found | None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return name, found(BUGS[name])


def main(names: list[str]) -> int:
    """Hunt for these bugs (all, without names), and keep what was found."""
    known = kept() if KEPT.exists() else {}
    missed = 0
    with multiprocessing.get_context("spawn").Pool() as pool:
        for name, one in pool.imap_unordered(_hunted, names or list(BUGS)):
            print(f"{name}: {one or 'not found'}", flush=True)  # noqa: T201  # a command tells what it does
            missed += one is None
            if one is not None:
                known[name] = one
    told = {name: {"seed": known[name].seed, "said": known[name].said} for name in BUGS if name in known}
    KEPT.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    PAGE.write_text(page())
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
