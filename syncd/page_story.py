"""A record's story across systems, as ``syncd explain`` tells it: what stands where, and all that happened."""

from collections.abc import Iterator, Sequence

from syncd.markup import Html, Part, el, joined
from syncd.page_frame import ASK, GOOD, RECORD, WORK, Facts, end, ends, live, moment, several, since, state, story_link
from syncd.page_held import listed
from syncd.page_who import asking
from syncd.sentences import because
from syncd.tell import ago

_TIMES = (("changed there", "changed_at"), ("told", "told_at"), ("written by syncd", "written_at"))


def story_page(facts: Facts, now: float, token: str | None, people: str | None = None) -> Html:
    """The whole story. ``facts``: of ``look.explain``. ``people``: the token for whoever may see who this is."""
    asked = facts["id"] if "@" not in facts["id"] else "of that address"  # nobody's mail stands on a page
    heading = el("div", el("h1", f"Record {asked}"), id="story-heading")
    if not facts["records"]:
        return joined([heading, el("p", "No record bears this id.", class_="sheet", role="status")])
    records = [_record(each, now, people) for each in facts["records"]]
    stories = [_link(each, now, token, facts["id"]) for each in [*facts["links"], *facts["unlinked"]]]
    return joined([
        heading,
        live("records", "Where it stands", el("ul", records, class_="rows")),
        live("links", "What it is linked with", stories or el("p", "No pair carries it.", class_="dim")),
        live("journal", "What happened", el("ol", [_line(line) for line in facts["journal"]], class_="rows lines")),
    ])  # fmt: skip


def _record(record: Facts, now: float, people: str | None) -> Html:
    parents = [
        el("span", f"{kind} ", story_link(record[kind], record[kind])) for kind in ("job", "candidate") if record[kind]
    ]
    words = [el("span", f"{name} “{word}”", class_="tag") for name, word in record["words"].items() if word is not None]
    times = [el("span", word, " ", since(record[name], now)) for word, name in _TIMES if record[name] is not None]
    to_read = state(WORK, f"is about to be read again ({_spaced(record['to_read'])})") if record["to_read"] else None
    empty = el("p", f"told empty: {', '.join(record['empty'])}", class_="dim small") if record["empty"] else None
    about = el("div", parents, words, times, to_read, class_="counts dim")
    return el("li", end(record), about, empty, asking([record], people))


def _link(link: Facts, now: float, token: str | None, id_: str) -> Html:
    number = f"Link {link['link']}" if link["link"] is not None else "No link"
    how = f" ({_spaced(link['how'])})" if link["how"] and link["state"] == "linked" else ""
    grade = GOOD if link["state"] == "linked" else ASK if link["state"] == "not linked" else WORK
    title = el("h3", f"{number} · {link['kind']} · pair {link['pair']}")
    return el(
        "article",
        el("div", title, state(grade, link["state"] + how), class_="head"),
        ends(link),
        el("p", link["why"], class_="why") if link.get("why") else None,
        _fields(link.get("fields", ())),
        [el("p", state(WORK, _write(each, now))) for each in link.get("writes", ())],
        listed(link.get("held", ()), now, token, back=RECORD, id_=id_),
        class_="hold",
    )


def _fields(fields: Sequence[Facts]) -> Part:
    by_state: dict[str, list[str]] = {}
    for each in fields:
        by_state.setdefault(each["state"], []).append(each["field"] + _words(each))
    rows = [[el("dt", word), el("dd", ", ".join(names))] for word, names in by_state.items()]
    return el("dl", rows, class_="states") if rows else None


def _words(field: Facts) -> str:
    left, right = field["words"]["left"], field["words"]["right"]
    return f" ({left or '-'} / {right or '-'})" if left or right else ""


def _write(write: Facts, now: float) -> str:
    return ", ".join(_write_parts(write, now))


def _write_parts(write: Facts, now: float) -> Iterator[str]:
    fields = f" of {', '.join(write['fields'])}" if write["fields"] else ""
    yield f"a write waits at {write['connection']}: {_spaced(write['call'])}{fields}"
    yield _spaced(write["state"]) + (f" ({_spaced(write['reason'])})" if write["reason"] else "")
    if write["tries"]:
        yield f"tried {several(write['tries'], 'time')}"
    if write["state"] == "open":
        yield f"due {ago(write['due'], now)}"
    if write["origin"]:
        yield because(write["origin"]).strip(" ()")


def _line(line: Facts) -> Html:
    where = el("span", f"{line['connection']} {line['kind']} {line['ref']}", class_="dim")
    return el("li", moment(line["at"]), where, el("span", line["sentence"]), el("span", ", ".join(line["fields"])))


def _spaced(word: str) -> str:
    return word.replace("_", " ")
