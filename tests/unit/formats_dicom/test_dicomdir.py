"""Which files a DICOMDIR lists."""

from __future__ import annotations

from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread

from scandock.formats.dicom_header import dicomdir_files
from tests.unit.formats_dicom.build import EXPLICIT, Writer, meta

FOLDER = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
LITTLE = Writer()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("DICOMDIR*")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_as_pydicom_lists_them(path):
    expected = []
    for record in dcmread(path).DirectoryRecordSequence:
        name = record.get("ReferencedFileID")
        if name:
            expected.append(name if isinstance(name, str) else "/".join(name))
    assert dicomdir_files(path.read_bytes()) == list(dict.fromkeys(expected))


def directory(*names: str, undefined: bool = False) -> bytes:
    records = [LITTLE.item(LITTLE.element(0x00041500, "CS", name), undefined=undefined) for name in names]
    body = LITTLE.sequence(0x00041220, *records, undefined=undefined)
    return bytes(128) + b"DICM" + meta(EXPLICIT, media_class="1.2.840.10008.1.3.10") + body


@pytest.mark.parametrize("undefined", [True, False])
def test_each_once_and_no_record_without_a_file(undefined):
    data = directory("A\\B\\1", "", "A\\B\\1", "\\A\\\\2", undefined=undefined)
    assert dicomdir_files(data) == ["A/B/1", "A/2"]


def test_what_is_cut_or_damaged_ends_the_list():
    data = directory("A\\1", "A\\2", "A\\3")
    assert dicomdir_files(data[:-3])[:2] == ["A/1", "A/2"]
    for length in range(len(data)):
        assert set(dicomdir_files(data[:length])) <= {"A/1", "A/2", "A/3", "A"}
    assert dicomdir_files(b"") == []
    assert dicomdir_files(b"\xff" * 400) == []
