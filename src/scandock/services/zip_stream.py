"""A zip as a stream of bytes: nothing but the entry at hand is in memory.

Entries are stored or deflated at level 1, sizes and CRC follow each in a data descriptor (APPNOTE.TXT 4.3.9), zip64
where a size or offset needs it. The central directory waits compressed, what is more than a megabyte of it on disk:
who reads slowly, or not at all, keeps no more in memory than that.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NamedTuple

from isal import isal_zlib

from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.chunks import AHEAD_BYTES, ReadAhead, find_descriptor
from scandock.services.file_errors import FileChanged

CHUNK: Final = 256 * 1024
IN_MEMORY: Final = 1024 * 1024
AHEAD_FILES: Final = 4
"""Files that are opened before their turn: a disk is quicker where it is asked for several."""

_BIG: Final = 0xFFFFFFFF
_MANY: Final = 0xFFFF
_FLAGS: Final = 0x0808
"""Bit 3: a data descriptor follows. Bit 11: the name is UTF-8."""
_STORED, _DEFLATED = 0, 8
_VERSION: Final = 45
_UNIX: Final = 3 << 8
_PLAIN_FILE: Final = 0o100644 << 16

Buffer = bytes | bytearray | memoryview


def _always_allow() -> None:
    """Nobody is asked whether an entry may go on."""


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file of a zip: its name there, its size, and how it is opened when its turn comes."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    ask: Callable[[], None] = _always_allow
    """Called before each piece of it is read; what it raises ends the zip."""


class ZipStream:
    """Makes one zip of entries; iterate `chunks` once. Raises Fault `file_changed` where one has not its size."""

    def __init__(self, *, deflate: bool = False, moment: datetime | None = None) -> None:
        self.deflate = deflate
        self._stamp = _dos_time(moment or datetime.now(UTC))
        self._at = 0
        self._count = 0
        self._central_size = 0
        self._packer = zlib.compressobj(1)
        self._packed = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  closed once all is sent
        self._buffer = memoryview(b"")
        self._filled = 0

    def chunks(self, entries: Iterable[ZipEntry]) -> Iterator[bytes | memoryview]:
        """The bytes of the zip, entry by entry, then its directory: each chunk is good until the next is asked for."""
        self._buffer = memoryview(bytearray(CHUNK))
        with self._packed, closing(_open_ahead(entries)) as files:
            for opened in files:
                with opened.stream:
                    yield from self._entry(opened)
            start = self._at
            self._packed.write(self._packer.flush())
            self._packed.seek(0)
            unpacker = zlib.decompressobj()
            while tail := self._packed.read(CHUNK):
                while tail:
                    yield from self._put(unpacker.decompress(tail, CHUNK))
                    tail = unpacker.unconsumed_tail
            yield from self._put(unpacker.flush())
            yield from self._put(_format_directory_end(self._count, self._central_size, start))
            if self._filled:
                yield self._take()

    def _put(self, data: bytes) -> Iterator[bytes | memoryview]:
        """Append what is made here: to the buffer where it has room, else behind what is in that."""
        self._at += len(data)
        if len(data) > len(self._buffer) - self._filled:
            if self._filled:
                yield self._take()
            if len(data) > len(self._buffer):
                yield data
                return
        self._buffer[self._filled : self._filled + len(data)] = data
        self._filled += len(data)

    def _take(self) -> memoryview:
        """What the buffer has; it is filled from its beginning again."""
        filled, self._filled = self._filled, 0
        return self._buffer[:filled]

    def _entry(self, opened: _OpenEntry) -> Iterator[bytes | memoryview]:
        entry, stream, ahead = opened
        name = entry.name.encode()
        big = entry.size >= _BIG - 1024 * 1024  # deflate may make what can't be packed a little longer
        method = _DEFLATED if self.deflate else _STORED
        start = self._at
        yield from self._put(_format_header(self._stamp, name, method, big=big))
        begun = self._at
        crc, read = 0, 0
        if self.deflate:
            packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
            while data := _read_next(entry, stream):
                crc = isal_zlib.crc32(data, crc)
                read += len(data)
                yield from self._put(packer.compress(data))
            yield from self._put(packer.flush())
        else:
            while True:
                if self._filled == len(self._buffer):
                    yield self._take()
                entry.ask()
                ahead.want(read)
                room = self._buffer[self._filled :]
                count: int = stream.readinto(room)  # type: ignore[attr-defined]  # all readers have it
                crc = isal_zlib.crc32(room[:count], crc)
                read += count
                self._at += count
                self._filled += count
                if not count or (read == entry.size and count < len(room)):  # a reader fills what it can
                    break
        if read != entry.size:
            raise FileChanged
        written = self._at - begun
        yield from self._put(_format_descriptor(crc, written, read, big=big))
        self._note(name, method, crc, written, read, start)

    def _note(self, name: bytes, method: int, crc: int, packed: int, size: int, start: int) -> None:
        """Keep the entry's record of the central directory."""
        record = _format_record(self._stamp, name, method, crc, packed, size, start)
        self._count += 1
        self._central_size += len(record)
        if packed_record := self._packer.compress(record):
            self._packed.write(packed_record)


class _OpenEntry(NamedTuple):
    """An entry whose turn it is soon; who takes it closes its file."""

    entry: ZipEntry
    stream: IO[bytes]
    ahead: ReadAhead


def _open_ahead(entries: Iterable[ZipEntry]) -> Generator[_OpenEntry, None, None]:
    """Entries with their files, open: a few more are opened meanwhile, whose bytes the system begins to read.

    What fails is told in its turn.
    """
    remaining = iter(entries)
    waiting: deque[_OpenEntry] = deque()
    failure: BaseException | None = None
    ended = False
    size = 0
    try:
        while True:
            while not ended and (not waiting or (len(waiting) < AHEAD_FILES and size < AHEAD_BYTES)):
                try:
                    entry = next(remaining, None)
                    if entry is not None:
                        waiting.append(_open(entry))
                        size += entry.size
                except (ScandockError, OSError) as error:
                    failure, entry = error, None
                ended = entry is None
            if not waiting:
                break
            size -= waiting[0].entry.size
            yield waiting.popleft()
        if failure is not None:
            raise failure
    finally:
        for opened in waiting:
            opened.stream.close()


def _open(entry: ZipEntry) -> _OpenEntry:
    stream = entry.open()
    ahead = ReadAhead(find_descriptor(stream), 0, entry.size)
    ahead.want(0)
    return _OpenEntry(entry, stream, ahead)


class ZipWriter:
    """Makes a zip of stored entries that come piece by piece, of whatever length: each call gives the bytes to write.

    `begin` an entry, `add` what there is of it, `end` it; `finish` when all are there. The records of the central
    directory, some 70 bytes an entry, wait in memory. What is to survive a kill is `store.object_spools`, and why.
    """

    def __init__(self, moment: datetime | None = None) -> None:
        self.entries = 0
        self._stamp = _dos_time(moment or datetime.now(UTC))
        self._at = 0
        self._records = bytearray()
        self._name = b""
        self._start = self._crc = self._size = 0

    def begin(self, name: str) -> bytes:
        """Begin an entry, whose length nobody knows yet: so its header and descriptor have room for any."""
        self._name, self._start = name.encode(), self._at
        self._crc = self._size = 0
        return self._count(_format_header(self._stamp, self._name, _STORED, big=True))

    def add(self, data: Buffer) -> Buffer:
        """Count what the entry has, and give it back."""
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        self._at += len(data)
        return data

    def end(self) -> bytes:
        """End the entry."""
        self.entries += 1
        self._records += _format_record(
            self._stamp, self._name, _STORED, self._crc, self._size, self._size, self._start
        )
        return self._count(_format_descriptor(self._crc, self._size, self._size, big=True))

    def finish(self) -> bytes:
        """The central directory, and its end."""
        return bytes(self._records) + _format_directory_end(self.entries, len(self._records), self._at)

    def _count(self, data: bytes) -> bytes:
        self._at += len(data)
        return data


def _read_next(entry: ZipEntry, stream: IO[bytes]) -> bytes:
    entry.ask()
    return stream.read(CHUNK)


def _format_header(stamp: int, name: bytes, method: int, *, big: bool) -> bytes:
    """The header before an entry; `big`: its sizes, which follow it, may need 64 bits."""
    size = _BIG if big else 0
    extra = struct.pack("<HHQQ", 1, 16, 0, 0) if big else b""
    return struct.pack(
        "<IHHHIIIIHH", 0x04034B50, _VERSION, _FLAGS, method, stamp, 0, size, size, len(name), len(extra)
    ) + name + extra  # fmt: skip


def _format_descriptor(crc: int, packed: int, size: int, *, big: bool) -> bytes:
    """What follows an entry: its sum and its sizes."""
    return struct.pack("<IIQQ" if big else "<IIII", 0x08074B50, crc, packed, size)


def _format_record(stamp: int, name: bytes, method: int, crc: int, packed: int, size: int, start: int) -> bytes:
    """An entry in the central directory."""
    wide = [value for value in (size, packed, start) if value >= _BIG]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    return struct.pack(
        "<IHHHHIIIIHHHHHII", 0x02014B50, _UNIX | _VERSION, _VERSION, _FLAGS, method, stamp, crc,
        min(packed, _BIG), min(size, _BIG), len(name), len(extra), 0, 0, 0, _PLAIN_FILE, min(start, _BIG),
    ) + name + extra  # fmt: skip


def stored_length(names_and_sizes: Iterable[tuple[str, int]]) -> int:
    """The exact length of a zip whose entries are stored."""
    total = central = count = 0
    for text, size in names_and_sizes:
        name = len(text.encode())
        big = size >= _BIG - 1024 * 1024
        wide = (2 if size >= _BIG else 0) + (1 if total >= _BIG else 0)
        central += 46 + name + (4 + 8 * wide if wide else 0)
        total += 30 + name + (20 if big else 0) + size + (24 if big else 16)
        count += 1
    return total + central + len(_format_directory_end(count, central, total))


def _format_directory_end(count: int, size: int, start: int) -> bytes:
    """The end of the central directory, with that of zip64 before it where one of its figures needs it."""
    plain = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, min(count, _MANY), min(count, _MANY), min(size, _BIG), min(start, _BIG), 0
    )
    if count < _MANY and size < _BIG and start < _BIG:
        return plain
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, _UNIX | _VERSION, _VERSION, 0, 0, count, count, size, start)
    return record + struct.pack("<IIQI", 0x07064B50, 0, start + size, 1) + plain


def _dos_time(moment: datetime) -> int:
    year = min(max(moment.year, 1980), 2107)
    date = (year - 1980) << 9 | moment.month << 5 | moment.day
    return date << 16 | moment.hour << 11 | moment.minute << 5 | moment.second // 2
