"""Giving a session another project, label or subject: one rename in the store, one transaction in the catalog."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.access.principal import Principal, ProjectRights, decide_access_of
from scandock.catalog.assessors import assessors_labelled
from scandock.catalog.own_resources import Holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import project, session, tree
from scandock.catalog.view import SqlView
from scandock.model import uris
from scandock.model.tree_parts import TreeParts
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.locks import LockName, locks_of, session_locks
from scandock.publishing.operations import Operation, run_operation
from scandock.rules.choices import is_still_held
from scandock.rules.errors import LabelUnusable, ProjectUnknown
from scandock.rules.labels import OWN_ID, clean_label, label_key
from scandock.rules.naming import own_id_error
from scandock.rules.notices import Notice, make_notice
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.prearchive import PrearchiveSlots
from scandock.services import audit, rights
from scandock.services.context import ServiceContext
from scandock.services.label_conflicts import find_label_warnings
from scandock.services.outcomes import Outcome
from scandock.services.session_errors import LabelTaken, SessionFolderMissing
from scandock.services.session_imports import (
    SessionDestination,
    find_import_need,
    queue_session_import,
    type_in_project,
)
from scandock.store.paths import tree_path

if TYPE_CHECKING:
    pass


def move_session(
    context: ServiceContext,
    uuid: str,
    *,
    project_name: str | None = None,
    label: str | None = None,
    subject: str | None = None,
    dry_run: bool = False,
    free: bool = False,
    action: str = "move",
) -> Outcome:
    """Move a prearchive session to another project, label or subject; what is not named stays.

    In another project it gets a timestamp of its own where its is taken; where that is to change its files, an import
    does it (`services/session_imports.py`). `free`: whatever held it is decided with
    this. Usage `project_unknown`, `label_unusable`, `session_busy`.
    """
    label, subject = check_label(label), check_label(subject)
    with context.catalog.read() as connection:
        source = rights.find_waiting_session(connection, context.principal, uuid, Action.PREARCHIVE_EDIT)
        project_id, target_project = _find_target_project(
            connection, context.principal, source, project_name or source.project
        )
    stamp = source.timestamp

    def names(connection: Connection) -> set[LockName]:
        nonlocal stamp
        stamp = _choose_timestamp(context, connection, source, target_project)
        lock_names = session_locks(
            target_project,
            label=label or source.label,
            subject=subject or source.subject,
            study_uid=source.study_uid,
            timestamp=stamp,
        )
        return locks_of(source) | lock_names

    with run_operation(context.catalog, context.store, action) as running:
        with running.reserve_names({source.project, target_project}, names) as connection:
            source = rights.find_waiting_session(connection, context.principal, uuid, Action.PREARCHIVE_EDIT)
            if target_project != source.project:  # where it stands, the right to change it is enough
                rights.check(connection, context.principal, Action.UPLOAD, target_project)
            need = (
                find_import_need(context, connection, source, project_id, target_project)
                if target_project != source.project
                else None
            )
            if need is not None:
                destination = SessionDestination(
                    project_id=project_id, project=target_project, place="prearchive", label=label, subject=subject
                )
                return queue_session_import(context, connection, source, destination, need, action, dry_run=dry_run)
            row = SessionRow.of(
                source,
                project_id=project_id,
                label=label or source.label,
                subject=subject or source.subject,
                timestamp=stamp,
                xsi_type=type_in_project(context, connection, source, project_id, target_project),
            )
            if free or not _is_still_held(source, row):
                row = replace(row, state="ready", held=("", "", ""))
            elif row.label != source.label:
                row = replace(row, held=_rename_in_hold(source, row.label))
            warnings = subject_warnings(connection, target_project, row.subject, source)
            warnings += find_label_warnings(connection, project_id, target_project, row.label, source)
        return publish_session_row(
            context, running, source, row, target_project, warnings=warnings, dry_run=dry_run, action=action
        )


def _choose_timestamp(
    context: ServiceContext, connection: Connection, source: SessionRecord, target_project: str
) -> str:
    """Its own timestamp, unless another session of the project that it goes to has that."""
    if target_project == source.project or not SqlView(connection).is_timestamp_taken(target_project, source.timestamp):
        return source.timestamp
    return find_free_timestamp(context, connection, target_project)


def _is_still_held(source: SessionRecord, row: SessionRow) -> bool:
    return is_still_held(
        source.held[0],
        project=row.project_id != source.project_id,
        label=row.key != label_key(source.label),
        subject=label_key(row.subject) != label_key(source.subject),
    )


def _rename_in_hold(source: SessionRecord, label: str) -> tuple[str, str, str]:
    """What holds a session, told of it by its new label."""
    pattern = re.compile(rf"\b([Ss]ession {re.escape(source.label)})(?![\w-])")
    code, message, remedy = (pattern.sub(lambda match: f"{match[1].split()[0]} {label}", text) for text in source.held)
    return code, message, remedy


def publish_session_row(
    context: ServiceContext,
    running: Operation,
    source: SessionRecord,
    row: SessionRow,
    project_name: str,
    *,
    warnings: tuple[Notice, ...],
    dry_run: bool,
    action: str,
    details: Mapping[str, audit.DetailValue] | None = None,
    write: Callable[[Connection], object] = lambda connection: None,  # noqa: ARG005
) -> Outcome:
    """Let a session have the row and the name that belong to it now, and note it in the audit trail.

    `write` changes other rows of it in the transaction from which on all of this is done, also after a kill.
    """
    after = uris.session(row.place, project_name, row.timestamp, row.subject, row.label)
    outcome = Outcome(
        session=source.uuid, action=action, dry_run=dry_run, before=source.uri, after=after, warnings=warnings
    )
    before = tree_path(source.parts)
    name = tree_path(TreeParts(row.place, project_name, row.timestamp, row.label))
    moved = name != before
    if moved and context.store.current(name) is not None:
        raise LabelTaken(f"A session stands at {name} already.", "Choose another label.")
    if dry_run:
        return outcome
    placement = Placement(
        n=0,
        name=name,
        staged=None,
        inode=current_inode(context, source),
        tree_id=source.tree_id,
        base_tree_id=None,
        base_inode=None,
        keep_base=False,
        session=row,
        moves=before,
    )
    audit_details = {"from": source.project, "to": project_name, **(details or {})}

    def note(connection: Connection) -> None:
        context.note(connection, action, source.uuid, project_name, audit_details)
        write(connection)

    running.show([placement], [], note)
    return outcome


def current_inode(context: ServiceContext, source: Holder) -> int:
    """The number of a session's or own resources' folder. Raises Usage `tree_missing` where somebody took it away."""
    inode = context.store.current(tree_path(source.parts))
    if inode is None:
        raise SessionFolderMissing
    return inode


def check_label(label: str | None) -> str | None:
    """A label as a person named it. Raises Usage `label_unusable` where it would have to be changed to be one."""
    if label is None:
        return None
    if not label or clean_label(label) != label:
        raise LabelUnusable(
            f"{label[:100]!r} can't be a label.",
            "A label is 1 to 64 letters, digits, _ and -, one of them a letter or digit.",
        )
    if OWN_ID.fullmatch(label):
        raise own_id_error(label)
    return label


def _find_target_project(
    connection: Connection, principal: Principal, source: SessionRecord, name: str
) -> tuple[int, str]:
    """Number and id of the project that a session is to go to, named in any case.

    Usage `project_unknown`, in the same words where there is none and where it may not be known of.
    """
    row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).first()
    hidden = (
        row is not None
        and row.name != source.project
        and decide_access_of(principal, Action.UPLOAD, row.name, ProjectRights(connection)) is AccessDecision.HIDDEN
    )
    if row is None or hidden:
        raise ProjectUnknown(f"There is no project {name}, or you may not know of it.", "Choose one that you see.")
    return row.id, row.name


def find_free_timestamp(context: ServiceContext, connection: Connection, project_name: str) -> str:
    """A prearchive timestamp of a project that no session has."""
    _, stamp = PrearchiveSlots(project_name, SqlView(connection), datetime.now(context.settings.zone)).join(())
    return stamp


def subject_warnings(
    connection: Connection, project_name: str, subject: str, source: SessionRecord
) -> tuple[Notice, ...]:
    """The warning that a subject will hold another patient than it does, of those whom its uploader has brought.

    That is so for what is in `Unassigned`, whoever moves it there; elsewhere a subject is the project's.
    """
    brought = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
    current_subject = SqlView(connection, brought).subject(project_name, subject)
    other_patients = (current_subject.patient_ids if current_subject is not None else frozenset()) - {
        source.patient_token
    }
    return (make_notice("subject_other_patient", subject=subject),) if other_patients and source.patient_token else ()


def find_sessions_by_label(connection: Connection, project_id: int, label: str) -> list[str]:
    """UUIDs of the archived sessions of a label."""
    return list(
        connection.execute(
            select(session.c.uuid).where(
                session.c.project_id == project_id, session.c.place == "archive", session.c.key == label_key(label)
            )
        ).scalars()
    )


def check_no_assessor(connection: Connection, project_id: int, label: str) -> None:
    """Usage `label_taken` where an assessor of a project has the label that a session is to get."""
    if assessors_labelled(connection, project_id, label):
        raise LabelTaken("There is an assessor of that label already.", "Choose another label.")
