"""Backups: a folder that holds all of DATA as its catalog knows it at one moment, taken while a server writes.

The catalog is copied first, then each tree that it knows, compared with its rows as it is read. What was replaced,
moved or deleted between the two is found out by that, and then the catalog is copied once more, and what differs from
it: a tree's rows never change, so what is copied already is good. That ends as soon as nothing was changed while the
last few trees were copied. A tree that is as it was and still differs from its rows is damaged in DATA, and told.

Trees that the last backup has too are hard links to its files.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, literal, select, union_all

from scandock import __version__
from scandock.catalog.server_tables import reception, trashed
from scandock.catalog.tables import intent, operation, project, session, shelf, tree, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.import_types import Progress
from scandock.model.request_errors import DataMissing
from scandock.model.tree_parts import TreeParts
from scandock.model.verdicts import KEEPS_BYTES, ImportState
from scandock.publishing.areas import check_areas
from scandock.publishing.tree_files import paths_of
from scandock.services.backup_folders import (
    FORMAT,
    PARTIAL,
    BackupResult,
    finish_backup,
    list_finished_backups,
    lock_target,
)
from scandock.services.catalog_copies import copy_catalog
from scandock.services.consistency_check import HAS_RECEIPT
from scandock.services.data_catalog import CATALOG_FILE, check_catalog_not_lost
from scandock.services.data_errors import BackupInData, BackupUnsettled
from scandock.store import backups
from scandock.store.opening import open_store
from scandock.store.paths import (
    INCOMING,
    RECEIPTS,
    TRASH,
    WORK,
    DataPath,
    data_path_below,
    parse_rel,
    parse_stored,
    parse_tree,
    receipt_file,
    spool_file,
    spool_folder,
    spool_object,
    spool_object_numbers,
    staged_path,
    trash_entry,
    trash_note,
    trash_tree,
    tree_of,
    tree_path,
    work_folder,
)

if TYPE_CHECKING:
    from scandock.services.settings import Settings

TREES: Final = "trees.jsonl"
"""In a backup: one line for each tree, its name and what its files are known by."""
ROUNDS: Final = 20
"""Times that the catalog is copied until nothing has changed meanwhile."""
STUCK_ROUNDS: Final = 10
"""After so many of them, what is being placed and does not move is taken for what can't be finished, and as it is."""
_SAFE_BYTES: Final = 1_000_000_000
_SAFE_TREES: Final = 500
"""After so many bytes, or trees, what was copied is made durable and noted, so that it need not be copied again."""

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree that a session or own resources shows, or that lies in the trash."""

    name: DataPath
    tree_id: int
    key: str
    """What its files are known by in other backups: trees are never changed, and no two have the same."""


@dataclass(slots=True)
class _CatalogContents:
    """What the catalog's copy knows."""

    trees: dict[DataPath, _Tree]
    placing: list[Any]
    """The intents of imports that stand between decision and end."""
    receipts: list[str]
    spools: dict[str, int]
    """Bytes of each upload whose archive is kept, by its id."""
    failed: set[str]
    """Those of them that have ended and can be retried while their archive is there."""
    works: list[str]
    nameless: list[str]
    """Sessions and own resources whose project's row is lost, so that nobody knows where they stand."""


@dataclass(slots=True)
class _Differences:
    """What a round found otherwise than the catalog's copy says: what the name shows, by the name."""

    trees: dict[DataPath, str] = field(default_factory=dict)
    placing: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    """Receipts, and archives that wait for their import, which are not in DATA."""


def back_up(data: str, settings: Settings, target: str, on_progress: ProgressCallback | None = None) -> BackupResult:
    """Make a backup of DATA in a new folder below `target`; a server may run. Nothing in DATA is changed.

    Usage `data_missing`, `backup_in_data`, `backup_running`, `catalog_other_version`; Fault, `store_missing` where a
    folder of what was placed is gone or empty, and then the next call goes on where this one ended.
    """
    data, target = os.path.abspath(data), os.path.abspath(target)
    if os.path.realpath(target).startswith(os.path.realpath(data) + os.sep) or os.path.realpath(
        target
    ) == os.path.realpath(data):
        raise BackupInData(target)
    if settings.store is not None:
        from scandock.services.bucket_backup import back_up_bucket_site

        return back_up_bucket_site(data, settings, target)
    check_catalog_not_lost(data, settings)
    if settings.database_url is None and not os.path.exists(os.path.join(data, CATALOG_FILE)):
        raise DataMissing(f"There is no Scandock data in {data}.", "Name the folder of the server's --data.")
    backups.make_private(target)
    with lock_target(target):
        try:
            return _Backup(data, settings, target, on_progress).run()
        except OSError as error:
            raise backups.copy_fault(error, target) from error


def _read_tree_keys(path: str) -> dict[DataPath, str]:
    """The trees of a backup, by their names: what their files are known by."""
    keys: dict[DataPath, str] = {}
    with contextlib.suppress(FileNotFoundError), open(os.path.join(path, TREES), encoding="utf-8") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):  # the last one, which a power cut has cut
                name, key = json.loads(line)
                keys[parse_stored(name)] = key
    return keys


class _Backup:
    def __init__(self, data: str, settings: Settings, target: str, on_progress: ProgressCallback | None) -> None:
        self.store = open_store(data)
        self.data = data
        self.settings = settings
        self.target = target
        self.path = os.path.join(target, PARTIAL)
        self.on_progress = on_progress
        self.begun = time.monotonic()
        backups.make_private(self.path)
        self.kept = _read_tree_keys(self.path)
        earlier = list_finished_backups(target)
        self.before = earlier[-1] if earlier else ""
        self.linkable = {key: name for name, key in _read_tree_keys(self.before).items()} if earlier else {}
        self.strays: set[DataPath] = set()
        """Trees that are whole, beside files that no row knows."""
        self.unsafe: dict[DataPath, str] = {}
        self.unsafe_bytes = 0
        self.files = self.bytes = self.copied = self.copied_bytes = 0

    def run(self) -> BackupResult:
        last_differences = _Differences()
        for turn in range(ROUNDS):
            if turn:
                time.sleep(min(0.05 * turn, 1.0))
            with copy_catalog(self.data, self.settings.database_url, self.path) as connection:
                check_areas(connection, self.store)  # else this would be a backup without its files
                contents = self._wanted(connection)
                now = self._round(connection, contents)
            settled = now == last_differences and turn >= (STUCK_ROUNDS if now.placing else 2)
            if settled or not (now.placing or now.trees or now.files):
                return self._end(contents, now)
            last_differences = now
        names = ", ".join(sorted({*last_differences.trees, *last_differences.placing, *last_differences.files})[:5])
        raise BackupUnsettled(ROUNDS, names)

    def _wanted(self, connection: Connection) -> _CatalogContents:
        nameless = [
            f"{description} {uuid}"
            for description, table in (("session", session), ("own files", shelf))
            for uuid in connection.execute(
                select(table.c.uuid).where(table.c.project_id.not_in(select(project.c.id)))
            ).scalars()
        ]
        sessions = (
            select(session.c.place, project.c.name, session.c.timestamp, session.c.label, session.c.tree_id)
            .join(project, project.c.id == session.c.project_id)
        )  # fmt: skip
        shelves = (
            select(literal("resources"), project.c.name, literal(""), shelf.c.key, shelf.c.tree_id)
            .join(project, project.c.id == shelf.c.project_id)
        )  # fmt: skip
        rows: list[tuple[DataPath, int]] = [
            (tree_path(TreeParts(*row[:4])), row[4]) for row in connection.execute(union_all(sessions, shelves))
        ]
        rows += [
            (trash_entry(row[0]), row[1]) for row in connection.execute(select(trashed.c.trash_id, trashed.c.tree_id))
        ]
        keys = {
            row.id: f"{row.id}-{row.created}-{row.files}-{row.bytes}-{row.uuid}"
            for row in connection.execute(
                select(
                    tree.c.id,
                    tree.c.created,
                    tree.c.files,
                    tree.c.bytes,
                    func.coalesce(upload.c.uuid, "").label("uuid"),
                ).outerjoin(upload, upload.c.id == tree.c.upload_id)
            )
        }
        placing = connection.execute(
            select(
                intent.c.name, intent.c.staged, intent.c.tree_id, intent.c.base_tree_id,
                func.coalesce(upload.c.uuid, operation.c.uuid).label("uuid"),
            )
            .outerjoin(upload, upload.c.id == intent.c.upload_id)
            .outerjoin(operation, operation.c.id == intent.c.operation_id)
        ).all()  # fmt: skip
        spools = connection.execute(
            select(upload.c.uuid, upload.c.state, reception.c.received)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.state.in_(KEEPS_BYTES))
        ).all()
        return _CatalogContents(
            trees={name: _Tree(name, number, keys.get(number, f"{number}")) for name, number in rows},
            placing=list(placing),
            receipts=list(connection.execute(select(upload.c.uuid).where(HAS_RECEIPT)).scalars()),
            spools={row.uuid: row.received for row in spools},
            failed={row.uuid for row in spools if row.state == ImportState.FAILED},
            works=sorted({row.uuid for row in placing}),
            nameless=nameless,
        )

    # -- one round -----------------------------------------------------------------------------------------------

    def _round(self, connection: Connection, contents: _CatalogContents) -> _Differences:
        """Make the backup what the catalog's copy knows; gives what was not so in DATA."""
        missed = _Differences()
        placing = {row.name for row in contents.placing}
        for name in [name for name in self.kept if name not in contents.trees or name in placing]:
            self._drop(name)
        for stored_tree in contents.trees.values():
            if (
                stored_tree.name not in placing
                and self.kept.get(stored_tree.name) != stored_tree.key
                and not self._keep(connection, stored_tree)
            ):
                missed.trees[stored_tree.name] = stored_tree.key
        self._secure()
        missed.files = self._copy_others(contents)
        for row in contents.placing:
            if not self._placing(connection, row):
                missed.placing[row.name] = f"{row.uuid}/{row.tree_id}"
        return missed

    def _keep(self, connection: Connection, stored_tree: _Tree) -> bool:
        """Link or copy a tree; False where what stands in DATA is not what its rows say.

        So it is where the catalog has lost rows of it: all that stands is kept, and nothing is known of it.
        """
        rows = _read_paths(connection, stored_tree.tree_id)
        target = self._place(stored_tree)
        self._drop(stored_tree.name)
        earlier = self.linkable.get(stored_tree.key) if rows is not None else None
        if rows is not None and earlier is not None:
            source = os.path.join(self.before, tree_of(earlier))
            sizes = {rel: size for rel, (size, _) in rows.items()}
            if backups.link_folder(source, target, sizes, self._tell):
                self._note(stored_tree, 0)
                return True
        content = self._copy(stored_tree.name, target)
        if rows is None or content != rows:
            if rows is not None and content is not None and rows.items() <= content.items():
                self.strays.add(stored_tree.name)
            return False
        size = sum(size for size, _ in rows.values())
        self.copied += 1
        self.copied_bytes += size
        self._note(stored_tree, size)
        return True

    def _copy(self, name: DataPath, target: str) -> backups.FolderContent | None:
        """Copy what stands at a tree path, or in an entry of the trash; None where nothing does."""
        backups.remove(target)
        tree = tree_of(name)
        try:
            in_trash = tree != name
            source = backups.OpenFolder(f"{self.data}/{tree}") if in_trash else self.store.snapshot(parse_tree(name))
        except FileNotFoundError:
            return None
        with source as folder:
            return backups.copy_folder(folder, target, self._tell)

    def _placing(self, connection: Connection, row: Any) -> bool:  # noqa: ANN401  of `_wanted`
        """Copy what stands where an import is placing; False where neither what was there nor what comes is whole."""
        content = self._copy(parse_tree(row.name), os.path.join(self.path, row.name))
        if row.staged is None:
            return False  # what moves, comes back or goes is elsewhere soon; else its rows tell what it is
        new = _read_paths(connection, row.tree_id)
        if new is None or content == new:
            return new is not None
        if content is not None and (row.base_tree_id is None or content != _read_paths(connection, row.base_tree_id)):
            return False
        for token in self._list(work_folder(row.uuid)):
            staged = f"{self.path}/{staged_path(data_path_below(work_folder(row.uuid), token), parse_rel(row.staged))}"
            with contextlib.suppress(FileNotFoundError), backups.OpenFolder(staged) as folder:
                return {entry.rel: entry.size for entry in folder.walk() if entry.kind == "file"} == {
                    rel: size for rel, (size, _) in new.items()
                }
        return False

    def _copy_others(self, contents: _CatalogContents) -> set[str]:
        """Receipts, uploads that have not ended, what they have staged, and what else lies in the trash.

        Gives those that should be in DATA and are not.
        """
        missing: set[str] = set()
        for area in (RECEIPTS, INCOMING, WORK, TRASH):
            backups.make_private(os.path.join(self.path, area))
        for uuid in contents.receipts:
            if not self._file(name := receipt_file(uuid), share=True):
                missing.add(name)
        for uuid, received in contents.spools.items():
            backups.make_private(os.path.join(self.path, spool_folder(uuid)))
            is_beside = self._copy_objects(uuid)
            is_copied = self._file(name := spool_file(uuid), max_bytes=received)
            if received and uuid not in contents.failed and not (is_copied or is_beside):
                missing.add(name)
        for uuid in set(self._list(INCOMING)) - contents.spools.keys():
            backups.remove(f"{self.path}/{data_path_below(INCOMING, uuid)}")
        for uuid in self._list(WORK):
            backups.remove(f"{self.path}/{data_path_below(WORK, uuid)}")
        for uuid in contents.works:
            work = work_folder(uuid)
            with contextlib.suppress(FileNotFoundError), backups.OpenFolder(f"{self.data}/{work}") as folder:
                backups.copy_folder(folder, f"{self.path}/{work}", self._tell)
        for trash in self._ids():
            entry, tree = trash_entry(trash), trash_tree(trash)
            target = f"{self.path}/{tree}"
            if entry not in contents.trees and not os.path.exists(target):
                earlier = f"{self.before}/{tree}"
                if not (self.before and backups.link_folder(earlier, target, None, self._tell)):
                    self._copy(entry, target)
            self._file(trash_note(trash))
        return missing

    def _ids(self) -> list[str]:
        return [entry.id for entry in self.store.trash()]

    def _copy_objects(self, uuid: str) -> bool:
        """Copy what stands beside a study that is being received, until it is finished; whether there is any."""
        folder = spool_folder(uuid)
        with contextlib.suppress(FileNotFoundError):
            numbers = spool_object_numbers(os.listdir(os.path.join(self.data, folder)))
            for number in numbers:
                self._file(spool_object(uuid, number))
            for number in set(spool_object_numbers(self._list(folder))).difference(numbers):
                backups.remove(os.path.join(self.path, spool_object(uuid, number)))
            return bool(numbers)
        return False

    def _list(self, folder: DataPath) -> list[str]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(os.listdir(os.path.join(self.path, folder)))
        return []

    def _file(self, rel: DataPath, max_bytes: int | None = None, *, share: bool = False) -> bool:
        """Copy one file of DATA, unless it is there already as it is in DATA; False where it is not in DATA."""
        source, target = os.path.join(self.data, rel), os.path.join(self.path, rel)
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as stream:
                status = os.fstat(fd)
                size = status.st_size if max_bytes is None else min(max_bytes, status.st_size)
                if _is_copy(target, size, status.st_mtime_ns if max_bytes is None else None):
                    return True  # of an upload that grows the bytes that have come stay as they are
                backups.remove(target)
                if share and self.before and _is_copy(f"{self.before}/{rel}", size, status.st_mtime_ns):
                    with contextlib.suppress(OSError):
                        os.link(f"{self.before}/{rel}", target)
                        return True
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self.copied_bytes += backups.copy_file(stream, target, max_bytes)[0]
                return max_bytes is None or size == max_bytes
        return False

    # -- what is kept --------------------------------------------------------------------------------------------

    def _place(self, stored_tree: _Tree) -> str:
        return os.path.join(self.path, tree_of(stored_tree.name))

    def _drop(self, name: DataPath) -> None:
        self.kept.pop(name, None)
        self.unsafe.pop(name, None)
        backups.remove(os.path.join(self.path, tree_of(name)))

    def _note(self, stored_tree: _Tree, size: int) -> None:
        self.kept[stored_tree.name] = self.unsafe[stored_tree.name] = stored_tree.key
        self.unsafe_bytes += size
        if self.unsafe_bytes > _SAFE_BYTES or len(self.unsafe) > _SAFE_TREES:
            self._secure()

    def _secure(self) -> None:
        """Make durable what was copied, and then the notes that say so."""
        backups.sync_all(self.path)
        temporary = os.path.join(self.path, TREES + ".new")
        with open(temporary, "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(pair) + "\n" for pair in sorted(self.kept.items()))
            lines.flush()
            os.fsync(lines.fileno())
        os.replace(temporary, os.path.join(self.path, TREES))
        self.unsafe.clear()
        self.unsafe_bytes = 0

    def _tell(self, size: int) -> None:
        self.files += 1
        self.bytes += size
        if self.on_progress is not None:
            seconds = time.monotonic() - self.begun
            now = Progress(stage="reading", entries_done=self.files, bytes_done=self.bytes, seconds=seconds)
            self.on_progress(now)

    def _end(self, contents: _CatalogContents, missed: _Differences) -> BackupResult:
        self._secure()
        damaged = sorted((missed.trees.keys() - self.strays) | missed.files | set(contents.nameless))
        facts = {
            "format": FORMAT,
            "version": __version__,
            "data": self.data,
            "catalog": "sqlite" if self.settings.database_url is None else "postgresql",
            "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "trees": len(contents.trees),
            "damaged": damaged,
        }
        path = finish_backup(self.path, self.target, self.before, facts)
        return BackupResult(
            path=path, trees=len(contents.trees), copied=self.copied, bytes=self.copied_bytes, damaged=damaged
        )


def _read_paths(connection: Connection, tree_id: int) -> backups.FolderContent | None:
    """The files of a tree as the catalog knows them; None where it has lost rows of it."""
    try:
        return paths_of(connection, tree_id)
    except Fault:
        return None


def _is_copy(path: str, size: int, modified: int | None) -> bool:
    try:
        status = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return status.st_size == size and modified in (None, status.st_mtime_ns)
