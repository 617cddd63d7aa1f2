"""The demo's working day: who does what at what time, and what goes wrong on purpose.

Each scene acts on the sandboxes, as people do in the systems' own pages, and tells one sentence without a name in it.
What is expected to wait for a person in the end is written into ``Company.scripted``; all else has to come into step.
"""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from syncd.clock import Clock
from syncd.demo_people import CARE, DRIVERS, LEADS, NURSES, OPENINGS, OTHERS, SUPPORT, Company, Person, resume_of
from syncd.sandbox import Fault

Tell = Callable[[str], None]

HOUR_S = 3600.0
NIGHTS = "<p>Delivery Driver in Reno, for people who <b>like</b> to work at night.</p>"
QUIET_S = 1200.0  # no application is touched twice within so long but on purpose
PORTAL_WORDS = {
    "Applied": "applied", "Phone Screen": "screening", "Assessment": "screening", "Interview": "interview",
    "Offer": "offer",
}  # fmt: skip
USUAL_WAY = ("Applied", "Phone Screen", "Assessment", "Interview", "Offer")


@dataclass(frozen=True)
class Scene:
    """Something that happens ``at_s`` seconds after the day's begin; it returns the sentence that tells it."""

    at_s: float
    act: Callable[[], str]


@dataclass
class Day:
    """Eight hours of work in five systems."""

    company: Company
    clock: Clock
    rng: random.Random
    tell: Tell
    touched: dict[str, float] = field(default_factory=dict)
    corrected: list[str] = field(default_factory=list)

    async def play(self, begin: float, *, pause_s: float = 0.0) -> None:
        """Let everything happen at its time; ``pause_s`` real seconds after each, for somebody who watches."""
        for scene in sorted(self.scenes(), key=lambda scene: scene.at_s):
            await self.clock.sleep_until(begin + scene.at_s)
            self.tell(scene.act())
            await self._pause(pause_s)

    async def go_on(self, pause_s: float, step_s: float) -> None:
        """One thing more as on any day, after so many real and then so many stepped seconds."""
        await self._pause(pause_s)
        await self.clock.sleep_until(self.clock.now() + step_s)
        with suppress(LookupError):
            self.tell(self.rng.choice(self.on_any_day())())

    async def _pause(self, seconds: float) -> None:
        if seconds:
            with self.clock.busy():  # so that the clock runs 1:1
                await self.clock.sleep_until(self.clock.now() + seconds)

    def scenes(self) -> Iterator[Scene]:
        """The script, and between its scenes what happens on any day."""
        for at, act in (
            ("0:05", self.somebody_applies_for_support),
            ("0:20", self.somebody_applies_at_worksignal),
            ("0:40", self.recruiter_moves_in_workable),
            ("1:00", self.recruiter_moves_in_ninjahire),
            ("1:15", self.phone_is_corrected),
            ("1:25", self.other_row_is_commented),
            ("1:35", self.somebody_is_phoned),
            ("1:45", self.owner_settles_a_conflict),
            ("2:00", self.conflict_is_held),
            ("2:20", self.answer_is_lost),
            ("2:30", self.resume_is_replaced),
            ("2:45", self.server_fails),
            ("3:10", self.candidate_is_disqualified),
            ("3:30", self.person_is_moved_in_the_portal),
            ("3:45", self.voice_screen_ends),
            ("4:00", self.webhook_is_lost),
            ("4:30", self.description_is_rewritten),
            *((f"5:{minute:02d}", self.support_is_moved_on) for minute in range(0, 60, 4)),
            ("6:30", self.somebody_applies_at_worksignal),
            ("7:00", self.somebody_is_hired),
            ("7:30", self.second_application),
        ):
            hours, _, minutes = at.partition(":")
            yield Scene(int(hours) * HOUR_S + int(minutes) * 60.0, act)
        for at_s in range(240, 28_000, 1500):
            yield Scene(at_s + self.rng.randrange(600), self.rng.choice(self.on_any_day()))

    def on_any_day(self) -> list[Callable[[], str]]:
        """What happens all the time."""
        return [self.somebody_applies, self.recruiter_moves_in_workable, self.recruiter_moves_in_ninjahire]

    # people

    def somebody_applies(self) -> str:
        """A new person at Workable, or one who is there already applies for one job more."""
        opening = self.rng.choice(OTHERS)
        person = self._newcomer(opening)
        self.company.apply(opening, person)
        count = len(self.company.rows_of(person))
        again = "" if count == 1 else f", their application number {count}"
        return f"Somebody applies at Workable as {OPENINGS[opening].title}{again}."

    def _newcomer(self, opening: int) -> Person:
        known = [person for person in self.company.person_of.values() if self._is_free(person, opening)]
        return self.rng.choice(known) if known and self.rng.random() < 0.3 else next(self.company.strangers)

    def _is_free(self, person: Person, opening: int) -> bool:
        rows = self.company.rows_of(person)
        on = {number for number in OTHERS for row in self.company.rows[number] if row in rows}
        return bool(on) and opening not in on

    def somebody_applies_for_support(self) -> str:
        """A new person at Workable for a job that two services share."""
        self.company.apply(SUPPORT[0], next(self.company.strangers))
        return "Somebody applies at Workable as Support Agent: a record for Ninjahire and one for WorkSignal."

    def somebody_applies_at_worksignal(self) -> str:
        """A new person at a spoke, who has to reach the hub and the other spoke."""
        self.company.apply_at_worksignal(SUPPORT[0], next(self.company.strangers))
        return "Somebody applies on WorkSignal's career page: a new record for Workable, and from there for Ninjahire."

    def second_application(self) -> str:
        """Somebody known to WorkSignal applies once more, which its API cannot make."""
        known = {self.company.person_of[row] for row in self.company.rows[SUPPORT[0]]}
        rows = (row for row in self.company.rows[SUPPORT[1]] if self.company.elsewhere("voice", row))
        person = next(person for row in rows if (person := self.company.person_of[row]) not in known)
        new = self.company.apply(SUPPORT[0], person)
        self.company.expect("application", [new], "second_application")
        return "A Team Lead candidate applies as Support Agent too: WorkSignal's API cannot make it, so it is held."

    # recruiters

    def recruiter_moves_in_workable(self) -> str:
        """One stage further in Workable."""
        row = self._pick(*OTHERS)
        before, after = self._one_on(row)
        self.company.workable.move(row, after)
        return f"A recruiter moves {_said(row)} in Workable: {before} to {after}."

    def recruiter_moves_in_ninjahire(self) -> str:
        """One stage further in Ninjahire."""
        row = self._pick(*OTHERS, elsewhere=True)
        before, after = self._one_on(row)
        self.company.ninjahire.move(self._at("screener", row), after)
        return f"A recruiter moves {_said(row)} in Ninjahire: {before} to {after}."

    def candidate_is_disqualified(self) -> str:
        """A flag over the stage, which Workable's list and webhooks do not tell apart."""
        row = self._pick(NURSES)
        self.company.workable.disqualify(row)
        return f"A recruiter disqualifies {_said(row)} in Workable; nobody will be phoned about it."

    def somebody_is_hired(self) -> str:
        """The end of a pipeline."""
        row = self._pick(LEADS)
        self.company.workable.move(row, "Hired")
        return f"A recruiter hires {_said(row)} in Workable."

    def support_is_moved_on(self) -> str:
        """An interview day for Support: each move costs WorkSignal two of its hundred calls a day."""
        row = self._pick(*SUPPORT)
        before, after = self._one_on(row)
        self.company.workable.move(row, after)
        return f"A recruiter moves {_said(row)} of Support in Workable: {before} to {after}."

    # screenings and résumés

    def somebody_is_phoned(self) -> str:
        """A recruiter lets Ninjahire call; what it heard has to come back."""
        row = self._pick(*OTHERS, elsewhere=True)
        self.company.ninjahire.call(self._at("screener", row), score=86)
        return f"A recruiter lets Ninjahire phone {_said(row)}: what it found out becomes a comment in Workable."

    def voice_screen_ends(self) -> str:
        """WorkSignal has talked to somebody."""
        rows = [row for row in self.company.rows[SUPPORT[0]] if self.company.elsewhere("voice", row)]
        row = self.rng.choice(rows)
        self.company.worksignal.screen(self._at("voice", row), 74)
        return f"WorkSignal's voice screen of {_said(row)} has ended: one comment more in Workable."

    def resume_is_replaced(self) -> str:
        """A changed file is sent again, an unchanged one is not."""
        row = self._pick(NURSES, elsewhere=True)
        person = self.company.person_of[row]
        self.company.workable.put_resume(row, resume_of(person) + b"And a certificate for night shifts.\n")
        return f"{_said(row).capitalize()} hands in a new résumé: Ninjahire and the portal get it too."

    def person_is_moved_in_the_portal(self) -> str:
        """A move made on the person alone, where the stage stands in two places."""
        row = self._pick(*CARE, alone=True)
        before, after = self._one_on(row)
        application = self._at("house", row)
        self.company.portal.move_person(application.partition(":")[0], PORTAL_WORDS[after])
        return f"A recruiter moves {_said(row)} in the portal, on the person's own page: {before} to {after}."

    # corrections

    def phone_is_corrected(self) -> str:
        """One of a person's rows gets another number."""
        people = dict.fromkeys(self.company.person_of.values())
        person, rows = next((person, rows) for person in people if len(rows := self.company.rows_of(person)) > 1)
        self._touch(rows[0])
        self.corrected = rows
        corrected = replace(person, phone="+12025559000")  # which is what they give when they apply once more
        self.company.person_of.update(dict.fromkeys(rows, corrected))
        self.company.workable.edit("candidate", rows[0], phone=corrected.phone)
        return f"A phone number is corrected on {_said(rows[0])}, one of a person's {len(rows)} rows in Workable."

    def other_row_is_commented(self) -> str:
        """A comment bumps the time of a row that still has the old number."""
        other = self.corrected[1]
        self.company.workable.comment(other)
        return f"Somebody comments on {_said(other)}, another row of that person; the new number stays."

    def description_is_rewritten(self) -> str:
        """A job's text, which only a get tells."""
        job = self.company.jobs["acme"][DRIVERS]
        self.company.workable.edit("job", job, description=NIGHTS)
        return f"Workable job {job} gets a new description."

    # what goes wrong

    def owner_settles_a_conflict(self) -> str:
        """Both ends of a pair with an owner move the same person."""
        row = self._pick(LEADS, elsewhere=True)
        self.company.workable.move(row, "Offer")
        self.company.ninjahire.move(self._at("screener", row), "Assessment")
        return f"Both sides move {_said(row)}, unlike each other; stages are Workable's, so Offer it is."

    def conflict_is_held(self) -> str:
        """Both ends of a pair without an owner move the same person."""
        stages = self.company.stages()
        row = next(row for row in self.company.rows[SUPPORT[0]] if stages[row] == "Applied")
        self._touch(row)
        self.company.workable.move(row, "Interview")
        self.company.worksignal.move(self._at("voice", row), "offer")
        self.touched[row] = math.inf  # nobody else settles it
        self.company.expect("application", [row], "conflict")
        return f"Workable and WorkSignal move {_said(row)} unlike each other, and nobody owns stages there: it is held."

    def answer_is_lost(self) -> str:
        """The connection dies after a create took effect."""
        arm(self.company.ninjahire, "POST", "/v1/applications", Fault.LOST_AFTER)
        self.company.apply(DRIVERS, next(self.company.strangers))
        return "Somebody applies at Workable; Ninjahire will take the application, and its answer will be lost."

    def server_fails(self) -> str:
        """A 503 to a read and one to a write."""
        arm(self.company.workable, "GET", "/candidates", Fault.ERROR_BEFORE)
        arm(self.company.ninjahire, "PATCH", "/v1/applications", Fault.ERROR_AFTER)
        return f"Workable and Ninjahire each answer 503 once. {self.recruiter_moves_in_workable()}"

    def webhook_is_lost(self) -> str:
        """A move whose webhook never comes; the next poll has to see it."""
        sandbox, lost = self.company.workable, []

        def lose(event: str) -> bool:
            lost.append(event)
            return len(lost) == 1

        sandbox.lose_hook = lose
        return f"{self.recruiter_moves_in_workable()[:-1]}, and the webhook is lost."

    # whom

    def _pick(self, *openings: int, elsewhere: bool = False, alone: bool = False) -> str:
        """An application for one of these that can go one stage further, best one that was left alone for a while.

        ``elsewhere``: one that Ninjahire has, too. ``alone``: the only one of somebody whom the portal has, whose next
        stage is another one there.
        """
        now, stages = self.clock.now(), self.company.stages()
        rows = [row for opening in openings for row in self.company.rows[opening] if stages[row] in USUAL_WAY[:-1]]
        self.rng.shuffle(rows)
        rows.sort(key=lambda row: self.touched.get(row, 0.0) > now - QUIET_S)
        for row in rows:
            fits = not elsewhere or self.company.elsewhere("screener", row) is not None
            if fits and self.touched.get(row, 0.0) < math.inf and (not alone or self._is_alone(row)):
                self._touch(row)
                return row
        raise LookupError("nobody is left who can be moved on")

    def _is_alone(self, row: str) -> bool:
        """Whether a move of the person in the portal can only mean this application, and says something there."""
        own = [other for other in self.company.rows_of(self.company.person_of[row]) if other in self._care_rows()]
        before, after = self._one_on(row)
        moves = PORTAL_WORDS[before] != PORTAL_WORDS[after]
        return own == [row] and moves and self.company.elsewhere("house", row) is not None

    def _care_rows(self) -> list[str]:
        return [row for opening in CARE for row in self.company.rows[opening]]

    def _touch(self, row: str) -> None:
        for other in self.company.rows_of(self.company.person_of[row]):
            self.touched[other] = max(self.clock.now(), self.touched.get(other, 0.0))

    def _one_on(self, row: str) -> tuple[str, str]:
        before = self.company.stage_of(row)
        return before, USUAL_WAY[USUAL_WAY.index(before) + 1]

    def _at(self, connection: str, row: str) -> str:
        found = self.company.elsewhere(connection, row)
        assert found is not None
        return found


def _said(row: str) -> str:
    return f"candidate {row}"


def arm(sandbox: Any, method: str, path: str, fault: Fault) -> None:
    """Let the next call of this kind go wrong, once; what was armed before stays armed."""
    before = sandbox.faults
    left = [fault]

    def faults(asked: str, at: str) -> Fault | None:
        if left and asked == method and path in at:
            return left.pop()
        found: Fault | None = before(asked, at)
        return found

    sandbox.faults = faults
