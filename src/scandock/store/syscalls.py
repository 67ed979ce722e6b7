"""What Python's os module lacks: renameat2 and syncfs, through libc, errors as OSError.

ctypes is imported at the first call: reader processes only write files and never get here.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2

RENAMEAT2_NUMBER: Final = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "ppc64le": 357, "s390x": 347}
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def renameat2(source: str, target: str, root_fd: int, flags: int) -> None:
    """Rename `source` to `target`, both below `root_fd`, with RENAME_NOREPLACE or RENAME_EXCHANGE; raises OSError."""
    import ctypes

    call = find_renameat2()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source, None, target)
    if call(root_fd, os.fsencode(source), root_fd, os.fsencode(target), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


def rename_new(source: str, target: str, root_fd: int) -> None:
    """Rename where `target` must not exist (FileExistsError), also on file systems without RENAME_NOREPLACE.

    There a folder is renamed plainly: the system refuses a target that holds anything, and an empty one is no tree.
    A file is linked, which refuses an existing target, and then unlinked.
    """
    try:
        renameat2(source, target, root_fd, RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _rename_new_by_hand(source, target, root_fd)


def _rename_new_by_hand(source: str, target: str, root_fd: int) -> None:
    if stat.S_ISDIR(os.stat(source, dir_fd=root_fd, follow_symlinks=False).st_mode):
        try:
            os.rename(source, target, src_dir_fd=root_fd, dst_dir_fd=root_fd)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.ENOTDIR}:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
            raise
        return
    os.link(source, target, src_dir_fd=root_fd, dst_dir_fd=root_fd, follow_symlinks=False)
    os.unlink(source, dir_fd=root_fd)


def exchange(source: str, target: str, root_fd: int) -> None:
    """Swap two names below `root_fd` in one step; raises OSError, also where the file system can't."""
    renameat2(source, target, root_fd, RENAME_EXCHANGE)


def syncfs(fd: int) -> None:
    """Write everything of the file system of `fd` to disk, wait, and raise OSError if any of it failed.

    Errors are those since `fd` was opened (Linux 5.8; see `syncfs_reports_errors`), so open it before the first write.
    """
    import ctypes

    if load_libc().syncfs(fd):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def syncfs_reports_errors() -> bool:
    """True where syncfs reports write errors (Linux 5.8 and later)."""
    numbers = os.uname().release.split("-", 1)[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= (5, 8)
    except (IndexError, ValueError):
        return False


@functools.cache
def load_libc():  # type: ignore[no-untyped-def]  # noqa: ANN201  # ctypes.CDLL would have to be imported to be named
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Libc's renameat2, else the bare system call where its number is known, else None."""
    import ctypes

    libc = load_libc()
    direct: Callable[[int, bytes, int, bytes, int], int] | None = getattr(libc, "renameat2", None)
    if direct is not None:
        return direct
    number = RENAMEAT2_NUMBER.get(os.uname().machine)
    if number is None:
        return None

    def call(old_fd: int, old: bytes, new_fd: int, new: bytes, flags: int) -> int:
        result: int = libc.syscall(ctypes.c_long(number), old_fd, old, new_fd, new, ctypes.c_uint(flags))
        return result

    return call
