"""Packs: the metadata of a scan's objects and the places of their frames, made once and kept beside the trees.

A pack is of at most `CHUNK` objects of a scan, in the order of their numbers. Trees never change, so it is stale only
where it has an object that is known to be damaged by now, whose bytes may have been others when it was made, or lacks
one that is whole again: then, and where it is missing, it is made anew. A stale one is removed (`services.cleaning`).

A file is `_MAGIC`, the length of its head and the head (JSON, compressed), then segments of JSON, each compressed.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from scandock.model.dataclass import dataclass
from scandock.rules.dicom_attributes import IN_HEADERS
from scandock.services.decoding import BUSY, NO_ROOM, DecoderResult, Pictures
from scandock.services.dicomweb_errors import DecodersOccupied
from scandock.viewing.cache import PACKS, ImageCache
from scandock.viewing.decoder_pool import PATIENCE
from scandock.viewing.question_queue import Requester

VERSION: Final = 1
"""Of what is in a pack: raised when that changes."""
CHUNK: Final = 200
SUFFIX: Final = ".pack"
COMPLETE: Final = "complete"
"""The name under which it is kept that a tree has all of its packs."""
_MAGIC: Final = b"SDPK\1"
_HEAD: Final = struct.Struct("<5sI")
_SECONDS: Final = 30.0
MAX_RAW: Final = 512 * 1024**2
"""Bytes that a segment is unpacked to, at most."""
_HEADS: Final = 64
"""Heads of packs that are remembered."""
_HEAD_NUMBERS: Final = 500_000
"""Places of fragments in all of them."""
_OBJECT_BYTES: Final = 1_000
_PASSING_SECONDS: Final = 600.0
_PASSING_BYTES: Final = 32 * 1024**2
"""Of packs that are kept in memory alone."""
MOST_NUMBERS: Final = 1_000_000
"""Of places of frames in one pack; a decoder tells of the frames of which it has none."""


class FramePlaces(NamedTuple):
    """Where the frames of an object stand in its file; see `viewing.frame_places.FramesJson`."""

    total: int
    """How many there are."""
    start: int
    bits: int
    turn: int
    compressed: bool
    length: int
    places: list[array[int]]


class PackedObject(NamedTuple):
    """What a pack has of an object."""

    segment: int
    offset: int
    length: int
    """Of its JSON in its segment; 0 where its header can't be read."""
    syntax: str
    document: str
    """The media type of its encapsulated document; "" where it has none."""
    frames: FramePlaces | None
    listing: tuple[str, ...]
    """What searches list of it: the values of `IN_HEADERS`, or none where its header can't be read."""


@dataclass(frozen=True, slots=True)
class Pack:
    """The head of a pack, and its segments as they are compressed."""

    objects: dict[int, PackedObject]
    """By the object's number in its tree; those whose files are gone are missing."""
    segments: list[bytes]

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return sum(map(len, self.segments)) + len(self.objects) * _OBJECT_BYTES

    def texts(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The JSON of objects by their numbers, in the order of the pack; each segment is unpacked once."""
        unpacked, held = b"", -1
        for n in numbers:
            packed = self.objects.get(n)
            if packed is None or not packed.length:
                continue
            if packed.segment != held:
                unpacked, held = _unpack(self.segments[packed.segment]), packed.segment
            yield n, unpacked[packed.offset : packed.offset + packed.length]


class PackStore:
    """The packs of a data folder, and the heads of those that were used lately.

    What is not kept in the folder (the disk has no room, or a decoder was lost over an object) is kept in memory for a
    while, so that not each frame that is asked for makes a pack.
    """

    def __init__(self, data: str, most: int, free: int) -> None:
        """`most`: bytes of packs in the folder; `free`: what of its disk is left to others."""
        self.cache = ImageCache(data, most, free, PACKS)
        self._lock = threading.Lock()
        self._heads: OrderedDict[tuple[str, str], tuple[tuple[int, int], dict[int, PackedObject]]] = OrderedDict()
        self._passing: OrderedDict[tuple[str, str], tuple[float, Pack]] = OrderedDict()
        self._builds: dict[tuple[str, str], _Build] = {}
        self._sound: set[tuple[object, ...]] = set()

    def find_object(self, tree: str, name: str, n: int, damaged: Collection[int] = ()) -> PackedObject | None:
        """What is remembered of an object of a pack that is still the same; None where nothing is."""
        with self._lock:
            known = self._heads.get((tree, name))
        if known is not None and known[0] == self.cache.stamp(tree, name):
            objects = known[1]
        elif (pack := self._passing_pack((tree, name))) is not None:
            objects = pack.objects
        else:
            return None
        return objects.get(n) if not _has_any(objects, damaged) else None

    def read(self, tree: str, name: str, needed: Collection[int] = (), damaged: Collection[int] = ()) -> Pack | None:
        """A pack that is kept, with the `needed` objects and without `damaged` ones; None where there is none."""
        for pack in (self._read(tree, name), self._passing_pack((tree, name))):
            if pack is not None and not _has_any(pack.objects, damaged) and all(n in pack.objects for n in needed):
                return pack
        return None

    def objects(self, tree: str, name: str) -> Mapping[int, PackedObject]:
        """What a pack has of its objects, by their numbers; nothing where there is no pack that can be read."""
        with self._lock:
            known = self._heads.get((tree, name))
        if known is not None and known[0] == self.cache.stamp(tree, name):
            return known[1]
        pack = self._read(tree, name) or self._passing_pack((tree, name))
        return {} if pack is None else pack.objects

    def _read(self, tree: str, name: str) -> Pack | None:
        stamp = self.cache.stamp(tree, name)
        content = self.cache.read(tree, name) if stamp is not None else None
        pack = _parse(content) if content is not None else None
        if pack is not None and stamp is not None:
            self._remember((tree, name), stamp, pack.objects)
        return pack

    def keep(self, tree: str, name: str, content: bytes, *, lasting: bool) -> Pack:
        """Keep a pack that was just made, in memory alone unless it is `lasting`."""
        pack = parse_pack(content)
        if lasting and self.cache.keep(tree, name, content):
            return pack
        with self._lock:
            self._passing[tree, name] = time.monotonic() + _PASSING_SECONDS, pack
            while len(self._passing) > 1 and sum(pack.size for _, pack in self._passing.values()) > _PASSING_BYTES:
                self._passing.popitem(last=False)
        return pack

    def _passing_pack(self, key: tuple[str, str]) -> Pack | None:
        with self._lock:
            until, pack = self._passing.get(key, (0.0, None))
            if pack is not None and until < time.monotonic():
                del self._passing[key]
                return None
            return pack

    @contextlib.contextmanager
    def build(self, tree: str, name: str, pictures: Pictures) -> Iterator[None]:
        """Make a pack while nobody else in this process makes it; within `Pictures.work`.

        Who had to wait finds it made. DecodersOccupied where that takes too long.
        """
        with self._lock:
            build = self._builds.setdefault((tree, name), _Build())
            build.threads += 1
        try:
            if not build.lock.acquire(blocking=False) and not pictures.aside(
                lambda: build.lock.acquire(timeout=PATIENCE)
            ):
                raise DecodersOccupied
            try:
                yield
            finally:
                build.lock.release()
        finally:
            with self._lock:
                build.threads -= 1
                if not build.threads:
                    del self._builds[tree, name]

    def drop_damaged(self, tree: str, damaged: Collection[int]) -> None:
        """Remove the packs of a tree that have objects which are known to be damaged."""
        for name in self.cache.names(tree):
            stamp = self.cache.stamp(tree, name)
            key = tree, name, stamp, frozenset(damaged)
            if not name.endswith(SUFFIX) or stamp is None or key in self._sound:
                continue
            content = self.cache.read(tree, name)
            pack = _parse(content) if content is not None else None
            if pack is None or _has_any(pack.objects, damaged):
                self.cache.drop(tree, name)
                self.cache.drop(tree, COMPLETE)
                continue
            if len(self._sound) >= _HEADS * 100:
                self._sound.clear()
            self._sound.add(key)

    def _remember(self, key: tuple[str, str], stamp: tuple[int, int], objects: dict[int, PackedObject]) -> None:
        with self._lock:
            self._heads[key] = stamp, objects
            self._heads.move_to_end(key)
            while len(self._heads) > 1 and (len(self._heads) > _HEADS or self._numbers() > _HEAD_NUMBERS):
                self._heads.popitem(last=False)

    def _numbers(self) -> int:
        return sum(
            sum(map(len, packed.frames.places)) + 1 if packed.frames is not None else 1
            for _, objects in self._heads.values()
            for packed in objects.values()
        )


class _Build:
    """A pack that is being made, and how many threads make it or wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0


def _has_any(objects: Mapping[int, PackedObject], numbers: Collection[int]) -> bool:
    return any(n in objects for n in numbers)


def _parse(content: bytes) -> Pack | None:
    """A pack from what was kept; None where that is none."""
    try:
        return parse_pack(content)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error, zlib.error):
        return None


def pack_name(scan_n: int, chunk: int) -> str:
    """What a pack is kept under."""
    return f"{VERSION}-{scan_n}-{chunk}{SUFFIX}"


def pack_tree(tree_id: int, uuid: str) -> str:
    """What the packs of a session's tree are kept under; numbers of trees may come again."""
    return f"{tree_id}-{uuid}"


def parse_pack(content: bytes) -> Pack:
    """A pack from its bytes. ValueError and the like where it is none."""
    magic, size = _HEAD.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError("no pack")
    head = json.loads(_unpack(content[_HEAD.size : _HEAD.size + size]))
    at, segments = _HEAD.size + size, []
    for length in head["segments"]:
        segments.append(content[at : at + int(length)])
        at += int(length)
    if at != len(content):
        raise ValueError("a pack that is cut")
    return Pack({int(row[0]): _object_of_row(row) for row in head["objects"]}, segments)


def _object_of_row(row: Sequence[Any]) -> PackedObject:
    _, segment, offset, length, syntax, document, frames, listing = row
    places = None
    if frames is not None:
        *numbers, compressed, pieces = frames
        count, start, bits, turn, size = map(int, numbers)
        places = FramePlaces(count, start, bits, turn, bool(compressed), size, [array("Q", one) for one in pieces])
    values = tuple(map(str, listing))
    if len(values) not in (0, len(IN_HEADERS)):
        raise ValueError("not what is listed of an object")
    return PackedObject(int(segment), int(offset), int(length), str(syntax), str(document), places, values)


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(packed, MAX_RAW)
    if not unpacker.eof:
        raise ValueError("a segment that is cut or too large")
    return raw


OpenNumbers = Callable[[Sequence[int]], AbstractContextManager[Sequence[tuple[int, int]]]]
"""Opens objects by their numbers: number and descriptor of each that is there."""


def build_pack(
    pictures: Pictures, numbers: Sequence[int], opened: OpenNumbers, asker: Requester, key: str
) -> tuple[bytes, bool]:
    """Make a pack of objects by their numbers; its bytes, and whether the next one would be the same.

    DecodersOccupied where it can't be made just now.
    """
    rows: list[list[Any]] = []
    segments: list[bytes] = []
    waiting, lasting, most = list(numbers), True, CHUNK
    while waiting:
        batch = waiting[:most]
        streams: list[int] = []

        @contextlib.contextmanager
        def descriptors(batch: Sequence[int] = batch, streams: list[int] = streams) -> Iterator[list[int]]:
            with opened(batch) as pairs:
                streams[:] = [n for n, _ in pairs]
                yield [fd for _, fd in pairs]

        result = pictures.ask({"verb": "objects"}, descriptors, ("objects", key, batch[0], len(batch)), asker=asker,
                              seconds=_SECONDS)  # fmt: skip
        if result.reason in (BUSY, NO_ROOM):
            raise DecodersOccupied
        if not streams:
            waiting = waiting[len(batch) :]
            continue
        told = [] if result.reason else _add_objects(rows, segments, streams, result)
        if told:
            done = {*told, *(n for n in batch if n not in streams)}
            waiting = [n for n in waiting if n not in done]
        elif len(batch) > 1:  # one of them ends a decoder: the others are told one after the other
            most = max(1, len(batch) // 4)
        else:
            rows.append([batch[0], 0, 0, 0, "", "", None, []])
            lasting = lasting and result.lasting
            waiting = waiting[1:]
    head = zlib.compress(json.dumps({"segments": [*map(len, segments)], "objects": rows}).encode(), 6)
    return _HEAD.pack(_MAGIC, len(head)) + head + b"".join(segments), lasting


def _add_objects(
    rows: list[list[Any]], segments: list[bytes], streams: Sequence[int], result: DecoderResult
) -> list[int]:
    """Enter what a decoder told of the first of these objects; the numbers of these."""
    if result.file is not None:
        packed = b"".join(result.file.pieces())
        result.file.close()
    else:
        packed = result.body
    told: list[int] = []
    offset = 0
    spent = sum(len(place) for row in rows if row[6] is not None for place in row[6][-1])
    try:  # a decoder may be anybody's by now
        for n, described in zip(streams, result.said["objects"], strict=False):
            length = int(described["length"])
            syntax, document = str(described["syntax"]), str(described["document"])
            row = [n, len(segments), offset, length, syntax, document, None, described["listing"]]
            frames = described["frames"]
            if frames is not None:
                places = frames["places"]
                spent += sum(map(len, places))
                row[6] = [
                    frames["count"], frames["start"], frames["bits"], frames["turn"], frames["length"],
                    frames["compressed"], places if spent <= MOST_NUMBERS else [],
                ]  # fmt: skip
            _object_of_row(row)
            rows.append(row)
            told.append(n)
            offset += length
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    segments.append(packed)
    return told
