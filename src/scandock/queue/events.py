"""What is told of an upload that came by the server, in order; the row's id is the `Last-Event-ID` of the streams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, insert, select
from sqlalchemy.types import String, Text

from scandock.catalog.deliveries import enqueue
from scandock.catalog.engine import Catalog, database_now, transaction_number
from scandock.catalog.server_tables import event, reception
from scandock.catalog.tables import upload
from scandock.model.import_report import ImportOutcome, ImportReport
from scandock.model.import_types import STAGES
from scandock.model.upload_log import log_step
from scandock.queue.event_data import EventData, ImportEnded, SessionPublished, StageBegun

SHOWN_SESSIONS = 1_000
"""Sessions that events and progress name; the report has all."""

_LOGGED = {"received": "import queued", "cancelling": "import to be cancelled"}
"""Kinds that are steps for the log, too, and what they are called there; the worker tells of the others."""


def add_event(catalog: Catalog, connection: Connection, upload_id: int, data: EventData) -> None:
    """Tell of an upload within the caller's transaction; no event for an import of the command line.

    The caller holds the lock of the upload's row: so events of one upload are committed in the order of their numbers.
    An outcome is also noted for those who asked to be told of it.
    """
    if data.kind in _LOGGED:
        _log_step(catalog, connection, upload_id, _LOGGED[data.kind])
    _add_rows(catalog, connection, upload_id, [data])
    if isinstance(data, ImportEnded):
        enqueue(catalog, connection, upload_id, data.state)


def _add_rows(catalog: Catalog, connection: Connection, upload_id: int, events: Iterable[EventData]) -> None:
    rows = [{"upload": upload_id, "event_kind": data.kind, "event_data": json.dumps(data.to_json())} for data in events]
    if rows:
        connection.execute(_adding(sqlite=catalog.sqlite), rows)


@cache
def _adding(*, sqlite: bool) -> Insert:
    """The next event of an upload."""
    whose = select(
        reception.c.upload_id,
        reception.c.account_id,
        bindparam("event_kind", type_=String(16)),
        bindparam("event_data", type_=Text),
        database_now(sqlite=sqlite),
        transaction_number(sqlite=sqlite),
    ).where(reception.c.upload_id == bindparam("upload"))
    return insert(event).from_select(["upload_id", "account_id", "kind", "data", "at", "txid"], whose)


def add_outcome(catalog: Catalog, connection: Connection, upload_id: int, outcome: ImportOutcome) -> None:
    """Tell how an upload ended: the stages that were too short to be told of, each session that stands, the outcome."""
    report = outcome if isinstance(outcome, ImportReport) else None
    reception_row = connection.execute(select(reception.c.upload_id).where(reception.c.upload_id == upload_id)).first()
    sessions = [SessionPublished.of(session) for session in report.sessions[:SHOWN_SESSIONS]] if report else []
    if reception_row is not None:  # else it came by the command line: its end alone is told, by mail
        stages = _missed_stages(connection, upload_id, report.seconds if report else {})
        shown = [session for session in sessions if session.uri is not None]
        _add_rows(catalog, connection, upload_id, [*stages, *shown])
    ended = ImportEnded(state=outcome.state.value, code=outcome.code, message=outcome.message, sessions=sessions)
    add_event(catalog, connection, upload_id, ended)
    if reception_row is not None:
        _log_outcome(catalog, connection, upload_id, outcome, report)


def _log_step(catalog: Catalog, connection: Connection, upload_id: int, step: str, **facts: Any) -> None:  # noqa: ANN401
    """Tell the log of a step, once it is committed."""
    number = connection.execute(select(upload.c.uuid).where(upload.c.id == upload_id)).scalar_one()
    catalog.after_commit(connection, partial(log_step, step, number, **facts))


def _log_outcome(
    catalog: Catalog, connection: Connection, upload_id: int, outcome: ImportOutcome, report: ImportReport | None
) -> None:
    """Tell the log of an outcome what it may have: figures and codes."""
    _log_step(
        catalog,
        connection,
        upload_id,
        "import ended",
        state=outcome.state.value,
        code=outcome.code or None,
        sessions=len(report.sessions) if report else 0,
        entries={verdict: count for verdict, count in report.entries.items() if count} if report else {},
        bytes=report.received if report else 0,
        seconds=report.seconds if report else {},
    )


def _missed_stages(connection: Connection, upload_id: int, seconds: Mapping[str, float]) -> Iterator[StageBegun]:
    """Stages that the report counts, but of which nobody was told, with the attempt that went through them."""
    stage_events = [
        StageBegun.from_json(json.loads(data))
        for data in connection.execute(
            select(event.c.data).where(event.c.upload_id == upload_id, event.c.kind == "stage").order_by(event.c.id)
        ).scalars()
    ]
    if stage_events:  # what is only rolled forward was gone through by the attempt before
        attempt = stage_events[-1].attempt
    else:
        attempt = connection.execute(select(upload.c.attempt).where(upload.c.id == upload_id)).scalar_one()
    known = {stage_event.stage for stage_event in stage_events if stage_event.attempt == attempt}
    return (StageBegun(stage=stage, attempt=attempt) for stage in STAGES if stage in seconds and stage not in known)
