"""Imports of folders of the server by XNAT's `inbox`: who may, how it goes, and what is removed (1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import inbox_import
from scandock.testing.worker import InProcessWorker
from scandock.web.xnat.services.cleaning import clean_inbox
from tests.builders import images, make_data_folder, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_in_process

IMPORT = "/data/services/import"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder as XNAT lays its inbox out: two objects, one more in a zip, a note, and what is no image."""
    folder = tmp_path / "inbox"
    one, two, three = images(3, case="inbox")
    put = {
        "a.dcm": one,
        "deep/b.dcm": two,
        "c.zip": zip_entries({"c.dcm": three}),
        "notes.txt": b"note",
        ".DS_Store": b"",
    }
    for name, data in put.items():
        path = folder / "P" / "S1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def web(tmp_path: Path, inbox: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings.model_copy(update={"inbox_folders": (str(inbox),)})) as running:
        yield running


def worker(web: Web) -> InProcessWorker:
    return InProcessWorker(web.site.data, web.site.settings)


def ask(client: httpx.Client, **asked: str) -> httpx.Response:
    return client.post(IMPORT, params={"import-handler": "inbox", **asked})


def begun(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.text.startswith("/xapi/dicom/")
    assert answer.text.endswith("\r\n")
    return answer.text.strip()


def told(client: httpx.Client, where: str, *ends: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def reached() -> bool:
        found.update(client.get(where).json())
        return found["status"] in ends

    until(reached, f"it never came to {ends}")
    return found


@pytest.mark.postgresql
def test_a_folder_is_imported_and_what_was_placed_is_removed_from_it(
    web: Web, client: httpx.Client, inbox: Path
) -> None:
    asked = {"PROJECT_ID": "p", "EXPT_LABEL": "S1", "SUBJECT_ID": "Sub"}
    where = begun(ask(client, **asked))
    told(client, where, "Queued")
    assert clean_inbox(web.site.catalog, web.site.store, (str(inbox),)) == 0
    with worker(web):
        found = told(client, where, "Completed", "Failed")
    assert (found["status"], found["username"], found["sessionPath"]) == ("Completed", "admin", f"{inbox}/P/S1")
    assert found["parameters"] == {"PROJECT_ID": "P", "SUBJECT_ID": "Sub", "EXPT_LABEL": "S1"}
    assert found["resolution"].startswith("/data/prearchive/projects/P/")
    files = client.get(f"{found['resolution']}/scans/1/resources/DICOM/files").json()["ResultSet"]
    assert files["totalRecords"] == "3"
    assert clean_inbox(web.site.catalog, web.site.store, (str(inbox),)) == 1
    assert [one.name for one in (inbox / "P" / "S1").iterdir()] == ["notes.txt"], "what was left out stays"
    assert clean_inbox(web.site.catalog, web.site.store, (str(inbox),)) == 0


def test_nothing_is_removed_that_was_not_to_be_or_was_not_placed(web: Web, client: httpx.Client, inbox: Path) -> None:
    (inbox / "P" / "S2").mkdir()
    (inbox / "P" / "S2" / "x.dcm").write_bytes(b"no image")
    with worker(web):
        kept = begun(ask(client, path=f"{inbox}/P/S1", project="P", cleanupAfterImport="false"))
        assert told(client, kept, "Completed", "Failed")["cleanupAfterImport"] is False
        found = told(client, begun(ask(client, path=f"{inbox}/P/S2", project="P")), "Completed", "Failed")
    assert found["status"] == "Failed"
    assert "x.dcm" in found["resolution"]
    assert clean_inbox(web.site.catalog, web.site.store, (str(inbox),)) == 0
    assert len(list((inbox / "P" / "S1").rglob("*"))) == 6
    assert (inbox / "P" / "S2" / "x.dcm").exists()


def test_a_session_that_is_there_is_a_conflict(web: Web, client: httpx.Client) -> None:
    body = zip_entries(uploader_layout("f", "1", images(1)))
    named = {"PROJECT_ID": "P", "EXPT_LABEL": "S1"}
    with worker(web):
        for place, text in (
            ("prearchive", "Session already exists"),
            ("archive", "Experiment with that label already"),
        ):
            made = client.post(IMPORT, params={"dest": f"/{place}/projects/P", "session": "S1"}, content=body)
            assert made.text.startswith(f"/data/{place}/"), made.text
            answer = ask(client, **named)
            assert (answer.status_code, answer.text[: len(text)]) == (409, text)


def test_only_allowed_folders_of_one_s_own_projects_and_all_else_in_the_same_words(
    web: Web, client: httpx.Client, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "P" / "out").symlink_to(tmp_path)
    (inbox / "Q" / "S9").mkdir(parents=True)
    web.account("mia", P="member")
    web.account("carl", P="collaborator")
    with web.client("mia") as mia, web.client("carl") as carl:
        words = {ask(client, project="P", path=path).text for path in ("/etc", f"{inbox}/P/out", f"{inbox}/../data")}
        words.add(ask(mia, project="P", path=f"{inbox}/Q/S9").text)
        words.add(ask(mia, path=f"{inbox}/P/S1").text)
        words.add(ask(mia, PROJECT_ID="P", EXPT_LABEL="S7").text)
        assert len(words) == 1
        assert ask(carl, project="P", path=f"{inbox}/P/S1").status_code == 403
        assert ask(mia, project="Q", path=f"{inbox}/Q/S9").status_code == 404
        assert ask(client, project="P").status_code == 400
        where = begun(ask(mia, project="P", path=f"{inbox}/P/S1"))
        told(client, where, "Queued")
        with web.client("carl") as other:
            assert other.get(where).status_code == 404
    for odd in ("x", "99", "1" * 30):
        assert client.get(f"/xapi/dicom/{odd}").status_code == 404


@pytest.mark.postgresql
def test_a_folder_that_can_t_be_packed_says_why_and_leaves_nothing(web: Web, client: httpx.Client, inbox: Path) -> None:
    (inbox / "P" / "empty" / "deep").mkdir(parents=True)
    found = told(client, begun(ask(client, project="P", path=f"{inbox}/P/empty")), "Failed")
    assert found["resolution"].startswith("The folder holds no files.")
    until(lambda: client.get("/api/v1/imports").json()["items"] == [], "its row stayed")
    assert web.spools() == []


def test_a_server_that_stops_meanwhile_says_so(web: Web, client: httpx.Client, inbox: Path) -> None:
    web.site.stopping.set()
    found = told(client, begun(ask(client, project="P", path=f"{inbox}/P/S1")), "Failed")
    assert found["resolution"] == "The server was stopped while it read the folder. Ask for it again."


def test_an_import_that_was_deleted_is_told_as_that(web: Web, client: httpx.Client, inbox: Path) -> None:
    where = begun(ask(client, project="P", path=f"{inbox}/P/S1"))
    told(client, where, "Queued")
    (uuid,) = web.spools()
    client.post(f"/api/v1/imports/{uuid}/cancel")
    assert told(client, where, "Failed")["resolution"] == "The import was cancelled; nothing was stored."
    client.delete(f"/api/v1/imports/{uuid}")
    assert client.get(where).json()["resolution"].startswith("No import came of it")
    with web.site.catalog.read() as connection:
        assert connection.execute(select(inbox_import.c.upload_id)).scalar() is None
