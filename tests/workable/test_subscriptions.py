"""Workable's subscriptions as the wire has them: what is asked, what is read, and which shapes are refused."""

import httpx
import orjson
import pytest

from connectors.workable import hooks
from syncd.connector import Subscription, Wish
from syncd.errors import AuthFailed, OutcomeUnknown, Taken, Unavailable
from tests.workable.account import play

URL = "https://sync.example.test/webhooks/acme/candidate_moved"
ROW = {
    "id": 104697, "event": "candidate_moved", "target": URL, "valid_until": None,
    "created_at": "2026-01-01T08:00:00.000Z", "stage_slug": "", "job_shortcode": "",
}  # fmt: skip
MOVED = frozenset({"candidate_moved"})
WISH = Wish(URL, MOVED)


def answering(s, *pages, status=200):
    left = list(pages)
    s.wire.instead = lambda request: httpx.Response(status, content=orjson.dumps(left.pop(0)))


def test_the_body_names_both_filters_where_candidates_are_told_of():
    asked = hooks.asked(WISH, "acme")
    assert asked == {
        "target": URL,
        "event": "candidate_moved",
        "args": {"account_id": "acme", "job_shortcode": "", "stage_slug": ""},
    }
    assert "args" not in hooks.asked(Wish(URL, frozenset({"job_deleted"})), "acme")


def test_all_pages_of_the_list_are_read():
    async def scene(s):
        link = "https://acme.workable.com/spi/v3/subscriptions?since_id=104697"
        answering(s, {"subscriptions": [ROW], "paging": {"next": link}}, {"subscriptions": [{**ROW, "id": "104698"}]})
        assert [each.id for each in await s.connector.subscriptions()] == ["104697", "104698"]

    play(scene)


@pytest.mark.parametrize(
    ("row", "is_sound"),
    [
        ({}, True),
        ({"stage_slug": None, "job_shortcode": None}, True),
        ({"valid_until": "2099-01-01T00:00:00Z"}, True),
        ({"valid_until": "2020-01-01T00:00:00Z"}, False),
        ({"stage_slug": "offer"}, False),
        ({"job_shortcode": "ABC"}, False),
    ],
)
def test_one_that_is_filtered_or_outlived_is_not_sound(row, is_sound):
    async def scene(s):
        answering(s, {"subscriptions": [{**ROW, **row}]})
        assert await s.connector.subscriptions() == (Subscription("104697", URL, MOVED, is_sound),)

    play(scene)


def test_one_for_employees_has_no_filters_at_all():
    row = {key: ROW[key] for key in ("id", "target", "event")}
    assert hooks.subscribed(row, 0.0).is_sound


@pytest.mark.parametrize("answer", [{}, {"subscriptions": None}, {"subscriptions": [{"id": 1}]},
                                    {"subscriptions": [{**ROW, "target": None}]}, []])  # fmt: skip
def test_a_list_in_another_form_is_not_taken_for_an_empty_one(answer):
    async def scene(s):
        answering(s, answer)
        with pytest.raises(Unavailable):
            await s.connector.subscriptions()

    play(scene)


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthFailed), (403, AuthFailed), (409, Taken), (502, OutcomeUnknown)]
)
def test_what_refuses_one_is_told_as_what_it_means(status, error):
    async def scene(s):
        answering(s, {"error": "no"}, status=status)
        with pytest.raises(error):
            await s.connector.subscribe(WISH, None)

    play(scene)


def test_an_answer_without_an_id_is_a_lost_one():
    async def scene(s):
        answering(s, {"subscription": {"id": 1}}, status=201)
        with pytest.raises(OutcomeUnknown):
            await s.connector.subscribe(WISH, None)

    play(scene)
