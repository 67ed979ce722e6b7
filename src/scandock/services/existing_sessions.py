"""Which sessions there are already, asked before an upload for all that it would make: one look for many labels.

Where a project de-identifies, what is asked by UIDs and PatientIDs is compared by their keyed hashes; none is kept.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select

from scandock.access.principal import Principal
from scandock.access.visibility import own_where, projects_where
from scandock.catalog.assessors import select_labels_with_sessions
from scandock.catalog.privacy_texts import filters_in_force
from scandock.catalog.records import SessionRecord
from scandock.catalog.session_lookups import (
    VALUES_PER_STATEMENT,
    select_holders_of_ecat,
    select_holders_of_origins,
    select_subjects_of_patients,
    select_subjects_of_tokens,
    split_values,
)
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import project, session
from scandock.catalog.trees import files_of
from scandock.catalog.view import SqlView
from scandock.model.dataclass import dataclass
from scandock.pipeline.known_entries import origins_of_ecat
from scandock.rules.catalog_view import KnownSubject
from scandock.rules.keyed_view import KeyedView
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.patients import fold_name
from scandock.rules.permissions import Action, is_allowed
from scandock.rules.petmr import SIDES, Side
from scandock.rules.privacy import PrivacyRules
from scandock.rules.subjects import compare_patient, is_subject_of
from scandock.services.records import ExistingSession, Known

MAX_PLANNED: Final = 2_000
"""Sessions that are asked for at once."""
MAX_SUBJECTS: Final = 2
"""Labels of a subject that are asked for: the one of the name, and the one that tells its patient apart."""
_VALUES_PER_STATEMENT: Final = VALUES_PER_STATEMENT
"""Labels and UIDs in one statement."""
MAX_CRCS: Final = 20_000
"""Images of one planned session that are compared one by one."""
MAX_COMPARED: Final = 200_000
"""Files of sessions whose UIDs are compared with those of one request; beyond, nothing is said of them."""
_MAX_NAMED: Final = 20
"""Labels of others that are told of one session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSession:
    """A session that an upload would make."""

    project: str
    label: str
    study_uid: str = ""
    subject: str = ""
    patient_id: str = ""
    ecat: tuple[bytes, ...] = ()
    """sha256 of its ECAT files."""
    former_subjects: tuple[str, ...] = ()
    """Labels that earlier versions gave its subject, the first to be tried first."""
    derived_subjects: tuple[str, ...] = ()
    """The label that its images give its subject, and the one that tells its patient apart from others."""
    patient_name: str = ""
    """By which a subject is its patient's where one of both has no PatientID; "" where it can't decide."""
    images: int = 0
    """How many DICOM files it has, if all of them are known; else 0."""
    images_sum: int = 0
    """The CRC-32 of each of their SOP Instance UIDs, added up."""
    side: Side = ""
    """Which it would have of a study whose PET and MR are separated."""
    image_crcs: frozenset[int] = frozenset()
    """These by themselves, where it has not too many."""


@dataclass(slots=True)
class _ProjectSessions:
    """Sessions of one project by label and by study; of several the archived one."""

    labels: dict[str, SessionRecord] = field(default_factory=dict)
    studies: dict[tuple[str, Side], SessionRecord] = field(default_factory=dict)
    """By study and side."""
    subjects: dict[str, set[str]] = field(default_factory=dict)
    """By PatientID."""
    assessors: dict[str, ExistingSession] = field(default_factory=dict)
    """By label: those whose label no session can have."""
    holders: dict[bytes, set[str]] = field(default_factory=dict)
    """Labels of sessions, by an ECAT file that they hold."""
    labelled_subjects: Mapping[str, KnownSubject] = field(default_factory=dict)
    """Subjects of labels that were asked for as former or derived ones, by `label_key`."""
    images: Mapping[int, list[int]] = field(default_factory=dict)
    """By a session's tree: the CRC-32 of the SOP Instance UID of each of its DICOM files."""
    rules: PrivacyRules | None = None
    """By what its objects are de-identified."""
    has_own_labels: bool = False
    """Whether what images and folders are called is no label here, as names or patients are hidden."""
    study_uids: Mapping[str, str] = field(default_factory=dict)
    """The planned sessions' StudyInstanceUIDs by their keys, and by the UIDs that take their place."""
    has_filters: bool = False
    """Whether import filters decide what is stored."""
    is_shown: bool = False
    """Whether the principal may hear what becomes of uploads to it."""

    def add(self, record: SessionRecord) -> None:
        own = self.study_uids.get(record.study_key) or self.study_uids.get(record.study_uid or "")
        if own is not None:
            record = replace(record, study_uid=own)
        key = label_key(record.label)
        if key not in self.labels or record.place == "archive":
            self.labels[key] = record
        study = (record.study_uid or "", record.side)
        if record.study_uid and (study not in self.studies or record.place == "archive"):
            self.studies[study] = record

    def of_study(self, planned: PlannedSession) -> SessionRecord | None:
        """The session of a planned one's study: of its side, else of none; where it has no side an archived one."""
        sides = (planned.side, "") if planned.side else ("", *SIDES)
        records = [self.studies[planned.study_uid, side] for side in sides if (planned.study_uid, side) in self.studies]
        if not planned.side:
            records.sort(key=lambda record: record.place != "archive")
        return records[0] if records else None


RulesOf = Callable[[str], PrivacyRules | None]
"""What is in force for a project; None where nothing is."""


def find_existing_sessions(
    connection: Connection,
    principal: Principal,
    planned: Sequence[PlannedSession],
    rules_of: RulesOf = lambda _: None,
) -> list[Known]:
    """For each: `label`, the session that has its label, and `study`, the one that has its study; null for none.

    And, where they are asked for, `subjects`, the others of its patient, and `ecat`, the other sessions of its ECAT
    files; and, where former subjects are, `kept`, the one that its patient has and an import leaves it at; where
    derived subjects are, those that are its patient's (`own`), and another's (`taken`); and, where its images are
    counted, `same_images`, whether the session of its study has exactly these, and `shared_images`, how many it has of
    them. What the principal may not see is none. A session that was de-identified has the study's own UID where that is
    asked for, and where its project drops UIDs only by who may upload there; its images are not compared, as they have
    other UIDs. `deidentified`, `server_labels` and `filtered` say
    what the project does to what comes.
    """
    filters = filters_in_force(connection)
    project_sessions: dict[str, _ProjectSessions] = defaultdict(_ProjectSessions)
    by_project: dict[str, list[PlannedSession]] = defaultdict(list)
    for planned_session in planned:
        by_project[planned_session.project.casefold()].append(planned_session)
    for key, of_project in by_project.items():
        privacy = rules_of(of_project[0].project)
        rules = privacy if privacy is not None and privacy.changes_objects else None
        is_shown = _may_upload(connection, principal, key) if privacy is not None or filters else False
        # Where no hash of a UID is kept, the UIDs that the key makes of it are told to those alone whose uploads tell.
        study_rules = rules if rules is None or is_shown or rules.policy.study_uid != "drop" else None
        project_sessions[key] = _ProjectSessions(
            rules=rules,
            study_uids=_hash_studies(study_rules, of_project),
            has_filters=any(not name or name.casefold() == key for name in filters),
            has_own_labels=privacy is not None and not privacy.policy.names == privacy.policy.patient == "keep",
            is_shown=is_shown,
        )
        at_once = _VALUES_PER_STATEMENT if rules is None else _VALUES_PER_STATEMENT // (4 + 4 * len(rules.older_keys))
        for at in range(0, len(of_project), at_once):
            for existing in _read_sessions(connection, principal, key, of_project[at : at + at_once], study_rules):
                project_sessions[key].add(existing)
        visible = _visible_condition(principal, key)
        project_sessions[key].assessors = _find_assessors(connection, visible, of_project)
        _find_elsewhere(connection, visible, of_project, project_sessions[key])
        project_sessions[key].images = _count_images(connection, of_project, project_sessions[key])
        project_sessions[key].labelled_subjects = _find_labelled_subjects(connection, principal, key, of_project, rules)
    return [
        _compare_planned(planned_session, project_sessions[planned_session.project.casefold()])
        for planned_session in planned
    ]


def _hash_studies(rules: PrivacyRules | None, planned: Sequence[PlannedSession]) -> dict[str, str]:
    """The UIDs of planned sessions by all that their studies may be known by, if they are de-identified."""
    if rules is None:
        return {}
    uids = {planned_session.study_uid for planned_session in planned} - {""}
    return {name: uid for uid in uids for name in (*rules.study_keys(uid), *rules.new_uids(uid))}


def _compare_planned(planned: PlannedSession, project_sessions: _ProjectSessions) -> Known:
    labels = {label for sha256 in planned.ecat for label in project_sessions.holders.get(sha256, ())}
    key = label_key(planned.label)
    existing = project_sessions.of_study(planned) if planned.images else None
    crcs = None if existing is None else project_sessions.images.get(existing.tree_id)
    rules, subjects = project_sessions.rules, project_sessions.subjects.get(planned.patient_id, ())
    if rules is not None:
        planned = replace(planned, patient_id=rules.patient_token(planned.patient_id))
    own, taken = _compare_subjects(planned, project_sessions.labelled_subjects)
    is_deidentified = rules is not None and project_sessions.is_shown
    return Known(
        label=project_sessions.assessors.get(key) or _to_existing(project_sessions.labels.get(key)),
        study=_to_existing(project_sessions.of_study(planned)) if planned.study_uid else None,
        subjects=_list_others(planned.subject, subjects) if planned.patient_id else None,
        ecat=_list_others(planned.label, labels) if planned.ecat else None,
        kept=_kept_subject(planned, project_sessions.labelled_subjects),
        own=own or None,
        taken=taken or None,
        same_images=None if crcs is None else (len(crcs), sum(crcs)) == (planned.images, planned.images_sum),
        shared_images=None if crcs is None or not planned.image_crcs else len(planned.image_crcs.intersection(crcs)),
        deidentified=is_deidentified or None,
        server_labels=(project_sessions.has_own_labels and project_sessions.is_shown) or None,
        filtered=(project_sessions.has_filters and project_sessions.is_shown) or None,
    )


def _count_images(
    connection: Connection, planned: Sequence[PlannedSession], project_sessions: _ProjectSessions
) -> dict[int, list[int]]:
    """The CRC-32 of the UID of each DICOM file of the sessions of some studies, by tree.

    None of a session that was de-identified: its files have other UIDs now.
    """
    counted: dict[int, list[int]] = {}
    left = MAX_COMPARED
    for planned_session in planned:
        record = project_sessions.of_study(planned_session) if planned_session.images else None
        if record is None or record.tree_id in counted or record.files > left:
            continue
        left -= record.files
        counted[record.tree_id] = []
    for tree_id in list(counted):
        images = [row for row in files_of(connection, tree_id) if row.sop_uid is not None]
        if any(row.rules is not None for row in images):
            del counted[tree_id]
        else:
            counted[tree_id] = [zlib.crc32((row.sop_uid or "").encode()) for row in images]
    return counted


def _kept_subject(planned: PlannedSession, subjects: Mapping[str, KnownSubject]) -> str | None:
    """The subject that an import leaves it at (`rules.subjects`)."""
    name, cut = fold_name(planned.patient_name), not planned.study_uid
    for label in planned.former_subjects:
        known_subject = subjects.get(label_key(label))
        if known_subject is not None and is_subject_of(known_subject, planned.patient_id, name, cut=cut):
            return known_subject.label
    return None


def _compare_subjects(planned: PlannedSession, subjects: Mapping[str, KnownSubject]) -> tuple[list[str], list[str]]:
    """Of its derived subjects those that are its patient's, and those that are another's (`rules.subjects`)."""
    own: list[str] = []
    taken: list[str] = []
    for label in planned.derived_subjects:
        known_subject = subjects.get(label_key(label))
        if known_subject is None:
            continue
        is_own = compare_patient(known_subject, planned.patient_id, cut=not planned.study_uid)
        if is_own is not None:
            (own if is_own else taken).append(known_subject.label)
    return own, taken


def _find_labelled_subjects(
    connection: Connection,
    principal: Principal,
    key: str,
    planned: Sequence[PlannedSession],
    rules: PrivacyRules | None,
) -> Mapping[str, KnownSubject]:
    """As an import sees them, for those whose import it could be and who may see the project's sessions."""
    patient_ids = {planned_session.patient_id for planned_session in planned}

    def find(view: SqlView, name: str) -> Mapping[str, KnownSubject]:
        return KeyedView(view, lambda _: rules, (), lambda *_: {}, patient_ids).subjects_labelled(name, labels)

    labels = {
        label
        for planned_session in planned
        for label in (*planned_session.former_subjects, *planned_session.derived_subjects)
    }
    if not labels:
        return {}
    if key == UNASSIGNED.casefold():
        may_look = is_allowed(Action.PREARCHIVE_READ, own=True, scope=principal.scope)
        if principal.account_id is None or not may_look:
            return {}
        return find(SqlView(connection, account_id=principal.account_id), UNASSIGNED)
    where = [projects_where(principal, action) for action in (Action.SESSION_READ, Action.UPLOAD)]
    name = connection.execute(select(project.c.name).where(project.c.key == key, *where)).scalar_one_or_none()
    return find(SqlView(connection), name) if name is not None else {}


def _may_upload(connection: Connection, principal: Principal, key: str) -> bool:
    """Whether the principal may upload to a project, and so hears what becomes of that; to none everybody may."""
    if key == UNASSIGNED.casefold():
        return True
    where = project.c.key == key, projects_where(principal, Action.UPLOAD)
    return connection.execute(select(project.c.id).where(*where)).first() is not None


def _to_existing(session: SessionRecord | None) -> ExistingSession | None:
    return None if session is None else ExistingSession.of(session)


def _list_others(own_label: str, labels: Iterable[str]) -> list[str]:
    """At most as many as anybody reads."""
    return sorted(label for label in labels if label_key(label) != label_key(own_label))[:_MAX_NAMED]


def _find_assessors(
    connection: Connection, where: ColumnElement[bool], planned: Sequence[PlannedSession]
) -> dict[str, ExistingSession]:
    """Assessors of the labels by these, in lower case; an archived session can't have the same label."""
    return {
        row.key: ExistingSession(
            label=row.label,
            subject=row.subject,
            place="archive",
            state=row.state,
            study_uid=None,
            project=row.project,
            assessor=True,
        )
        for keys in split_values({label_key(planned_session.label) for planned_session in planned})
        for row in connection.execute(select_labels_with_sessions(keys, where))
    }


def _find_elsewhere(
    connection: Connection,
    where: ColumnElement[bool],
    planned: Sequence[PlannedSession],
    project_sessions: _ProjectSessions,
) -> None:
    rules = project_sessions.rules
    patient_ids = {planned_session.patient_id for planned_session in planned} - {""}
    if rules is not None and rules.policy.patient == "drop":
        patient_ids = set()  # nobody knows whose the project's sessions are
    hashes = {sha256 for planned_session in planned for sha256 in planned_session.ecat}
    for ids in split_values(patient_ids):
        for row in connection.execute(select_subjects_of_patients(ids, where)):
            project_sessions.subjects.setdefault(row.patient_id, set()).add(row.subject)
    for digests in split_values(hashes):
        for row in connection.execute(select_holders_of_ecat(digests, where)):
            project_sessions.holders.setdefault(row.sha256, set()).add(row.label)
    if rules is None:
        return
    patients = {token: one for one in patient_ids for token in (rules.patient_token(one), *rules.older_tokens(one))}
    for tokens in split_values(patients):
        for row in connection.execute(select_subjects_of_tokens(tokens, where)):
            project_sessions.subjects.setdefault(patients[row.patient_id], set()).add(row.subject)
    origins = {origin: sha256 for sha256 in hashes for origin in origins_of_ecat(rules, sha256)}
    for some in split_values(origins):
        for row in connection.execute(select_holders_of_origins(some, where)):
            project_sessions.holders.setdefault(origins[row.sha256], set()).add(row.label)


def _visible_condition(principal: Principal, key: str) -> ColumnElement[bool]:
    """The sessions of a project that the principal may see; in `Unassigned` their own, which alone an upload joins."""
    if key == UNASSIGNED.casefold():
        may_look = is_allowed(Action.PREARCHIVE_READ, own=True, scope=principal.scope)
        return own_where(principal) if may_look else false()
    visible = or_(
        and_(session.c.place == "archive", projects_where(principal, Action.SESSION_READ)),
        and_(session.c.place == "prearchive", projects_where(principal, Action.PREARCHIVE_READ)),
    )
    return and_(project.c.key == key, visible)


def _read_sessions(
    connection: Connection,
    principal: Principal,
    key: str,
    planned: Sequence[PlannedSession],
    rules: PrivacyRules | None,
) -> Iterator[SessionRecord]:
    study_names = _hash_studies(rules, planned)
    condition = or_(
        session.c.study_key.in_(study_names) if study_names else false(),
        session.c.key.in_({label_key(planned_session.label) for planned_session in planned}),
        session.c.study_uid.in_(
            {planned_session.study_uid for planned_session in planned if planned_session.study_uid} | study_names.keys()
        ),
    )
    rows = connection.execute(
        session_rows().where(_visible_condition(principal, key), condition).order_by(session.c.id)
    ).mappings()
    return (SessionRecord.from_row(row) for row in rows)
