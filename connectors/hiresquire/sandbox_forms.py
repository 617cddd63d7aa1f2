"""What requests to the played HireSquire must look like, and how it refuses them.

From the tables of the vendor's REST reference and llms-full.txt, in the sentences of Laravel's validation, on which the
service is built (llms.txt names it). Not documented and assumed: a résumé in base64 must decode and hold as much text
as one sent as text, and the files of a job may hold 20 MB (the vendor's own client takes no larger file).
"""

import base64
import binascii
import io
import zipfile
from collections.abc import Callable, Mapping
from email import message_from_bytes
from typing import Any

import orjson
from starlette.requests import Request

from connectors.hiresquire.sandbox_rows import Json, Resume, text_of

LONGEST = 20 * 1024 * 1024  # bytes of all files of a job
SHORTEST_TEXT = 50
EXTENSIONS = (".txt", ".md", ".pdf", ".doc", ".docx")
_TITLES = {
    401: "Unauthenticated",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    425: "Too Early",
    429: "Too Many Requests",
}


class Refused(Exception):
    """A request that is refused: with a status, and a message or the errors of its fields."""

    def __init__(
        self,
        status: int,
        message: str = "",
        errors: Mapping[str, list[str]] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.more = more or {}

    @property
    def body(self) -> Json:
        """The answer's body, in all the forms that documents and clients read."""
        if self.errors is not None:
            first = next((told[0] for told in self.errors.values()), "Validation failed")
            return {"success": False, "message": first, "error": "Validation failed", "errors": dict(self.errors)}
        return {"error": _TITLES.get(self.status, "Error"), "message": self.message, **self.more}


def invalid(field: str, what: str) -> Refused:
    """One field that is wrong."""
    return Refused(422, errors={field: [f"The {field} field {what}."]})


async def body_of(request: Request) -> Json:
    """The JSON object of a request; an empty one where there is none."""
    raw = await request.body()
    try:
        body = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "The body is no JSON object.")
    return body


def job_form(body: Json, prefix: str = "") -> tuple[Json, tuple[Resume, ...]]:
    """The fields and résumés of a new job."""
    errors = _job_errors(body, prefix)
    resumes: list[Resume] = []
    entries = body.get("resumes")
    for at, entry in enumerate(entries if isinstance(entries, list) else []):
        read = _resume(f"{prefix}resumes.{at}", entry, errors)
        if read is not None:
            resumes.append(read)
    if errors:
        raise Refused(422, errors=errors)
    if sum(resume.size for resume in resumes) > LONGEST:
        raise Refused(413, "The resumes hold more than 20 MB.")
    return {"leniency_level": 5, **_known(body)}, tuple(resumes)


def _known(body: Json) -> Json:
    names = ("title", "description", "leniency_level", "custom_instructions", "webhook_url", "webhook_conditions")
    return {name: body[name] for name in names if body.get(name) not in (None, "")}


def _job_errors(body: Json, prefix: str) -> dict[str, list[str]]:
    return {
        f"{prefix}{name}": [f"The {prefix}{name} field {wrong}."]
        for name, check in _JOB_CHECKS.items()
        if (wrong := check(body.get(name)))
    }


def _title(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "is required"
    return "must not be greater than 255 characters" if len(value) > 255 else None


def _description(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "is required"
    return f"must be at least {SHORTEST_TEXT} characters" if len(value.strip()) < SHORTEST_TEXT else None


def _resumes(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "is required"
    return "must not have more than 100 items" if len(value) > 100 else None


def _level(value: Any) -> str | None:
    good = value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10)
    return None if good else "must be between 1 and 10"


def _url(value: Any) -> str | None:
    return None if not value or str(value).startswith(("http://", "https://")) else "must be a valid URL"


def _conditions(value: Any) -> str | None:
    return None if isinstance(value or {}, dict) else "must be an array"


_JOB_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "title": _title,
    "description": _description,
    "resumes": _resumes,
    "leniency_level": _level,
    "webhook_url": _url,
    "webhook_conditions": _conditions,
}


def _resume(place: str, entry: Any, errors: dict[str, list[str]]) -> Resume | None:
    """One résumé from text, base64 or an address, taken in that order; what is wrong goes to ``errors``."""
    told = entry if isinstance(entry, dict) else {}
    name = told.get("filename")
    if not isinstance(name, str) or not 0 < len(name) <= 255:
        errors[f"{place}.filename"] = [f"The {place}.filename field is required."]
        return None
    way = next((way for way in ("content", "base64", "file_url") if told.get(way)), "content")
    value = told.get(way)
    content = _bytes_of(way, value) if isinstance(value, str) else None
    if value is None:
        errors[f"{place}.content"] = [f"The {place}.content field is required."]
    elif content is None:
        errors[f"{place}.{way}"] = [f"The {place}.{way} field must be valid base64."]
    elif way == "content" and len(content.decode().strip()) < SHORTEST_TEXT:
        errors[f"{place}.content"] = [f"The {place}.content field must be at least {SHORTEST_TEXT} characters."]
    elif way == "base64" and len(text_of(content).strip()) < SHORTEST_TEXT:
        what = f"must hold a resume with at least {SHORTEST_TEXT} characters of text"
        errors[f"{place}.base64"] = [f"The {place}.base64 field {what}."]
    else:
        return Resume(name, "" if way == "file_url" else text_of(content), len(content))
    return None


def _bytes_of(way: str, value: str) -> bytes | None:
    if way != "base64":
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return None


async def zip_form(request: Request) -> Json:
    """The body of a job whose résumés are in an archive, as if it had been sent as JSON."""
    kind = request.headers.get("content-type", "")
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + await request.body())
    parts = {str(part.get_param("name", header="content-disposition")): part for part in _parts(message)}
    fields: Json = {
        name: (part.get_payload(decode=True) or b"").decode() for name, part in parts.items() if name != "zip_file"
    }
    if str(fields.get("leniency_level", "")).isdigit():
        fields["leniency_level"] = int(fields["leniency_level"])
    if "zip_file" not in parts:
        raise invalid("zip_file", "is required")
    return {**fields, "resumes": _unzipped(parts["zip_file"].get_payload(decode=True) or b"")}


def _parts(message: Any) -> list[Any]:
    return [part for part in message.get_payload() if not isinstance(part, str)] if message.is_multipart() else []


def _unzipped(content: bytes) -> list[Json]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if one.filename.lower().endswith(EXTENSIONS)]
            if sum(one.file_size for one in members) > LONGEST:
                raise Refused(413, "The resumes hold more than 20 MB.")
            return [
                {"filename": one.filename.rpartition("/")[2], "base64": base64.b64encode(archive.read(one)).decode()}
                for one in members
            ]
    except zipfile.BadZipFile:
        raise invalid("zip_file", "must be a file of type: zip") from None
