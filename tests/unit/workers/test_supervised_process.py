"""A child that dies is started again, later each time it dies early."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import structlog

from scandock.workers.liveness import HUNG_SECONDS, MISSED_SECONDS, WorkerLiveness
from scandock.workers.supervised_process import LIVED_SECONDS, LONGEST_WAIT, SupervisedProcess, restart_delay


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def child(clock, code):
    made = SupervisedProcess("it", [sys.executable, "-c", code], structlog.get_logger(), clock=clock)
    made.start()
    return made


def died(one):
    one.process.wait()
    one.look()


@pytest.fixture
def liveness(clock):
    made = WorkerLiveness.make(clock)
    yield made
    made.close()


def pass_time(clock, one, seconds, each=lambda: None):
    for _ in range(seconds):
        clock.now += 1
        each()
        one.look()


def hanging(clock, liveness):
    code = "import time; time.sleep(600)"
    made = SupervisedProcess("it", [sys.executable, "-c", code], structlog.get_logger(), clock=clock, liveness=liveness)
    made.start()
    liveness.beat()
    return made


def test_one_that_hangs_is_killed_and_started_again(clock, liveness):
    one = hanging(clock, liveness)
    try:
        first = one.process
        os.kill(first.pid, signal.SIGSTOP)
        pass_time(clock, one, int(HUNG_SECONDS))
        assert one.process is first
        pass_time(clock, one, 2)
        assert first.wait() == -signal.SIGKILL
        one.look()
        assert one.running
        assert one.process is not first
        assert liveness.last() == 0
    finally:
        one.stop(signal.SIGKILL)
        died(one)


def test_one_that_beats_is_left_alone_however_long_it_takes(clock, liveness):
    one = hanging(clock, liveness)
    try:
        first = one.process
        pass_time(clock, one, 300, liveness.beat)
        clock.now += 1000  # the machine, or the supervisor, was stopped: it may not judge by that
        one.look()
        pass_time(clock, one, int(HUNG_SECONDS) - 1)
        assert one.process is first
        assert first.poll() is None
    finally:
        one.stop(signal.SIGKILL)
        died(one)


def test_whoever_asks_hears_what_is_the_matter(clock, liveness):
    other = WorkerLiveness(os.dup(liveness.fd), clock)
    assert other.trouble() == "no worker listens"
    liveness.beat()
    assert other.trouble() == "no worker listens"  # it lives, and is not ready
    liveness.say(ready=True)
    assert other.trouble() == ""
    clock.now += MISSED_SECONDS + 2
    assert other.trouble() == "the worker was not heard of for 7 seconds"
    liveness.clear()
    assert other.trouble() == "no worker listens"
    other.close()


def test_waits_double_up_to_the_longest():
    waits = [restart_delay(early) for early in range(12)]
    assert waits[0] == 0
    assert waits[2] == 2 * waits[1]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT


def test_one_that_dies_early_is_started_when_it_is_due(clock):
    one = child(clock, "raise SystemExit(3)")
    died(one)
    assert not one.running
    assert one.due == pytest.approx(clock.now + restart_delay(1))
    one.look()
    assert not one.running
    clock.now = one.due
    one.look()
    assert one.running
    assert one.due is None
    died(one)
    assert one.due == pytest.approx(clock.now + restart_delay(2))


def test_one_that_lived_is_started_at_once(clock):
    one = child(clock, "pass")
    clock.now += LIVED_SECONDS
    died(one)
    assert one.running
    one.stop()
    died(one)


def test_one_that_was_told_to_end_is_left_alone(clock):
    one = child(clock, "import time; time.sleep(60)")
    one.stop()
    died(one)
    assert (one.running, one.due) == (False, None)
    clock.now += 1000
    one.look()
    assert not one.running
