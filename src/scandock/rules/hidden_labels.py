"""Labels that say nothing of a patient, a study or a folder: what a policy makes of those that nobody asked for.

What headers or folders name is replaced by keyed hashes; what the request or its mapping names stays to the letter.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from scandock.rules.keyed_values import id_pseudonym, keyed_letters
from scandock.rules.labels import clean_label, label_key
from scandock.rules.naming import LabelChoice, StudyNaming
from scandock.rules.patients import Patients
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import LEVELS, Level
from scandock.rules.study import StudyFacts

_CHARACTERS: Final = 8
"""Letters and digits that stand for what a label would have said."""
_DIGITS: Final = 8
_KEYED: Final = "policy"
"""Source of a label that a policy gives without looking at what would have named it."""
_UID: Final = re.compile(r"(?<![0-9])[0-2](?:_[0-9]+){5,}")
"""A UID as it stands in a label."""


def hide_labels(naming: StudyNaming, study: StudyFacts, rules: PrivacyRules) -> StudyNaming:
    """A study's naming by labels that its project's policy allows; `naming` has the patients as they are."""
    policy = rules.policy
    if policy.is_open:
        return naming
    session = naming.session
    if not session.requested:
        session = _hide_session(session, study, rules)
    subject = naming.subject
    if not subject.requested and subject.label:
        subject = _hide_subject(subject, naming.patients, rules)
    hides_dates = policy.changes_objects
    return replace(
        naming,
        session=session,
        subject=subject,
        suffix_digits=rules.keyed_digits("suffix", study.study_uid or study.key) if hides_dates else "",
        is_hidden=session != naming.session,
    )


def _hide_session(choice: LabelChoice, study: StudyFacts, rules: PrivacyRules) -> LabelChoice:
    level = _level_of(choice, rules)
    if level == "keep":
        return choice
    if study.study_uid is None:
        label = f"ecat_{rules.keyed_digits('ecat', label_key(choice.label))[:_DIGITS]}"
        return _hidden(choice, label)
    if choice.source == "hash" or level == "drop":
        label = f"study_{rules.keyed_digits('study', study.study_uid)[:_DIGITS]}"
        return _hidden(choice, label, source=choice.source if choice.source == "hash" else _KEYED)
    if choice.source == "PatientID":
        return _hidden(choice, clean_label(id_pseudonym(rules.key, choice.raw)))
    return _hidden(choice, f"E-{_letters(rules, 'session label', label_key(choice.label))}")


def _hide_subject(choice: LabelChoice, patients: Patients, rules: PrivacyRules) -> LabelChoice:
    """Hashed is the label itself, so that who has one has one still; dropped is all but that it is one patient."""
    level = _level_of(choice, rules)
    if level == "keep":
        return choice
    if level == "drop" and patients.token:
        kind = "patient id" if patients.common_id else "patient name"
        return _hidden(choice, f"S-{_letters(rules, kind, patients.token)}")
    return _hidden(choice, f"S-{_letters(rules, 'subject label', label_key(choice.label))}")


def _level_of(choice: LabelChoice, rules: PrivacyRules) -> Level:
    """The level that holds for what a label was made of; of a UID that of UIDs, wherever it stood.

    Folders often are called by patients; what their names may say beside that is decided where names are shown.
    """
    policy = rules.policy
    levels = [policy.patient]
    if choice.source == "hash" or _UID.search(choice.label):
        levels.append(policy.study_uid)
    return max(levels, key=LEVELS.index)


def _hidden(choice: LabelChoice, label: str, *, source: str = "") -> LabelChoice:
    return replace(choice, label=label, raw="", former="", source=source or choice.source)


def _letters(rules: PrivacyRules, kind: str, text: str) -> str:
    return keyed_letters(rules.key, kind, text, _CHARACTERS)
