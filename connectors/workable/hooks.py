"""Workable's webhooks: whether one is genuine, and what it says to look at again.

``X-Workable-Signature`` is the HMAC-SHA256 of the raw body, keyed with the account's access token (the vendor's
reference, section Webhooks). How it is encoded is not stated: hexadecimal and base64 are taken. There is no time in
the signature, so a delivery may be a replay: it is only a hint, and what it names is read again.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from syncd.connector import Delivery, Notice
from syncd.model import Kind, Ref


def judged(keys: Iterable[str], delivery: Delivery) -> Notice | None:
    """What a delivery says that one of the keys signed; None: it is not genuine. Total on any bytes and headers."""
    given = delivery.headers.get("x-workable-signature", "").encode("utf-8", "replace")
    verdicts = [_signs(key, delivery.body, given) for key in keys if key]  # each key takes its time
    return _notice(delivery) if any(verdicts) else None


def _signs(key: str, body: bytes, given: bytes) -> bool:
    digest = hmac.new(key.encode(), body, hashlib.sha256)
    forms = (digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode())
    verdicts = [hmac.compare_digest(form.encode(), given) for form in forms]  # each form takes its time
    return any(verdicts)


def _notice(delivery: Delivery) -> Notice:
    """What a genuine event says to look at; an event in an unknown shape says to look at the lists."""
    try:
        body = orjson.loads(delivery.body)
        event_id, data = body.get("id"), body.get("data") or {}
        event = str(body.get("event_type") or delivery.event)
        refs = _named(event, data)
    except (ValueError, AttributeError):
        return Notice(walks=("jobs", "candidates"))
    walks = () if refs or not event.startswith(("candidate_", "job_")) else (f"{event.partition('_')[0]}s",)
    return Notice(refs, str(event_id) if event_id else None, walks)


def _named(event: str, data: Mapping[str, Any]) -> tuple[Ref, ...]:
    if event.startswith("candidate_") and isinstance(id_ := data.get("id"), str) and id_:
        return Ref(Kind.CANDIDATE, id_), Ref(Kind.APPLICATION, id_)
    if event.startswith("job_") and isinstance(shortcode := data.get("shortcode"), str) and shortcode:
        return (Ref(Kind.JOB, shortcode),)
    return ()
