"""Folders of the server that may be imported: opened without following any link, packed as they are, and emptied.

Every step from an allowed folder down is opened by itself and never through a link, so that nothing outside of it is
read or removed, whoever changes what lies there meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final, Protocol

from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.private_files import PRIVATE_FILE
from scandock.web.xnat.errors import InboxChanged

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TICK_SECONDS: Final = 0.1
"""Longer than a tick of a file system's clock; where ticks are longer, what was changed in the same one stays."""
BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InboxPath:
    """A folder or file below an allowed folder."""

    root: str
    """The allowed folder."""
    parts: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The first folder below the allowed one: a project's, as XNAT lays its inbox out."""
        return self.parts[0]

    @property
    def path(self) -> str:
        return "/".join((self.root, *self.parts))


def find_inbox_path(folders: Sequence[str], path: str) -> InboxPath | None:
    """Where a path lies below the allowed folders; None where it doesn't, or climbs."""
    parts = path.split("/")
    if not path.startswith("/") or "\0" in path or ".." in parts:
        return None
    for folder in folders:
        for base in dict.fromkeys((os.path.normpath(folder), os.path.realpath(folder))):
            below = os.path.normpath(path).removeprefix(base.rstrip("/") + "/")
            if below and not below.startswith("/"):
                return InboxPath(os.path.realpath(folder), tuple(below.split("/")))
    return None


@contextmanager
def open_parent(inbox_path: InboxPath) -> Iterator[tuple[int, str]]:
    """The folder above a place, and its name there. FileNotFoundError, NotADirectoryError or OSError for a link."""
    folder_fd = os.open(inbox_path.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in inbox_path.parts[:-1]:
            next_fd = os.open(part, _FOLDER, dir_fd=folder_fd)
            os.close(folder_fd)
            folder_fd = next_fd
        yield folder_fd, inbox_path.parts[-1]
    finally:
        os.close(folder_fd)


def read_file_clock(inbox_path: InboxPath) -> int:
    """The moment (ns) by the clock that dates the changes of files there, which on a network is another machine's.

    Whatever was changed there before has an earlier date: that clock goes by ticks of some milliseconds, and its next
    one is waited for. By this machine's where nothing can be written: then nothing can be removed there either.
    """
    try:
        with open_parent(inbox_path) as (parent_fd, name):
            place = os.open(name, _FILE, dir_fd=parent_fd)
            try:
                is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
                return _date_new_file(place if is_folder else parent_fd)
            finally:
                os.close(place)
    except OSError:
        return time.time_ns()


def _date_new_file(folder_fd: int) -> int:
    """When a file is changed that is made now; it has no name, or for a moment one where there must be one."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        fd = os.open(".", flags | os.O_TMPFILE, PRIVATE_FILE, dir_fd=folder_fd)
    except OSError:
        name = f".scandock-{os.urandom(8).hex()}"
        fd = os.open(name, flags | os.O_CREAT | os.O_EXCL, PRIVATE_FILE, dir_fd=folder_fd)
        os.unlink(name, dir_fd=folder_fd)
    try:
        made = changed = os.fstat(fd).st_ctime_ns
        deadline = time.monotonic() + _TICK_SECONDS
        while changed <= made and time.monotonic() < deadline:
            time.sleep(0.001)
            os.utime(fd)
            changed = os.fstat(fd).st_ctime_ns
        return changed
    finally:
        os.close(fd)


def is_readable(inbox_path: InboxPath) -> bool:
    """Whether it is a folder or a plain file that can be read, reached without a link."""
    try:
        with open_parent(inbox_path) as (parent_fd, name):
            fd = os.open(name, _FILE, dir_fd=parent_fd)
    except OSError:
        return False
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


class TarSink(Protocol):
    """What takes a tar piece by piece."""

    def write(self, data: bytes, /) -> int: ...


def pack_tar(inbox_path: InboxPath, target: TarSink) -> int:
    """Write all plain files of a place as a tar, by their names below it; how many there were.

    Links and devices are left out. Usage `inbox_changed` where a file is cut while it is read, or can't be.
    """
    count = 0
    sink: Any = target  # tarfile asks for no more of a stream than `write`
    with tarfile.open(
        fileobj=sink,
        mode="w|",
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
        bufsize=BLOCK_BYTES,
    ) as tar:
        for name, file in _iter_files(inbox_path):
            file_stat = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime = file_stat.st_size, int(file_stat.st_mtime)
            try:
                tar.addfile(info, file)
            except OSError as error:
                if isinstance(error, tarfile.TarError) or error.errno is None:
                    raise _changed_error() from error
                raise
            count += 1
    return count


def _changed_error() -> Usage:
    return InboxChanged()


def _iter_files(inbox_path: InboxPath) -> Iterator[tuple[str, IO[bytes]]]:
    with open_parent(inbox_path) as (parent_fd, name):
        for relative, fd in _open_files(parent_fd, name):
            with os.fdopen(fd, "rb") as file:
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    yield relative, file


def _open_files(parent_fd: int, name: str) -> Iterator[tuple[str, int]]:
    """What lies in a folder, each opened; or the one file."""
    fd = os.open(name, _FILE, dir_fd=parent_fd)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        yield name, fd
        return
    try:
        for root, folders, names, folder_fd in os.fwalk(".", dir_fd=fd, follow_symlinks=False, onerror=_raise):
            folders.sort()
            for file_name in sorted(names):
                if stat.S_ISLNK(os.stat(file_name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
                    continue
                yield os.path.normpath(f"{root}/{file_name}"), os.open(file_name, _FILE, dir_fd=folder_fd)
    finally:
        os.close(fd)


def list_files(inbox_path: InboxPath, before: int) -> list[str] | None:
    """The names of all plain files of a place in the order in which they are packed.

    None where one of them has changed since `before` (ns), or can't be looked at: they may be others by now.
    """
    names = []
    try:
        for name, file in _iter_files(inbox_path):
            if os.fstat(file.fileno()).st_ctime_ns >= before:
                return None
            names.append(name)
    except OSError:
        return None
    return names


def _raise(error: OSError) -> None:
    raise error


def remove_files(inbox_path: InboxPath, names: Iterable[str], before: int) -> int:
    """Remove files that were packed, unless they changed since `before` (ns); then folders left empty; how many went.

    `names` as `pack` names them; for a place that is one file, its own name.
    """
    removed_count = 0
    try:
        with open_parent(inbox_path) as (parent_fd, name_in_parent):
            single = not stat.S_ISDIR(os.stat(name_in_parent, dir_fd=parent_fd, follow_symlinks=False).st_mode)
            for name in names:
                parts = (name,) if single else (name_in_parent, *name.split("/"))
                removed_count += _remove_file(parent_fd, parts, before)
            if not single:
                _remove_empty_folders(parent_fd, name_in_parent)
    except FileNotFoundError:
        return removed_count
    return removed_count


def _remove_file(parent_fd: int, parts: Sequence[str], before: int) -> bool:
    if not {"", ".", ".."}.isdisjoint(parts):
        return False
    folder_fd = os.dup(parent_fd)
    try:
        for part in parts[:-1]:
            next_fd = os.open(part, _FOLDER, dir_fd=folder_fd)
            os.close(folder_fd)
            folder_fd = next_fd
        file_stat = os.stat(parts[-1], dir_fd=folder_fd, follow_symlinks=False)
        if not stat.S_ISREG(file_stat.st_mode) or file_stat.st_ctime_ns >= before:
            return False
        os.unlink(parts[-1], dir_fd=folder_fd)
    except OSError:  # gone, moved, a link now, or not ours to remove: it stays
        return False
    finally:
        os.close(folder_fd)
    return True


def _remove_empty_folders(parent_fd: int, name: str) -> None:
    """Remove folders that hold nothing, the innermost first; those that hold something stay."""
    fd = os.open(name, _FOLDER, dir_fd=parent_fd)
    try:
        for _root, folders, _names, folder_fd in os.fwalk(".", topdown=False, dir_fd=fd, follow_symlinks=False):
            for folder in folders:
                with contextlib.suppress(OSError):
                    os.rmdir(folder, dir_fd=folder_fd)
    finally:
        os.close(fd)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=parent_fd)
