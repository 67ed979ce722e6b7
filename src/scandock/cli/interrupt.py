"""Ctrl-C: the first one cancels, a second one is told to wait, a third one leaves at once.

Leaving at once is safe at any moment: the next command that opens DATA clears up after a dead import (design.md, "Take
over"). Signals that end a process politely (SIGTERM, and SIGHUP of a closed terminal) cancel like the first Ctrl-C.

A terminal sends Ctrl-C to the reader processes as well. The signals are therefore blocked while imports run, which
children inherit from their first instruction on, and a thread of its own waits for them: it answers also while the
main thread is deep in a call that looks at nothing.
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


class Interrupt:
    """Holds the signals while its body runs; `cancelled` is what the engine looks at. Main thread only."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.live = False
        """True while a live display owns the terminal: it says itself that the import is being cancelled."""
        self._count = 0
        self._ended = False
        self._before: dict[int, Any] = {}
        self._mask: set[signal.Signals | int] = set()
        self._waiter = threading.Thread(target=self._wait, name="signals", daemon=True)

    def __enter__(self) -> Interrupt:
        # an ignored SIGINT (a script's background job) is taken nevertheless: somebody sent it to us by name.
        # An ignored SIGHUP is nohup's, and means what it says.
        held = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            held.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._handle) for number in held}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, held)
        self._waiter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        assert self._waiter.ident is not None
        signal.pthread_kill(self._waiter.ident, signal.SIGINT)
        self._waiter.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _wait(self) -> None:
        while True:
            number = signal.sigwait(self._before)
            if self._ended:
                return
            self._take(number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        """For a signal that another thread, older than this, got in spite of all."""
        self._take(number)

    def _take(self, number: int) -> None:
        if number != signal.SIGINT and self._count:
            return
        self._count += 1
        self.cancelled.set()
        if self._count == 1 and not self.live:
            self._write("Cancelling: what is not yet in place is cleared away ...")
        elif self._count == 2:
            self._write("Still clearing away; Ctrl-C once more leaves at once, and the next command clears up.")
        elif self._count > 2:
            if is_terminal(sys.stderr):
                with contextlib.suppress(OSError):
                    os.write(2, _SHOW_CURSOR.encode())
            os._exit(130)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"\n{text}\n".encode() if self.live else f"{text}\n".encode())
