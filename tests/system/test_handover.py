"""Commands beside a running daemon: asked for in one process, done in another."""

import asyncio
import contextlib
import os
import random
import stat

import pytest
import sqlalchemy as sa

from syncd import app as joined
from syncd import handover, schema
from syncd.clock import WallClock
from syncd.errors import PlanRefused, SyncdError, Unavailable
from syncd.settings import Config
from tests.integration.played import place, systems


def config_of(url, **connections):
    return Config.model_validate({"store": {"url": url, "key": "0" * 64}, "connections": connections})


async def echo(app, command, arguments, progress):
    """What the tests hand over."""
    if command == "count":
        for step in range(3):
            progress({"step": step})
            await asyncio.sleep(0.05)
        return {"said": arguments["words"]}
    if command == "show":
        return {"details": [1], "values": [{"email": [None, "pat.doe@example.com"]}]}
    if command == "erase":
        return {"receipt": {"by_hand": ["c-4711"]}}
    if command == "wait":
        progress({"waiting": True})
        await asyncio.sleep(600)
    if command == "refuse":
        raise PlanRefused("the plan looks wrong")
    raise ZeroDivisionError("pat@example.com")


class Owner:
    """A process's worth of ownership, with its desk."""

    def __init__(self, config):
        self.config = config

    async def __aenter__(self):
        sealer = joined.sealer_of(self.config, os.urandom)
        self.store = joined.open_store(self.config, WallClock(), sealer)
        self.lock = joined.ownership_of(self.config, self.store.engine)
        assert self.lock.take()
        self.app = joined.build(self.config, {}, self.store, sealer, rng=random.Random(1))
        self.desk = handover.Desk(self.app, echo)
        await self.desk.__aenter__()
        self.attending = asyncio.ensure_future(self.desk.attend())
        return self

    async def runs(self):
        def read(connection):
            return [dict(row) for row in connection.execute(sa.select(schema.runs)).mappings()]

        return await self.store.run(read)

    async def __aexit__(self, *error):
        await self.desk.__aexit__(*error)
        self.attending.cancel()
        await asyncio.gather(self.attending, return_exceptions=True)
        self.lock.release()
        await self.app.close()


def play(url, scene):
    async def main():
        async with asyncio.timeout(60), Owner(config_of(url)) as owner:
            return await scene(owner)

    return asyncio.run(main())


def ask(owner, command, arguments=None, told=None):
    return handover.ask_owner(owner.config, command, arguments or {}, (told if told is not None else []).append)


def test_a_command_is_done_by_the_owner(store_url):
    async def scene(owner):
        told = []
        result = await ask(owner, "count", {"words": "hello"}, told)
        return result, told, await owner.runs()

    result, told, [run] = play(store_url, scene)
    assert result == {"said": "hello"}
    assert told
    assert run["state"] == "done"
    assert run["result"] == {"said": "hello"}
    assert run["asked_at"] <= run["started_at"] <= run["ended_at"]


def test_a_refusal_is_raised_where_it_was_asked_for(store_url):
    async def scene(owner):
        with pytest.raises(PlanRefused, match="the plan looks wrong"):
            await ask(owner, "refuse")
        return await owner.runs()

    [run] = play(store_url, scene)
    assert (run["state"], run["result"]["error"]) == ("failed", "PlanRefused")


def test_a_bug_is_told_without_its_words(store_url):
    async def scene(owner):
        with pytest.raises(SyncdError, match="the daemon failed at this command") as error:
            await ask(owner, "bug")
        return str(error.value), await owner.runs()

    words, runs = play(store_url, scene)
    assert "pat@" not in words + str(runs)


def test_ctrl_c_cancels_the_run(store_url):
    async def scene(owner):
        told = []
        asking = asyncio.ensure_future(ask(owner, "wait", told=told))
        while not told:
            await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while (runs := await owner.runs())[0]["state"] != "cancelled" or owner.desk._runs:
            await asyncio.sleep(0.05)
        return runs

    [run] = play(store_url, scene)
    assert run["state"] == "cancelled"


def test_several_commands_are_done_at_once(store_url):
    async def scene(owner):
        words = [f"number {number}" for number in range(4)]
        results = await asyncio.gather(*(ask(owner, "count", {"words": word}) for word in words))
        return [result["said"] for result in results] == words

    assert play(store_url, scene)


def test_arguments_that_name_a_person_are_not_kept(store_url):
    async def scene(owner):
        result = await ask(owner, "count", {"words": "pat.doe@example.com", "more": ["+1 202 555 0123", {"a": None}]})
        return result, await owner.runs()

    result, runs = play(store_url, scene)
    assert result == {"said": "pat.doe@example.com"}
    assert "pat.doe" not in str(runs[0]["arguments"])
    assert "555" not in str(runs[0]["arguments"])


def test_what_a_result_shows_of_people_goes_to_the_caller_alone(sqlite_url):
    async def scene(owner):
        return await ask(owner, "show", {"show_values": True}), await owner.runs()

    result, [run] = play(sqlite_url, scene)
    assert result["values"] == [{"email": [None, "pat.doe@example.com"]}]
    assert run["result"] == {"details": [1]}


def test_through_postgresql_no_values_are_shown(postgresql_url):
    async def scene(owner):
        with pytest.raises(SyncdError, match="nobody's data may lie"):
            await ask(owner, "show", {"show_values": True})
        result = await ask(owner, "show")
        return result, await owner.runs()

    result, [run] = play(postgresql_url, scene)
    assert result == run["result"] == {"details": [1]}


def test_a_receipt_reaches_the_caller_and_stays_in_no_table(store_url):
    async def scene(owner):
        return await ask(owner, "erase"), await owner.runs()

    result, [run] = play(store_url, scene)
    assert result == {"receipt": {"by_hand": ["c-4711"]}}
    assert (run["state"], run["result"]) == ("done", {})


def test_an_owner_that_stops_says_so(store_url):
    async def scene(owner):
        told = []
        asking = asyncio.ensure_future(ask(owner, "wait", told=told))
        while not told:
            await asyncio.sleep(0.05)
        await owner.desk.__aexit__()
        owner.attending.cancel()
        with pytest.raises(Unavailable, match="the daemon ended before the command did"):
            await asking

    play(store_url, scene)


def test_leftovers_of_a_dead_owner_have_failed(store_url):
    async def main():
        async with Owner(config_of(store_url)) as owner:
            owner.attending.cancel()  # it has died
            now = owner.store.clock.now()
            id_ = await owner.store.run(handover.ask, "count", {"words": "x"}, now)
            await owner.store.run(handover.begun, id_, {}, now)
        async with Owner(config_of(store_url)) as owner:
            return await owner.runs()

    [run] = asyncio.run(main())
    assert (run["state"], run["result"]["error"]) == ("failed", "Unavailable")


def test_nobody_there_is_a_clear_sentence(sqlite_url):
    with pytest.raises(Unavailable, match="takes no commands"):
        asyncio.run(handover.ask_owner(config_of(sqlite_url), "count", {}, print))


def test_an_owner_that_takes_no_commands_is_not_waited_for(store_url, monkeypatch):
    """A one-shot command has the store, but no desk."""
    monkeypatch.setattr(handover, "DEAF_S", 0.5)

    async def scene(owner):
        await owner.desk.__aexit__()
        owner.attending.cancel()
        with pytest.raises(Unavailable, match="takes no commands"):
            await ask(owner, "count", {"words": "x"})

    play(store_url, scene)


def test_on_postgresql_an_owner_that_died_is_noticed(postgresql_url):
    async def main():
        config = config_of(postgresql_url)
        async with Owner(config):
            pass
        async with asyncio.timeout(20):
            await handover.ask_owner(config, "count", {"words": "x"}, print)

    with pytest.raises(Unavailable, match="the daemon ended"):
        asyncio.run(main())


def test_the_socket_is_for_this_user_alone_and_goes_with_the_owner(tmp_path):
    path = handover.socket_path(tmp_path / "syncd.db")

    async def scene(owner):
        return stat.S_IMODE(path.stat().st_mode)

    assert play(f"sqlite:///{tmp_path}/syncd.db", scene) == 0o600
    assert not path.exists()


def test_a_long_path_is_no_hindrance(tmp_path):
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()

    async def scene(owner):
        return await ask(owner, "count", {"words": "far"})

    assert play(f"sqlite:///{folder}/syncd.db", scene) == {"said": "far"}


@pytest.mark.parametrize("sent", [b"", b"\n", b"[]\n", b"{}\n", b'{"command": 1, "arguments": []}\n', b"\xff" * 100])
def test_nonsense_on_the_socket_is_hung_up_on(tmp_path, sent):
    async def scene(owner):
        reader, writer = await asyncio.open_unix_connection(handover.socket_path(tmp_path / "syncd.db"))
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer, await owner.runs()

    assert play(f"sqlite:///{tmp_path}/syncd.db", scene) == (b"", [])


def test_a_daemon_that_is_killed_is_noticed(tmp_path, sqlite_url):
    """With real processes: progress comes over, then the owner dies."""
    with systems(people=1) as played, place(tmp_path, played, sqlite_url) as here:
        daemon = here.start().wait_ready()

        async def main():
            told = asyncio.Event()
            config = config_of(sqlite_url)
            counted = await handover.ask_owner(config, "count", {"to": 3}, lambda _: None)
            asking = asyncio.ensure_future(handover.ask_owner(config, "wait", {}, lambda _: told.set()))
            await told.wait()
            daemon.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asking, 10)
            return counted

        with pytest.raises(Unavailable, match="the daemon ended"):
            asyncio.run(main())
