"""Memory that many uploads of a process share while their bytes are on their way to a bucket."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakMethod, WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS: Final = 5.0
"""So long unused, a share is that of an upload which has stalled: who finds no memory has it given back."""


class MemoryBudget:
    """So many bytes, for many threads."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._changed = threading.Condition()
        self._shares: WeakSet[MemoryShare] = WeakSet()

    @property
    def free(self) -> int:
        """Bytes that nobody has."""
        return self._free

    def take(self, size: int, seconds: float, give_back: Callable[[], object] | None = None) -> MemoryShare | None:
        """A share of `size` bytes, once there are so many; None where that takes more than `seconds`.

        `give_back`, a method, is called by another thread where the share has been idle and others find none; it may
        do nothing, and must not wait.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._free >= size, seconds):
                self._free -= size
                share = MemoryShare(self, size, give_back)
                self._shares.add(share)
                return share
            shares = [share for share in self._shares if share.is_idle]
        for share in shares:  # for who comes next, this one too
            share.ask_back()
        return None

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()


class MemoryShare:
    """Bytes of a budget, until `release`; at the latest until nobody has this any more."""

    __slots__ = ("__weakref__", "_budget", "_give_back", "_size", "_used")

    def __init__(self, budget: MemoryBudget, size: int, give_back: Callable[[], object] | None) -> None:
        self._budget = budget
        self._size = size
        self._give_back = None if give_back is None else WeakMethod(give_back)
        self._used = time.monotonic()

    def use(self) -> None:
        """Note that it is in use: it is not asked back for a while."""
        self._used = time.monotonic()

    @property
    def is_idle(self) -> bool:
        return time.monotonic() - self._used >= IDLE_SECONDS

    def ask_back(self) -> None:
        """Have who has it give it back."""
        give_back = None if self._give_back is None else self._give_back()
        if give_back is not None:
            give_back()

    def release(self) -> None:
        """Give them back; done already is fine."""
        size, self._size = self._size, 0
        if size:
            self._budget._give_back(size)  # noqa: SLF001  its own

    def __del__(self) -> None:
        self.release()
