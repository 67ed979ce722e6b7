"""Rows of the table, path traversal: names that climb out of the folder, or mean something to a machine.

All hold a fourth good object under the name in question; its bytes are kept under a name of the server's own.
"""

from __future__ import annotations

import struct
import zlib

from tests.badinput import zips
from tests.badinput.case import Expect, Made, add, beside_good, climbs, good, made, placed
from tests.badinput.objects import Image

SECTION = "path traversal"
ESCAPE = b"scandock-escape.dcm"
"""The file that must not be there afterwards, wherever a name points."""

CLIMBING: dict[str, bytes] = {
    "absolute": b"/scandock-escape/" + ESCAPE,
    "backslash": b"..\\..\\..\\" + ESCAPE,
    "dotdot": b"../../../../" + ESCAPE,
    "dotdot_mid": b"good/../../../" + ESCAPE,
    "dotdotonly": b"..",
    "dotonly": b".",
    "doubleslash": b"//scandock-escape//" + ESCAPE,
    "drive": b"C:\\scandock-escape\\" + ESCAPE,
    "drive_rel": b"C:" + ESCAPE,
    "nul_in_name": b"../" + ESCAPE + b"\0.txt",
    "unc": b"\\\\server\\share\\" + ESCAPE,
}
HARMLESS: dict[str, bytes] = {
    "ads": b"good/file.dcm:" + ESCAPE,
    "devname": b"good/CON",
    "devname2": b"good/aux.dcm",
    "encoded": b"%2e%2e%2f%2e%2e%2f" + ESCAPE,
    "fullwidth": "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0f".encode() + ESCAPE,
    "newline_ansi_in_name": b"good/\x1b[31mred\r\nSet-Cookie: x=1\x07.dcm",
    "tilde": b"~root/" + ESCAPE,
    "trailingdot": b"good/file.dcm. .",
}


def _fourth(case: str, name: bytes, **values: object) -> Made:
    data = Image(case=case, number=9).file()
    entry = zips.Entry(name=name, data=data, **values)  # type: ignore[arg-type]
    return made(beside_good(case, entry), *good(case), data)


def _row(kind: str, called: bytes, expected: Expect, **values: object) -> None:
    add(SECTION, f"path_{kind}.zip", lambda: _fourth("path " + kind, called, **values), expected)


for _kind, _name in CLIMBING.items():
    _part = "scandock-escape" if b"escape" in _name else _name.decode()
    _row(_kind, _name, placed(stored=4, named=climbs(_part)))

for _kind, _name in HARMLESS.items():
    _row(_kind, _name, placed(stored=4, paths=frozenset({_name.decode()})), flags=0 if _name.isascii() else zips.UTF8)

_row(
    "lfh_differs_from_cd",
    b"good/fine.dcm",
    placed(stored=4, paths=frozenset({"good/fine.dcm"})),
    local_name=b"../../../../" + ESCAPE,
)

_CLIMB = b"../../../../" + ESCAPE
_UNICODE_PATH = struct.pack("<HHBI", 0x7075, 5 + len(_CLIMB), 1, zlib.crc32(b"good/fine.dcm")) + _CLIMB
_row("unicode_extra_differs", b"good/fine.dcm", placed(stored=4), extra=_UNICODE_PATH, local_extra=_UNICODE_PATH)
