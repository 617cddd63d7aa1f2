"""The portal's lists, and how the end of each is proven.

Source: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs). Candidates are paged by ``limit``,
``offset`` and ``total``. Jobs and assignments know a ``limit`` alone: a list that comes back full may be capped, so it
is asked for in parts (jobs by status, assignments by job, then by stage), and where even a part is full the walk ends
without a proof. How many rows such a list gives at most is not documented; ``WANTED`` is asked for, and as many rows as
the documented default, or a round hundred, count as full too: so would a server answer that heeds no larger limit.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import orjson

from connectors.portal import wire
from connectors.portal.api import Api
from connectors.portal.wire import STAGES, STATUSES, Json, Listing
from syncd.connector import digest_of, served_at, understood
from syncd.errors import Unavailable
from syncd.model import Page, Record

WANTED = 200  # rows per call, the most that the list of candidates gives
CAPS = frozenset({50, 100})  # the documented default, and a usual most
MOST_ROUNDS = 3  # how often the list of candidates is begun before it counts as never holding still
CAPPED = "capped"  # the token behind a list of which nobody knows whether it is whole


def is_whole(listing: Listing) -> bool:
    """Whether a list that cannot be paged told all its rows."""
    if listing.total is not None:
        return len(listing.rows) >= listing.total
    return len(listing.rows) < WANTED and len(listing.rows) not in CAPS


# --- jobs -----------------------------------------------------------------------------------------------------------


async def jobs(api: Api) -> AsyncIterator[Page]:
    """All jobs in one answer; where that is full, once more by status. Raises ``Unavailable`` behind what is capped.

    A walk is never resumed in its middle: it is four calls long.
    """
    parts: list[str | None] = [None]
    seen: set[str] = set()
    full: list[str] = []
    while parts:
        part = parts.pop(0)
        response, listing = await api.listing("/jobs", limit=WANTED, **({"status": part} if part else {}))
        if part is None and not is_whole(listing):
            parts = [*STATUSES, *_words(listing.rows, "status", STATUSES)]
        elif part is not None and not is_whole(listing):
            full.append(part)
        fresh = [row for row in listing.rows if wire.id_of(row) not in seen]
        seen |= {wire.id_of(row) for row in fresh}
        yield _page(response, fresh, _next_part(parts, full))
    if full:
        raise Unavailable(f"the list of jobs may be capped: it cannot be paged, and is full for {', '.join(full)}")


def _next_part(parts: Sequence[str | None], full: Sequence[str]) -> str | None:
    return parts[0] if parts else CAPPED if full else None


def _words(rows: Iterable[Json], name: str, known: Sequence[str]) -> list[str]:
    """The words of a field that rows tell beside the documented ones."""
    found = {row[name] for row in rows if isinstance(row.get(name), str) and row[name]}
    return sorted(found - set(known))


def _page(response: httpx.Response, rows: Sequence[Json], behind: str | None) -> Page:
    return Page(
        read=lambda: understood("GET", lambda: tuple(wire.job(row) for row in rows)),
        digest=digest_of(response.content),
        next=behind,
        served_at=served_at(response),
    )


# --- assignments ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assignments:
    """All assignments, packed by candidate. ``capped``: the jobs of which some may be missing."""

    of: Mapping[str, Mapping[str, bytes]]
    capped: frozenset[str] = frozenset()

    def rows(self, candidate: str) -> tuple[Json, ...]:
        """The assignments of one candidate."""
        return tuple(orjson.loads(row) for row in self.packed(candidate))

    def packed(self, candidate: str) -> tuple[bytes, ...]:
        """The assignments of one candidate as they are kept, in the order of their ids."""
        own = self.of.get(candidate, {})
        return tuple(own[id_] for id_ in sorted(own))


async def assignments(api: Api) -> Assignments:
    """Read all assignments: in one answer, else job by job, else by job and stage."""
    kept: dict[str, dict[str, bytes]] = defaultdict(dict)
    whole, rows = await _read_into(kept, api)
    capped: set[str] = set()
    if not whole:
        for job in sorted(await _known_jobs(api) | {wire.parents_of(row)[1] for row in rows}):
            whole, rows = await _read_into(kept, api, job_id=job)
            for stage in () if whole else (*STAGES, *_words(rows, "stage", STAGES)):
                whole, _ = await _read_into(kept, api, job_id=job, stage=stage)
                capped |= set() if whole else {job}
    return Assignments(kept, frozenset(capped))


async def _read_into(kept: dict[str, dict[str, bytes]], api: Api, **filters: str) -> tuple[bool, tuple[Json, ...]]:
    """Keep the assignments of one answer; whether it was whole, and its rows."""
    _, listing = await api.listing("/job-candidates", limit=WANTED, **filters)

    def pack() -> None:
        for row in listing.rows:
            if any(row[name] != value for name, value in filters.items()):
                raise ValueError("a filter was not heeded")
            candidate, _ = wire.parents_of(row)
            kept[candidate][wire.id_of(row)] = orjson.dumps(row)

    understood("GET", pack)
    return is_whole(listing), listing.rows


async def _known_jobs(api: Api) -> set[str]:
    return {record.ref.id async for page in jobs(api) for record in page.records}


async def assignments_of(api: Api, candidate: str) -> tuple[Json, ...]:
    """The assignments of one candidate."""
    kept: dict[str, dict[str, bytes]] = defaultdict(dict)
    whole, rows = await _read_into(kept, api, candidate_id=candidate)
    if not whole:
        raise Unavailable("the list of a candidate's assignments is full, and cannot be paged")
    return rows


# --- candidates -----------------------------------------------------------------------------------------------------


@dataclass
class Sweep:
    """Where a walk over the candidates stands; pages overlap by one row, to see whether rows slid past.

    ``last``: the row that ended the page before. ``before``: rows that were counted before the walk was resumed, behind
    which ``ids`` counts. ``told``: what this walk has told, so that nothing is told twice.
    """

    offset: int = 0
    last: str | None = None
    before: int = 0
    total: int | None = None
    rounds: int = 1
    ids: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, token: str | None) -> "Sweep":
        """The place that a token names; the beginning where it names none."""
        try:
            offset, before, total, last = (token or "").split(".", 3)
            place = cls(int(offset), last or None, int(before), int(total))
        except ValueError:
            return cls()
        return place if place.last and min(place.offset, place.before) >= 0 else cls()

    @property
    def token(self) -> str:
        """The place as a page's ``next``."""
        return f"{self.offset}.{self.before + len(self.ids)}.{self.total}.{self.last or ''}"

    def take(self, page: Sequence[str], total: int) -> tuple[set[str], bool]:
        """The ids of a page that are told for the first time, and whether the list is proven whole.

        It is whole when as many different rows were seen as there are in all, while none slid past.
        """
        fresh = set(page) - self.told
        self.told |= fresh
        slid = self.last is not None and self.last not in page
        if slid or total < (self.total or 0):
            self._begin_again(keep=False)
            return fresh, False
        behind = page[page.index(self.last) + 1 :] if self.last is not None else page
        self._count(page, behind, total)
        if self.before + len(self.ids) >= total:
            return fresh, True
        if self.offset + len(page) >= total:
            self._begin_again(keep=self.before == 0)
        else:
            self.offset, self.last = self.offset + len(page) - 1, page[-1]
        return fresh, False

    def _count(self, page: Sequence[str], behind: Sequence[str], total: int) -> None:
        if not behind and self.offset + len(page) < total:
            raise Unavailable("the list of candidates served a page again, or ended before its total")
        self.ids |= set(behind)
        self.total = total

    def _begin_again(self, *, keep: bool) -> None:
        """Back to the first page: new rows stand there. Without ``keep``, what was counted proves nothing any more."""
        if self.rounds == MOST_ROUNDS:
            raise Unavailable("the list of candidates changes while it is read: rows may have slid past")
        self.rounds, self.offset, self.last, self.before = self.rounds + 1, 0, None, 0
        self.ids, self.total = (self.ids, self.total) if keep else (set(), None)


async def candidates(api: Api, token: str | None) -> AsyncIterator[Page]:
    """All candidates, archived ones too, each with her applications; the assignments are read first.

    Raises ``Unavailable`` behind the last page where assignments may be missing.
    """
    held, sweep, proven = await assignments(api), Sweep.of(token), False
    while not proven:
        response, listing = await people(api, sweep.offset)
        rows = {wire.id_of(row): row for row in listing.rows}
        if listing.total is None:
            raise Unavailable("the list of candidates does not tell its total")
        fresh, proven = sweep.take(tuple(rows), listing.total)
        behind = None if proven and not held.capped else CAPPED if proven else sweep.token
        yield _page_of(response, [rows[id_] for id_ in rows if id_ in fresh], held, behind)
    if held.capped:
        jobs_of_it = f"{len(held.capped)} of the jobs"
        raise Unavailable(f"the list of assignments may be capped: it cannot be paged, and is full for {jobs_of_it}")


async def people(api: Api, offset: int, **filters: str) -> tuple[httpx.Response, Listing]:
    """One page of candidates, the archived among them."""
    return await api.listing("/candidates", limit=WANTED, offset=offset, show_archived=1, **filters)


def _page_of(response: httpx.Response, rows: Sequence[Json], held: Assignments, behind: str | None) -> Page:
    beside = b"".join(packed for row in rows for packed in held.packed(wire.id_of(row)))
    return Page(
        read=lambda: understood("GET", lambda: tuple(record for row in rows for record in _told(row, held))),
        digest=digest_of(response.content + beside),
        next=behind,
        served_at=served_at(response),
    )


def _told(row: Json, held: Assignments) -> tuple[Record, ...]:
    """A person and her applications; one that may have an assignment which a capped list kept back is not told."""
    told = wire.applications(row, held.rows(wire.id_of(row)))
    sure = (one for one in told if not (wire.UNASSIGNED in one.traits and _job_of(one) in held.capped))
    return (wire.person(row), *sure)


def _job_of(record: Record) -> str:
    return record.ref.id.partition(":")[2]
