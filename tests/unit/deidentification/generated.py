"""Objects of six kinds with a patient's values in every place that a profile has to find, made by pydicom."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from scandock.deidentification.encoding import encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.actions import apply_profile
from scandock.deidentification.profile.identity import read_identity
from scandock.deidentification.profile.method import record_method
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.profile.table import SafePrivate
from scandock.deidentification.verification import verify

KEY = b"k" * 32
CLASSES = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.11",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
}
ROOT = "1.2.826.0.1.3680043.8.498."
STUDY, SERIES, FRAME = ROOT + "10", ROOT + "11", ROOT + "12"


def deidentify(
    raw: bytes,
    profile: str = "basic",
    *,
    key: bytes = KEY,
    project: str = "LUNG",
    safe_private: tuple[SafePrivate, ...] | None = None,
    change: Callable[[Any], None] | None = None,
) -> bytes:
    """An object under a profile; `change` stands for the scripts, which run before."""
    chosen = parse_profile(profile, safe_private)
    obj = parse(raw)
    identity = read_identity(obj.data)
    if change is not None:
        change(obj)
    apply_profile(obj, chosen, identity, key=key, project=project)
    record_method(obj.data, chosen)
    parts = encode(obj)
    verify(obj, parts)
    return b"".join(part for part in parts if isinstance(part, (bytes, memoryview)))


def written(ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, implicit: bool = False, big: bool = False) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CLASSES["MR"])
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", ROOT + "1")
    meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta = meta
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True, implicit_vr=implicit, little_endian=not big)
    return file.getvalue()


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Sequence:
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def make_object(kind: str, number: int = 1) -> Dataset:
    """An object of a kind: MR, CT, PT, US, SR or SEG."""
    ds = _common(kind, number)
    {"MR": _mr, "CT": _ct, "PT": _pt, "US": _us, "SR": _sr, "SEG": _seg}[kind](ds)
    return ds


def _common(kind: str, number: int) -> Dataset:
    ds = item(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=CLASSES[kind],
        SOPInstanceUID=f"{ROOT}{100 + number}",
        StudyDate="20200131",
        SeriesDate="20200131",
        ContentDate="20200131",
        StudyTime="120000",
        SeriesTime="120100",
        ContentTime="120300",
        AccessionNumber="ACC99887",
        Modality=kind,
        Manufacturer="SIEMENS",
        InstitutionName="General Hospital",
        ReferringPhysicianName="HOUSE^GREG",
        StationName="SCANNER7",
        StudyDescription="Brain for Dr. House",
        SeriesDescription="t1_mprage_sag",
        OperatorsName="OPERATOR^ONE",
        ManufacturerModelName="Skyra",
        PatientName="DOE^JANE",
        PatientID="PAT12345",
        PatientBirthDate="19700203",
        PatientSex="F",
        PatientAge="050Y",
        PatientSize="1.7",
        PatientWeight="70",
        DeviceSerialNumber="45555",
        SoftwareVersions="syngo MR E11",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        StudyID="ST1",
        SeriesNumber="2",
        InstanceNumber=str(number),
    )
    ds.ReferencedPerformedProcedureStepSequence = Sequence(
        [item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.3", ReferencedSOPInstanceUID=ROOT + "20")]
    )
    return ds


def _image(ds: Dataset, rows: int = 8, columns: int = 8) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.PixelSpacing = rows, columns, [1, 1]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 5], [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = FRAME, ""
    ds.SliceThickness, ds.AcquisitionNumber = "1", "1"
    ds.AcquisitionDate, ds.AcquisitionTime = "20200131", "120200"
    ds.PixelData = bytes(range(rows * columns)) * 2
    ds.ReferencedImageSequence = Sequence(
        [
            item(ReferencedSOPClassUID=ds.SOPClassUID, ReferencedSOPInstanceUID=f"{ROOT}{100 + index}")
            for index in (1, 2)
        ]
    )


def _mr(ds: Dataset) -> None:
    _image(ds)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", ["SP", "MP"], ""
    ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime, ds.EchoTrainLength = "3D", "2.9", "2300", "1"
    ds.FlipAngle, ds.MagneticFieldStrength, ds.ImagedNucleus, ds.PatientPosition = "9", "3", "1H", "HFS"
    ds.BodyPartExamined, ds.ProtocolName, ds.PixelBandwidth = "HEAD", "t1_mprage DOE", "240"
    ds.RequestAttributesSequence = Sequence([item(RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1")])
    block = ds.private_block(0x29, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"CSA DOE JANE")
    block = ds.private_block(0x19, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")


def _ct(ds: Dataset) -> None:
    _image(ds)
    ds.ImageType, ds.KVP, ds.RescaleIntercept, ds.RescaleSlope = ["ORIGINAL", "PRIMARY", "AXIAL"], "120", "-1024", "1"
    ds.PatientPosition, ds.BodyPartExamined = "HFS", "CHEST"


def _pt(ds: Dataset) -> None:
    _image(ds)
    ds.ImageType, ds.Units, ds.CountsSource = ["ORIGINAL", "PRIMARY"], "BQML", "EMISSION"
    ds.SeriesType, ds.CorrectedImage, ds.DecayCorrection = ["STATIC", "IMAGE"], ["DECY", "ATTN"], "START"
    ds.CollimatorType, ds.NumberOfSlices, ds.ImageIndex = "NONE", 1, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.FrameReferenceTime, ds.ActualFrameDuration = "0", "1", "0", "1000"
    ds.PatientPosition, ds.DecayFactor = "HFS", "1"
    tracer = item(
        RadiopharmaceuticalStartTime="110000",
        RadiopharmaceuticalStartDateTime="20200131110000.00",
        RadiopharmaceuticalStopDateTime="20200131110010",
        RadionuclideTotalDose="350000000",
        RadionuclideHalfLife="6586",
        RadionuclidePositronFraction="0.97",
        RadionuclideCodeSequence=code("C-111A1", "SRT", "^18^Fluorine"),
    )
    tracer.RadiopharmaceuticalCodeSequence = code("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")
    ds.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    ds.PatientOrientationCodeSequence = code("F-10450", "SRT", "recumbent")
    ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = code("F-10340", "SRT", "supine")
    ds.PatientGantryRelationshipCodeSequence = code("F-10470", "SRT", "headfirst")


def _us(ds: Dataset) -> None:
    _image(ds)
    ds.ImageType, ds.BitsAllocated, ds.BitsStored, ds.HighBit = ["ORIGINAL", "PRIMARY", "", "0001"], 8, 8, 7
    ds.PixelData = bytes(64)
    ds.LossyImageCompression, ds.PatientOrientation, ds.BodyPartExamined = "00", "", "ABDOMEN"
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
        delattr(ds, keyword)


def _sr(ds: Dataset) -> None:
    ds.Modality = "SR"
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType, ds.ContinuityOfContent = (
        "COMPLETE",
        "VERIFIED",
        "CONTAINER",
        "SEPARATE",
    )
    ds.VerifyingObserverSequence = Sequence(
        [
            item(
                VerifyingOrganization="General Hospital",
                VerificationDateTime="20200131130000",
                VerifyingObserverName="READER^ROGER",
                VerifyingObserverIdentificationCodeSequence=code("R1", "99LOCAL", "Roger Reader"),
            )
        ]
    )
    ds.PerformedProcedureCodeSequence = Sequence([])
    ds.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic Imaging Report")
    ds.ContentTemplateSequence = Sequence([item(MappingResource="DCMR", TemplateIdentifier="2000")])
    finding = content(
        "TEXT", code("121071", "DCM", "Finding"), TextValue="DOE, JANE has a small nodule in the left lung"
    )
    ds.ContentSequence = Sequence(
        [
            content(
                "PNAME", code("121008", "DCM", "Person Observer Name"), "HAS OBS CONTEXT", PersonName="READER^ROGER"
            ),
            content("DATE", code("111060", "DCM", "Study Date"), "HAS OBS CONTEXT", Date="20200131"),
            content("TEXT", code("121030", "DCM", "Subject ID"), "HAS OBS CONTEXT", TextValue="PAT12345"),
            content("TEXT", code("121022", "DCM", "Accession Number"), "HAS OBS CONTEXT", TextValue="ACC99887"),
            content("UIDREF", code("110180", "DCM", "Study Instance UID"), "HAS OBS CONTEXT", UID=STUDY),
            content("CONTAINER", code("121070", "DCM", "Findings"), ContinuityOfContent="SEPARATE"),
        ]
    )
    ds.ContentSequence[5].ContentSequence = Sequence([finding])


def content(kind: str, concept: Sequence, relation: str = "CONTAINS", **values: Any) -> Dataset:
    return item(RelationshipType=relation, ValueType=kind, ConceptNameCodeSequence=concept, **values)


def _seg(ds: Dataset) -> None:
    _image(ds)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "AcquisitionNumber",
        "PixelSpacing",
        "SliceThickness",
    ):
        delattr(ds, keyword)
    ds.ImageType, ds.BitsAllocated, ds.BitsStored, ds.HighBit = ["DERIVED", "PRIMARY"], 1, 1, 0
    ds.SegmentationType, ds.NumberOfFrames, ds.PixelData = "BINARY", "1", bytes(8)
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "SEGMENTATION", "DOE JANE", "CREATOR^CARL"
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=ROOT + "30")])
    ds.DimensionIndexSequence = Sequence(
        [
            item(
                DimensionOrganizationUID=ROOT + "30",
                DimensionIndexPointer=0x0062000B,
                FunctionalGroupPointer=0x0062000A,
                DimensionDescriptionLabel="Segment",
            )
        ]
    )
    ds.SegmentSequence = Sequence(
        [
            item(
                SegmentNumber=1,
                SegmentLabel="liver",
                SegmentAlgorithmType="MANUAL",
                SegmentedPropertyCategoryCodeSequence=code("123037004", "SCT", "Anatomical Structure"),
                SegmentedPropertyTypeCodeSequence=code("10200004", "SCT", "Liver"),
            )
        ]
    )
    derivation = item(
        DerivationCodeSequence=code("113076", "DCM", "Segmentation"),
        SourceImageSequence=Sequence(
            [
                item(
                    ReferencedSOPClassUID=CLASSES["MR"],
                    ReferencedSOPInstanceUID=ROOT + "101",
                    PurposeOfReferenceCodeSequence=code("121322", "DCM", "Source image for image processing operation"),
                )
            ]
        ),
    )
    ds.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
                PixelMeasuresSequence=Sequence([item(SliceThickness="1", PixelSpacing=[1, 1])]),
            )
        ]
    )
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                FrameContentSequence=Sequence([item(DimensionIndexValues=1)]),
                PlanePositionSequence=Sequence([item(ImagePositionPatient=[0, 0, 5])]),
                SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=1)]),
                DerivationImageSequence=Sequence([derivation]),
            )
        ]
    )
    ds.ReferencedSeriesSequence = Sequence(
        [
            item(
                SeriesInstanceUID=SERIES,
                ReferencedInstanceSequence=Sequence(
                    [item(ReferencedSOPClassUID=CLASSES["MR"], ReferencedSOPInstanceUID=ROOT + "101")]
                ),
            )
        ]
    )
