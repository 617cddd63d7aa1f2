"""Who and what the demo's five systems hold before syncd sees them: made-up openings, people and applications.

Workable is full, and everybody there has a résumé. Ninjahire and WorkSignal hold some of the same jobs and people,
entered by hand long ago, as an account looks on the day that somebody decides to keep it in step; the hiring portal
knows one of the jobs, and HireSquire nobody. Everybody is made up: addresses end in example.com, telephone numbers in
555-01xx and their like.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Pipeline = tuple[tuple[str, str], ...]

USUAL: Pipeline = (
    ("Sourced", "sourced"),
    ("Applied", "applied"),
    ("Phone Screen", "phone-screen"),
    ("Assessment", "assessment"),
    ("Interview", "interview"),
    ("Offer", "offer"),
    ("Hired", "hired"),
)
OWN: Pipeline = (*USUAL[:4], ("Tech Chat", "interview"), *USUAL[4:])  # one job has a pipeline of its own
OWN_WORDS = {"Tech Chat": "interview"}  # what its extra stage means


@dataclass(frozen=True)
class Opening:
    """A job of the company. ``elsewhere``: the spokes that had it before."""

    title: str
    code: str
    department: str
    city: str
    region: str
    elsewhere: tuple[str, ...] = ()
    pipeline: Pipeline = USUAL
    state: str = "published"


OPENINGS = (
    Opening("Data Engineer", "ENG-1", "Engineering", "Austin", "TX", ("screener",), OWN),
    Opening("Backend Developer", "ENG-2", "Engineering", "Austin", "TX"),
    Opening("Night Nurse", "CARE-1", "Care", "Tucson", "AZ", ("screener", "house")),
    Opening("Physiotherapist", "CARE-2", "Care", "Tucson", "AZ"),
    Opening("Warehouse Lead", "OPS-1", "Operations", "Reno", "NV", ("screener",)),
    Opening("Delivery Driver", "OPS-2", "Operations", "Reno", "NV"),
    Opening("Support Agent", "SUP-1", "Support", "Boise", "ID", ("voice",)),
    Opening("Support Team Lead", "SUP-2", "Support", "Boise", "ID"),
    Opening("Chief of Staff", "HQ-1", "Office", "Austin", "TX", state="draft"),
)
NAMES = {
    "acme": "Workable", "screener": "Ninjahire", "voice": "WorkSignal", "house": "Portal", "papers": "HireSquire",
}  # fmt: skip  # by connection
SUPPORT = (6, 7)  # the openings that the voice screens are for
CARE = (2, 3)  # those that the portal has too
OTHERS = (0, 1, 2, 3, 4, 5)
NURSES, LEADS, DRIVERS = 2, 4, 5

VOICE_WORDS = {
    "Applied": "applied", "Phone Screen": "screening", "Assessment": "screening", "Interview": "interview",
    "Offer": "offer", "!disqualified": "rejected",
}  # fmt: skip

FIRST = ("Ada", "Bruno", "Chidi", "Dana", "Elif", "Farid", "Grace", "Hana", "Igor", "Jun", "Kofi", "Lena")
LAST = ("Abara", "Berg", "Castillo", "Dahl", "Eklund", "Fonseca", "Grant", "Hosseini", "Ito", "Jansen", "Kaya")


@dataclass(frozen=True)
class Person:
    """Somebody made up."""

    first: str
    last: str
    email: str
    phone: str
    city: str | None = None

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


def resume_of(person: Person) -> bytes:
    """A made-up résumé: a PDF that shows what it says to whoever looks into it."""
    lines = (
        person.name,
        person.email,
        person.phone,
        "Ten years in this trade, and in three towns. Reliable, curious, and never late but once.",
    )
    return b"%PDF-1.4\n" + "\n".join(lines).encode() + b"\n%%EOF\n"


def people(rng: random.Random) -> Iterator[Person]:
    """Made-up people without end, no two alike."""
    number = 0
    while True:
        number += 1
        first, last = rng.choice(FIRST), rng.choice(LAST)
        email = f"{first}.{last}.{number}@example.com".lower()
        city = rng.choice(("Austin", "Tucson", "Reno", "Boise", None, None))
        yield Person(first, last, email, f"+1202555{number:04d}", city)


@dataclass(frozen=True)
class Scripted:
    """A hold that the demo brings about on purpose: about one of these records, for this reason."""

    kind: str
    refs: frozenset[str]
    reason: str


@dataclass
class Company:
    """The sandboxes of one company, and where its openings and people stand in each.

    ``jobs``: connection -> opening's number -> id. ``rows``: opening's number -> ids of its Workable rows.
    ``scripted``: what is expected to wait for a person in the end.
    """

    workable: Any
    ninjahire: Any
    worksignal: Any
    portal: Any
    hiresquire: Any
    rng: random.Random
    jobs: dict[str, dict[int, str]] = field(default_factory=dict)
    rows: dict[int, list[str]] = field(default_factory=dict)
    person_of: dict[str, Person] = field(default_factory=dict)
    scripted: list[Scripted] = field(default_factory=list)

    @property
    def systems(self) -> dict[str, Any]:
        """The sandboxes by the names of their connections."""
        return {
            "acme": self.workable, "screener": self.ninjahire, "voice": self.worksignal, "house": self.portal,
            "papers": self.hiresquire,
        }  # fmt: skip

    def begin(self, now: float) -> None:
        """Fill the systems with what is there before the first sync."""
        self.strangers = people(self.rng)
        self._open_jobs(now)
        self._fill_workable(now)
        self._fill_ninjahire(now)
        self._fill_worksignal(now)

    def apply(self, opening: int, person: Person, stage: str | None = None, at: float | None = None) -> str:
        """Somebody applies at Workable; the row's id."""
        where = {"city": person.city, "country": "United States"} if person.city else {}
        fields = {"name": person.name, "email": person.email, "phone": person.phone, **where}
        job, resume = self.jobs["acme"][opening], resume_of(person)
        row: str = self.workable.apply(job, stage=stage, created_at=at, resume=resume, **fields)
        self.rows.setdefault(opening, []).append(row)
        self.person_of[row] = person
        return row

    # before the first sync

    def _open_jobs(self, now: float) -> None:
        self.jobs = {name: {} for name in self.systems}
        for number, opening in enumerate(OPENINGS):
            at = now - 86_400 * (60 - number)
            self.jobs["acme"][number] = self.workable.add_job(
                title=opening.title, code=opening.code, department=opening.department, city=opening.city,
                region=opening.region, country="United States", pipeline=opening.pipeline, state=opening.state,
                description=f"<p>{opening.title} in {opening.city}, for <b>people</b> who like what they do.</p>",
                created_at=at,
            )  # fmt: skip
            if "screener" in opening.elsewhere:
                self.jobs["screener"][number] = self.ninjahire.add_job(
                    title=opening.title, code=opening.code, created_at=at
                )
            if "voice" in opening.elsewhere:
                self.jobs["voice"][number] = self.worksignal.add_job(
                    title=opening.title, department=opening.department, created_at=at
                )
            if "house" in opening.elsewhere:
                self.jobs["house"][number] = self.portal.add_job(
                    title=opening.title, team=opening.department, created_at=at
                )

    def _fill_workable(self, now: float) -> None:
        """Sixty people with ninety applications: one to three each; fourteen of them are for the Support jobs."""
        for number in range(60):
            person = next(self.strangers)
            at = now - 86_400 * 20 + 3600 * number
            for opening in self._wishes(number):
                self.apply(opening, person, self._stage(opening), at)

    def _wishes(self, number: int) -> Sequence[int]:
        count = 3 if number >= 54 else 2 if number >= 36 else 1
        if number < 12:
            return (SUPPORT[number % 2],)
        if number == 54:
            return (*SUPPORT, 0)  # the only one on both Support jobs
        return self.rng.sample(OTHERS, count)

    def _stage(self, opening: int) -> str:
        words = [name for name, _ in OPENINGS[opening].pipeline[1:6]]
        return self.rng.choice([*words, words[0], words[0], "!disqualified"])

    def _fill_ninjahire(self, now: float) -> None:
        """Every other applicant of the jobs that are there too, at the stage that she has in Workable or near it."""
        for opening, job in self.jobs["screener"].items():
            for at, row in enumerate(self.rows[opening][::2]):
                person, stage = self.person_of[row], self._told_stage(row)
                is_renamed = (opening, at) == (2, 0)
                name = f"{person.name}-Smith" if is_renamed else person.name
                self.ninjahire.apply(
                    job, email=person.email, name=name, phone=person.phone, stage=stage, created_at=now - 86_400 * 9
                )
                if is_renamed:
                    self.expect("candidate", self.rows_of(person), "other_name")
        for opening in list(self.jobs["screener"])[:2]:
            stranger = next(self.strangers)  # known there alone, and stays there: nothing carries such people back
            self.ninjahire.apply(
                self.jobs["screener"][opening], email=stranger.email, name=stranger.name, phone=stranger.phone,
                stage="Applied", created_at=now - 86_400 * 8,
            )  # fmt: skip

    def _told_stage(self, row: str) -> str:
        """What a recruiter wrote into Ninjahire: the stage's name as it then was."""
        word = self.stage_of(row)
        if word.startswith("!"):
            return "Rejected"
        return "Interview" if word == "Tech Chat" else self.rng.choice((word, word, word, "Applied"))

    def _fill_worksignal(self, now: float) -> None:
        """Four of the Support Agents-to-be, as far as in Workable, and one who applied there alone."""
        job = self.jobs["voice"][SUPPORT[0]]
        for row in self.rows[SUPPORT[0]][:4]:
            person = self.person_of[row]
            application = self.worksignal.apply(
                job, name=person.name, email=person.email, phone=person.phone, created_at=now - 86_400 * 7
            )
            self.worksignal.move(application, VOICE_WORDS[self.stage_of(row)])
        self.apply_at_worksignal(SUPPORT[0], next(self.strangers), now - 86_400 * 2)
        both = [row for row in self.rows[SUPPORT[1]] if len(self.rows_of(self.person_of[row])) > 1]
        for row in both:
            self.expect("application", self.rows_of(self.person_of[row]), "second_application")

    # what people do

    def apply_at_worksignal(self, opening: int, person: Person, at: float | None = None) -> str:
        """Somebody applies on WorkSignal's career page; the application's id."""
        fields = {"name": person.name, "email": person.email, "phone": person.phone}
        application: str = self.worksignal.apply(self.jobs["voice"][opening], created_at=at, **fields)
        return application

    def expect(self, kind: str, refs: Sequence[str], reason: str) -> None:
        """Write down what is going to wait for a person, on purpose."""
        self.scripted.append(Scripted(kind, frozenset(refs), reason))

    # what stands where

    def stages(self) -> dict[str, str]:
        """The stage of each Workable row, by name; a flag over it begins with "!"."""
        return {row: one["stage"] for row, one in self.workable.snapshot()["application"].items()}

    def stage_of(self, row: str) -> str:
        """The stage of one row."""
        return self.stages()[row]

    def elsewhere(self, connection: str, row: str) -> str | None:
        """The application of a Workable row in another system, found as people find it: by e-mail and title."""
        told, email = self.systems[connection].snapshot(), self.person_of[row].email
        title = next(OPENINGS[number].title for number, rows in self.rows.items() if row in rows)
        for id_, one in told["application"].items():
            is_hers = told["candidate"][one["candidate"]]["email"].casefold() == email.casefold()
            if is_hers and told["job"][one["job"]]["title"] == title:
                return str(id_)
        return None

    def rows_of(self, person: Person) -> list[str]:
        """A person's Workable rows, oldest first."""
        return [row for row, other in self.person_of.items() if other == person]
