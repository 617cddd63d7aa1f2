"""What an audit finds, one value each, and the sentence that says so. Pure; names of fields and ids, never values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNLIKE, DRIFT, UNLINKED, VANISHED = "unlike", "drift", "unlinked", "vanished"
NO_BASE, ORPHAN, LONE_LINK, LONE_CHILD = "no_base", "orphan_link", "lone_link", "lone_child"
LONE_INTENT, STUCK, ODD_INTENT, UNWIPED = "lone_intent", "stuck_intent", "odd_intent", "unwiped"
UNSEEN, LONE_HOLD, LONE_BATCH, LONE_MEMBER = "unseen_hold", "lone_hold", "lone_batch", "lone_member"
ERASED = "erased_known"
CURSOR, FOREIGN_CURSOR, FOREIGN_MARK, DAMAGED = "impossible_cursor", "foreign_cursor", "foreign_mark", "damaged"

# What it means, and what ``--repair`` does about it.
SENTENCES: Mapping[str, tuple[str, str]] = {
    UNLIKE: ("The ends tell unlike things, and nothing is held or waits.", "Both ends are read again and compared."),
    DRIFT: (
        "The ends are unlike, and nothing would carry it: an edit where the pair does not listen.",
        "It counts as never compared, so the pair's rule decides.",
    ),
    UNLINKED: ("The same thing stands at both ends and is not linked.", "It is read again and linked."),
    VANISHED: ("An end is not there any more, and nobody was asked about it.", "It is read again and held."),
    NO_BASE: ("Both ends tell it, and what they agreed on last is missing.", "Both ends are read again and compared."),
    ORPHAN: (
        "A link names a record that is not known.",
        "It is linked anew with its likeness; without one a person is asked.",
    ),
    LONE_LINK: ("A link waits for a record that nobody is about to create.", "It is dropped and matched anew."),
    LONE_CHILD: ("An application is linked, its job or person is not.", "All three are read again and matched."),
    LONE_INTENT: ("A write that no link wants.", "It is forgotten."),
    STUCK: ("A write is far beyond its time.", "It is looked up, or tried, at once."),
    ODD_INTENT: ("A write is in no state that there is.", "It is looked up if it may be out, else tried."),
    UNWIPED: ("Sealed values of what is over were not wiped.", "They are wiped."),
    UNSEEN: ("A held write that `syncd held` does not show.", "It is shown."),
    LONE_HOLD: ("A question about a link or a write that is not there.", "It is closed."),
    LONE_BATCH: ("A batch of résumés that nobody is about to send or to ask for.", "It is looked up at the service."),
    LONE_MEMBER: ("A candidate row without its person.", "It is read again, and she is known again."),
    CURSOR: ("A list is known to a time, or due at one, that cannot be.", "The list is read whole, at once."),
    FOREIGN_CURSOR: ("A place in a list that the system does not have.", "It is forgotten."),
    FOREIGN_MARK: ("A record is to be read of which there can be none.", "It is forgotten."),
    ERASED: ("Somebody who was erased is known again.", "She is erased again."),
    DAMAGED: ("The database file is damaged.", ""),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. ``refs``: (connection, id) of the records; ``key``: of the row to mend."""

    what: str
    pair: str = ""
    kind: str = ""
    field: str = ""
    refs: tuple[tuple[str, str], ...] = ()
    link: int | None = None
    key: Any = None


def together(findings: Iterable[Finding], most_refs: int) -> list[dict[str, Any]]:
    """Findings counted by what they are, pair, kind and field, with at most so many of their records each."""
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.what, one.pair, one.kind, one.field), []).append(one)
    return [
        {
            "what": what,
            "pair": pair,
            "kind": kind,
            "field": field,
            "count": len(those),
            "refs": [
                [{"connection": name, "id": id_} for name, id_ in one.refs] for one in those[:most_refs] if one.refs
            ],
            "sentence": SENTENCES[what][0],
            "repair": SENTENCES[what][1],
        }
        for (what, pair, kind, field), those in sorted(groups.items())
    ]
