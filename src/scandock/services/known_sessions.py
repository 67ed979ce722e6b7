"""Which sessions there are already, asked before an upload for all that it would make: one look for many labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, or_, select

from scandock.access.principal import Principal
from scandock.access.visible import projects_where
from scandock.catalog.tables import project, session
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action

MANY: Final = 2_000
"""Sessions that are asked for at once."""
_AT_ONCE: Final = 400
"""Labels and UIDs in one statement: SQLite takes no more than 999 values in old versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A session that an upload would make."""

    project: str
    label: str
    study_uid: str = ""


@dataclass(slots=True)
class _There:
    """Sessions of one project by label and by study; of several the archived one."""

    labels: dict[str, RowMapping] = field(default_factory=dict)
    studies: dict[str, RowMapping] = field(default_factory=dict)

    def add(self, row: RowMapping) -> None:
        for found, key in ((self.labels, row["key"]), (self.studies, row["study_uid"])):
            if key and (key not in found or row["place"] == "archive"):
                found[key] = row


def known_sessions(connection: Connection, principal: Principal, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """For each: `label`, the session that has its label, and `study`, the one that has its study; null for none.

    What the principal may not see is none.
    """
    there: dict[str, _There] = defaultdict(_There)
    by_project: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_project[one.project.casefold()].append(one)
    for key, some in by_project.items():
        for at in range(0, len(some), _AT_ONCE):
            for row in _rows(connection, principal, key, some[at : at + _AT_ONCE]):
                there[key].add(row)
    return [
        {
            "label": _shown(there[one.project.casefold()].labels.get(label_key(one.label))),
            "study": _shown(there[one.project.casefold()].studies.get(one.study_uid)) if one.study_uid else None,
        }
        for one in asked
    ]


def _rows(connection: Connection, principal: Principal, key: str, asked: Sequence[Asked]) -> Sequence[RowMapping]:
    visible = or_(
        and_(session.c.place == "archive", projects_where(principal, Action.SESSION_READ)),
        and_(session.c.place == "prearchive", projects_where(principal, Action.PREARCHIVE_READ)),
    )
    wanted = or_(
        session.c.key.in_({label_key(one.label) for one in asked}),
        session.c.study_uid.in_({one.study_uid for one in asked if one.study_uid}),
    )
    columns = (session.c.key, session.c.label, session.c.subject, session.c.place, session.c.state, session.c.study_uid)
    query = (
        select(*columns, project.c.name.label("project"))
        .join(project, project.c.id == session.c.project_id)
        .where(project.c.key == key, visible, wanted)
        .order_by(session.c.id)
    )
    return connection.execute(query).mappings().all()


def _shown(row: RowMapping | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.items() if name != "key"}
