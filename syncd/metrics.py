"""Keeps the figures that ``syncd.measures`` lists, and renders them as Prometheus reads them.

prometheus-client is used here only. The registry comes in, so that two daemons in one process do not mix. What happens
is counted as it happens; what stands in the store is set at each look (``show``).
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    pushadd_to_gateway,
)
from prometheus_client.parser import text_string_to_metric_families

from syncd import measures
from syncd.measures import OTHER, Measure, Shape

__all__ = ["CONTENT_TYPE", "OTHER", "Figures", "Meter", "Metrics", "Send", "Unmeasured", "Values", "sample_in"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
Values = Mapping[tuple[str, ...], float]  # labels' values, in their order -> value
Figures = Mapping[str, Values]  # by metric
Collector = Counter | Gauge | Histogram
Send = Callable[[str, str, list[tuple[str, str]], bytes], None]  # method, address, headers, body

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, which no dashboard asks for


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
    """Metrics in one registry, by default all that a daemon has, in a new registry."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        version: str,
        listed: Iterable[Measure] = tuple(measures.MEASURES.values()),
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self._kept = {each.name: _collector(each, self.registry) for each in listed}
        if "syncd_build_info" in self._kept:
            self.show({"syncd_build_info": {(version,): 1.0}})

    def expect(self, connections: Iterable[str], walks: Iterable[tuple[str, str]]) -> None:
        """Let the counters of these connections and their walks be there from the start, at 0."""
        known = {"connection": tuple(connections)}
        for name, collector in self._kept.items():
            measure = measures.ALL[name]
            if isinstance(collector, Gauge) or not measure.labels:
                continue
            if "walk" in measure.labels:
                rest = [measure.said(label) or () for label in measure.labels[2:]]
                space = [(*walk, *words) for walk in walks for words in product(*rest)]
            else:
                space = list(product(*(known.get(label) or measure.said(label) or () for label in measure.labels)))
            for labels in space:
                collector.labels(*labels)

    # calls: a Meter

    def called(self, connection: str, method: str, outcome: str, seconds: float) -> None:
        """A call has come to its end, retries included."""
        words = _of(measures.METHODS, method), _of(measures.OUTCOMES, outcome)
        self.count("syncd_calls_total", connection, *words)
        self.observe("syncd_call_seconds", seconds, connection)

    def retried(self, connection: str) -> None:
        """A GET is sent once more."""
        self.count("syncd_retries_total", connection)

    def drew_429(self, connection: str) -> None:
        """The system refused a call for its rate."""
        self.count("syncd_refused_for_rate_total", connection)

    def waited(self, connection: str, priority: str, seconds: float) -> None:
        """A call waited so long for its slot."""
        self.observe("syncd_wait_seconds", seconds, connection, priority)

    def budget(self, connection: str, rule: str, used: int, limit: int) -> None:
        """How much of a rule is used now."""
        self._gauge("syncd_budget_used").labels(connection, rule).set(used)
        self._gauge("syncd_budget_limit").labels(connection, rule).set(limit)

    # work

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count what an engine tells (a listener)."""
        if action == "page":
            self.count("syncd_pages_total", facts["connection"], facts["walk"])
        elif action == "erased_seen":
            self.count("syncd_erased_sightings_total", facts["connection"], facts["kind"], by=float(facts["count"]))
        elif action == "written":
            self.count("syncd_writes_total", facts["connection"], facts["kind"], facts["call"])
        elif action in {"walked", "broken_off"}:
            result = "proven" if action == "walked" else "broken_off"
            self.count("syncd_runs_total", facts["connection"], facts["walk"], facts["mode"], result)

    def webhook(self, connection: str, result: str) -> None:
        """A webhook was judged. Name a connection that is not configured ``other``."""
        self.count("syncd_webhooks_total", connection, _of(measures.WEBHOOKS, result))

    # any of them

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Let a counter rise."""
        collector = self._kept[name]
        assert isinstance(collector, Counter)
        collector.labels(*labels).inc(by)

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Let a histogram see a value."""
        collector = self._kept[name]
        assert isinstance(collector, Histogram)
        collector.labels(*labels).observe(seconds)

    def show(self, figures: Figures) -> None:
        """Set gauges to what stands now; what is not told any more is gone."""
        for name, told in figures.items():
            gauge = self._gauge(name)
            if measures.ALL[name].labels:
                gauge.clear()
            for labels, value in told.items():
                (gauge.labels(*labels) if labels else gauge).set(value)

    def _gauge(self, name: str) -> Gauge:
        collector = self._kept[name]
        assert isinstance(collector, Gauge)
        return collector

    def render(self) -> bytes:
        """The body of ``/metrics``, of type ``CONTENT_TYPE``."""
        return generate_latest(self.registry)

    def push(self, gateway: str, group: Mapping[str, str], send: Send) -> None:
        """Add to a group of a Pushgateway (labels, ``job`` among them); other names in that group stay there."""

        def handler(url: str, method: str, timeout: float | None, headers: Any, data: bytes) -> Callable[[], None]:
            return lambda: send(method, url, headers, data)

        rest = {label: value for label, value in group.items() if label != "job"}
        pushadd_to_gateway(gateway, group["job"], self.registry, rest, handler=handler)


def _collector(measure: Measure, registry: CollectorRegistry) -> Collector:
    if measure.shape is Shape.HISTOGRAM:
        return Histogram(measure.name, measure.told, measure.labels, buckets=measure.buckets, registry=registry)
    made = Counter if measure.shape is Shape.COUNTER else Gauge
    return made(measure.name, measure.told, measure.labels, registry=registry)


def _of(closed: Iterable[str], word: str) -> str:
    return word if word in closed else OTHER


def sample_in(text: str, name: str) -> float | None:
    """The value of a metric without labels in a text that was rendered before; None: it is not there."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        return None
    found = (sample.value for family in families for sample in family.samples if sample.name == name)
    return next(found, None)
