"""The matrix as a condition of a query: which of many projects somebody may do a thing in, in one statement."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, false, or_, select, true
from sqlalchemy.sql.selectable import FromClause

from scandock.access.principal import Principal
from scandock.catalog.projects import is_deleted, unfinished_deletions
from scandock.catalog.server_tables import member, project_access
from scandock.catalog.tables import project, session
from scandock.catalog.view import trees_of_account
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Accessibility, Action, is_allowed, is_allowed_in_deleted, list_roles


def projects_where(principal: Principal, action: Action) -> ColumnElement[bool]:
    """A condition on `project` that holds for the projects in which `principal` may; one's own things come besides.

    Those that are being deleted are none of them, nor are deleted ones but for `serves_aside`.
    """
    aside = true() if is_allowed_in_deleted(action, admin=principal.admin) else ~is_deleted()
    return project.c.id.not_in(unfinished_deletions()) & aside & _rights_where(principal, action)


def _rights_where(principal: Principal, action: Action) -> ColumnElement[bool]:
    if principal.admin and is_allowed(action, admin=True, scope=principal.scope):
        return true()
    open_to = [
        accessibility
        for accessibility in Accessibility
        if is_allowed(action, accessibility=accessibility, signed_in=principal.signed_in, scope=principal.scope)
    ]
    roles = [role for role in list_roles(action) if is_allowed(action, role=role, scope=principal.scope)]
    ways: list[ColumnElement[bool]] = []
    if open_to:
        ways.append(
            exists(
                select(project_access.c.project_id).where(
                    project_access.c.project_id == project.c.id,
                    project_access.c.accessibility.in_(open_to),
                )
            )
        )
    if principal.account_id is not None and principal.signed_in and roles:
        ways.append(
            exists(
                select(member.c.project_id).where(
                    member.c.project_id == project.c.id,
                    member.c.account_id == principal.account_id,
                    member.c.role.in_(sorted(roles)),
                )
            )
        )
    return (project.c.name != UNASSIGNED) & or_(false(), *ways)


def own_where(principal: Principal) -> ColumnElement[bool]:
    """A condition on `session` and its `project` that holds for what `principal` has uploaded to `Unassigned`."""
    if principal.account_id is None or not principal.signed_in:
        return false()
    return and_(project.c.name == UNASSIGNED, session.c.tree_id.in_(trees_of_account(principal.account_id)))


def studies_where(principal: Principal, studies: FromClause) -> ColumnElement[bool]:
    """The same as `sessions_where` and `own_where` of rows of `dicom_study`, without their sessions.

    Projects are added to 0, so that no database looks them up by an index of projects: most are anybody's who asks.
    """
    number = studies.c.project_id + 0
    ways: list[ColumnElement[bool]] = [
        (studies.c.place == place) & number.in_(select(project.c.id).where(projects_where(principal, action)))
        for place, action in (("archive", Action.SESSION_READ), ("prearchive", Action.PREARCHIVE_READ))
    ]
    if principal.account_id is not None and principal.signed_in:
        unassigned = number.in_(select(project.c.id).where(project.c.name == UNASSIGNED))
        ways.append(unassigned & studies.c.tree_id.in_(trees_of_account(principal.account_id)))
    return studies.c.session_id.is_not(None) & or_(*ways)


def sessions_where(principal: Principal) -> ColumnElement[bool]:
    """A condition on `session` and its `project` that holds where `principal` may look; one's own come besides."""
    archived = (session.c.place == "archive") & projects_where(principal, Action.SESSION_READ)
    waiting = (session.c.place == "prearchive") & projects_where(principal, Action.PREARCHIVE_READ)
    return or_(archived, waiting)
