"""What is known of a prearchive session's past, as XNAT shows its logs: how it came, what was noticed, what was done
(xnat-behaviour.md 5.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import tree, upload
from scandock.services.audit import project_condition
from scandock.web.xnat.services.columns import Rows, moment

MOST: Final = 1000
"""Lines of the trail that are told, the last ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: when, in unix milliseconds, and what."""

    at: int
    text: str


def entries_of(connection: Connection, standing: SessionRecord) -> list[Entry]:
    """The entries of a session that may be read, the oldest first: two statements.

    What was done to it while it stood in another project is told to those alone who may read that one's trail.
    """
    came = connection.execute(
        select(upload.c.state, upload.c.message, upload.c.created, upload.c.finished)
        .join(tree, tree.c.upload_id == upload.c.id)
        .where(tree.c.id == standing.tree_id)
    ).first()
    entries, ended = [], standing.created
    if came is not None:  # else people made it by hand
        ended = came.finished or standing.created
        entries.append(Entry(came.created, "Importing what was sent."))
        entries.append(Entry(ended, f"Imported: {came.state}. {came.message}".strip()))
    entries += [
        Entry(ended, f"Warning: {_sentence(one['message'], one.get('remedy', ''))}") for one in standing.warnings
    ]
    if standing.held[0]:
        entries.append(Entry(standing.modified, f"Conflict: {_sentence(*standing.held[1:])}"))
    done = connection.execute(
        select(audit.c.at, audit.c.actor, audit.c.action, audit.c.outcome)
        .where(project_condition(standing.project_id), audit.c.kind == "session", audit.c.target == standing.uuid)
        .order_by(audit.c.id.desc())
        .limit(MOST)
    ).all()
    entries += [Entry(row.at, f"{row.action} by {row.actor}: {row.outcome}.") for row in done]
    return sorted(entries, key=lambda one: one.at)


def _sentence(message: str, remedy: str) -> str:
    return f"{message} {remedy}".strip()


def table(entries: Sequence[Entry]) -> Rows:
    """Entries as a listing; they count from 1."""
    rows = [[str(number), moment(one.at), one.text] for number, one in enumerate(entries, start=1)]
    return Rows(["id", "date", "entry"], rows)
