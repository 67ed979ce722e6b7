"""An accepted connection: bytes in and out under deadlines, and whole PDUs of what comes (PS3.8 section 9.1)."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from scandock.dimse import pdu
from scandock.dimse.pdu import AbortReason, ProtocolError
from scandock.dimse.records import Deadlines, End, EndCause, Peer, Traffic, WireLimits
from scandock.dimse.tls import describe_failure

_HEADER: Final = 6
_FIRST: Final = frozenset({pdu.ASSOCIATE_RQ, pdu.ABORT})
"""Of PDUs, what may come first."""
_MAX_PIECES: Final = 128
"""PDUs of a data set that are read at once: 16 kB each, which is what most senders take at least, make 2 MB."""
_TLS_HANDSHAKE: Final = 22
"""First byte of what a TLS client says."""
_TLS_TO_PLAIN: Final = (
    "the sender speaks TLS, and the receiver does not. Turn TLS off at the sender, or on at the receiver"
)
_TIME: Final = struct.Struct("@ll")
_QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", None)
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_FIXED_LENGTH: Final = frozenset({pdu.ASSOCIATE_RJ, pdu.RELEASE_RQ, pdu.RELEASE_RP, pdu.ABORT})


class EndedError(Exception):
    """The connection is over, or is to be, otherwise than by release."""

    def __init__(self, cause: EndCause, detail: str = "") -> None:
        super().__init__(detail)
        self.end = End(cause, detail)


class WholeMessage(NamedTuple):
    """A message of which all bytes are in the buffer."""

    data: memoryview
    """Its data set, valid until the next call."""
    end: int
    """Where it ends in the buffer."""


class Connection:
    """One buffer that is reused for all that comes, and one thread that reads."""

    def __init__(self, sock: socket.socket, deadlines: Deadlines, limits: WireLimits) -> None:
        self._sock = sock
        self._deadlines = deadlines
        self._limits = limits
        self._buffer = memoryview(bytearray(limits.pdu + _HEADER))
        self._at = self._fill = 0
        self._timeout = -1.0
        self._began = 0.0
        """When the first byte of the message came that is being read."""
        self._since_began = 0
        self._is_secure = False
        self._waker: int | None = None
        """Within TLS: an eventfd by which a read that waits is woken."""
        self._is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
        self.traffic = Traffic()
        self.before_waiting: Callable[[], None] | None = None
        """Called where a read would have to wait: what is to be answered is answered first."""
        if self._is_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEP_ALIVE:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands, as the server. Raises EndedError."""
        self._sock.settimeout(self._deadlines.handshake)
        try:
            self._sock = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
            self._sock.do_handshake()
        except TimeoutError:
            raise EndedError(EndCause.SILENT, "within the TLS handshake") from None
        except OSError as error:
            raise EndedError(EndCause.TLS, describe_failure(error)) from None
        self._is_secure = True
        try:
            self._waker = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError as error:
            raise EndedError(EndCause.FAULT, error.strerror or str(error)) from None

    def peer(self) -> Peer:
        """Who is there. No name is looked up."""
        address, port = "", 0
        with contextlib.suppress(OSError):
            if self._is_tcp:
                address, port = self._sock.getpeername()[:2]
        certificate = tls = ""
        if self._is_secure and isinstance(self._sock, ssl.SSLSocket):
            certificate = _subject(self._sock)
            cipher = self._sock.cipher()
            tls = f"{self._sock.version()} {cipher[0]}" if cipher else ""
        return Peer(_plain_address(address), port, certificate, tls)

    def read_request(self) -> bytes:
        """The body of the A-ASSOCIATE-RQ that has to come first. Raises EndedError and ProtocolError."""
        deadline = time.monotonic() + self._deadlines.request
        kind, body = self._read_pdu(lambda _: deadline - time.monotonic(), _FIRST)
        if kind == pdu.ABORT:
            raise EndedError(EndCause.PEER_ABORTED)
        return bytes(body)

    def wait_for_pdu(self, patience: float | None = None) -> None:
        """Wait for a message's whole first PDU; `patience`, or the deadline between messages, is for its first byte.

        Raises EndedError and ProtocolError.
        """
        self._since_began = self._fill - self._at
        self._began = time.monotonic()
        first = self._deadlines.between if patience is None else patience
        self._wait_for_pdu(lambda have: self._seconds(have) if have else first, _ANY)

    def read_pdu(self) -> tuple[int, memoryview]:
        """The next PDU of a message: its type and its body, which is valid until the next call.

        Raises EndedError and ProtocolError.
        """
        return self._read_pdu(self._seconds, _ANY)

    def read_message(self, accepts: Callable[[int, bytes], bool], most: int) -> WholeMessage | None:
        """A message of at most `most` bytes of data, where its first PDU is at hand and each PDU has one value.

        `accepts` says by its context and its command whether it has data and is to be read so. None where it is
        otherwise, or does not fit into the buffer: it is still to be read then, PDU by PDU. One that is returned is
        still to be taken, by `take`. Raises EndedError.
        """
        scan = _MessageScan(self._at, accepts, most)
        while need := scan.run(self._buffer, self._fill):
            if need > len(self._buffer):
                if need - self._at > len(self._buffer):
                    return None
                scan.move(self._at)
                self._move_to_start()
            self._receive(self._seconds(self._fill - self._at))
        return None if need is None else WholeMessage(self._join(scan.pieces), scan.at)

    def _join(self, pieces: list[tuple[int, int]]) -> memoryview:
        """The bytes of a data set, moved together where they stand in several PDUs."""
        (start, end), *others = pieces
        for begin, stop in others:
            self._buffer[end : end + stop - begin] = self._buffer[begin:stop]
            end += stop - begin
        return self._buffer[start:end]

    def take(self, message: WholeMessage) -> None:
        """Go on behind a message."""
        self._at = message.end
        if self._at == self._fill:
            self._at = self._fill = 0

    def _seconds(self, _: int) -> float:
        """How long the next byte of a message may take."""
        allowed = self._deadlines.silence + self._since_began / self._deadlines.slowest
        return min(self._deadlines.silence, self._began + allowed - time.monotonic())

    def _read_pdu(self, seconds: Callable[[int], float], kinds: frozenset[int]) -> tuple[int, memoryview]:
        size = self._wait_for_pdu(seconds, kinds)  # which may move what is at hand
        start, self._at = self._at, self._at + size
        body = self._buffer[start + _HEADER : self._at]
        if self._at == self._fill:
            self._at = self._fill = 0
        return self._kind(start), body

    def _wait_for_pdu(self, seconds: Callable[[int], float], kinds: frozenset[int]) -> int:
        """Wait for a whole PDU; its bytes with its header."""
        need = _HEADER
        while True:
            have = self._fill - self._at
            if have >= _HEADER:
                need = _HEADER + self._check_header(kinds)
                if have >= need:
                    return need
            if self._at + need > len(self._buffer):
                self._move_to_start()
            self._receive(seconds(have))

    def _move_to_start(self) -> None:
        """Move what was not read to the buffer's beginning."""
        have = self._fill - self._at
        self._buffer[:have] = self._buffer[self._at : self._fill]
        self._at, self._fill = 0, have

    def _kind(self, at: int) -> int:
        return self._buffer[at]

    def _check_header(self, kinds: frozenset[int]) -> int:
        kind = self._kind(self._at)
        length = int.from_bytes(self._buffer[self._at + 2 : self._at + 6], "big")
        if kind == _TLS_HANDSHAKE and kinds is _FIRST:
            raise ProtocolError(AbortReason.UNRECOGNIZED_PDU, _TLS_TO_PLAIN)
        if not pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT:
            raise ProtocolError(AbortReason.UNRECOGNIZED_PDU, f"a PDU of type {kind}")
        if kind not in kinds:
            raise ProtocolError(AbortReason.UNEXPECTED_PDU, f"a PDU of type {kind} out of its turn")
        if length > self._limits.pdu or (kind in _FIXED_LENGTH and length != 4):
            raise ProtocolError(AbortReason.INVALID_PARAMETER, f"a PDU of type {kind} with {length:,} bytes")
        return length

    def _receive(self, seconds: float) -> None:
        if seconds < 0:
            raise EndedError(EndCause.SILENT, "too slow")
        if self.before_waiting is not None and seconds:
            if self._receive_at_once():
                return
            asked = time.monotonic()
            self.before_waiting()
            self._began += time.monotonic() - asked  # which is not the peer's time
        count = self._receive_record(seconds) if self._waker is not None else self._receive_plain(seconds)
        if not count:
            raise EndedError(EndCause.PEER_CLOSED)
        now = self.traffic.active_at = time.monotonic()
        if not self._since_began:
            self._began = now  # it waited for the first byte until now
        self._since_began += count
        self.traffic.bytes_received += count
        self._fill += count

    def _receive_at_once(self) -> bool:
        """Take what has come; False where nothing has."""
        try:
            self._receive(0.0)
        except EndedError as ended:
            if ended.end.cause is EndCause.SILENT:
                return False
            raise
        return True

    def _receive_plain(self, seconds: float) -> int:
        """Wait for bytes; how many came. In turns of the same length, as each other one has to be set in the system."""
        turn = self._deadlines.silence
        while True:
            self._wait(min(seconds, turn))
            try:
                if self._is_tcp and _QUICK_ACK is not None:
                    self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
                return self._sock.recv_into(self._buffer[self._fill :], 0, 0 if seconds else socket.MSG_DONTWAIT)
            except (TimeoutError, BlockingIOError):
                seconds -= turn
                if seconds <= 0:
                    raise EndedError(EndCause.SILENT) from None
            except OSError as error:
                raise EndedError(EndCause.PEER_CLOSED, error.strerror or str(error)) from None

    def _receive_record(self, seconds: float) -> int:
        """As `_receive_plain`, within TLS, of whose records parts may come; woken, it ends between messages."""
        deadline = time.monotonic() + seconds
        self._sock.settimeout(0)
        while True:
            events = select.POLLIN
            try:
                return self._sock.recv_into(self._buffer[self._fill :])
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            except OSError as error:
                raise EndedError(EndCause.PEER_CLOSED, error.strerror or str(error)) from None
            self._wait_for_record(events, deadline - time.monotonic())

    def _wait_for_record(self, events: int, seconds: float) -> None:
        """Wait for something of TLS, or to be woken: TLS itself ends for good where its socket does."""
        poll = select.poll()
        poll.register(self._sock, events)
        if self._waker is not None and not self._since_began:
            poll.register(self._waker, select.POLLIN)
        ready = poll.poll(seconds * 1000) if seconds > 0 else []
        if not ready:
            raise EndedError(EndCause.SILENT)
        if any(fd == self._waker for fd, _ in ready):
            raise EndedError(EndCause.STOPPED)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came that was not read."""
        return self._at == self._fill

    def send(self, data: bytes) -> None:
        """Write all of it. Raises EndedError."""
        try:
            if not self._is_secure:
                with contextlib.suppress(BlockingIOError):
                    data = data[self._sock.send(data, socket.MSG_DONTWAIT) :]
                if not data:
                    return
            self._sock.settimeout(self._deadlines.silence)
            self._timeout = -1.0
            self._sock.sendall(data)
        except TimeoutError:
            raise EndedError(EndCause.NOT_READING) from None
        except OSError as error:
            raise EndedError(EndCause.PEER_CLOSED, error.strerror or str(error)) from None

    def wake(self) -> None:
        """Let a read that waits end, as if the peer had closed. What is written still goes. From any thread."""
        with contextlib.suppress(OSError):
            if self._waker is None:
                self._sock.shutdown(socket.SHUT_RD)
            else:
                os.eventfd_write(self._waker, 1)

    def close(self, last: bytes = b"") -> None:
        """Send `last`, wait for the peer to close, and close; nothing is waited for where `last` is empty."""
        with contextlib.suppress(OSError, ValueError):
            if last:
                deadline = time.monotonic() + self._deadlines.close
                self._sock.settimeout(self._deadlines.close)
                self._sock.sendall(last)
                if not isinstance(self._sock, ssl.SSLSocket):
                    self._sock.shutdown(socket.SHUT_WR)
                while (left := deadline - time.monotonic()) > 0:
                    self._sock.settimeout(left)
                    if not self._sock.recv_into(self._buffer):
                        break
                if isinstance(self._sock, ssl.SSLSocket):
                    self._sock.settimeout(0)
                    self._sock.unwrap()
        with contextlib.suppress(OSError):
            self._sock.close()
        if self._waker is not None:
            os.close(self._waker)
            self._waker = None

    def _wait(self, seconds: float) -> None:
        """Let the next read without TLS wait so long: the system waits within the read, which saves a call for each."""
        if self._timeout < 0:
            self._sock.settimeout(None)
            self._timeout = 0.0
        if not seconds or seconds == self._timeout:
            return
        whole, microseconds = divmod(max(1, int(seconds * 1_000_000)), 1_000_000)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIME.pack(whole, microseconds))
        self._timeout = seconds


_ANY: Final = frozenset(range(1, 8))


class _MessageScan:
    """How far the message at the buffer's `at` was looked at that is to be read at once (`Connection.read_message`)."""

    __slots__ = ("_accepts", "_context", "_has_command", "_most", "_size", "at", "pieces")

    def __init__(self, at: int, accepts: Callable[[int, bytes], bool], most: int) -> None:
        self.at = at
        self.pieces: list[tuple[int, int]] = []
        """Where bytes of its data set stand."""
        self._accepts = accepts
        self._most = most
        self._has_command = False
        self._size = self._context = 0

    def run(self, buffer: memoryview, fill: int) -> int | None:
        """Look at what has come: 0 where it is the whole message, None where it is none to be read so.

        Else the place up to which the buffer has to be filled before more can be known.
        """
        while self.at + pdu.VALUE_AT <= fill:
            kind, length, value_length, context, flags = pdu.decode_single_value(buffer, self.at)
            end = self.at + _HEADER + length
            if kind != pdu.P_DATA or value_length < 2 or value_length + 4 != length:
                return None
            if end > fill:
                return end
            start, self.at = self.at + pdu.VALUE_AT, end
            if not self._has_command:
                self._has_command, self._context = True, context
                if flags & 3 != 3 or not self._accepts(context, bytes(buffer[start:end])):
                    return None
                continue
            self.pieces.append((start, end))
            self._size += end - start
            if flags & 1 or context != self._context or self._size > self._most or len(self.pieces) > _MAX_PIECES:
                return None
            if flags & 2:
                return 0
        return self.at + pdu.VALUE_AT if self._has_command and _may_be_data(buffer[self.at : fill]) else None

    def move(self, count: int) -> None:
        """What was looked at is moved so many bytes to the front."""
        self.at -= count
        self.pieces = [(start - count, end - count) for start, end in self.pieces]


def _may_be_data(received: memoryview) -> bool:
    """Whether a PDU of which so much has come may be a P-DATA with a value: any other has to be read as it is."""
    if len(received) < _HEADER:
        return not received or received[0] == pdu.P_DATA
    return received[0] == pdu.P_DATA and _HEADER + int.from_bytes(received[2:_HEADER], "big") >= pdu.VALUE_AT


def _plain_address(text: str) -> str:
    """An address without its zone, and IPv4 as such where it came mapped into IPv6."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _subject(sock: ssl.SSLSocket) -> str:
    certificate = sock.getpeercert()
    if not certificate:
        return ""
    parts = [f"{name}={value}" for part in certificate.get("subject", ()) for name, value in part]  # type: ignore[str-unpack]
    return ", ".join(parts)
