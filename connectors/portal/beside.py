"""What goes to a person beside her application: remarks as notes and activities, her résumé as a file.

Source: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs), sections Notes, Activities, Files. All of
it hangs on the person, so an application's is that of its person. A note is somebody's: option ``author``. A person's
files may be anything, so only one whose name says that it is a résumé is taken for hers; they are asked for with each
read of an application where option ``read_files`` is "true".
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath

from connectors.portal import wire
from connectors.portal.papers import File as Kept
from connectors.portal.papers import Papers, Upload
from syncd.connector import File, FileLimits, Form, Remark, without_markup
from syncd.errors import Gone, Rejected
from syncd.model import Kind, Record, Ref

LIMITS = FileLimits(10_000_000, (".pdf", ".doc", ".docx", ".odt", ".rtf", ".txt"))
REMARKS: Mapping[str, str | None] = {"note": None, "activity": None}
OPTIONS = ("author", "read_files")
WANTING: Mapping[str, str] = {"resumes": "read_files", "screenings": "author"}
LOGGED_AS = "screening"  # an activity's type; they are free texts

_TYPES = {
    ".pdf": "application/pdf",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".rtf": "application/rtf",
    ".txt": "text/plain",
}
_RESUME = re.compile(r"(?<![a-z])(cv|r[eé]sum[eé]|curriculum|lebenslauf)(?![a-z])")


class Beside:
    """The abilities ``HasFiles``, ``Attaches`` and ``Remarks`` of a portal."""

    papers: Papers
    author: str | None

    async def resume(self, ref: Ref) -> File | None:
        """The newest of the person's files that is a résumé by its name."""
        pair = wire.pair_of(ref)
        kept = newest(await self._files(pair[0])) if pair else None
        if kept is None:
            return None
        if kept.url is None:
            raise Rejected("the portal does not tell where the résumé can be fetched")
        name = f"resume{PurePosixPath(kept.name or '').suffix.lower()}"
        return File(name, partial(self.papers.read, kept.url), kept.size)

    async def _files(self, candidate: str) -> tuple[Kept, ...]:
        try:
            return await self.papers.files(Ref(Kind.CANDIDATE, candidate))
        except Gone:
            return ()

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Stream a résumé to the person's files."""
        if file.size is None or file.size > LIMITS.bytes:
            raise Rejected(f"a résumé of at most {LIMITS.bytes // 1_000_000} MB is sent to the portal")
        type_ = _TYPES.get(PurePosixPath(file.name).suffix.lower(), "application/octet-stream")
        await self.papers.attach(_person(record), Upload(file.name, type_, file.size, file.read()), key)

    async def has_attached(self, record: Record, name: str) -> bool:
        """Whether the person has a file of this name."""
        return any(kept.name == name for kept in await self.papers.files(_person(record)))

    async def remark(self, record: Record, remark: Remark) -> None:
        """Make a note in the name of the ``author``, or log an activity."""
        text = without_markup(remark.text)
        if remark.form is Form.ACTIVITY:
            await self.papers.log(_person(record), LOGGED_AS, without_markup(remark.title), text)
        elif remark.form is not Form.NOTE:
            raise Rejected(f"the portal takes no {remark.form}")
        elif self.author is None:
            raise Rejected("a note is made in somebody's name: set the config key author to an e-mail")
        else:
            await self.papers.add_note(_person(record), text, self.author)

    async def has_remarked(self, record: Record, remark: Remark) -> bool:
        """Whether a note or an activity of the person bears the marker."""
        of_person = self.papers.notes if remark.form is Form.NOTE else self.papers.activities
        return any(remark.marker in (line.body or "") for line in await of_person(_person(record)))


def newest(files: tuple[Kept, ...]) -> Kept | None:
    """The newest file that is a résumé by its name and type."""
    resumes = [kept for kept in files if is_resume(kept.name or "")]
    return max(resumes, key=lambda kept: (kept.created_at or 0.0, kept.id), default=None)


def is_resume(name: str) -> bool:
    """Whether a file's name says that it is a résumé."""
    folded = name.casefold()
    return _RESUME.search(folded) is not None and PurePosixPath(folded).suffix in LIMITS.extensions


def version_of(files: tuple[Kept, ...]) -> str | None:
    """What changes with the résumé; None: there is none."""
    kept = newest(files)
    return None if kept is None else f"{kept.id} {kept.size} {kept.created_at}"


def _person(record: Record) -> Ref:
    pair = wire.pair_of(record.ref)
    if pair is None:
        raise Rejected("the application's id is not one of the portal's")
    return Ref(Kind.CANDIDATE, pair[0])
