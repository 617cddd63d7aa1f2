"""Webhooks: what is genuine is kept once, before the answer; all else changes nothing."""

import asyncio
import random

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from syncd import schema, webhooks
from syncd.clock import run_stepped
from syncd.metrics import Metrics
from syncd.model import Kind
from tests.laws import examples
from tests.unit.small_app import (
    PATH_SECRET,
    START,
    app_of,
    ninjahire_event,
    signed_by_ninjahire,
    signed_by_workable,
    workable_event,
)

APPLICATION = "application_activty"


class Door:
    """An app's webhook addresses, asked in this process."""

    def __init__(self):
        self.app = app_of()
        self.clock = self.app.store.clock
        self.metrics = Metrics(version="0")
        connections = self.app.config.connections
        secrets = {
            name: each.webhook_path_secret.get_secret_value() if each.webhook_path_secret else None
            for name, each in connections.items()
        }
        receiver = webhooks.Receiver(self.app.engine, webhooks.ears_of(self.app.engine, secrets), self.metrics)
        paths = ("/webhooks/{connection}", "/webhooks/{connection}/{event}")
        self.asgi = Starlette(
            routes=[Route(path, receiver.receive, methods=["POST", "PUT", "PATCH"]) for path in paths]
        )

    def run(self, scene):
        async def main():
            transport = httpx.ASGITransport(app=self.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://syncd.example.test") as client:
                return await scene(client)

        return run_stepped(self.clock, main())

    def post(self, path, body, headers=None, *, method="POST"):
        return self.run(lambda client: client.request(method, path, content=body, headers=headers))

    def wait(self, seconds):
        async def sleep():
            await self.clock.sleep_until(self.clock.now() + seconds)

        run_stepped(self.clock, sleep())

    def rows(self, table):
        with self.app.store.engine.begin() as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

    def change(self, statement):
        with self.app.store.engine.begin() as connection:
            connection.execute(statement)

    @property
    def marks(self):
        return {(row["connection"], row["kind"], row["ref"]) for row in self.rows(schema.marks)}

    def walk(self, connection, name, **values):
        row = {"connection": connection, "walk": name, "poll_due": START + 3000.0, "sweep_due": START + 9000.0}
        self.change(sa.insert(schema.cursors).values({**row, **values}))

    def dues(self):
        return {(row["connection"], row["walk"]): row["poll_due"] - START for row in self.rows(schema.cursors)}

    def counted(self, connection, result):
        return self.metrics.registry.get_sample_value(
            "syncd_webhooks_total", {"connection": connection, "result": result}
        )

    def is_untouched(self):
        return not self.rows(schema.inbox) and not self.marks


@pytest.fixture
def door():
    return Door()


def test_a_signed_event_is_kept_and_its_record_marked(door):
    body = ninjahire_event("0b0e1c2d-0000-4000-8000-000000000001")
    answer = door.post(f"/webhooks/screener/{APPLICATION}", body, signed_by_ninjahire(body))
    assert answer.status_code == 200
    assert door.marks == {("screener", "application", "0b0e1c2d-0000-4000-8000-000000000001")}
    [kept] = door.rows(schema.inbox)
    assert kept["refs"] == ["application/0b0e1c2d-0000-4000-8000-000000000001"]
    assert door.app.engine.lanes["screener"].wake.is_set()
    assert door.counted("screener", "kept") == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_subscriptions_may_choose_the_method(door, method):
    body = ninjahire_event()
    path = f"/webhooks/screener/{APPLICATION}"
    assert door.post(path, body, signed_by_ninjahire(body), method=method).status_code == 200


def test_a_row_that_is_person_and_application_is_read_once(door):
    body = workable_event(row="abc123")
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
    assert door.marks == {("acme", "application", "abc123")}


def test_no_body_is_stored(door):
    body = b'{"id":"e1","event_type":"candidate_moved","data":{"id":"abc","name":"Pat Doe","email":"pat@example.com"}}'
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
    assert "Pat" not in str(door.rows(schema.inbox))
    assert "pat@" not in str([door.rows(table) for table in schema.metadata.sorted_tables])


def test_an_event_is_known_by_its_id_for_two_weeks(door):
    first, again = workable_event("e1"), workable_event("e1", row="other")
    assert door.post("/webhooks/acme", first, signed_by_workable(first)).status_code == 200
    door.wait(13 * 86400)
    assert door.post("/webhooks/acme", again, signed_by_workable(again)).status_code == 200
    assert door.marks == {("acme", "application", "abc123")}
    assert door.counted("acme", "duplicate") == 1


def test_a_thousand_copies_have_one_effect(door):
    body = ninjahire_event()

    async def flood(client):
        path = f"/webhooks/screener/{APPLICATION}"
        return [
            (await client.post(path, content=body, headers=signed_by_ninjahire(body))).status_code for _ in range(1000)
        ]

    assert door.run(flood) == [200] * 1000
    assert len(door.rows(schema.inbox)) == 1
    assert door.counted("screener", "duplicate") == 999


def test_a_record_of_a_kind_that_no_pair_wants_costs_no_read(door):
    body = b'{"call_id":"0b0e1c2d-0000-4000-8000-000000000002","application_id":"0b0e1c2d-0000-4000-8000-000000000001"}'
    assert door.post("/webhooks/screener/call_activity", body, signed_by_ninjahire(body)).status_code == 200
    assert door.marks == {("screener", "application", "0b0e1c2d-0000-4000-8000-000000000001")}


def test_there_and_back_within_minutes_is_news_each_time(door):
    there, back = ninjahire_event(status="Screening"), ninjahire_event(status="Applied")
    for number, body in enumerate([there, back, there, back]):
        door.change(sa.delete(schema.marks))  # it was read meanwhile
        answer = door.post(f"/webhooks/screener/{APPLICATION}", body, signed_by_ninjahire(body, START + number * 5))
        assert answer.status_code == 200
        assert door.marks, f"delivery {number} was taken for a copy"
        door.wait(5)
    assert len(door.rows(schema.inbox)) == 2


def test_an_equal_body_is_news_after_ten_minutes(door):
    body = ninjahire_event()
    door.post("/webhooks/screener", body, signed_by_ninjahire(body))
    door.change(sa.delete(schema.marks))
    door.wait(601)
    door.post("/webhooks/screener", body, signed_by_ninjahire(body, START + 601))
    assert door.counted("screener", "kept") == 2


def test_a_secret_address_is_a_doorbell_whose_body_is_ignored(door):
    door.walk("voice", "candidates", swept_at=START - 90000.0, polled_at=START - 90000.0)
    door.walk("voice", "roles", swept_at=START - 90000.0, polled_at=START - 90000.0)
    lie = b'{"event":"candidate.advanced","candidate":{"id":1,"stage":"hired"}}'
    assert door.post(f"/webhooks/voice/{PATH_SECRET}", lie).status_code == 200
    assert door.marks == set()
    assert door.dues() == {("voice", "candidates"): 0.0, ("voice", "roles"): 0.0}


def test_rings_take_no_more_than_half_the_budget(door):
    # 100 calls a day and 5 pages: at most every 2.4 hours
    door.walk("voice", "candidates", swept_at=START, polled_at=START, last_pages=5, poll_due=START + 20000.0)
    for _ in range(3):
        assert door.post(f"/webhooks/voice/{PATH_SECRET}", b"").status_code == 200
        door.wait(1)
    assert door.dues() == {("voice", "candidates"): 8640.0}


def test_a_ring_during_a_walk_asks_for_another(door):
    door.walk("voice", "candidates", mode="sweep", started_at=START - 1.0, poll_due=START - 1.0, last_pages=1)
    door.post(f"/webhooks/voice/{PATH_SECRET}", b"")
    assert door.dues()["voice", "candidates"] > 0


def test_an_unsigned_system_is_not_believed_without_its_secret_address(door):
    assert door.post("/webhooks/voice", b"{}").status_code == 401
    assert door.post("/webhooks/voice/guess", b"{}").status_code == 401
    assert door.is_untouched()


REFUSED = ["/webhooks/nobody", "/webhooks/voice/wrong", "/webhooks/resting", "/webhooks/acme", "/webhooks/screener/x"]


def test_all_that_is_not_accepted_gets_one_answer(door):
    body = ninjahire_event()
    forged = {**signed_by_ninjahire(b"another"), "X-Workable-Signature": "00" * 32}
    answers = [door.post(path, body, forged) for path in REFUSED]
    assert {(answer.status_code, answer.content, str(answer.headers)) for answer in answers} == {
        (401, b"not accepted\n", str(answers[0].headers))
    }
    assert door.is_untouched()
    assert door.counted("other", "unknown") == 2
    assert door.counted("screener", "forged") == 1


def test_a_disabled_connection_hears_nothing_though_signed(door):
    body = ninjahire_event()
    assert door.post("/webhooks/resting", body, signed_by_ninjahire(body)).status_code == 401
    assert door.is_untouched()


def test_each_flipped_bit_is_seen(door):
    body, chance = workable_event(), random.Random(5)
    signature = signed_by_workable(body)
    for _ in range(200):
        place = chance.randrange(len(body) * 8)
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        assert door.post("/webhooks/acme", bytes(flipped), signature).status_code == 401
    assert door.is_untouched()


def test_a_stale_delivery_is_refused(door):
    body = ninjahire_event()
    for at in (START - 301, START + 301):
        assert door.post("/webhooks/screener", body, signed_by_ninjahire(body, at)).status_code == 401
    assert door.is_untouched()


def test_a_body_beyond_the_cap_is_refused_unread(door):
    body = b"x" * (webhooks.LONGEST_BODY + 1)
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 413
    assert door.is_untouched()
    assert door.counted("acme", "too_long") == 1


def test_a_body_of_untold_length_is_cut_at_the_cap(door):
    async def endless():
        while True:
            yield b"x" * 65536

    assert door.post("/webhooks/acme", endless()).status_code == 413


def test_a_body_at_the_cap_is_read(door):
    body = workable_event().ljust(webhooks.LONGEST_BODY)
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200


def test_too_many_headers_are_refused(door):
    body = workable_event()
    headers = {f"X-Padding-{number}": "1" for number in range(65)}
    assert door.post("/webhooks/acme", body, {**headers, **signed_by_workable(body)}).status_code == 431
    assert door.is_untouched()


def test_a_body_that_does_not_come_is_not_waited_for(door, monkeypatch):
    monkeypatch.setattr(webhooks, "READ_S", 0.05)

    async def slow():
        yield b"{"
        await asyncio.sleep(30)

    assert door.post("/webhooks/acme", slow()).status_code == 408
    assert door.counted("acme", "slow") == 1


def test_a_sender_who_hangs_up_before_the_end_is_counted_and_no_error(door):
    heard = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(heard)

    async def answered(message):
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": "/webhooks/acme", "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 8080), "root_path": "",
    }  # fmt: skip
    run_stepped(door.clock, door.asgi(scope, receive, answered))
    assert sent == [400]
    assert door.counted("acme", "gone") == 1
    assert door.is_untouched()


def test_a_store_that_is_down_says_later(door):
    def broken(moment):
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk full"))

    door.app.store.around = broken
    body = workable_event()
    answer = door.post("/webhooks/acme", body, signed_by_workable(body))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    door.app.store.around = lambda moment: None
    assert door.is_untouched()
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200


def test_the_answer_follows_the_commit(door):
    """Not only in its body: the first byte is sent when the event is kept."""
    seen = []
    door.app.store.around = seen.append
    asgi, body = door.asgi, workable_event()

    async def watched(scope, receive, send):
        async def sending(message):
            seen.append(message["type"])
            await send(message)

        await asgi(scope, receive, sending)

    door.asgi = watched
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
    assert seen == ["before", "after", "http.response.start", "http.response.body"]


def test_what_an_event_names_is_bounded(door):
    for number, row in enumerate(["x" * 201, "nul\x00", "new\nline"]):
        body = workable_event(f"e{number}", row)
        assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
    assert door.marks == set()


def test_a_long_event_id_is_kept_as_a_digest(door):
    body = workable_event("e" * 5000)
    door.post("/webhooks/acme", body, signed_by_workable(body))
    door.post("/webhooks/acme", body, signed_by_workable(body))
    [kept] = door.rows(schema.inbox)
    assert len(kept["event"]) < 50


def test_old_events_are_forgotten(door):
    for name, age_s in (("old", 15 * 86400.0), ("young", 13 * 86400.0)):
        row = {"connection": "acme", "event": f"id {name}", "refs": [], "received_at": START - age_s}
        door.change(sa.insert(schema.inbox).values(row))
    assert door.app.store.run_now(webhooks.prune, START) == 1
    assert [row["event"] for row in door.rows(schema.inbox)] == ["id young"]


TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "X-Workable-Signature",
            "X-NINJAHIRE-Signature",
            "X-NINJAHIRE-Timestamp",
            "Content-Type",
            "X-WorkSignal-Signature",
        ]
    ),
    st.one_of(TEXTS, st.just(str(int(START))), st.just("application/x-www-form-urlencoded")),
)


@examples(150)
@given(
    path=st.sampled_from(["acme", "acme/candidate_moved", "screener", "voice", "voice/x", "nobody", "%00", "%ff/%2e"]),
    body=st.one_of(st.binary(max_size=200), st.just(workable_event()), st.just(b"[" * 5000)),
    headers=HEADERS,
    method=st.sampled_from(["POST", "PUT", "PATCH", "GET", "DELETE"]),
)
def test_no_bytes_upset_the_door(path, body, headers, method):
    door = SHARED
    answer = door.post(f"/webhooks/{path}", body, headers, method=method)
    assert answer.status_code in {401, 405}
    assert door.is_untouched()


@examples(100)
@given(body=st.one_of(st.binary(max_size=100), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "data", "event_type", "shortcode", "application_id"]), inner, max_size=4),
    max_leaves=8,
).map(lambda value: __import__("json").dumps(value).encode())))  # fmt: skip
def test_whatever_is_signed_is_kept(body):
    door = SHARED_TOO
    assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
    assert door.post("/webhooks/screener/x", body, signed_by_ninjahire(body)).status_code in {200, 401}
    assert {kind for _, kind, _ in door.marks} <= {kind.value for kind in Kind}


SHARED, SHARED_TOO = Door(), Door()
