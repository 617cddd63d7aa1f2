"""What lies between syncd and an honest played system: faults of the network, of the server and of what it tells.

Each seed has some of the kinds (``KINDS``), and so often does a call meet one. All of it heals: whatever was told
wrongly is told rightly in the end.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response

from syncd.sandbox import Fault, Limit
from tests.integration.judges import LOOKED_UP_BY, Watched
from tests.simulation import writes

ORDINARY = tuple(Fault)  # an answer lost or a 503, before or after the effect
BEFORE = ("away", "throttled", "shared", "login_page", "revoked", "redirect", "unsuccessful")  # nothing was done
AFTER = ("cut", "empty", "throttled_after")  # it was done, and the answer says nothing of use
TOLD = ("stale", "vanished", "repeated", "short")  # what is read is not so, or not all
HEARD = ("doubled", "forged", "delayed")  # webhooks that come twice or late, and some that nobody signed
OTHERS = ("skewed", "unpaired", "mass")  # clocks that differ, a pair taken out for a while, many moves at once
KINDS = (*ORDINARY, *BEFORE, *AFTER, *TOLD, "zombie", "slow", *HEARD, *OTHERS)
LISTS = ("jobs", "roles", "candidates", "applications")
FAITHFUL_S = 4.0  # after that long each read tells what is so, and each request was carried out: syncd counts on five
REFUSALS = ({}, {"Retry-After": "3"}, {"Retry-After": "-1"}, {"Retry-After": "soon"},
            {"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"})  # fmt: skip


@dataclass
class Faults:
    """Which faults a seed has, and how often each call meets one."""

    kinds: tuple[str, ...]
    share: float
    rng: random.Random
    on: bool = False
    fired: dict[str, int] = field(default_factory=dict)

    def has(self, kind: str) -> bool:
        """Whether this happens now, of what befalls no call of ours."""
        if not self.on or kind not in self.kinds or self.rng.random() >= 0.3:
            return False
        self.note(kind)
        return True

    def draw(self) -> str | None:
        """What befalls a call of ours."""
        known = [kind for kind in self.kinds if kind not in HEARD + OTHERS]
        if not self.on or not known or self.rng.random() >= self.share:
            return None
        return self.rng.choice(known)

    def note(self, kind: str) -> None:
        self.fired[kind] = self.fired.get(kind, 0) + 1


class Liar(Watched):
    """One system as syncd meets it: it is away, answers nonsense, takes its time, or syncd dies meanwhile."""

    def __init__(self, box: Any, host: str, faults: Faults, moment: Callable[[str], None]) -> None:
        super().__init__(box)
        self._host, self._faults, self._moment = host, faults, moment
        self._until: dict[str, float] = {}  # by what is wrong, or by the path that is not there
        self._told: dict[str, tuple[float, list[Any]]] = {}  # each read's last answer
        self.befalls: Callable[..., str | None] = lambda *kinds: None  # of the faults that were added
        self.dice = random.Random(host)  # for these alone
        self.is_loose = False  # its filters match beginnings, or are ignored
        self.strangers: list[str] = []  # what came here though it was meant for another host

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = self._drawn(scope)
        self._moment("call")
        host = dict(scope["headers"]).get(b"host", b"").decode()
        if host != self._host:
            self.strangers.append(f"I14 a call for {host} was made")
        if self.is_loose and _is_filtered(scope):
            self._faults.note("loose")
        self.box.faults = lambda method, path: kind if kind in ORDINARY else None
        if kind == "slow":
            await self._wait(self._faults.rng.uniform(2.0, 40.0))
        fate = self.befalls(*writes.fates_of(self.box, scope)) if kind is None else None
        if fate is not None:
            await writes.FATES[fate](self.box, self.dice, scope, receive, send)
        else:
            await self._met(kind)(scope, receive, send)
        self._moment("answer")

    def _drawn(self, scope: Any) -> str | None:
        """What befalls this call; what cannot befall such a call is left out."""
        kind, path = self._faults.draw(), _address(scope)
        now, reads = self._now(), scope["method"] == "GET"
        if now < max(self._until.get("away", 0.0), self._until.get("shared", 0.0)):
            return "away" if now < self._until.get("away", 0.0) else "shared"
        if now < self._until.get(path, 0.0):
            return "vanished"
        told = self._told.get(path) if reads else None
        befalls = {
            "stale": told is not None and now <= told[0] + FAITHFUL_S,
            "vanished": told is not None and _is_record(_json(told[1])),
            "repeated": reads,
            "short": _is_walk(scope),
            "unsuccessful": not reads,
            "throttled_after": not reads,
            "zombie": not reads,
        }
        if kind is None or not befalls.get(kind, True):
            return None
        self._faults.note(kind)
        return kind

    def _met(self, kind: str | None) -> Callable[..., Any]:
        own = {"stale": self._again, "vanished": self._vanish, "repeated": self._rewritten(_repeat),
               "short": self._rewritten(self._shorten), "zombie": self._later, "shared": self._share}  # fmt: skip
        if kind in own:
            return own[kind]
        if kind in BEFORE:
            return lambda scope, receive, send: self._refuse(kind, scope, receive, send)
        if kind in AFTER:
            return lambda scope, receive, send: self._spoil(kind, scope, receive, send)
        return self._honest

    def _now(self) -> float:
        return float(self.box.clock.now())

    async def _wait(self, seconds: float) -> None:
        await self.box.clock.sleep_until(self._now() + seconds)

    async def _honest(self, scope: Any, receive: Any, send: Any) -> None:
        told: list[Any] = []

        async def kept(message: Any) -> None:
            told.append(message)
            await send(message)

        await super().__call__(scope, receive, kept)
        if scope["method"] == "GET" and told[0]["status"] == 200:
            self._told[_address(scope)] = (self._now(), told)

    # nothing was done

    async def _refuse(self, kind: str, scope: Any, receive: Any, send: Any) -> None:
        rng = self._faults.rng
        answers = {
            "throttled": lambda: Response('{"error": "slow down"}', 429, headers=rng.choice(REFUSALS)),
            "revoked": lambda: Response('{"error": "unauthorized"}', 401),
            "login_page": lambda: Response("<html><form>Sign in</form></html>", media_type="text/html"),
            "unsuccessful": lambda: Response('{"success": false, "error": "try again"}', media_type="application/json"),
            "redirect": lambda: Response(
                None, rng.choice((301, 302, 307, 308)), headers={"Location": f"https://elsewhere.test{scope['path']}"}
            ),
        }
        if kind == "away":
            if self._now() >= self._until.get("away", 0.0):
                self._until["away"] = self._now() + rng.choice((0.0, 5.0, 60.0))
            raise httpx.ConnectError("no connection (simulated)")
        await answers[kind]()(scope, receive, send)

    async def _share(self, scope: Any, receive: Any, send: Any) -> None:
        """Somebody else uses the same token, and used it up: for some seconds the system refuses in its own way."""
        now = self._now()
        if now >= self._until.get("shared", 0.0):
            self._until["shared"] = now + self._faults.rng.uniform(1.0, 10.0)
        refusal = self.box.refuse_rate(Limit(20, 10.0), self._until["shared"] - now)
        await refusal(scope, receive, send)

    async def _later(self, scope: Any, receive: Any, send: Any) -> None:
        """Nobody answers, and the request is carried out all the same when syncd has given it up."""
        body = await Request(scope, receive).body()

        async def again() -> Any:
            return {"type": "http.request", "body": body}

        async def nobody(message: Any) -> None:
            return

        async def happen() -> None:
            await self._wait(self._faults.rng.uniform(0.1, FAITHFUL_S))
            await self.box(dict(scope), again, nobody)

        self._tasks = {*getattr(self, "_tasks", ()), asyncio.ensure_future(happen())}
        raise httpx.ReadTimeout("no answer in time (simulated)")

    # it was done, and the answer says nothing of use

    async def _spoil(self, kind: str, scope: Any, receive: Any, send: Any) -> None:
        told = await self._asked(scope, receive)
        if kind == "throttled_after":
            await Response('{"error": "slow down"}', 429)(scope, receive, send)
            return
        body = _content(told)
        await _send(told, body[: len(body) // 2] if kind == "cut" else b"", send)

    async def _asked(self, scope: Any, receive: Any) -> list[Any]:
        told: list[Any] = []

        async def kept(message: Any) -> None:
            told.append(message)

        await self.box(scope, receive, kept)
        return told

    # what is read is not so, or not all

    async def _again(self, scope: Any, receive: Any, send: Any) -> None:
        """A copy answers that is some seconds behind."""
        for message in self._told[_address(scope)][1]:
            await send(message)

    async def _vanish(self, scope: Any, receive: Any, send: Any) -> None:
        """A record is not there for a while, and then it is again."""
        path = _address(scope)
        if self._now() >= self._until.get(path, 0.0):
            self._until[path] = self._now() + self._faults.rng.choice((0.0, 10.0, 60.0))
        await Response('{"error": "not found"}', 404, media_type="application/json")(scope, receive, send)

    def _rewritten(self, change: Callable[[list[Any]], None]) -> Callable[..., Any]:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            told = await self._asked(scope, receive)
            known = _json(told)
            for rows in _rows(known):
                change(rows)
            await _send(told, _content(told) if known is None else orjson.dumps(known), send)

        return answer

    def _shorten(self, rows: list[Any]) -> None:
        del rows[-1 if self._faults.rng.random() < 0.7 else 0 :]


def _repeat(rows: list[Any]) -> None:
    rows.append(rows[0])


def _address(scope: Any) -> str:
    return f"{scope['path']}?{scope['query_string'].decode()}"


def _content(told: list[Any]) -> bytes:
    return b"".join(message.get("body", b"") for message in told)


def _json(told: list[Any]) -> Any:
    try:
        return orjson.loads(_content(told))
    except orjson.JSONDecodeError:
        return None


def _is_walk(scope: Any) -> bool:
    """Whether a whole list is read, page by page. A look-up, or what lies beside a record, is believed at its word."""
    return scope["method"] == "GET" and scope["path"].rpartition("/")[2] in LISTS and not _is_filtered(scope)


def _is_filtered(scope: Any) -> bool:
    return any(f"{name}=" in scope["query_string"].decode() for name in LOOKED_UP_BY)


def _is_record(known: Any) -> bool:
    told = known.get("data", known) if isinstance(known, dict) else known
    return isinstance(told, dict) and ("id" in told or not any(isinstance(value, list) for value in told.values()))


def _rows(known: Any) -> list[list[Any]]:
    """The lists of records in an answer; a record's own lists are none."""
    told = known.get("data", known) if isinstance(known, dict) else known
    values = [told] if isinstance(told, list) else []
    if isinstance(told, dict) and "id" not in told:
        values = [value for name, value in told.items() if name != "candidate"]
    return [value for value in values if isinstance(value, list) and value and isinstance(value[0], dict)]


async def _send(told: list[Any], body: bytes, send: Any) -> None:
    """An answer with another body."""
    head = next(message for message in told if message["type"] == "http.response.start")
    headers = [(name, value) for name, value in head["headers"] if name.lower() != b"content-length"]
    await send({**head, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class SkewedClock:
    """A system's own clock, which is some minutes from ours."""

    def __init__(self, clock: Any, ahead_s: float) -> None:
        self._clock, self.ahead_s = clock, ahead_s

    def now(self) -> float:
        return float(self._clock.now()) + self.ahead_s

    async def sleep_until(self, at: float) -> None:
        await self._clock.sleep_until(at - self.ahead_s)

    def busy(self) -> Iterator[None]:
        return self._clock.busy()  # type: ignore[no-any-return]  # any clock's
