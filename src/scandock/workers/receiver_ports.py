"""The ports that receivers listen on: opened and closed as receivers come and go, a thread for each connection."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.dimse.association import serve_association
from scandock.dimse.records import Deadlines, End, EndCause, Peer, WireLimits
from scandock.dimse.tls import TlsContexts, TlsFiles
from scandock.model.readiness import wait_readable
from scandock.model.receivers import ClientCertificates, Receiver
from scandock.services.received_records import ReceiverListening

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.model.reception import ReceptionSettings
    from scandock.workers.receiver_acceptor import PortAcceptor

_BACKLOG: Final = 128
_CONNECTIONS_FOR_EACH: Final = 2
"""Connections for each association that may be: those that say nothing, or too much at once, are told so by others."""
_SYSTEM_AUTHORITIES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
RETRY_SECONDS: Final = 5.0
"""After which a port that could not be had is tried again."""


class PortKey(NamedTuple):
    """What one listening socket is for."""

    bind: str
    port: int


class Connections:
    """All connections of this process, by address: a thread for each, and no more than bounds."""

    def __init__(self, settings: ReceptionSettings) -> None:
        self._most = settings.associations * _CONNECTIONS_FOR_EACH
        self._most_of_one = settings.associations_per_address * _CONNECTIONS_FOR_EACH
        self._lock = threading.Lock()
        self._by_address: Counter[str] = Counter()
        self._sockets: dict[socket.socket, threading.Thread] = {}

    def start(self, connection: socket.socket, address: str, serve: Callable[[], None]) -> bool:
        """Serve a connection in a thread; False where there are too many."""

        def run() -> None:
            try:
                serve()
            finally:
                with self._lock:
                    del self._sockets[connection]
                    self._by_address[address] -= 1
                    self._by_address += Counter()

        with self._lock:
            if len(self._sockets) >= self._most or self._by_address[address] >= self._most_of_one:
                return False
            thread = threading.Thread(target=run, name="association", daemon=True)
            self._sockets[connection] = thread
            self._by_address[address] += 1
        try:
            thread.start()
        except RuntimeError:  # the system has no room for another thread
            with self._lock:
                del self._sockets[connection]
                self._by_address[address] -= 1
            return False
        return True

    @property
    def threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._sockets.values())


class OpenPort:
    """A socket that listens, and the thread that takes its connections."""

    def __init__(
        self,
        key: PortKey,
        listening: socket.socket,
        connections: Connections,
        acceptor: PortAcceptor,
        tls: Callable[[], ssl.SSLContext | None],
        deadlines: Deadlines,
        limits: WireLimits,
    ) -> None:
        self._key = key
        self._socket = listening
        self._connections = connections
        self._acceptor = acceptor
        self._tls = tls
        self._deadlines = deadlines
        self._limits = limits
        self._ours, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"port {key.port}", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The number of the port."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Take no more connections; those that there are go on."""
        self._theirs.send(b"!")
        self._thread.join()
        for end in (self._socket, self._ours, self._theirs):
            end.close()

    def _run(self) -> None:
        while True:
            if self._ours.fileno() in wait_readable([self._socket.fileno(), self._ours.fileno()]):
                return
            try:
                connection, address = self._socket.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                    wait_readable([self._ours.fileno()], 0.1)  # until somebody has closed something
                continue
            self._take(connection, str(address[0]))

    def _take(self, connection: socket.socket, address: str) -> None:
        def serve() -> None:
            try:
                tls = self._tls()
            except OSError as error:
                connection.close()
                self._acceptor.failed(Peer(address, 0), End(EndCause.FAULT, f"the {_no_certificate(error)}"))
                return
            serve_association(connection, self._acceptor, tls=tls, deadlines=self._deadlines, limits=self._limits)

        if not self._connections.start(connection, address, serve):
            connection.close()
            self._acceptor.failed(Peer(address, 0), End(EndCause.FAULT, "there are too many connections"))


class ReceiverPorts:
    """Listens for the receivers that it is given, and says of each whether it does. For one thread."""

    def __init__(
        self,
        settings: ReceptionSettings,
        make_acceptor: Callable[[int], PortAcceptor],
        log: FilteringBoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._make_acceptor = make_acceptor
        self._log = log
        self._clock = clock
        self.connections = Connections(settings)
        self._certificates = TlsContexts()
        self._open: dict[PortKey, OpenPort] = {}
        self._receivers: dict[PortKey, list[Receiver]] = {}
        self._failed: dict[PortKey, tuple[float, str]] = {}
        self._deadlines = Deadlines(
            handshake=settings.handshake_seconds,
            request=settings.request_seconds,
            silence=settings.silence_seconds,
            between=settings.between_seconds,
        )

    def set_receivers(self, receivers: Sequence[Receiver]) -> list[ReceiverListening]:
        """Listen for these, and for no others."""
        wanted: dict[PortKey, list[Receiver]] = {}
        for receiver in receivers:
            wanted.setdefault(PortKey(receiver.bind, receiver.port), []).append(receiver)
        for key in [key for key in self._open if key not in wanted]:
            self._open.pop(key).close()
            self._log.info("port closed", port=key.port)
        self._failed = {key: failure for key, failure in self._failed.items() if key in wanted}
        self._receivers = wanted
        for key in wanted:
            if key not in self._open:
                self._try_opening(key)
        return [self._state(key, receiver) for key, at_port in wanted.items() for receiver in at_port]

    def close(self) -> None:
        """Listen no more."""
        for port in self._open.values():
            port.close()
        self._open.clear()

    def _state(self, key: PortKey, receiver: Receiver) -> ReceiverListening:
        message = self._failed[key][1] if key in self._failed else ""
        if not message:
            if receiver.tls != self._receivers[key][0].tls:
                message = f"Another receiver has port {receiver.port} with the other choice of TLS."
            elif receiver.tls:
                message = self._check_certificate(key)
        return ReceiverListening(receiver_id=receiver.number, listening=not message, message=message)

    def _check_certificate(self, key: PortKey) -> str:
        try:
            self._context(key)
        except OSError as error:
            return f"The {_no_certificate(error)}."
        return ""

    def _context(self, key: PortKey) -> ssl.SSLContext | None:
        """The TLS of a port, as its receivers are set now. Raises OSError."""
        at_port = self._receivers.get(key, [])
        if not at_port or not at_port[0].tls:
            return None
        if not self._settings.tls_certificate:
            raise FileNotFoundError(errno.ENOENT, "no certificate is set")
        choices = {one.client_certificates for one in at_port}
        authorities = ""
        if choices != {ClientCertificates.OFF}:
            authorities = self._settings.tls_client_ca or _system_authorities()
        return self._certificates.get(
            TlsFiles(
                certificate=self._settings.tls_certificate,
                key=self._settings.tls_key or self._settings.tls_certificate,
                authorities=authorities,
                required=choices == {ClientCertificates.REQUIRED},
            )
        )

    def _try_opening(self, key: PortKey) -> None:
        failed = self._failed.get(key)
        if failed is not None and self._clock() - failed[0] < RETRY_SECONDS:
            return
        try:
            listening = _listen(key)
        except OSError as error:
            message = _say_why(error, key)
            if failed is None or failed[1] != message:
                self._log.error("port not opened", port=key.port, why=error.strerror)
            self._failed[key] = self._clock(), message
            return
        self._failed.pop(key, None)
        limits = WireLimits(
            max_pdu=self._settings.max_pdu, object=min(self._settings.object_bytes, self._settings.study_bytes)
        )
        self._open[key] = OpenPort(
            key,
            listening,
            self.connections,
            self._make_acceptor(key.port),
            lambda: self._context(key),
            self._deadlines,
            limits,
        )
        self._log.info("port opened", port=key.port, address=key.bind or "any")


def _no_certificate(error: OSError) -> str:
    reason = error.reason.replace("_", " ").lower() if isinstance(error, ssl.SSLError) and error.reason else ""
    return f"certificate of TLS can't be used: {reason or error.strerror or error}"


def _listen(key: PortKey) -> socket.socket:
    """A listening socket; one that is bound to no address takes IPv4 and IPv6. Raises OSError."""
    if not key.bind and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("::", key.port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in key.bind else socket.AF_INET
    return socket.create_server((key.bind, key.port), family=family, backlog=_BACKLOG)


def _say_why(error: OSError, key: PortKey) -> str:
    where = f"{key.bind}:{key.port}" if key.bind else f"port {key.port}"
    if error.errno == errno.EADDRINUSE:
        return f"Another program listens at {where}."
    if error.errno == errno.EACCES:
        return f"The server may not listen at {where}: ports below 1024 need a right of the system."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{key.bind} is no address of this machine."
    return f"The system refused to listen at {where}: {error.strerror or error}."


def _system_authorities() -> str:
    for path in _SYSTEM_AUTHORITIES:
        with contextlib.suppress(OSError), open(path, "rb"):
            return path
    raise FileNotFoundError(errno.ENOENT, "no authorities of client certificates are set")
