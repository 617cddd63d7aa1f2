"""What a person decides: which side stays, what is the same thing, what rests. Each is one transaction.

A decision is kept where the engine looks for it (a link's ``decided`` fields and bases, cuts, switches), the record is
settled again at once, and the journal says that a person did it. No value is needed for that: where one is, its record
is marked to be read. What makes no sense is refused with a sentence (``Refused``).
"""

from typing import Any

import sqlalchemy as sa

from syncd import batches, errands, identity, large, places, pull, push, schema, switches, tombstones
from syncd.errors import SyncdError
from syncd.holds import CHOOSING, drop_intent_holds, hold_record
from syncd.intents import creation_of, delete_intent, drop_creation, drop_wants, save_intent
from syncd.limits import Priority
from syncd.look import LET_BE, case_of
from syncd.mapping import EMPTY
from syncd.merging import side
from syncd.model import Kind
from syncd.reconcile import End
from syncd.resting import strangers
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.sentences import DROP, LINK, NEW, RETRY, SCREENED, TAKE_LEFT, answers, spelled
from syncd.settle import settle, settle_children
from syncd.setup import Connection, Pair, World
from syncd.store import remember, upsert
from syncd.unlooked import keep_unlooked
from syncd.work import CREATE, ERRANDS, IN_FLIGHT, ROWS, UNSENT, Work, mark, mark_speakers, note

EVERYTHING = "*"


class Refused(SyncdError):
    """A decision that makes no sense here; the sentence says why and what would."""


# --- answers to holds -----------------------------------------------------------------------------------------------


def resolve(work: Work, hold_id: int, choice: str, other: str | None = None) -> str:
    """Answer a hold; ``choice`` is one of those that ``held`` shows, ``other`` the id to link with. What came of it."""
    found = work.sql.execute(sa.select(schema.holds).where(schema.holds.c.id == hold_id)).mappings().one_or_none()
    if found is None:
        raise Refused(f"nothing is held under number {hold_id}; `syncd held` shows what is")
    hold = dict(found)
    pair = next((pair for pair in work.world.pairs if pair.name == hold["pair"]), None)
    link = work.tx.link(hold["link"]) if hold["link"] is not None else None
    case = case_of(hold, pair, link)
    if choice not in answers(case):
        raise Refused(f"hold {hold_id} cannot be answered so; it takes: {', '.join(answers(case))}")
    if hold["intent"] is not None:
        return _answer_write(work, hold, choice)
    if hold["reason"] in {tombstones.RETURNED, tombstones.LEFT}:
        _forget_hold(work, hold)
        return "Nothing more is said of it."
    if hold["reason"] in {"rows_differ", "erasure", *places.REASONS}:
        return _leave_rows(work, hold)
    if pair is None:
        raise Refused(f"hold {hold_id} is of pair {hold['pair']}, which the config does not have")
    if link is not None:
        return _answer_link(work, pair, link, hold, choice)
    return _answer_record(work, pair, hold, choice, other)


def _answer_write(work: Work, hold: dict[str, Any], choice: str) -> str:
    intent = push.load(work, hold["intent"])
    if intent is None:
        _forget_hold(work, hold)
        return "The write is no longer wanted."
    if strangers(work, intent):
        raise Refused(f"hold {hold['id']} is of a pair that this run does not have; put it back into the config first")
    return _retry(work, intent) if choice == RETRY else _drop(work, intent)


def _retry(work: Work, intent: IntentRow) -> str:
    """Let a held write go out again; a create that may have taken effect is looked up before."""
    reason, intent.reason, intent.tries, intent.looks = intent.reason, None, 0, 0
    drop_intent_holds(work, intent)
    if intent.call == CREATE and reason == "unknown_outcome":
        intent.state, intent.due = "unknown", work.tx.now
        save_intent(work, intent)
        note(work, intent.connection, intent.kind, "", "retried", link=intent.link, detail=reason)
        return f"{intent.connection} is asked whether it took effect; if not, it is sent again."
    push.reopen(work, intent, "retried")
    return f"The write to {intent.connection} is tried again."


def _drop(work: Work, intent: IntentRow) -> str:
    """Let a held write be: what both ends tell now counts as agreed, and what was to be created stays away."""
    parts = {key: sorted(part) for key, part in intent.wants.items() if key != ROWS}
    link_id = intent.link if intent.link is not None else next((int(key) for key in parts), None)
    fields = sorted({name for part in intent.wants.values() for name in part})
    note(work, intent.connection, intent.kind, intent.ref or "", "dropped", link=link_id, fields=fields,
         detail=intent.reason or "")  # fmt: skip
    if intent.call in ERRANDS:
        errands.done(work, intent, detail="dropped")
        return "It is not done, and not asked for again until what it was for changes."
    delete_intent(work, intent)
    for key, names in parts.items():
        link = work.tx.link(int(key))
        if link is None:
            continue
        if link.left is None or link.right is None:
            _let_be(work, link)
        else:
            _accept(work, work.world.pair(link.pair), link, names)
    if intent.call == CREATE:
        return f"Nothing is created at {intent.connection} for it; `syncd links cut {link_id}` undoes that."
    return "The difference is left as it is, until one end changes again."


def _let_be(work: Work, link: LinkRow) -> None:
    """Keep a link with an empty end, so that nothing is created there; whatever waited with it goes."""
    link.how = LET_BE
    work.tx.put_link(link)


def _accept(work: Work, pair: Pair, link: LinkRow, names: list[str]) -> None:
    """What both ends tell now of these fields becomes their bases, alike or not."""
    kind = Kind(link.kind)
    for end in End:
        row = work.tx.record(pair.at(end).name, kind, getattr(link, end))
        base: dict[str, str] = getattr(link, f"{end}_base")
        for name in names:
            now = side(work, pair, end, row, link, name).now if row is not None else None
            base[name] = EMPTY if now is None else now
    link.decided = {name: how for name, how in (link.decided or {}).items() if name not in names} or None
    work.tx.put_link(link)
    _forget_conflicts(work, link, names)
    pull.remerge(work, pair.left, kind, link.left or "")


def _forget_conflicts(work: Work, link: LinkRow, names: list[str]) -> None:
    for hold in _open_holds(work, link, names):
        work.sql.execute(sa.delete(schema.holds).where(schema.holds.c.id == hold.id))
    work.holds.pop(link.id, None)


def _open_holds(work: Work, link: LinkRow, names: list[str]) -> list[Any]:
    """A link's open holds about any of these fields."""
    table = schema.holds.c
    found = work.sql.execute(sa.select(schema.holds).where(table.link == link.id, table.intent.is_(None)))
    return [hold for hold in found if set(hold.field.split() or [""]) & set(names)]


def _forget_hold(work: Work, hold: dict[str, Any]) -> None:
    work.sql.execute(sa.delete(schema.holds).where(schema.holds.c.id == hold["id"]))


def _leave_rows(work: Work, hold: dict[str, Any]) -> str:
    note(work, hold["connection"], hold["kind"], hold["ref"], "dropped", fields=[hold["field"]], detail=hold["reason"])
    _forget_hold(work, hold)
    row = work.tx.record(hold["connection"], Kind(hold["kind"]), hold["ref"])
    if hold["reason"] in places.REASONS and row is not None:
        places.accept(work, work.world.connections[row.connection], row)
        return f"Both places stay as they are at {row.connection}, until one of them is moved again."
    return f"The rows stay unlike each other at {hold['connection']}, until one of them changes again."


# --- answers about a link -------------------------------------------------------------------------------------------


def _answer_link(work: Work, pair: Pair, link: LinkRow, hold: dict[str, Any], choice: str) -> str:
    if hold["reason"] == "vanished":
        return _read_again(work, pair, link, hold) if choice == RETRY else _let_gone_be(work, pair, link, hold)
    if choice == DROP:
        names = hold["field"].split()
        note(work, hold["connection"], hold["kind"], hold["ref"], "dropped", link=link.id, fields=names,
             detail=hold["reason"])  # fmt: skip
        _accept(work, pair, link, names)
        return "The difference is left as it is, until one end changes again."
    return _take(work, pair, link, hold, End.LEFT if choice == TAKE_LEFT else End.RIGHT)


def _take(work: Work, pair: Pair, link: LinkRow, hold: dict[str, Any], end: End) -> str:
    """Let one end's value go to the other, as long as both ends tell what they told when this was held."""
    kind, names, target = Kind(link.kind), hold["field"].split(), pair.at(end.other)
    for name in names:
        if not pair.writable(kind, end.other, name):
            raise Refused(
                f"the {name} cannot be written at {target.name} in pair {pair.name}; "
                f"change it there by hand, take the {end.other} side, or drop this"
            )
    if None in _digests(hold[f"{end}_digest"], len(names)):
        raise Refused(
            f"{pair.at(end).name} says nothing of the {spelled(hold['field'])}, so there is nothing to take; "
            f"take the {end.other} side, or drop this"
        )
    seen = zip(names, *(_digests(hold[f"{side_}_digest"], len(names)) for side_ in End), strict=True)
    link.decided = {**(link.decided or {}), **{name: [end.value, left, right] for name, left, right in seen}}
    work.tx.put_link(link)
    note(work, hold["connection"], hold["kind"], hold["ref"], "decided", link=link.id, fields=names, detail=end.value)
    pull.remerge(work, pair.left, kind, link.left or "")
    return _came_of(work, link, hold, f"The {spelled(hold['field'])} of {pair.at(end).name} goes to {target.name}.")


def _digests(kept: str | None, count: int) -> list[str | None]:
    """What one end told of each field of a hold."""
    return [kept] if count == 1 else [*(kept or "").split()]


def _came_of(work: Work, link: LinkRow, hold: dict[str, Any], otherwise: str) -> str:
    """A decision that could not be carried out is told so."""
    names = hold["field"].split()
    still = next(iter(_open_holds(work, link, names)), None)
    if still is None:
        return otherwise
    link.decided = {name: how for name, how in (link.decided or {}).items() if name not in names} or None
    work.tx.put_link(link)
    why = "an end has changed since" if still.reason == hold["reason"] else f"it cannot be written ({still.reason})"
    return f"It is still held: {why}. Look at `syncd held` and answer number {still.id}."


def _read_again(work: Work, pair: Pair, link: LinkRow, hold: dict[str, Any]) -> str:
    gone = pair.at(End(hold["detail"] or End.RIGHT))
    row = work.tx.record(gone.name, Kind(link.kind), getattr(link, pair.end_of(gone.name)))
    if row is not None:
        mark_speakers(work, gone, row, "asked", Priority.READ)
    return f"{gone.name} is asked for it once more."


def _let_gone_be(work: Work, pair: Pair, link: LinkRow, hold: dict[str, Any]) -> str:
    """What vanished stays away: its end of the link is emptied, and nothing is created in its place."""
    end = End(hold["detail"] or End.RIGHT)
    kind, gone = Kind(link.kind), getattr(link, end)
    kept = work.tx.record(pair.at(end.other).name, kind, getattr(link, end.other))
    if kept is None or kept.gone:
        return cut_link(work, link.id)
    note(work, pair.at(end).name, link.kind, gone, "dropped", link=link.id, detail="vanished")
    _forget_conflicts(work, link, ["", *pair.fields[kind]])
    setattr(link, end, None)
    _let_be(work, link)
    return f"It rests: nothing is created in its place at {pair.at(end).name}; `syncd links cut {link.id}` undoes that."


# --- answers about a record without a link --------------------------------------------------------------------------


def _answer_record(work: Work, pair: Pair, hold: dict[str, Any], choice: str, other: str | None) -> str:
    end, kind = pair.end_of(hold["connection"]), Kind(hold["kind"])
    row = work.tx.record(hold["connection"], kind, hold["ref"])
    if row is None:
        _forget_hold(work, hold)
        return "The record is no longer known."
    if choice == LINK:
        if not other:
            raise Refused(f"say with which record: `syncd resolve {hold['id']} link ID`")
        ids = {end.value: row.id, end.other.value: other}
        return add_link(work, pair.name, kind.value, ids["left"], ids["right"])
    if hold["reason"] in SCREENED:
        return _answer_screening(work, pair, row, choice)
    if choice == NEW:
        return _is_new(work, pair, end, row, hold)
    mark_speakers(work, pair.at(end), row, "asked", Priority.READ)
    settle(work, row.connection, kind, row.id)
    note(work, row.connection, row.kind, row.id, "retried", detail=hold["reason"])
    return f"It is read again at {row.connection} and looked at anew."


def _answer_screening(work: Work, pair: Pair, row: RecordRow, choice: str) -> str:
    """An application goes into the next batch after all, or into none."""
    note(work, row.connection, row.kind, row.id, "decided", detail=choice)
    if choice == RETRY:
        batches.again(work, pair, row.id)
        settle(work, row.connection, Kind(row.kind), row.id)
        return (
            f"It goes to {pair.right.name} with the next batch, which costs credits;"
            " if what stood in its way still does, it is held again."
        )
    batches.leave_be(work, pair, row.id)
    settle(work, row.connection, Kind(row.kind), row.id)
    return f"It is not screened by {pair.right.name}."


def _is_new(work: Work, pair: Pair, end: End, row: RecordRow, hold: dict[str, Any]) -> str:
    """None of its likenesses is the same thing: they are not matched again, and it may be created."""
    there = pair.at(end.other)
    for other in hold["detail"].split() if hold["reason"] in CHOOSING else ():
        if work.tx.record(there.name, Kind(row.kind), other) is not None:
            ids = {end.value: row.id, end.other.value: other}
            _cut(work, pair, row.kind, ids["left"], ids["right"], apart=False)
    note(work, row.connection, row.kind, row.id, "decided", detail=NEW)
    settle(work, row.connection, Kind(row.kind), row.id)
    return f"It counts as a {row.kind} of its own for {there.name}."


# --- links by hand --------------------------------------------------------------------------------------------------


def add_link(work: Work, pair_name: str, kind_name: str, left: str, right: str) -> str:
    """Say that two records are the same thing."""
    pair, kind = pair_of(work.world, pair_name), kind_of(kind_name)
    if not pair.syncs(kind):
        raise Refused(f"pair {pair.name} keeps no {kind}s in step")
    rows = {End.LEFT: _known(work, pair, End.LEFT, kind, left), End.RIGHT: _known(work, pair, End.RIGHT, kind, right)}
    if kind is Kind.APPLICATION:
        _same_parents(work, pair, rows[End.LEFT], rows[End.RIGHT])
    for end in End:
        _free(work, pair, kind, end, rows)
    ends = (rows[End.LEFT].id, rows[End.RIGHT].id)
    _uncut(work, pair, kind, *ends)
    link = work.tx.new_link(pair.name, kind, "hand", *ends)
    for row in rows.values():
        hold_record(work, pair, row, {})
        note(work, row.connection, row.kind, row.id, "linked", link=link.id, detail="hand")
    settle_children(work, pair, link)
    for child in _children(work, pair, link):
        _close_holds(work, pair, child)
    settle(work, pair.left.name, kind, ends[0])
    return f"{pair.left.name} {kind} {ends[0]} and {pair.right.name} {kind} {ends[1]} are linked (link {link.id})."


def _close_holds(work: Work, pair: Pair, link: LinkRow) -> None:
    """Neither end is without a counterpart any more."""
    for end in End:
        row = work.tx.record(pair.at(end).name, Kind(link.kind), getattr(link, end) or "")
        if row is not None:
            hold_record(work, pair, row, {})


def _uncut(work: Work, pair: Pair, kind: Kind, left: str, right: str) -> None:
    """These may be linked again, and so may the applications that hang on both."""
    pairs = {(kind, left, right)}
    if kind is not Kind.APPLICATION:
        here, there = (_hanging_on(work, pair, end, kind, id_) for end, id_ in ((End.LEFT, left), (End.RIGHT, right)))
        pairs |= {(Kind.APPLICATION, one.id, other.id) for one in here for other in there}
    cuts = schema.cuts.c
    for each, one, other in pairs:
        where = (cuts.pair == pair.name, cuts.kind == each.value, cuts.left == one, cuts.right == other)
        work.sql.execute(sa.delete(schema.cuts).where(*where))


def _hanging_on(work: Work, pair: Pair, end: End, kind: Kind, id_: str) -> list[RecordRow]:
    """The applications of a job or of a person."""
    records = schema.records.c
    parent = records.job if kind is Kind.JOB else records.candidate
    where = (records.connection == pair.at(end).name, records.kind == Kind.APPLICATION.value, parent == id_)
    return work.tx.records_where(*where)


def _known(work: Work, pair: Pair, end: End, kind: Kind, id_: str) -> RecordRow:
    connection = pair.at(end)
    if connection.is_rows(kind) and (member := work.tx.member(connection.name, id_)) is not None:
        id_ = member.person
    row = work.tx.record(connection.name, kind, id_)
    if row is None or row.gone:
        state = "is no longer there" if row is not None else "is not known"
        raise Refused(f"{kind} {id_} {state} at {connection.name}, the {end} end of pair {pair.name}")
    return row


def _same_parents(work: Work, pair: Pair, left: RecordRow, right: RecordRow) -> None:
    for kind, here, there in ((Kind.JOB, left.job, right.job), (Kind.CANDIDATE, left.candidate, right.candidate)):
        link = work.tx.link_at(pair.name, kind, End.LEFT, here) if here else None
        if link is None or link.right != there:
            raise Refused(
                f"the {kind}s of these applications are not linked with each other; first: "
                f"syncd links add {pair.name} {kind} {here} {there}"
            )


def _free(work: Work, pair: Pair, kind: Kind, end: End, rows: dict[End, RecordRow]) -> None:
    """Make room for a link: one that only waits for its other end gives way, a whole one does not."""
    link = work.tx.link_at(pair.name, kind, end, rows[end].id)
    if link is None:
        return
    across = getattr(link, end.other)
    if across is not None:
        same = across == rows[end.other].id
        told = "they are linked already" if same else f"{kind} {rows[end].id} is linked with {across}"
        raise Refused(f"{told} (link {link.id}){'' if same else f'; first: syncd links cut {link.id}'}")
    _drop_half(work, link)


def _drop_half(work: Work, link: LinkRow) -> None:
    """Forget a link whose other end is empty, and the create that would fill it."""
    intent = creation_of(work, link)
    if intent is not None and intent.state in IN_FLIGHT:
        raise Refused(f"a call that creates it at {intent.connection} is under way; try again in a minute")
    if intent is not None and intent.state in UNSENT:
        drop_creation(work, intent)
    elif work.tx.link(link.id) is not None:
        work.tx.drop_link(link)


def cut_link(work: Work, link_id: int) -> str:
    """Say that two records are not the same thing; the applications that hang on them are unlinked too."""
    link = work.tx.link(link_id)
    pair = next((pair for pair in work.world.pairs if link is not None and pair.name == link.pair), None)
    if link is None or pair is None:
        raise Refused(f"there is no link {link_id}; `syncd links ID` finds a record's links")
    ends = [(end, id_) for end in End if (id_ := getattr(link, end)) is not None]
    if len(ends) < 2:
        _drop_half(work, link)
    else:
        _unlink(work, pair, link)
    for end, id_ in ends:
        note(work, pair.at(end).name, link.kind, id_, "cut", link=link_id)
        settle(work, pair.at(end).name, Kind(link.kind), id_)
    settle_children(work, pair, link)
    if len(ends) < 2:
        return f"Link {link_id} is gone, and its one record is looked at anew."
    return f"Link {link_id} is cut; its two records are not linked again by themselves."


def _unlink(work: Work, pair: Pair, link: LinkRow) -> None:
    for child in _children(work, pair, link):
        _unlink(work, pair, child)
    _cut(work, pair, link.kind, link.left or "", link.right or "", apart=True)
    drop_wants(work, link)
    work.tx.drop_link(link)


def _cut(work: Work, pair: Pair, kind: str, left: str, right: str, *, apart: bool) -> None:
    row = {"pair": pair.name, "kind": kind, "left": left, "right": right, "apart": apart, "at": work.tx.now}
    upsert(work.sql, schema.cuts, [row])


def _children(work: Work, pair: Pair, link: LinkRow) -> list[LinkRow]:
    """The links of applications that rest on a job's or person's link."""
    kind = Kind(link.kind)
    if kind is Kind.APPLICATION or link.left is None:
        return []
    rows = _hanging_on(work, pair, End.LEFT, kind, link.left)
    found = [work.tx.link_at(pair.name, Kind.APPLICATION, End.LEFT, row.id) for row in rows]
    return [child for child in found if child is not None and child.right is not None]


# --- lists ----------------------------------------------------------------------------------------------------------


def walk_now(work: Work, name: str, walk_name: str, *, sweep: bool) -> str:
    """Let a list be looked at (or, a ``sweep``, read whole) as soon as its lane has a turn for it."""
    walks = work.world.walks_of(name) if name in work.world.connections else ()
    if walk_name not in {walk.name for walk in walks}:
        raise Refused(f'no list is called "{name} {walk_name}"; `syncd status` names all')
    if switches.is_stopped(work.sql, name):
        raise Refused(f"{name} is stopped; first: syncd resume {name}")
    cursor = pull.cursor_of(work.sql, name, walk_name)
    if cursor["mode"] == "sweep" or (cursor["mode"] == "poll" and not sweep):
        return f"{name} {walk_name} is being read already."
    if cursor["mode"] == "poll":
        raise Refused(f"{name} {walk_name} is being looked at right now; read it whole when that is done")
    due = {"sweep_due" if sweep else "poll_due": work.tx.now}
    table = schema.cursors
    where = (table.c.connection == name, table.c.walk == walk_name)
    work.sql.execute(sa.update(table).where(*where).values(due))
    work.woken.add(name)
    return f"{name} {walk_name} is {'read whole' if sweep else 'looked at'} now."


# --- switches -------------------------------------------------------------------------------------------------------


def pause(work: Work, name: str | None) -> str:
    """Stop a connection, a pair, or (no name) everything; kept in the store until it is resumed."""
    scope = scope_of(work.world, name)
    switches.stop(work.sql, scope, "paused", work.tx.now)
    return f"{_spoken(scope)} rests until `syncd resume{'' if scope == EVERYTHING else f' {name}'}`."


def resume(
    work: Work, name: str | None, *, allow_empty: bool = False, allow_large: bool = False, same_account: bool = False
) -> str:
    """Start again what was stopped; what a guard has stopped wants to be allowed by name."""
    scope = scope_of(work.world, name)
    reason = switches.reason_of(work.sql, scope)
    if not reason:
        if scope == EVERYTHING:
            return "Nothing was stopped as a whole; `syncd status` tells which pairs and connections are."
        return f"{_spoken(scope)} was not stopped."
    guard = next((word for word in GUARDS if reason.startswith(word)), None)
    if guard is not None and not {"emptied": allow_empty, "large": allow_large, identity.STOPPED: same_account}[guard]:
        raise Refused(
            f"{_spoken(scope)} was stopped by a guard ({reason}); if that is right: syncd resume {name} {GUARDS[guard]}"
        )
    if guard == "emptied":
        _believe(work, scope, reason.rpartition(" from ")[2])
    elif guard == "large":
        remember(work.sql, f"{large.ALLOW_LARGE}{scope}", str(work.tx.now))
    elif guard == identity.STOPPED:
        _believe_account(work, work.world.connections[scope.removeprefix("connection/")])
    switches.start(work.sql, scope)
    work.woken.update(work.world.connections)
    return f"{_spoken(scope)} goes on."


# How a guard's reason begins -> what allows it.
GUARDS = {"emptied": "--allow-empty", "large": "--allow-large", identity.STOPPED: "--same-account"}


def _believe_account(work: Work, connection: Connection) -> None:
    """The account is looked at anew before anything is written there: a person may be mistaken about it."""
    identity.believe_account(work, connection)
    walks = [(connection.name, walk.name) for walk in work.world.walks_of(connection.name)]
    keep_unlooked(work.sql, walks, work.tx.now)


def _believe(work: Work, scope: str, walk_name: str) -> None:
    """Records that the last sweep did not tell are read by id: what is gone is held as vanished, never deleted."""
    connection = work.world.connections[scope.removeprefix("connection/")]
    walk = next((walk for walk in work.world.walks_of(connection.name) if walk.name == walk_name), None)
    cursor = pull.cursor_of(work.sql, connection.name, walk_name)
    if walk is None or cursor["mode"] != "idle":
        return  # the list is walked again anyway
    for ref in pull._absent(work, connection, walk, cursor["walk_no"]):  # noqa: SLF001  # the same question again
        mark(work, connection.name, ref.kind, ref.id, "absent", Priority.READ)


def scope_of(world: World, name: str | None) -> str:
    """The switch that a name means: nothing, a connection, a pair, or either with ``connection/`` or ``pair/``."""
    if name in (None, EVERYTHING):
        return EVERYTHING
    scopes = {f"connection/{each}" for each in world.connections} | {f"pair/{pair.name}" for pair in world.pairs}
    meant = sorted(scopes & {name, f"connection/{name}", f"pair/{name}"})
    if not meant:
        known = ", ".join(sorted(scope.partition("/")[2] for scope in scopes))
        raise Refused(f'nothing is called "{name}"; there are: {known}')
    if len(meant) > 1:
        raise Refused(f'"{name}" is a connection and a pair; write connection/{name} or pair/{name}')
    return str(meant[0])


def _spoken(scope: str) -> str:
    return "Everything" if scope == EVERYTHING else " ".join(scope.split("/", 1)).capitalize()


def pair_of(world: World, name: str) -> Pair:
    """A pair by name."""
    pair = next((pair for pair in world.pairs if pair.name == name), None)
    if pair is None:
        raise Refused(f'there is no pair "{name}"; there are: {", ".join(pair.name for pair in world.pairs)}')
    return pair


def kind_of(name: str) -> Kind:
    """A kind by name, in the singular or the plural."""
    singular = name.lower().removesuffix("s")
    if singular not in {kind.value for kind in Kind}:
        raise Refused(f'"{name}" is no kind; there are: {", ".join(kind.value for kind in Kind)}')
    return Kind(singular)
