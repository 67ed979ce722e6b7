"""What a dead import's intents name, beside what stands: in a copy of DATA inodes differ, and staging is gone.

A backup holds no `work`, and a copied tree has another inode than its intent. So where no tree bears the inode of an
intent, the tree that stands is compared with the intent's rows, by names, sizes and sha256. A whole one is what the
intent meant. Without one the intent is given up: what stands of a new session goes to the trash, and a session that was
to change stays as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, delete, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import intent, upload
from scandock.catalog.trees import paths_of
from scandock.model.errors import Fault
from scandock.model.verdicts import ImportState
from scandock.placing.deletes import Removal, removals_of
from scandock.placing.forget import forget_tree
from scandock.placing.intents import Placement, published, recorded
from scandock.queue.leases import RENEW_SECONDS, Lease, guard, renew

if TYPE_CHECKING:
    from scandock.store.port import Found, Stage, Store

_CHUNK = 1024 * 1024
Rows = Mapping[str, tuple[int, bytes]]
"""Size and sha256 of each file of a tree, by its path there."""


class Proof(StrEnum):
    """What a tree is beside the rows of one."""

    WHOLE = "whole"
    """Every file is there; names that no row knows do not count."""
    PART = "part"
    """Some of its files are there."""
    OTHER = "other"
    """None is: it is somebody else's."""


@dataclass(slots=True)
class Fitted:
    """What became of the intents of an import."""

    lost: list[Placement] = field(default_factory=list)
    """Placements that were given up."""
    aside: list[str] = field(default_factory=list)
    """Names of theirs at which something stood that is in the trash now."""


class _Tree(Protocol):
    def walk(self) -> Iterable[Found]: ...
    def open(self, rel: str) -> IO[bytes]: ...


class _Staged:
    """A staged tree, read as a snapshot is."""

    def __init__(self, stage: Stage, rel: str) -> None:
        self.stage = stage
        self.rel = rel

    def walk(self) -> Iterable[Found]:
        for found in self.stage.walk(self.rel):
            yield found._replace(rel=found.rel.removeprefix(f"{self.rel}/"))

    def open(self, rel: str) -> IO[bytes]:
        return self.stage.open(f"{self.rel}/{rel}")


def fit_intents(catalog: Catalog, store: Store, stage: Stage, lease: Lease) -> Fitted:
    """Let the intents of a dead import name what stands, and give up those of which nothing whole does.

    Costs a look at each name where the inodes are right, as they are without a copy. TokenLost; Fault where a tree
    can't be read.
    """
    with catalog.read() as connection:
        waiting = recorded(connection, lease.upload_id)
        going = [
            removal for state in ("intent", "published") for removal in removals_of(connection, lease.upload_id, state)
        ]
    proving = _Proving(catalog, store, stage, lease)
    fitted = Fitted()
    inodes: dict[int, int] = {}
    for placement in waiting:
        inode = proving.tree_of(placement)
        if inode is None:
            fitted.lost.append(placement)
        elif inode != placement.inode:
            inodes[placement.n] = inode
    moved = {removal.n: (removal, inode) for removal in going if (inode := proving.leaving(removal)) is not None}
    if not inodes and not moved and not fitted.lost:
        return fitted
    fitted.aside = [placement.name for placement in fitted.lost if proving.set_aside(placement)]
    with catalog.write() as connection:
        guard(catalog, connection, lease)
        _write(connection, lease, inodes, moved)
        if fitted.lost:
            _give_up(connection, lease, fitted, every=len(waiting))
    for placement in fitted.lost:
        if placement.moves is None and placement.restores is None:  # of those two the rows are a session's already
            forget_tree(catalog, placement.tree_id)
    return fitted


class _Proving:
    def __init__(self, catalog: Catalog, store: Store, stage: Stage, lease: Lease) -> None:
        self.catalog = catalog
        self.store = store
        self.stage = stage
        self.lease = lease
        self.renewed = time.monotonic()

    def tree_of(self, placement: Placement) -> int | None:
        """The inode of the tree that a placement is to show, wherever it stands; None where there is none."""
        standing = self.store.current(placement.name)
        if standing == placement.inode:
            return standing
        if placement.restores is not None:
            return self.store.trashed(placement.restores) or self._whole(placement, standing)
        if placement.moves is not None:
            return self._moving(placement, standing)
        staged = self.stage.inode(placement.staged)
        if staged == placement.inode:
            return staged
        found = self._whole(placement, standing)
        if found is None and staged is not None:
            there = _Staged(self.stage, placement.staged)
            found = staged if self._prove(placement, there) is Proof.WHOLE else None
        return found

    def _whole(self, placement: Placement, standing: int | None) -> int | None:
        return standing if standing is not None and self._at(placement, placement.name) is Proof.WHOLE else None

    def _moving(self, placement: Placement, standing: int | None) -> int | None:
        """A session that moves is taken as it is, damaged or not: its rows are shown already."""
        assert placement.moves is not None
        before = self.store.current(placement.moves)
        if before == placement.inode:
            return before
        if standing is not None and self._at(placement, placement.name) is not Proof.OTHER:
            return standing
        if before is not None and self._at(placement, placement.moves) is not Proof.OTHER:
            return before
        return None

    def leaving(self, removal: Removal) -> int | None:
        """The inode at a removed session's name where it is its tree and not known by that; None else."""
        standing = self.store.current(removal.name)
        if standing is None or standing == removal.inode or self.store.trashed(removal.trash) is not None:
            return None
        with self.catalog.read() as connection:
            rows = paths_of(connection, removal.tree_id)
        with self.store.snapshot(removal.name) as tree:
            return None if self._compare(rows, {}, tree) is Proof.OTHER else standing

    def set_aside(self, placement: Placement) -> bool:
        """Move what stands of a new session to the trash; False where nothing does, or what stands is another's."""
        mine = placement.base_tree_id is None and placement.moves is None and placement.restores is None
        if not mine or self.store.current(placement.name) is None:
            return False
        if self._at(placement, placement.name) is not Proof.PART:
            return False
        note = {"upload": self.lease.uuid, "name": placement.name, "why": "staging_lost"}
        return self.store.retire(placement.name, note=note) is not None

    def _at(self, placement: Placement, name: str) -> Proof:
        try:
            snapshot = self.store.snapshot(name)
        except FileNotFoundError:
            return Proof.OTHER
        with snapshot as tree:
            return self._prove(placement, tree)

    def _prove(self, placement: Placement, tree: _Tree) -> Proof:
        with self.catalog.read() as connection:
            rows = paths_of(connection, placement.tree_id)
            before = paths_of(connection, placement.base_tree_id) if placement.base_tree_id is not None else {}
        return self._compare(rows, before, tree)

    def _compare(self, rows: Rows, before: Rows, tree: _Tree) -> Proof:
        """`before` are the rows of the tree that is replaced: a file of its alone shows that this is the old one."""
        there = {}
        strange = old = 0
        for found in tree.walk():
            if found.kind == "file" and found.rel in rows:
                there[found.rel] = found.size
            elif found.kind != "folder":
                strange += 1
                old += found.rel in before
        same = [rel for rel, size in there.items() if size == rows[rel][0]]
        if not same and (strange or rows):
            return Proof.OTHER
        if old or len(same) != len(rows):
            return Proof.PART
        return Proof.WHOLE if all(self._is_same(tree, rel, rows[rel][1]) for rel in same) else Proof.PART

    def _is_same(self, tree: _Tree, rel: str, sha256: bytes) -> bool:
        digest = hashlib.sha256()
        with tree.open(rel) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                self._hold()
        return digest.digest() == sha256

    def _hold(self) -> None:
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            renew(self.catalog, self.lease)
            self.renewed = time.monotonic()


def _write(
    connection: Connection, lease: Lease, inodes: Mapping[int, int], moved: Mapping[int, tuple[Removal, int]]
) -> None:
    for n, inode in inodes.items():
        connection.execute(_intent(lease, n).values(inode=inode))
    for n, (removal, inode) in moved.items():
        kept = json.loads(
            connection.execute(
                select(intent.c.session).where(intent.c.upload_id == lease.upload_id, intent.c.n == removal.n)
            ).scalar_one()
        )
        connection.execute(_intent(lease, n).values(inode=inode, session=json.dumps({**kept, "inode": inode})))


def _intent(lease: Lease, n: int) -> Any:  # noqa: ANN401  an update, whose values are still to be said
    return update(intent).where(intent.c.upload_id == lease.upload_id, intent.c.n == n)


def _give_up(connection: Connection, lease: Lease, fitted: Fitted, *, every: int) -> None:
    """Remove the intents that were lost, and say so in the outcome."""
    numbers = [placement.n for placement in fitted.lost]
    connection.execute(delete(intent).where(intent.c.upload_id == lease.upload_id, intent.c.n.in_(numbers)))
    mine = upload.c.id == lease.upload_id
    report = json.loads(connection.execute(select(upload.c.report).where(mine)).scalar_one())
    why = staging_lost(fitted, every)
    names = {placement.name for placement in fitted.lost}
    report |= {"state": ImportState.FAILED.value, "code": why.code, "message": str(why)}
    if "sessions" in report:
        report["sessions"] = [one for one in report["sessions"] if one.get("path") not in names]
    connection.execute(update(upload).where(mine).values(report=json.dumps(report)))


def staging_lost(fitted: Fitted, every: int) -> Fault:
    """Why an import ends of which not everything could be placed."""
    names = ", ".join(placement.name for placement in fitted.lost[:10])
    more = f" and {len(fitted.lost) - 10} more" if len(fitted.lost) > 10 else ""
    rest = every - len(fitted.lost)
    said = f"What the import had staged is gone, as in a copy of the data folder: {names}{more} could not be placed."
    if fitted.aside:
        said += f" Incomplete files of {', '.join(fitted.aside[:10])} are in the trash folder."
    if rest:
        said += f" {rest} of {every} sessions were placed."
    return Fault("staging_lost", said, "Import the archive again.")


def keep_receipt_anew(catalog: Catalog, store: Store, stage: Stage, lease: Lease, rel: str) -> bool:
    """Write the receipt of what an import shows from its rows, where the one it had made is gone with its staging."""
    if stage.exists(rel):
        return False
    with contextlib.suppress(FileNotFoundError):
        store.open_receipt(lease.uuid).close()
        return False
    import gzip

    with catalog.read() as connection:
        archive = connection.execute(select(upload.c.archive).where(upload.c.id == lease.upload_id)).scalar_one()
        lines = [
            line
            for state in (recorded, published)
            for placement in state(connection, lease.upload_id)
            for line in _lines(connection, archive, placement)
        ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    stage.put_whole(rel, gzip.compress(text.encode("utf-8", "backslashreplace"), 1, mtime=0))
    return True


def _lines(connection: Connection, archive: str, placement: Placement) -> Iterable[dict[str, Any]]:
    before = paths_of(connection, placement.base_tree_id) if placement.base_tree_id is not None else {}
    for path, (size, sha256) in paths_of(connection, placement.tree_id).items():
        if before.get(path) != (size, sha256):
            yield {
                "archive": archive,
                "path": path,
                "bytes": size,
                "sha256": sha256.hex(),
                "verdict": "stored",
                "code": "stored",
                "message": "Stored. The import's own receipt was lost; this line is from the catalog.",
                "stored_as": f"{placement.name}/{path}",
            }
