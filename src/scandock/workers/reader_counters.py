"""What reader processes share with their import: counters for the limits, the number of the entry being read, and how
much of an archive that is still coming is here.
"""

from __future__ import annotations

import mmap
import os
import time

from scandock.formats.meter import SharedSlots

MAX_ORDINAL = 63
_CURRENT = MAX_ORDINAL + 1
_COMING = 16
_NO_MORE = -1
WAIT_SECONDS = 0.005
"""How often a reader looks whether the bytes that it waits for have come."""


class ReaderCounters:
    """Counters (`slots`); for each reader, the ordinal that it is at, and behind these two int64, the bytes of the
    archive that are here, and its size. On nameless files, inherited by number.
    """

    def __init__(self, slots: SharedSlots, currents: int) -> None:
        self.slots = slots
        self._fd = currents
        self._map = mmap.mmap(currents, slots.processes * _CURRENT + _COMING)
        self._coming = memoryview(self._map)[-_COMING:].cast("q")

    @classmethod
    def create(cls, readers: int) -> ReaderCounters:
        fd = os.memfd_create("scandock-board")
        os.ftruncate(fd, readers * _CURRENT + _COMING)
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

    def set_here(self, count: int, size: int) -> None:
        """Say how many bytes of an archive that is coming are here, to readers that wait for them, and of how many."""
        self._coming[1] = size
        self._coming[0] = count

    def end_wait(self) -> None:
        """Say that no more bytes come, whoever waits."""
        self._coming[0] = _NO_MORE

    def wait_for(self, count: int) -> int:
        """Wait until so many bytes of the archive are here, or all of fewer; its size, as far as that is known.

        Raises InterruptedError once no more come.
        """
        while (here := self._coming[0]) < min(count, size := self._coming[1]):
            if here == _NO_MORE:
                raise InterruptedError
            time.sleep(WAIT_SECONDS)
        return size

    def totals(self) -> tuple[int, int]:
        """(entries, unpacked bytes) over all readers."""
        values = self.slots.view.tolist()
        return sum(values[0::2]), sum(values[1::2])

    def close(self) -> None:
        self._coming.release()
        self._map.close()
        os.close(self._fd)
        self.slots.close()
