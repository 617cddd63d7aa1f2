"""The tenant's webhook configurations: how they read, and what one that we register says. Pure.

The vendor's reference, section Tenants (``/v1/tenant-webhook``): one configuration an event, made or changed by the
same POST, which demands the tenant's id. Whether several come as an array is not documented: one object and an array
are both taken. An unsubscribed one stays, as deleted. Secrets are told back, or masked with asterisks.
"""

from collections.abc import Mapping
from typing import Any

from connectors.ninjahire import wire
from connectors.ninjahire.signature import APPLICATION_EVENTS
from syncd.connector import Subscription, Wish

PATH = "/v1/tenant-webhook"
APPLICATION_EVENT = "application_activty"  # the vendor's spelling
CALL_EVENT = "call_activity"

# What a delivery is to name: enough to know what to read again.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    APPLICATION_EVENT: ("id", "status", "candidate_id", "job_id"),
    CALL_EVENT: ("id", "status", "application_id"),
}
_NAMES = {APPLICATION_EVENT: "id", CALL_EVENT: "application_id"}  # without it a delivery names nothing

Row = Mapping[str, Any]


def rows_of(answer: Any) -> list[Row]:
    """The configurations of an answer: one object, an array, either of them under ``data``."""
    inner = answer.get("data", answer) if isinstance(answer, dict) else answer
    rows = inner if isinstance(inner, list) else [inner]
    for row in rows:
        wire.id_of(row)
    return rows


def subscribed(row: Row) -> Subscription:
    """A configuration as a subscription. Its address and event are always told; other shapes are refused."""
    event, url, fields = row["triggered_event"], row["url"], row.get("fields") or ()
    if not isinstance(event, str) or not isinstance(url, str):
        raise TypeError("a webhook configuration in another form than is documented")
    event = APPLICATION_EVENT if event in APPLICATION_EVENTS else event
    is_deleted = row.get("is_deleted") is True
    is_sound = row.get("is_active") is not False and not is_deleted and _NAMES.get(event, "id") in fields
    return Subscription(
        wire.id_of(row), url, frozenset({event}), is_sound, secret=_told(row.get("secret")), is_withdrawn=is_deleted
    )


def _told(secret: Any) -> str | None:
    return secret if isinstance(secret, str) and secret and "*" not in secret else None


def tenant_of(rows: list[Row]) -> str | None:
    """The tenant's id, as its configurations tell it."""
    return next((row["tenant_id"] for row in rows if isinstance(row.get("tenant_id"), str)), None)


def asked(wish: Wish, tenant_id: str) -> dict[str, Any]:
    """The body that makes or changes the configuration of the wish's one event."""
    (event,) = wish.events
    return {
        "tenant_id": tenant_id,
        "triggered_event": event,
        "type": "post_call_screening",
        "fields": [*_FIELDS[event]],
        "url": wish.url,
        "http_method": "POST",
        "content_type": "application/json",
        "secret": wish.secret or wish.fresh,
        "is_active": True,
    }
