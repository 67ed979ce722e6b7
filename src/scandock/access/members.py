"""Roles in projects, and who sees a project that has none in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, select, update

from scandock.access.accounts import Account, account_from_row
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, member, project_access
from scandock.catalog.tables import project
from scandock.model.dataclass import dataclass
from scandock.rules.errors import ProjectUnknown
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Accessibility, Role

_UNKNOWN: Final = "scandock admin project list shows the projects."
_ROLES: Final = (
    select(member.c.account_id, project.c.name, member.c.role)
    .join(project, project.c.id == member.c.project_id)
    .where(project.c.name != UNASSIGNED)
)
_ROLES_OF_ONE: Final = _ROLES.where(member.c.account_id == bindparam("account"))


@dataclass(frozen=True, slots=True)
class Member:
    """An account with a role in a project."""

    uuid: str
    name: str
    display: str
    role: Role
    disabled: bool


def project_key(connection: Connection, name: str) -> tuple[int, str]:
    """A project's number and its id as it is written; Usage `project_unknown` where there is none.

    `Unassigned` has no members and is private for ever.
    """
    row = connection.execute(
        select(project.c.id, project.c.name).where(project.c.key == name.casefold(), project.c.name != UNASSIGNED)
    ).first()
    if row is None:
        raise ProjectUnknown(f"There is no project {name!r}.", _UNKNOWN)
    return row.id, row.name


def roles_of(connection: Connection, account_id: int) -> Mapping[str, Role]:
    """An account's roles, by project."""
    return {row.name: Role(row.role) for row in connection.execute(_ROLES_OF_ONE, {"account": account_id})}


@cache
def _account_and_roles(column: str) -> Select[Any]:
    """An account, once for each of its roles."""
    return (
        select(account, project.c.name.label("project"), member.c.role)
        .outerjoin(member, member.c.account_id == account.c.id)
        .outerjoin(project, and_(project.c.id == member.c.project_id, project.c.name != UNASSIGNED))
        .where(account.c[column] == bindparam("value"))
    )


def find_with_roles(
    connection: Connection, column: Literal["id", "key"], value: int | str
) -> tuple[Account, Mapping[str, Role]] | None:
    """An account by its number, or by the key of its name, with its roles by project, in one statement."""
    rows = connection.execute(_account_and_roles(column), {"value": value}).mappings().all()
    if not rows:
        return None
    return account_from_row(rows[0]), {row["project"]: Role(row["role"]) for row in rows if row["project"] is not None}


def roles_of_all(connection: Connection, ids: Iterable[int]) -> Mapping[int, Mapping[str, Role]]:
    """Of many accounts each one's roles, by project."""
    roles: dict[int, dict[str, Role]] = {account_id: {} for account_id in ids}
    for part in split_values(roles):
        for row in connection.execute(_ROLES.where(member.c.account_id.in_(part))):
            roles[row.account_id][row.name] = Role(row.role)
    return roles


def set_role(connection: Connection, project_name: str, user: Account, role: Role | None) -> Role | None:
    """Give a role, or take it (None); what it was. In effect with the account's next request."""
    project_id = _lock_project(connection, project_name)
    where = (member.c.project_id == project_id, member.c.account_id == user.id)
    before = connection.execute(select(member.c.role).where(*where)).scalar_one_or_none()
    if role is None:
        connection.execute(delete(member).where(*where))
    elif before is None:
        connection.execute(insert(member).values(project_id=project_id, account_id=user.id, role=role))
    else:
        connection.execute(update(member).where(*where).values(role=role))
    return None if before is None else Role(before)


def _lock_project(connection: Connection, project_name: str) -> int:
    """A project's number, others who change its rights kept waiting (on SQLite a writer is alone anyway)."""
    project_id, _ = project_key(connection, project_name)
    connection.execute(select(project.c.id).where(project.c.id == project_id).with_for_update(key_share=True))
    return project_id


def has_owner(connection: Connection, project_name: str) -> bool:
    """Whether a project has an owner who can log in."""
    return any(
        project_member.role is Role.OWNER and not project_member.disabled
        for project_member in list_members(connection, project_name)
    )


def list_members(connection: Connection, project_name: str) -> Sequence[Member]:
    """Who has a role in a project, by name."""
    rows = connection.execute(
        select(account.c.uuid, account.c.name, account.c.display, member.c.role, account.c.disabled)
        .join(member, member.c.account_id == account.c.id)
        .join(project, project.c.id == member.c.project_id)
        .where(project.c.key == project_name.casefold())
        .order_by(account.c.key)
    )
    return [Member(r.uuid, r.name, r.display, Role(r.role), r.disabled) for r in rows]


def get_accessibility(connection: Connection, project_name: str) -> Accessibility:
    """A project's accessibility; without a row it is private."""
    stored = connection.execute(
        select(project_access.c.accessibility)
        .join(project, project.c.id == project_access.c.project_id)
        .where(project.c.key == project_name.casefold())
    ).scalar_one_or_none()
    return Accessibility.PRIVATE if stored is None else Accessibility(stored)


def set_accessibility(connection: Connection, project_name: str, accessibility: Accessibility) -> Accessibility:
    """Open or close a project; what it was."""
    project_id = _lock_project(connection, project_name)
    before = get_accessibility(connection, project_name)
    connection.execute(delete(project_access).where(project_access.c.project_id == project_id))
    if accessibility is not Accessibility.PRIVATE:
        connection.execute(insert(project_access).values(project_id=project_id, accessibility=accessibility))
    return before
