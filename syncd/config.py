"""Reading the config: one TOML file, overruled by a folder of secrets, overruled by the environment.

A value's name spells its place: ``connections.acme.token`` is ``SYNCD_CONNECTIONS__ACME__TOKEN`` in the environment
and ``connections__acme__token`` as a file in the secrets folder (``SYNCD_SECRETS``, or ``/run/secrets``, where Docker
and Podman put secrets). Lists and tables are written as JSON there. Every mistake is one sentence with its place, all
are told at once, and none shows a secret.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from syncd.errors import ConfigInvalid
from syncd.settings import Config, Section, did_you_mean, shown

PREFIX = "SYNCD_"
SECRETS_FOLDER = "/run/secrets"
LONGEST_SECRET = 64 * 1024  # bytes of one file in the secrets folder
Place = tuple[str, ...]


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read file, secrets folder and environment; raises ``ConfigInvalid`` with one line for each mistake.

    ``path`` None: the file that ``SYNCD_CONFIG`` names, else ``config.toml`` in this folder.
    """
    file = path or Path(environ.get(f"{PREFIX}CONFIG") or "config.toml")
    variables, files = _variables(environ), _secret_files(environ)
    origins = {place: name for source in (files, variables) for place, (name, _) in source.items()}
    gathered = _gather(file, _nested(variables), _nested(files))
    try:
        return Config.model_validate(gathered)
    except ValidationError as error:
        mistakes = [_told(mistake, origins) for mistake in error.errors(include_url=False)]
    raise ConfigInvalid("\n".join(dict.fromkeys(mistakes)))


def _gather(file: Path, variables: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
    """One tree of all sources, the first source's values over the next one's."""

    class Sources(BaseSettings):
        model_config = SettingsConfigDict(extra="allow")

        @classmethod
        def settings_customise_sources(cls, settings_cls: type[BaseSettings], *_: Any, **__: Any) -> tuple[Any, ...]:
            return (
                InitSettingsSource(settings_cls, variables),
                InitSettingsSource(settings_cls, secrets),
                TomlConfigSettingsSource(settings_cls, file),
            )

    _refuse_missing(file)
    try:
        return dict(Sources().model_extra or {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{file}: this is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{file}: this is not TOML: the file is not in UTF-8") from None
    except OSError as error:
        raise ConfigInvalid(f"{file}: the file cannot be read: {error.strerror}") from None


def _refuse_missing(file: Path) -> None:
    if not file.exists():
        raise ConfigInvalid(
            f"{file}: there is no such file; `syncd init` makes one by asking, or copy config.example.toml, or name "
            f"another file with --config or {PREFIX}CONFIG"
        )
    if not file.is_file():
        raise ConfigInvalid(f"{file}: this is not a file")


def _variables(environ: Mapping[str, str]) -> dict[Place, tuple[str, str]]:
    """The variables that spell a place, and where they stand in the tree."""
    # Variables without "__" are not ours: Kubernetes makes SYNCD_PORT and the like for a service of that name.
    return {
        tuple(name.removeprefix(PREFIX).lower().split("__")): (name, value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and "__" in name
    }


def _secret_files(environ: Mapping[str, str]) -> dict[Place, tuple[str, str]]:
    """The files of the secrets folder whose names spell a place; others belong to somebody else."""
    named = environ.get(f"{PREFIX}SECRETS")
    folder = Path(named or SECRETS_FOLDER)
    if not folder.is_dir():
        if named:
            raise ConfigInvalid(f"{PREFIX}SECRETS: there is no folder {folder}")
        return {}
    sections = tuple(f"{section}__" for section in Config.model_fields)
    return {
        tuple(file.name.lower().split("__")): (f"the file {file}", secret_file(file))
        for file in sorted(folder.iterdir())
        if file.name.lower().startswith(sections) and file.is_file()
    }


def secret_file(file: Path) -> str:
    """A secret that stands in a file of its own, without white space around it."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST_SECRET + 1)
        if len(content) > LONGEST_SECRET:
            raise ConfigInvalid(f"{file}: the file is too long for one value")
        return content.decode().strip()
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{file}: the file is not in UTF-8") from None
    except OSError as error:
        raise ConfigInvalid(f"{file}: the file cannot be read: {error.strerror}") from None


def _nested(values: Mapping[Place, tuple[str, str]]) -> dict[str, Any]:
    """Names that spell places as one tree; shorter names come first, so that a longer one may add to their JSON."""
    tree: dict[str, Any] = {}
    for place in sorted(values, key=len):
        name, text = values[place]
        branch = tree
        for step in place[:-1]:
            branch = branch.setdefault(step, {})
            if not isinstance(branch, dict):
                raise ConfigInvalid(f"{name}: {'.'.join(place[:-1])} has a value already and is no table")
        branch[place[-1]] = _decoded(text)
    return tree


def _decoded(text: str) -> Any:
    """Lists and tables are written as JSON; all else is text."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


# --- mistakes -------------------------------------------------------------------------------------------------------

_SENTENCES: Mapping[str, str] = {
    "missing": "this key is needed",
    "string_type": "must be text, in quotes",
    "path_type": "must be text, in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a table of keys and values",
    "dict_type": "must be a table of keys and values",
    "tuple_type": "must be a list",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def _told(mistake: ErrorDetails, origins: Mapping[Place, str]) -> str:
    place = tuple(str(step) for step in mistake["loc"])
    place = place[:-1] if len(place) > 1 and place[-1] == "[key]" else place  # it is the key itself that is wrong
    origin = next((origin for at, origin in origins.items() if at[: len(place)] == place), None)
    return f"{'.'.join(place)}{f' (from {origin})' if origin else ''}: {_sentence(mistake, place)}"


def _sentence(mistake: ErrorDetails, place: Place) -> str:
    kind, context = mistake["type"], mistake.get("ctx", {})
    known = _keys_at(place[:-1])
    if known and place[-1] not in known:
        return "syncd does not know this key" + did_you_mean(place[-1], known)
    if kind == "value_error":
        return str(context["error"])
    if kind in ("enum", "literal_error"):
        return f"{shown(mistake['input'])} is none of {context['expected']}".replace("'", '"')
    return _SENTENCES.get(kind, mistake["msg"]).format(**context)


def _keys_at(place: Place) -> tuple[str, ...]:
    """The keys that the table at a place may have; empty where any name goes."""
    at: Any = Config
    for step in place:
        if isinstance(at, type) and issubclass(at, Section):
            at = at.model_fields[step].annotation if step in at.model_fields else None
        else:
            inner = get_args(at)
            at = inner[-1] if len(inner) == 2 else None
    if not (isinstance(at, type) and issubclass(at, Section)):
        return ()
    return tuple(at.model_fields)
