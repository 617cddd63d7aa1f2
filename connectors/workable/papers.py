"""What lies beside a row in Workable: the résumé, comments and ratings, why somebody was disqualified, who moved whom.

Source: the vendor's reference (workable.readme.io/reference), sections Candidates, Activities and Disqualification
reasons, and recorded answers of the live API. The list tells a résumé's name and time, the detail alone its address,
which is signed anew at each read, serves for hours and refuses the token. How comments are shown is not documented, so
no tag goes into one. A rating's grades depend on the scale that the account's scorecards use: option ``rating_scale``.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import httpx

from connectors.workable import wire
from connectors.workable.api import KEPT_S, NOT_LIVE, PAGE, Workable
from syncd.clock import Clock
from syncd.connector import (
    HERE,
    Account,
    Facts,
    File,
    FileLimits,
    Form,
    Remark,
    around,
    decoded,
    download,
    streamed,
    streamed_length,
    understood,
    without_markup,
)
from syncd.errors import AuthFailed, ConfigInvalid, Gone, OutcomeUnknown, Rejected, Unavailable
from syncd.model import Record, Ref

LIMITS = FileLimits(5_000_000, (".pdf", ".doc", ".docx", ".odt", ".rtf"))
LONGEST_RESUME = 25_000_000  # bytes that are read of a résumé: recruiters may upload what no form takes
SCALES = {"thumbs": 3, "stars": 5, "numbers": 10}  # grades of each scale, counted from 0
REASONS = {wire.DISQUALIFIED: "disqualify_reason", wire.WITHDREW: "withdraw_reason"}
OPTIONS = ("rating_scale", *REASONS.values())
MOST_PAGES = 1_000  # of one person's activities


class WorkableWithPapers(Workable):
    """Workable, and what lies beside its rows. Further abilities: ``HasFiles``, ``Attaches``, ``Remarks``."""

    def __init__(self, account: Account, client: httpx.AsyncClient, clock: Clock, facts: Facts) -> None:
        super().__init__(account, client, clock, facts)
        self._scale = _scale_of(account)
        self._reasons: tuple[float, tuple[wire.Reason, ...]] = (0.0, ())

    # résumés

    async def resume(self, ref: Ref) -> File | None:
        """The résumé of a row behind its address of now; None: there is none, or no such row."""
        try:
            response = await self._ask("GET", self._row_url(ref.id))
        except Gone:
            return None
        row = understood("GET", lambda: wire.detail_of(decoded("GET", response), "candidate"))
        if row.get("id") != ref.id:
            raise Unavailable("GET answered with another record than the one asked for")
        link = wire.resume_url(row)
        if link is None:
            return None
        name = f"resume{await self._extension(ref, link)}"
        return File(name, partial(download, self._client, link, longest=LONGEST_RESUME), link=link)

    async def _extension(self, ref: Ref, link: str) -> str:
        """The type as the address ends; where it does not tell, as the list names the file."""
        found = _ending(link.partition("?")[0])
        return found or _ending((wire.resume_of(await self._listed_row(ref)) or ("", ""))[1])

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Replace a row's résumé. The file goes out in base64 within the JSON, as it is read."""
        _prove(file)
        parts = around({"candidate": {"resume": {"name": file.name, "data": HERE}}}, file)
        response = await self._ask(
            "PATCH",
            self._row_url(record.ref.id),
            statuses=NOT_LIVE,
            content=streamed(parts, LIMITS.bytes),
            headers={"Content-Type": "application/json", "Content-Length": str(streamed_length(parts))},
        )
        told: tuple[Record, ...] = understood(
            "PATCH", lambda: wire.candidate(wire.detail_of(decoded("PATCH", response), "candidate"))
        )
        if told[0].ref.id != record.ref.id:
            raise OutcomeUnknown("PATCH was answered with another record")

    async def has_attached(self, record: Record, name: str) -> bool:
        """Whether the row's résumé bears this name: the list alone tells."""
        told = wire.resume_of(await self._listed_row(record.ref))
        return told is not None and told[1] == name

    async def _listed_row(self, ref: Ref) -> wire.Row:
        """The row as the list tells it: the list begins with the row whose id is asked for."""
        response = await self._ask("GET", f"{self._root}/candidates", params={"limit": 1, "since_id": ref.id})
        sheet = understood("GET", lambda: wire.sheet(decoded("GET", response), "candidates"))
        return next((row for row in sheet.rows if row.get("id") == ref.id), {})

    # comments and ratings

    async def remark(self, record: Record, remark: Remark) -> None:
        """Write a comment, or rate with one, in the member's name."""
        path, body = self._said(remark)
        try:
            url = f"{self._row_url(record.ref.id)}/{path}"
            await self._ask("POST", url, statuses=NOT_LIVE, json={"member_id": await self._member_id(), **body})
        except (Gone, Rejected):
            self._member = None  # perhaps the member left
            raise

    def _said(self, remark: Remark) -> tuple[str, dict[str, Any]]:
        text = without_markup(remark.text)
        if remark.form is Form.COMMENT:
            return "comments", {"comment": {"body": text}}
        if remark.form is not Form.RATING:
            raise Rejected(f"Workable takes no {remark.form}")
        if self._scale is None or remark.score is None:
            raise Rejected("a rating needs the config key rating_scale, and a score")
        return "ratings", {"comment": text, "scale": self._scale, "grade": grade(self._scale, remark.score)}

    async def has_remarked(self, record: Record, remark: Remark) -> bool:
        """Whether the marker stands in a comment, or in a rating, of the row."""
        async for line in self._activities(record.ref):
            body = line.get("body")
            if line.get("action") == remark.form and isinstance(body, str) and remark.marker in body:
                return True
        return False

    async def moved_by(self, ref: Ref) -> str | None:
        """The id of the member who made a row's last move; None: it was not moved, or by no member."""
        moves = [line async for line in self._activities(ref) if line.get("target_stage") is not None]
        last = max(moves, key=lambda line: wire.moment(line.get("created_at")) or 0.0, default={})
        member = last.get("member")
        return member["id"] if isinstance(member, dict) and isinstance(member.get("id"), str) else None

    async def moved_by_us(self, ref: Ref) -> bool | None:
        """Whether a row's last move was made in our member's name."""
        who = await self.moved_by(ref)
        return None if who is None else who == await self.member_id()

    async def _activities(self, ref: Ref) -> AsyncIterator[Mapping[str, Any]]:
        """A row's activities. Their order is not documented, and a filter that is not obeyed could hide one."""
        url: str | None = f"{self._row_url(ref.id)}/activities"
        params: Mapping[str, Any] | None = {"limit": PAGE}
        trail = wire.Trail(ordered=False)
        for _ in range(MOST_PAGES):
            if url is None:
                return
            self._stay(url)
            response = await self._ask("GET", url, params=params)
            sheet: wire.Sheet = understood("GET", partial(_lines, response))
            if not trail.goes_on(sheet):
                break
            for line in sheet.rows:
                yield line
            url, params = sheet.next, None
        raise Unavailable("the list of activities does not end")

    # why somebody was disqualified

    async def _action(self, record: Record, word: str) -> tuple[str, dict[str, Any]]:
        action, body = await super()._action(record, word)
        if action == "disqualify" and (option := REASONS[word]) in self._account.options:
            body["disqualify_reason_id"] = await self._reason(option, withdrew=word == wire.WITHDREW)
        return action, body

    async def _warm(self, records: tuple[Record, ...]) -> None:
        await super()._warm(records)
        if self._account.member is not None and set(REASONS.values()) & set(self._account.options):
            with contextlib.suppress(Unavailable, Rejected, Gone, AuthFailed):
                await self._known_reasons()

    async def _reason(self, option: str, *, withdrew: bool) -> str:
        wanted = self._account.options[option].strip().casefold()
        for reason in await self._known_reasons():
            if reason.description.strip().casefold() == wanted and reason.withdrew is withdrew:
                return reason.id
        self._reasons = (0.0, ())
        raise Rejected(f"the config key {option} names none of this account's disqualification reasons of that kind")

    async def _known_reasons(self) -> tuple[wire.Reason, ...]:
        until, reasons = self._reasons
        if until <= self._clock.now():
            response = await self._ask("GET", f"{self._root}/disqualification_reasons")
            reasons = understood("GET", lambda: wire.reasons(decoded("GET", response)))
            self._reasons = (self._clock.now() + KEPT_S, reasons)
        return reasons


def _scale_of(account: Account) -> str | None:
    scale = account.options.get("rating_scale")
    if scale is not None and scale not in SCALES:
        raise ConfigInvalid(f"connections.{account.name}.rating_scale: must be one of {', '.join(SCALES)}")
    return scale


def grade(scale: str, score: float) -> int:
    """A score of 0 to 100 as a grade: the scale's grades share the scores evenly."""
    grades = SCALES[scale]
    return max(0, min(grades - 1, int(score * grades / 100)))


def _prove(file: File) -> None:
    if file.size is None or file.size > LIMITS.bytes:
        raise Rejected(f"Workable takes a résumé of at most {LIMITS.bytes // 1_000_000} MB")
    if _ending(file.name) not in LIMITS.extensions:
        raise Rejected(f"Workable takes a résumé as {', '.join(LIMITS.extensions)}")


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _lines(response: httpx.Response) -> wire.Sheet:
    return wire.sheet(decoded("GET", response), "activities")
