"""From intents to the end: the steps that an import and whoever takes it over share. Intents roll forward only."""

from __future__ import annotations

import contextlib

from sqlalchemy import Connection, delete, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import intent, upload
from scandock.model.crash_points import reach
from scandock.model.errors import Fault
from scandock.model.import_report import ImportOutcome, parse_outcome
from scandock.model.verdicts import WITHOUT_RECEIPT, ImportState
from scandock.publishing.deletes import Removal, removals_of, trash_removed
from scandock.publishing.intents import Placement, published_placements, recorded_placements
from scandock.publishing.publish import publish, rename_trees, trash_replaced
from scandock.publishing.row_cleanup import delete_exceptions, delete_staged_rows, delete_tree_rows
from scandock.queue.leases import (
    ImportLease,
    Lease,
    OperationLease,
    check_lease,
    finish,
    finish_operation,
    release_lease,
    renew,
)
from scandock.store.paths import LEDGER, RECEIPT
from scandock.store.port import Stage, Store

SWEEP_SECONDS = 10.0
"""How long an import that has failed, maybe for a full disk, deletes what it staged before it writes so down."""

UNFINISHED_REMEDY = "What it had decided stands in the catalog: the next command on this folder finishes it."


def complete(catalog: Catalog, store: Store, stage: Stage, lease: Lease) -> None:
    """Switch, publish, put away and finish what the intents say.

    Any part that is done already is passed over, so that it may be called again after a kill at any point. A Fault
    leaves everything for whoever tries again; TokenLost where another process has taken over.
    """
    with catalog.read() as connection:
        waiting = recorded_placements(connection, lease)
        going = removals_of(connection, lease, "intent")
    rename_trees(store, stage, waiting)
    if stage.exists(RECEIPT):
        store.keep_receipt(stage, RECEIPT)
    reach("receipt")
    publish(catalog, lease, waiting, going)
    reach("published")
    with catalog.read() as connection:
        placements = published_placements(connection, lease)
        removals = removals_of(connection, lease, "published")
    trash_replaced(store, stage, placements, {"upload": lease.uuid})
    trash_removed(store, removals, {"upload": lease.uuid})
    stage.remove(LEDGER)  # it says what came, which nobody may know of once the import has ended
    _finish(catalog, lease, placements, removals)
    reach("finished")
    store.finish(stage)


def _finish(catalog: Catalog, lease: Lease, placements: list[Placement], removals: list[Removal]) -> None:
    replaced = [placement.base_tree_id for placement in placements if placement.base_tree_id is not None]
    if replaced:
        renew(catalog, lease)
    for tree_id in replaced:
        delete_tree_rows(catalog, tree_id)
    with catalog.write() as connection:
        connection.execute(delete(intent).where(lease.holds(intent)))
        _finish_lease(catalog, connection, lease)
    for removal in removals:
        if not removal.keep:
            delete_tree_rows(catalog, removal.tree_id)


def _finish_lease(catalog: Catalog, connection: Connection, lease: Lease) -> None:
    """End an import with the outcome that it has recorded, an operation without any."""
    if isinstance(lease, OperationLease):
        finish_operation(catalog, connection, lease)
    elif isinstance(lease, ImportLease):
        text = connection.execute(select(upload.c.report).where(upload.c.id == lease.upload_id)).scalar_one()
        finish(catalog, connection, lease, parse_outcome(text))


def end_unpublished_operation(catalog: Catalog, store: Store, stage: Stage, lease: OperationLease) -> bool:
    """End an operation that shows nothing: its row, its rows of trees and its staging go.

    False where it has recorded its intents: then nothing is undone, as in `end_unpublished`. TokenLost.
    """
    if has_intents(catalog, lease):
        release_lease(catalog, lease)
        return False
    with contextlib.suppress(Fault):  # a full disk takes no rows before the staging has gone
        renew(catalog, lease)
    stage.clear()
    delete_staged_rows(catalog, lease)
    with catalog.write() as connection:
        finish_operation(catalog, connection, lease)
    store.finish(stage)
    return True


def end_unpublished(catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, outcome: ImportOutcome) -> bool:
    """End an import that shows nothing: its rows and its staging go, its outcome stays, and a refused one's receipt.

    False where it has recorded its intents: then nothing is undone, and the next command may roll it forward at once.
    TokenLost where another process has taken over.
    """
    if has_intents(catalog, lease):
        release_lease(catalog, lease)
        return False
    with contextlib.suppress(Fault):  # a full disk takes no rows before the staging has gone
        renew(catalog, lease)
    if outcome.state not in WITHOUT_RECEIPT and stage.exists(RECEIPT):
        store.keep_receipt(stage, RECEIPT)
    stage.clear()
    if outcome.state is ImportState.FAILED:
        store.sweep(SWEEP_SECONDS)
    delete_staged_rows(catalog, lease)
    if outcome.state in WITHOUT_RECEIPT:
        delete_exceptions(catalog, lease)
        with catalog.write() as connection:
            check_lease(catalog, connection, lease)
            store.drop_receipt(lease.uuid)  # of one that was being refused when it died
    with catalog.write() as connection:
        finish(catalog, connection, lease, outcome)
    store.finish(stage)
    return True


def has_intents(catalog: Catalog, lease: Lease) -> bool:
    """Whether an import, or an operation, has recorded what it shows, and so only rolls forward."""
    with catalog.read() as connection:
        row = connection.execute(select(intent.c.id).where(lease.holds(intent)).limit(1)).first()
    return row is not None
