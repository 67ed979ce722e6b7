"""Messages between the web process and a decoder: JSON, bytes, and open files.

JSON and not marshal, so that a decoder that a hostile file has taken over can send nothing but data; both lengths are
bounded before a byte is kept.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

FILES: Final = 200
"""Open files in one message; the kernel takes 253."""

_HEAD: Final = struct.Struct("<IQ")
_MAX_SAID: Final = 32 * 1024**2
_MAX_BODY: Final = 512 * 1024**2


class Message(NamedTuple):
    """What was said, the bytes with it, and the descriptors, which who receives them closes."""

    said: dict[str, Any]
    body: bytes
    files: list[int]

    def close(self) -> None:
        for fd in self.files:
            os.close(fd)


def send(end: socket.socket, said: dict[str, Any], body: bytes = b"", files: Sequence[int] = ()) -> None:
    """OSError where the other end is gone, or takes longer than the socket's own time."""
    text = json.dumps(said, separators=(",", ":")).encode()
    socket.send_fds(end, [_HEAD.pack(len(text), len(body))], files)
    end.sendall(text)
    if body:
        end.sendall(body)


def receive(end: socket.socket) -> Message | None:
    """The next message; None where the other end is gone, or sends what is none. TimeoutError by the socket's time."""
    head, files, _, _ = socket.recv_fds(end, _HEAD.size, FILES)
    try:
        rest = _exactly(end, _HEAD.size - len(head)) if head else None
        if rest is None:
            return None
        texts, bodies = _HEAD.unpack(head + rest)
        if texts > _MAX_SAID or bodies > _MAX_BODY:
            return None
        text, body = _exactly(end, texts), _exactly(end, bodies)
        said = None if text is None or body is None else _parsed(text)
        if said is None or body is None:
            return None
        kept, files = files, []
        return Message(said, body, kept)
    finally:
        for fd in files:
            os.close(fd)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _exactly(end: socket.socket, count: int) -> bytes | None:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = end.recv_into(view)
        if not got:
            return None
        view = view[got:]
    return bytes(data)
