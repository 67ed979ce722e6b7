"""Accounts, one's own login, members and rules over the API, against a real server, with their lines in the trail."""

from __future__ import annotations

from contextlib import closing
from zlib import crc32

import pytest

from tests.integration.web import PASSWORD, serve_in_process

OTHER = "battery staple"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serve_in_process(tmp_path_factory.mktemp("accounts") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def admin(web):
    with web.client() as client:
        yield client


@pytest.fixture
def name(web, request):
    """A fresh account's name."""
    made = f"u{crc32(request.node.name.encode())}"
    web.account(made)
    return made


def code(answer):
    return answer.status_code, answer.json()["code"]


def by_cookie(web, name, password=PASSWORD):
    """A browser that has logged in."""
    client = web.client(None)
    answer = client.post("/api/v1/auth/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return client


def trail(admin, **wanted):
    lines = admin.get("/api/v1/audit", params={"limit": 1000, **wanted}).json()["items"]
    return [(line["actor"], line["action"], line["outcome"]) for line in reversed(lines)]


# --- an administrator and accounts ---


def test_accounts_are_made_found_and_listed(admin):
    made = admin.post("/api/v1/accounts", json={"name": "Bea", "password": "x", "email": "bea@example.org"})
    assert made.status_code == 201
    one = made.json()
    assert made.headers["Location"] == f"/api/v1/accounts/{one['id']}"
    assert (one["name"], one["admin"], one["disabled"], one["password"]) == ("Bea", False, False, True)  # none is told
    for ref in ("bea", one["id"], one["id"].upper()):
        assert admin.get(f"/api/v1/accounts/{ref}").json() == one
    assert code(admin.post("/api/v1/accounts", json={"name": "BEA"})) == (409, "account_exists")
    assert code(admin.post("/api/v1/accounts", json={"name": "-"})) == (400, "account_name_invalid")
    assert code(admin.get("/api/v1/accounts/nobody")) == (404, "account_unknown")
    assert trail(admin, target=one["id"]) == [("admin", "account_create", "done")]
    names, cursor = [], ""
    while cursor is not None:
        page = admin.get("/api/v1/accounts", params={"limit": 1, "cursor": cursor}).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next"]
    assert {"admin", "Bea"} <= set(names)
    assert names == sorted(names, key=str.casefold)


def test_changes_of_an_account_are_made_all_or_none(admin, name):
    before = admin.get(f"/api/v1/accounts/{name}").json()
    wrong = {"admin": True, "disabled": True, "email": "nonsense"}
    assert code(admin.patch(f"/api/v1/accounts/{name}", json=wrong)) == (400, "email_invalid")
    assert admin.get(f"/api/v1/accounts/{name}").json() == before
    right = {"admin": True, "display": "U.", "identity": {"issuer": "https://login.example.org", "subject": "7"}}
    now = admin.patch(f"/api/v1/accounts/{name}", json=right).json()
    assert (now["admin"], now["display"], now["email"]) == (True, "U.", before["email"])
    assert now["identity"] == "https://login.example.org 7"
    same = admin.patch(f"/api/v1/accounts/{name}", json={"admin": False}).json()
    assert same["identity"] == now["identity"]
    assert admin.patch(f"/api/v1/accounts/{name}", json={"identity": None}).json()["identity"] is None
    assert trail(admin, target=before["id"]) == [
        ("admin", "account_admin", "done"),
        ("admin", "account_edit", "done"),
        ("admin", "account_edit", "done"),
        ("admin", "account_admin", "done"),
        ("admin", "account_edit", "done"),
    ]


def test_the_last_administrator_stays(admin):
    for change in ({"disabled": True}, {"admin": False}):
        assert code(admin.patch("/api/v1/accounts/admin", json=change)) == (409, "last_admin")


def test_who_is_no_administrator_manages_no_accounts(web, name):
    with web.client(name) as client:
        for method, path, body in (
            ("GET", "/api/v1/accounts", None),
            ("POST", "/api/v1/accounts", {"name": "x"}),
            ("GET", f"/api/v1/accounts/{name}", None),
            ("PATCH", f"/api/v1/accounts/{name}", {"admin": True}),
            ("PUT", f"/api/v1/accounts/{name}/password", {"password": "x"}),
        ):
            assert code(client.request(method, path, json=body)) == (403, "forbidden")


# --- at once, by every door ---


@pytest.fixture
def doors(web, name):
    """The same account by cookie, by name and password, and by both spellings of a token."""
    cookie, basic = by_cookie(web, name), web.client(name)
    made = basic.post("/api/v1/tokens", json={"scope": "all"}).json()
    pair = web.asking(auth=(made["alias"], made["secret"]))
    bearer = web.asking(headers={"Authorization": f"Bearer {made['token']}"})
    clients = {"cookie": cookie, "basic": basic, "token": pair, "bearer": bearer}
    yield clients
    for client in clients.values():
        client.close()


def opened(doors):
    return {door for door, client in doors.items() if client.get("/api/v1/auth/me").status_code == 200}


def test_a_disabled_account_is_out_at_once_by_every_door(doors, admin, name):
    assert opened(doors) == set(doors)
    assert admin.patch(f"/api/v1/accounts/{name}", json={"disabled": True}).json()["disabled"]
    assert opened(doors) == set()
    admin.patch(f"/api/v1/accounts/{name}", json={"disabled": False})
    assert opened(doors) == {"basic"}  # logins and tokens have ended for good
    uuid = admin.get(f"/api/v1/accounts/{name}").json()["id"]
    told = trail(admin, target=uuid)
    assert ("admin", "account_disable", "done") in told
    assert ("admin", "account_enable", "done") in told
    assert (name, "login", "refused") in told


def test_a_password_that_an_administrator_sets_ends_all_at_once(doors, web, admin, name):
    assert admin.put(f"/api/v1/accounts/{name}/password", json={"password": "y"}).status_code == 204
    assert opened(doors) == set()
    with closing(by_cookie(web, name, "y")) as client:
        assert client.get("/api/v1/auth/me").json()["name"] == name


def test_a_role_is_in_effect_with_the_next_request(doors, admin, name):
    path = f"/api/v1/projects/P/members/{name}"
    assert {client.get("/api/v1/projects/P").status_code for client in doors.values()} == {404}
    assert admin.put(path, json={"role": "collaborator"}).json() == {"account": name, "role": "collaborator"}
    assert {client.get("/api/v1/projects/P").status_code for client in doors.values()} == {200}
    assert admin.delete(path).status_code == 204
    assert {client.get("/api/v1/projects/P").status_code for client in doors.values()} == {404}


# --- one's own ---


def test_a_new_password_of_ones_own_ends_the_others_and_this_login_goes_on(doors, admin, name):
    client = doors["cookie"]
    wrong = client.put("/api/v1/auth/password", json={"current": "guess", "new": OTHER})
    assert code(wrong) == (400, "password_wrong")
    short = client.put("/api/v1/auth/password", json={"current": PASSWORD, "new": "short"})
    assert code(short) == (400, "password_unfit")
    assert opened(doors) == set(doors)
    changed = client.put("/api/v1/auth/password", json={"current": PASSWORD, "new": OTHER})
    assert changed.status_code == 200
    assert opened(doors) == {"cookie"}
    assert client.patch("/api/v1/auth/me", json={"display": "U."}).json()["code"] == "csrf_failed"
    client.headers["X-CSRF-Token"] = changed.json()["csrf"]
    assert client.patch("/api/v1/auth/me", json={"display": "U."}).json()["display"] == "U."
    uuid = client.get("/api/v1/auth/me").json()["id"]
    told = [one for one in trail(admin, target=uuid) if one[1] == "password"]
    assert told == [(name, "password", "refused"), (name, "password", "done")]


def test_who_changes_it_by_name_and_password_is_given_no_login(doors, web, name):
    changed = doors["basic"].put("/api/v1/auth/password", json={"current": PASSWORD, "new": OTHER})
    assert changed.json() == {"csrf": None, "expires": None}
    assert "Set-Cookie" not in changed.headers
    assert opened(doors) == set()
    with closing(by_cookie(web, name, OTHER)) as client:
        assert len(client.get("/api/v1/auth/logins").json()["items"]) == 1


def test_a_stolen_login_of_an_administrator_takes_no_account_over(admin):
    told = admin.put("/api/v1/accounts/admin/password", json={"password": "mine now"})
    assert code(told) == (409, "password_own")
    assert admin.get("/api/v1/auth/me").status_code == 200


def test_ones_logins_are_seen_and_ended(web, admin, name):
    first, second, third = (by_cookie(web, name) for _ in range(3))
    try:
        listed = first.get("/api/v1/auth/logins").json()["items"]
        assert [one["current"] for one in listed].count(True) == 1
        assert len(listed) == 3
        [own] = [one["id"] for one in second.get("/api/v1/auth/logins").json()["items"] if one["current"]]
        assert own in {one["id"] for one in listed}
        assert first.delete(f"/api/v1/auth/logins/{own}").status_code == 204
        assert code(first.delete(f"/api/v1/auth/logins/{own}")) == (404, "login_unknown")
        assert second.get("/api/v1/auth/me").status_code == 401
        assert third.get("/api/v1/auth/me").status_code == 200
        assert first.delete("/api/v1/auth/logins").json() == {"ended": 1}
        assert third.get("/api/v1/auth/me").status_code == 401
        assert first.get("/api/v1/auth/me").status_code == 200
        assert first.delete("/api/v1/auth/logins").json() == {"ended": 0}
        assert [one[1] for one in trail(admin, actor=name)] == ["login"] * 3 + ["logout"] * 2
    finally:
        for client in (first, second, third):
            client.close()


def test_nobody_ends_anothers_login(web, name):
    with closing(by_cookie(web, "admin")) as client, web.client(name) as other:
        [own] = [one["id"] for one in client.get("/api/v1/auth/logins").json()["items"] if one["current"]]
        assert code(other.delete(f"/api/v1/auth/logins/{own}")) == (404, "login_unknown")
        assert other.delete("/api/v1/auth/logins").json() == {"ended": 0}
        assert client.get("/api/v1/auth/me").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
    ids=str,
)
def test_another_sites_page_changes_nothing_by_a_password_that_the_browser_kept(admin, headers, status):
    answer = admin.patch("/api/v1/auth/me", json={"display": "Boss"}, headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "csrf_failed"
    assert admin.get("/api/v1/auth/me", headers=headers).status_code == 200


# --- projects: members, settings ---


def test_members_are_set_listed_and_removed_by_owners(web, admin, name):
    web.account(f"{name}o")
    assert admin.put(f"/api/v1/projects/p/members/{name}o", json={"role": "owner"}).status_code == 200
    uuid = admin.get(f"/api/v1/accounts/{name}").json()["id"]
    with web.client(f"{name}o") as owner:
        assert owner.put(f"/api/v1/projects/P/members/{uuid}", json={"role": "member"}).status_code == 200
        listed = owner.get("/api/v1/projects/P/members").json()["items"]
        assert {"id": uuid, "name": name, "display": name, "role": "member", "disabled": False} in listed
        assert code(owner.put("/api/v1/projects/P/members/nobody", json={"role": "member"})) == (404, "account_unknown")
        assert owner.put(f"/api/v1/projects/P/members/{uuid}", json={"role": "king"}).status_code == 422
        with web.client(name) as member:
            own = member.put(f"/api/v1/projects/P/members/{uuid}", json={"role": "owner"})
            assert code(own) == (403, "forbidden")
        assert owner.delete(f"/api/v1/projects/P/members/{uuid}").status_code == 204
        with web.client(name) as stranger:
            assert code(stranger.get("/api/v1/projects/P/members")) == (404, "not_found")
        lines = owner.get("/api/v1/audit", params={"project": "P", "target": uuid}).json()["items"]
    assert [(line["actor"], line["action"], line["details"]) for line in lines] == [
        (f"{name}o", "member_set", {"before": "member", "role": None}),
        (f"{name}o", "member_set", {"before": None, "role": "member"}),
    ]
    assert admin.put(f"/api/v1/projects/Unassigned/members/{name}", json={"role": "member"}).status_code == 404


def test_the_last_owner_of_a_project_stays_unless_an_administrator_says_otherwise(web, admin, name):
    web.account(f"{name}o")
    with web.client(name) as owner:
        assert owner.post("/api/v1/projects", json={"id": f"{name}L"}).status_code == 201
        path = f"/api/v1/projects/{name}L/members"
        assert code(owner.delete(f"{path}/{name}")) == (409, "last_owner")
        assert code(owner.put(f"{path}/{name}", json={"role": "member"})) == (409, "last_owner")
        assert owner.put(f"{path}/{name}", json={"role": "owner"}).status_code == 200
        assert owner.put(f"{path}/{name}o", json={"role": "owner"}).status_code == 200
        admin.patch(f"/api/v1/accounts/{name}o", json={"disabled": True})
        assert code(owner.delete(f"{path}/{name}")) == (409, "last_owner")  # the other one can do nothing
        admin.patch(f"/api/v1/accounts/{name}o", json={"disabled": False})
        assert owner.delete(f"{path}/{name}").status_code == 204
    assert admin.delete(f"{path}/{name}o").status_code == 204
    assert admin.get(path).json()["items"] == []


def test_a_projects_settings_are_made_and_changed(web, admin, name):
    made = admin.post("/api/v1/projects", json={"id": f"{name}S", "prearchive_code": 0, "identified": "hold"})
    assert (made.status_code, made.json()["prearchive_code"]) == (201, 0)
    path = f"/api/v1/projects/{name}S"
    read = admin.get(path)
    assert (read.json()["prearchive_code"], read.json()["identified"]) == (0, "hold")
    with web.client(None) as anonymous:
        assert anonymous.get(path).status_code == 401
        change = {"accessibility": "public", "prearchive_code": 5}
        changed = admin.patch(path, json=change, headers={"If-Match": read.headers["ETag"]})
        assert {key: changed.json()[key] for key in change} == change
        assert anonymous.get(path).status_code == 200
    assert code(admin.patch(path, json=change, headers={"If-Match": read.headers["ETag"]})) == (
        412,
        "changed_meanwhile",
    )
    admin.put(f"{path}/members/{name}", json={"role": "member"})
    with web.client(name) as member:
        assert code(member.patch(path, json={"accessibility": "private"})) == (403, "forbidden")
    assert code(admin.patch("/api/v1/projects/Unassigned", json={"accessibility": "public"}))[0] == 404
    assert trail(admin, project=f"{name}S", kind="project") == [
        ("admin", "project_create", "done"),
        ("admin", "project_edit", "done"),
        ("admin", "access_set", "done"),
    ]


# --- rules ---

RULE = "(0010,4000):.*P_(\\w+):1\n"


def test_rules_are_set_read_and_taken_away(admin):
    read = admin.get("/api/v1/rules/project")
    assert read.json() == {"kind": "project", "text": "", "modified": None}
    wrong = admin.put("/api/v1/rules/project", json={"text": "# one\nnonsense"})
    assert code(wrong) == (400, "rules_unreadable")
    assert "2" in wrong.json()["detail"]
    now = admin.put("/api/v1/rules/project", json={"text": RULE}, headers={"If-Match": read.headers["ETag"]})
    assert now.json()["text"] == RULE
    late = admin.put("/api/v1/rules/project", json={"text": ""}, headers={"If-Match": read.headers["ETag"]})
    assert code(late) == (412, "changed_meanwhile")
    items = admin.get("/api/v1/rules").json()["items"]
    assert [(one["kind"], one["text"]) for one in items] == [("project", RULE), ("subject", ""), ("session", "")]
    admin.put("/api/v1/rules/project", json={"text": ""})
    assert admin.get("/api/v1/rules/project").json()["text"] == ""
    assert code(admin.put("/api/v1/rules/scan", json={"text": ""})) == (404, "rules_kind")
    lines = admin.get("/api/v1/audit", params={"action": "rules_set"}).json()["items"]
    assert [(line["target"], line["details"]) for line in lines] == [
        ("project", {"rules": 0}),
        ("project", {"rules": 1}),
    ]


def test_rules_are_the_administrators(web, name):
    with web.client(name) as client, web.client(None) as anonymous:
        for method, path in (("GET", ""), ("GET", "/project"), ("PUT", "/project")):
            body = {"text": ""} if method == "PUT" else None
            assert code(client.request(method, f"/api/v1/rules{path}", json=body)) == (403, "forbidden")
            assert code(anonymous.request(method, f"/api/v1/rules{path}", json=body)) == (401, "login_needed")
