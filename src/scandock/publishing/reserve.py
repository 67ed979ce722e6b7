"""Names that one import is about to touch: nobody else plans with them until it has ended."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select

from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.projects import check_not_deleting
from scandock.catalog.tables import operation, project, reservation, upload
from scandock.publishing.locks import LockName
from scandock.queue.leases import Lease, check_lease
from scandock.rules.errors import ProjectUnknown


def lock_projects(connection: Connection, names: Iterable[str], *, deleting: bool = False) -> dict[str, int]:
    """Lock these projects' rows for the transaction, in one order (SQLite: the whole catalog is); name -> id.

    Whatever changes a project comes by here, so nothing does once its deletion has begun: Usage `project_deleting`,
    but of the deletion itself (`deleting`); `project_unknown` where it has gone.
    """
    sorted_names = sorted(set(names))
    rows = connection.execute(
        select(project.c.name, project.c.id)
        .where(project.c.name.in_(sorted_names))
        .order_by(project.c.id)
        .with_for_update()
    ).all()  # fmt: skip
    if not deleting:
        check_not_deleting(connection, sorted_names)
    missing = set(sorted_names) - {row.name for row in rows}
    if missing:
        raise ProjectUnknown(f"There is no project {min(missing)} any more.", "Name another one, or make it again.")
    return {row.name: row.id for row in rows}


def find_holders(connection: Connection, lease: Lease | None, names: Iterable[LockName]) -> set[str]:
    """UUIDs of the imports and operations that hold any of these names; `lease` is that of who asks."""
    holders: set[str] = set()
    for part in split_values(sorted(set(names))):
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
    check_lease(catalog, connection, lease)
    held = select(reservation.c.name).where(lease.holds(reservation))
    new_names = sorted(set(names) - set(connection.execute(held).scalars()))
    if new_names:
        connection.execute(insert(reservation), [{"name": name, **lease.mark()} for name in new_names])


def release_names(connection: Connection, lease: Lease) -> None:
    """Give all names back, before waiting for others: two imports that wait for each other would wait for ever."""
    connection.execute(delete(reservation).where(lease.holds(reservation)))
