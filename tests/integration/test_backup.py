"""Backup and restore as docs/operating.md tells them: the catalog first, then the files, while imports go on."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import host
from scandock.catalog.tables import session
from scandock.model.errors import Fault
from scandock.services import backup
from scandock.services.backup import back_up
from scandock.services.backup_folders import LOCK, list_finished_backups
from scandock.services.backup_restore import restore_backup
from scandock.services.catalog_copies import copy_catalog
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.services.trash import delete_session
from scandock.store import backups
from scandock.testing.worker import InProcessWorker
from tests.crash.archives import Step, Study, scenarios, write_zip, zip_bytes
from tests.crash.checker import examine_data
from tests.crash.processes import KILLED, SCANDOCK, find_unsound, import_words, run, until
from tests.integration.forked_workers import in_process_worker
from tests.integration.upload_server import UploadServer

pytestmark = pytest.mark.processes

FIRST, SECOND = Study(71, 1, count=4, side=8), Study(72, 2, count=4, side=8)


@pytest.fixture
def steps(tmp_path):
    return [Step(write_zip(tmp_path / f"{n}.zip", one.entries("S"))) for n, one in enumerate((FIRST, SECOND))]


def imported(step, data):
    done = run(import_words(step, data), threads=True)
    assert done.code == 0, str(done)
    return done.report


def test_what_is_restored_is_whole_and_takes_up_what_came_after_the_catalogs_copy(tmp_path, steps):
    data, backup = tmp_path / "data", tmp_path / "backup"
    imported(steps[0], data)
    backup.mkdir()
    with (
        closing(sqlite3.connect(data / "scandock.db")) as live,
        closing(sqlite3.connect(backup / "scandock.db")) as kept,
    ):
        live.backup(kept)
    late = imported(steps[1], data)
    for folder in ("archive", "prearchive", "resources", "receipts", "trash", "incoming"):
        shutil.copytree(data / folder, backup / folder, symlinks=True)

    path = late["sessions"][0]["path"]
    assert find_unsound(backup) == [f"stray: {path}: The catalog knows no session here."]
    shutil.rmtree(backup / path)
    assert find_unsound(backup) == []
    assert imported(steps[0], backup)["entries"]["stored"] == 0, "what was restored is known"
    assert imported(steps[1], backup)["sessions"][0]["path"] == path
    assert find_unsound(backup) == []


def made(data, to):
    done = run([SCANDOCK, "backup", "--data", data, "--to", to, "--json"])
    assert done.code == 0, str(done)
    return done.report


def test_a_backup_is_restored_whole_and_the_next_one_copies_only_what_is_new(tmp_path, steps):
    data, to = tmp_path / "data", tmp_path / "backups"
    imported(steps[0], data)
    first = made(data, to)
    assert (first["trees"], first["copied"]) == (1, 1)
    imported(steps[1], data)
    second = made(data, to)
    assert (second["trees"], second["copied"]) == (2, 1)
    one, two = (
        {path.relative_to(top): path.stat().st_ino for path in top.glob("archive/**/*.dcm")}
        for top in (Path(first["path"]), Path(second["path"]))
    )
    assert {name: two[name] for name in one} == one, "files that both have are the same"

    new = tmp_path / "new"
    done = run([SCANDOCK, "restore", to, "--data", new])
    assert done.out.splitlines()[-1] == f"Restored from {second['path']}", done.out
    assert done.code == 0, str(done)
    assert examine_data(new) == examine_data(data)
    assert imported(steps[0], new)["entries"]["stored"] == 0
    old = tmp_path / "old"
    assert run([SCANDOCK, "restore", first["path"], "--data", old]).code == 0
    assert imported(steps[1], old)["entries"]["stored"] == len(SECOND.objects)
    again = run([SCANDOCK, "restore", to, "--data", new])
    assert (again.code, "not empty" in again.err) == (2, True)


@pytest.mark.parametrize("point", ["intent", "switched", "published"])
def test_a_backup_has_what_a_dead_import_had_staged(tmp_path, point):
    scenario = scenarios(tmp_path / "archives", count=3)["replace"]
    data, new = tmp_path / "data", tmp_path / "new"
    for step in scenario.base:
        imported(step, data)
    assert run(import_words(scenario.step, data), threads=True, SCANDOCK_CRASH_AT=point).code == KILLED
    made(data, tmp_path / "backups")
    shutil.rmtree(data)
    done = run([SCANDOCK, "restore", tmp_path / "backups", "--data", new])
    assert done.code == 0, str(done)
    assert examine_data(new) == (scenario.after, [])


def test_a_backup_while_imports_run_has_everything_that_its_catalog_knows(tmp_path):
    """Objects of one session are replaced by others of the same size, and sessions come, while backups are made."""
    data, to = tmp_path / "data", tmp_path / "backups"
    archives = [
        Step(
            write_zip(tmp_path / f"{n}.zip", Study(73, 1, count=6, side=16, version=n).entries("S")),
            ("--overwrite", "delete"),
        )
        for n in range(3)
    ] + [Step(write_zip(tmp_path / f"new{n}.zip", Study(73, 10 + n, count=6, side=16).entries("N"))) for n in range(2)]
    imported(archives[0], data)
    codes: list[int] = []

    def import_all():
        codes.extend(run(import_words(step, data), threads=True).code for step in archives[1:])

    importing = threading.Thread(target=import_all)
    importing.start()
    paths = []
    while importing.is_alive():
        paths.append(back_up(str(data), load_settings(), str(to)).path)
    importing.join()
    assert codes == [0] * len(archives[1:])
    assert len(paths) > 1
    for n in {0, len(paths) // 2, len(paths) - 1}:
        assert restore_backup(paths[n], str(tmp_path / f"new{n}"), load_settings()) == []
    paths.append(back_up(str(data), load_settings(), str(to)).path)
    assert restore_backup(str(to), str(tmp_path / "last"), load_settings()) == []
    assert examine_data(tmp_path / "last") == examine_data(data)


def test_what_changes_between_the_catalogs_copy_and_the_files_is_copied_again(tmp_path, monkeypatch):
    scenario = scenarios(tmp_path / "archives", count=3)["replace"]
    data, to = tmp_path / "data", tmp_path / "backups"
    for step in scenario.base:
        imported(step, data)
    late = Step(write_zip(tmp_path / "late.zip", FIRST.entries("L")))
    rounds = []
    copied = copy_catalog

    @contextmanager
    def then_changed(*where):
        with copied(*where) as connection:
            rounds.append(where)
            if len(rounds) == 1:
                imported(scenario.step, data)
            if len(rounds) == 2:
                imported(late, data)
                with open_data(str(data), load_settings()) as (catalog, store):
                    context = ServiceContext(catalog, store, load_settings(), SYSTEM)
                    for uuid in connection.execute(select(session.c.uuid)).scalars().all():
                        delete_session(context, uuid)
            yield connection

    monkeypatch.setattr(backup, "copy_catalog", then_changed)
    back_up(str(data), load_settings(), str(to))
    assert len(rounds) == 3
    assert restore_backup(str(to), str(tmp_path / "new"), load_settings()) == []
    assert examine_data(tmp_path / "new") == examine_data(data)


@pytest.fixture
def server(tmp_path):
    served = UploadServer(tmp_path / "data")
    yield served
    served.close()


def test_an_upload_that_is_being_placed_is_restored_with_its_staging_or_tried_again_without(tmp_path, server):
    body = zip_bytes(FIRST.entries("S"))
    with in_process_worker(server, SCANDOCK_CRASH_AT="intent", SCANDOCK_CRASH_BY="SIGSTOP") as attempts:
        uuid = server.send(body)
        attempts.stopped(uuid)
        path = back_up(str(server.data), load_settings(), str(tmp_path / "backups")).path
    one, two = tmp_path / "one", tmp_path / "two"
    assert restore_backup(path, str(one), load_settings()) == []
    assert last_import(one)[0] == "placed"
    assert examine_data(one)[0] == {FIRST.uid: FIRST.held()}

    shutil.rmtree(Path(path) / "work")
    assert restore_backup(path, str(two), load_settings()) == []
    assert last_import(two) == ("received", 0), "no attempt is counted against it"
    assert (two / "incoming" / uuid / "archive").read_bytes() == body
    with InProcessWorker(two, upkeep=False):
        until(lambda: last_import(two)[0] == "placed", "it was not tried again")
        until(lambda: not os.listdir(two / "incoming"), "its bytes were left")
    assert examine_data(two)[0] == {FIRST.uid: FIRST.held()}


def last_import(data):
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        return database.execute("SELECT state, attempt FROM upload ORDER BY id DESC LIMIT 1").fetchone()


@pytest.mark.timeout(120)
def test_a_catalog_in_postgresql_is_dumped_with_the_files_that_it_knows(
    tmp_path, steps, postgres_url, postgres_cluster
):
    data, to, new = tmp_path / "data", tmp_path / "backups", tmp_path / "new"
    assert run(import_words(steps[0], data), threads=True, SCANDOCK_DATABASE_URL=postgres_url).code == 0
    engine = create_engine(postgres_url)
    with engine.begin() as connection:  # as of a host that serves, and goes on
        seen = int(time.time() * 1000) + 3_600_000
        values = {"name": "a", "boot": "b", "role": "all", "started": 1, "seen": seen, "worker_seen": seen}
        connection.execute(insert(host).values(uuid="a", **values))
    engine.dispose()
    done = run([SCANDOCK, "backup", "--data", data, "--to", to], SCANDOCK_DATABASE_URL=postgres_url)
    assert done.code == 0, str(done)
    full = run([SCANDOCK, "restore", to, "--data", new], SCANDOCK_DATABASE_URL=postgres_url)
    assert (full.code, "Name an empty one" in full.err) == (2, True)
    other = run([SCANDOCK, "restore", to, "--data", tmp_path / "lite"])
    assert (other.code, "dump of PostgreSQL" in other.err) == (2, True)
    assert not (tmp_path / "lite").exists()
    with postgres_cluster.database() as empty:
        done = run([SCANDOCK, "restore", to, "--data", new], SCANDOCK_DATABASE_URL=empty)
        assert done.code == 0, str(done)
        again = run(import_words(steps[0], new), threads=True, SCANDOCK_DATABASE_URL=empty)
        assert (again.code, again.report["entries"]["stored"]) == (0, 0), str(again)


def test_what_is_damaged_in_the_data_folder_is_told_and_kept_as_it_is(tmp_path, steps):
    data, to = tmp_path / "data", tmp_path / "backups"
    path = imported(steps[0], data)["sessions"][0]["path"]
    file = next((data / path).rglob("*.dcm"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    damaged = run([SCANDOCK, "backup", "--data", data, "--to", to])
    assert (damaged.code, damaged.out.splitlines()[0].startswith(f"damaged: {path}: ")) == (3, True), str(damaged)
    restored = run([SCANDOCK, "restore", to, "--data", tmp_path / "new"])
    assert (restored.code, restored.out.startswith("changed: ")) == (3, True), str(restored)
    file.write_bytes(whole)
    assert made(data, to)["copied"] == 1, "what was damaged is not taken from the backup before"


def test_a_backup_that_was_interrupted_is_gone_on_with(tmp_path, steps, monkeypatch):
    data, to = tmp_path / "data", tmp_path / "backups"
    for step in steps:
        imported(step, data)
    copied = []
    copy_folder = backups.copy_folder

    def cut(source, target, on_file):
        copied.append(target)
        if len(copied) == 2:
            raise Fault("disk_full", "No space left.", "")
        return copy_folder(source, target, on_file)

    monkeypatch.setattr(backups, "copy_folder", cut)
    monkeypatch.setattr(backup, "_SAFE_TREES", 0)
    with pytest.raises(Fault, match="No space left"):
        back_up(str(data), load_settings(), str(to))
    assert list_finished_backups(str(to)) == []
    done = back_up(str(data), load_settings(), str(to))
    assert (done.trees, done.copied) == (2, 1)
    assert restore_backup(str(to), str(tmp_path / "new"), load_settings()) == []


def test_a_backup_does_not_go_into_the_data_folder_nor_beside_another(tmp_path, steps):
    data = tmp_path / "data"
    imported(steps[0], data)
    inside = run([SCANDOCK, "backup", "--data", data, "--to", data / "backups"])
    assert (inside.code, "lies in the data folder" in inside.err) == (2, True)
    to = tmp_path / "backups"
    to.mkdir()
    with (to / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # whoever wants it has to want it alone
        busy = run([SCANDOCK, "backup", "--data", data, "--to", to])
    assert (busy.code, "Another backup" in busy.err) == (2, True)
    empty = run([SCANDOCK, "restore", to, "--data", tmp_path / "new"])
    assert (empty.code, "no finished backup" in empty.err) == (2, True)
