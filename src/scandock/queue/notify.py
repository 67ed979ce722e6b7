"""Waking the worker of a DATA at once, from any process on this machine: a datagram to a name made of the folder.

The name lies in the kernel (an abstract unix socket), so that DATA holds plain files alone and nothing is left behind
by a kill. It carries nothing and proves nothing: whoever notifies in vain costs one look at the queue, and where the
notice is missed, the worker looks each second anyway.
"""

from __future__ import annotations

import contextlib
import os
import socket
from types import TracebackType

from scandock.model.readiness import wait_readable


def _socket_name(data: str) -> bytes:
    at = os.stat(data)
    return b"\0scandock-wake-%d-%d" % (at.st_dev, at.st_ino)


def notify(data: str) -> bool:
    """Wake whoever works on DATA; False where nobody listens. Never blocks, never raises."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(b"!", _socket_name(data))
    except BlockingIOError:
        return True  # so many notices wait already that it will be heard
    except OSError:
        return False
    return True


class NotifyListener:
    """Where a worker listens; one a DATA. `bound` is False where another process has the name: then it only polls."""

    def __init__(self, data: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._ours, self._theirs = socket.socketpair()
        self.bound = False
        with contextlib.suppress(OSError):
            self._socket.bind(_socket_name(data))
            self.bound = True

    def wait(self, seconds: float) -> bool:
        """Wait for a notice, at most so long; True where there was one. Those that came meanwhile count as one."""
        ready = wait_readable([self._socket.fileno(), self._ours.fileno()], seconds)
        if self._socket.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._socket.recv(64)
        return bool(ready)

    def end(self) -> None:
        """Wake `wait` for good, from another thread or a signal's handler."""
        with contextlib.suppress(OSError):
            self._theirs.send(b"!", socket.MSG_DONTWAIT)

    def close(self) -> None:
        for end in (self._socket, self._ours, self._theirs):
            end.close()

    def __enter__(self) -> NotifyListener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
