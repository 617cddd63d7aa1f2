"""Request bodies that are written while their files are read: no file is ever whole in memory or at rest.

A body is a row of parts: bytes go out as they are, a file goes out as its content in base64. JSON around a file is cut
at the file's place, because a document that is serialised whole would hold the file at once. Pure.
"""

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from syncd.errors import Rejected, Stale

PIECE = 3 * 16 * 1024  # bytes that are encoded at once; a multiple of three, so that pieces join without padding
HERE = "\x00the file\x00"  # stands in a document where its file's content goes


class Readable(Protocol):
    """What can be read from its beginning, as often as need be; ``size`` in bytes, None: not known."""

    @property
    def read(self) -> Callable[[], AsyncIterator[bytes]]:
        """Opens the stream anew at each call."""
        ...

    @property
    def size(self) -> int | None:
        """How long the stream is."""
        ...


Part = bytes | Readable


def around(document: Mapping[str, Any], file: Readable) -> tuple[Part, ...]:
    """The JSON of a document with a file's base64 where ``HERE`` stands; ``Rejected`` where that is not just once."""
    before, *after = orjson.dumps(document).split(orjson.dumps(HERE)[1:-1])
    if len(after) != 1:
        raise Rejected("the file has no place of its own in the request")
    return before, file, after[0]


async def streamed(parts: Sequence[Part], most: int) -> AsyncIterator[bytes]:
    """The body in pieces; ``most`` bound the bytes of all files together.

    Raises ``Rejected`` where they hold more, ``Stale`` where one is of another length than was said; what a file's
    ``read`` raises comes through.
    """
    left = most
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        size = 0
        async for piece in _encoded(part):
            size += len(piece) // 4 * 3 - piece[-2:].count(b"=")
            if size > left:
                raise Rejected(f"the files hold more than {most} bytes")
            yield piece
        if part.size is not None and size != part.size:
            raise _other_length()
        left -= size


def streamed_length(parts: Sequence[Part]) -> int | None:
    """The body's length in bytes; None where a file's size is not known."""
    sizes = [_length(part) for part in parts]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _length(part: Part) -> int | None:
    if isinstance(part, bytes):
        return len(part)
    return None if part.size is None else -(-part.size // 3) * 4


async def _encoded(file: Readable) -> AsyncIterator[bytes]:
    """A file in base64; its stream's chunks may be of any length. A size that is told is not exceeded."""
    waiting, size = b"", 0
    async for chunk in file.read():
        size += len(chunk)
        if file.size is not None and size > file.size:
            raise _other_length()
        held = memoryview(waiting + chunk)
        whole = len(held) - len(held) % 3
        for start in range(0, whole, PIECE):
            yield base64.b64encode(held[start : min(start + PIECE, whole)])
        waiting = bytes(held[whole:])
    if waiting:
        yield base64.b64encode(waiting)


def _other_length() -> Stale:
    return Stale("a file is of another length than was said: it was changed meanwhile")
