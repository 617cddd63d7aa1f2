"""The hiring portal's JSON as records, and back: pure, liberal in what it reads, strict in what it writes.

Source: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs and /api/hiring). It prints hardly any row
whole, so each field may be missing; a reader raises KeyError, TypeError or ValueError where an answer makes no sense.

A stage stands in two places there: on the person (one for all jobs) and on each assignment (one per job). An
application is a pair of a person and a job, and its ref is ``<candidate id>:<job id>``: it stays the same when a person
who has a job, but no assignment yet, gets one by her first move. Its fields tell both places:

* ``stage`` is the assignment's; without any assignment it is the person's. It never changes place by looking at times:
  a person's row is touched by every edit, so a later time there does not say that the stage was moved there.
* ``candidate.stage`` is the person's, told by the applications that it can be about: the active ones, or all of them
  where none is active; the others tell it empty. Told by more than one, each bears the trait ``several_active``: a move
  made on the person alone names none of them.
* ``assignment`` is the assignment's id; None: there is none yet, and nothing of a placement is told.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from syncd.errors import Rejected, Stale
from syncd.model import Draft, Fields, Kind, Record, Ref, Value

Json = Mapping[str, Any]
Write = tuple[str, str, Json]  # method, path, body

STAGES = ("applied", "screening", "interview", "offer", "hired", "rejected")
ENDED = frozenset({"hired", "rejected"})
STATUSES = ("open", "on_hold", "closed")

JOB_FIELDS = (
    "title", "product", "team", "description", "requirements", "location", "job_type", "status", "salary_range",
)  # fmt: skip
PERSON_BORN = (
    "name", "email", "phone", "linkedin_url", "location", "current_title", "current_company", "source", "notes",
    "assigned_to",
)  # fmt: skip
PERSON_PATCHED = (
    "name", "email", "phone", "linkedin_url", "location", "current_title", "current_company", "notes", "assigned_to",
    "skills", "availability", "desired_roles", "languages", "github_url", "salary_expectation", "notice_period", "tags",
    "rating", "archived_at",
)  # fmt: skip
PERSON_FIELDS = tuple(dict.fromkeys((*PERSON_BORN, *PERSON_PATCHED, "product")))
PLACEMENT = ("notes", "feedback", "placement_date", "start_date", "salary")
STAGE, PERSONS_STAGE, ASSIGNMENT = "stage", "candidate.stage", "assignment"

ARCHIVED = "archived"
UNASSIGNED = "unassigned"  # the person has the job, and nobody has made the assignment yet
SEVERAL_ACTIVE = "several_active"  # a move made on the person alone could be about another application as well
STAGES_DIFFER = "stages_differ"  # the person's stage is another than the one assignment's that it can be about
ASSIGNED_TWICE = "assigned_twice"  # two assignments of one pair: nobody knows which of them is meant

_ID = re.compile(r"[A-Za-z0-9_.~-]{1,128}", re.ASCII)


# --- envelopes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of a list: its rows, and how many there are in all; None: it does not tell."""

    rows: tuple[Json, ...]
    total: int | None = None


def listing_of(answer: Any) -> Listing:
    """The rows of a list: ``{ok, data: [..], total}``, or ``{ok, data: {items: [..], total}}`` as contacts have it."""
    data = _good(answer)["data"]
    holder = data if isinstance(data, dict) else answer
    rows = data["items"] if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise TypeError("a list is an array")
    for row in rows:
        id_of(row)
    total = holder.get("total")
    return Listing(tuple(rows), total if type(total) is int and total >= 0 else None)


def object_of(answer: Any) -> Json:
    """The one object of an answer, which has an id."""
    data = _good(answer)["data"]
    id_of(data)
    return data  # type: ignore[no-any-return]  # JSON: a mapping with an id, as just proven


def acknowledged(answer: Any, expected: str | None = None) -> None:
    """Prove that an answer to a write says yes, and names no other thing than the one that was written."""
    data = _good(answer).get("data")
    if isinstance(data, dict) and "id" in data and expected is not None and id_of(data) != expected:
        raise ValueError("another thing was written than was meant")


def _good(answer: Any) -> Json:
    if not isinstance(answer, dict) or not flag(answer["ok"]):
        raise ValueError("not ok")
    return answer


# --- values ---------------------------------------------------------------------------------------------------------


def id_of(row: Any) -> str:
    """An object's id. They are opaque texts of letters, figures and a few signs."""
    return _id(row["id"])


def is_id(text: str) -> bool:
    """Whether a text can be an id, and so can stand in a path and in a ref."""
    return _ID.fullmatch(text) is not None and text not in {".", ".."}


def _id(value: Any) -> str:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not is_id(text):
        raise TypeError("an id is a text")
    return text


def flag(value: Any) -> bool:
    """A truth value: 0 and 1 as the portal's tables hold them, or what JSON has for it."""
    if value not in (0, 1):
        raise ValueError("neither true nor false")
    return bool(value)


def moment(value: Any) -> float | None:
    """Seconds since the epoch of ``2026-05-13T10:00:00Z`` or ``2026-05-13 10:00:00``, both UTC; None: neither."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def told(row: Json, names: Iterable[str]) -> dict[str, Value]:
    """The named fields that a row tells, blank texts as None; what is no plain value is not told."""
    return {name: _plain(row[name]) for name in names if name in row and isinstance(row[name], Value)}


def _plain(value: Value) -> Value:
    return None if isinstance(value, str) and not value.strip() else value


def _word(value: Any) -> str | None:
    """A stage's word; None: empty, or no word at all."""
    return value.strip() or None if isinstance(value, str) else None


def _version(*times: Any) -> str | None:
    """A mark that is equal while none of the times has moved; None where one of them is not told.

    Times go to the second there, so an application adds both stages: two moves may happen in one.
    """
    return "/".join(times) if all(isinstance(at, str) and at for at in times) else None


# --- reading --------------------------------------------------------------------------------------------------------


def job(row: Json) -> Record:
    """A job of the list or the detail. The detail's ``candidates`` are not read: whose stages they tell is not said."""
    return Record(
        Ref(Kind.JOB, id_of(row)),
        told(row, JOB_FIELDS),
        version=_version(row.get("updated_at")),
        created_at=moment(row.get("created_at")),
        updated_at=moment(row.get("updated_at")),
    )


def person(row: Json) -> Record:
    """A candidate. The stage on the row is told by the applications, because that is what it is about."""
    return Record(
        Ref(Kind.CANDIDATE, id_of(row)),
        told(row, PERSON_FIELDS),
        version=_version(row.get("updated_at")),
        created_at=moment(row.get("created_at")),
        updated_at=moment(row.get("updated_at")),
        traits=_archived(row),
    )


def applications(row: Json, assignments: Iterable[Json]) -> tuple[Record, ...]:
    """The applications of a candidate's row: her assignments, and her job where she has no assignment for it."""
    candidate = id_of(row)
    of_job: dict[str, list[Json]] = defaultdict(list)
    for assignment in assignments:
        of_candidate, job_id = parents_of(assignment)
        if of_candidate == candidate:
            of_job[job_id].append(assignment)
    pairs: dict[str, Json | None] = {
        job_id: max(rows, key=lambda one: (moment(one.get("created_at")) or 0.0, id_of(one)))
        for job_id, rows in of_job.items()
    }
    pointed = row.get("job_id")
    if pointed not in (None, ""):
        pairs.setdefault(_id(pointed), None)
    stages = {job_id: _stage(row, one, alone=not of_job) for job_id, one in pairs.items()}
    bearers = {job_id for job_id, stage in stages.items() if _is_active(stage)} or set(stages)
    return tuple(
        _application(row, job_id, one, stages[job_id], bearers, twice=len(of_job[job_id]) > 1)
        for job_id, one in pairs.items()
    )


def _application(
    row: Json, job_id: str, assignment: Json | None, stage: str | None, bearers: set[str], *, twice: bool
) -> Record:
    candidate, own = id_of(row), row if assignment is None else assignment
    fields: dict[str, Value] = {STAGE: stage} if stage else {}
    persons = _word(row.get("stage"))
    if job_id not in bearers:
        fields[PERSONS_STAGE] = None
    elif persons:
        fields[PERSONS_STAGE] = persons
    fields[ASSIGNMENT] = None if assignment is None else id_of(assignment)
    fields.update({} if assignment is None else told(assignment, PLACEMENT))
    traits = {
        UNASSIGNED: assignment is None,
        ASSIGNED_TWICE: twice,
        SEVERAL_ACTIVE: job_id in bearers and len(bearers) > 1,
        STAGES_DIFFER: bearers == {job_id} and bool(stage and persons) and stage != persons,
    }
    return Record(
        application_ref(candidate, job_id),
        fields,
        parents={Kind.JOB: job_id, Kind.CANDIDATE: candidate},
        version=_version(own.get("updated_at"), row.get("updated_at"), f"{stage} {persons}"),
        created_at=moment(own.get("created_at")),
        updated_at=moment(own.get("updated_at")),
        traits=_archived(row) | {trait for trait, is_so in traits.items() if is_so},
    )


def _stage(row: Json, assignment: Json | None, *, alone: bool) -> str | None:
    """The stage of one application; without an assignment the person's, if no assignment of hers may have set it."""
    if assignment is not None:
        stage = _word(assignment["stage"])
        if stage is None:
            raise TypeError("a stage is a word")
        return stage
    return _word(row.get("stage")) if alone else None


def _is_active(stage: str | None) -> bool:
    return stage is None or stage.casefold() not in ENDED


def _archived(row: Json) -> frozenset[str]:
    return frozenset({ARCHIVED}) if row.get("archived_at") else frozenset()


def parents_of(assignment: Json) -> tuple[str, str]:
    """The candidate and the job of an assignment."""
    id_of(assignment)
    return _id(assignment["candidate_id"]), _id(assignment["job_id"])


def application_ref(candidate: str, job_id: str) -> Ref:
    """The ref of the application of a person for a job."""
    return Ref(Kind.APPLICATION, f"{candidate}:{job_id}")


def pair_of(ref: Ref) -> tuple[str, str] | None:
    """The candidate and the job of an application; None: no such id can exist."""
    candidate, _, job_id = ref.id.partition(":")
    return (candidate, job_id) if is_id(candidate) and is_id(job_id) else None


# --- writing --------------------------------------------------------------------------------------------------------


def birth(draft: Draft) -> Write:
    """The request that makes a draft; raises ``Rejected`` naming what it lacks."""
    if draft.kind is Kind.APPLICATION:
        candidate, job_id = draft.parents[Kind.CANDIDATE].id, draft.parents[Kind.JOB].id
        return assign(candidate, job_id, draft.fields.get(STAGE))
    names, demanded, path = (
        (JOB_FIELDS, "title", "/jobs") if draft.kind is Kind.JOB else (PERSON_BORN, "name", "/candidates")
    )
    body = {name: draft.fields[name] for name in names if draft.fields.get(name) is not None}
    if demanded not in body:
        raise Rejected(f"not sent: the portal demands a {demanded} of a {draft.kind}")
    return "POST", path, body


def born(draft: Draft, data: Json) -> Record:
    """What the small answer to a create tells of what was made."""
    if draft.kind is Kind.JOB:
        return job(data)
    if draft.kind is Kind.CANDIDATE:
        return person(data)
    candidate, job_id = draft.parents[Kind.CANDIDATE].id, draft.parents[Kind.JOB].id
    return Record(
        application_ref(candidate, job_id),
        {ASSIGNMENT: id_of(data)},
        parents={Kind.JOB: job_id, Kind.CANDIDATE: candidate},
    )


def change(record: Record, fields: Fields) -> Write:
    """The request that changes fields of one call, given the record as just read."""
    if record.ref.kind is Kind.JOB:
        return "PATCH", f"/jobs/{record.ref.id}", _only(JOB_FIELDS, fields, record)
    if record.ref.kind is Kind.CANDIDATE:
        return "PATCH", f"/candidates/{record.ref.id}", _only(PERSON_PATCHED, fields, record)
    pair = pair_of(record.ref)
    if pair is None:
        raise Rejected("the application's id is not one of the portal's")
    if set(fields) == {PERSONS_STAGE}:
        return "PATCH", f"/candidates/{pair[0]}", {STAGE: fields[PERSONS_STAGE]}
    if ASSIGNED_TWICE in record.traits:
        raise Rejected("two assignments of one person for one job: take one of them away in the portal")
    if ASSIGNMENT not in record.fields:
        raise Stale("whether the application has an assignment was not read")
    assignment = record.fields[ASSIGNMENT]
    if assignment is not None:
        return "PATCH", f"/job-candidates/{assignment}", _only((STAGE, *PLACEMENT), fields, record)
    if set(fields) != {STAGE}:
        raise Rejected("the person is not assigned to the job yet, which her first move does")
    return assign(*pair, fields[STAGE])


def assign(candidate: str, job_id: str, stage: Value) -> Write:
    """The request that makes an assignment at a stage."""
    if not stage:
        raise Rejected("not sent: an assignment is made at a stage")
    return "POST", "/job-candidates", {"job_id": job_id, "candidate_id": candidate, STAGE: stage}


def _only(names: Sequence[str], fields: Fields, record: Record) -> Json:
    if unknown := sorted(set(fields) - set(names)):
        raise Rejected(f"the portal takes no {', '.join(unknown)} of a {record.ref.kind}")
    return dict(fields)


# --- errors ---------------------------------------------------------------------------------------------------------

# The portal's own words are repeated only as far as they are these: a refusal may echo a name, a mail or a phone.
_PLAIN = frozenset({
    "a", "access", "activity", "already", "api", "archived", "assigned", "assignment", "be", "body", "candidate",
    "empty", "exceeded", "failed", "field", "file", "forbidden", "found", "invalid", "is", "job", "json", "key",
    "large", "limit", "long", "missing", "must", "not", "note", "of", "one", "or", "rate", "required", "status", "the",
    "to", "too", "type", "unauthorized", "unknown",
})  # fmt: skip
_NAMES = frozenset({*JOB_FIELDS, *PERSON_FIELDS, *PLACEMENT, STAGE, "job_id", "candidate_id", "author"})
_SAID = re.compile(r"[\w'@.+-]+")


def explain(response: httpx.Response) -> str:
    """What an error answer says, with each word left out that might be a person's data."""
    said = orjson.loads(response.content)["error"]
    words = [word.rstrip(".") for word in _SAID.findall(said)]
    plain = [word if word.casefold() in _PLAIN | _NAMES else "…" for word in words]
    return " ".join(plain[:25]) or HTTPStatus(response.status_code).phrase
