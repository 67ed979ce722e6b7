"""What lists of DICOM studies and series say of one: values of its objects' headers, as they were counted.

Unlike the attributes of sessions and scans these are the values that headers have, neither cleaned nor agreed; of
several ones the most common.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from scandock.model.series import REQUESTS, SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.person_names import NameKey, name_key
from scandock.rules.tally_values import clean_text, most_common, parse_date

LATER_READ: Final = (
    "ReferringPhysicianName", "TimezoneOffsetFromUTC", "IssuerOfPatientID", "BitsAllocated",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
)  # fmt: skip
"""Elements that imports of earlier versions did not read; RequestAttributesSequence is another one."""
_TM: Final = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})([.,]\d{1,6})?)?)?")


class ListedScan(NamedTuple):
    """A scan whose objects are of one series."""

    n: int
    series_uid: str
    facts: SeriesTally
    instances: int
    """Objects that differ in their SOP UID."""


class ListedSeries(NamedTuple):
    """A series as it is listed: what the objects of one scan say of it. Texts are empty where headers have none."""

    n: int
    """The scan's number."""
    study_uid: str
    series_uid: str
    modality: str
    number: str
    description: str
    date: str
    """As `20261129`; "" where headers have none that is one."""
    time: str
    """As `140530.5`, to as much precision as headers have."""
    step_date: str
    step_time: str
    requests: str
    """As `SeriesTally.nested` has them."""
    instances: int


class ListedStudy(NamedTuple):
    """A study as it is listed: what its objects within one session say of it."""

    study_uid: str
    date: str
    time: str
    accession: str
    patient_id: str
    issuer: str
    patient_name: str
    birth_date: str
    sex: str
    physician: str
    study_id: str
    description: str
    timezone: str
    modalities: str
    """Each once, in order, joined by a backslash."""
    series: int
    instances: int

    @property
    def patient_key(self) -> NameKey:
        """The patient's name as it is compared."""
        return name_key(self.patient_name)

    @property
    def physician_key(self) -> NameKey:
        """The referring physician's name as it is compared."""
        return name_key(self.physician)


def list_studies(scans: Sequence[ListedScan]) -> tuple[list[ListedStudy], list[ListedSeries]]:
    """The studies of a session's scans, and their series, a row for each scan."""
    by_study: dict[str, list[ListedScan]] = defaultdict(list)
    for scan in scans:
        if scan.facts.study_uid and scan.series_uid:
            by_study[scan.facts.study_uid].append(scan)
    studies = [_list_study(uid, by_study[uid]) for uid in sorted(by_study)]
    return studies, [_list_series(scan) for uid in sorted(by_study) for scan in by_study[uid]]


def is_whole(facts: SeriesTally) -> bool:
    """Whether what was counted may have all elements that lists show: an earlier version read fewer.

    A series that has none of them is taken for one of those.
    """
    return REQUESTS in facts.nested or any(facts.values.get(NUMBERS[keyword]) for keyword in LATER_READ)


def _list_study(study_uid: str, scans: Sequence[ListedScan]) -> ListedStudy:
    tallies = [scan.facts for scan in scans]
    return ListedStudy(
        study_uid=study_uid,
        date=to_date(_value(tallies, "StudyDate")),
        time=to_time(_value(tallies, "StudyTime")),
        accession=_value(tallies, "AccessionNumber"),
        patient_id=_value(tallies, "PatientID"),
        issuer=_value(tallies, "IssuerOfPatientID"),
        patient_name=_value(tallies, "PatientName"),
        birth_date=to_date(_value(tallies, "PatientBirthDate")),
        sex=_value(tallies, "PatientSex"),
        physician=_value(tallies, "ReferringPhysicianName"),
        study_id=_value(tallies, "StudyID"),
        description=_value(tallies, "StudyDescription"),
        timezone=_value(tallies, "TimezoneOffsetFromUTC"),
        modalities="\\".join(sorted({_value([tally], "Modality") for tally in tallies} - {""})),
        series=len({scan.series_uid for scan in scans}),
        instances=sum(scan.instances for scan in scans),
    )


def _list_series(scan: ListedScan) -> ListedSeries:
    tallies = [scan.facts]
    return ListedSeries(
        n=scan.n,
        study_uid=scan.facts.study_uid,
        series_uid=scan.series_uid,
        modality=_value(tallies, "Modality"),
        number=_value(tallies, "SeriesNumber"),
        description=_value(tallies, "SeriesDescription"),
        date=to_date(_value(tallies, "SeriesDate")),
        time=to_time(_value(tallies, "SeriesTime")),
        step_date=to_date(_value(tallies, "PerformedProcedureStepStartDate")),
        step_time=to_time(_value(tallies, "PerformedProcedureStepStartTime")),
        requests=scan.facts.nested.get(REQUESTS, ""),
        instances=scan.instances,
    )


def _value(tallies: Iterable[SeriesTally], keyword: str) -> str:
    """The most common value of an element over some series."""
    counts: dict[str, int] = {}
    for tally in tallies:
        for text, count in tally.values.get(NUMBERS[keyword], {}).items():
            if cleaned := clean_text(text):
                counts[cleaned] = counts.get(cleaned, 0) + count
    return most_common(counts)


def to_date(text: str) -> str:
    """A DA value as `20261129`; "" where it is none."""
    day = parse_date(text.split("\\", 1)[0])
    return f"{day:%Y%m%d}" if day is not None and day.year >= 1000 else ""


def to_time(text: str) -> str:
    """A TM value without colons, to its own precision; "" where it is none."""
    match = _TM.fullmatch(text.split("\\", 1)[0].strip()) if text.isascii() else None
    if match is None:
        return ""
    hour, minute, second, fraction = (part or "" for part in match.groups())
    if hour > "23" or minute > "59" or second > "60":
        return ""
    return hour + minute + second + fraction.replace(",", ".")
