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
from scandock.web.xnat.services.columns import (
    BLANK,
    Column,
    Listing,
    Rows,
    build_uri,
    format_moment,
    index_by_name,
    read_rows,
)

_ACCESS: Final = project_access.alias("opened")


def _has_alias(names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a project has one of some aliases."""
    keys = [name.casefold() for name in names]
    alias_query = select(project_alias.c.key).where(
        project_alias.c.project_id == project.c.id, project_alias.c.key.in_(keys)
    )
    return exists(alias_query.correlate(project))


def _project_attribute(name: str) -> ColumnElement[Any]:
    """What people said of a project; an empty text where they said nothing."""
    return func.coalesce(attribute(project.c.attributes, name), "")


def _investigator_name() -> ColumnElement[Any]:
    """The principal investigator as XNAT's searches write one: the last name, a comma, the first."""
    first, last = _project_attribute("PI/firstname"), _project_attribute("PI/lastname")
    return case((and_(first != "", last != ""), last + ", " + first), else_=last + first)


COLUMNS: Final = index_by_name(
    (
        Column("ID", project.c.name),
        Column("secondary_ID", func.coalesce(attribute(project.c.attributes, "secondary_ID"), project.c.name)),
        Column("name", project.c.title),
        Column("description", _project_attribute("description")),
        Column("keywords", _project_attribute("keywords")),
        Column("pi_firstname", _project_attribute("PI/firstname")),
        Column("pi_lastname", _project_attribute("PI/lastname")),
        Column("PI/firstname", _project_attribute("PI/firstname")),
        Column("PI/lastname", _project_attribute("PI/lastname")),
        Column("PI", _investigator_name()),
        Column("alias", ALIASES, matches=_has_alias),
        Column("aliases/alias/alias", ALIASES, matches=_has_alias),
        Column("project_access", case((_ACCESS.c.accessibility.is_(None), "private"), else_=_ACCESS.c.accessibility)),
        Column("proj_quarantine", case((project.c.quarantine, "1"), else_="0")),
        Column("insert_date", project.c.created, format_moment),
        Column("URI", build_uri(uris.project(BLANK), project.c.name)),
    )
)
LISTING: Final = Listing(
    COLUMNS, default=("ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname"), always=("ID", "URI")
)
_LISTED_CONDITIONS: Final = (project.c.name != UNASSIGNED, ~is_deleted())
"""Neither where sessions without a project stand, nor what is deleted, is a project to clients."""
_CODE_COLUMN: Final = Column("project_prearchive_code", project.c.prearchive_code, str)
_SEARCH_COLUMNS: Final = (
    COLUMNS["id"].rename("id"),
    COLUMNS["secondary_id"].rename("secondary_id"),
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
    has_role: bool | None = None,
    for_search: bool = False,
    with_code: bool = False,
) -> Rows:
    """The projects that one may see: of all, or those where one is an `owner`, a `member`, a `collaborator`.

    `action`: those alone where one may do that. `has_role`: those where one has a role, or (False) none. `for_search`:
    with the names that XNAT's search of projects has besides, what one is there among them. `with_code`: each one's
    prearchive code besides.
    """
    chosen_columns = LISTING.choose_columns(columns)
    if for_search and not columns:
        chosen_columns += [*_SEARCH_COLUMNS, Column(f"user_role_{principal.account_id or 0}", _role_column(principal))]
    if with_code:
        chosen_columns += [_CODE_COLUMN, _CODE_COLUMN.rename("proj_prearchive_code"), COLUMNS["proj_quarantine"]]
    query = select_visible(principal, action)
    required_roles = [_ROLES[role_name] for role_name in roles if role_name in _ROLES]
    if required_roles:
        query = query.where(_has_role(principal, required_roles))
    if has_role is not None:
        has_one = _is_member(principal, list(Role))
        query = query.where(has_one if has_role else ~has_one)
    rows = read_rows(connection, LISTING.apply_filters(query, filters).order_by(project.c.key), chosen_columns)
    return _split_aliases(rows, [index for index, column in enumerate(chosen_columns) if column.value is ALIASES])


def _split_aliases(rows: Rows, alias_indexes: list[int]) -> Rows:
    """A row for each alias of a project, as XNAT joins them, where that column was asked for."""
    if not alias_indexes:
        return rows
    split_rows = [
        [alias if index in alias_indexes else value for index, value in enumerate(row)]
        for row in rows.rows
        for alias in sorted((row[alias_indexes[0]] or "").split(ALIAS_BREAK))
    ]
    return Rows(rows.names, split_rows)


def select_visible(principal: Principal, action: Action = Action.PROJECT_SEE) -> Select[tuple[str]]:
    """The projects in which one may do something, as a query for `COLUMNS`."""
    return _select_projects().where(projects_where(principal, action), *_LISTED_CONDITIONS)


def list_access(connection: Connection, principal: Principal) -> list[dict[str, str]]:
    """`/xapi/access/projects`: what one is in each project that one may see."""
    query = select_visible(principal).order_by(project.c.key)
    rows = connection.execute(
        query.with_only_columns(project.c.name, project.c.title, _ACCESS.c.accessibility, maintain_column_froms=True)
    )
    return [
        {
            "ID": row.name,
            "name": row.title,
            "role": _role_name(principal, row.name),
            "accessibility": row.accessibility or "private",
        }
        for row in rows
    ]


def list_members(connection: Connection, principal: Principal, name: str) -> Rows:
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
    return Rows(
        names, [_make_member_row(name, row.name, row.display, row.email if manages else "", row.role) for row in rows]
    )


def list_accounts(connection: Connection) -> Rows:
    """All accounts, as `/data/users` lists them; who may ask is the caller's to check."""
    rows = connection.execute(select(account.c.id, account.c.name, account.c.display, account.c.email)
                              .order_by(account.c.key))  # fmt: skip
    names = ["xdat_user_id", "login", "firstname", "lastname", "email"]
    account_rows = []
    for row in rows:
        first, _, last = (row.display or row.name).partition(" ")
        account_rows.append([str(row.id), row.name, first, last, row.email])
    return Rows(names, account_rows)


def _make_member_row(project_name: str, login: str, display: str, email: str, role: str) -> list[str]:
    first, _, last = (display or login).partition(" ")
    return [login, f"{role.capitalize()}s", first, last, email, f"{project_name}_{role}"]


def _role_name(principal: Principal, name: str) -> str:
    role = principal.roles.get(name)
    return f"{role.value.capitalize()}s" if role is not None else "Admin" if principal.admin else ""


def _has_role(principal: Principal, roles: list[Role]) -> ColumnElement[bool]:
    return or_(_is_member(principal, roles), literal(principal.admin))


def _is_member(principal: Principal, roles: list[Role]) -> ColumnElement[bool]:
    return exists(select(member.c.project_id).where(_membership_condition(principal), member.c.role.in_(roles)))


def _membership_condition(principal: Principal) -> ColumnElement[bool]:
    return and_(member.c.project_id == project.c.id, member.c.account_id == principal.account_id)


def _role_column(principal: Principal) -> ColumnElement[Any]:
    """What one is in a project, as XNAT calls its groups; empty where one has no role."""
    role = case(
        {role_value.value: f"{role_value.value.capitalize()}s" for role_value in Role}, value=member.c.role, else_=""
    )
    return func.coalesce(select(role).where(_membership_condition(principal)).correlate(project).scalar_subquery(), "")


def _select_projects() -> Select[tuple[str]]:
    return select(project.c.name).select_from(project.outerjoin(_ACCESS, _ACCESS.c.project_id == project.c.id))
