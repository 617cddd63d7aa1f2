"""Takes everything about a person out of the tables: who belongs together, and where they stand.

A person is whoever is linked, through any pairs, with one of her records, and whoever has the same e-mail address. With
her go her applications, their screenings, and all rows about these. What is out at a system when she goes is only
looked up (``ERASED``), so that what it made there can be told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from syncd import batches, schema
from syncd.bases import sent_values
from syncd.drafts import draft_of
from syncd.identity import Ends, known_ends
from syncd.intents import delete_intent, save_intent
from syncd.model import Draft, Kind, Parent
from syncd.reconcile import End
from syncd.rows import IntentRow
from syncd.settle import settle
from syncd.work import CREATE, ERASED, IN_FLIGHT, Work

Place = tuple[str, Kind, str]  # connection, kind, id
Pairs = Mapping[str, Ends]  # by name
_records, _members, _links, _intents = schema.records.c, schema.members.c, schema.links.c, schema.intents.c
CHILDREN = (Kind.APPLICATION, Kind.SCREENING)


@dataclass(frozen=True)
class Person:
    """All that is known of somebody: her records (of a set of rows the rows as well), and their links."""

    places: frozenset[Place]
    links: frozenset[int]

    def ids(self, connection: str, *kinds: Kind) -> list[str]:
        """Her ids of these kinds at a connection."""
        return sorted(id_ for name, kind, id_ in self.places if name == connection and kind in kinds)


# --- who belongs together -------------------------------------------------------------------------------------------


def gather(work: Work, places: Iterable[Place]) -> Person:
    """Everybody and everything that belongs to these records."""
    work.tx.flush()
    pairs = known_ends(work)
    waiting, known, links = list(places), set(places), set[int]()
    while waiting:
        place = waiting.pop()
        found = [*_around(work, pairs, place)]
        for link in _links_at(work, pairs, place):
            links.add(link.id)
            found += _both_ends(link, pairs)
        new = [other for other in dict.fromkeys(found) if other not in known]
        known.update(new)
        waiting += new
    return Person(frozenset(known), frozenset(links))


def _around(work: Work, pairs: Pairs, place: Place) -> Iterator[Place]:
    connection, kind, id_ = place
    if kind is Kind.CANDIDATE:
        yield from _namesakes(work, connection, id_)
        yield from _rows(work, connection, id_)
        yield from _told_with(work, connection, CHILDREN, _records.candidate == id_)
    elif kind is Kind.APPLICATION:
        yield from _told_with(work, connection, (Kind.SCREENING,), _records.application == id_)
        if row := work.tx.record(connection, kind, id_):
            yield from [(connection, Kind.CANDIDATE, row.candidate)] if row.candidate else []
    for ends in (ends for ends in _pairs_of(pairs, connection) if kind in ends.kinds):
        there = ends.at(ends.end_of(connection).other)
        yield from _told_with(work, there, (kind,), _records.source_id == id_)


def _pairs_of(pairs: Pairs, connection: str) -> list[Ends]:
    return [ends for ends in pairs.values() if connection in (ends.left, ends.right)]


def _told_with(work: Work, connection: str, kinds: tuple[Kind, ...], *where: sa.ColumnElement[bool]) -> list[Place]:
    asked = sa.select(_records.kind, _records.id).where(
        _records.connection == connection, _records.kind.in_([kind.value for kind in kinds])
    )
    return [(connection, Kind(kind), id_) for kind, id_ in work.sql.execute(asked.where(*where))]


def _namesakes(work: Work, connection: str, id_: str) -> Iterator[Place]:
    """Whoever has the same e-mail address, at whatever connection."""
    row = work.tx.record(connection, Kind.CANDIDATE, id_)
    yield from of_key(work, row.key) if row is not None and row.key else []


def of_key(work: Work, key: str) -> list[Place]:
    """The people of an e-mail address (its digest), told by themselves or by one of their rows."""
    alike = sa.select(_records.connection, _records.id).where(
        _records.kind == Kind.CANDIDATE.value, _records.key == key
    )
    told = sa.cast(_members.seen, sa.String).contains(key)
    rows = sa.select(_members.connection, _members.person).where(told)
    found = [*work.sql.execute(alike), *work.sql.execute(rows)]
    return [(name, Kind.CANDIDATE, id_) for name, id_ in found]


def _rows(work: Work, connection: str, id_: str) -> Iterator[Place]:
    """A person's rows, each of which is an application too; of a row its person."""
    where = (_members.connection == connection, sa.or_(_members.person == id_, _members.row == id_))
    for row, person in work.sql.execute(sa.select(_members.row, _members.person).where(*where)):
        yield from ((connection, kind, row) for kind in (Kind.CANDIDATE, Kind.APPLICATION))
        yield (connection, Kind.CANDIDATE, person)


def _links_at(work: Work, pairs: Pairs, place: Place) -> Iterator[Any]:
    """The links of a record; those of a pair of which the store was never told what it joins by the id alone."""
    connection, kind, id_ = place
    either = sa.or_(_links.left == id_, _links.right == id_)
    for link in work.sql.execute(sa.select(schema.links).where(_links.kind == kind.value, either)).all():
        ends = pairs.get(link.pair)
        if ends is None or any(ends.at(end) == connection and getattr(link, end) == id_ for end in End):
            yield link


def _both_ends(link: Any, pairs: Pairs) -> list[Place]:
    ends, ids = pairs.get(link.pair), {end: getattr(link, end) for end in End}
    return [(ends.at(end), Kind(link.kind), id_) for end, id_ in ids.items() if ends is not None and id_]


# --- taking out -----------------------------------------------------------------------------------------------------


def erase(work: Work, person: Person, grave: str | None) -> Counter[str]:
    """Delete all rows about somebody; table -> rows. ``grave`` None: she aged out, and no return is watched for.

    ``under_way``: creates that are out, and are looked up until it is known what they made; ``unknown``: those of which
    that cannot be found out here.
    """
    work.tx.flush()
    gone: Counter[str] = Counter()
    _stop_writes(work, person, grave, gone)
    pairs = known_ends(work)
    _leave_batches(work, pairs, person, gone)
    for table, where in _rows_about(pairs, person):
        gone[table.name] += work.sql.execute(sa.delete(table).where(where)).rowcount
    _blank_pages(work, person)
    work.tx.clear()
    work.intents.clear()
    work.holds.clear()
    for connection, kind, id_ in _clear_mentions(work, person):
        if connection in work.world.connections:
            settle(work, connection, kind, id_)
    return +gone


def _stop_writes(work: Work, person: Person, grave: str | None, gone: Counter[str]) -> None:
    for intent in _intents_about(work, person):
        is_out = intent.call == CREATE and intent.sent_values is not None
        is_known = is_out and intent.connection in work.world.connections
        values: dict[str, Any] = sent_values(work, intent) if is_known else {}
        draft = draft_of(work, intent, values.get("word"), values) if is_known else None
        if draft is not None:
            _only_look_up(work, intent, draft, grave)
            gone["under_way"] += 1
        else:
            delete_intent(work, intent)
            gone["unknown" if is_out else "intents"] += 1


def _intents_about(work: Work, person: Person) -> list[IntentRow]:
    keys = {str(link) for link in person.links}
    found = [IntentRow(**row) for row in work.sql.execute(sa.select(schema.intents).order_by(_intents.id)).mappings()]
    return [
        intent
        for intent in found
        if (intent.connection, intent.kind, intent.ref) in person.places or keys & {*intent.wants, str(intent.link)}
    ]


def _only_look_up(work: Work, intent: IntentRow, draft: Draft, grave: str | None) -> None:
    """A create that is out keeps what it takes to find what it made, and nothing else."""
    intent.call, intent.link, intent.wants, intent.sealed, intent.expected = ERASED, None, {}, None, None
    intent.source, intent.origin, intent.reason = None, None, None
    if intent.state not in IN_FLIGHT:
        intent.state, intent.due, intent.looks = "unknown", work.tx.now, 0
    parents = {kind.value: [parent.id, parent.source_id] for kind, parent in draft.parents.items()}
    kept: dict[str, Any] = {
        "kind": draft.kind.value, "fields": dict(draft.fields), "person": dict(draft.person), "parents": parents,
        "source_id": draft.source_id, "grave": grave,
    }  # fmt: skip
    intent.sent_values = work.world.seal(kept, f"{intent.id}/sent")
    save_intent(work, intent)


def draft_in(values: dict[str, Any]) -> Draft:
    """The draft that such an intent keeps."""
    parents = {Kind(kind): Parent(*parent) for kind, parent in values["parents"].items()}
    return Draft(Kind(values["kind"]), values["fields"], parents, values["source_id"], values["person"])


def _leave_batches(work: Work, pairs: Pairs, person: Person, gone: Counter[str]) -> None:
    """Her résumés go with no batch; of one that went, only that it did, and what it cost."""
    table = schema.batch_items
    for ends in pairs.values():
        for application in person.ids(ends.left, Kind.APPLICATION):
            item = batches.item_of(work, ends.pair, application)
            if item is None:
                continue
            this = (table.c.pair == ends.pair, table.c.application == application)
            if item.sent_at is None:
                work.sql.execute(sa.delete(table).where(*this))
                batches.end_if_empty(work, item.batch)
            else:
                nobody: dict[str, Any] = {
                    "application": f"erased-{work.new_id()}",
                    "name": None,
                    "content": None,
                    "detail": "",
                }
                work.sql.execute(sa.update(table).where(*this).values(nobody))
            gone["batch_items"] += 1


def _rows_about(pairs: Pairs, person: Person) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """What is deleted: (table, which rows)."""
    ids: dict[tuple[str, Kind], list[str]] = {}
    for connection, kind, id_ in sorted(person.places):
        ids.setdefault((connection, kind), []).append(id_)
    links = sorted(person.links)
    yield schema.swings, schema.swings.c.link.in_(links)
    for table in (schema.holds, schema.journal):
        yield table, table.c.link.in_(links)
    for (connection, kind), own in ids.items():
        for table in (schema.holds, schema.journal, schema.marks):
            yield table, sa.and_(table.c.connection == connection, table.c.kind == kind.value, table.c.ref.in_(own))
        if kind is Kind.CANDIDATE:
            yield schema.members, sa.and_(_members.connection == connection, _members.person.in_(own))
        yield (
            schema.records,
            sa.and_(_records.connection == connection, _records.kind == kind.value, _records.id.in_(own)),
        )
        yield from _of_pairs(pairs, connection, kind, own)
    yield schema.links, _links.id.in_(links)


def _of_pairs(
    pairs: Pairs, connection: str, kind: Kind, ids: list[str]
) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    for ends in _pairs_of(pairs, connection):
        end, cuts, deeds = ends.end_of(connection), schema.cuts.c, schema.deeds.c
        yield schema.cuts, sa.and_(cuts.pair == ends.pair, cuts.kind == kind.value, cuts[end.value].in_(ids))
        if kind in CHILDREN:
            yield schema.deeds, sa.and_(deeds.pair == ends.pair, deeds.end == end.other.value, deeds.source.in_(ids))


def _blank_pages(work: Work, person: Person) -> None:
    """A page's digest is one of all its rows: it is read again, though it be unchanged."""
    table = schema.pages
    for connection in sorted({name for name, *_ in person.places}):
        blank = {"digest": "", "settled": None}
        work.sql.execute(sa.update(table).where(table.c.connection == connection).values(blank))


def _clear_mentions(work: Work, person: Person) -> list[Place]:
    """Where others' rows name her: a webhook's list, a question that offers her as a choice, the result of a command.

    Returns the records whose question was taken back, to be looked at again.
    """
    clear_inbox(work, person.places)
    _clear_runs(work, person)
    ids, holds = {id_ for _, _, id_ in person.places}, schema.holds
    naming = [row for row in work.sql.execute(sa.select(holds)).all() if ids & set(row.detail.split())]
    work.sql.execute(sa.delete(holds).where(holds.c.id.in_([row.id for row in naming])))
    return [(row.connection, Kind(row.kind), row.ref) for row in naming]


def clear_inbox(work: Work, places: Iterable[Place]) -> None:
    """Events that named her, and those of which only the digest of a body is kept, which may have told of her."""
    table = schema.inbox.c
    hers = {(connection, f"{kind}/{id_}") for connection, kind, id_ in places}
    rows = work.sql.execute(sa.select(table.id, table.connection, table.event, table.refs)).all()
    about_her = [row.id for row in rows if hers & {(row.connection, ref) for ref in row.refs}]
    about_her += [row.id for row in rows if not row.refs and row.event.startswith("body ")]
    work.sql.execute(sa.delete(schema.inbox).where(table.id.in_(about_her)))


def _clear_runs(work: Work, person: Person) -> None:
    """What commands of other processes were asked, and told, where it names her."""
    table = schema.runs
    blank: dict[str, Any] = {"arguments": {}, "progress": None, "result": {}}
    named = [f'"{id_}"' for _, _, id_ in person.places]
    rows = work.sql.execute(sa.select(table)).mappings().all()
    naming = [row["id"] for row in rows if any(name in orjson.dumps([*row.values()]).decode() for name in named)]
    work.sql.execute(sa.update(table).where(table.c.id.in_(naming)).values(blank))
