"""Stages: what one attempt of one import prepares, in `work/{upload}/{token}`, on the file system of the archive.

Renames inside a stage go by its path from DATA, never by a descriptor: once another process has taken the stage over
(`take` renames that path), a stale worker's own renames fail. Its writes through open descriptors can't show, since
nothing is published before an intent, and no attempt builds on a stage that had none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import chain
from typing import IO, TYPE_CHECKING, Final

from scandock.model.errors import TokenLost
from scandock.store import file_access, paths, syscalls
from scandock.store.durability import disk_fault, sync_fault, write_all
from scandock.store.errors import SyncFailed, TreeDamaged
from scandock.store.folder_cache import FolderCache
from scandock.store.hardlinks import adopt
from scandock.store.records import Blob, Mark

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from scandock.store.handles import ReadFile, StagedPart
    from scandock.store.paths import DataPath, RelPath, TreePath
    from scandock.store.records import AdoptResult, StoreEntry
    from scandock.store.root import Root

FILE_MODE: Final = 0o644
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _write_back(fd: int) -> None:
    with contextlib.suppress(OSError):
        syscalls.syncfs(fd)
    os.close(fd)


class LocalWriter:
    """One file being written to a stage."""

    __slots__ = ("_fd", "_folders", "rel", "size")

    def __init__(self, folders: FolderCache, rel: RelPath, fd: int) -> None:
        self._folders = folders
        self._fd = fd
        self.rel = rel
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        try:
            done = write_all(self._fd, data)
        except OSError as error:
            self.abort()
            raise disk_fault(error, f"writing {self.rel}") from error
        self.size += done
        return done

    def close(self, sha256: bytes = b"") -> Blob:
        fd, self._fd = self._fd, -1
        try:
            os.close(fd)
        except OSError as error:
            self.abort()
            raise disk_fault(error, f"writing {self.rel}") from error
        return Blob(self.rel, 0, self.size, self.size, sha256)

    def abort(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        folder, name = paths.split_path(self.rel)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folders.fd(folder))

    def __enter__(self) -> LocalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd < 0:
            return
        if error is None:
            self.close()
        else:
            self.abort()


class LocalStage:
    """A stage that stands; made by `LocalStore.begin`, reopened by `LocalStore.stage`. For one thread at a time.

    Its own descriptor, opened before anything is written, is what `seal` syncs by: syncfs tells of all write errors
    since then, whichever process wrote.
    """

    is_remote = False
    __slots__ = ("_fd", "_folders", "_root", "_void", "_writing_back", "path", "token", "upload")

    def __init__(self, root: Root, upload: str, token: str) -> None:
        self._writing_back: threading.Thread | None = None
        self.upload = paths.label(upload)
        self.token = paths.label(token)
        self.path = paths.stage_folder(upload, token)
        self._root = root
        self._void = False
        self._fd = -1
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.fd)
        except FileNotFoundError:
            raise self.lost() from None
        self._folders = FolderCache(self._fd)

    def lost(self) -> TokenLost:
        return TokenLost(f"Upload {self.upload} has been taken over by another process.")

    # writing

    def put(self, rel: RelPath) -> LocalWriter:
        return LocalWriter(self._folders, rel, self._create(rel))

    def put_whole(self, rel: RelPath, data: bytes | memoryview, sha256: bytes = b"") -> Blob:
        fd = self._create(rel)
        try:
            size = write_all(fd, data)
        except OSError as error:
            LocalWriter(self._folders, rel, fd).abort()
            raise disk_fault(error, f"writing {rel}") from error
        os.close(fd)
        return Blob(rel, 0, size, size, sha256)

    def _create(self, rel: RelPath) -> int:
        folder, name = paths.split_path(rel)
        try:
            return os.open(name, _CREATE, FILE_MODE, dir_fd=self._folders.fd(folder, create=True))
        except FileExistsError:
            raise
        except NotADirectoryError as error:
            raise FileExistsError(error.errno, "A file stands where a folder should", rel) from error
        except FileNotFoundError:
            raise self.lost() from None  # its folder was removed under us
        except OSError as error:
            raise disk_fault(error, f"making {rel}") from error

    def adopt(self, name: TreePath, pairs: Iterable[tuple[RelPath, RelPath]]) -> AdoptResult:
        return adopt(self._root.fd, paths.parse_tree(name), self._folders, pairs)

    def move(self, old: RelPath, new: RelPath) -> None:
        self._rename(self.path, old, new)
        self._folders.forget(old)

    def compose(
        self, root: RelPath, staged: Iterable[StagedPart], *, base: TreePath | None = None, kept: Iterable[RelPath] = ()
    ) -> Mark:
        self._make(root)
        if base is not None:
            self._keep(base, ((path, paths.path_below(root, path)) for path in kept))
        for source, target, other in staged:
            path = paths.path_below(root, target)
            if other is None:
                self.move(source, path)
            else:
                self._rename(paths.stage_folder(other.upload, other.token), source, path)
        mark = self.mark(root)
        if mark is None:
            raise self.lost()
        return mark

    def _keep(self, base: TreePath, pairs: Iterator[tuple[RelPath, RelPath]]) -> None:
        first = next(pairs, None)
        if first is None:  # nothing stays, and the folder of a tree all of whose files are gone may be gone too
            return
        try:
            self.adopt(base, chain([first], pairs))
        except FileNotFoundError as error:
            raise TreeDamaged(f"Files of {base} are not where they were stored.", "Run `scandock check`.") from error

    def _make(self, rel: RelPath) -> None:
        """Make a folder with those above it, for a tree that may have no file; one that is there is fine."""
        try:
            self._folders.fd(paths.parse_rel(rel), create=True)
        except FileNotFoundError:
            raise self.lost() from None
        except OSError as error:
            raise disk_fault(error, f"making {rel}") from error

    def _rename(self, stage: DataPath, old: RelPath, new: RelPath) -> None:
        source, target = paths.staged_path(stage, old), paths.staged_path(self.path, new)
        parent, _ = paths.split_path(new)
        try:
            self._folders.fd(parent, create=True)
            syscalls.rename_new(source, target, self._root.fd)
        except FileNotFoundError as error:
            if self._root.inode(self.path) is None:
                raise self.lost() from None
            raise FileNotFoundError(error.errno, "Nothing staged there", old) from error
        except NotADirectoryError as error:
            raise FileExistsError(error.errno, "A file stands where a folder should", new) from error
        except FileExistsError:
            raise
        except OSError as error:
            raise disk_fault(error, f"moving {old}") from error

    def remove(self, rel: RelPath) -> None:
        """Files are unlinked, folders moved to where they are deleted in the background."""
        path = paths.staged_path(self.path, rel)
        try:
            os.unlink(path, dir_fd=self._root.fd)
        except IsADirectoryError:
            self._root.give_up(path)
            self._folders.forget(rel)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise disk_fault(error, f"removing {rel}") from error

    def clear(self) -> None:
        for name in self.list():
            self._root.give_up(paths.data_path_below(self.path, name))
            self._folders.forget(paths.unchecked_path(name))

    def write_back(self) -> None:
        """See handles.Stage. By a descriptor of its own: the errors that it meets are `seal`'s to tell."""
        if self._writing_back is not None and self._writing_back.is_alive():
            return
        import threading

        with contextlib.suppress(OSError):  # it is a hint: what is wrong with the disk is told elsewhere
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root.fd)
            self._writing_back = threading.Thread(target=_write_back, args=(fd,), name="write-back", daemon=True)
            self._writing_back.start()

    def name_read(self, files: Sequence[tuple[ReadFile, bytes]]) -> list[RelPath]:
        return [paths.unchecked_path(file.rel) for file, _ in files]

    def send_ahead(self, files: Iterable[ReadFile]) -> None:
        """Nothing: they are where they stay."""

    def seal(self, check: Callable[[], None] | None = None) -> None:
        del check  # the system syncs all at once
        if self._void:
            raise SyncFailed(f"An earlier sync of upload {self.upload} failed.", "Import it again.")
        self.check()
        try:
            syscalls.syncfs(self._fd)
            if not syscalls.syncfs_reports_errors():
                self._sync_each()
        except OSError as error:
            self._void = True
            raise sync_fault(error, f"Staging of upload {self.upload}") from error

    def check(self) -> None:
        """TokenLost where another process has taken it over."""
        if self._root.inode(self.path) is None:
            raise self.lost()

    def _sync_each(self) -> None:
        """For kernels whose syncfs keeps write errors to itself: the pages are clean now, fsync asks for the error."""
        for rel, _, kind in file_access.walk(self._fd):
            if kind == "file":
                folder, name = paths.split_path(paths.unchecked_path(rel))
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folders.fd(folder))
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    # reading

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        folder, name = paths.split_path(rel)
        return file_access.open_file(name, self._folders.fd(folder), offset, length)

    def read_at(self, rel: RelPath, offset: int, length: int) -> bytes:
        folder, name = paths.split_path(rel)
        return file_access.read_range(name, self._folders.fd(folder), offset, length)

    def read_into(self, rel: RelPath, view: memoryview) -> int:
        """Fill `view` with a file that has its length; the file's bytes, be they more or fewer."""
        folder, name = paths.split_path(rel)
        return file_access.read_into(name, self._folders.fd(folder), view)

    def local_path(self, rel: RelPath) -> str:
        return f"{self._root.path}/{paths.staged_path(self.path, rel)}"

    def exists(self, rel: RelPath) -> bool:
        return self._root.inode(paths.staged_path(self.path, rel)) is not None

    def mark(self, rel: RelPath) -> Mark | None:
        path = paths.staged_path(self.path, rel)
        number = self._root.inode(path)
        return None if number is None else Mark(number, self._root.stamp(path))

    def list(self, rel: RelPath = paths.TREE_ROOT) -> list[str]:
        try:
            return sorted(os.listdir(self._folders.fd(rel)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def walk(self, rel: RelPath = paths.TREE_ROOT) -> Iterator[StoreEntry]:
        return file_access.list_entries(self._fd, "", paths.parse_rel(rel) if rel else rel)

    def close(self) -> None:
        if self._fd >= 0:
            self._folders.close()
            os.close(self._fd)
            self._fd = -1

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the os module is empty, and the system closes what is open
            self.close()
