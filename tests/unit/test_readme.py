"""The README is true: its commands exist, its help is the program's, its table is the connectors'."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.app import load_plugins, systems
from syncd.cli import app
from syncd.model import Kind

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def helped(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"}, prog_name="syncd")
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def test_the_commands_are_the_programs_own_help():
    block = README.split("```text\n")[1].split("```")[0]
    assert block.strip() == helped()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))))
def test_a_make_target_exists(target):
    assert target in TARGETS


ADVICE = "".join((ROOT / name).read_text() for name in ("config.example.toml", "Dockerfile"))
ADVICE += "".join(path.read_text() for path in sorted((ROOT / "syncd").rglob("*.py")))
NAMED = re.findall(r"(?:bin/|`|exec syncd )syncd ([a-z]+)", README) + re.findall(r"`syncd ([a-z]+)", ADVICE)


@pytest.mark.parametrize("command", sorted(set(NAMED)))
def test_a_command_exists(command):
    assert helped(command)


def test_the_first_thing_is_the_two_commands():
    assert README.index("make demo") < README.index("make test") < README.index("## ")


@pytest.mark.parametrize("system", systems())
def test_the_table_says_what_a_system_allows(system):
    row = next(line for line in README.splitlines() if line.lower().startswith(f"| {system}"))
    facts = load_plugins()[system].facts
    for cell, kind in zip(row.split("|")[2:5], (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION), strict=True):
        known = facts.kinds.get(kind)
        assert ("read" in cell) == (known is not None), (kind, cell)
        assert ("write" in cell) == bool(known and known.writes), (kind, cell)


def test_the_pair_of_the_readme_is_in_the_example():
    example = (ROOT / "config.example.toml").read_text()
    block = README.split("[pairs.screening]")[1].split("```")[0]
    for line in block.strip().splitlines():
        key = line.split("=")[0].strip()
        assert re.search(rf"^{key} = ", example.split("[pairs.screening]")[1], re.MULTILINE), key
