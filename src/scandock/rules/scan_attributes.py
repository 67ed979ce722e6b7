"""What is shown and searched of a DICOM scan (xnat-behaviour.md 4.5), by XNAT's names; empty ones are left out."""

from __future__ import annotations

from typing import Final

from scandock.model.series import SeriesTally
from scandock.rules import ct, mr, pet
from scandock.rules.sop_classes import scan_element
from scandock.rules.tally_values import agreed_value, clean_text, count_values, most_common, parse_dates, parse_times

USABLE: Final = "usable"
UNKNOWN: Final = "unknown"

COMMON: Final[dict[str, str]] = {
    "series_description": "SeriesDescription",
    "modality": "Modality",
    "scanner": "StationName",
    "scanner/manufacturer": "Manufacturer",
    "scanner/model": "ManufacturerModelName",
    "requestedProcedureDescription": "RequestedProcedureDescription",
    "protocolName": "ProtocolName",
    "bodyPartExamined": "BodyPartExamined",
}
"""Attribute by DICOM keyword; the most common value of the series."""
_OWN: Final = frozenset({"UID", "type", "quality", "frames", "modality"})
"""What a scan of several series does not have from its objects."""

_BY_MODALITY: Final = {"MR": "mr", "CT": "ct", "PT": "pet"}
_PARAMETERS: Final = {"mr": mr.mr_parameters, "ct": ct.ct_parameters, "pet": pet.pet_parameters}
NAMES: Final = tuple(dict.fromkeys((*COMMON, "start_date", "startTime", *mr.NAMES, *ct.NAMES, *pet.NAMES)))
"""What is said of scans by their objects, beside what each scan has; the echo times of several are not among them."""


def scan_attributes(tally: SeriesTally) -> dict[str, str]:
    """Attributes of one scan: those of every scan, and the parameters of MR, CT and PET by SOP class, else Modality.

    `frames` is the number of frames over all objects; `startTime` and `start_date` are the earliest of the series.
    """
    attributes = {name: most_common(count_values(tally, keyword)) for name, keyword in COMMON.items()}
    attributes["UID"] = tally.series_uid
    days = parse_dates(count_values(tally, "SeriesDate"))
    clocks = parse_times(count_values(tally, "SeriesTime"))
    attributes["start_date"] = days[0].isoformat() if days else ""
    attributes["startTime"] = clocks[0].isoformat() if clocks else ""
    attributes["frames"] = str(tally.frames)
    attributes["type"] = scan_label(attributes["series_description"])
    attributes["quality"] = USABLE
    element = scan_element(count_values(tally, "SOPClassUID"))
    parameters = _PARAMETERS.get(element) or _PARAMETERS.get(_BY_MODALITY.get(attributes["modality"].upper(), ""))
    if parameters is not None:
        attributes.update(parameters(tally))
    return {name: text for name, value in attributes.items() if (text := clean_text(value))}


def agreed_attributes(tally: SeriesTally) -> dict[str, str]:
    """Attributes of a scan that holds objects of several series, made by hand: those on which all of them agree."""
    attributes = scan_attributes(tally)
    attributes.update(
        {name: clean_text(agreed_value(count_values(tally, keyword))) for name, keyword in COMMON.items()}
    )
    for name, values in (
        ("start_date", parse_dates(count_values(tally, "SeriesDate"))),
        ("startTime", parse_times(count_values(tally, "SeriesTime"))),
    ):
        if len(values) > 1:
            del attributes[name]
    return {name: text for name, text in attributes.items() if text and name not in _OWN}


def scan_label(series_description: str) -> str:
    """XNAT's scan `type` where a project has no history of the description: the description, else `unknown` (4.5)."""
    return series_description.removeprefix("INVALID: ").strip() or UNKNOWN
