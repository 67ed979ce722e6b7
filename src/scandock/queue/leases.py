"""Which import is whose: begin, renew, finish, and the taking over of those whose owner is gone.

Correctness rests on the token alone: every transaction that shows something guards it, and the stage's folder bears it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import reservation, upload
from scandock.catalog.trail import note_end
from scandock.model.errors import OUTAGES, TokenLost
from scandock.model.verdicts import ImportState
from scandock.queue.events import add_outcome
from scandock.queue.owner import is_at_work, is_elsewhere, is_gone, is_mine, this_owner
from scandock.queue.states import transition
from scandock.queue.tokens import new_token

LEASE_MS = 15_000
RENEW_SECONDS = 5.0
PATIENCE_MS = 120_000
"""For how long beyond its lease an owner is spared that lives on this host and isn't stopped.

Where the disk stalls, a commit may take longer than a lease: to take its import from a live process would help nobody.
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an upload, until somebody else holds a newer token."""

    upload_id: int
    uuid: str
    token: str


@dataclass(frozen=True, slots=True)
class Dead:
    """An unfinished import whose owner is gone."""

    upload_id: int
    uuid: str
    token: str
    source: str
    attempt: int
    overdue: bool
    """Its lease is over; else its owner on this host is gone."""
    owner: str = ""
    code: str = ""
    """Why it was let go; empty where it was not."""

    @property
    def let_go(self) -> bool:
        """Whether it waits for its next attempt, with a reason and a time to wait, which both stay."""
        return not self.owner and bool(self.code)

    @property
    def outage(self) -> bool:
        """Whether it waits for an outage to pass, which counts as no attempt."""
        return self.let_go and self.code in OUTAGES


def begin(catalog: Catalog, *, number: str, token: str, archive: str, request: dict[str, Any]) -> Lease:
    """Record an import of the command line as running, owned by this process."""
    with catalog.write() as connection:
        result = connection.execute(
            insert(upload).values(
                uuid=number,
                archive=archive,
                source="cli",
                state=ImportState.RUNNING,
                request=json.dumps(request),
                attempt=1,
                token=token,
                lease_until=catalog.now() + LEASE_MS,
                owner=this_owner(place=catalog.place),
                created=catalog.now(),
            )
        )
        key = result.inserted_primary_key
        assert key is not None
        return Lease(key[0], number, token)


def renew(catalog: Catalog, lease: Lease) -> None:
    """Hold the lease for another while. Raises TokenLost where somebody has taken over."""
    with catalog.write() as connection:
        guard(catalog, connection, lease)


@dataclass(frozen=True, slots=True)
class NotRenewed:
    """Leases that are held no more."""

    lost: list[Lease]
    """Somebody else has taken them over."""
    ended: list[Lease]
    """Their imports have ended, or wait again: whoever ran them has only to clear up."""


def renew_all(catalog: Catalog, leases: Iterable[Lease]) -> NotRenewed:
    """Hold many leases in one transaction; gives those that can't be."""
    found = NotRenewed([], [])
    with catalog.write() as connection:
        for lease in leases:
            try:
                guard(catalog, connection, lease)
            except TokenLost:
                token = connection.execute(select(upload.c.token).where(upload.c.id == lease.upload_id)).scalar()
                (found.ended if token in (None, lease.token) else found.lost).append(lease)
    return found


def guard(catalog: Catalog, connection: Connection, lease: Lease) -> None:
    """Prove within a transaction that this process still owns the import, and renew; TokenLost where it does not."""
    changed = connection.execute(
        update(upload)
        .where(upload.c.id == lease.upload_id, upload.c.token == lease.token, upload.c.state == ImportState.RUNNING)
        .values(lease_until=catalog.now() + LEASE_MS)
    ).rowcount
    if changed != 1:
        raise TokenLost("Another process has taken over this import.")


def finish(catalog: Catalog, connection: Connection, lease: Lease, state: ImportState, report: dict[str, Any]) -> None:
    """Write the final outcome and free what was reserved."""
    guard(catalog, connection, lease)
    connection.execute(
        transition(
            ImportState.RUNNING,
            state,
            code=report.get("code") or "",
            message=report.get("message") or "",
            report=json.dumps(report),
            finished=catalog.now(),
        ).where(upload.c.id == lease.upload_id)
    )
    connection.execute(delete(reservation).where(reservation.c.upload_id == lease.upload_id))
    add_outcome(catalog, connection, lease.upload_id, state.value, report)
    note_end(catalog, connection, lease.upload_id, state.value, report.get("code") or "")


def abandon(catalog: Catalog, lease: Lease) -> None:
    """Let whoever comes next take over at once; nothing where somebody has."""
    with catalog.write() as connection:
        connection.execute(
            update(upload)
            .where(upload.c.id == lease.upload_id, upload.c.token == lease.token, upload.c.state == ImportState.RUNNING)
            .values(owner="", lease_until=0)
        )


def find_dead(catalog: Catalog) -> list[Dead]:
    """Running imports whose lease is over, or whose owner on this host is no more. This process's own are none.

    Those of a catalog that is a copy have nobody, however alive the owner is: it works on the other one.
    """
    place = catalog.place
    with catalog.read() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        rows = connection.execute(
            select(
                upload.c.id,
                upload.c.uuid,
                upload.c.token,
                upload.c.source,
                upload.c.attempt,
                upload.c.lease_until,
                upload.c.owner,
                upload.c.code,
            ).where(upload.c.state == ImportState.RUNNING)
        ).all()
    return [
        Dead(*row[:5], overdue=row.lease_until < now, owner=row.owner, code=row.code)
        for row in rows
        if is_elsewhere(row.owner, place)
        or (not is_mine(row.owner) and (is_over(row.lease_until, now, row.owner) or is_gone(row.owner) is True))
    ]


def is_over(lease_until: int, now: int, owner: str) -> bool:
    """Whether a lease is over for good: its owner may not be just waiting for a disk or a lock."""
    if lease_until >= now:
        return False
    return lease_until + PATIENCE_MS < now or not is_at_work(owner)


def take_over(catalog: Catalog, dead: Dead) -> Lease | None:
    """Make a dead import ours by compare-and-set; None where another was quicker, or it ended meanwhile."""
    token = new_token()
    with catalog.write() as connection:
        changed = connection.execute(
            update(upload)
            .where(upload.c.id == dead.upload_id, upload.c.token == dead.token, upload.c.state == ImportState.RUNNING)
            .values(
                token=token,
                owner=this_owner(place=catalog.place),
                attempt=upload.c.attempt + (0 if dead.outage else 1),
                lease_until=catalog.now() + LEASE_MS,
            )
        ).rowcount
    return Lease(dead.upload_id, dead.uuid, token) if changed == 1 else None
