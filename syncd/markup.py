"""HTML from Python: elements are functions' values, and every text is escaped unless it was made here. Pure.

No attribute takes a style or a script: the content security policy would refuse both.
"""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


Part = str | Iterable["Part"] | None  # text, elements, or several of them; None is nothing
VOID = frozenset({"img", "input", "link", "meta"})


def el(name: str, /, *inside: Part, **attributes: str | bool | None) -> Html:
    """An element. ``class_`` and ``for_`` lose their underscore, inner underscores are hyphens; None leaves one out."""
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{told}>" if name in VOID else f"<{name}{told}>{joined(inside)}</{name}>")


def joined(parts: Iterable[Part]) -> Html:
    """Several parts, one behind the other."""
    return Html("".join(_text(part) for part in parts))


def _text(part: Part) -> str:
    if part is None:
        return ""
    if isinstance(part, str):
        return part if isinstance(part, Html) else escape(part)
    return joined(part)


def _attribute(key: str, value: str | bool | None) -> str:  # noqa: FBT001  # a bare attribute is there or is not
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'


def web_address(text: str | None) -> str | None:
    """An address that a link may lead to: a system told it, so it is no script's and no file's."""
    return text if text is not None and text.startswith(("https://", "http://")) else None
