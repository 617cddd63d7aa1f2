"""The port: the page, metrics, whether we live, whether we are ready, and webhooks; served by an embedded uvicorn.

Off loopback the page and the metrics want ``page_token``, as a Bearer token or once as ``?token=`` in a browser, which
is then given a cookie. Without a token only this machine may look, and under no name but its own: a page elsewhere
could otherwise point a name of its own at us and read along (DNS rebinding). Headers as OWASP's Secure Headers Project
advises.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd import metrics, webhooks
from syncd.connector import is_local
from syncd.errors import ConfigInvalid
from syncd.page import STYLE_SOURCE
from syncd.sandbox import LostConnection
from syncd.settings import Server, revealed

COOKIE = "syncd_page"
HEAD_S = 10.0  # in which a connection must bring a whole head
IDLE_S = 30
STOP_S = 5
MOST_CONNECTIONS = 100
LONGEST_HEAD = 32 * 1024  # bytes

Endpoint = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def build_app(
    server: Server,
    *,
    page: Callable[[], Awaitable[str]],
    measured: Callable[[], Awaitable[bytes]],
    troubles: Callable[[], Sequence[str]],
    receive: Endpoint,
) -> ASGIApp:
    """The ASGI app. ``page`` gives HTML, ``measured`` the body of /metrics, ``troubles`` why we are not ready."""
    may_look = _Door(server).guarding

    async def show_page(request: Request) -> Response:
        return HTMLResponse(await page())

    async def show_metrics(request: Request) -> Response:
        return Response(await measured(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def lives(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(request: Request) -> Response:
        found = list(troubles())
        return JSONResponse({"ready": not found, "reasons": found}, 503 if found else 200)

    routes = [
        Route("/", may_look(show_page)),
        Route("/metrics", may_look(show_metrics)),
        Route("/healthz", lives),
        Route("/readyz", is_ready),
        Route("/webhooks/{connection}", receive, methods=[*webhooks.METHODS]),
        Route("/webhooks/{connection}/{event}", receive, methods=[*webhooks.METHODS]),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return _WithHeaders(app)


class _WithHeaders:
    """Adds the headers that every answer bears."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, sending)


# --- who may look ---------------------------------------------------------------------------------------------------


class _Door:
    """Lets those through who may see the page and the metrics."""

    def __init__(self, server: Server) -> None:
        self._token = revealed(server.page_token)
        self._is_local = is_local(server.host)
        public = urlsplit(server.public_url or "")
        self._public_name, self._is_https = public.hostname, public.scheme == "https"

    def guarding(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint for those who may look."""

        async def guarded(request: Request) -> Response:
            if self._token is None:
                return await endpoint(request) if self._is_from_here(request) else _refusal(403)
            if (given := request.query_params.get("token")) is not None:
                return self._exchange(request, given) if _same(given, self._token) else _refusal(401)
            return await endpoint(request) if self._has_token(request, self._token) else _refusal(401)

        return guarded

    def _is_from_here(self, request: Request) -> bool:
        """Without a token: whether we listen on loopback and were asked by a name that is ours."""
        name = _name_in(request.headers.get("host", ""))
        return self._is_local and (is_local(name) or name == self._public_name)

    def _has_token(self, request: Request, token: str) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        bears = scheme.lower() == "bearer" and _same(given.strip(), token)
        return _same(request.cookies.get(COOKIE, ""), _cookie_of(token)) or bears

    def _exchange(self, request: Request, token: str) -> Response:
        """The token leaves the address bar and its history: a cookie takes its place."""
        answer = RedirectResponse(request.scope["path"], 303)
        secure = self._is_https or request.scope["scheme"] == "https"
        answer.set_cookie(COOKIE, _cookie_of(token), httponly=True, samesite="lax", secure=secure)
        return answer


def _name_in(host: str) -> str:
    """The name or address in a Host header, whatever else stands there."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _cookie_of(token: str) -> str:
    """What stands for the token in a browser; the token itself is not kept there."""
    return hmac.new(token.encode(), b"syncd page", hashlib.sha256).hexdigest()


def _refusal(status: int) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return PlainTextResponse("You may not see this without server.page_token.\n", status, headers=headers)


# --- serving --------------------------------------------------------------------------------------------------------


def listening(server: Server) -> socket.socket:
    """A socket at ``server.listen``; raises ``ConfigInvalid`` where that cannot be had."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        listener = socket.create_server((server.host, server.port), family=family, backlog=256)
    except OSError as error:
        raise ConfigInvalid(f"server.listen: cannot listen on {server.listen}: {error.strerror or error}") from error
    # asyncio sees to this only where a socket names its protocol; without it each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address at which a browser on this machine finds the page."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared with, not bound to
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket, *, dated: bool = True) -> AsyncIterator[None]:
    """While held, the app is served; at the end requests under way are finished, for a few seconds.

    ``dated``: answers get a Date; an app that tells a time of its own must not have a second one.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_no_hang_up)  # it is there once, however often it is added
    server = _Uvicorn(
        uvicorn.Config(
            app,
            http=_Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=dated,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
    )
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


def _is_no_hang_up(record: logging.LogRecord) -> bool:
    """Whether a line tells more than that one side hung up in the midst of a request, which is no bug of the app's."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ClientDisconnect | LostConnection)


class _Uvicorn(uvicorn.Server):
    """A server inside a program that minds its signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class _Patient(H11Protocol):
    """Hangs up on whoever does not bring a whole head in time; uvicorn itself would wait for ever."""

    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection has ten seconds for its first head."""
        super().connection_made(transport)
        self._set_alarm()

    def data_received(self, data: bytes) -> None:
        """So has each further head, from its first byte."""
        if self._alarm is None and self._awaits_head():
            self._set_alarm()
        super().data_received(data)
        if self._alarm is not None and not self._awaits_head():
            self._alarm.cancel()
            self._alarm = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_alarm(self) -> None:
        self._alarm = self.loop.call_later(HEAD_S, self._hang_up)

    def _hang_up(self) -> None:
        self._alarm = None
        if self._awaits_head() and not self.transport.is_closing():
            self.transport.close()
