"""Unpacking, or packing, in a thread a little ahead of whoever reads: both let go of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextvars import copy_context
from queue import Queue
from threading import Event, Thread
from typing import Final

_DEPTH: Final = 4
_LEAST: Final = 128 * 1024
"""Smaller pieces are joined: passing one on costs as much as unpacking some kilobytes."""

Waiting = Queue["bytes | memoryview | BaseException | None"]


def run_ahead(chunks: Iterator[bytes | memoryview]) -> Generator[bytes | memoryview, None, None]:
    """The same bytes in the same order, and at the same place whatever `chunks` raises. They must stay valid.

    The first is given as soon as it is there, small ones behind it are joined. At most a handful of chunks are waiting.
    The thread ends when the iterator is exhausted, closed or dropped.
    """
    waiting: Waiting = Queue(_DEPTH)
    stop = Event()
    context = copy_context()  # errors in it name things as they do here
    thread = Thread(target=context.run, args=(_fill, chunks, waiting, stop), name="unpack-ahead", daemon=True)
    thread.start()
    try:
        while (chunk := waiting.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk
    finally:
        stop.set()
        while thread.is_alive():  # it may be waiting to pass one on
            while not waiting.empty():
                waiting.get()
            thread.join(0.01)


def _fill(chunks: Iterator[bytes | memoryview], waiting: Waiting, stop: Event) -> None:
    end: BaseException | None = None
    held: list[bytes | memoryview] = []
    size = _LEAST  # of the first one, so that it goes on at once
    try:
        for chunk in chunks:
            if stop.is_set():
                return
            held.append(chunk)
            size += len(chunk)
            if size >= _LEAST:
                waiting.put(chunk if len(held) == 1 else b"".join(held))
                held, size = [], 0
    except BaseException as error:  # noqa: BLE001 - raised again where the bytes are read
        end = error
    if held:
        waiting.put(b"".join(held))
    waiting.put(end)
