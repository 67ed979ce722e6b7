"""Texts and swallowed elements that hide in binary numbers: their lengths tell them, and their bytes."""

from __future__ import annotations

import struct

import pytest

from scandock.deidentification.data_set import DicomObject
from scandock.deidentification.profile.binary_numbers import looks_like_text, sizes_of
from tests.unit.deidentification.generated import deidentify, make_object, written
from tests.unit.deidentification.test_profile_actions import read
from tests.unit.formats_dicom.build import Writer

SYNTAXES = {"1.2.840.10008.1.2": Writer(explicit=False), "1.2.840.10008.1.2.1": Writer()}


def _after(tag: int, vr: str, value: bytes, syntax: str = "1.2.840.10008.1.2.1") -> bool:
    """Whether an element is there afterwards, as it was."""
    ds = make_object("MR")
    if tag in ds:
        del ds[tag]
    raw = written(ds, syntax, implicit=syntax.endswith(".1.2"))
    place = raw.index(bytes.fromhex("e07f1000"))
    element = SYNTAXES[syntax].element(tag, vr, value)
    after = deidentify(raw[:place] + element + raw[place:])
    assert value[:8] in after or tag not in read(after)
    return tag in read(after)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "is_kept"),
    [
        (0x00280103, "US", b"\0\0", True),
        (0x00280103, "US", b"DOE^JANE", False),
        (0x00280103, "US", bytes(4), False),
        (0x00280106, "US", b"\1\0", True),
        (0x00280106, "SS", bytes(6), False),
        (0x00189082, "FD", struct.pack("<d", 2.46), True),
        (0x00189082, "FD", b"DOE^JANE", False),
        (0x00189082, "FL", struct.pack("<f", 2.46), True),
        (0x00189089, "FD", struct.pack("<3d", 1, 0, 0), True),
        (0x00189089, "FD", struct.pack("<2d", 1, 0), False),
        (0x00209157, "UL", struct.pack("<3L", 1, 2, 3), True),
        (0x00209157, "UL", b"DOE^JANE", False),
        (0x00209157, "UL", struct.pack("<65L", *range(65)), False),
        (0x00540020, "US", struct.pack("<2000H", *range(2000)), True),
        (0x00281101, "US", bytes(6), True),
        (0x00281201, "OW", struct.pack("<256H", *range(256)), True),
        (0x00281201, "OW", b"<x>DOE^JANE</x> ", False),
        (0x00281201, "OW", b"\xfe\xff\0\xe0\4\0\0\0DOE ", False),
        (0x00280009, "AT", bytes.fromhex("18006310"), True),
        (0x00280009, "AT", bytes(6), False),
        (0x00660016, "OF", struct.pack("<3f", 12.5, 50.25, 160.5), True),
        (0x00660016, "OF", b"DOE^JANE", False),
        (0x00281201, "OW", "DOEMARK".encode("utf-16"), False),
        (0x00281201, "OW", "\ufeffDOEMARK".encode("utf-16-be"), False),
        (0x00281201, "OW", "DOEMARK".encode("utf-32"), False),
        (0x00281201, "OW", "\ufeffDOEMARK".encode("utf-32-be"), False),
        (0x00281201, "OW", "DOEMARK".encode("utf-32-le") + bytes(8), False),
        (0x00281201, "OW", b"\xff\xfe" + struct.pack("<8H", *range(8)), True),
        (0x00281201, "OW", struct.pack("<8L", *range(120, 128)), True),
        (0x00660040, "OL", struct.pack("<3L", 33, 34, 35), True),
        (0x00660040, "OL", "DOEMARK".encode("utf-32"), False),
        (0x00209157, "UN", "DOEMARK!".encode("utf-16-be"), False),
        (0x00209157, "UN", "DOEMARK!".encode("utf-16-le"), False),
        (0x00209157, "UN", struct.pack("<4L", 1, 2, 3, 4), True),
        (0x00281201, "OW", b"DOE ", False),
        (0x00281201, "OW", b"DOE\0\0\0", False),
        (0x00281201, "OW", bytes(8), True),
        (0x00281201, "OW", b"A" + bytes(7), True),
        (0x00281201, "OW", "M\u00fcller^J\u00f6rg".encode("latin-1") + b" ", False),
        (0x00281201, "OW", "\u5c71\u7530\u592a\u90ce".encode(), False),
        (0x00281201, "OW", b"\xe4\xf6\xfc\xe4\xf6\xfc\xdfe", True),
        (0x00281201, "OW", b"DOE\x9dJANE", True),
        (0x00281201, "OW", "Doe^Jane".encode("utf-16-le"), False),
        (0x00281201, "OW", "Doe^Jane\0".encode("utf-16-be"), False),
        (0x00281201, "OW", struct.pack("<4H", 300, 301, 302, 303), True),
        (0x00660016, "OF", b"DOE ", False),
        (0x00660016, "OF", struct.pack("<f", 12.078431), True),
        (0x00209157, "UL", "M\u00fcller^J".encode("latin-1"), False),
        (0x00209157, "UL", b"JANE", True),
        (0x00280020, "OB", bytes(4), False),
    ],
)
def test_numbers_stay_where_they_can_be_ones(tag: int, vr: str, value: bytes, *, is_kept: bool) -> None:
    for syntax in SYNTAXES:
        if vr in {"FL", "UN"} and syntax.endswith(".1.2"):
            continue  # a double of four bytes: the same; and numbers, as no VR is written
        assert _after(tag, vr, value, syntax) is is_kept


def test_a_known_element_of_unknown_vr_is_judged_as_what_it_is() -> None:
    assert _after(0x00189082, "UN", struct.pack("<d", 2.46))
    assert not _after(0x00189082, "UN", b"DOE^JANE")
    assert not _after(0x00280103, "UN", b"DOE^JANE")
    assert _after(0x00281201, "US", struct.pack("<256H", *range(256)))


def test_sizes_follow_the_multiplicity() -> None:
    assert list(sizes_of(0x00280006, "US")) == [2]
    assert 12 in sizes_of(0x00081162, "UL")
    assert 16 not in sizes_of(0x00081162, "UL")
    assert len(sizes_of(0x00209157, "UL")) == 64
    assert 131_072 in sizes_of(0x00283006, "US")


def test_usual_numbers_are_no_texts() -> None:
    for numbers in ((12.5, 50.5), (160.501, 210.25)):
        assert not looks_like_text(struct.pack("<2f", *numbers), "FL", b"", big=False)
    as_text = b"AAAAAAA@"
    assert 1 < struct.unpack("<d", as_text)[0] < 100
    assert not looks_like_text(as_text, "FD", b"", big=False)
    assert looks_like_text(as_text, "UL", b"", big=False)
    assert looks_like_text(b"DOE^JANE", "FL", b"", big=True)


def test_a_length_that_swallows_other_elements_and_what_a_script_writes() -> None:
    writer = Writer()
    swallowed = writer.element(0x00280103, "US", writer.element(0x00104000, "LT", b"DOE JANE"))
    raw = written(make_object("MR"))
    place = raw.index(bytes.fromhex("28000301"))
    after = deidentify(raw[:place] + swallowed + raw[place + 10 :])
    assert b"DOE JANE" not in after
    assert "PixelRepresentation" not in read(after)

    def write(obj: DicomObject) -> None:
        obj.data.set_value(0x00280103, "US", b"DOE^JANE")
        obj.data.set_value(0x00280106, "US", b"\7\0")

    ds = read(deidentify(raw, change=write))
    assert "PixelRepresentation" not in ds
    assert ds.SmallestImagePixelValue == 7
