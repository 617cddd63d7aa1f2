"""What all pages share: the frame around them, how a state, a time and a record are told, and how a form is made.

Every page is whole without its script, which only brings it up to date. Sections with ``data-live`` and an id are what
it exchanges.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from syncd.markup import Html, Part, el, joined, web_address
from syncd.tell import ago

Facts = Mapping[str, Any]
GOOD, WORK, ASK, BAD = "good", "work", "ask", "bad"  # all well, under way, a person is asked, something is wrong
OVERVIEW, HELD, CHANGES, RECORD, RESOLVE, WALK, WHO, ENTER = (
    "/", "/held", "/changes", "/record", "/resolve", "/walk", "/who", "/enter",
)  # fmt: skip
PLACES = {OVERVIEW: "Overview", HELD: "Held", CHANGES: "Changes"}
NO_DATA = "No candidate's data is on these pages: ids, names of fields, stage words."
NO_SCRIPT_S = 10  # between two looks of a browser without scripts

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_NAMES = ("page.css", "page.js", "icon.svg")
ASSETS: Mapping[str, tuple[bytes, str]] = {
    name: (files("syncd").joinpath("assets", name).read_bytes(), _TYPES[name.rpartition(".")[2]]) for name in _NAMES
}


def asset(name: str) -> str:
    """Where a file of the page is; the address changes with what is in it."""
    return f"/assets/{name}?v={hashlib.sha256(ASSETS[name][0]).hexdigest()[:12]}"


# --- the frame ------------------------------------------------------------------------------------------------------


def framed(title: str, here: str, *inside: Part, told: tuple[str, bool] | None = None, foot: str = NO_DATA) -> str:
    """A whole page. ``here``: its address among PLACES. ``told``: what came of the last answer, and whether it went."""
    refresh = el("noscript", el("meta", http_equiv="refresh", content=str(NO_SCRIPT_S))) if here == OVERVIEW else None
    said = _told(*told) if told else None
    return _document(
        title,
        refresh,
        el("script", src=asset("page.js"), defer=True),
        body=[
            el("a", "Skip to the content", class_="skip unseen", href="#content"),
            _top(here),
            el("p", "syncd does not answer. What stands here was true a while ago.", class_="lost", id="lost",
               role="alert", hidden=True),
            el("main", said, inside, id="content"),
            el("p", f"Times are UTC. {foot}", class_="foot"),
        ],
    )  # fmt: skip


def _document(title: str, *head: Part, body: Part) -> str:
    whole = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("title", title, " · syncd"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("link", rel="icon", href=asset("icon.svg"), type="image/svg+xml"),
            el("link", rel="stylesheet", href=asset("page.css")),
            head,
        ),
        el("body", body),
        lang="en",
    )
    return f"<!doctype html>\n{whole}\n"


def _top(here: str) -> Html:
    brand = el("a", el("img", src=asset("icon.svg"), alt=""), "syncd", class_="brand", href=OVERVIEW)
    places = [
        el("li", el("a", name, href=path, aria_current="page" if path == here else None))
        for path, name in PLACES.items()
    ]
    find = el(
        "form",
        el("label", "Any id of any system", for_="find", class_="unseen"),
        el("input", type="search", name="id", id="find", placeholder="Any id of any system", required=True),
        el("button", "Explain"),
        class_="find",
        action=RECORD,
        role="search",
    )
    return el("header", el("div", brand, el("nav", el("ul", places), aria_label="Pages"), find), class_="top")


def _told(sentence: str, is_good: bool) -> Html:  # noqa: FBT001  # how it went, beside what is said of it
    kind = "sheet told" if is_good else "sheet told failed"
    return el("p", sentence, class_=kind, role="status" if is_good else "alert")


def door(wrong: bool) -> str:  # noqa: FBT001  # it was tried, and was wrong
    """What a browser is shown that may not look yet."""
    form = el(
        "form",
        el("h1", "syncd"),
        el("p", "That was not it." if wrong else "This page wants its token: ", class_="bad" if wrong else None,
           role="alert" if wrong else None),
        el("label", "server.page_token", for_="token"),
        el("input", type="password", name="page_token", id="token", autocomplete="current-password", required=True,
           autofocus=True),
        el("button", "Enter"),
        class_="sheet door",
        method="post",
        action=ENTER,
    )  # fmt: skip
    return _document("Enter", body=el("main", form))


# --- parts ----------------------------------------------------------------------------------------------------------


def live(name: str, heading: Part, *inside: Part) -> Html:
    """A section that is kept up to date, with its heading."""
    title = el("h2", heading, id=f"{name}-heading")
    labelled = {"id": name, "class_": "sheet", "aria_labelledby": f"{name}-heading"}
    return el("section", title, inside, data_live=True, **labelled)


def state(grade: str, text: str) -> Html:
    """A state in words, with its colour."""
    return el("span", text, class_=f"state {grade}")


def moment(at: float, text: str | None = None) -> Html:
    """A time as people read it, and as programs do."""
    when = datetime.fromtimestamp(at, UTC)
    return el("time", text or when.strftime("%Y-%m-%d %H:%M:%S"), datetime=when.strftime("%Y-%m-%dT%H:%M:%SZ"))


def since(at: float | None, now: float) -> Html:
    """How long ago something was, with the time itself behind it."""
    return el("span", "never") if at is None else moment(at, ago(at, now))


def several(count: int, word: str) -> str:
    """A number and what it counts."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def story_link(id_: str, text: str) -> Html:
    """A link to a record's story."""
    return el("a", text, href=f"{RECORD}?{urlencode({'id': id_})}") if id_ else el("span", text)


def ends(hold: Facts) -> Html:
    """Both ends of something, as far as they are there."""
    return el("div", [end(hold[side]) for side in ("left", "right") if hold[side] is not None], class_="ends")


def end(told: Facts) -> Html:
    """One end: where it is, its id, and a way to it in its own system."""
    away = web_address(told["url"])
    rows = [row for row in told["rows"] if row != told["id"]]
    also = f" (also {', '.join(rows)})" if rows else ""
    foreign = f" (their id for ours: {told['source_id']})" if told["source_id"] not in {None, told["id"]} else ""
    there = el("a", f"open in {told['connection']}", href=away, rel="noreferrer noopener external") if away else None
    gone = state(ASK, "no longer there") if told["gone"] else None
    name = el("span", told["connection"], class_="dim")
    record = story_link(told["id"], f"{told['kind']} {told['id']}")
    return el("span", joined([name, " ", record, also, foreign, " ", there, " " if gone else None, gone]))


def form(path: str, token: str, fields: Mapping[str, str], *inside: Part, class_: str | None = None) -> Html:
    """A form that does something, with what proves that it is ours."""
    hidden = [el("input", type="hidden", name=name, value=value) for name, value in fields.items()]
    proof = el("input", type="hidden", name="form_token", value=token)
    return el("form", proof, hidden, inside, method="post", action=path, class_=class_)
