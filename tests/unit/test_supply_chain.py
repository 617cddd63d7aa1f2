"""What comes from others: how much it is, that it can be told, and that somebody asked what is known against it."""

import datetime as dt
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
LINUX = {"sys_platform": "linux", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
DECLARED, INSTALLED = 20, 36
LEFT_OUT = {"markdown-it-py", "mdurl", "pycparser", "pygments"}
TODAY = dt.datetime.now(dt.UTC).date()


def script(name):
    """A script of the folder supply/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "supply" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sbom():
    return script("sbom")


@pytest.fixture
def audit():
    return script("audit")


# --- how much it is ---------------------------------------------------------------------------------------------------


def wheels():
    """The wheels that the lock installs on Linux, without what builds ours and is taken out of the image again."""
    pins = [Requirement(line.rstrip(" \\")) for line in LOCK.splitlines() if re.match(r"\S+==", line)]
    return {pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(LINUX)} - {"setuptools"}


def test_no_more_than_so_many_packages_are_declared_and_installed():
    """Each further one is somebody else to trust: raise these numbers for a reason only."""
    assert len(PROJECT["dependencies"]) <= DECLARED <= 30
    assert len(wheels()) <= INSTALLED, sorted(wheels())


def test_what_rich_and_cffi_declare_and_we_never_come_to_is_left_out():
    (line,) = re.findall(r"^LEFT_OUT := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(line.split()) == LEFT_OUT == set(re.findall(r"^# ([a-z-]+)$", LOCK, re.MULTILINE))
    assert not LEFT_OUT & wheels()
    sources = [path.read_text() for folder in ("syncd", "connectors") for path in (ROOT / folder).rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"^\s*(?:from|import) rich\.?(\w*)", text, re.MULTILINE)}
    assert named
    assert not named & {"markdown", "syntax", "traceback", "pretty"}


# --- the bill of materials ------------------------------------------------------------------------------------------


def test_the_bill_names_each_wheel_once_with_its_hashes(sbom):
    told = json.loads(sbom.written())
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", told["serialNumber"]
    )
    assert {one["name"] for one in told["components"]} == wheels()
    assert len(told["components"]) == len(wheels())
    for one in told["components"]:
        assert one["type"] == "library"
        assert one["purl"] == one["bom-ref"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert f"{one['name']}=={one['version']} " in LOCK
        digests = [told["hashes"][0]["content"] for told in one["externalReferences"]]
        assert digests == sorted(set(digests))
        assert all(re.fullmatch("[0-9a-f]{64}", digest) and digest in LOCK for digest in digests)


def test_the_bill_says_who_needs_what(sbom):
    told = json.loads(sbom.written())
    own = told["metadata"]["component"]["bom-ref"]
    needs = {one["ref"]: set(one["dependsOn"]) for one in told["dependencies"]}
    refs = {one["name"]: one["bom-ref"] for one in told["components"]}
    assert set(needs) == {own, *refs.values()}
    assert needs[own] == {refs[Requirement(each).name] for each in PROJECT["dependencies"]}
    assert {refs["certifi"], refs["httpcore"]} < needs[refs["httpx"]]
    reached, waiting = set(), [own]
    while waiting:
        waiting += needs[each] - reached if (each := waiting.pop()) not in reached else ()
        reached.add(each)
    assert reached == set(needs), "nothing is there that nobody needs"


def test_the_same_lock_gives_the_same_bytes_and_another_lock_does_not(sbom):
    project = {"name": "syncd", "version": "1"}
    one, same, other = (sbom.bill(text, project) for text in (LOCK, LOCK, LOCK.replace("mako==1", "mako==2")))
    assert one == same
    assert one["serialNumber"] != other["serialNumber"]


# --- what is known against it -----------------------------------------------------------------------------------------


def test_the_record_of_the_audit_speaks_for_this_lock_and_this_day(audit):
    """Fails on the day a waiver ends, and whenever the lock was changed: `make audit-dependencies`."""
    record = tomllib.loads(audit.RECORD.read_text())
    assert audit.objections(record, audit.LOCK.read_bytes(), TODAY) == []
    for waiver in record.get("waived", ()):
        assert waiver["why"]
        assert waiver["until"] - TODAY < dt.timedelta(days=100), "a waiver is no pardon"


DAY = dt.date(2026, 11, 22)
KNOWN = {"what": "GHSA-1", "why": "not reached", "until": DAY}


def test_a_record_of_another_lock_or_day_is_objected_to(audit):
    lock = b"a==1"
    record = {"lock": audit.digest_of(lock), "audited": DAY, "waived": [KNOWN]}
    assert audit.objections(record, lock, DAY) == []
    assert "another one" in audit.objections(record, b"a==2", DAY)[0]
    assert "ended on" in audit.objections(record, lock, DAY + dt.timedelta(days=1))[0]
    assert "nothing was audited" in audit.objections({"lock": record["lock"]}, lock, DAY)[0]
    assert audit.objections({"lock": record["lock"], "waived": [{**KNOWN, "what": "everything"}]}, lock, DAY) == []


@pytest.mark.parametrize(("code", "kept"), [(0, True), (1, False)])
def test_a_good_answer_is_kept_and_a_bad_one_is_not(audit, monkeypatch, tmp_path, code, kept):
    """A program in pip-audit's place, which tells what it was asked."""
    asked, program = tmp_path / "asked", tmp_path / "pip-audit"
    program.write_text(f'#!/bin/sh\necho "$@" > {asked}\nexit {code}\n')
    program.chmod(0o700)
    waived = 'lock = "0"\n' + "".join(
        f'[[waived]]\nwhat = "{what}"\nwhy = "not reached"\nuntil = {until}\n'
        for what, until in (("GHSA-1", TODAY), ("GHSA-2", "2020-01-01"))
    )
    (tmp_path / "audit.toml").write_text(waived)
    monkeypatch.setattr(audit, "RECORD", tmp_path / "audit.toml")
    assert audit.main(str(program)) == code
    assert {"--strict", "--require-hashes", "GHSA-1"} <= set(asked.read_text().split())
    assert "GHSA-2" not in asked.read_text()
    record = tomllib.loads(audit.RECORD.read_text())
    assert (audit.objections(record, audit.LOCK.read_bytes(), TODAY) == []) is kept
    assert (audit.RECORD.read_text() == waived) is not kept
