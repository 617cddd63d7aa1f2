"""What goes over the wire, replayed from recordings (see cassettes/README.md)."""

import os
from pathlib import Path

import httpx
import vcr

from connectors.worksignal import CANDIDATES, WorkSignal
from syncd.model import Draft, Kind, Parent, Ref
from tests.worksignal.world import ACCOUNT, new_sandbox, play

MODE = os.environ.get("SYNCD_RECORD", "none")
RECORDER = vcr.VCR(
    cassette_library_dir=str(Path(__file__).parent / "cassettes"),
    filter_headers=["authorization"],
    record_mode=MODE,
    match_on=["method", "scheme", "host", "path", "query", "raw_body"],
)
JOB = "41"  # the sandbox's first id


def replay(name, scene):
    """Run a scene over a recording; the sandbox behind it answers only while recording."""
    sandbox = new_sandbox()
    assert sandbox.add_job(title="Night nurse", status="open") == JOB
    for number in range(3):
        sandbox.apply(JOB, name=f"Person {number}", email=f"person.{number}@example.test", phone="+12025550100")

    async def recorded(*_):
        with RECORDER.use_cassette(name) as cassette:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as client:
                await scene(WorkSignal(ACCOUNT, client, sandbox.clock))
        assert MODE != "none" or cassette.all_played, "a recorded call was not made"

    play(sandbox, recorded)
    assert MODE != "none" or not sandbox.arrivals, "a replay asks nobody"


def test_a_walk_over_candidates_replays():
    async def scene(connector):
        (page,) = [page async for page in connector.pull(CANDIDATES, None)]
        told = [(record.ref, record.fields.get("name", record.fields.get("stage"))) for record in page.records]
        assert told[:2] == [(Ref(Kind.CANDIDATE, "46"), "Person 2"), (Ref(Kind.APPLICATION, "46:47"), "applied")]
        assert len(told) == 6

    replay("candidates.yaml", scene)


def test_an_application_born_moved_and_found_replays():
    async def scene(connector):
        person = {"name": "Ana Ruiz", "email": "ana@example.test"}
        draft = Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(JOB)}, person=person)
        application, candidate = await connector.create(draft, "a key that goes nowhere")
        record = (await connector.get(application.ref))[0]
        moved = await connector.update(record, {"stage": "interview"})
        assert (moved.ref, moved.fields["stage"]) == (application.ref, "interview")
        assert [found.ref for found in await connector.find(draft, 0.0)] == [application.ref, candidate.ref]

    replay("application.yaml", scene)


def test_a_role_made_patched_opened_and_closed_replays():
    async def scene(connector):
        (role,) = await connector.create(Draft(Kind.JOB, {"title": "Ward clerk", "salary_min": 40_000}), "")
        for fields in ({"department": "Care"}, {"status": "open"}, {"status": "closed"}):
            role = await connector.update((await connector.get(role.ref))[0], fields)
            assert fields.items() <= role.fields.items()

    replay("role.yaml", scene)
