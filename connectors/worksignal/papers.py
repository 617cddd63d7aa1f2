"""A person's résumé at WorkSignal: an address on the candidate, and nothing that could be uploaded.

Source: the vendor's API reference (https://worksignal.com/docs/api): a candidate's PATCH takes ``resume_url``. So a
résumé can be given only by an address that the other system gives out, and WorkSignal fetches it in its own time.
"""

from functools import partial
from pathlib import PurePosixPath

import httpx

from connectors.worksignal import wire
from connectors.worksignal.api import Api
from syncd.connector import File, FileLimits, is_local, understood
from syncd.errors import Gone, Rejected
from syncd.model import Record, Ref

LIMITS = FileLimits(10_000_000, (".pdf", ".doc", ".docx", ".odt", ".rtf", ".txt"))  # none is documented


class Resumes:
    """The abilities ``HasFiles`` and ``Attaches`` of a WorkSignal."""

    _api: Api

    async def resume(self, ref: Ref) -> File | None:
        """The file behind the address that the person's résumé has now."""
        candidate = wire.candidate_of(ref)
        if candidate is None:
            return None
        try:
            answer = await self._api.read(f"/candidates/{candidate}")
        except Gone:
            return None
        link: str | None = understood("GET", lambda: wire.resume_url(answer, candidate))
        if link is None:
            return None
        name = f"resume{PurePosixPath(link.partition('?')[0]).suffix.lower()}"
        return File(name, partial(self._api.content, link), link=link)

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Give the address of a file to its person; raises ``Rejected`` where it has none that may be passed on."""
        if file.size is not None and file.size > LIMITS.bytes:
            raise Rejected(f"a résumé of at most {LIMITS.bytes // 1_000_000} MB is given to WorkSignal")
        if not _may_be_given(file.link):
            raise Rejected("WorkSignal takes a résumé only by an https address, and the other system gives none")
        await self._api.write("PATCH", f"/candidates/{wire.candidate_of(record.ref)}", {"resume_url": file.link})

    async def has_attached(self, record: Record, name: str) -> bool:
        """An address does not tell a file's name; to give it again does no harm."""
        return False


def _may_be_given(link: str | None) -> bool:
    """Whether an address is one of https, or of this machine."""
    try:
        url = httpx.URL(link or "")
    except httpx.InvalidURL:
        return False
    return url.scheme == "https" or (url.scheme == "http" and is_local(url.host))
