"""The played tenant's webhook subscriptions, and what a delivery looks like.

Reference, sections Tenants and Webhook Verification: the payload bears the fields that the subscription names, and the
signature is the hex HMAC-SHA256 of the payload as compact JSON, whatever form the body has. The timestamp's header is
not signed.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.ninjahire.sandbox_rows import Refused, Row, Rows, iso

DEFAULT_FIELDS = ("id", "status", "candidate_id", "job_id")  # the reference's example
JSON = "application/json"


class Subscriptions:
    """One subscription per event."""

    def __init__(self, rows: Rows) -> None:
        self.tenant_id = rows.new_id()
        self.known: dict[str, Row] = {}
        self._rows = rows

    def told(self) -> Row | list[Row]:
        """The one subscription, or all of them."""
        if not self.known:
            raise Refused(404, "Webhook configuration not found")
        rows = list(self.known.values())
        return rows[0] if len(rows) == 1 else rows

    def of_event(self, event: str) -> Row:
        """The subscription of an event; empty: there is none."""
        return next((row for row in self.known.values() if row["triggered_event"] == event), {})

    def keep(self, fields: Mapping[str, Any]) -> Row:
        """Keep a new subscription, or a known one's new fields."""
        now = iso(self._rows.clock.now())
        blank = {"secret": None, "is_active": True, "is_deleted": False, "created_at": now}
        row = {"id": fields.get("id") or self._rows.new_id(), **blank, **fields, "updated_at": now}
        self.known[row["id"]] = row
        return row

    def switch(self, id_: str, *, is_deleted: bool) -> Row:
        """Subscribe or unsubscribe."""
        if id_ not in self.known:
            raise Refused(404, "Webhook configuration not found")
        return self.keep({**self.known[id_], "is_deleted": is_deleted})

    def payload(self, id_: str, told: Row) -> bytes:
        """What a subscription is told of an event, as JSON."""
        named = self.known.get(id_, {}).get("fields", DEFAULT_FIELDS)
        return orjson.dumps({name: told[name] for name in named if name in told})

    def request(self, id_: str, payload: bytes) -> tuple[str, str, bytes]:
        """Method, content type and body of a delivery."""
        row = self.known.get(id_, {})
        kind = row.get("content_type", JSON)
        body = payload if kind == JSON else urlencode(orjson.loads(payload)).encode()
        return row.get("http_method", "POST"), kind, body


def delivery_headers(secret: str, payload: bytes, now: float) -> dict[str, str]:
    """The delivery's time, and where a secret is known the signature of the payload alone."""
    headers = {"X-NINJAHIRE-Timestamp": str(int(now))}
    if secret:
        headers["X-NINJAHIRE-Signature"] = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    return headers
