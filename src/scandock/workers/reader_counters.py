"""What reader processes share with their import: counters for the limits, and the number of the entry being read."""

from __future__ import annotations

import mmap
import os

from scandock.formats.meter import SharedSlots

MAX_ORDINAL = 63
_CURRENT = MAX_ORDINAL + 1


class ReaderCounters:
    """Counters (`slots`) and, for each reader, the ordinal that it is at; on nameless files, inherited by number."""

    def __init__(self, slots: SharedSlots, currents: int) -> None:
        self.slots = slots
        self._fd = currents
        self._map = mmap.mmap(currents, slots.processes * _CURRENT)

    @classmethod
    def create(cls, readers: int) -> ReaderCounters:
        fd = os.memfd_create("scandock-board")
        os.ftruncate(fd, readers * _CURRENT)
        return cls(SharedSlots.create(readers), fd)

    @classmethod
    def attach(cls, slots: int, currents: int) -> ReaderCounters:
        return cls(SharedSlots.attach(slots), currents)

    @property
    def fds(self) -> tuple[int, int]:
        return (self.slots.fd, self._fd)

    def set_current(self, index: int, number: bytes) -> None:
        """Say which entry reader `index` is at; empty for none."""
        at = index * _CURRENT
        self._map[at : at + 1 + len(number)] = bytes([len(number)]) + number

    def current(self, index: int) -> bytes:
        at = index * _CURRENT
        return self._map[at + 1 : at + 1 + self._map[at]]

    def totals(self) -> tuple[int, int]:
        """(entries, unpacked bytes) over all readers."""
        values = self.slots.view.tolist()
        return sum(values[0::2]), sum(values[1::2])

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)
        self.slots.close()
