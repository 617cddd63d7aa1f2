"""What systems tell becomes rows: cursors, pages, absence, defaults that come back, and views that tell less."""

from dataclasses import replace

import pytest

from connectors.memory import FACTS
from syncd import pull, schema
from syncd.facts import KindFacts
from syncd.model import Ref
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, START, application, digest, job, person, row

WALK = "rows"  # the walk with a change filter
HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1"), application("a1", "p1", "q1"))


@pytest.fixture
def world(small):
    """One person on one job, known at both ends and in step."""
    world = small("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    assert (world.intents(), world.holds()) == ([], set())
    world.later(100.0)
    return world


def walked(world, *pages, name="rows", walk=WALK, sweep=True, served_at=None):
    """A whole walk of pages; the refs that it did not tell."""
    world.begin(name, walk, sweep=sweep)
    since = world.cursor(name, walk).since
    for number, records in enumerate(pages):
        follows = str(number + 1) if number + 1 < len(pages) else None
        position = str(number) if number else ""
        world.listed(name, walk, records, position=position, next=follows, since=since, served_at=served_at)
    return world.end(name, walk, len(pages))


def changed_at(seconds, id_="1", **fields):
    return row(id_, "h1", updated_at=START + seconds, **fields)


# --- the cursor -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "served_at", "cursor"),
    [([10.0, 30.0, 20.0], 100.0, 30.0), ([10.0, 130.0], 100.0, 100.0), ([10.0], None, 10.0)],
    ids=["the last change seen", "not beyond the server's clock at the first answer", "no server clock is told"],
)
def test_the_cursor_is_the_lesser_of_the_last_change_and_the_servers_clock(world, changes, served_at, cursor):
    """A change while the walk went by may stand on a page that was read before it."""
    rows = [record for number, at in enumerate(changes) for record in changed_at(at, str(number), email=f"{at}@x.test")]
    walked(world, tuple(rows), served_at=served_at and START + served_at)
    assert world.cursor("rows", WALK).cursor == START + cursor


def test_the_cursor_does_not_move_before_the_end_is_proven(world):
    world.begin("rows", WALK)
    world.listed("rows", WALK, changed_at(50.0), next="1", served_at=START + 90)
    assert world.cursor("rows", WALK).cursor is None
    world.listed("rows", WALK, changed_at(60.0), position="1", served_at=START + 95)
    assert world.cursor("rows", WALK).cursor is None
    world.end("rows", WALK)
    assert world.cursor("rows", WALK).cursor == START + 60


def test_the_servers_clock_of_the_first_answer_counts_not_that_of_the_last(world):
    world.begin("rows", WALK)
    world.listed("rows", WALK, changed_at(50.0), next="1", served_at=START + 90)
    world.listed("rows", WALK, changed_at(99.0), position="1", served_at=START + 200)
    world.end("rows", WALK)
    assert world.cursor("rows", WALK).cursor == START + 90


def test_the_servers_clock_of_the_first_answer_counts_though_that_page_was_unchanged(world):
    """Changed while page one was behind us and page two before us: the next poll must begin before that."""
    walked(world, changed_at(10.0, "1"), changed_at(20.0, "2", email="b@x.test"), served_at=START + 90)
    world.later(1000.0)
    world.begin("rows", WALK)
    world.listed("rows", WALK, changed_at(10.0, "1"), next="1", served_at=START + 1000)
    world.listed("rows", WALK, changed_at(1500.0, "2", email="b@x.test"), position="1", served_at=START + 1600)
    world.end("rows", WALK)
    assert world.cursor("rows", WALK).cursor <= START + 1000


def test_the_cursor_never_moves_back(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    walked(world, changed_at(10.0), sweep=True, served_at=START + 95)
    assert world.cursor("rows", WALK).cursor == START + 80


def test_a_walk_that_told_nothing_leaves_the_cursor(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    walked(world, (), sweep=False, served_at=START + 99)
    assert world.cursor("rows", WALK).cursor == START + 80


def test_a_broken_walk_leaves_the_cursor_and_proves_nothing(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    swept_at = world.cursor("rows", WALK).swept_at
    world.later(50.0)
    world.begin("rows", WALK)
    world.listed("rows", WALK, changed_at(95.0), next="1", served_at=START + 140)
    world.store.run_now(abandon, "rows", WALK)
    cursor = world.cursor("rows", WALK)
    assert (cursor.cursor, cursor.swept_at, cursor.mode, cursor.token) == (START + 80, swept_at, "idle", None)


def abandon(connection, name, walk):

    pull.abandon_walk(connection, name, walk, "no answer", START + 500)


def test_the_next_poll_begins_an_overlap_before_the_cursor(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    world.begin("rows", WALK, sweep=False)
    cursor = world.cursor("rows", WALK)
    assert (cursor.mode, cursor.since) == ("poll", START + 80 - 5.0)


def test_a_list_without_a_change_filter_is_always_walked_whole(world):
    walked(world, (person("q1"),), name="plain", walk="candidates", served_at=START + 90)
    world.begin("plain", "candidates", sweep=False)
    cursor = world.cursor("plain", "candidates")
    assert (cursor.mode, cursor.since) == ("sweep", None)


def test_before_the_first_sweep_a_poll_is_a_sweep(small):
    world = small("rows", "plain")
    world.begin("rows", WALK, sweep=False)
    assert world.cursor("rows", WALK).mode == "sweep"


def test_a_sweep_takes_the_place_of_a_poll_and_a_poll_never_that_of_a_sweep(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    numbers = []
    for sweep in (False, True, False):
        world.begin("rows", WALK, sweep=sweep)
        cursor = world.cursor("rows", WALK)
        numbers.append((cursor.mode, cursor.walk_no))
    assert numbers == [("poll", 2), ("sweep", 3), ("sweep", 3)]


def test_rows_before_the_time_of_the_poll_are_passed_though_a_next_link_lost_the_filter(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    world.begin("rows", WALK, sweep=False)
    old = changed_at(10.0, phone="+12025550111")
    world.listed("rows", WALK, old, since=START + 75, served_at=START + 99)
    assert world.row("rows", CANDIDATE, "1").seen["phone"] == digest("phone", "+12025550100")


def test_each_page_keeps_where_the_next_one_stands(world):
    world.begin("rows", WALK)
    world.listed("rows", WALK, changed_at(50.0), next="page-2", served_at=START + 90)
    assert world.cursor("rows", WALK).token == "page-2"


# --- unchanged pages ------------------------------------------------------------------------------------------------


def statements(world, act):
    """The writes that an act makes in the store."""
    import sqlalchemy as sa  # noqa: PLC0415  # only to listen

    written = []

    def listen(connection, cursor, statement, parameters, context, executemany):
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement)

    sa.event.listen(world.store.engine, "before_cursor_execute", listen)
    try:
        act()
    finally:
        sa.event.remove(world.store.engine, "before_cursor_execute", listen)
    return written


def test_an_unchanged_page_is_passed_unread_and_writes_one_row(world):
    walked(world, HUB[1:])
    world.begin("rows", WALK)

    def again():
        assert world.listed("rows", WALK, HUB[1:], served_at=START + 90) is True

    page, *cursor = statements(world, again)
    assert page.startswith("UPDATE pages")
    assert [what.split()[1] for what in cursor] == ["cursors"], "of the first page the server's time is kept as well"
    assert len(statements(world, again)) == 1


def test_an_unchanged_page_stands_for_its_records(world):
    walked(world, HUB[1:])
    assert walked(world, HUB[1:]) == []


def test_a_changed_page_is_read(world):
    walked(world, HUB[1:])
    world.begin("rows", WALK)
    assert world.listed("rows", WALK, row("1", "h1", phone="+12025550111")) is False
    assert world.updates() == {("plain", "q1", (("phone", "+12025550111"),))}


def test_an_unchanged_page_is_read_again_while_one_of_its_records_is_held(world):
    walked(world, HUB[1:])
    world.told("rows", *row("1", "h1", stage="Screen"))
    world.told("plain", application("a1", "p1", "q1", "Talk"))
    assert world.reasons() == ["conflict"]
    world.begin("rows", WALK)
    assert world.listed("rows", WALK, HUB[1:]) is False


def test_an_unchanged_page_is_read_again_under_another_configuration(world):
    walked(world, HUB[1:])
    world.world = replace(world.world, stamp="another")
    world.begin("rows", WALK)
    assert world.listed("rows", WALK, HUB[1:]) is False


def test_a_page_of_a_record_that_awaits_its_parent_is_read_again(small):
    """The job of this application is not there yet: when it comes, the application must be looked at."""
    world = small("rows", "plain")
    world.proven()
    assert walked(world, row("1", "h1")) is not None
    world.begin("rows", WALK)
    assert world.listed("rows", WALK, row("1", "h1")) is False


# --- absence --------------------------------------------------------------------------------------------------------


def test_what_a_sweep_did_not_tell_is_named(world):
    walked(world, HUB[1:])
    assert walked(world, ()) == [Ref(APPLICATION, "1")]


def test_one_of_many_that_was_deleted_is_named(world):
    first, second = row("1", "h1"), row("2", "h1", email="b@x.test")
    walked(world, (*first, *second))
    assert walked(world, second) == [Ref(APPLICATION, "1")]


def test_what_stood_on_a_page_that_is_no_more_is_named_and_nothing_more(world):
    first, second = row("2", "h1", email="b@x.test"), row("1", "h1")
    walked(world, first, second)
    assert walked(world, first) == [Ref(APPLICATION, "1")]
    assert not world.row("rows", APPLICATION, "1").gone
    assert (world.updates(), world.reasons()) == (set(), [])


def test_what_a_poll_did_not_tell_is_unchanged_not_absent(world):
    walked(world, changed_at(80.0), served_at=START + 90)
    assert walked(world, (), sweep=False) == []


def test_a_record_on_another_page_than_before_is_there(world):
    first, second = row("1", "h1"), row("2", "h1", email="b@x.test")
    walked(world, first, second)
    assert walked(world, second, first) == []


def test_only_the_kinds_of_the_walk_are_missed(world):
    walked(world, (job("h2", "Cook"),), (job("h1"),), walk="jobs")
    walked(world, (), HUB[1:])
    assert walked(world, (job("h2", "Cook"),), walk="jobs") == [Ref(JOB, "h1")]


def test_a_row_that_a_poll_told_is_not_missed_by_the_next_sweep(world):
    """The overlap tells the last rows in every poll; all their pages are unchanged."""
    rows = changed_at(80.0)
    walked(world, rows, served_at=START + 90)
    walked(world, rows, sweep=False, served_at=START + 95)
    assert walked(world, rows, served_at=START + 99) == []


def test_a_get_that_finds_nothing_holds_the_link_and_deletes_nothing(world):
    world.gone("rows", Ref(APPLICATION, "1"))
    assert world.row("rows", APPLICATION, "1").gone
    assert "vanished" in world.reasons()
    assert world.intents() == []
    assert len(world.links()) == 3


def test_what_comes_back_is_in_step_again(world):
    world.gone("rows", Ref(APPLICATION, "1"))
    world.told("rows", *row("1", "h1"))
    assert (world.reasons(), world.intents()) == ([], [])


def test_what_is_gone_is_not_missed_again(world):
    walked(world, HUB[1:])
    world.gone("rows", Ref(APPLICATION, "1"))
    assert walked(world, ()) == []


# --- marks ----------------------------------------------------------------------------------------------------------


def test_a_record_that_was_read_is_marked_no_more(world):
    world.do(mark_all)
    world.gone("plain", Ref(APPLICATION, "a1"))
    assert world.marks() == {("plain", "q1", "webhook")}


def mark_all(work):
    from syncd.limits import Priority  # noqa: PLC0415  # beside its only use
    from syncd.work import mark  # noqa: PLC0415  # beside its only use

    mark(work, "plain", APPLICATION, "a1", "webhook", Priority.READ)
    mark(work, "plain", CANDIDATE, "q1", "webhook", Priority.READ)


# --- lists that tell late, or less ----------------------------------------------------------------------------------


def test_a_list_that_tells_an_older_state_is_not_believed(world):
    world.told("plain", person("q1", phone="+12025550111", updated_at=START + 50))
    world.begin("plain", "candidates")
    world.listed("plain", "candidates", (person("q1", updated_at=START + 10),))
    assert world.row("plain", CANDIDATE, "q1").seen["phone"] == digest("phone", "+12025550111")
    assert ("plain", "q1", "doubtful") in world.marks()


def test_a_list_that_tells_the_old_value_of_what_we_just_wrote_is_not_believed(world):
    """Lists are often read from a replica that is behind: its old value is no edit of somebody."""
    world.told("rows", *row("1", "h1", phone="+12025550111"))
    intent = world.intent("plain")
    world.send(intent, person("q1"))
    world.confirm(intent, person("q1", phone="+12025550111"))
    world.begin("plain", "candidates")
    world.listed("plain", "candidates", (person("q1"),))
    assert (world.updates(), world.reasons()) == (set(), [])
    assert ("plain", "q1", "doubtful") in world.marks()
    world.later(60.0)
    world.listed("plain", "candidates", (person("q1"),), digest="later")
    assert world.updates("rows") == {("rows", "1", (("phone", "+12025550100"),))}, "by now it is an edit"


def test_a_get_that_tells_the_old_value_of_what_we_just_wrote_is_not_believed(world):
    """A copy that is behind answers one get and not the next: its old value is nobody's move back."""
    world.told("rows", *row("1", "h1", phone="+12025550111"))
    intent = world.intent("plain")
    world.send(intent, person("q1"))
    world.confirm(intent, person("q1", phone="+12025550111"))
    read_again(world)
    assert (world.updates(), world.reasons()) == (set(), [])
    assert ("plain", "q1", "doubtful") in world.marks()
    world.later(60.0)
    read_again(world)
    assert world.updates("rows") == {("rows", "1", (("phone", "+12025550100"),))}, "by now it is an edit"


def read_again(world):
    def take(work):
        pull.absorb_answer(work, world.world.connections["plain"], Ref(CANDIDATE, "q1"), (person("q1"),))

    world.do(take)


PART = replace(
    FACTS["plain"].kinds[CANDIDATE], lists=frozenset({"name", "email"}), details=frozenset({"phone"})
)  # a list without phones


def less_telling():
    return replace(FACTS["plain"], kinds={**FACTS["plain"].kinds, CANDIDATE: PART})


def without_phone(record):
    return replace(record, fields={name: value for name, value in record.fields.items() if name != "phone"})


def test_list_get_list_of_an_unchanged_record_plans_nothing(small):
    world = small("rows", "plain", facts={"plain": less_telling()})
    world.known(rows=HUB, plain=SPOKE)
    world.begin("plain", "candidates")
    for number in range(2):
        world.listed("plain", "candidates", (without_phone(person("q1")),), digest=f"list {number}")
        world.told("plain", person("q1"))
    assert (world.intents(), world.holds()) == ([], set())


def test_nothing_is_decided_about_a_field_before_a_get_has_told_it(small):
    """An empty phone is no phone that was not read: filling it would overwrite what stands there."""
    world = small("rows", "plain", facts={"plain": less_telling()})
    world.proven()
    world.begin("plain", "candidates")
    for world.learning in (True, False):
        world.told("rows", *HUB)
        world.told("plain", job("p1"), application("a1", "p1", "q1"))
        world.listed("plain", "candidates", (without_phone(person("q1")),))
    assert (world.intents(), world.holds()) == ([], set())
    assert ("plain", "q1", "details") in world.marks()
    world.told("plain", person("q1", phone="+12025550111"))
    assert [hold.field for hold in world.holds()] == ["phone"]


def test_a_changed_version_lets_what_the_list_leaves_out_be_read(small):
    world = small("rows", "plain", facts={"plain": less_telling()})
    world.known(rows=HUB, plain=(job("p1"), replace(person("q1"), version="1"), application("a1", "p1", "q1")))
    world.begin("plain", "candidates")
    world.listed("plain", "candidates", (replace(without_phone(person("q1")), version="2"),))
    assert ("plain", "q1", "details") in world.marks()


def test_a_field_that_is_written_but_never_told_keeps_what_was_sent(small):
    """The password of the form, so to say: its silence is not a change."""
    kinds = FACTS["plain"].kinds
    facts = replace(FACTS["plain"], kinds={**kinds, CANDIDATE: replace(kinds[CANDIDATE], untold=frozenset({"phone"}))})
    world = small("rows", "plain", facts={"plain": facts})
    world.known(rows=HUB, plain=(job("p1"), without_phone(person("q1")), application("a1", "p1", "q1")))
    intent = world.intent("plain")
    assert world.values(intent) == {"phone": "+12025550100"}
    world.send(intent, without_phone(person("q1")))
    world.confirm(intent, without_phone(person("q1")))
    world.told("plain", without_phone(person("q1")))
    assert (world.intents(), world.holds()) == ([], set())
    world.told("rows", *row("1", "h1", phone="+12025550111"))
    assert world.updates() == {("plain", "q1", (("phone", "+12025550111"),))}


# --- what a record is known by --------------------------------------------------------------------------------------


def test_what_stands_in_the_store_about_a_person_is_digests(world):
    """The names of the fields stand in clear; stage and status too, for they are about nobody."""
    text = repr([world.select(table) for table in schema.metadata.sorted_tables])
    for value in ("Ann", "Lee", "ann@example.com", "2025550100"):
        assert value not in text
    assert "=New" in text


def test_a_parent_that_one_view_does_not_name_is_not_forgotten(world):
    world.told("plain", replace(application("a1", "p1", "q1"), parents={}))
    told = world.row("plain", APPLICATION, "a1")
    assert (told.job, told.candidate) == ("p1", "q1")


def test_a_kind_that_a_system_does_not_know_is_passed(small):
    facts = replace(FACTS["plain"], kinds={JOB: KindFacts(lists=frozenset({"title"}))})
    world = small("rows", "plain", facts={"plain": facts})
    world.told("plain", job("p1"), person("q1"))
    assert [record.kind for record in world.select(schema.records)] == ["job"]
