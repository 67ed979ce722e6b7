"""What is uploaded: bytes with a known size that can be read from any offset, and by which they are known again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from scandock.cli.checks import error_reason
from scandock.cli.upload_client.errors import ArchiveChanged
from scandock.formats.errors import ReadFailed
from scandock.model.errors import Fault

PIECE_BYTES: Final = 512 * 1024
END_BYTES: Final = 1024 * 1024
"""Bytes at head and tail of a file by which it is known again."""


class Source(Protocol):
    """An archive as a stream of bytes. `read` raises Fault `archive_changed` or `read_failed`."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    def identity(self) -> bytes:
        """What tells this archive, in this state, from others."""
        ...

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `offset`, in pieces."""
        ...

    def close(self) -> None: ...


def fingerprint(source: Source, fields: Mapping[str, str]) -> str:
    """By what an upload is found again: the archive's name, size and ends, and all that is asked for with it."""
    digest = hashlib.sha256(b"scandock upload 1\0")
    for part in (source.name, str(source.size), *(f"{name}={fields[name]}" for name in sorted(fields))):
        raw = part.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    digest.update(source.identity())
    return digest.hexdigest()


class FileSource:
    """A file where it lies."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(os.path.abspath(path))
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise read_failed(path, error) from error
        self._state = _state(self._fd)
        self.size = self._state[0]

    def identity(self) -> bytes:
        """Its ends, and when it was last written: what lies between them may have been changed in place."""
        try:
            head = os.pread(self._fd, END_BYTES, 0)
            tail = os.pread(self._fd, END_BYTES, max(0, self.size - END_BYTES))
        except OSError as error:
            raise read_failed(self.path, error) from error
        return hashlib.sha256(head + tail + str(self._state).encode()).digest()

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """See `Source.read`."""
        remaining = length
        while remaining:
            try:
                piece = os.pread(self._fd, min(PIECE_BYTES, remaining), offset)
            except OSError as error:
                raise read_failed(self.path, error) from error
            remaining -= len(piece)
            offset += len(piece)
            if not piece or (not remaining and _state(self._fd) != self._state):
                raise archive_changed(self.path)
            yield piece

    def close(self) -> None:
        os.close(self._fd)


def archive_changed(path: str) -> Fault:
    """A file is not what it was when its upload was begun: the parts would not fit together."""
    return ArchiveChanged(path)


def read_failed(path: str, error: OSError) -> Fault:
    return ReadFailed(f"{path!r} can't be read: {error_reason(error)}.", "Look at its disk and its permissions.")


def _state(fd: int) -> tuple[int, int]:
    """Size and time of the last change in nanoseconds."""
    status = os.fstat(fd)
    return status.st_size, status.st_mtime_ns
