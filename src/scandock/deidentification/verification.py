"""What was written, read again by the ordinary header scan: it has to find what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DicomObject, Range
from scandock.deidentification.errors import OutcomeUnexpected
from scandock.deidentification.parsing import inflate
from scandock.formats.dicom_encoding import DeclinedError, ShortError
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
_PEEK: Final = 16
"""Bytes of pixel data that the scan looks at in implicit VR."""


def verify(obj: DicomObject, parts: Sequence[Part]) -> None:
    """Raise OutcomeUnexpected unless the header scan reads the parts of `encode` as the tree says.

    Compared are the preamble, the syntax and encoding, the UIDs, and whether pixel data is there; the scan has to come
    to the pixel data or to the object's end.
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
        elif obj.pixels is not None and not obj.data.explicit and len(parts) > 1:
            start = obj.pixels.place.start
            head = bytes(head) + bytes(obj.pixels.read_range(start, start + _PEEK))
        _verify_data(obj, head, at, size)
    except (DeclinedError, ShortError):
        raise _unexpected() from None


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
