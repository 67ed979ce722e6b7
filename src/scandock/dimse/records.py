"""What the loop of an association and its acceptor hand each other: frozen values, and the association itself."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import field
from typing import Final, NamedTuple, Protocol

from scandock.model.dataclass import dataclass
from scandock.model.limits import GIB, MIB

COMMENT_LENGTH: Final = 64
"""Most characters of an Error Comment (0000,0902), an LO."""


class Status:
    """Statuses of DIMSE responses that we give (PS3.7 annex C, PS3.4 B.2.3 and J.3.2)."""

    SUCCESS: Final = 0x0000
    PROCESSING_FAILURE: Final = 0x0110
    NO_SUCH_SOP_INSTANCE: Final = 0x0112
    INVALID_ARGUMENT: Final = 0x0115
    CLASS_INSTANCE_CONFLICT: Final = 0x0119
    SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
    NO_SUCH_ACTION: Final = 0x0123
    DUPLICATE_TRANSACTION: Final = 0x0210
    UNRECOGNIZED_OPERATION: Final = 0x0211
    OUT_OF_RESOURCES: Final = 0xA700
    CLASS_MISMATCH: Final = 0xA900
    CANNOT_UNDERSTAND: Final = 0xC000


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's status. `comment` is cut to 64 characters; `elements` are tags that are at fault."""

    status: int = Status.SUCCESS
    comment: str = ""
    elements: tuple[int, ...] = ()


STORED: Final = Answer()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection."""

    address: str
    """As text; an IPv4 address that came mapped into IPv6 is shown as IPv4."""
    port: int
    certificate: str = ""
    """Subject of the client's certificate, checked; empty without TLS or without a certificate."""
    tls: str = ""
    """Version and cipher, as `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty without TLS."""


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed (PS3.8 9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context that was accepted, with the transfer syntax that we chose."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """What a peer says of its user (PS3.7 D.3.3.7). Not checked by the loop."""

    type: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)
    wants_response: bool


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """An A-ASSOCIATE-RQ and the connection that it came over. AE titles have no spaces around them."""

    peer: Peer
    called: str
    calling: str
    contexts: tuple[ProposedContext, ...]
    max_pdu: int
    """Longest P-DATA that the peer takes; 0: any."""
    implementation_class: str = ""
    implementation_version: str = ""
    window: tuple[int, int] | None = None
    """Operations that the peer would have outstanding (invoked, performed), 0 for any; None where it does not ask."""
    identity: UserIdentity | None = None


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """The acceptor takes an association. To be subclassed by who wants to carry more along (`Association.admitted`)."""

    commitment: bool = False
    """Whether storage commitment is accepted."""
    changes_objects: bool = False
    """Whether what is stored differs from what was sent, as by de-identification: peers that ask are told."""
    identity_checked: bool = False
    """Whether the acceptor has checked the user identity: a peer that asked for it gets a positive response."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The acceptor refuses an association: A-ASSOCIATE-RJ (PS3.8 table 9-21), and why in words for our own log."""

    result: int
    source: int
    reason: int
    why: str = ""


def unknown_called_title(why: str) -> Rejected:
    """Called AE title not recognized."""
    return Rejected(1, 1, 7, why)


def calling_not_allowed(why: str) -> Rejected:
    """Calling AE title not recognized: also for its address, or a certificate that is missing."""
    return Rejected(1, 1, 3, why)


def too_many_associations(why: str) -> Rejected:
    """Local limit exceeded; the peer may try again."""
    return Rejected(2, 3, 2, why)


def no_space(why: str) -> Rejected:
    """Temporary congestion; the peer may try again."""
    return Rejected(2, 3, 1, why)


def not_serving(why: str) -> Rejected:
    """No reason given; the peer may try again."""
    return Rejected(2, 1, 1, why)


class LargeFile(Protocol):
    """Where the loop streams an object that is too large for memory. The acceptor makes it and knows what it is."""

    def write(self, data: memoryview) -> None:
        """Append the whole of `data`. Raises OSError where it can't: the object gets A700."""

    def close(self) -> None:
        """Called once: after the `append` that had it, or where none comes of it."""


class StoreRequest(NamedTuple):
    """A C-STORE-RQ's command, before its data set."""

    message_id: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    context: int


class ReceivedObject(NamedTuple):
    """A whole object: its data set as sent, in the request's transfer syntax, without meta information."""

    request: StoreRequest
    data: memoryview | LargeFile
    """Valid until `append` returns: memory is used again, a file is closed."""
    size: int


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """An N-ACTION of storage commitment's push model, already found to be one (action type 1, references there)."""

    message_id: int
    transaction: str
    references: tuple[tuple[str, str], ...]
    """SOP class and instance."""


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """What an N-EVENT-REPORT tells: what is kept, and what is not and why."""

    transaction: str
    kept: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]
    """SOP class, instance, failure reason (0008,1197)."""


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """The answer to an N-ACTION and, where all is known at once, the result, told on the same association."""

    answer: Answer
    result: CommitmentResult | None = None


class EndCause(enum.Enum):
    """Why an association ended otherwise than by release."""

    PEER_ABORTED = "aborted by the peer"
    PEER_CLOSED = "connection closed by the peer"
    SILENT = "nothing came in time"
    NOT_READING = "answers were not read in time"
    PROTOCOL = "broke the protocol"
    TLS = "TLS handshake failed"
    STOPPED = "stopped by the server"
    FAULT = "a fault of ours"


@dataclass(frozen=True, slots=True)
class End:
    """How an association or a connection ended, in a word for programs and one for people."""

    cause: EndCause
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.cause.value}: {self.detail}" if self.detail else self.cause.value


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a peer has. Each is a deadline on the socket."""

    handshake: float = 10
    """For the TLS handshake."""
    request: float = 30
    """From the connection, or the handshake's end, to a whole A-ASSOCIATE-RQ (ARTIM)."""
    silence: float = 60
    """Without a byte within a PDU or a message, and for taking an answer."""
    between: float = 600
    """Between two messages."""
    close: float = 2
    """For closing the connection after the release or an abort."""
    report: float = 1
    """For asking for the release after N-ACTION, before its result is sent on the same association."""
    slowest: float = 1024
    """Bytes a second that a PDU has to come with, beyond `silence`."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Bytes and counts that a peer can't go beyond."""

    max_pdu: int = 128 * 1024
    """Longest P-DATA that we announce."""
    pdu: int = MIB
    """Longest PDU that is taken, whatever was announced."""
    command: int = 64 * 1024
    object: int = 50 * GIB
    memory: int = 4 * MIB
    """An object that is larger goes to a file while it comes."""
    action: int = 16 * MIB
    """Data set of an N-ACTION: some 100,000 references."""
    window: int = 32


class AssociationNumbers:
    """Numbers of associations and of connections that came to none, each once in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def go_on_from(self, last: int) -> None:
        """Give none up to `last`, which an earlier process gave."""
        with self._lock:
            self._last = max(self._last, last)


association_numbers: Final = AssociationNumbers()


class Traffic:
    """What has come over a connection; one thread counts, others may look."""

    __slots__ = ("active_at", "bytes_received")

    def __init__(self) -> None:
        self.bytes_received = 0
        self.active_at = time.monotonic()
        """When bytes last came."""


class Association:
    """A live association, as other threads may look at it."""

    def __init__(
        self,
        request: AssociationRequest,
        admitted: Admitted,
        contexts: dict[int, AcceptedContext],
        traffic: Traffic,
    ) -> None:
        self.number = association_numbers.next()
        """For logs and pages."""
        self.request = request
        self.admitted = admitted
        self.contexts = contexts
        self.since = time.time()
        self.objects = 0
        """Answered so far."""
        self._traffic = traffic
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._stopping = False
        self.stop_reason = ""

    @property
    def bytes_received(self) -> int:
        return self._traffic.bytes_received

    @property
    def active_at(self) -> float:
        """When bytes last came."""
        return self._traffic.active_at

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for its end."""
        return self._stopping

    def stop(self, reason: str = "") -> None:
        """Let the object that is coming end and be answered, then abort (A-ABORT, source 0). From any thread.

        `reason`, in words: that of this association alone; empty where all are stopped.
        """
        with self._lock:
            self.stop_reason = self.stop_reason or reason
            self._stopping = True
            if self._stop is not None:
                self._stop()

    def idle(self, wake: Callable[[], None] | None) -> bool:
        """Tell that the loop waits between messages, and how it is woken; None: it does not. False: do not wait."""
        with self._lock:
            self._stop = wake
            return not self._stopping
