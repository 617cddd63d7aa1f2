"""Webhook subscriptions: what the pairs need stands at the systems, once; what is somebody else's stays as it is."""

import asyncio
import hashlib
import hmac
import random

import httpx
import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from syncd import schema, subscriptions, switches, watch, webhooks
from syncd.app import load_plugins
from syncd.clock import SteppedClock, run_stepped
from syncd.errors import Unavailable
from syncd.metrics import Metrics
from syncd.reach import ReachMetrics
from syncd.sandbox import Fault, Hook
from syncd.settings import Config
from syncd.store import remember
from syncd.subscriptions import State
from tests.laws import examples
from tests.unit.small_app import START, TOKEN, app_of

PUBLIC = "https://sync.example.test"
ELSEWHERE = "https://elsewhere.example.test/hooks/1"
NEEDED = {
    "acme": {"candidate_created", "candidate_deleted", "candidate_moved", "job_deleted"},
    "screener": {"application_activty"},
    "voice": {
        "application.created", "application.stage_changed", "candidate.passed", "candidate.rejected",
        "candidate.hired", "candidate.withdrawn",
    },
}  # fmt: skip
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}
WRITES = {"POST", "PATCH", "DELETE"}


class World:
    """Three systems and an app on them. ``app`` is made anew by ``restart``, over the same store."""

    def __init__(self, *, public=PUBLIC, applications="<->", screener=None, voice=None):
        self.clock = SteppedClock(START, frozen=True)
        plugins = load_plugins()
        self.boxes = {
            name: plugins[system].sandbox(clock=self.clock, rng=random.Random(3), limits=())
            for name, system in SYSTEMS.items()
        }
        self.tenant_id = self.boxes["screener"].subscriptions.tenant_id
        self.settings = {
            "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
            "server": {"public_url": public} if public else {},
            "connections": {
                "acme": {"system": "workable", "base_url": "https://acme.example.test", "token": TOKEN,
                         "member": "ops@example.com"},
                "screener": {
                    "system": "ninjahire", "token": TOKEN, "tenant_id": self.tenant_id, "limits": ["60/1m"],
                    **(screener or {}),
                },
                "voice": {"system": "worksignal", "token": TOKEN, **(voice or {})},
            },
            "pairs": {
                "screening": {"left": "acme", "right": "screener", "jobs": "->", "candidates": "->",
                              "applications": applications},
                "voices": {"left": "acme", "right": "voice", "jobs": "->", "candidates": "->",
                           "applications": applications},
            },
        }  # fmt: skip
        self.app = app_of(Config.model_validate(self.settings), clock=self.clock, boxes=self.boxes)

    def play(self, name, **methods):
        """Let a system be played otherwise; routes are bound when a sandbox is made, so it is made anew."""
        made = type("Otherwise", (type(self.boxes[name]),), methods)
        self.boxes[name] = made(clock=self.clock, rng=random.Random(4), limits=())
        self.app = app_of(Config.model_validate(self.settings), clock=self.clock, boxes=self.boxes)

    def run(self, coroutine):
        return run_stepped(self.clock, coroutine)

    def register(self, name, **options):
        return self.run(subscriptions.register(self.app, name, **options))

    def writes(self, name):
        return [arrival for arrival in self.boxes[name].arrivals if arrival.method in WRITES]

    def hooks(self, name):
        """What stands at a system: address -> events, of what is switched on."""
        return {hook.url: {*hook.events} for hook in self.boxes[name].hooks.values() if hook.active}

    def rows(self):
        with self.app.store.engine.begin() as connection:
            return list(connection.execute(sa.select(schema.subscriptions)))

    def reconfigured(self, change):
        """The same store under another configuration."""
        change(self.settings)
        fresh = app_of(Config.model_validate(self.settings), clock=self.clock, boxes=self.boxes)
        fresh.store.close()
        fresh.store.engine, fresh.store._worker = self.app.store.engine, None
        self.app = fresh

    def deliver(self, path, body, headers):
        receiver = webhooks.Receiver(
            self.app.engine, webhooks.ears_of(self.app.engine, {}), Metrics(version="0"), self.app.hearing
        )
        paths = ("/webhooks/{connection}", "/webhooks/{connection}/{event}")
        asgi = Starlette(routes=[Route(path, receiver.receive, methods=["POST"]) for path in paths])

        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi), base_url=PUBLIC) as client:
                return (await client.post(path, content=body, headers=headers)).status_code

        return self.run(main())

    def signed_for_voice(self, secret):
        body = orjson.dumps({"event": "candidate.hired", "data": {"candidate": {"id": 55}}, "n": len(secret)})
        return body, {"X-WorkSignal-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}

    def secret_of_voice(self):
        (hook,) = self.boxes["voice"].hooks.values()
        return hook.secret


@pytest.fixture
def world():
    return World()


def addresses(name):
    base = f"{PUBLIC}/webhooks/{name}"
    return {base} if name == "voice" else {f"{base}/{event}" for event in NEEDED[name]}


# --- what is needed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_the_pairs_need_is_registered_once(world, name):
    outcome = world.register(name)
    assert outcome.problems == []
    assert outcome.look.is_whole
    assert set(world.hooks(name)) == addresses(name)
    assert set().union(*world.hooks(name).values()) == NEEDED[name]
    before = len(world.writes(name))
    assert world.register(name).look.is_whole
    assert len(world.writes(name)) == before


def test_what_only_flows_to_a_system_needs_none_of_its_events():
    world = World(applications="->")
    assert world.register("screener").need.why_not == "no pair needs any of its events"
    assert world.register("voice").need.wishes == ()
    assert not world.hooks("screener") | world.hooks("voice")
    assert world.register("acme").look.is_whole


@pytest.mark.parametrize(
    ("public", "why"),
    [
        (None, "server.public_url is not set, so no webhook could reach us"),
        (
            "http://sync.example.test",
            "server.public_url is not https, so webhooks could be read and changed on their way",
        ),
    ],
)
def test_without_a_safe_address_of_ours_nothing_is_registered(public, why):
    world = World(public=public)
    assert {world.register(name).need.why_not for name in SYSTEMS} == {why}
    assert not any(world.writes(name) for name in SYSTEMS)


def test_loopback_needs_no_https():
    assert World(public="http://127.0.0.1:8080").register("acme").look.is_whole


# --- what stands there already --------------------------------------------------------------------------------------


def stand(world, name, url, events, **wrong):
    """Somebody has registered an address by hand; its secret is one that the tests know."""
    box = world.boxes[name]
    if name == "acme":
        return box.subscribe(url, *events, **wrong)
    if name == "screener":
        return box.subscribe(url, event=next(iter(events)), **{"secret": "by-hand", **wrong})
    id_ = box.subscribe(url, secret="by-hand", events=sorted(events))
    if wrong:
        old = box.hooks[id_]
        box.hooks[id_] = Hook(id_, old.url, old.events, old.secret, **wrong)
    return id_


def test_an_address_of_ours_that_is_there_already_is_adopted():
    world = World(screener={"webhook_secret": "by-hand"}, voice={"webhook_secret": "by-hand"})
    for name in SYSTEMS:
        for url in addresses(name):
            stand(world, name, url, NEEDED[name] if name == "voice" else {url.rpartition("/")[2]})
        assert world.register(name).look.is_whole
        assert world.writes(name) == []


def test_a_secret_that_the_list_tells_is_learnt(world):
    stand(world, "screener", *addresses("screener"), NEEDED["screener"])
    assert world.register("screener").look.is_whole
    assert world.writes("screener") == []
    assert world.app.hearing.secrets["screener"] == ("by-hand",)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("acme", {"job_shortcode": "ABC"}),
        ("acme", {"stage_slug": "offer"}),
        ("screener", {"fields": ["status"]}),
        ("voice", {"active": False}),
    ],
)
def test_one_that_tells_too_little_is_mended(name, wrong):
    world = World(voice={"webhook_secret": "by-hand"})
    url = f"{PUBLIC}/webhooks/acme/candidate_moved" if name == "acme" else next(iter(addresses(name)))
    stand(world, name, url, ["candidate_moved"] if name == "acme" else NEEDED[name], **wrong)
    assert world.register(name).look.is_whole
    assert set(world.hooks(name)) == addresses(name)
    assert world.run(subscriptions.look(world.app, name)).look.is_whole


def test_an_address_for_the_wrong_events_is_mended():
    world = World(voice={"webhook_secret": "by-hand"})
    stand(world, "acme", f"{PUBLIC}/webhooks/acme/candidate_moved", ["candidate_created"])
    stand(world, "voice", *addresses("voice"), {"candidate.hired"})
    for name in ("acme", "voice"):
        assert world.register(name).look.is_whole
    assert world.hooks("acme")[f"{PUBLIC}/webhooks/acme/candidate_moved"] == {"candidate_moved"}
    assert world.hooks("voice") == {f"{PUBLIC}/webhooks/voice": NEEDED["voice"]}
    assert [arrival.method for arrival in world.writes("voice")] == ["PATCH"]


def test_an_address_whose_secret_nobody_knows_is_made_again(world):
    stand(world, "voice", *addresses("voice"), NEEDED["voice"])
    assert world.register("voice").look.is_whole
    assert [arrival.method for arrival in world.writes("voice")] == ["DELETE", "POST"]
    assert world.app.hearing.secrets["voice"] == (world.secret_of_voice(),)


def test_two_of_one_address_become_one():
    world = World(voice={"webhook_secret": "by-hand"})
    for _ in range(2):
        stand(world, "voice", *addresses("voice"), NEEDED["voice"])
    assert world.register("voice").look.is_whole
    assert len(world.boxes["voice"].hooks) == 1


def test_a_deleted_one_is_brought_back(world):
    world.register("screener")
    world.run(subscriptions.remove(world.app, "screener"))
    assert not world.hooks("screener")
    assert world.register("screener").look.is_whole
    assert set(world.hooks("screener")) == addresses("screener")


def test_no_address_of_others_is_touched(world):
    others = {
        "acme": stand(world, "acme", ELSEWHERE, ["candidate_moved"]),
        "voice": stand(world, "voice", f"{PUBLIC}/webhooks/voices", {"candidate.hired"}),
    }
    for name, id_ in others.items():
        before = world.boxes[name].hooks[id_]
        world.register(name)
        world.run(subscriptions.remove(world.app, name))
        assert world.boxes[name].hooks == {id_: before}


def test_an_event_is_not_taken_away_from_somebody_else(world):
    id_ = stand(world, "screener", ELSEWHERE, NEEDED["screener"])
    outcome = world.register("screener")
    assert [each.state for each in outcome.look.found] == [State.TAKEN]
    (problem,) = outcome.problems
    assert problem == (
        "connections.screener: ninjahire keeps one address for application_activty, and it is not ours; "
        "remove it there first"
    )
    assert world.writes("screener") == []
    assert world.boxes["screener"].hooks[id_].url == ELSEWHERE
    assert world.app.hearing.is_up == {"screener": False}


def test_an_event_that_somebody_has_given_up_is_free(world):
    world.boxes["screener"].subscriptions.switch(
        stand(world, "screener", ELSEWHERE, NEEDED["screener"]), is_deleted=True
    )
    assert world.register("screener").look.is_whole
    assert set(world.hooks("screener")) == addresses("screener")


def test_an_address_that_is_a_secret_itself_is_let_be():
    world = World(voice={"webhook_path_secret": "nobody-guesses-this-one-0123456789"})
    url = f"{PUBLIC}/webhooks/voice/nobody-guesses-this-one-0123456789"
    stand(world, "voice", url, NEEDED["voice"])
    assert world.register("voice").look.is_whole
    assert world.register("voice", anew=True).look.is_whole
    world.run(subscriptions.remove(world.app, "voice"))
    assert world.writes("voice") == []
    assert set(world.hooks("voice")) == {url}


def test_what_nobody_needs_any_more_is_withdrawn(world):
    world.register("acme")
    stand(world, "acme", f"{PUBLIC}/webhooks/acme/employee_created", ["employee_created"])
    outcome = world.register("acme")
    assert outcome.withdrawn == [f"{PUBLIC}/webhooks/acme/employee_created"]
    assert set(world.hooks("acme")) == addresses("acme")


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_an_earlier_address_of_ours_left_is_withdrawn(name):
    world = World()
    stand(world, "acme", "https://old.example.test/webhooks/other", ["candidate_moved"])
    world.settings["server"]["public_url"] = "https://old.example.test"
    world.reconfigured(lambda settings: None)
    world.register(name)
    world.reconfigured(lambda settings: settings["server"].update(public_url=PUBLIC))
    assert world.register(name).look.is_whole
    assert set(world.hooks(name)) - {"https://old.example.test/webhooks/other"} == addresses(name)
    world.reconfigured(lambda settings: settings["server"].clear())
    world.register(name)
    assert set(world.hooks(name)) <= {"https://old.example.test/webhooks/other"}


def test_what_a_connection_of_another_name_left_is_withdrawn(world):
    world.register("voice")

    def renamed(settings):
        settings["connections"]["signal"] = settings["connections"].pop("voice")
        settings["pairs"]["voices"]["right"] = "signal"

    world.boxes["signal"] = world.boxes["voice"]
    world.reconfigured(renamed)
    assert world.register("signal").look.is_whole
    assert set(world.hooks("signal")) == {f"{PUBLIC}/webhooks/signal"}


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_lost_answer_makes_no_second_one(world, name, fault):
    lost = []

    def faults(method, path):
        if method != "POST" or lost:
            return None
        lost.append(path)
        return fault

    world.boxes[name].faults = faults
    assert world.register(name).look.is_whole
    assert lost
    assert sorted(world.hooks(name)) == sorted(addresses(name))
    assert len([hook for hook in world.boxes[name].hooks.values() if hook.active]) == len(addresses(name))
    if name == "voice":
        assert world.app.hearing.secrets["voice"] == (world.secret_of_voice(),)


def test_a_withdrawal_whose_answer_is_lost_is_looked_up(world):
    stand(world, "acme", f"{PUBLIC}/webhooks/acme/candidate_moved", ["candidate_created"])
    world.boxes["acme"].faults = lambda method, path: Fault.LOST_AFTER if method == "DELETE" else None
    assert world.register("acme").look.is_whole
    assert set(world.hooks("acme")) == addresses("acme")


def test_an_address_that_is_taken_and_not_listed_is_told_and_not_tried_for_ever(world):
    world.play("acme", _subscriptions=nothing_listed)
    stand(world, "acme", f"{PUBLIC}/webhooks/acme/candidate_moved", ["candidate_moved"])
    outcome = world.register("acme")
    assert outcome.problems == ["connections.acme: workable does not list our address for candidate_moved"]
    assert len([arrival for arrival in world.writes("acme") if arrival.status == 409]) == subscriptions.ROUNDS
    assert len(world.boxes["acme"].hooks) == len(NEEDED["acme"])


async def nothing_listed(self, request):
    return self.answer({"subscriptions": []})


def test_a_system_that_is_away_is_told_as_such(world):
    world.boxes["acme"].faults = lambda method, path: Fault.LOST_BEFORE
    with pytest.raises(Unavailable):
        world.register("acme")
    told = world.run(subscriptions.webhooks(world.app, "list", "acme"))["connections"]
    assert [each["problems"][0].startswith("connections.acme: ") for each in told] == [True]


def test_a_tenant_without_an_id_is_asked_for():
    world = World()
    world.reconfigured(lambda settings: settings["connections"]["screener"].pop("tenant_id"))
    assert world.register("screener").problems == [
        "Ninjahire wants the tenant's id with a subscription: set connections.screener.tenant_id"
    ]


def test_no_subscriptions_may_be_told_as_not_found(world):
    world.play("acme", _subscriptions=not_found)
    for name in ("acme", "screener"):
        assert world.run(world.app.engine.lanes[name].connector.subscriptions()) == ()
        assert lists(world, name)[0].status == 404


async def not_found(self, request):
    return self.answer({"error": "Not found"}, 404)


@examples(25)
@given(st.data())
def test_whatever_stands_there_it_is_right_afterwards_and_others_are_as_they_were(data):
    name = data.draw(st.sampled_from(["acme", "voice"]))
    world = World()
    known = [*addresses(name), f"{PUBLIC}/webhooks/{name}/old", ELSEWHERE, f"{PUBLIC}/webhooks/{name}s"]
    for url in data.draw(st.lists(st.sampled_from(sorted(known)), unique=name == "acme", max_size=6)):
        events = data.draw(st.sets(st.sampled_from(sorted(NEEDED[name])), min_size=1, max_size=1))
        wrong = {} if name == "acme" else {"active": data.draw(st.booleans())}
        stand(world, name, url, events, **wrong)
    others = {id_: hook for id_, hook in world.boxes[name].hooks.items() if is_others(hook, name)}
    assert world.register(name).look.is_whole
    hooks = world.boxes[name].hooks
    assert {id_: hook for id_, hook in hooks.items() if is_others(hook, name)} == others
    assert sorted(hook.url for id_, hook in hooks.items() if id_ not in others) == sorted(addresses(name))
    writes = len(world.writes(name))
    assert world.register(name).look.is_whole
    assert len(world.writes(name)) == writes


def is_others(hook, name):
    return hook.url == ELSEWHERE or hook.url.endswith(f"{name}s")


# --- secrets --------------------------------------------------------------------------------------------------------


def test_a_secret_of_registration_is_kept_sealed_and_believed(world):
    world.register("voice")
    secret = world.secret_of_voice()
    assert world.deliver("/webhooks/voice", *world.signed_for_voice(secret)) == 200
    assert world.deliver("/webhooks/voice", *world.signed_for_voice("guess")) == 401
    (row,) = world.rows()
    assert secret.encode() not in row.secret
    assert secret not in str([dict(row._mapping) for row in world.rows()])


def test_the_secret_that_we_choose_is_new_each_time(world):
    world.register("screener")
    first = world.app.hearing.secrets["screener"]
    world.register("screener", anew=True)
    (hook,) = world.boxes["screener"].hooks.values()
    assert len(first[0]) == 32
    assert hook.secret == world.app.hearing.secrets["screener"][0]


def test_a_configured_secret_is_the_one_that_is_agreed_on():
    world = World(screener={"webhook_secret": "whsec_configured"})
    world.register("screener")
    (hook,) = world.boxes["screener"].hooks.values()
    assert hook.secret == "whsec_configured"


def test_the_old_secret_is_believed_for_a_day(world):
    world.register("voice")
    old = world.secret_of_voice()
    world.register("voice", anew=True)
    new = world.secret_of_voice()
    assert old != new
    assert [world.deliver("/webhooks/voice", *world.signed_for_voice(each)) for each in (old, new)] == [200, 200]
    world.run(world.clock.sleep_until(world.clock.now() + subscriptions.BELIEVED_S + 1.0))
    world.register("voice")
    assert [world.deliver("/webhooks/voice", *world.signed_for_voice(each)) for each in (old, new)] == [401, 200]
    assert len(world.rows()) == 1


def test_a_system_that_tells_no_secret_is_not_asked_again_and_again(world):
    original = type(world.boxes["voice"])._post_hook

    async def mute(self, request):
        answer = await original(self, request)
        told = orjson.loads(answer.body)
        del told["webhook"]["secret"]
        return type(answer)(told, 201)

    world.play("voice", _post_hook=mute)
    for _ in range(3):
        outcome = world.register("voice")
        assert [each.state for each in outcome.look.found] == [State.DEAF]
        assert "connections.voice.webhook_secret" in outcome.problems[0]
    assert len(world.writes("voice")) == 1


# --- commands -------------------------------------------------------------------------------------------------------


def command(world, act, only=None):
    told = world.run(subscriptions.webhooks(world.app, act, only))["connections"]
    return {each["name"]: each for each in told}


def test_what_was_removed_stays_so_until_it_is_registered_again(world):
    command(world, "register")
    removed = command(world, "remove")
    assert {url for each in removed.values() for url in each["withdrawn"]} == set().union(*map(addresses, SYSTEMS))
    live(world, 7200.0)
    assert not any(world.hooks(name) for name in SYSTEMS)
    assert {each["removed"] for each in command(world, "list").values()} == {True}
    command(world, "register", "acme")
    live(world, 60.0)
    assert set(world.hooks("acme")) == addresses("acme")
    assert not world.hooks("voice")


def test_a_list_changes_nothing(world):
    told = command(world, "list")
    assert [each["state"] for each in told["acme"]["subscriptions"]] == ["missing"] * 4
    assert not any(world.writes(name) for name in SYSTEMS)


def test_no_address_of_others_is_shown(world):
    stand(world, "acme", ELSEWHERE, ["candidate_moved"])
    assert ELSEWHERE not in str(command(world, "list")) + str(command(world, "register"))


# --- the watch ------------------------------------------------------------------------------------------------------


def live(world, seconds, acts=None):
    """Let the watch run so long; ``acts`` is called with it, and awaited, beside it."""

    async def main():
        watching = watch.Watch(world.app)
        await watching.begin()
        task = asyncio.ensure_future(watching.run())
        try:
            if acts:
                await acts(watching)
            await world.clock.sleep_until(world.clock.now() + seconds)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    world.run(main())


def lists(world, name):
    path = {"acme": "/subscriptions", "screener": "/tenant-webhook", "voice": "/webhooks"}[name]
    return [each for each in world.boxes[name].arrivals if each.method == "GET" and each.path.endswith(path)]


def up(world):
    metrics = ReachMetrics(world.clock)

    async def measured():
        await metrics.begin(world.app)
        await metrics.measured(world.app)

    world.run(measured())
    told = metrics.registry.collect()
    return {
        sample.labels["connection"]: sample.value
        for family in told
        for sample in family.samples
        if sample.name == "syncd_webhook_subscriptions_up"
    }


def test_all_is_registered_at_the_start_and_looked_at_hourly(world):
    live(world, 3 * 3600.0 + 120.0)
    assert all(set(world.hooks(name)) == addresses(name) for name in SYSTEMS)
    assert len(lists(world, "acme")) == 4
    assert up(world) == dict.fromkeys(SYSTEMS, 1.0)


def test_a_tight_budget_is_looked_at_less_often_even_over_restarts(world, monkeypatch):
    monkeypatch.setattr(watch, "TICK_S", 600.0)
    connection = world.app.world.connections["voice"]
    assert watch.interval_s(connection) == 6 * 3600.0
    for _ in range(4):
        live(world, 3600.0)
    assert len(lists(world, "voice")) == 1
    assert up(world)["voice"] == 1.0


def test_what_a_system_lost_is_there_again_within_the_hour(world):
    async def lose(watching):
        await world.clock.sleep_until(world.clock.now() + 600.0)
        world.boxes["acme"].hooks.clear()

    live(world, 3600.0, lose)
    assert set(world.hooks("acme")) == addresses("acme")


def test_it_is_told_as_down_until_it_is_there(world):
    id_ = stand(world, "screener", ELSEWHERE, NEEDED["screener"])
    live(world, 60.0)
    assert up(world)["screener"] == 0.0

    async def free(watching):
        world.boxes["screener"].subscriptions.switch(id_, is_deleted=True)

    live(world, 3600.0, free)
    assert up(world)["screener"] == 1.0


def test_where_none_is_needed_nothing_is_told_and_nothing_asked():
    world = World(public=None)
    live(world, 7200.0)
    assert up(world) == {}
    assert not any(box.arrivals for box in world.boxes.values())


def test_a_stopped_connection_is_left_alone(world):
    world.app.store.run_now(switches.stop, "connection/acme", "person", START)
    live(world, 7200.0)
    assert not world.boxes["acme"].arrivals
    assert world.boxes["voice"].arrivals


@pytest.mark.parametrize(
    ("found", "quiet_s", "gap_s", "silent"),
    [
        (5, 86_400.0, 0.0, True),
        (4, 9e9, 0.0, False),
        (500, 86_399.0, 0.0, False),
        (500, 2 * 86_400.0, 86_400.0, False),
        (500, 3 * 86_400.0, 86_400.0, True),
    ],
)
def test_silence_is_long_and_lists_show_changes_meanwhile(found, quiet_s, gap_s, silent):
    assert watch.is_silent(found, quiet_s, gap_s) == silent


def test_a_silence_is_told_once_and_all_is_registered_anew(world, monkeypatch):
    monkeypatch.setattr(watch, "TICK_S", 3600.0)
    world.run(learnt(world))

    async def changes(watching):
        await world.clock.sleep_until(world.clock.now() + 7200.0)
        for _ in range(30):
            watching.listen("page", {"connection": "acme", "wanted": 1})
            await world.clock.sleep_until(world.clock.now() + 3600.0)

    live(world, 3600.0, changes)
    deleted = [each for each in world.writes("acme") if each.method == "DELETE"]
    assert len(deleted) == 4
    assert set(world.hooks("acme")) == addresses("acme")
    assert world.app.hearing.silent == {"acme"}


def test_one_delivery_ends_a_silence(world, monkeypatch):
    monkeypatch.setattr(watch, "TICK_S", 3600.0)
    world.run(learnt(world))

    async def changes(watching):
        await world.clock.sleep_until(world.clock.now() + 7200.0)
        for hour in range(60):
            watching.listen("page", {"connection": "acme", "wanted": 1})
            await world.clock.sleep_until(world.clock.now() + 3600.0)
            if hour % 20 == 19 or hour == 58:
                await world.app.store.run(heard, world.clock.now())

    live(world, 60.0, changes)
    assert not [each for each in world.writes("acme") if each.method == "DELETE"]
    assert world.app.hearing.silent == set()


async def learnt(world):
    await world.app.store.run(remember, "learnt", world.app.world.stamp)
    await world.app.store.run(remember, "learnt_at", "0.0")


def heard(connection, now):
    connection.execute(sa.insert(schema.inbox).values(connection="acme", event=f"id {now}", refs=[], received_at=now))
