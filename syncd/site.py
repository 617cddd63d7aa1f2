"""The pages' endpoints: each asks for its facts, and each form's answer is told on the page that it came from."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from syncd import look, page
from syncd.errors import Rejected, SyncdError
from syncd.forms import Forms
from syncd.model import Kind, Ref
from syncd.page_frame import CHANGES, HELD, OVERVIEW, PLACES, RECORD, RESOLVE, WALK, WHO, Facts, framed
from syncd.page_held import MOST_SHOWN, held_page
from syncd.page_story import story_page
from syncd.page_who import FOOT, TITLE, untold_page, who_page
from syncd.sealing import Entropy

Endpoint = Callable[[Request], Awaitable[Response]]
Act = Callable[[str, Facts], Awaitable[Facts]]
MOST_TOLD = 50
LONGEST_ID = 500  # characters

log = structlog.get_logger()


@dataclass(frozen=True)
class Source:
    """Where the pages' facts come from.

    ``facts``: as of ``page.facts_of``, at most a second old. ``ask``: the answer of a question of ``look`` or ``page``.
    ``troubles``: why not all is known to be in step, a sentence each. ``act``: do a command, as ``run_command``; raises
    ``SyncdError``; None: the pages only show. ``who``: who a record of a connection is about, as ``who.who``; raises
    ``SyncdError`` with a sentence; None: nobody is shown.
    """

    facts: Callable[[], Awaitable[Facts]]
    ask: Callable[..., Awaitable[Any]]
    troubles: Callable[[], Sequence[str]]
    act: Act | None = None
    who: Callable[[str, Ref], Awaitable[Facts]] | None = None


class Site:
    """The pages and what their forms do, by address. ``may_see_people``: whether whoever asks may."""

    def __init__(
        self, source: Source, forms: Forms, entropy: Entropy, may_see_people: Callable[[Request], bool]
    ) -> None:
        self._source, self._forms, self._entropy = source, forms, entropy
        self._may_see_people = may_see_people
        self._told: dict[str, tuple[str, bool]] = {}
        self.pages: Mapping[str, Endpoint] = {
            OVERVIEW: self._overview,
            HELD: self._held,
            CHANGES: self._changes,
            RECORD: self._record,
        }
        self.forms: Mapping[str, Endpoint] = {RESOLVE: self._resolve, WALK: self._walk, WHO: self._who}

    # pages

    async def _overview(self, request: Request) -> Response:
        facts = await self._source.facts()
        held = await self._source.ask(look.held, page.FIRST_HELD) if facts["holds"] else []
        troubles = self._source.troubles()
        title = page.judged(facts, troubles)[1].removesuffix(".")
        return self._page(request, title, OVERVIEW, page.overview(facts, held, self._token(), troubles))

    async def _held(self, request: Request) -> Response:
        facts, holds = await self._source.facts(), await self._source.ask(look.held, MOST_SHOWN)
        shown = held_page(holds, facts["holds"], facts["at"], self._token(), self._people(request))
        return self._page(request, "Held", HELD, shown)

    async def _changes(self, request: Request) -> Response:
        return self._page(request, "Changes", CHANGES, page.changes_page(await self._source.ask(page.changes)))

    async def _record(self, request: Request) -> Response:
        id_ = request.query_params.get("id", "").strip()[:LONGEST_ID]
        if not id_ or not id_.isprintable():
            return RedirectResponse(OVERVIEW, 303)
        facts, story = await self._source.facts(), await self._source.ask(look.explain, id_)
        shown = story_page(story, facts["at"], self._token(), self._people(request))
        return self._page(request, "Record", RECORD, shown, status=200 if story["records"] else 404)

    def _token(self) -> str | None:
        return self._forms.token if self._source.act else None

    def _people(self, request: Request) -> str | None:
        """The token of the forms that ask who a record is about; None: whoever this is may not see that."""
        return self._forms.token if self._source.who and self._may_see_people(request) else None

    def _page(self, request: Request, title: str, here: str, shown: str, *, status: int = 200) -> Response:
        told = self._told.get(request.query_params.get("told", ""))
        return HTMLResponse(framed(title, here, shown, told=told), status)

    # forms

    async def _resolve(self, request: Request) -> Response:
        fields = await self._forms.read(request)
        if not re.fullmatch(r"[0-9]{1,18}", fields.get("hold", "")):
            return self._back(fields, "Nothing is held under that number.", is_good=False)
        asked = {"id": int(fields["hold"]), "choice": fields.get("choice", ""), "other": fields.get("other") or None}
        return await self._done(fields, "resolve", asked)

    async def _walk(self, request: Request) -> Response:
        fields = await self._forms.read(request)
        names = {name: fields.get(name, "") for name in ("connection", "walk")}
        return await self._done(fields, "walk", {**names, "sweep": fields.get("how") == "sweep"})

    async def _who(self, request: Request) -> Response:
        """Who a record is about. It is the form's own answer: loaded by its address there is nothing."""
        fields, people = await self._forms.read(request), self._people(request)
        asked = {name: fields.get(name, "")[:LONGEST_ID] for name in ("connection", "kind", "id")}
        if self._source.who is None or people is None:
            refused = "Only who is signed in may see that, and only where server.show_people is true."
            return HTMLResponse(framed(TITLE, WHO, untold_page(asked, refused)), 403)
        try:
            told = await self._source.who(asked["connection"], _ref_of(asked))
        except SyncdError as error:
            return HTMLResponse(framed(TITLE, WHO, untold_page(asked, str(error))))
        return HTMLResponse(framed(TITLE, WHO, who_page(asked, told, people), foot=FOOT))

    async def _done(self, fields: Mapping[str, str], command: str, asked: Facts) -> Response:
        if self._source.act is None:
            return self._back(fields, "Nothing can be done from this page.", is_good=False)
        try:
            told = await self._source.act(command, asked)
        except SyncdError as error:
            return self._back(fields, f"Not done: {error}", is_good=False)
        log.info("Somebody did something on the page.", action=f"page.{command}", hold=asked.get("id"))
        return self._back(fields, str(told["told"]), is_good=True)

    def _back(self, fields: Mapping[str, str], sentence: str, *, is_good: bool) -> Response:
        """To the page that the form was on, which tells the sentence; loaded again, it sends nothing twice."""
        while len(self._told) >= MOST_TOLD:
            del self._told[next(iter(self._told))]
        key = self._entropy(8).hex()
        self._told[key] = (sentence, is_good)
        place = fields.get("back", "")
        id_ = {"id": fields["id"]} if place == RECORD and "id" in fields else {}
        path = place if place in PLACES or id_ else OVERVIEW
        return RedirectResponse(f"{path}?{urlencode({**id_, 'told': key})}", 303)


def _ref_of(asked: Mapping[str, str]) -> Ref:
    if asked["kind"] not in [*Kind]:
        raise Rejected("syncd knows no such record.")
    return Ref(Kind(asked["kind"]), asked["id"])
