"""Binary numbers that can be ones: as long as their VR and the dictionary's multiplicity allow, and no text.

An element that a text or whole other elements hide in is longer than its numbers are, or has a length of its own.
"""

from __future__ import annotations

import struct
from codecs import getincrementaldecoder
from functools import cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vm
from scandock.formats.dicom_charset import MARK, decode_text

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
OPAQUE: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_UNITS: Final = {
    **dict.fromkeys(("OB",), 1),
    **dict.fromkeys(("US", "SS", "OW"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "AT", "OL", "OF"), 4),
    **dict.fromkeys(("UV", "SV", "FD", "OV", "OD"), 8),
}
_FLOATS: Final = {"FL": "f", "OF": "f", "FD": "d", "OD": "d"}
_MOST: Final = 64
"""Values of an element that may have any number of them, where nothing says that it has many."""
_MOST_OF_ARRAYS: Final = 65_536
_MOST_OPAQUE: Final = 2**32
_ARRAY_GROUPS: Final = frozenset({0x0028, 0x0054, 0x0080})
"""Lookup tables; vectors of nuclear medicine, which have a value for each frame; surfaces."""
_ARRAYS: Final = frozenset({0x00081161, 0x00081162, 0x00186052, 0x00186058, 0x00189442, 0x00603020})
"""Lists of frames, tables of pixel values, polygons, histograms."""
_LOOKED_AT: Final = 4_096
"""Bytes of a value that are looked at for a text."""
_SHORTEST_TEXT: Final = 8
_SHORTEST_OPAQUE: Final = 4
_FEWEST_LETTERS: Final = 3
_PRINTABLE: Final = bytes((*range(0x20, 0x7F), *b"\t\n\r"))
_TEXTUAL: Final = bytes((*_PRINTABLE, 0x1B, *range(0x80, 0x100)))
"""Bytes that are in texts of any character set."""
_BREAKS: Final = dict.fromkeys(map(ord, "\t\n\r\x1b"), " ")
_ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_MARKS: Final = ((b"\xff\xfe", 2), (b"\xfe\xff", 2), (b"\xff\xfe\0\0", 4), (b"\0\0\xfe\xff", 4))
"""Byte order marks of UTF-16 and UTF-32, and how many bytes a letter has."""
_WIDE: Final = frozenset({"OL", "OF", "OV", "OD"})
_SMALL, _LARGE = 1e-6, 1e6


@cache
def sizes_of(tag: int, vr: str) -> range:
    """How many bytes an element of a VR of binary numbers may have; none are always allowed.

    An odd number never is, as nothing of it can be of the standard.
    """
    unit = _UNITS[vr]
    if vr in OPAQUE:
        return range(0, _MOST_OPAQUE, max(unit, 2))
    least, _, most = dictionary_vm(tag).partition("-")
    low = int(least)
    if not most:
        return range(low * unit, low * unit + 1)
    if most.isdigit():
        return range(low * unit, int(most) * unit + 1, unit)
    is_array = vr in _FLOATS or tag >> 16 in _ARRAY_GROUPS or tag in _ARRAYS
    step = int(most.removesuffix("n") or "1")
    return range(low * unit, (_MOST_OF_ARRAYS if is_array else _MOST) * unit + 1, step * unit)


def any_number_of(vr: str) -> range:
    """How many bytes a private element of a VR of binary numbers may have, whose multiplicity no dictionary says."""
    return range(0, _MOST_OPAQUE, max(_UNITS[vr], 2))


def are_numbers(sizes: range, data_set: DataSet, tag: int, size: int) -> bool:
    """Whether an element of `size` bytes can be binary numbers: of one of the sizes, no items, and no text."""
    if size < _SHORTEST_OPAQUE or size not in sizes:
        return size == 0 or size in sizes
    value, vr = data_set.value(tag), data_set.vr(tag)
    if value[:4] in _ITEM_TAGS:
        return False
    if vr == UNKNOWN:
        vr = data_set.default_vr(tag)
        if size >= _SHORTEST_TEXT and _is_wide_text(value[:_LOOKED_AT], vr):
            return False
    return not looks_like_text(value, vr, data_set.character_set, big=data_set.big)


def looks_like_text(value: bytes, vr: str, charsets: bytes, *, big: bool) -> bool:
    """Whether the bytes of a value are all of a text, and no usual numbers in floating point.

    Of integers so many as make eight bytes are hardly ever, and four bytes that may be anything. Texts are of ASCII,
    UTF-8, UTF-16 and UTF-32 with letters of ASCII, or of the character set in force, of which two letters in three are
    of ASCII: in sets of one byte most other bytes are letters, too.
    """
    start = value[:_LOOKED_AT]
    is_opaque = vr in OPAQUE
    if len(start) < (_SHORTEST_OPAQUE if is_opaque else _SHORTEST_TEXT):
        return False
    if not _is_text(start, charsets) and not (is_opaque and _is_wide_text(start, vr)):
        return False
    code = _FLOATS.get(vr)
    if code is None:
        return True
    unit = _UNITS[vr]
    count = len(start) // unit
    numbers = struct.unpack_from(f"{'>' if big else '<'}{count}{code}", start)
    return not all(not number or _SMALL <= abs(number) <= _LARGE for number in numbers)


def _is_text(start: bytes, charsets: bytes) -> bool:
    raw = start.rstrip(b"\0")
    if len(raw) < _FEWEST_LETTERS:
        return False
    if not raw.translate(None, _PRINTABLE):
        return True
    if raw.translate(None, _TEXTUAL):
        return False
    try:
        return _is_printable(getincrementaldecoder("utf-8")().decode(raw))
    except UnicodeDecodeError:
        text = decode_text(raw, charsets, "UT")
        letters = sum(map(str.isascii, text))
        return MARK not in text and _is_printable(text) and letters * 3 >= len(text) * 2


def _is_wide_text(start: bytes, vr: str) -> bool:
    """Whether bytes are letters of ASCII in UTF-16 or UTF-32, with a byte order mark or without.

    Small numbers of four bytes, as indices of points are, look like UTF-32 without one.
    """
    for mark, width in _MARKS:
        if start.startswith(mark) and _is_of_width(start[width:], width):
            return True
    return _is_of_width(start, 2) or (vr not in _WIDE and _is_of_width(start, 4))


def _is_of_width(start: bytes, width: int) -> bool:
    return any(
        not any(start[at::width].strip(b"\0") for at in range(width) if at != place)
        and _are_letters(start[place::width])
        for place in (0, width - 1)
    )


def _are_letters(raw: bytes) -> bool:
    letters = raw.rstrip(b"\0")
    return len(letters) >= _FEWEST_LETTERS and not letters.translate(None, _PRINTABLE)


def _is_printable(text: str) -> bool:
    return text.translate(_BREAKS).isprintable()
