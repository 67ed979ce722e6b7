"""Uploads whose bytes went missing, and the end of those that will never be whole."""

from __future__ import annotations

from sqlalchemy import ColumnElement, true

from scandock.catalog.sealed_texts import drop_sealed_texts
from scandock.catalog.tables import upload
from scandock.model.import_report import ImportOutcome
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.verdicts import ImportState
from scandock.queue.events import add_outcome
from scandock.queue.states import transition
from scandock.services.logs import log
from scandock.services.receiving import UploadReceiver
from scandock.services.spool_removal import discard_spool
from scandock.services.upload_errors import UploadLost


def is_upload_lost(receiving: UploadReceiver, incoming_upload: IncomingUpload) -> bool:
    """Whether bytes of a resumable upload, which its row has as synced, are in the store no more.

    As where somebody removed them, or in a copy of DATA whose catalog is newer than its files. Asked beside no writer:
    a sync that fails drops the bytes a moment before the row says so.
    """
    return incoming_upload.receiving and receiving.store.spool(incoming_upload.uuid).size() < incoming_upload.received


def end_lost_upload(receiving: UploadReceiver, incoming_upload: IncomingUpload) -> None:
    """End such an upload; its row stays and says so."""
    why = UploadLost(incoming_upload.received)
    if end_upload(receiving, incoming_upload.upload_id, incoming_upload.uuid, why.code, str(why), condition=true()):
        log().warning("upload lost", upload=incoming_upload.uuid, bytes=incoming_upload.received)


def end_upload(
    receiving: UploadReceiver, upload_id: int, uuid: str, code: str, message: str, *, condition: ColumnElement[bool]
) -> bool:
    """End an upload that is `condition` to end and that nobody goes on with; False where it is not."""
    catalog = receiving.catalog
    with catalog.write() as connection:
        changed = connection.execute(
            transition(
                ImportState.RECEIVING, ImportState.CANCELLED, code=code, message=message, finished=catalog.now()
            ).where(upload.c.id == upload_id, condition)
        ).rowcount
        if changed:
            outcome = ImportOutcome(state=ImportState.CANCELLED, code=code, message=message)
            drop_sealed_texts(connection, upload_id)
            add_outcome(catalog, connection, upload_id, outcome)
    if changed:
        discard_spool(catalog, receiving.store, uuid)
    return bool(changed)
