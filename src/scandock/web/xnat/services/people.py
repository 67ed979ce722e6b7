"""Accounts as XNAT's clients see them: one's own, and those that are members of a project whose members one may see.

Administrators see all. E-mail addresses are for those who manage the members of a project that has the account.
"""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict

from sqlalchemy import ColumnElement, Connection, exists, false, or_, select, true

from scandock.access.principal import Principal, raise_denied
from scandock.access.visibility import projects_where
from scandock.catalog.server_tables import account, member
from scandock.catalog.tables import project
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import AccessDecision, Action, is_allowed
from scandock.services import rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account that somebody may see."""

    name: str
    display: str
    id: int | None = None
    email: str = ""
    disabled: bool = False
    """With the two above for who it is, and for who manages members that it is among."""


def list_visible_people(connection: Connection, principal: Principal) -> list[Person]:
    """The accounts that `principal` may see, by name. AccessDenied (403) where a token is for other things."""
    rights.check_scope(principal, Action.MEMBERS_READ)
    return _read_people(connection, principal)


def find_person(connection: Connection, principal: Principal, name: str) -> Person:
    """The account of a name, in any case. AccessDenied, in the same words where there is none and where it is hidden.

    One's own is told to whoever is signed in.
    """
    people = _read_people(connection, principal, account.c.key == name.casefold())
    if not people:
        raise_denied(AccessDecision.HIDDEN)
    return people[0]


Profile = TypedDict(  # noqa: UP013  clients alone read its keys
    "Profile",
    {
        "id": NotRequired[int],
        "username": str,
        "firstName": str,
        "lastName": str,
        "email": str,
        "enabled": bool,
        "verified": bool,
    },
)
"""An account in the words of `/xapi/users/{name}`; `id` is left out where it is not told."""


def make_profile(person: Person) -> Profile:
    """An account in the words of `/xapi/users/{name}`: the shown name's first word counts as the first name."""
    first, _, last = (person.display or person.name).partition(" ")
    profile: Profile = {
        "username": person.name,
        "firstName": first,
        "lastName": last,
        "email": person.email,
        "enabled": not person.disabled,
        "verified": True,
    }
    return profile if person.id is None else {"id": person.id, **profile}


_MEMBER: Final = member.alias("of_project")
"""Beside `member`, by which rights are asked."""
_COLUMNS: Final = (account.c.id, account.c.name, account.c.display, account.c.email, account.c.disabled)


def _read_people(
    connection: Connection, principal: Principal, condition: ColumnElement[bool] | None = None
) -> list[Person]:
    is_own = account.c.id == principal.account_id
    query = (
        select(*_COLUMNS, or_(is_own, _member_condition(principal, Action.MEMBERS_EDIT)).label("told"))
        .where(
            or_(is_own, _member_condition(principal, Action.MEMBERS_READ)), true() if condition is None else condition
        )
        .order_by(account.c.key)
    )
    return [
        Person(name=row.name, display=row.display, id=row.id, email=row.email, disabled=row.disabled)
        if row.told
        else Person(name=row.name, display=row.display)
        for row in connection.execute(query)
    ]


def _member_condition(principal: Principal, action: Action) -> ColumnElement[bool]:
    """A condition on `account` that holds for the members of a project in which `principal` may do `action`."""
    if principal.admin:
        return true() if is_allowed(action, admin=True, scope=principal.scope) else false()
    return exists(
        select(_MEMBER.c.account_id)
        .join(project, project.c.id == _MEMBER.c.project_id)
        .where(_MEMBER.c.account_id == account.c.id, projects_where(principal, action))
        .correlate(account)
    )
