"""One 512-byte header of a tar, and the pax records that go before it.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from typing import Final

from scandock.model.slot_values import SlotValues

BLOCK: Final = 512
LARGEST: Final = 1 << 62
"""Sizes from here on are absurd, whatever the disk."""

_CHECKSUM: Final = slice(148, 156)
_BLANKS: Final = 8 * 0x20


class BadHeader(Exception):
    """A header that no tar writer makes."""


class TarHeader(SlotValues):
    """Name, size and type as the header has them, before pax and GNU records are laid over it."""

    __slots__ = ("flag", "name", "size", "sparse")

    def __init__(self, name: bytes, size: int, flag: bytes, *, sparse: bool) -> None:
        """`flag` is one byte: b"0" file, b"5" folder, b"x" pax ... `sparse`: an old GNU sparse file."""
        self.name = name
        self.size = size
        self.flag = flag
        self.sparse = sparse


def is_tar_header(block: bytes) -> bool:
    """Whether these 512 bytes are a header with the right checksum (which zeros are not)."""
    try:
        return any(block) and parse_header(block) is not None
    except BadHeader:
        return False


def parse_header(block: bytes) -> TarHeader:
    """Parse one header; raises BadHeader for a wrong checksum, or a size that is negative, absurd or no number."""
    try:
        claimed = number(block[_CHECKSUM])
    except BadHeader:
        raise BadHeader("a header's checksum is wrong") from None
    unsigned = sum(block) - sum(block[_CHECKSUM]) + _BLANKS
    if claimed != unsigned and claimed != unsigned - 256 * _high(block):
        raise BadHeader("a header's checksum is wrong")
    name = block[:100].split(b"\0", 1)[0]
    flag = block[156:157]
    magic = block[257:263]
    if magic == b"ustar\0" and (prefix := block[345:500].split(b"\0", 1)[0]):
        name = prefix + b"/" + name
    size = number(block[124:136])
    return TarHeader(name, size, flag, sparse=flag == b"S")


def number(field: bytes) -> int:
    """An octal or base-256 number; raises BadHeader where it is negative, absurd or none."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise BadHeader("a size is negative")
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
    else:
        digits = field.split(b"\0", 1)[0].strip()
        if not digits:
            return 0
        if digits.strip(b"01234567"):
            raise BadHeader("a size is no number")
        value = int(digits, 8)
    if value >= LARGEST:
        raise BadHeader("a size is absurd")
    return value


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Keys and values of a pax header ("length key=value" lines); raises BadHeader for a malformed one.

    Later records of a key win, as the standard says.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at] != 0:
        space = data.find(b" ", at, at + 12)
        digits = data[at : max(at, space)]
        if not digits.isdigit():
            raise BadHeader("a pax record is malformed")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end].partition(b"=")
        if end > len(data) or end <= space + 2 or not equals or not value.endswith(b"\n"):
            raise BadHeader("a pax record is malformed")
        records[key] = value[:-1]
        at = end
    return records


def pax_size(value: bytes) -> int:
    """The `size` record; raises BadHeader where it is no plain number or absurd."""
    if not value.isdigit() or len(value) > 19 or int(value) >= LARGEST:
        raise BadHeader("a size is absurd" if value.isdigit() else "a size is no number")
    return int(value)


def tar_name(raw: bytes) -> str:
    """A member's name as text: UTF-8 where valid, else Latin-1; never fails, never holds a surrogate."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _high(block: bytes) -> int:
    """Bytes that a writer with signed characters counts 256 lower."""
    return sum(byte > 127 for byte in block) - sum(byte > 127 for byte in block[_CHECKSUM])
