"""The end of an import that died behind its intents: placed, or given up in words where its staging is gone."""

from __future__ import annotations

import json

from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import upload
from scandock.model.errors import Fault
from scandock.model.upload_log import log_step
from scandock.placing.complete import complete, end_operation_without, end_without, has_intents
from scandock.placing.prove import fit_intents
from scandock.placing.receipts import keep_receipt_anew
from scandock.placing.requeue import drop_bytes, has_bytes
from scandock.queue.leases import ImportLease, OperationLease, guard
from scandock.queue.retry import again
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
    why = fit_intents(catalog, store, stage, lease, release=release).why
    if has_intents(catalog, lease):
        complete(catalog, store, stage, lease)
    else:
        end_operation_without(catalog, store, stage, lease)
    return why


def roll_forward(
    catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, *, release: bool = False
) -> Fault | None:
    """Finish what a dead import has recorded; the Fault `staging_lost` where not all of it could be placed.

    Such a one ends `failed`, and is tried again by itself where its bytes are in the store. `release`: a person gives
    up what is not placed yet; the Fault is `released`, and nothing is tried again.
    Fault where the machine fails, and then it is to be tried again; TokenLost.
    """
    why = fit_intents(catalog, store, stage, lease, release=release).why
    with catalog.read() as connection:
        text = connection.execute(select(upload.c.report).where(upload.c.id == lease.upload_id)).scalar_one()
    report = json.loads(text or "{}")
    if has_intents(catalog, lease):
        if keep_receipt_anew(catalog, store, stage, lease):
            _note_receipt(catalog, lease, report)
        complete(catalog, store, stage, lease)
    else:
        end_without(catalog, store, stage, lease, report)
    log_step("import rolled forward", lease.uuid, code=None if why is None else why.code)
    drop_bytes(catalog, store, lease)
    if why is not None and not release:
        _try_again(catalog, store, lease)
    return why


def _note_receipt(catalog: Catalog, lease: ImportLease, report: dict[str, object]) -> None:
    warnings = report.get("warnings")
    noted = {**report, "warnings": [*(warnings if isinstance(warnings, list) else []), RECEIPT_ANEW]}
    with catalog.write() as connection:
        guard(catalog, connection, lease)
        connection.execute(update(upload).where(upload.c.id == lease.upload_id).values(report=json.dumps(noted)))


def _try_again(catalog: Catalog, store: Store, lease: ImportLease) -> None:
    """Let an import that was lost with its staging wait for a new attempt, if its bytes came with the copy."""
    if has_bytes(catalog, store, lease):
        with catalog.write() as connection:
            again(catalog, connection, lease.upload_id)
