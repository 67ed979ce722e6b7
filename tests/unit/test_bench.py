"""The benchmark's archives are what they say: objects that pydicom reads, in archives that others open."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

import pydicom
import pytest

from bench import archives, objects, packing, report
from bench.contenders import Run


@pytest.mark.parametrize("what", [archives.MR, archives.CT, archives.TINY], ids=["mr", "ct", "tiny"])
def test_objects_are_dicom_of_the_size_asked_for(what):
    (series,) = archives.series_of(7, 1, 3, what)
    for number, (uid, content) in enumerate(series.each(), start=1):
        read = pydicom.dcmread(io.BytesIO(content))
        assert len(content) == what["object_bytes"]
        assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID == uid
        assert (read.InstanceNumber, read.StudyInstanceUID) == (number, series.study_uid)
        assert read.pixel_array.shape == (what["rows"], what["columns"])


def test_enhanced_objects_have_their_frames():
    (series,) = archives.series_of(7, 1, 1, {**archives.ENHANCED, "frames": 3, "object_bytes": 400_000})
    ((_, content),) = series.each()
    read = pydicom.dcmread(io.BytesIO(content))
    assert len(read.PerFrameFunctionalGroupsSequence) == read.NumberOfFrames == 3
    assert read.pixel_array.shape == (3, 256, 256)


def test_two_makings_give_the_same_bytes():
    def digest():
        (series,) = archives.series_of(7, 1, 2, archives.TINY)
        return hashlib.sha256(b"".join(content for _, content in series.each())).hexdigest()

    first = digest()
    for made in (objects.noise, objects.phantom, objects.private_block):
        made.cache_clear()
    assert digest() == first


@pytest.mark.parametrize("stored", [False, True])
def test_zips_open_elsewhere(stored):
    entries = [(f"séance/{n}.dcm", bytes([n]) * 10_000) for n in range(200)]
    buffer = io.BytesIO()
    packing.write_zip(buffer, entries, stored=stored)
    with zipfile.ZipFile(buffer) as opened:
        assert opened.testzip() is None
        assert {i.compress_type for i in opened.infolist()} == {zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED}
        assert [(name, opened.read(name)) for name in opened.namelist()] == entries


def test_tars_open_elsewhere():
    entries = [(f"{n}.dcm", bytes([n]) * 999) for n in range(20)]
    buffer = io.BytesIO()
    packing.write_tar_gz(buffer, entries)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer, mode="r:gz") as opened:
        files = [(member.name, opened.extractfile(member)) for member in opened]
        assert [(name, file.read()) for name, file in files if file is not None] == entries


def test_ratios_are_taken_round_by_round(tmp_path):
    archive = archives.Archive("d", "tiny", tmp_path / "d.zip", 1, 1000, 500)
    runs = {"unzip": [Run(2.0, 1), Run(4.0, 1), Run(8.0, 1)], "scandock": [Run(1.0, 1), Run(1.0, 3), Run(6.0, 2)]}
    measured = report.Measured(archive, runs)
    assert measured.ratios("unzip") == [0.5, 0.25, 0.75]
    assert measured.ratios("plain") == []
    (row,) = report.table([measured]).splitlines()[2:]
    assert "0.50 (0.25-0.75)" in row
    assert "4.00 (2.00-8.00)" in row
