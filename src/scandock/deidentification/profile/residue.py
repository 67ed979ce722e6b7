"""What is left of a patient in a de-identified object: a search for the original's values in the new header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import tag_text
from scandock.deidentification.profile.identity import Identity, folded
from scandock.model.tags import PIXEL_DATA
from scandock.rules.notices import Notice, list_names, make_notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scandock.deidentification.data_set import DataSet, DicomObject
    from scandock.deidentification.encoding import Part

RESIDUE: Final = "deid_residue"


def find_residue(obj: DicomObject, parts: Sequence[Part], identity: Identity) -> list[str]:
    """The paths of elements that still hold a value of `identity`; `parts` is the object as it is written.

    Pixel data are not looked at. Nothing of a value is in the answer.
    """
    traces = identity.traces
    if not traces:
        return []
    if not obj.deflated:
        header = folded(b"".join(part for part in _headers(obj, parts)))
        if not any(trace in header for trace in traces):
            return []
    data_sets = (obj.data,) if obj.meta is None else (obj.meta, obj.data)
    return [
        path
        for data_set in data_sets
        for path, value in _values(data_set, "")
        if any(trace in value for trace in traces)
    ]


def residue_notice(paths: Sequence[str]) -> Notice:
    """The warning about them."""
    return make_notice(RESIDUE, tags=list_names(paths))


def _headers(obj: DicomObject, parts: Sequence[Part]) -> Iterator[bytes | memoryview]:
    """The parts that are not the pixel data, which `encode` leaves in a part of its own."""
    for index, part in enumerate(parts):
        if isinstance(part, (bytes, memoryview)) and not (index == 1 and obj.pixels is not None):
            yield part


def _values(data_set: DataSet, above: str) -> Iterator[tuple[str, bytes]]:
    for tag in data_set:
        if tag in PIXEL_DATA:
            continue
        path = f"{above}{tag_text(tag)}"
        items = data_set.items(tag)
        if items is None:
            yield path, folded(data_set.value(tag))
        for index, item in enumerate(items or ()):
            yield from _values(item, f"{path}[{index}]/")
