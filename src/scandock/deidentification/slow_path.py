"""The slow path: pydicom reads what the walker declines, and what it reads is held to the bytes' very end.

pydicom goes on quietly where bytes are short, and stops quietly where a delimiter stands by chance. So each item and
data set has to end where its length or delimiter says; else DeclinedError, and the object fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.deidentification.walking import MOST_LEVELS, PixelElement, fragments_end
from scandock.formats.dicom_encoding import (
    BIG,
    LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    ByteOrder,
    DeclinedError,
)
from scandock.formats.dicom_fallback import READS, BudgetError, quiet_pydicom
from scandock.model.limits import MIB
from scandock.model.tags import PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset

MOST_BYTES: Final = 32 * MIB
"""Most bytes that pydicom is given."""
_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_VRS: Final = _LONG | {vr.decode() for vr in SHORT_VRS}
_SEQUENCES: Final = (b"SQ", b"UN")
_FIRST_GROUP: Final = 0x0008
_ITEM_GROUP: Final = 0xFFFE


class SlowElement(NamedTuple):
    """An element as pydicom read it: its value, or its items where it is a sequence of undefined length."""

    tag: int
    vr: str
    value: bytes
    items: list[SlowItem] | None = None
    undefined: bool = False
    """Its length is written as undefined."""


class SlowItem(NamedTuple):
    """An item as pydicom read it, and how it is written."""

    elements: list[SlowElement]
    explicit: bool
    big: bool
    undefined: bool


class _View:
    """Bytes as a file that nothing is copied from but what is read, with a budget."""

    def __init__(self, buf: Buffer) -> None:
        self.buf = buf
        self.pos = 0
        self.reads = 0

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if self.reads > READS:
            raise BudgetError
        end = len(self.buf) if size < 0 else min(self.pos + size, len(self.buf))
        raw = bytes(self.buf[self.pos : end])
        self.pos = max(end, self.pos)
        return raw

    def seek(self, offset: int, whence: int = 0) -> int:
        self.pos = offset + (self.pos if whence == 1 else len(self.buf) if whence == 2 else 0)
        return self.pos

    def tell(self) -> int:
        return self.pos


def read_data_set(
    buf: Buffer, at: int, *, explicit: bool, big: bool, lowest: int = _FIRST_GROUP
) -> tuple[list[SlowElement], PixelElement | None]:
    """The elements of the data set at `at` up to its pixel data, and that; or to the end of the bytes.

    No element is of a lower group than `lowest`.
    """
    if len(buf) > MOST_BYTES:
        buf = buf[:MOST_BYTES]  # where no pixel data stand in them, the end is not reached
    order = BIG if big else LITTLE
    view: Any = _View(buf)
    view.pos = at
    pixels: list[PixelElement] = []

    def stops(tag: int, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXEL_DATA or vr not in _LONG | {None}:
            return False
        start = view.tell()
        begin = start - (12 if vr in _LONG else 8)
        written = 0 if vr is None else int.from_bytes(vr.encode(), "big" if big else "little")
        pixels.append(PixelElement(int(tag), begin, written, start, length))
        return True

    from pydicom.filereader import read_dataset

    try:
        with quiet_pydicom():
            dataset: Any = read_dataset(view, not explicit, not big, stop_when=stops)
        elements, end = _elements(dataset, buf, at, order, 0)
    except DeclinedError:
        raise
    except Exception:  # noqa: BLE001 - hostile bytes make pydicom raise nearly anything, RecursionError too
        raise DeclinedError("pydicom can't read it") from None
    if explicit and pixels and not pixels[-1].vr:
        raise DeclinedError("pixel data of implicit VR in a data set of explicit VR")
    if dataset.original_encoding != (not explicit, not big):
        raise DeclinedError("pydicom reads it in another encoding")
    if end != (pixels[-1].at if pixels else len(buf)) or len(buf) == MOST_BYTES:
        raise DeclinedError("pydicom does not come to its end")
    if any(element.tag >> 16 < lowest for element in elements):
        raise DeclinedError("an element of a group that no data set has")
    return elements, pixels[-1] if pixels else None


def read_items(buf: Buffer, start: int, end: int, *, explicit: bool, big: bool) -> list[SlowItem]:
    """The items of a sequence of defined length, whose value stands in [start, end)."""
    if end - start > MOST_BYTES:
        raise DeclinedError("a sequence too long for pydicom")
    data = buf[start:end]
    view: Any = _View(data)

    from pydicom.filereader import read_sequence

    try:
        with quiet_pydicom():
            sequence: Any = read_sequence(view, not explicit, not big, end - start, "latin-1")
        items, behind = _items(sequence, data, 0, BIG if big else LITTLE, 1)
    except DeclinedError:
        raise
    except Exception:  # noqa: BLE001 - as above
        raise DeclinedError("pydicom can't read it") from None
    if behind != len(data):
        raise DeclinedError("a sequence of another length than its items")
    return items


def _elements(
    dataset: Dataset, data: Buffer, start: int, order: ByteOrder, level: int
) -> tuple[list[SlowElement], int]:
    """What pydicom read of a data set or item whose first element stands at `start`, and the offset behind it."""
    if level > MOST_LEVELS:
        raise DeclinedError("too many levels")
    elements, last = [], start
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset converts its elements
        found: Any = dataset.get_item(tag, keep_deferred=True)
        number, begin = int(tag), (found.value_tell if found.is_raw else found.file_tell)
        if number >> 16 >= _ITEM_GROUP:
            raise DeclinedError("an element of the group of delimiters")
        if found.is_raw:
            element, end = _raw(found, number, data, order)
        else:
            vr = bytes(data[begin - 8 : begin - 6])
            items, end = _items(found.value, data, begin, order, level + 1)
            if vr == b"UN" and any(item.explicit for item in items):
                raise DeclinedError("a sequence of VR UN that is of explicit VR")
            if order.pair(data, end) != (order.sequence_end, 0):
                raise DeclinedError("a sequence without an end")
            end += 8
            element = SlowElement(number, vr.decode() if vr in _SEQUENCES else "SQ", b"", items, undefined=True)
        elements.append(element)
        last = max(last, end)
    elements.sort(key=lambda element: element.tag)
    return elements, last


def _raw(found: RawDataElement, number: int, data: Buffer, order: ByteOrder) -> tuple[SlowElement, int]:
    value = found.value or b""
    end = found.value_tell + len(value)
    if found.length == UNDEFINED:
        if number not in PIXEL_DATA or fragments_end(data, found.value_tell, order) != end + 8:
            raise DeclinedError("a plain value of undefined length")
        return SlowElement(number, found.VR or "OB", value, undefined=True), end + 8
    if len(value) != found.length:
        raise DeclinedError("a value beyond the end")
    vr = found.VR or dictionary_vr(number)
    if len(vr) != 2:
        vr = "OW" if "OW" in vr else "US"
    if found.VR is None and len(value) > 0xFFFE and vr not in _LONG:
        vr = UNKNOWN
    if vr not in _VRS:
        raise DeclinedError("a value representation that does not exist")
    return SlowElement(number, str(vr), value), end


def _items(
    sequence: Iterable[Dataset], data: Buffer, start: int, order: ByteOrder, level: int
) -> tuple[list[SlowItem], int]:
    """The items of a sequence whose first one stands at `start`, and the offset behind the last."""
    items, pos = [], start
    for item in sequence:
        tag, length = order.pair(data, pos)
        if tag != order.item:
            raise DeclinedError("no item where one is due")
        implicit, little = item.original_encoding
        if little == order.big:
            raise DeclinedError("an item of another byte order")
        elements, end = _elements(item, data, pos + 8, order, level)
        if length == UNDEFINED:
            if order.pair(data, end) != (order.item_end, 0):
                raise DeclinedError("an item without an end")
            pos = end + 8
        elif end != pos + 8 + length:
            raise DeclinedError("an item of another length than its elements")
        else:
            pos = end
        items.append(SlowItem(elements, not implicit, order.big, length == UNDEFINED))
    return items, pos
