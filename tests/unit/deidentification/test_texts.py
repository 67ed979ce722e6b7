"""Texts are read leniently and written strictly, in every character set of DICOM."""

from __future__ import annotations

import pytest
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from scandock.deidentification.errors import ValueUnfit
from scandock.deidentification.texts import decode, encode
from tests.unit.formats_dicom.test_charset import H3_1, H3_2, I2, J1, J3, K2, K3

TEXTS = {
    b"ISO_IR 100": "Müller^Jérôme",
    b"ISO_IR 101": "Wałęsa^Łukasz",
    b"ISO_IR 109": "Ĝordan^Ŭ",
    b"ISO_IR 110": "Ļaudis^Ķ",
    b"ISO_IR 144": "Люкceмбypг",
    b"ISO_IR 127": "قباني^لنزار",
    b"ISO_IR 126": "Διονυσιος",
    b"ISO_IR 138": "שרון^דבורה",
    b"ISO_IR 148": "Çavuşoğlu",
    b"ISO_IR 166": "สวัสดี",
    b"ISO_IR 203": "Œuvre^€",
    b"ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    b"ISO_IR 192": "王^小東=🙂",
    b"GB18030": "王^小东=🙂",
    b"GBK": "王^小东",
    b"\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    b"\\ISO 2022 IR 159": "丂^丄",
    b"\\ISO 2022 IR 87\\ISO 2022 IR 159": "山丂^a丄b田",
    b"ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    b"\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    b"\\ISO 2022 IR 58": "Zhang^XiaoDong=张^小东",
    b"\\ISO 2022 IR 100\\ISO 2022 IR 144": "Müller^Люк=Jérôme",
    b"ISO 2022 IR 100\\ISO 2022 IR 126": "Jérôme^Διον",
    b"ISO 2022 IR 6\\ISO 2022 IR 87": "A^山=B",
}


@pytest.mark.parametrize("charsets", TEXTS)
def test_a_text_comes_back_from_every_character_set(charsets):
    text = TEXTS[charsets]
    for vr, written in (("PN", text), ("LO", f"{text}\\x\\{text}"), ("LT", f"{text}\r\n{text} a\\b")):
        if vr != "PN" and b"\\" in charsets and "^" in written and vr == "LT":
            written = written.replace("^", "-")
        raw = encode(written, vr, charsets, big=False)
        assert decode(raw, vr, charsets, big=False) == (written.split("\\") if vr == "LO" else [written])
        if charsets != b"ISO_IR 203":  # which pydicom does not know
            codecs = convert_encodings([part.decode() or "ISO_IR 6" for part in charsets.split(b"\\")])
            read = decode_bytes(raw, codecs, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
            assert read.replace("\x1b$)A", "") == written  # pydicom leaves that escape sequence in the text


@pytest.mark.parametrize(
    ("charsets", "raw", "vr"),
    [
        (b"\\ISO 2022 IR 87", H3_1, "PN"),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87", H3_2, "PN"),
        (b"\\ISO 2022 IR 149", I2, "PN"),
        (b"ISO_IR 192", J1, "PN"),
        (b"GB18030", J3, "PN"),
        (b"\\ISO 2022 IR 58", K2, "PN"),
        (b"\\ISO 2022 IR 58", K3, "LT"),
    ],
)
def test_the_examples_of_the_standard_come_back(charsets, raw, vr):
    texts = decode(bytes.fromhex(raw), vr, charsets, big=False)
    assert decode(encode("\\".join(texts), vr, charsets, big=False), vr, charsets, big=False) == texts


def test_the_bytes_of_annex_h():
    raw = encode("Yamada^Tarou=山田^太郎", "PN", b"\\ISO 2022 IR 87", big=False)
    assert raw == bytes.fromhex(H3_1)[: len(raw)]
    assert encode("홍^길", "PN", b"\\ISO 2022 IR 149", big=False) == b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6"


@pytest.mark.parametrize(
    ("charsets", "text", "vr"),
    [
        (b"", "é", "PN"),
        (b"ISO_IR 6", "é", "LO"),
        (b"ISO_IR 100", "Ł", "PN"),
        (b"ISO_IR 100", "€", "LT"),
        (b"ISO_IR 13", "山", "PN"),
        (b"ISO_IR 13", "¥", "PN"),
        (b"NONSENSE", "é", "SH"),
        (b"\\ISO 2022 IR 87", "홍", "PN"),
        (b"\\ISO 2022 IR 149", "é", "PN"),
        (b"\\ISO 2022 IR 58", "🙂", "PN"),
        (b"ISO_IR 100\\ISO_IR 144", "Люк", "PN"),
        (b"ISO_IR 192", "\ud800", "PN"),
        (b"ISO_IR 192", "é", "CS"),
        (b"ISO_IR 192", "é", "UI"),
        (b"ISO_IR 100", "a\x1b$B34", "LO"),
        (b"", "\ud800", "UN"),
    ],
)
def test_what_a_character_set_does_not_have_is_refused(charsets, text, vr):
    with pytest.raises(ValueUnfit) as caught:
        encode(text, vr, charsets, big=False)
    assert text not in str(caught.value)


def test_a_backslash_within_a_character_separates_nothing():
    for charsets, character in ((b"GB18030", "乗"), (b"GBK", "乗")):
        raw = encode(f"{character}\\b", "LO", charsets, big=False)
        assert raw.count(b"\\") == 2
        assert decode(raw, "LO", charsets, big=False) == [character, "b"]
    raw = b"\x1b$B\x25\\\x1b(B\\x"
    assert decode(raw, "LO", b"\\ISO 2022 IR 87", big=False) == ["ボ", "x"]


def test_padding_and_separators():
    for raw, vr, expected in (
        (b" a \\ b ", "LO", ["a", "b"]),
        (b"A^B \0", "PN", ["A^B"]),
        (b" a\\b \r\n ", "LT", [" a\\b \r\n"]),
        (b" a\\b ", "UC", [" a", "b"]),
        (b"http://x\\y ", "UR", ["http://x\\y"]),
        (b"1.2\0", "UI", ["1.2"]),
        (b"  ", "LO", []),
        (b"", "LO", []),
        (b"\\", "DS", ["", ""]),
        (b"20200101", "DA", ["20200101"]),
        (b"a\0", "UN", ["a\0"]),
        (b"a ", "OB", ["a "]),
        (b"M\xc3\xbc\\x", "UN", ["Mü", "x"]),
        (b"M\xfc", "UN", ["Mü"]),
        (b"M\xfc", "CS", ["M\ufffd"]),
        (b"MARK", "SQ", []),
    ):
        assert decode(raw, vr, b"ISO_IR 100", big=False) == expected


@pytest.mark.parametrize("big", [False, True])
def test_numbers(big):
    for vr, text, back in (
        ("US", "0\\65535", ["0", "65535"]),
        ("SS", "-32768", ["-32768"]),
        ("UL", "4294967295", ["4294967295"]),
        ("SL", "-5", ["-5"]),
        ("UV", "18446744073709551615", ["18446744073709551615"]),
        ("SV", "-9223372036854775808", ["-9223372036854775808"]),
        ("FL", "30.0", ["30"]),
        ("FL", "0.1", ["0.1"]),
        ("FD", "1e-5\\30.0\\0.1", ["1e-05", "30", "0.1"]),
        ("US", "30.0", ["30"]),
        ("US", " +7 ", ["7"]),
        ("OF", "1.5", ["1.5"]),
        ("OD", "1.5", ["1.5"]),
        ("OL", "7", ["7"]),
        ("AT", "(0010,0020)\\00280010", ["00100020", "00280010"]),
        ("US", "", []),
        ("AT", "", []),
    ):
        assert decode(encode(text, vr, b"", big=big), vr, b"", big=big) == back
    for vr, text in (
        ("US", "65536"),
        ("US", "-1"),
        ("US", "fubar"),
        ("US", "1.5"),
        ("US", "1\\"),
        ("US", "1e300"),
        ("US", "٣"),
        ("FL", "1e39"),
        ("FD", "nan"),
        ("FD", "1_000"),
        ("AT", "0010"),
        ("AT", "zzzzzzzz"),
        ("SL", "9" * 500),
    ):
        with pytest.raises(ValueUnfit) as caught:
            encode(text, vr, b"", big=big)
        assert text not in str(caught.value)
