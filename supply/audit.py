"""Asks whether anything is known against the wheels of ``requirements.lock``, and keeps the answer in ``audit.toml``.

``make audit-dependencies`` runs pip-audit through this, which asks the Python Package Index and so needs a network. A
wheel that it could not ask about counts as a finding. What is accepted for now stands in ``audit.toml`` with a reason
and a last day; a test (tests/unit/test_supply_chain.py) fails when a day is over, or when the lock is another one than
the record speaks of.
"""

import datetime as dt
import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "supply" / "audit.toml"
LOCK = ROOT / "requirements.lock"


def digest_of(lock: bytes) -> str:
    """The digest by which the record names a lock."""
    return hashlib.sha256(lock).hexdigest()


def objections(record: dict[str, Any], lock: bytes, today: dt.date) -> list[str]:
    """Why the record does not speak for this lock today; empty: it does."""
    waived = record.get("waived", ())
    found = [f"the waiver of {one['what']} ended on {one['until']}: make audit-dependencies"
             for one in waived if one["until"] < today]  # fmt: skip
    if record["lock"] != digest_of(lock):
        found.append("requirements.lock is another one than was audited or waived: make audit-dependencies")
    if not record.get("audited") and not any(one["what"] == "everything" for one in waived):
        found.append("nothing was audited, and nothing says why")
    return found


def ignored(record: dict[str, Any], today: dt.date) -> list[str]:
    """The advisories that are accepted today, as options of pip-audit."""
    waived = [one["what"] for one in record.get("waived", ()) if one["until"] >= today and one["what"] != "everything"]
    return [option for what in waived for option in ("--ignore-vuln", what)]


def written(record: dict[str, Any], lock: bytes, today: dt.date) -> str:
    """The record after an audit that found nothing but what is waived."""
    lines = ["# Written by `make audit-dependencies`; waivers are added by hand: what, why, until.",
             f'lock = "{digest_of(lock)}"  # sha256 of requirements.lock', f"audited = {today}"]  # fmt: skip
    for waiver in record.get("waived", ()):
        if waiver["what"] != "everything" and waiver["until"] >= today:
            lines += ["", "[[waived]]", f'what = "{waiver["what"]}"', f'why = "{waiver["why"]}"',
                      f"until = {waiver['until']}"]  # fmt: skip
    return "\n".join([*lines, ""])


def main(pip_audit: str) -> int:
    """Audit, and keep the answer if it is a good one; pip-audit's exit code."""
    record, today = tomllib.loads(RECORD.read_text()), dt.datetime.now(dt.UTC).date()
    command = [pip_audit, "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += [*ignored(record, today), "-r", str(LOCK)]
    ended = subprocess.run(command, check=False)  # noqa: S603  # the program that the Makefile has installed
    if ended.returncode == 0:
        RECORD.write_text(written(record, LOCK.read_bytes(), today))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
