"""Answers as no system should give them: what the contract puts in the place of a genuine one.

The cases are those of a client that believes what remote APIs say (OWASP API Security Top 10 2023, API10): other types,
keys missing or twice, numbers that are none, text that no database takes, links that lead elsewhere or in circles,
bodies that are cut, wrapped, nested without end, or not JSON at all.
"""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
from hypothesis import strategies as st

ELSEWHERE = "elsewhere.example.test"
ROWS = 2  # of a list that are changed: the others are like them
MOST_REQUESTS = 200  # of one call; what goes on beyond turns in circles

_TEXTS = (
    "", " ", "\x00", "\u202e", "0", "-1", "null", "not-a-date", "9999-99-99T99:99:99Z", "2026-01-01", "x" * 5000,
    "../..", "..", "a/b?c#d", "%2e%2e%2f", "<script>alert(1)</script>", "'; DROP TABLE links; --", "{0.__class__}",
    "=1+1", "\x1b[2J", "\U0001f600",
)  # fmt: skip
_LINKS = (
    f"https://{ELSEWHERE}/take?page=2", f"http://{ELSEWHERE}/", f"//{ELSEWHERE}/take", "/", "?page=1", "https://",
    "\\\\x", "http://169.254.169.254/latest/meta-data/", "https://user:word@127.0.0.1:1/", "http://[::1", "ftp://127.0.0.1/",
    "javascript:alert(1)", "https://127.0.0.1\\@" + ELSEWHERE,
)  # fmt: skip
_NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, 1.5, -0.0, 1e308, 5e-324)
_DEEP: Any = orjson.loads(b"[" * 200 + b"]" * 200)
VALUES = st.one_of(
    st.sampled_from((None, True, False, [], {}, [None], [[]], {"id": None}, {"": {"": ""}}, _DEEP)),
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.sampled_from(_LINKS),
)

_BODIES: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: b"",
    lambda body: b"<!doctype html><title>Sign in</title>",
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body[: len(body) // 2],
    lambda body: body + body,
    lambda body: body + b"\x00",
    lambda body: b"[" * 100_000,
    lambda body: b'{"a":' * 100_000,
    lambda body: b'{"data":' + b"[" * 1000 + b"]" * 1000 + b"}",
    lambda body: b"[" + body + b"]",
    lambda body: b'{"data":' + body + b"}",
    lambda body: orjson.dumps(body.decode("utf-8", "replace")),
    lambda body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body: body.replace(b":", b":NaN,", 1),
    lambda body: body.replace(b'":', b'":1e400,"x":', 1),
    lambda body: body.replace(b'":"', b'":"\\ud800', 1),
    lambda body: body.replace(b'":"', b'":"\xff', 1),
    lambda body: body.replace(b"{", b'{"id":"twice","id":null,"data":7,', 1),
    lambda body: b'{"success": false, "error": {"message": null}}',
)
_HEADERS: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/html; charset=utf-7"},
    {"Content-Type": "\xff"},
    {"Date": "yesterday"},
    {"Date": "Fri, 31 Dec 9999 23:59:59 -2359"},
    {"Retry-After": "9" * 400},
    {"Retry-After": "-1"},
    {"X-Rate-Limit-Remaining": "-9", "X-Rate-Limit-Reset": "1e999"},
    {"Location": f"https://{ELSEWHERE}/take"},
    {"Link": f'<https://{ELSEWHERE}/take>; rel="next"'},
)
_STATUSES = (201, 202, 204, 206, 226, 300, 302, 304, 308, 400, 402, 404, 409, 410, 418, 422, 425, 451, 500)
_EDITED_OF_TEN = 7  # so many changes leave status and headers alone and touch the document: there the surprises are

Change = Callable[[httpx.Request, httpx.Response], httpx.Response]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Something that is done to an answer."""
    if draw(st.integers(1, 10)) <= _EDITED_OF_TEN:
        edits = (st.none() | st.sampled_from(_LINKS)).map(_relinking).map(lambda edit: [edit]) | st.lists(
            _edits(), min_size=1, max_size=3
        )
        status, headers, rewrite = None, {}, _editing(draw(edits))
    else:
        status, headers = draw(st.none() | st.sampled_from(_STATUSES)), draw(st.just({}) | st.sampled_from(_HEADERS))
        rewrite = draw(st.sampled_from(_BODIES))

    def change(request: httpx.Request, told: httpx.Response) -> httpx.Response:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return httpx.Response(status or told.status_code, headers=raw, content=rewrite(told.content))

    return change


@st.composite
def _edits(draw: st.DrawFn) -> Callable[[Any], Any]:
    """One change somewhere in a document: on the way down each choice is taken modulo what is there."""
    way = draw(st.lists(st.integers(0, 30), min_size=1, max_size=5))
    how = draw(st.sampled_from(("put", "put", "put", "drop", "rename", "twice")))
    value = draw(VALUES)
    return lambda document: _edited(document, way, how, value)


def _edited(document: Any, way: list[int], how: str, value: Any) -> Any:
    if not way or not isinstance(document, dict | list) or not document:
        return value if how == "put" else document
    keys: list[Any] = sorted(document) if isinstance(document, dict) else [*range(len(document))][:ROWS]
    key = keys[way[0] % len(keys)]
    if len(way) == 1 and how != "put":
        return _rearranged(document, key, how)
    if isinstance(document, dict):
        return {**document, key: _edited(document[key], way[1:], how, value)}
    return [*document[:key], _edited(document[key], way[1:], how, value), *document[key + 1 :]]


def _rearranged(document: Any, key: Any, how: str) -> Any:
    if isinstance(document, list):
        return document[:key] + document[key + 1 :] if how == "drop" else [*document, document[key]]
    rest = {name: each for name, each in document.items() if name != key}
    return rest if how == "drop" else {**rest, f"{key}_": document[key]}


def _relinking(link: str | None) -> Callable[[Any], Any]:
    """All links of a document lead elsewhere, that to its next page among them; None: to the like on another server."""

    def relinked(document: Any) -> Any:
        if isinstance(document, dict):
            return {name: relinked(each) for name, each in document.items()}
        if isinstance(document, list):
            return [relinked(each) for each in document]
        if not isinstance(document, str) or not document.startswith("http"):
            return document
        return str(httpx.URL(document).copy_with(host=ELSEWHERE)) if link is None else link

    return relinked


def _editing(edits: list[Callable[[Any], Any]]) -> Callable[[bytes], bytes]:
    def rewrite(body: bytes) -> bytes:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return body
        for edit in edits:
            document = edit(document)
        return orjson.dumps(document)

    return rewrite


class Liar:
    """Answers instead of the sandbox: genuinely until the ``first`` request, then changed, once or for ever."""

    def __init__(self, change: Change, first: int, *, for_ever: bool) -> None:
        self._change, self._first, self._for_ever = change, first, for_ever
        self.seen = 0

    def lies(self) -> bool:
        """Whether the answer to this request is changed; each is asked about once."""
        self.seen += 1
        assert self.seen <= MOST_REQUESTS, "the call does not end"
        return self.seen > self._first if self._for_ever else self.seen == self._first + 1

    def told(self, request: httpx.Request, genuine: httpx.Response) -> httpx.Response:
        """The answer in the place of a genuine one."""
        return self._change(request, genuine)
