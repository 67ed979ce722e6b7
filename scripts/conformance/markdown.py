"""How paragraphs and tables of the page are written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from pydicom._uid_dict import UID_dictionary

_NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""What pydicom's dictionary does not have yet."""


def heading(text: str) -> Iterator[str]:
    """A heading, with its number of `#`."""
    yield text
    yield ""


def paragraph(text: str) -> Iterator[str]:
    """A paragraph in lines of a bearable length."""
    yield from textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)
    yield ""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table; a bar within a cell is escaped."""
    yield _row(head)
    yield "|" + "---|" * len(head)
    for row in rows:
        assert len(row) == len(head), row
        yield _row(row)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def hexadecimal(status: int) -> str:
    """A status of DIMSE or a failure reason."""
    return f"`{status:04X}`"


def uid_name(uid: str) -> str:
    """What PS3.6 calls a UID."""
    return UID_dictionary[uid][0] if uid in UID_dictionary else _NAMES[uid]


def sort_uids(values: Iterable[str]) -> list[str]:
    """UIDs by their numbers."""
    return sorted(values, key=lambda uid: [int(part) for part in uid.split(".")])
