"""What Ninjahire does beside its records: résumés, calls, leave to phone, scheduling."""

import httpx
import pytest

from connectors.ninjahire import FACTS, wire
from syncd.connector import File
from syncd.errors import Rejected, Stale
from syncd.model import Draft, Kind, Record, Ref
from tests.ninjahire.world import answering, played, run, wait

CALLS = FACTS.walks[-1]
STAGE, ACTIVITY = "source_application_status", "application_stage"
FILE = File.of("1001-a.pdf", b"%PDF made up")


def application(**fields):
    return Record(Ref(Kind.APPLICATION, "a1"), fields)


def someone(stage="Interview", **switches):
    sandbox = played(**switches)
    job = sandbox.add_job(title="Welder")
    applied = sandbox.apply(job, email="ana@example.com", phone="+12025550100", stage=stage)
    return sandbox, job, applied


# --- calls


def test_a_call_tells_its_application_and_what_it_found_out():
    sandbox, job, applied = someone()
    call = sandbox.call(applied, score=81, digest="Speaks well.")

    async def scene(connector):
        (page, _) = [page async for page in connector.pull(CALLS, None)]
        (told,) = page.records
        assert told == (await connector.get(told.ref))[0]
        assert told.ref == Ref(Kind.SCREENING, call)
        assert told.parents[Kind.APPLICATION] == applied
        assert told.parents[Kind.JOB] == job
        assert told.fields["outcome"] == "call_completed"
        assert told.fields["call_score"] == 81
        assert told.fields["findings"] == "Speaks well.\navailability: two weeks"

    run(sandbox, scene)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"call_status": "call_completed", "ninjahire_intelligence": "call_success"}, "call_completed"),
        ({"call_status": "call_completed", "ninjahire_intelligence": "call_failed"}, "call_failed"),
        ({"call_status": "call_in_progress", "ninjahire_intelligence": "call_inconclusive"}, "call_in_progress"),
        ({"call_status": "call_failed"}, "call_failed"),
        ({}, None),
        ({"call_status": 7}, None),
    ],
)
def test_a_call_that_came_to_nothing_has_failed(row, outcome):
    assert wire.record_of(Kind.SCREENING, {"call_id": "c1", **row}).fields["outcome"] == outcome


@pytest.mark.parametrize(
    ("row", "findings"),
    [
        ({"call_summary": {"notice": "a month", "rate": 4, "deep": {"er": 1}}}, "notice: a month\nrate: 4"),
        ({"call_summary": "in words", "call_digest": " short "}, "short\nin words"),
        ({"call_summary": ["no", "object"], "call_digest": ""}, None),
    ],
)  # fmt: skip
def test_a_summary_is_told_in_lines(row, findings):
    assert wire.record_of(Kind.SCREENING, {"call_id": "c1", **row}).fields["findings"] == findings


def test_a_recording_is_linked_only_where_it_is_an_address_to_be_opened():
    linked = {"call_id": "c1", "recording_url": "https://files.example.test/1.mp3"}
    assert wire.record_of(Kind.SCREENING, linked).url == linked["recording_url"]
    assert wire.record_of(Kind.SCREENING, {**linked, "recording_url": "javascript:alert(1)"}).url is None


def test_no_call_is_made_or_changed_by_us():
    connector, requests = answering()
    with pytest.raises(Rejected):
        wait(connector.create(Draft(Kind.SCREENING, {}), "key"))
    with pytest.raises(Rejected):
        wait(connector.update(Record(Ref(Kind.SCREENING, "c1"), {}), {"call_score": 100}))
    assert not requests


# --- what an application is sent with


@pytest.mark.parametrize(
    ("stage", "present", "sent"),
    [("Interview", "ACTIVE", "ACTIVE"), ("Interview", "passive", "PASSIVE"), ("Rejected", "ACTIVE", "PASSIVE")],
)
def test_a_resume_leaves_stage_and_leave_as_they_were_read(stage, present, sent):
    sandbox, _, applied = someone(stage, phones_after_s=9e9)
    sandbox.edit("application", applied, application_stage=present.upper())

    async def scene(connector):
        (record, *_) = await connector.get(Ref(Kind.APPLICATION, applied))
        await connector.attach(record, FILE, "key")

    run(sandbox, scene)
    row = sandbox.rows["application"][applied]
    assert (row[STAGE], row[ACTIVITY]) == (stage, sent)
    assert sandbox.resume_of(applied) == b"%PDF made up"


def test_nothing_is_sent_beside_a_stage_that_was_not_read():
    connector, requests = answering()
    for attempt in (connector.attach(application(), FILE, "key"), connector.screen(application())):
        with pytest.raises(Stale):
            wait(attempt)
    assert not requests


@pytest.mark.parametrize("stage", ["Hired", "rejected", "WITHDRAWN"])
def test_nobody_is_phoned_whose_application_is_over(stage):
    connector, requests = answering()
    with pytest.raises(Rejected, match="is over"):
        wait(connector.screen(application(**{STAGE: stage, ACTIVITY: "PASSIVE"})))
    assert not requests


def test_who_may_be_phoned_is_phoned_once():
    sandbox, _, applied = someone()

    async def scene(connector):
        ref = Ref(Kind.APPLICATION, applied)
        await connector.screen((await connector.get(ref))[0])
        assert await connector.may_screen((await connector.get(ref))[0])
        await sandbox.clock.sleep_until(sandbox.clock.now() + 3600)

    run(sandbox, scene)
    assert [effect.action for effect in sandbox.effects].count("phoned") == 1


def test_scheduling_is_read_bare_or_wrapped():
    told = ({"scheduling": True}, {"data": {"scheduling": False}})
    connector, _ = answering(*(httpx.Response(200, json=body) for body in told))
    job = Record(Ref(Kind.JOB, "j1"), {})
    assert wait(connector.is_scheduling(job)) is True
    assert wait(connector.is_scheduling(job)) is False
