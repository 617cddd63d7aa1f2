"""HireSquire keeps the contract of all connectors, as it is and in the other shapes that its answers may have."""

from syncd.contract import ConnectorContract, Edit, World
from syncd.model import Kind, Ref
from tests.hiresquire.world import ACCOUNT, new_sandbox, plugin, signed


class TestContract(ConnectorContract):
    shape = "flat"

    def world(self):
        sandbox = new_sandbox(shape=self.shape)
        sandbox.fill(jobs=2, people=105)
        return World(sandbox, plugin, ACCOUNT)

    def drafts(self, world):
        return ()  # candidates are born from batches alone

    def edits(self, world):
        return (
            Edit(Ref(Kind.APPLICATION, next(iter(world.sandbox.snapshot()["application"]))), {"status": "shortlisted"}),
        )

    def human_edit(self, world):
        world.sandbox.move(next(iter(world.sandbox.snapshot()["application"])), "interviewing")

    def genuine(self, world):
        body = b'{"event":"candidate.hired","job_id":123,"candidate":{"id":1,"status":"hired"}}'
        return signed(body, world.clock.now())

    def test_parents_of_a_record_are_records_too(self):
        """A batch is none of our jobs and a person is no record here, so an application has no parents."""

        async def scene(scene):
            listed = await scene.listed()
            for record in listed.values():
                parents = {Kind.APPLICATION: record.ref.id} if record.ref.kind is Kind.SCREENING else {}
                assert record.parents == parents
                assert all(Ref(kind, parent) in listed for kind, parent in parents.items())

        self.play(scene)

    def test_what_a_create_demands_is_what_it_bears(self):
        """Nothing can be created by itself, so nothing is demanded, and a person is no kind here."""
        kinds = self.world().plugin.facts.kinds
        assert not any(facts.creates or facts.demands or facts.bears_person for facts in kinds.values())


class TestEnveloped(TestContract):
    shape = "enveloped"
