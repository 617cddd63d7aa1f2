"""The catalogue of planted bugs: each a mistake that somebody could make, and a world in which it must be found (I27).

A simulation that finds nothing proves nothing, unless it is known to find what is there. Where each was found first
stands in ``planted.json``, and for people in ``docs/planted-bugs.md``; ``make prove`` hunts for all of them anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from starlette.responses import PlainTextResponse

from syncd import (
    batches,
    calls,
    connector,
    cycle,
    http,
    intents,
    limits,
    mapping,
    matching,
    merging,
    people,
    pull,
    push,
    reconcile,
    schema,
    settle,
    webhooks,
    work,
)
from syncd.bases import sent_values
from syncd.cycle import Engine
from syncd.errors import OutcomeUnknown, SyncdError
from syncd.gate import Gate, MemoryBudget
from syncd.model import Kind, Page, Record, Ref
from syncd.work import CREATE, Work
from tests.simulation.planting import Bug, Patch, edited, everywhere, instead, remade, rewritten

# --- what a lost answer means ---------------------------------------------------------------------------------------


def blind_retry(patch: Patch, *, creates: bool) -> None:
    """What was lost is sent again without looking."""
    failed = push.failed

    def again(work: Work, id_: str, error: SyncdError, spread: float) -> None:
        intent = push.load(work, id_)
        if isinstance(error, OutcomeUnknown) and intent is not None and (intent.call == CREATE) == creates:
            push.reopen(work, intent, "did_not", 1.0)
        else:
            failed(work, id_, error, spread)

    everywhere(patch, failed, again)


def forgotten_at_restart(connection: sa.Connection, now: float, grace_s: float, name: str | None = None) -> int:
    """What was under way when the process died is forgotten."""
    table = schema.intents
    return connection.execute(sa.delete(table).where(table.c.state == "sent")).rowcount


def done_before_the_call(patch: Patch) -> None:
    """An update counts as done when it goes out."""

    async def update(self: Engine, lane: Any, claimed: push.Claim, ref: Ref, word: str | None) -> None:
        asked_at = self.clock.now()
        records = await lane.connector.get(ref)
        order = await self.do(push.send_update, claimed.id, records, word, asked_at=asked_at, stage=claimed.stage)
        if order is None or order.record is None:
            return
        await self.do(believe, order.intent)
        await lane.connector.update(order.record, order.fields)

    def believe(work: Work, id_: str) -> None:
        intent = push.load(work, id_)
        assert intent is not None
        connection, sent = work.world.connections[intent.connection], sent_values(work, intent)
        told = push._told(work, connection, Ref(Kind(intent.kind), intent.ref or ""))
        for key, part in intent.wants.items():
            push._confirm_part(work, connection, intent, key, part, told, sent, known=False)
        intents.delete_intent(work, intent)

    patch.setattr(Engine, "_update", update)


def written_unread(patch: Patch) -> None:
    """An update goes out without a look at its target."""

    async def update(self: Engine, lane: Any, claimed: push.Claim, ref: Ref, word: str | None) -> None:
        records = await self.do(remembered, lane.connection, ref)
        order = await self.do(push.send_update, claimed.id, records, word, asked_at=self.clock.now())
        if order is None or order.record is None:
            return
        told = await lane.connector.update(order.record, order.fields)
        await self.do(push.confirm, order.intent, told, known=True)

    def remembered(work: Work, connection: Any, ref: Ref) -> tuple[Record, ...]:
        row = work.tx.record(connection.name, ref.kind, ref.id)
        return (Record(ref, {}, version=row.version if row else None),)

    patch.setattr(Engine, "_update", update)


# --- lists and cursors ----------------------------------------------------------------------------------------------


def rows_after_cursor(patch: Patch) -> None:
    """The cursor is committed first, and what the page tells afterwards."""
    do, advance = Engine.do, pull._advance
    take_rows = edited(pull.absorb_page, ("    _advance(work, cursor, page, records)\n", ""))

    async def first_the_cursor(self: Engine, function: Any, *args: Any, **kwargs: Any) -> Any:
        if function is not cycle.take_in:
            return await do(self, function, *args, **kwargs)
        connection, walk, walking, page, passed, end, _ = args
        emptied = await do(self, ahead, connection, walk, page, walking.since, end)
        await do(self, take_rows, connection, walk, walking.position, page, since=walking.since, passed=passed)
        return cycle.TakenIn(unchanged=False, wanted=0, changed=frozenset(), emptied=emptied)

    def ahead(work: Work, connection: Any, walk: Any, page: Page, since: float | None, end: Any) -> str | None:
        records = [r for r in page.records if since is None or r.updated_at is None or r.updated_at >= since]
        advance(work, pull.cursor_of(work.sql, connection.name, walk.name), page, records)
        if end is not None:
            pull.end_walk(work, connection, walk, due=end.due)
        return None

    patch.setattr(Engine, "do", first_the_cursor)


def only_the_first_page(patch: Patch) -> None:
    """The first page counts as the whole list."""
    first = ("page = await anext(walking.pages)", "page = replaced(await anext(walking.pages), next=None)")
    next_page = edited(Engine._next_page, first)
    patch.setitem(next_page.__globals__, "replaced", replace)
    patch.setattr(Engine, "_next_page", next_page)


def gone_by_absence(patch: Patch) -> None:
    """What a list does not tell is gone, without a question."""

    def finish(work: Work, connection: Any, walk: Any, end: Any) -> None:
        for ref in pull.end_walk(work, connection, walk, due=end.due):
            touched = pull.lose(work, connection, ref)
            pull.settle_all(work, connection, dict.fromkeys(touched, True))

    everywhere(patch, cycle.finish_walk, finish)


def echo_by_time(patch: Patch) -> None:
    """What is told within half a minute of our own write is taken for its echo."""
    absorb = pull._absorb_one

    def deaf(work: Work, connection: Any, one: Any, view: str, walk: Any) -> Any:
        row = work.tx.record(connection.name, one.record.ref.kind, one.record.ref.id)
        if row is not None and row.written_at is not None and work.tx.now < row.written_at + 30.0:
            one = pull.Told(one.record, {}, {})
        return absorb(work, connection, one, view, walk)

    everywhere(patch, absorb, deaf)


# --- what is remembered ---------------------------------------------------------------------------------------------


def holds_forgotten(patch: Patch) -> None:
    """What waits for a person is forgotten when the process starts."""
    begin = Engine.begin

    async def forgetful(self: Engine) -> None:
        await self.store.run(lambda connection: connection.execute(sa.delete(schema.holds)).rowcount)
        await begin(self)

    patch.setattr(Engine, "begin", forgetful)


# --- who says what --------------------------------------------------------------------------------------------------


def newest_row_speaks(patch: Patch) -> None:
    """Of a person's rows the newest one speaks, whichever was edited."""
    speak = people._speak

    def of_the_newest(work: Work, connection: Any, person: Any, member: Any, name: str, *, first: bool) -> None:
        rows = [row for row in work.tx.members_of(connection.name, person.id) if not row.gone]
        newest = max(rows, key=lambda row: (row.created_at or 0.0, row.row))
        if member.row == newest.row:
            speak(work, connection, person, member, name, first=first)
        else:
            member.base[name] = member.seen[name]

    everywhere(patch, speak, of_the_newest)


def newest_wins(patch: Patch) -> None:
    """Of two unlike changes the one with the later change time wins."""
    ruled = reconcile._ruled
    everywhere(patch, ruled, lambda left, right, rule: ruled(left, right, "newest"))


def default_stage(patch: Patch) -> None:
    """A stage that is not mapped is taken for the first one."""
    patch.setattr(mapping.Words, "ours", lambda self, word: self._folded.get(word.casefold(), "applied"))


def other_pairs_base(patch: Patch) -> None:
    """What one pair agreed on becomes the base of the record's other pairs as well."""
    move = merging._move_bases

    def all_alike(work: Work, link: Any, name: str, moved: Any) -> None:
        move(work, link, name, moved)
        pair = work.world.pair(link.pair)
        for end, told in moved.items():
            for other, at, rival in merging._links_of_others(work, pair, link, end):
                base: dict[str, str] = getattr(rival, f"{at}_base")
                if told is not None and name in base and other is not pair:
                    base[name] = told
                    work.tx.put_link(rival)

    everywhere(patch, move, all_alike)
    everywhere(patch, merging._stirred, lambda sides, unheard: dict(sides))  # a write that waits would make it good


def no_rivals(patch: Patch) -> None:
    """Two links that want unlike values in one record are not held."""
    everywhere(patch, merging._rivals, lambda *args: {})


def once(function: Any, *, value: Any) -> Callable[[Patch], None]:
    """Plants a function that always says the same."""
    return instead(function, lambda *args, **kwargs: value)


def shared_base(patch: Patch) -> None:
    """Both ends of a link share one base."""
    everywhere(
        patch,
        merging.side,
        edited(
            merging.side,
            ('getattr(link, f"{end}_base")', "link.left_base if name in link.left_base else link.right_base"),
        ),
    )


ENGINE = (
    Bug(
        "create again blindly",
        "a create whose answer was lost is sent again without looking it up",
        ("I1", "I2"),
        lambda patch: blind_retry(patch, creates=True),
        ("engine", "careless", "lost"),
    ),
    Bug(
        "update again blindly",
        "an update whose answer was lost is sent again without looking it up",
        ("I5", "I15"),
        lambda patch: blind_retry(patch, creates=False),
        ("engine", "lost", "undone", "no sweep"),
    ),
    Bug(
        "one look-up",
        "one look-up without a trace is enough to create again",
        ("I1", "I2"),
        rewritten(push.not_found, ("    elif intent.looks + 1 >= LOOKS:", "    elif True:")),
        ("engine", "careless", "zombies", "lost"),
    ),
    Bug(
        "sent is forgotten at a restart",
        "what was under way when the process died is dropped",
        ("I20", "I22", "I1"),
        instead(push.recover, forgotten_at_restart),
        ("engine", "crashes", "careless"),
    ),
    Bug(
        "done before the call",
        "an update counts as done when it goes out, not when it is answered",
        ("I20", "I3"),
        done_before_the_call,
        ("engine", "lost", "no sweep"),
    ),
    Bug(
        "claim is not committed",
        "a write goes out while its intent still counts as open",
        ("I3",),
        rewritten(
            push.mark_sent,
            (
                'intent.state, intent.reason, intent.sent_at, intent.looks = "sent"',
                'intent.state, intent.reason, intent.sent_at, intent.looks = "open"',
            ),
        ),
        ("engine", "no sweep"),
    ),
    Bug(
        "no read before an update",
        "an update goes out without a look at its target",
        ("I6",),
        written_unread,
        ("engine", "no sweep"),
    ),
    Bug(
        "answer counts as known",
        "after a create whose answer was lost, what stands there is taken for what we wrote",
        ("I20", "I5"),
        rewritten(push.found, ('"answered": False', '"answered": True')),
        ("engine", "lost", "careless", "one after another", "no sweep"),
    ),
    Bug(
        "cursor by the local clock",
        "the cursor is our own time at the walk's begin",
        ("I7", "I20"),
        rewritten(pull._moved, ("    return max([min(times)", '    return cursor["started_at"] or max([min(times)')),
        ("engine", "behind", "no sweep"),
    ),
    Bug(
        "after the cursor, not from it",
        "a change at exactly the cursor's time is left out",
        ("I7", "I20"),
        rewritten(pull.absorb_page, ("r.updated_at >= since", "r.updated_at > since")),
        ("engine", "coarse", "no overlap", "no sweep", "polled often"),
    ),
    Bug(
        "rows after the cursor",
        "the cursor is committed before what the page tells",
        ("I7", "I20"),
        rows_after_cursor,
        ("engine", "late", "no sweep", "polled often"),
    ),
    Bug(
        "cursor past the walk's begin",
        "the cursor is the latest change seen, though the walk began before it",
        ("I7", "I20"),
        rewritten(pull._moved, ("max([min(times)", "max([max(times)")),
        ("engine", "no sweep", "crowded", "slow", "no overlap", "polled often"),
    ),
    Bug(
        "only the first page",
        "the first page of a list counts as the whole",
        ("I7", "I20"),
        only_the_first_page,
        ("engine", "no sweep"),
    ),
    Bug(
        "gone by absence",
        "what a list leaves out is told to be gone",
        ("I12",),
        gone_by_absence,
        ("engine", "leaves out"),
    ),
    Bug(
        "echo by a time window",
        "what is told within half a minute of our write counts as its echo",
        ("I20", "I5"),
        echo_by_time,
        ("engine", "no sweep", "one after another"),
    ),
    Bug(
        "children are not called",
        "what waits for a parent is not looked at when the parent is there",
        ("I20", "I22"),
        once(settle.settle_children, value=None),
        ("engine", "no second look", "no sweep"),
    ),
    Bug(
        "held is forgotten at a restart",
        "what waits for a person is forgotten when the process starts",
        ("I20", "I5"),
        holds_forgotten,
        ("engine", "crashes", "restless"),
    ),
    Bug(
        "conflict is forgotten",
        "an open conflict ends when one end goes back to where it was",
        ("I5", "I20"),
        once(merging._contested, value={}),
        ("engine", "restless", "no sweep"),
    ),
    Bug(
        "decided while a write is out",
        "fields are merged although a write of them is under way",
        ("I5", "I20"),
        once(intents.fields_in_flight, value=frozenset()),
        ("engine", "lost", "late", "restless"),
    ),
    Bug(
        "one shared base",
        "both ends of a link share one base",
        ("I21", "I5", "I20"),
        shared_base,
        ("engine", "respelled", "quiet"),
    ),
    Bug(
        "base as sent",
        "the base of a text is what was sent, not what the system made of it",
        ("I5", "I21"),
        rewritten(push._confirm_part, ("here[name] = str(now) if is_text else digest", "here[name] = digest")),
        ("engine", "respelled", "quiet"),
    ),
    Bug(
        "base of the other pair",
        "what one pair agreed on becomes the base of the other pairs",
        ("I20", "I5"),
        other_pairs_base,
        ("engine", "no sweep"),
    ),
    Bug(
        "rivals are not asked",
        "two links that want unlike values in one record are not held",
        ("I5", "I20"),
        no_rivals,
        ("engine", "restless"),
    ),
    Bug(
        "a change is held",
        "what one end alone has changed is held as a conflict instead of being carried",
        ("I20",),
        rewritten(
            reconcile._carry,
            ("    return _write(name, source, changed, target)", '    return Verdict(Do.HOLD, reason="conflict")'),
        ),
        ("engine",),
    ),
    Bug(
        "newest row speaks",
        "of a person's rows the newest speaks, whichever was edited",
        ("I20",),
        newest_row_speaks,
        ("engine", "no sweep"),
    ),
    Bug(
        "newest wins",
        "of two unlike changes the one with the later time wins, without a question",
        ("I5",),
        newest_wins,
        ("engine", "restless", "behind", "one after another"),
    ),
    Bug(
        "ending is left",
        "of two unlike moves an ending gives way like any stage",
        ("I15",),
        rewritten(reconcile._both, ("owner is None and (left.terminal or right.terminal)", "False")),
        ("engine", "left wins", "restless", "one after another"),
    ),
    Bug(
        "unmapped falls to the first stage",
        "a stage that no map has is taken for the first one",
        ("I20", "I15"),
        default_stage,
        ("engine", "unmapped"),
    ),
    Bug(
        "likeness is not looked for",
        "what stands at the other end already is created once more",
        ("I1",),
        once(matching._by_likeness, value=matching.Match(matching.How.CREATE)),
        ("engine", "careless", "lost"),
    ),
    Bug(
        "mails by their case",
        "two spellings of one mail are two people",
        ("I1", "I20"),
        rewritten(mapping.canonical, ('text.casefold() if name == "email" else text', "text")),
        ("engine", "careless", "lost"),
    ),
    Bug(
        "default flows back",
        "a default that we wrote is read as the person's own value",
        ("I5",),
        instead(pull._without_defaults, lambda work, connection, row, told: told),
        ("engine", "defaults"),
    ),
)

# --- the road -------------------------------------------------------------------------------------------------------


def slots_forgotten(patch: Patch) -> None:
    """Each process begins with no slot taken."""
    begin = Gate.__init__

    def anew(self: Gate, name: str, rules: Any, budget: Any, clock: Any, **more: Any) -> None:
        begin(self, name, rules, MemoryBudget(clock), clock, **more)

    patch.setattr(Gate, "__init__", anew)


ROAD = (
    Bug(
        "slot freed at the sending",
        "a call's slot counts from when it was sent, not from its answer",
        ("I10",),
        rewritten(
            limits._frees_at,
            ("entry.sent_at + entry.timeout_s if entry.answered_at is None else entry.answered_at", "entry.sent_at"),
        ),
        ("road",),
    ),
    Bug(
        "lost call gives its slot back",
        "a call without an answer counts as never sent",
        ("I10",),
        remade(http.Limit, "handle_async_request", ("except NOT_SENT:", "except httpx.TransportError:")),
        ("road",),
    ),
    Bug(
        "slots are forgotten at a restart",
        "a new process begins with no slot taken",
        ("I10",),
        slots_forgotten,
        ("road",),
    ),
    Bug(
        "repeat takes no slot",
        "a read that is tried again takes no slot of its own",
        ("I10",),
        remade(
            http.Limit,
            "handle_async_request",
            ("ticket = await self._gate", "ticket = None if AGAIN in request.extensions else await self._gate"),
        ),
        ("road",),
    ),
    Bug(
        "writes are tried again",
        "the road sends a write again whose answer was lost",
        ("I1",),
        remade(http.RetryingGets, "handle_async_request", ('request.method != "GET"', 'request.method == "HEAD"')),
        ("road",),
    ),
    Bug(
        "5xx means it did not happen",
        "a server's error counts as proof that a write did not happen",
        ("I1",),
        rewritten(
            connector.failure, ("return _lost(method, message, retry_after(response))", "return Unavailable(message)")
        ),
        ("road",),
    ),
    Bug(
        "no answer means it did not happen",
        "a lost answer counts as proof that a write did not happen",
        ("I1",),
        rewritten(
            connector.ask, ("raise _lost(method, type(error).__name__)", "raise Unavailable(type(error).__name__)")
        ),
        ("road",),
    ),
    Bug(
        "retries without a budget",
        "a sick host gets every read three times",
        ("I11",),
        lambda patch: patch.setattr(http.RetryBudget, "allows", lambda self, host, now: True),
        ("road",),
    ),
)

# --- the inbox ------------------------------------------------------------------------------------------------------


def answered_first(patch: Patch) -> None:
    """A webhook is answered at once and kept a moment later."""

    async def kept(self: webhooks.Receiver, name: str, delivery: Any, heard: Any) -> PlainTextResponse:
        key = "bell" if heard.is_bell else webhooks.event_key(heard.notice, delivery, self._engine.world.digest)

        async def later() -> None:
            await self._engine.clock.sleep_until(self._engine.clock.now() + 0.01)
            await self._engine.do(webhooks.keep, self._ears[name].connection, heard.notice, key)

        self.later = asyncio.ensure_future(later())  # type: ignore[attr-defined]  # or nobody holds it
        return PlainTextResponse("kept\n")

    patch.setattr(webhooks.Receiver, "_kept", kept)


def ids_of_all(patch: Patch) -> None:
    """Two senders' events of one id are one event."""
    table = schema.inbox.c
    known = sa.select(table.id, table.received_at).where(table.event == sa.bindparam("key"))
    patch.setattr(webhooks, "_KNOWN", known)


INBOX = (
    Bug(
        "answered before the commit",
        "a webhook is answered before it is committed",
        ("I8",),
        answered_first,
        ("inbox",),
    ),
    Bug(
        "answered though not kept",
        "a webhook that could not be kept is answered 200 all the same",
        ("I8",),
        remade(webhooks.Receiver, "_kept", ('"try again later\\n", 503', '"kept\\n", 200')),
        ("inbox",),
    ),
    Bug(
        "equal bodies are one for ever",
        "a stage that goes there and back is told by equal bodies, and the second counts as known",
        ("I8",),
        once(webhooks._is_repeat, value=True),
        ("inbox",),
    ),
    Bug(
        "ids of all senders together",
        "two senders' events of one id count as one event",
        ("I8",),
        ids_of_all,
        ("inbox",),
    ),
    Bug(
        "any path is the secret one",
        "whatever stands at the end of the address counts as its secret part",
        ("I9",),
        remade(
            webhooks.Ear,
            "judge",
            ("hmac.compare_digest(self.path_secret.encode(), _bytes(delivery.event))", "delivery.event"),
        ),
        ("inbox",),
    ),
    Bug(
        "a look answers what came later",
        "what is marked while a look is under way counts as looked at",
        ("I8",),
        rewritten(pull.unmark, ('"at": asked_at', '"at": float("inf")')),
        ("inbox",),
    ),
    Bug(
        "a mark keeps its time",
        "what is marked again stays due since the first time, and the look under way answers it",
        ("I8",),
        rewritten(work.mark, ("min(max(found.due, work.tx.now), due)", "min(found.due, due)")),
        ("inbox",),
    ),
)

# --- what is done once ----------------------------------------------------------------------------------------------

TRACELESS = edited(
    calls._took_effect, ("return await connector.has_remarked(record, _remark_of(intent.call, values))", "return False")
)


def marker_ignored(patch: Patch) -> None:
    """Nobody looks whether a remark stands there already."""
    everywhere(patch, calls._took_effect, TRACELESS)
    everywhere(
        patch,
        calls._remark,
        edited(calls._remark, ("if await connector.has_remarked(record, remark):", "if False:")),
    )


def batch_again(patch: Patch) -> None:
    """A batch whose answer was lost goes out again without being looked up, to a server that forgets keys."""
    failed = push.failed

    def again(work: Work, id_: str, error: SyncdError, spread: float) -> None:
        intent = push.load(work, id_)
        if isinstance(error, OutcomeUnknown) and intent is not None and intent.call == "submit":
            push.reopen(work, intent, "did_not", 1.0)
        else:
            failed(work, id_, error, spread)

    everywhere(patch, failed, again)


DESK = (
    Bug(
        "marker is not looked for",
        "a remark is made without a look whether it stands there already",
        ("I2",),
        marker_ignored,
        ("desk",),
    ),
    Bug(
        "phoned again",
        "leave to phone somebody that left no trace yet is given again",
        ("I2",),
        rewritten(calls._no_trace, ("if intent.call in (SCREEN, OUTCOME):", "if intent.call == OUTCOME:")),
        ("desk",),
    ),
    Bug(
        "another key at each try",
        "a batch that is sent again bears another idempotency key",
        ("I2",),
        rewritten(calls._send_batch, ("files=files), turn.id)", 'files=files), f"{turn.id} {engine.clock.now()}")')),
        ("till",),
    ),
    Bug(
        "batch again blindly",
        "a batch whose answer was lost is sent again without being looked up",
        ("I2",),
        batch_again,
        ("till",),
    ),
    Bug(
        "a day's credits are not counted",
        "what was spent today does not lessen what may be spent",
        ("I2",),
        once(batches._affordable, value=batches.MOST),
        ("till",),
    ),
)

BUGS: dict[str, Bug] = {bug.name: bug for bug in (*ENGINE, *ROAD, *INBOX, *DESK)}
