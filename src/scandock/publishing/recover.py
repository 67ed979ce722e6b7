"""What a dead import left is finished or cleared away, by the next command that opens DATA."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import field
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, and_, delete, literal, or_, select, text
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import Catalog
from scandock.catalog.privacy_texts import is_privacy_in_force
from scandock.catalog.projects import DELETED_SEPARATOR, find_project, is_deleted
from scandock.catalog.tables import intent, project, reservation, session, shelf, tree, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault, TokenLost, Usage
from scandock.model.import_report import ImportOutcome
from scandock.model.tree_parts import TreeParts
from scandock.model.verdicts import ImportState
from scandock.publishing.areas import make_areas
from scandock.publishing.complete import end_unpublished, end_unpublished_operation, has_intents
from scandock.publishing.errors import ImportNotStuck, RecoveryFailed
from scandock.publishing.requeue import is_from_server, requeue_lost
from scandock.publishing.roll_forward import roll_forward, roll_operation_forward
from scandock.publishing.row_cleanup import delete_tree_rows
from scandock.queue.follow import is_followed
from scandock.queue.leases import (
    DeadLease,
    ImportLease,
    Lease,
    OperationLease,
    find_dead_leases,
    is_unfinished,
    release_lease,
    take_over,
)
from scandock.store.moves import MoveTree
from scandock.store.paths import tree_path
from scandock.store.port import Stage, Store

INTERRUPTED = ImportOutcome(
    state=ImportState.FAILED,
    code="interrupted",
    message="The import was interrupted before anything was placed; import the archive again.",
)

SWEEP_SECONDS = 1.0
"""How long a command deletes what dead imports left before it does its own work; imports go on with it at their end."""


@dataclass(slots=True)
class RecoveryResult:
    """The imports and operations that were dealt with, and those that could not be, which the next command tries again.

    All by their UUIDs.
    """

    done: list[str] = field(default_factory=list)
    stuck: dict[str, Fault] = field(default_factory=dict)
    lost: dict[str, Fault] = field(default_factory=dict)
    """Of those that were dealt with: why not all that they had recorded could be placed."""
    ran_out: int = 0
    """How many of all had a worker, which was gone or had not renewed its lease."""


def recover(catalog: Catalog, store: Store, is_turn: Callable[[], bool] = lambda: True) -> RecoveryResult:
    """Take over every dead import: with intents it is rolled forward, without any it ends `failed`, `interrupted`.

    One that came by the server has its bytes kept, and waits for its next attempt instead. What was staged may be gone,
    as in a copy of DATA: then what stands is compared with what was recorded, and the rest is given up in words.
    Live imports are known by their lease and are left alone. One that can't be finished now (a full disk, a folder that
    stands in its way) is reported as stuck and never keeps a command from its own work; Fault where the catalog fails,
    or a folder of what was placed is gone: then nothing can be told of what was placed, and nothing is given up.
    `is_turn`: whether to clear away, too, what nobody is known to have left; where somebody did it is cleared anyway.
    """
    make_areas(catalog, store)
    with catalog.read() as connection:
        if is_privacy_in_force(connection):
            store.erase_originals()
    result = RecoveryResult()
    for dead in find_dead_leases(catalog):
        if not dead.overdue and store.is_owner_alive(dead.uuid):
            continue  # where processes can't be told from each other, its lock says that it lives
        lease = take_over(catalog, dead)
        if lease is None:
            continue  # another command was quicker, or it has ended
        result.ran_out += bool(dead.owner)
        try:
            why = _recover_one(catalog, store, dead, lease)
        except TokenLost:
            continue  # this took so long that another has taken over from us
        except Exception as error:  # noqa: BLE001  whatever it is: one dead import must not lock people out of DATA
            result.stuck[dead.uuid] = error if isinstance(error, Fault) else _unexpected_fault(error)
            with contextlib.suppress(Fault):
                release_lease(catalog, lease)
        else:
            result.done.append(dead.uuid)
            if why is not None:
                result.lost[dead.uuid] = why
    if result.done or is_turn():
        rename_deleted_projects(catalog, store)
        _clear_rows(catalog)
    if _clear_works(catalog, store) or result.done:
        store.sweep(SWEEP_SECONDS)
    return result


def _unexpected_fault(error: Exception) -> Fault:
    message = f"A dead import could not be dealt with: {type(error).__name__}: {error}."
    return RecoveryFailed(message)


def release(catalog: Catalog, store: Store, uuid: str) -> Fault:
    """End an import that can't be finished, for a person: what it has not placed yet is given up, its bytes kept.

    The Fault says what was given up. Usage `import_not_stuck` where it is none of these.
    """
    dead = next((candidate for candidate in find_dead_leases(catalog) if candidate.uuid == uuid), None)
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
            release_lease(catalog, lease)
        raise
    if why is None:
        with contextlib.suppress(Fault):
            release_lease(catalog, lease)
        raise _not_stuck(uuid)
    return why


def _not_stuck(uuid: str) -> Usage:
    return ImportNotStuck(uuid)


def _recover_one(catalog: Catalog, store: Store, dead: DeadLease, lease: Lease) -> Fault | None:
    # by force: a stopped process keeps its lock. The lease is ours alone, so nobody else gets here with a right to it
    with store.hold(dead.uuid, force=True):
        stage = store.take(dead.uuid, dead.token, lease.token)
        try:
            if has_intents(catalog, lease):
                return _roll_forward(catalog, store, stage, lease)
            if isinstance(lease, OperationLease):
                end_unpublished_operation(catalog, store, stage, lease)
            elif isinstance(lease, ImportLease) and is_from_server(catalog, lease):
                requeue_lost(catalog, store, stage, lease, dead)
            elif isinstance(lease, ImportLease):
                end_unpublished(catalog, store, stage, lease, INTERRUPTED)
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
        text("tree.state <> 'current'"),  # as the index has it, which SQLite takes by no parameter
        (tree.c.operation_id + 0).is_(None),  # so that SQLite takes that index, and not this column's, of nearly all
        or_(tree.c.upload_id.is_(None), tree.c.upload_id.not_in(running)),
    )


@cache
def _lost_trees() -> Select[Any]:
    bases = select(intent.c.base_tree_id).where(intent.c.base_tree_id.is_not(None))
    return select(tree.c.id).where(is_left_over(), tree.c.id.not_in(bases))


@cache
def _lost_names() -> ColumnElement[bool]:
    running = select(upload.c.id).where(upload.c.state == ImportState.RUNNING)
    return reservation.c.upload_id.not_in(running)


@cache
def _first_lost_name() -> Select[Any]:
    return select(reservation.c.name).where(_lost_names()).limit(1)


def _clear_rows(catalog: Catalog) -> None:
    """Rows of trees that nothing will ever point at, and names that no import holds any more."""
    with catalog.read() as connection:
        lost = connection.execute(_lost_trees()).scalars().all()
        row = connection.execute(_first_lost_name()).first()
    for number in lost:
        delete_tree_rows(catalog, number)
    if row is not None:
        with catalog.write() as connection:
            connection.execute(delete(reservation).where(_lost_names()))


def _clear_works(catalog: Catalog, store: Store) -> int:
    """Remove the work folders that no running import owns; how many.

    Asked while this holds the work: whoever owned it is dead, so it can't begin to run between the question and the
    removal.
    """
    cleared = 0
    for work in store.works():
        if store.is_owner_alive(work):
            continue
        try:
            hold = store.hold(work)
        except Fault:
            continue  # it has just begun, or another command clears it
        with hold:
            with catalog.read() as connection:
                is_over = not is_unfinished(connection, work) and not is_followed(catalog, connection, work)
            if is_over:
                cleared += store.forget(work)
    return cleared


OLD_SUFFIX = "_deleted_"
"""What stood for `~`."""


_DELETED_PROJECTS: Final = select(project.c.id).where(is_deleted())


def rename_deleted_projects(catalog: Catalog, store: Store) -> None:
    """Move what stands under the old name of a project that was set aside, unless a project has that name now."""
    with catalog.read() as connection:
        aside = connection.execute(_DELETED_PROJECTS).scalars().all()
        if not aside:
            return
        sessions = select(project.c.name, session.c.place, session.c.timestamp, session.c.label).join(
            session, session.c.project_id == project.c.id
        )
        shelves = select(project.c.name, literal("resources"), literal(""), shelf.c.key).join(
            shelf, shelf.c.project_id == project.c.id
        )
        rows = [
            row
            for number in aside  # one by one, so that no database looks through the sessions of all others
            for query in (sessions, shelves)
            for row in connection.execute(query.where(project.c.id == number)).all()
        ]
        before = {row[0]: OLD_SUFFIX.join(row[0].rsplit(DELETED_SEPARATOR, 1)) for row in rows}
        used_names = {old for old in before.values() if find_project(connection, old) is not None}
    for name, place, timestamp, label in rows:
        old, new = (
            tree_path(TreeParts(place, project_name, timestamp, label)) for project_name in (before[name], name)
        )
        if before[name] in used_names or len(before[name]) > 64 or store.current(new) is not None:
            continue
        mark = store.current(old)
        if mark is not None:
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # another command was quicker
                store.place([MoveTree(old, new, mark)])
