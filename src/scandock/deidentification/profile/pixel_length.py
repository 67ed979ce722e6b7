"""Bytes behind the last frame of native pixels: they pass on as all pixels do, and no viewer shows them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from scandock.rules.notices import Notice, make_notice

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DicomObject

_PIXELS_LONGER: Final = "deid_pixels_longer"
_BITS: Final = {0x7FE00010: None, 0x7FE00008: 32, 0x7FE00009: 64}
"""Kinds of pixel data, and their bits by sample where these are given."""
_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED = 0x00280010, 0x00280011, 0x00280002, 0x00280100
_FRAMES, _PHOTOMETRIC = 0x00280008, 0x00280004
OF_LENGTH: Final = (_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED, _FRAMES, _PHOTOMETRIC)
"""Elements that say how long native pixels are."""
_LONGEST: Final = 64
_SHARED: Final = frozenset({b"YBR_FULL_422", b"YBR_PARTIAL_422"})
"""Two pixels share their colors: two samples for each."""


def has_longer_pixels(obj: DicomObject) -> bool:
    """Whether native pixels have more bytes than the header says, but for one that makes their number even.

    Where it does not say how many they are, all are more.
    """
    data = obj.data
    if obj.pixels is not None and obj.pixels.is_encapsulated and obj.pixels.tag not in data.changes:
        return False
    tag = next((tag for tag in _BITS if tag in data), None)
    if tag is None:
        return False
    values = [value and value[:_LONGEST] for value in data.values(OF_LENGTH)]
    expected = _expected_bytes(_BITS[tag], *values, big=data.big)
    return data.size(tag) > expected + expected % 2


@lru_cache(maxsize=1_000)
def _expected_bytes(
    bits: int | None,
    rows: bytes | None,
    columns: bytes | None,
    samples: bytes | None,
    allocated: bytes | None,
    frames: bytes | None,
    photometric: bytes | None,
    *,
    big: bool,
) -> int:
    order: Literal["big", "little"] = "big" if big else "little"
    height, width, each = (int.from_bytes((value or b"")[:2], order) for value in (rows, columns, allocated))
    count = int.from_bytes(samples[:2], order) if samples else 1
    if count == 3 and (photometric or b"").strip(b" \0") in _SHARED:
        count = 2
    try:
        number = max(1, int(frames.strip(b" \0") or b"1")) if frames else 1
    except ValueError:
        number = 1
    return -(-height * width * count * (bits or each) * number // 8)


def longer_pixels_notice() -> Notice:
    """The warning about them."""
    return make_notice(_PIXELS_LONGER)
