"""Uploads whose bytes went missing, and the end of those that will never be whole."""

from __future__ import annotations

from sqlalchemy import ColumnElement, true

from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from scandock.queue.events import add_outcome
from scandock.queue.states import transition
from scandock.services.logs import log
from scandock.services.receiving import Arriving, Receiving
from scandock.services.upload_errors import UploadLost


def is_lost(receiving: Receiving, arriving: Arriving) -> bool:
    """Whether bytes of a resumable upload, which its row has as synced, are in the store no more.

    As where somebody removed them, or in a copy of DATA whose catalog is newer than its files. Asked beside no writer:
    a sync that fails drops the bytes a moment before the row says so.
    """
    return arriving.receiving and receiving.store.spool(arriving.uuid).size() < arriving.received


def end_lost(receiving: Receiving, arriving: Arriving) -> None:
    """End such an upload; its row stays and says so."""
    why = UploadLost(arriving.received)
    if end(receiving, arriving.upload_id, arriving.uuid, why.code, str(why), still=true()):
        log().warning("upload lost", upload=arriving.uuid, bytes=arriving.received)


def end(
    receiving: Receiving, upload_id: int, uuid: str, code: str, message: str, *, still: ColumnElement[bool]
) -> bool:
    """End an upload that is `still` to end and that nobody goes on with; False where it is not."""
    catalog = receiving.catalog
    with catalog.write() as connection:
        changed = connection.execute(
            transition(
                ImportState.RECEIVING, ImportState.CANCELLED, code=code, message=message, finished=catalog.now()
            ).where(upload.c.id == upload_id, still)
        ).rowcount
        if changed:
            told = {"code": code, "message": message}
            add_outcome(catalog, connection, upload_id, ImportState.CANCELLED.value, told)
    if changed:
        receiving.store.spool(uuid).discard()
    return bool(changed)
