"""The command line: what it takes, how it ends, and what it prints."""

import asyncio
import io
import random
import re
import socket
import tomllib
from pathlib import Path

import httpx
import orjson
import pytest
import typer
from typer.testing import CliRunner

from syncd import cli, play, tell
from syncd.app import load_plugins, systems
from syncd.clock import SteppedClock, WallClock, run_stepped
from syncd.errors import ConfigInvalid, SyncdError, Unavailable
from syncd.sandbox import Sandbox
from syncd.server import listening
from syncd.settings import Server

NOW = 1_790_000_000.0
COMMANDS = (
    "init", "check", "plan", "backfill", "serve", "pause", "resume", "status", "held", "resolve", "explain", "demo",
    "sandbox", "links", "links show", "links add", "links cut", "forget", "rotate-key",
)  # fmt: skip
CONFIG = """
[connections.acme]
system = "workable"
base_url = "http://127.0.0.1:9101"
token = "a-secret-token"
member = "ops@example.com"
"""


def outside(tmp_path, text=CONFIG, **more):
    (tmp_path / "config.toml").write_text(text)
    clock = SteppedClock(NOW, frozen=True)
    rng = random.Random(1)
    return cli.Outside(
        environ={"SYNCD_CONFIG": str(tmp_path / "config.toml"), "SYNCD_STORE__URL": f"sqlite:///{tmp_path}/s.db"},
        clock=clock,
        rng=rng,
        entropy=rng.randbytes,
        run=lambda coroutine: run_stepped(clock, coroutine),
        **more,
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _a_usual_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def console(*, is_terminal=False, environ=None):
    stream = Terminal() if is_terminal else io.StringIO()
    return tell.console_on(stream, environ or {}), stream


# --- taking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_that_fits_a_terminal(command):
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"Usage: syncd {command}" in result.output
    assert max(map(len, result.output.splitlines())) <= tell.WIDTH


def test_the_help_names_all_commands_and_the_exit_codes():
    text = CliRunner().invoke(cli.app, ["--help"]).output
    assert [command for command in COMMANDS if f"\n  {command.split()[0]} " not in text] == []
    assert "0 done; 1 something is held, failed or left; 2 the" in text
    assert text.count("...") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["resolve", "seven", "drop"],
        ["resolve", "7", "burn"],
        ["resolve", "7", "take"],
        ["resolve", "7", "link"],
        ["links", "add", "voices", "horse", "1", "2"],
        ["plan", "--since", "yesterday"],
        ["plan", "--kind", "horses"],
        ["sandbox", "wokable"],
        ["sandbox", "workable", "--port", "99999"],
    ],
)
def test_a_wrong_command_line_ends_with_two(tmp_path, capsys, words):
    assert cli.run(words, outside(tmp_path)) == 2
    assert capsys.readouterr().out == ""


def test_a_misspelt_system_is_guessed(tmp_path, capsys):
    cli.run(["sandbox", "wokable"], outside(tmp_path))
    assert 'did you mean "workable"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30d", NOW - 30 * 86400),
        ("90s", NOW - 90),
        ("2026-01-31", 1769817600.0),
        ("2026-01-31T08:00Z", 1769846400.0),
        ("2026-01-31T08:00", 1769846400.0),
        ("2026-01-31T08:00+02:00", 1769839200.0),
    ],
)
def test_a_time_may_be_a_spell_or_a_date(text, at):
    assert cli.moment(text, NOW) == at


def test_what_is_no_time_says_how_to_write_one():
    with pytest.raises(typer.BadParameter, match='write for example "30d"'):
        cli.moment("soon", NOW)


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        (["take", "left"], ("take left", None)),
        (["TAKE", "Right"], ("take right", None)),
        (["retry"], ("retry", None)),
        (["link", "Ab-9"], ("link", "Ab-9")),
    ],
)
def test_an_answer_is_read_whatever_its_case_and_an_id_as_it_is(words, choice):
    assert cli._choice(words) == choice


@pytest.mark.parametrize("words", [["1f"], ["--json", "1f"], ["show", "1f"]])
def test_links_of_an_id_need_no_word_between(tmp_path, capsys, words):
    assert cli.run(["links", *words], outside(tmp_path)) == 1
    assert "there is nothing to look at yet" in capsys.readouterr().err


# --- ending ---------------------------------------------------------------------------------------------------------


def test_every_mistake_in_the_configuration_is_a_line_with_its_place(tmp_path, capsys):
    text = CONFIG.replace('"workable"', '"wokable"') + "\n[pairs.p]\nleft = 'acme'\nright = 'nobody'\n"
    assert cli.run(["status"], outside(tmp_path, text)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.partition(":")[0] for line in told.err.splitlines()] == ["connections.acme.system", "pairs.p.right"]
    assert "a-secret-token" not in told.err


def test_a_missing_configuration_is_a_sentence(tmp_path, capsys):
    there = outside(tmp_path)
    assert cli.run(["--config", str(tmp_path / "none.toml"), "status"], there) == 2
    assert "there is no such file" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ConfigInvalid("store.url: no"), 2, "store.url: no"),
        (Unavailable("nobody answers"), 1, "nobody answers"),
        (SyncdError("not so"), 1, "not so"),
        (KeyboardInterrupt(), 1, "Stopped. What was written is kept"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(tmp_path, capsys, error, code, sentence):
    there = outside(tmp_path)

    def fail(coroutine):
        coroutine.close()
        raise error

    there.run = fail
    assert cli.run(["pause"], there) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(sentence)
    assert "Traceback" not in told.err


def test_a_bug_is_told_without_the_values_that_it_met(tmp_path, capsys):
    there = outside(tmp_path)

    def fail(coroutine):
        coroutine.close()
        raise KeyError("ann@example.com")

    there.run = fail
    assert cli.run(["pause"], there) == 1
    told = capsys.readouterr().err
    assert "syncd failed (KeyError): this is a bug" in told
    assert "syncd.cli" in told
    assert "ann@example.com" not in told


def test_a_store_whose_folder_is_not_there_is_a_mistake_of_the_configuration(tmp_path, capsys):
    there = outside(tmp_path)
    there.environ["SYNCD_STORE__URL"] = f"sqlite:///{tmp_path}/none/s.db"
    assert cli.run(["pause"], there) == 2
    assert "store.url: the store's folder cannot be used" in capsys.readouterr().err


def test_a_store_of_another_version_is_told_apart_from_none(tmp_path, capsys):
    (tmp_path / "s.db").touch()
    assert cli.run(["status"], outside(tmp_path)) == 1
    assert "was made by another version of syncd" in " ".join(capsys.readouterr().err.split())


def test_a_database_that_does_not_answer_is_a_sentence(tmp_path, capsys):
    (tmp_path / "key").write_text("00" * 32)
    (tmp_path / "key").chmod(0o600)
    there = outside(tmp_path)
    there.environ |= {
        "SYNCD_STORE__URL": "postgresql://nobody@127.0.0.1:1/none",
        "SYNCD_STORE__KEY_FILE": str(tmp_path / "key"),
    }
    assert cli.run(["status"], there) == 1
    assert "store.url: the database cannot be used now" in capsys.readouterr().err
    assert cli.run(["pause"], there) == 2
    assert "store.url: the database does not answer" in capsys.readouterr().err


def test_pausing_answers_in_words_or_as_json(tmp_path, capsys):
    there = outside(tmp_path)
    assert cli.run(["pause"], there) == 0
    assert capsys.readouterr().out == "Everything rests until `syncd resume`.\n"
    assert cli.run(["resume", "acme", "--json"], there) == 0
    assert orjson.loads(capsys.readouterr().out) == {"told": "Connection acme was not stopped."}
    assert cli.run(["status", "--json"], there) == 0
    assert orjson.loads(capsys.readouterr().out)["stopped"] == "paused"


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path, capsys):
    assert cli.run(["pause", "nobody"], outside(tmp_path)) == 1
    assert capsys.readouterr().err == 'nothing is called "nobody"; there are: acme\n'


# --- printing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3660, "1 h 1 min"), (180_000, "2 d 2 h")],
)
def test_a_spell_is_told_in_its_largest_units(seconds, text):
    assert tell.lasting(seconds) == text


def test_times_are_told_from_now():
    assert [tell.ago(at, NOW) for at in (None, NOW, NOW - 90, NOW + 90)] == [
        "never", "0 s ago", "1 min 30 s ago", "in 1 min 30 s",
    ]  # fmt: skip


HOSTILE = "id\x1b[31m\x07\r\nof\u202e\x9b0m"


def test_what_would_move_a_cursor_is_stripped():
    assert tell.plain(HOSTILE) == "id[31m of0m"
    assert tell.clean({"a": [HOSTILE]}) == {"a": ["id[31m\nof0m"]}


def held(**more):
    end = {
        "connection": "acme",
        "kind": "job",
        "id": HOSTILE,
        "rows": [],
        "source_id": None,
        "url": None,
        "gone": False,
    }
    return {
        "id": 1, "kind": "job", "field": "", "pair": "voices", "since": NOW - 60, "sentence": "[bold]It[/bold] waits.",
        "next": "syncd resolve 1 retry", "left": end, "right": None, **more,
    }  # fmt: skip


def test_remote_words_reach_a_terminal_as_plain_text():
    made, stream = console()
    tell.held(made, [held()], NOW, everything=False)
    assert "\x1b" not in stream.getvalue()
    assert "[bold]It[/bold] waits." in stream.getvalue()
    assert "acme job id[31m of0m" in stream.getvalue()


def test_long_lists_are_cut_with_a_word_about_the_rest():
    made, stream = console()
    tell.held(made, [held(id=number) for number in range(60)], NOW, everything=False)
    assert "... and 10 more; `syncd held --all` shows them." in stream.getvalue()
    made, stream = console()
    tell.held(made, [held(id=number) for number in range(60)], NOW, everything=True)
    assert "[59] · job" in stream.getvalue()


def test_nothing_is_wider_than_a_hundred_columns():
    made, stream = console()
    tell.held(made, [held(sentence="word " * 100)], NOW, everything=False)
    assert max(map(len, stream.getvalue().splitlines())) <= 100


def test_colours_appear_on_a_terminal_alone_and_never_with_no_color():
    written = []
    for is_terminal, environ in ((False, {}), (True, {}), (True, {"NO_COLOR": "1"})):
        made, stream = console(is_terminal=is_terminal, environ=environ)
        tell.held(made, [], NOW, everything=False)
        written.append(stream.getvalue())
    assert [("\x1b[32m" in text) for text in written] == [False, True, False]


def test_progress_is_shown_on_a_terminal_alone():
    for is_terminal in (False, True):
        made, stream = console(is_terminal=is_terminal)
        with tell.progress(made, "backfill") as heard:
            heard({"pages": {"acme": 2}, "writes": {"x": 3}, "left": 4})
        assert bool(stream.getvalue()) is is_terminal


def test_progress_calls_no_write_made_that_is_only_planned():
    for what, expected in (("backfill", "3 writes ·"), ("planning", "3 writes planned ·")):
        made, stream = console(is_terminal=True)
        with tell.progress(made, what) as heard:
            heard({"writes": {"x": 3}, "left": 4})
        assert expected in re.sub(r"\x1b\[[0-9;?]*\w", "", stream.getvalue())


def test_a_backfill_that_held_something_names_the_command_that_shows_it():
    for held_facts in ({}, {"ambiguous_job": 2}):
        made, stream = console()
        tell.backfill(made, {"writes": {}, "pages": {}, "links": {}, "held": held_facts}, NOW)
        assert ("`syncd held`" in stream.getvalue()) is bool(held_facts)


def test_a_sandbox_whose_port_is_taken_says_which_option_chose_it():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigInvalid) as refused:
        listening(Server(listen=f"127.0.0.1:{taken.getsockname()[1]}"), "--port")
    assert str(refused.value).startswith("--port: cannot listen on 127.0.0.1:")
    assert str(refused.value).endswith(": Address already in use")


def test_webhooks_that_syncd_registers_are_not_told_to_lack_an_address_while_the_token_is_refused():
    hooks = {
        "signed_with": "token",
        "heard": True,
        "judged": True,
        "registers": True,
        "subscriptions": None,
        "urls": [],
    }
    told = tell._webhooks({"name": "acme", "system": "workable", "webhooks": hooks})
    assert "did not look" in told
    assert "public_url" not in told


# --- playing --------------------------------------------------------------------------------------------------------


def test_the_help_names_all_systems_that_can_be_played():
    told = " ".join(CliRunner().invoke(cli.app, ["sandbox", "--help"]).output.split())
    assert systems() == list(load_plugins())
    assert f"Which system to play: {', '.join(systems())}." in told
    assert all(plugin.sandbox is not None for plugin in load_plugins().values())


@pytest.mark.parametrize("system", systems())
def test_a_system_is_played_on_loopback_with_its_token_told(system):
    said = []

    async def scene():
        playing = asyncio.ensure_future(
            play.play(
                system, load_plugins()[system], port=0, empty=False, clock=WallClock(), rng=random.Random(1),
                say=said.append,
            )
        )  # fmt: skip
        while not said:
            await asyncio.sleep(0.01)
        address = said[0].split()[4]
        async with httpx.AsyncClient(trust_env=False) as client:
            log = (await client.get(f"{address}/_sandbox")).json()
            refused = await client.get(f"{address}/v1/jobs")
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        return log, refused.status_code

    log, refused = asyncio.run(scene())
    assert log["system"] == system
    assert refused in (401, 403, 404)
    assert "  token     sandbox-token" in said
    assert said[-1].startswith("GET ")


def test_the_played_workable_has_the_member_of_the_example():
    sandbox: Sandbox = load_plugins()["workable"].sandbox(clock=WallClock(), rng=random.Random(1))
    example = tomllib.loads((Path(__file__).parents[2] / "config.example.toml").read_text())
    member = example["connections"]["acme"]["member"]
    assert member in {each.email for each in sandbox.members.values() if each.active}
