"""Taking files of a published tree over into a stage: hard links, since trees are immutable; copies where refused."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from scandock.store import paths
from scandock.store.durability import disk_fault
from scandock.store.errors import TreeDamaged
from scandock.store.folder_cache import FolderCache
from scandock.store.records import AdoptResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scandock.store.paths import RelPath, TreePath

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})
"""EPERM and EACCES: fs.protected_hardlinks, or no links there; EMLINK: 65,000 of one file on ext4."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def adopt(root_fd: int, name: TreePath, target: FolderCache, pairs: Iterable[tuple[RelPath, RelPath]]) -> AdoptResult:
    """Link or copy (relpath in the tree `name`, relpath below `target`) pairs; see port.Stage.adopt."""
    tree_fd = os.open(name, _FOLDER, dir_fd=root_fd)
    source = FolderCache(tree_fd)
    linked = copied = 0
    try:
        for old, new in pairs:
            try:
                if _adopt_one(source, old, target, new):
                    linked += 1
                else:
                    copied += 1
            except (FileNotFoundError, FileExistsError):
                raise
            except NotADirectoryError as error:
                raise FileNotFoundError(error.errno, "No such file, or no folder for it", old) from error
            except OSError as error:
                raise disk_fault(error, f"taking {old} over from {name}") from error
    finally:
        source.close()
        os.close(tree_fd)
    return AdoptResult(linked, copied)


def _adopt_one(source: FolderCache, old: RelPath, target: FolderCache, new: RelPath) -> bool:
    """True where a link did it, False where the bytes were copied."""
    old_folder, old_name = paths.split_path(old)
    new_folder, new_name = paths.split_path(new)
    old_fd = source.fd(old_folder)
    new_fd = target.fd(new_folder, create=True)
    if not stat.S_ISREG(os.stat(old_name, dir_fd=old_fd, follow_symlinks=False).st_mode):
        raise TreeDamaged(f"{old} is no regular file.", "Run `scandock check`.")
    try:
        os.link(old_name, new_name, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(old_name, old_fd, new_name, new_fd)
        return False
    return True


def _copy(old_name: str, old_fd: int, new_name: str, new_fd: int) -> None:
    reading = os.open(old_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=old_fd)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(new_name, flags, 0o644, dir_fd=new_fd)
        try:
            offset, size = 0, os.fstat(reading).st_size
            while offset < size:
                count = os.sendfile(writing, reading, offset, size - offset)
                if not count:
                    raise OSError(errno.EIO, "File became shorter while it was copied", old_name)
                offset += count
        except OSError:
            os.unlink(new_name, dir_fd=new_fd)
            raise
        finally:
            os.close(writing)
    finally:
        os.close(reading)
