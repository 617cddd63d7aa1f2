"""The audit: both ends are read anew, each link is compared field by field, and the store's own rows are examined.

It reads through the same lanes and budgets as everything else, into a copy of the store in memory, so it makes no
write anywhere and nothing it reads is kept; beside a running daemon the daemon goes on. What the daemon has dealt with
meanwhile is no finding. What lists tell is compared as it is now; what only a get tells, as it was last read.
``--repair`` puts the store in order and marks records to be read again: the engine does the rest, by its usual rules.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from syncd import findings, merging, schema, soundness, switches
from syncd.agenda import walks_under_way
from syncd.app import App
from syncd.backfill import LONGEST_REST_S, Scope, narrowed
from syncd.cycle import Engine, Lane
from syncd.findings import Finding
from syncd.limits import Priority
from syncd.mending import mend
from syncd.model import Kind
from syncd.reconcile import Do, End, Side, agree, merge_field
from syncd.rehearsal import copy_of
from syncd.rows import LinkRow, RecordRow
from syncd.setup import Pair, World
from syncd.store import Store, rows_of
from syncd.work import Work

MOST_REFS = 200  # records that are named of one kind of finding; the counts are always of all
MENDED_TOGETHER = 100  # findings that are mended in one transaction
Progress = Callable[[Mapping[str, Any]], None]


@dataclass
class Compared:
    """What came of the comparison. ``waived``: what is unlike and no finding, by why; ``links``: how many there are.

    ``unread``: the lists that could not be read to their end.
    """

    found: list[Finding] = field(default_factory=list)
    waived: Counter[str] = field(default_factory=Counter)
    links: int = 0
    unread: list[str] = field(default_factory=list)


class Reading(Engine):
    """An engine that reads every list once, and by id what lists leave open. It links and compares, and writes nothing.

    Its rows are a copy. It makes no intents (``learning``) and has none from before, so no lane has anything to push.
    """

    async def _is_busy(self) -> bool:
        return await self.store.run(_left_to_read, sorted(self.lanes)) > 0


async def audit(
    app: App, pairs: Sequence[str] = (), *, repair: bool = False, progress: Progress = lambda told: None
) -> dict[str, Any]:
    """Read both ends, compare, and tell what is not as it should be: ``findings``, counted, with records' ids.

    ``until``: a list could not be read to its end before then, so not all was compared. With ``repair`` the store is
    put in order, and ``repaired`` counts by finding what was done.
    """
    world = narrowed(app.world, Scope(pairs=tuple(pairs)))
    unsound = await app.store.run(soundness.examine, app.world, app.store.clock.now())
    if any(one.what == findings.DAMAGED for one in unsound):
        return _told(app, world, unsound, Compared(), until=None, repaired={})
    until, compared = await _read_and_compare(app, world, progress)
    compared = await app.engine.do(_as_it_stands, compared)
    found = [*unsound, *compared.found]
    repaired = await _repair(app, found) if repair else {}
    return _told(app, world, found, compared, until=until, repaired=repaired)


async def _read_and_compare(app: App, world: World, progress: Progress) -> tuple[float | None, Compared]:
    store = copy_of(app.store)
    engine = _reading(app, world, store, progress)
    try:
        before, since = await store.run(_links_of, world), store.clock.now()
        await engine.begin_sweeps()
        until = await engine.run_until_quiet(longest_rest_s=LONGEST_REST_S)
        compared = await engine.do(_compare, before)
        walks = [(name, walk.name) for name in sorted(engine.lanes) for walk in world.walks_of(name)]
        compared.unread = await store.run(_unread, walks, since)
        return until, compared
    finally:
        store.close()


def _reading(app: App, world: World, store: Store, progress: Progress) -> Reading:
    needed = {pair.at(end).name for pair in world.pairs for end in End}
    lanes = {
        name: Lane(lane.connection, lane.connector, lane.road)
        for name, lane in app.engine.lanes.items()
        if name in needed
    }
    engine = Reading(world, store, store.clock, app.engine.rng, lanes)
    engine.learning = engine.allow_empty = engine.allow_large = True
    pages: Counter[str] = Counter()

    def listen(action: str, facts: Mapping[str, Any]) -> None:
        if action == "page":
            pages[facts["connection"]] += 1
            progress({"pages": dict(pages)})

    engine.listeners.append(listen)
    return engine


def _left_to_read(connection: sa.Connection, names: list[str]) -> int:
    """Walks under way, and what is to be read by id because a list left it open; details are not waited for."""
    marks = schema.marks.c
    going = [name for name in names if not switches.is_stopped(connection, name)]
    where = (marks.connection.in_(going), marks.priority < int(Priority.BULK))
    reads = connection.execute(sa.select(sa.func.count()).where(*where)).scalar_one()
    return int(reads) + walks_under_way(connection)


def _links_of(connection: sa.Connection, world: World) -> dict[int, LinkRow]:
    """The links as they were before the reading, for its merges move bases in the copy."""
    names = [pair.name for pair in world.pairs]
    rows = rows_of(connection, sa.select(schema.links).where(schema.links.c.pair.in_(names)))
    return {row["id"]: LinkRow(**row) for row in rows}


def _unread(connection: sa.Connection, walks: list[tuple[str, str]], since: float) -> list[str]:
    """The lists that were not read to their end."""
    swept = {(row.connection, row.walk): row.swept_at for row in connection.execute(sa.select(schema.cursors))}
    return [f"{name} {walk}" for name, walk in walks if (swept.get((name, walk)) or 0.0) < since]


# --- comparing ------------------------------------------------------------------------------------------------------


def _compare(work: Work, before: Mapping[int, LinkRow]) -> Compared:
    """Each link of the copy: what its ends tell now, against what they agreed on last (``before``)."""
    compared = Compared()
    table = schema.links.c
    for pair in work.world.pairs:
        kinds = [kind.value for kind in pair.fields if kind is not Kind.SCREENING]
        ids = sa.select(table.id).where(table.pair == pair.name, table.kind.in_(kinds)).order_by(table.id)
        for id_ in list(work.sql.execute(ids).scalars()):
            now = work.tx.link(id_)
            if now is not None and now.left is not None and now.right is not None:
                compared.links += 1
                _compare_link(work, pair, now, before.get(id_), compared)
    return compared


def _compare_link(work: Work, pair: Pair, now: LinkRow, before: LinkRow | None, compared: Compared) -> None:
    refs = _refs(pair, now)
    if before is None:
        compared.found.append(Finding(findings.UNLINKED, pair.name, now.kind, refs=refs))
        return
    if (before.left, before.right) != (now.left, now.right):
        return  # it was being created when we began, and shows now
    kind = Kind(now.kind)
    rows = {end: work.tx.record(pair.at(end).name, kind, getattr(now, end)) for end in End}
    left, right = rows[End.LEFT], rows[End.RIGHT]
    if left is None or right is None:
        return  # an orphan, which ``soundness`` finds
    if left.gone or right.gone:
        compared.found.append(Finding(findings.VANISHED, pair.name, now.kind, refs=refs, link=now.id))
        return
    for name, what in _unlike(work, pair, before, {End.LEFT: left, End.RIGHT: right}):
        key = (before.left_base.get(name), before.right_base.get(name))
        if what in findings.SENTENCES:
            compared.found.append(Finding(what, pair.name, now.kind, name, refs, now.id, key))
        else:
            compared.waived[what] += 1


def _refs(pair: Pair, link: LinkRow) -> tuple[tuple[str, str], ...]:
    return tuple((pair.at(end).name, getattr(link, end)) for end in End)


def _unlike(work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow]) -> Iterator[tuple[str, str]]:
    """(field, what it is) of all that the ends do not tell alike."""
    kind = Kind(link.kind)
    names = pair.fields[kind] - merging.differing_rows(work, pair, rows)
    sides = merging.sides_of(work, pair, link, rows, names)
    draft = kind is Kind.JOB and not pair.publish and merging.draft_stands_for_open(sides)
    for name, (left, right) in sides.items():
        if not (name == "status" and draft) and (what := _judged(work, pair, link, name, left, right)) is not None:
            yield name, what


def _judged(work: Work, pair: Pair, link: LinkRow, name: str, left: Side, right: Side) -> str | None:
    """What an unlike field is: a finding, or why it is none; None: it is not unlike."""
    if left.unread or right.unread:
        return None
    if agree(name, left, right):
        return findings.NO_BASE if left.base is None or right.base is None else None
    verdict = merge_field(name, left, right, owner=pair.owners.get(name), rule=pair.rule)
    if verdict.do in (Do.WRITE, Do.HOLD):
        return findings.UNLIKE
    if not (left.now and right.now):
        return None  # one end is silent, and nothing can be filled in
    return _drift(work, pair, link, name, left, right)


def _drift(work: Work, pair: Pair, link: LinkRow, name: str, left: Side, right: Side) -> str:
    """A difference that nothing carries: a finding only where the pair's rule, asked anew, would do something."""
    if not left.writable and not right.writable:
        return "not_carried"
    anew = (replace(left, base=None), replace(right, base=None))
    verdict = merge_field(name, *anew, owner=pair.owners.get(name), rule=pair.rule)
    return findings.DRIFT if verdict.do in (Do.WRITE, Do.HOLD) else "not_carried"


# --- as it stands now -----------------------------------------------------------------------------------------------


def _as_it_stands(work: Work, compared: Compared) -> Compared:
    """Leave out what somebody is asked about, what is on its way, and what was dealt with since the copy was made."""
    held, waiting = _held(work), _waiting(work)
    kept = Compared(waived=Counter(compared.waived), links=compared.links, unread=compared.unread)
    for one in compared.found:
        why = _waived(work, one, held, waiting)
        if why is None:
            kept.found.append(one)
        elif why:
            kept.waived[why] += 1
    return kept


def _waived(work: Work, one: Finding, held: set[tuple[Any, str]], waiting: set[tuple[int, str]]) -> str | None:
    """Why a difference is no finding ("": it is none any more); None: it is one."""
    if one.what == findings.UNLINKED:
        return _waived_unlinked(work, one, held)
    link = work.tx.link(one.link or 0)
    if link is None or _was_dealt_with(work, one, link):
        return ""
    if {(one.link, one.field), (one.link, "")} & held:
        return "held"
    if (one.link, one.field) in waiting:
        return "waiting"
    return _said_by_a_person(work, one) if one.what == findings.DRIFT else None


def _was_dealt_with(work: Work, one: Finding, link: LinkRow) -> bool:
    """Whether a link has other bases by now, or had to tell nothing before."""
    if one.what == findings.VANISHED:
        return False
    moved = one.key != (link.left_base.get(one.field), link.right_base.get(one.field))
    return moved or (one.what == findings.NO_BASE and not _was_told(work, one))


def _was_told(work: Work, one: Finding) -> bool:
    """Whether both ends told a field before this reading; one that is new is compared at the next look."""
    rows = [work.tx.record(name, Kind(one.kind), id_) for name, id_ in one.refs]
    return all(row is not None and one.field in row.seen for row in rows)


def _waived_unlinked(work: Work, one: Finding, held: set[tuple[Any, str]]) -> str | None:
    pair, kind = work.world.pair(one.pair), Kind(one.kind)
    ids = dict(one.refs)
    links = [work.tx.link_at(pair.name, kind, end, ids[pair.at(end).name]) for end in End]
    if any(link is not None for link in links):
        return ""
    return "held" if any(((name, one.kind, id_), "") in held for name, id_ in one.refs) else None


def _held(work: Work) -> set[tuple[Any, str]]:
    """(link, field) of all open questions about links, and ((connection, kind, id), "") of those about records."""
    held: set[tuple[Any, str]] = set()
    for hold in work.sql.execute(sa.select(schema.holds)):
        names = hold.field.split() or [""]
        held |= {(hold.link, name) for name in names if hold.link is not None}
        held |= {((hold.connection, hold.kind, hold.ref), "") for _ in names if hold.link is None}
    return held


def _waiting(work: Work) -> set[tuple[int, str]]:
    """(link, field) of all writes that are not over."""
    wants = work.sql.execute(sa.select(schema.intents.c.wants)).scalars()
    return {(int(key), name) for each in wants for key, part in (each or {}).items() if key.isdigit() for name in part}


_SAID = ("drift", "dropped")


def _said_by_a_person(work: Work, one: Finding) -> str | None:
    """Whether a person wanted a difference to be, or a value may not be emptied: the journal's last word about it."""
    table = schema.journal.c
    lines = sa.select(table.what, table.fields, table.detail).where(table.link == one.link, table.what.in_(_SAID))
    for line in work.sql.execute(lines.order_by(table.id.desc())):
        if one.field in (line.fields or ()):
            if line.what == "dropped" or line.detail == "accepted":
                return "let_be"
            return "not_carried" if line.detail == "may_not_be_empty" else None
    return None


# --- mending and telling --------------------------------------------------------------------------------------------


async def _repair(app: App, found: Sequence[Finding]) -> dict[str, int]:
    done: Counter[str] = Counter()
    for start in range(0, len(found), MENDED_TOGETHER):
        done.update(await app.engine.do(mend, found[start : start + MENDED_TOGETHER]))
    return dict(done)


def _told(
    app: App,
    world: World,
    found: Sequence[Finding],
    compared: Compared,
    *,
    until: float | None,
    repaired: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "at": app.store.clock.now(),
        "pairs": [pair.name for pair in world.pairs],
        "links": compared.links,
        "until": until,
        "unread": compared.unread,
        "findings": findings.together(found, MOST_REFS),
        "waived": dict(sorted(compared.waived.items())),
        "repaired": dict(sorted(repaired.items())),
    }
