"""What came in over time: sessions and bytes by project and month, imports by outcome. For administrators.

Two statements whatever there is, each grouped by day; months are the calendar's, in UTC.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Select, func, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project, session, upload
from scandock.model.durations import DAY_MS
from scandock.model.verdicts import FINAL
from scandock.rules.permissions import Action
from scandock.services import rights

OUTCOMES: Final = tuple(state.value for state in FINAL)


@dataclass(slots=True)
class SessionTotals:
    """Sessions that stand in the archive, and their bytes."""

    sessions: int = 0
    bytes: int = 0

    def add(self, sessions: int, size: int) -> None:
        self.sessions += sessions
        self.bytes += size


@dataclass(slots=True)
class Statistics:
    """Sums by month (`2026-11`), by project, and imports by month and outcome; months without any are left out."""

    months: dict[str, SessionTotals] = field(default_factory=lambda: defaultdict(SessionTotals))
    projects: dict[str, SessionTotals] = field(default_factory=lambda: defaultdict(SessionTotals))
    imports: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))


def read_statistics(connection: Connection, principal: Principal, *, project_name: str | None = None) -> Statistics:
    """Of the whole site, or of one project. AccessDenied to all but administrators."""
    rights.check(connection, principal, Action.SITE_ADMIN, None)
    result = Statistics()
    for name, day, sessions, size in connection.execute(_select_sessions(project_name)):
        month = _month(day)
        result.months[month].add(sessions, size)
        result.projects[name].add(sessions, size)
    for state, day, count in connection.execute(_select_imports()):
        outcomes = result.imports[_month(day)]
        outcomes[state] = outcomes.get(state, 0) + count
    return result


def _select_sessions(project_name: str | None) -> Select[str, int, int, int]:
    day = (session.c.created // DAY_MS).label("day")
    query = (
        select(project.c.name, day, func.count(), func.coalesce(func.sum(session.c.bytes), 0))
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.place == "archive")
        .group_by(project.c.name, day)
        .order_by(project.c.name, day)
    )
    return query if project_name is None else query.where(project.c.key == project_name.casefold())


def _select_imports() -> Select[str, int, int]:
    day = (upload.c.created // DAY_MS).label("day")
    return (
        select(upload.c.state, day, func.count())
        .where(upload.c.state.in_(OUTCOMES))
        .group_by(upload.c.state, day)
        .order_by(day)
    )


def _month(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m")
