"""HireSquire: a service that screens résumés by the batch, a cent each. Its facts, and where it is odd.

Source: the vendor's REST reference (https://hiresquireai.com/resources/rest-api-complete-reference), its llms.txt and
llms-full.txt, and what its own clients send and read (https://github.com/bp46/hiresquire-python, hiresquire-cli). What
it forces on us:

* A job there is one batch: title, description, résumés. It cannot be edited, added to or deleted, so no job of ours is
  linked to it, and no record here is a job or a person. A candidate is born from a résumé when its batch is done; it is
  told as an application (its ``status`` is the stage) and as a screening (what was found out), under one id.
* Each résumé of each batch costs money. ``Idempotency-Key`` protects for 24 hours from the first success; a batch whose
  answer was lost later is found by a mark in its title, which is made from the key and which no other batch bears.
* A batch is accepted with 202, its results answer 425 until it is done, by pages of 50, best score first. A result is
  joined to its application by the file's name alone.
* ``interviewing`` is the server's word and ``interviewed`` the clients'; the server's is written, both are read.
* No list tells when a row changed: a status changed by a person is seen by the next full walk or told by a webhook,
  whose address is given with each batch and whose signature covers its time.
* ``hired``, ``rejected`` and ``withdrawn`` are said twice: as a status, and as an outcome that trains their scoring.
* No page for people is documented but the dashboard: option ``page_url`` may name a better one, with ``{candidate}``
  and ``{batch}`` in it.

Mails, questions and interviews are never asked for, nothing is bought, and no key is made.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import httpx

from connectors.hiresquire import signature, wire
from connectors.hiresquire.api import BASE_URL, PER_PAGE, Api
from connectors.hiresquire.sandbox import HireSquireSandbox
from connectors.hiresquire.wire import ALIASES, OUTCOMES, SCREENING_FIELDS, STATUSES, Json
from syncd.clock import Clock
from syncd.connector import (
    Account,
    Batch,
    BatchDraft,
    BatchLimits,
    BatchState,
    Delivery,
    Facts,
    Hooks,
    KindFacts,
    Notice,
    Plugin,
    Quota,
    ResultPage,
    Screened,
    Walk,
    digest_of,
    served_at,
    understood,
)
from syncd.errors import ConfigInvalid, Gone, OutcomeUnknown, Rejected, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref

CANDIDATES = Walk(
    "candidates",
    (Kind.APPLICATION, Kind.SCREENING),
    "the last page that it says it has was read, and as many rows as it says it has",
)
LIMITS = BatchLimits(
    files=100,
    bytes=20_000_000,
    description=50,
    key_s=24 * 3600.0,
    credits=1.0,
    extensions=(".pdf", ".docx", ".doc", ".txt", ".md"),
)
FACTS = Facts(
    system="hiresquire",
    walks=(CANDIDATES,),
    limits=("60/1m",),
    words=STATUSES,
    page=PER_PAGE,
    kinds={
        Kind.APPLICATION: KindFacts(
            lists=frozenset({"status"}), writes={"status": "status"}, stage="status", born={"status": "new"}
        ),
        Kind.SCREENING: KindFacts(lists=frozenset(SCREENING_FIELDS)),
    },
    hooks=Hooks("secret"),
    screens_by="batch",
)

_LONGEST_TITLE = 255
_DAY_S = 86_400.0


class HireSquire:
    """One HireSquire account. Options: ``leniency_level``, ``custom_instructions``, ``page_url``."""

    facts = FACTS
    batch_limits = LIMITS

    def __init__(self, account: Account, client: httpx.AsyncClient, extras: Json | None = None) -> None:
        self._account = account
        self._api = Api(account, client)
        self._extras = extras or {}

    async def check(self) -> None:
        """Ask whether the token is valid; nothing is spent."""
        await self._api.read("/schema/validate")

    # records

    async def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk all candidates; there is no change filter."""
        token = since.token if since else None
        async for response, rows, place in self._api.pages("/candidates", token, sort_by="created_at", sort_dir="asc"):
            yield Page(
                read=partial(self._records, rows),
                digest=digest_of(response.content),
                next=None if place is None else place.token,
                served_at=served_at(response),
            )

    def _records(self, rows: tuple[Json, ...]) -> tuple[Record, ...]:
        told: tuple[Record, ...] = understood(
            "GET", lambda: tuple(record for row in rows for record in wire.candidate(row, self._link(row)))
        )
        return told

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A candidate as application and screening, the asked-for one first."""
        if ref.kind not in FACTS.kinds or not wire.is_id(ref.id):
            return ()
        try:
            answer = await self._api.read(f"/candidates/{ref.id}")
        except Gone:
            return ()
        told: tuple[Record, ...] = understood("GET", lambda: self._own(ref, answer))
        return tuple(sorted(told, key=lambda record: record.ref != ref))

    def _own(self, ref: Ref, answer: Any) -> tuple[Record, ...]:
        row = wire.inner(answer, "candidate")
        records = wire.candidate(row, self._link(row))
        if ref not in {record.ref for record in records}:
            raise ValueError("another candidate was told than the one that was asked for")
        return records

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Nothing is made but by a batch; always ``Rejected``."""
        raise Rejected(f"HireSquire's API makes no {draft.kind}: candidates are born from the résumés of a batch")

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Set an application's status."""
        if record.ref.kind is not Kind.APPLICATION or set(fields) != {"status"}:
            raise Rejected(f"HireSquire's API takes no {', '.join(sorted(fields))} of a {record.ref.kind}")
        row = await self._moved(record.ref.id, str(fields["status"]))
        return None if row is None else wire.candidate(row, self._link(row))[0]

    async def _moved(self, item: str, status: str) -> Json | None:
        """The candidate's row as the answer to a move tells it; None: it tells none."""
        if status not in (*STATUSES, *ALIASES):
            raise Rejected("HireSquire knows no such status")
        _prove_ids(item)
        answer = await self._api.write("PATCH", f"/candidates/{item}/status", {"status": ALIASES.get(status, status)})
        row: Json = understood("PATCH", lambda: wire.inner(answer, "candidate"))
        if "id" not in row:
            return None
        if understood("PATCH", lambda: wire.candidate(row, None))[0].ref.id != item:
            raise OutcomeUnknown("PATCH answered with another candidate than the one that was moved")
        return row

    # batches

    async def submit(self, draft: BatchDraft, key: str) -> Batch:
        """Send a batch: one request, the files streamed as base64."""
        _prove(draft)
        fields = {"title": marked(draft.title, key), "description": draft.description, **self._extras}
        if draft.webhook_url is not None:
            fields["webhook_url"] = draft.webhook_url
        answer = await self._api.submit(fields, draft, key, LIMITS.bytes)
        made: Batch = understood("POST", lambda: wire.batch(answer))
        return made

    async def find_batch(self, draft: BatchDraft, key: str, since: float) -> tuple[Batch, ...]:
        """Look through the jobs made since the day before for the mark of the key in a title, whatever it was then."""
        mark, day = marked("", key), datetime.fromtimestamp(max(0.0, since - _DAY_S), UTC).date()
        found: tuple[Batch, ...] = ()
        async for _, rows, _ in self._api.pages("/jobs", since=day.isoformat()):
            told: tuple[Batch, ...] = understood("GET", partial(_batches, rows))
            found += tuple(batch for batch in told if batch.title is not None and batch.title.endswith(mark))
        return found

    async def batch(self, batch: str) -> Batch | None:
        """Where a batch stands."""
        if not wire.is_id(batch):
            return None
        try:
            answer = await self._api.read(f"/jobs/{batch}")
        except Gone:
            return None
        told: Batch = understood("GET", lambda: wire.batch(answer))
        if told.id != batch:
            raise Unavailable("another job was told than the one that was asked for")
        return told

    async def results(self, batch: str, page: int = 1) -> AsyncIterator[ResultPage]:
        """The results by pages of 50, best first; each row once."""
        _prove_ids(batch)
        seen: set[str] = set()
        asked: int | None = page
        while asked is not None:
            turned = await self._result_page(batch, asked, seen)
            seen |= {result.id for result in turned.results}
            yield turned
            asked = turned.next

    async def _result_page(self, batch: str, page: int, seen: set[str]) -> ResultPage:
        answer = await self._api.read(f"/jobs/{batch}/results", {"page": page})
        turned: ResultPage = understood("GET", lambda: self._results(batch, answer, page, seen))
        return turned

    def _results(self, batch: str, answer: Any, page: int, seen: set[str]) -> ResultPage:
        told = wire.inner(answer)
        state, rows = wire.state_of({"status": "completed", **told}), wire.listed(told, "candidates")
        if rows.page not in {None, page}:
            raise Unavailable(f"page {page} of the results was answered with another page")
        linked = [(row, self._link({"job_id": batch, **row})) for row in rows.rows]
        known = [wire.screened(row, url) for row, url in linked]
        fresh = {result.id: result for result in known if result.id not in seen}
        if rows.last is not None:
            goes_on = page < rows.last
        else:  # the clients' shape tells no pages; a total may count résumés that could not be read
            goes_on = bool(fresh) and (rows.total is None or len(seen) + len(fresh) < rows.total)
        if rows.rows and not fresh and (goes_on or len(seen) < (rows.total or 0)):
            raise Unavailable(f"page {page} of the results brings nothing new, and yet they go on")
        records = [
            record
            for row, url in linked
            if wire.id_of(row) in fresh and row.get("status")
            for record in wire.candidate(row, url)
        ]
        return ResultPage(tuple(fresh.values()), page + 1 if goes_on else None, state, tuple(records))

    async def cancel(self, batch: str) -> Batch:
        """Cancel a batch that is being processed."""
        _prove_ids(batch)
        answer = await self._api.write("POST", f"/jobs/{batch}/cancel")
        told: Batch = understood("POST", lambda: wire.batch({"job_id": batch, **wire.inner(answer, "job")}))
        if told.state is BatchState.PROCESSING or told.id != batch:
            raise OutcomeUnknown("POST answered that the job goes on")
        return told

    async def move(self, item: str, status: str) -> Screened | None:
        """Set a candidate's status."""
        row = await self._moved(item, status)
        return None if row is None else wire.screened(row, self._link(row))

    async def report(self, batch: str, item: str, outcome: str) -> None:
        """Report what became of a candidate."""
        if outcome not in OUTCOMES:
            raise Rejected("HireSquire knows no such outcome")
        _prove_ids(batch, item)
        body = {"candidate_id": int(item), "outcome": outcome}
        answer = await self._api.write("POST", f"/jobs/{batch}/outcome", body)
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise OutcomeUnknown("POST did not answer that the outcome was recorded")

    async def credits(self) -> float:
        """The balance in credits; a credit is a cent."""
        answer = await self._api.read("/credits/balance")
        left: float = understood("GET", lambda: wire.balance(answer))
        return left

    async def cost(self, files: int) -> float:
        """What so many résumés would cost, in credits."""
        answer = await self._api.read("/credits/estimate", {"candidate_count": files})
        estimated: float = understood("GET", lambda: wire.estimate(answer))
        return estimated

    async def quota(self) -> Quota:
        """The token's limit: calls per minute."""
        answer = await self._api.read("/rate-limit")
        told: Quota = understood("GET", lambda: wire.quota(answer))
        return told

    # webhooks

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge a delivery by ``X-Webhook-Signature``; None also where no secret is known."""
        return signature.judge(delivery, self._account.webhook_secrets)

    def _link(self, row: Json) -> str:
        """Where a person sees a candidate: the dashboard, or the page that the option names."""
        pattern = self._account.options.get("page_url")
        if pattern is None:
            return str(httpx.URL(self._api.base).join("/dashboard"))
        return pattern.replace("{candidate}", str(row.get("id"))).replace("{batch}", wire.batch_of(row) or "")


def _batches(rows: tuple[Json, ...]) -> tuple[Batch, ...]:
    return tuple(wire.batch(row) for row in rows)


def marked(title: str, key: str) -> str:
    """A batch's title with the mark by which it is found again."""
    mark = f" [sync:{blake2b(key.encode(), digest_size=8).hexdigest()}]"
    return title.strip()[: _LONGEST_TITLE - len(mark)] + mark


def _prove_ids(*ids: str) -> None:
    if not all(map(wire.is_id, ids)):
        raise Rejected("the id is none of HireSquire's")


def _prove(draft: BatchDraft) -> None:
    """Refuse what HireSquire would refuse, before any file is read."""
    names = [file.name for file in draft.files]
    if not 1 <= len(names) <= LIMITS.files:
        raise Rejected(f"a batch holds 1 to {LIMITS.files} files")
    if len(set(names)) < len(names) or not all(0 < len(name) <= 255 for name in names):
        raise Rejected("each file of a batch needs a name of its own, of at most 255 characters")
    if not draft.title.strip() or len(draft.description.strip()) < LIMITS.description:
        raise Rejected(f"HireSquire needs a title and a description of at least {LIMITS.description} characters")
    if sum(file.size or 0 for file in draft.files) > LIMITS.bytes:
        raise Rejected(f"the files of a batch hold more than {LIMITS.bytes} bytes")


def connect(account: Account, client: httpx.AsyncClient, clock: Clock) -> HireSquire:
    """Join an account and a client; raises ``ConfigInvalid`` where an option makes no sense. No call goes out."""
    return HireSquire(account, client, _extras(account.name, account.options))


def _extras(name: str, options: Mapping[str, str]) -> Json:
    """What each batch is sent with besides its job and its files."""
    extras: dict[str, Any] = {}
    level = options.get("leniency_level")
    if level is not None:
        if level not in {str(number) for number in range(1, 11)}:
            raise ConfigInvalid(f"connections.{name}: leniency_level is a number from 1 (lenient) to 10 (strict)")
        extras["leniency_level"] = int(level)
    if options.get("custom_instructions"):
        extras["custom_instructions"] = options["custom_instructions"]
    return extras


plugin = Plugin(
    facts=FACTS,
    connect=connect,
    options=("leniency_level", "custom_instructions", "page_url"),
    base_url=BASE_URL,
    sandbox=HireSquireSandbox,
)
