"""Accepting: the transaction after which an upload may be acknowledged, since from then on it is never lost."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from scandock.queue.engines import engine_of
from scandock.queue.event_data import AttemptBegun, ImportQueued
from scandock.queue.events import add_event
from scandock.queue.leases import LEASE_MS
from scandock.queue.owner import has_ended
from scandock.queue.states import transition


def accept(catalog: Catalog, connection: Connection, upload_id: int) -> bool:
    """Make a receiving upload, whose bytes are on disk and synced, one that waits for its import.

    One that is followed is its follower's import at once. Within the caller's transaction; once that is committed, call
    `scandock.queue.notify.notify`. False, and nothing done, where it is not receiving (any more): it was accepted
    before, or cancelled.
    """
    accepted = transition(ImportState.RECEIVING, ImportState.RECEIVED).where(upload.c.id == upload_id)
    changed = connection.execute(accepted).rowcount
    if changed != 1:
        return False
    connection.execute(update(reception).where(reception.c.upload_id == upload_id).values(accepted=catalog.now()))
    announce(catalog, connection, upload_id)
    _hand_over(catalog, connection, upload_id)
    return True


def announce(catalog: Catalog, connection: Connection, upload_id: int) -> None:
    """Tell the queue's engine, and those who watch, that an upload waits; takes effect with the transaction."""
    add_event(catalog, connection, upload_id, ImportQueued())
    engine_of(catalog).defer(connection, upload_id)


def _hand_over(catalog: Catalog, connection: Connection, upload_id: int) -> None:
    """Make an upload that was accepted just now the import of who follows it, where somebody does.

    One that is dead for certain follows nothing, though its lease stands still: the upload waits for a worker.
    """
    row = connection.execute(
        select(reception.c.follow_token, reception.c.follow_owner).where(
            reception.c.upload_id == upload_id,
            reception.c.follow_token != "",
            reception.c.follow_until > catalog.now(),
        )
    ).first()
    if row is None or has_ended(row.follow_owner, catalog.host):
        return
    connection.execute(
        transition(
            ImportState.RECEIVED,
            ImportState.RUNNING,
            token=row.follow_token,
            owner=row.follow_owner,
            attempt=1,
            lease_until=catalog.now() + LEASE_MS,
        ).where(upload.c.id == upload_id)
    )
    add_event(catalog, connection, upload_id, AttemptBegun(attempt=1))
