import json
import random

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ninjahire.signature import judge, stringified
from syncd.connector import Delivery, Notice
from syncd.model import Kind, Ref
from tests.ninjahire import examples
from tests.ninjahire.world import SECRET, START, answering, played, run, signed

ID = examples.APPLICATION_ID
BODY = orjson.dumps({"id": ID, "status": "Später é", "candidate_id": None, "job_id": examples.JOB_ID})
FOUND = Notice(refs=(Ref(Kind.APPLICATION, ID),))
LOOK = Notice(walks=("applications",))


def verdict(delivery, secrets=(SECRET,)):
    return judge(delivery, secrets)


def altered(delivery, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(delivery.body, {**delivery.headers, **named}, delivery.event, delivery.received_at)


@pytest.mark.parametrize("event", ["application_activty", "application_activity"])
def test_a_genuine_delivery_names_the_application_however_its_event_is_spelled(event):
    assert verdict(signed(BODY, event=event)) == FOUND


def test_a_call_is_looked_at_again_and_its_application():
    call = Ref(Kind.SCREENING, examples.JOB_ID)
    for told in ({"id": call.id, "application_id": ID}, {"call_id": call.id, "application_id": ID}):
        notice = verdict(signed(orjson.dumps(told), event="call_activity"))
        assert notice == Notice(refs=(call, Ref(Kind.APPLICATION, ID)))
    alone = verdict(signed(orjson.dumps({"id": call.id, "status": "call_completed"}), event="call_activity"))
    assert alone == Notice(refs=(call,))


@pytest.mark.parametrize(
    ("event", "payload", "notice"),
    [
        ("call_activity", {"status": "call_completed"}, Notice(walks=("calls",))),
        (None, {"id": ID}, LOOK),
        (None, {"application_id": ID}, FOUND),
        ("application_activty", {"status": "Hired"}, LOOK),
        ("application_activty", {"id": "../jobs"}, LOOK),
        ("application_activty", {"id": 7}, LOOK),
        ("application_activty", [ID], LOOK),
    ],
)
def test_what_names_no_application_says_to_walk_them_all(event, payload, notice):
    assert verdict(signed(orjson.dumps(payload), event=event)) == notice


def test_the_connector_verifies_with_its_accounts_secrets():
    connector, _ = answering()
    assert connector.verify(signed(BODY)) == FOUND


def test_both_secrets_of_a_rotation_are_good_and_an_old_one_is_not():
    secrets = (SECRET, "whsec_new")
    assert verdict(signed(BODY), secrets) == verdict(signed(BODY, secret="whsec_new"), secrets) == FOUND
    assert verdict(signed(BODY), ("whsec_new",)) is None


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_is_genuine(secrets):
    connector, _ = answering(webhook_secrets=secrets)
    assert connector.verify(signed(BODY, secret="")) is None


def test_every_flipped_bit_of_the_body_is_refused():
    good = signed(BODY)
    for at in range(len(BODY) * 8):
        body = bytearray(BODY)
        body[at // 8] ^= 1 << at % 8
        assert verdict(Delivery(bytes(body), good.headers, good.event, START)) is None


def test_every_changed_letter_of_the_signature_is_refused():
    good = signed(BODY)
    signature = good.headers["x-ninjahire-signature"]
    for at in range(len(signature)):
        other = "0" if signature[at] != "0" else "1"
        forged = signature[:at] + other + signature[at + 1 :]
        assert verdict(altered(good, x_ninjahire_signature=forged)) is None
    for forged in ("", "sha256=" + signature, signature[:-1], signature + "0", "é" * 64, "\ud800" * 64, "\x00"):
        assert verdict(altered(good, x_ninjahire_signature=forged)) is None


def test_a_signature_in_capitals_is_the_same_signature():
    good = signed(BODY)
    assert verdict(altered(good, x_ninjahire_signature=f" {good.headers['x-ninjahire-signature'].upper()} ")) == FOUND


def test_a_body_that_a_proxy_wrote_anew_is_judged_by_its_compact_form():
    good = signed(BODY)
    respelled = orjson.dumps(orjson.loads(BODY), option=orjson.OPT_INDENT_2)
    assert verdict(Delivery(respelled, good.headers, good.event, START)) == FOUND


def test_a_form_is_judged_by_the_json_of_its_payload():
    payload = {"id": ID, "status": "Phone Screen & more", "job_id": ""}
    good = signed(orjson.dumps(payload), **{"content-type": "application/x-www-form-urlencoded"})
    form = str(httpx.QueryParams(payload)).encode()
    assert verdict(Delivery(form, good.headers, good.event, START)) == FOUND


@pytest.mark.parametrize(
    ("timestamp", "good"),
    [
        (START, True), (START - 300, True), (START + 300, True), (START - 301, False), (START + 301, False),
        (START * 1000, True), (START * 1000 - 301_000, False), (0, False),
    ],
)  # fmt: skip
def test_a_delivery_is_good_for_five_minutes_in_seconds_or_milliseconds(timestamp, good):
    assert (verdict(signed(BODY, at=timestamp)) is not None) is good


@pytest.mark.parametrize("timestamp", ["", "now", "1e9", "nan", "-1", "٣٤", "0x10", f"{START}junk", "9" * 400])
def test_a_timestamp_that_is_no_time_is_refused(timestamp):
    assert verdict(altered(signed(BODY), x_ninjahire_timestamp=timestamp)) is None


@pytest.mark.parametrize("missing", ["x-ninjahire-timestamp", "x-ninjahire-signature"])
def test_a_missing_header_is_refused(missing):
    good = signed(BODY)
    headers = {name: value for name, value in good.headers.items() if name != missing}
    assert verdict(Delivery(BODY, headers, good.event, START)) is None


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"NaN", b"1" * 5000, b'"\\ud800"', b"[" * 400 + b"]" * 400],
)
def test_a_hostile_body_gets_a_verdict(body):
    good = signed(BODY)
    assert verdict(Delivery(body, good.headers, good.event, START)) is None
    genuine = verdict(signed(body))
    assert genuine == LOOK


@given(
    st.binary(max_size=300) | st.just(BODY),
    st.dictionaries(
        st.sampled_from(["x-ninjahire-signature", "x-ninjahire-timestamp", "content-type"]),
        st.text() | st.just(str(int(START))) | st.just("application/x-www-form-urlencoded"),
    ),
    st.none() | st.text(),
    st.lists(st.text(), max_size=2),
)
def test_any_bytes_and_headers_get_a_verdict(body, headers, event, secrets):
    assert judge(Delivery(body, headers, event, START), secrets) is None


payloads = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(payloads) | st.dictionaries(st.text(), payloads))
def test_a_payload_is_written_anew_as_the_sample_code_writes_it(payload):
    expected = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    assert stringified(payload) == expected


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("http_method", ["POST", "PUT", "PATCH"])
def test_what_the_sandbox_sends_is_genuine(content_type, http_method):
    arrived = []

    def receive(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        arrived.append((request.method, Delivery(request.content, headers, "application_activty", START)))
        return httpx.Response(200)

    client = httpx.AsyncClient(transport=httpx.MockTransport(receive))
    sandbox = played(client=client, rng=random.Random(1))
    sandbox.subscribe(
        "https://sync.example.test/hook", secret=SECRET, http_method=http_method, content_type=content_type
    )

    async def scene(connector):
        id_ = sandbox.apply(sandbox.add_job(title="Tiler"), name="Ana Ruiz", email="ana@example.com")
        await sandbox.clock.sleep_until(START + 1)
        ((method, delivery),) = arrived
        assert method == http_method
        assert connector.verify(delivery) == Notice(refs=(Ref(Kind.APPLICATION, id_),))

    run(sandbox, scene)
