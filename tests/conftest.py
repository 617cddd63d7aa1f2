"""What every test may use: a store's address (SQLite and PostgreSQL both), and how strict the run is.

With CI=true a skipped check is a failed one: what CI does not run, it does not prove.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from syncd import logs
from tests.canary import Canaries
from tests.postgres import PostgresServer, running_server

# What tests share asserts too, and a failure there should say as much as one in a test.
SHARED = (
    "tests.hiresquire.served",
    "tests.hiresquire.world",
    "tests.integration.played",
    "tests.integration.town",
    "tests.simulation.bare",
    "tests.simulation.core",
    "tests.simulation.planted",
    "tests.simulation.planting",
    "tests.simulation.worlds",
    "tests.system.browser",
    "tests.unit.intent_machine",
    "tests.unit.papers_world",
    "tests.unit.small_world",
)
pytest.register_assert_rewrite(*SHARED)

# The machine is shared and slow at times, so no deadline; the same examples each time, so that a red run is the
# change's fault. `make prove` looks much further.
hypothesis.settings.register_profile("test", deadline=None, derandomize=True, database=None, max_examples=50)
hypothesis.settings.register_profile("prove", deadline=None, max_examples=150, print_blob=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Canaries(), "canaries")


@pytest.fixture(autouse=True)
def _log_of_the_tests() -> Iterator[None]:
    """Each test may configure the log; the test run's own comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    for name in logs.QUIET:  # a server of the same process may have taken its lines for itself
        logging.getLogger(name).propagate = True
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def no_log() -> None:
    """Nothing is logged: it costs a seventh of the simulation's time, and hides what a long run's failure says."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the session (for each worker under xdist)."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A new, empty PostgreSQL database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/syncd.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """An empty store; a test that asks for it runs once on each database."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    return _strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    return _strict((yield))


def _strict(report):
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI skips nothing: {report.longrepr}"
    return report
