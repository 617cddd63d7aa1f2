"""The kit with which the systems are played: real HTTP servers for demos, tests and a user's own trials.

A sandbox is an honest ASGI app written from the system's public documentation, with a log of what was done to it. The
log is the judge: tests believe it and never our own tables. Faults lie around the honest core: an answer lost before
or after the effect, a 5xx before or after it, a slow answer. Everything here is simulated and says so.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from enum import StrEnum
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from syncd.clock import Clock


class Fault(StrEnum):
    """How one call can go wrong between the client and the honest core."""

    LOST_BEFORE = "lost_before"  # the connection dies, nothing was done
    LOST_AFTER = "lost_after"  # it was done, the answer is lost
    ERROR_BEFORE = "error_before"  # 503, nothing was done
    ERROR_AFTER = "error_after"  # it was done, and 503 answered


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it reached the server, in order of arrival. ``status`` 0: the answer was lost."""

    at: float
    method: str
    path: str
    token: str
    status: int
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """One change to what the server keeps. ``by``: ``api`` (with the token's name), or ``human``, or ``system``.

    ``action``: create, update, move, … ; ``before`` and ``after`` hold the fields that changed.
    """

    at: float
    by: str
    action: str
    kind: str
    id: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """``calls`` per ``window_s`` seconds; ``fixed``: in windows aligned to the epoch, else rolling."""

    calls: int
    window_s: float
    fixed: bool = False


class LostConnection(httpx.ReadError):
    """Raised inside the app where a connection dies: in-process it is what a client would see."""

    def __init__(self) -> None:
        super().__init__("the connection was lost (simulated)")


class Hits:
    """Counts arrivals of one token against several limits at once."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)
        self._times: deque[float] = deque()

    def used(self, limit: Limit, now: float) -> int:
        """Calls that count in the limit's current window."""
        start = now - now % limit.window_s if limit.fixed else now - limit.window_s
        return sum(1 for at in self._times if (at >= start if limit.fixed else at > start))

    def refused(self, now: float) -> Limit | None:
        """The first limit that one more call would break; if none, the call is counted."""
        longest = max((limit.window_s for limit in self.limits), default=0.0)
        while self._times and self._times[0] <= now - longest:
            self._times.popleft()
        for limit in self.limits:
            if self.used(limit, now) >= limit.calls:
                return limit
        self._times.append(now)
        return None

    def frees_at(self, limit: Limit, now: float) -> float:
        """When the limit will take a call again."""
        if limit.fixed:
            return now - now % limit.window_s + limit.window_s
        counted = [at for at in self._times if at > now - limit.window_s]
        return counted[len(counted) - limit.calls] + limit.window_s if len(counted) >= limit.calls else now


@dataclass(frozen=True, slots=True)
class Hook:
    """One registered webhook address."""

    id: str
    url: str
    events: tuple[str, ...]
    secret: str = field(default="", repr=False)
    active: bool = True


class Sandbox:
    """What all sandboxes share: time, chance, limits, faults, the log, the webhooks. A system adds its routes.

    ``tokens`` are the accepted ones. ``faults`` is asked once per request and may name a fault; ``lag`` tells how many
    seconds a request takes. ``client`` sends the webhooks; without one none are sent. ``resend_after_s`` is the plan of
    repeated deliveries. Subclasses set ``limits`` and implement ``routes``, ``refuse_token`` and ``refuse_rate``.
    """

    system = ""
    limits: tuple[Limit, ...] = ()
    resend_after_s: tuple[float, ...] = (10.0, 60.0, 300.0)

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        tokens: Sequence[str] = ("sandbox-token",),
        client: httpx.AsyncClient | None = None,
        limits: Sequence[Limit] | None = None,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.tokens = tuple(tokens)
        self.client = client
        self.arrivals: list[Arrival] = []
        self.effects: list[Effect] = []
        self.hooks: dict[str, Hook] = {}
        self.faults: Callable[[str, str], Fault | None] = lambda method, path: None
        self.lose_hook: Callable[[str], bool] = lambda event: False
        self.lag: Callable[[], float] = lambda: 0.0
        chosen = self.limits if limits is None else tuple(limits)
        self.hits = {token: Hits(chosen) for token in self.tokens}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        handlers = {what: _in_the_loop(handler) for what, handler in self.exception_handlers().items()}
        self.app = Starlette(routes=list(self.routes()), exception_handlers=handlers)

    # what a system says in its own way

    def routes(self) -> Sequence[Route]:
        """The system's routes."""
        raise NotImplementedError

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """How the system words its errors, by exception or status."""
        return {}

    def token_of(self, headers: Mapping[str, str]) -> str:
        """The token that a request bears."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def is_open(self, request: Request) -> bool:
        """Whether a request wants no token and counts against no limit: an address that is signed itself."""
        return False

    def refuse_token(self, request: Request) -> Response:
        """The answer to a request without a good token."""
        raise NotImplementedError

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The answer to a request over the limit."""
        raise NotImplementedError

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """Headers that each good answer bears about the limit."""
        return {}

    # the app: arrival, faults, token, limit, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app: the liar around the honest core."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith("/_sandbox"):
            await self._own_routes(scope, receive, send)
            return
        request = Request(scope, receive)
        fault = self.faults(request.method, request.url.path)
        at = self.clock.now()
        if lag := self.lag():
            await self.clock.sleep_until(at + lag / 2)
        status = await self._answer(request, fault, send)
        token = self.token_of(request.headers)
        name = f"token {self.tokens.index(token) + 1}" if token in self.tokens else "unknown"
        self.arrivals.append(Arrival(at, request.method, request.url.path, name, status, fault))
        if lag:
            await self.clock.sleep_until(self.clock.now() + lag / 2)
        if status == 0:
            await self._lose(send)

    async def _answer(self, request: Request, fault: Fault | None, send: Send) -> int:
        """Answer as the fault wants it; the status sent, 0 if the answer is lost."""
        if fault is Fault.LOST_BEFORE:
            return 0
        if fault is Fault.ERROR_BEFORE:
            await self._broken()(request.scope, request.receive, send)
            return 503
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._common_headers(request, status)]
            if fault is None:
                await send(message)

        await self._gated(request)(request.scope, request.receive, note)
        if fault is Fault.ERROR_AFTER:
            await self._broken()(request.scope, request.receive, send)
            return 503
        return 0 if fault is Fault.LOST_AFTER else status

    def _gated(self, request: Request) -> Any:
        if self.is_open(request):
            return self.app
        token = self.token_of(request.headers)
        if token not in self.tokens:
            return self.refuse_token(request)
        now = self.clock.now()
        hits = self.hits[token]
        limit = hits.refused(now)
        if limit is not None:
            return self.refuse_rate(limit, max(0.0, hits.frees_at(limit, now) - now))
        return self.app

    def _common_headers(self, request: Request, status: int) -> list[tuple[bytes, bytes]]:
        headers = {"Date": formatdate(self.clock.now(), usegmt=True)}
        token = self.token_of(request.headers)
        if token in self.hits and 200 <= status < 300:
            headers.update(self.rate_headers(self.hits[token], self.clock.now()))
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def _broken(self) -> Response:
        return Response("<html><body>Service Unavailable</body></html>", 503, media_type="text/html")

    async def _lose(self, send: Send) -> None:
        # Half an answer and then nothing: a real server closes the connection, an in-process client gets the error.
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise LostConnection

    # what people may ask a sandbox: its log

    async def _own_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = {
            "simulated": True,
            "system": self.system,
            "arrivals": [asdict(arrival) for arrival in self.arrivals[-500:]],
            "effects": [asdict(effect) for effect in self.effects[-500:]],
        }
        await JSONResponse(body)(scope, receive, send)

    # the log

    def note(
        self,
        by: str,
        action: str,
        kind: str,
        id: str,  # noqa: A002  # the word of all five systems
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down one effect."""
        self.effects.append(Effect(self.clock.now(), by, action, kind, id, before or {}, after or {}))

    def number(self) -> int:
        """The next number of this sandbox: unique, rising."""
        return next(self._numbers)

    # webhooks out

    def emit(
        self,
        event: str,
        body: bytes | Callable[[], bytes],
        headers: Callable[[Hook, bytes], Mapping[str, str]],
        wants: Callable[[Hook], bool] = lambda hook: True,
    ) -> None:
        """Deliver an event to each active hook that wants it, again and again as the plan says, until it is taken.

        A callable ``body`` is asked before each delivery, for systems that tell the state at sending.
        """
        if self.client is None:
            return
        for hook in self.hooks.values():
            if hook.active and (event in hook.events or not hook.events) and wants(hook) and not self.lose_hook(event):
                task = asyncio.ensure_future(self._deliver(hook, body, headers))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def _deliver(
        self, hook: Hook, body: bytes | Callable[[], bytes], headers: Callable[[Hook, bytes], Mapping[str, str]]
    ) -> None:
        for wait_s in (0.0, *self.resend_after_s):
            await self.clock.sleep_until(self.clock.now() + wait_s)
            content = body() if callable(body) else body
            if await self._taken(hook, content, headers(hook, content)):
                return

    async def _taken(self, hook: Hook, body: bytes, headers: Mapping[str, str]) -> bool:
        assert self.client is not None
        try:
            with self.clock.busy():
                answer = await self.client.post(
                    hook.url, content=body, headers={"Content-Type": "application/json", **headers}
                )
        except httpx.HTTPError:
            return False
        return self.is_taken(answer.status_code)

    def is_taken(self, status: int) -> bool:
        """Whether a receiver's status ends the deliveries."""
        return 200 <= status < 300


Handler = Callable[[Request], Awaitable[Response]]


def _in_the_loop(handler: Callable[[Request, Exception], Response]) -> Callable[[Request, Exception], Any]:
    """A handler that is run here. Starlette runs a plain one on a thread, where a stepped clock takes us for idle."""

    async def handle(request: Request, error: Exception) -> Response:
        return handler(request, error)

    return handle
