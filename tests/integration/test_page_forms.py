"""Forms that are refused show again what was typed; forms are offered where people look for them."""

from __future__ import annotations

import pytest

from scandock.rules.routing_rules import parse_rules
from scandock.services.rules import KINDS
from scandock.web.pages.administration import EXAMPLES
from tests.integration.web import serve_in_process


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serve_in_process(tmp_path_factory.mktemp("forms") / "data") as running:
        for project in ("Mine", "Ours"):
            with running.client() as client:
                assert client.post("/api/v1/projects", json={"id": project, "name": project}).status_code == 201
                client.delete(f"/api/v1/projects/{project}/members/admin")
        running.account("olive", Mine="owner", Ours="owner")
        running.account("otto", Ours="owner")
        yield running


def test_an_account_that_can_not_be_made_keeps_what_was_typed_but_the_password(web):
    fields = {"name": "olive", "display": "Olive <O>", "email": "o@example.org", "admin": "1", "password": "battery x9"}
    with web.client() as client:
        told = client.post("/admin/accounts", data=fields)
        assert told.status_code == 409
        for kept in ('value="olive"', 'value="Olive &lt;O&gt;"', 'value="o@example.org"', 'value="1" checked'):
            assert kept in told.text, kept
        assert "battery" not in told.text
        assert "Olive &lt;O&gt;" not in client.get("/admin/accounts").text


@pytest.mark.parametrize(("name", "status"), [("mine", 409), ("a b", 400)])
def test_a_project_that_can_not_be_made_keeps_what_was_typed(web, name, status):
    with web.client() as client:
        told = client.post("/projects", data={"id": name, "name": "Title <T>"})
        assert told.status_code == status
        assert f'value="{name}"' in told.text
        assert 'value="Title &lt;T&gt;"' in told.text
        assert 'role="alert"' in told.text
        assert client.get("/projects/mine").status_code == 200


def test_the_last_owner_is_told_that_they_stay(web):
    with web.client("olive") as client:
        told = client.post("/projects/Mine/members", data={"account": "olive", "role": "member"})
        assert told.status_code == 409
        assert "olive is the last owner of Mine. Make another member its owner first." in told.text
        assert "<h1>Settings and members</h1>" in told.text
    with web.client() as client:
        told = client.post("/projects/Mine/members", data={"account": "olivia", "role": "member"})
        assert told.status_code == 404
        assert "Check how it is written" in told.text


def test_who_gives_up_a_project_is_led_to_what_they_may_still_see(web):
    with web.client("otto") as client:
        told = client.post("/projects/Ours/members", data={"account": "otto", "role": "member"})
        assert told.headers["location"] == "/projects/Ours?said=member-set"
        assert client.get(told.headers["location"]).status_code == 200


def test_an_administrator_may_take_the_last_owner_and_reads_what_that_means(web):
    with web.client() as client:
        client.post("/api/v1/projects", json={"id": "Left", "name": ""})
        client.post("/projects/Left/members", data={"account": "otto", "role": "member"})
        members = client.get("/api/v1/projects/Left/members").json()["items"]
        for one in members:
            if one["role"] == "owner":
                client.delete(f"/api/v1/projects/Left/members/{one['name']}")
        assert "Nobody owns this project" in client.get("/projects/Left/settings").text


def test_projects_are_made_where_they_are_listed_by_who_may(web):
    for name, offered in (("admin", True), ("otto", False)):
        with web.client(name) as client:
            assert ("Make a project" in client.get("/projects").text) is offered


def test_the_rules_page_has_an_example_of_each_kind_that_is_a_rule(web):
    assert set(EXAMPLES) == set(KINDS)
    for rule, _ in EXAMPLES.values():
        assert len(parse_rules(rule)) == 1
    with web.client() as client:
        assert client.get("/admin/rules").text.count("For example <code>") == len(KINDS)
