"""Bounds for one try of a call: its head comes in time, its body is no longer than allowed, on the wire or inflated.

What is kept whole may be far shorter than a file that is handed through piece by piece, and a refusal shorter still.

httpx inflates without an end; here gzip is undone in pieces, so that a bomb is noticed before it has gone off, and no
other coding is accepted. While a call is in flight, up to the end of its body, a stepped clock is held.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx

from syncd.clock import Clock
from syncd.connector import STREAMED
from syncd.gate import CALL_S

LONGEST_READ_S = 300.0  # for a whole body; a server that trickles is cut off
LONGEST_FILE = 64 * 1024 * 1024  # bytes
LONGEST_REFUSAL = 1024 * 1024  # bytes of an answer that is no 2xx
PIECE = 256 * 1024


class AnswerTooLong(httpx.TransportError):
    """The answer is longer than any that a system of this kind sends."""


class AnswerBroken(httpx.TransportError):
    """The answer's compressed body cannot be read to its end."""


class Bounds(httpx.AsyncBaseTransport):
    """One try: the clock is held while it is in flight, its head comes in time, and its body is bounded."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Clock, longest: int) -> None:
        self._inner, self._clock, self._longest = inner, clock, longest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once."""
        with ExitStack() as in_flight:
            in_flight.enter_context(self._clock.busy())
            try:
                async with asyncio.timeout(CALL_S):
                    response = await self._inner.handle_async_request(request)
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer in time", request=request) from error
            longest = LONGEST_FILE if request.extensions.get(STREAMED) else self._longest
            longest = longest if response.is_success else min(longest, LONGEST_REFUSAL)
            return _bounded(response, longest, self._clock, in_flight.pop_all())

    async def aclose(self) -> None:
        """Close the transport inside."""
        await self._inner.aclose()


def _bounded(response: httpx.Response, longest: int, clock: Clock, in_flight: ExitStack) -> httpx.Response:
    """The answer with a body that is inflated here, and no further than allowed."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WIRE]
    return httpx.Response(
        response.status_code,
        headers=response.headers if coding in _PLAIN else headers,
        stream=BoundedBody(response, coding, longest, clock, in_flight),
        extensions=response.extensions,
    )


_PLAIN = ("", "identity")
_GZIP = ("gzip", "x-gzip")
_OF_THE_WIRE = (b"content-encoding", b"content-length")


class BoundedBody(httpx.AsyncByteStream):
    """An answer's body: at most ``longest`` bytes on the wire, and as many inflated."""

    def __init__(self, response: httpx.Response, coding: str, longest: int, clock: Clock, in_flight: ExitStack) -> None:
        self._response, self._coding, self._longest = response, coding, longest
        self._clock, self._in_flight = clock, in_flight

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Inflated pieces."""
        until = self._clock.now() + LONGEST_READ_S
        inflate = _inflater(self._coding)
        wire = inflated = 0
        async for chunk in chunks(self._response):
            wire += len(chunk)
            for piece in inflate(chunk):
                inflated += len(piece)
                if max(wire, inflated) > self._longest:
                    raise AnswerTooLong(f"the answer is longer than {self._longest} bytes")
                yield piece
            if self._clock.now() > until:
                raise httpx.ReadTimeout("the answer came too slowly")
        if wire:
            inflate.end()

    async def aclose(self) -> None:
        """Close the connection's stream; the call is over."""
        self._in_flight.close()
        await self._response.aclose()


def chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """An answer's body as its transport brings it."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream.__aiter__()


class _Plain:
    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def end(self) -> None:
        """Nothing to check."""


class _Gzip:
    """Inflates in pieces, so that a bomb is noticed before it has gone off."""

    def __init__(self) -> None:
        self._state = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        while not self._state.eof:
            try:
                piece = self._state.decompress(chunk, PIECE)
            except zlib.error as error:
                raise AnswerBroken("the answer's gzip is damaged") from error
            chunk = self._state.unconsumed_tail
            yield piece
            if not chunk and len(piece) < PIECE:
                break

    def end(self) -> None:
        """Raise if the body stops before its end."""
        if not self._state.eof:
            raise AnswerBroken("the answer's gzip stops before its end")


def _inflater(coding: str) -> _Plain | _Gzip:
    if coding in _PLAIN:
        return _Plain()
    if coding in _GZIP:
        return _Gzip()
    raise AnswerBroken("the answer is compressed in a way that was not asked for")
