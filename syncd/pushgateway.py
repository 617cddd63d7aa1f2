"""What a one-shot backfill came to, pushed to a Prometheus Pushgateway, for jobs that are gone before anybody scrapes.

https://github.com/prometheus/pushgateway#put-and-post: a POST replaces what has the same name in the same group and
leaves the rest. So a run that fails sends no time of a last success, and the one that the gateway has stays.
"""

import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

import httpx

from syncd.clock import Clock
from syncd.errors import ConfigInvalid
from syncd.metrics import Figures, Send
from syncd.textfile import Result, measured, of_run

JOB = "syncd_backfill"  # not the daemon's, whose figures would count twice
PUSH_S = 10.0


@contextlib.contextmanager
def reporting(
    address: str,
    clock: Clock,
    *,
    version: str,
    standing: Callable[[], Figures],
    warn: Callable[[str], None],
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Callable[[Result], None]]:
    """While held, a backfill runs; call what is given with its result. Without a result it has failed.

    ``address``: the gateway's, or that of a group in it (``…/metrics/job/NAME/LABEL/VALUE``). ``standing`` asks the
    store what stands there. A gateway that does not take the figures is told to ``warn`` in a sentence and changes
    nothing else. Raises ``ConfigInvalid`` where ``address`` is none.
    """
    gateway, group = group_of(address)
    began, results = clock.now(), list[Result]()
    try:
        yield results.append
    finally:
        figures = {**standing(), **of_run(results[-1] if results else None, began, clock.now())}
        if sentence := _pushed(figures, version, gateway, group, transport):
            warn(f"--push-metrics: {sentence}; the backfill itself is not touched by that")


def group_of(address: str) -> tuple[str, dict[str, str]]:
    """The gateway, and the labels of the group in it, ``job`` among them; raises ``ConfigInvalid``."""
    gateway, _, labels = address.rstrip("/").partition("/metrics/")
    if not _is_address(gateway):
        raise ConfigInvalid('--push-metrics: this is no address; write for example "http://pushgateway:9091"')
    words = [unquote(word) for word in labels.split("/")] if labels else []
    if len(words) % 2 or not all(words):
        raise ConfigInvalid("--push-metrics: behind /metrics/ the address has names and values in turn")
    return gateway, {"job": JOB, **dict(zip(words[::2], words[1::2], strict=True))}


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _pushed(
    figures: Figures, version: str, gateway: str, group: dict[str, str], transport: httpx.BaseTransport | None
) -> str | None:
    """Send the figures; why they did not arrive, in words without the address, which may hold a password."""
    try:
        with httpx.Client(trust_env=False, timeout=PUSH_S, transport=transport) as client:
            measured(figures, version).push(gateway, group, _sending(client))
    except httpx.HTTPStatusError as error:
        return f"the gateway answered {error.response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the gateway does not answer ({type(error).__name__})"
    return None


def _sending(client: httpx.Client) -> Send:
    """The gateway is called as everything else is: not through a proxy that the environment names, and no further."""

    def send(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> None:
        client.request(method, url, headers=headers, content=body).raise_for_status()

    return send
