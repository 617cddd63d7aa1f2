"""A stage that stands in two places: whichever was moved goes to the other, and on to the other systems."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import FACTS
from syncd import decide, schema
from syncd.model import Kind, Ref
from syncd.places import Bring, judge
from tests.unit.small_world import APPLICATION, BOTH, JOB, TO_RIGHT

FLOWS = {JOB: TO_RIGHT, Kind.CANDIDATE: BOTH, APPLICATION: BOTH}
STAGES = st.sampled_from(["applied", "interview", "offer"])


@pytest.mark.parametrize(
    ("now", "was", "todo"),
    [
        (("a", "a"), ("a", "a"), Bring.NOTHING),
        (("b", "b"), ("a", "a"), Bring.NOTHING),
        (("a", "b"), (None, None), Bring.NOTHING),
        (("b", "a"), ("a", "a"), Bring.TO_MIRROR),
        (("a", "b"), ("a", "a"), Bring.TO_STAGE),
        (("b", "c"), ("a", "a"), Bring.DIFFER),
        (("a", "c"), ("a", "c"), Bring.NOTHING),
        (("b", "c"), ("a", "c"), Bring.TO_MIRROR),
    ],
)
def test_the_place_that_moved_is_brought_to_the_other(now, was, todo):
    assert judge(*now, *was) is todo


@given(STAGES, STAGES, STAGES, STAGES)
def test_what_was_brought_is_quiet(stage, mirror, was_stage, was_mirror):
    todo = judge(stage, mirror, was_stage, was_mirror)
    after = {Bring.TO_STAGE: (mirror, mirror), Bring.TO_MIRROR: (stage, stage)}.get(todo, (stage, mirror))
    if todo is not Bring.DIFFER:
        assert judge(*after, *after) is Bring.NOTHING


class Office:
    """A hub of rows and a spoke whose applications tell their stage twice."""

    def __init__(self, make, **settings):
        facts = FACTS["plain"]
        known = facts.kinds[APPLICATION]
        own = replace(
            known, lists=known.lists | {"mirror"}, writes={**known.writes, "mirror": "mirror"}, mirror="mirror"
        )  # fmt: skip
        facts = replace(facts, kinds={**facts.kinds, APPLICATION: own})
        words = {"plain": {"fields": {"application": {"person_stage": "mirror"}}}}
        self.world = make(facts={"plain": facts}, words=words, flows=FLOWS, **settings)
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        job = self.hub.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
        fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
        self.row = Ref(APPLICATION, self.hub.add(APPLICATION, fields, parents={JOB: job}))
        self.engine = self.world.live(600.0, learn=True)
        (self.thing,) = self.spoke.of(APPLICATION)
        self.spoke.edit(self.thing.ref, {"mirror": self.thing.fields["stage"]}, "system")
        self.run()

    def run(self, seconds=400.0):
        self.world.live(seconds, self.engine)

    @property
    def told(self):
        return self.hub.things[self.row].fields["stage"], self.thing.fields["stage"], self.thing.fields["mirror"]


@pytest.fixture
def office(quick):
    return Office(quick)


def test_a_move_on_the_person_alone_is_a_humans_move(office):
    office.spoke.edit(office.thing.ref, {"mirror": "Talk"})
    office.run()
    assert office.told == ("Talk", "Talk", "Talk")


def test_a_move_on_the_application_is_mirrored(office):
    office.spoke.edit(office.thing.ref, {"stage": "Talk"})
    office.run()
    assert office.told == ("Talk", "Talk", "Talk")


def test_a_move_at_the_hub_reaches_both_places(office):
    office.hub.edit(office.row, {"stage": "Deal"})
    office.run()
    assert office.told == ("Deal", "Deal", "Deal")


@pytest.mark.parametrize(
    ("stage", "mirror", "told", "reasons"),
    [
        ("Deal", "New", ("Deal", "Deal"), []),
        ("New", "Talk", ("Talk", "Talk"), []),
        ("Deal", "Talk", ("Deal", "Talk"), ["places_differ"]),
    ],
    ids=["nobody moved her", "moved while she had no application", "moved unlike"],
)
def test_who_is_made_there_stands_at_one_stage_in_both_places(office, stage, mirror, told, reasons):
    job = office.hub.things[office.row].parents[JOB]
    fields = {"name": "Bob", "email": "bob@example.com", "phone": None, "stage": stage}
    office.hub.add(APPLICATION, fields, parents={JOB: job})
    office.run()
    (made,) = [thing for thing in office.spoke.of(APPLICATION) if thing is not office.thing]
    office.spoke.edit(made.ref, {"mirror": mirror})
    office.run()
    assert (made.fields["stage"], made.fields["mirror"]) == told
    assert office.world.reasons() == reasons


def test_unlike_moves_in_both_places_are_a_persons_to_judge(office):
    office.spoke.edit(office.thing.ref, {"stage": "Talk", "mirror": "Deal"})
    office.run()
    assert office.world.reasons() == ["places_differ"]
    office.spoke.edit(office.thing.ref, {"mirror": "Talk"})
    office.run()
    assert office.world.reasons() == []
    assert office.told == ("Talk", "Talk", "Talk")


def test_a_mirror_that_is_moved_before_ours_is_written_is_not_written_over(office):
    def somebody_is_quick(moment):
        if any(intent.wants.keys() == {"rows"} for intent in office.world.intents()):
            office.spoke.crash = lambda moment: None
            office.spoke.edit(office.thing.ref, {"mirror": "Deal"})

    office.spoke.crash = somebody_is_quick
    office.spoke.edit(office.thing.ref, {"stage": "Talk"})
    office.run()
    assert office.told == ("Talk", "Talk", "Deal")
    assert office.world.reasons() == ["places_differ"]


def test_a_person_may_leave_them_unlike(office):
    office.spoke.edit(office.thing.ref, {"stage": "Talk", "mirror": "Deal"})
    office.run()
    (hold,) = office.world.select(schema.holds)
    office.world.do(decide.resolve, hold.id, "drop")
    office.run()
    assert office.world.reasons() == []
    assert office.told == ("Talk", "Talk", "Deal")


def test_a_place_that_tells_nothing_any_more_is_left_alone(office):
    office.spoke.edit(office.thing.ref, {"stage": "Out", "mirror": None})
    office.run()
    assert office.told == ("Out", "Out", None)


def test_both_are_known_to_be_in_step_while_the_answer_to_our_write_is_still_looked_up(quick):
    office = Office(quick, poll_s=10.0)

    def die(moment):
        if moment == "after_call" and office.told == ("New", "Talk", "Talk"):
            raise KeyboardInterrupt

    office.spoke.crash = die
    office.spoke.edit(office.thing.ref, {"mirror": "Talk"})
    with pytest.raises(KeyboardInterrupt):
        office.run()
    office.spoke.crash = lambda moment: None
    office.engine = office.world.engine()
    office.run(25.0)
    assert office.told == ("Talk", "Talk", "Talk")
    office.hub.edit(office.row, {"stage": "Deal"})
    office.run(15.0)
    assert {intent.state for intent in office.world.intents()} == {"unknown", "open"}
    office.run()
    assert office.told == ("Deal", "Deal", "Deal")
    assert office.world.reasons() == []


def test_afterwards_all_is_quiet(office):
    office.spoke.edit(office.thing.ref, {"mirror": "Talk"})
    office.run()
    before = len(office.world.writes("plain")), len(office.world.writes("rows"))
    office.run(2000.0)
    assert (len(office.world.writes("plain")), len(office.world.writes("rows"))) == before
