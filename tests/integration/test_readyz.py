"""`/readyz` and `serve` where the machine gives no room, no rights or no rest: real file systems, real locks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager

import pytest

from scandock.services.privacy_key import KEY_FILE
from scandock.services.privacy_settings import set_local_privacy
from scandock.services.settings import load_settings
from scandock.web import readiness
from tests.crash.processes import SCANDOCK, run
from tests.integration.web import serve_by_socket, serve_in_process

CHECKS = ("catalog", "store", "workers")


@pytest.fixture(autouse=True)
def each_time(monkeypatch):
    """Whatever is asked is tried."""
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)


@pytest.fixture
def own_disk(tmp_path):
    """DATA on a file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    data = tmp_path / "data"
    data.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "scandock", data], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield data
    subprocess.run(["umount", "-l", data], check=False, capture_output=True)


def told(web):
    with web.client(None) as stranger:
        answer = stranger.get("/readyz")
    said = answer.json()
    assert said["ready"] is (answer.status_code == 200)
    assert tuple(said["checks"]) == CHECKS
    return said["checks"]


def detail(web):
    """What the log says of what is the matter now."""
    return [line["detail"] for line in web.logged if line["event"] == "not ready"][-1]


@contextmanager
def read_only(folder):
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


SMALL = load_settings().model_copy(update={"min_free_bytes": 0})


def test_a_full_and_a_read_only_file_system_are_told(own_disk):
    with serve_in_process(own_disk, SMALL) as web:
        assert set(told(web).values()) == {"ok"}
        with (own_disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(own_disk).free)
        said = told(web)
        assert (said["store"], said["catalog"]) == ("disk_full", "disk_full")
        assert any("No space left while writing to incoming" in line.get("detail", "") for line in web.logged)
        (own_disk / "filler").unlink()
        assert set(told(web).values()) == {"ok"}


def test_a_disk_with_less_room_than_must_stay_free_is_told(own_disk):
    """Small writes go well there, imports don't."""
    settings = SMALL.model_copy(update={"min_free_bytes": 8 * 1024 * 1024})
    with serve_in_process(own_disk, settings) as web:
        assert told(web)["store"] == "ok"
        with (own_disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(own_disk).free - 4 * 1024 * 1024)
        said = told(web)
        assert said["store"] == "disk_full"
        assert "8.4 MB must stay free" in detail(web)
        assert said["catalog"] == "ok"
        (own_disk / "filler").unlink()
        assert told(web)["store"] == "ok"


@pytest.mark.processes
def test_a_read_only_file_system_lets_no_server_begin(own_disk):
    with serve_in_process(own_disk, SMALL):
        pass
    with read_only(own_disk):
        done = run([SCANDOCK, "serve", "--data", str(own_disk), "--port", "0"])
    assert done.code == 2, str(done)
    assert "can't be written to" in done.err


def test_folders_that_are_gone_are_made_anew_and_one_that_is_no_folder_is_told(tmp_path):
    data = tmp_path / "data"
    with serve_in_process(data) as web:
        shutil.rmtree(data / "incoming")
        shutil.rmtree(data / "work")
        assert told(web)["store"] == "ok"
        assert [line["folder"] for line in web.logged if line["event"] == "folder_made"] == ["incoming", "work"]
        (data / "work").rmdir()
        (data / "work").write_text("no folder")
        assert told(web)["store"] == "store_read_only"
        assert "work" in detail(web)
        (data / "work").unlink()
        assert told(web)["store"] == "ok"
        os.rename(data, tmp_path / "elsewhere")
        data.mkdir()
        assert told(web)["store"] == "store_missing"
        assert "another folder" in detail(web)
        data.rmdir()
        os.rename(tmp_path / "elsewhere", data)


@pytest.mark.parametrize("folder", ["archive", "prearchive", "resources"])
def test_a_folder_of_what_is_placed_is_made_anew_while_nothing_is_known_in_it(tmp_path, folder):
    with serve_in_process(tmp_path / "data") as web:
        (tmp_path / "data" / folder).rmdir()
        assert told(web)["store"] == "ok"
        assert [line["folder"] for line in web.logged if line["event"] == "folder_made"] == [folder]
        assert (tmp_path / "data" / folder).is_dir()


def test_a_lock_that_lasts_is_told_while_everything_else_is_answered(tmp_path):
    with (
        serve_by_socket(tmp_path / "data") as web,
        closing(sqlite3.connect(tmp_path / "data" / "scandock.db")) as other,
    ):
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        said = told(web)
        assert said["catalog"] == "catalog"
        assert "another process holds its lock" in detail(web)
        assert said["store"] == "ok"
        other.execute("ROLLBACK")
        assert told(web)["catalog"] == "ok"


@pytest.mark.processes
def test_a_catalog_that_was_found_damaged_stays_so(tmp_path):
    data = tmp_path / "data"
    with serve_in_process(data) as web:
        web.site.catalog.fault(sqlite3.DatabaseError("database disk image is malformed"), "could not be read")
        assert told(web)["catalog"] == "catalog_damaged"
        assert "backup" in detail(web)
    whole = (data / "scandock.db").read_bytes()
    (data / "scandock.db").write_bytes(whole[:8192] + bytes(len(whole) - 8192))
    done = run([SCANDOCK, "serve", "--data", str(data), "--port", "0"])
    assert done.code == 1, str(done)
    assert "damaged" in done.err
    assert "backup" in done.err


def test_a_privacy_key_that_the_rules_need_and_this_host_lacks_is_told(tmp_path):
    data = tmp_path / "data"
    with serve_in_process(data, SMALL) as web:
        assert set(told(web).values()) == {"ok"}  # no rules, no key
        set_local_privacy(str(data), SMALL, None, {"names": "drop"})
        assert set(told(web).values()) == {"ok"}
        (data / KEY_FILE).rename(tmp_path / "key")
        assert told(web)["store"] == "privacy_key"
        assert "Copy the file from another host" in detail(web)
        (tmp_path / "key").rename(data / KEY_FILE)
        assert set(told(web).values()) == {"ok"}
