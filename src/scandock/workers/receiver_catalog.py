"""What the receiver process asks of the catalog: a worker answers, so that this process carries no database.

The supervisor holds both ends of a pair of sockets, of which the receiver process and the worker have one each and that
outlive both. For a connection the receiver process makes another pair, and sends one end of it through the first; a
worker takes it from there (`receiver_catalog_thread.py`), the next one where this one has died.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scandock.model.errors import Fault
from scandock.model.reception import AssociationOutcome
from scandock.queue.owner import this_owner
from scandock.queue.tokens import new_uuid
from scandock.workers.errors import WorkerAway
from scandock.workers.record_wire import from_plain, to_plain
from scandock.workers.wire import Wire

if TYPE_CHECKING:
    from scandock.dimse.records import CommitmentAnswer, CommitmentRequest
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.model.receivers import Receiver
    from scandock.model.reception import CloseReason, StudyWish
    from scandock.model.verdicts import ImportState
    from scandock.services.received_records import (
        AssociationLine,
        LeftStudy,
        ReceiverListening,
        StudyProgress,
        StudySender,
    )

ANSWER_SECONDS: Final = 20.0
"""For an answer; a worker that dies is started again meanwhile."""
AGAIN_SECONDS: Final = 0.1
"""After which a call that lost its worker is made again."""
UNSURE_SECONDS: Final = 180.0
"""After which an upload that may have been begun is forgotten once more: its call may have waited for the catalog."""
_NOT_BEGUN: Final = frozenset({"receiver_unfit", "disk_full"})
"""Faults for which surely nothing was begun."""
MAX_FREE: Final = 4
"""Connections that are kept for the next calls."""
_DONE: Final = "done"
_FAULT: Final = "fault"

Answer = TypeVar("Answer")


class ReceiverCatalog:
    """`services.received_studies.ReceivedStudies` as the receiver process has it; may be used by all its threads."""

    def __init__(self, worker: socket.socket) -> None:
        """`worker`: our end of the supervisor's pair."""
        self._worker = worker
        self._owner = this_owner().encode()
        self._lock = threading.Lock()
        self._free: list[Wire] = []
        self._rows: dict[int, int] = {}
        """Rows of the associations that are open, by their numbers."""
        self._unsure_lines: set[int] = set()
        """Associations that may have been written, though nobody said so."""
        self._unsure_uploads: list[tuple[float, str]] = []
        """Uploads that may have been begun, though nobody said so, and when to forget each."""
        self._ended = threading.Event()

    def list_receivers(self) -> list[Receiver]:
        return cast("list[Receiver]", self._call("list_receivers"))

    def is_anything_private(self) -> bool:
        return bool(self._call("is_anything_private"))

    def changes_objects(self, receiver: Receiver) -> bool:
        return bool(self._call("changes_objects", receiver, again=True))

    def begin(self, receiver: Receiver, sender: StudySender) -> IncomingUpload:
        uuid = new_uuid()
        try:
            return cast("IncomingUpload", self._call("begin", receiver, sender, uuid, again=True))
        except Exception as error:
            if not isinstance(error, Fault) or error.code not in _NOT_BEGUN:
                now = time.monotonic()
                with self._lock:
                    self._unsure_uploads += [(now, uuid), (now + UNSURE_SECONDS, uuid)]
            raise

    def accept(
        self, incoming: IncomingUpload, size: int, objects: int, sender: StudySender, reason: CloseReason
    ) -> bool:
        return bool(self._call("accept", incoming, size, objects, sender, reason))

    def read_state(self, incoming: IncomingUpload) -> ImportState | None:
        return cast("ImportState | None", self._call("read_state", incoming))

    def discard(self, incoming: IncomingUpload) -> None:
        self._call("discard", incoming)

    def discard_spool(self, incoming: IncomingUpload) -> None:
        self._call("discard_spool", incoming)

    def find_left(self) -> tuple[list[LeftStudy], bool]:
        return cast("tuple[list[LeftStudy], bool]", self._call("find_left"))

    def take_over(self, left: LeftStudy) -> bool:
        return bool(self._call("take_over", left, again=True))

    def read_wishes(self) -> dict[int, StudyWish]:
        self._forget_unsure()
        return cast("dict[int, StudyWish]", self._call("read_wishes"))

    def write_progress(self, studies: Iterable[StudyProgress]) -> list[int]:
        progress = list(studies)
        return cast("list[int]", self._call("write_progress", progress)) if progress else []

    def write_associations(self, lines: Iterable[AssociationLine]) -> None:
        associations = list(lines)
        if not associations:
            return
        for line in associations:
            line.row = self._rows.get(line.number)
            line.is_unsure = line.number in self._unsure_lines
        try:
            self._rows |= cast("dict[int, int]", self._call("write_associations", associations))
        except WorkerAway:
            self._unsure_lines |= {line.number for line in associations if line.row is None}
            raise
        self._unsure_lines -= {line.number for line in associations}
        for line in associations:
            if line.outcome is not AssociationOutcome.OPEN:
                del self._rows[line.number]

    def last_number(self) -> int:
        return int(self._call("last_number", again=True))

    def end_left_associations(self) -> None:
        self._call("end_left_associations")

    def write_states(self, states: Iterable[ReceiverListening]) -> None:
        self._call("write_states", list(states))

    def commit(self, receiver: Receiver, peer: str, address: str, request: CommitmentRequest) -> CommitmentAnswer:
        return cast("CommitmentAnswer", self._call("commit", receiver, peer, address, request))

    def note_report(self, peer: str, transaction: str, status: int | None) -> None:
        self._call("note_report", peer, transaction, status, again=True)

    def close(self) -> None:
        """Make no more calls."""
        self._ended.set()
        with self._lock:
            free, self._free = self._free, []
        for wire in free:
            wire.close()
        self._worker.close()

    def _forget_unsure(self) -> None:
        with self._lock:
            now = time.monotonic()
            due = [one for one in self._unsure_uploads if one[0] <= now]
        for one in due:
            self._call("forget", one[1])
            with self._lock:
                self._unsure_uploads.remove(one)

    def _call(self, name: str, *arguments: Any, again: bool = False) -> Any:  # noqa: ANN401  each call has its own
        """What a call answers; `again`: it may be made again where its worker dies. Raises Fault."""
        deadline = time.monotonic() + ANSWER_SECONDS
        message = (name, [to_plain(argument) for argument in arguments])
        while True:
            answer = self._ask(message, deadline)
            if answer is not None:
                kind, content = answer
                if kind == _DONE:
                    return from_plain(content)
                if kind == _FAULT:
                    raise Fault(*content)
                raise RuntimeError(f"{name} failed in the worker: {content}")
            if not again or time.monotonic() >= deadline or self._ended.wait(AGAIN_SECONDS):
                raise WorkerAway

    def _ask(self, message: tuple[Any, ...], deadline: float) -> tuple[Any, ...] | None:
        """The answer; None where there is none."""
        wire = None
        with contextlib.suppress(OSError):
            wire = self._take()
            wire.end.settimeout(max(deadline - time.monotonic(), AGAIN_SECONDS))
            wire.send(message)
            answer = wire.receive()
            if answer is not None:
                self._give_back(wire)
                return answer
        if wire is not None:
            wire.close()
        return None

    def _take(self) -> Wire:
        """A connection that the worker has not ended. Raises OSError."""
        while True:
            with self._lock:
                wire = self._free.pop() if self._free else None
            if wire is None:
                return self._connect()
            if not has_ended(wire.end):
                return wire
            wire.close()

    def _connect(self) -> Wire:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._worker, [self._owner], [theirs.fileno()], socket.MSG_DONTWAIT)
            except BaseException:
                ours.close()
                raise
        return Wire(ours)

    def _give_back(self, wire: Wire) -> None:
        with self._lock:
            if len(self._free) < MAX_FREE and not self._ended.is_set():
                self._free.append(wire)
                return
        wire.close()


def has_ended(end: socket.socket) -> bool:
    """Whether the other side of a connection is gone, of whom nothing more is to be read."""
    poll = select.poll()
    poll.register(end, select.POLLIN)
    try:
        return bool(poll.poll(0)) and not end.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def answer_call(call: Callable[[], Answer]) -> tuple[Any, ...]:
    """What is sent back of a call: what it answers, or the fault that it raised. Raises what else it raised."""
    try:
        return _DONE, to_plain(call())
    except Fault as fault:
        return _FAULT, (fault.code, fault.message, fault.remedy)
