"""Packs of an object store: zips of what a reader stages, so that a session of 20,000 files is a few objects.

Entries are stored, and named by the sha256 of their bytes: a pack is proven, and taken apart, by any tool and without
the catalog. One holds files of one study alone, as the reader gives it. Larger files are objects of their own.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from hashlib import sha256 as hash_bytes
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, mmap
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from deflate import crc32

from scandock.model.crash_points import reach
from scandock.store import paths
from scandock.store.paths import unchecked_path
from scandock.store.records import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scandock.store.bucket import Bucket, ObjectWriter
    from scandock.store.handles import ReadFile
    from scandock.store.segment_files import SegmentReader
    from scandock.store.stages import LocalStage

PACK_BYTES: Final = 32 * 1024 * 1024
PACK_FILES: Final = 4096
AT_ONCE: Final = 3
"""Packs that are sent at once: one connection to a store is seldom as fast as the line."""
OPEN_STUDIES: Final = 4
"""Studies whose packs a reader fills at once; of a further one, the pack that was begun first is closed."""
OWN_OBJECT: Final = 8 * 1024 * 1024
"""Bytes above which a file is an object of its own."""
CHUNK: Final = 1024 * 1024
"""Bytes of a large file that are in memory while it is copied."""

NAME_BYTES: Final = 64
"""The name of an entry, which is right before its bytes: the hexadecimal digits of their sha256."""

_LOCAL: Final = Struct("<4s5H3L2H")
_CENTRAL: Final = Struct("<4s6H3L5H2L")
_END: Final = Struct("<4s4H2LH")
_VERSION: Final = 20
_MADE_BY: Final = 0x0300 | _VERSION
"""Unix: external attributes are a mode."""
_DATE: Final = 0x21
"""1980-01-01: a pack says nothing of when it was made, so that the same files make the same bytes."""
_REGULAR: Final = 0o100644 << 16
_ENTRY_ROOM: Final = 256
"""More than a file takes in a pack beside its own bytes."""


ENTRY_BYTES: Final = _LOCAL.size + _CENTRAL.size + 2 * NAME_BYTES
"""What an entry takes beside its bytes."""


def pack_size(lengths: Iterable[int]) -> int:
    """Bytes of a pack with entries of these lengths."""
    return _END.size + sum(length + ENTRY_BYTES for length in lengths)


class StoredObject(NamedTuple):
    """An object that the store has for certain: a pack, or a file of its own."""

    key: str
    size: int


def attempt_prefix(kind: str, upload: str, token: str) -> str:
    """Below which one attempt alone stores packs (`p`), files of their own (`f`) or receipts (`r`)."""
    shard = hash_bytes(upload.encode()).hexdigest()[:2]
    return f"v1/{kind}/{shard}/{paths.label(upload)}/{paths.label(token)}"


class _Pack:
    """A pack that is being filled, in memory that the kernel gives page by page as it is."""

    def __init__(self, key: str, buffer: mmap) -> None:
        self.key = key
        self.buffer = buffer
        self.content = memoryview(buffer)
        self.size = 0
        self.directory = bytearray()
        self.files = 0

    def add(self, size: int, sha256: bytes, fill: Callable[[memoryview], int]) -> Blob:
        """Append a file, whose bytes `fill` writes and counts. ValueError where these are more or fewer than `size`."""
        at = self.size
        begin = at + _LOCAL.size + NAME_BYTES
        data = self.content[begin : begin + size]
        if fill(data) != size:
            raise ValueError(f"not {size} bytes")
        digest = sha256 or hash_bytes(data).digest()
        name = digest.hex().encode()
        common = (0, 0, 0, _DATE, crc32(data), size, size, len(name))
        self.content[at:begin] = _LOCAL.pack(b"PK\3\4", _VERSION, *common, 0) + name
        self.directory += _CENTRAL.pack(b"PK\1\2", _MADE_BY, _VERSION, *common, 0, 0, 0, 0, _REGULAR, at) + name
        self.files += 1
        self.size = begin + size
        return Blob(self.key, begin, size, size, digest)

    def close(self) -> memoryview:
        """All of the zip."""
        end = _END.pack(b"PK\5\6", 0, 0, self.files, self.files, len(self.directory), self.size, 0)
        whole = self.size + len(self.directory) + len(end)
        self.content[self.size : whole] = self.directory + end
        return self.content[:whole]


class PackWriter:
    """What one reader of one attempt writes; for one thread. After a Fault the attempt is over.

    One pack fills while others are sent: so many packs of memory and one more, and an open one for each further study.
    """

    def __init__(self, bucket: Bucket, upload: str, token: str, reader: str, *, pack_bytes: int = PACK_BYTES) -> None:
        self._prefixes = {kind: attempt_prefix(kind, upload, token) for kind in ("p", "f")}
        self._reader = paths.label(reader)
        self._bucket = bucket
        self._pack_bytes = pack_bytes
        self._packs: OrderedDict[str, _Pack] = OrderedDict()
        self._number = 0
        self._flying: deque[tuple[mmap | None, Future[StoredObject]]] = deque()
        self._buffers: list[mmap] = []
        """Of packs that have been sent, for those to come."""
        self._stored: list[StoredObject] = []
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pack")

    def put(self, study: str, data: bytes | bytearray | memoryview, sha256: bytes = b"") -> Blob:
        """Store a file of a study; certain only after `seal`. Fault `store_failed`."""
        view = memoryview(data).cast("B")
        if len(view) > OWN_OBJECT:
            digest = sha256 or hash_bytes(view).digest()
            key = self._next_key("f", "")
            self._send(key, memoryview(bytes(view)), None)
            return Blob(key, 0, len(view), len(view), digest)

        def fill(target: memoryview) -> int:
            target[:] = view
            return len(view)

        return self.put_small(study, len(view), sha256, fill)

    def put_small(self, study: str, size: int, sha256: bytes, fill: Callable[[memoryview], int]) -> Blob:
        """Store a file of at most OWN_OBJECT bytes, which `fill` writes to where it is given, and counts; as `put`.

        Without `sha256` it is computed. ValueError where `fill` counts other than `size`: nothing is there of it then.
        """
        pack = self._packs.get(study)
        if pack is None:
            if len(self._packs) >= OPEN_STUDIES:
                self._close_pack(next(iter(self._packs)))
            pack = self._packs[study] = _Pack(self._next_key("p", ".zip"), self._take_buffer())
        blob = pack.add(size, sha256, fill)
        if pack.size >= self._pack_bytes or pack.files >= PACK_FILES:
            self._close_pack(study)
        return blob

    def _take_buffer(self) -> mmap:
        if self._buffers:
            return self._buffers.pop()
        size = self._pack_bytes + OWN_OBJECT + PACK_FILES * _ENTRY_ROOM
        buffer = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)  # shared memory gets no huge pages
        with contextlib.suppress(OSError):  # a kernel without them
            buffer.madvise(MADV_HUGEPAGE)
        return buffer

    def open(self, study: str) -> FileWriter:
        """A file of a study that comes piece by piece, of any size."""
        return FileWriter(self, study)

    def open_object(self) -> ObjectWriter:
        """An object of its own for a file that is too large to wait in memory; `add_object` once it is there."""
        return self._bucket.open_writer(self._next_key("f", ""))

    def add_object(self, key: str, size: int) -> None:
        """Note an object of `open_object` that is closed."""
        self._stored.append(StoredObject(key, size))

    def seal(self) -> list[StoredObject]:
        """Close all packs, and wait until the store has all of them; every object that this has written. Fault."""
        self.close_packs()
        self.wait_sent()
        return list(self._stored)

    def close(self) -> None:
        """Let go of the thread; what is being sent ends first."""
        self._pool.shutdown()

    def _next_key(self, kind: str, suffix: str) -> str:
        self._number += 1
        return f"{self._prefixes[kind]}/{self._reader}-{self._number}{suffix}"

    def close_packs(self, study: str = "") -> None:
        """Send what is filled so far, of all studies or of one: the files to come are in other packs."""
        for name in [study] if study else list(self._packs):
            if name in self._packs:
                self._close_pack(name)

    def _close_pack(self, study: str) -> None:
        pack = self._packs.pop(study)
        self._send(pack.key, pack.close(), pack.buffer)

    def _send(self, key: str, content: memoryview, buffer: mmap | None) -> None:
        """Send an object; `buffer` is that of a pack."""
        self.wait_sent(AT_ONCE - 1)

        def send() -> StoredObject:
            self._bucket.put(key, content)
            reach("pack_sent")
            return StoredObject(key, len(content))

        self._flying.append((buffer, self._pool.submit(send)))

    def wait_sent(self, most: int = 0) -> None:
        """Wait until no more than so many are under way. Fault of one that failed."""
        while len(self._flying) > most:
            buffer, flying = self._flying.popleft()
            self._stored.append(flying.result())
            if buffer is not None:
                self._buffers.append(buffer)


class FileWriter:
    """One file while it comes: in memory while it may go into a pack, as an object of its own from then on."""

    __slots__ = ("_buffer", "_digest", "_object", "_packs", "_study", "size")

    def __init__(self, packs: PackWriter, study: str) -> None:
        self._packs = packs
        self._study = study
        self._buffer = bytearray()
        self._digest = hash_bytes()
        self._object: ObjectWriter | None = None
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append all of `data`; its bytes. Fault `store_failed`."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.size += len(view)
        if self._object is None:
            self._buffer += view
            if len(self._buffer) > OWN_OBJECT:
                self._object = self._packs.open_object()
                self._object.write(memoryview(self._buffer))
                self._buffer = bytearray()
        else:
            self._object.write(view)
        return len(view)

    def close(self) -> Blob:
        """Finish it; certain only after the packs' `seal`. Nothing is there of a file that is not closed. Fault."""
        digest = self._digest.digest()
        if self._object is None:
            return self._packs.put(self._study, self._buffer, digest)
        self._object.close()
        self._packs.add_object(self._object.key, self.size)
        return Blob(self._object.key, 0, self.size, self.size, digest)


def pack_file(
    packs: PackWriter,
    stage: LocalStage,
    segments: SegmentReader,
    study: str,
    file: ReadFile,
    check: Callable[[], None] | None = None,
) -> Blob:
    """Store a staged file among those of a study, or as an object of its own; see `PackWriter.put_small`.

    `check` is called again and again within a large one: what it raises ends it.
    """
    rel = unchecked_path(file.rel)
    if file.size <= OWN_OBJECT:
        fill = partial(stage.read_into, rel) if file.place is None else partial(segments.read_into, file.place)
        return packs.put_small(study, file.size, file.sha256, fill)
    writer = packs.open(study)
    with stage.open(rel) if file.place is None else segments.open(file.place, file.size) as reader:
        while data := reader.read(CHUNK):
            if check is not None:
                check()
            writer.write(data)
    return writer.close()
