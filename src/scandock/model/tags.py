"""The DICOM elements that Scandock reads, by number, with value representation and keyword (PS3.6)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Tag(NamedTuple):
    number: int
    vr: str
    keyword: str


_TAG_TABLE: Final = """
00020002 UI MediaStorageSOPClassUID
00020003 UI MediaStorageSOPInstanceUID
00020010 UI TransferSyntaxUID
00080005 CS SpecificCharacterSet
00080008 CS ImageType
00080016 UI SOPClassUID
00080018 UI SOPInstanceUID
00080020 DA StudyDate
00080021 DA SeriesDate
00080022 DA AcquisitionDate
00080030 TM StudyTime
00080031 TM SeriesTime
00080032 TM AcquisitionTime
00080050 SH AccessionNumber
00080060 CS Modality
00080070 LO Manufacturer
00080080 LO InstitutionName
00080090 PN ReferringPhysicianName
00080201 SH TimezoneOffsetFromUTC
00081010 SH StationName
00081030 LO StudyDescription
0008103E LO SeriesDescription
00081070 PN OperatorsName
00081090 LO ManufacturerModelName
00081115 SQ ReferencedSeriesSequence
00100010 PN PatientName
00100020 LO PatientID
00100021 LO IssuerOfPatientID
00100030 DA PatientBirthDate
00100040 CS PatientSex
00101010 AS PatientAge
00101030 DS PatientWeight
001021B0 LT AdditionalPatientHistory
00104000 LT PatientComments
00120062 CS PatientIdentityRemoved
00180010 LO ContrastBolusAgent
00180015 CS BodyPartExamined
00180020 CS ScanningSequence
00180021 CS SequenceVariant
00180022 CS ScanOptions
00180023 CS MRAcquisitionType
00180024 SH SequenceName
00180050 DS SliceThickness
00180060 DS KVP
00180080 DS RepetitionTime
00180081 DS EchoTime
00180082 DS InversionTime
00180083 DS NumberOfAverages
00180086 IS EchoNumbers
00180087 DS MagneticFieldStrength
00180088 DS SpacingBetweenSlices
00180090 DS DataCollectionDiameter
00180091 IS EchoTrainLength
00180095 DS PixelBandwidth
00181030 LO ProtocolName
00181072 TM RadiopharmaceuticalStartTime
00181100 DS ReconstructionDiameter
00181110 DS DistanceSourceToDetector
00181111 DS DistanceSourceToPatient
00181120 DS GantryDetectorTilt
00181130 DS TableHeight
00181140 CS RotationDirection
00181150 IS ExposureTime
00181151 IS XRayTubeCurrent
00181152 IS Exposure
00181160 SH FilterType
00181170 IS GeneratorPower
00181190 DS FocalSpots
00181210 SH ConvolutionKernel
00181242 IS ActualFrameDuration
00181250 SH ReceiveCoilName
00181310 US AcquisitionMatrix
00181312 CS InPlanePhaseEncodingDirection
00181314 DS FlipAngle
00189087 FD DiffusionBValue
00189305 FD RevolutionTime
00189306 FD SingleCollimationWidth
00189307 FD TotalCollimationWidth
00189309 FD TableSpeed
00189310 FD TableFeedPerRotation
00189311 FD SpiralPitchFactor
00189324 FD EstimatedDoseSaving
00189345 FD CTDIvol
0020000D UI StudyInstanceUID
0020000E UI SeriesInstanceUID
00200010 SH StudyID
00200011 IS SeriesNumber
00200012 IS AcquisitionNumber
00200013 IS InstanceNumber
00200037 DS ImageOrientationPatient
00280008 IS NumberOfFrames
00280010 US Rows
00280011 US Columns
00280030 DS PixelSpacing
00280100 US BitsAllocated
00280301 CS BurnedInAnnotation
00281052 DS RescaleIntercept
00281053 DS RescaleSlope
00321060 LO RequestedProcedureDescription
00324000 LT StudyComments
00400244 DA PerformedProcedureStepStartDate
00400245 TM PerformedProcedureStepStartTime
00400275 SQ RequestAttributesSequence
00540016 SQ RadiopharmaceuticalInformationSequence
00540081 US NumberOfSlices
00540101 US NumberOfTimeSlices
00541300 DS FrameReferenceTime
0040A375 SQ CurrentRequestedProcedureEvidenceSequence
52009229 SQ SharedFunctionalGroupsSequence
52009230 SQ PerFrameFunctionalGroupsSequence
"""

TAGS: Final[dict[int, Tag]] = {
    int(number, 16): Tag(int(number, 16), vr, keyword)
    for number, vr, keyword in (line.split() for line in _TAG_TABLE.strip().splitlines())
}
NUMBERS: Final[dict[str, int]] = {tag.keyword: tag.number for tag in TAGS.values()}

PIXEL_DATA: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
DICOMDIR_CLASS: Final = "1.2.840.10008.1.3.10"

PER_OBJECT: Final = frozenset(NUMBERS[k] for k in ("SOPInstanceUID", "MediaStorageSOPInstanceUID", "InstanceNumber"))
"""Elements that differ in each object: kept with the entry, never tallied over a series."""

SEQUENCES: Final = frozenset(tag.number for tag in TAGS.values() if tag.vr == "SQ")
"""Sequences whose value is kept with the header, bounded, and looked into when a series is summed up."""
