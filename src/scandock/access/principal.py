"""Who asks, and whether they may: every door puts its question here, and the matrix answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import field
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, NoReturn

from sqlalchemy import Connection, RowMapping, Select, bindparam, select

from scandock.catalog.projects import DELETED_SEPARATOR, project_deleting
from scandock.catalog.server_tables import project_access
from scandock.catalog.tables import project, project_deletion
from scandock.model.dataclass import dataclass
from scandock.model.errors import Worded
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Accessibility, Action, Role, Scope, answer, explain_forbidden


class Door(StrEnum):
    """How somebody proved who they are."""

    NONE = "none"
    BASIC = "basic"
    COOKIE = "cookie"
    TOKEN = "token"  # noqa: S105  the name of a door
    SYSTEM = "system"
    """The command line on the server's own machine, and what runs by itself."""


def _no_roles() -> Mapping[str, Role]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `roles` goes by the project's id as it is written; made anew for every request."""

    account_id: int | None
    uuid: str
    name: str
    admin: bool = False
    scope: Scope = Scope.ALL
    roles: Mapping[str, Role] = field(default_factory=_no_roles)
    door: Door = Door.NONE
    csrf: str = field(default="", repr=False)
    """What a change by cookie has to bring along; empty for the other doors, which need none."""
    epoch: int = field(default=0, repr=False)
    """The account's as it was: it changes with the password."""
    token: str | None = None
    """Alias of the token that asks, or that the login which asks comes from: what they make ends with it."""

    @property
    def signed_in(self) -> bool:
        return self.door is not Door.NONE


ANONYMOUS: Final = Principal(None, "", "anonymous")
"""Nobody in particular."""
SYSTEM: Final = Principal(None, "", "system", admin=True, door=Door.SYSTEM)
"""The server's own machine: who holds DATA holds all of it anyway."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Where a request came from, for the trail."""

    address: str = ""
    request_id: str = ""


class AccessDenied(Worded):
    """A wish that is not granted: of a class of its own below `Unauthorized`, `Forbidden` or `Hidden`.

    `action` and `project` say what was refused and where, of something that is there: the audit tells of it.
    """

    answer: ClassVar[AccessDecision]

    def __init__(self, message: str, remedy: str = "", *, action: Action | None = None, project: str = "") -> None:
        super().__init__(message, remedy)
        self.action = action
        self.project = project
        refusals = REQUEST_REFUSALS.get()
        if refusals is not None and (
            self.answer is AccessDecision.FORBIDDEN or (self.answer is AccessDecision.HIDDEN and project)
        ):
            refusals.append(self)


class Unauthorized(AccessDenied):
    answer = AccessDecision.SIGN_IN
    STATUS = 401


class Forbidden(AccessDenied):
    answer = AccessDecision.FORBIDDEN
    STATUS = 403


class Hidden(AccessDenied):
    """As if it were not there."""

    answer = AccessDecision.HIDDEN
    STATUS = 404


class LoginNeeded(Unauthorized):
    CODE = "login_needed"
    MEANING = "Nobody is signed in (401). Says nothing of what exists."


class RightMissing(Forbidden):
    CODE = "forbidden"
    MEANING = "The right to it is missing, where one may know of the project (403)."


class ObjectHidden(Hidden):
    CODE = "not_found"
    MEANING = "There is nothing of that name, or one may not know of it (404)."


REQUEST_REFUSALS: Final[ContextVar[list[AccessDenied] | None]] = ContextVar("refused", default=None)
"""What one request was refused, however its answer tells of it: what is not there is no refusal."""


class ProjectAccess(NamedTuple):
    """A project as rights see it."""

    name: str
    """Its id as it is written."""
    accessibility: Accessibility
    deleting: bool
    """Whether its deletion has begun."""
    id: int

    @property
    def set_aside(self) -> bool:
        """Whether it was deleted, and its row is kept for its sessions in the trash alone."""
        return DELETED_SEPARATOR in self.name


class ProjectRights:
    """What one transaction knows of projects, each looked up once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, ProjectAccess | None] = {}

    def find(self, name: str) -> ProjectAccess | None:
        """The project of an id; None where there is none."""
        key = name.casefold()
        if key not in self._known:
            row = self._connection.execute(_project_by_key(), {"name": key}).first()
            self._known[key] = None if row is None else _make_access(row.id, row.name, row.accessibility, row.begun)
        return self._known[key]

    def keep(self, row: RowMapping) -> None:
        """Know the project of a session by the row that was read of that, with what `join_access` adds."""
        access = _make_access(row["project_id"], row["project"], row["accessibility"], row["begun"])
        self._known[access.name.casefold()] = access


def join_access(query: Select[Any]) -> Select[Any]:
    """A query of projects, or what is of them, that tells how rights see them, too."""
    return (
        query.add_columns(project_access.c.accessibility, project_deletion.c.begun)
        .outerjoin(project_access, project_access.c.project_id == project.c.id)
        .outerjoin(project_deletion, project_deletion.c.project_id == project.c.id)
    )


@cache
def _project_by_key() -> Select[Any]:
    return join_access(select(project.c.id, project.c.name)).where(project.c.key == bindparam("name"))


def _make_access(number: int, name: str, accessibility: str | None, begun: int | None) -> ProjectAccess:
    return ProjectAccess(name, _accessibility(name, accessibility), begun is not None, number)


def _accessibility(name: str, stored: str | None) -> Accessibility:
    return Accessibility.PRIVATE if stored is None or name == UNASSIGNED else Accessibility(stored)


def decide_access_of(
    principal: Principal, action: Action, project_name: str | None, rights: ProjectRights, *, own: bool = False
) -> AccessDecision:
    """Whether `principal` may, in a project or (None) in no project at all.

    `own`: the thing asked for is theirs, as their import, or a session in `Unassigned` that they uploaded.
    """
    known_project = None if project_name is None else rights.find(project_name)
    accessibility = (
        Accessibility.PRIVATE if project_name is None else known_project.accessibility if known_project else None
    )
    return answer(
        action,
        role=principal.roles.get(known_project.name) if known_project else None,
        accessibility=accessibility,
        admin=principal.admin,
        signed_in=principal.signed_in,
        own=own,
        scope=principal.scope,
        deleting=known_project is not None and known_project.deleting,
        set_aside=known_project is not None and known_project.set_aside,
    )


def require_access(
    principal: Principal, action: Action, project_name: str | None, rights: ProjectRights, *, own: bool = False
) -> None:
    """As `may`, but what is not allowed is raised as AccessDenied."""
    decision = decide_access_of(principal, action, project_name, rights, own=own)
    if decision is not AccessDecision.ALLOWED:
        known_project = None if project_name is None else rights.find(project_name)
        raise_denied(decision, principal, action, known_project[0] if known_project else "")


def raise_denied(
    decision: AccessDecision, principal: Principal | None = None, action: Action | None = None, project_name: str = ""
) -> NoReturn:
    """Raise what a door says for an answer: the same words whether a thing is hidden or not there.

    With who asked and what for, a 403 says what is missing. `project_name`: where the thing is, if there is one. Usage
    `project_deleting` for a 409.
    """
    if decision is AccessDecision.SIGN_IN:
        raise LoginNeeded("You are not signed in.", "Sign in, or send a name and password.")
    if decision is AccessDecision.DELETING:
        raise project_deleting("The project")
    if decision is AccessDecision.FORBIDDEN:
        if principal is not None and action is not None:
            raise RightMissing(*explain_forbidden(action, principal.scope), action=action, project=project_name)
        raise RightMissing("You may not do this here.", "It is somebody else's.")
    raise ObjectHidden(
        "There is nothing of that name, or you may not know of it.",
        "Check the address.",
        action=action,
        project=project_name,
    )
