"""Reader processes that die while an import goes on: by a signal of the system's, or at an entry that kills them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from itertools import product

import pytest

from tests.crash.archives import ExpectedSession, Step, Study, write_tar, write_zip, zip_bytes
from tests.crash.case_share import choose_cases
from tests.crash.processes import Command, check, find_unsound, import_words, is_stopped, run, until
from tests.crash.rounds import assert_clean, assert_holds, assert_placed
from tests.integration.in_process import command_in_process

pytestmark = [pytest.mark.crash, pytest.mark.processes]

MANY = Study(5, 1, series=2, count=300, side=8)
"""More than a reader tells of at a time, and in a tar, which one reader walks alone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def tar(folder):
    return Step(write_tar(folder / "many.tar.gz", MANY.entries("T")))


@pytest.fixture(scope="module")
def undisturbed(folder, tar):
    """What the catalog says of the sessions when no reader dies."""
    assert_placed(command_in_process(import_words(tar, folder / "undisturbed")))
    return told(folder / "undisturbed")


def told(data):
    with closing(sqlite3.connect(data / "scandock.db")) as database:
        sessions = database.execute("SELECT label, xsi_type, attributes, scans, files, bytes FROM session").fetchall()
        scans = database.execute(
            "SELECT scan_id, series_uid, modality, xsi_type, type, attributes, frames, files FROM scan ORDER BY scan_id"
        ).fetchall()
    return [[json.loads(x) if str(x).startswith("{") else x for x in row] for row in (*sessions, *scans)]


@pytest.mark.parametrize(
    ("entry", "by"),
    choose_cases(
        [("s1/001.dcm", "SIGKILL"), ("s1/200.dcm", "SIGSEGV"), ("s2/100.dcm", "SIGKILL"), ("notes.txt", "SIGSEGV")],
        [*product(("s1/001.dcm", "s1/200.dcm", "s2/100.dcm", "notes.txt"), ("SIGKILL", "SIGSEGV"))],
    ),
)
def test_a_reader_dies_once_and_another_goes_on_where_it_was(tmp_path, tar, undisturbed, entry, by):
    data, once = tmp_path / "data", tmp_path / "once"
    done = run(import_words(tar, data), SCANDOCK_CRASH_ENTRY=entry, SCANDOCK_CRASH_BY=by, SCANDOCK_CRASH_ONCE=str(once))
    assert once.exists()
    assert_placed(done)
    assert_holds(data, {MANY.uid: MANY.held()})
    assert told(data) == undisturbed
    assert done.report["entries"]["stored"] == 600
    assert find_unsound(data) == []


def test_an_entry_that_kills_two_readers_is_left_out_alone(tmp_path, tar):
    data = tmp_path / "data"
    receipt = tmp_path / "receipt.jsonl"
    words = [*import_words(tar, data), "--receipt", receipt]
    done = run(words, SCANDOCK_CRASH_ENTRY="s2/100.dcm", SCANDOCK_CRASH_BY="SIGSEGV")
    assert_placed(done)
    rest = Study(5, 1, series=2, count=300, side=8)
    del rest.objects["s2/100.dcm"]
    assert_holds(data, {rest.uid: rest.held()})
    lines = [json.loads(line) for line in receipt.read_text().splitlines()]
    odd = [line for line in lines if line["verdict"] not in ("stored", "resource")]
    assert [(line["path"], line["verdict"], line["code"]) for line in odd] == [
        ("T/s2/100.dcm", "unparseable", "reader_died")
    ]
    assert "unparseable_ignored" in [warning["code"] for warning in done.report["warnings"]]
    assert_placed(command_in_process(import_words(tar, data)))
    assert_holds(data, {MANY.uid: MANY.held()})
    assert_clean(check(data))


@pytest.mark.parametrize(
    ("entry", "by"),
    choose_cases(
        [("S1.zip!S1/s1/008.dcm", "SIGKILL"), ("S1.zip!S1/s2/010.dcm", "SIGSEGV"), ("S2.zip!S2/s1/001.dcm", "SIGKILL")],
        [*product(("S1.zip!S1/s1/008.dcm", "S1.zip!S1/s2/010.dcm", "S2.zip!S2/s1/001.dcm"), ("SIGKILL", "SIGSEGV"))],
    ),
)
def test_a_reader_dies_inside_an_inner_archive(tmp_path, entry, by):
    studies = [Study(6, n, count=10) for n in range(3)]
    inner = {f"S{n}.zip": zip_bytes(study.entries(f"S{n}")) for n, study in enumerate(studies)}
    step = Step(write_zip(tmp_path / "bundle.zip", inner))
    data, once = tmp_path / "data", tmp_path / "once"
    done = run(
        import_words(step, data), SCANDOCK_CRASH_ENTRY=entry, SCANDOCK_CRASH_BY=by, SCANDOCK_CRASH_ONCE=str(once)
    )
    assert once.exists()
    assert_placed(done)
    assert_holds(data, {study.uid: study.held() for study in studies})
    assert find_unsound(data) == []


def test_readers_killed_from_outside_do_not_stop_an_import(tmp_path):
    study = Study(8, 1, count=100)
    step = Step(write_zip(tmp_path / "study.zip", study.entries("S")))
    command = Command(
        import_words(step, tmp_path / "data"),
        SCANDOCK_CRASH_ENTRY="s1/050.dcm",
        SCANDOCK_CRASH_BY="SIGSTOP",
        SCANDOCK_CRASH_ONCE=str(tmp_path / "once"),
    )
    until(lambda: any(map(is_stopped, command.readers())), "no reader came to that entry")
    os.kill(next(filter(is_stopped, command.readers())), signal.SIGKILL)
    assert_placed(command.wait())
    assert_holds(tmp_path / "data", {study.uid: study.held()})


def test_readers_killed_again_and_again_end_the_import_and_leave_nothing(tmp_path, tar):
    data = tmp_path / "data"
    done = run(import_words(tar, data), SCANDOCK_CRASH_ENTRY="s1/200.dcm", SCANDOCK_CRASH_BY="SIGKILL")
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "out_of_memory"), str(done)
    assert_holds(data, {})
    assert_placed(command_in_process(import_words(tar, data)))
    assert_holds(data, {MANY.uid: ExpectedSession("archive", MANY.held().files)})
