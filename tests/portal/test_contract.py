"""The portal keeps the contract of all connectors."""

from dataclasses import replace
from typing import ClassVar

from syncd.contract import Edit, PapersContract, World
from syncd.model import Draft, Kind, Parent, Ref
from tests.portal.world import ACCOUNT, new_sandbox, plugin

OPTIONS = {"author": "sync@example.test", "read_files": "true"}
ANA = {
    "name": "Ana Contract",
    "email": "ana.contract@example.test",
    "phone": "+12025550188",
    "current_title": "Aviatrix",
    "source": "referral",
}


class TestContract(PapersContract):
    unknown_ids: ClassVar = {Kind.APPLICATION: "cand_99999999:job_99999999"}

    def world(self):
        sandbox = new_sandbox()
        sandbox.fill(jobs=3, people=205)
        sandbox.put_resume(self.somebody(sandbox), b"%PDF-1.4 made up", "My r\u00e9sum\u00e9.pdf")
        return World(sandbox, plugin, replace(ACCOUNT, options=OPTIONS))

    def somebody(self, sandbox):
        row = next(iter(sandbox.rows["candidate"].values()))
        return f"{row['id']}:{row['job_id']}"

    def with_resume(self, world):
        return Ref(Kind.APPLICATION, self.somebody(world.sandbox))

    def target(self, world):
        row = list(world.sandbox.rows["candidate"].values())[1]
        return Ref(Kind.APPLICATION, f"{row['id']}:{row['job_id']}")

    def drafts(self, world):
        jobs, people = world.sandbox.rows["job"], world.sandbox.rows["candidate"]
        person = next(iter(people.values()))
        elsewhere = next(job for job in jobs if job != person["job_id"])
        parents = {Kind.JOB: Parent(elsewhere), Kind.CANDIDATE: Parent(person["id"])}
        return (
            Draft(Kind.JOB, {"title": "Pilot", "team": "Flight", "status": "on_hold", "job_type": "full_time"}),
            Draft(Kind.CANDIDATE, ANA),
            Draft(Kind.APPLICATION, {"stage": "interview"}, parents),
        )

    def edits(self, world):
        people = world.sandbox.rows["candidate"]
        assigned, unassigned = (f"{row['id']}:{row['job_id']}" for row in list(people.values())[:2])
        return (
            Edit(Ref(Kind.JOB, next(iter(world.sandbox.rows["job"]))), {"title": "Renamed", "status": "closed"}),
            Edit(Ref(Kind.CANDIDATE, next(iter(people))), {"name": "Cleo Contract", "phone": "+12025550199"}),
            Edit(Ref(Kind.APPLICATION, assigned), {"stage": "offer"}),
            Edit(Ref(Kind.APPLICATION, assigned), {"candidate.stage": "hired"}),
            Edit(Ref(Kind.APPLICATION, assigned), {"start_date": "2026-06-01", "salary": "$90k"}),
            Edit(Ref(Kind.APPLICATION, unassigned), {"stage": "rejected"}),
        )

    def human_edit(self, world):
        world.sandbox.edit("candidate", next(iter(world.sandbox.rows["candidate"])), name="Renamed Byhand")
