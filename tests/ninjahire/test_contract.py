from connectors.ninjahire import plugin
from syncd.connector import Delivery
from syncd.contract import Edit, PapersContract, World
from syncd.model import Draft, Kind, Parent, Ref
from tests.ninjahire.world import account, played, signed

NOBODY = "00000000-0000-4000-8000-000000000000"


class TestContract(PapersContract):
    def world(self):
        sandbox = played()
        sandbox.fill(jobs=3, people=57)
        for application in [*sandbox.rows["application"]][:3]:
            sandbox.call(application)
        sandbox.interviews.scheduling.update(dict.fromkeys(sandbox.rows["job"], True))
        return World(sandbox, plugin, account())

    def first(self, world, kind):
        return next(iter(world.sandbox.rows[kind]))

    def not_screened(self, world):
        rows = world.sandbox.rows["application"].values()
        open_ones = (row["id"] for row in rows if row["source_application_status"] == "Interview")
        return Ref(Kind.APPLICATION, next(open_ones))

    def drafts(self, world):
        job, candidate = self.first(world, "job"), self.first(world, "candidate")
        demanded = {
            "title": "Bricklayer", "industry": "Building", "state_name": "NV", "country": "United States",
            "recruiter_name": "Robin Vale", "recruiter_email": "robin.vale@example.test",
            "recruiter_work_phone_no": "+12025550111", "status": "Active", "desc": "Bricks.", "min_pay_rate": 21.5,
        }  # fmt: skip
        person = {
            "first_name": "Wanda", "last_name": "Fictitious", "email": "wanda.fictitious@example.com",
            "phone_no": "+12025550122", "source": "Referral",
        }  # fmt: skip
        parents = {Kind.JOB: Parent(job), Kind.CANDIDATE: Parent(self.last_candidate(world, job, candidate))}
        return (
            Draft(Kind.JOB, demanded, source_id="REQ-881"),
            Draft(Kind.CANDIDATE, person, source_id="C-1942"),
            Draft(Kind.APPLICATION, {"source_application_status": "Interview"}, parents, source_id="A-77"),
        )

    def last_candidate(self, world, job, candidate):
        """Somebody who has not applied for the job."""
        applied = {row["candidate_id"] for row in world.sandbox.rows["application"].values() if row["job_id"] == job}
        return next(id_ for id_ in world.sandbox.rows["candidate"] if id_ not in applied)

    def edits(self, world):
        return (
            Edit(Ref(Kind.JOB, self.first(world, "job")), {"status": "Closed", "city": "Reno"}),
            Edit(Ref(Kind.CANDIDATE, self.first(world, "candidate")), {"phone_no": "+12025550133"}),
            Edit(Ref(Kind.APPLICATION, self.first(world, "application")), {"source_application_status": "Assessment"}),
        )

    def human_edit(self, world):
        world.sandbox.move(self.first(world, "application"), "Somewhere else")

    def genuine(self, world) -> Delivery:
        body = b'{"id":"3e0c5f0e-8a55-4a58-9a39-7c7f1d1f9a10","status":"Hired","candidate_id":null}'
        return signed(body, at=world.clock.now())
