"""What a create intent would make, or has made: the draft in the target's words, to be sent or to be looked up."""

from typing import Any

from syncd.identity import ends_of
from syncd.mapping import WORDED
from syncd.model import Draft, Fields, Kind, Parent
from syncd.rows import IntentRow, LinkRow
from syncd.setup import Connection
from syncd.work import Work


def create_link(work: Work, intent: IntentRow) -> LinkRow | None:
    """The link whose empty end a create fills."""
    return work.tx.link(intent.link) if intent.link is not None else None


def parents_of(work: Work, intent: IntentRow) -> dict[Kind, Parent] | None:
    """The parents of what is to be created, as the target knows them; None: one of them is not there (any more)."""
    link = create_link(work, intent)
    if link is None:
        return None
    if link.kind != Kind.APPLICATION.value:
        return {}
    ends = ends_of(work, link.pair)
    if ends is None:
        return None
    end = ends.end_of(intent.connection)
    source = work.tx.record(ends.at(end.other), Kind.APPLICATION, getattr(link, end.other) or "")
    if source is None or source.gone:
        return None
    parents: dict[Kind, Parent] = {}
    for kind, id_ in ((Kind.JOB, source.job), (Kind.CANDIDATE, source.candidate)):
        across = work.tx.link_at(link.pair, kind, end.other, id_) if id_ else None
        target = getattr(across, end) if across else None
        row = work.tx.record(intent.connection, kind, target) if target else None
        if row is not None and not row.gone:
            parents[kind] = Parent(row.id, row.source_id)
    bears_person = work.world.connections[intent.connection].terms[Kind.APPLICATION].facts.bears_person
    needed = {Kind.JOB} if bears_person else {Kind.JOB, Kind.CANDIDATE}
    return parents if needed <= parents.keys() else None


def draft_of(work: Work, intent: IntentRow, word: str | None, values: dict[str, Any]) -> Draft | None:
    """The draft of a create intent in the target's words."""
    link, parents = create_link(work, intent), parents_of(work, intent)
    ends = ends_of(work, link.pair) if link is not None else None
    if link is None or parents is None or ends is None:
        return None
    connection = work.world.connections[intent.connection]
    kind = Kind(intent.kind)
    fields_ = in_their_words(connection, values["fields"], word)
    return Draft(
        kind=kind,
        fields=connection.vocabulary.write(kind, fields_),
        parents=parents,
        source_id=getattr(link, ends.end_of(intent.connection).other),
        person=connection.vocabulary.write(Kind.CANDIDATE, values.get("person", {})),
    )


def in_their_words(connection: Connection, fields_: Fields, word: str | None) -> dict[str, Any]:
    """Our fields with their words for stage and status; ``word`` is the stage as resolved in the pipeline."""
    out = dict(fields_)
    if out.get("stage") is not None and word is not None:
        out["stage"] = word
    for name in sorted(WORDED - {"stage"}):
        if out.get(name) is not None:
            out[name] = connection.vocabulary.words[name].theirs(str(out[name]))[0]
    return out
