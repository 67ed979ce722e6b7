"""Values inside the sequences that are kept with a header: tracer (PS3.3 C.8.9.2) and functional groups (C.7.6.16).

An enhanced multi-frame object has its acquisition values in macros of the shared groups, or of each frame's; of the
frames the first one counts (xnat-behaviour.md 4.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_items import elements, first_item
from scandock.formats.dicom_order import BIG, ITEM, LITTLE, ByteOrder
from scandock.formats.dicom_text import decode
from scandock.model.tags import NUMBERS, WANTED, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRACER: Final = {
    0x00180031: Tag(0x00180031, "LO", "Radiopharmaceutical"),
    0x00181072: Tag(0x00181072, "TM", "RadiopharmaceuticalStartTime"),
    0x00181074: Tag(0x00181074, "DS", "RadionuclideTotalDose"),
    0x00181075: Tag(0x00181075, "DS", "RadionuclideHalfLife"),
    0x00181078: Tag(0x00181078, "DT", "RadiopharmaceuticalStartDateTime"),
}
_TRACER_CODES: Final = {0x00540300: "RadionuclideCodeMeaning", 0x00540304: "RadiopharmaceuticalCodeMeaning"}
_CODE_MEANING: Final = 0x00080104

_PLAIN: Final = {
    number: tag
    for number, tag in WANTED.items()
    if number >> 16 == 0x0018 or tag.keyword in {"ImageOrientationPatient", "PixelSpacing"} or "Rescale" in tag.keyword
}
"""Elements that stand in macros under the very tag that plain objects have at top level."""
_RENAMED: Final = {
    0x00189082: Tag(NUMBERS["EchoTime"], "FD", "EchoTime"),
    0x00189079: Tag(NUMBERS["InversionTime"], "FD", "InversionTime"),
    0x00189220: Tag(NUMBERS["ActualFrameDuration"], "FD", "ActualFrameDuration"),
    0x00189328: Tag(NUMBERS["ExposureTime"], "FD", "ExposureTime"),
    0x00189330: Tag(NUMBERS["XRayTubeCurrent"], "FD", "XRayTubeCurrent"),
    0x00189332: Tag(NUMBERS["Exposure"], "FD", "Exposure"),
    0x00189335: Tag(NUMBERS["DistanceSourceToPatient"], "FD", "DistanceSourceToPatient"),
}
"""Elements that enhanced objects have in the place of a plain one, of the same meaning and unit."""


class Found(NamedTuple):
    """A value found in a sequence: the plain element it stands for, and that element's raw value and text."""

    tag: Tag
    raw: bytes
    text: str


def tracer_values(value: bytes, charsets: bytes | None, *, explicit: bool, big: bool) -> Iterator[Found]:
    """Radiopharmaceutical, times, dose, half-life and code meanings from the first item of (0054,0016)."""
    order = BIG if big else LITTLE
    for number, raw, nested in _first_item(value, order, explicit=explicit):
        if number in _TRACER:
            tag = _TRACER[number]
            yield Found(tag, raw, decode(raw, tag.vr, charsets, big))
        elif number in _TRACER_CODES:
            for inner, meaning, _ in _first_item(raw, order, explicit=nested):
                if inner == _CODE_MEANING:
                    tag = Tag(0, "LO", _TRACER_CODES[number])
                    yield Found(tag, meaning, decode(meaning, "LO", charsets, big))


def frame_values(groups: list[bytes], charsets: bytes | None, *, explicit: bool, big: bool) -> Iterator[Found]:
    """What the macros of the functional groups say, shared groups before the first frame's, each element once."""
    order = BIG if big else LITTLE
    seen: set[str] = set()
    for value in groups:
        for macro, content, nested in _first_item(value, order, explicit=explicit):
            if macro >> 16 & 1 or not _is_sequence(content, order):
                continue
            for number, raw, _ in _first_item(content, order, explicit=nested):
                plain, renamed = _PLAIN.get(number), _RENAMED.get(number)
                tag = plain or renamed
                if tag is None or tag.keyword in seen or not raw:
                    continue
                seen.add(tag.keyword)
                text = decode(raw, tag.vr, charsets, big)
                yield Found(tag, raw if plain else text.encode(), text)


def _first_item(value: bytes, order: ByteOrder, *, explicit: bool) -> Iterator[tuple[int, bytes, bool]]:
    """(tag, raw value, explicit) of each element of a sequence's first item; what is cut or damaged ends it."""
    item = first_item(value, order, explicit=explicit)
    if item is not None:
        for element in elements(value, item, order):
            yield element.number, value[element.start : element.end], item.explicit


def _is_sequence(value: bytes, order: ByteOrder) -> bool:
    return len(value) >= 8 and order.pair(value, 0)[0] == order.key(ITEM)
