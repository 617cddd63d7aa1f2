"""What operators' dashboards see: counters of calls, budgets, waits, walks, intents, holds and webhooks.

prometheus-client is used here only. The registry comes in, so that two daemons in one process do not mix. Labels come
from closed sets, or from the config (names of connections, pairs and walks): never a URL, an id or a person's data.
"""

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
OUTCOMES = frozenset({"ok", "refused_rate", "client_error", "server_error", "lost", "not_sent", "parked", "cancelled"})
WEBHOOKS = frozenset({"kept", "duplicate", "forged", "stale", "too_long", "slow", "gone", "unknown", "unavailable"})
OTHER = "other"

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Meter(Protocol):
    """What the road out tells about its calls. Times are seconds; ``priority`` and ``outcome`` are closed words."""

    def called(self, connection: str, method: str, outcome: str, seconds: float) -> None:
        """A call has come to its end, retries included."""
        ...

    def retried(self, connection: str) -> None:
        """A GET is sent once more."""
        ...

    def drew_429(self, connection: str) -> None:
        """The system refused a call for its rate."""
        ...

    def waited(self, connection: str, priority: str, seconds: float) -> None:
        """A call waited so long for its slot."""
        ...

    def budget(self, connection: str, rule: str, used: int, limit: int) -> None:
        """How much of a rule is used now."""
        ...


class Unmeasured:
    """A meter that nobody reads."""

    def called(self, connection: str, method: str, outcome: str, seconds: float) -> None:
        """Forget it."""

    def retried(self, connection: str) -> None:
        """Forget it."""

    def drew_429(self, connection: str) -> None:
        """Forget it."""

    def waited(self, connection: str, priority: str, seconds: float) -> None:
        """Forget it."""

    def budget(self, connection: str, rule: str, used: int, limit: int) -> None:
        """Forget it."""


class Metrics:
    """All of syncd's metrics in one registry, by default in a new one."""

    def __init__(self, registry: CollectorRegistry | None = None, *, version: str) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self._add_calls()
        self._add_work()
        Info("syncd_build", "What is running", registry=registry).info({"version": version})

    def _add_calls(self) -> None:
        on = self.registry
        by_connection = ["connection"]
        self._calls = Counter(
            "syncd_calls", "Calls by how they ended", ["connection", "method", "outcome"], registry=on
        )
        self._call_seconds = Histogram(
            "syncd_call_seconds",
            "Time of a call, retries and waiting included",
            by_connection,
            buckets=_SECONDS,
            registry=on,
        )
        self._retries = Counter("syncd_retries", "GETs sent once more", by_connection, registry=on)
        self._refusals = Counter("syncd_refused_for_rate", "Answers 429 drawn", by_connection, registry=on)
        self._waits = Histogram(
            "syncd_wait_seconds", "Time waited for a slot", ["connection", "priority"], buckets=_SECONDS, registry=on
        )
        self._used = Gauge("syncd_budget_used", "Calls counted in a rule now", ["connection", "rule"], registry=on)
        self._limit = Gauge("syncd_budget_limit", "Calls that a rule allows now", ["connection", "rule"], registry=on)

    def _add_work(self) -> None:
        on = self.registry
        self._walked = Gauge(
            "syncd_walk_last_success_timestamp_seconds",
            "When a walk last ended proven complete",
            ["connection", "walk"],
            registry=on,
        )
        self._intents = Gauge("syncd_intents", "Writes by state", ["connection", "state"], registry=on)
        self._held = Gauge("syncd_held", "Records that wait for a person", ["connection", "reason"], registry=on)
        self._pages = Counter("syncd_pages", "Pages of lists taken in", ["connection", "walk"], registry=on)
        self._writes = Counter("syncd_writes", "Writes done", ["connection", "kind", "call"], registry=on)
        self._webhooks = Counter("syncd_webhooks", "Webhooks by verdict", ["connection", "result"], registry=on)

    # calls: a Meter

    def called(self, connection: str, method: str, outcome: str, seconds: float) -> None:
        """A call has come to its end, retries included."""
        self._calls.labels(connection, _of(METHODS, method), _of(OUTCOMES, outcome)).inc()
        self._call_seconds.labels(connection).observe(seconds)

    def retried(self, connection: str) -> None:
        """A GET is sent once more."""
        self._retries.labels(connection).inc()

    def drew_429(self, connection: str) -> None:
        """The system refused a call for its rate."""
        self._refusals.labels(connection).inc()

    def waited(self, connection: str, priority: str, seconds: float) -> None:
        """A call waited so long for its slot."""
        self._waits.labels(connection, priority).observe(seconds)

    def budget(self, connection: str, rule: str, used: int, limit: int) -> None:
        """How much of a rule is used now."""
        self._used.labels(connection, rule).set(used)
        self._limit.labels(connection, rule).set(limit)

    # work

    def listen(self, action: str, facts: Mapping[str, str]) -> None:
        """Count what an engine tells (a listener)."""
        if action == "page":
            self._pages.labels(facts["connection"], facts["walk"]).inc()
        elif action == "written":
            self._writes.labels(facts["connection"], facts["kind"], facts["call"]).inc()

    def walked(self, connection: str, walk: str, at: float) -> None:
        """A walk ended proven complete at ``at`` (seconds since the epoch)."""
        self._walked.labels(connection, walk).set(at)

    def intents(self, counts: Mapping[tuple[str, str], int]) -> None:
        """All intents, counted by connection and state."""
        _set_all(self._intents, counts)

    def held(self, counts: Mapping[tuple[str, str], int]) -> None:
        """All held records, counted by connection and reason."""
        _set_all(self._held, counts)

    def webhook(self, connection: str, result: str) -> None:
        """A webhook was judged. Name a connection that is not configured ``other``."""
        self._webhooks.labels(connection, _of(WEBHOOKS, result)).inc()

    def render(self) -> bytes:
        """The body of ``/metrics``, of type ``CONTENT_TYPE``."""
        return generate_latest(self.registry)


def _of(closed: frozenset[str], word: str) -> str:
    return word if word in closed else OTHER


def _set_all(gauge: Gauge, counts: Mapping[tuple[str, str], int]) -> None:
    """Set what is counted and drop what is no longer there."""
    gauge.clear()
    for labels, count in counts.items():
        gauge.labels(*labels).set(count)
