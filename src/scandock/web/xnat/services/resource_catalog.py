"""The files of one resource as its catalog has them (xnat-behaviour.md 4.6), however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection

from scandock.catalog.own_resources import Holder
from scandock.catalog.trees import files_of_resources
from scandock.catalog.verified_files import read_learned
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
        facts = read_learned(connection, holder.tree_id, part[0].n, part[-1].n)
        for row in part:
            yield CatalogEntry(row.name, facts.md5(row.n), row.content, row.format)


def has_missing_digests(connection: Connection, holder: Holder, resource: ResourcePart) -> bool:
    """Whether a resource has files whose MD5 is not known yet."""
    numbers = [row.n for row in files_of_resources(connection, holder.tree_id, {resource.n})]
    if not numbers:
        return False
    facts = read_learned(connection, holder.tree_id, numbers[0], numbers[-1])
    return any(facts.md5(n) is None for n in numbers)
