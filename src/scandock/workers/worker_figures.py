"""What a worker counts of its slots and attempts, in memory that the web process reads for `/metrics`.

It is part of the memory of `liveness.py`: nothing on a disk and no row, so it is told also while the catalog is away.
The supervisor made it, so counts go on where a worker that died has left them.
"""

from __future__ import annotations

import struct
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from mmap import mmap


class AttemptEnd(StrEnum):
    """How an attempt at an import ended, as its worker saw it."""

    ENDED = "ended"
    """By itself: it wrote what became of the import."""
    CANCELLED = "cancelled"
    DIED = "died"
    """It is tried again, and the attempt counts."""
    OUTAGE = "outage"
    """Disk, rights or catalog failed: its import waits for them, and the attempt does not count."""
    STOPPED = "stopped"
    """With the server, or with its fork server: it does not count."""
    LEASE_LOST = "lease_lost"
    """It was killed, as somebody else had taken its import over."""
    LINGERED = "lingered"
    """It was killed, as it did not end after its import had."""


class LeaseLoss(StrEnum):
    """How an import's lease was lost."""

    RAN_OUT = "ran_out"
    """Its worker was gone, or had not renewed it: this one has claimed the import."""
    TAKEN_OVER = "taken_over"
    """Somebody else has taken over an import that ran here."""


_FIGURE: Final = struct.Struct("d")
_NAMES: Final = ("slots", "used", "damage", "receivers", *AttemptEnd, *(f"lease {loss}" for loss in LeaseLoss))
_AT: Final = {name: number * _FIGURE.size for number, name in enumerate(_NAMES)}
SIZE: Final = len(_NAMES) * _FIGURE.size


@dataclass(frozen=True, slots=True)
class SlotCount:
    """A worker's slots: all, and those that run an import."""

    all: int
    used: int


class WorkerFigures:
    """`count_*` and `tell_slots` are called by the one worker, from any of its threads; the rest by whoever reads."""

    def __init__(self, memory: mmap | bytearray | None = None, offset: int = 0) -> None:
        self._memory = memory if memory is not None else bytearray(SIZE)
        self._offset = offset
        self._lock = threading.Lock()

    # -- in the worker -------------------------------------------------------------------------------------------

    def set_slots(self, slots: SlotCount) -> None:
        """How many slots there are, and how many run an import."""
        self._write("slots", slots.all)
        self._write("used", slots.used)

    def count_attempt(self, end: AttemptEnd) -> None:
        """An attempt has ended."""
        self._add(end)

    def count_lost_leases(self, loss: LeaseLoss, count: int = 1) -> None:
        """Leases of so many imports were lost."""
        self._add(f"lease {loss}", count)

    def set_damaged(self, *, is_damaged: bool = True) -> None:
        """That the catalog was found damaged, by the worker or by an import that it runs."""
        self._write("damage", is_damaged)

    def set_receivers(self, *, are_wanted: bool) -> None:
        """Whether a receiver process has something to do: it is started only then."""
        self._write("receivers", are_wanted)

    # -- in the others -------------------------------------------------------------------------------------------

    @property
    def slots(self) -> SlotCount:
        return SlotCount(self._read("slots"), self._read("used"))

    @property
    def receivers(self) -> bool:
        """Whether there are receivers to listen for, or studies that they have left."""
        return bool(self._read("receivers"))

    @property
    def damage(self) -> bool:
        """Whether the catalog was found damaged since the worker began."""
        return bool(self._read("damage"))

    @property
    def attempts(self) -> dict[AttemptEnd, int]:
        """Attempts that have ended since the server was started, by how."""
        return {end: self._read(end) for end in AttemptEnd}

    @property
    def lost_leases(self) -> dict[LeaseLoss, int]:
        """Leases that were lost since the server was started, by how."""
        return {loss: self._read(f"lease {loss}") for loss in LeaseLoss}

    def _add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._write(name, self._read(name) + count)

    def _write(self, name: str, value: int) -> None:
        _FIGURE.pack_into(self._memory, self._offset + _AT[name], float(value))

    def _read(self, name: str) -> int:
        return int(_FIGURE.unpack_from(self._memory, self._offset + _AT[name])[0])
