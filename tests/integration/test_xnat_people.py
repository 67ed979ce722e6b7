"""Members of projects and accounts in XNAT's dialect, and the words that one's sessions use."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.builders import Site, documented, images
from tests.integration.web import Web, serving

USERS = "/data/projects/P/users"
STATION = {0x00081010: (b"SH", b"MR1"), 0x0008103E: (b"LO", b"T1")}


@pytest.fixture
def web(site: Site) -> Iterator[Web]:
    with serving(site.data) as running:
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


def test_the_uptime_is_said_to_who_is_signed_in(web: Web) -> None:
    with web.client("ann") as ann:
        assert set(ann.get("/xapi/siteConfig/uptime").json()) == {"days", "hours", "minutes", "seconds"}
    with web.client(None) as nobody:
        assert nobody.get("/xapi/siteConfig/uptime").status_code == 401


def test_scanners_and_types_of_scans_are_those_of_what_one_may_read(site: Site, web: Web) -> None:
    site.bring(documented("S1", "4", images(2, also=STATION)))
    with web.client("olga") as olga, web.client("ann") as ann:
        for where in ("/data/scanners", "/data/archive/scanners?project=P"):
            assert rows(olga, where) == [{"scanner": "MR1"}]
        for where in ("/data/scan_types", "/data/archive/scan_types?project=p"):
            assert rows(olga, where) == [{"type": "T1", "series_descriptions": "T1"}]
        assert rows(ann, "/data/scanners") == rows(ann, "/data/scan_types") == []
        assert ann.get("/data/scanners?project=P").status_code == 404
