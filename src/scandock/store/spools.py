"""Spools: the bytes of an upload as they arrive, in `incoming/{upload}/archive`."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import TYPE_CHECKING, Final

from scandock.store import paths
from scandock.store.durability import disk_fault, sync_fault, sync_folder, write_all
from scandock.store.errors import SyncFailed
from scandock.store.folder_cache import FOLDER_MODE
from scandock.store.paths import INCOMING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scandock.store.paths import DataPath
    from scandock.store.root import Root

FILE_MODE: Final = 0o644
SYNC_EVERY: Final = 64 * 1024 * 1024
"""Bytes after which a spool is synced unasked, so that the last sync, or a stranger's, never waits for gigabytes."""


class LocalSpool:
    """One upload's bytes; opened at first use, by any process. For one thread at a time."""

    __slots__ = ("_fd", "_held", "_root", "_since", "_void", "upload")

    def __init__(self, root: Root, upload: str) -> None:
        self._fd: int | None = None
        self._held: int | None = None
        self.upload = paths.label(upload)
        self._root = root
        self._since = 0
        self._void = False

    @property
    def _folder(self) -> DataPath:
        return paths.spool_folder(self.upload)

    @property
    def _file(self) -> DataPath:
        return paths.spool_file(self.upload)

    def hold(self) -> bool:
        """Lock the upload's folder, made where missing: its file may be another one by now."""
        if self._held is not None:
            return True
        self._make_folder()
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = -1
        try:
            fd = os.open(self._folder, flags, dir_fd=self._root.fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == os.stat(self._folder, dir_fd=self._root.fd, follow_symlinks=False).st_ino:
                self._held, fd = fd, -1
        except (BlockingIOError, FileNotFoundError):  # somebody holds it; or has just removed it
            pass
        except OSError as error:
            raise disk_fault(error, f"receiving upload {self.upload}") from error
        finally:
            if fd >= 0:
                os.close(fd)
        return self._held is not None

    def append(self, offset: int, data: bytes | memoryview) -> int:
        fd = self._open(create=True)
        size = os.fstat(fd).st_size
        if not 0 <= offset <= size:
            raise ValueError(f"a spool of {size} bytes can't go on at {offset}")
        try:
            if offset < size:
                os.ftruncate(fd, offset)
            os.lseek(fd, offset, os.SEEK_SET)
            self._since += write_all(fd, data)
        except OSError as error:
            self._cut(fd, offset)
            raise disk_fault(error, f"receiving upload {self.upload}") from error
        if self._since >= SYNC_EVERY:
            self._sync_bytes(fd)
        return os.lseek(fd, 0, os.SEEK_CUR)

    def sync(self) -> int:
        fd = self._open(create=True)
        self._sync_bytes(fd)
        sync_folder(self._folder, self._root.fd)
        sync_folder(INCOMING, self._root.fd)
        return os.fstat(fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        fd = self._open()
        parts = []
        while length:
            part = os.pread(fd, length, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto_at(self, view: memoryview, offset: int) -> int:
        fd = self._open()
        done = 0
        while done < view.nbytes:
            got = os.preadv(fd, [view[done:]], offset + done)
            if not got:
                break
            done += got
        return done

    def size(self) -> int:
        """Bytes received; 0 where nothing has arrived yet."""
        try:
            return os.stat(self._file, dir_fd=self._root.fd, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise disk_fault(error, f"opening upload {self.upload}") from error

    def local_path(self) -> str | None:
        return self.reference("")

    def reference(self, scratch: str) -> str:
        del scratch
        return f"{self._root.path}/{self._file}"

    def bring(self) -> None:
        """Nothing: an object spool is a spool of this very file."""

    def discard(self, *, erase: bool = False) -> None:
        del erase  # nothing is kept beyond the next sweep
        self.close()
        self._root.give_up(self._folder)

    def close(self) -> None:
        for fd in (self._fd, self._held):
            if fd is not None:
                os.close(fd)
        self._fd = self._held = None

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the os module is empty, and the system closes what is open
            self.close()

    def _open(self, *, create: bool = False) -> int:
        if self._void:
            raise SyncFailed(f"Upload {self.upload} could not be kept.", "Send it again.")
        if self._fd is None:
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
            if create:
                flags |= os.O_CREAT
                self._make_folder()
            try:
                self._fd = os.open(self._file, flags, FILE_MODE, dir_fd=self._root.fd)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise disk_fault(error, f"opening upload {self.upload}") from error
        return self._fd

    def _make_folder(self) -> None:
        try:
            os.mkdir(self._folder, FOLDER_MODE, dir_fd=self._root.fd)
        except FileExistsError:
            pass
        except OSError as error:
            raise disk_fault(error, f"receiving upload {self.upload}") from error

    def _sync_bytes(self, fd: int) -> None:
        """Fsync; a failed one drops the spool: the kernel marks the lost pages clean, a second try would lie."""
        try:
            os.fsync(fd)
        except OSError as error:
            self.discard()
            self._void = True
            raise sync_fault(error, f"Upload {self.upload}") from error
        self._since = 0

    def _cut(self, fd: int, offset: int) -> None:
        """Back to what was there before a write that failed, so that the client's resume begins at a known place."""
        try:
            os.ftruncate(fd, offset)
        except OSError:
            self._since += SYNC_EVERY  # what stands there is odd: the next append looks at the size again
