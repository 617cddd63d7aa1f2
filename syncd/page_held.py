"""What waits for a person, with the reason and a button for each answer that ``syncd resolve`` would take."""

from collections.abc import Iterator, Mapping, Sequence

from syncd.markup import Html, Part, el, joined
from syncd.page_frame import ASK, HELD, RESOLVE, Facts, ends, form, live, several, since, state
from syncd.page_who import asking
from syncd.sentences import DROP, LINK, NEW, RETRY, TAKE_LEFT, TAKE_RIGHT, spelled

MOST_SHOWN = 100
_MEANT: Mapping[str, str] = {
    TAKE_LEFT: "that end's value goes to the other",
    TAKE_RIGHT: "that end's value goes to the other",
    RETRY: "try the write, or look at the record, again",
    DROP: "leave it as it is",
    NEW: "it is none of those that look like it",
    LINK: "they are the same thing",
}


def held_page(
    holds: Sequence[Facts], counts: Sequence[Facts], now: float, token: str | None, people: str | None = None
) -> Html:
    """All that is held, oldest first, under how much there is of what. Without a token there are no buttons.

    ``people``: the forms' token for whoever may see who a record is about.
    """
    shown = [hold_of(hold, now, token, {"back": HELD}, people) for hold in holds]
    total = sum(row["number"] for row in counts)
    heading = el("h1", f"{several(total, 'record')} wait{'s' if total == 1 else ''} for you" if total else "Held")
    return joined([
        el("div", heading, _reasons(counts), id="held-counts", data_live=True),
        live("held", "Oldest first" if holds else "Nothing waits for a person", shown),
        el("p", f"The {len(holds)} oldest are shown; `syncd held --all` shows them all.", class_="dim")
        if total > len(holds)
        else None,
    ])  # fmt: skip


def _reasons(counts: Sequence[Facts]) -> Html:
    numbers: dict[str, int] = {}
    for row in counts:
        numbers[row["reason"]] = numbers.get(row["reason"], 0) + row["number"]
    most = sorted(numbers.items(), key=lambda each: (-each[1], each[0]))
    return el("ul", [el("li", f"{count:,} {spelled(reason)}", class_="tag") for reason, count in most], class_="tags")


def listed(holds: Sequence[Facts], now: float, token: str | None, *, back: str, id_: str = "") -> Part:
    """Holds one below the other; ``back`` and ``id_`` name the page that an answer leads back to."""
    return [hold_of(hold, now, token, {"back": back, **({"id": id_} if id_ else {})}) for hold in holds]


def hold_of(hold: Facts, now: float, token: str | None, back: Mapping[str, str], people: str | None = None) -> Html:
    """One hold: what it is about, why, both ends, and what may be answered."""
    number = str(hold["id"])
    article = "an" if hold["kind"][0] in "aeiou" else "a"
    what = f"{spelled(hold['field'])} of {article} {hold['kind']}" if hold["field"] else hold["kind"]
    about = el("h3", what.capitalize(), id=f"hold-{number}")
    tags = [state(ASK, spelled(hold["reason"])), el("span", f"number {number}", class_="tag")]
    tags += [el("span", f"pair {hold['pair']}", class_="tag")] if hold["pair"] else []
    tags += [el("span", since(hold["since"], now), class_="dim small")]
    buttons = el("div", [*_buttons(hold, token, back)], class_="buttons") if token else None
    return el(
        "article",
        el("div", about, el("div", tags, class_="tags"), class_="head"),
        el("p", hold["sentence"], class_="why"),
        ends(hold),
        buttons,
        asking((hold["left"], hold["right"]), people, f", number {number}"),
        el("p", "or in a shell: ", el("code", hold["next"]), class_="dim small"),
        class_="hold",
        aria_labelledby=f"hold-{number}",
    )


def _buttons(hold: Facts, token: str, back: Mapping[str, str]) -> Iterator[Html]:
    for answer in hold["answers"]:
        if answer != LINK:
            yield _button(hold, token, back, answer, _named(hold, answer))
            continue
        for other in hold["choices"]:
            yield _button(hold, token, {**back, "other": other}, LINK, f"Same as {other}")
        yield _link_by_hand(hold, token, back)


def _named(hold: Facts, answer: str) -> str:
    side = answer.removeprefix("take ")
    where = f": {hold[side]['connection']}" if side != answer and hold[side] is not None else ""
    return {NEW: "It is a new one"}.get(answer, answer.capitalize()) + where


def _button(hold: Facts, token: str, more: Mapping[str, str], answer: str, name: str) -> Html:
    key = f"{answer} {more.get('other', '')}".strip().replace(" ", "-")
    described = el("span", f" for number {hold['id']}: {_MEANT[answer]}", class_="unseen")
    kind = "plain" if answer in {DROP, RETRY, NEW} else None
    pressed = el("button", name, described, id=f"hold-{hold['id']}-{key}", class_=kind, title=_MEANT[answer])
    return form(RESOLVE, token, {"hold": str(hold["id"]), "choice": answer, **more}, pressed)


def _link_by_hand(hold: Facts, token: str, back: Mapping[str, str]) -> Html:
    field = f"hold-{hold['id']}-other"
    return form(
        RESOLVE, token, {"hold": str(hold["id"]), "choice": LINK, **back},
        el("label", f"The other id that number {hold['id']} is the same as", for_=field, class_="unseen"),
        el("input", type="text", name="other", id=field, placeholder="the other's id", required=True,
           autocomplete="off"),
        el("button", "Link", class_="plain", id=f"{field}-link", title=_MEANT[LINK]),
        class_="other",
    )  # fmt: skip
