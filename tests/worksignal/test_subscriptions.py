"""WorkSignal's webhooks as the wire has them: the shapes that are taken, and the one request for each wrong."""

import httpx
import pytest

from connectors.worksignal import wire
from syncd.connector import Subscription, Wish
from syncd.errors import OutcomeUnknown, Rejected, Unavailable
from tests.worksignal.world import new_sandbox, play

URL = "https://sync.example.test/webhooks/voice"
EVENTS = frozenset({"candidate.hired", "candidate.rejected"})
ROW = {"id": 3, "url": URL, "events": sorted(EVENTS), "active": True, "created_at": "2026-04-13T14:32:00Z"}
KNOWN = Subscription("3", URL, EVENTS)


def answered(answer, act, *, status=200):
    """What a connector makes of one answer, and the requests that it sent."""
    requests = []

    async def scene(connector, _):
        def reply(request):
            requests.append(request)
            return httpx.Response(status, json=answer)

        connector._api._client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
        return await act(connector)

    return play(new_sandbox(), scene), [f"{each.method} {each.url.path}" for each in requests]


@pytest.mark.parametrize("answer", [[ROW], {"webhooks": [ROW]}, {"data": [ROW]}])
def test_a_list_is_read_in_each_envelope(answer):
    told, _ = answered(answer, lambda connector: connector.subscriptions())
    assert told == (KNOWN,)


def test_all_pages_are_read():
    pages = {1: [ROW], 2: [{**ROW, "id": 4}]}

    async def scene(connector, _):
        def reply(request):
            page = int(request.url.params["page"])
            meta = {"page": page, "total": 2, "next_page": 2 if page == 1 else None}
            return httpx.Response(200, json={"webhooks": pages[page], "meta": meta})

        connector._api._client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
        return await connector.subscriptions()

    assert [each.id for each in play(new_sandbox(), scene)] == ["3", "4"]


@pytest.mark.parametrize("answer", [{}, {"webhooks": None}, [{"url": URL}], [{**ROW, "events": None}]])
def test_another_form_is_not_taken_for_none(answer):
    with pytest.raises(Unavailable):
        answered(answer, lambda connector: connector.subscriptions())


def test_the_secret_is_told_by_the_answer_that_makes_it():
    told, asked = answered(
        {"webhook": {**ROW, "secret": "whsec_x"}}, lambda connector: connector.subscribe(Wish(URL, EVENTS), None)
    )
    assert (told, told.secret) == (Subscription("3", URL, EVENTS, secret="whsec_x"), "whsec_x")
    assert asked == ["POST /api/v1/webhooks"]
    assert "whsec_x" not in repr(told)


@pytest.mark.parametrize(
    ("known", "secret", "request_"),
    [
        (KNOWN, None, "DELETE /api/v1/webhooks/3"),
        (Subscription("3", URL, frozenset({"candidate.hired"})), "known", "PATCH /api/v1/webhooks/3"),
        (Subscription("3", URL, EVENTS, is_sound=False), "known", "POST /api/v1/webhooks/3/activate"),
    ],
)
def test_what_is_wrong_is_mended_by_one_request(known, secret, request_):
    told, asked = answered(
        {"webhook": ROW}, lambda connector: connector.subscribe(Wish(URL, EVENTS, secret=secret), known)
    )
    assert told is None
    assert asked == [request_]


def test_a_refused_one_is_told_as_such():
    refused = {"error": "Validation failed", "messages": ["Url is invalid"]}
    with pytest.raises(Rejected):
        answered(refused, lambda connector: connector.subscribe(Wish(URL, EVENTS), None), status=422)


def test_an_answer_that_tells_nothing_is_a_lost_one():
    with pytest.raises(OutcomeUnknown):
        answered({"webhook": {}}, lambda connector: connector.subscribe(Wish(URL, EVENTS), None), status=201)


def test_the_events_are_those_that_the_sandbox_plays():
    async def scene(_, client):
        return (await client.get("webhooks/events")).json()["events"]

    assert sorted(play(new_sandbox(), scene)) == sorted(wire.EVENTS)
