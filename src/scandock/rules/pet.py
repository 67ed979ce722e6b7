"""Parameters of a DICOM PET scan, and the tracer of its session (xnat-behaviour.md 4.4, 4.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from scandock.model.series import SeriesTally
from scandock.rules.mr import GEOMETRY, geometry, orientation
from scandock.rules.tally_values import (
    agreed_value,
    clean_text,
    count_values,
    measured_value,
    parse_number,
    parse_time,
    shorten_number,
)

TRACER: Final[dict[str, tuple[str, ...]]] = {
    "tracer/name": ("Radiopharmaceutical", "RadiopharmaceuticalCodeMeaning"),
    "tracer/dose": ("RadionuclideTotalDose",),
    "tracer/isotope": ("RadionuclideCodeMeaning",),
    "tracer/isotope/half-life": ("RadionuclideHalfLife",),
}
"""Attribute by the keywords under which the reader keeps values of RadiopharmaceuticalInformationSequence."""

PLAIN: Final[dict[str, str]] = {
    "parameters/facility": "InstitutionName",
    "parameters/imageType": "ImageType",
    "parameters/numberOfSlices": "NumberOfSlices",
    "parameters/numberOfTimeSlices": "NumberOfTimeSlices",
    "parameters/frameDuration": "ActualFrameDuration",
}
NAMES: Final = (*PLAIN, *GEOMETRY, "parameters/frameReferenceTimes", "parameters/orientation")
"""All that `pet_parameters` gives."""
MAX_FRAMES: Final = 256


def tracer_attributes(tallies: Iterable[SeriesTally]) -> dict[str, str]:
    """Name, start time, dose in Bq, isotope and half-life in s, each where all series that tell it agree."""
    pet = [
        tally for tally in tallies if "PT" in count_values(tally, "Modality") or "Radiopharmaceutical" in tally.nested
    ]
    attributes = {name: _agreed_nested(pet, keywords) for name, keywords in TRACER.items()}
    starts = {
        time.isoformat() for tally in pet for text in _start_times(tally) if (time := parse_time(text)) is not None
    }
    attributes["tracer/startTime"] = starts.pop() if len(starts) == 1 else ""
    return {name: value for name, value in attributes.items() if value}


def pet_parameters(tally: SeriesTally) -> dict[str, str]:
    """Parameters by XNAT's names; `parameters/frameReferenceTimes` lists the times of a dynamic scan in ms."""
    parameters = {name: measured_value(tally, keyword) for name, keyword in PLAIN.items()}
    times = {value for text in count_values(tally, "FrameReferenceTime") if (value := parse_number(text)) is not None}
    if 1 < len(times) <= MAX_FRAMES:
        parameters["parameters/frameReferenceTimes"] = ",".join(f"{value:g}" for value in sorted(times))
    parameters["parameters/orientation"] = orientation(count_values(tally, "ImageOrientationPatient"))
    parameters.update(geometry(tally))
    return parameters


def _agreed_nested(tallies: Iterable[SeriesTally], keywords: tuple[str, ...]) -> str:
    value_counts: dict[str, int] = {}
    for tally in tallies:
        text = next((text for keyword in keywords if (text := clean_text(tally.nested.get(keyword, "")))), "")
        if text:
            value_counts[text] = value_counts.get(text, 0) + tally.objects
    return shorten_number(agreed_value(value_counts))


def _start_times(tally: SeriesTally) -> list[str]:
    """Start times as TM: inside the sequence, as DT there (`YYYYMMDDHHMMSS.ffffff&ZZXX`), or at top level."""
    nested = tally.nested.get("RadiopharmaceuticalStartTime", "")
    if not nested:
        nested = re.split("[+-]", tally.nested.get("RadiopharmaceuticalStartDateTime", ""), maxsplit=1)[0].strip()[8:]
    return [nested] if nested else list(count_values(tally, "RadiopharmaceuticalStartTime"))
