"""What bodies with stored bytes are made of: pieces of memory, and ranges of open files that need not come into it."""

from __future__ import annotations

import os
from typing import IO, Final, NamedTuple

from scandock.services.file_errors import FileChanged

AHEAD_BYTES: Final = 4 * 1024 * 1024
"""Of a file that the system reads before they are asked for."""
_ADVICE_BYTES: Final = 2 * 1024 * 1024
"""That it is told of at once."""


class FileRange(NamedTuple):
    """Bytes of an open file, which stays open until the next chunk is asked for."""

    fd: int
    offset: int
    length: int


Chunk = bytes | memoryview | FileRange
"""A piece of a body. Memory is good until the next one is asked for: it may be filled again then."""


def copy_chunk(chunk: Chunk) -> bytes:
    """The bytes of a chunk, to be kept. FileChanged where the file has fewer."""
    if not isinstance(chunk, FileRange):
        return bytes(chunk)
    data = os.pread(chunk.fd, chunk.length, chunk.offset)
    while len(data) < chunk.length:
        more = os.pread(chunk.fd, chunk.length - len(data), chunk.offset + len(data))
        if not more:
            raise FileChanged
        data += more
    return data


class ReadAhead:
    """Has the system read what comes next of an open file, so that its disk is at work while the client is, too."""

    def __init__(self, fd: int | None, start: int, end: int) -> None:
        """Without a descriptor nothing is done."""
        self._fd = fd
        self._at = start
        self._end = end

    def want(self, position: int) -> None:
        """What stands at `position` is read now."""
        while self._fd is not None and self._at < min(self._end, position + AHEAD_BYTES):
            os.posix_fadvise(self._fd, self._at, min(_ADVICE_BYTES, self._end - self._at), os.POSIX_FADV_WILLNEED)
            self._at += _ADVICE_BYTES


def find_descriptor(stream: IO[bytes]) -> int | None:
    """The descriptor of an open file; None where a store elsewhere has none."""
    try:
        return stream.fileno()
    except OSError:
        return None
