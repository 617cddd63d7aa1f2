"""What the played Workable keeps, and how it writes that down as JSON: pure, each key in the order of the real answers.

Source: the vendor's reference (workable.readme.io/reference) and recorded answers of the live API.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

DEFAULT_PIPELINE = (
    ("Sourced", "sourced"),
    ("Applied", "applied"),
    ("Phone Screen", "phone-screen"),
    ("Assessment", "assessment"),
    ("Interview", "interview"),
    ("Offer", "offer"),
    ("Hired", "hired"),
)
TECH_PIPELINE = (*DEFAULT_PIPELINE[:4], ("Tech Chat", "interview"), *DEFAULT_PIPELINE[4:])

REASONS = (
    ("Not enough experience", False),
    ("Salary expectations too high", False),
    ("Candidate withdrew", True),
)
SOCIAL = frozenset({"linkedin", "github", "twitter", "facebook", "xing", "stackoverflow", "dribbble", "behance"})
NOWHERE = dict.fromkeys(("location_str", "country", "country_code", "region", "region_code", "city", "zip_code"))
PLACES = ("city", "region", "country")
TEXTS = ("firstname", "lastname", "email", "headline", "summary", "address", "phone", "cover_letter")

Json = dict[str, Any]


def hexed(number: int) -> str:
    """The id that Workable shows for an internal number."""
    return f"{number + 1234:x}"


def number_of(id_: str) -> int:
    """The internal number behind an id; raises ``ValueError``."""
    return int(id_, 16) - 1234


@lru_cache(maxsize=20_000)
def _whole(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(at: float | None) -> str | None:
    """A time in whole seconds, as jobs and candidates bear it."""
    return None if at is None else _whole(int(at))


def millis(at: float | None) -> str | None:
    """A time with milliseconds, as activities, subscriptions and disqualifications bear it."""
    return None if at is None else f"{_whole(int(at))[:-1]}.{int(at * 1000) % 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class PlayedStage:
    """A stage of one pipeline; jobs on one pipeline share it."""

    number: int
    name: str
    slug: str
    kind: str
    position: int

    def brief(self) -> Json:
        """The stage as activities tell it."""
        return {"id": self.number, "identifier": hexed(self.number), "name": self.name, "slug": self.slug}

    def json(self) -> Json:
        """The stage as the list of stages tells it."""
        return {
            "id": self.number,
            "identifier": hexed(self.number),
            "slug": self.slug,
            "name": self.name,
            "kind": self.kind,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class PlayedMember:
    """A member of the hiring team."""

    number: int
    name: str
    email: str
    role: str = "admin"
    active: bool = True

    def json(self) -> Json:
        """The member as the list tells it."""
        return {
            "id": hexed(self.number),
            "name": self.name,
            "headline": None,
            "email": self.email,
            "role": self.role,
            "type": "Member",
            "hris_role": None,
            "roles": [f"ats.{self.role}"],
            "active": self.active,
            "collaboration_rules": [],
            "hris_member_scope": None,
        }


@dataclass(slots=True, eq=False)
class PlayedJob:
    """A job. ``state``: draft, published, closed, archived."""

    number: int
    shortcode: str
    created_at: float
    updated_at: float
    pipeline: tuple[PlayedStage, ...]
    title: str
    code: str | None = None
    state: str = "published"
    sample: bool = False
    confidential: bool = False
    department: str | None = None
    city: str | None = None
    region: str | None = None
    region_code: str | None = None
    country: str | None = None
    country_code: str | None = None
    zip_code: str | None = None
    workplace_type: str = "on_site"
    salary_from: int | None = None
    salary_to: int | None = None
    salary_currency: str | None = None
    description: str | None = None
    requirements: str | None = None
    benefits: str | None = None
    employment_type: str | None = "Full-time"
    industry: str | None = None
    function: str | None = None
    experience: str | None = None
    education: str | None = None
    rows: list[int] = field(default_factory=list)

    def stage(self, name: str) -> PlayedStage:
        """The stage of that name; raises ``ValueError``."""
        for stage in self.pipeline:
            if stage.name == name:
                return stage
        raise ValueError(f"no stage {name!r} in the pipeline of {self.shortcode}")

    def stage_by_slug(self, slug: Any) -> PlayedStage | None:
        """The stage of that slug."""
        return next((stage for stage in self.pipeline if stage.slug == slug), None)

    def first_of(self, kind: str) -> PlayedStage:
        """The first stage of a kind, else the pipeline's first."""
        return next((stage for stage in self.pipeline if stage.kind == kind), self.pipeline[0])

    def _top(self, subdomain: str) -> Json:
        known = [part for part in (self.title, self.code) if part]
        return {
            "id": hexed(self.number),
            "title": self.title,
            "full_title": " - ".join(known),
            "shortcode": self.shortcode,
            "code": self.code,
            "state": self.state,
            "sample": self.sample,
            "confidential": self.confidential,
            "department": self.department,
            "department_hierarchy": [{"id": "1a2b", "name": self.department}] if self.department else [],
            "url": f"https://{subdomain}.workable.com/jobs/{self.number}",
            "application_url": f"https://{subdomain}.workable.com/jobs/{self.number}/candidates/new",
            "shortlink": f"https://apply.workable.com/j/{self.shortcode}",
            "workplace_type": self.workplace_type,
            "location": self._location(),
            "locations": [],
            "salary": self._salary(),
            "created_at": seconds(self.created_at),
            "updated_at": seconds(self.updated_at),
            "keywords": None,
        }

    def _location(self) -> Json:
        told = [part for part in (self.city, self.region, self.country) if part]
        return {
            "location_str": ", ".join(told) or None,
            "country": self.country,
            "country_code": self.country_code,
            "region": self.region,
            "region_code": self.region_code,
            "city": self.city,
            "zip_code": self.zip_code,
            "telecommuting": self.workplace_type == "remote",
            "workplace_type": self.workplace_type,
        }

    def _salary(self) -> Json:
        salary = {"salary_from": self.salary_from, "salary_to": self.salary_to, "salary_currency": self.salary_currency}
        return salary if self.salary_currency else {}

    def listed(self, subdomain: str) -> Json:
        """The job as the list tells it."""
        return self._top(subdomain)

    def detail(self, subdomain: str) -> Json:
        """The job as the detail tells it: bare, without ``sample``, ``salary`` last."""
        told = self._top(subdomain)
        del told["sample"], told["location"]["location_str"]
        keywords, salary = told.pop("keywords"), told.pop("salary")
        texts = (self.description, self.requirements, self.benefits)
        return {
            **told,
            "full_description": "".join(text for text in texts if text) or None,
            "description": self.description,
            "requirements": self.requirements,
            "benefits": self.benefits,
            "employment_type": self.employment_type,
            "industry": self.industry,
            "function": self.function,
            "experience": self.experience,
            "education": self.education,
            "keywords": keywords,
            "salary": salary,
        }

    def plain(self) -> Json:
        """The job in the words of the connector, for judges."""
        return {
            "title": self.title,
            "code": self.code,
            "state": self.state,
            "department": self.department,
            "workplace_type": self.workplace_type,
            "location.city": self.city,
            "location.region": self.region,
            "location.country": self.country,
            "location.zip_code": self.zip_code,
            "salary.salary_from": self.salary_from,
            "salary.salary_to": self.salary_to,
            "salary.salary_currency": self.salary_currency,
            "description": self.description,
            "employment_type": self.employment_type,
            "industry": self.industry,
        }


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of a candidate's timeline; ``target`` is told of moves alone."""

    number: int
    action: str
    at: float
    member: PlayedMember | None = None
    origin: PlayedStage | None = None
    target: PlayedStage | None = None
    body: str | None = None
    rating: Json | None = None

    def json(self) -> Json:
        """The activity as a candidate's stream tells it."""
        told: Json = {
            "id": hexed(self.number),
            "action": self.action,
            "stage_name": self.origin.name if self.origin else None,
            "action_stage": self.origin.brief() if self.origin else None,
            "target_stage": self.target.brief() if self.target else None,
            "created_at": millis(self.at),
            "updated_at": millis(self.at),
        }
        if self.member:
            told["member"] = {"id": hexed(self.member.number), "name": self.member.name, "type": "Member"}
        told["body"] = self.body
        return told if self.rating is None else {**told, "rating": self.rating}

    def of_job(self, row: "PlayedRow") -> Json:
        """The activity as a job's stream tells it: there the stage's name is the target's."""
        told = self.json()
        for key in ("updated_at", "action_stage", "target_stage"):
            del told[key]
        return {
            **told,
            "stage_name": self.target.name if self.target else None,
            "candidate": {"id": hexed(row.number), "name": row.name},
        }


@dataclass(frozen=True, slots=True)
class PlayedFile:
    """A résumé."""

    name: str
    content: bytes
    at: float

    def about(self) -> Json:
        """The résumé as the list tells it."""
        at, kind = seconds(self.at), self.name.rpartition(".")[2]
        return {"filename": self.name, "filetype": kind, "created_at": at, "updated_at": at}


@dataclass(slots=True, eq=False)
class PlayedRow:
    """One person on one job."""

    number: int
    job: PlayedJob
    stage: PlayedStage
    created_at: float
    updated_at: float
    firstname: str | None = None
    lastname: str | None = None
    email: str | None = None
    phone: str | None = None
    headline: str | None = None
    address: str | None = None
    summary: str | None = None
    cover_letter: str | None = None
    sourced: bool = True
    disqualified: bool = False
    disqualified_at: float | None = None
    withdrew: bool = False
    reason: str | None = None
    hired_at: float | None = None
    moved_to_offer_at: float | None = None
    anonymized: bool = False
    outlet: str | None = "SPI"
    common_source: str = "Unknown"
    common_source_category: str = "Other"
    domain: str | None = None
    location: Json = field(default_factory=NOWHERE.copy)
    education: list[Json] = field(default_factory=list)
    experience: list[Json] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    social: list[Json] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    resume: PlayedFile | None = None

    @property
    def name(self) -> str | None:
        """First and last name joined."""
        return " ".join(part for part in (self.firstname, self.lastname) if part) or None

    @property
    def word(self) -> str:
        """The stage's name, or the flag over it, in the words of the connector."""
        if self.disqualified:
            return "!withdrew" if self.withdrew else "!disqualified"
        return self.stage.name

    def _top(self, subdomain: str) -> Json:
        return {
            "id": hexed(self.number),
            "name": self.name,
            "firstname": self.firstname,
            "lastname": self.lastname,
            "headline": self.headline,
            "account": {"subdomain": subdomain, "name": subdomain.title()},
            "job": {"shortcode": self.job.shortcode, "title": self.job.title},
            "stage": self.stage.name,
            "stage_kind": self.stage.kind,
            "disqualified": self.disqualified,
            "anonymized": self.anonymized,
            "disqualification_reason": self.reason,
            "hired_at": seconds(self.hired_at),
            "moved_to_offer_at": seconds(self.moved_to_offer_at),
            "sourced": self.sourced,
            "profile_url": f"https://{subdomain}.workable.com/backend/jobs/{self.job.number}/candidates/{self.number}",
            "address": self.address,
            "phone": self.phone,
            "email": self.email,
            "domain": self.domain,
            "outlet": self.outlet,
            "common_source": self.common_source,
            "common_source_category": self.common_source_category,
        }

    def listed(self, subdomain: str) -> Json:
        """The reduced row of the list: it does not tell ``withdrew`` or ``location``."""
        told = self._top(subdomain)
        told["created_at"], told["updated_at"] = seconds(self.created_at), seconds(self.updated_at)
        return told if self.resume is None else {**told, "resume_metadata": self.resume.about()}

    def detail(self, subdomain: str, resume_url: str | None = None) -> Json:
        """The candidate as the detail tells it, bare; ``resume_url`` is made anew for each reader."""
        told = self._top(subdomain)
        later = {key: told.pop(key) for key in list(told)[list(told).index("disqualified") + 1 :]}
        source = {key: later.pop(key) for key in ("domain", "outlet", "common_source", "common_source_category")}
        top = {"image_url": None, **{key: told.pop(key) for key in list(told)[5:]}}
        return {
            **told,
            **top,
            "disqualified_at": millis(self.disqualified_at),
            "withdrew": self.withdrew,
            **later,
            "outbound_mailbox": f"candidate-{self.number}@inbound.example.test",
            **source,
            "uploader_id": None,
            "created_at": seconds(self.created_at),
            "updated_at": seconds(self.updated_at),
            "cover_letter": self.cover_letter,
            "summary": self.summary,
            "education_entries": self.education,
            "experience_entries": self.experience,
            "skills": [{"name": skill} for skill in self.skills],
            "answers": [],
            "resume_url": resume_url,
            **({"social_profiles": self.social} if self.social else {}),
            "tags": self.tags,
            "location": self.location,
            "originating_candidate_id": None,
        }

    def person(self) -> Json:
        """The person in the words of the connector, for judges."""
        names = ("firstname", "lastname", "name", "email", "phone", "headline", "address")
        return {
            **{name: getattr(self, name) for name in names},
            **{f"location.{name}": self.location[name] for name in PLACES},
        }


def pipeline_of(stages: Sequence[tuple[str, str]], first: int) -> tuple[PlayedStage, ...]:
    """A pipeline of (name, kind); numbers from ``first`` on, positions from 1, slugs made from the names."""
    return tuple(
        PlayedStage(first + at, name, "-".join(name.lower().split()), kind, at + 1)
        for at, (name, kind) in enumerate(stages)
    )


def located(address: str | None) -> Json:
    """What the geocoder makes of "street, city, region, country" (or its last parts)."""
    parts = [part.strip() for part in (address or "").split(",") if part.strip()]
    if len(parts) < 2:
        return NOWHERE.copy()
    city, region = (parts[-3], parts[-2]) if len(parts) > 2 else (parts[0], None)
    told = ", ".join(part for part in (city, region, parts[-1]) if part)
    return {**NOWHERE, "location_str": told, "city": city, "region": region, "country": parts[-1]}
