"""The one way in which connectors ask their systems: what each answer means for the engine."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import MemoryConnector, MemorySystem
from syncd.clock import SteppedClock
from syncd.connector import (
    Account,
    Finds,
    Pipelines,
    ask,
    decoded,
    digest_of,
    is_local,
    retry_after,
    same_origin,
    served_at,
    understood,
    with_ability,
)
from syncd.errors import (
    AuthFailed,
    Gone,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Stale,
    SyncdError,
    Taken,
    Unavailable,
)

URL = "https://ats.example.test/v1/jobs"


def explain(response):
    return response.json()["error"]


def asked(handler, method="GET", **more):
    """Ask a server that answers by a function."""

    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            return await ask(client, method, URL, **{"explain": explain, **more})

    return asyncio.run(main())


def answers(status, body=None, headers=None):
    content = {"json": body} if isinstance(body, dict | list) else {"text": body or ""}
    return lambda request: httpx.Response(status, headers=headers, **content)


def fails(error):
    def handler(request):
        raise error

    return handler


# --- statuses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_good_answer_comes_back(status):
    assert asked(answers(status)).status_code == status


MEANINGS = {
    (401, "GET"): AuthFailed, (403, "PATCH"): AuthFailed, (404, "GET"): Gone, (410, "PATCH"): Gone,
    (409, "POST"): Taken, (425, "GET"): Unavailable, (429, "GET"): RateLimited, (429, "POST"): RateLimited,
    (400, "POST"): Rejected, (422, "PATCH"): Rejected, (418, "GET"): Rejected,
    (500, "GET"): Unavailable, (503, "GET"): Unavailable, (500, "POST"): OutcomeUnknown,
    (502, "PATCH"): OutcomeUnknown, (504, "DELETE"): OutcomeUnknown, (301, "GET"): Unavailable,
    (308, "POST"): OutcomeUnknown,
}  # fmt: skip


@pytest.mark.parametrize(("status", "method", "error"), [(*key, error) for key, error in MEANINGS.items()])
def test_each_status_says_what_is_done_next(status, method, error):
    """A write that a gateway answered with 502 may have been done: nobody may send it again before looking."""
    with pytest.raises(error) as caught:
        asked(answers(status, {"error": "the reason"}), method)
    assert type(caught.value) is error
    assert str(caught.value) == f"{method} answered {status}: the reason"


def test_a_call_may_read_a_status_its_own_way():
    with pytest.raises(Taken):
        asked(answers(422, {"error": "email exists"}), "POST", statuses={422: Taken})
    with pytest.raises(Rejected):
        asked(answers(422, {"error": "x"}), "POST", statuses={409: Rejected})


def test_where_one_status_means_several_things_the_answer_is_judged():
    def judge(response):
        return Taken if "exists" in response.text else None

    with pytest.raises(Taken):
        asked(answers(422, {"error": "email exists"}), "POST", judge=judge, statuses={422: Stale})
    with pytest.raises(Stale):
        asked(answers(422, {"error": "changed"}), "POST", judge=judge, statuses={422: Stale})


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "", "[]", '{"other": 1}', '{"error": null}', "null"])
def test_an_error_answer_in_any_shape_is_an_error_and_no_traceback(body):
    with pytest.raises(Rejected, match="POST answered 422"):
        asked(answers(422, body), "POST")


def test_a_long_error_answer_is_cut():
    with pytest.raises(Rejected) as caught:
        asked(answers(422, {"error": "x" * 5000}), "POST")
    assert len(str(caught.value)) < 250


# --- lost connections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_never_left_was_not_sent(error, method):
    with pytest.raises(NotSent):
        asked(fails(error), method)


LOST = [httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.WriteError("x"), httpx.RemoteProtocolError("x"),
        httpx.WriteTimeout("x")]  # fmt: skip


@pytest.mark.parametrize("error", LOST, ids=[type(error).__name__ for error in LOST])
def test_a_lost_answer_to_a_write_is_unknown_and_to_a_read_is_later(error):
    with pytest.raises(OutcomeUnknown):
        asked(fails(error), "POST")
    with pytest.raises(Unavailable):
        asked(fails(error), "GET")


def all_below(kind):
    return {kind, *(deeper for below in kind.__subclasses__() for deeper in all_below(below))}


TRANSPORT = sorted(all_below(httpx.TransportError), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", TRANSPORT, ids=[kind.__name__ for kind in TRANSPORT])
def test_every_failure_of_the_library_is_one_of_our_errors(kind):
    """A new one in a new version must not end a lane."""
    with pytest.raises(SyncdError):
        asked(fails(kind.__new__(kind, "x")), "POST")


def test_no_word_of_the_request_stands_in_an_error():
    with pytest.raises(OutcomeUnknown) as caught:
        asked(fails(httpx.ReadError("ann@example.com")), "POST", json={"email": "ann@example.com"})
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_for_people_is_no_answer(method):
    def page(request):
        return httpx.Response(200, text="\n<html><form>Sign in</form></html>")

    with pytest.raises(Unavailable if method == "GET" else OutcomeUnknown, match="a page for people"):
        asked(page, method)


@pytest.mark.parametrize("body", [{"success": False, "error": "try again"}, {"ok": 0, "data": None}])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_good_status_over_an_answer_that_denies_is_no_answer(method, body):
    with pytest.raises(Unavailable if method == "GET" else OutcomeUnknown, match="says that it did not succeed"):
        asked(answers(200, body), method)


@pytest.mark.parametrize("body", [{"success": True, "data": {}}, {"ok": 1}, {"data": {"success": False}}, []])
def test_what_denies_nothing_is_an_answer(body):
    assert asked(answers(200, body), "POST").json() == body


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_json_is_read():
    assert decoded("GET", httpx.Response(200, text='{"id": 1}')) == {"id": 1}


def test_no_text_bears_what_postgresql_cannot_keep():
    """Else one row of a list would end each walk of it on PostgreSQL, and on SQLite none."""
    told = httpx.Response(200, json={"id": "a\x00b", "note": "\\ and \ufffd"})
    assert decoded("GET", told) == {"id": "a\ufffdb", "note": "\\ and \ufffd"}


@pytest.mark.parametrize("text", ["", "<html>", '{"id": ', "NaN", "\ufeff{}"])
def test_what_is_not_json_is_a_lost_answer(text):
    with pytest.raises(Unavailable):
        decoded("GET", httpx.Response(200, text=text))
    with pytest.raises(OutcomeUnknown, match="POST answered 201"):
        decoded("POST", httpx.Response(201, text=text))


@given(st.binary(max_size=50))
def test_any_bytes_get_a_verdict(content):
    try:
        decoded("GET", httpx.Response(200, content=content))
    except Unavailable:
        return


@pytest.mark.parametrize("error", [KeyError("id"), TypeError(), ValueError(), AttributeError(), IndexError()])
def test_an_answer_of_another_shape_is_a_lost_answer(error):
    def read():
        raise error

    with pytest.raises(OutcomeUnknown, match=type(error).__name__):
        understood("POST", read)
    with pytest.raises(Unavailable):
        understood("GET", read)
    assert understood("GET", lambda: 7) == 7


# --- headers --------------------------------------------------------------------------------------------------------

NOON = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "99999999999999"}, 86400.0),
        ({"Retry-After": "Sun, 22 Nov 2026 12:02:00 GMT", "Date": NOON}, 120.0),
        ({"Retry-After": "Sun, 22 Nov 2026 11:00:00 GMT", "Date": NOON}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2099 12:00:00 GMT", "Date": NOON}, 86400.0),
        ({"Retry-After": "Sun, 22 Nov 2026 12:02:00 GMT"}, None),
        ({"Retry-After": "soon", "Date": NOON}, None),
        ({"Retry-After": "-5", "Date": NOON}, None),
        ({"Retry-After": "1.5"}, None),
        ({}, None),
    ],
    ids=["seconds", "at once", "absurd seconds", "a date", "a date in the past", "an absurd date",
         "a date without the server's own", "words", "negative", "a fraction", "absent"],
)  # fmt: skip
def test_how_long_to_wait_is_read_in_both_forms(headers, seconds):
    assert retry_after(httpx.Response(429, headers=headers)) == seconds


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_any_wait_gets_a_verdict(text):
    wait_s = retry_after(httpx.Response(429, headers={"Retry-After": text, "Date": NOON}))
    assert wait_s is None or 0.0 <= wait_s <= 86400.0


def test_the_wait_comes_with_the_error():
    with pytest.raises(RateLimited) as caught:
        asked(answers(429, {"error": "x"}, {"Retry-After": "7"}))
    assert caught.value.retry_after_s == 7.0
    with pytest.raises(Unavailable) as caught:
        asked(answers(503, {"error": "x"}, {"Retry-After": "9"}))
    assert caught.value.retry_after_s == 9.0


@pytest.mark.parametrize(("date", "seconds"), [(NOON, 1795348800.0), ("noon", None), (None, None)])
def test_the_servers_clock_is_read(date, seconds):
    assert served_at(httpx.Response(200, headers={"Date": date} if date else {})) == seconds


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://ats.example.test/next?page=2", True),
        ("https://ats.example.test:443/next", True),
        ("https://ATS.example.test/next", True),
        ("http://ats.example.test/next", False),
        ("https://ats.example.test:8443/next", False),
        ("https://ats.example.test.evil.test/next", False),
        ("https://evil.test/next", False),
        ("https://token@ats.example.test/next", False),
        ("https://ats.example.test@evil.test/next", False),
        ("//ats.example.test/next", False),
        ("/next", False),
        ("https://[broken/next", False),
        ("", False),
    ],
)
def test_a_next_link_leads_nowhere_else(url, same):
    assert same_origin("https://ats.example.test/spi/v3", url) is same


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False),
     ("localhost.evil.test", False), ("2130706433", False), ("example.test", False)],
)  # fmt: skip
def test_which_host_is_this_machine(host, local):
    assert is_local(host) is local


# --- the rest -------------------------------------------------------------------------------------------------------


def test_a_page_has_a_digest_of_its_bytes():
    assert digest_of(b"a") == digest_of(b"a") != digest_of(b"b")


def test_an_account_keeps_its_secrets_out_of_sight():
    account = Account("acme", "https://x.test", "s3cr3t-token", webhook_secrets=("wh-1",), webhook_path_secret="wh-2")
    assert not [secret for secret in ("s3cr3t-token", "wh-1", "wh-2") if secret in repr(account)]


def test_an_ability_is_asked_for_and_may_be_absent():
    connector = MemoryConnector(MemorySystem("plain", SteppedClock(0.0, frozen=True), prefix="p"))
    assert with_ability(connector, Finds) is connector
    assert with_ability(connector, Pipelines) is None
