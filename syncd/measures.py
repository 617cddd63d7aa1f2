"""The list of all metrics as data: what is on ``/metrics``, what each says, and which labels it has. Pure.

Names as Prometheus advises (https://prometheus.io/docs/practices/naming/): base units, ``_total`` on what only rises,
times as timestamps so that nothing ages between two looks. A label's words come from a closed set or from the
configuration: never an id, an address or a person's data. ``docs/metrics.md`` is made from this list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from syncd.limits import Priority
from syncd.model import Kind

OTHER = "other"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OUTCOMES = ("ok", "refused_rate", "client_error", "server_error", "lost", "not_sent", "parked", "cancelled")
WEBHOOKS = ("kept", "duplicate", "forged", "stale", "too_long", "busy", "slow", "gone", "unknown", "unavailable")
KINDS = tuple(kind.value for kind in Kind)
PRIORITIES = tuple(priority.name.lower() for priority in Priority)
CALLS = (
    "create", "update", "attach", "comment", "rating", "note", "activity", "rule", "outcome", "screen", "unschedule",
    "submit",
)  # fmt: skip
MODES = ("poll", "sweep")
RESULTS = ("proven", "broken_off")
CHANGES = ("applied", "noop", "echo", "conflict", "rejected", "unknown")
STATES = ("open", "sent", "accepted", "unknown", "held")
WORK = ("lookup", "write", "read", "detail")
STOPS = ("auth", "emptied", "large", "person")
REASONS = (
    "ambiguous_job", "batch_cancelled", "batch_failed", "batch_gone", "batch_late", "batch_refused", "cannot_reopen",
    "conflict", "credits_per_day", "duplicate", "email_taken", "erased_left", "erased_returned", "erasure",
    "file_refused", "files_changed",
    "job_unclear", "key_expired", "missing", "no_credits", "no_email", "no_file", "no_result", "no_word_for",
    "not_taken", "other_name", "parent_gone", "parent_vanished", "ping_pong", "places_differ",
    "reached_meanwhile", "rejected", "rows_differ", "second_application", "several_active", "spokes_disagree",
    "taken_but_not_found",
    "terminal_conflict", "terminal_differs", "unknown_outcome", "unmapped", "unmapped_stage", "vanished", OTHER,
)  # fmt: skip
DISPUTES = frozenset({
    "conflict", "terminal_conflict", "terminal_differs", "other_name", "spokes_disagree", "rows_differ",
    "cannot_reopen", "ping_pong",
})  # fmt: skip
_FAMILIES = ("unmapped", "no_word_for", "missing")

# What each label may say; None: the names that the configuration gives.
LABELS: Mapping[str, tuple[str, tuple[str, ...] | None]] = {
    "connection": ("a connection, by its name in the configuration", None),
    "pair": ("a pair, by its name in the configuration", None),
    "walk": ("a list of a system, by its connector's name for it", None),
    "rule": ("a rule of a budget, as configured: `10/10s`, `100/day@UTC`", None),
    "version": ("the version of syncd", None),
    "kind": ("the kind of record", KINDS),
    "method": ("the method of a call", (*METHODS, OTHER)),
    "priority": ("whose turn it was", PRIORITIES),
    "call": ("what was called", CALLS),
    "operation": ("what was to be done", ("create", "update")),
    "mode": ("reading what changed, or the whole list", MODES),
    "state": ("where a write stands", STATES),
    "work": ("what waits in a lane", WORK),
    "reason": ("why", ()),
    "outcome": ("how it ended", ()),
    "result": ("how it ended", ()),
}


class Shape(StrEnum):
    """What kind of metric it is, in Prometheus's words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Measure:
    """One metric. ``words``: what a label may say here, where that differs from ``LABELS``; ``buckets`` in seconds."""

    name: str
    shape: Shape
    told: str
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def said(self, label: str) -> tuple[str, ...] | None:
        """The closed set of a label's words; None: names from the configuration."""
        return self.words if label in OPEN_WORDED else LABELS[label][1]


OPEN_WORDED = frozenset({"reason", "outcome", "result"})  # these labels say other words in each metric
_CALL_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_DELAY_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86_400.0)


def _counter(name: str, told: str, *labels: str, words: tuple[str, ...] = ()) -> Measure:
    return Measure(f"syncd_{name}_total", Shape.COUNTER, told, labels, words)


def _gauge(name: str, told: str, *labels: str, words: tuple[str, ...] = ()) -> Measure:
    return Measure(f"syncd_{name}", Shape.GAUGE, told, labels, words)


def _histogram(name: str, told: str, *labels: str, buckets: tuple[float, ...]) -> Measure:
    return Measure(f"syncd_{name}", Shape.HISTOGRAM, told, labels, buckets=buckets)


SECTIONS: Mapping[str, tuple[Measure, ...]] = {
    "What runs": (
        _gauge("build_info", "Always 1; the version that runs", "version"),
        _gauge("start_timestamp_seconds", "When this process began"),
    ),
    "Reach": (
        _gauge("connection_up", "1: the last call with this token was answered and let in. Where nothing else is "
               "called, a probe is", "connection"),
        _gauge("connection_reached_timestamp_seconds", "When a call was last answered and let in; 0: never",
               "connection"),
        _gauge("connection_stopped", "1: nothing is called here, because the token was refused (auth), the side was "
               "suddenly empty (emptied), or a person said so", "connection", "reason",
               words=("auth", "emptied", "person")),
    ),
    "Reading": (
        _counter("runs", "Walks of lists, by how they ended", "connection", "walk", "mode", "result", words=RESULTS),
        _counter("pages", "Pages of lists taken in", "connection", "walk"),
        _gauge("poll_last_success_timestamp_seconds", "Up to when all that changed is known: the start of the last "
               "proven walk; 0: never", "connection", "kind"),
        _gauge("sweep_last_success_timestamp_seconds", "The start of the last walk that was proven whole; 0: never",
               "connection", "kind"),
        _gauge("poll_interval_seconds", "Seconds between two polls as things stand", "connection"),
        _gauge("sweep_interval_seconds", "Seconds between two sweeps as configured", "connection"),
    ),
    "Changes": (
        _counter("changes", "Changes by what became of them: applied; noop (it was there already); echo (a webhook "
                 "told of what needs no write, as of our own); conflict; rejected by the system; unknown (the answer "
                 "was lost)", "connection", "kind", "operation", "outcome", words=CHANGES),
        _counter("writes", "Writes done", "connection", "kind", "call"),
        _histogram("propagation_seconds", "From seeing a change to its confirmation at the connection that was "
                   "written to", "connection", "kind", buckets=_DELAY_S),
        _counter("erased_sightings", "Records of people whom `syncd forget` erased that were told again, and dropped",
                 "connection", "kind"),
        _counter("missed_changes", "Changes that only a sweep found, after the first sync: neither a webhook nor a "
                 "poll had told them", "connection"),
        _gauge("oldest_waiting_timestamp_seconds", "Since when the oldest write has waited (held ones do not count); "
               "0: none does", "connection"),
        _gauge("lane_depth", "What waits for calls to a connection", "connection", "work"),
        _gauge("intents", "Writes that are not over, by state", "connection", "state"),
        _gauge("unknown_outcomes", "Writes of which nobody knows whether they took effect", "connection"),
        _gauge("pingpong_records", "Records that were written to many times within an hour", "connection"),
    ),
    "Waiting for a person": (
        _gauge("held", "Questions that wait for a person", "connection", "reason", words=REASONS),
        _gauge("held_oldest_timestamp_seconds", "Since when the oldest question has waited; 0: there is none",
               "connection"),
        _gauge("conflicts_open", "Questions whose value stays", "connection"),
        _gauge("stages_unmapped", "Records that wait because no mapping knows their stage", "connection"),
        _gauge("blocked_deletes", "Records that are gone at one end and were not touched at the other", "connection"),
        _gauge("erasures_open", "People made anonymous at one end, to be erased elsewhere", "connection"),
        _gauge("erasure_oldest_timestamp_seconds", "Since when the oldest of these has waited; 0: there is none",
               "connection"),
    ),
    "Pairs": (
        _gauge("pair_in_step", "1: nothing is late, waits, is held or stopped", "pair"),
        _gauge("pair_links", "Records that are linked at both ends; of screenings, those that were written back",
               "pair", "kind"),
        _gauge("pair_waiting", "Writes that wait for calls", "pair"),
        _gauge("pair_held", "Questions that wait for a person; one about a person's rows counts in each pair of its "
               "connection", "pair"),
        _gauge("pair_stopped", "1: nothing is written for this pair, because it wanted far more than usual (large), "
               "or a person said so", "pair", "reason", words=("large", "person")),
    ),
    "Calls and budgets": (
        _counter("calls", "Calls by how they ended, retries not counted", "connection", "method", "outcome",
                 words=(*OUTCOMES, OTHER)),
        _histogram("call_seconds", "Time of a call, retries and waiting included", "connection", buckets=_CALL_S),
        _counter("retries", "GETs sent once more", "connection"),
        _counter("refused_for_rate", "Answers 429 drawn", "connection"),
        _histogram("wait_seconds", "Time waited for a slot of the budget", "connection", "priority", buckets=_CALL_S),
        _gauge("budget_used", "Calls counted in a rule's window now", "connection", "rule"),
        _gauge("budget_limit", "Calls that the rule allows in its window now", "connection", "rule"),
        _gauge("budget_remaining", "Calls that are left in the window now", "connection", "rule"),
        _gauge("budget_used_ratio", "Used calls as a share of the limit", "connection", "rule"),
        _gauge("budget_resets_timestamp_seconds", "When a rule counted by the day begins anew", "connection", "rule"),
        _gauge("blocked_until_timestamp_seconds", "Until when the system wants no call, after a 429; 0: it takes "
               "calls", "connection"),
    ),
    "Webhooks": (
        _counter("webhooks", "Webhooks by verdict; those to no known name count for the connection `other`",
                 "connection", "result", words=(*WEBHOOKS, OTHER)),
        _gauge("webhook_last_arrival_timestamp_seconds", "When the last genuine webhook came (kept for 14 days); 0: "
               "none did", "connection"),
        _gauge("webhook_expected", "1: what this connection needs to believe webhooks is there", "connection"),
        _gauge("webhook_subscriptions_up", "1: all addresses that the pairs need were registered when last looked "
               "for; absent where none is needed", "connection"),
        _gauge("webhooks_silent", "1: changes are found, and no webhook has come for a day (or three times as long as "
               "usual)", "connection"),
    ),
}  # fmt: skip

# What `syncd backfill` tells with `--metrics-file` or `--push-metrics`; beside these stand the gauges of `STANDING`.
BACKFILL: tuple[Measure, ...] = (
    _gauge("backfill_last_run_timestamp_seconds", "When the last backfill ended, well or not"),
    _gauge("backfill_last_success_timestamp_seconds", "When a backfill last did all that there was; 0: never"),
    _gauge("backfill_succeeded", "1: the last backfill did all that there was"),
    _gauge("backfill_duration_seconds", "How long it took"),
    _gauge("backfill_left", "What it left to do"),
    _gauge("backfill_pages", "Pages that it took in", "connection"),
    _gauge("backfill_writes", "Writes that it did", "connection", "kind", "call"),
)

MEASURES: Mapping[str, Measure] = {each.name: each for section in SECTIONS.values() for each in section}
ALL: Mapping[str, Measure] = {**MEASURES, **{each.name: each for each in BACKFILL}}


def reason_word(reason: str) -> str:
    """A hold's reason as a label says it: fields' names are left out, but for the stage."""
    if reason in REASONS:
        return reason
    return next((family for family in _FAMILIES if reason.startswith(f"{family}_")), OTHER)


def stop_word(reason: str) -> str:
    """Why something is stopped, as a label says it."""
    word = reason.partition(":")[0]
    return word if word in STOPS else "person"


def reference() -> str:
    """The page of the documentation that lists all metrics, in Markdown."""
    parts = [_HEAD]
    for title, measures in (*SECTIONS.items(), ("A single backfill (`--metrics-file`, `--push-metrics`)", BACKFILL)):
        parts += [f"## {title}\n", "| metric | type | labels | what it says |", "|---|---|---|---|"]
        parts += [_row(each) for each in measures]
        parts.append("")
    parts += ["## Labels\n", "| label | says | words |", "|---|---|---|"]
    parts += [f"| `{name}` | {told} | {_words(words)} |" for name, (told, words) in LABELS.items()]
    return "\n".join(parts) + "\n"


_HEAD = """# Metrics

What `/metrics` tells, made from `syncd/measures.py` by `make docs`; do not edit it by hand.

All series with closed labels are there from the start, at 0. Times are seconds since 1970 (UTC). No label holds an id,
an address or a person's data.
"""


def _row(measure: Measure) -> str:
    labels = [f"`{name}`" + (f" ({', '.join(measure.words)})" if name in OPEN_WORDED else "")
              for name in measure.labels]  # fmt: skip
    return f"| `{measure.name}` | {measure.shape} | {', '.join(labels)} | {measure.told} |"


def _words(words: Iterable[str] | None) -> str:
    if words is None:
        return "from the configuration"
    return ", ".join(f"`{word}`" for word in words) or "see each metric"
