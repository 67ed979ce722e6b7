"""What the verbs of the store port return; apart from port.py, whose protocols reader processes needn't load."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scandock.store.paths import RelPath


class Blob(NamedTuple):
    """Where the bytes of one stored file are; opaque to callers, a packing store may point into a larger object."""

    object: str
    offset: int
    length: int
    size: int
    sha256: bytes
    """32 bytes as the writer's caller computed them; empty where it gave none."""


class Mark(NamedTuple):
    """Which tree is meant, wherever it stands: kept by every move, and opaque to all but its store."""

    number: int
    stamp: int | None = None
    """Where a store gives one, it tells the tree from another of that number, as a copy of DATA may have."""


class FreeSpace(NamedTuple):
    """What is free on a file system; `files` are inodes, None where it does not count them."""

    bytes: int
    files: int | None


class StoreEntry(NamedTuple):
    """One thing under a prefix, as `walk` meets it; `kind` is file, folder (an empty one), link or other."""

    name: str
    rel: RelPath
    size: int
    inode: int
    kind: str


class AdoptResult(NamedTuple):
    """Files that `adopt` took over, and how."""

    linked: int
    copied: int


class TrashEntry(NamedTuple):
    """A tree in the trash: its id, and what it was (`was`, and the caller's note)."""

    id: str
    what: dict[str, object]


class ObjectCensus(NamedTuple):
    """What a bucket has and rows name, beside each other."""

    unnamed: list[str]
    """Keys of objects that nothing names, and that nobody is known to be about to name, or to delete."""
    missing: list[str]
    """Keys of objects that rows name and the bucket has not."""


class CompactionResult(NamedTuple):
    """What writing packs anew did."""

    packs: int
    """Packs whose files are in new ones now."""
    bytes: int
    """Bytes that were copied."""


class SweepResult(NamedTuple):
    """What a sweep did: files and folders deleted, and entries still there (time over, or still being read)."""

    deleted: int
    left: int
