"""Whether the store is sound in itself: rows that no run of syncd leaves behind, as after an edit by hand or a bug.

Each check is one question to the tables and asks no system anything. What is found is mended by ``syncd.mending``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from syncd import findings, limits, schema
from syncd.facts import Walk
from syncd.findings import Finding
from syncd.look import LET_BE
from syncd.model import Kind
from syncd.reconcile import End
from syncd.resting import RESTING
from syncd.setup import World
from syncd.work import ERASED, IN_FLIGHT, ROWS, SUBMIT

STATES = frozenset({"open", "held", RESTING, *IN_FLIGHT})
MODES = frozenset({"idle", "poll", "sweep"})
SKEW_S = 3600.0  # by so much a system's clock may be ahead of ours
ANSWER_S = 900.0  # by then a call that went out was answered, or its lane was begun again
LATE_S = 6 * 3600.0  # so long a write that is due may wait for its lane
DONE = "done"

_links, _records, _intents, _holds = schema.links.c, schema.records.c, schema.intents.c, schema.holds.c
_members, _cursors, _marks, _batches = schema.members.c, schema.cursors.c, schema.marks.c, schema.batches.c
Found = Iterator[Finding]


def examine(connection: sa.Connection, world: World, now: float) -> list[Finding]:
    """All that is not sound, in the order of the checks."""
    if damage := list(_damage(connection)):
        return damage  # of what cannot be read nothing more can be said
    return [found for check in _CHECKS for found in check(connection, world, now)]


def _damage(sql: sa.Connection) -> Found:
    if sql.dialect.name == "sqlite":
        told = list(sql.exec_driver_sql("PRAGMA integrity_check(20)").scalars())
        yield from (Finding(findings.DAMAGED, key=text) for text in told if text != "ok")


# --- links ----------------------------------------------------------------------------------------------------------


def _orphans(sql: sa.Connection, world: World, now: float) -> Found:
    """Links that name a record which is not known; with no record at all there is nothing to keep."""
    for pair in world.pairs:
        for end in End:
            name = pair.at(end).name
            there = sa.exists().where(
                _records.connection == name, _records.kind == _links.kind, _records.id == _links[end.value]
            )
            where = (_links.pair == pair.name, _links[end.value].is_not(None), sa.not_(there))
            for row in sql.execute(sa.select(_links.id, _links.kind, _links.left, _links.right).where(*where)):
                refs = tuple((pair.at(at).name, id_) for at in End if (id_ := getattr(row, at)) is not None)
                yield Finding(findings.ORPHAN, pair.name, row.kind, refs=refs, link=row.id, key=end.value)


def _lone_links(sql: sa.Connection, world: World, now: float) -> Found:
    """Links with an empty end that no write is to fill and no person wants empty; and links of nothing."""
    wanted = {key for wants in sql.execute(sa.select(_intents.wants)).scalars() for key in wants or ()}
    half = sa.or_(_links.left.is_(None), _links.right.is_(None))
    names = {pair.name: pair for pair in world.pairs}
    for row in sql.execute(sa.select(schema.links).where(half, _links.how != LET_BE).order_by(_links.id)):
        if str(row.id) in wanted or row.pair not in names:
            continue
        pair = names[row.pair]
        refs = tuple((pair.at(end).name, id_) for end in End if (id_ := getattr(row, end)) is not None)
        yield Finding(findings.LONE_LINK, row.pair, row.kind, refs=refs, link=row.id)


def _null_bases(sql: sa.Connection, world: World, now: float) -> Found:
    """Links whose bases are no bases at all."""
    pairs = {pair.name: pair for pair in world.pairs}
    columns = (_links.id, _links.pair, _links.kind, _links.left, _links.right, _links.left_base, _links.right_base)
    for row in sql.execute(sa.select(*columns).order_by(_links.id)):
        if not (isinstance(row.left_base, dict) and isinstance(row.right_base, dict)) and row.pair in pairs:
            ends = [(pairs[row.pair].at(end).name, getattr(row, end)) for end in End]
            refs = tuple((name, id_) for name, id_ in ends if id_ is not None)
            yield Finding(findings.NO_BASE, row.pair, row.kind, refs=refs, link=row.id, key="null")


def _lone_children(sql: sa.Connection, world: World, now: float) -> Found:
    """Applications that are linked while their job or their person is not."""
    for pair in world.pairs:
        for kind in (Kind.JOB, Kind.CANDIDATE):
            if pair.syncs(kind) and pair.syncs(Kind.APPLICATION) and not pair.batches:
                yield from _without_parent(sql, pair, kind)


def _without_parent(sql: sa.Connection, pair: Any, kind: Kind) -> Found:
    parent, record = sa.alias(schema.links), schema.records
    theirs = record.c[kind.value]
    linked = sa.exists().where(parent.c.pair == pair.name, parent.c.kind == kind.value, parent.c.left == theirs)
    of_left = (
        record.c.connection == pair.left.name,
        record.c.kind == Kind.APPLICATION.value,
        record.c.id == _links.left,
        theirs.is_not(None),
    )
    where = (_links.pair == pair.name, _links.kind == Kind.APPLICATION.value, _links.right.is_not(None))
    statement = sa.select(_links.id, _links.left, _links.right, theirs.label("parent")).where(
        *where, *of_left, sa.not_(linked)
    )
    for row in sql.execute(statement.order_by(_links.id)):
        refs = ((pair.left.name, row.left), (pair.right.name, row.right))
        key = (kind.value, row.parent)
        yield Finding(findings.LONE_CHILD, pair.name, Kind.APPLICATION.value, kind.value, refs, row.id, key)


# --- writes and questions -------------------------------------------------------------------------------------------


def _writes(sql: sa.Connection, world: World, now: float) -> Found:
    """Intents that nobody wants, that are in no known state, that are stuck, or that are over and still there."""
    links = {str(id_) for id_ in sql.execute(sa.select(_links.id)).scalars()}
    batches = set(sql.execute(sa.select(_batches.id)).scalars())
    shown = set(sql.execute(sa.select(_holds.intent).where(_holds.intent.is_not(None))).scalars())
    closed = _closed(sql, now)
    for row in sql.execute(sa.select(schema.intents).order_by(_intents.id)):
        wanted = row.id in batches if row.call == SUBMIT else bool({*(row.wants or ())} & {*links, ROWS})
        wanted = wanted or row.call == ERASED
        what = _trouble(row, now, wanted=wanted, shown=row.id in shown, closed=closed)
        if what is not None:
            refs = ((row.connection, row.ref),) if row.ref else ()
            yield Finding(what, "", row.kind, refs=refs, key=row.id)


def _trouble(row: Any, now: float, *, wanted: bool, shown: bool, closed: set[str]) -> str | None:
    if row.state == DONE:
        return findings.UNWIPED
    if not wanted:
        return findings.LONE_INTENT
    if row.state not in STATES:
        return findings.ODD_INTENT
    if row.state == "held" and not shown:
        return findings.UNSEEN
    rests = row.state in ("held", RESTING) or row.connection in closed
    return findings.STUCK if not rests and _is_late(row, now) else None


def _is_late(row: Any, now: float) -> bool:
    if row.state == "sent":
        return bool((row.sent_at or 0.0) < now - ANSWER_S)
    return bool(row.due < now - LATE_S or (row.due > now + LATE_S and row.state == "unknown"))


def _closed(sql: sa.Connection, now: float) -> set[str]:
    """The connections whose writes have a reason to wait: they, a pair or everything is stopped, or their budget."""
    scopes = set(sql.execute(sa.select(schema.switches.c.scope)).scalars())
    logs = {row.connection: row.log for row in sql.execute(sa.select(schema.budgets))}
    names = set(sql.execute(sa.select(_intents.connection).distinct()).scalars())
    everything = any(scope == "*" or scope.startswith("pair/") for scope in scopes)
    blocked = {name for name, log in logs.items() if (limits.blocked_until(limits.Log.from_json(log), now) or 0) > now}
    return {name for name in names if everything or f"connection/{name}" in scopes} | blocked


def _questions(sql: sa.Connection, world: World, now: float) -> Found:
    """Holds about what is not there."""
    links, intents = sa.select(_links.id), sa.select(_intents.id)
    lost = sa.or_(
        sa.and_(_holds.link.is_not(None), _holds.link.not_in(links)),
        sa.and_(_holds.intent.is_not(None), _holds.intent.not_in(intents)),
    )
    for row in sql.execute(sa.select(schema.holds).where(lost).order_by(_holds.id)):
        yield Finding(findings.LONE_HOLD, row.pair or "", row.kind, row.field, ((row.connection, row.ref),), key=row.id)


def _lone_batches(sql: sa.Connection, world: World, now: float) -> Found:
    known = sa.select(_intents.id)
    where = (_batches.state.not_in(("done", "failed")), _batches.id.not_in(known))
    for row in sql.execute(sa.select(_batches.id, _batches.pair, _batches.state).where(*where).order_by(_batches.id)):
        yield Finding(findings.LONE_BATCH, row.pair, Kind.APPLICATION.value, key=row.id)


def _ended_runs(sql: sa.Connection, world: World, now: float) -> Found:
    """Commands that are over, and whose sealed arguments are still there."""
    runs = schema.runs.c
    over = sa.select(runs.id, runs.arguments).where(runs.ended_at.is_not(None))
    for row in sql.execute(over.order_by(runs.id)):
        if "sealed" in (row.arguments or {}):
            yield Finding(findings.UNWIPED, key=row.id)


# --- lists and what is to be read -----------------------------------------------------------------------------------


def _cursor_rows(sql: sa.Connection, world: World, now: float) -> Found:
    walks: Mapping[str, dict[str, Walk]] = {
        name: {walk.name: walk for walk in connection.facts.walks} for name, connection in world.connections.items()
    }
    for row in sql.execute(sa.select(schema.cursors).order_by(_cursors.connection, _cursors.walk)):
        known = walks.get(row.connection)
        if known is None:
            has_any = sql.execute(sa.select(_records.id).where(_records.connection == row.connection).limit(1)).first()
            foreign = has_any is None  # of a connection that the config lost, its records tell that it was one
        else:
            foreign = row.walk not in known
        what = findings.FOREIGN_CURSOR if foreign else None if known is None else _impossible(row, world, now)
        if what is not None:
            yield Finding(what, field=row.walk, refs=((row.connection, row.walk),), key=(row.connection, row.walk))


def _impossible(row: Any, world: World, now: float) -> str | None:
    times = [row.cursor, row.polled_at, row.swept_at, row.started_at, row.high, row.since]
    dues = [row.poll_due, row.sweep_due]
    if not all(time is None or isinstance(time, int | float) for time in (*times, *dues)):
        return findings.CURSOR
    ahead = any(time is not None and time > now + SKEW_S for time in times)
    longest = now + 2 * world.connections[row.connection].sweep_s + 32 * 86_400.0  # a cron line may name a month's day
    astray = any(due > longest for due in dues)
    odd = row.mode not in MODES or (row.mode != "idle" and row.started_at is None)
    return findings.CURSOR if ahead or astray or odd else None


def _foreign_marks(sql: sa.Connection, world: World, now: float) -> Found:
    for row in sql.execute(sa.select(_marks.connection, _marks.kind, _marks.ref)):
        connection = world.connections.get(row.connection)
        if connection is None or row.kind not in {kind.value for kind in connection.terms}:
            refs = ((row.connection, row.ref),)
            yield Finding(findings.FOREIGN_MARK, "", row.kind, refs=refs, key=(row.connection, row.kind, row.ref))


def _lone_members(sql: sa.Connection, world: World, now: float) -> Found:
    person = sa.exists().where(
        _records.connection == _members.connection,
        _records.kind == Kind.CANDIDATE.value,
        _records.id == _members.person,
    )
    where = (_members.connection.in_(sorted(world.connections)), sa.not_(person))
    for row in sql.execute(sa.select(_members.connection, _members.row).where(*where).order_by(_members.row)):
        yield Finding(findings.LONE_MEMBER, "", Kind.CANDIDATE.value, refs=((row.connection, row.row),), key=row.row)


def _erased(sql: sa.Connection, world: World, now: float) -> Found:
    """Records of people who were erased, and whose return nobody has allowed."""
    stones = schema.tombstones.c
    graves = {
        row.digest: row.grave for row in sql.execute(sa.select(schema.tombstones).where(stones.allowed_at.is_(None)))
    }
    if not graves:
        return
    known = sql.execute(
        sa.select(_records.connection, _records.kind, _records.id).order_by(*schema.records.primary_key)
    )
    for name, kind, id_ in known:
        grave = graves.get(world.tombstone("record", f"{name}/{kind}/{id_}"))
        if grave is not None:
            yield Finding(findings.ERASED, kind=kind, refs=((name, id_),), key=grave)


_CHECKS: tuple[Callable[[sa.Connection, World, float], Found], ...] = (
    _orphans, _lone_links, _null_bases, _lone_children, _writes, _questions, _lone_batches, _ended_runs, _cursor_rows,
    _foreign_marks, _lone_members, _erased,
)  # fmt: skip
