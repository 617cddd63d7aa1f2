"""What a screening found out, in plain text for the people who decide. Pure.

All of it comes from elsewhere: control signs are taken out, and whoever shows it treats it as text. The marker is made
of what the screening is, not of when it was told, so that a store that was lost finds its remarks again.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

LONGEST = 4_000  # characters of one remark; a recruiter reads no more, and most systems take as many


def marker_of(system: str, screening: str, form: str) -> str:
    """The sign by which a remark is found again: of this screening, in this form."""
    digest = hashlib.blake2b(f"{system}/{screening}/{form}".encode(), digest_size=6).hexdigest()
    return f"[sync:{digest}]"


def sentence_of(
    system: str, values: Mapping[str, Any], url: str | None, made_at: float | None, marker: str
) -> dict[str, Any]:
    """A remark's title, text and score. ``values``: our words for a screening's fields; ``made_at`` epoch seconds."""
    told = values.get("score")
    score = told if isinstance(told, int | float) else None  # a text is no number to be graded
    title = f"Screening by {system.capitalize()}"
    if score is not None:
        title += f": {score:g} of 100"
    day = datetime.fromtimestamp(made_at, UTC).strftime("%Y-%m-%d") if made_at is not None else None
    lines = [f"{title} ({day})" if day else title]
    for label, key in (("", "verdict"), ("", "summary"), ("Strengths: ", "strengths"), ("Weaknesses: ", "weaknesses")):
        if values.get(key):
            lines.append(label + plain(str(values[key])))
    tail = [line for line in (url, marker) if line]
    room = LONGEST - sum(len(line) + 1 for line in tail)
    text = "\n".join(lines)
    text = text if len(text) <= room else text[: room - 1] + "…"
    return {"title": title, "text": "\n".join([text, *tail]), "score": score}


def plain(text: str) -> str:
    """Text as text: no control signs, no runs of white space but line ends."""
    lines = ("".join(sign for sign in line if sign.isprintable()).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


class _Text(HTMLParser):
    """Collects the text between tags; what ends a paragraph ends a line."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self._hidden += tag in _HIDDEN
        self.pieces.append("\n" if tag in _LINES else "")

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        self.pieces.append("\n" if tag in _LINES else "")

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.pieces.append("" if self._hidden else data)


_HIDDEN = frozenset({"script", "style", "template"})
_LINES = frozenset({"br", "p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "tr"})


def text_of(markup: str) -> str:
    """HTML as plain text; text without tags stays as it is."""
    reader = _Text()
    reader.feed(markup)
    reader.close()
    return plain("".join(reader.pieces))
