"""HireSquire's paths, pages, authentication and errors.

Source: the vendor's REST reference and llms-full.txt, section "Error Handling". The list of candidates is in
llms-full.txt alone, without its paging: assumed are ``page`` and ``limit`` as the list of jobs has them (``per_page``
in the vendor's own client, so both are sent), oldest first so that what is new comes last.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import orjson

from connectors.hiresquire import upload, wire
from connectors.hiresquire.wire import Json, Listed
from syncd.connector import (
    Account,
    BatchDraft,
    CreditsSpent,
    FilesRejected,
    PagePlace,
    ask,
    decoded,
    understood,
)
from syncd.errors import SyncdError, Unavailable

BASE_URL = "https://hiresquireai.com/api/v1"
PER_PAGE = 100
_NO_LIST = dict.fromkeys((400, 404, 405, 406, 410, 422), Unavailable)  # a list that cannot be read is no empty list
_REFUSED: Mapping[int, type[SyncdError]] = {402: CreditsSpent}


class Api:
    """One HireSquire account: each call is one request."""

    def __init__(self, account: Account, client: httpx.AsyncClient) -> None:
        base = account.base_url.rstrip("/")
        self.base = base if base.endswith("/api/v1") else f"{base}/api/v1"
        self._client = client
        self._headers = {"Authorization": f"Bearer {account.token}", "Accept": "application/json"}

    async def read(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON of one GET; raises ``Gone`` where nothing is there."""
        return decoded("GET", await self._ask("GET", path, params=params))

    async def write(self, method: str, path: str, body: Json | None = None) -> Any:
        """The JSON that answers one write."""
        content = b"" if body is None else orjson.dumps(body)
        response = await self._ask(method, path, statuses=_REFUSED, content=content, headers=_JSON)
        return decoded(method, response)

    async def submit(self, fields: Json, draft: BatchDraft, key: str, most: int) -> Any:
        """The JSON that answers a batch; its files, of ``most`` bytes in all, are read as they are sent."""
        refused: dict[str, str] = {}
        size = upload.length(fields, draft.files)
        headers = {**_JSON, "Idempotency-Key": key} | ({} if size is None else {"Content-Length": str(size)})

        def judge(response: httpx.Response) -> type[SyncdError] | None:
            refused.update(_refused_files(response, [file.name for file in draft.files]))
            return FilesRejected if refused else _REFUSED.get(response.status_code)

        content = upload.body(fields, draft.files, most)
        try:
            response = await self._ask("POST", "/jobs", judge=judge, content=content, headers=headers)
        except FilesRejected as error:
            raise FilesRejected(str(error), refused) from error
        return decoded("POST", response)

    async def pages(
        self, path: str, token: str | None = None, **filters: str | int
    ) -> AsyncIterator[tuple[httpx.Response, tuple[Json, ...], "Place | None"]]:
        """A list's pages from a page's token on: the answer, its rows but for those told before, and the next place."""
        place: Place | None = understood("GET", lambda: Place.of(token))
        while place is not None:
            asked = {"page": place.page, "limit": PER_PAGE, "per_page": PER_PAGE, **filters}
            response = await self._ask("GET", path, statuses=_NO_LIST, params=asked)
            fresh, place = _turned(place, path[1:], decoded("GET", response))
            yield response, fresh, place

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        return await ask(
            self._client,
            method,
            self.base + path,
            explain=explain,
            headers=self._headers | dict(headers or {}),
            follow_redirects=False,
            **request,
        )


_JSON = {"Content-Type": "application/json"}


class Place(PagePlace):
    """Where a walk stands; the next place comes of what a page told."""

    def after(self, listed: Listed) -> tuple[tuple[Json, ...], "Place | None"]:
        """The rows that were not there before, and the next place; None: the end is proven."""
        fresh = {wire.id_of(row): row for row in listed.rows if wire.id_of(row) not in self.seen}
        total = listed.total if self.total is None else self.total
        place = Place(self.page + 1, self.told + len(fresh), total, self.seen | fresh.keys())
        goes_on = self._goes_on(listed, place)
        if listed.page not in {None, self.page}:
            raise Unavailable(f"page {self.page} of the list was answered with another page")
        if listed.total is not None and total is not None and listed.total < total:
            raise Unavailable("the list shrank while it was read: rows may have slipped past")
        if goes_on and not fresh:
            raise Unavailable(f"page {self.page} of the list brings nothing new, and yet the list goes on")
        if not goes_on and total is not None and place.told < total:
            raise Unavailable("the list ended with fewer rows than it said it has")
        return tuple(fresh.values()), place if goes_on else None

    def _goes_on(self, listed: Listed, place: "Place") -> bool:
        """By its last page's number, else by its total; a list that tells neither ends with an empty page."""
        if listed.last is not None:
            return self.page < listed.last
        if place.total is not None:
            return place.told < place.total
        return bool(listed.rows)


def _turned(place: Place, plural: str, answer: Any) -> tuple[tuple[Json, ...], Place | None]:
    """The fresh rows of a page, and the next place."""
    listed: Listed = understood("GET", lambda: wire.listed(answer, plural))
    return place.after(listed)


def _refused_files(response: httpx.Response, names: Sequence[str]) -> dict[str, str]:
    """Which files a refusal names and why; total on any answer."""
    if response.status_code not in {400, 422}:
        return {}
    try:
        return wire.refused_files(orjson.loads(response.content), names)
    except orjson.JSONDecodeError:
        return {}


def explain(response: httpx.Response) -> str:
    """What an error answer says: its own words where they are known to hold nobody's data, and the fields it names."""
    answer = orjson.loads(response.content)
    errors = answer.get("errors")
    sentences = [text for told in errors.values() for text in told] if isinstance(errors, dict) else []
    said = [wire.safe(text) for text in sentences] or [wire.safe(answer.get("message") or answer.get("error"))]
    return "; ".join(dict.fromkeys(text for text in said if text)) or "no reason given"
