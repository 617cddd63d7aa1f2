"""A sandbox behind a port of loopback, on a thread and a clock of its own, for clients with real sockets."""

import asyncio
import random
import socket
import threading
import time
from typing import Any, Self

import httpx
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from connectors.hiresquire.sandbox import HireSquireSandbox
from syncd.clock import WallClock
from tests.hiresquire.world import SECRET


class Served:
    """Enter it to play; ``/hook`` takes the webhooks, which stand in ``taken`` as headers and body."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = {"screening_s": 0.3, "each_s": 0.0, "webhook_secret": SECRET, **kwargs}
        self.taken: list[tuple[dict[str, str], bytes]] = []

    def __enter__(self) -> Self:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)  # who connects before the server runs is waited for, not refused
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.base_url = f"{self.address}/api/v1"
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(listener)), daemon=True)
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()

    async def serve(self, listener: socket.socket) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            self.sandbox = HireSquireSandbox(clock=WallClock(), rng=random.Random(7), client=client, **self.kwargs)
            app = Starlette(routes=[Route("/hook", self.take, methods=["POST"]), Mount("/", self.sandbox)])
            config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
            self.server = uvicorn.Server(config)
            self.ready.set()
            await self.server.serve(sockets=[listener])

    async def take(self, request: Request) -> Response:
        self.taken.append((dict(request.headers), await request.body()))
        return Response(status_code=204)

    def events(self, *wanted: str) -> list[dict[str, Any]]:
        """The webhooks that came, once those that are wanted have come."""
        until = time.monotonic() + 5
        while True:
            told = [orjson.loads(body) for _, body in self.taken]
            if set(wanted) <= {event["event"] for event in told} or time.monotonic() > until:
                return told
            time.sleep(0.02)
