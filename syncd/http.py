"""The one road out: every call to a system goes through metrics(fence(retry GETs(limit(bounds(network))))).

Redirects and the environment's proxies are off and certificates are always checked. Answers are bounded both as they
come over the wire and once inflated. A token goes to its own origin only, and names that lead to private addresses are
refused when connecting (OWASP API Security Top 10 2023, API7 and API10). Whatever fails here is an
``httpx.TransportError``, which ``syncd.connector.ask`` arranges by what to do next, or ``syncd.errors.Parked``.
"""

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore
import httpx
from tenacity import AsyncRetrying, Future, RetryCallState, stop_after_attempt, wait_exponential

from syncd.addresses import check_url, is_public, reach_mistake
from syncd.bounds import AnswerTooLong, Bounds, chunks
from syncd.clock import Clock
from syncd.connector import LINK, LONGEST_ANSWER, STREAMED, is_local
from syncd.errors import Parked, PlanRefused
from syncd.gate import Gate
from syncd.headers import heard, retry_after_s
from syncd.metrics import Meter

CONNECT_S = 10.0
READ_S = 30.0
TRIES = 3
SHORT_WAIT_S = 10.0  # a Retry-After beyond is the engine's business
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
RETRY_SPELL_S = 60.0
RETRY_SHARE = 0.1  # of the first tries of a spell: sre.google/sre-book/handling-overload, "Deciding to Retry"
RETRIES_AT_LEAST = 2  # so that one failed call among few may have its three tries
AGAIN = "syncd.again"  # request extension: this is not the first try

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class ForeignOrigin(httpx.UnsupportedProtocol):
    """The call would lead away from the connection's own server; nothing was sent."""


def build_client(
    gate: Gate,
    base_url: str,
    *,
    rng: random.Random,
    allow_private: bool = False,
    read_only: bool = False,
    headers: Mapping[str, str] | None = None,
    network: httpx.AsyncBaseTransport | None = None,
    retries: "RetryBudget | None" = None,
    longest: int = LONGEST_ANSWER,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """A client for one connection; its calls take their slots at the gate, whose name and meter they are counted under.

    ``network`` replaces sockets (a sandbox in this process); ``retries`` is shared by clients of the same host;
    ``longest`` is in bytes; ``proxy`` is the address of one that all calls go through. ``read_only`` refuses everything
    but GETs with ``PlanRefused``. Raises ``ConfigInvalid`` for an address that must not be called.
    """
    check_url(base_url, allow_private=allow_private)
    may_be_private = allow_private or is_local(httpx.URL(base_url).host)
    road: httpx.AsyncBaseTransport = Bounds(
        network or Wire(may_be_private=may_be_private, proxy=proxy), gate.clock, longest
    )
    road = RetryingGets(Limit(road, gate), gate.clock, rng, retries or RetryBudget(), gate.meter, gate.name)
    fence = Fence(road, base_url, read_only=read_only, may_be_private=may_be_private)
    return httpx.AsyncClient(
        transport=Measured(fence, gate.clock, gate.meter, gate.name),
        base_url=base_url,
        headers={"User-Agent": "syncd", "Accept-Encoding": "gzip", **(headers or {})},
        timeout=httpx.Timeout(READ_S, connect=CONNECT_S, pool=CONNECT_S),
        follow_redirects=False,
        trust_env=False,
    )


class Around(httpx.AsyncBaseTransport):
    """A transport around another one."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def aclose(self) -> None:
        """Close the transport inside."""
        await self.inner.aclose()


# --- metrics --------------------------------------------------------------------------------------------------------


class Measured(Around):
    """Counts each call once, by how it ended."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Clock, meter: Meter, name: str) -> None:
        super().__init__(inner)
        self._clock, self._meter, self._name = clock, meter, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send and count."""
        began, outcome = self._clock.now(), "cancelled"
        try:
            response = await self.inner.handle_async_request(request)
            outcome = _outcome(response.status_code)
        except Parked:
            outcome = "parked"
            raise
        except NOT_SENT:
            outcome = "not_sent"
            raise
        except httpx.TransportError:
            outcome = "lost"
            raise
        finally:
            self._meter.called(self._name, request.method, outcome, self._clock.now() - began)
        return response


def _outcome(status: int) -> str:
    if status == 429:
        return "refused_rate"
    if status >= 500:
        return "server_error"
    return "ok" if status < 300 else "client_error"


# --- where calls may go ---------------------------------------------------------------------------------------------


class Fence(Around):
    """Lets calls through to the connection's own origin only, and in read-only mode only GETs.

    An address that a system gave out (``LINK``) may lead elsewhere, to where the operator's rules let calls go at all;
    with it goes nothing but what any browser says.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, base_url: str, *, read_only: bool, may_be_private: bool = False
    ) -> None:
        super().__init__(inner)
        self._origin, self._read_only = _origin(httpx.URL(base_url)), read_only
        self._may_be_private = may_be_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, if it may be sent."""
        is_link = request.extensions.get(LINK) is True
        if request.url.userinfo or not (is_link or _origin(request.url) == self._origin):
            raise ForeignOrigin("the call leads to another server than the connection's", request=request)
        if is_link and (reason := self._refusal(request)):
            raise ForeignOrigin(f"the address that was given out {reason}", request=request)
        if self._read_only and request.method != "GET":
            raise PlanRefused(f"a {request.method} was about to be sent while nothing may be written")
        return await self.inner.handle_async_request(request)

    def _refusal(self, request: httpx.Request) -> str | None:
        if request.method != "GET" or set(request.headers) - _OF_ANYBODY:
            return "must be called without anything of the account's"
        if is_local(request.url.host) and not self._may_be_private:
            return "leads to this machine"
        return reach_mistake(request.url.scheme, request.url.host, allow_private=self._may_be_private)


_OF_ANYBODY = frozenset({"host", "user-agent", "accept", "accept-encoding", "connection"})


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class Wire(httpx.AsyncHTTPTransport):
    """Sockets. A name is resolved once, every address it has is judged, and one of those is connected to.

    Behind a proxy it is the proxy that resolves names and judges addresses: to be connected with is what it is there
    for, and it may well be a private address itself. Certificates are checked as ever, through its tunnel.
    """

    def __init__(self, *, may_be_private: bool, proxy: str | None = None) -> None:
        tls = httpx.create_ssl_context(verify=True, trust_env=False)
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            keepalive_expiry=5.0,
            network_backend=Resolving(may_be_private=may_be_private or proxy is not None),
            proxy=_proxy(proxy, tls) if proxy is not None else None,
        )


def _proxy(address: str, tls: ssl.SSLContext) -> httpcore.Proxy:
    read = httpx.Proxy(address)
    return httpcore.Proxy(str(read.url), auth=read.raw_auth, ssl_context=tls if read.url.scheme == "https" else None)


class Resolving(httpcore.AsyncNetworkBackend):
    """Connects to judged addresses; the certificate is still checked against the name."""

    def __init__(self, *, may_be_private: bool) -> None:
        self._may_be_private = may_be_private
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the name's addresses that takes us."""
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in await self._addresses(host, port):
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self._may_be_private and not all(is_public(address) for address in addresses):
            raise httpcore.ConnectError("the name leads to a private address; see allow_private")
        return addresses


# --- retries --------------------------------------------------------------------------------------------------------


class RetryBudget:
    """How many retries a host is given: a tenth of its first tries in the last minute, and two in any case."""

    def __init__(self) -> None:
        self._firsts: dict[str, deque[float]] = {}
        self._repeats: dict[str, deque[float]] = {}

    def first(self, host: str, now: float) -> None:
        """A call is tried for the first time."""
        self._recent(self._firsts, host, now).append(now)

    def repeat(self, host: str, now: float) -> None:
        """A call is tried again."""
        self._recent(self._repeats, host, now).append(now)

    def allows(self, host: str, now: float) -> bool:
        """Whether one more retry is within the budget."""
        most = max(RETRIES_AT_LEAST, int(RETRY_SHARE * len(self._recent(self._firsts, host, now))))
        return len(self._recent(self._repeats, host, now)) < most

    def _recent(self, times: dict[str, deque[float]], host: str, now: float) -> deque[float]:
        recent = times.setdefault(host, deque())
        while recent and recent[0] <= now - RETRY_SPELL_S:
            recent.popleft()
        return recent


class RetryingGets(Around):
    """Sends a GET up to three times where its answer was lost or bad for a moment. All else goes out once.

    A GET's answer is read to its end here, so that one lost halfway counts as lost, unless the request is ``STREAMED``.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        clock: Clock,
        rng: random.Random,
        budget: RetryBudget,
        meter: Meter,
        name: str,
    ) -> None:
        super().__init__(inner)
        self._clock, self._rng, self._budget, self._meter, self._name = clock, rng, budget, meter, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, again if need be."""
        if request.method != "GET":
            return await self.inner.handle_async_request(request)
        self._budget.first(request.url.host, self._clock.now())
        first = await self._tried(request)
        return await self._retried(request, first) if self._is_passing(first) else first.result()

    async def _retried(self, request: httpx.Request, first: Future) -> httpx.Response:
        tried = iter((first,))

        async def once() -> httpx.Response:
            outcome = next(tried, None) or await self._tried(request)
            return outcome.result()  # type: ignore[no-any-return]  # tenacity's futures hold Any

        retrying = AsyncRetrying(
            sleep=self._sleep,
            stop=lambda state: _LAST_TRY(state) or not self._budget.allows(request.url.host, self._clock.now()),
            wait=self._delay,
            retry=lambda state: self._is_passing(_outcome_of(state)),
            before_sleep=lambda state: self._note(request),
            retry_error_callback=lambda state: _outcome_of(state).result(),
        )
        return await retrying(once)

    async def _tried(self, request: httpx.Request) -> Future:
        """One try's answer or error."""
        try:
            response = await self.inner.handle_async_request(request)
            if not request.extensions.get(STREAMED) or response.status_code in RETRIED_STATUSES:
                response = await _whole(response)
        except httpx.TransportError as error:
            return Future.construct(1, error, has_exception=True)
        return Future.construct(1, response, has_exception=False)

    def _is_passing(self, outcome: Future) -> bool:
        """Whether the trouble may well be over in a moment."""
        if error := outcome.exception():  # tenacity brings whatever was raised, the cancelling of the task among it
            lasting = (AnswerTooLong, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
            return isinstance(error, httpx.TransportError) and not isinstance(error, lasting)
        response = outcome.result()
        return response.status_code in RETRIED_STATUSES and self._asked_s(response) <= SHORT_WAIT_S

    def _delay(self, state: RetryCallState) -> float:
        """Full jitter under a doubling ceiling, after what the server asked for."""
        outcome = _outcome_of(state)
        asked_s = 0.0 if outcome.failed else self._asked_s(outcome.result())
        return asked_s + self._rng.uniform(0.0, _CEILING(state))

    def _asked_s(self, response: httpx.Response) -> float:
        return retry_after_s(response, self._clock.now()) or 0.0

    def _note(self, request: httpx.Request) -> None:
        self._budget.repeat(request.url.host, self._clock.now())
        self._meter.retried(self._name)
        request.extensions = {**request.extensions, AGAIN: True}

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.now() + seconds)


_LAST_TRY = stop_after_attempt(TRIES)
_CEILING = wait_exponential(multiplier=0.5, max=8.0)


def _outcome_of(state: RetryCallState) -> Future:
    assert state.outcome is not None
    return state.outcome


async def _whole(response: httpx.Response) -> httpx.Response:
    """The same answer with its body here."""
    try:
        body = b"".join([chunk async for chunk in chunks(response)])
    finally:
        await response.aclose()
    return httpx.Response(
        response.status_code, headers=response.headers, stream=httpx.ByteStream(body), extensions=response.extensions
    )


# --- limit ----------------------------------------------------------------------------------------------------------


class Limit(Around):
    """Lets a call through when the gate has a slot for it, and tells the gate what came of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send in one's turn. A call that fails without an answer may have arrived: its slot stays taken for long."""
        if request.extensions.get(LINK):
            return await self.inner.handle_async_request(request)  # no call of the token's
        ticket = await self._gate.ticket(request.method, again=AGAIN in request.extensions)
        try:
            response = await self.inner.handle_async_request(request)
        except NOT_SENT:
            await self._gate.give_back([ticket] if ticket else [])
            raise
        if ticket is None and response.status_code != 429:
            return response
        try:
            await self._gate.settle(ticket, heard(response, self._gate.clock.now()))
        except BaseException:
            await response.aclose()
            raise
        return response
