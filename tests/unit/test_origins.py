"""What a webhook leads to is followed to its end: the mark, the read, the writes, the journal and the log."""

import io

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from structlog.testing import capture_logs

from syncd import cycle, look, schema, tell, webhooks
from syncd.clock import run_stepped
from syncd.connector import Notice
from syncd.limits import Priority
from syncd.metrics import Metrics
from syncd.page_story import story_page
from syncd.work import Work, mark
from tests.unit.small_world import APPLICATION, JOB, at_home, job, row
from tests.unit.test_cycle import FIRST_S, HOUR, ann, stage_of


class Ringing:
    """Judges every delivery to be genuine, and to be about these records."""

    def __init__(self, *refs):
        self.refs = refs

    def verify(self, delivery):
        return Notice(refs=self.refs)


@pytest.fixture
def moved(quick):
    """A person in a hub and in two spokes, moved at one of them; nobody has heard of it, and polls are far away."""
    world = quick("rows", "plain", "newborn", poll_s=HOUR, sweep_s=24 * HOUR)
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    (thing,) = world.systems["plain"].of(APPLICATION)
    world.systems["plain"].edit(thing.ref, {"stage": "Screen"})
    return world, engine, thing.ref


def receive(world, engine, ref, body=b"{}"):
    """A webhook comes in through the daemon's own endpoint."""
    ear = webhooks.Ear(world.world.connections["plain"], Ringing(ref))
    receiver = webhooks.Receiver(engine, {"plain": ear}, Metrics(version="0"))
    asgi = Starlette(routes=[Route("/webhooks/{connection}", receiver.receive, methods=["POST"])])

    async def main():
        at_home(engine)
        transport = httpx.ASGITransport(app=asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://syncd.example.test") as client:
            return await client.post("/webhooks/plain", content=body)

    return run_stepped(world.clock, main())


def followed(lines, action):
    return [(line["connection"], line.get("origin")) for line in lines if line["action"] == action]


def test_a_webhook_is_followed_to_the_last_write(moved):
    world, engine, ref = moved
    with capture_logs() as lines:
        assert receive(world, engine, ref).status_code == 200
        [kept] = world.select(schema.inbox)
        [marked] = world.select(schema.marks)
        world.live(60.0, engine)
    origin = f"w{kept.id}"
    assert marked.origin == origin
    assert [stage_of(world, name) for name in world.systems] == [{"Screen"}] * 3
    assert followed(lines, "webhook.kept") == [("plain", origin)]
    assert followed(lines, "written") == [("rows", origin), ("newborn", origin)]
    for word in ("update_planned", "sent", "written"):
        newest = world.journal(word)[-2:]
        assert {(line.connection, line.origin) for line in newest} == {("rows", origin), ("newborn", origin)}


def test_its_story_names_the_webhook(moved):
    world, engine, ref = moved
    receive(world, engine, ref)
    world.live(60.0, engine)
    [kept] = world.select(schema.inbox)
    story = world.store.run_now(look.explain, world.world, ref.id)
    said = f"(because of webhook w{kept.id})"
    assert next(line["sentence"] for line in story["journal"] if line["origin"]) == f"to be changed {said}"
    out = io.StringIO()
    tell.explain(tell.console_on(out, {}), story, world.clock.now())
    assert said in out.getvalue()
    assert said in story_page(story, world.clock.now(), None)


def test_a_write_that_waits_names_its_webhook_until_something_else_wants_it_otherwise(quick):
    world = quick("rows", "plain")
    world.known(rows=(job("h1"), *row("1", "h1")), plain=(job("p1"),))
    told_after_webhook(world, "w7", job("h1", "Head baker"))
    assert [(intent.call, intent.origin) for intent in world.intents() if intent.kind == JOB] == [("patch", "w7")]
    story = world.store.run_now(look.explain, world.world, "h1")
    assert [write["origin"] for link in story["links"] for write in link["writes"]] == ["w7"]
    assert "because of webhook w7" in story_page(story, world.clock.now(), None)
    world.told("rows", job("h1", "Chief baker"))
    assert [intent.origin for intent in world.intents() if intent.kind == JOB] == [None]


def told_after_webhook(world, origin, record, asked_s_ago=0.0):
    """A record is marked by a webhook; then a read is answered."""
    world.do(marked, origin, "webhook", record.ref.id)
    asked_at = world.clock.now() - asked_s_ago
    world.do(cycle.take_answers, world.world.connections["rows"], {record.ref: (record,)}, asked_at=asked_at)


def marked(work: Work, origin: str | None, why: str, id_: str):
    work.origin = origin
    mark(work, "rows", JOB, id_, why, Priority.READ)


def test_a_read_that_was_asked_for_before_the_webhook_came_does_not_go_back_to_it(quick):
    world = quick("rows", "plain")
    world.known(rows=(job("h1"),), plain=(job("p1"),))
    world.later(10.0)
    told_after_webhook(world, "w7", job("h1", "Head baker"), asked_s_ago=5.0)
    assert [intent.origin for intent in world.intents()] == [None]
    assert world.marks() == {("rows", "h1", "webhook")}


def test_what_a_webhook_marked_stays_its_own_when_something_else_marks_it_too(quick):
    world = quick("rows", "plain")
    world.do(marked, "w1", "webhook", "h1")
    world.do(marked, None, "absent", "h1")
    assert [each.origin for each in world.select(schema.marks)] == ["w1"]
    world.do(marked, "w2", "webhook", "h1")
    assert [each.origin for each in world.select(schema.marks)] == ["w2"]


def test_an_event_that_is_known_already_is_not_logged_again(moved):
    world, engine, ref = moved
    with capture_logs() as lines:
        receive(world, engine, ref)
        receive(world, engine, ref)
    assert len(followed(lines, "webhook.kept")) == 1


def test_what_no_webhook_led_to_names_none(quick):
    world = quick("rows", "plain")
    ann(world)
    with capture_logs() as lines:
        world.live(FIRST_S, learn=True)
    assert {origin for _, origin in followed(lines, "written")} == {None}
    assert {line.origin for line in world.select(schema.journal)} == {None}
