"""A site's files moved from its data folder to a bucket: copied while it serves, then switched while it does not.

Each session is copied as a tree of the new store, under its name, and every file is compared with the sha256 that the
catalog has of it. A run that was killed is gone on with: a file in DATA lists which trees are there. Nothing of the
folder is changed or removed; whoever has seen that all is well may do so.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import field
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, literal, select

from scandock.catalog.tables import intent, operation, project, session, shelf, upload
from scandock.model.dataclass import dataclass
from scandock.model.import_types import Progress
from scandock.model.tree_parts import TreeParts
from scandock.model.verdicts import ImportState
from scandock.publishing.tree_files import paths_of
from scandock.queue.hosts import are_others_at_work
from scandock.queue.tokens import new_token
from scandock.services.consistency_check import HAS_RECEIPT
from scandock.services.data_catalog import host_folder, open_data
from scandock.services.data_errors import DataServed, MigrationUnsettled, StoreUnfit
from scandock.services.file_verification import mark_for_verification
from scandock.services.store_opening import open_data_store
from scandock.store import backups
from scandock.store.moves import PublishReplace, TrashStaged, TrashTree
from scandock.store.paths import CHANGED_TREE, MIGRATED, RECEIPT, RelPath, TreePath, parse_tree, path_below, trash_tree
from scandock.store.paths import tree_path as make_tree_path
from scandock.store.server_lock import unserved

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Snapshot, Stage, Store

ProgressCallback = Callable[[Progress], None]
_DAMAGED: Final = 0
"""In place of a tree's number, of one that was copied with files that are damaged or missing: each run copies it again,
and names them again.
"""
MIGRATION: Final = "store-migration"
"""What the work of it is called where imports have the id of their upload."""
_CHUNK: Final = 1024 * 1024


@dataclass(slots=True)
class MigrationResult:
    """What one run has done."""

    sessions: int = 0
    """Sessions and own resources that were copied now; those of earlier runs are not counted again."""
    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)
    """Files that were damaged or missing in the folder, and are so in the bucket."""
    is_switched: bool = False


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree that the catalog shows."""

    uuid: str
    name: TreePath
    tree_id: int


def migrate_store(
    data: str, settings: Settings, bucket: str, *, switch: bool, on_progress: ProgressCallback | None = None
) -> MigrationResult:
    """Copy what the bucket lacks; with `switch`, all of it, and have the catalog name the bucket from then on.

    Usage `store_unfit`; Fault `store_other` where the bucket is another catalog's, `data_served` where it is to be
    switched and a server is at work, `migration_unsettled` where imports or operations are under way.
    """
    if settings.database_url is None:
        raise StoreUnfit(bucket)
    data = os.path.abspath(data)
    target = open_data_store(data, settings.model_copy(update={"store": bucket}))
    with ExitStack() as opened:
        if switch and not opened.enter_context(unserved(host_folder(data, settings))):
            raise DataServed(f"A server is at work on {data}.", "Stop it first.")
        opened.enter_context(closing(target))
        catalog, store = opened.enter_context(open_data(data, settings))
        opened.enter_context(target.hold(MIGRATION, force=True))
        target.check_areas(lambda *_: True)
        migration = _Migration(data, catalog, store, target, on_progress)
        try:
            migration.copy_sessions()
            if switch:
                migration.switch()
        finally:
            migration.close()
    return migration.result


class _Migration:
    def __init__(
        self, data: str, catalog: Catalog, store: Store, target: Store, on_progress: ProgressCallback | None
    ) -> None:
        self.result = MigrationResult()
        self._data = data
        self._catalog = catalog
        self._store = store
        self._target = target
        self._on_progress = on_progress
        self._begun = time.monotonic()
        self._list = os.path.join(data, MIGRATED)
        self._copied = self._read_list()
        """The number of the tree that was copied, by its name; of one that is not whole `_DAMAGED`."""
        self._stage = self._take_stage()

    def _read_list(self) -> dict[str, int]:
        copied: dict[str, int] = {}
        try:
            with open(self._list, encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):  # else it was killed as it wrote it
                        name, tree_id = json.loads(line)
                        copied[name] = tree_id
        except FileNotFoundError:
            pass
        return copied

    def _take_stage(self) -> Stage:
        """A stage of its own; what an earlier run has left of its is given up."""
        before = self._target.tokens(MIGRATION)
        token = new_token()
        stage = self._target.take(MIGRATION, before[0] if before else token, token)
        stage.clear()
        return stage

    def close(self) -> None:
        self._target.finish(self._stage)

    # sessions and own resources

    def copy_sessions(self) -> None:
        for tree in self._trees():
            if self._copied.get(tree.name) != tree.tree_id:
                self._copy_session(tree)

    def _trees(self) -> list[_Tree]:
        sessions = select(
            session.c.uuid, session.c.place, project.c.name, session.c.timestamp, session.c.label, session.c.tree_id
        )
        shelves = select(shelf.c.uuid, literal("resources"), project.c.name, literal(""), shelf.c.key, shelf.c.tree_id)
        with self._catalog.read() as connection:
            return [
                _Tree(row[0], make_tree_path(TreeParts(*row[1:5])), row[5])
                for table, query in ((session, sessions), (shelf, shelves))
                for row in connection.execute(query.join(project, project.c.id == table.c.project_id))
            ]

    def _copy_session(self, tree: _Tree) -> None:
        with self._catalog.read() as connection:
            expected = paths_of(connection, tree.tree_id)
        try:
            with self._store.snapshot(tree.name) as snapshot:
                problems = self._copy_files(snapshot, tree, expected)
        except FileNotFoundError:
            problems = [f"{tree.name}: its folder is gone"]
        if problems and self._has_changed(tree):
            self._stage.remove(CHANGED_TREE)
            return  # it is another tree by now, which the next run copies
        self._publish(tree.name)
        self.result.problems += problems
        self.result.sessions += 1
        self._copied[tree.name] = _DAMAGED if problems else tree.tree_id
        with open(self._list, "a", encoding="utf-8") as lines:
            lines.write(json.dumps([tree.name, self._copied[tree.name]]) + "\n")

    def _copy_files(self, snapshot: Snapshot, tree: _Tree, expected: dict[RelPath, tuple[int, bytes]]) -> list[str]:
        problems = []
        left = dict(expected)
        for entry in snapshot.walk():
            known = left.pop(entry.rel, None) if entry.kind == "file" else None
            if known is None:
                if entry.kind != "folder":
                    problems.append(f"{tree.name}/{entry.rel}: the catalog does not know it; it was not copied")
                continue
            try:
                if self._copy_file(snapshot, entry.rel) != known[1]:
                    problems.append(f"{tree.name}/{entry.rel}: changed since it was stored")
            except OSError as error:
                self._stage.remove(path_below(CHANGED_TREE, entry.rel))
                problems.append(f"{tree.name}/{entry.rel}: can't be read ({error.strerror})")
        return problems + [f"{tree.name}/{rel}: missing" for rel in left]

    def _copy_file(self, source: Snapshot | backups.OpenFolder, rel: RelPath) -> bytes:
        """Its sha256 as it was read."""
        digest = hashlib.sha256()
        with source.open(rel) as reader, self._stage.put(path_below(CHANGED_TREE, rel)) as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                writer.write(chunk)
        self.result.files += 1
        self.result.bytes += writer.size
        if self._on_progress is not None:
            seconds = time.monotonic() - self._begun
            done, size = self.result.files, self.result.bytes
            self._on_progress(Progress(stage="reading", entries_done=done, bytes_done=size, seconds=seconds))
        return digest.digest()

    def _has_changed(self, tree: _Tree) -> bool:
        """Whether a tree is not shown any more under its name, or another one is about to be."""
        with self._catalog.read() as connection:
            placing = select(exists().where(intent.c.name == tree.name))
            is_placing = bool(connection.execute(placing).scalar())
        return is_placing or tree not in self._trees()

    def _publish(self, name: TreePath) -> None:
        mark = self._stage.compose(CHANGED_TREE, [])
        self._stage.seal()
        self._target.place([PublishReplace(self._stage, CHANGED_TREE, name, mark)])

    # the switch

    def switch(self) -> None:
        with self._catalog.read() as connection:
            if are_others_at_work(connection, self._catalog.host):
                raise DataServed("A server of another host is at work on this database.", "Stop it first.")
            running = exists().where(upload.c.state == ImportState.RUNNING)
            busy = select(running | exists(operation.c.id) | exists(intent.c.id))
            if connection.execute(busy).scalar():
                raise MigrationUnsettled
        self._drop_others()
        for entry in self._store.trash():
            self._copy_trash(entry.id, entry.what)
        for uuid in self._receipts():
            self._copy_receipt(uuid)
        for incoming in self._store.spools():
            with closing(self._target.spool(incoming)) as spool:
                spool.bring()
        self._target.make_areas(lambda *_: True)
        damaged = [tree.tree_id for tree in self._trees() if self._copied[tree.name] == _DAMAGED]
        with self._catalog.write() as connection:
            mark_for_verification(self._catalog, connection, *damaged)  # which lists what is damaged
        self.result.is_switched = True

    def _drop_others(self) -> None:
        """What earlier runs have copied and is not shown any more."""
        for name in self._copied.keys() - {tree.name for tree in self._trees()}:
            path, trash = parse_tree(name), self._target.new_trash_id()
            mark = self._target.current(path)
            if mark is not None:
                self._target.place([TrashTree(path, mark, trash, {})])
                self._target.discard_trash(trash)

    def _copy_trash(self, trash: str, what: dict[str, object]) -> None:
        if self._target.trashed(trash) is not None:
            return
        with backups.OpenFolder(os.path.join(self._data, trash_tree(trash))) as folder:
            for entry in folder.walk():
                if entry.kind == "file":
                    self._copy_file(folder, entry.rel)
        self._stage.compose(CHANGED_TREE, [])
        self._stage.seal()
        note = {key: value for key, value in what.items() if key != "was"}
        self._target.place([TrashStaged(self._stage, CHANGED_TREE, trash, note)])
        self._stage.remove(CHANGED_TREE)

    def _receipts(self) -> Iterator[str]:
        with self._catalog.read() as connection:
            yield from connection.execute(select(upload.c.uuid).where(HAS_RECEIPT)).scalars().all()

    def _copy_receipt(self, uuid: str) -> None:
        try:
            with self._store.open_receipt(uuid) as reader:
                content = reader.read()
        except FileNotFoundError:
            return
        token = new_token()
        stage = self._target.take(uuid, token, token)  # which ends what a killed run has begun
        try:
            stage.put_whole(RECEIPT, content)
            self._target.keep_receipt(stage, RECEIPT)
        finally:
            self._target.finish(stage)
