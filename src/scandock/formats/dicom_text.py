"""Raw values of DICOM elements as text: numbers, padding, and character sets (`dicom_charset`). Never an exception.

Bytes that a character set doesn't have become replacement marks; control characters go, but for line breaks in long
texts. Multiple values are joined by a backslash.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from scandock.formats.dicom_charset import decode_text

_NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "FL": "f",
    "FD": "d",
    "SV": "q",
    "UV": "Q",
    "OW": "H",
    "OF": "f",
    "OD": "d",
}
ENCODED: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN"})
"""VRs whose bytes are in the object's character set; all other texts are of the default repertoire."""
_LONG_TEXTS: Final = frozenset({"LT", "ST", "UT"})
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROLS_BUT_BREAKS: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def decode_value(raw: bytes, vr: str, charsets: bytes | None, big_endian: bool) -> str:
    """The text of one element's raw value.

    `charsets` is the raw value of SpecificCharacterSet (0008,0005), None or empty for the default repertoire. Binary
    numbers are written out, floats with as few digits as tell them apart. Values of other binary VRs give "".
    """
    if vr in _NUMBERS:
        return _numbers(raw, _NUMBERS[vr], vr, big_endian=big_endian)
    if vr in {"OB", "OL", "OV", "SQ"}:
        return ""
    if vr == "AT":
        halves = struct.unpack(f"{'>' if big_endian else '<'}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return "\\".join(f"{group:04X}{element:04X}" for group, element in zip(halves[::2], halves[1::2], strict=True))
    text = decode_text(raw, charsets or b"", vr) if vr in ENCODED else raw.decode("ascii", "replace")
    if vr in _LONG_TEXTS:
        return _CONTROLS_BUT_BREAKS.sub("", text).rstrip()
    text = _CONTROLS.sub("", text)
    if "\\" not in text:
        return text.strip()
    return "\\".join(part.strip() for part in text.split("\\"))


def _numbers(raw: bytes, letter: str, vr: str, *, big_endian: bool) -> str:
    width = struct.calcsize("=" + letter)
    count = len(raw) // width
    values = struct.unpack(f"{'>' if big_endian else '<'}{count}{letter}", raw[: count * width])
    if letter == "f":
        return "\\".join(shortest_float(value) for value in values)
    return "\\".join(f"{value:.15g}" if vr in {"FD", "OD"} else str(value) for value in values)


def shortest_float(value: float) -> str:
    """A single-precision number with as few digits as give the same number again."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return repr(value)
