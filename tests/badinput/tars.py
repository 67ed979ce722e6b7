"""A tar writer in which every field can lie (POSIX ustar and pax, GNU long names and sparse files)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 512
FILE, HARDLINK, SYMLINK, CHARDEV, BLOCKDEV, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GNU_LONG_NAME, GNU_SPARSE, PAX = b"L", b"S", b"x"
END: Final = bytes(2 * BLOCK)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member; `size` is what the header claims."""

    name: bytes
    data: bytes = b""
    kind: bytes = FILE
    mode: int = 0o644
    link: bytes = b""
    size: int | None = None
    device: tuple[int, int] = (0, 0)
    gnu: bytes = b""
    """What stands at byte 345 of a GNU header, in place of the name's prefix."""


def number(value: int, width: int) -> bytes:
    """Octal where it fits, else the base-256 of GNU tar."""
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def header(member: Member) -> bytes:
    magic = b"ustar  \0" if member.gnu or member.kind in {GNU_LONG_NAME, GNU_SPARSE} else b"ustar\x0000"
    size = len(member.data) if member.size is None else member.size
    raw = bytearray(BLOCK)
    fields = (
        (0, member.name[:100]),
        (100, number(member.mode, 8)),
        (108, number(0, 8)),
        (116, number(0, 8)),
        (124, number(size, 12)),
        (136, number(1_580_465_700, 12)),
        (148, b" " * 8),
        (156, member.kind),
        (157, member.link[:100]),
        (257, magic),
        (265, b"root"),
        (297, b"root"),
        (329, number(member.device[0], 8)),
        (337, number(member.device[1], 8)),
        (345, member.gnu),
    )
    for offset, value in fields:
        raw[offset : offset + len(value)] = value
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def block(member: Member) -> bytes:
    return header(member) + padded(member.data)


def long_name(name: bytes) -> bytes:
    """The GNU member that carries the next member's name."""
    return block(Member(name=b"././@LongLink", data=name + b"\0", kind=GNU_LONG_NAME, mode=0))


def pax(records: Mapping[str, str]) -> bytes:
    """The pax member whose records override the next member's header."""
    body = b""
    for key, value in records.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + 1
        while len(str(length)) + len(text) != length:
            length = len(str(length)) + len(text)
        body += str(length).encode() + text
    return block(Member(name=b"PaxHeaders/x", data=body, kind=PAX))


def sparse(name: bytes, *, claimed: int, data: bytes) -> bytes:
    """An old GNU sparse member: one piece of data at the end of `claimed` bytes that are else holes."""
    piece = number(claimed - len(data), 12) + number(len(data), 12)
    gnu = bytes(41) + piece.ljust(96, b"\0") + b"\0" + number(claimed, 12)
    return block(Member(name=name, data=data, kind=GNU_SPARSE, gnu=gnu))


def tar(parts: Iterable[Member | bytes]) -> bytes:
    """Members, or blocks that are ready, and the end mark."""
    return b"".join(part if isinstance(part, bytes) else block(part) for part in parts) + END


def plain(*pairs: tuple[bytes, bytes]) -> bytes:
    return tar(Member(name=name, data=data) for name, data in pairs)


def zeros_header(name: bytes, size: int) -> bytes:
    """The header of a member of which the data is written elsewhere."""
    return header(Member(name=name, size=size))


def gzip_trailer(crc: int, size: int) -> bytes:
    return struct.pack("<II", crc, size & 0xFFFFFFFF)
