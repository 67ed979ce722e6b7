"""Where an account may upload to and archive, for the upload page and for an import before it publishes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, exists, select

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import Door, Principal, ProjectRights, decide_access_of, raise_denied
from scandock.access.visibility import projects_where
from scandock.catalog.engine import Catalog
from scandock.catalog.privacy_texts import routing_in_force
from scandock.catalog.tables import project, routing_rules
from scandock.model.dataclass import dataclass
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import REQUIREMENTS, AccessDecision, Action, Role

MAX_PROJECTS: Final = 2_000
"""Projects that a page offers; a project beyond them is written by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadProject:
    """A project that takes uploads of somebody."""

    name: str
    title: str
    prearchive_code: int
    petmr: str


def list_upload_projects(connection: Connection, principal: Principal) -> list[UploadProject]:
    """Those that `principal` may upload to, by id, `MAX_PROJECTS` at most. AccessDenied to who may upload nowhere."""
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    if principal.scope not in REQUIREMENTS[Action.UPLOAD].scopes:
        raise_denied(AccessDecision.FORBIDDEN, principal, Action.UPLOAD)
    rows = connection.execute(
        select(project.c.name, project.c.title, project.c.prearchive_code, project.c.petmr)
        .where(projects_where(principal, Action.UPLOAD), project.c.name != UNASSIGNED)
        .order_by(project.c.key)
        .limit(MAX_PROJECTS)
    )
    return [
        UploadProject(name=row.name, title=row.title or "", prearchive_code=row.prearchive_code, petmr=row.petmr)
        for row in rows
    ]


def can_upload_somewhere(connection: Connection, principal: Principal) -> bool:
    """Whether there is a project that `principal` may upload to; who may to none still may to `Unassigned`."""
    query = select(project.c.id).where(projects_where(principal, Action.UPLOAD), project.c.name != UNASSIGNED).limit(1)
    return connection.execute(query).first() is not None


def has_own_rules(connection: Connection) -> bool:
    """Whether the site or a project has rules that may name subjects and sessions otherwise than the headers do."""
    if connection.execute(select(exists().where(routing_rules.c.text != ""))).scalar():
        return True
    return bool(routing_in_force(connection))


def may_upload(catalog: Catalog, account_id: int, project: str) -> bool:
    """As the roles are now; False for an account that is disabled or gone."""
    return _is_allowed(catalog, account_id, Action.UPLOAD, project)


def may_archive(catalog: Catalog, account_id: int, project: str) -> bool:
    """Whether an account may archive what waits in a project, as the roles are now."""
    return _is_allowed(catalog, account_id, Action.SESSION_ARCHIVE, project)


def find_unscripted(catalog: Catalog, account_id: int, granted: str) -> tuple[bool, frozenset[str]]:
    """Where an account may say that its client has run the scripts: everywhere, or in which projects.

    `granted`: `SCANDOCK_PREVENT_ANON`. By roles as they are now.
    """
    with catalog.read() as connection:
        account = accounts.by_id(connection, account_id)
        if account is None or account.disabled or granted == "nobody":
            return False, frozenset()
        principal = make_principal(connection, account, Door.SYSTEM)
    roles = {"owners": {Role.OWNER}, "members": {Role.OWNER, Role.MEMBER}}.get(granted, set())
    return principal.admin, frozenset(name for name, role in principal.roles.items() if role in roles)


def _is_allowed(catalog: Catalog, account_id: int, action: Action, project: str) -> bool:
    with catalog.read() as connection:
        return is_account_allowed(connection, account_id, action, project)


def is_account_allowed(connection: Connection, account_id: int, action: Action, project: str) -> bool:
    """Whether an account that is not disabled may do something in a project, as the roles are now."""
    account = accounts.by_id(connection, account_id)
    if account is None or account.disabled:
        return False
    principal = make_principal(connection, account, Door.SYSTEM)
    return decide_access_of(principal, action, project, ProjectRights(connection)) is AccessDecision.ALLOWED


def find_account_name(connection: Connection, account_id: int) -> str:
    """The name of an account, "" of one that is gone."""
    account = accounts.by_id(connection, account_id)
    return account.name if account is not None else ""


def is_disabled(catalog: Catalog, account_id: int) -> bool:
    """Whether an account is disabled, or gone."""
    with catalog.read() as connection:
        account = accounts.by_id(connection, account_id)
    return account is None or account.disabled
