"""How the played Workable words its answers and errors, and how it reads what a client sends."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.workable.sandbox_rows import Json, number_of

BLANK = "param is missing or the value is empty: "
JSON = "application/json; charset=utf-8"


class Refused(Exception):
    """An error answer in Workable's words."""

    def __init__(self, status: int, error: Any, fields: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = {"error": error, **({"validation_errors": fields} if fields else {})}


class Answers:
    """Answers with the headers that the real ones bear."""

    def number(self) -> int:
        """A unique number; the sandbox kit gives it."""
        raise NotImplementedError

    def answer(self, body: Any, status: int = 200) -> Response:
        """A JSON answer with a weak etag and a request id."""
        content = orjson.dumps(body)
        headers = {"etag": f'W/"{zlib.crc32(content):08x}"', "x-request-id": f"{self.number():032x}"}
        return Response(content, status, headers, media_type=JSON)

    def nothing(self, status: int, media_type: str = "text/plain; charset=utf-8") -> Response:
        """An empty answer, as actions give it."""
        return Response(b"", status, {"x-request-id": f"{self.number():032x}"}, media_type=media_type)


async def body_of(request: Request) -> Json:
    """The JSON object that a client sent; raises what Workable answers to anything else."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refused(400, "Bad request") from None
    if not isinstance(body, dict) or not isinstance(body.get("candidate", {}), dict):
        raise Refused(422, f"{BLANK}candidate")
    return body


def invalid(name: str, complaint: str) -> Refused:
    """The 422 about one field."""
    return Refused(422, f"Validation failed: {name.capitalize()} {complaint}", {name: [complaint]})


def is_mail(text: Any) -> bool:
    """Whether a text has the form of an e-mail address."""
    local, _, domain = str(text).partition("@")
    return bool(local) and "." in domain and "@" not in domain and " " not in str(text)


def number_in(id_: str) -> int:
    """The number behind an id in a query; raises a 422."""
    try:
        return number_of(id_)
    except ValueError:
        raise Refused(422, "param is invalid") from None


def time_in(text: str) -> float:
    """A time filter: Unix seconds, or ISO 8601 in its basic or extended form."""
    if text.isdigit() and len(text) > 8:
        return float(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(422, "param is invalid") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
