"""Copies of folders, for backups: files with their sha256 as they are read, or hard links to an earlier backup's.

What is copied is read by descriptors, so a tree that is replaced meanwhile is copied as it was. Links and devices that
people put into DATA are left out. Files of DATA never change once they have their name, so those of backups do not
either, and several backups may share them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Final, Protocol

from scandock.model.errors import Fault
from scandock.model.private_files import PRIVATE_FOLDER
from scandock.store import file_access, paths, syscalls
from scandock.store.durability import disk_fault, sync_fault, write_all
from scandock.store.folder_cache import FOLDER_MODE, FolderCache

if TYPE_CHECKING:
    from types import TracebackType

    from scandock.store.paths import RelPath
    from scandock.store.records import StoreEntry

_CHUNK: Final = 1024 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FolderContent = dict["RelPath", tuple[int, bytes]]
"""Size and sha256 of each file, by its path in the folder."""


class FolderReader(Protocol):
    """A snapshot of the store, or any other folder."""

    def walk(self) -> Iterable[StoreEntry]: ...
    def open(self, rel: RelPath) -> IO[bytes]: ...


class OpenFolder:
    """A folder that is no published tree, read as a snapshot is. FileNotFoundError."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, _FOLDER)
        self._folders = FolderCache(self._fd, keep=32)

    def walk(self) -> Iterator[StoreEntry]:
        return file_access.list_entries(self._fd)

    def open(self, rel: RelPath) -> IO[bytes]:
        folder, name = paths.split_path(rel)
        return file_access.open_file(name, self._folders.fd(folder))

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folders.close()
        os.close(self._fd)


def copy_folder(source: FolderReader, target: str, on_file: Callable[[int], None]) -> FolderContent:
    """Copy every regular file into the new folder `target`; what they hold.

    Files that vanish meanwhile are left out, and so are names that no file of ours has.
    `on_file` is called with the size of each. Fault disk_full and others.
    """
    content: FolderContent = {}
    folders = {target}
    try:
        os.makedirs(target, FOLDER_MODE, exist_ok=True)
        for entry in source.walk():
            path = f"{target}/{entry.rel}"
            folder = path if entry.kind == "folder" else os.path.dirname(path)
            if folder not in folders:
                os.makedirs(folder, FOLDER_MODE, exist_ok=True)
                folders.add(folder)
            if entry.kind == "file":
                with contextlib.suppress(FileNotFoundError, ValueError), source.open(entry.rel) as stream:
                    content[entry.rel] = copy_file(stream, path)
                    on_file(content[entry.rel][0])
    except OSError as error:
        raise copy_fault(error, target) from error
    return content


def copy_fault(error: OSError, target: str) -> Fault:
    """The Fault for an OSError met while copying into a folder that is no data folder."""
    cause = disk_fault(error, f"copying into {target}")
    cause.remedy = "Look at the disk of that folder, then run the same command again."
    return cause


def copy_file(stream: IO[bytes], path: str, most: int | None = None) -> tuple[int, bytes]:
    """Copy a file, or its first `most` bytes, to a new name; size and sha256 of what was copied. OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    digest, size = hashlib.sha256(), 0
    try:
        while part := stream.read(_CHUNK if most is None else min(_CHUNK, most - size)):
            digest.update(part)
            size += write_all(fd, part)
        status = os.fstat(stream.fileno())
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(fd)
    return size, digest.digest()


def link_folder(
    source: str, target: str, expected: Mapping[RelPath, int] | None, on_file: Callable[[int], None]
) -> bool:
    """Make `target` of hard links to the files of `source`; False, and nothing made, where it is not as `expected`.

    `expected` has the size of each file; None takes the folder as it is.
    """
    try:
        with OpenFolder(source) as folder:
            every = [entry for entry in folder.walk() if entry.kind == "file"]
    except FileNotFoundError:
        return False
    if expected is not None and {entry.rel: entry.size for entry in every} != dict(expected):
        return False
    try:
        os.makedirs(target, FOLDER_MODE, exist_ok=True)
        for entry in every:
            os.makedirs(os.path.dirname(f"{target}/{entry.rel}"), FOLDER_MODE, exist_ok=True)
            os.link(f"{source}/{entry.rel}", f"{target}/{entry.rel}", follow_symlinks=False)
            on_file(entry.size)
    except OSError:  # no links there, or too many of one file: it is copied instead
        remove(target)
        return False
    return True


def remove(path: str) -> None:
    """Remove what a backup has no more, a file or a folder; nothing where there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def make_private(path: str) -> None:
    """Make a folder that other accounts may not look into; nothing where it is there."""
    try:
        os.makedirs(path, PRIVATE_FOLDER, exist_ok=True)
    except OSError as error:
        raise copy_fault(error, path) from error


def sync_all(path: str) -> None:
    """Make all of the file system durable on which a folder lies; Fault `sync_failed`."""
    fd = os.open(path, _FOLDER)
    try:
        syscalls.syncfs(fd)
    except OSError as error:
        raise sync_fault(error, path) from error
    finally:
        os.close(fd)
