"""What the targets of the trail's lines are called now; the trail itself keeps ids alone, as labels may name people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, literal, select, union_all

from scandock.access.principal import Principal
from scandock.access.visibility import sessions_where
from scandock.catalog.server_tables import account
from scandock.catalog.tables import project, session
from scandock.services.audit import AuditRow


def find_target_names(
    connection: Connection, principal: Principal, rows: Iterable[AuditRow]
) -> Mapping[tuple[str, str], str]:
    """By kind and id: the name of an account, the label of a session that is still there and `principal` may see.

    In one statement for all lines. Accounts are named to whoever may read the line: it is of their project or site.
    """
    uuids: dict[str, set[str]] = {"account": set(), "session": set()}
    for row in rows:
        if row.kind in uuids:
            uuids[row.kind].add(row.target)
    if not any(uuids.values()):
        return {}
    both: Select[Any] = select(literal("account").label("kind"), account.c.uuid, account.c.name.label("name")).where(
        account.c.uuid.in_(sorted(uuids["account"]))
    )
    sessions: Select[Any] = (
        select(literal("session"), session.c.uuid, session.c.label)
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.uuid.in_(sorted(uuids["session"])), sessions_where(principal))
    )
    return {(row.kind, row.uuid): row.name for row in connection.execute(union_all(both, sessions))}
