"""Deleting as XNAT's clients do: subjects go once nothing stands in them, and what is said of scans with the scans.

What a subject has of its own goes to the trash, where the request says that its files are to go as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, select

from scandock.catalog.server_tables import scan_edit
from scandock.catalog.own_resources import list_own_resources
from scandock.catalog.subjects import drop_subjects
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.tables import project, session, subject
from scandock.publishing.errors import SessionBusy
from scandock.publishing.locks import resources_lock, subject_lock
from scandock.publishing.operations import lock_names
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.finding import Subject
from scandock.services.moving import Desk
from scandock.services.project_resources import check_bare, remove_shelf
from scandock.services.trash import delete_session


def forget_scan_edits(desk: Desk, uuid: str, scan_ids: Sequence[str]) -> None:
    """What people said of scans goes with them: another scan may bear the id one day."""
    with desk.catalog.write() as connection:
        of = select(session.c.id).where(session.c.uuid == uuid)
        connection.execute(
            delete(scan_edit).where(scan_edit.c.session_id.in_(of), scan_edit.c.scan_id.in_(list(scan_ids)))
        )


def delete_subject(desk: Desk, found: Subject, *, with_files: bool) -> None:
    """Delete a subject, its archived sessions into the trash first. Denied; `session_busy` where one comes meanwhile.

    What is brought back from the trash makes its subject anew. Usage `has_own_files` unless `with_files`.
    """
    with desk.catalog.read() as connection:
        rights.check(connection, desk.principal, Action.SUBJECT_DELETE, found.project)
        rights.check(connection, desk.principal, Action.SESSION_DELETE, found.project)
        number = select(project.c.id).where(project.c.name == found.project)
        project_id = connection.execute(number).scalar_one()
        uuids = _sessions(connection, session.c.subject_id == found.number)
        own = list_own_resources(connection, project_id=project_id, subject_id=found.number)
    if not with_files:
        check_bare(desk, own)
    for uuid in uuids:
        delete_session(desk, uuid, place="archive")
    for one in own:
        remove_shelf(desk, one, with_files=with_files)
    reserved = {subject_lock(found.project, found.label), resources_lock(found.project, found.uuid)}
    with lock_names(desk.catalog, {found.project}, lambda _: reserved) as connection:
        come = _sessions(connection, session.c.subject_id == found.number)
        if come or list_own_resources(connection, project_id=project_id, subject_id=found.number):
            raise SessionBusy("Something of this subject has come meanwhile.", "Look at it, then try again.")
        drop_subjects(connection, subject.c.id == found.number)
        mark_project_changed(connection, project_id)
        desk.note(connection, "delete", found.uuid, found.project, kind="subject")


def _sessions(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(session.c.uuid).where(where).order_by(session.c.id)).scalars())
