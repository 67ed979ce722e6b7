"""What a person does to sessions that stand: an operation has a lease, reserves names, records intents, as imports do.

Its row is one of `operation`, and gone when it has ended. One that dies is taken over by the next command like any
import: with intents it is rolled forward, without any it has done nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import TypeVar

from sqlalchemy import Connection

from scandock.catalog.engine import Catalog
from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault, TokenLost, Usage
from scandock.model.patience import tries
from scandock.publishing.areas import make_areas
from scandock.publishing.complete import complete, end_unpublished_operation
from scandock.publishing.deletes import Removal
from scandock.publishing.errors import SessionBusy
from scandock.publishing.intents import Placement, record_operation
from scandock.publishing.locks import LockName
from scandock.publishing.reserve import find_holders, lock_projects, release_names, reserve
from scandock.queue.heartbeat import Heartbeat
from scandock.queue.leases import OperationLease, begin_operation
from scandock.queue.tokens import new_token, new_uuid
from scandock.store.port import Stage, Store

WAIT_SECONDS = 5.0
"""How long an operation waits for an import, or another operation, that touches the same names."""
PAUSE_SECONDS = 0.05
PATIENCE = 12
"""Times that `retry_while_busy` lets it wait so long."""

T = TypeVar("T")


@dataclass(slots=True)
class Operation:
    """One change to what is shown, from its reservation to its end."""

    catalog: Catalog
    store: Store
    stage: Stage
    lease: OperationLease
    lost: threading.Event = field(default_factory=threading.Event)
    ended: bool = False

    def check(self) -> None:
        """Raise TokenLost where another process has taken this over."""
        if self.lost.is_set():
            raise TokenLost("Another process has taken over this change.")

    @contextmanager
    def reserve_names(
        self, projects: Iterable[str], names: Callable[[Connection], set[LockName]], *, deleting: bool = False
    ) -> Iterator[Connection]:
        """A transaction in which `names` are this operation's until it ends; Usage `session_busy` after a while.

        `names` is asked within the transaction, with the projects locked, so that what it sees can't change.
        `deleting`: it is a part of a project's deletion; Usage `project_deleting` to all others.
        """
        for _ in tries(WAIT_SECONDS, PAUSE_SECONDS):
            with self.catalog.write() as connection:
                lock_projects(connection, projects, deleting=deleting)
                lock_names = names(connection)
                if not find_holders(connection, self.lease, lock_names):
                    reserve(self.catalog, connection, self.lease, lock_names)
                    yield connection
                    return
                release_names(connection, self.lease)
        raise session_busy()

    def show(
        self,
        placements: list[Placement],
        removals: list[Removal],
        note: Callable[[Connection], object],
        *,
        origin: int | None = None,
    ) -> None:
        """Record the intents, and in the same transaction what `note` writes; then make them true.

        `origin` is the import that new trees are of; None where people made by hand what they show. From here on it
        only rolls forward: a Fault that comes later leaves the rest to the next command.
        """
        self.check()
        with self.catalog.write() as connection:
            record_operation(self.catalog, self.store, connection, self.lease, placements, removals, origin=origin)
            note(connection)
        reach("intent")
        complete(self.catalog, self.store, self.stage, self.lease)
        self.ended = True


@contextmanager
def run_operation(catalog: Catalog, store: Store, kind: str) -> Iterator[Operation]:
    """Begin an operation; whatever is not shown by its end leaves nothing behind.

    Fault `store_missing` where a folder of what was placed is gone: what is changed would be shown without its files.
    """
    make_areas(catalog, store)
    number, token = new_uuid(), new_token()
    with store.hold(number):
        stage = store.begin(number, token)
        lease = begin_operation(catalog, number=number, token=token, kind=kind)
        running = Operation(catalog, store, stage, lease)
        beat = Heartbeat(catalog, lease, running.lost)
        try:
            yield running
        finally:
            beat.stop()
            if not running.ended:
                end_unpublished(running)
            stage.close()


@contextmanager
def lock_names(
    catalog: Catalog, projects: Iterable[str], names: Callable[[Connection], set[LockName]]
) -> Iterator[Connection]:
    """One transaction that changes the catalog alone, while nobody plans with `names`; Usage `session_busy`.

    Whoever comes next reads what it wrote: names are reserved with the same projects locked.
    """
    for _ in tries(WAIT_SECONDS, PAUSE_SECONDS):
        with catalog.write() as connection:
            lock_projects(connection, projects)
            if not find_holders(connection, None, names(connection)):
                yield connection
                return
    raise session_busy()


def retry_while_busy(change: Callable[[], T]) -> T:
    """Make a change, again and again while its names are others': for who can't be told to come back in a moment."""
    for left in reversed(range(PATIENCE)):
        try:
            return change()
        except SessionBusy:
            if not left:
                raise
    raise AssertionError


def session_busy() -> Usage:
    """Why a change has to wait for another."""
    return SessionBusy("An import, or another change, is placing this session.", "Try again in a moment.")


def end_unpublished(running: Operation) -> None:
    """End an operation that has shown nothing; one with intents is left to whoever opens DATA next."""
    try:
        end_unpublished_operation(running.catalog, running.store, running.stage, running.lease)
    except (TokenLost, Fault):
        return
