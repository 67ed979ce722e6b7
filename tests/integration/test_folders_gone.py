"""A folder of what was placed that is gone, as when its disk is not mounted: told, waited for, and never made anew."""

from __future__ import annotations

import os

import pytest

from scandock.http import readiness
from scandock.model.errors import Fault
from scandock.placing.recover import recover
from scandock.placing.stored_folders import make_stored
from scandock.services.opening import opened
from scandock.services.verifying import verify_some
from scandock.testing.worker import InProcessWorker
from tests.builders import documented, images, site_at
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import SCANDOCK, run, until
from tests.integration.server_side import Server
from tests.integration.web import serving

BODIES = [zip_bytes(Study(number, 1, count=2, side=8).entries("S")) for number in (61, 62)]


@pytest.fixture
def site(tmp_path, monkeypatch, database_url):
    """With a session in the archive."""
    made = site_at(tmp_path, monkeypatch, database_url)
    made.checked = False
    with serving(made.data, made.settings):
        pass
    made.bring(documented("S1", "1", images(2)), session="S1")
    return made


@pytest.mark.postgresql
def test_it_is_told_and_nothing_is_made_in_its_place(site, monkeypatch):
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    archive, away = site.data / "archive", site.data.parent / "away"
    with serving(site.data, site.settings) as web, web.client() as client:
        (session,) = client.get("/api/v1/sessions").json()["items"]
        url = f"/api/v1/sessions/{session['id']}/download"
        assert client.get(url).status_code == 200
        os.rename(archive, away)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert f"The folder archive of {site.data} is not there" in answer.json()["checks"]["store"]
        gone = client.get(url)
        assert (gone.status_code, gone.json()["code"]) == (409, "file_missing")
        verify_some(web.site.catalog, web.site.store, 60)
        assert client.get("/api/v1/damage").json()["items"] == []
        with pytest.raises(Fault, match="archive") as told:
            recover(web.site.catalog, web.site.store)
        assert told.value.code == "store_missing"
        assert not archive.exists()
        os.rename(away, archive)
        assert client.get("/readyz").status_code == 200
        verify_some(web.site.catalog, web.site.store, 60)
        assert client.get(url).status_code == 200


def test_a_process_that_begins_does_not_make_it(site):
    os.rename(site.data / "archive", site.data.parent / "away")
    with serving(site.data, site.settings) as web, web.client(None) as stranger:
        assert stranger.get("/readyz").status_code == 503
        with pytest.raises(Fault, match="archive"):
            make_stored(web.site.catalog, web.site.store)
    with pytest.raises(Fault, match="archive"), opened(str(site.data), site.settings):
        pass
    assert not (site.data / "archive").exists()


def test_a_session_in_one_folder_lets_the_others_be_made_anew(site):
    for gone in ("prearchive", "resources", "incoming"):
        (site.data / gone).rmdir()
    with opened(str(site.data), site.settings):
        assert all((site.data / gone).is_dir() for gone in ("prearchive", "resources", "incoming"))


@pytest.mark.processes
def test_no_server_begins_without_it(site):
    os.rename(site.data / "archive", site.data.parent / "away")
    done = run([SCANDOCK, "serve", "--data", str(site.data), "--port", "0"])
    assert done.code == 1, str(done)
    assert "The folder archive of" in done.err
    assert not (site.data / "archive").exists()


@pytest.mark.processes
@pytest.mark.long
def test_imports_wait_for_it_and_go_on(tmp_path):
    server = Server(tmp_path / "data")
    archive = server.data / "archive"
    with InProcessWorker(server.data):
        first = server.send(BODIES[0])
        assert server.ended(first) == "placed"
        os.rename(archive, tmp_path / "away")
        second = server.send(BODIES[1])
        until(lambda: [kind for kind, _ in server.events(second)].count("retry") == 1, "it was not tried")
        row = server.row(second)
        assert (row["code"], row["attempt"]) == ("store_missing", 1)
        assert not archive.exists()
        os.rename(tmp_path / "away", archive)
        server.hurry(second)
        assert server.ended(second) == "placed"
    server.close()


def test_a_reader_that_does_not_find_a_file_has_its_session_verified_first(site):
    site.bring(documented("S2", "1", images(2, case="other")), session="S2")
    with serving(site.data, site.settings) as web, web.client() as client:
        verify_some(web.site.catalog, web.site.store, 60)
        (path, *_) = sorted((site.data / "archive/P/S2").rglob("*.dcm"))
        sessions = {row["label"]: row["id"] for row in client.get("/api/v1/sessions").json()["items"]}
        files = client.get("/api/v1/files", params={"session": sessions["S2"]}).json()["items"]
        number = next(row["id"] for row in files if path.name == row["path"].rpartition("/")[2])
        url = f"/api/v1/sessions/{sessions['S2']}/files/{number}/content"
        path.unlink()
        for _ in range(2):
            answer = client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (409, "file_missing")
        assert client.get("/api/v1/damage").json()["items"] == []
        verify_some(web.site.catalog, web.site.store, 60)
        (listed,) = client.get("/api/v1/damage").json()["items"]
        assert listed["kind"] == "missing"
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (409, "file_damaged")
