"""What is shown and searched of a session (xnat-behaviour.md 3.4, 4.4; rules.md "Which scan").

A value on which all objects agree is set, one on which they disagree is left empty and named in one warning. The date
is the earliest of the image objects; dates that disagree are a warning, not an empty field.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final

from scandock.model.series import EcatFacts, SeriesTally
from scandock.rules.ecat_attributes import ecat_session_attributes
from scandock.rules.mr import field_strength
from scandock.rules.notices import Notice, join_words, make_notice
from scandock.rules.pet import tracer_attributes
from scandock.rules.sop_classes import is_image, leading_element, scan_element
from scandock.rules.tally_values import (
    agreed_value,
    clean_text,
    count_values,
    most_common,
    parse_dates,
    parse_times,
    shorten_number,
)

AGREED: Final[dict[str, str]] = {
    "acquisition_site": "InstitutionName",
    "session_type": "StudyDescription",
    "scanner/manufacturer": "Manufacturer",
    "scanner/model": "ManufacturerModelName",
    "operator": "OperatorsName",
    "study_id": "StudyID",
    "dcmAccessionNumber": "AccessionNumber",
    "dcmPatientId": "PatientID",
    "dcmPatientName": "PatientName",
    "dcmPatientWeight": "PatientWeight",
    "studyComments": "StudyComments",
}
"""Attribute by DICOM keyword, where all that carry the element must agree."""

ATTRIBUTE_LABELS: Final[dict[str, str]] = {
    "acquisition_site": "the institution",
    "session_type": "the study's description",
    "scanner/manufacturer": "the scanner's manufacturer",
    "scanner/model": "the scanner's model",
    "operator": "the operator",
    "study_id": "the study ID",
    "dcmAccessionNumber": "the accession number",
    "dcmPatientId": "the PatientID",
    "dcmPatientName": "the patient's name",
    "dcmPatientBirthDate": "the patient's date of birth",
    "dcmPatientWeight": "the patient's weight",
    "studyComments": "the study's comments",
}
"""What a person calls each attribute."""

_SHOWN_VALUES: Final = 4


def session_attributes(
    series: Iterable[SeriesTally], ecat: Sequence[EcatFacts] = (), tz: dt.tzinfo = dt.UTC
) -> tuple[dict[str, str], list[Notice]]:
    """Attributes of a session by the names of 4.4 (`date` ISO, `time` HH:MM:SS), empty ones left out, and warnings.

    `series` are the tallies of one study, `ecat` the ECAT files in the session; DICOM says more where both are there.
    `tz` is the zone of ECAT's times; DICOM's times are the scanner's own.
    """
    tallies = list(series)
    attributes: dict[str, str] = {}
    remarks: list[Notice] = []
    if tallies:
        images = [tally for tally in tallies if _has_image(tally)] or tallies
        studies = {tally.study_uid for tally in tallies}
        attributes["UID"] = studies.pop() if len(studies) == 1 else ""  # by hand a session can hold several
        leading = _lead_series(images)
        attributes["modality"] = most_common(_count_all(leading, "Modality")) or most_common(
            _count_all(images, "Modality")
        )
        attributes["scanner"] = ",".join(sorted(_count_all(tallies, "StationName")))
        remarks += _dates(images, attributes)
        remarks += _agreed((tallies, images, leading), attributes)
        attributes["fieldStrength"] = _field_strength(tallies)
        attributes.update(tracer_attributes(tallies))
    for name, value in ecat_session_attributes(ecat, tz).items():
        if not attributes.get(name):
            attributes[name] = value
    return {name: text for name, value in attributes.items() if (text := clean_text(value))}, remarks


def _dates(images: list[SeriesTally], attributes: dict[str, str]) -> list[Notice]:
    """Set `date` and `time`: the earliest date, and the earliest time in the series that carry it."""
    days = parse_dates(_count_all(images, "StudyDate"))
    remarks = []
    if days:
        attributes["date"] = days[0].isoformat()
        images = [tally for tally in images if days[0] in parse_dates(count_values(tally, "StudyDate"))]
    clocks = parse_times(_count_all(images, "StudyTime"))
    if clocks:
        attributes["time"] = clocks[0].isoformat()
    if len(days) > 1:
        remarks.append(_disagree("dates", [day.isoformat() for day in days]))
    elif len(clocks) > 1:
        remarks.append(_disagree("times", [clock.isoformat() for clock in clocks]))
    return remarks


def _disagree(what: str, values: list[str]) -> Notice:
    return make_notice("dates_disagree", count=len(values), what=what, values=_list_values(values))


def _agreed(circles: tuple[list[SeriesTally], ...], attributes: dict[str, str]) -> list[Notice]:
    """Set what all objects agree on; else all images, else the lead images: so a stray report empties nothing."""
    open_questions = []
    for name, keyword in AGREED.items():
        values = [_count_all(circle, keyword) for circle in circles]
        attributes[name] = next((value for value_counts in values if (value := agreed_value(value_counts))), "")
        if values[0] and not attributes[name]:
            open_questions.append(name)
    attributes["dcmPatientWeight"] = shorten_number(attributes["dcmPatientWeight"])
    births = parse_dates(_count_all(circles[0], "PatientBirthDate"))
    if len(births) == 1:
        attributes["dcmPatientBirthDate"] = births[0].isoformat()
    elif births:
        open_questions.append("dcmPatientBirthDate")
    if not open_questions:
        return []
    return [make_notice("values_disagree", names=join_words([ATTRIBUTE_LABELS[name] for name in open_questions]))]


def _lead_series(images: list[SeriesTally]) -> list[SeriesTally]:
    """The image series of the lead type (4.2): of a study with PT and SC the PT series."""
    elements = [scan_element(count_values(tally, "SOPClassUID")) for tally in images]
    first = leading_element(elements)
    return [tally for tally, element in zip(images, elements, strict=True) if element == first] or images


def _field_strength(tallies: list[SeriesTally]) -> str:
    mr = [tally for tally in tallies if "MR" in count_values(tally, "Modality")]
    strengths = {field_strength(text) for text in _count_all(mr, "MagneticFieldStrength")} - {""}
    return strengths.pop() if len(strengths) == 1 else ""


def _count_all(tallies: Iterable[SeriesTally], keyword: str) -> dict[str, int]:
    """Values of an element over several series, with their counts."""
    value_counts: dict[str, int] = {}
    for tally in tallies:
        for text, count in count_values(tally, keyword).items():
            value_counts[text] = value_counts.get(text, 0) + count
    return value_counts


def _has_image(tally: SeriesTally) -> bool:
    modality = most_common(count_values(tally, "Modality"))
    return any(is_image(sop_class, modality) for sop_class in count_values(tally, "SOPClassUID") or {"": 1})


def _list_values(values: list[str]) -> str:
    text = ", ".join(values[:_SHOWN_VALUES])
    return text if len(values) <= _SHOWN_VALUES else f"{text} and {len(values) - _SHOWN_VALUES} more"
