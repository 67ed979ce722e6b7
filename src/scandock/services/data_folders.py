"""Which data folder a database belongs to: PostgreSQL lies beside it, and what two folders hold would mix up there.

A folder has an id in a file of its own, and the database knows it. A folder that was moved takes the file along; one
that was restored or copied is another, and becomes the database's own when somebody says so (`adopt`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, create_engine, delete, insert, inspect, select, update
from sqlalchemy.exc import OperationalError

from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.server_tables import data_folder
from scandock.catalog.store_tables import UNBOUND, object_store
from scandock.model.errors import Fault
from scandock.queue.hosts import are_others_at_work
from scandock.queue.tokens import new_uuid
from scandock.services.data_errors import DataFolderOther, DataServed, StoreElsewhere
from scandock.store.identity import read_identity, write_identity
from scandock.store.server_lock import unserved

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def check_data_folder(catalog: Catalog, data: str) -> None:
    """Let a database be opened from its own data folder alone; the first one becomes that.

    Usage `data_folder_other`. A folder that is not there is none, and nothing is checked.
    """
    if not os.path.isdir(data):
        return
    with catalog.read() as connection:
        row = _read_row(connection)
    if row is not None and (row.uuid, row.path) == (read_identity(data), data):
        return
    with catalog.write() as connection:
        catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
        row = _read_row(connection)
        if row is None:
            _write_row(connection, data, read_identity(data))
            return
        check_same_folder(row, data)
        connection.execute(update(data_folder).values(path=data))  # it was moved, or is called so on this machine


def check_kind_of_store(catalog: Catalog, settings: Settings) -> None:
    """Usage `store_elsewhere` where a catalog names files of a bucket and the settings have none, or the reverse."""
    with catalog.read() as connection:
        is_bound = object_store.c.uuid.not_like(f"{UNBOUND}%")
        has_bucket = connection.execute(select(object_store.c.uuid).where(is_bound)).first() is not None
        folder = _read_row(connection)
    if settings.store is None and has_bucket:
        raise StoreElsewhere("a bucket, and none is set")
    if settings.store is not None and folder is not None:
        raise StoreElsewhere(f"the data folder {folder.path}, and a bucket is set")


def check_database_folder(database_url: str, data: str) -> None:
    """Usage `data_folder_other` where a database belongs to another folder; it is read as it is, of whatever version.

    One of a version that kept no data folder, or that nobody has opened yet, belongs to none. Fault where it can't be
    read.
    """
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            if inspect(connection).has_table(data_folder.name):
                check_copied_catalog(connection, data)
    except OperationalError as error:
        raise Catalog(engine).fault(error, "could not be opened") from error
    finally:
        engine.dispose()


def check_copied_catalog(connection: Connection, data: str) -> None:
    """As `check_data_folder`, where nothing may be written."""
    row = _read_row(connection)
    if row is not None:
        check_same_folder(row, data)


def check_same_folder(row: Row[Any], data: str) -> None:
    """Usage `data_folder_other` where a folder is not the one of the row, which may have been moved."""
    is_same = read_identity(data) == row.uuid
    if is_same and not _is_another(row.path, data, row.uuid):
        return
    how = "a copy of it" if is_same else "another folder"
    raise DataFolderOther(row.path, data, how)


def adopt_folder(catalog: Catalog, data: str) -> None:
    """Make a folder the database's own, whatever folder that had. Fault `data_served` while that one is served."""
    with catalog.write() as connection:
        catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
        row = _read_row(connection)
        before = row.path if row is not None and _may_be_data(row.path, row.uuid) else ""
        for folder in {data, before} - {""}:
            with unserved(folder) as free:
                if not free:
                    raise DataServed(f"A server is at work on {folder}.", "Stop it first.")
        if are_others_at_work(connection, catalog.host):
            raise DataServed("A server of another host is at work on this database.", "Stop it first.")
        connection.execute(delete(data_folder))
        _write_row(connection, data, "")


def _read_row(connection: Connection) -> Row[Any] | None:
    row: Row[Any] | None = connection.execute(select(data_folder)).first()
    return row


def _write_row(connection: Connection, data: str, identity: str) -> None:
    if not identity:
        identity = new_uuid()
        write_identity(data, identity)
    connection.execute(insert(data_folder).values(uuid=identity, path=data))


def _may_be_data(path: str, identity: str) -> bool:
    """Whether a folder has an id, or can't be read: it may be on a disk that is broken, with a server still at work."""
    try:
        return read_identity(path) == identity
    except Fault:
        return True


def _is_another(path: str, data: str, identity: str) -> bool:
    """Whether the folder that the database knows is still there, and is not this one by another name."""
    try:
        return read_identity(path) == identity and not os.path.samefile(path, data)
    except (OSError, Fault):
        return False
