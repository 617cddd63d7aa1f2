"""An id that a system gives away again: nobody's data goes to whom she is not, and nobody is written over."""

import pytest

from syncd import decide
from syncd.model import Ref
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, START, application, job, person, row

LATER = START + 1000.0
BOB = {"name": "Bob Ray", "email": "bob@example.com", "phone": "+12025550111", "created_at": LATER}
HUB = (job("h1"), *row("1", "h1"))


@pytest.fixture
def world(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1"), application("a1", "p1", "q1")))
    return world


def let_rest(world):
    """A person says of all that vanished that it may rest."""
    for hold in world.select(decide.schema.holds):
        if hold.reason == "vanished":
            world.do(decide.resolve, hold.id, "drop", None)


def test_who_bears_somebodys_id_is_not_taken_for_her(world):
    before = world.row("plain", CANDIDATE, "q1").seen
    world.told("plain", person("q1", **BOB))
    assert world.updates() == set()
    assert world.row("plain", CANDIDATE, "q1").seen == before
    assert world.row("plain", CANDIDATE, "q1").gone
    assert "vanished" in world.reasons()
    assert [line.ref for line in world.journal("id_reused")] == ["q1"]


def test_nothing_is_written_to_who_bears_somebodys_id(world):
    world.told("plain", person("q1", **BOB))
    world.told("rows", *row("1", "h1", phone="+12025550133"))
    assert world.intents() == []


def test_who_bears_the_id_of_one_row_is_not_the_person_of_that_row(world):
    world.told("rows", *row("1", "h1", **BOB))
    assert world.updates() == set()
    assert {(hold.kind, hold.reason) for hold in world.holds()} == {
        ("candidate", "vanished"),
        ("application", "vanished"),
    }


def test_an_application_of_who_bears_somebodys_id_waits_until_that_one_is_let_go(world):
    world.told("plain", person("q1", **BOB))
    world.told("plain", application("a2", "p1", "q1"))
    assert (world.intents(), world.reasons().count("duplicate")) == ([], 0)


def test_what_was_told_again_and_again_is_told_once(world):
    for _ in range(3):
        world.told("plain", person("q1", **BOB))
    assert len(world.journal("id_reused")) == 1


def test_who_bears_the_id_is_taken_in_when_the_old_one_was_let_rest(world):
    world.told("plain", person("q1", **BOB))
    let_rest(world)
    world.told("plain", person("q1", **BOB))
    assert not world.row("plain", CANDIDATE, "q1").gone
    assert world.row("plain", CANDIDATE, "q1").created_at == LATER
    assert [link.right for link in world.links(CANDIDATE)] == [None]


def test_a_row_that_bears_the_id_is_a_person_of_her_own_when_the_old_one_was_let_rest(world):
    world.told("rows", *row("1", "h1", **BOB))
    let_rest(world)
    world.told("rows", *row("1", "h1", **BOB))
    assert not world.row("rows", CANDIDATE, "1").gone
    assert world.updates() == set()


@pytest.mark.parametrize(
    "told",
    [{**BOB, "created_at": START}, {**BOB, "created_at": None}, {"created_at": LATER}],
    ids=["corrected, and as old as ever", "no time of making is told", "called the same"],
)
def test_who_is_as_old_or_called_the_same_is_the_same(world, told):
    world.told("plain", person("q1", **told))
    assert "vanished" not in world.reasons()


def test_a_job_under_a_jobs_id_is_not_taken_for_it(world):
    world.told("plain", job("p1", "Cook", created_at=LATER))
    assert (world.updates(), world.row("plain", JOB, "p1").gone) == (set(), True)


def test_the_same_job_under_another_title_is_the_same(world):
    world.told("plain", job("p1", "Cook"))
    assert not world.row("plain", JOB, "p1").gone


# --- the real engine, and systems that give ids away again ----------------------------------------------------------


class Town:
    """A hub of rows and a plain spoke, in step: one job, Ann on it."""

    def __init__(self, make):
        self.world = make("rows", "plain")
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        self.job = self.hub.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
        self.row = self.apply("Ann Lee", "ann@example.com")
        self.engine = self.world.live(400.0, learn=True)

    def apply(self, name, email, **more):
        fields = {"name": name, "email": email, "phone": None, "stage": "New"}
        return self.hub.add(APPLICATION, fields, parents={JOB: self.job}, **more)

    def written(self, system):
        return [entry for entry in system.log if entry.by == "api" and entry.action in ("create", "update")]


def test_a_hub_that_gives_a_rows_id_away_again_writes_nobody_over(quick):
    town = Town(quick)
    before = len(town.written(town.spoke))
    town.hub.remove(Ref(APPLICATION, town.row))
    town.apply("Bob Ray", "bob@example.com", id_=town.row)
    town.world.live(900.0, town.engine)
    (ann,) = town.spoke.of(CANDIDATE)
    assert ann.fields["email"] == "ann@example.com"
    assert town.written(town.spoke)[before:] == []
    assert "vanished" in town.world.reasons()


def test_a_spoke_that_gives_a_persons_id_away_again_writes_nobody_over(quick):
    town = Town(quick)
    (ann,) = town.spoke.of(CANDIDATE)
    before = len(town.written(town.hub))
    town.spoke.remove(ann.ref)
    town.spoke.add(CANDIDATE, {"name": "Bob Ray", "email": "bob@example.com", "phone": None}, id_=ann.ref.id)
    town.world.live(900.0, town.engine)
    town.hub.edit(Ref(APPLICATION, town.row), {"phone": "+12025550133"})
    town.world.live(900.0, town.engine)
    assert town.spoke.things[ann.ref].fields == {"name": "Bob Ray", "email": "bob@example.com", "phone": None}
    assert town.written(town.hub)[before:] == []
    assert "vanished" in town.world.reasons()
