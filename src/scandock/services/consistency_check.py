"""Whether catalog and store agree: every file that the catalog knows is there and unchanged, and nothing else is.

Imports may run meanwhile. What a live one is just placing is no finding: whatever differs is looked at again beside
the catalog as it is then, and what an intent names is left alone.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, literal, select, true

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import file, intent, manifest, project, session, shelf, tree, upload
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of, scans_of
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.import_types import Progress
from scandock.model.request_errors import DataMissing
from scandock.model.tree_parts import TreeParts
from scandock.model.verdicts import WITH_RECEIPT
from scandock.publishing.recover import is_left_over
from scandock.publishing.tree_files import damaged_paths_of, paths_of
from scandock.queue.follow import is_followed
from scandock.queue.leases import is_unfinished
from scandock.services.data_catalog import CATALOG_FILE, open_data
from scandock.services.project_deletions import finish_deletions
from scandock.services.read_only_data import can_only_be_read, open_read_only
from scandock.services.stuck_imports import list_imports
from scandock.store.paths import AREAS, RECEIPTS, RelPath, TreePath, is_as_deep_as_trees, tree_path, work_folder
from scandock.store.port import Snapshot, Store
from scandock.store.root import FOLDERS

if TYPE_CHECKING:
    from scandock.services.settings import Settings

_CHUNK = 1024 * 1024
HAS_RECEIPT = upload.c.state.in_(WITH_RECEIPT) & ~upload.c.deleted
"""Imports whose receipt is in the store; of one that was deleted it went, though its row stays for its sessions."""


def system_error_sentence(error: OSError | Fault) -> str:
    """What the system says, as a sentence."""
    message = error.message if isinstance(error, Fault) else error.strerror or type(error).__name__
    return f"{message.rstrip('.')}."


ProgressCallback = Callable[[Progress], None]


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
    """A session, or own resources."""

    uuid: str
    name: TreePath
    tree_id: int
    scans: int
    files: int
    bytes: int


def check_data(data: str, settings: Settings, on_progress: ProgressCallback | None = None) -> list[Finding]:
    """Compare both, reading every stored byte. Dead imports are dealt with first; live ones are left alone.

    Where nothing can be written to DATA, they are left as well.
    """
    names = set(os.listdir(data)) if settings.store is None else {"work"}  # a host that is new has all of a bucket
    if not names:
        return []  # as a first import leaves it that was killed at once
    if not (names & {CATALOG_FILE, "work"} or names <= set(FOLDERS)):  # the latter while a first import makes them
        raise DataMissing(
            f"{data} holds no Scandock data: there is no {CATALOG_FILE} in it.",
            "Name the folder that --data named at the import.",
        )
    opened = open_read_only if can_only_be_read(data, settings) else open_data
    with opened(data, settings) as (catalog, store):
        catalog.examine()  # first: what a damaged catalog says of files is nothing to go by
        return list(_ConsistencyCheck(catalog, store, settings, on_progress).run())


class _ConsistencyCheck:
    def __init__(
        self, catalog: Catalog, store: Store, settings: Settings, on_progress: ProgressCallback | None
    ) -> None:
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
            self.total_files = sum(stored_session.files for stored_session in sessions)
            self.total_bytes = sum(stored_session.bytes for stored_session in sessions)
        yield from self._lost_rows()
        for stored_session in sessions:
            yield from self._recheck_session(stored_session)
        yield from self._find_strays({stored_session.name for stored_session in sessions})
        yield from self._find_leftovers()
        yield from self._take_census()
        for row in list_imports(self.catalog, self.store, stuck=True):
            remedy = f"If that can't be mended: scandock admin import release {row.uuid}"
            yield Finding("unfinished", f"import {row.uuid}", f"An import can't be finished. {row.message} {remedy}.")
        for name, error in sorted(finish_deletions(self.catalog, self.store, self.settings).stuck.items()):
            yield Finding("unfinished", f"project {name}", f"Its deletion can't be finished. {error}")

    def _lost_rows(self) -> Iterator[Finding]:
        for (table, other), count in sorted(self.catalog.count_orphan_rows().items()):
            rows = "1 row names" if count == 1 else f"{count:,} rows name"
            message = (
                f"{rows} what is lost from {other}. Serve another copy of the catalog: this one would mix up uploads."
            )
            yield Finding("rows_missing", f"catalog, {table}", message)

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

    def _recheck_session(self, stored_session: _Session) -> Iterator[Finding]:
        """What is wrong with a session, unless an import has changed it meanwhile, or is about to."""
        while findings := list(self._session(stored_session)):
            with self.catalog.read() as connection:
                now = self._sessions(connection, stored_session.uuid)
                if not now or self._is_being_placed(connection, stored_session.name):
                    return
            if now[0].tree_id == stored_session.tree_id:
                yield from findings
                return
            stored_session = now[0]

    def _is_being_placed(self, connection: Connection, name: str) -> bool:
        return connection.execute(select(intent.c.id).where(intent.c.name == name).limit(1)).first() is not None

    def _session(self, stored_session: _Session) -> Iterator[Finding]:
        with self.catalog.read() as connection:
            scans = scans_of(connection, stored_session.tree_id)
            resources = resources_of(connection, stored_session.tree_id)
            if _has_lost_rows(connection, stored_session.tree_id, scans, resources):
                message = "The catalog has lost rows of its scans or resources: its files can't be compared."
                yield Finding("rows_missing", stored_session.name, f"{message} Serve another copy of the catalog.")
                return
            expected = paths_of(connection, stored_session.tree_id)
            listed = damaged_paths_of(connection, stored_session.tree_id)
        total = sum(size for size, _ in expected.values())
        if (len(scans), len(expected), total) != (stored_session.scans, stored_session.files, stored_session.bytes) or (
            sum(r.files for r in resources) != len(expected) or sum(r.bytes for r in resources) != total
        ):
            yield Finding("sums", stored_session.name, "The sums that the catalog keeps of it differ from its files.")
        try:
            snapshot = self.store.snapshot(stored_session.name)
        except FileNotFoundError:
            yield Finding("missing", stored_session.name, "Its folder is not in the store.", stored_session.uuid)
            return
        with snapshot:
            for entry in snapshot.walk():
                if entry.kind == "folder":
                    continue
                expected_file = expected.pop(entry.rel, None)
                where = f"{stored_session.name}/{entry.rel}"
                if expected_file is None:
                    yield Finding("stray", where, "The catalog does not know this file.")
                elif entry.kind != "file" or entry.size != expected_file[0]:
                    message = f"It has {entry.size} bytes; it was stored with {expected_file[0]}."
                    yield Finding("changed", where, message, stored_session.uuid)
                elif (trouble := self._find_problem(snapshot, entry.rel, expected_file[1])) is not None:
                    yield Finding(trouble[0], where, trouble[1], stored_session.uuid)
                elif entry.rel in listed:
                    message = "It is listed as damaged, but is whole: have its session verified again."
                    yield Finding("listed", where, message, stored_session.uuid)
                self._tell(entry.size)
        for rel in sorted(expected):
            yield Finding(
                "missing", f"{stored_session.name}/{rel}", "The file is not in the store.", stored_session.uuid
            )

    def _find_problem(self, snapshot: Snapshot, rel: RelPath, sha256: bytes) -> tuple[str, str] | None:
        """What is wrong with a file's content, as kind and sentence: one that the disk does not give ends no check."""
        digest = hashlib.sha256()
        try:
            with snapshot.open(rel) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return "missing", "The file is not in the store."
        except (OSError, Fault) as error:
            return "unreadable", f"It can't be read: {system_error_sentence(error)}"
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

    def _find_strays(self, names: Set[str]) -> Iterator[Finding]:
        """Folders and files under the areas that belong to no session and no shelf."""
        reported: set[str] = set()
        for area in AREAS:
            for entry in self.store.walk(area):
                if entry.name in names or entry.name in reported:
                    continue
                with self.catalog.read() as connection:
                    placed = entry.name in {stored_session.name for stored_session in self._sessions(connection)}
                    if placed or self._is_being_placed(connection, entry.name):
                        continue  # while this ran
                reported.add(entry.name)
                if entry.kind != "folder" or is_as_deep_as_trees(entry.name):
                    owner = "no project or subject with files" if area == "resources" else "no session"
                    yield Finding("stray", entry.name, f"The catalog knows {owner} here.")

    def _find_leftovers(self) -> Iterator[Finding]:
        with self.catalog.read() as connection:
            replaced = select(intent.c.base_tree_id).where(intent.c.base_tree_id.is_not(None))
            orphans = connection.execute(
                select(func.count(tree.c.id)).where(is_left_over(), tree.c.id.not_in(replaced))
            ).scalar_one()
            loose = sum(
                connection.execute(
                    select(func.count(table.c.tree_id.distinct())).where(table.c.tree_id.not_in(select(tree.c.id)))
                ).scalar_one()
                for table in (manifest, file)
            )
            receipts = connection.execute(select(upload.c.uuid).where(HAS_RECEIPT)).scalars().all()
        for work in self.store.works():
            if self._is_abandoned(work):
                yield Finding("left_over", work_folder(work), "Staging of an import that is over.")
        if orphans or loose:
            yield Finding("left_over", "catalog", f"{orphans + loose} trees that no session shows.")
        for number in self.store.lost_receipts(receipts):
            if self._has_receipt(number):  # unless somebody has deleted the import meanwhile
                yield Finding(
                    "receipt_missing", f"{RECEIPTS}/{number}", "The receipt of this import is not in the store."
                )

    def _take_census(self) -> Iterator[Finding]:
        """Objects of a bucket beside what names them."""
        census = self.store.census()
        for key in census.unnamed:
            yield Finding("stray", key, "Nothing names this object of the bucket.")
        for key in census.missing:
            yield Finding("missing", key, "The bucket does not have this object.")

    def _has_receipt(self, number: str) -> bool:
        with self.catalog.read() as connection:
            query = select(upload.c.id).where(upload.c.uuid == number, HAS_RECEIPT)
            return connection.execute(query).first() is not None

    def _is_abandoned(self, work: str) -> bool:
        """Whether a work folder is nobody's; asked with its lock held, as an import may just begin or end."""
        if self.store.is_owner_alive(work):
            return False
        try:
            hold = self.store.hold(work)
        except Fault:
            return False
        with hold, self.catalog.read() as connection:
            is_used = is_unfinished(connection, work) or is_followed(self.catalog, connection, work)
            return not is_used and bool(self.store.tokens(work))


def _has_lost_rows(
    connection: Connection, tree_id: int, scans: Sequence[ScanRow], resources: Sequence[ResourceRow]
) -> bool:
    """Whether a resource names a scan that is not there, or a file a resource: SQLite's `.recover` left it out."""
    lost_resources = {row.resource_n for row in files_of(connection, tree_id)} - {row.n for row in resources}
    lost_scans = {row.scan_n for row in resources} - {None} - {row.n for row in scans}
    return bool(lost_resources or lost_scans)
