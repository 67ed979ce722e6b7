"""Rows of subjects: made with a number that was never given before, and deleted so that it never will be again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from sqlalchemy import ColumnElement, Connection, Insert, delete, func, insert, select

from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.server_tables import gone_subject
from scandock.catalog.tables import subject

NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})
_HIGHEST: Final = select(func.max(subject.c.id), select(func.max(gone_subject.c.number)).scalar_subquery())


def add_subject(
    catalog: Catalog,
    connection: Connection,
    *,
    uuid: str,
    project_id: int,
    label: str,
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
) -> int:
    """Make a subject whose label is free; its number."""
    values: dict[str, object] = {"uuid": uuid, "project_id": project_id, "label": label, "key": label.casefold()}
    values["attributes"] = json.dumps(dict(attributes))
    if catalog.sqlite:  # which would give the highest number again once its row has gone; PostgreSQL counts on
        values["id"] = max(number or 0 for number in connection.execute(_HIGHEST).one()) + 1
    key = connection.execute(_insertion(sqlite=catalog.sqlite), values).inserted_primary_key
    assert key is not None
    return int(key[0])


@cache
def _insertion(*, sqlite: bool) -> Insert:
    return insert(subject).values(created=database_now(sqlite=sqlite))


def drop_subjects(connection: Connection, where: ColumnElement[bool]) -> None:
    """Delete subjects that no session is of."""
    source = select(subject.c.id).where(where)
    connection.execute(insert(gone_subject).from_select(["number"], source))
    connection.execute(delete(subject).where(where))
