"""What was written, read again: the ordinary header scan has to find what was meant, the walker to come to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DicomObject, Range
from scandock.deidentification.errors import OutcomeUnexpected
from scandock.deidentification.parsing import inflate
from scandock.deidentification.walking import Budget, fragments_end, walk_data_set
from scandock.formats.dicom_encoding import BIG, LITTLE, UNDEFINED, DeclinedError, ShortError
from scandock.formats.dicom_object import MAX_UID, pixel_state, shared_uid
from scandock.formats.dicom_scan import Scan, encoding_of, read_meta
from scandock.formats.dicom_sniff import has_preamble
from scandock.model.tags import NUMBERS, PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scandock.deidentification.encoding import Part
    from scandock.formats.dicom_encoding import Buffer

_SYNTAX: Final = NUMBERS["TransferSyntaxUID"]
_UIDS: Final = tuple(
    NUMBERS[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
)
_NO_TAGS: Final[frozenset[int]] = frozenset()
_PREAMBLE: Final = 132
_FIRST_DATA: Final = 0x00030000
"""Lower are elements of commands and of the meta information."""
_PEEK: Final = 16
"""Bytes of pixel data that the scan looks at in implicit VR."""


def verify(obj: DicomObject, parts: Sequence[Part]) -> None:
    """Raise OutcomeUnexpected unless the header scan reads the parts of `encode` as the tree says.

    Compared are the preamble, the syntax and encoding, the UIDs, and whether pixel data is there; the scan has to come
    to the pixel data or to the object's end, and the walker to the end of the data set, of which only pixel data and
    items of sequences of defined length are passed over.
    """
    head = parts[0]
    if isinstance(head, Range) or has_preamble(head) != obj.preamble:
        raise _unexpected()
    size = sum(part.end - part.start if isinstance(part, Range) else len(part) for part in parts)
    at = _PREAMBLE if obj.preamble else 0
    try:
        if obj.meta is not None:
            meta, at = read_meta(head, at, _NO_TAGS, whole=len(head) == size)
            if shared_uid(meta.get(_SYNTAX)) != obj.transfer_syntax:
                raise _unexpected()
        if obj.deflated:
            head, at = inflate(head[at:])[0], 0
            size = len(head)
            _walk_to_end(obj, [head], at, size)
        else:
            _walk_to_end(obj, parts, at, size)
        if not obj.deflated and obj.pixels is not None and not obj.data.explicit and len(parts) > 1:
            start = obj.pixels.place.start
            head = bytes(head) + bytes(obj.pixels.read_range(start, start + _PEEK))
        _verify_data(obj, head, at, size)
    except (DeclinedError, ShortError):
        raise _unexpected() from None


def _walk_to_end(obj: DicomObject, parts: Sequence[Part], at: int, size: int) -> None:
    """Walk the data set, which begins at `at` of the first part; what stands behind pixel data is a part, too."""
    head, *rest = parts
    assert not isinstance(head, Range)
    data, budget = obj.data, Budget()
    order = BIG if data.big else LITTLE
    if at == size:
        return
    walked = walk_data_set(head, at, size, order, budget, explicit=data.explicit)
    pixels = walked.pixels
    if next(iter(walked.elements), _FIRST_DATA) < _FIRST_DATA:
        raise _unexpected()
    if pixels is None:
        if walked.end != size:
            raise _unexpected()
        return
    if rest:
        after, start = rest[1] if len(rest) > 1 else b"", int(obj.pixels is not None and obj.pixels.is_odd)
    else:
        after, start = head, pixels.start + pixels.length
        if pixels.length == UNDEFINED:
            start = fragments_end(head, pixels.start, order)
    assert not isinstance(after, Range)
    if start < len(after):
        end = walk_data_set(after, start, len(after), order, budget, explicit=data.explicit, after=pixels.tag).end
        if end != len(after):
            raise _unexpected()


def _verify_data(obj: DicomObject, head: Buffer, at: int, size: int) -> None:
    data = obj.data
    if len(head) < at + 8 or encoding_of(head, at, obj.transfer_syntax) != (data.explicit, data.big):
        raise _unexpected()
    scan = Scan(head, at, _NO_TAGS, explicit=data.explicit, big=data.big, size=size)
    scan.run()
    for tag in _UIDS:
        value = scan.values.get(tag)
        if value != (data.value(tag) if tag in data else None) or (value is not None and len(value) > MAX_UID):
            raise _unexpected()
    if scan.stopped:
        state = pixel_state(head, size, scan.start, scan.length, big=data.big)
    elif scan.open or scan.pos != size:
        raise _unexpected()
    else:
        state = "none"
    has_pixels = any(tag in data and data.size(tag) for tag in PIXEL_DATA)
    if state != ("whole" if has_pixels else "none"):
        raise _unexpected()


def _unexpected() -> OutcomeUnexpected:
    return OutcomeUnexpected("The new header reads otherwise than it was meant.")
