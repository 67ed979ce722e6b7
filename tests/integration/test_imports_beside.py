"""Imports beside each other on one DATA: none disturbs another, whatever they have in common."""

from __future__ import annotations

import json

import pytest

from tests.crash.archives import WAITING, Step, Study, merge_states, write_zip
from tests.crash.concurrent_imports import run_concurrent
from tests.crash.processes import SCANDOCK, Command, CommandResult, check, find_unsound, import_words, run
from tests.crash.rounds import assert_clean, assert_holds, assert_placed

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SEED = 21


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def packed(folder, name, study, **options):
    return Step(write_zip(folder / f"{name}.zip", study.entries(name, **options)))


def at_once(data, steps, *, checks=1):
    """All of them started at the same moment, and `check` meanwhile, which finds nothing."""
    commands = [Command(import_words(step, data), threads=True, SCANDOCK_WORKERS="1") for step in steps]
    looks: list[CommandResult] = []
    while any(command.process.poll() is None for command in commands):
        if (data / "scandock.db").exists() and len(looks) < checks:
            looks.append(check(data))
    done = [command.wait() for command in commands]
    for look in looks:
        assert_clean(look)
    return done


def stored(done):
    return [one.report["entries"]["stored"] for one in done]


def test_different_sessions(tmp_path, data):
    studies = [Study(SEED, n) for n in range(4)]
    done = at_once(data, [packed(tmp_path, f"S{n}", study) for n, study in enumerate(studies)])
    for one in done:
        assert_placed(one)
    assert_holds(data, {study.uid: study.held() for study in studies})
    assert not find_unsound(data)


def test_the_same_archive_is_stored_once(tmp_path, data):
    study = Study(SEED, 1)
    step = packed(tmp_path, "S", study)
    done = at_once(data, [step] * 4)
    for one in done:
        assert_placed(one)
    assert sorted(stored(done)) == [0, 0, 0, 40]
    assert sorted(one.report["entries"]["duplicate"] for one in done) == [0, 41, 41, 41]
    assert_holds(data, {study.uid: study.held()})
    assert not find_unsound(data)


def test_quarters_of_one_study_become_one_session(tmp_path, data):
    study = Study(SEED, 1)
    parts = [study.part(n / 4, (n + 1) / 4) for n in range(4)]
    done = at_once(data, [packed(tmp_path, f"part{n}", part, note=n == 0) for n, part in enumerate(parts)])
    for one in done:
        assert_placed(one)
    assert sum(stored(done)) == 40
    assert_holds(data, {study.uid: study.held()})
    assert not find_unsound(data)


def test_the_same_label_from_different_studies_is_told_apart(tmp_path, data):
    studies = [Study(SEED, n, patient="SAME") for n in range(4)]
    done = at_once(data, [packed(tmp_path, f"S{n}", study) for n, study in enumerate(studies)])
    for one in done:
        assert_placed(one)
    assert_holds(data, {study.uid: study.held() for study in studies})
    labels = sorted(session["label"] for one in done for session in one.report["sessions"])
    assert len(set(labels)) == 4
    assert labels[0] == "SAME"
    assert all(label.startswith("SAME_") for label in labels[1:])
    assert not find_unsound(data)


def test_replacing_and_adding_at_once_lose_nothing(tmp_path, data):
    study, changed = Study(SEED, 1), Study(SEED, 1, version=1).part(0, 0.25)
    assert_placed(run(import_words(packed(tmp_path, "half", study.part(0, 0.5)), data), threads=True))
    replace = Step(write_zip(tmp_path / "changed.zip", changed.entries("S", note=False)), ("--overwrite", "delete"))
    done = at_once(data, [replace, packed(tmp_path, "rest", study.part(0.5, 1), note=False)])
    for one in done:
        assert_placed(one)
    kept = study.part(0.25, 1).held().files | changed.held(note=False).files
    assert_holds(data, {study.uid: type(study.held())("archive", kept)})
    assert not find_unsound(data)


def test_the_prearchive_gives_each_study_a_timestamp(tmp_path, data):
    studies = [Study(SEED, n, count=4) for n in range(4)]
    steps = [packed(tmp_path, f"S{n}", study) for n, study in enumerate(studies)]
    done = at_once(data, [Step(step.archive, ("--destination", "prearchive")) for step in steps])
    for one in done:
        assert_placed(one)
    assert_holds(data, {study.uid + WAITING: study.held("prearchive") for study in studies})
    assert not find_unsound(data)


def test_twenty_commands_make_one_data(tmp_path, data):
    studies = [Study(SEED, n, series=1, count=2) for n in range(6)]
    commands = [
        Command(import_words(packed(tmp_path, f"S{n}", study), data), threads=True, SCANDOCK_WORKERS="1")
        for n, study in enumerate(studies)
    ]
    commands += [Command([SCANDOCK, "admin", "project", "add", f"Q{n}", "--data", data]) for n in range(14)]
    for command in commands:
        assert_clean(command.wait())
    assert_holds(data, merge_states({study.uid: study.held()} for study in studies))
    listed = json.loads(run([SCANDOCK, "admin", "project", "list", "--data", data, "--json"]).out)
    assert {project["id"] for project in listed} == {"P"} | {f"Q{n}" for n in range(14)}
    assert not find_unsound(data)


def test_a_crowd_of_which_some_are_killed(tmp_path):
    run_concurrent(tmp_path, SEED)
