"""WorkSignal's paths, pages, authentication and errors.

Source: the vendor's API reference, its sections "Error responses" and "Authentication"
(https://worksignal.com/docs/api, https://worksignal.com/docs/authentication). No paging is documented for any list.
What is assumed here: ``page`` and ``per_page`` as in most Rails applications, with ``meta`` where the server tells it;
where it does not, a list ends with the first page that brings no new id, which also holds for a server that ignores
``page``.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx
import orjson

from connectors.worksignal import wire
from connectors.worksignal.wire import Json, Meta
from syncd.connector import Account, PagePlace, ask, decoded, digest_of, download, served_at, understood
from syncd.errors import Rejected, Taken, Unavailable
from syncd.model import Page, Record

Read = Callable[[Json], tuple[Record, ...]]  # the records that a row tells
Turned = tuple[httpx.Response, tuple[Json, ...], "Place | None"]  # an answer, its fresh rows, and the next place

BASE_URL = "https://worksignal.com/api/v1"
PER_PAGE = 100
LONGEST_FILE = 25_000_000  # bytes that are read of a résumé
_NO_LIST = dict.fromkeys((400, 404, 405, 406, 410, 422), Unavailable)  # a list that cannot be read is no empty list

# Only sentences made of these words are passed on: a message of any other form might hold a person's data.
_SUBJECTS = (
    "Title|Name|Email|Phone|Stage|Status|Role|Reason|Department|Location|Description|Remote policy|Salary min|"
    "Salary max|Candidate|Application|Job posting"
)
_PREDICATES = (
    "can't be blank|is invalid|is not a number|is not included in the list|has already been taken|must exist|"
    "is closed|is already open|is not open|is not accepting applications|has no active application"
)
_SAFE = re.compile(f"({_SUBJECTS}) ({_PREDICATES})")
_TAKEN = "Email has already been taken"


class Api:
    """One WorkSignal account: each call is one request."""

    def __init__(self, account: Account, client: httpx.AsyncClient) -> None:
        base = account.base_url.rstrip("/")
        self._base = base if base.endswith("/api/v1") else f"{base}/api/v1"
        self._client = client
        self._headers = {"Authorization": f"Bearer {account.token}", "Accept": "application/json"}

    async def read(self, path: str) -> Any:
        """The JSON of one GET; raises ``Gone`` where nothing is there."""
        return decoded("GET", await self._ask("GET", path))

    async def write(self, method: str, path: str, body: Json | None = None) -> Any:
        """The JSON that answers one write; None where the answer is empty, which tells nothing."""
        response = await self._ask(method, path, content=None if body is None else orjson.dumps(body))
        return decoded(method, response) if response.content.strip() else None

    async def create(self, path: str, body: Json) -> Any:
        """A write whose refusal may mean that the e-mail is there already: then it raises ``Taken``."""
        try:
            return await self.write("POST", path, body)
        except Rejected as error:
            if _TAKEN in str(error):
                raise Taken(str(error)) from error
            raise

    async def pages(self, path: str, read: Read, token: str | None = None, **filters: str) -> AsyncIterator[Page]:
        """A list's pages from a page's token on, rows that were on an earlier page left out."""
        async for response, fresh, place in self._turning(path, token, filters):
            yield _page(response, fresh, place, read)

    async def rows(self, path: str) -> list[Json]:
        """All rows of a short list."""
        return [row async for _, fresh, _ in self._turning(path, None, {}) for row in fresh]

    async def _turning(self, path: str, token: str | None, filters: Mapping[str, str]) -> AsyncIterator[Turned]:
        place: Place | None = understood("GET", lambda: Place.of(token))
        while place is not None:
            response = await self._ask(
                "GET", path, statuses=_NO_LIST, params={"page": place.page, "per_page": PER_PAGE, **filters}
            )
            fresh, place = _turned(place, path[1:], decoded("GET", response))
            yield response, fresh, place

    def content(self, url: str) -> AsyncIterator[bytes]:
        """The bytes of a file behind an address; no key goes there."""
        return download(self._client, url, longest=LONGEST_FILE)

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await ask(
            self._client,
            method,
            self._base + path,
            explain=explain,
            headers=self._headers | ({"Content-Type": "application/json"} if request.get("content") else {}),
            follow_redirects=False,
            **request,
        )


class Place(PagePlace):
    """Where a walk stands; the next place comes of what a page told."""

    def after(self, rows: Sequence[Json], meta: Meta | None) -> tuple[tuple[Json, ...], "Place | None"]:
        """The rows that were not there before, and the next place; None: the end is proven."""
        fresh = {wire.id_of(row): row for row in rows if wire.id_of(row) not in self.seen}
        total = self.total if meta is None or self.total is not None else meta.total
        place = Place(self.page + 1, self.told + len(fresh), total, self.seen | fresh.keys())
        if meta is not None:
            self._distrust(meta, place)
        goes_on = bool(fresh) if meta is None else meta.goes_on(self.page)
        return tuple(fresh.values()), place if goes_on else None

    def _distrust(self, meta: Meta, place: "Place") -> None:
        """Refuse pages that contradict each other: an incomplete list must not look complete."""
        goes_on = meta.goes_on(self.page)
        if meta.page not in {None, self.page} or meta.next_page not in {None, place.page}:
            raise Unavailable(f"page {self.page} of the list was answered with another page")
        if goes_on and place.told == self.told:
            raise Unavailable(f"page {self.page} of the list brings nothing new, and yet the list goes on")
        if meta.total is not None and place.total is not None and meta.total < place.total:
            raise Unavailable("the list shrank while it was read: rows may have slipped past")
        if not goes_on and place.total is not None and place.told < place.total:
            raise Unavailable("the list ended with fewer rows than it said it has")


def _turned(place: Place, plural: str, answer: Any) -> tuple[tuple[Json, ...], Place | None]:
    """The fresh rows of a page, and the next place."""
    rows, meta = understood("GET", lambda: (wire.rows_of(answer, plural), wire.meta_of(answer)))
    return place.after(rows, meta)


def _page(response: httpx.Response, fresh: tuple[Json, ...], behind: Place | None, read: Read) -> Page:
    """A page whose records are made when they are asked for."""
    return Page(
        read=lambda: understood("GET", lambda: tuple(told for row in fresh for told in read(row))),
        digest=digest_of(response.content),
        next=None if behind is None else behind.token,
        served_at=served_at(response),
    )


def explain(response: httpx.Response) -> str:
    """What an error answer says, as far as its sentences are of the documented kind."""
    answer = orjson.loads(response.content)
    messages = answer.get("messages") or []
    safe = [text for text in messages if isinstance(text, str) and _SAFE.fullmatch(text)]
    if len(safe) < len(messages):
        safe.append("a sentence that is not passed on, as it may hold a person's data")
    return "; ".join(safe) or "no reason given"
