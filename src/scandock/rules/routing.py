"""All studies of one upload against each other and the catalog: the decisions (rules.md, "Which session" 5-9, "Again").

Pure: the catalog is asked through `CatalogView`, the time is given. The order of the studies does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.collisions import check_requested_labels, join_by_label, resolve_collisions
from scandock.rules.decisions import Decision, StudyCase
from scandock.rules.labels import PADDING, UNASSIGNED, label_key
from scandock.rules.naming import StudyNaming
from scandock.rules.notices import Notice, make_notice
from scandock.rules.petmr import pet_label
from scandock.rules.policy import ProjectPolicy, effective_destination, effective_overwrite
from scandock.rules.prearchive import PrearchiveSlots
from scandock.rules.reimports import (
    find_conflict_session,
    find_joinable_sessions,
    hold_decision,
    left_in_prearchive_notice,
    session_exists_notice,
    still_held_notice,
)
from scandock.rules.related_sessions import waiting_elsewhere_notice
from scandock.rules.session_types import can_join_type, study_session_type
from scandock.rules.study import StudyFacts
from scandock.rules.study_sides import relate_sides, warn_of_sides
from scandock.rules.subjects import assign_subjects
from scandock.rules.suffixes import suffixed_labels

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest

__all__ = ["HOLD_REASONS", "Decision", "hold_decision", "route_studies"]

HOLD_REASONS = (
    "patient_mismatch",
    "label_many_studies",
    "subject_many_patients",
    "study_elsewhere",
    "subject_differs",
    "session_exists",
    "type_differs",
    "identified",
)
"""The first of these that applies is why a session is held; the others are said as warnings."""
_NAME_THE_OTHER = frozenset({"study_elsewhere", "study_twice"})
"""They name the session that the study is in already."""


def route_studies(
    namings: Sequence[StudyNaming],
    studies: Sequence[StudyFacts],
    request: ImportRequest,
    policies: Mapping[str, ProjectPolicy],
    view: CatalogView,
    now: datetime,
) -> list[Decision]:
    """One decision for each study, in the order of `studies`.

    `namings` belong to `studies` by their keys. `policies` holds the policy of every project named there; one that is
    missing (`Unassigned`) gets the defaults.
    """
    by_key = {naming.study_key: naming for naming in namings}
    projects: dict[str, list[StudyCase]] = defaultdict(list)
    for study in sorted(studies, key=lambda study: study.key):
        case = _make_case(study, by_key[study.key], request, policies)
        projects[case.policy.id].append(case)
    decided: dict[str, Decision] = {}
    for cases in projects.values():
        for decision in _route_project(cases, request, view, now):
            decided[decision.study_key] = decision
    return [decided[study.key] for study in studies]


def _make_case(
    study: StudyFacts, naming: StudyNaming, request: ImportRequest, policies: Mapping[str, ProjectPolicy]
) -> StudyCase:
    project = naming.project.label
    policy = policies.get(project) or ProjectPolicy(id=project)
    bound = "prearchive" if project == UNASSIGNED else effective_destination(request, policy, naming.auto_archive)
    case = StudyCase(study=study, naming=naming, policy=policy, bound=bound, label=naming.session.label)
    case.warnings.extend(naming.warnings)
    if policy.petmr == "pet" and not study.side and {"PT", "MR"} <= set(study.distinct("Modality")):
        _rename_petmr_label(case)
    return case


def _rename_petmr_label(case: StudyCase) -> None:
    """The label of a PET/MR study that its project keeps as PET: its last PETMR becomes PET (4.7)."""
    label = pet_label(case.label)
    if label != case.label:
        old_label, case.label = case.label, label
        case.warnings.append(make_notice("label_petmr", project=case.policy.id, other=old_label, label=case.label))


def _route_project(cases: list[StudyCase], request: ImportRequest, view: CatalogView, now: datetime) -> list[Decision]:
    relate_sides(cases, view)
    for case in cases:
        find_archived_session(case, view, dialect=request.dialect)
    warn_of_sides(cases)
    check_requested_labels(cases, view)
    resolve_collisions(cases, view)
    for case in cases:
        join_by_label(case, view)
    assign_subjects(cases, view, one_patient=request.one_patient)
    for case in cases:
        _check_patient(case, one_patient=request.one_patient)
        _check_identified(case)
        _check_overwrite(case, request)
        _check_type(case, request)
        _warn_of_facts(case)
    prearchive = PrearchiveSlots(cases[0].policy.id, view, now)
    return [_decide(case, request, view, prearchive) for case in cases]


def _check_patient(case: StudyCase, *, one_patient: bool) -> None:
    """Two different PatientIDs in one study, those of the session that it belongs to counted: held.

    Or warned of (`one_patient`), where whoever sent it named subject and session by hand.
    """
    ids = list(case.naming.patients.ids)
    session = case.archived_session or case.waiting
    if session is not None and case.differs_from(session):
        ids.append(session.patient_id)
    if len(set(ids)) > 1:
        reason = make_notice("patient_mismatch", label=case.label, ids=", ".join(sorted(set(ids))))
        (case.warnings if one_patient else case.held).append(reason)


def _check_identified(case: StudyCase) -> None:
    """Objects that do not say that they are de-identified, by the project's setting (rules.md 9). ECAT can't say it."""
    if case.policy.identified == "accept":
        return
    objects = case.study.objects
    count = objects - case.study.counts("PatientIdentityRemoved")["YES"]
    if count and case.policy.identified == "hold":
        case.held.append(
            make_notice("identified", project=case.policy.id, label=case.label, count=count, objects=objects)
        )
    elif count:
        case.warnings.append(make_notice("identified_warning", label=case.label, count=count, objects=objects))


def _check_overwrite(case: StudyCase, request: ImportRequest) -> None:
    if (
        case.bound == "archive"
        and case.archived_session is not None
        and effective_overwrite(request, case.policy) == "none"
    ):
        case.held.append(session_exists_notice(case.archived_session.label, case.policy.id))


def _check_type(case: StudyCase, request: ImportRequest) -> None:
    """What comes for an archived session of another type that a person set (5.7, 6); `delete` takes it all the same."""
    home, petmr = case.archived_session, case.pet_mr
    if case.bound != "archive" or home is None or not home.type_is_set:
        return
    if effective_overwrite(request, case.policy) == "delete":
        return
    coming = study_session_type(case.study, petmr)
    if not can_join_type(home.xsi_type, coming, petmr, same_study=case.is_own(home)):
        case.held.append(make_notice("type_differs", label=home.label, other=home.xsi_type, type=coming))


def _warn_of_facts(case: StudyCase) -> None:
    """Warn of what the study's own objects do not agree on, or do not say."""
    study, naming, patients = case.study, case.naming, case.naming.patients
    for what, choice in (("Session", naming.session), ("Subject", naming.subject)):
        if choice.is_changed:
            case.warnings.append(
                make_notice("label_changed", what=what, asked=choice.raw.strip(PADDING), label=choice.label)
            )
    if naming.session.source == "hash" and case.archived_session is None and case.waiting is None:
        case.warnings.append(make_notice("label_from_hash", label=case.label))
    if naming.session.source == "folder" and len(study.session_folders) > 1:
        case.warnings.append(make_notice("folders_disagree", count=len(study.session_folders), label=case.label))
    if patients.ids and patients.without_id:
        ids = ", ".join(patients.ids)
        values = {"label": case.label, "count": patients.without_id, "objects": study.objects, "ids": ids}
        case.warnings.append(make_notice("patient_absent", **values))


def _decide(case: StudyCase, request: ImportRequest, view: CatalogView, prearchive: PrearchiveSlots) -> Decision:
    """The decision of one case, once all cases of its project are settled."""
    held = sorted(case.held, key=lambda notice: HOLD_REASONS.index(notice.code))
    warnings = [*case.warnings, *held[1:]]
    reason: Notice | None = held[0] if held else None
    place = "prearchive" if held else case.bound
    existing = case.archived_session.uuid if case.archived_session else None
    timestamp: str | None = None
    folder, settles = "", None
    if place == "prearchive":
        requested_timestamp = request.timestamp if case.bound == "prearchive" else ""
        waiting, timestamp = prearchive.join(
            find_joinable_sessions(case, view),
            case.label,
            requested_timestamp,
            request.former_timestamp,
            case.study.study_uid,
        )
        existing = waiting.uuid if waiting else None
        if timestamp == requested_timestamp and not (
            case.partner is not None or prearchive.has_label(requested_timestamp, request.folder)
        ):
            folder = request.folder  # another session's label is its address: once that is gone, it is nobody's
        if reason is None and waiting is not None and waiting.held:
            reason = still_held_notice(waiting)
        if not {notice.code for notice in (*held, *warnings)} & _NAME_THE_OTHER:
            elsewhere = waiting_elsewhere_notice(case.label, case.known, existing)
            warnings += [elsewhere] if elsewhere else []
    else:
        if (left_notice := left_in_prearchive_notice(case, view)) is not None:
            warnings.append(left_notice)
        settles = find_conflict_session(case) if request.settles else None
    return Decision(
        study_key=case.study.key,
        study_uid=case.study.study_uid,
        project=case.policy.id,
        subject=case.subject,
        label=case.label,
        place=place,
        side=case.study.side,
        existing=existing,
        archived=case.archived_session.uuid if case.archived_session else None,
        timestamp=timestamp,
        settles=settles,
        folder=folder,
        held=reason,
        warnings=tuple(warnings),
        overwrite=effective_overwrite(request, case.policy),
        patient_id=case.naming.patients.common_id,
    )


def find_archived_session(case: StudyCase, view: CatalogView, *, dialect: bool) -> None:
    """Give a case the session of its study, and with it the label; hold it where the request names another."""
    uid = case.study.study_uid
    study_sessions = view.sessions_of_study(case.policy.id, uid) if uid else ()
    case.known = tuple(session for session in study_sessions if not session.by_hand and case.is_own(session))
    if case.requested:
        _match_requested(case, view, dialect=dialect)
    else:
        _match_derived(case, view)


def _match_requested(case: StudyCase, view: CatalogView, *, dialect: bool) -> None:
    candidates = [session for session in case.known if session.place == "archive"]
    labelled = view.sessions_labelled(case.policy.id, case.label)
    case.archived_session = _first(
        session for session in labelled if session.place == "archive" and case.can_join(session)
    )
    if case.archived_session is not None:
        return
    if case.bound == "prearchive" and not candidates:
        waiting = [session for session in case.known if session.place == "prearchive"]
        case.waiting = _first(session for session in waiting if label_key(session.label) == case.key)
        candidates = [session for session in waiting if not session.held] if case.waiting is None else []
    if candidates:
        code = "study_twice" if dialect else "study_elsewhere"
        reason = make_notice(
            code, project=case.policy.id, other=min(candidates, key=_precedence).label, label=case.label
        )
        (case.warnings if dialect else case.held).append(reason)


def _match_derived(case: StudyCase, view: CatalogView) -> None:
    archived = [session for session in case.known if session.place == "archive"]
    case.archived_session = _first(s for s in archived if label_key(s.label) == case.key) or _first(archived)
    if case.archived_session is None and case.bound == "prearchive":
        case.waiting = _find_waiting(case)
    matched = case.archived_session or case.waiting
    if matched is None and case.bound == "archive" and (own := _find_own_waiting(case)) is not None:
        case.label = own.label  # by which it joins that one if it is held
        return
    if matched is None:
        if case.bound == "prearchive" and case.study.study_uid is not None and not case.study.side:
            promised = view.promised_sessions(case.policy.id, study_uid=case.study.study_uid)
            if promised and (not case.naming.is_hidden or label_key(promised[0].label) in _own_labels(case)):
                case.label = promised[0].label  # else it was promised when more might be known
        return
    if not case.naming.is_hidden and label_key(matched.label) not in _own_labels(case):
        case.warnings.append(make_notice("label_kept", project=case.policy.id, label=matched.label, other=case.label))
    case.label = matched.label


def _find_waiting(case: StudyCase) -> KnownSession | None:
    """The prearchive session of the study: of its label, else of a suffixed form of it, else any that is not held."""
    waiting = [session for session in case.known if session.place == "prearchive"]
    return _find_own_waiting(case) or _first(session for session in waiting if not session.held)


def _find_own_waiting(case: StudyCase) -> KnownSession | None:
    """The prearchive session of the study that has its label, else a suffixed form of it."""
    waiting = [session for session in case.known if session.place == "prearchive"]
    for key in _own_labels(case) if waiting else ():
        match = _first(session for session in waiting if label_key(session.label) == key)
        if match is not None:
            return match
    return None


def _own_labels(case: StudyCase) -> list[str]:
    suffixed = suffixed_labels(case.label, case.study, case.naming.suffix_digits)
    return [case.key, *map(label_key, suffixed)]


def _precedence(session: KnownSession) -> tuple[bool, str, str, str]:
    return bool(session.held), label_key(session.label), session.timestamp or "", session.uuid


def _first(sessions: Iterable[KnownSession]) -> KnownSession | None:
    return min(sessions, key=_precedence, default=None)
