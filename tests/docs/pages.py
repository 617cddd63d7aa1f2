"""What README and documentation show: their pages, and the commands in their blocks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What stands before syncd's own words where it is run from an environment or in a container.
BEFORE = (
    ("syncd",),
    (".venv/bin/syncd",),
    ("docker", "exec", "syncd", "syncd"),
    ("docker", "compose", "exec", "syncd", "syncd"),
    ("docker", "compose", "run", "--rm", "syncd"),
)


def commands_in(page: Path) -> Iterator[list[str]]:
    """Each command of a page's shell blocks, as words, without its comment."""
    for indent, block in re.findall(r"^( *)```sh\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix(indent), comments=True)
            if words:
                yield words


def syncd_words(command: list[str]) -> list[str] | None:
    """What syncd itself is told by a command; None: it is another program's."""
    for before in BEFORE:
        if tuple(command[: len(before)]) == before:
            return command[len(before) :]
    return None
