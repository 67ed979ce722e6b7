"""Compressing and encrypting what a zip entry holds, also by the methods that Python's zipfile can't write."""

from __future__ import annotations

import bz2
import functools
import lzma
import struct
import zlib
from typing import Final

ZEROS_CHUNK: Final = 16 * 1024 * 1024


def raw_deflate(data: bytes, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@functools.cache
def _zeros_block() -> bytes:
    """16 MiB of zeros as deflate blocks that end at a byte and refer to nothing before them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(ZEROS_CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)


def deflated_zeros(chunks: int, before: bytes = b"", after: bytes = b"") -> bytes:
    """A deflate stream of `before`, `chunks` times 16 MiB of zeros and `after`, made without inflating it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + _zeros_block() * chunks + raw_deflate(after)


@functools.cache
def crc_of_zeros(chunks: int, start: int = 0) -> int:
    """CRC-32 of `chunks` times 16 MiB of zeros after bytes whose CRC is `start`."""
    chunk, crc = bytes(ZEROS_CHUNK), start
    for _ in range(chunks):
        crc = zlib.crc32(chunk, crc)
    return crc


def _deflate64(data: bytes) -> bytes:
    import inflate64

    packer = inflate64.Deflater()
    return bytes(packer.deflate(data) + packer.flush())


def _zip_lzma(data: bytes) -> bytes:
    """LZMA as APPNOTE 5.8 has it: version, length of the properties, properties, stream with an end marker."""
    options = {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
    properties = bytes([(2 * 5 + 0) * 9 + 3]) + struct.pack("<I", 1 << 16)
    stream = lzma.compress(data, lzma.FORMAT_RAW, filters=[options])
    return bytes([9, 20]) + struct.pack("<H", len(properties)) + properties + stream


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def pack(method: int, data: bytes) -> bytes:
    """The bytes of an entry by zip method; a method with no writer here gives bytes that mean nothing."""
    if method == 0:
        return data
    writers = {8: raw_deflate, 9: _deflate64, 12: bz2.compress, 14: _zip_lzma, 93: _zstd, 95: lzma.compress}
    writer = writers.get(method)
    return writer(data) if writer else bytes(byte ^ 0x5A for byte in data)


class _Keys:
    """The three keys of traditional zip encryption (APPNOTE 6.1)."""

    def __init__(self, password: bytes) -> None:
        self.keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self.update(byte)

    def update(self, byte: int) -> None:
        first = zlib.crc32(bytes([byte]), self.keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        second = ((self.keys[1] + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = zlib.crc32(bytes([second >> 24]), self.keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        self.keys = [first, second, third]

    def encrypt(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            mask = (self.keys[2] | 2) & 0xFFFF
            out.append(byte ^ ((mask * (mask ^ 1)) >> 8 & 0xFF))
            self.update(byte)
        return bytes(out)


def zipcrypto(packed: bytes, password: bytes, crc: int) -> bytes:
    """12 bytes of header, the last of which checks the password, and the packed bytes, encrypted."""
    return _Keys(password).encrypt(b"elevenbytes" + bytes([crc >> 24]) + packed)


def gzipped(data: bytes, *, crc: int | None = None, trailer: int = 8) -> bytes:
    """One gzip member without time or name; `crc` may lie, and only `trailer` of its last 8 bytes stand there."""
    checked = zlib.crc32(data) if crc is None else crc
    end = struct.pack("<II", checked, len(data) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + raw_deflate(data) + end[:trailer]
