"""A catalog on each database, and rows to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select

from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.tables import project, session, tree, upload


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


class Rows:
    """Rows of a catalog, made with what a test does not care about filled in."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.made = 0

    def project(self, name: str = "P") -> int:
        add_project(self.catalog, ProjectRow(name=name))
        with self.catalog.read() as connection:
            return int(connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one())

    def upload(self, **values: Any) -> int:
        self.made += 1
        return self._add(
            upload,
            {
                "uuid": f"upload-{self.made}",
                "archive": "a.zip",
                "source": "cli",
                "state": "running",
                "request": "{}",
                "created": 0,
                **values,
            },
        )

    def tree(self, **values: Any) -> int:
        return self._add(tree, {"upload_id": self.upload(), "state": "current", "created": 0, **values})

    def session(self, project_id: int, **values: Any) -> str:
        self.made += 1
        uuid = f"session-{self.made}"
        label = values.get("label", f"L{self.made}")
        place = values.get("place", "archive")
        self._add(
            session,
            {
                "uuid": uuid,
                "project_id": project_id,
                "subject": "S",
                "label": label,
                "key": label.casefold(),
                "place": place,
                "timestamp": f"20200101_00000000{self.made % 10}" if place == "prearchive" else "",
                "state": "ready",
                "xsi_type": "",
                "attributes": "{}",
                "warnings": "[]",
                "tree_id": self.tree() if "tree_id" not in values else values["tree_id"],
                "scans": 0,
                "files": 0,
                "bytes": 0,
                "created": 0,
                "modified": 0,
                **values,
            },
        )
        return uuid

    def _add(self, table: Any, values: dict[str, Any]) -> int:
        with self.catalog.write() as connection:
            key = connection.execute(insert(table).values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0])


@pytest.fixture
def rows(catalog: Catalog) -> Rows:
    return Rows(catalog)
