"""Brings one record to where nothing is to be done, or to an intent, or to a hold. All within one transaction.

Level, not edge: whatever brought us here (a page, a webhook, an answer, a person), the record's links are looked at
as they stand now. What a merge wants and cannot do, because only a system knows the value, marks that record to be
read; the reading brings it here again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from syncd import matching, schema
from syncd.limits import Priority
from syncd.mapping import EMPTY, NAMES, WORDED, Terms, digest_value, split_name, word_of
from syncd.matching import Found, How, Likeness
from syncd.model import Fields, Kind, Value
from syncd.plan import in_scope, is_recent
from syncd.reconcile import CONFLICTS, Do, End, Side, Verdict, agree, merge, merge_field
from syncd.rows import IntentRow, LinkRow, RecordRow, as_row
from syncd.setup import Connection, Pair, World
from syncd.store import Tx, upsert

ROWS = "rows"  # the key of ``intents.wants`` for a write that brings a person's rows together
IN_FLIGHT = ("sent", "accepted", "unknown")
UNSENT = ("open", "held")
DISPUTE = "spokes_disagree"
CREATE = "create"
FIRST = {Kind.JOB: 0, Kind.CANDIDATE: 1, Kind.APPLICATION: 2, Kind.SCREENING: 3}


@dataclass
class Work:
    """One transaction's work: the rows, the world, and the values in hand (as told within this transaction).

    ``learning``: a first look, which links and compares but makes no intents. ``swept``: whether a walk of a
    connection was proven whole recently enough for something to be created there.
    """

    tx: Tx
    world: World
    new_id: Callable[[], str]
    learning: bool = False
    values: dict[tuple[str, str, str], Fields] = field(default_factory=dict)
    wanted: int = 0
    woken: set[str] = field(default_factory=set)
    intents: dict[tuple[str, str, str], list[IntentRow]] = field(default_factory=dict)
    holds: dict[int, list[Any]] = field(default_factory=dict)

    @property
    def sql(self) -> sa.Connection:
        """The connection, for what has no row object."""
        return self.tx.sql

    def value(self, connection: str, kind: Kind, row: RecordRow, name: str) -> tuple[bool, Value]:
        """A record's value of one field, if it is in hand or stands in clear."""
        told = row.seen.get(name)
        if told == EMPTY:
            return True, None
        speaker = (row.speakers or {}).get(name, row.id)
        values = self.values.get((connection, kind.value, speaker), {})
        if name in values:
            return True, values[name]
        if name in WORDED and told is not None:
            return True, word_of(told)
        return False, None


# --- records --------------------------------------------------------------------------------------------------------


def settle(work: Work, connection: str, kind: Kind, id_: str) -> bool:
    """Settle one record in all its pairs; tells whether nothing is left to do about it."""
    row = work.tx.record(connection, kind, id_)
    if row is None:
        return True
    quiet = True
    for pair in work.world.pairs_of(connection, kind):
        quiet = _settle_in(work, pair, row) and quiet
    settled = work.world.stamp if quiet and not work.learning else None
    if row.settled != settled:
        if settled is None:
            _unsettle_page(work, row)
        row.settled = settled
        work.tx.put_record(row)
    return quiet


def _unsettle_page(work: Work, row: RecordRow) -> None:
    """The page that tells a record which has something left to do is read again though it be unchanged."""
    if row.page is not None:
        work.sql.execute(_UNSETTLE, {"of": row.connection, "list": row.walk, "at": row.page})


_UNSETTLE = (
    sa.update(schema.pages)
    .where(
        schema.pages.c.connection == sa.bindparam("of"),
        schema.pages.c.walk == sa.bindparam("list"),
        schema.pages.c.position == sa.bindparam("at"),
    )
    .values(settled=None)
)


def _settle_in(work: Work, pair: Pair, row: RecordRow) -> bool:
    end, kind = pair.end_of(row.connection), Kind(row.kind)
    link = work.tx.link_at(pair.name, kind, end, row.id)
    if link is None:
        if row.gone:
            return True
        link, quiet = _match(work, pair, end, row)
        if link is None:
            return quiet
    if link.left is None or link.right is None:
        return _settle_creation(work, pair, end, row, link)
    return merge_link(work, pair, link)


def _settle_creation(work: Work, pair: Pair, end: End, row: RecordRow, link: LinkRow) -> bool:
    """A record that is being created elsewhere was told again: what has not gone out yet is made anew from it."""
    intent = creation_of(work, link)
    if intent is None or intent.state not in UNSENT:
        return False
    part = intent.wants[str(link.id)]
    stale = any(source and row.seen.get(name) != source for name, (_, source) in part.items())
    stale = stale or any(row.seen.get(name) and name not in part for name in _borne(pair, end.other, intent, row))
    if not row.gone and not stale:
        return False
    drop_creation(work, intent)
    return True if row.gone else _settle_in(work, pair, row)


def _borne(pair: Pair, end: End, intent: IntentRow, row: RecordRow) -> frozenset[str]:
    """The fields of a record that the create at an end bears."""
    terms = pair.at(end).terms
    if intent.kind == row.kind:
        return terms[Kind(row.kind)].creates or frozenset()
    return _of_person(terms[Kind.CANDIDATE])


def _of_person(terms: Terms) -> frozenset[str]:
    """The fields of a person that an application's create bears."""
    return terms.creates if terms.creates is not None else frozenset(terms.calls) | {"email"}


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
    """Forget a create intent that has not gone out, and the links that waited for it."""
    drop_intent_holds(work, intent)
    work.sql.execute(sa.delete(schema.intents).where(schema.intents.c.id == intent.id))
    for key in intent.wants:
        link = work.tx.link(int(key))
        if link is not None and (link.left is None or link.right is None):
            work.tx.drop_link(link)


def settle_children(work: Work, pair: Pair, link: LinkRow) -> None:
    """Settle the applications of a job or person whose link was just completed or cut."""
    kind = Kind(link.kind)
    if kind is Kind.APPLICATION or not pair.syncs(Kind.APPLICATION):
        return
    for end in End:
        parent, connection = getattr(link, end), pair.at(end).name
        if parent is None:
            continue
        for child in work.tx.alike(connection, Kind.APPLICATION, kind.value, parent):
            settle(work, connection, Kind.APPLICATION, child.id)
            if kind is Kind.JOB and child.candidate is not None:
                settle(work, connection, Kind.CANDIDATE, child.candidate)


# --- matching and creating ------------------------------------------------------------------------------------------


def _match(work: Work, pair: Pair, end: End, row: RecordRow) -> tuple[LinkRow | None, bool]:
    """Link a record to its likeness, or make an intent to create it, or hold it; (link, nothing left to do)."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if kind not in other.terms:
        return None, True
    found = _look_up(work, pair, end, row)
    if found is None:
        hold_record(work, pair, row, {})
        return None, not _awaited(work, pair, end, row)
    subject = Likeness(row.id, row.key, row.title_key)
    match = matching.judge(kind, subject, found)
    if match.how is How.LINK and match.id is not None:
        link = _make_link(work, pair, end, row, match.id, match.by)
        return link, False
    if match.how is How.HOLD and match.by == "no_email" and not _may_create(work, pair, end, row):
        match = matching.Match(How.CREATE)
    if match.how is How.HOLD:
        hold_record(work, pair, row, {"": (match.by, " ".join(match.choices))})
        return None, False
    return None, _create(work, pair, end, row)


def _awaited(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Whether an application waits for a parent that may yet come."""
    return any(
        parent is not None and (work.tx.link_at(pair.name, kind, end, parent) is not None)
        for kind, parent in ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate))
    )


def _look_up(work: Work, pair: Pair, end: End, row: RecordRow) -> Found | None:
    """All records that might be the same thing; None: the parents are not linked, so nothing can be."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if kind is Kind.APPLICATION:
        job, person = (
            _across(work, pair, end, k, p) for k, p in ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate))
        )
        if job is None or person is None:
            return Found() if job is not None and _bears(pair, end) else None
        there, here = _on(work, other.name, job, person), _on(work, row.connection, row.job, row.candidate)
    else:
        there, here = _alike(work, other.name, row), _alike(work, row.connection, row)

    def likeness(found: RecordRow, at: End) -> Likeness:
        link = work.tx.link_at(pair.name, kind, at, found.id)
        being_made = link is not None and at is end.other and getattr(link, end) is None
        cut = _cut(work, pair, kind, end, row, found) if at is end.other else None
        linked = (link is not None and not being_made) or cut is not None
        return Likeness(found.id, found.key, found.title_key, linked, cut=bool(cut))

    return Found(
        by_id=[likeness(found, end.other) for found in _naming(work, pair, end, row)],
        there=[likeness(found, end.other) for found in there],
        here=[likeness(found, end) for found in here if found.id != row.id],
    )


def _on(work: Work, connection: str, job: str | None, person: str | None) -> list[RecordRow]:
    """A person's applications on a job."""
    return [row for row in work.tx.alike(connection, Kind.APPLICATION, "candidate", person) if row.job == job]


def _alike(work: Work, connection: str, row: RecordRow) -> list[RecordRow]:
    """The people of a mail; the jobs of a code or a title."""
    kind = Kind(row.kind)
    found = work.tx.alike(connection, kind, "key", row.key)
    if kind is Kind.JOB:
        found += work.tx.alike(connection, kind, "title_key", row.title_key)
    return _by_id(found)


def _naming(work: Work, pair: Pair, end: End, row: RecordRow) -> list[RecordRow]:
    """The records at the other end that keep the id of this one, or whose id this one keeps."""
    kind, other = Kind(row.kind), pair.at(end.other).name
    ids = _known_ids(work, pair.at(end), row)
    found = [one for id_ in ids for one in work.tx.alike(other, kind, "source_id", id_)]
    named = work.tx.record(other, kind, row.source_id) if row.source_id else None
    return _by_id([*found, *([named] if named is not None and not named.gone else [])])


def _by_id(rows: Iterable[RecordRow]) -> list[RecordRow]:
    """Each once, in the order of the ids."""
    return [row for _, row in sorted({row.id: row for row in rows}.items())]


def load_alike(work: Work, pair: Pair, kind: Kind, end: End, rows: Iterable[RecordRow]) -> None:
    """Read in a few statements what matching many records will ask for."""
    here, there, tx = pair.at(end), pair.at(end.other).name, work.tx
    free = [row for row in rows if not row.gone and tx.link_at(pair.name, kind, end, row.id) is None]
    tx.load_alike(there, kind, "source_id", [id_ for row in free for id_ in _known_ids(work, here, row)])
    tx.load_records(there, kind, [row.source_id for row in free if row.source_id])
    if kind is Kind.APPLICATION:
        people = [row.candidate for row in free if row.candidate is not None]
        tx.load_links(pair.name, Kind.JOB, end, [row.job for row in free if row.job is not None])
        tx.load_links(pair.name, Kind.CANDIDATE, end, people)
        across = [_across(work, pair, end, Kind.CANDIDATE, person) for person in people]
        for name, ids in ((there, across), (here.name, [*people])):
            tx.load_alike(name, kind, "candidate", ids)
        return
    for name in (there, here.name):
        tx.load_alike(name, kind, "key", [row.key for row in free])
        if kind is Kind.JOB:
            tx.load_alike(name, kind, "title_key", [row.title_key for row in free])
    if kind is Kind.CANDIDATE:
        tx.load_alike(here.name, Kind.APPLICATION, "candidate", [row.id for row in free])
        theirs = (one for row in free for one in tx.alike(here.name, Kind.APPLICATION, "candidate", row.id))
        tx.load_links(pair.name, Kind.JOB, end, [one.job for one in theirs if one.job is not None])


def _known_ids(work: Work, connection: Connection, row: RecordRow) -> list[str]:
    """The ids by which the other system may know a record: its own, or any of a person's rows."""
    if connection.is_rows(Kind(row.kind)):
        return [row.id, *(member.row for member in work.tx.members_of(row.connection, row.id))]
    return [row.id]


def _cut(work: Work, pair: Pair, kind: Kind, end: End, row: RecordRow, found: RecordRow) -> bool | None:
    """What a person said of two records: to be kept apart, or (False) that one is a new thing; None: nothing."""
    left, right = (row.id, found.id) if end is End.LEFT else (found.id, row.id)
    this = {"of": pair.name, "what": kind.value, "at_left": left, "at_right": right}
    apart: bool | None = work.sql.execute(_CUT, this).scalar()
    return apart


_CUT = sa.select(schema.cuts.c.apart).where(
    schema.cuts.c.pair == sa.bindparam("of"),
    schema.cuts.c.kind == sa.bindparam("what"),
    schema.cuts.c.left == sa.bindparam("at_left"),
    schema.cuts.c.right == sa.bindparam("at_right"),
)


def _across(work: Work, pair: Pair, end: End, kind: Kind, id_: str | None) -> str | None:
    """The id of a linked record at the other end."""
    link = None if id_ is None else work.tx.link_at(pair.name, kind, end, id_)
    across: str | None = getattr(link, end.other) if link else None
    return across


def _bears(pair: Pair, end: End) -> bool:
    """Whether an application's create at the other end bears its person."""
    terms = pair.at(end.other).terms.get(Kind.APPLICATION)
    return terms is not None and terms.facts.bears_person and pair.flows_to(Kind.APPLICATION, end.other)


def _make_link(work: Work, pair: Pair, end: End, row: RecordRow, other: str, how: str) -> LinkRow:
    """Link two records; an open create intent for either is completed by the link: nothing is made twice."""
    link = work.tx.link_at(pair.name, Kind(row.kind), end.other, other)
    if link is not None:
        _complete(work, link, end, row)
    else:
        ends = {end.value: row.id, end.other.value: other}
        link = work.tx.new_link(pair.name, Kind(row.kind), how, ends["left"], ends["right"])
    across = work.tx.record(pair.at(end.other).name, Kind(row.kind), other)
    for one in (row, *([across] if across is not None else [])):
        hold_record(work, pair, one, {})
    note(work, row.connection, row.kind, row.id, "linked", link=link.id, detail=how)
    settle_children(work, pair, link)
    return link


def _complete(work: Work, link: LinkRow, end: End, row: RecordRow) -> None:
    """What was to be created shows itself: if our call is out it is ours, else somebody was faster."""
    intent = creation_of(work, link)
    setattr(link, end, row.id)
    work.tx.put_link(link)
    if intent is None:
        return
    part = intent.wants.pop(str(link.id))
    if intent.state in IN_FLIGHT:
        base: dict[str, str] = getattr(link, f"{end.other}_base")
        here: dict[str, str] = getattr(link, f"{end}_base")
        for name, (wanted, source) in part.items():
            if source and name in row.seen and name not in WORDED:
                base[name], here[name] = source, wanted
    if intent.link == link.id or not intent.wants:
        keys = list(intent.wants)
        delete_intent(work, intent)
        for key in keys:
            other = work.tx.link(int(key))
            if other is not None and (other.left is None or other.right is None):
                work.tx.drop_link(other)
    else:
        save_intent(work, intent)


def _may_create(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Whether a record may be created at the other end at all: direction, ability, scope."""
    kind, other = Kind(row.kind), pair.at(end.other)
    terms = other.terms[kind]
    if not pair.flows_to(kind, end.other) or not is_recent(pair, row):
        return False
    if kind is Kind.CANDIDATE:
        if not pair.syncs(Kind.APPLICATION):
            return terms.creates is not None
        if terms.creates is None or _bears(pair, end):
            return False  # comes with its application
        return _has_linked_application(work, pair, end, row)
    makes_person = kind is Kind.APPLICATION and _bears(pair, end)
    if makes_person and not pair.flows_to(Kind.CANDIDATE, end.other):
        makes_person = _across(work, pair, end, Kind.CANDIDATE, row.candidate) is None
        return not makes_person and terms.creates is not None and _in_scope(work, pair, end, row)
    return terms.creates is not None and _in_scope(work, pair, end, row)


def _in_scope(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """A job by itself; an application by its job, as either end tells it (a draft may stand for an open job)."""
    if Kind(row.kind) is Kind.JOB:
        return in_scope(pair, row, _status_of(pair.at(end), row))
    ids = {end: row.job, end.other: _across(work, pair, end, Kind.JOB, row.job)}
    jobs = {at: work.tx.record(pair.at(at).name, Kind.JOB, id_) for at, id_ in ids.items() if id_ is not None}
    return any(job is not None and in_scope(pair, job, _status_of(pair.at(at), job)) for at, job in jobs.items())


def _status_of(connection: Connection, row: RecordRow) -> str | None:
    told = row.seen.get("status")
    word = word_of(told) if told else None
    return connection.vocabulary.words["status"].ours(word) if word else None


def _has_linked_application(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    applications = work.tx.alike(row.connection, Kind.APPLICATION, "candidate", row.id)
    return any(
        _across(work, pair, end, Kind.JOB, application.job) and _in_scope(work, pair, end, application)
        for application in applications
    )


def is_swept(work: Work, connection: Connection, kind: Kind) -> bool:
    """Whether the walk that tells a kind was proven whole within its sweep interval."""
    walk = connection.walk_of(kind)
    if walk is None:
        return False
    swept_at = work.sql.execute(_SWEPT_AT, {"of": connection.name, "list": walk.name}).scalar()
    return swept_at is not None and swept_at >= work.tx.now - 2 * connection.sweep_s


_SWEPT_AT = sa.select(schema.cursors.c.swept_at).where(
    schema.cursors.c.connection == sa.bindparam("of"), schema.cursors.c.walk == sa.bindparam("list")
)


def _create(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Make the intent to create a record at the other end; tells whether nothing is left to do."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if not _may_create(work, pair, end, row):
        hold_record(work, pair, row, {})
        return not (kind is Kind.CANDIDATE and pair.flows_to(kind, end.other))
    if work.learning or not is_swept(work, other, kind):
        work.wanted += 1
        return False
    person, missing = _person_to_bear(work, pair, end, row)
    if missing:
        hold_record(work, pair, row, {"": (missing, "")} if missing != "waits" else {})
        return False
    draft, holds, unread = _draft(work, pair, end, row, other.terms[kind])
    if person is not None:
        borne, more, unread_person = _draft_person(work, pair, end, person, other.terms[kind])
        holds, unread = {**holds, **more}, unread or unread_person
    else:
        borne = {}
    hold_record(work, pair, row, holds)
    if not holds and not unread:
        _open_create(work, pair, end, row, draft, person, borne)
    return False


def _person_to_bear(work: Work, pair: Pair, end: End, row: RecordRow) -> tuple[RecordRow | None, str]:
    """The person whom an application's create bears; why it cannot be, or "waits" for its own create to end."""
    if Kind(row.kind) is not Kind.APPLICATION or not _bears(pair, end):
        return None, ""
    person = work.tx.record(row.connection, Kind.CANDIDATE, row.candidate or "")
    if person is None:
        return None, "waits"
    link = work.tx.link_at(pair.name, Kind.CANDIDATE, end, person.id)
    if link is not None and getattr(link, end.other) is None:
        return None, "waits"
    if link is not None and pair.at(end.other).terms[Kind.APPLICATION].facts.only_newborn:
        return None, "second_application"
    if link is None:
        found = _look_up(work, pair, end, person)
        match = matching.judge(Kind.CANDIDATE, Likeness(person.id, person.key), found or Found())
        if match.how is not How.CREATE:
            return None, match.by if match.how is How.HOLD else "waits"
    return person, ""


Draft = dict[str, tuple[Value, str, str, bool]]  # field -> value, wanted digest, source digest, from a default


def _draft(
    work: Work, pair: Pair, end: End, row: RecordRow, terms: Terms
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    """What a create bears: (draft, holds, whether something must be read first)."""
    return _fill(work, pair, end, row, terms.creates or frozenset(), terms.demands, terms.details)


def _draft_person(
    work: Work, pair: Pair, end: End, person: RecordRow, terms: Terms
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    target = pair.at(end.other).terms[Kind.CANDIDATE]
    return _fill(work, pair, end, person, _of_person(target), terms.person_demands, target.details)


def _fill(
    work: Work,
    pair: Pair,
    end: End,
    row: RecordRow,
    bears: frozenset[str],
    demands: frozenset[str],
    _details: frozenset[str],
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    kind, source, target = Kind(row.kind), pair.at(end), pair.at(end.other)
    draft: Draft = {}
    holds: dict[str, tuple[str, str]] = {}
    unread = False
    for name in sorted(name for name in bears if row.seen.get(name)):
        told = row.seen[name]
        known, value = work.value(source.name, kind, row, name)
        if not known:
            unread = True
        elif name in WORDED:
            _fill_word(source, target, name, str(value), told, draft, holds)
        else:
            draft[name] = (value, told, told, False)
    _fill_names(draft, bears)
    for name in sorted(demands - set(draft)):
        if name in source.terms[kind].tells and name not in row.seen and row.read_at is None:
            unread = True
        elif row.seen.get(name):
            continue  # told, and read again or held above
        elif (default := target.defaults.get(name)) is not None:
            draft[name] = (default, digest_value(name, default, work.world.digest), "", True)
        else:
            holds[name] = (f"missing_{name}", "")
    if unread:
        mark_speakers(work, source, row, "create", Priority.READ)
    return draft, holds, unread


def _fill_word(
    source: Connection,
    target: Connection,
    name: str,
    word: str,
    told: str,
    draft: Draft,
    holds: dict[str, tuple[str, str]],
) -> None:
    """A stage or status in our word, or the hold that says why there is none."""
    ours = source.vocabulary.words[name].ours(word)
    if ours is None:
        holds[name] = (f"unmapped_{name}", word)
    elif not target.vocabulary.words[name].theirs(ours):
        holds[name] = (f"no_word_for_{name}", ours)
    else:
        draft[name] = (ours, f"={ours}", told, False)


def _fill_names(draft: Draft, bears: frozenset[str]) -> None:
    """Give a system that wants a first and a last name the parts of a full name that is all we know."""
    if "name" not in draft or not {"first_name", "last_name"} & bears or NAMES & set(draft) != {"name"}:
        return
    value, _, source, _ = draft["name"]
    for name, part in zip(("first_name", "last_name"), split_name(str(value)), strict=True):
        if part and name in bears:
            draft[name] = (part, "", source, False)


def _open_create(
    work: Work, pair: Pair, end: End, row: RecordRow, draft: Draft, person: RecordRow | None, borne: Draft
) -> None:
    kind, other = Kind(row.kind), pair.at(end.other)
    ends = {end.value: row.id, end.other.value: None}
    link = work.tx.new_link(pair.name, kind, "created", ends["left"], ends["right"])
    wants = {str(link.id): {name: [wanted, told] for name, (_, wanted, told, _) in draft.items()}}
    if person is not None and work.tx.link_at(pair.name, Kind.CANDIDATE, end, person.id) is None:
        ends = {end.value: person.id, end.other.value: None}
        person_link = work.tx.new_link(pair.name, Kind.CANDIDATE, "created", ends["left"], ends["right"])
        wants[str(person_link.id)] = {name: [wanted, told] for name, (_, wanted, told, _) in borne.items()}
    sealed: dict[str, Any] = {
        "fields": {name: value for name, (value, *_) in draft.items()},
        "person": {name: value for name, (value, *_) in borne.items()},
        "defaulted": sorted(name for name, (*_, default) in {**draft, **borne}.items() if default),
    }
    intent = IntentRow(
        id=work.new_id(), connection=other.name, kind=kind.value, ref=None, call=CREATE, state="open", link=link.id,
        wants=wants, sealed=None, source=row.connection, told_at=row.told_at, priority=2 + FIRST[kind],
        made_at=work.tx.now, due=work.tx.now,
    )  # fmt: skip
    save_intent(work, intent, sealed)
    note(work, other.name, kind.value, "", "create_planned", link=link.id, fields=sorted(draft))
    work.wanted += 1


# --- merging --------------------------------------------------------------------------------------------------------


def merge_link(work: Work, pair: Pair, link: LinkRow) -> bool:
    """Merge one complete link: bases, intents and holds become what the ends tell now; True: nothing is left to do."""
    kind = Kind(link.kind)
    rows = {end: work.tx.record(pair.at(end).name, kind, getattr(link, end)) for end in End}
    left, right = rows[End.LEFT], rows[End.RIGHT]
    if left is None or right is None or left.gone or right.gone:
        reason = {"": ("vanished", "left" if left is None or left.gone else "right")}
        drop_wants(work, link, frozenset())
        sync_holds(work, pair, link, reason, {})
        return False
    busy = fields_in_flight(work, link) | _differing_rows(work, pair, {End.LEFT: left, End.RIGHT: right})
    sides = {
        name: (side(work, pair, End.LEFT, left, link, name), side(work, pair, End.RIGHT, right, link, name))
        for name in sorted(pair.fields[kind])
        if name not in busy
    }
    contested = _contested(work, link)
    verdicts = merge(sides, owners=pair.owners, rule=pair.rule, decided=_decided(link, sides), contested=contested)
    publishing = not pair.publish and kind is Kind.JOB
    if publishing and _draft_stands_for_open(pair, sides):
        verdicts.pop("status", None)
    for name, reason in _unproven(work, pair, link, {End.LEFT: left, End.RIGHT: right}, sides).items():
        verdicts[name] = Verdict(Do.HOLD, reason=reason)
    holds = _carry_out(work, pair, link, {End.LEFT: left, End.RIGHT: right}, sides, verdicts)
    disputed = _disputed(work, link)
    sync_holds(work, pair, link, holds, sides)
    _release_rivals(work, pair, link, disputed - {name for name, (why, _) in holds.items() if why == DISPUTE})
    _read_what_is_unread(work, pair, {End.LEFT: left, End.RIGHT: right}, sides)
    unread = any(one.unread for both in sides.values() for one in both)
    return not busy and not holds and not unread and not any(v.do is Do.WRITE for v in verdicts.values())


def _differing_rows(work: Work, pair: Pair, rows: Mapping[End, RecordRow]) -> frozenset[str]:
    """The fields about which a person's own rows are in conflict: none of their values goes anywhere."""
    differing: set[str] = set()
    for end, row in rows.items():
        if pair.at(end).is_rows(Kind(row.kind)):
            differing |= set(work.sql.execute(_DIFFERING, {"of": row.connection, "who": row.id}).scalars())
    return frozenset(differing)


_DIFFERING = sa.select(schema.holds.c.field).where(
    schema.holds.c.connection == sa.bindparam("of"),
    schema.holds.c.kind == Kind.CANDIDATE.value,
    schema.holds.c.ref == sa.bindparam("who"),
    schema.holds.c.reason == "rows_differ",
)


def side(work: Work, pair: Pair, end: End, row: RecordRow, link: LinkRow, name: str) -> Side:
    """One end's view of one field of a link."""
    connection, kind = pair.at(end), Kind(row.kind)
    terms = connection.terms[kind]
    base: dict[str, str] = getattr(link, f"{end}_base")
    now = row.seen.get(name)
    if now is None and name in terms.untold:
        now = base.get(name)
    return Side(
        now=now,
        base=base.get(name),
        writable=pair.writable(kind, end, name),
        may_empty=name in terms.may_empty,
        reopens=terms.facts.reopens,
        unread=now is None and name in terms.tells and row.read_at is None,
        updated_at=row.updated_at,
        words=connection.vocabulary.words.get(name) if name in WORDED else None,
    )


def _contested(work: Work, link: LinkRow) -> dict[str, str]:
    """The fields about which a conflict is open, with its reason."""
    contested = [hold for hold in _holds_of(work, link) if hold.reason in CONFLICTS]
    return {name: hold.reason for hold in contested for name in hold.field.split()}


def _unproven(
    work: Work,
    pair: Pair,
    link: LinkRow,
    rows: Mapping[End, RecordRow],
    sides: Mapping[str, tuple[Side, Side]],
) -> dict[str, str]:
    """Held fields (with the reason) that seem to agree, but one end was not told since: it may have moved on."""
    unproven = {}
    held = [each for each in _holds_of(work, link) if each.reason in {*CONFLICTS, DISPUTE}]
    for hold, name in [(each, name) for each in held for name in each.field.split()]:
        if name not in sides or not agree(name, *sides[name]):
            continue
        agreed_at = hold.agreed_at or work.tx.now
        late = [end for end, row in rows.items() if row.told_at < agreed_at]
        if not late:
            continue
        unproven[name] = hold.reason
        work.sql.execute(sa.update(schema.holds).where(schema.holds.c.id == hold.id).values(agreed_at=agreed_at))
        for end in late:
            mark_speakers(work, pair.at(end), rows[end], "contested", Priority.READ)
    if unproven:
        work.holds.pop(link.id, None)
    return unproven


_OF_LINKS = sa.select(schema.holds).where(
    schema.holds.c.link.in_(sa.bindparam("links", expanding=True)), schema.holds.c.intent.is_(None)
)


def load_holds(work: Work, links: Iterable[int]) -> None:
    """Read the open holds of many links' merges at once."""
    wanted = [link for link in dict.fromkeys(links) if link not in work.holds]
    work.holds.update({link: [] for link in wanted})
    for hold in work.sql.execute(_OF_LINKS, {"links": wanted}) if wanted else ():
        work.holds[hold.link].append(hold)


def _holds_of(work: Work, link: LinkRow) -> list[Any]:
    """The open holds of a link's merge, read once in a transaction."""
    load_holds(work, [link.id])
    return work.holds[link.id]


def _decided(link: LinkRow, sides: Mapping[str, tuple[Side, Side]]) -> dict[str, End]:
    """The sides that a person took, while both ends are as that person saw them."""
    return {
        name: End(end)
        for name, (end, left, right) in (link.decided or {}).items()
        if name in sides and (sides[name][0].now, sides[name][1].now) == (left, right) and end is not None
    }


def _draft_stands_for_open(pair: Pair, sides: Mapping[str, tuple[Side, Side]]) -> bool:
    """Without leave to publish, a draft at one end agrees with an open job at the other."""
    if "status" not in sides:
        return False
    left, right = sides["status"]
    return {left.meaning, right.meaning} == {"open", "draft"}


def _carry_out(
    work: Work,
    pair: Pair,
    link: LinkRow,
    rows: Mapping[End, RecordRow],
    sides: Mapping[str, tuple[Side, Side]],
    verdicts: Mapping[str, Verdict],
) -> dict[str, tuple[str, str]]:
    """Make verdicts true in the store; returns the holds, field -> (reason, detail)."""
    holds: dict[str, tuple[str, str]] = {}
    wants: dict[End, dict[str, str]] = {End.LEFT: {}, End.RIGHT: {}}
    for name, verdict in verdicts.items():
        left, right = sides[name]
        if verdict.do is Do.AGREE:
            _move_bases(work, link, name, {End.LEFT: left.now, End.RIGHT: right.now})
        elif verdict.do is Do.DRIFT:
            moved = {End.LEFT: left.now, End.RIGHT: right.now}
            _move_bases(work, link, name, {verdict.source: moved[verdict.source]} if verdict.source else moved)
            _note_drift(work, pair, link, name, verdict)
        elif verdict.do is Do.HOLD:
            holds[name] = (verdict.reason, _said(left, right))
        elif verdict.source is not None:
            wants[verdict.source.other][name] = (left if verdict.source is End.LEFT else right).now or EMPTY
    for end in End:
        rivals = _rivals(work, pair, link, end, wants[end], sides)
        disputed = {*rivals, *_unproven_disputes(work, pair, link, end, wants[end].keys() - rivals)}
        holds |= dict.fromkeys(disputed, (DISPUTE, ""))
        agreed = {name: told for name, told in wants[end].items() if name not in disputed}
        plan_writes(work, pair, link, end, rows[end.other], rows[end], agreed)
        for rival in {rival.id: rival for rival in rivals.values()}.values():
            if _is_planned(work, rival, end_name=pair.at(end).name, names=set(rivals)):
                merge_link(work, work.world.pair(rival.pair), rival)
    return holds


def _rivals(
    work: Work,
    pair: Pair,
    link: LinkRow,
    end: End,
    wants: Mapping[str, str],
    sides: Mapping[str, tuple[Side, Side]],
) -> dict[str, LinkRow]:
    """The fields for which a link of another pair wants another value in the same record, and that link."""
    if not wants:
        return {}
    rivals: dict[str, LinkRow] = {}
    for other, at, rival in _links_of_others(work, pair, link, end):
        source = work.tx.record(other.at(at.other).name, Kind(link.kind), getattr(rival, at.other) or "")
        target = work.tx.record(other.at(at).name, Kind(link.kind), getattr(rival, at) or "")
        if source is None or target is None or source.gone or target.gone:
            continue
        for name in wants.keys() & other.fields[Kind(link.kind)]:
            theirs = side(work, other, at.other, source, rival, name)
            ends = (theirs, side(work, other, at, target, rival, name))
            left, right = ends if at is End.RIGHT else ends[::-1]
            verdict = merge_field(name, left, right, owner=other.owners.get(name), rule=other.rule)
            if verdict == Verdict(Do.WRITE, at.other) and not agree(name, sides[name][end is End.LEFT], theirs):
                rivals[name] = rival
    return rivals


def _unproven_disputes(work: Work, pair: Pair, link: LinkRow, end: End, names: set[str]) -> list[str]:
    """Disputes that seem to be over, but of which the rival was not told since: it may have moved on."""
    unproven = []
    for hold in [each for each in _holds_of(work, link) if each.reason == DISPUTE and each.field in names]:
        agreed_at = hold.agreed_at or work.tx.now
        late = False
        for other, at, rival in _links_of_others(work, pair, link, end):
            source = work.tx.record(other.at(at.other).name, Kind(link.kind), getattr(rival, at.other) or "")
            if source is not None and not source.gone and source.told_at < agreed_at:
                late = True
                mark_speakers(work, other.at(at.other), source, "contested", Priority.READ)
        if late:
            unproven.append(hold.field)
            work.sql.execute(sa.update(schema.holds).where(schema.holds.c.id == hold.id).values(agreed_at=agreed_at))
            work.holds.pop(link.id, None)
    return unproven


def _links_of_others(work: Work, pair: Pair, link: LinkRow, end: End) -> list[tuple[Pair, End, LinkRow]]:
    """The links that other pairs have on the record at an end."""
    name, kind, id_ = pair.at(end).name, Kind(link.kind), getattr(link, end)
    others = [(one, one.end_of(name)) for one in work.world.pairs_of(name, kind) if one is not pair]
    found = [(one, at, work.tx.link_at(one.name, kind, at, id_)) for one, at in others]
    return [(one, at, rival) for one, at, rival in found if rival is not None]


def _disputed(work: Work, link: LinkRow) -> set[str]:
    """The fields for which two links are held because they want unlike values in one record."""
    return {hold.field for hold in _holds_of(work, link) if hold.reason == DISPUTE}


def _release_rivals(work: Work, pair: Pair, link: LinkRow, ended: set[str]) -> None:
    """A dispute that is over for one link is looked at anew by the other."""
    for end in End if ended else ():
        for other, _, rival in _links_of_others(work, pair, link, end):
            if ended & _disputed(work, rival):
                merge_link(work, other, rival)


def _is_planned(work: Work, rival: LinkRow, *, end_name: str, names: set[str]) -> bool:
    """Whether a write that a rival wants waits to go out."""
    pair, kind = work.world.pair(rival.pair), Kind(rival.kind)
    target = work.tx.record(end_name, kind, getattr(rival, pair.end_of(end_name)) or "")
    refs = _rows_to_write(work, work.world.connections[end_name], target) if target is not None else []
    planned = intents_on(work, end_name, kind, refs, UNSENT)
    return any(names & intent.wants.get(str(rival.id), {}).keys() for intent in planned)


def _said(left: Side, right: Side) -> str:
    """Worded values in clear, for the person who decides; nothing about others."""
    words = [word_of(one.now) or "empty" if one.words and one.now is not None else "" for one in (left, right)]
    return " / ".join(words) if any(words) else ""


def _move_bases(work: Work, link: LinkRow, name: str, moved: Mapping[End, str | None]) -> None:
    for end, told in moved.items():
        base: dict[str, str] = getattr(link, f"{end}_base")
        if told is not None and base.get(name) != told:
            base[name] = told
            work.tx.put_link(link)
    if link.decided and name in link.decided:
        link.decided = {key: value for key, value in link.decided.items() if key != name} or None
        work.tx.put_link(link)


def _note_drift(work: Work, pair: Pair, link: LinkRow, name: str, verdict: Verdict) -> None:
    end = verdict.source or End.RIGHT
    ref = getattr(link, end) or ""
    note(work, pair.at(end).name, link.kind, ref, "drift", link=link.id, fields=[name], detail=verdict.reason)


def _read_what_is_unread(
    work: Work, pair: Pair, rows: Mapping[End, RecordRow], sides: Mapping[str, tuple[Side, Side]]
) -> None:
    if work.learning:
        return
    for index, end in enumerate((End.LEFT, End.RIGHT)):
        if any(both[index].unread for both in sides.values()):
            mark_speakers(work, pair.at(end), rows[end], "details", Priority.BULK)


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


# --- intents --------------------------------------------------------------------------------------------------------


def plan_writes(
    work: Work, pair: Pair, link: LinkRow, end: End, source: RecordRow, target: RecordRow, wants: Mapping[str, str]
) -> None:
    """Make the intents at one end of a link exactly what is wanted there."""
    connection, kind = pair.at(end), Kind(target.kind)
    if work.learning:
        work.wanted += len(wants)
        return
    calls: dict[str, dict[str, str]] = {}
    for name, told in wants.items():
        calls.setdefault(connection.terms[kind].calls[name], {})[name] = told
    for ref in _rows_to_write(work, connection, target):
        member = work.tx.member(connection.name, ref) if connection.is_rows(kind) else None
        kept = set()
        for call, fields_ in calls.items():
            fresh = {n: t for n, t in fields_.items() if member is None or member.seen.get(n) != t}
            if fresh:
                kept.add(call)
                _want(work, pair, link, end, source, ref, call, fresh)
        _drop_others(work, connection.name, kind, ref, link, kept)


def _rows_to_write(work: Work, connection: Connection, target: RecordRow) -> list[str]:
    if not connection.is_rows(Kind(target.kind)):
        return [target.id]
    members = work.tx.members_of(connection.name, target.id)
    return [member.row for member in members if not member.gone and not member.frozen]


def _want(
    work: Work, pair: Pair, link: LinkRow, end: End, source: RecordRow, ref: str, call: str, told: Mapping[str, str]
) -> None:
    """Let one link want fields of one call on one record."""
    kind, connection, origin = Kind(link.kind), pair.at(end), pair.at(end.other)
    intent = next(iter(intents_on(work, connection.name, kind, [ref], UNSENT, call)), None)
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
            made_at=work.tx.now, due=work.tx.now,
        )  # fmt: skip
        note(work, connection.name, kind.value, ref, "update_planned", link=link.id, fields=sorted(part))
    elif intent.wants.get(str(link.id)) == part and intent.state == "held":
        return  # what was refused is refused still
    elif intent.wants.get(str(link.id)) != part:
        intent.state, intent.due, intent.tries, intent.reason = "open", work.tx.now, 0, None
        drop_intent_holds(work, intent)
    intent.wants[str(link.id)] = part
    if ROWS in intent.wants:
        intent.wants[ROWS] = {n: w for n, w in intent.wants[ROWS].items() if n not in part}
        if not intent.wants[ROWS]:
            del intent.wants[ROWS]
    intent.told_at = max(intent.told_at, source.told_at)
    work.wanted += 1
    save_intent(work, intent, _only_wanted(intent, values))


def _only_wanted(intent: IntentRow, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {name for part in intent.wants.values() for name in part}
    return {name: value for name, value in values.items() if name in names}


def _drop_others(work: Work, connection: str, kind: Kind, ref: str, link: LinkRow, kept: set[str]) -> None:
    """A link no longer wants what it wanted of other calls."""
    for intent in intents_on(work, connection, kind, [ref], UNSENT):
        if intent.call not in kept and str(link.id) in intent.wants:
            _drop_part(work, intent, str(link.id))


def drop_wants(work: Work, link: LinkRow, _fields: frozenset[str]) -> None:
    """A link wants nothing any more."""
    pair = work.world.pair(link.pair)
    for end in End:
        ref = getattr(link, end)
        target = work.tx.record(pair.at(end).name, Kind(link.kind), ref) if ref else None
        for row in _rows_to_write(work, pair.at(end), target) if target else []:
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


def load(work: Work, pair: Pair, kind: Kind, end: End, ids: Iterable[str]) -> None:
    """Read in a few statements what settling many records will need: links, other ends, intents, holds."""
    ids = list(ids)
    work.tx.load_links(pair.name, kind, end, ids)
    links = [link for id_ in ids if (link := work.tx.link_at(pair.name, kind, end, id_)) is not None]
    across = [id_ for link in links if (id_ := getattr(link, end.other)) is not None]
    other = pair.at(end.other)
    work.tx.load_records(other.name, kind, across)
    for connection, people in ((pair.at(end), ids), (other, across)):
        refs = people
        if connection.is_rows(kind):
            work.tx.load_people(connection.name, people)
            refs = [member.row for person in people for member in work.tx.members_of(connection.name, person)]
        load_intents(work, connection.name, kind, refs)
    load_holds(work, [link.id for link in links])


def save_intent(work: Work, intent: IntentRow, values: Mapping[str, Any] | None = None) -> None:
    """Keep an intent; with values, seal them."""
    if values is not None:
        intent.sealed = work.world.seal(values, intent.id)
    work.woken.add(intent.connection)
    if intent.ref is not None:
        key = (intent.connection, intent.kind, intent.ref)
        known = work.intents.get(key)
        if known is not None:
            work.intents[key] = [*(other for other in known if other.id != intent.id), intent]
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


# --- holds, marks, journal ------------------------------------------------------------------------------------------


def sync_holds(
    work: Work,
    pair: Pair,
    link: LinkRow,
    holds: Mapping[str, tuple[str, str]],
    sides: Mapping[str, tuple[Side, Side]],
) -> None:
    """Make the open holds of a link's merge exactly these: one a field, none twice."""
    end = End.LEFT if link.left is not None else End.RIGHT
    ref = getattr(link, end)
    if not holds and not _holds_of(work, link):
        return
    holds, digests = _at_first_sight_together(holds, sides)
    work.holds.pop(link.id, None)
    _sync(work, (schema.holds.c.link == link.id,), holds, {
        "pair": pair.name, "connection": pair.at(end).name, "kind": link.kind, "ref": ref, "link": link.id,
    }, digests)  # fmt: skip


def _at_first_sight_together(
    holds: Mapping[str, tuple[str, str]], sides: Mapping[str, tuple[Side, Side]]
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str | None, str | None]]]:
    """(holds, digests of both ends); two records that differ in several fields at first sight are one question."""
    digests = {name: (both[0].now, both[1].now) for name, both in sides.items()}
    first = sorted(n for n in holds if n in sides and holds[n][0] in CONFLICTS and None in {s.base for s in sides[n]})
    if len(first) < 2:
        return dict(holds), digests
    together, reasons = " ".join(first), {holds[name][0] for name in first}
    left, right = (" ".join(digests[name][index] or "" for name in first) for index in (0, 1))
    kept = {name: hold for name, hold in holds.items() if name not in first}
    reason = "other_name" if "other_name" in reasons else min(reasons)
    return {**kept, together: (reason, "")}, {**digests, together: (left, right)}


def hold_record(work: Work, pair: Pair, row: RecordRow, holds: Mapping[str, tuple[str, str]]) -> None:
    """Make the open holds of an unlinked record in a pair exactly these."""
    if work.learning:
        return
    table = schema.holds.c
    where = (
        table.connection == row.connection,
        table.kind == row.kind,
        table.ref == row.id,
        table.pair == pair.name,
        table.link.is_(None),
    )
    what = {"pair": pair.name, "connection": row.connection, "kind": row.kind, "ref": row.id, "link": None}
    _sync(work, where, holds, what, {})


def _sync(
    work: Work,
    where: tuple[sa.ColumnElement[bool], ...],
    holds: Mapping[str, tuple[str, str]],
    what: Mapping[str, Any],
    digests: Mapping[str, tuple[str | None, str | None]],
) -> None:
    table = schema.holds
    open_ = {found.field: found for found in work.sql.execute(sa.select(table).where(*where, table.c.intent.is_(None)))}
    for name, found in open_.items():
        if name not in holds or found.reason != holds[name][0]:
            work.sql.execute(sa.delete(table).where(table.c.id == found.id))
        elif (told := digests.get(name)) is not None and told != (found.left_digest, found.right_digest):
            now = {"left_digest": told[0], "right_digest": told[1], "detail": holds[name][1], "agreed_at": None}
            work.sql.execute(sa.update(table).where(table.c.id == found.id).values(now))
    for name, (reason, detail) in holds.items():
        if name in open_ and open_[name].reason == reason:
            continue
        left, right = digests.get(name, (None, None))
        row = {"intent": None, "field": name, "reason": reason, "detail": detail, "left_digest": left,
               "right_digest": right, "opened_at": work.tx.now}  # fmt: skip
        work.sql.execute(sa.insert(table).values({**what, **row}))
        fields_ = [name] if name else []
        note(work, what["connection"], what["kind"], what["ref"], "held", link=what["link"], fields=fields_,
             detail=reason)  # fmt: skip


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


def drop_intent_holds(work: Work, intent: IntentRow) -> None:
    """Close the holds of an intent."""
    work.sql.execute(sa.delete(schema.holds).where(schema.holds.c.intent == intent.id))


def mark(
    work: Work, connection: str, kind: Kind, ref: str, why: str, priority: Priority, due: float | None = None
) -> None:
    """Let a record be read again by id; the more urgent of two reasons stays.

    A mark that is due already is due from now, so that a reading which was asked for before does not answer it.
    """
    table = schema.marks
    where = (table.c.connection == connection, table.c.kind == kind.value, table.c.ref == ref)
    found = work.sql.execute(sa.select(table).where(*where)).first()
    due = work.tx.now if due is None else due
    row = {"connection": connection, "kind": kind.value, "ref": ref, "why": why, "priority": int(priority),
           "due": due, "tries": 0}  # fmt: skip
    if found is not None:
        row["due"] = min(max(found.due, work.tx.now), due)
        if found.priority <= int(priority):
            row |= {"priority": found.priority, "why": found.why}
    upsert(work.sql, table, [row])
    work.woken.add(connection)


def mark_speakers(work: Work, connection: Connection, row: RecordRow, why: str, priority: Priority) -> None:
    """Mark a record, or of a person that is a set of rows each row that speaks for it."""
    refs = {row.id}
    if connection.is_rows(Kind(row.kind)):
        alive = [member.row for member in work.tx.members_of(connection.name, row.id) if not member.gone]
        refs = {ref for ref in (row.speakers or {}).values() if ref in alive} or set(alive[:1])
    for ref in sorted(refs):
        mark(work, connection.name, Kind(row.kind), ref, why, priority)


def note(
    work: Work,
    connection: str,
    kind: str,
    ref: str,
    what: str,
    *,
    link: int | None = None,
    fields: list[str] | None = None,
    detail: str = "",
) -> None:
    """Write one line of the journal: field names, never values."""
    row = {"at": work.tx.now, "connection": connection, "kind": kind, "ref": ref, "link": link, "what": what,
           "fields": fields or [], "detail": detail}  # fmt: skip
    work.sql.execute(_NOTE, row)


_NOTE = sa.insert(schema.journal)
