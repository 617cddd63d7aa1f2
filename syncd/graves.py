"""The file that remembers who was erased, beside the database: a backup that is put back brings nobody back.

One JSON object a line: first the key of the tombstones (sealed under the master key), then each tombstone, and whose
return was allowed. A line is on the disk before the erasure is committed. Like the database it holds no value, and no
digest that anything else is digested by; it belongs into no backup of the database, or an older one would replace it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from syncd.errors import ConfigInvalid, Rejected
from syncd.sealing import TOMBSTONES, Sealer, replace_synced

Line = Mapping[str, Any]


def append(path: Path, sealer: Sealer, lines: Iterable[Line]) -> None:
    """Add lines, on the disk before this returns; the file is made where there is none. Raises ``ConfigInvalid``."""
    try:
        if not path.exists():
            replace_synced(path, _text(_head(sealer)))
        with path.open("a") as file:
            if not path.read_bytes().endswith(b"\n"):  # a line that a power cut tore: what follows is one of its own
                file.write("\n")
            file.write("".join(map(_text, lines)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigInvalid(f"store.tombstones: {path} cannot be written: {error.strerror}") from error


def read(path: Path, sealer: Sealer) -> tuple[str | None, list[dict[str, Any]]]:
    """(the sealed key where it is another than the sealer's, the lines); what a stop cut off is left out."""
    try:
        head, *lines = path.read_text().splitlines() if path.exists() else [_text(_head(sealer))]
        told = orjson.loads(head)
        other = None if told["check"] == _check(sealer) else str(told["key"])
        return other, [orjson.loads(line) for line in lines if line.endswith("}")]
    except OSError as error:
        raise ConfigInvalid(f"store.tombstones: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigInvalid(f"store.tombstones: {path} is no list of erased people; put back the right one") from error


def take_key(sealer: Sealer, path: Path, wrapped: str) -> None:
    """Take up the key under which the file's tombstones were made; raises ``ConfigInvalid``."""
    try:
        sealer.unwrap(TOMBSTONES, wrapped)
    except Rejected as error:
        raise ConfigInvalid(
            f"store.tombstones: {path} was made under another key than the store's; put back that key, or the right "
            "file; without it whoever was erased comes back"
        ) from error


def rewrap(path: Path | None, sealer: Sealer) -> None:
    """After a change of the master key: seal the file's key under the one in force."""
    if path is not None and path.exists():
        _, lines = read(path, sealer)
        replace_synced(path, "".join(map(_text, [_head(sealer), *lines])))


def _head(sealer: Sealer) -> Line:
    return {"check": _check(sealer), "key": sealer.wrapped(TOMBSTONES)}


def _check(sealer: Sealer) -> str:
    return sealer.tombstone("file", "")


def _text(line: Line) -> str:
    return orjson.dumps({str(name): value for name, value in line.items()}).decode() + "\n"
