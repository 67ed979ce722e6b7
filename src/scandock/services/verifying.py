"""Verification: what was placed is read again in the background, its sha256 confirmed and its MD5 recorded.

A tree is verified once; what a new tree took over from an old one by hard links is not read again. What has changed on
the disk is rot: it is counted on the tree, named there, and told in the audit trail.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, and_, bindparam, insert, literal, select, update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import verification
from scandock.catalog.shelves import Holder, find_holder, standing_tree
from scandock.catalog.tables import file, intent, resource, scan, session, shelf, tree
from scandock.model.errors import Fault
from scandock.services import audit
from scandock.services.contents import path_of
from scandock.services.shelves import target_of
from scandock.store.port import Snapshot, Store

BATCH: Final = 200
BATCH_SECONDS: Final = 1.0
NAMED: Final = 100
"""Problems of one tree that are named; further ones are only counted."""

_CHUNK: Final = 1024 * 1024


@dataclass(slots=True)
class Verified:
    """What one call has read."""

    files: int = 0
    bytes: int = 0
    problems: int = 0
    trees: int = 0
    """Trees whose verification came to its end."""


def verify_some(catalog: Catalog, store: Store, seconds: float, stop: Callable[[], bool] = lambda: False) -> Verified:
    """Verify trees that nobody has yet, for about so long, or until `stop`; the longest waiting session first.

    May be ended at any time, and run in several processes at once: what one reads twice does no harm.
    """
    done = Verified()
    deadline = time.monotonic() + seconds
    passed: set[int] = set()
    while time.monotonic() < deadline and not stop():
        with catalog.read() as connection:
            chosen = _next(connection, passed)
        if chosen is None:
            break
        if not _verify_tree(catalog, store, chosen, done, lambda: time.monotonic() >= deadline or stop()):
            passed.add(chosen.tree_id)
    return done


def verify_now(catalog: Catalog, store: Store, standing: Holder) -> None:
    """Verify one session's tree, or a shelf's, to its end, for who needs the MD5s of its files at once."""
    _verify_tree(catalog, store, standing, Verified(), lambda: False)


def _next(connection: Connection, passed: set[int]) -> Holder | None:
    """The session whose tree waits longest to be verified, or to be verified further; where there is none, a shelf."""
    for table in (session, shelf):
        uuid = connection.execute(
            select(table.c.uuid)
            .outerjoin(verification, verification.c.tree_id == table.c.tree_id)
            .where(verification.c.finished.is_(None), table.c.tree_id.not_in(sorted(passed)))
            .order_by(table.c.modified)
            .limit(1)
        ).scalar_one_or_none()
        if uuid is not None:
            return find_holder(connection, uuid)
    return None


def _verify_tree(catalog: Catalog, store: Store, standing: Holder, done: Verified, over: Callable[[], bool]) -> bool:
    """Verify one tree from where it was left; False where it can't be now, as it is being replaced."""
    try:
        snapshot = store.snapshot(standing.name)
    except FileNotFoundError:
        return _note_missing(catalog, standing, done)
    with snapshot:
        with catalog.write() as connection:
            if not _begin(connection, standing):
                return False
            at = connection.execute(
                select(verification.c.done_n).where(verification.c.tree_id == standing.tree_id)
            ).scalar_one()
        while not over():
            batch = _read(catalog, snapshot, standing, at, over)
            with catalog.write() as connection:
                if not _is_current(connection, standing):
                    return False
                finished = _write(catalog, connection, standing, batch)
            at = batch.at
            done.files += batch.files
            done.bytes += batch.bytes
            done.problems += len(batch.problems)
            if finished:
                done.trees += 1
                return True
    return True


def _note_missing(catalog: Catalog, standing: Holder, done: Verified) -> bool:
    """Note that a session's folder is not there, unless it is just being moved or replaced."""
    with catalog.write() as connection:
        moving = connection.execute(
            select(intent.c.id)
            .where((intent.c.tree_id == standing.tree_id) | (intent.c.base_tree_id == standing.tree_id))
            .limit(1)
        ).first()
        now = find_holder(connection, standing.uuid)
        if moving is not None or now is None or now.name != standing.name or not _begin(connection, standing):
            return False
        batch = _Batch(at=-1, last=True, problems=[{"kind": "folder_missing"}])
        _write(catalog, connection, standing, batch)
    done.problems += 1
    done.trees += 1
    return True


def _begin(connection: Connection, standing: Holder) -> bool:
    if not _is_current(connection, standing):
        return False
    there = connection.execute(select(verification.c.tree_id).where(verification.c.tree_id == standing.tree_id)).first()
    if there is None:
        connection.execute(
            insert(verification).from_select(
                ["tree_id", "done_n", "problems"],
                select(tree.c.id, literal(-1), literal(0)).where(tree.c.id == standing.tree_id),
            )
        )
    return True


def _is_current(connection: Connection, standing: Holder) -> bool:
    return standing_tree(connection, standing.uuid) == standing.tree_id


@dataclass(slots=True)
class _Batch:
    """Files of a tree up to number `at`; `last` where none follows."""

    at: int
    last: bool
    files: int = 0
    bytes: int = 0
    good: list[dict[str, object]] = field(default_factory=list)
    problems: list[dict[str, object]] = field(default_factory=list)


def _read(catalog: Catalog, snapshot: Snapshot, standing: Holder, at: int, over: Callable[[], bool]) -> _Batch:
    """Read the next files of a tree, for a second at most."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(file.c.n, file.c.name, file.c.bytes, file.c.sha256, file.c.verified,
                   resource.c.label.label("resource"), scan.c.scan_id)
            .join(resource, and_(resource.c.tree_id == file.c.tree_id, resource.c.n == file.c.resource_n))
            .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
            .where(file.c.tree_id == standing.tree_id, file.c.n > at)
            .order_by(file.c.n)
            .limit(BATCH)
        ).mappings().all()  # fmt: skip
    batch = _Batch(at, len(rows) < BATCH)
    until = time.monotonic() + BATCH_SECONDS
    for row in rows:
        if row["verified"] is None:
            _read_one(snapshot, batch, path_of(row), row["n"], row["bytes"], row["sha256"])
        batch.at = row["n"]
        if row is not rows[-1] and (time.monotonic() > until or over()):
            batch.last = False
            break
    return batch


def _read_one(snapshot: Snapshot, batch: _Batch, path: str, n: int, size: int, sha256: bytes) -> None:
    batch.files += 1
    ours, digest = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    length = 0
    try:
        with snapshot.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                ours.update(chunk)
                digest.update(chunk)
                length += len(chunk)
    except FileNotFoundError:
        batch.problems.append({"file": n, "kind": "missing"})
        return
    except (OSError, Fault) as error:
        batch.problems.append({"file": n, "kind": "unreadable", "error": type(error).__name__})
        return
    batch.bytes += length
    if length != size or ours.digest() != sha256:
        batch.problems.append({"file": n, "kind": "changed", "bytes": length})
        return
    batch.good.append({"number": n, "digest": digest.digest()})


def _write(catalog: Catalog, connection: Connection, standing: Holder, batch: _Batch) -> bool:
    """Note a batch; True where the tree's verification is over."""
    if batch.good:
        connection.execute(
            update(file)
            .where(file.c.tree_id == standing.tree_id, file.c.n == bindparam("number"))
            .values(md5=bindparam("digest"), verified=catalog.now()),
            batch.good,
        )
    where = verification.c.tree_id == standing.tree_id
    before = connection.execute(select(verification.c.problems, verification.c.details).where(where)).one()
    known = json.loads(before.details) if before.details else []
    problems = before.problems + len(batch.problems)
    connection.execute(
        update(verification)
        .where(where)
        .values(
            done_n=batch.at,
            problems=problems,
            details=json.dumps((known + batch.problems)[:NAMED]) if problems else "",
            finished=catalog.now() if batch.last else None,
        )
    )
    if batch.last and problems:
        kind, target = target_of(standing)
        audit.record(
            connection,
            SYSTEM,
            "verify",
            kind,
            target,
            project=standing.project,
            outcome=audit.Outcome.FAILED,
            details={"problems": problems},
        )
    return batch.last


@dataclass(frozen=True, slots=True)
class Rot:
    """A session, or a shelf, of which files are not what they were."""

    session: str
    project: str
    label: str
    problems: int
    details: list[dict[str, object]]


def list_rot(connection: Connection) -> list[Rot]:
    """Every session, then every shelf, whose verification found something, for those who run the site."""
    rows = [
        row
        for table in (session, shelf)
        for row in connection.execute(
            select(table.c.uuid, verification.c.problems, verification.c.details)
            .join(verification, verification.c.tree_id == table.c.tree_id)
            .where(verification.c.problems > 0)
            .order_by(table.c.id)
        )
    ]
    found = []
    for row in rows:
        standing = find_holder(connection, row.uuid)
        if standing is not None:
            found.append(Rot(row.uuid, standing.project, standing.label, row.problems, json.loads(row.details)))
    return found


def verify_again(catalog: Catalog, uuid: str) -> None:
    """Have the tree of a session, or of a shelf, read once more from its beginning: after a repair, or as asked for."""
    with catalog.write() as connection:
        number = standing_tree(connection, uuid)
        connection.execute(update(file).where(file.c.tree_id == number).values(verified=None))
        connection.execute(verification.delete().where(verification.c.tree_id == number))
