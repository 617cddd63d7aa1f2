"""Whether a webhook is genuine, and what it says to look at again. Pure, and total on any bytes and headers.

Source: the vendor's llms-full.txt, section "Webhook Security" (https://hiresquireai.com/llms-full.txt):
``X-Webhook-Signature: t=<unix seconds>,v1=<hex>``, where the hex is the HMAC-SHA256 of ``<t>.<raw body>`` with the
account's webhook secret, and a delivery older than 300 seconds is refused. The time is signed, so it cannot be renewed.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any

import orjson

from syncd.connector import Delivery, Notice
from syncd.model import Kind, Ref

HEADER = "x-webhook-signature"
TOLERANCE_S = 300.0
_TIME = re.compile(r"[0-9]{1,12}")


def judge(delivery: Delivery, secrets: Sequence[str]) -> Notice | None:
    """What a genuine delivery says; None: it is not genuine, or too old, or no secret is known."""
    times, claims = _parts(delivery.headers.get(HEADER, ""))
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        return None
    if abs(delivery.received_at - float(times[0])) > TOLERANCE_S:
        return None
    expected = [sign(times[0], delivery.body, secret) for secret in secrets]
    genuine = [hmac.compare_digest(claim, good) for claim in claims for good in expected]
    return notice_of(delivery.body) if any(genuine) else None


def sign(timestamp: str, body: bytes, secret: str) -> bytes:
    """The hex HMAC-SHA256 of time and body."""
    text = timestamp.encode() + b"." + body
    return hmac.new(secret.encode("utf-8", "replace"), text, hashlib.sha256).hexdigest().encode()


def notice_of(body: bytes) -> Notice:
    """The batch and the candidate that a payload names, flat or inside ``data``; where it names none, the list."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    told = payload if isinstance(payload, dict) else {}
    if str(told.get("event", "")).startswith("agent."):
        return Notice()  # the token's own spending: no record changed
    told = {**(told["data"] if isinstance(told.get("data"), dict) else {}), **told}
    batch, person = _id(told.get("job_id")), _candidate(told)
    refs = (Ref(Kind.APPLICATION, person),) if person else ()
    batches = (batch,) if batch else ()
    return Notice(refs=refs, batches=batches, walks=() if refs or batches else ("candidates",))


def _candidate(told: dict[str, Any]) -> str | None:
    within = told.get("candidate")
    within = within if isinstance(within, dict) else {}
    return _id(within.get("id")) or _id(within.get("candidate_id")) or _id(told.get("candidate_id"))


def _id(value: Any) -> str | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[0-9]{1,19}", text) else None


def _parts(header: str) -> tuple[list[str], list[bytes]]:
    """The times and the signatures of a header; parts of other names are for later versions."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value.strip() for name, _, value in parts if name == "t"]
    return times, [value.strip().lower().encode("utf-8", "replace") for name, _, value in parts if name == "v1"]
