"""Headers on which rules and filters are tried: of a DICOM file, or of pasted values. Nothing of them is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from scandock.formats.dicom_header import MAX_HEADER, read_header
from scandock.formats.dicom_tally import Tally
from scandock.formats.ecat import looks_like_ecat
from scandock.model.errors import BadInput, CodedUsage, Usage, Worded
from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS, TAGS
from scandock.rules.series_filters import find_tag
from scandock.rules.study import StudyFacts

if TYPE_CHECKING:
    from scandock.formats.dicom_header import Header

MAX_PASTED: Final = 64 * 1024
"""Characters of pasted values."""
MAX_PASTED_LINES: Final = 1_000
_HEAD: Final = 64 * 1024
_PASTED: Final = re.compile(r"\s*(\(?[0-9A-Fa-f]{4}\s?,\s?[0-9A-Fa-f]{4}\)?|[A-Za-z][A-Za-z0-9]*)\s*[:=](.*)")
_STUDY_UID: Final = NUMBERS["StudyInstanceUID"]


class ObjectUnreadable(CodedUsage):
    CODE = "object_unreadable"
    MEANING = "The object on which rules are to be tried can't be read."
    SENTENCE = "{name!r}: {reason}"
    REMEDY = "Name DICOM files."

    def __init__(self, name: str, reason: str) -> None:
        self._fill({"name": name, "reason": reason})


class SampleUnreadable(Worded, Usage):
    """What is to be tried on can't be read."""

    CODE = "sample_unreadable"
    MEANING = "The file or the pasted values on which something is to be tried can't be read."


def read_object(name: str, head: bytes, size: int, tags: frozenset[int], more: Callable[[int], bytes]) -> Header:
    """The header of a file, with the values that imports read and those of `tags`. Usage `object_unreadable`."""
    try:
        return read_header(head, size, frozenset(TAGS) | tags, more)
    except BadInput as error:
        raise ObjectUnreadable(name, error.message) from None


def read_sample(data: bytes, tags: frozenset[int]) -> Header:
    """The header of a DICOM file, with the values that imports read and those of `tags`. Usage `sample_unreadable`."""
    if looks_like_ecat(data):
        raise SampleUnreadable("The file is ECAT, which has no elements.", "Choose a DICOM file.")
    try:
        header = read_header(
            data[:_HEAD], len(data), frozenset(TAGS) | tags, lambda need: data[: min(need, MAX_HEADER)]
        )
    except BadInput as error:
        raise SampleUnreadable(f"The file can't be read: {error.message}", "Choose a DICOM file.") from None
    if header.is_dicomdir:
        raise SampleUnreadable("The file is a DICOMDIR, which lists other files.", "Choose one of these.")
    return header


def parse_pasted(text: str) -> dict[int, str]:
    """Pasted lines `Keyword: value` or `(gggg,eeee): value`. Usage `sample_unreadable`, naming the line."""
    if len(text) > MAX_PASTED or text.count("\n") > MAX_PASTED_LINES:
        raise SampleUnreadable(
            f"The pasted values have more than {MAX_PASTED:,} characters or {MAX_PASTED_LINES:,} lines.",
            "Paste those that the rules look at.",
        )
    values: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _PASTED.fullmatch(line)
        tag = None if match is None else find_tag(re.sub(r"\s", "", match[1]))
        if match is None or tag is None:
            raise SampleUnreadable(
                f"Line {number} of the pasted values names no element.",
                "Write PatientID: 4711 or (0010,0020): 4711, one a line.",
            )
        values[tag] = match[2].strip()
    return values


def make_study(texts: dict[int, str]) -> StudyFacts:
    """A study of one object that has these texts."""
    uid = texts.get(_STUDY_UID) or "1.2.3"
    tally = SeriesTally(study_uid=uid, series_uid=texts.get(NUMBERS["SeriesInstanceUID"], ""), objects=1)
    for tag, text in texts.items():
        if text:
            tally.add(tag, text)
    return StudyFacts(key=uid, study_uid=uid, series=(tally,))


def tally_studies(headers: Collection[Header]) -> list[StudyFacts]:
    """The studies of some objects, as an import would see them."""
    tally = Tally()
    for header in headers:
        tally.add(header)
    series = tally.drain()
    uids = dict.fromkeys(series_facts.study_uid for series_facts in series)
    return [
        StudyFacts(
            key=uid,
            study_uid=uid,
            series=tuple(series_facts for series_facts in series if series_facts.study_uid == uid),
        )
        for uid in uids
    ]
