"""HireSquire's JSON as records and batches: pure, liberal in what it reads, strict in what it writes.

Source: the vendor's REST reference (https://hiresquireai.com/resources/rest-api-complete-reference), its llms-full.txt,
and the types of its own clients (https://github.com/bp46/hiresquire-cli). They disagree about most shapes, so each is
read: an answer flat or inside ``data``; a job's id as ``job_id`` or ``id``; a list as ``{jobs, total, page, per_page}``
or as Laravel's paginator ``{data, current_page, last_page, total}``, with its numbers inside ``meta`` or not. A reader
raises KeyError, TypeError or ValueError where an answer cannot be understood.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncd.connector import Batch, BatchState, Quota, Screened
from syncd.model import Kind, Record, Ref, Value

Json = Mapping[str, Any]

MADE_BY = "HireSquire"
CENTS_PER_DOLLAR = 100  # one credit is one cent: https://hiresquireai.com/resources/rest-api-complete-reference
STATUSES = (
    "new", "pending", "reviewing", "shortlisted", "interviewing", "offered", "hired", "declined", "rejected",
    "withdrawn",
)  # fmt: skip
ALIASES = {"interviewed": "interviewing"}  # the clients' word, and the server's
OUTCOMES = ("hired", "rejected", "withdrawn")
SCREENING_FIELDS = ("file", "score", "summary", "verdict", "strengths", "weaknesses")

_DEEPEST = 4  # envelopes around an answer
_STATES = {
    "pending": BatchState.PROCESSING,
    "processing": BatchState.PROCESSING,
    "completed": BatchState.COMPLETED,
    "failed": BatchState.FAILED,
    "cancelled": BatchState.CANCELLED,
    "canceled": BatchState.CANCELLED,
}


# --- answers and lists ----------------------------------------------------------------------------------------------


def inner(answer: Any, *names: str) -> Json:
    """The object of an answer, flat or inside ``data``, one of the names, or one within the other."""
    for _ in range(_DEEPEST):
        if not isinstance(answer, dict):
            raise TypeError("an answer is an object")
        within = next((answer[name] for name in (*names, "data") if isinstance(answer.get(name), dict)), None)
        if within is None:
            return answer
        answer = within
    raise ValueError("an answer is not in so many envelopes")


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list: its rows, and what it says of its pages; None: it does not say."""

    rows: tuple[Json, ...]
    page: int | None
    last: int | None
    total: int | None


def listed(answer: Any, plural: str) -> Listed:
    """One page of a list of jobs or candidates, whichever shape it came in; each row has an id."""
    if isinstance(answer, dict) and isinstance(answer.get("data"), dict):
        answer = answer["data"]
    rows = answer[plural] if plural in answer else answer["data"]
    if not isinstance(rows, list):
        raise TypeError(f"{plural} is no list")
    for row in rows:
        id_of(row)
    told = {**answer, **(answer["meta"] if isinstance(answer.get("meta"), dict) else {})}
    page = _count(told.get("current_page", told.get("page")))
    total = _count(told.get("total", told.get("total_candidates")))
    return Listed(tuple(rows), page, _count(told.get("last_page")), total)


def id_of(row: Json) -> str:
    """An object's id as text: ``job_id`` or ``id``; integers on the wire."""
    return _id(row["job_id"] if "job_id" in row and "id" not in row else row["id"])


def is_id(text: str) -> bool:
    """Whether a text can be one of their ids."""
    return text.isascii() and text.isdigit() and len(text) < 20


# --- batches --------------------------------------------------------------------------------------------------------


def batch(answer: Any) -> Batch:
    """A batch, from the answer that accepts, tells or cancels it, or from a row of the list."""
    row = inner(answer, "job")
    state = state_of(row)
    summary = row.get("summary")
    counts = [row.get("candidate_count"), row.get("total_candidates")]
    counts += [summary.get("total_candidates")] if isinstance(summary, dict) else []
    return Batch(
        id=_id(row["job_id"] if "job_id" in row else row["id"]),
        state=state,
        title=_told_text(row.get("title") or row.get("job_title")),
        files=next((count for count in counts if isinstance(count, int) and not isinstance(count, bool)), None),
        created_at=_instant(row.get("created_at")),
        completed_at=_instant(row.get("completed_at")),
        reason=safe(row.get("message")) if state is BatchState.FAILED else None,
    )


def state_of(row: Json) -> BatchState:
    """A batch's state; an unknown word is no state, or an end that is called so would be waited for without end."""
    word = row["status"]
    if word not in _STATES:
        raise ValueError("a job's status is none of the documented words")
    return _STATES[word]


# --- candidates -----------------------------------------------------------------------------------------------------


def screened(row: Json, url: str | None) -> Screened:
    """What was found out about one résumé."""
    analysis = row.get("raw_analysis")
    analysis = analysis if isinstance(analysis, dict) else {}
    return Screened(
        id=_id(row["id"]),
        file=_told_text(analysis.get("filename") or row.get("filename")),
        score=_score(row.get("score")),
        summary=_told_text(row.get("summary")),
        verdict=_told_text(row.get("decision_rationale") or row.get("match_explanation")),
        strengths=_texts(row.get("strengths") or analysis.get("strengths")),
        weaknesses=_texts(row.get("weaknesses") or analysis.get("weaknesses")),
        status=_told_text(row.get("status")),
        url=url,
        made_by=MADE_BY,
        made_at=_instant(row.get("processed_at")),
    )


def candidate(row: Json, url: str | None) -> tuple[Record, ...]:
    """A candidate as the application, whose stage is its status, and as the screening."""
    told = screened(row, url)
    if told.status is None:
        raise ValueError("a candidate has a status")
    stage = ALIASES.get(told.status, told.status)
    source = told.file.rpartition(".")[0] or None if told.file else None  # the id under which it was sent
    application = Record(
        Ref(Kind.APPLICATION, told.id), {"status": stage}, source_id=source, created_at=told.made_at, url=url
    )
    found: dict[str, Value] = {
        "file": told.file,
        "score": told.score,
        "summary": told.summary,
        "verdict": told.verdict,
        "strengths": "; ".join(told.strengths) or None,
        "weaknesses": "; ".join(told.weaknesses) or None,
    }
    parents = {Kind.APPLICATION: told.id}
    screening = Record(Ref(Kind.SCREENING, told.id), found, parents, created_at=told.made_at, url=url)
    return application, screening


def batch_of(row: Json) -> str | None:
    """The batch that a candidate's row names; None: it names none."""
    named = row.get("job_id")
    return _id(named) if named is not None else None


# --- credits and limits ---------------------------------------------------------------------------------------------


def balance(answer: Any) -> float:
    """The credits left: told in dollars, a credit is a cent."""
    row = inner(answer, "credits")
    return round(_amount(row["balance"]) * CENTS_PER_DOLLAR, 4)


def estimate(answer: Any) -> float:
    """The credits of an estimate, which is in dollars."""
    return round(_amount(inner(answer, "estimate")["total_cost"]) * CENTS_PER_DOLLAR, 4)


def quota(answer: Any) -> Quota:
    """The rate limit."""
    row = inner(answer, "rate_limit")
    limit, remaining = _count(row["limit"]), _count(row["remaining"])
    if limit is None or remaining is None:
        raise TypeError("a limit is a number")
    return Quota(limit, remaining, _instant(row.get("reset_at")))


# --- refusals -------------------------------------------------------------------------------------------------------

# Only sentences made of these words are passed on: a message of any other form might hold a person's data.
_SUBJECT = r"The (?:[a-z][a-z0-9_]*)(?:\.\d{1,3}(?:\.[a-z0-9_]+)?)?(?: field)?"
_PREDICATE = (
    r"is required|is invalid|must be (?:a string|an array|an integer|a valid URL|valid base64|accepted)"
    r"|must (?:not be greater than|be at least|be between) [0-9]{1,6}(?: and [0-9]{1,6})?(?: characters)?"
    r"|must (?:not have more than|have at least) [0-9]{1,6} items"
    r"|must hold a (?:readable r[eé]sum[eé]|r[eé]sum[eé] with at least [0-9]{1,6} characters of text)"
)
_SENTENCES = (
    f"{_SUBJECT} (?:{_PREDICATE})"
    "|No r[eé]sum[eé] could be read|The screening failed|The selected [a-z_]{1,30} is invalid"
    "|Only a job that is being processed can be cancelled|Unauthenticated|Forbidden|Not Found|Too Early"
    "|Payment Required|Too Many Requests|Validation failed|Job is still processing"
)
_SAFE = re.compile(f"(?:{_SENTENCES})\\.?")
NOT_PASSED_ON = "a sentence that is not passed on, as it may hold a person's data"
_FILE = re.compile(r"resumes\.(\d{1,3})(?:\.[a-z0-9_]+)?")


def safe(text: Any) -> str | None:
    """A sentence of the documented kinds as it is, another one without its words; None: there is none."""
    if not isinstance(text, str) or not text.strip():
        return None
    return text.strip() if _SAFE.fullmatch(text.strip()) else NOT_PASSED_ON


def refused_files(answer: Any, names: Sequence[str]) -> dict[str, str]:
    """Why which files are refused, by their names; empty where something else is wrong (too)."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not isinstance(errors, dict):
        return {}
    reasons: dict[str, str] = {}
    for key, sentences in errors.items():
        match = _FILE.fullmatch(key)
        if match is None or int(match[1]) >= len(names):
            return {}
        first = sentences[0] if isinstance(sentences, list) and sentences else sentences
        reasons.setdefault(names[int(match[1])], safe(first) or "no reason given")
    return reasons


# --- values ---------------------------------------------------------------------------------------------------------


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or not is_id(str(value)):
        raise TypeError("an id is a whole number")
    return str(value)


def _told_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not (value is None or isinstance(value, int)):
        raise TypeError("a count is a whole number")
    return value


def _score(value: Any) -> float | None:
    """A score is shown where it makes sense; a batch is not held up by one that does not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return float(value)


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("an amount is a number")
    return float(value)


def _instant(value: Any) -> float | None:
    """An ISO 8601 time; what cannot be read is not told."""
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
