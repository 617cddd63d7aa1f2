"""Workable, played from its documentation: the HTTP side. Everything here is simulated and says so.

Where the documentation is silent the sandbox takes the strict reading, and switches show the other one: ``window``
(both windows of the rate limit at once, or one), ``keeps_filters`` (whether next links bear the filters),
``strict_after`` (whether ``updated_after`` excludes its own second), ``move_lag_s`` (a 202 that takes a while),
``retry_after`` (a header that nobody has seen there), ``ignores_filters``. ``members`` are the account's people.
"""

import hashlib
import hmac
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.workable.sandbox_answers import BLANK, Refused, body_of
from connectors.workable.sandbox_lists import RESUMES
from connectors.workable.sandbox_rows import Json, PlayedMember, PlayedRow, hexed, millis
from connectors.workable.sandbox_state import MEMBERS, Subscription
from connectors.workable.sandbox_writes import WorkableWrites
from syncd.clock import Clock
from syncd.sandbox import Handler, Hits, Hook, Limit, Sandbox

Window = Literal["both", "fixed", "rolling"]
FIXED, ROLLING = Limit(10, 10.0, fixed=True), Limit(10, 10.0)
WINDOWS: Mapping[str, tuple[Limit, ...]] = {"both": (FIXED, ROLLING), "fixed": (FIXED,), "rolling": (ROLLING,)}
EVENTS = ("candidate_created", "candidate_moved", "candidate_deleted", "job_deleted")


class WorkableSandbox(Sandbox, WorkableWrites):
    """A Workable account as an ASGI app, with an in-process API for people's acts (see ``WorkableState``)."""

    system = "workable"

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        window: Window = "both",
        subdomain: str = "acme",
        limits: Sequence[Limit] | None = None,
        keeps_filters: bool = True,
        strict_after: bool = False,
        ignores_filters: bool = False,
        fills_in: bool = True,
        move_lag_s: float = 0.0,
        retry_after: bool = False,
        members: Sequence[PlayedMember] = MEMBERS,
        **kwargs: Any,
    ) -> None:
        super().__init__(clock=clock, rng=rng, limits=WINDOWS[window] if limits is None else limits, **kwargs)
        self.subdomain = subdomain
        self.keeps_filters = keeps_filters
        self.strict_after = strict_after
        self.ignores_filters = ignores_filters
        self.fills_in = fills_in
        self.move_lag_s = move_lag_s
        self.retry_after = retry_after
        self.begin(members)

    # what the kit asks

    def routes(self) -> Sequence[Route]:
        """All paths below ``/spi/v3``."""
        rows, jobs = "/candidates", "/jobs/{shortcode}"
        row = f"{rows}/{{id}}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/accounts", self._accounts),
            ("GET", "/accounts/{subdomain}", self._account),
            ("GET", "/jobs", self._jobs),
            ("GET", jobs, self._job),
            ("GET", f"{jobs}/stages", self._stages),
            ("GET", f"{jobs}/candidates", self._candidates),
            ("POST", f"{jobs}/candidates", self._create),
            ("GET", f"{jobs}/activities", self._job_activities),
            ("GET", "/stages", self._stages),
            ("GET", "/members", self._members),
            ("GET", "/recruiters", self._none_of("recruiters")),
            ("GET", "/events", self._none_of("events")),
            ("GET", "/disqualification_reasons", self._reasons),
            ("GET", rows, self._candidates),
            ("GET", row, self._candidate),
            ("PATCH", row, self._patch),
            ("GET", f"{row}/activities", self._activities),
            ("POST", f"{row}/move", self._move),
            ("POST", f"{row}/disqualify", self._disqualify),
            ("POST", f"{row}/revert", self._revert),
            ("POST", f"{row}/comments", self._comment),
            ("POST", f"{row}/ratings", self._rate),
            ("PUT", f"{row}/ratings", self._rate),
            ("POST", f"{row}/copy", partial(self._carry, keep=True)),
            ("POST", f"{row}/relocate", partial(self._carry, keep=False)),
            ("GET", "/subscriptions", self._subscriptions),
            ("POST", "/subscriptions", self._subscribe),
            ("DELETE", "/subscriptions/{id}", self._unsubscribe),
        ]
        calls = [Route(f"/spi/v3{path}", handler, methods=[method]) for method, path, handler in table]
        return [*calls, Route(f"{RESUMES}{{id}}/{{name}}", self._resume)]

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """Each error is ``{"error": …}``, never ``message``."""
        return {Refused: self._refused, HTTPException: self._refused}

    def _refused(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Refused):
            return self.answer(error.body, error.status)
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self.answer({"error": "Not found"}, 404 if status == 405 else status)

    def is_open(self, request: Request) -> bool:
        """An address of a résumé is signed itself; in truth it is another host's."""
        return request.url.path.startswith(RESUMES)

    def refuse_token(self, request: Request) -> Response:
        """The oddly nested 401 of the live API."""
        inner = {"name": "invalid_token", "state": "unauthorized"}
        told = {"error": inner, "reason": "unknown", "description": "The access token is invalid"}
        return self.answer({"error": {"error": told}}, 401)

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The 429, whose body nobody has recorded."""
        response = self.answer({"error": "Rate limit exceeded"}, 429)
        if self.retry_after:
            response.headers["Retry-After"] = str(int(wait_s) + 1)
        return response

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """As recorded: the reset is the arrival and ten seconds, whatever the window."""
        if not hits.limits:
            return {}
        left = min(limit.calls - hits.used(limit, now) for limit in hits.limits)
        return {
            "X-Rate-Limit-Limit": str(hits.limits[0].calls),
            "X-Rate-Limit-Remaining": str(max(0, left)),
            "X-Rate-Limit-Reset": str(int(now + hits.limits[0].window_s)),
        }

    # subscriptions and webhooks

    async def _subscriptions(self, request: Request) -> Response:
        return self.answer({"subscriptions": [self._told_hook(hook) for hook in self.hooks.values()]})

    def _told_hook(self, hook: Hook) -> Json:
        wish = self.subscriptions[hook.id]
        return {
            "id": int(hook.id),
            "event": hook.events[0],
            "target": hook.url,
            "valid_until": None,
            "created_at": millis(wish.created_at),
            "stage_slug": wish.stage_slug or None,
            "job_shortcode": wish.job_shortcode or None,
        }

    async def _subscribe(self, request: Request) -> Response:
        body = await body_of(request)
        for name in ("target", "event"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise Refused(422, f"{BLANK}{name}")
        args = body.get("args")
        if args is not None and not {"job_shortcode", "stage_slug"} <= set(args):
            raise Refused(422, f"{BLANK}args")
        if body["event"] not in EVENTS:
            raise Refused(422, "Event is unknown")
        filters = {name: args[name] or "" for name in ("job_shortcode", "stage_slug")} if args else {}
        id_ = self.subscribe(body["target"], body["event"], token=self.token_of(request.headers), **filters)
        return self.answer({"id": int(id_)}, 201)

    def subscribe(
        self, target: str, event: str, *, token: str | None = None, job_shortcode: str = "", stage_slug: str = ""
    ) -> str:
        """Register one address for one event, signed with the token that asked; addresses are unique."""
        if any(hook.url == target for hook in self.hooks.values()):
            raise Refused(409, "Target has already been taken")
        id_ = str(104_697 + self.number())
        self.subscriptions[id_] = Subscription(id_, self.clock.now(), job_shortcode, stage_slug)
        self.hooks[id_] = Hook(id_, target, (event,), token or self.tokens[0])
        return id_

    async def _unsubscribe(self, request: Request) -> Response:
        if self.hooks.pop(request.path_params["id"], None) is None:
            raise Refused(404, "Not found")
        return self.answer({})

    def announce(self, event: str, row: PlayedRow) -> None:
        """Send an event; what it tells of the row is the state at each sending."""
        head = {"event_type": event, "id": f"{self.number():024x}", "fired_at": millis(self.clock.now())}
        wants = partial(self._wants, row.job.shortcode, row.stage.slug)
        self.emit(event, partial(self._event, head, row), self._signed, wants)

    def _event(self, head: Json, row: PlayedRow) -> bytes:
        self.settle()
        data = row.detail(self.subdomain) if row.number in self.rows else {"id": hexed(row.number)}
        return orjson.dumps({**head, "resource_type": "candidate", "data": data})

    def _wants(self, shortcode: str, slug: str, hook: Hook) -> bool:
        wish = self.subscriptions.get(hook.id)
        return wish is None or (wish.job_shortcode in {"", shortcode} and wish.stage_slug in {"", slug})

    def _signed(self, hook: Hook, body: bytes) -> Mapping[str, str]:
        key = (hook.secret or self.tokens[0]).encode()
        return {"X-Workable-Signature": hmac.new(key, body, hashlib.sha256).hexdigest()}

    def is_taken(self, status: int) -> bool:
        """Workable wants exactly 200."""
        return status == 200
