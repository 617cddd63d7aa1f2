"""The intent machine, explored until nothing new comes: no order of answers, crashes, looks and people breaks a word.

`make test` explores one scene to its end, `make test-system` (EXPLORE=all) each; with `make prove` (EXPLORE=people)
people move Ann to and fro at both ends meanwhile, which goes on for ever: up to ten events follow each other.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
import structlog

from syncd import schema
from syncd.model import Ref
from syncd.store import open_engine
from tests.unit.intent_machine import APPLICATION, Found, Machine

EXPLORE = os.environ.get("EXPLORE", "")
NEW = "+12025550199"


def moved(database: sa.Engine, **settings: bool) -> Machine:
    """A recruiter has moved Ann at the hub."""
    machine = Machine(database, **settings)
    machine.freeze()
    machine._edit(machine.hub, machine.row, "Screen")
    return machine


def moved_where_no_version_tells(database: sa.Engine) -> Machine:
    return moved(database, versions=False)


def moved_at_the_spoke(database: sa.Engine) -> Machine:
    """The hub's answer to a move tells nothing."""
    machine = Machine(database)
    machine.freeze()
    (application,) = machine.spoke.of(APPLICATION)
    machine._edit(machine.spoke, application.ref, "Screen")
    return machine


def another_phone(database: sa.Engine) -> Machine:
    """A text whose value may stand nowhere but in the waiting write."""
    machine = Machine(database)
    machine.freeze()
    machine.secret = NEW
    machine.hub.edit(machine.row, {"phone": NEW})
    machine.world.told("rows", *machine.hub.told(machine.hub.things[machine.row]))
    return machine


def newcomer(database: sa.Engine, spoke: str) -> Machine:
    machine = Machine(database, spoke=spoke)
    machine.freeze()
    row = Ref(APPLICATION, machine.apply("Bob Ray", "bob@example.com"))
    machine.world.proven()
    machine.world.told("rows", *machine.hub.told(machine.hub.things[row]))
    return machine


def newcomer_who_is_made_in_two(database: sa.Engine) -> Machine:
    return newcomer(database, "plain")


def newcomer_who_is_made_in_one_call(database: sa.Engine) -> Machine:
    return newcomer(database, "newborn")


def to_be_phoned(database: sa.Engine) -> Machine:
    """Ann may be phoned: the one call that is out is felt by her."""
    machine = Machine(database, screen_at="screening")
    machine.spoke.fault = lambda method, what: "refused" if what == "screen" else None
    machine.hub.edit(machine.row, {"stage": "Screen"})
    machine.world.live(900.0)
    machine.spoke.fault = lambda method, what: None
    machine.freeze()
    machine.clock.at += 700.0
    machine.world.proven()
    return machine


SCENES: dict[Callable[[sa.Engine], Machine], tuple[int, set[str]]] = {  # states there are, ways to end
    newcomer_who_is_made_in_one_call: (48, {"done", "rejected", "parent_gone"}),
    newcomer_who_is_made_in_two: (489, {"done", "rejected", "parent_gone"}),
    moved: (66, {"done", "rejected"}),
    moved_where_no_version_tells: (62, {"done", "rejected", "unknown_outcome"}),
    moved_at_the_spoke: (74, {"done", "rejected"}),
    another_phone: (66, {"done", "rejected"}),
    to_be_phoned: (86, {"done", "rejected", "unknown_outcome"}),
}
EXPLORED = list(SCENES) if EXPLORE else list(SCENES)[:1]
# How an intent may leave a state, and in which events alone.
ENDS_A_HOLD = {"retry", "drop", "r edits", "s edits"}
LEAVES_THE_UNKNOWN = {"look at rows", "look at spoke"}


@pytest.fixture
def database() -> Iterator[sa.Engine]:
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(processors=[structlog.testing.LogCapture()])


def prove_moves(found: Found) -> None:
    """Each change of an intent's state that was seen is one that may be."""
    for before, event, after in found.moves:
        if before == "held" and after != "held":
            shown = after == "ended" and event.startswith("read at")  # the ends agree after all
            assert event in ENDS_A_HOLD or shown, (before, event, after)
        if before == "sent":
            assert (event, after) == ("restart", "unknown")
        if before == "unknown" and after not in ("unknown", "accepted"):
            assert event in LEAVES_THE_UNKNOWN, (before, event, after)
        if after == "sent":
            assert event in ("dies before", "dies after"), "a call that is answered is never left as if it were out"
        if before == "accepted":
            assert after in ("accepted", "ended", "held"), "what was taken is never sent again by itself"


@pytest.mark.parametrize("scene", EXPLORED, ids=lambda scene: scene.__name__)
def test_whatever_happens_in_whatever_order_each_write_ends_done_or_held(scene, database) -> None:
    found = scene(database).explore(depth=40)
    assert found.closed, "all that can happen was tried"
    assert found.depth > 10
    assert found.stuck == 0, "from everywhere patience leads to an end"
    assert (found.states, found.ends) == SCENES[scene]
    prove_moves(found)


if EXPLORE == "people":
    DEEP = {moved: 10, moved_where_no_version_tells: 10, moved_at_the_spoke: 8, to_be_phoned: 6}

    @pytest.mark.parametrize("scene", DEEP, ids=lambda scene: scene.__name__)
    def test_people_who_move_her_meanwhile_break_nothing(scene, database) -> None:
        machine = scene(database)
        machine.stages = ("Screen", "Talk")
        found = machine.explore(DEEP[scene])
        assert found.depth == DEEP[scene]
        prove_moves(found)
