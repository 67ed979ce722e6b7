"""Has what a measured run takes of free memory be the machine's already, as on one that has worked for a while.

A virtual machine may give what lies free in it back to its host (free page reporting of virtio-balloon), some seconds
after it was freed. Whoever next touches such a page waits for the host: 2.6 ms a MB were measured where 0.25 ms is
usual. 556 MB that are unpacked then take 1.3 s longer, or not, by what the machine did in the minute before.
"""

from __future__ import annotations

import mmap
from pathlib import Path

TOUCHED = 3_000_000_000
"""Bytes; more than any run takes before it ends, its page cache counted."""


def touch_free_memory() -> None:
    """Touch what a run may take, and free it again, where this is a virtual machine that gave it back."""
    if any(Path("/sys/bus/virtio/drivers/virtio_balloon").glob("virtio*")):
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        mmap.mmap(-1, min(TOUCHED, available() // 2), flags=flags).close()


def available() -> int:
    """Bytes that can be had without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
