"""What `syncd audit` says to a person: what is not as it should be, by pair, kind and field, with the records' ids."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from syncd import tell

Facts = Mapping[str, Any]
MOST_REFS = 5

WAIVED = {
    "held": "held for a person (`syncd held`)",
    "waiting": "on their way",
    "let_be": "left unlike by a person",
    "not_carried": "unlike where neither end may be written or emptied",
}


def is_good(facts: Facts) -> bool:
    """Whether nothing was found, and everything was read."""
    return not (facts["findings"] or facts["until"] or facts["unread"])


def audit(console: Console, facts: Facts) -> None:
    """Tell what was found, what is unlike and no finding, and what was mended."""
    found = facts["findings"]
    tell.sentence(console, _headline(facts), good=not found)
    for each in found:
        console.print()
        for line in _finding(each):
            tell.sentence(console, line)
    for name in facts["unread"]:
        tell.sentence(console, f"Not read to its end: {name}. What it tells was compared as last read.", good=False)
    for why, count in facts["waived"].items():
        tell.sentence(console, f"No finding: {_several(count, 'field')} {WAIVED[why]}.")
    for line in _afterwards(facts):
        tell.sentence(console, line)


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _headline(facts: Facts) -> str:
    links = _several(facts["links"], "link")
    if not facts["findings"]:
        return f"Nothing found: {links} compared, and the store is sound."
    count = sum(each["count"] for each in facts["findings"])
    return f"{_several(count, 'finding')}; {links} compared."


def _finding(each: Facts) -> Iterator[str]:
    where = " ".join(filter(None, (each["pair"], each["kind"], each["field"])))
    yield f"{each['count']} x {each['what']}{': ' if where else ''}{where}"
    yield f"  {each['sentence']}"
    for refs in each["refs"][:MOST_REFS]:
        yield "  " + ", ".join(f"{ref['connection']} {ref['id']}" for ref in refs)
    if each["count"] > MOST_REFS and each["refs"]:
        yield "  … and more; --json names them"


def _afterwards(facts: Facts) -> Iterator[str]:
    if facts["repaired"]:
        done = {each["what"]: each["repair"] for each in facts["findings"]}
        for what, count in facts["repaired"].items():
            yield f"Mended {count} x {what}. {done[what]}"
        yield "What is to be read again is read by the daemon, or by `syncd backfill`."
    elif any(each["repair"] for each in facts["findings"]):
        yield "`syncd audit --repair` mends it; no system is written to by that."
