"""A person's fields may speak through several rows: what needs them all is decided with all of them in hand.

Found over real sockets: reading one of two such rows never had the other's values, so each reading asked for the next
for ever; nobody was created, and the whole budget of the hub went into it.
"""

import pytest

from syncd import cycle
from syncd.model import Ref
from tests.unit.small_world import CANDIDATE, job, row

HUB = (job("h1"), job("h2", "Tailor"))
SPOKE = (job("p1"), job("p2", "Tailor"))
FIRST = row("1", "h1", name="Ann Lee", phone="+12025550100")
SECOND = row("2", "h2", name="Ann Lee", phone="+12025550199")


@pytest.fixture
def world(small):
    """A person of two rows, unknown at the spoke: her name speaks through the first, her phone through the second."""
    world = small("rows", "plain")
    world.known(rows=(*HUB, *FIRST), plain=SPOKE)
    world.later(100.0)
    world.told("rows", *SECOND)
    assert {world.row("rows", CANDIDATE, "1").speakers[name] for name in ("name", "phone")} == {"1", "2"}
    return world


def creates(world):
    return [world.values(intent)["fields"] for intent in world.intents("plain", kind="candidate")]


def asked_for(world):
    return {id_ for _, id_, why in world.marks("rows") if why == "create"}


def test_rows_that_speak_for_one_person_are_read_together(world):
    assert asked_for(world) == {"1", "2"}
    hub = world.world.connections["rows"]
    assert world.do(cycle.read_together, hub, Ref(CANDIDATE, "1")) == [Ref(CANDIDATE, "2")]
    assert world.do(cycle.read_together, hub, Ref(CANDIDATE, "2")) == [Ref(CANDIDATE, "1")]


def test_one_of_them_alone_is_not_enough(world):
    world.later(100.0)
    world.told("rows", *FIRST)
    assert creates(world) == []
    assert asked_for(world) == {"1", "2"}


def test_what_is_read_together_is_enough_for_a_create(world):
    world.later(100.0)
    answers = {Ref(CANDIDATE, "1"): FIRST, Ref(CANDIDATE, "2"): SECOND}
    world.do(cycle.take_answers, world.world.connections["rows"], answers, asked_at=world.clock.now())
    [made] = creates(world)
    assert (made["name"], made["phone"]) == ("Ann Lee", "+12025550199")
    assert asked_for(world) == set()
