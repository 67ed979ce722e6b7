"""Parameters of a DICOM PET scan, and the tracer of its session (xnat-behaviour.md 4.4, 4.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from scandock.model.series import SeriesTally
from scandock.rules.mr import GEOMETRY, geometry, orientation
from scandock.rules.tallied import agreed, clean_text, counts, measured, number, parse_time, shortest

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
    pet = [tally for tally in tallies if "PT" in counts(tally, "Modality") or "Radiopharmaceutical" in tally.nested]
    found = {name: _agreed_nested(pet, keywords) for name, keywords in TRACER.items()}
    starts = {
        time.isoformat() for tally in pet for text in _start_times(tally) if (time := parse_time(text)) is not None
    }
    found["tracer/startTime"] = starts.pop() if len(starts) == 1 else ""
    return {name: value for name, value in found.items() if value}


def pet_parameters(tally: SeriesTally) -> dict[str, str]:
    """Parameters by XNAT's names; `parameters/frameReferenceTimes` lists the times of a dynamic scan in ms."""
    found = {name: measured(tally, keyword) for name, keyword in PLAIN.items()}
    times = {value for text in counts(tally, "FrameReferenceTime") if (value := number(text)) is not None}
    if 1 < len(times) <= MAX_FRAMES:
        found["parameters/frameReferenceTimes"] = ",".join(f"{value:g}" for value in sorted(times))
    found["parameters/orientation"] = orientation(counts(tally, "ImageOrientationPatient"))
    found.update(geometry(tally))
    return found


def _agreed_nested(tallies: Iterable[SeriesTally], keywords: tuple[str, ...]) -> str:
    seen: dict[str, int] = {}
    for tally in tallies:
        text = next((text for keyword in keywords if (text := clean_text(tally.nested.get(keyword, "")))), "")
        if text:
            seen[text] = seen.get(text, 0) + tally.objects
    return shortest(agreed(seen))


def _start_times(tally: SeriesTally) -> list[str]:
    """Start times as TM: inside the sequence, as DT there (`YYYYMMDDHHMMSS.ffffff&ZZXX`), or at top level."""
    nested = tally.nested.get("RadiopharmaceuticalStartTime", "")
    if not nested:
        nested = re.split("[+-]", tally.nested.get("RadiopharmaceuticalStartDateTime", ""), maxsplit=1)[0].strip()[8:]
    return [nested] if nested else list(counts(tally, "RadiopharmaceuticalStartTime"))
