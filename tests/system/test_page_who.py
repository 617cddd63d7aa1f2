"""Who a record is about, in a real browser on a real daemon: asked of the system at a press, and nowhere afterwards."""

import pytest
import sqlalchemy as sa

from syncd import schema
from tests.integration.played import place, systems, until
from tests.system.browser import browsing
from tests.system.test_page import PHONE, PICTURES, TEXTS, WIDE, contrast

PAGE_TOKEN = "a_page_token_of_many_signs"
SHOWN = "document.querySelector('h1').textContent === 'Who this is'"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A daemon that may show people to whoever is signed in, one of whom it has read."""
    folder = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as patch, systems(people=2) as played:
        patch.setenv("SYNCD_SERVER__PAGE_TOKEN", PAGE_TOKEN)
        patch.setenv("SYNCD_SERVER__SHOW_PEOPLE", "true")
        with place(folder, played, f"sqlite:///{folder}/syncd.db") as here:
            daemon = here.start().wait_ready()
            known = sa.select(schema.links.c.id).where(
                schema.links.c.left.is_not(None), schema.links.c.right.is_not(None)
            )
            until(lambda: len(here.rows(known)) >= 6, 60, daemon.told)
            yield folder, played, daemon


@pytest.fixture
def browser(tmp_path):
    with browsing(tmp_path / "profile") as found:
        found.look_like(width=WIDE)
        yield found
        assert found.errors == []


def reads_of(played, row):
    return sum(1 for call in played.workable.arrivals if call.path.endswith(f"/candidates/{row}"))


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without scripts"])
def test_a_press_shows_who_it_is_and_nothing_of_it_stays(town, browser, script):
    folder, played, daemon = town
    row, person = next(iter(played.workable.snapshot()["candidate"].items()))
    browser.look_like(width=WIDE, script=script)
    browser.open(f"{daemon.address}/?token={PAGE_TOKEN}")
    browser.open(f"{daemon.address}/record?id={row}")
    before = reads_of(played, row)
    assert person["email"] not in browser.tell("document.documentElement.outerHTML")
    browser.press("form[action='/who'] button")
    browser.until(SHOWN)
    assert person["email"] in browser.tell("document.querySelector('.sheet').textContent")
    assert reads_of(played, row) == before + 1
    assert browser.tell("document.title") == "Who this is · syncd"
    assert browser.tell("location.pathname + location.search") == "/who"
    browser.tell("history.back()")
    browser.until("location.pathname === '/record' && document.readyState === 'complete'")
    assert person["email"] not in browser.tell("document.documentElement.outerHTML")
    for path in folder.rglob("*"):
        if path.is_file():
            assert person["email"].encode() not in path.read_bytes(), path
    assert "who_shown" in daemon.told()


@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (PHONE, True)])
def test_it_fits_and_can_be_read(town, browser, width, dark):
    _, played, daemon = town
    row = next(iter(played.workable.snapshot()["candidate"]))
    browser.look_like(width=width, dark=dark)
    browser.open(f"{daemon.address}/?token={PAGE_TOKEN}")
    browser.open(f"{daemon.address}/record?id={row}")
    assert browser.tell("document.documentElement.scrollWidth") <= width
    browser.picture(PICTURES / f"who-asked-{'dark' if dark else 'light'}.png")
    names = browser.tell(
        "[...document.querySelectorAll(\"form[action='/who'] button\")].map((each) => each.textContent)"
    )
    assert len(names) == len(set(names)) > 1
    browser.press("form[action='/who'] button")
    browser.until(SHOWN)
    browser.picture(PICTURES / f"who-{'dark' if dark else 'light'}.png")
    assert browser.tell("document.documentElement.scrollWidth") <= width
    assert {text: seen for text, *seen in browser.tell(TEXTS) if contrast(*seen) < 4.5} == {}
