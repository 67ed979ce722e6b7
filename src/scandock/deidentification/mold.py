"""What headers in explicit VR little endian have in common, byte for byte, with elements of any length between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scandock.deidentification.walking import Entry

_SHORT: Final = 8
"""Bytes before the value of an element whose VR has a length of two bytes."""


class Mold:
    """A header that was walked to its end, without the lengths and values of some elements.

    What fits it is such a header, too: the same elements in their places, of which each ends where the next one begins.
    """

    __slots__ = ("_last", "_pieces", "size")

    def __init__(self, head: bytes, gaps: Iterable[Entry]) -> None:
        """`gaps` are elements of `head` in order; none is of undefined length."""
        pieces, at = [], 0
        for start, _, value, end in gaps:
            before = value - start
            width = 2 if before == _SHORT else 4
            pieces.append((head[at : value - width], value - width - at + width, width, before))
            at = end
        self._pieces = tuple(pieces)
        self._last = head[at:]
        self.size = len(head)

    def read(self, data: bytes) -> tuple[list[bytes], int] | None:
        """The elements in the gaps, and where the header ends; None where the data fit not."""
        pos = 0
        elements: list[bytes] = []
        has, append, number = data.startswith, elements.append, int.from_bytes
        for piece, size, width, before in self._pieces:
            if not has(piece, pos):
                return None
            pos += size
            length = number(data[pos - width : pos], "little")
            if length & 1:
                return None
            start, pos = pos - before, pos + length
            append(data[start:pos])
        return (elements, pos + len(self._last)) if has(self._last, pos) else None
