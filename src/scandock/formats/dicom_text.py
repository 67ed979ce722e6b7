"""Raw values of DICOM elements as text: character sets (PS3.3 C.12.1.1.2), numbers, padding. Never an exception.

Bytes that a character set doesn't have become replacement marks; control characters go, but for line breaks in long
texts. Multiple values are joined by a backslash.
"""

from __future__ import annotations

import re
import struct
import warnings
from functools import lru_cache
from typing import Final

_CODECS: Final = {
    "ISO IR 6": "ascii",
    "ISO IR 100": "latin-1",
    "ISO IR 101": "iso8859-2",
    "ISO IR 109": "iso8859-3",
    "ISO IR 110": "iso8859-4",
    "ISO IR 126": "iso8859-7",
    "ISO IR 127": "iso8859-6",
    "ISO IR 138": "iso8859-8",
    "ISO IR 144": "iso8859-5",
    "ISO IR 148": "iso8859-9",
    "ISO IR 166": "iso8859-11",
    "ISO IR 203": "iso8859-15",
    "ISO IR 13": "shift_jis",
    "ISO IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    # what devices write though it is no defined term
    "UTF 8": "utf-8",
    "UTF8": "utf-8",
    "ISO 8859 1": "latin-1",
    "ISO8859 1": "latin-1",
    "LATIN1": "latin-1",
}
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
_ENCODED: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN"})
"""VRs whose bytes are in the object's character set; all other texts are of the default repertoire."""
_LONG_TEXTS: Final = frozenset({"LT", "ST", "UT"})
_ESCAPE: Final = 0x1B
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROLS_BUT_BREAKS: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def decode(raw: bytes, vr: str, charsets: bytes | None, big_endian: bool) -> str:
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
    text = _decoded(raw, charsets or b"", vr) if vr in _ENCODED else raw.decode("ascii", "replace")
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


def _decoded(raw: bytes, charsets: bytes, vr: str) -> str:
    """Text in the object's character sets; without escapes that is one codec of Python's."""
    if _ESCAPE in raw and b"2022" in charsets:
        return _extended(raw, charsets, vr)
    return raw.decode(_codec(charsets), "replace")


@lru_cache(maxsize=256)
def _codec(charsets: bytes) -> str:
    """The codec of the first named character set; `ascii` where none is named or known."""
    first = charsets.split(b"\\")[0].decode("ascii", "replace").strip("\0 ").upper()
    name = re.sub(r"[ _-]+", " ", first)
    if name.startswith("ISO 2022 IR"):
        name = "ISO IR" + name[len("ISO 2022 IR") :]
    return _CODECS.get(name, "ascii")


def _extended(raw: bytes, charsets: bytes, vr: str) -> str:
    """Text with code extensions (ISO 2022, PS3.5 6.1.2.4), by pydicom; what it can't read is read without them."""
    from pydicom import charset, config
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    names = [name.strip("\0 ") for name in charsets.decode("ascii", "replace").split("\\")]
    mode = config.settings.reading_validation_mode
    try:
        config.settings.reading_validation_mode = config.IGNORE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codecs = charset.convert_encodings(names)
            text = charset.decode_bytes(raw, codecs, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
            return str(text)
    except Exception:  # noqa: BLE001 - hostile names of character sets raise nearly anything
        return raw.decode(_codec(charsets), "replace")
    finally:
        config.settings.reading_validation_mode = mode
