"""One association from its connection to its end, in the thread that calls (PS3.8 section 9.2).

It reads into one buffer that is reused, never waits without a deadline, and knows neither catalog nor store: an
`Acceptor` decides who may send and keeps what is sent.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Protocol, TypeVar

from scandock.dimse.records import (
    Admitted,
    Answer,
    Association,
    AssociationRequest,
    CommitmentAnswer,
    CommitmentRequest,
    Deadlines,
    End,
    LargeFile,
    Peer,
    ReceivedObject,
    Rejected,
    StoreRequest,
    WireLimits,
)

Pending = TypeVar("Pending")


class Acceptor(Protocol[Pending]):
    """Who takes associations and objects. Called in the thread of the association; one acceptor serves many.

    After `admit` has admitted somebody, exactly one of `released` and `aborted` ends it.
    """

    def admit(self, request: AssociationRequest) -> Admitted | Rejected:
        """Whether the association is taken: titles, address, certificate, space, limits."""

    def begin(self, association: Association) -> None:
        """The association stands: contexts are negotiated, the answer is about to be sent."""

    def open_large(self, association: Association, request: StoreRequest) -> LargeFile:
        """A file for an object that is too large for memory. Raises OSError: the object gets A700."""

    def append(self, association: Association, obj: ReceivedObject) -> Pending:
        """Write an object, without waiting for the disk; what is wrong with it is for `settle` to say."""

    def settle(self, association: Association, pending: Sequence[Pending]) -> Sequence[Answer]:
        """Make all that was appended safe, and answer each. What is answered with success is on disk."""

    def refused(self, association: Association, request: StoreRequest, answer: Answer) -> None:
        """The loop itself has answered a C-STORE with a failure: the object was over a limit or no file took it."""

    def commit(self, association: Association, request: CommitmentRequest) -> CommitmentAnswer:
        """Take a request for storage commitment."""

    def reported(self, association: Association, transaction: str, status: int | None) -> None:
        """What the peer answered to a result sent on its association; None: it ended without an answer."""

    def released(self, association: Association) -> None:
        """The peer released the association."""

    def aborted(self, association: Association, why: End) -> None:
        """The association ended in another way. What was answered stays."""

    def failed(self, peer: Peer, why: End) -> None:
        """A connection ended before there was an association, and nobody was rejected."""


def serve_association(
    connection: socket.socket,
    acceptor: Acceptor[Pending],
    *,
    tls: ssl.SSLContext | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    limits: WireLimits = WireLimits(),  # noqa: B008 - frozen
) -> None:
    """Serve an accepted connection to its end, and close it. Raises nothing that a peer could bring about."""
    raise NotImplementedError  # the next commit
