"""All five systems over real sockets, joined around any of those that can be a hub, and the people who work there.

What their APIs do not allow, no pair here asks for:

* Workable's jobs can only be read: around another hub it is the place that jobs come from, and takes people.
* HireSquire makes neither jobs nor people, so it is never a hub: it gets résumés, and tells scores and statuses.
* Ninjahire never tells a résumé back: as a hub it gets them and gives none, so nobody can be sent to HireSquire.
* WorkSignal takes no remarks: as a hub it sends its screenings out, and those of the others end where they were made.
* The portal gives no address of a file that others may fetch, and WorkSignal takes nothing else: no résumé goes there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.judges import Kept, Run, violations
from tests.integration.papers import paper_violations
from tests.integration.scene import TITLES, WORDS, People, Scene
from tests.integration.town import TOKEN, Played

SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal", "home": "portal", "cv": "hiresquire"}
DESCRIPTION = "<p>Looks after people at night, with <b>patience</b> and a driving licence.</p>"
BEGINNING = """
[store]
url = "sqlite:///{folder}/syncd.db"

[server]
listen = "127.0.0.1:{port}"

[log]
form = "json"
"""
CONNECTION = """
[connections.{name}]
system = "{system}"
base_url = "{address}"
token = "{token}"
poll = "1s"
sweep = "4s"
overlap = "5s"
limits = ["20/1s"]
"""
OPTIONS = {
    "acme": 'member = "ops@acme.example"\nrating_scale = "stars"\n',
    "home": 'author = "ops@acme.example"\n',
    "screener": """
[connections.screener.defaults]
industry = "Software"
state = "CA"
country = "United States"
description = "See the job in Workable."
recruiter_name = "Talent team"
recruiter_email = "talent@example.com"
recruiter_phone = "+12025550100"
source = "Workable"
phone = "+12025550199"
""",
}
BATCHES = 'applications = "<->"\ncollect = "2s"\nscreen_at = '
PEOPLE = 'candidates = "<->"\napplications = "<->"\n'


@dataclass(frozen=True)
class Star:
    """One hub and what it carries. ``pairs``: spoke -> what its pair says; ``screen_at``: in our words.

    ``resumes`` and ``remarks``: (source, target). ``gives``: where people's résumés are changed.
    """

    hub: str
    pairs: Mapping[str, str]
    resumes: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    gives: str = ""
    screen_at: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def systems(self) -> dict[str, str]:
        """The connections that take part, the hub first."""
        return {name: SYSTEMS[name] for name in (self.hub, *self.pairs)}


def _pair(jobs: str = "", *, resumes: str = "", screenings: str = "") -> str:
    said = {"jobs": jobs, "resumes": resumes, "screenings": screenings}
    return PEOPLE + "".join(f'{name} = "{way}"\n' for name, way in said.items() if way)


WORKABLE = Star(
    "acme",
    {
        "screener": _pair("->", resumes="->", screenings="<-"),
        "voice": _pair("->", resumes="->", screenings="<-"),
        "home": _pair("->", resumes="->"),
        "cv": f'{BATCHES}"assessment"\nscreenings = "<-"\n',
    },
    resumes=(("acme", "screener"), ("acme", "voice"), ("acme", "home")),
    remarks=(("screener", "acme"), ("voice", "acme"), ("cv", "acme")),
    gives="acme",
    screen_at="assessment",
)
PORTAL = Star(
    "home",
    {
        "acme": _pair("<-", resumes="->"),
        "screener": _pair("->", resumes="->", screenings="<-"),
        "voice": _pair("->", screenings="<-"),
        "cv": f'{BATCHES}"screening"\nscreenings = "<-"\n',
    },
    resumes=(("home", "acme"), ("home", "screener")),
    remarks=(("screener", "home"), ("voice", "home"), ("cv", "home")),
    gives="home",
    screen_at="screening",
    options={"home": 'read_files = "true"\n'},
)
NINJAHIRE = Star(
    "screener",
    {
        "acme": _pair("<-", resumes="<-", screenings="->"),
        "voice": _pair("->"),
        "home": _pair("->", screenings="->"),
    },
    resumes=(("acme", "screener"),),
    remarks=(("screener", "acme"), ("screener", "home")),
    gives="acme",
)
WORKSIGNAL = Star(
    "voice",
    {
        "acme": _pair("<-", resumes="->", screenings="->"),
        "screener": _pair("->", resumes="->"),
        "home": _pair("->", resumes="->", screenings="->"),
        "cv": f'{BATCHES}"screening"\n',
    },
    resumes=(("voice", "acme"), ("voice", "screener"), ("voice", "home")),
    remarks=(("voice", "acme"), ("voice", "home")),
    gives="voice",
    screen_at="screening",
)


def configure(folder: Path, port: int, played: Mapping[str, Played], star: Star) -> None:
    """Write the config of a star."""
    addresses = {name: one.address for name, one in played.items()}
    text = BEGINNING.format(folder=folder, port=port) + config_of(star, addresses)
    (folder / "config.toml").write_text(text)


def config_of(star: Star, addresses: Mapping[str, str], connection: str = CONNECTION) -> str:
    """Connections and pairs of a star as the config tells them."""
    text = ""
    for name, system in star.systems.items():
        text += connection.format(name=name, system=system, address=addresses[name], token=TOKEN)
        text += star.options.get(name, "") + OPTIONS.get(name, "")
    for name, said in star.pairs.items():
        text += f'\n[pairs.with_{name}]\nleft = "{star.hub}"\nright = "{name}"\n{said}'
    return text


# --- people ---------------------------------------------------------------------------------------------------------


@dataclass
class Crowd(People):
    """All who work in a star: they also change résumés, hold screenings, and move a person in the portal alone."""

    gives: str = "acme"
    changed_at: float = 0.0
    known: set[str] = field(default_factory=set)

    def fill(self) -> None:
        """The jobs are there where they come from, and at the hub; some people are known on several sides."""
        jobs = {name: self._jobs(name) for name in self.hirers()}
        for number in range(6):
            person, first = self.somebody(), number % len(TITLES)
            self._applies(self.hub, jobs[self.hub][TITLES[first]], person)
            if number == 0 and self.hub != "voice":
                self._applies(self.hub, jobs[self.hub][TITLES[2]], person)
            for name in self.hirers():
                if name != self.hub and number % 3 == 1 and TITLES[first] in jobs[name]:
                    self._applies(name, jobs[name][TITLES[first]], person)
        for name in self.hirers():
            self._applies(name, next(iter(jobs[name].values())), self.somebody())

    def _jobs(self, name: str) -> dict[str, str]:
        titles = TITLES if name in ("acme", self.hub) else TITLES[1:2]
        return {title: self.box(name).add_job(title=title, **self._about(name)) for title in titles}

    def _about(self, name: str) -> dict[str, Any]:
        return {"desc": "Nights."} if name == "screener" else {"description": DESCRIPTION}

    def _applies(self, name: str, job: str, person: dict[str, Any]) -> None:
        is_new = person["email"] not in self.known  # in the portal two files of one second cannot be told apart
        papers = {"resume": self.resume()} if name == self.gives and self.rng.random() < 0.7 and is_new else {}
        self.known.add(person["email"])
        self.box(name).apply(job, **person, **papers)

    def resume(self) -> bytes:
        """Another résumé each time, as a PDF that hides nothing."""
        self.numbers += 1
        years = "Ten years of nights in a hospital, and never late once. A cook and a driver before that."
        return b"%PDF-1.4\n" + f"Made up for a test, number {self.numbers}.\n{years}".encode()

    def acts(self) -> list[Callable[[], None]]:
        """What happens, as often as it stands here."""
        mine = [self.change_resume, self.change_resume, self.screen, self.screen, self.reach_the_stage]
        return [*super().acts(), *mine, *([self.move_the_person] if "home" in self.played else [])]

    def comment(self) -> None:
        """A recruiter's own words, in Workable."""
        if (id_ := self.any("acme", "application")) is not None:
            self.box("acme").comment(id_)

    def apply(self) -> None:
        name = self.rng.choice(self.hirers())
        if (job := self.open_job(name)) is not None:
            self._applies(name, job, self.somebody())

    def change_resume(self) -> None:
        """Somebody uploads another one; in the portal a file alone is told by no list, so the phone changes as well."""
        now = self.clock.now()
        if now - self.changed_at < 1.5 or (id_ := self.any(self.gives, "application")) is None:
            return  # the portal tells a file's second
        self.changed_at = now
        self.box(self.gives).put_resume(id_, self.resume())
        if self.gives == "home":
            self.box("home").edit("candidate", id_.partition(":")[0], phone=self.phone())

    def screen(self) -> None:
        """A telephone call, or a voice screen, that people asked for."""
        if not (calling := [name for name in ("screener", "voice") if name in self.played]):
            return
        name = self.rng.choice(calling)
        if (id_ := self.any(name, "application")) is not None:
            act = self.box(name).call if name == "screener" else self.box(name).screen
            act(id_, score=self.rng.randrange(40, 100))

    def reach_the_stage(self) -> None:
        """Somebody at the hub comes to where résumés are screened."""
        word = {"acme": "Assessment", "screener": "Assessment", "voice": "screening", "home": "screening"}[self.hub]
        if (id_ := self.any(self.hub, "application")) is not None:
            self.put(self.hub, id_, word)

    def move_the_person(self) -> None:
        """In the portal a person has a stage of her own."""
        if (id_ := self.any("home", "candidate")) is not None:
            self.box("home").move_person(id_, self.rng.choice(WORDS["home"][0][:4]))


# --- a run ----------------------------------------------------------------------------------------------------------


@dataclass
class StarScene(Scene):
    """One seed around one hub."""

    star: Star = WORKABLE

    def prepare(self) -> None:
        """Who works there, and the config."""
        self.people = Crowd(self.played, self.rng, hub=self.star.hub, gives=self.star.gives)
        configure(self.folder, self.syncd.port, self.played, self.star)
        if "cv" in self.played:
            self.played["cv"].box.screening_s, self.played["cv"].box.each_s = 1.0, 0.1

    def kept(self) -> dict[str, Kept]:
        found = super().kept()
        if "cv" in found:
            found["cv"].told = screened_as(found["cv"], found[self.star.hub])
        return found

    def verdict(self, run: Run) -> list[str]:
        """What should not have happened: to records, and to what lies beside them."""
        beside = paper_violations(run, self.star.resumes, self.star.remarks, self.star.screen_at)
        return [*violations(run), *beside]


def screened_as(cv: Kept, hub: Kept) -> dict[str, Any]:
    """What HireSquire keeps, each application as that of the hub whose id its file bears; others are left out."""
    files = {id_: one["file"].rpartition(".")[0] for id_, one in cv.told["screening"].items()}
    known = hub.told["application"]
    whose = {id_: known[file] for id_, file in files.items() if file in known}
    about = {id_: {"job": one["job"], "candidate": one["candidate"]} for id_, one in whose.items()}
    return {
        "job": hub.told["job"],
        "candidate": hub.told["candidate"],
        "application": {id_: {**cv.told["application"][id_], **of} for id_, of in about.items()},
        "screening": {id_: cv.told["screening"][id_] for id_ in whose},
    }
