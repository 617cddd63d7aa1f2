"""What becomes of a record: matched, created, merged, held, or left alone; on both databases."""

from dataclasses import replace

import pytest

from connectors.memory import FACTS
from syncd import intents, push, schema, settle, work
from syncd.decide import resolve
from syncd.errors import Rejected
from syncd.model import Kind, Ref
from tests.unit.small_world import (
    APPLICATION,
    BOTH,
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

NEW, OTHER = "+12025550199", "+12025550177"
HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1"), application("a1", "p1", "q1"))


@pytest.fixture
def world(small):
    """One person on one job, known at both ends and in step."""
    return in_step(small("rows", "plain"))


def in_step(world):
    world.known(rows=HUB, **{name: SPOKE for name in world.systems if name != "rows"})
    assert (world.intents(), world.holds()) == ([], set())
    world.later(10.0)
    return world


def demanding(kind, *names, flavour="plain"):
    """A system that demands more of a create."""
    kinds = FACTS[flavour].kinds
    return replace(FACTS[flavour], kinds={**kinds, kind: replace(kinds[kind], demands=frozenset(names))})


def creates(world, connection=None):
    """(connection, kind, values) of what waits to be created."""
    found = [intent for intent in world.intents(connection) if intent.call == work.CREATE]
    return [(intent.connection, intent.kind, world.values(intent)["fields"]) for intent in found]


# --- creating -------------------------------------------------------------------------------------------------------


def test_a_job_without_a_likeness_is_created_with_an_intent_and_half_a_link(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1", fields={"code": "C7"}),))
    assert creates(world) == [("plain", "job", {"title": "Baker", "code": "C7", "status": "open"})]
    (link,) = world.links()
    assert (link.left, link.right, link.how) == ("h1", None, "created")
    assert world.intent().link == link.id


def test_what_is_told_again_is_not_planned_again(small):
    world = small("rows", "plain")
    world.known(rows=HUB)
    before = world.intents()
    world.told("rows", *HUB)
    assert world.intents() == before
    assert len(world.links()) == 1


def test_nothing_is_created_where_the_targets_list_was_not_walked_whole(small):
    """The person may stand on a page that nobody has read yet."""
    world = small("rows", "plain")
    world.told("rows", *HUB)
    assert (world.intents(), world.links()) == ([], [])
    world.proven("plain")
    world.told("rows", *HUB)
    assert [kind for _, kind, _ in creates(world)] == ["job"]


def test_nothing_is_created_on_the_word_of_a_sweep_of_long_ago(small):
    world = small("rows", "plain", sweep_s=600.0)
    world.proven()
    world.later(3600.0)
    world.told("rows", *HUB)
    assert world.intents() == []


def test_the_first_look_links_and_makes_nothing(small):
    world = small("rows", "plain")
    world.proven()
    world.learning = True
    world.told("plain", *SPOKE)
    world.told("rows", *row("1", "h1"), *row("2", "h2", email="b@x.test"), job("h1"), job("h2", "Cook"))
    assert {(link.kind, link.left, link.right) for link in world.links()} == {
        ("job", "h1", "p1"), ("candidate", "1", "q1"), ("application", "1", "a1"),
    }  # fmt: skip
    assert (world.intents(), world.holds()) == ([], set())


def test_first_the_job_then_the_person_then_the_application(small):
    world = small("rows", "plain")
    world.known(rows=HUB)
    assert [kind for _, kind, _ in creates(world)] == ["job"]
    create(world, job("p1", source_id="h1"))
    assert ("rows", "1", "create") in world.marks(), "the store has no values: the person is read again"
    world.told("rows", *HUB)
    assert [kind for _, kind, _ in creates(world)] == ["candidate"]
    create(world, person("q1", source_id="1"))
    assert [kind for _, kind, _ in creates(world)] == ["application"]
    create(world, application("a1", "p1", "q1", source_id="1"))
    assert (world.intents(), world.holds()) == ([], set())
    assert [(link.left, link.right) for link in world.links()] == [("h1", "p1"), ("1", "q1"), ("1", "a1")]


def create(world, *born):
    """Play the create that waits, up to its answer."""
    from syncd import push  # noqa: PLC0415  # beside its only use

    (intent,) = [i for i in world.intents() if i.call == work.CREATE]
    order = world.send(intent, word="New")
    world.do(push.adopt, intent.id, born, ours=True)
    return order


def test_where_one_call_bears_person_and_application_they_are_one_intent(small):
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"),))
    (intent,) = world.intents()
    assert (intent.kind, len(intent.wants)) == ("application", 2)
    assert world.values(intent)["person"] == {"name": "Ann Lee", "email": "ann@example.com", "phone": "+12025550100"}


def test_a_second_application_that_a_system_cannot_make_is_held(small):
    """WorkSignal makes an application together with its person; it has no call for one more."""
    world = small("rows", "newborn")
    world.known(rows=HUB, newborn=(job("p1"), job("p2", "Cook"), person("q1"), application("a1", "p1", "q1")))
    world.told("rows", job("h2", "Cook"), *row("2", "h2"))
    assert world.holds() == {Held("rows", "application", "2", "", "second_application")}
    assert world.intents() == []


def test_a_person_without_a_mail_is_not_created(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1"), *row("1", "h1", email=None)), plain=(job("p1"),))
    assert Held("rows", "candidate", "1", "", "no_email") in world.holds()
    assert creates(world) == []


def test_nobody_waits_for_the_mail_of_a_person_who_would_not_be_created_anyway(small):
    world = small("rows", "plain", flows={JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: TO_RIGHT})
    world.known(rows=(job("h1"),), plain=(job("p1"), person("q1", email=None), application("a1", "p1", "q1")))
    assert world.holds() == set()


def test_a_mail_that_is_told_later_lets_the_person_be_created(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1"), *row("1", "h1", email=None)), plain=(job("p1"),))
    world.told("rows", *row("1", "h1"))
    assert [kind for _, kind, _ in creates(world)] == ["candidate"]
    assert world.holds() == set()


def test_a_stage_without_a_word_over_there_holds_the_create(small):
    words = {"plain": {"stages": {"write": {"screening": []}}}}
    world = small("rows", "plain", words=words)
    world.known(rows=(job("h1"), *row("1", "h1", "Screen")), plain=(job("p1"), person("q1")))
    assert world.holds() == {Held("rows", "application", "1", "stage", "no_word_for_stage")}


def test_an_unmapped_stage_holds_the_create(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1"), *row("1", "h1", "Coffee")), plain=(job("p1"), person("q1")))
    assert world.holds() == {Held("rows", "application", "1", "stage", "unmapped_stage")}
    assert creates(world) == []


# --- what a target demands ------------------------------------------------------------------------------------------


def test_a_field_that_the_target_demands_and_nobody_has_is_held_by_name(small):
    world = small("rows", "plain", facts={"plain": demanding(JOB, "title", "code")})
    world.known(rows=(job("h1"),))
    assert world.holds() == {Held("rows", "job", "h1", "code", "missing_code")}
    assert world.intents() == []


def test_a_default_stands_in_for_what_nobody_has(small):
    world = small("rows", "plain", facts={"plain": demanding(JOB, "title", "code")}, defaults={"plain": {"code": "X"}})
    world.known(rows=(job("h1"),))
    assert creates(world) == [("plain", "job", {"title": "Baker", "status": "open", "code": "X"})]


def test_a_default_does_not_stand_in_for_what_the_source_has(small):
    world = small("rows", "plain", facts={"plain": demanding(JOB, "title", "code")}, defaults={"plain": {"code": "X"}})
    world.known(rows=(job("h1", fields={"code": "C7"}),))
    assert creates(world)[0][2]["code"] == "C7"


def test_what_a_birth_demands_of_its_person_is_held_by_name(small):
    facts = demanding(APPLICATION, "person.name", "person.email", "person.phone", flavour="newborn")
    world = small("rows", "newborn", facts={"newborn": facts})
    world.known(rows=(job("h1"), *row("1", "h1", phone=None)), newborn=(job("p1"),))
    assert world.holds() == {Held("rows", "application", "1", "phone", "missing_phone")}


def test_a_missing_field_that_is_told_later_lets_the_create_go(small):
    world = small("rows", "plain", facts={"plain": demanding(JOB, "title", "code")})
    world.known(rows=(job("h1"),))
    world.told("rows", job("h1", fields={"code": "C7"}))
    assert len(creates(world)) == 1
    assert world.holds() == set()


@pytest.fixture
def defaulted(small):
    """A job stands in both systems; its code at the target is a default that we wrote."""
    two_way = {JOB: BOTH, CANDIDATE: BOTH, APPLICATION: BOTH}
    facts = {"plain": demanding(JOB, "title", "code")}
    world = small("left=plain", "plain", facts=facts, defaults={"plain": {"code": "X"}}, flows=two_way)
    world.known(left=(job("h1"),))
    create(world, job("p1", fields={"code": "X"}))
    world.told("plain", job("p1", fields={"code": "X"}))
    return world


def test_a_default_that_we_wrote_is_no_value_and_never_flows_back(defaulted):
    """Else "Software" would come back as every customer's industry."""
    assert (defaulted.intents(), defaulted.holds()) == ([], set())
    assert "code" not in defaulted.row("plain", JOB, "p1").seen


def test_a_default_of_yesterdays_config_is_no_value_either(defaulted):
    connection = replace(defaulted.world.connections["plain"], defaults={"code": "Y"})
    pairs = tuple(replace(pair, right=connection) for pair in defaulted.world.pairs)
    defaulted.world = replace(
        defaulted.world, connections={**defaulted.world.connections, "plain": connection}, pairs=pairs, stamp="next"
    )
    defaulted.told("plain", job("p1", fields={"code": "X"}))
    assert (defaulted.intents(), defaulted.holds()) == ([], set())


def test_the_sources_own_value_replaces_a_default(defaulted):
    defaulted.told("left", job("h1", fields={"code": "C7"}))
    assert defaulted.updates() == {("plain", "p1", (("code", "C7"),))}


def test_a_default_that_somebody_replaced_becomes_a_value(defaulted):
    defaulted.told("plain", job("p1", fields={"code": "C9"}))
    assert defaulted.updates() == {("left", "h1", (("code", "C9"),))}


def test_a_default_that_somebody_replaced_and_typed_again_is_a_value(defaulted):
    defaulted.told("plain", job("p1", fields={"code": "C9"}))
    defaulted.told("plain", job("p1", fields={"code": "X"}))
    assert defaulted.updates() == {("left", "h1", (("code", "X"),))}


def test_the_same_text_on_a_record_that_we_did_not_make_is_a_value(defaulted):
    for defaulted.learning in (True, False):
        defaulted.told("left", job("h2", "Cook"))
        defaulted.told("plain", job("p2", "Cook", fields={"code": "X"}))
    link = next(link for link in defaulted.links() if link.left == "h2")
    assert link.right == "p2"
    assert ("left", "h2", (("code", "X"),)) in defaulted.updates()


# --- scope and direction --------------------------------------------------------------------------------------------


def test_what_is_out_of_scope_is_known_and_not_created(small):
    world = small("rows", "plain", only={"job": ("h2",)})
    world.known(rows=HUB)
    assert (world.intents(), world.holds()) == ([], set())
    assert world.row("rows", JOB, "h1").settled is not None


def test_a_linked_job_that_leaves_the_scope_is_still_told(small):
    """A closed job must close at the screening service too, or it goes on phoning people."""
    world = in_step(small("rows", "plain", only={"job_status": ("open",)}))
    world.told("rows", job("h1", fields={"status": "closed"}))
    assert world.updates() == {("plain", "p1", (("status", "closed"),))}


def test_people_of_a_job_out_of_scope_are_not_created(small):
    """A pilot on one job must not copy the people of all other jobs."""
    world = small("rows", "plain", only={"job_status": ("open",)})
    closed = {"status": "closed"}
    world.known(rows=(job("h1", fields=closed), *row("1", "h1")), plain=(job("p1", fields=closed),))
    assert (world.intents(), world.holds()) == ([], set())


def test_people_of_a_job_that_comes_into_scope_are_created(small):
    world = small("rows", "plain", only={"job_status": ("open",)})
    closed = {"status": "closed"}
    world.known(rows=(job("h1", fields=closed), *row("1", "h1")), plain=(job("p1", fields=closed),))
    world.told("rows", job("h1"))
    world.told("rows", *row("1", "h1"))
    assert [kind for _, kind, _ in creates(world)] == ["candidate"]


@pytest.mark.parametrize(
    ("flows", "created"),
    [
        ({JOB: TO_RIGHT, CANDIDATE: BOTH, APPLICATION: BOTH}, True),
        ({JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: BOTH}, False),
        ({JOB: TO_RIGHT, CANDIDATE: BOTH, APPLICATION: TO_RIGHT}, False),
        ({JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: TO_RIGHT}, False),
    ],
    ids=["both flow to the hub", "only applications", "only people", "neither"],
)
def test_who_applies_at_a_spoke_is_created_at_the_hub_only_if_people_and_applications_flow_there(small, flows, created):
    world = small("rows", "plain", flows=flows)
    world.known(rows=(job("h1"),), plain=SPOKE)
    assert bool(creates(world, "rows")) is created


def test_a_draft_agrees_with_an_open_job_where_nothing_may_be_published(small):
    """Postings stay unpublished unless the pair says so; a draft over there is no drift."""
    words = {"plain": {"statuses": {"read": {"draft": "draft"}, "write": {"draft": ["draft"]}}}}
    spoke = (job("p1", fields={"status": "draft"}),)
    world = small("rows", "plain", words=words)
    world.known(rows=(job("h1"),), plain=spoke)
    assert (world.intents(), world.holds()) == ([], set())
    publishing = small("rows", "plain", words=words, publish=True)
    publishing.known(rows=(job("h1"),), plain=spoke)
    assert publishing.updates() == {("plain", "p1", (("status", "open"),))}


def test_a_job_that_closes_closes_its_draft(small):
    words = {"plain": {"statuses": {"read": {"draft": "draft"}, "write": {"draft": ["draft"]}}}}
    world = small("rows", "plain", words=words)
    world.known(rows=(job("h1"),), plain=(job("p1", fields={"status": "draft"}),))
    world.told("rows", job("h1", fields={"status": "closed"}))
    assert world.updates() == {("plain", "p1", (("status", "closed"),))}


# --- a create that waits --------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(small):
    """A job's create waits for its turn."""
    world = small("rows", "plain")
    world.known(rows=(job("h1", fields={"code": "C7"}),))
    return world


def test_a_source_that_changes_meanwhile_is_created_as_it_is_now(waiting):
    waiting.told("rows", job("h1", "Head Baker", fields={"code": "C7"}))
    assert creates(waiting) == [("plain", "job", {"title": "Head Baker", "code": "C7", "status": "open"})]
    assert len(waiting.links()) == 1


def test_a_field_that_is_filled_meanwhile_is_created_too(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1"),))
    world.told("rows", job("h1", fields={"code": "C7"}))
    assert creates(world) == [("plain", "job", {"title": "Baker", "code": "C7", "status": "open"})]


def test_a_source_that_goes_meanwhile_is_not_created(waiting):
    waiting.gone("rows", Ref(JOB, "h1"))
    assert (waiting.intents(), waiting.links()) == ([], [])


def test_a_refused_create_is_planned_anew_when_its_source_changes(waiting):
    waiting.do(hold, waiting.intent().id)
    assert waiting.reasons() == ["rejected"]
    waiting.told("rows", job("h1", fields={"code": "C7"}))
    assert waiting.reasons() == ["rejected"], "told again as it was: refused still"
    waiting.told("rows", job("h1", "Head Baker", fields={"code": "C7"}))
    assert waiting.reasons() == []
    assert waiting.intent().state == "open"


def hold(work, id_, reason="rejected"):
    from syncd import push  # noqa: PLC0415  # beside its only use

    intents.hold_intent(work, push.load(work, id_), reason)


@pytest.mark.parametrize("by", ["source_id", "title"])
def test_a_job_that_somebody_makes_meanwhile_is_adopted_when_a_list_tells_it(waiting, by):
    """design 5: "never create a job where an unlinked one of that title stands"."""
    waiting.told("plain", job("p9", "Baker" if by == "title" else "Bäcker", source_id="h1" if by != "title" else None))
    assert creates(waiting) == []
    (link,) = waiting.links()
    assert (link.left, link.right) == ("h1", "p9")


def test_a_person_who_applies_there_meanwhile_is_adopted(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"),))
    assert len(creates(world)) == 1
    world.told("plain", person("q7"), application("a7", "p1", "q7"))
    assert world.link(CANDIDATE).right == "q7"
    assert (creates(world), world.holds()) == ([], set())


def test_what_we_may_have_made_of_who_is_gone_by_now_is_not_somebody_new(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"),))
    world.do(hold, world.intent(call="create").id, "unknown_outcome")
    world.gone("rows", Ref(APPLICATION, "1"))
    assert world.reasons() == ["unknown_outcome"]
    world.told("plain", person("q7"), application("a7", "p1", "q7"))
    assert creates(world) == []
    assert world.link(CANDIDATE).right == "q7"
    assert sorted(world.reasons()) == ["parent_vanished", "vanished"]


def test_who_is_entered_anew_is_not_created_beside_what_we_may_have_made(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"),))
    world.do(hold, world.intent(call="create").id, "unknown_outcome")
    world.gone("rows", Ref(APPLICATION, "1"))
    world.told("rows", *row("2", "h1", created_at=77.0))
    assert [intent.state for intent in world.intents()] == ["held"]
    assert sorted(world.reasons()) == ["email_taken", "unknown_outcome"]


# --- writes ---------------------------------------------------------------------------------------------------------


def test_one_unsent_intent_per_record_and_call_and_a_newer_merge_replaces_its_fields(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    first = world.intent()
    world.told("rows", *row("1", "h1", phone=OTHER, name="Ann Marie Lee"))
    (intent,) = world.intents()
    assert intent.id == first.id
    assert world.values(intent) == {"phone": OTHER, "name": "Ann Marie Lee"}


def test_fields_of_two_calls_are_two_intents(world):
    world.told("rows", *row("1", "h1", "Screen", phone=NEW))
    assert sorted((i.kind, i.call, i.priority) for i in world.intents()) == [
        ("application", "move", 0),
        ("candidate", "patch", 1),
    ]


def test_a_change_that_is_taken_back_writes_nothing_after_a_look(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("rows", *row("1", "h1"))
    assert world.send(world.intent(), person("q1")) is None
    assert (world.intents(), world.holds()) == ([], set())


def test_a_field_that_is_taken_back_leaves_the_other(world):
    world.told("rows", *row("1", "h1", phone=NEW, name="Ann Marie Lee"))
    world.told("rows", *row("1", "h1", name="Ann Marie Lee"))
    assert world.send(world.intent(), person("q1")).fields == {"name": "Ann Marie Lee"}


def test_who_takes_a_change_back_is_not_overruled_by_what_stood_elsewhere_unseen(world):
    """Of two people who said something since the ends agreed, one said what they had agreed on: that is no consent."""
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("rows", *row("1", "h1"))
    assert world.send(world.intent(), person("q1", phone=OTHER)) is None
    assert (world.updates(), world.reasons()) == (set(), ["conflict"])


def test_agreement_with_what_an_end_told_long_ago_is_looked_at_before_it_is_believed(world):
    """A refused write waits for a person, the source comes round to what was told there, and there it was changed."""
    world.told("rows", *row("1", "h1", phone=NEW))
    refused = world.intent()
    world.send(refused, person("q1"))
    world.do(push.failed, refused.id, Rejected("no such phone"), 0.5)
    world.later(10.0)
    world.told("rows", *row("1", "h1"))
    world.told("plain", person("q1", phone=OTHER))
    assert (world.updates(), world.reasons()) == (set(), ["conflict"])


def test_a_write_keeps_no_value_that_it_does_not_need_any_more(world):
    world.told("rows", *row("1", "h1", phone=NEW, name="Ann Marie Lee"))
    world.told("rows", *row("1", "h1", phone=NEW))
    assert NEW in repr(world.intent().sealed)
    assert "Marie" not in repr(world.intent().sealed)


def test_a_target_that_comes_into_step_by_itself_needs_no_write(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("plain", person("q1", phone=NEW))
    assert (world.intents(), world.holds()) == ([], set())
    assert world.agrees(CANDIDATE, "phone")


def test_a_move_is_written_in_our_word_and_before_all_else(world):
    world.told("rows", *row("1", "h1", "Screen"))
    intent = world.intent()
    assert (world.values(intent), intent.priority) == ({"stage": "screening"}, 0)


def test_what_changed_while_the_value_is_not_in_hand_is_read_first(world):
    """The store has digests only: a merge that lacks a value marks that ref and goes on."""
    world.told("rows", *row("1", "h1", phone=NEW))
    world.do(forget_intents)
    world.do(remerge)
    assert world.intents() == []
    assert ("rows", "1", "value") in world.marks()


def forget_intents(work):
    work.sql.execute(schema.intents.delete())


def remerge(work):
    settle.settle(work, "plain", CANDIDATE, "q1")


# --- conflicts and holds --------------------------------------------------------------------------------------------


def both_move(world):
    world.told("rows", *row("1", "h1", "Screen"))
    world.told("plain", application("a1", "p1", "q1", "Talk"))


def test_a_conflict_is_one_hold_and_no_write(world):
    both_move(world)
    assert world.holds() == {Held("rows", "application", "1", "stage", "conflict")}
    assert world.intents() == []


def test_a_conflict_that_is_told_again_stays_one_hold(world):
    both_move(world)
    opened = world.select(schema.holds)
    both_move(world)
    assert world.select(schema.holds) == opened
    assert len(world.journal("held")) == 1


def test_a_conflict_tells_the_words_in_clear_and_no_persons_values(world):
    both_move(world)
    world.told("rows", *row("1", "h1", "Screen", phone=NEW))
    world.told("plain", person("q1", phone=OTHER))
    assert {hold.field: hold.detail for hold in world.select(schema.holds)} == {"stage": "Screen / Talk", "phone": ""}


def test_a_conflict_keeps_what_both_ends_tell_now(world):
    both_move(world)
    world.told("plain", application("a1", "p1", "q1", "Deal"))
    (hold_,) = world.select(schema.holds)
    assert (hold_.left_digest, hold_.right_digest, hold_.detail) == ("=Screen", "=Deal", "Screen / Deal")


def test_other_fields_flow_while_one_is_held(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    world.told("plain", person("q1", phone=OTHER, name="Ann Marie Lee"))
    assert world.reasons() == ["conflict"]
    assert world.updates() == {("rows", "1", (("name", "Ann Marie Lee"),))}


def test_a_conflict_that_people_settle_by_hand_closes_itself(world):
    both_move(world)
    world.told("rows", *row("1", "h1", "Talk"))
    assert (world.intents(), world.holds()) == ([], set())


@pytest.mark.parametrize("taken", ["left", "right"])
def test_a_decision_is_carried_out(world, taken):
    both_move(world)
    world.do(decide, world.link(APPLICATION).id, taken)
    expected = ("plain", "a1", "screening") if taken == "left" else ("rows", "1", "interview")
    assert world.updates() == {(expected[0], expected[1], (("stage", expected[2]),))}
    assert world.holds() == set()


def decide(work, link_id, taken):
    link = work.tx.link(link_id)
    ends = [work.tx.record(name, APPLICATION, id_) for name, id_ in (("rows", link.left), ("plain", link.right))]
    link.decided = {"stage": [taken, *(end.seen["stage"] for end in ends)]}
    work.tx.put_link(link)
    settle.settle(work, "rows", APPLICATION, link.left)


def test_a_decision_does_not_hold_for_what_changed_since(world):
    """She took the left side's "Screen"; meanwhile the left says "Out": nobody decided that."""
    both_move(world)
    world.do(decide, world.link(APPLICATION).id, "left")
    world.told("rows", *row("1", "h1", "Out"))
    assert world.intents() == []
    assert len(world.holds()) == 1


def test_a_record_that_differs_in_much_at_first_sight_is_one_hold(small):
    world = small("rows", "plain")
    other = person("q1", name="Anna Li", phone=OTHER)
    world.known(rows=HUB, plain=(job("p1"), other, application("a1", "p1", "q1")))
    assert len(world.holds()) == 1


def test_another_name_at_first_sight_is_held_and_the_rest_flows(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1", name="Anna Li", phone=None), application("a1", "p1", "q1")))
    assert world.holds() == {Held("rows", "candidate", "1", "name", "other_name")}
    assert world.updates() == {("plain", "q1", (("phone", "+12025550100"),))}


def test_two_of_one_mail_found_by_a_sweep_are_held(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1"), person("q2")))
    assert {hold_.reason for hold_ in world.holds()} == {"duplicate"}
    assert creates(world) == []


def test_who_was_held_for_looking_like_somebody_is_read_again_when_that_one_is_gone(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=(job("p1"), person("q1"), person("q2")))
    world.gone("plain", Ref(CANDIDATE, "q2"))
    assert {("plain", "q1", "twin_gone"), ("rows", "1", "twin_gone")} & world.marks()
    for connection, id_, _ in sorted(world.marks()):
        world.told(connection, *(row(id_, "h1") if connection == "rows" else (person(id_),)))
    assert world.link(CANDIDATE).right == "q1"
    assert "duplicate" not in world.reasons()


def test_who_applied_twice_for_a_job_is_read_again_when_the_first_application_is_gone(world):
    world.told("rows", *row("2", "h1"))
    assert Held("rows", "application", "2", "", "duplicate") in world.holds()
    world.gone("rows", Ref(APPLICATION, "1"))
    assert ("rows", "2", "twin_gone") in world.marks()


def test_drift_at_the_target_of_a_one_way_pair_is_journalled_and_not_written_back(small):
    world = in_step(small("rows", "plain", flows={JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: TO_RIGHT}))
    world.told("plain", person("q1", phone=OTHER))
    assert (world.updates(), world.holds()) == (set(), set())
    assert [(line.ref, line.fields) for line in world.journal("drift")] == [("q1", ["phone"])]
    world.told("rows", *row("1", "h1", phone=NEW))
    assert world.updates() == {("plain", "q1", (("phone", NEW),))}


def test_a_vanished_end_is_held_and_what_was_planned_is_dropped(world):
    world.told("rows", *row("1", "h1", phone=NEW))
    world.gone("plain", Ref(CANDIDATE, "q1"))
    assert world.intents() == []
    assert Held("rows", "candidate", "1", "", "vanished") in world.holds()


# --- cut links ------------------------------------------------------------------------------------------------------


def cut(work, kind):
    """What cutting a link by hand does: the link goes, and the two are not linked again by themselves."""
    pair = work.world.pairs[0]
    found = [row_ for row_ in work.sql.execute(schema.links.select()).mappings() if row_["kind"] == kind.value]
    link = work.tx.link(found[0]["id"])
    values = {"pair": pair.name, "kind": kind.value, "left": link.left, "right": link.right, "apart": True, "at": 0.0}
    work.sql.execute(schema.cuts.insert().values(values))
    work.tx.drop_link(link)
    settle.settle(work, pair.left.name, kind, link.left)


def test_people_that_were_cut_apart_are_not_joined_and_not_doubled(world):
    world.do(cut, CANDIDATE)
    world.told("rows", *HUB)
    assert world.links(CANDIDATE) == []
    assert creates(world) == []


def test_jobs_that_were_cut_apart_are_not_joined_and_not_doubled(world):
    world.do(cut, JOB)
    world.told("rows", *HUB)
    assert world.links(JOB) == []
    assert creates(world) == []


# --- the hub and its spokes -----------------------------------------------------------------------------------------


@pytest.fixture
def star(small):
    """The hub and two spokes."""
    return in_step(small("rows", "plain", "other=plain"))


def test_a_change_at_the_hub_goes_to_every_spoke(star):
    star.told("rows", *row("1", "h1", "Screen"))
    assert star.updates() == {("plain", "a1", (("stage", "screening"),)), ("other", "a1", (("stage", "screening"),))}


def test_a_change_at_a_spoke_goes_to_the_hub_first(star):
    star.told("plain", application("a1", "p1", "q1", "Screen"))
    assert star.updates() == {("rows", "1", (("stage", "screening"),))}


def test_two_spokes_that_want_the_same_share_one_write(star):
    for spoke in ("plain", "other"):
        star.told(spoke, application("a1", "p1", "q1", "Screen"))
    assert star.updates() == {("rows", "1", (("stage", "screening"),))}
    assert len(star.intent().wants) == 2


def test_two_spokes_that_want_unlike_values_at_the_hub_are_held(star):
    star.told("plain", application("a1", "p1", "q1", "Screen"))
    star.told("other", application("a1", "p1", "q1", "Talk"))
    assert "spokes_disagree" in star.reasons()


def test_neither_of_two_spokes_that_disagree_is_written(star):
    star.told("plain", application("a1", "p1", "q1", "Screen"))
    star.told("other", application("a1", "p1", "q1", "Talk"))
    assert star.updates() == set()


def test_a_dispute_that_one_spoke_gives_up_is_written_for_the_other(star):
    star.told("plain", application("a1", "p1", "q1", "Screen"))
    star.told("other", application("a1", "p1", "q1", "Talk"))
    assert {hold.reason for hold in star.holds()} == {"spokes_disagree"}
    star.told("plain", application("a1", "p1", "q1", "Talk"))
    assert (star.updates(), star.holds()) == ({("rows", "1", (("stage", "interview"),))}, set())


@pytest.fixture
def not_taken(star):
    """A move that one spoke told, and that somebody at the hub took back at once."""
    star.told("other", application("a1", "p1", "q1", "Screen"))
    star.do(hold, star.intent().id)
    return star


def test_what_was_refused_once_is_refused_for_the_other_spoke_too(not_taken):
    not_taken.told("plain", application("a1", "p1", "q1", "Screen"))
    assert not_taken.intent().state == "held"
    assert len(not_taken.intent().wants) == 2
    not_taken.told("plain", application("a1", "p1", "q1", "New"))
    assert (not_taken.intent().state, len(not_taken.intent().wants)) == ("held", 1)


def test_a_refusal_is_over_when_its_source_was_read_after_its_target_came_round(not_taken):
    not_taken.later(10.0)
    not_taken.told("rows", *row("1", "h1", "Screen"))
    assert not_taken.intent("rows").state == "held"
    assert not_taken.marks("other") == {("other", "a1", "contested")}
    not_taken.later(1.0)
    not_taken.told("other", application("a1", "p1", "q1", "Screen"))
    assert not_taken.intents("rows") == []


def test_who_moved_on_while_a_refusal_came_round_is_not_carried_over_it(not_taken):
    not_taken.later(10.0)
    not_taken.told("rows", *row("1", "h1", "Screen"))
    not_taken.later(1.0)
    not_taken.told("other", application("a1", "p1", "q1", "Rejected"))
    assert (not_taken.intents("rows"), not_taken.reasons()) == ([], ["conflict"])


def test_what_one_spoke_no_longer_wants_is_still_wanted_by_the_other(star):
    for spoke in ("plain", "other"):
        star.told(spoke, person("q1", phone=NEW))
    star.told("plain", person("q1"))
    assert star.updates() == {("rows", "1", (("phone", NEW),))}


# --- the journal ----------------------------------------------------------------------------------------------------


def test_the_journal_names_fields_and_never_values(world):
    world.told("rows", *row("1", "h1", "Screen", phone=NEW))
    lines = world.select(schema.journal)
    assert {tuple(line.fields) for line in world.journal("update_planned")} == {("phone",), ("stage",)}
    for value in (NEW, "Ann", "ann@example.com", digest("phone", NEW)):
        assert value not in repr(lines)


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION])
def test_each_new_link_is_journalled_with_the_rule_that_made_it(world, kind):
    rules = {"job": "title", "candidate": "email", "application": "person_and_job"}
    assert rules[kind.value] in {line.detail for line in world.journal("linked") if line.kind == kind.value}


def test_who_applies_for_a_job_that_is_gone_at_the_other_end_is_asked_about_and_not_planned_again_and_again(quick):
    world = quick("rows", "plain", poll_s=60.0, sweep_s=300.0)
    hub, spoke = world.systems["rows"], world.systems["plain"]
    job_id = hub.add(JOB, {"title": "Baker", "code": "B", "status": "open"})
    engine = world.live(400.0, learn=True)
    (made,) = spoke.of(JOB)
    spoke.remove(made.ref)
    fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
    hub.add(APPLICATION, fields, parents={JOB: job_id})
    world.live(2000.0, engine)
    assert "parent_vanished" in world.reasons()
    assert not world.intents("plain")
    assert len(world.journal("create_planned")) <= 3


# --- what the network makes twice -----------------------------------------------------------------------------------


@pytest.fixture
def made(small):
    """A job of the hub was created at the spoke, as p1."""
    world = small("left=plain", "plain", flows={JOB: BOTH})
    world.proven()
    world.told("left", job("h1"))
    world.do(push.send_create, world.intent().id, None)
    world.do(push.adopt, world.intent().id, (job("p1"),), ours=True)
    return world


def test_a_job_that_stands_beside_one_that_we_just_made_is_asked_about(made):
    made.told("plain", job("p2", created_at=START + 3.0))
    assert (creates(made), made.reasons()) == ([], ["ambiguous_job"])
    made.do(resolve, made.select(schema.holds)[0].id, "new", None)
    made.told("plain", job("p2", created_at=START + 3.0))
    assert ([name for name, _, _ in creates(made)], made.reasons()) == (["left"], [])


def test_a_job_of_the_same_title_that_came_later_is_another(made):
    made.told("plain", job("p2", created_at=START + 300.0))
    assert [name for name, _, _ in creates(made)] == ["left"]


def test_two_jobs_of_one_title_that_people_make_at_once_are_two(made):
    made.told("left", job("h2"))
    assert [name for name, _, _ in creates(made)] == ["plain"]
