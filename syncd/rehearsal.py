"""A dry run: the whole engine over a copy of the store, with connectors that read for real and only pretend to write.

So ``syncd plan`` tells exactly what ``syncd backfill`` would do: it is the same code up to the last step. What was
listed once is not listed again, so a plan costs one walk of each list and the reads that a write would need.
"""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from syncd import schema
from syncd.clock import Clock
from syncd.connector import (
    Attaches,
    Batch,
    BatchDraft,
    Batches,
    BatchLimits,
    BatchState,
    Connector,
    File,
    Finds,
    HasFiles,
    Pipelines,
    Quota,
    Remark,
    Remarks,
    ResultPage,
    Schedules,
    Screened,
    Screens,
)
from syncd.cycle import Road
from syncd.errors import Rejected
from syncd.facts import Walk
from syncd.limits import Priority
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref
from syncd.setup import Connection
from syncd.store import Store, open_engine, rows_of


@dataclass(frozen=True)
class Action:
    """One write that would be made: where, which call, what kind of record, which one, which fields (their names).

    ``before`` and ``after`` hold the fields' values; they live as long as the dry run, and no longer.
    """

    connection: str
    call: str
    kind: Kind
    ref: str | None
    calls: int
    after: Fields = field(repr=False)
    before: Fields = field(default_factory=dict, repr=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that would be written."""
        return tuple(sorted(self.after))


@dataclass
class Rehearsed:
    """The actions of a dry run, in their order, and the credits that they would cost."""

    actions: list[Action] = field(default_factory=list)
    credits: float = 0.0


class FreeRoad:
    """Reads wait their turn at the real gate; what is only pretended takes no slot."""

    def __init__(self, road: Road) -> None:
        self._road = road

    @contextlib.contextmanager
    def calling(self, priority: Priority) -> Iterator[None]:
        """Calls made within are of this priority."""
        with self._road.calling(priority):
            yield

    @contextlib.asynccontextmanager
    async def reserved(self, calls: int, priority: Priority) -> AsyncIterator[None]:
        """Nothing is reserved."""
        with self._road.calling(priority):
            yield


class Rehearsal:
    """A connector that reads through another one and pretends to write."""

    def __init__(self, inner: Connector, connection: Connection, clock: Clock, rehearsed: Rehearsed) -> None:
        self.facts = inner.facts
        self._inner = inner
        self._connection = connection
        self._clock = clock
        self._rehearsed = rehearsed
        self._pages: dict[str, list[Page]] = {}
        self._known: dict[Ref, tuple[Record, ...]] = {}
        self._born = 0
        self._names: dict[str, tuple[str, ...]] = {}

    async def check(self) -> None:
        """As the real one."""
        await self._inner.check()

    async def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """A list is walked whole once, and told from memory afterwards."""
        kept = self._pages.get(walk.name)
        if kept is not None and kept[-1].next is None:
            for page in kept:
                yield page
            return
        self._pages[walk.name] = []
        async for page in self._inner.pull(walk, Cursor()):
            self._pages[walk.name].append(page)
            self._keep(page.records)
            yield page

    def _keep(self, records: tuple[Record, ...]) -> None:
        for record in records:
            own = [other for other in records if other is not record and other.ref.id == record.ref.id]
            self._known[record.ref] = (record, *own)

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """What the list told; the real system is asked where a get tells more."""
        known = self._known.get(ref)
        if known is not None and (known[0].url == "rehearsed" or not self.facts.kinds[ref.kind].details):
            return known
        records = await self._inner.get(ref)
        self._known[ref] = records
        return records

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Note it down, and tell what would be born."""
        looks_first = 1 if self.facts.kinds[draft.kind].exact else 0
        after = {**draft.fields, **{f"person.{name}": value for name, value in draft.person.items()}}
        self._note("create", draft.kind, draft.source_id, 1 + looks_first, after)
        person = draft.parents.get(Kind.CANDIDATE)
        self._born += 1
        id_ = f"rehearsed:{self._connection.name}:{self._born}"
        person_id = person.id if person and not self.facts.rows else id_
        parents = {kind: parent.id for kind, parent in draft.parents.items()}
        born = {**self.facts.kinds[draft.kind].born, **draft.fields}
        own = self._record(Ref(draft.kind, id_), born, draft.source_id)
        if draft.kind is not Kind.APPLICATION:
            records: tuple[Record, ...] = (own,)
        else:
            own = dataclasses.replace(own, parents={**parents, Kind.CANDIDATE: person_id})
            borne = self._record(Ref(Kind.CANDIDATE, person_id), draft.person, None)
            records = (own, borne) if self.facts.kinds[draft.kind].bears_person else (own,)
        for record in records:
            self._known[record.ref] = (record, *(other for other in records if other is not record))
        return records

    def _record(self, ref: Ref, fields: Fields, source_id: str | None) -> Record:
        now = self._clock.now()
        told = dict.fromkeys(self.facts.kinds[ref.kind].lists)
        return Record(
            ref, {**told, **fields}, source_id=source_id, created_at=now, updated_at=now, url="rehearsed"
        )  # fmt: skip

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Note it down, and tell what would be told."""
        before = {name: record.fields[name] for name in fields if name in record.fields}
        call = self._call(record.ref.kind, tuple(sorted(fields)))
        self._note(call, record.ref.kind, record.ref.id, 2, fields, before)
        changed = dataclasses.replace(record, fields={**record.fields, **fields}, url="rehearsed")
        others = tuple(other for other in self._known.get(record.ref, ()) if other.ref != record.ref)
        self._known[record.ref] = (changed, *others)
        for other in others:
            self._known[other.ref] = (other, changed)
        return changed

    def _call(self, kind: Kind, names: tuple[str, ...]) -> str:
        return next(
            (self.facts.kinds[kind].writes[name] for name in names if name in self.facts.kinds[kind].writes), ""
        )

    def _note(
        self, call: str, kind: Kind, ref: str | None, calls: int, after: Fields, before: Fields | None = None
    ) -> None:
        action = Action(self._connection.name, call, kind, ref, calls, dict(after), before or {})
        self._rehearsed.actions.append(action)

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """The first look has listed everything; the real system is not asked again."""
        return ()


class _Pipelines(Rehearsal):
    """A rehearsal of a system whose jobs have pipelines of their own."""

    async def stages(self, job: Ref | None) -> tuple[str, ...]:
        """As the real one."""
        assert isinstance(self._inner, Pipelines)
        return await self._inner.stages(job)


class _HasFiles(Rehearsal):
    """A rehearsal of a system whose applications have résumés: none is fetched, each counts as a good one."""

    async def resume(self, ref: Ref) -> File | None:
        """A stand-in."""
        return File.of("resume.pdf", b"%PDF-")


class _Attaches(Rehearsal):
    """A rehearsal of a system that takes résumés."""

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Note it down."""
        self._note("attach", record.ref.kind, record.ref.id, 2, {"resume": None})

    async def has_attached(self, record: Record, name: str) -> bool:
        """Nothing was."""
        return False


class _Remarks(Rehearsal):
    """A rehearsal of a system that takes remarks."""

    async def remark(self, record: Record, remark: Remark) -> None:
        """Note it down."""
        self._note(remark.form.value, record.ref.kind, record.ref.id, 3, {"text": remark.text})

    async def has_remarked(self, record: Record, remark: Remark) -> bool:
        """As the real one: what is there already is not made again."""
        if record.url == "rehearsed":
            return False
        assert isinstance(self._inner, Remarks)
        return await self._inner.has_remarked(record, remark)


class _Screens(Rehearsal):
    """A rehearsal of a system that screens by our leave."""

    async def screen(self, record: Record) -> None:
        """Note it down."""
        self._note("screen", record.ref.kind, record.ref.id, 2, {})

    async def may_screen(self, record: Record) -> bool:
        """Nothing is allowed here."""
        return False


class _Schedules(Rehearsal):
    """A rehearsal of a system that makes appointments."""

    async def unschedule(self, record: Record) -> None:
        """Note it down."""
        self._note("unschedule", record.ref.kind, record.ref.id, 2, {})

    async def is_scheduling(self, record: Record) -> bool:
        """Never asked: no answer is lost here."""
        return False


class _Batches(Rehearsal):
    """A rehearsal of a system that screens by the batch: each résumé is found good, and its cost is counted."""

    @property
    def batch_limits(self) -> BatchLimits:
        """As the real one's."""
        assert isinstance(self._inner, Batches)
        return self._inner.batch_limits

    async def submit(self, draft: BatchDraft, key: str) -> Batch:
        """Note it down; it is done at once."""
        self._rehearsed.credits += self.batch_limits.credits * len(draft.files)
        self._note("submit", Kind.APPLICATION, None, 1, {file.name: None for file in draft.files})
        self._names[key] = tuple(file.name for file in draft.files)
        return Batch(key, BatchState.COMPLETED, draft.title, len(draft.files))

    async def find_batch(self, draft: BatchDraft, key: str, since: float) -> tuple[Batch, ...]:
        """Nothing is lost here."""
        return ()

    async def batch(self, batch: str) -> Batch | None:
        """It is done."""
        return Batch(batch, BatchState.COMPLETED)

    async def results(self, batch: str, page: int = 1) -> AsyncIterator[ResultPage]:
        """Applications as they are born there."""
        born = self.facts.kinds[Kind.APPLICATION].born
        names = self._names[batch]
        records = tuple(self._record(Ref(Kind.APPLICATION, f"rehearsed:{name}"), born, None) for name in names)
        self._known.update({record.ref: (record,) for record in records})
        screened = tuple(Screened(f"rehearsed:{name}", name, None) for name in names)
        yield ResultPage(screened, None, BatchState.COMPLETED, records)

    async def report(self, batch: str, item: str, outcome: str) -> None:
        """Note it down."""
        self._note("outcome", Kind.APPLICATION, item, 2, {"outcome": outcome})

    async def cancel(self, batch: str) -> Batch:
        """Nothing is there to be stopped."""
        raise Rejected("a dry run makes no batch")

    async def move(self, item: str, status: str) -> Screened | None:
        """Moves are updates here."""
        raise Rejected("a dry run moves nobody")

    async def credits(self) -> float:
        """As the real one."""
        assert isinstance(self._inner, Batches)
        return await self._inner.credits()

    async def cost(self, files: int) -> float:
        """As the real one."""
        assert isinstance(self._inner, Batches)
        return await self._inner.cost(files)

    async def quota(self) -> Quota:
        """As the real one."""
        assert isinstance(self._inner, Batches)
        return await self._inner.quota()


_PARTS: Mapping[type, type[Rehearsal]] = {
    Pipelines: _Pipelines,
    HasFiles: _HasFiles,
    Attaches: _Attaches,
    Remarks: _Remarks,
    Screens: _Screens,
    Schedules: _Schedules,
    Batches: _Batches,
}


def rehearse(inner: Connector, connection: Connection, clock: Clock, rehearsed: Rehearsed) -> Connector:
    """The rehearsal of a connector, with its abilities."""
    parts = tuple(part for ability, part in _PARTS.items() if isinstance(inner, ability))
    made: Rehearsal = type("Rehearsal", parts or (Rehearsal,), {})(inner, connection, clock, rehearsed)
    assert isinstance(made, Finds)
    return made


def copy_of(store: Store) -> Store:
    """The store's rows in memory, without what is about calls under way and sealed values."""
    copy = Store(open_engine("sqlite:///:memory:"), store.clock, threaded=False)
    schema.metadata.create_all(copy.engine)
    left_out = {"intents", "marks", "runs", "inbox", "journal", "pages", "budgets"}
    with store.engine.connect() as source, copy.engine.begin() as target:
        for table in schema.metadata.sorted_tables:
            rows = [] if table.name in left_out else rows_of(source, sa.select(table))
            if rows:
                target.execute(sa.insert(table), rows)
        target.execute(sa.update(schema.cursors).values(mode="idle", token=None))
    return copy
