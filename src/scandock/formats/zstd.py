"""Zstandard frames, fed to the library block by block: the output of a block is bounded, that of a call is not.

The library says neither where a frame ends nor whether it was cut; the blocks' own headers do (RFC 8878, 3.1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from scandock.formats.codecs import Pull, check_member_sizes, cut_error, damaged_error, dictionary_error
from scandock.model.limits import Limits

if TYPE_CHECKING:
    from zstandard import ZstdDecompressor

_FRAME: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 128 * 1024
_AT_ONCE: Final = 4
"""Blocks in one call: at most half a megabyte comes out."""
_REPEATED, _RESERVED = 1, 3
_CONTENT_BYTES: Final = (0, 2, 4, 8)
_DICTIONARY_BYTES: Final = (0, 1, 2, 4)


class _Input:
    """Compressed bytes by the count, out of pulls of any size."""

    def __init__(self, pull: Pull) -> None:
        self._pull = pull
        self._held = bytearray()

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        while len(self._held) < count and (more := self._pull()):
            self._held += more
        return bytes(self._held[:count])

    def take(self, count: int) -> bytes:
        """The next `count` bytes, used up; raises Broken where there are fewer."""
        data = self.peek(count)
        if len(data) < count:
            raise cut_error()
        del self._held[:count]
        return data

    def skip(self, count: int) -> None:
        while count:
            count -= len(self.take(min(count, 65536)))


def unzstd(pull: Pull, limits: Limits, garbage: Callable[[], None] | None = None) -> Iterator[bytes]:
    """All output of the frames, one after the other; skippable frames are skipped.

    Bytes behind the last frame that begin no frame end the data; `garbage` is called for them. Raises Broken.
    """
    import zstandard

    source = _Input(pull)
    # The library's own bound has a least value; the check of each frame's header is the one that counts.
    unpacker = zstandard.ZstdDecompressor(max_window_size=max(limits.max_dictionary_bytes, 1 << 20))
    frames = unpacked = 0
    while head := source.peek(4):
        if head == _FRAME:
            try:
                for data in _frame(source, limits, unpacker):
                    unpacked += len(data)
                    yield data
            except zstandard.ZstdError as error:
                raise damaged_error() from error
        elif len(head) == 4 and head[1:] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
            source.take(4)
            source.skip(int.from_bytes(source.take(4), "little"))
        elif frames:
            if garbage is not None:
                garbage()
            return
        else:
            raise damaged_error()
        frames += 1
        check_member_sizes(frames, unpacked)


def _frame(source: _Input, limits: Limits, unpacker: ZstdDecompressor) -> Iterator[bytes]:
    header, window, checksum = _header(source)
    if window > limits.max_dictionary_bytes:
        raise dictionary_error(window, limits)
    decoder = unpacker.decompressobj(write_size=_BLOCK)
    batch, blocks, last = bytearray(header), 0, False
    while not last:
        block = source.take(3)
        fields = int.from_bytes(block, "little")
        last, kind, size = bool(fields & 1), (fields >> 1) & 3, fields >> 3
        if kind == _RESERVED or size > _BLOCK:
            raise damaged_error()
        batch += block
        batch += source.take(1 if kind == _REPEATED else size)
        blocks += 1
        if last and checksum:
            batch += source.take(4)
        if last or blocks == _AT_ONCE:
            out = decoder.decompress(bytes(batch))
            if out:
                yield out
            batch, blocks = bytearray(), 0
    if not decoder.eof:
        raise damaged_error()


def _header(source: _Input) -> tuple[bytes, int, bool]:
    """A frame's header as it stands, its window in bytes, and whether a checksum follows (RFC 8878, 3.1.1.1)."""
    head = source.take(5)
    descriptor = head[4]
    single = bool(descriptor & 0x20)
    if descriptor & 0x08:
        raise damaged_error()  # the reserved bit
    window = 0
    if not single:
        byte = source.take(1)
        head += byte
        base = 1 << (10 + (byte[0] >> 3))
        window = base + (base >> 3) * (byte[0] & 7)
    head += source.take(_DICTIONARY_BYTES[descriptor & 3])
    content_bytes = _CONTENT_BYTES[descriptor >> 6] or int(single)
    content = source.take(content_bytes)
    head += content
    if single:
        window = int.from_bytes(content, "little") + (256 if content_bytes == 2 else 0)
    return head, window, bool(descriptor & 0x04)
