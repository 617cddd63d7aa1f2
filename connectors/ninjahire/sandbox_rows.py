"""What the played Ninjahire keeps, and the forms in which it answers: rows, their order, their times, refusals."""

import base64
import itertools
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.ninjahire.sandbox_forms import Form
from syncd.clock import Clock

Row = dict[str, Any]

FILES = frozenset({"file", "base64file"})  # taken and never told back
JOB_BLANK: Row = dict.fromkeys(
    (
        "client_name", "job_code", "address", "workplace_type", "city", "zip_code", "employment_type", "duration",
        "start_date", "end_date", "posting_date", "pay_frequency", "min_pay_rate", "max_pay_rate", "pay_rate_currency",
        "source_id",
    )
)  # fmt: skip
PERSON_BLANK: Row = dict.fromkeys(
    (
        "last_name", "phone_no", "city", "state_name", "country", "source", "source_id", "recruiter_name",
        "recruiter_email", "recruiter_work_phone_no",
    )
)  # fmt: skip
APPLICATION_BLANK: Row = {"source_id": None, "screening_status": "pending", "score": None}


class Refused(Exception):
    """A request that the backend refuses, in its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RefusedAtTheDoor(Exception):
    """A request that the gateway in front of the backend refuses."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


async def body_of(request: Request, form: Form) -> Row:
    """A request's fields as a form wants them, without files; raises ``Refused``."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refused(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "The body is not an object")
    if complaints := form.complaints(body):
        raise Refused(400, "; ".join(complaints))
    return {name: value for name, value in form.taken(body).items() if name not in FILES}


async def file_of(request: Request) -> bytes | None:
    """The file that a request bears in base64; raises ``Refused`` where it is none."""
    sent = orjson.loads(await request.body()).get("base64file")
    if sent is None:
        return None
    try:
        return base64.b64decode(sent, validate=True)
    except ValueError:
        raise Refused(400, "base64file must be base64") from None


def iso(at: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Rows:
    """Jobs, candidates and applications. ``filters``: ``exact``, ``prefix`` or ``ignored``, how source ids match."""

    def __init__(self, clock: Clock, rng: random.Random, filters: str) -> None:
        self.clock = clock
        self.filters = filters
        self.of: dict[str, dict[str, Row]] = {"job": {}, "candidate": {}, "application": {}}
        self._rng = rng
        self._numbers = itertools.count(1)
        self._born: dict[str, tuple[float, int]] = {}
        self._touched_ms: dict[str, int] = {}

    def new_id(self) -> str:
        """A new UUID."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def one(self, kind: str, request: Request) -> Row:
        """The row that a path names."""
        row = self.of[kind].get(request.path_params["id"])
        if row is None:
            raise Refused(404, f"{kind.capitalize()} not found")
        return row

    def newest(self, kind: str) -> list[Row]:
        """All rows of a kind, the newest first."""
        return sorted(self.of[kind].values(), key=lambda row: self._born[row["id"]], reverse=True)

    def filtered(self, rows: list[Row], asked: Mapping[str, str], *names: str) -> list[Row]:
        """The rows whose source ids match what was asked."""
        return [row for row in rows if all(self._matches(row.get(name), asked.get(name)) for name in names)]

    def _matches(self, told: str | None, asked: str | None) -> bool:
        if asked is None or self.filters == "ignored":
            return True
        return told is not None and (told.startswith(asked) if self.filters == "prefix" else told == asked)

    def refuse_taken(self, kind: str, source_id: str) -> None:
        """Raise ``Refused`` where a row of that source id is there."""
        if any(row["source_id"] == source_id for row in self.of[kind].values()):
            raise Refused(409, f"{kind.capitalize()} with this source_id already exists")

    def parent(self, kind: str, fields: Row) -> Row:
        """The parent that an application's fields name, by its id or else by its source id."""
        if (named := fields.get(f"{kind}_id")) is not None:
            rows = [self.of[kind][named]] if named in self.of[kind] else []
        else:
            source_id = fields[f"{kind}_source_id"]
            rows = [row for row in self.of[kind].values() if row["source_id"] == source_id]
        if not rows:
            raise Refused(404, f"{kind.capitalize()} not found")
        return rows[0]

    def bear(self, kind: str, fields: Row, created_at: float | None) -> Row:
        """Keep a new row."""
        at = self.clock.now() if created_at is None else created_at
        row = {"id": self.new_id(), **fields, "created_at": iso(at), "updated_at": iso(at)}
        self.of[kind][row["id"]] = row
        self._born[row["id"]] = (at, next(self._numbers))
        self._touched_ms[row["id"]] = int(at * 1000)
        return row

    def change(self, row: Row, fields: Row) -> tuple[Row, Row]:
        """Set fields; what changed, before and after. A change moves ``updated_at``, and nothing else does."""
        after = {name: value for name, value in fields.items() if row.get(name) != value}
        before = {name: row.get(name) for name in after}
        if after:
            touched = max(int(self.clock.now() * 1000), self._touched_ms[row["id"]] + 1)
            self._touched_ms[row["id"]] = touched
            row.update(after, updated_at=iso(touched / 1000))
        return before, after
