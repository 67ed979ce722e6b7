"""A folder that a command writes files to: each is there whole or not at all, and nothing else ever is.

A file is written without a name, on the file system of the folder, and gets its name once its last byte is there: a
kill leaves nothing. Where the file system can't do that (NFS, FAT), it is written beside the folder, its name hidden,
and moved; in the folder where no file can be written beside it. Folders are opened one by one and links among them are
never followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from scandock.deidentification.data_set import EditedPixels, Range
from scandock.formats.errors import ReadFailed
from scandock.model.errors import Fault
from scandock.model.machine_errors import DiskFull
from scandock.services.output_errors import OutputExists, OutputIsInput, OutputNotWritten
from scandock.store import syscalls
from scandock.store.durability import write_all

FILE_MODE: Final = 0o666
"""Less what the umask takes."""

_NAMELESS: Final = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HIDDEN: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXISTING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HIDDEN_NAME: Final = re.compile(r"\.scandock-[0-9a-f]{16}")
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
_OCCUPIED: Final = frozenset({errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EISDIR})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_COPY: Final = 64 * 1024 * 1024

Part = bytes | memoryview | Range | EditedPixels
"""Bytes, or a range of the file that is copied from."""


class OutputFolder:
    """One folder, made where it is missing. `inputs`: files that are read, which nothing replaces (device, inode)."""

    def __init__(self, path: str, *, overwrite: bool, inputs: Iterable[tuple[int, int]] = ()) -> None:
        """Raises OutputNotWritten."""
        self.path = path
        self.overwrite = overwrite
        self._inputs = frozenset(inputs)
        self._last: tuple[str, int] | None = None
        try:
            os.makedirs(path, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _failure(error, path) from error
        self._is_nameless = True
        self._is_swept = False

    def scratch(self) -> int:
        """A file without a name, for as long as its descriptor is open; on the folder's file system where that can be.

        Raises OutputNotWritten.
        """
        try:
            with contextlib.suppress(OSError):
                if self._is_nameless:
                    return os.open(".", _NAMELESS, 0o600, dir_fd=self._fd)
            with tempfile.TemporaryFile() as file:
                return os.dup(file.fileno())
        except OSError as error:
            raise _failure(error, self.path) from error

    def write_scratch(self, fd: int, data: bytes | memoryview) -> None:
        """Append to such a file; raises OutputNotWritten."""
        try:
            write_all(fd, data)
        except OSError as error:
            raise _failure(error, self.path) from error

    def check_free(self, relative: str) -> None:
        """Raises OutputExists or OutputIsInput where a file of that name could not be written now."""
        folder, _, name = relative.rpartition("/")
        try:
            with self._folder(folder, create=False) as folder_fd:
                self._check_name(name, folder_fd)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in _OCCUPIED:
                raise OutputExists from None
            raise _failure(error, relative) from error

    def write(self, relative: str, parts: Iterable[Part], source_fd: int = -1) -> int:
        """Write a file under a relative path; its size.

        A range among the parts is copied from `source_fd` within the kernel. Raises OutputExists, OutputIsInput,
        OutputNotWritten, and ReadFailed where the source has become shorter.
        """
        return self._write(relative, lambda fd: _write_parts(fd, parts, source_fd))

    def write_chunks(self, relative: str, chunks: Iterable[bytes]) -> int:
        """The same of bytes that come piece by piece; what `chunks` raises, other than OSError, leaves no file."""
        return self._write(relative, lambda fd: sum(write_all(fd, memoryview(chunk)) for chunk in chunks))

    def _write(self, relative: str, fill: Callable[[int], int]) -> int:
        try:
            if self._is_nameless:
                try:
                    fd = os.open(".", _NAMELESS, FILE_MODE, dir_fd=self._fd)
                except OSError as error:
                    if error.errno not in _UNSUPPORTED:
                        raise
                    self._is_nameless = False
                else:
                    return self._write_nameless(fd, relative, fill)
            return self._write_beside(relative, fill)
        except OSError as error:
            if error.errno in _OCCUPIED:
                raise OutputExists from None
            raise _failure(error, relative) from error

    def open_existing(self, relative: str) -> int | None:
        """A descriptor of the file of that name, to be read; None where there is none.

        Raises OutputExists where something else has its name or that of a folder above, OutputNotWritten.
        """
        folder, _, name = relative.rpartition("/")
        try:
            with self._folder(folder, create=False) as folder_fd:
                fd = os.open(name, _EXISTING, dir_fd=folder_fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _OCCUPIED:
                raise OutputExists from None
            raise _failure(error, relative) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OutputExists
        return fd

    def sync(self) -> None:
        """Have it all on the disk; raises OutputNotWritten where something could not be written to it."""
        try:
            syscalls.syncfs(self._fd)
        except OSError as error:
            raise _failure(error, self.path) from error

    def close(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None
        os.close(self._fd)

    def _write_nameless(self, fd: int, relative: str, fill: Callable[[int], int]) -> int:
        folder, _, name = relative.rpartition("/")
        try:
            size = fill(fd)
            with self._folder(folder, create=True) as folder_fd:
                if self._check_name(name, folder_fd):
                    os.unlink(name, dir_fd=folder_fd)
                os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder_fd, follow_symlinks=True)
        finally:
            os.close(fd)
        return size

    def _write_beside(self, relative: str, fill: Callable[[int], int]) -> int:
        folder, _, name = relative.rpartition("/")
        above = self._hidden_folder()
        if not self._is_swept:
            _remove_leftovers(above)
            self._is_swept = True
        hidden, fd, lock = _open_hidden(above)
        try:
            try:
                size = fill(fd)
            finally:
                os.close(fd)  # which tells of what a network's disk could not take, before the file has its name
            with self._folder(folder, create=True) as folder_fd:
                if self._check_name(name, folder_fd):
                    os.unlink(name, dir_fd=folder_fd)
                try:
                    os.link(hidden, name, dst_dir_fd=folder_fd)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    os.rename(hidden, name, dst_dir_fd=folder_fd)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden)
            os.close(lock)
        return size

    def _hidden_folder(self) -> str:
        """Where a file has a hidden name until it is whole: beside the folder, or in it where that is a disk."""
        above = os.path.dirname(os.path.realpath(self.path))
        is_same = os.stat(above).st_dev == os.fstat(self._fd).st_dev
        return above if is_same and os.access(above, os.W_OK | os.X_OK) else self.path

    def _check_name(self, name: str, folder_fd: int) -> bool:
        """Whether a file has to give way; raises OutputExists, OutputIsInput."""
        try:
            status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) in self._inputs:
            raise OutputIsInput
        if not self.overwrite or stat.S_ISDIR(status.st_mode):
            raise OutputExists
        return True

    @contextlib.contextmanager
    def _folder(self, folder: str, *, create: bool) -> Iterator[int]:
        """A descriptor of a folder below, the last one kept open."""
        if not folder:
            yield self._fd
            return
        if self._last is None or self._last[0] != folder:
            fd = self._open_folder(folder, create=create)
            if self._last is not None:
                os.close(self._last[1])
            self._last = (folder, fd)
        yield self._last[1]

    def _open_folder(self, folder: str, *, create: bool) -> int:
        fd = self._fd
        try:
            for name in folder.split("/"):
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                child = os.open(name, _FOLDER, dir_fd=fd)
                if fd != self._fd:
                    os.close(fd)
                fd = child
        except OSError:
            if fd != self._fd:
                os.close(fd)
            raise
        return fd


def _open_hidden(folder: str) -> tuple[str, int, int]:
    """A new file with a hidden name: its path, its descriptor, and another one that says that it is in use."""
    while True:
        hidden = os.path.join(folder, f".scandock-{secrets.token_hex(8)}")
        fd = os.open(hidden, _HIDDEN, FILE_MODE)
        with contextlib.suppress(OSError):  # where files can't be locked nobody removes any
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return hidden, fd, os.dup(fd)
        os.close(fd)  # another run took it for a leftover before it was locked


def _remove_leftovers(folder: str) -> None:
    """Remove the hidden files that a killed run has left: those of a living one are locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _HIDDEN_NAME.fullmatch(entry.name)]
        for name in names:
            with contextlib.suppress(OSError):
                _remove_unlocked(os.path.join(folder, name))


def _remove_unlocked(path: str) -> None:
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(fd)


def _write_parts(fd: int, parts: Iterable[Part], source_fd: int) -> int:
    size = 0
    small: list[bytes | memoryview] = []
    for part in parts:
        if isinstance(part, Range):
            size += _write_small(fd, small) + _copy(source_fd, fd, part)
            small = []
        elif isinstance(part, EditedPixels):
            size += _write_small(fd, small) + sum(write_all(fd, memoryview(piece)) for piece in part)
            small = []
        else:
            small.append(part)
    return size + _write_small(fd, small)


def _write_small(fd: int, parts: list[bytes | memoryview]) -> int:
    """Parts that are in memory, joined where they are little, so that a header is one write."""
    size = 0
    for group in _grouped(parts):
        size += write_all(fd, group)
    return size


_JOINED: Final = 1024 * 1024


def _grouped(parts: list[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    waiting: list[bytes | memoryview] = []
    length = 0
    for part in parts:
        if len(part) > _JOINED or length + len(part) > 2 * _JOINED:
            if waiting:
                yield b"".join(waiting)
            waiting, length = [], 0
        if len(part) > _JOINED:
            yield part
        else:
            waiting.append(part)
            length += len(part)
    if waiting:
        yield b"".join(waiting)


def _copy(source_fd: int, fd: int, part: Range) -> int:
    """Copy a range of another file to the end of this one, without a byte of it in this process."""
    at, left = part.start, part.end - part.start
    while left:
        done = _copy_some(source_fd, fd, at, min(left, _COPY))
        if not done:
            raise ReadFailed("The file became shorter while it was read.", "Run it again once the file is complete.")
        at, left = at + done, left - done
    return part.end - part.start


def _copy_some(source_fd: int, fd: int, at: int, count: int) -> int:
    try:
        return os.copy_file_range(source_fd, fd, count, offset_src=at)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM}:
            raise
        return os.sendfile(fd, source_fd, at, min(count, 1 << 30))


def _failure(error: OSError, name: str) -> Fault:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return DiskFull(
            f"{name!r} could not be written: {reason}.", "Free space and run the command again.", quotes=True
        )
    return OutputNotWritten(f"{name!r} could not be written: {reason}.", "Check the output folder.", quotes=True)
