"""What people read on a terminal: the answers of commands as text, in at most 100 columns, readable without colour.

Words that come from remote systems (ids, stage words, error messages) are stripped of all that could move a cursor or
turn a line around. Colours appear on a terminal only, and never with NO_COLOR.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

import orjson
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from syncd.sentences import because, spelled

Facts = Mapping[str, Any]
WIDTH = 100
MOST_SHOWN = 50
GOOD, BAD, DIM, STRONG = "green", "yellow", "dim", "bold"


def console_on(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """A console on a stream, no wider than 100 columns."""
    made = Console(file=stream, markup=False, highlight=False, emoji=False, no_color=bool(environ.get("NO_COLOR")))
    made.width = min(made.width, WIDTH) if made.is_terminal else WIDTH
    return made


# --- words ----------------------------------------------------------------------------------------------------------


def plain(text: object) -> str:
    """A text on one line, without anything that a terminal would obey."""
    return "".join(sign for sign in str(text).replace("\n", " ") if sign.isprintable())


def clean(value: Any) -> Any:
    """Plain values with every text stripped of what a terminal would obey."""
    if isinstance(value, str):
        return "".join(sign for sign in value if sign.isprintable() or sign == "\n")
    if isinstance(value, Mapping):
        return {plain(key): clean(each) for key, each in value.items()}
    return [clean(each) for each in value] if isinstance(value, list | tuple) else value


def lasting(seconds: float) -> str:
    """A duration in its one or two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, unit, smaller, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            left = whole % size // smaller
            return f"{whole // size} {unit} {left} {rest}" if left else f"{whole // size} {unit}"
    return f"{whole} s"


def ago(at: float | None, now: float) -> str:
    """How long ago, or in how long, something is."""
    if at is None:
        return "never"
    return f"in {lasting(at - now)}" if at > now + 0.5 else f"{lasting(now - at)} ago"


def clock_time(at: float) -> str:
    """A time as a date and a time of day, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {plain(name)}" for name, count in counts.items()) or "-"


# --- shapes ---------------------------------------------------------------------------------------------------------


def _table(console: Console, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=STRONG)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else Text(plain(each)) for each in row))
    console.print(table)
    console.print()


def _line(console: Console, text: str, style: str = "", indent: int = 0) -> None:
    for line in Text(plain(text), style).wrap(console, console.width - indent):
        line.rstrip()
        line.pad_left(indent)
        console.print(line)


def _title(console: Console, text: str) -> None:
    console.print(Text(text, STRONG))


def _state(good: bool, text: str) -> Text:  # noqa: FBT001  # reads as the sentence it is
    return Text(plain(text), GOOD if good else BAD)


def as_json(facts: Any) -> str:
    """An answer for programs."""
    return orjson.dumps(clean(facts), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode()


# --- status ---------------------------------------------------------------------------------------------------------


def status(console: Console, facts: Facts) -> None:
    """Tell whether everything is in step, and what waits."""
    if facts["stopped"]:
        _line(console, f"Everything is stopped ({facts['stopped']}); `syncd resume` goes on.", BAD)
    elif facts["in_step"]:
        _line(console, "All is in step.", GOOD)
    else:
        _line(console, "Not all is in step.", BAD)
    console.print()
    headers = ("Pair", "Left", "Right", "Carries", "Linked", "State")
    _table(console, headers, [_pair_row(pair) for pair in facts["pairs"]])
    _table(
        console,
        ("Connection", "System", "State", "Writes", "Budget used"),
        [_connection_row(each, facts["at"]) for each in facts["connections"]],
    )
    walks = [(each["name"], walk) for each in facts["connections"] for walk in each["walks"]]
    headers = ("List", "Looked at", "Read whole", "Next look", "Every", "Now")
    _table(console, headers, [_walk_row(name, walk, facts["at"]) for name, walk in walks])
    errors = [(each["name"], walk) for each in facts["connections"] for walk in each["walks"] if walk["error"]]
    for name, walk in errors:
        _line(console, f"{name} {walk['name']}: {walk['error']}", BAD)
    for each in facts["connections"]:
        if count := each["webhooks"]["registered"]:
            seen = ago(each["webhooks"]["seen_at"], facts["at"])
            _line(console, f"{each['name']}: {_several(count, 'webhook')} registered, looked for {seen}", DIM)
    if any(pair["held"] for pair in facts["pairs"]):
        _line(console, "`syncd held` shows what waits for a person.")


def _pair_row(pair: Facts) -> list[object]:
    carries = "\n".join(f"{kind} {way}" for kind, way in pair["flows"].items())
    linked = "\n".join(str(pair["links"].get(kind, 0)) for kind in pair["flows"])
    state = "\n".join(plain(why) for why in [*pair["why_not"], *([pair["stopped"]] if pair["stopped"] else [])])
    shown = Text(state or "in step", GOOD if pair["in_step"] else BAD)
    return [pair["name"], pair["left"], pair["right"], Text(carries), Text(linked), shown]


def _connection_row(each: Facts, now: float) -> list[object]:
    states = {"open": "open", "under_way": "under way", "unknown": "unknown", "held": "held"}
    waiting = {word: each["intents"][name] for name, word in states.items() if each["intents"][name]}
    used = "\n".join(f"{rule['used']} of {rule['rule']}" for rule in each["budget"]) or "no limit"
    if each["blocked_until"]:
        used += f"\nblocked, opens {ago(each['blocked_until'], now)}"
    return [each["name"], each["system"], _reached(each, now), _listed(waiting), Text(plain_lines(used))]


def plain_lines(text: str) -> str:
    """Several plain lines."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _reached(each: Facts, now: float) -> Text:
    if each["stopped"]:
        return _state(False, f"stopped: {each['stopped']}")  # noqa: FBT003  # reads as the sentence it is
    if each["reachable"] is None:
        return Text("not tried yet")
    if each["reachable"]:
        return _state(True, "answers" + (f", {ago(each['reached_at'], now)}" if each["reached_at"] else ""))  # noqa: FBT003
    return _state(False, f"does not answer: {each['error'] or 'see below'}")  # noqa: FBT003


def _walk_row(name: str, walk: Facts, now: float) -> list[object]:
    every = lasting(walk["interval_s"]) if walk["interval_s"] else "-"
    state = {"idle": "-", "poll": "being looked at", "sweep": "being read whole"}[walk["mode"]]
    due = ago(walk["due_at"], now) if walk["due_at"] and walk["due_at"] > now else "due" if walk["due_at"] else "-"
    return [f"{name} {walk['name']}", ago(walk["polled_at"], now), ago(walk["swept_at"], now), due, every, state]


# --- held -----------------------------------------------------------------------------------------------------------


def held(console: Console, holds: Sequence[Facts], now: float, *, everything: bool) -> None:
    """What waits for a person and why."""
    if not holds:
        _line(console, "Nothing waits for a person.", GOOD)
        return
    _line(console, f"{_several(len(holds), 'record')} wait{'s' if len(holds) == 1 else ''} for a person.", BAD)
    for hold in holds if everything else holds[:MOST_SHOWN]:
        console.print()
        _hold(console, hold, now)
    if len(holds) > MOST_SHOWN and not everything:
        console.print()
        _line(console, f"... and {len(holds) - MOST_SHOWN} more; `syncd held --all` shows them.")


def _hold(console: Console, hold: Facts, now: float, indent: int = 0) -> None:
    about = [f"[{hold['id']}]", hold["kind"], hold["field"].replace(" ", ", "), f"pair {hold['pair'] or '-'}"]
    _line(console, " · ".join(each for each in [*about, ago(hold["since"], now)] if each), STRONG, indent)
    _line(console, hold["sentence"], "", indent + 3)
    for side in ("left", "right"):
        if hold[side] is not None:
            _end(console, hold[side], indent + 3)
    _line(console, f"> {hold['next']}", DIM, indent + 3)


def _end(console: Console, end: Facts, indent: int) -> None:
    gone = " (no longer there)" if end["gone"] else ""
    rows = [row for row in end["rows"] if row != end["id"]]
    also = f" (also {', '.join(rows)})" if rows else ""
    foreign = f" (their id for ours: {end['source_id']})" if end["source_id"] else ""
    url = f"  {end['url']}" if end["url"] else ""
    _line(console, f"{end['connection']} {end['kind']} {end['id']}{also}{foreign}{gone}{url}", "", indent)


# --- links and explain ----------------------------------------------------------------------------------------------


def links(console: Console, found: Sequence[Facts], id_: str) -> None:
    """What is linked with what."""
    if not found:
        _line(console, f"No record bears the id {id_}.", BAD)
    for each in found:
        _link(console, each)
        console.print()


_HOW: Mapping[str, str] = {
    "code": "by the job's code",
    "created": "one was created for the other",
    "email": "by e-mail",
    "hand": "by hand",
    "person_and_job": "by person and job",
    "source_id": "by the id that one keeps of the other",
    "title": "by title",
}


def _link(console: Console, each: Facts) -> None:
    named = f"link {each['link']}" if each["link"] is not None else "no link"
    how = f" ({_HOW.get(each['how'], each['how'])})" if each["how"] and each["state"] == "linked" else ""
    _line(console, f"{named} · pair {each['pair']} · {each['kind']} · {each['state']}{how}", STRONG)
    for side in ("left", "right"):
        if each[side] is not None:
            _end(console, each[side], 3)
    if each.get("why"):
        _line(console, each["why"], BAD, 3)


def explain(console: Console, facts: Facts, now: float) -> None:
    """One record's story across systems."""
    if not facts["records"]:
        _line(console, f"No record bears the id {facts['id']}.", BAD)
        return
    _title(console, "Records")
    for record in facts["records"]:
        _record(console, record, now)
    console.print()
    _title(console, "Links")
    for link in [*facts["links"], *facts["unlinked"]]:
        _story(console, link, now)
    _title(console, "Journal (UTC)")
    _table(console, ("At", "Where", "What", "Fields"), _journal(facts["journal"]))


def receipt(console: Console, facts: Facts) -> None:
    """What an erasure did, and what is left to be done by hand. It names no person."""
    erased = _listed(facts["erased"]) if facts["erased"] else "nothing was kept of her"
    _line(console, f"Erasure {facts['erasure']} at {clock_time(facts['at'])} UTC. Erased here: {erased}.")
    if facts["by_hand"]:
        _title(console, "To be erased there, by hand")
        rows = [(each["connection"], each["kind"], each["id"], each["url"] or "") for each in facts["by_hand"]]
        _table(console, ("Where", "What", "Id", "Link"), rows)
    if facts["under_way"]:
        _line(console, "Writes that were out are looked up; what they made is told by `syncd held`.", BAD)
    if facts["unknown"]:
        _line(console, "Nobody can tell here whether a write took effect; look there by hand.", BAD)
    if not facts["squeezed"]:
        _line(console, "The database's files could not be squeezed yet; run the same command once more.", BAD)
    if not facts["remembered"]:
        _line(console, "No file remembers this beside the database: name one in store.tombstones.", BAD)
    _line(console, "Who was erased is not taken in again; `syncd forget --allow` allows it.")


def erasures(console: Console, found: Sequence[Facts]) -> None:
    """All erasures."""
    if not found:
        _line(console, "Nobody was erased.")
        return
    rows = [
        (each["erasure"], clock_time(each["at"]), each["tombstones"],
         clock_time(each["allowed_at"]) if each["allowed_at"] else "")
        for each in found
    ]  # fmt: skip
    _table(console, ("Erasure", "At (UTC)", "Tombstones", "Allowed since"), rows)


def _journal(lines: Sequence[Facts]) -> Iterator[Sequence[object]]:
    """A row each; an id is told where a story has several records of one kind in one place."""
    refs: dict[str, set[str]] = {}
    for line in lines:
        refs.setdefault(f"{line['connection']} {line['kind']}", set()).add(line["ref"])
    for line in lines:
        where = f"{line['connection']} {line['kind']}"
        named = f"{where} {line['ref']}" if len(refs[where] - {""}) > 1 else where
        yield clock_time(line["at"]), named, line["sentence"], ", ".join(line["fields"])


def _record(console: Console, record: Facts, now: float) -> None:
    _end(console, record, 0)
    times = [("changed there", "changed_at"), ("told", "told_at"), ("written by syncd", "written_at")]
    told = [f"{word} {ago(record[name], now)}" for word, name in times if record[name] is not None]
    words = [f"{name} {word!r}" for name, word in record["words"].items() if word is not None]
    parents = [f"{kind} {record[kind]}" for kind in ("job", "candidate") if record[kind]]
    _line(console, "; ".join([*parents, *words, *told]), DIM, 3)
    if record["empty"]:
        _line(console, f"told empty: {', '.join(record['empty'])}", DIM, 3)
    if record["to_read"]:
        _line(console, f"is about to be read again ({record['to_read'].replace('_', ' ')})", BAD, 3)


def _story(console: Console, link: Facts, now: float) -> None:
    _link(console, link)
    by_state: dict[str, list[str]] = {}
    for each in link.get("fields", ()):
        left, right = each["words"]["left"], each["words"]["right"]
        words = f" ({left} / {right})" if left or right else ""
        by_state.setdefault(each["state"], []).append(each["field"] + words)
    for state, names in by_state.items():
        _line(console, f"{state}: {', '.join(names)}", GOOD if state == "alike" else BAD, 3)
    for write in link.get("writes", ()):
        _line(console, _write(write, now), BAD, 3)
    for hold in link.get("held", ()):
        _hold(console, hold, now, 3)
    console.print()


def _write(write: Facts, now: float) -> str:
    when = f", due {ago(write['due'], now)}" if write["state"] == "open" else ""
    why = f" ({spelled(write['reason'])})" if write["reason"] else ""
    tries = f", tried {_several(write['tries'], 'time')}" if write["tries"] else ""
    fields = f" of {', '.join(write['fields'])}" if write["fields"] else ""
    cause = because(write["origin"])
    return f"write waits at {write['connection']}: {write['call']}{fields}; {write['state']}{why}{tries}{when}{cause}"


# --- plan, backfill, check ------------------------------------------------------------------------------------------


def plan(console: Console, facts: Facts, now: float) -> None:
    """What would be written, how many calls that takes, and how long the budgets make it last."""
    rows = [(each["connection"], each["call"], each["kind"], each["count"]) for each in facts["actions"]]
    if rows:
        _line(console, f"{_several(sum(row[3] for row in rows), 'write')} would be made; nothing was written.")
        console.print()
        _table(console, ("Connection", "Call", "Kind", "How many"), rows)
        budgets = [
            (name, count, lasting(facts["seconds"].get(name, 0.0))) for name, count in facts["calls"].items()
        ]  # fmt: skip
        _table(console, ("Token of", "Calls", "At least"), budgets)
        if credits_spent := facts.get("credits"):
            _line(console, f"Screening would cost {_several(round(credits_spent), 'credit')}.", STRONG)
            console.print()
    else:
        _line(console, "Nothing would be written.", GOOD)
        console.print()
    _values(console, facts)
    _reasons(console, facts["held"], "would be held")
    _until(console, facts, now)


def _values(console: Console, facts: Facts) -> None:
    """The writes with their values, where those were asked for."""
    values = facts.get("values", ())
    for write, fields in zip(facts["details"], values, strict=False):
        about = "for" if write["call"] == "create" else "of"
        ref = f" {about} {write['ref']}" if write["ref"] else ""
        _line(console, f"{write['connection']}: {write['call']} {write['kind']}{ref}", STRONG)
        for name, (before, after) in fields.items():
            was = "" if write["call"] == "create" else f"{_value(before)} -> "
            _line(console, f"{name}: {was}{_value(after)}", "", 3)
        console.print()
    if values and (more := sum(each["count"] for each in facts["actions"]) - len(values)) > 0:
        _line(console, f"... and {_several(more, 'write')} more; --pair, --kind or --job choose fewer.")
        console.print()


def _value(value: Any) -> str:
    return "(empty)" if value is None else plain(value)


def backfill(console: Console, facts: Facts, now: float) -> None:
    """What a backfill has done, and what is left."""
    writes = sum(facts["writes"].values())
    _line(console, f"{_several(writes, 'write')} made, {_several(sum(facts['pages'].values()), 'page')} read.", GOOD)
    console.print()
    if facts["writes"]:
        _table(
            console, ("Connection", "Call", "Kind", "How many"),
            [(*name.split(" "), count) for name, count in facts["writes"].items()],
        )  # fmt: skip
    if facts["links"]:
        _table(
            console,
            ("Pair", "Kind", "Linked"),
            [(*name.split(" "), count) for name, count in facts["links"].items()],
        )
    _reasons(console, facts["held"], "are held")
    if facts["held"]:
        _line(console, "`syncd held` shows why, and the commands that answer.")
    _until(console, facts, now)


def _reasons(console: Console, counts: Mapping[str, int], verb: str) -> None:
    if not counts:
        return
    total = sum(counts.values())
    _line(console, f"{_several(total, 'record')} {verb.replace('are', 'is') if total == 1 else verb}:", BAD)
    for reason, count in counts.items():
        _line(console, f"{count} x {reason.replace('_', ' ')}", "", 3)
    console.print()


def _until(console: Console, facts: Facts, now: float) -> None:
    left = facts.get("left") or 0
    if facts.get("until"):
        _line(console, f"A budget is spent; {_several(left, 'thing')} left to do. Go on {ago(facts['until'], now)} "
              f"({clock_time(facts['until'])} UTC), or let it wait with --wait.", BAD)  # fmt: skip
    elif left:
        _line(console, f"{_several(left, 'thing')} left to do; run it again.", BAD)


def check(console: Console, facts: Facts, now: float) -> None:
    """Tell whether the configuration is right, and what would be held."""
    for warning in facts["warnings"]:
        _line(console, f"worth a look: {warning}", BAD)
    for each in facts["connections"]:
        proven = ", ".join(each["proven"]) or "nothing"
        _line(console, f"{each['name']} ({each['system']}): proven: {proven}", BAD if each["problems"] else GOOD)
        for problem in each["problems"]:
            _line(console, problem, BAD, 3)
        _line(console, _webhooks(each), DIM, 3)
        for url in each["webhooks"]["urls"]:
            console.print(Text(f"      {plain(url)}"), soft_wrap=True)  # an address is copied, so it is never cut
    for pair in facts["pairs"]:
        fine = not pair["always"]
        told = "all that is demanded can be told" if fine else "not all can be written"
        _line(console, f"pair {pair['name']}: {told}", GOOD if fine else BAD)
        for sentence in pair["always"]:
            _line(console, f"held for want of it: {sentence}", BAD, 3)
        for sentence in pair["sometimes"]:
            _line(console, sentence, "", 3)
    console.print()
    if not facts["counted"]:
        _line(console, "What would be held was not counted; `syncd plan` counts it.")
        return
    _reasons(console, facts["held"], "would be held")
    if not facts["held"]:
        _line(console, "Nothing would be held.", GOOD)
    _until(console, facts, now)


def _webhooks(each: Facts) -> str:
    """How a connection's webhooks stand; the addresses to be entered follow."""
    hooks, system, place = each["webhooks"], each["system"], f"connections.{each['name']}"
    if hooks["signed_with"] is None:
        return f"webhooks: {system} sends none; its lists alone tell what changed"
    if not hooks["heard"] and not hooks["registers"]:
        return f"webhooks: none is believed until {place}.webhook_secret holds the secret that {system} signs with"
    proof = {"token": "the API token", "secret": "a secret that both sides know"}[hooks["signed_with"]]
    known = (
        f"proven by {proof}" if hooks["judged"] or hooks["registers"] else "not signed, so their address is the secret"
    )
    if (subscribed := hooks["subscriptions"]) and not subscribed["why_not"]:
        missing = "" if webhooks_are_good({"connections": [subscribed]}) else "; `syncd webhooks list` tells more"
        return f"webhooks: {known}; of their addresses {_stands(subscribed)}{missing}"
    if hooks["registers"]:
        return f"webhooks: {known}; syncd registers them, and did not look while the rest is not proven"
    if not hooks["urls"]:
        return f"webhooks: {known}; none can come before server.public_url is set"
    return f"webhooks: {known}; enter at {system}:"


def webhooks_are_good(facts: Facts) -> bool:
    """Whether what is needed is registered, or was removed as asked."""
    told = facts["connections"]
    states = {subscription["state"] for each in told for subscription in each["subscriptions"] if not each["removed"]}
    return states <= {_REGISTERED} and not any(each["problems"] or each["stale"] for each in told)


_REGISTERED = "registered"


def webhooks(console: Console, facts: Facts) -> None:
    """Tell how each connection's webhook addresses stand."""
    for each in facts["connections"]:
        _line(console, f"{each['name']} ({each['system']}): {_stands(each)}", BAD if each["problems"] else GOOD)
        for subscription in each["subscriptions"]:
            fine = subscription["state"] == _REGISTERED
            _line(console, f"{subscription['state']}: {', '.join(subscription['events'])}", "" if fine else BAD, 3)
            console.print(Text(f"      {plain(subscription['url'])}"), soft_wrap=True)
        for what in ("withdrawn", "stale"):
            for url in each[what]:
                _line(console, "withdrawn" if what == "withdrawn" else "of ours, and not needed any more", DIM, 3)
                console.print(Text(f"      {plain(url)}"), soft_wrap=True)
        for problem in each["problems"]:
            _line(console, problem, BAD, 3)


def _stands(each: Facts) -> str:
    if each["removed"]:
        return "withdrawn by hand; `syncd webhooks register` brings its webhooks back"
    if each["why_not"]:
        return str(each["why_not"])
    count = sum(1 for subscription in each["subscriptions"] if subscription["state"] == _REGISTERED)
    return f"{count} of {len(each['subscriptions'])} needed are registered"


def sentence(console: Console, text: str, *, good: bool = True) -> None:
    """One sentence, or one on each line."""
    for line in text.split("\n"):
        _line(console, line, "" if good else BAD)


# --- questions ------------------------------------------------------------------------------------------------------


class Asks(Protocol):
    """Asks a person one question; what is hidden is not shown while it is typed."""

    def __call__(self, question: str, default: str | None = None, *, hidden: bool = False) -> str:
        """The answer, stripped; the default for an empty one."""
        ...


def asking() -> Asks | None:
    """Who answers questions: the person at this terminal; None where there is none."""
    return _ask if sys.stdin.isatty() else None


def _ask(question: str, default: str | None = None, *, hidden: bool = False) -> str:
    ending = " " if question.endswith("?") else ": "
    told = typer.prompt(
        question, default=default, hide_input=hidden, show_default=bool(default), prompt_suffix=ending, err=True
    )
    return str(told).strip()


# --- progress -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress(console: Console, what: str) -> Iterator[Callable[[Facts], None]]:
    """A progress bar, where a terminal is there; yields who is to be told how far the work is."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)

        def heard(told: Facts) -> None:
            pages, writes = (sum((told.get(name) or {}).values()) for name in ("pages", "writes"))
            left = int(told.get("left") or 0)
            made = _several(writes, "write") + ("" if what == "backfill" else " planned")
            parts = [what, _several(pages, "page") + " read", *([made] if writes else ())]
            parts += [f"{left} waiting"] if left else []
            shown.update(task, description=" · ".join(parts), completed=writes, total=writes + left if left else None)

        yield heard
