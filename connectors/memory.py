"""A system in a dict: the reference for the seam, and the engine's fake. Simulated, and with nothing to hide.

Three flavours stand for what the real systems force: ``rows`` (a candidate row is an application, jobs are read-only,
the list has a change filter), ``plain`` (all kinds stand alone and keep our ``source_id``), ``newborn`` (a create makes
the person and one application, no second one can be made, nothing of ours is kept).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from syncd.clock import Clock
from syncd.connector import Facts, KindFacts, Walk, digest_of
from syncd.errors import Gone, NotSent, OutcomeUnknown, RateLimited, Rejected, Taken, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref, Value

T = TypeVar("T")
PERSON = frozenset({"name", "email", "phone"})
JOB = frozenset({"title", "code", "status"})
STAGE = frozenset({"stage"})
WORDS: Mapping[str, str] = {
    "New": "applied", "Screen": "screening", "Talk": "interview", "Deal": "offer", "In": "hired", "Out": "rejected",
}  # fmt: skip
MAPPING: Mapping[str, Any] = {
    "fields": {
        "job": {name: name for name in sorted(JOB)},
        "candidate": {name: name for name in sorted(PERSON)},
        "application": {"stage": "stage"},
    },
    "stages": {"read": WORDS, "write": {ours: [theirs] for theirs, ours in WORDS.items()}},
    "statuses": {"read": {"open": "open", "closed": "closed"}, "write": {"open": "open", "closed": "closed"}},
}


def _person_facts(*, alone: bool, keeps: bool) -> KindFacts:
    return KindFacts(
        lists=PERSON,
        writes=dict.fromkeys(PERSON, "patch"),
        creates=PERSON if alone else None,
        demands=frozenset({"name", "email"}) if alone else frozenset(),
        may_empty=frozenset({"phone"}),
        keeps_source_id=keeps,
        exact=keeps,
    )


def _application_facts(*, bears: bool, newborn: bool, keeps: bool) -> KindFacts:
    return KindFacts(
        lists=STAGE,
        writes={"stage": "move"},
        creates=frozenset() if newborn else STAGE,
        demands=frozenset({"person.name", "person.email"}) if bears else frozenset(),
        bears_person=bears,
        only_newborn=newborn,
        stage="stage",
        keeps_source_id=keeps,
        born={"stage": "New"},
        exact=not newborn,
    )


_JOBS = KindFacts(lists=JOB, writes=dict.fromkeys(JOB, "patch"), creates=JOB, demands=frozenset({"title"}),
                  status="status", keeps_source_id=True, exact=True)  # fmt: skip

FACTS: Mapping[str, Facts] = {
    "rows": Facts(
        "rows",
        (
            Walk("jobs", (Kind.JOB,), "next link"),
            Walk("rows", (Kind.CANDIDATE, Kind.APPLICATION), "next link", since=True),
        ),
        {
            Kind.JOB: KindFacts(lists=JOB, status="status"),
            Kind.CANDIDATE: _person_facts(alone=False, keeps=False),
            Kind.APPLICATION: _application_facts(bears=True, newborn=False, keeps=False),
        },
        rows=True,
        visible_s=3.0,
        page=4,
    ),
    "plain": Facts(
        "plain",
        tuple(Walk(f"{kind.value}s", (kind,), "empty page") for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION)),
        {
            Kind.JOB: _JOBS,
            Kind.CANDIDATE: _person_facts(alone=True, keeps=True),
            Kind.APPLICATION: _application_facts(bears=False, newborn=False, keeps=True),
        },
        visible_s=3.0,
        page=4,
    ),
    "newborn": Facts(
        "newborn",
        (Walk("jobs", (Kind.JOB,), "pages told"), Walk("people", (Kind.CANDIDATE, Kind.APPLICATION), "pages told")),
        {
            Kind.JOB: replace(_JOBS, keeps_source_id=False, exact=False),
            Kind.CANDIDATE: _person_facts(alone=True, keeps=False),
            Kind.APPLICATION: _application_facts(bears=True, newborn=True, keeps=False),
        },
        visible_s=3.0,
        page=4,
    ),
}


@dataclass
class Thing:
    """One record as the system keeps it."""

    ref: Ref
    fields: dict[str, Value]
    parents: dict[Kind, str] = field(default_factory=dict)
    source_id: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    version: int = 0


@dataclass(frozen=True)
class Entry:
    """One line of the server's own log; judges believe nothing else.

    ``by``: api or human; ``before``/``after``: the fields that changed.
    """

    no: int
    at: float
    by: str
    action: str
    ref: Ref
    before: Mapping[str, Value] = field(default_factory=dict)
    after: Mapping[str, Value] = field(default_factory=dict)


class MemorySystem:
    """The server side: records, rules, a log. ``fault`` is asked before each call and may name one (``FAULTS``)."""

    FAULTS = ("lost_before", "lost_after", "error_before", "error_after", "refused")

    def __init__(self, flavour: str, clock: Clock, *, prefix: str, versions: bool = True) -> None:
        self.flavour = flavour
        self.facts = FACTS[flavour]
        self.clock = clock
        self.prefix = prefix
        self.versions = versions
        self.things: dict[Ref, Thing] = {}
        self.log: list[Entry] = []
        self.arrivals: list[tuple[float, str, str]] = []
        self.begun: list[tuple[float, Ref, Fields]] = []  # updates that somebody set out to make, arrived or not
        self.fault: Callable[[str, str], str | None] = lambda method, what: None
        self.crash: Callable[[str], None] = lambda moment: None
        self._number = 0

    # what people do

    def add(self, kind: Kind, fields: Fields, by: str = "human", *, id_: str | None = None, **more: Any) -> str:
        """Make a record; of the rows flavour an application bears its person. ``id_``: one that is given away again."""
        self._number += 1
        ref = Ref(kind, id_ or f"{self.prefix}{self._number:04d}")
        now = self.clock.now()
        self.things[ref] = Thing(ref, dict(fields), created_at=now, updated_at=now, version=self._number, **more)
        self._note(by, "create", ref, {}, fields)
        return ref.id

    def edit(self, ref: Ref, fields: Fields, by: str = "human") -> None:
        """Change fields of a record."""
        thing = self.things[ref]
        before = {name: thing.fields.get(name) for name in fields}
        if before == dict(fields):
            return
        self._number += 1
        thing.fields.update(fields)
        thing.updated_at, thing.version = self.clock.now(), self._number
        self._note(by, "update", ref, before, fields)

    def touch(self, ref: Ref) -> None:
        """What bumps the time of a record and changes nothing that is told, as a comment does."""
        self._number += 1
        self.things[ref].updated_at, self.things[ref].version = self.clock.now(), self._number

    def remove(self, ref: Ref) -> None:
        """A person deletes a record."""
        thing = self.things.pop(ref)
        self._note("human", "delete", ref, thing.fields, {})

    def of(self, kind: Kind) -> list[Thing]:
        """The records of a kind, oldest first."""
        return [thing for ref, thing in self.things.items() if ref.kind is kind]

    def _note(self, by: str, action: str, ref: Ref, before: Fields, after: Fields) -> None:
        self.log.append(Entry(len(self.log), self.clock.now(), by, action, ref, dict(before), dict(after)))

    def lose_reads(self, since: int) -> None:
        """What was read since this entry of the log never arrived, or was lost with the process that had read it."""
        self.log[since:] = [
            replace(entry, action="lost") if entry.action == "read" else entry for entry in self.log[since:]
        ]

    def note_read(self, ref: Ref) -> None:
        """Judges need to know what was read when."""
        self.log.append(Entry(len(self.log), self.clock.now(), "api", "read", ref))

    # what it tells

    def told(self, thing: Thing) -> tuple[Record, ...]:
        """A record as the system tells it; of the rows flavour a row tells a person and an application."""
        version = str(thing.version) if self.versions else None
        record = Record(
            thing.ref, dict(thing.fields), dict(thing.parents), thing.source_id, version, thing.created_at,
            thing.updated_at,
        )  # fmt: skip
        if not self.facts.rows or thing.ref.kind is not Kind.APPLICATION:
            return (record,)
        fields = thing.fields
        person = replace(record, ref=Ref(Kind.CANDIDATE, thing.ref.id), parents={},
                         fields={name: fields[name] for name in fields if name in PERSON})  # fmt: skip
        told = self.facts.kinds[Kind.APPLICATION].lists
        application = replace(record, fields={name: fields.get(name) for name in sorted(told)},
                              parents={**thing.parents, Kind.CANDIDATE: thing.ref.id})  # fmt: skip
        return (person, application)


class MemoryConnector:
    """The client side. Calls go through ``gate`` (a limiter; none by default) and meet the server's faults."""

    def __init__(self, system: MemorySystem, gate: Callable[[str], Any] | None = None) -> None:
        self.system = system
        self.facts = system.facts
        self._gate = gate

    async def check(self) -> None:
        """Nobody is refused here."""

    async def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Pages of four, by position; an insert or a delete shifts what follows, as with real lists."""
        start = int(since.token or 0) if since else 0
        after = since.since if since else None
        while True:
            page = await self._call("GET", walk.name, partial(self._page, walk, start, after))
            yield page
            if page.next is None:
                return
            start = int(page.next)

    def _page(self, walk: Walk, start: int, after: float | None) -> Page:
        listed = Kind.APPLICATION if self.facts.rows and Kind.CANDIDATE in walk.kinds else walk.kinds[0]
        things = [t for t in self.system.of(listed) if after is None or t.updated_at >= after]
        chosen = things[start : start + self.facts.page]
        records = [record for thing in chosen for record in self._with_children(walk, thing)]
        more = start + self.facts.page < len(things)
        text = repr([(r.ref, sorted(r.fields.items()), r.version, r.updated_at) for r in records])
        for ref in dict.fromkeys(record.ref for record in records):
            if ref in self.system.things:
                self.system.note_read(ref)
        told = tuple(records)
        return Page(lambda: told, digest_of(text.encode()), str(start + self.facts.page) if more else None,
                    self.system.clock.now())  # fmt: skip

    def _with_children(self, walk: Walk, thing: Thing) -> list[Record]:
        records = list(self.system.told(thing))
        if {Kind.CANDIDATE, Kind.APPLICATION} <= {*walk.kinds} and not self.facts.rows:
            own = [a for a in self.system.of(Kind.APPLICATION) if a.parents[Kind.CANDIDATE] == thing.ref.id]
            records += [record for application in own for record in self.system.told(application)]
        return records

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A record; of the rows flavour the row's both records, the asked first."""
        return await self._call("GET", ref.kind.value, lambda: self._get(ref))

    def _get(self, ref: Ref) -> tuple[Record, ...]:
        rows = self.facts.rows and ref.kind is Kind.CANDIDATE
        thing = self.system.things.get(Ref(Kind.APPLICATION, ref.id) if rows else ref)
        if thing is None:
            return ()
        self.system.note_read(thing.ref)
        return tuple(sorted(self.system.told(thing), key=lambda record: record.ref != ref))

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Make what a draft says, and what is born together with it."""
        return await self._call("POST", draft.kind.value, lambda: self._create(draft))

    def _create(self, draft: Draft) -> tuple[Record, ...]:
        system = self.system
        if draft.kind is Kind.APPLICATION:
            return self._create_application(draft)
        if draft.kind is Kind.CANDIDATE and self._of_email(draft.fields["email"]):
            raise Taken("email is taken")
        keeps = self.facts.kinds[draft.kind].keeps_source_id
        id_ = system.add(draft.kind, draft.fields, "api", source_id=draft.source_id if keeps else None)
        return system.told(system.things[Ref(draft.kind, id_)])

    def _create_application(self, draft: Draft) -> tuple[Record, ...]:
        system, job = self.system, draft.parents[Kind.JOB].id
        if Ref(Kind.JOB, job) not in system.things:
            raise Gone("the job is gone")
        if self.facts.rows:
            return self._create_row(draft, job)
        born: list[Record] = []
        person = draft.parents.get(Kind.CANDIDATE)
        if self.facts.kinds[Kind.APPLICATION].only_newborn:
            if self._of_email(draft.person["email"]):
                raise Taken("email is taken")
            id_ = system.add(Kind.CANDIDATE, draft.person, "api")
            born += system.told(system.things[Ref(Kind.CANDIDATE, id_)])
        elif person is None or Ref(Kind.CANDIDATE, person.id) not in system.things:
            raise Gone("the person is gone")
        else:
            id_ = person.id
        parents = {Kind.JOB: job, Kind.CANDIDATE: id_}
        keeps = self.facts.kinds[Kind.APPLICATION].keeps_source_id
        own = system.add(Kind.APPLICATION, {"stage": "New", **draft.fields}, "api", parents=parents,
                         source_id=draft.source_id if keeps else None)  # fmt: skip
        return (*system.told(system.things[Ref(Kind.APPLICATION, own)]), *born)

    def _create_row(self, draft: Draft, job: str) -> tuple[Record, ...]:
        email = str(draft.person["email"]).casefold()
        for thing in self.system.of(Kind.APPLICATION):
            if thing.parents[Kind.JOB] == job and str(thing.fields["email"]).casefold() == email:
                raise Taken("email exists in this job")
        fields = {"stage": "New", "phone": None, **draft.person, **draft.fields}
        id_ = self.system.add(Kind.APPLICATION, fields, "api", parents={Kind.JOB: job})
        return tuple(reversed(self.system.told(self.system.things[Ref(Kind.APPLICATION, id_)])))

    def _of_email(self, email: Value) -> list[Thing]:
        folded = str(email).casefold()
        return [t for t in self.system.of(Kind.CANDIDATE) if str(t.fields.get("email")).casefold() == folded]

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Change a record; a move tells nothing back where rows are kept."""
        self.system.begun.append((self.system.clock.now(), record.ref, dict(fields)))
        return await self._call("PATCH", record.ref.kind.value, lambda: self._update(record, fields))

    def _update(self, record: Record, fields: Fields) -> Record | None:
        rows = self.facts.rows and record.ref.kind is not Kind.JOB
        ref = Ref(Kind.APPLICATION, record.ref.id) if rows else record.ref
        if ref not in self.system.things:
            raise Gone("no such record")
        if record.ref.kind is Kind.JOB and self.facts.rows:
            raise Rejected("jobs are read-only")
        self.system.edit(ref, fields, "api")
        if rows and "stage" in fields:
            return None
        told = self.system.told(self.system.things[ref])
        return next(record_ for record_ in told if record_.ref == record.ref)

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """By source_id where it is kept, else by the natural key."""
        return await self._call("GET", draft.kind.value, lambda: self._find(draft))

    def _find(self, draft: Draft) -> tuple[Record, ...]:
        hits = [thing for thing in self.system.of(draft.kind) if self._is_alike(draft, thing)]
        records = [record for thing in hits for record in reversed(self.system.told(thing))]
        if draft.kind is Kind.APPLICATION and not self.facts.rows:
            people = {thing.parents[Kind.CANDIDATE] for thing in hits}
            records += [r for id_ in sorted(people) for r in self.system.told(
                self.system.things[Ref(Kind.CANDIDATE, id_)])]  # fmt: skip
        return tuple(records)

    def _is_alike(self, draft: Draft, thing: Thing) -> bool:
        if draft.kind is Kind.APPLICATION:
            if thing.parents[Kind.JOB] != draft.parents[Kind.JOB].id:
                return False
            return self._email_of(thing) == self._email_wanted(draft)
        if self.facts.kinds[draft.kind].keeps_source_id:
            return thing.source_id == draft.source_id
        name = "email" if draft.kind is Kind.CANDIDATE else "title"
        return str(thing.fields.get(name)).casefold() == str(draft.fields.get(name)).casefold()

    def _email_of(self, thing: Thing) -> str:
        if self.facts.rows:
            return str(thing.fields["email"]).casefold()
        person = self.system.things[Ref(Kind.CANDIDATE, thing.parents[Kind.CANDIDATE])]
        return str(person.fields["email"]).casefold()

    def _email_wanted(self, draft: Draft) -> str:
        if draft.person:
            return str(draft.person["email"]).casefold()
        person = self.system.things.get(Ref(Kind.CANDIDATE, draft.parents[Kind.CANDIDATE].id))
        return str(person.fields["email"]).casefold() if person else ""

    # the wire

    async def _call(self, method: str, what: str, effect: Callable[[], T]) -> T:
        """One request: through the gate, into the server's faults, and back."""
        if self._gate is not None:
            async with self._gate(method):
                return await self._travel(method, what, effect)
        return await self._travel(method, what, effect)

    async def _travel(self, method: str, what: str, effect: Callable[[], T]) -> T:
        self.system.crash("before_call")
        fault = self.system.fault(method, what)
        lost: type[Exception] = Unavailable if method == "GET" else OutcomeUnknown
        await self.system.clock.sleep_until(self.system.clock.now() + 0.05)
        if fault == "refused":
            raise NotSent("no connection (simulated)")
        self.system.arrivals.append((self.system.clock.now(), method, what))
        if fault == "limited":
            raise RateLimited("too many calls (simulated)", retry_after_s=2.0)
        if fault in ("lost_before", "error_before"):
            raise lost("the answer was lost (simulated)")
        before = len(self.system.log)
        answer = effect()
        await self.system.clock.sleep_until(self.system.clock.now() + 0.05)
        self.system.crash("after_call")
        if fault is not None:
            self.system.lose_reads(before)
            raise lost("the answer was lost (simulated)")
        return answer
