"""What each option of the profile keeps or cleans."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.sequence import Sequence

from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.errors import ProfileInvalid
from scandock.deidentification.profile.options import OPTIONS, parse_profile
from scandock.deidentification.profile.table import SafePrivate
from scandock.rules.keyed_values import keyed_uid
from tests.unit.deidentification.generated import (
    KEY,
    ROOT,
    STUDY,
    code,
    content,
    deidentify,
    item,
    make_object,
    written,
)
from tests.unit.deidentification.test_profile_actions import read, scrubbed
from tests.unit.formats_dicom.build import EXPLICIT, IMPLICIT, Writer
from tests.unit.formats_dicom.build import make_object as build


def test_profiles_are_lists_that_begin_with_basic() -> None:
    assert parse_profile("basic").options == frozenset()
    assert parse_profile("basic, retain-uids ,clean-graphics").options == {"retain-uids", "clean-graphics"}
    assert len(OPTIONS) == 10
    for text in ("", "retain-uids", "basic,", "basic,keep-all", "basic,retain-full-dates,modified-dates"):
        with pytest.raises(ProfileInvalid):
            parse_profile(text)


def test_retain_uids() -> None:
    ds = make_object("MR")
    ds.CreatorVersionUID = ROOT + "90"
    after = scrubbed(ds, "basic,retain-uids")
    assert (after.StudyInstanceUID, after.CreatorVersionUID) == (STUDY, ROOT + "90")
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID == ds.SOPInstanceUID
    assert after.PatientID == "REMOVED"


def test_retain_device() -> None:
    ds = make_object("MR")
    ds.StationAETitle, ds.DeviceUID, ds.DateOfLastCalibration = "AE_HOSPITAL", ROOT + "88", "20190101"
    after = scrubbed(ds, "basic,retain-device")
    assert (after.StationName, after.DeviceSerialNumber) == ("SCANNER7", "45555")
    assert after.StationAETitle == "REMOVED"
    assert after.DeviceUID == ROOT + "88"
    assert after.DateOfLastCalibration == "20190101"
    assert "StationAETitle" not in scrubbed(ds)


def test_retain_institution() -> None:
    assert scrubbed(make_object("MR"), "basic,retain-institution").InstitutionName == "General Hospital"


def test_retain_patient() -> None:
    ds = make_object("MR")
    ds.Allergies = "contrast, says DOE"
    after = scrubbed(ds, "basic,retain-patient")
    assert (after.PatientSex, after.PatientAge, after.PatientWeight) == ("F", "050Y", 70)
    assert after.Allergies == "contrast"
    assert (after.PatientName, after.PatientBirthDate) == ("", "")


def test_retain_full_dates() -> None:
    ds = make_object("PT")
    ds.TimezoneOffsetFromUTC = "+0100"
    after = scrubbed(ds, "basic,retain-full-dates")
    assert (after.StudyDate, after.StudyTime, after.TimezoneOffsetFromUTC) == ("20200131", "120000", "+0100")
    assert after.PatientBirthDate == ""
    assert after.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_modified_dates_move_together_and_times_stay() -> None:
    """What SUV is computed from stays at its distance, in sequences too (DICOMAnonymizer issue 20)."""
    ds = make_object("PT")
    ds.TimezoneOffsetFromUTC = "+0100"
    after = scrubbed(ds, "basic,modified-dates")
    tracer = after.RadiopharmaceuticalInformationSequence[0]
    assert after.StudyDate == after.SeriesDate == after.AcquisitionDate != "20200131"
    assert tracer.RadiopharmaceuticalStartDateTime == after.StudyDate + "110000.00"
    assert tracer.RadiopharmaceuticalStopDateTime == after.StudyDate + "110010"
    assert (tracer.RadiopharmaceuticalStartTime, after.AcquisitionTime) == ("110000", "120200")
    assert after.TimezoneOffsetFromUTC == "+0100"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert scrubbed(make_object("MR"), "basic,modified-dates").StudyDate == after.StudyDate


def test_dates_move_by_the_original_patient_or_else_the_study() -> None:
    def change(obj: Any) -> None:
        obj.data.set_text(0x00100020, "SUBJECT")

    raw = written(make_object("MR"))
    plain = read(deidentify(raw, "basic,modified-dates"))
    assert read(deidentify(raw, "basic,modified-dates", change=change)).StudyDate == plain.StudyDate
    assert read(deidentify(raw, "basic,modified-dates", project="OTHER")).StudyDate != plain.StudyDate
    first, second = make_object("MR"), make_object("CT")
    first.PatientID = second.PatientID = ""
    dates = [scrubbed(ds, "basic,modified-dates").StudyDate for ds in (first, second)]
    assert dates[0] == dates[1] != plain.StudyDate
    second.StudyInstanceUID = ROOT + "99"
    assert scrubbed(second, "basic,modified-dates").StudyDate != dates[0]


def test_unreadable_dates_are_emptied() -> None:
    for profile in ("basic,modified-dates", "basic,retain-full-dates"):
        raw = written(make_object("MR")).replace(b"20200131", b"DOE JANE")
        assert b"DOE JANE" not in deidentify(raw, profile)


def test_clean_descriptors() -> None:
    ds = make_object("MR")
    ds.PatientComments, ds.ImageComments = "DOE JANE", "knee left, JANE DOE"
    ds.AdmittingDiagnosesCodeSequence = code("16541000", "SCT", "Knee of Jane Doe")
    ds.ReasonForRequestedProcedureCodeSequence = code("L1", "99LOCAL", "DOE")
    after = scrubbed(ds, "basic,clean-descriptors")
    assert after.SeriesDescription == "t1_mprage_sag"
    assert after.StudyDescription == "Brain for"
    assert after.ProtocolName == "t1_mprage"
    assert after.ImageComments == "knee left"
    assert "PatientComments" not in after
    assert after.AdmittingDiagnosesCodeSequence[0].CodeMeaning == "Knee of"
    assert "ReasonForRequestedProcedureCodeSequence" not in after
    assert "SeriesDescription" not in scrubbed(ds)


def test_a_report_without_the_option_for_it_holds_one_item_that_says_nothing() -> None:
    after = scrubbed(make_object("SR"))
    (only,) = after.ContentSequence
    assert (only.ValueType, only.TextValue) == ("TEXT", "REMOVED")
    assert after.VerifyingObserverSequence[0].VerifyingObserverName == "REMOVED"


def test_clean_structured() -> None:
    ds = make_object("SR")
    ds.ContentSequence.append(content("NUM", code("121033", "DCM", "Subject Age")))
    ds.ContentSequence.append(content("TEXT", code("121106", "DCM", "Comment"), TextValue="JANE"))
    ds.ContentSequence.append(content("TEXT", code("113877", "DCM", "Device Name"), TextValue="Skyra"))
    ds.ContentSequence.append(content("TEXT", code("128403", "DCM", "Radiation Dose Estimate Name"), TextValue="brain"))
    after = scrubbed(ds, "basic,clean-structured")
    concepts = {c.ConceptNameCodeSequence[0].CodeMeaning: c for c in after.ContentSequence}
    assert list(concepts) == [
        *("Person Observer Name", "Study Date", "Subject ID", "Study Instance UID", "Findings"),
        "Radiation Dose Estimate Name",
    ]
    assert concepts["Person Observer Name"].PersonName == "REMOVED"
    assert concepts["Study Date"].Date == "19000101"
    assert concepts["Subject ID"].TextValue == "REMOVED"
    assert concepts["Study Instance UID"].UID == after.StudyInstanceUID == keyed_uid(KEY, STUDY)
    assert concepts["Radiation Dose Estimate Name"].TextValue == "REMOVED"
    (finding,) = concepts["Findings"].ContentSequence
    assert finding.TextValue == "REMOVED"
    kept = scrubbed(ds, "basic,clean-structured,retain-device,modified-dates,clean-descriptors")
    concepts = {c.ConceptNameCodeSequence[0].CodeMeaning: c for c in kept.ContentSequence}
    assert concepts["Device Name"].TextValue == "Skyra"
    assert concepts["Study Date"].Date == kept.StudyDate
    assert concepts["Comment"].TextValue == "REMOVED"
    assert concepts["Radiation Dose Estimate Name"].TextValue == "brain"
    assert concepts["Findings"].ContentSequence[0].TextValue == "small in the left lung"


def _with_graphics() -> Any:
    ds = make_object("MR")
    for group, kind in ((0x6000, "G"), (0x6002, "R")):
        ds.add_new(group << 16 | 0x10, "US", 8)
        ds.add_new(group << 16 | 0x11, "US", 8)
        ds.add_new(group << 16 | 0x22, "LO", "DOE")
        ds.add_new(group << 16 | 0x40, "CS", kind)
        ds.add_new(group << 16 | 0x50, "SS", [1, 1])
        ds.add_new(group << 16 | 0x100, "US", 1)
        ds.add_new(group << 16 | 0x102, "US", 0)
        ds.add_new(group << 16 | 0x1500, "LO", "DOE")
        ds.add_new(group << 16 | 0x3000, "OW", bytes(8))
        ds.add_new(group << 16 | 0x4000, "LT", "DOE")
    ds.add_new(0x50003000, "OW", b"DOE\0")
    text = item(UnformattedTextValue="DOE JANE", AnchorPoint=[1, 1], AnchorPointVisibility="N")
    ds.GraphicAnnotationSequence = Sequence([item(GraphicLayer="DOE", TextObjectSequence=Sequence([text]))])
    return ds


def test_clean_graphics() -> None:
    after = scrubbed(_with_graphics(), "basic,clean-graphics")
    assert [int(e.tag) for e in after if e.tag.group >> 8 == 0x60] == [
        0x60020000 | number for number in (0x10, 0x11, 0x40, 0x50, 0x100, 0x102, 0x3000)
    ]
    assert 0x50003000 not in after
    (annotation,) = after.GraphicAnnotationSequence
    assert annotation.GraphicLayer == "REMOVED"
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"


def _plane(group: int = 0x6000, data: bytes = bytes(6) + b"\xff\x01", vr: str = "OW", **values: Any) -> list[Any]:
    """The elements of an overlay of 8 rows and columns that are left of it, and their values."""
    us, number = {"Rows": 0x10, "Columns": 0x11, "Bits": 0x100, "Position": 0x102}, group << 16
    elements: dict[int, tuple[str, Any]] = {number | at: ("US", 8) for at in (0x10, 0x11)}
    elements |= {number | 0x40: ("CS", "R"), number | 0x50: ("SS", [1, 1])}
    elements |= {number | 0x100: ("US", 1), number | 0x102: ("US", 0), number | 0x3000: (vr, data)}
    for name, value in values.items():
        if name in us:
            elements[number | us[name]] = "US", value
        else:
            elements[number | {"Type": 0x40, "Frames": 0x15, "Subtype": 0x45, "Mean": 0x1302}[name]] = value or (
                "CS",
                None,
            )
    ds = make_object("MR")
    for tag, (kind, value) in elements.items():
        if value is not None:
            ds.add_new(tag, kind, value)
    raw = written(ds).replace(b"\0\x30OW", b"\0\x30" + vr.encode())  # pydicom writes no UN of what it knows
    after = read(deidentify(raw, "basic,clean-graphics"))
    return [(int(e.tag) & 0xFFFF, e.value) for e in after if e.tag.group == group]


def test_a_region_is_as_long_as_it_says() -> None:
    region = bytes(6) + b"\xff\x01"
    assert _plane()[-1] == (0x3000, region)
    assert _plane(data=region + b"DOEMARK ")[-1] == (0x3000, region)
    assert _plane(data=region * 3, Frames=("IS", "2"))[-1] == (0x3000, region * 2)
    assert _plane(data=bytes(2) + b"DOE ", Rows=3, Columns=3)[-1] == (0x3000, bytes(2))
    assert _plane(0x601E)[-1] == (0x3000, region)
    assert _plane(vr="OB")[-1] == (0x3000, region)


@pytest.mark.parametrize(
    "values",
    [
        *({"data": b"DOE^JANE"}, {"data": b"DOE^JANE AND MORE "}, {"data": bytes(6)}, {"data": None}),
        *({"vr": "UN"}, {"vr": "LT", "data": "DOE JANE"}, {"group": 0x6020}, {"group": 0x60FE}),
        *(
            {"Rows": None},
            {"Columns": None},
            {"Rows": 0},
            {"Rows": [8, 8]},
            {"Bits": None},
            {"Bits": 16},
            {"Position": 3},
        ),
        *({"Frames": ("LO", "DOE")}, {"Frames": ("IS", "-1")}, {"Frames": ("IS", "2")}),
        *(
            {"Type": ("CS", ["R", "G"])},
            {"Type": ("CS", "G")},
            {"Type": None},
            {"Type": ("LO", "RD")},
            {"Type": ("CS", "")},
        ),
    ],
)
def test_an_overlay_that_is_no_region_goes_whole(values: dict[str, Any]) -> None:
    assert _plane(**values) == []


def test_what_stands_beside_a_region_is_cleaned() -> None:
    assert dict(_plane(Subtype=("LO", "AUTOMATED"), Mean=("DS", "1.5")))[0x45] == "AUTOMATED"
    after = dict(_plane(Subtype=("LO", "DOE^JANE"), Mean=("LO", "DOE^JANE")))
    assert sorted(after) == [0x10, 0x11, 0x40, 0x50, 0x100, 0x102, 0x3000]


def test_graphics_go_without_the_option() -> None:
    after = scrubbed(_with_graphics())
    assert not [e for e in after if e.tag.group >> 8 in {0x50, 0x60}]
    assert "TextObjectSequence" not in after.GraphicAnnotationSequence[0]


def _with_private() -> Any:
    ds = make_object("MR")
    block = ds.private_block(0x19, "SIEMENS MR HEADER")
    block.add_new(0x0D, "CS", "DIRECTIONAL")
    other = ds.private_block(0x19, "DOE", create=True)
    other.add_new(0x0C, "IS", "9")
    deep = ds.private_block(0x21, "VENDOR", create=True)
    deep.add_new(0x01, "SQ", [item(PatientName="DOE^JANE", SOPInstanceUID=ROOT + "66", EchoTime="3")])
    deep.add_new(0x02, "UI", ROOT + "67")
    deep.add_new(0x03, "DA", "20200131")
    deep.add_new(0x04, "PN", "DOE^JANE")
    deep.add_new(0x05, "UN", b"\xfe\xff\x00\xe0\xff\xff\x00\x00DOE")
    deep.add_new(0x06, "UN", (ROOT + "68").encode())
    return ds


SAFE = (
    SafePrivate("SIEMENS MR HEADER", 0x19, 0x0C),
    *(SafePrivate("VENDOR", 0x21, number) for number in (1, 2, 3, 4, 5, 6)),
)


def test_safe_private_keeps_what_a_site_names_with_its_creator() -> None:
    after = scrubbed(_with_private(), "basic,safe-private,modified-dates", safe_private=SAFE)
    group = [e for e in after if e.tag.is_private and e.tag.group == 0x19]
    assert [(int(e.tag), e.value) for e in group] == [(0x00190010, "SIEMENS MR HEADER"), (0x0019100C, 1000)]
    deep = after.private_block(0x21, "VENDOR")
    assert [(e.keyword, str(e.value)) for e in deep[1].value[0]] == [
        ("SOPInstanceUID", keyed_uid(KEY, ROOT + "66")),
        ("PatientName", ""),
        ("EchoTime", "3"),
    ]
    assert deep[2].value == keyed_uid(KEY, ROOT + "67")
    assert deep[3].value == after.StudyDate
    assert deep[4].value == "REMOVED"
    assert 5 not in deep
    assert deep[6].value.rstrip(b"\0") == keyed_uid(KEY, ROOT + "68").encode()


def test_the_standards_list_is_what_is_safe_unless_others_are_named() -> None:
    after = scrubbed(_with_private(), "basic,safe-private")
    kept = [(int(e.tag), e.value) for e in after.iterall() if e.tag.is_private]
    assert kept == [(0x00190010, "SIEMENS MR HEADER"), (0x0019100C, 1000), (0x0019100D, "DIRECTIONAL")]
    assert not [e for e in scrubbed(_with_private(), safe_private=SAFE).iterall() if e.tag.is_private]


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DA", b"20200131", b"19000101"),
        ("UI", b"1.2.3.44", keyed_uid(KEY, "1.2.3.44").encode()),
        ("PN", b"DOE^JANE", b"REMOVED"),
        ("DS", b"1000.5", b"1000.5"),
        ("DS", b"DOE JANE", None),
        ("CS", b"DOE JANE", None),
        ("CS", b"AXIAL ", b"AXIAL"),
        ("ST", b"head of Jane", b"head of"),
        ("ST", b"Jane", None),
        ("LO", b"Fast scan", b"Fast scan"),
        ("LO", b"\1\2\3\4", b"REMOVED"),
        ("FL", b"\0\0\x80?\0\0\0@", b"\0\0\x80?\0\0\0@"),
        ("FL", b"DOE JANE", None),
        ("OB", b"\1\2DOE JANE", b"\1\2DOE JANE"),
        ("OB", b"DOE JANE", None),
        ("SQ", b"DOE JANE", None),
        ("SQ", Writer(explicit=False).item(), Writer(explicit=False).item()),
        ("IS", Writer(explicit=False).item(), None),
    ],
)
def test_what_is_safe_is_cleaned_as_what_it_is_known_to_be(vr: str, value: bytes, expected: bytes | None) -> None:
    """However it is written: with its VR, as UN, or in implicit VR."""
    safe = (SafePrivate("VENDOR", 0x21, 1, vr),)
    for syntax, write, written_vrs in (
        (EXPLICIT, Writer(), {vr, "UN"} - {"SQ"}),
        (IMPLICIT, Writer(explicit=False), {"UN"}),
    ):
        for written_vr in written_vrs:
            extra = write.element(0x00210010, "LO", "VENDOR") + write.element(0x00211001, written_vr, value)
            raw = build(syntax=syntax, pixels=None)
            at = raw.index(b"\x28\0\x10\0")
            after = deidentify(raw[:at] + extra + raw[at:], "basic,safe-private", safe_private=safe)
            data = parse(after).data
            found = data.value(0x00211001).rstrip(b"\0 ") if 0x00211001 in data else None
            assert found == (expected and expected.rstrip(b"\0 "))


@pytest.mark.parametrize(
    ("known", "written_vr", "value", "expected"),
    [
        ("IS", "LO", b"DOE JANE", None),
        ("IS", "LO", b"1000", b"1000"),
        ("FL", "LO", b"DOE JANE", None),
        ("FL", "LO", b"\0\0\x80?", None),
        ("IS", "OB", b"DOE JANE", None),
        ("IS", "US", b"\1\0", b"\1"),
        ("SQ", "LO", b"DOE JANE", None),
        ("IS", "SQ", Writer().item(Writer().element(0x00104000, "LT", b"DOE JANE")), None),
        ("UN", "LT", b"head of Jane", b"head of"),
    ],
)
def test_what_is_safe_and_written_as_another_kind(
    known: str, written_vr: str, value: bytes, expected: bytes | None
) -> None:
    extra = Writer().element(0x00210010, "LO", "VENDOR") + Writer().element(0x00211001, written_vr, value)
    raw = build(pixels=None)
    at = raw.index(b"\x28\0\x10\0")
    after = deidentify(
        raw[:at] + extra + raw[at:], "basic,safe-private", safe_private=(SafePrivate("VENDOR", 0x21, 1, known),)
    )
    data = parse(after).data
    assert (data.value(0x00211001).rstrip(b"\0 ") if 0x00211001 in data else None) == expected


def test_a_zone_is_kept_with_full_dates_if_it_is_one() -> None:
    for value, is_kept in (("+0200", True), ("DOE JANE", False)):
        data = parse(deidentify(build({0x00080201: ("SH", value)}), "basic,retain-full-dates")).data
        assert (0x00080201 in data) is is_kept
