"""The store port: what callers may ask of the place where bytes live (design.md "Store port").

Local folders now (`scandock.store.local`), object storage later, no rewrite: callers never join paths, and spools and
stages reopen by id in any process. A *spool* holds an archive as it arrived, a *stage* what one attempt of one import
makes of it, a *tree* is an immutable set of files that makes up a session. tests/integration/store_conformance.py is
what every store has to do.

Errors of all verbs: ValueError for a name or path that may not stand, Fault for the machine's faults (disk_full,
sync_failed, store_failed, ...), TokenLost where another process has taken the stage over.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

from scandock.store.handles import ObjectFile, ObjectSpool, Snapshot, Spool, Stage, WorkLock, Writer
from scandock.store.records import (
    AdoptResult,
    Blob,
    CompactionResult,
    FreeSpace,
    Mark,
    ObjectCensus,
    StoreEntry,
    SweepResult,
    TrashEntry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scandock.store.moves import TreeMove
    from scandock.store.paths import RelPath, TreePath

__all__ = [
    "AdoptResult",
    "Blob",
    "Mark",
    "ObjectFile",
    "ObjectSpool",
    "Snapshot",
    "Spool",
    "Stage",
    "Store",
    "StoreEntry",
    "SweepResult",
    "TrashEntry",
    "WorkLock",
    "Writer",
]


TreeDescription = tuple["Mapping[str, object]", "Callable[[RelPath, RelPath], Mapping[RelPath, tuple[int, bytes]]]"]
"""Of a tree: what it is, as JSON has it, and what gives size and sha256 of its files by their paths, from one path to
another in the order of their bytes: a tree may have more than fit into memory.
"""


class Store(Protocol):
    """All of it; picklable, so that another process gets the same store."""

    @property
    def path(self) -> str:
        """The data folder on this host, for messages and for what is kept beside the store: the catalog, keys."""

    @property
    def shares_spools(self) -> bool:
        """Whether any host may go on with what another has received, once that one is away."""

    def prepare(self, *, stored: bool = True) -> None:
        """Make what is missing; idempotent, also after a kill in the middle.

        Not `stored`: the folders of what was placed are left to `make_stored`.
        """

    def is_prepared(self) -> bool:
        """Whether all that `prepare` makes is there, but for the folders of what was placed."""

    def close(self) -> None:
        """Let go of what is open; a verb that comes later opens it again."""

    def check_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        """Fault store_missing for one of `archive`, `prearchive` and `resources` that is missing, or has nothing in it,
        and is to have: its disk is not mounted, or somebody took it away. Gives the names of the other missing ones.

        `holds` says that when asked for a folder, and whether it stands.
        """

    def make_areas(self, holds: Callable[[str, bool], bool]) -> list[str]:
        """Make those of them that are missing and may be; gives their names. Fault as from `check_stored`."""

    def owner(self) -> str:
        """Whose store it is, as it says itself: what the marker of a bucket says; nothing of folders. Fault."""

    def succeed(self, owner: str) -> None:
        """Let a catalog that is being restored have the store from the next `make_areas` on; `owner` said so until now.

        Fault `catalog` where its restore has ended meanwhile.
        """

    def has_area(self, name: TreePath) -> bool:
        """Whether the folder is there that all trees of the kind of `name` stand in, with anything in it."""

    def reserve(self, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        """Fault disk_full, with figures, unless `needed` bytes and `files` names fit and leave `min_free` bytes.

        Returns the bytes that are available.
        """

    def try_writing(self) -> list[str]:
        """Write and sync a little where uploads arrive and imports work; Fault where that can't be.

        Folders of its own that are missing are made anew, but for those of what was placed; gives their names.
        """

    def rooms(self) -> dict[str, FreeSpace]:
        """What is free wherever files are written, by place: the data folder (`data`, where SQLite's catalog is), each
        of its folders, and the folder for temporary files. Nothing of a place that is not there.
        """

    # what arrives
    def spool(self, upload: str) -> Spool: ...
    def spools(self, *, local: bool = False) -> list[str]:
        """Uploads of which there are bytes; `local`: those alone of which some are in a folder of this host."""

    def object_spool(self, upload: str, writer: str = "") -> ObjectSpool:
        """A spool that grows by whole objects; once finished, `spool` reads it.

        `writer`: the token of the one process that may grow it now, where `shares_spools`; whoever opens it without
        one becomes that. What another one appends is refused then: Fault `spool_taken`.
        """

    def open_object(self, name: str, head: bytes) -> ObjectFile:
        """A file for an object that comes piece by piece: an object spool's entry `name`, which begins by `head`."""

    # what is being made of it
    def hold(self, upload: str, *, force: bool = False) -> WorkLock:
        """Own the upload's work until released or dead; Fault work_held where a living process does.

        `force` takes it from a living owner whose lease is over (a stopped process keeps its locks).
        """

    def is_owner_alive(self, upload: str) -> bool: ...
    def begin(self, upload: str, token: str) -> Stage:
        """The stage of a new attempt, made where missing. Only the attempt itself begins; others use `stage`."""

    def stage(self, upload: str, token: str) -> Stage:
        """Reopen a stage that was begun, in any process; TokenLost where it is gone."""

    def take(self, upload: str, old_token: str, new_token: str) -> Stage:
        """Make the stage of `old_token` that of `new_token`: whatever the old owner still renames fails. Idempotent.

        An empty stage where there is none. Where a kill left it under a third token, that one is taken.
        """

    def works(self) -> list[str]: ...
    def tokens(self, upload: str) -> list[str]: ...
    def finish(self, stage: Stage) -> None:
        """Leave nothing of the upload in staging, this store's hold included.

        TokenLost where another token's stage stands there; repeatable after a kill.
        """

    def forget(self, upload: str) -> bool:
        """Remove an upload's work whoever began it, for recovery; False, and nothing done, where its owner lives."""

    # what people see
    def place(self, moves: Iterable[TreeMove]) -> None:
        """Make moves of trees true, one after the other, and durable: see store/moves.py for what each does.

        Each may be repeated after a kill. TokenLost where a stage has been taken over; Fault `tree_missing` where a
        staged tree is not the one that its mark says. FileExistsError has the name that is taken as its `filename`.
        """

    def current(self, name: TreePath) -> Mark | None:
        """The mark of the tree that stands at `name`, without a stamp; None where none does."""

    def standing(self, name: TreePath, mark: Mark) -> bool | None:
        """Whether the tree of a mark stands at `name`: False where another does, None where none does.

        With a stamp, as a staged tree's mark has one: False also of a copy that has the number by chance.
        """

    def local_path(self, name: TreePath) -> str | None:
        """The folder of a tree, for readers that read it as an archive; None where the store has no folders."""

    def snapshot(self, name: TreePath, mark: Mark | None = None) -> Snapshot:
        """Open the tree at `name`; FileNotFoundError.

        With the mark of an earlier snapshot of that tree: that tree alone, FileNotFoundError where another one stands
        there. A bucket's needs no question then, and is found by its mark also when it stands there no more.
        """

    def walk(self, prefix: str) -> Iterator[StoreEntry]:
        """All that lies under `archive`, `prearchive`, `resources`, a project of these or a name, by folder, sorted."""

    def census(self) -> ObjectCensus:
        """Compare all objects of a bucket with the rows that name them; nothing of folders.

        What only the trash has, or a tree that was replaced, is not missing: an import may have stored it anew.

        For `check`, and for a restore, whose catalog knows nothing of what came after its backup.
        """

    def delete_unnamed(self, keys: Iterable[str]) -> None:
        """Let objects of a census that nothing names be deleted by `sweep`, as late as what was given up just now.

        Those that no store of a bucket has made stay.
        """

    # what is taken out
    def new_trash_id(self, now: float | None = None) -> str:
        """An id for what goes to the trash at a moment, in Unix seconds; without one by the clock of this host."""

    def trash(self) -> Iterator[TrashEntry]: ...
    def trashed(self, trash: str) -> Mark | None:
        """The mark of the tree that lies in the trash under an id, None where none does."""

    def discard_trash(self, trash: str, *, erase: bool = False) -> None:
        """Let an entry of the trash be deleted by a sweep; nothing where it is not there.

        `erase`: by the next one, whoever reads it and whatever backups name, as nobody may know of it.
        """

    def purge(self, older_than: float, *, now: float | None = None) -> list[str]:
        """Give up what was retired more than `older_than` seconds ago; returns the ids."""

    def erase_originals(self) -> None:
        """Delete what arrived and what was staged at once from here on, when it is given up: nobody may know of it."""

    def sweep(self, seconds: float | None = None) -> SweepResult:
        """Delete what was given up, for at most so long; safe beside others, and at any time."""

    def compact(self, most_bytes: int, stop: Callable[[], bool]) -> CompactionResult:
        """Write packs of a bucket anew that have files of trees which are gone, until so many bytes were copied.

        Nothing of folders. What reads meanwhile finds each file where it was or where it went.
        """

    def copy_manifests(self, describe: Callable[[TreePath], TreeDescription | None], stop: Callable[[], bool]) -> int:
        """Store a copy of what is known of each published tree of a bucket that has none; how many. Nothing of folders.

        `describe` gives what that is, by the tree's name, and size and sha256 of its files; None where it isn't known.
        """

    # receipts
    def keep_receipt(self, stage: Stage, rel: RelPath) -> None:
        """Make a file of the stage the upload's receipt, replacing an earlier one; durable, repeatable."""

    def open_receipt(self, upload: str) -> IO[bytes]:
        """The compressed receipt; FileNotFoundError."""

    def lost_receipts(self, uploads: Iterable[str]) -> Iterator[str]:
        """Those of these uploads that have no receipt. Of a bucket rows are asked: `census` tells of its objects."""

    def drop_receipt(self, upload: str) -> None: ...
