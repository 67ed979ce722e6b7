"""Messages between the web process and a decoder: JSON, bytes, and open files.

JSON and not marshal, so that a decoder that a hostile file has taken over can send nothing but data; both lengths are
bounded before a byte is kept.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final, NamedTuple, Required, TypedDict

MAX_DESCRIPTORS: Final = 200
"""Open files in one message; the kernel takes 253."""

_HEAD: Final = struct.Struct("<IQ")
_MAX_SAID: Final = 32 * 1024**2
_MAX_BODY: Final = 512 * 1024**2
_PIECE: Final = 256 * 1024

IN_MEMORY: Final = 1024**2
"""Bytes up to which a body is kept in memory; a longer one goes into a file, piece by piece, where there is one."""

JsonObject = dict[str, Any]
"""What the other end said. It may be a decoder that a hostile file has taken over: nothing is known of its shape."""


class DecoderRequest(TypedDict, total=False):
    """What a decoder is asked."""

    verb: Required[str]
    frame: int
    """Of `raw`, `picture`, `thumbnail`, `rendered`, `native` and `stored`: which one of the file, from 0."""
    packed: bool
    """Of `raw`: gzipped."""
    size: int | None
    """Of `picture`: pixels of the longer side."""
    center: float
    width: float
    """Of `picture` and `rendered`: the window; without it the header's."""
    function: str
    """Of `rendered`: that of the window."""
    media_type: str
    """Of `rendered`: image/jpeg or image/png."""
    viewport: list[int] | None
    """Of `rendered`: pixels, wide and high, into which it has to fit."""
    quality: int
    """Of `rendered` as JPEG."""
    path: list[int]
    """Of `bulk`: tag, item, tag ... of the element."""


OpenBody = Callable[[int], IO[bytes]]
"""Opens what a body of so many bytes is written to; it stays the caller's."""


class BodyNotStored(Exception):
    """A body had no place to be written to; the message was read to its end. Its cause says why."""


class Message(NamedTuple):
    """What was said, the bytes with it, and the descriptors, which who receives them closes.

    `body` is empty where it was kept elsewhere (`receive`).
    """

    said: JsonObject
    body: bytes
    files: list[int]

    def close(self) -> None:
        for fd in self.files:
            os.close(fd)


def send(end: socket.socket, said: Mapping[str, object], body: bytes = b"", files: Sequence[int] = ()) -> None:
    """OSError where the other end is gone, or takes longer than the socket's own time."""
    text = json.dumps(said, separators=(",", ":")).encode()
    socket.send_fds(end, [_HEAD.pack(len(text), len(body))], files)
    end.sendall(text)
    if body:
        end.sendall(body)


def receive(end: socket.socket, keep: OpenBody | None = None) -> Message | None:
    """The next message; None where the other end is gone, or sends what is none. TimeoutError by the socket's time.

    A body of more than `IN_MEMORY` bytes is written to what `keep` opens for it. BodyNotStored where that fails.
    """
    head, files, _, _ = socket.recv_fds(end, _HEAD.size, MAX_DESCRIPTORS)
    try:
        rest = _receive_exactly(end, _HEAD.size - len(head)) if head else None
        if rest is None:
            return None
        texts, bodies = _HEAD.unpack(head + rest)
        if texts > _MAX_SAID or bodies > _MAX_BODY:
            return None
        text = _receive_exactly(end, texts)
        body = _receive_exactly(end, bodies) if keep is None or bodies <= IN_MEMORY else _store_body(end, bodies, keep)
        fields = None if text is None or body is None else _parse_fields(text)
        if fields is None or body is None:
            return None
        descriptors, files = files, []
        return Message(fields, body, descriptors)
    finally:
        for fd in files:
            os.close(fd)


def _parse_fields(text: bytes) -> JsonObject | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _store_body(end: socket.socket, count: int, keep: OpenBody) -> bytes | None:
    """Write a body to where it is kept; b"" once it is all there.

    BodyNotStored, once it was read to its end all the same.
    """
    file: IO[bytes] | None = None
    why: Exception | None = None
    try:
        file = keep(count)
    except Exception as error:  # noqa: BLE001  whatever it is, the decoder has to be read to the end of its answer
        why = error
    view = memoryview(bytearray(min(count, _PIECE)))
    while count:
        got = end.recv_into(view[: min(count, len(view))])
        if not got:
            return None
        count -= got
        if file is not None and why is None:
            try:
                if file.write(view[:got]) < got:
                    why = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                why = error
    if why is not None:
        raise BodyNotStored from why
    return b""


def _receive_exactly(end: socket.socket, count: int) -> bytes | None:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = end.recv_into(view)
        if not got:
            return None
        view = view[got:]
    return bytes(data)
