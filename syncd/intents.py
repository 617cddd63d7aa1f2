"""Intents: what is wanted of a system, durable before any call. One a record and call; several links may want it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from syncd import schema
from syncd.holds import drop_intent_holds
from syncd.limits import Priority
from syncd.mapping import WORDED
from syncd.model import Kind, Value
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow, RecordRow, as_row
from syncd.setup import Connection, Pair
from syncd.store import upsert
from syncd.work import BESIDE, CREATE, IN_FLIGHT, ROWS, UNSENT, Work, mark_speakers, note


def plan_writes(
    work: Work, pair: Pair, link: LinkRow, end: End, source: RecordRow, target: RecordRow, wants: Mapping[str, str]
) -> None:
    """Make the intents at one end of a link exactly what is wanted there."""
    connection, kind = pair.at(end), Kind(target.kind)
    if wants:
        work.changed.add(link.id)
    if work.learning:
        return
    calls: dict[str, dict[str, str]] = {}
    for name, told in wants.items():
        calls.setdefault(connection.terms[kind].calls[name], {})[name] = told
    calls = {call: fields_ | _companions(connection, kind, source, call) for call, fields_ in calls.items()}
    for ref in rows_to_write(work, connection, target):
        member = work.tx.member(connection.name, ref) if connection.is_rows(kind) else None
        kept = set()
        for call, fields_ in calls.items():
            fresh = {n: t for n, t in fields_.items() if member is None or member.seen.get(n) != t}
            if fresh:
                kept.add(call)
                _want(work, pair, link, end, source, ref, call, fresh)
        _drop_others(work, connection.name, kind, ref, link, kept)


def _companions(connection: Connection, kind: Kind, source: RecordRow, call: str) -> dict[str, str]:
    """What a call takes along, and never tells back: by itself it is nothing to be written."""
    terms = connection.terms[kind]
    known = {
        name: source.seen.get(name) for name in sorted(terms.untold - terms.tells) if terms.calls.get(name) == call
    }
    return {name: told for name, told in known.items() if told}


def rows_to_write(work: Work, connection: Connection, target: RecordRow) -> list[str]:
    """The ids that a write to a record goes to: its own, or each row of a person that may be written."""
    if not connection.is_rows(Kind(target.kind)):
        return [target.id]
    members = work.tx.members_of(connection.name, target.id)
    return [member.row for member in members if not member.gone and not member.frozen]


def _want(
    work: Work, pair: Pair, link: LinkRow, end: End, source: RecordRow, ref: str, call: str, told: Mapping[str, str]
) -> None:
    """Let one link want fields of one call on one record."""
    kind, connection, origin = Kind(link.kind), pair.at(end), pair.at(end.other)
    unsent = intents_on(work, connection.name, kind, [ref], UNSENT, call)
    for later in unsent[1:]:  # made while the first was out, which is open or held again by now
        if str(link.id) in later.wants:
            _drop_part(work, later, str(link.id))
    intent = unsent[0] if unsent else None
    values = unsealed(work, intent) if intent else {}
    part: dict[str, list[str]] = {}
    for name, source_digest in told.items():
        wanted, value, known = _wanted(work, origin, kind, source, name, source_digest, intent, values, link)
        if not known:
            mark_speakers(work, origin, source, "value", Priority.READ)
            continue
        part[name] = [wanted, source_digest]
        values[name] = value
    if not part:
        if intent is not None and str(link.id) in intent.wants:
            _drop_part(work, intent, str(link.id))
        return
    _put_part(work, connection, kind, ref, call, intent, link, part, values, origin, source)


def _wanted(
    work: Work,
    origin: Connection,
    kind: Kind,
    source: RecordRow,
    name: str,
    told: str,
    intent: IntentRow | None,
    values: Mapping[str, Any],
    link: LinkRow,
) -> tuple[str, Value, bool]:
    """(wanted digest, value, whether the value is known). A worded field is wanted in our word."""
    known, value = work.value(origin.name, kind, source, name)
    if known and name in WORDED and value is not None:
        ours = origin.vocabulary.words[name].ours(str(value))
        return f"={ours}", ours, ours is not None
    if known:
        return told, value, True
    kept = intent.wants.get(str(link.id), {}).get(name) if intent else None
    if kept is not None and kept[1] == told and name in values:
        return kept[0], values[name], True
    return told, None, False


def _put_part(
    work: Work,
    connection: Connection,
    kind: Kind,
    ref: str,
    call: str,
    intent: IntentRow | None,
    link: LinkRow,
    part: dict[str, list[str]],
    values: dict[str, Any],
    origin: Connection,
    source: RecordRow,
) -> None:
    if intent is None:
        intent = IntentRow(
            id=work.new_id(), connection=connection.name, kind=kind.value, ref=ref, call=call, state="open", link=None,
            wants={}, sealed=None, source=origin.name, told_at=source.told_at, priority=0 if "stage" in part else 1,
            made_at=work.tx.now, due=work.tx.now, origin=work.origin,
        )  # fmt: skip
        note(work, connection.name, kind.value, ref, "update_planned", link=link.id, fields=sorted(part))
    elif intent.state == "held" and intent.wants.get(str(link.id)) == part:
        return
    elif intent.state == "held" and str(link.id) not in intent.wants and _is_refused(intent, part):
        pass  # what was refused is refused still, whichever link asks for it
    elif intent.wants.get(str(link.id)) != part:
        intent.state, intent.due, intent.tries, intent.reason = "open", work.tx.now, 0, None
        intent.origin, intent.sent_values = work.origin, None  # of what was held nothing is out any more
        drop_intent_holds(work, intent)
    intent.wants[str(link.id)] = part
    if ROWS in intent.wants:
        intent.wants[ROWS] = {n: w for n, w in intent.wants[ROWS].items() if n not in part}
        if not intent.wants[ROWS]:
            del intent.wants[ROWS]
    intent.told_at = max(intent.told_at, source.told_at)
    work.wanted += 1
    save_intent(work, intent, _only_wanted(intent, values))


def _is_refused(intent: IntentRow, part: Mapping[str, list[str]]) -> bool:
    """Whether a part wants only what an intent was held with."""
    held = {(name, wanted) for names in intent.wants.values() for name, (wanted, *_) in names.items()}
    return {(name, wanted) for name, (wanted, *_) in part.items()} <= held


def _only_wanted(intent: IntentRow, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {name for part in intent.wants.values() for name in part}
    return {name: value for name, value in values.items() if name in names}


def _drop_others(work: Work, connection: str, kind: Kind, ref: str, link: LinkRow, kept: set[str]) -> None:
    """A link no longer wants what it wanted of other calls."""
    for intent in intents_on(work, connection, kind, [ref], UNSENT):
        if intent.call not in kept | BESIDE and str(link.id) in intent.wants:
            _drop_part(work, intent, str(link.id))


def drop_wants(work: Work, link: LinkRow) -> None:
    """A link wants nothing any more."""
    pair = work.world.pair(link.pair)
    for end in End:
        ref = getattr(link, end)
        target = work.tx.record(pair.at(end).name, Kind(link.kind), ref) if ref else None
        for row in rows_to_write(work, pair.at(end), target) if target else []:
            _drop_others(work, pair.at(end).name, Kind(link.kind), row, link, set())


def _drop_part(work: Work, intent: IntentRow, key: str) -> None:
    del intent.wants[key]
    if intent.wants:
        save_intent(work, intent, _only_wanted(intent, unsealed(work, intent)))
    else:
        delete_intent(work, intent)


_ON = (
    sa.select(schema.intents)
    .where(
        schema.intents.c.connection == sa.bindparam("connection"),
        schema.intents.c.kind == sa.bindparam("kind"),
        schema.intents.c.ref.in_(sa.bindparam("refs", expanding=True)),
    )
    .order_by(schema.intents.c.made_at, schema.intents.c.id)
)


def load_intents(work: Work, connection: str, kind: Kind, refs: Iterable[str]) -> None:
    """Read the intents on many records at once."""
    wanted = [ref for ref in dict.fromkeys(refs) if (connection, kind.value, ref) not in work.intents]
    work.intents.update({(connection, kind.value, ref): [] for ref in wanted})
    values = {"connection": connection, "kind": kind.value, "refs": wanted}
    for found in work.sql.execute(_ON, values).mappings() if wanted else ():
        work.intents[connection, kind.value, found["ref"]].append(IntentRow(**found))


def intents_on(
    work: Work, connection: str, kind: Kind, refs: Iterable[str], states: Iterable[str], call: str | None = None
) -> list[IntentRow]:
    """The intents on records, oldest first; each record's are read once in a transaction."""
    refs, wanted = list(refs), set(states)
    load_intents(work, connection, kind, refs)
    found = [intent for ref in refs for intent in work.intents[connection, kind.value, ref]]
    return [intent for intent in found if intent.state in wanted and (call is None or intent.call == call)]


def save_intent(work: Work, intent: IntentRow, values: Mapping[str, Any] | None = None) -> None:
    """Keep an intent; with values, seal them."""
    if values is not None:
        intent.sealed = work.world.seal(values, intent.id)
    work.woken.add(intent.connection)
    if intent.ref is not None:
        key = (intent.connection, intent.kind, intent.ref)
        known = work.intents.get(key)
        if known is not None:
            kept = [*(other for other in known if other.id != intent.id), intent]
            work.intents[key] = sorted(kept, key=lambda each: (each.made_at, each.id))  # as they are read: oldest first
    upsert(work.sql, schema.intents, [as_row(intent)])


def unsealed(work: Work, intent: IntentRow) -> dict[str, Any]:
    """The values that an intent bears."""
    return dict(work.world.unseal(intent.sealed, intent.id)) if intent.sealed else {}


def delete_intent(work: Work, intent: IntentRow) -> None:
    """An intent is over: its sealed values go with it."""
    drop_intent_holds(work, intent)
    work.sql.execute(_DROP, {"id_": intent.id})
    if intent.ref is not None:
        work.intents.pop((intent.connection, intent.kind, intent.ref), None)


_DROP = sa.delete(schema.intents).where(schema.intents.c.id == sa.bindparam("id_"))


def hold_intent(work: Work, intent: IntentRow, reason: str, detail: str = "") -> None:
    """Let an intent wait for a person."""
    intent.state, intent.reason = "held", reason
    save_intent(work, intent)
    link_id = intent.link or next((int(key) for key in intent.wants if key != ROWS), None)
    link = work.tx.link(link_id) if link_id is not None else None
    ref = intent.ref or (link.left or link.right if link else None) or ""
    connection = intent.connection if intent.ref else (intent.source or intent.connection)
    names = sorted({name for part in intent.wants.values() for name in part})
    row = {
        "pair": link.pair if link else None, "connection": connection, "kind": intent.kind, "ref": ref,
        "link": link_id, "intent": intent.id, "field": " ".join(names) if intent.ref else "", "reason": reason,
        "detail": detail, "opened_at": work.tx.now,
    }  # fmt: skip
    drop_intent_holds(work, intent)
    work.sql.execute(sa.insert(schema.holds).values(row))
    note(work, connection, intent.kind, ref, "held", link=link_id, fields=names, detail=reason)


def creation_of(work: Work, link: LinkRow) -> IntentRow | None:
    """The create intent that fills a link's empty end (a person's may be that of an application)."""
    table = schema.intents
    statement = sa.select(table).where(table.c.call == CREATE, table.c.connection == _target_of(work, link))
    for found in work.sql.execute(statement.where(table.c.state != "done")).mappings():
        if str(link.id) in found["wants"]:
            return IntentRow(**found)
    return None


def _target_of(work: Work, link: LinkRow) -> str:
    pair = work.world.pair(link.pair)
    return pair.at(End.LEFT if link.left is None else End.RIGHT).name


def drop_creation(work: Work, intent: IntentRow) -> None:
    """Forget a create intent, and the links that waited for it."""
    delete_intent(work, intent)
    for key in intent.wants:
        link = work.tx.link(int(key))
        if link is not None and (link.left is None or link.right is None):
            work.tx.drop_link(link)


def fields_in_flight(work: Work, link: LinkRow) -> frozenset[str]:
    """The fields of a link that a sent intent bears: nothing is decided about them until its outcome is known."""
    busy: set[str] = set()
    refs = {end: getattr(link, end) for end in End}
    pair = work.world.pair(link.pair)
    for end, ref in refs.items():
        connection = pair.at(end)
        rows = [ref]
        if connection.is_rows(Kind(link.kind)):
            rows = [member.row for member in work.tx.members_of(connection.name, ref)]
        for intent in intents_on(work, connection.name, Kind(link.kind), rows, IN_FLIGHT):
            busy |= set(intent.wants.get(str(link.id), {}))
    return frozenset(busy)


class Waiting(NamedTuple):
    """A value that a link still wants to be written: the digest that its source told, when, and whether it is held."""

    told: str
    at: float
    held: bool


def waiting(work: Work, link: LinkRow, target: End) -> dict[str, Waiting]:
    """What a link still wants to be written at an end, by field."""
    pair, kind, found = work.world.pair(link.pair), Kind(link.kind), {}
    row = work.tx.record(pair.at(target).name, kind, getattr(link, target))
    refs = rows_to_write(work, pair.at(target), row) if row is not None else []
    for intent in intents_on(work, pair.at(target).name, kind, refs, UNSENT):
        for name, (_, told) in intent.wants.get(str(link.id), {}).items() if intent.call not in BESIDE else ():
            found[name] = Waiting(told, intent.told_at, intent.state == "held")
    return found
