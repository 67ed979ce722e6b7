"""Faults of the machine, whoever met them: the system, or a library that tells of it in its own way."""

from __future__ import annotations

import sqlite3

from scandock.model.errors import Fault
from scandock.model.machine_errors import DiskFull
from scandock.store.durability import disk_fault
from scandock.store.errors import ScratchFailed
from scandock.workers.errors import OutOfMemory


def to_machine_fault(error: Exception) -> Fault | None:
    """The Fault that an exception stands for; None for one that is a mistake of ours.

    Codes: those of `scandock.store.durability.disk_fault`, `out_of_memory`, `scratch_failed`.
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, OSError):
        return disk_fault(error, "importing")
    if isinstance(error, MemoryError):
        return OutOfMemory("The import ran out of memory.", "Give the machine more memory.")
    if isinstance(error, sqlite3.OperationalError):
        if "full" in str(error):
            return DiskFull(
                f"No space left while importing ({error}).", "Free some space and import again.", quotes=True
            )
        return ScratchFailed(str(error))
    return None
