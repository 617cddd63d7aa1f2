"""What goes over the wire, replayed from recordings (see cassettes/README.md)."""

import os
from pathlib import Path

import httpx
import vcr

from connectors.hiresquire import CANDIDATES, connect
from syncd.connector import BatchState
from syncd.model import Kind, Ref
from tests.hiresquire.world import ACCOUNT, KEY, START, done, draft, new_sandbox, play

MODE = os.environ.get("SYNCD_RECORD", "none")
RECORDER = vcr.VCR(
    cassette_library_dir=str(Path(__file__).parent / "cassettes"),
    filter_headers=["authorization"],
    record_mode=MODE,
    match_on=["method", "scheme", "host", "path", "query", "raw_body"],
)
BATCH = "101"  # the sandbox's first id


def replay(name, scene):
    """Run a scene over a recording; the sandbox behind it answers only while recording."""
    sandbox = new_sandbox()

    async def ripen(connector):
        if MODE == "none":
            assert (await connector.batch(BATCH)).state is BatchState.COMPLETED
        else:
            await done(connector, sandbox, BATCH)

    async def recorded(*_):
        with RECORDER.use_cassette(name) as cassette:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox)) as client:
                await scene(connect(ACCOUNT, client, sandbox.clock), ripen)
        assert MODE != "none" or cassette.all_played, "a recorded call was not made"

    play(sandbox, recorded)
    assert MODE != "none" or not sandbox.arrivals, "a replay asks nobody"


def test_a_batch_sent_found_read_and_reported_back_replays():
    async def scene(connector, ripen):
        made = await connector.submit(draft("Ana Ruiz", "Ben Okafor"), KEY)
        assert (made.id, made.state) == (BATCH, BatchState.PROCESSING)
        assert [found.id for found in await connector.find_batch(draft(), KEY, START)] == [BATCH]
        await ripen(connector)
        (page,) = [page async for page in connector.results(BATCH)]
        assert {result.file for result in page.results} == {"1001.txt", "1002.txt"}
        best = page.results[0]
        assert (await connector.move(best.id, "hired")).status == "hired"
        await connector.report(BATCH, best.id, "hired")
        assert await connector.credits() == 2548.0

    replay("batch.yaml", scene)


def test_a_walk_over_candidates_replays():
    async def scene(connector, ripen):
        await connector.submit(draft("Ana Ruiz", "Ben Okafor"), KEY)
        await ripen(connector)
        (page,) = [page async for page in connector.pull(CANDIDATES, None)]
        assert [record.ref.kind for record in page.records] == [Kind.APPLICATION, Kind.SCREENING] * 2
        own = page.records[0].ref.id
        assert await connector.get(Ref(Kind.SCREENING, own)) == (page.records[1], page.records[0])

    replay("walk.yaml", scene)
