"""Sessions that cease to be shown: deleted into the trash, or taken up by another session. Intents like any other.

So do own resources, of which nobody can bring anything back but from the trash folder.
The catalog lets go of a session first, then its folder goes to the trash, under an id that was journalled with the
intent: a kill at any point is rolled forward by the next command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.own_resources import current_tree_id
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.records import DeletedSession
from scandock.catalog.server_tables import trashed
from scandock.catalog.tables import IntentKind, intent, session, shelf, tree
from scandock.model.dataclass import dataclass
from scandock.publishing.errors import BaseChanged
from scandock.queue.leases import Lease
from scandock.store.moves import TrashTree
from scandock.store.paths import TreePath, parse_tree
from scandock.store.port import Mark, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A session that goes, or own resources."""

    n: int
    uuid: str
    name: TreePath
    mark: Mark
    tree_id: int
    project_id: int
    trash: str
    """The id that its folder gets in the trash, chosen before."""
    keep: bool
    """Whether its rows are kept with the folder, so that it can come back; else another session has all of it."""
    row: DeletedSession | None = None
    """What the catalog said of the session; None of own resources, which nobody can bring back."""
    account_id: int | None = None
    shelf: bool = False
    stays: bool = False
    """The session stays, by another tree that is placed with this: only its folder and the rows of its tree go."""
    discard: bool = False
    """Its folder is not kept in the trash, as nobody may know of it."""

    def to_json(self) -> str:
        """All of it, as an intent records it."""
        values = asdict(self)
        del values["mark"]
        return json.dumps({**values, "inode": self.mark.number})


def new_trash_id(catalog: Catalog, store: Store, connection: Connection | None = None) -> str:
    """An id in the trash that is dated by the database's clock, by which it is emptied as well."""
    return store.new_trash_id(catalog.read_now(connection) / 1000)


def check_standing(store: Store, connection: Connection, uuid: str, tree_id: int, name: TreePath, mark: Mark) -> None:
    """Fault `base_changed` where a session, or the folder at its name, is not any more the one that was meant."""
    if current_tree_id(connection, uuid) != tree_id or not store.standing(name, mark):
        raise BaseChanged("The session was changed while this was being prepared.", "Try again.")


def record_removals(connection: Connection, lease: Lease, removals: Sequence[Removal]) -> None:
    """Write removals among the intents; the caller's transaction has proved its right."""
    for removal in removals:
        connection.execute(
            insert(intent).values(
                **lease.mark(),
                n=removal.n,
                state="intent",
                kind=IntentKind.REMOVE,
                name=removal.name,
                inode=removal.mark.number,
                base_inode=None,
                base_tree_id=None if removal.keep else removal.tree_id,
                tree_id=removal.tree_id,
                keep_base=removal.keep,
                session=removal.to_json(),
            )
        )


def removals_of(connection: Connection, lease: Lease, state: str) -> list[Removal]:
    """The removals among an operation's intents, in order."""
    rows = connection.execute(
        select(intent.c.session)
        .where(lease.holds(intent), intent.c.state == state, intent.c.kind == IntentKind.REMOVE)
        .order_by(intent.c.n)
    ).scalars()
    return [_removal(json.loads(row)) for row in rows]


def _removal(values: Mapping[str, Any]) -> Removal:
    row = DeletedSession.from_json(values["row"]) if values["row"] else None
    fields = {key: value for key, value in values.items() if key != "inode"}
    return Removal(**{**fields, "name": parse_tree(values["name"]), "mark": Mark(values["inode"]), "row": row})


def publish_removal(catalog: Catalog, connection: Connection, removal: Removal) -> None:
    """Let the catalog show a session no more; one that can come back stands in `trashed`, its tree kept."""
    table = shelf if removal.shelf else session
    if not removal.stays:
        connection.execute(delete(table).where(table.c.uuid == removal.uuid))
    if removal.keep and removal.row is not None:
        connection.execute(
            insert(trashed).values(
                uuid=removal.uuid,
                project_id=removal.project_id,
                tree_id=removal.tree_id,
                trash_id=removal.trash,
                name=removal.name,
                session=json.dumps(asdict(removal.row)),
                account_id=removal.account_id,
                deleted=catalog.now(),
            )
        )
    else:
        connection.execute(update(tree).where(tree.c.id == removal.tree_id).values(state="retired"))
    mark_project_changed(connection, removal.project_id)


def trash_removed(store: Store, removals: Sequence[Removal], note: dict[str, object]) -> None:
    """Move the folders of removed sessions to the trash; what is there already stays."""
    store.place(
        TrashTree(removal.name, removal.mark, removal.trash, {**note, "name": removal.name}) for removal in removals
    )
    for removal in removals:
        if removal.discard:
            store.discard_trash(removal.trash, erase=True)
