"""What a search says of projects beyond their listing: who has a role in them, how many sessions they have, for whom.

All of it is asked within the one statement of the search, and is empty where the asker may not know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.server_tables import account, member, project_access
from scandock.catalog.tables import project, session
from scandock.rules.permissions import Action, Role
from scandock.web.xnat.services import projects
from scandock.web.xnat.services.columns import Column, format_count

_ROLES: Final = {
    "project_owners": Role.OWNER,
    "project_members": Role.MEMBER,
    "project_collabs": Role.COLLABORATOR,
}
_ACCESS: Final = func.coalesce(
    select(project_access.c.accessibility)
    .where(project_access.c.project_id == project.c.id)
    .correlate(project)
    .scalar_subquery(),
    "private",
)


def make_project_finder(principal: Principal) -> Callable[[str], Column | None]:
    """Fields of projects, with those that each asker sees another way."""

    def find(name: str) -> Column | None:
        lowered = name.lower()
        if lowered in _ROLES:
            return Column(name, _make_member_names(principal, _ROLES[lowered]))
        match = re.fullmatch(r"proj_(\w+)_count", lowered)
        if match:
            return Column(name, _make_session_count(principal, f"xnat:{match[1]}SessionData"), format_count)
        if lowered == "project_access":
            return Column(name, _ACCESS)
        return projects.LISTING.find(name if ":" in name else f"xnat:projectData/{name}")

    return find


def _make_member_names(principal: Principal, role: Role) -> ColumnElement[Any]:
    """The names of accounts with a role, parted as XNAT parts them, where one may see members."""
    names = (
        select(func.aggregate_strings(account.c.name, " <br/> "))
        .select_from(member.join(account, account.c.id == member.c.account_id))
        .where(member.c.project_id == project.c.id, member.c.role == role.value)
        .correlate(project)
        .scalar_subquery()
    )
    return case((projects_where(principal, Action.MEMBERS_READ), names), else_="")


def _make_session_count(principal: Principal, kind: str) -> ColumnElement[Any]:
    """How many archived sessions of a type a project has, where one may read them; NULL for none."""
    sessions = (
        select(func.nullif(func.count(session.c.id), 0))
        .where(
            session.c.project_id == project.c.id,
            session.c.place == "archive",
            func.lower(session.c.xsi_type) == kind.lower(),
        )
        .correlate(project)
        .scalar_subquery()
    )
    return case((projects_where(principal, Action.SESSION_READ), sessions), else_=None)
