"""Which import is next, and whose: one compare-and-set gives lease, attempt and token, by the database's clock.

Order: what had begun and lost its worker; then the user with the fewest running, the size, the age. One slot of a
worker is kept for small imports.
"""

from __future__ import annotations

from collections.abc import Collection, MutableSequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.durations import MINUTE_MS
from scandock.model.errors import OUTAGES, Fault
from scandock.model.verdicts import ImportState
from scandock.queue.event_data import AttemptBegun
from scandock.queue.events import add_event
from scandock.queue.leases import LEASE_MS, ImportLease, is_lost
from scandock.queue.owner import is_elsewhere, is_gone, is_mine, is_server_gone
from scandock.queue.retry import LONGEST_OUTAGE_WAIT, MAX_ATTEMPTS, is_due
from scandock.queue.states import transition
from scandock.queue.tokens import new_token

SMALL_BYTES = 100_000_000
HUGE_BYTES = 4_000_000_000
PATIENCE_MS = 10 * MINUTE_MS
"""An import that has waited so long stands in front of smaller ones of its user."""
LONGEST_RETRY_MS = 2 * LONGEST_OUTAGE_WAIT * 1000


@dataclass(frozen=True, slots=True)
class SlotUsage:
    """A worker's slots: how many, how many are taken, and by how many imports that are not small."""

    total: int
    busy: int = 0
    big: int = 0

    @property
    def only_small(self) -> bool:
        """Whether what is left is kept for small imports; a worker with one slot keeps none."""
        return self.total > 1 and self.big >= self.total - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An import that is ours to run."""

    lease: ImportLease
    previous: str
    """The token of the attempt before, whose stage may stand; empty where there was none."""
    attempt: int
    exhausted: bool
    """As many attempts as there are were lost: roll its intents forward, or let it fail."""
    big: bool
    reason: str
    """Code of what ended the attempt before; empty where nothing did."""
    lost: bool = False
    """Its worker was gone, or had not renewed its lease."""
    follows: bool = False
    """Its bytes are still coming (`queue.follow`)."""


def claim(
    catalog: Catalog,
    owner: str,
    slots: SlotUsage,
    held: Collection[int] = (),
    unsure: MutableSequence[str] | None = None,
) -> Claim | None:
    """The next import, now owned by `owner` (`this_owner`); None where none may begin.

    `held`: uploads that the caller runs already. Their leases may be over, as the catalog was away for long, but they
    are not lost. `unsure`, kept by the caller: tokens of claims that failed, whose transaction may be committed
    nevertheless. What they took nobody runs, and it is next.
    """
    unsure = [] if unsure is None else unsure
    if slots.busy >= slots.total:
        return None
    dead, waits = _find_lost(catalog, held, unsure)
    if not dead and not waits:
        return None
    token = new_token()
    try:
        with catalog.write() as connection:
            row = connection.execute(_next_import(catalog, dead, only_small=slots.only_small)).first()
            return None if row is None else _take(catalog, connection, row, owner, token, ours=row.token in unsure)
    except Fault:
        unsure.append(token)
        raise


def seconds_to_due(catalog: Catalog) -> float | None:
    """Seconds until the next of the imports that wait for their time may be claimed; None where none waits."""
    waits = or_(
        upload.c.state == ImportState.RECEIVED, and_(upload.c.state == ImportState.RUNNING, upload.c.owner == "")
    )
    with catalog.read() as connection:
        query = (
            select(func.min(reception.c.retry_at) - catalog.now())
            .join(upload, upload.c.id == reception.c.upload_id)
            .where(waits, reception.c.retry_at > catalog.now())
        )
        milliseconds = connection.execute(query).scalar()
    return None if milliseconds is None else max(0, milliseconds) / 1000


def _find_lost(catalog: Catalog, held: Collection[int], unsure: Collection[str]) -> tuple[list[tuple[int, str]], bool]:
    """Ids and tokens of imports whose worker is gone, and whether others wait; asked before anything is locked."""
    with catalog.read() as connection:
        due = is_due(reception.c.retry_at, catalog.now(), LONGEST_RETRY_MS)
        joined = select(upload.c.id, upload.c.token, upload.c.owner, upload.c.lease_until, catalog.now().label("now"))
        running = connection.execute(
            joined.join(reception, reception.c.upload_id == upload.c.id).where(
                upload.c.state == ImportState.RUNNING, due
            )
        ).all()
        waits = connection.execute(
            select(exists().where(upload.c.state == ImportState.RECEIVED, reception.c.upload_id == upload.c.id, due))
        ).scalar_one()
    lost = (
        row
        for row in running
        if row.id not in held and (row.token in unsure or _is_lost(catalog, row.lease_until, row.now, row.owner))
    )
    return [(row.id, row.token) for row in lost], bool(waits)


def _is_lost(catalog: Catalog, lease_until: int, now: int, owner: str) -> bool:
    """Whether nobody runs an import any more: what this process runs is asked of itself, and not of leases."""
    if is_elsewhere(owner, catalog.place):
        return True
    if is_mine(owner):
        return lease_until < now
    return is_lost(lease_until, now, owner) or is_gone(owner, catalog.host) is True


def _next_import(catalog: Catalog, dead: list[tuple[int, str]], *, only_small: bool) -> Select[Any]:
    now = catalog.now()
    size = func.coalesce(reception.c.size, reception.c.received)
    received = upload.alias("other")
    whose = reception.alias("whose")
    running = (
        select(whose.c.account_id, func.count().label("n"))
        .join(received, received.c.id == whose.c.upload_id)
        .where(received.c.state == ImportState.RUNNING, received.c.lease_until >= now)
        .group_by(whose.c.account_id)
        .subquery("running")
    )
    ready: ColumnElement[bool] = upload.c.state == ImportState.RECEIVED
    if dead:
        ready = or_(ready, and_(upload.c.state == ImportState.RUNNING, tuple_(upload.c.id, upload.c.token).in_(dead)))
    query = (
        select(upload, size.label("size"))
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(running, running.c.account_id == reception.c.account_id)
        .where(ready, is_due(reception.c.retry_at, catalog.now(), LONGEST_RETRY_MS))
        .order_by(
            case((upload.c.state == ImportState.RUNNING, 0), else_=1),
            func.coalesce(running.c.n, 0),
            case(
                (reception.c.accepted < now - PATIENCE_MS, 0), (size < SMALL_BYTES, 0), (size < HUGE_BYTES, 1), else_=2
            ),
            reception.c.accepted,
            upload.c.id,
        )
        .limit(1)
        .with_for_update(of=upload, skip_locked=True)
    )
    return query.where(size < SMALL_BYTES) if only_small else query


def _take(
    catalog: Catalog, connection: Connection, row: Row[Any], owner: str, token: str, *, ours: bool
) -> Claim | None:
    """Make an import the owner's; `ours`: it is so already, and no attempt of it has begun."""
    died = row.state == ImportState.RUNNING and not ours
    spared = died and (is_server_gone(row.owner, catalog.host) or is_elsewhere(row.owner, catalog.place))
    counted = not ours and row.code not in OUTAGES and not spared
    attempt = max(row.attempt + (1 if counted else 0), 1)
    changed = connection.execute(
        transition(
            ImportState(row.state),
            ImportState.RUNNING,
            token=token,
            owner=owner,
            attempt=attempt,
            lease_until=catalog.now() + LEASE_MS,
            code="",
            message="",
        )
        .where(upload.c.id == row.id, upload.c.token == row.token, upload.c.lease_until == row.lease_until)
        .returning(upload.c.id)
    ).first()
    if changed is None:
        return None
    add_event(catalog, connection, row.id, AttemptBegun(attempt=attempt))
    return Claim(
        lease=ImportLease(row.id, row.uuid, token),
        previous=row.token,
        attempt=attempt,
        exhausted=(died or ours) and attempt > MAX_ATTEMPTS,
        big=row.size >= SMALL_BYTES,
        reason=row.code,
        lost=died and row.owner != "",
    )
