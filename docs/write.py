"""Writes the pages of this folder that are made from the code: ``make docs``."""

import types
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from syncd import measures
from syncd.app import load_plugins
from syncd.cli import app
from syncd.mapping import STAGES, STATUSES
from syncd.model import Kind
from syncd.settings import (
    Advance,
    Connection,
    Cron,
    Every,
    Guard,
    Keeping,
    Log,
    Only,
    Pair,
    Section,
    Server,
    Store,
    WordMap,
)

Kinds = type[Section]

# Each table of the file, in the order in which people write them.
TABLES: Mapping[str, Kinds] = {
    "[store]": Store,
    "[server]": Server,
    "[connections.NAME]": Connection,
    "[connections.NAME.stages], .statuses, .words.FIELD": WordMap,
    "[pairs.NAME]": Pair,
    "only, of a pair": Only,
    "on_screening, of a pair": Advance,
    "[guard]": Guard,
    "[log]": Log,
}

_HEAD = """# Configuration

Every table and key of the configuration, made from `syncd/settings.py` by `make docs`; do not edit it by hand. To
begin, copy `config.example.toml`: each line there has its reason beside it. `syncd check` proves what you wrote.

The file is TOML: `config.toml` in the folder where syncd runs, or what `--config` or `SYNCD_CONFIG` names. Any value
may also come from elsewhere, and its name spells its place:

| from | the token of `[connections.acme]` | wins over |
|---|---|---|
| the environment | `SYNCD_CONNECTIONS__ACME__TOKEN` | all others |
| the secrets folder: `SYNCD_SECRETS`, or `/run/secrets` if it is there | a file `connections__acme__token` | the file |
| the file | `token = "…"` | |

Lists and tables are written as JSON there: `SYNCD_PAIRS__SCREENING__ONLY='{"job": ["SHORTCODE"]}'`. A key that is not
known is a mistake; each mistake is told in one sentence with its place, and the exit code is 2. An interval is `"90s"`,
`"5m"`, `"24h"` or `"7d"`; a cron line has five fields, as `"*/5 * * * *"`, in UTC. Where a default is left blank, the
key may be left out and means nothing then, or what its meaning says.
"""

_WORDS = """## Words

Our stages: {stages}. Our job statuses: {statuses}.

Each system's words for them stand in `mappings/<system>.toml`; a connection adds its own, theirs on the left:

```toml
[connections.screener.stages.read]
"Tech Chat" = "interview"
```
"""


def configuration() -> str:
    """The page that lists each key of the configuration, in Markdown."""
    parts = [_HEAD]
    for title, table in TABLES.items():
        parts += [f"## {_title(title)}\n", f"{table.__doc__}\n".replace("``", "`")]
        parts += ["| key | takes | default | meaning |", "|---|---|---|---|"]
        parts += [_row(name, field) for name, field in table.model_fields.items()]
        parts.append("")
    parts += [_WORDS.format(stages=_listed(STAGES), statuses=_listed(STATUSES)), *_of_systems()]
    return "\n".join(parts) + "\n"


def _title(title: str) -> str:
    return ", ".join(f"`{part}`" if part[0] in "[." else part for part in title.split(", "))


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("``", "`").replace("\n", " ")
    return f"| `{name}` | {takes(field)} | {_default(field)} | {meaning} |".replace("||", "| |")


def takes(field: FieldInfo) -> str:
    """What may be written for a key, in words."""
    bounds = [_bound(each) for each in field.metadata]
    return ", ".join([_taken(field.annotation), *filter(None, bounds)])


def _bound(limit: Any) -> str:
    match limit:
        case Gt(gt=least):
            return f"more than {least}"
        case Ge(ge=least):
            return f"at least {least}"
        case Le(le=most):
            return f"at most {most}"
    return ""


_NAMED: Mapping[Any, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "file",
    SecretStr: "text, secret",
    Every: "interval",
    Keeping: "how long",
    Every | Cron: "interval or cron line",
    Kind: "kind",
    WordMap: "table of `read` and `write`, below",
    Only: "table, below",
    tuple[str, ...]: "text, or list of texts",
    Connection.model_fields["webhook_secret"].annotation: "one secret, or a list of two",
    tuple[Advance, ...]: "list of tables, below",
    dict[str, str]: "table of texts",
}


def _taken(kind: Any) -> str:
    if kind in _NAMED:
        return _NAMED[kind]
    origin, inner = get_origin(kind), [each for each in get_args(kind) if each is not type(None)]
    if origin is Literal or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return ", ".join(f'`"{word}"`' for word in inner or kind)
    if origin in (Union, types.UnionType) or origin.__name__ == "Annotated":
        return _taken(inner[0])
    if origin is tuple:
        return f"list of {_taken(inner[0])}"
    assert origin is dict, kind
    return f"by name: {_taken(inner[1])}"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "needed"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value in ((), {}) or isinstance(value, Section):
        return ""
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _of_systems() -> Iterator[str]:
    """What each installed system knows beside what all do; what it is for stands with the system."""
    yield "## Keys of the systems\n"
    yield "What a system knows in `[connections.NAME]` beside these keys. What for, tells [systems.md](systems.md).\n"
    yield "| system | address without `base_url` | cannot do without | also knows |"
    yield "|---|---|---|---|"
    for system, plugin in load_plugins().items():
        own = [key for key in plugin.options if key not in {*Connection.model_fields, *Pair.model_fields}]
        address = f"`{plugin.base_url}`" if plugin.base_url else ""
        yield f"| `{system}` | {address} | {_listed(plugin.needs)} | {_listed(tuple(own))} |"


# --- commands ---------------------------------------------------------------------------------------------------------

_COMMANDS = """# Commands

What `syncd --help` and each command's `--help` say, made by `make docs`; do not edit it by hand.

All commands work beside a running daemon. Exit codes: 0 done; 1 something is held, failed or left; 2 the configuration
or the command line is wrong. With `--json` answers are for programs, and times are seconds since 1970 (UTC).
"""


def commands() -> str:
    """The page with the help of each command, in Markdown."""
    parts = [_COMMANDS]
    for words in _named(typer.main.get_command(app), ()):
        parts += [f"## {' '.join(('syncd', *words))}\n", f"```text\n{helped(*words)}\n```\n"]
    return "\n".join(parts)


def _named(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from _named(inner, (*words, name))


def helped(*words: str) -> str:
    """What a command says of itself, on a terminal of 80 columns."""
    plain = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    told = CliRunner().invoke(app, [*words, "--help"], env=plain, prog_name="syncd")
    assert told.exit_code == 0, told.output
    return "\n".join(line.rstrip() for line in told.output.strip().splitlines())


PAGES = {"metrics.md": measures.reference, "configuration.md": configuration, "commands.md": commands}

if __name__ == "__main__":
    for name, made in PAGES.items():
        Path(__file__).with_name(name).write_text(made(), "utf-8")
