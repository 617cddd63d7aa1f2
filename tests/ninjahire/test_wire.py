import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ninjahire import FACTS, wire
from syncd.errors import Rejected
from syncd.model import Draft, Kind, Parent, Record, Ref
from tests.ninjahire import examples

TERMINAL = frozenset({"hired", "rejected", "withdrawn"})
JOB, CANDIDATE, APPLICATION = Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION


def candidate(**changes):
    return wire.record_of(CANDIDATE, {**examples.CANDIDATE_ROW, **changes})


def application(**changes):
    return wire.record_of(APPLICATION, {**examples.APPLICATION_ROW, **changes})


# what is read


def test_the_vendors_job_is_read_whole():
    record = wire.record_of(JOB, examples.JOB_ROW)
    assert record.ref == Ref(JOB, examples.JOB_ID)
    assert record.source_id == "abc123"
    assert record.fields == {name: value for name, value in examples.JOB_BODY.items() if name != "source_id"}
    assert record.version == "2026-01-11T10:00:00Z"
    assert record.created_at == 1_768_035_600.0
    assert record.updated_at == 1_768_125_600.0


def test_the_vendors_candidate_is_read_with_her_full_name():
    record = candidate()
    assert record.source_id == "194897"
    assert record.fields["name"] == "John Doe"
    assert record.fields["status"] == "Interviewing"
    assert set(record.fields) == FACTS.kinds[CANDIDATE].lists


def test_the_vendors_application_is_read_with_its_parents():
    record = application(score=81, screening_status="completed")
    assert record.parents == {JOB: examples.JOB_ID, CANDIDATE: examples.CANDIDATE_ID}
    assert record.fields["source_application_status"] == "Applied"
    assert record.fields["job_source_id"] == "job456"
    assert set(record.fields) == FACTS.kinds[APPLICATION].lists


def test_an_application_tells_the_candidate_and_job_that_it_embeds():
    row = {**examples.APPLICATION_ROW, "candidate": examples.CANDIDATE_ROW, "job": examples.JOB_ROW}
    kinds = [record.ref.kind for record in wire.records_of(APPLICATION, row)]
    assert kinds == [APPLICATION, CANDIDATE, JOB]


def test_embedded_records_name_parents_that_the_row_does_not():
    row = {"id": examples.APPLICATION_ID, "candidate": {"id": examples.CANDIDATE_ID}, "job": {"id": 7}}
    assert wire.parents_of(row) == {JOB: "7", CANDIDATE: examples.CANDIDATE_ID}


def test_what_a_view_leaves_out_is_not_told_and_null_is_told_empty():
    record = wire.record_of(CANDIDATE, {"id": "x", "city": None, "country": " ", "first_name": "Ana"})
    assert record.fields == {"city": None, "country": None, "first_name": "Ana"}


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [("Ana", "Ruiz", "Ana Ruiz"), ("Ana", None, "Ana"), ("Ana", "", "Ana"), (None, "Ruiz", "Ruiz"), (None, None, None)],
)
def test_a_full_name_is_joined_from_its_parts(first, last, name):
    assert candidate(first_name=first, last_name=last).fields["name"] == name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"id": 42}, {"ref": Ref(CANDIDATE, "42")}),
        ({"source_id": 881}, {"source_id": "881"}),
        ({"source_id": ""}, {"source_id": None}),
        ({"source_id": " C-1"}, {"source_id": " C-1"}),
        ({"source_id": ["C-1"]}, {"source_id": None}),
        ({"updated_at": None}, {"version": None, "updated_at": None}),
        ({"updated_at": "yesterday"}, {"version": "yesterday", "updated_at": None}),
        ({"updated_at": "2026-01-11T10:00:00"}, {"updated_at": 1_768_125_600.0}),
        ({"updated_at": "2026-01-11T11:00:00.000+01:00"}, {"updated_at": 1_768_125_600.0}),
        ({"created_at": 1_768_125_600}, {"created_at": None}),
    ],
)
def test_odd_members_of_a_row_are_read_as_far_as_they_go(changes, told):
    record = candidate(**changes)
    assert {name: getattr(record, name) for name in told} == told


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_a_member_that_is_no_plain_value_is_not_told(value):
    assert "city" not in candidate(city=value).fields


ROW = {"id": "x"}


@pytest.mark.parametrize(
    ("answer", "rows", "count"),
    [
        ({"data": [ROW], "count": 137}, 1, 137),
        ({"data": [], "count": 0}, 0, 0),
        ({"data": [ROW]}, 1, None),
        ({"data": [ROW], "count": "137"}, 1, None),
        ({"data": [ROW], "count": True}, 1, None),
        ([ROW, ROW], 2, None),
        (ROW, 1, None),
    ],
)
def test_each_shape_of_a_list_is_understood(answer, rows, count):
    listing = wire.listing_of(answer)
    assert (len(listing.rows), listing.count) == (rows, count)


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"data": None}, {"data": {}}, {"items": []}, {"success": False}, None, 7, "text", [None], [[ROW]],
        {"data": [{"title": "no id"}]}, {"data": [{"id": None}]}, {"data": [{"id": True}]}, {"data": [{"id": ""}]},
    ],
)  # fmt: skip
def test_what_is_no_list_is_never_an_empty_one(answer):
    with pytest.raises(ValueError, match="no "):
        wire.listing_of(answer)


@pytest.mark.parametrize("answer", [ROW, {"data": ROW}, {"data": None, "id": "x"}])
def test_an_object_is_read_bare_or_wrapped(answer):
    assert wire.id_of(wire.object_of(answer)) == "x"


@pytest.mark.parametrize("answer", [{}, [], [ROW], None, {"data": [ROW]}, {"id": {}}, {"message": "hello"}])
def test_what_is_no_object_is_refused(answer):
    with pytest.raises(ValueError, match="no id"):
        wire.object_of(answer)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*wire.TOLD[APPLICATION], "id", "job"]), inner),
    max_leaves=12,
)


@given(json, st.sampled_from([JOB, CANDIDATE, APPLICATION]))
def test_any_json_is_a_record_or_a_value_error(answer, kind):
    try:
        records = wire.records_of(kind, wire.object_of(answer))
    except ValueError:
        return
    assert all(isinstance(record, Record) for record in records)


# what a create sends


def test_the_vendors_job_can_be_written():
    fields = {name: value for name, value in examples.JOB_BODY.items() if name != "source_id"}
    assert wire.new_body(Draft(JOB, fields, source_id="abc123")) == examples.JOB_BODY


def test_the_vendors_candidate_can_be_written():
    fields = {name: value for name, value in examples.CANDIDATE_BODY.items() if name != "source_id"}
    assert wire.new_body(Draft(CANDIDATE, fields, source_id="194897")) == examples.CANDIDATE_BODY


def test_an_application_is_born_passive_so_that_nobody_is_phoned():
    parents = {JOB: Parent(examples.JOB_ID, "job456"), CANDIDATE: Parent(examples.CANDIDATE_ID, "candidate123")}
    body = wire.new_body(Draft(APPLICATION, {"source_application_status": "Applied"}, parents, source_id="77"))
    expected = {name: value for name, value in examples.APPLICATION_BODY.items() if name != "base64file"}
    assert body == {**expected, "application_stage": "PASSIVE", "source_id": "77"}


def test_a_parent_without_a_source_id_is_named_by_its_own_id():
    parents = {JOB: Parent("j"), CANDIDATE: Parent("c", "C-1")}
    body = wire.new_body(Draft(APPLICATION, {"source_application_status": "Applied"}, parents))
    assert (body["job_source_id"], body["candidate_source_id"]) == ("j", "C-1")
    assert "source_id" not in body


def test_a_candidate_known_by_a_full_name_alone_is_created_with_both_parts():
    fields = {"name": "Ana María Ruiz", "email": "a@example.com", "phone_no": "+12025550100", "source": "Referral"}
    body = wire.new_body(Draft(CANDIDATE, fields, source_id="1"))
    assert (body["first_name"], body["last_name"]) == ("Ana María", "Ruiz")
    assert "name" not in body


@pytest.mark.parametrize(
    ("draft", "missing"),
    [
        (Draft(JOB, {"title": "Welder"}, source_id="1"), "industry, state_name, country, recruiter_name"),
        (Draft(CANDIDATE, {"first_name": "A", "email": "a@example.com"}, source_id="1"), "phone_no, source of"),
        (Draft(CANDIDATE, {"first_name": "A", "email": "a@example.com", "phone_no": "+1", "source": "x"}), "source_id"),
        (Draft(APPLICATION, {"source_application_status": "Applied"}), "job_source_id, candidate_source_id"),
    ],
)
def test_a_create_that_lacks_something_is_refused_before_it_is_sent_and_says_what(draft, missing):
    with pytest.raises(Rejected, match=missing):
        wire.new_body(draft)


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [("zip_code", 89501, "89501"), ("min_pay_rate", "22.5", 22.5), ("max_pay_rate", 28, 28), ("city", None, None)],
)
def test_values_are_written_in_their_fields_type(name, value, written):
    record = wire.record_of(JOB, examples.JOB_ROW)
    assert wire.patch_body(record, {name: value}, TERMINAL) == {"title": "LLM Engineer", name: written}


def test_a_rate_that_is_no_number_is_refused_without_its_value():
    with pytest.raises(Rejected, match="only a number as min_pay_rate") as caught:
        wire.patch_body(wire.record_of(JOB, examples.JOB_ROW), {"min_pay_rate": "plenty"}, TERMINAL)
    assert "plenty" not in str(caught.value)


# what an update sends


def test_a_jobs_patch_always_bears_its_title():
    record = wire.record_of(JOB, examples.JOB_ROW)
    assert wire.patch_body(record, {"status": "Closed"}, TERMINAL) == {"title": "LLM Engineer", "status": "Closed"}
    assert wire.patch_body(record, {"title": "Poet"}, TERMINAL) == {"title": "Poet"}


def test_a_candidates_patch_bears_what_is_demanded_as_just_read():
    assert wire.patch_body(candidate(), {"city": "Reno"}, TERMINAL) == {
        "first_name": "John",
        "email": "john.doe@Ninjahire.ai",
        "phone_no": "+11234567890",
        "source": "LinkedIn",
        "source_id": "194897",
        "city": "Reno",
    }


def test_a_candidate_without_a_source_id_keeps_her_own_id_there():
    body = wire.patch_body(candidate(source_id=None), {"city": None}, TERMINAL)
    assert body["source_id"] == examples.CANDIDATE_ID
    assert body["city"] is None


def test_a_candidates_patch_without_a_phone_is_refused_and_says_so():
    with pytest.raises(Rejected, match="demands phone_no of a candidate"):
        wire.patch_body(candidate(phone_no=None), {"city": "Reno"}, TERMINAL)


def test_what_is_demanded_cannot_be_emptied():
    with pytest.raises(Rejected, match="demands email"):
        wire.patch_body(candidate(), {"email": None}, TERMINAL)


@pytest.mark.parametrize(
    ("present", "fields", "parts"),
    [
        ("Doe", {"name": "Jane Doe"}, ("Jane", "Doe")),
        ("de la Cruz", {"name": "Ana de la Cruz"}, ("Ana", "de la Cruz")),
        ("Ruiz", {"name": "Ana  María Ruiz"}, ("Ana María", "Ruiz")),
        ("Ruiz", {"name": "Ana López Gil"}, ("Ana López", "Gil")),
        ("Ruiz", {"name": "Ruiz"}, ("Ruiz", None)),
        (None, {"name": "Ana"}, ("Ana", None)),
        ("Ruiz", {"name": "Ana Gil Díaz", "last_name": "Gil Díaz"}, ("Ana", "Gil Díaz")),
        ("Ruiz", {"name": "Ana Gil", "first_name": "Ana", "last_name": "Gil"}, ("Ana", "Gil")),
    ],
)
def test_a_full_name_is_split_by_the_last_name_that_is_there(present, fields, parts):
    body = wire.patch_body(candidate(last_name=present), fields, TERMINAL)
    assert (body["first_name"], body["last_name"]) == parts


@given(st.text(min_size=1), st.text())
def test_a_split_name_joins_to_the_same_name(name, last):
    parts = wire.split(name, last.strip())
    assert (wire.joined(parts["first_name"], parts["last_name"]) or "").split() == name.split()


@pytest.mark.parametrize(
    ("as_read", "word", "sent"),
    [
        ("ACTIVE", "Interview", "ACTIVE"),
        ("active", "Interview", "ACTIVE"),
        ("PASSIVE", "Interview", "PASSIVE"),
        ("ACTIVE", "hired", "PASSIVE"),
        ("active", " Rejected ", "PASSIVE"),
        ("ACTIVE", "WITHDRAWN", "PASSIVE"),
        ("PAUSED", "Interview", "PASSIVE"),
        (None, "Interview", "PASSIVE"),
        (["ACTIVE"], "Interview", "PASSIVE"),
    ],
)
def test_a_move_keeps_the_activity_as_read_but_nobody_rejected_is_phoned(as_read, word, sent):
    body = wire.patch_body(application(application_stage=as_read), {"source_application_status": word}, TERMINAL)
    assert body == {"source_application_status": word, "application_stage": sent}


def test_further_terminal_words_make_it_passive_too():
    body = wire.patch_body(application(), {"source_application_status": "Placed"}, {"placed"})
    assert body["application_stage"] == "PASSIVE"


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (application(), {"application_stage": "ACTIVE", "source_application_status": "Screening"}),
        (candidate(), {"source_id": "other"}),
        (candidate(), {"status": "Hired"}),
        (wire.record_of(JOB, examples.JOB_ROW), {"job_code": "9", "id": "x"}),
    ],
)
def test_a_field_that_may_not_be_written_is_refused(record, fields):
    with pytest.raises(Rejected, match="takes no"):
        wire.patch_body(record, fields, TERMINAL)


# errors


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"message": "phone_no is required", "statusCode": 400, "error": "Bad Request"}, "about phone_no"),
        (400, {"message": ["email must be an email", "title should not be empty"]}, "about email, title"),
        (400, {"title": "Bad Request", "status": 400, "detail": "page is required"}, "Bad Request"),
        (422, {"errors": [{"field": "job_id"}]}, "about job_id"),
        (404, {"message": "Job not found"}, "Not Found"),
    ],
)
def test_an_error_names_the_fields_that_the_answer_names(status, body, said):
    assert wire.explain(httpx.Response(status, json=body)).endswith(said)


def test_an_error_never_repeats_what_somebody_is_called():
    body = {"message": "jane.doe@example.com of Jane Doe is no email", "detail": "Jane Doe"}
    assert wire.explain(httpx.Response(400, json=body)) == "Bad Request, about email"
