"""The files of one resource as its catalog has them (xnat-behaviour.md 4.6), however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection

from scandock.catalog.own_resources import Holder
from scandock.catalog.trees import files_of_resources
from scandock.catalog.verified_files import find_learned
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
    rows = files_of_resources(connection, holder.tree_id, {resource.n})
    while part := list(islice(rows, _BATCH)):
        facts = find_learned(connection, holder.tree_id, {row.n for row in part})
        for row in part:
            yield CatalogEntry(row.name, facts.md5(row.n), row.content, row.format)


def has_missing_digests(connection: Connection, holder: Holder, resource: ResourcePart) -> bool:
    """Whether a resource has files whose MD5 is not known yet."""
    return any(entry.md5 is None for entry in iter_files(connection, holder, resource))
