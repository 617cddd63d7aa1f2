"""The page in a real browser, on a running demo: light, dark and on a phone; by mouse, by keyboard and without scripts.

Its pictures are kept in ``build/screenshots``.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.system.browser import browsing

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "screenshots"
PATIENCE_S = 120.0
WIDE, PHONE = 1280, 390

# Every text that can be seen, with its size, its colour and the nearest colour behind it.
TEXTS = """[...document.querySelectorAll('body *')].filter((each) =>
  [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && each.checkVisibility()
  && each.getBoundingClientRect().width > 1).map((each) => {
    let behind = each;
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    return [each.textContent.slice(0, 40), getComputedStyle(each).color,
            behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'];
  })"""


@pytest.fixture(scope="module")
def demo():
    """The address of a running demo in which something is held that takes a side, and something that can be retried."""
    place = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd", "demo", "--listen", place], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        wait_for_answers(f"http://{place}")
        yield f"http://{place}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for_answers(address):
    until = time.monotonic() + PATIENCE_S
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        while time.monotonic() < until:
            try:
                text = client.get(f"{address}/held").text
                if "Take left" in text and "Retry" in text:
                    return
            except httpx.ConnectError:
                pass
            time.sleep(0.5)
    pytest.fail("the demo never held what its script says")


@pytest.fixture
def browser(tmp_path):
    with browsing(tmp_path / "profile") as found:
        found.look_like(width=WIDE)
        yield found
        assert found.errors == []


@pytest.mark.parametrize("path", ["/", "/held", "/changes", "/record"])
@pytest.mark.parametrize(
    ("name", "width", "dark"), [("light", WIDE, False), ("dark", WIDE, True), ("phone", PHONE, False)]
)
def test_the_page_fits_and_can_be_read(demo, browser, path, name, width, dark):
    browser.look_like(width=width, dark=dark)
    browser.open(f"{demo}/" if path == "/record" else demo + path)
    if path == "/record":
        browser.open(browser.tell("document.querySelector('#held .ends a').href"))
    browser.picture(PICTURES / f"{path.strip('/') or 'overview'}-{name}.png", whole=path != "/changes")
    assert browser.tell("document.documentElement.scrollWidth") <= width
    texts = browser.tell(TEXTS)
    assert len(texts) > 20
    assert {text: seen for text, *seen in texts if contrast(*seen) < 4.5} == {}


def contrast(one, other):
    """As WCAG 2.2 measures it, success criterion 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [float(part) / 255 for part in colour[4:-1].split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_black_on_white_is_the_most():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)


def test_light_and_dark_differ(demo, browser):
    seen = []
    for dark in (False, True):
        browser.look_like(width=WIDE, dark=dark)
        browser.open(demo)
        seen.append(luminance(browser.tell("getComputedStyle(document.body).backgroundColor")))
    assert seen[0] > 0.8
    assert seen[1] < 0.1


def test_whatever_can_be_pressed_has_a_name_and_on_a_phone_its_size(demo, browser):
    browser.look_like(width=PHONE)
    browser.open(demo)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    pressed = [node for node in nodes if node["role"]["value"] in {"button", "link", "searchbox"}]
    names = [node["name"]["value"] for node in pressed if not node["ignored"]]
    assert len(names) > 15
    assert all(names)
    buttons = [node["name"]["value"] for node in pressed if node["role"]["value"] == "button"]
    assert sorted(buttons) == sorted(set(buttons))  # read out alone, each still says what it is about
    assert browser.tell("Math.min(...[...document.querySelectorAll('button')].map((each) => each.offsetHeight))") >= 44


def test_it_is_kept_up_to_date_without_being_loaded_again(demo, browser):
    browser.open(demo)
    before = browser.tell("window.here = true, document.querySelector('#reasons time').textContent")
    browser.until(f"document.querySelector('#reasons time').textContent !== {json.dumps(before)}")
    assert browser.tell("window.here")


def test_what_is_typed_and_where_one_stands_is_left_alone(demo, browser):
    browser.open(demo)
    browser.tell("document.querySelector('#lists button').focus()")
    focused = browser.tell("document.activeElement.id")
    browser.tell("document.getElementById('lists').isOld = true")
    browser.until("!document.getElementById('lists').isOld")
    assert focused
    assert browser.tell("document.activeElement.id") == focused


def test_a_lost_daemon_is_told_and_forgotten_when_it_is_back(demo, browser):
    browser.open(demo)
    assert browser.tell("document.getElementById('lost').hidden")
    away = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.call("Network.emulateNetworkConditions", offline=True, **away)
    browser.until("!document.getElementById('lost').hidden")
    browser.call("Network.emulateNetworkConditions", offline=False, **away)
    browser.until("document.getElementById('lost').hidden")
    browser.errors.clear()  # the browser's own word about the lost connection


def test_by_keyboard_alone(demo, browser):
    browser.open(demo)
    browser.key("Tab", 9)
    assert browser.tell("document.activeElement.textContent") == "Skip to the content"
    assert browser.tell("document.activeElement.getBoundingClientRect().width") > 50
    browser.key("Enter", 13, "\r")
    browser.until("location.hash === '#content'")
    browser.key("Tab", 9)
    assert browser.tell("document.querySelector('main').contains(document.activeElement)")
    browser.tell("document.querySelector('#lists button').focus()")
    browser.key("Enter", 13, "\r")
    # While the list is being looked at, its only button is the one that reads all of it.
    browser.until("/(looked at|read whole) now/.test(document.querySelector('.told')?.textContent)")


@pytest.mark.parametrize("script", [False, True])
def test_a_press_does_what_it_says(demo, browser, script):
    browser.look_like(width=WIDE, script=script)
    browser.open(f"{demo}/held")
    browser.press("button[id$=retry]" if script else "button[id$=take-left]")
    told = "looked at anew" if script else "goes to"
    browser.until(f"document.querySelector('.told')?.textContent.includes({json.dumps(told)})")
    assert browser.tell("location.pathname") == "/held"
    assert ("told=" in browser.tell("location.search")) is not script
    browser.picture(PICTURES / f"told-{'with' if script else 'without'}-scripts.png")
