"""Threads of a worker that take turns: they wait as long as a turn says, come when called, and bear what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from scandock.model.errors import Fault
from scandock.workers.turns import TurnThread

LONG = 3_600.0


class Counted(TurnThread):
    """Takes its turns from a list of what is to be done in each."""

    def __init__(self, *doings: Callable[[], float], first: float = 0.0) -> None:
        super().__init__("counted", structlog.get_logger(), "not counted", first=first, retry=0.0)
        self.doings = iter(doings)
        self.taken = threading.Semaphore(0)
        self.closed = False

    def _turn(self) -> float:
        doing = next(self.doings)
        self.taken.release()
        return doing()

    def _close(self) -> None:
        self.closed = True


def test_a_turn_says_when_the_next_one_is_and_a_call_brings_it_forward() -> None:
    thread = Counted(lambda: 0.0, lambda: LONG, lambda: LONG)
    thread.start()
    assert thread.taken.acquire(timeout=20)
    assert thread.taken.acquire(timeout=20)
    assert not thread.taken.acquire(blocking=False)
    thread.call()
    assert thread.taken.acquire(timeout=20)
    thread.end()
    assert thread.closed


def test_the_first_turn_may_wait_and_an_end_is_one_all_the_same() -> None:
    thread = Counted(first=LONG)
    thread.start()
    thread.end()
    assert thread.closed
    assert not thread.taken.acquire(blocking=False)


@pytest.mark.parametrize(
    ("error", "level", "facts"),
    [
        (Fault("odd_fault", "Something odd."), "warning", {"code": "odd_fault", "why": None}),
        (ValueError("MARK of a patient"), "error", {}),
    ],
)
def test_whatever_goes_wrong_there_is_a_next_turn(error: Exception, level: str, facts: dict[str, Any]) -> None:
    def fail() -> float:
        raise error

    with capture_logs() as logged:
        thread = Counted(fail, lambda: LONG)
        thread.start()
        assert thread.taken.acquire(timeout=20)
        assert thread.taken.acquire(timeout=20)
        thread.end()
    (line,) = logged
    assert (line["event"], line["log_level"]) == ("not counted", level)
    assert {name: line[name] for name in facts} == facts
