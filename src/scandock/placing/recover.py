"""What a dead import left is finished or cleared away, by the next command that opens DATA."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy import select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import intent, tree, upload
from scandock.model.errors import Fault, TokenLost
from scandock.model.verdicts import ImportState
from scandock.placing.complete import complete, discard_rows
from scandock.placing.publish import forget_tree
from scandock.queue.leases import Dead, Lease, find_dead, finish, take_over
from scandock.store.port import Store

INTERRUPTED: dict[str, Any] = {
    "state": ImportState.FAILED.value,
    "code": "interrupted",
    "message": "The import was interrupted before anything was placed; import the archive again.",
}


def recover(catalog: Catalog, store: Store) -> list[str]:
    """Take over every dead import: with intents it is rolled forward, without any it ends `failed`, `interrupted`.

    Live imports are known by their lease and lock and are left alone. Gives the uploads that were dealt with.
    """
    done = []
    for dead in find_dead(catalog):
        with contextlib.suppress(TokenLost):
            if _recover_one(catalog, store, dead):
                done.append(dead.uuid)
    _clear_strays(catalog, store)
    return done


def _recover_one(catalog: Catalog, store: Store, dead: Dead) -> bool:
    try:
        hold = store.hold(dead.uuid)
    except Fault:
        return False  # its owner, or another that recovers it, is alive after all
    with hold:
        lease = take_over(catalog, dead)
        if lease is None:
            return False
        stage = store.take(dead.uuid, dead.token, lease.token)
        if _has_intents(catalog, lease):
            complete(catalog, store, stage, lease)
            return True
        discard_rows(catalog, lease)
        with catalog.write() as connection:
            finish(catalog, connection, lease, ImportState.FAILED, INTERRUPTED)
        store.finish(stage)
    return True


def _has_intents(catalog: Catalog, lease: Lease) -> bool:
    with catalog.read() as connection:
        found = connection.execute(select(intent.c.id).where(intent.c.upload_id == lease.upload_id).limit(1)).first()
    return found is not None


def _clear_strays(catalog: Catalog, store: Store) -> None:
    """Work folders that no running import owns, and rows of trees that nothing will ever point at."""
    with catalog.read() as connection:
        running = set(connection.execute(select(upload.c.uuid).where(upload.c.state == ImportState.RUNNING)).scalars())
        lost = connection.execute(
            select(tree.c.id)
            .join(upload, upload.c.id == tree.c.upload_id)
            .where(tree.c.state != "current", upload.c.state != ImportState.RUNNING)
        ).scalars().all()  # fmt: skip
    for number in lost:
        with catalog.write() as connection:
            forget_tree(connection, number)
    for work in store.works():
        if work not in running and not store.owner_alive(work):
            store.forget(work)
