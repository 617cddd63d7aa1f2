"""The played Workable without its HTTP side: what it keeps, what people do in it, and what it does by itself.

Each change is noted with who made it; events that the real system sends as webhooks are announced here.
"""

import hashlib
import heapq
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.workable.sandbox_rows import (
    DEFAULT_PIPELINE,
    NOWHERE,
    PLACES,
    Activity,
    Json,
    PlayedFile,
    PlayedJob,
    PlayedMember,
    PlayedRow,
    PlayedStage,
    hexed,
    located,
    number_of,
    pipeline_of,
)
from syncd.clock import Clock

FILLS_IN_AFTER_S = 21.0  # recorded: a headline stood 21 s after the create
GUESSES = ("Sales Director at Test", "Engineer at Example", "Nurse at Sample Clinic", "Analyst at Test")
MEMBERS = (  # the last has left
    PlayedMember(2_044_001, "Olga Ops", "ops@acme.example"),
    PlayedMember(2_044_007, "Rita Recruiter", "recruiter@acme.example", role="simple"),
    PlayedMember(2_044_019, "Fred Former", "former@acme.example", active=False),
)
FIRST = ("Ada", "Björn", "Chidi", "Dana", "Elif", "Farid", "Grace", "Hana", "Igor", "Jun", "Kofi", "Lena", "Mira")
LAST = ("Nakamura", "Okafor", "Petrov", "Quint", "Rossi", "Sato", "Tran", "Ueda", "Vogel", "Weiss", "Yilmaz", "Zhou")
TITLES = ("Data Engineer", "Nurse", "Recruiter", "Accountant", "Field Technician", "Product Manager", "Driver")


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a webhook's address wants to hear; empty texts mean any."""

    id: str
    created_at: float
    job_shortcode: str = ""
    stage_slug: str = ""


class WorkableState:
    """Jobs, pipelines, rows, members, and the acts of people on them. Time, chance and the log come from the kit."""

    clock: Clock
    rng: random.Random
    subdomain = "acme"
    fills_in = True

    def number(self) -> int:
        """The next number of this sandbox: unique, rising."""
        raise NotImplementedError

    def note(
        self,
        by: str,
        action: str,
        kind: str,
        id: str,  # noqa: A002  # the word of all five systems
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down one effect."""
        raise NotImplementedError

    def begin(self, members: Sequence[PlayedMember] = MEMBERS) -> None:
        """Start with an empty account: one pipeline, and the members."""
        self.jobs: dict[int, PlayedJob] = {}
        self.shortcodes: dict[str, PlayedJob] = {}
        self.rows: dict[int, PlayedRow] = {}
        self.order: list[int] = []
        self.by_email: dict[str, list[int]] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.next_row = 656_866_723
        self._next_stage = 5_272_269
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.pipelines: dict[tuple[tuple[str, str], ...], tuple[PlayedStage, ...]] = {}
        self._pipeline(DEFAULT_PIPELINE)
        self.members = {member.number: member for member in members}

    # what people do

    def add_job(
        self,
        *,
        pipeline: Sequence[tuple[str, str]] = DEFAULT_PIPELINE,
        created_at: float | None = None,
        **fields: Any,
    ) -> str:
        """Make a job (title, code, state, department, city, …; see ``PlayedJob``); its shortcode."""
        now = self.clock.now() if created_at is None else created_at
        number = 2_860_064 + 33 * len(self.jobs)
        shortcode = f"{self.rng.getrandbits(40):010X}"
        job = PlayedJob(number, shortcode, now, now, self._pipeline(pipeline), **fields)
        self.jobs[number] = self.shortcodes[shortcode] = job
        self.note("human", "create", "job", shortcode, after=job.plain())
        return shortcode

    def apply(
        self,
        job_id: str,
        *,
        created_at: float | None = None,
        stage: str | None = None,
        resume: bytes | None = None,
        **person: Any,
    ) -> str:
        """A person applies (name or firstname and lastname, email, phone, …, city, region, country); the row's id.

        ``stage`` puts the row elsewhere than in Applied. Who is on the job already is treated as Workable does.
        ``resume`` is the content of a PDF.
        """
        self.settle()
        job, fields = self.shortcodes[job_id], named(person)
        if (known := self.row_on(job, fields.get("email"))) is not None:
            return self._apply_again(known, fields)
        source = {"outlet": "Jobs Page", "common_source": "Company Website", "common_source_category": "Career Site"}
        row = self.add_row("human", job, job.first_of("applied"), fields, sourced=False, at=created_at, **source)
        if stage is not None:
            self._put(row, stage)
        if resume is not None:
            self.keep_resume(row, "human", PlayedFile("cv.pdf", resume, row.created_at))
        return hexed(row.number)

    def _put(self, row: PlayedRow, word: str) -> None:
        """Where a row stands from the beginning: no move, no event."""
        row.disqualified, row.withdrew = word.startswith("!"), word == "!withdrew"
        row.stage = row.stage if row.disqualified else row.job.stage(word)
        row.disqualified_at = row.created_at if row.disqualified else None

    def _apply_again(self, row: PlayedRow, fields: Mapping[str, Any]) -> str:
        """Who re-applies: an untouched profile is overwritten, a Sourced one moves to Applied, the flag is lifted."""
        if not row.activities:
            self.change(row, "human", fields)
        if row.stage.kind == "sourced":
            if row.disqualified:
                self.lift(row, "human")
            self.put_in(row, row.job.first_of("applied"), "human")
        return hexed(row.number)

    def edit(self, kind: str, id: str, **fields: Any) -> None:  # noqa: A002  # the word of all five systems
        """Change a job's or a candidate's fields by hand; a candidate also takes city, region and country."""
        self.settle()
        if kind == "job":
            self._edit_job(self.shortcodes[id], fields)
        elif kind == "candidate":
            self.change(self._found(id), "human", named(fields))
        else:
            raise ValueError(f"nobody edits a {kind}: move it")

    def _edit_job(self, job: PlayedJob, fields: Mapping[str, Any]) -> None:
        before = job.plain()
        for name, value in fields.items():
            if not hasattr(job, name):
                raise ValueError(f"a job has no field {name}")
            setattr(job, name, value)
        job.updated_at = self.clock.now()
        self.note_change("human", "update", "job", job.shortcode, before, job.plain())

    def move(self, application_id: str, stage: str) -> None:
        """Move a row to a stage by name; ``!disqualified`` and ``!withdrew`` set the flag, any stage lifts it first."""
        self.settle()
        row = self._found(application_id)
        if stage.startswith("!"):
            self.flag(row, "human", withdrew=stage == "!withdrew")
            return
        target = row.job.stage(stage)
        if row.disqualified:
            self.lift(row, "human")
        self.put_in(row, target, "human")

    def disqualify(self, application_id: str, *, withdrew: bool = False, reason: str | None = None) -> None:
        """Set the flag over the stage."""
        self.settle()
        self.flag(self._found(application_id), "human", withdrew=withdrew, reason=reason)

    def revert(self, application_id: str) -> None:
        """Lift the flag."""
        self.settle()
        self.lift(self._found(application_id), "human")

    def comment(self, application_id: str, body: str = "Good talk") -> None:
        """Write a comment: the row's ``updated_at`` moves, nothing else does."""
        self.settle()
        self.remark(self._found(application_id), "human", "comment", body=body)

    def put_resume(self, application_id: str, content: bytes, name: str = "cv.pdf") -> None:
        """Somebody uploads a résumé, in place of the one that is there."""
        self.settle()
        row = self._found(application_id)
        self.keep_resume(row, "human", PlayedFile(name, content, self.clock.now()))

    def resume_of(self, application_id: str) -> bytes | None:
        """The content of a row's résumé."""
        row = self._found(application_id)
        return row.resume.content if row.resume else None

    def delete(self, application_id: str) -> None:
        """Delete a row."""
        self.settle()
        self.drop(self._found(application_id), "human")

    def relocate(self, application_id: str, job_id: str) -> str:
        """Move a row to another job: a new id, the old one is gone; ``created_at`` and ``outlet`` stay."""
        self.settle()
        return hexed(self.carry(self._found(application_id), self.shortcodes[job_id], "human", keep=False).number)

    def anonymize(self, application_id: str) -> None:
        """Wipe the person from a row."""
        self.settle()
        row = self._found(application_id)
        self.change(row, "human", {**dict.fromkeys(row.person()), "firstname": "Anonymized", "lastname": None})
        row.anonymized = True

    def fill(self, *, jobs: int = 3, people: int = 30, again: float = 0.1) -> list[str]:
        """Seed made-up jobs and people, unlogged and unannounced; the jobs' shortcodes.

        ``again``: the share of rows that belong to somebody who is on another job already.
        """
        codes = [
            self.add_job(
                title=self.rng.choice(TITLES),
                code=f"J-{number:03d}",
                department="Operations",
                industry="Other",
                description="<p>A made-up job of a sandbox.</p>",
            )
            for number in range(1, jobs + 1)
        ]
        seen: list[Json] = []
        for number in range(1, people + 1):
            old = self.rng.choice(seen) if seen and self.rng.random() < again else None
            person = old or _made_up(self.rng, number)
            job = self.shortcodes[self.rng.choice(codes)]
            if self.row_on(job, person["email"]) is None:
                self.add_row("", job, self.rng.choice(job.pipeline[1:5]), person, sourced=False)
                seen.append(person)
        return codes

    # what judges read

    def snapshot(self) -> dict[str, dict[str, Json]]:
        """Everything that is kept, in the words of the connector, by kind and id."""
        self.settle()
        rows = {hexed(number): row for number, row in self.rows.items()}
        return {
            "job": {job.shortcode: job.plain() for job in self.jobs.values()},
            "candidate": {id_: row.person() for id_, row in rows.items()},
            "application": {
                id_: {"job": row.job.shortcode, "candidate": id_, "stage": row.word} for id_, row in rows.items()
            },
        }

    # what is done, by whomever

    def add_row(
        self,
        by: str,
        job: PlayedJob,
        stage: PlayedStage,
        fields: Mapping[str, Any],
        *,
        at: float | None = None,
        **about: Any,
    ) -> PlayedRow:
        """Put a person on a job; nobody (``by`` empty) leaves no trace in the log and sends no event."""
        now = self.clock.now() if at is None else at
        number = self.next_row
        self.next_row += 1
        row = PlayedRow(number, job, stage, now, now, **about)
        self._set(row, fields)
        self.rows[number] = row
        self.order.append(number)
        job.rows.append(number)
        if by:
            self.note(by, "create", "candidate", hexed(number), after=row.person())
            after = {"job": job.shortcode, "candidate": hexed(number), "stage": row.word}
            self.note(by, "create", "application", hexed(number), after=after)
            self.announce("candidate_created", row)
        return row

    def drop(self, row: PlayedRow, by: str) -> None:
        """Delete a row."""
        id_ = hexed(row.number)
        self._unmail(row)
        del self.rows[row.number]
        for numbers in (self.order, row.job.rows):
            del numbers[bisect_left(numbers, row.number)]
        self.note(by, "delete", "application", id_, before={"job": row.job.shortcode, "stage": row.word})
        self.note(by, "delete", "candidate", id_, before=row.person())
        self.announce("candidate_deleted", row)

    def carry(self, row: PlayedRow, job: PlayedJob, by: str, *, keep: bool, slug: str | None = None) -> PlayedRow:
        """Copy a row to another job, or (``keep`` false) relocate it."""
        stage = job.stage_by_slug(slug) or job.first_of("sourced")
        fields = {**row.person(), "summary": row.summary, "cover_letter": row.cover_letter}
        about: Json = {"sourced": True, "common_source": "Copied from another job"}
        if not keep:
            about = {"sourced": row.sourced, "outlet": row.outlet, "common_source": row.common_source}
            self.drop(row, by)
        new = self.add_row(by, job, stage, fields, at=None if keep else row.created_at, **about)
        new.updated_at, new.resume = self.clock.now(), row.resume
        return new

    def change(self, row: PlayedRow, by: str, fields: Mapping[str, Any]) -> None:
        """Change a person's fields; nothing is noted where nothing changes."""
        before = row.person()
        self._set(row, fields)
        row.updated_at = self.clock.now()
        self.note_change(by, "update", "candidate", hexed(row.number), before, row.person())
        if "address" in fields and self.fills_in and not set(PLACES) & fields.keys():
            self.later(lambda: self._locate(row))

    def put_in(self, row: PlayedRow, stage: PlayedStage, by: str, member: PlayedMember | None = None) -> None:
        """Move a row to a stage; the same stage is no move."""
        if row.stage is stage:
            return
        origin, row.stage, now = row.stage, stage, self.clock.now()
        row.hired_at = now if stage.kind == "hired" else None
        row.moved_to_offer_at = now if stage.kind == "offer" else row.moved_to_offer_at
        row.updated_at = now
        row.activities.append(Activity(self._line(), stage.slug, now, member, origin, stage))
        self.note(by, "move", "application", hexed(row.number), {"stage": origin.name}, {"stage": stage.name})
        self.announce("candidate_moved", row)

    def flag(
        self,
        row: PlayedRow,
        by: str,
        *,
        withdrew: bool,
        reason: str | None = None,
        member: PlayedMember | None = None,
    ) -> None:
        """Disqualify: the stage below stays."""
        before, now = row.word, self.clock.now()
        row.disqualified, row.withdrew, row.reason = True, withdrew, reason
        row.disqualified_at = row.updated_at = now
        row.activities.append(Activity(self._line(), "disqualified", now, member, row.stage, body=reason))
        self.note_change(by, "disqualify", "application", hexed(row.number), {"stage": before}, {"stage": row.word})

    def lift(self, row: PlayedRow, by: str, member: PlayedMember | None = None) -> None:
        """Revert a disqualification."""
        before, now = row.word, self.clock.now()
        row.disqualified = row.withdrew = False
        row.disqualified_at = row.reason = None
        row.updated_at = now
        row.activities.append(Activity(self._line(), "reverted", now, member, row.stage))
        self.note_change(by, "revert", "application", hexed(row.number), {"stage": before}, {"stage": row.word})

    def remark(self, row: PlayedRow, by: str, action: str, **about: Any) -> Activity:
        """A comment or rating."""
        line = Activity(self._line(), action, self.clock.now(), **about)
        row.activities.append(line)
        row.updated_at = self.clock.now()
        self.note(by, action, "application", hexed(row.number), after={"body": about.get("body")})
        return line

    def keep_resume(self, row: PlayedRow, by: str, file: PlayedFile) -> None:
        """A row has one résumé: a new one takes the place of the old one."""
        row.resume, row.updated_at = file, self.clock.now()
        digest = hashlib.blake2b(file.content, digest_size=16).hexdigest()
        self.note(by, "attach", "application", hexed(row.number), after={"name": file.name, "digest": digest})

    # what Workable does by itself

    def later(self, act: Callable[[], None], after_s: float = FILLS_IN_AFTER_S) -> None:
        """Do something when its time has come, seen at the first read behind it."""
        heapq.heappush(self._due, (self.clock.now() + after_s, self.number(), act))

    def settle(self) -> None:
        """Do what is due."""
        while self._due and self._due[0][0] <= self.clock.now():
            heapq.heappop(self._due)[2]()

    def fill_in(self, row: PlayedRow) -> None:
        """Some seconds after a create: the headline is guessed, the address is located, ``updated_at`` moves."""
        if row.headline is None:
            self._by_itself(row, {"headline": GUESSES[row.number % len(GUESSES)]})
        self._locate(row)

    def _locate(self, row: PlayedRow) -> None:
        place = located(row.address)
        if place != row.location:
            self._by_itself(row, {name: place[name] for name in PLACES})

    def _by_itself(self, row: PlayedRow, fields: Mapping[str, Any]) -> None:
        if row.number not in self.rows:
            return
        before = row.person()
        self._set(row, fields)
        row.updated_at = self.clock.now()
        self.note_change("system", "fill_in", "candidate", hexed(row.number), before, row.person())

    def announce(self, event: str, row: PlayedRow) -> None:
        """Send a webhook; the HTTP side says how."""
        raise NotImplementedError

    # finding and keeping

    def row_on(self, job: PlayedJob, email: Any) -> PlayedRow | None:
        """The row of an e-mail on a job."""
        numbers = self.by_email.get(str(email).casefold(), []) if email else []
        return next((self.rows[number] for number in numbers if self.rows[number].job is job), None)

    def _found(self, id_: str) -> PlayedRow:
        return self.rows[number_of(id_)]

    def _set(self, row: PlayedRow, fields: Mapping[str, Any]) -> None:
        self._unmail(row)
        for name, value in fields.items():
            if name.removeprefix("location.") in PLACES:
                row.location = {**NOWHERE, **row.location, name.removeprefix("location."): value or None}
            elif name != "name":
                setattr(row, name, value or None)
        if row.email:
            self.by_email.setdefault(row.email.casefold(), []).append(row.number)

    def _unmail(self, row: PlayedRow) -> None:
        numbers = self.by_email.get((row.email or "").casefold(), [])
        if row.number in numbers:
            numbers.remove(row.number)

    def _pipeline(self, stages: Sequence[tuple[str, str]]) -> tuple[PlayedStage, ...]:
        known = tuple(stages)
        if known not in self.pipelines:
            self.pipelines[known] = pipeline_of(known, self._next_stage)
            self._next_stage += len(known)
        return self.pipelines[known]

    def _line(self) -> int:
        return 2_419_405_000 + self.number()

    def note_change(self, by: str, action: str, kind: str, id_: str, before: Json, after: Json) -> None:
        """Note what differs between two states, if anything does."""
        changed = [name for name in after if before.get(name) != after[name]]
        if changed:
            self.note(
                by,
                action,
                kind,
                id_,
                {name: before.get(name) for name in changed},
                {name: after[name] for name in changed},
            )


def named(fields: Mapping[str, Any]) -> Json:
    """Fields with a full name cut into first and last name, as Workable does it."""
    if not fields.get("name"):
        return dict(fields)
    first, _, last = str(fields["name"]).strip().partition(" ")
    return {"firstname": first, "lastname": last.strip() or None, **fields}


def _made_up(rng: random.Random, number: int) -> Json:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    return {
        "firstname": first,
        "lastname": last,
        "email": f"{first}.{last}.{number}@example.com".lower().replace("ö", "oe"),
        "phone": f"+1202555{rng.randrange(100, 200):04d}",
        "headline": f"{rng.choice(TITLES)} at Example",
    }
