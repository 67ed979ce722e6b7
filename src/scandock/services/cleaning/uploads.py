"""Uploads that stopped coming, and bytes that nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file, reception
from scandock.catalog.tables import upload
from scandock.model.durations import HOUR_MS
from scandock.model.errors import ScandockError
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.rules.import_request import ImportRequest
from scandock.rules.mapping import parse_mapping
from scandock.rules.naming import list_destinations
from scandock.services.cleaning.cleaner import Cleaner, HasServerState
from scandock.services.door_names import ReceptionPrivacy, read_sealed
from scandock.services.logs import error_cause, error_location, log
from scandock.services.lost_uploads import end_upload
from scandock.services.privacy_source import current_privacy
from scandock.services.receiving import ROWS_PER_TURN, UploadReceiver
from scandock.services.spool_removal import discard_spool
from scandock.services.upload_errors import UploadExpired
from scandock.store.port import Store


def delete_abandoned_uploads(receiving: UploadReceiver) -> int:
    """Forget uploads by raw or multipart body that nobody brings any more: their clients know that they failed.

    Their process is gone, or their lease is over, which the request renewed while it lived: it may have ended where the
    catalog or the disk could not be written to, and then it has left all of it; or its host is gone. Not those of a
    user's cache that have come whole: their clients know that they are kept.
    """
    cached = select(cached_file.c.upload_id).where(cached_file.c.whole)
    with receiving.catalog.read() as connection:
        rows = connection.execute(
            select(upload.c.uuid, upload.c.owner, reception.c.writer, receiving.is_leased().label("leased"))
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(
                upload.c.state == ImportState.RECEIVING,
                reception.c.door.in_(("raw", "multipart", "dicomweb")),
                upload.c.id.not_in(cached),
            )
        ).all()
    over = [row for row in rows if receiving.is_over(row.uuid, row.owner, leased=row.leased)]
    return sum(_delete_upload(receiving, row.uuid, row.writer) for row in over)


def _delete_upload(receiving: UploadReceiver, uuid: str, writer: str) -> bool:
    """Forget one of them; whether that could be done. What hinders one hinders no other, and the next turn tries it."""
    try:
        is_done = receiving.give_up(uuid, writer)
    except ScandockError as error:
        log().warning(
            "broken upload not cleared",
            upload=uuid,
            code=error.code,
            cause=error_cause(error),
            where=error_location(error),
        )
        return False
    if is_done:
        log().info("broken upload cleared", upload=uuid)
    return is_done


def expire_uploads(receiving: UploadReceiver, age: int, busy: Collection[str] = ()) -> int:
    """End resumable uploads that nobody has gone on with for so long; their rows stay and say so."""
    catalog = receiving.catalog
    over = reception.c.expires < catalog.now() - (age - receiving.limits.lasts_ms)
    with catalog.read() as connection:
        rows = connection.execute(
            select(upload.c.id, upload.c.uuid)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.state == ImportState.RECEIVING, over)
            .limit(ROWS_PER_TURN)
        ).all()
    for row in rows:
        if row.uuid in busy:
            continue
        message = "The upload was not finished in time; what had come of it was removed."
        condition = upload.c.id.in_(select(reception.c.upload_id).where(over))
        end_upload(receiving, row.id, row.uuid, UploadExpired.CODE, message, condition=condition)
    return len(rows)


def discard_ended_spools(catalog: Catalog, store: Store, *, local: bool = False) -> int:
    """Remove the bytes of imports that have ended and keep none (a kill may have come between).

    Only of uploads that the catalog knows: a spool that it does not may be another catalog's. `local`: only of those of
    which some are in a folder of this host.
    """
    dropped = 0
    spools = store.spools(local=local)
    for start in range(0, len(spools), ROWS_PER_TURN):
        with catalog.read() as connection:
            ended = connection.execute(
                select(upload.c.uuid).where(
                    upload.c.uuid.in_(spools[start : start + ROWS_PER_TURN]),
                    upload.c.state.not_in(KEEPS_BYTES),
                )
            ).scalars().all()  # fmt: skip
        for uuid in ended:
            discard_spool(catalog, store, uuid)
            dropped += 1
    return dropped


def remove_failed_originals(site: HasServerState, age: int) -> int:
    """Remove the bytes of imports that failed so long ago, and what was sealed of them: they can't be tried again.

    Where everything may be known they are kept; so are those that a DICOM receiver took, and single objects, whose
    senders were told that they are.
    """
    catalog, store = site.catalog, site.store
    with catalog.read() as connection:
        privacy = current_privacy(connection)
        if privacy is None:
            return 0
        rows = connection.execute(
            select(upload.c.id, upload.c.uuid, upload.c.request, reception.c.mapping)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(
                upload.c.state == ImportState.FAILED,
                reception.c.accepted.is_not(None),
                reception.c.door.not_in(("dimse", "gradual")),
                upload.c.finished < catalog.now() - age,
            )
            .limit(ROWS_PER_TURN)
        ).all()
        private = [
            row
            for row in rows
            if ReceptionPrivacy.at_door(privacy, _destinations(row.request, read_sealed(connection, row.mapping))).seals
        ]
    removed = 0
    for row in private:
        with catalog.write() as connection:
            is_failed = select(upload.c.id).where(upload.c.id == row.id, upload.c.state == ImportState.FAILED)
            changed = connection.execute(
                update(reception)
                .where(reception.c.upload_id.in_(is_failed))
                .values(accepted=None, mapping="", metadata="")
            ).rowcount
        if changed:
            discard_spool(catalog, store, row.uuid)
            removed += 1
    return removed


def _destinations(request: str, mapping: str) -> tuple[str, ...]:
    rows = parse_mapping(mapping, "") if mapping else ()
    return list_destinations(ImportRequest.from_json(request).with_fields(mapping=rows))


ABANDONED_UPLOADS: Cleaner[HasServerState] = Cleaner(
    what="uploads by raw or multipart body that nobody brings any more",
    clean=lambda site, _age: delete_abandoned_uploads(site.receiving),
    of_host=True,
)
IDLE_UPLOADS: Cleaner[HasServerState] = Cleaner(
    what="resumable uploads and a user's cached files that nobody went on with",
    kept_ms=lambda site: site.receiving.limits.lasts_ms,
    clean=lambda site, age: expire_uploads(site.receiving, age, set(site.locks)),
)
FAILED_ORIGINALS: Cleaner[HasServerState] = Cleaner(
    what="archives of imports that failed, where the privacy policy lets less be known than everything",
    kept_ms=lambda site: site.settings.failed_hours * HOUR_MS,
    clean=remove_failed_originals,
)
ENDED_SPOOLS: Cleaner[HasServerState] = Cleaner(
    what="bytes of imports that have ended",
    clean=lambda site, _age: discard_ended_spools(site.catalog, site.store),
    of_host=True,
)
