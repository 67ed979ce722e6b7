"""Archives written as people's tools write them, with the compression spread over the cores."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import BinaryIO

Entry = tuple[str, bytes]
LEVEL = 6
DOS_DATE, DOS_TIME = (2024 - 1980) << 9 | 3 << 5 | 11, 8 << 11
AT_ONCE = 64
NAMES_ARE_UTF8 = 0x800


def write_zip(output: BinaryIO, entries: Iterable[Entry], *, stored: bool = False) -> None:
    """A zip of at most 65,535 entries and 4 GB, deflated at zip's own default level, with Unix modes."""
    directory: list[bytes] = []
    start = output.tell()
    for name, method, crc, size, packed in _packed(entries, stored=stored):
        encoded = name.encode()
        fields = struct.pack(
            "<HHHHIIIHH", NAMES_ARE_UTF8, method, DOS_TIME, DOS_DATE, crc, len(packed), size, len(encoded), 0
        )
        offset = output.tell() - start
        output.write(b"PK\3\4" + struct.pack("<H", 20) + fields + encoded)
        output.write(packed)
        more = struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, offset)
        directory.append(b"PK\1\2" + struct.pack("<HH", 3 << 8 | 20, 20) + fields + more + encoded)
    listing = b"".join(directory)
    ending = (0, 0, len(directory), len(directory), len(listing), output.tell() - start, 0)
    output.write(listing + b"PK\5\6" + struct.pack("<HHHHIIH", *ending))


def zip_bytes(entries: Iterable[Entry]) -> bytes:
    buffer = io.BytesIO()
    write_zip(buffer, entries)
    return buffer.getvalue()


def write_tar_gz(output: BinaryIO, entries: Iterable[Entry]) -> None:
    """A tar.gz in one gzip member, as GNU tar writes it."""
    with (
        gzip.GzipFile("", "wb", LEVEL, output, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_710_144_000
            tar.addfile(info, io.BytesIO(content))


def _packed(entries: Iterable[Entry], *, stored: bool) -> Iterator[tuple[str, int, int, int, bytes]]:
    """Name, method, CRC, size and packed bytes of each entry in order; a few are in work at a time."""

    def pack(entry: Entry) -> tuple[str, int, int, int, bytes]:
        name, content = entry
        if stored:
            return name, 0, zlib.crc32(content), len(content), content
        deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
        packed = deflater.compress(content) + deflater.flush()
        return name, 8, zlib.crc32(content), len(content), packed

    source = iter(entries)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(source, AT_ONCE)):
            yield from pool.map(pack, batch)
