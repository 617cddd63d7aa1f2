"""``syncd forget`` and ``syncd rotate-key`` as an operator types them, beside a running daemon, over sockets."""

import asyncio
import json
import logging

import pytest
import sqlalchemy as sa

from syncd import schema
from tests.integration.town import Syncd, configure, ended, systems, until
from tests.ports import free_port

TOKEN = "tokForget1"
HER = {"name": "Qxvornamark Wzeltmark", "email": "qxmailmark@example.com", "phone": "+12025557391"}
MARKS = (b"xvornamark", b"zeltmark", b"xmailmark", b"2025557391")


@pytest.fixture(autouse=True)
def _quiet_servers(caplog):
    """A connection that is cut at the end is no error to tell of."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


class Town:
    """One job, she and another, syncd beside them."""

    def __init__(self, folder, played):
        self.folder, self.played = folder, played
        self.syncd = Syncd(folder, free_port())
        configure(
            folder, self.syncd.port, played, token=TOKEN, secret="whsec_forget", level="debug", poll="2s", sweep="4s"
        )
        self.acme = played["acme"].box

    async def begin(self):
        job = self.acme.add_job(title="Night Nurse", code="J1", department="Care")
        self.acme.apply(job, **HER)
        self.acme.apply(job, name="Ann Lee", email="ann@example.com", phone="+12025550100")
        await self.syncd.start()
        await until(self.syncd.is_ready, 40, self.syncd.told)
        await until(lambda: self.links() >= 4 and self.syncd.is_at_rest(0), 60, self.syncd.told)

    def links(self):
        table = schema.links.c
        whole = (table.left.is_not(None), table.right.is_not(None))
        return len(self.syncd.rows(sa.select(table.id).where(*whole)))

    def tombstones(self):
        return len(self.syncd.rows(sa.select(schema.tombstones.c.digest)))

    async def ask(self, *words, given=""):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        asked = await self.syncd._spawn(*words, **pipes)
        out, err = await asyncio.wait_for(asked.communicate(given.encode()), 60)
        return asked.returncode, out, err

    def found(self, *but):
        marks = {*MARKS}
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in but]
        return {(path.name, mark) for path in files for mark in marks if mark in path.read_bytes()}


async def whole(folder):
    async with systems(3, TOKEN) as played:
        town = Town(folder, played)
        try:
            await town.begin()
            await erase(town)
            await change_key(town)
        finally:
            await ended(town.syncd)


async def erase(town):
    code, out, err = await town.ask("forget", "--json", given=HER["email"] + "\n")
    assert code == 1, err  # she stands at the systems still
    assert out, (err, town.syncd.told())
    receipt = json.loads(out)
    assert {each["connection"] for each in receipt["by_hand"]} == {"acme", "screener", "voice"}
    assert receipt["erased"]["links"] >= 2
    ids = {each["id"].encode() for each in receipt["by_hand"] if len(each["id"]) > 6}  # a short number stands anywhere
    (run,) = town.syncd.rows(sa.select(schema.runs).where(schema.runs.c.command == "forget"))
    assert (run.state, run.arguments, run.result) == ("done", {}, {})
    database = [(town.folder / name).read_bytes() for name in ("syncd.db", "syncd.db-wal", "syncd.db.tombstones")]
    assert {id_ for id_ in ids for content in database if id_ in content} == set()
    assert town.found() == set()
    links = town.links()
    await asyncio.sleep(6)  # a sweep at each connection
    assert town.links() == links
    code, out, err = await town.ask("forget", "--list")
    assert (code, receipt["erasure"].encode() in out) == (0, True)
    code, _, err = await town.ask("forget", given="nobody\n")
    assert code == 2
    assert b"this is no e-mail address" in err


async def change_key(town):
    key = (town.folder / "syncd.db.key").read_text()
    code, out, err = await town.ask("rotate-key")
    assert code == 0, err
    fresh = (town.folder / "syncd.db.key").read_text()
    assert fresh != key
    assert fresh.strip().encode() not in out + err
    stones = town.tombstones()
    await town.syncd.die()
    await town.syncd.start()
    await until(town.syncd.is_ready, 40, town.syncd.told)
    assert (await town.ask("status", "--json"))[0] in (0, 1)
    assert town.tombstones() >= stones > 0


def test_a_person_is_erased_beside_a_daemon_and_the_key_is_changed(tmp_path):
    asyncio.run(whole(tmp_path))
