"""What all readers of DICOM share: byte orders, value representations, and why the fast ones stop (PS3.5 7.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Buffer = bytes | memoryview

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010

SHORT_VRS: Final = (
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
    *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
)
LONG_VRS: Final = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


class DeclinedError(Exception):
    """The bytes are unusual for the fast path: pydicom shall judge them."""


class OddVRError(DeclinedError):
    """The VR of the element `number` does not exist, and in no way of reading it a data set goes on behind it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class TooOddError(DeclinedError):
    """More elements are of a VR that does not exist than are read in one object."""


class ShortError(Exception):
    """The value goes on beyond the bytes at hand; `need` is the least number of bytes that would tell more."""

    def __init__(self, need: int) -> None:
        super().__init__(need)
        self.need = need


class ByteOrder:
    """Unpackers and known value representations of one byte order.

    `short` and `long` hold the two letters of a VR as the 16-bit number that `element` gives for them; `key` turns a
    tag's number into what `element` and `pair` give for it (little endian keeps group and element in two halves).
    """

    __slots__ = (
        *(
            "big",
            "element",
            "item",
            "item_end",
            "length",
            "long",
            "pair",
            "pixel",
            "sequence_end",
            "sequences",
            "short",
            "unknown",
        ),
    )

    def __init__(self, *, big: bool) -> None:
        order = ">" if big else "<"
        name = "big" if big else "little"
        self.big = big
        self.element: Callable[[Buffer, int], tuple[int, int, int]] = struct.Struct(order + "IHH").unpack_from
        self.pair: Callable[[Buffer, int], tuple[int, int]] = struct.Struct(order + "II").unpack_from
        self.length: Callable[[Buffer, int], tuple[int]] = struct.Struct(order + "I").unpack_from
        self.short = frozenset(int.from_bytes(vr, name) for vr in SHORT_VRS)  # type: ignore[arg-type]
        self.long = frozenset(int.from_bytes(vr, name) for vr in LONG_VRS)  # type: ignore[arg-type]
        self.sequences = frozenset(int.from_bytes(vr, name) for vr in (b"SQ", b"UN"))  # type: ignore[arg-type]
        self.unknown = int.from_bytes(b"UN", name)  # type: ignore[arg-type]
        self.item, self.item_end = self.key(ITEM), self.key(ITEM_END)
        self.sequence_end, self.pixel = self.key(SEQUENCE_END), self.key(PIXEL_DATA)

    def key(self, number: int) -> int:
        """The 32-bit number that this byte order reads where the tag `number` (group * 65536 + element) stands."""
        return number if self.big else (number & 0xFFFF) << 16 | number >> 16


LITTLE: Final = ByteOrder(big=False)
BIG: Final = ByteOrder(big=True)


def has_vr_letters(buf: Buffer, at: int) -> bool:
    """Whether two capital letters, as of a VR, stand at `at`; IndexError beyond the end."""
    return 0x40 < buf[at] < 0x5B and 0x40 < buf[at + 1] < 0x5B
