"""The seam: what a connector must be, what it may be besides, and the one way in which it asks its system.

Few verbs, facts as data, abilities as small optional protocols. The httpx client comes in from outside with limit,
retry and metrics around it; a connector holds neither, and it sends each write exactly once. There is no delete here:
no sync engine should be able to delete a person.
"""

import hashlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable

import httpx
import orjson

from syncd.clock import Clock
from syncd.errors import (
    AuthFailed,
    Gone,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    SyncdError,
    Taken,
    Unavailable,
)
from syncd.facts import Facts, FileLimits, Hooks, KindFacts, Walk
from syncd.model import Cursor, Draft, Fields, Page, Record, Ref
from syncd.papers import Attaches, File, Form, HasFiles, Remark, Remarks, Schedules, Screens, Witnesses, without_markup
from syncd.streams import HERE, Part, around, streamed, streamed_length

__all__ = [
    "HERE",
    "Account",
    "Attaches",
    "Batch",
    "BatchDraft",
    "BatchFile",
    "BatchLimits",
    "BatchState",
    "Batches",
    "Connector",
    "Connects",
    "CreditsSpent",
    "Delivery",
    "Facts",
    "File",
    "FileLimits",
    "FilesRejected",
    "Finds",
    "Form",
    "HasFiles",
    "Hooks",
    "KindFacts",
    "Notice",
    "Part",
    "Pipelines",
    "Plugin",
    "Quota",
    "Remark",
    "Remarks",
    "ResultPage",
    "Schedules",
    "Screened",
    "Screens",
    "Subscribes",
    "Subscription",
    "Walk",
    "Webhooks",
    "Wish",
    "Witnesses",
    "around",
    "ask",
    "decoded",
    "digest_of",
    "download",
    "failure",
    "is_local",
    "retry_after",
    "same_origin",
    "served_at",
    "streamed",
    "streamed_length",
    "understood",
    "with_ability",
    "without_markup",
]

LONGEST_ANSWER = 8 * 1024 * 1024  # bytes; a list page of any of the systems is far below
MOST_VALUES = 400_000  # of a document: each takes up to 120 bytes once it is read, though it may be told in three


@dataclass(frozen=True, slots=True)
class Account:
    """One connection's settings, as its connector needs them. ``options`` are the system's own further keys."""

    name: str
    base_url: str
    token: str = field(repr=False)
    member: str | None = None
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    webhook_path_secret: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)


class Connector(Protocol):
    """One applicant tracking system, reached with one token."""

    facts: Facts

    async def check(self) -> None:
        """Prove with one cheap authenticated call that the token works; raise ``AuthFailed``."""
        ...

    def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk one list page by page; the last page, and only a proven last page, has ``next`` None.

        Raises ``Unavailable`` where the walk cannot go on, or where its pages contradict each other.
        """
        ...

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """All that one call tells about a record (its own first); empty: it is gone."""
        ...

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Create with one request; all that was born, if told. ``key`` goes out where a system takes one."""
        ...

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Change fields of one call with one request, given the record as just read; None: the answer tells nothing."""
        ...


@runtime_checkable
class Finds(Protocol):
    """A connector that can look up whether a create took effect."""

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """All records of the draft's identity (with what is born together), made since about ``since``."""
        ...


@runtime_checkable
class Pipelines(Protocol):
    """A connector whose jobs have pipelines of their own."""

    async def stages(self, job: Ref | None) -> tuple[str, ...]:
        """The stage words of a job in their order; None: all words of the account."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it arrived: the raw body, the headers with lower-case names, the last part of its path.

    ``secrets`` are those that were agreed with the system when the address was registered: they sign it as well as the
    account's own.
    """

    body: bytes
    headers: Mapping[str, str]
    event: str | None = None
    received_at: float = 0.0
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a genuine webhook says: look at these again. ``event_id`` dedupes; None: the body's digest does.

    ``walks`` are lists to be walked where the event names no record; ``batches`` are ids of batches whose state is to
    be asked (see ``Batches``).
    """

    refs: tuple[Ref, ...] = ()
    event_id: str | None = None
    walks: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()


@runtime_checkable
class Webhooks(Protocol):
    """A connector whose system sends webhooks; its facts say how (``hooks``)."""

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge raw bytes; None: not genuine. Total: a verdict on any bytes and headers, never an error."""
        ...


@dataclass(frozen=True, slots=True)
class Subscription:
    """A registered webhook address as its system tells it. ``id`` names it there.

    ``events`` are those that it is for. ``is_sound``: False where it is switched off or outlived, tells of some records
    only, or sends in a form that ``verify`` cannot read. ``secret`` is what signs its deliveries; None: not told.
    ``is_withdrawn``: it is over, and stays in the list; it is not sound either.
    """

    id: str
    url: str
    events: frozenset[str]
    is_sound: bool = True
    secret: str | None = field(default=None, repr=False)
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """An address that is to be told of events. ``secret`` is what both sides know to sign with already; None: nothing.

    ``fresh`` is a new one, for a system that lets its caller choose.
    """

    url: str
    events: frozenset[str]
    secret: str | None = field(default=None, repr=False)
    fresh: str = field(default="", repr=False)


@runtime_checkable
class Subscribes(Protocol):
    """A connector that can register webhook addresses; its facts say for which events (``hooks.tells``)."""

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All that are listed, whosever they are, to the last page."""
        ...

    async def subscribe(self, wish: Wish, known: Subscription | None) -> Subscription | None:
        """One request that brings the system nearer to a wish; ``known``: what is wrong of that which stands there.

        The subscription as made; None: the list is to be looked at again, and perhaps another request is needed. Raises
        ``Taken`` where the address is registered already, ``OutcomeUnknown`` as any write.
        """
        ...

    async def unsubscribe(self, known: Subscription) -> None:
        """Withdraw one; ``Gone`` where it is not there any more."""
        ...


# --- batches: systems that screen résumés, and cost money -------------------------------------------------------------


class BatchState(StrEnum):
    """Where a batch stands. All but ``PROCESSING`` are final."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One résumé: a name that is unique in its batch, and its bytes, read when they are sent and never kept.

    ``name`` is the application's id with the file's extension; it is all by which a result is joined. ``read`` opens
    the stream anew at each call. ``size`` in bytes; None: not known. Where it is known for all files the request tells
    its length, and a stream of another length ends the request with ``Stale``.
    """

    name: str
    read: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    size: int | None = None

    @classmethod
    def of(cls, name: str, content: bytes) -> "BatchFile":
        """A file whose bytes are at hand."""

        async def read() -> AsyncIterator[bytes]:
            yield content

        return cls(name, read, len(content))


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """What is sent for screening: a job's title and description as plain text, and its files.

    ``webhook_url`` is where the system shall say that the batch is done, where it takes an address per batch.
    """

    title: str
    description: str = field(repr=False)
    files: tuple[BatchFile, ...]
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as one answer tells it. ``files``: how many it holds; ``reason``: why it failed; None: not told.

    Times are seconds since the epoch.
    """

    id: str
    state: BatchState
    title: str | None = None
    files: int | None = None
    created_at: float | None = None
    completed_at: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Screened:
    """What the system found out about one file. All text is from elsewhere: plain text, to be shown as text.

    ``id`` names the item there (``move`` and ``report`` take it, and the refs of its records bear it). ``file`` is the
    name that it was sent under; None: not told, so the result can be joined to nothing. ``score`` is 0 to 100.
    ``status`` is the item's stage in their word: the first one told is a base, not a change. ``url`` is where a person
    sees it.
    """

    id: str
    file: str | None
    score: float | None
    summary: str | None = field(default=None, repr=False)
    verdict: str | None = field(default=None, repr=False)
    strengths: tuple[str, ...] = field(default=(), repr=False)
    weaknesses: tuple[str, ...] = field(default=(), repr=False)
    status: str | None = None
    url: str | None = None
    made_by: str = ""
    made_at: float | None = None


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of a batch's results. ``next``: the number of the page behind it; None: the end is proven.

    ``state`` is the batch's as this page tells it: a failed or cancelled batch has no results.
    ``records``: the same people as ``pull`` and ``get`` tell them, application and screening.
    """

    results: tuple[Screened, ...]
    next: int | None
    state: BatchState
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch may hold, what a file costs, and how long a key protects from being billed again.

    ``bytes`` are those of all files before any encoding. ``description`` is in characters, ``key_s`` in seconds,
    ``credits`` in the system's credits for one file. ``extensions`` are in lower case, with the dot.
    """

    files: int
    bytes: int
    description: int
    key_s: float
    credits: float
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quota:
    """The token's rate limit as the system tells it: calls per window, calls left, and when the window ends."""

    limit: int
    remaining: int
    reset_at: float | None = None


class FilesRejected(Rejected):
    """Some files of a batch are refused and so the whole batch was: nothing was made, nothing billed.

    ``reasons``: file name → why, in the system's words as far as they hold nobody's data.
    """

    def __init__(self, message: str, reasons: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reasons: Mapping[str, str] = reasons or {}


class CreditsSpent(Rejected):
    """The account has no credits left for this, or the token may spend no more: a person must pay or allow it."""


@runtime_checkable
class Batches(Protocol):
    """A connector whose system screens résumés by the batch. Each file costs money, once per batch that is made.

    The records of the items are told by ``pull`` and ``get`` like all others; this is how items are born, and what
    only their batch can do.
    """

    batch_limits: BatchLimits

    async def submit(self, draft: BatchDraft, key: str) -> Batch:
        """Send a batch with one request, its files streamed, under an idempotency key that the caller keeps.

        Raises ``FilesRejected``, ``CreditsSpent`` or another ``Rejected`` where nothing was made, ``OutcomeUnknown``
        where nobody knows: then it may be sent again with the same key and the same bytes within
        ``batch_limits.key_s`` of the first time, or looked up with ``find_batch``. What a file's ``read`` raises comes
        through; the request was not complete then, so nothing was made.
        """
        ...

    async def find_batch(self, draft: BatchDraft, key: str, since: float) -> tuple[Batch, ...]:
        """All batches that this draft made under this key since about ``since``, whatever became of the answers."""
        ...

    async def batch(self, batch: str) -> Batch | None:
        """Ask where a batch stands; None: there is none."""
        ...

    def results(self, batch: str, page: int = 1) -> AsyncIterator[ResultPage]:
        """Read the results from a page on; only a proven last page has ``next`` None.

        Raises ``Unavailable`` while they are not ready, and where the pages contradict each other.
        """
        ...

    async def cancel(self, batch: str) -> Batch:
        """Stop a batch that is being processed; ``Rejected`` where it is over already."""
        ...

    async def move(self, item: str, status: str) -> Screened | None:
        """Set an item's status, in their word; what the answer tells of it."""
        ...

    async def report(self, batch: str, item: str, outcome: str) -> None:
        """Tell what became of a person: ``hired``, ``rejected`` or ``withdrawn``."""
        ...

    async def credits(self) -> float:
        """The credits that are left."""
        ...

    async def cost(self, files: int) -> float:
        """The credits that so many files would cost, as the system estimates them; nothing is spent."""
        ...

    async def quota(self) -> Quota:
        """Ask for the token's rate limit."""
        ...


class Connects(Protocol):
    """Joins an account, a client and a clock to a connector."""

    def __call__(self, account: Account, client: httpx.AsyncClient, clock: Clock) -> Connector:
        """Make the connector; no call goes out."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point of group ``syncd.connectors`` names.

    ``needs`` are the config keys that the system cannot do without, ``options`` the further ones it knows, ``sandbox``
    makes the system's sandbox (see ``syncd.sandbox``), ``base_url`` is used where the config names none.
    """

    facts: Facts
    connect: Connects
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    base_url: str | None = None
    sandbox: Callable[..., Any] | None = None


# --- asking ---------------------------------------------------------------------------------------------------------

LINK = "syncd.link"  # request extension: an address that a system gave out; no token goes along, no slot is taken
STREAMED = "syncd.streamed"  # request extension: hand the body over as it comes, do not keep it for a retry


async def download(
    client: httpx.AsyncClient, url: str, *, longest: int, headers: Mapping[str, str] | None = None
) -> AsyncIterator[bytes]:
    """The bytes behind an address that a system gave out, whoever serves them; of at most ``longest`` bytes.

    Nothing of the account goes along, and no redirect is followed. With ``headers`` that prove the account it is a call
    like all others, to the system itself. Raises ``Gone`` where the address leads to nothing
    (any more), ``Rejected`` where the file is longer or the address may not be called, ``Unavailable`` otherwise.
    """
    taken = 0
    try:
        request = client.build_request(
            "GET", _whole(url), headers=headers, extensions={LINK: headers is None, STREAMED: True}
        )
        response = await client.send(request, stream=True)
        try:
            if not response.is_success:
                raise _no_file(response.status_code)
            async for piece in response.aiter_bytes():
                taken += len(piece)
                if taken > longest:
                    raise Rejected(f"the file is larger than {longest // 1_000_000} MB")
                yield piece
        finally:
            await response.aclose()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Rejected("the file's address is none that may be called") from error
    except httpx.HTTPError as error:
        raise Unavailable(f"the file could not be read: {type(error).__name__}") from error


def _whole(url: str) -> httpx.URL:
    """An address that names its server; any other would be looked for at the account's own."""
    read = httpx.URL(url)
    if not read.is_absolute_url:
        raise httpx.InvalidURL("the address is not whole")
    return read


def _no_file(status: int) -> SyncdError:
    if status in (400, 401, 403, 404, 410):
        return Gone(f"the file's address answered {status}")
    return Unavailable(f"the file's address answered {status}")


Explain = Callable[[httpx.Response], str]
# A proxy that will not make a tunnel has passed nothing on.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    explain: Explain,
    statuses: Mapping[int, type[SyncdError]] | None = None,
    judge: Callable[[httpx.Response], type[SyncdError] | None] | None = None,
    **request: Any,
) -> httpx.Response:
    """Send one request; a 2xx answer comes back, everything else is raised as the error that says what to do next.

    ``explain`` finds the system's own words in an error answer (never a person's data), ``statuses`` overrules what a
    status means for this call, and ``judge`` (total on any answer) both of them where one status means several things.
    A write whose fate the answer does not tell raises ``OutcomeUnknown``.
    """
    try:
        response = await client.request(method, url, **request)
    except _NOT_SENT as error:
        raise NotSent(f"no connection: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise _lost(method, type(error).__name__) from error
    if response.is_success:
        if response.content.lstrip()[:1] == b"<":
            raise _lost(method, f"{method} answered {response.status_code} with a page for people")
        if _denies(response):
            raise _lost(method, f"{method} answered {response.status_code} and says that it did not succeed")
        return response
    judged = judge(response) if judge else None
    raise failure(method, response, explain, {response.status_code: judged} if judged else statuses or {})


def _denies(response: httpx.Response) -> bool:
    """Whether a good status comes with an envelope that says otherwise (``{"success": false}``)."""
    if not any(word in response.content[:500] for word in (b'"success"', b'"ok"')):
        return False
    try:
        told = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, dict) and False in (told.get("success"), told.get("ok"))


def failure(
    method: str, response: httpx.Response, explain: Explain, statuses: Mapping[int, type[SyncdError]]
) -> SyncdError:
    """The error that an answer other than 2xx stands for."""
    status = response.status_code
    message = f"{method} answered {status}: {_explained(explain, response)}"
    known = statuses.get(status) or _MEANING.get(status)
    if known is RateLimited or known is Unavailable:
        return known(message, retry_after_s=retry_after(response))
    if known is not None:
        return known(message)
    if 400 <= status < 500:
        return Rejected(message)
    return _lost(method, message, retry_after(response))


_MEANING: Mapping[int, type[SyncdError]] = {
    401: AuthFailed,
    403: AuthFailed,
    404: Gone,
    409: Taken,
    410: Gone,
    425: Unavailable,
    429: RateLimited,
}


def _lost(method: str, message: str, retry_after_s: float | None = None) -> SyncdError:
    if method in ("GET", "HEAD"):
        return Unavailable(message, retry_after_s=retry_after_s)
    return OutcomeUnknown(message)


def _explained(explain: Explain, response: httpx.Response) -> str:
    try:
        return explain(response)[:200]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "(an answer that is not in the system's documented form)"


def decoded(method: str, response: httpx.Response) -> Any:
    """The JSON of a 2xx answer; anything else is a lost answer, and so is one of more values than any page has.

    A NUL in a text, which PostgreSQL takes in no column, is read as the sign for what cannot be read (U+FFFD).
    """
    if sum(map(response.content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise _lost(method, f"{method} answered {response.status_code} with more than any page holds")
    try:
        return orjson.loads(response.content.replace(b"\\u0000", b"\\ufffd"))
    except orjson.JSONDecodeError as error:
        raise _lost(method, f"{method} answered {response.status_code} with something that is not JSON") from error


def understood(method: str, read: Callable[[], Any]) -> Any:
    """Run a wire reader over an answer; an answer of another shape is a lost answer, never a traceback."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _lost(method, f"{method} answered in a shape that is not documented: {type(error).__name__}") from error


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that Retry-After asks for, in either of its forms (RFC 9110 section 10.2.3); None: absent or absurd."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(min(int(text[:9]), 86400))
    try:
        due, served = parsedate_to_datetime(text).timestamp(), served_at(response)
    except (ValueError, TypeError):
        return None
    return max(0.0, min(due - served, 86400.0)) if served is not None else None


def served_at(response: httpx.Response) -> float | None:
    """The Date header in seconds since the epoch."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None


@dataclass(frozen=True)
class PagePlace:
    """Where a walk by page number stands: the page to ask for, and what was told, to see whether pages fit together.

    ``told`` counts the rows before this page, ``total`` is what the list said of itself at first. ``seen`` holds the
    ids since the walk began or was resumed.
    """

    page: int = 1
    told: int = 0
    total: int | None = None
    seen: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def token(self) -> str:
        """The place as a page's ``next``."""
        return f"{self.page},{self.told},{'' if self.total is None else self.total}"

    @classmethod
    def of(cls, token: str | None) -> Self:
        """The place that a token names; None: the beginning."""
        if token is None:
            return cls()
        page, told, total = token.split(",")
        return cls(int(page), int(told), int(total) if total else None)


def digest_of(content: bytes) -> str:
    """A digest of a page's bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def same_origin(base: str, url: str) -> bool:
    """Whether a link leads to the same scheme, host and port as the base, below no user-info."""
    try:
        ours, theirs = httpx.URL(base), httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return not theirs.userinfo and (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)


def is_local(host: str) -> bool:
    """Whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def with_ability(connector: Connector, ability: type[Any]) -> Any:
    """The connector as having an ability, or None."""
    return connector if isinstance(connector, ability) else None
