"""Images and ECAT files whose patients and UIDs bear marks (`tests.byte_search`); nothing else of them does."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.badinput.ecat import ecat
from tests.badinput.objects import Image
from tests.byte_search import Marks

MARKS = Marks()
PATIENT = f"{MARKS.text('PatientID')}-A".encode()
OTHER = f"{MARKS.text('PatientID of another one')}-B".encode()
NAME = f"{MARKS.text('PatientName')}^{MARKS.text('given name')}".encode()


@cache
def marked_uid(*parts: object) -> bytes:
    """The UID of something."""
    return MARKS.uid(" ".join(map(str, parts))).encode()


class MarkedImage(Image):
    """An object whose UIDs bear marks."""

    @property
    def study_uid(self) -> bytes:
        return marked_uid("study", self.study)

    @property
    def series_uid(self) -> bytes:
        return marked_uid("series", self.study, self.series)

    @property
    def sop_uid(self) -> bytes:
        return marked_uid("object", self.study, self.series, self.number)


def marked_image(number: int = 1, **values: Any) -> Image:
    """An image of the patient."""
    return MarkedImage(case="marked", number=number, **{"patient_id": PATIENT, "patient_name": NAME, **values})


def marked_series(count: int = 2, first: int = 1, **values: Any) -> dict[str, bytes]:
    """Some images of a series, by their paths in an archive."""
    return {f"s{values.get('study', 1)}/{n}.dcm": marked_image(n, **values).file() for n in range(first, first + count)}


def marked_ecat(**values: Any) -> bytes:
    """An ECAT file of the patient."""
    return ecat(frames=1, patient_id=PATIENT, patient_name=NAME, original_file_name=NAME + b".v", **values)
