"""`syncd webhooks` as a person types it, against three played systems."""

import orjson
import pytest

from tests.integration.company import Company

WRITES = ("POST", "PATCH", "DELETE")


@pytest.fixture
def company(tmp_path, capsys):
    made = Company(tmp_path, capsys)
    tenant = made.played["screener"].subscriptions.tenant_id
    made.environ |= {
        "SYNCD_SERVER__PUBLIC_URL": "https://sync.example.com",
        "SYNCD_CONNECTIONS__SCREENER__TENANT_ID": tenant,
    }
    return made


def told(company, *words, code):
    found, out, err = company.run("webhooks", *words, "--json")
    assert found == code, out + err
    return {each["name"]: each for each in orjson.loads(out)["connections"]}


def test_a_list_tells_what_is_missing_and_changes_nothing(company):
    facts = told(company, "list", code=1)
    assert {each["state"] for each in facts["acme"]["subscriptions"]} == {"missing"}
    assert not any(company.calls(name, *WRITES) for name in facts)
    code, out, _ = company.run("webhooks", "list")
    assert code == 1
    assert "acme (workable): 0 of 4 needed are registered" in out
    assert "      https://sync.example.com/webhooks/acme/candidate_moved\n" in out


def test_all_are_registered_and_withdrawn_again(company):
    told(company, "register", code=0)
    code, out, _ = company.run("webhooks", "list")
    assert code == 0, out
    assert "4 of 4 needed are registered" in out
    code, out, _ = company.run("webhooks", "remove")
    assert code == 0, out
    assert "withdrawn by hand; `syncd webhooks register` brings its webhooks back" in " ".join(out.split())
    assert not company.hub.hooks
    assert not any(hook.active for hook in company.played["screener"].hooks.values())


def test_one_connection_alone(company):
    assert [*told(company, "register", "--connection", "acme", code=0)] == ["acme"]
    assert len(company.hub.hooks) == 4
    assert not company.played["voice"].hooks


def test_a_name_that_is_not_there_is_a_mistake_of_the_command_line(company):
    code, _, err = company.run("webhooks", "list", "--connection", "nobody")
    assert code == 2
    assert "nobody" in err


def test_without_an_address_of_ours_it_says_so_and_that_is_fine(company):
    del company.environ["SYNCD_SERVER__PUBLIC_URL"]
    code, out, _ = company.run("webhooks", "register")
    assert code == 0
    assert "acme (workable): server.public_url is not set, so no webhook could reach us" in " ".join(out.split())


def test_what_stands_in_the_way_is_told_in_a_sentence(company):
    del company.environ["SYNCD_CONNECTIONS__SCREENER__TENANT_ID"]
    facts = told(company, "register", "--connection", "screener", code=1)
    assert facts["screener"]["problems"] == [
        "Ninjahire wants the tenant's id with a subscription: set connections.screener.tenant_id"
    ]


def test_a_secret_of_registration_is_shown_nowhere(company):
    _, out, err = company.run("webhooks", "register")
    secrets = [hook.secret for name in ("screener", "voice") for hook in company.played[name].hooks.values()]
    assert secrets
    assert not any(secret in out + err for secret in secrets)


def test_the_status_tells_what_is_registered(company):
    company.run("webhooks", "register", "--connection", "acme")
    company.later(120.0)
    _, out, _ = company.run("status")
    assert "acme: 4 webhooks registered, looked for 2 min ago" in out
    company.run("webhooks", "remove", "--connection", "acme")
    _, out, _ = company.run("status", "--json")
    assert orjson.loads(out)["connections"][0]["webhooks"]["registered"] == 0
