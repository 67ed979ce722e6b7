"""An object's elements and the place of its pixels, by the reader of bytes, else by pydicom; and its bulk data.

For decoder processes: what is unusual is given to pydicom, which may take long over it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
from collections.abc import MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.deidentification.dictionary import dictionary_vr
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.model.dataclass import dataclass
from scandock.viewing.dicom_file import DEFLATED, PIXELS, implied_syntax, open_dicom
from scandock.viewing.dicom_json import NUMBERS, Node, meant_vr, to_little_endian
from scandock.viewing.frames import NotViewable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_HEAD: Final = 65_536
_SIGNED: Final = 0x00280103


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """The pixel data of an object: where its value stands in the file, without a delimiter."""

    tag: int
    vr: str
    start: int
    end: int
    encapsulated: bool


@dataclass(frozen=True, slots=True)
class ReadObject:
    """An object as its elements say it."""

    node: Node
    syntax: str
    """The transfer syntax in which it is stored."""
    pixels: PixelPlace | None
    deflated: bool = False
    """Whether places are those of the inflated data set."""
    meta: Node | None = None
    """Its file meta information."""


def read_object(stream: BinaryIO) -> ReadObject:
    """Read the elements of a file. NotViewable where it can't be read."""
    fd = stream.fileno()
    size = os.fstat(fd).st_size

    def read(start: int, end: int) -> bytes:
        return os.pread(fd, end - start, start)

    try:
        obj = parse(read(0, min(size, _HEAD)), size, read)
    except ScrubError:
        return _read_by_pydicom(stream, size)
    data = obj.data
    pixels = None
    if obj.pixels is not None:
        vr = data.vr(obj.pixels.tag) if data.explicit else "OW"
        end = obj.pixels.place.end - (8 if obj.pixels.is_encapsulated else 0)
        pixels = PixelPlace(obj.pixels.tag, vr, obj.pixels.place.start, end, obj.pixels.is_encapsulated)
    syntax = obj.transfer_syntax or implied_syntax(explicit=data.explicit, big=data.big)
    return ReadObject(data, syntax, pixels, obj.deflated, obj.meta)


def _read_by_pydicom(stream: BinaryIO, size: int) -> ReadObject:
    """What the reader of bytes refuses, as the pictures have it: elements up to the pixel data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = open_dicom(stream)
    pixels = None
    if file.pixels is not None:
        tag = next(tag for tag, keyword in PIXELS.items() if keyword == file.pixels.keyword)
        length = file.pixels.length
        size = file.stream.seek(0, os.SEEK_END)  # of the inflated data set, where the file is deflated
        end = size if length is None else min(size, file.pixels.start + length)
        pixels = PixelPlace(tag, file.pixels.vr, file.pixels.start, end, length is None)
    meta = DatasetNode(file.data.file_meta)
    return ReadObject(DatasetNode(file.data), file.syntax, pixels, file.syntax == DEFLATED, meta)


class DatasetNode:
    """A data set of pydicom's as `dicom_json.Node`."""

    def __init__(self, data: Dataset, parent: DatasetNode | None = None) -> None:
        self._data = data
        self._parent = parent
        little: Any = getattr(data, "original_encoding", (None, True))[1]
        self.big: bool = little is False

    def __contains__(self, tag: int) -> bool:
        return tag in self._data

    def tags(self) -> list[int]:
        """The tags, ascending."""
        return sorted(int(tag) for tag in self._data.keys())  # noqa: SIM118  iterating it converts its elements

    def vr(self, tag: int) -> str:
        """The VR as it is written, or that of the dictionary."""
        element: Any = self._data.get_item(tag)
        vr = str(element.VR or dictionary_vr(tag))
        if len(vr) == 2:
            return vr
        return "OW" if "OW" in vr else "SS" if self._is_signed() else "US"

    def _is_signed(self) -> bool:
        node: DatasetNode | None = self
        while node is not None:
            if _SIGNED in node:
                return node.value(_SIGNED)[:2] in (b"\1\0", b"\0\1")
            node = node._parent  # noqa: SLF001  of its own class
        return False

    def value(self, tag: int) -> bytes:
        """The raw value, also of what pydicom has converted already."""
        element: Any = self._data.get_item(tag)
        value = element.value
        if isinstance(value, bytes):
            return value
        if value is None:
            return b""
        written = getattr(value, "original_string", None)  # of names
        if isinstance(written, bytes):
            return written
        values = value if isinstance(value, MutableSequence) else [value]
        letter = NUMBERS.get(element.VR)
        if letter is not None:
            return struct.pack(f"{'>' if self.big else '<'}{len(values)}{letter}", *values)
        return "\\".join(map(str, values)).encode("utf-8", "replace")

    def items(self, tag: int) -> Sequence[DatasetNode] | None:
        """The items of a sequence; None of what is none."""
        element: Any = self._data.get_item(tag)
        if element.VR not in ("SQ", None) and not isinstance(element.value, list):
            return None
        with contextlib.suppress(Exception):  # whatever is wrong with the items of a stranger's file
            found: Any = self._data[tag]
            if found.VR == "SQ":
                return [DatasetNode(item, self) for item in found.value]
        return None


def read_bulk_data(stream: BinaryIO, path: Sequence[int]) -> bytes:
    """The value at a path of tag, item (from 1), tag ...; little endian. NotViewable where there is no such value.

    Not that of the pixel data, which has a place in the file.
    """
    node: Node = read_object(stream).node
    for tag, number in zip(path[:-1:2], path[1::2], strict=True):
        items = node.items(tag) if tag in node else None
        if items is None or not 1 <= number <= len(items):
            raise NotViewable("The object has no such element.")
        node = items[number - 1]
    tag = path[-1]
    if tag not in node:
        raise NotViewable("The object has no such element.")
    vr = meant_vr(node, tag)
    if vr == "SQ" or node.items(tag) is not None:
        raise NotViewable("It is a sequence, which has no bulk data.")
    return to_little_endian(node.value(tag), vr, big=node.big)
