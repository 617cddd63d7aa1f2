"""What the demo says on a terminal, and the same in plain lines where there is none. Never a person's name.

Times of day are the played ones, in UTC.
"""

import contextlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.demo_people import NAMES
from syncd.tell import BAD, DIM, GOOD, STRONG, as_json, progress

Facts = Mapping[str, Any]
Row = Sequence[object]
WHY = {
    "conflict": "both ends changed it unlike each other, and no end owns it",
    "other_name": "the same e-mail under another name",
    "second_application": "WorkSignal's API cannot make a second application for somebody who is there",
}


class Teller:
    """Tells a run as it goes; silent until the end where only JSON is wanted."""

    def __init__(self, console: Console, *, is_silent: bool = False) -> None:
        self._console = console
        self._is_silent = is_silent

    def begin(self, address: str, records: Facts) -> None:
        """What there is, and where to look."""
        self._line("syncd demo: five hiring systems played on this machine, with made-up people.", STRONG)
        for name, kinds in records.items():
            self._line(f"  {NAMES[name]:<11}{_counted(kinds)}")
        self._line(f"  The page:  {address}/", STRONG)
        self._line("")

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[Facts], None]]:
        """A bar for the first backfill, where there is a terminal."""
        self._line("The first backfill reads every list, links what is the same, and makes what is missing.", STRONG)
        if self._is_silent:
            yield lambda told: None
            return
        with progress(self._console, "backfill") as heard:
            yield heard

    def said(self, at: float, sentence: str) -> None:
        """Something happened at a time of day."""
        style = DIM if sentence.startswith("syncd: ") else ""
        self._line(f"{time_of_day(at)}  {sentence}", style, 7)

    def day(self) -> None:
        """The working day begins."""
        self._line("")
        self._line("A working day. Everything from here on happens by itself.", STRONG)

    def end(self, summary: Facts) -> None:
        """What it came to."""
        if self._is_silent:
            self._console.print(Text(as_json(summary)), soft_wrap=True)
            return
        self._console.print()
        self._tables(summary)
        self._verdict(summary)

    def _tables(self, summary: Facts) -> None:
        kinds = ("job", "candidate", "application")
        self._table(
            ("System", "Jobs", "People or rows", "Applications", "Writes", "Calls", "Most in a window"),
            [
                (
                    NAMES[name],
                    *(records.get(kind, 0) for kind in kinds),
                    sum(summary["writes"][name].values()),
                    summary["calls"][name]["all"],
                    ", ".join(f"{rule['most']} of {rule['rule']}" for rule in summary["calls"][name]["rules"]),
                )
                for name, records in summary["records"].items()
            ],
        )
        self._table(("Pair", "Kind", "Linked"), [(*name.split(" "), count) for name, count in summary["links"].items()])

    def _verdict(self, summary: Facts) -> None:
        zeros = {
            "429s drawn": summary["refused"],
            "duplicates made": summary["duplicates"],
            "people phoned, mailed or invited, jobs posted": summary["felt"],
        }
        for what, count in zeros.items():
            self._line(f"{count:>4}  {what}", BAD if count else GOOD)
        made = {
            "résumés sent on": summary["resumes"],
            "comments made, one for each screening": summary["comments"],
            "credits spent at HireSquire, none twice": summary["credits"],
        }
        for what, count in made.items():
            self._line(f"{count:>4}  {what}")
        held = summary["held"]
        self._line(f"{len(held):>4}  held for a person, as the script wants it:" if held else "   0  held for a person")
        for hold in held:
            about = f"{hold['kind']} {hold['ref']}{' ' + hold['field'] if hold['field'] else ''}"
            self._line(f"      {about}: {WHY.get(hold['reason'], hold['reason'])}")
        for trouble in summary["troubles"]:
            self._line(f"      {trouble}", BAD)
        good = not summary["troubles"]
        self._line("All else agrees on all sides." if good else "Not all went as it should.", GOOD if good else BAD)

    def going_on(self, address: str) -> None:
        """Life goes on until somebody ends it."""
        self._line(f"Life goes on slowly at {address}/; Ctrl-C ends it.", STRONG)

    def _line(self, text: str, style: str = "", indent: int = 6) -> None:
        """One line; on a terminal what does not fit goes on below, indented."""
        if self._is_silent:
            return
        if self._console.is_terminal and text:
            text = textwrap.fill(text, self._console.width, subsequent_indent=" " * indent)
        self._console.print(Text(text, style), soft_wrap=True)

    def _table(self, headers: Sequence[str], rows: Sequence[Row]) -> None:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=STRONG)
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*map(str, row))
        self._console.print(table)
        self._console.print()


def time_of_day(at: float) -> str:
    """Hours and minutes, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _counted(kinds: Facts) -> str:
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in kinds.items())
