"""People who move folders in DATA while an import is being placed: it ends well, or waits, and stops nobody else."""

from __future__ import annotations

import shutil
import signal

import pytest

from scandock.testing.data import make_data
from tests.crash.archives import merge_states
from tests.crash.checker import examine_data
from tests.crash.processes import check
from tests.crash.rounds import RoundArchives, assert_clean, assert_holds, assert_placed

pytestmark = [pytest.mark.crash, pytest.mark.processes]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return RoundArchives(tmp_path_factory.mktemp("hands"), seed=9, count=4, readers=1)


@pytest.fixture
def paused(ground):
    """An import stopped right behind its intent; `signal.SIGCONT` lets it go on."""
    commands = []

    def start(name):
        data = ground.fresh(ground.scenarios[name], f"paused-{name}")
        stop = {"SCANDOCK_CRASH_AT": "intent", "SCANDOCK_CRASH_BY": "SIGSTOP"}
        command = ground.command(ground.scenarios[name].step, data, **stop)
        commands.append(command)
        command.stopped()
        return data, command

    yield start
    for command in commands:
        command.signal(signal.SIGKILL)


def stray(data, label="CRASH9_1"):
    folder = data / "archive" / "P" / label
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    return folder


def test_a_folder_where_a_session_is_to_go_fails_the_import_and_is_kept(ground):
    scenario = ground.scenarios["new"]
    data = make_data(ground.fresh(scenario, "stray"))
    folder = stray(data)
    done = ground.run(scenario.step, data)
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "name_taken"), str(done)
    assert "archive/P/CRASH9_1" in done.report["message"]
    assert (folder / "thesis.txt").read_text() == "mine"
    held, wrong = examine_data(data)
    assert held == {}
    assert all("archive/P" in one for one in wrong), wrong
    assert check(data).code == 3
    shutil.rmtree(folder)
    assert_placed(ground.run(scenario.step, data))
    assert_holds(data, scenario.after)


def test_a_folder_that_appears_behind_the_intent_holds_only_that_import_up(ground, paused):
    data, command = paused("new")
    scenario = ground.scenarios["new"]
    folder = stray(data)
    command.signal(signal.SIGCONT)
    done = command.wait()
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "name_taken"), str(done)
    assert "the next command" in done.report["message"]
    assert_placed(ground.run(ground.bystander, data))
    again = ground.run(scenario.step, data)
    assert (again.code, again.report["code"]) == (1, "name_taken"), str(again)
    found = check(data)
    assert (found.code, "unfinished" in found.out) == (3, True), str(found)
    assert (folder / "thesis.txt").read_text() == "mine"
    shutil.rmtree(folder)
    assert_clean(check(data))
    assert_holds(data, merge_states((scenario.after, ground.beside)))


def test_a_session_that_is_taken_away_behind_the_intent_is_there_again(paused, ground):
    data, command = paused("append")
    shutil.rmtree(data / "archive" / "P" / "CRASH9_1")
    command.signal(signal.SIGCONT)
    assert_placed(command.wait())
    assert_holds(data, ground.scenarios["append"].after)
    assert_clean(check(data))


def test_a_session_that_is_taken_away_before_costs_that_import_alone(ground):
    scenario = ground.scenarios["append"]
    data = ground.fresh(scenario, "gone")
    shutil.rmtree(data / "archive" / "P" / "CRASH9_1")
    done = ground.run(scenario.step, data)
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "tree_missing"), str(done)
    assert check(data).code == 3
    assert_placed(ground.run(ground.bystander, data))


def test_strange_things_in_the_work_folder_stop_nobody(ground):
    scenario = ground.scenarios["new"]
    data = ground.fresh(scenario, "strange")
    (data / "work" / "a b").mkdir(parents=True)
    (data / "work" / "note.txt").write_text("note")
    (data / "work" / "note").write_text("note")
    assert_placed(ground.run(scenario.step, data))
    assert (data / "work" / "note.txt").read_text() == "note"
    assert_clean(check(data))
