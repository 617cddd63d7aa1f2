"""What may become of a write on its way, or at a server that is careless: ASGI around an honest box.

* ``twice``: something between sends a POST a second time, which nobody can prevent (F12). What the second does stands
  in the box's log as done ``by`` the network.
* ``partly``: the server takes some of the fields or none, and says that all went well (F27).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.integration.judges import NETWORK

CREATES = ("jobs", "roles", "candidates", "applications", "job-candidates")  # what a path ends with that makes one
# Not played: that the second POST of an assignment answers "already assigned", and that answer comes back. What was
# made is then not taken for ours (push.py, "taken"), nor the person's own stage brought into step (places._at_birth).
FIRST_ANSWERS = ("job-candidates",)
MOVES = ("move", "advance", "reject", "hire")
LONGEST_S = 4.0  # a request that was sent again is carried out within that: syncd counts on five seconds
Told = list[Any]


def fates_of(box: Any, scope: Any) -> tuple[str, ...]:
    """What may befall a call."""
    last = scope["path"].rpartition("/")[2]
    twice = ("twice",) if scope["method"] == "POST" else ()
    return (*twice, "partly") if scope["method"] == "PATCH" or last in MOVES else twice


# --- twice ----------------------------------------------------------------------------------------------------------


async def twice(box: Any, rng: random.Random, scope: Any, receive: Any, send: Any) -> None:
    """Both are carried out, one after the other; the answer to one of them comes back."""
    body, untouched = await Request(scope, receive).body(), dict(scope)
    told, last = await _told(box, scope, body), scope["path"].rpartition("/")[2]
    if last in CREATES and rng.random() < 0.3:
        _later(box, rng.uniform(0.1, LONGEST_S), untouched, body)
    else:
        second = await _again(box, untouched, body)
        told = second if rng.random() < 0.5 and last not in FIRST_ANSWERS else told
    for message in told:
        await send(message)


def _later(box: Any, wait_s: float, scope: Any, body: bytes) -> None:
    async def happen() -> None:
        await box.clock.sleep_until(box.clock.now() + wait_s)
        await _again(box, scope, body)

    box.copies = [*getattr(box, "copies", ()), asyncio.ensure_future(happen())]  # or nobody would hold the task


async def _again(box: Any, scope: Any, body: bytes) -> Told:
    """The honest core once more: no call of ours, so no arrival, and no limit is touched."""
    known = len(box.effects)
    told = await _told(box.app, scope, body)
    for at in range(known, len(box.effects)):
        if box.effects[at].by == "api":
            box.effects[at] = replace(box.effects[at], by=NETWORK)
    return told


# --- partly ---------------------------------------------------------------------------------------------------------


async def partly(box: Any, rng: random.Random, scope: Any, receive: Any, send: Any) -> None:
    """Fields of a PATCH are taken as they stand already; a move is not made."""
    body = await Request(scope, receive).body()
    if scope["method"] == "POST":
        await _unmoved(box, scope, send)
        return
    known = orjson.loads(body)
    stands = _fields(await _read(box, scope, scope["path"]))
    fields = _fields(known)
    lost = [name for name in fields if stands.get(name) is not None]
    for name in lost if rng.random() < 0.5 else rng.sample(lost, min(1, len(lost))):
        fields[name] = stands[name]
    for message in await _told(box, scope, orjson.dumps(known)):
        await send(message)


async def _unmoved(box: Any, scope: Any, send: Any) -> None:
    """Workable says 202 and no more; WorkSignal tells the person."""
    record, _, act = scope["path"].rpartition("/")
    told = [] if act == "move" else await _read(box, scope, record)
    answer = Response(b"".join(message.get("body", b"") for message in told), 200 if told else 202)
    await answer({"type": "http"}, _nothing, send)


async def _read(box: Any, scope: Any, path: str) -> Told:
    asked = {**scope, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    return await _told(box.app, asked, b"")


def _fields(known: Any) -> dict[str, Any]:
    """The fields of a record, without what lies around them."""
    if isinstance(known, list):
        known = orjson.loads(b"".join(message.get("body", b"") for message in known))
    while isinstance(known, dict) and len(known) < 3 and (inner := _inner(known)) is not None:
        known = inner
    return known if isinstance(known, dict) else {}


def _inner(known: dict[str, Any]) -> dict[str, Any] | None:
    return next((known[name] for name in ("data", "candidate", "role") if isinstance(known.get(name), dict)), None)


# --- asking ---------------------------------------------------------------------------------------------------------


async def _nothing() -> Any:
    return {"type": "http.request", "body": b""}


async def _told(asked: Any, scope: Any, body: bytes) -> Told:
    """The messages with which a call is answered."""
    told: Told = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        told.append(message)

    await asked(dict(scope), receive, send)
    return told


FATES: Mapping[str, Callable[..., Awaitable[None]]] = {"twice": twice, "partly": partly}
