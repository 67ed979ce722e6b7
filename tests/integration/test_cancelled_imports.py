"""Ctrl-C, as a terminal sends it to the whole group, and SIGTERM, at any moment: all or nothing, and nothing left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from scandock.model.crash_points import POINTS
from tests.crash.case_share import choose_cases
from tests.crash.processes import Command, find_unsound, import_words, run
from tests.crash.rounds import ENDED, RoundArchives, assert_holds, assert_placed
from tests.integration.in_process import command_in_process

pytestmark = [pytest.mark.crash, pytest.mark.processes]

KINDS = ("new", "append", "replace", "bundle", "tar")
MOMENTS = choose_cases(range(6), range(10))


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return RoundArchives(tmp_path_factory.mktemp("cancel"), seed=11, count=12)


@pytest.fixture(scope="module")
def lasting(ground):
    """Seconds that an import takes on this machine, now."""
    data = ground.fresh(ground.scenarios["tar"], "timed")
    begun = time.monotonic()
    assert_placed(run(import_words(ground.scenarios["tar"].step, data)))
    return time.monotonic() - begun


def ended_well(done, scenario, data):
    """It was placed, or cancelled, and either without a second command."""
    if done.out and done.report["state"] == "placed":  # the signal may still have met the process on its way out
        assert_holds(data, scenario.after)
        return
    early = {-signal.SIGINT, -signal.SIGTERM}  # Python itself was still starting
    assert done.code in {130} | early, str(done)
    assert "Traceback" not in done.err or done.code in early, str(done)
    if done.out:
        assert (done.report["state"], done.report["code"]) == ("cancelled", "cancelled")
    if (data / "scandock.db").exists():
        assert_holds(data, scenario.before)
    elif (data / "work").exists():
        assert os.listdir(data / "work") == []


@pytest.mark.parametrize("number", MOMENTS)
def test_a_signal_at_a_random_moment(ground, lasting, number):
    chance = random.Random(f"cancel {number}")
    scenario = ground.scenarios[KINDS[number % len(KINDS)]]
    data = ground.fresh(scenario, f"random{number}")
    command = Command(import_words(scenario.step, data))
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.process.wait(chance.uniform(0, lasting))
    command.signal(signal.SIGINT if number % 2 else signal.SIGTERM)
    ended_well(command.wait(), scenario, data)
    assert_placed(command_in_process(import_words(scenario.step, data)))
    assert_holds(data, scenario.after)


@pytest.mark.parametrize(
    "point",
    choose_cases(
        ["read", "reserved", "rows", "intent", "switched"],
        ["recorded", "read", "reserved", "rows", "sealed", "intent", "switched", "retired"],
    ),
)
def test_a_signal_at_a_point(ground, point):
    scenario = ground.scenarios["replace"]
    data = ground.fresh(scenario, point)
    command = Command(import_words(scenario.step, data), SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_BY="SIGSTOP")
    command.stopped()
    command.signal(signal.SIGINT)
    command.signal(signal.SIGCONT)
    done = command.wait()
    ended_well(done, scenario, data)
    if point in ("recorded", "read"):
        assert done.code == 130, str(done)
    if POINTS.index(point) >= ENDED:  # just before it, the signal may come too late
        assert done.code == 0, str(done)
    assert find_unsound(data) == []
