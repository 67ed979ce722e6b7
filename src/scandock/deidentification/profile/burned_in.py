"""Objects whose pixels, or content as a whole, may name the patient: a warning, never a claim that they do not."""

from __future__ import annotations

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
_ROWS, _COLUMNS = 0x00280010, 0x00280011
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
    if (data.text(_BURNED_IN) or "").upper() == "YES":
        return "the object says so"
    kind = content_kind(data.text(_CLASS) or "")
    if kind in _PIXELS and kind != _CAPTURE:
        return f"it is an object of {kind}"
    modality = data.text(_MODALITY) or ""
    if modality in _MODALITIES:
        return f"its modality is {modality}"
    image_type = data.texts(_IMAGE_TYPE)
    if any(value in _SCREENS for value in image_type):
        return "it is a copy of a screen"
    if kind == _CAPTURE or _CONVERSION in data:
        if image_type[:2] == ["DERIVED", "SECONDARY"]:
            return "it is a derived secondary capture"
        if data.text(_ROWS) != data.text(_COLUMNS):
            return "it is a secondary capture that is not square"
    if _has_overlay_in_pixels(data):
        return "it has an overlay in the bits of its pixels"
    return None


def _has_overlay_in_pixels(data: DataSet) -> bool:
    return any(
        tag & 0xFF01FFFF == 0x60000010 and tag & 0xFFFF0000 | 0x3000 not in data for tag in data if tag >> 24 == 0x60
    )


def burned_in_notice(reason: str) -> Notice:
    """The warning about it."""
    return make_notice(BURNED_IN, reason=PrintableText(reason))
