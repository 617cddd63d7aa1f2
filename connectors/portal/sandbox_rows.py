"""What the played portal keeps, what it takes as valid, and how its answers tell it."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from syncd.clock import Clock

Row = dict[str, Any]

STAGES = ("applied", "screening", "interview", "offer", "hired", "rejected")
STATUSES = ("open", "closed", "on_hold")
JOB_TYPES = ("contract", "full_time", "part_time")
DEFAULT_LIMIT, LARGEST_LIMIT = 50, 200

JOB_BLANK: Row = {
    "title": None, "product": "studios", "team": None, "description": None, "requirements": None, "location": "Remote",
    "job_type": "contract", "status": "open", "salary_range": None,
}  # fmt: skip
PUBLIC = ("id", "title", "product", "location", "job_type", "description", "requirements", "created_at")
PERSON_BLANK: Row = {
    "name": None, "email": None, "phone": None, "linkedin_url": None, "location": None, "current_title": None,
    "current_company": None, "resume_text": None, "resume_parsed": None, "source": "direct", "stage": "applied",
    "job_id": None, "notes": None, "assigned_to": None,
}  # fmt: skip
PERSON_LATER: Row = dict.fromkeys(
    (
        "skills", "availability", "desired_roles", "languages", "github_url", "salary_expectation", "notice_period",
        "tags", "rating", "archived_at",
    )
)  # fmt: skip
NOT_PATCHED = frozenset({"resume_text", "resume_parsed", "source", "job_id"})
PERSON_PATCHED = tuple(name for name in (*PERSON_BLANK, *PERSON_LATER) if name not in NOT_PATCHED)
ASSIGNMENT_BLANK: Row = dict.fromkeys(("notes", "feedback", "placement_date", "start_date", "salary"))
REQUIRED = frozenset({"title", "name", "status", "stage", "job_type"})
WORDS: Mapping[str, Sequence[str]] = {"status": STATUSES, "job_type": JOB_TYPES, "stage": STAGES}
PREFIXES = {"job": "job", "candidate": "cand", "assignment": "jc"}


class Refused(Exception):
    """A request that is refused, in the portal's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


# --- answers --------------------------------------------------------------------------------------------------------


def answer(data: Any, status: int = 200, **more: Any) -> Response:
    """A good answer in its envelope."""
    return JSONResponse({"ok": True, "data": data, **more}, status)


def refusal(status: int, error: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal in its envelope."""
    return JSONResponse({"ok": False, "error": error}, status, headers)


async def body_of(request: Request) -> Row:
    """The JSON object of a request."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "Invalid JSON body")
    return body


def iso(at: float) -> str:
    """A time as most tables have it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(at: float) -> str:
    """A time as a SQLite column's default writes it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


# --- what is valid --------------------------------------------------------------------------------------------------


def taken(names: Iterable[str], body: Row) -> Row:
    """The fields of a body that are known; raises ``Refused`` where a value cannot be."""
    fields = {name: body[name] for name in names if name in body}
    for name, value in fields.items():
        if name in REQUIRED and not (isinstance(value, str) and value.strip()):
            raise Refused(400, f"{name} is required")
        if name in WORDS and value not in WORDS[name]:
            raise Refused(400, f"Invalid {name}")
        if name != "resume_parsed" and not (value is None or isinstance(value, str | int | float)):
            raise Refused(400, f"Invalid {name}")
    return fields


def demanded(name: str, fields: Row) -> None:
    """Raise ``Refused`` where a required field is missing."""
    if name not in fields:
        raise Refused(400, f"{name} is required")


# --- the tables -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """When a row was born: newest first is the order of all lists."""

    at: float
    number: int

    @property
    def key(self) -> tuple[float, int]:
        """Sorts the oldest first."""
        return self.at, self.number


class Rows:
    """Jobs, candidates and assignments. Jobs and candidates tell their times in one form, assignments in the other."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self.of: dict[str, dict[str, Row]] = {"job": {}, "candidate": {}, "assignment": {}}
        self._rng = rng
        self._numbers = count(1)
        self._born: dict[str, Order] = {}

    def new_id(self, prefix: str) -> str:
        """An opaque id behind its prefix."""
        return f"{prefix}_{self._rng.getrandbits(32):08x}"

    def bear(self, kind: str, fields: Row, created_at: float | None = None) -> Row:
        """Keep a new row."""
        at = self.clock.now() if created_at is None else created_at
        written = self._written(kind, at)
        row = {"id": self.new_id(PREFIXES[kind]), **fields, "created_at": written, "updated_at": written}
        self.of[kind][row["id"]] = row
        self._born[row["id"]] = Order(at, next(self._numbers))
        return row

    def change(self, kind: str, row: Row, fields: Row) -> tuple[Row, Row]:
        """Set fields; what changed, before and after. A PATCH moves ``updated_at`` though it change nothing."""
        after = {name: value for name, value in fields.items() if row[name] != value}
        before = {name: row[name] for name in after}
        row.update(after, updated_at=self._written(kind, self.clock.now()))
        return before, after

    def one(self, kind: str, id_: str) -> Row:
        """The row of an id."""
        row = self.of[kind].get(id_)
        if row is None:
            thing = "Assignment" if kind == "assignment" else kind.capitalize()
            raise Refused(404, f"{thing} not found")
        return row

    def newest(self, kind: str) -> list[Row]:
        """All rows of a kind, the newest first."""
        return sorted(self.of[kind].values(), key=lambda row: self._born[row["id"]].key, reverse=True)

    def born_at(self, row: Row) -> float:
        """When a row was born, in seconds since the epoch."""
        return self._born[row["id"]].at

    def assignments(self, candidate: str) -> list[Row]:
        """A candidate's assignments, the oldest first."""
        return [row for row in self.of["assignment"].values() if row["candidate_id"] == candidate]

    def assignment(self, candidate: str, job: str) -> Row | None:
        """The assignment of a pair."""
        return next((row for row in self.assignments(candidate) if row["job_id"] == job), None)

    @staticmethod
    def _written(kind: str, at: float) -> str:
        return plain(at) if kind == "assignment" else iso(at)


def whole(request: Request, name: str, otherwise: int) -> int:
    """A whole number of the query; nonsense counts as not given."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else otherwise


def matching(rows: Iterable[Row], request: Request, *names: str) -> list[Row]:
    """The rows whose fields are exactly what the query asks for."""
    asked = {name: request.query_params[name] for name in names if request.query_params.get(name)}
    return [row for row in rows if all(row[name] == value for name, value in asked.items())]
