"""What systems tell becomes rows: pages of a walk, answers to a get. Each page is one short transaction.

A page feeds every pair that its connection belongs to. Unchanged pages whose records are all settled cost one row. The
cursor of a walk moves once, at its proven end; only then does an absence count, and it only holds.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from syncd import people, reuse, schema, tombstones
from syncd.connector import Walk
from syncd.finding import load_alike
from syncd.holds import CHOOSING
from syncd.limits import Priority
from syncd.mapping import EMPTY, digests, key_text
from syncd.merging import merge_link
from syncd.model import Kind, Page, Record, Ref, Value
from syncd.rows import RecordRow
from syncd.settle import load, settle
from syncd.setup import Connection, Pair
from syncd.store import upsert
from syncd.tombstones import Sighting
from syncd.work import FIRST, UNREAD, Work, mark, mark_speakers, note

LIST, READ, GET = "list", "read", "get"  # a row of a list, a get, and a get that judges a write of ours
AHEAD_S = 86_400.0  # no system's clock is ahead of ours by more: such a cursor was edited by hand
PASSED_TOGETHER = 20  # unchanged pages in one commit: a commit takes as long as fetching a page


@dataclass(frozen=True, slots=True)
class Told:
    """A record as told, with its values in our words and their digests."""

    record: Record
    values: dict[str, Value]
    digests: dict[str, str]


def absorb(
    work: Work, connection: Connection, records: Iterable[Record], view: str, walk: tuple[str, int, str] | None = None
) -> dict[tuple[str, str], bool]:
    """Take in what records tell, parents first; (kind, id) -> whether anything about the record changed.

    ``walk``: name, number and position of the page in a walk, for presence. Nothing is settled yet.
    """
    known = [_told(work, connection, record) for record in records if record.ref.kind in connection.terms]
    known = _without_erased(work, connection, known)
    _load(work, connection, known)
    known, touched = _without_strangers(work, connection, known)
    for one in sorted(known, key=lambda one: _order(connection, one.record.ref)):
        row, changed = _absorb_one(work, connection, one, view, walk)
        touched[row.kind, row.id] = touched.get((row.kind, row.id), False) or changed
    return touched


def _order(connection: Connection, ref: Ref) -> tuple[int, int, str]:
    """Parents first; of a person's rows the lowest number first, since it names her."""
    by_number = connection.is_rows(ref.kind)
    return FIRST[ref.kind], len(ref.id) if by_number else 0, ref.id if by_number else ""


def _told(work: Work, connection: Connection, record: Record) -> Told:
    values = connection.vocabulary.read(record)
    return Told(record, values, digests(values, work.world.digest))


def _without_erased(work: Work, connection: Connection, known: list[Told]) -> list[Told]:
    """Nothing of erased people is taken in."""
    told = [Sighting(one.record, one.values.get("email"), one.digests.get("resume")) for one in known]
    hers = tombstones.dropped(work, connection, told)
    return [one for one in known if one.record.ref not in hers] if hers else known


def _without_strangers(
    work: Work, connection: Connection, known: list[Told]
) -> tuple[list[Told], dict[tuple[str, str], bool]]:
    """Who bears the id of somebody else waits until nothing is linked with that one, who is gone; what was touched."""
    touched: dict[tuple[str, str], bool] = {}
    strange = set()
    for one in known:
        record, before = one.record, reuse.known_as(work, connection, one.record)
        if before is None or not reuse.is_another(record, one.digests, before):
            continue
        if not reuse.make_room(work, connection, record, before):
            strange.add(record.ref)
            touched |= lose(work, connection, record.ref)
            reuse.set_aside(work, connection, record)
    return [one for one in known if not reuse.about(one.record) & strange], touched


def settle_all(work: Work, connection: Connection, touched: dict[tuple[str, str], bool]) -> None:
    """Settle what changed or was not settled, parents first; a person again after its applications."""
    for kind in FIRST:
        ids = [id_ for told, id_ in touched if told == kind.value]
        if ids:
            _settle_kind(work, connection, kind, ids, touched)
    if not work.learning:
        _settle_waiting_people(work, connection, touched)
        _settle_waiting_applications(work, connection, touched)


def _settle_kind(
    work: Work, connection: Connection, kind: Kind, ids: list[str], touched: dict[tuple[str, str], bool]
) -> None:
    rows = [row for id_ in ids if (row := work.tx.record(connection.name, kind, id_)) is not None]
    wanted = [row for row in rows if touched[row.kind, row.id] or row.settled != work.world.stamp]
    for pair in work.world.pairs_of(connection.name, kind):
        load_alike(work, pair, kind, pair.end_of(connection.name), wanted)
    for row in rows:
        if touched[row.kind, row.id] or row.settled != work.world.stamp:
            settle(work, connection.name, kind, row.id)


def _settle_waiting_applications(work: Work, connection: Connection, touched: dict[tuple[str, str], bool]) -> None:
    """An application whose create bears its person waits for that person's values."""
    ids = [id_ for (kind, id_), changed in touched.items() if kind == Kind.CANDIDATE.value and changed]
    work.tx.load_alike(connection.name, Kind.APPLICATION, "candidate", ids)
    for id_ in ids:
        for child in work.tx.alike(connection.name, Kind.APPLICATION, "candidate", id_):
            if child.settled is None and (child.kind, child.id) not in touched:
                settle(work, connection.name, Kind.APPLICATION, child.id)


def _settle_waiting_people(work: Work, connection: Connection, touched: dict[tuple[str, str], bool]) -> None:
    """A person waits for an application in scope; one may have come on this very page, or one on another."""
    people_seen = {id_ for kind, id_ in touched if kind == Kind.CANDIDATE.value}
    for kind, id_ in touched:
        row = work.tx.record(connection.name, Kind(kind), id_) if kind == Kind.APPLICATION.value else None
        if row is None or row.candidate is None or row.candidate in people_seen:
            continue
        people_seen.add(row.candidate)
        settle(work, connection.name, Kind.CANDIDATE, row.candidate)


def _load(work: Work, connection: Connection, known: list[Told]) -> None:
    """Read in a few statements what a page will need row by row."""
    by_kind: dict[Kind, list[str]] = {}
    for one in known:
        by_kind.setdefault(one.record.ref.kind, []).append(one.record.ref.id)
    if connection.facts.rows and Kind.CANDIDATE in by_kind:
        rows = by_kind.pop(Kind.CANDIDATE)
        work.tx.load_members(connection.name, rows)
        told = [one for one in known if one.record.ref.kind is Kind.CANDIDATE]
        emails = [one.digests.get("email") for one in told if not people.person_of(work, connection, one.record.ref.id)]
        work.tx.load_alike(connection.name, Kind.CANDIDATE, "key", emails)
        same = {row.id for email in emails for row in work.tx.alike(connection.name, Kind.CANDIDATE, "key", email)}
        by_kind[Kind.CANDIDATE] = sorted(same | {people.person_of(work, connection, row) or row for row in rows})
    for kind, ids in by_kind.items():
        work.tx.load_records(connection.name, kind, ids)
        for pair in work.world.pairs_of(connection.name, kind):
            load(work, pair, kind, pair.end_of(connection.name), ids)


def _absorb_one(
    work: Work, connection: Connection, one: Told, view: str, walk: tuple[str, int, str] | None
) -> tuple[RecordRow, bool]:
    record, values, told = one.record, one.values, one.digests
    kind, now = record.ref.kind, work.tx.now
    stirred = _is_stirred(work, connection, record)
    if _is_doubtful(work, connection, record, told, view):
        stirred = False
        work.doubted.add((connection.name, record.ref))
        mark(work, connection.name, kind, record.ref.id, "doubtful", Priority.READ, _believed_at(work, connection))
        told, values = _sure(told), _sure(values)
    work.values[connection.name, kind.value, record.ref.id] = values
    if connection.is_rows(kind):
        row, changed = people.absorb_row(work, connection, record, told)
        row.gone = False
    else:
        row, changed = _absorb_plain(work, connection, record, told, values)
    if view != LIST:
        row.read_at = now
    elif stirred and _leaves_out(work, connection, kind, told):
        mark(work, connection.name, kind, record.ref.id, "untold", Priority.READ)
    elif (stirred or changed) and row.read_at is not None:
        _details_are_old(work, connection, record, row)
    row.told_at = now
    if walk is not None and not connection.is_rows(kind):
        row.walk, row.walk_no, row.page = walk
    work.tx.put_record(row)
    return row, changed


def _sure(told: dict[str, Any]) -> dict[str, Any]:
    """What is believed of a doubtful row: a résumé, which some lists alone tell, and no write of ours makes older."""
    return {name: one for name, one in told.items() if name == "resume"}


def _is_stirred(work: Work, connection: Connection, record: Record) -> bool:
    """Whether a known record has another version now: what changed may be what this list does not tell."""
    kind = record.ref.kind
    row = None if connection.is_rows(kind) else work.tx.record(connection.name, kind, record.ref.id)
    return row is not None and record.version is not None and record.version != row.version


def _leaves_out(work: Work, connection: Connection, kind: Kind, told: dict[str, str]) -> bool:
    """Whether a list's row leaves out what lists usually tell: Workable's do not say which flag lies over a stage."""
    usual = connection.terms[kind].lists - told.keys()
    return any(usual & pair.fields[kind] for pair in work.world.pairs_of(connection.name, kind))


def _details_are_old(work: Work, connection: Connection, record: Record, row: RecordRow) -> None:
    """What only a get tells may have changed: it is read, or forgotten until there is a pair again that compares it."""
    kind = record.ref.kind
    if _has_details(work, connection, kind):
        mark(work, connection.name, kind, record.ref.id, "details", Priority.BULK)
    elif not connection.is_rows(kind):
        row.read_at = None
        row.seen = {name: told for name, told in row.seen.items() if name not in connection.terms[kind].details}


def _has_details(work: Work, connection: Connection, kind: Kind) -> bool:
    """Whether a get tells more that some pair compares; where a person is rows, an application's get tells hers too."""
    kinds = {kind, Kind.CANDIDATE} if connection.facts.rows and kind is Kind.APPLICATION else {kind}
    return any(
        connection.terms[each].details & (pair.fields[each] | _sent_on(pair, connection, each))
        for each in kinds
        for pair in work.world.pairs_of(connection.name, each)
    )


def _sent_on(pair: Pair, connection: Connection, kind: Kind) -> frozenset[str]:
    """What a pair compares with nothing, and sends on from here: a résumé."""
    is_sent = kind is Kind.APPLICATION and pair.end_of(connection.name).other in pair.resumes
    return frozenset({"resume"}) if is_sent else frozenset()


def _is_doubtful(work: Work, connection: Connection, record: Record, told: dict[str, str], view: str) -> bool:
    """What tells an older state than we know, or what a write of ours has just replaced, is not believed yet.

    A get may come from a copy that is behind just as a list may; only its time of change is not held against it, as it
    is what doubtful rows are judged by. What never stood there before our write is somebody's edit after it.
    """
    kind = Kind.APPLICATION if connection.is_rows(record.ref.kind) else record.ref.kind
    row = work.tx.record(connection.name, kind, record.ref.id)
    if row is None or view == GET:
        return False
    is_older = record.updated_at is not None and row.updated_at is not None and record.updated_at < row.updated_at
    if is_older and view == LIST:
        return True
    if record.ref.kind is not kind or not is_just_written(work, connection, row):
        return False
    replaced = row.replaced or {}
    return any(row.seen.get(name) != digest and digest in replaced.get(name, ()) for name, digest in told.items())


def is_just_written(work: Work, connection: Connection, row: RecordRow) -> bool:
    """Whether a copy of the record that is behind our last write may still be told."""
    return row.written_at is not None and work.tx.now < row.written_at + connection.facts.visible_s


def _believed_at(work: Work, connection: Connection) -> float:
    return work.tx.now + connection.facts.visible_s


def _absorb_plain(
    work: Work, connection: Connection, record: Record, told: dict[str, str], values: dict[str, Value]
) -> tuple[RecordRow, bool]:
    ref = record.ref
    row = work.tx.record(connection.name, ref.kind, ref.id)
    if row is None:
        row = RecordRow(connection.name, ref.kind.value, ref.id, work.tx.now, created_at=record.created_at)
        changed = True
    else:
        changed = row.gone
    told = _without_defaults(work, connection, row, told)
    seen = {**row.seen, **told}
    parents = (_job_of(record), _candidate_of(work, connection, record))
    changed = changed or seen != row.seen or (row.job, row.candidate) != parents or row.gone
    row.seen, row.gone = seen, False
    row.application = record.parents.get(Kind.APPLICATION) or row.application
    row.job, row.candidate = (new or old for new, old in zip(parents, (row.job, row.candidate), strict=True))
    row.source_id = record.source_id or row.source_id
    row.version = record.version
    row.created_at = row.created_at if row.created_at is not None else record.created_at  # few creates answer it
    row.updated_at = record.updated_at if record.updated_at is not None else row.updated_at
    traits = sorted(record.traits) or None
    changed = changed or traits != row.traits
    row.traits, row.url = traits, record.url or row.url
    _key(work, row, told, values)
    return row, changed


def _without_defaults(work: Work, connection: Connection, row: RecordRow, told: dict[str, str]) -> dict[str, str]:
    """A default that we wrote is no value; once somebody has replaced it, it is one."""
    kept = dict(told)
    for name in list(row.defaulted or ()):
        if name in told and _is_default(work, connection.name, name, told[name]):
            del kept[name]
        elif name in told:
            row.defaulted = [other for other in row.defaulted or () if other != name] or None
    return kept


def _is_default(work: Work, connection: str, name: str, digest: str) -> bool:
    table = schema.defaults.c
    where = (table.connection == connection, table.field == name, table.digest == digest)
    return work.sql.execute(sa.select(table.digest).where(*where)).first() is not None


def _job_of(record: Record) -> str | None:
    return record.parents.get(Kind.JOB)


def _candidate_of(work: Work, connection: Connection, record: Record) -> str | None:
    parent = record.parents.get(Kind.CANDIDATE)
    if parent is None or not connection.facts.rows:
        return parent
    return people.person_of(work, connection, parent) or parent


def _key(work: Work, row: RecordRow, told: dict[str, str], values: dict[str, Value]) -> None:
    """The natural key, as digests; a department is about no person and stands in clear for the scope."""
    if row.kind == Kind.CANDIDATE.value and "email" in told:
        row.key = told["email"] or None
    elif row.kind == Kind.JOB.value:
        if "code" in told:
            row.key = _folded(work, "code", values["code"])
        if "title" in told:
            row.title_key = _folded(work, "title", values["title"])
        if "department" in told:
            row.department = None if told["department"] == EMPTY else str(values["department"])


def _folded(work: Work, name: str, value: Value) -> str | None:
    return None if value is None else work.world.digest(f"key.{name}", key_text(str(value)))


# --- walks ----------------------------------------------------------------------------------------------------------


def absorb_page(
    work: Work,
    connection: Connection,
    walk: Walk,
    position: str,
    page: Page,
    *,
    since: float | None,
    passed: list[str] | None = None,
) -> bool:
    """Take in one page of a walk; tells whether it was unchanged and settled, and so passed at once.

    ``passed``: positions of unchanged pages, this one added, that are to be written down with the next page that
    writes anything, or with many of them. A stop forgets them, and the walk goes on behind the last page that wrote.
    """
    cursor = cursor_of(work.sql, connection.name, walk.name)
    no: int = cursor["walk_no"]
    stamp = f"{work.world.stamp}{'?' if work.learning else ''}"
    together = [] if passed is None else passed
    if since is None and _is_unchanged(work, connection.name, walk.name, position, page, stamp):
        together.append(position)
        begins = bool(walk.since) and cursor["first_served_at"] is None
        if passed is None or begins or len(together) >= PASSED_TOGETHER:
            keep_passed(work, connection.name, walk.name, together)
        if begins:
            _advance(work, cursor, page, [])
        return True
    keep_passed(work, connection.name, walk.name, together)
    records = [r for r in page.records if since is None or r.updated_at is None or r.updated_at >= since]
    if since is None:
        _free_page(work, connection.name, walk.name, position)
    dropped = dict(work.dropped)
    touched = absorb(work, connection, records, LIST, (walk.name, no, position) if since is None else None)
    settle_all(work, connection, touched)
    if since is None and dropped == work.dropped:  # of a page that tells an erased person no digest is kept
        _keep_page(work, connection, walk.name, position, page, no, stamp, touched)
    _advance(work, cursor, page, records)
    return False


def _is_unchanged(work: Work, connection: str, walk: str, position: str, page: Page, stamp: str) -> bool:
    where = {"of": connection, "list": walk, "at": position, "told": page.digest, "stamp": stamp}
    return work.sql.execute(_SAME, where).first() is not None


def keep_passed(work: Work, connection: str, walk: str, passed: list[str]) -> None:
    """Write down that these pages were told, unchanged, in the walk that is under way; none is left to be."""
    if passed:
        no = cursor_of(work.sql, connection, walk)["walk_no"]
        work.sql.execute(_PASS, [{"of": connection, "list": walk, "at": at, "no": no} for at in passed])
        passed.clear()


def _free_page(work: Work, connection: str, walk: str, position: str) -> None:
    """Records that stood on this page must prove their presence anew."""
    work.sql.execute(_FREE, {"of": connection, "list": walk, "at": position})


# Made once: building a statement costs more than running it.
_pages, _cursors = schema.pages.c, schema.cursors.c
_THIS_PAGE = (
    _pages.connection == sa.bindparam("of"),
    _pages.walk == sa.bindparam("list"),
    _pages.position == sa.bindparam("at"),
)
_AS_BEFORE = (_pages.digest == sa.bindparam("told"), _pages.settled == sa.bindparam("stamp"))
_SAME = sa.select(_pages.walk_no).where(*_THIS_PAGE, *_AS_BEFORE)
_PASS = sa.update(schema.pages).where(*_THIS_PAGE).values(walk_no=sa.bindparam("no"))
_FREE = sa.delete(schema.pages).where(*_THIS_PAGE)
_THIS_WALK = (_cursors.connection == sa.bindparam("of"), _cursors.walk == sa.bindparam("list"))
_CURSOR = sa.select(schema.cursors).where(*_THIS_WALK)
_ADVANCE = (
    sa.update(schema.cursors)
    .where(*_THIS_WALK)
    .values(token=sa.bindparam("next"), high=sa.bindparam("latest"), first_served_at=sa.bindparam("served"))
)


def _keep_page(
    work: Work,
    connection: Connection,
    walk: str,
    position: str,
    page: Page,
    walk_no: int,
    stamp: str,
    touched: dict[tuple[str, str], bool],
) -> None:
    rows = [work.tx.record(connection.name, Kind(kind), id_) for kind, id_ in touched]
    settled = work.learning or all(row is None or row.settled == work.world.stamp for row in rows)
    upsert(work.sql, schema.pages, [{
        "connection": connection.name, "walk": walk, "position": position, "digest": page.digest, "walk_no": walk_no,
        "told_no": walk_no, "settled": stamp if settled else None,
    }])  # fmt: skip


def cursor_of(connection: sa.Connection, name: str, walk: str) -> dict[str, Any]:
    """A walk's row, made when it is first asked for."""
    this = {"of": name, "list": walk}
    found = connection.execute(_CURSOR, this).mappings().one_or_none()
    if found is None:
        connection.execute(sa.insert(schema.cursors).values(connection=name, walk=walk))
        found = connection.execute(_CURSOR, this).mappings().one()
    return dict(found)


def _advance(work: Work, cursor: dict[str, Any], page: Page, records: list[Record]) -> None:
    """The walk goes on behind this page."""
    times = [record.updated_at for record in records if record.updated_at is not None]
    known = cursor["high"]
    high = max([*times, *([known] if isinstance(known, float) else [])], default=None)
    first = cursor["first_served_at"] if cursor["first_served_at"] is not None else page.served_at
    this = {"of": cursor["connection"], "list": cursor["walk"]}
    work.sql.execute(_ADVANCE, {**this, "next": page.next, "latest": high, "served": first})


def begin_walk(
    connection: sa.Connection, name: str, walk: Walk, now: float, *, sweep: bool, overlap_s: float
) -> dict[str, Any]:
    """Start a walk, or leave one that is under way; a sweep takes the place of a poll. Returns the cursor."""
    cursor = cursor_of(connection, name, walk.name)
    if cursor["mode"] == "sweep" or (cursor["mode"] == "poll" and not sweep):
        return cursor
    committed = _believable(cursor, now)
    incremental = not sweep and walk.since and isinstance(committed, float) and cursor["swept_at"] is not None
    since = committed - overlap_s if incremental and isinstance(committed, float) else None
    begun = {
        "mode": "poll" if since is not None else "sweep", "walk_no": cursor["walk_no"] + 1, "token": None,
        "since": since, "started_at": now, "high": None, "first_served_at": None, "pages": 0, "error": None,
    }  # fmt: skip
    _set_cursor(connection, name, walk.name, begun)
    return cursor | begun


def abandon_walk(connection: sa.Connection, name: str, walk: str, why: str, retry_at: float) -> None:
    """A walk that could not go on: what it told stays told, nothing is proven, and it begins again later."""
    cursor = cursor_of(connection, name, walk)
    due = {"sweep_due" if cursor["mode"] == "sweep" else "poll_due": retry_at}
    _set_cursor(connection, name, walk, {"mode": "idle", "token": None, "error": why, **due})


def end_walk(work: Work, connection: Connection, walk: Walk, *, due: float) -> list[Ref]:
    """The end is proven: move the cursor, and return the records of a sweep that were not told (read them by id)."""
    cursor = cursor_of(work.sql, connection.name, walk.name)
    swept = cursor["mode"] == "sweep"
    absent = _absent(work, connection, walk, cursor["walk_no"]) if swept else []
    now = work.tx.now
    started = cursor["started_at"] if isinstance(cursor["started_at"], float) else now
    values: dict[str, Any] = {
        "mode": "idle", "token": None, "polled_at": started, "cursor": _moved(cursor), "error": None,
        "poll_due": _next_due(cursor, started, due),
    }  # fmt: skip
    if swept:
        values |= {"last_pages": _pages_of(work, cursor)}
        values |= {"swept_at": started, "sweep_due": max(now, started + connection.sweep_s)}
    _set_cursor(work.sql, connection.name, walk.name, values)
    work.sql.execute(_LET_GO, {"of": connection.name, "at": now})
    return absent


_intents = schema.intents.c
_LET_GO = (
    sa.update(schema.intents)
    .where(_intents.connection == sa.bindparam("of"), _intents.state == "open", _intents.reason == UNREAD)
    .values(due=sa.bindparam("at"), reason=None)
)


def _set_cursor(connection: sa.Connection, name: str, walk: str, values: Mapping[str, Any]) -> None:
    bound = {f"new_{column}": value for column, value in values.items()}
    connection.execute(_setting(tuple(sorted(values))), {"of": name, "list": walk, **bound})


@functools.cache
def _setting(columns: tuple[str, ...]) -> sa.Update:
    """The statement that sets columns of a walk's cursor; to make it anew each time would cost more than to run it."""
    statement = sa.update(schema.cursors).where(*_THIS_WALK)
    return statement.values({column: sa.bindparam(f"new_{column}") for column in columns})


def _pages_of(work: Work, cursor: dict[str, Any]) -> int:
    """How many pages a sweep had, over all restarts."""
    this = {"of": cursor["connection"], "list": cursor["walk"], "no": cursor["walk_no"]}
    return int(work.sql.execute(_COUNT_PAGES, this).scalar_one())


_COUNT_PAGES = (
    sa.select(sa.func.count())
    .select_from(schema.pages)
    .where(
        _pages.connection == sa.bindparam("of"),
        _pages.walk == sa.bindparam("list"),
        _pages.walk_no == sa.bindparam("no"),
    )
)


def _next_due(cursor: dict[str, Any], started: float, due: float) -> float:
    """When the list is looked at again: as scheduled, or as soon as a webhook asked while this walk was under way."""
    asked: float = cursor["poll_due"]
    return min(asked, due) if asked > started else due


def _believable(cursor: dict[str, Any], now: object) -> object:
    """A walk's cursor, if it can be."""
    known = cursor["cursor"]
    if isinstance(known, float) and isinstance(now, float) and known > now + AHEAD_S:
        return None
    return known


def _moved(cursor: dict[str, Any]) -> object:
    """The lesser of the greatest change time seen and the server's time at the walk's first answer; never back."""
    seen, served, old = cursor["high"], cursor["first_served_at"], _believable(cursor, cursor["started_at"])
    times = [time for time in (seen, served) if isinstance(time, float)]
    if not times or not isinstance(seen, float):
        return old
    return max([min(times), *([old] if isinstance(old, float) else [])])


def _absent(work: Work, connection: Connection, walk: Walk, walk_no: int) -> list[Ref]:
    """Records of the walk's kinds that this sweep did not tell, neither themselves nor by an unchanged page."""
    work.tx.flush()
    kinds = [kind.value for kind in walk.kinds if not connection.is_rows(kind)]
    this = {"of": connection.name, "list": walk.name, "no": walk_no, "kinds": kinds}
    return [Ref(Kind(kind), id_) for kind, id_ in work.sql.execute(_ABSENT, this)]


_records = schema.records.c
_ON_ITS_PAGE = sa.exists().where(
    _pages.connection == _records.connection,
    _pages.walk == sa.bindparam("list"),
    _pages.position == _records.page,
    _pages.walk_no == sa.bindparam("no"),
    _pages.told_no <= _records.walk_no,
)
_ABSENT = (
    sa.select(_records.kind, _records.id)
    .where(
        _records.connection == sa.bindparam("of"),
        _records.kind.in_(sa.bindparam("kinds", expanding=True)),
        sa.not_(_records.gone),
        _records.walk_no != sa.bindparam("no"),
        sa.not_(_ON_ITS_PAGE),
    )
    .order_by(_records.kind, _records.id)
)


def absorb_answer(
    work: Work, connection: Connection, ref: Ref, records: tuple[Record, ...], *, asked_at: float | None = None
) -> None:
    """Take in what a get told; an empty answer proves that the record is gone. ``asked_at``: when it was asked for."""
    asked_at = work.tx.now if asked_at is None else asked_at
    touched = absorb(work, connection, records, READ)
    if not any(record.ref == ref for record in records):
        touched |= lose(work, connection, ref)
    for each in dict.fromkeys((ref, *(record.ref for record in records))):
        unmark(work.sql, connection.name, each, asked_at)
    settle_all(work, connection, dict.fromkeys(touched, True))


def unmark(connection: sa.Connection, name: str, ref: Ref, asked_at: float) -> None:
    """The record was read; what was marked since the reading was asked for is read again."""
    connection.execute(_UNMARK, {"of": name, "what": ref.kind.value, "id_": ref.id, "at": asked_at})


_marks = schema.marks.c
_UNMARK = sa.delete(schema.marks).where(
    _marks.connection == sa.bindparam("of"),
    _marks.kind == sa.bindparam("what"),
    _marks.ref == sa.bindparam("id_"),
    _marks.due <= sa.bindparam("at"),
)


def lose(work: Work, connection: Connection, ref: Ref) -> dict[tuple[str, str], bool]:
    """A record is gone: its links are held, never its counterpart deleted."""
    if connection.facts.rows and ref.kind in {Kind.CANDIDATE, Kind.APPLICATION}:
        person = people.lost_row(work, connection, ref.id)
        touched = {(Kind.CANDIDATE.value, person.id): True} if person else {}
        if person is not None and person.gone:
            _look_anew(work, person)
        application = work.tx.record(connection.name, Kind.APPLICATION, ref.id)
        return touched | _gone(work, application)
    return _gone(work, work.tx.record(connection.name, ref.kind, ref.id))


def _gone(work: Work, row: RecordRow | None) -> dict[tuple[str, str], bool]:
    if row is None or row.gone:
        return {}
    row.gone, row.settled = True, None
    work.tx.put_record(row)
    note(work, row.connection, row.kind, row.id, "vanished")
    _look_anew(work, row)
    return {(row.kind, row.id): True}


def _look_anew(work: Work, gone: RecordRow) -> None:
    """Who was held for looking like somebody who is gone is read again: nothing may stand in the way any more."""
    for of, ref, choices in work.sql.execute(_HELD_WITH_CHOICES, {"what": gone.kind}).all():
        row = work.tx.record(of, Kind(gone.kind), ref) if gone.id in choices.split() else None
        if row is not None and of in work.world.connections:
            mark_speakers(work, work.world.connections[of], row, "twin_gone", Priority.READ)


_HELD_WITH_CHOICES = sa.select(schema.holds.c.connection, schema.holds.c.ref, schema.holds.c.detail).where(
    schema.holds.c.kind == sa.bindparam("what"),
    schema.holds.c.reason.in_(sorted(CHOOSING)),
    schema.holds.c.link.is_(None),
    schema.holds.c.intent.is_(None),
)


def remerge(work: Work, connection: Connection, kind: Kind, id_: str) -> None:
    """Merge a record's links again, as after a person's decision."""
    for pair in work.world.pairs_of(connection.name, kind):
        link = work.tx.link_at(pair.name, kind, pair.end_of(connection.name), id_)
        if link is not None and link.left is not None and link.right is not None:
            merge_link(work, pair, link)
