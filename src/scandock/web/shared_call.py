"""Looking at what may hang: one thread at a time does, and whoever asks meanwhile shares what it finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SECONDS: Final = 5.0
"""For which a look is waited for, from its beginning on."""


class StillRunning(Exception):
    """A look has not ended within `SECONDS`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        """Since it began."""


class SharedCall(Generic[T]):
    """A look that has one thread of its own: however many ask, and however long it hangs, no more than that waits."""

    def __init__(
        self, name: str, clock: Callable[[], float] = time.monotonic, *, begin: Callable[[], None] | None = None
    ) -> None:
        """`begin` is called first in the thread."""
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, name, initializer=begin)
        self._running: Future[T] | None = None
        self._began = 0.0

    async def ask(self, call: Callable[[], T]) -> T:
        """What the look that is under way finds, else what `call` does. StillRunning."""
        if self._running is None or self._running.done():
            self._began = self._clock()
            self._running = self._thread.submit(call)
        running = self._running
        remaining = max(0.0, self._began + SECONDS - self._clock())
        await asyncio.wait([asyncio.wrap_future(running)], timeout=remaining)
        if not running.done():
            raise StillRunning(self._clock() - self._began)
        return running.result()

    def close(self) -> None:
        """Wait for no look that hangs."""
        self._thread.shutdown(wait=False, cancel_futures=True)
