"""The daemon as a real process: webhooks survive kills, stops are clean, a second daemon waits and takes over."""

import hashlib
import hmac
import signal

import orjson
import pytest
import sqlalchemy as sa

from syncd import schema
from tests.integration.played import TOKEN, place, systems, until


@pytest.fixture
def played():
    with systems() as made:
        yield made


@pytest.fixture
def here(tmp_path, played, sqlite_url):
    with place(tmp_path, played, sqlite_url) as made:
        yield made


def links(here):
    linked = sa.select(schema.links.c.id).where(schema.links.c.left.is_not(None), schema.links.c.right.is_not(None))
    return len(here.rows(linked))


def in_step(daemon):
    return "everything is in step" in daemon.get("/").text


def event(row, number=1):
    body = orjson.dumps({"id": f"e{number}", "event_type": "candidate_moved", "data": {"id": row}})
    return body, {"X-Workable-Signature": hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()}


def gets_of(played, row):
    return sum(1 for call in played.workable.arrivals if call.method == "GET" and call.path.endswith(row))


def test_it_syncs_and_says_so(here, played):
    daemon = here.start().wait_ready()
    until(lambda: in_step(daemon), 60, lambda: daemon.get("/").text + daemon.told())
    assert len(played.boxes["worksignal"].snapshot()["candidate"]) == 5
    metrics = daemon.get("/metrics")
    assert metrics.status_code == 200
    assert not metrics.history
    assert 'syncd_calls_total{connection="acme",method="GET",outcome="ok"}' in metrics.text
    assert 'syncd_writes_total{call="create",connection="voice",kind="application"} 5.0' in metrics.text
    assert daemon.get("/healthz").text == "ok\n"
    [reached] = here.rows(sa.select(schema.connections).where(schema.connections.c.name == "voice"))
    until(
        lambda: here.rows(sa.select(schema.connections.c.reached_at).where(schema.connections.c.name == "voice"))[0][0]
    )
    assert reached.system == "worksignal"
    assert daemon.stop() == 0


def test_a_webhook_is_kept_before_its_answer_and_survives_a_kill(here, played):
    daemon = here.start().wait_ready()
    until(lambda: in_step(daemon), 60, daemon.told)
    row = next(iter(played.workable.snapshot()["candidate"]))
    before = gets_of(played, row)
    body, signature = event(row)
    assert daemon.post("/webhooks/acme", body, signature).status_code == 200
    daemon.kill()
    assert [kept.event for kept in here.rows(sa.select(schema.inbox))] == ["id e1"]
    again = here.start().wait_ready()
    until(lambda: gets_of(played, row) > before, 30, again.told)
    until(lambda: not here.rows(sa.select(schema.marks)))
    assert again.post("/webhooks/acme", body, signature).status_code == 200
    assert 'syncd_webhooks_total{connection="acme",result="duplicate"} 1.0' in again.get("/metrics").text


def test_a_move_told_by_webhook_alone_reaches_the_other_system(here, played):
    daemon = here.start().wait_ready()
    until(lambda: in_step(daemon), 60, daemon.told)
    moved, before = next(iter(played.workable.snapshot()["application"].items()))
    stage = "Offer" if before["stage"] != "Offer" else "Phone Screen"
    stages = [each["stage"] for each in played.boxes["worksignal"].snapshot()["application"].values()]
    played.workable.move(moved, stage)
    daemon.post("/webhooks/acme", *event(moved))
    snapshot = played.boxes["worksignal"].snapshot
    until(
        lambda: [each["stage"] for each in snapshot()["application"].values()] != stages,
        30,
        lambda: f"{before} {stage} {stages}\n{daemon.told()}",
    )


def test_a_stop_during_writes_leaves_nothing_half_done(here, played):
    for system in ("ninjahire", "worksignal"):
        played.boxes[system].lag = lambda: 0.4
    daemon = here.start()
    daemon.wait_ready()
    sent = sa.select(schema.intents.c.id).where(schema.intents.c.state == "sent")
    until(lambda: here.rows(sent), 60, daemon.told)
    assert daemon.stop() == 0
    assert not here.rows(sent)
    assert not here.rows(sa.select(schema.intents.c.id).where(schema.intents.c.state == "unknown"))
    assert "died" not in daemon.told()


def test_ctrl_c_is_a_clean_stop_too(here):
    daemon = here.start().wait_ready()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(30) == 0


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_second_daemon_waits_and_takes_over(tmp_path, played, store_url, how):
    with place(tmp_path, played, store_url) as here:
        first = here.start().wait_ready()
        second = here.start()
        until(lambda: '"action":"waiting"' in second.told(), 30)
        assert second.process.poll() is None
        assert second.told().count("waiting") == 1
        getattr(first, how)()
        second.wait_ready()
        assert second.stop() == 0


def test_a_daemon_that_waits_can_be_stopped(here):
    here.start().wait_ready()
    second = here.start()
    until(lambda: "waiting" in second.told(), 30)
    assert second.stop() == 0


def test_no_mistake_in_a_request_leaves_a_trace_in_the_log(here):
    daemon = here.start().wait_ready()
    for path in ("/webhooks/acme", "/webhooks/nobody/x", "/webhooks/voice/%00%ff"):
        assert daemon.post(path, b"\x00\xff", {"X-Workable-Signature": "x"}).status_code == 401
    assert "Traceback" not in daemon.told()
    assert '"level":"error"' not in daemon.told()
