"""An address that a system gave out: it is fetched wherever it may lead, with nothing of the account's going along."""

import random

import httpx
import pytest

from syncd.clock import SteppedClock, run_stepped
from syncd.connector import download
from syncd.errors import Gone, Rejected, Unavailable
from syncd.gate import Gate, MemoryBudget
from syncd.http import build_client
from syncd.limits import parse_rules

BASE = "https://acme.example.com"


def fetched(url, answer, *, base=BASE, longest=1000, headers=None):
    """(the bytes, the requests that went out, the slots taken)."""
    clock, asked = SteppedClock(1_800_000_000.0, frozen=True), []

    def serve(request):
        asked.append(request)
        return answer

    async def main():
        gate = Gate("acme", parse_rules(["10/10s"]), MemoryBudget(clock), clock)
        client = build_client(
            gate, base, rng=random.Random(1), network=httpx.MockTransport(serve), headers=headers
        )  # fmt: skip
        async with client:
            content = b"".join([piece async for piece in download(client, url, longest=longest)])
            return content, asked, (await gate.usage())[0].used

    return run_stepped(clock, main())


def test_a_file_elsewhere_is_fetched_without_a_slot_or_a_token():
    content, asked, used = fetched(
        "https://files.example.net/a.pdf?X-Amz-Signature=1", httpx.Response(200, content=b"%PDF")
    )
    assert (content, used) == (b"%PDF", 0)
    assert not {"authorization", "cookie"} & set(asked[0].headers)


@pytest.mark.parametrize("url", [
    "http://files.example.net/a.pdf", "https://169.254.169.254/latest", "https://localhost/a", "https://10.0.0.1/a",
    "file:///etc/passwd", "https://user:word@files.example.net/a", "https://printer.local/a", "nonsense", "",
])  # fmt: skip
def test_an_address_that_may_not_be_called_is_refused(url):
    with pytest.raises(Rejected):
        fetched(url, httpx.Response(200, content=b"x"))


def test_on_this_machine_links_may_lead_to_this_machine():
    content, _, _ = fetched(
        "http://127.0.0.1:9/a", httpx.Response(200, content=b"x"), base="http://127.0.0.1:8"
    )  # fmt: skip
    assert content == b"x"


def test_headers_of_the_account_stay_at_home():
    with pytest.raises(Rejected):
        fetched("https://files.example.net/a", httpx.Response(200), headers={"X-Key": "secret"})


@pytest.mark.parametrize(("status", "error"), [(403, Gone), (404, Gone), (302, Unavailable), (500, Unavailable)])
def test_an_address_that_leads_nowhere(status, error):
    with pytest.raises(error):
        fetched("https://files.example.net/a", httpx.Response(status, headers={"Location": "https://evil.example"}))


def test_a_file_that_is_too_long_is_cut_off():
    with pytest.raises(Rejected, match="larger"):
        fetched("https://files.example.net/a", httpx.Response(200, content=b"x" * 1001))
