"""Who works on an upload: a lock on `work/{upload}/lock` that the system drops when its holder dies.

The lock tells whether an owner lives, so that a dead one's import is taken over at once. It doesn't guard anything:
that is what the lease and its token are for (design.md "Queue").
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Final

from scandock.model.patience import tries
from scandock.store import paths
from scandock.store.durability import disk_fault
from scandock.store.errors import WorkHeld
from scandock.store.staging import remove_empty

if TYPE_CHECKING:
    from scandock.store.paths import DataPath
    from scandock.store.root import Root

_PATIENCE: Final = 0.5
"""Seconds that `hold` tries: someone who asks `owner_alive` holds the lock for a moment, too."""


class LocalWorkLock:
    """An upload's lock; dropped on release and with the process."""

    __slots__ = ("_fd", "_root", "upload")

    def __init__(self, root: Root, upload: str, *, force: bool = False) -> None:
        self.upload = paths.label(upload)
        self._root = root
        self._fd = -1
        try:
            if force:
                _unlink(root, self._path)
            for _ in tries(_PATIENCE, 0.005):
                self._fd = _try(root, self.upload)
                if self._fd >= 0:
                    return
        except OSError as error:
            raise disk_fault(error, f"locking {paths.work_folder(upload)} in {root.path}") from error
        raise WorkHeld(self.upload)

    @property
    def held(self) -> bool:
        return self._fd >= 0

    @property
    def _path(self) -> DataPath:
        return paths.lock_file(self.upload)

    def release(self) -> None:
        """Drop the lock with its file, unless that is another owner's by now, and the upload's folder if empty."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if os.fstat(fd).st_ino == self._root.inode(self._path):
                _unlink(self._root, self._path)
        finally:
            os.close(fd)
        remove_empty(self._root, paths.work_folder(self.upload))

    def __enter__(self) -> LocalWorkLock:
        return self

    def __exit__(self, *args: object) -> None:
        self.release()


def _try(root: Root, upload: str) -> int:
    """The descriptor of the lock if it could be had and still stands at its path, else -1."""
    root.make(paths.work_folder(upload))
    path = paths.lock_file(upload)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644, dir_fd=root.fd)
    except FileNotFoundError:
        return -1  # the folder was finished under us
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino == root.inode(path):
            return fd
    except BlockingIOError:
        pass
    os.close(fd)
    return -1


def is_owner_alive(root: Root, upload: str) -> bool:
    """True while a living process of this host holds the upload's lock."""
    path = paths.lock_file(upload)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.fd)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _unlink(root: Root, path: DataPath) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=root.fd)
