"""The page at ``/``: is everything in step, and if not, what waits for what. Plain HTML, made here, without scripts.

It shows names from the config, counts, times, closed words and ids of records; no person's data is in the store to be
shown. Times are UTC. The facts come from one look into the store; the browser asks again every two seconds.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import sqlalchemy as sa

from syncd import look, schema
from syncd.setup import World
from syncd.store import rows_of

REFRESH_S = 2
JOURNAL_LINES = 20
Facts = dict[str, Any]

# --- the facts ------------------------------------------------------------------------------------------------------

_holds = schema.holds.c
_HELD = (
    sa.select(_holds.pair, _holds.connection, _holds.kind, _holds.reason, sa.func.count().label("number"))
    .group_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
    .order_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
)
_SWITCHES = sa.select(schema.switches).order_by(schema.switches.c.scope)
_JOURNAL = (
    sa.select(*(schema.journal.c[name] for name in ("at", "connection", "kind", "ref", "what", "fields")))
    .order_by(schema.journal.c.id.desc())
    .limit(JOURNAL_LINES)
)


def facts_of(connection: sa.Connection, world: World, now: float) -> Facts:
    """What ``look.status`` tells, and besides: ``switches``, ``holds`` (counted) and ``journal`` (the last lines)."""
    return {
        **look.status(connection, world, now),
        "switches": rows_of(connection, _SWITCHES),
        "holds": rows_of(connection, _HELD),
        "journal": rows_of(connection, _JOURNAL),
    }


# --- the page -------------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #18794e; --wait: #a15c00; --bad: #c62a2f; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --wait: #f1a10d; --bad: #ff8589; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
p { margin: .2rem 0; } .dim { opacity: .7; } .good { color: var(--good); } .wait { color: var(--wait); }
.bad { color: var(--bad); } .good, .wait, .bad { font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
meter { width: 6rem; vertical-align: middle; }
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"


_MODES = {"idle": "", "poll": "reading changes", "sweep": "reading all of it"}


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def shown(facts: Mapping[str, Any], troubles: Sequence[str] = ()) -> str:
    """The whole page. ``troubles``: why the daemon is not ready, a sentence each."""
    now, connections = facts["at"], facts["connections"]
    walks = [_walk_row(each["name"], walk, now) for each in connections for walk in each["walks"]]
    parts = [
        _headline(facts, troubles),
        _table("Pairs", ("Pair", "What flows", "Linked", "State"), [_pair_row(pair) for pair in facts["pairs"]]),
        _table(
            "Connections",
            ("Connection", "Reached", "Budget used", "Waiting"),
            [_connection_row(each, now) for each in connections],
        ),
        _table("Lists", ("List", "Last read whole", "Last looked", "Next look", "Now"), walks),
        _table("Held for a person", ("Pair", "Where", "Kind", "Reason", "Records"), [_held(h) for h in facts["holds"]]),
        _table("Journal", ("At", "What", "Where", "Record", "Fields"), [_line(line) for line in facts["journal"]]),
    ]
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{REFRESH_S}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>syncd</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _headline(facts: Mapping[str, Any], troubles: Sequence[str]) -> Html:
    behind = [pair["name"] for pair in facts["pairs"] if not pair["in_step"]]
    if troubles:
        state = _span("wait", "; ".join(troubles))
    elif behind:
        state = _span("wait", f"not in step: {', '.join(behind)}")
    else:
        state = _span("good", "everything is in step")
    stops = "".join(
        f"<p>{_span('bad', 'stopped')} {escape(_scope(row['scope']))} since {_time(row['at'])}: "
        f"{escape(row['reason'])}</p>"
        for row in facts["switches"]
    )
    return Html(f'<h1>syncd</h1><p>{state} <span class="dim">as of {_time(facts["at"])} UTC</span></p>{stops}')


def _scope(scope: str) -> str:
    return "everything" if scope == "*" else scope.replace("/", " ")


def _pair_row(pair: Mapping[str, Any]) -> Iterable[str]:
    flows = ", ".join(f"{kind} {arrow}" for kind, arrow in pair["flows"].items())
    linked = ", ".join(f"{count} {kind}" for kind, count in pair["links"].items()) or "none yet"
    kind = "good" if pair["in_step"] else "bad" if pair["stopped"] else "wait"
    state = _span(kind, "in step" if pair["in_step"] else "; ".join(pair["why_not"]))
    return f"{pair['name']}: {pair['left']}, {pair['right']}", flows, linked, state


def _connection_row(each: Mapping[str, Any], now: float) -> Iterable[str]:
    counts = [f"{count} {state.replace('_', ' ')}" for state, count in each["intents"].items() if count]
    counts += [f"{each['to_read']} to read"] if each["to_read"] else []
    budget = " ".join(_meter(rule) for rule in each["budget"]) or "no limit"
    if each["blocked_until"]:
        budget += f" {_span('wait', 'blocked for ' + _span_of(each['blocked_until'] - now))}"
    return f"{each['name']} ({each['system']})", _reached(each, now), Html(budget), ", ".join(counts) or "nothing"


def _reached(each: Mapping[str, Any], now: float) -> Html:
    if each["stopped"]:
        return _span("bad", f"stopped: {each['stopped']}")
    at = each["reached_at"]
    told = "not yet" if at is None else f"{_span_of(now - at)} ago"
    return _span("bad", f"{each['error']}; last reached: {told}") if each["error"] else Html(escape(told))


def _meter(rule: Mapping[str, Any]) -> str:
    used, limit = int(rule["used"]), max(1, int(rule["limit"]))
    text = f"{escape(rule['rule'])}: {used} of {rule['limit']}"
    return f'<meter min="0" max="{limit}" value="{min(used, limit)}" title="{text}"></meter> {text}'


def _walk_row(connection: str, walk: Mapping[str, Any], now: float) -> Iterable[str]:
    due = None if walk["due_at"] is None or walk["mode"] != "idle" else max(0.0, walk["due_at"] - now)
    return (
        f"{connection} {walk['name']}",
        "never" if walk["swept_at"] is None else f"{_span_of(now - walk['swept_at'])} ago",
        "never" if walk["polled_at"] is None else f"{_span_of(now - walk['polled_at'])} ago",
        "" if due is None else f"in {_span_of(due)}, every {_span_of(walk['interval_s'])}",
        _span("bad", walk["error"]) if walk["error"] else _MODES.get(walk["mode"], walk["mode"]),
    )


def _held(hold: Mapping[str, Any]) -> Iterable[str]:
    return hold["pair"] or "", hold["connection"], hold["kind"], hold["reason"].replace("_", " "), str(hold["number"])


def _line(line: Mapping[str, Any]) -> Iterable[str]:
    what = line["what"].replace("_", " ")
    return _time(line["at"]), what, line["connection"], f"{line['kind']} {line['ref']}", ", ".join(line["fields"])


def _table(title: str, heads: Sequence[str], rows: Sequence[Iterable[str]]) -> Html:
    if not rows:
        return Html(f'<h2>{escape(title)}</h2><p class="dim">none</p>')
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return Html(
        f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)


def _span(kind: str, text: str) -> Html:
    return Html(f'<span class="{kind}">{escape(text)}</span>')


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _span_of(seconds: float) -> str:
    """A stretch of time in its largest fitting unit."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
