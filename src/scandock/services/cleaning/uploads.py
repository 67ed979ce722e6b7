"""Uploads that stopped coming, and bytes that nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from scandock.catalog.server_tables import cached_file, reception
from scandock.catalog.tables import upload
from scandock.model.errors import ScandockError
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.services.arrivals import end
from scandock.services.cleaning.cleaner import Cleaner, OfServer
from scandock.services.logs import cause, log, where
from scandock.services.receiving import MANY, Receiving
from scandock.services.reservations import is_reserved
from scandock.services.upload_errors import UploadExpired


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


def expire(receiving: Receiving, age: int, busy: Collection[str] = ()) -> int:
    """End resumable uploads that nobody has gone on with for so long; their rows stay and say so."""
    catalog = receiving.catalog
    over = reception.c.expires < catalog.now() - (age - receiving.limits.lasts_ms)
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
        end(receiving, row.id, row.uuid, UploadExpired.CODE, message, still=still)
    return len(rows)


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


BROKEN: Cleaner[OfServer] = Cleaner(
    what="uploads by raw or multipart body that nobody brings any more",
    clean=lambda site, _age: forget_broken(site.receiving),
)
IDLE: Cleaner[OfServer] = Cleaner(
    what="resumable uploads and a user's cached files that nobody went on with",
    kept_ms=lambda site: site.receiving.limits.lasts_ms,
    clean=lambda site, age: expire(site.receiving, age, set(site.locks)),
)
ENDED: Cleaner[OfServer] = Cleaner(
    what="bytes of imports that have ended",
    clean=lambda site, _age: drop_ended(site.receiving),
)
