"""What the played WorkSignal keeps, what it takes as valid, and how its answers and events tell it. Pure.

Source: https://worksignal.com/docs/api and /docs/webhooks; see ``sandbox`` for what is assumed where they are silent.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from syncd.sandbox import Hook

STAGES = ("applied", "screening", "interview", "offer")
EXITS = ("hired", "rejected", "withdrawn")
STATUSES = ("draft", "open", "paused", "closed")
ROLE_FIELDS = ("title", "department", "description", "location", "remote_policy", "salary_min", "salary_max")
POSTING_FIELDS = ("title", "public_description", "requirements")
PERSON_FIELDS = ("name", "email", "phone", "resume_url")
EVENTS = (
    "application.created",
    "application.stage_changed",
    "voice_screen.completed",
    "voice_screen.failed",
    "candidate.passed",
    "candidate.rejected",
    "candidate.hired",
    "candidate.withdrawn",
)
ORGANIZATION = 7
PORTAL = "https://worksignal.com/careers/acme"

Json = dict[str, Any]


class Invalid(Exception):
    """A request that validation refuses; the message is the sentence that the answer bears."""


class Missing(Exception):
    """Nothing is there under this id."""


@dataclass
class Posting:
    """A role's page on the career portal."""

    id: int
    fields: Json
    published: bool = False


@dataclass
class Role:
    """An open position."""

    id: int
    fields: Json
    status: str
    created_at: float
    updated_at: float
    posting: Posting | None = None


@dataclass
class Application:
    """One person on one role."""

    id: int
    role_id: int
    applied_at: float
    updated_at: float
    stage: str = "applied"

    @property
    def is_active(self) -> bool:
        """Whether it can still be moved."""
        return self.stage not in EXITS


@dataclass
class Person:
    """A candidate with all applications, oldest first."""

    id: int
    fields: Json
    created_at: float
    updated_at: float
    applications: list[Application] = field(default_factory=list)
    resume: bytes | None = None  # kept here; else ``resume_url`` may lead elsewhere


@dataclass
class Screen:
    """A voice screen: asked for, then completed or failed."""

    id: int
    person: Person
    role: Role
    status: str = "scheduled"
    overall_score: int | None = None
    highlights: list[str] = field(default_factory=list)
    red_flags: list[str] = field(default_factory=list)


# --- what is valid --------------------------------------------------------------------------------------------------


def check_role(fields: Json) -> None:
    """Refuse a role's fields that cannot be."""
    if not str(fields.get("title") or "").strip():
        raise Invalid("Title can't be blank")
    if fields["remote_policy"] not in (None, "onsite", "hybrid", "remote"):
        raise Invalid("Remote policy is not included in the list")
    for name in ("salary_min", "salary_max"):
        if fields[name] is not None and (isinstance(fields[name], bool) or not isinstance(fields[name], int)):
            raise Invalid(f"{name.replace('_', ' ').capitalize()} is not a number")
    for name in ("title", "department", "description", "location"):
        if fields[name] is not None and not isinstance(fields[name], str):
            raise Invalid(f"{name.capitalize()} is invalid")


def check_person(fields: Json) -> None:
    """Refuse a person's fields that cannot be."""
    for name in ("name", "email"):
        if not str(fields.get(name) or "").strip():
            raise Invalid(f"{name.capitalize()} can't be blank")
    for name in PERSON_FIELDS:
        if fields[name] is not None and not isinstance(fields[name], str):
            raise Invalid(f"{name.capitalize()} is invalid")
    if "@" not in fields["email"].strip("@"):
        raise Invalid("Email is invalid")


def check_hook(body: Json) -> None:
    """Refuse a webhook that cannot be."""
    url, events = body.get("url"), body.get("events")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise Invalid("Url is invalid")
    if not isinstance(events, list) or not events or not set(map(str, events)) <= set(EVENTS):
        raise Invalid("Events is not included in the list")


# --- how answers tell it --------------------------------------------------------------------------------------------


def role_json(role: Role) -> Json:
    """A role as its own answers tell it."""
    return {
        "id": role.id,
        "status": role.status,
        **role.fields,
        "job_posting": posting_json(role.posting) if role.posting else None,
        "created_at": iso(role.created_at),
        "updated_at": iso(role.updated_at),
    }


def role_row(role: Role) -> Json:
    """A role as the list tells it: a get adds description, salary range and posting, as documented."""
    only_in_detail = {"description", "salary_min", "salary_max", "job_posting"}
    return {name: value for name, value in role_json(role).items() if name not in only_in_detail}


def posting_json(posting: Posting) -> Json:
    """A job posting."""
    slug = "-".join(str(posting.fields["title"]).lower().split())
    url = f"{PORTAL}/jobs/{slug}"
    return {"id": posting.id, **posting.fields, "slug": slug, "published": posting.published, "public_url": url}


def person_json(person: Person) -> Json:
    """A candidate with the applications, newest first."""
    return {
        "id": person.id,
        **person.fields,
        "applications": [application_json(one) for one in reversed(person.applications)],
        "created_at": iso(person.created_at),
        "updated_at": iso(person.updated_at),
    }


def application_json(application: Application) -> Json:
    """An application within its candidate."""
    return {
        "id": application.id,
        "role_id": application.role_id,
        "stage": application.stage,
        "status": "active" if application.is_active else application.stage,
        "applied_at": iso(application.applied_at),
        "updated_at": iso(application.updated_at),
    }


def screen_json(screen: Screen) -> Json:
    """A voice screen, as answers and events tell it."""
    return {
        "id": screen.id,
        "status": screen.status,
        "overall_score": screen.overall_score,
        "candidate": named(screen.person),
        "role": titled(screen.role),
    }


def hook_json(hook: Hook) -> Json:
    """A webhook, without its secret."""
    return {"id": int(hook.id), "url": hook.url, "events": list(hook.events or EVENTS), "active": hook.active}


def application_event(person: Person, application: Application, role: Role) -> Json:
    """An application as events tell it."""
    return {
        "id": application.id,
        "stage": application.stage,
        "applied_at": iso(application.applied_at, "seconds"),
        "candidate": named(person),
        "role": titled(role),
    }


def named(person: Person) -> Json:
    """A candidate where another thing tells whose it is."""
    return {"id": person.id, "name": person.fields["name"], "email": person.fields["email"]}


def titled(role: Role) -> Json:
    """A role where another thing tells which it is about."""
    return {"id": role.id, "title": role.fields["title"]}


def envelope(event: str, at: float, data: Json) -> bytes:
    """The body of a webhook's delivery, the same for all events."""
    occurred = iso(at, "seconds")
    return orjson.dumps({"event": event, "occurred_at": occurred, "organization_id": ORGANIZATION, "data": data})


def signed(hook: Hook, body: bytes) -> Mapping[str, str]:
    """The documented signature: hex HMAC-SHA256 of the raw body with the webhook's secret; no time, no id."""
    return {"X-WorkSignal-Signature": hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()}


def iso(at: float, precision: str = "milliseconds") -> str:
    """Seconds since the epoch as these answers write them; webhooks go to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


# --- how the log and judges name it ---------------------------------------------------------------------------------


def ref_of(person: Person, application: Application) -> str:
    """An application's id as the connector's refs bear it."""
    return f"{person.id}:{application.id}"


def application_fields(person: Person, application: Application) -> Json:
    """An application as the log and a snapshot tell it."""
    return {"job": str(application.role_id), "candidate": str(person.id), "stage": application.stage}
