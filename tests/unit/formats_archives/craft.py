"""Zips made byte by byte, so that each part of them can lie."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from scandock.formats.source import MemorySource, SliceSource
from scandock.formats.zip_directory import ZipDirectory, read_directory
from scandock.formats.zip_entry import ZipEntryReader
from scandock.model.limits import Limits

LIMITS = Limits()


def deflated(data: bytes, level: int = 6) -> bytes:
    squeeze = zlib.compressobj(level, wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


@dataclass
class Made:
    """One entry; whatever is None is made honestly."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    packed: bytes | None = None
    crc: int | None = None
    csize: int | None = None
    usize: int | None = None
    offset: int | None = None
    disk: int = 0
    attributes: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    descriptor: bytes | None = None
    """Signature of the data descriptor (empty for none before it); None for no descriptor."""
    wide: bool = False
    """Sizes and offset in a zip64 extra field."""


def made_zip(
    entries: list[Made],
    *,
    comment: bytes = b"",
    prefix: bytes = b"",
    adjusted: bool = True,
    count: int | None = None,
    disk: int = 0,
    directory_size: int | None = None,
    directory_at: int | None = None,
    zip64: bool = False,
    tail: bytes = b"",
) -> bytes:
    """`adjusted`: offsets count from the file's beginning, before which `prefix` was put; else from the zip's."""
    out = bytearray(prefix)
    base = 0 if adjusted else len(prefix)
    directory = bytearray()
    for entry in entries:
        packed = entry.packed
        if packed is None:
            packed = deflated(entry.data) if entry.method == 8 else entry.data
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        csize = len(packed) if entry.csize is None else entry.csize
        usize = len(entry.data) if entry.usize is None else entry.usize
        offset = len(out) - base if entry.offset is None else entry.offset
        flags = entry.flags | (8 if entry.descriptor is not None else 0)
        local = (0, 0, 0) if entry.descriptor is not None else (crc, csize & 0xFFFFFFFF, usize & 0xFFFFFFFF)
        local_name = entry.name if entry.local_name is None else entry.local_name
        out += struct.pack(
            "<4s5HIIIHH",
            b"PK\3\4",
            20,
            flags if entry.local_flags is None else entry.local_flags,
            entry.method if entry.local_method is None else entry.local_method,
            0,
            0x21,
            *local,
            len(local_name),
            len(entry.local_extra),
        )
        out += local_name + entry.local_extra + packed
        if entry.descriptor is not None:
            out += entry.descriptor + struct.pack("<III", crc, csize, usize)
        extra, sizes, at, disk_start = entry.extra, (csize, usize), offset, entry.disk
        if entry.wide:
            extra = struct.pack("<HHQQQ", 1, 24, usize, csize, offset) + extra
            sizes, at = (0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF
        directory += struct.pack(
            "<4s6H3I5HII",
            *(b"PK\1\2", 0x031E, 20, flags, entry.method, 0, 0x21, crc, *sizes),
            *(len(entry.name), len(extra), 0, disk_start, 0, entry.attributes, at),
        )
        directory += entry.name + extra
    start = len(out) - base if directory_at is None else directory_at
    size = len(directory) if directory_size is None else directory_size
    total = len(entries) if count is None else count
    out += directory
    if zip64:
        at = len(out) - base
        out += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, disk, disk, total, total, size, start)
        out += struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        disk, total, size, start = 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    out += struct.pack("<4s4HIIH", b"PK\5\6", disk, disk, total, total, size, start, len(comment)) + comment
    return bytes(out + tail)


def directory_of(data: bytes, limits: Limits = LIMITS) -> ZipDirectory:
    return read_directory(MemorySource(data), limits)


def contents(data: bytes, limits: Limits = LIMITS) -> dict[str, bytes]:
    """Every file of a zip by its name, unpacked in pieces and whole, from memory and else: all must agree."""
    source, reader, found = MemorySource(data), ZipEntryReader(limits), {}
    for entry in read_directory(source, limits).entries:
        streamed = b"".join(bytes(piece) for piece in reader.stream(source, entry))
        if entry.usize <= 8 << 20:
            assert bytes(reader.whole(source, entry)) == streamed
            assert bytes(reader.whole(SliceSource(source, 0, source.size), entry)) == streamed
        if not entry.is_dir:
            found[entry.name] = streamed
    return found
