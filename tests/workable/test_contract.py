"""Workable keeps the contract that every connector keeps."""

import hashlib
import hmac
import random
from typing import ClassVar

import orjson

from connectors.workable import plugin
from connectors.workable.sandbox import WorkableSandbox
from syncd.clock import SteppedClock
from syncd.connector import Account, Delivery
from syncd.contract import Edit, PapersContract, World
from syncd.model import Draft, Kind, Parent, Ref

TOKEN = "a-token-of-the-tests"
OPTIONS = {"rating_scale": "stars"}
ACCOUNT = Account("acme", "https://acme.workable.com", TOKEN, member="ops@acme.example", options=OPTIONS)


class TestContract(PapersContract):
    rows_alone = frozenset({"resume"})
    unknown_ids: ClassVar[dict[Kind, str]] = {Kind.JOB: "NOSUCHJOB1", Kind.CANDIDATE: "3fffffff"}

    def world(self):
        clock = SteppedClock(1_790_000_000.0, frozen=True)
        sandbox = WorkableSandbox(clock=clock, rng=random.Random(3), tokens=(TOKEN,), limits=())
        sandbox.fill(jobs=3, people=140)
        sandbox.put_resume(max(sandbox.snapshot()["application"]), b"%PDF-1.4 made up", "Résumé of mine.pdf")
        return World(sandbox, plugin, ACCOUNT)

    def with_resume(self, world):
        return Ref(Kind.APPLICATION, max(world.sandbox.snapshot()["application"]))

    def drafts(self, world):
        job = next(iter(world.sandbox.snapshot()["job"]))
        person = {"name": "Zora Quell", "email": "zora.quell@example.test", "phone": "+12025550199"}
        return [Draft(Kind.APPLICATION, {"stage": "Phone Screen"}, {Kind.JOB: Parent(job)}, person=person)]

    def edits(self, world):
        rows = world.sandbox.snapshot()["application"]
        row = next(id_ for id_, told in rows.items() if told["stage"] == "Applied")
        return [
            Edit(Ref(Kind.CANDIDATE, row), {"phone": "+12025550142", "headline": "Glassblower"}),
            Edit(Ref(Kind.APPLICATION, row), {"stage": "Offer"}),
        ]

    def human_edit(self, world):
        first = next(iter(world.sandbox.snapshot()["candidate"]))
        world.sandbox.edit("candidate", first, phone="+12025550177")

    def genuine(self, world):
        row = next(iter(world.sandbox.snapshot()["candidate"]))
        event = {"event_type": "candidate_moved", "id": "e1", "resource_type": "candidate", "data": {"id": row}}
        body = orjson.dumps(event)
        signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        return Delivery(body, {"x-workable-signature": signature}, "candidate_moved")
