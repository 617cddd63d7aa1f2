"""The port: the pages, metrics, whether we live, whether we are ready, and webhooks; served by an embedded uvicorn.

Headers as OWASP's Secure Headers Project advises: scripts and styles come from files of ours alone, nothing is framed,
nothing is kept but those files, whose addresses change with them.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd import metrics, webhooks
from syncd.door import Door
from syncd.errors import ConfigInvalid, Unavailable
from syncd.forms import Forms
from syncd.page_frame import ASSETS, ENTER
from syncd.sandbox import LostConnection
from syncd.sealing import Entropy
from syncd.settings import Server
from syncd.site import Site, Source

HEAD_S = 10.0  # in which a connection must bring a whole head
IDLE_S = 30
STOP_S = 5
LATER_S = 30
MOST_CONNECTIONS = 500  # far below the number of files that a process may usually have open
LONGEST_HEAD = 32 * 1024  # bytes

Endpoint = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without any, a browser would not say where a form comes from
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def build_app(
    server: Server,
    *,
    pages: Source,
    measured: Callable[[], Awaitable[bytes]],
    troubles: Callable[[], Sequence[str]],
    receive: Endpoint,
    entropy: Entropy = os.urandom,
) -> ASGIApp:
    """The ASGI app. ``pages``: their facts; ``measured``: the body of /metrics; ``troubles``: why we are not ready."""
    forms = Forms(server, entropy)
    door = Door(server, forms)
    site = Site(pages, forms, entropy, door.may_see_people)
    may_look = door.guarding

    async def show_metrics(request: Request) -> Response:
        return Response(await measured(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def lives(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(request: Request) -> Response:
        found = list(troubles())
        return JSONResponse({"ready": not found, "reasons": found}, 503 if found else 200)

    routes = [
        *(Route(path, may_look(shown)) for path, shown in site.pages.items()),
        *(Route(path, may_look(done), methods=["POST"]) for path, done in site.forms.items()),
        Route(ENTER, door.enter, methods=["POST"]),
        Route("/assets/{name}", _asset),
        Route("/metrics", may_look(show_metrics)),
        Route("/healthz", lives),
        Route("/readyz", is_ready),
        Route("/webhooks/{connection}", receive, methods=[*webhooks.METHODS]),
        Route("/webhooks/{connection}/{event}", receive, methods=[*webhooks.METHODS]),
    ]
    app = Starlette(routes=routes, exception_handlers={Unavailable: _later})
    app.router.redirect_slashes = False
    return _WithHeaders(app)


async def _later(request: Request, error: Exception) -> Response:
    """What is answered while the store does not."""
    again_s = getattr(error, "retry_after_s", None) or LATER_S
    return PlainTextResponse(f"Not now: {error}.\n", 503, headers={"Retry-After": str(round(again_s))})


async def _asset(request: Request) -> Response:
    """A file of the page: nobody's secret, and kept by browsers, because its address changes with it."""
    content, kind = ASSETS.get(request.path_params["name"], (None, ""))
    if content is None:
        return PlainTextResponse("Not Found", 404)
    return Response(content, headers={"Content-Type": kind, "Cache-Control": "public, max-age=31536000, immutable"})


class _WithHeaders:
    """Adds the headers that every answer bears, unless it has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in self._headers if name not in own]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, sending)


# --- serving --------------------------------------------------------------------------------------------------------


def listening(server: Server, named: str = "server.listen") -> socket.socket:
    """A socket at ``server.listen``; raises ``ConfigInvalid``, with what ``named`` the port, if that cannot be had."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        listener = socket.create_server((server.host, server.port), family=family, backlog=256)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise ConfigInvalid(f"{named}: cannot listen on {server.listen}: {why}") from error
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
    """Hangs up on whoever does not bring a whole head in time; uvicorn itself would wait for ever.

    When there are too many connections, the one whose other end we have waited for longest makes room for the newest:
    who is slow, however often at once, keeps nobody else out.
    """

    _alarm: asyncio.TimerHandle | None = None
    _since = 0.0  # the loop's time at which the last whole request was answered, or the connection was made

    def connection_made(self, transport: Any) -> None:
        """A connection has ten seconds for its first head."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._set_alarm()
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def on_response_complete(self) -> None:
        """The next request is waited for from now on."""
        self._since = self.loop.time()
        super().on_response_complete()

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

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, _Patient) and each is not self]
        waiting = [each for each in others if each.waits_for_sender()]
        if waiting:
            min(waiting, key=lambda each: each._since).transport.abort()  # noqa: SLF001  # one of our own kind

    def waits_for_sender(self) -> bool:
        """Whether it is the other end's turn: to bring a request, the rest of one, or to take the answer."""
        is_whole = self.cycle is not None and not self.cycle.more_body
        return self._awaits_head() or not is_whole or self.flow.write_paused

    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_alarm(self) -> None:
        self._alarm = self.loop.call_later(HEAD_S, self._hang_up)

    def _hang_up(self) -> None:
        self._alarm = None
        if self._awaits_head() and not self.transport.is_closing():
            self.transport.close()
