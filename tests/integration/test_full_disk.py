"""A disk that is full: the import fails, says so, leaves nothing, and works once there is room."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from scandock.model.errors import Fault
from scandock.pipeline import flow
from scandock.publishing import complete
from scandock.publishing.complete import end_unpublished
from tests.crash.archives import Step, Study, write_tar, write_zip
from tests.crash.case_share import choose_cases
from tests.crash.checker import examine_data
from tests.crash.processes import check, import_words, run
from tests.crash.rounds import assert_clean, assert_holds, assert_placed
from tests.integration.in_process import command_in_process
from tests.integration.small_disks import enlarge

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SMALL, LARGE = Study(31, 1, count=4), Study(31, 2, series=2, count=200)
"""Some 70 KB, and 3.4 MB."""
FREE: dict[str, Any] = {"SCANDOCK_MIN_FREE_BYTES": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("full")


@pytest.fixture(scope="module")
def small(folder):
    return Step(write_zip(folder / "small.zip", SMALL.entries("S")))


@pytest.fixture(scope="module")
def large(folder):
    """In a tar.gz, whose unpacked size nobody knows beforehand."""
    return Step(write_tar(folder / "large.tar.gz", LARGE.entries("L")))


def failed(done, code="disk_full"):
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", code), str(done)
    assert done.report["message"]


def test_the_disk_fills_while_files_are_written(disk, small, large):
    data = disk("3m")
    assert_placed(command_in_process(import_words(small, data), **FREE))
    failed(run(import_words(large, data), **FREE))
    assert_holds(data, {SMALL.uid: SMALL.held()})
    assert_clean(check(data, **FREE))
    enlarge(data, "16m")
    assert_placed(command_in_process(import_words(large, data), **FREE))
    assert_holds(data, {SMALL.uid: SMALL.held(), LARGE.uid: LARGE.held()})


@pytest.mark.parametrize("left", choose_cases([0, 32, 200, 400], [0, 8, 32, 64, 128, 200, 300, 400]))
def test_the_disk_is_full_but_for_some_kilobytes(disk, small, large, left):
    data = disk("12m")
    assert_placed(command_in_process(import_words(small, data), **FREE))
    ballast = data / "trash" / "now" / "ballast"
    free = os.statvfs(data)
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - left * 1024)))
    other = Step(write_zip(large.archive.parent / f"other{left}.zip", Study(31, 3, count=8).entries("O")))
    done = run(import_words(other, data), **FREE)
    ballast.unlink(missing_ok=True)
    if done.code:
        failed(done)
    assert_clean(command_in_process(["scandock", "check", "--data", data], **FREE))
    held, wrong = examine_data(data)
    assert not wrong, wrong
    assert held[SMALL.uid] == SMALL.held()
    assert_placed(command_in_process(import_words(large, data), **FREE))


def test_space_that_must_stay_free_is_asked_for_before(disk, small):
    data = disk("3m")
    failed(run(import_words(small, data), SCANDOCK_MIN_FREE_BYTES="4MB"))
    assert_holds(data, {})


def test_no_room_for_a_data_folder(disk, small):
    data = disk("16k")
    done = run(import_words(small, data), **FREE)
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "disk_full"), str(done)
    enlarge(data, "16m")
    assert_placed(command_in_process(import_words(small, data), **FREE))
    assert_holds(data, {SMALL.uid: SMALL.held()})


def test_a_fault_met_while_failing_keeps_its_name(tmp_path, small, monkeypatch):
    full, ends = Fault("disk_full", "No space left.", "Free some."), []

    def no_room(*_words):
        ends.append(1)
        if len(ends) == 1:
            raise full
        return end_unpublished(*_words)

    def refuse(*_words):
        raise full

    monkeypatch.setattr(flow, "decide_and_place", refuse)
    monkeypatch.setattr(complete, "end_unpublished", no_room)
    done = command_in_process(import_words(small, tmp_path / "data"), **FREE)
    assert (done.code, len(ends)) == (1, 2)
    with closing(sqlite3.connect(tmp_path / "data" / "scandock.db")) as catalog:
        assert catalog.execute("SELECT state, code FROM upload").fetchall() == [("failed", "disk_full")]
