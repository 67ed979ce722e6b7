"""The files of one resource as its catalog has them (xnat-behaviour.md 4.6), however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from scandock.catalog.shelves import Holder
from scandock.catalog.tables import file

_BATCH: Final = 5_000


def each_file(connection: Connection, standing: Holder, one: RowMapping) -> Iterator[RowMapping]:
    """Name, MD5, content and format of a resource's files (a row of `session_parts.resources_of`), in order."""
    query = (
        select(file.c.name, file.c.md5, file.c.content, file.c.format).where(_is_in(standing, one)).order_by(file.c.n)
    )
    yield from connection.execute(query.execution_options(yield_per=_BATCH)).mappings()


def lacks_digests(connection: Connection, standing: Holder, one: RowMapping) -> bool:
    """Whether a resource has files whose MD5 is not known yet."""
    query = select(file.c.n).where(_is_in(standing, one), file.c.md5.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _is_in(standing: Holder, one: RowMapping) -> ColumnElement[bool]:
    return and_(file.c.tree_id == standing.tree_id, file.c.resource_n == one["n"])
