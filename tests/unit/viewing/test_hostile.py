"""Files that claim, bomb and lie: each is told with a reason, by a real decoder, and the next picture still comes."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scandock.viewing.decoder_pool import DecoderPool
from tests.badinput.ecat import ecat
from tests.unit.viewing.made import (
    JPEG_2000,
    dataset,
    deflated,
    dicom,
    encapsulated,
    file_of,
    kept,
    ramp,
)

pytestmark = pytest.mark.long

GOOD = dicom(ramp())


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    made = DecoderPool()
    yield made
    made.close()


def ask(decoders: DecoderPool, tmp_path: Path, raw: bytes, verb: str = "thumbnail", frame: int = 0) -> dict:
    fd = os.open(kept(tmp_path, raw), os.O_RDONLY)
    try:
        return dict(decoders.ask({"verb": verb, "frame": frame}, lambda: nullcontext([fd])).said)
    finally:
        os.close(fd)


def jpeg_2000(pixels: np.ndarray) -> bytes:
    from openjpeg.utils import encode_array

    return bytes(encode_array(pixels))


def huge_jpeg_2000() -> bytes:
    """A codestream that says it has 60,000 x 60,000 pixels (SIZ, T.800 A.5.1) and holds 4,096."""
    raw = bytearray(jpeg_2000(ramp(64, 64)))
    at = raw.index(b"\xff\x51")
    struct.pack_into(">II", raw, at + 6, 60_000, 60_000)
    struct.pack_into(">II", raw, at + 22, 60_000, 60_000)
    return bytes(raw)


def lying(**elements: Any) -> bytes:
    return file_of(dataset(ramp(), **elements))


def bomb() -> bytes:
    """400 MB of pixels in two megabytes."""
    plain = dicom(ramp())
    at = 144 + int.from_bytes(plain[140:144], "little")
    return deflated(plain[at:], 400 * 1024**2)


def nested(depth: int = 3000) -> bytes:
    """Sequences in sequences, of undefined length."""
    opened = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    whole = dicom()
    return whole + opened * depth


CASES = {
    "empty": (lambda: b"", "no image"),
    "text": (lambda: b"hello " * 400, "no image"),
    "only_a_preamble": (lambda: b"\0" * 128 + b"DICM", "ends before"),
    "rows_that_no_image_has": (lambda: lying(Rows=65535, Columns=65535), "more than are shown"),
    "no_rows": (lambda: lying(Rows=0, Columns=0), "0 rows"),
    "more_rows_than_bytes": (lambda: lying(Rows=4096, Columns=4096), "ends before the frame"),
    "cut": (lambda: GOOD[:-100], "ends before the frame"),
    "cut_in_the_header": (lambda: GOOD[:300], ""),
    "frames_that_are_not_there": (lambda: lying(NumberOfFrames=2**31 - 1), ""),
    "bits_that_do_not_exist": (lambda: lying(BitsAllocated=13), ""),
    "an_unknown_syntax": (lambda: encapsulated([b"x" * 64], ramp(), syntax="1.2.840.10008.1.2.4.52"), "not shown"),
    "a_video": (lambda: encapsulated([b"x" * 64], ramp(), syntax="1.2.840.10008.1.2.4.102"), "video"),
    "jpeg_2000_of_nothing": (
        lambda: encapsulated([b"x" * 64], ramp(), syntax=JPEG_2000),
        "can't be decoded: its pixel data",
    ),
    "jpeg_2000_that_is_huge": (lambda: encapsulated([huge_jpeg_2000()], ramp(64, 64), syntax=JPEG_2000), ""),
    "a_bomb": (lambda: bomb(), "comes to more than"),
    "nested": (lambda: nested(), ""),
    "ecat_of_no_directory": (lambda: b"MATRIX72v\0" + b"\0" * 2000, ""),
    "ecat_that_is_cut": (lambda: ecat()[:1200], ""),
}


@cache
def raw_of(name: str) -> bytes:
    return CASES[name][0]()


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_why_there_is_no_picture(decoders, tmp_path, name):
    word = CASES[name][1]
    said = ask(decoders, tmp_path, raw_of(name), frame=5 if name == "frames_that_are_not_there" else 0)
    assert word in said["reason"]
    assert said["reason"].endswith(".")
    assert len(said["reason"]) < 100  # in words of ours: what libraries say is longer, and of programs
    assert not re.search(r"(?i)error|exception|plugin|pydicom|openjp|array|argument|attribute|NoneType", said["reason"])
    assert "reason" not in ask(decoders, tmp_path, GOOD)


@pytest.mark.parametrize("verb", ["native", "explicit", "objects"])
def test_what_dicomweb_asks_of_it_is_answered_too(decoders, tmp_path, verb, subtests):
    """Whatever a file claims, there is an answer or a reason, and the next file is read."""
    for name in CASES:
        with subtests.test(name):
            said = ask(decoders, tmp_path, raw_of(name), verb)
            assert verb != "objects" or len(said["objects"]) == 1
            good = ask(decoders, tmp_path, GOOD, verb)
            assert "reason" not in good
            assert verb != "objects" or good["objects"][0]["length"]


@pytest.mark.parametrize("verb", ["places", "header"])
def test_its_place_and_its_header_are_asked_for_too(decoders, tmp_path, verb, subtests):
    for name in CASES:
        with subtests.test(name):
            said = ask(decoders, tmp_path, raw_of(name), verb)
            assert isinstance(said, dict)
            assert "reason" not in ask(decoders, tmp_path, GOOD, verb)


def test_one_bad_file_hides_no_place_of_others(decoders, tmp_path):
    paths = []
    for number, raw in enumerate((raw_of("nested"), GOOD, b"")):
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(raw)
    files = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        told = decoders.ask({"verb": "places"}, lambda: nullcontext(files)).said["files"]
    finally:
        for fd in files:
            os.close(fd)
    assert [sorted(one) for one in told][1:] == [["images"], ["reason"]]
    assert len(told) == 3


def test_what_it_is_instead_of_an_image_is_said(decoders, tmp_path):
    assert ask(decoders, tmp_path, dicom(Modality="SR"))["reason"] == "This is a report (SR), without pixels."
    assert "without pixels" in ask(decoders, tmp_path, dicom(Modality="RTSTRUCT"))["reason"]


def test_a_deflated_image_is_shown(decoders, tmp_path):
    plain = dicom(ramp())
    at = 144 + int.from_bytes(plain[140:144], "little")
    assert "reason" not in ask(decoders, tmp_path, deflated(plain[at:]))


def test_a_name_that_is_a_reason_stays_text():
    from scandock.viewing.placeholder import draw_placeholder

    said = draw_placeholder('</text><script>alert(1)</script>" & <b>\x00' + "x" * 5000)
    assert b"<script" not in said
    assert b"<b>" not in said
    assert len(said) < 3000
