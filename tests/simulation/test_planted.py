"""The simulation can fail (I27): every planted bug is found, and what found it finds nothing in the engine as it is.

`make test` replays the seed that found each; with HUNT=1, as in `make prove`, all are hunted anew. Where a kept seed
finds its bug no more, because the engine or a world has changed: `python -m tests.simulation.hunting NAME`.
"""

import os
from itertools import groupby

import pytest

from tests.simulation import hunting
from tests.simulation.planted import BUGS
from tests.simulation.planting import Bug, standing

KEPT = hunting.kept()
LEAST = 30  # that the catalogue must hold


def _place(bug: Bug) -> tuple[str, ...]:
    return (f"{KEPT[bug.name].seed:03d}", *bug.world)


REPLAYS = [list(bugs) for _, bugs in groupby(sorted((BUGS[name] for name in KEPT), key=_place), key=_place)]


@pytest.mark.parametrize("bugs", REPLAYS, ids=lambda bugs: ", ".join(bug.name for bug in bugs))
def test_a_kept_seed_finds_its_bugs_and_nothing_else(bugs: list[Bug]) -> None:
    seed = KEPT[bugs[0].name].seed
    if len(bugs) > 1 or bugs[0].world[0] != "engine" or "HUNT" in os.environ:  # `make test` has no time for all
        assert hunting.broken_without(bugs[0].world, seed) == []
    for bug in bugs:
        assert hunting.broken_by(bug, seed), (
            f"seed {seed} does not find {bug.name!r} any more: see the head of this file"
        )


def test_the_catalogue_and_what_is_kept_are_of_the_same_bugs() -> None:
    assert list(KEPT) == list(BUGS)
    assert len(BUGS) >= LEAST


def test_the_page_tells_where_each_was_found() -> None:
    assert hunting.PAGE.read_text() == hunting.page()


def test_what_was_planted_is_gone_again() -> None:
    """A bug that stayed would be found by the other tests of this process, and nobody would know why."""
    before = standing()
    for bug in BUGS.values():
        with pytest.MonkeyPatch.context() as patch:
            bug.plant(patch)
            assert standing() != before, f"{bug.name!r} changes nothing"
        assert standing() == before, f"{bug.name!r} stays"


if "HUNT" in os.environ:

    @pytest.mark.parametrize("name", BUGS)
    def test_every_bug_is_found_within_200_seeds(name: str) -> None:
        assert hunting.found(BUGS[name]) is not None
