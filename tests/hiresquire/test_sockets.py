"""A batch over real sockets, where bodies are streamed for good."""

import asyncio

import httpx
import pytest

from connectors.hiresquire import connect
from syncd.clock import WallClock
from syncd.connector import Account, BatchFile, BatchState
from syncd.errors import Rejected, Stale, Unavailable
from tests.hiresquire.served import Served
from tests.hiresquire.world import KEY, draft, resume

MEGABYTE = 1024 * 1024


def over_sockets(scene):
    with Served(limits=()) as served:

        async def run():
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                account = Account("screens", served.base_url, "sandbox-token")
                return await scene(connect(account, client, WallClock()), served.sandbox)

        return asyncio.run(run())


def large(name, chunks, *, size=None, breaks=None):
    """A file of so many chunks of a megabyte."""

    async def read():
        yield resume("Ana Ruiz")
        for _ in range(chunks):
            yield b"x" * MEGABYTE
        if breaks is not None:
            raise breaks

    return BatchFile(name, read, size)


@pytest.mark.parametrize("sizes_known", [True, False])
def test_a_large_batch_arrives_whole(sizes_known):
    own = len(resume("Ana Ruiz")) + 6 * MEGABYTE
    files = tuple(large(f"{number}.txt", 6, size=own if sizes_known else None) for number in range(3))

    async def scene(connector, sandbox):
        made = await connector.submit(draft(files=files), KEY)
        assert made.state is BatchState.PROCESSING
        return [(one.filename, one.size) for one in sandbox.batches[int(made.id)].resumes]

    assert over_sockets(scene) == [(file.name, own) for file in files]


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (large("1001.txt", 2, breaks=Unavailable("the source is away")), Unavailable),
        (large("1001.txt", 2, size=100), Stale),
        (large("1001.txt", 2, size=3 * MEGABYTE), Stale),
        (large("1001.txt", 20), Rejected),
    ],
    ids=["breaks off", "longer than said", "shorter than said", "too large"],
)
def test_a_request_that_cannot_be_completed_makes_and_costs_nothing(file, error):
    async def scene(connector, sandbox):
        with pytest.raises(error):
            await connector.submit(draft(files=(file,)), KEY)
        made = await connector.submit(draft(), KEY)  # the key is free, and the connection is usable
        return list(sandbox.snapshot()["job"]), made.id, dict(sandbox.billed())

    jobs, made, billed = over_sockets(scene)
    assert (jobs, billed) == ([made], {"1001.txt": 1})
