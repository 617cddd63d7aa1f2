"""What is done once beside the fields: a résumé sent, a result remarked, a move by rule, an outcome told.

An errand is an intent like any other: durable before its call goes out, sent once per claim, looked up where its
outcome is unknown. What is unlike: no field is merged, so what was done stands in ``deeds`` and nowhere else. An errand
belongs to a link of applications (or jobs), and ``wants`` names what it is done for: ``{link: {what: [source,
version]}}``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from syncd import copies, schema
from syncd.holds import drop_intent_holds
from syncd.identity import Ends
from syncd.intents import delete_intent, hold_intent, intents_on, save_intent
from syncd.limits import Priority
from syncd.mapping import STAGES, TERMINAL, digest_value, word_of
from syncd.model import Kind
from syncd.reconcile import End
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.screenings import marker_of, sentence_of
from syncd.setup import Connection, Pair
from syncd.store import upsert
from syncd.work import (
    ATTACH,
    ERRANDS,
    IN_FLIGHT,
    OUTCOME,
    REMARKS,
    RULE,
    SCREEN,
    UNSCHEDULE,
    UNSENT,
    Work,
    mark,
    note,
)

FOUND = "found"  # the content of a remark that stood there before this store knew of it
BEFORE = "before"  # the version of a deed that must not be done: what asks for it was so before we came
MEANWHILE = "meanwhile"  # of one that a person decides about: it came to be so while we were not looking


# --- planning -------------------------------------------------------------------------------------------------------


def plan_errands(work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow]) -> None:
    """Let what a complete link asks for beside its fields be done."""
    if work.learning:
        return
    if link.kind == Kind.JOB:
        for end in End:
            if pair.at(end).facts.schedules and pair.flows_to(Kind.JOB, end):
                _plan_unscheduling(work, pair, link, end, rows)
        return
    if link.kind == Kind.APPLICATION:
        _plan_for_application(work, pair, link, rows)


def _plan_for_application(work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow]) -> None:
    for end in sorted(pair.resumes):
        _plan_file(work, pair, link, end, rows)
    for end in sorted(pair.flows.get(Kind.SCREENING, ())):
        for screening in screenings_of(work, rows[end.other]):
            plan_screening(work, pair, link, end, screening, rows[end])
    if pair.batches and pair.flows_to(Kind.APPLICATION, End.RIGHT):
        _plan_outcome(work, pair, link, rows)
    if pair.screen_at is not None and pair.right.facts.screens_by == "leave":
        _plan_leave(work, pair, link, rows)


def stage_of(connection: Connection, row: RecordRow) -> str | None:
    """An application's stage in our word; None: not told, or not mapped."""
    return _our_word(connection, row, "stage")


def _our_word(connection: Connection, row: RecordRow, name: str) -> str | None:
    told = row.seen.get(name)
    word = word_of(told) if told else None
    return connection.vocabulary.words[name].ours(word) if word else None


def _plan_file(work: Work, pair: Pair, link: LinkRow, end: End, rows: Mapping[End, RecordRow]) -> None:
    """A résumé that was not sent as it is now; nobody's whose application is over: it would lie there for nothing."""
    source, target = rows[end.other], rows[end]
    version = source.seen.get("resume")
    if version is None and "resume" in pair.at(end.other).terms[Kind.APPLICATION].details and source.read_at is None:
        mark(work, source.connection, Kind.APPLICATION, source.id, "details", Priority.BULK)
    if not version or stage_of(pair.at(end.other), source) in TERMINAL:
        return
    if _done(work, pair, end, ATTACH, source.id) != version:
        _open(work, link, target, ATTACH, source, version)


def _plan_unscheduling(work: Work, pair: Pair, link: LinkRow, end: End, rows: Mapping[End, RecordRow]) -> None:
    """A job that is closed at both ends makes no more appointments; one that is open again may, and is closed anew."""
    source, target = rows[end.other], rows[end]
    is_closed = {_our_word(pair.at(at), row, "status") for at, row in rows.items()} == {"closed"}
    known = _done(work, pair, end, UNSCHEDULE, source.id)
    if is_closed and known is None:
        _open(work, link, target, UNSCHEDULE, source, "closed")
    elif not is_closed:
        _want_no_more(work, link, target, UNSCHEDULE, source)
        if known is not None:
            _forget(work, pair, end, UNSCHEDULE, source.id)


def _plan_outcome(work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow]) -> None:
    """How an application that was screened ended, for the service that screened it."""
    source, target = rows[End.LEFT], rows[End.RIGHT]
    stage = stage_of(pair.left, source)
    if stage in TERMINAL and _done(work, pair, End.RIGHT, OUTCOME, source.id) != stage:
        _open(work, link, target, OUTCOME, source, str(stage), {"outcome": stage})
    elif stage not in TERMINAL:
        _want_no_more(work, link, target, OUTCOME, source)


def _plan_leave(work: Work, pair: Pair, link: LinkRow, rows: Mapping[End, RecordRow]) -> None:
    """Leave to phone: for an application that reached the stage after we came, if the phone is the person's own."""
    source, target = rows[End.LEFT], rows[End.RIGHT]
    if stage_of(pair.left, source) != pair.screen_at:
        _want_no_more(work, link, target, SCREEN, source)
        return
    known = _done(work, pair, End.RIGHT, SCREEN, source.id)
    if known not in {None, MEANWHILE} or _is_open(work, link, target, SCREEN, source.id):
        return
    person = work.tx.record(target.connection, Kind.CANDIDATE, target.candidate or "")
    if person is not None and person.seen.get("phone") and "phone" not in (person.defaulted or ()):
        _open(work, link, target, SCREEN, source, "once")
        for intent in list(_same(work, link, target, SCREEN, source.id)) if known == MEANWHILE else ():
            hold_intent(work, intent, "reached_meanwhile")


def was_there_before(work: Work, pair: Pair, row: RecordRow) -> None:
    """Note at the first look that an application stood at the stage of the screening already: nobody phones for it.

    Where it stood elsewhere when we last knew, as before a change of the config, a person is asked.
    """
    if pair.batches and work.learning and row.connection == pair.left.name and copies.doubted_at(work.sql):
        _was_told_before(work, pair, row)
    asks = pair.screen_at is not None and pair.right.facts.screens_by == "leave" and row.connection == pair.left.name
    stands = asks and work.learning and row.kind == Kind.APPLICATION and stage_of(pair.left, row) == pair.screen_at
    if stands and _done(work, pair, End.RIGHT, SCREEN, row.id) is None:
        link = work.tx.link_at(pair.name, Kind.APPLICATION, End.LEFT, row.id)
        agreed = link.left_base.get("stage") if link is not None else None
        stood = agreed in {None, row.seen["stage"]}
        _keep(work, pair.name, End.RIGHT, SCREEN, row.id, BEFORE if stood else MEANWHILE)


def _was_told_before(work: Work, pair: Pair, row: RecordRow) -> None:
    """After a loss, how an application ended by now counts as told to who screened it: it may have been."""
    stage = stage_of(pair.left, row)
    if stage in TERMINAL and _done(work, pair, End.RIGHT, OUTCOME, row.id) is None:
        _keep(work, pair.name, End.RIGHT, OUTCOME, row.id, str(stage))


# --- screenings -----------------------------------------------------------------------------------------------------


def screenings_of(work: Work, application: RecordRow) -> list[RecordRow]:
    """The screenings of an application: those that name it, and those that name its person and job."""
    name = application.connection
    named = work.tx.alike(name, Kind.SCREENING, "application", application.id)
    others = work.tx.alike(name, Kind.SCREENING, "candidate", application.candidate)
    return named + [one for one in others if one.application is None and one.job == application.job]


def applications_of(work: Work, screening: RecordRow) -> list[RecordRow]:
    """The application that a screening is about."""
    if screening.application is not None:
        named = work.tx.record(screening.connection, Kind.APPLICATION, screening.application)
        return [named] if named is not None and not named.gone else []
    those = work.tx.alike(screening.connection, Kind.APPLICATION, "candidate", screening.candidate)
    return [one for one in those if one.job == screening.job]


def settle_screening(work: Work, pair: Pair, row: RecordRow) -> bool:
    """Let a screening be told where the pair says; True: nothing is left to do about it."""
    end = pair.end_of(row.connection)
    if work.learning or row.gone or not pair.flows_to(Kind.SCREENING, end.other):
        return True
    quiet = True
    for application in applications_of(work, row):
        link = work.tx.link_at(pair.name, Kind.APPLICATION, end, application.id)
        across = getattr(link, end.other) if link is not None else None
        target = work.tx.record(pair.at(end.other).name, Kind.APPLICATION, across) if across else None
        if link is not None and target is not None and not target.gone:
            quiet = plan_screening(work, pair, link, end.other, row, target) and quiet
    return quiet


def plan_screening(work: Work, pair: Pair, link: LinkRow, end: End, screening: RecordRow, target: RecordRow) -> bool:
    """One remark in each form that the target takes, and the move that a rule wants; True: all of it is done."""
    if not is_complete(work, screening):
        return True
    rules = (RULE,) * bool(pair.advances)
    wanted = [what for what in (*pair.at(end).remarks, *rules) if _done(work, pair, end, what, screening.id) is None]
    missing = [what for what in wanted if not _is_open(work, link, target, what, screening.id)]
    if not missing:
        return not wanted
    details = pair.at(end.other).terms[Kind.SCREENING].details
    if details - screening.seen.keys() and screening.read_at is None:
        mark(work, screening.connection, Kind.SCREENING, screening.id, "details", Priority.READ)
        return False
    told = {name: work.value(screening.connection, Kind.SCREENING, screening, name) for name in screening.seen}
    if not all(known for known, _ in told.values()):
        mark(work, screening.connection, Kind.SCREENING, screening.id, "value", Priority.READ)
        return False
    values = {name: value for name, (_, value) in told.items()}
    for what in missing:
        if what == RULE:
            _plan_rule(work, pair, link, end, screening, target, values)
            continue
        system = pair.at(end.other).facts.system
        marker = marker_of(system, screening.id, what)
        sealed = {**sentence_of(system, values, screening.url, screening.created_at, marker), "marker": marker}
        _open(work, link, target, what, screening, screening.id, sealed)
    return False


def is_complete(work: Work, screening: RecordRow) -> bool:
    """Whether a screening has ended and found something out; judged by digests, as its values may not be in hand."""
    result = screening.seen.get("result")
    ended = result is None or result == digest_value("result", "completed", work.world.digest)
    return ended and any(screening.seen.get(name) for name in ("score", "verdict", "summary"))


def _plan_rule(
    work: Work, pair: Pair, link: LinkRow, end: End, screening: RecordRow, target: RecordRow, values: Mapping[str, Any]
) -> None:
    """The move that a score causes: onwards only, and never out of a stage that ends an application."""
    score = values.get("score")
    reached = [(least, goal) for least, goal in pair.advances if isinstance(score, int | float) and score >= least]
    present = stage_of(pair.at(end), target)
    goal = max(reached)[1] if reached else None
    onwards = goal in TERMINAL or (present in STAGES and goal in STAGES and STAGES.index(goal) > STAGES.index(present))
    if goal is None or present is None or present in TERMINAL or not onwards:
        _keep(work, pair.name, end, RULE, screening.id, screening.id)
        return
    sealed = {"stage": goal, "from": target.seen["stage"]}
    _open(work, link, target, RULE, screening, screening.id, sealed)


# --- their intents --------------------------------------------------------------------------------------------------


def _part(intent: IntentRow, link: LinkRow) -> list[str]:
    """(source, version) for which an errand is done."""
    return next(iter(intent.wants.get(str(link.id), {}).values()), ["", ""])


def _same(work: Work, link: LinkRow, target: RecordRow, what: str, source: str) -> Iterator[IntentRow]:
    states = (*UNSENT, *IN_FLIGHT)
    for intent in intents_on(work, target.connection, Kind(target.kind), [target.id], states, what):
        if _part(intent, link)[0] == source:
            yield intent


def _is_open(work: Work, link: LinkRow, target: RecordRow, what: str, source: str) -> bool:
    return any(True for _ in _same(work, link, target, what, source))


def _open(
    work: Work,
    link: LinkRow,
    target: RecordRow,
    what: str,
    source: RecordRow,
    version: str,
    values: Mapping[str, Any] | None = None,
) -> None:
    """Make the intent of an errand, unless it is there; one for an older version that did not go out is renewed."""
    known = next(_same(work, link, target, what, source.id), None)
    if known is not None:
        if known.state in UNSENT and _part(known, link)[1] != version:
            known.wants, known.state, known.due, known.reason = (
                _wants(link, what, source, version),
                "open",
                work.tx.now,
                None,
            )
            drop_intent_holds(work, known)
            save_intent(work, known, values or {})
        return
    intent = IntentRow(
        id=work.new_id(), connection=target.connection, kind=target.kind, ref=target.id, call=what, state="open",
        link=link.id, wants=_wants(link, what, source, version), sealed=None, source=source.connection,
        told_at=source.told_at, priority=6, made_at=work.tx.now, due=work.tx.now, origin=work.origin,
    )  # fmt: skip
    save_intent(work, intent, values or {})
    note(work, target.connection, target.kind, target.id, "errand_planned", link=link.id, detail=what)
    work.wanted += 1


def _want_no_more(work: Work, link: LinkRow, target: RecordRow, what: str, source: RecordRow) -> None:
    """What asked for an errand is over before its call went out; one that is held stays a person's to judge."""
    for intent in list(_same(work, link, target, what, source.id)):
        if intent.state == "open":
            drop(work, intent, "wanted_no_more")


def _wants(link: LinkRow, what: str, source: RecordRow, version: str) -> dict[str, dict[str, list[str]]]:
    return {str(link.id): {what: [source.id, version]}}


def source_of(work: Work, intent: IntentRow) -> tuple[LinkRow, str, str] | None:
    """(link, source's id, version) of an errand; None: its link is gone."""
    for key, part in intent.wants.items():
        link = work.tx.link(int(key))
        if link is not None:
            source, version = next(iter(part.values()))
            return link, source, version
    return None


# --- deeds ----------------------------------------------------------------------------------------------------------

_deeds = schema.deeds.c
_THIS = (
    _deeds.pair == sa.bindparam("of"),
    _deeds.end == sa.bindparam("at_end"),
    _deeds.what == sa.bindparam("deed"),
    _deeds.source == sa.bindparam("for_"),
)
_DONE = sa.select(_deeds.version, _deeds.content, _deeds.at).where(*_THIS)
_FORGET = sa.delete(schema.deeds).where(*_THIS)


def _done(work: Work, pair: Pair, end: End, what: str, source: str) -> str | None:
    """The version for which something was done."""
    found = work.sql.execute(_DONE, {"of": pair.name, "at_end": end.value, "deed": what, "for_": source}).first()
    return found.version if found else None


def content_of(work: Work, pair: str, end: End, what: str, source: str) -> str | None:
    """The digest of the file that was sent last."""
    found = work.sql.execute(_DONE, {"of": pair, "at_end": end.value, "deed": what, "for_": source}).first()
    return found.content if found else None


def may_be_there(work: Work, pair: str, end: End, source: str, content: str) -> bool:
    """Whether a file may lie at the target though this errand has not sent it last.

    So before the first time, after an older copy of the store, and where it was sent since for another application: a
    person's files may be shared by all of hers.
    """
    found = work.sql.execute(_DONE, {"of": pair, "at_end": end.value, "deed": ATTACH, "for_": source}).first()
    if found is None or found.at < copies.doubted_at(work.sql):
        return True
    table = schema.deeds.c
    same = (table.pair == pair, table.end == end.value, table.what == ATTACH, table.content == content)
    return work.sql.execute(sa.select(table.at).where(*same, table.at >= found.at).limit(1)).first() is not None


def remarked(work: Work, intent: IntentRow) -> str | None:
    """How the remarks about the screening of a move by rule stand: ``FOUND`` there already, made by us (""), or to be.

    None: one of them has still to be made; one that is held is not waited for.
    """
    known = source_of(work, intent)
    if known is None:
        return ""
    link, source, _ = known
    pair = work.world.pair(link.pair)
    end = pair.end_of(intent.connection)
    under_way = intents_on(work, intent.connection, Kind(intent.kind), [intent.ref or ""], ("open", *IN_FLIGHT))
    if any(one.call in REMARKS and _part(one, link)[0] == source for one in under_way):
        return None
    made = [content_of(work, pair.name, end, what, source) for what in pair.at(end).remarks]
    return FOUND if FOUND in made else ""


def came_back(work: Work, pair: str, end: End, target: str, content: str) -> bool:
    """Whether a file is the one that this target gave to the source: then it need not be sent back."""
    return content_of(work, pair, end.other, ATTACH, target) == content


def _keep(work: Work, pair: str, end: End, what: str, source: str, version: str, content: str | None = None) -> None:
    row = {"pair": pair, "end": end.value, "what": what, "source": source, "version": version, "content": content,
           "at": work.tx.now}  # fmt: skip
    upsert(work.sql, schema.deeds, [row])


def let_be(work: Work, ends: Ends, source: RecordRow, file: str | None) -> None:
    """Whatever is done once for a record was done, or must not be done any more; ``file``: the version it has now."""
    end = ends.end_of(source.connection).other
    kinds = {Kind.APPLICATION: (ATTACH, OUTCOME, SCREEN), Kind.SCREENING: (*sorted(REMARKS), RULE)}
    for what in kinds.get(Kind(source.kind), ()):
        _keep(work, ends.pair, end, what, source.id, file or BEFORE if what == ATTACH else BEFORE)


def _forget(work: Work, pair: Pair, end: End, what: str, source: str) -> None:
    work.sql.execute(_FORGET, {"of": pair.name, "at_end": end.value, "deed": what, "for_": source})


def done(work: Work, intent: IntentRow, *, content: str | None = None, detail: str = "") -> None:
    """An errand is done: keep that for ever, and forget the intent."""
    known = source_of(work, intent)
    delete_intent(work, intent)
    if known is None or intent.ref is None:
        return
    link, source, version = known
    end = work.world.pair(link.pair).end_of(intent.connection)
    _keep(work, link.pair, end, intent.call, source, version, content)
    note(work, intent.connection, intent.kind, intent.ref, "errand_done", link=link.id, detail=detail or intent.call)


def drop(work: Work, intent: IntentRow, why: str) -> None:
    """An errand is wanted no more."""
    delete_intent(work, intent)
    note(work, intent.connection, intent.kind, intent.ref or "", "errand_dropped", link=intent.link, detail=why)


def lose(work: Work, intent: IntentRow) -> None:
    """An errand's target vanished; of one that was out, nobody knows any more what was done last."""
    known = source_of(work, intent)
    if intent.state in IN_FLIGHT and known is not None:
        link, source, _ = known
        pair = work.world.pair(link.pair)
        _forget(work, pair, pair.end_of(intent.connection), intent.call, source)
    drop(work, intent, "target_gone")


def forget_link(work: Work, links: Iterable[LinkRow]) -> None:
    """A link whose ends are not the same any more (or one of which is gone) asks for nothing.

    What may have been done already stays a question: it is not done again when the record is back.
    """
    for link in links:
        pair = work.world.pair(link.pair)
        for end in End:
            ref = getattr(link, end)
            if ref is None:
                continue
            for intent in intents_on(work, pair.at(end).name, Kind(link.kind), [ref], UNSENT):
                is_wanted = intent.call in ERRANDS and str(link.id) in intent.wants
                if is_wanted and intent.reason != "unknown_outcome":
                    drop(work, intent, "vanished")
