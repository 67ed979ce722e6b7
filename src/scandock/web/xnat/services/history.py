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
from scandock.web.xnat.services.experiments import uploader_column

ACTION_NAMES: Final[Mapping[str, str]] = MappingProxyType(
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


def read_history(connection: Connection, principal: Principal, experiment: Experiment) -> list[HistoryEvent]:
    """The events of a session that may be read, the oldest first. Times are unix milliseconds.

    One whose trail is longer than a page of it (1,000 lines) has the newest ones.
    """
    record = experiment.record
    uploader_name = connection.execute(
        select(uploader_column(principal))
        .select_from(session)
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.uuid == record.uuid)
    ).scalar_one()
    events = [_make_event(0, "Added" if record.by_hand else "Imported", record.created, uploader_name)]
    if not rights.is_allowed(connection, principal, Action.AUDIT_READ, record.project):
        return events
    audit_filter = audit.AuditFilter(
        project=record.project, earlier=principal.admin, kind="session", target=record.uuid, outcome=AuditOutcome.DONE
    )
    audit_rows = audit.search(connection, audit_filter, limit=audit.EXPORT_PAGE_ROWS)
    events += [
        _make_event(audit_row.id, ACTION_NAMES[audit_row.action], audit_row.at, audit_row.actor)
        for audit_row in audit_rows
        if audit_row.action in ACTION_NAMES
    ]
    return sorted(events, key=lambda event: (event["event_date"], event["event_id"]))


def _make_event(number: int, action: str, time_ms: int, user: str) -> HistoryEvent:
    return {
        "event_id": number,
        "event_action": action,
        "event_date": time_ms,
        "event_user": user,
        "event_type": "PROCESS" if number == 0 else "WEB_SERVICE",
        "event_reason": "",
        "event_category": "DATA",
        "event_status": "Complete",
        "changesets": [],
    }
