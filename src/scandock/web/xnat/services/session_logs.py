"""What is known of a prearchive session's past, as XNAT shows its logs: how it came, what was noticed, what was done
(xnat-behaviour.md 5.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import tree, upload
from scandock.model.dataclass import dataclass
from scandock.services.audit import project_condition
from scandock.web.xnat.services.columns import Rows, format_moment

MAX_ENTRIES: Final = 1000
"""Lines of the trail that are told, the last ones."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: when, in unix milliseconds, and what."""

    at: int
    text: str


def read_log(connection: Connection, session_record: SessionRecord) -> list[LogEntry]:
    """The entries of a session that may be read, the oldest first: two statements.

    What was done to it while it stood in another project is told to those alone who may read that one's trail.
    """
    upload_row = connection.execute(
        select(upload.c.state, upload.c.message, upload.c.created, upload.c.finished)
        .join(tree, tree.c.upload_id == upload.c.id)
        .where(tree.c.id == session_record.tree_id)
    ).first()
    entries, ended_at = [], session_record.created
    if upload_row is not None:  # else people made it by hand
        ended_at = upload_row.finished or session_record.created
        entries.append(LogEntry(upload_row.created, "Importing what was sent."))
        entries.append(LogEntry(ended_at, f"Imported: {upload_row.state}. {upload_row.message}".strip()))
    entries += [
        LogEntry(ended_at, f"Warning: {_join_sentences(warning['message'], warning.get('remedy', ''))}")
        for warning in session_record.warnings
    ]
    if session_record.held[0]:
        entries.append(LogEntry(session_record.modified, f"Conflict: {_join_sentences(*session_record.held[1:])}"))
    audit_rows = connection.execute(
        select(audit.c.at, audit.c.actor, audit.c.action, audit.c.outcome)
        .where(
            project_condition(session_record.project_id),
            audit.c.kind == "session",
            audit.c.target == session_record.uuid,
        )
        .order_by(audit.c.id.desc())
        .limit(MAX_ENTRIES)
    ).all()
    entries += [LogEntry(row.at, f"{row.action} by {row.actor}: {row.outcome}.") for row in audit_rows]
    return sorted(entries, key=lambda warning: warning.at)


def _join_sentences(message: str, remedy: str) -> str:
    return f"{message} {remedy}".strip()


def make_log_rows(entries: Sequence[LogEntry]) -> Rows:
    """Entries as a listing; they count from 1."""
    rows = [[str(number), format_moment(entry.at), entry.text] for number, entry in enumerate(entries, start=1)]
    return Rows(["id", "date", "entry"], rows)
