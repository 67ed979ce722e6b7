"""Rows of subjects: made with a number that was never given before, and deleted so that it never will be again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import gone_subject
from scandock.catalog.tables import subject

NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


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
        every = [
            connection.execute(select(func.max(column))).scalar() or 0
            for column in (subject.c.id, gone_subject.c.number)
        ]
        values["id"] = max(every) + 1
    key = connection.execute(insert(subject).values(created=catalog.now(), **values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def drop_subjects(connection: Connection, where: ColumnElement[bool]) -> None:
    """Delete subjects that no session is of."""
    source = select(subject.c.id).where(where)
    connection.execute(insert(gone_subject).from_select(["number"], source))
    connection.execute(delete(subject).where(where))
