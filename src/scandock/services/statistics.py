"""What came in over time: sessions and bytes by project and month, imports by outcome. For administrators.

Two statements whatever there is, each grouped by quarter of an hour, since no time zone's midnight lies elsewhere;
months are the calendar's in the time zone that is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from typing import Final

from sqlalchemy import Connection, Select, func, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project, session, upload
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import FINAL
from scandock.rules.permissions import Action
from scandock.services import rights

QUARTER_MS: Final = 900_000
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


def read_statistics(
    connection: Connection, principal: Principal, *, zone: tzinfo = UTC, project_name: str | None = None
) -> Statistics:
    """Of the whole site, or of one project, by months of a time zone. AccessDenied to all but administrators."""
    rights.check(connection, principal, Action.SITE_ADMIN, None)
    result = Statistics()
    sessions_in = connection.execute(_select_sessions(project_name)).all()
    imports = connection.execute(_select_imports()).all()
    month_of = _Months([*(row.quarter for row in sessions_in), *(row.quarter for row in imports)], zone).month_of
    for name, quarter, sessions, size in sessions_in:
        result.months[month_of(quarter)].add(sessions, size)
        result.projects[name].add(sessions, size)
    for state, quarter, count in imports:
        outcomes = result.imports[month_of(quarter)]
        outcomes[state] = outcomes.get(state, 0) + count
    return result


def _select_sessions(project_name: str | None) -> Select[str, int, int, int]:
    quarter = (session.c.created // QUARTER_MS).label("quarter")
    query = (
        select(project.c.name, quarter, func.count(), func.coalesce(func.sum(session.c.bytes), 0))
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.place == "archive")
        .group_by(project.c.name, quarter)
        .order_by(project.c.name, quarter)
    )
    return query if project_name is None else query.where(project.c.key == project_name.casefold())


def _select_imports() -> Select[str, int, int]:
    quarter = (upload.c.created // QUARTER_MS).label("quarter")
    return (
        select(upload.c.state, quarter, func.count())
        .where(upload.c.state.in_(OUTCOMES))
        .group_by(upload.c.state, quarter)
        .order_by(quarter)
    )


class _Months:
    """The calendar's months of a time zone, from the first to the last of some quarters of an hour since 1970."""

    def __init__(self, quarters: Collection[int], zone: tzinfo) -> None:
        self._starts: list[int] = []
        self._names: list[str] = []
        if not quarters:
            return
        first = datetime.fromtimestamp(min(quarters) * QUARTER_MS / 1000, zone)
        month, last = datetime(first.year, first.month, 1, tzinfo=zone), max(quarters)
        while (start := round(month.timestamp() * 1000) // QUARTER_MS) <= last:
            self._starts.append(start)
            self._names.append(month.strftime("%Y-%m"))
            month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)

    def month_of(self, quarter: int) -> str:
        """The month (`2026-11`) in which a quarter of an hour lies."""
        return self._names[bisect_right(self._starts, quarter) - 1]
