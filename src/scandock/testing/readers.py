"""Readers as threads of the test's own process: an import takes milliseconds instead of starting two processes.

What a reader does is the very same (`scandock.workers.reader_process.serve`); that it is confined, dies and is replaced
is not.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import AbstractContextManager

from scandock.workers.reader_process import serve
from scandock.workers.readers import use_reader_start
from scandock.workers.wire import Wire

END_SECONDS = 60.0


class _ReaderThread:
    """Runs where the pool expects a process; it ends once its wire does."""

    server_died = False

    def __init__(self, connection: socket.socket) -> None:
        self._end = connection
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # Its import may have ended by an error meanwhile: a process would have been killed before it could notice.
        with self._end, contextlib.suppress(OSError):
            serve(Wire(self._end))

    def kill(self) -> None:
        with contextlib.suppress(OSError):  # it has ended, and closed its end
            self._end.shutdown(socket.SHUT_RDWR)

    def wait(self) -> int:
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError(f"A reader's thread has not ended within {END_SECONDS:.0f} seconds.")
        return 0


def thread_readers() -> AbstractContextManager[None]:
    """Let imports of this process read in threads within the context."""
    return use_reader_start(lambda end, _: _ReaderThread(end.dup()))
