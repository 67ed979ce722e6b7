"""The engines: embedded beside SQLite, Procrastinate on PostgreSQL; one behaviour (`engine.py`)."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from scandock.catalog.engine import Catalog
from scandock.queue.engine import POLL_SECONDS, QueueEngine, WorkerSlots
from scandock.queue.notify import NotifyListener


class EmbeddedEngine:
    """The catalog itself is the queue; a notice wakes its worker (`notify.py`)."""

    def __init__(self) -> None:
        self._listeners: list[NotifyListener] = []
        """Of the workers of this process: one, but for tests."""

    def prepare(self) -> None:
        """Nothing is needed."""

    def defer(self, connection: Connection, upload_id: int) -> None:
        """The row is the message."""

    def run(self, data: str, slots: WorkerSlots, stop: threading.Event) -> None:
        with NotifyListener(data) as listener:
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


_ENGINES: dict[str, QueueEngine] = {}
_LOCK = threading.Lock()


def engine_of(catalog: Catalog) -> QueueEngine:
    """The engine that belongs to a catalog's database, prepared; one for each database and process. CatalogFailed."""
    url = catalog.engine.url.render_as_string(hide_password=False)
    with _LOCK:
        engine = _ENGINES.get(url)
        if engine is None:
            engine = _make_engine(catalog, url)
            engine.prepare()
            _ENGINES[url] = engine  # not before: one that could not be prepared is made anew
        return engine


def _make_engine(catalog: Catalog, url: str) -> QueueEngine:
    if catalog.sqlite:
        return EmbeddedEngine()
    from scandock.queue.procrastinate_engine import ProcrastinateEngine

    return ProcrastinateEngine(url)
