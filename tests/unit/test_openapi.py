"""The description of the port (docs/openapi.yaml) names each route, and each answer is as it says, whatever is sent."""

import asyncio
import io
import random
import re
from pathlib import Path

import httpx
import pytest
import requests
import schemathesis
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

from syncd import logs, webhooks
from syncd.app import load_plugins
from syncd.clock import run_stepped
from syncd.commands import run_command
from syncd.owner import Nobodys
from syncd.reach import ReachMetrics
from syncd.serve import Daemon
from syncd.server import build_app
from tests.unit.small_app import app_of, config_of, signed_by_workable

FILE = Path(__file__).parents[2] / "docs" / "openapi.yaml"
DESCRIBED = yaml.safe_load(FILE.read_text())
SCHEMA = schemathesis.openapi.from_dict(DESCRIBED)
OPERATIONS = [(path, method) for path, methods in DESCRIBED["paths"].items() for method in methods]
PAGE_TOKEN = "a-page-token-of-32-signs-or-so---"
JUDGES = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)
MOSTLY = st.sampled_from([True, True, False])
FORMS = {  # what each form takes
    "/resolve": {"hold": "1", "choice": "left", "back": "/held"},
    "/walk": {"connection": "acme", "walk": "candidates"},
    "/who": {"connection": "acme", "kind": "candidate", "id": "1"},
    "/enter": {"page_token": PAGE_TOKEN},
}
OF_OURS = re.compile(rb'Traceback|File "|site-packages|sqlalchemy|SELECT |INSERT |\.py\b|Error:')
load_all_checks()


class Port:
    """The daemon's own port over a real app, asked in this process."""

    def __init__(self):
        config = config_of(page_token=PAGE_TOKEN, show_people=True)
        boxes = {
            name: load_plugins()[system].sandbox(clock=None, rng=random.Random(1))
            for name, system in (("acme", "workable"), ("screener", "ninjahire"), ("voice", "worksignal"))
        }
        self.app = app_of(config, boxes=boxes)
        self.clock = self.app.store.clock
        for box in boxes.values():
            box.clock = self.clock
            box.fill(jobs=2, people=5)
        metrics = ReachMetrics(self.clock)
        daemon = Daemon(self.app, metrics, Nobodys(), asyncio.Event(), run_command)
        paths = {"voice": "a_path_that_nobody_guesses_0123456789"}
        receiver = webhooks.Receiver(self.app.engine, webhooks.ears_of(self.app.engine, paths), metrics)
        self.asgi = build_app(
            config.server,
            pages=daemon._pages(),
            measured=daemon._measured,
            troubles=daemon.troubles,
            receive=receiver.receive,
            entropy=random.Random(9).randbytes,
        )
        self.form_token = random.Random(9).randbytes(32).hex()
        run_stepped(self.clock, self._begin())

    async def _begin(self):
        await self.app.engine.begin()

    @property
    def routes(self):
        return self.asgi._app.routes

    def ask(self, method, path, **kwargs):
        async def main():
            transport = httpx.ASGITransport(app=self.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                return await client.request(method, path, **kwargs)

        return run_stepped(self.clock, main())


@pytest.fixture(scope="module")
def port():
    made = Port()
    yield made
    run_stepped(made.clock, made.app.close())


# --- the description is whole -----------------------------------------------------------------------------------------


def test_each_route_is_described_and_each_that_is_described_is_there(port):
    there = {(route.path, method.lower()) for route in port.routes for method in route.methods - {"HEAD"}}
    assert there == set(OPERATIONS)


def test_whoever_may_ask_for_a_page_may_ask_for_its_head(port):
    for route in port.routes:
        assert ("HEAD" in route.methods) == ("GET" in route.methods)


def test_the_token_is_wanted_just_where_the_description_says(port):
    for path, method in OPERATIONS:
        told = DESCRIBED["paths"][path][method]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = port.ask(method, path.format(name="page.css", connection="x", event="y"), headers=form)
        is_open = not told["security"]
        assert (answer.status_code == 401 and b"page_token" in answer.content) is (not is_open or path == "/enter")


# --- and true ---------------------------------------------------------------------------------------------------------


def judged(case, answer):
    """The answer is as described, and shows nothing of our inside."""
    case.validate_response(answer, checks=[*JUDGES] if "/readyz" not in str(answer.url) else [*JUDGES[1:]])
    assert not OF_OURS.search(answer.content)


def sharpened(case, data, port):
    """Now and then what a draw is unlikely to hit: names that are there, and the token of our forms."""
    here = case.path_parameters or {}
    if "name" in here and data.draw(st.booleans()):
        here["name"] = data.draw(st.sampled_from(["page.css", "page.js", "icon.svg"]))
    if "connection" in here and data.draw(MOSTLY):
        here["connection"] = data.draw(st.sampled_from(["acme", "acme", "acme", "screener", "resting"]))
        here |= {"event": "candidate_moved"} if "event" in here else {}
    if isinstance(case.body, dict) and case.path in FORMS and data.draw(MOSTLY):
        case.body = {**case.body, **FORMS[case.path], "form_token": port.form_token}
        if not data.draw(MOSTLY):
            known = st.sampled_from(["acme", "candidates", "candidate", "1", "left", "/record"])
            case.body[data.draw(st.sampled_from(sorted(case.body)))] = data.draw(known)


def asked(port, case, *, has_token, is_signed):
    """Send a case as its own library would; with a token of ours it brings none of its own."""
    if has_token:
        case.query, case.cookies = {name: told for name, told in (case.query or {}).items() if name != "token"}, {}
    headers = {"Authorization": f"Bearer {PAGE_TOKEN}"} if has_token else {}
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1:8080", headers=headers)).prepare()
    body = sent.body.encode("utf-8", "surrogateescape") if isinstance(sent.body, str) else sent.body
    signature = signed_by_workable(body or b"") if is_signed else {}
    return port.ask(sent.method, sent.url, content=body, headers={**sent.headers, **signature})


FITTING, UNFIT = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
REFUSES = ["/", "/held", "/record", "/resolve", "/walk", "/who", "/enter", "/metrics"]  # the rest takes anything
PLAYED = [(FITTING, *each) for each in OPERATIONS] + [(UNFIT, *each) for each in OPERATIONS if each[0] in REFUSES]


@pytest.mark.parametrize(("mode", "path", "method"), PLAYED, ids=lambda told: getattr(told, "value", told))
def test_whatever_is_sent_the_answer_is_as_described(port, mode, path, method):
    told = set()

    @settings(suppress_health_check=[*HealthCheck], max_examples=settings().max_examples // 4)
    @given(data=st.data())
    def send(data):
        case = data.draw(SCHEMA[path][method].as_strategy(generation_mode=mode))
        sharpened(case, data, port)
        answer = asked(port, case, has_token=data.draw(MOSTLY), is_signed=data.draw(MOSTLY))
        told.add(answer.status_code)
        judged(case, answer)

    send()
    assert mode is UNFIT or path == "/readyz" or min(told) < 400, "nothing was let in"


@pytest.mark.parametrize("fields", [{}, {"connection": "nobody"}, {"connection": "acme", "walk": "nothing"}])
def test_a_list_that_is_not_there_is_no_error_of_ours(port, fields):
    form = {"form_token": port.form_token, **fields}
    answer = port.ask("POST", "/walk", data=form, headers={"Authorization": f"Bearer {PAGE_TOKEN}"})
    assert answer.status_code == 303
    told = port.ask("GET", answer.headers["location"], headers={"Authorization": f"Bearer {PAGE_TOKEN}"})
    assert "Not done: no list is called" in told.text


def test_a_store_that_does_not_answer_is_told_as_described(port, monkeypatch):
    def broken(moment):
        raise sa.exc.OperationalError("SELECT", {}, Exception("disk I/O error"))

    log = io.StringIO()
    logs.configure(log, port.clock)
    run_stepped(port.clock, port.clock.sleep_until(port.clock.now() + 2.0))  # what was looked up before is old
    monkeypatch.setattr(port.app.store, "around", broken)
    for path in ("/", "/held", "/changes", "/record?id=x", "/metrics"):
        answer = port.ask("GET", path, headers={"Authorization": f"Bearer {PAGE_TOKEN}"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30"), path
        assert not OF_OURS.search(answer.content)
    assert "The store does not answer." in log.getvalue()
