"""Syncs that say yes and do nothing, for the controls of power cuts: what such a round does not notice, none does.

A seccomp filter answers the system calls themselves, so that it holds for whatever the process starts too, and for what
SQLite and PostgreSQL sync. `python -m tests.crash.dropped_syncs fsync,syncfs command ...` becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {"fsync": 74, "fdatasync": 75, "sync": 162, "sync_file_range": 277, "syncfs": 306},
    "aarch64": {"fsync": 82, "fdatasync": 83, "sync": 81, "sync_file_range": 84, "syncfs": 267},
}
"""System calls by machine (asm/unistd.h)."""
EVERY = "fsync,fdatasync,sync,sync_file_range,syncfs"
_LOAD_NUMBER = (0x20, 0, 0, 0)
"""BPF: load the number of the system call, the first word of seccomp_data (seccomp(2))."""
_ALLOW, _DONE = 0x7FFF0000, 0x00050000
"""SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with no error, which is a call that returns 0."""
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def drop_syncs(names: str) -> None:
    """Have these calls, separated by commas, do nothing from now on, in this process and all that it starts."""
    numbers = [NUMBERS[platform.machine()][name] for name in names.split(",")]
    steps = [_LOAD_NUMBER]
    steps += [(0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]  # equal: jump to the last
    steps += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _DONE)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((_NO_NEW_PRIVS, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


if __name__ == "__main__":
    drop_syncs(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
