"""One pass over bytes that come in order: a compressed stream, or a source read from its beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from scandock.formats import codecs
from scandock.formats.codecs import BrokenStream, Decoder
from scandock.formats.errors import ArchiveTruncated
from scandock.formats.kinds import Kind
from scandock.formats.source import Source
from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits

_READ: Final = 256 * 1024
_GRAIN: Final = 4096

Counted = Callable[[int], None]
"""Told of every unpacked byte as it comes; a meter's `unpacked`. What it raises ends the stream."""

Chunk = bytes | memoryview


class ByteStream:
    """Bytes in order, a chunk in memory at a time; `notes` says in words what was odd.

    Raises BadInput `damaged`, `truncated` or `dictionary_too_large` from any method: a compressed stream is proven
    only when it was read to its end, which `drain` does.
    """

    def __init__(self, chunks: Iterator[Chunk], counted: Counted | None = None) -> None:
        self.notes: list[str] = []
        self.position = 0
        """Bytes taken so far."""
        self._chunks = chunks
        self._counted = counted
        self._chunk = memoryview(b"")
        self._ended = False
        self._broken: BadInput | None = None

    def peek(self, count: int) -> bytes:
        """The next `count` bytes without taking them; fewer only at the end."""
        while len(self._chunk) < count:
            more = self._next()
            if not more:
                break
            self._chunk = memoryview(bytes(self._chunk) + bytes(more))
        return bytes(self._chunk[:count])

    def peek_before_damage(self, count: int) -> bytes:
        """As `peek`; where the stream breaks within them, what stands before, and the break is raised behind that."""
        try:
            return self.peek(count)
        except LimitExceeded:
            raise
        except BadInput as error:
            if not self._chunk:
                raise
            self._broken = error
            return bytes(self._chunk)

    def check_peeked(self) -> None:
        """Raise what `peek_before_damage` has met."""
        if self._broken is not None:
            raise self._broken

    def take(self, most: int) -> memoryview:
        """Up to `most` of the next bytes without a copy, empty only at the end; valid until the next call."""
        if not self._chunk:
            self._chunk = self._next()
        view = self._chunk[:most]
        self._chunk = self._chunk[len(view) :]
        self.position += len(view)
        return view

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end."""
        view = self.take(count)
        if len(view) == count or not view:
            return bytes(view)
        out = bytearray(view)
        while len(out) < count and (view := self.take(count - len(out))):
            out += view
        return bytes(out)

    def readinto(self, view: memoryview) -> int:
        """Fill `view`; less only at the end."""
        at = 0
        while at < len(view) and (part := self.take(len(view) - at)):
            view[at : at + len(part)] = part
            at += len(part)
        return at

    def read_exact(self, count: int) -> bytes:
        """The next `count` bytes; raises BadInput `truncated` where there are fewer. Small counts only."""
        data = self.read(count)
        if len(data) < count:
            raise stream_cut_error()
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises BadInput `truncated` where there are fewer."""
        while count:
            passed = len(self.take(count))
            if not passed:
                raise stream_cut_error()
            count -= passed

    def drain(self) -> bool:
        """Read to the end, so that trailers are checked; whether anything but zeros came."""
        other = False
        while view := self.take(1 << 62):
            other = other or bytes(view).count(0) != len(view)
        return other

    def _next(self) -> memoryview:
        self.check_peeked()
        while not self._ended:
            try:
                chunk = next(self._chunks, None)
            except BrokenStream as broken:
                self._ended = True
                raise broken.to_error("The archive") from broken
            if chunk is None:
                self._ended = True
            elif chunk:
                if self._counted is not None:
                    self._counted(len(chunk))
                return memoryview(chunk)
        return memoryview(b"")


def open_stream(
    source: Source, kind: Kind, limits: Limits, counted: Counted | None = None, *, ahead: bool = False
) -> ByteStream:
    """The unpacked bytes of `source`: GZIP, BZIP2, XZ and ZSTD, every other kind as it is.

    `ahead` unpacks in a thread of its own: on a core that is free this saves a third of the time of a tar.gz that is
    hashed and written, and costs a tenth more of processor time.

    Several members or frames one after the other are one stream. Other bytes behind the last are ignored, with a note
    (as gzip does); a member that is cut, or whose checksum or length is wrong, is BadInput.
    """
    packed = _PackedStream(source)
    if kind is Kind.GZIP:
        chunks = _members(packed, packed.gunzipper, lambda head: head[:2] == b"\x1f\x8b", limits)
    elif kind is Kind.BZIP2:
        chunks = _members(packed, codecs.bunzipper, lambda head: head[:3] == b"BZh", limits)
    elif kind is Kind.XZ:
        chunks = _members(packed, lambda: codecs.unxzer(limits), lambda head: head == b"\xfd7zXZ\0", limits)
    elif kind is Kind.ZSTD:
        from scandock.formats.zstd import unzstd

        chunks = unzstd(packed.pull, limits, packed.noted)
    else:
        chunks, ahead = packed.all(), False
    if ahead:
        from scandock.formats.read_ahead import run_ahead

        chunks = run_ahead(chunks)
    stream = ByteStream(chunks, counted)
    packed.notes = stream.notes
    return stream


class _PackedStream:
    """A source's bytes in order, in growing pieces, from a buffer that is used again and again.

    A member begins with a small piece: of thousands of tiny ones, none has the rest of the buffer copied behind it.
    """

    def __init__(self, source: Source) -> None:
        self.notes: list[str] = []
        self._source = source
        self._at = 0
        self._grain = _GRAIN
        self._buffer = memoryview(bytearray(_READ))
        self._held_at = self._held = 0

    def pull(self) -> memoryview:
        start = self._at - self._held_at
        if not 0 <= start < self._held:
            self._held_at, start = self._at, 0
            self._held = self._source.readinto_at(self._at, self._buffer)
        view = self._buffer[start : min(start + self._grain, self._held)]
        self._at += len(view)
        self._grain = min(self._grain * 4, _READ)
        return view

    def gunzipper(self) -> Decoder:
        """For the gzip member that begins here: what comes next are its data."""
        self._at = codecs.behind_gzip_header(self._source, self._at)
        return codecs.gunzipper()

    def next_member(self, unused: int) -> bytes:
        """The first bytes of what follows, `unused` bytes back; zeros before it (padding) are passed over."""
        self._at -= unused
        while view := self.pull():
            rest = bytes(view).lstrip(b"\0")
            if rest:
                self._at -= len(rest)
                break
        self._grain = _GRAIN
        return self._source.read_at(self._at, 6)

    def all(self) -> Iterator[Chunk]:
        self._grain = _READ
        while data := self.pull():
            yield data

    def noted(self) -> None:
        """Say that bytes behind the end were ignored."""
        self.notes.append("Bytes after the end of the compressed data were ignored.")


def _members(
    packed: _PackedStream, make: Callable[[], Decoder], begins: Callable[[bytes], bool], limits: Limits
) -> Iterator[Chunk]:
    """Output of one stream after the other, until what follows begins none."""
    members = unpacked = 0
    while True:
        decoder = make()
        for data in codecs.decompress_stream(decoder, packed.pull, limits):
            unpacked += len(data)
            yield data
        members += 1
        codecs.check_member_sizes(members, unpacked)
        head = packed.next_member(len(decoder.unused_data))
        if not head:
            return
        if not begins(head):
            packed.noted()
            return


def stream_cut_error() -> BadInput:
    """The refusal of a stream that ends before its end."""
    return ArchiveTruncated("The archive is cut short.", "Send it again, whole.")
