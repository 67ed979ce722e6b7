"""Headers of every kind, and made-up damage to them: of lengths, VRs, tags, nesting, character sets and bytes."""

from __future__ import annotations

import random
import re
import struct
from functools import cache

from tests.unit.formats_dicom.build import BIG, EXPLICIT, IMPLICIT, JPEG, MR, PIXELS, UNDEFINED, Writer, meta

MARK = b"MARK"
CHARSETS = [
    b"ISO_IR 100",
    b"ISO_IR 192",
    b"\\ISO 2022 IR 87",
    b"ISO 2022 IR 13\\ISO 2022 IR 87",
    b"\\ISO 2022 IR 149",
    b"GB18030",
    b"ISO_IR 144",
    b"NONSENSE",
    b"",
]
VRS = [b"LO", b"OB", b"UN", b"SQ", b"US", b"UI", b"PN", b"UT", b"  ", b"ZZ", b"\0\0", b"DS", b"OW", b"AT"]
TAGS = [0x00080005, 0x00080018, 0x00100010, 0x0020000D, 0x00291008, 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD]
TAGS += [0xFFFCFFFC, 0x00020010, 0x00000000, 0x00081140, 0x60003000]


def marked(number: int) -> str:
    return f"MARK{number % 10_000:04d}"


def data_set(write: Writer, *, undefined: bool, private: bool, charset: bytes) -> dict[int, bytes]:
    """Elements of one data set by tag, texts among them that begin with the mark."""
    code = write.item(
        write.element(0x00080100, "SH", marked(1)), write.element(0x00080104, "LO", marked(2)), undefined=undefined
    )
    reference = write.item(
        write.element(0x00081150, "UI", MR),
        write.element(0x00081155, "UI", "1.2.3.9"),
        write.sequence(0x0040A170, code, code, undefined=not undefined),
        undefined=undefined,
    )
    name = {b"\\ISO 2022 IR 87": "MARK^\x1b$B;3ED\x1b(B", b"ISO_IR 192": "MARK^M\xc3\xbcller"}.get(
        charset, "MARK^D\xe9"
    )
    made = {
        0x00080005: write.element(0x00080005, "CS", charset),
        0x00080008: write.element(0x00080008, "CS", "ORIGINAL\\PRIMARY"),
        0x00080016: write.element(0x00080016, "UI", MR),
        0x00080018: write.element(0x00080018, "UI", "1.2.3.4.5"),
        0x00080020: write.element(0x00080020, "DA", "20200131"),
        0x00080060: write.element(0x00080060, "CS", "MR"),
        0x00081030: write.element(0x00081030, "LO", marked(3)),
        0x00081140: write.sequence(0x00081140, reference, reference, undefined=undefined),
        0x00100010: write.element(0x00100010, "PN", name),
        0x00100020: write.element(0x00100020, "LO", marked(4)),
        0x00104000: write.element(0x00104000, "LT", marked(5) * 20),
        0x0020000D: write.element(0x0020000D, "UI", "1.2.3"),
        0x0020000E: write.element(0x0020000E, "UI", "1.2.3.4"),
        0x00200013: write.element(0x00200013, "IS", "7"),
        0x00280010: write.element(0x00280010, "US", 2),
        0x00280011: write.element(0x00280011, "US", 2),
        0x00280103: write.element(0x00280103, "US", 0),
        0x00281050: write.element(0x00281050, "DS", "40\\80"),
        0x00880200: write.sequence(
            0x00880200, write.item(write.element(PIXELS, "OW", b"MARK" * 2), undefined=undefined), undefined=undefined
        ),
    }
    if private:
        implicit = Writer(explicit=False)
        items = implicit.item(implicit.element(0x00100010, "PN", "MARK^UN"), undefined=undefined)
        made[0x00290010] = write.element(0x00290010, "LO", "SIEMENS CSA HEADER")
        made[0x00291008] = write.element(0x00291008, "UN", items)
        made[0x00291010] = write.element(0x00291010, "OB", b"SV10MARK" * 8)
        if write.explicit and write.order == "<":  # pydicom takes little-endian items for big-endian ones
            end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
            made[0x00291020] = write.element(0x00291020, "UN", length=UNDEFINED) + items + end
    return made


@cache
def bases() -> tuple[bytes, ...]:
    """Whole objects: explicit and implicit VR, big endian, defined and undefined lengths, private, encapsulated."""
    made = []
    for syntax, write in (
        (EXPLICIT, Writer()),
        (IMPLICIT, Writer(explicit=False)),
        (BIG, Writer(big=True)),
    ):
        for index, charset in enumerate(CHARSETS[:4]):
            elements = data_set(write, undefined=index % 2 == 1, private=index > 1, charset=charset)
            elements[PIXELS] = write.element(PIXELS, "OW", bytes(range(8)))
            if index == 3:
                elements[0xFFFCFFFC] = write.element(0xFFFCFFFC, "OB", bytes(6))
            body = b"".join(elements[tag] for tag in sorted(elements))
            made.append(bytes(128) + b"DICM" + meta(syntax) + body)
            if index == 0 and syntax != BIG:
                made.append(body)
    write = Writer()
    elements = data_set(write, undefined=True, private=True, charset=b"")
    fragments = b"".join(write.item(part) for part in (b"", b"\xff\xd8MARK\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xd9"))
    elements[PIXELS] = write.sequence(PIXELS, fragments, undefined=True, vr="OB")
    made.append(bytes(128) + b"DICM" + meta(JPEG) + b"".join(elements[tag] for tag in sorted(elements)))
    return tuple(made)


def mutated(seed: int) -> bytes:
    """One of the objects, damaged in one to three places."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(bases()))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _DAMAGES[chance.randrange(len(_DAMAGES))](data, chance)
    return bytes(data)


def heads(data: bytearray) -> list[int]:
    """Where elements and items may begin: at what looks like a tag of the bases; never nowhere."""
    return [match.start() for match in _tag_pattern().finditer(data)] or [0]


@cache
def _tag_pattern() -> re.Pattern[bytes]:
    numbers = [*data_set(Writer(), undefined=True, private=True, charset=b""), PIXELS, 0xFFFCFFFC, 0x0040A170]
    numbers += [0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00080100, 0x00080104, 0x00081150, 0x00081155, 0x00020010]
    tags = [struct.pack(f"{order}HH", number >> 16, number & 0xFFFF) for number in numbers for order in "<>"]
    return re.compile(b"|".join(re.escape(tag) for tag in tags), re.DOTALL)


def _flip(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(128 if len(data) > 200 else 0, len(data))
    data[at] ^= 1 << chance.randrange(8)


def _length(data: bytearray, chance: random.Random) -> None:
    at = chance.choice(heads(data))
    length = chance.choice((UNDEFINED, 0, 1, 3, 0xFFFE, 0x10000, 0x7FFFFFFF, chance.randrange(64), len(data) - at))
    if chance.random() < 0.5:
        data[at + 6 : at + 8] = struct.pack("<H", length & 0xFFFF)
    elif chance.random() < 0.5:
        data[at + 4 : at + 8] = struct.pack("<I", length)
    else:
        data[at + 8 : at + 12] = struct.pack("<I", length)


def _nudge(data: bytearray, chance: random.Random) -> None:
    at = chance.choice(heads(data)) + chance.choice((4, 5, 6, 7, 8, 11))
    if at < len(data):
        data[at] = (data[at] + chance.choice((-2, -1, 1, 2, 4, 8))) & 0xFF


def _vr(data: bytearray, chance: random.Random) -> None:
    at = chance.choice(heads(data))
    data[at + 4 : at + 6] = chance.choice(VRS)


def _tag(data: bytearray, chance: random.Random) -> None:
    at, number = chance.choice(heads(data)), chance.choice(TAGS)
    data[at : at + 4] = struct.pack(chance.choice("<<>") + "HH", number >> 16, number & 0xFFFF)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(16, len(data)) :]


def _drop(data: bytearray, chance: random.Random) -> None:
    at = chance.choice(heads(data))
    del data[at : at + chance.choice((1, 2, 4, 8, 12, chance.randrange(1, 60)))]


def _double(data: bytearray, chance: random.Random) -> None:
    spots = heads(data)
    start, end = sorted((chance.choice(spots), chance.choice(spots)))
    at = chance.choice(spots)
    data[at:at] = data[start : min(end, start + 200)]


def _swap(data: bytearray, chance: random.Random) -> None:
    first, second, end = sorted(chance.choices(heads(data), k=3))
    data[first:end] = data[second:end] + data[first:second]


def _insert(data: bytearray, chance: random.Random) -> None:
    at = chance.choice(heads(data))
    marks = [struct.pack("<HHI", 0xFFFE, element, length) for element in (0xE000, 0xE00D, 0xE0DD) for length in (0, 8)]
    data[at:at] = chance.choice([*marks, bytes(8), b"MARKMARK", b"\x10\x00\x10\x00PN\x04\x00MARK", b"\0"])


def _charset(data: bytearray, chance: random.Random) -> None:
    at = data.find(b"\x08\x00\x05\x00")
    if at >= 0:
        charset = chance.choice(CHARSETS)
        charset += b" " * (len(charset) % 2)
        length = data[at + 6]
        data[at + 6] = len(charset)
        data[at + 8 : at + 8 + length] = charset


def _append(data: bytearray, chance: random.Random) -> None:
    data += chance.choice(
        (b"\0", bytes(16), b"MARK" * 3, b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0MARK", bytes(data[132:200]))
    )


_DAMAGES = (_flip, _length, _length, _nudge, _vr, _tag, _cut, _drop, _double, _swap, _insert, _charset, _append)
