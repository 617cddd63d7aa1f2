"""Questions to the store, over rows that the real engine made, on both databases."""

import orjson
import pytest

from syncd import decide, look, schema, switches
from syncd.model import Ref
from syncd.sentences import Case, answers, next_command, told, why
from syncd.store import remember
from tests.unit.small_world import APPLICATION, JOB, START, TO_RIGHT, application, job, person, row

HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1", source_id="1"), application("a1", "p1", "q1"))


def asked(world, question, *arguments):
    return world.store.run_now(question, world.world, *arguments)


def status(world):
    return asked(world, look.status, world.clock.now())


def learnt(world):
    world.do(lambda work: remember(work.sql, "learnt", world.world.stamp))


@pytest.fixture
def world(small):
    """Ann has applied at the hub and is known at the spoke; all is in step."""
    made = small("rows", "plain")
    made.known(rows=HUB, plain=SPOKE)
    learnt(made)
    assert (made.intents(), made.holds()) == ([], set())
    return made


# --- status ---------------------------------------------------------------------------------------------------------


def test_before_the_first_look_nothing_is_in_step_and_it_says_why(small):
    told_now = status(small("rows", "plain"))
    assert (told_now["in_step"], told_now["learnt"]) == (False, False)
    (pair,) = told_now["pairs"]
    assert pair["why_not"] == ["rows was not read whole yet", "plain was not read whole yet"]
    assert [each["reachable"] for each in told_now["connections"]] == [None, None]


def test_all_is_in_step_when_nothing_waits(world):
    told_now = status(world)
    assert told_now["in_step"]
    (pair,) = told_now["pairs"]
    assert pair["links"] == {"job": 1, "candidate": 1, "application": 1}
    assert pair["flows"] == {"job": "->", "candidate": "<->", "application": "<->"}
    assert (pair["waiting"], pair["held"], pair["why_not"]) == (0, {}, [])


def test_the_lag_of_a_list_is_told_from_the_start_of_its_last_proven_walk(world):
    world.later(42.0)
    walks = {each["name"]: each["walks"] for each in status(world)["connections"]}
    assert {walk["name"]: walk["lag_s"] for walk in walks["plain"]} == {
        "jobs": 42.0, "candidates": 42.0, "applications": 42.0,
    }  # fmt: skip
    assert {walk["interval_s"] for walk in walks["rows"]} == {60.0}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("learning", "another 1800000000.0", "the first look is not finished"),
        ("learnt", "another", "the last look had another configuration or scope"),
    ],
)
def test_what_was_not_learnt_under_this_configuration_is_not_in_step(world, name, value, reason):
    world.do(lambda work: remember(work.sql, name, value))
    (pair,) = status(world)["pairs"]
    assert pair["why_not"] == [reason]


def test_a_list_that_takes_long_to_read_is_told(world):
    world.begin("plain", "jobs")
    assert status(world)["in_step"]
    world.later(6.0)
    (pair,) = status(world)["pairs"]
    assert pair["why_not"] == ["plain is being read"]


def test_writes_that_wait_are_counted_for_their_pair_alone(small):
    world = small("rows", "plain", "other=plain")
    world.known(rows=HUB, plain=SPOKE, other=SPOKE)
    learnt(world)
    world.told("plain", application("a1", "p1", "q1", "Talk"))
    waiting = {pair["name"]: (pair["waiting"], pair["in_step"]) for pair in status(world)["pairs"]}
    assert waiting == {"rows-plain": (1, False), "rows-other": (0, True)}
    hub = next(each for each in status(world)["connections"] if each["name"] == "rows")
    assert hub["intents"] == {"open": 1, "under_way": 0, "unknown": 0, "held": 0}


def test_links_that_wait_for_their_other_end_are_counted_apart(world):
    world.told("rows", *row("2", "h1", name="Bob", email="bob@example.com"))
    (pair,) = status(world)["pairs"]
    assert pair["being_created"] == {"candidate": 1}
    assert pair["links"]["candidate"] == 1


@pytest.mark.parametrize(
    ("scope", "reasons"),
    [("*", ["stopped"]), ("pair/rows-plain", ["stopped"]), ("connection/plain", ["plain is stopped"])],
)
def test_what_is_stopped_is_not_in_step(world, scope, reasons):
    world.do(lambda work: switches.stop(work.sql, scope, "paused", work.tx.now))
    (pair,) = status(world)["pairs"]
    assert pair["why_not"] == reasons


def test_a_system_that_does_not_answer_is_told(world):
    row_ = {"name": "plain", "system": "plain", "reached_at": START, "error": "does not answer", "error_at": START + 1}
    world.do(lambda work: work.sql.execute(schema.connections.insert().values(row_)))
    plain = next(each for each in status(world)["connections"] if each["name"] == "plain")
    assert (plain["reachable"], plain["error"]) == (False, "does not answer")
    (pair,) = status(world)["pairs"]
    assert pair["why_not"] == ["plain does not answer"]


def test_records_that_are_to_be_read_are_told(world):
    world.do(lambda work: decide.mark(work, "rows", JOB, "h1", "webhook", 2))
    (pair,) = status(world)["pairs"]
    assert pair["why_not"] == ["1 record of rows is to be read"]


# --- held -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def contested(world):
    world.told("rows", *row("1", "h1", "Talk"))
    world.told("plain", application("a1", "p1", "q1", "Deal"))
    assert world.reasons() == ["conflict"]
    return world


def test_a_held_record_tells_why_and_what_to_do_with_both_ends(contested):
    (hold,) = asked(contested, look.held)
    assert hold["sentence"] == (
        "Both ends changed the stage since they last agreed (Talk / Deal). Choose whose value stays."
    )
    assert hold["next"] == f"syncd resolve {hold['id']} take left   (or: take right, drop)"
    assert (hold["left"]["id"], hold["right"]["id"]) == ("1", "a1")
    assert (hold["pair"], hold["kind"], hold["words"]) == ("rows-plain", "application", "Talk / Deal")
    assert hold["since"] == contested.clock.now()
    assert asked(contested, look.hold_of, hold["id"]) == hold
    assert asked(contested, look.hold_of, 999) is None
    (pair,) = status(contested)["pairs"]
    assert pair["held"] == {"conflict": 1}


def test_a_hold_about_an_unlinked_record_names_its_choices(small):
    world = small("rows", "plain")
    world.proven()
    world.told("plain", job("p1"), job("p2"))
    world.told("rows", job("h1"))
    (hold,) = [hold for hold in asked(world, look.held) if hold["left"]]
    assert hold["choices"] == ["p1", "p2"]
    assert hold["right"] is None
    assert hold["next"].startswith(f"syncd resolve {hold['id']} link p1   (or: new, retry)")


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["1", "q1", "Ann@Example.com"])
def test_a_person_is_found_by_any_id(world, id_):
    found = [each for each in asked(world, look.links, id_) if each["kind"] == "candidate"]
    assert [(each["left"]["id"], each["right"]["id"], each["state"]) for each in found] == [("1", "q1", "linked")]


def test_a_row_finds_the_person_that_it_belongs_to(world):
    world.told("rows", job("h2", "Cook"), *row("2", "h2", created_at=START + 5))
    (person_, _application) = asked(world, look.links, "2")
    assert (person_["left"]["id"], person_["left"]["rows"]) == ("1", ["1", "2"])


def test_an_id_that_nobody_bears_finds_nothing(world):
    assert asked(world, look.links, "nobody") == []
    assert asked(world, look.explain, "nobody")["records"] == []


@pytest.mark.parametrize(
    ("told_there", "settings", "id_", "sentence"),
    [
        ((job("h2", "Cook", fields={"status": "closed"}),), {"only": {"job_status": ("open",)}}, "h2", "out of scope"),
        (row("2", "h9", email="b@example.com"), {}, "2", "Its job h9 and candidate 2 have no counterpart"),
        (row("2", "h1", email=None), {}, "2", "Nobody is created at plain without an e-mail address."),
    ],
)
def test_a_record_without_a_link_says_why(small, told_there, settings, id_, sentence):
    world = small("rows", "plain", **settings)
    world.proven()
    world.told("plain", *SPOKE)
    world.told("rows", *HUB, *told_there)
    reasons = " ".join(each["why"] for each in asked(world, look.links, id_) if each["link"] is None)
    assert sentence in reasons


def test_a_record_that_the_pair_does_not_carry_says_so(world):
    world.told("plain", job("p2", "Cook"))
    (found,) = asked(world, look.links, "p2")
    assert found["why"] == "Pair rows-plain makes no jobs at rows, and none there is like it."


def test_nothing_is_created_before_the_other_side_was_read_whole(small):
    world = small("rows", "plain", flows={JOB: TO_RIGHT})
    world.told("rows", job("h1"))
    (found,) = asked(world, look.links, "h1")
    assert found["why"] == "plain was not read whole yet; only then is anything created there."


# --- explain --------------------------------------------------------------------------------------------------------


def test_a_story_goes_through_all_systems_from_any_id(small):
    world = small("rows", "plain", "other=plain")
    world.known(rows=HUB, plain=SPOKE, other=SPOKE)
    story = asked(world, look.explain, "1")
    assert {(each["connection"], each["id"]) for each in story["records"]} >= {("plain", "a1"), ("other", "a1")}
    assert {each["pair"] for each in story["links"]} == {"rows-plain", "rows-other"}


def test_a_story_tells_field_by_field_what_is_unlike(contested):
    story = asked(contested, look.explain, "a1")
    (link,) = story["links"]
    assert link["fields"] == [
        {"field": "stage", "state": "changed at the left and the right", "words": {"left": "Talk", "right": "Deal"}}
    ]
    assert [hold["reason"] for hold in link["held"]] == ["conflict"]


def test_a_story_tells_the_writes_that_wait(world):
    world.told("rows", *row("1", "h1", "Talk"))
    story = asked(world, look.explain, "a1")
    (write,) = story["links"][0]["writes"]
    assert (write["connection"], write["ref"], write["state"], write["fields"]) == ("plain", "a1", "open", ["stage"])


def test_a_story_tells_what_happened_in_order(small):
    world = small("rows", "plain")
    job_id = world.systems["rows"].add(JOB, {"title": "Baker", "code": None, "status": "open"})
    fields = {"name": "Ann Lee", "email": "ann@example.com", "phone": None, "stage": "New"}
    id_ = world.systems["rows"].add(APPLICATION, fields, parents={JOB: job_id})
    world.live(130.0, learn=True)
    world.systems["rows"].edit(Ref(APPLICATION, id_), {"stage": "Talk"})
    world.live(130.0)
    story = asked(world, look.explain, id_)
    lines = [line["sentence"] for line in story["journal"] if line["kind"] == "application"]
    assert lines == ["to be created", "sent: create", "created", "to be changed", "sent: move", "changed: move"]
    assert [line["at"] for line in story["journal"]] == sorted(line["at"] for line in story["journal"])


def test_no_answer_holds_a_value_of_a_person(contested):
    contested.told("rows", *row("2", "h1", name="Bob Ray", email="bob@example.com", phone="+12025550155"))
    answers_ = [status(contested), asked(contested, look.held), asked(contested, look.links, "1")]
    answers_ += [asked(contested, look.explain, "1"), asked(contested, look.explain, "2")]
    text = orjson.dumps(answers_, option=orjson.OPT_NON_STR_KEYS).decode()
    assert not [value for value in ("Ann", "Lee", "Bob", "Ray", "example.com", "5550") if value in text]


def test_questions_change_nothing(contested):
    before = {table.name: contested.select(table) for table in schema.metadata.sorted_tables}
    for question in (look.held,):
        asked(contested, question)
    for id_ in ("1", "q1", "nobody"):
        asked(contested, look.links, id_)
        asked(contested, look.explain, id_)
    status(contested)
    assert {table.name: contested.select(table) for table in schema.metadata.sorted_tables} == before


# --- sentences ------------------------------------------------------------------------------------------------------

ENDS = {"here": "acme", "there": "screener", "left": "acme", "right": "screener"}


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (
            Case("missing_recruiter_phone", "job", "recruiter_phone", **ENDS),
            (
                "screener demands the recruiter phone, and acme does not tell it. Fill it in there, or set "
                "[connections.screener.defaults] recruiter_phone."
            ),
        ),
        (
            Case("unmapped_stage", "application", "stage", "Tech Chat", **ENDS),
            (
                'acme says "Tech Chat", and no mapping knows that stage. Add it under [connections.acme.stages.read], '
                "or take it out there."
            ),
        ),
        (
            Case("unmapped_stage", "application", "stage", "Tech Chat / Offer", is_linked=True, **ENDS),
            "A stage is in no mapping (Tech Chat / Offer). Add it under [connections.NAME.stages.read] of its end.",
        ),
        (
            Case("no_word_for_status", "job", "status", "paused", **ENDS),
            'screener has no word for the status "paused". Add one under [connections.screener.statuses.write].',
        ),
        (
            Case("vanished", "candidate", detail="right", is_linked=True, **ENDS),
            "The candidate is no longer there at screener. Look for it there; to let it rest, drop this.",
        ),
        (
            Case(
                "rejected",
                "candidate",
                "name phone",
                "PATCH answered 422: {no}",
                is_write=True,
                **{**ENDS, "target": "screener"},
            ),
            "screener refused the write: PATCH answered 422: {no}. Mend the cause, then try again.",
        ),
        (Case("something_new", "job", **ENDS), "Held: something new."),
    ],
)
def test_a_reason_is_a_sentence_that_ends_with_what_to_do(case, sentence):
    assert why(case) == sentence


@pytest.mark.parametrize("reason", ["conflict", "rejected", "vanished", "duplicate", "no_email", "rows_differ"])
@pytest.mark.parametrize("is_write", [True, False])
@pytest.mark.parametrize("is_linked", [True, False])
def test_each_hold_has_an_answer_and_a_command(reason, is_write, is_linked):
    case = Case(reason, "job", is_write=is_write, is_linked=is_linked, **ENDS)
    assert answers(case)
    assert next_command(7, case).startswith(f"syncd resolve 7 {answers(case)[0]}")


def test_the_journal_speaks_in_words():
    assert told("linked", "source_id") == "linked by source id"
    assert told("retried", "") == "tried again at a person's word"
    assert told("never_heard_of", "") == "never heard of"
