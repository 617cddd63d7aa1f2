"""WorkSignal's JSON as records: the vendor's own examples, the liberties that are read, and nonsense."""

import httpx
import pytest

from connectors.worksignal import wire
from connectors.worksignal.api import explain
from syncd.model import Kind, Ref

# https://worksignal.com/docs/api, "Quick Post": the only objects that the reference prints
QUICK_POST = {
    "role": {"id": 42, "title": "Senior Backend Engineer", "status": "open", "department": "Engineering"},
    "job_posting": {
        "id": 15,
        "title": "Senior Backend Engineer",
        "slug": "senior-backend-engineer",
        "published": True,
        "public_url": "https://worksignal.com/careers/acme/jobs/senior-backend-engineer",
    },
    "career_portal_url": "https://worksignal.com/careers/acme",
}
# the same page, "Error responses"
ERROR = {"error": "Validation failed", "messages": ["Title can't be blank"]}

PERSON = {
    "id": 55,
    "name": "Ana Ruiz",
    "email": "ana@example.test",
    "phone": None,
    "resume_url": None,
    "applications": [
        {"id": 902, "role_id": 43, "stage": "rejected", "status": "rejected", "applied_at": "2026-04-11T09:00:00Z"},
        {
            "id": 901,
            "role_id": 42,
            "stage": "screening",
            "status": "active",
            "applied_at": "2026-04-10T09:00:00Z",
            "updated_at": "2026-04-10T09:00:01.500Z",
        },
    ],
    "created_at": "2026-04-10T09:00:00.250Z",
    "updated_at": "2026-04-10T09:00:00.250Z",
}


def with_applications(*rows):
    return wire.person({**PERSON, "applications": list(rows)})[1:]


def test_the_vendors_role_is_read():
    record = wire.role(wire.one_of(QUICK_POST, "role"))
    assert record.ref == Ref(Kind.JOB, "42")
    assert record.fields == {"title": "Senior Backend Engineer", "status": "open", "department": "Engineering"}
    assert record.version is None


def test_the_vendors_error_is_told():
    assert explain(httpx.Response(422, json=ERROR)) == "Title can't be blank"


@pytest.mark.parametrize(
    "message",
    [
        "Ana Ruiz can't be blank",
        "Email ana@example.test has already been taken",
        "ana@example.test",
        "Name Ana is invalid",
    ],
)
def test_a_message_that_could_hold_a_persons_data_is_not_passed_on(message):
    told = explain(httpx.Response(422, json={"error": message, "messages": [message, "Name can't be blank"]}))
    assert "ana" not in told.casefold()
    assert told.startswith("Name can't be blank; ")


def test_a_posting_tells_where_a_role_is_seen():
    record = wire.role({"id": 42, "title": "Nurse", "job_posting": QUICK_POST["job_posting"]})
    assert record.url == QUICK_POST["job_posting"]["public_url"]


def test_a_candidate_tells_the_person_and_each_application():
    person, ended, active = wire.person(PERSON)
    assert person.ref == Ref(Kind.CANDIDATE, "55")
    assert person.fields == {"name": "Ana Ruiz", "email": "ana@example.test", "phone": None}
    assert (person.created_at, person.version) == (1_775_811_600.25, "2026-04-10T09:00:00.250Z")
    assert active.ref == Ref(Kind.APPLICATION, "55:901")
    assert active.fields == {"stage": "screening", "resume": None}
    assert active.parents == {Kind.JOB: "42", Kind.CANDIDATE: "55"}
    assert (active.created_at, active.updated_at) == (1_775_811_600.0, 1_775_811_601.5)
    assert (ended.traits, active.traits) == ({wire.ENDED}, frozenset())


def test_two_active_applications_are_marked():
    both = with_applications({"id": 1, "role_id": 7, "stage": "applied"}, {"id": 2, "role_id": 8, "stage": "offer"})
    assert [record.traits for record in both] == [{wire.SEVERAL_ACTIVE}] * 2


def test_an_exit_that_only_the_status_tells_is_the_stage():
    (record,) = with_applications({"id": 1, "role_id": 7, "stage": "screening", "status": "rejected"})
    assert record.fields["stage"] == "rejected"
    assert record.traits == {wire.ENDED}


def test_a_role_may_be_told_as_an_object():
    (record,) = with_applications({"id": "1", "role": {"id": 7, "title": "Nurse"}, "stage": "applied"})
    assert record.parents[Kind.JOB] == "7"


def test_what_a_row_does_not_tell_is_missing_and_what_is_null_is_empty():
    record = wire.role({"id": 42, "title": "Nurse", "department": None})
    assert record.fields == {"title": "Nurse", "department": None}


@pytest.mark.parametrize("text", ["yesterday", 7, "", "2026-13-01T00:00:00Z", None])
def test_a_time_that_cannot_be_read_is_not_told(text):
    assert wire.role({"id": 1, "created_at": text}).created_at is None


@pytest.mark.parametrize(
    "answer", [[{"id": 1}], {"roles": [{"id": 1}]}, {"data": [{"id": 1}]}, {"roles": [{"id": "1"}], "data": []}]
)
def test_a_list_comes_in_any_envelope(answer):
    assert [wire.id_of(row) for row in wire.rows_of(answer, "roles")] == ["1"]


@pytest.mark.parametrize(
    "answer",
    [None, 7, "roles", {}, {"roles": None}, {"roles": {}}, {"roles": [None]}, {"roles": [{}]},
     {"roles": [{"id": True}]},
     {"roles": [{"id": -1}]}, {"roles": [{"id": "../1"}]}, {"roles": [{"id": 1.5}]}, {"roles": [{"id": "²"}]}],
)  # fmt: skip
def test_a_list_of_another_shape_is_refused(answer):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        wire.rows_of(answer, "roles")


@pytest.mark.parametrize("answer", [{"role": {"id": 1}}, {"data": {"id": 1}}, {"id": 1}, {"id": 1, "role": "x"}])
def test_one_object_comes_with_or_without_its_name(answer):
    assert wire.id_of(wire.one_of(answer, "role")) == "1"


@pytest.mark.parametrize(
    "row",
    [{"id": 1, "title": 7}, {"id": 1, "salary_min": "a lot"}, {"id": 1, "salary_max": 1.5}, {"id": 1, "status": []}],
)
def test_a_role_with_nonsense_in_it_is_refused(row):
    with pytest.raises(TypeError):
        wire.role(row)


@pytest.mark.parametrize(
    "applications",
    ["x", 7, [None], [{}], [{"id": 1}], [{"id": 1, "role_id": 2}], [{"id": 1, "role_id": 2, "stage": None}],
     [{"id": 1, "role_id": None, "stage": "applied"}], [{"id": 1, "role_id": 2, "stage": ""}]],
)  # fmt: skip
def test_a_candidate_with_nonsense_for_applications_is_refused(applications):
    with pytest.raises((KeyError, TypeError, AttributeError)):
        wire.person({**PERSON, "applications": applications})


def test_a_row_that_tells_no_applications_is_refused_because_they_would_look_gone():
    with pytest.raises(KeyError):
        wire.person({"id": 55, "name": "Ana Ruiz"})


def test_applications_told_empty_are_none():
    assert len(wire.person({**PERSON, "applications": None})) == 1


@pytest.mark.parametrize(
    ("meta", "page", "goes_on"),
    [
        ({"total_pages": 3}, 1, True),
        ({"total_pages": 3}, 3, False),
        ({"total_pages": 0}, 1, False),
        ({"next_page": 2, "total_pages": 1}, 1, True),
        ({"next_page": None, "total_pages": 9}, 1, False),
    ],
)
def test_meta_says_whether_the_list_goes_on(meta, page, goes_on):
    assert wire.meta_of({"roles": [], "meta": meta}).goes_on(page) is goes_on


@pytest.mark.parametrize("answer", [[], {"roles": []}, {"meta": None}, {"meta": {"page": 1}}, {"meta": []}])
def test_without_meta_a_list_says_nothing_of_its_pages(answer):
    assert wire.meta_of(answer) is None


@pytest.mark.parametrize(
    ("ref", "candidate"),
    [
        (Ref(Kind.CANDIDATE, "55"), "55"),
        (Ref(Kind.APPLICATION, "55:901"), "55"),
        (Ref(Kind.APPLICATION, "55"), None),
        (Ref(Kind.CANDIDATE, "55:901"), None),
        (Ref(Kind.CANDIDATE, "../roles/1"), None),
        (Ref(Kind.APPLICATION, ":"), None),
        (Ref(Kind.CANDIDATE, ""), None),
    ],
)
def test_an_id_of_another_form_names_nothing(ref, candidate):
    assert wire.candidate_of(ref) == candidate


def test_amounts_are_written_as_integers():
    assert wire.role_body({"salary_min": 90_000.0, "title": "Nurse"}) == {
        "role": {"salary_min": 90_000, "title": "Nurse"}
    }
