"""An import that is stopped, taken over by another command when its lease is over, and then goes on."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import pytest

from scandock.model.crash_points import POINTS
from tests.crash.archives import merge_states
from tests.crash.processes import check, find_unsound, until
from tests.crash.rounds import ENDED, RoundArchives, assert_clean, assert_holds, assert_placed

pytestmark = [pytest.mark.crash, pytest.mark.processes]

OWNED = [point for point in POINTS if POINTS.index("recorded") <= POINTS.index(point) < POINTS.index("finished")]
KINDS = ("new", "append", "replace", "bundle", "prearchive")


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return RoundArchives(tmp_path_factory.mktemp("stale"), seed=7, count=6, readers=1)


def stopped_at(ground, point, scenario, data):
    once = str(data.with_suffix(".once"))  # a bundle passes some points with each of its sessions
    stop = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    command = ground.command(scenario.step, data, **stop)
    command.stopped()
    return command


def end_leases(data):
    """What fifteen seconds do; False where no import has a row yet, so that there is nothing to take over."""
    if not (data / "scandock.db").exists():
        return False
    with closing(sqlite3.connect(data / "scandock.db", timeout=20)) as database, database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'upload'").fetchone():
            return False
        over = int(time.time() * 1000) - 1000
        changed = database.execute("UPDATE upload SET lease_until = ? WHERE state = 'running'", (over,)).rowcount
    return changed == 1


@pytest.mark.parametrize("number", range(len(OWNED)), ids=OWNED)
def test_an_import_that_was_taken_over_fails_and_shows_nothing(ground, number):
    point, scenario = OWNED[number], ground.scenarios[KINDS[number % len(KINDS)]]
    data = ground.fresh(scenario, f"{point}")
    command = stopped_at(ground, point, scenario, data)
    try:
        assert not find_unsound(data)  # while the lease lasts it is left alone: what it has half done is no finding
        assert end_leases(data)
        other = ground.run(ground.bystander, data) if number % 2 else check(data)
        assert_clean(other)
    finally:
        command.signal(signal.SIGCONT)
        done = command.wait()
    assert (done.code, done.report["state"], done.report["code"]) == (1, "failed", "token_lost"), str(done)
    state = scenario.after if POINTS.index(point) >= ENDED else scenario.before
    extra = ground.beside if number % 2 else {}
    assert_holds(data, merge_states((state, extra)))
    assert_placed(ground.run(scenario.step, data))
    assert_holds(data, merge_states((scenario.after, extra)))


@pytest.mark.parametrize("point", ["began", "finished", "swept"])
def test_an_import_that_is_stopped_where_nobody_can_take_it_over_ends_well(ground, point):
    scenario = ground.scenarios["append"]
    data = ground.fresh(scenario, f"free-{point}")
    command = stopped_at(ground, point, scenario, data)
    try:
        assert not find_unsound(data)
        end_leases(data)
        assert not find_unsound(data)
    finally:
        command.signal(signal.SIGCONT)
        done = command.wait()
    assert_placed(done)
    assert_holds(data, scenario.after)


def test_the_lease_is_renewed_while_readers_read(ground, tmp_path):
    scenario = ground.scenarios["new"]
    data = ground.fresh(scenario, "renewed")
    stop = {"SCANDOCK_CRASH_ENTRY": "s1/003.dcm", "SCANDOCK_CRASH_BY": "SIGSTOP"}
    command = ground.command(scenario.step, data, **stop, SCANDOCK_CRASH_ONCE=str(tmp_path / "once"))
    try:
        until((tmp_path / "once").exists, "no reader came that far")
        until(lambda: end_leases(data), "the import was never recorded")
        until(lambda: lease(data) > time.time() * 1000, "the lease was not renewed")
        assert_clean(check(data))
    finally:
        command.signal(signal.SIGCONT)
        done = command.wait()
    assert_placed(done)
    assert_holds(data, scenario.after)


def lease(data):
    with closing(sqlite3.connect(data / "scandock.db", timeout=20)) as database:
        return database.execute("SELECT lease_until FROM upload").fetchone()[0]
