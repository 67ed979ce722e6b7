"""What carries the news that an upload waits: embedded beside SQLite, Procrastinate on PostgreSQL; one behaviour.

An engine's message is leave to claim one import, and no more: which one that is, and that nobody else has it, is the
lease's to say (`claim.py`). So a message that is lost costs a second (the worker looks by itself), a doubled one a
look.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Protocol

from sqlalchemy import Connection

from scandock.catalog.engine import Catalog
from scandock.queue.wake import Listener

POLL_SECONDS = 1.0


class Slots(Protocol):
    """What a worker offers its engine."""

    size: int

    def offer(self) -> Future[bool]:
        """Claim an import as soon as a slot is free, and run it. Done when it has ended; False where none waited."""

    def look(self) -> None:
        """Let every free slot look for something to claim."""


class Engine(Protocol):
    """Brings what is enqueued to the workers."""

    def prepare(self) -> None:
        """Make what the engine needs in the database; idempotent, beside other processes too."""

    def defer(self, connection: Connection, upload_id: int) -> None:
        """Announce an upload, in effect once the caller's transaction commits."""

    def run(self, data: str, slots: Slots, stop: threading.Event) -> None:
        """Let the slots know whatever is announced, until `stop` is set and `end` called; blocks."""

    def end(self) -> None:
        """Let `run` see at once that it is to stop; from any thread, or a signal's handler."""


class EmbeddedEngine:
    """The catalog itself is the queue; a notice wakes its worker (`wake.py`)."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        """Of the workers of this process: one, but for tests."""

    def prepare(self) -> None:
        """Nothing is needed."""

    def defer(self, connection: Connection, upload_id: int) -> None:
        """The row is the message."""

    def run(self, data: str, slots: Slots, stop: threading.Event) -> None:
        with Listener(data) as listener:
            self._listeners.append(listener)
            try:
                slots.look()
                while not stop.is_set():
                    listener.wait(POLL_SECONDS)
                    slots.look()
            finally:
                self._listeners.remove(listener)

    def end(self) -> None:
        for listener in list(self._listeners):
            listener.end()


_ENGINES: dict[str, Engine] = {}
_LOCK = threading.Lock()


def engine_of(catalog: Catalog) -> Engine:
    """The engine that belongs to a catalog's database, prepared; one for each database and process."""
    url = catalog.engine.url.render_as_string(hide_password=False)
    with _LOCK:
        engine = _ENGINES.get(url)
        if engine is None:
            engine = _ENGINES[url] = _make(catalog, url)
            engine.prepare()
        return engine


def _make(catalog: Catalog, url: str) -> Engine:
    if catalog.sqlite:
        return EmbeddedEngine()
    from scandock.queue.procrastinate_engine import ProcrastinateEngine

    return ProcrastinateEngine(url)
