"""Memory that many uploads of a process share while their bytes are on their way to a bucket."""

from __future__ import annotations

import threading


class MemoryBudget:
    """So many bytes, for many threads."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        """Bytes that nobody has."""
        return self._free

    def take(self, size: int, seconds: float) -> MemoryShare | None:
        """A share of `size` bytes, once there are so many; None where that takes more than `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= size, seconds):
                return None
            self._free -= size
        return MemoryShare(self, size)

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()


class MemoryShare:
    """Bytes of a budget, until `release`; at the latest until nobody has this any more."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self._budget = budget
        self._size = size

    def release(self) -> None:
        """Give them back; done already is fine."""
        size, self._size = self._size, 0
        if size:
            self._budget._give_back(size)  # noqa: SLF001  its own

    def __del__(self) -> None:
        self.release()
