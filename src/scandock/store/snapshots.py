"""Reading published trees: a snapshot stays readable when the tree is replaced, retired, purged or swept."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from typing import IO, TYPE_CHECKING, Final

from scandock.store import file_access, paths
from scandock.store.durability import disk_fault
from scandock.store.folder_cache import FolderCache
from scandock.store.records import Mark, StoreEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scandock.store.paths import RelPath, TreePath
    from scandock.store.root import Root

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalSnapshot:
    """A tree by its descriptor, which follows it through every rename; a shared lock on it keeps the sweep away."""

    has_files = True
    __slots__ = ("_fd", "_folders", "mark", "name")

    def __init__(self, root: Root, name: TreePath) -> None:
        self._fd = -1
        self.name = paths.parse_tree(name)
        self._fd = _open_locked(root.fd, name)
        status = os.fstat(self._fd)
        self.mark = Mark(status.st_ino, status.st_mtime_ns)
        self._folders = FolderCache(self._fd, keep=2)  # what reads a tree goes folder by folder

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        folder, name = paths.split_path(rel)
        return file_access.open_file(name, self._folders.fd(folder), offset, length)

    def size(self, rel: RelPath) -> int | None:
        folder, name = paths.split_path(rel)
        try:
            status = os.stat(name, dir_fd=self._folders.fd(folder), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):  # the latter also for a link in place of a folder
            return None
        except OSError as error:
            raise disk_fault(error, f"looking at {self.name}/{rel}") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def lost(self, rels: Iterable[RelPath]) -> Iterator[RelPath]:
        del rels
        return iter(())

    def walk(self, order: Callable[[str], str] | None = None) -> Iterator[StoreEntry]:
        return file_access.list_entries(self._fd, self.name, order=order)

    def close(self) -> None:
        if self._fd >= 0:
            self._folders.close()
            os.close(self._fd)
            self._fd = -1

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the os module is empty, and the system closes what is open
            self.close()

    def __enter__(self) -> LocalSnapshot:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _open_locked(root_fd: int, name: TreePath) -> int:
    while True:
        fd = os.open(name, _FOLDER, dir_fd=root_fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)  # it was replaced and is being swept: the name is another tree by now, or none
            continue
        except OSError:
            pass  # a file system without locks on folders: the descriptor alone has to do
        return fd


def walk(root: Root, prefix: str) -> Iterator[StoreEntry]:
    """See port.Store.walk. What lies above the level of sessions is told under the folder it is in."""
    start = paths.parse_prefix(prefix)
    for path, status, kind in file_access.walk(root.fd, start):
        name, rel = paths.split_tree(path, is_folder=kind == "folder")
        yield StoreEntry(name, rel, status.st_size, status.st_ino, kind)
