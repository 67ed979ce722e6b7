"""Raw values as text: character sets, numbers, padding; never an exception."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.dicom_text import decode_value

VRS = (
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW"),
    *("PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV", "??"),
)
MARK = "\ufffd"


def text(raw: bytes, vr: str = "PN", charsets: bytes | None = None, *, big: bool = False) -> str:
    return decode_value(raw, vr, charsets, big)


@pytest.mark.parametrize(
    ("charsets", "raw", "expected"),
    [
        (None, b"DOE^JANE ", "DOE^JANE"),
        (b"ISO_IR 100", b"M\xfcller^J\xf6rg", "Müller^Jörg"),
        (b"ISO_IR 192 ", "Müller^山田".encode(), "Müller^山田"),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
        (b"ISO_IR 126", "Διονυσιος".encode("iso8859-7"), "Διονυσιος"),
        (b"ISO_IR 166", "นามสกุล".encode("iso8859-11"), "นามสกุล"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"GBK", "王^小东".encode("gbk"), "王^小东"),
        (b"ISO 2022 IR 100", b"M\xfcller", "Müller"),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        (b"iso-ir-100", b"M\xfcller", "Müller"),
        (b"ISO_IR_100\0", b"M\xfcller", "Müller"),
    ],
)
def test_character_sets(charsets, raw, expected):
    assert text(raw, charsets=charsets) == expected


@pytest.mark.parametrize(
    ("charsets", "raw", "expected"),
    [
        (b"ISO_IR 192", b"\xff\xfe\xfd", MARK * 3),
        (b"BOGUS_CHARSET", b"M\xfcller", f"M{MARK}ller"),
        (b"GB18030", b"\x81", MARK),
        (b"ISO 2022 IR 87\\ISO 2022 IR 87\\", b"x", "x"),
        (b"", b"M\xfcller", f"M{MARK}ller"),
        (b"\xff\xfe", b"M\xfcller", f"M{MARK}ller"),
    ],
)
def test_bytes_that_the_character_set_has_not(charsets, raw, expected):
    assert text(raw, charsets=charsets) == expected


def test_an_escape_that_is_never_closed():
    assert text(b"\x1b$B;3ED", charsets=b"ISO 2022 IR 87") == "山田"
    assert "\x1b" not in text(b"\x1b$B;3E", charsets=b"\\ISO 2022 IR 87")
    assert "\x1b" not in text(b"\x1bZZA", charsets=b"ISO_IR 100")


def test_codes_and_dates_are_of_the_default_repertoire():
    assert text(b"MR\xfc", "CS", b"ISO_IR 100") == f"MR{MARK}"


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("LO", b"  a b  ", "a b"),
        ("CS", b"ORIGINAL \\ PRIMARY\\\\M ", "ORIGINAL\\PRIMARY\\\\M"),
        ("UI", b"1.2.3\0", "1.2.3"),
        ("DS", b" 1.50 ", "1.50"),
        ("PN", b"A\0B\r\n\x07C", "ABC"),
        ("LT", b"  one\r\ntwo\ttabs\x07 \0", "  one\r\ntwotabs"),
        ("LT", b"Project:A \\ Subject:B", "Project:A \\ Subject:B"),
        ("UN", b"private ", "private"),
    ],
)
def test_padding_and_controls(vr, raw, expected):
    assert text(raw, vr) == expected


@pytest.mark.parametrize(
    ("vr", "letter", "values", "expected"),
    [
        ("US", "H", (0, 65_535), "0\\65535"),
        ("SS", "h", (-1,), "-1"),
        ("UL", "I", (4_294_967_295,), "4294967295"),
        ("SL", "i", (-5,), "-5"),
        ("FL", "f", (0.1, 1e10), "0.1\\1e+10"),
        ("FD", "d", (0.1, 1000.0, 1 / 3), "0.1\\1000\\0.333333333333333"),
        ("UV", "Q", (2**63,), str(2**63)),
    ],
)
@pytest.mark.parametrize("big", [True, False])
def test_numbers(vr, letter, values, expected, big):
    raw = struct.pack(f"{'>' if big else '<'}{len(values)}{letter}", *values)
    assert text(raw, vr, big=big) == expected
    assert text(raw + b"\1", vr, big=big) == expected


def test_a_tag_as_value():
    assert text(b"\x08\x00\x60\x00", "AT") == "00080060"


@given(
    raw=st.binary(max_size=60), vr=st.sampled_from(VRS), charsets=st.none() | st.binary(max_size=30), big=st.booleans()
)
def test_never_an_exception_and_always_a_text_that_can_be_stored(raw, vr, charsets, big):
    found = decode_value(raw, vr, charsets, big)
    found.encode()
    assert not set(found) & {chr(code) for code in range(32) if code not in (10, 13)}


NAMED = [b"ISO 2022 IR %d" % number for number in (6, 13, 58, 87, 100, 149, 159)]


@given(
    parts=st.lists(st.sampled_from([b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b", b"^", b"=", b";3", b"\xfb\xf3", b"A"])),
    charsets=st.lists(st.sampled_from([*NAMED, b"", b"BOGUS"]), max_size=3),
)
def test_escapes_in_any_order(parts, charsets):
    decode_value(b"".join(parts), "PN", b"\\".join(charsets), False).encode()
