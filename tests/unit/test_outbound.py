"""Where calls go, and where they never do: names that change, redirects, proxies, certificates; over real sockets."""

import asyncio
import contextlib
import datetime as dt
import random
import socket
import ssl

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from syncd.clock import WallClock
from syncd.connector import LINK, ask, download
from syncd.errors import NotSent, OutcomeUnknown, Rejected, Unavailable
from syncd.gate import Gate, MemoryBudget
from syncd.http import Resolving, build_client
from syncd.settings import Config, Connection
from tests.unit.test_addresses import CARRIERS, NEVER, PRIVATE
from tests.unit.test_http import Sockets, answers

CANARY = "canary-token-of-the-outbound-tests"
BEARER = {"Authorization": f"Bearer {CANARY}"}


class Server:
    """Answers each request alike, and keeps every byte that came."""

    def __init__(self, *lines, status="200 OK", body=b"{}"):
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines, "", ""]
        self.answer = "\r\n".join(head).encode() + body
        self.heard = []

    async def __call__(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            self.heard.append(await reader.read(65536))
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def served(answer, **more):
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, **more)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


class Eager(random.Random):
    """Does not wait between two tries."""

    def uniform(self, a, b):
        return a


def client_of(base_url, **more):
    clock = WallClock()
    return build_client(Gate("acme", (), MemoryBudget(clock), clock), base_url, rng=Eager(), **more)


async def asked(client, method="GET", path="/jobs"):
    return await ask(client, method, path, explain=lambda told: "", headers=BEARER)


# --- names ------------------------------------------------------------------------------------------------------------


def resolving(monkeypatch, *turns):
    """A resolver that answers otherwise each time; the last answer for ever. How often it was asked."""
    left, asked = list(turns), []

    async def getaddrinfo(self, host, port, **more):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (left.pop(0) if len(left) > 1 else left[0], port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_is_resolved_once_and_what_was_judged_is_connected_to(monkeypatch):
    """DNS rebinding: the second answer, loopback, is never asked for."""
    asked = resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    backend = Resolving(may_be_private=False)
    backend._sockets = Sockets()
    assert asyncio.run(backend.connect_tcp("rebound.example.com", 443)) == "a socket to 8.8.8.8"
    assert (asked, backend._sockets.tried) == (["rebound.example.com"], ["8.8.8.8"])


def test_a_name_that_leads_here_on_a_later_call_is_refused_then(monkeypatch):
    resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    backend = Resolving(may_be_private=False)
    backend._sockets = Sockets()
    asyncio.run(backend.connect_tcp("rebound.example.com", 443))
    with pytest.raises(httpcore.ConnectError, match="private"):
        asyncio.run(backend.connect_tcp("rebound.example.com", 443))
    assert backend._sockets.tried == ["8.8.8.8"]


def test_no_byte_reaches_this_machine_through_a_public_name(monkeypatch):
    async def main():
        here = Server()
        async with served(here) as port:
            answers(monkeypatch, "127.0.0.1")
            async with client_of(f"https://acme.example.com:{port}") as client:
                for method in ("GET", "POST"):
                    with pytest.raises(NotSent):
                        await asked(client, method)
                with pytest.raises(Unavailable):
                    await drained(download(client, f"https://files.example.com:{port}/cv.pdf", longest=100))
        return here.heard

    assert asyncio.run(main()) == []


async def drained(pieces):
    return b"".join([piece async for piece in pieces])


# --- links that a system gave out -------------------------------------------------------------------------------------

LINKS = [
    *PRIVATE,
    *NEVER,
    *(f"https://[{address}]/x" for address in CARRIERS),
    "https://127.0.0.1/x",
    "http://localhost/x",
]


def test_there_are_sixty_tricks_at_least():
    assert len(set(LINKS)) >= 60


def test_no_file_is_fetched_from_an_address_that_may_not_be_called(monkeypatch):
    """The 60 tricks of checklist 11: none connects to an address that is not public, whatever its spelling."""
    tried = []

    async def connect(self, host, port, *more):
        tried.append(host)
        raise httpcore.ConnectError("made up")

    async def getaddrinfo(self, host, port, **more):
        # As the C library reads decimal, octal and short forms; no name leads anywhere.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.inet_ntoa(socket.inet_aton(host)), port))]

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)

    async def main():
        async with client_of("https://acme.example.com") as client:
            for url in LINKS:
                with pytest.raises((Rejected, Unavailable)):
                    await drained(download(client, url, longest=100))
                assert tried == [], url
            with pytest.raises(Unavailable):
                await drained(download(client, "https://8.8.8.8/cv.pdf", longest=100))
        return tried

    assert set(asyncio.run(main())) == {"8.8.8.8"}


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
def test_no_redirect_is_followed_and_no_token_goes_along(status):
    async def main():
        other, home = Server(), Server()
        async with (
            served(other) as elsewhere,
            served(home) as port,
            client_of(f"http://127.0.0.1:{port}") as client,
        ):
            for place in (
                f"http://127.0.0.1:{elsewhere}/take",
                "/jobs",
                "http://169.254.169.254/",
                "//127.0.0.1:9/",
                "",
            ):
                home.answer = Server(f"Location: {place}", status=status).answer
                with pytest.raises(Unavailable, match=f"GET answered {status[:3]}"):
                    await asked(client)
                with pytest.raises(OutcomeUnknown, match=f"POST answered {status[:3]}"):
                    await asked(client, "POST")
                with pytest.raises(Unavailable, match=f"answered {status[:3]}"):
                    await drained(download(client, f"http://127.0.0.1:{port}/cv.pdf", longest=100))
        return len(home.heard), other.heard

    assert asyncio.run(main()) == (15, []), "each call arrived once, and nothing elsewhere"


def test_a_file_of_another_origin_is_fetched_without_the_token():
    async def main():
        files = Server(body=b"%PDF")
        async with served(files) as port, client_of("http://127.0.0.1:9") as client:
            assert await drained(download(client, f"http://127.0.0.1:{port}/cv.pdf", longest=100)) == b"%PDF"
            request = client.build_request("GET", f"http://127.0.0.1:{port}/", headers=BEARER, extensions={LINK: True})
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.send(request)
        return files.heard

    [heard] = asyncio.run(main())
    assert CANARY.encode() not in heard


# --- certificates -----------------------------------------------------------------------------------------------------


def self_signed(folder):
    """A certificate for 127.0.0.1 and localhost that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(day).not_valid_after(day + dt.timedelta(days=3650))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    return context


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_that_nobody_vouches_for_is_refused_whatever_the_environment_says(tmp_path, monkeypatch):
    context = self_signed(tmp_path)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "both.pem"))

    async def main():
        home = Server()
        async with served(home, ssl=context) as port, client_of(f"https://localhost:{port}") as client:
            with pytest.raises(NotSent):
                await asked(client, "POST")
        return home.heard

    assert asyncio.run(main()) == []


# --- proxies ----------------------------------------------------------------------------------------------------------

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def test_a_proxy_of_the_environment_hears_nothing_and_a_configured_one_all(monkeypatch):
    async def main():
        home, proxy = Server(), Server()
        async with served(home) as port, served(proxy) as proxied:
            for name in VARIABLES:
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxied}")
            async with client_of(f"http://127.0.0.1:{port}") as client:
                await asked(client)
            assert (len(home.heard), proxy.heard) == (1, [])
            configured = f"http://sync:s3cret@127.0.0.1:{proxied}"
            async with client_of(f"http://127.0.0.1:{port}", proxy=configured) as client:
                await asked(client)
            assert len(home.heard) == 1
            return proxy.heard[0].decode(), port

    heard, port = asyncio.run(main())
    assert heard.startswith(f"GET http://127.0.0.1:{port}/jobs HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic c3luYzpzM2NyZXQ=" in heard


def test_through_a_proxy_only_a_tunnel_to_the_own_origin_is_asked_for():
    async def main():
        proxy = Server(status="403 Forbidden")
        async with (
            served(proxy) as port,
            client_of("https://acme.example.com", proxy=f"http://127.0.0.1:{port}") as client,
        ):
            with pytest.raises(NotSent):
                await asked(client, "POST")
        return proxy.heard

    [heard] = asyncio.run(main())
    assert heard.startswith(b"CONNECT acme.example.com:443 HTTP/1.1\r\n")
    assert CANARY.encode() not in heard


def test_the_proxy_stands_in_the_config_and_is_no_open_secret():
    told = {"system": "workable", "token": "x", "proxy": "http://sync:s3cret@proxy.example.com:3128"}
    settings = Connection.model_validate(told)
    assert "s3cret" not in repr(settings)
    assert told["proxy"] in Config(connections={"acme": settings}).secrets()


@pytest.mark.parametrize(
    "proxy", ["proxy.example.com:3128", "socks5://proxy:1080", "http://", "http://p:99999", "http://p/x"]
)
def test_what_is_no_proxy_is_refused(proxy):
    with pytest.raises(ValidationError, match=r"http://proxy\.example\.com:3128"):
        Connection.model_validate({"system": "workable", "proxy": proxy})
