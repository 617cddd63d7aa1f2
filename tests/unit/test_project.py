"""The house rules that a linter does not know: time and chance come in as arguments, no file names a machine, ..."""

import ast
import importlib
import random
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, packages_distributions
from pathlib import Path

import pytest

from syncd.connector import Plugin

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted(path for folder in ("syncd", "connectors", "mappings") for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))
NOT_OURS = re.compile(r"\.git|\..*venv|\..*cache|\.hypothesis|__pycache__|build|.*\.egg-info")
TEXTS = {".py", ".toml", ".md", ".lock", ".yaml", ".yml", ".json", ".txt", ".html", ".ini", ".mako", ".sh", ""}

# One clock and one source of chance come in from outside, so that a run can be played again.
TIME_AND_CHANCE = {
    "asyncio.sleep",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
} | {f"random.{name}" for name in random.__all__ if name != "Random"}

EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "util", "utils"}
LONGEST_FUNCTION = 50  # lines; above forty a function has two ideas
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:(?:work|root)/|(?:home|Users)/\w)")


def is_ours(path):
    return not any(NOT_OURS.fullmatch(part) for part in path.relative_to(ROOT).parts)


def place(path):
    return str(path.relative_to(ROOT))


def reached_for(code):
    """The names out of TIME_AND_CHANCE that the code uses, whatever it imports them as."""
    tree = ast.parse(code)
    meant = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meant |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            meant |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    heads = {name: name.partition(".") for name in names}
    full = {(meant.get(head) or head) + dot + rest for head, dot, rest in heads.values() if head in meant}
    return sorted(full & TIME_AND_CHANCE)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import time\ntime.time()", ["time.time"]),
        ("import time as t\nt.sleep(1)", ["time.sleep"]),
        ("from time import monotonic as now\nnow()", ["time.monotonic"]),
        ("from datetime import datetime, UTC\ndatetime.now(UTC)", ["datetime.datetime.now"]),
        ("import datetime as dt\nstart = dt.datetime.now", ["datetime.datetime.now"]),
        ("import random\ndef draw(chance=random.random): ...", ["random.random"]),
        ("from uuid import uuid4\nuuid4().hex", ["uuid.uuid4"]),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", ["asyncio.sleep"]),
        ("import random\ndef draw(rng: random.Random): return rng.random()", []),
        ("def late(clock, time): return time.time", []),
    ],
)
def test_time_and_chance_are_recognised_by_any_name(code, found):
    assert reached_for(code) == found


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_time_and_chance_come_in_as_arguments(path):
    if place(path) != "syncd/clock.py":
        assert reached_for(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES + SCRIPTS, ids=place)
def test_a_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_module_is_named_for_one_idea(path):
    assert not EMPTY_NAMES & set(path.stem.split("_"))


# A migration is one long list, and never changes.
@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name != "versions"], ids=place)
def test_a_function_holds_one_idea(path):
    functions = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert {f.name: f.end_lineno - f.lineno for f in functions if f.end_lineno - f.lineno >= LONGEST_FUNCTION} == {}


def test_no_file_names_a_place_on_somebodys_machine():
    ours = [path for path in ROOT.rglob("*") if path.is_file() and path.suffix in TEXTS and is_ours(path)]
    assert len(ours) > 20
    assert [place(path) for path in ours if MACHINE_PATH.search(path.read_text(errors="replace"))] == []


def pins(lock):
    return set(re.findall(r"^(\S+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_versions_and_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text()
    wanted = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert [line for line in wanted if "==" not in line or not line.endswith("\\")] == []
    assert text.count("--hash=sha256:") >= len(wanted) > 20
    assert not re.search(r"://|--(extra-)?index|--find-links", text)


def imported(path):
    """The packages that a file imports from elsewhere, by their first name."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        yield from (module.partition(".")[0] for module in modules)


def named(requirement):
    """The name of a package, spelled in one way."""
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")


def test_what_is_imported_is_declared_and_locked_for_that():
    ours = {"syncd", "connectors", "mappings", *sys.stdlib_module_names}
    providers = packages_distributions()
    always, for_tests = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]["contract"]
    declared, further = ({named(requirement) for requirement in those} for those in (always, for_tests))
    for path in SOURCES:
        used = {named(providers[name][0]) for name in imported(path) if name not in ours}
        assert used <= declared | (further if path.parent.name == "contract" else set()), place(path)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        blocks = re.split(r"^(?=\S)", (ROOT / lock).read_text(), flags=re.MULTILINE)
        wanted = {named(block) for block in blocks if re.search(r"#.* syncd \(pyproject.toml\)", block)}
        assert declared <= wanted


def test_tests_run_on_the_versions_that_users_get():
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_what_tests_share_explains_its_failures_as_a_test_does():
    shared = [
        path for path in sorted((ROOT / "tests").rglob("*.py")) if not path.name.startswith(("test_", "conftest"))
    ]
    asserting = [path for path in shared if re.search(r"^\s+assert ", path.read_text(), re.MULTILINE)]
    assert len(asserting) > 5
    for path in asserting:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert "@pytest_ar" in vars(importlib.import_module(name)), f"name {name} in tests/conftest.py"


def test_every_pure_module_is_forbidden_io():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")["layers"]
    pure = next(contract for contract in contracts if contract["name"].startswith("Pure"))["source_modules"]
    lowest = {name.strip("( )") for name in layers[-1].split(":")}
    assert set(pure) == {f"syncd.{name}" for name in lowest if (ROOT / "syncd" / f"{name}.py").exists()}


@pytest.mark.parametrize(("name", "target"), PROJECT["project"]["scripts"].items())
def test_a_command_can_be_loaded(name, target):
    assert callable(EntryPoint(name, target, "console_scripts").load())


@pytest.mark.parametrize(("name", "target"), PROJECT["project"]["entry-points"]["syncd.connectors"].items())
def test_a_connector_can_be_loaded_and_has_its_words(name, target):
    assert isinstance(EntryPoint(name, target, "syncd.connectors").load(), Plugin)
    assert tomllib.loads((ROOT / "mappings" / f"{name}.toml").read_text())


@pytest.mark.parametrize(
    "target",
    ["install", "demo", "test", "test-system", "simulate", "replay SEED=1", "prove", "bench", "lint", "lock", "clean"],
)
def test_make_knows_its_promised_targets(target):
    subprocess.run(["make", "--dry-run", *target.split()], cwd=ROOT, check=True, capture_output=True)
