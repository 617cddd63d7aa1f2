"""What lies beside an application's fields: its file, what is remarked on it, what it asks for. Part of the seam.

A file is streamed from one system to the other when it is sent, and kept nowhere. A remark is plain text that somebody
reads; it ends with a marker by which it is found again, so that none is made twice.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from syncd.model import Record, Ref


@dataclass(frozen=True, slots=True)
class File:
    """A file of a person, read when it is sent.

    ``read`` opens the stream anew at each call. ``name`` ends with the type's extension. ``size`` in bytes; None: not
    known before it was read. ``link`` is an address at which whoever knows it may fetch the file; None: there is none.
    """

    name: str = field(repr=False)
    read: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    size: int | None = None
    link: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, name: str, content: bytes) -> "File":
        """A file whose bytes are at hand."""

        async def read() -> AsyncIterator[bytes]:
            yield content

        return cls(name, read, len(content))


@runtime_checkable
class HasFiles(Protocol):
    """A connector whose applications have a résumé; their field ``resume`` is told unlike once it was changed."""

    async def resume(self, ref: Ref) -> File | None:
        """The résumé of an application as it is now, with a fresh way to read it; None: there is none.

        What goes wrong while the stream is read is raised there: ``Unavailable`` or ``Gone``.
        """
        ...


@runtime_checkable
class Attaches(Protocol):
    """A connector that can put a résumé to an application; its facts (``attaches``) say how large it may be."""

    async def attach(self, record: Record, file: File, key: str) -> None:
        """Send an application's file with one request, given the application as just read.

        ``file.size`` is known, and ``file.name`` is unlike all others that were sent. A stream of another length than
        was said ends the request with ``Stale``.
        """
        ...

    async def has_attached(self, record: Record, name: str) -> bool:
        """Whether a file of this name arrived; False too where sending it again does no harm."""
        ...


class Form(StrEnum):
    """What a remark is in a system; each is one call."""

    COMMENT = "comment"
    RATING = "rating"
    NOTE = "note"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class Remark:
    """What a screening found out, for people. ``text`` is plain text and holds ``marker``; ``score`` is 0 to 100."""

    form: Form
    title: str = field(repr=False)
    text: str = field(repr=False)
    marker: str
    score: float | None = field(default=None, repr=False)


_MARKUP = str.maketrans(
    {"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"}
)


def without_markup(text: str) -> str:
    """A text that reads the same whether a system shows it as text or as HTML: there is no tag in it.

    Where no reference says which of the two a system does, escaping would show ``&lt;`` in the one case, and raw text
    would let others' HTML in in the other.
    """
    return text.translate(_MARKUP)


@runtime_checkable
class Remarks(Protocol):
    """A connector that takes remarks on an application; its facts (``remarks``) say in which forms."""

    async def remark(self, record: Record, remark: Remark) -> None:
        """Make one remark with one request, given the application as just read. Mails nobody."""
        ...

    async def has_remarked(self, record: Record, remark: Remark) -> bool:
        """Whether a remark of this form with this marker is there."""
        ...


@runtime_checkable
class Screens(Protocol):
    """A connector whose system screens a person by itself once it may: it phones her. Asked at most once, ever."""

    async def screen(self, record: Record) -> None:
        """Let an application, as just read, be screened, with one request."""
        ...

    async def may_screen(self, record: Record) -> bool:
        """Whether the system may act on an application, as just read, already."""
        ...


@runtime_checkable
class Schedules(Protocol):
    """A connector whose system makes appointments for a job by itself; a job that is closed makes none."""

    async def unschedule(self, record: Record) -> None:
        """Switch a job's scheduling off with one request; repeating it does no harm."""
        ...

    async def is_scheduling(self, record: Record) -> bool:
        """Whether scheduling is on for a job."""
        ...


@runtime_checkable
class Witnesses(Protocol):
    """A connector whose system tells who made a move: that tells a human's from ours."""

    async def moved_by_us(self, ref: Ref) -> bool | None:
        """Whether the last move of an application was made in our name; None: it does not tell."""
        ...
