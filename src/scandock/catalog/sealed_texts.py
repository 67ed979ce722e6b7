"""Sealed texts in rows of uploads and beside them: what they begin with, and their end."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, case, or_, update

from scandock.catalog.server_tables import cached_file, inbox_import, reception

SEALED: Final = "sealed:1:"
"""How a sealed text begins."""


def drop_sealed_texts(connection: Connection, upload_id: int) -> None:
    """Let go of what was sealed of an upload: its import has ended, and nobody asks for it any more.

    But for the folder of the inbox whose files are still to be removed.
    """
    columns = (reception.c.mapping, reception.c.metadata)
    connection.execute(
        update(reception)
        .where(reception.c.upload_id == upload_id, or_(*(column.startswith(SEALED) for column in columns)))
        .values({column: case((column.startswith(SEALED), ""), else_=column) for column in columns})
    )
    connection.execute(
        update(cached_file)
        .where(cached_file.c.upload_id == upload_id, cached_file.c.name.startswith(SEALED))
        .values(resource="", name="")
    )
    connection.execute(
        update(inbox_import)
        .where(inbox_import.c.upload_id == upload_id, inbox_import.c.path.startswith(SEALED), ~inbox_import.c.cleanup)
        .values(path="")
    )
