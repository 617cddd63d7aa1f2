"""The body that submits a batch, written while its files are read.

Source: the vendor's REST reference, "Create Screening Job", and llms-full.txt, "Resume object fields": a résumé is
``{filename, base64}``.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from syncd.connector import BatchFile, Part, streamed, streamed_length


def body(fields: Mapping[str, Any], files: Sequence[BatchFile], most: int) -> AsyncIterator[bytes]:
    """The JSON in pieces; raises ``Rejected`` where the files hold more than ``most`` bytes, ``Stale`` as in a file."""
    return streamed(_parts(fields, files), most)


def length(fields: Mapping[str, Any], files: Sequence[BatchFile]) -> int | None:
    """The body's length in bytes; None where a file's size is not known."""
    return streamed_length(_parts(fields, files))


def _parts(fields: Mapping[str, Any], files: Sequence[BatchFile]) -> tuple[Part, ...]:
    head = orjson.dumps(fields)[:-1] + b',"resumes":['
    within = [part for at, file in enumerate(files) for part in (_before(at, file), file, b'"}')]
    return head, *within, b"]}"


def _before(at: int, file: BatchFile) -> bytes:
    return b"," * (at > 0) + b'{"filename":' + orjson.dumps(file.name) + b',"base64":"'
