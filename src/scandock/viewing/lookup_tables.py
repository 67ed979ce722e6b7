"""Modality and VOI lookup tables (PS3.3 C.11.1.1, C.11.2.1.1), read from their sequences.

pydicom has both, but takes no entries of 10 to 15 bits for the first, and counts in the type of the pixels or entries,
which turns values round that are far from the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scandock.viewing.dicom_file import parse_numbers
from scandock.viewing.frames import LookupTable, NotViewable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_MOST_ENTRIES: Final = 65_536
_MOST_BITS: Final = 16
_SIGN: Final = 0x8000


def read_table(item: Dataset, data: Dataset, can_be_negative: Callable[[], bool]) -> LookupTable:
    """The table of a sequence's item; `data`: the object, by whose byte order words are. NotViewable.

    `can_be_negative`: whether any of the object's values that go through it can be below 0. Then a large first one is
    a negative one that was written without its sign, as implicit VR has it.
    """
    import numpy as np

    described = [int(number) for number in parse_numbers(item.get("LUTDescriptor"))]
    if len(described) != 3 or not 0 < described[2] <= _MOST_BITS:
        raise NotViewable("The descriptor of its lookup table can't be read.")
    count, first, bits = described[0] & 0xFFFF or _MOST_ENTRIES, described[1], described[2]
    if first >= _SIGN and can_be_negative():
        first -= 2 * _SIGN
    value = item.get("LUTData")
    if isinstance(value, (bytes, bytearray)):
        entries = _unpack(bytes(value), count, bits, big=data.original_encoding[1] is False)
    else:
        entries = np.array(parse_numbers(value)[:count]).astype(np.int64) & 0xFFFF
    if not entries.size:
        raise NotViewable("Its lookup table is empty.")
    kind = np.uint8 if bits <= 8 else np.uint16
    return LookupTable(first, entries.clip(0, (1 << bits) - 1).astype(kind), bits)


def _unpack(raw: bytes, count: int, bits: int, *, big: bool) -> NDArray[Any]:
    """Entries of words; those of 8 bits may be two in a word, which their number tells."""
    import numpy as np

    words = np.frombuffer(raw[: len(raw) // 2 * 2], dtype=">u2" if big else "<u2")
    if bits <= 8 and len(words) < count:
        return words.astype("<u2").view(np.uint8)[:count].astype(np.int64)
    return words[:count].astype(np.int64)
