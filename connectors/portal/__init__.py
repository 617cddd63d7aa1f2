"""The in-house hiring portal: jobs, candidates, and assignments of candidates to jobs. Its facts, and where it is odd.

Source of all facts: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs and /api/hiring). Oddities:

* The stage stands in two places, on the person and on each assignment; see ``wire`` for how an application tells both.
* An application is a pair of a person and a job. A person may have a job and no assignment: that is an application too,
  and its first move makes the assignment.
* Candidates are paged by offset and proven by ``total``; archived ones are told, so that nobody who is put away looks
  gone. Jobs and assignments cannot be paged: a list that comes back full is asked for in parts, and a walk whose parts
  are full as well ends with ``Unavailable``, for it proves nothing. See ``walks``.
* No list has a change filter and there are no webhooks, so every poll is a sweep.
* Nothing is unique there, not even an e-mail: each create is looked for before it is made.
* Nothing is deleted: a job is closed by its status, a person is archived.
* A create answers with an id and a name, an update with nothing that could be relied on: both are read again.

What costs money or mails people is never asked for: recommendations, enriching, e-mails. Nor are LinkedIn intakes.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import httpx

from connectors.portal import beside, walks, wire
from connectors.portal.api import BASE_URL, Api, Statuses, at
from connectors.portal.beside import Beside
from connectors.portal.papers import Papers
from connectors.portal.sandbox import PortalSandbox
from syncd.clock import Clock
from syncd.connector import Account, Facts, KindFacts, Plugin, Walk, understood
from syncd.errors import Gone, Rejected, Stale, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref

JOBS = Walk("jobs", (Kind.JOB,), "a list, or its parts by status, that is not full; else it is not proven")
CANDIDATES = Walk(
    "candidates",
    (Kind.CANDIDATE, Kind.APPLICATION),
    "as many different rows as its total, and assignments whose list, or its parts by job and stage, is not full",
)

_SKEW_S = 300.0  # how far the server's clock may be from ours when a job is looked for by when it was made
_NO_PARENT: Statuses = {404: Rejected, 410: Rejected}  # a create that answers 404 misses a parent
_MADE_MEANWHILE: Statuses = {409: Stale, **_NO_PARENT}

FACTS = Facts(
    system="portal",
    walks=(JOBS, CANDIDATES),
    kinds={
        Kind.JOB: KindFacts(
            lists=frozenset(wire.JOB_FIELDS),
            writes=dict.fromkeys(wire.JOB_FIELDS, "patch"),
            creates=frozenset(wire.JOB_FIELDS),
            demands=frozenset({"title"}),
            may_empty=frozenset({"team", "description", "requirements", "location", "salary_range"}),
            status="status",
        ),
        Kind.CANDIDATE: KindFacts(
            lists=frozenset(wire.PERSON_FIELDS),
            writes=dict.fromkeys(wire.PERSON_PATCHED, "patch"),
            creates=frozenset(wire.PERSON_BORN),
            demands=frozenset({"name"}),
            may_empty=frozenset(wire.PERSON_PATCHED) - {"name"},
            exact=True,
        ),
        Kind.APPLICATION: KindFacts(
            lists=frozenset({wire.STAGE, wire.PERSONS_STAGE, wire.ASSIGNMENT, *wire.PLACEMENT}),
            details=frozenset({"resume"}),
            writes={
                wire.STAGE: "move",
                wire.PERSONS_STAGE: "mirror",
                **dict.fromkeys(wire.PLACEMENT, "placement"),
            },
            creates=frozenset({wire.STAGE}),
            demands=frozenset({wire.STAGE}),
            may_empty=frozenset(wire.PLACEMENT),
            stage=wire.STAGE,
            mirror=wire.PERSONS_STAGE,
            exact=True,
        ),
    },
    limits=("300/1m",),  # none is documented: this is only so as not to be rude
    words=wire.STAGES,
    page=walks.WANTED,
    attaches=beside.LIMITS,
    remarks=beside.REMARKS,
    wanting=beside.WANTING,
)


class Portal(Beside):
    """One hiring portal. Options: ``auth`` (key or bearer), ``access_client_id`` with ``access_client_secret``.

    Further options are those of ``beside``; ``papers`` are the notes, activities and files beside its records.
    """

    facts = FACTS

    def __init__(self, account: Account, client: httpx.AsyncClient, clock: Clock) -> None:
        self._api = Api(account, client)
        self.papers = Papers(self._api)
        self.author = account.options.get("author")
        self._reads_files = account.options.get("read_files") == "true"

    async def check(self) -> None:
        """Read one job."""
        await self._api.listing("/jobs", limit=1)

    def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk all jobs, or all candidates with their applications; there is no change filter."""
        token = since.token if since else None
        return walks.jobs(self._api) if walk.name == JOBS.name else walks.candidates(self._api, token)

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A job; a candidate; or an application, then its person and her other applications (two calls)."""
        pair = wire.pair_of(ref)
        if ref.kind is Kind.APPLICATION and pair is not None:
            return await self._get_application(ref, pair[0])
        if ref.kind not in {Kind.JOB, Kind.CANDIDATE} or not wire.is_id(ref.id):
            return ()
        path, read = ("jobs", wire.job) if ref.kind is Kind.JOB else ("candidates", wire.person)
        try:
            row = await self._api.one(at(path, ref.id))
        except Gone:
            return ()
        record: Record = understood("GET", lambda: read(row))
        _same(record.ref == ref)
        return (record,)

    async def _get_application(self, ref: Ref, candidate: str) -> tuple[Record, ...]:
        try:
            row = await self._api.one(at("candidates", candidate))
        except Gone:
            return ()
        held = await walks.assignments_of(self._api, candidate)
        told: tuple[Record, ...] = understood("GET", lambda: (wire.person(row), *wire.applications(row, held)))
        _same(told[0].ref.id == candidate)
        if all(record.ref != ref for record in told):
            return ()
        if self._reads_files:
            version = beside.version_of(await self._files(candidate))
            told = tuple(_with_resume(record, version) for record in told)
        return tuple(sorted(told, key=lambda record: record.ref != ref))

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Make a job, a candidate, or an assignment; the key has nowhere to go."""
        _, path, body = wire.birth(draft)
        data = await self._api.make(path, body, _NO_PARENT if draft.kind is Kind.APPLICATION else None)
        record: Record = understood("POST", lambda: wire.born(draft, data))
        return (record,)

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Patch a job, a candidate, an assignment or the person's stage; the first move makes the assignment."""
        method, path, body = wire.change(record, fields)
        expected = path.rpartition("/")[2] if method == "PATCH" else None
        await self._api.write(
            method, path, body, expected=expected, statuses=_MADE_MEANWHILE if method == "POST" else None
        )
        return None

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """A job by its very title, among those made since; a person by e-mail; an application by person and job."""
        if draft.kind is Kind.JOB:
            return await self._find_job(str(draft.fields.get("title")), since)
        if draft.kind is Kind.CANDIDATE:
            return await self._find_person(str(draft.fields.get("email") or ""))
        ref = wire.application_ref(draft.parents[Kind.CANDIDATE].id, draft.parents[Kind.JOB].id)
        person = Ref(Kind.CANDIDATE, draft.parents[Kind.CANDIDATE].id)
        return tuple(record for record in await self.get(ref) if record.ref in {ref, person})

    async def _find_job(self, title: str, since: float) -> tuple[Record, ...]:
        """Titles may repeat, so a job that says it was made before does not count. New jobs are told first."""
        async for page in walks.jobs(self._api):
            found = tuple(
                record
                for record in page.records
                if record.fields.get("title") == title
                and (record.created_at is None or record.created_at >= since - _SKEW_S)
            )
            if found:
                return found
        return ()

    async def _find_person(self, email: str) -> tuple[Record, ...]:
        """All people of an e-mail; the search also looks at names and titles, so each hit is verified."""
        found: dict[str, Record] = {}
        offset, total = 0, 1
        while email and offset < total:
            _, listing = await walks.people(self._api, offset, search=email)
            told = understood("GET", partial(_people, listing))
            found.update({record.ref.id: record for record in told if _has_email(record, email)})
            if not told and offset < (listing.total or 0):
                raise Unavailable("a search ended before its total")
            offset, total = offset + len(told), listing.total or 0
        return tuple(found.values())


def _with_resume(record: Record, version: str | None) -> Record:
    """An application with its person's résumé: all of hers have the same, so each read tells it of each."""
    is_hers = record.ref.kind is Kind.APPLICATION
    return replace(record, fields={**record.fields, "resume": version}) if is_hers else record


def _people(listing: wire.Listing) -> tuple[Record, ...]:
    return tuple(wire.person(row) for row in listing.rows)


def _has_email(record: Record, email: str) -> bool:
    return str(record.fields.get("email") or "").casefold() == email.casefold()


def _same(is_the_one: bool) -> None:  # noqa: FBT001  # a statement that is passed on
    if not is_the_one:
        raise Unavailable("GET told another record than the one asked for")


plugin = Plugin(
    facts=FACTS,
    connect=Portal,
    options=("auth", "access_client_id", "access_client_secret", *beside.OPTIONS),
    base_url=BASE_URL,
    sandbox=PortalSandbox,
)
