"""Readers as threads of the test's own process: an import in a tenth of a second, for tests that run hundreds.

What a reader does is the very same (`scandock.workers.shard`); only that it is confined, dies and is buried is not.
"""

from __future__ import annotations

import os
import socket
import threading

import pytest

from scandock.workers import pool, shard
from scandock.workers.wire import Wire

_WIRES: dict[int, Wire] = {}
"""The readers' own ends, by their descriptors."""


class _Kept(Wire):
    def __init__(self, end: socket.socket) -> None:
        super().__init__(end)
        _WIRES[end.fileno()] = self


class _Thread:
    """A reader's thread, where the pool expects a process; it ends when its wire does."""

    def __init__(self, ours: socket.socket, theirs: int) -> None:
        self._ours = ours
        self._thread = threading.Thread(target=self._run, args=(theirs,), daemon=True)
        self._thread.start()

    def _run(self, theirs: int) -> None:
        try:
            shard.main(theirs, os.getpid())
        except OSError:
            pass  # it spoke to an import that had ended; a process would have been killed before
        finally:
            _WIRES.pop(theirs).close()

    def kill(self) -> None:
        self._ours.shutdown(socket.SHUT_RDWR)

    def wait(self) -> int:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return 0


def read_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let imports of this test read in threads."""

    def spawn(self: pool.Pool, index: int) -> pool._Reader:
        ours, theirs = socket.socketpair()
        reader = pool._Reader(index, _Thread(ours, theirs.detach()), Wire(ours))  # type: ignore[arg-type]
        if self._setup is not None:
            self._tell(reader, self._setup)
        return reader

    monkeypatch.setattr(pool.Pool, "_spawn", spawn)
    monkeypatch.setattr(shard, "Wire", _Kept)
    monkeypatch.setattr(shard, "_confine", lambda parent: None)
