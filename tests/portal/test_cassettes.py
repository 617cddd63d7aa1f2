"""What goes over the wire, replayed from recordings (see cassettes/README.md)."""

import os
from pathlib import Path

import httpx
import vcr

from connectors.portal import CANDIDATES, JOBS, Portal
from connectors.portal.papers import Upload
from syncd.model import Draft, Kind, Parent, Ref
from tests.portal.world import ACCOUNT, new_sandbox, play

MODE = os.environ.get("SYNCD_RECORD", "none")
RECORDER = vcr.VCR(
    cassette_library_dir=str(Path(__file__).parent / "cassettes"),
    filter_headers=["authorization", "x-sm-key"],
    record_mode=MODE,
    match_on=["method", "scheme", "host", "path", "query", "raw_body"],
)


def replay(name, scene):
    """Run a scene over a recording; the sandbox behind it answers only while recording."""
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Night nurse")
    for number in range(2):
        sandbox.apply(job, name=f"Person {number}", email=f"p{number}@example.test", assigned=number == 1)
    ids = (job, *sandbox.rows["candidate"])

    async def recorded(*_):
        with RECORDER.use_cassette(name) as cassette:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as client:
                await scene(Portal(ACCOUNT, client, sandbox.clock), *ids)
        assert MODE != "none" or cassette.all_played, "a recorded call was not made"

    play(sandbox, recorded)
    assert MODE != "none" or not sandbox.arrivals, "a replay asks nobody"


def test_both_walks_replay():
    async def scene(connector, job, first, second):
        (page,) = [page async for page in connector.pull(JOBS, None)]
        assert [record.ref.id for record in page.records] == [job]
        (page,) = [page async for page in connector.pull(CANDIDATES, None)]
        told = [record.ref.id for record in page.records]
        assert told == [second, f"{second}:{job}", first, f"{first}:{job}"]
        assert [record.fields["assignment"] is None for record in page.records[1::2]] == [False, True]

    replay("walks.yaml", scene)


def test_a_person_assigned_and_moved_replays():
    async def scene(connector, job, *_):
        draft = Draft(Kind.CANDIDATE, {"name": "Ana Ruiz", "email": "ana@example.test"})
        assert await connector.find(draft, 0.0) == ()
        (person,) = await connector.create(draft, "a key that goes nowhere")
        parents = {Kind.JOB: Parent(job), Kind.CANDIDATE: Parent(person.ref.id)}
        (made,) = await connector.create(Draft(Kind.APPLICATION, {"stage": "applied"}, parents), "")
        record = (await connector.get(made.ref))[0]
        await connector.update(record, {"stage": "interview"})

    replay("assigned.yaml", scene)


def test_a_first_move_and_the_persons_stage_replay():
    async def scene(connector, job, first, _):
        ref = Ref(Kind.APPLICATION, f"{first}:{job}")
        await connector.update((await connector.get(ref))[0], {"stage": "screening"})
        await connector.update((await connector.get(ref))[0], {"candidate.stage": "screening"})

    replay("first_move.yaml", scene)


def test_a_note_and_a_file_replay():
    async def scene(connector, _, first, __):
        async def content():
            yield b"%PDF-1.7 made up"

        person = Ref(Kind.CANDIDATE, first)
        await connector.papers.add_note(person, "Score 87", "sync@example.test")
        await connector.papers.attach(person, Upload("cv.pdf", "application/pdf", 16, content()), "k3y")

    replay("papers.yaml", scene)
