"""Texts of elements: read by the character set in force, and written by it strictly (PS3.3 C.12.1.1.2, PS3.5 6)."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final

from scandock.deidentification.errors import ValueUnfit
from scandock.formats.dicom_charset import MARK, codec_of, decode_text
from scandock.formats.dicom_text import ENCODED, shortest_float

_INTEGERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "OL": "I", "OV": "Q"}
_FLOATS: Final = {"FL": "f", "FD": "d", "OF": "f", "OD": "d"}
_OPAQUE: Final = frozenset({"OB", "OW", "UN"})
BINARY: Final = frozenset({*_INTEGERS, *_FLOATS, *_OPAQUE, "AT", "SQ"})
"""VRs whose padding is NULs, and no text."""
_SINGLE: Final = frozenset({"LT", "ST", "UT", "UR"})
"""Texts in which a backslash separates nothing."""
_LEADING: Final = frozenset({"LT", "ST", "UT", "UC", "UR"})
"""Texts whose leading blanks count."""
_PADDING: Final = "\0 "


def decode(raw: bytes, vr: str, charsets: bytes, *, big: bool) -> list[str]:
    """The values of an element as texts; [] where it is empty or holds none (SQ).

    What the character set does not have becomes `dicom_charset.MARK`.
    """
    if not raw or vr == "SQ":
        return []
    if vr in _OPAQUE:
        return _split(_opaque(raw, charsets))
    if vr in _INTEGERS or vr in _FLOATS:
        return _numbers(raw, vr, big=big)
    if vr == "AT":
        halves = struct.unpack(f"{'>' if big else '<'}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return [f"{group:04X}{element:04X}" for group, element in zip(halves[::2], halves[1::2], strict=True)]
    if raw.isascii() and b"\x1b" not in raw:
        text = raw.decode("ascii")
    elif vr in ENCODED:
        text = decode_text(raw, charsets, vr)
    else:
        text = raw.decode("ascii", "replace")
    if vr in _SINGLE:
        text = text.rstrip(_PADDING)
        return [text] if text else []
    values = text.split("\\")
    values = [value.rstrip(_PADDING) for value in values] if vr in _LEADING else [v.strip(_PADDING) for v in values]
    return values if values != [""] else []


def is_decodable(raw: bytes, vr: str, charsets: bytes) -> bool:
    """Whether a text's bytes are all of its character set: a value that is not can only be replaced whole."""
    if vr in BINARY and vr != "UN":
        return True
    return not any(MARK in value for value in decode(raw, vr, charsets, big=False))


def encode(text: str, vr: str, charsets: bytes, *, big: bool) -> bytes:
    """The bytes of a text, several values separated by backslashes, without padding; ValueUnfit where it has none."""
    if vr in _INTEGERS or vr in _FLOATS:
        return _pack(text, vr, big=big)
    if vr == "AT":
        return _pack_tags(text, big=big)
    if vr in _OPAQUE:
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise ValueUnfit("A value has characters that no text has.") from None
    if text.isascii() and "\x1b" not in text:
        return text.encode("ascii")
    if vr not in ENCODED:
        raise ValueUnfit(f"A value of {vr} has characters other than those of the default repertoire.")
    return encode_text(text, charsets, vr)


def encode_text(text: str, charsets: bytes, vr: str) -> bytes:
    """A text in the sets that SpecificCharacterSet names, with escape sequences where the first one has it not.

    Raises ValueUnfit where none has it, or where what was written does not read as the same text.
    """
    terms = _terms(charsets)
    raw = _encoded(text, terms[0])
    if raw is None and len(terms) > 1:
        raw = b"".join(_extended(part, terms) for part in _parts(text, vr))
    if raw is None or decode_text(raw, charsets, vr) != text:
        raise _unheld()
    return raw


def _unheld() -> ValueUnfit:
    return ValueUnfit("A value has characters that the object's character set does not have.")


def _split(text: str) -> list[str]:
    return text.split("\\")


def _opaque(raw: bytes, charsets: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return decode_text(raw, charsets, "UN")


def _numbers(raw: bytes, vr: str, *, big: bool) -> list[str]:
    letter = _INTEGERS.get(vr) or _FLOATS[vr]
    count = len(raw) // struct.calcsize("=" + letter)
    values = struct.unpack_from(f"{'>' if big else '<'}{count}{letter}", raw)
    if letter == "f":
        return [shortest_float(value) for value in values]
    return [_float_text(value) if letter == "d" else str(value) for value in values]


def _float_text(value: float) -> str:
    text = repr(value)
    return text.removesuffix(".0")


def _pack(text: str, vr: str, *, big: bool) -> bytes:
    if not text:
        return b""
    letter = _INTEGERS.get(vr)
    try:
        values = [_number(part, is_integer=letter is not None) for part in text.split("\\")]
        return struct.pack(f"{'>' if big else '<'}{len(values)}{letter or _FLOATS[vr]}", *values)
    except (ValueError, OverflowError, struct.error):
        raise ValueUnfit(f"A value is no number that {vr} holds.") from None


_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


def _number(text: str, *, is_integer: bool) -> float:
    text = text.strip(_PADDING)
    if not text.isascii() or not _NUMBER.fullmatch(text) or len(text) > 400:
        raise ValueError
    if not is_integer:
        return float(text)
    if text.lstrip("+-").isdigit():
        return int(text)
    if not float(text).is_integer() or abs(float(text)) > 1 << 53:
        raise ValueError
    return int(float(text))


def _pack_tags(text: str, *, big: bool) -> bytes:
    if not text:
        return b""
    numbers = [re.sub(r"[(), ]", "", part) for part in text.split("\\")]
    if not all(re.fullmatch(r"[0-9A-Fa-f]{8}", number) for number in numbers):
        raise ValueUnfit("A value of AT is no tag.")
    halves = [int(half, 16) for number in numbers for half in (number[:4], number[4:])]
    return struct.pack(f"{'>' if big else '<'}{len(halves)}H", *halves)


class _Term:
    """One value of SpecificCharacterSet: `codec` is of a text that begins in it, `sets` are reached by escapes."""

    __slots__ = ("codec", "sets")

    def __init__(self, codec: str, sets: tuple[tuple[bytes, str, bool], ...]) -> None:
        self.codec = codec
        self.sets = sets


_G1: Final = {
    100: (b"\x1b-A", "latin-1"),
    101: (b"\x1b-B", "iso8859-2"),
    109: (b"\x1b-C", "iso8859-3"),
    110: (b"\x1b-D", "iso8859-4"),
    126: (b"\x1b-F", "iso8859-7"),
    127: (b"\x1b-G", "iso8859-6"),
    138: (b"\x1b-H", "iso8859-8"),
    144: (b"\x1b-L", "iso8859-5"),
    148: (b"\x1b-M", "iso8859-9"),
    166: (b"\x1b-T", "iso8859-11"),
    203: (b"\x1b-b", "iso8859-15"),
    13: (b"\x1b)I", "shift_jis"),
    149: (b"\x1b$)C", "euc_kr"),
    58: (b"\x1b$)A", "gb2312"),
}
"""Sets that an escape sequence puts into G1 (bytes from 0x80 on), beside the letters of ASCII in G0."""
_G0: Final = {87: b"\x1b$B", 159: b"\x1b$(D"}
"""Sets of two bytes that take the place of ASCII until `ESC ( B`."""
_EXTENSION: Final = re.compile(r"ISO 2022 IR (\d{1,3})")
_STRICT: Final = {"cp949": "euc_kr"}


@lru_cache(maxsize=256)
def _terms(charsets: bytes) -> tuple[_Term, ...]:
    """The sets of a SpecificCharacterSet, the first one first; ASCII where it names none that is known."""
    names = [part.decode("ascii", "replace").strip(_PADDING) for part in charsets.split(b"\\")]
    terms = []
    for index, name in enumerate(names):
        codec = codec_of(name)
        match = _EXTENSION.fullmatch(re.sub(r"[ _-]+", " ", name.upper()))
        number = int(match[1]) if match else 0
        sets: tuple[tuple[bytes, str, bool], ...] = ()
        if number in _G1:
            sets = ((*_G1[number], True),)
        elif number in _G0:
            sets = ((_G0[number], "euc_jp", False),)
        terms.append(_Term(_STRICT.get(codec, codec) if index == 0 else "", sets))
    return tuple(terms)


def _encoded(text: str, term: _Term) -> bytes | None:
    try:
        raw = text.encode(term.codec)
    except UnicodeEncodeError:
        return None
    return raw if term.codec != "shift_jis" or len(raw) == len(text) else None  # ISO-IR 13 has no kanji


_BREAKS: Final = "\t\n\f\r"
_PIECES: Final = {
    "PN": re.compile(rf"[\\^={_BREAKS}]|[^\\^={_BREAKS}]+"),
    "LT": re.compile(rf"[{_BREAKS}]|[^{_BREAKS}]+"),
    "": re.compile(rf"[\\{_BREAKS}]|[^\\{_BREAKS}]+"),
}
_PIECES_OF: Final = {"PN": "PN", "LT": "LT", "ST": "LT", "UT": "LT"}


def _parts(text: str, vr: str) -> list[str]:
    """A text cut where the sets of its beginning hold again (PS3.5 6.1.2.5.3)."""
    return _PIECES[_PIECES_OF.get(vr, "")].findall(text)


def _extended(part: str, terms: tuple[_Term, ...]) -> bytes:
    """A part of a text with escape sequences, after which ASCII stands in G0 again; ValueUnfit where no set has it."""
    plain = _encoded(part, terms[0])
    if plain is not None:
        return plain
    written, g0, g1 = [], b"", b""
    for character in part:
        if character.isascii():
            if g0:
                written.append(b"\x1b(B")
                g0 = b""
            written.append(character.encode("ascii"))
            continue
        escape, raw, is_g1 = _in_sets(character, terms, g0, g1)
        if escape:
            if is_g1 and g0:
                written.append(b"\x1b(B")
                g0 = b""
            written.append(escape)
        if is_g1:
            g1 = escape or g1
        else:
            g0 = escape or g0
        written.append(raw)
    if g0:
        written.append(b"\x1b(B")
    return b"".join(written)


def _in_sets(character: str, terms: tuple[_Term, ...], g0: bytes, g1: bytes) -> tuple[bytes, bytes, bool]:
    """How a character that ASCII does not have is written.

    The escape sequence before it (empty where it is in force already), its bytes, and whether its set is one of G1.
    """
    for term in terms:
        for escape, codec, is_g1 in term.sets:
            try:
                raw = character.encode(codec)
            except UnicodeEncodeError:
                continue
            if is_g1:
                if len(raw) == (2 if escape[1:2] == b"$" else 1) and min(raw) >= 0x80:
                    return b"" if escape == g1 else escape, raw, True
            elif raw[0] == 0x8F and escape == _G0[159] and len(raw) == 3:
                return b"" if escape == g0 else escape, bytes(byte & 0x7F for byte in raw[1:]), False
            elif raw[0] != 0x8F and raw[0] != 0x8E and escape == _G0[87] and len(raw) == 2:
                return b"" if escape == g0 else escape, bytes(byte & 0x7F for byte in raw), False
    raise _unheld()
