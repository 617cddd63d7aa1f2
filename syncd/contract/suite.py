"""What every connector must do, whichever system it speaks to: one class that each system's tests inherit.

A connector's own contract test gives a world (its sandbox, filled so that at least one walk has two pages, and an
account), a draft per kind that can be created, an edit per call that it writes with, and one edit by hand::

    class TestContract(ConnectorContract):
        def world(self): ...         # World(sandbox, plugin, account); the sandbox on a frozen SteppedClock, limits=()
        def drafts(self, world): ... # (Draft, …) one per kind whose facts have ``creates``
        def edits(self, world): ...  # (Edit, …) one per kind and call of ``writes``
        def human_edit(self, world): ...  # somebody changes one listed record by hand

The sandbox is asked for ``snapshot()``: kind → id → fields, by the ids that the connector's refs bear. Time is
virtual: each request is paced by ``PACE_S`` seconds of it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from itertools import pairwise
from typing import Any, ClassVar

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.clock import run_stepped
from syncd.connector import (
    LINK,
    Attaches,
    Delivery,
    Finds,
    HasFiles,
    Notice,
    Remarks,
    Schedules,
    Screens,
    Webhooks,
)
from syncd.contract.hostile import ELSEWHERE, Change, Liar, changes
from syncd.contract.scene import (
    Edit,
    Scene,
    Wire,
    World,
    answers,
    known_fields,
    lose_writes,
    raises,
    to_writes,
    told_by,
)
from syncd.errors import (
    AuthFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    SyncdError,
    Taken,
    Unavailable,
)
from syncd.model import Cursor, Draft, Kind, Page, Record, Ref
from syncd.sandbox import Fault

LIMIT = re.compile(r"^[1-9]\d*/([1-9]\d*(s|m|h|d)|day@UTC)$")
NOT_JSON = (b"", b"<html><body>Sign in</body></html>", b'{"data": [{"id": 1, "na', b"\xff\xfe\x00")
WRONG_SHAPES = (b"null", b"true", b"7", b'"text"', b"{}", b'{"unexpected": {"shape": 1}}', b"[[null]]")


Step = tuple[str, Callable[[], Awaitable[Any]]]


class ConnectorContract:
    """Inherit, and give a world, drafts, edits and one edit by hand."""

    paged = True  # False: no list of the system is ever longer than one page
    unknown_ids: ClassVar[dict[Kind, str]] = {}  # ids of the system's form that name nothing; else 99999999
    samples = 6  # records per kind that are read one by one
    rows_alone: ClassVar[frozenset[str]] = frozenset()  # fields that a row tells and a get may leave out
    has_papers = False  # ``PapersContract`` tests what a connector can do beside its records

    # what a system's own test gives

    def world(self) -> World:
        raise NotImplementedError

    def drafts(self, world: World) -> Sequence[Draft]:
        raise NotImplementedError

    def edits(self, world: World) -> Sequence[Edit]:
        raise NotImplementedError

    def human_edit(self, world: World) -> None:
        raise NotImplementedError

    def genuine(self, world: World) -> Delivery | None:
        """A delivery that the system signed for the world's account; None where it signs none."""
        return None

    def expected(self, world: World) -> set[Ref]:
        """All records that the walks must tell."""
        kinds = {kind for walk in world.plugin.facts.walks for kind in walk.kinds}
        snapshot = world.sandbox.snapshot()
        return {Ref(kind, id_) for kind in kinds for id_ in snapshot.get(kind.value, {})}

    # the stage

    def play(self, scene: Callable[[Scene], Awaitable[None]]) -> None:
        world = self.world()

        async def run() -> None:
            wire = Wire(world.sandbox, world.clock)
            async with httpx.AsyncClient(transport=wire) as client:
                await scene(Scene(world, wire, world.plugin.connect(world.account, client, world.clock)))

        run_stepped(world.clock, run())

    async def reading(self, scene: Scene) -> list[Step]:
        """Each way in which the connector reads and understands an answer."""
        connector = scene.connector
        steps: list[Step] = [(f"pull {walk.name}", partial(scene.pages, walk)) for walk in connector.facts.walks]
        one_each = {ref.kind: ref for ref in sorted(self.expected(scene.world))}
        steps += [(f"get {ref.kind}", partial(connector.get, ref)) for ref in one_each.values()]
        if isinstance(connector, Finds):
            now = scene.world.clock.now()
            drafts = self.drafts(scene.world)
            steps += [(f"find {draft.kind}", partial(connector.find, draft, now)) for draft in drafts]
        return steps

    async def writing(self, scene: Scene) -> list[Step]:
        """Each write, with its target read beforehand."""
        connector = scene.connector
        steps: list[Step] = [
            (f"create {draft.kind}", partial(connector.create, draft, "contract-key"))
            for draft in self.drafts(scene.world)
        ]
        for edit in self.edits(scene.world):
            record = await scene.read(edit.ref)
            name = f"update {edit.ref.kind} {sorted(edit.fields)}"
            steps.append((name, partial(connector.update, record, edit.fields)))
        return steps

    async def all_raise(
        self, scene: Scene, steps: Sequence[Step], expected: type[SyncdError] | tuple[type[SyncdError], ...]
    ) -> list[SyncdError]:
        """Take each step; each must raise the expected error, whose text gives nobody and nothing away."""
        raised = []
        for name, step in steps:
            try:
                result = await step()
            except expected as error:
                self.assert_discreet(scene, error, name)
                raised.append(error)
            else:
                pytest.fail(f"{name} did not raise {expected}, but told {type(result).__name__}")
        return raised

    def assert_discreet(self, scene: Scene, error: SyncdError, name: str) -> None:
        text = str(error).casefold()
        for secret in self.secrets(scene.world):
            assert secret.casefold() not in text, f"the error of {name} holds a person's data or a token"

    def secrets(self, world: World) -> set[str]:
        """What no error may hold: the token, and each name, mail and phone of the drafts and the edits."""
        people = [draft.person for draft in self.drafts(world)]
        people += [draft.fields for draft in self.drafts(world) if draft.kind is Kind.CANDIDATE]
        people += [edit.fields for edit in self.edits(world) if edit.ref.kind is Kind.CANDIDATE]
        values = {value for fields in people for value in fields.values() if isinstance(value, str)}
        return {value for value in values if len(value) > 3} | {world.account.token}

    # facts

    def test_facts_name_each_kind_that_a_walk_tells(self) -> None:
        facts = self.world().plugin.facts
        assert facts.system
        assert facts.walks
        assert {kind for walk in facts.walks for kind in walk.kinds} == set(facts.kinds)
        assert len({walk.name for walk in facts.walks}) == len(facts.walks)
        assert all(walk.end for walk in facts.walks), "each walk says how its end is proven"

    def test_facts_of_a_kind_agree_with_each_other(self) -> None:
        facts = self.world().plugin.facts
        for kind, of_kind in facts.kinds.items():
            known = known_fields(of_kind)
            assert not of_kind.lists & of_kind.details, f"{kind}: details are what only a get tells"
            assert set(of_kind.writes) <= known, f"{kind}: writes a field that is never spoken of"
            assert all(of_kind.writes.values()), f"{kind}: each written field names its call"
            assert (of_kind.creates or frozenset()) <= known, f"{kind}: creates with an unknown field"
            assert set(of_kind.born) <= of_kind.lists | of_kind.details, f"{kind}: born with a field that is never told"
            assert not set(of_kind.born) & (of_kind.creates or frozenset()), f"{kind}: what a create bears is not born"
            assert of_kind.may_empty <= set(of_kind.writes) | (of_kind.creates or frozenset())
            for word in (of_kind.stage, of_kind.status):
                assert word is None or word in of_kind.lists | of_kind.details, f"{kind}: its stage or status is untold"

    def test_what_a_create_demands_is_what_it_bears(self) -> None:
        facts = self.world().plugin.facts
        for kind, of_kind in facts.kinds.items():
            of_person = {name.removeprefix("person.") for name in of_kind.demands if name.startswith("person.")}
            own = {name for name in of_kind.demands if not name.startswith("person.")}
            assert own <= (of_kind.creates or frozenset()), f"{kind}: demands what it does not bear"
            assert not of_person or of_kind.bears_person, f"{kind}: demands a person's field and bears no person"
            assert of_person <= known_fields(facts.kinds[Kind.CANDIDATE])
            assert of_kind.bears_person <= (kind is Kind.APPLICATION), f"{kind}: only an application bears a person"
            assert of_kind.only_newborn <= of_kind.bears_person

    def test_limits_are_written_as_in_the_config(self) -> None:
        assert all(LIMIT.match(rule) for rule in self.world().plugin.facts.limits)

    def test_the_samples_show_each_create_and_each_call(self) -> None:
        world = self.world()
        kinds = world.plugin.facts.kinds
        creatable = {kind for kind, facts in kinds.items() if facts.creates is not None}
        assert {draft.kind for draft in self.drafts(world)} == creatable
        calls = {(kind, call) for kind, facts in kinds.items() for call in facts.writes.values()}
        shown = [
            (edit.ref.kind, {kinds[edit.ref.kind].writes[name] for name in edit.fields}) for edit in self.edits(world)
        ]
        assert all(len(used) == 1 for _, used in shown), "an edit has the fields of one call"
        assert {(kind, *used) for kind, used in shown} == calls

    def test_what_a_connector_can_do_beside_its_records_is_tested_too(self) -> None:
        async def scene(scene: Scene) -> None:
            abilities = (Attaches, HasFiles, Remarks, Schedules, Screens)
            can = [ability.__name__ for ability in abilities if isinstance(scene.connector, ability)]
            assert self.has_papers or not can, f"inherit PapersContract, for it can {can}"

        self.play(scene)

    # walks

    def test_check_takes_a_good_token(self) -> None:
        async def scene(scene: Scene) -> None:
            await scene.connector.check()
            assert not scene.wire.writes

        self.play(scene)

    def test_walks_tell_each_record_exactly_once(self) -> None:
        async def scene(scene: Scene) -> None:
            for walk in scene.connector.facts.walks:
                refs = [record.ref for record in told_by(await scene.pages(walk))]
                assert len(refs) == len(set(refs)), f"the walk {walk.name} tells a record twice"
                expected = {ref for ref in self.expected(scene.world) if ref.kind in walk.kinds}
                assert set(refs) == expected, f"the walk {walk.name} misses or invents records"
            assert not scene.wire.writes

        self.play(scene)

    def test_only_the_last_page_of_a_walk_has_no_next(self) -> None:
        async def scene(scene: Scene) -> None:
            lengths = []
            for walk in scene.connector.facts.walks:
                pages = await scene.pages(walk)
                assert pages, f"the walk {walk.name} told no page"
                assert pages[-1].next is None
                assert all(page.next for page in pages[:-1])
                lengths.append(len(pages))
            assert not self.paged or max(lengths) > 1, "fill the world until one walk has two pages"

        self.play(scene)

    def test_a_walk_resumed_by_a_pages_next_tells_the_rest(self) -> None:
        async def scene(scene: Scene) -> None:
            for walk in scene.connector.facts.walks:
                pages = await scene.pages(walk)
                for before, after in pairwise(pages):
                    rest = await scene.pages(walk, Cursor(token=before.next))
                    behind = {record.ref for record in told_by(pages[pages.index(after) :])}
                    resumed = {record.ref for record in told_by(rest)}
                    assert behind <= resumed <= {record.ref for record in told_by(pages)}
                    assert rest[-1].next is None

        self.play(scene)

    def test_rows_tell_no_field_that_the_facts_do_not_know(self) -> None:
        async def scene(scene: Scene) -> None:
            kinds = scene.connector.facts.kinds
            for record in (await scene.listed()).values():
                facts = kinds[record.ref.kind]
                assert set(record.fields) <= facts.lists | facts.details, f"{record.ref.kind}: an unknown field is told"
                assert facts.stage is None or isinstance(record.fields.get(facts.stage), str)

        self.play(scene)

    def test_the_facts_say_which_fields_a_row_tells_and_which_only_a_get(self) -> None:
        async def scene(scene: Scene) -> None:
            listed = await scene.listed()
            got = [await scene.read(record.ref) for record in self.sample(listed)]
            for kind, facts in scene.connector.facts.kinds.items():
                in_rows = {name for record in listed.values() if record.ref.kind is kind for name in record.fields}
                in_gets = {name for record in got if record.ref.kind is kind for name in record.fields}
                assert in_rows <= facts.lists, f"{kind}: a row tells what is not in ``lists``"
                assert not (in_gets - in_rows) & facts.lists, f"{kind}: only a get tells what is in ``lists``"
                assert in_gets <= facts.lists | facts.details, f"{kind}: a get tells an unknown field"

        self.play(scene)

    def test_parents_of_a_record_are_records_too(self) -> None:
        async def scene(scene: Scene) -> None:
            listed = await scene.listed()
            for record in listed.values():
                for kind, parent in record.parents.items():
                    assert Ref(kind, parent) in listed, f"a parent of {record.ref.kind} is nowhere told"
                if record.ref.kind is Kind.APPLICATION:
                    assert set(record.parents) >= {Kind.JOB, Kind.CANDIDATE}

        self.play(scene)

    def test_an_unchanged_list_has_equal_pages(self) -> None:
        async def scene(scene: Scene) -> None:
            for walk in scene.connector.facts.walks:
                first, again = await scene.pages(walk), await scene.pages(walk)
                assert [page.digest for page in first] == [page.digest for page in again]
                assert [page.next for page in first] == [page.next for page in again]

        self.play(scene)

    def test_an_edit_by_hand_changes_a_pages_digest_and_records(self) -> None:
        async def scene(scene: Scene) -> None:
            async def digests() -> set[str]:
                return {page.digest for walk in scene.connector.facts.walks for page in await scene.pages(walk)}

            pages, records = await digests(), await scene.listed()
            self.human_edit(scene.world)
            assert await digests() != pages
            assert await scene.listed() != records

        self.play(scene)

    def test_a_walk_over_a_server_that_repeats_itself_ends(self) -> None:
        async def scene(scene: Scene) -> None:
            for walk in scene.connector.facts.walks:
                scene.wire.repeat()
                try:
                    await scene.pages(walk)
                except Unavailable:
                    continue

        self.play(scene)

    # get

    def test_get_tells_what_the_list_tells(self) -> None:
        async def scene(scene: Scene) -> None:
            kinds = scene.connector.facts.kinds
            for record in self.sample(await scene.listed()):
                got = await scene.read(record.ref)
                listed = {
                    name: record.fields[name] for name in set(record.fields) - (self.rows_alone - set(got.fields))
                }
                told = {name: got.fields.get(name, "(untold)") for name in listed}
                assert told == listed, f"{record.ref.kind}: get and list tell unlike values"
                facts = kinds[record.ref.kind]
                assert set(got.fields) <= facts.lists | facts.details
                assert dict(got.parents) == dict(record.parents)

        self.play(scene)

    def test_all_that_a_get_tells_agrees_with_the_lists(self) -> None:
        async def scene(scene: Scene) -> None:
            listed = await scene.listed()
            for record in self.sample(listed):
                for told in await scene.connector.get(record.ref):
                    beside = listed[told.ref].fields
                    both = set(told.fields) & set(beside)
                    assert {name: told.fields[name] for name in both} == {name: beside[name] for name in both}

        self.play(scene)

    def test_list_get_list_of_an_unchanged_record_agree(self) -> None:
        async def scene(scene: Scene) -> None:
            before = await scene.listed()
            for record in self.sample(before):
                assert await scene.connector.get(record.ref) == await scene.connector.get(record.ref)
            assert await scene.listed() == before
            assert not scene.wire.writes

        self.play(scene)

    def test_get_of_an_unknown_id_is_empty(self) -> None:
        async def scene(scene: Scene) -> None:
            for kind in scene.connector.facts.kinds:
                assert await scene.connector.get(Ref(kind, self.unknown_ids.get(kind, "99999999"))) == ()

        self.play(scene)

    def sample(self, listed: dict[Ref, Record]) -> list[Record]:
        """A few records of each kind, from both ends of the list."""
        chosen = []
        for kind in Kind:
            of_kind = [record for ref, record in listed.items() if ref.kind is kind]
            chosen += of_kind[: self.samples // 2] + of_kind[self.samples // 2 :][-self.samples // 2 :]
        return chosen

    # create

    def test_a_create_is_one_write_and_is_told_by_a_get(self) -> None:
        async def scene(scene: Scene) -> None:
            for draft in self.drafts(scene.world):
                writes, known = len(scene.wire.writes), self.expected(scene.world)
                told = await scene.connector.create(draft, "contract-key")
                assert len(scene.wire.writes) == writes + 1, f"a create of {draft.kind} is one write"
                born = {ref for ref in self.expected(scene.world) - known if ref.kind is draft.kind}
                assert len(born) == 1, f"a create of {draft.kind} makes one of it"
                assert {record.ref for record in told if record.ref.kind is draft.kind} <= born
                await scene.settle()
                self.assert_bears(scene, draft, await scene.read(born.pop()))

        self.play(scene)

    def assert_bears(self, scene: Scene, draft: Draft, record: Record) -> None:
        facts = scene.connector.facts.kinds[draft.kind]
        borne = {name for name in draft.fields if name in (facts.creates or ())} - facts.untold
        assert {name: record.fields.get(name) for name in borne} == {name: draft.fields[name] for name in borne}
        assert {name: record.fields.get(name) for name in facts.born} == dict(facts.born), "born as the facts say"
        for kind, parent in draft.parents.items():
            assert record.parents.get(kind) == parent.id
        assert not facts.keeps_source_id or record.source_id == draft.source_id

    def test_a_create_is_found_again(self) -> None:
        async def scene(scene: Scene) -> None:
            for draft, finder in self.found_again(scene):
                since = scene.world.clock.now()
                assert not self.of_kind(draft, await finder.find(draft, since)), "it is not there before"
                told = self.of_kind(draft, await scene.connector.create(draft, "contract-key"))
                await scene.settle()
                found = self.of_kind(draft, await finder.find(draft, since))
                assert len(found) == 1, f"find tells {len(found)} of the {draft.kind} just made"
                assert not told or [record.ref for record in told] == [record.ref for record in found]

        self.play(scene)

    @pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ERROR_AFTER])
    def test_a_create_whose_answer_is_lost_is_unknown_and_found_once(self, fault: Fault) -> None:
        self.play(lambda scene: self.lose_creates(scene, fault, found=1))

    @pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_BEFORE])
    def test_a_create_that_never_arrived_is_unknown_and_not_found(self, fault: Fault) -> None:
        self.play(lambda scene: self.lose_creates(scene, fault, found=0))

    async def lose_creates(self, scene: Scene, fault: Fault, *, found: int) -> None:
        for draft, finder in self.found_again(scene):
            since, writes = scene.world.clock.now(), len(scene.wire.writes)
            scene.world.sandbox.faults = lose_writes(fault)
            with pytest.raises(OutcomeUnknown) as caught:
                await scene.connector.create(draft, "contract-key")
            self.assert_discreet(scene, caught.value, f"create {draft.kind}")
            assert len(scene.wire.writes) == writes + 1, "a write is never sent again by a connector"
            scene.world.sandbox.faults = lambda method, path: None
            await scene.settle()
            assert len(self.of_kind(draft, await finder.find(draft, since))) == found

    def found_again(self, scene: Scene) -> list[tuple[Draft, Finds]]:
        """Each draft, with who looks up what became of it."""
        drafts = self.drafts(scene.world)
        if isinstance(scene.connector, Finds):
            return [(draft, scene.connector) for draft in drafts]
        assert not drafts, "what cannot be looked up cannot be created: a lost answer would never be understood"
        return []

    @staticmethod
    def of_kind(draft: Draft, records: Sequence[Record]) -> list[Record]:
        return [record for record in records if record.ref.kind is draft.kind]

    # update

    def test_an_update_is_one_write_and_is_told_by_the_next_get(self) -> None:
        async def scene(scene: Scene) -> None:
            for edit in self.edits(scene.world):
                record = await scene.read(edit.ref)
                assert not self.tells(scene, record, edit), "the sample edit changes something"
                seen, writes = len(scene.wire.requests), len(scene.wire.writes)
                told = await scene.connector.update(record, edit.fields)
                assert len(scene.wire.writes) == writes + 1, f"an update of {sorted(edit.fields)} is one write"
                assert len(scene.wire.requests) == seen + 1, "what an update looks up is cached by the get before"
                assert told is None or told.ref == edit.ref
                await scene.settle()
                assert self.tells(scene, await scene.read(edit.ref), edit)

        self.play(scene)

    def test_an_update_changes_nothing_else(self) -> None:
        async def scene(scene: Scene) -> None:
            for edit in self.edits(scene.world):
                before = await scene.listed()
                await scene.connector.update(await scene.read(edit.ref), edit.fields)
                await scene.settle()
                after = await scene.listed()
                assert set(after) == set(before)
                others = {ref for ref in before if before[ref].fields != after[ref].fields} - {edit.ref}
                assert not others, f"an update of {sorted(edit.fields)} changed {len(others)} other records"

        self.play(scene)

    @pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ERROR_AFTER, Fault.LOST_BEFORE, Fault.ERROR_BEFORE])
    def test_an_update_whose_answer_is_lost_is_unknown_and_not_sent_again(self, fault: Fault) -> None:
        async def scene(scene: Scene) -> None:
            for edit in self.edits(scene.world):
                record, writes = await scene.read(edit.ref), len(scene.wire.writes)
                scene.world.sandbox.faults = lose_writes(fault)
                with pytest.raises(OutcomeUnknown) as caught:
                    await scene.connector.update(record, edit.fields)
                self.assert_discreet(scene, caught.value, f"update {edit.ref.kind}")
                assert len(scene.wire.writes) == writes + 1
                scene.world.sandbox.faults = lambda method, path: None
                await scene.settle()
                took = fault in {Fault.LOST_AFTER, Fault.ERROR_AFTER}
                assert self.tells(scene, await scene.read(edit.ref), edit) is took

        self.play(scene)

    @staticmethod
    def tells(scene: Scene, record: Record, edit: Edit) -> bool:
        untold = scene.connector.facts.kinds[edit.ref.kind].untold
        return all(record.fields.get(name) == value for name, value in edit.fields.items() if name not in untold)

    # errors

    def test_a_refused_token_pauses_the_connection(self) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = answers(401, b'{"error": "no"}')
            steps = [("check", scene.connector.check), *await self.reading(scene), *writing]
            await self.all_raise(scene, steps, AuthFailed)

        self.play(scene)

    def test_a_wrong_token_is_refused_by_the_sandbox_too(self) -> None:
        async def scene(scene: Scene) -> None:
            scene.world.sandbox.tokens = ("another-token",)
            await self.all_raise(scene, [("check", scene.connector.check), *await self.reading(scene)], AuthFailed)

        self.play(scene)

    def test_a_rate_limit_tells_when_to_go_on(self) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = answers(429, b'{"error": "slow down"}', Retry_After="7")
            errors = await self.all_raise(scene, [*await self.reading(scene), *writing], RateLimited)
            assert {error.retry_after_s for error in errors if isinstance(error, RateLimited)} == {7.0}

        self.play(scene)

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_error_is_later_for_a_read_and_unknown_for_a_write(self, status: int) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = answers(status, b"<html>Sorry</html>")
            await self.all_raise(scene, await self.reading(scene), Unavailable)
            scene.wire.instead = to_writes(answers(status, b"<html>Sorry</html>"))
            await self.all_raise(scene, writing, OutcomeUnknown)

        self.play(scene)

    @pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
    def test_a_connection_that_dies_is_later_for_a_read_and_unknown_for_a_write(
        self, error: type[httpx.HTTPError]
    ) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = raises(error)
            await self.all_raise(scene, await self.reading(scene), Unavailable)
            scene.wire.instead = to_writes(raises(error))
            await self.all_raise(scene, writing, OutcomeUnknown)

        self.play(scene)

    def test_a_refused_connection_did_not_send(self) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = raises(httpx.ConnectError)
            await self.all_raise(scene, [*await self.reading(scene), *writing], NotSent)

        self.play(scene)

    @pytest.mark.parametrize("body", NOT_JSON + WRONG_SHAPES)
    def test_a_good_status_with_a_wrong_body_is_no_answer_to_a_read(self, body: bytes) -> None:
        async def scene(scene: Scene) -> None:
            scene.wire.instead = answers(200, body, Content_Type="application/json")
            await self.all_raise(scene, await self.reading(scene), Unavailable)

        self.play(scene)

    @pytest.mark.parametrize("body", NOT_JSON + WRONG_SHAPES)
    def test_a_good_status_with_a_wrong_body_leaves_a_create_unknown(self, body: bytes) -> None:
        async def scene(scene: Scene) -> None:
            creates = [step for step in await self.writing(scene) if step[0].startswith("create")]
            scene.wire.instead = to_writes(answers(201, body, Content_Type="application/json"))
            await self.all_raise(scene, creates, OutcomeUnknown)

        self.play(scene)

    @pytest.mark.parametrize("body", NOT_JSON + WRONG_SHAPES)
    def test_a_good_status_with_a_wrong_body_tells_nothing_of_an_update(self, body: bytes) -> None:
        async def scene(scene: Scene) -> None:
            updates = [step for step in await self.writing(scene) if step[0].startswith("update")]
            scene.wire.instead = to_writes(answers(200, body, Content_Type="application/json"))
            for name, step in updates:
                try:
                    assert await step() is None, f"{name} made something of nonsense"
                except OutcomeUnknown as error:
                    self.assert_discreet(scene, error, name)

        self.play(scene)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, status: int) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            scene.wire.instead = answers(status, Location=f"https://{ELSEWHERE}/take")
            await self.all_raise(scene, await self.reading(scene), Unavailable)
            scene.wire.instead = to_writes(answers(status, Location=f"https://{ELSEWHERE}/take"))
            await self.all_raise(scene, writing, OutcomeUnknown)
            assert ELSEWHERE not in {request.url.host for request in scene.wire.requests}

        self.play(scene)

    def test_a_refusal_that_echoes_the_person_is_told_without_her_data(self) -> None:
        async def scene(scene: Scene) -> None:
            writing = await self.writing(scene)
            said = ", ".join(sorted(self.secrets(scene.world)))
            words = dict.fromkeys(("error", "message", "detail", "title"), said)
            body = orjson.dumps({**words, "messages": [said], "errors": [{"message": said, "field": said}]})
            for status in (400, 422):
                scene.wire.instead = to_writes(answers(status, body, Content_Type="application/json"))
                await self.all_raise(scene, writing, (Rejected, Taken))

        self.play(scene)

    # lies

    def test_whatever_is_answered_is_data_or_an_error_that_says_what_to_do_next(self) -> None:
        """No answer upsets a connector, keeps it for ever, or leads it (and its token) elsewhere."""
        world = self.world()

        @settings(max_examples=settings().max_examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(step=st.integers(0, 99), change=changes(), first=st.integers(0, 3), for_ever=st.booleans())
        def lie(step: int, change: Change, first: int, for_ever: bool) -> None:  # noqa: FBT001  # hypothesis names it
            asked = self.lied_to(world, step, Liar(change, first, for_ever=for_ever))
            if asked <= first:  # so few that all were answered genuinely
                self.lied_to(world, step, Liar(change, 0, for_ever=for_ever))

        lie()

    def lied_to(self, world: World, number: int, liar: Liar) -> int:
        """One call of a new connector, some of whose answers are lies; how many requests it made."""
        wire = Wire(world.sandbox, world.clock)

        async def run() -> None:
            async with httpx.AsyncClient(transport=wire) as client:
                scene = Scene(world, wire, world.plugin.connect(world.account, client, world.clock))
                steps = [("check", scene.connector.check), *await self.reading(scene), *await self.writing(scene)]
                name, step = steps[number % len(steps)]
                wire.liar = liar
                try:
                    self.assert_plain(await step(), name)
                except SyncdError as error:
                    self.assert_discreet(scene, error, name)

        run_stepped(world.clock, run())
        home = httpx.URL(world.account.base_url)
        for request in wire.requests:
            if (request.url.scheme, request.url.host, request.url.port) != (home.scheme, home.host, home.port):
                assert request.extensions.get(LINK), f"{request.method} to another server than the account's own"
                assert world.account.token not in f"{request.url} {request.headers}", "the token went elsewhere"
        return liar.seen

    def assert_plain(self, told: Any, name: str) -> None:
        """What was made of a lie is at least of the seam's own types."""
        for each in told if isinstance(told, list | tuple) else [told]:
            records = each.records if isinstance(each, Page) else (each,)
            for record in records:
                if isinstance(record, Record):
                    assert isinstance(record.ref.id, str), f"{name} told an id that is no text"
                    assert record.ref.id, f"{name} told an empty id"
                    assert all(isinstance(id_, str) and id_ for id_ in record.parents.values()), name
                    orjson.dumps(dict(record.fields))

    # the sandbox

    def test_the_sandbox_does_all_its_work_in_the_loop(self) -> None:
        """On a thread its work would not be seen by the stepped clock, which would jump meanwhile."""
        app = self.world().sandbox.app
        work = [*(route.endpoint for route in app.routes), *app.exception_handlers.values()]
        assert len(work) > 5
        for each in work:
            inner = each.func if isinstance(each, partial) else each
            assert iscoroutinefunction(inner), f"{inner} is run on a thread"

    # webhooks

    def test_the_facts_tell_of_webhooks_where_there_are_any_and_what_signs_them(self) -> None:
        async def scene(scene: Scene) -> None:
            hooks, delivery = scene.connector.facts.hooks, self.genuine(scene.world)
            assert (hooks is not None) == isinstance(scene.connector, Webhooks)
            if hooks is not None and delivery is not None:
                account = replace(scene.world.account, webhook_secrets=())
                async with httpx.AsyncClient(transport=scene.wire) as client:
                    without = scene.world.plugin.connect(account, client, scene.world.clock)
                assert isinstance(without, Webhooks)
                assert (without.verify(delivery) is not None) == (hooks.key == "token")

        self.play(scene)

    def test_verify_gives_a_verdict_on_any_bytes_and_headers(self) -> None:
        async def scene(scene: Scene) -> None:
            if not isinstance(scene.connector, Webhooks):
                assert self.genuine(scene.world) is None, "this system sends no webhooks, so it signs none"
                return
            hook = scene.connector
            known = self.genuine(scene.world)
            names = st.sampled_from(sorted(known.headers) if known else ["x-signature"]) | st.text(max_size=20)
            bodies = st.binary(max_size=200) | st.just(known.body if known else b"{}")

            @settings(max_examples=max(150, settings().max_examples), deadline=None)
            @given(bodies, st.dictionaries(names, st.text(max_size=80), max_size=4), st.none() | st.text(max_size=20))
            def judge(body: bytes, headers: dict[str, str], event: str | None) -> None:
                notice = hook.verify(Delivery(body, headers, event, scene.world.clock.now()))
                assert notice is None or (isinstance(notice, Notice) and not notice.refs), "made up, and believed"

            judge()

        self.play(scene)

    @pytest.mark.parametrize("known", [{}, {"webhook_secrets": ()}], ids=["as configured", "without a secret"])
    def test_an_unsigned_delivery_is_never_genuine_though_its_address_be_secret(self, known: dict[str, Any]) -> None:
        async def scene(scene: Scene) -> None:
            if not isinstance(scene.connector, Webhooks):
                assert self.genuine(scene.world) is None, "this system sends no webhooks, so it signs none"
                return
            account = replace(scene.world.account, webhook_path_secret="door", **known)
            async with httpx.AsyncClient(transport=scene.wire) as client:
                hook = scene.world.plugin.connect(account, client, scene.world.clock)
            assert isinstance(hook, Webhooks)
            signed = self.genuine(scene.world)
            for body in (b"", signed.body if signed else b"{}"):
                assert hook.verify(Delivery(body, {}, "door", scene.world.clock.now())) is None

        self.play(scene)

    def test_a_genuine_delivery_with_any_byte_changed_is_refused(self) -> None:
        async def scene(scene: Scene) -> None:
            delivery = self.genuine(scene.world)
            if not isinstance(scene.connector, Webhooks):
                assert delivery is None, "this system sends no webhooks, so it signs none"
                return
            assert delivery is not None, "a system that sends webhooks shows a signed one here"
            assert scene.connector.verify(delivery) is not None
            for at in range(len(delivery.body)):
                body = bytearray(delivery.body)
                body[at] ^= 1
                flipped = Delivery(bytes(body), delivery.headers, delivery.event, delivery.received_at)
                assert scene.connector.verify(flipped) is None, f"byte {at} was changed, and nobody saw it"

        self.play(scene)
