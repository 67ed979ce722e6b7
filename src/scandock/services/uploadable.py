"""Where somebody may upload to, and what an upload's page has to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, exists, select

from scandock.access.principal import Principal, raise_denied
from scandock.access.visibility import projects_where
from scandock.catalog.tables import project, routing_rules
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import REQUIREMENTS, Action, AccessDecision

MANY: Final = 2_000
"""Projects that a page offers; a project beyond them is written by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploadable:
    """A project that takes uploads of somebody."""

    name: str
    title: str
    prearchive_code: int


def uploadable_projects(connection: Connection, principal: Principal) -> list[Uploadable]:
    """Those that `principal` may upload to, by id, `MANY` at most. Denied to who may upload nowhere."""
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    if principal.scope not in REQUIREMENTS[Action.UPLOAD].scopes:
        raise_denied(AccessDecision.FORBIDDEN, principal, Action.UPLOAD)
    rows = connection.execute(
        select(project.c.name, project.c.title, project.c.prearchive_code)
        .where(projects_where(principal, Action.UPLOAD), project.c.name != UNASSIGNED)
        .order_by(project.c.key)
        .limit(MANY)
    )
    return [Uploadable(name=row.name, title=row.title or "", prearchive_code=row.prearchive_code) for row in rows]


def uploads_somewhere(connection: Connection, principal: Principal) -> bool:
    """Whether there is a project that `principal` may upload to; who may to none still may to `Unassigned`."""
    found = select(project.c.id).where(projects_where(principal, Action.UPLOAD), project.c.name != UNASSIGNED).limit(1)
    return connection.execute(found).first() is not None


def has_own_rules(connection: Connection) -> bool:
    """Whether the site has rules that may name subjects and sessions otherwise than the headers do."""
    return bool(connection.execute(select(exists().where(routing_rules.c.text != ""))).scalar())
