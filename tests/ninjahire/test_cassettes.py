"""The wire, byte for byte as it was recorded: what is sent today must be what was sent when a cassette was made."""

import os
from pathlib import Path

import httpx
import pytest
import vcr

from connectors.ninjahire import FACTS
from syncd.clock import run_stepped
from syncd.errors import Rejected, Taken
from syncd.model import Draft, Kind, Parent, Ref
from tests.ninjahire.world import TOKEN, connected, played

FOLDER = Path(__file__).parent / "cassettes"
RECORDING = os.environ.get("SYNCD_RECORD_CASSETTES") == "1"
STAGE = "source_application_status"
TAPES = vcr.VCR(
    cassette_library_dir=str(FOLDER),
    record_mode="once" if RECORDING else "none",
    match_on=["method", "uri", "body"],
    filter_headers=[("Authorization", "Bearer (filtered)"), "User-Agent"],
)


async def silence(scope, receive, send):
    raise AssertionError("a replay asked the sandbox")


async def walks(connector):
    told = {}
    for walk in FACTS.walks:
        told[walk.name] = [record async for page in connector.pull(walk, None) for record in page.records]
    numbers = {name: len(records) for name, records in told.items()}
    assert numbers == {"jobs": 2, "candidates": 4, "applications": 4, "calls": 1}
    assert all(record.fields["name"] for record in told["candidates"])
    (application, candidate, job) = await connector.get(told["applications"][0].ref)
    assert application == told["applications"][0]
    assert candidate in told["candidates"]
    assert job in told["jobs"]


async def births(connector):
    person = {"first_name": "Ana", "last_name": "Ruiz", "email": "ana@example.com", "phone_no": "+12025550100"}
    job = {
        "title": "Welder", "industry": "Building", "state_name": "NV", "country": "United States", "status": "Active",
        "recruiter_name": "Robin Vale", "recruiter_email": "robin.vale@example.test", "desc": "Café, welding.",
        "recruiter_work_phone_no": "+12025550111", "min_pay_rate": 22.5,
    }  # fmt: skip
    (candidate,) = await connector.create(Draft(Kind.CANDIDATE, {**person, "source": "Referral"}, source_id="C-1"), "")
    (opened,) = await connector.create(Draft(Kind.JOB, job, source_id="REQ-881"), "")
    parents = {
        Kind.JOB: Parent(opened.ref.id, opened.source_id),
        Kind.CANDIDATE: Parent(candidate.ref.id, candidate.source_id),
    }
    draft = Draft(Kind.APPLICATION, {STAGE: "Applied"}, parents, source_id="A-1")
    assert await connector.find(draft, 0.0) == ()
    made = await connector.create(draft, "")
    assert await connector.find(draft, 0.0) == made
    with pytest.raises(Taken):
        await connector.create(Draft(Kind.JOB, job, source_id="REQ-881"), "")


async def changes(connector):
    walk = FACTS.walks[2]
    rows = [record async for page in connector.pull(walk, None) for record in page.records]
    (application, candidate, job) = await connector.get(rows[0].ref)
    moved = await connector.update(application, {STAGE: "Hired"})
    assert (moved.fields[STAGE], moved.fields["application_stage"]) == ("Hired", "PASSIVE")
    renamed = await connector.update(candidate, {"name": "Zoë Maria Lindqvist"})
    assert (renamed.fields["first_name"], renamed.fields["last_name"]) == ("Zoë Maria", "Lindqvist")
    assert (await connector.update(job, {"status": "Closed"})).fields["status"] == "Closed"
    with pytest.raises(Rejected, match=r"400: Bad Request, about phone_no$"):
        await connector.update(renamed, {"phone_no": "extension 7"})
    assert await connector.get(Ref(Kind.JOB, "00000000-0000-4000-8000-000000000000")) == ()


@pytest.mark.parametrize("scene", [walks, births, changes])
def test_the_wire_is_as_recorded(scene):
    sandbox = played()
    sandbox.fill(jobs=2, people=4)
    sandbox.call(next(iter(sandbox.rows["application"])))

    async def main():
        transport = httpx.ASGITransport(app=sandbox if RECORDING else silence)
        async with httpx.AsyncClient(transport=transport) as client:
            await scene(connected(client, sandbox))

    with TAPES.use_cassette(f"{scene.__name__}.yaml") as tape:
        run_stepped(sandbox.clock, main())
    assert RECORDING or tape.all_played


def test_no_cassette_holds_the_key():
    tapes = sorted(FOLDER.glob("*.yaml"))
    assert len(tapes) == 3
    assert not [tape.name for tape in tapes if TOKEN in tape.read_text()]
