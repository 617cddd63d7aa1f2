"""A field that goes to and fro between two values is frozen; what goes on to new values is not."""

import pytest

from syncd import decide, pingpong, schema
from syncd.model import Ref
from syncd.pingpong import MOST_OF_ONE_END, MOST_TURNS, WITHIN_S, Turn, is_fight
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, TO_RIGHT

NOW = 1_000_000.0
SOME_POLLS_S = 130.0


def turns(text, *, gap_s=600.0):
    """``La Rb`` …: from which end, and the value; the last one is wanted now."""
    words = text.split()
    ends = {"L": "left", "R": "right"}
    return [Turn(NOW - gap_s * (len(words) - 1 - at), ends[word[0]], word[1:]) for at, word in enumerate(words)]


@pytest.mark.parametrize(
    ("text", "fight"),
    [
        ("", False),
        ("La", False),
        ("La Rb La Rb", False),
        ("La Rb La Rb La", True),
        ("Rb La Rb La Rb", True),
        ("Lx La Rb La Rb La", True),
        ("La Rb La Rb Lc", False),  # it goes on
        ("La Rb Lc Rd Le Rf", False),
        ("La Rb La Rb Rc La", False),
        ("La Lb La Lb La Lb La Lb", False),
        ("La Lb La Lb La Lb La Lb La", True),
    ],
)
def test_only_the_same_two_in_turn_are_a_fight(text, fight):
    assert is_fight(turns(text), NOW) == fight


def test_what_goes_to_and_fro_over_days_is_none():
    slow = WITHIN_S / MOST_TURNS + 1.0
    assert not is_fight(turns("La Rb La Rb La Rb La", gap_s=slow), NOW)
    assert is_fight(turns("La Rb La Rb La", gap_s=WITHIN_S / MOST_TURNS - 1.0), NOW)


def test_as_many_turns_are_kept_as_are_judged():
    assert max(MOST_TURNS, MOST_OF_ONE_END) < pingpong.KEPT


# --- with the engine ------------------------------------------------------------------------------------------------


class Scene:
    """Ann has applied; each system has an automation of its own that puts a field back."""

    def __init__(self, small, **settings):
        self.world = small("rows", "plain", **settings)
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        job = self.hub.add(JOB, {"title": "Baker", "code": None, "status": "open"})
        fields = {"name": "Ann Lee", "email": "ann@example.com", "phone": "+12025550100", "stage": "New"}
        self.here = Ref(APPLICATION, self.hub.add(APPLICATION, fields, parents={JOB: job}))
        self.world.live(SOME_POLLS_S, learn=True)

    def there(self, kind):
        return self.spoke.of(kind)[0].ref

    def stands(self, name, kind):
        return self.hub.things[self.here].fields[name], self.spoke.things[self.there(kind)].fields[name]

    def fight(self, name, kind, here, there, rounds):
        """As often: the hub's automation puts its value, and once that has come over, the spoke's puts its own."""
        for _ in range(rounds):
            self.hub.edit(self.here, {name: here})
            self.world.live(SOME_POLLS_S)
            self.spoke.edit(self.there(kind), {name: there})
            self.world.live(SOME_POLLS_S)

    def holds(self):
        return [(row.field, row.reason) for row in self.world.select(schema.holds)]

    def resolve(self, choice):
        (hold,) = self.world.select(schema.holds)
        self.world.do(decide.resolve, hold.id, choice)
        self.world.live(SOME_POLLS_S)

    def written(self):
        return len(self.world.journal("written"))


@pytest.fixture
def scene(quick):
    return Scene(quick)


def test_a_frozen_field_stays_so_until_a_person_decides(scene):
    scene.fight("phone", CANDIDATE, "+12025550111", "+12025550122", 2)
    scene.hub.edit(scene.here, {"phone": "+12025550111"})
    scene.world.live(SOME_POLLS_S)
    assert scene.holds() == [("phone", "ping_pong")]
    assert scene.stands("phone", CANDIDATE) == ("+12025550111", "+12025550122")
    before = scene.written()
    scene.world.live(WITHIN_S / 48)
    assert (scene.written(), scene.holds()) == (before, [("phone", "ping_pong")])
    scene.resolve("take left")
    assert scene.holds() == []
    assert scene.stands("phone", CANDIDATE) == ("+12025550111", "+12025550111")


def test_it_is_counted_anew_after_a_decision(scene):
    scene.fight("phone", CANDIDATE, "+12025550111", "+12025550122", 2)
    scene.hub.edit(scene.here, {"phone": "+12025550111"})
    scene.world.live(SOME_POLLS_S)
    scene.resolve("drop")
    assert scene.holds() == []
    scene.fight("phone", CANDIDATE, "+12025550133", "+12025550144", 2)
    assert scene.holds() == []
    assert scene.stands("phone", CANDIDATE) == ("+12025550144", "+12025550144")
    scene.hub.edit(scene.here, {"phone": "+12025550133"})
    scene.world.live(SOME_POLLS_S)
    assert scene.holds() == [("phone", "ping_pong")]


def test_other_fields_of_the_record_go_on(scene):
    scene.fight("phone", CANDIDATE, "+12025550111", "+12025550122", 2)
    scene.hub.edit(scene.here, {"phone": "+12025550111", "name": "Ann Leigh"})
    scene.world.live(SOME_POLLS_S)
    assert scene.holds() == [("phone", "ping_pong")]
    assert scene.stands("name", CANDIDATE) == ("Ann Leigh", "Ann Leigh")


def test_what_people_do_in_earnest_is_carried_however_often(scene):
    for number in range(8):
        scene.fight("phone", CANDIDATE, f"+120255501{number}1", f"+120255501{number}2", 1)
    assert scene.holds() == []


def test_where_only_one_end_is_written_to_nothing_is_remembered(quick):
    flows = {JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: TO_RIGHT}
    scene = Scene(quick, flows=flows)
    for _ in range(6):
        scene.hub.edit(scene.here, {"phone": "+12025550111"})
        scene.world.live(SOME_POLLS_S)
        scene.hub.edit(scene.here, {"phone": "+12025550122"})
        scene.world.live(SOME_POLLS_S)
    assert (scene.holds(), scene.world.select(schema.swings)) == ([], [])


def test_the_turns_hold_nobodys_data_and_go_with_their_link(scene):
    scene.fight("phone", CANDIDATE, "+12025550111", "+12025550122", 1)
    (row,) = scene.world.select(schema.swings)
    assert "2025550111" not in str(row.turns)
    assert scene.world.store.run_now(pingpong.prune) == 0
    link = next(link for link in scene.world.links(CANDIDATE))
    scene.world.do(lambda work: work.tx.drop_link(link))
    assert scene.world.store.run_now(pingpong.prune) == 1
