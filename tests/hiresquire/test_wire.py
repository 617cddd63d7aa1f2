"""What HireSquire's JSON says, in the vendor's own examples and in shapes that nobody documented."""

import asyncio
import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hiresquire import upload, wire
from syncd.connector import Batch, BatchFile, BatchState, Quota, Screened
from syncd.errors import Rejected, Stale
from syncd.model import Kind, Ref
from syncd.streams import PIECE
from tests.hiresquire.examples import (
    ACCEPTED,
    CANCELLED,
    CANDIDATE,
    CLI_BALANCE,
    CLI_ESTIMATE,
    CLI_JOBS,
    CLI_RESULTS,
    CLI_STATUS,
    INVALID,
    PAGINATED,
    RATE_LIMIT,
    RESULTS,
    STATUS,
    VALIDATED,
    enveloped,
)
from tests.laws import examples

MARCH = 1_774_692_000.0  # 2026-03-28 10:00:00 UTC
NONSENSE = (None, True, 7, "text", [], [[None]], {}, {"data": None}, {"data": {"unexpected": 1}})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "job_id", "id", "status", "jobs", "meta", "total", "errors", "credits"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [lambda answer: answer, enveloped, lambda answer: enveloped({"job": answer})])
@pytest.mark.parametrize(
    ("answer", "batch"),
    [
        (ACCEPTED, Batch("123", BatchState.PROCESSING)),
        (STATUS, Batch("123", BatchState.PROCESSING, "Senior Software Engineer", 10, MARCH)),
        (CLI_STATUS, Batch("123", BatchState.PROCESSING)),
        (CANCELLED, Batch("123", BatchState.CANCELLED)),
        (
            CLI_JOBS["jobs"][0],
            Batch("123", BatchState.COMPLETED, "Senior Software Engineer", 10, MARCH, MARCH + 300),
        ),
        (
            {**STATUS, "status": "failed", "message": "The screening failed."},
            Batch(
                "123", BatchState.FAILED, "Senior Software Engineer", 10, MARCH, None, reason="The screening failed."
            ),
        ),
    ],
    ids=["accepted", "status", "the client's status", "cancelled", "row", "failed"],
)
def test_a_batch_is_read_from_each_answer_that_tells_one(answer, batch, shape):
    assert wire.batch(shape(answer)) == batch


def test_why_a_batch_failed_is_passed_on_only_where_it_can_hold_nobodys_data():
    failed = {**STATUS, "status": "failed", "message": "John Doe's file is broken"}
    assert wire.batch(failed).reason == wire.NOT_PASSED_ON


@pytest.mark.parametrize("answer", [*NONSENSE, {**STATUS, "status": "queued"}, {**STATUS, "job_id": "../7"}])
def test_what_is_no_batch_is_none(answer):
    with pytest.raises((KeyError, TypeError, ValueError)):
        wire.batch(answer)


# --- lists ----------------------------------------------------------------------------------------------------------


def test_a_list_is_read_in_each_of_its_shapes():
    rows = tuple(CLI_JOBS["jobs"])
    assert wire.listed(CLI_JOBS, "jobs") == wire.Listed(rows, 1, None, 1)
    assert wire.listed(PAGINATED, "jobs") == wire.Listed(rows, 1, 3, 41)
    assert wire.listed(enveloped(PAGINATED), "jobs") == wire.Listed(rows, 1, 3, 41)
    resource = {"data": list(rows), "meta": {"current_page": 2, "last_page": 3, "total": 41}}
    assert wire.listed(resource, "jobs") == wire.Listed(rows, 2, 3, 41)
    assert wire.listed({"success": True, "data": list(rows)}, "jobs") == wire.Listed(rows, None, None, None)


@pytest.mark.parametrize("answer", [*NONSENSE, {"jobs": {}}, {"jobs": [{"title": "without id"}]}, {"data": [7]}])
def test_what_is_no_list_is_none(answer):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        wire.listed(answer, "jobs")


# --- candidates -----------------------------------------------------------------------------------------------------


def test_the_vendors_candidate_is_an_application_and_a_screening():
    application, screening = wire.candidate(CANDIDATE, "https://example.test/1")
    assert (application.ref, application.fields) == (Ref(Kind.APPLICATION, "1"), {"status": "new"})
    assert (screening.ref, screening.parents) == (Ref(Kind.SCREENING, "1"), {Kind.APPLICATION: "1"})
    assert screening.fields == {
        "file": "john_doe_resume.pdf",
        "score": 92.0,
        "summary": "Excellent match with 5 years Python experience...",
        "verdict": None,
        "strengths": "Python; Django; PostgreSQL",
        "weaknesses": "Limited AWS experience",
    }
    assert {application.url, screening.url} == {"https://example.test/1"}
    assert screening.created_at == MARCH + 300


def test_the_clients_candidate_is_read_too():
    told = wire.screened(CLI_RESULTS["candidates"][0], None)
    assert told == Screened(
        "1", None, 92.0, "Excellent match", "Meets all of it", ("Python",), (), "new", None, "HireSquire", None
    )


def test_a_result_shows_nobodys_data_when_it_is_printed():
    assert "Python" not in repr(wire.screened(CANDIDATE, None))


@pytest.mark.parametrize("score", [None, "92", True, -1, 101, float("nan")])
def test_a_score_that_makes_no_sense_is_not_told(score):
    assert wire.screened({**CANDIDATE, "score": score}, None).score is None


def test_the_clients_word_for_an_interview_is_read_as_the_servers():
    assert wire.candidate({**CANDIDATE, "status": "interviewed"}, None)[0].fields == {"status": "interviewing"}


@pytest.mark.parametrize("changed", [{"id": None}, {"id": "1/2"}, {"status": None}, {"status": 5}])
def test_a_candidate_without_an_id_or_a_status_is_none(changed):
    with pytest.raises((TypeError, ValueError)):
        wire.candidate({**CANDIDATE, **changed}, None)


@pytest.mark.parametrize("analysis", [None, [], "text", {"filename": 7}])
def test_an_odd_analysis_tells_no_file(analysis):
    assert wire.screened({**CANDIDATE, "raw_analysis": analysis}, None).file is None


# --- credits and limits ---------------------------------------------------------------------------------------------


def test_credits_are_cents():
    assert wire.balance(CLI_BALANCE) == wire.balance(VALIDATED) == wire.balance(enveloped(CLI_BALANCE)) == 2550.0
    assert wire.estimate(CLI_ESTIMATE) == wire.estimate(enveloped(CLI_ESTIMATE)) == 12.0


def test_the_rate_limit_is_read():
    assert wire.quota(RATE_LIMIT) == wire.quota(enveloped(RATE_LIMIT)) == Quota(60, 45, MARCH + 3600)


@pytest.mark.parametrize("read", [wire.balance, wire.estimate, wire.quota])
@pytest.mark.parametrize("answer", NONSENSE)
def test_what_tells_no_amount_is_none(read, answer):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(answer)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_refused_files_are_named_with_the_services_reason():
    sentence = "The resumes.1.base64 field must hold a resume with at least 50 characters of text."
    refusal = {"message": sentence, "errors": {"resumes.1.base64": [sentence], "resumes.0": ["The résumé of Ana Ruiz"]}}
    assert wire.refused_files(refusal, ["1001.txt", "1002.pdf"]) == {
        "1002.pdf": sentence, "1001.txt": wire.NOT_PASSED_ON,
    }  # fmt: skip


@pytest.mark.parametrize(
    "refusal",
    [
        *NONSENSE,
        INVALID,
        {"errors": ["no map"]},
        {"errors": {"resumes.7.content": ["no such file"]}},
        {"errors": {"resumes.0.content": ["is required"], "title": ["is required"]}},
    ],
)
def test_a_refusal_of_more_than_files_blames_no_file(refusal):
    assert wire.refused_files(refusal, ["1001.txt"]) == {}


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("The title field is required.", True),
        ("The description field must be at least 50 characters.", True),
        ("The resumes.0.content field must be at least 50 characters.", True),
        ("The resumes field must not have more than 100 items.", True),
        ("Job is still processing.", True),
        ("The title John Doe is required.", False),
        ("john.doe@example.com has already been screened.", False),
    ],
)
def test_only_sentences_of_the_known_kinds_are_passed_on(said, safe):
    assert wire.safe(said) == (said if safe else wire.NOT_PASSED_ON)


@examples(200)
@given(JSON)
def test_any_json_is_read_or_refused_and_never_a_crash(answer):
    for read in (wire.batch, lambda told: wire.listed(told, "jobs"), wire.quota, wire.balance, wire.estimate):
        try:
            read(answer)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    wire.refused_files(answer, ["1001.txt"])


def test_the_vendors_results_have_one_page():
    told = wire.listed(RESULTS, "candidates")
    assert (told.page, told.last, told.total) == (1, 1, 10)


# --- the body that is streamed --------------------------------------------------------------------------------------


def sent(fields, files, most=10**6):
    async def whole():
        return [piece async for piece in upload.body(fields, files, most)]

    return asyncio.run(whole())


def streamed(name, chunks, size=None):
    async def read():
        for chunk in chunks:
            yield chunk

    return BatchFile(name, read, size)


@pytest.mark.parametrize("chunks", [[], [b""], [b"a"], [b"ab", b"c"], [b"abcd", b"e" * 200_001, b"f"], [b"x"] * 7])
def test_a_streamed_body_is_the_json_of_its_files(chunks):
    fields = {"title": "Ward “B”", "description": "x" * 50, "leniency_level": 3}
    files = [streamed("1001.pdf", chunks), BatchFile.of("1002.txt", b"text")]
    body = orjson.loads(b"".join(sent(fields, files)))
    assert {name: value for name, value in body.items() if name != "resumes"} == fields
    told = [(one["filename"], base64.b64decode(one["base64"], validate=True)) for one in body["resumes"]]
    assert told == [("1001.pdf", b"".join(chunks)), ("1002.txt", b"text")]


@examples(60)
@given(st.lists(st.binary(max_size=40), max_size=5), st.text(max_size=10))
def test_the_length_is_known_beforehand_where_all_sizes_are(contents, title):
    files = [BatchFile.of(f"{at}.txt", content) for at, content in enumerate(contents)]
    assert upload.length({"title": title}, files) == len(b"".join(sent({"title": title}, files)))


def test_the_length_is_not_known_where_one_size_is_not():
    assert upload.length({"title": "x"}, [BatchFile.of("1.txt", b"a"), streamed("2.txt", [b"b"])]) is None


def test_no_piece_holds_more_than_a_fraction_of_a_large_file():
    pieces = sent({"title": "x"}, [BatchFile.of("1.pdf", b"z" * 900_000)])
    assert max(map(len, pieces)) <= 4 * PIECE // 3


def test_files_that_hold_more_than_a_batch_may_end_the_body():
    with pytest.raises(Rejected):
        sent({"title": "x"}, [streamed("1.pdf", [b"a" * 60]), streamed("2.pdf", [b"b" * 41])], most=100)
    assert sent({"title": "x"}, [streamed("1.pdf", [b"a" * 60]), streamed("2.pdf", [b"b" * 40])], most=100)


@pytest.mark.parametrize("content", [b"123", b"12345"])
def test_a_file_that_is_not_as_long_as_it_was_ends_the_body(content):
    with pytest.raises(Stale):
        sent({"title": "x"}, [streamed("1.pdf", [content], size=4)])
