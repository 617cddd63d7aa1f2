"""The calls to the hiring portal: address, authentication, envelopes, errors. Each call is one request.

Source: the vendor's reference (https://sprint-mode-docs.pages.dev/api/jobs, /api/hiring, /api/authentication): a key in
``X-SM-Key`` or as a bearer, or a Cloudflare Access service token in two headers. Error answers are
``{"ok": false, "error": "<text>"}``; their statuses are not documented, so the usual ones are assumed.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from connectors.portal import wire
from connectors.portal.wire import Json, Listing
from syncd.connector import Account, ask, decoded, download, same_origin, understood
from syncd.errors import ConfigInvalid, SyncdError, Unavailable

BASE_URL = "https://api.sprintmode.ai"
AUTH = ("key", "bearer")

Statuses = Mapping[int, type[SyncdError]]
NO_LIST: Statuses = dict.fromkeys((400, 404, 405, 410, 422), Unavailable)  # a list that cannot be read is no empty list


def headers_of(account: Account) -> dict[str, str]:
    """The headers that prove who asks: the key in one of its two ways, an Access service token, or both.

    Raises ``ConfigInvalid`` where the account's options make no sense.
    """
    place, options = f"connections.{account.name}", account.options
    auth = options.get("auth", AUTH[0])
    client, secret = options.get("access_client_id"), options.get("access_client_secret")
    if auth not in AUTH:
        raise ConfigInvalid(f"{place}.auth: write one of {', '.join(AUTH)}")
    if bool(client) != bool(secret):
        raise ConfigInvalid(f"{place}: access_client_id and access_client_secret go together")
    headers: dict[str, str] = {}
    if account.token:
        key = ("X-SM-Key", account.token) if auth == "key" else ("Authorization", f"Bearer {account.token}")
        headers.update([key])
    if client and secret:
        headers |= {"CF-Access-Client-Id": client, "CF-Access-Client-Secret": secret}
    return headers


class Api:
    """One portal, reached with one key or service token."""

    def __init__(self, account: Account, client: httpx.AsyncClient) -> None:
        base = account.base_url.rstrip("/")
        self._base = base if base.endswith("/api") else f"{base}/api"
        self._client = client
        self._headers = headers_of(account)

    async def listing(self, path: str, **params: str | int) -> tuple[httpx.Response, Listing]:
        """One answer of a list."""
        response = await self._ask("GET", path, statuses=NO_LIST, params=params)
        listing: Listing = understood("GET", lambda: wire.listing_of(decoded("GET", response)))
        return response, listing

    async def beside(self, path: str) -> Listing:
        """A list of what lies beside a record; raises ``Gone`` where the record is not there."""
        response = await self._ask("GET", path)
        listing: Listing = understood("GET", lambda: wire.listing_of(decoded("GET", response)))
        return listing

    async def one(self, path: str) -> Json:
        """One object; raises ``Gone`` where nothing is there."""
        response = await self._ask("GET", path)
        row: Json = understood("GET", lambda: wire.object_of(decoded("GET", response)))
        return row

    async def make(self, path: str, body: Json, statuses: Statuses | None = None) -> Json:
        """Make something with one POST; the object that the answer tells, with its id."""
        response = await self._ask("POST", path, statuses=statuses, **_sent(body))
        row: Json = understood("POST", lambda: wire.object_of(decoded("POST", response)))
        return row

    async def write(
        self, method: str, path: str, body: Json, *, expected: str | None = None, statuses: Statuses | None = None
    ) -> None:
        """Change something with one request, whose answer tells no more than that it was done."""
        response = await self._ask(method, path, statuses=statuses, **_sent(body))
        if response.content.strip():
            understood(method, lambda: wire.acknowledged(decoded(method, response), expected))

    async def upload(self, path: str, content: Any, content_type: str) -> Json:
        """Send one file as a form; the object that the answer tells."""
        headers = {"Content-Type": content_type}
        response = await self._ask("POST", path, content=content, headers=headers)
        row: Json = understood("POST", lambda: wire.object_of(decoded("POST", response)))
        return row

    def content(self, url: str, longest: int) -> AsyncIterator[bytes]:
        """The bytes of a file of the portal's own, or behind another's address, to which no key goes."""
        whole = url if httpx.URL(url).is_absolute_url else str(httpx.URL(self._base).join(url))
        headers = self._headers if same_origin(self._base, whole) else None
        return download(self._client, whole, longest=longest, headers=headers)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        return await ask(
            self._client,
            method,
            self._base + path,
            explain=wire.explain,
            headers={**self._headers, "Accept": "application/json", **(headers or {})},
            follow_redirects=False,
            **more,
        )


def _sent(body: Json) -> dict[str, Any]:
    return {"content": orjson.dumps(body), "headers": {"Content-Type": "application/json"}}


def at(*parts: str) -> str:
    """A path of plain words and ids; no id can lead it astray."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
