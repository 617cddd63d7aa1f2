"""The first bases of a link whose one end we have made: what the create bore is agreed, the rest is written after."""

from typing import Any

from syncd.mapping import EMPTY, WORDED, digest_value, mean_the_same, word_of
from syncd.model import Kind
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.setup import Connection
from syncd.work import Work


def sent_values(work: Work, intent: IntentRow) -> dict[str, Any]:
    """What a call bore when it went out."""
    return dict(work.world.unseal(intent.sent_values, f"{intent.id}/sent")) if intent.sent_values else {}


def forget_bases(work: Work, link: LinkRow, name: str) -> None:
    """Nothing is known any more of what both ends agreed about."""
    for end in End:
        getattr(link, f"{end}_base").pop(name, None)
    work.tx.put_link(link)


def took_effect(
    work: Work, link: LinkRow, end: End, row: RecordRow, part: dict[str, list[str]], values: dict[str, Any]
) -> None:
    """Our create made the record at an end of a link; ``part`` is what the link wanted of it.

    ``values`` is what was sent; with ``answered`` false its answer was lost, and somebody may have edited it since.
    """
    defaulted = set(values.get("defaulted", ())) & set(part)
    row.defaulted = sorted({*(row.defaulted or ()), *defaulted}) or None
    for name in defaulted:
        row.seen.pop(name, None)
    row.written_at = work.tx.now
    work.tx.put_record(row)
    _first_bases(work, link, end, row, part, values, skip=defaulted)
    work.tx.put_link(link)


def _first_bases(
    work: Work,
    link: LinkRow,
    end: End,
    row: RecordRow,
    part: dict[str, list[str]],
    values: dict[str, Any],
    *,
    skip: set[str],
) -> None:
    connection = work.world.pair(link.pair).at(end)
    terms = connection.terms[Kind(link.kind)]
    here: dict[str, str] = getattr(link, f"{end}_base")
    there: dict[str, str] = getattr(link, f"{end.other}_base")
    for name, (wanted, source) in part.items():
        if name in skip or not source:
            continue
        told = row.seen.get(name)
        sent = sent_digest(name, wanted, values.get("word"), connection)
        if told is None and name not in terms.untold:
            there[name] = source  # our end has this base once it is read and tells the same
            continue
        known = values.get("answered", True) and name not in WORDED
        here[name] = told if known and told is not None else sent
        there[name] = source
    for name in sorted(work.world.pair(link.pair).fields.get(Kind(link.kind), frozenset()) - set(part) - skip):
        if name not in row.seen:
            continue
        here[name], there[name] = (
            row.seen[name],
            EMPTY,
        )  # not borne: the source's is a change from nothing, to be written
        if not values.get("answered", True):
            here[name] = _at_birth(work, connection, link, name)
            there[name] = _agreed_at_birth(work, link, end, name) or EMPTY


def _agreed_at_birth(work: Work, link: LinkRow, end: End, name: str) -> str | None:
    """The source's word where it agrees with the one that the target's records are born with: no change from it."""
    pair, kind = work.world.pair(link.pair), Kind(link.kind)
    target, origin = pair.at(end), pair.at(end.other)
    source = work.tx.record(origin.name, kind, getattr(link, end.other) or "")
    born = target.terms[kind].facts.born.get(target.vocabulary.fields[kind].get(name, ""))
    told = source.seen.get(name) if source is not None and name in WORDED else None
    word = word_of(told) if told else None
    if born is None or word is None:
        return None
    agrees = mean_the_same(origin.vocabulary.words[name], word, target.vocabulary.words[name], born)
    return told if agrees else None


def _at_birth(work: Work, connection: Connection, link: LinkRow, name: str) -> str:
    """The digest of what a field holds at birth: told unlike it, somebody has edited it since."""
    kind = Kind(link.kind)
    theirs = connection.vocabulary.fields[kind].get(name, "")
    value = connection.terms[kind].facts.born.get(theirs)
    return digest_value(name, value, work.world.digest)


def sent_digest(name: str, wanted: str, word: str | None, connection: Connection) -> str:
    """The digest of what was sent: a worded field's word at the target."""
    if name not in WORDED or wanted == EMPTY:
        return wanted
    if name == "stage" and word is not None:
        return f"={word}"
    choices = connection.vocabulary.words[name].theirs(wanted[1:])
    return f"={choices[0]}" if choices else wanted
