"""A thread that does one thing every few seconds and nothing else, so that nothing slow keeps it from that."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ticker:
    """Calls `tick` every `seconds`, the first time after as long, from `start` to `end`; it has to bear its errors."""

    def __init__(self, name: str, seconds: float, tick: Callable[[], object]) -> None:
        self._seconds = seconds
        self._tick = tick
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tick no more; a tick that is under way is not waited for."""
        self._ended.set()

    def end(self) -> None:
        """Tick no more; returns when the last tick has."""
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._tick()
