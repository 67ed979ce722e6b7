"""What was written, read again: the walker has to find what was meant, and to come to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DicomObject, EditedPixels, Range
from scandock.deidentification.errors import OutcomeUnexpected
from scandock.deidentification.parsing import inflate
from scandock.deidentification.runs import Runs
from scandock.deidentification.walking import Budget, fragments_end, walk_data_set
from scandock.formats.dicom_encoding import UNDEFINED, DeclinedError, ShortError
from scandock.formats.dicom_object import MAX_UID, pixel_state, shared_uid
from scandock.formats.dicom_scan import encoding_of, read_meta
from scandock.formats.dicom_sniff import has_preamble
from scandock.model.tags import NUMBERS, PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scandock.deidentification.encoding import Part
    from scandock.deidentification.walking import Walked

_SYNTAX: Final = NUMBERS["TransferSyntaxUID"]
_UIDS: Final = tuple(
    NUMBERS[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
)
_NO_TAGS: Final[frozenset[int]] = frozenset()
_PREAMBLE: Final = 132
_LAST_OF_META: Final = 0x0002FFFF
"""Elements up to this are of commands and of the meta information."""
_WRITTEN: Final = Runs()
"""Of data sets as they are written: apart from those that are read, which have other elements in between."""


def verify(obj: DicomObject, parts: Sequence[Part]) -> Walked | None:
    """Raise OutcomeUnexpected unless the parts of `encode` read as the tree says.

    Compared are the preamble, the syntax and encoding, the UIDs, and whether pixel data is there, and as long as its
    part is. The walker, which is stricter than the header scan, has to come to the end of the data set, of which only
    pixel data and items of sequences of defined length are passed over. Gives the data set as it was walked, None
    where nothing is left of it.
    """
    head = parts[0]
    if isinstance(head, (Range, EditedPixels)) or has_preamble(head) != obj.preamble:
        raise _unexpected()
    at = _PREAMBLE if obj.preamble else 0
    try:
        if obj.meta is not None:
            meta, at = read_meta(head, at, _NO_TAGS, whole=len(head) == sum(map(_size, parts)))
            if shared_uid(meta.get(_SYNTAX)) != obj.transfer_syntax:
                raise _unexpected()
        if obj.deflated:
            parts, at = [inflate(head[at:])[0]], 0
        return _verify_data(obj, parts, at)
    except (DeclinedError, ShortError):
        raise _unexpected() from None


def _verify_data(obj: DicomObject, parts: Sequence[Part], at: int) -> Walked | None:
    """Walk the data set, which begins at `at` of the first part; pixel data and what follows them are parts, too."""
    data, size, head, rest = obj.data, sum(map(_size, parts)), parts[0], parts[1:]
    assert not isinstance(head, (Range, EditedPixels))
    if not data:
        if size != at:
            raise _unexpected()
        return None
    if len(head) < at + 8 or encoding_of(head, at, obj.transfer_syntax) != (data.explicit, data.big):
        raise _unexpected()
    budget = Budget()
    walked = walk_data_set(
        head, at, size, data.order, budget, explicit=data.explicit, after=_LAST_OF_META, runs=_WRITTEN
    )
    elements, pixels = walked.elements, walked.pixels
    for tag, meant in zip(_UIDS, data.values(_UIDS), strict=True):
        entry = elements.get(tag)
        value = bytes(head[entry[2] : entry[3]]) if entry is not None else None
        if value != meant or (value is not None and len(value) > MAX_UID):
            raise _unexpected()
    state = "none" if pixels is None else pixel_state(head, size, pixels.start, pixels.length, big=data.big)
    if state != ("whole" if any(tag in data and data.size(tag) for tag in PIXEL_DATA) else "none"):
        raise _unexpected()
    if pixels is None:
        if walked.end != size:
            raise _unexpected()
        return walked
    odd = int(obj.pixels is not None and obj.pixels.is_odd and obj.pixels.tag not in data.changes)
    after: Part
    if not rest:
        after, start = head, pixels.start + pixels.length
        if pixels.length == UNDEFINED:
            start = fragments_end(head, pixels.start, data.order)
    elif pixels.start == len(head) and pixels.length in {UNDEFINED, _size(rest[0]) + odd}:
        after, start = rest[1] if len(rest) > 1 else b"", odd
    else:
        raise _unexpected()
    assert not isinstance(after, (Range, EditedPixels))
    if start < len(after):
        end = walk_data_set(after, start, len(after), data.order, budget, explicit=data.explicit, after=pixels.tag).end
        if end != len(after):
            raise _unexpected()
    return walked


def _size(part: Part) -> int:
    return part.end - part.start if isinstance(part, Range) else len(part)


def _unexpected() -> OutcomeUnexpected:
    return OutcomeUnexpected("The new header reads otherwise than it was meant.")
