from __future__ import annotations

import pytest

from scandock.queue.claim import SlotUsage
from scandock.queue.retry import LONGEST_OUTAGE_WAIT, outage_wait, outage_waited, wait_seconds


@pytest.mark.parametrize(
    ("slots", "only_small"),
    [
        (SlotUsage(1), False),
        (SlotUsage(2), False),
        (SlotUsage(2, 1, 0), False),
        (SlotUsage(2, 1, 1), True),
        (SlotUsage(4, 2, 2), False),
        (SlotUsage(4, 3, 3), True),
    ],
)
def test_the_last_slot_is_kept_for_small_imports(slots, only_small):
    assert slots.only_small is only_small


def test_each_wait_is_longer_than_the_one_before_and_then_the_same():
    waits = [wait_seconds(attempt) for attempt in range(6)]
    assert waits == sorted(waits)
    assert waits[1] < waits[2] == waits[5]


def test_outages_are_waited_for_twice_as_long_each_time_up_to_ten_minutes():
    waits = [outage_wait(outages) for outages in range(9)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    assert outage_wait(10**6) == LONGEST_OUTAGE_WAIT == 600
    assert [outage_waited(outages) for outages in (0, 1, 3, 9)] == [0, 5, 35, sum(waits)]
