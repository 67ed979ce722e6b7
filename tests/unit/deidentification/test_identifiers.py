"""UIDs and patients that a policy replaces by itself: at every depth, in every encoding, after scripts, and no more."""

from __future__ import annotations

import io
import re
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from scandock.deidentification.profile.options import OPTIONS, parse_profile
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rules, Scrubbed, scrub
from scandock.rules.keyed_values import id_pseudonym, keyed_uid, name_pseudonym
from scandock.rules.privacy_policy import Policy
from tests.builders import Image, ecat
from tests.unit.deidentification.objects import joined

KEY = b"key" * 8
CONTEXT = Context(key=KEY, variables={"project": "P", "subject": "S-1", "session": "E-1"})
HASH, DROP = Policy(study_uid="hash", patient="hash"), Policy(study_uid="drop", patient="drop")
ROOT = "1.2.826.0.1.9999999.8."
STUDY, SERIES, SOP, FRAME, OTHER = (f"{ROOT}{n}" for n in (90, 91, 92, 93, 94))
MR = "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
ID, NAME = "ZEBRA-4711", "QUAGGA^OKAPI"
TRACES = (b"ZEBRA", b"QUAGGA", b"OKAPI", ROOT.encode())


def _person(data: Any) -> None:
    """What tells a patient, and UIDs, in one data set."""
    data.PatientName, data.PatientID, data.IssuerOfPatientID = NAME, ID, "ZEBRA-HOUSE"
    data.OtherPatientIDs, data.OtherPatientNames = [ID, "ZEBRA-2"], ["QUAGGA^A", "OKAPI^B"]
    data.PatientBirthName, data.PatientMotherBirthName = "QUAGGA^BORN", "OKAPI^MOTHER"
    data.MedicalRecordLocator, data.ResponsiblePerson = "ZEBRA-9", "OKAPI^FATHER"
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "ZEBRA-3", "ZEBRA-LAB", "TEXT"
    data.OtherPatientIDsSequence = Sequence([other])
    issuer = Dataset()
    issuer.UniversalEntityID = "ZEBRA.example"
    data.IssuerOfPatientIDQualifiersSequence = Sequence([issuer])
    data.StudyID = ID  # as often it does
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = MR, SOP
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = SERIES, Sequence([reference])
    data.ReferencedSeriesSequence = Sequence([series])
    data.FailedSOPInstanceUIDList = [SOP, OTHER]
    data.RetrieveURL = f"https://pacs.example/wado?studyUID={STUDY}&objectUID={OTHER}"
    data.add_new(0x00291010, "UI", STUDY)
    data.add_new(0x00290010, "LO", "MAKER")
    data.add_new(0x00291011, "LO", ID)
    inner = Dataset()
    inner.PatientName, inner.StudyInstanceUID = NAME, STUDY
    data.add_new(0x00291012, "SQ", Sequence([inner]))


def _object(syntax: str = ExplicitVRLittleEndian, depth: int = 3) -> bytes:
    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = MR, SOP, syntax
    data: Any = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = MR, SOP, STUDY, SERIES
    data.FrameOfReferenceUID, data.Modality, data.StudyDescription = FRAME, "MR", "Knee"
    data.PatientSex, data.SeriesDescription, data.SoftwareVersions = "F", "T1 1.5.3", "4.0.0.7.1.2"
    _person(data)
    nested = data
    for keyword in ("OriginalAttributesSequence", "ModifiedAttributesSequence", "RequestAttributesSequence")[:depth]:
        item = Dataset()
        _person(item)
        setattr(nested, keyword, Sequence([item]))
        nested = item
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


def _written(data: bytes, policy: Policy, *scripts: str, **values: Any) -> bytes:
    parsed = tuple(parse_script(f'version "6.6"\n{text}\n', "a") for text in scripts)
    result = scrub(data, rules=Rules(policy=policy, scripts=parsed, **values), context=CONTEXT)
    assert isinstance(result, Scrubbed), result
    return joined(result.parts, data)


def _read(data: bytes) -> Any:
    return pydicom.dcmread(io.BytesIO(data), force=True)


def _traces(data: bytes) -> list[bytes]:
    """What of the original stands in the header, whatever it is packed in."""
    buffer = io.BytesIO()
    found = _read(data)
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(buffer, found, implicit_vr=False, little_endian=True, force_encoding=True)
    return [trace for trace in TRACES if trace in data or trace in buffer.getvalue()]


def _every(data: Dataset, keyword: str) -> list[Any]:
    return [element.value for element in data.iterall() if element.keyword == keyword]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_hashes_stand_for_uids_and_patients_at_every_depth(syntax: str) -> None:
    raw = _written(_object(syntax), HASH)
    assert _traces(raw) == []
    found = _read(raw)
    uid = {old: keyed_uid(KEY, old) for old in (STUDY, SERIES, SOP, FRAME, OTHER)}
    assert (found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID) == (
        uid[STUDY],
        uid[SERIES],
        uid[SOP],
    )
    assert (found.FrameOfReferenceUID, found.file_meta.MediaStorageSOPInstanceUID) == (uid[FRAME], uid[SOP])
    assert set(_every(found, "ReferencedSOPInstanceUID")) == {uid[SOP]}
    assert set(_every(found, "ReferencedSOPClassUID")) == {found.SOPClassUID} == {MR}
    assert [list(one) for one in _every(found, "FailedSOPInstanceUIDList")] == [[uid[SOP], uid[OTHER]]] * 4
    assert set(_every(found, "RetrieveURL")) == {
        f"https://pacs.example/wado?studyUID={uid[STUDY]}&objectUID={uid[OTHER]}"
    }
    assert found.SoftwareVersions == "4.0.0.7.1.2"
    assert set(map(str, _every(found, "PatientName"))) == {name_pseudonym(KEY, NAME)}
    assert set(_every(found, "PatientID")) == {id_pseudonym(KEY, ID), id_pseudonym(KEY, "ZEBRA-3")}
    assert list(found.OtherPatientIDs) == [id_pseudonym(KEY, ID), id_pseudonym(KEY, "ZEBRA-2")]
    assert set(_every(found, "StudyID")) == {found.PatientID}
    assert set(_every(found, "TypeOfPatientID")) == {"TEXT"}
    assert (found.PatientSex, found.StudyDescription, found.SeriesDescription) == ("F", "Knee", "T1 1.5.3")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nothing_stands_for_patients_that_are_dropped(syntax: str) -> None:
    raw = _written(_object(syntax), DROP)
    assert _traces(raw) == []
    found = _read(raw)
    assert set(map(str, _every(found, "PatientName"))) == {""}
    assert set(_every(found, "PatientID")) <= {"", None}
    gone = ("OtherPatientIDs", "OtherPatientNames", "IssuerOfPatientID", "PatientBirthName", "PatientMotherBirthName",
            "OtherPatientIDsSequence", "MedicalRecordLocator", "ResponsiblePerson")  # fmt: skip
    assert [keyword for keyword in gone if _every(found, keyword)] == []
    assert found.StudyInstanceUID == keyed_uid(KEY, STUDY)  # the object has to have one
    assert (found.PatientSex, found.StudyDescription) == ("F", "Knee")


def test_one_item_leaves_the_other_alone() -> None:
    uids = _read(_written(_object(), Policy(study_uid="hash")))
    assert (str(uids.PatientName), uids.PatientID, uids.StudyID) == (NAME, ID, ID)
    assert uids.StudyInstanceUID == keyed_uid(KEY, STUDY)
    patient = _read(_written(_object(), Policy(patient="hash")))
    assert (patient.StudyInstanceUID, patient.file_meta.MediaStorageSOPInstanceUID) == (STUDY, SOP)
    assert patient.PatientID == id_pseudonym(KEY, ID)
    assert _written(_object(), Policy(names="drop")) == _object()


def test_pseudonyms_are_of_the_key_and_of_what_is_compared() -> None:
    assert name_pseudonym(KEY, "DOE^Jane^") == name_pseudonym(KEY, "Doe^JANE")
    assert id_pseudonym(KEY, "7 ") == id_pseudonym(KEY, "7") != id_pseudonym(b"other", "7")
    assert id_pseudonym(KEY, "DOE") != name_pseudonym(KEY, "DOE")
    assert re.fullmatch(r"P-[A-Z2-7]{12}", id_pseudonym(KEY, "7"))
    assert (id_pseudonym(KEY, "anonymous"), name_pseudonym(KEY, "*")) == ("anonymous", "*")


@pytest.mark.parametrize("charset", ["ISO_IR 192", "\\ISO 2022 IR 87", "ISO_IR 144"])
def test_names_of_other_letters_are_replaced_whole(charset: str) -> None:
    name = {"ISO_IR 144": "Жирафов^Иван"}.get(charset, "Kirin^Taro=麒麟^太郎=きりん^たろう")
    ds: Any = _read(_object(depth=0))
    ds.SpecificCharacterSet = charset.split("\\")
    ds.PatientName = name
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds)
    for policy in (HASH, DROP):
        found = _read(_written(buffer.getvalue(), policy))
        assert str(found.PatientName) in {name_pseudonym(KEY, name), ""}


# -- scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [HASH, DROP])
def test_what_a_script_writes_from_labels_stays(policy: Policy) -> None:
    found = _read(_written(_object(), policy, '(0010,0010) := subject\n(0010,0020) := session\n(0010,1000) := "KNOWN"'))
    assert (str(found.PatientName), found.PatientID) == ("S-1", "E-1")
    assert found.get("OtherPatientIDs") == "KNOWN"


@pytest.mark.parametrize(
    "script",
    [
        "(0010,0020) := lowercase[(0010,0020)]",
        '(0010,0020) := concatenate["X-", (0010,0020)]',
        "(0010,0020) := substring[(0010,0020), 0, 5]",
        "(0010,0020) := (0010,0010)",
        "(0010,0020) := (0010,1002)[0]/(0010,0020)",
        '(0010,0010) := format["{0}_A", (0010,0020)]',
    ],
)
def test_what_a_script_makes_of_the_original_does_not(script: str) -> None:
    for policy in (HASH, DROP):
        raw = _written(_object(), policy, script)
        assert _traces(raw) == []
        assert not re.search(rb"zebra|quagga", raw, re.IGNORECASE)


@pytest.mark.parametrize(
    "script",
    ["(0020,000D) := hashUID[(0020,000D)]", "(0020,000D) := newUID[]", "- (0020,000D)", '(0020,000D) := "1.2.3"'],
)
def test_a_study_is_known_by_its_uid_whatever_scripts_do(script: str) -> None:
    for policy in (HASH, DROP):
        assert _read(_written(_object(), policy, script)).StudyInstanceUID == keyed_uid(KEY, STUDY)
        profiled = _read(_written(_object(), policy, script, profile=parse_profile("basic")))
        assert profiled.StudyInstanceUID == keyed_uid(KEY, STUDY)


def test_other_uids_of_scripts_are_keyed_too() -> None:
    """Nobody can check a guess at what a script has hashed without a key."""
    script = "(0008,0018) := hashUID[(0008,0018)]"
    plain = _read(_written(_object(), Policy(), script)).SOPInstanceUID
    found = _read(_written(_object(), HASH, script))
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == keyed_uid(KEY, plain)


def test_residue_is_warned_of_or_refused() -> None:
    data = _read(_object(depth=0))
    data.ImageComments = f"Scan of {ID} repeated"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data)
    result = scrub(buffer.getvalue(), rules=Rules(policy=DROP), context=CONTEXT)
    assert isinstance(result, Scrubbed)
    assert [(one.code, "(0020,4000)" in one.message) for one in result.warnings] == [("deid_residue", True)]
    refused = scrub(buffer.getvalue(), rules=Rules(policy=DROP, residue="refuse"), context=CONTEXT)
    assert isinstance(refused, Failed)
    assert "ZEBRA" not in refused.message
    open_rules = Rules(policy=Policy(study_uid="drop"), residue="refuse")
    assert isinstance(scrub(buffer.getvalue(), rules=open_rules, context=CONTEXT), Scrubbed)


def test_uids_that_are_left_in_what_nobody_can_rewrite_are_warned_of() -> None:
    data = _read(_object(depth=0))
    data.add_new(0x00291013, "OB", b"SV10" + bytes(4) + STUDY.encode() + bytes(3))
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data)
    for policy, warned in ((Policy(study_uid="drop"), ["deid_residue"]), (Policy(patient="drop"), [])):
        result = scrub(buffer.getvalue(), rules=Rules(policy=policy), context=CONTEXT)
        assert isinstance(result, Scrubbed)
        assert [one.code for one in result.warnings] == warned
        assert [one.message.count("(0029,1013)") for one in result.warnings] == [1] * len(warned)


# -- with a profile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_no_option_of_a_profile_keeps_what_a_policy_hides(option: str) -> None:
    profile = parse_profile(f"basic,{option}" if option else "basic")
    for policy in (HASH, DROP):
        raw = _written(_object(), policy, profile=profile)
        assert _traces(raw) == []
        found = _read(raw)
        assert (found.PatientID, str(found.PatientName)) == ("REMOVED", "")  # as the profile would have it
        assert found.SOPInstanceUID == keyed_uid(KEY, SOP)
        assert "113110" not in {item.CodeValue for item in found.DeidentificationMethodCodeSequence}
    kept = _read(_written(_object(), Policy(), profile=profile))
    assert (kept.SOPInstanceUID == SOP) is (option == "retain-uids")


# -- ECAT ----------------------------------------------------------------------------------------------------------


def _fields(raw: bytes) -> tuple[str, str, str]:
    """PATIENT_ID, PATIENT_NAME, ORIGINAL_FILE_NAME."""
    places = ((166, 16), (182, 32), (14, 32))
    first, second, third = (raw[at : at + size].split(b"\0")[0].decode() for at, size in places)
    return first, second, third


def test_fields_of_ecat_are_replaced_too() -> None:
    raw = ecat(frames=1, patient_id=b"ZEBRA-4711", patient_name=b"QUAGGA\0OKAPI", original_file_name=b"OKAPI.v",
               study_description=b"ZEBRA-4711")  # fmt: skip
    hashed, dropped = _written(raw, HASH), _written(raw, DROP)
    assert _fields(hashed) == (id_pseudonym(KEY, "ZEBRA-4711"), name_pseudonym(KEY, "QUAGGA"), "")
    assert _fields(dropped) == ("", "", "")
    for new in (hashed, dropped):
        assert [trace for trace in TRACES if trace in new] == []
        assert new[512:] == raw[512:]
        assert new[62:66] == raw[62:66]
    assert _written(raw, Policy(study_uid="drop")) == raw
    assert _fields(_written(raw, DROP, "(0010,0010) := subject\n(0010,0020) := session")) == ("E-1", "S-1", "")
    assert _fields(_written(raw, DROP, "(0010,0010) := (0010,0020)")) == ("", "", "")
    profiled = _written(raw, DROP, profile=parse_profile("basic"))
    assert _fields(profiled) == ("E-1", "S-1", "")  # as the profile would have it


def test_a_key_is_needed_where_anything_is_replaced() -> None:
    assert Rules(policy=HASH).needs_key
    assert not Rules(policy=Policy(names="drop")).needs_key


def test_an_object_that_names_nobody_stays_as_it_is() -> None:
    raw = Image(case="nobody", patient_id=b"", patient_name=b"anonymous").file()
    assert _written(raw, Policy(patient="hash")) == raw
    assert _written(raw, Policy(patient="drop")) == raw


def test_a_sequence_that_cannot_be_read_costs_its_object_only_where_it_stays() -> None:
    """What is to be known of an object is read without changing it, so a profile can still remove what is damaged."""
    longer_than_its_sequence = b"\xfe\xff\x00\xe0\x64\x00\x00\x00" + b"ZEBRA-47"
    data = Image(case="damaged", patient_id=ID.encode(), also={0x00400275: (b"SQ", longer_than_its_sequence)}).file()

    kept = scrub(data, rules=Rules(policy=DROP), context=CONTEXT)
    removed = scrub(data, rules=Rules(policy=DROP, profile=parse_profile("basic")), context=CONTEXT)

    assert isinstance(kept, Failed)
    assert kept.code == "deid_unreadable"
    assert isinstance(removed, Scrubbed)
    assert b"ZEBRA" not in joined(removed.parts, data)
