"""What a store in a bucket keeps in rows, beside objects that never change: which trees there are, by which names.

The port of those rows. `scandock.publishing.object_rows` has them in PostgreSQL; each verb is one transaction, and may
be repeated after a kill. A tree is a number, drawn by whoever puts it together, and the places of its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence, Set

    from scandock.store.file_places import PlaceBatch
    from scandock.store.packs import StoredObject
    from scandock.store.part_spools import Part


class TrashRow(NamedTuple):
    """A tree in the trash."""

    trash: str
    note: str
    """JSON of what it was."""


class SparseObject(NamedTuple):
    """An object of which trees have but a part."""

    key: str
    bytes: int
    live: int
    """Bytes that files of trees still have."""


class LiveBytes(NamedTuple):
    """How much of an object files of trees have."""

    live: int
    trees: frozenset[int]
    """The trees that named it when that was counted."""


Place = tuple[str, int]
"""Object and offset."""


class ObjectMove(NamedTuple):
    """Files that are elsewhere now."""

    old: frozenset[str]
    """The objects in which they were."""
    places: Mapping[Place, Place]
    """Where each is, by where it was."""
    objects: Sequence[StoredObject]
    """Those in which they are."""
    has_rows: bool = False
    """Whether these have rows, by trees that were moved: one that has none any more is gone with its trees."""


class BucketIdentity(NamedTuple):
    """Of which bucket objects are named, and by which catalog of those that were restored."""

    uuid: str
    nonce: str | None
    """Random, of a catalog that was restored: no other one has it, were it restored from the same backup."""
    predecessor: str | None
    """The marker of the catalog that had the bucket before it."""
    is_bound: bool

    @property
    def marker(self) -> str:
        """What its marker says."""
        return self.uuid if self.nonce is None else f"{self.uuid}.{self.nonce}"

    def may_succeed(self, marker: str) -> bool:
        """Whether the bucket is to be taken from the catalog that its marker names."""
        return not self.is_bound and marker == self.predecessor


class ObjectRows(Protocol):
    """All of it. Raises Fault where the database fails; TokenLost where another process has taken a stage over."""

    def close(self) -> None:
        """Let go of connections; a verb that comes later opens them again."""

    # attempts, and what they stage

    def begin(self, upload: str, token: str) -> None:
        """Note that an attempt is about to store objects."""

    def take(self, upload: str, old_token: str, new_token: str) -> None:
        """End all attempts but one, and make what they have staged its own. TokenLost where it has ended itself."""

    def register(
        self,
        upload: str,
        token: str,
        root: str,
        number: int,
        batches: Iterable[PlaceBatch],
        objects: Iterable[StoredObject],
        kept: Iterable[str],
    ) -> None:
        """Note a staged tree: where its files are, the objects that came for it, and keys of those that it shares.

        Fault `store_failed` where one of these is being deleted: whoever comes again finds the tree as it is now.
        """

    def staged(self, upload: str, root: str) -> int | None:
        """The number of the tree that is staged at a path; None where none is."""

    def clear(self, upload: str, token: str) -> None:
        """Give up what an attempt has staged."""

    def finish(self, upload: str, token: str) -> None:
        """Give it up, and end the attempt. TokenLost where another one goes on, or has staged something."""

    # trees and their names

    def publish(self, upload: str, token: str, root: str, number: int, name: str, *, replace: bool) -> None:
        """Give a staged tree a name; see moves.PublishNew and PublishReplace."""

    def rename(self, old: str, new: str, number: int, *, grace_ms: int) -> None:
        """See moves.MoveTree. The copy of what is known of it is due `grace_ms` later."""

    def retire(self, name: str, number: int, trash: str, note: str) -> None:
        """See moves.TrashTree."""

    def retire_staged(self, upload: str, token: str, root: str, trash: str, note: str) -> None:
        """See moves.TrashStaged."""

    def restore(self, trash: str, name: str, number: int, *, grace_ms: int) -> None:
        """See moves.RestoreTree; as `rename`."""

    def current(self, name: str) -> int | None:
        """The number of the tree of a name; None where none has it."""

    def names(self, prefix: str) -> list[str]:
        """Names that are a prefix, or below one, sorted."""

    def batches(self, number: int) -> Iterator[PlaceBatch]:
        """All places of a tree, by path."""

    def batch_of(self, number: int, path: bytes) -> PlaceBatch | None:
        """The places among which a path has its own, if the tree has it."""

    # the trash, and what is deleted

    def trash(self) -> list[TrashRow]:
        """What is in the trash, by id."""

    def trashed(self, trash: str) -> int | None:
        """The number of the tree that lies in the trash under an id."""

    def give_up(self, trash: Iterable[str], *, at_once: bool = False) -> None:
        """Let trees of the trash be deleted once nobody may read them any more; `at_once` whoever reads them."""

    def doom(self, *, grace_ms: int, stop: Callable[[], bool]) -> int:
        """Forget trees that are over, and end attempts whose uploads are; the objects that no tree names are due then.

        What has been published goes `grace_ms` after it was given up. How many trees were forgotten: some at a time,
        until there are no more or `stop` says so.
        """

    def ended_attempts(self, *, grace_ms: int) -> list[tuple[str, str]]:
        """Some attempts (upload, token) that ended so long ago, whose own prefixes are to be swept, the oldest first.

        Without a token: the receiving of the upload, whose parts are below a prefix of their own.
        """

    def unknown_keys(self, keys: Sequence[str], upload: str | None = None) -> list[str]:
        """Which of these keys no row names. `upload`: whose attempts, or receiving, have made all of them."""

    def swept(self, upload: str, token: str, *, grace_ms: int) -> None:
        """Note that an attempt's prefixes were swept; they are once more a day later, and then it is forgotten.

        A receipt that it has left is due then, unless another attempt goes on.
        """

    def due(self, most: int) -> list[str]:
        """Keys of objects that may be deleted now, those first that have been due for longest."""

    def deleted(self, keys: Sequence[str]) -> None:
        """Forget objects that have gone from the bucket."""

    # compaction

    def uncounted(self, most: int) -> list[str]:
        """Objects of which it isn't known how much files of trees have."""

    def uncounted_of(self, trees: Collection[int], most: int) -> list[str]:
        """Those of them that some trees name."""

    def trees_of(self, keys: Sequence[str]) -> dict[str, frozenset[int]]:
        """The trees that name each of these objects."""

    def note_live(self, counts: Mapping[str, LiveBytes]) -> None:
        """Note how much of objects is alive, unless other trees name them by now."""

    def sparse(self, most: int) -> list[SparseObject]:
        """Objects that have dead bytes, those first of which the most is dead."""

    def move_trees(self, upload: str, token: str, move: ObjectMove, trees: Collection[int], *, grace_ms: int) -> bool:
        """Have some of the trees that name the old objects of a move name the new ones: for as long as there are more
        than one transaction should lock, before `move_places`. False, and nothing is changed, as there. TokenLost.

        Who ends between the two leaves both kinds of objects to be counted anew.
        """

    def move_places(self, upload: str, token: str, move: ObjectMove, *, grace_ms: int) -> bool:
        """Have all trees name the new objects of a move in place of the old ones, which are due `grace_ms` later; the
        attempt ends.

        False, and no more is changed, where one of these objects goes, an old one gets another tree, or has a file of
        one that was not moved. TokenLost.
        """

    def delete_later(self, keys: Iterable[str], *, grace_ms: int) -> None:
        """Note objects that nothing names, so that they are deleted so long from now."""

    # copies of manifests

    def without_manifest(self, after: int, most: int) -> list[tuple[int, str]]:
        """Published trees without a copy of what is known of them, by number, behind a number: number and name."""

    def begin_manifest(self, key: str, most_ms: int) -> None:
        """Let a copy be written: it is deleted unless it is kept within that time."""

    def keep_manifest(self, number: int, name: str, key: str, objects: Set[str]) -> bool:
        """Note the copy of a tree that has this name, and whose files lie in these objects.

        False, and the copy goes, where that is not so any more, or it has one.
        """

    # spools and receipts

    def hold_spool(self, upload: str, writer: str) -> None:
        """Let one writer alone note parts; whoever wrote before can't any more."""

    def parts(self, upload: str) -> list[Part]:
        """The parts of an upload, by offset."""

    def note_parts(
        self, upload: str, writer: str, before: Sequence[Part], after: Sequence[Part], *, grace_ms: int
    ) -> None:
        """Put parts in place of those that were there. TokenLost where others are there, or another writes."""

    def add_parts(self, upload: str, writer: str, parts: Sequence[Part]) -> None:
        """Put parts behind those that are there. TokenLost where they do not go on there, or another writes."""

    def drop_spool(self, upload: str, *, grace_ms: int) -> None:
        """Forget an upload's parts, whose objects are due so long after it; at once, also those that were due later."""

    def spools(self) -> list[str]:
        """Uploads of which there are parts."""

    def keep_receipt(self, upload: str, token: str, key: str, *, staged: bool, grace_ms: int = 0) -> None:
        """Note where an upload's receipt is, or that of its attempt, in place of one before.

        The object of that one is due `grace_ms` after it.
        """

    def receipt(self, upload: str, *, staged: bool) -> str | None:
        """Its key; None where there is none."""

    def without_receipt(self, uploads: Iterable[str]) -> Iterator[str]:
        """Those of these uploads that have none."""

    def drop_staged_receipt(self, upload: str, token: str) -> None:
        """Forget that of an attempt."""

    def drop_receipt(self, upload: str, *, grace_ms: int) -> None:
        """Forget an upload's receipt, whose object is due so long after it."""

    # the bucket

    def identity(self, new: str) -> BucketIdentity:
        """The bucket that this catalog names objects of; one with the id `new` where it has none yet.

        Its bucket has to be marked with it before `adopt`; until then the catalog is bound to none.
        """

    def bound_identity(self) -> BucketIdentity | None:
        """That of the bucket that it is bound to."""

    def succeed(self, owner: str) -> None:
        """Let the catalog, which is being restored, have its bucket once that is marked so, in place of the one whose
        marker is `owner`. Fault `catalog` where its restore has ended meanwhile.
        """

    def adopt(self) -> None:
        """Have the catalog name the marked bucket from now on, and no data folder any more, in one transaction."""

    def named_keys(self) -> Generator[str, None, None]:
        """Every object that rows name, but for those that are to be deleted: for the census alone.

        A transaction is open until the last of them, or until it is closed.
        """

    def unshown_keys(self, keys: Sequence[str]) -> list[str]:
        """Which of these keys only trees name that are in the trash, or that were given up."""

    def attempts(self) -> list[tuple[str, str]]:
        """Attempts, and receivings (without a token), that may have objects without rows."""
