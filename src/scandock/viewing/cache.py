"""Thumbnails, stacks and metadata on disk, by tree: made anew where they are lost, so nothing is ever synced or missed.

`DATA/cache/{tree}-{session}/{name}`, for DICOMweb `DATA/packs/{tree}-{session}/{name}`. A tree never changes, so what
is kept of it is never stale; what its files may have rotted to meanwhile is the caller's to tell apart.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import IO, Final

from scandock.model.private_files import PRIVATE_FILE, PRIVATE_FOLDER

FOLDER: Final = "cache"
PACKS: Final = "packs"
"""The folder of metadata for DICOMweb, which is small beside what it is of."""
_TOUCH_SECONDS: Final = 3600.0
"""How old a folder's time of use may be before a reader renews it."""

_LOW: Final = 0.8
"""The part of the bound that trimming leaves."""


class ImageCache:
    """At most about `most` bytes; what was used longest ago goes first, session by session."""

    def __init__(self, data: str, most: int, free: int, folder: str = FOLDER) -> None:
        self._root = os.path.join(data, folder)
        self._most = most
        self._free = free

    def read(self, tree: str, name: str) -> bytes | None:
        """What was kept under a name; None where nothing is."""
        folder = os.path.join(self._root, tree)
        try:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            if time.time() - os.stat(folder).st_mtime > _TOUCH_SECONDS:
                os.utime(folder)
        except OSError:
            return None
        return content

    def stamp(self, tree: str, name: str) -> tuple[int, int] | None:
        """What tells whether what is kept under a name is another one by now; None where nothing is."""
        try:
            status = os.stat(os.path.join(self._root, tree, name))
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def keep(self, tree: str, name: str, content: bytes) -> bool:
        """Keep it, whole or not at all; where the disk is full or fails, not at all. Returns whether it is kept."""
        folder = os.path.join(self._root, tree)
        with contextlib.suppress(OSError):
            os.makedirs(self._root, PRIVATE_FOLDER, exist_ok=True)
            room = os.statvfs(self._root)
            if self._most == 0 or room.f_bavail * room.f_frsize < self._free + len(content):
                return False
            os.makedirs(folder, PRIVATE_FOLDER, exist_ok=True)
            beside = os.path.join(folder, f".{os.urandom(6).hex()}")
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                with open(fd, "wb") as file:
                    file.write(content)
                os.rename(beside, os.path.join(folder, name))
            except OSError:
                os.unlink(beside)
                raise
            return True
        return False

    def names(self, tree: str) -> list[str]:
        """The names under which something is kept of a tree."""
        try:
            return sorted(name for name in os.listdir(os.path.join(self._root, tree)) if not name.startswith("."))
        except OSError:
            return []

    def drop(self, tree: str, name: str) -> None:
        """Forget what is kept under a name."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._root, tree, name))

    def open_unnamed(self, size: int) -> IO[bytes]:
        """A file without a name for so many bytes, gone once it is closed; in memory where the disk has no room."""
        with contextlib.suppress(OSError):
            os.makedirs(self._root, PRIVATE_FOLDER, exist_ok=True)
            room = os.statvfs(self._root)
            if room.f_bavail * room.f_frsize >= self._free + size:
                return tempfile.TemporaryFile(dir=self._root, buffering=0)
        return open(os.memfd_create("scandock-picture"), "w+b", buffering=0)

    def tidy(self, standing: Callable[[list[str]], Iterable[str]]) -> int:
        """Remove what is kept of trees that stand no more (`standing` says which do), then what is too much.

        Returns how many folders are gone.
        """
        try:
            trees = os.listdir(self._root)
        except OSError:
            return 0
        current = set(standing(trees))
        gone = [tree for tree in trees if tree not in current]
        for tree in gone:
            self._remove(tree)
        return len(gone) + self._trim(current)

    def is_full(self) -> bool:
        """Whether what is kept is so much that `tidy` would have to remove some of it, or soon will."""
        try:
            trees = os.listdir(self._root)
        except OSError:
            trees = []
        return sum(size for _, size, _ in self._measure(trees)) >= self._most * _LOW

    def _measure(self, trees: Iterable[str]) -> list[tuple[float, int, str]]:
        """When the folder of each tree was used last, its bytes, and the tree."""
        folders = []
        for tree in trees:
            with contextlib.suppress(OSError):
                folder = os.path.join(self._root, tree)
                size = 0
                with os.scandir(folder) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        if entry.name.startswith(".") and time.time() - status.st_mtime > _TOUCH_SECONDS:
                            os.unlink(entry.path)  # of a process that was killed
                        else:
                            size += status.st_size
                folders.append((os.stat(folder).st_mtime, size, tree))
        return folders

    def _trim(self, trees: set[str]) -> int:
        most, folders = self._most, self._measure(trees)
        total = sum(size for _, size, _ in folders)
        gone = 0
        if total > most:
            for _, size, tree in sorted(folders):
                if total <= most * _LOW:
                    break
                self._remove(tree)
                total -= size
                gone += 1
        return gone

    def _remove(self, tree: str) -> None:
        path = os.path.join(self._root, tree)
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(path)  # what somebody put there that is no folder
