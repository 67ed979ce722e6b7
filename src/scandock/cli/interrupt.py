"""Ctrl-C: the first one cancels, a second one is told to wait, a third one leaves at once.

Leaving at once is safe at any moment: the next command that opens DATA clears up after a dead import (design.md, "Take
over"). Signals that end a process politely (SIGTERM, and SIGHUP of a closed terminal) cancel like the first Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Final

from scandock.cli.consoles import is_terminal

_POLITE: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR: Final = "\x1b[?25h"


class Interrupt:
    """Holds the signals while imports run; `cancelled` is what the engine looks at.

    Handlers run between two byte codes of the main thread, so they take no lock and call no rich: the live display
    looks at `cancelled` itself, and lines are written to the descriptor.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.live = False
        """True while a live display owns the terminal: it says itself that the import is being cancelled."""
        self._count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in _POLITE:
            if signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup and background jobs: who started us has decided
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT and self._count:
            return
        self._count += 1
        self.cancelled.set()
        if self._count == 1:
            self._write("Cancelling: what is not yet in place is cleared away ...")
        elif self._count == 2:
            self._write("Still clearing away; Ctrl-C once more leaves at once, and the next command clears up.")
        else:
            if is_terminal(sys.stderr):
                with contextlib.suppress(OSError):
                    os.write(2, _SHOW_CURSOR.encode())
            os._exit(130)

    def _write(self, text: str) -> None:
        if self.live and self._count == 1:
            return
        with contextlib.suppress(OSError):
            os.write(2, f"\n{text}\n".encode() if self.live else f"{text}\n".encode())
