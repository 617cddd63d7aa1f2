"""A played Workable account and a connector on it, for the tests of this folder."""

import random
from dataclasses import dataclass
from typing import Any

import httpx

from connectors.workable import plugin
from connectors.workable.sandbox import WorkableSandbox
from syncd.clock import SteppedClock, run_stepped
from syncd.connector import Account
from syncd.model import Draft, Kind, Parent, Ref

BASE = "https://acme.workable.com"
TOKEN = "a-token-of-the-tests"
START = 1_790_000_005.0
MEMBER = "ops@acme.example"
ADA = {"name": "Ada Test", "email": "ada@example.com", "phone": "+12025550101"}


class Wire(httpx.AsyncBaseTransport):
    """The way to the sandbox: keeps each request, and lets a test answer ``instead``."""

    def __init__(self, sandbox):
        self._inner = httpx.ASGITransport(app=sandbox)
        self.requests = []
        self.instead = lambda request: None

    async def handle_async_request(self, request):
        self.requests.append(request)
        return self.instead(request) or await self._inner.handle_async_request(request)

    @property
    def paths(self):
        return [f"{request.method} {request.url.path}" for request in self.requests]


@dataclass
class Scene:
    sandbox: Any
    wire: Any
    client: Any
    connector: Any
    job: str

    @property
    def clock(self):
        return self.sandbox.clock

    async def pages(self, name, since=None):
        walk = next(walk for walk in self.connector.facts.walks if walk.name == name)
        return [page async for page in self.connector.pull(walk, since)]

    async def told(self, name, since=None):
        return {record.ref: record for page in await self.pages(name, since) for record in page.records}

    async def move(self, row, word):
        """Read an application and update its stage, as the engine does."""
        record = (await self.connector.get(Ref(Kind.APPLICATION, row)))[0]
        return await self.connector.update(record, {"stage": word})

    def stage(self, row):
        return self.sandbox.snapshot()["application"][row]["stage"]

    def draft(self, stage="Applied", job=None, **person):
        parents = {Kind.JOB: Parent(job or self.job)}
        return Draft(Kind.APPLICATION, {"stage": stage}, parents, person={**ADA, **person})


def play(scene, *, member=MEMBER, token=TOKEN, secrets=(), hook_client=None, **switches):
    """Run a scene on a frozen clock; the account has one job, and no limits unless the scene wants some."""
    clock = SteppedClock(START, frozen=True)
    switches.setdefault("limits", ())
    sandbox = WorkableSandbox(clock=clock, rng=random.Random(5), tokens=(TOKEN,), client=hook_client, **switches)
    job = sandbox.add_job(title="Data Engineer", code="DE-1", city="Lyon", country="France")
    account = Account("acme", BASE, token, member=member, webhook_secrets=secrets)

    async def run():
        wire = Wire(sandbox)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx.AsyncClient(transport=wire) as client,
            httpx.AsyncClient(transport=wire, base_url=f"{BASE}/spi/v3", headers=headers) as raw,
        ):
            await scene(Scene(sandbox, wire, raw, plugin.connect(account, client, clock), job))

    run_stepped(clock, run())
