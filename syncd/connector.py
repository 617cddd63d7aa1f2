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
from typing import Any, Protocol, runtime_checkable

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
from syncd.facts import Facts, KindFacts, Walk
from syncd.model import Cursor, Draft, Fields, Page, Record, Ref

__all__ = [
    "Account",
    "Connector",
    "Connects",
    "Delivery",
    "Facts",
    "Finds",
    "KindFacts",
    "Notice",
    "Pipelines",
    "Plugin",
    "Walk",
    "Webhooks",
    "ask",
    "decoded",
    "digest_of",
    "failure",
    "is_local",
    "retry_after",
    "same_origin",
    "served_at",
    "understood",
    "with_ability",
]

LONGEST_ANSWER = 64 * 1024 * 1024  # bytes; a list page of any of the systems is far below


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
    """A webhook as it arrived: the raw body, the headers with lower-case names, the last part of its path."""

    body: bytes
    headers: Mapping[str, str]
    event: str | None = None
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What a genuine webhook says: look at these again. ``event_id`` dedupes; None: the body's digest does.

    ``walks`` are lists to be walked where the event names no record.
    """

    refs: tuple[Ref, ...] = ()
    event_id: str | None = None
    walks: tuple[str, ...] = ()


@runtime_checkable
class Webhooks(Protocol):
    """A connector whose system sends webhooks."""

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge raw bytes; None: not genuine. Total: a verdict on any bytes and headers, never an error."""
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

Explain = Callable[[httpx.Response], str]


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
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise NotSent(f"no connection: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise _lost(method, type(error).__name__) from error
    if response.is_success:
        return response
    judged = judge(response) if judge else None
    raise failure(method, response, explain, {response.status_code: judged} if judged else statuses or {})


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
    """The JSON of a 2xx answer; anything else is a lost answer."""
    try:
        return orjson.loads(response.content)
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
        return float(min(int(text[:9]), 7 * 86400))
    try:
        due, served = parsedate_to_datetime(text).timestamp(), served_at(response)
    except (ValueError, TypeError):
        return None
    return max(0.0, min(due - served, 7 * 86400.0)) if served is not None else None


def served_at(response: httpx.Response) -> float | None:
    """The Date header in seconds since the epoch."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None


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
