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

from syncd import limits, schema
from syncd.model import Kind
from syncd.reconcile import End
from syncd.schedule import interval_in_force, last_pages
from syncd.setup import Connection, Pair, World

REFRESH_S = 2
JOURNAL_LINES = 20
LONG_WALK_S = 5.0  # a list that takes longer to read is shown as being read
Facts = dict[str, Any]

# --- the facts ------------------------------------------------------------------------------------------------------

_intents, _holds, _links, _marks = schema.intents.c, schema.holds.c, schema.links.c, schema.marks.c
_INTENTS = sa.select(_intents.connection, _intents.source, _intents.state, sa.func.count().label("count")).group_by(
    _intents.connection, _intents.source, _intents.state
)
_HOLDS = (
    sa.select(_holds.pair, _holds.connection, _holds.kind, _holds.reason, sa.func.count().label("count"))
    .group_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
    .order_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
)
_LINKED = (
    sa.select(_links.pair, _links.kind, sa.func.count().label("count"))
    .where(_links.left.is_not(None), _links.right.is_not(None))
    .group_by(_links.pair, _links.kind)
)
_MARKED = sa.select(_marks.connection, sa.func.count().label("number")).group_by(_marks.connection)
_SWITCHES = sa.select(schema.switches).order_by(schema.switches.c.scope)
_CURSORS = sa.select(schema.cursors).order_by(schema.cursors.c.connection, schema.cursors.c.walk)
_REACHED = sa.select(schema.connections)
_BUDGETS = sa.select(schema.budgets)
_JOURNAL = (
    sa.select(*(schema.journal.c[name] for name in ("at", "connection", "kind", "ref", "what", "fields")))
    .order_by(schema.journal.c.id.desc())
    .limit(JOURNAL_LINES)
)


def status_facts(connection: sa.Connection, world: World, now: float) -> Facts:
    """What stands where, as one dict of plain values; times are seconds since the epoch.

    ``stopped``, ``pairs``, ``lanes``, ``walks``, ``held`` and ``journal`` are lists of dicts, see the functions below.
    """

    def rows(statement: sa.Select[Any]) -> list[Facts]:
        return [dict(row) for row in connection.execute(statement).mappings()]

    intents, holds, switches, cursors = rows(_INTENTS), rows(_HOLDS), rows(_SWITCHES), rows(_CURSORS)
    linked = rows(_LINKED)
    budgets = {row["connection"]: row["log"] for row in rows(_BUDGETS)}
    reached = {row["name"]: row for row in rows(_REACHED)}
    marks: dict[str, int] = {row.connection: row.number for row in connection.execute(_MARKED)}
    pages = last_pages(connection)
    scopes = {row["scope"] for row in switches}
    return {
        "at": now,
        "stopped": switches,
        "pairs": [_pair(pair, linked, intents, holds, marks, cursors, scopes, now) for pair in world.pairs],
        "lanes": [
            _lane(each, budgets.get(name, ""), reached.get(name, {}), intents, marks.get(name, 0), scopes, now)
            for name, each in world.connections.items()
        ],
        "walks": [_walk(world, row, pages) for row in cursors if row["connection"] in world.connections],
        "held": holds,
        "journal": rows(_JOURNAL),
    }


def _pair(
    pair: Pair,
    linked: Sequence[Facts],
    intents: Sequence[Facts],
    holds: Sequence[Facts],
    marks: Mapping[str, int],
    cursors: Sequence[Facts],
    scopes: set[str],
    now: float,
) -> Facts:
    """``flows``: kind -> arrow; ``waiting``: writes not done; ``reading``: records and long lists being read.

    ``in_step``: both ends were read whole, and nothing waits, is held or is being read.
    """
    ends = {pair.left.name, pair.right.name}
    waiting = sum(row["count"] for row in intents if {row["connection"], row["source"]} == ends)
    held = sum(row["count"] for row in holds if row["pair"] == pair.name)
    walks = [row for row in cursors if row["connection"] in ends]
    swept = {row["connection"] for row in walks} == ends and all(row["swept_at"] is not None for row in walks)
    long = [row for row in walks if row["mode"] != "idle" and now - (row["started_at"] or now) > LONG_WALK_S]
    reading = sum(marks.get(name, 0) for name in ends) + len(long)
    stopped = bool(scopes & {"*", f"pair/{pair.name}", *(f"connection/{name}" for name in ends)})
    return {
        "name": pair.name,
        "left": pair.left.name,
        "right": pair.right.name,
        "flows": {kind.value: _arrow(pair, kind) for kind in Kind if pair.syncs(kind)},
        "linked": {row["kind"]: row["count"] for row in linked if row["pair"] == pair.name},
        "waiting": waiting,
        "reading": reading,
        "held": held,
        "stopped": stopped,
        "in_step": swept and not (waiting or reading or held or stopped),
    }


def _arrow(pair: Pair, kind: Kind) -> str:
    left, right = pair.flows_to(kind, End.LEFT), pair.flows_to(kind, End.RIGHT)
    return "<->" if left and right else "<-" if left else "->"


def _lane(
    connection: Connection,
    budget: str,
    reached: Mapping[str, Any],
    intents: Sequence[Facts],
    marks: int,
    scopes: set[str],
    now: float,
) -> Facts:
    """``rules``: each with ``rule``, ``used``, ``limit``, ``frees_at``; ``intents``: state -> how many; ``marks``."""
    log = limits.Log.from_json(budget)
    states: dict[str, int] = {}
    for row in intents:
        if row["connection"] == connection.name:
            states[row["state"]] = states.get(row["state"], 0) + row["count"]
    return {
        "name": connection.name,
        "system": connection.facts.system,
        "stopped": bool(scopes & {"*", f"connection/{connection.name}"}),
        "reached_at": reached.get("reached_at"),
        "error": reached.get("error"),
        "error_at": reached.get("error_at"),
        "blocked_until": limits.blocked_until(log, now),
        "rules": [
            {"rule": str(usage.rule), "used": usage.used, "limit": usage.limit, "frees_at": usage.frees_at}
            for usage in limits.usage(log, limits.parse_rules(connection.limits), now)
        ],
        "intents": states,
        "marks": marks,
    }


def _walk(world: World, row: Facts, pages: Mapping[tuple[str, str], int]) -> Facts:
    """``mode``: idle, poll or sweep; ``interval_s``: between two polls as things stand."""
    names = ("connection", "walk", "mode", "polled_at", "swept_at", "poll_due", "sweep_due", "error")
    interval_s = interval_in_force(world, world.connections[row["connection"]], pages)
    return {**{name: row[name] for name in names}, "interval_s": interval_s}


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


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def shown(facts: Mapping[str, Any], troubles: Sequence[str] = ()) -> str:
    """The whole page. ``troubles``: why the daemon is not ready, a sentence each."""
    parts = [
        _headline(facts, troubles),
        _table("Pairs", ("Pair", "What flows", "Linked", "State"), [_pair_row(pair) for pair in facts["pairs"]]),
        _table(
            "Connections",
            ("Connection", "Reached", "Budget used", "Waiting"),
            [_lane_row(lane, facts["at"]) for lane in facts["lanes"]],
        ),
        _table(
            "Lists",
            ("List", "Last read whole", "Last looked", "Next look", "Now"),
            [_walk_row(walk, facts["at"]) for walk in facts["walks"]],
        ),
        _table("Held for a person", ("Pair", "Where", "Kind", "Reason", "Records"), [_held(h) for h in facts["held"]]),
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
        for row in facts["stopped"]
    )
    return Html(f'<h1>syncd</h1><p>{state} <span class="dim">as of {_time(facts["at"])} UTC</span></p>{stops}')


def _scope(scope: str) -> str:
    return "everything" if scope == "*" else scope.replace("/", " ")


def _pair_row(pair: Mapping[str, Any]) -> Iterable[str]:
    flows = ", ".join(f"{kind} {arrow}" for kind, arrow in pair["flows"].items())
    linked = ", ".join(f"{count} {kind}" for kind, count in sorted(pair["linked"].items())) or "none yet"
    counts = [(pair["waiting"], "to be written"), (pair["reading"], "to be read"), (pair["held"], "held")]
    behind = ", ".join(f"{count} {word}" for count, word in counts if count)
    if pair["stopped"]:
        state = _span("bad", "stopped")
    elif pair["in_step"]:
        state = _span("good", "in step")
    else:
        state = _span("wait", behind or "being read")
    return f"{pair['name']}: {pair['left']}, {pair['right']}", flows, linked, state


def _lane_row(lane: Mapping[str, Any], now: float) -> Iterable[str]:
    counts = [f"{count} {state}" for state, count in sorted(lane["intents"].items())]
    counts += [f"{lane['marks']} to read"] if lane["marks"] else []
    budget = " ".join(_meter(rule) for rule in lane["rules"]) or "no limit"
    if lane["blocked_until"]:
        budget += f" {_span('wait', 'blocked for ' + _span_of(lane['blocked_until'] - now))}"
    return f"{lane['name']} ({lane['system']})", _reached(lane, now), Html(budget), ", ".join(counts) or "nothing"


def _reached(lane: Mapping[str, Any], now: float) -> Html:
    if lane["stopped"]:
        return _span("bad", "stopped")
    at = lane["reached_at"]
    told = "not yet" if at is None else f"{_span_of(now - at)} ago"
    return _span("bad", f"{lane['error']}; last reached: {told}") if lane["error"] else Html(escape(told))


def _meter(rule: Mapping[str, Any]) -> str:
    used, limit = int(rule["used"]), max(1, int(rule["limit"]))
    text = f"{escape(rule['rule'])}: {used} of {rule['limit']}"
    return f'<meter min="0" max="{limit}" value="{min(used, limit)}" title="{text}"></meter> {text}'


def _walk_row(walk: Mapping[str, Any], now: float) -> Iterable[str]:
    mode = "waiting" if walk["mode"] == "idle" else f"{walk['mode']} under way"
    due = max(0.0, min(walk["poll_due"], walk["sweep_due"]) - now)
    next_ = f"in {_span_of(due)}, every {_span_of(walk['interval_s'])}"
    return (
        f"{walk['connection']} {walk['walk']}",
        "never" if walk["swept_at"] is None else f"{_span_of(now - walk['swept_at'])} ago",
        "never" if walk["polled_at"] is None else f"{_span_of(now - walk['polled_at'])} ago",
        next_ if walk["mode"] == "idle" else "",
        _span("bad", walk["error"]) if walk["error"] else mode,
    )


def _held(hold: Mapping[str, Any]) -> Iterable[str]:
    return hold["pair"] or "", hold["connection"], hold["kind"], hold["reason"].replace("_", " "), str(hold["count"])


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
