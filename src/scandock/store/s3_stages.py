"""Stages of a store in a bucket: put together in a folder of the host, packed and stored when they are sealed.

What readers write lies in the host's data folder as in the local store, so a reader that dies has lost nothing. `seal`
makes packs of each tree that was composed, and objects of what is large, stores them, and notes where each file is;
whoever takes the import over, on whatever host, publishes by these rows alone. What `send_ahead` was told of is packed
before (`ahead_packs`). Images that readers have put into segments have no file in that folder: they are known by their
paths in this process alone (`segment_files`), and an attempt that dies before its seal is begun anew.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from heapq import merge
from typing import IO, TYPE_CHECKING

from scandock.store import paths
from scandock.store.ahead_packs import AheadPacks
from scandock.store.errors import TreeDamaged
from scandock.store.file_places import FilePlace, pack_places, sort_key
from scandock.store.handles import ReadFile
from scandock.store.known_files import KnownFiles
from scandock.store.packs import CHUNK, PackWriter, attempt_prefix, pack_file
from scandock.store.paths import RECEIPT
from scandock.store.records import AdoptResult, Blob, Mark
from scandock.store.segment_files import SegmentFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scandock.store.bucket import Bucket
    from scandock.store.handles import StagedPart, Writer
    from scandock.store.packs import StoredObject
    from scandock.store.paths import RelPath, TreePath
    from scandock.store.records import StoreEntry
    from scandock.store.s3_rows import ObjectRows
    from scandock.store.s3_trees import PlaceReader
    from scandock.store.stages import LocalStage


def draw_number() -> int:
    """A number for a new tree, that no other has."""
    return int.from_bytes(os.urandom(8), "big") >> 2 or 1


class _Composed:
    """A tree that was put together here, until it is stored."""

    __slots__ = ("is_stored", "kept", "number")

    def __init__(self, kept: list[FilePlace]) -> None:
        self.number = draw_number()
        self.kept = kept
        """Files that it shares with the tree before it, sorted."""
        self.is_stored = False


class S3Stage:
    """See handles.Stage. For one thread at a time."""

    is_remote = True

    def __init__(
        self, reopen: Callable[[], LocalStage], local: LocalStage, bucket: Bucket, rows: ObjectRows, places: PlaceReader
    ) -> None:
        """`reopen` gives the folder of the host once more, for another thread."""
        self.upload = local.upload
        self.token = local.token
        self._reopen = reopen
        self._local = local
        self._bucket = bucket
        self._rows = rows
        self._places = places
        self._composed: dict[str, _Composed] = {}
        self._packs: PackWriter | None = None
        self._ahead: AheadPacks | None = None
        self._known = KnownFiles()
        self._segments = SegmentFiles(local)
        self._has_images_as_files = False
        """Whether a reader has made files of images: their paths are taken as well."""
        self._stored: dict[str, StoredObject] = {}
        """Objects of this stage by key."""

    # writing: in the host's folder

    def put(self, rel: RelPath) -> Writer:
        return self._local.put(rel)

    def put_whole(self, rel: RelPath, data: bytes | memoryview, sha256: bytes = b"") -> Blob:
        return self._local.put_whole(rel, data, sha256)

    def adopt(self, name: TreePath, pairs: Iterable[tuple[RelPath, RelPath]]) -> AdoptResult:
        """See handles.Stage. The bytes come from the bucket, and go back with this stage's own."""
        from scandock.store.s3_trees import S3Snapshot

        number = self._rows.current(paths.parse_tree(name))
        if number is None:
            raise FileNotFoundError(2, "No such tree", name)
        copied = 0
        with S3Snapshot(self._bucket, self._places, name, number) as snapshot:
            for old, new in pairs:
                with snapshot.open(old) as reader, self._local.put(new) as writer:
                    while chunk := reader.read(CHUNK):
                        writer.write(chunk)
                copied += 1
        return AdoptResult(0, copied)

    def move(self, old: RelPath, new: RelPath) -> None:
        self._stop_ahead()
        if self._is_in_folder(old, new):
            self._local.move(old, new)
        self._follow(old, new)

    def _is_in_folder(self, old: RelPath, new: RelPath) -> bool:
        """Whether something of what is to be moved lies in the host's folder. FileExistsError where `new` is there."""
        if not self._segments.has(old):
            if self._segments.has(new):
                raise FileExistsError(17, "A file in a segment stands there", new)
            return True
        if self.exists(new):
            raise FileExistsError(17, "Something stands there", new)
        return self._local.exists(old)

    def _follow(self, old: RelPath, new: RelPath) -> None:
        self._known.move(old, new)
        self._segments.move(old, new)

    def compose(
        self, root: RelPath, staged: Iterable[StagedPart], *, base: TreePath | None = None, kept: Iterable[RelPath] = ()
    ) -> Mark:
        self._stop_ahead()
        composed = _Composed([] if base is None else self._find_kept(base, kept))
        taken = {place.path for place in composed.kept}

        def parts() -> Iterator[StagedPart]:
            for part in staged:
                if part.target in taken:
                    raise FileExistsError(17, "A file of the tree before it stands there", part.target)
                if part.stage is None or part.stage is self:
                    path = paths.path_below(root, part.target)
                    is_in_folder = self._is_in_folder(part.source, path)
                    self._follow(part.source, path)
                    if not is_in_folder:
                        continue
                yield part._replace(stage=part.stage.staging if isinstance(part.stage, S3Stage) else part.stage)

        self._local.compose(root, parts())
        self._composed[root] = composed
        return Mark(composed.number)

    @property
    def staging(self) -> LocalStage:
        """The folder of the host in which it is put together."""
        return self._local

    def _find_kept(self, base: TreePath, kept: Iterable[RelPath]) -> list[FilePlace]:
        kept_paths = set(kept)
        if not kept_paths:
            return []
        number = self._rows.current(paths.parse_tree(base))
        stored = [] if number is None else self._places.all(number)
        kept_places = [place for place in stored if place.path in kept_paths]
        if len(kept_places) != len(kept_paths):
            raise TreeDamaged(f"Files of {base} are not where they were stored.", "Run `scandock check`.")
        return kept_places

    def remove(self, rel: RelPath) -> None:
        self._stop_ahead()
        self._local.remove(rel)
        self._known.remove(rel)
        self._segments.remove(rel)
        self._composed.pop(rel, None)
        if rel == RECEIPT:
            self._rows.drop_staged_receipt(self.upload, self.token)

    def clear(self) -> None:
        self._stop_ahead(early=True)
        self._known = KnownFiles()
        self._segments.clear()
        self._local.clear()
        self._composed.clear()
        self._rows.clear(self.upload, self.token)

    def write_back(self) -> None:
        """Nothing: the disk of the host is not what makes it durable."""

    def name_read(self, files: Sequence[tuple[ReadFile, bytes]]) -> list[RelPath]:
        return [self._name_read(file, ordinal) for file, ordinal in files]

    def _name_read(self, file: ReadFile, ordinal: bytes) -> RelPath:
        rel = name = paths.unchecked_path(file.rel)
        is_taken = self._segments.find(rel) is not None
        if file.place is None:
            self._has_images_as_files = True
            if is_taken:
                name = paths.alternate_path(rel, ordinal.hex())
                self._local.move(rel, name)
            return name
        if is_taken or (self._has_images_as_files and self._local.exists(rel)):
            name = paths.alternate_path(rel, ordinal.hex())
        self._segments.add(name, file)
        return name

    def send_ahead(self, files: Iterable[ReadFile]) -> None:
        if self._ahead is None:

            def begin() -> None:
                self._rows.begin(self.upload, self.token)

            self._ahead = AheadPacks(self._open_packs(), self._reopen, begin)
        self._ahead.add(files)

    def _stop_ahead(self, *, early: bool = False) -> None:
        """Send nothing ahead any more: what is staged is about to change, or to be dropped."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self._known, are_usable = ahead.stop(early=early)
            if not are_usable:
                self._close_packs()

    def _open_packs(self) -> PackWriter:
        if self._packs is None:
            self._packs = PackWriter(self._bucket, self.upload, self.token, os.urandom(6).hex())
        return self._packs

    def _close_packs(self) -> None:
        packs, self._packs = self._packs, None
        if packs is not None:
            packs.close()

    def seal(self, check: Callable[[], None] | None = None) -> None:
        self._local.check()
        waiting = {root: composed for root, composed in self._composed.items() if not composed.is_stored}
        if waiting:
            self._store(waiting, check)
        if self._local.exists(RECEIPT):
            self._rows.keep_receipt(self.upload, self.token, self.put_receipt(RECEIPT), staged=True)

    def _store(self, trees: dict[str, _Composed], check: Callable[[], None] | None = None) -> None:
        self._stop_ahead()
        self._rows.begin(self.upload, self.token)
        files = {root: self._files(root) for root in trees}
        whole = self._find_whole(files)
        packs = self._open_packs()
        try:
            new_places = {}
            for root in trees:
                new_places[root] = [self._place(packs, root, *file, whole, check) for file in files[root]]
                packs.close_packs(root)
            self._stored.update({stored.key: stored for stored in packs.seal()})
        except BaseException:
            self._known.forget_objects()
            raise
        finally:
            self._close_packs()
        for root, composed in trees.items():
            both = merge(composed.kept, new_places[root], key=lambda place: sort_key(place.path))
            objects = [self._stored[key] for key in {place.object for place in new_places[root]}]
            kept = {place.object for place in composed.kept}
            self._rows.register(self.upload, self.token, root, composed.number, pack_places(both), objects, kept)
            composed.is_stored = True

    def _files(self, root: str) -> list[tuple[str, int]]:
        """Path in a tree and bytes of each file that lies in the folder."""
        entries = self.walk(paths.unchecked_path(root))
        files = [(entry.rel[len(root) + 1 :], entry.size) for entry in entries if entry.kind == "file"]
        return sorted(files, key=lambda file: sort_key(file[0]))

    def _find_whole(self, trees: dict[str, list[tuple[str, int]]]) -> set[str]:
        """Objects that were sent ahead all of whose files are in one of these trees, and as they were."""
        users: dict[tuple[str, str], int] = defaultdict(int)
        for root, files in trees.items():
            for path, size in files:
                known = self._known.find(f"{root}/{path}")
                if known is not None and known.blob is not None and known.size == size:
                    users[known.blob.object, root] += 1
        return {key for (key, _), count in users.items() if count == self._known.count_files(key)}

    def _place(
        self,
        packs: PackWriter,
        root: str,
        path: str,
        size: int,
        whole: set[str],
        check: Callable[[], None] | None,
    ) -> FilePlace:
        """Where a file is, which is stored now unless it is in one of the objects that are `whole`."""
        if check is not None:
            check()
        rel = f"{root}/{path}"
        known = self._known.find(rel)
        blob = known.blob if known is not None else None
        if blob is None or blob.object not in whole:
            in_segment = self._segments.find(rel)
            known = in_segment or known
            sha256 = known.sha256 if known is not None and known.size == size else b""
            file = ReadFile(rel, size, sha256, root, None if in_segment is None else in_segment.place)
            blob = pack_file(packs, self._local, self._segments.reader, root, file, check)
        return FilePlace(paths.unchecked_path(path), blob.object, blob.offset, blob.length)

    def put_receipt(self, rel: RelPath) -> str:
        """Store a file of the stage as a receipt; its key. FileNotFoundError."""
        self._rows.begin(self.upload, self.token)
        key = f"{attempt_prefix('r', self.upload, self.token)}/{os.urandom(6).hex()}.jsonl.gz"
        with self._local.open(rel) as reader:
            self._bucket.put(key, reader.read())
        return key

    # reading

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        if rel == RECEIPT and not self._local.exists(rel):
            data = self._bucket.get(self._staged_receipt() or "")[offset:]
            return io.BytesIO(data if length is None else data[:length])
        reader = self._segments.open(rel, offset, length)
        return self._local.open(rel, offset, length) if reader is None else reader

    def read_at(self, rel: RelPath, offset: int, length: int) -> bytes:
        reader = self._segments.open(rel, offset, length)
        return self._local.read_at(rel, offset, length) if reader is None else reader.read()

    def local_path(self, rel: RelPath) -> str:
        return self._local.local_path(rel)

    def exists(self, rel: RelPath) -> bool:
        if self._local.exists(rel) or self._segments.has(rel):
            return True
        return rel == RECEIPT and self._staged_receipt() is not None

    def _staged_receipt(self) -> str | None:
        return self._rows.receipt(self.upload, staged=True)

    def list(self, rel: RelPath = paths.TREE_ROOT) -> list[str]:
        return sorted({*self._local.list(rel), *self._segments.list(rel)})

    def walk(self, rel: RelPath = paths.TREE_ROOT) -> Iterator[StoreEntry]:
        for entry in self._local.walk(rel):
            if self._segments.find(entry.rel) is None:  # else a reader that died has made the file and not told of it
                yield entry
        yield from self._segments.walk(rel)

    def mark(self, rel: RelPath) -> Mark | None:
        """See handles.Stage. A folder that is no composed tree becomes one, and is stored, by being asked for."""
        paths.parse_rel(rel)
        composed = self._composed.get(rel)
        if composed is None:
            number = self._rows.staged(self.upload, rel)
            if number is not None:
                return Mark(number)
            if not self.exists(rel):
                return None
            composed = self._composed[rel] = _Composed([])
        if not composed.is_stored:
            self._store({rel: composed})
        return Mark(composed.number)

    def drop_folder(self, rel: RelPath) -> None:
        """Let go of the folder of a tree that has been published."""
        self._composed.pop(rel, None)
        self._known.remove(rel)
        self._segments.remove(rel)
        self._local.remove(rel)

    def end(self) -> None:
        """Send nothing more; what is being sent ends first."""
        self._stop_ahead(early=True)
        self._close_packs()
        self._segments.close()

    def close(self) -> None:
        self.end()
        self._local.close()
