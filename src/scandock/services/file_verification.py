"""Verification: what was placed is read again in the background, its sha256 confirmed and its MD5 recorded.

A new tree is read soon after it was placed, but for what it took over from an old one by hard links. From then on every
file is read again within a period, so that what rots on the disk is found: it stands in a list (`damage.py`) until it
reads as it was stored, or an import has stored it again. Images from before their project began to de-identify get
their origins as they are read.
"""

from __future__ import annotations

import builtins
import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, field
from functools import partial
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from scandock.access.principal import SYSTEM
from scandock.catalog.deliveries import enqueue_damage
from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.file_rows import FileRow
from scandock.catalog.own_resources import Holder, current_tree_id, find_holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import damage, verification
from scandock.catalog.tables import ecat_file, intent, session, shelf, tree, upload
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import change_files, files_of, mend_files
from scandock.catalog.verified_files import (
    add_digests,
    forget_verified,
    note_verified,
    read_digests,
    read_learned,
    read_spans,
)
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS
from scandock.model.errors import Fault
from scandock.model.upload_log import log_step
from scandock.pipeline.known_entries import OriginHash
from scandock.rules.privacy import PrivacyRules
from scandock.services import audit
from scandock.services.own_resources import audit_target
from scandock.services.rate_limit import RateLimiter
from scandock.services.records import StoredFile
from scandock.store.errors import StoreFailed
from scandock.store.paths import tree_path
from scandock.store.port import Snapshot, Store

BATCH: Final = 200
BATCH_SECONDS: Final = 1.0
TURN_SECONDS: Final = 20.0
"""How long one tree is read before another has its turn; it is gone on with where it was left."""

_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationPlan:
    """When stored files are read again, how fast, and who hears of damage."""

    days: int = 90
    """Within so many days every file is read again."""
    pace: RateLimiter = field(default_factory=RateLimiter)
    mail: bool = False
    """Whether administrators are sent mail of damage, unasked."""
    now: Callable[[Connection], int] | None = None
    """The moment, in Unix milliseconds; not given: the database's clock."""
    rules_of: Callable[[str], PrivacyRules | None] = lambda project: None  # noqa: ARG005
    """By what the objects of a project are de-identified."""

    def moment(self, catalog: Catalog, connection: Connection) -> int:
        if self.now is not None:
            return self.now(connection)
        return int(connection.execute(select(catalog.now())).scalar_one())

    def due_before(self, now: int) -> int:
        """A tree is due with a file that was read before this: a tenth of the period is left to get round to it."""
        return now - self.days * DAY_MS * 9 // 10

    def read_before(self, begun: int) -> int:
        """Once a tree is due, all its files are read that were before this: half a period, so that rounds are few."""
        return begun - self.days * DAY_MS // 2


@dataclass(slots=True)
class VerificationCounts:
    """What one call has read."""

    files: int = 0
    bytes: int = 0
    problems: int = 0
    trees: int = 0
    """Trees whose verification came to its end."""

    def add(self, other: VerificationCounts) -> None:
        for name in ("files", "bytes", "problems", "trees"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Verifier:
    """Reads what is to be read, a turn at a time: what a person asked for, else new trees and old ones by turns.

    So neither keeps the other waiting: not a site that imports all day its old trees, nor a backlog the new ones.
    """

    def __init__(self, catalog: Catalog, store: Store, plan: VerificationPlan) -> None:
        self._catalog = catalog
        self._store = store
        self._plan = plan
        self._turns = 0

    def run(self, seconds: float, stop: Callable[[], bool] = lambda: False) -> VerificationCounts:
        """Verify for about so long, or until `stop`. May be ended at any time: nothing is lost but a batch."""
        done = VerificationCounts()
        deadline = time.monotonic() + seconds
        passed: set[int] = set()
        while time.monotonic() < deadline and not stop():
            self._turns += 1
            with self._catalog.read() as connection:
                now = self._plan.moment(self._catalog, connection)
                chosen = _find_next(connection, passed, self._plan.due_before(now), new_first=self._turns % 2 == 1)
            if chosen is None:
                break
            until = min(deadline, time.monotonic() + TURN_SECONDS)
            if not self._turn(chosen, done, lambda until=until: time.monotonic() >= until, stop):  # type: ignore[misc]
                passed.add(chosen.tree_id)
        return done

    def _turn(
        self, chosen: Holder, done: VerificationCounts, late: Callable[[], bool], stop: Callable[[], bool]
    ) -> bool:
        return _TreeVerification(self._catalog, self._store, self._plan, chosen, done, stop).run(late)


def verify_now(catalog: Catalog, store: Store, holder: Holder) -> None:
    """Verify one session's new tree, or that of own resources, to its end, for who needs its MD5s at once."""
    with catalog.read() as connection:
        finished = select(verification.c.finished).where(verification.c.tree_id == holder.tree_id)
        if connection.execute(finished).scalar_one_or_none() is not None:
            return
    verify_tree(catalog, store, holder, VerificationPlan())


def verify_tree(catalog: Catalog, store: Store, holder: Holder, plan: VerificationPlan) -> VerificationCounts:
    """Verify one tree to its end, whoever waits; no `trees` where it can't be read now, as it is being replaced."""
    done = VerificationCounts()
    _TreeVerification(catalog, store, plan, holder, done, lambda: False).run(lambda: False)
    return done


def mark_for_verification(catalog: Catalog, connection: Connection, *tree_ids: int) -> None:
    """Have every file of trees read once more, before all others: after a repair, or as a person asked for it."""
    values = {"begun": catalog.now(), "asked": catalog.now(), "done_n": -1, "doubted": catalog.now()}
    for part in split_values(sorted(tree_ids)):
        _lock_trees(connection, *part)
        where = verification.c.tree_id.in_(part)
        rows = connection.execute(
            update(verification).where(where).values(**values).returning(verification.c.tree_id)
        ).scalars().all()  # fmt: skip
        for tree_id in sorted({*part} - {*rows}):
            connection.execute(insert(verification).values(tree_id=tree_id, **values))


def verify_soon(catalog: Catalog, uuid: str) -> None:
    """Have a session, or own resources, read first, as a reader did not find a file; nothing where it waits."""

    def ask(connection: Connection) -> None:
        tree_id = current_tree_id(connection, uuid)
        if tree_id is None:
            return
        query = select(verification.c.asked).where(verification.c.tree_id == tree_id)
        if connection.execute(query).scalar_one_or_none() is None:
            mark_for_verification(catalog, connection, tree_id)

    catalog.note(("verify soon", uuid), ask)


def _lock_trees(connection: Connection, *tree_ids: int) -> None:
    """Let nobody else note what came of reading these trees until this transaction ends.

    A command reads beside a server's worker. On SQLite no two write at once anyway.
    """
    connection.execute(
        select(tree.c.id).where(tree.c.id.in_(tree_ids)).order_by(tree.c.id).with_for_update(key_share=True)
    )


def _find_next(connection: Connection, passed: set[int], due_before: int, *, new_first: bool) -> Holder | None:
    """Whose tree is to be verified, or to be verified further; of sessions and own resources alike."""
    is_requested = verification.c.asked.is_not(None)
    new = verification.c.finished.is_(None)
    old = and_(
        verification.c.finished.is_not(None),
        or_(verification.c.begun.is_not(None), verification.c.oldest <= due_before),
    )
    by_turns = [(new, "modified"), (old, "oldest")]
    for where, order in [(is_requested, "asked"), *(by_turns if new_first else reversed(by_turns))]:
        candidates = [
            row
            for table in (session, shelf)
            if (row := connection.execute(_find_first(table, passed, where, order)).first()) is not None
        ]
        if candidates:
            return find_holder(connection, min(candidates, key=lambda row: int(row.at)).uuid)
    return None


def _find_first(table: Table, passed: set[int], where: ColumnElement[bool], order: str) -> Select[Any]:
    """Which session, or shelf, comes first by a time of its own, or of its verification."""
    at = table.c[order] if order == "modified" else verification.c[order]
    return (
        select(table.c.uuid, at.label("at"))
        .outerjoin(verification, verification.c.tree_id == table.c.tree_id)
        .where(where, table.c.tree_id.not_in(sorted(passed)))
        .order_by(at)
        .limit(1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """What is wrong with a file of a tree, or (no number) with its folder: columns of `damage`."""

    file_n: int | None
    kind: str
    bytes: int | None = None
    error: str = ""


@dataclass(slots=True)
class _Batch:
    """Files of a tree behind number `after`, up to number `at`; `last` where none follows."""

    after: int
    at: int
    last: bool
    files: int = 0
    bytes: int = 0
    digests: dict[int, builtins.bytes] = field(default_factory=dict)
    """The MD5 of those that are whole, by their numbers."""
    old_digests: dict[int, builtins.bytes] = field(default_factory=dict)
    """The same of those that were not read, where their rows have it."""
    moments: dict[int, int | None] = field(default_factory=dict)
    """When each was read whole before, by its number; None: it was not, or was read just now."""
    problems: list[_Problem] = field(default_factory=list)
    origins: dict[int, builtins.bytes] = field(default_factory=dict)
    """What those among them are known by from here on that were never de-identified, by their numbers."""


def _ends(numbers: Iterable[int]) -> tuple[int, int]:
    """The first and the last of sorted numbers."""
    ordered = list(numbers)
    return ordered[0], ordered[-1]


class _Stopped(Exception):
    """What is read is to be left at once; it is read again from the file's beginning."""


@dataclass(slots=True)
class _TreeVerification:
    """One tree, read from where it was left."""

    catalog: Catalog
    store: Store
    plan: VerificationPlan
    holder: Holder
    done: VerificationCounts
    stop: Callable[[], bool]
    rules: PrivacyRules | None = field(init=False)

    def __post_init__(self) -> None:
        self.rules = self.plan.rules_of(self.holder.project)

    def run(self, late: Callable[[], bool]) -> bool:
        """Read until `late` or to the tree's end; False where it can't be now, as it is being replaced."""
        try:
            snapshot = self.store.snapshot(tree_path(self.holder.parts))
        except FileNotFoundError:
            return self._note_missing()
        with snapshot:
            with self.catalog.write() as connection:
                begun = self._begin(connection)
                if begun is None:
                    return False
                connection.execute(damage.delete().where(self._damage, damage.c.file_n.is_(None)))
            at, read_before = begun
            while not self.stop():
                batch = self._read(snapshot, at, read_before)
                with self.catalog.write() as connection:
                    if not self._is_current(connection):
                        return False
                    doubtful = self._write(connection, batch)
                self._drop_packs(doubtful)
                at = batch.at
                self.done.files += batch.files
                self.done.bytes += batch.bytes
                self.done.problems += len(batch.problems)
                self.done.trees += batch.last
                if batch.last or late():
                    break
        return True

    @property
    def _damage(self) -> ColumnElement[bool]:
        return damage.c.tree_id == self.holder.tree_id

    @property
    def _verification(self) -> ColumnElement[bool]:
        return verification.c.tree_id == self.holder.tree_id

    def _note_missing(self) -> bool:
        """Note that a session's folder is not there, unless it is just being moved or replaced.

        Nor where all others are gone with it: that is a disk which is not mounted, and is waited for.
        """
        if not self.store.has_area(tree_path(self.holder.parts)):
            return False
        with self.catalog.write() as connection:
            moving = connection.execute(
                select(intent.c.id)
                .where((intent.c.tree_id == self.holder.tree_id) | (intent.c.base_tree_id == self.holder.tree_id))
                .limit(1)
            ).first()
            now = find_holder(connection, self.holder.uuid)
            if moving is not None or now is None or now.parts != self.holder.parts or self._begin(connection) is None:
                return False
            self._write(connection, _Batch(-1, -1, last=True, problems=[_Problem(file_n=None, kind="folder_missing")]))
        self.done.problems += 1
        self.done.trees += 1
        return True

    def _begin(self, connection: Connection) -> tuple[int, int] | None:
        """After which file to go on, and when those were read last that are to be read; None where the tree is gone."""
        if not self._is_current(connection):
            return None
        _lock_trees(connection, self.holder.tree_id)
        now = self.plan.moment(self.catalog, connection)
        row = connection.execute(select(verification).where(self._verification)).first()
        if row is None:
            connection.execute(insert(verification).values(tree_id=self.holder.tree_id, done_n=-1, begun=now))
            return -1, self.plan.read_before(now)
        if row.begun is None:
            values = {"done_n": -1, "begun": now, "doubted": now}
            connection.execute(update(verification).where(self._verification).values(values))
            return -1, self.plan.read_before(now)
        return row.done_n, row.begun if row.asked is not None else self.plan.read_before(row.begun)

    def _is_current(self, connection: Connection) -> bool:
        return current_tree_id(connection, self.holder.uuid) == self.holder.tree_id

    def _read(self, snapshot: Snapshot, at: int, read_before: int) -> _Batch:
        """Read the next files of a tree, for a second or to the end of one file."""
        with self.catalog.read() as connection:
            tree_id = self.holder.tree_id
            places = read_places(connection, tree_id)
            with closing(files_of(connection, tree_id, at + 1)) as files:
                rows = list(islice((row for row in files if row.resource_n in places), BATCH))
            numbers = (rows[0].n, rows[-1].n) if rows else (0, -1)
            facts = read_learned(connection, tree_id, *numbers)
            ecat = select(ecat_file.c.n).where(ecat_file.c.tree_id == tree_id, ecat_file.c.n.between(*numbers))
            ecat_numbers = set(connection.execute(ecat).scalars())
        batch = _Batch(at, at, len(rows) < BATCH)
        until = time.monotonic() + BATCH_SECONDS
        for row in rows:
            stored = StoredFile.make(row, places[row.resource_n])
            verified = facts.moment(stored.n)
            if verified is None or verified < read_before:
                origin_hash = self._make_origin_hash(row, is_ecat=row.n in ecat_numbers)
                try:
                    self._read_one(snapshot, batch, stored, origin_hash)
                except _Stopped:
                    batch.last = False
                    break
                batch.moments[stored.n] = None
            else:
                batch.moments[stored.n] = verified
                md5 = facts.md5(stored.n)
                if md5 is not None:
                    batch.old_digests[stored.n] = md5
            batch.at = stored.n
            if row is not rows[-1] and (time.monotonic() > until or self.stop()):
                batch.last = False
                break
        return batch

    def _make_origin_hash(self, row: FileRow, *, is_ecat: bool) -> OriginHash | None:
        """What tells the origin of a file that has none; None of one that needs none."""
        has_origin = row.origin is not None or row.rules is not None
        if self.rules is None or has_origin or (row.sop_uid is None and not is_ecat):
            return None
        return OriginHash(self.rules, row.dataset_at if row.sop_uid is not None else None)

    def _read_one(self, snapshot: Snapshot, batch: _Batch, stored: StoredFile, origin_hash: OriginHash | None) -> None:
        ours, digest = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        length = 0
        try:
            with snapshot.open(stored.path) as stream:
                while chunk := stream.read(_CHUNK):
                    ours.update(chunk)
                    digest.update(chunk)
                    if origin_hash is not None:
                        origin_hash.add(chunk)
                    length += len(chunk)
                    self.plan.pace.spend(len(chunk))
                    if length < stored.bytes and self.stop():
                        raise _Stopped
        except FileNotFoundError:
            batch.problems.append(_Problem(file_n=stored.n, kind="missing"))
        except (OSError, Fault) as error:
            if isinstance(error, StoreFailed):
                self.store.owner()  # Fault where all of a bucket is away, which is no damage of this file
            batch.problems.append(_Problem(file_n=stored.n, kind="unreadable", error=type(error).__name__))
        else:
            if length != stored.bytes or ours.digest() != stored.sha256:
                batch.problems.append(_Problem(file_n=stored.n, kind="changed", bytes=length))
            else:
                batch.digests[stored.n] = digest.digest()
                origin = origin_hash.origin(stored.sha256) if origin_hash is not None else None
                if origin is not None:
                    batch.origins[stored.n] = origin
        batch.files += 1
        batch.bytes += length

    def _drop_packs(self, numbers: set[int]) -> None:
        """Remove what was read of files whose bytes were others, or are the stored ones again."""
        if numbers and isinstance(self.holder, SessionRecord):
            from scandock.services.dicomweb_packs import PackStore, pack_tree

            tree = pack_tree(self.holder.tree_id, self.holder.uuid)
            PackStore(self.store.path, 0, 0).drop_damaged(tree, numbers)

    def _write(self, connection: Connection, batch: _Batch) -> set[int]:
        """Note a batch, and the end of the round where it is the last; the files that are or were damaged."""
        now = self.plan.moment(self.catalog, connection)
        tree_id = self.holder.tree_id
        _lock_trees(connection, tree_id)
        known_numbers = set(connection.execute(select(damage.c.file_n).where(self._damage)).scalars())
        begun = connection.execute(select(verification.c.begun).where(self._verification)).scalar_one_or_none() or now
        if batch.moments:
            moments = [(n, now if n in batch.digests else moment) for n, moment in batch.moments.items()]
            note_verified(connection, tree_id, (batch.after, None if batch.last else batch.at), moments, begun)
            known_digests = read_digests(connection, tree_id, *_ends(batch.moments))
            digests = {**batch.old_digests, **batch.digests}
            add_digests(connection, tree_id, {n: digests[n] for n in digests if n not in known_digests})
            mend_files(connection, tree_id, [n for n in batch.digests if n in known_numbers])
        elif batch.last and not batch.problems:
            note_verified(connection, tree_id, (batch.after, None), (), begun)
        change_files(connection, tree_id, {n: {"origin": origin} for n, origin in batch.origins.items()})
        for problem in batch.problems:
            self._note(connection, problem, now, is_known=problem.file_n in known_numbers)
        if any(problem.file_n not in known_numbers for problem in batch.problems):
            enqueue_damage(self.catalog, connection, self.holder.project, mail=self.plan.mail)
        values: dict[str, object] = {"done_n": batch.at}
        doubtful = {problem.file_n for problem in batch.problems} | (known_numbers & batch.digests.keys())
        if doubtful:
            values["doubted"] = now
        if batch.last:
            values.setdefault("doubted", case((verification.c.doubted.is_not(None), now)))
            oldest = min((span.verified for span in read_spans(connection, tree_id)), default=now)
            values |= {"finished": now, "begun": None, "asked": None, "oldest": oldest}
        connection.execute(update(verification).where(self._verification).values(**values))
        if batch.last:
            self._tell(connection)
        return {n for n in doubtful if n is not None}

    def _note(self, connection: Connection, problem: _Problem, now: int, *, is_known: bool) -> None:
        """Keep what is wrong with a file, or (no number) with the folder; when it was found first stays."""
        tree_id, n = self.holder.tree_id, problem.file_n
        if is_known:
            where = damage.c.file_n.is_(None) if n is None else damage.c.file_n == n
            connection.execute(update(damage).where(self._damage, where).values(**asdict(problem)))
        else:
            connection.execute(insert(damage).values(tree_id=tree_id, found=now, **asdict(problem)))
        if n is not None:
            forget_verified(connection, tree_id, [n])

    def _tell(self, connection: Connection) -> None:
        """Write to the log that a round has ended, and to the audit trail what with, where it is damage."""
        count = connection.execute(select(func.count()).where(self._damage)).scalar_one()
        stored_by = select(upload.c.uuid).join(tree, tree.c.upload_id == upload.c.id)
        uuid = connection.execute(stored_by.where(tree.c.id == self.holder.tree_id)).scalar_one_or_none()
        verified = partial(log_step, "stored files verified", uuid, holder=self.holder.uuid, damaged=count)
        self.catalog.after_commit(connection, verified)
        if not count:
            return
        kind, target = audit_target(self.holder)
        audit.record(
            connection,
            SYSTEM,
            audit.AuditAction.VERIFY,
            kind,
            target,
            project=self.holder.project,
            outcome=audit.AuditOutcome.FAILED,
            details={"problems": count},
        )
