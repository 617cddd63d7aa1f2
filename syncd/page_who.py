"""Who a record is about, on a page of its own; and the button that asks for it.

It is shown where the operator wants that (``server.show_people``) and only to whoever is signed in. It is the answer to
a form, so that its address, its title and the browser's history bear nothing of a person, and nothing is asked for
unless somebody presses.
"""

from collections.abc import Iterable

from syncd.markup import Html, el, joined, web_address
from syncd.page_frame import WHO, Facts, form, story_link
from syncd.who import ABOUT_PEOPLE

TITLE = "Who this is"
FOOT = "Asked of its system just now, for you alone. syncd keeps nothing of it."


def asking(ends: Iterable[Facts | None], people: str | None, about: str = "") -> Html | None:
    """A button for each end that is about a person. ``people``: the form's token; None: nobody is shown."""
    known = [end for end in ends if end and end["kind"] in ABOUT_PEOPLE and not end["gone"]] if people else []
    return el("div", [_button(end, str(people), about) for end in known], class_="buttons") if known else None


def _button(end: Facts, people: str, about: str) -> Html:
    of = el("span", f" at {end['connection']}, {end['kind']} {end['id']}{about}", class_="unseen")
    pressed = el("button", f"Show who this is: {end['connection']}", of, class_="plain",
                 title="asks the system now; takes one call of its budget")  # fmt: skip
    return form(WHO, people, {name: end[name] for name in ("connection", "kind", "id")}, pressed)


def who_page(asked: Facts, told: Facts, people: str) -> Html:
    """``asked``: connection, kind, id. ``told``: of ``who.who``."""
    away = web_address(told["url"])
    link = el("a", f"open in {asked['connection']}", href=away, rel="noreferrer noopener external") if away else None
    rows = [("Name", told["name"]), ("E-mail", told["email"]), (f"Stage at {asked['connection']}", told["stage"])]
    person = {**asked, "kind": "candidate", "id": told["candidate"], "gone": False}
    is_told = told["name"] or told["email"] or asked["kind"] == "candidate" or not told["candidate"]
    return joined([
        el("h1", TITLE),
        el("div", _back(asked), el("dl", [_row(*row) for row in rows], class_="states"),
           el("p", link) if link else None, None if is_told else asking([person], people), class_="sheet who"),
    ])  # fmt: skip


def untold_page(asked: Facts, why: str) -> Html:
    """Why it cannot be shown."""
    return joined([el("h1", TITLE), el("div", el("p", why, role="alert"), _back(asked), class_="sheet who")])


def _back(asked: Facts) -> Html:
    name = f"{asked['connection']} {asked['kind']} {asked['id']}"
    return el("p", "Back to the story of ", story_link(asked["id"], name), class_="dim")


def _row(name: str, value: object) -> Html:
    return joined([el("dt", name), el("dd", "not told" if value is None else str(value))])
