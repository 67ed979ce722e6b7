"""pydicom's reading of an object, in a form that trees can be compared with."""

from __future__ import annotations

import io
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from scandock.deidentification.data_set import DataSet
from scandock.formats.dicom_fallback import quiet_pydicom

CHARACTER_SET = 0x00080005
Reading = dict[int, tuple[str | None, Any]]
"""Tag -> VR (None where none is written) and raw value, or the readings of its items."""


def pydicom_reading(data: bytes) -> Reading:
    with quiet_pydicom():
        return _reading(dcmread(io.BytesIO(data), force=True))


def _reading(dataset: Dataset) -> Reading:
    made: Reading = {}
    elements: list[Any] = [dataset.get_item(tag, keep_deferred=True) for tag in dataset.keys()]  # noqa: SIM118 - iterating it converts them
    for element in elements:
        tag = element.tag
        vr, value = element.VR, element.value
        if element.is_raw and (vr == "SQ" or (vr is None and dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ")):
            value = dataset[tag].value
        if tag == CHARACTER_SET and not element.is_raw:  # converted by pydicom for its own use
            value = "\\".join([value] if isinstance(value, str) else value or []).encode("latin-1")
        if isinstance(value, bytes | None) or len(value) == 0:
            value = value or b""
            made[int(tag)] = vr, value.strip(b" \0") if tag == CHARACTER_SET else value
        else:
            made[int(tag)] = vr, [_reading(item) for item in value]
    return made


def tree_reading(data: DataSet, like: Reading) -> Reading:
    """The tree in the same form; sequences that pydicom leaves as bytes are bytes here too."""
    made: Reading = {}
    for tag in data:
        vr = data.vr(tag)
        other_vr, other = like.get(tag, ("", b""))
        items = data.items(tag)
        if items is None or isinstance(other, bytes):
            value = data.value(tag).strip(b" \0") if tag == CHARACTER_SET else data.value(tag)
            was_padded = isinstance(other, bytes) and len(other) % 2 == 1
            made[tag] = vr, value[: len(other)] if was_padded else value
        else:
            others = [*other, *[{}] * len(items)]
            made[tag] = vr, [tree_reading(item, others[index]) for index, item in enumerate(items)]
        if other_vr is None or (vr == "UN" and other_vr == "SQ"):
            made[tag] = other_vr, made[tag][1]
    return made
