"""What is known of one study before it is named: its series, its ECAT files and the folders it stood in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import date
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.series import EcatFacts, SeriesTally
from scandock.model.tags import NUMBERS
from scandock.rules.labels import PLACEHOLDERS, is_placeholder
from scandock.rules.petmr import Side
from scandock.rules.tally_values import parse_time

_DATE: Final = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
ECAT_ID_BYTES: Final = 16
_ECAT_VALUES: Final = {"PatientID": "patient_id", "PatientName": "patient_name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """One study of an upload: every decision is made once for it, by its most common values (rules.md 3).

    `key` tells it from the others of the upload: the StudyInstanceUID, or, for ECAT without DICOM, what
    `ecat_groups.group_ecat` gives. `study_uid` is None for ECAT alone.
    """

    key: str
    study_uid: str | None
    series: tuple[SeriesTally, ...] = ()
    ecat: tuple[EcatFacts, ...] = ()
    session_folders: Mapping[str, int] = field(default_factory=dict)
    """`{session_id}` folders of the documented layout that its objects stood in, counted."""
    folders: frozenset[str] = frozenset()
    """Folder parts of its entries' paths, with `!` between nested archives."""
    ecat_date: str = ""
    """yyyyMMdd of the earliest ECAT scan, in the site's time zone; "" where unset."""
    ecat_time: str = ""
    """HHMMSS of that scan."""
    side: Side = ""
    """Where a project separates PET and MR: the one that this is of; `key` tells two of one study apart."""

    @property
    def objects(self) -> int:
        """DICOM objects and ECAT files."""
        return sum(tally.objects for tally in self.series) + len(self.ecat)

    def counts(self, keyword: str | int) -> Counter[str]:
        """How many objects carry each value of an element; objects without a value are in none.

        An element may be given by its number. ECAT files vote for PatientID and PatientName where there is no DICOM.
        """
        tag = NUMBERS[keyword] if isinstance(keyword, str) else keyword
        votes: Counter[str] = Counter()
        for tally in self.series:
            for text, count in tally.values.get(tag, {}).items():
                if text:
                    votes[text] += count
        if not self.series and keyword in _ECAT_VALUES:
            votes.update(text for text in self._ecat_texts(str(keyword)) if text)
        return votes

    def common(self, keyword: str | int, absent: Collection[str] = ()) -> str:
        """The value that most objects carry ("" for none); of several the first in code-point order.

        Values in `absent` have no vote.
        """
        votes = self.counts(keyword)
        return min((v for v in votes if v not in absent), key=lambda value: (-votes[value], value), default="")

    def distinct(self, keyword: str | int) -> tuple[str, ...]:
        """All values of an element, sorted; the empty one is none."""
        return tuple(sorted(self.counts(keyword)))

    def patient_ids(self, placeholders: Collection[str] = PLACEHOLDERS) -> tuple[str, ...]:
        """The different PatientIDs, of DICOM and ECAT, that are no placeholders; sorted.

        ECAT has room for 16 characters: an id cut there counts as the DICOM one that it begins.
        """
        ids = {text for text in self.counts("PatientID") if not is_placeholder(text, placeholders)}
        for text in self._ecat_texts("PatientID"):
            if not is_placeholder(text, placeholders) and not any(is_same_patient(text, other) for other in ids):
                ids.add(text)
        return tuple(sorted(ids))

    def without_patient_id(self, placeholders: Collection[str] = PLACEHOLDERS) -> int:
        """How many DICOM objects and ECAT files bear no PatientID, or a placeholder."""
        ids = self.counts("PatientID") if self.series else Counter[str]()
        named = sum(count for text, count in ids.items() if not is_placeholder(text, placeholders))
        named += sum(not is_placeholder(text, placeholders) for text in self._ecat_texts("PatientID"))
        return self.objects - named

    @property
    def date(self) -> str:
        """yyyyMMdd: the most common StudyDate that is a date, else that of the earliest ECAT scan, else ""."""
        return self._study_date or self.ecat_date

    @property
    def time(self) -> str:
        """HHMMSS of what `date` is of: the most common StudyTime that is one, or the earliest ECAT scan's; or ""."""
        if not self._study_date:
            return self.ecat_time
        votes = self.counts("StudyTime")
        return normalize_time(self.common("StudyTime", {text for text in votes if not normalize_time(text)}))

    @property
    def _study_date(self) -> str:
        votes = self.counts("StudyDate")
        return normalize_date(self.common("StudyDate", {text for text in votes if not normalize_date(text)}))

    @property
    def session_folder(self) -> str:
        """The `{session_id}` folder that most of its objects stood in, or ""."""
        folders = self.session_folders
        return min(folders, key=lambda name: (-folders[name], name), default="")

    def _ecat_texts(self, keyword: str) -> list[str]:
        return [str(getattr(facts, _ECAT_VALUES[keyword])).strip() for facts in self.ecat]


def is_same_patient(patient_id: str, other: str) -> bool:
    """Whether two PatientIDs are one, knowing that ECAT cuts them at 16 characters."""
    if patient_id == other:
        return True
    short, long = sorted((patient_id, other), key=len)
    return len(short) == ECAT_ID_BYTES and long.startswith(short)


def normalize_date(text: str) -> str:
    """A DICOM date (DA, also the old form with points) as yyyyMMdd, or "" where it is none."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return ""
    try:
        date(*map(int, match.groups()))
    except ValueError:
        return ""
    return "".join(match.groups())


def normalize_time(text: str) -> str:
    """A DICOM time (TM) as HHMMSS, or "" where it is none."""
    time = parse_time(text)
    return f"{time:%H%M%S}" if time is not None else ""
