"""The log: a sentence a line, with ``action=`` and facts behind it; never a secret, a mail address or a phone number.

For people on a terminal, JSON elsewhere. Libraries that log through Python's ``logging`` go the same way. The last
step before a line is written strikes out what nobody may read: the config's secrets in each form in which they may
turn up, what looks like a token, a mail address or a phone number. An exception is told by its type and where it rose,
without source, locals and, unless it is ours, without its message, which may quote a person's data.
"""

import base64
import contextlib
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote

import orjson
import structlog

from syncd.clock import Clock
from syncd.errors import SyncdError

Strike = Callable[[str], str]
Facts = MutableMapping[str, Any]

SECRET, PERSON = "[secret]", "[person]"
SHORTEST_SECRET = 4  # characters; to strike out shorter ones would tear words apart
LONGEST_TEXT = 2000  # characters of one value
DEEPEST = 5  # levels of a value's lists and tables
QUIET = ("alembic", "apscheduler", "asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn", "uvicorn.access")

# The syncd library says nothing until somebody configures a log, as the standard library asks of libraries.
logging.getLogger("syncd").addHandler(logging.NullHandler())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A module's logger: ``log.info("Walked the jobs.", action="pull.walk", connection=name, rows=12)``."""
    made: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=_OURS, wrapper_class=structlog.stdlib.BoundLogger, context_class=dict
    )
    return made


_OURS: Sequence[Any] = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
)


def configure(
    stream: TextIO, clock: Clock, *, secrets: Iterable[str] = (), level: str = "info", form: str = "auto"
) -> None:
    """Write the log of this process to ``stream``, in place of what wrote it before.

    ``form``: human, json, or auto, which asks whether the stream is a terminal. Servers that bring a log
    configuration of their own (uvicorn's ``log_config``) must be told to leave it.
    """
    is_human = form == "human" or (form == "auto" and stream.isatty())
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_arranging(clock), _striking(striker(secrets)), _human if is_human else _json]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=list(_OURS),
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class _Handler(logging.StreamHandler[TextIO]):
    """Writes what the stream can show; a line that cannot be written is told without its content."""

    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        # The standard one prints the record's arguments as they are. Where nobody can read any more (a closed pipe, a
        # full disk), there is nothing left to tell, and no work may die of it.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"A line of {record.name} at {record.module}:{record.lineno} could not be written.\n")


# --- from an event to a line ----------------------------------------------------------------------------------------


def _arranging(clock: Clock) -> Callable[[Any, str, Facts], Facts]:
    def arrange(_: Any, __: str, facts: Facts) -> Facts:
        record, is_ours = facts.pop("_record"), facts.pop("_from_structlog")
        sentence = str(facts.pop("event", ""))
        facts.pop("stack_info", None)
        exception = _exception_of(facts.pop("exc_info", None))
        head = {
            "at": datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "action": facts.pop("action", record.name.partition(".")[0]),
            # Behind the first line, libraries (asyncio above all) quote values.
            "event": sentence if is_ours else sentence.partition("\n")[0],
        }
        tail = {} if exception is None else {"exception": trace_of(exception)}
        return {**head, **{key: value for key, value in facts.items() if key not in head}, **tail}

    return arrange


def _exception_of(found: Any) -> BaseException | None:
    if isinstance(found, BaseException):
        return found
    if found is True:
        return sys.exception()
    return found[1] if found else None


def trace_of(error: BaseException, depth: int = 0) -> list[str]:
    """An exception and what led to it, a line each: types, modules, lines and functions, but no values."""
    frames = [
        f"  {frame.f_globals.get('__name__', '?')}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    lines = [*frames, _summary(error)]
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if depth < DEEPEST:
        lines += [f"  | {line}" for each in inner for line in trace_of(each, depth + 1)]
        lines = [*trace_of(before, depth + 1), "led to", *lines] if before is not None else lines
    return lines


def _summary(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, SyncdError):
        return f"{name}: {error}"
    return f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else name


def _json(_: Any, __: str, facts: Facts) -> str:
    return orjson.dumps(facts).decode()


def _human(_: Any, __: str, facts: Facts) -> str:
    at, level, event = facts.pop("at"), facts.pop("level"), facts.pop("event")
    trace = facts.pop("exception", ())
    told = " ".join(f"{key}={_quoted(value)}" for key, value in facts.items())
    line = f"{at[11:19]} {level:<8} {event}  {told}"
    return "\n".join([_visible(line), *(f"    {_visible(each)}" for each in trace)])


def _quoted(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^\s=\"]+", value):
        return value
    return orjson.dumps(value).decode()


def _visible(text: str) -> str:
    """Text without anything that would move a terminal's cursor or begin another line."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


# --- striking out ---------------------------------------------------------------------------------------------------

_SECRET_KEY = re.compile(r"authori[sz]ation|cookie|password|secret|signature|token|api_?key", re.IGNORECASE)
_PERSON_KEY = re.compile(r"(?:e?mail|phone|(?:first|last|full)_?name|address|headline|cover_?letter)s?", re.IGNORECASE)

_TOKENS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b(bearer)(\s+|%20)[^\s\"',;]{6,}", re.IGNORECASE), rf"\1\2{SECRET}"),
    (re.compile(r"\b(Basic)(\s+|%20)[\w+/=-]{6,}"), rf"\1\2{SECRET}"),
    (re.compile(r"\b(?:ws|sk|pk|hs|whsec)_[\w-]{6,}", re.IGNORECASE), SECRET),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), SECRET),  # a JSON web token
    (re.compile(r"://[^/\s@]++@"), f"://{SECRET}@"),
    (re.compile(r"(?<=[\w/])\?[\w.%\[\]-]++=[^\s\"'<>]*+"), "?…"),  # the query of a URL
)

# Possessive, or bounded on the left, so that no text takes more than linear time.
_LOCAL = r"[^\s@<>()\[\],;:\"\\]"
_HOST = r"[\w-]+(?:\.[\w-]+)++"
_MAIL = re.compile(rf"(?:\"[^\"\n@]*+\"|(?<!{_LOCAL}){_LOCAL}++)@{_HOST}")
_QUOTED_MAIL = re.compile(rf"[^\s@/?&=\"'<>]{{1,200}}%40{_HOST}")
_PHONE = re.compile(
    r"""
      (?:\+|%2B|(?<!\d:)\b00)[\s(.\-]*\d(?:[\s().\-/]*\d){6,}     # +1 (202) 555-0123, but not 12:00:00 127.0.0.1
    | (?<![\w.\-/])\(?\d{3}\)?[\s.\-]?\d{3}[.\-]\d{4}(?!\w)        # (202) 555.0123
    | (?<![\w.\-:/+])0\d(?:[\s().\-/]?\d){7,13}(?!\w)              # 0151 23456789
    | (?<![\w.\-:/+])(?!(?:19|20)\d\d-\d\d-\d\d)(?=\(?\d(?:[ ()\-]{0,2}\d){8})
      \(?\d{2,4}\)?(?:[ \-]\(?\d{2,4}\)?){2,5}(?![\w:])            # 69 7123 4567, but not 2026-01-10 09:00
    | (?<![\w.\-])\d{10,15}(?![\w\-]|\.\d)                         # 2025550123
    """,
    re.VERBOSE | re.IGNORECASE,
)


_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HOST_BEFORE_PORT = re.compile(rf"(?:.*[\s(])?(?:{_OCTET}\.){{3}}{_OCTET}", re.DOTALL)
_PORT = re.compile(r":[1-9]\d{0,4}(?!\w)")


def _person_in(match: re.Match[str]) -> str:
    """What stands in a phone number's place; digits that end as 127.0.0.1:8080 does are the server's."""
    is_network = _PORT.match(match.string, match.end()) and _HOST_BEFORE_PORT.fullmatch(match[0])
    return match[0] if is_network and not match[0].startswith(("+", "%")) else PERSON


def striker(secrets: Iterable[str]) -> Strike:
    """What strikes secrets out of a text, and all that looks like a token, a mail address or a phone number."""
    forms = sorted({form for secret in secrets for form in forms_of(secret)}, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, forms)) or r"(?!)", re.IGNORECASE)

    def strike(text: str) -> str:
        text = known.sub(SECRET, text)
        for pattern, instead in _TOKENS:
            text = pattern.sub(instead, text)
        if "@" in text:
            text = _MAIL.sub(PERSON, text)
        if "%40" in text:
            text = _QUOTED_MAIL.sub(PERSON, text)
        return _PHONE.sub(_person_in, text)

    return strike


def forms_of(secret: str) -> frozenset[str]:
    """The forms in which a secret may turn up: plain, quoted for a URL, escaped, hexadecimal, inside any base64."""
    if len(secret) < SHORTEST_SECRET:
        return frozenset()
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = (repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    quoted = (quote(raw, safe=""), quote(raw, safe="/"), quote(raw, safe="").replace("%20", "+"))
    inside = [code for offset in range(3) for code in _base64_inside(raw, offset) if len(code) >= SHORTEST_SECRET + 1]
    return frozenset({secret, *escaped, *quoted, raw.hex(), *inside})


def _base64_inside(raw: bytes, offset: int) -> tuple[str, str]:
    """The part of any base64 that stands for these bytes alone, when so many (modulo 3) stand before them."""
    whole = base64.b64encode(bytes(offset) + raw).decode().rstrip("=")
    first = (0, 2, 3)[offset]
    alone = whole[first : len(whole) - ((offset + len(raw)) % 3 > 0)]
    return alone, alone.replace("+", "-").replace("/", "_")


def _striking(strike: Strike) -> Callable[[Any, str, Facts], Facts]:
    def struck(_: Any, __: str, facts: Facts) -> Facts:
        at = facts.pop("at")  # ours, and no phone number whatever its digits
        return {"at": at, **_clean_table(facts, strike, 0)}

    return struck


def _clean_table(table: Mapping[Any, Any], strike: Strike, depth: int) -> dict[str, Any]:
    return {_text(str(key), strike): _clean_under(str(key), value, strike, depth) for key, value in table.items()}


def _clean_under(key: str, value: Any, strike: Strike, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return _clean(value, strike, depth)
    if _SECRET_KEY.search(key):
        return SECRET
    return PERSON if _PERSON_KEY.fullmatch(key) else _clean(value, strike, depth)


def _clean(value: Any, strike: Strike, depth: int) -> Any:
    """A value as JSON can bear it, with nothing in it that nobody may read."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else _text(str(value), strike)
    if isinstance(value, bytes):
        return _text(value.decode("utf-8", "backslashreplace"), strike)
    if isinstance(value, Mapping) and depth < DEEPEST:
        return _clean_table(value, strike, depth + 1)
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [_clean(each, strike, depth + 1) for each in value]
    return _text(_summary(value) if isinstance(value, BaseException) else str(value), strike)


def _text(text: str, strike: Strike) -> str:
    struck = strike(text).encode("utf-8", "backslashreplace").decode()
    return struck if len(struck) <= LONGEST_TEXT else struck[:LONGEST_TEXT] + "…"
