"""Trying again: after a fault of the machine, after the death of an attempt, or because a person asks for it.

A fault requeues an upload, its staging cleared (publishing/requeue.py). A death leaves it
`running` without an owner, since only the next attempt can tell whether it had recorded its intents. So does an outage
(`Fault.is_outage`): it is waited for, longer each time, whoever clears up first requeues the upload, and what is
claimed with the code of one begins the same attempt again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select, update
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import progress, reception
from scandock.catalog.tables import reservation, upload, upload_exception
from scandock.model.errors import Fault, ScandockError
from scandock.model.upload_log import log_step
from scandock.model.verdicts import ImportState
from scandock.queue.engines import engine_of
from scandock.queue.event_data import RetryPlanned
from scandock.queue.events import add_event
from scandock.queue.leases import ImportLease, check_lease
from scandock.queue.states import transition

MAX_ATTEMPTS = 3
RETRY_WAITS = (5, 60)
"""Seconds before the second and the third attempt."""

FIRST_OUTAGE_WAIT = 5
LONGEST_OUTAGE_WAIT = 600
"""Seconds: each wait for an outage is twice the one before, up to this."""

EXHAUSTED = "attempts_exhausted"


def is_due(at: ColumnElement[int], now: Any, longest_ms: int) -> ColumnElement[bool]:  # noqa: ANN401  see below
    """That the time `at` has come. `now`: a number, or the catalog's expression.

    What has longer to wait than anything ever has (`longest_ms`) was told so by a clock that was wrong.
    """
    return or_(at <= now, at > now + longest_ms)


def wait_seconds(attempt: int) -> int:
    """How long to wait after attempt number `attempt`, from 1."""
    return RETRY_WAITS[min(max(attempt, 1), len(RETRY_WAITS)) - 1]


def outage_wait(outages: int) -> int:
    """Seconds to wait after an outage that has been waited for so often before."""
    return min(LONGEST_OUTAGE_WAIT, FIRST_OUTAGE_WAIT << min(outages, 16))


def outage_waited(outages: int) -> int:
    """Seconds of so many waits together. Counted, not looked up on a clock, which may jump."""
    return sum(outage_wait(number) for number in range(outages))


def requeue(
    catalog: Catalog,
    connection: Connection,
    lease: ImportLease,
    why: ScandockError | None,
    *,
    attempt: int,
    seconds: float,
) -> None:
    """Let an upload wait for its next attempt, `attempt` being counted so far. TokenLost where another has it.

    `why` None: it was let go with a reason and a time to wait, which both stay.
    """
    check_lease(catalog, connection, lease)
    reason = {} if why is None else {"code": why.code[:32], "message": why.public_text}
    if why is not None:
        _set_retry_time(catalog, connection, lease.upload_id, seconds)
        planned = RetryPlanned(code=why.code, message=why.public_text, attempt=attempt, seconds=seconds)
        add_event(catalog, connection, lease.upload_id, planned)
        step = partial(
            log_step, "import to be tried again", lease.uuid, code=why.code, attempt=attempt, again_in=seconds
        )
        catalog.after_commit(connection, step)
    waits = transition(
        ImportState.RUNNING, ImportState.RECEIVED, attempt=attempt, owner="", lease_until=0, report="", **reason
    )
    connection.execute(waits.where(upload.c.id == lease.upload_id))
    engine_of(catalog).defer(connection, lease.upload_id)
    connection.execute(delete(reservation).where(reservation.c.upload_id == lease.upload_id))


def give_up_attempt(
    catalog: Catalog, lease: ImportLease, *, counted: bool, seconds: float = 0, code: str = "", message: str = ""
) -> bool:
    """Give a running import up for whoever claims it next, not before `seconds`; False where it is not ours any more.

    `counted`: the attempt was lost. Not so where the server was stopped: that is no failure of the import. One that was
    given up for a reason keeps that.
    """
    with catalog.write() as connection:
        values = {"owner": "", "lease_until": 0, "code": code[:32], "message": message}
        changed = connection.execute(
            update(upload)
            .where(
                upload.c.id == lease.upload_id,
                upload.c.token == lease.token,
                upload.c.state == ImportState.RUNNING,
                or_(upload.c.owner != "", upload.c.code == ""),
            )
            .values(attempt=upload.c.attempt - (0 if counted else 1), **values)
        ).rowcount
        if changed != 1:
            return False
        _set_retry_time(catalog, connection, lease.upload_id, seconds)
        if not seconds:
            engine_of(catalog).defer(connection, lease.upload_id)  # the worker of another host may begin it now
        if code:
            planned = RetryPlanned(code=code, message=message, seconds=seconds)
            add_event(catalog, connection, lease.upload_id, planned)
    return True


def wait_for_outage(catalog: Catalog, connection: Connection, lease: ImportLease, why: Fault, *, outages: int) -> int:
    """Give a running import up until an outage, waited for `outages` times before, may be over; the seconds.

    TokenLost where it is not ours any more.
    """
    check_lease(catalog, connection, lease)
    seconds = outage_wait(outages)
    values = {"owner": "", "lease_until": 0, "code": why.code[:32], "message": why.public_text}
    connection.execute(update(upload).where(upload.c.id == lease.upload_id).values(**values))
    connection.execute(update(reception).where(reception.c.upload_id == lease.upload_id).values(outages=outages + 1))
    _set_retry_time(catalog, connection, lease.upload_id, seconds)
    planned = RetryPlanned(code=why.code, message=why.public_text, seconds=seconds)
    add_event(catalog, connection, lease.upload_id, planned)
    return seconds


def retry_upload(catalog: Catalog, connection: Connection, upload_id: int) -> bool:
    """Have a failed upload, whose bytes were kept, imported anew, or one that waits for its next attempt begin it now.

    False where it is neither. Then `notify`.
    """
    from scandock.queue.enqueue import announce

    if _retry_now(connection, upload_id):
        announce(catalog, connection, upload_id)
        return True
    anew = {"code": "", "message": "", "report": "", "attempt": 0, "finished": None, "owner": "", "lease_until": 0}
    changed = connection.execute(
        transition(ImportState.FAILED, ImportState.RECEIVED, **anew).where(
            upload.c.id == upload_id,
            upload.c.id.in_(select(reception.c.upload_id).where(reception.c.accepted.is_not(None))),
        )
    ).rowcount
    if changed != 1:
        return False
    connection.execute(
        update(reception).where(reception.c.upload_id == upload_id).values(cancel=False, retry_at=0, outages=0)
    )
    connection.execute(delete(progress).where(progress.c.upload_id == upload_id))
    connection.execute(delete(upload_exception).where(upload_exception.c.upload_id == upload_id))
    announce(catalog, connection, upload_id)
    return True


def _retry_now(connection: Connection, upload_id: int) -> bool:
    """Let the time be over that an upload has to wait for its next attempt; False where it does not wait for one."""
    waits = select(upload.c.id).where(upload.c.id == upload_id, is_waiting())
    hurried = update(reception).where(reception.c.upload_id.in_(waits)).values(retry_at=0, outages=0)
    return connection.execute(hurried).rowcount == 1


def is_waiting() -> ColumnElement[bool]:
    """That an upload waits for its next attempt, and `code` and `message` say why."""
    return and_(
        or_(
            upload.c.state == ImportState.RECEIVED,
            and_(upload.c.state == ImportState.RUNNING, upload.c.owner == ""),
        ),
        upload.c.code != "",
    )


def _set_retry_time(catalog: Catalog, connection: Connection, upload_id: int, seconds: float) -> None:
    connection.execute(
        update(reception).where(reception.c.upload_id == upload_id).values(retry_at=catalog.now() + int(seconds * 1000))
    )
