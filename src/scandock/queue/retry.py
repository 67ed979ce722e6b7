"""Trying again: after a fault of the machine, after the death of an attempt, or because a person asks for it.

A fault puts an upload back among those that wait, its staging cleared (placing/put_back.py). A death leaves it
`running` without an owner, since only the next attempt can tell whether it had recorded its intents.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import progress, reception
from scandock.catalog.tables import reservation, upload, upload_exception
from scandock.model.errors import ScandockError
from scandock.model.verdicts import ImportState
from scandock.queue.events import add_event
from scandock.queue.leases import Lease, guard

MAX_ATTEMPTS = 3
WAITS = (5, 60)
"""Seconds before the second and the third attempt."""

EXHAUSTED = "attempts_exhausted"


def wait_seconds(attempt: int) -> int:
    """How long to wait after attempt number `attempt`, from 1."""
    return WAITS[min(max(attempt, 1), len(WAITS)) - 1]


def put_back(
    catalog: Catalog, connection: Connection, lease: Lease, why: ScandockError | None, *, attempt: int, seconds: float
) -> None:
    """Let an upload wait for its next attempt, `attempt` being counted so far. TokenLost where another has it.

    `why` None: it was let go with a reason and a time to wait, which both stay.
    """
    guard(catalog, connection, lease)
    values: dict[str, Any] = {"attempt": attempt, "owner": "", "lease_until": 0, "report": ""}
    if why is not None:
        values |= {"code": why.code[:32], "message": str(why)}
        _not_before(catalog, connection, lease.upload_id, seconds)
        data = {"code": why.code, "message": str(why), "attempt": attempt, "seconds": seconds}
        add_event(catalog, connection, lease.upload_id, "retry", data)
    connection.execute(
        update(upload).where(upload.c.id == lease.upload_id).values(state=ImportState.RECEIVED, **values)
    )
    connection.execute(delete(reservation).where(reservation.c.upload_id == lease.upload_id))


def let_go(
    catalog: Catalog, lease: Lease, *, counted: bool, seconds: float = 0, code: str = "", message: str = ""
) -> bool:
    """Give a running import up for whoever claims it next, not before `seconds`; False where it is not ours any more.

    `counted`: the attempt was lost. Not so where the server was stopped: that is no failure of the import.
    """
    with catalog.write() as connection:
        values = {"owner": "", "lease_until": 0, "code": code[:32], "message": message}
        changed = connection.execute(
            update(upload)
            .where(upload.c.id == lease.upload_id, upload.c.token == lease.token, upload.c.state == ImportState.RUNNING)
            .values(attempt=upload.c.attempt - (0 if counted else 1), **values)
        ).rowcount
        if changed != 1:
            return False
        _not_before(catalog, connection, lease.upload_id, seconds)
        if code:
            data = {"code": code, "message": message, "seconds": seconds}
            add_event(catalog, connection, lease.upload_id, "retry", data)
    return True


def again(catalog: Catalog, connection: Connection, upload_id: int) -> bool:
    """Have a failed upload, whose bytes were kept, imported anew; False where it has not failed. Then `wake`."""
    changed = connection.execute(
        update(upload)
        .where(
            upload.c.id == upload_id,
            upload.c.state == ImportState.FAILED,
            upload.c.id.in_(select(reception.c.upload_id).where(reception.c.accepted.is_not(None))),
        )
        .values(
            state=ImportState.RECEIVED,
            code="",
            message="",
            report="",
            attempt=0,
            finished=None,
            owner="",
            lease_until=0,
        )
    ).rowcount
    if changed != 1:
        return False
    connection.execute(update(reception).where(reception.c.upload_id == upload_id).values(cancel=False, retry_at=0))
    connection.execute(delete(progress).where(progress.c.upload_id == upload_id))
    connection.execute(delete(upload_exception).where(upload_exception.c.upload_id == upload_id))
    from scandock.queue.enqueue import announce

    announce(catalog, connection, upload_id)
    return True


def _not_before(catalog: Catalog, connection: Connection, upload_id: int, seconds: float) -> None:
    connection.execute(
        update(reception).where(reception.c.upload_id == upload_id).values(retry_at=catalog.now() + int(seconds * 1000))
    )
