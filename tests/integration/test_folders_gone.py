"""A folder of what was placed that is gone, or empty as a mount point is: told, waited for, and never made anew."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.tables import session, shelf
from scandock.model.errors import Fault
from scandock.pipeline import flow
from scandock.publishing import complete
from scandock.publishing.areas import make_areas
from scandock.publishing.publish import publish
from scandock.publishing.recover import recover
from scandock.queue.cancel import check_not_cancelled
from scandock.services.archiving import archive_session
from scandock.services.backup_folders import list_finished_backups
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.store.local import LocalStore
from scandock.testing.worker import InProcessWorker
from scandock.web import readiness
from tests.builders import images, make_data_folder, uploader_layout, verify_some
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import SCANDOCK, run, until
from tests.integration.in_process import call_in_process
from tests.integration.upload_server import UploadServer
from tests.integration.web import serve_in_process

BODIES = [zip_bytes(Study(number, 1, count=2, side=8).entries("S")) for number in (61, 62)]


@pytest.fixture
def site(tmp_path, monkeypatch, database_url):
    """With a session in the archive."""
    made = make_data_folder(tmp_path, monkeypatch, database_url)
    made.checked = False
    with serve_in_process(made.data, made.settings):
        pass
    made.bring(uploader_layout("S1", "1", images(2)), session="S1")
    return made


def take_away(folder, how):
    """As where its disk is not mounted."""
    os.rename(folder, folder.parent.parent / f"{folder.name}-away")
    if how == "empty":
        folder.mkdir()


def bring_back(folder):
    if folder.exists():
        folder.rmdir()
    os.rename(folder.parent.parent / f"{folder.name}-away", folder)


def is_untouched(folder, how):
    return list(folder.iterdir()) == [] if how == "empty" else not folder.exists()


HOW = {"gone": "is not there, with all", "empty": "is empty, without all"}
each_way = pytest.mark.parametrize("how", HOW)


@pytest.mark.long
@pytest.mark.postgresql
@each_way
def test_it_is_told_and_nothing_is_made_in_its_place(site, monkeypatch, how):
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    archive = site.data / "archive"
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        (session,) = client.get("/api/v1/sessions").json()["items"]
        url = f"/api/v1/sessions/{session['id']}/download"
        assert client.get(url).status_code == 200
        take_away(archive, how)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["store"] == "store_missing"
        (detail,) = [line["detail"] for line in web.logged if line["event"] == "not ready"]
        assert f"The folder archive of {site.data} {HOW[how]}" in detail
        gone = client.get(url)
        assert (gone.status_code, gone.json()["code"]) == (409, "file_missing")
        verify_some(web.site.catalog, web.site.store, 60)
        assert client.get("/api/v1/damage").json()["items"] == []
        with pytest.raises(Fault, match="archive") as told:
            recover(web.site.catalog, web.site.store)
        assert told.value.code == "store_missing"
        deleted = client.delete(f"/api/v1/sessions/{session['id']}")
        assert (deleted.status_code, deleted.json()["code"]) == (503, "store_missing")
        assert is_untouched(archive, how)
        bring_back(archive)
        assert client.get("/readyz").status_code == 200
        verify_some(web.site.catalog, web.site.store, 60)
        assert client.get(url).status_code == 200


@each_way
def test_a_process_that_begins_does_not_make_it(site, how):
    take_away(site.data / "archive", how)
    with serve_in_process(site.data, site.settings) as web, web.client(None) as stranger:
        assert stranger.get("/readyz").status_code == 503
        with pytest.raises(Fault, match="archive"):
            make_areas(web.site.catalog, web.site.store)
    with pytest.raises(Fault, match="archive"), open_data(str(site.data), site.settings):
        pass
    assert is_untouched(site.data / "archive", how)


def test_one_that_goes_while_an_import_reads_takes_nothing(site, monkeypatch):
    def as_it_goes(*args):
        take_away(site.data / "archive", "empty")
        return check_not_cancelled(*args)

    with monkeypatch.context() as late:
        late.setattr(flow, "check_not_cancelled", as_it_goes)
        told = site.bring(uploader_layout("S2", "1", images(2, study=2, case="late")), session="S2")
    assert (told.state, told.report["code"]) == ("failed", "store_missing")
    assert is_untouched(site.data / "archive", "empty")
    bring_back(site.data / "archive")
    assert site.bring(uploader_layout("S2", "1", images(2, study=2, case="late")), session="S2").state == "placed"


def test_a_session_in_one_folder_lets_the_others_be_made_anew(site):
    for gone in ("prearchive", "resources", "incoming"):
        (site.data / gone).rmdir()
    with open_data(str(site.data), site.settings):
        assert all((site.data / gone).is_dir() for gone in ("prearchive", "resources", "incoming"))


@pytest.mark.processes
def test_no_server_begins_without_it(site):
    take_away(site.data / "archive", "empty")
    done = run([SCANDOCK, "serve", "--data", str(site.data), "--port", "0"])
    assert done.code == 1, str(done)
    assert "The folder archive of" in done.err
    assert is_untouched(site.data / "archive", "empty")


@each_way
def test_check_and_backup_refuse(site, how, tmp_path):
    """Neither tells that every session is missing, nor makes a backup without them."""
    take_away(site.data / "archive", how)
    for words in (("check",), ("backup", "--to", tmp_path / "backups")):
        done = call_in_process(*words, "--data", site.data)
        assert done.returncode == 1, done.stderr
        said = " ".join(done.stderr.split())
        assert f"The folder archive of {site.data} {HOW[how]} that was placed in it. Mount its disk" in said
    assert list_finished_backups(str(tmp_path / "backups")) == []
    assert is_untouched(site.data / "archive", how)
    bring_back(site.data / "archive")
    assert call_in_process("backup", "--to", tmp_path / "backups", "--data", site.data).returncode == 0


@pytest.mark.long
@each_way
def test_a_folder_that_is_lost_for_good_is_gone_on_with_once_somebody_says_so(site, how):
    archive = site.data / "archive"
    take_away(archive, how)
    with pytest.raises(Fault) as told, open_data(str(site.data), site.settings):
        pass
    assert "make a folder named lost in it" in told.value.remedy
    archive.mkdir(exist_ok=True)
    (archive / "lost").mkdir()
    done = call_in_process("check", "--data", site.data)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("missing: archive/P/S1: Its folder is not in the store.")
    assert "stray" not in done.stdout
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    assert call_in_process("check", "--data", site.data).returncode == 0


@pytest.mark.postgresql
def test_one_that_its_last_session_just_leaves_may_be_empty(site, monkeypatch):
    """Its files have gone already, and the catalog shows it there until the next step."""
    site.bring(uploader_layout("W1", "1", images(2, case="other")), session="W1", destination="prearchive")
    looked = []
    with open_data(str(site.data), site.settings) as (catalog, store):

        def look_first(*args):
            assert list((site.data / "prearchive").iterdir()) == []
            with catalog.read() as connection:
                assert connection.execute(select(session.c.place)).scalars().all() == ["archive", "prearchive"]
            assert make_areas(catalog, store) == []
            looked.append(True)
            publish(*args)

        monkeypatch.setattr(complete, "publish", look_first)
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalar_one()
        archive_session(ServiceContext(catalog, store, site.settings, SYSTEM), uuid)
        assert make_areas(catalog, store) == []
    assert looked == [True]
    assert check_data(str(site.data), site.settings) == []


def test_what_has_no_files_has_a_folder_all_the_same(tmp_path, monkeypatch):
    """A session that was made by hand, and the own files of a project whose last one was taken out."""
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    with serve_in_process(tmp_path / "data") as web, web.client() as client:
        assert client.put("/data/projects/P").status_code in (200, 201)
        made = client.put("/data/projects/P/subjects/S/experiments/E?xsiType=xnat:mrSessionData")
        assert made.status_code in (200, 201), made.text
        where = "/data/projects/P/resources/N/files/a.txt"
        assert client.put(where, params={"inbody": "true"}, content=b"abc").status_code == 200
        assert client.delete(where).status_code == 200
        assert client.get("/readyz").json()["checks"]["store"] == "ok"
        with web.site.catalog.read() as connection:
            assert connection.execute(select(session.c.files)).scalars().all() == [0]
            assert connection.execute(select(shelf.c.files)).scalars().all() in ([0], [])


def test_a_first_session_that_comes_while_it_is_asked_for_is_seen(site):
    """The folder was empty, and the catalog knows a session in it by the time that it is asked."""
    store = LocalStore(site.data)
    away = site.data / "away"
    os.rename(site.data / "archive", away)
    (site.data / "archive").mkdir()

    def come(folder, stands):
        assert (folder, stands) == ("archive", True)
        bring_in()
        return True

    def bring_in():
        (site.data / "archive").rmdir()
        os.rename(away, site.data / "archive")

    (site.data / "prearchive/x").mkdir()
    (site.data / "resources/x").mkdir()
    assert store.make_areas(come) == []
    store.close()


@pytest.mark.processes
@pytest.mark.long
def test_imports_wait_for_it_and_go_on(tmp_path):
    server = UploadServer(tmp_path / "data")
    archive = server.data / "archive"
    with InProcessWorker(server.data):
        first = server.send(BODIES[0])
        assert server.ended(first) == "placed"
        take_away(archive, "empty")
        second = server.send(BODIES[1])
        until(lambda: [kind for kind, _ in server.events(second)].count("retry") == 1, "it was not tried")
        row = server.row(second)
        assert (row["code"], row["attempt"]) == ("store_missing", 1)
        assert is_untouched(archive, "empty")
        bring_back(archive)
        server.hurry(second)
        assert server.ended(second) == "placed"
    server.close()


def test_a_reader_that_does_not_find_a_file_has_its_session_verified_first(site):
    site.bring(uploader_layout("S2", "1", images(2, case="other")), session="S2")
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
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
