"""Connections to addresses that strangers name: looked up once, judged, then used, all before one deadline.

What is connected to is the address that was judged, so that a name that changes its mind meanwhile leads nowhere else.
A socket's own timeout begins anew with each byte; `DeadlineSocket` gives every call what is left of the whole.
"""

from __future__ import annotations

import io
import queue
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from scandock.model import request_limits
from scandock.services.public_addresses import is_public

MAX_LOOKUPS: Final = request_limits.LOOKUPS_AT_ONCE
"""Names that are looked up at once: one that is slow goes on in its thread after nobody waits for it any more."""

_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


def connection_error_reason(error: Exception) -> str:
    """Why another server could not be used, as a sentence for people: no word of Python's or a library's is in it."""
    return next(
        (sentence for kinds, sentence in _REASONS if isinstance(error, kinds)), "It did not answer as it should."
    )


_REASONS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (TimeoutError, "It took too long."),
    ((socket.gaierror, UnicodeError), "Its name is not known."),
    (ssl.SSLCertVerificationError, "Its certificate can't be trusted."),
    (ssl.SSLError, "No encrypted connection to it could be made."),
    (ConnectionRefusedError, "It refuses connections."),
    ((ConnectionError, smtplib.SMTPServerDisconnected), "It ended the connection."),
    (smtplib.SMTPNotSupportedError, "It does not offer the encryption or the login that this server is set to use."),
)
"""In this order, as some of these are kinds of others."""


class AddressNotPublic(OSError):
    """A name leads to an address that strangers may not have the server connect to."""


class Deadline:
    """The end of something that takes several steps."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds that are left, more than none. Raises TimeoutError at the end."""
        seconds = self._end - self._clock()
        if seconds <= 0:
            raise TimeoutError("the time is over")
        return seconds


class DeadlineSocket:
    """A connected socket as `http.client` uses it, each of whose calls ends at the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._readers = 0
        self._closed = False

    def secure(self, host: str, context: ssl.SSLContext) -> None:
        """Go on with TLS, the certificate checked for `host`. Raises OSError."""
        self._sock.settimeout(self._deadline.left())  # of the handshake as a whole
        self._sock = context.wrap_socket(self._sock, server_hostname=host)

    def sendall(self, data: Any) -> None:  # noqa: ANN401  a buffer
        view = memoryview(data).cast("B")
        while view.nbytes:
            self._sock.settimeout(self._deadline.left())
            view = view[self._sock.send(view) :]

    def recv_into(self, buffer: Any) -> int:  # noqa: ANN401  a buffer
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        """What reads from it; it stays open until that is closed too, as a socket does."""
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        self._closed = True
        self._end()

    def let_go(self) -> None:
        """A reader is closed."""
        self._readers -= 1
        self._end()

    def _end(self) -> None:
        if self._closed and not self._readers:
            self._sock.close()


class _Reader(io.RawIOBase):
    """Reads from a bounded socket."""

    def __init__(self, connected: DeadlineSocket) -> None:
        super().__init__()
        self._connected = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  a buffer
        return self._connected.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._connected.let_go()


def connect(host: str, port: int, deadline: Deadline, *, private: bool) -> DeadlineSocket:
    """A connection to a name or an address.

    Raises AddressNotPublic unless all that it leads to is public, or `private` is set; TimeoutError at the deadline,
    OSError and UnicodeError where there is no such name, or nobody answers.
    """
    addresses = _resolve(host, port, deadline)
    if not private and not all(map(is_public, addresses)):
        raise AddressNotPublic
    return DeadlineSocket(socket.create_connection((addresses[0], port), timeout=deadline.left()), deadline)


def _resolve(host: str, port: int, deadline: Deadline) -> list[str]:
    """The addresses of a name. The system's resolver takes no deadline, so that a thread waits for it."""
    lookups = _lookups
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(result[4][0]) for result in results])
        except Exception as error:  # noqa: BLE001  raised where it was asked
            answers.put(error)
        finally:
            lookups.release()

    if not lookups.acquire(timeout=deadline.left()):
        raise TimeoutError("too many names are being looked up")
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError("the name is not answered") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
