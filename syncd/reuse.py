"""An id that a system has given away again: who bears it now is not who bore it.

A record that was made later than the one we know by its id, and is called otherwise (a person's e-mail, a job's code
or title), is another. What we knew is gone then, as if a get had found nothing: its links are held, nothing is written
to the other, and nothing of it is taken in until a person has let the old one rest. Where a system does not tell when
a record was made, nobody can know.
"""

from syncd.model import Kind, Record, Ref
from syncd.rows import Digests, MemberRow, RecordRow
from syncd.setup import Connection
from syncd.work import Work, note

NAMED_BY = {Kind.CANDIDATE: ("email",), Kind.JOB: ("code", "title")}
SAME_S = 1.0  # a list may tell whole seconds where a get tells parts of them
REUSED = "id_reused"  # the trait of who is gone, and whose id another bears


def is_another(record: Record, told: Digests, known: RecordRow | MemberRow) -> bool:
    """Whether what is told under a known id is another record: made later, and called otherwise."""
    if record.created_at is None or known.created_at is None or record.created_at <= known.created_at + SAME_S:
        return False
    return any(
        known.seen.get(name) and told.get(name) and known.seen[name] != told[name]
        for name in NAMED_BY.get(record.ref.kind, ())
    )


def known_as(work: Work, connection: Connection, record: Record) -> RecordRow | MemberRow | None:
    """Who was known by a record's id: of a person that is a set of rows, that row."""
    if connection.is_rows(record.ref.kind):
        return work.tx.member(connection.name, record.ref.id)
    return work.tx.record(connection.name, record.ref.kind, record.ref.id)


def is_let_go(work: Work, connection: Connection, kind: Kind, id_: str) -> bool:
    """Whether no link bears what was known by an id any more, so that its place may be taken."""
    pairs = work.world.pairs_of(connection.name, kind)
    return all(work.tx.link_at(pair.name, kind, pair.end_of(connection.name), id_) is None for pair in pairs)


def make_room(work: Work, connection: Connection, record: Record, known: RecordRow | MemberRow) -> bool:
    """Forget who was known by an id, where nothing is linked with it any more; tells whether that could be."""
    kind, id_ = record.ref.kind, record.ref.id
    person = known.person if isinstance(known, MemberRow) else id_
    if not is_let_go(work, connection, kind, person):
        return False
    if isinstance(known, MemberRow):
        others = [member for member in work.tx.members_of(connection.name, person) if member.row != id_]
        if person != id_ or others:
            return False
        work.tx.put_member(MemberRow(connection.name, id_, id_, created_at=record.created_at))
    work.tx.put_record(RecordRow(connection.name, kind.value, id_, work.tx.now, created_at=record.created_at))
    return True


def set_aside(work: Work, connection: Connection, record: Record) -> None:
    """Say once that another bears the id."""
    row = work.tx.record(connection.name, record.ref.kind, record.ref.id)
    if row is not None and REUSED not in (row.traits or ()):
        row.traits = sorted({*(row.traits or ()), REUSED})
        work.tx.put_record(row)
        note(work, connection.name, record.ref.kind.value, record.ref.id, "id_reused")


def about(record: Record) -> set[Ref]:
    """A record and what it belongs to."""
    return {record.ref, *(Ref(kind, id_) for kind, id_ in record.parents.items())}


def belongs_to_another(work: Work, row: RecordRow) -> bool:
    """Whether an application belongs to who bears somebody's id now, of whom nothing is known yet."""
    if row.kind != Kind.APPLICATION.value:
        return False
    parents = ((Kind.JOB, row.job), (Kind.CANDIDATE, row.candidate))
    rows = (work.tx.record(row.connection, kind, id_) for kind, id_ in parents if id_ is not None)
    return any(one is not None and one.gone and REUSED in (one.traits or ()) for one in rows)
