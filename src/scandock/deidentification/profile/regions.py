"""Overlays of regions of interest: planes of bits, as long as their elements say (PS3.3 C.9.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scandock.deidentification.profile.binary_numbers import looks_like_text

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

OVERLAY_DATA: Final = 0x3000
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ALLOCATED, _POSITION = 0x10, 0x11, 0x15, 0x40, 0x100, 0x102
_SAYING: Final = (_ROWS, _COLUMNS, _FRAMES, _TYPE, _ALLOCATED, _POSITION)
OF_REGIONS: Final = frozenset({*_SAYING, 0x12, 0x45, 0x50, 0x51, 0x52, 0x1301, 0x1302, 0x1303, OVERLAY_DATA})
"""Elements of an overlay that say where and what kind of region it is, and its bits."""
_LAST_GROUP: Final = 0x601E
_VRS: Final = frozenset({"OB", "OW"})
_REGION: Final = re.compile(rb"R[ \0]?")
_NUMBER: Final = re.compile(rb" *\+?0*([1-9][0-9]{0,8}) *\0?")


def is_region(data_set: DataSet, group: int) -> bool:
    """Whether an overlay, by the number of its group's first element, is a region whose bits are all there.

    Its type, rows, columns, bits and frames have to say how many there are, and they must be no text.
    """
    tag = group | OVERLAY_DATA
    if group >> 16 > _LAST_GROUP or tag not in data_set or data_set.vr(tag) not in _VRS:
        return False
    size = _size(data_set, group)
    if size is None or data_set.size(tag) < size:
        return False
    value, charsets = data_set.value(tag), data_set.character_set
    return not any(looks_like_text(bits, "OB", charsets, big=data_set.big) for bits in (value, value[:size]))


def cut_region(data_set: DataSet, tag: int) -> None:
    """Cut the bits of a region to as many as it has, so that nothing stands behind them."""
    size = _size(data_set, tag & 0xFFFF0000)
    if size is not None and data_set.size(tag) > size:
        data_set.set_value(tag, data_set.vr(tag), data_set.value(tag)[:size])


def _size(data_set: DataSet, group: int) -> int | None:
    """How many bytes the bits of a region are; None where it does not say so, or is no region of bits of its own."""
    values = dict(zip(_SAYING, data_set.values(group | number for number in _SAYING), strict=True))
    rows, columns, bits, position = (
        _integer(values[number], big=data_set.big) for number in (_ROWS, _COLUMNS, _ALLOCATED, _POSITION)
    )
    frames = _NUMBER.fullmatch(values[_FRAMES] or b"1")
    if not _REGION.fullmatch(values[_TYPE] or b"") or not rows or not columns or frames is None:
        return None
    if bits != 1 or position != 0:
        return None
    size = -(-rows * columns * int(frames[1]) // 8)
    return size + size % 2


def _integer(value: bytes | None, *, big: bool) -> int | None:
    return int.from_bytes(value, "big" if big else "little") if value is not None and len(value) == 2 else None
