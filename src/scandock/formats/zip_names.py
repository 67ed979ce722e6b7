"""Names and kinds of zip entries, from the directory's raw bytes.

Source: APPNOTE 6.3.10, 4.4.4 bit 11, 4.6.9 (Info-ZIP unicode path); Info-ZIP's use of the external attributes.
"""

from __future__ import annotations

import stat
from typing import Final

from isal import isal_zlib

UTF8_FLAG: Final = 0x0800
UNICODE_PATH: Final = b"up"
"""Header id 0x7075 as it stands in an extra field."""

_SPECIAL: Final = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


def decode_name(raw: bytes, flags: int) -> str:
    """An entry's name as text; never fails, never holds a surrogate.

    UTF-8 wherever the bytes are valid UTF-8 (many tools forget the flag); else CP437 as the format has it, or, where
    the flag promised UTF-8, UTF-8 with replacement marks.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace") if flags & UTF8_FLAG else raw.decode("cp437")


def unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """The UTF-8 name of the Info-ZIP field, where it belongs to this very name (its CRC says so)."""
    field = extra_field(extra, 0x7075)
    if field is None or len(field) < 6 or field[0] != 1:
        return None
    if int.from_bytes(field[1:5], "little") != isal_zlib.crc32(raw):
        return None  # the name was changed by a tool that did not know the field
    try:
        field[5:].decode()
    except UnicodeDecodeError:
        return None
    return field[5:]


def extra_field(extra: bytes, wanted_id: int) -> bytes | None:
    """The data of the first extra field with that id; None where there is none or the fields are cut."""
    at = 0
    while at + 4 <= len(extra):
        field_id = int.from_bytes(extra[at : at + 2], "little")
        size = int.from_bytes(extra[at + 2 : at + 4], "little")
        if field_id == wanted_id:
            return extra[at + 4 : at + 4 + size] if at + 4 + size <= len(extra) else None
        at += 4 + size
    return None


def special_kind(attributes: int) -> str:
    """`symlink`, `fifo`, `device` or `socket` by the Unix mode in the external attributes, else the empty string."""
    return _SPECIAL.get((attributes >> 16) & 0xF000, "")
