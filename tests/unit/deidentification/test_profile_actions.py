"""What the basic profile does with elements at every depth: actions of the table, and of what no row names."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from scandock.deidentification.profile.dummies import dummy_value
from scandock.deidentification.profile.table import attribute_rows
from scandock.rules.keyed_values import keyed_uid
from tests.unit.deidentification.generated import CLASSES, KEY, ROOT, code, deidentify, item, make_object, written

DUMMIES = {
    "AE": "REMOVED",
    "AS": "000Y",
    "CS": "REMOVED",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "FD": 0,
    "IS": "0",
    "LO": "REMOVED",
    "LT": "REMOVED",
    "OB": b"\0\0",
    "PN": "REMOVED",
    "SH": "REMOVED",
    "ST": "REMOVED",
    "TM": "000000",
    "UN": b"\0\0",
    "UC": "REMOVED",
    "UR": "REMOVED",
    "US": 0,
    "UT": "REMOVED",
}
ORIGINALS: dict[str, Any] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR"), "DOEMARK"),
    "AS": "050Y",
    "DA": "20200131",
    "DS": "1.5",
    "DT": "20200131120000",
    "FD": 1.5,
    "FL": 1.5,
    "IS": "7",
    "OB": b"DOEMARK\0",
    "TM": "120000",
    "US": 7,
    "UL": 7,
    "UI": ROOT + "77",
    "UN": b"DOEMARK\0",
}
LITTLE = {"D", "X/D", "X/Z/D", "Z/D"}


def read(raw: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(raw), force=True)


def scrubbed(ds: Dataset, profile: str = "basic", **options: Any) -> Dataset:
    return read(deidentify(written(ds), profile, **options))


def test_every_row_does_what_its_action_says(subtests: pytest.Subtests) -> None:
    """Each attribute of the table that pydicom knows, in an object and two sequences down."""
    rows = {int(row.tag, 16): row for row in attribute_rows().values() if "x" not in row.tag and row.tag != "odd"}
    known = {tag: row for tag, row in rows.items() if pydicom.datadict.dictionary_has_tag(tag) and tag >> 16 > 6}
    assert len(known) > 600
    ds, deep = make_object("MR"), Dataset()
    for tag in known:
        vr = pydicom.datadict.dictionary_VR(tag)
        for place in (ds, deep):
            below = [item(SeriesDescription="DOEMARK", ReferencedSOPInstanceUID=ROOT + "77")]
            place.add_new(tag, vr, below if vr == "SQ" else ORIGINALS[vr])
    ds.ReferencedSeriesSequence = Sequence([item(ReferencedInstanceSequence=Sequence([deep]))])
    raw = deidentify(written(ds))
    assert b"DOEMARK" not in raw
    after = read(raw)
    for place in (after, after.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]):
        for tag, row in known.items():
            with subtests.test(tag=row.tag, nested=place is not after):
                _check(row.basic, pydicom.datadict.dictionary_VR(tag), place, tag)


def _check(action: str, vr: str, ds: Dataset, tag: int) -> None:
    if action == "X" or (action == "X/Z" and tag == 0x00081110):
        assert tag not in ds
    elif action in {"Z", "X/Z"}:
        assert tag in ds
        assert ds[tag].is_empty
    elif vr == "UI":
        assert ds[tag].value.startswith("2.25.")
    elif vr == "SQ":
        assert len(ds[tag].value) >= 1
    else:
        assert action in LITTLE
        assert str(ds[tag].value) == str(DUMMIES[vr])


def test_a_dummy_for_every_vr() -> None:
    for vr, value in DUMMIES.items():
        assert dummy_value(vr) in {str(value).encode(), bytes(8), bytes(2), value}
    for vr in ("UR", "UL", "SL", "SS", "FL", "AT", "UV", "SV", "OW", "OF", "OD", "OL", "OV", "UN"):
        assert dummy_value(vr)


def test_an_empty_value_stays_empty() -> None:
    ds = make_object("MR")
    ds.InstitutionName, ds.PatientID = "", ""
    after = scrubbed(ds)
    assert (after.InstitutionName, after.PatientID) == ("", "")


@pytest.mark.parametrize(
    ("syntax", "implicit", "big"),
    [
        (ImplicitVRLittleEndian, True, False),
        (ExplicitVRBigEndian, False, True),
        (DeflatedExplicitVRLittleEndian, False, False),
    ],
)
def test_in_every_encoding(syntax: str, implicit: bool, big: bool) -> None:
    ds = make_object("PT")
    after = read(deidentify(written(ds, syntax, implicit=implicit, big=big), "basic,modified-dates"))
    plain = scrubbed(make_object("PT"), "basic,modified-dates")
    assert after.file_meta.TransferSyntaxUID == syntax
    assert [(e.tag, e.value) for e in after if e.VR != "SQ"] == [(e.tag, e.value) for e in plain if e.VR != "SQ"]
    tracer = after.RadiopharmaceuticalInformationSequence[0]
    assert tracer.RadiopharmaceuticalStartDateTime[:8] == after.AcquisitionDate
    assert tracer.RadionuclideTotalDose == 350000000


def test_pixels_are_the_same_bytes() -> None:
    for kind in CLASSES:
        ds = make_object(kind)
        if "PixelData" in ds:
            assert scrubbed(ds).PixelData == ds.PixelData


# UIDs


def test_uids_agree_over_objects_and_in_the_meta_information() -> None:
    first, second = scrubbed(make_object("MR", 1)), scrubbed(make_object("MR", 2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.ReferencedImageSequence[1].ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID == keyed_uid(KEY, ROOT + "101")
    assert first.SOPClassUID == first.file_meta.MediaStorageSOPClassUID == CLASSES["MR"]
    assert scrubbed(make_object("MR", 1), key=b"l" * 32).SOPInstanceUID != first.SOPInstanceUID


def test_any_uid_is_mapped_that_says_no_class() -> None:
    ds = make_object("MR")
    ds.CreatorVersionUID = ROOT + "90"  # no row of the table
    ds.RelatedGeneralSOPClassUID = "1.3.12.2.1107.5.9.1"
    ds.FailedSOPInstanceUIDList = [ROOT + "91", ROOT + "92"]
    ds.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"
    after = scrubbed(ds)
    assert after.CreatorVersionUID == keyed_uid(KEY, ROOT + "90")
    assert after.RelatedGeneralSOPClassUID == "1.3.12.2.1107.5.9.1"
    assert after.FailedSOPInstanceUIDList == [keyed_uid(KEY, ROOT + "91"), keyed_uid(KEY, ROOT + "92")]
    assert after.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_a_uid_under_another_vr_is_mapped_too() -> None:
    raw = written(make_object("MR")).replace(b"\x20\x00\x0e\x00UI", b"\x20\x00\x0e\x00LO")
    assert read(deidentify(raw)).SeriesInstanceUID == keyed_uid(KEY, ROOT + "11")


# What no row names


def test_codes_have_to_be_terms() -> None:
    ds = make_object("MR")
    ds.BodyPartExamined, ds.ImageType = "DOE JANE", ["ORIGINAL", "PRIMARY", "DOEMARK", "NORM"]
    ds.ScanOptions, ds.SequenceVariant = "SAT1", "DOE"
    after = scrubbed(ds)
    assert "BodyPartExamined" not in after
    assert after.ImageType == ["ORIGINAL", "PRIMARY", "OTHER", "NORM"]
    assert after.ScanOptions == "SAT1"
    assert "SequenceVariant" not in after
    assert scrubbed(make_object("MR")).BodyPartExamined == "HEAD"


def test_free_texts_of_no_row_keep_words_that_name_nobody() -> None:
    ds = make_object("SEG")
    ds.SegmentSequence[0].SegmentDescription = "liver of DOE^JANE"
    ds.SegmentSequence[0].TrackingID = "DOE^JANE"
    ds.SegmentSequence[0].TrackingUID = ROOT + "95"
    ds.ContentLabel = "DOE"
    ds.RetrieveURL = "http://pacs.example/DOE"
    after = scrubbed(ds)
    assert after.SegmentSequence[0].SegmentDescription == "liver of"
    assert after.SegmentSequence[0].TrackingID == "REMOVED"
    assert after.ContentLabel == "REMOVED"
    assert "RetrieveURL" not in after


def test_free_texts_within_codes_go() -> None:
    ds = make_object("MR")
    ds.DerivationCodeSequence = code("113072", "DCM", "Multiplanar reformatting")
    ds.DerivationCodeSequence[0].add_new(0x00080108, "LT", "brain of JANE DOE")  # ExtendedCodeMeaning
    ds.DerivationCodeSequence[0].add_new(0x00082111, "ST", "brain")  # DerivationDescription
    ds.DerivationCodeSequence[0].add_new(0x00400400, "LT", "brain")
    after = scrubbed(ds).DerivationCodeSequence[0]
    assert [element.keyword for element in after] == ["CodeValue", "CodingSchemeDesignator", "CodeMeaning"]


def test_numbers_and_ages_have_to_be_such() -> None:
    ds = make_object("MR")
    raw = written(ds).replace(b"\x18\x00\x50\x00DS\x02\x001 ", b"\x18\x00\x50\x00DS\x04\x00DOE ")
    after = read(deidentify(raw))
    assert "SliceThickness" not in after
    assert after.EchoTime == 2.9


def test_unknown_elements_go() -> None:
    ds = make_object("MR")
    ds.add_new(0x00091001, "LO", "DOE")
    ds.add_new(0x0010F001, "LO", "DOE")
    ds.add_new(0x7FDE0010, "OB", b"DOE\0")
    after = scrubbed(ds)
    assert not {0x00091001, 0x0010F001, 0x7FDE0010} & set(after.keys())


def test_texts_that_are_not_of_their_character_set_are_replaced_whole() -> None:
    ds = make_object("MR")
    ds.SpecificCharacterSet, ds.Manufacturer, ds.SoftwareVersions = "ISO_IR 192", "SIEMENS", "Müller"
    raw = written(ds).replace(b"SIEMENS ", b"M\xfcllers ")
    after = read(deidentify(raw))
    assert (after.Manufacturer, after.SoftwareVersions) == ("REMOVED", "Müller")


def test_a_text_written_as_unknown_is_a_text() -> None:
    raw = written(make_object("MR"))
    at = raw.index(b"\x08\x00\x70\x00LO")
    value = b"\xfe\xff\x00\xe0\x0e\x00\x00\x00\x10\x00\x10\x00\x06\x00\x00\x00DOEDOE"
    hidden = raw[:at] + b"\x08\x00\x70\x00UN\0\0" + len(value).to_bytes(4, "little") + value + raw[at + 16 :]
    after = deidentify(hidden)
    assert b"DOEDOE" not in after


# Private elements


def test_private_elements_go_whole_at_every_depth() -> None:
    ds = make_object("MR")
    nested = ds.ReferencedImageSequence[0].private_block(0x11, "DOE PRIVATE", create=True)
    nested.add_new(1, "SQ", [item(PatientName="DOE^JANE")])
    ds.add_new(0x00111234, "LO", "orphan")
    after = scrubbed(ds)
    assert not [element for element in after.iterall() if element.tag.is_private]


def test_what_is_written_by_scripts_is_cleaned_too() -> None:
    def change(obj: Any) -> None:
        obj.data.set_text(0x00104000, "DOE")
        obj.data.set_text(0x00201002, "7", "IS")
        obj.data.set_text(0x00080060, "MR")
        obj.data.set_value(0x00111001, "LO", b"DOE ")

    after = read(deidentify(written(make_object("MR")), change=change))
    assert not {0x00104000, 0x00111001} & set(after.keys())
    assert after.ImagesInAcquisition == 7
    assert after.Modality == "MR"
