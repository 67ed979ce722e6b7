"""Backup and restore as docs/operating.md tells them: the catalog first, then the files, while imports go on."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.crash.archives import Step, Study, zipped
from tests.crash.processes import import_words, run, unsound

pytestmark = pytest.mark.processes

FIRST, SECOND = Study(71, 1, count=4, side=8), Study(72, 2, count=4, side=8)


@pytest.fixture
def steps(tmp_path):
    return [Step(zipped(tmp_path / f"{n}.zip", one.entries("S"))) for n, one in enumerate((FIRST, SECOND))]


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
    assert unsound(backup) == [f"stray: {path}: The catalog knows no session here."]
    shutil.rmtree(backup / path)
    assert unsound(backup) == []
    assert imported(steps[0], backup)["entries"]["stored"] == 0, "what was restored is known"
    assert imported(steps[1], backup)["sessions"][0]["path"] == path
    assert unsound(backup) == []
