"""A file system in a file, mounted by a loop device, whose power can be cut: what was not synced is gone.

The cut is the file system's own shutdown without a flush of its log (ext4's and XFS's FS_IOC_SHUTDOWN): from then on
nothing reaches the disk, and mounting it again replays the log as after a power cut. For root alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from tests.crash.processes import until

KINDS = ("ext4", "xfs")
SIZE = 512 * 1024 * 1024
"""Bytes of the file, which has holes where nothing was written. XFS wants 300 MB at least."""
_SHUTDOWN = 0x8004587D
"""_IOR('X', 125, __u32)"""
_NO_LOG_FLUSH = 2


class NoDiskError(Exception):
    """Why no disk can be made here."""


class Disk:
    """`kind` ext4 or xfs; mounted at `path`, in the folder `folder`, which it makes. NoDiskError."""

    def __init__(self, folder: Path, kind: str) -> None:
        make = shutil.which(f"mkfs.{kind}", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if os.geteuid() != 0:
            raise NoDiskError("only root may mount a file system to cut its power")
        if make is None:
            raise NoDiskError(f"mkfs.{kind} is not installed here")
        folder.mkdir(parents=True)
        self.path = folder / "mounted"
        self.path.mkdir()
        self._image = folder / "image"
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        try:
            _run(make, "-q", str(self._image))
            self.mount()
        except OSError as error:
            raise NoDiskError(str(error)) from error

    def mount(self) -> None:
        """Mount it, its log replayed."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def cut(self) -> None:
        """Cut its power. Whoever has files of it open must have ended before it is mounted again."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Take it away, once the last thread of those who were killed has ended."""
        until(self._unmounts, f"{self.path} is in use")

    def _unmounts(self) -> bool:
        done = subprocess.run(["umount", str(self.path)], check=False, capture_output=True, text=True)
        assert done.returncode == 0 or "busy" in done.stderr, done.stderr
        return done.returncode == 0

    def close(self) -> None:
        """Leave neither mount nor loop device behind, whoever still has files open."""
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)
        self._image.unlink(missing_ok=True)


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
