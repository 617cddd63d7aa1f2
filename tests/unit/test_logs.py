import asyncio
import base64
import io
import json
import logging
import time
import warnings
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
import structlog
from hypothesis import assume, example, given
from hypothesis import strategies as st

from syncd import logs
from syncd.clock import SteppedClock
from syncd.errors import Rejected
from syncd.logs import PERSON, SECRET

pytestmark = pytest.mark.shows_values("what is planted here is what the log is to strike out")
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z
TOKEN = "0dd/T0ken+for=Acme"


def configured(form="json", *, level="info", secrets=(TOKEN,), stream=None):
    stream = stream or io.StringIO()
    logs.configure(stream, SteppedClock(START, frozen=True), secrets=secrets, level=level, form=form)
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- the form of a line


def test_a_line_is_a_sentence_with_its_action_and_facts():
    stream = configured()
    logs.logger("syncd.pull").info("Walked the jobs.", action="pull.walk", connection="acme", rows=12)
    assert lines(stream) == [
        {
            "at": "2026-01-01T00:00:00.000Z",
            "level": "info",
            "action": "pull.walk",
            "event": "Walked the jobs.",
            "connection": "acme",
            "rows": 12,
        }
    ]


def test_people_read_one_line():
    stream = configured("human")
    logs.logger("syncd.pull").warning("The lane is closed.", action="lane.closed", until="12:00", why="day quota")
    assert stream.getvalue() == (
        '00:00:00 warning  The lane is closed.  action=lane.closed until=12:00 why="day quota"\n'
    )


@pytest.mark.parametrize(("is_terminal", "begins"), [(True, "00:00:00 "), (False, "{")])
def test_a_terminal_gets_lines_for_people_and_all_else_gets_json(is_terminal, begins):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    stream = configured("auto", stream=Stream())
    logs.logger("syncd").info("Started.", action="start")
    assert stream.getvalue().startswith(begins)


def test_each_line_has_an_action_even_a_librarys():
    stream = configured()
    logs.logger("syncd.push").info("Something.")
    logging.getLogger("some.library").error("It failed: %s", "why")
    assert [line["action"] for line in lines(stream)] == ["syncd", "some"]
    assert lines(stream)[1]["event"] == "It failed: why"


def test_a_facts_name_does_not_hide_what_each_line_has():
    stream = configured()
    logs.logger("syncd").info("Something.", action="a", at="never", level="none")
    assert lines(stream)[0]["at"] == "2026-01-01T00:00:00.000Z"
    assert lines(stream)[0]["level"] == "info"


def test_what_is_bound_to_the_task_is_on_its_lines():
    stream = configured()
    with structlog.contextvars.bound_contextvars(connection="acme"):
        logs.logger("syncd").info("Something.", action="a")
    logs.logger("syncd").bind(pair="screening").info("Something.", action="a")
    assert [(line.get("connection"), line.get("pair")) for line in lines(stream)] == [
        ("acme", None),
        (None, "screening"),
    ]


def test_structlogs_own_loggers_go_the_same_way():
    stream = configured()
    structlog.get_logger("other").info("Hello.", action="a")
    assert lines(stream)[0]["event"] == "Hello."


def test_the_level_holds():
    stream = configured(level="warning")
    log = logs.logger("syncd")
    log.info("Not told.", action="a")
    log.warning("Told.", action="a")
    assert [line["event"] for line in lines(stream)] == ["Told."]


def test_nothing_is_written_before_a_log_is_configured(capfd):
    logging.getLogger().handlers[:] = []
    logs.logger("syncd.pull").error("Nobody listens.", action="a", mail="ana@example.com")
    assert capfd.readouterr() == ("", "")


def test_a_value_cannot_begin_a_line_or_move_the_cursor():
    stream = configured("human")
    logs.logger("syncd").info("One\nTwo \x1b[2J", action="a", title="x\r\n00:00:00 error")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_a_stream_that_knows_few_letters_gets_escapes():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    configured("human", stream=stream)
    logs.logger("syncd").info("Größe — ok", action="a")
    stream.flush()
    assert rb"Gr\xf6\xdfe \u2014 ok" in raw.getvalue()


# --- libraries


def test_httpx_tells_no_requests():
    stream = configured(level="debug")
    transport = httpx.MockTransport(lambda request: httpx.Response(200))

    async def call():
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://acme.example.com/candidates?email=ana@example.com")

    asyncio.run(call())
    assert stream.getvalue() == ""


def test_a_librarys_debug_lines_stay_out_and_its_warnings_come():
    stream = configured(level="debug")
    for name in ("sqlalchemy.engine.Engine", "apscheduler.scheduler", "uvicorn.access", "httpcore.http11"):
        logging.getLogger(name).info("parameters: ('Ana Ruiz',)")
        logging.getLogger(name).warning("look here")
    assert {line["event"] for line in lines(stream)} == {"look here"}
    assert len(lines(stream)) == 4


def test_asyncios_report_of_a_lost_task_quotes_no_value():
    stream = configured()

    async def lose():
        async def fail():
            raise ValueError("Ana Ruiz")

        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(lose())
    assert "never retrieved" in stream.getvalue()
    assert "Ana" not in stream.getvalue()


def test_warnings_go_to_the_log():
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("ana@example.com is deprecated", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert lines(stream)[0]["action"] == "py"
    assert "ana" not in stream.getvalue()


def test_a_line_that_cannot_be_made_is_told_without_its_content():
    class Hostile:
        def __str__(self):
            raise ValueError("ana@example.com")

    stream = configured()
    logging.getLogger("library").error("ana@example.com %d", "Ana Ruiz")
    logs.logger("syncd").error("Something.", action="a", value=Hostile())
    assert stream.getvalue().count("could not be written") == 2
    assert "ana" not in stream.getvalue().lower()


# --- exceptions


def _fail(person):
    secret = TOKEN
    raise ValueError(f"{person} {secret}")


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_traceback_tells_where_but_no_values(form):
    stream = configured(form)
    try:
        _fail("Ana Ruiz")
    except ValueError:
        logs.logger("syncd").exception("It broke.", action="a")
        logging.getLogger("library").exception("It broke.")
    told = stream.getvalue()
    assert told.count("in _fail") == 2
    assert told.count("ValueError") == 2
    for hidden in ("Ana", TOKEN, "person", "raise", ".py"):
        assert hidden not in told


def test_our_errors_and_the_systems_reasons_are_told_with_what_led_to_them():
    stream = configured()

    def fail():
        try:
            Path("/nowhere/Ana Ruiz.pdf").read_bytes()
        except OSError as error:
            raise Rejected("phone is missing") from error

    try:
        fail()
    except Rejected as error:
        logs.logger("syncd").error("It broke.", action="a", exc_info=error)
    told = lines(stream)[0]["exception"]
    assert told[-1] == "Rejected: phone is missing"
    assert "FileNotFoundError: No such file or directory" in told
    assert "Ana" not in stream.getvalue()


def test_a_group_of_exceptions_tells_each():
    stream = configured("human")
    group = ExceptionGroup("Ana Ruiz", [ValueError("Ana"), Rejected("stage is unknown")])
    logs.logger("syncd").error("It broke.", action="a", exc_info=group)
    assert "| ValueError" in stream.getvalue()
    assert "| Rejected: stage is unknown" in stream.getvalue()
    assert "Ana" not in stream.getvalue()


def test_an_exception_as_a_fact_is_told_by_its_type():
    stream = configured()
    logs.logger("syncd").error("It broke.", action="a", error=ValueError("Ana Ruiz"))
    assert lines(stream)[0]["error"] == "ValueError"


# --- what nobody may read: planted at every place and in every form

WORDS = st.text("abcdefghijklmnop0123456789-_./+=!$%&*~^:|é\"'\\<>", min_size=8, max_size=40)
FORMS = {
    "plain": lambda secret: secret,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "basic": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "urlsafe": lambda secret: base64.urlsafe_b64encode(f"ab{secret}cd".encode()).decode(),
    "hex": lambda secret: secret.encode().hex(),
    "upper hex": lambda secret: secret.encode().hex().upper(),
    "quoted": lambda secret: quote(secret, safe=""),
    "quoted plus": quote_plus,
    "quoted small": lambda secret: quote(secret, safe="").lower(),
    "json": json.dumps,
    "json twice": lambda secret: json.dumps({"a": secret}),
    "repr": repr,
}
PLACES = {
    "sentence": lambda log, text: log.info(f"It is {text} here.", action="a"),  # noqa: G004  # a sentence that was made elsewhere
    "value": lambda log, text: log.info("It.", action="a", value=text),
    "inside": lambda log, text: log.info("It.", action="a", value=[{"deep": ({text: text},)}]),
    "bytes": lambda log, text: log.info("It.", action="a", value=text.encode()),
    "far inside": lambda log, text: log.info("It.", action="a", value=[[[[[[[[text]]]]]]]]),
    "header": lambda log, text: log.info("It.", action="a", value={"Authorization": f"Bearer {text}"}),
    "our error": lambda log, text: log.error("It.", action="a", exc_info=Rejected(text)),
    "error": lambda log, text: log.error("It.", action="a", error=Rejected(text)),
    "library": lambda log, text: logging.getLogger("library").error("It is %s.", text),
    "librarys dict": lambda log, text: logging.getLogger("library").error({"it": text}),
    "action": lambda log, text: log.info("It.", action=text),
}


def planted(place, text, form, secrets=()):
    stream = configured(form, secrets=secrets)
    PLACES[place](logs.logger("syncd.plant"), text)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("place", PLACES)
@given(secret=WORDS, shape=st.sampled_from(sorted(FORMS)))
@example(secret=TOKEN, shape="basic")
def test_a_secret_never_comes_out(place, form, secret, shape):
    assume(secret not in planted(place, "", form))  # what every line bears is no secret
    told = planted(place, FORMS[shape](secret), form, (secret,))
    assert told.count("\n") >= 1
    assert secret not in told
    assert FORMS[shape](secret) not in told
    assert json.dumps(secret)[1:-1] not in told


@given(mail=st.emails(), place=st.sampled_from(sorted(PLACES)), form=st.sampled_from(["json", "human"]))
@example(mail="ana.ruiz+job@mail.example.com", place="value", form="human")
def test_a_mail_address_never_comes_out(mail, place, form):
    local = mail.rpartition("@")[0]
    told = planted(place, mail, form)
    assert mail not in told
    assert len(local) < 12 or local not in told  # a short one may be a part of any word


@pytest.mark.parametrize(
    "text",
    [
        "ana.ruiz@example.com",
        "<ana.ruiz@example.com>",
        "mailto:ana.ruiz@example.com",
        "email=ana.ruiz@example.com&page=2",
        '"ana.ruiz"@example.com',
        "ana.ruiz%40example.com",
        "https://acme.example.com/candidates?email=ana.ruiz@example.com",
        "https://acme.example.com/candidates?email=ana.ruiz%40example.com&page=2",
        "UniqueViolation: Key (email)=(ana.ruiz@example.com) already exists.",
        "{'email': 'ana.ruiz@example.com'}",
        "ana.ruiz@bücher.example",
        "ana.ruiz@xn--bcher-kva.example.com.",
    ],
)
def test_a_mail_address_is_known_in_any_company(text):
    assert "ruiz" not in logs.striker([])(text)


DIGITS = st.text("0123456789", min_size=7, max_size=12)


@given(
    code=st.integers(1, 999),
    digits=DIGITS,
    gap=st.sampled_from(["", " ", "-", ".", "/", ") "]),
    before=st.sampled_from(["", "phone=", "call ", "tel:", '"', "("]),
    plus=st.sampled_from(["+", "%2B", "00"]),
)
def test_an_international_phone_number_never_comes_out(code, digits, gap, before, plus):
    text = f"{before}{plus}{code}{gap}{digits[:3]}{gap}{digits[3:]}"
    told = logs.striker([])(text)
    assert PERSON in told
    assert digits[3:] not in told


@pytest.mark.parametrize(
    "text",
    [
        "+12025550123",
        "+1 (202) 555-0123",
        "+44 20 7946 0958",
        "(202) 555-0123",
        "202-555-0123",
        "202.555.0123",
        "2025550123",
        "020 7946 0958",
        "0151 23456789",
        "69 7123 4567",
        "phone: 202 555 0123.",
        "tel:+1-202-555-0123;ext=9",
    ],
)
def test_a_phone_number_is_known_in_its_usual_forms(text):
    told = logs.striker([])(text)
    assert PERSON in told
    assert not set("567") & set(told)


HOSTS = ["127.0.0.1", "0.0.0.0", "10.20.30.40", "192.168.100.200", "172.31.255.254", "8.8.8.8", "[::1]", "localhost"]


@pytest.mark.parametrize("host", [*HOSTS, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]", "ip-10-20-30-40.example.com"])
@pytest.mark.parametrize("port", [1, 80, 8080, 54321, 65535])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "listening on {}",
        "http://{}/healthz",
        "('{}')",
        "2026-01-10 12:00:00 {} answered 200",
        "12:00:00 {}",
        "at 10:00 {}",
        "00 {} came",
        "09 {} came",
        "try 05 ({})",
        "from {0} to {0}",
        "{} - 12 in 34 s",
        "peer={} status=404 12 b",
    ],
)
def test_a_host_and_its_port_are_nobodys_phone_number(text, host, port):
    line = text.format(f"{host}:{port}")
    assert logs.striker([])(line) == line


@pytest.mark.parametrize(
    "text",
    [
        "+49 30.12.34.56:8080",
        "tel:0049 30 12 34 56",
        "12:00:00 +1 202 555 0123",
        "12:00:00 202-555-0123",
        "12:00:00 0012025550123",
        "127.0.0.1:8080 called +12025550123",
        "127.0.0.1:8080 called 202-555-0123",
        "127.0.0.1:8080 0151 23456789",
        "+1.202.55.123:80",
        "2025550123:8080",
        "202.555.0123:80",
        "01.23.45.67.89:8080",
        "030 12.34.56.78",
    ],
)
def test_a_phone_number_beside_or_like_an_address_is_still_struck_out(text):
    told = logs.striker([])(text)
    assert PERSON in told
    assert not set("567") & set(told.removeprefix("127.0.0.1:8080"))
    assert told.startswith("127.0.0.1:8080 ") == text.startswith("127.0.0.1:8080 ")


@pytest.mark.parametrize(
    "text",
    [
        "Walked 12 pages of jobs, 1200 rows, in 3.25 s.",
        "due 2026-01-10T09:00:00Z, last 2026-01-10 09:00:00.123",
        "2026-01-10T09:00:00+02:00",
        "candidate/5b5d33 and job/3e0c5f0e-8a55-4a58-9a39-7c7f1d1f9a10 and 12345678-1234-1234-1234-123456789012",
        "100/day@UTC is spent; 10/10s is not",
        "127.0.0.1:8080 answered 200",
        "digest 3b5d5c3712955042212316173ccf37be",
        "version 3.13.0.1, 42 of 128, 99.5 %",
        "syncd.pull:120 in walk_pages",
        "the basic check of ws_x passed",
        "https://acme.workable.com/spi/v3/jobs",
    ],
)
def test_what_is_no_secret_stays_readable(text):
    assert logs.striker([TOKEN])(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {SECRET}"),
        ("Basic dXNlcjpwYXNzd29yZA==", f"Basic {SECRET}"),
        ("key ws_live_0a1b2c3d", f"key {SECRET}"),
        ("key sk_0a1b2c3d4e", f"key {SECRET}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", SECRET),
        ("postgresql://syncd:pass@db/syncd", f"postgresql://{SECRET}@db/syncd"),
        ("https://acme.example.com/jobs?limit=100&since_id=1 gone", "https://acme.example.com/jobs?… gone"),
    ],
)
def test_what_looks_like_a_token_is_struck_out(text, told):
    assert logs.striker([])(text) == told


@pytest.mark.parametrize("key", ["token", "page_token", "Authorization", "webhook_secret", "api_key", "Set-Cookie"])
def test_what_is_named_a_secret_is_never_told(key):
    stream = configured(secrets=())
    logs.logger("syncd").info("It.", action="a", **{key: "opensesame"}, headers={key: ["opensesame"]})
    assert "opensesame" not in stream.getvalue()


@pytest.mark.parametrize("key", ["email", "phone", "first_name", "last_name", "address", "headline"])
def test_what_is_named_a_persons_is_never_told(key):
    stream = configured(secrets=())
    logs.logger("syncd").info("It.", action="a", **{key: "Ana"}, record={key: "Ana"})
    assert "Ana" not in stream.getvalue()


def test_a_secret_too_short_to_be_one_does_not_tear_words_apart():
    assert logs.striker(["", "ab"])("about tables") == "about tables"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=ANYTHING, event=st.text(st.characters()), form=st.sampled_from(["json", "human"]))
def test_any_value_makes_exactly_one_line(value, event, form):
    stream = configured(form, secrets=())
    logs.logger("syncd").info(event, action="a", value=value)
    assert stream.getvalue().count("\n") == 1
    assert "could not be written" not in stream.getvalue()
    if form == "json":
        json.loads(stream.getvalue())


PIECES = [
    "a",
    "1",
    "1 ",
    "+",
    "+ ",
    "0 ",
    "(",
    "a.",
    "%40",
    "@",
    '"',
    "https://",
    "://",
    "eyJ",
    "eyJaaaaa.",
    "sk_",
    "?a=",
    "-",
]


@pytest.mark.parametrize("end", ["", "@", "%40", "!"])
@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long_to_strike(piece, end):
    strike = logs.striker([TOKEN])
    text = piece * (50_000 // len(piece)) + end
    begun = time.monotonic()
    strike(text)
    assert time.monotonic() - begun < 2.0  # linear takes some 20 ms, quadratic minutes


def test_a_long_value_is_cut_after_its_secrets_are_struck_out():
    stream = configured()
    logs.logger("syncd").info("It.", action="a", value="x" * (logs.LONGEST_TEXT - 5) + TOKEN + "y" * 5000)
    assert TOKEN[:5] not in stream.getvalue()
    assert len(stream.getvalue()) < logs.LONGEST_TEXT + 500
