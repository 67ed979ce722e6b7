"""Names that one import is about to touch: nobody else plans with them until it has ended."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select

from scandock.catalog.engine import Catalog, in_parts
from scandock.catalog.projects import check_not_deleting
from scandock.catalog.tables import operation, project, reservation, upload
from scandock.placing.locks import LockName
from scandock.queue.leases import Lease, guard
from scandock.rules.errors import ProjectUnknown


def lock_projects(connection: Connection, names: Iterable[str], *, deleting: bool = False) -> dict[str, int]:
    """Lock these projects' rows for the transaction, in one order (SQLite: the whole catalog is); name -> id.

    Whatever changes a project comes by here, so nothing does once its deletion has begun: Usage `project_deleting`,
    but of the deletion itself (`deleting`); `project_unknown` where it has gone.
    """
    wanted = sorted(set(names))
    found = connection.execute(
        select(project.c.name, project.c.id)
        .where(project.c.name.in_(wanted))
        .order_by(project.c.id)
        .with_for_update()
    ).all()  # fmt: skip
    if not deleting:
        check_not_deleting(connection, wanted)
    gone = set(wanted) - {row.name for row in found}
    if gone:
        raise ProjectUnknown(f"There is no project {min(gone)} any more.", "Name another one, or make it again.")
    return {row.name: row.id for row in found}


def held_by_others(connection: Connection, lease: Lease | None, names: Iterable[LockName]) -> set[str]:
    """UUIDs of the imports and operations that hold any of these names; `lease` is that of who asks."""
    holders: set[str] = set()
    for part in in_parts(sorted(set(names))):
        query = (
            select(func.coalesce(upload.c.uuid, operation.c.uuid))
            .select_from(reservation)
            .outerjoin(upload, upload.c.id == reservation.c.upload_id)
            .outerjoin(operation, operation.c.id == reservation.c.operation_id)
            .where(reservation.c.name.in_(part))
        )
        if lease is not None:
            query = query.where(func.coalesce(upload.c.uuid, operation.c.uuid) != lease.uuid)
        holders.update(connection.execute(query).scalars())
    return holders


def reserve(catalog: Catalog, connection: Connection, lease: Lease, names: Iterable[LockName]) -> None:
    """Take these names; the caller has seen, in the same transaction, that nobody holds them.

    TokenLost: what a stale process took, nobody would ever free.
    """
    guard(catalog, connection, lease)
    held = select(reservation.c.name).where(lease.holds(reservation))
    wanted = sorted(set(names) - set(connection.execute(held).scalars()))
    if wanted:
        connection.execute(insert(reservation), [{"name": name, **lease.mark()} for name in wanted])


def release(connection: Connection, lease: Lease) -> None:
    """Give all names back, before waiting for others: two imports that wait for each other would wait for ever."""
    connection.execute(delete(reservation).where(lease.holds(reservation)))
