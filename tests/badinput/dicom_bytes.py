"""Rows of the table, DICOM: files whose bytes are cut, lie about their lengths or are nested too deep."""

from __future__ import annotations

import struct
from functools import partial

from tests.badinput import packing, zips
from tests.badinput.case import Expect, Made, add, among_good, good, made, placed, refused, row
from tests.badinput.objects import (
    BIG_ENDIAN,
    DEFLATED,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Image,
    dataset,
    element,
    nested,
    part10,
)

SECTION = "DICOM"
LARGE = 256 * 1024 * 1024

CHARSETS = (
    (b"ISO_IR 192", b"\xff\xfe\xfd"),
    (b"BOGUS_CHARSET", b"M\xfcller"),
    (b"ISO 2022 IR 87", b"\x1b$B;3ED"),
    (b"GB18030", b"\x81"),
    (b"ISO 2022 IR 87\\ISO 2022 IR 87\\", b"x"),
    (b"", b"M\xfcller"),
)


def _bad(case: str, **values: object) -> Image:
    """An object of the good ones' series, with a number of its own."""
    return Image(case=case, number=9, **values)  # type: ignore[arg-type]


def _three_good_and(case: str, bad: bytes, *, kept: bool) -> Made:
    """The bad one as bad.dcm between three good ones; `kept` where its bytes must be stored too."""
    return made(among_good(case, (b"bad.dcm", bad)), *good(case), *([bad] if kept else []))


def _charset(charset: bytes, name: bytes) -> Made:
    data = Image(case="charset" + repr((charset, name)), also={0x00080005: (b"CS", charset)}, patient_name=name).file()
    return made(zips.plain((b"s/1.dcm", data)), data)


for _charset_value, _name in CHARSETS:
    add(
        SECTION,
        "charset_bad.zip",
        partial(_charset, _charset_value, _name),
        placed(stored=1),
        variant=_charset_value.decode() or "none",
    )

CODE = "unparseable_ignored"


def _reported(code: str) -> Expect:
    """Three stored, and the bad one named."""
    return placed(stored=3, unparseable=1, says=((CODE,),), named=(("bad.dcm", "unparseable", code),))


def _kept(code: str = "stored") -> Expect:
    """Four stored, and the receipt says how."""
    return placed(stored=4, named=(("bad.dcm", "stored", code),))


@row(SECTION, "dcm_deflated_bomb.zip", placed(stored=4, seconds=60))
def deflated_bomb() -> Made:
    """16 times 16 MiB of zeros as pixels, in the deflated transfer syntax."""
    case = "deflated bomb"
    image = _bad(case, without=frozenset({0x7FE00010}))
    before = dataset(image.elements()) + element(0x7FE00010, b"OW", b"", length=LARGE)
    bad = part10(image.head(DEFLATED), packing.deflated_zeros(LARGE // packing.ZEROS_CHUNK, before))
    return _three_good_and(case, bad, kept=True)


@row(SECTION, "dcm_header_length_2GB.zip", _reported("header_damaged"))
def header_length() -> Made:
    """An element before the study's UID claims 2 GB; the file ends long before."""
    image = _bad("header length")
    lie = element(0x00091010, b"OB", bytes(16), length=0x7FFFFFF0)
    return _three_good_and(image.case, image.with_inserted(0x00100000, lie), kept=False)


@row(SECTION, "dcm_length_2GB_claimed.zip", _kept("stored_pixels_cut"))
def pixel_length() -> Made:
    """The pixel data claim 2 GiB less two and hold 32 bytes."""
    image = _bad("pixel length", without=frozenset({0x7FE00010}))
    bad = image.file() + element(0x7FE00010, b"OW", bytes(32), length=0x7FFFFFFE)
    return _three_good_and(image.case, bad, kept=True)


@row(SECTION, "dcm_length_fffffffe.zip", _kept("stored_odd_header"))
def element_length() -> Made:
    """A private element after the UIDs claims 4 GiB less two."""
    image = _bad("element length")
    lie = element(0x00291010, b"OB", bytes(16), length=0xFFFFFFFE)
    return _three_good_and(image.case, image.with_inserted(0x00290000, lie), kept=True)


@row(SECTION, "dcm_meta_says_big_endian_but_is_little.zip", _reported("header_truncated"))
def wrong_endian() -> Made:
    image = _bad("wrong endian")
    return _three_good_and(image.case, image.file(syntax=BIG_ENDIAN), kept=False)


@row(SECTION, "dcm_no_preamble.zip", placed(stored=2, named=(("s/bare", "stored", "stored_no_preamble"),)))
def no_preamble() -> Made:
    """One whole file, and one data set as it is: no preamble, no magic, no file meta."""
    whole, bare = Image(case="no preamble").file(), dataset(_bad("no preamble").elements())
    return made(zips.plain((b"s/whole.dcm", whole), (b"s/bare", bare)), whole, bare)


@row(SECTION, "dcm_preamble_is_a_script.zip", placed(stored=2))
def preamble_script() -> Made:
    """A shell script and a Windows program in the preambles, one of the entries with the executable bit."""
    script = Image(case="script").file(preamble=b"#!/bin/sh\ntouch scandock-was-run\nexit\n")
    program = _bad("script").file(preamble=b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff")
    entries = [
        zips.Entry(name=b"s/run.sh", data=script, attributes=0o100755 << 16),
        zips.Entry(name=b"s/setup.exe", data=program),
    ]
    return made(zips.archive(entries), script, program)


@row(SECTION, "dcm_preamble_only.zip", _reported("header_truncated"))
def preamble_only() -> Made:
    return _three_good_and("preamble only", bytes(128) + b"DICM", kept=False)


@row(SECTION, "dcm_private_100000_elements.zip", placed(stored=4, seconds=30))
def private_elements() -> Made:
    """50,000 private elements before the UIDs and 50,000 after them."""
    image = _bad("private elements")

    def many(group: int) -> bytes:
        return b"".join(element(group << 16 | 0x1000 + number, b"LO", b"xy") for number in range(50_000))

    elements = image.elements()
    below = dataset({tag: value for tag, value in elements.items() if tag < 0x00090000})
    between = dataset({tag: value for tag, value in elements.items() if 0x00090000 <= tag < 0x00290000})
    above = dataset({tag: value for tag, value in elements.items() if tag >= 0x00290000})
    body = below + many(0x0009) + between + many(0x0029) + above
    return _three_good_and(image.case, part10(image.head(), body), kept=True)


@row(SECTION, "dcm_sequence_100000_items.zip", placed(stored=4, seconds=30))
def many_items() -> Made:
    """A sequence of 100,000 items before the UIDs."""
    image = _bad("many items")
    item = ITEM + element(0x00081155, b"UI", b"1.2.3") + ITEM_END
    head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, UNDEFINED)
    return _three_good_and(image.case, image.with_inserted(0x00081140, head + item * 100_000 + SEQUENCE_END), kept=True)


@row(SECTION, "dcm_sequences_10000_deep.zip", _kept())
def deep() -> Made:
    """Sequences in sequences behind all that names the object."""
    image = _bad("deep")
    return _three_good_and(image.case, image.with_inserted(0x00400000, nested(10_000)), kept=True)


@row(SECTION, "dcm_sequences_10000_deep_first.zip", _kept())
def deep_first() -> Made:
    """The same as language codes (0008,0006), before any UID."""
    image = _bad("deep first")
    return _three_good_and(image.case, image.with_inserted(0x00080010, nested(10_000, 0x00080006)), kept=True)


@row(SECTION, "dcm_truncated_in_header.zip", _reported("header_truncated"))
def cut_in_header() -> Made:
    """Cut in the middle of the patient's name."""
    image = _bad("cut in header")
    data = image.file()
    return _three_good_and(image.case, data[: data.index(image.patient_name) + 4], kept=False)


@row(SECTION, "dcm_truncated_in_pixels.zip", _kept("stored_pixels_cut"))
def cut_in_pixels() -> Made:
    image = _bad("cut in pixels")
    return _three_good_and(image.case, image.file()[:-10], kept=True)


@row(SECTION, "dcm_unknown_transfer_syntax.zip", _kept())
def unknown_syntax() -> Made:
    image = _bad("unknown syntax")
    return _three_good_and(image.case, image.file(syntax=b"1.2.3.4.5.6.7.8.9"), kept=True)


@row(SECTION, "dicom_gzipped_members.zip", placed(stored=3, named=((".dcm.gz", "stored", "stored_unpacked"),)))
def gzipped_members() -> Made:
    pairs = [(b"s/%d.dcm.gz" % number, packing.gzipped(data)) for number, data in enumerate(good("gzipped"))]
    return made(zips.plain(*pairs), *good("gzipped"))


ODD_SUFFIXES = (
    b".txt",
    b".jpg",
    b".IMA",
    b".exe",
    b".zip",
    b".html",
    b".tar.gz",
    b".v",
    b"",
    b".DS_Store",
    b"desktop.ini",
)


@row(SECTION, "dicom_with_odd_suffixes.zip", placed(stored=11))
def odd_suffixes() -> Made:
    """Eleven objects under names of other things, two of them names of junk."""
    images = [Image(case="odd suffixes", number=number).file() for number in range(1, 12)]
    pairs = []
    for number, (suffix, data) in enumerate(zip(ODD_SUFFIXES, images, strict=True)):
        base = b"" if suffix in {b".DS_Store", b"desktop.ini"} else b"%d" % number
        pairs.append((b"s/" + base + suffix, data))
    return made(zips.plain(*pairs), *images)


def _named(verdict: str) -> tuple[tuple[str, str, str], ...]:
    codes = {"text.dcm": "named_not_image", "empty.dcm": "empty_entry", "noise.dcm": "named_not_image"}
    return tuple((name, verdict, code) for name, code in codes.items())


@row(
    SECTION,
    "non_dicom_with_dcm_suffix.zip",
    placed(
        stored=3,
        unparseable=3,
        says=((CODE,), ("text.dcm",), ("empty.dcm",), ("noise.dcm",)),
        named=_named("unparseable"),
    ),
    refused(
        "unparseable_entries",
        "text.dcm",
        "empty.dcm",
        "noise.dcm",
        args=("--no-ignore-unparsable",),
        named=_named("refused"),
    ),
)
def not_dicom() -> Made:
    case = "not dicom"
    noise = bytes((number * 73 + 11) % 251 for number in range(700))
    pairs = ((b"text.dcm", b"this is a letter, not an image\n" * 20), (b"empty.dcm", b""), (b"noise.dcm", noise))
    return made(among_good(case, *pairs), *good(case))
