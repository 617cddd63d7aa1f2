"""The portal keeps the contract of all connectors."""

from typing import ClassVar

from syncd.model import Draft, Kind, Parent, Ref
from syncd.contract import ConnectorContract, Edit, World
from tests.portal.world import ACCOUNT, new_sandbox, plugin

ANA = {
    "name": "Ana Contract",
    "email": "ana.contract@example.test",
    "phone": "+12025550188",
    "current_title": "Aviatrix",
    "source": "referral",
}


class TestContract(ConnectorContract):
    unknown_ids: ClassVar = {Kind.APPLICATION: "cand_99999999:job_99999999"}

    def world(self):
        sandbox = new_sandbox()
        sandbox.fill(jobs=3, people=205)
        return World(sandbox, plugin, ACCOUNT)

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
