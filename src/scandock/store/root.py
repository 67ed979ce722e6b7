"""The folder DATA: one descriptor that every path of the store starts from."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

from scandock.model.errors import Fault
from scandock.model.private_files import PRIVATE_FOLDER, keep_private
from scandock.store.durability import disk_fault, sync_folder
from scandock.store.errors import StoreMissing
from scandock.store.folder_cache import FOLDER_MODE
from scandock.store.paths import AREAS, INCOMING, RECEIPTS, TO_DELETE, TRASH, WORK, data_path_below

if TYPE_CHECKING:
    from collections.abc import Callable

    from scandock.store.paths import DataPath

ERRORS_LOST = "lost"
"""Name of a folder by which whoever runs the machine says that what was in the one around it won't come back."""
FOLDERS = (INCOMING, WORK, TRASH, TO_DELETE, RECEIPTS, *AREAS)
PRIVATE = frozenset({INCOMING, WORK, TRASH, RECEIPTS})
"""What nobody mounts; files and folders in them have the common modes, as they leave by rename."""

_ORIGINALS = frozenset({INCOMING, WORK})
"""Where objects are as they came."""


class Root:
    """DATA by path, opened at first use; paths given to it are relative and already checked."""

    __slots__ = ("_fd", "erases", "exchanges", "path")

    def __init__(self, path: str) -> None:
        self._fd: int | None = None
        self.exchanges: bool | None = None
        """Whether the file system can exchange two names, once `space.can_exchange` has tried."""
        self.erases = False
        """Whether what arrives and what is staged is deleted at once, when it is given up."""
        self.path = os.path.abspath(path)

    @property
    def fd(self) -> int:
        """Descriptor of DATA; Fault `store_missing` where there is none."""
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise StoreMissing(f"There is no folder {self.path}.") from error
            except OSError as error:
                raise disk_fault(error, f"opening {self.path}") from error
        return self._fd

    def prepare(self, *, stored: bool = True) -> None:
        """Make DATA and its folders where missing; idempotent, also when killed in the middle of that.

        Not `stored`: those of what was placed are left to `make_stored`, which knows whether that may be.
        Fault `store_other_filesystem` where one of them is mounted from elsewhere: placing is a rename.
        """
        try:
            new = _missing(self.path)
            missing = bool(new)
            os.makedirs(self.path, FOLDER_MODE, exist_ok=True)
            for folder in FOLDERS:
                missing |= (stored or folder not in AREAS) and self.make(folder)
            for folder in PRIVATE:
                keep_private(folder, dir_fd=self.fd)  # an older version made them as the umask said
            device = os.stat(self.path).st_dev
            for folder in FOLDERS:
                if not stored and folder in AREAS and not self.stands(folder):
                    continue
                if os.stat(folder, dir_fd=self.fd).st_dev != device:
                    raise OSError(errno.EXDEV, "Invalid cross-device link", folder)
        except OSError as error:
            raise disk_fault(error, f"making the folders of {self.path}") from error
        if missing:
            sync_folder(TRASH, self.fd)
            sync_folder(".", self.fd)
            sync_folder("..", self.fd)
            for above in new[1:]:
                sync_folder(os.path.dirname(above), self.fd)

    def is_prepared(self) -> bool:
        """See local.LocalStore.is_prepared."""
        try:
            return all(self.is_folder(folder) for folder in FOLDERS if folder not in AREAS)
        except Fault:
            return False

    def check_areas(self, holds: Callable[[str, bool], bool]) -> list[DataPath]:
        """See port.Store.check_areas."""
        missing = []
        for folder in AREAS:
            stands = self.stands(folder)
            if stands and not self.is_empty(folder):
                continue
            # looked at again: the first session may have been placed since
            if holds(folder, stands) and (not stands or self.is_empty(folder)):
                raise self.gone(folder)
            if not stands:
                missing.append(folder)
        return missing

    def make_areas(self, holds: Callable[[str, bool], bool]) -> list[DataPath]:
        """See port.Store.make_areas."""
        try:
            new_folders = [folder for folder in self.check_areas(holds) if self.make(folder)]
        except OSError as error:
            raise disk_fault(error, f"making the folders of {self.path}") from error
        if new_folders:
            sync_folder(".", self.fd)
        return new_folders

    def gone(self, folder: DataPath) -> Fault:
        """What is said of a folder of what was placed that is not there, or has nothing in it."""
        how = "is empty, without all" if self.stands(folder) else "is not there, with all"
        return StoreMissing(
            f"The folder {folder} of {self.path} {how} that was placed in it.",
            "Mount its disk, or put the folder back from a backup. Nothing is placed before that. Where what was in it"
            f" is lost for good, make a folder named {ERRORS_LOST} in it.",
        )

    def stands(self, folder: DataPath) -> bool:
        """Whether a folder is there; not where a link leads to none, as to a disk that is not mounted."""
        try:
            os.stat(folder, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

    def is_empty(self, folder: DataPath) -> bool:
        """Whether a folder has no entry; False where it can't be looked into. As costly in a full folder as in an empty
        one.
        """
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:
            return False
        try:
            with os.scandir(fd) as entries:
                return next(entries, None) is None
        finally:
            os.close(fd)

    def make(self, folder: DataPath) -> bool:
        """Make one folder whose parent is there; False where it stands already. OSError."""
        try:
            os.mkdir(folder, PRIVATE_FOLDER if folder in PRIVATE else FOLDER_MODE, dir_fd=self.fd)
        except FileExistsError:
            return False
        return True

    def inode(self, path: DataPath) -> int | None:
        """Inode of what stands at `path` (a link is not followed), or None."""
        try:
            return os.stat(path, dir_fd=self.fd, follow_symlinks=False).st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stamp(self, path: DataPath) -> int | None:
        """When what stands at `path` was last changed itself, in ns, or None; with the inode it tells a copy apart."""
        try:
            return os.stat(path, dir_fd=self.fd, follow_symlinks=False).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_folder(self, path: DataPath) -> bool:
        try:
            return stat.S_ISDIR(os.stat(path, dir_fd=self.fd, follow_symlinks=False).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def list(self, folder: DataPath) -> list[str]:
        """Sorted names in a folder; none where it is missing."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def give_up(self, path: DataPath) -> bool:
        """Move a file or folder to where it is deleted in the background; False where it isn't there.

        Where this `erases`, what arrived or was staged is deleted now, where it is.
        """
        if self.erases and path.partition("/")[0] in _ORIGINALS and self._erase(path):
            return True
        while True:
            try:
                os.rename(
                    path, data_path_below(TO_DELETE, os.urandom(10).hex()), src_dir_fd=self.fd, dst_dir_fd=self.fd
                )
            except FileNotFoundError:
                if self.inode(path) is None:
                    return False
                self.make(TRASH)
                self.make(TO_DELETE)
            except OSError as error:
                raise disk_fault(error, f"removing {path}") from error
            else:
                return True

    def _erase(self, path: DataPath) -> bool:
        """Delete something; False where it isn't there, or is still written to."""
        from scandock.store.sweep import sweep  # readers, which delete nothing so, are to load little

        return self.inode(path) is not None and not sweep(self.fd, [path], None).left

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the os module is empty, and the system closes what is open
            self.close()


def _missing(path: str) -> list[str]:
    """Of an absolute path and the folders above it those that are not there, nearest first."""
    missing_paths = []
    while not os.path.isdir(path):
        missing_paths.append(path)
        path = os.path.dirname(path)
    return missing_paths
