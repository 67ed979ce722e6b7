"""The lock by which one server at a time is at work on a data folder: on the folder itself, so that no file lies about.

It goes with the process that holds it. Whoever may work only where no server does shares it meanwhile (`unserved`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


def open_data(data: str) -> int:
    """A descriptor of a data folder, for `take`; the lock goes with it. Raises OSError."""
    return os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def take(fd: int) -> None:
    """Have a folder for one server. BlockingIOError while somebody else has it, or shares it."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def unserved(data: str) -> Iterator[bool]:
    """Whether no server is at work on a data folder; where none is, none begins until the end of this."""
    try:
        fd = open_data(data)
    except OSError:
        yield True  # it is not there
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(fd)
