"""One entry of a zip, unpacked and proven: whole and fast, or as a stream of any length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Final

import deflate
from isal import isal_zlib

from scandock.formats import codecs
from scandock.formats.codecs import BrokenStream
from scandock.formats.display_names import as_size, as_sizes, quote
from scandock.formats.errors import (
    ArchiveDamaged,
    ArchiveEncrypted,
    ArchiveTruncated,
    MethodUnknown,
    StreamCut,
    StreamDamaged,
)
from scandock.formats.source import MemorySource, SliceSource, Source
from scandock.formats.zip_directory import ZipEntry, overlapping
from scandock.model.errors import BadInput
from scandock.model.limits import MIB, Limits

WHOLE: Final = 8 * MIB
"""Entries up to this many bytes are unpacked in one piece; all others are streamed."""

_LOCAL: Final = Struct("<4s2xHH16xHH")
_HEAD: Final = 30
_SLACK: Final = 4096  # local name and extra field, nearly always
_PACKED_WHOLE: Final = WHOLE + 64 * 1024
_READ: Final = 256 * 1024
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_STORED, _DEFLATED, _DEFLATE64, _BZIP2, _LZMA, _ZSTD = 0, 8, 9, 12, 14, 93
_KNOWN: Final = frozenset({_STORED, _DEFLATED, _DEFLATE64, _BZIP2, _LZMA, _ZSTD})
_AES: Final = 99
_LZMA_MARK: Final = 0x0002
_METHODS: Final = {
    1: "shrink",
    2: "reduce 1",
    3: "reduce 2",
    4: "reduce 3",
    5: "reduce 4",
    6: "implode",
    7: "tokenize",
    10: "PKWARE implode",
    16: "IBM CMPSC",
    18: "IBM TERSE",
    19: "IBM LZ77",
    20: "early zstd",
    94: "MP3",
    95: "xz",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}


class ZipEntryReader:
    """Unpacks entries one after the other into buffers of its own; one for each process.

    Every view it gives is valid until its next call, or longer by `keep_buffers`. Size and CRC-32 are always checked,
    against the directory. BadInput `encrypted`, `unknown_method`, `overlapping_entries`, `truncated`,
    `dictionary_too_large` or `damaged` names the entry. Compressed bytes behind the end of the compressed data are let
    be, as all tools do, where size and CRC are right.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._packed = bytearray(MIB)
        self._unpacked = bytearray(0)
        self._spare: list[tuple[bytearray, bytearray]] = []

    @contextmanager
    def keep_buffers(self) -> Iterator[None]:
        """Within the context, what was given before stays valid: entries are unpacked into other buffers."""
        kept = self._packed, self._unpacked
        self._packed, self._unpacked = self._spare.pop() if self._spare else (bytearray(MIB), bytearray(0))
        try:
            yield
        finally:
            self._spare.append((self._packed, self._unpacked))
            self._packed, self._unpacked = kept

    def open(self, source: Source, entry: ZipEntry) -> int:
        """Check the entry and its local header; the offset of its data in `source`."""
        self._check(entry)
        head = source.read_at(entry.header_at, _HEAD)
        return self._data_at(entry, head)

    def stored(self, source: Source, entry: ZipEntry) -> SliceSource | None:
        """The entry's bytes where they lie, for one that is not compressed; its CRC is not checked by this."""
        if entry.method != _STORED:
            return None
        data_at = self.open(source, entry)
        self._check_stored(entry)
        if data_at + entry.csize > source.size:
            raise _truncated_error(entry)
        return SliceSource(source, data_at, entry.csize)

    def whole(self, source: Source, entry: ZipEntry) -> memoryview:
        """All bytes of an entry of at most WHOLE bytes."""
        if entry.usize > WHOLE:
            raise ValueError("an entry of this size is streamed")
        self._check(entry)
        fast = entry.method == _STORED or (entry.method == _DEFLATED and entry.usize)
        if not fast or entry.csize > _PACKED_WHOLE:
            return self._gather(source, entry)
        packed = self._read(source, entry)
        if entry.method == _STORED:
            self._check_stored(entry)
            data = packed
        else:
            try:
                data = memoryview(deflate.deflate_decompress(packed, entry.usize))
            except deflate.DeflateError:
                return self._gather(source, entry)  # which tells what is wrong
            if len(data) != entry.usize:
                raise _size_error(entry, len(data))
        if deflate.crc32(data) != entry.crc:
            raise _crc_error(entry)
        return data

    def stream(self, source: Source, entry: ZipEntry) -> Iterator[memoryview]:
        """The bytes of an entry of any size, in pieces of at most 1 MiB; proven only when the last was taken."""
        remaining, crc = entry.usize, 0
        try:
            for data in self._pieces(source, entry):
                remaining -= len(data)
                if remaining < 0:
                    raise _damaged_error(entry, f"it unpacks to more than the {as_size(entry.usize)} that it claims")
                crc = isal_zlib.crc32(data, crc)
                view = memoryview(data)
                for at in range(0, len(view), MIB):
                    yield view[at : at + MIB]
        except BrokenStream as broken:
            if broken.error is StreamCut:
                broken.error = StreamDamaged  # the zip itself is whole
            raise broken.to_error(f"The entry {quote(entry.name)}") from broken
        if remaining:
            raise _size_error(entry, entry.usize - remaining)
        if crc != entry.crc:
            raise _crc_error(entry)

    def _pieces(self, source: Source, entry: ZipEntry) -> Iterator[bytes | memoryview]:
        data_at = self.open(source, entry)
        packed = _PackedEntry(source, entry, data_at, self._packed)
        method = entry.method
        if method == _STORED:
            self._check_stored(entry)
            return packed.pieces()
        if method == _DEFLATE64:
            return codecs.inflate64(packed.pull)
        if method == _ZSTD:
            from scandock.formats.zstd import unzstd

            return unzstd(packed.pull, self._limits)
        if method == _LZMA:
            marked = bool(entry.flags & _LZMA_MARK)
            decoder = codecs.zip_lzma(packed.head(9), entry.usize, self._limits, marked=marked)
        else:
            decoder = codecs.bunzipper() if method == _BZIP2 else codecs.inflater()
        return codecs.decompress_stream(decoder, packed.pull, self._limits)

    def _gather(self, source: Source, entry: ZipEntry) -> memoryview:
        """`whole` by way of the stream."""
        if len(self._unpacked) < entry.usize:
            self._unpacked = bytearray(entry.usize)
        view, at = memoryview(self._unpacked), 0
        for piece in self.stream(source, entry):
            view[at : at + len(piece)] = piece
            at += len(piece)
        return view[:at]

    def _read(self, source: Source, entry: ZipEntry) -> memoryview:
        """Local header and data in one read, as a rule; the data. Those in memory are not copied."""
        if isinstance(source, MemorySource):
            data = source.view_at(self._data_at(entry, source.view_at(entry.header_at, _HEAD)), entry.csize)
            if len(data) < entry.csize:
                raise _truncated_error(entry)
            return data
        span = min(entry.next_at - entry.header_at, _HEAD + _SLACK + entry.csize)
        if len(self._packed) < span:
            self._packed = bytearray(span + span // 4)
        view = memoryview(self._packed)
        got = source.readinto_at(entry.header_at, view[:span])
        start = self._data_at(entry, view[: min(got, _HEAD)]) - entry.header_at
        if start + entry.csize > got:
            if start + entry.csize <= span:
                raise _truncated_error(entry)
            got = source.readinto_at(entry.header_at + start, view[: entry.csize])
            if got < entry.csize:
                raise _truncated_error(entry)
            return view[: entry.csize]
        return view[start : start + entry.csize]

    def _check(self, entry: ZipEntry) -> None:
        if entry.flags & _ENCRYPTED or entry.method == _AES:
            raise _encrypted_error(entry)
        if entry.method not in _KNOWN:
            name = _METHODS.get(entry.method, "unknown")
            raise MethodUnknown(quote(entry.name), name, entry.method)

    def _data_at(self, entry: ZipEntry, head: bytes | memoryview) -> int:
        if len(head) < _HEAD:
            raise _truncated_error(entry)
        signature, flags, method, name_length, extra_length = _LOCAL.unpack(head)
        if signature != b"PK\x03\x04":
            raise _damaged_error(entry, "it is not where the zip's directory says")
        if flags & _ENCRYPTED:
            raise _encrypted_error(entry)
        if method != entry.method:
            raise _damaged_error(entry, "its own header and the zip's directory name different methods")
        data_at = entry.header_at + _HEAD + int(name_length) + int(extra_length)
        if data_at + entry.csize > entry.next_at:
            raise overlapping(quote(entry.name))
        return data_at

    def _check_stored(self, entry: ZipEntry) -> None:
        if entry.csize != entry.usize:
            raise _size_error(entry, entry.csize)


class _PackedEntry:
    """The compressed bytes of one entry, pulled into a buffer that is used again and again."""

    def __init__(self, source: Source, entry: ZipEntry, data_at: int, buffer: bytearray) -> None:
        self._source = source
        self._entry = entry
        self._at = data_at
        self._left = entry.csize
        self._view = memoryview(buffer)[:_READ]

    def pull(self) -> memoryview:
        want = min(self._left, _READ)
        if not want:
            return self._view[:0]
        got = self._source.readinto_at(self._at, self._view[:want])
        if got < want:
            raise _truncated_error(self._entry)
        self._at += got
        self._left -= got
        return self._view[:got]

    def pieces(self) -> Iterator[memoryview]:
        while piece := self.pull():
            yield piece

    def head(self, count: int) -> bytes:
        count = min(count, self._left)
        data = self._source.read_at(self._at, count)
        self._at += count
        self._left -= count
        return data


def _damaged_error(entry: ZipEntry, what: str) -> BadInput:
    return ArchiveDamaged(f"The entry {quote(entry.name)} is damaged: {what}.", "Make the archive again and send that.")


def _size_error(entry: ZipEntry, size: int) -> BadInput:
    unpacked, claimed = as_sizes(size, entry.usize)
    return _damaged_error(entry, f"it unpacks to {unpacked} where {claimed} are claimed")


def _crc_error(entry: ZipEntry) -> BadInput:
    return _damaged_error(entry, "its checksum (CRC-32) is wrong")


def _truncated_error(entry: ZipEntry) -> BadInput:
    return ArchiveTruncated(f"The entry {quote(entry.name)} is cut short.", "Make the archive again and send it whole.")


def _encrypted_error(entry: ZipEntry) -> BadInput:
    return ArchiveEncrypted(
        f"The entry {quote(entry.name)} is encrypted.",
        "Unpack the archive with its password and pack it again without one.",
    )
