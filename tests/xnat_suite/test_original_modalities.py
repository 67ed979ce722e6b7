"""The types of sessions and scans by the classes and modalities of their objects, as the original's suite says them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO

import pydicom
import pytest
from _pytest.mark import ParameterSet
from pydicom.uid import UID, generate_uid

from tests.builders import zip_entries
from tests.xnat_suite.requests import Suite, expect

CT = "1.2.840.10008.5.1.4.1.1.2"
CR = "1.2.840.10008.5.1.4.1.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
RAW = "1.2.840.10008.5.1.4.1.1.66"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
XA = "1.2.840.10008.5.1.4.1.1.12.1"
XA_3D = "1.2.840.10008.5.1.4.1.1.13.1.1"

Series = tuple[str, str, Sequence[str]]
"""A modality, the type that the scan gets, and the classes of its objects."""
PETS: Series = ("PT", "petScan", [PET] * 5)
CTS: Series = ("CT", "ctScan", [CT] * 10)
STRUCTURES: Series = ("RTSTRUCT", "rtImageScan", [RTSTRUCT])
PET_AND_MR: list[Series] = [("PT", "petScan", [PET] * 2), ("MR", "mrScan", [MR] * 3)]


def archive(suite: Suite, exam: Sequence[Series]) -> tuple[bytes, dict[str, str]]:
    """A zip of a study of these series, and series UID -> type of the scan."""
    base = pydicom.dcmread(BytesIO(suite.file("scan1/000000.dcm")))
    base.StudyInstanceUID = generate_uid()
    entries, types = {}, {}
    for number, (modality, kind, classes) in enumerate(exam):
        base.SeriesInstanceUID, base.Modality, base.SeriesNumber = generate_uid(), modality, number
        types[str(base.SeriesInstanceUID)] = f"xnat:{kind}Data"
        for sop_class in classes:
            base.SOPInstanceUID, base.SOPClassUID = generate_uid(), UID(sop_class)
            base.file_meta.MediaStorageSOPInstanceUID = base.SOPInstanceUID
            base.file_meta.MediaStorageSOPClassUID = base.SOPClassUID
            written = BytesIO()
            base.save_as(written)
            entries[f"{base.SOPInstanceUID}.dcm"] = written.getvalue()
    return zip_entries(entries), types


def exam_of(name: str, session: str, *series: Series) -> ParameterSet:
    test = pytest.mark.original(f"TestDicomModalityAssignment.testModalityExtraction{name}")
    return pytest.param(session, series, marks=test, id=name)


@pytest.mark.parametrize(
    ("session", "exam"),
    [
        exam_of("StandardMr", "mr", ("MR", "mrScan", [MR] * 10), ("MR", "mrScan", [MR] * 15)),
        exam_of("StandardPet", "pet", ("PT", "petScan", [PET])),
        exam_of("SecondaryCapture", "ct", ("CT", "scScan", [SECONDARY] * 2)),
        exam_of("SecondaryCaptureUnmappableModality", "otherDicom", ("SC", "scScan", [SECONDARY])),
        exam_of("MrAndRt", "mr", STRUCTURES, ("MR", "mrScan", [ENHANCED_MR])),
        exam_of("MrInconsistentSopClass", "mr", ("MR", "mrScan", [RAW, MR])),
        exam_of("Xa", "xa", ("XA", "xaScan", [XA])),
        exam_of("Xa3d", "xa", ("XA", "xaScan", [XA_3D])),
        exam_of("Cr", "cr", ("CR", "crScan", [CR] * 2)),
        exam_of("MrSopClassMissingModality", "mr", ("", "mrScan", [MR] * 4)),
        exam_of("PetCt", "pet", PETS, CTS),
        exam_of("PetCtRt", "pet", STRUCTURES, PETS, CTS),
    ],
)
def test_an_exam(suite, session, exam):
    is_filed(suite, {session: exam}, dest=f"/archive/projects/{suite.project}/subjects/S/experiments/E")


def is_filed(suite: Suite, exams: dict[str, Sequence[Series]], **params: str) -> None:
    """Import a study; it becomes one session of each type, whose scans are these series."""
    body, types = archive(suite, [series for exam in exams.values() for series in exam])
    suite.imported("exam.zip", body, **params)
    rows = suite.rows(f"{suite.subject('S')}/experiments")
    assert sorted(row["xsiType"] for row in rows) == sorted(f"xnat:{session}SessionData" for session in exams)
    found: dict[str, str] = {}
    for row in rows:
        scans = suite.rows(f"/data/experiments/{row['ID']}/scans", columns="ID,xsiType,UID")
        assert len(scans) == len(exams[row["xsiType"].removeprefix("xnat:").removesuffix("SessionData")])
        found |= {scan["UID"]: scan["xsiType"] for scan in scans}
    assert found == types


@pytest.mark.parametrize(
    ("setting", "exams"),
    [
        pytest.param(
            "petmr", {"petmr": PET_AND_MR},
            marks=pytest.mark.original("TestDicomModalityAssignment.testModalityExtractionPetMr"),
        ),
        pytest.param(
            "pet", {"pet": PET_AND_MR},
            marks=pytest.mark.original("TestDicomModalityAssignment.testModalityExtractionPetMrAsPet"),
        ),
        pytest.param(
            "separate",
            {
                "mr": [("MR", "mrScan", [MR] * 3), STRUCTURES],
                "pet": [("PT", "petScan", [PET] * 5), ("PT", "petScan", [PET] * 3)],
            },
            marks=pytest.mark.original("TestDicomModalityAssignment.testModalityExtractionPetMrSplit"),
        ),
    ],
)  # fmt: skip
def test_pet_and_mr_of_one_study_as_the_project_says(suite, setting, exams):
    expect(suite.main.put(f"/data/projects/{suite.project}/config/separatePETMR/config", content=setting), 200)
    params = {"import__handler": "DICOM-zip", "dest": "/archive", "project": suite.project, "subject": "S"}
    is_filed(suite, exams, **params)


def told_by(suite: Suite, name: str) -> dict[str, object]:
    """The fields that the original's suite expects of an archive which is not in its repository."""
    told: dict[str, object] = json.loads(suite.file(f"dicom_extraction/{name}.json"))
    return told


def exam_that_says(suite: Suite, headers: dict[str, object]) -> str:
    """Import one image whose headers say this; gives the session's address."""
    image = pydicom.dcmread(BytesIO(suite.file("scan1/000000.dcm")))
    for keyword, value in headers.items():
        setattr(image, keyword, value)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    written = BytesIO()
    image.save_as(written)
    dest = f"/archive/projects/{suite.project}/subjects/S/experiments/E"
    suite.imported("exam.zip", zip_entries({"1.dcm": written.getvalue()}), dest=dest)
    return suite.session("S", "E")


def fields_of(suite: Suite, address: str) -> dict[str, object]:
    item: dict[str, object] = expect(suite.main.get(address, params={"format": "json"}), 200).json()["items"][0]
    fields: dict[str, object] = item["data_fields"]  # type: ignore[assignment]
    return fields


@pytest.mark.original("TestDicomDataExtraction.testMRDicomExtraction")
def test_what_the_headers_of_an_mr_exam_say(suite):
    session, scan = told_by(suite, "mrSessionAttributes"), told_by(suite, "mrSeriesAttributes")
    where = exam_that_says(
        suite,
        {
            "SOPClassUID": UID(MR), "Modality": "MR", "Manufacturer": "SIEMENS", "ManufacturerModelName": "TrioTim",
            "StationName": "MEDPC", "InstitutionName": "Hospital", "StudyDate": "20061214", "StudyTime": "091206.5",
            "SeriesTime": "093711.5", "AccessionNumber": ".", "OperatorsName": ["FIRST^OPERATOR", "SECOND^OPERATOR"],
            "PatientID": "Sample ID", "PatientName": "Sample Patient", "PatientBirthDate": "19751231",
            "StudyDescription": "head^DHead", "StudyInstanceUID": session["UID"], "SeriesInstanceUID": scan["UID"],
            "SeriesNumber": 4, "SeriesDescription": scan["series_description"], "ScanOptions": "IR",
            "PixelSpacing": [1, 1], "SliceThickness": 1, "InversionTime": 1000, "EchoTime": "3.08",
            "RepetitionTime": 2400, "FlipAngle": 8, "PixelBandwidth": 220, "SequenceVariant": ["SP", "MP", "OSP"],
            "ScanningSequence": ["GR", "IR"], "SequenceName": "*tfl3d1_ns", "MRAcquisitionType": "3D",
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "MagneticFieldStrength": 3,
            "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
        },
    )  # fmt: skip
    del session["studyComments"]  # which stand in fields of their own: there are no custom variables
    assert {name: fields_of(suite, where).get(name) for name in session} == session
    del scan["parameters/fov/x"], scan["parameters/fov/y"]  # the matrix of that archive, not of this
    assert {name: fields_of(suite, f"{where}/scans/4").get(name) for name in scan} == scan
