"""The store in a bucket: objects that never change, rows that name them, and a folder of the host to work in.

See port.Store for what each verb promises, and docs/design/0015-object-store.md. Trees have their names in rows
(`s3_rows.ObjectRows`), and `place` changes these. What an attempt works with lies below the data folder of its host, as
in the local store, and nobody else ever reads it.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from scandock.store import paths
from scandock.store.errors import StoreFailed, StoreOther
from scandock.store.local import LocalStore
from scandock.store.memory_budget import MemoryBudget
from scandock.store.moves import MoveTree, PublishNew, PublishReplace, RestoreTree, TrashTree
from scandock.store.packs import attempt_prefix
from scandock.store.part_spools import spool_prefix
from scandock.store.paths import RECEIPT
from scandock.store.records import CompactionResult, Mark, ObjectCensus, StoreEntry, SweepResult, TrashEntry
from scandock.store.root import Root
from scandock.store.s3_compaction import compact
from scandock.store.s3_deletion import MARKER, check_owner, delete_due, read_marker
from scandock.store.s3_manifests import copy_all, store_manifest
from scandock.store.s3_object_spools import S3ObjectSpool
from scandock.store.s3_spools import S3Spool
from scandock.store.s3_stages import S3Stage
from scandock.store.s3_trees import PlaceReader, S3Snapshot, walk_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scandock.store.bucket import Bucket
    from scandock.store.moves import TreeMove
    from scandock.store.object_spools import LocalObjectFile
    from scandock.store.paths import RelPath, TreePath
    from scandock.store.port import Stage, TreeDescription
    from scandock.store.records import FreeSpace
    from scandock.store.s3_rows import ObjectRows
    from scandock.store.stages import LocalStage
    from scandock.store.work_locks import LocalWorkLock

DAY_MS: Final = 24 * 60 * 60 * 1000
ATTEMPT_GRACE_MS: Final = 60 * 60 * 1000
"""How long after its end an attempt's own prefix is swept: requests that were under way have ended by then."""
UPLOAD_MEMORY: Final = 64 * 1024 * 1024
PROBE: Final = "v1/probe"
_MADE_HERE: Final = tuple(f"v1/{kind}/" for kind in "fmprs")
"""What the keys of objects begin by that stores have made, but for the marker and the probe."""
RUBBISH: Final = 1000
COPY_AGAIN_SECONDS: Final = 15 * 60


class S3Store:
    """The store of one bucket, as one host uses it; shared by threads, its handles are for one each."""

    def __init__(
        self,
        data: str,
        bucket: Bucket,
        rows: ObjectRows,
        *,
        garbage_ms: int = 8 * DAY_MS,
        attempt_ms: int = ATTEMPT_GRACE_MS,
        upload_memory: int = UPLOAD_MEMORY,
    ) -> None:
        """`garbage_ms`: how long objects outlive what was shown, or arrived: for readers and restored catalogs.

        `upload_memory`: bytes of uploads that wait here to be sent, all together; small ones of each are not counted.
        """
        self._local = LocalStore(data)
        self._root = Root(data)
        self._bucket = bucket
        self._rows = rows
        self._garbage_ms = garbage_ms
        self._attempt_ms = attempt_ms
        self._upload_memory = upload_memory
        self._memory = MemoryBudget(upload_memory)
        self._places = PlaceReader(rows)
        self._erases = False
        self._is_checked = False
        self._is_adopted = False
        self._unreadable: set[str] = set()
        """Packs that are written anew once there are no others."""
        self._uncopied: dict[int, float] = {}
        """Until when trees are let be of which the catalog says otherwise than their places do."""

    def __reduce__(self) -> tuple[Callable[..., S3Store], tuple[object, ...]]:
        times = (self._garbage_ms, self._attempt_ms)
        return (_reopen, (self.path, self._bucket, self._rows, *times, self._upload_memory))

    @property
    def path(self) -> str:
        return self._local.path

    @property
    def shares_spools(self) -> bool:
        return True

    def prepare(self, *, stored: bool = True) -> None:
        del stored
        self._local.prepare(stored=False)

    def is_prepared(self) -> bool:
        return self._local.is_prepared()

    def check_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        """See port.Store: the bucket is what everything stands in. Fault `store_other` where it is another's."""
        del holds
        if self._is_checked:
            check_owner(self._bucket, self._rows)  # a catalog that was restored may have it by now
        else:
            self._check_marker()
        return []

    def make_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        missing = self.check_areas(holds)
        if not self._is_adopted:
            self._rows.adopt()
            self._is_adopted = True
        return missing

    def _check_marker(self) -> None:
        """Let a catalog work with the bucket alone that its objects are in. One that has none yet may have any bucket
        that is empty: it is marked before the catalog is bound to it (`make_areas`).
        """
        identity = self._rows.identity(os.urandom(16).hex())
        marker = read_marker(self._bucket)
        if marker is None:
            marker = self._mark(identity.marker)
        elif identity.may_succeed(marker):
            self._bucket.put(MARKER, identity.marker.encode("ascii"))
            marker = read_marker(self._bucket)  # another restored catalog may have put its own
        if marker != identity.marker:
            raise StoreOther(self._bucket.url, "the store of another catalog")
        self._is_checked = True

    def _mark(self, marker: str) -> str | None:
        """Mark a bucket that had no marker, and is empty; what it says then. Fault `store_other` where it is not, or
        misses objects.

        Another host that starts at the same time may have marked it meanwhile, and stored objects: so rows are asked
        for before the marker is read again, and the marker of a list counts. Another catalog may be quicker, too.
        """
        with closing(self._rows.named_keys()) as named:
            is_named = next(named, None) is not None
        now = read_marker(self._bucket)
        if now is not None:
            return now
        if is_named:
            raise StoreOther(self._bucket.url, "no store")
        keys = set(self._bucket.list("v1")) - {PROBE}
        if keys and MARKER not in keys:
            raise StoreOther(self._bucket.url, "objects of another catalog, and no marker")
        self._bucket.create(MARKER, marker.encode("ascii"))
        return read_marker(self._bucket)

    def owner(self) -> str:
        return read_marker(self._bucket) or ""

    def succeed(self, owner: str) -> None:
        self._rows.succeed(owner)

    def has_area(self, name: TreePath) -> bool:
        del name
        return True

    def close(self) -> None:
        self._local.close()
        self._root.close()
        self._rows.close()

    def reserve(self, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        """See port.Store: of the host's folder, in which imports work. A bucket has no end."""
        return self._local.reserve(needed, files=files, min_free=min_free)

    def rooms(self) -> dict[str, FreeSpace]:
        return self._local.rooms()

    # what arrives

    def spool(self, upload: str) -> S3Spool:
        return S3Spool(
            self._local,
            self._bucket,
            self._rows,
            upload,
            self._memory,
            garbage_ms=self._garbage_ms,
            erases=self._erases,
        )

    def object_spool(self, upload: str, writer: str = "") -> S3ObjectSpool:
        return S3ObjectSpool(self._root, self._bucket, self._rows, self.spool(upload), writer, self._memory)

    def open_object(self, name: str, head: bytes) -> LocalObjectFile:
        return self._local.open_object(name, head)

    def try_writing(self) -> list[str]:
        self._bucket.put(PROBE, b"")
        return self._local.try_writing()

    def spools(self, *, local: bool = False) -> list[str]:
        here = self._local.spools()
        return here if local else sorted({*self._rows.spools(), *here})

    # what is being made of it

    def hold(self, upload: str, *, force: bool = False) -> LocalWorkLock:
        return self._local.hold(upload, force=force)

    def is_owner_alive(self, upload: str) -> bool:
        """See port.Store: of owners on this host. Of others the lease alone tells."""
        return self._local.is_owner_alive(upload)

    def begin(self, upload: str, token: str) -> S3Stage:
        return self._open_stage(self._local.begin(upload, token))

    def stage(self, upload: str, token: str) -> S3Stage:
        return self._open_stage(self._local.stage(upload, token))

    def take(self, upload: str, old_token: str, new_token: str) -> S3Stage:
        local = self._local.take(upload, old_token, new_token)
        self._rows.take(upload, old_token, new_token)
        return self._open_stage(local)

    def _open_stage(self, local: LocalStage) -> S3Stage:
        reopen = partial(self._local.stage, local.upload, local.token)
        return S3Stage(reopen, local, self._bucket, self._rows, self._places)

    def works(self) -> list[str]:
        return self._local.works()

    def tokens(self, upload: str) -> list[str]:
        return self._local.tokens(upload)

    def finish(self, stage: Stage) -> None:
        if isinstance(stage, S3Stage):
            stage.end()
        self._rows.finish(stage.upload, stage.token)
        self._local.finish(stage)

    def forget(self, upload: str) -> bool:
        return self._local.forget(upload)

    # what people see

    def place(self, moves: Iterable[TreeMove]) -> None:
        rows = self._rows
        for move in moves:
            if isinstance(move, PublishNew | PublishReplace):
                root, name = paths.parse_rel(move.rel), paths.parse_tree(move.name)
                replace, stage = isinstance(move, PublishReplace), move.stage
                rows.publish(stage.upload, stage.token, root, move.mark.number, name, replace=replace)
                if isinstance(stage, S3Stage):
                    stage.drop_folder(root)
            elif isinstance(move, MoveTree):
                old, new = paths.parse_tree(move.old), paths.parse_tree(move.new)
                rows.rename(old, new, move.mark.number, grace_ms=self._garbage_ms)
            elif isinstance(move, RestoreTree):
                trash, name = _checked(move.trash), paths.parse_tree(move.name)
                rows.restore(trash, name, move.mark.number, grace_ms=self._garbage_ms)
            elif isinstance(move, TrashTree):
                note = json.dumps({"was": paths.parse_tree(move.name), **move.note}, sort_keys=True)
                rows.retire(move.name, move.mark.number, _checked(move.trash), note)
            else:
                was = paths.staged_path(paths.stage_folder(move.stage.upload, move.stage.token), move.rel)
                note = json.dumps({"was": was, **move.note}, sort_keys=True)
                rows.retire_staged(move.stage.upload, move.stage.token, move.rel, _checked(move.trash), note)

    def current(self, name: TreePath) -> Mark | None:
        return _mark(self._rows.current(paths.parse_tree(name)))

    def standing(self, name: TreePath, mark: Mark) -> bool | None:
        number = self._rows.current(paths.parse_tree(name))
        return None if number is None else number == mark.number

    def local_path(self, name: TreePath) -> str | None:
        del name
        return None

    def snapshot(self, name: TreePath, mark: Mark | None = None) -> S3Snapshot:
        number = self._rows.current(paths.parse_tree(name)) if mark is None else mark.number
        if number is None:
            raise FileNotFoundError(2, "No such tree", name)
        return S3Snapshot(self._bucket, self._places, name, number)

    def walk(self, prefix: str) -> Iterator[StoreEntry]:
        return self._walk(paths.parse_prefix(prefix))

    def _walk(self, prefix: str) -> Iterator[StoreEntry]:
        for name in self._rows.names(prefix):
            number = self._rows.current(name)
            if number is not None:
                entries = walk_places(name, self._places.all(number))
                yield next(entries, StoreEntry(name, paths.TREE_ROOT, 0, 0, "folder"))
                yield from entries

    def census(self) -> ObjectCensus:
        left = {hash(key) for key in self._rows.named_keys()}  # 90 bytes an object, of which sites have millions
        strange = []
        for key in self._bucket.list("v1"):
            if hash(key) in left:
                left.remove(hash(key))
            elif key not in (MARKER, PROBE):
                strange.append(key)
        missing = sorted(key for key in self._rows.named_keys() if hash(key) in left)
        busy = tuple(f"{prefix}/" for attempt in self._rows.attempts() for prefix in _own_prefixes(*attempt))
        unnamed = [key for key in self._rows.unknown_keys(sorted(strange)) if not key.startswith(busy)]
        return ObjectCensus(unnamed, sorted(set(missing).difference(self._rows.unshown_keys(missing))))

    def delete_unnamed(self, keys: Iterable[str]) -> None:
        self._rows.delete_later((key for key in keys if key.startswith(_MADE_HERE)), grace_ms=self._garbage_ms)

    # what is taken out

    def new_trash_id(self, now: float | None = None) -> str:
        return self._local.new_trash_id(now)

    def trash(self) -> Iterator[TrashEntry]:
        for row in self._rows.trash():
            yield TrashEntry(row.trash, json.loads(row.note))

    def trashed(self, trash: str) -> Mark | None:
        return _mark(self._rows.trashed(_checked(trash)))

    def discard_trash(self, trash: str, *, erase: bool = False) -> None:
        self._rows.give_up([_checked(trash)], at_once=erase)

    def purge(self, older_than: float, *, now: float | None = None) -> list[str]:
        from scandock.store.trash import trashed_at

        limit = (time.time() if now is None else now) - older_than
        old = [row.trash for row in self._rows.trash() if trashed_at(row.trash) <= limit]
        self._rows.give_up(old)
        return old

    def erase_originals(self) -> None:
        self._local.erase_originals()
        self._erases = True

    def sweep(self, seconds: float | None = None) -> SweepResult:
        end = None if seconds is None else time.monotonic() + seconds

        def stop() -> bool:
            return end is not None and time.monotonic() >= end

        deleted, left = self._local.sweep(seconds)
        deleted += self._rows.doom(grace_ms=self._garbage_ms, stop=stop)
        count = 1
        while count and not stop():
            count = delete_due(self._bucket, self._rows, most=RUBBISH)
            deleted += count
        self._sweep_attempts(stop)  # last: where many imports end, their prefixes may take all of the time
        return SweepResult(deleted, max(left, 1) if count else left)  # time over: nobody has looked for more

    def _sweep_attempts(self, stop: Callable[[], bool]) -> None:
        """Delete what ended attempts have stored and no row names: below their own prefixes, where nobody else writes.

        Again a day later, since a request of a stopped process may come late. What hinders one attempt hinders no
        other; the first of these faults is raised at the end.
        """
        failure: StoreFailed | None = None
        attempts = self._rows.ended_attempts(grace_ms=self._attempt_ms)
        if attempts:
            check_owner(self._bucket, self._rows)
        for upload, token in attempts:
            if stop():
                break
            try:
                self._sweep_attempt(upload, token)
            except StoreFailed as fault:
                failure = failure or fault
        if failure is not None:
            raise failure

    def _sweep_attempt(self, upload: str, token: str) -> None:
        for prefix in _own_prefixes(upload, token):
            keys = list(self._bucket.list(prefix))
            for at in range(0, len(keys), RUBBISH):
                self._bucket.delete(self._rows.unknown_keys(keys[at : at + RUBBISH], upload))
        self._rows.swept(upload, token, grace_ms=self._attempt_ms)

    def compact(self, most_bytes: int, stop: Callable[[], bool]) -> CompactionResult:
        grace_ms = self._garbage_ms
        return compact(self._bucket, self._rows, self._unreadable, most_bytes=most_bytes, grace_ms=grace_ms, stop=stop)

    def copy_manifests(self, describe: Callable[[TreePath], TreeDescription | None], stop: Callable[[], bool]) -> int:
        now = time.monotonic()
        self._uncopied = {number: until for number, until in self._uncopied.items() if until > now}

        def make(number: int, name: str) -> bool:
            if number in self._uncopied:
                return False
            described = describe(paths.parse_tree(name))
            if described is None:
                return False
            is_kept = store_manifest(self._bucket, self._rows, self._places, number, name, *described)
            if not is_kept:
                self._uncopied[number] = now + COPY_AGAIN_SECONDS
            return is_kept

        return copy_all(self._rows, make, stop)

    # receipts

    def keep_receipt(self, stage: Stage, rel: RelPath) -> None:
        rows, upload = self._rows, stage.upload
        if isinstance(stage, S3Stage) and stage.staging.exists(rel):
            rows.keep_receipt(upload, stage.token, stage.put_receipt(rel), staged=False, grace_ms=self._garbage_ms)
            stage.staging.remove(rel)
        elif rel == RECEIPT and (key := rows.receipt(upload, staged=True)) is not None:
            rows.keep_receipt(upload, stage.token, key, staged=False, grace_ms=self._garbage_ms)
        elif rows.receipt(upload, staged=False) is None:
            raise FileNotFoundError(2, "No such file in the stage", rel)

    def open_receipt(self, upload: str) -> IO[bytes]:
        import io

        key = self._rows.receipt(paths.label(upload), staged=False)
        if key is None:
            raise FileNotFoundError(2, "No receipt", upload)
        return io.BytesIO(self._bucket.get(key))

    def lost_receipts(self, uploads: Iterable[str]) -> Iterator[str]:
        yield from self._rows.without_receipt(map(paths.label, uploads))

    def drop_receipt(self, upload: str) -> None:
        self._rows.drop_receipt(upload, grace_ms=self._garbage_ms)


def _own_prefixes(upload: str, token: str) -> list[str]:
    """Prefixes below which an attempt alone stores objects; without a token, whoever received the upload."""
    if not token:
        return [spool_prefix(upload)]
    return [attempt_prefix(kind, upload, token) for kind in ("p", "f", "r")]


def _checked(trash: str) -> str:
    """An id of the trash; ValueError."""
    from scandock.store.trash import trashed_at

    trashed_at(trash)
    return trash


def _mark(number: int | None) -> Mark | None:
    return None if number is None else Mark(number)


def _reopen(
    data: str, bucket: Bucket, rows: ObjectRows, garbage_ms: int, attempt_ms: int, upload_memory: int
) -> S3Store:
    return S3Store(data, bucket, rows, garbage_ms=garbage_ms, attempt_ms=attempt_ms, upload_memory=upload_memory)
