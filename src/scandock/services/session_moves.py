"""Giving a session of the prearchive another project, label or subject: a rename, or an import where files change."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlalchemy import Connection, select

from scandock.access.principal import Principal, ProjectRights, decide_access_of
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import project
from scandock.catalog.view import SqlView
from scandock.publishing.intents import SessionRow
from scandock.publishing.locks import LockName, locks_of, session_locks
from scandock.publishing.operations import run_operation
from scandock.rules.choices import is_still_held
from scandock.rules.errors import ProjectUnknown
from scandock.rules.labels import label_key
from scandock.rules.notices import make_notice
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.petmr import pet_label
from scandock.rules.session_types import PET_SESSION
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.label_conflicts import find_label_warnings
from scandock.services.moving import check_label, find_free_timestamp, publish_session_row, subject_warnings
from scandock.services.outcomes import Outcome
from scandock.services.session_imports import (
    SessionDestination,
    check_not_moving,
    find_import_need,
    queue_session_import,
    type_in_project,
)


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
    stamp, kind, new_label = source.timestamp, source.xsi_type, label or source.label

    def names(connection: Connection) -> set[LockName]:
        nonlocal stamp, kind, new_label
        stamp = _choose_timestamp(context, connection, source, target_project)
        kind = type_in_project(context, connection, source, project_id, target_project)
        if label is None and kind != source.xsi_type and kind == PET_SESSION:
            new_label = pet_label(source.label)
        lock_names = session_locks(
            target_project,
            label=new_label,
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
            check_not_moving(connection, source)
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
                label=new_label,
                subject=subject or source.subject,
                timestamp=stamp,
                xsi_type=kind,
            )
            if free or not _is_still_held(source, row):
                row = replace(row, state="ready", held=("", "", ""))
            elif row.label != source.label:
                row = replace(row, held=_rename_in_hold(source, row.label))
            warnings = subject_warnings(connection, target_project, row.subject, source)
            if label is None and new_label != source.label:
                warnings += (make_notice("label_petmr", project=target_project, other=source.label, label=new_label),)
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
