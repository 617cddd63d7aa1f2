"""Whether a record is made at the other end, and what its create bears."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from syncd import matching, schema
from syncd.finding import across, bears, look_up
from syncd.holds import hold_record
from syncd.intents import creation_of, drop_creation, save_intent
from syncd.limits import Priority
from syncd.mapping import NAMES, WORDED, Terms, digest_value, split_name, word_of
from syncd.matching import Found, How, Likeness
from syncd.model import Kind, Value
from syncd.plan import in_scope, is_recent
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.setup import Connection, Pair
from syncd.work import CREATE, FIRST, Work, mark_speakers, note

NextPoll = Callable[[Connection, float], float]  # when a list that was read at a time is to be read again
GRACE_S = 60.0  # a list is late by more than this, and by more than the time between two polls
LONG_WALK_S = 3600.0  # a list that is read for longer may have been left in the middle


def may_create(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Whether a record may be created at the other end at all: direction, ability, scope."""
    kind, other = Kind(row.kind), pair.at(end.other)
    terms = other.terms[kind]
    if not pair.flows_to(kind, end.other) or not is_recent(pair, row):
        return False
    if kind is Kind.CANDIDATE:
        if not pair.carried_to(Kind.APPLICATION):
            return terms.creates is not None
        if terms.creates is None or bears(pair, end):
            return False  # comes with its application
        return _has_linked_application(work, pair, end, row)
    makes_person = (
        kind is Kind.APPLICATION and bears(pair, end) and across(work, pair, end, Kind.CANDIDATE, row.candidate) is None
    )
    if makes_person and not pair.flows_to(Kind.CANDIDATE, end.other):
        return False
    return terms.creates is not None and _in_scope(work, pair, end, row)


def _in_scope(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """A job by itself; an application by its job, as either end tells it (a draft may stand for an open job)."""
    if Kind(row.kind) is Kind.JOB:
        return in_scope(pair, row, _status_of(pair.at(end), row))
    ids = {end: row.job, end.other: across(work, pair, end, Kind.JOB, row.job)}
    jobs = {at: work.tx.record(pair.at(at).name, Kind.JOB, id_) for at, id_ in ids.items() if id_ is not None}
    return any(job is not None and in_scope(pair, job, _status_of(pair.at(at), job)) for at, job in jobs.items())


def _status_of(connection: Connection, row: RecordRow) -> str | None:
    told = row.seen.get("status")
    word = word_of(told) if told else None
    return connection.vocabulary.words["status"].ours(word) if word else None


def _has_linked_application(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    applications = work.tx.alike(row.connection, Kind.APPLICATION, "candidate", row.id)
    return any(
        across(work, pair, end, Kind.JOB, application.job) and _in_scope(work, pair, end, application)
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


def is_behind(work: Work, connection: Connection, kind: Kind, next_poll: NextPoll, *, scheduled: bool) -> bool:
    """Whether a list that would tell the likeness of what is to be created has missed more than a whole poll.

    Where lists are not read by themselves (``scheduled``), only one that is being read is waited for.
    """
    kinds = {kind, Kind.CANDIDATE} if connection.terms[kind].facts.bears_person else {kind}
    walks = [walk for walk in work.world.walks_of(connection.name) if kinds & set(walk.kinds)]
    return any(_has_missed_a_poll(work, connection, walk.name, next_poll, scheduled=scheduled) for walk in walks)


def _has_missed_a_poll(work: Work, connection: Connection, walk: str, next_poll: NextPoll, *, scheduled: bool) -> bool:
    """A list that was begun in time is in time, though reading it take a while."""
    found = work.sql.execute(_READING, {"of": connection.name, "list": walk}).one_or_none()
    mode, started_at, polled_at = ("idle", 0.0, 0.0) if found is None else (found[0], found[1] or 0.0, found[2] or 0.0)
    if mode == "idle" and not scheduled:
        return False
    due = next_poll(connection, polled_at)
    is_under_way = mode != "idle" and started_at > work.tx.now - LONG_WALK_S
    return (started_at if is_under_way else work.tx.now) > due + max(GRACE_S, due - polled_at)


_READING = sa.select(schema.cursors.c.mode, schema.cursors.c.started_at, schema.cursors.c.polled_at).where(
    schema.cursors.c.connection == sa.bindparam("of"), schema.cursors.c.walk == sa.bindparam("list")
)


def create(work: Work, pair: Pair, end: End, row: RecordRow) -> bool:
    """Make the intent to create a record at the other end; tells whether nothing is left to do."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if not may_create(work, pair, end, row):
        hold_record(work, pair, row, {})
        return not (kind is Kind.CANDIDATE and pair.flows_to(kind, end.other))
    if work.learning or not is_swept(work, other, kind):
        work.wanted += 1
        return False
    if lost := _lost_parent(work, pair, end, row):
        hold_record(work, pair, row, {"": ("parent_vanished", lost.value)})
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
        if person is not None:
            _make_room(work, pair, end, person)
        _open_create(work, pair, end, row, draft, person, borne)
    return False


def _lost_parent(work: Work, pair: Pair, end: End, row: RecordRow) -> Kind | None:
    """The kind of an application's parent that is linked with one that is there no more."""
    parents = ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate)) if Kind(row.kind) is Kind.APPLICATION else ()
    for kind, id_ in parents:
        target = work.tx.record(pair.at(end.other).name, kind, across(work, pair, end, kind, id_) or "")
        if target is not None and target.gone:
            return kind
    return None


def _person_to_bear(work: Work, pair: Pair, end: End, row: RecordRow) -> tuple[RecordRow | None, str]:
    """The person whom an application's create bears; why it cannot be, or "waits" for its own create to end."""
    if Kind(row.kind) is not Kind.APPLICATION or not bears(pair, end):
        return None, ""
    person = work.tx.record(row.connection, Kind.CANDIDATE, row.candidate or "")
    if person is None:
        return None, "waits"
    link = work.tx.link_at(pair.name, Kind.CANDIDATE, end, person.id)
    if link is not None and getattr(link, end.other) is None:
        if _given_up(work, link) is None:
            return None, "waits"
        link = None
    if link is not None and pair.at(end.other).terms[Kind.APPLICATION].facts.only_newborn:
        return None, "second_application"
    if link is None:
        found = look_up(work, pair, end, person)
        match = matching.judge(Kind.CANDIDATE, Likeness(person.id, person.key), found or Found())
        if match.how is not How.CREATE:
            return None, match.by if match.how is How.HOLD else "waits"
    return person, ""


def _given_up(work: Work, link: LinkRow) -> IntentRow | None:
    """A person's create that came to nothing, as the job of its application is gone: the next one may bear her."""
    intent = creation_of(work, link)
    return intent if intent is not None and (intent.state, intent.reason) == ("held", "parent_gone") else None


def _make_room(work: Work, pair: Pair, end: End, person: RecordRow) -> None:
    link = work.tx.link_at(pair.name, Kind.CANDIDATE, end, person.id)
    given_up = _given_up(work, link) if link is not None else None
    if given_up is not None:
        drop_creation(work, given_up)


Draft = dict[str, tuple[Value, str, str, bool]]  # field -> value, wanted digest, source digest, from a default


def _draft(
    work: Work, pair: Pair, end: End, row: RecordRow, terms: Terms
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    """What a create bears: (draft, holds, whether something must be read first)."""
    return _fill(work, pair, end, row, terms.creates or frozenset(), terms.demands)


def _draft_person(
    work: Work, pair: Pair, end: End, person: RecordRow, terms: Terms
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    target = pair.at(end.other).terms[Kind.CANDIDATE]
    return _fill(work, pair, end, person, _of_person(target), terms.person_demands)


def _fill(
    work: Work,
    pair: Pair,
    end: End,
    row: RecordRow,
    borne: frozenset[str],
    demands: frozenset[str],
) -> tuple[Draft, dict[str, tuple[str, str]], bool]:
    kind, source, target = Kind(row.kind), pair.at(end), pair.at(end.other)
    draft: Draft = {}
    holds: dict[str, tuple[str, str]] = {}
    unread = False
    for name in sorted(name for name in borne if row.seen.get(name)):
        told = row.seen[name]
        known, value = work.value(source.name, kind, row, name)
        if not known:
            unread = True
        elif name in WORDED:
            _fill_word(source, target, name, str(value), told, draft, holds)
        else:
            draft[name] = (value, told, told, False)
    _fill_names(draft, borne)
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


def _fill_names(draft: Draft, borne: frozenset[str]) -> None:
    """Give a system that wants a first and a last name the parts of a full name that is all we know."""
    if "name" not in draft or not {"first_name", "last_name"} & borne or NAMES & set(draft) != {"name"}:
        return
    value, _, source, _ = draft["name"]
    for name, part in zip(("first_name", "last_name"), split_name(str(value)), strict=True):
        if part and name in borne:
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
        made_at=work.tx.now, due=work.tx.now, origin=work.origin,
    )  # fmt: skip
    save_intent(work, intent, sealed)
    note(work, other.name, kind.value, "", "create_planned", link=link.id, fields=sorted(draft))
    work.wanted += 1


def borne(pair: Pair, end: End, intent: IntentRow, row: RecordRow) -> frozenset[str]:
    """The fields of a record that the create at an end bears."""
    terms = pair.at(end).terms
    if intent.kind == row.kind:
        return terms[Kind(row.kind)].creates or frozenset()
    return _of_person(terms[Kind.CANDIDATE])


def _of_person(terms: Terms) -> frozenset[str]:
    """The fields of a person that an application's create bears."""
    return terms.creates if terms.creates is not None else frozenset(terms.calls) | {"email"}
