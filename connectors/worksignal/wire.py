"""WorkSignal's JSON as records, and back: pure, liberal in what it reads, strict in what it writes.

Source: the vendor's API reference (https://worksignal.com/docs/api). It prints no list and hardly any object whole, so
lists are taken from a bare array, from the plural's name or from ``data``, and objects with or without their name
around them. A reader raises KeyError, TypeError or ValueError where an answer cannot be understood.

WorkSignal has no endpoint for one application: the only way to read it is its candidate. So an application's ref
bears both ids, ``<candidate id>:<application id>``.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncd.connector import Subscription
from syncd.model import Fields, Kind, Record, Ref, Value

Json = Mapping[str, Any]

EXITS = ("hired", "rejected", "withdrawn")
SEVERAL_ACTIVE = "several_active"  # the person has more than one active application: a move could hit the wrong one
ENDED = "ended"  # the application is not active, and no call makes it active again

ROLE_TEXTS = ("title", "status", "department", "location", "remote_policy", "description")
ROLE_AMOUNTS = ("salary_min", "salary_max")
PERSON_TEXTS = ("name", "email", "phone")


@dataclass(frozen=True, slots=True)
class Meta:
    """What a list says of its pages; None: it does not say."""

    page: int | None
    total: int | None
    total_pages: int | None
    next_page: int | None
    names_next: bool

    def goes_on(self, page: int) -> bool:
        """Whether there is a page behind ``page``."""
        if self.names_next:
            return self.next_page is not None
        return self.total_pages is not None and page < self.total_pages


def rows_of(answer: Any, plural: str) -> Sequence[Json]:
    """The rows of a list, whichever envelope it came in; each row has an id."""
    rows = answer if isinstance(answer, list) else answer[plural] if plural in answer else answer["data"]
    if not isinstance(rows, list):
        raise TypeError(f"{plural} is no list")
    for row in rows:
        id_of(row)
    return rows


def meta_of(answer: Any) -> Meta | None:
    """What the list says of its pages; None where it says nothing."""
    meta = answer.get("meta") if isinstance(answer, dict) else None
    if not isinstance(meta, dict) or not ("next_page" in meta or "total_pages" in meta):
        return None
    named = {name: _count(meta.get(name)) for name in ("page", "total", "total_pages", "next_page")}
    return Meta(**named, names_next="next_page" in meta)


def one_of(answer: Any, name: str) -> Json:
    """The one object of an answer, with or without its name around it."""
    found = next((answer[key] for key in (name, "data") if isinstance(answer.get(key), dict)), answer)
    id_of(found)
    return found  # type: ignore[no-any-return]  # JSON: a mapping with an id, as just proven


def tells_one(answer: Any, name: str) -> bool:
    """Whether an answer to a write tells the object as it is now; a close may tell no more than the new status."""
    if not isinstance(answer, dict):
        raise TypeError("an answer is an object")
    return any("id" in found for found in (answer, answer.get(name), answer.get("data")) if isinstance(found, dict))


def id_of(row: Any) -> str:
    """An object's id, as text. They are integers on the wire."""
    return _id(row["id"])


def role(row: Json) -> Record:
    """A role as a job."""
    texts: dict[str, Value] = {name: _text(row[name]) for name in ROLE_TEXTS if name in row}
    amounts: dict[str, Value] = {name: _count(row[name]) for name in ROLE_AMOUNTS if name in row}
    posting = row.get("job_posting")
    url = posting.get("public_url") if isinstance(posting, dict) else None
    return _record(
        Ref(Kind.JOB, id_of(row)), {**texts, **amounts}, row, url=url if isinstance(url, str) and url else None
    )


def person(row: Json) -> tuple[Record, ...]:
    """A candidate, then the applications that the row tells, newest as the row has them."""
    own = Ref(Kind.CANDIDATE, id_of(row))
    fields: dict[str, Value] = {name: _text(row[name]) for name in PERSON_TEXTS if name in row}
    return (_record(own, fields, row), *_applications(own.id, row["applications"] or [], _resume(row)))


def _resume(row: Json) -> Fields:
    """What changes with the person's résumé: its address without the query, which may be signed anew at each read."""
    if "resume_url" not in row:
        return {}
    link = row["resume_url"]
    if not isinstance(link, str) or not link.strip():
        return {"resume": None}
    return {"resume": hashlib.blake2b(link.partition("?")[0].encode(), digest_size=16).hexdigest()}


def resume_url(answer: Any, candidate: str) -> str | None:
    """Where the résumé of a candidate, as her own answer tells it, lies; None: there is none."""
    row = one_of(answer, "candidate")
    if id_of(row) != candidate:
        raise ValueError("another record was told than the one asked for")
    return _text(row.get("resume_url")) or None


# --- voice screens --------------------------------------------------------------------------------------------------


def screen(row: Json) -> Record:
    """A voice screen, of the list or with what its own answer adds. It names a person and a role, no application."""
    score = row.get("overall_score")
    fields: dict[str, Value] = {
        "status": _text(row["status"]),
        "overall_score": score if isinstance(score, int | float) and not isinstance(score, bool) else None,
    }
    fields.update({name: _sentences(row[name]) for name in ("highlights", "red_flags", "scores") if name in row})
    parents = {Kind.JOB: id_of(row["role"]), Kind.CANDIDATE: id_of(row["candidate"])}
    return _record(Ref(Kind.SCREENING, id_of(row)), fields, row, parents=parents)


def _sentences(told: Any) -> str | None:
    """Texts (bare, or in objects), or amounts by their names, as one text. Their shapes are not documented."""
    if isinstance(told, dict):
        amounts = {name: value for name, value in told.items() if isinstance(value, str | int | float)}
        return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in amounts.items()) or None
    if not isinstance(told, list):
        return told.strip() or None if isinstance(told, str) else None
    texts = [one if isinstance(one, str) else _said(one) for one in told]
    return "; ".join(text.strip() for text in texts if text and text.strip()) or None


def _said(one: Any) -> str | None:
    named = [one.get(name) for name in ("text", "summary", "quote", "title")] if isinstance(one, dict) else []
    return next((text for text in named if isinstance(text, str)), None)


# --- ids and parts --------------------------------------------------------------------------------------------------


def application_ref(candidate: str, application: str) -> Ref:
    """The ref of an application."""
    return Ref(Kind.APPLICATION, f"{candidate}:{application}")


def candidate_of(ref: Ref) -> str | None:
    """The candidate whose answer tells a candidate or an application; None: no such id can exist."""
    candidate, _, application = ref.id.partition(":")
    well_formed = _is_id(candidate) and (_is_id(application) if ref.kind is Kind.APPLICATION else ":" not in ref.id)
    return candidate if well_formed else None


def role_id(text: str) -> int | None:
    """A role's id as the wire wants it; None: no such id can exist."""
    return int(text) if _is_id(text) else None


def role_body(fields: Fields) -> dict[str, Any]:
    """The body that writes a role's own fields."""
    return {"role": {name: _written(value) for name, value in fields.items()}}


def _applications(candidate: str, rows: Sequence[Json], resume: Fields) -> Iterator[Record]:
    several = sum(_is_active(row) for row in rows) > 1
    for row in rows:
        traits = {ENDED} if not _is_active(row) else {SEVERAL_ACTIVE} if several else set[str]()
        yield _record(
            application_ref(candidate, id_of(row)),
            {"stage": _stage(row), **resume},
            {"created_at": row.get("applied_at"), **row},
            parents={Kind.JOB: _role_of(row), Kind.CANDIDATE: candidate},
            traits=frozenset(traits),
        )


def _record(ref: Ref, fields: Fields, row: Json, **more: Any) -> Record:
    changed = row.get("updated_at")
    return Record(
        ref,
        fields,
        version=changed if isinstance(changed, str) else None,
        created_at=_instant(row.get("created_at")),
        updated_at=_instant(changed),
        **more,
    )


def _stage(row: Json) -> str:
    """The stage's word; an exit that only the status tells counts, because the stage may keep where it happened."""
    status, stage = row.get("status"), row["stage"]
    if not isinstance(stage, str) or not stage:
        raise TypeError("a stage is a word")
    return status if status in EXITS else stage


def _is_active(row: Json) -> bool:
    status = row.get("status")
    return status == "active" if isinstance(status, str) else row["stage"] not in EXITS


def _role_of(row: Json) -> str:
    return _id(row["role_id"]) if "role_id" in row else id_of(row["role"])


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or not _is_id(str(value)):
        raise TypeError("an id is a whole number")
    return str(value)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a text is a string")
    return value


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not (value is None or isinstance(value, int)):
        raise TypeError("a count is a whole number")
    return value


def _instant(value: Any) -> float | None:
    """An ISO 8601 time, with or without parts of a second; what cannot be read is not told."""
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _written(value: Value) -> Value:
    """Amounts are integers on this wire."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- webhooks -------------------------------------------------------------------------------------------------------

_PEOPLE = (Kind.CANDIDATE, Kind.APPLICATION)

# The events of https://worksignal.com/docs/webhooks, with what each tells of. None tells of a role.
EVENTS: Mapping[str, tuple[Kind, ...]] = {
    "application.created": _PEOPLE,
    "application.stage_changed": _PEOPLE,
    "voice_screen.completed": (Kind.SCREENING,),
    "voice_screen.failed": (Kind.SCREENING,),
    "candidate.passed": _PEOPLE,
    "candidate.rejected": _PEOPLE,
    "candidate.hired": _PEOPLE,
    "candidate.withdrawn": _PEOPLE,
}


def subscription(row: Json) -> Subscription:
    """A webhook; its secret is told only by the answer that made it. What it says of itself beside is optional."""
    url, events, secret = row["url"], row["events"], row.get("secret")
    if not isinstance(url, str) or not isinstance(events, list):
        raise TypeError("a webhook in another form than is documented")
    known = secret if isinstance(secret, str) and secret and "*" not in secret else None
    return Subscription(id_of(row), url, frozenset(map(str, events)), row.get("active") is not False, secret=known)
