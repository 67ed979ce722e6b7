"""Changes by hand to the files of an archived session, or a shelf: a new tree of what stays and comes, shown as ever.

By the steps of every change to what is shown (docs/design/0003-placing.md): a kill at any point leaves the session as
it was, or as it was to be. What stays is hard-linked; a tree from which something was taken goes to the trash whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select

from scandock.access.principal import deny
from scandock.catalog.records import SessionRecord
from scandock.catalog.shelves import Holder, Shelf, find_holder
from scandock.catalog.tables import file, tree
from scandock.catalog.trees import BATCH, copy_batch, copy_files, describe_files, drop_files, sum_up, write_structure
from scandock.model.errors import ScandockError
from scandock.model.points import reach
from scandock.placing.intents import Placement, SessionRow, ShelfRow, new_tree
from scandock.placing.locks import locks_of
from scandock.placing.moves import Operation, operation, patiently
from scandock.rules.permissions import Action, Answer
from scandock.services import audit, shelves
from scandock.services.moving import Desk, standing_inode
from scandock.services.next_tree import NextTree
from scandock.store.paths import CHANGED_TREE, below, tree_path

if TYPE_CHECKING:
    from scandock.store.port import Stage

_IMAGES: Final = frozenset({"DICOM", "secondary", "ECAT"})


@dataclass(slots=True)
class Change:
    """What one request wants of a session, or a shelf."""

    desk: Desk
    action: Action
    """As it is asked of a session; what that is of a shelf, `services.shelves` knows."""
    apply: Callable[[NextTree], Mapping[str, audit.Value]]
    """Changes the tree to be, whole or not at all; gives what the trail notes. Raises what refuses it."""
    stage: Stage | None = None
    """Where its files wait."""
    holds: ExitStack = field(default_factory=ExitStack)
    """Closed when the change is over."""


def make_changes(uuid: str, changes: Sequence[Change]) -> list[BaseException | None]:
    """Make changes to a session, or a shelf, in one new tree; gives for each what refused it, or None.

    Raises what keeps all of them from being made: Fault, Usage `session_busy`, Denied where it is gone.
    """
    return patiently(partial(_make, uuid, changes))


def _make(uuid: str, changes: Sequence[Change]) -> list[BaseException | None]:
    desk = changes[0].desk
    with desk.catalog.read() as connection:
        project = _source(connection, uuid).project
    with operation(desk.catalog, desk.store, "edit") as running:
        with running.reserved({project}, lambda c: locks_of(_source(c, uuid))) as connection:
            source = _source(connection, uuid)
            origin = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
            to_be = NextTree.read(connection, source)
            told = [_apply(connection, change, to_be) for change in changes]
        if to_be.changed:
            made = [change for change, why in zip(changes, told, strict=True) if not isinstance(why, ScandockError)]
            placement = _placement(desk, running, to_be, [one.stage for one in made if one.stage is not None])
            noted = [(one, why) for one, why in zip(changes, told, strict=True) if not isinstance(why, ScandockError)]

            def note(connection: Connection) -> None:
                for change, details in noted:
                    shelves.note(change.desk, connection, "edit", source, details)

            running.show([placement], [], note, origin=origin)
    return [one if isinstance(one, ScandockError) else None for one in told]


def _source(connection: Connection, uuid: str) -> Holder:
    found = find_holder(connection, uuid)
    if found is None or (isinstance(found, SessionRecord) and found.place != "archive"):
        deny(Answer.HIDDEN)
    return found


def _apply(connection: Connection, change: Change, to_be: NextTree) -> Mapping[str, audit.Value] | ScandockError:
    try:
        shelves.holder_for(connection, change.desk.principal, to_be.source.uuid, change.action, place="archive")
        return change.apply(to_be)
    except ScandockError as error:
        return error


def _placement(desk: Desk, running: Operation, to_be: NextTree, stages: Sequence[Stage]) -> Placement:
    source = to_be.source
    _arrange(running, to_be, stages)
    tree_id = _write_rows(desk, running, to_be)
    reach("rows")
    running.check()
    inode = running.stage.inode(CHANGED_TREE)
    assert inode is not None
    return Placement(
        n=0,
        name=tree_path(source.parts),
        staged=CHANGED_TREE,
        inode=inode,
        tree_id=tree_id,
        base_tree_id=source.tree_id,
        base_inode=standing_inode(desk, source),
        keep_base=bool(to_be.dropped),
        session=_row(to_be),
    )


def _row(to_be: NextTree) -> SessionRow | ShelfRow:
    """What the catalog will say of it, once its rows are summed up."""
    source, files = to_be.source, sum(one.files for one in to_be.resources)
    size = sum(one.bytes for one in to_be.resources)
    if isinstance(source, Shelf):
        return ShelfRow(
            uuid=source.uuid,
            new=False,
            project_id=source.project_id,
            subject_id=source.subject_id,
            key=source.key,
            files=files,
            bytes=size,
        )
    return SessionRow.of(source, scans=len(to_be.scans), files=files, bytes=size)


def _arrange(running: Operation, to_be: NextTree, stages: Sequence[Stage]) -> None:
    """Put the tree together in the stage, and all of it on disk."""
    stage = running.stage
    stage.make(CHANGED_TREE)
    if to_be.files:
        stage.adopt(tree_path(to_be.source.parts), to_be.kept(CHANGED_TREE))
    folders = {one.n: to_be.folder(one) for one in to_be.resources}
    for (number, name), (from_stage, one) in to_be.added.items():
        stage.bring(from_stage, one.rel, below(CHANGED_TREE, below(folders[number], name)))
    reach("arranged")
    for came in dict.fromkeys(stages):
        came.seal()  # each tells of the errors since it was begun: what it wrote lies in the tree now
    stage.seal()
    reach("sealed")


def _write_rows(desk: Desk, running: Operation, to_be: NextTree) -> int:
    """The rows of the tree, under a number that nothing points at yet."""
    old = to_be.source.tree_id
    with desk.catalog.write() as connection:
        tree_id = new_tree(desk.catalog, connection, running.lease)
        rows = _new_rows(to_be, tree_id)
        if to_be.last < BATCH and len(rows) <= BATCH:  # nearly every session: one transaction, few files or one
            copy_batch(connection, old, tree_id, 0)
            drop_files(connection, tree_id, to_be.dropped)
            _finish_rows(connection, to_be, tree_id, rows)
            return tree_id
    copy_files(desk.catalog, old, tree_id, to_be.last, to_be.dropped)
    while len(rows) > BATCH:
        with desk.catalog.write() as connection:
            connection.execute(insert(file), rows[:BATCH])
        rows = rows[BATCH:]
    with desk.catalog.write() as connection:
        _finish_rows(connection, to_be, tree_id, rows)
    return tree_id


def _finish_rows(connection: Connection, to_be: NextTree, tree_id: int, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(file), rows)
    describe_files(connection, tree_id, to_be.described)
    _sum(to_be, sum_up(connection, tree_id))
    write_structure(connection, tree_id, to_be.scans, to_be.resources)


def _new_rows(to_be: NextTree, tree_id: int) -> list[dict[str, Any]]:
    return [
        {
            "tree_id": tree_id, "n": n, "resource_n": number, "name": name, "bytes": one.size, "sha256": one.sha256,
            "md5": one.md5, "sop_uid": one.sop_uid, "frames": one.frames, "dataset_at": one.dataset_at,
            "content": one.words[0], "format": one.words[1], "tags": one.words[2],
        }
        for n, ((number, name), (_, one)) in enumerate(to_be.added.items(), to_be.last + 1)
    ]  # fmt: skip


def _sum(to_be: NextTree, sums: Mapping[int, tuple[int, int, int]]) -> None:
    by_n = {one.n: one for one in to_be.scans}
    for scan in to_be.scans:
        scan.files = scan.bytes = scan.frames = 0
    for resource in to_be.resources:
        resource.files, resource.bytes, frames = sums.get(resource.n, (0, 0, 0))
        if resource.scan_n is not None:
            scan = by_n[resource.scan_n]
            scan.files += resource.files
            scan.bytes += resource.bytes
            scan.frames += frames if resource.label in _IMAGES else 0
