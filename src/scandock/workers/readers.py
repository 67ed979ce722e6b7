"""How the readers of an import are started: as processes, unless a test has them started otherwise."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from scandock.model.children import Child, Output, bare_environment
from scandock.model.process import python_command

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_ARENA_MAX": "1"}
"""Blocks of megabytes freed and mapped anew page-fault at each entry (docs/performance.md)."""


class RunningReader(Protocol):
    """A reader that was started, as far as its pool handles it."""

    def kill(self) -> None: ...
    def wait(self) -> int:
        """Wait for its end; its exit code, or minus the number of the signal that ended it."""
        ...


StartReader = Callable[[socket.socket, tuple[int, ...]], RunningReader]
"""Starts a reader with its end of the wire and the descriptors of the board. The end is closed by the caller after."""


def start_process(end: socket.socket, board: tuple[int, ...]) -> Child:
    """Start `scandock.workers.reader_process` as a process of its own."""
    words = python_command("scandock.workers.reader_process", str(end.fileno()))
    return Child(words, (end.fileno(), *board), output=Output.ERRORS, environment=bare_environment(MALLOC))


_start: StartReader = start_process


def start_reader(end: socket.socket, board: tuple[int, ...]) -> RunningReader:
    """Start a reader; see `StartReader`."""
    return _start(end, board)


@contextmanager
def use_reader_start(start: StartReader) -> Iterator[None]:
    """Start the readers of this process's imports with `start` within the context.

    For tests, where two processes an import would count (`scandock.testing.thread_readers`). No setting leads here.
    """
    global _start  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before
