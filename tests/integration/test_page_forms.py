"""Forms that are refused show again what was typed; forms are offered where people look for them."""

from __future__ import annotations

import pytest

from scandock.rules.routing_rules import parse_rules
from scandock.rules.routing_trial import KINDS
from scandock.web.pages.routing_rules import EXAMPLES
from tests.builders import Image
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


VALUES = "StudyDescription: Mine_MR\nPatientName: Doe^Jane\n(0010,0020): 4711\nPatientComments: Session:CC Subject:SS"
RULES = {
    "project": r"(0008,1030):([A-Za-z]+)_.*",
    "subject": "(0010,4000):Nothing(.*)\n# the first that gives something wins\n(0010,0010):(\\w+)\\^.* t:D r:R\n"
    r"(0010,0020):(.*)",
    "session": r"(0010,0020):(\W+)",
}


def test_the_rules_are_tried_before_they_are_saved(web):
    with web.client() as client:
        body = client.post("/api/v1/rules/test", data={**RULES, "values": VALUES}, files={"file": ("none", b"")}).json()
        kinds = {kind["kind"]: kind for kind in body["kinds"]}
        assert {name: (kind["label"], kind["source"]) for name, kind in kinds.items()} == {
            "project": ("Mine", "site rule 1"), "subject": ("Roe", "site rule 3"), "session": ("CC", "PatientComments"),
        }  # fmt: skip
        assert {name: (kind["other_label"], kind["other_source"]) for name, kind in kinds.items()} == {
            "project": ("Unassigned", "none found"), "subject": ("SS", "PatientComments"),
            "session": ("CC", "PatientComments"),
        }  # fmt: skip
        lines = [[rule[key] for key in ("line", "value", "group", "result", "label", "fires")]
                 for rule in kinds["subject"]["rules"]]  # fmt: skip
        assert lines == [
            [1, "Session:CC Subject:SS", "", "", "", False],
            [3, "Doe^Jane", "Doe", "Roe", "Roe", True],
            [4, "4711", "4711", "4711", "4711", False],
        ]
        assert kinds["session"]["rules"][0]["matched"] is False
        assert all(not one["text"] for one in client.get("/api/v1/rules").json()["items"])
        for wrong, code in (({"values": "Nonsense"}, "sample_unreadable"), ({}, "sample_unreadable"),
                            ({"subject": "no rule"}, "rules_unreadable")):  # fmt: skip
            told = client.post("/api/v1/rules/test", data=wrong, files={"file": ("none", b"")})
            assert (told.status_code, told.json()["code"]) == (400, code)
        assert client.post("/api/v1/rules/test", data={"other": "1"}, files={"file": ("none", b"")}).status_code == 400


def test_a_file_is_what_the_rules_of_the_page_are_tried_on(web):
    image = Image(case="rules", also={0x00081030: (b"LO", b"Mine_MR ")}).file()
    with web.client() as client:
        page = client.post("/admin/rules", data={**RULES, "do": "test"}, files={"file": ("a.dcm", image)})
        assert page.status_code == 200
        assert "Project: Mine<" in page.text
        assert "line 1 of the site&#39;s rules" in page.text
        no_image = client.post("/admin/rules", data={**RULES, "do": "test"}, files={"file": ("a.txt", b"no image")})
        assert no_image.status_code == 400
        assert "The file can&#39;t be read" in no_image.text
        assert RULES["session"] in no_image.text
        off = client.post(
            "/admin/rules", data={**RULES, "session": "no rule", "do": "set"}, files={"file": ("none", b"")}
        )
        assert off.status_code == 400
        assert off.text.index('id="h-session"') < off.text.index("Line 1") < off.text.index('id="h-test"')
        assert all(not one["text"] for one in client.get("/api/v1/rules").json()["items"])
        saved = client.post("/admin/rules", data={**RULES, "do": "set"}, files={"file": ("none", b"")})
        assert saved.headers["location"] == "/admin/rules?said=rules-set"
        assert {one["kind"]: one["text"] for one in client.get("/api/v1/rules").json()["items"]} == RULES
        client.post("/admin/rules", data={**dict.fromkeys(RULES, ""), "do": "set"}, files={"file": ("none", b"")})
