"""From intents to the end: the steps that an import and whoever takes it over share. Intents roll forward only."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import delete, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import intent, tree, upload, upload_exception
from scandock.model.points import reach
from scandock.model.verdicts import ImportState
from scandock.placing.intents import Placement, published, recorded
from scandock.placing.publish import forget_tree, publish, put_away, switch
from scandock.queue.leases import Lease, finish
from scandock.store.port import Stage, Store

RECEIPT = "receipt.jsonl.gz"
"""Where in a stage the sealed receipt waits."""


def complete(catalog: Catalog, store: Store, stage: Stage, lease: Lease) -> dict[str, Any]:
    """Switch, publish, put away and finish what the intents say; gives the recorded report.

    Any part that is done already is passed over, so that it may be called again after a kill at any point.
    """
    with catalog.read() as connection:
        waiting = recorded(connection, lease.upload_id)
        report: dict[str, Any] = json.loads(
            connection.execute(select(upload.c.report).where(upload.c.id == lease.upload_id)).scalar_one()
        )
    switch(store, stage, waiting)
    if stage.exists(RECEIPT):
        store.keep_receipt(stage, RECEIPT)
    reach("receipt")
    publish(catalog, lease, waiting)
    reach("published")
    with catalog.read() as connection:
        shown = published(connection, lease.upload_id)
    put_away(store, stage, shown, {"upload": lease.uuid})
    _finish(catalog, lease, shown, report)
    reach("finished")
    store.finish(stage)
    return report


def _finish(catalog: Catalog, lease: Lease, shown: list[Placement], report: dict[str, Any]) -> None:
    with catalog.write() as connection:
        connection.execute(delete(intent).where(intent.c.upload_id == lease.upload_id))
        finish(catalog, connection, lease, ImportState(report["state"]), report)
    for placement in shown:
        if placement.base_tree_id is not None:
            with catalog.write() as connection:
                forget_tree(connection, placement.base_tree_id)


def end_without(catalog: Catalog, store: Store, stage: Stage | None, lease: Lease, report: dict[str, Any]) -> None:
    """End an import that shows nothing: its rows and its staging go, its outcome and its receipt stay."""
    if stage is not None and stage.exists(RECEIPT):
        store.keep_receipt(stage, RECEIPT)
    discard_rows(catalog, lease)
    with catalog.write() as connection:
        finish(catalog, connection, lease, ImportState(report["state"]), report)
    if stage is not None:
        store.finish(stage)
    else:
        store.forget(lease.uuid)


def discard_rows(catalog: Catalog, lease: Lease) -> None:
    """Remove the invisible rows that an import wrote before it was given up."""
    with catalog.read() as connection:
        staged = connection.execute(
            select(tree.c.id).where(tree.c.upload_id == lease.upload_id, tree.c.state == "staged")
        ).scalars().all()  # fmt: skip
    for number in staged:
        with catalog.write() as connection:
            forget_tree(connection, number)
    with catalog.write() as connection:
        connection.execute(delete(upload_exception).where(upload_exception.c.upload_id == lease.upload_id))
        connection.execute(update(upload).where(upload.c.id == lease.upload_id).values(report=""))
