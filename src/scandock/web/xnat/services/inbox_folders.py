"""Folders of the server that may be imported: opened without following any link, packed as they are, and emptied.

Every step from an allowed folder down is opened by itself and never through a link, so that nothing outside of it is
read or removed, whoever changes what lies there meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

from scandock.model.errors import Usage
from scandock.web.xnat.errors import InboxChanged

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or file below an allowed folder."""

    root: str
    """The allowed folder."""
    parts: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The first folder below the allowed one: a project's, as XNAT lays its inbox out."""
        return self.parts[0]


def find_place(folders: Sequence[str], path: str) -> Place | None:
    """Where a path lies below the allowed folders; None where it doesn't, or climbs."""
    parts = path.split("/")
    if not path.startswith("/") or "\0" in path or ".." in parts:
        return None
    for folder in folders:
        for base in dict.fromkeys((os.path.normpath(folder), os.path.realpath(folder))):
            below = os.path.normpath(path).removeprefix(base.rstrip("/") + "/")
            if below and not below.startswith("/"):
                return Place(os.path.realpath(folder), tuple(below.split("/")))
    return None


@contextmanager
def opened(place: Place) -> Iterator[tuple[int, str]]:
    """The folder above a place, and its name there. FileNotFoundError, NotADirectoryError or OSError for a link."""
    at = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in place.parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at, place.parts[-1]
    finally:
        os.close(at)


def is_there(place: Place) -> bool:
    """Whether it is a folder or a plain file that can be read, reached without a link."""
    try:
        with opened(place) as (above, name):
            number = os.open(name, _FILE, dir_fd=above)
    except OSError:
        return False
    try:
        mode = os.fstat(number).st_mode
    finally:
        os.close(number)
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


class Sink(Protocol):
    """What takes a tar piece by piece."""

    def write(self, data: bytes, /) -> int: ...


def pack(place: Place, to: Sink) -> int:
    """Write all plain files of a place as a tar, by their names below it; how many there were.

    Links and devices are left out. Usage `inbox_changed` where a file is cut while it is read, or can't be.
    """
    count = 0
    sink: Any = to  # tarfile asks for no more of a stream than `write`
    with tarfile.open(
        fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape", bufsize=PIECE
    ) as tar:
        for name, file in _files(place):
            facts = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime = facts.st_size, int(facts.st_mtime)
            try:
                tar.addfile(info, file)
            except OSError as error:
                if isinstance(error, tarfile.TarError) or error.errno is None:
                    raise _changed() from error
                raise
            count += 1
    return count


def _changed() -> Usage:
    return InboxChanged()


def _files(place: Place) -> Iterator[tuple[str, IO[bytes]]]:
    with opened(place) as (above, name):
        for relative, number in _numbers(above, name):
            with os.fdopen(number, "rb") as file:
                if stat.S_ISREG(os.fstat(number).st_mode):
                    yield relative, file


def _numbers(above: int, name: str) -> Iterator[tuple[str, int]]:
    """What lies in a folder, each opened; or the one file."""
    number = os.open(name, _FILE, dir_fd=above)
    if not stat.S_ISDIR(os.fstat(number).st_mode):
        yield name, number
        return
    try:
        for root, folders, names, at in os.fwalk(".", dir_fd=number, follow_symlinks=False, onerror=_raise):
            folders.sort()
            for one in sorted(names):
                if stat.S_ISLNK(os.stat(one, dir_fd=at, follow_symlinks=False).st_mode):
                    continue
                yield os.path.normpath(f"{root}/{one}"), os.open(one, _FILE, dir_fd=at)
    finally:
        os.close(number)


def _raise(error: OSError) -> None:
    raise error


def remove(place: Place, names: Iterable[str], before: int) -> int:
    """Remove files that were packed, unless they changed since `before` (ns); then folders left empty; how many went.

    `names` as `pack` names them; for a place that is one file, its own name.
    """
    gone = 0
    try:
        with opened(place) as (above, last):
            single = not stat.S_ISDIR(os.stat(last, dir_fd=above, follow_symlinks=False).st_mode)
            for name in names:
                parts = (name,) if single else (last, *name.split("/"))
                gone += _remove_one(above, parts, before)
            if not single:
                _prune(above, last)
    except FileNotFoundError:
        return gone
    return gone


def _remove_one(above: int, parts: Sequence[str], before: int) -> bool:
    if not {"", ".", ".."}.isdisjoint(parts):
        return False
    at = os.dup(above)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        facts = os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_ctime_ns >= before:
            return False
        os.unlink(parts[-1], dir_fd=at)
    except OSError:  # gone, moved, a link now, or not ours to remove: it stays
        return False
    finally:
        os.close(at)
    return True


def _prune(above: int, name: str) -> None:
    """Remove folders that hold nothing, the innermost first; those that hold something stay."""
    number = os.open(name, _FOLDER, dir_fd=above)
    try:
        for _root, folders, _names, at in os.fwalk(".", topdown=False, dir_fd=number, follow_symlinks=False):
            for folder in folders:
                with contextlib.suppress(OSError):
                    os.rmdir(folder, dir_fd=at)
    finally:
        os.close(number)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=above)
