"""A person who is a set of rows: the rules of "People", each with the accident that it prevents."""

import pytest

from syncd import push, schema
from syncd.errors import Rejected
from syncd.model import Ref
from tests.unit.small_world import (
    APPLICATION,
    CANDIDATE,
    JOB,
    START,
    TO_RIGHT,
    Held,
    application,
    digest,
    job,
    person,
    row,
)

OLD, NEW, OTHER = "+12025550100", "+12025550199", "+12025550177"


def phone(number):
    return digest("phone", number)


SPOKE = (job("p1"), job("p2", "Cook"), person("q1"), application("a1", "p1", "q1"), application("a2", "p2", "q1"))
HUB = (job("h1"), job("h2", "Cook"), *row("1", "h1"), *row("2", "h2", created_at=START + 1))


@pytest.fixture
def world(small):
    """Ann stands in two rows of the hub and once in the spoke; all is in step."""
    return settled(small("rows", "plain"))


def settled(world):
    world.known(rows=HUB, **{name: SPOKE for name in world.systems if name != "rows"})
    assert (world.intents(), world.holds()) == ([], set())
    world.later(60.0)
    return world


# --- joining --------------------------------------------------------------------------------------------------------


def test_rows_of_one_mail_are_one_person_whatever_the_case(small):
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"), job("h3", "Baker II"))
    world.told("rows", *row("1", "h1", email="ann@example.com"), *row("2", "h2", email="Ann@Example.COM"))
    world.told("rows", *row("3", "h3", email="bob@example.com"))
    members = {member.row: member.person for member in world.select(schema.members)}
    assert members == {"1": "1", "2": "1", "3": "3"}
    assert world.row("rows", APPLICATION, "2").candidate == "1"


def test_rows_without_a_mail_are_two_people(small):
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"))
    world.told("rows", *row("1", "h1", email=None), *row("2", "h2", email=None))
    assert {member.row: member.person for member in world.select(schema.members)} == {"1": "1", "2": "2"}


def test_a_row_stays_with_its_person_when_its_mail_is_corrected(world):
    """Joined by mail once, by row afterwards: a corrected mail must not tear one person in two."""
    world.told("rows", *row("2", "h2", email="ann.lee@example.com", created_at=START + 1))
    assert {member.row: member.person for member in world.select(schema.members)} == {"1": "1", "2": "1"}
    assert {(c, ref) for c, ref, _ in world.updates()} == {("rows", "1"), ("plain", "q1")}


def test_two_rows_whose_mails_become_equal_later_stay_two_people(small):
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"))
    world.told("rows", *row("1", "h1"), *row("2", "h2", email="bob@example.com"))
    world.told("rows", *row("2", "h2", email="ann@example.com"))
    assert {member.row: member.person for member in world.select(schema.members)} == {"1": "1", "2": "2"}


def test_a_persons_ref_is_the_lowest_of_her_rows_though_the_list_tells_the_newest_first(small):
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"))
    world.told("rows", *row("10", "h1"), *row("9", "h2"))
    assert {member.person for member in world.select(schema.members)} == {"9"}


def test_a_persons_ref_stays_though_an_older_row_is_seen_later(world):
    world.told("rows", job("h0", "Porter"), *row("0", "h0", created_at=START - 1))
    assert {member.person for member in world.select(schema.members)} == {"1"}
    assert world.link(CANDIDATE).left == "1"


def test_one_row_that_the_spoke_names_by_its_id_finds_the_person(small):
    """After a lost store any row's id that was given as source_id matches."""
    world = small("rows", "plain")
    world.learning = True
    world.told("rows", *HUB)
    world.told("plain", job("p1"), person("q1", email="ann.other@example.com", source_id="2"))
    (link,) = world.links(CANDIDATE)
    assert (link.left, link.right, link.how) == ("1", "q1", "source_id")


# --- first sight ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late_first", [False, True])
def test_at_first_sight_the_row_that_was_made_last_speaks_and_the_others_are_left(small, late_first):
    """A recruiter typed one row long ago; the person applied last week. Nobody said that row one is wrong."""
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"))
    rows = [row("1", "h1", phone=OLD, created_at=START), row("2", "h2", phone=NEW, created_at=START + 9)]
    for told in reversed(rows) if late_first else rows:
        world.told("rows", *told)
    assert world.row("rows", CANDIDATE, "2" if late_first else "1").seen["phone"] == phone(NEW)
    assert world.updates() == set()


def test_an_updated_row_elects_nothing_at_first_sight(small):
    """Comments bump a row's time; they make no phone number newer."""
    world = small("rows", "plain")
    world.told("rows", job("h1"), job("h2", "Cook"))
    first = row("1", "h1", phone=OLD, created_at=START, updated_at=START + 1000)
    world.told("rows", *first, *row("2", "h2", phone=NEW, created_at=START + 9, updated_at=START + 9))
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(NEW)


def test_a_new_row_that_tells_no_phone_takes_none_away(world):
    world.told("rows", job("h3", "Porter"), *row("3", "h3", phone=None, created_at=START + 50))
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(OLD)
    assert ("plain", "q1") not in {(c, ref) for c, ref, _ in world.updates()}


def test_a_new_application_with_a_new_phone_speaks(world):
    world.told("rows", job("h3", "Porter"), *row("3", "h3", phone=NEW, created_at=START + 50))
    assert ("plain", "q1", (("phone", NEW),)) in world.updates()
    assert not [w for w in world.updates() if w[0] == "rows"], "her other rows are left at first sight"


# --- one row changes ------------------------------------------------------------------------------------------------


def test_a_phone_corrected_on_one_row_reaches_the_other_rows_and_the_other_system(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    assert world.updates() == {("rows", "1", (("phone", NEW),)), ("plain", "q1", (("phone", NEW),))}


def test_the_other_rows_are_brought_along_though_the_pair_flows_the_other_way_only(small):
    """Bringing rows together belongs to the connection: it needs no direction."""
    world = settled(small("rows", "plain", flows=dict.fromkeys((JOB, CANDIDATE, APPLICATION), TO_RIGHT)))
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    assert ("rows", "1", (("phone", NEW),)) in world.updates()


def test_rows_are_brought_together_once_though_two_pairs_know_them(small):
    world = settled(small("rows", "plain", "other=plain"))
    world.told("rows", *row("2", "h2", phone=NEW))
    assert sorted((i.connection, i.ref) for i in world.intents()) == [("other", "q1"), ("plain", "q1"), ("rows", "1")]


def test_a_comment_on_another_row_does_not_bring_the_old_phone_back(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1, updated_at=START + 60))
    before = world.updates()
    world.told("rows", *row("1", "h1", phone=OLD, updated_at=START + 9999))
    assert world.updates() == before
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(NEW)


def test_a_phone_from_the_other_system_goes_to_every_row(world):
    world.told("plain", person("q1", phone=NEW))
    assert world.updates() == {("rows", "1", (("phone", NEW),)), ("rows", "2", (("phone", NEW),))}


def test_each_row_gets_the_phone_though_the_first_row_is_written_first(world):
    world.told("plain", person("q1", phone=NEW))
    first, second = world.intents()
    world.send(first, *row("1", "h1"))
    world.confirm(first, row("1", "h1", phone=NEW)[0])
    assert world.updates() == {("rows", "2", (("phone", NEW),))}
    world.send(second, *row("2", "h2", created_at=START + 1))
    world.confirm(second, row("2", "h2", phone=NEW, created_at=START + 1)[0])
    assert (world.intents(), world.holds()) == ([], set())
    assert world.agrees(CANDIDATE, "phone")


def test_once_all_rows_tell_the_same_nothing_is_left_to_do(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("plain", person("q1", phone=NEW))
    assert (world.intents(), world.holds()) == ([], set())


def test_a_row_that_somebody_put_right_by_hand_is_not_written(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    intent = world.intent("rows")
    assert world.send(intent, *row("1", "h1", phone=NEW)) is None
    assert world.intents("rows") == []


def test_two_corrections_of_one_row_one_after_the_other_are_one_write_of_the_last(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    world.told("rows", *row("2", "h2", phone=OTHER, created_at=START + 1))
    assert world.updates() == {("rows", "1", (("phone", OTHER),)), ("plain", "q1", (("phone", OTHER),))}


def test_a_correction_and_its_taking_back_write_nothing(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    world.told("rows", *row("2", "h2", phone=OLD, created_at=START + 1))
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(OLD)
    assert world.send(world.intent("plain"), person("q1")) is None, "and so has she there"
    intent = next(iter(world.intents("rows")), None)
    assert intent is None or world.send(intent, *row("1", "h1")) is None, "the row has that phone"


def test_a_write_that_was_on_its_way_to_another_row_does_not_undo_a_later_correction(world):
    world.told("rows", *row("2", "h2", phone=NEW, created_at=START + 1))
    intent = world.intent("rows")
    world.send(intent, *row("1", "h1"))
    world.told("rows", *row("2", "h2", phone=OTHER, created_at=START + 1))
    world.confirm(intent, row("1", "h1", phone=NEW)[0])
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(OTHER)
    assert world.updates() == {("rows", "1", (("phone", OTHER),)), ("plain", "q1", (("phone", OTHER),))}


# --- two rows change ------------------------------------------------------------------------------------------------


def change_both(world):
    world.told("rows", *row("1", "h1", phone=NEW), *row("2", "h2", phone=OTHER, created_at=START + 1))


def test_two_rows_changed_unlike_each_other_are_held(world):
    change_both(world)
    assert world.holds() == {Held("rows", "candidate", "1", "phone", "rows_differ")}
    assert not [w for w in world.updates() if w[0] == "rows"], "neither row is written over the other"


def test_a_conflict_of_two_rows_is_not_written_to_the_other_system(world):
    change_both(world)
    assert world.updates() == set()


def test_rows_that_are_made_equal_by_hand_end_their_conflict(world):
    change_both(world)
    world.told("rows", *row("1", "h1", phone=OTHER))
    world.told("rows", *row("2", "h2", phone=OTHER, created_at=START + 1))
    assert world.reasons() == []
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(OTHER)


def test_the_same_correction_on_both_rows_is_no_conflict(world):
    world.told("rows", *row("1", "h1", phone=NEW), *row("2", "h2", phone=NEW, created_at=START + 1))
    assert world.updates() == {("plain", "q1", (("phone", NEW),))}
    assert world.reasons() == []


def test_different_fields_of_different_rows_are_no_conflict(world):
    world.told("rows", *row("1", "h1", phone=NEW), *row("2", "h2", name="Ann Marie Lee", created_at=START + 1))
    assert world.reasons() == []
    assert ("plain", "q1", (("name", "Ann Marie Lee"), ("phone", NEW))) in world.updates()


# --- rows that may not be written, and rows that go -----------------------------------------------------------------


def test_an_anonymised_row_is_never_written_and_says_nothing(world):
    blank = row("1", "h1", name="Anonymized", email=None, phone=None, traits=frozenset({"anonymized"}))
    world.told("rows", *blank)
    assert world.updates() == set()
    world.told("plain", person("q1", phone=NEW))
    assert {(c, ref) for c, ref, _ in world.updates()} == {("rows", "2")}


def test_an_anonymised_row_opens_an_erasure_task(world):
    blank = row("1", "h1", name="Anonymized", email=None, phone=None, traits=frozenset({"anonymized"}))
    world.told("rows", *blank)
    assert [reason for reason in world.reasons() if "eras" in reason]


def test_a_person_stays_while_one_of_her_rows_does(world):
    world.gone("rows", Ref(APPLICATION, "2"))
    assert not world.row("rows", CANDIDATE, "1").gone
    assert Held("rows", "application", "2", "", "vanished") in world.holds()


def test_a_vanished_row_is_not_written_any_more(world):
    world.gone("rows", Ref(APPLICATION, "2"))
    world.told("plain", person("q1", phone=NEW))
    assert {(c, ref) for c, ref, _ in world.updates()} == {("rows", "1")}


def test_a_person_is_gone_with_her_last_row_and_her_counterpart_stays(world):
    for id_ in ("1", "2"):
        world.gone("rows", Ref(CANDIDATE, id_))
    assert world.row("rows", CANDIDATE, "1").gone
    assert Held("rows", "candidate", "1", "", "vanished") in world.holds()
    assert world.updates() == set()


def test_a_row_that_comes_back_is_hers_again(world):
    for id_ in ("1", "2"):
        world.gone("rows", Ref(CANDIDATE, id_))
    world.told("rows", *row("2", "h2", created_at=START + 1))
    assert not world.row("rows", CANDIDATE, "1").gone
    assert Held("rows", "candidate", "1", "", "vanished") not in world.holds()


def test_a_row_that_missed_a_write_while_it_was_gone_asks_when_it_is_back(world):
    world.gone("rows", Ref(APPLICATION, "2"))
    world.told("plain", person("q1", phone=NEW))
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("rows", *row("2", "h2", created_at=START + 1))
    assert Held("rows", "candidate", "1", "phone", "rows_differ") in world.holds()


def test_what_a_row_alone_had_said_is_asked_about_when_that_is_gone(world):
    world.told("rows", job("h3", "Porter"), *row("3", "h3", phone=NEW, created_at=START + 50))
    world.told("plain", person("q1", phone=NEW))
    world.gone("rows", Ref(APPLICATION, "3"))
    assert Held("rows", "candidate", "1", "phone", "rows_differ") in world.holds()
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == phone(NEW), "nobody has said the old one again"
    assert world.updates() == set()


def test_a_row_that_is_to_be_written_is_not_asked_about_though_who_had_said_it_is_gone(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    world.gone("rows", Ref(APPLICATION, "1"))
    assert ("rows", "2", (("phone", NEW),)) in world.updates()
    assert "rows_differ" not in world.reasons()


def test_the_other_row_is_written_as_soon_as_the_write_to_the_first_is_held(world):
    """While that was out nothing was decided about the field, and no later look was to wait for."""
    world.told("plain", person("q1", phone=NEW))
    first = next(intent for intent in world.intents("rows") if intent.ref == "1")
    world.send(first, *row("1", "h1"))
    world.told("plain", person("q1", phone=NEW, name="Ann Marie Lee"))
    assert ("rows", "2", (("phone", NEW),)) not in world.updates()
    world.do(push.failed, first.id, Rejected("no such phone"), 0.5)
    assert ("plain", "q1", "value") in world.marks()
    world.told("plain", person("q1", phone=NEW, name="Ann Marie Lee"))
    assert ("rows", "2", (("name", "Ann Marie Lee"), ("phone", NEW))) in world.updates()


def test_a_moved_row_seen_before_the_old_one_went_keeps_the_person(world):
    """Workable's relocate gives a new id: the poll tells the new row before the old one's absence is proven."""
    world.told("rows", job("h3", "Porter"), *row("3", "h3", created_at=START))
    world.gone("rows", Ref(CANDIDATE, "1"))
    assert {member.row: member.person for member in world.select(schema.members)}["3"] == "1"
    assert world.link(CANDIDATE).left == "1"
    assert not world.row("rows", CANDIDATE, "1").gone


def test_a_moved_row_seen_after_the_old_one_went_is_the_same_person(small):
    world = small("rows", "plain")
    spoke = (job("p1"), person("q1"), application("a1", "p1", "q1"))
    world.known(rows=(job("h1"), *row("1", "h1")), plain=spoke)
    world.gone("rows", Ref(CANDIDATE, "1"))
    world.told("rows", *row("3", "h2", created_at=START))
    assert world.link(CANDIDATE).right == "q1"
    assert "email_taken" not in world.reasons()
