"""Questions to the store that change nothing: is all in step, what is linked with what, what waits for whom, and why.

Each is a plain function over one connection, which may be read-only, and answers with plain values (times in seconds
since the epoch) for a terminal, a page or a program. They tell ids, names of fields, stage words and addresses of
records; no value of a person's record is in the store to be told.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from syncd import limits, schema
from syncd.creating import is_swept
from syncd.holds import CHOOSING
from syncd.mapping import WORDED, canonical, word_of
from syncd.model import Kind, Ref
from syncd.plan import in_scope
from syncd.reconcile import End, Side, agree
from syncd.rows import LinkRow, RecordRow
from syncd.schedule import interval_in_force, last_pages
from syncd.sentences import Case, answers, because, next_command, why
from syncd.sentences import told as spoken
from syncd.setup import Connection, Pair, World
from syncd.store import Tx, recalled, rows_of
from syncd.work import ATTACH, FIRST, REMARKS, RULE, Work

Facts = dict[str, Any]
LONG_WALK_S = 5.0  # a list that takes longer to read is told as being read
MOST_LINES = 500  # of the journal in one story
LET_BE = "let_be"  # ``links.how`` of a link whose empty end a person wants to stay empty

# --- is all in step -------------------------------------------------------------------------------------------------

_links, _intents, _holds, _marks = schema.links.c, schema.intents.c, schema.holds.c, schema.marks.c


def status(connection: sa.Connection, world: World, now: float) -> Facts:
    """Whether all is in step, and if not, what is late, waits or is stopped: ``connections`` and ``pairs``."""
    switches = {row["scope"]: row["reason"] for row in rows_of(connection, sa.select(schema.switches))}
    intents = rows_of(connection, sa.select(_intents.connection, _intents.state, _intents.link, _intents.wants))
    cursors = rows_of(connection, sa.select(schema.cursors))
    connections = [
        _connection(connection, world, each, [row for row in cursors if row["connection"] == name], intents, now)
        | {"stopped": switches.get("*") or switches.get(f"connection/{name}")}
        for name, each in world.connections.items()
    ]
    waiting = _waiting(connection, intents)
    late = {each["name"]: each for each in connections}
    unlearnt = _unlearnt(connection, world, cursors)
    pairs = [_pair(connection, pair, switches, waiting.get(pair.name, 0), late, unlearnt) for pair in world.pairs]
    return {
        "at": now,
        "in_step": all(pair["in_step"] for pair in pairs),
        "learnt": recalled(connection, "learnt") == world.stamp,
        "stopped": switches.get("*"),
        "connections": connections,
        "pairs": pairs,
    }


def _unlearnt(connection: sa.Connection, world: World, cursors: list[Facts]) -> list[str]:
    """What is missing from the first look, under which all else is judged, and from the first sync that follows it."""
    under_way, done = (recalled(connection, "learning") or "").partition(" ")[0], recalled(connection, "learnt")
    if under_way not in {"", done}:
        return ["the first look is not finished"]
    if done not in {None, world.stamp}:
        return ["the last look had another configuration or scope"]
    learnt_at = float(recalled(connection, "learnt_at") or 0.0)
    is_swept = all((cursor["swept_at"] or 0.0) >= learnt_at for cursor in cursors)
    return [] if is_swept else ["the first sync is not finished"]


def _connection(
    sql: sa.Connection, world: World, connection: Connection, cursors: list[Facts], intents: list[Facts], now: float
) -> Facts:
    name = connection.name
    reached = _one(sql, sa.select(schema.connections).where(schema.connections.c.name == name))
    text = sql.execute(sa.select(schema.budgets.c.log).where(schema.budgets.c.connection == name)).scalar() or ""
    log = limits.Log.from_json(text)
    states = [row["state"] for row in intents if row["connection"] == name]
    known = {row["walk"]: row for row in cursors}
    interval_s = interval_in_force(world, connection, last_pages(sql))
    walks = [_walk(walk.name, known.get(walk.name, {}), interval_s, now) for walk in world.walks_of(name)]
    return {
        "name": name,
        "system": connection.facts.system,
        "reachable": _is_reachable(reached, walks),
        "reached_at": reached.get("reached_at"),
        "error": reached.get("error"),
        "error_at": reached.get("error_at"),
        "walks": walks,
        "intents": {
            "open": states.count("open"),
            "under_way": sum(state in {"sent", "accepted"} for state in states),
            "unknown": states.count("unknown"),
            "held": states.count("held"),
        },
        "to_read": _count(sql, sa.select(sa.func.count()).where(_marks.connection == name)),
        "budget": [
            {"rule": str(usage.rule), "used": usage.used, "limit": usage.limit, "frees_at": usage.frees_at}
            for usage in limits.usage(log, limits.parse_rules(connection.limits), now)
        ],
        "blocked_until": limits.blocked_until(log, now),
        "webhooks": _registered(sql, name),
    }


def _registered(sql: sa.Connection, name: str) -> Facts:
    """How many webhook addresses stand at a system by our own doing, when last looked for; none: they may by hand."""
    table = schema.subscriptions.c
    asked = sa.select(sa.func.count(), sa.func.max(table.seen_at)).where(
        table.connection == name, table.ended_at.is_(None)
    )
    count, seen_at = sql.execute(asked).one()
    return {"registered": int(count), "seen_at": seen_at}


def _walk(name: str, row: Mapping[str, Any], interval_s: float, now: float) -> Facts:
    """How a list stands.

    ``interval_s``: between two polls as things stand. ``lag_s``: since when nothing newer is proven. ``reading_s``: so
    long the list has been read by now. ``pages``: of the last time it was read whole.
    """
    polled = row.get("polled_at")
    return {
        "name": name,
        "mode": row.get("mode", "idle"),
        "reading_s": now - row["started_at"] if row.get("mode", "idle") != "idle" and row["started_at"] else 0.0,
        "polled_at": polled,
        "swept_at": row.get("swept_at"),
        "lag_s": None if polled is None else max(0.0, now - polled),
        "interval_s": interval_s,
        "due_at": row.get("poll_due") or None,
        "sweep_due_at": row.get("sweep_due") or None,
        "pages": row.get("last_pages") or 0,
        "error": row.get("error"),
    }


def _is_reachable(reached: Mapping[str, Any], walks: list[Facts]) -> bool | None:
    """None: nobody has tried yet."""
    seen, failed = reached.get("reached_at"), reached.get("error_at")
    if seen is not None or failed is not None:
        return (seen or 0.0) >= (failed or 0.0)
    if any(walk["error"] for walk in walks):
        return False
    return True if any(walk["polled_at"] is not None for walk in walks) else None


def _waiting(sql: sa.Connection, intents: list[Facts]) -> dict[str, int]:
    """How many writes that are not held wait for each pair."""
    pair_of = (
        {str(row["id"]): row["pair"] for row in rows_of(sql, sa.select(_links.id, _links.pair))} if intents else {}
    )
    waiting: dict[str, int] = {}
    for row in intents:
        for pair in {pair_of.get(key) for key in row["wants"]} - {None} if row["state"] != "held" else ():
            waiting[str(pair)] = waiting.get(str(pair), 0) + 1
    return waiting


def _pair(
    sql: sa.Connection,
    pair: Pair,
    switches: Mapping[str, str],
    waiting: int,
    connections: Mapping[str, Facts],
    unlearnt: list[str],
) -> Facts:
    ends = [connections[pair.left.name], connections[pair.right.name]]
    held = _counts(sql, sa.select(_holds.reason, sa.func.count()).where(_of_pair(pair)).group_by(_holds.reason))
    stopped = switches.get("*") or switches.get(f"pair/{pair.name}")
    reasons = [
        *unlearnt,
        *_troubles(ends, stopped),
        *([f"{waiting} {'write waits' if waiting == 1 else 'writes wait'}"] if waiting else []),
    ]
    reasons += [f"{sum(held.values())} held"] if held else []
    return {
        "name": pair.name,
        "left": pair.left.name,
        "right": pair.right.name,
        "flows": {kind.value: arrow(pair, kind) for kind in Kind if pair.syncs(kind)},
        "links": _linked(sql, pair.name, complete=True) | _remarked(sql, pair),
        "resumes": _arrow(pair.resumes),
        "resumes_sent": _done(sql, pair.name, {ATTACH}),
        "being_created": _linked(sql, pair.name, complete=False),
        "waiting": waiting,
        "held": held,
        "stopped": stopped,
        "in_step": not reasons,
        "why_not": reasons,
    }


def _troubles(ends: list[Facts], stopped: str | None) -> list[str]:
    found = ["stopped"] if stopped else []
    for end in ends:
        if end["stopped"] and not stopped:
            found.append(f"{end['name']} is stopped")
        if any(walk["swept_at"] is None for walk in end["walks"]):
            found.append(f"{end['name']} was not read whole yet")
        elif end["reachable"] is False:
            found.append(f"{end['name']} does not answer")
        elif any(walk["reading_s"] > LONG_WALK_S for walk in end["walks"]):
            found.append(f"{end['name']} is being read")
        if end["to_read"]:
            are = "record of {} is" if end["to_read"] == 1 else "records of {} are"
            found.append(f"{end['to_read']} {are.format(end['name'])} to be read")
    return found


def _of_pair(pair: Pair) -> sa.ColumnElement[bool]:
    """A pair's holds; those about a person's rows belong to the connection, and so to each of its pairs."""
    rows = sa.and_(_holds.pair.is_(None), _holds.connection.in_([pair.left.name, pair.right.name]))
    return sa.or_(_holds.pair == pair.name, rows)


def _linked(sql: sa.Connection, pair: str, *, complete: bool) -> dict[str, int]:
    whole = sa.and_(_links.left.is_not(None), _links.right.is_not(None))
    which = whole if complete else sa.and_(sa.not_(whole), _links.how != LET_BE)
    counts = _counts(
        sql, sa.select(_links.kind, sa.func.count()).where(_links.pair == pair, which).group_by(_links.kind)
    )
    return {kind.value: counts[kind.value] for kind in Kind if kind.value in counts}


def _remarked(sql: sa.Connection, pair: Pair) -> dict[str, int]:
    """Screenings are linked with nothing; what counts of them is what was written back."""
    if not pair.syncs(Kind.SCREENING):
        return {}
    return {Kind.SCREENING.value: _done(sql, pair.name, REMARKS | {RULE})}


def _done(sql: sa.Connection, pair: str, what: Iterable[str]) -> int:
    """For how many records something was done beside the fields."""
    deeds = schema.deeds.c
    counted = sa.select(sa.func.count(sa.distinct(deeds.source)))
    return int(sql.execute(counted.where(deeds.pair == pair, deeds.what.in_(sorted(what)))).scalar_one())


def arrow(pair: Pair, kind: Kind) -> str:
    """Which way a pair carries a kind, as the config writes it."""
    return _arrow(pair.flows.get(kind, frozenset()))


def _arrow(ends: frozenset[End]) -> str:
    left, right = End.LEFT in ends, End.RIGHT in ends
    return "<->" if left and right else "<-" if left else "->" if right else "off"


# --- what waits for a person ----------------------------------------------------------------------------------------


def held(connection: sa.Connection, world: World, most: int | None = None) -> list[Facts]:
    """What waits for a person, oldest first: why, since when, both ends, and the answers that may be given."""
    tx = Tx(connection, 0.0)
    rows = rows_of(connection, sa.select(schema.holds).order_by(_holds.opened_at, _holds.id).limit(most))
    return [_held(tx, world, row) for row in rows]


def hold_of(connection: sa.Connection, world: World, id_: int) -> Facts | None:
    """One of them by its number."""
    row = _one(connection, sa.select(schema.holds).where(_holds.id == id_))
    return _held(Tx(connection, 0.0), world, row) if row else None


def _held(tx: Tx, world: World, row: Mapping[str, Any]) -> Facts:
    pair = next((pair for pair in world.pairs if pair.name == row["pair"]), None)
    link = tx.link(row["link"]) if row["link"] is not None else None
    case = case_of(row, pair, link)
    return {
        "id": row["id"],
        "reason": row["reason"],
        "sentence": why(case),
        "answers": list(answers(case)),
        "next": next_command(row["id"], case),
        "pair": row["pair"],
        "kind": row["kind"],
        "field": row["field"],
        "words": row["detail"] if set(row["field"].split()) <= WORDED and row["field"] else "",
        "choices": list(case.choices),
        **_ends_of(tx, world, row, pair, link),
        "since": row["opened_at"],
    }


def case_of(row: Mapping[str, Any], pair: Pair | None, link: LinkRow | None) -> Case:
    """A hold as its sentence and its answers need it."""
    here = row["connection"]
    there = pair.at(pair.end_of(here).other).name if pair else ""
    return Case(
        reason=row["reason"],
        kind=row["kind"],
        field=row["field"],
        detail=row["detail"],
        here=here,
        there=there,
        left=pair.left.name if pair else "",
        right=pair.right.name if pair else "",
        target=here if row["intent"] is not None and row["field"] else there,  # a create has no fields of its own
        choices=tuple(row["detail"].split()) if row["reason"] in CHOOSING and row["intent"] is None else (),
        is_write=row["intent"] is not None,
        is_linked=link is not None and link.left is not None and link.right is not None,
        ref=row["ref"],
    )


def _ends_of(tx: Tx, world: World, row: Mapping[str, Any], pair: Pair | None, link: LinkRow | None) -> Facts:
    """``left`` and ``right``: what stands there, or nothing. Without a pair the one record stands at the left."""
    if pair is None:
        return {"left": _end(tx, world, row["connection"], Kind(row["kind"]), row["ref"]), "right": None}
    end = pair.end_of(row["connection"])
    ids = {end: row["ref"]} if link is None else {at: getattr(link, at) for at in End}
    return {
        at.value: _end(tx, world, pair.at(at).name, Kind(row["kind"]), ids[at]) if ids.get(at) else None for at in End
    }


def _end(tx: Tx, world: World, name: str, kind: Kind, id_: str) -> Facts:
    connection = world.connections.get(name)
    record = tx.record(name, kind, id_)
    rows = [member.row for member in tx.members_of(name, id_)] if connection and connection.is_rows(kind) else []
    return {
        "connection": name,
        "system": connection.facts.system if connection else None,
        "kind": kind.value,
        "id": id_,
        "source_id": record.source_id if record else None,
        "rows": rows,
        "url": record.url if record else None,
        "gone": record.gone if record else False,
    }


# --- what is linked with what ---------------------------------------------------------------------------------------


def links(connection: sa.Connection, world: World, id_: str) -> list[Facts]:
    """The links of all records that bear an id, in whatever system: their own id, the foreign one, a person's row.

    An e-mail address finds its people. A record without a link stands there with ``link`` None.
    """
    tx = Tx(connection, 0.0)
    found: dict[tuple[str, Any], Facts] = {}
    for row in bearing(tx, world, id_):
        kind = Kind(row.kind)
        for pair in world.pairs_of(row.connection, kind):
            end = pair.end_of(row.connection)
            link = tx.link_at(pair.name, kind, end, row.id)
            key = (pair.name, link.id if link else (row.connection, row.kind, row.id))
            found.setdefault(key, _link(tx, world, pair, link) if link else _unlinked(tx, world, pair, end, row))
    return sorted(found.values(), key=lambda each: (each["pair"], FIRST[Kind(each["kind"])], each["link"] or 0))


def bearing(tx: Tx, world: World, id_: str) -> list[RecordRow]:
    """The records that bear an id, or that an e-mail address belongs to."""
    records, members = schema.records.c, schema.members.c
    named = [records.id == id_, records.source_id == id_]
    if "@" in id_:
        named.append(sa.and_(records.kind == Kind.CANDIDATE.value, records.key == _email_key(world, id_)))
    found = {(row.connection, row.kind, row.id): row for row in tx.records_where(sa.or_(*named))}
    for name, person in tx.sql.execute(sa.select(members.connection, members.person).where(members.row == id_)):
        row = tx.record(name, Kind.CANDIDATE, person)
        if row is not None:
            found.setdefault((row.connection, row.kind, row.id), row)
    return [row for row in found.values() if row.connection in world.connections]


def _email_key(world: World, text: str) -> str:
    return world.digest("email", canonical("email", text))


def _link(tx: Tx, world: World, pair: Pair, link: LinkRow) -> Facts:
    kind = Kind(link.kind)
    ids = {end: getattr(link, end) for end in End}
    whole = all(ids.values())
    return {
        "link": link.id,
        "pair": pair.name,
        "kind": kind.value,
        "state": "linked" if whole else "let be" if link.how == LET_BE else "being created",
        "how": link.how,
        "made_at": link.made_at,
        **{end.value: _end(tx, world, pair.at(end).name, kind, ids[end]) if ids[end] else None for end in End},
    }


def _unlinked(tx: Tx, world: World, pair: Pair, end: End, row: RecordRow) -> Facts:
    stands = {
        end.value: _end(tx, world, row.connection, Kind(row.kind), row.id),
        end.other.value: None,
    }
    about = {"link": None, "pair": pair.name, "kind": row.kind, "state": "not linked", "how": None, "made_at": None}
    return {**about, **stands, "why": why_unlinked(tx, world, pair, end, row)}


def why_unlinked(tx: Tx, world: World, pair: Pair, end: End, row: RecordRow) -> str:
    """Why a record has no counterpart at the other end of a pair, in a sentence."""
    kind, other = Kind(row.kind), pair.at(end.other)
    if row.gone:
        return f"It is no longer there at {row.connection}."
    if kind not in other.terms:
        return f"{other.name} knows no {kind}s."
    holds = [*_open_holds(tx, row, pair)]
    if holds:
        return " ".join(why(case_of(hold, pair, None)) for hold in holds)
    if kind is Kind.APPLICATION and (parents := _unlinked_parents(tx, pair, end, row)):
        return (
            f"Its {' and '.join(parents)} {'have' if len(parents) > 1 else 'has'} no counterpart at {other.name} yet."
        )
    if kind is Kind.JOB and not in_scope(pair, row, _status_of(pair.at(end), row)):
        return f"It is out of scope for pair {pair.name} (see `only` in the config)."
    return _why_not_created(tx, world, pair, end, kind)


def _why_not_created(tx: Tx, world: World, pair: Pair, end: End, kind: Kind) -> str:
    other = pair.at(end.other)
    if not pair.flows_to(kind, end.other):
        return f"Pair {pair.name} makes no {kind}s at {other.name}, and none there is like it."
    if not is_swept(Work(tx, world, str), other, kind):
        return f"{other.name} was not read whole yet; only then is anything created there."
    if kind is Kind.CANDIDATE and pair.syncs(Kind.APPLICATION):
        return f"People come to {other.name} with an application for a linked job, and none asks for it yet."
    return f"It is about to be looked at for {other.name}."


def _open_holds(tx: Tx, row: RecordRow, pair: Pair) -> Iterator[Facts]:
    where = (_holds.connection == row.connection, _holds.kind == row.kind, _holds.ref == row.id)
    yield from rows_of(tx.sql, sa.select(schema.holds).where(*where, _holds.pair == pair.name).order_by(_holds.id))


def _unlinked_parents(tx: Tx, pair: Pair, end: End, row: RecordRow) -> list[str]:
    parents = ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate))
    linked = [(kind, id_, tx.link_at(pair.name, kind, end, id_) if id_ else None) for kind, id_ in parents]
    return [f"{kind} {id_}" for kind, id_, link in linked if id_ and (link is None or getattr(link, end.other) is None)]


def _status_of(connection: Connection, row: RecordRow) -> str | None:
    word = word_of(row.seen.get("status") or "")
    return connection.vocabulary.words["status"].ours(word) if word else None


# --- one record's story ---------------------------------------------------------------------------------------------


def explain(connection: sa.Connection, world: World, id_: str) -> Facts:
    """One record's story across systems: ``records``, their ``links`` field by field, and the ``journal`` in order."""
    tx = Tx(connection, 0.0)
    rows = _connected(tx, world, bearing(tx, world, id_))
    found, alone = _links_of(tx, world, rows)
    return {
        "id": id_,
        "records": [_record(tx, world, row) for row in rows],
        "links": [_story(tx, world, pair, link) for pair, link in found],
        "unlinked": alone,
        "journal": _journal(tx, rows, [link for _, link in found]),
    }


def knows(connection: sa.Connection, name: str, ref: Ref) -> bool:
    """Whether a connection has told of a record."""
    return Tx(connection, 0.0).record(name, ref.kind, ref.id) is not None


def _connected(tx: Tx, world: World, rows: Iterable[RecordRow]) -> list[RecordRow]:
    """Records, and all that are linked with them through whatever pairs."""
    waiting, known = list(rows), {}
    for row in waiting:
        known[row.connection, row.kind, row.id] = row
    for row in waiting:
        for pair in world.pairs_of(row.connection, Kind(row.kind)):
            end = pair.end_of(row.connection)
            link = tx.link_at(pair.name, Kind(row.kind), end, row.id)
            across = getattr(link, end.other) if link else None
            other = tx.record(pair.at(end.other).name, Kind(row.kind), across) if across else None
            if other is not None and (other.connection, other.kind, other.id) not in known:
                known[other.connection, other.kind, other.id] = other
                waiting.append(other)
    return sorted(known.values(), key=lambda row: (FIRST[Kind(row.kind)], row.connection, row.id))


def _links_of(tx: Tx, world: World, rows: list[RecordRow]) -> tuple[list[tuple[Pair, LinkRow]], list[Facts]]:
    found: dict[int, tuple[Pair, LinkRow]] = {}
    alone = []
    for row in rows:
        for pair in world.pairs_of(row.connection, Kind(row.kind)):
            end = pair.end_of(row.connection)
            link = tx.link_at(pair.name, Kind(row.kind), end, row.id)
            if link is not None:
                found[link.id] = (pair, link)
            else:
                alone.append(_unlinked(tx, world, pair, end, row))
    return [found[id_] for id_ in sorted(found)], alone


def _record(tx: Tx, world: World, row: RecordRow) -> Facts:
    return {
        **_end(tx, world, row.connection, Kind(row.kind), row.id),
        "job": row.job,
        "candidate": row.candidate,
        "fields": sorted(name for name, told in row.seen.items() if told),
        "empty": sorted(name for name, told in row.seen.items() if not told),
        "words": {name: word_of(row.seen[name]) for name in sorted(WORDED & set(row.seen))},
        "defaulted": list(row.defaulted or ()),
        "traits": list(row.traits or ()),
        "changed_at": row.updated_at,
        "told_at": row.told_at,
        "read_at": row.read_at,
        "written_at": row.written_at,
        "to_read": _one(tx.sql, sa.select(_marks.why).where(
            _marks.connection == row.connection, _marks.kind == row.kind, _marks.ref == row.id)).get("why"),
    }  # fmt: skip


def _story(tx: Tx, world: World, pair: Pair, link: LinkRow) -> Facts:
    rows = rows_of(tx.sql, sa.select(schema.holds).where(_holds.link == link.id).order_by(_holds.id))
    return {
        **_link(tx, world, pair, link),
        "fields": [*_fields(tx, pair, link)],
        "decided": sorted(link.decided or {}),
        "held": [_held(tx, world, row) for row in rows],
        "writes": _writes(tx, pair, link),
    }


def _fields(tx: Tx, pair: Pair, link: LinkRow) -> Iterator[Facts]:
    """How each field of a link stands, in words: what changed since both ends last agreed, never to what."""
    kind = Kind(link.kind)
    rows = {end: tx.record(pair.at(end).name, kind, getattr(link, end) or "") for end in End}
    for name in sorted(pair.fields.get(kind, ())):
        sides = {end: _side(pair, end, rows[end], link, name) for end in End}
        left, right = sides[End.LEFT], sides[End.RIGHT]
        if left.now is None and right.now is None:
            continue
        words = {end.value: word_of(side.now) if side.now and name in WORDED else None for end, side in sides.items()}
        yield {"field": name, "state": _state(name, left, right), "words": words}


def _side(pair: Pair, end: End, row: RecordRow | None, link: LinkRow, name: str) -> Side:
    base: dict[str, str] = getattr(link, f"{end}_base")
    words = pair.at(end).vocabulary.words.get(name) if name in WORDED else None
    return Side(now=row.seen.get(name) if row else None, base=base.get(name), words=words)


def _state(name: str, left: Side, right: Side) -> str:
    if agree(name, left, right):
        return "alike"
    if left.base is None and right.base is None:
        return "never compared"
    if left.changed or right.changed:
        ends = [str(end) for end, side in ((End.LEFT, left), (End.RIGHT, right)) if side.changed]
        return f"changed at the {' and the '.join(ends)}"
    return "unlike, as when they last agreed" if left.now is not None and right.now is not None else "told by one end"


def _writes(tx: Tx, pair: Pair, link: LinkRow) -> list[Facts]:
    """The writes that wait for a link, oldest first."""
    near = _intents.connection.in_([pair.left.name, pair.right.name])
    where = (near, _intents.kind.in_([link.kind, Kind.APPLICATION.value]))
    rows = rows_of(tx.sql, sa.select(schema.intents).where(*where).order_by(_intents.made_at, _intents.id))
    return [_write(row, row["wants"][str(link.id)]) for row in rows if str(link.id) in row["wants"]]


def _write(row: Mapping[str, Any], part: Mapping[str, Any]) -> Facts:
    names = ("id", "connection", "kind", "ref", "call", "state", "tries", "made_at", "due", "sent_at", "reason",
             "origin")  # fmt: skip
    return {**{name: row[name] for name in names}, "fields": sorted(part)}


def _journal(tx: Tx, rows: list[RecordRow], found: list[LinkRow]) -> list[Facts]:
    table = schema.journal.c
    refs = [(row.connection, row.kind, id_) for row in rows for id_ in _own_ids(tx, row)]
    about = [sa.and_(table.connection == name, table.kind == kind, table.ref == id_) for name, kind, id_ in refs]
    about += [table.link.in_([link.id for link in found])] if found else []
    if not about:
        return []
    newest = sa.select(schema.journal).where(sa.or_(*about)).order_by(table.id.desc()).limit(MOST_LINES)
    lines = reversed(rows_of(tx.sql, newest))
    return [{**line, "sentence": spoken(line["what"], line["detail"]) + because(line["origin"])} for line in lines]


def _own_ids(tx: Tx, row: RecordRow) -> list[str]:
    if row.kind != Kind.CANDIDATE.value:
        return [row.id]
    return list(dict.fromkeys([row.id, *(member.row for member in tx.members_of(row.connection, row.id))]))


# --- asking ---------------------------------------------------------------------------------------------------------


def _one(sql: sa.Connection, statement: sa.Select[Any]) -> Facts:
    found = sql.execute(statement).mappings().first()
    return dict(found) if found is not None else {}


def _count(sql: sa.Connection, statement: sa.Select[Any]) -> int:
    return int(sql.execute(statement).scalar_one())


def _counts(sql: sa.Connection, statement: sa.Select[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in sql.execute(statement)}
