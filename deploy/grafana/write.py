"""The dashboard, told shortly, and written as the JSON that Grafana wants: ``make docs``.

A row is a title and its panels; a panel is a title, what it shows, and its queries with their legends. Grafana's
dashboard JSON model: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FILE = Path(__file__).with_name("syncd.json")
SOURCE = {"type": "prometheus", "uid": "prometheus"}
HEIGHT = 7
AT = 'job="$job", connection=~"$connection"'
OF = 'job="$job", pair=~"$pair"'
GOOD_IS_ONE = ((None, "red"), (1, "green"))
GOOD_IS_NONE = ((None, "green"), (1, "orange"))


@dataclass(frozen=True)
class Panel:
    """``queries``: PromQL -> legend. ``steps``: from which value on which colour."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    told: str = ""
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)


def stat(title: str, query: str, steps: tuple[tuple[float | None, str], ...], unit: str = "short") -> Panel:
    """One number that is green or is not."""
    return Panel(title, {query: ""}, unit, "stat", 4, steps=steps)


ROWS: Mapping[str, tuple[Panel, ...]] = {
    "Is all in step?": (
        stat("Pairs not in step", f"count(syncd_pair_in_step{{{OF}}} == 0) or vector(0)", GOOD_IS_NONE),
        stat("Connections down", f"count(syncd_connection_up{{{AT}}} == 0) or vector(0)", GOOD_IS_NONE),
        stat("Stopped", f"sum(syncd_connection_stopped{{{AT}}}) + sum(syncd_pair_stopped{{{OF}}})", GOOD_IS_NONE),
        stat("Waits for a person", f"sum(syncd_held{{{AT}}})", GOOD_IS_NONE),
        stat("Unknown outcomes", f"sum(syncd_unknown_outcomes{{{AT}}})", GOOD_IS_NONE),
        stat("429s in an hour", f"sum(increase(syncd_refused_for_rate_total{{{AT}}}[1h]))", GOOD_IS_NONE),
    ),
    "Pairs": (
        Panel("In step", {f"syncd_pair_in_step{{{OF}}}": "{{pair}}"}, "bool_yes_no", "state-timeline", 12,
              steps=GOOD_IS_ONE),
        Panel("Linked", {f"syncd_pair_links{{{OF}}}": "{{pair}} {{kind}}"}, width=12),
        Panel("Writes that wait", {f"syncd_pair_waiting{{{OF}}}": "{{pair}}"}, width=8),
        Panel("Held", {f"syncd_pair_held{{{OF}}}": "{{pair}}"}, width=8),
        Panel("From seen to confirmed", {
            f"histogram_quantile(0.5, sum by (le) (rate(syncd_propagation_seconds_bucket{{{AT}}}[1h])))": "half",
            f"histogram_quantile(0.95, sum by (le) (rate(syncd_propagation_seconds_bucket{{{AT}}}[1h])))": "95 of 100",
        }, "s", told="How long a change takes from being seen at one end to being confirmed at the other."),
    ),
    "Connections": (
        Panel("Up", {f"syncd_connection_up{{{AT}}}": "{{connection}}"}, "bool_yes_no", "state-timeline", 12,
              steps=GOOD_IS_ONE),
        Panel("Since all changes are known", {
            f"time() - (syncd_poll_last_success_timestamp_seconds{{{AT}}} > 0)": "{{connection}} {{kind}}",
        }, "s", width=6),
        Panel("Since read whole", {
            f"time() - (syncd_sweep_last_success_timestamp_seconds{{{AT}}} > 0)": "{{connection}} {{kind}}",
        }, "s", width=6),
        Panel("Runs", {
            f"sum by (connection, mode, result) (increase(syncd_runs_total{{{AT}}}[1h]))":
                "{{connection}} {{mode}} {{result}}",
        }),
        Panel("Changes", {
            f"sum by (connection, operation, outcome) (increase(syncd_changes_total{{{AT}}}[1h]))":
                "{{connection}} {{operation}} {{outcome}}",
        }),
        Panel("Lane depth", {f"syncd_lane_depth{{{AT}}}": "{{connection}} {{work}}"}),
        Panel("Oldest waiting write", {
            f"(time() - syncd_oldest_waiting_timestamp_seconds{{{AT}}}) "
            f"* (syncd_oldest_waiting_timestamp_seconds{{{AT}}} > bool 0)": "{{connection}}",
        }, "s"),
        Panel("Calls", {
            f"sum by (connection, outcome) (rate(syncd_calls_total{{{AT}}}[5m]))": "{{connection}} {{outcome}}",
        }, "reqps"),
        Panel("Writes ping-ponging", {f"syncd_pingpong_records{{{AT}}}": "{{connection}}"}),
    ),
    "Budgets": (
        Panel("Used", {f"syncd_budget_used_ratio{{{AT}}}": "{{connection}} {{rule}}"}, "percentunit"),
        Panel("Left in the window", {f"syncd_budget_remaining{{{AT}}}": "{{connection}} {{rule}}"}),
        Panel("Seconds waited per second", {
            f"sum by (connection, priority) (rate(syncd_wait_seconds_sum{{{AT}}}[5m]))": "{{connection}} {{priority}}",
        }),
        Panel("429s and retries", {
            f"sum by (connection) (increase(syncd_refused_for_rate_total{{{AT}}}[1h]))": "{{connection}} 429",
            f"sum by (connection) (increase(syncd_retries_total{{{AT}}}[1h]))": "{{connection}} again",
        }),
        Panel("Time of a call, 95 of 100", {
            f"histogram_quantile(0.95, sum by (connection, le) (rate(syncd_call_seconds_bucket{{{AT}}}[5m])))":
                "{{connection}}",
        }, "s"),
        Panel("Blocked after a 429", {
            f"clamp_min(syncd_blocked_until_timestamp_seconds{{{AT}}} - time(), 0)": "{{connection}}",
        }, "s"),
    ),
    "Webhooks": (
        Panel("By verdict", {
            f"sum by (connection, result) (increase(syncd_webhooks_total{{{AT}}}[1h]))": "{{connection}} {{result}}",
        }),
        Panel("Since the last one", {
            f"(time() - syncd_webhook_last_arrival_timestamp_seconds{{{AT}}}) * syncd_webhook_expected{{{AT}}}":
                "{{connection}}",
        }, "s"),
        Panel("Found by sweeps only", {
            f"sum by (connection) (increase(syncd_missed_changes_total{{{AT}}}[1d]))": "{{connection}}",
        }),
        Panel("Silent, or an address is not registered", {
            f"syncd_webhooks_silent{{{AT}}} + on (job, instance, connection) "
            f"(1 - syncd_webhook_subscriptions_up{{{AT}}} or 0 * syncd_webhooks_silent{{{AT}}})": "{{connection}}",
        }),
    ),
    "Waiting for a person": (
        Panel("Held by reason", {f"sum by (reason) (syncd_held{{{AT}}}) > 0 or sum(syncd_held{{{AT}}})": "{{reason}}"},
              width=12),
        Panel("Oldest question", {
            f"(time() - syncd_held_oldest_timestamp_seconds{{{AT}}}) "
            f"* (syncd_held_oldest_timestamp_seconds{{{AT}}} > bool 0)": "{{connection}}",
        }, "s", width=12),
        Panel("Conflicts, unmapped stages, blocked deletes, erasures", {
            f"sum by (connection) (syncd_conflicts_open{{{AT}}})": "{{connection}} conflicts",
            f"sum by (connection) (syncd_stages_unmapped{{{AT}}})": "{{connection}} stages unmapped",
            f"sum by (connection) (syncd_blocked_deletes{{{AT}}})": "{{connection}} blocked deletes",
            f"sum by (connection) (syncd_erasures_open{{{AT}}})": "{{connection}} erasures",
        }, width=24),
    ),
}  # fmt: skip

VARIABLES = {
    "job": "label_values(syncd_build_info, job)",
    "connection": 'label_values(syncd_connection_up{job="$job"}, connection)',
    "pair": 'label_values(syncd_pair_in_step{job="$job"}, pair)',
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON."""
    return {
        "uid": "syncd",
        "title": "syncd",
        "tags": ["syncd"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_variable(name, query) for name, query in VARIABLES.items()]},
        "panels": [{**panel, "id": number} for number, panel in enumerate(_placed(), 1)],
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    takes_many = name != "job"
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": takes_many,
        "includeAll": takes_many,
        **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if takes_many else {}),
    }


def _placed() -> Iterator[dict[str, Any]]:
    """Rows and panels from left to right and from top to bottom; Grafana counts 24 columns."""
    y = 0
    for title, panels in ROWS.items():
        yield {"type": "row", "title": title, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        y, x = y + 1, 0
        for panel in panels:
            height = 4 if panel.kind == "stat" else HEIGHT
            if x + panel.width > 24:
                y, x = y + height, 0
            yield _panel(panel) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": height}}
            x += panel.width
        y += HEIGHT


def _panel(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    is_coloured = len(steps) > 1
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.told,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto"}
            for number, (query, legend) in enumerate(panel.queries.items())
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"color": {"mode": "thresholds"}} if is_coloured else {}),
            },
            "overrides": [],
        },
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}}
        if panel.kind == "stat"
        else {},
    }


def as_json() -> bytes:
    """The file's content."""
    return orjson.dumps(dashboard(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    FILE.write_bytes(as_json())
