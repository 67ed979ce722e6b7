"""Suffixes that tell two sessions, or two subjects, of one label apart (rules.md, "Which session" 6, 7)."""

from __future__ import annotations

from scandock.rules.labels import append_suffix, hash_text
from scandock.rules.study import StudyFacts

_LONGER = (12, 24, 48)


def suffixed_labels(label: str, study: StudyFacts, digits: str = "") -> list[str]:
    """The labels that a study may get instead of `label`, the first to be tried first.

    `_{StudyDate}` and `_{StudyDate}_{HHMMSS}` where there are such, then `_` and 6 hex digits of
    sha256(StudyInstanceUID) (of the key for ECAT alone), then, since 6 digits may be taken too, more of them.
    `digits`, where given, take the place of all of these: no date, and no hash that anybody could make.
    """
    if digits:
        return [append_suffix(label, "_" + digits[:count]) for count in (6, *_LONGER)]
    identity = study.study_uid if study.study_uid is not None else study.key
    dated = [append_suffix(label, f"_{study.date}")] if study.date else []
    if study.date and study.time:
        dated.append(append_suffix(label, f"_{study.date}_{study.time}"))
    return dated + [append_suffix(label, "_" + hash_text(identity, count)) for count in (6, *_LONGER)]


def add_subject_suffix(label: str, token: str, digits: int = 6) -> str:
    """The subject's label of the patient `token` (PatientID, else name) where `label` takes several."""
    return append_suffix(label, "_" + hash_text(token, digits))
