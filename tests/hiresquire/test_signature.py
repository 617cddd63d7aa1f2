"""Whether a webhook is genuine, and what it says to look at again."""

import hashlib
import hmac

import httpx
import orjson
import pytest

from connectors.hiresquire import connect
from connectors.hiresquire.signature import judge, notice_of, sign
from syncd.clock import WallClock
from syncd.connector import Account, Delivery, Notice
from syncd.model import Kind, Ref
from tests.hiresquire.examples import COMPLETED_EVENT, USAGE_EVENT
from tests.hiresquire.world import ACCOUNT, BASE, SECRET, START, signed

BODY = orjson.dumps(COMPLETED_EVENT)
BATCH = Notice(batches=("123",))
LOOK = Notice(walks=("candidates",))


def test_the_vendors_recipe_makes_what_is_taken():
    """Copied from llms-full.txt, section "Webhook Security"."""
    timestamp, raw_body, secret = str(int(START)), BODY.decode(), SECRET
    signed_payload = f"{timestamp}.{raw_body}"
    signature = hmac.new(secret.encode(), signed_payload.encode(), hashlib.sha256).hexdigest()
    delivery = Delivery(BODY, {"x-webhook-signature": f"t={timestamp},v1={signature}"}, None, START)
    assert judge(delivery, (SECRET,)) == BATCH


@pytest.mark.parametrize("secrets", [("older", SECRET), (SECRET, "newer")])
def test_any_of_the_known_secrets_may_have_signed(secrets):
    assert judge(signed(BODY, START), secrets) == BATCH


@pytest.mark.parametrize(("late_s", "taken"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_a_delivery_is_taken_within_five_minutes(late_s, taken):
    sent = signed(BODY, START)
    assert (judge(Delivery(BODY, sent.headers, None, START + late_s), (SECRET,)) is not None) is taken


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1={v1}",
        "t={t}",
        "t={t},v1=",
        "t={t},v0={v1}",
        "t={t},t={later},v1={v1}",
        "t={later},v1={v1}",
        "t=-{t},v1={v1}",
        "t={t}.5,v1={v1}",
        "t=²,v1={v1}",
        "t={t},v1={v1}0",
        "{v1}",
        "sha256={v1}",
    ],
)
def test_a_header_of_another_form_is_refused(header):
    stamp = str(int(START))
    parts = {"t": stamp, "later": str(int(START) + 1), "v1": sign(stamp, BODY, SECRET).decode()}
    delivery = Delivery(BODY, {"x-webhook-signature": header.format(**parts)}, None, START)
    assert judge(delivery, (SECRET,)) is None


def test_spaces_more_signatures_and_other_parts_do_no_harm():
    stamp = str(int(START))
    good = sign(stamp, BODY, SECRET).decode()
    delivery = Delivery(BODY, {"x-webhook-signature": f" t={stamp} , v2=x, v1=00ff, v1={good.upper()}"}, None, START)
    assert judge(delivery, (SECRET,)) == BATCH


def test_each_flipped_byte_is_seen():
    sent = signed(BODY, START)
    for at in range(len(BODY)):
        flipped = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
        assert judge(Delivery(flipped, sent.headers, None, START), (SECRET,)) is None


@pytest.mark.parametrize(
    ("payload", "notice"),
    [
        (COMPLETED_EVENT, BATCH),
        ({"event": "job.failed", "job_id": 7, "status": "failed"}, Notice(batches=("7",))),
        ({"event": "job.failed", "data": {"job_id": "7"}}, Notice(batches=("7",))),
        (
            {"event": "candidate.hired", "job_id": 7, "candidate": {"id": 1}},
            Notice(refs=(Ref(Kind.APPLICATION, "1"),), batches=("7",)),
        ),
        ({"event": "candidate.hired", "candidate_id": 1}, Notice(refs=(Ref(Kind.APPLICATION, "1"),))),
        ({"event": "candidate.hired", "data": {"candidate": {"candidate_id": 1}}},
         Notice(refs=(Ref(Kind.APPLICATION, "1"),))),
        (USAGE_EVENT, Notice()),
        ({"event": "something.new"}, LOOK),
        ({"event": "candidate.hired", "candidate": {"id": "../1"}, "job_id": True}, LOOK),
        ([], LOOK),
    ],
)  # fmt: skip
def test_an_event_names_what_to_look_at_again(payload, notice):
    assert notice_of(orjson.dumps(payload)) == notice


def connected(**account):
    return connect(Account("screens", BASE, "made-up-token", **account), httpx.AsyncClient(), WallClock())


def test_an_unsigned_delivery_is_never_genuine_whatever_is_configured():
    unsigned = Delivery(BODY, {}, None, START)
    assert connected().verify(unsigned) is None
    assert connected(webhook_path_secret="made-up-path").verify(unsigned) is None
    assert connected(webhook_path_secret="made-up-path", webhook_secrets=(SECRET,)).verify(unsigned) is None
    assert connected(webhook_secrets=ACCOUNT.webhook_secrets).verify(signed(BODY, START)) == BATCH
