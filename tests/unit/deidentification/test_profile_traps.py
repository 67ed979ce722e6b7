"""Places where identifiers hide that other de-identifiers have left alone, and what users of them have reported."""

from __future__ import annotations

import io
import struct
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ObjectUnreadable
from scandock.deidentification.parsing import parse
from scandock.deidentification.pixel_areas import Area, Fill, alter_pixels
from scandock.deidentification.profile.actions import apply_profile
from scandock.deidentification.profile.identity import read_identity
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.profile.table import SafePrivate
from scandock.deidentification.script.errors import PixelsUnalterable
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rules, Scrubbed, scrub
from scandock.rules.keyed_values import keyed_uid
from tests.unit.deidentification.generated import CLASSES, KEY, ROOT, deidentify, item, make_object, written
from tests.unit.deidentification.objects import joined
from tests.unit.deidentification.test_profile_actions import read, scrubbed
from tests.unit.formats_dicom.build import IMPLICIT, PIXELS, Writer, meta
from tests.unit.formats_dicom.build import make_object as build

KEPT = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E}
"""What an object has to have as it is."""
NAMES = (b"DOE", b"JANE", b"PAT12345", b"ACC99887", b"19700203", b"HOUSE", b"OPERATOR", b"General Hospital")


def _has_none(raw: bytes) -> bool:
    return not any(name in raw for name in NAMES)


def _with_meta(raw: bytes, *elements: bytes) -> bytes:
    """Elements put into the meta information, its length set right."""
    length = struct.unpack_from("<I", raw, 140)[0]
    end = 144 + length
    added = b"".join(elements)
    return raw[:140] + struct.pack("<I", length + len(added)) + raw[144:end] + added + raw[end:]


def test_no_value_of_the_patient_is_left_in_any_kind_of_object() -> None:
    for kind in CLASSES:
        assert _has_none(deidentify(written(make_object(kind))))
        options = "basic,clean-descriptors,clean-structured,clean-graphics,modified-dates,retain-device,retain-patient"
        assert _has_none(deidentify(written(make_object(kind)), options))


def test_the_preamble_is_wiped() -> None:
    raw = b"II*\0DOE JANE MZ".ljust(128, b"\1") + written(make_object("MR"))[128:]
    assert deidentify(raw)[:132] == bytes(128) + b"DICM"


def test_the_meta_information_keeps_nothing_of_who_sent_and_wrote_it() -> None:
    writer = Writer()
    elements = [
        *(writer.element(0x00020000 | number, "AE", "DOE_AE") for number in (0x16, 0x17, 0x18)),
        writer.element(0x00020026, "UR", "dicom://DOE"),
        writer.element(0x00020100, "UI", ROOT + "5"),
        writer.element(0x00020102, "OB", b"DOE\0"),
    ]
    ds = make_object("MR")
    raw = written(ds)
    after = deidentify(_with_meta(raw.replace(b"PYDICOM", b"DOEJANE"), *elements))
    meta = pydicom.dcmread(io.BytesIO(after)).file_meta
    assert [int(e.tag) for e in meta] == [0x00020000 | number for number in (0, 1, 2, 3, 0x10, 0x12, 0x13)]
    assert (meta.ImplementationVersionName, meta.MediaStorageSOPClassUID) == ("SCANDOCK", CLASSES["MR"])
    assert meta.FileMetaInformationGroupLength == after.index(b"\x08\x00\x05\x00CS") - 144
    assert _has_none(after)


def test_the_meta_information_repeats_the_data_set() -> None:
    raw = written(make_object("MR"))
    named = b"DOE JANE".ljust(len(CLASSES["MR"]) + len(CLASSES["MR"]) % 2)
    uid = CLASSES["MR"].encode().ljust(len(named), b"\0")
    start = raw.index(uid)
    after = deidentify(raw[:start] + named + raw[start + len(named) :])
    assert pydicom.dcmread(io.BytesIO(after)).file_meta.MediaStorageSOPClassUID == CLASSES["MR"]
    assert deidentify(raw.replace(b"\x02\0\1\0OB\0\0\2\0\0\0\0\1", b"\x02\0\1\0OB\0\0\2\0\0\0JD")) == deidentify(raw)
    ds = make_object("MR")
    del ds.SOPClassUID
    nameless = written(ds)
    start = nameless.index(uid)
    assert deidentify(nameless)[start : start + len(uid)] == uid
    with pytest.raises(ObjectUnreadable, match="is no UID"):
        deidentify(nameless[:start] + named + nameless[start + len(named) :])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.DOE", "1.2.840.10008.5.1.4.1.1.4", "1.2.3.19700203"])
def test_a_transfer_syntax_that_nobody_knows_fails(syntax: str) -> None:
    known = b"1.2.840.10008.1.2.1\0"
    raw = written(make_object("MR"))
    place = raw.index(b"\2\0\x10\0UI\x14\0" + known)
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    size = struct.unpack_from("<I", raw, 140)[0] + len(value) - len(known)
    odd = raw[:140] + struct.pack("<I", size) + raw[144 : place + 6] + struct.pack("<H", len(value)) + value
    with pytest.raises(ObjectUnreadable) as failed:
        deidentify(odd + raw[place + 8 + len(known) :])
    assert failed.value.code == "deid_unreadable"
    assert "DOE" not in failed.value.message


def test_the_meta_information_keeps_no_instance_that_the_data_set_does_not_tell() -> None:
    without = build({0x00080018: None})
    assert b"1.2.3.4.5" in without
    meta_of = pydicom.dcmread(io.BytesIO(deidentify(without))).file_meta
    assert meta_of.MediaStorageSOPInstanceUID == keyed_uid(KEY, "1.2.3.4.5")
    assert b"1.2.3.4.5" in deidentify(without, "basic,retain-uids")
    write = Writer()
    hidden = write.sequence(0x00080018, write.item(write.element(0x00104000, "LT", b"DOE JANE")))
    place = without.index(b"\x08\0\x20\0DA")
    rules = Rules(scripts=(parse_script('version "6.6"\n(0010,0010) := "X"'),), profile=parse_profile("basic"))
    result = scrub(without[:place] + hidden + without[place:], rules=rules, context=Context(key=KEY))
    assert isinstance(result, Scrubbed)
    assert b"DOE" not in joined(result.parts)
    by_script = result_of_script(without[:place] + hidden + without[place:])
    assert b"DOE" not in by_script[: by_script.index(b"\x08\0\x05\0")]


def result_of_script(data: bytes) -> bytes:
    """A script alone, which has to do with the class."""
    rules = Rules(scripts=(parse_script('version "6.6"\n(0008,0018)[0]/(0008,1030) := "X"'),))
    result = scrub(data, rules=rules, context=Context(key=KEY))
    assert isinstance(result, Scrubbed)
    return joined(result.parts)


def test_texts_beside_pixel_data_and_in_their_place_go() -> None:
    write = Writer()
    for tag in (0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00020):
        for vr in ("OV", "OB", "LO", "UT", "UN"):
            assert b"DOE JANE" not in deidentify(build(extra=write.element(tag, vr, b"DOE JANE")))
    offsets = struct.pack("<2Q", 0, 1_000)
    assert parse(deidentify(build(extra=write.element(0x7FE00001, "OV", offsets)))).data.value(0x7FE00001) == offsets
    for vr in ("LO", "UT"):
        assert b"DOE JANE" not in deidentify(build(pixels=None, extra=write.element(PIXELS, vr, b"DOE JANE")))


def test_big_endian_pixels_of_ge_are_passed_on() -> None:
    syntax, pixels = "1.2.840.113619.5.2", bytes(range(8))
    image = dict.fromkeys((0x00280010, 0x00280011, 0x00280100), ("US", 8))
    raw = build(image, syntax=IMPLICIT, pixels=pixels).replace(meta(IMPLICIT), meta(syntax))
    after = deidentify(raw)
    ds = parse(after)
    assert (ds.transfer_syntax, ds.data.explicit, ds.data.value(PIXELS)) == (syntax, False, pixels)
    assert ds.data.value(0x00100010) == b""
    obj = parse(raw)
    with pytest.raises(PixelsUnalterable, match="not stored as the transfer syntax says"):
        alter_pixels(obj, Area(0, 0, 1, 1), Fill(0, 0, 0), lambda _: None)


def test_a_young_transfer_syntax_is_known() -> None:
    ds = make_object("MR")
    ds.PixelData = encapsulate([bytes(8)])
    ds["PixelData"].is_undefined_length = True
    raw = written(ds, "1.2.840.10008.1.2.4.81").replace(b"1.2.840.10008.1.2.4.81", b"1.2.840.10008.1.2.8.1\0")
    assert pydicom.dcmread(io.BytesIO(deidentify(raw))).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.8.1"


def test_what_is_encrypted_goes() -> None:
    ds = make_object("MR")
    secret = item(EncryptedContentTransferSyntaxUID="1.2.840.10008.1.2.1", EncryptedContent=b"DOE JANE")
    ds.EncryptedAttributesSequence = Sequence([secret])
    ds.ReferencedSeriesSequence = Sequence([item(EncryptedAttributesSequence=Sequence([secret]))])
    after = scrubbed(ds)
    assert "EncryptedAttributesSequence" not in after
    assert "EncryptedAttributesSequence" not in after.ReferencedSeriesSequence[0]


def test_an_object_without_meta_information_stays_without() -> None:
    raw = written(make_object("MR"), ImplicitVRLittleEndian, implicit=True)
    length = struct.unpack_from("<I", raw, 140)[0]
    after = deidentify(raw[144 + length :])
    assert after[:2] == b"\x08\x00"
    assert _has_none(after)


def test_group_lengths_padding_and_trailing_bytes_go() -> None:
    writer = Writer()
    raw = written(make_object("MR"))
    start = 144 + struct.unpack_from("<I", raw, 140)[0]
    raw = raw[:start] + writer.element(0x00080000, "UL", 999) + raw[start:]
    raw += writer.element(0xFFFCFFFC, "OB", b"DOE JANE")
    after = deidentify(raw)
    ds = read(after)
    assert not {0x00080000, 0xFFFCFFFC} & set(ds.keys())
    assert after.endswith(ds.PixelData)
    assert _has_none(after)


def test_elements_of_commands_and_directories_go() -> None:
    ds = make_object("MR")
    record = item(PatientName="DOE^JANE", DirectoryRecordType="PATIENT")
    ds.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=ROOT + "3")])
    ds.ReferencedSeriesSequence[0].add_new(0x00041220, "SQ", [record])
    ds.ReferencedSeriesSequence[0].add_new(0x00001000, "UI", ROOT + "4")
    ds.ReferencedSeriesSequence[0].add_new(0x00020016, "AE", "DOE_AE")
    after = scrubbed(ds)
    assert [e.keyword for e in after.ReferencedSeriesSequence[0]] == ["SeriesInstanceUID"]


@pytest.mark.parametrize("group", [0x0000, 0x0004, 0x0006])
def test_an_object_with_elements_of_commands_or_directories_fails(group: int) -> None:
    raw = build({group << 16 | 0x1130: ("LO", b"DOEMARK ")})
    result = scrub(raw, rules=Rules(profile=parse_profile("basic")), context=Context(key=KEY))
    assert isinstance(result, Failed)
    assert result.message == "The object can't be read: an element of a group that no data set has."


def test_titles_and_bytes_of_documents_go() -> None:
    ds = make_object("MR")
    ds.DocumentTitle, ds.EncapsulatedDocument, ds.MIMETypeOfEncapsulatedDocument = (
        "Letter on DOE",
        b"%PDF DOE",
        "application/pdf",
    )
    after = scrubbed(ds)
    assert (after.DocumentTitle, after.EncapsulatedDocument) == ("", b"\0\0")


def test_descriptions_orders_and_calendars_that_the_table_forgets_go() -> None:
    ds = make_object("MR")
    ds.ContentDescription, ds.AlgorithmDescription, ds.RouteOfAdmissions = "liver of DOE", "DOE", "ward"
    ds.PatientBirthDateInAlternativeCalendar, ds.FillerOrderNumberProcedure = "DOE 1390", "ORDER1"
    after = scrubbed(ds)
    assert (after.ContentDescription, after.AlgorithmDescription) == ("liver of", "REMOVED")
    assert after.RouteOfAdmissions == "ward"
    assert not {"PatientBirthDateInAlternativeCalendar", "FillerOrderNumberProcedure"} & set(after.dir())


@pytest.mark.parametrize(
    ("value", "kept"),
    [(b"ISO_IR 101", b"ISO_IR 101"), (b"DOE^JOHN  ", b""), (b"GBK\\DOE   ", b"GBK\\"), (b"\\DOE      ", b"")],
)
def test_what_is_no_character_set_is_not_kept_as_one(value: bytes, kept: bytes) -> None:
    raw = written(make_object("MR")).replace(b"ISO_IR 100", value)
    assert parse(deidentify(raw)).data.value(0x00080005) == kept.ljust(len(kept) + len(kept) % 2)


def test_ids_of_devices_and_retired_groups_go() -> None:
    ds = make_object("MR")
    ds.DeviceID = "DOE1"
    ds.add_new(0x10001000, "US", 17477)
    after = scrubbed(ds)
    assert not {0x00181003, 0x10001000} & {element.tag for element in after}
    assert read(deidentify(written(ds), "basic,retain-device")).DeviceID == "DOE1"


def test_icons_and_other_pictures_within_items_go() -> None:
    ds = make_object("MR")
    icon = item(Rows=1, Columns=1, BitsAllocated=8, PixelData=b"DOE\0")
    ds.IconImageSequence = Sequence([icon])
    ds.ReferencedImageSequence[0].add_new(0x7FE00010, "OB", b"DOE\0")
    ds.private_block(0x29, "SIEMENS CSA HEADER").add_new(0x20, "SQ", [icon])
    after = scrubbed(ds)
    assert "IconImageSequence" not in after
    assert "PixelData" not in after.ReferencedImageSequence[0]
    assert after.PixelData == ds.PixelData


def test_what_follows_encapsulated_pixels_is_cleaned_too() -> None:
    ds = make_object("MR")
    ds.PixelData = encapsulate([b"\xfe\xff\xdd\xe0\0\0\0\0fragment"])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    raw = written(ds, JPEGBaseline8Bit) + Writer().element(0xFFFAFFFA, "SQ", b"") + b"DOE JANE"
    after = deidentify(raw)
    assert b"DOE" not in after
    assert read(after).PixelData == ds.PixelData
    assert 0xFFFAFFFA not in read(after)


def test_signatures_and_original_attributes_go() -> None:
    ds = make_object("MR")
    ds.DigitalSignaturesSequence = Sequence([item(CertificateOfSigner=b"DOE\0")])
    ds.OriginalAttributesSequence = Sequence(
        [item(ModifiedAttributesSequence=Sequence([item(PatientName="DOE^JANE")]))]
    )
    ds.ReferencedSeriesSequence = Sequence([item(ModifiedAttributesSequence=Sequence([item(PatientName="DOE^JANE")]))])
    after = scrubbed(ds)
    assert not {"DigitalSignaturesSequence", "OriginalAttributesSequence"} & set(after.dir())
    assert not len(after.ReferencedSeriesSequence[0])


def test_names_of_three_groups_and_five_components_go_whole() -> None:
    ds = make_object("MR")
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou^Q^Dr^Jr=山田^太郎=やまだ^たろう"
    ds.OtherPatientNames = ds.PhysiciansOfRecord = ds.PatientName
    after = scrubbed(ds)
    assert (str(after.PatientName), after.SpecificCharacterSet) == ("", ["", "ISO 2022 IR 87"])
    assert not {"OtherPatientNames", "PhysiciansOfRecord"} & set(after.dir())
    assert b"Yamada" not in deidentify(written(ds))
    assert "山田".encode("iso2022_jp")[3:-3] not in deidentify(written(ds))


def test_nested_three_levels_down() -> None:
    """pymedphys 922, DICOMAnonymizer 20, dicom-anonymizer 88."""
    ds = make_object("MR")
    inner = ds
    for _ in range(4):
        deeper = item(PatientName="DOE^JANE", StudyDate="20200131", SOPInstanceUID=ROOT + "8")
        inner.ReferencedSeriesSequence = Sequence([deeper])
        inner = deeper
    inner = scrubbed(ds, "basic,modified-dates")
    top = inner.StudyDate
    for _ in range(4):
        inner = inner.ReferencedSeriesSequence[0]
        assert (inner.PatientName, inner.StudyDate) == ("", top)
        assert inner.SOPInstanceUID == keyed_uid(KEY, ROOT + "8")


def test_private_sequences_in_implicit_vr() -> None:
    """fo-dicom 771: their VR is nowhere; they go, or are read where a site keeps them."""
    ds = make_object("MR")
    block = ds.private_block(0x21, "VENDOR", create=True)
    block.add_new(0x01, "SQ", [item(PatientName="DOE^JANE", EchoTime="3")])
    raw = written(ds, ImplicitVRLittleEndian, implicit=True)
    assert _has_none(deidentify(raw))
    kept = deidentify(raw, "basic,safe-private", safe_private=(SafePrivate("VENDOR", 0x21, 1),))
    assert _has_none(kept)
    assert b"VENDOR" in kept
    assert Writer(explicit=False).element(0x00180081, "DS", "3") in kept


def test_creators_twice_elsewhere_and_nowhere() -> None:
    ds = make_object("MR")
    for number, value in ((0x10, "OTHER"), (0x42, "VENDOR"), (0x77, "VENDOR")):
        ds.add_new(0x00210000 | number, "LO", value)
    for number, value in ((0x1001, "DOE"), (0x4201, "b 1000"), (0x7701, "b 2000"), (0x9901, "DOE"), (0x4202, "DOE")):
        ds.add_new(0x00210000 | number, "LO", value)
    after = scrubbed(ds, "basic,safe-private", safe_private=(SafePrivate("VENDOR", 0x21, 1),))
    kept = [(int(e.tag), e.value) for e in after if e.tag.group == 0x21]
    assert kept == [
        *((0x00210042, "VENDOR"), (0x00210077, "VENDOR")),
        *((0x00214201, "b 1000"), (0x00217701, "b 2000")),
    ]


def test_a_second_pass_changes_nothing() -> None:
    """UIDs and dates apart, which move again."""
    options = "basic,retain-uids,retain-full-dates,clean-descriptors,clean-structured,clean-graphics"
    for kind in CLASSES:
        once = deidentify(written(make_object(kind)), options)
        assert deidentify(once, options) == once


def test_uids_that_lie_about_their_root_do_not_stay() -> None:
    ds: Any = make_object("MR")
    raw = written(ds).replace(
        (ROOT + "12").encode(), b"1.2.840.10008.DOE^JANE.12345678"[: len(ROOT) + 2].ljust(len(ROOT) + 2)
    )
    assert b"DOE" not in deidentify(raw)


def test_what_pydicom_has_to_read_is_cleaned_alike() -> None:
    """Elements out of order, which the walker declines: private ones, sequences and texts in them too."""
    writer = Writer()
    raw = written(make_object("MR"))
    start = 144 + struct.unpack_from("<I", raw, 140)[0]
    late = writer.element(0x00100010, "PN", "DOE^JANE") + writer.element(0x00080060, "CS", "MR")
    rest = written(make_object("MR"))[start:]
    at = rest.index(b"\x10\x00\x10\x00PN")
    modality = rest.index(b"\x08\x00\x60\x00CS")
    first = rest[:modality] + rest[modality + 10 : at] + rest[at + 16 :]
    pixels = first.index(b"\xe0\x7f\x10\x00")
    after = deidentify(raw[:start] + first[:pixels] + late + first[pixels:])
    assert _has_none(after)
    plain, ds = read(deidentify(raw)), read(after)
    assert {int(e.tag): e.value for e in ds} == {int(e.tag): e.value for e in plain}


@pytest.mark.long
def test_nothing_hides_under_another_vr() -> None:
    """Every attribute that the dictionary has, written as it never is."""
    writer, mark = Writer(), b"ZQXMARK "
    names = {
        "SQ": b"\xfe\xff\x00\xe0\x10\x00\x00\x00\x10\x00\x10\x00PN\x08\x00" + mark,
        "UN": b"\xfe\xff\x00\xe0\x10\x00\x00\x00\x10\x00\x10\x00\x08\x00\x00\x00" + mark,
        **dict.fromkeys(("UI", "DA", "DT", "TM", "PN"), mark),
    }
    raw = written(make_object("MR"))
    start = 144 + struct.unpack_from("<I", raw, 140)[0]
    tags = [tag for tag in sorted(pydicom.datadict.DicomDictionary) if 8 <= tag >> 16 < 0x7FE0 and tag not in KEPT]  # type: ignore[attr-defined]
    most = (
        "retain-uids,retain-device,retain-institution,retain-patient,clean-structured,clean-graphics,clean-descriptors"
    )
    for vr, value in names.items():
        header = b"".join(writer.element(tag, vr, value) for tag in tags)
        for profile in ("basic", "basic,modified-dates", f"basic,{most},retain-full-dates"):
            obj = parse(raw[:start] + header)
            apply_profile(obj, parse_profile(profile), read_identity(obj.data), key=KEY, project="P")
            after = b"".join(bytes(part) for part in encode(obj))
            assert mark not in after, (vr, profile)
            assert list(parse(after).data.walk()), (vr, profile)


def test_an_empty_object_is_no_trouble() -> None:
    ds = Dataset()
    ds.PatientName = "DOE^JANE"
    after = read(deidentify(written(ds)))
    assert (after.PatientName, after.PatientIdentityRemoved) == ("", "YES")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le"])
@pytest.mark.parametrize("vr", ["CS", "UN"])
def test_code_strings_in_two_bytes_a_letter_go(codec: str, vr: str) -> None:
    for text in ("DOEMARK", "Doe^Jane", "MR 12", "HEAD"):
        extra = {0x00180015: (vr, text.encode(codec)), 0x00180022: (vr, b"FS\\" + text.encode(codec))}
        after = read(deidentify(build(extra)))
        assert "BodyPartExamined" not in after
        assert list(after.ScanOptions) == ["FS", "OTHER"]


def test_orientations_are_letters_of_directions() -> None:
    for value, kept in (
        (["A", "FR"], True),
        (["LE", "CDR"], False),
        (["LE", "CD"], True),
        (["DOE"], False),
        (["AH", "PF", "L"], False),
    ):
        ds = make_object("MR")
        ds.PatientOrientation = value
        after = scrubbed(ds).PatientOrientation
        assert (list(after) == value) if kept else not after


def test_context_groups_and_templates_keep_their_numbers() -> None:
    ds = make_object("MR")
    ds.ContentTemplateSequence = Sequence([item(MappingResource="DCMR", TemplateIdentifier="1500")])
    ds.DerivationCodeSequence = Sequence(
        [
            item(CodeValue="1", CodingSchemeDesignator="DCM", CodeMeaning="x", ContextIdentifier=value)
            for value in ("7203", "4711")
        ]
    )
    after = scrubbed(ds)
    assert after.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert [code.ContextIdentifier for code in after.DerivationCodeSequence] == ["7203", "REMOVED"]


def test_terms_that_are_names_stay_in_their_elements_alone() -> None:
    ds = make_object("MR")
    ds.KSpaceFiltering, ds.ApplicationSetupType = "HANNING", "MANCHESTER"
    ds.BodyPartExamined, ds.ImageType = "MANCHESTER", ["ORIGINAL", "HANNING"]
    after = scrubbed(ds)
    assert (after.KSpaceFiltering, after.ApplicationSetupType) == ("HANNING", "MANCHESTER")
    assert "BodyPartExamined" not in after
    assert list(after.ImageType) == ["ORIGINAL", "OTHER"]
    ds.KSpaceFiltering, ds.ApplicationSetupType = "COSINE", "SMITH"
    after = scrubbed(ds)
    assert after.KSpaceFiltering == "COSINE"
    assert "ApplicationSetupType" not in after


@pytest.mark.parametrize(
    ("long", "urn", "is_kept"),
    [
        ("1234567890.123456-AB", "urn:oid:1.2.3.4", (True, True)),
        ("12345678901234567890", "urn:lex:us:federal:2013-04-25;45CFR164", (True, True)),
        ("DOEMARK", "DOEMARK", (False, False)),
        ("DOE JANE 12345678901234567890", "urn:oid: DOE", (False, False)),
        ("DoeJaneMariaSmithson", "http://example.org/DOE", (False, False)),
        ("DOE^JANE^1234567890", "urn:DOE", (False, False)),
        ("1234567890123456789\u00e4", "URN:OID:1.2\nDOE", (False, False)),
        ("1234567890123456", "urn::DOE", (False, False)),
    ],
)
def test_long_codes_and_urns_stay_where_they_are_codes(long: str, urn: str, is_kept: tuple[bool, bool]) -> None:
    ds = make_object("MR")
    ds.SpecificCharacterSet = "ISO_IR 192"
    with pydicom.config.disable_value_validation():
        ds.LongCodeValue, ds.URNCodeValue = long, urn
        ds.DerivationCodeSequence = Sequence(
            [
                item(LongCodeValue=long, CodingSchemeDesignator="99X", CodeMeaning="m"),
                item(URNCodeValue=urn, CodeMeaning="m"),
                item(LongCodeValue=long, CodeMeaning="m"),
            ]
        )
        raw = written(ds)
    for _ in range(2):  # also from memory
        after = read(deidentify(raw))
        code, by_urn, without_scheme = after.DerivationCodeSequence
        assert ("LongCodeValue" in code, "URNCodeValue" in by_urn) == is_kept
        assert "LongCodeValue" not in without_scheme
        assert "LongCodeValue" not in after
        assert ("URNCodeValue" in after) is is_kept[1]


def test_earlier_methods_are_written_from_the_table() -> None:
    ds = make_object("MR")
    ds.DeidentificationMethodCodeSequence = Sequence(
        [
            item(
                CodeValue=value,
                CodingSchemeDesignator="DCM",
                CodingSchemeVersion="DOEMARK",
                CodeMeaning="DOEMARK",
                Manufacturer="DOEMARK",
            )
            for value in ("113101", "113100", "113101", "DOEMARK")
        ]
    )
    raw = deidentify(written(ds))
    assert b"DOEMARK" not in raw
    codes = read(raw).DeidentificationMethodCodeSequence
    assert [(c.CodeValue, c.CodeMeaning) for c in codes] == [
        ("113101", "Clean Pixel Data Option"),
        ("113100", "Basic Application Confidentiality Profile"),
    ]
    assert {len(c) for c in codes} == {3}


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
@pytest.mark.parametrize("value", ["absent", None, 0, [8, 8]])
def test_pixel_data_of_no_image_go(keyword: str, value: Any) -> None:
    ds = make_object("MR")
    assert len(scrubbed(ds).PixelData) > 0
    if value == "absent":
        del ds[keyword]
    else:
        setattr(ds, keyword, value)
    assert "PixelData" not in scrubbed(ds)
    raw = written(ds, big=True, syntax=ExplicitVRBigEndian)
    assert "PixelData" not in read(deidentify(raw))
    ds.PixelData = encapsulate([b"DOEMARK\0" * 4])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    raw = deidentify(written(ds, JPEGBaseline8Bit))
    assert b"DOEMARK" not in raw
    assert "PixelData" not in read(raw)
