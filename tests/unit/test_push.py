"""Intents and the systems' answers: sent once, looked up when unknown, confirmed field by field; on both databases."""

import asyncio
from dataclasses import replace

import pytest

from connectors.memory import FACTS, PERSON
from syncd import decide, push, schema, switches
from syncd.errors import (
    AuthFailed,
    Gone,
    NotSent,
    OutcomeUnknown,
    Parked,
    RateLimited,
    Rejected,
    Stale,
    Taken,
    Unavailable,
)
from syncd.mapping import PARTS
from syncd.model import Record, Ref
from syncd.reconcile import End
from syncd.work import CREATE
from tests.unit.small_world import (
    APPLICATION,
    BOTH,
    CANDIDATE,
    JOB,
    START,
    Held,
    application,
    digest,
    job,
    person,
    row,
)

OLD, NEW, OTHER = "+12025550100", "+12025550199", "+12025550177"
HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1"), application("a1", "p1", "q1"))


@pytest.fixture
def world(small):
    """One person on one job, known at both ends and in step."""
    return in_step(small("rows", "plain"))


def in_step(world, hub=HUB, spoke=SPOKE):
    world.known(rows=hub, **{name: spoke for name in world.systems if name != "rows"})
    assert (world.intents(), world.holds()) == ([], set())
    world.later(10.0)
    return world


def at_hub(world, stage="New", **fields):
    """Somebody changed Ann's row."""
    world.told("rows", *row("1", "h1", stage, **fields))


def moved(stage, **more):
    return application("a1", "p1", "q1", stage, **more)


@pytest.fixture
def moving(world):
    """A move from the hub waits to be written at the spoke."""
    at_hub(world, "Screen")
    return world


@pytest.fixture
def phoning(world):
    """A corrected phone waits to be written at the spoke."""
    at_hub(world, phone=NEW)
    return world


# --- claiming -------------------------------------------------------------------------------------------------------


def test_an_intent_whose_turn_has_come_is_claimed(moving):
    claim = moving.claim(moving.intent())
    assert (claim.kind, claim.ref, claim.stage, claim.job) == (
        APPLICATION, Ref(APPLICATION, "a1"), "screening", "p1",
    )  # fmt: skip


def test_an_intent_is_not_claimed_before_it_is_due(moving):
    intent = moving.intent()
    moving.do(push.reopen, intent, "did_not", 30.0)
    assert moving.claim(intent) is None
    moving.later(30.0)
    assert moving.claim(intent) is not None


def test_a_source_that_was_not_told_since_is_read_before_anything_is_written(moving):
    """Values come from a fresh read: what waited for an hour may not be true any more."""
    moving.later(3600.0)
    assert moving.claim(moving.intent()) is None
    assert moving.marks() == {("rows", "1", "before_write")}
    at_hub(moving, "Screen")
    moving.later(30.0)
    assert moving.claim(moving.intent()) is not None


def test_a_proven_poll_without_the_row_tells_that_it_is_unchanged(moving):
    moving.later(3600.0)
    moving.proven("rows")
    assert moving.claim(moving.intent()) is not None
    assert moving.marks() == set()


def test_a_target_with_a_call_under_way_is_let_be(moving):
    moving.send(moving.intent(), moved("New"))
    at_hub(moving, "Talk")
    moving.do(settle_again)
    for waiting in moving.intents(state="open"):
        assert moving.claim(waiting) is None


def settle_again(work):
    from syncd.settle import settle  # noqa: PLC0415  # beside its only use

    settle(work, "plain", APPLICATION, "a1")


def test_nothing_is_claimed_for_a_pair_that_was_stopped(moving):
    moving.store.run_now(switches.stop, "pair/rows-plain", "by hand", START)
    assert moving.claim(moving.intent()) is None
    moving.store.run_now(switches.start, "pair/rows-plain")
    moving.later(10.0)
    assert moving.claim(moving.intent()) is not None


# --- updating -------------------------------------------------------------------------------------------------------


def test_an_intent_is_sent_durably_before_the_call_goes_out(moving):
    order = moving.send(moving.intent(), moved("New", version="7"), word="Screen")
    assert (order.record.ref, order.fields) == (Ref(APPLICATION, "a1"), {"stage": "Screen"})
    sent = moving.intent()
    assert (sent.state, sent.tries, sent.sent_at) == ("sent", 1, moving.clock.now())
    assert (sent.expected, sent.expected_version) == ({"stage": "=New"}, "7")


def test_what_was_sent_is_not_sent_twice(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    assert moving.send(moving.intent(), moved("New"), word="Screen") is None
    assert moving.claim(moving.intent()) is None


def test_a_target_that_is_in_step_by_now_is_not_written(moving):
    assert moving.send(moving.intent(), moved("Screen")) is None
    assert (moving.intents(), moving.holds()) == ([], set())


def test_a_target_that_somebody_moved_meanwhile_is_not_overwritten(moving):
    assert moving.send(moving.intent(), moved("Talk")) is None
    assert moving.intents() == []
    assert moving.holds() == {Held("rows", "application", "1", "stage", "conflict")}


def test_a_target_that_is_gone_is_not_written(phoning):
    assert phoning.send(phoning.intent()) is None
    assert phoning.intents() == []
    assert Held("rows", "candidate", "1", "", "vanished") in phoning.holds()


def test_a_sent_write_keeps_the_merge_away_from_its_fields(moving):
    """While our own move is under way its old and its new value are both told; neither is somebody's edit."""
    moving.send(moving.intent(), moved("New"), word="Screen")
    for stage in ("New", "Screen", "New"):
        moving.told("plain", moved(stage))
    (intent,) = moving.intents()
    assert (intent.state, moving.holds()) == ("sent", set())


def test_a_source_that_moves_on_while_a_write_is_under_way_is_written_next(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    at_hub(moving, "Talk")
    moving.confirm(intent, moved("Screen"))
    moving.told("rows", *row("1", "h1", "Talk"))
    assert moving.updates() == {("plain", "a1", (("stage", "interview"),))}


# --- confirming -----------------------------------------------------------------------------------------------------


def test_what_the_system_tells_after_a_write_ends_it(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    moving.confirm(intent, moved("Screen"))
    assert (moving.intents(), moving.holds()) == ([], set())
    assert moving.agrees(APPLICATION, "stage")
    assert [line.fields for line in moving.journal("written")] == [["stage"]]


def test_a_value_that_the_system_spells_its_own_way_is_no_edit(phoning):
    """It answers with its own spelling: that is the base, and the next poll brings nothing back."""
    intent = phoning.intent()
    phoning.send(intent, person("q1"))
    phoning.confirm(intent, person("q1", phone="1 (202) 555 01 99"))
    phoning.told("plain", person("q1", phone="1 (202) 555 01 99"))
    assert (phoning.intents(), phoning.holds()) == ([], set())


def test_a_move_that_is_told_unlike_it_was_sent_is_somebodys_move(moving):
    """Between our move and our look a recruiter moved on: that is hers, and it goes to the hub."""
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    moving.confirm(intent, moved("Talk"))
    assert moving.updates() == {("rows", "1", (("stage", "interview"),))}
    assert moving.holds() == set()


def test_an_answer_that_tells_nothing_waits_for_a_look(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    moving.confirm(intent, None)
    accepted = moving.intent()
    assert (accepted.state, accepted.due > moving.clock.now()) == ("accepted", True)
    moving.confirm(accepted, moved("Screen"))
    assert (moving.intents(), moving.holds()) == ([], set())


def test_a_write_that_never_shows_is_held_as_not_taken(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    for _ in range(push.PATIENCE):
        assert moving.reasons() == []
        moving.confirm(moving.intent(), moved("New"))
        moving.later(10.0)
    assert moving.holds() == {Held("plain", "application", "a1", "stage", "not_taken")}
    assert moving.intent().state == "held"


def test_a_write_that_was_not_taken_is_not_tried_again_by_being_told_again(moving):
    not_taken(moving)
    at_hub(moving, "Screen")
    moving.told("plain", moved("New"))
    assert (moving.intent().state, moving.reasons()) == ("held", ["not_taken"])


def not_taken(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    for _ in range(push.PATIENCE):
        moving.confirm(moving.intent(), moved("New"))


def test_a_write_that_was_not_taken_is_planned_anew_when_its_source_changes(moving):
    not_taken(moving)
    at_hub(moving, "Talk")
    assert moving.reasons() == []
    assert moving.updates() == {("plain", "a1", (("stage", "interview"),))}


def test_what_is_planned_anew_after_a_refusal_keeps_nothing_of_what_was_sent(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    moving.do(push.failed, intent.id, Rejected("no"), 0.5)
    assert moving.intent(state="held").sent_values is not None
    at_hub(moving, "Talk")
    assert moving.intent(state="open").sent_values is None


def test_a_late_answer_that_shows_the_write_ends_it(moving):
    intent = moving.intent()
    moving.send(intent, moved("New"), word="Screen")
    moving.confirm(intent, moved("New"))
    moving.confirm(moving.intent(), moved("Screen"))
    assert (moving.intents(), moving.holds()) == ([], set())


def test_an_edit_found_by_a_later_look_is_somebodys_edit(phoning):
    intent = phoning.intent()
    phoning.send(intent, person("q1"))
    phoning.confirm(intent, person("q1"))
    phoning.confirm(phoning.intent(), person("q1", phone=OTHER))
    assert phoning.updates() == {("rows", "1", (("phone", OTHER),))}


@pytest.fixture
def two_fields(world):
    """A write of two fields is out."""
    at_hub(world, phone=NEW, name="Ann Marie Lee")
    world.send(world.intent(), person("q1"))
    return world


def test_a_write_is_confirmed_field_by_field(two_fields):
    two_fields.confirm(two_fields.intent(), person("q1", phone=NEW, name="Ann Marie Lee"))
    assert two_fields.agrees(CANDIDATE, "phone")
    assert two_fields.agrees(CANDIDATE, "name")


def test_of_two_fields_the_one_that_was_not_taken_is_held_by_name(two_fields):
    for _ in range(4 * push.PATIENCE):
        for intent in two_fields.intents():
            if intent.state == "open":
                two_fields.send(intent, person("q1", phone=NEW))
            elif intent.state != "held":
                two_fields.confirm(intent, person("q1", phone=NEW))
        two_fields.told("plain", person("q1", phone=NEW))
    assert two_fields.holds() == {Held("plain", "candidate", "q1", "name", "not_taken")}
    assert two_fields.agrees(CANDIDATE, "phone")


@pytest.mark.parametrize(
    ("told", "reasons"),
    [
        ("Nadia Named", []),
        ("NADIA NAMED", []),
        ("Nadia Lee", ["not_taken"]),
        ("Ann Named", ["not_taken"]),
        ("Nadia-Named Written-Anew", []),
    ],
)
def test_a_name_of_which_one_half_was_taken_is_not_written(small, told, reasons):
    def parted(name):
        known = person("q1", name=name)
        return replace(known, fields={**known.fields, **dict(zip(PARTS, name.split(), strict=True))})

    plain = FACTS["plain"]
    kinds = {**plain.kinds, CANDIDATE: replace(plain.kinds[CANDIDATE], lists=PERSON | set(PARTS))}
    words = {"fields": {"candidate": dict(zip(PARTS, PARTS, strict=True))}}
    world = small("rows", "plain", facts={"plain": replace(plain, kinds=kinds)}, words={"plain": words})
    in_step(world, spoke=(job("p1"), parted("Ann Lee"), application("a1", "p1", "q1")))
    at_hub(world, name="Nadia Named")
    world.send(world.intent(), parted("Ann Lee"))
    for _ in range(push.PATIENCE):
        for intent in world.intents("plain"):
            world.confirm(intent, parted(told))
    assert world.reasons() == reasons


def test_of_two_fields_the_one_that_shows_is_confirmed_at_once(two_fields):
    two_fields.confirm(two_fields.intent(), person("q1", phone=NEW))
    assert two_fields.agrees(CANDIDATE, "phone")


def test_a_confirmed_move_goes_on_to_the_other_spokes_in_the_same_transaction(small):
    star = in_step(small("rows", "plain", "other=plain"))
    star.told("plain", moved("Screen"))
    intent = star.intent()
    star.send(intent, *row("1", "h1"), word="Screen")
    star.confirm(intent, row("1", "h1", "Screen")[1])
    assert star.updates() == {("other", "a1", (("stage", "screening"),))}


# --- flags ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def flagged(small):
    """At the hub a rejection is a flag over the stage: it is taken off first, and the move is a call of its own."""
    kinds = FACTS["rows"].kinds
    rejected = replace(kinds[APPLICATION], flags=frozenset({"Out"}))
    world = small("rows", "plain", facts={"rows": replace(FACTS["rows"], kinds={**kinds, APPLICATION: rejected})})
    return in_step(world, (job("h1"), *out()), (job("p1"), person("q1"), moved("Out")))


def out(beneath="Screen", version=None):
    """Ann's row with the flag over a stage."""
    told, own = row("1", "h1", "Out", version=version)
    return told, replace(own, beneath=beneath)


def at(stage):
    """Ann's application without a flag."""
    return row("1", "h1", stage)[1]


@pytest.fixture
def lifting(flagged):
    """The spoke brought Ann back: the flag is being taken off."""
    flagged.told("plain", moved("Talk"))
    flagged.send(flagged.intent(), *out(version="7"), word="Talk")
    return flagged


def test_a_flag_is_taken_off_and_then_the_move_is_an_intent_of_its_own(lifting):
    revert = lifting.intent()
    lifting.confirm(revert, at("Screen"))
    lifting.told("plain", moved("Talk"))
    (move,) = lifting.intents()
    assert move.id != revert.id
    assert lifting.updates() == {("rows", "1", (("stage", "interview"),))}
    lifting.send(move, *row("1", "h1", "Screen"), word="Talk")
    lifting.confirm(move, at("Talk"))
    assert (lifting.intents(), lifting.holds()) == ([], set())


def test_a_flag_that_shows_the_wanted_stage_beneath_needs_no_move(flagged):
    flagged.told("plain", moved("Talk"))
    revert = flagged.intent()
    flagged.send(revert, *out("Talk"), word="Talk")
    flagged.confirm(revert, at("Talk"))
    assert (flagged.intents(), flagged.holds()) == ([], set())


def test_a_flag_set_over_our_move_is_somebodys_rejection(lifting):
    lifting.confirm(lifting.intent(), at("Screen"))
    lifting.told("plain", moved("Talk"))
    move = lifting.intent()
    lifting.send(move, *row("1", "h1", "Screen"), word="Talk")
    lifting.confirm(move, out("Talk")[1])
    assert lifting.updates() == {("plain", "a1", (("stage", "rejected"),))}


ANSWERS = {"answered": True, "its answer lost": False}


@pytest.mark.parametrize("known", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_flag_that_shows_the_stage_beneath_was_lifted_by_us(lifting, known):
    lifting.confirm(lifting.intent(), at("Screen"), known=known)
    lifting.told("plain", moved("Talk"))
    assert (lifting.updates(), lifting.holds()) == ({("rows", "1", (("stage", "interview"),))}, set())


@pytest.mark.parametrize("known", ANSWERS.values(), ids=ANSWERS.keys())
def test_another_stage_than_the_one_beneath_a_lifted_flag_is_somebodys_move(lifting, known):
    """A recruiter moved her on before we looked: both ends were moved, and neither move is undone."""
    lifting.confirm(lifting.intent(), at("Deal"), known=known)
    lifting.told("plain", moved("Talk"))
    assert lifting.intents() == []
    assert lifting.holds() == {Held("rows", "application", "1", "stage", "conflict")}


def test_a_move_that_an_accepted_lifting_shows_late_is_somebodys_move(lifting):
    lifting.confirm(lifting.intent(), None)
    lifting.confirm(lifting.intent(), at("Deal"))
    assert (lifting.intents(), lifting.reasons()) == ([], ["conflict"])


def test_a_lifting_whose_answer_was_lost_and_that_surely_did_not_happen_is_sent_again(lifting):
    lifting.do(push.failed, lifting.intent().id, OutcomeUnknown("lost"), 0.5)
    for _ in range(2):
        lifting.confirm(lifting.intent(), out(version="7")[1], known=False)
    assert (lifting.intent().state, lifting.reasons()) == ("open", [])


def test_where_nobody_told_the_stage_beneath_a_flag_a_person_is_asked(flagged):
    flagged.told("plain", moved("Talk"))
    revert = flagged.intent()
    flagged.send(revert, *out(beneath=None), word="Talk")
    flagged.confirm(revert, at("Screen"))
    flagged.told("plain", moved("Talk"))
    assert (flagged.intents(), flagged.reasons()) == ([], ["conflict"])


@pytest.mark.parametrize("beneath", ["Screen", "New"])
def test_what_a_person_decided_over_a_flag_is_carried_out_to_its_end(small, beneath):
    """The side that was taken goes to where the flag was, though lifting it changes what is told there."""
    kinds = FACTS["rows"].kinds
    rejected = replace(kinds[APPLICATION], flags=frozenset({"Out"}))
    world = small("rows", "plain", facts={"rows": replace(FACTS["rows"], kinds={**kinds, APPLICATION: rejected})})
    in_step(world)
    world.told("plain", moved("Talk"))
    world.told("rows", *out(beneath))
    world.told("plain", moved("New"))
    (hold,) = world.select(schema.holds)
    world.do(decide.resolve, hold.id, "take right")
    revert = world.intent("rows")
    world.send(revert, *out(beneath), word="New")
    world.confirm(revert, at(beneath))
    world.told("plain", moved("New"))
    assert world.reasons() == []
    assert world.updates() == (set() if beneath == "New" else {("rows", "1", (("stage", "applied"),))})


# --- lost answers ---------------------------------------------------------------------------------------------------


def lost(world, *told, word="Screen", version=None):
    """The write went out and its answer was lost."""
    intent = world.intent()
    world.send(intent, *(told or (moved("New", version=version),)), word=word)
    world.do(push.failed, intent.id, OutcomeUnknown("lost"), 0.5)
    return intent


def test_a_lost_answer_is_looked_up_after_the_write_can_be_seen(moving):
    lost(moving)
    intent = moving.intent()
    assert intent.state == "unknown"
    assert intent.due == moving.clock.now() + FACTS["plain"].visible_s
    assert moving.claim(intent) is None, "never sent again before it was looked up"
    assert moving.do(push.lookup_of, intent.id) is None
    moving.later(10.0)
    found, draft = moving.do(push.lookup_of, intent.id)
    assert (found.id, draft) == (intent.id, None)


def test_a_lost_write_that_shows_is_done(moving):
    intent = lost(moving)
    moving.confirm(intent, moved("Screen"), known=False)
    assert (moving.intents(), moving.holds()) == ([], set())
    assert moving.agrees(APPLICATION, "stage")


def test_a_lost_write_after_which_somebody_moved_on_is_her_move(moving):
    intent = lost(moving)
    moving.confirm(intent, moved("Talk"), known=False)
    assert moving.updates() == {("rows", "1", (("stage", "interview"),))}


def test_a_lost_text_that_is_told_unlike_it_was_sent_is_somebodys_edit(phoning):
    intent = lost(phoning, person("q1"))
    phoning.confirm(intent, person("q1", phone=OTHER), known=False)
    assert phoning.updates() == {("rows", "1", (("phone", OTHER),))}


def test_a_lost_write_that_surely_did_not_happen_is_sent_again(moving):
    """The record's version is the one that was read before: nothing was done to it since."""
    intent = lost(moving, version="7")
    for _ in range(2):
        moving.confirm(moving.intent(), moved("New", version="7"), known=False)
    assert (moving.intent().id, moving.intent().state) == (intent.id, "open")
    assert moving.reasons() == []


def test_a_lost_write_that_may_have_been_undone_by_somebody_is_held(moving):
    """Told as before, but under a new version: our move came and a recruiter took it back, or it never came."""
    lost(moving, version="7")
    for _ in range(2):
        moving.confirm(moving.intent(), moved("New", version="9"), known=False)
    assert moving.reasons() == ["unknown_outcome"]


def test_a_lost_write_to_a_system_without_versions_is_held(moving):
    lost(moving)
    for _ in range(2):
        moving.confirm(moving.intent(), moved("New"), known=False)
    assert moving.reasons() == ["unknown_outcome"]


def test_what_was_under_way_when_the_process_died_is_unknown_at_the_next_start(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    sent_at = moving.clock.now()
    moving.later(1.0)
    assert moving.store.run_now(push.recover, moving.clock.now(), 60.0) == 1
    intent = moving.intent()
    assert (intent.state, intent.due) == ("unknown", sent_at + 60.0)
    assert moving.store.run_now(push.recover, moving.clock.now(), 60.0) == 0


def test_what_was_under_way_long_ago_is_looked_up_at_once(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.later(3600.0)
    moving.store.run_now(push.recover, moving.clock.now(), 60.0)
    assert moving.intent().due == moving.clock.now()


def test_a_write_waits_where_the_target_tells_what_we_replaced_seconds_ago(phoning):
    """It may be a copy that is behind, or somebody who took it back, over whom nothing is written."""
    phoning.send(phoning.intent(), person("q1"))
    phoning.confirm(phoning.intent(), person("q1", phone=NEW))
    at_hub(phoning, phone=NEW, name="Ann Marie Lee")
    assert phoning.send(phoning.intent(), person("q1")) is None
    assert phoning.intent().due > phoning.clock.now()
    phoning.later(10.0)
    phoning.told("plain", person("q1"))
    assert ("rows", "1", (("phone", OLD),)) in phoning.updates()


def test_what_never_stood_there_before_our_write_is_an_edit_after_it_however_soon(phoning):
    phoning.send(phoning.intent(), person("q1"))
    phoning.confirm(phoning.intent(), person("q1", phone=NEW))
    at_hub(phoning, phone=NEW, name="Ann Marie Lee")
    order = phoning.send(phoning.intent(), person("q1", phone=OTHER))
    assert order is not None
    assert set(order.fields) == {"name"}
    assert ("rows", "1", (("phone", OTHER),)) in phoning.updates()


# --- what an error says ---------------------------------------------------------------------------------------------

ERRORS = {
    "no connection: again soon": (NotSent("x"), "open", None),
    "away": (Unavailable("x"), "open", None),
    "away for so long": (Unavailable("x", retry_after_s=120.0), "open", 120.0),
    "too many calls, or so it says": (RateLimited("x", retry_after_s=20.0), "unknown", 20.0),
    "the budget is spent": (Parked("x", until=START + 999), "open", None),
    "the token is not accepted": (AuthFailed("x"), "open", 60.0),
    "changed under our hands": (Stale("x"), "open", 1.0),
    "refused for good": (Rejected("no such stage"), "held", None),
    "taken": (Taken("x"), "held", None),
    "nobody knows": (OutcomeUnknown("x"), "unknown", 3.0),
}


@pytest.mark.parametrize(("error", "state", "wait_s"), ERRORS.values(), ids=ERRORS.keys())
def test_what_an_error_says_about_an_update(moving, error, state, wait_s):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, error, 0.5)
    intent = moving.intent()
    assert intent.state == state
    if wait_s is not None:
        assert intent.due == moving.clock.now() + wait_s
    elif state == "open":
        assert intent.due > moving.clock.now()


def test_a_refusal_of_the_look_before_a_write_leaves_it_to_be_written(moving):
    moving.do(push.failed, moving.intent().id, RateLimited("x", retry_after_s=20.0), 0.5)
    assert (moving.intent().state, moving.intent().due) == ("open", moving.clock.now() + 20.0)


def test_what_was_being_written_when_its_target_vanished_is_nobodys_change_when_it_is_back(moving):
    """It took effect, and the source went back: neither end's word is a change from what both had agreed about."""
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.forget_target, moving.intent())
    moving.gone("plain", Ref(APPLICATION, "a1"))
    at_hub(moving, "New")
    moving.told("plain", moved("Screen"))
    assert moving.intents() == []
    assert moving.reasons() == ["conflict"]


def test_what_surely_did_not_happen_keeps_no_sent_values(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, NotSent("x"), 0.5)
    assert moving.intent().sent_values is None


def test_a_refusal_is_held_with_the_systems_own_words(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, Rejected("PATCH answered 422: no such stage"), 0.5)
    (hold,) = moving.select(schema.holds)
    assert (hold.reason, hold.field, hold.detail) == ("rejected", "stage", "PATCH answered 422: no such stage")


def test_what_was_wanted_while_another_write_was_out_is_wanted_once_when_that_was_refused(phoning):
    """Two writes to a record wait then; what a person's edit takes out of the one must not go out with the other."""
    first = phoning.intent()
    phoning.send(first, person("q1"))
    at_hub(phoning, phone=NEW, name="Ann Marie Lee")
    phoning.do(push.failed, first.id, Rejected("no such phone"), 0.5)
    at_hub(phoning, phone=OTHER, name="Ann Marie Lee")
    assert phoning.updates() == {("plain", "q1", (("name", "Ann Marie Lee"), ("phone", OTHER)))}
    phoning.told("plain", person("q1", name="Anna Lee"))
    assert phoning.updates() == {("plain", "q1", (("phone", OTHER),))}
    assert phoning.reasons() == ["conflict"]


def test_a_refused_write_is_not_tried_again_until_its_source_changes(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, Rejected("x"), 0.5)
    at_hub(moving, "Screen")
    moving.told("plain", moved("New"))
    assert (moving.intent().state, moving.reasons()) == ("held", ["rejected"])
    at_hub(moving, "Talk")
    assert (moving.intent().state, moving.reasons()) == ("open", [])


def test_a_refused_write_whose_source_went_back_is_over(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, Rejected("x"), 0.5)
    at_hub(moving, "New")
    assert (moving.intents(), moving.holds()) == ([], set())


def test_a_record_that_was_changed_under_our_hands_is_read_again(moving):
    moving.send(moving.intent(), moved("New"), word="Screen")
    moving.do(push.failed, moving.intent().id, Stale("x"), 0.5)
    assert ("plain", "a1", "stale") in moving.marks()


def test_tries_are_spaced_further_and_further_and_not_all_at_once():
    waits = [push.delay_s(tries, 0.5) for tries in range(1, 15)]
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits == sorted(waits)
    assert waits[-1] == 600.0
    assert (push.delay_s(3, 0.0), push.delay_s(3, 1.0)) == (4.0, 12.0)


# --- creating -------------------------------------------------------------------------------------------------------


@pytest.fixture
def making(small):
    """A job waits to be created at the spoke."""
    world = small("rows", "plain")
    world.known(rows=(job("h1", fields={"code": "C7"}),))
    return world


def make(world, *born, word=None):
    intent = world.intent(call=CREATE)
    world.send(intent, word=word)
    world.do(push.adopt, intent.id, born, ours=True)


def test_a_create_tells_the_id_we_give_and_is_durable_first(making):
    order = making.send(making.intent())
    assert (order.draft.kind, order.draft.source_id) == (JOB, "h1")
    assert order.draft.fields == {"title": "Baker", "code": "C7", "status": "open"}
    assert making.intent().state == "sent"


def test_what_was_born_fills_the_empty_end(making):
    make(making, job("p1", fields={"code": "C7"}, source_id="h1"))
    link = making.link(JOB)
    assert (link.left, link.right) == ("h1", "p1")
    assert (making.intents(), making.holds()) == ([], set())
    assert all(making.agrees(JOB, name) for name in ("title", "code", "status"))


def test_what_an_answer_of_no_more_than_an_id_left_open_is_agreed_once_it_is_read(small):
    world = small("newborn", "plain", flows={JOB: BOTH})
    world.known(newborn=(job("n1"),))
    make(world, Record(Ref(JOB, "p1"), {}))
    world.told("newborn", job("n1", fields={"status": "closed"}))
    world.told("plain", job("p1"))
    assert world.holds() == set()
    assert world.updates() == {("plain", "p1", (("status", "closed"),))}


def test_what_a_create_cannot_bear_is_an_update_at_once(small):
    """WorkSignal makes an application at its first stage only: the move comes after the birth."""
    world = small("rows", "newborn")
    world.known(rows=(job("h1"), *row("1", "h1", "Talk")), newborn=(job("p1"),))
    make(world, application("a1", "p1", "q1", "New"), person("q1"), word=None)
    world.told("rows", *row("1", "h1", "Talk"))
    assert world.updates() == {("newborn", "a1", (("stage", "interview"),))}
    assert world.holds() == set()


def test_an_answer_that_tells_less_than_was_sent_is_read_again(making):
    make(making, replace(job("p1"), fields={"title": "Baker"}))
    making.told("plain", job("p1", fields={"code": "C7"}))
    assert (making.updates(), making.holds()) == (set(), set())


def test_person_and_application_of_one_birth_are_both_linked(small):
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"),))
    make(world, application("a1", "p1", "q1"), person("q1"))
    assert {(link.kind, link.left, link.right) for link in world.links()} == {
        ("job", "h1", "p1"), ("candidate", "1", "q1"), ("application", "1", "a1"),
    }  # fmt: skip


def lose_create(world, error=None):
    intent = world.intent(call=CREATE)
    world.send(intent)
    world.do(push.failed, intent.id, error or OutcomeUnknown("lost"), 0.5)
    return intent


def test_a_lost_create_is_looked_up_with_the_draft_that_was_sent(making):
    intent = lose_create(making)
    making.later(10.0)
    _, draft = making.do(push.lookup_of, intent.id)
    assert (draft.kind, draft.source_id, draft.fields["title"]) == (JOB, "h1", "Baker")


def test_a_lost_create_that_is_found_is_adopted(making):
    intent = lose_create(making)
    making.do(push.found, intent.id, (job("p1", fields={"code": "C7"}, source_id="h1"),))
    assert making.link(JOB).right == "p1"
    assert (making.intents(), making.holds()) == ([], set())


def test_an_edit_of_what_was_born_before_its_answer_is_somebodys_edit(small):
    """The answer was lost and a recruiter corrected the newborn's phone before we looked: hers goes to the hub."""
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"),))
    intent = lose_create(world)
    world.do(push.found, intent.id, (application("a1", "p1", "q1"), person("q1", phone=OTHER)))
    world.told("newborn", person("q1", phone=OTHER))
    assert world.updates() == {("rows", "1", (("phone", OTHER),))}


@pytest.mark.parametrize("pair", [{}, {"owners": {"stage": End.LEFT}}], ids=["nobody owns", "the hub owns"])
def test_a_move_of_what_was_born_before_its_answer_is_somebodys_move(small, pair):
    """Born at the stage that the hub told: whoever moved it since has moved it, though no answer told the birth."""
    world = small("rows", "newborn", **pair)
    world.known(rows=HUB, newborn=(job("p1"),))
    intent = lose_create(world)
    moved = (application("a1", "p1", "q1", "Talk"), person("q1"))
    world.do(push.found, intent.id, moved)
    world.told("newborn", *moved)
    world.told("rows", *row("1", "h1"))
    assert (world.updates(), world.holds()) == ({("rows", "1", (("stage", "interview"),))}, set())


def test_only_two_looks_without_a_trace_tell_that_it_did_not_happen(making):
    intent = lose_create(making)
    making.do(push.not_found, intent.id)
    assert making.intent().state == "unknown"
    assert making.intent().due > making.clock.now()
    making.do(push.not_found, intent.id)
    assert making.intent().state == "open"
    assert [line.what for line in making.journal("did_not")] == ["did_not"]


def test_two_people_found_are_one_adopted_and_one_held_never_deleted(small):
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"),))
    intent = lose_create(world)
    late = (application("a2", "p1", "q2", created_at=START + 9), person("q2", created_at=START + 9))
    world.do(push.found, intent.id, (*late, application("a1", "p1", "q1"), person("q1")))
    assert (world.link(APPLICATION).right, world.link(CANDIDATE).right) == ("a1", "q1"), "the oldest"
    assert world.intents() == []
    assert {hold.ref for hold in world.holds()} == {"a2", "q2"}


def test_two_jobs_found_are_one_adopted_and_one_held(making):
    intent = lose_create(making)
    twins = [job(id_, fields={"code": "C7"}, source_id="h1") for id_ in ("p2", "p1")]
    making.do(push.found, intent.id, tuple(twins))
    assert making.link(JOB).right == "p1", "of the same age the lower id"
    assert making.intents() == []
    assert {hold.ref for hold in making.holds()} == {"p2"}


def test_what_is_already_there_is_looked_up_and_adopted_as_it_is(making):
    """A 409 means: link it, and then merge what differs; nothing of it was ours."""
    intent = lose_create(making, Taken("x"))
    assert (making.intent().state, making.intent().due) == ("unknown", making.clock.now())
    making.do(push.found, intent.id, (job("p1", "Head Baker", fields={"code": "C7"}),))
    making.told("rows", job("h1", fields={"code": "C7"}))
    assert making.link(JOB).right == "p1"
    assert making.updates() == {("plain", "p1", (("title", "Baker"),))}


def test_what_is_taken_but_cannot_be_found_is_held(making):
    intent = lose_create(making, Taken("x"))
    for _ in range(push.LOOKS):
        making.do(push.not_found, intent.id)
    assert making.reasons() == ["taken_but_not_found"]


def test_a_likeness_that_is_linked_to_another_is_not_taken_from_it(making):
    making.told("rows", job("h2", "Cook"))
    cook = making.intents()[-1]
    making.send(cook)
    making.do(push.adopt, cook.id, (job("p1", "Cook"),), ours=True)
    baker = making.intent(call=CREATE)
    making.do(push.adopt, baker.id, (job("p1", "Cook"),), ours=False)
    assert "duplicate" in making.reasons()
    assert {(link.left, link.right) for link in making.links()} == {("h1", None), ("h2", "p1")}


@pytest.mark.parametrize("parent", [Ref(JOB, "p1"), Ref(CANDIDATE, "q1")], ids=["the job", "the person"])
def test_a_create_whose_parent_went_is_dropped_and_its_source_read(small, parent):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1")))
    intent = world.intent()
    assert intent.kind == "application"
    world.gone("plain", parent)
    assert world.send(intent) is None
    assert world.links(APPLICATION) == []
    assert ("rows", "1", "dropped") in world.marks()


def test_a_create_that_finds_its_parent_gone_again_and_again_is_held(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1")))
    for _ in range(push.PATIENCE):
        intent = world.intent()
        world.send(intent, word="New")
        world.do(push.failed, intent.id, Gone("no such job"), 0.5)
        world.later(10.0)
    assert world.reasons() == ["parent_gone"]


def test_who_was_to_be_made_with_an_application_for_a_job_that_is_gone_is_made_with_the_next_one(small):
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"),))
    for _ in range(push.PATIENCE):
        intent = world.intent()
        world.send(intent)
        world.do(push.failed, intent.id, Gone("no such job"), 0.5)
        world.later(10.0)
    world.told("newborn", job("p2", "Cook"))
    world.told("rows", job("h2", "Cook"), *row("2", "h2"))
    assert world.reasons() == ["parent_gone"]
    assert ("rows", "1", "create") in world.marks()
    world.told("rows", *row("1", "h1"))
    (made,) = world.intents()
    assert made.call == CREATE
    assert made.state == "open"
    assert {(link.left, link.right) for link in world.links(APPLICATION)} == {("2", None)}


def test_a_draft_names_its_parents_as_the_target_knows_them(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1", source_id="own-17"), person("q1")))
    order = world.send(world.intent(), word="New")
    assert {kind: (parent.id, parent.source_id) for kind, parent in order.draft.parents.items()} == {
        JOB: ("p1", "own-17"), CANDIDATE: ("q1", None),
    }  # fmt: skip


def test_the_sealed_values_are_gone_when_all_is_done(making):
    make(making, job("p1", fields={"code": "C7"}))
    assert making.select(schema.intents) == []


def test_a_phone_corrected_while_a_second_application_waits_is_not_brought_back(small):
    world = small("rows", "plain")
    spoke = (*SPOKE, job("p2", "Cook"), application("a2", "p2", "q1"))
    world.known(rows=(*HUB, job("h2", "Cook")), plain=spoke)
    birth = world.intent(call=CREATE)
    assert (birth.connection, world.values(birth)["person"]["phone"]) == ("rows", OLD)
    world.told("plain", person("q1", phone=NEW))
    (update,) = [intent for intent in world.intents() if intent.ref == "1"]
    world.send(update, *row("1", "h1"))
    world.confirm(update, row("1", "h1", phone=NEW)[0])
    assert world.send(world.intent(call=CREATE), word="New") is None, "it bears what she has no more"
    world.told("plain", application("a2", "p2", "q1"), person("q1", phone=NEW))
    birth = world.intent(call=CREATE)
    order = world.send(birth, word="New")
    born = row("2", "h2", phone=order.draft.person["phone"], created_at=world.clock.now())
    world.do(push.adopt, birth.id, tuple(reversed(born)), ours=True)
    world.told("rows", *born)
    assert {values for *_, values in world.updates()} <= {(("phone", NEW),)}


# --- the words of a pipeline ----------------------------------------------------------------------------------------


class Pipelined:
    """A system whose jobs have stages of their own."""

    def __init__(self, *stages):
        self.own = stages
        self.asked = []

    async def stages(self, job_):
        self.asked.append(job_)
        return self.own


def word(world, connector, ours, job_="p1", kind=APPLICATION):
    connection = world.world.connections["plain"]
    return asyncio.run(push.word_in_pipeline(connector, connection, kind, ours, job_))


def test_of_several_words_the_first_that_the_jobs_pipeline_has_is_taken(small):
    words = {"plain": {"stages": {"write": {"screening": ["Phone Screen", "Video Screen"]}}}}
    world = small("rows", "plain", words=words)
    connector = Pipelined("New", "Video Screen")
    assert word(world, connector, "screening") == "Video Screen"
    assert connector.asked == [Ref(JOB, "p1")]
    assert word(world, Pipelined("Phone Screen", "Video Screen"), "screening") == "Phone Screen"


def test_a_pipeline_without_the_stage_refuses_and_nothing_falls_to_a_default(small):
    with pytest.raises(Rejected, match="'screening'"):
        word(small("rows", "plain"), Pipelined("New", "Deal"), "screening")


def test_a_flag_is_in_every_pipeline(small):
    kinds = FACTS["plain"].kinds
    facts = replace(FACTS["plain"], kinds={**kinds, APPLICATION: replace(kinds[APPLICATION], flags=frozenset({"Out"}))})
    world = small("rows", "plain", facts={"plain": facts})
    assert word(world, Pipelined("New"), "rejected") == "Out"


def test_where_there_are_no_pipelines_the_first_word_is_taken(small):
    world = small("rows", "plain")
    assert word(world, world.connectors["plain"], "screening") == "Screen"
    assert word(world, world.connectors["plain"], None) is None
    assert word(world, world.connectors["plain"], "screening", kind=JOB) is None


def test_digests_of_each_default_that_was_sent_are_kept(small):
    kinds = FACTS["plain"].kinds
    facts = replace(FACTS["plain"], kinds={**kinds, JOB: replace(kinds[JOB], demands=frozenset({"title", "code"}))})
    world = small("rows", "plain", facts={"plain": facts}, defaults={"plain": {"code": "X"}})
    world.known(rows=(job("h1"),))
    assert world.select(schema.defaults) == []
    world.send(world.intent())
    (kept,) = world.select(schema.defaults)
    assert (kept.connection, kept.field, kept.digest) == ("plain", "code", digest("code", "X"))
