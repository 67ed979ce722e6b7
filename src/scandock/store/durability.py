"""Syncs, and what a failed system call means for an import."""

from __future__ import annotations

import errno
import os

from scandock.model.errors import Fault
from scandock.model.machine_errors import DiskFull
from scandock.store.errors import StoreDivided, StoreFailed, StoreReadOnly, SyncFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def disk_fault(error: OSError, doing: str) -> Fault:
    """The Fault for an OSError met while `doing` ("writing work/...").

    Codes: disk_full, store_other_filesystem, store_read_only, store_failed.
    """
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskFull(f"No space left while {doing} ({reason}).", "Free space in the data folder.", quotes=True)
    if error.errno == errno.EXDEV:
        return StoreDivided(
            f"{doing[:1].upper()}{doing[1:]} crossed into another file system.",
            "work, trash, prearchive and archive under DATA must be one file system and one mount.",
        )
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return StoreReadOnly(f"Not allowed: {doing} ({reason}).", "DATA must be writable for this user.")
    return StoreFailed(f"The system refused {doing} ({reason}).", "See the machine's log for disk errors.")


def sync_fault(error: OSError, name: str) -> Fault:
    """The Fault for a sync that failed: what was written since the last good one can't be trusted any more."""
    return SyncFailed(f"{name} could not be written to disk ({error.strerror}).", "Check the disk.")


def sync_file(path: str, root_fd: int) -> None:
    """Make a file's bytes durable; costs next to nothing where they are. FileNotFoundError; Fault `sync_failed`."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root_fd)
    try:
        os.fsync(fd)
    except OSError as error:
        raise sync_fault(error, path) from error
    finally:
        os.close(fd)


def sync_folder(path: str, root_fd: int) -> bool:
    """Make a folder's entries durable; False where it is gone or may not be opened; Fault `sync_failed`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd)
    except (FileNotFoundError, PermissionError):
        return False  # PermissionError: the folder above DATA may be someone else's
    try:
        os.fsync(fd)
    except OSError as error:
        raise sync_fault(error, path) from error
    finally:
        os.close(fd)
    return True


def replace_file(name: str, content: bytes, folder_fd: int, *, mode: int | None = None) -> None:
    """Write a small file by rename, synced: it is there whole, or as it was before. Raises OSError.

    The folder is for its caller to sync. `mode` holds whatever the umask; without it that says what others may.
    """
    new = f"{name}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, 0o644, dir_fd=folder_fd)
    try:
        if mode is not None:
            os.fchmod(fd, mode)
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def write_all(fd: int, data: memoryview | bytes) -> int:
    """Write the whole of `data`, however the system cuts it; returns its bytes, raises OSError."""
    total = len(data) if isinstance(data, bytes) else data.nbytes
    done = os.write(fd, data)
    if done < total:
        view = memoryview(data).cast("B")
        while done < total:
            done += os.write(fd, view[done:])
    return total
