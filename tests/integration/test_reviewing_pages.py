"""The pages on which what waits is reviewed: what they count, offer and say, to whom."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import insert, select

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from tests.builders import DataFolder, Image, images, uploader_layout
from tests.integration.test_import_page import end
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
            ("/", "Archive 1 session in P"),
            ("/", "1 waiting"),
            ("/projects/P", "1 session waits"),
            ("/projects/P", 'href="/upload?project=P">Upload to P'),
            ("/prearchive", "P (1)"),
        ):
            assert (words in ann.get(path).text) == sees, path
        assert ('class="button primary" href="/upload"' in ann.get("/").text) == sees
        assert ("Upload without a project" in ann.get("/").text) != sees


def test_what_is_set_aside_is_said_to_be_on_no_page(site: DataFolder, web: Web) -> None:
    held(site)
    with web.client() as admin:
        one = uuid_of(admin, "Clash")
        assert "1 image came in several versions" in admin.get("/prearchive").text
        assert "2 of the 4 files are left out" in admin.get("/prearchive").text
        for more in ({}, {"sure": "1"}):
            said = admin.post("/prearchive", data={"do": f"resolve:keep_old:{one}", **more}).text
            assert "2 files stay, 2 files are left out. The server keeps replaced and left-out" in said
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
            ("Held", ["archive", "delete", "rename_archive", "move"]),
        ):
            one = uuid_of(admin, label)
            own = admin.get(f"/prearchive/{one}").text
            assert re.findall(rf'name="do" value="([^"]+):{one}[":]', own) == buttons
            for button in buttons:
                assert (f'value="{button}:{one}' in listed) == ((label, button) != ("Held", "delete"))
            assert f"/prearchive/{one}/change" in own
    web.account("reader", P="member")
    with web.client("reader") as member:  # who may change and archive, not delete
        own = member.get(f"/prearchive/{one}").text
        assert re.findall(rf'name="do" value="([^"]+):{one}[":]', own) == ["archive", "rename_archive", "move"]


def waiting_labels(client: httpx.Client) -> list[str]:
    return [one["label"] for one in client.get("/api/v1/prearchive").json()["items"]]


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
        assert "Choose in the prearchive how it joins session First." in page
        assert "<b>1 file is added.</b>" in page
        told = admin.post("/prearchive", data={"do": f"resolve:add:{one}"}).text
        assert "1 session done" in told  # at once: no file is lost
        assert "Merged into DOE_JANE / First in P. 1 file is added. 2 files are in the archive already." in told


@pytest.mark.long
@pytest.mark.parametrize("choice", ["keep_old", "keep_new", "keep_both"])
def test_where_its_objects_differ_one_says_what_to_keep(site: DataFolder, web: Web, choice: str) -> None:
    elsewhere(site, Image(case="again", number=2, patient_name=b"OTHER").file())
    with web.client() as admin:
        one = uuid_of(admin, "Second")
        page = admin.get(f"/prearchive/{one}").text
        assert re.findall(rf'value="resolve:(\w+):{one}[":]', page) == ["keep_old", "keep_new", "keep_both"]
        counts = re.search(
            r"Of the 4 files received, (\d+) \w+ in the archive already, (\d+) \w+ new, and (\d+) ", page
        )
        assert counts is not None
        assert sum(map(int, counts.groups())) == 4  # all that came
        told = admin.post("/prearchive", data={"do": f"resolve:{choice}:{one}"}).text
        assert ("1 session done" in told) == (choice == "keep_both")
        if choice != "keep_both":
            assert "Will be merged into DOE_JANE / First in P." in told
            assert waiting_labels(admin) == ["Second"]
            told = admin.post("/prearchive", data={"do": f"resolve:{choice}:{one}", "sure": "1"}).text
            assert "1 session done" in told
        assert admin.get("/api/v1/prearchive").json()["items"] == []


@pytest.mark.parametrize("verb", ["archive", "rebuild", "delete", "move"])
def test_nothing_ticked_is_said_on_the_list_itself(site: DataFolder, web: Web, verb: str) -> None:
    waits(site)
    with web.client(follow_redirects=True) as admin:
        told = admin.post("/prearchive", data={"do": verb, "back": "q=Held&sort=label"})
        assert (told.status_code, told.url.params["q"]) == (200, "Held")
        assert "Tick the sessions first" in told.text
        assert "Choose Held" in told.text


def objects(count: int, name: bytes = b"DOE^JANE") -> list[bytes]:
    return [Image(case="again", number=n, patient_name=name).file() for n in range(count)]


def test_what_replaces_files_is_counted_before_and_after_it_is_done(site: DataFolder, web: Web) -> None:
    """The words of the page, in the row that htmx asks for: once shown, once done, and at no time another page."""
    site.bring(uploader_layout("One", "1", objects(3)), destination="archive")
    assert site.bring(uploader_layout("One", "1", objects(2, b"OTHER"))).state == "held"
    with web.client() as admin:
        one = uuid_of(admin, "One")
        assert "2 files replace 2 archived ones." in admin.get("/prearchive").text

        def press(**fields: str) -> httpx.Response:
            answer = admin.post("/prearchive", data={"in": "row", **fields})
            assert answer.headers["hx-retarget"] == answer.headers["hx-reselect"] == f"#s-{one}"
            assert "<html" not in answer.text
            return answer

        asked = press(do=f"resolve:keep_new:{one}").text
        assert "Keep new One?" in asked
        assert "Will be merged into DOE_JANE / One in P. 2 files replace 2 archived ones." in asked
        assert waiting_labels(admin) == ["One"]
        kept = press(do=f"look:{one}").text  # Cancel
        assert f'value="resolve:keep_new:{one}:2"' in kept
        assert "Will be merged" not in kept
        button = re.search(rf'value="(resolve:keep_new:{one}:2)"[^>]*>Keep new: replace 2 files<', kept)
        assert button is not None
        fewer = press(do=f"resolve:keep_new:{one}:1").text  # more is lost by now than the button had said
        assert "2 files replace 2 archived ones." in fewer
        assert waiting_labels(admin) == ["One"]
        done = press(do=button[1]).text
        assert "Merged into DOE_JANE / One in P. 2 files replace 2 archived ones." in done
        assert 'href="/projects/P/sessions/One"' in done
        assert waiting_labels(admin) == []
        assert "no longer in the prearchive" in press(do=f"look:{one}").text


def test_a_session_is_renamed_and_archived_at_once(site: DataFolder, web: Web) -> None:
    """One that is ready, one that another label frees, and one whose new label is taken."""
    for label, case in (("Ready", "a"), ("Taken", "b")):
        files = [Image(case=case, number=0, patient_name=b"A").file()]
        site.bring(uploader_layout(label, "1", files), session=label, destination="prearchive")
    entries: dict[str, bytes] = {}
    for study in range(2):
        entries |= uploader_layout(f"F{study}", "1", [Image(case="many", number=0, study=study).file()])
    site.bring(entries, session="Same", destination="prearchive")
    with web.client() as admin:
        taken = {"do": f"rename_archive:{uuid_of(admin, 'Taken')}", "subject": "Ann", "label": "First"}
        done = admin.post("/prearchive", data={**taken, "do": f"rename_archive:{uuid_of(admin, 'Ready')}"}).text
        assert "Archived in P as Ann / First." in done
        held = [one for one in admin.get("/api/v1/prearchive").json()["items"] if one["code"]]
        assert {one["code"] for one in held} == {"label_many_studies"}
        as_before = admin.post("/prearchive", data={"do": f"rename_archive:{held[0]['id']}", "label": held[0]["label"]})
        assert as_before.status_code == 400
        assert "No other subject or label is named." in as_before.text
        freed = admin.post("/prearchive", data={"do": f"rename_archive:{held[0]['id']}", "label": "Second"}).text
        assert "/ Second." in freed
        refused = admin.post("/prearchive", data={**taken, "in": "row"}).text
        assert 'class="problem"' in refused
        assert 'value="First"' in refused  # what was typed stays
        archived = admin.get("/api/v1/sessions").json()["items"]
        assert {(one["label"], one["state"], one["code"]) for one in archived} == {
            ("First", "ready", ""), ("Second", "ready", "")
        }  # fmt: skip


def test_a_label_that_an_archived_session_has_is_renamed_and_not_accepted(site: DataFolder, web: Web) -> None:
    """Accepting would lead to a session that can't be archived; what has a free label is accepted as before."""
    site.bring(uploader_layout("A", "1", [Image(case="old", number=0).file()]), session="Same")
    for label in ("Same", "Free"):
        entries: dict[str, bytes] = {}
        for study in range(2):
            image = Image(case=label, number=0, study=study).file()
            entries |= uploader_layout(f"F{study}", "1", [image])
        site.bring(entries, session=label, destination="prearchive")
    with web.client() as admin:
        held = admin.get("/api/v1/prearchive").json()["items"]
        assert {one["code"] for one in held} == {"label_many_studies"}
        assert all("accept" in one["choices"] for one in held)  # the API's words stay
        listed = admin.get("/prearchive").text
        for one in held:
            own = admin.get(f"/prearchive/{one['id']}").text
            offered = [f"resolve:accept:{one['id']}" in text for text in (listed, own)]
            assert offered == [one["label"] == "Free"] * 2
        assert "Another archived session is called Same. Rename this session to archive it." in listed
        assert "called Free" not in listed
        one = next(one for one in held if one["label"] == "Same")
        done = admin.post("/prearchive", data={"do": f"rename_archive:{one['id']}", "label": "Other"}).text
        assert "/ Other." in done


def test_rows_that_look_alike_are_told_apart_by_study_and_archive(site: DataFolder, web: Web) -> None:
    entries: dict[str, bytes] = {}
    for study in range(2):
        also = {0x00081030: (b"LO", b"Brain %d" % study), 0x00080020: (b"DA", b"2026010%d" % (study + 1))}
        entries |= uploader_layout(f"F{study}", "1", [Image(case="many", number=0, study=study, also=also).file()])
    site.bring(entries, session="Same", destination="prearchive")
    waits(site)
    with web.client() as admin:
        listed = admin.get("/prearchive").text
        for study in range(2):
            assert f"Study 2026-01-0{study + 1} · Brain {study} · from archive-1.zip" in listed
        assert "from archive-2.zip" in listed  # of one that is ready, too
        one = uuid_of(admin, "Held")
        assert 'title="1 to 64 letters (A to Z), digits, _ and -; no spaces, no accents"' in listed
        assert 'title="1 to 64 letters' in admin.get(f"/prearchive/{one}/change").text
    web.account("mia", P="member")
    with web.client("mia") as member:  # who may not read by which archive others' sessions came
        listed = member.get("/prearchive").text
        assert "Study 2026-01-01 · Brain 0<" in listed
        assert "archive-1.zip" not in listed


def test_the_pages_of_an_import_lead_to_its_decision_and_name_no_servers_path(site: DataFolder, web: Web) -> None:
    held(site)
    ann = web.account("ann", P="owner")
    with web.site.catalog.write() as connection:
        number, uuid = connection.execute(select(upload.c.id, upload.c.uuid)).one()
        connection.execute(insert(reception).values(upload_id=number, account_id=ann, door="raw"))
    with web.client("ann") as owner, web.client() as admin:
        one = uuid_of(owner, "Clash")
        shown = owner.get(f"/imports/{uuid}").text
        assert f'<a class="button" href="/prearchive/{one}" aria-label="Decide Clash">Decide</a>' in shown
        assert "conflict</span>" in shown  # as it is now
        receipts = {who: client.get(f"/imports/{uuid}/receipt").text for who, client in (("ann", owner), ("", admin))}
        below = re.search(r'<span class="stands">prearchive/P/\d+_\d+/Clash/([^<]+)<', receipts[""])
        assert below is not None
        assert f'<span class="stands">{below[1]}<' in receipts["ann"]
        assert "prearchive/P/" not in receipts["ann"]
        assert "prearchive/P/" in owner.get(f"/api/v1/imports/{uuid}/receipt").text  # what programs read stays
        assert "1 session that it brought stays where it is." in owner.get(f"/imports/{uuid}/forget").text
        owner.post("/prearchive", data={"do": f"delete:{one}", "sure": "1"})
        assert "that it brought" not in owner.get(f"/imports/{uuid}/forget").text
        shown = owner.get(f"/imports/{uuid}").text
        assert "conflict when the import ended</span>" in shown
        assert ">Decide</a>" not in shown


def test_a_merge_that_replaces_by_the_projects_rule_is_asked_for(site: DataFolder, web: Web) -> None:
    """Archiving asks only where files would go: here the project replaces what is archived."""
    site.bring(uploader_layout("One", "1", objects(2)), destination="archive")
    site.bring(uploader_layout("One", "1", objects(1, b"OTHER")), destination="prearchive")
    with web.client() as admin:
        [one] = admin.get("/api/v1/prearchive").json()["items"]
        assert admin.patch("/api/v1/projects/P", json={"prearchive_code": 5}).status_code == 200
        asked = admin.post("/prearchive", data={"do": f"archive:{one['id']}"}).text
        assert "1 file replaces 1 archived one." in asked
        assert 'name="sure"' in asked
        assert "Cancel" in asked
        assert waiting_labels(admin) == ["One"]


@pytest.mark.long
def test_the_overview_leads_with_what_needs_a_decision(site: DataFolder, web: Web) -> None:
    held(site)
    waits(site)
    web.account("ann", P="member")
    web.account("bob", P="collaborator")
    with web.client("ann") as ann:
        bad = ann.post("/api/v1/imports", params={"project": "P", "filename": "bad.zip"}, content=b"no archive")
        assert "bad.zip" not in ann.get("/").text.partition('id="h-projects"')[0]  # it runs
        end(web, ImportState.PARTLY, "2 files can't be read.")
        page = ann.get("/").text
        assert page.index("Needs your decision") < page.index('id="h-projects"') < page.index('id="h-imports"')
        section = page[page.index("Needs your decision") : page.index('id="h-projects"')]
        assert f'href="/prearchive/{uuid_of(ann, "Clash")}"' in section
        assert 'href="/prearchive?project=P&amp;state=ready">Archive 1 session in P' in section
        assert f'<a href="/imports/{bad.json()["id"]}">bad.zip</a>' in section
        assert "2 files can&#39;t be read." in section
    with web.client() as admin:  # whose import it is not
        assert "bad.zip" not in admin.get("/").text.partition('id="h-projects"')[0]
    with web.client("bob") as bob:
        assert "Needs your decision" not in bob.get("/").text
    with web.client(None) as visitor:
        assert not any("Public projects" in visitor.get(at).text for at in ("/", "/login"))  # there is none
        with web.client() as admin:
            admin.patch("/api/v1/projects/P", json={"accessibility": "public"}).raise_for_status()
        assert all('href="/projects">Public projects</a>' in visitor.get(at).text for at in ("/", "/login"))
