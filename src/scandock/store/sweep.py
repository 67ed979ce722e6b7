"""Deleting what was given up, in the background: within a time, beside others, never what is still being read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from scandock.store.paths import data_path_below
from scandock.store.records import SweepResult

if TYPE_CHECKING:
    from scandock.store.paths import DataPath

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def sweep(root_fd: int, entries: list[DataPath], seconds: float | None) -> SweepResult:
    """Delete the given entries of a data folder; see port.Store.sweep."""
    deadline = None if seconds is None else time.monotonic() + seconds
    deleted = left = 0
    for path in entries:
        count, is_deleted = _delete(path, root_fd, deadline)
        deleted += count
        left += not is_deleted
    return SweepResult(deleted, left)


def _delete(path: DataPath, root_fd: int, deadline: float | None) -> tuple[int, bool]:
    """(names deleted, whether it is all gone). A folder is emptied bottom up, by descriptors, following no link."""
    deleted = 0
    trail = [path]
    while trail:
        count, below = _empty(trail[-1], root_fd, deadline)
        deleted += count
        if below is None:
            trail.pop()
        elif below:
            trail.append(data_path_below(trail[-1], below))
        elif not count or _is_past(deadline):
            return deleted, False
    return deleted, True


def _empty(path: DataPath, root_fd: int, deadline: float | None) -> tuple[int, str | None]:
    """Delete the files of a folder, and it when it is empty: (deleted, what is left).

    What is left: the name of a folder in it to go on with, "" where it can't be told or time is over, None if nothing.
    """
    try:
        fd = os.open(path, _FOLDER, dir_fd=root_fd)
    except FileNotFoundError:
        return 0, None
    except NotADirectoryError:  # a file or a link
        _unlink(path, root_fd)
        return 1, None
    try:
        if not _lock(fd):
            return 0, ""
        deleted, below = _empty_open(fd, deadline)
        if below is not None:
            return deleted, below
        return _remove(path, root_fd, deleted)  # while it is locked: who takes the lock next sees that it is gone
    finally:
        os.close(fd)


def _remove(path: DataPath, root_fd: int, deleted: int) -> tuple[int, str | None]:
    try:
        os.rmdir(path, dir_fd=root_fd)
    except FileNotFoundError:
        return deleted, None
    except OSError:
        return deleted, ""  # a stale writer put something in, or the listing missed it: look again
    return deleted + 1, None


def _empty_open(fd: int, deadline: float | None) -> tuple[int, str | None]:
    """As `_empty`, for an open folder that stays. Listed step by step, not whole: it may hold 200,000 names."""
    deleted = 0
    with os.scandir(fd) as entries:
        for entry in entries:
            if _is_past(deadline):
                return deleted, ""
            if entry.is_dir(follow_symlinks=False):
                return deleted, entry.name
            _unlink(entry.name, fd)
            deleted += 1
    return deleted, None


def _lock(fd: int) -> bool:
    """False while a snapshot holds the folder."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # no locks on folders there: then snapshots have none either
    return True


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _unlink(name: str, fd: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=fd)
