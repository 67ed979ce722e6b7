"""Reading no faster than is allowed, with a clock of its own."""

from __future__ import annotations

from scandock.services.rate_limit import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.at = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += seconds


def test_what_was_not_used_is_not_saved_up() -> None:
    clock = Clock()
    pace = RateLimiter(100, clock=clock, wait=clock.wait)
    clock.at += 3600.0
    pace.spend(100)
    pace.spend(200)
    assert clock.waits == [1.0, 2.0]


def test_what_is_too_little_for_a_pause_adds_up() -> None:
    clock = Clock()
    pace = RateLimiter(1000, clock=clock, wait=clock.wait)
    for _ in range(5):
        pace.spend(10)
    assert len(clock.waits) == 1
    assert round(clock.at, 6) == 0.05


def test_a_pause_that_is_cut_short_is_waited_for_next_time() -> None:
    clock = Clock()
    waits: list[float] = []
    pace = RateLimiter(100, clock=clock, wait=waits.append)
    pace.spend(100)
    pace.spend(100)
    assert waits == [1.0, 2.0]


def test_without_a_limit_nothing_is_waited_for() -> None:
    clock = Clock()
    RateLimiter(None, clock=clock, wait=clock.wait).spend(10**12)
    assert clock.waits == []
