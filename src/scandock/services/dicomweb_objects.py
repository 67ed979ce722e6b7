"""Objects of a study by their UIDs: where each is stored, what is known of it, and its bytes."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from typing import IO, Final, NamedTuple, NoReturn

from sqlalchemy import Connection, bindparam, select

from scandock.access.principal import raise_denied
from scandock.access.throttle import network_of
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import dicom_series
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import files_of
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import DAMAGE_SENTENCES
from scandock.services.decoding import Pictures
from scandock.services.dicomweb import DicomwebScope, find_study_sessions
from scandock.services.dicomweb_packs import (
    CHUNK,
    Pack,
    PackedObject,
    PackStore,
    build_pack,
    pack_name,
    pack_tree,
)
from scandock.services.download_access import DownloadAccess
from scandock.services.downloads import open_session_snapshot, try_snapshot
from scandock.services.file_errors import FileDamaged, FileMissing
from scandock.services.file_verification import verify_soon
from scandock.services.pictures import descriptor_of
from scandock.services.records import path_of
from scandock.services.response_buffers import BufferedFile
from scandock.services.session_errors import ChangedMeanwhile
from scandock.store.paths import RelPath
from scandock.store.port import Snapshot
from scandock.viewing.question_queue import Requester

PIECE: Final = 256 * 1024
_MOST_OBJECTS: Final = 40_000
"""Objects of trees that are remembered: some 20 MB."""


class StoredObject(NamedTuple):
    """An object of a session's tree."""

    n: int
    scan_n: int
    chunk: int
    """Of the packs of its scan, the one in which it is."""
    study_uid: str
    """That of its series: a session may have several studies. "" where its headers were not listed yet."""
    series_uid: str
    sop_uid: str
    path: RelPath
    bytes: int
    frames: int


class TreeObjects:
    """The objects of a tree, by series and by UID."""

    def __init__(self, objects: Sequence[StoredObject]) -> None:
        self.objects = objects
        self.by_uid = {stored.sop_uid: stored for stored in reversed(objects)}
        self.by_series: dict[str, list[StoredObject]] = {}
        for stored in objects:
            self.by_series.setdefault(stored.series_uid, []).append(stored)
        self.chunks: dict[tuple[int, int], list[StoredObject]] = {}
        for stored in objects:
            self.chunks.setdefault((stored.scan_n, stored.chunk), []).append(stored)


class KnownConversions:
    """The objects that were converted before, by their versions: what is written like that never changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, version: str) -> bool:
        with self._lock:
            return version in self._versions

    def add(self, version: str) -> None:
        with self._lock:
            self._versions[version] = None
            while len(self._versions) > _MOST_OBJECTS:
                self._versions.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._versions.clear()


class DicomwebCache:
    """What a web process remembers for DICOMweb: the objects of trees, and packs. Trees never change."""

    def __init__(self, data: str, most: int, free: int) -> None:
        """`most` and `free` as `PackStore` has them."""
        self.packs = PackStore(data, most, free)
        self.conversions = KnownConversions()
        self._lock = threading.Lock()
        self._trees: OrderedDict[tuple[int, str], TreeObjects] = OrderedDict()

    def objects(self, connection: Connection, record: SessionRecord) -> TreeObjects:
        """The objects of a session's tree."""
        key = record.tree_id, record.uuid
        with self._lock:
            known = self._trees.get(key)
            if known is not None:
                self._trees.move_to_end(key)
                return known
        found = read_tree(connection, record)
        if not all(stored.study_uid for stored in found.objects):
            return found
        with self._lock:
            self._trees[key] = found
            while len(self._trees) > 1 and sum(len(tree.objects) for tree in self._trees.values()) > _MOST_OBJECTS:
                self._trees.popitem(last=False)
        return found


def read_tree(connection: Connection, record: SessionRecord) -> TreeObjects:
    """The objects of a session's tree, as the catalog has them."""
    return TreeObjects(list(_read_objects(connection, record)))


def _read_objects(connection: Connection, record: SessionRecord) -> Iterator[StoredObject]:
    """In the order of scans, as people count them, and of numbers."""
    places = read_places(connection, record.tree_id)
    of_series = select(dicom_series.c.n, dicom_series.c.study_uid).where(dicom_series.c.tree_id == record.tree_id)
    studies = {row.n: row.study_uid for row in connection.execute(of_series)}
    images = [
        (place.sort_key or "", place.scan_n, row, place)
        for row in files_of(connection, record.tree_id)
        if row.sop_uid is not None and (place := places.get(row.resource_n)) is not None
        if place.scan_n is not None and place.series_uid is not None
    ]
    images.sort(key=lambda image: (image[0], image[1], image[2].n))
    last, at = -1, 0
    for _, scan_n, row, place in images:
        at = at + 1 if scan_n == last else 0
        last = scan_n
        yield StoredObject(
            row.n, scan_n, at // CHUNK, studies.get(scan_n) or "", place.series_uid or "", row.sop_uid or "",
            path_of(row, place), row.bytes, row.frames,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object with the session in which it is."""

    session: SessionRecord
    stored: StoredObject

    @property
    def version(self) -> str:
        """What its bytes are known by; numbers of trees may come again, in another session."""
        return f"{self.session.uuid}-{self.session.tree_id}-{self.stored.n}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Objects of a study that somebody may read and asked for, in the order of series and files; at least one."""

    study: str
    objects: list[FoundObject]
    """Of each the copy that counts: the first that is not known to be damaged."""
    trees: Mapping[int, TreeObjects]
    """By the numbers of their sessions' trees."""
    damaged: Mapping[tuple[int, int | None], str] = field(default_factory=dict)
    """By tree and number, None for all of a tree: the kind of what is known to be damaged."""
    others: Mapping[str, list[FoundObject]] = field(default_factory=dict)
    """By UID, copies of objects in other sessions, which count where those of `objects` can't be read."""

    def damage_of(self, found: FoundObject) -> str:
        """How an object is known to be damaged; empty where it is not."""
        tree = found.session.tree_id
        return self.damaged.get((tree, None)) or self.damaged.get((tree, found.stored.n)) or ""

    def sessions(self) -> list[SessionRecord]:
        """The sessions in which the objects are."""
        return sessions_of(self.objects)


def sessions_of(objects: Iterable[FoundObject]) -> list[SessionRecord]:
    """The sessions in which objects are."""
    return list({found.session.uuid: found.session for found in objects}.values())


_DAMAGE: Final = select(damage.c.tree_id, damage.c.file_n, damage.c.kind).where(
    damage.c.tree_id.in_(bindparam("trees", expanding=True))
)


def read_damage(connection: Connection, trees: Iterable[int]) -> dict[tuple[int, int | None], str]:
    """By tree and number, None for all of a tree: the kind of what is known to be damaged."""
    rows = connection.execute(_DAMAGE, {"trees": sorted(trees)})
    return {(row.tree_id, row.file_n): row.kind for row in rows}


def select_objects(
    connection: Connection,
    cache: DicomwebCache,
    scope: DicomwebScope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> Selection:
    """The objects of a study, a series or of one UID. AccessDenied where there is none that may be read."""
    copies: dict[str, list[FoundObject]] = {}
    trees: dict[int, TreeObjects] = {}
    sessions = find_study_sessions(connection, scope, study)
    for record, _ in sessions:
        tree = trees[record.tree_id] = cache.objects(connection, record)
        if instance is not None:
            stored = tree.by_uid.get(instance)
            chosen = [stored] if stored is not None and series in (None, stored.series_uid) else []
        else:
            chosen = tree.by_series.get(series, []) if series is not None else list(tree.objects)
        for stored in chosen:
            if study != (stored.study_uid or record.study_uid):
                continue
            copies.setdefault(stored.sop_uid, []).append(FoundObject(record, stored))
    if not copies:
        raise_denied(scope.unknown)
    damaged = [record.tree_id for record, has_damage in sessions if has_damage]
    selection = Selection(study, [], trees, read_damage(connection, damaged) if damaged else {})
    others: dict[str, list[FoundObject]] = {}
    for uid, found in copies.items():
        if len(found) > 1:
            found.sort(key=lambda copy: bool(selection.damage_of(copy)))
            others[uid] = found[1:]
        selection.objects.append(found[0])
    return replace(selection, others=others)


class ObjectReader:
    """Reads the objects of a selection from snapshots of their sessions' trees; closed by whoever made it.

    `objects` are those that can be read: the others are damaged, or gone from the store. While they are sent it is
    asked again whether they may still be read.
    """

    def __init__(self, context: ServiceContext, pictures: Pictures, cache: DicomwebCache, selection: Selection) -> None:
        """ChangedMeanwhile where a tree was replaced since the objects were found.

        Fault `file_missing`, Usage `file_damaged` where none can be read.
        """
        self.context = context
        self.pictures = pictures
        self.cache = cache
        self.selection = selection
        self._access = DownloadAccess(context)
        self._access.note_asked(selection.objects[0].session)
        self._snapshots: dict[str, Snapshot] = {}
        self._packs: tuple[tuple[int, int, int], Pack] | None = None
        self._numbers: dict[tuple[int, int, int], set[int]] = {}
        self._exits = contextlib.ExitStack()
        self._files: list[BufferedFile] = []
        try:
            for record in selection.sessions():
                self._open_session(record)
            self._unsound: dict[str, FoundObject] = {}
            self.objects = [copy for found in selection.objects if (copy := self._find_sound(found)) is not None]
            for found in self._unsound.values():
                if pictures.is_new_view(("unsound", found.session.uuid)):
                    verify_soon(context.catalog, found.session.uuid)
            if not self.objects:
                self._raise_unreadable()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for held in self._files:
            held.close()
        self._exits.close()

    @property
    def reserved(self) -> int:
        """Bytes of what decoders made, which waits in files and has its room already."""
        return sum(held.size for held in self._files if not held.closed)

    def hold(self, file: BufferedFile) -> None:
        """Close what a decoder made at the latest when the reader is closed."""
        self._files = [held for held in self._files if not held.closed] + [file]

    def on_close(self, call: Callable[[], object]) -> None:
        """Have something called when the reader is closed."""
        self._exits.callback(call)

    @property
    def left_out(self) -> int:
        """How many objects can't be read."""
        return len(self.selection.objects) - len(self.objects)

    def _open_session(self, record: SessionRecord) -> None:
        snapshot = try_snapshot(self.context, record)
        if snapshot is None:
            current, snapshot = open_session_snapshot(self.context, record.uuid)
            if current.tree_id != record.tree_id:
                snapshot.close()
                raise ChangedMeanwhile("The session has just changed.", "Ask again.")
        self._exits.enter_context(snapshot)
        self._snapshots[record.uuid] = snapshot

    def _find_sound(self, found: FoundObject) -> FoundObject | None:
        """The first copy of an object whose file is there, as long as it was stored; None where none is."""
        copies: list[FoundObject] = [found, *self.selection.others.get(found.stored.sop_uid, ())]
        for copy in copies:
            if self.selection.damage_of(copy):
                continue
            if copy.session.uuid not in self._snapshots:
                try:
                    self._open_session(copy.session)
                except ScandockError:  # of a copy that need not be there
                    continue
            if self._snapshots[copy.session.uuid].size(copy.stored.path) == copy.stored.bytes:
                return copy
            self._unsound[copy.session.uuid] = copy
        return None

    def _raise_unreadable(self) -> NoReturn:
        """Say why no object of the selection can be read."""
        kind = next((kind for found in self.selection.objects if (kind := self.selection.damage_of(found))), "")
        if not kind:
            found = self.selection.objects[0]
            if self._snapshots[found.session.uuid].size(found.stored.path) is None:
                raise FileMissing
            kind = "changed"
        raise FileDamaged(
            f"What was asked for is damaged: {DAMAGE_SENTENCES[kind]}.", "Import the archive again, which heals it."
        )

    @property
    def asker(self) -> Requester:
        """Whose turn it takes at the decoders."""
        address = self.context.request.address if self.context.request is not None else ""
        session = self.selection.objects[0].session.uuid
        return Requester(self.context.principal.account_id, network_of(address), session)

    # -- bytes -----------------------------------------------------------------------------------------------------

    def open(self, found: FoundObject) -> IO[bytes]:
        """An object's file. FileNotFoundError."""
        return self._snapshots[found.session.uuid].open(found.stored.path)

    def read_range(self, found: FoundObject, offset: int, length: int) -> bytes:
        """Bytes of an object's file, fewer where it ends."""
        with self._snapshots[found.session.uuid].open(found.stored.path, offset, length) as stream:
            return stream.read(length)

    def chunks(self, found: FoundObject, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of an object as it is stored, or of a range. AccessDenied where it may be read no more."""
        with self._snapshots[found.session.uuid].open(found.stored.path, offset, length) as stream:
            yield from self.each(found, iter(partial(stream.read, PIECE), b""))

    def each(self, found: FoundObject, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pieces made of an object, as long as it may be read. AccessDenied."""
        return self._access.each(found.session, pieces)

    def each_object(self, objects: Sequence[FoundObject]) -> Iterator[FoundObject]:
        """Objects one by one, as long as they may be read. AccessDenied."""
        for found in objects:
            self._access.check(found.session)
            yield found

    @contextlib.contextmanager
    def descriptors(self, objects: Sequence[FoundObject]) -> Iterator[list[int]]:
        """Open files of objects, for a decoder. FileNotFoundError."""
        with contextlib.ExitStack() as exits:
            yield [descriptor_of(exits.enter_context(self.open(found)), exits) for found in objects]

    # -- packs -----------------------------------------------------------------------------------------------------

    def packed(self, found: FoundObject) -> PackedObject | None:
        """What a pack has of an object. DecodersOccupied."""
        stored = found.stored
        tree, name = pack_tree(found.session.tree_id, found.session.uuid), pack_name(stored.scan_n, stored.chunk)
        known = self.cache.packs.find_object(tree, name, stored.n, self._damaged_numbers(found))
        return known if known is not None else self.pack(found).objects.get(stored.n)

    def pack(self, found: FoundObject) -> Pack:
        """The pack in which an object is, made where it is missing. DecodersOccupied."""
        stored = found.stored
        key = found.session.tree_id, stored.scan_n, stored.chunk
        if self._packs is not None and self._packs[0] == key:
            return self._packs[1]
        tree, name = pack_tree(found.session.tree_id, found.session.uuid), pack_name(stored.scan_n, stored.chunk)
        packs, needed, damaged = self.cache.packs, self._needed(key), self._damaged_numbers(found)
        pack = packs.read(tree, name, needed, damaged)
        if pack is None:
            with packs.build(tree, name, self.pictures):
                pack = packs.read(tree, name, needed, damaged)
                if pack is None:
                    content, lasting = self._build(found, f"{tree}-{name}")
                    pack = packs.keep(tree, name, content, lasting=lasting)
        self._packs = key, pack
        return pack

    def _needed(self, key: tuple[int, int, int]) -> set[int]:
        """The numbers of the objects that can be read, of those that a pack is of."""
        if not self._numbers:
            for found in self.objects:
                stored = found.stored
                self._numbers.setdefault((found.session.tree_id, stored.scan_n, stored.chunk), set()).add(stored.n)
        return self._numbers.get(key, set())

    def _damaged_numbers(self, found: FoundObject) -> list[int]:
        """The numbers of what is known to be damaged in the tree of an object."""
        return [n for tree, n in self.selection.damaged if tree == found.session.tree_id and n is not None]

    def _build(self, found: FoundObject, key: str) -> tuple[bytes, bool]:
        stored = found.stored
        objects = {
            each.n: each
            for each in self.selection.trees[found.session.tree_id].chunks[stored.scan_n, stored.chunk]
            if not self.selection.damage_of(FoundObject(found.session, each))
            and self._snapshots[found.session.uuid].size(each.path) == each.bytes
        }
        snapshot = self._snapshots[found.session.uuid]

        @contextlib.contextmanager
        def opened(numbers: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
            with contextlib.ExitStack() as exits:
                pairs = []
                for n in numbers:
                    with contextlib.suppress(FileNotFoundError):
                        pairs.append((n, descriptor_of(exits.enter_context(snapshot.open(objects[n].path)), exits)))
                yield pairs

        return build_pack(self.pictures, list(objects), opened, self.asker, key)


def note_views(context: ServiceContext, pictures: Pictures, objects: Sequence[FoundObject]) -> None:
    """Note in the audit trail that somebody looks at the sessions of objects: once an hour for each."""
    account_id = context.principal.account_id
    where = context.request.address if context.request is not None and account_id is None else ""
    for record in sessions_of(objects):
        view = (account_id, where, record.uuid)
        if pictures.is_new_view(view):
            try:
                with context.catalog.write() as connection:
                    context.note(connection, AuditAction.VIEW, record.uuid, record.project)
            except BaseException:
                pictures.forget_view(view)
                raise


def note_downloads(context: ServiceContext, objects: Sequence[FoundObject]) -> None:
    """Note in the audit trail that somebody downloads objects, a line for each session."""
    with context.catalog.write() as connection:
        for record in sessions_of(objects):
            chosen = [found.stored for found in objects if found.session.uuid == record.uuid]
            details = {"files": len(chosen), "bytes": sum(stored.bytes for stored in chosen)}
            context.note(connection, "download", record.uuid, record.project, details)
