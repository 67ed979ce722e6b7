"""Sealed texts in rows of uploads and beside them: what they begin with, and their end."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import BindParameter, Connection, Update, bindparam, case, or_, update

from scandock.catalog.server_tables import cached_file, inbox_import, reception

SEALED: Final = "sealed:1:"
"""How a sealed text begins."""


def drop_sealed_texts(connection: Connection, upload_id: int) -> None:
    """Let go of what was sealed of an upload: its import has ended, and nobody asks for it any more.

    But for the folder of the inbox whose files are still to be removed.
    """
    for statement in _drop_statements():
        connection.execute(statement, {"ended": upload_id})


@cache
def _drop_statements() -> tuple[Update, ...]:
    columns = (reception.c.mapping, reception.c.metadata)
    ended: BindParameter[int] = bindparam("ended")
    return (
        update(reception)
        .where(reception.c.upload_id == ended, or_(*(column.startswith(SEALED) for column in columns)))
        .values({column: case((column.startswith(SEALED), ""), else_=column) for column in columns}),
        update(cached_file)
        .where(cached_file.c.upload_id == ended, cached_file.c.name.startswith(SEALED))
        .values(resource="", name=""),
        update(inbox_import)
        .where(inbox_import.c.upload_id == ended, inbox_import.c.path.startswith(SEALED), ~inbox_import.c.cleanup)
        .values(path=""),
    )
