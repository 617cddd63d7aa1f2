"""The calls to Ninjahire: paths, pages, auth, errors. Routes as in https://api.ninjahire.co/docs/routes."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from connectors.ninjahire import hooks, wire
from connectors.ninjahire.signature import judge
from syncd.connector import (
    Account,
    Delivery,
    Facts,
    Notice,
    Subscription,
    Walk,
    Wish,
    ask,
    decoded,
    digest_of,
    served_at,
    understood,
)
from syncd.errors import Gone, OutcomeUnknown, Rejected, SyncdError, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Parent, Record, Ref

SIZE = 50  # rows per page; the largest that a server takes is not documented
LAST_PAGE = 100_000  # a list that is longer turns in circles

# A list answers 404, or refuses the page's number, only where the walk cannot go on.
LIST_STATUSES: Mapping[int, type[SyncdError]] = dict.fromkeys((400, 404, 410, 422), Unavailable)
# A create that answers 404 misses a parent.
CREATE_STATUSES: Mapping[int, type[SyncdError]] = {404: Rejected, 410: Rejected}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk stands: the page to be asked for, the rows told so far, the least ``count`` told so far."""

    page: int
    told: int = 0
    least: int | None = None

    def behind(self, fresh: int, count: int | None) -> "Place":
        """The place behind a page that told so many rows for the first time."""
        return Place(self.page + 1, self.told + fresh, least_of(self.least, count))

    @property
    def token(self) -> str:
        """The place as a page's ``next``."""
        return f"{self.page}.{self.told}.{'' if self.least is None else self.least}"


def least_of(*counts: int | None) -> int | None:
    """The least count that was told."""
    return min((count for count in counts if count is not None), default=None)


def place_of(token: str, first_page: int) -> Place:
    """The place that a token names; the list's beginning where it names none."""
    try:
        page, told, least = token.split(".")
        return Place(int(page), int(told), int(least) if least else None)
    except ValueError:
        return Place(first_page)


class Ninjahire:
    """One Ninjahire tenant, reached with its API key."""

    def __init__(
        self,
        facts: Facts,
        account: Account,
        client: httpx.AsyncClient,
        *,
        first_page: int = 1,
        terminal_words: Collection[str] = (),
    ) -> None:
        self.facts = facts
        self._base = account.base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {account.token}"}
        self._secrets = tuple(secret for secret in account.webhook_secrets if secret)
        self._client = client
        self._first_page = first_page
        self._terminal_words = terminal_words
        self._name = account.name
        self._tenant_id = account.options.get("tenant_id")

    async def check(self) -> None:
        """Prove that the key works; raises ``AuthFailed``."""
        await self._listing(Kind.JOB, page=self._first_page, size=1)

    # reading

    async def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk a list to its first empty page.

        Rows are told once though they shift into a later page; a page of nothing but told rows, and an end before as
        many rows as ``count`` promised, are contradictions. A resumed walk whose end does not add up begins anew.
        """
        kind = walk.kinds[0]
        start = Place(self._first_page)
        place = place_of(since.token, self._first_page) if since and since.token else start
        resumed, seen = place != start, set[str]()
        while place.page <= LAST_PAGE:
            response, listing = await self._listing(kind, page=place.page, size=SIZE)
            page = partial(Page, digest=digest_of(response.content), served_at=served_at(response))
            if not listing.rows:
                if place.told >= (least_of(place.least, listing.count) or 0):
                    yield page(read=tuple, next=None)
                    return
                if not resumed:
                    raise Unavailable(f"the list of {walk.name} ended before its count was reached")
                place, resumed, seen = start, False, set()
                continue
            fresh = {wire.id_of(row): row for row in listing.rows if wire.id_of(row) not in seen}
            if not fresh:
                raise Unavailable(f"the list of {walk.name} served a page again")
            seen |= fresh.keys()
            place = place.behind(len(fresh), listing.count)
            yield page(read=partial(_records, kind, tuple(fresh.values())), next=place.token)
        raise Unavailable(f"the list of {walk.name} does not end")

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A record, and with an application its candidate and job, where the answer bears them; empty: it is gone."""
        try:
            response = await self._ask("GET", f"{wire.PATHS[ref.kind]}/{quote(ref.id, safe='')}")
        except Gone:
            return ()
        records = understood("GET", lambda: wire.records_of(ref.kind, wire.object_of(decoded("GET", response))))
        if records[0].ref != ref:
            raise Unavailable(f"a GET of a {ref.kind} told another one")
        return tuple(records)

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """All records of a draft's identity.

        Each hit is verified, as a filter may be ignored or match beginnings; one that lets others through is followed
        to the list's end.
        """
        filters = _filters(draft)
        if not filters:
            return ()
        found: dict[str, Record] = {}
        seen: set[str] = set()
        for page in range(self._first_page, LAST_PAGE):
            _, listing = await self._listing(draft.kind, page=page, size=SIZE, **filters)
            told = [wire.record_of(draft.kind, row) for row in listing.rows]
            hits = {record.ref.id: record for record in told if _is_of(draft, record)}
            found.update(hits)
            fresh = {record.ref.id for record in told} - seen
            if len(hits) == len(told) < SIZE or not fresh:
                break
            seen |= fresh
        return tuple(found.values())

    # writing

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Create with one POST; ``key`` goes nowhere, as Ninjahire takes none."""
        if draft.kind is Kind.SCREENING:
            raise Rejected("a call is made by Ninjahire itself")
        body = wire.new_body(draft)
        response = await self._ask("POST", wire.PATHS[draft.kind], statuses=CREATE_STATUSES, json=body)
        told = understood("POST", lambda: wire.object_of(decoded("POST", response)))
        # An answer may tell less than the whole record: what was sent and not told is as it was sent.
        sent = {name: body.get(name) for name in ("job_id", "candidate_id") if told.get(name) is None}
        records = understood("POST", lambda: wire.records_of(draft.kind, {**told, **sent}))
        if records[0].source_id not in (None, draft.source_id):
            raise OutcomeUnknown(f"POST answered with another {draft.kind} than was sent")
        return tuple(records)

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Change fields with one PATCH, beside them what Ninjahire demands, as just read."""
        body = wire.patch_body(record, fields, self._terminal_words)
        path = f"{wire.PATHS[record.ref.kind]}/{quote(record.ref.id, safe='')}"
        response = await self._ask("PATCH", path, json=body)
        if not response.content.strip():
            return None
        answer = decoded("PATCH", response)
        try:
            told = wire.record_of(record.ref.kind, wire.object_of(answer))
        except ValueError:
            return None  # the answer of a PATCH is not documented: one that tells nothing is as good as none
        if told.ref != record.ref:
            raise OutcomeUnknown(f"PATCH answered with another {record.ref.kind}")
        return told

    # webhooks

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge a webhook; None: not genuine, or no secret is known."""
        return judge(delivery, (*self._secrets, *delivery.secrets))

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """The tenant's configurations; 404 where there is none."""
        try:
            response = await self._ask("GET", hooks.PATH)
        except Gone:
            return ()
        rows = understood("GET", lambda: hooks.rows_of(decoded("GET", response)))
        self._tenant_id = self._tenant_id or hooks.tenant_of(rows)
        return tuple(understood("GET", lambda: [hooks.subscribed(row) for row in rows]))

    async def subscribe(self, wish: Wish, known: Subscription | None) -> Subscription | None:
        """Make or change the configuration of an event; one that was deleted is first brought back."""
        if known is not None and known.is_withdrawn:
            await self._ask("POST", f"{hooks.PATH}/subscribe/{quote(known.id, safe='')}")
            return None
        if self._tenant_id is None:
            raise Rejected(
                f"Ninjahire wants the tenant's id with a subscription: set connections.{self._name}.tenant_id"
            )
        body = hooks.asked(wish, self._tenant_id)
        response = await self._ask("POST", hooks.PATH, json=body)
        (made,) = understood("POST", lambda: hooks.rows_of(decoded("POST", response)))
        if made.get("is_deleted") is True:
            return None  # it was somebody's once, and is still off
        return Subscription(wire.id_of(made), wish.url, wish.events, secret=body["secret"])

    async def unsubscribe(self, known: Subscription) -> None:
        """Delete a configuration, which stays in the list as deleted."""
        await self._ask("POST", f"{hooks.PATH}/unsubscribe/{quote(known.id, safe='')}")

    # asking

    async def _listing(
        self, kind: Kind, *, page: int, size: int, **filters: str
    ) -> tuple[httpx.Response, wire.Listing]:
        params: dict[str, str | int] = {"page": page, "size": size, **filters}
        response = await self._ask("GET", wire.PATHS[kind], statuses=LIST_STATUSES, params=params)
        listing: wire.Listing = understood("GET", lambda: wire.listing_of(decoded("GET", response)))
        return response, listing

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        return await ask(
            self._client,
            method,
            self._base + path,
            explain=wire.explain,
            headers={**self._headers, **(headers or {})},
            follow_redirects=False,
            **request,
        )


def _records(kind: Kind, rows: tuple[Mapping[str, Any], ...]) -> tuple[Record, ...]:
    return tuple(wire.record_of(kind, row) for row in rows)


def _filters(draft: Draft) -> dict[str, str]:
    """The filters that a draft's identity allows; none: it cannot be looked up."""
    if draft.kind is not Kind.APPLICATION:
        return {"source_id": draft.source_id} if draft.source_id else {}
    job, candidate = draft.parents.get(Kind.JOB), draft.parents.get(Kind.CANDIDATE)
    if job is None or candidate is None:
        return {}
    by_job = {"job_source_id": job.source_id} if job.source_id and _is_foreign(job) else {"job_id": job.id}
    if candidate.source_id is None or not _is_foreign(candidate):
        return by_job
    return {**by_job, "candidate_source_id": candidate.source_id}


def _is_foreign(parent: Parent) -> bool:
    """Whether a source id is another system's.

    A record's own id stands in where a PATCH had to give one; applications that are older do not bear it.
    """
    return parent.source_id != parent.id


def _is_of(draft: Draft, record: Record) -> bool:
    """Whether a record is the draft's, byte for byte: by its source id, or an application by its job and person."""
    if draft.kind is not Kind.APPLICATION:
        return record.source_id == draft.source_id
    return all(_belongs(draft, record, kind) for kind in (Kind.JOB, Kind.CANDIDATE))


def _belongs(draft: Draft, record: Record, kind: Kind) -> bool:
    """Whether an application belongs to the draft's parent: by the parent's id where told, else by its source id."""
    parent = draft.parents[kind]
    if kind in record.parents:
        return record.parents[kind] == parent.id
    return record.fields.get(f"{kind.value}_source_id") == (parent.source_id or parent.id)
