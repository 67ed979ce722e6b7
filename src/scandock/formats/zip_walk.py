"""The entries of a zip whose directory has not come yet, by their local headers, as far as its bytes are here.

What they claim is a guess: it counts once the directory says the same of each of them (`ZipWalk.is_start_of`).

Source: APPNOTE 6.3.10, 4.3.7 (local headers), 4.3.9 (data descriptors), 4.4.4 (flags).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final

from scandock.formats.zip_entries import ROW, RawEntry, ZipEntries
from scandock.formats.zip_names import UNICODE_PATH, UTF8_FLAG, special_kind, unicode_path
from scandock.model.limits import Limits

_LOCAL: Final = Struct("<4s2xHH4xLLLHH")
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_NEXT_SIGNATURES: Final = (_LOCAL_SIGNATURE, b"PK\x01\x02")
_DESCRIPTOR: Final = b"PK\x07\x08"
_DESCRIPTORS: Final = (Struct("<4xLLL"), Struct("<4xLQQ"))
"""Of 32 bits and of 64: CRC, packed size, size."""
_FULL_DESCRIPTOR: Final = 28
"""Bytes from a descriptor's signature to the end of the next one behind it, at most."""
_MAX_MISSES: Final = 64
"""Of an entry's data bytes that look as a descriptor's signature does: by chance they stand there once in 4 GB."""
_HEAD: Final = 512
"""Bytes that hold a header with its name and extra fields, nearly always."""
_SCAN: Final = 1024 * 1024
_SCANS: Final = 256
"""Pieces of data that one call looks through for a descriptor, and entries that it takes, so that it ends soon."""
_ENTRIES: Final = 1024
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_SIZES_FOLLOW: Final = 0x0008
_READING_FLAGS: Final = _ENCRYPTED | UTF8_FLAG
"""Flags by which an entry is read; of the others writers say one thing here and another there."""
_STORED: Final = 0
_DEFLATED: Final = 8
_MAX32: Final = 0xFFFFFFFF
_FOLDER_ATTRIBUTE: Final = 0x10

ReadAt = Callable[[int, int], bytes]
"""Bytes at an offset, all of which are here."""


class ZipWalk:
    """Walks a zip from its first byte on; `advance` says how far its bytes are here, and none beyond that is read.

    It takes entries that are stored or deflated, with sizes in their headers, or deflated with a data descriptor, and
    stops before the first that is anything else, or beyond what a directory may list.
    """

    def __init__(self, read_at: ReadAt, limits: Limits) -> None:
        self._read_at = read_at
        self._limits = limits
        self._rows = bytearray()
        self._names = bytearray()
        self._at = 0
        self._scanned = 0
        """Up to where the descriptor of the entry at `_at` was looked for; 0 where it was not."""
        self._misses = 0
        self.unpacked = 0
        """Bytes of the entries that were taken, as they claim."""
        self.stopped = False
        """Whether nothing more is taken, whatever comes."""

    def __len__(self) -> int:
        return len(self._rows) // ROW.size

    def advance(self, here: int) -> None:
        """Take some of the entries that are whole, now that the first `here` bytes have come: all, called again."""
        for _ in range(_ENTRIES):
            if self.stopped or not self._take(here):
                return

    def entries(self, start: int) -> ZipEntries:
        """The entries from number `start` on, as far as they were taken."""
        rows = bytes(self._rows[start * ROW.size :])
        names_at = ROW.unpack_from(rows)[4] if rows else len(self._names)
        return ZipEntries(rows, bytes(self._names[names_at:]), start, names_at)

    def is_start_of(self, directory: Iterable[RawEntry]) -> bool:
        """Whether a directory begins by the very entries that were taken, and has them where they were."""
        listed = iter(directory)
        own = ZipEntries(bytes(self._rows), bytes(self._names)).raw_entries()
        return all((other := next(listed, None)) is not None and _is_same(other, entry) for entry in own)

    def _take(self, here: int) -> bool:
        """Take one entry; False where it is not here whole, or is the end."""
        at = self._at
        if here - at < _LOCAL.size:
            return False
        if len(self) >= self._limits.max_entries or len(self._names) >= self._limits.max_directory_bytes:
            self.stopped = True
            return False
        head = self._read_at(at, min(_HEAD, here - at))
        signature, flags, method, crc, csize, usize, name_length, extra_length = _LOCAL.unpack_from(head)
        follow = bool(flags & _SIZES_FOLLOW)
        if signature != _LOCAL_SIGNATURE or flags & _ENCRYPTED or not _is_walked(method, csize, usize, follow=follow):
            self.stopped = True
            return False
        data_at = at + _LOCAL.size + name_length + extra_length
        if data_at > here:
            return False
        if len(head) < data_at - at:
            head = self._read_at(at, data_at - at)
        end = data_at + csize
        if follow:
            descriptor = self._find_descriptor(data_at, here)
            if descriptor is None:
                return False
            end, crc, csize, usize = descriptor
        if end > here:
            return False
        name = head[_LOCAL.size : _LOCAL.size + name_length]
        extra = head[_LOCAL.size + name_length : data_at - at]
        if UNICODE_PATH in extra and (better := unicode_path(extra, name)) is not None:
            name = better[:0xFFFF]
            flags |= UTF8_FLAG
        self._rows += ROW.pack(at, end, csize, usize, len(self._names), crc, 0, len(name), method, flags)
        self._names += name
        self.unpacked += usize
        self._at, self._scanned, self._misses = end, 0, 0
        return True

    def _find_descriptor(self, data_at: int, here: int) -> tuple[int, int, int, int] | None:
        """Where the descriptor of data from `data_at` on ends, then CRC, packed size and size.

        The bytes of a descriptor may stand in the data by chance: it is one where its packed size is the way to it, and
        a header stands behind it.
        """
        at = max(self._scanned, data_at)
        for _ in range(_SCANS):
            if here - at < _FULL_DESCRIPTOR:
                break
            piece = self._read_at(at, min(_SCAN, here - at))
            last = len(piece) - _FULL_DESCRIPTOR
            position = piece.find(_DESCRIPTOR)
            while 0 <= position <= last:
                for form in _DESCRIPTORS:
                    end = position + form.size
                    crc, csize, usize = form.unpack_from(piece, position)
                    if csize == at + position - data_at and piece[end : end + 4] in _NEXT_SIGNATURES:
                        return at + end, crc, csize, usize
                self._misses += 1
                if self._misses > _MAX_MISSES:
                    self.stopped = True
                    return None
                position = piece.find(_DESCRIPTOR, position + 1)
            at += last + 1
            self._scanned = at
        return None


def _is_walked(method: int, csize: int, usize: int, *, follow: bool) -> bool:
    """Whether an entry is taken by its own header; `follow`: whether its sizes stand behind its data."""
    if follow:
        return method == _DEFLATED and csize == usize and csize in (0, _MAX32)
    return method in (_STORED, _DEFLATED) and _MAX32 not in (csize, usize)


def _is_same(listed: RawEntry, own: RawEntry) -> bool:
    """Whether the directory says of an entry what its own header did, and no more of what it is.

    What was read of it, name and extra fields too, must end before the next entry that the directory lists.
    """
    (header_at, next_at, csize, usize, _, crc, attributes, _, method, flags), name = listed
    row, own_name = own
    if row[1] > next_at:
        return False
    if (header_at, csize, usize, crc, method, name) != (row[0], row[2], row[3], row[5], row[8], own_name):
        return False
    is_folder_by_mark = usize == 0 and attributes & _FOLDER_ATTRIBUTE and not name.endswith((b"/", b"\\"))
    if is_folder_by_mark or special_kind(attributes):
        return False
    return flags & _READING_FLAGS == row[9] & _READING_FLAGS
