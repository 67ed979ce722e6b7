"""Header values and names that no database column was made for: an import takes them or says so, on both databases.

SQLite takes any text of any length; PostgreSQL knows no NUL, and limits what an index holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.badinput.objects import sha256_of
from tests.builders import DataFolder, Image, ecat, make_data_folder

pytestmark = pytest.mark.long

NOISE = "".join(sha256_of([b"%d" % n]) for n in range(100)).encode()
"""6,400 characters that do not compress."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def takes(site: DataFolder, entries: dict[str, bytes]) -> None:
    """Imported, and found again."""
    told = site.bring(entries)
    assert told.state == "placed", told.report["message"]
    assert told.counts == {"stored": 1}
    assert site.bring(entries).counts == {"duplicate": 1}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"modality": NOISE}, id="long modality"),
        pytest.param({"modality": b"M\0R"}, id="NUL in the modality"),
        pytest.param({"modality": b"\xff\xfe"}, id="modality that is no text"),
        pytest.param({"patient_id": NOISE, "patient_name": NOISE}, id="long patient"),
        pytest.param({"patient_id": b"A\0B", "patient_name": b"A\0^B"}, id="NUL in the patient"),
        pytest.param(
            {"patient_id": b"\xf0\x9f\x98\x80" * 60, "also": {0x00080005: (b"CS", b"ISO_IR 192")}}, id="emoji"
        ),
        pytest.param({"patient_id": b"\xed\xb0\x80", "also": {0x00080005: (b"CS", b"ISO_IR 192")}}, id="surrogates"),
        pytest.param({"series_number": NOISE}, id="long series number"),
        pytest.param({"series_number": b"-5"}, id="negative series number"),
        pytest.param({"study_date": b"\0garbage" * 9}, id="date that is none"),
        pytest.param({"also": {0x0008103E: (b"LO", b"t1\0mprage")}}, id="NUL in a description"),
        pytest.param({"also": {0x0008103E: (b"LO", NOISE)}}, id="long description"),
        pytest.param({"also": {0x00080016: (b"UI", NOISE)}}, id="long SOP class"),
        pytest.param({"also": {0x00280008: (b"IS", b"9" * 40)}}, id="absurd number of frames"),
        pytest.param({"also": {0x00280008: (b"IS", b"-3")}}, id="negative number of frames"),
        pytest.param({"also": {0x0020000D: (b"UI", b"1.\xff." * 128)}}, id="longest study UID that is taken"),
        pytest.param({"also": {0x0020000E: (b"UI", b"1.2\0.4"), 0x00080018: (b"UI", b"1\0.5")}}, id="NUL in UIDs"),
    ],
)
def test_an_object_with_odd_values_is_taken(site: DataFolder, values: dict[str, Any]) -> None:
    takes(site, {"1.dcm": Image(case="odd", **values).file()})


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018])
def test_a_uid_that_is_none_by_its_length_is_said(site: DataFolder, tag: int) -> None:
    told = site.bring(
        {"1.dcm": Image(case="odd").file(), "2.dcm": Image(case="odd", number=2, also={tag: (b"UI", NOISE)}).file()}
    )

    assert told.state == "placed"
    assert told.codes() == {"1.dcm": "stored stored", "2.dcm": "unparseable header_damaged"}
    assert "6400 characters" in told.line("2.dcm")["message"]


@pytest.mark.parametrize("name", ["N" * 200, "na\x00me", "\U0001f600", "..", "CON", " "])
def test_a_resource_folder_of_any_name_is_kept(site: DataFolder, name: str) -> None:
    entries = {
        "S/scans/1/resources/DICOM/files/1.dcm": Image(case="odd").file(),
        f"S/scans/1/resources/{name}/files/a.txt": b"a note",
    }
    told = site.bring(entries)

    assert told.state == "placed", told.report["message"]
    assert told.counts == {"stored": 1, "resource": 1}
    assert site.bring(entries).counts == {"duplicate": 2}


def test_names_and_folders_of_any_length_and_script_are_kept(site: DataFolder) -> None:
    entries = {
        "1.dcm": Image(case="odd").file(),
        "/".join(["deep"] * 200) + "/a.txt": b"one",
        "n" * 3000 + ".txt": b"two",
        "файл 画像.txt": b"three",
        "\x7f\x1b[31m.txt": b"four",
    }
    told = site.bring(entries)

    assert told.counts == {"stored": 1, "resource": 4}
    assert site.bring(entries).counts == {"duplicate": 5}


def test_ecat_headers_that_are_no_text_are_taken(site: DataFolder) -> None:
    takes(site, {"a.v": ecat(patient_id=b"\xff" * 16, patient_name=b"A\0B", facility_name=b"\xed\xb0\x80")})


def test_entries_that_need_an_eye_are_kept_whatever_they_are_called(site: DataFolder) -> None:
    told = site.bring(
        {"1.dcm": Image(case="odd").file(), "a\x1b\x07.dcm": b"no image", "n" * 5000 + ".dcm": b"no image"}
    )

    assert told.counts == {"stored": 1, "unparseable": 2}


@pytest.mark.parametrize("label", ["L" * 500, "a/b", "Müller ö"])
def test_requested_labels_of_any_kind(site: DataFolder, label: str) -> None:
    told = site.bring({"1.dcm": Image(case="odd").file()}, session=label, subject=label)

    assert told.state == "placed"
    assert len(told.session["label"]) <= 64
    assert told.session["label"].replace("_", "").replace("-", "").isalnum()
