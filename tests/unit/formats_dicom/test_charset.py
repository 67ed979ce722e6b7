"""Character sets: the examples of PS3.5 annexes H, I, J and K byte by byte, every defined term, and what is broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.dicom_charset import decode_text

MARK = "\ufffd"
H3_1 = (
    "59616d6164615e5461726f753d1b24423b3345441b28425e1b244242404f3a1b28423d1b24422464245e24401b28425e1b2442243f246d"
    "24261b2842"
)
H3_2 = (
    "d4cfc0de5ec0dbb33d1b24423b3345441b284a5e1b244242404f3a1b284a3d1b24422464245e24401b284a5e1b2442243f246d24261b284a"
)
I2 = "486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ced4d73d1b242943c8ab5e1b242943b1e6b5bf"
J1 = "57616e675e5869616f446f6e673de78e8b5ee5b08fe69db13d"
J3 = "57616e675e5869616f446f6e673dcdf55ed0a1b6ab3d"
K2 = "5a68616e675e5869616f446f6e673d1b242941d5c55e1b242941d0a1b6ab3d20"
K3 = (
    "312e1b242941b5dad2bbd0d0cec4d7d6a1a30d0a"
    "322e1b242941b5dab6fed0d0cec4d7d6a1a30d0a"
    "332e1b242941b5dac8fdd0d0cec4d7d6a1a30d0a"
)


@pytest.mark.parametrize(
    ("charsets", "encoded", "vr", "expected"),
    [
        pytest.param("\\ISO 2022 IR 87", H3_1, "PN", "Yamada^Tarou=山田^太郎=やまだ^たろう", id="H.3.1"),
        pytest.param("ISO 2022 IR 13\\ISO 2022 IR 87", H3_2, "PN", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", id="H.3.2"),
        pytest.param("\\ISO 2022 IR 149", I2, "PN", "Hong^Gildong=洪^吉洞=홍^길동", id="I.2"),
        pytest.param("ISO_IR 192", J1, "PN", "Wang^XiaoDong=王^小東=", id="J.1"),
        pytest.param("GB18030", J3, "PN", "Wang^XiaoDong=王^小东=", id="J.3"),
        pytest.param("GBK", J3, "PN", "Wang^XiaoDong=王^小东=", id="J.3 GBK"),
        pytest.param("\\ISO 2022 IR 58", K2, "PN", "Zhang^XiaoDong=张^小东= ", id="K.2"),
        pytest.param("\\ISO 2022 IR 58", K3, "LT", "1.第一行文字。\r\n2.第二行文字。\r\n3.第三行文字。\r\n", id="K.3"),
    ],
)
def test_the_examples_of_the_standard(charsets, encoded, vr, expected):
    assert decode_text(bytes.fromhex(encoded), charsets.encode(), vr) == expected


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "GBK"])
def test_long_text_of_annex_j(charset):
    lines = "The first line includes 中文.\r\nThe second line includes 中文, too.\r\nThe third line.\r\n"
    raw = lines.encode("utf-8" if charset == "ISO_IR 192" else "gb18030")
    assert decode_text(raw, charset.encode(), "LT") == lines


def test_long_text_of_annex_i():
    raw = b"\x1b$)CThe 1st line includes \xb1\xe6\xb5\xbf.\r\n\x1b$)CThe 2nd \xb1\xe6\xb5\xbf, too.\r\nThe 3rd line"
    expected = "The 1st line includes 길동.\r\nThe 2nd 길동, too.\r\nThe 3rd line"
    assert decode_text(raw, b"\\ISO 2022 IR 149", "LT") == expected


SINGLE = [
    (100, b"-A", b"\xc4\xe4", "Ää"),
    (101, b"-B", b"\xa3\xb3", "Łł"),
    (109, b"-C", b"\xa1\xb1", "Ħħ"),
    (110, b"-D", b"\xa1\xb1", "Ąą"),
    (144, b"-L", b"\xbb\xee", "Лю"),
    (127, b"-G", b"\xe2\xc8", "قب"),
    (126, b"-F", b"\xc4\xe9", "Δι"),
    (138, b"-H", b"\xf9\xf8", "שר"),
    (148, b"-M", b"\xd0\xfd", "Ğı"),
    (203, b"-b", b"\xa4\xbd", "€œ"),
    (13, b")I", b"\xd4\xcf", "ﾔﾏ"),
    (166, b"-T", b"\xb9\xd2", "นา"),
]


@pytest.mark.parametrize(("number", "escape", "raw", "expected"), SINGLE)
def test_every_single_byte_set_with_and_without_extensions(number, escape, raw, expected):
    assert decode_text(raw, b"ISO_IR %d" % number, "LO") == expected
    assert decode_text(raw, b"ISO 2022 IR %d" % number, "LO") == expected
    extended = b"A\x1b" + escape + raw + b"B\\" + b"C"
    for charsets in (b"\\ISO 2022 IR %d" % number, b"ISO 2022 IR 6\\ISO 2022 IR %d" % number):
        assert decode_text(extended, charsets, "LO") == f"A{expected}B\\C"
    other = 144 if number != 144 else 126
    mixed = b"ISO 2022 IR %d\\ISO 2022 IR %d" % (other, number)
    assert decode_text(extended, mixed, "LO") == f"A{expected}B\\C"


MULTI = [
    (87, b"\x1b$B;3ED\x1b(B", "山田"),
    (159, b"\x1b$(D0^\x1b(B", "伱"),
    (149, b"\x1b$)C\xfb\xf3", "洪"),
    (58, b"\x1b$)A\xd5\xc5", "张"),
]


@pytest.mark.parametrize(("number", "raw", "expected"), MULTI)
def test_every_multi_byte_set_beside_another_first_one(number, raw, expected):
    for first in (b"", b"ISO 2022 IR 6", b"ISO 2022 IR 100", b"ISO 2022 IR 13"):
        charsets = first + b"\\ISO 2022 IR %d" % number
        assert decode_text(b"A^" + raw + b"^B=" + raw, charsets, "PN") == f"A^{expected}^B={expected}"


def test_what_a_delimiter_ends_depends_on_the_vr():
    charsets = b"ISO 2022 IR 100\\ISO 2022 IR 144"
    russian, latin = b"\x1b-L\xbb", b"\xe4"
    assert decode_text(russian + b"^" + latin, charsets, "PN") == "Л^ä"
    assert decode_text(russian + b"^" + latin, charsets, "LO") == "Л^ф"
    assert decode_text(russian + b"\\" + latin, charsets, "LO") == "Л\\ä"
    assert decode_text(russian + b"\\" + latin, charsets, "LT") == "Л\\ф"
    assert decode_text(russian + b"\r\n" + latin, charsets, "LT") == "Л\r\nä"


def test_katakana_in_the_upper_half_beside_kanji_in_the_lower():
    raw = b"\x1b$B;3\xd4\x1b(J\xcf"
    assert decode_text(raw, b"ISO 2022 IR 13\\ISO 2022 IR 87", "PN") == "山ﾔﾏ"


@pytest.mark.parametrize("charsets", [b"", b"ISO_IR 100", b"ISO_IR 192", b"BOGUS", b"ISO 2022 IR 100"])
def test_an_escape_sequence_counts_whether_its_set_is_named_or_not(charsets):
    assert decode_text(b"\x1b$B;3ED\x1b(B^A", charsets, "PN") == "山田^A"
    assert decode_text(b"\x1b$)A\xd5\xc5", charsets, "PN") == "张"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b$", MARK),
        (b"\x1b", MARK),
        (b"A\x1b", "A" + MARK),
        (b"\x1b$)Gabc\xff\xfe", "abc" + MARK),
        (b"\x1b$+Eabcd", "abcd"),
        (b"\x1b$Qabcd^A", MARK * 3),
        (b"\x1b-Z\xe4", MARK),
        (b"\x1b$B;3E", "山" + MARK),
        (b"\x1b(ZA", "A"),
    ],
)
def test_no_byte_of_an_escape_sequence_is_a_letter(raw, expected):
    assert decode_text(raw, b"\\ISO 2022 IR 87", "PN") == expected


@pytest.mark.parametrize("charsets", [b"\\ISO 2022 IR 149", b"ISO 2022 IR 149", b"ISO 2022 IR 6\\ISO 2022 IR 149"])
def test_escape_sequences_that_were_left_out(charsets):
    assert decode_text(b"Hong=\xfb\xf3^\xd1\xce\xd4\xd7", charsets, "PN") == "Hong=洪^吉洞"


@pytest.mark.parametrize("written", [b"ISO_IR 144", b"iso-ir-144", b"ISO IR144", b"ISO_IR_144\0", b" ISO 2022 IR 144"])
def test_ways_of_writing_a_defined_term(written):
    assert decode_text(b"\xbb", written, "LO") == "Л"


def test_a_second_byte_that_looks_like_a_delimiter():
    """In GBK and Shift JIS the second byte of a character can be `\\` or `^`."""
    assert decode_text("誠^乗".encode("gbk"), b"GBK", "PN") == "誠^乗"
    assert decode_text("表".encode("shift_jis"), b"ISO_IR 13", "LO") == "表"


@given(
    parts=st.lists(
        st.sampled_from([b"\x1b", b"$", b"(", b")", b"-", b"B", b"C", b"A", b"^", b"\\", b"\xfb", b"\x8f", b"\n", b" "])
    ),
    charsets=st.lists(st.sampled_from([b"", b"BOGUS", b"ISO_IR 192", *(b"ISO 2022 IR %d" % n for n, *_ in MULTI)])),
    vr=st.sampled_from(["PN", "LO", "LT", "UN"]),
)
def test_never_an_exception_and_never_an_escape(parts, charsets, vr):
    assert "\x1b" not in decode_text(b"".join(parts), b"\\".join(charsets), vr)
