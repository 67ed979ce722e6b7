"""Roles in projects and their accessibility, as owners and administrators set them, with a line in the trail."""

from __future__ import annotations

from collections.abc import Sequence

from scandock.access import accounts, members
from scandock.access.members import Member
from scandock.access.principal import Principal, ProjectRights, RequestInfo, require_access
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Accessibility, Action, Role
from scandock.services.audit import AuditAction, record
from scandock.services.project_errors import LastOwner


def set_member(
    catalog: Catalog,
    principal: Principal,
    project: str,
    name: str,
    role: Role | None,
    request: RequestInfo | None = None,
) -> None:
    """Give an account a role in a project, or take it (None).

    Raises AccessDenied, Usage `account_unknown`, `last_owner`.
    A project's last owner stays: nobody of it could give roles any more. Site administrators, who can, may take it.
    """
    with catalog.write() as connection:
        require_access(principal, Action.MEMBERS_EDIT, project, ProjectRights(connection))
        _, project_id = members.project_key(connection, project)
        account = accounts.get(connection, name)
        before = members.set_role(connection, project_id, account, role)
        is_owner_removed = before is Role.OWNER and role is not Role.OWNER
        if is_owner_removed and not principal.admin and not members.has_owner(connection, project_id):
            raise LastOwner(account.name, project_id)
        details = {"before": before and before.value, "role": role and role.value}
        record(
            connection, principal, AuditAction.MEMBER_SET, "account", account.uuid,
            project=project_id, request=request, details=details,
        )  # fmt: skip


def list_members(catalog: Catalog, principal: Principal, project: str) -> Sequence[Member]:
    """Who has a role in a project."""
    with catalog.read() as connection:
        require_access(principal, Action.MEMBERS_READ, project, ProjectRights(connection))
        return members.list_members(connection, project)


def set_accessibility(
    catalog: Catalog,
    principal: Principal,
    project: str,
    accessibility: Accessibility,
    request: RequestInfo | None = None,
) -> None:
    """Open a project to those without a role in it, or close it."""
    with catalog.write() as connection:
        require_access(principal, Action.SETTINGS_EDIT, project, ProjectRights(connection))
        _, project_id = members.project_key(connection, project)
        before = members.set_accessibility(connection, project_id, accessibility)
        record(
            connection, principal, AuditAction.ACCESS_SET, "project", project_id,
            project=project_id, request=request, details={"before": before.value, "now": accessibility.value},
        )  # fmt: skip
