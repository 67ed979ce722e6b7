"""The header as rows: every element, sequences beneath, nothing binary and nothing endless."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from scandock.viewing import header_rows
from scandock.viewing.frames import NotViewable
from scandock.viewing.header_rows import read_header_rows
from tests.badinput.ecat import ecat
from tests.unit.viewing.made import dataset, dicom, file_of, kept, ramp

pytestmark = pytest.mark.filterwarnings("ignore")


def read(tmp_path: Path, raw: bytes):
    with open(kept(tmp_path, raw), "rb") as stream:
        return read_header_rows(stream)


def values(rows) -> dict[str, str]:
    return {name: value for _, _, name, _, value in rows}


def test_every_element_is_a_row(tmp_path):
    item = Dataset()
    item.CodeValue = "T-A0100"
    made = dataset(ramp(), PatientName="Doe^Jane", ImageType=["ORIGINAL", "PRIMARY"], AnatomicRegionSequence=[item])
    rows, note = read(tmp_path, file_of(made))
    assert note == ""
    assert (0, "(0010,0010)", "Patient's Name", "PN", "Doe^Jane") in rows
    assert values(rows)["Image Type"] == "ORIGINAL\\PRIMARY"
    assert values(rows)["Transfer Syntax UID"] == "1.2.840.10008.1.2.1 Explicit VR Little Endian"
    at = [row[2] for row in rows].index("Anatomic Region Sequence")
    assert [row[0] for row in rows[at : at + 3]] == [0, 1, 2]
    assert rows[at + 2][4] == "T-A0100"
    assert rows[-1] == (0, "(7FE0,0010)", "Pixel Data", "OW", "512 bytes")


def test_long_and_binary_values_are_told_by_their_size(tmp_path):
    made = dataset(PatientComments="x" * 5000)
    block = made.private_block(0x0029, "ACME", create=True)
    block.add_new(1, "OB", b"\0" * 1234)
    block.add_new(2, "UN", b"readable")
    found = read(tmp_path, file_of(made))[0]
    told = values(found)
    assert told["Patient Comments"].endswith("… (5000 characters)")
    assert len(told["Patient Comments"]) < 350
    assert {"1234 bytes", "readable"} <= {row[4] for row in found}


def test_control_characters_are_made_visible(tmp_path):
    rows = read(tmp_path, dicom(StudyDescription="a\x00b\x1b[31mc\u202ed"))[0]
    assert all(one.isprintable() or one == "\n" for row in rows for one in row[4])


def test_no_more_rows_than_a_page_can_bear(tmp_path, monkeypatch):
    monkeypatch.setattr(header_rows, "MOST_ROWS", 10)
    rows, note = read(tmp_path, dicom(ramp()))
    assert 10 <= len(rows) <= 11
    assert "first 10" in note


def test_an_ecat_file_has_its_main_header_and_each_frames(tmp_path):
    rows, _ = read(tmp_path, ecat())
    names = [row[2] for row in rows]
    assert "patient name" in names
    assert "Subheader of frame 1" in names


def test_what_has_no_header_is_told(tmp_path):
    with pytest.raises(NotViewable):
        read(tmp_path, b"plain text " * 100)
