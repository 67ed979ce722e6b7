"""All studies of one upload against each other and the catalog: the decisions (rules.md, "Which session" 5-9, "Again").

Pure: the catalog is asked through `CatalogView`, the time is given. The order of the studies does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from scandock.rules.again import hold, joinable, left_alone, left_in_conflict, session_exists, still_held
from scandock.rules.cases import Case, Decision
from scandock.rules.collisions import check_requested, join_by_label, tell_apart
from scandock.rules.elsewhere import waits_elsewhere
from scandock.rules.homes import find_home
from scandock.rules.labels import UNASSIGNED
from scandock.rules.naming import Naming
from scandock.rules.notices import Notice, notice
from scandock.rules.policy import ProjectPolicy, destination_of, effective_overwrite
from scandock.rules.prearchive import Prearchive
from scandock.rules.session_types import may_join_type, type_of_study
from scandock.rules.study import StudyFacts
from scandock.rules.subjects import choose_subjects
from scandock.rules.view import CatalogView

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest

__all__ = ["REASONS", "Decision", "hold", "settle"]

REASONS = (
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


def settle(
    namings: Sequence[Naming],
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
    projects: dict[str, list[Case]] = defaultdict(list)
    for study in sorted(studies, key=lambda study: study.key):
        case = _case(study, by_key[study.key], request, policies)
        projects[case.policy.id].append(case)
    decided: dict[str, Decision] = {}
    for cases in projects.values():
        for decision in _settle_project(cases, request, view, now):
            decided[decision.study_key] = decision
    return [decided[study.key] for study in studies]


def _case(study: StudyFacts, naming: Naming, request: ImportRequest, policies: Mapping[str, ProjectPolicy]) -> Case:
    project = naming.project.label
    policy = policies.get(project) or ProjectPolicy(id=project)
    bound = "prearchive" if project == UNASSIGNED else destination_of(request, policy, naming.auto_archive)
    case = Case(study=study, naming=naming, policy=policy, bound=bound, label=naming.session.label)
    case.warnings.extend(naming.warnings)
    if policy.petmr == "pet" and {"PT", "MR"} <= set(study.distinct("Modality")):
        _as_pet(case)
    return case


def _as_pet(case: Case) -> None:
    """The label of a PET/MR study that its project keeps as PET: its last PETMR becomes PET (4.7)."""
    before, found, after = case.label.rpartition("PETMR")
    if found:
        asked, case.label = case.label, f"{before}PET{after}"
        case.warnings.append(notice("label_petmr", project=case.policy.id, other=asked, label=case.label))


def _settle_project(cases: list[Case], request: ImportRequest, view: CatalogView, now: datetime) -> list[Decision]:
    for case in cases:
        find_home(case, view, dialect=request.dialect)
    check_requested(cases, view)
    tell_apart(cases, view)
    for case in cases:
        join_by_label(case, view)
    choose_subjects(cases, view, one_patient=request.one_patient)
    for case in cases:
        _check_patient(case, one_patient=request.one_patient)
        _check_identified(case)
        _check_overwrite(case, request)
        _check_type(case, request)
        _say_facts(case)
    prearchive = Prearchive(cases[0].policy.id, view, now)
    return [_decide(case, request, view, prearchive) for case in cases]


def _check_patient(case: Case, *, one_patient: bool) -> None:
    """Two different PatientIDs in one study, those of the session that it belongs to counted: held.

    Or warned of (`one_patient`), where whoever sent it named subject and session by hand.
    """
    ids = list(case.naming.patients.ids)
    found = case.home or case.waiting
    if found is not None and case.differs_from(found):
        ids.append(found.patient_id)
    if len(set(ids)) > 1:
        said = notice("patient_mismatch", label=case.label, ids=", ".join(sorted(set(ids))))
        (case.warnings if one_patient else case.held).append(said)


def _check_identified(case: Case) -> None:
    """Objects that do not say that they are de-identified, by the project's setting (rules.md 9). ECAT can't say it."""
    if case.policy.identified == "accept":
        return
    objects = case.study.objects
    count = objects - case.study.counts("PatientIdentityRemoved")["YES"]
    if count and case.policy.identified == "hold":
        case.held.append(notice("identified", project=case.policy.id, label=case.label, count=count, objects=objects))
    elif count:
        case.warnings.append(notice("identified_warning", label=case.label, count=count, objects=objects))


def _check_overwrite(case: Case, request: ImportRequest) -> None:
    if case.bound == "archive" and case.home is not None and effective_overwrite(request, case.policy) == "none":
        case.held.append(session_exists(case.home.label, case.policy.id))


def _check_type(case: Case, request: ImportRequest) -> None:
    """What comes for an archived session of another type that a person set (5.7, 6); `delete` takes it all the same."""
    home, petmr = case.home, case.policy.petmr
    if case.bound != "archive" or home is None or not home.type_is_set:
        return
    if effective_overwrite(request, case.policy) == "delete":
        return
    coming = type_of_study(case.study, petmr)
    if not may_join_type(home.xsi_type, coming, petmr, same_study=case.is_own(home)):
        case.held.append(notice("type_differs", label=home.label, other=home.xsi_type, type=coming))


def _say_facts(case: Case) -> None:
    """Warn of what the study's own objects do not agree on, or do not say."""
    study, naming, patients = case.study, case.naming, case.naming.patients
    if naming.session.source == "hash" and case.home is None and case.waiting is None:
        case.warnings.append(notice("label_from_hash", label=case.label))
    if naming.session.source == "folder" and len(study.session_folders) > 1:
        case.warnings.append(notice("folders_disagree", count=len(study.session_folders), label=case.label))
    if patients.ids and patients.without_id:
        ids = ", ".join(patients.ids)
        said = {"label": case.label, "count": patients.without_id, "objects": study.objects, "ids": ids}
        case.warnings.append(notice("patient_absent", **said))


def _decide(case: Case, request: ImportRequest, view: CatalogView, prearchive: Prearchive) -> Decision:
    """The decision of one case, once all cases of its project are settled."""
    held = sorted(case.held, key=lambda said: REASONS.index(said.code))
    warnings = [*case.warnings, *held[1:]]
    reason: Notice | None = held[0] if held else None
    place = "prearchive" if held else case.bound
    existing = case.home.uuid if case.home else None
    timestamp: str | None = None
    folder, settles = "", None
    if place == "prearchive":
        wanted = request.timestamp if case.bound == "prearchive" else ""
        waiting, timestamp = prearchive.join(joinable(case, view), case.label, wanted)
        existing = waiting.uuid if waiting else None
        if timestamp == wanted and not prearchive.is_label(wanted, request.folder):
            folder = request.folder  # another session's label is its address: once that is gone, it is nobody's
        if reason is None and waiting is not None and waiting.held:
            reason = still_held(waiting)
        if not {said.code for said in (*held, *warnings)} & _NAME_THE_OTHER:
            elsewhere = waits_elsewhere(case.label, case.known, existing)
            warnings += [elsewhere] if elsewhere else []
    else:
        if (left := left_alone(case, view)) is not None:
            warnings.append(left)
        settles = left_in_conflict(case) if request.settles else None
    return Decision(
        study_key=case.study.key,
        study_uid=case.study.study_uid,
        project=case.policy.id,
        subject=case.subject,
        label=case.label,
        place=place,
        existing=existing,
        archived=case.home.uuid if case.home else None,
        timestamp=timestamp,
        settles=settles,
        folder=folder,
        held=reason,
        warnings=tuple(warnings),
        overwrite=effective_overwrite(request, case.policy),
        patient_id=case.naming.patients.common_id,
    )
