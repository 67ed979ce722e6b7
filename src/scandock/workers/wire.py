"""Messages between an import and its reader processes: length and marshal, over a pair of sockets.

marshal carries plain values alone, so that a reader that a hostile file has taken over can send nothing but data.
"""

from __future__ import annotations

import marshal
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("<I")
MAX_MESSAGE = 256 * 1024 * 1024


class Wire:
    """One end of the pair; `send` and `receive` block."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def fileno(self) -> int:
        return self.end.fileno()

    def send(self, message: tuple[Any, ...]) -> None:
        body = marshal.dumps(message)
        self.end.sendall(_LENGTH.pack(len(body)) + body)

    def receive(self) -> tuple[Any, ...] | None:
        """The next message, or None where the other end has gone."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > MAX_MESSAGE:
            return None
        body = self._exactly(length)
        if body is None:
            return None
        message: tuple[Any, ...] = marshal.loads(body)  # noqa: S302  plain values from a process of our own
        return message

    def _exactly(self, count: int) -> bytearray | None:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            try:
                got = self.end.recv_into(view)
            except (ConnectionError, OSError):
                return None
            if not got:
                return None
            view = view[got:]
        return data

    def close(self) -> None:
        self.end.close()
