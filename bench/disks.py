"""A file system of one's own for a measurement, so that nothing that was there before counts.

For minutes ext4 passes over each inode that was given up, one after the other where it has no journal (as in some
virtual machines): whoever makes files after others were removed waits ten times as long as for the files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BYTES = 8 * 1024**3


@contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A folder that is made, with an empty ext4 of 8 GB where one can be made here (by root); gone afterwards."""
    folder.mkdir(parents=True)
    try:
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            yield folder
            return
        image, mounted = folder / "disk.img", folder / "disk"
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(BYTES)
        with _attach(image) as device:
            ready = "lazy_itable_init=0,lazy_journal_init=0"  # else the system writes beside what is measured
            subprocess.run(["mkfs.ext4", "-q", "-F", "-E", ready, device], check=True)
            subprocess.run(["mount", device, mounted], check=True)
            try:
                yield mounted
            finally:
                subprocess.run(["umount", mounted], check=True)
    finally:
        shutil.rmtree(folder)
        os.sync()


@contextmanager
def _attach(image: Path) -> Iterator[str]:
    """The device of an image, past the page cache: else each byte is copied once more than for a real disk."""
    attach = ["losetup", "--find", "--show", "--direct-io=on", str(image)]
    device = subprocess.run(attach, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
