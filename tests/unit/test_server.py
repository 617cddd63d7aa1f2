"""The port: who may look, and what it says about itself."""

import asyncio
import contextlib
import io
import random
import socket

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from syncd import logs, server
from syncd.app import load_plugins
from syncd.clock import WallClock
from syncd.errors import ConfigInvalid
from syncd.sandbox import Fault
from syncd.settings import Server
from syncd.site import Source

PAGE_TOKEN = "a page token of many signs".replace(" ", "_")


FACTS = {"at": 0.0, "in_step": True, "stopped": None, "connections": [], "pairs": [], "switches": [], "holds": []}


def app(troubles=(), **settings):
    async def facts():
        return {**FACTS, "journal": []}

    async def ask(question, *arguments):
        return []

    async def measured():
        return b"syncd_up 1\n"

    async def receive(request):
        return PlainTextResponse("kept\n")

    pages = Source(facts, ask, lambda: ())
    return server.build_app(
        Server.model_validate(settings), pages=pages, measured=measured, troubles=lambda: troubles, receive=receive
    )


def ask(asgi, path, *, host="127.0.0.1:8080", method="GET", **kwargs):
    async def main():
        transport = httpx.ASGITransport(app=asgi)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **kwargs)

    return asyncio.run(main())


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# --- who may look


def test_on_loopback_without_a_token_this_machine_may_look():
    for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080"):
        assert "Everything is in step." in ask(app(), "/", host=host).text
        assert ask(app(), "/metrics", host=host).text == "syncd_up 1\n"


@pytest.mark.parametrize("host", ["evil.example.test", "evil.example.test:8080", "127.0.0.1.evil.example.test"])
def test_a_foreign_name_that_leads_here_may_not(host):
    assert ask(app(), "/", host=host).status_code == 403
    assert ask(app(), "/metrics", host=host).status_code == 403


def test_what_comes_through_a_proxy_may_not_without_a_token():
    asgi = app(public_url="https://sync.acme.example")
    assert ask(asgi, "/", host="sync.acme.example").status_code == 403
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert ask(asgi, "/", headers={header: "203.0.113.9"}).status_code == 403


def test_a_strange_host_header_is_no_error():
    assert ask(app(), "/", headers={"Host": "[::1"}).status_code in {200, 403}
    assert ask(app(), "/", headers={"Host": b"\xff:x:y"}).status_code == 403


def test_a_token_is_wanted_for_page_and_metrics_and_for_nothing_else():
    asgi = app(listen="0.0.0.0:8080", page_token=PAGE_TOKEN)
    for path in ("/", "/metrics"):
        assert ask(asgi, path).status_code == 401
        assert ask(asgi, path, headers=bearer("guess")).status_code == 401
        assert ask(asgi, path, headers=bearer(PAGE_TOKEN)).status_code == 200
    assert ask(asgi, "/healthz").status_code == 200
    assert ask(asgi, "/readyz").status_code == 200
    assert ask(asgi, "/webhooks/acme", method="POST").status_code == 200


def test_a_browser_trades_the_token_for_a_cookie():
    asgi = app(listen="0.0.0.0:8080", page_token=PAGE_TOKEN, public_url="https://sync.acme.example")
    traded = ask(asgi, "/", params={"token": PAGE_TOKEN})
    assert (traded.status_code, traded.headers["location"]) == (303, "/")
    cookie = traded.headers["set-cookie"]
    assert PAGE_TOKEN not in cookie
    assert all(word in cookie.lower() for word in ("httponly", "samesite=lax", "secure"))
    name, _, value = cookie.partition(";")[0].partition("=")
    assert ask(asgi, "/", headers={"Cookie": f"{name}={value}"}).status_code == 200
    assert ask(asgi, "/", headers={"Cookie": f"{name}={value[:-1]}"}).status_code == 401
    assert ask(asgi, "/", params={"token": "guess"}).status_code == 401


# --- what it says


def test_metrics_are_there_without_a_detour():
    answer = ask(app(), "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert ask(app(), "/metrics/").status_code == 404


def test_readiness_tells_why_not():
    assert ask(app(), "/readyz").json() == {"ready": True, "reasons": []}
    answer = ask(app(troubles=["syncd is starting"]), "/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["syncd is starting"])


def test_every_answer_bears_the_headers_that_browsers_heed():
    for path, method in (("/", "GET"), ("/healthz", "GET"), ("/nothing", "GET"), ("/webhooks/x", "GET")):
        headers = ask(app(), path, method=method).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_the_routes_are_these_and_no_others():
    asgi = app()
    for path in ("/docs", "/openapi.json", "/webhooks", "/webhooks/a/b/c", "/x"):
        assert ask(asgi, path, method="POST" if "webhooks" in path else "GET").status_code == 404
    for method in ("GET", "DELETE", "HEAD"):
        assert ask(asgi, "/webhooks/acme", method=method).status_code == 405


# --- the socket


def test_a_taken_port_is_a_mistake_of_the_config():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigInvalid, match=r"server\.listen"):
            server.listening(Server(listen=f"127.0.0.1:{port}"))


@contextlib.asynccontextmanager
async def served(asgi):
    with server.listening(Server(listen="127.0.0.1:0")) as listener:
        async with server.serving(asgi, listener):
            yield listener.getsockname()[:2]


def test_uvicorn_serves_and_stops_without_touching_signals():
    async def main():
        async with served(app()) as (host, port), httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://{host}:{port}/healthz")).text

    assert asyncio.run(main()) == "ok\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_who_brings_no_whole_head_is_hung_up_on(monkeypatch, sent):
    monkeypatch.setattr(server, "HEAD_S", 0.2)

    async def main():
        async with served(app()) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(sent)
            async with asyncio.timeout(5):
                left = await reader.read()
            writer.close()
            return left

    assert asyncio.run(main()) == b""


def test_a_slow_second_head_is_hung_up_on_too(monkeypatch):
    monkeypatch.setattr(server, "HEAD_S", 0.3)

    async def main():
        async with served(app()) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"ok\n")
            writer.write(b"GET /healthz HT")
            async with asyncio.timeout(5):
                left = await reader.read()
            writer.close()
            return left

    assert asyncio.run(main()) == b""


async def half_asked(host, port):
    """A POST whose sender goes away in the midst of its body."""
    _, writer = await asyncio.open_connection(host, port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await asyncio.sleep(0.2)


async def lost(host, port):
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://{host}:{port}/spi/v3/jobs", headers={"Authorization": "Bearer sandbox-token"})


async def reads_its_body(scope, receive, send):
    await Request(scope, receive).body()


async def has_a_bug(scope, receive, send):
    raise ZeroDivisionError


async def finds_the_bug(host, port):
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{host}:{port}/")).status_code == 500


def losing():
    sandbox = load_plugins()["workable"].sandbox(clock=WallClock(), rng=random.Random(1))
    sandbox.faults = lambda method, path: Fault.LOST_AFTER
    return sandbox


@pytest.mark.parametrize(
    ("asgi", "asking", "told"),
    [
        (losing(), lost, ""),
        (reads_its_body, half_asked, ""),
        (has_a_bug, finds_the_bug, "ZeroDivisionError"),
    ],
)
def test_who_hangs_up_in_the_midst_leaves_no_trace_in_the_log_and_a_bug_does(asgi, asking, told):
    stream = io.StringIO()
    logs.configure(stream, WallClock(), level="info")

    async def main():
        async with served(asgi) as (host, port):
            await asking(host, port)

    asyncio.run(main())
    assert told in stream.getvalue() if told else stream.getvalue() == ""


def test_a_head_beyond_the_cap_is_refused():
    async def main():
        async with served(app()) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
            async with asyncio.timeout(5):
                line = await reader.readline()
            writer.close()
            return line

    assert asyncio.run(main()).startswith(b"HTTP/1.1 4")
