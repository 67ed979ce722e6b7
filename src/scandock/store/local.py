"""The local store: folders under DATA (design.md "On disk"). See port.Store for what each verb promises."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from typing import IO, TYPE_CHECKING

from scandock.model.errors import Fault
from scandock.store import file_access, paths, staging
from scandock.store.durability import disk_fault, sync_file, sync_folder
from scandock.store.errors import WorkHeld
from scandock.store.paths import INCOMING, RECEIPTS, WORK
from scandock.store.records import CompactionResult, Mark, ObjectCensus
from scandock.store.root import Root
from scandock.store.spools import LocalSpool
from scandock.store.stages import LocalStage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scandock.store.moves import TreeMove
    from scandock.store.object_spools import LocalObjectFile, LocalObjectSpool
    from scandock.store.paths import DataPath, RelPath, TreePath
    from scandock.store.port import Stage, StoreEntry, SweepResult, TrashEntry, TreeDescription
    from scandock.store.records import FreeSpace
    from scandock.store.snapshots import LocalSnapshot
    from scandock.store.trash import Trash
    from scandock.store.trees import PublishedTrees
    from scandock.store.work_locks import LocalWorkLock


class LocalStore:
    """The store of one DATA. Making one costs nothing and touches nothing; commands call `prepare` once.

    Its handles are for one thread at a time, the store itself may be shared by threads. What reader processes don't
    need is imported where it is used: they start in no time.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Root(os.fspath(root))
        self._holds: dict[str, LocalWorkLock] = {}

    @cached_property
    def _trees(self) -> PublishedTrees:
        from scandock.store.trees import PublishedTrees

        return PublishedTrees(self._root)

    @cached_property
    def _trash(self) -> Trash:
        from scandock.store.trash import Trash

        return Trash(self._root)

    def __reduce__(self) -> tuple[type[LocalStore], tuple[str]]:
        return (LocalStore, (self._root.path,))

    @property
    def path(self) -> str:
        """DATA; for the messages and the local fast paths, not to be joined to."""
        return self._root.path

    @property
    def shares_spools(self) -> bool:
        return False

    def prepare(self, *, stored: bool = True) -> None:
        self._root.prepare(stored=stored)

    def is_prepared(self) -> bool:
        return self._root.is_prepared()

    def check_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        return [*self._root.check_areas(holds)]

    def make_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        return [*self._root.make_areas(holds)]

    def owner(self) -> str:
        return ""

    def succeed(self, owner: str) -> None:
        del owner

    def has_area(self, name: TreePath) -> bool:
        area = paths.area_of(name)
        return self._root.stands(area) and not self._root.is_empty(area)

    def close(self) -> None:
        self._root.close()

    def reserve(self, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        from scandock.store.space import reserve

        return reserve(self._root, needed, files, min_free)

    def rooms(self) -> dict[str, FreeSpace]:
        from scandock.store.space import rooms

        return rooms(self._root)

    # what arrives

    def spool(self, upload: str) -> LocalSpool:
        return LocalSpool(self._root, upload)

    def object_spool(self, upload: str, writer: str = "") -> LocalObjectSpool:
        del writer
        from scandock.store.object_spools import LocalObjectSpool

        return LocalObjectSpool(self._root, upload)

    def open_object(self, name: str, head: bytes) -> LocalObjectFile:
        from scandock.store.object_spools import LocalObjectFile

        return LocalObjectFile(self._root, name, head)

    def try_writing(self) -> list[str]:
        from scandock.store.space import try_writing

        return try_writing(self._root)

    def spools(self, *, local: bool = False) -> list[str]:
        del local
        return self._root.list(INCOMING)

    # what is being made of it

    def hold(self, upload: str, *, force: bool = False) -> LocalWorkLock:
        from scandock.store.work_locks import LocalWorkLock

        hold = self._holds[upload] = LocalWorkLock(self._root, upload, force=force)
        return hold

    def is_owner_alive(self, upload: str) -> bool:
        from scandock.store.work_locks import is_owner_alive

        return is_owner_alive(self._root, upload)

    def begin(self, upload: str, token: str) -> LocalStage:
        return staging.begin(self._root, upload, token)

    def stage(self, upload: str, token: str) -> LocalStage:
        return LocalStage(self._root, upload, token)

    def take(self, upload: str, old_token: str, new_token: str) -> LocalStage:
        return staging.take(self._root, upload, old_token, new_token)

    def works(self) -> list[str]:
        return [name for name in self._root.list(WORK) if staging.is_work(self._root, name)]

    def tokens(self, upload: str) -> list[str]:
        return staging.stage_tokens(self._root, upload)

    def finish(self, stage: Stage) -> None:
        staging.finish(self._root, stage.upload, stage.token)
        stage.close()
        with contextlib.suppress(Fault):  # another's hold: its own release removes lock and folder
            self._own_hold(stage.upload).release()

    def forget(self, upload: str) -> bool:
        try:
            hold = self._own_hold(upload)
        except WorkHeld:
            return False
        with hold:
            staging.forget(self._root, upload)
        return True

    def _own_hold(self, upload: str) -> LocalWorkLock:
        """The hold that this store has on the upload, taken now if it has none."""
        hold = self._holds.pop(upload, None)
        return hold if hold is not None and hold.held else self.hold(upload)

    # what people see

    def place(self, moves: Iterable[TreeMove]) -> None:
        from scandock.store.placing import place

        place(moves, self._trees, self._trash)

    def current(self, name: TreePath) -> Mark | None:
        return _mark(self._root.inode(paths.parse_tree(name)))

    def standing(self, name: TreePath, mark: Mark) -> bool | None:
        return self._trees.standing(name, mark)

    def local_path(self, name: TreePath) -> str:
        return f"{self.path}/{paths.parse_tree(name)}"

    def snapshot(self, name: TreePath, mark: Mark | None = None) -> LocalSnapshot:
        from scandock.store.snapshots import LocalSnapshot

        snapshot = LocalSnapshot(self._root, name)
        if mark is not None and snapshot.mark != mark:
            snapshot.close()
            raise FileNotFoundError(2, "Another tree stands there", name)
        return snapshot

    def walk(self, prefix: str) -> Iterator[StoreEntry]:
        from scandock.store.snapshots import walk

        return walk(self._root, prefix)

    def census(self) -> ObjectCensus:
        return ObjectCensus([], [])

    def delete_unnamed(self, keys: Iterable[str]) -> None:
        del keys

    # what is taken out

    def new_trash_id(self, now: float | None = None) -> str:
        from scandock.store.trash import new_trash_id

        return new_trash_id(now)

    def trash(self) -> Iterator[TrashEntry]:
        return self._trash.entries()

    def trashed(self, trash: str) -> Mark | None:
        return _mark(self._trash.standing(trash))

    def discard_trash(self, trash: str, *, erase: bool = False) -> None:
        del erase  # the next sweep deletes it anyway
        self._trash.discard(trash)

    def purge(self, older_than: float, *, now: float | None = None) -> list[str]:
        return self._trash.purge(older_than, now)

    def erase_originals(self) -> None:
        self._root.erases = True

    def sweep(self, seconds: float | None = None) -> SweepResult:
        from scandock.store.sweep import sweep

        return sweep(self._root.fd, self._trash.rubbish(), seconds)

    def compact(self, most_bytes: int, stop: Callable[[], bool]) -> CompactionResult:
        del most_bytes, stop
        return CompactionResult(0, 0)

    def copy_manifests(self, describe: Callable[[TreePath], TreeDescription | None], stop: Callable[[], bool]) -> int:
        del describe, stop
        return 0

    # receipts

    def keep_receipt(self, stage: Stage, rel: RelPath) -> None:
        target = paths.receipt_file(stage.upload)
        source = paths.staged_path(_path(stage), rel)
        try:
            sync_file(source, self._root.fd)
            os.rename(source, target, src_dir_fd=self._root.fd, dst_dir_fd=self._root.fd)
        except FileNotFoundError:
            if self._root.inode(target) is None:
                raise
        except OSError as error:
            raise disk_fault(error, f"keeping the receipt of {stage.upload}") from error
        sync_folder(RECEIPTS, self._root.fd)

    def open_receipt(self, upload: str) -> IO[bytes]:
        return file_access.open_file(paths.receipt_file(upload), self._root.fd)

    def lost_receipts(self, uploads: Iterable[str]) -> Iterator[str]:
        for upload in uploads:
            if self._root.inode(paths.receipt_file(upload)) is None:
                yield upload

    def drop_receipt(self, upload: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(paths.receipt_file(upload), dir_fd=self._root.fd)


def _mark(number: int | None) -> Mark | None:
    return None if number is None else Mark(number)


def _path(stage: Stage) -> DataPath:
    return paths.stage_folder(stage.upload, stage.token)
