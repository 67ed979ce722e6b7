"""Objects, files and archives with a mark in every place that may name somebody, and a search for marks in bytes.

Each mark is a text of its own, so that a test can say which place has leaked.
"""

from __future__ import annotations

import base64
import io
import itertools
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from tests.badinput.ecat import RECORD, ecat

_TEXTS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName",
    "PatientAddress", "EthnicGroup", "PatientTelephoneNumbers", "MedicalRecordLocator", "PatientComments",
    "AdditionalPatientHistory", "Occupation", "CountryOfResidence", "IssuerOfPatientID",
    "PatientReligiousPreference", "ResponsiblePerson", "ResponsibleOrganization", "AccessionNumber", "StudyID",
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "ReferringPhysicianName",
    "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers", "PhysiciansOfRecord",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "StationName",
    "DeviceSerialNumber", "GantryID", "DetectorID", "PlateID", "CassetteID", "ProtocolName", "StudyDescription",
    "SeriesDescription", "ImageComments", "DerivationDescription", "AcquisitionComments", "RequestingPhysician",
    "RequestingService", "RequestedProcedureDescription", "RequestedProcedureID", "RequestedProcedureComments",
    "PerformedProcedureStepDescription", "PerformedProcedureStepID", "CommentsOnThePerformedProcedureStep",
    "ScheduledProcedureStepDescription", "AdmissionID", "CurrentPatientLocation", "PatientInstitutionResidence",
    "ContrastBolusAgent", "RetrieveAETitle", "StationAETitle", "InterpretationText", "ReasonForStudy",
    "DischargeDiagnosisDescription", "Allergies", "PatientState", "AdmittingDiagnosesDescription", "PersonName",
    "VerifyingObserverName", "TextComments",
)  # fmt: skip
_DATES = (
    "PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate",
)  # fmt: skip


class MarkMaker(Protocol):
    """Gives a mark for each place."""

    def new(self, place: str, /) -> str: ...


@dataclass
class Marks:
    """Marks by what they stand in."""

    prefix: str = "SALT"
    texts: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def new(self, place: str) -> str:
        """A text of 9 characters for a place."""
        text = f"{self.prefix}{next(self._numbers)}Q"
        self.texts[text] = place
        return text

    def find(self, data: bytes) -> list[str]:
        """Places whose marks stand in some bytes, in whatever spelling."""
        return sorted({f"{place}: {text}" for text, place in self.texts.items() if _stands_in(text, data)})


def _stands_in(text: str, data: bytes) -> bool:
    lower = data.lower()
    raw = text.encode()
    spellings = [raw.lower(), text.encode("utf-16-le").lower(), text.encode("utf-16-be").lower(), raw.hex().encode()]
    if any(spelling in lower for spelling in spellings):
        return True
    # of the three ways in which base64 can begin within a text, what all of them share
    return any(base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] in data for shift in range(3))


def dicom_object(marks: MarkMaker, *, number: int = 1, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """An MR object that is salted all over; its pixels are not."""
    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
    meta.TransferSyntaxUID = syntax
    meta.ImplementationVersionName = marks.new("implementation version")
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        setattr(meta, keyword, marks.new(keyword))
    meta.PrivateInformationCreatorUID = "1.2.826.0.1.3680043.8.498.77"
    meta.PrivateInformation = marks.new("private meta information").encode() + b"\0"
    data: Any = FileDataset("", {}, file_meta=meta, preamble=marks.new("preamble").encode().ljust(128, b"\0"))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.90", "1.2.826.0.1.3680043.8.498.91"
    data.Modality, data.Rows, data.Columns, data.BitsAllocated, data.BitsStored = "MR", 4, 4, 16, 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
    data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", bytes(range(32))
    _salt(data, marks, "")
    _add_oddities(data, marks)
    nested: Any = data
    for level, keyword in enumerate(
        ("ReferencedStudySequence", "RequestAttributesSequence", "ProcedureCodeSequence", "AnatomicRegionSequence")
    ):
        item = Dataset()
        _salt(item, marks, f"level {level + 1} ")
        setattr(nested, keyword, Items([item]))
        nested = item
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=True)
    return (
        buffer.getvalue()
        + b"\xfc\xff\xfc\xff"
        + (b"OB\0\0" if syntax != "1.2.840.10008.1.2" else b"")
        + (struct.pack("<I", 10) + marks.new("padding").encode() + b"\0")
    )


def _salt(data: Dataset, marks: MarkMaker, where: str) -> None:
    for keyword in _TEXTS:
        if keyword in {"PersonName", "VerifyingObserverName"} and not where:
            continue
        setattr(data, keyword, marks.new(where + keyword))
    for keyword in _DATES:
        setattr(data, keyword, "19430713")
    block = data.private_block(0x0029, marks.new(where + "private creator"), create=True)
    block.add_new(0x10, "UN", marks.new(where + "private UN").encode() + b"\0")
    block.add_new(0x11, "LO", marks.new(where + "private LO"))
    inner = Dataset()
    inner.PatientName = marks.new(where + "private sequence")
    block.add_new(0x12, "SQ", Items([inner]))


def _add_oddities(data: Dataset, marks: MarkMaker) -> None:
    def raw(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) & 1)

    data.add_new(0x00090010, "LO", marks.new("orphan creator"))
    data.add_new(0x00191008, "UN", raw(marks.new("orphan without creator")))
    data.add_new(0x60000010, "US", 2)
    data.add_new(0x60000011, "US", 40)
    data.add_new(0x60000022, "LO", marks.new("overlay description"))
    data.add_new(0x60001500, "LO", marks.new("overlay label"))
    data.add_new(0x60003000, "OW", raw(marks.new("overlay data")))
    data.add_new(0x60004000, "LT", marks.new("overlay comments"))
    data.add_new(0x50003000, "OW", raw(marks.new("curve")))
    data.add_new(0x00189999, "LO", marks.new("unknown element of an even group"))
    data.add_new(0x00080001, "UL", 0)
    icon = Dataset()
    icon.Rows = icon.Columns = 4
    icon.BitsAllocated, icon.PixelRepresentation, icon.SamplesPerPixel = 8, 0, 1
    icon.PixelData = raw(marks.new("icon"))
    data.IconImageSequence = Items([icon])
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = marks.new("other patient id"), marks.new("other issuer")
    data.OtherPatientIDsSequence = Items([other])
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "121", "DCM"
    code.add_new(0x0040A160, "UT", marks.new("free text in a code sequence"))
    data.add_new(0x00089215, "SQ", Items([code]))
    observer = Dataset()
    observer.ValueType, observer.PersonName = "PNAME", marks.new("observer's name")
    observer.TextValue = marks.new("observer's text")
    data.ContentSequence = Items([observer])
    original = Dataset()
    original.ModifyingSystem = marks.new("modifying system")
    before = Dataset()
    before.PatientName = marks.new("original attributes")
    original.ModifiedAttributesSequence = Items([before])
    data.OriginalAttributesSequence = Items([original])
    data.EncapsulatedDocument = raw(marks.new("encapsulated document"))
    data.DocumentTitle = marks.new("document title")
    data.BodyPartExamined = marks.new("mistyped code")
    signature = Dataset()
    signature.MACIDNumber, signature.Signature = 1, raw(marks.new("signature"))
    data.add_new(0xFFFAFFFA, "SQ", Items([signature]))


def ecat_file(marks: Marks) -> bytes:
    """An ECAT file with marks in its texts, behind them, in fill bytes, in its subheader and behind its end."""
    raw = bytearray(ecat(frames=1))
    for at, length in ((14, 32), (66, 8), (78, 32), (154, 12), (166, 16), (182, 32), (232, 32), (264, 32), (296, 32),
                       (332, 20), (434, 10), (466, 32), (500, 12)):  # fmt: skip
        raw[at : at + length] = (marks.new(f"ECAT {at}")[: length - 1] + "\0").encode().ljust(length, b"\0")
        if length == 32:
            raw[at + 16 : at + 25] = marks.new(f"ECAT behind the NUL of {at}").encode()
    raw[2 * RECORD + 122 : 2 * RECORD + 131] = marks.new("ECAT annotation").encode()
    raw[2 * RECORD + 300 : 2 * RECORD + 309] = marks.new("ECAT fill of a subheader").encode()
    return bytes(raw) + marks.new("behind the end of ECAT").encode()


def zip_of(marks: Marks, entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip with marks in its comments, extra fields and folders."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = marks.new("comment of a zip").encode()
        for name, data in entries:
            info = zipfile.ZipInfo(f"{marks.new('folder in a zip')}/{name}")
            info.comment = marks.new("comment of an entry").encode()
            info.extra = struct.pack("<HH", 0xCAFE, 9) + marks.new("extra field").encode()
            archive.writestr(info, data)
    return raw.getvalue()


def tar_of(marks: Marks, entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A compressed tar with marks in owners and pax records."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, data in entries:
            info = tarfile.TarInfo(f"{marks.new('folder in a tar')}/{name}")
            info.size, info.uname, info.gname = len(data), marks.new("owner"), marks.new("group")
            info.pax_headers = {"comment": marks.new("pax comment")}
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def dicomdir(marks: Marks) -> bytes:
    """A DICOMDIR whose one record names a patient."""
    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.FileSetID = marks.new("file set id")
    record = Dataset()
    record.DirectoryRecordType, record.PatientName = "PATIENT", marks.new("directory record")
    data.DirectoryRecordSequence = Items([record])
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, implicit_vr=False, little_endian=True)
    return buffer.getvalue()
