"""Who a record is about: shown to whoever is signed in, where the operator wants that, and kept nowhere."""

import io
import random
import re
from functools import partial
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa
from starlette.responses import PlainTextResponse

from syncd import logs, page, schema, server
from syncd.app import load_plugins
from syncd.clock import SteppedClock, run_stepped
from syncd.crosscheck import examine
from syncd.limits import Priority
from syncd.metrics import Metrics
from syncd.model import Kind, Ref
from syncd.page_who import who_page
from syncd.sandbox import Fault
from syncd.site import Source
from syncd.switches import start, stop
from syncd.who import who
from tests.unit.small_app import START, app_of, config_of

FIRST, LAST, MAIL = "Qxvornamark", "Wzeltmark<b>", "qxmailmark@example.com"
MARKS = (FIRST, "Wzeltmark", "qxmailmark", "2025557391")
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}
PAGE_TOKEN = "a_page_token_of_many_signs"
SIGNED_IN = {"Authorization": f"Bearer {PAGE_TOKEN}"}
ON = {"page_token": PAGE_TOKEN, "show_people": True}
FORM_TOKEN = (b"7" * 32).hex()
BUTTON = "Show who this is"
ASKED_FOR = pytest.mark.shows_values("the page shows who it is to whoever is signed in and asks")


class Office:
    """Three systems, of which one knows a marked person; all of it was read once."""

    def __init__(self):
        self.clock, plugins, self.boxes = SteppedClock(START, frozen=True), load_plugins(), {}
        for number, (name, system) in enumerate(SYSTEMS.items()):
            self.boxes[name] = plugins[system].sandbox(clock=self.clock, rng=random.Random(number), limits=())
        job = self.boxes["acme"].add_job(title="Night Nurse", code="J1", department="Care")
        self.row = self.boxes["acme"].apply(
            job, firstname=FIRST, lastname=LAST, email=MAIL, phone="+12025557391", stage="Phone Screen"
        )
        self.app = app_of(config_of(), clock=self.clock, boxes=self.boxes)
        run_stepped(self.clock, self.app.engine.learn())
        values = {"pair": "screening", "connection": "acme", "kind": "candidate", "ref": self.row, "reason": "no_email"}
        with self.app.store.engine.begin() as connection:
            connection.execute(sa.insert(schema.holds).values({**values, "opened_at": START}))

    def calls(self):
        return sum(len(box.arrivals) for box in self.boxes.values())

    def site(self, **settings):
        app, metrics = self.app, Metrics(version="0")
        app.engine.listeners[:] = [metrics.listen]

        async def facts():
            return await app.store.run(page.facts_of, app.world, self.clock.now())

        async def ask(question, *arguments):
            return await app.store.run(question, app.world, *arguments)

        async def measured():
            return metrics.render()

        async def receive(request):
            return PlainTextResponse("kept\n")

        pages = Source(facts, ask, list, who=partial(who, app.engine))
        config = config_of(**settings)
        return server.build_app(
            config.server,
            pages=pages,
            measured=measured,
            troubles=list,
            receive=receive,
            entropy=lambda size: b"7" * size,
        )

    def ask(self, asgi, method, path, *, headers=None, peer="127.0.0.1", **kwargs):
        async def main():
            transport = httpx.ASGITransport(app=asgi, client=(peer, 4000))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                return await client.request(method, path, headers=headers, **kwargs)

        return run_stepped(self.clock, main())

    def press(self, asgi, *, headers=None, peer="127.0.0.1", **changes):
        """Send what the button sends that the record's story shows; some of it changed."""
        fields = {"connection": "acme", "kind": "candidate", "id": self.row, "form_token": FORM_TOKEN, **changes}
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.ask(asgi, "POST", "/who", content=urlencode(fields), headers=sent, peer=peer)

    def pages(self, asgi, **kwargs):
        paths = ("/", "/held", "/changes", f"/record?id={self.row}", "/metrics")
        return [self.ask(asgi, "GET", path, **kwargs).text for path in paths]


@pytest.fixture(scope="module")
def office():
    return Office()


def marks_in(text):
    return [mark for mark in MARKS if mark in text]


# --- who may see it


@ASKED_FOR
def test_whoever_is_signed_in_sees_name_mail_stage_and_a_link(office):
    answer = office.press(office.site(**ON), headers=SIGNED_IN)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", answer.text))
    assert told == {
        "Name": f"{FIRST} Wzeltmark&lt;b&gt;",
        "E-mail": MAIL,
        "Stage at acme": "Phone Screen",
    }
    assert 'rel="noreferrer noopener external"' in answer.text
    assert "<title>Who this is · syncd</title>" in answer.text  # the browser's history bears no name
    assert "No candidate&#x27;s data is on these pages" not in answer.text


@ASKED_FOR
def test_whoever_a_proxy_vouches_for_sees_it_too(office):
    asgi = office.site(proxy_header="X-Forwarded-User", proxies=["10.0.0.5"], show_people=True)
    assert FIRST in office.press(asgi, headers={"X-Forwarded-User": "ada"}, peer="10.0.0.5").text


@pytest.mark.parametrize(
    ("settings", "headers"),
    [({"page_token": PAGE_TOKEN}, SIGNED_IN), ({"show_people": True}, {}), ({}, {})],
    ids=["switched off", "not signed in", "neither"],
)
def test_nobody_else_is_shown_anybody(office, settings, headers):
    asgi, before = office.site(**settings), office.calls()
    for text in office.pages(asgi, headers=headers):
        assert marks_in(text) == []
        assert BUTTON not in text
    refused = office.press(asgi, headers=headers)
    assert refused.status_code == 403
    assert "Only who is signed in may see that" in refused.text
    assert marks_in(refused.text) == []
    assert office.calls() == before


def test_a_form_that_is_not_ours_shows_nobody(office):
    asgi, before = office.site(**ON), office.calls()
    for forged in (
        office.press(asgi, headers=SIGNED_IN, form_token="0" * 64),
        office.press(asgi, headers={**SIGNED_IN, "Sec-Fetch-Site": "cross-site"}),
        office.ask(asgi, "GET", f"/who?connection=acme&kind=candidate&id={office.row}", headers=SIGNED_IN),
    ):
        assert forged.status_code in {403, 405}
        assert marks_in(forged.text) == []
    assert office.calls() == before


def test_to_switch_it_on_where_nobody_signs_in_is_worth_a_look():
    worry = "server.show_people: shows nobody, because nobody is signed in without page_token or proxy_header"
    plugins = load_plugins()
    assert worry in examine(config_of(show_people=True), plugins).warnings
    assert worry not in examine(config_of(**ON), plugins).warnings
    assert worry not in examine(config_of(), plugins).warnings


# --- what it costs and leaves behind


@ASKED_FOR
def test_only_a_press_costs_a_call_and_each_asks_anew(office):
    asgi, before, arrived = office.site(**ON), office.calls(), len(office.boxes["acme"].arrivals)
    texts = office.pages(asgi, headers=SIGNED_IN)
    assert f'name="form_token" value="{FORM_TOKEN}"' in texts[3]
    assert [BUTTON in text for text in texts] == [False, True, False, True, False]
    assert [marks_in(text) for text in texts] == [[]] * 5
    assert office.calls() == before
    for _ in range(2):
        office.press(asgi, headers=SIGNED_IN)
    asked = [arrival.path.rpartition("/v3/")[2] for arrival in office.boxes["acme"].arrivals[arrived:]]
    assert asked.count(f"candidates/{office.row}") == 2


@ASKED_FOR
def test_nothing_of_it_is_left_behind(office):
    log = io.StringIO()
    logs.configure(log, office.clock, level="debug", form="json")
    asgi = office.site(**ON)
    assert marks_in(office.press(asgi, headers=SIGNED_IN).text)
    with office.app.store.engine.connect() as connection:
        kept = [list(connection.execute(sa.select(table))) for table in schema.metadata.sorted_tables]
    assert marks_in(str(kept)) == []
    assert "who_shown" in log.getvalue()
    assert marks_in(log.getvalue()) == []
    assert [marks_in(text) for text in office.pages(asgi, headers=SIGNED_IN)] == [[]] * 5


# --- what cannot be told


def test_what_syncd_does_not_know_is_not_asked_for(office):
    asgi, before = office.site(**ON), office.calls()
    for wrong in ({"id": "another"}, {"connection": "nowhere"}, {"kind": "job"}, {"kind": "nothing"}, {"id": ""}):
        assert "syncd knows no such record." in office.press(asgi, headers=SIGNED_IN, **wrong).text
    assert office.calls() == before


def test_a_stop_holds_here_too(office):
    office.app.store.run_now(stop, "connection/acme", "by hand", START)
    before = office.calls()
    assert "acme is stopped" in office.press(office.site(**ON), headers=SIGNED_IN).text
    office.app.store.run_now(start, "connection/acme")
    assert office.calls() == before


def test_a_lane_that_rests_is_left_alone(office):
    lane, before = office.app.engine.lanes["acme"], office.calls()
    lane.parked[Priority.READ] = office.clock.now() + 60.0
    assert "acme takes no calls for a while" in office.press(office.site(**ON), headers=SIGNED_IN).text
    lane.parked.clear()
    assert office.calls() == before


def test_a_system_that_is_away_is_a_sentence(office):
    calm, office.boxes["acme"].faults = office.boxes["acme"].faults, lambda method, path: Fault.ERROR_BEFORE
    answer = office.press(office.site(**ON), headers=SIGNED_IN)
    office.boxes["acme"].faults = calm
    assert "acme does not tell now." in answer.text
    assert 'role="alert"' in answer.text
    assert answer.status_code == 200


def test_an_application_whose_person_is_told_elsewhere_offers_to_ask_there():
    told = {"name": None, "email": None, "stage": "Screening", "url": "javascript:alert(1)", "candidate": "c1"}
    text = who_page({"connection": "screener", "kind": "application", "id": "a1"}, told, "token")
    assert "<dd>Screening</dd>" in text
    assert 'name="id" value="c1"' in text
    assert "javascript" not in text


def test_an_application_names_its_own_person(office):
    asked = who(office.app.engine, "acme", Ref(Kind.APPLICATION, office.row))
    told = run_stepped(office.clock, asked)
    assert (told["email"], told["stage"], told["candidate"]) == (MAIL, "Phone Screen", office.row)
