"""Entries of a stored zip that grows: their headers, found again without a central directory, and the directory itself.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.14 to 4.3.16.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    ReadAt = Callable[[int, int], bytes]
    """Reads so many bytes from an offset, fewer only at the end, as `os.pread` of a file."""

_LOCAL: Final = Struct("<4sHHHHHLLLHH")
_CENTRAL: Final = Struct("<4sHHHHHHLLLHHHHHLL")
_END: Final = Struct("<4s4H2LH")
_LOCATOR: Final = Struct("<4sLQL")
_END64: Final = Struct("<4sQ2H2L4Q")
_EXTRA64: Final = Struct("<HH2Q")
_EXTRA64_OFFSET: Final = Struct("<HHQ")
_EXTRA64_ALL: Final = Struct("<HH3Q")
_LOCAL_MARK: Final = b"PK\x03\x04"
_LONG: Final = 0xFFFFFFFF
_SHORT: Final = 0xFFFF
_VERSION: Final = 20
_VERSION64: Final = 45
_DATE: Final = 0x21
"""1980-01-01: an entry says nothing of when it came."""
_MAX_NAME: Final = 1024
_BLOCK: Final = 1024 * 1024


class Entry(NamedTuple):
    """One entry as its local header has it."""

    name: bytes
    crc: int
    size: int
    header_at: int
    data_at: int

    @property
    def end(self) -> int:
        return self.data_at + self.size

    @property
    def content(self) -> tuple[bytes, int, int]:
        return self.name, self.crc, self.size


def local_header(name: str, crc: int, size: int) -> bytes:
    """What stands before an object's bytes. ValueError for a name that is too long, or none."""
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= _MAX_NAME:
        raise ValueError(f"an entry's name has 1 to {_MAX_NAME} characters")
    if size < _LONG:
        return _LOCAL.pack(_LOCAL_MARK, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(encoded), 0) + encoded
    return long_header(name, crc, size)


def long_header(name: str, crc: int, size: int) -> bytes:
    """With sizes of any length: as long for an object whose size is not known yet."""
    encoded = name.encode("ascii")
    head = _LOCAL.pack(_LOCAL_MARK, _VERSION64, 0, 0, 0, _DATE, crc, _LONG, _LONG, len(encoded), _EXTRA64.size)
    return head + encoded + _EXTRA64.pack(1, 16, size, size)


def walk_entries(read: ReadAt, size: int, *, check: bool) -> Iterator[Entry]:
    """The entries that stand from the first byte on, up to the first that is not whole; `check`: nor has its CRC-32."""
    at = 0
    while (entry := read_entry(read, at, size)) is not None:
        if check and compute_crc(read, entry) != entry.crc:
            return
        yield entry
        at = entry.end


def read_entry(read: ReadAt, at: int, size: int) -> Entry | None:
    """The entry whose header begins at an offset, of a zip of `size` bytes; None where none is there, or not whole."""
    head = read(_LOCAL.size + _MAX_NAME + _EXTRA64.size, at)
    if len(head) < _LOCAL.size:
        return None
    mark, _, flags, method, _, _, crc, packed, length, name_length, extra_length = _LOCAL.unpack_from(head)
    if mark != _LOCAL_MARK or flags or method or packed != length or not 0 < name_length <= _MAX_NAME:
        return None
    name_end = _LOCAL.size + name_length
    if extra_length:
        if extra_length != _EXTRA64.size or len(head) < name_end + _EXTRA64.size or length != _LONG:
            return None
        kind, content, packed, length = _EXTRA64.unpack_from(head, name_end)
        if (kind, content) != (1, 16) or packed != length:
            return None
    entry = Entry(head[_LOCAL.size : name_end], crc, length, at, at + name_end + extra_length)
    return entry if len(head) >= name_end and entry.end <= size else None


def compute_crc(read: ReadAt, entry: Entry) -> int:
    """The CRC-32 of an entry's bytes, -1 where they are not all there."""
    crc = 0
    for at in range(0, entry.size, _BLOCK):
        length = min(_BLOCK, entry.size - at)
        block = read(length, entry.data_at + at)
        if len(block) != length:
            return -1
        crc = isal_zlib.crc32(block, crc)
    return crc


def make_directory(all_entries: Iterable[Entry], size: int) -> Iterator[bytes]:
    """The central directory of entries that take `size` bytes, and the records behind it, block by block."""
    block = bytearray()
    entries = length = 0
    for entry in all_entries:
        entries += 1
        record = _central_record(entry)
        length += len(record)
        block += record
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if entries >= _SHORT or size >= _LONG or length >= _LONG:
        block += _END64.pack(
            b"PK\x06\x06", _END64.size - 12, _VERSION64, _VERSION64, 0, 0, entries, entries, length, size
        )
        block += _LOCATOR.pack(b"PK\x06\x07", 0, size + length, 1)
    count = min(entries, _SHORT)
    block += _END.pack(b"PK\x05\x06", 0, 0, count, count, min(length, _LONG), min(size, _LONG), 0)
    yield bytes(block)


def _central_record(entry: Entry) -> bytes:
    large, far = entry.size >= _LONG, entry.header_at >= _LONG
    extra = b""
    if large and far:
        extra = _EXTRA64_ALL.pack(1, 24, entry.size, entry.size, entry.header_at)
    elif large:
        extra = _EXTRA64.pack(1, 16, entry.size, entry.size)
    elif far:
        extra = _EXTRA64_OFFSET.pack(1, 8, entry.header_at)
    size = min(entry.size, _LONG)
    version = _VERSION64 if extra else _VERSION
    record = _CENTRAL.pack(
        b"PK\x01\x02", version, version, 0, 0, 0, _DATE, entry.crc, size, size, len(entry.name), len(extra), 0, 0, 0, 0,
        min(entry.header_at, _LONG),
    )  # fmt: skip
    return record + entry.name + extra
