"""Cancelling: a compare-and-set that wins before an import has recorded its intents, and never after."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.sealed_texts import drop_sealed_texts
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import intent, upload
from scandock.model.import_report import ImportReport, format_outcome
from scandock.model.verdicts import ImportState
from scandock.queue.engines import engine_of
from scandock.queue.event_data import CancelRequested
from scandock.queue.events import add_event, add_outcome
from scandock.queue.leases import ImportLease, check_lease
from scandock.queue.states import transition

CANCELLED_MESSAGE = "The import was cancelled; nothing was stored."


class CancelResult(StrEnum):
    """What became of a wish to cancel."""

    DONE = "done"
    """It had not begun, and has ended: its bytes are the caller's to discard."""
    COMING = "coming"
    """Its worker ends it within two seconds; notify it once the transaction is committed."""
    TOO_LATE = "too_late"
    """It is being placed, and only goes forward."""
    ENDED = "ended"
    """It had ended before."""


def cancel(catalog: Catalog, connection: Connection, upload_id: int) -> CancelResult:
    """Cancel an upload that came by the server, in the caller's transaction."""
    row = connection.execute(
        select(upload.c.state, upload.c.uuid, upload.c.archive, reception.c.received)
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(upload.c.id == upload_id)
        .with_for_update(of=upload)
    ).one()
    state = ImportState(row.state)
    if state in (ImportState.RECEIVING, ImportState.RECEIVED):
        report = ImportReport(
            upload=row.uuid,
            archive=row.archive,
            state=ImportState.CANCELLED,
            code="cancelled",
            message=CANCELLED_MESSAGE,
            received=row.received,
        )
        connection.execute(
            transition(
                state,
                ImportState.CANCELLED,
                code=report.code,
                message=report.message,
                report=format_outcome(report),
                finished=catalog.now(),
            ).where(upload.c.id == upload_id)
        )
        drop_sealed_texts(connection, upload_id)
        add_outcome(catalog, connection, upload_id, report)
        return CancelResult.DONE
    if state is not ImportState.RUNNING:
        return CancelResult.ENDED
    if is_placing(connection, upload_id):
        return CancelResult.TOO_LATE
    connection.execute(update(reception).where(reception.c.upload_id == upload_id).values(cancel=True, retry_at=0))
    engine_of(catalog).defer(connection, upload_id)  # where it waits for its next attempt, that ends it now
    add_event(catalog, connection, upload_id, CancelRequested())
    return CancelResult.COMING


def is_placing(connection: Connection, upload_id: int) -> bool:
    """Whether it has recorded its intents, and only goes forward."""
    return connection.execute(select(intent.c.id).where(intent.c.upload_id == upload_id).limit(1)).first() is not None


def check_not_cancelled(catalog: Catalog, connection: Connection, lease: ImportLease) -> None:
    """Asked in the transaction that records the intents: InterruptedError where a cancel came first.

    The guard locks the upload's row, as `cancel` does, so that one of both sees the other.
    """
    check_lease(catalog, connection, lease)
    if find_cancelled(connection, [lease.upload_id]):
        raise InterruptedError


def find_cancelled(connection: Connection, upload_ids: list[int]) -> list[int]:
    """Those of these uploads that somebody wants cancelled."""
    query = select(reception.c.upload_id).where(reception.c.upload_id.in_(upload_ids), reception.c.cancel)
    return list(connection.execute(query).scalars())
