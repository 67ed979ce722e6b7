"""Who is told of damage to stored files."""

from __future__ import annotations

from sqlalchemy import Connection

from scandock.catalog.engine import Catalog


def enqueue_damage(catalog: Catalog, connection: Connection, project_name: str, *, mail: bool) -> None:
    """Have damage told."""
