"""Which subject: one patient each, told apart where labels alone would mix two (rules.md, "Which session" 1, 6, 7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from scandock.rules.catalog_view import CatalogView, KnownSubject
from scandock.rules.decisions import StudyCase
from scandock.rules.labels import OWN_ID, label_key
from scandock.rules.notices import make_notice
from scandock.rules.study import is_same_patient
from scandock.rules.suffixes import add_subject_suffix

_FROM_HEADER = frozenset({"PatientName", "PatientID"})


def assign_subjects(cases: Sequence[StudyCase], view: CatalogView, *, one_patient: bool = False) -> None:
    """Give each case of one project its subject; the labels of their sessions are settled before.

    A study goes to the subject of the session that it belongs to, or of its other side. A new one goes to the subject
    that was named or derived; where that label would take two patients, those whose label came from the header are
    told apart.
    `one_patient`: several PatientIDs in one study are one patient's.
    """
    groups: dict[str, list[StudyCase]] = defaultdict(list)
    for case in cases:
        case.subject = _inherited_subject(case)
    _keep_former_subjects([case for case in cases if not case.subject and case.naming.subject.former], view)
    for case in cases:
        case.subject = case.subject or case.naming.subject.label or case.subject_label
        groups[label_key(case.subject)].append(case)
    for group in groups.values():
        _separate_patients(group, view)
    _hold_requested(cases, one_patient=one_patient)
    _unify_spelling(cases, view)


def _inherited_subject(case: StudyCase) -> str:
    session = case.archived_session or case.waiting
    requested = case.naming.subject
    if session is None or not session.subject:
        return "" if requested.requested or not case.other_sides else case.other_sides[0].subject
    if requested.requested and label_key(requested.label) != label_key(session.subject):
        case.held.append(
            make_notice("subject_differs", label=case.label, other=session.subject, subject=requested.label)
        )
        return requested.label
    return session.subject


def _keep_former_subjects(cases: Sequence[StudyCase], view: CatalogView) -> None:
    """Leave a patient's new sessions at the subject whose label an earlier version made of the name.

    Under that label, or the form of it that told the patient apart from others.
    """
    groups: dict[str, list[StudyCase]] = defaultdict(list)
    for case in cases:
        groups[label_key(case.naming.subject.former)].append(case)
    labels: dict[StudyCase, list[str]] = {}
    names: dict[StudyCase, str] = {}
    for group in groups.values():
        tokens = list(zip(group, _patient_tokens(group), strict=True))
        bearers: dict[str, set[str]] = defaultdict(set)
        for case, token in tokens:
            if case.naming.patients.common_id:
                bearers[case.naming.patients.name].add(token)
        for case, token in tokens:
            former, name = case.naming.subject.former, case.naming.patients.name
            labels[case] = [former, *([add_subject_suffix(former, token)] if token else [])]
            names[case] = name if not case.naming.patients.common_id or len(bearers[name]) == 1 else ""
    every = {label for of_case in labels.values() for label in of_case}
    known = view.subjects_labelled(cases[0].policy.id, every) if cases else {}
    for case, own in labels.items():
        for label in own:
            subject, patient_id = known.get(label_key(label)), case.naming.patients.common_id
            if subject is not None and is_subject_of(
                subject, patient_id, names[case], cut=case.study.study_uid is None
            ):
                case.subject, case.keeps_subject = subject.label, True
                break


def is_subject_of(known_subject: KnownSubject, patient_id: str, name: str, *, cut: bool) -> bool:
    """Whether a known subject is a patient, by the PatientID; where one of both has none, by the name.

    `name` is as `Patients.name` has it, "" where it can't decide. `cut`: the id comes from ECAT.
    """
    if patient_id and known_subject.patient_ids:
        return _has_id(known_subject, patient_id, cut=cut)
    return bool(name) and known_subject.patient_names == {name}


def _hold_requested(cases: Sequence[StudyCase], *, one_patient: bool) -> None:
    """A requested subject takes one patient of an upload; absent PatientIDs count for none."""
    groups: dict[str, list[StudyCase]] = defaultdict(list)
    for case in cases:
        if case.naming.subject.requested:
            groups[label_key(case.naming.subject.label)].append(case)
    for group in groups.values():
        tokens = {token for case, token in zip(group, _patient_tokens(group), strict=True) if case.naming.patients.ids}
        ids = {patient_id for case in group for patient_id in case.naming.patients.ids}
        mixed = not one_patient and any(len(case.naming.patients.ids) > 1 for case in group)
        if len(tokens) > 1 or mixed:
            why = make_notice("subject_many_patients", subject=group[0].naming.subject.label, count=len(ids))
            for case in group:
                if case.archived_session is None:
                    case.held.append(why)


def _separate_patients(group: list[StudyCase], view: CatalogView) -> None:
    """Tell apart the patients of one subject's label, in the upload and the catalog together.

    Who is known under the bare label stays there; who was told apart before goes to that subject again. Of the new
    ones all get a suffix, so that the order does not matter. Explicit names (comments, site rules) and the subjects of
    sessions that are there already are kept, with a warning. A label of the form of an id, which nobody requests,
    always gets the suffix: in an address it would be another subject's.
    """
    known_subject = view.subject(group[0].policy.id, group[0].subject)
    tokens = _patient_tokens(group)
    several = len(set(tokens) - {""}) > 1
    for case, token in zip(group, tokens, strict=True):
        if case.keeps_subject or (token and known_subject is not None and _is_patient_of(known_subject, case)):
            continue
        placed = case.archived_session is not None or case.waiting is not None
        if OWN_ID.fullmatch(case.subject) and not placed:
            now = add_subject_suffix(case.subject, token or case.subject)
            case.warnings.append(make_notice("label_own_id", what="Subject", label=case.subject, now=now))
            case.subject = now
            continue
        if not token:
            continue
        mixes = several and not case.naming.subject.requested
        mixes = mixes or (known_subject is not None and not _is_in_place(case) and _contradicts(known_subject, case))
        if placed or case.naming.subject.source not in _FROM_HEADER:
            if mixes:
                case.warnings.append(make_notice("subject_other_patient", subject=case.subject))
            continue
        apart = add_subject_suffix(case.subject, token)
        before = view.subject(case.policy.id, apart)
        if mixes or (before is not None and _is_patient_of(before, case)):
            case.warnings.append(make_notice("subjects_told_apart", subject=case.subject, now=apart))
            case.subject = apart


def _is_in_place(case: StudyCase) -> bool:
    """Whether a case's session says the patient that the case does, as one does that comes back as it was exported."""
    session = case.archived_session or case.waiting
    return session is not None and session.patient_id in case.naming.patients.ids


def _patient_tokens(group: Sequence[StudyCase]) -> list[str]:
    """What stands for each case's patient: PatientID, else the name; equal for what counts as one patient.

    Who bears no PatientID is taken for the one patient of the same name that has one. ECAT cuts ids at 16 characters.
    """
    ids = {case.naming.patients.common_id for case in group}
    of_name: dict[str, set[str]] = defaultdict(set)
    for case in group:
        if case.naming.patients.common_id:
            of_name[case.naming.patients.name].add(_full_patient_id(case, ids))
    tokens = []
    for case in group:
        name = case.naming.patients.name
        if case.naming.patients.common_id:
            tokens.append(_full_patient_id(case, ids))
        elif len(of_name.get(name, ())) == 1:
            tokens.append(next(iter(of_name[name])))
        else:
            tokens.append(name)
    return tokens


def _full_patient_id(case: StudyCase, ids: set[str]) -> str:
    """A case's PatientID; for one that ECAT may have cut, the only longer one that it begins."""
    own = case.naming.patients.common_id
    if case.study.study_uid is not None:
        return own
    longer = {other for other in ids if len(other) > len(own) and is_same_patient(own, other)}
    return longer.pop() if len(longer) == 1 else own


def compare_patient(known_subject: KnownSubject, patient_id: str, *, cut: bool) -> bool | None:
    """Whether a known subject is the patient of an id; None where it may be that patient or another."""
    if not patient_id or not known_subject.patient_ids:
        return None
    return _has_id(known_subject, patient_id, cut=cut)


def _is_patient_of(known_subject: KnownSubject, case: StudyCase) -> bool:
    """Whether a known subject is certainly this case's patient."""
    patients = case.naming.patients
    if patients.common_id:
        return _has_id(known_subject, patients.common_id, cut=case.study.study_uid is None)
    return patients.name in known_subject.patient_names


def _contradicts(known_subject: KnownSubject, case: StudyCase) -> bool:
    """Whether a known subject is certainly another patient."""
    patients = case.naming.patients
    if patients.common_id and known_subject.patient_ids:
        return not _has_id(known_subject, patients.common_id, cut=case.study.study_uid is None)
    return bool(patients.name and known_subject.patient_names) and patients.name not in known_subject.patient_names


def _has_id(known_subject: KnownSubject, patient_id: str, *, cut: bool) -> bool:
    if patient_id in known_subject.patient_ids:
        return True
    return cut and any(is_same_patient(patient_id, other) for other in known_subject.patient_ids)


def _unify_spelling(cases: Sequence[StudyCase], view: CatalogView) -> None:
    """One spelling for a subject: the catalog's, else a requested one, else the first in code-point order."""
    groups: dict[str, list[StudyCase]] = defaultdict(list)
    for case in cases:
        groups[label_key(case.subject)].append(case)
    for group in groups.values():
        inherited = [
            session.subject for case in group if (session := case.archived_session or case.waiting) is not None
        ]
        same = [label for label in inherited if label_key(label) == label_key(group[0].subject)]
        known_subject = view.subject(group[0].policy.id, group[0].subject)
        requested = [case.subject for case in group if case.naming.subject.requested]
        spelled = (
            known_subject.label
            if known_subject is not None
            else min(same or requested or [case.subject for case in group])
        )
        for case in group:
            case.subject = spelled
