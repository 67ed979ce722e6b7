"""A zip writer in which every field can lie (APPNOTE 6.3.10: 4.3.7 local header to 4.3.16 end record)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tests.badinput import packing

STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTD, XZ = 0, 8, 9, 12, 14, 93, 95
ENCRYPTED, DESCRIPTOR, STRONG, UTF8, MASKED = 1 << 0, 1 << 3, 1 << 6, 1 << 11, 1 << 13
UNIX: Final = 0x0314
DOS: Final = 0x0014
DATE: Final = struct.pack("<HH", 0x1242, 0x5042)
FILE_MODE: Final = 0o100644 << 16
LINK_MODE: Final = 0o120777 << 16
FOLDER_MODE: Final = (0o40755 << 16) | 0x10
FULL32: Final = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry. What is None follows from the data; what is given stands in the headers, true or not."""

    name: bytes
    data: bytes = b""
    method: int = DEFLATE
    body: bytes | None = None
    """The packed bytes as they stand in the file."""
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    flags: int = 0
    made_by: int = UNIX
    attributes: int = FILE_MODE
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    descriptor: bytes | None = None
    """Signature before the descriptor (may be empty); None: no descriptor."""
    zip64: bool = False
    offset: int | None = None
    """Where the directory says that the local header stands; with it no local part is written."""
    disk: int = 0

    def packed_bytes(self) -> bytes:
        return packing.pack(self.method, self.data) if self.body is None else self.body


@dataclass(frozen=True)
class _Fields:
    version: int
    flags: int
    crc: int
    packed: int
    size: int


def _fields(entry: Entry, body: bytes) -> _Fields:
    flags = entry.flags | (DESCRIPTOR if entry.descriptor is not None else 0)
    if entry.method == LZMA:
        flags |= 2  # the stream ends with a marker
    return _Fields(
        version=45 if entry.zip64 else 20,
        flags=flags,
        crc=zlib.crc32(entry.data) if entry.crc is None else entry.crc,
        packed=len(body) if entry.packed is None else entry.packed,
        size=len(entry.data) if entry.size is None else entry.size,
    )


def local_header(entry: Entry, body: bytes) -> bytes:
    """Header before the data; with a descriptor its CRC and sizes are zero."""
    fields = _fields(entry, body)
    name = entry.name if entry.local_name is None else entry.local_name
    crc, packed, size, extra = fields.crc, fields.packed, fields.size, entry.local_extra
    if entry.descriptor is not None:
        crc = packed = size = 0
    elif entry.zip64:
        extra = struct.pack("<HHQQ", 1, 16, size, packed) + extra
        packed = size = FULL32
    head = struct.pack(
        "<4sHHH4sIIIHH",
        b"PK\3\4",
        fields.version,
        fields.flags,
        entry.method,
        DATE,
        crc,
        packed,
        size,
        len(name),
        len(extra),
    )
    return head + name + extra


def local(entry: Entry, body: bytes) -> bytes:
    """Local header, the packed `body` and, where asked for, the descriptor."""
    whole = local_header(entry, body) + body
    if entry.descriptor is not None:
        fields = _fields(entry, body)
        whole += entry.descriptor + struct.pack("<III", fields.crc, fields.packed, fields.size)
    return whole


def central(entry: Entry, offset: int, body: bytes) -> bytes:
    """Directory record of an entry whose local header stands at `offset`."""
    fields = _fields(entry, body)
    packed, size, where, extra = fields.packed, fields.size, offset, entry.extra
    if entry.zip64:
        extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset) + extra
        packed = size = where = FULL32
    head = struct.pack(
        "<4sHHHH4sIIIHHHHHII",
        b"PK\1\2",
        entry.made_by,
        fields.version,
        fields.flags,
        entry.method,
        DATE,
        fields.crc,
        packed,
        size,
        len(entry.name),
        len(extra),
        0,
        entry.disk,
        0,
        entry.attributes,
        where,
    )
    return head + entry.name + extra


def end(*, count: int, size: int, offset: int, comment: bytes = b"", disk: int = 0, start_disk: int = 0) -> bytes:
    """End of central directory record."""
    counts = min(count, 0xFFFF)
    return struct.pack("<4sHHHHIIH", b"PK\5\6", disk, start_disk, counts, counts, size, offset, len(comment)) + comment


def end64(*, count: int, size: int, offset: int, at: int) -> bytes:
    """Zip64 end record and its locator; the record stands at `at`."""
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)


def archive(
    entries: Iterable[Entry],
    *,
    prefix: bytes = b"",
    adjusted: bool = True,
    comment: bytes = b"",
    zip64: bool = False,
    count: int | None = None,
    disk: int = 0,
    start_disk: int = 0,
) -> bytes:
    """A zip of the entries after `prefix`; where not `adjusted`, offsets are as if there was no prefix."""
    out, directory = bytearray(prefix), bytearray()
    base = 0 if adjusted else len(prefix)
    written = 0
    for entry in entries:
        written += 1
        body = entry.packed_bytes()
        offset = len(out) - base
        if entry.offset is None:
            out += local(entry, body)
        directory += central(entry, offset if entry.offset is None else entry.offset, body)
    at, said = len(out) - base, written if count is None else count
    out += directory
    if zip64:
        out += end64(count=said, size=len(directory), offset=at, at=len(out) - base)
        return bytes(out) + end(count=0xFFFF, size=FULL32, offset=FULL32, comment=comment)
    tail = end(count=said, size=len(directory), offset=at, comment=comment, disk=disk, start_disk=start_disk)
    return bytes(out) + tail


def folder(name: bytes) -> Entry:
    return Entry(name=name.rstrip(b"/") + b"/", method=STORED, attributes=FOLDER_MODE)


def link(name: bytes, target: bytes) -> Entry:
    """A symbolic link as Info-ZIP stores it: the target is the data."""
    return Entry(name=name, data=target, method=STORED, attributes=LINK_MODE)


def files(*pairs: tuple[bytes, bytes], **values: object) -> list[Entry]:
    """Entries of names and data, all with the same options."""
    return [Entry(name=name, data=data, **values) for name, data in pairs]  # type: ignore[arg-type]


def plain(*pairs: tuple[bytes, bytes]) -> bytes:
    """A zip with nothing odd about it."""
    return archive(files(*pairs))


def nested(outer: Entry, inner: Entry) -> bytes:
    """A zip of two entries, the second of which stands in the last bytes of the first one's data.

    By its directory alone neither is too long: the first has extra fields of as many bytes as the second takes.
    """
    within = local(inner, inner.packed_bytes())
    outer = replace(
        outer,
        data=outer.data + within,
        method=STORED,
        local_extra=struct.pack("<HH", 0x9999, len(within)) + bytes(len(within)),
    )
    at = len(local_header(outer, outer.data)) + len(outer.data) - len(within)
    return archive([outer, replace(inner, offset=at)])
