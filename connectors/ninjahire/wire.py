"""Ninjahire's JSON and our records, both ways. Pure; no call goes out from here.

Field names are those of the vendor's API reference (sections Jobs, Candidates, Applications). Reading is liberal: an
answer may be wrapped in ``data`` or not, fields may be missing or of another type. Writing is strict.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from syncd.errors import Rejected, Stale
from syncd.model import Draft, Fields, Kind, Record, Ref, Value

JOB_REQUIRED = (
    "title", "industry", "state_name", "country", "recruiter_name", "recruiter_email", "recruiter_work_phone_no",
    "status", "desc",
)  # fmt: skip
JOB_OPTIONAL = (
    "client_name", "job_code", "address", "workplace_type", "city", "zip_code", "employment_type", "duration",
    "start_date", "end_date", "posting_date", "pay_frequency", "min_pay_rate", "max_pay_rate", "pay_rate_currency",
)  # fmt: skip
JOB_FIELDS = JOB_REQUIRED + JOB_OPTIONAL
NUMBERS = frozenset({"min_pay_rate", "max_pay_rate"})

PERSON_REQUIRED = ("first_name", "email", "phone_no", "source")
PERSON_OPTIONAL = ("last_name", "city", "state_name", "country")
PERSON_FIELDS = PERSON_REQUIRED + PERSON_OPTIONAL
PERSON_READ_ONLY = ("recruiter_name", "recruiter_email", "recruiter_work_phone_no", "status")

STAGE = "source_application_status"
ACTIVITY = "application_stage"  # whether Ninjahire may act on the application, that is, phone the person
ACTIVE, PASSIVE = "ACTIVE", "PASSIVE"
APPLICATION_FIELDS = (STAGE, ACTIVITY, "job_source_id", "candidate_source_id", "screening_status", "score")
CALL_FIELDS = ("outcome", "call_status", "ninjahire_intelligence", "call_score", "findings")
LONGEST_FINDINGS = 40  # lines; a call's summary has a handful of categories

TOLD: Mapping[Kind, tuple[str, ...]] = {
    Kind.JOB: JOB_FIELDS,
    Kind.CANDIDATE: PERSON_FIELDS + PERSON_READ_ONLY,
    Kind.APPLICATION: APPLICATION_FIELDS,
    Kind.SCREENING: ("call_status", "ninjahire_intelligence", "call_score"),
}
TAKEN: Mapping[Kind, frozenset[str]] = {
    Kind.JOB: frozenset(JOB_FIELDS),
    Kind.CANDIDATE: frozenset({"name", *PERSON_FIELDS}),
    Kind.APPLICATION: frozenset({STAGE}),
    Kind.SCREENING: frozenset(),
}
PATHS: Mapping[Kind, str] = {
    Kind.JOB: "/v1/jobs",
    Kind.CANDIDATE: "/v1/candidates",
    Kind.APPLICATION: "/v1/applications",
    Kind.SCREENING: "/v1/calls",
}


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list as it was answered; ``count`` is the total or the page's length, as the server means it."""

    rows: tuple[Mapping[str, Any], ...]
    count: int | None = None


def listing_of(answer: Any) -> Listing:
    """The rows of a list's answer: ``{data, count}``, a bare array, or one bare object; ValueError: none of them."""
    count = None
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        rows, count = answer["data"], answer.get("count")
    elif isinstance(answer, dict) and _IDS & answer.keys():
        rows = [answer]
    elif isinstance(answer, list):
        rows = answer
    else:
        raise ValueError("no list")
    for row in rows:
        id_of(row)
    return Listing(tuple(rows), count if isinstance(count, int) and not isinstance(count, bool) else None)


def object_of(answer: Any) -> Mapping[str, Any]:
    """The one object of an answer, bare or wrapped in ``data``; ValueError: there is none with an id."""
    inner: Any = answer.get("data") if isinstance(answer, dict) and not _IDS & answer.keys() else answer
    id_of(inner)
    told: Mapping[str, Any] = inner
    return told


_IDS = frozenset({"id", "call_id"})


def id_of(row: Any) -> str:
    """A row's id as text, which a call tells as ``call_id``; ValueError: it has none."""
    told = text_of(row.get("id", row.get("call_id"))) if isinstance(row, dict) else None
    if told is None:
        raise ValueError("no id")
    return told


def text_of(value: Any) -> str | None:
    """An id as text, whether it was told as text or as a number; None: there is none."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value) if str(value).strip() else None
    return None


def record_of(kind: Kind, row: Mapping[str, Any]) -> Record:
    """A row or object as a record; ValueError: it has no id."""
    fields: dict[str, Value] = {name: plain(row[name]) for name in TOLD[kind] if name in row and is_plain(row[name])}
    if kind is Kind.CANDIDATE and {"first_name", "last_name"} <= fields.keys():
        fields["name"] = joined(fields["first_name"], fields["last_name"])
    if kind is Kind.SCREENING:
        fields.update(outcome=outcome_of(row), findings=findings_of(row))
    return Record(
        ref=Ref(kind, id_of(row)),
        fields=fields,
        parents=parents_of(row) if kind in {Kind.APPLICATION, Kind.SCREENING} else {},
        source_id=text_of(row.get("source_id")),
        version=text_of(row.get("updated_at")),
        created_at=time_of(row.get("created_at")),
        updated_at=time_of(row.get("updated_at")),
        url=link_of(row.get("recording_url")) if kind is Kind.SCREENING else None,
    )


def outcome_of(row: Mapping[str, Any]) -> Value:
    """How a call ended: its status, but failed where it was held and Ninjahire judges that it failed."""
    judged = row.get("ninjahire_intelligence")
    told = judged if judged == "call_failed" else row.get("call_status")
    return told if isinstance(told, str) and told.strip() else None


def findings_of(row: Mapping[str, Any]) -> Value:
    """What a call found out: its digest, then the summary's categories, a line each."""
    digest = row.get("call_digest")
    lines = [digest.strip()] if isinstance(digest, str) and digest.strip() else []
    return "\n".join([*lines, *_categories(row.get("call_summary"))][:LONGEST_FINDINGS]) or None


def _categories(told: Any) -> list[str]:
    if isinstance(told, str):
        return [told.strip()] if told.strip() else []
    if not isinstance(told, dict):
        return []
    plain_ones = {name: value for name, value in told.items() if isinstance(value, str | int | float)}
    return [f"{name.replace('_', ' ')}: {value}" for name, value in plain_ones.items()]


def link_of(value: Any) -> str | None:
    """An address that a person may open."""
    return value if isinstance(value, str) and value.startswith("https://") else None


def records_of(kind: Kind, row: Mapping[str, Any]) -> tuple[Record, ...]:
    """All that one object tells: itself, then the candidate and the job that an application may embed."""
    records = [record_of(kind, row)]
    if kind is Kind.APPLICATION:
        records += [record_of(beside, inner) for beside, inner in _embedded(row).items() if beside is not kind]
    return tuple(records)


def parents_of(row: Mapping[str, Any]) -> dict[Kind, str]:
    """The ids of an application's job and candidate, and of a call's application, as far as they are told."""
    inner = _embedded(row)
    told = {
        kind: text_of(row.get(f"{kind.value}_id")) or (text_of(inner[kind].get("id")) if kind in inner else None)
        for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION)
    }
    return {kind: parent for kind, parent in told.items() if parent is not None}


def _embedded(row: Mapping[str, Any]) -> dict[Kind, Mapping[str, Any]]:
    """The embedded objects that say which record they are."""
    inner = {kind: row.get(kind.value) for kind in (Kind.CANDIDATE, Kind.JOB, Kind.APPLICATION)}
    return {kind: told for kind, told in inner.items() if isinstance(told, dict) and text_of(told.get("id"))}


def is_plain(value: Any) -> bool:
    """Whether a value can stand in a record's fields."""
    return value is None or isinstance(value, str | int | float)


def plain(value: Value) -> Value:
    """A told value; blank text is told empty."""
    return None if isinstance(value, str) and not value.strip() else value


def time_of(value: Any) -> float | None:
    """Seconds since the epoch of an ISO 8601 time, UTC where it names no zone; None: it is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# --- writing --------------------------------------------------------------------------------------------------------


def new_body(draft: Draft) -> dict[str, Any]:
    """The body of the POST that creates a draft; raises ``Rejected`` naming what it lacks."""
    if draft.kind is Kind.APPLICATION:
        return _new_application(draft)
    required = JOB_REQUIRED if draft.kind is Kind.JOB else PERSON_REQUIRED
    told = {name: value for name, value in _changes(draft.kind, draft.fields, None).items() if value is not None}
    body = {**told, "source_id": draft.source_id}
    _demand(draft.kind, body, (*required, "source_id"))
    return body


def _new_application(draft: Draft) -> dict[str, Any]:
    """An application is PASSIVE at birth: an ACTIVE one would have its person phoned."""
    body: dict[str, Any] = {STAGE: draft.fields.get(STAGE), ACTIVITY: PASSIVE}
    for kind in (Kind.JOB, Kind.CANDIDATE):
        parent = draft.parents.get(kind)
        if parent is not None:
            body[f"{kind.value}_id"] = parent.id
            body[f"{kind.value}_source_id"] = parent.source_id or parent.id
    if draft.source_id is not None:
        body["source_id"] = draft.source_id
    _demand(draft.kind, body, (STAGE, "job_source_id", "candidate_source_id"))
    return body


def patch_body(record: Record, fields: Fields, terminal_words: Collection[str]) -> dict[str, Any]:
    """The body of the PATCH that changes fields of a record as just read; raises ``Rejected`` naming what it lacks."""
    kind = record.ref.kind
    changes = _changes(kind, fields, record)
    if kind is Kind.JOB:
        required: tuple[str, ...] = ("title",)
        body = {"title": record.fields.get("title"), **changes}
    elif kind is Kind.CANDIDATE:
        required = PERSON_REQUIRED
        as_read = {name: record.fields.get(name) for name in PERSON_REQUIRED}
        body = {**as_read, **changes, "source_id": record.source_id or record.ref.id}
    else:
        required = (STAGE,)
        body = {**changes, ACTIVITY: activity(record, changes.get(STAGE), terminal_words)}
    _demand(kind, body, required)
    return body


def stage_of(record: Record) -> str:
    """The stage of an application as just read, which each PATCH demands; raises ``Stale`` where it is not told."""
    told = record.fields.get(STAGE)
    if not isinstance(told, str):
        raise Stale("this view of the application does not tell its stage")
    return told


def scheduling_of(answer: Any) -> bool:
    """Whether a job's scheduling is on; raises where an answer does not say."""
    told = answer.get("data", answer)["scheduling"]
    if not isinstance(told, bool):
        raise TypeError("scheduling is neither on nor off")
    return told


def activity(record: Record, word: Value, terminal_words: Collection[str]) -> str:
    """``application_stage`` as just read, but PASSIVE with a terminal word, and where it is not told."""
    told = str(record.fields.get(ACTIVITY)).strip().upper()
    terminal = str(word).strip().lower() in terminal_words
    return told if told == ACTIVE and not terminal else PASSIVE


def _changes(kind: Kind, fields: Fields, record: Record | None) -> dict[str, Value]:
    """Fields as they are written: only those that the system takes, each in its type, a full name in two parts."""
    if unknown := set(fields) - TAKEN[kind]:
        raise Rejected(f"Ninjahire takes no {', '.join(sorted(unknown))} of a {kind}")
    changes = {name: _typed(name, value) for name, value in fields.items() if name != "name"}
    if kind is Kind.CANDIDATE and fields.get("name") is not None:
        last = fields.get("last_name", record.fields.get("last_name") if record else None)
        changes = {**split(str(fields["name"]), str(last or "")), **changes}
    return changes


def _typed(name: str, value: Value) -> Value:
    """A value in its field's type: rates are numbers, all else is text."""
    if value is None:
        return None
    if name not in NUMBERS:
        return str(value)
    try:
        return value if isinstance(value, int | float) else float(value)
    except ValueError:
        raise Rejected(f"Ninjahire takes only a number as {name}") from None


def _demand(kind: Kind, body: Mapping[str, Any], required: Iterable[str]) -> None:
    """Raise ``Rejected`` where a body lacks what Ninjahire demands; nothing was sent."""
    if missing := [name for name in required if body.get(name) in (None, "")]:
        raise Rejected(f"not sent: Ninjahire demands {', '.join(missing)} of a {kind}")


def joined(first: Value, last: Value) -> str | None:
    """A full name from its parts."""
    return " ".join(str(part).strip() for part in (first, last) if part is not None) or None


def split(name: str, last: str) -> dict[str, Value]:
    """A full name in its parts: the last name as it is where the name ends with it, else the last word."""
    words = " ".join(name.split())
    if last and words.endswith(f" {last}"):
        return {"first_name": words.removesuffix(f" {last}"), "last_name": last}
    first, _, final = words.rpartition(" ")
    return {"first_name": first, "last_name": final} if first else {"first_name": final or None, "last_name": None}


# --- errors ---------------------------------------------------------------------------------------------------------

_NAMED = sorted({*JOB_FIELDS, *PERSON_FIELDS, *APPLICATION_FIELDS, "source_id", "job_id", "candidate_id"})


def explain(response: httpx.Response) -> str:
    """What an error answer says, without a value of anybody's: the status in words, and the fields that it names.

    The backend answers ``{message, statusCode, error}``, the gateway in front of it problem+json with ``detail``.
    """
    answer = orjson.loads(response.content)
    said = str([answer.get(key) for key in ("message", "detail", "error", "errors")]).lower()
    words = set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in said).split())
    named = [name for name in _NAMED if name in words]
    phrase = HTTPStatus(response.status_code).phrase
    return f"{phrase}, about {', '.join(named)}" if named else phrase
