"""Which import, or operation, is whose: begin, renew, finish, and the taking over of those whose owner is gone.

Correctness rests on the token alone: every transaction that shows something guards it, and the stage's folder bears it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    insert,
    literal,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.sql import ColumnElement

from scandock.catalog.audit import audit_import_end
from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.sealed_texts import drop_sealed_texts
from scandock.catalog.tables import operation, reservation, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import OUTAGES, TokenLost
from scandock.model.import_report import ImportOutcome, format_outcome
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.queue.events import add_outcome
from scandock.queue.owner import is_elsewhere, is_gone, is_mine, is_running, this_owner
from scandock.queue.states import transition
from scandock.queue.tokens import new_token

LEASE_MS = 15_000
RENEW_SECONDS = 5.0
PATIENCE_MS = 120_000
"""For how long beyond its lease an owner is spared that lives on this host and isn't stopped.

Where the disk stalls, a commit may take longer than a lease: to take its import from a live process would help nobody.
"""


@dataclass(frozen=True, slots=True)
class Lease(ABC):
    """The right to work on an import or an operation, until somebody else holds a newer token."""

    row_id: int
    uuid: str
    token: str

    table: ClassVar[Table]
    """Where its row is; of one that goes on only."""
    column: ClassVar[str]
    """What names that row in the tables of what it holds: trees, intents, reservations."""

    @property
    def upload_id(self) -> int | None:
        """The import; None of an operation."""
        return None

    @classmethod
    @abstractmethod
    def goes_on(cls) -> ColumnElement[bool]:
        """Whether a row of its table is one that goes on."""

    def stands(self) -> ColumnElement[bool]:
        """Whether the row is one that this lease still holds."""
        return self.is_held(self.row_id, self.token)

    @classmethod
    def is_held(cls, row_id: object, token: object) -> ColumnElement[bool]:
        """Whether a row is that of this number, and held by this token."""
        columns = cls.table.c
        return and_(columns.id == row_id, columns.token == token, cls.goes_on())

    def holds(self, table: Table) -> ColumnElement[bool]:
        """Whether a row of a tree, an intent or a reservation is its own."""
        return table.c[self.column] == self.row_id

    def mark(self) -> dict[str, int]:
        """What makes a new row of these its own."""
        return {self.column: self.row_id}


@dataclass(frozen=True, slots=True)
class ImportLease(Lease):
    """The right to work on an import."""

    table = upload
    column = "upload_id"

    @property
    def upload_id(self) -> int:
        return self.row_id

    @classmethod
    def goes_on(cls) -> ColumnElement[bool]:
        return upload.c.state == ImportState.RUNNING


@dataclass(frozen=True, slots=True)
class OperationLease(Lease):
    """The right to work on what a person does to a session."""

    table = operation
    column = "operation_id"

    @classmethod
    def goes_on(cls) -> ColumnElement[bool]:
        return true()  # its row goes when it has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """What a person does to a session, and has not ended: a row of `operation`."""

    uuid: str
    kind: str
    """What is done: `move`, `delete` ..."""
    created: int
    """Unix milliseconds."""


def list_operations(
    connection: Connection, uuids: Collection[str] | None = None, *, limit: int
) -> list[OperationRecord]:
    """The newest operations, of all or of those that are named, the newest first."""
    columns = operation.c
    query = select(columns.uuid, columns.kind, columns.created).order_by(columns.id.desc()).limit(limit)
    if uuids is not None:
        query = query.where(columns.uuid.in_(uuids))
    return [OperationRecord(uuid=row.uuid, kind=row.kind, created=row.created) for row in connection.execute(query)]


LEASE_KINDS: tuple[type[Lease], ...] = (ImportLease, OperationLease)


def is_unfinished(connection: Connection, uuid: str) -> bool:
    """Whether an import, or an operation, has not ended."""
    rows = (select(kind.table.c.id).where(kind.table.c.uuid == uuid, kind.goes_on()) for kind in LEASE_KINDS)
    return connection.execute(union_all(*rows)).first() is not None


def release_all(connection: Connection) -> None:
    """Let nobody own what goes on, so that whoever comes next takes it over at once."""
    for kind in LEASE_KINDS:
        connection.execute(update(kind.table).where(kind.goes_on()).values(owner="", lease_until=0))


@dataclass(frozen=True, slots=True)
class DeadLease:
    """An unfinished import, or operation, whose owner is gone."""

    kind: type[Lease]
    row_id: int
    uuid: str
    token: str
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


def begin(catalog: Catalog, *, number: str, token: str, archive: str, request: Mapping[str, object]) -> ImportLease:
    """Record an import of the command line as running, owned by this process."""
    values = {"archive": archive, "source": "cli", "state": ImportState.RUNNING, "request": json.dumps(request)}
    return ImportLease(_begin(catalog, upload, number, token, values), number, token)


def begin_operation(catalog: Catalog, *, number: str, token: str, kind: str) -> OperationLease:
    """Record an operation, owned by this process."""
    return OperationLease(_begin(catalog, operation, number, token, {"kind": kind}), number, token)


def _begin(catalog: Catalog, table: Table, number: str, token: str, values: Mapping[str, str]) -> int:
    with catalog.write() as connection:
        result = connection.execute(
            insert(table).values(
                uuid=number,
                attempt=1,
                token=token,
                lease_until=catalog.now() + LEASE_MS,
                owner=this_owner(place=catalog.place, host=catalog.host),
                created=catalog.now(),
                **values,
            )
        )
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])


def renew(catalog: Catalog, lease: Lease) -> None:
    """Hold the lease for another while. Raises TokenLost where somebody has taken over."""
    with catalog.write() as connection:
        check_lease(catalog, connection, lease)


@dataclass(frozen=True, slots=True)
class RenewFailures:
    """Leases that are held no more."""

    lost: list[ImportLease]
    """Somebody else has taken them over."""
    ended: list[ImportLease]
    """Their imports have ended, or wait again: whoever ran them has only to clear up."""


def renew_all(catalog: Catalog, leases: Iterable[ImportLease]) -> RenewFailures:
    """Hold many leases in one transaction; gives those that can't be."""
    failures = RenewFailures([], [])
    with catalog.write() as connection:
        for lease in leases:
            try:
                check_lease(catalog, connection, lease)
            except TokenLost:
                token = connection.execute(select(upload.c.token).where(upload.c.id == lease.upload_id)).scalar()
                (failures.ended if token in (None, lease.token) else failures.lost).append(lease)
    return failures


@cache
def _renewal(kind: type[Lease], *, sqlite: bool) -> Update:
    """What renews a lease."""
    held = kind.is_held(bindparam("lease_row"), bindparam("lease_token"))
    until = database_now(sqlite=sqlite) + bindparam("lease_ms", type_=BigInteger)
    return update(kind.table).where(held).values(lease_until=until)


def check_lease(catalog: Catalog, connection: Connection, lease: Lease) -> None:
    """Prove within a transaction that this process still owns what it works on, and renew; TokenLost where it does not.

    The row is locked until the transaction ends.
    """
    values = {"lease_row": lease.row_id, "lease_token": lease.token, "lease_ms": LEASE_MS}
    if connection.execute(_renewal(type(lease), sqlite=catalog.sqlite), values).rowcount != 1:
        raise TokenLost("Another process has taken over this import.")


def finish(catalog: Catalog, connection: Connection, lease: ImportLease, outcome: ImportOutcome) -> None:
    """Write the final outcome and free what was reserved."""
    check_lease(catalog, connection, lease)
    connection.execute(
        transition(
            ImportState.RUNNING,
            outcome.state,
            code=outcome.code,
            message=outcome.message,
            report=format_outcome(outcome),
            finished=catalog.now(),
        ).where(upload.c.id == lease.upload_id)
    )
    connection.execute(delete(reservation).where(reservation.c.upload_id == lease.upload_id))
    if outcome.state not in KEEPS_BYTES:
        drop_sealed_texts(connection, lease.upload_id)
    add_outcome(catalog, connection, lease.upload_id, outcome)
    audit_import_end(catalog, connection, lease.upload_id, outcome.state.value, outcome.code)


def finish_operation(catalog: Catalog, connection: Connection, lease: OperationLease) -> None:
    """End an operation: its row goes, with its intents and what was reserved; its trees are no longer in the making."""
    check_lease(catalog, connection, lease)
    connection.execute(delete(operation).where(operation.c.id == lease.row_id))


def release_lease(catalog: Catalog, lease: Lease) -> None:
    """Let whoever comes next take over at once; nothing where somebody has."""
    with catalog.write() as connection:
        connection.execute(update(lease.table).where(lease.stands()).values(owner="", lease_until=0))


@cache
def _all_that_go_on(kind: type[Lease]) -> Select[Any]:
    columns = kind.table.c
    return (
        select(
            *(columns[name] for name in ("id", "uuid", "token", "attempt", "lease_until", "owner")),
            columns.get("code", literal("").label("code")),
        )
        .where(kind.goes_on())
        .order_by(columns.id)
    )


def find_dead_leases(catalog: Catalog) -> list[DeadLease]:
    """Running imports, then operations, whose lease is over, or whose owner on this host is no more.

    This process's own are none.

    Those of a catalog that is a copy have nobody, however alive the owner is: it works on the other one.
    """
    place = catalog.place
    with catalog.read() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        rows = [(kind, row) for kind in LEASE_KINDS for row in connection.execute(_all_that_go_on(kind))]
    return [
        DeadLease(
            kind,
            row.id,
            row.uuid,
            row.token,
            row.attempt,
            overdue=row.lease_until < now,
            owner=row.owner,
            code=row.code,
        )
        for kind, row in rows
        if is_elsewhere(row.owner, place)
        or (
            not is_mine(row.owner)
            and (is_lost(row.lease_until, now, row.owner) or is_gone(row.owner, catalog.host) is True)
        )
    ]


def is_lost(lease_until: int, now: int, owner: str) -> bool:
    """Whether a lease is over for good: its owner may not be just waiting for a disk or a lock."""
    if lease_until >= now:
        return False
    return lease_until + PATIENCE_MS < now or not is_running(owner)


def take_over(catalog: Catalog, dead: DeadLease) -> Lease | None:
    """Make a dead one ours by compare-and-set; None where another was quicker, or it ended meanwhile."""
    token = new_token()
    before = dead.kind(dead.row_id, dead.uuid, dead.token)
    with catalog.write() as connection:
        changed = connection.execute(
            update(before.table)
            .where(before.stands())
            .values(
                token=token,
                owner=this_owner(place=catalog.place, host=catalog.host),
                attempt=before.table.c.attempt + (0 if dead.outage else 1),
                lease_until=catalog.now() + LEASE_MS,
            )
        ).rowcount
    return replace(before, token=token) if changed == 1 else None
