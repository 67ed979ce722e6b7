"""What one study would be called, from the request and its own facts alone (rules.md, "Which session" 1 to 4, 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import TYPE_CHECKING

from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.rules.comments import auto_archive, find_common_assignment, list_assignments
from scandock.rules.errors import LabelUnusable, ProjectUnknown
from scandock.rules.labels import (
    OWN_ID,
    PADDING,
    UNASSIGNED,
    clean_label,
    hash_text,
    is_project_id,
    label_key,
    person_label,
    plain_person_label,
    study_hash_label,
)
from scandock.rules.mapping import MappingRow, find_row
from scandock.rules.notices import Notice, make_notice, printable
from scandock.rules.patients import Patients, find_patients
from scandock.rules.policy import SiteRules
from scandock.rules.routing_rules import first_match
from scandock.rules.shown_names import ALL_SHOWN, ShownNames
from scandock.rules.study import StudyFacts

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChoice:
    """One of project, subject and session: the label, where it came from in words, and whether it was asked for."""

    label: str
    source: str
    """`mapping row 3`, `request`, `project rule 2` (its line), `site rule 2`, `PatientComments`, `hash` ..."""
    requested: bool = False
    """Named by the mapping or the request: kept to the letter, or the session is held."""
    raw: str = ""
    """The text before cleaning."""
    former: str = ""
    """Of a subject: the label that earlier versions gave, where that is another one."""

    @property
    def is_changed(self) -> bool:
        """Whether who asked for it did not get it to the letter."""
        return self.requested and self.label != self.raw.strip(PADDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNaming:
    """The name of one study before the catalog and the other studies of the upload are asked (`settle`)."""

    study_key: str
    project: LabelChoice
    subject: LabelChoice
    """Its label is "" (source `session`) where the subject is called as the session will be."""
    session: LabelChoice
    auto_archive: bool | None = None
    """`AA:` in the comments."""
    mapping_row: int | None = None
    """Number of the row that matched."""
    patients: Patients = field(default_factory=Patients)
    warnings: tuple[Notice, ...] = ()
    suffix_digits: str = ""
    """Where no label may tell a date or a UID: hex digits for suffixes, which stand for the study and tell neither."""
    is_hidden: bool = False
    """Whether the session's label stands for one that may not be told."""


def name_study(
    study: StudyFacts,
    request: ImportRequest,
    site: SiteRules,
    usable_project: Callable[[str], bool],
    names: ShownNames = ALL_SHOWN,
) -> StudyNaming:
    """Name one study.

    `names` says what of a folder's name may be a label; `usable_project` whether a project exists and the uploader may
    upload to it. `Usage` for a project named in the request or the mapping that is not usable (`project_unknown`), and
    for a requested label of which cleaning leaves nothing (`label_unusable`).
    """
    row = find_row(request.mapping, study)
    patients = find_patients(study, site.placeholders)
    project = _name_project(study, request, site, row, usable_project)
    session = _name_session(study, request, site, row, patients, names, project.label)
    subject = _name_subject(study, request, site, row, patients, project.label)
    return StudyNaming(
        study_key=study.key,
        project=project,
        subject=subject,
        session=session,
        auto_archive=auto_archive(study),
        mapping_row=row.number if row else None,
        patients=patients,
        warnings=tuple(_warnings(project)),
    )


def list_named_projects(request: ImportRequest) -> tuple[str, ...]:
    """The projects that the request and its mapping name: a door checks them before it reads a byte."""
    named = [request.project or "", *(row.project for row in request.mapping)]
    return tuple(dict.fromkeys(project for project in named if project))


def list_destinations(request: ImportRequest) -> tuple[str, ...]:
    """The projects to which all of an upload goes. None where it may go to any: a study that no row of a mapping names
    goes where its header says.
    """
    return list_named_projects(request) if request.project is not None else ()


def _name_project(
    study: StudyFacts, request: ImportRequest, site: SiteRules, row: MappingRow | None, usable: Callable[[str], bool]
) -> LabelChoice:
    requested = _requested_text(row, "project", request.project)
    if requested is not None:
        label, source = requested
        if label_key(label) == label_key(UNASSIGNED):
            return LabelChoice(label=UNASSIGNED, source=source, requested=True)
        if not is_project_id(label) or not usable(label):
            raise ProjectUnknown(
                f"Project {printable(label)} ({source}) does not exist, or you may not upload to it.",
                "Name one that exists, or create it first.",
            )
        return LabelChoice(label=label, source=source, requested=True, raw=label)
    candidates = [] if (hit := first_match(site.project, study)) is None else [(hit[0], f"site rule {hit[1].line}")]
    candidates += list_assignments("Project", study)
    candidates += [(study.common(keyword), keyword) for keyword in ("StudyDescription", "AccessionNumber")]
    for text, source in candidates:
        if is_project_id(text.strip()) and usable(text.strip()):
            return LabelChoice(label=text.strip(), source=source, raw=text)
    return LabelChoice(label=UNASSIGNED, source="none found")


def _name_session(
    study: StudyFacts,
    request: ImportRequest,
    site: SiteRules,
    row: MappingRow | None,
    patients: Patients,
    names: ShownNames,
    project: str,
) -> LabelChoice:
    explicit = _explicit_name("session", study, request, site, row, project)
    if explicit is not None:
        return explicit
    folder = "" if request.dialect else names.folder(study.session_folder)
    if clean_label(folder):
        return LabelChoice(label=clean_label(folder), source="folder", raw=folder)
    if study.study_uid is None:
        return _name_ecat_session(study, patients)
    if clean_label(patients.common_id):
        return LabelChoice(label=clean_label(patients.common_id), source="PatientID", raw=patients.common_id)
    return LabelChoice(label=study_hash_label(study.study_uid), source="hash", raw=study.study_uid)


def _name_ecat_session(study: StudyFacts, patients: Patients) -> LabelChoice:
    """ECAT alone is known by its label, so that is made of what tells the session: PATIENT_ID and scan date."""
    raw = patients.common_id
    if not clean_label(raw):
        return LabelChoice(label=f"ecat_{hash_text(study.key, 8)}", source="hash", raw=study.key)
    if not study.ecat_date:
        return LabelChoice(label=clean_label(raw), source="PATIENT_ID", raw=raw)
    return LabelChoice(
        label=clean_label(f"{raw}_{study.ecat_date}"), source="PATIENT_ID and scan date", raw=f"{raw}_{study.ecat_date}"
    )


def _name_subject(
    study: StudyFacts, request: ImportRequest, site: SiteRules, row: MappingRow | None, patients: Patients, project: str
) -> LabelChoice:
    explicit = _explicit_name("subject", study, request, site, row, project)
    if explicit is not None:
        return explicit
    by_id = clean_label(patients.common_id)
    plain = plain_person_label(patients.common_name, site.placeholders)
    by_name = plain if request.dialect else person_label(patients.common_name, site.placeholders)
    if by_name:
        choice = LabelChoice(label=by_name, source="PatientName", raw=patients.common_name)
    elif by_id:
        choice = LabelChoice(label=by_id, source="PatientID", raw=patients.common_id)
    else:
        choice = LabelChoice(label="", source="session")
    former = plain or by_id
    return choice if label_key(former) == label_key(choice.label) else replace(choice, former=former)


def _explicit_name(
    kind: str, study: StudyFacts, request: ImportRequest, site: SiteRules, row: MappingRow | None, project: str
) -> LabelChoice | None:
    """What was asked for, else what a rule of the project or the site, or a comment says."""
    requested = _requested_text(row, kind, request.session if kind == "session" else request.subject)
    if requested is not None:
        text, source = requested
        _check_label(kind, text, source)
        return LabelChoice(label=clean_label(text), source=source, requested=True, raw=text)
    for whose, rules in site.of_kind(kind, project):
        hit = first_match(rules, study)
        if hit is not None and clean_label(hit[0]):
            return LabelChoice(label=clean_label(hit[0]), source=f"{whose} rule {hit[1].line}", raw=hit[0])
    text, keyword = find_common_assignment(kind.capitalize(), study)
    return LabelChoice(label=clean_label(text), source=keyword, raw=text) if clean_label(text) else None


def check_labels(request: ImportRequest) -> None:
    """Usage (`label_unusable`) where a label in the request leaves none; the mapping's are checked as it is read."""
    for kind, text in (("session", request.session), ("subject", request.subject)):
        if text is not None and text.strip():
            _check_label(kind, text, "request")


def _check_label(kind: str, text: str, source: str) -> None:
    if not clean_label(text):
        raise LabelUnusable(
            f"{kind.capitalize()} label {printable(text)!r} ({source}) leaves no letter or digit.",
            "A label is made of letters, digits, _ and -.",
        )
    if OWN_ID.fullmatch(clean_label(text)):
        raise own_id_error(clean_label(text))


def own_id_error(label: str) -> Usage:
    """Why a label that somebody names can't have the form of an id, which the server alone gives."""
    return LabelUnusable(
        f"{label!r} has the form of this server's own ids: as a label it would be taken for one.",
        "Choose a label of another form.",
    )


def _requested_text(row: MappingRow | None, column: str, requested: str | None) -> tuple[str, str] | None:
    text = getattr(row, column) if row is not None else ""
    if row is not None and text:
        return str(text), f"mapping row {row.number}"
    return (requested.strip(), "request") if requested is not None and requested.strip() else None


def _warnings(project: LabelChoice) -> list[Notice]:
    if project.label == UNASSIGNED:
        return [make_notice("project_unassigned")]
    if project.source in {"StudyDescription", "AccessionNumber"}:
        return [make_notice("project_from_header", project=project.label, source=project.source)]
    return []
