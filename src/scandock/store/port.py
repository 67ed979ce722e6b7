"""The store port: what callers may ask of the place where bytes live (design.md "Store port").

Local folders now (`scandock.store.local`), object storage later, no rewrite: callers never join paths, and spools and
stages reopen by id in any process. A *spool* holds an archive as it arrived, a *stage* what one attempt of one import
makes of it, a *tree* is an immutable set of files that makes up a session. tests/integration/store_conformance.py is
what every store has to do.

Errors of all verbs: ValueError for a name or path that may not stand, Fault for the machine's faults (disk_full,
sync_failed, store_failed, ...), TokenLost where another process has taken the stage over.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType


class Blob(NamedTuple):
    """Where the bytes of one stored file are; opaque to callers, a packing store may point into a larger object."""

    object: str
    offset: int
    length: int
    size: int
    sha256: bytes
    """32 bytes as the writer's caller computed them; empty where it gave none."""


class Tree(NamedTuple):
    """A tree that is staged: `rel` in its stage, and the number that tells it from every other living tree."""

    rel: str
    inode: int


class Capabilities(NamedTuple):
    """What the store's file system can do; callers journal the steps of a switch where `exchange` is False."""

    filesystem: str
    exchange: bool
    noreplace: bool
    links: bool
    sync_tells: bool
    """One sync tells of every write error; else `seal` syncs file by file."""


class Found(NamedTuple):
    """One thing under a prefix, as `walk` meets it; `kind` is file, folder (an empty one), link or other."""

    name: str
    rel: str
    size: int
    inode: int
    kind: str


class Adopted(NamedTuple):
    """Files that `adopt` took over, and how."""

    linked: int
    copied: int


class TrashEntry(NamedTuple):
    """A tree in the trash: its id, when it came (Unix seconds), and what it was (`was`, and the caller's note)."""

    id: str
    retired: int
    what: dict[str, object]


class Swept(NamedTuple):
    """What a sweep did: files and folders deleted, and entries still there (time over, or still being read)."""

    deleted: int
    left: int


class Spool(Protocol):
    """The bytes of one upload as they arrive; `incoming/{upload}` in the local store."""

    upload: str

    def append(self, offset: int, data: bytes | memoryview) -> int:
        """Write `data` at `offset` and return the new size; what was beyond `offset` is dropped (sent again).

        ValueError where `offset` would leave a gap. Synced by itself every 64 MB.
        """

    def sync(self) -> int:
        """Make all of it durable, name included; returns the durable offset. After a Fault the spool is empty."""

    def read_at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`, fewer only at the end."""

    def readinto_at(self, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`; returns the bytes read, fewer than asked for only at the end."""

    def size(self) -> int:
        """Bytes received so far, durable or not."""

    def local_path(self) -> str | None:
        """Path of the bytes, for a fast path of readers; None where the store has no files."""

    def discard(self) -> None:
        """Remove it; done already is fine. The deleting itself is left to `Store.sweep`."""

    def close(self) -> None: ...


class Writer(Protocol):
    """One file being written; as a context manager it closes, or on an exception aborts."""

    size: int

    def write(self, data: bytes | memoryview) -> int:
        """Append all of `data`; returns its bytes."""

    def close(self, sha256: bytes = b"") -> Blob:
        """Finish; durable only after the stage's `seal`."""

    def abort(self) -> None:
        """Remove what was written."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Stage(Protocol):
    """What one attempt prepares, invisible to all; `work/{upload}/{token}` in the local store. One thread at a time."""

    upload: str
    token: str

    def put(self, rel: str) -> Writer:
        """Open a new file; its folders are made. FileExistsError where the name is taken, by anyone's write."""

    def put_whole(self, rel: str, data: bytes | memoryview, sha256: bytes = b"") -> Blob:
        """`put`, write and close in one: the fast way for a file that is in memory."""

    def adopt(self, name: str, pairs: Iterable[tuple[str, str]]) -> Adopted:
        """Take files of the published tree `name` over: (relpath there, relpath here); no bytes move where links can.

        FileNotFoundError and FileExistsError as they say; Fault tree_damaged where one is no regular file.
        """

    def move(self, old: str, new: str) -> None:
        """Rename a file or folder inside the stage; FileExistsError where `new` is there, FileNotFoundError."""

    def remove(self, rel: str) -> None:
        """Remove a file or folder; one that isn't there is fine."""

    def clear(self) -> None:
        """Remove everything in it."""

    def seal(self) -> None:
        """Make all that any process wrote to it durable; idempotent. Fault sync_failed voids the attempt."""

    def open(self, rel: str, offset: int = 0, length: int | None = None) -> IO[bytes]:
        """A seekable reader of a file, or of a range of it."""

    def read_at(self, rel: str, offset: int, length: int) -> bytes: ...

    def exists(self, rel: str) -> bool: ...

    def list(self, rel: str = "") -> list[str]:
        """Sorted names in a folder of the stage; none where it isn't there."""

    def walk(self, rel: str = "") -> Iterator[Found]:
        """Everything below `rel`, as relpaths of the stage; `name` is empty."""

    def inode(self, rel: str) -> int | None:
        """The number of a file or folder, kept by every rename; None where it isn't there."""

    def close(self) -> None: ...


class Snapshot(Protocol):
    """A published tree as it stood when opened: stays readable when it is replaced, retired or deleted."""

    name: str
    inode: int

    def open(self, rel: str, offset: int = 0, length: int | None = None) -> IO[bytes]:
        """A seekable reader of a file, or of a range of it; FileNotFoundError."""

    def walk(self) -> Iterator[Found]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Snapshot: ...

    def __exit__(self, *args: object) -> None: ...


class Hold(Protocol):
    """A lock on an upload's work, gone with the process that holds it; a context manager."""

    def release(self) -> None: ...

    def __enter__(self) -> Hold: ...

    def __exit__(self, *args: object) -> None: ...


class Store(Protocol):
    """All of it; picklable, so that another process gets the same store."""

    def prepare(self) -> None:
        """Make what is missing; idempotent, also after a kill in the middle."""

    def capabilities(self) -> Capabilities: ...

    def reserve(self, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        """Fault disk_full, with figures, unless `needed` bytes and `files` names fit and leave `min_free` bytes.

        Returns the bytes that are available.
        """

    # what arrives
    def spool(self, upload: str) -> Spool: ...
    def spools(self) -> list[str]: ...

    # what is being made of it
    def hold(self, upload: str) -> Hold:
        """Own the upload's work until released or dead; Fault work_held where a living process does."""

    def owner_alive(self, upload: str) -> bool: ...
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
        """Leave nothing of the upload in staging; TokenLost where another token's stage stands there."""

    def forget(self, upload: str) -> None:
        """Remove an upload's work whoever began it: for recovery, when its owner is dead."""

    # what people see
    def publish_new(self, stage: Stage, rel: str, name: str, *, inode: int | None = None, settle: bool = True) -> None:
        """Make the staged tree `rel` the tree `name`; FileExistsError where there is one.

        With `inode`, the number that the intent recorded, it may be repeated after a kill.
        """

    def publish_exchange(
        self, stage: Stage, rel: str, name: str, *, inode: int | None = None, settle: bool = True
    ) -> None:
        """Swap the staged tree and the tree `name`: the old one then stands in the stage at `rel`.

        With `inode` (of the new tree, from the intent) it may be repeated after a kill. FileNotFoundError where there
        is no tree `name`.
        """

    def rename(self, old: str, new: str, *, inode: int | None = None, settle: bool = True) -> None:
        """Move a published tree; FileExistsError where `new` is there, FileNotFoundError. Repeatable with `inode`."""

    def settle(self) -> None:
        """Make every switch done with `settle=False` durable at once."""

    def current(self, name: str) -> int | None:
        """The number of the tree that stands at `name`, None where none does."""

    def snapshot(self, name: str) -> Snapshot:
        """Open the tree at `name`; FileNotFoundError."""

    def walk(self, prefix: str) -> Iterator[Found]:
        """All that lies under `archive`, `prearchive`, a project of these or a name, folder by folder, sorted."""

    # what is taken out
    def retire(
        self,
        name: str,
        *,
        stage: Stage | None = None,
        note: Mapping[str, object] | None = None,
        trash: str | None = None,
    ) -> str | None:
        """Move the tree `name` (or, with `stage`, what stands at that relpath in it) to the trash; its id there.

        `trash` is an id from `new_trash_id` that was journalled before: repeated with it, the same id is returned.
        None where there is nothing to retire.
        """

    def new_trash_id(self) -> str: ...
    def trash(self) -> Iterator[TrashEntry]: ...
    def restore(self, trash: str, name: str) -> None:
        """Put a retired tree back as `name`; FileExistsError, FileNotFoundError."""

    def purge(self, older_than: float, *, now: float | None = None) -> list[str]:
        """Give up what was retired more than `older_than` seconds ago; returns the ids."""

    def sweep(self, seconds: float | None = None) -> Swept:
        """Delete what was given up, for at most so long; safe beside others, and at any time."""

    # receipts
    def keep_receipt(self, stage: Stage, rel: str) -> None:
        """Make a file of the stage the upload's receipt, replacing an earlier one; durable, repeatable."""

    def open_receipt(self, upload: str) -> IO[bytes]:
        """The compressed receipt; FileNotFoundError."""

    def drop_receipt(self, upload: str) -> None: ...
