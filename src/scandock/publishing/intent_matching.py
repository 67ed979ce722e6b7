"""What a dead import's intents name, beside what stands: in a copy of DATA marks differ, and staging is gone.

A backup holds no `work`, and a copied tree has another mark than its intent. So where no tree bears the mark of an
intent, the tree that stands is compared with the intent's rows, by names, sizes and sha256. A whole one is what the
intent meant. Without one the intent is given up: what stands of a new session goes to the trash, and a session that was
to change stays as it was. A person may ask for the same where an import can't be finished for another reason.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, delete, or_, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import IntentKind, intent, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.import_report import ImportReport, format_outcome, parse_outcome
from scandock.model.verdicts import ImportState, Verdict
from scandock.publishing.deletes import Removal, new_trash_id, removals_of
from scandock.publishing.errors import ImportReleased, StagingLost
from scandock.publishing.intents import Placement, recorded_placements
from scandock.publishing.receipts import ReceiptCounts, amend_receipt, tally_without
from scandock.publishing.requeue import has_bytes
from scandock.publishing.row_cleanup import delete_tree_rows
from scandock.publishing.tree_files import paths_of
from scandock.queue.leases import RENEW_SECONDS, ImportLease, Lease, check_lease, renew
from scandock.store.moves import TrashStaged, TrashTree, TreeMove
from scandock.store.paths import RelPath, TreePath, path_below, relative_to
from scandock.store.port import Mark

if TYPE_CHECKING:
    from scandock.store.port import Stage, Store, StoreEntry

_CHUNK = 1024 * 1024
NAMES_SHOWN = 10
"""Sessions that a message names; of more, the number."""
Rows = Mapping[RelPath, tuple[int, bytes]]
"""Size and sha256 of each file of a tree, by its path there."""


class TreeMatch(StrEnum):
    """What a tree is beside the rows of one."""

    WHOLE = "whole"
    """Every file is there; names that no row knows do not count."""
    PART = "part"
    """Some of its files are there."""
    OTHER = "other"
    """None is: it is somebody else's."""


@dataclass(slots=True)
class MatchResult:
    """What became of the intents of an import."""

    lost: list[Placement] = field(default_factory=list)
    """Placements that were given up."""
    aside: list[TreePath] = field(default_factory=list)
    """Names of theirs of which bytes are in the trash now."""
    why: Fault | None = None
    """Why they were given up; None where none was."""


class _Tree(Protocol):
    def walk(self) -> Iterable[StoreEntry]: ...
    def open(self, rel: RelPath) -> IO[bytes]: ...


class _StagedTree:
    """A staged tree, read as a snapshot is."""

    def __init__(self, stage: Stage, rel: RelPath) -> None:
        self.stage = stage
        self.rel = rel

    def walk(self) -> Iterable[StoreEntry]:
        for entry in self.stage.walk(self.rel):
            yield entry._replace(rel=relative_to(self.rel, entry.rel))

    def open(self, rel: RelPath) -> IO[bytes]:
        return self.stage.open(path_below(self.rel, rel))


def match_intents(catalog: Catalog, store: Store, stage: Stage, lease: Lease, *, release: bool = False) -> MatchResult:
    """Let the intents of a dead import name what stands, and give up those of which nothing whole does.

    `release`: give up also those whose trees wait in the stage, or can't be read. Costs a look at each name where the
    marks are right, as they are without a copy. TokenLost; Fault where a tree can't be read.
    """
    with catalog.read() as connection:
        waiting = recorded_placements(connection, lease)
        going = [removal for state in ("intent", "published") for removal in removals_of(connection, lease, state)]
    proving = _IntentMatcher(catalog, store, stage, lease, release=release)
    fitted = MatchResult()
    marks: dict[int, Mark] = {}
    for placement in waiting:
        mark = proving.tree_of(placement)
        if mark is None:
            fitted.lost.append(placement)
        elif mark.number != placement.mark.number:
            marks[placement.n] = mark
    moved = [replace(removal, mark=mark) for removal in going if (mark := proving.leaving(removal)) is not None]
    if not marks and not moved and not fitted.lost:
        return fitted
    if fitted.lost and any(removal.stays for removal in going):  # a session that moves does so whole, or stays
        fitted.lost = waiting
    fitted.aside = [placement.name for placement in fitted.lost if proving.set_aside(placement)]
    tally = None
    if fitted.lost:
        if len(fitted.lost) < len(waiting):
            tally = amend_receipt(catalog, store, stage, fitted.lost, proving.hold)
        has_archive = has_bytes(catalog, store, lease)
        fitted.why = _incomplete_fault(fitted, every=len(waiting), release=release, has_archive=has_archive)
    with catalog.write() as connection:
        check_lease(catalog, connection, lease)
        _write(connection, lease, marks, moved)
        if fitted.why is not None:
            _give_up(connection, lease, fitted, fitted.why, tally, every=len(waiting))
    for placement in fitted.lost:
        if placement.moves is None and placement.restores is None:  # of those two the rows are a session's already
            delete_tree_rows(catalog, placement.tree_id)
    return fitted


class _IntentMatcher:
    def __init__(self, catalog: Catalog, store: Store, stage: Stage, lease: Lease, *, release: bool) -> None:
        self.catalog = catalog
        self.store = store
        self.stage = stage
        self.lease = lease
        self.release = release
        self.renewed = time.monotonic()

    def tree_of(self, placement: Placement) -> Mark | None:
        """The mark of the tree that a placement is to show, wherever it stands; None where there is none."""
        if self.store.standing(placement.name, placement.mark):
            return placement.mark
        standing = self.store.current(placement.name)
        if self.release:
            return self._whole(placement, standing)
        if placement.restores is not None:
            return self.store.trashed(placement.restores) or self._whole(placement, standing)
        if placement.moves is not None:
            return self._moving(placement, standing)
        path = placement.staged_path
        staged = self.stage.mark(path)
        if staged is not None and placement.mark in (staged, Mark(staged.number)):
            return staged
        mark = self._whole(placement, standing)
        if mark is None and staged is not None:
            staged_tree = _StagedTree(self.stage, path)
            mark = staged if self._prove(placement, staged_tree) is TreeMatch.WHOLE else None
        return mark

    def _whole(self, placement: Placement, standing: Mark | None) -> Mark | None:
        return standing if standing is not None and self._at(placement, placement.name) is TreeMatch.WHOLE else None

    def _moving(self, placement: Placement, standing: Mark | None) -> Mark | None:
        """A session that moves is taken as it is, damaged or not: its rows are shown already."""
        assert placement.moves is not None
        before = self.store.current(placement.moves)
        if before is not None and before.number == placement.mark.number:
            return before
        if standing is not None and self._at(placement, placement.name) is not TreeMatch.OTHER:
            return standing
        if before is not None and self._at(placement, placement.moves) is not TreeMatch.OTHER:
            return before
        return None

    def leaving(self, removal: Removal) -> Mark | None:
        """The mark of what stands at a removed session's name where it is its tree and not known by that; None else."""
        if self.store.standing(removal.name, removal.mark) is not False:
            return None
        standing = self.store.current(removal.name)
        if standing is None or self.store.trashed(removal.trash) is not None:
            return None
        with self.catalog.read() as connection:
            rows = paths_of(connection, removal.tree_id)
        with self.store.snapshot(removal.name) as tree:
            return None if self._compare(rows, {}, tree) is TreeMatch.OTHER else standing

    def set_aside(self, placement: Placement) -> bool:
        """Move what there is of a placement to the trash; False where nothing is, or what stands is another's."""
        if placement.moves is not None or placement.restores is not None:
            return False  # it stays where it is
        note = {"upload": self.lease.uuid, "name": placement.name, "why": "not placed"}
        moves: list[TreeMove] = []
        if self.stage.mark(placement.staged_path) is not None:
            moves.append(TrashStaged(self.stage, placement.staged_path, new_trash_id(self.catalog, self.store), note))
        standing = self.store.current(placement.name)
        if (
            standing is not None
            and placement.base_tree_id is None
            and self._at(placement, placement.name) is not TreeMatch.OTHER
        ):
            moves.append(TrashTree(placement.name, standing, new_trash_id(self.catalog, self.store), note))
        self.store.place(moves)
        return bool(moves)

    def _at(self, placement: Placement, name: TreePath) -> TreeMatch:
        try:
            with self.store.snapshot(name) as tree:
                return self._prove(placement, tree)
        except FileNotFoundError:
            return TreeMatch.OTHER
        except (OSError, Fault):
            if self.release:
                return TreeMatch.PART
            raise

    def _prove(self, placement: Placement, tree: _Tree) -> TreeMatch:
        with self.catalog.read() as connection:
            rows = paths_of(connection, placement.tree_id)
            before = paths_of(connection, placement.base_tree_id) if placement.base_tree_id is not None else {}
        return self._compare(rows, before, tree)

    def _compare(self, rows: Rows, before: Rows, tree: _Tree) -> TreeMatch:
        """`before` are the rows of the tree that is replaced: a file of its alone shows that this is the old one."""
        sizes = {}
        strange = old = 0
        for entry in tree.walk():
            if entry.kind == "file" and entry.rel in rows:
                sizes[entry.rel] = entry.size
            elif entry.kind != "folder":
                strange += 1
                old += entry.rel in before
        same = [rel for rel, size in sizes.items() if size == rows[rel][0]]
        if not same and (strange or rows):
            return TreeMatch.OTHER
        if old or len(same) != len(rows):
            return TreeMatch.PART
        return TreeMatch.WHOLE if all(self._is_same(tree, rel, rows[rel][1]) for rel in same) else TreeMatch.PART

    def _is_same(self, tree: _Tree, rel: RelPath, sha256: bytes) -> bool:
        digest = hashlib.sha256()
        with tree.open(rel) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                self.hold()
        return digest.digest() == sha256

    def hold(self) -> None:
        """Renew the lease where that is due."""
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            renew(self.catalog, self.lease)
            self.renewed = time.monotonic()


def _write(connection: Connection, lease: Lease, marks: Mapping[int, Mark], moved: Sequence[Removal]) -> None:
    for n, mark in marks.items():
        connection.execute(_intent(lease, n).values(inode=mark.number))
    for removal in moved:
        connection.execute(_intent(lease, removal.n).values(inode=removal.mark.number, session=removal.to_json()))


def _intent(lease: Lease, n: int) -> Any:  # noqa: ANN401  an update, whose values are still to be said
    return update(intent).where(lease.holds(intent), intent.c.n == n)


def _give_up(
    connection: Connection, lease: Lease, fitted: MatchResult, why: Fault, tally: ReceiptCounts | None, *, every: int
) -> None:
    """Remove the intents that were lost, and say so in the outcome of an import; an operation has none.

    With them go removals that were to follow: what a session was merged into must stand before it may go.
    """
    numbers = [placement.n for placement in fitted.lost]
    is_lost = or_(intent.c.n.in_(numbers), intent.c.kind == IntentKind.REMOVE)
    connection.execute(delete(intent).where(lease.holds(intent), intent.c.state == "intent", is_lost))
    if not isinstance(lease, ImportLease):
        return
    mine = upload.c.id == lease.upload_id
    outcome = parse_outcome(connection.execute(select(upload.c.report).where(mine)).scalar_one())
    outcome = replace(outcome, state=ImportState.FAILED, code=why.code, message=why.public_text)
    if isinstance(outcome, ImportReport):
        outcome = _report_without(connection, outcome, fitted, tally, every=every)
    connection.execute(update(upload).where(mine).values(report=format_outcome(outcome)))


def _report_without(
    connection: Connection, report: ImportReport, fitted: MatchResult, tally: ReceiptCounts | None, *, every: int
) -> ImportReport:
    """A report without what was lost, as its receipt does; nothing is stored, as of any import that failed,
    where all of it was.
    """
    names = {placement.name for placement in fitted.lost}
    report = replace(report, sessions=[session for session in report.sessions if session.path not in names])
    if len(fitted.lost) == every:
        return replace(report, entries={verdict.value: 0 for verdict in Verdict}, unpacked=0, stored=0)
    if tally is None:
        entries, stored = tally_without(connection, report, fitted.lost)
    else:
        entries, stored = {verdict.value: tally.entries[verdict] for verdict in Verdict}, tally.stored
    return replace(report, entries=entries, stored=stored)


def _incomplete_fault(fitted: MatchResult, *, every: int, release: bool, has_archive: bool) -> Fault:
    """Why an import ends of which not everything could be placed; `has_archive`: the store has the archive's bytes."""
    error, message = (
        (ImportReleased, "An administrator released the import")
        if release
        else (StagingLost, "What the import had staged is gone, as in a copy of the data folder")
    )
    message += f": {_name_list([placement.name for placement in fitted.lost])} could not be placed."
    if fitted.aside:
        message += f" The files that there were of {_name_list(fitted.aside)} are in the trash folder."
    if len(fitted.lost) < every:
        message += f" {every - len(fitted.lost)} of {every} sessions were placed."
    if not has_archive:
        return error(message, "Import the archive again.")
    remedy = "The archive is kept: have the import tried again." if release else "It is tried again by itself."
    return error(message, remedy)


def _name_list(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
