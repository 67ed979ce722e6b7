"""Removing the rows of trees that nothing points at: not yet, or not any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, func, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import file, resource, scan, tree, upload_exception
from scandock.catalog.trees import BATCH
from scandock.queue.leases import ImportLease, Lease, check_lease


def delete_tree_rows(catalog: Catalog, tree_id: int, lease: Lease | None = None) -> None:
    """Remove a tree and its rows; repeatable. TokenLost where a lease is given that another process has by now.

    Rows of files, which trees of older versions have, in batches, so that no writer waits long for 200,000 of them.
    """
    with catalog.read() as connection:
        last = connection.execute(select(func.max(file.c.n)).where(file.c.tree_id == tree_id)).scalar()
    for start in range(0, (-1 if last is None else int(last)) + 1, BATCH):
        with _write_held(catalog, lease) as connection:
            connection.execute(
                delete(file).where(file.c.tree_id == tree_id, file.c.n.between(start, start + BATCH - 1))
            )
    with _write_held(catalog, lease) as connection:
        for table in (resource, scan):
            connection.execute(delete(table).where(table.c.tree_id == tree_id))
        connection.execute(delete(tree).where(tree.c.id == tree_id))


@contextmanager
def _write_held(catalog: Catalog, lease: Lease | None) -> Iterator[Connection]:
    """A transaction that proves a lease, where one is given: the number of a tree may be another's by now."""
    with catalog.write() as connection:
        if lease is not None:
            check_lease(catalog, connection, lease)
        yield connection


def delete_staged_rows(catalog: Catalog, lease: Lease) -> None:
    """Remove the invisible rows that an import, or an operation, wrote before it was given up. TokenLost."""
    whose = lease.holds(tree)
    if isinstance(lease, ImportLease):  # of what it brought, somebody may just change a part by hand
        whose &= tree.c.operation_id.is_(None)
    with catalog.read() as connection:
        staged = connection.execute(select(tree.c.id).where(whose, tree.c.state == "staged")).scalars().all()
    for number in staged:
        delete_tree_rows(catalog, number, lease)


def delete_exceptions(catalog: Catalog, lease: ImportLease) -> None:
    """Remove what an import noted of entries that need a person's eye; its receipt goes with it. TokenLost."""
    with _write_held(catalog, lease) as connection:
        connection.execute(delete(upload_exception).where(upload_exception.c.upload_id == lease.upload_id))
