"""The body that submits a batch, written while its files are read: no file is ever whole in memory or at rest.

Source: the vendor's REST reference, "Create Screening Job", and llms-full.txt, "Resume object fields": a résumé is
``{filename, base64}``. The JSON is made by hand around the streams, because a document that is serialised whole would
hold all files at once.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from syncd.connector import BatchFile
from syncd.errors import Rejected, Stale

PIECE = 3 * 16 * 1024  # bytes that are encoded at once; a multiple of three, so that pieces join without padding


async def body(fields: Mapping[str, Any], files: Sequence[BatchFile], most: int) -> AsyncIterator[bytes]:
    """The JSON in pieces; raises ``Rejected`` where the files hold more than ``most`` bytes, ``Stale`` as in a file."""
    left = most
    yield _head(fields)
    for at, file in enumerate(files):
        yield _before(at, file)
        size = 0
        async for piece in _encoded(file):
            size += len(piece) // 4 * 3 - piece[-2:].count(b"=")
            if size > left:
                raise Rejected(f"the files of a batch hold more than {most} bytes")
            yield piece
        if file.size is not None and size != file.size:
            raise Stale("a file is not as long as it was when the batch was made up")
        left -= size
        yield b'"}'
    yield b"]}"


def length(fields: Mapping[str, Any], files: Sequence[BatchFile]) -> int | None:
    """The body's length in bytes; None where a file's size is not known."""
    sizes = [file.size for file in files if file.size is not None]
    if len(sizes) < len(files):
        return None
    frames = sum(len(_before(at, file)) + 2 for at, file in enumerate(files))
    return len(_head(fields)) + frames + sum(-(-size // 3) * 4 for size in sizes) + 2


def _head(fields: Mapping[str, Any]) -> bytes:
    return orjson.dumps(fields)[:-1] + b',"resumes":['


def _before(at: int, file: BatchFile) -> bytes:
    return b"," * (at > 0) + b'{"filename":' + orjson.dumps(file.name) + b',"base64":"'


async def _encoded(file: BatchFile) -> AsyncIterator[bytes]:
    """A file in base64; its stream's chunks may be of any length. A size that is told is not exceeded."""
    waiting, size = b"", 0
    async for chunk in file.read():
        size += len(chunk)
        if file.size is not None and size > file.size:
            raise Stale("a file is not as long as it was when the batch was made up")
        held = memoryview(waiting + chunk)
        whole = len(held) - len(held) % 3
        for start in range(0, whole, PIECE):
            yield base64.b64encode(held[start : min(start + PIECE, whole)])
        waiting = bytes(held[whole:])
    if waiting:
        yield base64.b64encode(waiting)
