"""What the image has inside, as CycloneDX 1.6 in JSON: every wheel of ``requirements.lock`` on Linux, and who needs it.

``make sbom`` writes it. Nothing but the lock and ``pyproject.toml`` is read, and nothing depends on when or where it is
made: the same lock gives the same bytes. The format: https://cyclonedx.org/docs/1.6/json/.
"""

import hashlib
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = {"setuptools"}  # taken out of the image again once syncd is installed
ELSEWHERE = re.compile(r"sys_platform == 'win32'|implementation_name == 'pypy'")
_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))? \\$", re.MULTILINE)


def locked(text: str) -> list[dict[str, Any]]:
    """The wheels of a lock that are installed on Linux: name, version, hashes, and the names of who needs each."""
    pins = list(_PIN.finditer(text))
    ends = [*(pin.start() for pin in pins[1:]), len(text)]
    found = []
    for pin, end in zip(pins, ends, strict=True):
        block = text[pin.end() : end]
        if pin["name"] in BUILD or ELSEWHERE.search(pin["marker"] or ""):
            continue
        via = re.findall(r"^ +#(?: via)? +([a-z0-9-]+)", block, re.MULTILINE)
        hashes = sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        found.append({"name": pin["name"], "version": pin["version"], "hashes": hashes, "via": via})
    return found


def bill(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials of a lock, for a project's name and version."""
    wheels = locked(lock)
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    refs = {wheel["name"]: f"pkg:pypi/{wheel['name']}@{wheel['version']}" for wheel in wheels}
    needs: dict[str, list[str]] = {ref: [] for ref in (own, *refs.values())}
    for wheel in wheels:
        for name in wheel["via"]:
            needs.get(own if name == project["name"] else refs.get(name, ""), []).append(refs[wheel["name"]])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(lock.encode()).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": own, "name": project["name"], "version": project["version"],
                "purl": own,
            }
        },
        "components": [_component(wheel, refs[wheel["name"]]) for wheel in wheels],
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)],
    }  # fmt: skip


def _component(wheel: dict[str, Any], ref: str) -> dict[str, Any]:
    """One wheel; there are as many hashes as it has builds, and pip takes no other file."""
    builds = [{"type": "distribution", "url": ref, "hashes": [{"alg": "SHA-256", "content": digest}]}
              for digest in wheel["hashes"]]  # fmt: skip
    return {
        "type": "library", "bom-ref": ref, "name": wheel["name"], "version": wheel["version"], "purl": ref,
        "scope": "required", "externalReferences": builds,
    }  # fmt: skip


def written() -> str:
    """The bill as ``make sbom`` writes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return json.dumps(bill((ROOT / "requirements.lock").read_text(), project), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written())
