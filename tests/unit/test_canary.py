"""The canaries can sing: whatever is planted in something that syncd says makes the test fail that let it be said."""

import json

import pytest

from tests.canary import Canaries, is_syncd, marks_in

pytest_plugins = ["pytester"]

RUN = """
import logging, subprocess, sys
import pytest, structlog
from syncd.clock import WallClock
from syncd.logs import configure
from syncd.metrics import Metrics

class Place:
    def __init__(self, folder):
        self.folder = folder

@pytest.fixture
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("place"))
    (made.folder / "log0").write_text("+12025550147")
    return made

def test_seen_in_a_record():
    logging.getLogger("syncd.pull").warning("Read %s.", "ana.ruiz@example.com")

def test_seen_in_a_record_of_a_library():
    logging.getLogger("httpx").error("GET https://x.test/?token=sandbox-token")

def test_seen_in_a_line_of_our_own_log():
    structlog.get_logger().info("Hello.", who="+1 202 555 0147")

def test_seen_in_a_record_that_the_log_strikes_out():
    configure(sys.stderr, WallClock(), secrets=["sandbox-token"])
    logging.getLogger("syncd.pull").warning("With sandbox-token.")

def test_seen_in_standard_output():
    print("to ana.ruiz@example.com")

def test_seen_in_standard_error():
    print("sandbox-token", file=sys.stderr)

def test_seen_in_what_a_test_reads(capsys):
    print("sandbox-token")
    capsys.readouterr()

def test_seen_in_a_log_file(tmp_path):
    (tmp_path / "log0").write_text("+12025550147")

def test_seen_in_the_log_of_a_place(place):
    assert place.folder

def test_seen_in_what_a_process_prints():
    subprocess.run([sys.executable, "-c", "import syncd; print('sandbox-token')"], capture_output=True)

def test_seen_in_metrics():
    made = Metrics(version="1")
    made.expect(["sandbox-token"], [])
    made.called("sandbox-token", "GET", "ok", 0.1)
    made.render()

def test_nothing_is_told():
    print("Read 12025 rows at 2025-05-05.")
    logging.getLogger("syncd").warning("Read %d rows of acme.", 12)
    logging.getLogger("another").warning("to ana.ruiz@example.com")

@pytest.mark.shows_values("it was asked for")
def test_shown_with_a_reason():
    print("to ana.ruiz@example.com")

@pytest.mark.shows_values
def test_shown_without_a_reason():
    print("to ana.ruiz@example.com")
"""


def test_this_run_is_watched(pytestconfig):
    assert isinstance(pytestconfig.pluginmanager.get_plugin("canaries"), Canaries)


@pytest.mark.shows_values("marks are planted here, and the run around this one sees them too")
def test_a_mark_that_is_planted_in_what_syncd_says_fails_its_test(pytester):
    pytester.makepyfile(RUN)
    ran = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:xdist", plugins=[Canaries()])
    failed = {report.nodeid.partition("::")[2]: str(report.longrepr) for report in ran.getfailures()}
    assert {report.when for report in ran.getfailures()} == {"teardown"}
    names = [line.partition("(")[0].removeprefix("def ") for line in RUN.splitlines() if line.startswith("def ")]
    assert sorted(failed) == sorted(name for name in names if "seen" in name or "without" in name)
    assert failed.pop("test_shown_without_a_reason") == "shows_values needs a reason"
    assert all(told.startswith("Seen, and nobody may see it:") for told in failed.values())


@pytest.mark.parametrize(
    "told",
    [
        "Ana.Ruiz+1@EXAMPLE.com", "a@mail.example.test", "+12025550147", "12025550147", "(202) 555-0147",
        "Bearer sandbox-token", "whsec_made_up", json.dumps({"mail": "ana@example.com"}),
    ],
)  # fmt: skip
def test_a_mark_is_known_in_whatever_stands_around_it(told):
    assert marks_in(f"x {told} y")
    assert marks_in(f"x {told} y".encode())


@pytest.mark.parametrize("told", ["ops@acme.example", "2025-05-05", "http://example.com/", "token", "2025550", "1.0"])
def test_what_is_nobodys_is_no_mark(told):
    assert marks_in(told) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/srv/syncd/.venv/bin/syncd serve", True),
        ("/usr/bin/python3 -m syncd serve", True),
        ("/usr/bin/python3 -m tests.integration.daemon config.toml", True),
        ("/srv/syncd/.venv/bin/python3 -m tests.simulation.trace 3", False),
    ],
)
def test_syncd_is_told_from_a_folder_of_its_name(command, expected):
    assert is_syncd(command.split()) is expected


@pytest.mark.parametrize("program", ["from syncd.cli import main; main()", "import syncd; syncd.main()"])
def test_a_program_that_is_given_as_text_may_be_syncd(program):
    assert is_syncd(["python3", "-c", program])
