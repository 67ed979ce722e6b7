"""The file system under DATA: what it is, what it can do, and whether there is room."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING, Final

from scandock.model.machine_errors import DiskFull
from scandock.model.sizes import format_size
from scandock.store import syscalls
from scandock.store.durability import disk_fault, write_all
from scandock.store.errors import FilesystemOnNetwork, StoreMissing, StoreReadOnly
from scandock.store.paths import AREAS, INCOMING, TO_DELETE, WORK, data_path_below
from scandock.store.records import FreeSpace
from scandock.store.root import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scandock.store.paths import DataPath
    from scandock.store.root import Root

# fmt: off
NETWORK: Final = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.davfs", "fuse.gcsfuse",
        "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mount-s3", "fuse.rclone", "fuse.s3fs",
        "fuse.sshfs", "fuse.vmhgfs-fuse", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3",
        "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "vboxsf",
    }
)
# fmt: on
"""Types in mountinfo on which SQLite's write-ahead log, which needs shared memory between processes, is lost."""


_NO_TMPFILE: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
_PROBE_BYTES: Final = 4096
_PLACES: Final = (*(folder for folder in FOLDERS if folder != TO_DELETE), "cache", "packs")


def filesystem_of(path: str) -> str:
    """Type of the file system that holds `path` (or its nearest existing parent), as /proc/self/mountinfo names it.

    Empty where that can't be told.
    """
    path = os.path.realpath(path)
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            return filesystem_in(lines, path)
    except OSError:
        return ""


def filesystem_in(lines: Iterable[str], path: str) -> str:
    """Type of the file system of an absolute path without links, from the lines of a mountinfo file (proc(5))."""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _unescape(before.split(" ")[4])
        data_path_below = point in {"/", path} or path.startswith(point + "/")
        if data_path_below and len(point) >= best:  # the last one mounted on a point is the one seen
            best, kind = len(point), after.split(" ", 1)[0]
    return kind


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def refuse_network(path: str) -> None:
    """Usage `network_filesystem` where `path`, the catalog's folder, lies on a network file system."""
    kind = filesystem_of(path)
    if kind in NETWORK:
        raise FilesystemOnNetwork(path, kind)


def reserve(root: Root, needed: int, files: int, min_free: int) -> int:
    """See port.Store.reserve."""
    try:
        now = os.fstatvfs(root.fd)
    except OSError as error:
        raise disk_fault(error, "asking for free space") from error
    available = now.f_bavail * now.f_frsize
    if needed + min_free > available:
        needs = f"{format_size(needed)} are needed, " if needed else ""
        has = f"{format_size(available)} are available in {root.path}"
        raise DiskFull(
            f"{needs}{has}, and {format_size(min_free)} must stay free.",
            "Free space there.",
            quotes=True,
        )
    if now.f_files and files > now.f_favail:
        raise DiskFull(
            f"{files:,} files are to be made, the file system has room for {now.f_favail:,}.",
            "Delete files from that file system.",
        )
    return available


def rooms(root: Root) -> dict[str, FreeSpace]:
    """See port.Store.rooms."""
    import tempfile  # imports ask for no rooms

    places = {"data": root.path, "temporary": tempfile.gettempdir()}
    places |= {name: os.path.join(root.path, name) for name in _PLACES}
    free_space = {}
    for name, path in places.items():
        with contextlib.suppress(OSError):
            now = os.statvfs(path)
            free_space[name] = FreeSpace(now.f_bavail * now.f_frsize, now.f_favail if now.f_files else None)
    return free_space


def try_writing(root: Root) -> list[str]:
    """See port.Store.try_writing."""
    try:
        now = os.stat(root.path)
        if (now.st_dev, now.st_ino) != (os.fstat(root.fd).st_dev, os.fstat(root.fd).st_ino):
            raise StoreMissing(
                f"{root.path} is another folder now than when it was opened.",
                "Start the server again.",
            )
        own = [folder for folder in FOLDERS if folder not in AREAS]
        new_folders = [folder for folder in own if root.inode(folder) is None and root.make(folder)]
        standing = own + [folder for folder in AREAS if root.stands(folder)]
    except OSError as error:
        raise disk_fault(error, f"making the folders of {root.path}") from error
    for folder in standing:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, dir_fd=root.fd, effective_ids=True):
            raise StoreReadOnly(
                f"The folder {folder} of {root.path} may not be written to.",
                "Open it to the user that runs Scandock, and see that its file system is mounted for writing.",
            )
    for folder in (INCOMING, WORK):
        try:
            _write_probe(root, folder)
        except OSError as error:
            raise disk_fault(error, f"writing to {folder}") from error
    return [*new_folders]


def _write_probe(root: Root, folder: DataPath) -> None:
    """Write and sync a file without a name, so that nothing is left of it whatever happens."""
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=root.fd)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        name = data_path_below(TO_DELETE, f"probe-{os.urandom(8).hex()}")
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=root.fd)
        os.unlink(name, dir_fd=root.fd)
    try:
        write_all(fd, bytes(_PROBE_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)


def can_exchange(root: Root) -> bool:
    """Whether the file system can exchange two names in one step; tried once, by what `root` keeps."""
    if root.exchanges is None:
        root.exchanges = _try_exchange(root)
    return root.exchanges


def _try_exchange(root: Root) -> bool:
    """Exchange two names in a folder of their own, which a kill leaves to the sweep."""
    try:
        folder, lock = _probe_folder(root)
        for name in ("a", "b"):
            root.make(data_path_below(folder, name))
        works = True
        try:
            syscalls.exchange(data_path_below(folder, "a"), data_path_below(folder, "b"), root.fd)
        except OSError:
            works = False
        for name in ("a", "b"):
            os.rmdir(data_path_below(folder, name), dir_fd=root.fd)
        os.rmdir(folder, dir_fd=root.fd)
        os.close(lock)
    except OSError as error:
        raise disk_fault(error, "trying what the file system can do") from error
    return works


def _probe_folder(root: Root) -> tuple[DataPath, int]:
    """A folder of the probe's own, and the descriptor whose lock keeps sweeps away from it."""
    while True:
        folder = data_path_below(TO_DELETE, f"probe-{os.urandom(8).hex()}")
        root.make(folder)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root.fd)
        except FileNotFoundError:
            continue  # a sweep was quicker
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)  # a sweep is at it
            continue
        except OSError:
            return folder, lock  # no locks on folders there
        if root.inode(folder) == os.fstat(lock).st_ino:
            return folder, lock
        os.close(lock)
