"""What the receiver process counts, in memory that the web process reads for `/metrics` and `/readyz`.

As `worker_figures.py`: the supervisor made the memory, so counts go on where a process that died has left them.
"""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Final

from scandock.model.reception import AssociationOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

STATUSES: Final = ("0000", "0110", "0122", "0124", "A700", "A900", "C000", "other")
"""Answers to C-STORE that are counted, each by its own name."""

_FIGURE: Final = struct.Struct("d")
_NAMES: Final = (
    "settled",
    "associations",
    "studies",
    "oldest",
    "bytes",
    "syncs",
    "sync_seconds",
    *(f"ended {outcome}" for outcome in AssociationOutcome if outcome is not AssociationOutcome.OPEN),
    *(f"answered {status}" for status in STATUSES),
)
_AT: Final = {name: number * _FIGURE.size for number, name in enumerate(_NAMES)}
_ANSWERED: Final = {int(status, 16): f"answered {status}" for status in STATUSES if status != "other"}
SIZE: Final = len(_NAMES) * _FIGURE.size


class ReceiverFigures:
    """`set_*` and `count_*` are called by the one receiver process, from any of its threads; the rest by who reads."""

    def __init__(self, memory: mmap | bytearray | None = None, offset: int = 0) -> None:
        self._memory = memory if memory is not None else bytearray(SIZE)
        self._offset = offset
        self._lock = threading.Lock()

    # -- in the receiver process -------------------------------------------------------------------------------------

    def set_settled(self, *, is_settled: bool) -> None:
        """Whether each enabled receiver listens, or it is known why not."""
        self._write("settled", is_settled)

    def set_open(self, associations: int, studies: int, oldest: float) -> None:
        """Associations and studies that are open now, and since how many seconds the oldest of those is."""
        self._write("associations", associations)
        self._write("studies", studies)
        self._write("oldest", oldest)

    def count_answers(self, statuses: Sequence[int], stored: int = 0) -> None:
        """Objects were answered; so many bytes of them are on disk."""
        with self._lock:
            for status in statuses:
                self._add(_ANSWERED.get(status, "answered other"), 1)
            if stored:
                self._add("bytes", stored)

    def count_sync(self, seconds: float) -> None:
        """A sync took so long."""
        with self._lock:
            self._add("syncs", 1)
            self._add("sync_seconds", seconds)

    def count_end(self, outcome: AssociationOutcome) -> None:
        """An association ended, or was refused."""
        with self._lock:
            self._add(f"ended {outcome}", 1)

    # -- in the others -------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """There is no receiver process. What the last one has counted stays."""
        self.set_settled(is_settled=False)
        self.set_open(0, 0, 0.0)

    @property
    def settled(self) -> bool:
        return bool(self._read("settled"))

    @property
    def associations(self) -> int:
        return int(self._read("associations"))

    @property
    def studies(self) -> int:
        return int(self._read("studies"))

    @property
    def oldest_seconds(self) -> float:
        return self._read("oldest")

    @property
    def bytes(self) -> int:
        return int(self._read("bytes"))

    @property
    def syncs(self) -> int:
        return int(self._read("syncs"))

    @property
    def sync_seconds(self) -> float:
        return self._read("sync_seconds")

    @property
    def ended(self) -> dict[str, float]:
        """Associations that have ended, by how."""
        return {one.value: self._read(f"ended {one}") for one in AssociationOutcome if one != AssociationOutcome.OPEN}

    @property
    def answers(self) -> dict[str, float]:
        """Answers to C-STORE, by their status."""
        return {status: self._read(f"answered {status}") for status in STATUSES}

    def _add(self, name: str, count: float) -> None:
        """Called with the lock held."""
        memory, at = self._memory, self._offset + _AT[name]
        _FIGURE.pack_into(memory, at, _FIGURE.unpack_from(memory, at)[0] + count)

    def _write(self, name: str, value: float) -> None:
        _FIGURE.pack_into(self._memory, self._offset + _AT[name], float(value))

    def _read(self, name: str) -> float:
        return float(_FIGURE.unpack_from(self._memory, self._offset + _AT[name])[0])
