"""Files that are written oddly: header page, picture and place in the stack are those of the same file written well."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scandock.viewing.frame_positions import read_positions
from scandock.viewing.frame_sources import open_frames
from scandock.viewing.header_rows import read_header_rows
from tests.unit.viewing.made import dataset, file_of, kept, ramp

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = {"PatientName": "Doe^Jane", "PatientID": "P1", "StudyDescription": "Head"}
BIG = "1.2.840.10008.1.2.2"


def good(**more: str) -> bytes:
    return file_of(dataset(ramp(), **NAMES, **more))


def blank(data: bytes) -> bytes:
    at = data.index(b"\x08\x00\x60\x00CS")
    return data[: at + 4] + b"  " + data[at + 6 :]


def blank_in_front(data: bytes) -> bytes:
    at = 144 + int.from_bytes(data[140:144], "little")
    return data[: at + 4] + b"  " + data[at + 6 :]


def to_come(data: bytes) -> bytes:
    """Rows of a VR of two capitals that nobody knows yet."""
    at = data.index(b"\x28\x00\x10\x00US")
    return data[: at + 4] + b"ZZ\0\0" + struct.pack("<I", 2) + data[at + 8 :]


def by_chance(data: bytes) -> bytes:
    """The data set alone, with `DICM` at byte 128 in a value."""
    at = 144 + int.from_bytes(data[140:144], "little")
    body = data[at:]
    split = body.index(b"\x08\x00\x60\x00CS")
    value = b"x" * (128 - split - 8) + b"DICMyy"
    return body[:split] + b"\x08\x00\x50\x00SH" + struct.pack("<H", len(value)) + value + body[split:]


@pytest.mark.parametrize("change", [blank, blank_in_front, to_come, by_chance])
def test_everything_is_shown_as_of_the_file_written_well(tmp_path: Path, change: Callable[[bytes], bytes]):
    plain = good()
    odd = change(plain)
    shown = []
    for data in (plain, odd):
        with open(kept(tmp_path, data), "rb") as stream:
            rows = {
                row[1]: row[2:] for row in read_header_rows(stream)[0] if not row[1].startswith(("(0002", "(0008,0050"))
            }
            frame = open_frames(stream).frame(0)
            shown.append((rows, frame.pixels, read_positions(stream)))
    (rows, pixels, places), (odd_rows, odd_pixels, odd_places) = shown
    assert odd_rows == rows
    assert np.array_equal(pixels, odd_pixels)
    assert odd_places == places


def test_little_endian_items_in_a_big_endian_file(tmp_path: Path):
    made = dataset(ramp(dtype=">u2"), syntax=BIG, **NAMES)
    plain = file_of(made)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 12) + struct.pack("<HHI", 0x0009, 0x0001, 4) + b"text"
    sequence = struct.pack(">HH", 0x0009, 0x1010) + b"UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    at = plain.index(b"\x00\x10\x00\x10PN")
    with open(kept(tmp_path, plain[:at] + sequence + plain[at:]), "rb") as stream:
        rows, _ = read_header_rows(stream)
        pixels = open_frames(stream).frame(0).pixels
    assert (0, "(0010,0010)", "Patient's Name", "PN", "Doe^Jane") in rows
    assert ("UN", f"{len(item) + 8} bytes") in [row[3:] for row in rows if row[1] == "(0009,1010)"]
    assert np.array_equal(pixels, ramp())


@pytest.mark.parametrize(
    ("charset", "raw", "shown"),
    [
        (b"\\ISO 2022 IR 58 ", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="),
        (b"", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"ISO 2022 IR 203 ", b"\xbcuvre", "Œuvre"),
    ],
)
def test_names_are_read_in_the_character_sets_that_an_import_knows(tmp_path: Path, charset, raw, shown):
    data = good()
    at = data.index(b"\x10\x00\x10\x00PN")
    raw += b" " * (len(raw) % 2)
    named = b"\x10\x00\x10\x00PN" + struct.pack("<H", len(raw)) + raw
    data = data[:at] + named + data[at + 8 + len("Doe^Jane") :]
    start = 144 + int.from_bytes(data[140:144], "little")
    data = data[:start] + b"\x08\x00\x05\x00CS" + struct.pack("<H", len(charset)) + charset + data[start:]
    with open(kept(tmp_path, data), "rb") as stream:
        rows, _ = read_header_rows(stream)
    assert (0, "(0010,0010)", "Patient's Name", "PN", shown) in rows


def test_a_value_that_is_none_is_told_without_the_name_of_an_exception(tmp_path: Path):
    data = good(InstanceNumber="1")
    at = data.index(b"\x20\x00\x13\x00IS")
    data = data[:at] + b"\x20\x00\x13\x00FD\x02\x00xx" + data[at + 10 :]
    with open(kept(tmp_path, data), "rb") as stream:
        rows, _ = read_header_rows(stream)
    (row,) = [row for row in rows if row[1] == "(0020,0013)"]
    assert row[2:] == ("Instance Number", "", "2 bytes: not a value of its representation.")


def test_a_gray_image_that_states_neither_samples_nor_sign_is_shown(tmp_path: Path):
    """Both are type 1 (PS3.3 C.7.6.3), and gray images without them are about: what else could they have?"""
    made = dataset(ramp(), **NAMES)
    del made.SamplesPerPixel, made.PixelRepresentation
    with open(kept(tmp_path, file_of(made)), "rb") as stream:
        assert np.array_equal(open_frames(stream).frame(0).pixels, ramp())
