"""Whether catalog and store agree: every file that the catalog knows is there and unchanged, and nothing else is.

Imports may run meanwhile. What a live one is just placing is no finding: whatever differs is looked at again beside
the catalog as it is then, and what an intent names is left alone.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, literal, select, true

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import file, intent, project, session, shelf, tree, upload
from scandock.catalog.trees import ResourceRow, ScanRow, resources_of, scans_of
from scandock.model.errors import Fault
from scandock.model.import_types import Progress
from scandock.model.request_errors import DataMissing
from scandock.model.tree_parts import TreeParts
from scandock.model.verdicts import WITH_RECEIPT
from scandock.publishing.recover import is_left_over
from scandock.publishing.tree_files import damaged_paths_of, paths_of
from scandock.queue.leases import is_unfinished
from scandock.services.opening import CATALOG, opened
from scandock.services.project_deleting import finish_deletions
from scandock.services.stuck_imports import list_imports
from scandock.store.local import LocalStore
from scandock.store.paths import AREAS, RECEIPTS, RelPath, TreePath, is_as_deep_as_trees, tree_path, work_folder
from scandock.store.port import Snapshot
from scandock.store.root import FOLDERS

if TYPE_CHECKING:
    from scandock.services.settings import Settings

_CHUNK = 1024 * 1024
HAS_RECEIPT = upload.c.state.in_(WITH_RECEIPT) & ~upload.c.deleted
"""Imports whose receipt is in the store; of one that was deleted it went, though its row stays for its sessions."""


def reason_of(error: OSError | Fault) -> str:
    """What the system says, as a sentence."""
    said = error.message if isinstance(error, Fault) else error.strerror or type(error).__name__
    return f"{said.rstrip('.')}."


Told = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Kinds: missing, changed, unreadable, listed, stray, sums, left_over, receipt_missing,
    rows_missing, unfinished.
    """

    kind: str
    name: str
    message: str
    session: str = field(default="", compare=False)
    """What is to be verified again, so that the list of damage tells of it as it is; empty: nothing."""


@dataclass(frozen=True, slots=True)
class _Session:
    """A session, or a shelf."""

    uuid: str
    name: TreePath
    tree_id: int
    scans: int
    files: int
    bytes: int


def check(data: str, settings: Settings, on_progress: Told | None = None) -> list[Finding]:
    """Compare both, reading every stored byte. Dead imports are dealt with first; live ones are left alone."""
    there = set(os.listdir(data))
    if not there:
        return []  # as a first import leaves it that was killed at once
    if not (there & {CATALOG, "work"} or there <= set(FOLDERS)):  # the latter while a first import makes them
        raise DataMissing(
            f"{data} holds no Scandock data: there is no {CATALOG} in it.",
            "Name the folder that --data named at the import.",
        )
    with opened(data, settings) as (catalog, store):
        catalog.examine()  # first: what a damaged catalog says of files is nothing to go by
        return list(_Check(catalog, store, settings, on_progress).run())


class _Check:
    def __init__(self, catalog: Catalog, store: LocalStore, settings: Settings, on_progress: Told | None) -> None:
        self.catalog = catalog
        self.store = store
        self.settings = settings
        self.on_progress = on_progress
        self.begun = time.monotonic()
        self.files = 0
        self.bytes = 0
        self.total_files = 0
        self.total_bytes = 0

    def run(self) -> Iterator[Finding]:
        with self.catalog.read() as connection:
            sessions = self._sessions(connection)
            self.total_files = sum(one.files for one in sessions)
            self.total_bytes = sum(one.bytes for one in sessions)
        yield from self._lost_rows()
        for one in sessions:
            yield from self._settled(one)
        yield from self._strays({one.name for one in sessions})
        yield from self._left_over()
        for row in list_imports(self.catalog, self.store, stuck=True):
            remedy = f"If that can't be mended: scandock admin import release {row.uuid}"
            yield Finding("unfinished", f"import {row.uuid}", f"An import can't be finished. {row.message} {remedy}.")
        for name, error in sorted(finish_deletions(self.catalog, self.store, self.settings).stuck.items()):
            yield Finding("unfinished", f"project {name}", f"Its deletion can't be finished. {error}")

    def _lost_rows(self) -> Iterator[Finding]:
        for (table, other), count in sorted(self.catalog.count_orphan_rows().items()):
            rows = "1 row names" if count == 1 else f"{count:,} rows name"
            said = (
                f"{rows} what is lost from {other}. Serve another copy of the catalog: this one would mix up uploads."
            )
            yield Finding("rows_missing", f"catalog, {table}", said)

    def _sessions(self, connection: Connection, uuid: str | None = None) -> list[_Session]:
        """Every session, then every shelf; or that of a UUID."""
        sessions = select(
            session.c.uuid, session.c.place, project.c.name, session.c.timestamp, session.c.label, session.c.tree_id,
            session.c.scans, session.c.files, session.c.bytes,
        )  # fmt: skip
        shelves = select(
            shelf.c.uuid, literal("resources"), project.c.name, literal(""), shelf.c.key, shelf.c.tree_id,
            literal(0).label("scans"), shelf.c.files, shelf.c.bytes,
        )  # fmt: skip
        rows = [
            row
            for table, query in ((session, sessions), (shelf, shelves))
            for row in connection.execute(
                query.join(project, project.c.id == table.c.project_id)
                .where(true() if uuid is None else table.c.uuid == uuid)
                .order_by(table.c.id)
            )
        ]
        return [
            _Session(row[0], tree_path(TreeParts(*row[1:5])), row.tree_id, row.scans, row.files, row.bytes)
            for row in rows
        ]

    def _settled(self, one: _Session) -> Iterator[Finding]:
        """What is wrong with a session, unless an import has changed it meanwhile, or is about to."""
        while findings := list(self._session(one)):
            with self.catalog.read() as connection:
                now = self._sessions(connection, one.uuid)
                if not now or self._is_being_placed(connection, one.name):
                    return
            if now[0].tree_id == one.tree_id:
                yield from findings
                return
            one = now[0]

    def _is_being_placed(self, connection: Connection, name: str) -> bool:
        return connection.execute(select(intent.c.id).where(intent.c.name == name).limit(1)).first() is not None

    def _session(self, one: _Session) -> Iterator[Finding]:
        with self.catalog.read() as connection:
            scans = scans_of(connection, one.tree_id)
            resources = resources_of(connection, one.tree_id)
            if _has_lost_rows(connection, one.tree_id, scans, resources):
                said = "The catalog has lost rows of its scans or resources: its files can't be compared."
                yield Finding("rows_missing", one.name, f"{said} Serve another copy of the catalog.")
                return
            expected = paths_of(connection, one.tree_id)
            listed = damaged_paths_of(connection, one.tree_id)
        total = sum(size for size, _ in expected.values())
        if (len(scans), len(expected), total) != (one.scans, one.files, one.bytes) or (
            sum(r.files for r in resources) != len(expected) or sum(r.bytes for r in resources) != total
        ):
            yield Finding("sums", one.name, "The sums that the catalog keeps of it differ from its files.")
        try:
            snapshot = self.store.snapshot(one.name)
        except FileNotFoundError:
            yield Finding("missing", one.name, "Its folder is not in the store.", one.uuid)
            return
        with snapshot:
            for found in snapshot.walk():
                if found.kind == "folder":
                    continue
                wanted = expected.pop(found.rel, None)
                where = f"{one.name}/{found.rel}"
                if wanted is None:
                    yield Finding("stray", where, "The catalog does not know this file.")
                elif found.kind != "file" or found.size != wanted[0]:
                    said = f"It has {found.size} bytes; it was stored with {wanted[0]}."
                    yield Finding("changed", where, said, one.uuid)
                elif (trouble := self._trouble(snapshot, found.rel, wanted[1])) is not None:
                    yield Finding(trouble[0], where, trouble[1], one.uuid)
                elif found.rel in listed:
                    said = "It is listed as damaged, but is whole: have its session verified again."
                    yield Finding("listed", where, said, one.uuid)
                self._tell(found.size)
        for rel in sorted(expected):
            yield Finding("missing", f"{one.name}/{rel}", "The file is not in the store.", one.uuid)

    def _trouble(self, snapshot: Snapshot, rel: RelPath, sha256: bytes) -> tuple[str, str] | None:
        """What is wrong with a file's content, as kind and sentence: one that the disk does not give ends no check."""
        digest = hashlib.sha256()
        try:
            with snapshot.open(rel) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return "missing", "The file is not in the store."
        except (OSError, Fault) as error:
            return "unreadable", f"It can't be read: {reason_of(error)}"
        if digest.digest() != sha256:
            return "changed", "Its content is not what was stored (sha256)."
        return None

    def _tell(self, size: int) -> None:
        self.files += 1
        self.bytes += size
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    stage="reading",
                    entries_done=self.files,
                    entries_total=self.total_files,
                    bytes_done=self.bytes,
                    bytes_total=self.total_bytes,
                    seconds=time.monotonic() - self.begun,
                )
            )

    def _strays(self, names: Set[str]) -> Iterator[Finding]:
        """Folders and files under the areas that belong to no session and no shelf."""
        said: set[str] = set()
        for area in AREAS:
            for found in self.store.walk(area):
                if found.name in names or found.name in said:
                    continue
                with self.catalog.read() as connection:
                    placed = found.name in {one.name for one in self._sessions(connection)}
                    if placed or self._is_being_placed(connection, found.name):
                        continue  # while this ran
                said.add(found.name)
                if found.kind != "folder" or is_as_deep_as_trees(found.name):
                    what = "no project or subject with files" if area == "resources" else "no session"
                    yield Finding("stray", found.name, f"The catalog knows {what} here.")

    def _left_over(self) -> Iterator[Finding]:
        with self.catalog.read() as connection:
            replaced = select(intent.c.base_tree_id).where(intent.c.base_tree_id.is_not(None))
            orphans = connection.execute(
                select(func.count(tree.c.id)).where(is_left_over(), tree.c.id.not_in(replaced))
            ).scalar_one()
            loose = connection.execute(
                select(func.count(file.c.tree_id.distinct())).where(file.c.tree_id.not_in(select(tree.c.id)))
            ).scalar_one()
            receipts = connection.execute(select(upload.c.uuid).where(HAS_RECEIPT)).scalars().all()
        for work in self.store.works():
            if self._is_left(work):
                yield Finding("left_over", work_folder(work), "Staging of an import that is over.")
        if orphans or loose:
            yield Finding("left_over", "catalog", f"{orphans + loose} trees that no session shows.")
        for number in receipts:
            try:
                self.store.open_receipt(number).close()
            except FileNotFoundError:
                if self._has_receipt(number):  # unless somebody has deleted the import meanwhile
                    yield Finding(
                        "receipt_missing", f"{RECEIPTS}/{number}", "The receipt of this import is not in the store."
                    )

    def _has_receipt(self, number: str) -> bool:
        with self.catalog.read() as connection:
            asked = select(upload.c.id).where(upload.c.uuid == number, HAS_RECEIPT)
            return connection.execute(asked).first() is not None

    def _is_left(self, work: str) -> bool:
        """Whether a work folder is nobody's; asked with its lock held, as an import may just begin or end."""
        if self.store.is_owner_alive(work):
            return False
        try:
            hold = self.store.hold(work)
        except Fault:
            return False
        with hold, self.catalog.read() as connection:
            return not is_unfinished(connection, work) and bool(self.store.tokens(work))


def _has_lost_rows(
    connection: Connection, tree_id: int, scans: Sequence[ScanRow], resources: Sequence[ResourceRow]
) -> bool:
    """Whether a resource names a scan that is not there, or a file a resource: SQLite's `.recover` left it out."""
    named = connection.execute(select(file.c.resource_n).where(file.c.tree_id == tree_id).distinct()).scalars()
    lost_resources = {*named} - {row.n for row in resources}
    lost_scans = {row.scan_n for row in resources} - {None} - {row.n for row in scans}
    return bool(lost_resources or lost_scans)
