"""Where an archive's bytes lie: random access by offset, never a file name, never a shared position."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from scandock.formats.display_names import decode_file_name, quote
from scandock.formats.errors import ReadFailed
from scandock.model.errors import Fault

AGAIN: Final = "Import it again once it is complete."


@runtime_checkable
class Source(Protocol):
    """Bytes that can be read at any offset, by several readers at once."""

    @property
    def size(self) -> int:
        """Bytes in all, fixed when the source was opened."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end of the source."""
        ...

    def readinto_at(self, offset: int, view: memoryview) -> int:
        """Fill `view` from `offset`; the number of bytes got is less than its length only at the end."""
        ...


class FileSource:
    """A file on disk, read with pread; goes to other processes by its path (a descriptor alone cannot).

    Raises OSError where it cannot be opened or is no plain file.
    """

    __slots__ = ("_fd", "_owned", "_path", "_size")

    def __init__(self, where: str | os.PathLike[str] | int) -> None:
        if isinstance(where, int):
            self._path: str | None = None
            self._fd = where
            self._owned = False
        else:
            self._path = os.fspath(where)
            # Opening a pipe would wait for a writer.
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self._owned = True
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a plain file", self._path)
        self._size = os.fstat(self._fd).st_size

    @property
    def size(self) -> int:
        return self._size

    @property
    def path(self) -> str | None:
        return self._path

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`. Raises Fault (`read_failed`) when the disk does, or the file was cut meanwhile."""
        length = max(0, min(length, self._size - offset))
        try:
            data = os.pread(self._fd, length, offset)
            while len(data) < length and (more := os.pread(self._fd, length - len(data), offset + len(data))):
                data += more
        except OSError as error:
            raise self._fault(error) from error
        if len(data) < length:
            raise self.cut()
        return data

    def readinto_at(self, offset: int, view: memoryview) -> int:
        """See `Source.readinto_at`. Raises Fault (`read_failed`) as `read_at` does."""
        done = 0
        try:
            while done < len(view) and (got := os.preadv(self._fd, [view[done:]], offset + done)):
                done += got
        except OSError as error:
            raise self._fault(error) from error
        if done < len(view) and offset + done < self._size:
            raise self.cut()
        return done

    def close(self) -> None:
        """Close the descriptor where this source opened it; safe to call twice."""
        if self._owned:
            self._owned = False
            os.close(self._fd)

    def _fault(self, error: OSError) -> Fault:
        return ReadFailed(f"The archive could not be read from disk: {error.strerror}.", "Try again.", quotes=True)

    def cut(self) -> Fault:
        """The Fault for a file that has become shorter than it was when it was opened."""
        name = quote(decode_file_name(os.path.basename(self._path))) if self._path is not None else "The file"
        return ReadFailed(f"{name} became shorter while it was read.", AGAIN)

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[FileSource], tuple[str]]:
        if self._path is None:
            raise TypeError("a source made from a descriptor cannot go to another process")
        return (FileSource, (self._path,))


class ComingSource(FileSource):
    """A file that grows; who reads what is still to come waits for it."""

    __slots__ = ("_wait",)

    def __init__(self, path: str | os.PathLike[str], size: int, wait: Callable[[int], int]) -> None:
        """`size`: that it has in the end, or more, as long as that is not known.

        `wait` returns once so many bytes from the beginning are here, or all where these are fewer; it gives the size,
        as far as that is known then. What it raises ends the reading.
        """
        super().__init__(path)
        self._size = size
        self._wait = wait

    def read_at(self, offset: int, length: int) -> bytes:
        self._size = self._wait(min(self._size, offset + length))
        return super().read_at(offset, length)

    def readinto_at(self, offset: int, view: memoryview) -> int:
        self._size = self._wait(min(self._size, offset + len(view)))
        return super().readinto_at(offset, view[: max(0, self._size - offset)])


class MemorySource:
    """Bytes already in memory, such as a small archive found inside another."""

    __slots__ = ("_view",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B").toreadonly()

    @property
    def size(self) -> int:
        return len(self._view)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self._view[offset : offset + max(0, length)])

    def view_at(self, offset: int, length: int) -> memoryview:
        """As `read_at`, of the bytes where they lie: valid as long as these are."""
        return self._view[offset : offset + max(0, length)]

    def readinto_at(self, offset: int, view: memoryview) -> int:
        part = self._view[offset : offset + len(view)]
        view[: len(part)] = part
        return len(part)

    def __reduce__(self) -> tuple[type[MemorySource], tuple[bytes]]:
        return (MemorySource, (bytes(self._view),))


class SliceSource:
    """A stretch of another source: a stored entry of a zip, a member of a plain tar. Nothing is copied."""

    __slots__ = ("_offset", "_size", "_source")

    def __init__(self, source: Source, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > source.size:
            raise ValueError("a slice must lie within its source")
        if isinstance(source, SliceSource):
            source, offset = source.within(offset)
        self._source = source
        self._offset = offset
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def within(self, offset: int) -> tuple[Source, int]:
        """The source that this is a slice of, and where `offset` of the slice lies in it."""
        return self._source, self._offset + offset

    def read_at(self, offset: int, length: int) -> bytes:
        return self._source.read_at(self._offset + offset, max(0, min(length, self._size - offset)))

    def readinto_at(self, offset: int, view: memoryview) -> int:
        length = max(0, min(len(view), self._size - offset))
        return self._source.readinto_at(self._offset + offset, view[:length])

    def __reduce__(self) -> tuple[type[SliceSource], tuple[Source, int, int]]:
        return (SliceSource, (self._source, self._offset, self._size))
