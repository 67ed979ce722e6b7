"""Moving or archiving a session whose files the project is to change: an import by a worker takes it as its archive.

So where the project has other privacy rules than those by which the session's files were made, or has PET and MR apart.
All other sessions move by one rename (`services/moving.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import field, replace
from functools import partial
from typing import Final

from sqlalchemy import Connection, insert, select

from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import reception, session_import
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import ecat_file, joined_session, project, tree, upload
from scandock.catalog.trees import files_of, scans_of
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.import_types import Overwrite
from scandock.model.series import SeriesTally
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.queue.enqueue import accept
from scandock.queue.notify import notify
from scandock.queue.tokens import new_uuid
from scandock.rules.catalog_view import SessionPlace
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import UNASSIGNED, clean_label, label_key
from scandock.rules.petmr import effective_pet_mr
from scandock.rules.privacy import PrivacyRules
from scandock.rules.session_types import session_type, side_pet_mr
from scandock.rules.study import StudyFacts
from scandock.rules.study_sides import divide_series
from scandock.services import audit
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome
from scandock.services.privacy_source import current_privacy
from scandock.services.session_errors import AccountMissing, HeldUndecided, SessionMoves, SessionNotMoved

DEIDENTIFIED: Final = "Its files are de-identified by the rules of project {project}"
SEPARATED: Final = "Its PET and MR are separated, as project {project} has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDestination:
    """Where a session is to go as an import takes it; labels are None where nobody named them."""

    project_id: int
    project: str
    place: SessionPlace
    label: str | None = None
    subject: str | None = None
    overwrite: Overwrite | None = None
    one_patient: bool = False
    """Who asks says that several PatientIDs are one patient's."""
    quarantine: bool = False
    dialect: bool = False
    """Asked by XNAT's dialect, where a label that is named makes a session of its own."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are said of the session besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportNeed:
    """Why a session's files have to be changed for a project."""

    rules: PrivacyRules | None
    """Those of the project, where its files are de-identified by them; None where only PET and MR are separated."""

    @property
    def sentence(self) -> str:
        return DEIDENTIFIED if self.rules is not None else SEPARATED


def find_import_need(
    context: ServiceContext, connection: Connection, source: SessionRecord, project_id: int, project_name: str
) -> ImportNeed | None:
    """Why an import is to take a session that goes to a project, or to the archive of its own; None where none is."""
    rules = _rules_of(connection, project_name)
    if rules is not None and _has_other_files(connection, source.tree_id, rules):
        return ImportNeed(rules=rules)
    if project_name != source.project and _is_separated(context, connection, source, project_id, project_name):
        return ImportNeed(rules=None)
    return None


def _rules_of(connection: Connection, project_name: str) -> PrivacyRules | None:
    """By what a project's objects are de-identified. Fault `privacy_key` where the site's key is not there."""
    privacy = current_privacy(connection)
    return privacy.rules_of(project_name) if privacy is not None else None


def _has_other_files(connection: Connection, tree_id: int, rules: PrivacyRules) -> bool:
    """Whether an image of a tree was made by other rules, or by none."""
    ecat_numbers = set(connection.execute(select(ecat_file.c.n).where(ecat_file.c.tree_id == tree_id)).scalars())
    with closing(files_of(connection, tree_id)) as files:
        return any(
            row.rules not in rules.fingerprints for row in files if row.sop_uid is not None or row.n in ecat_numbers
        )


def _is_separated(
    context: ServiceContext, connection: Connection, source: SessionRecord, project_id: int, project_name: str
) -> bool:
    """Whether a project has PET and MR apart, and a session that came as a whole has both."""
    if source.side or source.study_uid is None or project_name == UNASSIGNED:
        return False
    choice = connection.execute(select(project.c.petmr).where(project.c.id == project_id)).scalar_one()
    if effective_pet_mr(choice, context.settings.petmr) != "separate":
        return False
    facts = [scan.facts for scan in scans_of(connection, source.tree_id)]
    study = StudyFacts(
        key=source.uuid,
        study_uid=source.study_uid,
        series=tuple(item for item in facts if isinstance(item, SeriesTally)),
        ecat=tuple(item for ecat_list in facts if isinstance(ecat_list, list) for item in ecat_list),
    )
    sides = set(divide_series(study, context.settings.petmr_maps, {}).values())
    return "MR" in sides and ("PET" in sides or bool(study.ecat))


def type_in_project(
    context: ServiceContext, connection: Connection, source: SessionRecord, project_id: int, project_name: str
) -> str:
    """The type that a session with PET and MR gets in the project that it moves to; others keep theirs."""
    if project_name == source.project or source.type_is_set:
        return source.xsi_type
    rows = connection.execute(
        select(project.c.id, project.c.petmr).where(project.c.id.in_((project_id, source.project_id)))
    )
    choices = {row.id: effective_pet_mr(row.petmr, context.settings.petmr) for row in rows}
    if choices[project_id] == choices[source.project_id]:
        return source.xsi_type
    scans = scans_of(connection, source.tree_id)
    types, modalities = [scan.xsi_type for scan in scans], [scan.modality for scan in scans]
    before, after = (
        session_type(types, modalities, side_pet_mr(choices[number], source.side))
        for number in (source.project_id, project_id)
    )
    return after if source.xsi_type == before else source.xsi_type


def queue_session_import(
    context: ServiceContext,
    connection: Connection,
    source: SessionRecord,
    destination: SessionDestination,
    need: ImportNeed,
    action: str,
    *,
    dry_run: bool,
    details: Mapping[str, audit.DetailValue] | None = None,
) -> Outcome:
    """Let an import take a session, in the transaction in which its names are reserved; with `dry_run` only say so.

    The caller has seen that none does so already (`check_not_moving`).
    """
    sentence = need.sentence.format(project=destination.project)
    label, subject = destination.label or source.label, destination.subject or source.subject
    place = "archive" if destination.place == "archive" else "prearchive"
    outcome = Outcome(
        session=source.uuid,
        action=action,
        dry_run=dry_run,
        before=source.uri,
        after=uris.session(place, destination.project, source.timestamp, subject, label),
        says=f"{sentence}.",
        waits=True,
    )
    if dry_run:
        return outcome
    uuid, account_id = new_uuid(), _find_account(context, connection, source)
    request = _make_request(connection, source, destination, need)
    now = context.catalog.now()
    key = connection.execute(
        insert(upload).values(
            uuid=uuid,
            archive=_archive_name(source, need),
            source="server",
            state=ImportState.RECEIVING,
            request=request.to_json(),
            created=now,
        )
    ).inserted_primary_key
    assert key is not None
    connection.execute(
        insert(reception).values(
            upload_id=key[0],
            account_id=account_id,
            project_id=destination.project_id,
            door="session",
            size=source.bytes,
            heard=now,
        )
    )
    connection.execute(insert(session_import).values(upload_id=key[0], session_uuid=source.uuid))
    accept(context.catalog, connection, key[0])
    audit_details = {"from": source.project, "to": destination.project, "import": uuid, **(details or {})}
    context.note(connection, action, source.uuid, destination.project, audit_details)
    context.catalog.after_commit(connection, partial(_notify, context.store.path))
    return outcome.with_import(uuid)


def _notify(path: str) -> None:
    notify(path)


def check_not_moving(connection: Connection, source: SessionRecord) -> None:
    """Usage `session_moves` where an import that has not ended takes a session."""
    query = (
        select(upload.c.uuid)
        .join(session_import, session_import.c.upload_id == upload.c.id)
        .where(session_import.c.session_uuid == source.uuid, upload.c.state.in_(UNFINISHED))
    )
    uuid = connection.execute(query.limit(1)).scalar()
    if uuid is not None:
        raise SessionMoves(uuid)


def _find_account(context: ServiceContext, connection: Connection, source: SessionRecord) -> int:
    """Whose the import is: of who asks, else of who has brought the session."""
    if context.principal.account_id is not None:
        return context.principal.account_id
    account_id: int | None = connection.execute(
        select(reception.c.account_id)
        .join(tree, tree.c.upload_id == reception.c.upload_id)
        .where(tree.c.id == source.tree_id)
    ).scalar()
    if account_id is None:
        raise AccountMissing
    return account_id


def _archive_name(source: SessionRecord, need: ImportNeed) -> str:
    """What the import calls its archive: the session by its label, or by its id where names may not be known."""
    is_open = need.rules is None or need.rules.policy.is_open
    return f"session {source.label if is_open else source.uuid}"


def _make_request(
    connection: Connection, source: SessionRecord, destination: SessionDestination, need: ImportNeed
) -> ImportRequest:
    """What the import is asked for: as if the session came as an archive, with what it is called now."""
    earlier = _read_request(connection, source)
    label, subject = _find_labels(source, destination, need, earlier)
    edited = {name: source.attributes[name] for name in source.fields_by_hand if name in source.attributes}
    return ImportRequest(
        project=destination.project,
        subject=subject,
        session=label,
        destination=destination.place,
        overwrite=destination.overwrite or source.overwrite or None,
        dialect=destination.dialect or earlier.dialect,
        ignore_unparsable=False,
        keep_names=need.rules is None,
        quarantine=destination.quarantine or source.quarantined,
        one_patient=destination.one_patient or not source.held[0],
        unnamed=_list_unnamed(source, destination, earlier),
        former_timestamp=source.timestamp,
        said={**edited, **destination.said},
    )


def _read_request(connection: Connection, source: SessionRecord) -> ImportRequest:
    """What was asked of the import that a session came by."""
    text = connection.execute(
        select(upload.c.request).join(tree, tree.c.upload_id == upload.c.id).where(tree.c.id == source.tree_id)
    ).scalar()
    return ImportRequest.from_json(text or "")


def _find_labels(
    source: SessionRecord, destination: SessionDestination, need: ImportNeed, earlier: ImportRequest
) -> tuple[str | None, str | None]:
    """Label and subject that the import is to give: those that are named, else those that the session has.

    Where UIDs or patients may not be known, only those that somebody named: the others are made of these.
    """
    if need.rules is None or not need.rules.policy.changes_objects:
        return destination.label or source.label, destination.subject or source.subject
    unnamed = _list_unnamed(source, destination, earlier)
    return (
        None if "session" in unnamed else destination.label or source.label,
        None if "subject" in unnamed else destination.subject or source.subject,
    )


def _list_unnamed(source: SessionRecord, destination: SessionDestination, earlier: ImportRequest) -> tuple[str, ...]:
    """Which of subject and session nobody has named, now or for the import that the session came by."""
    asked = {
        "subject": (destination.subject, earlier.subject, source.subject),
        "session": (destination.label, earlier.session, source.label),
    }
    return tuple(
        name
        for name, (now, then, label) in asked.items()
        if now is None and (then is None or name in earlier.unnamed or label_key(clean_label(then)) != label_key(label))
    )


def read_ended_outcome(connection: Connection, outcome: Outcome) -> Outcome:
    """What an import that has ended has done to a session.

    Usage `held_undecided` where the session was to be archived and waits for a decision instead, `session_not_moved`
    where it has stayed as it was.
    """
    row = connection.execute(
        select(upload.c.state, upload.c.code, upload.c.message).where(upload.c.uuid == outcome.import_uuid)
    ).one()
    into = connection.execute(
        select(joined_session.c.into_uuid).where(joined_session.c.uuid == outcome.session)
    ).scalar()
    record = find_session(connection, into or outcome.session)
    if row.state in (ImportState.REFUSED, ImportState.FAILED, ImportState.CANCELLED) or record is None:
        raise SessionNotMoved(row.message)
    is_archiving = outcome.after is not None and uris.is_archived(outcome.after)
    if is_archiving and record.place != "archive":
        raise HeldUndecided(record.held[1] or "The session was not archived.", record.held[2])
    return replace(outcome, after=record.uri, into=into, waits=False)
