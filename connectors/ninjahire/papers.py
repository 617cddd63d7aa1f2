"""What Ninjahire does beside its records: it takes a résumé, phones a person once it may, and makes appointments.

The vendor's reference, sections Applications, Jobs and Calls. Each PATCH of an application demands its stage, and
whether Ninjahire may act, so both go along as just read. The table of the PATCH knows ``file`` alone; ``base64file`` is
documented at the POST and assumed here, as its example body is JSON. A résumé is never told back: sending it again
replaces it. Types and size are not documented.
"""

from urllib.parse import quote

from connectors.ninjahire import wire
from connectors.ninjahire.api import Ninjahire
from syncd.connector import HERE, File, FileLimits, around, decoded, streamed, streamed_length, understood
from syncd.errors import Rejected
from syncd.model import Record

LIMITS = FileLimits(10_000_000, (".pdf", ".doc", ".docx", ".odt", ".rtf", ".txt"))


class NinjahireWithPapers(Ninjahire):
    """Ninjahire, and what it does beside its records. Further abilities: ``Attaches``, ``Screens``, ``Schedules``."""

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Send a résumé in base64 within the PATCH, as it is read."""
        if file.size is None or file.size > LIMITS.bytes:
            raise Rejected(f"a résumé of at most {LIMITS.bytes // 1_000_000} MB is sent to Ninjahire")
        stage = wire.stage_of(record)
        body = {wire.STAGE: stage, wire.ACTIVITY: wire.activity(record, stage, self._terminal_words)}
        parts = around({**body, "base64file": HERE}, file)
        headers = {"Content-Type": "application/json", "Content-Length": str(streamed_length(parts))}
        await self._ask("PATCH", _path(record), content=streamed(parts, LIMITS.bytes), headers=headers)

    async def has_attached(self, record: Record, name: str) -> bool:
        """Nobody tells; to send it again does no harm."""
        return False

    async def screen(self, record: Record) -> None:
        """Let Ninjahire act on an application, its stage as just read; nobody is phoned whose application is over."""
        stage = wire.stage_of(record)
        if stage.lower() in self._terminal_words:
            raise Rejected("the application is over, so its person is not phoned")
        await self._ask("PATCH", _path(record), json={wire.STAGE: stage, wire.ACTIVITY: wire.ACTIVE})

    async def may_screen(self, record: Record) -> bool:
        """Whether Ninjahire may act on an application."""
        return str(record.fields.get(wire.ACTIVITY)).strip().upper() == wire.ACTIVE

    async def unschedule(self, record: Record) -> None:
        """Switch off the interviews that a job schedules by itself."""
        await self._ask("PATCH", f"{_path(record)}/scheduling", json={"scheduling": False})

    async def is_scheduling(self, record: Record) -> bool:
        """Whether a job schedules interviews."""
        response = await self._ask("GET", f"{_path(record)}/scheduling")
        told: bool = understood("GET", lambda: wire.scheduling_of(decoded("GET", response)))
        return told


def _path(record: Record) -> str:
    return f"{wire.PATHS[record.ref.kind]}/{quote(record.ref.id, safe='')}"
