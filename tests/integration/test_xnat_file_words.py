"""Format, content and tags of single files in XNAT's dialect: said with a file, and kept whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from scandock.catalog.aliases import find_by_alias
from scandock.services.backup import back_up
from scandock.services.backup_restore import restore_backup
from scandock.services.consistency_check import check_data
from scandock.services.data_catalog import open_data
from scandock.services.project_description import ProjectDescription, read_description
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.file_words import say_of_files
from tests.integration.web import Web, serve_in_process
from tests.stored_files import all_files

pytestmark = pytest.mark.long

SESSION = "/data/projects/P/subjects/S1/experiments/E1"
NOTES = f"{SESSION}/resources/NOTES"
Words = tuple[str, str, str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def served(site: DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    """A server with an imported session, and three files that somebody put beside its scans."""
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        site.bring({"a.dcm": images(1)[0]}, subject="S1", session="E1", destination="archive")
        put(client, "a.txt", content="notes", format="TXT", tags="first,second")
        put(client, "b.txt", content="table", tags="third")
        put(client, "c.txt", format="U", content="U", tags="U")
        yield web, client
    assert check_data(str(site.data), site.settings) == []


def put(client: httpx.Client, name: str, **said: str) -> None:
    answer = client.put(f"{NOTES}/files/{name}", content=name.encode(), params=said)
    assert answer.status_code == 200, answer.text


def test_the_api_has_a_files_own_words_else_its_resources(site: DataFolder) -> None:
    with served(site) as (_, client):
        (session,) = client.get("/api/v1/sessions?project=P").json()["items"]
        listed = client.get("/api/v1/files", params={"session": session["id"], "resource": "NOTES"}).json()["items"]
        told = {one["name"]: (one["content"], one["format"], one["tags"]) for one in listed}
        number = next(one["id"] for one in listed if one["name"] == "a.txt")
        assert told == words(client)
        resources = client.get("/api/v1/resources", params={"session": session["id"]}).json()["items"]
        (notes,) = [one for one in resources if one["label"] == "NOTES"]
        listed = client.get(f"{SESSION}/resources").json()["ResultSet"]["Result"]
        assert [notes["tags"]] == [one["tags"] for one in listed if one["label"] == "NOTES"]
        one = client.get(f"/api/v1/sessions/{session['id']}/files/{number}")
        assert (one.json()["content"], one.json()["format"], one.json()["tags"]) == told["a.txt"]


def words(client: httpx.Client, where: str = SESSION, **asked: str) -> dict[str, Words]:
    """Content, format and tags of the files that are listed, by name; without the images."""
    listed = client.get(f"{where}/files", params=asked).json()["ResultSet"]["Result"]
    return {
        one["Name"]: (one["file_content"], one["file_format"], one["file_tags"])
        for one in listed
        if one["Name"].endswith(".txt")
    }


FILES: dict[str, Words] = {
    "a.txt": ("notes", "TXT", "first,second"),
    "b.txt": ("table", "TXT", "third"),
    "c.txt": ("notes", "TXT", "first,second"),
}
"""As `served` makes them: what is not said of a file is its resource's, which the first file made."""


@pytest.mark.postgresql
def test_each_file_has_its_own_words_through_all_that_becomes_of_it(site: DataFolder) -> None:
    """More files, an import that joins, a new name, files taken out, a delete that is taken back."""
    with served(site) as (_, client):
        assert words(client) == FILES
        (row,) = client.get(f"{SESSION}/resources").json()["ResultSet"]["Result"]
        assert (row["content"], row["format"], row["tags"]) == FILES["a.txt"]
        assert words(client, file_content="table") == {"b.txt": FILES["b.txt"]}

        put(client, "d.txt", content="late")
        more = site.bring({"b.dcm": images(2)[1]}, subject="S1", session="E1", overwrite="append")
        assert (more.state, more.report["message"]) == ("placed", "")
        expected = {**FILES, "d.txt": ("late", "TXT", "first,second")}
        assert words(client) == expected

        assert client.delete(f"{NOTES}/files/d.txt").status_code == 200
        assert client.put(SESSION, params={"label": "E9"}).status_code == 200
        renamed = SESSION.replace("E1", "E9")
        assert words(client, renamed) == FILES

        found = client.get("/api/v1/sessions", params={"search": "E9"}).json()["items"][0]["id"]
        assert client.delete(f"/api/v1/sessions/{found}").status_code == 200
        (trashed,) = client.get("/api/v1/trash").json()["items"]
        assert client.post(f"/api/v1/trash/{trashed['id']}/restore").status_code == 200
        assert words(client, renamed) == FILES


def test_the_words_of_a_resource_hold_where_a_file_has_none(site: DataFolder) -> None:
    with served(site) as (_, client):
        assert client.put(NOTES, params={"tags": "fourth", "content": "other"}).status_code == 200
        assert words(client) == {
            "a.txt": FILES["a.txt"],
            "b.txt": FILES["b.txt"],
            "c.txt": ("other", "TXT", "fourth"),
        }
        put(client, "c.txt", tags="own")  # the same bytes again, with a word
        assert words(client)["c.txt"] == ("other", "TXT", "own")
        put(client, "a.txt", overwrite="true", content="new")  # replaced: what is not said stays
        assert words(client)["a.txt"] == ("new", "TXT", "first,second")


def test_a_resource_s_catalog_has_what_is_said_of_each_file(site: DataFolder) -> None:
    with served(site) as (_, client):
        catalog = ET.fromstring(client.get(NOTES, params={"format": "xml"}).text)
        entries = catalog.iter("{http://nrg.wustl.edu/catalog}entry")
        said = {one.attrib["name"]: (one.attrib["content"], one.attrib["format"]) for one in entries}
        assert said == {name: (content, kind) for name, (content, kind, _) in FILES.items()}


def test_a_file_that_a_filter_leaves_is_had_by_its_place(site: DataFolder) -> None:
    with served(site) as (_, client):
        for place, status in (("1", 200), ("2", 404), ("-1", 400), ("x", 400)):
            answer = client.get(f"{NOTES}/files", params={"file_content": "notes", "index": place})
            assert answer.status_code == status, answer.text
            assert status != 200 or answer.content == b"c.txt"


def test_a_session_that_joins_another_one_brings_the_words_of_its_files(site: DataFolder) -> None:
    with served(site) as (web, client):
        entries = {**uploader_layout("E1", "1", images(3)[2:]), "E1/resources/NOTES/files/w.txt": b"w"}
        site.bring(entries, session="E1", destination="prearchive", resources="keep")
        (waiting,) = client.get("/api/v1/prearchive").json()["items"]
        with web.site.catalog.write() as connection:  # as a session has it that was put back to where it waits
            assert say_of_files(connection, "w.txt", ("waited", None, "mark")) == 1
        asked = {"sessions": [waiting["id"]], "overwrite": "append"}
        (answer,) = client.post("/api/v1/prearchive/archive", json=asked).json()["items"]
        assert answer["to"] == "/data/archive/projects/P/subjects/S1/experiments/E1", answer
        assert words(client) == {**FILES, "w.txt": ("waited", "TXT", "mark")}


def test_a_backup_has_the_words_of_files_and_of_projects(site: DataFolder, tmp_path: Path) -> None:
    with served(site) as (_, client):
        assert client.put("/data/projects/P", params={"description": "kept", "alias": "P_too"}).status_code == 200
        backup = back_up(str(site.data), site.settings, str(tmp_path / "kept"))
    assert restore_backup(backup.path, str(tmp_path / "new"), site.settings) == []
    with open_data(str(tmp_path / "new"), site.settings) as (catalog, _), catalog.read() as connection:
        rows = [row for _, row in all_files(connection) if row.name.endswith(".txt")]
        assert sorted((row.name, *row.words) for row in rows) == [
            ("a.txt", "notes", "TXT", "first,second"),
            ("b.txt", "table", None, "third"),
            ("c.txt", None, None, None),
        ]
        assert find_by_alias(connection, "p_TOO") == "P"
        assert read_description(connection, "P", with_contact=True) == ProjectDescription(
            {"description": "kept"}, ["P_too"]
        )
