"""A body with a file in it is the document that it would be in one piece."""

import asyncio
import base64

import orjson
import pytest

from syncd.connector import File
from syncd.errors import Rejected, Stale
from syncd.papers import without_markup
from syncd.streams import HERE, PIECE, around, streamed, streamed_length


def whole(parts, most=10**7):
    async def run():
        return b"".join([piece async for piece in streamed(parts, most)])

    return asyncio.run(run())


def test_a_document_around_a_file_is_the_json_with_its_base64():
    content = bytes(range(256)) * 700
    assert len(content) > PIECE
    document = {"candidate": {"resume": {"name": 'an "odd" name', "data": HERE}}, "after": [1]}
    body = whole(parts := around(document, File.of("a.pdf", content)))
    assert len(body) == streamed_length(parts)
    told = orjson.loads(body)
    assert base64.b64decode(told["candidate"]["resume"].pop("data"), validate=True) == content
    assert told == {"candidate": {"resume": {"name": 'an "odd" name'}}, "after": [1]}


@pytest.mark.parametrize("document", [{}, {"a": HERE, "b": HERE}])
def test_a_file_has_one_place(document):
    with pytest.raises(Rejected):
        around(document, File.of("a.pdf", b"x"))


def test_a_file_of_another_length_than_was_said_ends_the_body():
    async def read():
        yield b"four"

    for said in (3, 5):
        with pytest.raises(Stale):
            whole(around({"a": HERE}, File("a.pdf", read, said)))


def test_a_remark_holds_no_tag_and_loses_no_word():
    text = without_markup("<b onclick=x>5 > 3 & so on</b>")
    assert "<" not in text
    assert ">" not in text
    assert text[1:11] == "b onclick="
    assert " 3 & so on" in text
