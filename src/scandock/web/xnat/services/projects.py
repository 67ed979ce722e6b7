"""Projects, as XNAT's clients list them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, literal, or_, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.aliases import ALIAS_BREAK, ALIASES
from scandock.catalog.attributes import attribute
from scandock.catalog.projects import is_deleted
from scandock.catalog.server_tables import account, member, project_access, project_alias
from scandock.catalog.tables import project
from scandock.model import uris
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action, Role
from scandock.services import rights
from scandock.web.xnat.services.columns import BLANK, Column, Listing, Rows, by_name, moment, read, spelled

_OPENED: Final = project_access.alias("opened")


def _called(names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a project has one of some aliases."""
    keys = [name.casefold() for name in names]
    one = select(project_alias.c.key).where(project_alias.c.project_id == project.c.id, project_alias.c.key.in_(keys))
    return exists(one.correlate(project))


def _said(name: str) -> ColumnElement[Any]:
    """What people said of a project; an empty text where they said nothing."""
    return func.coalesce(attribute(project.c.attributes, name), "")


def _both_names() -> ColumnElement[Any]:
    """The principal investigator as XNAT's searches write one: the last name, a comma, the first."""
    first, last = _said("PI/firstname"), _said("PI/lastname")
    return case((and_(first != "", last != ""), last + ", " + first), else_=last + first)


COLUMNS: Final = by_name(
    (
        Column("ID", project.c.name),
        Column("secondary_ID", func.coalesce(attribute(project.c.attributes, "secondary_ID"), project.c.name)),
        Column("name", project.c.title),
        Column("description", _said("description")),
        Column("keywords", _said("keywords")),
        Column("pi_firstname", _said("PI/firstname")),
        Column("pi_lastname", _said("PI/lastname")),
        Column("PI/firstname", _said("PI/firstname")),
        Column("PI/lastname", _said("PI/lastname")),
        Column("PI", _both_names()),
        Column("alias", ALIASES, holds=_called),
        Column("aliases/alias/alias", ALIASES, holds=_called),
        Column("project_access", case((_OPENED.c.accessibility.is_(None), "private"), else_=_OPENED.c.accessibility)),
        Column("proj_quarantine", case((project.c.quarantine, "1"), else_="0")),
        Column("insert_date", project.c.created, moment),
        Column("URI", spelled(uris.project(BLANK), project.c.name)),
    )
)
LISTING: Final = Listing(
    COLUMNS, default=("ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname"), always=("ID", "URI")
)
_LISTED: Final = (project.c.name != UNASSIGNED, ~is_deleted())
"""Neither where sessions without a project stand, nor what is deleted, is a project to clients."""
_CODE: Final = Column("project_prearchive_code", project.c.prearchive_code, str)
_SEARCHED: Final = (
    COLUMNS["id"].called("id"),
    COLUMNS["secondary_id"].called("secondary_id"),
    Column("pi", literal("")),
    Column("project_invs", literal("")),
    *(COLUMNS[name] for name in ("project_access", "insert_date")),
    Column("insert_user", literal("")),
    Column("quarantine_status", literal("active")),
)
"""Names of XNAT's search of projects, which answers where a listing is asked for what one may do there, or is."""
_ROLES: Final = {"owner": Role.OWNER, "member": Role.MEMBER, "collaborator": Role.COLLABORATOR}


def list_projects(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    roles: Iterable[str] = (),
    action: Action = Action.PROJECT_SEE,
    mine: bool | None = None,
    searched: bool = False,
    with_code: bool = False,
) -> Rows:
    """The projects that one may see: of all, or those where one is an `owner`, a `member`, a `collaborator`.

    `action`: those alone where one may do that. `mine`: those where one has a role, or (False) none. `searched`: with
    the names that XNAT's search of projects has besides, what one is there among them. `with_code`: each one's
    prearchive code besides.
    """
    chosen = LISTING.chosen(columns)
    if searched and not columns:
        chosen += [*_SEARCHED, Column(f"user_role_{principal.account_id or 0}", _role_of(principal))]
    if with_code:
        chosen += [_CODE, _CODE.called("proj_prearchive_code"), COLUMNS["proj_quarantine"]]
    query = visible(principal, action)
    wanted = [_ROLES[one] for one in roles if one in _ROLES]
    if wanted:
        query = query.where(_has_role(principal, wanted))
    if mine is not None:
        has_one = _member_of(principal, list(Role))
        query = query.where(has_one if mine else ~has_one)
    rows = read(connection, LISTING.narrowed(query, filters).order_by(project.c.key), chosen)
    return _with_each_alias(rows, [at for at, column in enumerate(chosen) if column.value is ALIASES])


def _with_each_alias(rows: Rows, places: list[int]) -> Rows:
    """A row for each alias of a project, as XNAT joins them, where that column was asked for."""
    if not places:
        return rows
    every = [
        [alias if at in places else value for at, value in enumerate(row)]
        for row in rows.rows
        for alias in sorted((row[places[0]] or "").split(ALIAS_BREAK))
    ]
    return Rows(rows.names, every)


def visible(principal: Principal, action: Action = Action.PROJECT_SEE) -> Select[tuple[str]]:
    """The projects in which one may do something, as a query for `COLUMNS`."""
    return _projects().where(projects_where(principal, action), *_LISTED)


def access_of(connection: Connection, principal: Principal) -> list[dict[str, str]]:
    """`/xapi/access/projects`: what one is in each project that one may see."""
    query = visible(principal).order_by(project.c.key)
    rows = connection.execute(
        query.with_only_columns(project.c.name, project.c.title, _OPENED.c.accessibility, maintain_column_froms=True)
    )
    return [
        {
            "ID": row.name,
            "name": row.title,
            "role": _role(principal, row.name),
            "accessibility": row.accessibility or "private",
        }
        for row in rows
    ]


def users_of(connection: Connection, principal: Principal, name: str) -> Rows:
    """The members of a project, as `/data/projects/P/users` lists them; who may ask is the caller's to check.

    E-mail addresses are for those who manage members; to others the column is there, and empty.
    """
    manages = rights.is_allowed(connection, principal, Action.MEMBERS_EDIT, name)
    rows = connection.execute(
        select(account.c.name, account.c.display, account.c.email, member.c.role)
        .join(member, member.c.account_id == account.c.id)
        .join(project, project.c.id == member.c.project_id)
        .where(project.c.key == name.casefold())
        .order_by(account.c.key)
    )
    names = ["login", "displayname", "firstname", "lastname", "email", "GROUP_ID"]
    return Rows(names, [_user(name, row.name, row.display, row.email if manages else "", row.role) for row in rows])


def accounts_of(connection: Connection) -> Rows:
    """All accounts, as `/data/users` lists them; who may ask is the caller's to check."""
    rows = connection.execute(select(account.c.id, account.c.name, account.c.display, account.c.email)
                              .order_by(account.c.key))  # fmt: skip
    names = ["xdat_user_id", "login", "firstname", "lastname", "email"]
    found = []
    for row in rows:
        first, _, last = (row.display or row.name).partition(" ")
        found.append([str(row.id), row.name, first, last, row.email])
    return Rows(names, found)


def _user(project_name: str, login: str, display: str, email: str, role: str) -> list[str]:
    first, _, last = (display or login).partition(" ")
    return [login, f"{role.capitalize()}s", first, last, email, f"{project_name}_{role}"]


def _role(principal: Principal, name: str) -> str:
    role = principal.roles.get(name)
    return f"{role.value.capitalize()}s" if role is not None else "Admin" if principal.admin else ""


def _has_role(principal: Principal, roles: list[Role]) -> ColumnElement[bool]:
    return or_(_member_of(principal, roles), literal(principal.admin))


def _member_of(principal: Principal, roles: list[Role]) -> ColumnElement[bool]:
    return exists(select(member.c.project_id).where(_membership(principal), member.c.role.in_(roles)))


def _membership(principal: Principal) -> ColumnElement[bool]:
    return and_(member.c.project_id == project.c.id, member.c.account_id == principal.account_id)


def _role_of(principal: Principal) -> ColumnElement[Any]:
    """What one is in a project, as XNAT calls its groups; empty where one has no role."""
    role = case({one.value: f"{one.value.capitalize()}s" for one in Role}, value=member.c.role, else_="")
    return func.coalesce(select(role).where(_membership(principal)).correlate(project).scalar_subquery(), "")


def _projects() -> Select[tuple[str]]:
    return select(project.c.name).select_from(project.outerjoin(_OPENED, _OPENED.c.project_id == project.c.id))
