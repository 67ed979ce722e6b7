"""Entries of a zip as the directory has them: a compact table, and one entry out of it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from struct import Struct
from typing import Final, overload

from scandock.formats.zip_names import decode_name, special_kind
from scandock.model.slot_values import SlotValues

ROW: Final = Struct("<4QQLLHHH")
"""header_at, next_at, packed size, size, name_at, crc, attributes, name length, method, flags."""

_SIZE: Final = itemgetter(3)

RawEntry = tuple[tuple[int, ...], bytes]
"""A row and the bytes of the name."""


class ZipEntry(SlotValues):
    """One entry as the directory has it; what the local header claims does not count.

    `header_at` is where its local header stands in the source, `next_at` where at latest its data end: the next
    entry's header, or the directory. `special` names a link, device, pipe or socket and is empty for a file or folder.
    """

    __slots__ = (
        "crc", "csize", "flags", "header_at", "index", "is_dir", "method", "name", "next_at", "special", "usize",
    )  # fmt: skip

    def __init__(
        self,
        *,
        index: int,
        name: str,
        method: int,
        flags: int,
        crc: int,
        csize: int,
        usize: int,
        header_at: int,
        next_at: int,
        is_dir: bool,
        special: str,
    ) -> None:
        self.index = index
        self.name = name
        self.method = method
        self.flags = flags
        self.crc = crc
        self.csize = csize
        self.usize = usize
        self.header_at = header_at
        self.next_at = next_at
        self.is_dir = is_dir
        self.special = special


class ZipEntries(Sequence[ZipEntry]):
    """Entries in the directory's order, as packed rows: 54 bytes each and the name.

    Slices share nothing with the whole and pickle as two byte strings, so a range of 100,000 entries goes to another
    process in milliseconds; entries keep their index in the whole directory.
    """

    __slots__ = ("_first", "_names", "_names_at", "_rows")

    def __init__(self, rows: bytes, names: bytes, first: int = 0, names_at: int = 0) -> None:
        self._rows = rows
        self._names = names
        self._first = first
        self._names_at = names_at

    def __len__(self) -> int:
        return len(self._rows) // ROW.size

    @overload
    def __getitem__(self, index: int) -> ZipEntry: ...
    @overload
    def __getitem__(self, index: slice) -> ZipEntries: ...
    def __getitem__(self, index: int | slice) -> ZipEntry | ZipEntries:
        if isinstance(index, slice):
            return self._slice(*index.indices(len(self)))
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._entry(index, ROW.unpack_from(self._rows, index * ROW.size))

    def __iter__(self) -> Iterator[ZipEntry]:
        for index, row in enumerate(ROW.iter_unpack(self._rows)):
            yield self._entry(index, row)

    def __reduce__(self) -> tuple[type[ZipEntries], tuple[bytes, bytes, int, int]]:
        return (ZipEntries, (self._rows, self._names, self._first, self._names_at))

    def sums(self) -> Sequence[int]:
        """Up to and with each entry, the bytes that all claim to be unpacked: to share the work out evenly."""
        try:
            return array("Q", self._sums())
        except OverflowError:  # four entries may claim as much
            return list(self._sums())

    def _sums(self) -> Iterator[int]:
        return accumulate(map(_SIZE, ROW.iter_unpack(self._rows)))

    def raw_entries(self) -> Iterator[RawEntry]:
        """Each row with the bytes of its name, without making entries: to compare them."""
        for row in ROW.iter_unpack(self._rows):
            at = row[4] - self._names_at
            yield row, self._names[at : at + row[7]]

    def _entry(self, index: int, row: tuple[int, ...]) -> ZipEntry:
        header_at, next_at, csize, usize, name_at, crc, attributes, name_length, method, flags = row
        name_at -= self._names_at
        raw = self._names[name_at : name_at + name_length]
        name = decode_name(raw, flags)
        special = special_kind(attributes)
        # A folder that carries bytes is a file whose name ends oddly: nothing is lost.
        is_dir = usize == 0 and not special and (raw.endswith((b"/", b"\\")) or attributes & 0x10 != 0)
        return ZipEntry(
            index=self._first + index, name=name, method=method, flags=flags, crc=crc, csize=csize, usize=usize,
            header_at=header_at, next_at=next_at, is_dir=is_dir, special=special,
        )  # fmt: skip

    def _slice(self, start: int, stop: int, step: int) -> ZipEntries:
        if step != 1:
            raise ValueError("entries are sliced in ranges only")
        rows = self._rows[start * ROW.size : max(start, stop) * ROW.size]
        if not rows:
            return ZipEntries(b"", b"", self._first + start)
        first, last = ROW.unpack_from(rows), ROW.unpack_from(rows, len(rows) - ROW.size)
        names = self._names[first[4] - self._names_at : last[4] + last[7] - self._names_at]
        return ZipEntries(rows, names, self._first + start, first[4])
