"""What a dead import left is finished or cleared away, by the next command that opens DATA."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import intent, reservation, tree, upload
from scandock.model.errors import Fault, TokenLost, Usage
from scandock.model.verdicts import ImportState
from scandock.placing.complete import end_operation_without, end_without, has_intents
from scandock.placing.errors import ImportNotStuck, RecoveryFailed
from scandock.placing.forget import forget_tree
from scandock.placing.renamed import follow_renamed
from scandock.placing.requeue import came_by_server, requeue_lost
from scandock.placing.roll_forward import roll_forward, roll_operation_forward
from scandock.placing.stored_folders import make_stored
from scandock.queue.leases import Dead, ImportLease, Lease, OperationLease, abandon, find_dead, is_going_on, take_over
from scandock.store.port import Stage, Store

INTERRUPTED: dict[str, Any] = {
    "state": ImportState.FAILED.value,
    "code": "interrupted",
    "message": "The import was interrupted before anything was placed; import the archive again.",
}

SWEEP_SECONDS = 1.0
"""How long a command deletes what dead imports left before it does its own work; imports go on with it at their end."""


@dataclass(slots=True)
class Recovered:
    """The imports and operations that were dealt with, and those that could not be, which the next command tries again.

    All by their UUIDs.
    """

    done: list[str] = field(default_factory=list)
    stuck: dict[str, Fault] = field(default_factory=dict)
    lost: dict[str, Fault] = field(default_factory=dict)
    """Of those that were dealt with: why not all that they had recorded could be placed."""
    ran_out: int = 0
    """How many of all had a worker, which was gone or had not renewed its lease."""


def recover(catalog: Catalog, store: Store) -> Recovered:
    """Take over every dead import: with intents it is rolled forward, without any it ends `failed`, `interrupted`.

    One that came by the server has its bytes kept, and waits for its next attempt instead. What was staged may be gone,
    as in a copy of DATA: then what stands is compared with what was recorded, and the rest is given up in words.
    Live imports are known by their lease and are left alone. One that can't be finished now (a full disk, a folder that
    stands in its way) is reported as stuck and never keeps a command from its own work; Fault where the catalog fails,
    or a folder of what was placed is gone: then nothing can be told of what was placed, and nothing is given up.
    """
    make_stored(catalog, store)
    found = Recovered()
    for dead in find_dead(catalog):
        if not dead.overdue and store.owner_alive(dead.uuid):
            continue  # where processes can't be told from each other, its lock says that it lives
        lease = take_over(catalog, dead)
        if lease is None:
            continue  # another command was quicker, or it has ended
        found.ran_out += bool(dead.owner)
        try:
            why = _recover_one(catalog, store, dead, lease)
        except TokenLost:
            continue  # this took so long that another has taken over from us
        except Exception as error:  # noqa: BLE001  whatever it is: one dead import must not lock people out of DATA
            found.stuck[dead.uuid] = error if isinstance(error, Fault) else _unexpected(error)
            with contextlib.suppress(Fault):
                abandon(catalog, lease)
        else:
            found.done.append(dead.uuid)
            if why is not None:
                found.lost[dead.uuid] = why
    follow_renamed(catalog, store)
    _clear_rows(catalog)
    if _clear_works(catalog, store) or found.done:
        store.sweep(SWEEP_SECONDS)
    return found


def _unexpected(error: Exception) -> Fault:
    said = f"A dead import could not be dealt with: {type(error).__name__}: {error}."
    return RecoveryFailed(said)


def release(catalog: Catalog, store: Store, uuid: str) -> Fault:
    """End an import that can't be finished, for a person: what it has not placed yet is given up, its bytes kept.

    The Fault says what was given up. Usage `import_not_stuck` where it is none of these.
    """
    dead = next((one for one in find_dead(catalog) if one.uuid == uuid), None)
    lease = take_over(catalog, dead) if dead is not None else None
    if dead is None or lease is None:
        raise _not_stuck(uuid)
    try:
        with store.hold(uuid, force=True):
            stage = store.take(uuid, dead.token, lease.token)
            try:
                why = _roll_forward(catalog, store, stage, lease, release=True) if has_intents(catalog, lease) else None
            finally:
                stage.close()
    except Exception:
        with contextlib.suppress(Fault):
            abandon(catalog, lease)
        raise
    if why is None:
        with contextlib.suppress(Fault):
            abandon(catalog, lease)
        raise _not_stuck(uuid)
    return why


def _not_stuck(uuid: str) -> Usage:
    return ImportNotStuck(uuid)


def _recover_one(catalog: Catalog, store: Store, dead: Dead, lease: Lease) -> Fault | None:
    # by force: a stopped process keeps its lock. The lease is ours alone, so nobody else gets here with a right to it
    with store.hold(dead.uuid, force=True):
        stage = store.take(dead.uuid, dead.token, lease.token)
        try:
            if has_intents(catalog, lease):
                return _roll_forward(catalog, store, stage, lease)
            if isinstance(lease, OperationLease):
                end_operation_without(catalog, store, stage, lease)
            elif isinstance(lease, ImportLease) and came_by_server(catalog, lease):
                requeue_lost(catalog, store, stage, lease, dead)
            elif isinstance(lease, ImportLease):
                end_without(catalog, store, stage, lease, INTERRUPTED)
        finally:
            stage.close()
    return None


def _roll_forward(catalog: Catalog, store: Store, stage: Stage, lease: Lease, *, release: bool = False) -> Fault | None:
    if isinstance(lease, OperationLease):
        return roll_operation_forward(catalog, store, stage, lease, release=release)
    if isinstance(lease, ImportLease):
        return roll_forward(catalog, store, stage, lease, release=release)
    raise TypeError(type(lease))


def is_left_over() -> ColumnElement[bool]:
    """Whether nothing shows a tree, and nothing that goes on makes it; so it is of one that is just being replaced."""
    running = select(upload.c.id).where(upload.c.state == ImportState.RUNNING)
    return and_(
        tree.c.state != "current",
        tree.c.operation_id.is_(None),
        or_(tree.c.upload_id.is_(None), tree.c.upload_id.not_in(running)),
    )


def _clear_rows(catalog: Catalog) -> None:
    """Rows of trees that nothing will ever point at, and names that no import holds any more."""
    running = select(upload.c.id).where(upload.c.state == ImportState.RUNNING)
    with catalog.read() as connection:
        lost = connection.execute(
            select(tree.c.id).where(
                is_left_over(),
                tree.c.id.not_in(select(intent.c.base_tree_id).where(intent.c.base_tree_id.is_not(None))),
            )
        ).scalars().all()  # fmt: skip
        kept = connection.execute(
            select(reservation.c.name).where(reservation.c.upload_id.not_in(running)).limit(1)
        ).first()
    for number in lost:
        forget_tree(catalog, number)
    if kept is not None:
        with catalog.write() as connection:
            connection.execute(delete(reservation).where(reservation.c.upload_id.not_in(running)))


def _clear_works(catalog: Catalog, store: Store) -> int:
    """Remove the work folders that no running import owns; how many.

    Asked while this holds the work: whoever owned it is dead, so it can't begin to run between the question and the
    removal.
    """
    cleared = 0
    for work in store.works():
        if store.owner_alive(work):
            continue
        try:
            hold = store.hold(work)
        except Fault:
            continue  # it has just begun, or another command clears it
        with hold:
            with catalog.read() as connection:
                is_over = not is_going_on(connection, work)
            if is_over:
                cleared += store.forget(work)
    return cleared
