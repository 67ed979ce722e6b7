"""A child that dies is started again, later each time it dies early."""

from __future__ import annotations

import sys

import pytest
import structlog

from scandock.workers.supervised import LIVED_SECONDS, LONGEST_WAIT, Supervised, back_off


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def child(clock, code):
    made = Supervised("it", [sys.executable, "-c", code], structlog.get_logger(), clock=clock)
    made.start()
    return made


def died(one):
    one.process.wait()
    one.look()


def test_waits_double_up_to_the_longest():
    waits = [back_off(early) for early in range(12)]
    assert waits[0] == 0
    assert waits[2] == 2 * waits[1]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT


def test_one_that_dies_early_is_started_when_it_is_due(clock):
    one = child(clock, "raise SystemExit(3)")
    died(one)
    assert not one.running
    assert one.due == pytest.approx(clock.now + back_off(1))
    one.look()
    assert not one.running
    clock.now = one.due
    one.look()
    assert one.running
    assert one.due is None
    died(one)
    assert one.due == pytest.approx(clock.now + back_off(2))


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
