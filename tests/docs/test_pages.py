"""README and documentation are true: commands, links, words of the log, names of tests.

The commands are parsed here; tests/system/test_docs_commands.py runs them.
"""

import ast
import re
import shlex

import pytest
import typer
import yaml
from typer.testing import CliRunner

from syncd.app import load_plugins, systems
from syncd.cli import app
from syncd.model import Kind
from tests.docs.pages import PAGES, ROOT, commands_in, syncd_words
from tests.simulation import added, core, liar

README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = [(page, command) for page in PAGES for command in commands_in(page)]
SERVICES = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]


def named(pair):
    page, command = pair
    return f"{page.relative_to(ROOT)}: {shlex.join(command)[:60]}"


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", COMMANDS, ids=named)
def test_a_command_is_one_that_there_is(pair):
    page, command = pair
    words = syncd_words(command)
    if words is not None:
        understood(words)
        return
    match command:
        case ["make", target, *rest]:
            assert target in TARGETS
            assert all(re.fullmatch(r"[A-Z]+=.*", each) for each in rest)
        case ["cp", source, _]:
            assert (ROOT / source).is_file()
        case ["sh", script]:
            assert (page.parent / script).is_file()
        case ["docker", "compose", "up", "-d"] | ["docker", "build", "-t", "syncd:0.1.0", "."]:
            pass
        case ["docker", "compose", "exec", service, "pg_dump", *_]:
            assert service in SERVICES
        case ["docker", "run", *rest]:
            assert rest[-1] == SERVICES["syncd"]["image"]
            assert {"--read-only", "no-new-privileges"} <= set(rest)
        case ["python3", "-c", program]:
            ast.parse(program)
        case ["pip", "install", *_] | ["pytest"]:
            assert page.name == "connector.md"  # tests/system/test_connector_guide.py does these
        case _:
            pytest.fail(f"no test knows this command: {shlex.join(command)}")


def understood(words):
    """Let the command line's own parser read these words, and do nothing."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), words
    concrete = ["1" if word == "NUMBER" else word for word in words]
    command.make_context(command.name, concrete)


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        understood(["backfill", "--metrics-fil", "x"])


ADVICE = {
    path: path.read_text()
    for path in [ROOT / "config.example.toml", ROOT / "Dockerfile", *PAGES, *sorted((ROOT / "syncd").rglob("*.py"))]
}
ADVISED = {
    word for text in ADVICE.values() for word in re.findall(r"`(?:[\w./]*bin/)?syncd ([a-z]+(?:-[a-z]+)*)", text)
}


@pytest.mark.parametrize("command", sorted(ADVISED))
def test_a_command_named_in_a_sentence_exists(command):
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


# --- the README -------------------------------------------------------------------------------------------------------


def test_the_readme_is_two_screens():
    lines = README.splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 100


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


# --- what the pages say of each other and of the code -----------------------------------------------------------------


def anchors(page):
    """The names under which GitHub reaches a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        place, _, anchor = link.partition("#")
        if "://" in place:
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def actions():
    """The words that the log's lines have as ``action``; an f-string gives what stands before its first value."""
    for path in sorted([*(ROOT / "syncd").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
                yield from (word_of(each.value) for each in node.keywords if each.arg == "action")


def word_of(value):
    if isinstance(value, ast.JoinedStr):
        return value.values[0].value
    return ast.literal_eval(value)


def test_every_word_of_the_log_is_listed_and_no_other():
    section = (ROOT / "docs" / "operations.md").read_text().partition("\n## The log\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    listed = {word for row in rows for word in re.findall(r"`([\w.]+)`", row.split("|")[1])}
    written = set(actions())
    begun = {word for word in written if word.endswith(".")}
    assert {word for word in listed if not word.startswith(tuple(begun))} == written - begun
    assert all(any(word.startswith(begin) for word in listed) for begin in begun)


def known_tests():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "syncd" / "contract").rglob("*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


def test_the_promises_are_all_there_and_each_named_test_exists():
    text = (ROOT / "docs" / "promises.md").read_text()
    assert re.findall(r"^\*\*I(\d+)\.", text, re.MULTILINE) == [str(number) for number in range(1, 28)]
    named_ = re.findall(r"`(test_\w+)`", text)
    assert len(named_) > 60
    assert set(named_) - known_tests() == set()
    for promise in re.split(r"^\*\*I\d+\.", text, flags=re.MULTILINE)[1:]:
        assert "`test_" in promise.partition("\n## ")[0]


def test_each_fault_is_told_with_what_plays_it_and_each_that_is_played_is_told():
    text = (ROOT / "docs" / "faults.md").read_text()
    assert re.findall(r"^\| F(\d+) \|", text, re.MULTILINE) == [str(number) for number in range(1, 45)]
    named_ = set(re.findall(r"`(test_\w+)`", text))
    assert named_ - known_tests() == set()
    assert set(re.findall(r'"(\w+)"', text)) == {*core.FAULTS, *liar.KINDS, *added.ADDED}


def test_the_pages_name_no_file_that_is_not_there():
    for page in PAGES:
        for name in re.findall(r"`((?:deploy|docs|mappings|syncd|tests|benchmarks)/[\w./-]+\w)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
