"""The members of a tar, in one pass: nothing is made on disk, and no size is believed before its bytes came.

ustar, v7, pax (path and size) and GNU long names. A tar ends at its first block of zeros; what follows is read only to
prove the stream around it. Members are found by checksummed headers and never by searching.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from scandock.formats.display_names import as_size, quote
from scandock.formats.errors import ArchiveDamaged, ArchiveSplit, ArchiveTruncated, EntrySparse
from scandock.formats.stream import ByteStream
from scandock.formats.tar_header import (
    BLOCK,
    BadHeader,
    TarHeader,
    parse_header,
    pax_records,
    pax_size,
    tar_name,
)
from scandock.model.errors import BadInput
from scandock.model.limits import MIB, Limits

_ZEROS: Final = bytes(BLOCK)
_PAX_BYTES: Final = MIB
"""A pax header's own bytes; real ones take some hundred."""
_SPECIAL: Final = {
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"6": "fifo",
    b"V": "label",
}
_SPARSE_KEYS: Final = (b"GNU.sparse.major", b"GNU.sparse.map", b"GNU.sparse.size", b"GNU.sparse.realsize")


class TarKind(StrEnum):
    FILE = "file"
    DIR = "dir"
    SPECIAL = "special"


class TarMember:
    """One member; its bytes can be read until the next one is asked for, what is left is passed over.

    `special` says which link, device or pipe a SPECIAL one is; such members and folders have no bytes. All reading
    raises BadInput where the stream is cut or damaged.
    """

    __slots__ = ("_left", "_stream", "index", "kind", "name", "size", "special")

    def __init__(
        self, index: int, name: str, size: int, kind: TarKind, special: str, stream: ByteStream, left: int
    ) -> None:
        self.index = index
        self.name = name
        self.size = size
        self.kind = kind
        self.special = special
        self._stream = stream
        self._left = left

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the member's end."""
        count = min(count, self._left)
        data = self._stream.read(count)
        self._left -= len(data)
        if len(data) < count:
            raise self._cut()
        return data

    def readinto(self, view: memoryview) -> int:
        """Fill `view`; less only at the member's end."""
        view = view[: self._left]
        got = self._stream.readinto(view)
        self._left -= got
        if got < len(view):
            raise self._cut()
        return got

    def chunks(self, most: int = MIB) -> Iterator[memoryview]:
        """What is left, in views of at most `most` bytes, each valid until the next."""
        while self._left:
            view = self._stream.take(min(most, self._left))
            if not view:
                raise self._cut()
            self._left -= len(view)
            yield view

    def skip(self) -> None:
        """Pass over what is left."""
        for _ in self.chunks(1 << 62):
            pass

    def _cut(self) -> BadInput:
        return ArchiveTruncated(
            f"The tar ends within {quote(self.name)}, which claims {as_size(self.size)}: it is cut short or damaged.",
            "Send it again, whole.",
        )


def read_members(stream: ByteStream, limits: Limits) -> Iterator[TarMember]:
    """Each member in order; at the end the stream is drained, so that the checksum around it counts.

    Raises BadInput `damaged` (header, record or size), `truncated` (also without an end mark), `sparse`, or
    `split_archive` for a part of a tar over several volumes. Oddities go to `stream.notes`.
    """
    index = 0
    while (parsed := _next_header(stream, limits)) is not None:
        header, name = parsed
        member = _member(index, header, name, stream)
        yield member
        member.skip()
        stream.skip(-member.size % BLOCK)
        index += 1
    if stream.drain():
        stream.notes.append("Data after the end of the tar were ignored.")


def _next_header(stream: ByteStream, limits: Limits) -> tuple[TarHeader, str] | None:
    """The next member's header with what pax and GNU records before it say; None at the end mark."""
    pax: dict[bytes, bytes] = {}
    long_name: bytes | None = None
    try:
        while True:
            block = stream.read(BLOCK)
            if block == _ZEROS:
                return None
            if len(block) < BLOCK:
                raise _no_end(stream)
            header = parse_header(block)
            if header.flag in (b"x", b"X"):
                pax |= pax_records(_record(stream, header, _PAX_BYTES))
            elif header.flag == b"g":
                _record(stream, header, _PAX_BYTES)  # applies to all members: nothing that is read here
            elif header.flag == b"L":
                long_name = _record(stream, header, limits.max_name_bytes + 1).split(b"\0", 1)[0]
            elif header.flag == b"K":
                _record(stream, header, limits.max_name_bytes + 1)
            else:
                break
        raw = pax.get(b"path") or long_name or header.name
        if b"size" in pax:
            header.size = pax_size(pax[b"size"])
    except BadHeader as bad:
        raise ArchiveDamaged(
            f"The tar is damaged at byte {stream.position}: {bad}.", "Make it again and send that."
        ) from bad
    name = tar_name(raw[: limits.max_name_bytes])
    if header.sparse or any(key in pax for key in _SPARSE_KEYS):
        real = pax.get(b"GNU.sparse.name")
        raise _sparse(tar_name(real) if real else name)
    if header.flag == b"M":
        raise ArchiveSplit(
            f"The tar is one of several volumes: {quote(name)} goes on from another.",
            "Pack it again as one file.",
        )
    return header, name


def _record(stream: ByteStream, header: TarHeader, most: int) -> bytes:
    if header.size > most:
        raise BadHeader(f"a name or attribute takes {as_size(header.size)}")
    data = stream.read_exact(header.size)
    stream.skip(-header.size % BLOCK)
    return data


def _member(index: int, header: TarHeader, name: str, stream: ByteStream) -> TarMember:
    special = _SPECIAL.get(header.flag, "")
    # Old tars know a folder by its name alone; one that carries bytes is a file whose name ends oddly.
    is_dir = header.flag == b"5" or (header.flag in (b"\0", b"0") and name.endswith("/") and header.size == 0)
    size = 0 if special or is_dir else header.size
    kind = TarKind.SPECIAL if special else TarKind.DIR if is_dir else TarKind.FILE
    if header.flag == b"D":  # a GNU incremental's list of a folder: not a file of anyone's
        kind = TarKind.DIR
    return TarMember(index, name, size, kind, special, stream, size)


def _no_end(stream: ByteStream) -> BadInput:
    return ArchiveTruncated(
        f"The tar ends at byte {stream.position} without its end mark: it was cut short.",
        "Send it again, whole.",
    )


def _sparse(name: str) -> BadInput:
    return EntrySparse(quote(name))
