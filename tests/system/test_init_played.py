"""`syncd init` as a person types it: the systems are played in-process, in virtual time."""

import random
import stat

import httpx
import pytest

from syncd import cli, config
from syncd.app import load_plugins
from syncd.clock import SteppedClock, run_stepped

START = 1_790_000_000.0
TOKENS = {"SYNCD_CONNECTIONS__ACME__TOKEN": "sandbox-token", "SYNCD_CONNECTIONS__SCREENER__TOKEN": "sandbox-token"}
LEFT = ("--left", "workable", "--left-name", "acme", "--left-url", "https://acme.example.test")
MEMBER = ("--left-member", "ops@acme.example")
RIGHT = ("--right", "ninjahire", "--right-name", "screener")
NEEDED = {
    "industry": "Software", "recruiter_name": "Talent team", "recruiter_email": "talent@example.com",
    "recruiter_phone": "+12025550100", "source": "Workable",
}  # fmt: skip
SOMETIMES = {"country": "US", "state": "CA", "phone": "+12025550199", "description": "None.", "industry": "Software"}
DEFAULTS = [word for name, value in (NEEDED | SOMETIMES).items() for word in ("--default", f"screener.{name}={value}")]


class Town:
    """Two systems, and somebody who types. ``answers``: question's words -> answer; None: nobody is there."""

    def __init__(self, files, capsys, *, environ=TOKENS, answers=None):
        self.files, self.capsys, self.answers = files, capsys, answers
        self.clock = SteppedClock(START, frozen=True)
        self.rng = random.Random(1)
        plugins = load_plugins()
        self.hub = plugins["workable"].sandbox(clock=self.clock, rng=random.Random(3))
        self.played = {
            "acme": self.hub,
            "screener": plugins["ninjahire"].sandbox(clock=self.clock, rng=random.Random(3)),
            "desk": plugins["portal"].sandbox(clock=self.clock, rng=random.Random(3)),
            "squire": plugins["hiresquire"].sandbox(clock=self.clock, rng=random.Random(3)),
        }
        self.jobs = self.hub.fill(jobs=2, people=4, again=0.0)
        self.environ = {"SYNCD_STORE__URL": f"sqlite:///{files}/syncd.db", **environ}
        self.file = files / "config.toml"
        self.asked = []

    def run(self, *words):
        outside = cli.Outside(
            environ=self.environ,
            clock=self.clock,
            rng=self.rng,
            entropy=self.rng.randbytes,
            network=lambda name: httpx.ASGITransport(app=self.played[name]),
            run=lambda coroutine: run_stepped(self.clock, coroutine),
            asking=lambda: None if self.answers is None else self.answer,
        )
        code = cli.run(["--config", str(self.file), *words], outside)
        told = self.capsys.readouterr()
        return code, " ".join(told.out.split()), " ".join(told.err.split())

    def answer(self, question, default=None, *, hidden=False):
        self.asked.append((question, default, hidden))
        for words, answer in self.answers.items():
            if words in question:
                return answer.pop(0) if isinstance(answer, list) else answer
        assert default is not None, f"nobody answers {question}"
        return default

    def calls(self, name):
        return [(call.method, call.status) for call in self.played[name].arrivals]


@pytest.fixture
def town(tmp_path, capsys):
    return Town(tmp_path, capsys)


def test_the_config_that_it_writes_passes_check_and_ends_with_the_plan(town):
    code, out, err = town.run("init", "--yes", *LEFT, *MEMBER, *RIGHT, *DEFAULTS)
    assert (code, err) == (0, "acme: the token works. screener: the token works."), out + err
    assert "10 writes would be made; nothing was written" in out
    assert "sandbox-token" not in town.file.read_text() + out
    assert stat.S_IMODE(town.file.stat().st_mode) == 0o644
    assert sorted(path.name for path in town.files.iterdir()) == [
        "config.toml",
        "syncd.db",
        "syncd.db.key",
        "syncd.db.lock",
    ]
    code, out, err = town.run("check")
    assert code == 0, out + err
    written = config.load(town.file, town.environ)
    pair = written.pairs["acme_screener"]
    assert (pair.jobs, pair.candidates, pair.applications) == ("->", "->", "<->")


def test_nothing_but_reading_is_done_and_each_call_is_counted(town):
    town.run("init", "--yes", *LEFT, *MEMBER, *RIGHT, *DEFAULTS)
    for name in ("acme", "screener"):
        assert {method for method, _ in town.calls(name)} == {"GET"}
        assert {status for _, status in town.calls(name)} == {200}, "the calls of init and of plan share one budget"
    assert len(town.calls("acme")) > 4


def test_stages_of_the_account_are_proposed_and_the_rest_is_left_to_fill_in(town):
    pipeline = [
        ("Sourced", "sourced"),
        ("Applied", "applied"),
        ("Tech Chat", "interview"),
        ("Culture Fit", "interview"),
    ]
    town.hub.add_job(title="Tiler", code="T", pipeline=pipeline)
    code, out, _ = town.run("init", "--yes", *LEFT, *MEMBER, *RIGHT, *DEFAULTS)
    text = town.file.read_text()
    assert '"Tech Chat" = "interview"' in text
    assert '\n# "Culture Fit" = ""' in text
    assert "Stages of acme that were matched by their spelling: Tech Chat." in out
    assert "Stages of acme for you to fill in: Culture Fit." in out
    code, out, _ = town.run("check", "--quick")
    assert code == 1
    assert "Culture Fit" in out
    assert "Tech Chat" not in out
    town.file.write_text(text.replace('# "Culture Fit" = ""', '"Culture Fit" = "interview"'))
    assert town.run("check", "--quick")[0] == 0


def test_a_person_is_asked_and_a_token_is_typed_unseen(tmp_path, capsys):
    town = Town(tmp_path, capsys, environ={}, answers={
        "stands left": "workable", "Its name here": ["acme", "screener"], "Address of acme": "https://acme.example.test",
        "In whose name": "ops@acme.example", "Token of": "sandbox-token", "stands right": "ninjahire",
        **{f"the {name}": "text" for name in ("industry", "state", "country", "recruiter", "source", "phone", "descr")},
    })  # fmt: skip
    code, out, err = town.run("init", "--secrets-dir", str(tmp_path / "secrets"))
    assert code == 0, out + err
    assert [hidden for question, _, hidden in town.asked if "Token" in question] == [True, True]
    assert not any(hidden for question, _, hidden in town.asked if "Token" not in question)
    kept = tmp_path / "secrets" / "connections__acme__token"
    assert kept.read_text() == "sandbox-token\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "SYNCD_SECRETS" in out
    assert "sandbox-token" not in town.file.read_text() + out + err
    town.environ["SYNCD_SECRETS"] = str(kept.parent)
    assert town.run("check", "--quick")[0] == 0


def test_a_token_that_is_refused_is_asked_for_again(tmp_path, capsys):
    answers = {"Token of": ["wrong", "sandbox-token"], "In whose name": ""}
    town = Town(tmp_path, capsys, environ={"SYNCD_CONNECTIONS__SCREENER__TOKEN": "sandbox-token"}, answers=answers)
    _, _, err = town.run("init", *LEFT, *MEMBER, *RIGHT, *DEFAULTS)
    assert "connections.acme: GET answered 401" in err
    assert town.file.exists()
    assert [status for _, status in town.calls("acme")][:2] == [401, 200]


def test_three_wrong_tokens_end_it(tmp_path, capsys):
    town = Town(tmp_path, capsys, environ={}, answers={"Token of": "wrong"})
    code, _, err = town.run("init", *LEFT, *MEMBER, *RIGHT)
    assert code == 2
    assert err.count("401") == 3
    assert "wrong" not in err.replace("what is wrong", "")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("environ", "words", "says"),
    [
        (TOKENS, [], "--left: is needed; add it to `syncd init`"),
        (TOKENS, ["--left", "wokable"], 'did you mean "workable"?'),
        (TOKENS, ["--left", "workable"], "--left-url: is needed"),
        ({}, [*LEFT, *RIGHT], "SYNCD_CONNECTIONS__ACME__TOKEN: is not set; set it to the token of acme, then run"),
        (TOKENS | {"SYNCD_CONNECTIONS__ACME__TOKEN": "no"}, [*LEFT, *RIGHT], "then run `syncd init` again"),
        (TOKENS, [*LEFT, "--left-member", "x@example.com", *RIGHT], "names no active member"),
        (
            TOKENS,
            [*LEFT, *RIGHT],
            "--default screener.recruiter_email=…: is needed; screener demands the",
        ),
        (TOKENS, [*LEFT, *RIGHT, "--jobs", "<-"], "workable cannot be written jobs"),
        (TOKENS, [*LEFT, *RIGHT, "--jobs", "up"], "pairs.acme_screener.jobs"),
        (TOKENS, [*LEFT, *RIGHT, "--default", "industry"], "is no default; write for example"),
        (TOKENS, [*LEFT, "--right", "ninjahire", "--right-name", "acme"], "is the name of the other side"),
        (TOKENS, [*LEFT, "--right", "ninjahire", "--right-name", "A b"], "a name has lower-case letters"),
        (TOKENS, [*LEFT[:-1], "http://10.0.0.8", *RIGHT], "connections.acme.base_url"),
    ],
)
def test_what_is_missing_or_wrong_is_a_sentence_and_nothing_is_written(tmp_path, capsys, environ, words, says):
    town = Town(tmp_path, capsys, environ=environ)
    code, _, err = town.run("init", "--yes", *words)
    assert code == 2
    assert says in err
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_there_is_left_alone_before_anybody_is_asked(town):
    town.file.write_text("precious")
    code, _, err = town.run("init", "--yes", *LEFT, *RIGHT)
    assert (code, town.file.read_text()) == (2, "precious")
    assert "is left alone" in err
    assert town.calls("acme") == []


def test_a_folder_that_is_not_there_is_told(town):
    town.file = town.files / "nowhere" / "config.toml"
    assert town.run("init", "--yes", *LEFT, *RIGHT)[0] == 2


def test_another_token_in_the_secrets_folder_is_not_overwritten(town):
    secrets = town.files / "secrets"
    secrets.mkdir()
    (secrets / "connections__acme__token").write_text("another")
    code, _, err = town.run("init", "--yes", *LEFT, *MEMBER, *RIGHT, *DEFAULTS, "--secrets-dir", str(secrets))
    assert code == 2
    assert "holds another token" in err
    assert (secrets / "connections__acme__token").read_text() == "another"
    assert not town.file.exists()


def test_a_portal_needs_no_defaults_and_flows_as_it_can(town):
    town.environ["SYNCD_CONNECTIONS__DESK__TOKEN"] = town.environ.pop("SYNCD_CONNECTIONS__SCREENER__TOKEN")
    words = ("--right", "portal", "--right-name", "desk", "--right-url", "https://portal.example.test")
    code, out, err = town.run("init", "--yes", *LEFT, *words)
    assert code == 0, out + err
    pair = config.load(town.file, town.environ).pairs["acme_desk"]
    assert (pair.jobs, pair.candidates, pair.applications) == ("->", "->", "->"), "no member, so Workable is only read"
    assert town.run("check", "--quick")[0] == 0


def test_a_screening_service_gets_no_jobs_and_screens_nobody_until_somebody_says_so(town):
    town.environ["SYNCD_CONNECTIONS__SQUIRE__TOKEN"] = town.environ.pop("SYNCD_CONNECTIONS__SCREENER__TOKEN")
    words = ("--right", "hiresquire", "--right-name", "squire", "--right-url", "https://squire.example.test")
    code, out, err = town.run("init", "--yes", *LEFT, *MEMBER, *words)
    assert code == 0, out + err
    pair = config.load(town.file, town.environ).pairs["acme_squire"]
    assert (pair.jobs, pair.candidates, pair.applications) == ("off", "off", "<->")
    assert (pair.screenings, pair.screen_at) == ("off", None)
    text = town.file.read_text()
    assert '# screenings = "<-"' in text
    assert "# screen_at = " in text
    assert "resumes" not in text, "they go out with the batch"
    assert town.run("check", "--quick")[0] == 0
