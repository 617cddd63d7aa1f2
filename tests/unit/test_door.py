"""Who may see the pages: with a token, with a cookie for it, or vouched for by a proxy that is believed."""

import asyncio
import contextlib

import httpx
import pytest
from pydantic import ValidationError

from syncd.crosscheck import examine
from syncd.settings import Config, Server
from tests.unit.test_server import PAGE_TOKEN, app, ask, bearer

OFF_LOOPBACK = {"listen": "0.0.0.0:8080", "page_token": PAGE_TOKEN}
PROXIED = {"listen": "0.0.0.0:8080", "proxy_header": "X-Forwarded-User", "proxies": ["10.0.0.5", "fd00::/64"]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def come(asgi, peer, **kwargs):
    """Ask from another address than this machine's."""

    async def main():
        transport = httpx.ASGITransport(app=asgi, client=(peer, 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://sync.acme.example") as client:
            return await client.get("/", **kwargs)

    return asyncio.run(main())


# --- a browser at the door


def test_a_browser_without_a_token_is_asked_for_it_and_shown_nothing_else():
    answer = ask(app(**OFF_LOOPBACK), "/held", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 401
    assert 'type="password"' in answer.text
    assert "in step" not in answer.text
    assert "form_token" not in answer.text


def enter(asgi, token, **headers):
    return ask(asgi, "/enter", method="POST", content=f"page_token={token}", headers={**FORM, **headers})


def test_the_right_token_is_exchanged_for_a_cookie():
    asgi = app(**OFF_LOOPBACK)
    answer = enter(asgi, PAGE_TOKEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert PAGE_TOKEN not in cookie
    assert ask(asgi, "/", headers={"Cookie": cookie}).status_code == 200


def test_a_wrong_token_is_told_so():
    answer = enter(app(**OFF_LOOPBACK), "guess")
    assert (answer.status_code, "That was not it." in answer.text) == (401, True)
    assert "set-cookie" not in answer.headers


def test_nobody_enters_where_there_is_no_token_or_from_another_site():
    assert enter(app(), "").status_code == 401
    assert enter(app(**OFF_LOOPBACK), PAGE_TOKEN, Origin="https://evil.example.test").status_code == 403


# --- a proxy that signs people in


@pytest.mark.parametrize("peer", ["10.0.0.5", "::ffff:10.0.0.5", "fd00::7"])
def test_a_believed_proxy_vouches_for_people(peer):
    assert come(app(**PROXIED), peer, headers={"X-Forwarded-User": "ada"}).status_code == 200


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.6", {"X-Forwarded-User": "ada"}),
        ("203.0.113.9", {"X-Forwarded-User": "ada"}),
        ("127.0.0.1", {"X-Forwarded-User": "ada"}),
        ("testclient", {"X-Forwarded-User": "ada"}),
        ("10.0.0.5", {}),
        ("10.0.0.5", {"X-Forwarded-User": "  "}),
        ("10.0.0.5", [("X-Forwarded-User", "ada"), ("X-Forwarded-User", "eve")]),
        ("10.0.0.5", {"X-Forwarded-Email": "ada"}),
    ],
)
def test_nobody_else_does(peer, headers):
    assert come(app(**PROXIED), peer, headers=headers).status_code == 403


def test_without_proxies_no_header_is_believed():
    asgi = app(**OFF_LOOPBACK, proxy_header="X-Forwarded-User")
    assert come(asgi, "127.0.0.1", headers={"X-Forwarded-User": "ada"}).status_code == 401


def test_beside_a_proxy_a_token_still_opens():
    asgi = app(**PROXIED, page_token=PAGE_TOKEN)
    assert come(asgi, "192.0.2.1", headers=bearer(PAGE_TOKEN)).status_code == 200


@pytest.mark.parametrize("wrong", [{"proxies": ["proxy"]}, {"proxies": ["10.0.0.5/8"]}, {"proxy_header": "X User"}])
def test_what_is_no_address_or_header_is_refused(wrong):
    with pytest.raises(ValidationError, match="write for example"):
        Server.model_validate(wrong)


@pytest.mark.parametrize(
    ("server", "errors"),
    [
        (PROXIED, []),
        ({"proxy_header": "X-User"}, ["server.proxies: is needed with proxy_header"]),
        ({"proxies": ["::1"]}, ["server.proxy_header: is needed with proxies"]),
    ],
)  # fmt: skip
def test_header_and_addresses_come_together(server, errors):
    config = Config.model_validate({"server": server})
    assert [error.partition(";")[0] for error in examine(config, {}).errors if "prox" in error] == errors


# --- what else is there


def test_the_files_of_the_page_are_kept_by_browsers_and_nothing_else_is():
    asgi = app(**OFF_LOOPBACK)
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        answer = ask(asgi, f"/assets/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in ("../server.py", "page.py", "%2e%2e/server.py", ""):
        assert ask(asgi, f"/assets/{name}").status_code == 404


def test_the_policy_lets_only_our_own_files_in():
    policy = ask(app(), "/").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "img-src", "connect-src", "form-action")} == {"'self'"}


def test_a_long_body_at_the_door_is_refused():
    async def endless():
        for _ in range(1000):
            yield b"x" * 1000

    with contextlib.suppress(httpx.WriteError):
        answer = ask(app(**OFF_LOOPBACK), "/enter", method="POST", content=endless(), headers=FORM)
        assert answer.status_code == 413
