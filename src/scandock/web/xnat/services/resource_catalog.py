"""The files of one resource as its catalog has them (xnat-behaviour.md 4.6), however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, select

from scandock.catalog.own_resources import Holder
from scandock.catalog.tables import file
from scandock.catalog.verified_files import read_digests
from scandock.services.session_parts import ResourcePart

_BATCH: Final = 5_000


class CatalogEntry(NamedTuple):
    """What a catalog says of a file."""

    name: str
    md5: bytes | None
    content: str | None
    format: str | None


def iter_files(connection: Connection, holder: Holder, resource: ResourcePart) -> Iterator[CatalogEntry]:
    """A resource's files, in order."""
    query = (
        select(file.c.n, file.c.name, file.c.md5, file.c.content, file.c.format)
        .where(_is_in(holder, resource))
        .order_by(file.c.n)
    )
    rows = connection.execute(query.execution_options(yield_per=_BATCH))
    for part in rows.partitions():
        digests = read_digests(connection, holder.tree_id, part[0].n, part[-1].n)
        for n, name, md5, content, file_format in part:
            yield CatalogEntry(name, digests.get(n, md5), content, file_format)


def has_missing_digests(connection: Connection, holder: Holder, resource: ResourcePart) -> bool:
    """Whether a resource has files whose MD5 is not known yet."""
    numbers = set(connection.execute(select(file.c.n).where(_is_in(holder, resource), file.c.md5.is_(None))).scalars())
    return bool(numbers) and not numbers <= read_digests(connection, holder.tree_id, min(numbers), max(numbers)).keys()


def _is_in(holder: Holder, resource: ResourcePart) -> ColumnElement[bool]:
    return and_(file.c.tree_id == holder.tree_id, file.c.resource_n == resource.n)
