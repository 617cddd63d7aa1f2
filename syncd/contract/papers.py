"""What a connector must keep that can do more than tell and change records: files, remarks, screening, scheduling.

It is the contract of all connectors and, where facts or abilities speak of something, the tests of that. Its own test
gives besides::

    class TestContract(PapersContract):
        def with_resume(self, world): ...  # the application that has a résumé there (for ``HasFiles``)
        def not_screened(self, world): ...  # the application that the system may not act on yet (for ``Screens``)

The sandbox is asked for ``resume_of(id)``: the content of an application's file. The account names the options by which
each form of a remark is taken.
"""

# ruff: noqa: D102  # a test's name is its sentence

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from syncd.connector import Attaches, File, Form, HasFiles, Remark, Remarks, Schedules, Screens
from syncd.contract.scene import Scene, World, lose_writes
from syncd.contract.suite import ConnectorContract, Step
from syncd.errors import OutcomeUnknown, Rejected, Stale
from syncd.model import Kind, Record, Ref
from syncd.sandbox import Fault

CONTENT = b"%PDF-1.4\n" + bytes(range(256)) * 300  # longer than any piece in which it is sent
MARKER = "[sync:0123456789ab]"


def remark_of(form: str, marker: str = MARKER) -> Remark:
    """A remark that somebody may have written to do harm."""
    text = f"Screening by Example: 81.5 of 100\nMade-up <b onclick='x'>words</b> & more\n{marker}"
    return Remark(Form(form), "Screening by Example: 81.5 of 100", text, marker, 81.5)


class PapersContract(ConnectorContract):
    """Inherit, and give what the abilities need."""

    has_papers = True
    link: str | None = None  # where the file may be fetched, for a system that takes an address alone

    # what a system's own test gives

    def with_resume(self, world: World) -> Ref | None:
        """An application with a résumé."""
        return None

    def not_screened(self, world: World) -> Ref:
        """An application that the system may not act on yet."""
        raise NotImplementedError

    def target(self, world: World) -> Ref:
        """The application to which files and remarks go."""
        return min(ref for ref in self.expected(world) if ref.kind is Kind.APPLICATION)

    def job(self, world: World) -> Ref:
        """The job whose scheduling is on."""
        return min(ref for ref in self.expected(world) if ref.kind is Kind.JOB)

    def file(self, content: bytes = CONTENT, size: int | None = None) -> File:
        """A file to be sent, said to be of a size."""

        async def read() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 1000):
                yield content[at : at + 1000]

        return File("1001-a1b2c3.pdf", read, len(content) if size is None else size, self.link)

    def has_arrived(self, world: World, ref: Ref, file: File) -> bool:
        """Whether a file lies with an application."""
        return bool(world.sandbox.resume_of(ref.id) == CONTENT)

    # the calls of the abilities keep what all calls keep

    async def reading(self, scene: Scene) -> list[Step]:
        steps, connector, world = await super().reading(scene), scene.connector, scene.world
        if isinstance(connector, HasFiles) and (ref := self.with_resume(world)) is not None:
            steps.append(("résumé", partial(connector.resume, ref)))
        if isinstance(connector, Remarks):
            record = self.bare(world)
            forms = connector.facts.remarks
            steps += [(f"look for {form}", partial(connector.has_remarked, record, remark_of(form))) for form in forms]
        if isinstance(connector, Schedules):
            steps.append(("is scheduling", partial(connector.is_scheduling, Record(self.job(world), {}))))
        return steps

    def bare(self, world: World) -> Record:
        """The target as a record that tells nothing but what it belongs to."""
        ref = self.target(world)
        kept = world.sandbox.snapshot()["application"][ref.id]
        return Record(ref, {}, {kind: kept[kind] for kind in (Kind.JOB, Kind.CANDIDATE) if kind in kept})

    async def writing(self, scene: Scene) -> list[Step]:
        steps, connector, world = await super().writing(scene), scene.connector, scene.world
        if isinstance(connector, Attaches):
            record = await scene.read(self.target(world))
            steps.append(("attach", partial(connector.attach, record, self.file(), "contract-key")))
        if isinstance(connector, Remarks):
            record = await scene.read(self.target(world))
            forms = connector.facts.remarks
            steps += [(f"remark {form}", partial(connector.remark, record, remark_of(form))) for form in forms]
        if isinstance(connector, Screens):
            steps.append(("screen", partial(connector.screen, await scene.read(self.not_screened(world)))))
        if isinstance(connector, Schedules):
            steps.append(("unschedule", partial(connector.unschedule, await scene.read(self.job(world)))))
        return steps

    def secrets(self, world: World) -> set[str]:
        return super().secrets(world) | {"onclick", "1001-a1b2c3"}

    # facts

    def test_the_facts_speak_of_what_a_connector_can_do(self) -> None:
        async def scene(scene: Scene) -> None:
            facts, connector = scene.connector.facts, scene.connector
            assert (facts.attaches is not None) == isinstance(connector, Attaches)
            assert bool(facts.remarks) == isinstance(connector, Remarks)
            assert set(facts.remarks) <= set(Form)
            assert {option for option in facts.remarks.values() if option} <= set(scene.world.plugin.options)
            assert (facts.screens_by == "leave") == isinstance(connector, Screens)
            assert facts.schedules == isinstance(connector, Schedules)
            told = facts.kinds[Kind.APPLICATION]
            assert not isinstance(connector, HasFiles) or "resume" in told.lists | told.details
            assert "resume" not in {*told.writes, *(told.creates or ())}, "a file goes a way of its own"

        self.play(scene)

    # files that are told

    def test_a_resume_is_streamed_as_it_is(self) -> None:
        async def scene(scene: Scene, connector: HasFiles, ref: Ref) -> None:
            file = await connector.resume(ref)
            assert file is not None
            assert "." in file.name
            for _ in range(2):
                told = b"".join([piece async for piece in file.read()])
                assert told == scene.world.sandbox.resume_of(ref.id)
            assert not scene.wire.writes

        self._play_resume(scene)

    def test_whoever_serves_a_file_sees_nothing_of_the_account(self) -> None:
        async def scene(scene: Scene, connector: HasFiles, ref: Ref) -> None:
            file = await connector.resume(ref)
            assert file is not None
            assert [piece async for piece in file.read()]
            links = [request for request in scene.wire.requests if request.extensions.get("syncd.link")]
            for request in links:
                assert "authorization" not in request.headers
                assert scene.world.account.token not in f"{request.url} {request.headers}"
            assert links or not file.link

        self._play_resume(scene)

    def test_who_is_not_there_has_no_resume(self) -> None:
        async def scene(scene: Scene, connector: HasFiles, ref: Ref) -> None:
            assert await connector.resume(Ref(Kind.APPLICATION, self.unknown_ids.get(ref.kind, "99999999"))) is None

        self._play_resume(scene)

    def _play_resume(self, then: Any) -> None:
        async def scene(scene: Scene) -> None:
            ref = self.with_resume(scene.world)
            if isinstance(scene.connector, HasFiles):
                assert ref is not None, "show an application with a résumé"
                await then(scene, scene.connector, ref)

        self.play(scene)

    # files that are sent

    def test_a_file_arrives_as_it_was_sent_with_one_request(self) -> None:
        async def scene(scene: Scene, connector: Attaches, record: Record) -> None:
            file = self.file()
            assert not await connector.has_attached(record, file.name)
            await self.attached(scene, connector, record, file)
            assert self.has_arrived(scene.world, record.ref, file)

        self._play_attach(scene)

    async def attached(self, scene: Scene, connector: Attaches, record: Record, file: File) -> None:
        """Attach with one write, and again where the system cannot tell whether it has a file: that does no harm."""
        writes, before = len(scene.wire.writes), await self.stages(scene)
        await connector.attach(record, file, "contract-key")
        assert len(scene.wire.writes) == writes + 1
        await scene.settle()
        if not await connector.has_attached(record, file.name):
            await connector.attach(await scene.read(record.ref), file, "another-key")
        assert await self.stages(scene) == before, "a file is no new record, and moves nobody"

    async def stages(self, scene: Scene) -> dict[Ref, Any]:
        """Each record that the walks tell, and where it stands."""
        kinds = scene.connector.facts.kinds
        return {ref: told.fields.get(kinds[ref.kind].stage or "") for ref, told in (await scene.listed()).items()}

    @pytest.mark.parametrize("said", [len(CONTENT) - 1, len(CONTENT) + 1])
    def test_a_file_of_another_length_than_was_said_does_not_arrive(self, said: int) -> None:
        async def scene(scene: Scene, connector: Attaches, record: Record) -> None:
            if self.link is not None:
                return  # the file itself is not sent
            with pytest.raises(Stale):
                await connector.attach(record, self.file(size=said), "contract-key")
            assert not self.has_arrived(scene.world, record.ref, self.file())

        self._play_attach(scene)

    def test_a_file_that_is_too_large_is_not_sent(self) -> None:
        async def scene(scene: Scene, connector: Attaches, record: Record) -> None:
            limits = scene.connector.facts.attaches
            assert limits is not None
            with pytest.raises(Rejected):
                await connector.attach(record, self.file(size=limits.bytes + 1), "contract-key")
            assert not scene.wire.writes

        self._play_attach(scene)

    def _play_attach(self, then: Any) -> None:
        async def scene(scene: Scene) -> None:
            if isinstance(scene.connector, Attaches):
                await then(scene, scene.connector, await scene.read(self.target(scene.world)))

        self.play(scene)

    # remarks

    def test_a_remark_is_one_write_and_is_found_by_its_marker(self) -> None:
        async def scene(scene: Scene, connector: Remarks, record: Record, remark: Remark) -> None:
            writes = len(scene.wire.writes)
            assert not await connector.has_remarked(record, remark)
            await connector.remark(record, remark)
            assert len(scene.wire.writes) == writes + 1
            await scene.settle()
            assert await connector.has_remarked(record, remark)
            assert not await connector.has_remarked(record, remark_of(remark.form, "[sync:ba9876543210]"))

        self._play_remarks(scene)

    def test_no_tag_leaves_with_a_remark_and_no_field_of_a_record_is_touched(self) -> None:
        async def scene(scene: Scene, connector: Remarks, record: Record, remark: Remark) -> None:
            before = {ref: told.fields for ref, told in (await scene.listed()).items()}
            await connector.remark(record, remark)
            assert b"<b onclick" not in scene.wire.writes[-1].content
            assert b"words" in scene.wire.writes[-1].content
            await scene.settle()
            assert {ref: told.fields for ref, told in (await scene.listed()).items()} == before

        self._play_remarks(scene)

    @pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE])
    def test_a_remark_whose_answer_is_lost_is_looked_up(self, fault: Fault) -> None:
        async def scene(scene: Scene, connector: Remarks, record: Record, remark: Remark) -> None:
            scene.world.sandbox.faults = lose_writes(fault)
            with pytest.raises(OutcomeUnknown):
                await connector.remark(record, remark)
            scene.world.sandbox.faults = lambda method, path: None
            await scene.settle()
            assert await connector.has_remarked(record, remark) is (fault is Fault.LOST_AFTER)

        self._play_remarks(scene)

    def _play_remarks(self, then: Any) -> None:
        async def scene(scene: Scene) -> None:
            if isinstance(scene.connector, Remarks):
                for form in scene.connector.facts.remarks:
                    await then(scene, scene.connector, await scene.read(self.target(scene.world)), remark_of(form))

        self.play(scene)

    # screening and scheduling

    def test_a_system_is_let_act_with_one_write_and_the_stage_stays(self) -> None:
        async def scene(scene: Scene) -> None:
            if not isinstance(scene.connector, Screens):
                return
            before = await scene.read(self.not_screened(scene.world))
            assert not await scene.connector.may_screen(before)
            await scene.connector.screen(before)
            assert len(scene.wire.writes) == 1
            await scene.settle()
            after = await scene.read(before.ref)
            assert await scene.connector.may_screen(after)
            stage = scene.connector.facts.kinds[Kind.APPLICATION].stage or ""
            assert after.fields.get(stage) == before.fields.get(stage)

        self.play(scene)

    def test_scheduling_is_switched_off_and_stays_off(self) -> None:
        async def scene(scene: Scene) -> None:
            if not isinstance(scene.connector, Schedules):
                return
            job = await scene.read(self.job(scene.world))
            assert await scene.connector.is_scheduling(job)
            for writes in (1, 2):
                await scene.connector.unschedule(job)
                assert len(scene.wire.writes) == writes
                assert not await scene.connector.is_scheduling(job)

        self.play(scene)
