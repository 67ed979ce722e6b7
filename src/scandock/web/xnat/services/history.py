"""What has happened to a session, as XNAT's clients ask for it: from when it came, and what was changed since.

Owners see every change, as the audit trail has it; to others it is told what lists tell them anyway: when the session
came and, where they may see its import, by whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict

from sqlalchemy import Connection, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project, session
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.audit import AuditAction, AuditOutcome
from scandock.services.xnat_lookup import Experiment
from scandock.web.xnat.services.experiments import brought_by

CALLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        AuditAction.ARCHIVE: "Archived",
        AuditAction.MOVE: "Moved",
        AuditAction.EDIT: "Modified",
        AuditAction.REBUILD: "Rebuilt",
        AuditAction.RESOLVE: "Resolved",
        AuditAction.DELETE: "Deleted",
        AuditAction.RESTORE: "Restored",
    }
)
"""Lines of the trail that tell of a change, and what each is called; looking and downloading change nothing."""


HistoryEvent = TypedDict(  # noqa: UP013  clients alone read its keys
    "HistoryEvent",
    {
        "event_id": int,
        "event_action": str,
        "event_date": int,
        "event_user": str,
        "event_type": str,
        "event_reason": str,
        "event_category": str,
        "event_status": str,
        "changesets": list[str],
    },
)
"""An event in the original's words; its date in Unix milliseconds."""


def history_of(connection: Connection, principal: Principal, found: Experiment) -> list[HistoryEvent]:
    """The events of a session that may be read, the oldest first. Times are unix milliseconds.

    One whose trail is longer than a page of it (1,000 lines) has the newest ones.
    """
    one = found.standing
    whose = connection.execute(
        select(brought_by(principal))
        .select_from(session)
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.uuid == one.uuid)
    ).scalar_one()
    events = [_event(0, "Added" if one.by_hand else "Imported", one.created, whose)]
    if not rights.is_allowed(connection, principal, Action.AUDIT_READ, one.project):
        return events
    wanted = audit.AuditFilter(
        project=one.project, earlier=principal.admin, kind="session", target=one.uuid, outcome=AuditOutcome.DONE
    )
    lines = audit.search(connection, wanted, limit=audit.EXPORT_PAGE_ROWS)
    events += [
        _event(line.id, CALLED[line.action], line.at, line.actor) for line in lines if line.action in CALLED
    ]  # fmt: skip
    return sorted(events, key=lambda event: (event["event_date"], event["event_id"]))


def _event(number: int, action: str, at: int, user: str) -> HistoryEvent:
    return {
        "event_id": number,
        "event_action": action,
        "event_date": at,
        "event_user": user,
        "event_type": "PROCESS" if number == 0 else "WEB_SERVICE",
        "event_reason": "",
        "event_category": "DATA",
        "event_status": "Complete",
        "changesets": [],
    }
