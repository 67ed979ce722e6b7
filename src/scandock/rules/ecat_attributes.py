"""What is shown and searched of ECAT 7 sessions and scans (xnat-behaviour.md 3.4), by XNAT's names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final

from scandock.model.series import EcatFacts
from scandock.rules.tally_values import clean_text

ACQUISITION_TYPES: Final[tuple[str, ...]] = (
    "Undefined",
    "Blank",
    "Transmission",
    "Static emission",
    "Dynamic emission",
    "Gated emission",
    "Transmission rectilinear",
    "Emission rectilinear",
)
"""By ACQUISITION_TYPE of the main header."""

FILE_TYPES: Final[dict[int, str]] = {
    0: "Unknown",
    1: "Sinogram",
    2: "Image 16",
    3: "Attenuation correction",
    4: "Normalization",
    5: "Polar map",
    6: "Volume 8",
    7: "Volume 16",
    8: "Projection 8",
    9: "Projection 16",
    10: "Image 8",
    11: "Sinogram 3D",
    12: "Sinogram 3D 8",
    13: "Normalization 3D",
    14: "Sinogram 3D fit",
}
"""By FILE_TYPE of the main header."""

IMAGE_FILE_TYPES: Final = frozenset({2, 6, 7, 10})
TRANSMISSION: Final = frozenset({2, 6})
DYNAMIC_EMISSION: Final = 4
MAX_FRAMES: Final = 256
"""Frames whose times are listed one by one."""

_LATEST: Final = 2**31 - 1


def header_time(seconds: int, tz: dt.tzinfo) -> dt.datetime | None:
    """A time of the main header in a zone; None for 0 and for what is negative as the signed number that ECAT 7 writes.

    No PET camera ran before 1970, none will write ECAT 7 after 2038: such values are garbage, not dates.
    """
    if not 0 < seconds <= _LATEST:
        return None
    return dt.datetime.fromtimestamp(seconds, tz)


def ecat_session_attributes(files: Sequence[EcatFacts], tz: dt.tzinfo = dt.UTC) -> dict[str, str]:
    """Attributes of a session from its ECAT files: the earliest date and time, texts on which all agree."""
    if not files:
        return {}
    attributes = {
        "modality": "PT",
        "operator": _agreed_text(facts.operator for facts in files),
        "studyType": _agreed_text(facts.study_type for facts in files),
        "session_type": _agreed_text(facts.study_description for facts in files),
        "acquisition_site": _agreed_text(facts.facility for facts in files),
        "patientID": _agreed_text(facts.patient_id for facts in files),
        "patientName": _agreed_text(facts.patient_name for facts in files),
        "tracer/name": _agreed_text(facts.radiopharmaceutical for facts in files),
        "tracer/isotope": _agreed_text(facts.isotope for facts in files),
        "tracer/startTime": _earliest_time(
            [facts.dose_start_time for facts in files if facts.acquisition_type == DYNAMIC_EMISSION], tz
        ),
        "tracer/transmissionsStartTime": _earliest_time(
            [
                facts.dose_start_time if header_time(facts.dose_start_time, tz) else facts.scan_start_time
                for facts in files
                if facts.acquisition_type in TRANSMISSION
            ],
            tz,
        ),
    }
    starts = [start for facts in files if (start := header_time(facts.scan_start_time, tz)) is not None]
    if starts:
        attributes["date"] = min(starts).date().isoformat()
        attributes["time"] = min(starts).time().isoformat()
    return {name: value for name, value in attributes.items() if value}


def ecat_scan_attributes(facts: EcatFacts, tz: dt.tzinfo = dt.UTC) -> dict[str, str]:
    """Attributes of one ECAT scan; parameters under `parameters/`, frames as `parameters/frames/{n}/starttime|length`.

    `type` is the acquisition's for emission and transmission images, the file's for sinograms, normalisations and
    attenuation files, so that a list of scans tells them apart.
    """
    start = header_time(facts.scan_start_time, tz)
    attributes = {
        "modality": "PT",
        "type": scan_label(facts),
        "quality": "usable",
        "series_description": facts.study_description,
        "frames": str(facts.num_frames) if facts.num_frames > 0 else "",
        "startTime": start.time().isoformat() if start else "",
        "start_date": start.date().isoformat() if start else "",
        "note": facts.note,
        "parameters/format": facts.magic,
        "parameters/originalFileName": facts.original_file_name,
        "parameters/systemType": str(facts.system_type),
        "parameters/fileType": str(facts.file_type),
        "parameters/acqType": str(facts.acquisition_type),
        "parameters/facility": facts.facility,
        "parameters/numPlanes": str(facts.num_planes),
        "parameters/numGates": str(facts.num_gates),
    }
    for name, value in facts.parameters.items():
        attributes.setdefault(f"parameters/{name.replace('.', '/')}", value)
    for frame, starttime, length in facts.frames[:MAX_FRAMES]:
        attributes[f"parameters/frames/{frame}/starttime"] = f"{starttime:g}"
        attributes[f"parameters/frames/{frame}/length"] = f"{length:g}"
        attributes[f"parameters/frames/{frame}/units"] = "sec"
    return {name: text for name, value in attributes.items() if (text := clean_text(value))}


def scan_label(facts: EcatFacts) -> str:
    """The scan's `type`: by ACQUISITION_TYPE for images, by FILE_TYPE for what is none (rules.md "ECAT")."""
    if facts.file_type not in IMAGE_FILE_TYPES:
        return FILE_TYPES.get(facts.file_type, FILE_TYPES[0])
    is_known = 0 <= facts.acquisition_type < len(ACQUISITION_TYPES)
    return ACQUISITION_TYPES[facts.acquisition_type if is_known else 0]


def _agreed_text(values: Iterable[str]) -> str:
    texts = {text for value in values if (text := clean_text(value))}
    return texts.pop() if len(texts) == 1 else ""


def _earliest_time(seconds: list[int], tz: dt.tzinfo) -> str:
    times = [time for value in seconds if (time := header_time(value, tz)) is not None]
    return min(times).time().isoformat() if times else ""
