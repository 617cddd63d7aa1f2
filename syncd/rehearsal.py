"""A dry run: the whole engine over a copy of the store, with connectors that read for real and only pretend to write.

So ``syncd plan`` tells exactly what ``syncd backfill`` would do: it is the same code up to the last step. What was
listed once is not listed again, so a plan costs one walk of each list and the reads that a write would need.
"""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from syncd import schema
from syncd.clock import Clock
from syncd.connector import Connector, Finds, Pipelines
from syncd.cycle import Road
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
    """The actions of a dry run, in their order."""

    actions: list[Action] = field(default_factory=list)


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


class RehearsalWithPipelines(Rehearsal):
    """A rehearsal of a system whose jobs have pipelines of their own."""

    def __init__(self, inner: Connector, connection: Connection, clock: Clock, rehearsed: Rehearsed) -> None:
        super().__init__(inner, connection, clock, rehearsed)
        assert isinstance(inner, Pipelines)
        self._pipelines = inner

    async def stages(self, job: Ref | None) -> tuple[str, ...]:
        """As the real one."""
        return await self._pipelines.stages(job)


def rehearse(inner: Connector, connection: Connection, clock: Clock, rehearsed: Rehearsed) -> Connector:
    """The rehearsal of a connector, with its abilities."""
    kind = RehearsalWithPipelines if isinstance(inner, Pipelines) else Rehearsal
    made = kind(inner, connection, clock, rehearsed)
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
