"""The daemon as a real process: webhooks survive kills, stops are clean, a second daemon waits and takes over."""

import asyncio
import hashlib
import hmac
import os
import random
import re
import signal
import socket
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import orjson
import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.app import load_plugins
from syncd.backfill import backfill
from syncd.clock import WallClock
from syncd.errors import ConfigInvalid
from syncd.handover import ask_owner
from syncd.owner import FileLock
from syncd.serve import serve
from syncd.settings import Config, Server
from tests.integration.played import TOKEN, place, systems, until
from tests.unit.small_app import config_of


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
    return "Everything is in step" in daemon.get("/").text


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


def test_a_button_of_the_page_lets_a_list_be_read_at_once(here, played):
    daemon = here.start().wait_ready()
    until(lambda: in_step(daemon), 60, daemon.told)
    before = len(list_calls(played))
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', daemon.get("/").text)[1]
    asked = {"form_token": token, "connection": "acme", "walk": "candidates", "how": "poll"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = daemon.post("/walk", urlencode(asked).encode(), form)
    assert answer.status_code == 303
    text = daemon.get(answer.headers["location"]).text
    assert "acme candidates is looked at now." in re.findall(r"told[^>]*>([^<]*)<", text)
    until(lambda: len(list_calls(played)) > before, 20, daemon.told)
    assert daemon.post("/walk", urlencode({**asked, "form_token": "guess"}).encode(), form).status_code == 403
    assert daemon.stop() == 0


def list_calls(played):
    return [call for call in played.workable.arrivals if call.path.endswith("/candidates")]


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


@pytest.mark.parametrize(("database", "how"), [("sqlite", "kill"), ("postgresql", "kill"), ("sqlite", "stop")])
def test_a_second_daemon_waits_and_takes_over(request, tmp_path, played, database, how):
    with place(tmp_path, played, request.getfixturevalue(f"{database}_url")) as here:
        first = here.start().wait_ready()
        second = here.start()
        until(lambda: '"action":"waiting"' in second.told(), 30)
        assert second.process.poll() is None
        assert second.told().count("waiting") == 1
        getattr(first, how)()
        second.wait_ready()
        assert second.stop() == 0


def test_a_daemon_that_waits_can_be_stopped(here):
    first = here.start().wait_ready()
    second = here.start()
    until(lambda: "waiting" in second.told(), 30)
    assert second.stop() == 0
    first.process.send_signal(signal.SIGINT)  # Ctrl-C is a clean stop too
    assert first.process.wait(30) == 0


# --- in this process


def in_process(url):
    made = config_of(listen="127.0.0.1:0").model_dump()
    made["store"] = {"url": url, "key": "0" * 64}
    connections = dict(made["connections"].items())
    del connections["resting"], made["pairs"]["voices"], connections["voice"]
    for connection in connections.values():
        connection["limits"] = ["500/1s"]
    connections["screener"]["defaults"] = {
        "industry": "Software", "state": "CA", "country": "United States", "description": "See Workable.",
        "recruiter_name": "Talent team", "recruiter_email": "talent@example.com", "recruiter_phone": "+12025550100",
        "source": "Workable", "phone": "+12025550199",
    }  # fmt: skip
    return Config.model_validate({**made, "connections": connections})


class Buggy:
    """A connector in which one verb has a bug for each one in the list."""

    def __init__(self, inner, verb, bugs):
        self.inner, self.verb, self.bugs = inner, verb, bugs

    def __getattr__(self, name):
        if name == self.verb and self.bugs:
            raise self.bugs.pop()
        return getattr(self.inner, name)


def serving(url, scene, *, bug_in="", bugs=(), run_command=None):
    """Run the daemon in this process while a scene plays; what the scene returns, and the exit code."""
    plugins, clock = load_plugins(), WallClock()
    boxes = {
        name: plugins[system].sandbox(clock=clock, rng=random.Random(7), limits=())
        for name, system in (("acme", "workable"), ("screener", "ninjahire"))
    }
    boxes["acme"].fill(jobs=2, people=4, again=0.0)
    made = plugins["workable"].connect
    plugins["workable"] = replace(plugins["workable"], connect=lambda *given: Buggy(made(*given), bug_in, bugs))

    async def main():
        stopping, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        daemon = asyncio.ensure_future(
            serve(
                in_process(url), plugins, clock=clock, rng=random.Random(1), entropy=os.urandom, stopping=stopping,
                network=lambda name: httpx.ASGITransport(app=boxes[name]), on_ready=ready.set_result,
                run_command=run_command,
            )
        )  # fmt: skip
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            await asyncio.wait([daemon, ready], return_when=asyncio.FIRST_COMPLETED)
            if daemon.done():
                return daemon.result()
            client.base_url = ready.result()
            try:
                told = await scene(client, boxes)
            finally:
                stopping.set()
                code = await daemon
            return told, code

    return asyncio.run(main())


async def stands(client, path, wanted):
    while wanted not in (answer := await client.get(path)).text:
        await asyncio.sleep(0.05)
    return answer


def test_a_first_look_that_dies_of_a_bug_is_begun_again(sqlite_url, capsys):
    async def scene(client, boxes):
        died = await stands(client, "/readyz", "died")
        await stands(client, "/", "Everything is in step")
        return died.status_code, (await client.get("/readyz")).status_code

    bugs = [ZeroDivisionError("a bug")]
    assert serving(sqlite_url, scene, bug_in="pull", bugs=bugs) == ((503, 200), 0)
    assert "ZeroDivisionError" in (told := capsys.readouterr().out)
    assert "a bug" not in told


def test_a_lane_that_dies_of_a_bug_is_begun_again(sqlite_url):
    bugs = []

    async def scene(client, boxes):
        await stands(client, "/", "Everything is in step")
        bugs.append(ZeroDivisionError("a bug"))
        row = next(iter(boxes["acme"].snapshot()["candidate"]))
        body, signature = event(row)
        await client.post("/webhooks/acme", content=body, headers=signature)
        await stands(client, "/readyz", "died")
        await stands(client, "/readyz", "true")
        await stands(client, "/", "Everything is in step")

    assert serving(sqlite_url, scene, bug_in="get", bugs=bugs) == (None, 0)
    assert not bugs


def test_a_backfill_asked_for_meanwhile_has_the_lanes_for_itself(sqlite_url):
    async def run_command(app, command, arguments, progress):
        return await backfill(app, progress=progress)

    async def scene(client, boxes):
        await stands(client, "/", "Everything is in step")
        told = []
        result = await ask_owner(in_process(sqlite_url), "backfill", {}, told.append)
        row = next(iter(boxes["acme"].snapshot()["application"]))
        boxes["acme"].move(row, "Offer")
        body, signature = event(row)
        assert (await client.post("/webhooks/acme", content=body, headers=signature)).status_code == 200
        stages = boxes["screener"].snapshot
        while not any("Offer" in str(each) for each in stages()["application"].values()):
            await asyncio.sleep(0.05)
        return result["pages"], len(told) > 0

    (pages, has_told), code = serving(sqlite_url, scene, run_command=run_command)
    assert (set(pages), has_told, code) == ({"acme", "screener"}, True, 0)


def test_a_store_in_a_folder_that_is_not_there_is_a_mistake_of_the_config(tmp_path):
    async def scene(client, boxes):
        raise AssertionError

    with pytest.raises(ConfigInvalid, match=r"store\.url"):
        serving(f"sqlite:///{tmp_path}/nowhere/syncd.db", scene)


def test_a_taken_port_ends_the_start_and_leaves_the_store(tmp_path):
    url = f"sqlite:///{tmp_path}/syncd.db"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = in_process(url).model_copy(update={"server": Server(listen=f"127.0.0.1:{taken.getsockname()[1]}")})
        with pytest.raises(ConfigInvalid, match=r"server\.listen"):
            asyncio.run(serve(config, load_plugins(), clock=WallClock(), rng=random.Random(1), entropy=os.urandom))
    assert FileLock(tmp_path / "syncd.db").take()
