"""What operators see: the life of an upload in the log, its metrics, a damaged catalog told by whoever meets it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from scandock.model.errors import Fault
from scandock.services.backup import back_up
from scandock.services.consistency_check import check_data
from scandock.services.data_catalog import open_data_catalog
from scandock.services.settings import load_settings
from scandock.testing.data import make_data
from scandock.testing.worker import InProcessWorker
from scandock.web import readiness
from scandock.web.metrics import worker_metrics
from tests.builders import images, make_data_folder, uploader_layout, verify_some
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import environment, until
from tests.integration.in_process import call_in_process
from tests.integration.web import serve_in_process

STUDY = Study(71, 1, count=2, side=8)
BODY = zip_bytes(STUDY.entries("S"))


@pytest.fixture(autouse=True)
def each_time(monkeypatch):
    """Whatever `/readyz` is asked is tried."""
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)


def values(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")


def test_one_upload_from_its_first_byte_to_its_verification(tmp_path):
    with (
        serve_in_process(tmp_path / "data") as web,
        web.client() as client,
        InProcessWorker(tmp_path / "data", upkeep=False) as worker,
    ):
        begun = client.post("/api/v1/imports?project=P", content=BODY, headers={"Content-Type": "application/zip"})
        uuid = begun.json()["upload"]

        def events():
            return [line["event"] for line in web.logged if line.get("upload") == uuid]

        until(lambda: "attempt ended" in events(), "it never ended")
        verify_some(web.site.catalog, web.site.store, 60)
        client.get(f"/api/v1/imports/{uuid}")
        client.get("/api/v1/imports/Mustermann-1980")
        lines = [line for line in web.logged if line.get("upload") == uuid]
        told = [line["event"] for line in lines]
        assert told[:2] == ["upload begun", "import queued"]
        worked = [one for one in told if one not in ("request", "stored files verified")]
        assert worked == [
            "upload begun", "import queued", "import begun", "import being placed", "import ended", "attempt ended",
        ]  # fmt: skip
        assert told.count("request") == 2
        ended = next(line for line in lines if line["event"] == "import ended")
        assert (ended["state"], ended["entries"], ended["bytes"]) == (
            "placed", {"stored": 4, "resource": 1}, len(BODY),
        )  # fmt: skip
        assert "placing" in ended["seconds"]
        verified = next(line for line in lines if line["event"] == "stored files verified")
        assert verified["damaged"] == 0
        said = json.dumps(web.logged, default=str)
        assert "Mustermann" not in said
        assert "CRASH71" not in said
        _count_of_it(client, worker)


def _count_of_it(client, worker):
    until(lambda: worker.figures.slots.used == 0, "a slot stayed used")
    told = {
        (family.name, *sample.labels.values()): sample.value
        for family in worker_metrics(worker.figures)
        for sample in family.samples
    }
    assert told[("scandock_slots", "all")] == 2
    assert told[("scandock_attempts", "ended")] == 1
    found = values(client.get("/metrics").text)
    assert found["scandock_import_attempts_count"] == "1.0"
    assert found["scandock_import_attempts_sum"] == "1.0"
    route = '{method="GET",route="/api/v1/imports/{id}"}'
    assert found[f"scandock_request_seconds_count{route}"] == "2.0"
    assert not [name for name in found if "Mustermann" in name]
    assert {name for name in found if name.startswith("scandock_ready{")} == {
        f'scandock_ready{{check="{check_data}"}}' for check_data in ("catalog", "store", "workers")
    }


def test_methods_and_addresses_of_no_route_are_one_series(tmp_path):
    with serve_in_process(tmp_path / "data") as web, web.client(None) as stranger:
        for number in range(3):
            stranger.request(f"ODD{number}", f"/nowhere/{number}")
        found = values(stranger.get("/metrics").text)
    assert found['scandock_request_seconds_count{method="other",route="none"}'] == "3.0"
    assert not [name for name in found if "nowhere" in name or "ODD" in name]


def test_an_upload_that_is_given_up_and_one_that_fails_are_told(tmp_path):
    with serve_in_process(tmp_path / "data") as web, web.client() as client:
        made = client.post(
            "/api/v1/uploads",
            headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": "project UA=="},
        )
        uuid = made.headers["location"].rsplit("/", 1)[1]
        client.delete(f"/api/v1/uploads/{uuid}", headers={"Tus-Resumable": "1.0.0"})
        sent = client.post("/api/v1/imports?project=P", content=b"PK", headers={"Content-Type": "application/zip"})
        other = sent.json()["upload"]
        client.post(f"/api/v1/imports/{other}/cancel")
        said = [(line["event"], line.get("state")) for line in web.logged if line.get("upload") == uuid]
        assert said == [
            ("upload begun", None), ("request", None), ("upload given up", None), ("request", None),
        ]  # fmt: skip
        said = [(line["event"], line.get("code")) for line in web.logged if line.get("upload") == other]
        assert ("import ended", "cancelled") in said


# -- a damaged catalog ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of a catalog, in one piece, and which page is whose root."""
    data = tmp_path_factory.mktemp("whole")
    make_data(data)
    with closing(sqlite3.connect(data / "scandock.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
        size = db.execute("PRAGMA page_size").fetchone()[0]
    return (data / "scandock.db").read_bytes(), roots, size


def page(number, size):
    return slice((number - 1) * size, number * size)


def damaged(whole, where):
    content, roots, size = bytearray(whole[0]), whole[1], whole[2]
    if where == "header":
        content[:100] = bytes(100)
    elif where == "schema":
        content[100:size] = b"\xa5" * (size - 100)
    elif where == "truncated":
        del content[len(content) // 2 :]
    elif where == "emptied":
        content.clear()
    else:
        content[page(roots[where], size)] = b"\xa5" * size
    return bytes(content)


@pytest.mark.parametrize("where", ["header", "schema", "upload", "audit", "ix_upload_state", "truncated", "emptied"])
def test_a_damaged_catalog_is_told_by_check_with_its_file(tmp_path, whole, where):
    data = tmp_path / "data"
    (data / "archive" / "P").mkdir(parents=True)
    (data / "scandock.db").write_bytes(damaged(whole, where))
    done = call_in_process("check", "--data", data)
    assert done.returncode == 1, done
    said = done.stderr.splitlines()
    assert len(said) == 1, done.stderr
    assert str(data / "scandock.db") in said[0]
    assert "backup" in said[0]
    assert "damaged" in said[0] or "empty" in said[0]
    assert done.stdout == ""


@pytest.mark.parametrize("left", ["nothing", "empty", "the log beside it"])
def test_no_new_catalog_is_made_where_files_are_stored(tmp_path, monkeypatch, left):
    """SQLite would make one, and throw away a log that it finds beside an empty file."""
    site = make_data_folder(tmp_path, monkeypatch)
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    for path in site.data.glob("scandock.db*"):
        path.unlink()
    if left == "empty":
        (site.data / "scandock.db").touch()
    elif left == "the log beside it":
        (site.data / "scandock.db-wal").write_bytes(b"x" * 4096)
    before = site.files()
    assert before
    with pytest.raises(Fault) as caught:
        open_data_catalog(str(site.data), site.settings, serves=True)
    assert caught.value.code == "catalog_damaged"
    for words in (["check"], ["import", tmp_path / "archive-1.zip", "--project", "P"]):
        done = call_in_process(*words, "--data", site.data)
        assert done.returncode == 1, done
        for part in (str(site.data / "scandock.db"), "though files are stored", "backup", "SCANDOCK_DATABASE_URL"):
            assert part in done.stdout + done.stderr
    assert site.files() == before
    catalog = site.data / "scandock.db"
    assert not catalog.exists() or catalog.stat().st_size == 0


def test_an_empty_file_is_a_new_catalog_where_nothing_is_stored(tmp_path):
    (tmp_path / "scandock.db").touch()
    (tmp_path / "archive").mkdir()
    open_data_catalog(str(tmp_path), load_settings()).dispose()


def test_rows_that_name_lost_rows_are_found(tmp_path, whole):
    (tmp_path / "scandock.db").write_bytes(whole[0])
    (tmp_path / "work").mkdir()
    assert check_data(str(tmp_path), load_settings()) == []
    with closing(sqlite3.connect(tmp_path / "scandock.db")) as db:
        db.execute("INSERT INTO progress VALUES (7, 'reading', 0, 0, 0, 0, '[]', 0)")
        db.commit()
    (found,) = check_data(str(tmp_path), load_settings())
    assert (found.kind, found.name) == ("rows_missing", "catalog, progress")
    assert found.message.startswith("1 row names what is lost from upload.")


@pytest.mark.parametrize("table", ["scan", "resource"])
def test_a_session_of_which_rows_are_lost_is_named_and_its_files_are_no_strays(tmp_path, monkeypatch, table):
    site = make_data_folder(tmp_path, monkeypatch)
    site.checked = False
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    site.bring(uploader_layout("S2", "1", images(1, case="other")), session="S2")
    with closing(sqlite3.connect(site.data / "scandock.db")) as db:
        db.execute(f"DELETE FROM {table} WHERE tree_id = (SELECT tree_id FROM session WHERE label = 'S1')")
        db.commit()
    (found,) = check_data(str(site.data), site.settings)
    assert found.kind == "rows_missing"
    assert found.name.endswith("/S1")
    assert "Serve another copy of the catalog" in found.message


@pytest.mark.long
@pytest.mark.parametrize("table", ["scan", "resource", "project"])
def test_a_backup_keeps_the_files_of_a_session_of_which_rows_are_lost_and_says_so(tmp_path, monkeypatch, table):
    site = make_data_folder(tmp_path, monkeypatch)
    site.checked = False
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    site.bring(uploader_layout("S2", "1", images(1, case="other")), session="S2", project="Q")
    back_up(str(site.data), site.settings, str(tmp_path / "backups"))
    with closing(sqlite3.connect(site.data / "scandock.db")) as db:
        tree_id, uuid = db.execute("SELECT tree_id, uuid FROM session WHERE label = 'S1'").fetchone()
        where = "name = 'P'" if table == "project" else f"tree_id = {tree_id}"
        db.execute(f"DELETE FROM {table} WHERE {where}")
        db.commit()
    made = back_up(str(site.data), site.settings, str(tmp_path / "backups"))
    assert made.damaged == [f"session {uuid}" if table == "project" else "archive/P/S1"]
    kept = {path.name: path.read_bytes() for path in Path(made.path).glob("archive/*/*/scans/**/*.dcm")}
    stored = {path.name: path.read_bytes() for path in (site.data / "archive").rglob("*.dcm")}
    assert len(stored) == 3
    assert kept == ({name: stored[name] for name in kept} if table == "project" else stored)


def test_an_inspection_beside_a_lost_catalog_says_so(tmp_path, monkeypatch):
    """Its projects and rules are gone: told by none of them, everything would be refused, or go elsewhere."""
    site = make_data_folder(tmp_path, monkeypatch)
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    for path in site.data.glob("scandock.db*"):
        path.unlink()
    done = call_in_process("inspect", tmp_path / "archive-1.zip", "--project", "P", "--data", site.data)
    assert done.returncode == 1, done.stdout
    assert "is missing, though files are stored" in done.stdout + done.stderr
    done = call_in_process("backup", "--data", site.data, "--to", tmp_path / "backups")
    assert (done.returncode, "is missing, though files are stored" in " ".join(done.stderr.split())) == (1, True)
    assert not list(site.data.glob("scandock.db*"))


def test_readyz_and_metrics_tell_of_a_catalog_that_is_damaged_under_a_server(tmp_path):
    data = tmp_path / "data"
    with serve_in_process(data) as web, web.client(None) as stranger, web.client() as client:
        assert stranger.get("/readyz").status_code == 200
        with closing(sqlite3.connect(data / "scandock.db")) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
            size = db.execute("PRAGMA page_size").fetchone()[0]
        with (data / "scandock.db").open("r+b") as file:
            for name in ("upload", "ix_upload_state"):
                file.seek((roots[name] - 1) * size)
                file.write(b"\xa5" * size)
        web.site.catalog.dispose()  # no connection has the page in its memory
        answer = client.get("/api/v1/imports")
        assert (answer.status_code, answer.json()["code"]) == (503, "catalog_damaged")
        ready = stranger.get("/readyz")
        assert ready.status_code == 503
        assert str(data / "scandock.db") in ready.json()["checks"]["catalog"]
        assert "backup" in ready.json()["checks"]["catalog"]
        found = values(stranger.get("/metrics").text)
    assert found["scandock_catalog_damaged"] == "1.0"
    assert found["scandock_catalog_read"] == "0.0"
    assert found['scandock_ready{check="catalog"}'] == "0.0"
    assert 'scandock_free_bytes{place="data"}' in found


@pytest.mark.processes
@pytest.mark.parametrize("part", ["worker", "web"])
def test_a_part_of_the_server_that_can_not_open_the_catalog_says_so_in_one_line(tmp_path, whole, part):
    (tmp_path / "scandock.db").write_bytes(damaged(whole, "header"))
    liveness = os.memfd_create("beats")
    os.ftruncate(liveness, 4096)
    me = str(os.getpid())
    words = {
        "worker": ["scandock.workers.worker", me, str(tmp_path), "1"],
        "web": ["scandock.web.process", me, str(tmp_path), "0", str(liveness), "all"],
    }
    done = subprocess.run(
        [sys.executable, "-m", *words[part]],
        env=environment(), pass_fds=[liveness], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(liveness)
    assert done.returncode == 1, done
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["code"], line["level"]) == (f"{part} can't begin", "catalog_damaged", "error")
