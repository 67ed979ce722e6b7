"""Compressed pixels that a script alters are decoded in a process of their own; what can't be decoded isn't written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rules, Scrubbed, scrub
from scandock.workers.pixel_decoding import PixelDecoding
from tests.integration.in_process import call_in_process

pytestmark = pytest.mark.processes
FILL = 'version "6.6"\nalterPixels["rectangle", "l=0,t=0,r=10,b=10", "solid", "v=7"]\n'


def test_what_is_decoded_is_filled_and_else_as_it_was(tmp_path):
    names = ["MR_small_RLE.dcm", "JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_rle_2frame.dcm"]
    sources = [Path(str(get_testdata_file(name))) for name in names]
    (tmp_path / "fill.das").write_text(FILL)
    done = call_in_process(
        "deidentify", *sources, "--out", tmp_path / "out", "--script", tmp_path / "fill.das", "--json"
    )
    assert done.returncode == 0, done.stdout
    for source in sources:
        before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "out" / source.name)
        assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        pixels, filled = before.pixel_array.copy(), after.pixel_array
        area = (..., slice(10), slice(10)) if after.SamplesPerPixel == 1 else (..., slice(10), slice(10), slice(None))
        pixels[area] = 7
        assert (pixels == filled).all(), source.name


def test_what_can_not_be_decoded_fails_and_the_next_one_is_decoded():
    rules = Rules(scripts=(parse_script(FILL),))
    good = Path(str(get_testdata_file("MR_small_RLE.dcm"))).read_bytes()
    at = good.index(b"\xe0\x7f\x10\x00OB")
    broken = good[: at + 120] + b"\x80" * 1000 + good[at + 1120 :]
    with closing(PixelDecoding()) as decoding:
        context = Context(key=b"k", decode_pixels=decoding)
        failed = scrub(broken, rules=rules, context=context)
        assert isinstance(failed, Failed)
        assert failed.code == "deid_pixels"
        assert isinstance(scrub(good, rules=rules, context=context), Scrubbed)
        whole = scrub(good, rules=rules, context=context)
        ranged = scrub(good[:3000], len(good), lambda start, end: good[start:end], rules=rules, context=context)
        assert isinstance(whole, Scrubbed)
        assert isinstance(ranged, Scrubbed)
        assert b"".join(map(bytes, whole.parts)) == b"".join(map(bytes, ranged.parts))
    without = scrub(good, rules=rules, context=Context(key=b"k"))
    assert isinstance(without, Failed)
