"""Ctrl-C: the first one cancels, a second one is told to wait, a third one leaves at once.

Leaving at once is safe at any moment: the next command that opens DATA clears up after a dead import (design.md, "Take
over"). Signals that end a process politely (SIGTERM, and SIGHUP of a closed terminal) cancel like the first Ctrl-C.

A terminal sends Ctrl-C to the reader processes as well. The signals are therefore blocked in the main thread while
imports run, which children inherit from their first instruction on. A thread of its own lets them in, and answers also
while the main thread is deep in a call that looks at nothing; signals that another thread gets (a library's, from
before) reach it through python's wakeup descriptor.
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

_SHOW_CURSOR: Final = "\x1b[?25h"
_END: Final = b"\0"
"""No signal has the number 0."""


def _ignore_signal(_number: int, _frame: FrameType | None) -> None:
    """The handler in the main thread has nothing to do: the number went through the descriptor already."""


IMPORTING: Final = (
    "Cancelling: what is not yet in place is cleared away ...",
    "Still clearing away; Ctrl-C once more leaves at once, and the next command clears up.",
)


class Interrupt:
    """Holds the signals while its body runs; `cancelled` is what the engine looks at. Main thread only.

    `words`: what is said after the first Ctrl-C, and after the second.
    """

    def __init__(self, words: tuple[str, str] = IMPORTING) -> None:
        self._words = words
        self.cancelled = threading.Event()
        self.live = False
        """True while a live display owns the terminal: it says itself that the import is being cancelled."""
        self._count = 0
        self._before: dict[int, Any] = {}
        self._mask: set[signal.Signals | int] = set()
        self._wakeup = -1
        self._pipe = (-1, -1)
        self._waiter = threading.Thread(target=self._wait, name="signals", daemon=True)

    def __enter__(self) -> Interrupt:
        # an ignored SIGINT (a script's background job) is taken nevertheless: somebody sent it to us by name.
        # An ignored SIGHUP is nohup's, and means what it says.
        blocked_signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            blocked_signals.append(signal.SIGHUP)
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)  # python wants that of a wakeup descriptor
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked_signals)
        self._wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _ignore_signal) for number in blocked_signals}
        self._waiter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._pipe[1], _END)
        self._waiter.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for descriptor in self._pipe:
            os.close(descriptor)

    def _wait(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, list(self._before))
        while (number := os.read(self._pipe[0], 1)) != _END:
            if number[0] in self._before:
                self._take(number[0])

    def _take(self, number: int) -> None:
        if number != signal.SIGINT and self._count:
            return
        self._count += 1
        self.cancelled.set()
        if self._count == 1 and not self.live:
            self._write(self._words[0])
        elif self._count == 2:
            self._write(self._words[1])
        elif self._count > 2:
            if is_terminal(sys.stderr):
                with contextlib.suppress(OSError):
                    os.write(2, _SHOW_CURSOR.encode())
            os._exit(130)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"\n{text}\n".encode() if self.live else f"{text}\n".encode())
