"""Accepting: the transaction after which an upload may be acknowledged, since from then on it is never lost."""

from __future__ import annotations

from sqlalchemy import Connection, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from scandock.queue.engines import engine_of
from scandock.queue.event_data import ImportQueued
from scandock.queue.events import add_event
from scandock.queue.states import transition


def accept(catalog: Catalog, connection: Connection, upload_id: int) -> bool:
    """Make a receiving upload, whose bytes are on disk and synced, one that waits for its import.

    Within the caller's transaction; once that is committed, call `scandock.queue.notify.notify`. False, and nothing
    done, where it is not receiving (any more): it was accepted before, or cancelled.
    """
    accepted = transition(ImportState.RECEIVING, ImportState.RECEIVED).where(upload.c.id == upload_id)
    changed = connection.execute(accepted).rowcount
    if changed != 1:
        return False
    connection.execute(update(reception).where(reception.c.upload_id == upload_id).values(accepted=catalog.now()))
    announce(catalog, connection, upload_id)
    return True


def announce(catalog: Catalog, connection: Connection, upload_id: int) -> None:
    """Tell the queue's engine, and those who watch, that an upload waits; takes effect with the transaction."""
    add_event(catalog, connection, upload_id, ImportQueued())
    engine_of(catalog).defer(connection, upload_id)
