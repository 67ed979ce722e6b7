"""Compressed bytes to bytes, a bounded piece at a time, whatever the method.

Every decoder here takes pulls of compressed bytes and gives pieces of at most CHUNK (zstd and deflate64: a bounded
multiple) and never grows with what a header claims.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Final, Protocol, cast

from isal import igzip_lib

from scandock.formats.display_names import as_size
from scandock.formats.errors import DictionaryTooLarge, StreamCut, StreamDamaged, StreamError
from scandock.formats.source import Source
from scandock.model.errors import BadInput
from scandock.model.limits import Limits

CHUNK: Final = 256 * 1024
"""Unpacked bytes in one piece: small enough to stay in the processor's cache until it is hashed and written."""

MANY_MEMBERS: Final = 100_000
_LEAST_EACH: Final = 64
_ISAL_ERROR: Final = cast("type[Exception]", igzip_lib.IsalError)

Pull = Callable[[], bytes | memoryview]
"""The next compressed bytes; empty at their end. A view stays valid until the next pull."""


class Decoder(Protocol):
    """What isal, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = -1, /) -> bytes: ...


class BrokenStream(Exception):
    """The compressed bytes cannot be taken: `error` says that of what they belong to."""

    def __init__(self, error: type[StreamError], what: str) -> None:
        super().__init__(what)
        self.error = error

    def to_error(self, thing: str) -> BadInput:
        """The refusal, with what the bytes belong to as the sentence's subject."""
        return self.error(f"{thing} {self}.")


def damaged_error() -> BrokenStream:
    """Compressed data that no packer writes, or whose checksum is wrong."""
    return BrokenStream(StreamDamaged, "is damaged: the compressed data or their checksum are wrong")


def cut_error() -> BrokenStream:
    """Compressed data that end before their end."""
    return BrokenStream(StreamCut, "is cut short: the compressed data end too early")


def dictionary_error(window: int, limits: Limits) -> BrokenStream:
    """Compressed data that ask for more memory than the bound; 0 where the library does not say how much."""
    size = as_size(window) if window else "more"
    return BrokenStream(
        DictionaryTooLarge,
        f"needs a dictionary of {size} to unpack, where at most {as_size(limits.max_dictionary_bytes)} are taken",
    )


def decompress_stream(decoder: Decoder, pull: Pull, limits: Limits) -> Iterator[bytes]:
    """All output of one stream; raises BrokenStream where it is damaged or cut."""
    try:
        while not decoder.eof:
            data: bytes | memoryview = b""
            if decoder.needs_input:
                data = pull()
                if not data:
                    raise cut_error()
            out = decoder.decompress(data, CHUNK)
            if out:
                yield out
    except lzma.LZMAError as error:
        raise (dictionary_error(0, limits) if "Memory usage limit" in str(error) else damaged_error()) from error
    except (_ISAL_ERROR, OSError, ValueError, EOFError) as error:
        raise damaged_error() from error


def check_member_sizes(members: int, unpacked: int) -> None:
    """Raise BrokenStream for a stream of countless members that hold next to nothing: they cost time and are no data.

    Blocked gzip has some 64 KB in each.
    """
    if members > MANY_MEMBERS and unpacked < members * _LEAST_EACH:
        raise BrokenStream(StreamDamaged, f"is damaged: it consists of {members} pieces with next to nothing in them")


def inflater() -> Decoder:
    """Raw deflate, as zip method 8."""
    decoder: Decoder = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
    return decoder


def gunzipper() -> Decoder:
    """One gzip member from behind its header; the trailer's CRC and length are checked."""
    decoder: Decoder = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP_NO_HDR_VER)
    return decoder


def behind_gzip_header(source: Source, at: int) -> int:
    """Where the data of the gzip member at `at` begin (RFC 1952, 2.3); raises BrokenStream.

    The library loses its place in a header that comes in two pieces, so it is not given any.
    """
    head = source.read_at(at, 12)
    if len(head) < 12:
        raise cut_error()
    flags = head[3]
    if head[:3] != b"\x1f\x8b\x08" or flags & 0xE0:
        raise damaged_error()
    at += 10
    if flags & 0x04:
        at += 2 + int.from_bytes(head[10:12], "little")
    for text in (0x08, 0x10):  # name, comment
        while flags & text:
            piece = source.read_at(at, 4096)
            if not piece:
                raise cut_error()
            end = piece.find(b"\0")
            at += len(piece) if end < 0 else end + 1
            if end >= 0:
                break
    return at + (2 if flags & 0x02 else 0)


def bunzipper() -> Decoder:
    """One bzip2 stream."""
    return bz2.BZ2Decompressor()


def unxzer(limits: Limits) -> Decoder:
    """One xz stream, its dictionary bounded."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_memory(limits))


def zip_lzma(head: bytes, size: int, limits: Limits, *, marked: bool) -> Decoder:
    """LZMA as in zip method 14 (APPNOTE 5.8): `head` is the 9 bytes before the data, `size` what it unpacks to.

    `marked` says that an end mark follows the data (bit 1 of the flags). A match cannot reach further back than the
    data are long, so a small entry with a large dictionary is taken.
    """
    if len(head) < 9 or head[2:4] != b"\x05\x00":
        raise damaged_error()
    dictionary = min(int.from_bytes(head[5:9], "little"), max(4096, 1 << (size - 1).bit_length() if size else 0))
    if dictionary > limits.max_dictionary_bytes:
        raise dictionary_error(dictionary, limits)
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_memory(limits))
    length = b"\xff" * 8 if marked else size.to_bytes(8, "little")
    try:  # the older container of the same data, which has a decoder with a known end and a bound
        decoder.decompress(head[4:5] + dictionary.to_bytes(4, "little") + length, 0)
    except lzma.LZMAError as error:
        raise damaged_error() from error
    return decoder


def inflate64(pull: Pull) -> Iterator[bytes]:
    """Deflate64 (zip method 9). The library has no bound on output, so it is fed little at a time.

    A match of at most 65,538 bytes takes at least 18 bits (16 of them its length): 256 bytes make at most 7.5 MB.
    """
    from inflate64 import Inflater

    decoder = Inflater()
    try:
        while not decoder.eof:
            data = memoryview(pull())
            if not data:
                raise cut_error()
            for at in range(0, len(data), 256):
                out = decoder.inflate(data[at : at + 256])
                if out:
                    yield out
                if decoder.eof:
                    break
    except (ValueError, RuntimeError) as error:
        raise damaged_error() from error


def _memory(limits: Limits) -> int:
    """What liblzma may use for a dictionary of that size, with its own tables."""
    return limits.max_dictionary_bytes + 2 * 1024 * 1024
