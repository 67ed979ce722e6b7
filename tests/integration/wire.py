"""A wire to a server that holds back everything after so many bytes, so that either end can be killed just there."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Final

_ESTABLISHED: Final = 1
"""TCP_INFO's first byte while neither side has ended."""


class HeldWire:
    """A port that leads to another one. After `most` bytes towards it nothing goes on until the wire is `opened`."""

    def __init__(self, to: int, most: int | None = None) -> None:
        self._to = to
        self._most = most
        self.sent = 0
        """Bytes that went towards the server."""
        self.full = threading.Event()
        """Set once `most` bytes have gone through."""
        self._free = threading.Event()
        self._ended = False
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> HeldWire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        self._free.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def open(self) -> None:
        """Let everything through from now on."""
        self._free.set()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._listening, selectors.EVENT_READ)
            while not self._ended:
                if ready.select(0.05):
                    client, _ = self._listening.accept()
                    self._threads.append(threading.Thread(target=self._lead, args=(client,), daemon=True))
                    self._threads[-1].start()

    def _lead(self, client: socket.socket) -> None:
        """Both directions of one connection; when either side ends, so does the other."""
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._to), timeout=10) as server,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while not self._ended:
                for key, _ in ready.select(0.05):
                    if not (self._back(server, client) if key.fileobj is server else self._forth(client, server)):
                        return

    def _back(self, server: socket.socket, client: socket.socket) -> bool:
        data = server.recv(65536)
        client.sendall(data)
        return bool(data)

    def _forth(self, client: socket.socket, server: socket.socket) -> bool:
        """Towards the server; False at the end."""
        with self._lock:
            many = 65536
            if self._most is not None and not self._free.is_set():
                many = min(many, self._most - self.sent)
            data = client.recv(many) if many else b""
            self.sent += len(data)
        if data:
            server.sendall(data)
        if many:
            return bool(data)
        self.full.set()
        return self._hold(client, server)

    def _hold(self, client: socket.socket, server: socket.socket) -> bool:
        """Take what comes and keep it, until the wire is opened; an end of either side is passed on at once."""
        buffer = bytearray()
        client.settimeout(0.01)
        while not self._free.is_set():
            try:
                data = client.recv(65536)
            except TimeoutError:
                if not _is_open(server):
                    return False
                continue
            if not data:
                return False
            buffer += data
        client.settimeout(None)
        with self._lock:
            self.sent += len(buffer)
        server.sendall(buffer)
        return not self._ended


def _is_open(side: socket.socket) -> bool:
    """Whether the other side has not ended the connection; what it sent before may still lie there."""
    return side.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
