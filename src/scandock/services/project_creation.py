"""Making a project: its row, its first owner and the line in the trail, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, insert, select

from scandock.access.principal import Principal, ProjectRights, RequestInfo, require_access
from scandock.catalog.engine import Catalog
from scandock.catalog.project_names import lock_project_names
from scandock.catalog.projects import check_not_deleting, find_project, is_deleted, title_columns
from scandock.catalog.server_tables import account, member, project_maker
from scandock.catalog.tables import project
from scandock.model import request_limits
from scandock.model.limit_counts import AccountLimit, count_limit
from scandock.rules.errors import ProjectIdInvalid, ProjectIdReserved
from scandock.rules.labels import UNASSIGNED, is_project_id
from scandock.rules.permissions import Action, Role
from scandock.services.audit import AuditAction, record
from scandock.services.project_errors import ProjectExists, ProjectsTooMany
from scandock.services.project_names import NameKind, check_name_free

if TYPE_CHECKING:
    from scandock.services.settings import Settings


MAX_PROJECTS: Final = request_limits.PROJECTS
"""That one account has made and that stand; administrators make as many as they like."""


def create_project(
    catalog: Catalog,
    settings: Settings,
    principal: Principal,
    project_id: str,
    name: str,
    request: RequestInfo | None,
    *,
    prearchive_code: int = 4,
    petmr: str = "default",
    identified: str | None = None,
    separate_secondary: bool | None = None,
    describe: Callable[[Connection, int], object] = lambda _connection, _number: None,
) -> None:
    """Make a project that its maker owns; what is None is as the settings have it.

    `describe` says more of it, by its number, before anybody sees it. Raises AccessDenied, Usage `project_id_invalid`,
    `project_id_reserved`, and where the id is taken, in any case, `project_exists`, `alias_taken`, or
    `project_deleting` where it will soon be free; `title_taken` where the name is one of another project's;
    `too_many_projects` for the 501st of an account that is no administrator's.
    """
    if project_id.casefold() == UNASSIGNED.casefold():
        raise ProjectIdReserved(
            f"{project_id!r} is reserved: sessions that find no project stand under it.",
            "Choose another id.",
        )
    if not is_project_id(project_id):
        raise ProjectIdInvalid(project_id)
    with catalog.write() as connection:
        require_access(principal, Action.PROJECT_CREATE, None, ProjectRights(connection))
        _check_free(catalog, connection, project_id, name)
        _check_count(connection, principal)
        number = _insert_project(
            connection,
            principal,
            name=project_id,
            key=project_id.casefold(),
            **title_columns(name or project_id),
            prearchive_code=prearchive_code,
            petmr=petmr,
            identified=identified or settings.identified,
            separate_secondary=settings.separate_secondary if separate_secondary is None else separate_secondary,
            created=catalog.now(),
        )
        record(
            connection,
            principal,
            AuditAction.PROJECT_CREATE,
            "project",
            project_id,
            project=project_id,
            request=request,
        )
        describe(connection, number)


def _check_free(catalog: Catalog, connection: Connection, project_id: str, name: str) -> None:
    """Lock id and title, and raise where one of them is another project's, or will be free once that is deleted."""
    lock_project_names(catalog, connection)
    if not catalog.sqlite:
        connection.execute(select(project.c.id).where(project.c.key == project_id.casefold()).with_for_update())
    if find_project(connection, project_id) is not None:
        check_not_deleting(connection, (project_id,))
        raise ProjectExists(project_id)
    check_name_free(connection, NameKind.ID, project_id, project_id=None)
    check_name_free(connection, NameKind.TITLE, name, project_id=None)


def _insert_project(connection: Connection, principal: Principal, **columns: object) -> int:
    """Its number; whoever makes it owns it."""
    key = connection.execute(insert(project).values(columns)).inserted_primary_key
    assert key is not None
    number: int = key[0]
    if principal.account_id is not None:
        connection.execute(insert(member).values(project_id=number, account_id=principal.account_id, role=Role.OWNER))
        connection.execute(insert(project_maker).values(project_id=number, account_id=principal.account_id))
    return number


def _check_count(connection: Connection, principal: Principal) -> None:
    """Usage where an account has made as many projects as it may; deleted ones do not count."""
    if principal.admin or principal.account_id is None:
        return
    # its row is locked, so that what it makes at once is counted one after the other (on SQLite a writer is alone)
    connection.execute(select(account.c.id).where(account.c.id == principal.account_id).with_for_update())
    count = connection.execute(
        select(func.count())
        .select_from(project_maker.join(project, project.c.id == project_maker.c.project_id))
        .where(project_maker.c.account_id == principal.account_id, ~is_deleted())
    ).scalar_one()
    if count >= MAX_PROJECTS:
        count_limit(AccountLimit.PROJECTS)
        raise ProjectsTooMany(count, MAX_PROJECTS)
