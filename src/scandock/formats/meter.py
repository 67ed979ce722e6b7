"""What an upload has unpacked so far, over all levels and all reader processes, held against its limits."""

from __future__ import annotations

import mmap
import os
from typing import Final

from scandock.formats.display_names import as_size, as_sizes, quote
from scandock.formats.errors import RAISE, EntriesTooMany, EntryTooLarge, NestedTooDeep, RatioTooLarge, UnpackedTooLarge
from scandock.model.errors import LimitExceeded
from scandock.model.limits import Limits

_SLOT: Final = 16  # two int64: entries, unpacked bytes


class SharedSlots:
    """One pair of counters for each reader process, in memory that they all map.

    A process writes its own pair only, so nothing is locked; every process sums all pairs.
    The descriptor is inherited (`pass_fds`) and attached by number in the child.
    """

    def __init__(self, fd: int, processes: int) -> None:
        self.fd = fd
        self.processes = processes
        self._map = mmap.mmap(fd, processes * _SLOT)
        self.view = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, processes: int) -> SharedSlots:
        """Zeroed counters for `processes` readers, on a nameless file."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("scandock-meter")
        else:  # pragma: no cover - not on Linux
            import tempfile

            fd, name = tempfile.mkstemp()
            os.unlink(name)
        os.ftruncate(fd, processes * _SLOT)
        return cls(fd, processes)

    @classmethod
    def attach(cls, fd: int) -> SharedSlots:
        """The counters behind an inherited descriptor."""
        return cls(fd, os.fstat(fd).st_size // _SLOT)

    def close(self) -> None:
        """Unmap and close; the counters go when the last process has."""
        self.view.release()
        self._map.close()
        os.close(self.fd)


class Meter:
    """Counts entries and unpacked bytes of one process and holds the sum of all against the limits.

    Every level counts: an inner archive's own bytes when it is unpacked, and its content again. Raises LimitExceeded,
    which refuses the whole upload (rules.md, Which entries are images, 5 and 6).
    """

    __slots__ = ("_bytes", "_entries", "_floor", "_limits", "_received", "_slot", "_view")

    def __init__(self, limits: Limits, received: int, slots: SharedSlots | None = None, own: int = 0) -> None:
        self._limits = limits
        self._received = received
        self._view = slots.view if slots is not None else memoryview(bytearray(_SLOT)).cast("q")
        self._slot = own * 2
        self._entries = self._view[self._slot]
        self._bytes = self._view[self._slot + 1]
        # Beneath this sum neither bytes nor ratio can be exceeded.
        self._floor = min(limits.max_unpacked_bytes, max(limits.ratio_from_bytes, limits.max_ratio * received))

    @property
    def entries(self) -> int:
        """Entries of every kind, over all processes."""
        return sum(self._view[::2])

    @property
    def bytes(self) -> int:
        """Unpacked bytes, over all processes."""
        return sum(self._view[1::2])

    def entry(self, n: int = 1) -> None:
        """Count `n` entries (files, folders, links). Raises LimitExceeded `too_many_entries`."""
        self._entries += n
        self._view[self._slot] = self._entries
        if (total := self.entries) > self._limits.max_entries:
            raise too_many_entries(total, self._limits.max_entries)

    def unpacked(self, n: int) -> None:
        """Count `n` real bytes, as they come. Raises LimitExceeded `too_many_bytes` or `ratio`."""
        self._bytes += n
        self._view[self._slot + 1] = self._bytes
        if (total := self.bytes) > self._floor:
            self._judge(total)

    def entry_bytes(self, name: str, n: int) -> None:
        """Hold one entry of `n` bytes (declared, or counted so far) against its limit.

        Raises LimitExceeded `entry_too_large`, before anything of that size is read or written.
        """
        if n > self._limits.max_entry_bytes:
            raise EntryTooLarge(quote(name), *as_sizes(n, self._limits.max_entry_bytes))

    def depth(self, name: str, level: int) -> None:
        """Hold the level of an archive (the upload is 1) against the limit; costs that inner archive alone.

        Raises BadInput `too_deep`.
        """
        if level > self._limits.max_depth:
            raise NestedTooDeep(quote(name), level, self._limits.max_depth)

    def _judge(self, total: int) -> None:
        limits = self._limits
        if total > limits.max_unpacked_bytes:
            raise UnpackedTooLarge(as_size(limits.max_unpacked_bytes))
        if total > limits.ratio_from_bytes and total > limits.max_ratio * self._received:
            raise RatioTooLarge(limits.max_ratio, as_size(self._received), as_size(total))


def too_many_entries(count: int, limit: int) -> LimitExceeded:
    """The refusal of an upload with more than `limit` entries, met at `count`."""
    return EntriesTooMany(
        f"The upload holds more than {limit} entries, over all levels together (at least {count}).",
        f"Upload it in parts. {RAISE}",
    )
