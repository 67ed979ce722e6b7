"""`scandock check` of a DATA on a mount that nothing can be written to, as of a snapshot."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scandock.model.errors import Fault
from scandock.services import read_only_data
from scandock.services.read_only_data import open_read_only
from scandock.services.settings import load_settings
from tests.crash.archives import Step, Study, zip_bytes
from tests.crash.processes import SCANDOCK, CommandResult, import_words, run
from tests.integration.small_disks import Mount, remount


@pytest.fixture
def data(disk: Mount, tmp_path: Path) -> Path:
    """DATA with a session, on a file system of its own."""
    data = disk("16m")
    archive = tmp_path / "exam.zip"
    archive.write_bytes(zip_bytes(Study(51, 1, count=2, side=8).entries("S")))
    imported = run(import_words(Step(archive), data), SCANDOCK_MIN_FREE_BYTES="0")
    assert imported.code == 0, imported
    return data


@contextmanager
def read_only(data: Path) -> Iterator[None]:
    remount(data, "ro")
    try:
        yield
    finally:
        remount(data, "rw")


def check(data: Path, temporary: Path) -> CommandResult:
    temporary.mkdir(exist_ok=True)
    return run([SCANDOCK, "check", "--data", data, "--json"], TMPDIR=str(temporary))


def findings(checked: CommandResult) -> list[tuple[str, str]]:
    return [(one["kind"], Path(one["name"]).suffix) for one in json.loads(checked.out)["findings"]]


def test_what_can_only_be_read_is_checked_and_left_as_it_is(data: Path, tmp_path: Path) -> None:
    with read_only(data):
        checked = check(data, tmp_path / "temporary")
    assert (checked.code, findings(checked)) == (0, []), checked
    assert os.listdir(tmp_path / "temporary") == [], "a copy of the catalog was left"
    dicom = next(data.glob("archive/**/*.dcm"))
    dicom.write_bytes(dicom.read_bytes()[:-1])
    with read_only(data):
        checked = check(data, tmp_path / "temporary")
    assert (checked.code, findings(checked)) == (3, [("changed", ".dcm")]), checked


@pytest.mark.parametrize("has_index", [True, False])
def test_what_is_in_the_log_of_its_catalog_counts(data: Path, tmp_path: Path, has_index: bool) -> None:
    """A snapshot of a server's folder has one, and as a copy of its files alone may lack the index."""
    with closing(sqlite3.connect(data / "scandock.db")) as writer, closing(sqlite3.connect(data / "scandock.db")):
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE session SET bytes = bytes + 1")
        writer.commit()
        wal = (data / "scandock.db-wal").read_bytes()
        index = (data / "scandock.db-shm").read_bytes()
        whole = (data / "scandock.db").read_bytes()
    (data / "scandock.db").write_bytes(whole)  # as it was before the last connection closed
    (data / "scandock.db-wal").write_bytes(wal)
    if has_index:
        (data / "scandock.db-shm").write_bytes(index)
    with read_only(data):
        checked = check(data, tmp_path / "temporary")
    assert (checked.code, [kind for kind, _ in findings(checked)]) == (3, ["sums"]), checked


def test_a_folder_that_lacks_what_the_catalog_names_is_told(data: Path, tmp_path: Path) -> None:
    (data / "archive").rename(data / "elsewhere")
    with read_only(data):
        checked = check(data, tmp_path / "temporary")
    assert (checked.code, "store_missing" in checked.err or "archive" in checked.err) == (1, True), checked


def test_a_catalog_that_can_not_be_copied_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "scandock.db").touch()
    monkeypatch.setattr(read_only_data, "_copy", fill)
    with pytest.raises(Fault, match=r"No space left on device.*TMPDIR"), open_read_only(str(tmp_path), load_settings()):
        pass


def test_a_folder_whose_catalog_is_elsewhere_has_to_be_one_that_can_be_written_to(data: Path, tmp_path: Path) -> None:
    (data / "scandock.db").unlink()
    with read_only(data):
        checked = check(data, tmp_path / "temporary")
    assert (checked.code, "written" in checked.err) == (2, True), checked
