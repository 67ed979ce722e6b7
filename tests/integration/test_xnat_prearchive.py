"""The prearchive in XNAT's dialect: listed, looked into, built, moved, archived and deleted (xnat-behaviour.md 5).

Imports run in this process; then a server of the same DATA is asked as its clients ask.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import event, select, update

from scandock.access import accounts
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import operation, reservation, session, tree, upload
from scandock.queue.leases import begin_operation
from scandock.rules.permissions import Scope
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout
from tests.integration.xnat_prearchive import import_to_prearchive, prearchive_status, result_rows, serve_xnat

pytestmark = pytest.mark.long


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


# -- listings ----------------------------------------------------------------------------------------------------------


def test_a_listing_has_the_columns_that_clients_read(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        (row,) = result_rows(client.get("/data/prearchive/projects/Q"))
        assert {"/data" + row["url"], f"/data/prearchive/projects/Q/{row['timestamp']}/S1"} == {uri}
        assert (row["project"], row["folderName"], row["name"], row["status"]) == ("Q", "S1", "S1", "READY")
        assert (row["scan_date"], row["scan_time"], row["autoarchive"]) == ("2020-01-31", "10:15:00", "AutoArchive")
        assert (row["prevent_anon"], row["prevent_auto_commit"]) == ("false", "false")
        assert row["tag"].startswith("2.25.")
        for name in ("lastmod", "uploaded"):
            assert "T" not in row[name]
            assert len(row[name]) == len("2026-11-24 05:44:32.5")
        for every in ("/data/prearchive", "/REST/prearchive/projects", "/data/prearchive/experiments"):
            assert result_rows(client.get(every)) == [row]
        assert result_rows(client.get("/data/prearchive/projects", params={"tag": row["tag"]})) == [row]
        assert result_rows(client.get("/data/prearchive/projects", params={"tag": "1.2.3"})) == []


def test_listings_come_as_csv_and_xml_too(site: DataFolder) -> None:
    import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        text = client.get("/data/prearchive/projects/Q", params={"format": "csv"}).text
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["project"], row["status"]) == ("Q", "READY")
        empty = client.get("/data/prearchive/projects/P", params={"format": "csv"}).text
        assert empty.startswith("project,timestamp,lastmod,")
        document = ET.fromstring(client.get("/data/prearchive/projects/Q", params={"format": "xml"}).text)
        assert document.get("totalRecords") == "1"


@pytest.mark.postgresql
def test_several_projects_are_listed_together(site: DataFolder) -> None:
    for number in range(1, 4):
        import_to_prearchive(site, label=f"S{number}", study=number)
    import_to_prearchive(site, project="R", label="S4", study=4)
    with serve_xnat(site) as (web, client):
        client.get("/data/prearchive/projects/Q,R")
        asked: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)

        event.listen(web.site.catalog.engine, "before_cursor_execute", note)
        found = result_rows(client.get("/data/prearchive/projects/Q,R"))
        event.remove(web.site.catalog.engine, "before_cursor_execute", note)
        assert [one["folderName"] for one in found] == ["S1", "S2", "S3", "S4"]
        asked = [one for one in asked if re.search(r"\bsession\.(timestamp|label)\b", one)]  # not those of chores
        assert len(asked) == 2  # of sessions, and of those that are still to be built of single objects
        assert "reservation" in asked[0]


def test_who_may_not_see_a_prearchive_hears_nothing_of_it(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (web, client):
        web.account("mia", Q="member")
        web.account("carl", Q="collaborator")
        web.account("sue")
        listed = "/data/prearchive/projects/Q"
        seen = {}
        for name in ("mia", "carl", "sue", None):
            with web.client(name) as asking:
                seen[name] = (asking.get(listed).status_code, asking.get(uri, params={"format": "json"}).status_code)
                if name is not None:
                    assert len(result_rows(asking.get("/data/prearchive/projects"))) == (name == "mia")
        assert seen == {"mia": (200, 200), "carl": (403, 403), "sue": (404, 404), None: (401, 401)}
        with web.client("mia") as mia:
            refused = mia.delete(uri)
            assert refused.status_code == 403
            assert refused.text.startswith("Unable to modify session data for destination project.")
            assert refused.headers["content-type"].startswith("text/plain")
            assert mia.post("/data/services/prearchive/delete", data={"src": uri}).status_code == 403
        with web.client("carl") as carl:
            assert carl.post(uri, params={"action": "commit"}).status_code == 403
            assert carl.post("/data/services/archive", params={"src": uri}).status_code == 403
        assert prearchive_status(client, uri) == "READY"


@pytest.mark.postgresql
def test_ones_own_in_unassigned_is_listed_and_moved_from_there(site: DataFolder) -> None:
    site.project("Q")
    told = site.bring(uploader_layout("S1", "1", images(2)), project=None)
    uri = told.session["uri"]
    assert uri.startswith("/data/prearchive/projects/Unassigned/")
    with serve_xnat(site) as (web, client):
        mia = web.account("mia", Q="member")
        web.account("max", Q="member")
        with web.site.catalog.write() as connection:
            number = connection.execute(select(tree.c.upload_id)).scalar_one()
            connection.execute(reception.insert().values(upload_id=number, account_id=mia, door="raw"))
        with web.client("max") as other:
            assert result_rows(other.get("/data/prearchive/projects/Unassigned")) == []
            assert other.get(uri, params={"format": "json"}).status_code == 404
        assert client.post("/data/services/archive", params={"src": uri}).status_code == 400
        with web.client("mia") as mine:
            assert [one["url"] for one in result_rows(mine.get("/data/prearchive/projects/Unassigned"))] == [uri[5:]]
            kept = mine.post(uri, params={"action": "commit"})
            assert (kept.status_code, kept.text) == (200, uri)
            moved = mine.post(uri, params={"action": "move", "newProject": "Q"})
        assert moved.status_code == 301
        assert moved.text.startswith("/data/prearchive/projects/Q/")
        assert "location" not in moved.headers


@pytest.mark.postgresql
def test_a_session_that_somebody_holds_says_what_is_being_done(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (web, client):
        with web.site.catalog.write() as connection:
            stamp = connection.execute(select(session.c.timestamp)).scalar_one()
            number = connection.execute(select(upload.c.id)).scalar_one()
            connection.execute(reservation.insert().values(name=f"Q/timestamp/{stamp}", upload_id=number))
        assert prearchive_status(client, uri) == "RECEIVING"
        said = {}
        lease = begin_operation(web.site.catalog, number="o1", token="t1", kind="edit")
        with web.site.catalog.write() as connection:
            connection.execute(update(reservation).values(upload_id=None, **lease.mark()))
        for kind in ("archive", "move", "delete", "rebuild", "edit"):
            with web.site.catalog.write() as connection:
                connection.execute(update(operation).values(kind=kind))
            said[kind] = prearchive_status(client, uri)
        changes = {"archive": "ARCHIVING", "move": "MOVING", "delete": "DELETING", "rebuild": "BUILDING"}
        assert said == {**changes, "edit": "RECEIVING"}


# -- one session -------------------------------------------------------------------------------------------------------


def test_a_session_is_looked_into_down_to_its_bytes(site: DataFolder) -> None:
    objects = images(2)
    told = site.bring(
        {**uploader_layout("S1", "1", objects), "S1/resources/NOTES/files/n.txt": b"note"},
        project="Q", session="S1", destination="prearchive",
    )  # fmt: skip
    uri = told.session["uri"]
    with serve_xnat(site) as (_, client):
        document = ET.fromstring(client.get(uri).text)
        assert (document.get("label"), document.get("ID")) == ("S1", None)
        (scan,) = result_rows(client.get(f"{uri}/scans"))
        assert (scan["ID"], scan["xsiType"]) == ("1", "xnat:mrScanData")
        assert "series_description" in scan
        (as_xnatpy,) = result_rows(client.get(f"{uri}/scans", params={"columns": "ID,URI,series_description"}))
        assert "xsiType" not in as_xnatpy
        assert b"xnat:MRScan" in client.get(f"{uri}/scans/1").content
        (resource,) = result_rows(client.get(f"{uri}/scans/1/resources"))
        assert (resource["label"], resource["file_count"]) == ("DICOM", "2")
        assert not {"ID", "URI", "xnat_abstractresource_id", "element_name"} & resource.keys()
        files = result_rows(client.get(f"{uri}/scans/1/resources/DICOM/files"))
        assert [one["URI"].rpartition("/")[0] for one in files] == [f"{uri}/scans/1/resources/DICOM/files"] * 2
        got = client.get(files[0]["URI"])
        assert (got.content, files[0]["Size"]) == (objects[0], str(len(objects[0])))
        assert client.head(files[0]["URI"]).headers["content-length"] == files[0]["Size"]
        assert [one["label"] for one in result_rows(client.get(f"{uri}/resources"))] == ["NOTES"]
        assert client.get(f"{uri}/resources/NOTES/files/n.txt").content == b"note"
        assert client.get(f"{uri}/scans/9/resources").status_code == 404
        assert client.get(f"{uri}x").status_code == 404


def test_a_session_a_scan_and_a_resource_come_as_zips(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        names = {}
        for part in ("", "/scans/1", "/scans/1/resources/DICOM", "/scans/1/resources/DICOM/files"):
            raw = client.get(f"{uri}{part}", params={"format": "zip"}).content
            names[part] = zipfile.ZipFile(io.BytesIO(raw)).namelist()
        assert len(names[""]) == 2
        assert all(one.startswith("S1/scans/1") and "/resources/DICOM/files/" in one for one in names[""])
        assert list(names.values()) == [names[""]] * 4


@pytest.mark.postgresql
def test_its_log_tells_how_it_came_and_what_was_done(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        before = result_rows(client.get(f"{uri}/logs"))
        client.post(uri, params={"action": "build"})
        after = result_rows(client.get(f"{uri}/logs"))
        assert after[:-1] == before
        assert [one["id"] for one in after] == [str(n) for n in range(1, len(after) + 1)]
        assert after[1]["entry"].startswith("Imported: placed.")
        assert client.get(f"{uri}/logs/last").text == after[-1]["entry"] == "rebuild by admin: done."
        assert client.get(f"{uri}/logs/1").text == after[0]["entry"]
        assert client.get(f"{uri}/logs/99").status_code == 404


# -- actions -----------------------------------------------------------------------------------------------------------


def test_what_is_not_an_action_is_refused_in_the_original_words(site: DataFolder) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        absent = client.post(uri)
        assert absent.status_code == 400
        assert absent.text == "No action parameter was specified for the request by user admin"
        unknown = client.post(uri, params={"action": "explode"})
        assert (unknown.status_code, "explode" in unknown.text) == (400, True)
        assert client.post(uri, params={"action": "move"}).status_code == 400
        assert client.post(uri, params={"action": "move", "newProject": "Nowhere"}).status_code == 404
        assert client.post(uri, params={"action": "set-status", "status": "ERROR"}).status_code == 400


@pytest.mark.parametrize("way", ["query", "form", "multipart", "json"])
def test_parameters_are_taken_from_wherever_clients_put_them(site: DataFolder, way: str) -> None:
    uri = import_to_prearchive(site)
    named = {"action": "build"}
    how = {
        "query": {"params": named},
        "form": {"data": named},
        "multipart": {"files": {"action": (None, "build")}},
        "json": {"json": named},
    }[way]
    with serve_xnat(site) as (_, client):
        told = client.post(uri, **how)  # type: ignore[arg-type]
        assert (told.status_code, told.text) == (200, uri)


@pytest.mark.parametrize("code", [0, 4, 5])
def test_commit_goes_by_the_projects_code(site: DataFolder, code: int) -> None:
    site.project("Q", prearchive_code=code)
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        told = client.post(uri, params={"action": "commit", "SOURCE": "uploader"}, json={})
        assert "location" not in told.headers
        if code == 0:
            assert (told.status_code, told.text, prearchive_status(client, uri)) == (200, uri, "READY")
            return
        assert told.status_code == 301
        assert told.text == "/data/archive/projects/Q/subjects/DOE_JANE/experiments/S1"
        assert client.get(told.text, params={"format": "json"}).status_code == 200
        assert client.get(uri, params={"format": "json"}).status_code == 404


@pytest.mark.parametrize(("code", "named", "answer"), [(0, "true", 301), (4, "false", 200)])
def test_what_a_commit_names_goes_before_the_projects_code(
    site: DataFolder, code: int, named: str, answer: int
) -> None:
    site.project("Q", prearchive_code=code)
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        assert client.post(uri, params={"action": "commit", "auto-archive": named}).status_code == answer


def test_a_commit_never_changes_a_session_that_was_to_be_left_alone(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site, overwrite="none")
    archived = site.files("archive")
    with serve_xnat(site) as (_, client):
        told = client.post(uri, params={"action": "commit"})
        assert (told.status_code, told.text, prearchive_status(client, uri)) == (200, uri, "CONFLICT")
        again = client.post(uri, params={"action": "commit"})
        assert (again.status_code, again.text) == (200, uri)
    assert site.files("archive") == archived


def test_a_commit_tries_again_once_the_archive_has_nothing_against_it(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site, overwrite="none")
    with serve_xnat(site) as (_, client):
        assert client.post(uri, params={"action": "commit"}).status_code == 200
        assert prearchive_status(client, uri) == "CONFLICT"
        assert client.delete("/data/projects/Q/experiments/S1").status_code == 200
        assert client.post(uri, params={"action": "commit"}).status_code == 301


def test_a_project_of_code_5_overwrites_whatever_was_named(site: DataFolder) -> None:
    site.project("Q", prearchive_code=5)
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site, overwrite="none")
    with serve_xnat(site) as (_, client):
        assert client.post(uri, params={"action": "commit"}).status_code == 301


def test_a_commit_joins_an_archived_session_where_nothing_speaks_against_it(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        assert client.post(uri, params={"action": "commit"}).status_code == 301
    assert len(site.files("archive")) == 2


def test_a_held_session_stays_whole_until_somebody_decides(site: DataFolder) -> None:
    objects = [Image(case="again", number=n, patient_id=name).file() for n, name in ((1, b"A"), (2, b"B"))]
    told = site.bring(uploader_layout("S1", "1", objects), project="Q", session="S1")
    uri = told.session["uri"]
    before = site.files("prearchive")
    with serve_xnat(site) as (_, client):
        assert prearchive_status(client, uri) == "CONFLICT"
        commit = client.post(uri, params={"action": "commit"})
        assert (commit.status_code, commit.text) == (200, uri)
        for action in ({"action": "reset-status"}, {"action": "set-status", "status": "READY"}):
            assert client.post(uri, params=action).status_code == 409
        refused = client.post("/data/services/archive", params={"src": uri, "overwrite": "append"})
        assert (refused.status_code, prearchive_status(client, uri)) == (409, "CONFLICT")
        (why,) = result_rows(client.post("/data/services/validate-archive", params={"src": uri}))
        assert (why["code"], why["type"]) == ("5", "CONFLICT")
        assert "Conflict: " in " ".join(one["entry"] for one in result_rows(client.get(f"{uri}/logs")))
    assert site.files("prearchive") == before


@pytest.mark.parametrize("how", ["delete", "action", "service"])
def test_deleting_moves_a_session_into_the_trash(site: DataFolder, how: str) -> None:
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        if how == "delete":
            answer = client.delete(uri)
        elif how == "action":
            answer = client.post(uri, data={"action": "delete"})
        else:
            answer = client.post("/data/services/prearchive/delete?format=csv", data={"src": uri[5:], "async": "false"})
            assert "QUEUED_DELETING" in answer.text
        assert answer.status_code == 200
        assert client.get(uri, params={"format": "json"}).status_code == 404
    assert len(site.trashed()) == 2


@pytest.mark.parametrize(
    ("database_url", "joins"), [("sqlite", False), ("sqlite", True), ("postgresql", True)], indirect=["database_url"]
)
def test_what_a_commit_says_of_the_session_is_written(site: DataFolder, joins: bool) -> None:
    if joins:
        site.bring(uploader_layout("S1", "1", images(1)), project="Q", session="S1")
    uri = import_to_prearchive(site)
    with serve_xnat(site) as (_, client):
        said = {"xnat:mrSessionData/note": "by hand", "xnat:petSessionData/tracer/name": "FDG", "SOURCE": "uploader"}
        told = client.post(uri, params={"action": "commit", "VISIT": "v2"}, json=said)
        assert told.status_code == 301
        fields = client.get(told.text, params={"format": "json"}).json()["items"][0]["data_fields"]
        assert (fields["note"], fields["tracer/name"], fields["visit"]) == ("by hand", "FDG", "v2")


# -- logins ------------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_token_for_less_than_everything_begins_no_login(site: DataFolder) -> None:
    site.project("Q")
    with serve_xnat(site) as (web, _):
        for scope in Scope:
            with web.site.catalog.write() as connection:
                from scandock.access import tokens

                made = tokens.issue(connection, accounts.get(connection, "admin"), scope=scope)
            alias, _, secret = made.bearer.partition(".")
            with web.asking(auth=(alias, secret)) as asking:
                page, heart, who = (asking.get(path) for path in ("/", "/data/JSESSION", "/data/auth"))
                assert (page.status_code, who.status_code, who.text) == (200, 200, "User 'admin' is logged in")
                begun = {"JSESSIONID", "SESSION_EXPIRATION_TIME"} if scope is Scope.ALL else set()
                assert set(page.cookies) == set(who.cookies) == begun
                assert heart.status_code == (200 if scope is Scope.ALL else 403)
