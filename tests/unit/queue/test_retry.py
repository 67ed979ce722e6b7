"""How long an import waits before it is tried again."""

from __future__ import annotations

from scandock.queue.retry import outage_wait, outage_waited, wait_seconds


def test_lost_attempts_are_tried_again_soon_and_then_later() -> None:
    assert [wait_seconds(attempt) for attempt in (1, 2, 3)] == [5, 60, 60]


def test_each_wait_for_the_machine_is_twice_the_one_before_and_none_longer_than_ten_minutes() -> None:
    assert [outage_wait(outages) for outages in (0, 1, 2, 6, 7, 8, 1000)] == [5, 10, 20, 320, 600, 600, 600]


def test_all_waits_together_are_counted() -> None:
    assert [outage_waited(outages) for outages in (0, 1, 2, 8)] == [0, 5, 15, 5 + 10 + 20 + 40 + 80 + 160 + 320 + 600]
