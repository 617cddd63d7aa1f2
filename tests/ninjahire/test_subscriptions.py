"""Ninjahire's webhook configurations as the wire has them: each shape that its two references allow."""

import httpx
import pytest

from connectors.ninjahire import hooks
from syncd.connector import Subscription, Wish
from syncd.errors import OutcomeUnknown, Unavailable
from tests.ninjahire import examples
from tests.ninjahire.world import answering, wait

URL = "https://sync.example.test/webhooks/screener/application_activty"
EVENTS = frozenset({"application_activty"})
TENANT = "4b2c6d8e-0000-4000-8000-000000000001"
ROW = {
    **examples.WEBHOOK_BODY, "id": "5b2c6d8e-0000-4000-8000-000000000002", "tenant_id": TENANT, "url": URL,
    "triggered_event": "application_activty", "fields": ["id", "status"], "secret": "whsec_x", "is_active": True,
}  # fmt: skip
KNOWN = Subscription(ROW["id"], URL, EVENTS, secret="whsec_x")
WISH = Wish(URL, EVENTS, fresh="fresh-secret")


def read(answer):
    connector, _ = answering(httpx.Response(200, json=answer))
    return wait(connector.subscriptions())


@pytest.mark.parametrize("answer", [ROW, [ROW], {"data": ROW}, {"data": [ROW]}])
def test_one_or_several_bare_or_wrapped_are_read(answer):
    assert read(answer) == (KNOWN,)


@pytest.mark.parametrize("answer", [[], {"data": []}])
def test_none_may_be_an_empty_array(answer):
    assert read(answer) == ()


@pytest.mark.parametrize("answer", [{}, {"data": {}}, [{"id": "x"}], [{**ROW, "url": None}], ["x"]])
def test_another_form_is_not_taken_for_none(answer):
    with pytest.raises(Unavailable):
        read(answer)


def test_the_event_may_be_spelled_right():
    assert read({**ROW, "triggered_event": "application_activity"}) == (KNOWN,)


@pytest.mark.parametrize("secret", [None, "", "****", "whs****"])
def test_a_masked_secret_is_an_untold_one(secret):
    assert read({**ROW, "secret": secret})[0].secret is None


@pytest.mark.parametrize(
    "wrong", [{"is_active": False}, {"is_deleted": True}, {"fields": ["status"]}, {"fields": None}]
)
def test_one_that_cannot_tell_what_changed_is_not_sound(wrong):
    (told,) = read({**ROW, **wrong})
    assert not told.is_sound
    assert told.is_withdrawn == ("is_deleted" in wrong)


def test_the_tenants_id_is_learnt_from_what_is_there():
    connector, requests = answering(httpx.Response(200, json=ROW), httpx.Response(201, json=ROW))
    wait(connector.subscriptions())
    made = wait(connector.subscribe(WISH, None))
    assert made == Subscription(ROW["id"], URL, EVENTS, secret="fresh-secret")
    assert f'"tenant_id":"{TENANT}"'.encode() in requests[1].content.replace(b": ", b":")


def test_the_secret_that_is_known_stays():
    assert hooks.asked(Wish(URL, EVENTS, secret="known", fresh="fresh"), TENANT)["secret"] == "known"


def test_calls_are_asked_for_with_the_application_that_they_are_about():
    assert "application_id" in hooks.asked(Wish(URL, frozenset({hooks.CALL_EVENT}), fresh="x"), TENANT)["fields"]


def test_one_that_was_deleted_by_somebody_is_still_off_after_the_answer():
    connector, _ = answering(httpx.Response(200, json=ROW), httpx.Response(200, json={**ROW, "is_deleted": True}))
    wait(connector.subscriptions())
    assert wait(connector.subscribe(WISH, None)) is None


def test_an_answer_that_tells_nothing_is_a_lost_one():
    connector, _ = answering(httpx.Response(200, json=ROW), httpx.Response(200, json={}))
    wait(connector.subscriptions())
    with pytest.raises(OutcomeUnknown):
        wait(connector.subscribe(WISH, None))
