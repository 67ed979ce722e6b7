"""The attributes by which DICOM studies, series and instances are searched and listed (PS3.18 10.6.1, 10.6.3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class Level(IntEnum):
    """What a search gives, from the outside in."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


class Attribute(NamedTuple):
    """One attribute of a result."""

    tag: str
    """Eight upper-case hexadecimal digits."""
    vr: str
    keyword: str
    level: Level
    on_request: bool = False
    """Whether a result has it only where it was asked for."""
    matchable: bool = True


STUDY_UID: Final = Attribute("0020000D", "UI", "StudyInstanceUID", Level.STUDY)
SERIES_UID: Final = Attribute("0020000E", "UI", "SeriesInstanceUID", Level.SERIES)
SOP_UID: Final = Attribute("00080018", "UI", "SOPInstanceUID", Level.INSTANCE)
MODALITIES: Final = Attribute("00080061", "CS", "ModalitiesInStudy", Level.STUDY)
REQUESTS: Final = Attribute("00400275", "SQ", "RequestAttributesSequence", Level.SERIES, matchable=False)
STEP_ID: Final = Attribute("00400275.00400009", "SH", "ScheduledProcedureStepID", Level.SERIES)
PROCEDURE_ID: Final = Attribute("00400275.00401001", "SH", "RequestedProcedureID", Level.SERIES)
IN_REQUESTS: Final = (STEP_ID, PROCEDURE_ID)
"""What is asked for within items of the sequence: the numbers of their tags follow that of the sequence and a dot."""

ATTRIBUTES: Final = (
    Attribute("00080020", "DA", "StudyDate", Level.STUDY),
    Attribute("00080030", "TM", "StudyTime", Level.STUDY),
    Attribute("00080050", "SH", "AccessionNumber", Level.STUDY),
    MODALITIES,
    Attribute("00080090", "PN", "ReferringPhysicianName", Level.STUDY),
    Attribute("00080201", "SH", "TimezoneOffsetFromUTC", Level.STUDY),
    Attribute("00081030", "LO", "StudyDescription", Level.STUDY),
    Attribute("00100010", "PN", "PatientName", Level.STUDY),
    Attribute("00100020", "LO", "PatientID", Level.STUDY),
    Attribute("00100021", "LO", "IssuerOfPatientID", Level.STUDY, on_request=True),
    Attribute("00100030", "DA", "PatientBirthDate", Level.STUDY),
    Attribute("00100040", "CS", "PatientSex", Level.STUDY),
    STUDY_UID,
    Attribute("00200010", "SH", "StudyID", Level.STUDY),
    Attribute("00201206", "IS", "NumberOfStudyRelatedSeries", Level.STUDY, matchable=False),
    Attribute("00201208", "IS", "NumberOfStudyRelatedInstances", Level.STUDY, matchable=False),
    Attribute("00080021", "DA", "SeriesDate", Level.SERIES, on_request=True),
    Attribute("00080031", "TM", "SeriesTime", Level.SERIES, on_request=True),
    Attribute("00080060", "CS", "Modality", Level.SERIES),
    Attribute("0008103E", "LO", "SeriesDescription", Level.SERIES),
    SERIES_UID,
    Attribute("00200011", "IS", "SeriesNumber", Level.SERIES),
    Attribute("00201209", "IS", "NumberOfSeriesRelatedInstances", Level.SERIES, matchable=False),
    Attribute("00400244", "DA", "PerformedProcedureStepStartDate", Level.SERIES),
    Attribute("00400245", "TM", "PerformedProcedureStepStartTime", Level.SERIES),
    REQUESTS,
    Attribute("00080016", "UI", "SOPClassUID", Level.INSTANCE),
    SOP_UID,
    Attribute("00200013", "IS", "InstanceNumber", Level.INSTANCE),
    Attribute("00280008", "IS", "NumberOfFrames", Level.INSTANCE, matchable=False),
    Attribute("00280010", "US", "Rows", Level.INSTANCE, matchable=False),
    Attribute("00280011", "US", "Columns", Level.INSTANCE, matchable=False),
    Attribute("00280100", "US", "BitsAllocated", Level.INSTANCE, matchable=False),
    Attribute("00083002", "UI", "AvailableTransferSyntaxUID", Level.INSTANCE, on_request=True, matchable=False),
)

SYNTAX: Final = ATTRIBUTES[-1]
IN_HEADERS: Final = tuple(one for one in ATTRIBUTES if one.level is Level.INSTANCE and one not in (SOP_UID, SYNTAX))
"""What an instance's own header says of it, besides its UID; its class first."""

_BY_NAME: Final = {name.casefold(): one for one in (*ATTRIBUTES, *IN_REQUESTS) for name in (one.tag, one.keyword)}


def find_attribute(name: str) -> Attribute | None:
    """The attribute of a keyword or of hexadecimal digits, in any case; None where results have no such one.

    In a sequence its name stands behind that of the sequence and a dot.
    """
    outer, dot, inner = name.strip().casefold().partition(".")
    if not dot:
        one = _BY_NAME.get(outer)
        return None if one in IN_REQUESTS else one
    if _BY_NAME.get(outer) is not REQUESTS:
        return None
    one = _BY_NAME.get(inner) or _BY_NAME.get(f"{REQUESTS.tag}.{inner}".casefold())
    return one if one in IN_REQUESTS else None
