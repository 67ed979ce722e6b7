"""Uploads that a worker reads ahead while their bytes come: who does, by a lease, and what acceptance makes of it.

To accept an upload whose follower lives is to claim it: from that transaction on it is a running import under the token
by which its follower has staged what it read (`enqueue.py`; docs/design/0016-follow.md).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file, reception
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import TokenLost
from scandock.model.verdicts import ImportState
from scandock.queue.claim import SMALL_BYTES, Claim
from scandock.queue.leases import LEASE_MS, ImportLease
from scandock.queue.tokens import new_token

MIN_BYTES: Final = 16_000_000
"""Smaller uploads are imported in no time once they are whole."""
DOORS: Final = ("raw", "multipart", "tus")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedUpload:
    """How far an upload is that a follower reads."""

    received: int
    """Bytes that are on disk, synced; all of them once it is accepted."""
    is_accepted: bool
    """Whether it is a running import of its follower's by now."""
    mapping: str
    """As its row has it."""


def begin_follow(catalog: Catalog, owner: str) -> Claim | None:
    """The next upload to follow, which from now on `owner` does; None where none is to be.

    None while an upload that is whole waits for a worker.
    """
    waits = upload.alias("waiting")
    with catalog.read() as connection:
        row = connection.execute(
            _select_to_follow().where(~exists().where(waits.c.state == ImportState.RECEIVED)).limit(1)
        ).first()
    if row is None:
        return None
    token = new_token()
    with catalog.write() as connection:
        changed = connection.execute(
            update(reception)
            .where(reception.c.upload_id == row.id, reception.c.follow_token == "", _is_received())
            .values(follow_token=token, follow_owner=owner, follow_until=catalog.now() + LEASE_MS)
        ).rowcount
    if changed != 1:
        return None
    return Claim(
        lease=ImportLease(row.id, row.uuid, token),
        previous="",
        attempt=1,
        exhausted=False,
        big=row.size >= SMALL_BYTES,
        reason="",
        follows=True,
    )


def is_any_to_follow(connection: Connection) -> bool:
    """Whether an upload comes that could be followed, and that nobody follows or has followed."""
    return connection.execute(_select_to_follow().limit(1)).first() is not None


def renew_follows(catalog: Catalog, leases: Collection[ImportLease]) -> list[ImportLease]:
    """Follow for another while; gives those that are running imports by now."""
    with catalog.write() as connection:
        for lease in leases:
            _renew(catalog, connection, lease)
        running = select(upload.c.token).where(
            upload.c.state == ImportState.RUNNING, upload.c.token.in_([lease.token for lease in leases])
        )
        tokens = set(connection.execute(running).scalars())
    return [lease for lease in leases if lease.token in tokens]


def check_follow(catalog: Catalog, connection: Connection, lease: ImportLease) -> None:
    """Prove within a transaction that an upload comes still and is followed by this lease, and renew; else TokenLost.

    Nobody accepts it until the transaction ends.
    """
    if not _renew(catalog, connection, lease):
        raise TokenLost("This upload is not followed any more.")


def end_follow(catalog: Catalog, lease: ImportLease) -> bool:
    """Follow no more: once it is accepted, whoever claims it reads it. False where it is not followed any more."""
    with catalog.write() as connection:
        return connection.execute(update(reception).where(_is_followed(lease)).values(follow_until=0)).rowcount == 1


def read_followed(connection: Connection, lease: ImportLease) -> FollowedUpload | None:
    """How far a followed upload is; None where it is its follower's no more: ended, or another's."""
    row = connection.execute(
        select(
            upload.c.state,
            upload.c.token,
            reception.c.received,
            reception.c.mapping,
            reception.c.follow_token,
            reception.c.follow_until,
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(upload.c.id == lease.upload_id)
    ).first()
    if row is None:
        return None
    is_accepted = row.state == ImportState.RUNNING and row.token == lease.token
    is_coming = row.state == ImportState.RECEIVING and row.follow_token == lease.token and row.follow_until > 0
    if not is_accepted and not is_coming:
        return None
    return FollowedUpload(received=row.received, is_accepted=is_accepted, mapping=row.mapping)


def is_followed(catalog: Catalog, connection: Connection, uuid: str) -> bool:
    """Whether a follower may have work staged for an upload."""
    query = (
        select(upload.c.id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(
            upload.c.uuid == uuid,
            upload.c.state == ImportState.RECEIVING,
            reception.c.follow_until > catalog.now(),
        )
    )
    return connection.execute(query).first() is not None


def _select_to_follow() -> Select[tuple[int, str, int | None]]:
    """Uploads that could be followed, and that nobody follows or has followed; the oldest first."""
    return (
        select(upload.c.id, upload.c.uuid, reception.c.size)
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(
            upload.c.state == ImportState.RECEIVING,
            reception.c.door.in_(DOORS),
            reception.c.size >= MIN_BYTES,
            reception.c.follow_token == "",
            ~exists().where(cached_file.c.upload_id == upload.c.id),
        )
        .order_by(upload.c.id)
    )


def _is_received() -> ColumnElement[bool]:
    return reception.c.upload_id.in_(select(upload.c.id).where(upload.c.state == ImportState.RECEIVING))


def _is_followed(lease: ImportLease) -> ColumnElement[bool]:
    """The row of an upload that comes and that this lease follows."""
    return and_(
        reception.c.upload_id == lease.upload_id,
        reception.c.follow_token == lease.token,
        reception.c.follow_until > 0,
        _is_received(),
    )


def _renew(catalog: Catalog, connection: Connection, lease: ImportLease) -> bool:
    renewed = update(reception).where(_is_followed(lease)).values(follow_until=catalog.now() + LEASE_MS)
    return connection.execute(renewed).rowcount == 1
