"""What people said of files, written into a catalog as if they had."""

from __future__ import annotations

from sqlalchemy import Connection, select

from scandock.catalog.file_rows import FileAnnotations
from scandock.catalog.tables import session
from scandock.catalog.trees import annotate_files, files_of


def say_of_files(connection: Connection, name: str, words: FileAnnotations) -> int:
    """Write content, format and tags of the files of a name, in all sessions; how many these are."""
    count = 0
    for tree_id in connection.execute(select(session.c.tree_id)).scalars().all():
        numbers = [row.n for row in files_of(connection, tree_id) if row.name == name]
        annotate_files(connection, tree_id, dict.fromkeys(numbers, words))
        count += len(numbers)
    return count
