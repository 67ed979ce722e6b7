"""Subjects made, edited and deleted by hand, as XNAT clients do it; scan edits deleted with their scans.

What a subject has of its own goes to the trash, where the request says that its files are to go as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, select, update

from scandock.catalog.own_resources import list_own_resources
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.subjects import add_subject, drop_subjects
from scandock.catalog.tables import project, session, subject
from scandock.publishing.errors import SessionBusy
from scandock.publishing.locks import resources_lock, subject_lock
from scandock.publishing.operations import lock_names
from scandock.queue.tokens import new_uuid
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.project_resources import check_no_files, remove_own_resources
from scandock.services.session_creation import check_new_label, find_project_for_changes
from scandock.services.trash import delete_session
from scandock.services.xnat_lookup import SubjectRecord


def delete_scan_edits(context: ServiceContext, uuid: str, scan_ids: Sequence[str]) -> None:
    """What people said of scans goes with them: another scan may bear the id one day."""
    with context.catalog.write() as connection:
        session_ids = select(session.c.id).where(session.c.uuid == uuid)
        connection.execute(
            delete(scan_edit).where(scan_edit.c.session_id.in_(session_ids), scan_edit.c.scan_id.in_(list(scan_ids)))
        )


def delete_subject(context: ServiceContext, subject_record: SubjectRecord, *, with_files: bool) -> None:
    """Delete a subject, its archived sessions into the trash first. AccessDenied.

    `session_busy` where one comes meanwhile.
    What is brought back from the trash makes its subject anew. Usage `has_own_files` unless `with_files`.
    """
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SUBJECT_DELETE, subject_record.project)
        rights.check(connection, context.principal, Action.SESSION_DELETE, subject_record.project)
        number = select(project.c.id).where(project.c.name == subject_record.project)
        project_id = connection.execute(number).scalar_one()
        uuids = _list_sessions(connection, session.c.subject_id == subject_record.number)
        own_resources = list_own_resources(connection, project_id=project_id, subject_id=subject_record.number)
    if not with_files:
        check_no_files(context, own_resources)
    for uuid in uuids:
        delete_session(context, uuid, place="archive")
    for each_resources in own_resources:
        remove_own_resources(context, each_resources, with_files=with_files)
    reserved = {
        subject_lock(subject_record.project, subject_record.label),
        resources_lock(subject_record.project, subject_record.uuid),
    }
    with lock_names(context.catalog, {subject_record.project}, lambda _: reserved) as connection:
        uuids_left = _list_sessions(connection, session.c.subject_id == subject_record.number)
        if uuids_left or list_own_resources(connection, project_id=project_id, subject_id=subject_record.number):
            raise SessionBusy("Something of this subject has come meanwhile.", "Look at it, then try again.")
        drop_subjects(connection, subject.c.id == subject_record.number)
        mark_project_changed(connection, project_id)
        context.note(connection, "delete", subject_record.uuid, subject_record.project, kind="subject")


def _list_sessions(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(session.c.uuid).where(where).order_by(session.c.id)).scalars())


def create_subject(
    context: ServiceContext, project_name: str, label: str, attributes: Mapping[str, str]
) -> tuple[int, bool]:
    """The number of a subject, made where there is none of the label; whether it is new. AccessDenied.

    `attributes` is of a new one alone.
    """
    label = check_new_label(label)
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SUBJECT_EDIT, project_name)
        project_id, name = find_project_for_changes(connection, project_name)
        if (existing_number := _find_number(connection, project_id, label)) is not None:
            return existing_number, False
    reserved = {subject_lock(name, label)}
    with lock_names(context.catalog, {name}, lambda _: reserved) as connection:
        if (existing_number := _find_number(connection, project_id, label)) is not None:
            return existing_number, False
        uuid = new_uuid()
        nonempty = {field: text for field, text in attributes.items() if text}
        number = add_subject(
            context.catalog, connection, uuid=uuid, project_id=project_id, label=label, attributes=nonempty
        )
        mark_project_changed(connection, project_id)
        fields = {"fields": sorted(nonempty)} if nonempty else {}
        context.note(connection, "edit", uuid, name, {"made": True, **fields}, kind="subject")
        return number, True


def _find_number(connection: Connection, project_id: int, label: str) -> int | None:
    where = (subject.c.project_id == project_id, subject.c.key == label_key(label))
    number: int | None = connection.execute(select(subject.c.id).where(*where)).scalar()
    return number


def edit_subject(context: ServiceContext, uuid: str, attributes: Mapping[str, str]) -> None:
    """Write attributes of a subject; an empty text takes one back, and what is so already is no change. AccessDenied.

    The row alone is locked: an import that places sessions of the subject reads no attribute of it.
    """
    with context.catalog.write() as connection:
        write_subject_attributes(context, connection, uuid, attributes)


def write_subject_attributes(
    context: ServiceContext, connection: Connection, uuid: str, attributes: Mapping[str, str]
) -> None:
    """Write attributes of a subject, as `edit_subject`, within the transaction of a change. AccessDenied."""
    query = select(subject.c.id, subject.c.attributes, project.c.name.label("project")).join(
        project, project.c.id == subject.c.project_id
    )
    row = connection.execute(query.where(subject.c.uuid == uuid).with_for_update(of=subject, key_share=True)).first()
    rights.check(connection, context.principal, Action.SUBJECT_EDIT, row.project if row is not None else "")
    assert row is not None
    before: dict[str, str] = json.loads(row.attributes)
    changes = {field: text for field, text in attributes.items() if before.get(field, "") != text}
    if not changes:
        return
    now = {field: text for field, text in {**before, **changes}.items() if text}
    written = update(subject).values(attributes=json.dumps(now), modified=context.catalog.now())
    connection.execute(written.where(subject.c.id == row.id))
    context.note(connection, "edit", uuid, row.project, {"fields": sorted(changes)}, kind="subject")
