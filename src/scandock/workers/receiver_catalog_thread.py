"""A worker's threads that answer what the receiver process asks of the catalog (`receiver_catalog.py`).

A receiver process that died may have asked for something that nobody has answered yet. It is not done any more; and
before the next process is told what that one has left, what was being done for it has ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from scandock.model.readiness import wait_readable
from scandock.queue.owner import add_catalog, has_ended
from scandock.services.logs import error_code, error_location
from scandock.services.received_records import CallerGone
from scandock.services.received_studies import ReceivedStudies
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.workers.errors import WorkerAway
from scandock.workers.receiver_catalog import answer_call
from scandock.workers.receiver_catalog import has_ended as is_closed
from scandock.workers.record_wire import from_plain
from scandock.workers.wire import Wire

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

CALLS: Final = frozenset(
    {
        "list_receivers", "is_anything_private", "changes_objects", "begin", "forget", "accept", "read_state",
        "discard", "discard_spool", "find_left", "take_over", "read_wishes", "write_progress", "write_associations",
        "end_left_associations", "last_number", "write_states", "commit", "note_report",
    }
)  # fmt: skip
"""Methods of `ReceivedStudies` that may be called."""
END_SECONDS: Final = 10.0
"""For calls of a process that is gone, or of one that goes on when the worker ends."""
_MAX_OWNER: Final = 4_096


class ReceiverCatalogThread:
    """Runs from `start` to `end`; a thread for each connection of the receiver process."""

    def __init__(
        self,
        receiver: socket.socket,
        catalog: Catalog,
        store: Store,
        settings: Settings,
        log: FilteringBoundLogger,
    ) -> None:
        """`receiver`: our end of the supervisor's pair, which stays open."""
        self._receiver = receiver
        self._catalog = catalog
        self._store = store
        self._limits = receiving_limits(settings)
        self._log = log
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, tuple[str, socket.socket]] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="receiver catalog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Take no more calls; those that are under way are answered."""
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        os.close(self._wake)
        with self._lock:
            connections = dict(self._connections)
        for _, end in connections.values():
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
        for thread in connections:
            thread.join(END_SECONDS)

    def _run(self) -> None:
        while True:
            if self._wake in wait_readable([self._receiver.fileno(), self._wake]):
                return
            with contextlib.suppress(OSError):
                owner, fds, _, _ = socket.recv_fds(self._receiver, _MAX_OWNER, 1, socket.MSG_DONTWAIT)
                if fds:
                    self._take(owner.decode(), socket.socket(fileno=fds[0]))

    def _take(self, owner: str, end: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(owner, end), name="receiver calls", daemon=True)
        with self._lock:
            self._connections[thread] = (owner, end)
        try:
            thread.start()
        except RuntimeError:  # the system has no room for another thread: who asks is told by the end
            with self._lock:
                del self._connections[thread]
            end.close()

    def _serve(self, owner: str, end: socket.socket) -> None:
        wire = Wire(end)
        try:
            rows = self._rows_of(owner, end)
            while (message := wire.receive()) is not None:
                if is_closed(end) or has_ended(owner):  # nobody waits for it any more
                    return
                wire.send(self._answer(rows, owner, *message))
        except (OSError, CallerGone):
            pass
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]
            wire.close()

    def _rows_of(self, owner: str, end: socket.socket) -> ReceivedStudies:
        owner = add_catalog(owner, place=self._catalog.place, host=self._catalog.host)
        receiving = UploadReceiver(self._catalog, self._store, self._limits, owner)
        return ReceivedStudies(self._catalog, receiving, owner, lambda: not _has_hung_up(end))

    def _answer(self, rows: ReceivedStudies, owner: str, name: str, arguments: list[Any]) -> tuple[Any, ...]:
        try:
            return answer_call(lambda: self._call(rows, owner, name, arguments))
        except CallerGone:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, who asks is told that it failed
            self._log.error("receiver's call failed", call=name, code=error_code(error), where=error_location(error))
            return "failed", type(error).__name__

    def _call(self, rows: ReceivedStudies, owner: str, name: str, arguments: list[Any]) -> Any:  # noqa: ANN401
        if name not in CALLS:
            raise ValueError("a call of something else")
        if name == "find_left":
            self._wait_for_others(owner)
        return getattr(rows, name)(*map(from_plain, arguments))

    def _wait_for_others(self, owner: str) -> None:
        """Let what earlier processes have asked for end: they may yet begin a study. Raises WorkerAway."""
        with self._lock:
            others = [thread for thread, (other, _) in self._connections.items() if other != owner]
        for thread in others:
            thread.join(END_SECONDS)
        if any(thread.is_alive() for thread in others):
            raise WorkerAway


def _has_hung_up(end: socket.socket) -> bool:
    """Whether the other side of a connection is gone; no where only this one takes no more calls."""
    poll = select.poll()
    poll.register(end, 0)
    return bool(poll.poll(0))
