"""The folder deploy/ is enough to deploy from: its parts fit each other, and none may do more than it must."""

import os
import re
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import orjson
import pytest
import yaml

from syncd import config, serve
from syncd.app import load_plugins
from syncd.crosscheck import examine

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TOKENS = {"connections__acme__token": "made-up-token-of-acme", "connections__screener__token": "made-up-token-two"}


def mounts(service):
    """source -> (target, how)"""
    return {source: (target, how) for source, target, *how in
            (mount.split(":") for mount in service.get("volumes", ()))}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder as somebody copies it, with its secrets made."""
    copy = tmp_path_factory.mktemp("deployed") / "syncd"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    make_secrets(copy, "".join(f"{token}\n" for token in TOKENS.values()))
    return copy


def make_secrets(folder, told):
    script = [shutil.which("sh"), str(folder / "secrets.sh")]
    return subprocess.run(script, input=told, text=True, capture_output=True, check=True)


def secret(folder, name):
    return (folder / "secrets" / name).read_text().strip()


# --- the services -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_no_more_than_it_must(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, group = map(int, service["user"].split(":"))
    assert min(user, group) > 0
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_asked_for_its_health(name):
    assert "healthcheck" in SERVICES[name] or (name == "syncd" and "\nHEALTHCHECK " in DOCKERFILE)


def test_only_what_people_look_at_is_published_and_only_on_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"syncd", "grafana"}
    assert all(port.startswith("127.0.0.1:") for port in chain.from_iterable(published.values()))


def test_who_needs_no_way_out_has_none():
    inside = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    shut_in = {name for name, service in SERVICES.items() if set(service["networks"]) <= inside}
    assert shut_in == {"postgres", "prometheus"}
    assert set(SERVICES["postgres"]["networks"]).isdisjoint(SERVICES["prometheus"]["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name):
    service = SERVICES[name]
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    for source, (_, how) in mounts(service).items():
        if source.startswith("."):
            assert (DEPLOY / source).exists()
            assert (DEPLOY / source).resolve().is_relative_to(DEPLOY)
            assert how == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_nothing_is_named_that_nobody_uses():
    services = SERVICES.values()
    assert {name for service in services for name in service.get("secrets", ())} == COMPOSE["secrets"].keys()
    used = {source for service in services for source in mounts(service) if not source.startswith(".")}
    assert used == COMPOSE["volumes"].keys()
    assert {name for service in services for name in service["networks"]} == COMPOSE["networks"].keys()


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "syncd"])
def test_images_of_others_are_of_a_named_version(name):
    assert re.search(r":v?\d", SERVICES[name]["image"])


# --- what the parts say of each other ---------------------------------------------------------------------------------


def test_syncd_runs_as_its_image_says():
    syncd = SERVICES["syncd"]
    assert f"USER {syncd['user']}\n" in DOCKERFILE
    (port,) = syncd["ports"]
    inner = port.rpartition(":")[2]
    assert f"EXPOSE {inner}\n" in DOCKERFILE
    assert f"SYNCD_SERVER__LISTEN=0.0.0.0:{inner}" in DOCKERFILE
    assert f"SYNCD_CONFIG={mounts(syncd)['./syncd.toml'][0]} " in DOCKERFILE
    assert f"VOLUME {mounts(syncd)['syncd'][0]}\n" in DOCKERFILE
    assert f"docker build -t {syncd['image']} ." in (DEPLOY / "README.md").read_text()


def test_a_stop_is_waited_for_longer_than_syncd_takes():
    assert int(SERVICES["syncd"]["stop_grace_period"].removesuffix("s")) > serve.STOP_S


def test_prometheus_asks_syncd_with_the_token_of_the_page():
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"syncd:{SERVICES['syncd']['ports'][0].rpartition(':')[2]}"]}]
    token = job["authorization"]["credentials_file"]
    assert token.removeprefix("/run/secrets/") in SERVICES["prometheus"]["secrets"]
    assert token.removeprefix("/run/secrets/") in SERVICES["syncd"]["secrets"]


def test_grafana_finds_its_dashboard_and_prometheus():
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "syncd.yaml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    assert set(SERVICES["grafana"]["networks"]) & set(SERVICES["prometheus"]["networks"])
    dashboard, _ = mounts(SERVICES["grafana"])["./grafana/syncd.json"]
    assert dashboard.rpartition("/")[0] == provider["options"]["path"]
    assert mounts(SERVICES["grafana"])["./grafana/provisioning"][0] == "/etc/grafana/provisioning"
    named = re.findall(rb'"uid": ?"([^"$]+)"', (DEPLOY / "grafana" / "syncd.json").read_bytes())
    assert source["uid"].encode() in named
    assert orjson.loads((DEPLOY / "grafana" / "syncd.json").read_bytes())["panels"]


# --- the secrets ------------------------------------------------------------------------------------------------------


def test_each_secret_is_made_and_the_folder_is_for_its_owner_only(folder):
    made = {file.name for file in (folder / "secrets").iterdir()}
    assert made == COMPOSE["secrets"].keys()
    assert {each["file"] for each in COMPOSE["secrets"].values()} == {f"secrets/{name}" for name in made}
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(len(secret(folder, name)) >= 16 for name in made)
    assert all((folder / "secrets" / name).stat().st_mode & 0o777 == 0o444 for name in made)


def test_what_is_there_already_stays(folder):
    before = {file.name: file.read_text() for file in (folder / "secrets").iterdir()}
    make_secrets(folder, "")
    assert {file.name: file.read_text() for file in (folder / "secrets").iterdir()} == before


def test_the_config_loads_with_the_secrets_and_each_lands_at_its_place(folder):
    environ = {"SYNCD_SECRETS": str(folder / "secrets"), "SYNCD_SERVER__LISTEN": "0.0.0.0:8080"}
    loaded = config.load(folder / "syncd.toml", environ)
    found = examine(loaded, load_plugins())
    assert found.errors == ()
    assert loaded.store.key.get_secret_value() == secret(folder, "store__key")
    assert loaded.server.page_token.get_secret_value() == secret(folder, "server__page_token")
    for name, token in TOKENS.items():
        assert loaded.connections[name.split("__")[1]].token.get_secret_value() == token
    assert {name.split("__")[0] for name in SERVICES["syncd"]["secrets"]} <= type(loaded).model_fields.keys()


def test_the_store_is_the_postgresql_beside_it(folder):
    postgres = SERVICES["postgres"]["environment"]
    password = secret(folder, Path(postgres["POSTGRES_PASSWORD_FILE"]).name)
    wanted = f"postgresql://{postgres['POSTGRES_USER']}:{password}@postgres/{postgres['POSTGRES_DB']}"
    assert secret(folder, "store__url") == wanted
    assert "SYNCD_STORE__URL" not in DOCKERFILE  # the environment would win over the secret


def test_secrets_are_never_committed():
    kept = subprocess.run(["git", "check-ignore", "deploy/secrets/store__key"], cwd=ROOT, check=False, env=os.environ)
    assert kept.returncode == 0
