"""WorkSignal keeps the contract of all connectors."""

import hashlib
import hmac
from typing import ClassVar

from syncd.connector import Delivery
from syncd.contract import Edit, PapersContract, World
from syncd.model import Draft, Kind, Parent, Ref
from tests.worksignal.world import ACCOUNT, SECRET, new_sandbox, plugin

ANA = {"name": "Ana Contract", "email": "ana.contract@example.test"}
BEN = {"name": "Ben Contract", "email": "ben.contract@example.test"}


class TestContract(PapersContract):
    link = "https://files.example.test/1001/cv.pdf?signature=made-up"
    unknown_ids: ClassVar = {Kind.APPLICATION: "99999999:99999999"}

    def world(self):
        sandbox = new_sandbox()
        sandbox.fill(jobs=4, people=105)
        applications = list(sandbox.snapshot()["application"])
        sandbox.put_resume(applications[-1], b"%PDF-1.4 made up")
        for at, application in enumerate(applications[:4]):
            sandbox.screen(application, (None, 71)[at % 2])
        return World(sandbox, plugin, ACCOUNT)

    def with_resume(self, world):
        return Ref(Kind.APPLICATION, list(world.sandbox.snapshot()["application"])[-1])

    def has_arrived(self, world, ref, file):
        person = world.sandbox.people[int(ref.id.partition(":")[0])]
        return person.fields["resume_url"] == file.link

    def drafts(self, world):
        job = next(iter(world.sandbox.snapshot()["job"]))
        title = {"title": "Pilot", "department": "Flight", "salary_min": 90_000, "description": "Flies."}
        return (
            Draft(Kind.JOB, title),
            Draft(Kind.CANDIDATE, ANA),
            Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(job)}, person=BEN),
        )

    def edits(self, world):
        snapshot = world.sandbox.snapshot()
        job, candidate, application = (next(iter(snapshot[kind])) for kind in ("job", "candidate", "application"))
        return (
            Edit(Ref(Kind.JOB, job), {"title": "Renamed", "salary_max": 120_000}),
            Edit(Ref(Kind.JOB, job), {"status": "paused"}),
            Edit(Ref(Kind.CANDIDATE, candidate), {"name": "Cleo Contract", "phone": "+12025550199"}),
            Edit(Ref(Kind.APPLICATION, application), {"stage": "interview"}),
        )

    def human_edit(self, world):
        world.sandbox.edit("candidate", next(iter(world.sandbox.snapshot()["candidate"])), name="Renamed Byhand")

    def genuine(self, world):
        body = b'{"event":"candidate.hired","occurred_at":"2026-04-13T14:32:00Z","data":{"candidate":{"id":55}}}'
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return Delivery(body, {"x-worksignal-signature": signature})
