"""Who may see the pages and the metrics.

Off loopback that wants ``page_token``: as a Bearer token, or once, in a browser, at the door or as ``?token=``, for
which it is given a cookie. A reverse proxy that signs people in may vouch for them instead, in the header
``proxy_header``, which is believed from the addresses ``proxies`` alone. Without either only this machine may look,
under no name but its own (a page elsewhere could otherwise point a name of its own at us and read along: DNS rebinding)
and not through a proxy, which might let in anybody.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from syncd.connector import is_local
from syncd.forms import Forms, NotOurForm
from syncd.page_frame import OVERVIEW, door
from syncd.settings import Server, revealed

Endpoint = Callable[[Request], Awaitable[Response]]

COOKIE = "syncd_page"
PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
REFUSED = "You may not see this without server.page_token.\n"


class Door:
    """Lets those through who may see the page and the metrics."""

    def __init__(self, server: Server, forms: Forms) -> None:
        self._token = revealed(server.page_token)
        self._is_local = is_local(server.host)
        self._is_https = urlsplit(server.public_url or "").scheme == "https"
        self._proxy_header = server.proxy_header
        self._proxies = [ipaddress.ip_network(proxy) for proxy in server.proxies]
        self._shows_people = server.show_people
        self._forms = forms

    def guarding(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint for those who may look; what is no form of ours is refused."""

        async def guarded(request: Request) -> Response:
            given = request.query_params.get("token")
            if self._token is not None and given is not None and _same(given, self._token):
                return self._exchange(request.scope["path"], request.scope["scheme"], self._token)
            if not self._may_look(request) or (self._token is not None and given is not None):
                return self._refusal(request)
            try:
                return await endpoint(request)
            except NotOurForm as error:
                return PlainTextResponse(f"{error}\n", error.status)

        return guarded

    async def enter(self, request: Request) -> Response:
        """The form at the door: a right token is exchanged for a cookie."""
        try:
            fields = await self._forms.read_unproven(request)
        except NotOurForm as error:
            return PlainTextResponse(f"{error}\n", error.status)
        if self._token is None or not _same(fields.get("page_token", "").strip(), self._token):
            return HTMLResponse(door(wrong=True), 401)
        return self._exchange(OVERVIEW, request.scope["scheme"], self._token)

    def may_see_people(self, request: Request) -> bool:
        """Whether the operator lets signed-in users see who a record is about, and whoever asks is signed in.

        This machine's own users are not, where there is no token.
        """
        has_token = self._token is not None and self._has_token(request, self._token)
        return self._shows_people and (has_token or self._is_vouched_for(request))

    def _may_look(self, request: Request) -> bool:
        if self._is_vouched_for(request):
            return True
        return self._is_from_here(request) if self._token is None else self._has_token(request, self._token)

    def _is_vouched_for(self, request: Request) -> bool:
        """Whether a proxy that we believe says who this is; twice would be once too often: one is not the proxy's."""
        names = request.headers.getlist(self._proxy_header) if self._proxy_header else []
        if len(names) != 1 or not names[0].strip() or request.client is None:
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._proxies)

    def _is_from_here(self, request: Request) -> bool:
        """Without a token: whether we listen on loopback and were asked by a name that is this machine's, directly."""
        is_direct = not any(name in request.headers for name in PROXIED)
        return self._is_local and is_direct and is_local(_name_in(request.headers.get("host", "")))

    def _has_token(self, request: Request, token: str) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        bears = scheme.lower() == "bearer" and _same(given.strip(), token)
        return _same(request.cookies.get(COOKIE, ""), _cookie_of(token)) or bears

    def _exchange(self, path: str, scheme: str, token: str) -> Response:
        """The token leaves the address bar and its history: a cookie takes its place."""
        answer = RedirectResponse(path, 303)
        secure = self._is_https or scheme == "https"
        answer.set_cookie(COOKIE, _cookie_of(token), httponly=True, samesite="lax", secure=secure)
        return answer

    def _refusal(self, request: Request) -> Response:
        if self._token is None:
            return PlainTextResponse(REFUSED, 403)
        headers = {"WWW-Authenticate": "Bearer"}
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(door(wrong="token" in request.query_params), 401, headers=headers)
        return PlainTextResponse(REFUSED, 401, headers=headers)


def _name_in(host: str) -> str:
    """The name or address in a Host header, whatever else stands there."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _cookie_of(token: str) -> str:
    """What stands for the token in a browser; the token itself is not kept there."""
    return hmac.new(token.encode(), b"syncd page", hashlib.sha256).hexdigest()
