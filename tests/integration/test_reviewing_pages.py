"""The pages on which what waits is reviewed: what they count, offer and say, to whom."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.builders import DataFolder, Image, images, uploader_layout
from tests.integration.web import Web


def held(site: DataFolder) -> None:
    """A session that waits with three versions of one object, beside another object."""
    versions = [Image(case="again", number=0, patient_name=name).file() for name in (b"A", b"B", b"C")]
    told = site.bring(uploader_layout("Clash", "1", [*versions, Image(case="again", number=1).file()]), session="Clash")
    assert told.state == "held"


def waits(site: DataFolder, label: str = "Held") -> None:
    site.bring(uploader_layout(label, "1", images(2)), session=label, destination="prearchive")


def uuid_of(client: httpx.Client, label: str) -> str:
    found = client.get("/api/v1/prearchive").json()["items"]
    return str(next(one["id"] for one in found if one["label"] == label))


@pytest.mark.parametrize(("role", "sees"), [("collaborator", False), ("member", True)])
def test_what_waits_is_counted_to_who_may_see_it(site: DataFolder, web: Web, role: str, sees: bool) -> None:
    waits(site)
    web.account("ann", P=role)
    with web.client("ann") as ann:
        for path, words in (
            ("/", "1 session waits in the prearchive"),
            ("/", "1 waiting"),
            ("/projects/P", "1 in the prearchive"),
            ("/prearchive", "P (1)"),
        ):
            assert (words in ann.get(path).text) == sees, path
        assert ('class="button primary" href="/upload"' in ann.get("/").text) == sees
        assert ("Upload to no project" in ann.get("/").text) != sees


def test_what_is_set_aside_is_said_to_be_on_no_page(site: DataFolder, web: Web) -> None:
    held(site)
    with web.client() as admin:
        one = uuid_of(admin, "Clash")
        assert "1 object came in several versions" in admin.get("/prearchive").text
        assert "2 of the 4 files that came are set aside" in admin.get("/prearchive").text
        for more in ({}, {"sure": "1"}):
            said = admin.post("/prearchive", data={"do": f"resolve:keep_old:{one}", **more}).text
            assert "Files kept: 2, set aside: 2. What is set aside stays for 30 days in the trash folder" in said
        trash = admin.get("/projects/P/trash").text
        assert "The trash is empty." in trash
        assert "Single files that were replaced" in trash


def test_a_waiting_sessions_own_page_has_the_lists_buttons(site: DataFolder, web: Web) -> None:
    held(site)
    waits(site)
    with web.client() as admin:
        listed = admin.get("/prearchive").text
        for label, buttons in (
            ("Clash", ["resolve:keep_old", "resolve:keep_new", "resolve:keep_both", "delete"]),
            ("Held", ["archive", "delete"]),
        ):
            one = uuid_of(admin, label)
            own = admin.get(f"/prearchive/{one}").text
            assert re.findall(rf'name="do" value="([^"]+):{one}"', own) == buttons
            for button in buttons[: -1 if label == "Held" else None]:
                assert f'value="{button}:{one}"' in listed
            assert f"/prearchive/{one}/change" in own
    web.account("reader", P="member")
    with web.client("reader") as member:  # who may change and archive, not delete
        own = member.get(f"/prearchive/{one}").text
        assert re.findall(rf'name="do" value="([^"]+):{one}"', own) == ["archive"]


def elsewhere(site: DataFolder, *more: bytes) -> None:
    """A session that waits because its study is archived under another label."""
    site.bring(uploader_layout("First", "1", images(2)), session="First", destination="archive")
    told = site.bring(uploader_layout("Second", "1", [*images(3), *more]), session="Second")
    assert told.session["code"] == "study_elsewhere"


def test_a_study_under_another_label_is_offered_what_works(site: DataFolder, web: Web) -> None:
    elsewhere(site)
    with web.client() as admin:
        one = uuid_of(admin, "Second")
        page = admin.get("/prearchive").text
        assert re.findall(rf'value="resolve:(\w+):{one}"', page) == ["add", "replace"]
        assert "Choose in the prearchive how it joins session First, or delete it." in page
        assert "1 session done" in admin.post("/prearchive", data={"do": f"resolve:add:{one}", "sure": "1"}).text


@pytest.mark.parametrize("choice", ["keep_old", "keep_new", "keep_both"])
def test_where_its_objects_differ_one_says_what_to_keep(site: DataFolder, web: Web, choice: str) -> None:
    elsewhere(site, Image(case="again", number=2, patient_name=b"OTHER").file())
    with web.client() as admin:
        one = uuid_of(admin, "Second")
        page = admin.get(f"/prearchive/{one}").text
        assert re.findall(rf'value="resolve:(\w+):{one}"', page) == ["keep_old", "keep_new", "keep_both"]
        counts = re.search(r"Of what came, (\d+) files? \w+ there already, (\d+) \w+ new, and (\d+) ", page)
        assert counts is not None
        assert sum(map(int, counts.groups())) == 4  # all that came
        assert "1 session done" in admin.post("/prearchive", data={"do": f"resolve:{choice}:{one}", "sure": "1"}).text
        assert admin.get("/api/v1/prearchive").json()["items"] == []


@pytest.mark.parametrize("verb", ["archive", "rebuild", "delete", "move"])
def test_nothing_ticked_is_said_on_the_list_itself(site: DataFolder, web: Web, verb: str) -> None:
    waits(site)
    with web.client(follow_redirects=True) as admin:
        told = admin.post("/prearchive", data={"do": verb, "back": "q=Held&sort=label"})
        assert (told.status_code, told.url.params["q"]) == (200, "Held")
        assert "Tick the sessions first" in told.text
        assert "Choose Held" in told.text
