"""A file on its way from one system to another: read once to be judged, once more to be sent, kept nowhere.

Its type is judged by its first bytes, for names lie; the digest of the first reading must be that of the second.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import PurePath

from syncd.errors import Rejected, Stale, SyncdError
from syncd.facts import FileLimits
from syncd.papers import File

HEAD = 2048  # bytes by which a type is told
_SIGNS = (
    (b"%PDF-", ".pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".doc"),
    (b"{\\rtf", ".rtf"),
)
_ZIP = b"PK\x03\x04"
_ODT = b"mimetypeapplication/vnd.oasis.opendocument.text"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a first reading told: the type by content (an extension), the size in bytes, and a digest."""

    extension: str
    size: int
    digest: str


async def prove(file: File, limits: FileLimits) -> Proof:
    """Read a file to its end; raises ``Rejected`` where it is empty, too large, or of no type that is taken."""
    digest, size, head = hashlib.sha256(), 0, b""
    async for piece in file.read():
        size += len(piece)
        if size > limits.bytes:
            raise Rejected(f"the file is larger than {limits.bytes // 1_000_000} MB")
        digest.update(piece)
        head += piece[: HEAD - len(head)]
    if not size:
        raise Rejected("the file is empty")
    extension = extension_of(file.name, head)
    if extension is None or extension not in limits.extensions:
        raise Rejected(f"the file is none of {', '.join(limits.extensions)}, judged by its content")
    return Proof(extension, size, digest.hexdigest())


def extension_of(name: str, head: bytes) -> str | None:
    """The type that a file's first bytes tell, as an extension; None: it is nothing that a résumé can be."""
    for sign, extension in _SIGNS:
        if head.startswith(sign):
            return extension
    if head.startswith(_ZIP):
        return ".odt" if _ODT in head[:200] else ".docx" if b"word/" in head or _suffix(name) == ".docx" else None
    try:
        text = head[: HEAD - 4].decode("utf-8", errors="strict") if len(head) == HEAD else head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 8:
            return None
        text = head[: error.start].decode("utf-8")
    if "\0" in text or "<html" in text[:500].lower():
        return None
    return ".md" if _suffix(name) == ".md" else ".txt"


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def as_proven(file: File, proof: Proof) -> Callable[[], AsyncIterator[bytes]]:
    """The file's stream, whose last piece comes only if all of it is what was proven; else ``Stale`` ends it."""

    async def read() -> AsyncIterator[bytes]:
        digest, waiting = hashlib.sha256(), b""
        try:
            async for piece in file.read():
                digest.update(piece)
                if waiting:
                    yield waiting
                waiting = piece
        except SyncdError as error:  # the source's trouble, which is none of the target's
            raise Stale("the file could not be read to its end while it was being sent") from error
        if digest.hexdigest() != proof.digest:
            raise Stale("the file was changed while it was being sent")
        yield waiting

    return read
