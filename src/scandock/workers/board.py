"""What reader processes share with their import: counters for the limits, and the number of the entry being read."""

from __future__ import annotations

import mmap
import os
import struct

_PAIR = struct.Struct("<qq")
_CURRENT = struct.Struct("<B63s")
_SLOT = _PAIR.size
MAX_ORDINAL = 63


class Board:
    """A small file mapped by all: `counters` holds (entries, bytes) for each reader, behind it the current ordinals.

    The parent makes it (`size` readers), readers open it by path. The last pair is the parent's own.
    """

    def __init__(self, path: str, size: int, *, make: bool = False) -> None:
        self.size = size
        length = size * (_SLOT + _CURRENT.size)
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if make else 0) | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            if make:
                os.truncate(fd, length)
            self._map = mmap.mmap(fd, length)
        finally:
            os.close(fd)
        self._view = memoryview(self._map)
        self.counters = self._view[: size * _SLOT].cast("q")

    def set_current(self, index: int, number: bytes) -> None:
        """Say which entry reader `index` is at; empty for none."""
        at = self.size * _SLOT + index * _CURRENT.size
        self._map[at : at + 1 + len(number)] = bytes([len(number)]) + number

    def current(self, index: int) -> bytes:
        at = self.size * _SLOT + index * _CURRENT.size
        length, raw = _CURRENT.unpack_from(self._map, at)
        return bytes(raw[:length])

    def totals(self) -> tuple[int, int]:
        """(entries, unpacked bytes) over all readers."""
        values = self.counters.tolist()
        return sum(values[0::2]), sum(values[1::2])

    def close(self) -> None:
        self.counters.release()
        self._view.release()
        self._map.close()
