"""Whether bytes are DICOM, by content alone."""

from __future__ import annotations

import json
import random

import pytest

from scandock.formats.dicom_header import looks_like_dicom
from tests.unit.formats_dicom.build import BIG, EXPLICIT, IMPLICIT, Writer, make_object


def looks(data: bytes) -> bool:
    return looks_like_dicom(data, len(data))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_objects_with_and_without_preamble_or_meta(syntax):
    assert looks(make_object(syntax=syntax))
    assert looks(make_object(syntax=syntax, preamble=None))
    assert looks(make_object(syntax=syntax)[132:])


def test_a_data_set_that_begins_with_a_group_length():
    for writer in (Writer(), Writer(explicit=False), Writer(big=True)):
        assert looks(writer.element(0x00080000, "UL", 400) + writer.element(0x00080008, "CS", "ORIGINAL"))


def test_the_mark_is_enough():
    assert looks(bytes(128) + b"DICM")
    assert looks(b"MZ".ljust(128) + b"DICM" + b"garbage")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        b"\x08\x00\x05\x00CS",
        b"DICM",
        b"DICM" + bytes(200),
        bytes(1000),
        b"\xff" * 1000,
        b"\x08\x00" * 300,
        b"\x00\x08" * 300,
        b"\x02\x00\x00\x00" * 300,
        b"\x89PNG\r\n\x1a\n" + bytes(300),
        b"\xff\xd8\xff\xe0" + bytes(300),
        b"\x1f\x8b\x08\x00" + bytes(300),
        b"PK\x03\x04" + bytes(300),
        json.dumps({"a": [1, 2, 3]}).encode() * 50,
        b"\x08\x00\x00\x00\x00\x00\x00\x00" * 40,
        b"%PDF-1.4\n" * 50,
        b"MATRIX72v".ljust(512, b"\0"),
        b"\x5c\x01\x00\x00" + bytes(344),
    ],
)
def test_other_files_are_not(data):
    assert not looks(data)


def test_random_bytes_are_not():
    rng = random.Random(1)
    starts = (b"", b"\x08\x00", b"\x00\x08", b"\x02\x00", b"\x00\x02")
    taken = sum(looks(rng.choice(starts) + rng.randbytes(300)) for _ in range(20_000))
    assert taken == 0
