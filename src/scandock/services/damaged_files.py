"""What a download does about files that are known to be damaged: nobody gets bytes for whole that are not.

Refused unless it is asked for them: an image of which a byte has flipped looks right, and is passed on for years.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from scandock.catalog.engine import split_values
from scandock.catalog.own_resources import Holder
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import project, session, shelf
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import damaged_files, find_files
from scandock.model.errors import Usage
from scandock.services.file_errors import FileDamaged
from scandock.services.records import path_of
from scandock.store.paths import RelPath


class Damaged(StrEnum):
    """What is wanted of damaged files."""

    REFUSE = "refuse"
    INCLUDE = "include"
    OMIT = "omit"


DAMAGE_SENTENCES: Final = {
    "changed": "its bytes are not those that were stored",
    "missing": "it is gone from the store",
    "unreadable": "the disk does not give its bytes",
    "folder_missing": "the session's whole folder is gone from the store",
}
"""What is the matter with it, by its kind of damage."""


def is_folder_gone(connection: Connection, holder: Holder) -> bool:
    """Whether a whole folder is known to be gone."""
    return connection.execute(_FOLDER_GONE, {"of_tree": holder.tree_id}).first() is not None


_FOLDER_GONE: Final = (
    select(damage.c.id).where(damage.c.tree_id == bindparam("of_tree"), damage.c.file_n.is_(None)).limit(1)
)


def check_folder(connection: Connection, holder: Holder) -> None:
    """Usage `file_damaged` where a whole folder is known to be gone: there is nothing to include."""
    if is_folder_gone(connection, holder):
        raise FileDamaged(
            f"The folder of {holder.label} is gone from the store, with all its files.",
            "Put it back from a backup and verify it again, or import the archive again.",
        )


def find_damaged_paths(
    connection: Connection, holder: Holder, policy: Damaged, is_chosen: Callable[[str], bool] = lambda _: True
) -> Mapping[RelPath, str]:
    """Path -> kind of the damaged files among those that are chosen. Usage `file_damaged` where they are refused."""
    kinds = damaged_files(connection, holder.tree_id)
    places = read_places(connection, holder.tree_id) if kinds else {}
    damaged: dict[RelPath, str] = {
        path: kinds[row.n]
        for row in find_files(connection, holder.tree_id, kinds)
        if row.resource_n in places and is_chosen(path := path_of(row, places[row.resource_n]))
    }
    if damaged and policy is Damaged.REFUSE:
        first_path, kind = next(iter(damaged.items()))
        first = "" if len(damaged) == 1 else " is the first"
        raise _damaged_error(len(damaged), holder.label, f": {first_path} ({DAMAGE_SENTENCES[kind]}){first}")
    return damaged


def find_damaged_numbers(connection: Connection, tree_id: int, scan_n: int) -> Mapping[int | None, str]:
    """Number -> kind of the damaged files of a scan; None where the whole session's folder is gone."""
    rows = connection.execute(select(damage.c.file_n, damage.c.kind).where(damage.c.tree_id == tree_id))
    kinds: dict[int | None, str] = {row.file_n: row.kind for row in rows}
    numbers = {n for n in kinds if n is not None}
    places = read_places(connection, tree_id) if numbers else {}
    of_scan: set[int | None] = {
        row.n
        for row in find_files(connection, tree_id, numbers)
        if row.resource_n in places and places[row.resource_n].scan_n == scan_n
    }
    return {n: kind for n, kind in kinds.items() if n is None or n in of_scan}


def why_no_picture(kind: str) -> str:
    """What is shown in the place of a damaged file's picture, or header."""
    return f"The file is damaged: {DAMAGE_SENTENCES[kind]}. Import its archive again, which heals it."


def find_damaged_holders(connection: Connection, uuids: Iterable[str]) -> set[str]:
    """The sessions and own resources, of these, that have files which are known to be damaged, or no folder."""
    uuids_found: set[str] = set()
    for part in split_values(uuids):
        for table in (session, shelf):
            rows = connection.execute(
                select(table.c.uuid)
                .join(damage, damage.c.tree_id == table.c.tree_id)
                .where(table.c.uuid.in_(part))
                .distinct()
            )
            uuids_found.update(rows.scalars())
    return uuids_found


def count_damaged_of_project(connection: Connection, project_name: str, policy: Damaged) -> int:
    """How many files of a project's archived sessions are damaged, a folder that is gone as one.

    Usage `file_damaged` where they are refused.
    """
    count: int = connection.execute(
        select(func.count())
        .select_from(damage)
        .join(session, session.c.tree_id == damage.c.tree_id)
        .join(project, project.c.id == session.c.project_id)
        .where(project.c.key == project_name.casefold(), session.c.place == "archive")
    ).scalar_one()
    if count and policy is Damaged.REFUSE:
        raise _damaged_error(count, f"project {project_name}", "")
    return count


def _damaged_error(count: int, label: str, names: str) -> Usage:
    return FileDamaged(
        f"{count} {'file' if count == 1 else 'files'} of {label} {'is' if count == 1 else 'are'} damaged{names}.",
        "Import the archive again, which heals it. With damaged=include you get the bytes as they are now, with"
        " damaged=omit the other files.",
    )
