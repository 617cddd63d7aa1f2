"""Makes the verdicts about one link true in the store: bases, intents, holds.

Whatever brought us here, the link's two ends are looked at as they stand now. What a merge wants and cannot do,
because only a system knows the value, marks that record to be read; the reading brings it here again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from syncd import copies, people, pingpong, schema
from syncd.bases import forget_bases
from syncd.errands import forget_link, plan_errands
from syncd.holds import holds_of, sync_holds
from syncd.intents import Waiting, drop_wants, fields_in_flight, intents_on, plan_writes, rows_to_write, waiting
from syncd.limits import Priority
from syncd.mapping import EMPTY, WORDED, word_of
from syncd.model import Kind
from syncd.reconcile import CONFLICTS, Do, End, Side, Verdict, agree, merge, merge_field
from syncd.rows import LinkRow, RecordRow
from syncd.setup import Pair
from syncd.work import DISPUTE, UNSENT, Work, mark_speakers, note


def merge_link(work: Work, pair: Pair, link: LinkRow) -> bool:
    """Merge one complete link: bases, intents and holds become what the ends tell now; True: nothing is left to do."""
    kind = Kind(link.kind)
    rows = {end: work.tx.record(pair.at(end).name, kind, getattr(link, end)) for end in End}
    left, right = rows[End.LEFT], rows[End.RIGHT]
    if left is None or right is None or left.gone or right.gone:
        drop_wants(work, link)
        forget_link(work, [link])
        sync_holds(work, pair, link, {"": ("vanished", "left" if left is None or left.gone else "right")}, {})
        return False
    both = {End.LEFT: left, End.RIGHT: right}
    busy = fields_in_flight(work, link) | differing_rows(work, pair, both)
    unheard = {end: waiting(work, link, end.other) for end in End}
    sides = _stirred(_based(work, link, sides_of(work, pair, link, both, pair.fields[kind] - busy)), unheard)
    verdicts = _verdicts(work, pair, link, both, sides) | _unheard(work, pair, both, sides, unheard)
    holds = _carry_out(work, pair, link, both, sides, verdicts)
    disputed = _disputed(work, link)
    sync_holds(work, pair, link, holds, sides)
    _release_rivals(work, pair, link, disputed - {name for name, (why, _) in holds.items() if why == DISPUTE})
    _read_what_is_unread(work, pair, both, sides)
    plan_errands(work, pair, link, both)
    unread = any(end.unread for ends in sides.values() for end in ends)
    return not busy and not holds and not unread and not any(v.do is Do.WRITE for v in verdicts.values())


def _based(work: Work, link: LinkRow, sides: Mapping[str, tuple[Side, Side]]) -> dict[str, tuple[Side, Side]]:
    """The sides, where an end that we made tells at first sight what was sent there: so far both agreed.

    The answer to its create told no more than an id, and since then the other end may have gone on.
    """
    told = dict(sides)
    for name, (left, right) in sides.items():
        if _tells_the_base(name, right, left):
            told[name] = left, _with_base(work, link, End.RIGHT, name, right)
        elif _tells_the_base(name, left, right):
            told[name] = _with_base(work, link, End.LEFT, name, left), right
    return told


def _tells_the_base(name: str, one: Side, other: Side) -> bool:
    return one.base is None and other.base is not None and agree(name, one, replace(other, now=other.base))


def _with_base(work: Work, link: LinkRow, end: End, name: str, side: Side) -> Side:
    base: dict[str, str | None] = getattr(link, f"{end}_base")
    base[name] = side.now
    work.tx.put_link(link)
    return replace(side, base=side.now)


def _stirred(
    sides: Mapping[str, tuple[Side, Side]], unheard: Mapping[End, Mapping[str, Any]]
) -> dict[str, tuple[Side, Side]]:
    """The sides, told whether what they said was on its way when they were set back."""
    told = dict(sides)
    for name in told.keys() & {name for names in unheard.values() for name in names}:
        left, right = told[name]
        told[name] = (
            replace(left, stirred=name in unheard[End.LEFT]),
            replace(right, stirred=name in unheard[End.RIGHT]),
        )
    return told


def _unheard(
    work: Work,
    pair: Pair,
    rows: Mapping[End, RecordRow],
    sides: Mapping[str, tuple[Side, Side]],
    unheard: Mapping[End, Mapping[str, Waiting]],
) -> dict[str, Verdict]:
    """Fields that seem to agree though one end was not told since the other said so: it may have moved on.

    The write goes on to its turn, which begins with a look at its target: if that agrees indeed, nothing is written.
    What is held has no turn. It stays a question until its source was read after its target came round.
    """
    kept = {}
    for end in End:
        for name, wait in unheard[end].items():
            if name not in sides or not agree(name, *sides[name]):
                continue
            is_told = sides[name][end is End.RIGHT].now == wait.told
            if rows[end.other].told_at < (wait.at if is_told else rows[end].told_at):
                kept[name] = Verdict(Do.WRITE, end)
            elif wait.held and is_told and rows[end].told_at < rows[end.other].told_at:
                kept[name] = Verdict(Do.WRITE, end)
                mark_speakers(work, pair.at(end), rows[end], "contested", Priority.READ)
    return kept


def _verdicts(
    work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow], sides: Mapping[str, tuple[Side, Side]]
) -> dict[str, Verdict]:
    """What is to be done about each field of a link, by the merge and by what a person or an open hold says."""
    verdicts = merge(
        sides, owners=pair.owners, rule=pair.rule, decided=_decided(link, sides), contested=_contested(work, link)
    )
    if link.kind == Kind.JOB and not pair.publish and draft_stands_for_open(sides):
        verdicts.pop("status", None)
    unproven = _unproven(work, pair, link, rows, sides)
    verdicts |= {name: Verdict(Do.HOLD, reason=reason) for name, reason in unproven.items()}
    return verdicts | pingpong.frozen(work, link, sides, verdicts)


def differing_rows(work: Work, pair: Pair, rows: Mapping[End, RecordRow]) -> frozenset[str]:
    """The fields about which a person's own rows are in conflict."""
    sets = [row for end, row in rows.items() if pair.at(end).is_rows(Kind(row.kind))]
    return frozenset().union(*(people.differing(work, row) for row in sets))


def sides_of(
    work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow], names: Iterable[str]
) -> dict[str, tuple[Side, Side]]:
    """Both ends' views of fields of a link, the left one first."""
    left, right = rows[End.LEFT], rows[End.RIGHT]
    return {
        name: (side(work, pair, End.LEFT, left, link, name), side(work, pair, End.RIGHT, right, link, name))
        for name in sorted(names)
    }


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
    contested = [hold for hold in holds_of(work, link) if hold.reason in CONFLICTS]
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
    held = [each for each in holds_of(work, link) if each.reason in {*CONFLICTS, DISPUTE}]
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


def _decided(link: LinkRow, sides: Mapping[str, tuple[Side, Side]]) -> dict[str, End]:
    """The sides that a person took, while both ends are as that person saw them."""
    return {
        name: End(end)
        for name, (end, left, right) in (link.decided or {}).items()
        if name in sides and (sides[name][0].now, sides[name][1].now) == (left, right) and end is not None
    }


def draft_stands_for_open(sides: Mapping[str, tuple[Side, Side]]) -> bool:
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
        elif work.learning and _may_be_ours(work, pair, left, right):
            forget_bases(work, link, name)
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
        for name in sorted(wants.keys() & other.fields[Kind(link.kind)]):
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
    for hold in [each for each in holds_of(work, link) if each.reason == DISPUTE and each.field in names]:
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
    return {hold.field for hold in holds_of(work, link) if hold.reason == DISPUTE}


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
    refs = rows_to_write(work, work.world.connections[end_name], target) if target is not None else []
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


def _may_be_ours(work: Work, pair: Pair, left: Side, right: Side) -> bool:
    """Whether an end that changed may have been changed by us: the store is an older copy, and both are written to."""
    two_way = left.writable and right.writable and left.base is not None and right.base is not None
    return two_way and copies.in_doubt(work.sql, pair.name)


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
