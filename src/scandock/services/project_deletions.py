"""Deleting a project: marked in one transaction, its sessions leave by intents, then its row goes or is set aside.

From the mark on it takes nothing (`publishing.reserve.lock_projects`) and nobody sees it (`rules.permissions`), and the
deletion only goes forward: where whoever carries it out dies, the next command or the janitor does the rest.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update

from scandock.access.principal import Door, Principal, RequestInfo, raise_denied
from scandock.catalog.engine import Catalog
from scandock.catalog.own_resources import list_own_resources
from scandock.catalog.projects import deleted_name, unfinished_deletions
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import (
    account,
    gradual_upload,
    member,
    project_access,
    project_alias,
    reception,
    subscription,
    trashed,
)
from scandock.catalog.sessions import find_session
from scandock.catalog.subjects import drop_subjects
from scandock.catalog.tables import project, project_deletion, reservation, session, subject, upload
from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault, ScandockError, Usage
from scandock.model.verdicts import UNFINISHED
from scandock.publishing.errors import RecoveryFailed
from scandock.publishing.locks import deletion_lock, is_lock_of
from scandock.publishing.operations import Operation, run_operation
from scandock.publishing.reserve import find_holders, lock_projects, reserve
from scandock.rules.errors import ProjectIdReserved
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.project_errors import ProjectBusy
from scandock.services.project_resources import check_no_files, remove_own_resources
from scandock.services.trash import move_to_trash
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def delete_project(context: ServiceContext, name: str, *, with_files: bool) -> None:
    """Delete a project: its sessions, waiting ones too, go to the trash, its members lose it, its id is free again.

    While the trash has sessions of it, its row is kept under another name, which administrators alone see: they can
    bring back what was not meant. AccessDenied, Usage `project_busy`; `has_own_files` unless `with_files`. Of one that
    is being deleted already the rest is done, unless somebody is at it.
    """
    _continue_deletion(context, _begin_deletion(context, name, with_files=with_files))


@dataclass(slots=True)
class DeletionResults:
    """The projects whose deletion was finished, by their ids, and those of which it could not be."""

    done: list[str] = field(default_factory=list)
    stuck: dict[str, ScandockError] = field(default_factory=dict)


class _Begun(NamedTuple):
    """A deletion that was begun, and who asked for it."""

    id: int
    name: str
    account_id: int | None
    account: str | None
    actor: str
    address: str
    request_id: str


def finish_deletions(catalog: Catalog, store: Store, settings: Settings) -> DeletionResults:
    """Finish what interrupted deletions left, each in the name of who asked for it; nothing of those under way.

    One that can't be finished now is reported, and tried again by whoever comes next.
    """
    with catalog.read() as connection:
        begun = connection.execute(
            select(
                project.c.id, project.c.name, project_deletion.c.account_id, account.c.uuid, project_deletion.c.actor,
                project_deletion.c.address, project_deletion.c.request_id,
            )
            .join(project, project.c.id == project_deletion.c.project_id)
            .outerjoin(account, account.c.id == project_deletion.c.account_id)
            .order_by(project.c.id)
        ).all()  # fmt: skip
    results = DeletionResults()
    for one in map(_Begun._make, begun):
        try:
            if _continue_deletion(_make_context(one, catalog, store, settings), one.id):
                results.done.append(one.name)
        except Exception as error:  # noqa: BLE001  whatever it is: one deletion must not lock people out of DATA
            results.stuck[one.name] = error if isinstance(error, ScandockError) else _unexpected_fault(error)
    return results


def _unexpected_fault(error: Exception) -> Fault:
    message = f"A project's deletion could not be finished: {type(error).__name__}: {error}."
    return RecoveryFailed(message)


def _make_context(begun: _Begun, catalog: Catalog, store: Store, settings: Settings) -> ServiceContext:
    """Where a deletion goes on, as whoever asked for it: their right to it was proved when it began."""
    principal = Principal(begun.account_id, begun.account or "", begun.actor, door=Door.SYSTEM)
    return ServiceContext(catalog, store, settings, principal, RequestInfo(begun.address, begun.request_id))


# -- beginning ---------------------------------------------------------------------------------------------------------


def _begin_deletion(context: ServiceContext, name: str, *, with_files: bool) -> int:
    """Mark a project as being deleted, with the line in the audit; its number. Nothing where it is marked already."""
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.PROJECT_DELETE, name)
        row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).one()
        number = int(row.id)
        if row.name == UNASSIGNED:
            raise ProjectIdReserved(f"{UNASSIGNED} can't be deleted.", "Choose another project.")
        lock_projects(connection, {row.name}, deleting=True)
        if (
            connection.execute(unfinished_deletions().where(project_deletion.c.project_id == number)).first()
            is not None
        ):
            return number
        _check_idle(connection, number, row.name)
        if not with_files:
            check_no_files(context, list_own_resources(connection, project_id=number))
        where = context.request or RequestInfo()
        connection.execute(
            insert(project_deletion).values(
                project_id=number,
                account_id=context.principal.account_id,
                actor=context.principal.name[:64],
                address=where.address[:64],
                request_id=where.request_id[:64],
                begun=context.catalog.now(),
            )
        )
        context.note(connection, "delete", row.name, row.name, kind="project")
    reach("marked")
    return number


def _check_idle(connection: Connection, project_id: int, name: str) -> None:
    """Usage `project_busy` where something comes into a project, or is being changed in it."""
    coming = connection.execute(
        select(reception.c.upload_id)
        .join(upload, upload.c.id == reception.c.upload_id)
        .outerjoin(gradual_upload, gradual_upload.c.upload_id == upload.c.id)
        .where(
            or_(reception.c.project_id == project_id, gradual_upload.c.project_id == project_id),
            upload.c.state.in_(UNFINISHED),
        )
        .limit(1)
    ).first()
    reservation_row = connection.execute(select(reservation.c.name).where(is_lock_of(name)).limit(1)).first()
    if coming is not None or reservation_row is not None:
        raise _project_busy()


def _project_busy() -> Usage:
    return ProjectBusy()


# -- going on ----------------------------------------------------------------------------------------------------------


def _continue_deletion(context: ServiceContext, number: int) -> bool:
    """Do what is left of a deletion; False where it is done, or somebody is at it.

    Whoever is holds a name for as long as they live, as for any other change.
    """
    with run_operation(context.catalog, context.store, "delete_project") as running:
        name = _claim_deletion(context, running, number)
        if name is None:
            return False
        with context.catalog.read() as connection:
            condition = session.c.project_id == number
            uuids = connection.execute(select(session.c.uuid).where(condition).order_by(session.c.id)).scalars().all()
            own_resources = list_own_resources(connection, project_id=number)
        for uuid in uuids:
            running.check()
            _remove_session(context, uuid)
            reach("left_one")
        for each_resources in own_resources:
            remove_own_resources(context, each_resources, with_files=True, deleting=True)
        reach("left_all")
        with context.catalog.write() as connection:
            lock_projects(connection, {name}, deleting=True)
            _end_deletion(connection, number, name)
        reach("deleted")
    return True


def _claim_deletion(context: ServiceContext, running: Operation, number: int) -> str | None:
    """The project's id, once nobody else can carry its deletion out; None where there is none, or somebody does."""
    with context.catalog.write() as connection:
        name: str | None = connection.execute(
            select(project.c.name)
            .join(project_deletion, project_deletion.c.project_id == project.c.id)
            .where(project.c.id == number)
            .with_for_update(of=project)
        ).scalar()
        if name is None or find_holders(connection, running.lease, {deletion_lock(name)}):
            return None
        reserve(context.catalog, connection, running.lease, {deletion_lock(name)})
    return name


def _remove_session(context: ServiceContext, uuid: str) -> None:
    def find(connection: Connection) -> SessionRecord:
        session_record = find_session(connection, uuid)
        if session_record is None:
            raise_denied(AccessDecision.HIDDEN)
        return session_record

    with context.catalog.read() as connection:
        source = find(connection)
    move_to_trash(context, source, find, deleting=True)


def _end_deletion(connection: Connection, number: int, name: str) -> None:
    """Let go of the row of a project in which nothing stands any more, or set it aside for what the trash has of it."""
    session_row = connection.execute(select(session.c.id).where(session.c.project_id == number).limit(1)).first()
    if session_row is not None or list_own_resources(connection, project_id=number):
        raise _project_busy()
    if connection.execute(select(trashed.c.uuid).where(trashed.c.project_id == number).limit(1)).first() is None:
        drop_subjects(connection, subject.c.project_id == number)
        connection.execute(delete(project).where(project.c.id == number))
        return
    for table in (member, project_access, project_alias, subscription, project_deletion):
        connection.execute(delete(table).where(table.c.project_id == number))
    aside = deleted_name(name, number)
    connection.execute(update(project).where(project.c.id == number).values(name=aside, key=aside.casefold()))
