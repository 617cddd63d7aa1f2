"""Workable's SPI v3 as a connector: paths, pages, authorisation, errors.

Source: the vendor's reference (workable.readme.io/reference). Where the reference and recorded answers of the live
API disagree, both are taken. A move, a disqualification and a revert are made in the name of an active member
(config key ``member``); a write is one request, and what it must look up before (member, pipeline) is kept for an hour
and read along with the record, so that read and write lie close together.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from connectors.workable import hooks, wire
from syncd.clock import Clock
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
    same_origin,
    served_at,
    understood,
)
from syncd.errors import AuthFailed, Gone, OutcomeUnknown, Rejected, Stale, SyncdError, Taken, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref

PATH = "/spi/v3"
PAGE = 100  # rows per list call, the most that Workable gives
KEPT_S = 3600.0  # how long members and pipelines are believed
NOT_LIVE = {403: Rejected}  # a write that is forbidden: the job is archived, or the token lacks w_candidates
MOST_LINKS = 100_000  # pages of one walk; ten million rows are more than an account has


class Workable:
    """One Workable account, reached with one token. Abilities: ``Finds``, ``Pipelines``, ``Webhooks``."""

    def __init__(self, account: Account, client: httpx.AsyncClient, clock: Clock, facts: Facts) -> None:
        self.facts = facts
        self._account = account
        self._client = client
        self._clock = clock
        self._root = account.base_url.rstrip("/") + PATH
        self._pipelines: dict[str | None, tuple[float, tuple[wire.Stage, ...]]] = {}
        self._member: tuple[float, str] | None = None
        self._samples: dict[str, bool] = {}

    # reading

    async def check(self) -> None:
        """Prove the token with one call; Workable answers 404 or 422 to the token of another account."""
        wrong: Mapping[int, type[SyncdError]] = {404: AuthFailed, 422: AuthFailed}
        await self._ask("GET", f"{self._root}/stages", statuses=wrong)

    async def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk a list along its own links to the page that has no ``paging``."""
        cursor = since or Cursor()
        url, params = cursor.token or f"{self._root}/{walk.name}", None if cursor.token else _asked_for(cursor)
        async for response, sheet in self._sheets(url, params, walk.name):
            if walk.name == "jobs":
                self._samples.update((str(row.get("shortcode")), row.get("sample") is True) for row in sheet.rows)
            yield Page(
                read=partial(_read, walk.name, sheet),
                digest=digest_of(response.content),
                next=sheet.next,
                served_at=served_at(response),
            )

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A job; or a row as person and application, the one asked for first."""
        if ref.kind is Kind.SCREENING or ref.id in {"", ".", ".."}:
            return ()
        try:
            if ref.kind is Kind.JOB:
                return (await self._get_job(ref),)
            records = await self._get_row(ref)
        except Gone:
            return ()
        await self._warm(records)
        return tuple(sorted(records, key=lambda record: record.ref != ref)) if ref in _refs(records) else ()

    async def _get_job(self, ref: Ref) -> Record:
        response = await self._ask("GET", f"{self._root}/jobs/{_quoted(ref.id)}")
        row = understood("GET", lambda: wire.detail_of(decoded("GET", response), "job"))
        record: Record = understood("GET", lambda: wire.job(row))
        _same(record.ref == ref)
        if await self._is_sample(ref.id, row.get("id")):
            return replace(record, traits=record.traits | {"sample"})
        return record

    async def _is_sample(self, shortcode: str, id_: Any) -> bool:
        """Whether a job is one of Workable's samples: only its row in the list tells, where the list begins with it."""
        if shortcode not in self._samples and isinstance(id_, str):
            response = await self._ask("GET", f"{self._root}/jobs", params={"limit": 1, "since_id": id_})
            sheet = understood("GET", lambda: wire.sheet(decoded("GET", response), "jobs"))
            self._samples[shortcode] = any(
                row.get("sample") is True for row in sheet.rows if row.get("shortcode") == shortcode
            )
        return self._samples.get(shortcode, False)

    async def _get_row(self, ref: Ref) -> tuple[Record, ...]:
        response = await self._ask("GET", self._row_url(ref.id))
        records: tuple[Record, ...] = understood(
            "GET", lambda: wire.candidate(wire.detail_of(decoded("GET", response), "candidate"))
        )
        _same(records[0].ref.id == ref.id)
        return records

    async def _warm(self, records: tuple[Record, ...]) -> None:
        """Read along what a move of these will need; what fails here is told when the move asks again."""
        if self._account.member is None:
            return  # a connection that names no member moves nobody
        for record in records:
            if Kind.JOB in record.parents:
                with contextlib.suppress(Unavailable, Rejected, Gone, AuthFailed):
                    await self._member_id()
                    await self._pipeline(record.parents[Kind.JOB])

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """The rows of a person on a job by e-mail and job; each is compared, for a filter may be ignored."""
        email, job = draft.person.get("email"), draft.parents.get(Kind.JOB)
        if draft.kind is not Kind.APPLICATION or not isinstance(email, str) or job is None:
            return ()
        params = {"email": email, "shortcode": job.id, "limit": PAGE}
        found: list[Record] = []
        try:
            async for _, sheet in self._sheets(f"{self._root}/candidates", params, "candidates"):
                for person, *application in map(partial(understood, "GET"), _readers(sheet)):
                    if _identity(person, application) == (email.casefold(), job.id):
                        found += [*application, person]
        except Gone:
            return ()  # Workable's answer to an unknown job
        return tuple(found)

    async def stages(self, job: Ref | None) -> tuple[str, ...]:
        """The stage names of a job in their order; None: all names of the account."""
        pipeline = await self._pipeline(job.id if job else None)
        return tuple(dict.fromkeys(stage.name for stage in pipeline))

    # writing

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Add a person to a job, silently, at the right stage; application and person are born. No key is taken."""
        job = draft.parents.get(Kind.JOB)
        if draft.kind is not Kind.APPLICATION or job is None:
            raise Rejected(f"Workable makes people only together with an application on a job, no {draft.kind} alone")
        params, body = wire.born(draft, await self._birth_slug(job.id, draft.fields.get("stage")))
        url = f"{self._root}/jobs/{_quoted(job.id)}/candidates"
        response = await self._ask("POST", url, judge=_duplicate, statuses=NOT_LIVE, params=params, json=body)
        records: tuple[Record, ...] = understood(
            "POST", lambda: wire.candidate(wire.detail_of(decoded("POST", response), "candidate"))
        )
        if len(records) != 2 or records[1].parents[Kind.JOB] != job.id:
            raise OutcomeUnknown("POST was answered with a row of another job")
        return records[1], records[0]

    async def _birth_slug(self, shortcode: str, word: Any) -> str | None:
        if word is None or word == wire.DISQUALIFIED:
            return None
        if word == wire.WITHDREW:
            raise Rejected("a create in Workable can be disqualified but not withdrawn; add this person there by hand")
        return await self._slug(shortcode, str(word))

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Change a person's fields, or move, disqualify or revert an application, with one request.

        A revert only lifts the flag: the move to another stage is the next update.
        """
        if record.ref.kind is Kind.CANDIDATE:
            return await self._patch(record, fields)
        if record.ref.kind is not Kind.APPLICATION or set(fields) != {"stage"}:
            raise Rejected(f"Workable takes no change of {', '.join(sorted(fields))} of a {record.ref.kind}")
        action, body = await self._action(record, str(fields["stage"]))
        try:
            await self._ask("POST", f"{self._row_url(record.ref.id)}/{action}", statuses=NOT_LIVE, json=body)
        except (Gone, Rejected):
            self._forget(record.parents[Kind.JOB])  # perhaps the member left, or the pipeline was changed
            raise
        return None

    async def _patch(self, record: Record, fields: Fields) -> Record:
        body = wire.patch(record, fields)
        if not body["candidate"]:
            raise Rejected(f"Workable takes no change of {', '.join(sorted(fields))} of a person")
        response = await self._ask("PATCH", self._row_url(record.ref.id), statuses=NOT_LIVE, json=body)
        told: Record = understood(
            "PATCH", lambda: wire.candidate(wire.detail_of(decoded("PATCH", response), "candidate"))[0]
        )
        if told.ref != record.ref:
            raise OutcomeUnknown("PATCH was answered with another record")
        return told

    async def _action(self, record: Record, word: str) -> tuple[str, dict[str, Any]]:
        """The call, and its body, that brings an application as just read nearer to a stage word."""
        present = record.fields.get("stage")
        if not isinstance(present, str):
            raise Stale("this view of the application does not tell its stage")
        body: dict[str, Any] = {"member_id": await self._member_id()}
        if word in {wire.DISQUALIFIED, wire.WITHDREW}:
            return "disqualify", {**body, "withdrew": word == wire.WITHDREW}
        if present in {wire.DISQUALIFIED, wire.WITHDREW}:
            return "revert", body
        return "move", {**body, "target_stage": await self._slug(record.parents[Kind.JOB], word)}

    # what writes must know

    async def member_id(self) -> str:
        """The id of the active member in whose name moves are made; ``Rejected`` names the config key."""
        return await self._member_id()

    async def _member_id(self) -> str:
        if self._member is None or self._member[0] <= self._clock.now():
            self._member = (self._clock.now() + KEPT_S, await self._find_member())
        return self._member[1]

    async def _find_member(self) -> str:
        wanted = self._account.member
        if wanted is None:
            raise Rejected("Workable moves people in a member's name: set the config key member to an e-mail or id")
        params = {"limit": PAGE, **({"email": wanted} if "@" in wanted else {})}
        async for _, sheet in self._sheets(f"{self._root}/members", params, "members", NOT_LIVE):
            for row in sheet.rows:
                if wire.is_member(row, wanted) and isinstance(row.get("id"), str):
                    return str(row["id"])
        raise Rejected("the config key member names no active member of this Workable account")

    async def _slug(self, shortcode: str, word: str) -> str:
        slug = wire.slug_of(await self._pipeline(shortcode), word)
        if slug is None:
            self._forget(shortcode)
            raise Rejected(f"the pipeline of job {shortcode} has no stage {word!r}")
        return slug

    async def _pipeline(self, shortcode: str | None) -> tuple[wire.Stage, ...]:
        until, pipeline = self._pipelines.get(shortcode, (0.0, ()))
        if until <= self._clock.now():
            path = f"/jobs/{_quoted(shortcode)}/stages" if shortcode else "/stages"
            response = await self._ask("GET", self._root + path)
            pipeline = understood("GET", lambda: wire.stages(decoded("GET", response)))
            self._pipelines[shortcode] = (self._clock.now() + KEPT_S, pipeline)
        return pipeline

    def _forget(self, shortcode: str) -> None:
        self._member = None
        self._pipelines.pop(shortcode, None)

    # webhooks

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge a delivery by its signature: the key is the token, or one of the config's secrets."""
        return hooks.judged((self._account.token, *self._account.webhook_secrets, *delivery.secrets), delivery)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All of the account; where there are none Workable may answer 404."""
        found: list[Subscription] = []
        try:
            async for _, sheet in self._sheets(f"{self._root}/subscriptions", None, "subscriptions"):
                found += understood("GET", partial(_subscribed, sheet, self._clock.now()))
        except Gone:
            return ()
        return tuple(found)

    async def subscribe(self, wish: Wish, known: Subscription | None) -> Subscription | None:
        """Register one address for one event; one that is wrong is withdrawn first, for it cannot be changed."""
        if known is not None:
            await self.unsubscribe(known)
            return None
        body = hooks.asked(wish, httpx.URL(self._root).host.partition(".")[0])
        response = await self._ask("POST", f"{self._root}/subscriptions", json=body)
        id_ = understood("POST", lambda: decoded("POST", response)["id"])
        return Subscription(str(id_), wish.url, wish.events)

    async def unsubscribe(self, known: Subscription) -> None:
        """Withdraw one."""
        await self._ask("DELETE", f"{self._root}/subscriptions/{_quoted(known.id)}")

    # asking

    async def _sheets(
        self,
        url: str,
        params: Mapping[str, Any] | None,
        name: str,
        statuses: Mapping[int, type[SyncdError]] | None = None,
    ) -> AsyncIterator[tuple[httpx.Response, wire.Sheet]]:
        """Follow a list's links; raises ``Unavailable`` where they lead elsewhere or pages are told again."""
        trail = wire.Trail(ordered="updated_after" not in f"{url}{params}")
        for _ in range(MOST_LINKS):
            self._stay(url)
            response = await self._ask("GET", url, params=params, statuses=statuses)
            sheet: wire.Sheet = understood("GET", partial(_sheet, response, name))
            if not trail.goes_on(sheet):
                raise Unavailable(f"the list of {name} repeats itself, so its end cannot be proven")
            yield response, sheet
            if sheet.next is None:
                return
            url, params = sheet.next, None
        raise Unavailable(f"the list of {name} does not end")

    def _stay(self, url: str) -> None:
        """The token is sent nowhere but to the account's own API, wherever a link may lead."""
        if not same_origin(self._root, url) or not httpx.URL(url).path.startswith(f"{httpx.URL(self._root).path}/"):
            raise Unavailable("a link of the list leads to another place than this account")

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._account.token}", "Accept": "application/json", **(headers or {})}
        return await ask(self._client, method, url, explain=_explain, headers=headers, **request)

    def _row_url(self, id_: str) -> str:
        return f"{self._root}/candidates/{_quoted(id_)}"


def _asked_for(cursor: Cursor) -> dict[str, Any]:
    since = {} if cursor.since is None else {"updated_after": wire.query_time(cursor.since)}
    return {"limit": PAGE, **since}


# --- reading answers ------------------------------------------------------------------------------------------------


def _read(name: str, sheet: wire.Sheet) -> tuple[Record, ...]:
    """The records of a page, made when somebody asks for them."""
    if name == "jobs":
        return tuple(understood("GET", lambda: [wire.job(row) for row in sheet.rows]))
    return tuple(understood("GET", lambda: [record for row in sheet.rows for record in wire.candidate(row)]))


def _readers(sheet: wire.Sheet) -> list[partial[tuple[Record, ...]]]:
    return [partial(wire.candidate, row) for row in sheet.rows]


def _subscribed(sheet: wire.Sheet, now: float) -> list[Subscription]:
    return [hooks.subscribed(row, now) for row in sheet.rows]


def _sheet(response: httpx.Response, name: str) -> wire.Sheet:
    return wire.sheet(decoded("GET", response), name)


def _identity(person: Record, application: list[Record]) -> tuple[str, str] | None:
    email = person.fields.get("email")
    return (str(email).casefold(), application[0].parents[Kind.JOB]) if application else None


def _refs(records: Iterable[Record]) -> set[Ref]:
    return {record.ref for record in records}


def _same(is_the_one: bool) -> None:  # noqa: FBT001  # reads as the sentence it is
    if not is_the_one:
        raise Unavailable("GET answered with another record than the one asked for")


def _quoted(id_: str) -> str:
    return quote(id_, safe="")


def _explain(response: httpx.Response) -> str:
    said = wire.complaint(response.content)
    if response.status_code == 403:
        return f"{said} (the job is archived, or the token lacks the scope)"
    return said


def _duplicate(response: httpx.Response) -> type[SyncdError] | None:
    return Taken if response.status_code in {400, 422} and wire.is_duplicate(response.content) else None
