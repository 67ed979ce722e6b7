"""Folders of projects that an older version set aside, `{id}_deleted_{n}`, follow them to `{id}~{n}`.

Migration 0008 renames the rows. The trees of what was brought back since stand under the old name until the next
command looks, and it can be repeated after a kill: a tree is moved where it stands at the old name alone.
"""

from __future__ import annotations

import contextlib

from sqlalchemy import literal, select

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import SET_ASIDE, find_project, set_aside
from scandock.catalog.tables import project, session, shelf
from scandock.model.tree_parts import TreeParts
from scandock.store.paths import tree_path
from scandock.store.port import Store

BEFORE = "_deleted_"
"""What stood for `~`."""


def follow_renamed(catalog: Catalog, store: Store) -> None:
    """Move what stands under the old name of a project that was set aside, unless a project has that name now."""
    sessions = select(project.c.name, session.c.place, session.c.timestamp, session.c.label).join(
        session, session.c.project_id == project.c.id
    )
    shelves = select(project.c.name, literal("resources"), literal(""), shelf.c.key).join(
        shelf, shelf.c.project_id == project.c.id
    )
    with catalog.read() as connection:
        aside = connection.execute(select(project.c.id).where(set_aside())).scalars().all()
        rows = [
            row
            for number in aside  # one by one, so that no database looks through the sessions of all others
            for query in (sessions, shelves)
            for row in connection.execute(query.where(project.c.id == number)).all()
        ]
        before = {row[0]: BEFORE.join(row[0].rsplit(SET_ASIDE, 1)) for row in rows}
        taken = {old for old in before.values() if find_project(connection, old) is not None}
    for name, place, timestamp, label in rows:
        old, new = (tree_path(TreeParts(place, one, timestamp, label)) for one in (before[name], name))
        if before[name] in taken or len(before[name]) > 64 or store.current(new) is not None:
            continue
        inode = store.current(old)
        if inode is not None:
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # another command was quicker
                store.rename(old, new, inode=inode)
