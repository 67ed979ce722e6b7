"""What waits for somebody's decision: the first held sessions, and how many are ready to be archived by project."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project, session
from scandock.model.dataclass import dataclass
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import REQUIREMENTS, Action
from scandock.services.browsing import ListFilter, list_sessions, visible_condition
from scandock.services.pagination import Sorting
from scandock.services.records import Session

SHOWN: Final = 5
"""Held sessions that are named; the prearchive has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDecisions:
    """Sessions of the prearchive that the asker may see; their own in `Unassigned` among them."""

    held: list[Session]
    """The newest of those that are held."""
    held_count: int
    ready: dict[str, int]
    """By project: how many are ready to be archived."""
    unassigned: int
    """How many wait for a project."""

    @property
    def is_empty(self) -> bool:
        return not (self.held_count or self.ready or self.unassigned)


def read_open_decisions(connection: Connection, principal: Principal) -> OpenDecisions:
    """What `principal` may decide. Who may see the prearchive of a project may decide there (members and owners)."""
    if not principal.signed_in or principal.scope not in REQUIREMENTS[Action.PREARCHIVE_EDIT].scopes:
        return OpenDecisions(held=[], held_count=0, ready={}, unassigned=0)
    is_held = session.c.held_code != ""
    rows = connection.execute(
        select(project.c.name, is_held.label("held"), func.count().label("sessions"))
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.place == "prearchive", visible_condition(principal, Action.PREARCHIVE_EDIT))
        .group_by(project.c.name, project.c.key, is_held)
        .order_by(project.c.key)
    ).all()
    held_count = sum(row.sessions for row in rows if row.held)
    filters = ListFilter(equal={"state": "conflict"})
    held = (
        list_sessions(connection, principal, filters, Sorting(sort="-received", limit=SHOWN), place="prearchive").items
        if held_count
        else []
    )
    return OpenDecisions(
        held=held,
        held_count=held_count,
        ready={row.name: row.sessions for row in rows if not row.held and row.name != UNASSIGNED},
        unassigned=sum(row.sessions for row in rows if not row.held and row.name == UNASSIGNED),
    )
