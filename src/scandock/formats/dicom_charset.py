"""Character sets of DICOM texts: all of PS3.3 C.12.1.1.2, with and without code extensions (ISO 2022, PS3.5 6.1.2).

Read leniently, never with an exception. An escape sequence counts whether SpecificCharacterSet names its set or not;
one that DICOM does not know, and bytes that a set does not have, become replacement marks, so that no byte of an
escape sequence is ever taken for a letter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

MARK: Final = "\ufffd"

_SINGLE: Final = {
    6: "ascii",
    13: "shift_jis",  # JIS X 0201: of one byte, what Shift JIS has too
    14: "ascii",
    100: "latin-1",
    101: "iso8859-2",
    109: "iso8859-3",
    110: "iso8859-4",
    126: "iso8859-7",
    127: "iso8859-6",
    138: "iso8859-8",
    144: "iso8859-5",
    148: "iso8859-9",
    166: "iso8859-11",
    203: "iso8859-15",
}
_MULTI: Final = {58: "gbk", 149: "cp949"}
"""Sets of two bytes in G1, by a codec that has them and ASCII (and what devices write beyond the set)."""
_ALONE: Final = {
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",
    "ISO 2022 58": "gbk",
    # what devices write though it is no defined term
    "UTF 8": "utf-8",
    "UTF8": "utf-8",
    "ISO 8859 1": "latin-1",
    "ISO8859 1": "latin-1",
    "LATIN1": "latin-1",
}
_UTF8: Final = 192
_NUMBERED: Final = re.compile(r"(?:ISO ?)?(?:2022 ?)?IR ?(\d{1,3})")


class _Set(NamedTuple):
    """A set that an escape sequence designates: to G1 (bytes from 0x80 on) or G0, in `width` bytes a character.

    `prefix` stands before each character where `codec` takes it from; without a codec the set is unknown.
    """

    g1: bool
    codec: str
    width: int = 1
    prefix: bytes = b""


_JIS: Final = _Set(g1=False, codec="euc_jp", width=2)
_ASCII: Final = _Set(g1=False, codec="ascii")
_DESIGNATIONS: Final = {
    b"(B": _ASCII,
    b"(J": _ASCII,  # ISO-IR 14, of which DICOM uses the letters of ASCII
    b"(I": _Set(g1=False, codec="shift_jis"),  # katakana in seven bits: JIS X 0201 writes it, DICOM does not
    b")I": _Set(g1=True, codec="shift_jis"),
    b"-A": _Set(g1=True, codec="latin-1"),
    b"-B": _Set(g1=True, codec="iso8859-2"),
    b"-C": _Set(g1=True, codec="iso8859-3"),
    b"-D": _Set(g1=True, codec="iso8859-4"),
    b"-F": _Set(g1=True, codec="iso8859-7"),
    b"-G": _Set(g1=True, codec="iso8859-6"),
    b"-H": _Set(g1=True, codec="iso8859-8"),
    b"-L": _Set(g1=True, codec="iso8859-5"),
    b"-M": _Set(g1=True, codec="iso8859-9"),
    b"-T": _Set(g1=True, codec="iso8859-11"),
    b"-b": _Set(g1=True, codec="iso8859-15"),
    b"$B": _JIS,
    b"$@": _JIS,  # the edition of 1978
    b"$(B": _JIS,
    b"$(D": _Set(g1=False, codec="euc_jp", width=2, prefix=b"\x8f"),
    b"$)C": _Set(g1=True, codec="cp949", width=2),
    b"$(C": _Set(g1=False, codec="cp949", width=2),
    b"$)A": _Set(g1=True, codec="gbk", width=2),
    b"$A": _Set(g1=False, codec="gbk", width=2),
    b"$(A": _Set(g1=False, codec="gbk", width=2),
}

_PIECES: Final = re.compile(rb"\x1b([\x20-\x2f]*[\x30-\x7e]?)|[^\x1b]+")
_RUNS: Final = re.compile(rb"([\x80-\xff]+)|([\x21-\x7e]+)|[\x00-\x20\x7f]+")
_BREAKS: Final = rb"\t\n\f\r"
_RESETS: Final = {
    "PN": re.compile(rb"[\\^=" + _BREAKS + rb"]"),
    "LT": re.compile(rb"[" + _BREAKS + rb"]"),
    "": re.compile(rb"[\\" + _BREAKS + rb"]"),
}
"""Where the sets of the value's beginning hold again (PS3.5 6.1.2.5.3): for names, long texts, and all else."""
_RESETS_OF: Final = {"PN": "PN", "LT": "LT", "ST": "LT", "UT": "LT"}
_BREAK: Final = re.compile(rb"[" + _BREAKS + rb"]")
_SEVEN_BITS: Final = bytes(code | 0x80 for code in range(256))


def decode_text(raw: bytes, charsets: bytes, vr: str) -> str:
    """The text of a value: `charsets` is the raw SpecificCharacterSet, `vr` says what ends an extension."""
    first = _first(charsets)
    if b"\x1b" not in raw:
        return raw.decode(first, "replace")
    pieces = []
    g0 = g1 = None
    for piece in _PIECES.finditer(raw):
        escape = piece[1]
        if escape is None:
            text, is_kept = _piece(piece[0], first, g0, g1, vr)
            pieces.append(text)
            if not is_kept:
                g0 = g1 = None
            continue
        designated = _DESIGNATIONS.get(escape) or _unknown(escape)
        if designated is None:
            pieces.append(MARK)
        elif designated.g1:
            g1 = designated
        else:
            g0 = designated
    return "".join(pieces)


def _unknown(escape: bytes) -> _Set | None:
    """What a sequence designates that DICOM does not know: a set without a codec; None where it designates nothing."""
    if escape[:1] == b"$" and len(escape) > 1:
        return _Set(g1=escape[1:2] in b")*+-./" and len(escape) > 2, codec="", width=2)
    if escape[:1] in {b"-", b")", b"*", b"+", b".", b"/"} and len(escape) > 1:
        return _Set(g1=True, codec="")
    return _ASCII if escape[:1] == b"(" and len(escape) > 1 else None


def _piece(raw: bytes, first: str, g0: _Set | None, g1: _Set | None, vr: str) -> tuple[str, bool]:
    """Bytes between two escape sequences as text, and whether the designated sets hold behind them."""
    if g0 is None and g1 is None:
        return raw.decode(first, "replace"), True
    wide = g0 is not None and g0.width == 2
    end = (_BREAK if wide else _RESETS[_RESETS_OF.get(vr, "")]).search(raw)
    if end is None:
        return _designated(raw, first, g0, g1), True
    return _designated(raw[: end.start()], first, g0, g1) + raw[end.start() :].decode(first, "replace"), False


def _designated(raw: bytes, first: str, g0: _Set | None, g1: _Set | None) -> str:
    """Bytes under the sets that were designated; where none was for a half, the first character set has it."""
    text = []
    for run in _RUNS.finditer(raw):
        part = run[0]
        if run[1] is not None:
            text.append(part.decode(first, "replace") if g1 is None else _of_set(part, g1))
        elif run[2] is not None:
            text.append(part.decode("ascii") if g0 is None else _of_set(part, g0))
        else:
            text.append(part.decode("ascii"))
    return "".join(text)


def _of_set(part: bytes, designated: _Set) -> str:
    width, codec = designated.width, designated.codec
    if not codec:
        return MARK * -(-len(part) // width)
    if codec == "ascii":
        return part.decode("ascii", "replace")
    high = part.translate(_SEVEN_BITS)
    if not designated.prefix:
        return high.decode(codec, "replace")
    return b"".join(designated.prefix + high[at : at + width] for at in range(0, len(high), width)).decode(
        codec, "replace"
    )


@lru_cache(maxsize=256)
def _first(charsets: bytes) -> str:
    """The codec of a text before its first escape sequence: of the first set that is named and known.

    Where that has no bytes from 0x80 on, the next one has them: devices leave escape sequences out. What is not known
    is ASCII.
    """
    codec = "ascii"
    for name in charsets.split(b"\\"):
        codec = codec_of(name.decode("ascii", "replace"))
        if codec != "ascii":
            return codec
    return codec


def codec_of(written: str) -> str:
    """The codec of one value of SpecificCharacterSet; `ascii` also for the sets that only escape sequences reach."""
    name = re.sub(r"[ _-]+", " ", written.strip("\0 ").upper())
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return _ALONE.get(name, "ascii")
    number = int(match[1])
    return "utf-8" if number == _UTF8 else _SINGLE.get(number) or _MULTI.get(number) or "ascii"
