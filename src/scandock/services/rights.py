"""Whether somebody may do something to a session: asked by every service that finds one."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from scandock.access.principal import (
    Principal,
    ProjectRights,
    decide_access_of,
    join_access,
    raise_denied,
    require_access,
)
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import reception
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import session, tree
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import REQUIREMENTS, AccessDecision, Action


def check(
    connection: Connection, principal: Principal, action: Action, project_name: str | None, *, is_own: bool = False
) -> None:
    """Raise AccessDenied unless `principal` may."""
    require_access(principal, action, project_name, ProjectRights(connection), own=is_own)


def check_project(connection: Connection, principal: Principal, action: Action, project_name: str) -> int:
    """As `check`; the number of the project."""
    projects = ProjectRights(connection)
    require_access(principal, action, project_name, projects)
    project = projects.find(project_name)
    if project is None:
        raise_denied(AccessDecision.HIDDEN, principal)
    return project.id


def is_allowed(connection: Connection, principal: Principal, action: Action, project_name: str | None) -> bool:
    """Whether `principal` may: for what is offered, or not, where something else is shown."""
    return decide_access_of(principal, action, project_name, ProjectRights(connection)) is AccessDecision.ALLOWED


def check_scope(principal: Principal, action: Action) -> None:
    """Raise AccessDenied (403) where a token is for other things: a list would look empty."""
    if principal.signed_in and principal.scope not in REQUIREMENTS[action].scopes:
        raise_denied(AccessDecision.FORBIDDEN, principal, action)


def is_own_upload(connection: Connection, principal: Principal, tree_id: int, project_name: str) -> bool:
    """Whether a session stands in `Unassigned` and came by an upload of this account."""
    if project_name != UNASSIGNED or principal.account_id is None:
        return False
    whose = connection.execute(
        select(reception.c.account_id).join(tree, tree.c.upload_id == reception.c.upload_id).where(tree.c.id == tree_id)
    ).scalar_one_or_none()
    return whose == principal.account_id


def find_session_for(
    connection: Connection,
    principal: Principal,
    uuid: str,
    action: Action,
    *,
    prearchive_action: Action | None = None,
    place: str | None = None,
) -> SessionRecord:
    """The session of a UUID, where `principal` may do `action` to it, in the prearchive `prearchive_action`.

    AccessDenied, in the same words where there is none, where it stands elsewhere than in `place`, and where it is
    hidden.
    """
    record, projects = read_session(connection, uuid)
    return check_session(
        connection, principal, record, projects, action, prearchive_action=prearchive_action, place=place
    )


def read_session(connection: Connection, uuid: str) -> tuple[SessionRecord | None, ProjectRights]:
    """The session of a UUID, and what rights go by in its project, by one statement; for `check_session`."""
    projects = ProjectRights(connection)
    row = connection.execute(_session_with_access(), {"uuid": uuid}).mappings().first()
    if row is None:
        return None, projects
    projects.keep(row)
    return SessionRecord.from_row(row), projects


@cache
def _session_with_access() -> Select[Any]:
    return join_access(session_rows()).where(session.c.uuid == bindparam("uuid"))


def check_session(
    connection: Connection,
    principal: Principal,
    record: SessionRecord | None,
    projects: ProjectRights,
    action: Action,
    *,
    prearchive_action: Action | None = None,
    place: str | None = None,
) -> SessionRecord:
    """As `find_session_for`, of what `read_session` gave."""
    if record is None or (place is not None and record.place != place):
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    needed_action = prearchive_action if prearchive_action is not None and record.place == "prearchive" else action
    is_own = is_own_upload(connection, principal, record.tree_id, record.project)
    answer = decide_access_of(principal, needed_action, record.project, projects, own=is_own)
    if answer is not AccessDecision.ALLOWED:
        raise_denied(answer, principal, needed_action, record.project)
    return record


def find_waiting_session(connection: Connection, principal: Principal, uuid: str, action: Action) -> SessionRecord:
    """The prearchive session of a UUID, where `principal` may do `action` to it."""
    return find_session_for(connection, principal, uuid, action, place="prearchive")
