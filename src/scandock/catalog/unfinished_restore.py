"""The mark of a database that a restore has begun to fill: nobody else opens its catalog until that has ended.

What it holds is a copy of a catalog that may still be at work, and says of the bucket what that one says. The mark is
made before the first table, and is no table of a catalog.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, inspect, select

from scandock.catalog.errors import RestoreUnfinished

_TABLE: Final = Table(
    "unfinished_restore",
    MetaData(),
    Column("backup", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("data", Text, nullable=False),
)
MARK_TABLE: Final = _TABLE.name


class UnfinishedRestore(NamedTuple):
    """A restore that has begun."""

    backup: str
    """Path of the backup."""
    made: str
    """When that was made, as its description says."""
    data: str
    """Path of the data folder that is restored to."""

    def is_same(self, other: UnfinishedRestore | None) -> bool:
        """Whether it is of the same backup, to the same folder, wherever the backup is now."""
        return other is not None and self._replace(backup=other.backup) == other


def begin_restore(connection: Connection, restore: UnfinishedRestore) -> None:
    """Mark an empty database."""
    _TABLE.create(connection)
    connection.execute(insert(_TABLE).values(**restore._asdict()))


def read_restore(connection: Connection) -> UnfinishedRestore | None:
    """The restore that has begun to fill a database, and has not ended."""
    if not inspect(connection).has_table(MARK_TABLE):
        return None
    return UnfinishedRestore(*connection.execute(select(_TABLE)).one())


def end_restore(connection: Connection) -> None:
    """Let the catalog be opened by everybody."""
    _TABLE.drop(connection, checkfirst=True)


def check_no_restore(connection: Connection) -> None:
    """Usage `restore_unfinished` of a database that a restore has begun to fill."""
    restore = read_restore(connection)
    if restore is not None:
        raise RestoreUnfinished(restore.backup, restore.data)
