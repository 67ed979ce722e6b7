"""A proxy on the loopback in front of a server's socket, whose link can be cut without a word to either side."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Passes bytes on; while it is a `hole` it takes connections and bytes, and nothing comes of either."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.hole = threading.Event()
        self.taken = 0
        """Connections that were made to it."""
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                taken, _ = self._listener.accept()
                self.taken += 1
                self._threads.append(threading.Thread(target=self._pass_on, args=(taken,), daemon=True))
                self._threads[-1].start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            is_lost = self.hole.is_set()
            if not is_lost:
                server.connect(self._target)
            other = {client: server, server: client}
            while not self._ended.is_set():
                is_lost = is_lost or self.hole.is_set()  # what was sent meanwhile is lost: it never goes on
                if is_lost:
                    self._ended.wait(0.05)
                    continue
                for ready in select.select([client, server], [], [], 0.05)[0]:
                    with contextlib.suppress(OSError):
                        if data := ready.recv(65536):
                            other[ready].sendall(data)
                            continue
                    return


@contextlib.contextmanager
def proxy_of(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
