"""What an answer's headers tell about its token's limit. Pure: time comes in.

Systems write these as they like: ``X-Rate-Limit-Reset`` (Workable: seconds since the epoch, and sometimes past), the
same without the dash, ``RateLimit-Reset`` in seconds from now, ``Retry-After`` as seconds or date (RFC 9110 section
10.2.3), ``Retry-After-Ms``. Numbers that make no sense are not heard.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from syncd.connector import served_at


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard. ``refused``: it was a 429. Times are by our clock."""

    refused: bool = False
    retry_after_s: float | None = None
    remaining: int | None = None
    limit: int | None = None
    reset_at: float | None = None


def heard(response: httpx.Response, now: float) -> Heard:
    """What an answer that came at ``now`` tells."""
    reset_at = _reset_at(response, now)
    refused = response.status_code == 429
    asked_s = retry_after_s(response, now) if refused else None
    if refused and asked_s is None and reset_at is not None:
        asked_s = reset_at - now
    return Heard(refused, asked_s, _count(response, "remaining"), _count(response, "limit"), reset_at)


def retry_after_s(response: httpx.Response, now: float) -> float | None:
    """Seconds that an answer asks us to wait, never below zero: in seconds, milliseconds or as a date; None: untold."""
    if (thousandths := _number(response.headers.get("retry-after-ms", ""))) is not None:
        return thousandths / 1000
    due = _due(response.headers.get("retry-after", ""), response, now)
    return None if due is None else max(0.0, due - now)


def _reset_at(response: httpx.Response, now: float) -> float | None:
    """When the window is told to end, by our clock; one in the past tells nothing."""
    due = _due(_limit_header(response, "reset"), response, now)
    return due if due is not None and due > now else None


def _due(text: str, response: httpx.Response, now: float) -> float | None:
    """A time told as seconds from now, as an epoch in seconds or milliseconds, or as a date: by our clock."""
    number = _number(text)
    if number is not None and number < 1e9:
        return now + number
    told = _date(text) if number is None else number / 1000 if number >= 1e11 else number
    served = served_at(response)
    # The server's own Date takes the difference between its clock and ours out.
    return told if told is None or served is None else now + told - served


def _number(text: str) -> float | None:
    match = re.match(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(ms|s)?\s*(?:[,;]|$)", text)
    if match is None:
        return None
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _date(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            told = read(text.strip())
        except (ValueError, TypeError, IndexError):
            continue
        return told.timestamp() if told.tzinfo is not None else None
    return None


def _count(response: httpx.Response, what: str) -> int | None:
    number = _number(_limit_header(response, what))
    return None if number is None else int(number)


def _limit_header(response: httpx.Response, what: str) -> str:
    names = (f"x-rate-limit-{what}", f"x-ratelimit-{what}", f"ratelimit-{what}")
    return next((response.headers[name] for name in names if name in response.headers), "")
