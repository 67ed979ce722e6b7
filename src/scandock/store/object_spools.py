"""Object spools: a zip that grows by one stored entry for each object received, in `incoming/{upload}/archive`.

Entries stand one after the other from the first byte on, so that what was appended can be found again without the
central directory, which is written last (`zip_entries.py`).

An object that was too large for memory is an entry in a file of its own beside it (`object-1`), where its bytes were
written while they came: nobody waits for it to be copied, which is done when the spool is finished.

`services.zip_stream.ZipWriter` can't do this: what it makes is only sent, so sizes and checksums follow each entry and
the directory waits in memory. Here they stand before each entry, for a kill leaves neither memory nor a directory.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from isal import isal_zlib

from scandock.store import paths
from scandock.store.durability import disk_fault, sync_fault, sync_folder
from scandock.store.errors import SpoolClosed
from scandock.store.folder_cache import FOLDER_MODE
from scandock.store.paths import INCOMING
from scandock.store.spools import FILE_MODE
from scandock.store.zip_entries import compute_crc, local_header, long_header, make_directory, read_entry, walk_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from scandock.store.paths import DataPath
    from scandock.store.port import ObjectFile
    from scandock.store.root import Root

_BLOCK: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_COPIED: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""How `copy_file_range` says that these two files can't be copied so."""


class LocalObjectFile:
    """An object that comes piece by piece, as an entry of a zip whose header is written last; for one thread."""

    def __init__(self, root: Root, name: str, head: bytes) -> None:
        self.size = 0
        self.fd = -1
        self.fd = _open_unnamed(root)
        self._name = name
        self._crc = isal_zlib.crc32(head)
        self._data_at = len(long_header(name, 0, 0)) + len(head)
        try:
            _write_at(self.fd, [head], self._data_at - len(head))
        except OSError as error:
            self.close()
            raise disk_fault(error, "receiving an object") from error
        self._head = len(head)

    @property
    def end(self) -> int:
        """Bytes of the whole entry."""
        return self._data_at + self.size

    def write(self, data: memoryview) -> None:
        _write_at(self.fd, [data], self.end)
        self._crc = isal_zlib.crc32(data, self._crc)
        self.size += data.nbytes

    def read_first(self, length: int) -> bytes:
        return os.pread(self.fd, min(length, self.size), self._data_at)

    def write_header(self) -> None:
        """Have the entry be whole. Raises OSError."""
        _write_at(self.fd, [long_header(self._name, self._crc, self._head + self.size)], 0)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():
            self.close()


class LocalObjectSpool:
    """One upload's growing zip, opened by one process at a time; any of its threads may append and sync."""

    def __init__(self, root: Root, upload: str) -> None:
        self._fd: int | None = None
        self.upload = paths.label(upload)
        self._root = root
        self._finishing = threading.Lock()
        self._syncing = threading.Lock()
        self._appending = threading.Lock()
        """Taken in this order. Who appends or syncs never waits for a spool that is being finished."""
        self._named = False
        self._closed: Literal["", "failed", "finished", "discarded"] = ""
        self._files: dict[int, int] = {}
        """Objects in files of their own: their bytes, by number."""
        self._numbers = itertools.count(1)
        self._entries = self._synced_entries = 0
        self._finished: int | None = None
        """Bytes of the whole zip, once it is: from then on somebody else may read it."""
        self.size = 0
        self.synced = 0

    @property
    def _folder(self) -> DataPath:
        return paths.spool_folder(self.upload)

    @property
    def entries(self) -> int:
        return self._entries + len(self._files)

    @property
    def beside(self) -> int:
        return sum(list(self._files.values()))

    def append(self, name: str, parts: Sequence[bytes | memoryview]) -> int:
        size = crc = 0
        for part in parts:
            size += part.nbytes if isinstance(part, memoryview) else len(part)
            crc = isal_zlib.crc32(part, crc)
        header = local_header(name, crc, size)
        with self._appending:
            fd = self._open()
            at = self.size
            try:
                _write_at(fd, [header, *parts], at)
            except OSError as error:
                self._cut_to(fd, at)
                raise disk_fault(error, f"receiving upload {self.upload}") from error
            self.size = at + len(header) + size
            self._entries += 1
            return self.size

    def append_file(self, file: ObjectFile) -> int:
        assert isinstance(file, LocalObjectFile)
        with self._appending:
            self._open()
            number = next(self._numbers)
        name = paths.spool_object(self.upload, number)
        try:
            file.write_header()
            fd = self._link(file, name)
            try:
                os.fdatasync(fd)
            finally:
                if fd != file.fd:
                    os.close(fd)
            sync_folder(self._folder, self._root.fd)
            sync_folder(INCOMING, self._root.fd)
            with self._appending:
                self._open()  # raises SpoolClosed where it was closed meanwhile
                self._files[number] = file.end
                return self.size
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._root.fd)
            if not isinstance(error, OSError):
                raise
            if self._closed:
                raise SpoolClosed(self.upload) from error
            if error.errno in _FULL:
                raise disk_fault(error, f"receiving upload {self.upload}") from error
            raise sync_fault(error, f"Upload {self.upload}") from error

    def _link(self, file: LocalObjectFile, name: DataPath) -> int:
        """Give an object's file its name, or the name to a copy; the descriptor of that. Raises OSError."""
        with contextlib.suppress(OSError):  # as where the file system knows no files without names
            os.link(f"/proc/self/fd/{file.fd}", name, dst_dir_fd=self._root.fd, follow_symlinks=True)
            return file.fd
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, FILE_MODE, dir_fd=self._root.fd)
        try:
            _copy_file(file.fd, fd, 0, file.end)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def sync(self, end: int) -> None:
        if self.synced >= end:
            return
        with self._syncing:
            if self.synced >= end:
                return
            self._sync()

    def _sync(self, *, closed: bool = False) -> None:
        with self._appending:
            fd = self._open(closed=closed)
            covered, entries = self.size, self._entries
        try:
            os.fdatasync(fd)
            if not self._named:
                sync_folder(self._folder, self._root.fd)
                sync_folder(INCOMING, self._root.fd)
                self._named = True
        except OSError as error:
            self._fail()
            raise sync_fault(error, f"Upload {self.upload}") from error
        except BaseException:
            self._fail()
            raise
        self.synced, self._synced_entries = covered, entries

    def _fail(self) -> None:
        """Take nothing more, and keep what earlier syncs have covered."""
        with self._appending:
            self._closed, self._finished = "failed", None
            if self._fd is not None:
                self._cut_to(self._fd, self.synced)

    def cut(self) -> int:
        with self._finishing, self._syncing, self._appending:
            self._finished = None
            if self._fd is not None:
                self._cut_to(self._fd, self.synced)
            return self.size

    def recover(self) -> int:
        with self._finishing, self._syncing, self._appending:
            fd = self._open()
            entries = end = 0
            try:
                numbers = paths.spool_object_numbers(self._root.list(self._folder))
                known = set()
                for entry in walk_entries(partial(os.pread, fd), os.fstat(fd).st_size, check=True):
                    entries, end = entries + 1, entry.end
                    if numbers:
                        known.add(entry.content)
                files = {number: size for number in numbers if (size := self._measure_file(number, known))}
            except OSError as error:
                raise disk_fault(error, f"recovering upload {self.upload}") from error
            try:
                os.ftruncate(fd, end)
                os.fsync(fd)
            except OSError as error:
                raise sync_fault(error, f"Upload {self.upload}") from error
            try:
                for number in numbers:
                    if number not in files:  # not before its copy is on disk
                        os.unlink(paths.spool_object(self.upload, number), dir_fd=self._root.fd)
            except OSError as error:
                raise disk_fault(error, f"recovering upload {self.upload}") from error
            self.size = self.synced = end
            self._entries = self._synced_entries = entries
            self._finished = None
            self._files = files
            self._numbers = itertools.count(max(numbers, default=0) + 1)
            return self.entries

    def _measure_file(self, number: int, known: set[tuple[bytes, int, int]]) -> int:
        """Bytes of an object's file; 0 where it is not whole or was copied already."""
        name = paths.spool_object(self.upload, number)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root.fd)
        try:
            size = os.fstat(fd).st_size
            read = partial(os.pread, fd)
            entry = read_entry(read, 0, size)
            is_whole = entry is not None and entry.end == size and compute_crc(read, entry) == entry.crc
            if entry is not None and is_whole and entry.content not in known:
                os.fsync(fd)
                return size
            return 0
        finally:
            os.close(fd)

    def finish(self) -> int:
        with self._finishing:
            with self._appending:
                if self._closed == "discarded":
                    raise SpoolClosed(self.upload)
                if self._finished is not None:
                    return self._finished
                self._closed = self._closed or "finished"
                fd = self._open(closed=True)
                self._cut_to(fd, self.synced if self._closed == "failed" else self.size)
            if self.synced < self.size or not self._named:
                with self._syncing:
                    self._sync(closed=True)
            try:
                files = list(self._files.items())
                for number, size in files:
                    self._bring(fd, number, size)
                if files:
                    sync_folder(self._folder, self._root.fd)  # no kill brings one back beside the archive
                at = self.size
                for block in make_directory(walk_entries(partial(os.pread, fd), at, check=False), at):
                    at += _write_at(fd, [block], at)
                os.fsync(fd)
            except OSError as error:
                self._cut_to(fd, self.synced)
                if error.errno in _FULL:
                    raise disk_fault(error, f"closing upload {self.upload}") from error
                raise sync_fault(error, f"Upload {self.upload}") from error
            self._finished = at
            return at

    def _bring(self, fd: int, number: int, size: int) -> None:
        """Have an object of a file of its own stand in the zip, on disk, and the file be gone. Raises OSError."""
        name = paths.spool_object(self.upload, number)
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root.fd)
        try:
            _copy_file(source, fd, self.size, size)
        finally:
            os.close(source)
        os.fdatasync(fd)
        self.size = self.synced = self.size + size
        self._entries = self._synced_entries = self._entries + 1
        del self._files[number]
        os.unlink(name, dir_fd=self._root.fd)

    def read_first(self, length: int) -> bytes:
        with self._appending:
            fd = self._open(closed=True)
            size = os.fstat(fd).st_size
            numbers = list(self._files)
        for entry in walk_entries(partial(os.pread, fd), size, check=False):
            return os.pread(fd, min(length, entry.size), entry.data_at)
        for number in numbers:
            path = paths.spool_object(self.upload, number)
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root.fd), "rb") as file:
                whole = read_entry(partial(os.pread, file.fileno()), 0, os.fstat(file.fileno()).st_size)
                if whole is not None:
                    return os.pread(file.fileno(), min(length, whole.size), whole.data_at)
        return b""

    def discard(self) -> None:
        with self._finishing, self._syncing, self._appending:
            self._closed = "discarded"
            self._close()
            self._root.give_up(self._folder)

    def close(self) -> None:
        with self._finishing, self._syncing, self._appending:
            self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():
            self._close()

    def _open(self, *, closed: bool = False) -> int:
        if self._closed and not closed:
            raise SpoolClosed(self.upload)
        if self._fd is None:
            try:
                os.mkdir(self._folder, FOLDER_MODE, dir_fd=self._root.fd)
            except FileExistsError:
                pass
            except OSError as error:
                raise disk_fault(error, f"receiving upload {self.upload}") from error
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._fd = os.open(paths.spool_file(self.upload), flags, FILE_MODE, dir_fd=self._root.fd)
            except OSError as error:
                raise disk_fault(error, f"opening upload {self.upload}") from error
        return self._fd

    def _cut_to(self, fd: int, end: int) -> None:
        """Drop what stands behind `end`; where the system refuses, the next entry is written over it."""
        try:
            if os.fstat(fd).st_size > end:
                os.ftruncate(fd, end)
        except OSError:
            pass
        if end < self.size:
            self.size, self._entries = self.synced, self._synced_entries


def _open_unnamed(root: Root) -> int:
    """Descriptor of a new file in `incoming` that has no name, and is gone once it is closed."""
    try:
        return os.open(INCOMING, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=root.fd)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}:
            raise disk_fault(error, "receiving an object") from error
    name = f"{INCOMING}/.object-{os.urandom(16).hex()}"
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root.fd)
        os.unlink(name, dir_fd=root.fd)
    except OSError as error:
        raise disk_fault(error, "receiving an object") from error
    return fd


def _write_at(fd: int, parts: Sequence[bytes | memoryview], at: int) -> int:
    """Write all of them one after the other from `at`, however the system cuts it; their bytes. Raises OSError."""
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    total = 0
    while views:
        done = os.pwritev(fd, views, at + total)
        total += done
        while views and done >= views[0].nbytes:
            done -= views.pop(0).nbytes
        if done:
            views[0] = views[0][done:]
    return total


def _copy_file(source: int, target: int, at: int, size: int) -> None:
    """Write the first `size` bytes of a file into another one at `at`. Raises OSError."""
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, size - done, done, at + done)
        except OSError as error:
            if error.errno not in _NOT_COPIED:
                raise
            break
        if not count:
            break
        done += count
    while done < size:
        block = os.pread(source, min(_BLOCK, size - done), done)
        if not block:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        done += _write_at(target, [block], at + done)
