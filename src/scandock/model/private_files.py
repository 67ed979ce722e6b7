"""Files and folders that other accounts of the machine may not look into, as they hold headers and hashes."""

from __future__ import annotations

import os
import stat

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_GROUP_WRITES = stat.S_IWGRP


def keep_private(path: str, *, dir_fd: int | None = None) -> None:
    """Take from others what they may at `path`, and from its group unless somebody let that write; OSError.

    We never let a group write: where one may, its people were let in on purpose. What belongs to another user is left.
    """
    status = os.stat(path, dir_fd=dir_fd)
    mode = stat.S_IMODE(status.st_mode)
    denied = stat.S_IRWXO if mode & _GROUP_WRITES else stat.S_IRWXO | stat.S_IRWXG
    if mode & denied and status.st_uid == os.geteuid():
        os.chmod(path, mode & ~denied, dir_fd=dir_fd)
