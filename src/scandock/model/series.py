"""What is known of a series: for each wanted element, how often each value was met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from scandock.model.slot_values import SlotValues

REFERENCES = "ReferencedSeriesInstanceUIDs"
"""What `SeriesTally.nested` calls the series that its first object refers to, joined by a backslash."""
SERIES_KEYS = "SeriesKeys"
"""What it calls the keyed hashes of the series that its objects were of before they were de-identified; joined so."""
REQUESTS = "RequestAttributes"
"""What it calls the items of its first object's RequestAttributesSequence that has any: a JSON list of pairs of
ScheduledProcedureStepID and RequestedProcedureID."""
MANY = 512
"""Distinct values counted for one element of one series; later new ones are dropped (`overfull` says so)."""


class SeriesTally(SlotValues):
    """Values of one DICOM series, decoded, counted over its objects.

    `values[tag][text]` is the number of objects that carry that text (stripped of padding; multiple values joined
    by a backslash). Objects without the element, or with an empty one, are not in it: `objects` minus the sum says how
    many.
    `nested` holds, by keyword, values found inside sequences (tracer, functional groups), first object's first.
    """

    __slots__ = ("frames", "nested", "objects", "overfull", "series_uid", "study_uid", "values")

    def __init__(
        self,
        study_uid: str,
        series_uid: str,
        objects: int = 0,
        frames: int = 0,
        values: dict[int, dict[str, int]] | None = None,
        nested: dict[str, str] | None = None,
        overfull: set[int] | None = None,
    ) -> None:
        self.study_uid = study_uid
        self.series_uid = series_uid
        self.objects = objects
        self.frames = frames
        self.values = {} if values is None else values
        self.nested = {} if nested is None else nested
        self.overfull = set[int]() if overfull is None else overfull

    def add(self, tag: int, text: str, count: int = 1) -> None:
        """Count `text` for `tag`; beyond MANY distinct values new ones only mark the tag as overfull."""
        value_counts = self.values.setdefault(tag, {})
        if text in value_counts:
            value_counts[text] += count
        elif len(value_counts) < MANY:
            value_counts[text] = count
        else:
            self.overfull.add(tag)

    def merge(self, other: SeriesTally) -> None:
        """Add another tally of the same series (from another reader process, or the catalog)."""
        self.objects += other.objects
        self.frames += other.frames
        for tag, value_counts in other.values.items():
            for text, count in value_counts.items():
                self.add(tag, text, count)
        for keyword, text in other.nested.items():
            mine = self.nested.setdefault(keyword, text)
            if keyword == SERIES_KEYS and mine != text:
                self.nested[keyword] = "\\".join(sorted({*mine.split("\\"), *text.split("\\")}))
        self.overfull |= other.overfull


class EcatFacts(NamedTuple):
    """Main header and frames of one ECAT 7 file (xnat-behaviour.md 3.4); texts are cleaned of NULs and controls."""

    magic: str
    file_type: int
    patient_id: str
    patient_name: str
    scan_start_time: int
    """Unix seconds as the header has them, unsigned; 0 where unset."""
    study_type: str
    study_description: str
    facility: str
    acquisition_type: int
    num_planes: int
    num_frames: int
    num_gates: int
    operator: str
    original_file_name: str
    system_type: int
    isotope: str
    radiopharmaceutical: str
    dose_start_time: int
    parameters: Mapping[str, str] = {}
    """The scan parameters of 3.4 by their names there (orientation, transaxialFOV, dimensions.x ...)."""
    frames: tuple[tuple[int, float, float], ...] = ()
    """(number, start in s, length in s) from the subheaders of image files."""
    note: str = ""
    """What was cut or odd, in words; empty where the file is whole."""
