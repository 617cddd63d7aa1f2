"""What a one-shot backfill pushes to a Pushgateway, played here as its documentation says what a POST does."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd.cli import Outside, run
from syncd.clock import SteppedClock
from syncd.errors import ConfigInvalid, PlanRefused
from syncd.pushgateway import group_of, reporting

START = 1_800_000_000.0
DONE = {"left": 0, "until": None, "pages": {"acme": 4}, "writes": {"screener create job": 2}}
SUCCEEDED_AT = "syncd_backfill_last_success_timestamp_seconds"


class Gateway:
    """Groups by path; a POST replaces the metrics of the same name, a PUT would replace them all."""

    def __init__(self, status=200):
        self.status, self.groups = status, {}

    def take(self, method, path, body):
        assert method == "POST"
        if self.status == 200:
            families = {each.name: each.samples for each in text_string_to_metric_families(body)}
            self.groups.setdefault(path, {}).update(families)
        return self.status

    def told(self, name, path="/metrics/job/syncd_backfill"):
        return self.groups[path][name][0].value


@contextmanager
def listening(gateway):
    """The gateway behind a real socket; its address."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(gateway.take(self.command, self.path, body))
            self.end_headers()

        def log_message(self, *_):
            """Keep the tests' output quiet."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def push(address, result=None, *, at=START, error=None, standing=dict, transport=None):
    """One run that ends with a result or an error; what was warned."""
    warned = []
    clock = SteppedClock(at, frozen=True)
    with reporting(address, clock, version="1", standing=standing, warn=warned.append, transport=transport) as report:
        if error is not None:
            raise error
        report(result)
    return warned


def test_a_run_that_did_all_is_pushed_over_a_socket():
    gateway = Gateway()
    with listening(gateway) as address:
        assert push(address, DONE, standing=lambda: {"syncd_pair_in_step": {("a",): 1.0}}) == []
    assert gateway.told("syncd_backfill_succeeded") == 1
    assert gateway.told(SUCCEEDED_AT) == START
    assert gateway.told("syncd_pair_in_step") == 1
    assert gateway.told("syncd_build_info") == 1


def played(gateway):
    return httpx.MockTransport(
        lambda asked: httpx.Response(gateway.take(asked.method, asked.url.path, asked.content.decode()))
    )


@pytest.mark.parametrize("result", [{**DONE, "left": 3}, {**DONE, "until": START + 600.0}])
def test_a_run_that_left_something_leaves_the_last_success_standing(result):
    gateway = Gateway()
    push("http://gateway.test", DONE, transport=played(gateway))
    push("http://gateway.test", result, at=START + 100.0, transport=played(gateway))
    assert gateway.told("syncd_backfill_succeeded") == 0
    assert gateway.told(SUCCEEDED_AT) == START
    assert gateway.told("syncd_backfill_last_run_timestamp_seconds") == START + 100.0


def test_a_run_that_failed_leaves_the_last_success_standing_and_fails_as_it_did():
    gateway = Gateway()
    push("http://gateway.test", DONE, transport=played(gateway))
    with pytest.raises(PlanRefused):
        push("http://gateway.test", at=START + 100.0, error=PlanRefused("far too large"), transport=played(gateway))
    assert (gateway.told("syncd_backfill_succeeded"), gateway.told(SUCCEEDED_AT)) == (0, START)


def test_a_gateway_that_refuses_is_told_in_one_sentence():
    (sentence,) = push("http://gateway.test", DONE, transport=played(Gateway(503)))
    assert sentence.startswith("--push-metrics: the gateway answered 503")


def test_a_gateway_that_is_not_there_is_told_without_its_password():
    with listening(Gateway()) as address:
        gone = address
    (sentence,) = push(gone.replace("http://", "http://me:hush-hush@"), DONE)
    assert "the gateway does not answer" in sentence
    assert "hush" not in sentence


def test_a_group_may_be_named_in_the_address():
    gateway = Gateway()
    push("http://gateway.test/metrics/job/nightly/account/acme/", DONE, transport=played(gateway))
    assert list(gateway.groups) == ["/metrics/job/nightly/account/acme"]


@pytest.mark.parametrize(
    ("address", "gateway", "labels"),
    [
        ("http://g:9091", "http://g:9091", {"job": "syncd_backfill"}),
        ("https://g/push/", "https://g/push", {"job": "syncd_backfill"}),
        ("http://g/metrics/job/a", "http://g", {"job": "a"}),
        ("http://g/metrics/account/acme", "http://g", {"job": "syncd_backfill", "account": "acme"}),
    ],
)
def test_an_address_is_read(address, gateway, labels):
    assert group_of(address) == (gateway, labels)


@pytest.mark.parametrize("address", ["gateway:9091", "ftp://gateway", "http://", "http://g/metrics/job", "http://[g"])
def test_what_is_no_address_is_refused_before_anything_is_done(address):
    with pytest.raises(ConfigInvalid, match="--push-metrics"):
        push(address, DONE, transport=played(Gateway()))


def test_the_command_takes_the_address_from_its_option_or_the_environment(capsys, tmp_path):
    (tmp_path / "config.toml").write_text("")
    environ = {"SYNCD_CONFIG": str(tmp_path / "config.toml")}
    assert run(["backfill", "--push-metrics", "nowhere"], Outside(environ=environ)) == 2
    assert run(["backfill"], Outside(environ={**environ, "SYNCD_PUSH_METRICS": "nowhere"})) == 2
    assert capsys.readouterr().err.count("--push-metrics: this is no address") == 2
