"""The search for what is left of the original's patient."""

from __future__ import annotations

from typing import Any

import pytest

from scandock.deidentification.encoding import encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.actions import apply_profile
from scandock.deidentification.profile.identity import read_identity
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.profile.residue import find_residue, residue_notice
from scandock.deidentification.profile.table import SafePrivate
from scandock.rules.keyed_values import keyed_uid
from tests.unit.deidentification.generated import KEY, item, make_object, written

SAFE = (SafePrivate("SIEMENS CSA HEADER", 0x29, 0x10),)
NUMBERS = b"\1\2\3\4"
"""What makes bytes more than a text, which would go."""


def _residue(ds: Any, profile: str = "basic,safe-private", **writing: Any) -> list[str]:
    obj = parse(written(ds, **writing))
    identity = read_identity(obj.data)
    apply_profile(obj, parse_profile(profile, SAFE), identity, key=KEY, project="P")
    return find_residue(obj, encode(obj), identity)


def _clean() -> Any:
    ds = make_object("MR")
    ds.PatientName = "Doemark^Jane Eleanore=山田^太郎"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds[0x00291010].value = NUMBERS
    return ds


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "PID77001"),
        ("AccessionNumber", "acc99887"),
        ("OtherPatientIDs", ["X1", "OTHER4711"]),
        ("PatientBirthDate", "19691224"),
        ("PatientMotherBirthName", "MOTHERNAME"),
    ],
)
def test_other_values_of_the_patient(keyword: str, value: Any) -> None:
    ds = _clean()
    setattr(ds, keyword, value)
    ds.Manufacturer = f"by {value if isinstance(value, str) else value[-1]}".upper()
    assert _residue(ds) == ["(0008,0070)"]


@pytest.mark.parametrize(
    ("value", "is_found"),
    [
        *(("by 1969 12 24", True), ("24.12.1969", True), ("12/24/1969", True), ("on 1969-12-24 at", True)),
        *(("12-34-56-AB", True), ("1234 56ab", True), ("55 66", False), ("1969 12", False), ("24.12.69", False)),
    ],
)
def test_dates_and_ids_with_other_separators(value: str, *, is_found: bool) -> None:
    ds = _clean()
    ds.PatientBirthDate, ds.PatientID, ds.AccessionNumber = "19691224", "123456.AB", "5566"
    ds.Manufacturer = value
    assert _residue(ds) == (["(0008,0070)"] if is_found else [])
    assert bool(_residue(ds, syntax="1.2.840.10008.1.2.1.99")) is is_found
    ds.Manufacturer = "M"
    ds.SliceThickness, ds.SOPClassUID = "1969.1224", "1.2.840.10008.19.69.12.24"
    assert _residue(ds) == []


@pytest.mark.parametrize(
    "trace",
    [
        b"<xml>DOEMARK</xml>",
        b"doemark, jane",
        "Doemark".encode("utf-16-le"),
        "DOEMARK".encode("utf-16-be"),
        b"Eleanore",
        "山田".encode("utf-16-le"),
        "太郎".encode(),
    ],
)
def test_traces_of_a_name_in_what_a_site_keeps(trace: bytes) -> None:
    ds = _clean()
    ds[0x00291010].value = NUMBERS + trace + b" " * (len(trace) & 1)
    assert _residue(ds) == ["(0029,1010)"]


@pytest.mark.parametrize(
    ("name", "trace", "is_found"),
    [
        ("王^小明", "王", False),
        ("王^小明", "小明", True),
        ("김^희", "김 희", True),
        ("Иван^Ли", "ли", True),
        ("Bø^Å", "bø", False),
    ],
)
def test_two_characters_of_other_letters_are_looked_for(name: str, trace: str, *, is_found: bool) -> None:
    ds = _clean()
    ds.PatientName = name
    raw = trace.encode()
    ds[0x00291010].value = NUMBERS + raw + b" " * (len(raw) & 1)
    assert bool(_residue(ds)) is is_found


def test_what_the_profile_writes_is_no_trace() -> None:
    for value in ("REMOVED", "Anonymized", "ANONYMOUS^REMOVED"):
        ds = _clean()
        ds.PatientName, ds.PatientID, ds.AccessionNumber, ds.PatientBirthDate = value, value, "removed", "19000101"
        ds.Manufacturer = "ANONYMIZED"
        assert _residue(ds) == []
    ds.PatientID = "REMOVED77"
    ds.Manufacturer = "removed77"
    assert _residue(ds) == ["(0008,0070)"]


def test_a_short_name_is_found_whole() -> None:
    ds = _clean()
    ds.PatientName = "Li^Wu"
    for trace, found in ((b"LI WU", True), (b"li^wu", True), (b"will", False)):
        ds[0x00291010].value = NUMBERS + trace + b" " * (len(trace) & 1)
        assert bool(_residue(ds)) is found


def test_letters_beside_those_of_ascii() -> None:
    ds = _clean()
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Müller^Jörg"
    for trace in ("MÜLLER".encode("latin-1"), "müller".encode(), "Jörg".encode("utf-16-le")):
        ds[0x00291010].value = NUMBERS + trace + b" " * (len(trace) & 1)
        assert _residue(ds) == ["(0029,1010)"]


def test_a_path_of_items_and_no_value_is_told() -> None:
    ds = _clean()
    ds.DerivationCodeSequence = [item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="by Doemark")]
    paths = _residue(ds)
    assert paths == ["(0008,9215)[0]/(0008,0104)"]
    notice = residue_notice(paths)
    assert notice.code == "deid_residue"
    assert "(0008,9215)[0]/(0008,0104)" in notice.message
    assert "oemark" not in notice.message + notice.remedy


def test_a_deflated_object_is_searched_too() -> None:
    ds = _clean()
    ds.Manufacturer = "Doemark"
    assert _residue(ds, syntax="1.2.840.10008.1.2.1.99") == ["(0008,0070)"]


def test_pixels_and_clean_objects_have_none() -> None:
    ds = _clean()
    ds.PixelData = b"DOEMARK\0" * 16
    assert _residue(ds) == []
    ds.PatientID = ds.PatientName = "MR"
    assert _residue(ds) == []


@pytest.mark.parametrize("profile", ["basic", "basic,clean-descriptors,clean-structured"])
def test_short_texts_that_the_standard_keeps_are_looked_at(profile: str) -> None:
    ds = make_object("SEG")
    assert _residue(ds, profile) == []
    ds.SegmentSequence[0].SegmentLabel = "liver of Doe Jane"
    ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Liver (Jane)"
    ds.PatientName = "Doemark^Jane"
    assert _residue(ds, profile) == ["(0062,0002)[0]/(0062,0005)", "(0062,0002)[0]/(0062,000F)[0]/(0008,0104)"]


def test_keyed_uids_hold_short_numbers_by_chance_only() -> None:
    ds = make_object("MR")
    uid = keyed_uid(KEY, ds.StudyInstanceUID)
    ds.AccessionNumber = uid[-9:-2]
    assert _residue(ds) == []
    ds.AccessionNumber = uid[-13:-2]
    assert _residue(ds) == ["(0020,000D)"]
    ds.StudyInstanceUID = "1.2.3.4711"
    ds.AccessionNumber = "4711"
    assert _residue(ds, "basic,retain-uids") == ["(0020,000D)"]
