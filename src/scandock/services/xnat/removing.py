"""Deleting as XNAT's clients do: sessions go to the trash, subjects and projects once nothing stands in them.

A scan, a resource or a file that is taken out leaves a new tree; the tree that held it goes to the trash whole. So does
what a subject or a project has of its own, where the request says that its files are to go as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, select, update

from scandock.catalog.projects import SET_ASIDE, is_set_aside
from scandock.catalog.server_tables import member, project_access, reception, scan_edit, subscription, trashed
from scandock.catalog.shelves import Shelf, shelves_of
from scandock.catalog.subjects import drop_subjects
from scandock.catalog.sums import changed_project
from scandock.catalog.tables import project, reservation, session, subject, upload
from scandock.model.errors import Usage
from scandock.placing.moves import undisturbed
from scandock.placing.reserve import lock_projects
from scandock.rules.labels import UNASSIGNED, fit, label_key
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.moving import Desk
from scandock.services.trash import delete_session
from scandock.services.xnat.finding import Subject
from scandock.services.xnat.hand_changes import Change
from scandock.services.xnat.next_tree import NextTree, Place
from scandock.services.xnat.shelves import check_bare, remove_shelf


def scans_change(desk: Desk, scan_ids: Sequence[str]) -> Change:
    """Take scans out of a session with all that is in them."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        for one in scan_ids:
            to_be.scan(one)
        for one in scan_ids:
            to_be.remove_scan(one)
        return {"fields": ["scans"], "removed": len(scan_ids)}

    return Change(desk, Action.SESSION_DELETE, apply)


def resources_change(desk: Desk, places: Sequence[Place]) -> Change:
    """Take resources out of a session with their files."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        for one in places:
            if to_be.resource(one) is None:
                raise Usage("resource_unknown", f"There is no resource {one.label[:128]!r}.")
        for one in places:
            to_be.remove_resource(one)
        return {"fields": ["resources"], "removed": len(places)}

    return Change(desk, Action.SESSION_DELETE, apply)


def file_change(desk: Desk, place: Place, name: str) -> Change:
    """Take one file out of a resource."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        to_be.remove_file(place, name)
        return {"fields": ["files"], "removed": 1}

    return Change(desk, Action.SESSION_DELETE, apply)


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
        own = shelves_of(connection, project_id=project_id, subject_id=found.number)
    _clear(desk, uuids, own, with_files=with_files, place="archive")
    reserved = {f"{found.project}/subject/{label_key(found.label)}", f"{found.project}/shelf/{found.uuid}"}
    with undisturbed(desk.catalog, {found.project}, lambda _: reserved) as connection:
        come = _sessions(connection, session.c.subject_id == found.number)
        if come or shelves_of(connection, project_id=project_id, subject_id=found.number):
            raise Usage("session_busy", "Something of this subject has come meanwhile.", "Look at it, then try again.")
        drop_subjects(connection, subject.c.id == found.number)
        changed_project(connection, project_id)
        desk.note(connection, "delete", found.uuid, found.project, kind="subject")


def _clear(desk: Desk, uuids: Sequence[str], own: Sequence[Shelf], *, with_files: bool, place: str | None) -> None:
    """Delete sessions and shelves; nothing, where a shelf has files that are not to go."""
    if not with_files:
        check_bare(desk, own)
    for uuid in uuids:
        delete_session(desk, uuid, place=place)
    for one in own:
        remove_shelf(desk, one, with_files=with_files)


def _sessions(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(session.c.uuid).where(where).order_by(session.c.id)).scalars())


def delete_project(desk: Desk, name: str, *, with_files: bool) -> None:
    """Delete a project: its sessions, waiting ones too, go to the trash, its members lose it, its id is free again.

    While the trash has sessions of it, its row is kept under another id, which administrators alone see: they can
    bring back what was not meant. Denied, Usage `project_busy`; `has_own_files` unless `with_files`.
    """
    with desk.catalog.read() as connection:
        rights.check(connection, desk.principal, Action.PROJECT_DELETE, name)
        row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).one()
        if row.name == UNASSIGNED:
            raise Usage("project_id_reserved", f"{UNASSIGNED} can't be deleted.", "Choose another project.")
        if is_set_aside(connection, row.name):
            raise Usage("project_id_reserved", f"{row.name} is deleted already.", "Bring back or purge its sessions.")
        _check_idle(connection, row.id, row.name)
        uuids = _sessions(connection, session.c.project_id == row.id)
        own = shelves_of(connection, project_id=row.id)
    _clear(desk, uuids, own, with_files=with_files, place=None)
    with desk.catalog.write() as connection:
        lock_projects(connection, {row.name})
        _check_idle(connection, row.id, row.name)
        if _sessions(connection, session.c.project_id == row.id) or shelves_of(connection, project_id=row.id):
            raise _busy()
        desk.note(connection, "delete", row.name, row.name, kind="project")
        if connection.execute(select(trashed.c.uuid).where(trashed.c.project_id == row.id).limit(1)).first() is None:
            drop_subjects(connection, subject.c.project_id == row.id)
            connection.execute(delete(project).where(project.c.id == row.id))
            return
        for table in (member, project_access, subscription):
            connection.execute(delete(table).where(table.c.project_id == row.id))
        aside = fit(row.name, f"{SET_ASIDE}{row.id}")
        connection.execute(update(project).where(project.c.id == row.id).values(name=aside, key=aside.casefold()))


def _check_idle(connection: Connection, project_id: int, name: str) -> None:
    """Usage `project_busy` where something comes into a project, or is being changed in it."""
    coming = connection.execute(
        select(reception.c.upload_id)
        .join(upload, upload.c.id == reception.c.upload_id)
        .where(reception.c.project_id == project_id, upload.c.state.in_(("receiving", "received", "running")))
        .limit(1)
    ).first()
    held = connection.execute(
        select(reservation.c.name).where(reservation.c.name.startswith(f"{name}/", autoescape=True)).limit(1)
    ).first()
    if coming is not None or held is not None:
        raise _busy()


def _busy() -> Usage:
    return Usage("project_busy", "Something is being uploaded to this project, or changed in it.", "Try again later.")
