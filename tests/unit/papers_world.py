"""Memory systems with papers: files, remarks, screenings, scheduling; and one that screens résumés by the batch.

Whatever a call does stands in the desk's own lists, so that tests judge by what happened there and not by our tables.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from connectors.memory import FACTS, MemoryConnector, MemorySystem
from syncd.connector import (
    Batch,
    BatchLimits,
    BatchState,
    Facts,
    File,
    FileLimits,
    FilesRejected,
    KindFacts,
    ResultPage,
    Screened,
    Walk,
)
from syncd.errors import Rejected
from syncd.model import Kind, Record, Ref

PDF = b"%PDF-1.4 a made-up curriculum vitae"
SCREENING_FIELDS = ("result", "score", "verdict", "summary", "strengths", "weaknesses")
WORDS: dict[str, Any] = {
    "fields": {
        "application": {"resume": "resume"},
        "screening": {name: name for name in SCREENING_FIELDS},
    },
    "words": {"result": {"read": {"done": "completed", "broken": "failed", "running": "pending"}}},
}
LIMITS = FileLimits(1_000_000, (".pdf", ".docx"))
BATCHES = BatchLimits(files=3, bytes=10_000, description=10, key_s=86_400.0, credits=1.0, extensions=(".pdf",))

_SCREENING = KindFacts(lists=frozenset(SCREENING_FIELDS))


def with_papers(flavour: str) -> Facts:
    """A flavour's facts, and all that there is beside fields."""
    facts = FACTS[flavour]
    application = facts.kinds[Kind.APPLICATION]
    kinds = {**facts.kinds, Kind.APPLICATION: replace(application, lists=application.lists | {"resume"}),
             Kind.SCREENING: _SCREENING}  # fmt: skip
    walks = (*facts.walks, Walk("screenings", (Kind.SCREENING,), "empty page"))
    return replace(facts, kinds=kinds, walks=walks, attaches=LIMITS, remarks={"comment": None, "rating": None},
                   schedules=True, screens_by="leave")  # fmt: skip


SCREENER = Facts(
    "screener",
    (Walk("items", (Kind.APPLICATION,), "empty page"), Walk("screenings", (Kind.SCREENING,), "empty page")),
    {
        Kind.APPLICATION: KindFacts(
            lists=frozenset({"stage"}), writes={"stage": "move"}, stage="stage", born={"stage": "New"}
        ),
        Kind.SCREENING: _SCREENING,
    },
    visible_s=3.0,
    page=4,
    screens_by="batch",
)


@dataclass
class Desk:
    """What lies beside the records of one system."""

    files: dict[str, bytes] = field(default_factory=dict)
    attached: list[tuple[str, str, bytes]] = field(default_factory=list)
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    scheduling: set[str] = field(default_factory=set)
    outcomes: list[tuple[str, str, str]] = field(default_factory=list)


class PaperConnector(MemoryConnector):
    """A memory system that has all papers. Abilities: all but batches."""

    def __init__(self, system: MemorySystem) -> None:
        super().__init__(system)
        self.desk = Desk()

    async def resume(self, ref: Ref) -> File | None:
        def found() -> File | None:
            content = self.desk.files.get(ref.id)
            return File.of("cv.pdf", content) if content is not None else None

        return await self._call("GET", "resume", found)

    async def attach(self, record: Record, file: File, key: str) -> None:
        content = b"".join([piece async for piece in file.read()])
        assert len(content) == file.size
        await self._call("POST", "attach", lambda: self.desk.attached.append((record.ref.id, file.name, content)))

    async def has_attached(self, record: Record, name: str) -> bool:
        found = lambda: any((id_, known) == (record.ref.id, name) for id_, known, _ in self.desk.attached)  # noqa: E731
        return await self._call("GET", "attached", found)

    async def remark(self, record: Record, remark: Any) -> None:
        made = (record.ref.id, remark.form.value, remark.text)
        await self._call("POST", "remark", lambda: self.desk.remarks.append(made))

    async def has_remarked(self, record: Record, remark: Any) -> bool:
        def found() -> bool:
            return any(
                (id_, form) == (record.ref.id, remark.form.value) and remark.marker in text
                for id_, form, text in self.desk.remarks
            )

        return await self._call("GET", "remarks", found)

    async def screen(self, record: Record) -> None:
        await self._call("PATCH", "screen", lambda: self.desk.leaves.append(record.ref.id))

    async def may_screen(self, record: Record) -> bool:
        return await self._call("GET", "may_screen", lambda: record.ref.id in self.desk.leaves)

    async def unschedule(self, record: Record) -> None:
        await self._call("PATCH", "unschedule", lambda: self.desk.scheduling.discard(record.ref.id))

    async def is_scheduling(self, record: Record) -> bool:
        return await self._call("GET", "scheduling", lambda: record.ref.id in self.desk.scheduling)


@dataclass
class Made:
    """A batch as the screener keeps it."""

    id: str
    title: str
    key: str
    files: dict[str, bytes]
    state: BatchState = BatchState.PROCESSING


class ScreenerConnector(MemoryConnector):
    """Screens by the batch. ``bad``: contents that it refuses at once; ``unread``: those it tells no result for."""

    batch_limits = BATCHES

    def __init__(self, system: MemorySystem) -> None:
        super().__init__(system)
        self.desk = Desk()
        self.batches: dict[str, Made] = {}
        self.billed = 0
        self.bad: set[bytes] = set()
        self.unread: set[bytes] = set()
        self.keys = True  # a key is remembered
        self.state = BatchState.COMPLETED  # what a batch becomes

    async def submit(self, draft: Any, key: str) -> Batch:
        files = {}
        for file in draft.files:
            files[file.name] = b"".join([piece async for piece in file.read()])
        return await self._call("POST", "submit", lambda: self._make(draft.title, key, files))

    def _make(self, title: str, key: str, files: dict[str, bytes]) -> Batch:
        known = next((made for made in self.batches.values() if made.key == key), None)
        if known is not None and self.keys:
            return self._told(known)
        if refused := {name: "cannot be read" for name, content in files.items() if content in self.bad}:
            raise FilesRejected("some files are refused", refused)
        made = Made(f"b{len(self.batches) + 1}", title, key, files)
        self.batches[made.id] = made
        self.billed += len(files)
        return self._told(made)

    def _told(self, made: Made) -> Batch:
        return Batch(made.id, made.state, made.title, len(made.files))

    async def find_batch(self, draft: Any, key: str, since: float) -> tuple[Batch, ...]:
        return await self._call(
            "GET", "batches", lambda: tuple(self._told(made) for made in self.batches.values() if made.key == key)
        )

    async def batch(self, batch: str) -> Batch | None:
        return await self._call("GET", "batch", lambda: self._stands(batch))

    def _stands(self, batch: str) -> Batch:
        """The second time that it is asked for, a batch is done."""
        made = self.batches[batch]
        told = self._told(made)
        made.state = self.state
        return told

    async def results(self, batch: str, page: int = 1) -> Any:
        made = self.batches[batch]
        for at, (name, content) in enumerate(sorted(made.files.items())):
            if content in self.unread:
                continue
            records = await self._call("GET", "results", lambda name=name: self._born(made, name))
            result = Screened(records[0].ref.id, name, 84.0, status="New")
            last = at == len(made.files) - 1
            yield ResultPage((result,), None if last else at + 2, made.state, records)

    def _born(self, made: Made, name: str) -> tuple[Record, ...]:
        id_ = f"{made.id}-{name}"
        ref = Ref(Kind.APPLICATION, id_)
        if ref not in self.system.things:
            self.system.add(Kind.APPLICATION, {"stage": "New"}, "system")
            thing = self.system.things.popitem()[1]
            thing.ref, thing.source_id = ref, name.rpartition(".")[0]
            self.system.things[ref] = thing
            found = {
                "result": "done",
                "score": 84,
                "verdict": "fits",
                "summary": None,
                "strengths": None,
                "weaknesses": None,
            }
            self.system.add(Kind.SCREENING, found, "system", parents={Kind.APPLICATION: id_})
            other = self.system.things.popitem()[1]
            other.ref = Ref(Kind.SCREENING, id_)
            self.system.things[other.ref] = other
        return (
            *self.system.told(self.system.things[ref]),
            *self.system.told(self.system.things[Ref(Kind.SCREENING, id_)]),
        )

    async def cancel(self, batch: str) -> Batch:
        raise Rejected("not here")

    async def move(self, item: str, status: str) -> Screened | None:
        raise Rejected("not here")

    async def report(self, batch: str, item: str, outcome: str) -> None:
        await self._call("POST", "outcome", lambda: self.desk.outcomes.append((batch, item, outcome)))

    async def credits(self) -> float:
        return 100.0

    async def cost(self, files: int) -> float:
        return float(files)

    async def quota(self) -> Any:
        raise Rejected("not here")
