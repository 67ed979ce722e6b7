"""What is told of an upload that came by the server, in order; the row's id is the `Last-Event-ID` of the streams."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, insert, literal, select
from sqlalchemy.types import String, Text

from scandock.catalog.deliveries import enqueue
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import event, reception
from scandock.catalog.tables import upload
from scandock.model.import_types import STAGES
from scandock.model.upload_log import log_step

EventKind = Literal["received", "running", "stage", "found", "session", "retry", "cancelling", "outcome"]
"""`received` and `running` with the attempt, `stage` as they are met, `found` with the patients met while reading,
`retry` with code, message and `seconds`, a `session` for each that stands now, `outcome` with state, code, message and
sessions: the last that is told, unless somebody asks for a retry."""

SHOWN_SESSIONS = 1_000
"""Sessions that events and progress name; the report has all."""

_LOGGED = {"received": "import queued", "cancelling": "import to be cancelled"}
"""Kinds that are steps for the log, too, and what they are called there; the worker tells of the others."""

_SESSION = ("project", "subject", "label", "state", "uri", "code")


def add_event(catalog: Catalog, connection: Connection, upload_id: int, kind: EventKind, data: dict[str, Any]) -> None:
    """Tell of an upload within the caller's transaction; no event for an import of the command line.

    An outcome is also noted for those who asked to be told of it.
    """
    if kind in _LOGGED:
        _log_step(catalog, connection, upload_id, _LOGGED[kind])
    whose = select(
        reception.c.upload_id,
        reception.c.account_id,
        literal(kind, String(16)),
        literal(json.dumps(data), Text),
        catalog.now(),
    ).where(reception.c.upload_id == upload_id)
    connection.execute(insert(event).from_select(["upload_id", "account_id", "kind", "data", "at"], whose))
    if kind == "outcome":
        enqueue(catalog, connection, upload_id, data["state"])


def add_outcome(
    catalog: Catalog, connection: Connection, upload_id: int, state: str, report: Mapping[str, Any]
) -> None:
    """Tell how an upload ended: the stages that were too short to be told of, each session that stands, the outcome.

    `report` is that of the fixed surface, or any part of it.
    """
    reception_row = connection.execute(select(reception.c.upload_id).where(reception.c.upload_id == upload_id)).first()
    sessions = [
        {key: session_report.get(key) for key in _SESSION}
        for session_report in (report.get("sessions") or ())[:SHOWN_SESSIONS]
    ]
    if reception_row is not None:  # else it came by the command line: its end alone is told, by mail
        for data in _missed_stages(connection, upload_id, report.get("seconds") or {}):
            add_event(catalog, connection, upload_id, "stage", data)
        for session_report in sessions:
            if session_report["uri"] is not None:
                add_event(catalog, connection, upload_id, "session", session_report)
    outcome = {
        "state": state,
        "code": report.get("code") or "",
        "message": report.get("message") or "",
        "sessions": sessions,
    }
    add_event(catalog, connection, upload_id, "outcome", outcome)
    if reception_row is not None:
        _log_step(catalog, connection, upload_id, "import ended", **_outcome_details(state, report))


def _log_step(catalog: Catalog, connection: Connection, upload_id: int, step: str, **facts: Any) -> None:  # noqa: ANN401
    """Tell the log of a step, once it is committed."""
    number = connection.execute(select(upload.c.uuid).where(upload.c.id == upload_id)).scalar_one()
    catalog.after_commit(connection, partial(log_step, step, number, **facts))


def _outcome_details(state: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """Of an outcome what a log may have: figures and codes."""
    entries = {verdict: count for verdict, count in (report.get("entries") or {}).items() if count}
    return {
        "state": state,
        "code": report.get("code") or None,
        "sessions": len(report.get("sessions") or ()),
        "entries": entries,
        "bytes": (report.get("bytes") or {}).get("received", 0),
        "seconds": report.get("seconds") or {},
    }


def _missed_stages(connection: Connection, upload_id: int, seconds: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Stages that the report counts, but of which nobody was told, with the attempt that went through them."""
    stage_events = [
        json.loads(data)
        for data in connection.execute(
            select(event.c.data).where(event.c.upload_id == upload_id, event.c.kind == "stage").order_by(event.c.id)
        ).scalars()
    ]
    if stage_events:  # what is only rolled forward was gone through by the attempt before
        attempt = stage_events[-1]["attempt"]
    else:
        attempt = connection.execute(select(upload.c.attempt).where(upload.c.id == upload_id)).scalar_one()
    known = {stage_event["stage"] for stage_event in stage_events if stage_event["attempt"] == attempt}
    return ({"stage": stage, "attempt": attempt} for stage in STAGES if stage in seconds and stage not in known)
