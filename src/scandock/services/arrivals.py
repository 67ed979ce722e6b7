"""The janitor of what arrives: uploads that stopped coming, and bytes that nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, select, true

from scandock.catalog.server_tables import cached_file, reception
from scandock.catalog.tables import upload
from scandock.model.errors import ScandockError
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.queue.events import add_outcome
from scandock.queue.states import transition
from scandock.services.clock_watch import oldest_kept
from scandock.services.logs import cause, log, where
from scandock.services.receiving import MANY, Arriving, Receiving
from scandock.services.reservations import is_reserved
from scandock.services.upload_errors import UploadExpired, UploadLost


def forget_broken(receiving: Receiving) -> int:
    """Forget uploads by raw or multipart body that nobody brings any more: their clients know that they failed.

    Their process is gone, or their lease is over, which the request renewed while it lived: it may have ended where the
    catalog or the disk could not be written to, and then it has left all of it. Not those of a user's cache that have
    come whole: their clients know that they are kept.
    """
    cached = select(cached_file.c.upload_id).where(cached_file.c.whole)
    with receiving.catalog.read() as connection:
        rows = connection.execute(
            select(upload.c.uuid, upload.c.owner, is_reserved(receiving.catalog).label("leased"))
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(
                upload.c.state == ImportState.RECEIVING,
                reception.c.door.in_(("raw", "multipart")),
                upload.c.id.not_in(cached),
            )
        ).all()
    gone = [row.uuid for row in rows if receiving.is_over(row.uuid, row.owner, leased=row.leased)]
    return sum(_forget(receiving, uuid) for uuid in gone)


def _forget(receiving: Receiving, uuid: str) -> bool:
    """Forget one of them; whether that could be done. What hinders one hinders no other, and the next turn tries it."""
    try:
        arriving = receiving.find(uuid)
        done = arriving is not None and receiving.discard(arriving)
    except ScandockError as error:
        log().warning("broken upload not cleared", upload=uuid, code=error.code, cause=cause(error), where=where(error))
        return False
    receiving.broken.discard(uuid)
    if done:
        log().info("broken upload cleared", upload=uuid)
    return done


def expire(receiving: Receiving, busy: Collection[str] = ()) -> int:
    """End resumable uploads that nobody went on with in time; their rows stay and say so.

    None while the clock can't be trusted.
    """
    catalog = receiving.catalog
    lasts = receiving.limits.lasts_ms
    age = oldest_kept(catalog, lasts)
    if age is None:
        return 0
    over = reception.c.expires < catalog.now() - (age - lasts)
    with catalog.read() as connection:
        rows = connection.execute(
            select(upload.c.id, upload.c.uuid)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.state == ImportState.RECEIVING, over)
            .limit(MANY)
        ).all()
    for row in rows:
        if row.uuid in busy:
            continue
        message = "The upload was not finished in time; what had come of it was removed."
        still = upload.c.id.in_(select(reception.c.upload_id).where(over))
        _end(receiving, row.id, row.uuid, UploadExpired.CODE, message, still=still)
    return len(rows)


def is_lost(receiving: Receiving, arriving: Arriving) -> bool:
    """Whether bytes of a resumable upload, which its row has as synced, are in the store no more.

    As where somebody removed them, or in a copy of DATA whose catalog is newer than its files. Asked beside no writer:
    a sync that fails drops the bytes a moment before the row says so.
    """
    return arriving.receiving and receiving.store.spool(arriving.uuid).size() < arriving.received


def end_lost(receiving: Receiving, arriving: Arriving) -> None:
    """End such an upload; its row stays and says so."""
    why = UploadLost(arriving.received)
    if _end(receiving, arriving.upload_id, arriving.uuid, why.code, str(why), still=true()):
        log().warning("upload lost", upload=arriving.uuid, bytes=arriving.received)


def _end(
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


def drop_ended(receiving: Receiving) -> int:
    """Remove the bytes of imports that have ended and keep none (a kill may have come between).

    Only of uploads that the catalog knows: a spool that it does not may be another catalog's.
    """
    store = receiving.store
    dropped = 0
    spools = store.spools()
    for start in range(0, len(spools), MANY):
        with receiving.catalog.read() as connection:
            ended = connection.execute(
                select(upload.c.uuid).where(
                    upload.c.uuid.in_(spools[start : start + MANY]),
                    upload.c.state.not_in(KEEPS_BYTES),
                )
            ).scalars().all()  # fmt: skip
        for uuid in ended:
            store.spool(uuid).discard()
            dropped += 1
    return dropped
