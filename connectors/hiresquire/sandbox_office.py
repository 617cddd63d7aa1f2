"""The played HireSquire's front office: who may ask and how much, keys, credits, calendars, schema, MCP.

All that has nothing to do with batches and candidates; ``sandbox`` adds those. Sources and assumptions as there.
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.hiresquire import sandbox_rows as rows
from connectors.hiresquire.sandbox_account import PACKS, Account, AgentKey
from connectors.hiresquire.sandbox_desk import Desk
from connectors.hiresquire.sandbox_forms import Refused, body_of, invalid
from connectors.hiresquire.sandbox_rows import Candidate, Json, iso
from syncd.clock import Clock
from syncd.sandbox import Hits, Hook, Limit, Sandbox

KEY_LIFE_S = 24 * 3600.0
LARGEST_PAGE = 100
SHAPES = ("flat", "enveloped", "paginator")
USAGE = "usage"

Act = Callable[[Request], Awaitable[Response]]
Offered = tuple[Any, ...]  # method, path, handler, and the scopes that an agent key needs for it


@dataclass(frozen=True)
class Kept:
    """The first success under an idempotency key."""

    at: float
    status: int
    body: bytes


class Office(Sandbox):
    """One account without its batches. ``people`` are its candidates, whom an interview can be booked with.

    ``shape``: how answers come: ``flat`` as the vendor's clients read them, ``enveloped`` in ``{success, data}`` as the
    reference claims, or with Laravel's ``paginator`` for the list of jobs too. ``webhook_secret``: empty sends webhooks
    unsigned.
    """

    system = "hiresquire"
    limits = (Limit(60, 60.0),)

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        tokens: Sequence[str] = ("sandbox-token",),
        client: httpx.AsyncClient | None = None,
        limits: Sequence[Limit] | None = None,
        shape: str = "flat",
        webhook_secret: str = "",
    ) -> None:
        assert shape in SHAPES
        self.shape, self.webhook_secret = shape, webhook_secret
        self.people: dict[int, Candidate] = {}
        self.account = Account(rng, self.number, self._tell_usage)
        self.desk = Desk(self.people, clock.now, self.number)
        self._kept: dict[str, Kept] = {}
        super().__init__(clock=clock, rng=rng, tokens=tokens, client=client, limits=limits)

    # the door: who may ask, how much, and how it is answered

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """Errors are never in an envelope."""

        def refused(request: Request, error: Exception) -> Response:
            assert isinstance(error, Refused)
            return answer(error.body, error.status)

        def strayed(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            return answer(Refused(error.status_code, "The resource was not found.").body, error.status_code)

        return {Refused: refused, HTTPException: strayed}

    def refuse_token(self, request: Request) -> Response:
        """Without a good token nothing is told."""
        return answer(Refused(401, "Your API token is invalid or expired.").body, 401)

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The minute's calls are spent."""
        response = answer(Refused(429, "Rate limit exceeded. Please wait before retrying.").body, 429)
        wait = max(1, math.ceil(wait_s))
        response.headers["Retry-After"] = str(wait)
        response.headers["X-RateLimit-Limit"] = str(limit.calls)
        response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["X-RateLimit-Reset"] = str(math.ceil(self.clock.now()) + wait)
        return response

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """Laravel's two headers."""
        if not hits.limits:
            return {}
        limit = hits.limits[0]
        return {
            "X-RateLimit-Limit": str(limit.calls),
            "X-RateLimit-Remaining": str(limit.calls - hits.used(limit, now)),
        }

    def routes(self) -> Sequence[Route]:
        """All known routes below ``/api/v1``."""
        return [
            Route(f"/api/v1{path}", self._scoped(act, method, scopes), methods=[method])
            for method, path, act, *scopes in self.offered()
        ]

    def offered(self) -> Iterator[Offered]:
        """What can be asked for."""
        yield from self._account_routes()
        yield from self._desk_routes()
        yield from self._other_routes()

    def _scoped(self, act: Act, method: str, scopes: Sequence[str]) -> Act:
        async def guarded(request: Request) -> Response:
            needed = ("read" if method == "GET" else "write", *scopes)
            self.account.allow(self.token_of(request.headers), needed, self.clock.now())
            return await act(request)

        return guarded

    def tell(self, told: Json, status: int = 200) -> Response:
        """An answer in the shape that this sandbox plays."""
        if self.shape == "enveloped" and "success" not in told:
            told = {"success": True, "data": told, "message": told.get("message")}
        return answer(told, status)

    async def once(self, request: Request, make: Callable[[], Json], status: int = 201) -> Response:
        """Do it, or tell again what was told when it was done under the same key in the last 24 hours."""
        key, now = request.headers.get("idempotency-key"), self.clock.now()
        kept = self._kept.get(key) if key else None
        if kept is not None and now - kept.at < KEY_LIFE_S:
            return Response(kept.body, kept.status, media_type="application/json")
        response = self.tell(make(), status)
        if key:
            self._kept[key] = Kept(now, status, bytes(response.body))
        return response

    def page(self, request: Request, name: str, told: Sequence[Json], *, laravel: bool) -> Response:
        """One page of a list; ``limit`` and ``per_page`` are both understood."""
        query = request.query_params
        size = min(positive(query.get("limit") or query.get("per_page"), 20), LARGEST_PAGE)
        page = positive(query.get("page"), 1)
        part = list(told[(page - 1) * size : page * size])
        if not laravel:
            return self.tell({name: part, "total": len(told), "page": page, "per_page": size})
        last = max(1, -(-len(told) // size))
        numbers = {"current_page": page, "last_page": last, "per_page": size, "total": len(told)}
        return self.tell({"data": part, **numbers})

    def _tell_usage(self, kind: str, data: Json) -> None:
        event = f"agent.usage_{kind}"
        body = orjson.dumps({"event": event, "timestamp": iso(self.clock.now()), "data": data})
        self.emit(kind, body, self.signed, lambda hook: hook.id == USAGE)

    def signed(self, hook: Hook, body: bytes) -> Mapping[str, str]:
        """The headers of a delivery that is sent now."""
        return rows.signed(hook.secret, body, self.clock.now())

    # account: keys, credits, limits

    def _account_routes(self) -> Iterator[Offered]:
        yield "GET", "/agent-keys", self._list_keys
        yield "POST", "/agent-keys", self._post_key
        yield "GET", "/agent-keys/{id:int}", self._get_key
        yield "PUT", "/agent-keys/{id:int}", self._put_key
        yield "DELETE", "/agent-keys/{id:int}", self._revoke_key
        yield "POST", "/agent-keys/{id:int}/regenerate", self._renew_key
        yield "GET", "/agent-keys/{id:int}/usage", self._key_usage
        yield "GET", "/credits/balance", self._balance
        yield "GET", "/credits/estimate", self._estimate
        yield "GET", "/credits/packs", self._packs
        yield "GET", "/credits/transactions", self._transactions
        yield "POST", "/credits/purchase", self._purchase
        yield "POST", "/credits/checkout", self._checkout
        yield "POST", "/credits/payment-intent", self._intent
        yield "POST", "/credits/auto-reload/enable", self._auto_reload
        yield "POST", "/credits/auto-reload/disable", self._no_auto_reload
        yield "POST", "/credits/webhook/configure", self._usage_hook
        yield "GET", "/rate-limit", self._rate_limit

    def _key(self, request: Request) -> AgentKey:
        key = self.account.keys.get(request.path_params["id"])
        if key is None:
            raise Refused(404, "The agent key was not found.")
        return key

    def _key_told(self, key: AgentKey, status: int = 200, *, told: bool = False) -> Response:
        return self.tell({"key": self.account.key_json(key, self.clock.now(), told=told)}, status)

    async def _list_keys(self, request: Request) -> Response:
        now = self.clock.now()
        return self.tell({"keys": [self.account.key_json(key, now) for key in self.account.keys.values()]})

    async def _post_key(self, request: Request) -> Response:
        body, now = await body_of(request), self.clock.now()

        def make() -> Json:
            key = self.account.make_key(body, now)
            self._admit(key.key)
            return {"key": self.account.key_json(key, now, told=True)}

        return await self.once(request, make)

    def _admit(self, token: str) -> None:
        """Let a token in; the limit is the user's, whichever of the user's tokens asks."""
        self.tokens = (*self.tokens, token)
        self.hits[token] = self.hits[self.tokens[0]]

    async def _get_key(self, request: Request) -> Response:
        return self._key_told(self._key(request))

    async def _put_key(self, request: Request) -> Response:
        return self._key_told(self.account.change_key(self._key(request), await body_of(request)))

    async def _revoke_key(self, request: Request) -> Response:
        key = self._key(request)
        key.is_active = False
        self.tokens = tuple(token for token in self.tokens if token != key.key)
        return answer({"success": True, "message": "Agent key revoked."})

    async def _renew_key(self, request: Request) -> Response:
        key = self._key(request)
        self.tokens = tuple(token for token in self.tokens if token != key.key)
        self._admit(self.account.renew(key))
        return self._key_told(key, told=True)

    async def _key_usage(self, request: Request) -> Response:
        return self.tell({"usage": self.account.usage_json(self._key(request), self.clock.now())})

    async def _balance(self, request: Request) -> Response:
        return self.tell(self.account.balance_json())

    async def _estimate(self, request: Request) -> Response:
        count = positive(request.query_params.get("candidate_count"), 0)
        if not count:
            raise invalid("candidate_count", "is required")
        cost = {"candidate_count": count, "cost_per_candidate": 0.01, "total_cost": round(count * 0.01, 2)}
        return self.tell({**cost, "currency": "USD", "can_afford": self.account.credits >= count})

    async def _packs(self, request: Request) -> Response:
        """A map, as the one client reads it, or an array, as the other one does."""
        if self.shape == "flat":
            return self.tell({"packs": PACKS})
        return self.tell({"packs": [{"id": name, **pack} for name, pack in PACKS.items()]})

    async def _transactions(self, request: Request) -> Response:
        query = request.query_params
        start, count = positive(query.get("offset"), 0), min(positive(query.get("limit"), 50), 100)
        entries = self.account.ledger[::-1][start : start + count]
        numbers = {"total": len(self.account.ledger), "balance": self.account.credits / 100}
        return self.tell({"transactions": entries, **numbers})

    async def _purchase(self, request: Request) -> Response:
        body = await body_of(request)
        cents, what = _bought(body)
        if not body.get("payment_method_id"):
            raise invalid("payment_method_id", "is required")

        def make() -> Json:
            self.account.buy(cents, self.clock.now(), what)
            self.note("api", "purchase", "credit", what, {}, {"credits": cents})
            return {"success": True, "credits_added": cents, "balance": self.account.credits / 100}

        return await self.once(request, make, 200)

    async def _checkout(self, request: Request) -> Response:
        _, what = _bought(await body_of(request))
        return answer({"success": True, "checkout_url": f"https://checkout.example.test/{self.number()}", "for": what})

    async def _intent(self, request: Request) -> Response:
        cents, _ = _bought(await body_of(request))
        id_ = f"pi_{self.number()}"
        return answer(
            {"success": True, "payment_intent_id": id_, "client_secret": f"{id_}_secret", "amount": cents / 100}
        )

    async def _auto_reload(self, request: Request) -> Response:
        body = await body_of(request)
        for name in ("threshold", "amount", "payment_method_id"):
            if body.get(name) in (None, ""):
                raise invalid(name, "is required")
        self.account.auto_reload = {"enabled": True, "threshold": body["threshold"], "amount": body["amount"]}
        return answer({"success": True, "auto_reload_enabled": True, **self.account.auto_reload})

    async def _no_auto_reload(self, request: Request) -> Response:
        self.account.auto_reload = {"enabled": False, "threshold": None, "amount": None}
        return answer({"success": True, "auto_reload_enabled": False})

    async def _usage_hook(self, request: Request) -> Response:
        body = await body_of(request)
        url = body.get("url") or body.get("webhook_url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("url", "must be a valid URL")
        self.hooks[USAGE] = Hook(USAGE, url, tuple(body.get("events") or ()), self.webhook_secret)
        return answer({"success": True, "message": "Webhook configured."})

    async def _rate_limit(self, request: Request) -> Response:
        hits, now = self.hits[self.token_of(request.headers)], self.clock.now()
        limit = hits.limits[0] if hits.limits else Limit(60, 60.0)
        used = hits.used(limit, now) if hits.limits else 0
        left = {"remaining": limit.calls - used, "reset_in_seconds": math.ceil(limit.window_s)}
        return self.tell({"limit": limit.calls, **left, "reset_at": iso(now + limit.window_s)})

    # calendars and interviews: {success, data, message}

    def _desk_routes(self) -> Iterator[Offered]:
        yield "GET", "/calendar/connections", self._list_calendars
        yield "POST", "/calendar/connections", self._post_calendar
        yield "DELETE", "/calendar/connections/{id:int}", self._delete_calendar
        yield "GET", "/calendar/slots", self._slots
        yield "GET", "/interviews", self._list_interviews
        yield "POST", "/interviews", self._post_interview
        yield "GET", "/interviews/{id:int}", self._get_interview
        yield "PUT", "/interviews/{id:int}", self._put_interview
        yield "DELETE", "/interviews/{id:int}", self._delete_interview
        yield "POST", "/meetings/links", self._meet

    async def _list_calendars(self, request: Request) -> Response:
        return _enveloped(list(self.desk.connections.values()))

    async def _post_calendar(self, request: Request) -> Response:
        body = await body_of(request)
        made = {"success": True, "message": "Calendar connected."}
        return await self.once(request, lambda: {**made, "data": self.desk.connect(body)})

    async def _delete_calendar(self, request: Request) -> Response:
        _there(self.desk.connections, request)
        del self.desk.connections[request.path_params["id"]]
        return _enveloped(None, "Calendar disconnected.")

    async def _slots(self, request: Request) -> Response:
        return _enveloped(self.desk.slots(request.query_params))

    async def _list_interviews(self, request: Request) -> Response:
        job = request.query_params.get("job_id")
        return _enveloped([r for r in self.desk.interviews.values() if job in {None, str(r["job_posting_id"])}])

    async def _post_interview(self, request: Request) -> Response:
        body = await body_of(request)

        def make() -> Json:
            row = self.desk.book(body)
            self.note("api", "invited", "candidate", str(row["candidate_id"]), {}, {"interview": row["id"]})
            return {"success": True, "message": "Interview scheduled.", "data": row}

        return await self.once(request, make)

    async def _get_interview(self, request: Request) -> Response:
        return _enveloped(_there(self.desk.interviews, request))

    async def _put_interview(self, request: Request) -> Response:
        row = self.desk.rebook(_there(self.desk.interviews, request), await body_of(request))
        return _enveloped(row, "Interview updated.")

    async def _delete_interview(self, request: Request) -> Response:
        row = self.desk.rebook(_there(self.desk.interviews, request), {"status": "cancelled"})
        return _enveloped(row, "Interview cancelled.")

    async def _meet(self, request: Request) -> Response:
        return _enveloped(self.desk.meet(await body_of(request)), "Meeting link made.")

    # schema, webhooks, MCP

    def _other_routes(self) -> Iterator[Offered]:
        yield "GET", "/schema", self._schema
        yield "GET", "/schema/health", self._health
        yield "GET", "/schema/validate", self._validate
        yield "POST", "/webhooks/test", self._test_hook
        yield "POST", "/mcp", self._mcp

    async def _schema(self, request: Request) -> Response:
        methods: dict[str, list[str]] = {}
        for route in self.app.routes:
            if isinstance(route, Route):
                methods.setdefault(route.path.replace(":int", ""), []).extend(
                    sorted((route.methods or set()) - {"HEAD"})
                )
        told = [{"path": path, "methods": ways, "description": ""} for path, ways in methods.items()]
        return self.tell({"version": "1.0", "endpoints": told})

    async def _health(self, request: Request) -> Response:
        return self.tell({"status": "ok"})

    async def _validate(self, request: Request) -> Response:
        return self.tell(self._whoami())

    def _whoami(self) -> Json:
        told = self.account.balance_json()
        names = ("balance", "formatted_balance", "is_low", "auto_reload_enabled")
        user = {"id": 123, "name": "Alex Agent", "email": "alex.agent@example.com"}
        return {"valid": True, "user": user, "credits": {name: told[name] for name in names}}

    async def _test_hook(self, request: Request) -> Response:
        url = (await body_of(request)).get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("url", "must be a valid URL")
        if self.client is None:
            return answer({"success": False, "message": "The address could not be reached."})
        body = orjson.dumps({"event": "webhook.test", "timestamp": iso(self.clock.now())})
        headers = {"Content-Type": "application/json", **self.signed(Hook("", url, (), self.webhook_secret), body)}
        try:
            code = (await self.client.post(url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return answer({"success": False, "message": "The address could not be reached."})
        return answer({"success": code < 300, "message": "The test was sent.", "response_code": code})

    async def _mcp(self, request: Request) -> Response:
        """The tools of llms.txt that only read; what spends or writes to people is not played here."""
        body = await body_of(request)
        reply = {"jsonrpc": "2.0", "id": body.get("id")}
        asked = body.get("params") if isinstance(body.get("params"), dict) else {}
        tools = [{"name": name, "description": "", "inputSchema": {"type": "object"}} for name in ("whoami",)]
        if body.get("method") == "tools/list":
            return answer({**reply, "result": {"tools": tools}})
        if body.get("method") == "tools/call" and asked and asked.get("name") == "whoami":
            content = [{"type": "text", "text": orjson.dumps(self._whoami()).decode()}]
            return answer({**reply, "result": {"content": content}})
        return answer({**reply, "error": {"code": -32601, "message": "Method not found"}})


# --- what an answer is made of --------------------------------------------------------------------------------------


def answer(told: Json, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(told), status, media_type="application/json")


def _enveloped(data: Any, message: str | None = None) -> Response:
    return answer({"success": True, "data": data, "message": message})


def _there(table: Mapping[int, Json], request: Request) -> Json:
    row = table.get(request.path_params["id"])
    if row is None:
        raise Refused(404, "The resource was not found.")
    return row


def positive(text: str | None, otherwise: int) -> int:
    """A number of a query that is above zero, or what counts where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and int(text) else otherwise


def _bought(body: Json) -> tuple[int, str]:
    """How many credits a purchase brings, and what it is."""
    pack = PACKS.get(body.get("pack", ""))
    if pack is not None:
        return pack["credits"], str(body["pack"])
    amount = body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 5:
        raise invalid("amount", "must be at least 5")
    return int(amount * 100), "custom"
