"""Reading a stored file, or a range of one, and walking what lies below a folder."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, TYPE_CHECKING, cast

from scandock.store import paths
from scandock.store.records import StoreEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scandock.store.paths import DataPath, RelPath

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RangeReader(io.RawIOBase):
    """`length` bytes of a file from `start`: a position of its own, whatever else reads the file."""

    def __init__(
        self, readinto_at: Callable[[int, memoryview], int], on_close: Callable[[], None], start: int, length: int
    ) -> None:
        """`readinto_at` reads into a view from an offset of the file, and gives how many bytes it read."""
        self._readinto_at = readinto_at
        self._on_close = on_close
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        raise io.UnsupportedOperation("a range of a file is not the file")

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._length)[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        left = max(0, self._length - self._at)
        got = self._readinto_at(self._start + self._at, view[:left]) if left else 0
        self._at += got
        return got

    def close(self) -> None:
        if not self.closed:
            self._on_close()
        super().close()


def open_file(name: str, folder_fd: int, offset: int = 0, length: int | None = None) -> IO[bytes]:
    """A seekable reader of a regular file, whole or a range (cut at the end of the file); links are not followed.

    ValueError for a negative offset or length; FileNotFoundError also where it is no regular file.
    """
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"not a range: {offset}, {length}")
    fd = os.open(name, _FILE, dir_fd=folder_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(2, "No regular file", name)
        if offset == 0 and length is None:
            return cast("IO[bytes]", os.fdopen(fd, "rb"))
        left = max(0, status.st_size - offset)
        ranged = RangeReader(
            lambda at, view: os.preadv(fd, [view], at),
            lambda: os.close(fd),
            offset,
            left if length is None else min(length, left),
        )
        return cast("IO[bytes]", io.BufferedReader(ranged))
    except BaseException:
        os.close(fd)
        raise


def read_range(name: str, folder_fd: int, offset: int, length: int) -> bytes:
    """A range of a regular file (cut at the end of the file), as `open_file` would read it, in one go."""
    if offset < 0 or length < 0:
        raise ValueError(f"not a range: {offset}, {length}")
    fd = os.open(name, _FILE, dir_fd=folder_fd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(2, "No regular file", name)
        data = os.pread(fd, length, offset)
        while len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
            data += more
        return data
    finally:
        os.close(fd)


def read_into(name: str, folder_fd: int, view: memoryview) -> int:
    """Fill `view` with a regular file that has its length; the file's bytes, be they more or fewer."""
    fd = os.open(name, _FILE, dir_fd=folder_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(2, "No regular file", name)
        count = 0
        while count < len(view) and (more := os.readv(fd, [view[count:]])):
            count += more
        return count if count < len(view) else status.st_size
    finally:
        os.close(fd)


def walk(
    folder_fd: int, prefix: DataPath | RelPath = paths.TREE_ROOT, order: Callable[[str], str] | None = None
) -> Iterator[tuple[str, os.stat_result, str]]:
    """(relpath, status, kind) of everything below an open folder, sorted, folder by folder; nothing is followed.

    Folders of one folder go by what `order` makes of their paths.

    `kind` as in port.Found; of folders only the empty ones are told. What vanishes meanwhile is left out.
    """
    waiting: list[str] = [prefix]
    while waiting:
        here = waiting.pop()
        try:
            fd = os.open(here or ".", _FOLDER, dir_fd=folder_fd)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            entries = sorted(os.listdir(fd))
            if not entries and here != prefix:
                yield here, os.fstat(fd), "folder"
            folders = []
            for name in entries:
                try:
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                path = f"{here}/{name}" if here else name
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                else:
                    yield path, status, _kind(status.st_mode)
            waiting.extend(sorted(folders, key=order, reverse=True))
        finally:
            os.close(fd)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def list_entries(
    folder_fd: int, name: str = "", prefix: RelPath = paths.TREE_ROOT, order: Callable[[str], str] | None = None
) -> Iterator[StoreEntry]:
    """`walk` as the port tells it, for one tree."""
    for path, status, kind in walk(folder_fd, prefix, order):
        yield StoreEntry(name, paths.unchecked_path(path), status.st_size, status.st_ino, kind)
