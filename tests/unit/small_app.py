"""The three systems and an app on them, in this process and in virtual time: what the daemon's tests stand on."""

import functools
import hashlib
import hmac
import random
from typing import Any

import httpx
import orjson

from syncd import app as joined
from syncd.clock import Clock, SteppedClock
from syncd.sealing import Sealer
from syncd.settings import Config
from syncd.store import Store, open_engine

START = 1_800_000_000.0
TOKEN = "sandbox-token"
SECRET = "whsec_made_up_for_tests"
PATH_SECRET = "a_path_that_nobody_guesses_0123456789"


def config_of(**server: Any) -> Config:
    """Workable on the left; Ninjahire (signs), and WorkSignal (does not, so its address has a secret part)."""
    return Config.model_validate(
        {
            "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
            "server": server,
            "connections": {
                "acme": {
                    "system": "workable",
                    "base_url": "https://acme.example.test",
                    "token": TOKEN,
                    "member": "ops@example.com",
                    "poll": "5m",
                },
                "screener": {"system": "ninjahire", "token": TOKEN, "webhook_secret": SECRET},
                "voice": {"system": "worksignal", "token": TOKEN, "webhook_path_secret": PATH_SECRET},
                "resting": {"system": "ninjahire", "token": TOKEN, "webhook_secret": SECRET, "enabled": False},
            },
            "pairs": {
                "screening": {
                    "left": "acme",
                    "right": "screener",
                    "jobs": "->",
                    "candidates": "->",
                    "applications": "<->",
                },
                "voices": {"left": "acme", "right": "voice", "jobs": "->", "candidates": "->", "applications": "<->"},
            },
        }
    )


def app_of(
    config: Config | None = None, *, clock: Clock | None = None, boxes: dict[str, Any] | None = None
) -> joined.App:
    """An app whose store is in memory; its lanes call the given sandboxes, and nobody where none is given."""
    config = config or config_of()
    clock = clock or SteppedClock(START, frozen=True)
    numbers = random.Random(3)
    sealer = Sealer(b"0" * 32, numbers.randbytes)
    engine = open_engine("sqlite://")
    _migrated().backup(engine.raw_connection().driver_connection)
    roads: dict[str, Any] = {name: httpx.ASGITransport(app=box) for name, box in (boxes or {}).items()}
    return joined.build(
        config,
        joined.load_plugins(),
        Store(engine, clock, threaded=False),
        sealer,
        rng=numbers,
        network=lambda name: roads.get(name, NOBODY),
    )


@functools.cache
def _migrated() -> Any:
    """A database with our schema, to be copied: to migrate each app's own takes a tenth of a second."""
    store = Store(open_engine("sqlite://"), SteppedClock(START), threaded=False)
    store.run_now(joined.migrate)
    return store.engine.raw_connection().driver_connection


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is there", request=request)


NOBODY = httpx.MockTransport(_unreachable)  # sockets would read all certificates, and find nobody either


def signed_by_workable(body: bytes) -> dict[str, str]:
    return {"X-Workable-Signature": hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()}


def signed_by_ninjahire(body: bytes, at: float = START) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-NINJAHIRE-Signature": signature, "X-NINJAHIRE-Timestamp": str(int(at))}


def workable_event(event_id: str = "e1", row: str = "abc123") -> bytes:
    return orjson.dumps({"id": event_id, "event_type": "candidate_moved", "data": {"id": row}})


def ninjahire_event(application: str = "0b0e1c2d-0000-4000-8000-000000000001", status: str = "Screening") -> bytes:
    return orjson.dumps({"id": application, "status": status})
