"""Open descriptors of a tree's folders, so that a file costs one open and not a walk of its path."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from scandock.store import paths

if TYPE_CHECKING:
    from scandock.store.paths import RelPath

FOLDER_MODE = 0o755
"""Less what the umask takes: see docs/design/0002-store-port.md, "Modes"."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderCache:
    """The folders below one descriptor, by relpath; the `keep` last used stay open. For one thread at a time.

    Each step is opened with O_NOFOLLOW from its parent's descriptor: a link planted in the tree is never walked.
    """

    __slots__ = ("_fds", "_keep", "_last", "_last_fd", "_root")

    def __init__(self, root_fd: int, keep: int = 128) -> None:
        self._root = root_fd
        self._keep = keep
        self._fds: dict[RelPath, int] = {}
        self._last = paths.TREE_ROOT
        self._last_fd = root_fd

    def fd(self, folder: RelPath, *, create: bool = False) -> int:
        """Descriptor of `folder` ("" is the root), its own until the next call; made with its parents if `create`.

        ValueError for a path that may not stand; FileNotFoundError, NotADirectoryError and other OSErrors.
        """
        if folder == self._last:
            return self._last_fd
        fd = self._fds.pop(folder, None) if folder else self._root
        if fd is None:
            fd = self._walk(paths.parse_rel(folder), create)
        elif folder:
            self._fds[folder] = fd
        self._last, self._last_fd = folder, fd
        return fd

    def _walk(self, folder: RelPath, create: bool) -> int:
        self._last, self._last_fd = paths.TREE_ROOT, self._root  # what it names may be closed below
        head, missing = folder, []
        while head and head not in self._fds:
            head, tail = paths.split_path(head)
            missing.append(tail)
        fd = self._fds[head] if head else self._root
        for name in reversed(missing):
            fd = _open(name, fd, create)
            head = paths.path_below(head, name)
            if len(self._fds) >= self._keep:
                oldest = next(iter(self._fds))
                os.close(self._fds.pop(oldest))
            self._fds[head] = fd
        return fd

    def forget(self, folder: RelPath) -> None:
        """Close what is open at and below `folder`, which has been moved or removed."""
        below = folder + "/"
        for path in [p for p in self._fds if p == folder or p.startswith(below)]:
            os.close(self._fds.pop(path))
        self._last, self._last_fd = paths.TREE_ROOT, self._root

    def close(self) -> None:
        """Close all but the root, which belongs to the caller."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self._last, self._last_fd = paths.TREE_ROOT, self._root


def _open(name: str, parent_fd: int, create: bool) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=parent_fd)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):  # another process made it just now
        os.mkdir(name, FOLDER_MODE, dir_fd=parent_fd)
    return os.open(name, _FLAGS, dir_fd=parent_fd)
