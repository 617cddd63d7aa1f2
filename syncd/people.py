"""A person who is a set of candidate rows: joined once by e-mail at first sight, by row id afterwards.

Each row keeps what it told (``seen``) and what it told when it was last in step or left alone (``base``). A field
speaks through the row that differs from its own base; so a comment on another row, which only bumps that row's time,
never brings an old value back. Bringing a person's rows together belongs to the connection and to no pair.
"""

import sqlalchemy as sa

from syncd import schema
from syncd.holds import hold_alone
from syncd.intents import delete_intent, intents_on, save_intent, unsealed
from syncd.mapping import EMPTY
from syncd.model import Kind, Record
from syncd.rows import Digests, IntentRow, MemberRow, RecordRow
from syncd.setup import Connection
from syncd.work import IN_FLIGHT, ROWS, UNSENT, Work, note


def person_of(work: Work, connection: Connection, row: str) -> str | None:
    """The person a candidate row belongs to."""
    member = work.tx.member(connection.name, row)
    return member.person if member else None


def absorb_row(work: Work, connection: Connection, record: Record, told: Digests) -> tuple[RecordRow, bool]:
    """Take in what one candidate row tells; (the person, whether anything about it changed)."""
    member = work.tx.member(connection.name, record.ref.id)
    if member is None:
        return _join(work, connection, record, told)
    person = work.tx.record(connection.name, Kind.CANDIDATE, member.person)
    if person is None:  # its row was lost by somebody's hand; who she is is still known, and so is her link
        person = _known_again(work, connection, record, member, told)
    frozen = "anonymized" in record.traits
    if frozen and not member.frozen:
        _hold(work, person, member, "", "erasure")  # what stands elsewhere is for a person to erase
    moved = [name for name, digest in told.items() if member.seen.get(name) != digest]
    if not moved and not member.gone and frozen == member.frozen:
        return person, False
    was_gone, member.gone, member.frozen = member.gone, False, frozen
    first_told = {name: told[name] for name in moved if name not in member.base}
    member.seen.update({name: told[name] for name in moved})
    member.base.update(first_told)
    work.tx.put_member(member)
    for name in sorted(moved) if not frozen else ():
        _speak(work, connection, person, member, name, first=name in first_told)
    for name in sorted(told.keys() - set(moved)) if was_gone and not frozen else ():
        if member.seen[name] != person.seen.get(name):
            _differ(work, person, member, name)  # what was written while the row was gone went past it
    return person, True


def _known_again(work: Work, connection: Connection, record: Record, member: MemberRow, told: Digests) -> RecordRow:
    """A person under the name that her rows know her by."""
    person = RecordRow(connection.name, Kind.CANDIDATE.value, member.person, work.tx.now, created_at=record.created_at)
    work.tx.put_record(person)
    member.seen, member.base = {}, {}
    for row in work.tx.members_of(connection.name, member.person):
        row.seen, row.base = {}, {}
        work.tx.put_member(row)
    return person


def _join(work: Work, connection: Connection, record: Record, told: Digests) -> tuple[RecordRow, bool]:
    """First sight of a row: it joins the person of its e-mail, or is a person of its own."""
    row = record.ref.id
    person = _known_by_email(work, connection, record, told.get("email"))
    if person is None:
        person = RecordRow(connection.name, Kind.CANDIDATE.value, row, work.tx.now, created_at=record.created_at)
        work.tx.put_record(person)
    member = MemberRow(
        connection.name, row, person.id, dict(told), dict(told), record.created_at, frozen="anonymized" in record.traits
    )
    work.tx.put_member(member)
    born = record.created_at or 0.0
    for name, digest in told.items():
        silent, newer = not person.seen.get(name), born >= (person.spoken_at or {}).get(name, 0.0)
        if name not in person.seen or (digest != EMPTY and (silent or newer)):
            _say(work, person, member, name, born)
    return person, True


def _known_by_email(work: Work, connection: Connection, record: Record, email: str | None) -> RecordRow | None:
    """The person of an e-mail; one whose rows are all gone only if this is one of them, moved to another job."""
    living = work.tx.alike(connection.name, Kind.CANDIDATE, "key", email)
    if living:
        return living[0]
    for person in work.tx.alike(connection.name, Kind.CANDIDATE, "key", email, gone=True):
        rows = work.tx.members_of(connection.name, person.id)
        if record.created_at is not None and any(row.created_at == record.created_at for row in rows):
            person.gone = False
            work.tx.put_record(person)
            return person
    return None


def _say(work: Work, person: RecordRow, member: MemberRow, name: str, at: float | None = None) -> None:
    """Let a row speak for its person about one field.

    ``at``: since when, by default now. A row that joins later, but was born before, does not bring an old value back.
    """
    digest = member.seen[name]
    if person.seen.get(name) == digest and (person.speakers or {}).get(name) is not None:
        return
    person.spoken_at, person.speakers = person.spoken_at or {}, person.speakers or {}
    person.spoken_at[name] = work.tx.now if at is None else at
    person.seen[name] = digest
    person.speakers[name] = member.row
    if name == "email":
        person.key = digest or None
    work.tx.put_record(person)


def _speak(work: Work, connection: Connection, person: RecordRow, member: MemberRow, name: str, *, first: bool) -> None:
    """A row tells something new about one field."""
    others = [m for m in work.tx.members_of(connection.name, person.id) if m.row != member.row and not m.gone]
    if first:
        if name not in person.seen or (member.seen[name] and not person.seen[name]):
            _say(work, person, member, name)
        return
    if member.seen[name] == person.seen.get(name):
        member.base[name] = member.seen[name]  # it came into step, by our hand or by somebody's
        _forget(work, member, name)
        _close_difference(work, person, [member, *others], name)
        return
    if _is_being_written(work, connection, member, name):
        return  # an answer on its way decides; the row is looked at again then
    if _awaits_another(work, connection, member, name):
        _differ(work, person, member, name)
        return
    member.base[name] = member.seen[name]
    _say(work, person, member, name)
    for other in others:
        if other.seen.get(name) == member.seen[name]:
            _forget(work, other, name)
        elif not other.frozen:
            _bring(work, connection, other, member, name)
    _close_difference(work, person, [member, *others], name)


def _is_being_written(work: Work, connection: Connection, member: MemberRow, name: str) -> bool:
    sent = intents_on(work, connection.name, Kind.CANDIDATE, [member.row], ("sent", "unknown"))
    return any(name in part for intent in sent for part in intent.wants.values())


def _awaits_another(work: Work, connection: Connection, member: MemberRow, name: str) -> bool:
    """Whether another row's change was on its way to this one: two changes unlike each other."""
    unsent = intents_on(work, connection.name, Kind.CANDIDATE, [member.row], UNSENT)
    return any(name in intent.wants.get(ROWS, {}) for intent in unsent)


def _differ(work: Work, person: RecordRow, member: MemberRow, name: str) -> None:
    """Two rows of one person were changed unlike each other: neither is written to any row, a person decides."""
    member.base[name] = member.seen[name]
    for each in work.tx.members_of(person.connection, person.id):
        _forget(work, each, name)
    _hold(work, person, member, name, "rows_differ")


def _forget(work: Work, member: MemberRow, name: str) -> None:
    """What was on its way to a row from another one is not wanted any more."""
    for intent in intents_on(work, member.connection, Kind.CANDIDATE, [member.row], UNSENT):
        if name in intent.wants.get(ROWS, {}):
            _take_out(work, intent, name)


def _hold(work: Work, person: RecordRow, member: MemberRow, name: str, reason: str) -> None:
    """Let a person decide about one of somebody's rows; ``name``: the field it is about, if it is about one."""
    hold_alone(work, person, name, reason, member.row)


def _take_out(work: Work, intent: IntentRow, name: str) -> None:
    intent.wants[ROWS] = {key: want for key, want in intent.wants[ROWS].items() if key != name}
    if not intent.wants[ROWS]:
        del intent.wants[ROWS]
    if intent.wants:
        save_intent(work, intent, {key: value for key, value in unsealed(work, intent).items() if key != name})
    else:
        delete_intent(work, intent)


def _close_difference(work: Work, person: RecordRow, rows: list[MemberRow], name: str) -> None:
    """Rows that tell the same again close their hold."""
    if len({row.seen.get(name) for row in rows if not row.frozen}) == 1:
        table = schema.holds.c
        where = (table.connection == person.connection, table.ref == person.id, table.field == name)
        work.sql.execute(sa.delete(schema.holds).where(*where, table.reason == "rows_differ"))


def _bring(work: Work, connection: Connection, other: MemberRow, speaker: MemberRow, name: str) -> None:
    """Write a changed field to another row of the same person."""
    call = connection.terms[Kind.CANDIDATE].calls.get(name)
    values = work.values.get((connection.name, Kind.CANDIDATE.value, speaker.row), {})
    if call is None or name not in values or work.learning:
        return
    intent = next(iter(intents_on(work, connection.name, Kind.CANDIDATE, [other.row], UNSENT, call)), None)
    if intent is None:
        intent = IntentRow(
            id=work.new_id(), connection=connection.name, kind=Kind.CANDIDATE.value, ref=other.row, call=call,
            state="open", link=None, wants={}, sealed=None, source=connection.name, told_at=work.tx.now, priority=1,
            made_at=work.tx.now, due=work.tx.now, origin=work.origin,
        )  # fmt: skip
    digest = speaker.seen[name]
    intent.wants.setdefault(ROWS, {})[name] = [digest, digest]
    intent.state, intent.reason = "open", None
    save_intent(work, intent, {**unsealed(work, intent), name: values[name]})
    note(work, connection.name, Kind.CANDIDATE.value, other.row, "rows_planned", fields=[name])


def wrote_row(work: Work, connection: Connection, row: str, name: str, brought: str | None) -> None:
    """One of our writes to a row is confirmed: the row is in step, and what it tells is the person's.

    ``brought``: the digest of another row's value, where that was brought. If the person has said something else since,
    that is on its way to this row too; a write that was under way meanwhile says nothing.
    """
    member = work.tx.member(connection.name, row)
    person = work.tx.record(connection.name, Kind.CANDIDATE, member.person) if member else None
    if member is None or person is None or name not in member.seen:
        return
    member.base[name] = member.seen[name]
    work.tx.put_member(member)
    if brought not in (None, person.seen.get(name)):
        return
    _say(work, person, member, name)
    if name in differing(work, person):
        return
    for other in work.tx.members_of(connection.name, person.id):
        behind = not (other.gone or other.frozen) and other.seen.get(name) != member.seen[name]
        if behind and not _is_to_be_written(work, connection, other, name):
            _bring(work, connection, other, member, name)


def differing(work: Work, person: RecordRow) -> frozenset[str]:
    """The fields about which a person's own rows are in conflict: none of their values goes anywhere."""
    return frozenset(work.sql.execute(_DIFFERING, {"of": person.connection, "who": person.id}).scalars())


_DIFFERING = sa.select(schema.holds.c.field).where(
    schema.holds.c.connection == sa.bindparam("of"),
    schema.holds.c.kind == Kind.CANDIDATE.value,
    schema.holds.c.ref == sa.bindparam("who"),
    schema.holds.c.reason == "rows_differ",
)


def _is_to_be_written(work: Work, connection: Connection, member: MemberRow, name: str) -> bool:
    """Whether an intent bears the field to the row already; a row that came after it was planned has none."""
    states = (*IN_FLIGHT, *UNSENT)
    intents = intents_on(work, connection.name, Kind.CANDIDATE, [member.row], states)
    return any(name in part for intent in intents for part in intent.wants.values())


def leave_to_rows(work: Work, connection: Connection, row: str, key: str, names: list[str]) -> None:
    """A link's write reached one row, so its ends agree; that it reaches the others is the connection's own matter."""
    member = work.tx.member(connection.name, row)
    siblings = [m.row for m in work.tx.members_of(connection.name, member.person)] if member else []
    for intent in intents_on(work, connection.name, Kind.CANDIDATE, [ref for ref in siblings if ref != row], UNSENT):
        part = intent.wants.get(key, {})
        moved = {name: [part[name][0], part[name][0]] for name in names if name in part}
        if moved:
            intent.wants[ROWS] = {**intent.wants.get(ROWS, {}), **moved}
            intent.wants[key] = {name: want for name, want in part.items() if name not in moved}
            intent.wants = {owner: wants for owner, wants in intent.wants.items() if wants}
            save_intent(work, intent)


def lost_row(work: Work, connection: Connection, row: str) -> RecordRow | None:
    """A row is gone; its person is gone with the last one.

    What the row alone had said stays her value, and the rows that tell another are asked about: to believe them would
    bring back what it had replaced.
    """
    member = work.tx.member(connection.name, row)
    person = work.tx.record(connection.name, Kind.CANDIDATE, member.person) if member else None
    if member is None or person is None:
        return None
    member.gone = True
    work.tx.put_member(member)
    alive = [other for other in work.tx.members_of(connection.name, person.id) if not other.gone]
    person.gone = not alive
    speakers = {name: who for name, who in (person.speakers or {}).items() if who != row}
    for name in sorted(set(person.speakers or {}) - set(speakers)):
        same = [other.row for other in alive if other.seen.get(name) == person.seen.get(name)]
        speakers |= {name: same[0]} if same else {}
        behind = [other for other in alive if not _is_to_be_written(work, connection, other, name)]
        if behind and not same:
            _hold(work, person, behind[-1], name, "rows_differ")
    person.speakers = speakers
    work.tx.put_record(person)
    return person
