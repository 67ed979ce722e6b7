"""Whose study it is: PatientIDs that count, and the name (rules.md, "Which session" 1, 6, 7)."""

from __future__ import annotations

from collections.abc import Collection

from scandock.model.dataclass import dataclass
from scandock.rules.labels import PLACEHOLDERS, is_placeholder
from scandock.rules.study import StudyFacts, is_same_patient

_FOLDED = str.maketrans({"\0": " ", "\t": " ", "\r": " ", "\n": " "})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """The patient or patients of one study, as its objects say; placeholders count as absent."""

    ids: tuple[str, ...] = ()
    """The different PatientIDs, sorted; more than one is a mismatch."""
    common_id: str = ""
    """The one that most objects bear."""
    common_name: str = ""
    """The PatientName that most objects bear, as it is written."""
    without_id: int = 0
    """Objects that bear no PatientID."""

    @property
    def name(self) -> str:
        """The name as it is compared."""
        return fold_name(self.common_name)

    @property
    def token(self) -> str:
        """What stands for the patient where two are told apart: the PatientID, else the name, else ""."""
        return self.common_id or self.name

    def differ_from(self, patient_id: str, *, cut: bool = False) -> bool:
        """Whether a session of `patient_id` ("": absent) is certainly another patient's.

        `cut`: one of both ids comes from ECAT, which has room for 16 characters.
        """
        if not patient_id or not self.ids or patient_id in self.ids:
            return False
        return not (cut and any(is_same_patient(patient_id, own) for own in self.ids))


def fold_name(name: str) -> str:
    """A PatientName as names are compared: without case, padding and empty components."""
    return name.translate(_FOLDED).strip(" ^=").casefold()


def find_patients(study: StudyFacts, placeholders: Collection[str] = PLACEHOLDERS) -> Patients:
    """Who a study's objects say it is of."""
    ids = study.patient_ids(placeholders)
    common_id = _common(study, "PatientID", placeholders)
    return Patients(
        ids=ids,
        common_id=common_id if common_id or not ids else ids[0],
        common_name=_common(study, "PatientName", placeholders),
        without_id=study.without_patient_id(placeholders),
    )


def _common(study: StudyFacts, keyword: str, placeholders: Collection[str]) -> str:
    absent = {text for text in study.counts(keyword) if is_placeholder(text, placeholders)}
    return study.common(keyword, absent)
