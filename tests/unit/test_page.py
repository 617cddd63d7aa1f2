"""The pages: what they say, that all from the store is text to them, and that their buttons do what the commands do."""

import asyncio
import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from starlette.responses import PlainTextResponse

from syncd import look, page, schema, server
from syncd.commands import run_command
from syncd.markup import el, web_address
from syncd.model import Kind
from syncd.settings import Server
from syncd.site import Source
from syncd.store import Tx
from syncd.switches import stop
from tests.unit.small_app import START, app_of


@pytest.fixture
def made():
    return app_of()


def change(made, *statements):
    with made.store.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def facts_of(made):
    return made.store.run_now(page.facts_of, made.world, START)


def site_of(made, *, acts=True, troubles=()):
    async def facts():
        return facts_of(made)

    async def ask(question, *arguments):
        return await made.store.run(question, made.world, *arguments)

    async def act(command, arguments):
        return await run_command(made, command, arguments, lambda told: None)

    async def measured():
        return b""

    async def receive(request):
        return PlainTextResponse("kept\n")

    pages = Source(facts, ask, lambda: troubles, act if acts else None)
    return server.build_app(Server(), pages=pages, measured=measured, troubles=lambda: (), receive=receive)


def talk(asgi, *asked, host="127.0.0.1:8080"):
    """Several requests, each (method, path, keywords); the last answer."""

    async def main():
        transport = httpx.ASGITransport(app=asgi)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            for method, path, kwargs in asked:
                answer = await client.request(method, path, **kwargs)
            return answer

    return asyncio.run(main())


def see(asgi, path="/"):
    return talk(asgi, ("GET", path, {}))


def shown(made, path="/", **options):
    return see(site_of(made, **options), path).text


def swept(connection, walk):
    row = {"connection": connection, "walk": walk, "swept_at": START - 60, "polled_at": START - 60}
    return sa.insert(schema.cursors).values(row)


def all_swept(made):
    return [swept(name, walk.name) for name in made.world.connections for walk in made.world.walks_of(name)]


def pair(facts, name="screening"):
    return next(each for each in facts["pairs"] if each["name"] == name)


def held(ref="r1", **values):
    row = {"pair": "screening", "connection": "acme", "kind": "candidate", "ref": ref, "reason": "no_email"}
    return sa.insert(schema.holds).values({**row, "opened_at": START, **values})


# --- at a glance


def test_an_empty_store_is_not_in_step(made):
    assert not pair(facts_of(made))["in_step"]
    text = shown(made)
    assert "Not all is in step yet" in text
    assert "not in step: <strong>screening</strong>" in text
    assert "acme was not read whole yet" in text


def test_all_read_and_nothing_waiting_is_in_step(made):
    change(made, *all_swept(made))
    assert all(each["in_step"] for each in facts_of(made)["pairs"])
    assert "Everything is in step." in shown(made)
    assert "<title>Everything is in step · syncd</title>" in shown(made)


def test_what_the_daemon_still_has_to_do_is_told(made):
    change(made, *all_swept(made))
    text = shown(made, troubles=["the first look is under way"])
    assert "Everything is in step." not in text
    assert "the first look is under way" in text


@pytest.mark.parametrize("what", ["hold", "mark", "switch"])
def test_whatever_waits_is_not_in_step(made, what):
    change(made, *all_swept(made))
    mark = {"connection": "acme", "kind": "job", "ref": "J1", "why": "webhook", "priority": 2, "due": START}
    statements = {"hold": held(), "mark": sa.insert(schema.marks).values(mark)}
    if what == "switch":
        made.store.run_now(stop, "connection/acme", "auth: 401", START)
    else:
        change(made, statements[what])
    assert not pair(facts_of(made))["in_step"]


@pytest.mark.parametrize(
    ("scope", "reason", "command"),
    [
        ("*", "paused", "syncd resume<"),
        ("connection/acme", "auth: 401", "syncd resume acme<"),
        ("connection/acme", "emptied: 40 of 40 from jobs", "syncd resume acme --allow-empty<"),
        ("pair/screening", "large: 90 of 100", "syncd resume screening --allow-large<"),
    ],
)
def test_what_is_stopped_says_why_and_how_it_goes_on(made, scope, reason, command):
    made.store.run_now(stop, scope, reason, START)
    text = shown(made)
    assert "stopped." in text
    assert reason in text
    assert command in text


def test_a_system_that_is_away_comes_first(made):
    row = {"name": "acme", "system": "workable", "error": "does not answer", "error_at": START, "reached_at": START - 9}
    change(made, *all_swept(made), held(), sa.insert(schema.connections).values(row))
    assert "acme does not answer." in shown(made)


def test_what_is_held_is_counted_by_reason(made):
    change(made, held("a"), held("b"), held("c", reason="duplicate"))
    facts = facts_of(made)
    assert [(row["reason"], row["number"]) for row in facts["holds"]] == [("duplicate", 1), ("no_email", 2)]
    assert "3 records wait for you." in shown(made)
    text = shown(made, "/held")
    assert '<li class="tag">2 no email</li>' in text
    assert '<li class="tag">1 duplicate</li>' in text


def test_the_map_tells_what_flows_where_in_words(made):
    made.store.run_now(lambda sql: Tx(sql, START).new_link("screening", Kind.JOB, "code", "J1", "J2"))
    text = re.sub(r"<[^>]+>", "", shown(made))
    assert "jobs 1 to the right" in text
    assert "applications 0 both ways" in text


def test_budgets_lists_and_changes_are_there(made):
    line = {"at": START, "connection": "acme", "kind": "candidate", "ref": "abc", "what": "update_planned"}
    change(made, *all_swept(made), sa.insert(schema.journal).values({**line, "fields": ["phone"], "detail": "secret"}))
    for text in (shown(made), shown(made, "/changes")):
        assert "to be changed" in text
        assert 'href="/record?id=abc">acme candidate abc</a>' in text
        assert ">phone</span>" in text
        assert "secret" not in text
    assert "0 of 10 calls used" in shown(made)
    assert "acme candidates" in shown(made)


def test_only_the_first_holds_are_on_the_overview(made):
    change(made, *(held(f"r{number}") for number in range(page.FIRST_HELD + 2)))
    assert shown(made).count('<article class="hold"') == page.FIRST_HELD
    assert "All 5" in shown(made)
    assert shown(made, "/held").count('<article class="hold"') == page.FIRST_HELD + 2


# --- one record


def linked(made):
    """A job that is linked, with a line in the journal."""

    def link(sql):
        made_link = Tx(sql, START).new_link("screening", Kind.JOB, "code", "J1", "J2")
        for name, id_ in (("acme", "J1"), ("screener", "J2")):
            url = f"https://{name}.test/{id_}"
            row = {"connection": name, "kind": "job", "id": id_, "seen": {"title": "x"}, "told_at": START, "url": url}
            sql.execute(sa.insert(schema.records).values(row))
        line = {"at": START, "connection": "acme", "kind": "job", "ref": "J1", "link": made_link.id, "what": "linked"}
        sql.execute(sa.insert(schema.journal).values({**line, "fields": [], "detail": "code"}))
        return made_link.id

    return made.store.run_now(link)


def test_a_records_story_is_what_explain_tells(made):
    number = linked(made)
    text, plain = shown(made, "/record?id=J2"), re.sub(r"<[^>]+>", "", shown(made, "/record?id=J2"))
    assert "Record J2" in text
    assert 'href="https://acme.test/J1"' in text
    assert f"Link {number} · job · pair screening" in plain
    assert "<dt>alike</dt><dd>title</dd>" in text
    assert made.store.run_now(look.explain, made.world, "J1")["journal"][0]["sentence"] in text


def test_an_unknown_id_is_told_so_and_none_leads_home(made):
    assert see(site_of(made), "/record?id=nobody").status_code == 404
    assert "No record bears this id." in shown(made, "/record?id=nobody")
    for asked in ("/record", "/record?id=%20", "/record?id=a%00b"):
        assert see(site_of(made), asked).headers["location"] == "/"


def test_an_address_that_was_asked_for_does_not_stand_on_the_page(made):
    assert "ada@example.com" not in shown(made, "/record?id=ada@example.com")


# --- all is text


EVIL = "\"><img src=x onerror='1'></title><script>alert(1)</script>"


def test_whatever_the_store_holds_is_text_to_the_pages(made):
    linked(made)
    made.store.run_now(stop, "pair/<b>", EVIL, START)
    change(
        made,
        *all_swept(made),
        held(ref=EVIL, reason=EVIL, field=EVIL, detail=EVIL),
        held(ref="J1", kind="job", reason="ambiguous_job", detail=EVIL, link=None),
        sa.insert(schema.journal).values(at=START, connection=EVIL, kind="job", ref=EVIL, what=EVIL, fields=[EVIL]),
        sa.insert(schema.journal).values(at=START, connection="acme", kind="job", ref="J1", what="held", fields=[EVIL],
                                         detail=EVIL),
        sa.update(schema.cursors).values(error=EVIL),
        sa.update(schema.records).values(source_id=EVIL, url=EVIL),
        sa.insert(schema.connections).values(name="acme", system="workable", error=EVIL),
    )  # fmt: skip
    paths = ["/", "/held", "/changes", "/record?id=J1", "/record?" + urlencode({"id": EVIL})]
    for path in paths:
        text = shown(made, path, troubles=[EVIL])
        assert "<img src=x" not in text
        assert "<script>" not in text
        assert text.count("<script") == 1
        assert "style=" not in text


def test_an_address_of_another_system_is_no_script():
    assert web_address("https://acme.example/j/1") == "https://acme.example/j/1"
    assert web_address("javascript:alert(1)") is None
    assert web_address(None) is None
    assert el("a", "<", "&", None, ["x"], href='"', aria_label="'", hidden=True, id=None) == (
        '<a href="&quot;" aria-label="&#x27;" hidden>&lt;&amp;x</a>'
    )


# --- what can be done


class Read(HTMLParser):
    """The forms of a page: address and fields of each, and its button's words; besides, all ids."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.ids, self.labels, self.within = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.labels += [attributes["for"]] if tag == "label" else []
        if tag == "form":
            self.forms.append([attributes["action"], {}, ""])
        elif tag == "input":
            self.forms[-1][1][attributes["name"]] = attributes.get("value", "")
        self.within = "button" if tag == "button" else "" if tag != "span" else self.within

    def handle_endtag(self, tag):
        self.within = "" if tag == "button" else self.within

    def handle_data(self, data):
        if self.within:
            self.forms[-1][2] += data


def forms_on(asgi, path, action):
    return [form for form in Read(see(asgi, path).text).forms if form[0] == action]


def press(asgi, path, words):
    """Press the button whose words begin so; the page that follows."""
    action, fields, _ = next(
        f for a in ("/resolve", "/walk") for f in forms_on(asgi, path, a) if f[2].startswith(words)
    )
    answer = talk(asgi, ("POST", action, {"data": fields}))
    assert answer.status_code == 303
    return see(asgi, answer.headers["location"])


def conflict(made):
    """Two linked candidates of whom one field is in conflict."""
    link = made.store.run_now(lambda sql: Tx(sql, START).new_link("screening", Kind.CANDIDATE, "email", "p1", "p2")).id
    rows = [{"connection": name, "kind": "candidate", "id": id_, "seen": {"phone": name}, "told_at": START}
            for name, id_ in (("acme", "p1"), ("screener", "p2"))]  # fmt: skip
    values = {"reason": "conflict", "field": "phone", "link": link, "left_digest": "acme", "right_digest": "screener"}
    change(made, sa.insert(schema.records).values(rows), held("p1", **values))
    return link


@pytest.mark.parametrize("path", ["/", "/held", "/record?id=p2"])
def test_the_buttons_are_exactly_the_answers_that_held_shows(made, path):
    conflict(made)
    [hold] = made.store.run_now(look.held, made.world)
    assert [form[1]["choice"] for form in forms_on(site_of(made), path, "/resolve")] == hold["answers"]
    assert hold["answers"] == ["take left", "take right", "drop"]


def test_what_looks_alike_can_be_chosen_or_typed_in(made):
    row = {"connection": "acme", "kind": "job", "id": "J1", "seen": {}, "told_at": START}
    change(made, sa.insert(schema.records).values(row), held("J1", kind="job", reason="ambiguous_job", detail="A B"))
    fields = [form[1] for form in forms_on(site_of(made), "/held", "/resolve")]
    assert [(each["choice"], each.get("other")) for each in fields] == [
        ("link", "A"), ("link", "B"), ("link", ""), ("new", None), ("retry", None),
    ]  # fmt: skip


def test_drop_does_what_resolve_does(made):
    conflict(made)
    text = press(site_of(made), "/held", "Drop").text
    assert "The difference is left as it is, until one end changes again." in text
    assert made.store.run_now(look.held, made.world) == []
    [line] = [line for line in made.store.run_now(page.changes, made.world) if line["what"] == "dropped"]
    assert line["fields"] == ["phone"]


def test_take_left_does_what_resolve_does(made):
    link = conflict(made)
    text = press(site_of(made), "/record?id=p1", "Take left: acme").text
    assert "The phone of acme goes to screener." in text
    assert "Record p1" in text
    assert made.store.run_now(lambda sql: Tx(sql, START).link(link)).decided == {"phone": ["left", "acme", "screener"]}


def test_what_cannot_be_done_is_told_in_the_commands_words(made):
    conflict(made)
    asgi = site_of(made)
    [first, *_] = forms_on(asgi, "/held", "/resolve")
    change(made, sa.delete(schema.holds))
    answer = talk(asgi, ("POST", "/resolve", {"data": first[1]}))
    assert "Not done: nothing is held under number 1" in see(asgi, answer.headers["location"]).text


@pytest.mark.parametrize(("words", "column"), [("Look now", "poll_due"), ("Read all now", "sweep_due")])
def test_a_list_can_be_read_at_once(made, words, column):
    change(made, *all_swept(made), sa.update(schema.cursors).values(poll_due=START + 300, sweep_due=START + 8000))
    text = press(site_of(made), "/", f"{words} of acme jobs").text
    assert f"acme jobs is {'looked at' if column == 'poll_due' else 'read whole'} now." in text
    changed = {"poll_due": START + 300, "sweep_due": START + 8000}
    rows = made.store.run_now(lambda sql: [*sql.execute(sa.select(schema.cursors)).mappings()])
    found = [row for row in rows if {name: row[name] for name in changed} != changed]
    assert [(row["connection"], row["walk"], row[column]) for row in found] == [("acme", "jobs", START)]


def test_a_stopped_or_busy_list_says_so(made):
    change(made, *all_swept(made))
    asgi = site_of(made)
    made.store.run_now(stop, "connection/acme", "paused", START)
    assert "Not done: acme is stopped; first: syncd resume acme" in press(asgi, "/", "Look now of acme jobs").text
    change(made, sa.delete(schema.switches))
    [_, form, *_] = [form for form in forms_on(asgi, "/", "/walk") if form[1]["walk"] == "jobs"]
    change(made, sa.update(schema.cursors).values(mode="sweep", started_at=START))
    answer = talk(asgi, ("POST", "/walk", {"data": form[1]}))
    assert "acme jobs is being read already." in see(asgi, answer.headers["location"]).text
    assert forms_on(asgi, "/", "/walk") == []


def test_a_page_that_only_shows_has_no_buttons_and_does_nothing(made):
    conflict(made)
    asgi = site_of(made, acts=False)
    assert forms_on(asgi, "/held", "/resolve") == forms_on(asgi, "/", "/walk") == []
    assert "syncd resolve 1 take left" in see(asgi, "/held").text


# --- forms of others


def proven(made):
    conflict(made)
    asgi = site_of(made)
    return asgi, forms_on(asgi, "/held", "/resolve")[-1][1]


def sent(asgi, fields, **headers):
    return talk(asgi, ("POST", "/resolve", {"data": fields, "headers": headers}))


@pytest.mark.parametrize("token", [None, "", "guess"])
def test_a_form_without_our_token_does_nothing(made, token):
    asgi, fields = proven(made)
    wrong = {name: value for name, value in {**fields, "form_token": token}.items() if value is not None}
    assert sent(asgi, wrong).status_code == 403
    assert len(made.store.run_now(look.held, made.world)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_from_another_site_does_nothing(made, headers):
    asgi, fields = proven(made)
    assert sent(asgi, fields, **headers).status_code == 403
    assert len(made.store.run_now(look.held, made.world)) == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://127.0.0.1:8080"}, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {}]
)
def test_a_form_of_ours_does_what_it_says(made, headers):
    asgi, fields = proven(made)
    assert sent(asgi, fields, **headers).status_code == 303
    assert made.store.run_now(look.held, made.world) == []


def test_another_processs_token_is_refused(made):
    _, fields = proven(made)
    assert sent(site_of(made), fields).status_code == 403


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, b"hold=1", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=" + b"x" * 5000, 413),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=%ff", 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"\xff", 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"&".join(b"a=1" for _ in range(50)), 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"other=a%00b", 400),
    ],
)
def test_what_is_no_small_form_is_refused(made, headers, content, status):
    answer = talk(site_of(made), ("POST", "/resolve", {"content": content, "headers": headers}))
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/resolve", "/walk", "/enter"])
def test_looking_changes_nothing(made, path):
    assert see(site_of(made), path).status_code == 405


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 40, "\u0661"])
def test_a_number_that_is_none_is_nobodys_hold(made, number):
    asgi, fields = proven(made)
    answer = sent(asgi, {**fields, "hold": number})
    assert "Nothing is held under that number." in see(asgi, answer.headers["location"]).text


@pytest.mark.parametrize("back", ["https://evil.example.test", "//evil.example.test", "/metrics", "/record", ""])
def test_an_answer_leads_back_to_our_own_pages_only(made, back):
    asgi, fields = proven(made)
    assert re.match(r"/\?told=", sent(asgi, {**fields, "back": back}).headers["location"])


def test_an_answer_on_a_story_leads_back_to_it(made):
    asgi, fields = proven(made)
    place = urlsplit(sent(asgi, {**fields, "back": "/record", "id": "a&b=c"}).headers["location"])
    assert (place.netloc, place.path, dict(parse_qsl(place.query))["id"]) == ("", "/record", "a&b=c")


def test_a_made_up_answer_is_not_told(made):
    assert "evil words" not in shown(made, "/?told=evil+words")


# --- for everybody


@pytest.mark.parametrize("path", ["/", "/held", "/changes", "/record?id=p1"])
def test_a_page_is_sound_for_those_who_do_not_see_it(made, path):
    conflict(made)
    change(made, *all_swept(made))
    text = shown(made, path)
    read = Read(text)
    assert sorted(read.ids) == sorted(set(read.ids))
    assert set(read.labels) <= set(read.ids)
    assert text.startswith("<!doctype html>")
    assert '<html lang="en">' in text
    assert text.count("<h1") == 1
    assert all(f'id="{name}"' in text for name in re.findall(r'aria-labelledby="([^"]+)"', text))


def test_without_scripts_the_overview_asks_again_by_itself(made):
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in shown(made)
    assert "http-equiv" not in shown(made, "/held")
