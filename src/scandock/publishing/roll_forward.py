"""The end of an import that died behind its intents: placed, or given up in words where its staging is gone."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import upload
from scandock.model.errors import Fault
from scandock.model.import_report import ImportOutcome, ImportReport, format_outcome, parse_outcome
from scandock.model.upload_log import log_step
from scandock.publishing.complete import complete, end_unpublished, end_unpublished_operation, has_intents
from scandock.publishing.intent_matching import match_intents
from scandock.publishing.receipts import rebuild_receipt
from scandock.publishing.requeue import drop_bytes, has_bytes
from scandock.queue.leases import ImportLease, OperationLease, check_lease
from scandock.queue.retry import retry_upload
from scandock.store.port import Stage, Store

RECEIPT_ANEW = {
    "code": "receipt_anew",
    "message": "The receipt was lost with what the import had staged: this one is from the catalog, and has only the"
    " files that were stored.",
}


def roll_operation_forward(
    catalog: Catalog, store: Store, stage: Stage, lease: OperationLease, *, release: bool = False
) -> Fault | None:
    """Finish what a dead operation has recorded; as `roll_forward`, but it has no bytes to be tried again with."""
    why = match_intents(catalog, store, stage, lease, release=release).why
    if has_intents(catalog, lease):
        complete(catalog, store, stage, lease)
    else:
        end_unpublished_operation(catalog, store, stage, lease)
    return why


def roll_forward(
    catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, *, release: bool = False
) -> Fault | None:
    """Finish what a dead import has recorded; the Fault `staging_lost` where not all of it could be placed.

    Such a one ends `failed`, and is tried again by itself where its bytes are in the store. `release`: a person gives
    up what is not placed yet; the Fault is `released`, and nothing is tried again.
    Fault where the machine fails, and then it is to be tried again; TokenLost.
    """
    why = match_intents(catalog, store, stage, lease, release=release).why
    with catalog.read() as connection:
        text = connection.execute(select(upload.c.report).where(upload.c.id == lease.upload_id)).scalar_one()
    outcome = parse_outcome(text)
    if has_intents(catalog, lease):
        if rebuild_receipt(catalog, store, stage, lease):
            _note_receipt(catalog, lease, outcome)
        complete(catalog, store, stage, lease)
    else:
        end_unpublished(catalog, store, stage, lease, outcome)
    log_step("import rolled forward", lease.uuid, code=None if why is None else why.code)
    drop_bytes(catalog, store, lease)
    if why is not None and not release:
        _try_again(catalog, store, lease)
    return why


def _note_receipt(catalog: Catalog, lease: ImportLease, outcome: ImportOutcome) -> None:
    if not isinstance(outcome, ImportReport):
        return  # it has no warnings: an import of which entries were decided has a report
    noted = replace(outcome, warnings=[*outcome.warnings, RECEIPT_ANEW])
    with catalog.write() as connection:
        check_lease(catalog, connection, lease)
        connection.execute(update(upload).where(upload.c.id == lease.upload_id).values(report=format_outcome(noted)))


def _try_again(catalog: Catalog, store: Store, lease: ImportLease) -> None:
    """Let an import that was lost with its staging wait for a new attempt, if its bytes came with the copy."""
    if has_bytes(catalog, store, lease):
        with catalog.write() as connection:
            retry_upload(catalog, connection, lease.upload_id)
