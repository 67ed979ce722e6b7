"""The store port's handles: what a store hands out to be worked with. See port.py for the store and its errors."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from scandock.store.paths import TREE_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from scandock.store.paths import RelPath, TreePath
    from scandock.store.records import AdoptResult, Blob, Mark, StoreEntry


class Spool(Protocol):
    """The bytes of one upload as they arrive; `incoming/{upload}` in the local store."""

    upload: str

    def hold(self) -> bool:
        """Let no other process that asks for it write, until `close` or the end of this one; False where one holds it.

        For one of several hosts that replaces a writer: it goes on once that one writes no more.
        """

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

    def reference(self, scratch: str) -> str:
        """What readers on this host open the bytes by (`sources.open_source`): their path; or, where the store has no
        files, what is written now to a file at `scratch` and says where they are. Of what is durable.
        """

    def bring(self) -> None:
        """Bring what another process of this host has received as an object spool, and finished, to where any host
        reads it; nothing where it is there. After a Fault it may be called again.
        """

    def discard(self, *, erase: bool = False) -> None:
        """Remove it; done already is fine. Deleting is left to `Store.sweep`: with `erase` to the next one."""

    def close(self) -> None: ...


class ObjectFile(Protocol):
    """An object that is too large for memory, while it comes; closed by who opened it."""

    size: int
    """Bytes that have come."""

    def write(self, data: memoryview) -> None:
        """Append all of `data`. Raises OSError."""

    def read_first(self, length: int) -> bytes:
        """At most `length` bytes of what came first."""

    def close(self) -> None: ...


class ObjectSpool(Protocol):
    """An upload that grows by whole objects, each an entry of a zip that is not compressed; for many threads.

    Opened by one process at a time. After a failed sync, after `finish` and after `discard` it takes nothing more:
    Fault `spool_closed`. Where another process goes on with it: Fault `spool_taken`, a kind of the same, also of `sync`
    and `finish`.
    """

    upload: str
    size: int
    """Bytes of whole entries."""
    synced: int
    """Bytes of whole entries that are on disk for certain."""

    @property
    def entries(self) -> int: ...

    @property
    def beside(self) -> int:
        """Bytes of entries of `append_file`, which `size` counts once it is finished."""

    def append(self, name: str, parts: Sequence[bytes | memoryview]) -> int:
        """Add an entry that holds `parts` one after the other; where it ends, for `sync`. A name may come twice.

        After a Fault (as `disk_full`) nothing of it is there, and the next entry may fit.
        """

    def append_file(self, file: ObjectFile) -> int:
        """Add an object of `Store.open_object` of this store; as `append`, and it is on disk then.

        After `spool_closed` it may be added to another spool. Fault sync_failed: it is not there, all else is.
        """

    def sync(self, end: int) -> None:
        """Return once all up to `end` is on disk, names included. One sync serves all that wait for it.

        Fault sync_failed: what no earlier sync has covered is cut off, what one has covered stays for `finish`.
        """

    def cut(self) -> int:
        """Drop what no sync has covered; the bytes that are left."""

    def recover(self) -> int:
        """After a kill: keep the entries up to the first that is not whole, on disk; how many. Fault sync_failed."""

    def finish(self) -> int:
        """Write the zip's directory and put all on disk: from then on it is an archive as any; its bytes.

        After a Fault it may be called again; what no sync had covered when one failed is not in it then.
        """

    def read_first(self, length: int) -> bytes:
        """At most `length` bytes of the first entry; none where there is none."""

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


class StagedPart(NamedTuple):
    """A staged file, or a folder with all that is in it, that gets its place in a tree."""

    source: RelPath
    """Where it waits in its stage. Below the tree's root: what an earlier part has brought with its folder."""
    target: RelPath
    """Its path in the tree, which is free."""
    stage: Stage | None = None
    """The stage in which it waits, whose owner waits meanwhile; None: that of the tree itself."""


class SegmentPlace(NamedTuple):
    """Where a staged file is that has no file of its own in the host's folder (`segment_writer.py`)."""

    segment: str
    offset: int


class ReadFile(NamedTuple):
    """A staged file whose bytes stay as they are."""

    rel: str
    """Its path in the stage, as a reader tells of it: checked where it is opened."""
    size: int
    sha256: bytes
    study: str
    """Files of one study are likely to be in one tree."""
    place: SegmentPlace | None = None
    """Where it is, if not in a file of its own."""


class Stage(Protocol):
    """What one attempt prepares, invisible to all; `work/{upload}/{token}` in the local store. One thread at a time."""

    upload: str
    token: str

    @property
    def is_remote(self) -> bool:
        """Whether files are kept elsewhere in the end.

        Then `send_ahead` is of use, and readers may put images into segments instead of files of their own
        (`segment_writer.py`).
        """

    def put(self, rel: RelPath) -> Writer:
        """Open a new file; its folders are made. FileExistsError where the name is taken, by anyone's write."""

    def put_whole(self, rel: RelPath, data: bytes | memoryview, sha256: bytes = b"") -> Blob:
        """`put`, write and close in one: the fast way for a file that is in memory."""

    def adopt(self, name: TreePath, pairs: Iterable[tuple[RelPath, RelPath]]) -> AdoptResult:
        """Take files of the published tree `name` over: (relpath there, relpath here); no bytes move where links can.

        FileNotFoundError and FileExistsError as they say; Fault tree_damaged where one is no regular file.
        """

    def move(self, old: RelPath, new: RelPath) -> None:
        """Rename a file or folder inside the stage; FileExistsError where `new` is there, FileNotFoundError."""

    def compose(
        self, root: RelPath, staged: Iterable[StagedPart], *, base: TreePath | None = None, kept: Iterable[RelPath] = ()
    ) -> Mark:
        """Put the tree `root` together, and give its mark; it may have no file.

        `kept` are paths of files of the published tree `base` that it has too, at the same path; then comes what is
        `staged`, in this order. Fault `tree_damaged` where a file that is to stay is gone; FileExistsError and
        FileNotFoundError as `move`.
        """

    def remove(self, rel: RelPath) -> None:
        """Remove a file or folder; one that isn't there is fine."""

    def clear(self) -> None:
        """Remove everything in it."""

    def write_back(self) -> None:
        """Let the disk begin with what is staged so far, beside other work, so that `seal` has less to wait for."""

    def name_read(self, files: Sequence[tuple[ReadFile, bytes]]) -> list[RelPath]:
        """Take note of images that a reader has finished, each with the ordinal of its entry: the paths that they have.

        That is an alternate one (`alternate_path`) where another file in a segment, or of another reader, has the path.
        For a remote stage, before anything else is done with these images.
        """

    def send_ahead(self, files: Iterable[ReadFile]) -> None:
        """Let a store that keeps files elsewhere begin with those that are likely to stay, beside other work, so that
        `seal` has less to wait for. Nothing else depends on it, and no failure of it is told.
        """

    def seal(self, check: Callable[[], None] | None = None) -> None:
        """Make all that any process wrote to it durable; idempotent. Fault sync_failed voids the attempt.

        `check` is called again and again where this takes long: what it raises ends it.
        """

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        """A seekable reader of a file, or of a range of it."""

    def read_at(self, rel: RelPath, offset: int, length: int) -> bytes: ...

    def local_path(self, rel: RelPath) -> str | None:
        """Path of a staged file, for a fast path of readers; None where the store has no files."""

    def exists(self, rel: RelPath) -> bool: ...

    def list(self, rel: RelPath = TREE_ROOT) -> list[str]:
        """Sorted names in a folder of the stage; none where it isn't there."""

    def walk(self, rel: RelPath = TREE_ROOT) -> Iterator[StoreEntry]:
        """Everything below `rel`, as relpaths of the stage; `name` is empty."""

    def mark(self, rel: RelPath) -> Mark | None:
        """The mark of the tree that is staged at `rel`; None where none is."""

    def close(self) -> None: ...


class Snapshot(Protocol):
    """A published tree as it stood when opened: stays readable when it is replaced, retired or deleted."""

    name: TreePath
    mark: Mark
    """What tells this tree from others that may stand there later."""

    @property
    def has_files(self) -> bool:
        """Whether what `open` gives for a whole file is a file of this host, with a descriptor."""

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        """A seekable reader of a file, or of a range of it; FileNotFoundError."""

    def size(self, rel: RelPath) -> int | None:
        """Bytes of a file, None where no regular file stands there; nothing is read."""

    def lost(self, rels: Iterable[RelPath]) -> Iterator[RelPath]:
        """Files whose bytes a bucket has lost, though `size` knows them: of the objects that these files are in, all.

        Nothing is read. None of folders, where `size` tells it.
        """

    def walk(self, order: Callable[[str], str] | None = None) -> Iterator[StoreEntry]:
        """Everything in it; folders of one folder go by what `order` makes of their paths, else by their names."""

    def close(self) -> None: ...

    def __enter__(self) -> Snapshot: ...

    def __exit__(self, *args: object) -> None: ...


class WorkLock(Protocol):
    """A lock on an upload's work, gone with the process that holds it; a context manager."""

    def release(self) -> None:
        """Give it up; done already is fine."""

    def __enter__(self) -> WorkLock: ...

    def __exit__(self, *args: object) -> None: ...
