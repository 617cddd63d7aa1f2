"""The portal's JSON as records: the vendor's own examples, both places of a stage, the liberties, and nonsense."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.portal import wire
from syncd.errors import Rejected, Stale
from syncd.model import Draft, Kind, Parent, Record, Ref
from tests.laws import examples

# https://sprint-mode-docs.pages.dev/api/jobs prints these and hardly more
LIST = {"ok": True, "data": [], "total": 4228}
RECOMMENDED = {"candidate_id": "cand_a1b2", "name": "Jane Smith", "score": 92, "reasoning": "Strong React"}

PERSON = {
    "id": "cand_9f2c1a77", "name": "Ana Ruiz", "email": "ana@example.test", "phone": None, "linkedin_url": None,
    "location": "Reno, NV", "current_title": "Welder", "current_company": None, "source": "direct", "stage": "applied",
    "job_id": "job_a1b2c3d4", "product": "studios", "notes": None, "assigned_to": None, "skills": None, "tags": "",
    "rating": None, "archived_at": None, "resume_parsed": '{"skills": []}',
    "created_at": "2026-05-13T10:00:00Z", "updated_at": "2026-05-13T10:00:00Z",
}  # fmt: skip
ASSIGNMENT = {
    "id": "jc_1", "job_id": "job_a1b2c3d4", "candidate_id": "cand_9f2c1a77", "stage": "interview", "notes": None,
    "feedback": None, "placement_date": None, "start_date": "2026-06-01", "salary": "$90k",
    "created_at": "2026-05-14 09:00:00", "updated_at": "2026-05-15 09:00:00",
    "candidate_name": "Ana Ruiz", "job_title": "Welder",
}  # fmt: skip
JOB = {
    "id": "job_a1b2c3d4", "title": "Welder", "product": "studios", "team": None, "description": "..",
    "requirements": None, "location": "Remote", "job_type": "contract", "status": "open",
    "salary_range": "$80k-$120k", "created_at": "2026-05-01T09:00:00Z", "updated_at": "2026-05-01T09:00:00Z",
}  # fmt: skip
REF = Ref(Kind.APPLICATION, "cand_9f2c1a77:job_a1b2c3d4")


def told(person=PERSON, *assignments):
    return {record.ref.id.partition(":")[2]: record for record in wire.applications(person, assignments)}


def assigned(**changes):
    return {**ASSIGNMENT, **changes}


# --- envelopes


def test_the_vendors_list_is_read():
    assert wire.listing_of(LIST) == wire.Listing((), 4228)


def test_contacts_have_another_envelope():
    answer = {"ok": True, "data": {"items": [{"id": "ct_1"}], "total": 7, "page": 1, "limit": 25, "hasMore": False}}
    assert wire.listing_of(answer) == wire.Listing(({"id": "ct_1"},), 7)


@pytest.mark.parametrize("total", [None, "7", 7.5, True, -1, [7]])
def test_a_total_that_is_no_count_is_not_told(total):
    assert wire.listing_of({"ok": 1, "data": [], "total": total}).total is None


@pytest.mark.parametrize(
    "answer",
    [
        None, 7, "x", [], {}, {"data": []}, {"ok": False, "data": []}, {"ok": 0, "data": []}, {"ok": "yes", "data": []},
        {"ok": True}, {"ok": True, "data": None}, {"ok": True, "data": {}}, {"ok": True, "data": {"items": {}}},
        {"ok": True, "data": [None]}, {"ok": True, "data": [{}]}, {"ok": True, "data": [{"id": None}]},
        {"ok": True, "data": [{"id": ""}]}, {"ok": True, "data": [{"id": "a/b"}]}, {"ok": True, "data": [{"id": ".."}]},
        {"ok": True, "data": [{"id": "a:b"}]}, {"ok": True, "data": [{"id": True}]},
    ],
)  # fmt: skip
def test_a_list_of_another_shape_is_refused(answer):
    with pytest.raises((KeyError, TypeError, ValueError)):
        wire.listing_of(answer)


@pytest.mark.parametrize("value", [2, -1, "1", None, [], 0.5])
def test_a_flag_is_zero_or_one(value):
    with pytest.raises(ValueError, match="neither"):
        wire.flag(value)


def test_a_good_answer_to_a_write_names_no_other_thing():
    for answer in ({"ok": True}, {"ok": 1, "data": None}, {"ok": True, "data": {"id": "jc_1"}}):
        wire.acknowledged(answer, "jc_1")
    with pytest.raises(ValueError, match="another"):
        wire.acknowledged({"ok": True, "data": {"id": "jc_2"}}, "jc_1")


# --- values


@pytest.mark.parametrize(
    "text", ["2026-05-13T10:00:00Z", "2026-05-13 10:00:00", "2026-05-13T12:00:00+02:00", "2026-05-13T10:00:00.000Z"]
)
def test_both_forms_of_a_time_are_utc(text):
    assert wire.moment(text) == 1_778_666_400.0


@pytest.mark.parametrize("value", [None, "", "yesterday", 1_778_666_400, [], "2026-13-01", {}])
def test_a_time_that_cannot_be_read_is_not_told(value):
    assert wire.moment(value) is None


def test_a_person_is_read_and_blank_texts_are_empty():
    record = wire.person(PERSON)
    assert record.ref == Ref(Kind.CANDIDATE, "cand_9f2c1a77")
    assert (record.fields["name"], record.fields["phone"], record.fields["tags"]) == ("Ana Ruiz", None, None)
    assert "stage" not in record.fields
    assert "resume_parsed" not in record.fields
    assert (record.created_at, record.version) == (1_778_666_400.0, "2026-05-13T10:00:00Z")


def test_what_a_row_does_not_tell_is_missing():
    assert wire.person({"id": "cand_1", "name": "Ana", "skills": ["welding"]}).fields == {"name": "Ana"}


def test_a_job_is_read():
    record = wire.job(JOB)
    assert record.fields["salary_range"] == "$80k-$120k"
    assert record.fields["team"] is None
    assert set(record.fields) == set(wire.JOB_FIELDS)


@pytest.mark.parametrize("archived_at", ["2026-05-13T10:00:00Z", "2026-05-13 10:00:00"])
def test_who_was_put_away_is_marked_with_all_her_applications(archived_at):
    row = {**PERSON, "archived_at": archived_at}
    assert wire.ARCHIVED in wire.person(row).traits
    assert wire.ARCHIVED in told(row)["job_a1b2c3d4"].traits


# --- the two places of a stage


def test_a_job_without_an_assignment_is_an_application_at_the_persons_stage():
    record = told()["job_a1b2c3d4"]
    assert record.ref == REF
    assert (record.fields["stage"], record.fields["candidate.stage"], record.fields["assignment"]) == (
        "applied", "applied", None,
    )  # fmt: skip
    assert "start_date" not in record.fields, "nobody is placed who is not assigned"
    assert record.traits == {wire.UNASSIGNED}
    assert record.parents == {Kind.JOB: "job_a1b2c3d4", Kind.CANDIDATE: "cand_9f2c1a77"}


def test_an_assignment_is_the_truth_for_its_pair_and_the_ref_stays_the_same():
    record = told(PERSON, ASSIGNMENT)["job_a1b2c3d4"]
    assert record.ref == REF
    assert (record.fields["stage"], record.fields["candidate.stage"], record.fields["assignment"]) == (
        "interview", "applied", "jc_1",
    )  # fmt: skip
    assert (record.fields["start_date"], record.fields["salary"]) == ("2026-06-01", "$90k")
    assert record.traits == {wire.STAGES_DIFFER}
    assert record.version == "2026-05-15 09:00:00/2026-05-13T10:00:00Z/interview applied"
    assert (record.created_at, record.updated_at) == (1_778_749_200.0, 1_778_835_600.0)


def test_an_edit_of_the_person_never_brings_her_older_stage_back():
    edited = {**PERSON, "phone": "+12025550100", "updated_at": "2026-09-01T10:00:00Z"}
    assert told(edited, ASSIGNMENT)["job_a1b2c3d4"].fields["stage"] == "interview"


def test_equal_stages_do_not_differ():
    assert told(PERSON, assigned(stage="applied"))["job_a1b2c3d4"].traits == set()


def test_the_persons_stage_is_told_by_the_one_active_application():
    ended = assigned(id="jc_2", job_id="job_2", stage="rejected")
    applications = told(PERSON, ASSIGNMENT, ended)
    assert "candidate.stage" in applications["job_a1b2c3d4"].fields
    assert applications["job_2"].fields["candidate.stage"] is None
    assert not any(wire.SEVERAL_ACTIVE in record.traits for record in applications.values())


@pytest.mark.parametrize("stages", [("interview", "offer"), ("rejected", "hired")])
def test_a_move_of_the_person_alone_could_be_about_several(stages):
    first, second = stages
    applications = told(PERSON, assigned(stage=first), assigned(id="jc_2", job_id="job_2", stage=second))
    assert [wire.SEVERAL_ACTIVE in record.traits for record in applications.values()] == [True, True]
    assert all("candidate.stage" in record.fields for record in applications.values())


def test_beside_an_assignment_for_another_job_the_persons_stage_says_nothing_of_hers():
    record = told(PERSON, assigned(job_id="job_2"))["job_a1b2c3d4"]
    assert "stage" not in record.fields
    assert wire.UNASSIGNED in record.traits


def test_two_assignments_of_one_pair_are_marked_and_the_newer_is_told():
    newer = assigned(id="jc_2", stage="offer", created_at="2026-05-20 09:00:00")
    record = told(PERSON, newer, ASSIGNMENT)["job_a1b2c3d4"]
    assert record.fields["stage"] == "offer"
    assert wire.ASSIGNED_TWICE in record.traits


def test_assignments_of_others_are_left_out():
    assert list(told({**PERSON, "job_id": None}, assigned(candidate_id="cand_other"))) == []


def test_without_both_times_there_is_no_version():
    assert told(PERSON, assigned(updated_at=None))["job_a1b2c3d4"].version is None


@pytest.mark.parametrize(
    "change", [{"stage": None}, {"stage": ""}, {"stage": 7}, {"job_id": None}, {"candidate_id": []}, {"id": None}]
)
def test_an_assignment_with_nonsense_in_it_is_refused(change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        wire.applications(PERSON, [assigned(**change)])


@pytest.mark.parametrize("stage", [None, "", 7])
def test_a_person_without_a_stage_leaves_it_untold(stage):
    record = told({**PERSON, "stage": stage})["job_a1b2c3d4"]
    assert not {"stage", "candidate.stage"} & record.fields.keys()


@pytest.mark.parametrize("id_", ["", ":", "cand_1", "cand_1:", ":job_1", "cand_1:job_1:x", "..:..", "a/b:c", "a:b?c"])
def test_an_id_of_another_form_names_nothing(id_):
    assert wire.pair_of(Ref(Kind.APPLICATION, id_)) is None


# --- nonsense

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
KEYS = st.sampled_from(["id", "ok", "data", "items", "total", "stage", "job_id", "candidate_id", "created_at", "name"])
NONSENSE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


@examples(150)
@given(NONSENSE, NONSENSE)
def test_any_json_is_read_or_refused_and_never_crashes(one, other):
    readers = (
        lambda: wire.listing_of(one),
        lambda: wire.object_of(one),
        lambda: wire.acknowledged(one, "x"),
        lambda: wire.job(one),
        lambda: wire.person(one),
        lambda: wire.applications(one, [other]),
        lambda: wire.applications(PERSON, [one, other]),
    )
    for read in readers:
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):
            read()


# --- writing


def application(traits=frozenset(), **fields):
    return Record(REF, {"assignment": "jc_1", **fields}, traits=frozenset(traits))


def test_a_move_patches_the_assignment():
    body = {"stage": "offer"}
    assert wire.change(application(), body) == ("PATCH", "/job-candidates/jc_1", body)


def test_the_first_move_makes_the_assignment():
    method, path, body = wire.change(application(assignment=None), {"stage": "offer"})
    assert (method, path) == ("POST", "/job-candidates")
    assert body == {"job_id": "job_a1b2c3d4", "candidate_id": "cand_9f2c1a77", "stage": "offer"}


def test_the_persons_stage_is_patched_on_the_person():
    change = wire.change(application(), {"candidate.stage": "offer"})
    assert change == ("PATCH", "/candidates/cand_9f2c1a77", {"stage": "offer"})


def test_a_placement_is_patched_with_the_assignment_and_waits_for_one():
    fields = {"start_date": "2026-06-01", "placement_date": None}
    assert wire.change(application(), fields) == ("PATCH", "/job-candidates/jc_1", fields)
    with pytest.raises(Rejected, match="not assigned"):
        wire.change(application(assignment=None), fields)


def test_of_two_assignments_none_is_moved():
    with pytest.raises(Rejected, match="two assignments"):
        wire.change(application({wire.ASSIGNED_TWICE}), {"stage": "offer"})


def test_an_application_that_was_not_read_is_read_again():
    with pytest.raises(Stale):
        wire.change(Record(REF, {}), {"stage": "offer"})


def test_what_the_portal_does_not_take_is_refused_by_name():
    person, job = Record(Ref(Kind.CANDIDATE, "c"), {}), Record(Ref(Kind.JOB, "j"), {})
    with pytest.raises(Rejected, match=r"job_id, source"):
        wire.change(person, {"source": "x", "job_id": "y", "name": "Ana"})
    with pytest.raises(Rejected, match="colour"):
        wire.change(job, {"colour": "red"})


def test_a_birth_leaves_out_what_is_empty_and_demands_a_name():
    draft = Draft(Kind.CANDIDATE, {"name": "Ana", "phone": None, "rating": 5})
    assert wire.birth(draft) == ("POST", "/candidates", {"name": "Ana"})
    with pytest.raises(Rejected, match="title"):
        wire.birth(Draft(Kind.JOB, {"team": "Care"}))
    parents = {Kind.JOB: Parent("job_1"), Kind.CANDIDATE: Parent("cand_1")}
    with pytest.raises(Rejected, match="stage"):
        wire.birth(Draft(Kind.APPLICATION, {}, parents))


# --- errors


@pytest.mark.parametrize(
    ("said", "told_"),
    [
        ("Candidate not found", "Candidate not found"),
        ("title is required", "title is required"),
        ("Candidate ana@example.test already assigned", "Candidate … already assigned"),
        ("Ana Ruiz is invalid", "… … is invalid"),
        ("", "Bad Request"),
    ],
)
def test_a_refusal_is_told_without_anybodys_data(said, told_):
    assert wire.explain(httpx.Response(400, json={"ok": False, "error": said})) == told_
