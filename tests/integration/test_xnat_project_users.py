"""Members of projects and accounts in XNAT's dialect, and the words that one's sessions use."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from scandock.access import accounts, members
from scandock.access.authentication import make_principal
from scandock.access.principal import SYSTEM, AccessDenied, Door
from scandock.catalog.engine import open_catalog
from scandock.model.errors import Usage
from scandock.rules.permissions import Role
from scandock.services.xnat_lookup import find_experiment
from scandock.web.xnat.services import people
from scandock.web.xnat.services.history import read_history
from tests.builders import DataFolder, images, uploader_layout
from tests.integration.many_rows import seed
from tests.integration.web import Web, serve_in_process

USERS = "/data/projects/P/users"
STATION = {0x00081010: (b"SH", b"MR1"), 0x0008103E: (b"LO", b"T1")}


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        running.account("ann")
        running.account("olga", P="owner")
        yield running


def rows(client: httpx.Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


def roles(client: httpx.Client) -> dict[str, str]:
    return {one["login"]: one["displayname"] for one in rows(client, USERS) if one["login"] != "admin"}


@pytest.mark.parametrize(
    ("group", "named"),
    [("Members", "Members"), ("member", "Members"), ("collaborators", "Collaborators"), ("P_owner", "Owners")],
)
def test_an_owner_gives_a_role_and_takes_it(web: Web, group: str, named: str) -> None:
    """As pyxnat's `add_user` and `remove_user`, and xnatpy's `set_access`, say groups."""
    with web.client("olga") as olga:
        assert olga.put(f"{USERS}/{group}/ann").status_code == 200
        assert roles(olga) == {"olga": "Owners", "ann": named}
        assert olga.delete(f"{USERS}/{named}/Ann").status_code == 200
        assert roles(olga) == {"olga": "Owners"}


def test_what_is_no_role_of_anybody_changes_nothing(web: Web) -> None:
    with web.client("olga") as olga:
        assert olga.put(f"{USERS}/Kings/ann").status_code == 400
        assert olga.put(f"{USERS}/Members/nobody").status_code == 404
        assert olga.put(f"{USERS}/Members/ann").status_code == 200
        assert olga.delete(f"{USERS}/Owners/ann").status_code == 404
        assert olga.delete(f"{USERS}/Owners/admin").status_code == 200
        assert olga.delete(f"{USERS}/Owners/olga").status_code == 409  # the last owner
        assert roles(olga) == {"olga": "Owners", "ann": "Members"}
    for name, refused in (("ann", 403), (None, 401)):
        with web.client(name) as other:
            assert other.put(f"{USERS}/Owners/ann").status_code == refused
            assert other.delete(f"{USERS}/Owners/olga").status_code == refused


def test_accounts_are_listed_for_administrators_alone(web: Web) -> None:
    with web.client() as client:
        assert [one["login"] for one in rows(client, "/data/users")] == ["admin", "ann", "olga"]
        assert {"xdat_user_id", "firstname", "lastname", "email"} <= rows(client, "/data/users")[0].keys()
    for name, refused in (("olga", 403), (None, 401)):
        with web.client(name) as other:
            assert other.get("/data/users").status_code == refused


def test_addresses_of_members_are_for_those_who_manage_members(web: Web) -> None:
    """The column stays, as clients look for it; collaborators may see who else is there, and no more."""
    with web.client("olga") as olga:
        assert olga.patch("/api/v1/auth/me", json={"email": "olga@example.org"}).status_code == 200
        assert olga.put(f"{USERS}/Members/ann").status_code == 200
    for name, shown in (("olga", "olga@example.org"), ("admin", "olga@example.org"), ("ann", "")):
        with web.client(name) as client:
            found = {one["login"]: one["email"] for one in rows(client, USERS)}
            assert found["olga"] == shown, name
            for form in ("json", "csv", "xml", "html"):
                text = client.get(USERS, params={"format": form}).text
                assert "email" in text, form
                assert ("olga@example.org" in text) == bool(shown), (name, form)
            assert "olga@example.org" not in client.get("/api/v1/projects/P/members").text


def profiles(client: httpx.Client) -> dict[str, str]:
    """Whom one sees, with the addresses that one is told."""
    found = client.get("/xapi/users/profiles").json()
    assert [one["username"] for one in found] == client.get("/xapi/users").json()
    return {one["username"]: one["email"] for one in found}


def test_accounts_are_seen_as_members_are(web: Web) -> None:
    """Oneself, who is in a project whose members one may see, and by administrators all."""
    web.account("max", P="collaborator")
    with web.client("olga") as olga, web.client("max") as max_, web.client("ann") as ann, web.client() as admin:
        for client in (olga, max_, ann):
            name = client.get("/xapi/users/username").text
            assert client.patch("/api/v1/auth/me", json={"email": f"{name}@example.org"}).status_code == 200
        every = {"admin": "", "ann": "ann@example.org", "max": "max@example.org", "olga": "olga@example.org"}
        assert profiles(admin) == every
        assert profiles(olga) == {name: every[name] for name in ("admin", "max", "olga")}
        assert profiles(max_) == {"admin": "", "max": "max@example.org", "olga": ""}
        assert profiles(ann) == {"ann": "ann@example.org"}
        for where in ("/xapi/users", "/xapi/users/profile"):
            assert max_.get(f"{where}/Olga").json() == {
                "username": "olga", "firstName": "olga", "lastName": "", "email": "", "enabled": True, "verified": True
            }  # fmt: skip
            unseen, unknown = ann.get(f"{where}/olga"), ann.get(f"{where}/nobody")
            assert (unseen.status_code, unseen.text) == (unknown.status_code, unknown.text) == (404, unknown.text)
            assert ann.get(f"{where}/ann").json()["email"] == "ann@example.org"
        assert ann.get("/xapi/users/profile").json()["username"] == "ann"


def test_a_guest_has_no_name_and_sees_nobody(web: Web) -> None:
    with web.client() as admin, web.client(None) as nobody:
        assert admin.put("/data/projects/P/accessibility/public").status_code == 200
        for where in ("username", "profile", "profiles", "profile/olga", "olga", ""):
            answer = nobody.get(f"/xapi/users/{where}")
            assert (answer.status_code, "olga" in answer.text) == (401, False), where


def test_a_cache_is_flushed_by_who_is_signed_in(web: Web) -> None:
    with web.client("ann") as ann, web.client(None) as nobody:
        flushed = ann.delete("/xapi/access/cache/flush")
        assert (flushed.status_code, flushed.text) == (200, "")
        assert nobody.delete("/xapi/access/cache/flush").status_code == 401


def test_a_session_s_history_is_its_trail_to_owners_and_its_coming_to_others(site: DataFolder, web: Web) -> None:
    site.bring(uploader_layout("S1", "4", images(1)), subject="Ann", session="S1")
    web.account("mary", P="member")
    with web.client("mary") as mary:
        assert mary.put("/data/projects/P/experiments/S1?note=seen").status_code == 200
        assert mary.get("/data/projects/P/experiments/S1?format=zip").status_code == 200
    found = {}
    for name in ("admin", "olga", "mary"):
        with web.client(name) as client:
            for where in ("/data/experiments/XNAT_E00001", "/data/archive/projects/P/subjects/Ann/experiments/S1"):
                answer = client.get(f"{where}/history?format=json")
                assert answer.status_code == 200, answer.text
                found[name] = answer.json()["events"]
    for events in found.values():
        assert {one["event_status"] for one in events} == {"Complete"}
        assert [one["event_date"] for one in events] == sorted(one["event_date"] for one in events)
    assert [one["event_action"] for one in found["mary"]] == ["Imported"]
    assert [(one["event_action"], one["event_user"]) for one in found["olga"]][1:] == [("Modified", "mary")]
    assert found["admin"] == found["olga"]
    with web.client("ann") as ann, web.client(None) as nobody:
        assert ann.get("/data/experiments/XNAT_E00001/history").status_code == 404
        assert nobody.get("/data/experiments/XNAT_E00001/history").status_code == 401


def test_the_uptime_is_said_to_who_is_signed_in(web: Web) -> None:
    with web.client("ann") as ann:
        assert set(ann.get("/xapi/siteConfig/uptime").json()) == {"days", "hours", "minutes", "seconds"}
    with web.client(None) as nobody:
        assert nobody.get("/xapi/siteConfig/uptime").status_code == 401


def test_scanners_and_types_of_scans_are_those_of_what_one_may_read(site: DataFolder, web: Web) -> None:
    site.bring(uploader_layout("S1", "4", images(2, also=STATION)))
    with web.client("olga") as olga, web.client("ann") as ann:
        for where in ("/data/scanners", "/data/archive/scanners?project=P"):
            assert rows(olga, where) == [{"scanner": "MR1"}]
        for where in ("/data/scan_types", "/data/archive/scan_types?project=p"):
            assert rows(olga, where) == [{"type": "T1", "series_descriptions": "T1"}]
        assert rows(ann, "/data/scanners") == rows(ann, "/data/scan_types") == []
        assert ann.get("/data/scanners?project=P").status_code == 404


@pytest.mark.postgresql
def test_accounts_are_found_on_every_database(database_url: str) -> None:
    catalog = open_catalog(database_url)
    try:
        seed(catalog, 2)
        with catalog.write() as connection:
            for name in ("ann", "max", "olga"):
                one = accounts.create(connection, name, email=f"{name}@example.org")
                if name != "ann":
                    members.set_role(connection, "P", one, Role.OWNER if name == "olga" else Role.COLLABORATOR)
        with catalog.read() as connection:
            seen = {}
            for name in ("ann", "max", "olga"):
                me = make_principal(connection, accounts.get(connection, name), Door.BASIC)
                seen[name] = {one.name: one.email for one in people.list_visible_people(connection, me)}
                found = find_experiment(connection, SYSTEM, "XNAT_E00001")
                assert [one["event_user"] for one in read_history(connection, me, found)] == [""]
        told = {name: f"{name}@example.org" for name in ("ann", "max", "olga")}
        assert seen["olga"] == {"max": told["max"], "olga": told["olga"]}
        assert seen["max"] == {"max": told["max"], "olga": ""}
        assert seen["ann"] == {"ann": told["ann"]}
    finally:
        catalog.dispose()


@pytest.mark.postgresql
def test_a_name_with_a_nul_is_a_mistake_of_who_asks_and_no_fault_of_the_catalog(database_url: str) -> None:
    """PostgreSQL takes no text with one; in SQLite it is a name that is not found."""
    catalog = open_catalog(database_url)
    with pytest.raises((Usage, AccessDenied)) as refused, catalog.read() as connection:
        people.find_person(connection, SYSTEM, "a\0b")
    if isinstance(refused.value, Usage):
        assert (refused.value.code, refused.value.message) == (
            "request_invalid",
            "A name has a NUL character, which no name has.",
        )
    catalog.dispose()
