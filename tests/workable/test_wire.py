"""Workable's JSON and records: the reference's own examples, and shapes that nobody has promised."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.workable import FACTS, wire
from syncd.model import Draft, Kind, Parent, Record, Ref
from tests.laws import examples

NONSENSE = (KeyError, TypeError, ValueError, AttributeError)

JOB = orjson.loads(
    """{"id":"5b5d01","title":"Data Engineer","full_title":"Data Engineer - EU/7/DE","shortcode":"A1B2C3D4E5",
 "code":"EU/7/DE","state":"published","sample":false,"confidential":false,"department":"Data",
 "department_hierarchy":[{"id":"1a2b","name":"Data"}],
 "url":"https://acme.workable.com/jobs/5985327","application_url":"https://acme.workable.com/jobs/5985327/candidates/new",
 "shortlink":"https://apply.workable.com/j/A1B2C3D4E5","workplace_type":"hybrid",
 "location":{"location_str":"Lyon, France","country":"France","country_code":"FR","region":"Rhone","region_code":"ARA",
   "city":"Lyon","zip_code":null,"telecommuting":false,"workplace_type":"hybrid"},
 "locations":[{"shortcode":"JABCDEF0123","country_code":"FR","country_name":"France","state_code":"ARA","subregion":null,
   "zip_code":null,"city":"Lyon","coords":"45.76, 4.83","hidden":false}],
 "salary":{"salary_from":60000,"salary_to":80000,"salary_currency":"eur"},
 "created_at":"2026-03-25T00:00:00Z","updated_at":"2026-07-23T20:46:41Z","keywords":null}"""
)

ROW = orjson.loads(
    """{"id":"27280001","name":"Ada Test","firstname":"Ada","lastname":"Test","headline":"Engineer",
 "account":{"subdomain":"acme","name":"Acme"},"job":{"shortcode":"A1B2C3D4E5","title":"Data Engineer"},
 "stage":"Phone Screen","stage_kind":"phone-screen","disqualified":false,"anonymized":false,
 "disqualification_reason":null,"hired_at":null,"moved_to_offer_at":null,"sourced":false,
 "profile_url":"https://acme.workable.com/backend/jobs/5985327/candidates/656932143",
 "address":null,"phone":"+33123456789","email":"ada@example.com","domain":null,"outlet":"SPI",
 "common_source":"Unknown","common_source_category":"Other",
 "created_at":"2026-07-23T20:41:40Z","updated_at":"2026-07-23T20:41:41Z",
 "resume_metadata":{"filename":"cv.pdf","filetype":"pdf","created_at":"2026-07-23T20:41:40Z"}}"""
)
DETAIL = {
    **ROW,
    "disqualified_at": None,
    "withdrew": False,
    "skills": [{"name": "SQL"}],
    "tags": [],
    "location": {"location_str": None, "country": "France", "region": None, "city": "Lyon", "zip_code": None},
}
OF_2022 = {
    key: ROW[key]
    for key in ("id", "name", "firstname", "lastname", "headline", "account", "job", "stage", "disqualified", "email")
}


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


# --- jobs


def test_the_references_job_is_read_whole():
    job = wire.job(JOB)
    assert job.ref == Ref(Kind.JOB, "A1B2C3D4E5")
    assert job.fields == {
        "title": "Data Engineer",
        "full_title": "Data Engineer - EU/7/DE",
        "code": "EU/7/DE",
        "state": "published",
        "department": "Data",
        "workplace_type": "hybrid",
        "location.country": "France",
        "location.country_code": "FR",
        "location.region": "Rhone",
        "location.region_code": "ARA",
        "location.city": "Lyon",
        "location.zip_code": None,
        "salary.salary_from": 60000,
        "salary.salary_to": 80000,
        "salary.salary_currency": "eur",
    }
    assert (job.created_at, job.updated_at) == (1774396800.0, 1784839601.0)
    assert job.version == "2026-07-23T20:46:41Z"
    assert job.traits == frozenset()
    assert job.url == "https://acme.workable.com/jobs/5985327"


def test_a_job_of_2022_without_todays_keys_tells_what_it_has():
    job = wire.job(without(JOB, "confidential", "workplace_type", "locations", "salary", "updated_at", "keywords"))
    assert "workplace_type" not in job.fields
    assert not any(name.startswith("salary") for name in job.fields)
    assert job.version is None
    assert job.updated_at is None


def test_a_detail_is_read_bare_and_wrapped():
    detail = {**JOB, "description": "<p>Join us</p>", "employment_type": "Full-time", "industry": ""}
    for body in (detail, {"job": detail}):
        fields = wire.job(wire.detail_of(body, "job")).fields
        assert fields["description"] == "<p>Join us</p>"
        assert fields["employment_type"] == "Full-time"
        assert fields["industry"] is None


@pytest.mark.parametrize(
    ("salary", "dollars"),
    [
        ({"salary_from": 1, "salary_to": 2, "salary_currency": "usd"}, {"salary_usd_from": 1, "salary_usd_to": 2}),
        (
            {"salary_from": 1, "salary_to": None, "salary_currency": "USD"},
            {"salary_usd_from": 1, "salary_usd_to": None},
        ),
        ({"salary_to": 2, "salary_currency": "usd"}, {"salary_usd_to": 2}),
        ({"salary_from": 1, "salary_to": 2, "salary_currency": "eur"}, {}),
        ({"salary_from": 1, "salary_to": 2, "salary_currency": None}, {}),
        ({"salary_from": 1, "salary_to": 2}, {}),
        ({}, {}),
        (None, {}),
        ([], {}),
    ],
)
def test_dollars_are_told_only_of_dollars(salary, dollars):
    fields = wire.job({**JOB, "salary": salary}).fields
    assert {name: fields[name] for name in fields if name.startswith("salary_usd")} == dollars


@pytest.mark.parametrize(
    ("change", "traits"),
    [
        ({"sample": True}, {"sample"}),
        ({"confidential": True, "state": "archived"}, {"confidential", "archived"}),
        ({"sample": "no", "confidential": None}, set()),
    ],
)
def test_a_jobs_flags_become_traits(change, traits):
    assert wire.job({**JOB, **change}).traits == traits


# --- candidates


def test_the_references_row_is_person_and_application():
    person, application = wire.candidate(ROW)
    assert person.ref == Ref(Kind.CANDIDATE, "27280001")
    assert person.fields == {
        "firstname": "Ada",
        "lastname": "Test",
        "name": "Ada Test",
        "email": "ada@example.com",
        "phone": "+33123456789",
        "headline": "Engineer",
        "address": None,
    }
    assert person.parents == {}
    assert application.ref == Ref(Kind.APPLICATION, "27280001")
    assert application.fields["stage"] == "Phone Screen"
    assert application.parents == {Kind.JOB: "A1B2C3D4E5", Kind.CANDIDATE: "27280001"}
    for record in (person, application):
        assert record.version == "2026-07-23T20:41:41Z"
        assert record.updated_at == record.created_at + 1
        assert record.url == ROW["profile_url"]


def test_only_the_detail_tells_where_a_person_lives():
    assert not any(name.startswith("location") for name in wire.candidate(ROW)[0].fields)
    fields = wire.candidate(DETAIL)[0].fields
    assert {name: fields[name] for name in fields if name.startswith("location")} == {
        "location.city": "Lyon",
        "location.region": None,
        "location.country": "France",
    }
    nowhere = wire.candidate({**DETAIL, "location": None})[0].fields
    assert nowhere["location.city"] is nowhere["location.country"] is None


def test_rows_tell_just_what_the_facts_say():
    person, job = FACTS.kinds[Kind.CANDIDATE], FACTS.kinds[Kind.JOB]
    assert set(wire.candidate(ROW)[0].fields) == person.lists
    assert set(wire.candidate(DETAIL)[0].fields) == person.lists | person.details
    assert set(wire.job(JOB).fields) <= job.lists


def test_a_row_of_2022_is_read_too():
    person, application = wire.candidate(OF_2022)
    assert "phone" not in person.fields
    assert application.fields["stage"] == "Phone Screen"
    assert person.version is None


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"email": ""}, {"email": None}),
        ({"email": None}, {"email": None}),
        ({"lastname": None}, {"name": "Ada", "lastname": None}),
        ({"firstname": "", "lastname": "Test"}, {"name": "Test", "firstname": None}),
        ({"firstname": None, "lastname": None}, {"name": None}),
        ({"phone": {"number": "1"}}, {}),
    ],
)
def test_empty_texts_are_told_empty(change, fields):
    told = wire.candidate({**ROW, **change})[0].fields
    assert {name: told[name] for name in fields} == fields
    assert change.keys() <= told.keys() or "phone" not in told


def test_a_row_that_knows_the_full_name_alone_tells_that():
    fields = wire.candidate(without(ROW, "firstname"))[0].fields
    assert fields["name"] == "Ada Test"
    assert "firstname" not in fields


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        (ROW, "Phone Screen"),
        ({**ROW, "disqualified": None}, "Phone Screen"),
        ({**ROW, "disqualified": True}, None),
        ({**ROW, "disqualified": True, "withdrew": False}, "!disqualified"),
        ({**ROW, "disqualified": True, "withdrew": None}, "!disqualified"),
        ({**ROW, "disqualified": True, "withdrew": True}, "!withdrew"),
        ({**ROW, "withdrew": True}, "Phone Screen"),
        ({**ROW, "stage": ""}, None),
        ({**ROW, "stage": 5}, None),
        (without(ROW, "stage"), None),
        (without(ROW, "disqualified"), None),
    ],
)
def test_the_flag_over_the_stage_is_told_only_where_it_is_known(row, stage):
    assert wire.candidate(row)[1].fields.get("stage") == stage


@pytest.mark.parametrize(
    ("row", "beneath"),
    [
        (DETAIL, None),
        ({**DETAIL, "disqualified": True}, "Phone Screen"),
        ({**DETAIL, "disqualified": True, "withdrew": True}, "Phone Screen"),
        ({**ROW, "disqualified": True}, "Phone Screen"),
        ({**DETAIL, "disqualified": True, "stage": None}, None),
        (without({**DETAIL, "disqualified": True}, "stage"), None),
    ],
)
def test_the_stage_beneath_a_flag_is_told_as_well(row, beneath):
    assert [record.beneath for record in wire.candidate(row)] == [None, beneath]


def test_people_of_the_talent_pool_have_no_application():
    pooled = {**without(DETAIL, "job"), "talent_pool": {"talent_pool_id": 3, "identifier": "x"}}
    assert [record.ref.kind for record in wire.candidate(pooled)] == [Kind.CANDIDATE]
    assert len(wire.candidate({**ROW, "job": None})) == 1


def test_an_anonymized_row_says_so_of_both():
    assert all(record.traits == {"anonymized"} for record in wire.candidate({**ROW, "anonymized": True}))


# --- lists, stages, members


def test_a_list_ends_where_paging_is_missing():
    link = "https://acme.workable.com/spi/v3/jobs?limit=50&since_id=5b5d33"
    assert wire.sheet({"jobs": [JOB], "paging": {"next": link}}, "jobs").next == link
    for end in ({}, {"paging": None}, {"paging": {"next": None}}):
        assert wire.sheet({"jobs": [JOB], **end}, "jobs").next is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "jobs",
        {},
        {"job": [JOB]},
        {"jobs": None},
        {"jobs": {}},
        {"jobs": [JOB, None]},
        {"jobs": [[]]},
        {"jobs": [], "paging": {}},
        {"jobs": [], "paging": []},
        {"jobs": [], "paging": "next"},
        {"jobs": [], "paging": {"next": 5}},
        {"jobs": [], "paging": {"next": ["https://acme.workable.com"]}},
    ],
)
def test_another_shape_is_no_list_and_never_an_end(body):
    with pytest.raises(NONSENSE):
        wire.sheet(body, "jobs")


@pytest.mark.parametrize("row", [{}, without(ROW, "id"), {**ROW, "id": None}, {**ROW, "id": ""}, {**ROW, "id": 7}])
def test_a_row_without_an_id_is_no_row(row):
    with pytest.raises(NONSENSE):
        wire.candidate(row)
    with pytest.raises(NONSENSE):
        wire.job(without(JOB, "shortcode"))


def test_ids_are_ordered_by_their_numbers():
    assert wire.number("d686952") < wire.number("27270275")
    assert wire.number("d686952") > wire.number("2ba8f2")
    assert wire.number("GROOV005") is None
    assert wire.number(None) is None


def test_a_pipeline_is_read_in_its_order_and_found_by_name():
    body = {
        "stages": [
            {"slug": "applied", "name": "Applied", "kind": "applied", "position": 1},
            {"slug": "sourced", "name": "Sourced", "kind": "sourced", "position": 0},
            {"id": 5272269, "slug": "tech-chat", "name": "Tech Chat", "kind": "interview", "position": 2},
        ]
    }
    pipeline = wire.stages(body)
    assert [stage.name for stage in pipeline] == ["Sourced", "Applied", "Tech Chat"]
    assert wire.slug_of(pipeline, "Tech Chat") == "tech-chat"
    assert wire.slug_of(pipeline, "Interview") is None


@pytest.mark.parametrize(
    ("row", "is_it"),
    [
        ({"id": "1f395d", "email": "x@example.com", "active": True}, True),
        ({"id": "5", "email": "OPS@acme.example", "active": True}, False),
        ({"id": "1f395d", "active": False}, False),
        ({"id": "1f395d", "active": None}, False),
        ({"id": "1f395d"}, True),
        ({"email": None}, False),
        ({}, False),
    ],
)
def test_a_member_is_known_by_id_and_must_be_active(row, is_it):
    assert wire.is_member(row, "1f395d") is is_it


def test_a_member_is_known_by_mail_in_any_case():
    assert wire.is_member({"id": "5", "email": "OPS@acme.example", "active": True}, "ops@acme.example")


# --- what is written


@pytest.mark.parametrize(
    ("name", "last", "parts"),
    [
        ("Ada Test", None, ("Ada", "Test")),
        ("Ada van Test", None, ("Ada van", "Test")),
        ("Ada van Test", "van Test", ("Ada", "van Test")),
        ("Bea van Test", "van Test", ("Bea", "van Test")),
        ("Ada Lovelace", "Test", ("Ada", "Lovelace")),
        ("Test", "Test", ("Test", "")),
        ("  Ada   Test ", "Test", ("Ada", "Test")),
        ("Plato", None, ("Plato", "")),
    ],
)
def test_a_full_name_is_cut_where_the_present_last_name_begins(name, last, parts):
    assert wire.split_name(name, last) == parts


@given(st.text(min_size=1).filter(str.strip), st.none() | st.text(min_size=1).map(str.strip).filter(bool))
def test_a_cut_name_joins_to_the_same_name(name, last):
    joined = " ".join(part for part in wire.split_name(name, last) if part)
    assert joined == " ".join(name.split())


PERSON = Record(Ref(Kind.CANDIDATE, "27280001"), {"firstname": "Ada", "lastname": "van Test", "name": "Ada van Test"})


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"phone": "+12025550101"}, {"phone": "+12025550101"}),
        ({"phone": None, "headline": None}, {"phone": "", "headline": ""}),
        ({"name": "Eva van Test"}, {"firstname": "Eva", "lastname": "van Test"}),
        ({"name": "Ada Test", "firstname": "Ada", "lastname": "Test"}, {"firstname": "Ada", "lastname": "Test"}),
        ({"name": "Eva van Test", "firstname": "Eva"}, {"firstname": "Eva"}),
        ({"name": None}, {}),
        ({"location.city": "Lyon", "stage": "Hired", "id": "5"}, {}),
    ],
)
def test_a_patch_bears_what_workable_takes(fields, body):
    assert wire.patch(PERSON, fields) == {"candidate": body}


def draft(stage="Applied", **person):
    return Draft(Kind.APPLICATION, {"stage": stage}, {Kind.JOB: Parent("A1B2C3D4E5")}, person=person)


@pytest.mark.parametrize(
    ("person", "body"),
    [
        ({"name": "Ada Test"}, {"firstname": "Ada", "lastname": "Test"}),
        (
            {"name": "Ada van Test", "firstname": "Ada", "lastname": "van Test"},
            {"firstname": "Ada", "lastname": "van Test"},
        ),
        ({"name": "Plato"}, {"name": "Plato"}),
        ({"firstname": "Plato"}, {"name": "Plato"}),
        ({"name": "Ada Test", "phone": None, "location.city": "Lyon"}, {"firstname": "Ada", "lastname": "Test"}),
    ],
)
def test_a_create_bears_the_name_that_is_known(person, body):
    query, told = wire.born(draft(email="ada@example.com", **person), "applied")
    assert query == {"stage": "applied"}
    assert told["candidate"] == {**body, "email": "ada@example.com"}


@given(
    st.dictionaries(st.sampled_from([*wire.PERSON, "name", "sourced"]), st.text()),
    st.sampled_from(["Hired", "!disqualified"]),
)
def test_no_create_ever_lets_workable_mail_the_person(person, stage):
    _, body = wire.born(draft(stage, **person), None)
    assert body["sourced"] is True
    assert "sourced" not in body["candidate"]


def test_a_rejected_person_is_born_disqualified():
    assert wire.born(draft("!disqualified"), None) == ({}, {"sourced": True, "candidate": {"disqualified": True}})


def test_filters_get_times_in_whole_seconds():
    assert wire.query_time(1436356576.9) == "20150708T115616Z"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-04-11T03:36:38Z", 1775878598.0),
        ("2026-07-23T20:45:16.476Z", 1784839516.476),
        ("2026-04-11T03:36:38", 1775878598.0),
        ("2026-04-11T05:36:38+02:00", 1775878598.0),
        ("", None),
        ("yesterday", None),
        (1775878598, None),
        (None, None),
    ],
)
def test_times_are_read_in_each_form(text, at):
    assert wire.moment(text) == at


# --- errors


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Not found"}, "Not found"),
        ({"error": "Not authorized"}, "Not authorized"),
        (
            {"error": "param is missing or the value is empty: member_id"},
            "param is missing or the value is empty member_id",
        ),
        (
            {
                "error": "Validation failed: Email candidate already exists",
                "validation_errors": {"email": ["x"], "Ada": []},
            },
            "Validation failed Email candidate already exists (fields: email)",
        ),
        (
            {"error": {"error": {"error": {"name": "x"}, "reason": "y", "description": "The access token is invalid"}}},
            "The access token is invalid",
        ),
        ({"error": "Ada Test (ada@example.com, +12025550101) is taken"}, "… … … … is taken"),
        ({"error": None}, ""),
    ],
)
def test_a_complaint_is_repeated_without_what_might_be_a_persons(body, said):
    assert wire.complaint(orjson.dumps(body)) == said


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null", b"5", b'{"message": "x"}'])
def test_an_error_in_another_form_is_said_to_be_one(content):
    with pytest.raises(NONSENSE):
        wire.complaint(content)
    assert not wire.is_duplicate(content)


@pytest.mark.parametrize(
    ("errors", "is_it"),
    [
        ({"email": ["candidate already exists"]}, True),
        ({"email": ["is invalid"]}, False),
        ({"phone": ["candidate already exists"]}, False),
        ({"email": None}, False),
        ([], False),
    ],
)
def test_a_duplicate_is_known_by_the_mails_complaint(errors, is_it):
    assert wire.is_duplicate(orjson.dumps({"error": "Validation failed", "validation_errors": errors})) is is_it


# --- anything

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@examples(200)
@given(st.sampled_from([JOB, DETAIL]), st.data())
def test_any_value_in_any_place_is_read_or_refused(example, data):
    row = copy.deepcopy(example)
    for key in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=4)):
        row[key] = data.draw(values)
    try:
        records = (wire.job(row),) if example is JOB else wire.candidate(row)
    except NONSENSE:
        return
    plain = (str, int, float, bool, type(None))
    assert all(isinstance(value, plain) for record in records for value in record.fields.values())
    assert all(value != "" for record in records for value in record.fields.values())
