"""docs/systems.md lists every endpoint of the references, and says of each truly whether and where it is used.

A call is added to a connector: say in its row of docs/systems.md which function makes it. A vendor documents another
endpoint: add it to endpoints.toml and to the table.
"""

import ast
import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from syncd.app import load_plugins
from syncd.clock import SteppedClock
from syncd.model import Kind
from tests.docs.requests import made

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "systems.md").read_text()
REFERENCES = tomllib.loads((Path(__file__).parent / "endpoints.toml").read_text())
SYSTEMS = sorted(REFERENCES)
ROW = re.compile(r"^\| `([A-Z]+ /[^`]*)` \| (.+?) \| (.+) \|$", re.MULTILINE)
UNUSED = "-"
PAGES = {"hiresquire": {"/dashboard"}}  # paths in the code that are for people
# What our sandboxes serve though no reference names it.
ASSUMED = {  # where the address told with a file leads to
    "portal": {"GET /files/:"},
    "workable": {"GET /resumes/:/:"},
    "worksignal": {"GET /resumes/:/:/:"},
}


@dataclass(frozen=True)
class Row:
    """One line of a table: ``used_by`` None: never called."""

    endpoint: str
    used_by: str | None
    why: str

    @property
    def method(self) -> str:
        return self.endpoint.partition(" ")[0]

    @property
    def steps(self) -> list[str]:
        """The path's steps, with ":" for what a caller fills in."""
        return [":" if step.startswith(":") else step for step in self.endpoint.partition(" ")[2].split("/")[1:]]

    def fits(self, method: str, steps: list[str]) -> bool:
        return method == self.method and fits(self.steps, steps)


def fits(pattern: list[str], steps: list[str]) -> bool:
    return len(pattern) == len(steps) and all(
        ours in {":", theirs} for ours, theirs in zip(pattern, steps, strict=True)
    )


def section(system: str) -> str:
    return next(part for part in PAGE.split("\n## ") if part.lower().startswith(f"{system}\n"))


@cache
def rows(system: str) -> list[Row]:
    told = [(endpoint, used.strip("`"), why) for endpoint, used, why in ROW.findall(section(system))]
    return [Row(endpoint, None if used == UNUSED else used, why) for endpoint, used, why in told]


def named(system: str, method: str, path: str) -> Row | None:
    """The row that speaks of a request: of several that fit, the one with the fewest blanks."""
    steps = path.removeprefix(REFERENCES[system]["root"]).split("/")[1:]
    found = [row for row in rows(system) if row.fits(method, steps)]
    return min(found, key=lambda row: row.steps.count(":"), default=None)


# --- the code -------------------------------------------------------------------------------------------------------


@cache
def code(system: str) -> list[ast.Module]:
    """A connector's modules, without those that play the system."""
    files = sorted((ROOT / "connectors" / system).glob("*.py"))
    return [ast.parse(file.read_text()) for file in files if not file.name.startswith(("sandbox", "played"))]


@cache
def functions(system: str) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for module in code(system) for node in ast.walk(module) if isinstance(node, kinds)}


@cache
def texts(system: str) -> set[str]:
    """The texts in the code, with ":" where a value is put in; no docstrings."""
    found = set()
    for module in code(system):
        docs = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
        parts = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(module):
            if id(node) in docs | parts:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(part.value if isinstance(part, ast.Constant) else ":" for part in node.values))
    return found


def paths(system: str) -> set[str]:
    """The texts that are paths, or ends of paths."""
    return {text for text in texts(system) if re.fullmatch(r":?(/([a-z][a-z0-9_.-]*|:))+", text)}


def is_part(path: list[str], of: list[str]) -> bool:
    """Whether a path, or a path's end, stands within an endpoint's."""
    return any(fits(path, of[at : at + len(path)]) for at in range(len(of)))


# --- what must be true ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_endpoint_of_a_reference_is_in_the_table_exactly_once(system):
    listed = [row.endpoint for row in rows(system)]
    assert sorted(listed) == sorted(REFERENCES[system]["endpoints"])
    assert len(set(listed)) == len(listed)


def test_each_system_has_its_table():
    assert sorted(load_plugins()) == SYSTEMS


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_we_play_is_documented(system):
    sandbox = load_plugins()[system].sandbox(clock=SteppedClock(1_790_000_000.0, frozen=True), rng=random.Random(1))
    known = {f"{row.method} /{'/'.join(row.steps)}" for row in rows(system)} | ASSUMED.get(system, set())
    for route in sandbox.routes():
        path = re.sub(r"\{[^}]*\}", ":", route.path.removeprefix(REFERENCES[system]["root"]))
        for method in route.methods - {"HEAD"}:
            assert f"{method} {path}" in known


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_used_endpoint_names_a_function_of_the_connector(system):
    users = {row.used_by for row in rows(system) if row.used_by}
    assert users <= functions(system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_used_endpoint_stands_in_the_connectors_code(system):
    steps = {step for text in texts(system) for step in text.split("/")}
    for row in rows(system):
        if row.used_by:
            assert {step for step in row.steps if step != ":"} <= steps, row.endpoint
            assert row.method in texts(system), row.endpoint


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_path_in_a_connectors_code_belongs_to_a_used_endpoint(system):
    root = REFERENCES[system]["root"].split("/")[1:]
    used = [[*root, *row.steps] for row in rows(system) if row.used_by]
    for path in paths(system) - PAGES.get(system, set()):
        steps = path.removeprefix(":").split("/")[1:]
        assert any(is_part(steps, of) for of in used), f"{path} is not said to be used"


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_connector_was_seen_to_ask_is_said_to_be_used(system):
    for method, path in sorted(made(system)):
        row = named(system, method, path)
        assert row is not None, f"{method} {path} is in no table"
        assert row.used_by, f"{row.endpoint} is said to be unused"


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_not_used_has_a_reason(system):
    told = rows(system)
    for before, row in zip([None, *told], told, strict=False):
        assert row.why.strip()
        if row.why.startswith("as above"):
            assert before is not None
            assert before.used_by is None, f"{row.endpoint}: nothing of the kind stands above"


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_summary_says_what_a_system_allows(system):
    facts = load_plugins()[system].facts
    cells = next(line for line in PAGE.splitlines() if line.lower().startswith(f"| {system} |")).split(" | ")[1:]
    for cell, kind in zip(cells, (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION, Kind.SCREENING), strict=False):
        known = facts.kinds.get(kind)
        expected = UNUSED if known is None else "read, write" if known.writes else "read"
        assert cell == expected, kind
    signed = "none" if facts.hooks is None else "token" if facts.hooks.key == "token" else "secret"
    assert cells[5].endswith(signed)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_summary_says_which_way_resumes_go(system):
    facts = load_plugins()[system].facts
    cell = next(line for line in PAGE.splitlines() if line.lower().startswith(f"| {system} |")).split(" | ")[5]
    application = facts.kinds[Kind.APPLICATION]
    assert ("gives" in cell) == ("resume" in application.lists | application.details)
    assert ("takes" in cell) == (facts.attaches is not None)
    assert ("in batches" in cell) == (facts.screens_by == "batch")


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_key_that_a_connection_takes_is_explained(system):
    plugin, text = load_plugins()[system], section(system)
    assert [key for key in (*plugin.needs, *plugin.options) if f"`{key}" not in text] == []
