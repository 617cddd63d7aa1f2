"""The played account: its credits with each entry of its ledger, and its agent keys with their scopes and limits.

Source: the vendor's REST reference, "Agent API Keys" and "Prepaid Credits System", and llms.txt: a credit is a cent, a
screened résumé costs one. Not documented and assumed: a job is billed when it is accepted, and what was not screened
(failed, cancelled, unreadable) is given back.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.hiresquire.sandbox_forms import Refused, invalid
from connectors.hiresquire.sandbox_rows import Json, iso

DAY_S, MONTH_S = 86_400.0, 30 * 86_400.0
SCOPES = ("read", "write", "screen", "email", "bulk")
LIMITS = ("daily_spend_limit", "monthly_spend_limit", "lifetime_spend_limit")
PACKS = {
    "pouch": {"price": 5, "credits": 500, "bonus": 0},
    "satchel": {"price": 25, "credits": 2750, "bonus": 250},
    "chest": {"price": 100, "credits": 12_000, "bonus": 2000},
}
LOW = 100  # credits: below one dollar the balance is called low


@dataclass
class AgentKey:
    """A key with limits in dollars; ``spent`` is a list of (time, credits)."""

    id: int
    name: str
    key: str
    permissions: tuple[str, ...]
    created_at: float
    limits: dict[str, float | None] = field(default_factory=dict)
    is_active: bool = True
    last_used_at: float | None = None
    spent: list[tuple[float, int]] = field(default_factory=list)

    def used(self, now: float, since_s: float | None = None) -> float:
        """Dollars spent, in the last so many seconds."""
        return sum(cents for at, cents in self.spent if since_s is None or at > now - since_s) / 100

    def exceeded(self, now: float, cents: int) -> str | None:
        """The limit that spending so much would break."""
        for name, since_s in zip(LIMITS, (DAY_S, MONTH_S, None), strict=True):
            limit = self.limits.get(name)
            if limit is not None and self.used(now, since_s) + cents / 100 > limit:
                return name
        return None


@dataclass
class Account:
    """The ledger and the keys. ``credits`` in cents; ``tell`` sends a usage event."""

    rng: random.Random
    number: Callable[[], int]
    tell: Callable[[str, Json], None]
    credits: int = 2550
    ledger: list[Json] = field(default_factory=list)
    keys: dict[int, AgentKey] = field(default_factory=dict)
    auto_reload: Json = field(default_factory=lambda: {"enabled": False, "threshold": None, "amount": None})

    # money

    def charge(self, token: str, cents: int, now: float, what: str) -> None:
        """Bill a job, or refuse with 402."""
        key = self.key_of(token)
        if key is not None and (limit := key.exceeded(now, cents)):
            self.tell("daily_limit" if limit.startswith("daily") else "monthly_limit", self._usage(key, cents, now))
            raise Refused(402, f"The agent key's {limit.replace('_', ' ')} is reached.")
        if cents > self.credits:
            self.tell("credits_exhausted", self._usage(key, cents, now))
            raise Refused(402, "Insufficient credits.")
        self._enter("usage", -cents, now, what, cents)
        if key is not None:
            key.spent.append((now, cents))
        if self.credits < LOW <= self.credits + cents:
            self.tell("low_balance", self._usage(key, cents, now))

    def refund(self, token: str, cents: int, now: float, what: str) -> None:
        """Give back what was not screened."""
        if cents:
            self._enter("refund", cents, now, what, cents)
            key = self.key_of(token)
            if key is not None:
                key.spent.append((now, -cents))

    def buy(self, cents: int, now: float, what: str) -> None:
        """Credits that were paid for."""
        self._enter("purchase", cents, now, what, None)

    def _enter(self, kind: str, cents: int, now: float, what: str, count: int | None) -> None:
        self.credits += cents
        entry = {
            "id": self.number(),
            "type": kind,
            "amount": cents / 100,
            "balance_after": self.credits / 100,
            "description": what,
            "candidate_count": count,
            "cost_per_candidate": None if count is None else 0.01,
            "created_at": iso(now),
        }
        self.ledger.append(entry)

    def _usage(self, key: AgentKey | None, cents: int, now: float) -> Json:
        return {
            "agent_key_id": key and key.id,
            "agent_key_name": key and key.name,
            "spent_amount": cents / 100,
            "current_balance": self.credits / 100,
            "period_spend": key.used(now, DAY_S) if key else None,
            "threshold": key.limits.get("daily_spend_limit") if key else None,
            "current_spend": key.used(now, DAY_S) if key else None,
            "currency": "USD",
        }

    def balance_json(self) -> Json:
        """The balance, in dollars and in credits."""
        bought = sum(entry["amount"] for entry in self.ledger if entry["type"] == "purchase")
        spent = -sum(entry["amount"] for entry in self.ledger if entry["type"] in {"usage", "refund"})
        return {
            "balance": self.credits / 100,
            "formatted_balance": f"${self.credits / 100:.2f}",
            "credits_available": self.credits,
            "is_low": self.credits < LOW,
            "total_purchased": round(bought, 2),
            "total_spent": round(spent, 2),
            "auto_reload_enabled": self.auto_reload["enabled"],
            "auto_reload_threshold": self.auto_reload["threshold"],
            "auto_reload_amount": self.auto_reload["amount"],
        }

    # keys

    def key_of(self, token: str) -> AgentKey | None:
        """The agent key that a token is; None: it is the user's own."""
        return next((key for key in self.keys.values() if key.key == token), None)

    def allow(self, token: str, scopes: Sequence[str], now: float) -> None:
        """Refuse with 403 what a key may not do."""
        key = self.key_of(token)
        if key is None:
            return
        key.last_used_at = now
        missing = [scope for scope in scopes if scope not in key.permissions]
        if missing or not key.is_active:
            raise Refused(403, "You don't have access to this resource.")

    def make_key(self, body: Mapping[str, Any], now: float) -> AgentKey:
        """A new key, or 422."""
        if not isinstance(body.get("name"), str) or not body["name"].strip():
            raise invalid("name", "is required")
        wanted = body.get("permissions") or list(SCOPES[:3])
        if not isinstance(wanted, list) or not set(map(str, wanted)) <= set(SCOPES):
            raise invalid("permissions", "is invalid")
        key = AgentKey(self.number(), body["name"], self._secret(), tuple(wanted), now)
        self.keys[key.id] = key
        return self.change_key(key, body)

    def change_key(self, key: AgentKey, body: Mapping[str, Any]) -> AgentKey:
        """Set the limits that a body names, and its name."""
        for name in LIMITS:
            limit = body.get(name, key.limits.get(name))
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0):
                raise invalid(name, "is invalid")
            key.limits[name] = limit
        key.name = str(body.get("name") or key.name)
        return key

    def renew(self, key: AgentKey) -> str:
        """A new secret for a key; the old one is dead."""
        key.key = self._secret()
        return key.key

    def _secret(self) -> str:
        return f"hs_{self.rng.getrandbits(160):040x}"

    def key_json(self, key: AgentKey, now: float, *, told: bool = False) -> Json:
        """A key as lists tell it; its secret only where it was just made."""
        return {
            "id": key.id,
            "name": key.name,
            **({"key": key.key} if told else {}),
            "key_prefix": key.key[:8],
            "is_active": key.is_active,
            **key.limits,
            **self._spends(key, now),
            "permissions": list(key.permissions),
            "last_used_at": iso(key.last_used_at),
            "created_at": iso(key.created_at),
        }

    def usage_json(self, key: AgentKey, now: float) -> Json:
        """What a key has spent and may spend."""
        left = {}
        for period, since_s in (("daily", DAY_S), ("monthly", MONTH_S)):
            limit = key.limits.get(f"{period}_spend_limit")
            left[f"remaining_{period}"] = None if limit is None else max(0.0, limit - key.used(now, since_s))
        start = iso(now)
        return {**self._spends(key, now), **key.limits, **left, "month_start_date": f"{start[:8]}01" if start else None}

    def _spends(self, key: AgentKey, now: float) -> Json:
        used = {"day_spent": key.used(now, DAY_S), "month_spent": key.used(now, MONTH_S), "total_spent": key.used(now)}
        return {name: round(amount, 2) for name, amount in used.items()}
