"""A small acceptor of DICOM associations for tests: keeps what comes in memory, listens on the loopback in threads."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scandock.dimse.association import serve_association
from scandock.dimse.objects import ObjectError, encode_meta, study_of
from scandock.dimse.records import (
    STORED,
    Admitted,
    Answer,
    Association,
    AssociationRequest,
    CommitmentAnswer,
    CommitmentRequest,
    Deadlines,
    End,
    Peer,
    ReceivedObject,
    Rejected,
    StoreRequest,
    WireLimits,
)

QUICK = Deadlines(handshake=0.3, request=0.3, silence=0.3, between=0.6, close=0.2, report=0.05)
"""For tests of what is not in time."""
PATIENT = Deadlines(close=0.2, report=0.05)


class InMemory:
    """A large file that is none."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = 0

    def write(self, data: memoryview) -> None:
        self.data += data

    def close(self) -> None:
        self.closed += 1


@dataclass
class Keeper:
    """Keeps all objects whose header fits their command; `decide` answers requests for commitment."""

    admits: Callable[[AssociationRequest], Admitted | Rejected] = lambda _: Admitted(commitment=True)
    decide: Callable[[CommitmentRequest], CommitmentAnswer] = lambda _: CommitmentAnswer(Answer())
    checks: bool = True
    large: Callable[[], InMemory] = InMemory
    answers: Callable[[Sequence[Answer]], Sequence[Answer]] = lambda answers: answers
    objects: list[tuple[StoreRequest, bytes]] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    requests: list[AssociationRequest] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)
    larges: list[InMemory] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    reports: list[tuple[str, int | None]] = field(default_factory=list)
    commitments: list[CommitmentRequest] = field(default_factory=list)
    ended: threading.Condition = field(default_factory=threading.Condition)

    def admit(self, request: AssociationRequest) -> Admitted | Rejected:
        self.requests.append(request)
        return self.admits(request)

    def begin(self, association: Association) -> None:
        self.associations.append(association)

    def open_large(self, association: Association, request: StoreRequest) -> InMemory:
        file = self.large()
        self.larges.append(file)
        return file

    def append(self, association: Association, obj: ReceivedObject) -> Answer:
        data = bytes(obj.data) if isinstance(obj.data, memoryview) else bytes(obj.data.data)  # type: ignore[attr-defined]
        assert len(data) == obj.size
        meta = encode_meta(obj.request, association.request)
        if self.checks:
            try:
                study_of(obj.request, meta, data[:4096], len(data), lambda count: data[:count])
            except ObjectError as error:
                return error.answer
        self.objects.append((obj.request, data))
        self.files.append(meta + data)
        return STORED

    def settle(self, association: Association, pending: Sequence[Answer]) -> Sequence[Answer]:
        self.batches.append(len(pending))
        return self.answers(pending)

    def refused(self, association: Association, request: StoreRequest, answer: Answer) -> None:
        self.refusals.append(answer)

    def commit(self, association: Association, request: CommitmentRequest) -> CommitmentAnswer:
        self.commitments.append(request)
        return self.decide(request)

    def reported(self, association: Association, transaction: str, status: int | None) -> None:
        self.reports.append((transaction, status))

    def fault(self, association: Association, error: Exception) -> None:
        self.faults.append(error)

    def released(self, association: Association) -> None:
        self._end("released")

    def aborted(self, association: Association, why: End) -> None:
        self._end(str(why))

    def failed(self, peer: Peer, why: End) -> None:
        self._end(f"no association: {why}")

    def _end(self, text: str) -> None:
        with self.ended:
            self.ends.append(text)
            self.ended.notify_all()

    def wait(self, count: int = 1) -> list[str]:
        """How associations ended, once `count` have."""
        with self.ended:
            assert self.ended.wait_for(lambda: len(self.ends) >= count, 20), self.ends
            return self.ends


@contextlib.contextmanager
def listening(
    keeper: Keeper,
    *,
    tls: ssl.SSLContext | None = None,
    deadlines: Deadlines = PATIENT,
    limits: WireLimits = WireLimits(),  # noqa: B008
) -> Iterator[int]:
    """The port of a keeper that serves each connection in a thread of its own."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                options = {"tls": tls, "deadlines": deadlines, "limits": limits}
                thread = threading.Thread(target=serve_association, args=(connection, keeper), kwargs=options)
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for association in keeper.associations:
                association.stop()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()
