"""Whether a webhook is genuine, and what it says to look at again. Pure, and total on any bytes and headers.

The vendor's page "Webhook Verification" (https://api.ninjahire.co/docs/routes/webhook): ``X-NINJAHIRE-Signature`` is
the hex HMAC-SHA256 of ``JSON.stringify(payload)`` with the shared secret, ``X-NINJAHIRE-Timestamp`` the Unix time of
the delivery. The timestamp is not signed: it keeps out an old delivery that was copied whole, and nothing more.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson

from syncd.connector import Delivery, Notice
from syncd.model import Kind, Ref

TOLERANCE_S = 300.0  # assumed: the reference says "old requests" and no number
MILLISECONDS_ABOVE = 1e11  # as seconds this would be the year 5138
APPLICATION_EVENTS = frozenset(
    {"application_activty", "application_activity"}
)  # the vendor's spelling, and the right one
CALL_EVENT = "call_activity"
_TIME = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def judge(delivery: Delivery, secrets: Sequence[str]) -> Notice | None:
    """What a genuine delivery says; None: it is not genuine, or too old, or no secret is known."""
    if not is_fresh(delivery.headers.get("x-ninjahire-timestamp", ""), delivery.received_at):
        return None
    claimed = delivery.headers.get("x-ninjahire-signature", "").strip().lower().encode("utf-8", "replace")
    payload = payload_of(delivery)
    texts = (delivery.body, stringified(payload))
    genuine = [hmac.compare_digest(claimed, sign(text, secret)) for secret in secrets for text in texts if text]
    return notice_of(delivery.event, payload) if any(genuine) else None


def sign(text: bytes, secret: str) -> bytes:
    """The hex HMAC-SHA256 of the signed bytes."""
    return hmac.new(secret.encode("utf-8", "replace"), text, hashlib.sha256).hexdigest().encode()


def is_fresh(timestamp: str, received_at: float) -> bool:
    """Whether a Unix time, in seconds or milliseconds, is within the tolerance of the arrival."""
    if not _TIME.fullmatch(timestamp.strip()):
        return False
    sent = float(timestamp)
    return abs((sent / 1000 if sent > MILLISECONDS_ABOVE else sent) - received_at) <= TOLERANCE_S


def payload_of(delivery: Delivery) -> Any:
    """The payload, from JSON or from a form, as the subscription's content type has it; None: neither."""
    try:
        if "x-www-form-urlencoded" in delivery.headers.get("content-type", ""):
            return dict(parse_qsl(delivery.body.decode(), keep_blank_values=True))
        return orjson.loads(delivery.body)
    except ValueError:
        return None


def stringified(payload: Any) -> bytes:
    """The payload as JSON.stringify writes it: compact, in its order, beyond ASCII as it is; empty: it cannot be."""
    try:
        return orjson.dumps(payload) if isinstance(payload, dict | list) else b""
    except TypeError:
        return b""


def notice_of(event: str | None, payload: Any) -> Notice:
    """The application, and the call, to be read again; where the payload names neither, the list of its kind."""
    told = payload if isinstance(payload, dict) else {}
    is_call = event == CALL_EVENT
    named = {
        Kind.SCREENING: told.get("call_id") or (told.get("id") if is_call else None),
        Kind.APPLICATION: told.get("application_id") or (told.get("id") if event in APPLICATION_EVENTS else None),
    }
    refs = tuple(Ref(kind, id_) for kind, id_ in named.items() if isinstance(id_, str) and _UUID.fullmatch(id_))
    return Notice(refs=refs) if refs else Notice(walks=("calls" if is_call else "applications",))
