"""Deleting as XNAT's clients do: sessions go to the trash, subjects once nothing stands in them.

A scan, a resource or a file that is taken out leaves a new tree; the tree that held it goes to the trash whole. So does
what a subject or a project has of its own, where the request says that its files are to go as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, select

from scandock.catalog.server_tables import scan_edit
from scandock.catalog.shelves import shelves_of
from scandock.catalog.subjects import drop_subjects
from scandock.catalog.sums import changed_project
from scandock.catalog.tables import project, session, subject
from scandock.model.errors import Usage
from scandock.placing.locks import resources_lock, subject_lock
from scandock.placing.moves import undisturbed
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.finding import Subject
from scandock.services.hand_changes import Change
from scandock.services.moving import Desk
from scandock.services.next_tree import NextTree, Place
from scandock.services.project_resources import check_bare, remove_shelf
from scandock.services.trash import delete_session


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


def files_change(desk: Desk, place: Place, name: str, *, folder: bool) -> Change:
    """Take one file out of a resource, or a folder with all that is in it: where no file has that name, or `folder`."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        return {"fields": ["files"], "removed": to_be.remove_files(place, name, folder=folder)}

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
    if not with_files:
        check_bare(desk, own)
    for uuid in uuids:
        delete_session(desk, uuid, place="archive")
    for one in own:
        remove_shelf(desk, one, with_files=with_files)
    reserved = {subject_lock(found.project, found.label), resources_lock(found.project, found.uuid)}
    with undisturbed(desk.catalog, {found.project}, lambda _: reserved) as connection:
        come = _sessions(connection, session.c.subject_id == found.number)
        if come or shelves_of(connection, project_id=project_id, subject_id=found.number):
            raise Usage("session_busy", "Something of this subject has come meanwhile.", "Look at it, then try again.")
        drop_subjects(connection, subject.c.id == found.number)
        changed_project(connection, project_id)
        desk.note(connection, "delete", found.uuid, found.project, kind="subject")


def _sessions(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(session.c.uuid).where(where).order_by(session.c.id)).scalars())
