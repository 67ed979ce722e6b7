"""What is left of a patient in a de-identified object: a search for the original's values in the new header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import tag_text
from scandock.deidentification.profile.dummies import TEXTS
from scandock.deidentification.profile.identity import Identity, folded, unseparated
from scandock.model.tags import PIXEL_DATA
from scandock.rules.notices import Notice, list_names, make_notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scandock.deidentification.data_set import DataSet, DicomObject
    from scandock.deidentification.encoding import Part

RESIDUE: Final = "deid_residue"
_TEXTS: Final = TEXTS - {"AE", "UR"}
"""VRs of code strings and texts, in which people write dates and numbers as they like."""


def find_residue(obj: DicomObject, parts: Sequence[Part], identity: Identity) -> list[str]:
    """The paths of elements that still hold a value of `identity`; `parts` is the object as it is written.

    Pixel data are not looked at. Nothing of a value is in the answer.
    """
    if not identity.traces and not identity.unseparated:
        return []
    if not obj.deflated and not _has_trace(folded(b"".join(_headers(obj, parts))), identity, is_text=True):
        return []
    data_sets = (obj.data,) if obj.meta is None else (obj.meta, obj.data)
    return [
        path
        for data_set in data_sets
        for path, vr, value in _values(data_set, "")
        if _has_trace(value, identity, is_text=vr in _TEXTS)
    ]


def _has_trace(value: bytes, identity: Identity, *, is_text: bool) -> bool:
    """Whether folded bytes hold a value of the patient; those of a text also with other separators."""
    if any(map(value.__contains__, identity.traces)):
        return True
    return is_text and any(map(unseparated(value).__contains__, identity.unseparated))


def residue_notice(paths: Sequence[str]) -> Notice:
    """The warning about them."""
    return make_notice(RESIDUE, tags=list_names(paths))


def _headers(obj: DicomObject, parts: Sequence[Part]) -> Iterator[bytes | memoryview]:
    """The parts that are not the pixel data, which `encode` leaves in a part of its own."""
    for index, part in enumerate(parts):
        if isinstance(part, (bytes, memoryview)) and not (index == 1 and obj.pixels is not None):
            yield part


def _values(data_set: DataSet, above: str) -> Iterator[tuple[str, str, bytes]]:
    for tag in data_set:
        if tag in PIXEL_DATA:
            continue
        path = f"{above}{tag_text(tag)}"
        items = data_set.items(tag)
        if items is None:
            yield path, data_set.vr(tag), folded(data_set.value(tag))
        for index, item in enumerate(items or ()):
            yield from _values(item, f"{path}[{index}]/")
