"""Objects whose pixels, or content as a whole, may name the patient: a warning, never a claim that they do not."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.rules.notices import Notice, PrintableText, make_notice

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

BURNED_IN: Final = "burned_in"
_BURNED_IN: Final = 0x00280301
_CLASS: Final = 0x00080016
_MODALITY: Final = 0x00080060
_IMAGE_TYPE: Final = 0x00080008
_CONVERSION: Final = 0x00080064
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_READ: Final = (_BURNED_IN, _CLASS, _MODALITY, _IMAGE_TYPE, _CONVERSION, _ROWS, _COLUMNS)
_LONGEST: Final = 256
"""Bytes of a value that are looked at."""
_OVERLAY_ROWS: Final = frozenset(0x60000010 + (group << 16) for group in range(0, 32, 2))
_OVERLAY: Final = "it has an overlay in the bits of its pixels"
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

_KINDS: Final = {
    "7": "secondary capture",
    "104": "encapsulated document",
    "88": "structured report",
    "11": "presentation state",
    "6": "ultrasound",
    "3": "ultrasound",
    "12": "angiography",
    "77": "visible light",
    "66": "raw data",
}
"""What storage classes hold beside plain images, by the first number behind that of all storage classes."""
_NO_CAPTURES: Final = frozenset({"66.1", "66.2", "66.3", "66.4", "66.5", "66.6", "66.7", "66.8"})
"""Registrations, fiducials, segmentations and the like, which are no raw data."""
_CAPTURE: Final = "secondary capture"
_PIXELS: Final = frozenset({_CAPTURE, "ultrasound", "visible light"})
"""Kinds whose pixels often show texts."""
_MODALITIES: Final = frozenset({"US", "ES", "XC", "SC", "OT", "DOC"})
_SCREENS: Final = frozenset({"SCREEN SAVE", "SCREENSHOT", "SCREEN CAPTURE", "DISPLAY", "PROTOCOL", "DOSE_INFO"})


def content_kind(sop_class: str) -> str | None:
    """What an object of a class holds that no profile of attributes cleans: "ultrasound", "structured report" ...

    None for plain images and for classes that are not known.
    """
    number = sop_class.removeprefix(_STORAGE)
    if number == sop_class or number in _NO_CAPTURES:
        return None
    return _KINDS.get(number.split(".")[0])


def find_burned_in(data: DataSet) -> str | None:
    """Why the pixels of a data set may show texts, in words; None where nothing says so."""
    values = [value and value[:_LONGEST] for value in data.values(_READ)]
    return _reason(*values) or (_OVERLAY if _has_overlay_in_pixels(data) else None)


@lru_cache(maxsize=1_000)
def _reason(
    burned_in: bytes | None,
    sop_class: bytes | None,
    modality: bytes | None,
    image_type: bytes | None,
    conversion: bytes | None,
    rows: bytes | None,
    columns: bytes | None,
) -> str | None:
    if _text(burned_in).upper() == "YES":
        return "the object says so"
    kind = content_kind(_text(sop_class))
    if kind in _PIXELS and kind != _CAPTURE:
        return f"it is an object of {kind}"
    if _text(modality) in _MODALITIES:
        return f"its modality is {_text(modality)}"
    types = [value.strip() for value in _text(image_type).split("\\")]
    if any(value in _SCREENS for value in types):
        return "it is a copy of a screen"
    if kind == _CAPTURE or conversion is not None:
        if types[:2] == ["DERIVED", "SECONDARY"]:
            return "it is a derived secondary capture"
        if rows != columns:
            return "it is a secondary capture that is not square"
    return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").strip(" \0")


def _has_overlay_in_pixels(data: DataSet) -> bool:
    if not data.has_any(_OVERLAY_ROWS):
        return False
    return any(tag in data and tag & 0xFFFF0000 | 0x3000 not in data for tag in _OVERLAY_ROWS)


def burned_in_notice(reason: str) -> Notice:
    """The warning about it."""
    return make_notice(BURNED_IN, reason=PrintableText(reason))
