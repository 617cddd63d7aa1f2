"""deploy/ as Compose itself reads it (what Prometheus reads there, test_alerts.py asks promtool about)."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def composed():
    """What Compose made of the file, all shorthands resolved."""
    compose = shutil.which("docker-compose")
    if compose is None:
        pytest.skip("docker-compose is not here; `make test-system` fetches it")
    told = subprocess.run([compose, "--file", str(DEPLOY / "compose.yaml"), "config"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert not told.stderr, told.stderr
    return yaml.safe_load(told.stdout)


def test_compose_accepts_the_file(composed):
    assert composed["services"].keys() == COMPOSE["services"].keys()
    assert composed["secrets"].keys() == COMPOSE["secrets"].keys()


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_understands_it_as_meant(composed, name):
    service = composed["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert {each["source"] for each in service.get("secrets", ())} == set(COMPOSE["services"][name].get("secrets", ()))
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ())), json.dumps(service["ports"])
