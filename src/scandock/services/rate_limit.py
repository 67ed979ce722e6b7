"""Reading no faster than is allowed, so that what is done in the background leaves the disk to others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_MIN_SECONDS: Final = 0.05
"""Seconds that are worth a pause; shorter ones add up first."""


class RateLimiter:
    """So many bytes a second; None: as fast as it goes. `wait` may return early: the rest is waited for next time."""

    def __init__(
        self,
        bytes_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.bytes_per_second = bytes_per_second
        self._clock = clock
        self._wait = wait
        self._free_at = clock()

    def spend(self, count: int) -> None:
        """These bytes were read: wait until there is room for more. What was not used earlier is not saved up."""
        if self.bytes_per_second is None:
            return
        now = self._clock()
        self._free_at = max(self._free_at, now) + count / self.bytes_per_second
        if self._free_at - now >= _MIN_SECONDS:
            self._wait(self._free_at - now)
