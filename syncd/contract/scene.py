"""What the contract's tests stand on: a played system as a world, the wire to it, and a connector at work there.

Time is virtual: each request is paced by ``PACE_S`` seconds of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from syncd.clock import SteppedClock
from syncd.connector import Account, Connector, KindFacts, Plugin, Walk
from syncd.contract.hostile import Liar
from syncd.model import Cursor, Fields, Page, Record, Ref
from syncd.sandbox import Fault, Sandbox

PACE_S = 2.0
LONGEST_WALK = 60  # pages; a walk over a test's world that is longer turns in circles


@dataclass(frozen=True)
class World:
    """One system as played, and the account with which the connector reaches it."""

    sandbox: Any  # a Sandbox that also has ``snapshot()``
    plugin: Plugin
    account: Account

    @property
    def clock(self) -> SteppedClock:
        """The virtual clock that sandbox and connector share."""
        clock = self.sandbox.clock
        assert isinstance(clock, SteppedClock)
        return clock


@dataclass(frozen=True)
class Edit:
    """Fields of one call, in the system's words, that the system keeps letter for letter."""

    ref: Ref
    fields: Fields


class Wire(httpx.AsyncBaseTransport):
    """The way to the sandbox: remembers each request, and lets a test answer ``instead`` of the sandbox."""

    def __init__(self, sandbox: Sandbox, clock: SteppedClock) -> None:
        self._inner = httpx.ASGITransport(app=sandbox)
        self._clock = clock
        self.requests: list[httpx.Request] = []
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.liar: Liar | None = None
        self._kept: dict[str, httpx.Response] | None = None

    def repeat(self) -> None:
        """From now on, tell each path's first answer again and again."""
        self._kept = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Remember the request, let its time pass, and answer."""
        self.requests.append(request)
        await self._clock.sleep_until(self._clock.now() + PACE_S)
        if self.liar is not None and self.liar.lies():
            genuine = await self._inner.handle_async_request(request)
            await genuine.aread()
            return self.liar.told(request, genuine)
        if self._kept is None:
            return self.instead(request) or await self._inner.handle_async_request(request)
        if request.url.path not in self._kept:
            answer = await self._inner.handle_async_request(request)
            self._kept[request.url.path] = httpx.Response(answer.status_code, content=await answer.aread())
        kept = self._kept[request.url.path]
        return httpx.Response(kept.status_code, content=kept.content)

    @property
    def writes(self) -> list[httpx.Request]:
        """The requests so far that are no GET."""
        return [request for request in self.requests if request.method not in {"GET", "HEAD"}]


@dataclass
class Scene:
    """A connector at work in a world."""

    world: World
    wire: Wire
    connector: Connector

    async def pages(self, walk: Walk, since: Cursor | None = None) -> list[Page]:
        """All pages of a walk, with their records read."""
        pages: list[Page] = []
        async for page in self.connector.pull(walk, since):
            assert isinstance(page.records, tuple)
            pages.append(page)
            assert len(pages) <= LONGEST_WALK, f"the walk {walk.name} does not end"
        return pages

    async def listed(self) -> dict[Ref, Record]:
        """Each record that the walks tell, by ref; where two walks tell one, the walk listed first speaks."""
        records: dict[Ref, Record] = {}
        for walk in self.connector.facts.walks:
            for record in told_by(await self.pages(walk)):
                records.setdefault(record.ref, record)
        return records

    async def read(self, ref: Ref) -> Record:
        """A record as its get tells it."""
        told = await self.connector.get(ref)
        assert told, f"a get of {ref.kind} told nothing"
        assert told[0].ref == ref, "the own record comes first"
        return told[0]

    async def settle(self) -> None:
        """Wait until a write is told by every read."""
        await self.world.clock.sleep_until(self.world.clock.now() + self.connector.facts.visible_s)


def told_by(pages: Sequence[Page]) -> list[Record]:
    """The records of pages in their order."""
    return [record for page in pages for record in page.records]


def known_fields(facts: KindFacts) -> frozenset[str]:
    """The fields that a kind's facts speak of as told, or as written and never told."""
    return facts.lists | facts.details | facts.untold


def answers(status: int, body: bytes = b"", **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """An answer to any request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, content=body, headers=named)


def to_writes(answer: Callable[[httpx.Request], httpx.Response]) -> Callable[[httpx.Request], httpx.Response | None]:
    """The answer for writes alone; reads reach the sandbox."""
    return lambda request: None if request.method in {"GET", "HEAD"} else answer(request)


def raises(error: type[httpx.HTTPError]) -> Callable[[httpx.Request], httpx.Response]:
    """A connection that fails."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise error("made up by the test", request=request)  # type: ignore[call-arg]

    return fail


def lose_writes(fault: Fault) -> Callable[[str, str], Fault | None]:
    """A sandbox's fault for every write."""
    return lambda method, path: None if method in {"GET", "HEAD"} else fault
