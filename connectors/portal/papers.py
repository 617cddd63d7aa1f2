"""What lies beside a job or a candidate in the portal: notes, activities, files.

Source: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs). A file goes out as a form of one part
named ``file`` (documented for jobs, assumed for candidates), streamed: no more than one piece of it is in memory here.
Nothing that is called here mails anybody or spends anything.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from connectors.portal import wire
from connectors.portal.api import Api, at
from connectors.portal.wire import Json
from syncd.connector import understood
from syncd.errors import Rejected, Stale, Unavailable
from syncd.model import Kind, Ref

PLACES = {Kind.JOB: "jobs", Kind.CANDIDATE: "candidates"}
LARGEST = 10 * 1024 * 1024  # bytes of a file; no limit is documented, and a portal that takes more is not in need of it
LONGEST = 25_000_000  # bytes that are read of a file
_NAME = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers write a file's name into a form


@dataclass(frozen=True, slots=True)
class Note:
    """A note as told. Its text is somebody's: shown as text, never logged. ``author`` is an e-mail."""

    id: str
    body: str | None = field(repr=False)
    author: str | None = field(default=None, repr=False)
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of a candidate's or job's log. Types are free text; ``stage_change`` is one of them."""

    id: str
    type: str | None
    title: str | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file as told; ``size`` in bytes. How it is fetched is not documented; ``url``, where told, may be of use."""

    id: str
    name: str | None = field(default=None, repr=False)
    type: str | None = None
    size: int | None = None
    url: str | None = field(default=None, repr=False)
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be sent: its name, type and size in bytes, and its content piece by piece."""

    name: str = field(repr=False)
    type: str
    size: int
    content: AsyncIterator[bytes] = field(repr=False)


class Papers:
    """Notes, activities and files of jobs and candidates."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def notes(self, ref: Ref) -> tuple[Note, ...]:
        """The notes beside a job or a candidate; look here for a marker before a note is made again."""
        rows = await self._all(ref, "notes")
        return tuple(understood("GET", lambda: [_note(row) for row in rows]))

    async def _all(self, ref: Ref, what: str) -> tuple[Json, ...]:
        """A list that has no pages; one that says that it holds more than it tells proves nothing."""
        listing = await self._api.beside(_place(ref, what))
        if listing.total is not None and listing.total > len(listing.rows):
            raise Unavailable(f"the portal told not all {what}")
        return listing.rows

    async def add_note(self, ref: Ref, body: str, author: str) -> str:
        """Add a note in the name of an e-mail address; its id."""
        return wire.id_of(await self._api.make(_place(ref, "notes"), {"body": body, "author": author}))

    async def activities(self, ref: Ref) -> tuple[Activity, ...]:
        """The log of a job, or of a candidate."""
        if ref.kind is Kind.JOB:
            rows: Any = await self._all(ref, "activities")
        else:
            row = await self._api.one(_place(ref))
            rows = understood("GET", lambda: row["activities"]) or ()
        return tuple(understood("GET", lambda: [_activity(row) for row in rows]))

    async def log(self, ref: Ref, type_: str, title: str, body: str) -> str:
        """Log an activity of a candidate; its id. Jobs take none."""
        if ref.kind is not Kind.CANDIDATE:
            raise Rejected(f"the portal takes no activities of a {ref.kind}")
        made = {"activity_type": type_, "title": title, "body": body}
        return wire.id_of(await self._api.make(_place(ref, "activity"), made))

    async def files(self, ref: Ref) -> tuple[File, ...]:
        """The files of a job or a candidate."""
        rows = await self._all(ref, "files")
        return tuple(understood("GET", lambda: [_file(row) for row in rows]))

    def read(self, url: str) -> AsyncIterator[bytes]:
        """The content behind a file's address: the portal's own wants the key, another's is signed itself."""
        return self._api.content(url, LONGEST)

    async def attach(self, ref: Ref, upload: Upload, key: str) -> str:
        """Stream a file to a job or a candidate; its id. ``key`` is unguessable: it parts the form.

        Raises ``Rejected`` where the file is too large, and ``Stale`` where it turns out to be of another size.
        """
        if upload.size > LARGEST:
            raise Rejected(f"the file is larger than {LARGEST // 1024 // 1024} MB")
        boundary = f"syncd-{key}"
        form = _form(upload, boundary)
        made = await self._api.upload(_place(ref, "files"), form, f"multipart/form-data; boundary={boundary}")
        return wire.id_of(made)


def _place(ref: Ref, *tail: str) -> str:
    if ref.kind not in PLACES or not wire.is_id(ref.id):
        raise Rejected(f"the portal keeps nothing beside a {ref.kind}")
    return at(PLACES[ref.kind], ref.id, *tail)


async def _form(upload: Upload, boundary: str) -> AsyncIterator[bytes]:
    """A form of one part, piece by piece."""
    name = upload.name.translate(_NAME)
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {upload.type}\r\n\r\n"
    ).encode()
    sent = 0
    async for piece in upload.content:
        sent += len(piece)
        if sent > upload.size:
            break
        yield piece
    if sent != upload.size:
        raise Stale("the file is of another size than was said: it was changed meanwhile")
    yield f"\r\n--{boundary}--\r\n".encode()


def _note(row: Json) -> Note:
    return Note(wire.id_of(row), _text(row.get("body")), _text(row.get("author")), wire.moment(row.get("created_at")))


def _activity(row: Json) -> Activity:
    return Activity(
        wire.id_of(row),
        _text(row.get("activity_type")),
        _text(row.get("title")),
        _text(row.get("body")),
        wire.moment(row.get("created_at")),
    )


def _file(row: Json) -> File:
    size = row.get("size")
    return File(
        wire.id_of(row),
        _text(row.get("filename")),
        _text(row.get("content_type")),
        size if type(size) is int else None,
        _text(row.get("url")),
        wire.moment(row.get("created_at")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
