from __future__ import annotations

import pytest

from scandock.queue.claim import Slots
from scandock.queue.retry import wait_seconds


@pytest.mark.parametrize(
    ("slots", "only_small"),
    [
        (Slots(1), False),
        (Slots(2), False),
        (Slots(2, 1, 0), False),
        (Slots(2, 1, 1), True),
        (Slots(4, 2, 2), False),
        (Slots(4, 3, 3), True),
    ],
)
def test_the_last_slot_is_kept_for_small_imports(slots, only_small):
    assert slots.only_small is only_small


def test_each_wait_is_longer_than_the_one_before_and_then_the_same():
    waits = [wait_seconds(attempt) for attempt in range(6)]
    assert waits == sorted(waits)
    assert waits[1] < waits[2] == waits[5]
