"""Workable's webhooks: their subscriptions, whether one is genuine, and what it says to look at again.

``X-Workable-Signature`` is the HMAC-SHA256 of the raw body, keyed with the account's access token (the vendor's
reference, section Webhooks). How it is encoded is not stated: hexadecimal and base64 are taken. There is no time in
the signature, so a delivery may be a replay: it is only a hint, and what it names is read again.

A subscription is one address for one event, the address unique in the account (409 says that it is taken). It cannot be
changed, only withdrawn. ``args`` filters by job and stage, both named or none; the reference leaves it out where no
candidate is told of.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from connectors.workable import wire
from syncd.connector import Delivery, Notice, Subscription, Wish
from syncd.model import Kind, Ref

_PEOPLE = (Kind.CANDIDATE, Kind.APPLICATION)
TELLS: Mapping[str, tuple[Kind, ...]] = {
    "candidate_created": _PEOPLE,
    "candidate_deleted": _PEOPLE,
    "candidate_moved": _PEOPLE,
    "job_deleted": (Kind.JOB,),
}  # the vendor has no event for a person or a job that was edited


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


# --- subscriptions --------------------------------------------------------------------------------------------------


def subscribed(row: Mapping[str, Any], now: float) -> Subscription:
    """A row of the list. One that is filtered or outlived is not sound. The id is an integer on the wire."""
    until = wire.moment(row.get("valid_until"))
    is_whole = not row.get("stage_slug") and not row.get("job_shortcode")
    id_, url, event = row["id"], row["target"], row["event"]
    if not isinstance(id_, int | str) or not isinstance(url, str) or not isinstance(event, str):
        raise TypeError("a subscription in another form than is documented")
    return Subscription(str(id_), url, frozenset({event}), is_whole and (until is None or until > now))


def asked(wish: Wish, subdomain: str) -> dict[str, Any]:
    """The body that registers an address for its one event; it stands bare, not under a name of its own."""
    (event,) = wish.events
    args = {"account_id": subdomain, "job_shortcode": "", "stage_slug": ""}
    return {"target": wish.url, "event": event, **({"args": args} if event.startswith("candidate_") else {})}
