"""Workable's JSON to records and back: pure, liberal in what it reads, strict in what it writes.

A candidate row of Workable is one person on one job, so each row is read as two records with one id: the person's
fields, and the application with its stage. Rows of the list are reduced: they know no location and not whether a
disqualified person has withdrawn, so those keys are left out there ("this view does not tell").

Source of the shapes: the vendor's reference (workable.readme.io/reference), sections Jobs, Stages, Candidates and
Webhooks, and recorded answers of the live API where the two differ.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from syncd.model import Draft, Fields, Kind, Record, Ref, Value

DISQUALIFIED = "!disqualified"  # our words for a flag: "!" begins no stage name that Workable makes
WITHDREW = "!withdrew"

PERSON = ("firstname", "lastname", "email", "phone", "headline", "address")
LOCATION = ("city", "region", "country")
JOB = ("title", "full_title", "code", "state", "department", "workplace_type")
JOB_LOCATION = ("country", "country_code", "region", "region_code", "city", "zip_code")
SALARY = ("salary_from", "salary_to", "salary_currency")
JOB_DETAILS = (
    "full_description",
    "description",
    "requirements",
    "benefits",
    "employment_type",
    "industry",
    "function",
    "experience",
    "education",
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of a list as told: its raw rows, and the address of the next page; None: the list's end."""

    rows: tuple[Row, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why people are disqualified; ``withdrew``: because they left by themselves."""

    id: str
    description: str
    withdrew: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a pipeline: rows tell its name, moves want its slug."""

    name: str
    slug: str


# --- lists ----------------------------------------------------------------------------------------------------------


def sheet(body: Any, name: str) -> Sheet:
    """Read a list's answer; the end is told by the absence of ``paging`` alone.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` on any other shape, so that a renamed key never looks like
    the end of a list.
    """
    rows = body[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(f"{name} is no list of objects")
    return Sheet(tuple(rows), _next_of(body.get("paging")))


class Trail:
    """Judges page by page whether a walk gets on.

    Rows come in the order of their numbers, so each page ends behind the one before. Whether that holds under a change
    filter is not documented: there (not ``ordered``) it is only asked that no page ends where another ended.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._highest: int | None = None
        self._ends: set[str] = set()

    def goes_on(self, page: Sheet) -> bool:
        """Whether this page was not told before; an empty page may only be the last."""
        if not page.rows:
            return page.next is None
        end = str(page.rows[-1].get("id"))
        at = number(end)
        backward = self._ordered and at is not None and self._highest is not None and at <= self._highest
        again = end in self._ends
        self._ends.add(end)
        self._highest = at
        return not (backward or again)


def _next_of(paging: Any) -> str | None:
    if paging is None:
        return None
    link = paging["next"]
    if link is not None and not isinstance(link, str):
        raise TypeError("paging.next is no address")
    return link or None


def number(id_: Any) -> int | None:
    """The number behind an id. Ids are hexadecimal and of unlike length, so their order is that of these numbers."""
    try:
        return int(id_, 16)
    except (TypeError, ValueError):
        return None


# --- jobs -----------------------------------------------------------------------------------------------------------


def job(row: Row) -> Record:
    """Read a job of the list or the detail; whether it is one of Workable's samples is told by the list alone."""
    shortcode = _id(row["shortcode"])
    salary = nested(row, "salary", SALARY)
    flags = {
        "sample": row.get("sample"),
        "confidential": row.get("confidential"),
        "archived": row.get("state") == "archived",
    }
    return Record(
        Ref(Kind.JOB, shortcode),
        {
            **told(row, JOB),
            **nested(row, "location", JOB_LOCATION),
            **salary,
            **_dollars(salary),
            **told(row, JOB_DETAILS),
        },
        version=_text(row.get("updated_at")),
        created_at=moment(row.get("created_at")),
        updated_at=moment(row.get("updated_at")),
        traits=frozenset(trait for trait, is_so in flags.items() if is_so is True),
        url=_text(row.get("url")),
    )


def _dollars(salary: Fields) -> dict[str, Value]:
    """The salary for systems that know US dollars alone; left out in any other currency."""
    if str(salary.get("salary.salary_currency")).casefold() != "usd":
        return {}
    ends = {"salary_usd_from": "salary.salary_from", "salary_usd_to": "salary.salary_to"}
    return {ours: salary[theirs] for ours, theirs in ends.items() if theirs in salary}


def detail_of(body: Any, name: str) -> Row:
    """The object of a detail answer, bare or in its envelope."""
    inner = body.get(name, body)
    if not isinstance(inner, dict):
        raise TypeError(f"{name} is no object")
    return inner


# --- candidates -----------------------------------------------------------------------------------------------------


def candidate(row: Row) -> tuple[Record, ...]:
    """Read one row, of the list or the detail, as person and application; without a job there is no application."""
    id_ = _id(row["id"])
    version = _text(row.get("updated_at"))
    created_at, updated_at = moment(row.get("created_at")), moment(version)
    traits = frozenset({"anonymized"}) if row.get("anonymized") is True else frozenset[str]()
    url = _text(row.get("profile_url"))
    person = Record(
        Ref(Kind.CANDIDATE, id_),
        person_fields(row),
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        traits=traits,
        url=url,
    )
    shortcode = shortcode_of(row)
    if shortcode is None:
        return (person,)
    application = Record(
        Ref(Kind.APPLICATION, id_),
        {**stage_field(row), **hired_field(row), **resume_field(row)},
        parents={Kind.JOB: shortcode, Kind.CANDIDATE: id_},
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        traits=traits,
        url=url,
        beneath=stage_beneath(row),
    )
    return person, application


def person_fields(row: Row) -> dict[str, Value]:
    """The person's fields, and ``name`` joined so that it compares with systems that know full names alone."""
    fields = told(row, PERSON)
    if "firstname" in fields and "lastname" in fields:
        fields["name"] = " ".join(str(part) for part in (fields["firstname"], fields["lastname"]) if part) or None
    else:
        fields.update(told(row, ("name",)))
    fields.update(nested(row, "location", LOCATION))
    return fields


def stage_field(row: Row) -> dict[str, Value]:
    """The stage's name, or the flag that lies over it; empty where the row does not tell which flag it is."""
    if "disqualified" not in row:
        return {}
    if row["disqualified"]:
        return {"stage": WITHDREW if row["withdrew"] else DISQUALIFIED} if "withdrew" in row else {}
    name = _text(row.get("stage"))
    return {"stage": name} if name else {}


def stage_beneath(row: Row) -> str | None:
    """The stage over which the flag lies: a disqualification leaves it as it is, and a revert shows it again."""
    return _text(row.get("stage")) if row.get("disqualified") else None


def hired_field(row: Row) -> dict[str, Value]:
    """The day on which somebody was hired (UTC): placements are dated by the day elsewhere."""
    if "hired_at" not in row:
        return {}
    at = _text(row["hired_at"])
    return {"hired_on": at[:10] if at and moment(at) is not None else None}


def resume_field(row: Row) -> dict[str, Value]:
    """What changes with the résumé: its name and time. A detail tells only whether there is one."""
    if about := resume_of(row):
        return {"resume": " ".join(about)}
    return {"resume": None} if resume_url(row) is None else {}


def resume_of(row: Row) -> tuple[str, str] | None:
    """The time and name of a row's résumé, as the list tells them."""
    about = row.get("resume_metadata")
    if not isinstance(about, dict):
        return None
    return _text(about.get("updated_at")) or "", _text(about.get("filename")) or ""


def resume_url(row: Row) -> str | None:
    """Where a row's résumé may be fetched for some hours; the detail alone tells."""
    return _text(row.get("resume_url"))


def shortcode_of(row: Row) -> str | None:
    """The job that a row belongs to; None for people in the talent pool alone."""
    of_job = row.get("job")
    return _text(of_job.get("shortcode")) if isinstance(of_job, dict) else None


# --- stages and members ---------------------------------------------------------------------------------------------


def stages(body: Any) -> tuple[Stage, ...]:
    """Read a pipeline in the order of its positions (they start at 0 or 1)."""
    rows = sorted(body["stages"], key=lambda row: row.get("position") or 0)
    return tuple(Stage(_id(row["name"]), _id(row["slug"])) for row in rows)


def reasons(body: Any) -> tuple[Reason, ...]:
    """Read the disqualification reasons: a bare array."""
    return tuple(Reason(_id(row["id"]), str(row["description"]), row.get("candidate_withdrew") is True) for row in body)


def slug_of(pipeline: Iterable[Stage], name: str) -> str | None:
    """The slug of the first stage of that name; None: the pipeline has no such stage."""
    return next((stage.slug for stage in pipeline if stage.name.casefold() == name.casefold()), None)


def is_member(row: Row, wanted: str) -> bool:
    """Whether a row of the members is the active member of that id or e-mail."""
    email = row.get("email")
    named = row.get("id") == wanted or (isinstance(email, str) and email.casefold() == wanted.casefold())
    return named and row.get("active", True) is True


# --- what is written ------------------------------------------------------------------------------------------------


def born(draft: Draft, slug: str | None) -> tuple[dict[str, str], dict[str, Any]]:
    """The query and body that create a row. ``sourced`` is always true: otherwise Workable mails the person."""
    person = {name: value for name, value in _whole_name(draft.person).items() if value is not None}
    if draft.fields.get("stage") == DISQUALIFIED:
        person["disqualified"] = True
    return {"stage": slug} if slug else {}, {"sourced": True, "candidate": person}


def _whole_name(person: Fields) -> dict[str, Value]:
    fields = {name: person.get(name) for name in PERSON}
    if not (fields["firstname"] and fields["lastname"]) and person.get("name"):
        parts = split_name(str(person["name"]), None)
        fields["firstname"], fields["lastname"] = parts if parts[1] else (parts[0], None)
    if fields["firstname"] and not fields["lastname"]:
        return {"name": fields.pop("firstname"), **fields}
    return fields


def patch(record: Record, fields: Fields) -> dict[str, Any]:
    """The body that changes a person; a joined name goes out in its two parts, emptied texts as ``""``."""
    change = {name: fields[name] for name in PERSON if name in fields}
    if fields.get("name") and not {"firstname", "lastname"} & change.keys():
        present = record.fields.get("lastname")
        parts = split_name(str(fields["name"]), str(present) if present else None)
        change["firstname"], change["lastname"] = parts
    return {"candidate": {name: "" if value is None else value for name, value in change.items()}}


def split_name(name: str, last: str | None) -> tuple[str, str]:
    """First and last name of a full one: the present last name is kept where the full name ends with it."""
    words = name.split()
    whole = " ".join(words)
    if last and whole.endswith(f" {last}"):
        return whole.removesuffix(f" {last}"), last
    return (" ".join(words[:-1]), words[-1]) if len(words) > 1 else (whole, "")


def query_time(at: float) -> str:
    """A time as the filters take it (ISO 8601 basic form), in the whole second before."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y%m%dT%H%M%SZ")


# --- errors ---------------------------------------------------------------------------------------------------------

# Workable's own words are repeated only as far as they are these: a refusal may echo a name, a mail or a phone.
_PLAIN = frozenset({
    "a", "access", "account", "active", "already", "and", "archived", "are", "authorized", "be", "blank", "can't",
    "candidate", "conflict", "does", "email", "empty", "exists", "expired", "failed", "field", "forbidden", "found",
    "has", "in", "inactive", "invalid", "is", "job", "limit", "long", "match", "member", "missing", "must", "no",
    "not", "of", "or", "param", "position", "rate", "reason", "request", "required", "short", "stage", "subdomain",
    "taken", "target", "the", "to", "token", "too", "unauthorized", "unknown", "validation", "value", "with",
})  # fmt: skip
_FIELDS = frozenset(
    {*PERSON, "name", "stage", "target_stage", "member_id", "summary", "cover_letter", "skills", "tags"}
)
_WORD = re.compile(r"[\w'@.+-]+")


def complaint(content: bytes) -> str:
    """What an error answer says, with each word left out that might be a person's data.

    ``error`` may be a string or objects around one; ``validation_errors`` names fields. Raises ``ValueError`` and
    its like on anything else.
    """
    body = orjson.loads(content)
    said = " ".join(_said(body["error"], 6))
    plain = [word if _is_plain(word) else "…" for word in _WORD.findall(said)]
    fields = body.get("validation_errors")
    named = sorted({*fields} & _FIELDS) if isinstance(fields, dict) else []
    return " ".join([*plain[:25], *([f"(fields: {', '.join(named)})"] if named else [])])


def _is_plain(word: str) -> bool:
    return word.casefold().rstrip(".") in _PLAIN | _FIELDS


def _said(error: Any, depth: int) -> list[str]:
    if isinstance(error, str):
        return [error]
    if not isinstance(error, dict) or depth == 0:
        return []
    return [text for key in ("error", "description") for text in _said(error.get(key), depth - 1)]


def is_duplicate(content: bytes) -> bool:
    """Whether a refused create says that the e-mail is on that job already (status 422, by some accounts 400)."""
    try:
        body = orjson.loads(content)
        complaints = body["validation_errors"]["email"]
        return any("already exists" in str(text) for text in complaints)
    except (ValueError, KeyError, TypeError):
        return False


# --- values ---------------------------------------------------------------------------------------------------------


_VALUES = frozenset({str, int, float, bool, type(None)})


def told(row: Row, names: Iterable[str]) -> dict[str, Value]:
    """The named fields that a row tells, empty texts as None; what is no plain value is not told."""
    return {
        name: None if value == "" else value  # 0 and False are told as they are
        for name in names
        if name in row and type(value := row[name]) in _VALUES
    }


def nested(row: Row, outer: str, names: Iterable[str]) -> dict[str, Value]:
    """The named fields of an inner object, with dotted names; an inner null tells each of them empty."""
    if outer not in row:
        return {}
    inner = row[outer]
    if inner is None:
        return {f"{outer}.{name}": None for name in names}
    return {f"{outer}.{name}": value for name, value in told(inner, names).items()} if isinstance(inner, dict) else {}


@lru_cache(maxsize=4096)
def _seconds(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def moment(text: Any) -> float | None:
    """Seconds since the epoch of a time of the wire, with or without milliseconds; None: absent or absurd."""
    return _seconds(text) if isinstance(text, str) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("an id is missing")
    return value
