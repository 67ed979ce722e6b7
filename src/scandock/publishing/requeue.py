"""Imports of the server that could not be ended: requeued, or failed; and their bytes."""

from __future__ import annotations

from sqlalchemy import select

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.errors import Fault, ScandockError, TokenLost
from scandock.model.import_report import ImportReport
from scandock.model.upload_log import log_step
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.publishing.complete import end_unpublished, has_intents
from scandock.publishing.errors import AttemptsExhausted, WorkerLost
from scandock.publishing.row_cleanup import delete_exceptions, delete_staged_rows
from scandock.queue.cancel import CANCELLED_MESSAGE
from scandock.queue.leases import DeadLease, ImportLease, Lease, finish
from scandock.queue.owner import is_elsewhere, is_server_gone
from scandock.queue.retry import (
    MAX_ATTEMPTS,
    give_up_attempt,
    outage_waited,
    requeue,
    wait_for_outage,
    wait_seconds,
)
from scandock.store.port import Stage, Store

WORKER_LOST = WorkerLost()


def requeue_or_fail(
    catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, why: ScandockError, *, attempt: int
) -> None:
    """After a fault: clear what attempt number `attempt` has staged, and let the import wait; the last one fails.

    With intents nothing is undone: whoever comes next rolls it forward.
    """
    seconds = wait_seconds(attempt)
    if has_intents(catalog, lease):
        if give_up_attempt(catalog, lease, counted=True, seconds=seconds, code=why.code, message=why.public_text):
            log_step("import to be tried again", lease.uuid, code=why.code, attempt=attempt, again_in=seconds)
    elif attempt >= MAX_ATTEMPTS:
        fail_import(catalog, store, stage, lease, why)
    else:
        _clear_staged(catalog, stage, lease)
        with catalog.write() as connection:
            requeue(catalog, connection, lease, why, attempt=attempt, seconds=seconds)
        store.finish(stage)


def wait_or_fail(catalog: Catalog, lease: ImportLease, outage: Fault, *, most_seconds: float) -> int | None:
    """Have an import wait for an outage to pass, its attempt not counted; for how many seconds it does.

    None: it has waited for `most_seconds` altogether and has failed, its bytes kept. One with intents only rolls
    forward, and so waits on. What it staged is cleared by whoever has it next, or by `recover`: this needs the catalog
    alone. TokenLost where it is not ours any more.
    """
    with catalog.read() as connection:
        outages, owner = connection.execute(
            select(reception.c.outages, upload.c.owner)
            .join(upload, upload.c.id == reception.c.upload_id)
            .where(reception.c.upload_id == lease.upload_id)
        ).one()
    if not owner:  # a commit before, of which nobody heard that it was done
        raise TokenLost("This import was given up already.")
    over = outage_waited(outages) >= most_seconds and not has_intents(catalog, lease)
    if not over:
        with catalog.write() as connection:
            return wait_for_outage(catalog, connection, lease, outage, outages=outages)
    report = empty_report(catalog, lease, ImportState.FAILED, outage.code, outage.public_text)
    with catalog.write() as connection:
        finish(catalog, connection, lease, report)
    return None


def requeue_lost(catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, dead: DeadLease) -> None:
    """After the death of its attempt, or of its worker, without intents: the same, and nothing to wait for.

    One that its worker let go keeps the reason and the time to wait that this worker gave. A server that was killed is
    no failed attempt, nor is one of which this is a copy.
    """
    spared = is_server_gone(dead.owner, catalog.host) or is_elsewhere(dead.owner, catalog.place)
    attempt = dead.attempt - (1 if spared else 0)
    if attempt >= MAX_ATTEMPTS and not dead.outage:
        fail_import(catalog, store, stage, lease, exhausted(dead.code))
        return
    _clear_staged(catalog, stage, lease)
    with catalog.write() as connection:
        why = None if dead.let_go else WORKER_LOST
        requeue(catalog, connection, lease, why, attempt=attempt, seconds=0)
    store.finish(stage)


def _clear_staged(catalog: Catalog, stage: Stage, lease: ImportLease) -> None:
    stage.clear()
    delete_staged_rows(catalog, lease)
    delete_exceptions(catalog, lease)


def fail_import(catalog: Catalog, store: Store, stage: Stage, lease: ImportLease, why: ScandockError) -> None:
    """End an import without intents as failed; its bytes are kept, so that it can be tried again by a person."""
    end_unpublished(
        catalog, store, stage, lease, empty_report(catalog, lease, ImportState.FAILED, why.code, why.public_text)
    )


def empty_report(catalog: Catalog, lease: ImportLease, state: ImportState, code: str, message: str) -> ImportReport:
    """The report of an import of which nothing was taken."""
    with catalog.read() as connection:
        archive, received = connection.execute(
            select(upload.c.archive, reception.c.received)
            .outerjoin(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.id == lease.upload_id)
        ).one()
    return ImportReport(
        upload=lease.uuid, archive=archive, state=state, code=code, message=message, received=received or 0
    )


def end_cancelled(catalog: Catalog, store: Store, lease: ImportLease, previous: str) -> bool:
    """End an import whose attempt was killed for a cancel: what it staged goes first, while the lease is held.

    False where its intents came first: it goes on. TokenLost where it has ended, or another has it.
    """
    with store.hold(lease.uuid, force=True):
        stage = store.take(lease.uuid, previous or lease.token, lease.token)
        try:
            if has_intents(catalog, lease):
                return not give_up_attempt(catalog, lease, counted=False)
            _clear_staged(catalog, stage, lease)
            report = empty_report(catalog, lease, ImportState.CANCELLED, "cancelled", CANCELLED_MESSAGE)
            with catalog.write() as connection:
                finish(catalog, connection, lease, report)
            store.finish(stage)
        finally:
            stage.close()
    drop_bytes(catalog, store, lease)
    return True


def exhausted(code: str) -> Fault:
    """Why an import is not tried any more, with what ended the last attempt."""
    last = f" The last time: {code}." if code else ""
    return AttemptsExhausted(
        f"The import was begun {MAX_ATTEMPTS} times, and each time it was lost.{last}",
        "Its bytes are kept: look at the log and the memory of the server, then have it tried again.",
    )


def is_from_server(catalog: Catalog, lease: Lease) -> bool:
    """Whether an upload's bytes lie in the store's spool."""
    with catalog.read() as connection:
        row = connection.execute(select(reception.c.upload_id).where(reception.c.upload_id == lease.upload_id)).first()
    return row is not None


def has_bytes(catalog: Catalog, store: Store, lease: Lease) -> bool:
    """Whether the store has all bytes of an upload, so that its import can be tried again without its client."""
    with catalog.read() as connection:
        received = connection.execute(
            select(reception.c.received).where(
                reception.c.upload_id == lease.upload_id, reception.c.accepted.is_not(None)
            )
        ).scalar_one_or_none()
    return bool(received) and store.spool(lease.uuid).size() == received


def drop_bytes(catalog: Catalog, store: Store, lease: ImportLease) -> None:
    """Discard the spool of an import that has ended, unless it failed; nothing for one of the command line."""
    with catalog.read() as connection:
        state = connection.execute(select(upload.c.state).where(upload.c.id == lease.upload_id)).scalar_one_or_none()
    if state is not None and ImportState(state) not in KEEPS_BYTES:
        store.spool(lease.uuid).discard()
