"""What is left of a patient in a de-identified object: a search for the original's values in the new header."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import tag_text
from scandock.deidentification.profile.dummies import TEXTS
from scandock.deidentification.profile.identity import Identity, folded, unseparated
from scandock.deidentification.uids import is_keyed_uid
from scandock.model.tags import PIXEL_DATA
from scandock.rules.notices import Notice, list_names, make_notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scandock.deidentification.data_set import DataSet, DicomObject
    from scandock.deidentification.encoding import Part

RESIDUE: Final = "deid_residue"
_LONGEST_KEPT: Final = 512
"""Bytes of an element that is remembered."""
_MOST_KEPT: Final = 2_000
"""Elements that are remembered of one patient."""
_LONGEST_BY_CHANCE: Final = 10
"""Digits of a number that keyed UIDs, of which studies have thousands, could hold by chance."""
_TEXTS: Final = TEXTS - {"AE", "UR"}
"""VRs of code strings and texts, in which people write dates and numbers as they like."""


def find_residue(obj: DicomObject, parts: Sequence[Part], identity: Identity) -> list[str]:
    """The paths of elements that still hold a value of `identity`; `parts` is the object as it is written.

    Pixel data are not looked at. Short numbers in keyed UIDs are there by chance. Nothing of a value is in the answer.
    """
    if not identity.traces and not identity.unseparated:
        return []
    if not obj.deflated and not _has_trace(folded(b"".join(_headers(obj, parts))), identity, is_text=True):
        return []
    data_sets = (obj.data,) if obj.meta is None else (obj.meta, obj.data)
    return [path for data_set in data_sets for path in _find_traces(data_set, "", identity)]


def is_clean(raw: bytes, identity: Identity) -> bool:
    """Whether elements as they are written hold no value of `identity`, nor do they where they touch each other."""
    return not _has_trace(folded(raw), identity, is_text=True)


def _has_trace(value: bytes, identity: Identity, *, is_text: bool) -> bool:
    """Whether folded bytes hold a value of the patient; those of a text also with other separators."""
    if any(map(value.__contains__, identity.traces)):
        return True
    return is_text and any(map(unseparated(value).__contains__, identity.unseparated))


def _has_by_chance(value: bytes, identity: Identity) -> bool:
    """Whether all that folded UIDs hold of the patient are short numbers among the digits of keyed ones."""
    uids = [uid.strip() for uid in value.split(b"\\")]
    others = b"\\".join(uid for uid in uids if not is_keyed_uid(uid))
    return not any(trace in (value if len(trace) > _LONGEST_BY_CHANCE else others) for trace in identity.traces)


@lru_cache(maxsize=8)
def _clean_elements(_identity: Identity, *, explicit: bool, big: bool) -> set[bytes]:  # noqa: ARG001  what it is of
    """The bytes of elements without any trace, as most of a series have."""
    return set()


def residue_notice(paths: Sequence[str]) -> Notice:
    """The warning about them."""
    return make_notice(RESIDUE, tags=list_names(paths))


def _headers(obj: DicomObject, parts: Sequence[Part]) -> Iterator[bytes | memoryview]:
    """The parts that are not the pixel data, which `encode` leaves in a part of its own."""
    for index, part in enumerate(parts):
        if isinstance(part, (bytes, memoryview)) and not (index == 1 and obj.pixels is not None):
            yield part


def _find_traces(data_set: DataSet, above: str, identity: Identity) -> Iterator[str]:
    clean = _clean_elements(identity, explicit=data_set.explicit, big=data_set.big)
    for tag in data_set:
        if tag in PIXEL_DATA:
            continue
        raw = _original_bytes(data_set, tag)
        if raw in clean:
            continue
        path = f"{above}{tag_text(tag)}"
        items = data_set.items(tag)
        if items is None:
            vr, value = data_set.vr(tag), folded(data_set.value(tag))
            has_trace = _has_trace(value, identity, is_text=vr in _TEXTS)
            paths = [path] if has_trace and not (vr == "UI" and _has_by_chance(value, identity)) else []
        else:
            paths = [
                found for index, item in enumerate(items) for found in _find_traces(item, f"{path}[{index}]/", identity)
            ]
        yield from paths
        if raw and not paths:
            if len(clean) >= _MOST_KEPT:
                clean.clear()
            clean.add(raw)


def _original_bytes(data_set: DataSet, tag: int) -> bytes:
    """The bytes of an element that nobody has changed; b"" of others, and of long ones."""
    if tag in data_set.changes:
        return b""
    at, _, _, end = data_set.elements[tag]
    return bytes(data_set.buf[at:end]) if end - at <= _LONGEST_KEPT else b""
