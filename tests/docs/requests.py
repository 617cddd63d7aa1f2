"""The requests that a connector really makes: its contract's steps against the sandbox, and its cassettes."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

TESTS = Path(__file__).parents[1]
Request = tuple[str, str]  # method, path


def made(system: str) -> set[Request]:
    """All that was seen of a system's connector."""
    return set(_in_the_contract(system)) | set(_on_cassettes(system))


def _in_the_contract(system: str) -> Iterator[Request]:
    contract = importlib.import_module(f"tests.{system}.test_contract").TestContract()
    seen: list[Request] = []

    async def scene(scene) -> None:
        await scene.connector.check()
        for _, step in [*await contract.reading(scene), *await contract.writing(scene)]:
            await step()
        seen.extend((request.method, request.url.path) for request in scene.wire.requests)

    contract.play(scene)
    yield from seen


def _on_cassettes(system: str) -> Iterator[Request]:
    for cassette in sorted((TESTS / system / "cassettes").glob("*.yaml")):
        # Bodies may be large and of any kind; two lines of each interaction are all that is wanted here.
        text = cassette.read_text("utf-8")
        methods = re.findall(r"^    method: (.+)$", text, re.MULTILINE)
        addresses = re.findall(r"^    uri: (.+)$", text, re.MULTILINE)
        yield from ((method, urlsplit(uri.strip("'")).path) for method, uri in zip(methods, addresses, strict=True))
