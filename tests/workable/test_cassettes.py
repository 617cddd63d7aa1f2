"""What goes over the wire, replayed from recordings (see cassettes/README.md)."""

import os
import random
from pathlib import Path

import httpx
import vcr

from connectors.workable import plugin
from connectors.workable.sandbox import WorkableSandbox
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account
from syncd.model import Kind, Ref
from tests.workable.account import ADA, BASE, MEMBER, START, TOKEN, Scene

MODE = os.environ.get("SYNCD_RECORD", "none")
RECORDER = vcr.VCR(
    cassette_library_dir=str(Path(__file__).parent / "cassettes"),
    filter_headers=["authorization", "user-agent"],
    record_mode=MODE,
    match_on=["method", "scheme", "host", "path", "query", "raw_body"],
)


def replay(name, scene):
    """Run a scene over a recording; the sandbox behind it answers only while recording."""
    clock = SteppedClock(START, frozen=True)
    sandbox = WorkableSandbox(clock=clock, rng=random.Random(5), tokens=(TOKEN,))
    job = sandbox.add_job(
        title="Data Engineer", code="DE-1", city="Lyon", country="France", description="<p>Join us</p>"
    )
    for number in range(3):
        sandbox.apply(job, name=f"Person {number}", email=f"person.{number}@example.com", stage="Phone Screen")

    async def recorded():
        with RECORDER.use_cassette(name) as cassette:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as client:
                connector = plugin.connect(Account("acme", BASE, TOKEN, member=MEMBER), client, clock)
                await scene(Scene(sandbox, None, client, connector, job))
        assert MODE != "none" or cassette.all_played, "a recorded call was not made"

    run_stepped(clock, recorded())
    assert MODE != "none" or not sandbox.arrivals, "a replay asks nobody"


def test_the_walks_and_a_job_replay():
    async def scene(s):
        jobs, rows = await s.told("jobs"), await s.told("candidates")
        assert [record.fields["title"] for record in jobs.values()] == ["Data Engineer"]
        assert len(rows) == 6
        stages = {record.fields["stage"] for ref, record in rows.items() if ref.kind is Kind.APPLICATION}
        assert stages == {"Phone Screen"}
        (job,) = await s.connector.get(Ref(Kind.JOB, s.job))
        assert job.fields["description"] == "<p>Join us</p>"

    replay("walks.yaml", scene)


def test_an_application_born_found_moved_rejected_and_reopened_replays():
    async def scene(s):
        application, person = await s.connector.create(s.draft("Applied"), "a key that goes nowhere")
        assert {record.ref for record in await s.connector.find(s.draft(), START)} == {application.ref, person.ref}
        for word, told in (("Offer", "Offer"), ("!withdrew", "!withdrew"), ("Hired", "Offer"), ("Hired", "Hired")):
            await s.clock.sleep_until(s.clock.now() + 10)  # the sandbox keeps its limit of ten calls in ten seconds
            record = (await s.connector.get(application.ref))[0]
            assert await s.connector.update(record, {"stage": word}) is None
            assert (await s.connector.get(application.ref))[0].fields["stage"] == told

    replay("application.yaml", scene)


def test_a_person_patched_replays():
    async def scene(s):
        ref = next(ref for ref in await s.told("candidates") if ref.kind is Kind.CANDIDATE)
        person = (await s.connector.get(ref))[0]
        told = await s.connector.update(person, {"name": "Ada Person 0", "phone": ADA["phone"], "headline": None})
        assert (told.fields["name"], told.fields["phone"]) == ("Ada Person 0", ADA["phone"])

    replay("person.yaml", scene)
