"""The page at ``/``: is everything in step, and if not, what waits for what, why, and what to do.

It shows names from the config, counts, times, closed words and ids of records; no person's data is in the store to be
shown. The facts come from one look into the store, which the metrics share.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from syncd import look, schema
from syncd.decide import GUARDS
from syncd.markup import Html, Part, el, joined
from syncd.page_frame import (
    ASK,
    BAD,
    CHANGES,
    GOOD,
    HELD,
    OVERVIEW,
    WALK,
    WORK,
    Facts,
    form,
    live,
    moment,
    several,
    since,
    state,
    story_link,
)
from syncd.page_held import listed
from syncd.sentences import told as spoken
from syncd.setup import World
from syncd.store import rows_of
from syncd.tell import ago, lasting

JOURNAL_LINES = 20
FIRST_HELD = 3  # so many are shown on the overview
MOST_CHANGES = 300

# --- the facts ------------------------------------------------------------------------------------------------------

_holds = schema.holds.c
_HELD = (
    sa.select(_holds.pair, _holds.connection, _holds.kind, _holds.reason, sa.func.count().label("number"))
    .group_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
    .order_by(_holds.pair, _holds.connection, _holds.kind, _holds.reason)
)
_SWITCHES = sa.select(schema.switches).order_by(schema.switches.c.scope)
_JOURNAL = sa.select(
    *(schema.journal.c[name] for name in ("at", "connection", "kind", "ref", "what", "fields"))
).order_by(schema.journal.c.id.desc())


def facts_of(connection: sa.Connection, world: World, now: float) -> dict[str, Any]:
    """What ``look.status`` tells, and besides: ``switches``, ``holds`` (counted) and ``journal`` (the last lines)."""
    return {
        **look.status(connection, world, now),
        "switches": rows_of(connection, _SWITCHES),
        "holds": rows_of(connection, _HELD),
        "journal": changes(connection, world, JOURNAL_LINES),
    }


def changes(connection: sa.Connection, world: World, most: int = MOST_CHANGES) -> list[dict[str, Any]]:
    """The last lines of the journal, newest first: names of fields, never what stands in them."""
    return rows_of(connection, _JOURNAL.limit(most))


# --- the page -------------------------------------------------------------------------------------------------------


def overview(facts: Facts, held: Sequence[Facts], token: str | None, troubles: Sequence[str] = ()) -> Html:
    """All at a glance. ``held``: the first holds. ``troubles``: why the daemon is not ready, a sentence each."""
    now = facts["at"]
    lanes = [_lane(each, now) for each in facts["connections"]]
    return joined([
        _verdict(facts, troubles),
        live("pairs", "Pairs", el("div", [*_stars(facts)], class_="map")),
        _held(facts, held, token),
        live("lanes", "Lanes and budgets", el("div", lanes, class_="cards")),
        live("lists", "Sweeps and schedules", el("ul", [*_lists(facts, token)], class_="rows lists")),
        live("changes", "Recent changes", lines(facts["journal"]), el("p", el("a", "More changes", href=CHANGES))),
    ])  # fmt: skip


def changes_page(journal: Sequence[Facts]) -> Html:
    """The last changes."""
    return joined([el("h1", "Changes"), live("changes", f"The last {MOST_CHANGES} at most", lines(journal))])


# --- the verdict ----------------------------------------------------------------------------------------------------

_SIGNS: Mapping[str, str] = {GOOD: "✓", WORK: "⟳", ASK: "?", BAD: "!"}


def _verdict(facts: Facts, troubles: Sequence[str]) -> Html:
    """One sentence, and under it why and what to do."""
    grade, sentence = judged(facts, troubles)
    reasons = [*_stops(facts), *_away(facts), *_behind(facts), *troubles]
    sign = el("span", _SIGNS[grade], class_=f"sign {grade}", id="sign", data_live=True, aria_hidden="true")
    spoken = el("div", el("h1", sentence, id="verdict", data_live=True), role="status")
    as_of = el("p", "as of ", moment(facts["at"]), class_="dim small")
    why = el("div", as_of, el("ul", [el("li", reason) for reason in reasons]), id="reasons", data_live=True)
    return el("div", sign, el("div", spoken, why), class_="sheet verdict")


def judged(facts: Facts, troubles: Sequence[str]) -> tuple[str, str]:
    """How it stands, in a word and in one sentence: the worst first."""
    held = sum(row["number"] for row in facts["holds"])
    if facts["switches"]:
        return BAD, "Everything is stopped." if facts["stopped"] else "Something is stopped."
    if away := [each["name"] for each in facts["connections"] if each["reachable"] is False]:
        return BAD, f"{_and(away)} {'does' if len(away) == 1 else 'do'} not answer."
    if held:
        return ASK, f"{several(held, 'record')} {'waits' if held == 1 else 'wait'} for you."
    if troubles or not facts["in_step"]:
        return WORK, "Not all is in step yet; syncd is at work."
    return GOOD, "Everything is in step."


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _stops(facts: Facts) -> Iterator[Html]:
    for row in facts["switches"]:
        scope, reason = row["scope"], row["reason"]
        name = "" if scope == "*" else f" {scope.partition('/')[2]}"
        guard = next((f" {flag}" for word, flag in GUARDS.items() if reason.startswith(word)), "")
        what = "Everything" if scope == "*" else scope.replace("/", " ").capitalize()
        told = f" is stopped since {ago(row['at'], facts['at'])}: {reason}. To go on: "
        yield joined([el("strong", what), told, el("code", f"syncd resume{name}{guard}")])


def _away(facts: Facts) -> Iterator[Html]:
    for each in facts["connections"]:
        if each["reachable"] is False and not each["stopped"]:
            last = f"; it was last reached {ago(each['reached_at'], facts['at'])}" if each["reached_at"] else ""
            why = each["error"] or next((walk["error"] for walk in each["walks"] if walk["error"]), "does not answer")
            yield joined([el("strong", each["name"]), f" {why}{last}."])


def _behind(facts: Facts) -> Iterator[Html]:
    for pair in facts["pairs"]:
        if not pair["in_step"]:
            yield joined(["not in step: ", el("strong", pair["name"]), f" ({'; '.join(pair['why_not'])})"])


# --- the map --------------------------------------------------------------------------------------------------------

_ARROWS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "->": (("right",), "to the right"),
    "<-": (("left",), "to the left"),
    "<->": (("left", "right"), "both ways"),
}


def _stars(facts: Facts) -> Iterator[Html]:
    """Each left connection once, with a way to everything that it is kept in step with."""
    connections = {each["name"]: each for each in facts["connections"]}
    lefts = dict.fromkeys(pair["left"] for pair in facts["pairs"])
    for left in lefts:
        ways = [_way(pair, connections) for pair in facts["pairs"] if pair["left"] == left]
        yield el("div", _end(connections[left], facts["at"]), el("ul", ways, class_="ways"), class_="star")


def _end(connection: Facts, now: float) -> Html:
    name = el("strong", connection["name"])
    return el("div", name, el("span", connection["system"], class_="dim"), _reach(connection, now), class_="end")


def _reach(connection: Facts, now: float) -> Html:
    if connection["stopped"]:
        return state(BAD, "stopped")
    if connection["reachable"] is None:
        return state(WORK, "not tried yet")
    return state(GOOD, "answers") if connection["reachable"] else state(BAD, "does not answer")


def _way(pair: Facts, connections: Mapping[str, Facts]) -> Html:
    grade = _grade(pair, connections)
    there = connections[pair["right"]]
    said = "in step" if pair["in_step"] else "held" if grade == ASK else "stopped" if pair["stopped"] else "not in step"
    about = el(
        "div",
        el("span", el("b", pair["name"]), " ", state(grade, said)),
        [el("span", reason, class_="dim") for reason in pair["why_not"]],
        class_="about",
    )
    ways = {f"{kind}s": arrow for kind, arrow in pair["flows"].items()} | {"résumés": pair["resumes"]}
    carried = [_flow(name, arrow, pair) for name, arrow in ways.items() if arrow != "off"]
    flows = el("ul", carried, class_="flows")
    return el("li", flows, _end(there, 0.0), about, class_=f"way is-{grade}")


def _grade(pair: Facts, connections: Mapping[str, Facts]) -> str:
    if pair["in_step"]:
        return GOOD
    ends = [connections[pair["left"]], connections[pair["right"]]]
    if pair["stopped"] or any(each["stopped"] or each["reachable"] is False for each in ends):
        return BAD
    return ASK if pair["held"] else WORK


def _flow(name: str, arrow: str, pair: Facts) -> Html:
    heads, said = _ARROWS[arrow]
    marks = [el("i", class_=head, aria_hidden="true") for head in heads]
    kind = name.removesuffix("s")
    coming = pair["being_created"].get(kind, 0)
    number = pair["resumes_sent"] if name == "résumés" else pair["links"].get(kind, 0)
    count = el("b", f"{number:,}")
    more = f" + {coming:,} being created" if coming else ""
    return el("li", el("span", f"{name} ", count, more, el("span", f" {said}", class_="unseen")), marks, class_="flow")


# --- held, lanes, lists, changes --------------------------------------------------------------------------------------


def _held(facts: Facts, held: Sequence[Facts], token: str | None) -> Html:
    total = sum(row["number"] for row in facts["holds"])
    if not total:
        return live("held", "Held for you", el("p", "Nothing waits for a person.", class_="dim"))
    more = el("p", el("a", f"All {total:,}", href=HELD)) if total > len(held) else None
    return live("held", f"Held for you ({total:,})", listed(held, facts["at"], token, back=OVERVIEW), more)


_WAITS: Mapping[str, str] = {"open": "to write", "under_way": "under way", "unknown": "unknown outcome", "held": "held"}


def _lane(each: Facts, now: float) -> Html:
    title = el("h3", each["name"], " ", el("span", each["system"], class_="dim small"))
    counts = [f"{count:,} {_WAITS[name]}" for name, count in each["intents"].items() if count]
    counts += [f"{each['to_read']:,} to read"] if each["to_read"] else []
    closed = each["blocked_until"]
    return el(
        "article",
        el("div", title, _reach(each, now), class_="head"),
        el("p", "last reached ", since(each["reached_at"], now), class_="dim small") if each["reached_at"] else None,
        [_budget(rule, now) for rule in each["budget"]] or el("p", "no limit", class_="dim"),
        el("p", state(ASK, f"closed, opens in {lasting(max(0.0, closed - now))}")) if closed else None,
        el("div", [el("span", told) for told in counts or ["nothing waits"]], class_="counts"),
        class_="card",
    )


def _budget(rule: Facts, now: float) -> Html:
    used, limit = int(rule["used"]), max(1, int(rule["limit"]))
    frees = f"; free in {lasting(max(0.0, rule['frees_at'] - now))}" if used >= limit else ""
    text = f"{used:,} of {rule['limit']:,} calls used{frees}"
    meter = el("meter", text, min="0", max=str(limit), value=str(min(used, limit)), low=str(limit * 0.6),
               high=str(limit * 0.9), optimum="0", aria_label=f"{rule['rule']}: {text}")  # fmt: skip
    return el("div", el("span", text), el("code", rule["rule"]), meter, class_="budget")


_MODES: Mapping[str, str] = {"poll": "reading changes", "sweep": "reading all of it"}


def _lists(facts: Facts, token: str | None) -> Iterator[Html]:
    now = facts["at"]
    for each in facts["connections"]:
        for walk in each["walks"]:
            name = el("h3", f"{each['name']} {walk['name']}")
            about = el("div", [el("span", part) for part in _walk(walk, now)], class_="counts dim")
            trouble = el("p", state(BAD, walk["error"])) if walk["error"] else None
            yield el("li", name, el("div", about, trouble), _walk_buttons(each["name"], walk, token))


def _walk(walk: Facts, now: float) -> Iterable[Part]:
    if walk["mode"] != "idle":
        yield state(WORK, _MODES.get(walk["mode"], walk["mode"]))
    pages = f" ({several(walk['pages'], 'page')})" if walk["pages"] else ""
    yield joined(["read whole ", since(walk["swept_at"], now), pages])
    yield joined(["looked at ", since(walk["polled_at"], now)])
    if walk["due_at"] and walk["mode"] == "idle":
        yield f"next look {_due(walk['due_at'], now)}, every {lasting(walk['interval_s'])}"
    if walk["sweep_due_at"] and walk["mode"] == "idle":
        yield f"next read whole {_due(walk['sweep_due_at'], now)}"


def _due(at: float, now: float) -> str:
    return ago(at, now) if at > now + 0.5 else "now"


def _walk_buttons(connection: str, walk: Facts, token: str | None) -> Html | None:
    if token is None or walk["mode"] == "sweep":
        return el("span")
    of = el("span", f" of {connection} {walk['name']}", class_="unseen")
    key = f"walk-{connection}-{walk['name']}"
    fields = {"connection": connection, "walk": walk["name"], "back": OVERVIEW}
    poll = el("button", "Look now", of, id=f"{key}-poll", class_="plain", title="ask for what has changed")
    sweep = el("button", "Read all now", of, id=f"{key}-sweep", class_="plain", title="read the whole list")
    poll_form = form(WALK, token, {**fields, "how": "poll"}, poll) if walk["mode"] == "idle" else None
    return el("div", poll_form, form(WALK, token, {**fields, "how": "sweep"}, sweep), class_="buttons")


def lines(journal: Sequence[Facts]) -> Html:
    """Lines of the journal: when, what, which record, which fields."""
    if not journal:
        return el("p", "Nothing has happened yet.", class_="dim")
    return el("ol", [_line(line) for line in journal], class_="rows lines")


def _line(line: Facts) -> Html:
    name = f"{line['connection']} {line['kind']} {line['ref']}"
    fields = el("span", ", ".join(line["fields"]), class_="dim")
    what = spoken(line["what"], "").strip().removesuffix(" by")  # its detail stands in the record's story
    return el("li", moment(line["at"]), el("span", what), story_link(line["ref"], name), fields)
