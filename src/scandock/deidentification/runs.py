"""Runs of elements: those that stood side by side in a data set before are read at once where they do so again.

Objects of a series have nearly the same elements of nearly the same lengths, whatever their values. A run fits where
the tags, VRs and lengths of all of its elements stand in their places, which is all that the walk looks at. What fits
no run is walked element by element.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scandock.formats.dicom_encoding import Buffer, ByteOrder

    Entry = tuple[int, int, int, int]

_LONGEST: Final = 12
"""Elements of a run: one of another length breaks no more than its own."""
_MOST: Final = 1_000
"""Runs that are kept of a byte order, and elements of a data set of which runs are made."""
_WALKS: Final = 32
"""Data sets that no runs fit, before runs are made of one."""


class Run:
    """Elements of explicit VR that have no items, one behind the other."""

    __slots__ = ("_placed", "count", "first", "heads", "last", "read", "size")

    def __init__(self, elements: Mapping[int, Entry], buf: Buffer, order: ByteOrder) -> None:
        tags, entries = list(elements), list(elements.values())
        heads = "".join(f"Q{end - start}x" if start == at + 8 else f"QI{end - start}x" for at, _, start, end in entries)
        self.read: Callable[[Buffer, int], tuple[int, ...]]
        """Reads what stands in a buffer in the places of `heads`: it fits where that is the same."""
        self.read = struct.Struct((">" if order.big else "<") + heads).unpack_from
        self.heads = self.read(buf, entries[0][0])
        self._placed = entries[0][0], elements
        self.first, self.last = tags[0], tags[-1]
        self.count = len(tags)
        self.size = entries[-1][3] - entries[0][0]

    def entries(self, pos: int) -> Mapping[int, Entry]:
        """Its elements where it stands at `pos`."""
        place, entries = self._placed
        if place != pos:
            shift = pos - place
            entries = {
                tag: (at + shift, vr, start + shift, end + shift) for tag, (at, vr, start, end) in entries.items()
            }
            self._placed = pos, entries
        return entries


class Runs:
    """Runs by their first eight bytes, of data sets of one kind."""

    __slots__ = ("_walks", "tables")

    def __init__(self) -> None:
        self.tables: dict[bool, dict[int, Run]] = {False: {}, True: {}}
        """By byte order: whether it is big endian."""
        self._walks = _WALKS

    def learn(self, elements: Mapping[int, Entry], buf: Buffer, order: ByteOrder) -> None:
        """Make runs of the elements of a data set that few runs fitted, unless that was done not long ago."""
        self._walks += 1
        if self._walks < _WALKS or len(elements) > _MOST:
            return
        self._walks = 0
        table = self.tables[order.big]
        for run in _runs_of(elements, buf, order):
            if len(table) >= _MOST:
                table.clear()
            table[run.heads[0]] = run


def _runs_of(elements: Mapping[int, Entry], buf: Buffer, order: ByteOrder) -> Iterator[Run]:
    run: dict[int, Entry] = {}
    for tag, entry in elements.items():
        is_plain = entry[1] not in order.sequences
        if run and (not is_plain or len(run) == _LONGEST):
            yield Run(run, buf, order)
            run = {}
        if is_plain:
            run[tag] = entry
    if run:
        yield Run(run, buf, order)
