"""What was written, read again by the ordinary header scan: it has to find what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DicomObject, Range
from scandock.deidentification.errors import OutcomeUnexpected
from scandock.formats.dicom_encoding import DeclinedError, ShortError
from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_object import pixel_state, uid_text
from scandock.formats.dicom_scan import Scan, read_meta
from scandock.formats.dicom_sniff import looks_like_dicom
from scandock.formats.errors import SeriesUidMissing, SopUidMissing, StudyUidMissing, Unparseable
from scandock.model.tags import NUMBERS, PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scandock.deidentification.encoding import Part
    from scandock.formats.dicom_encoding import Buffer
    from scandock.formats.dicom_object import Header

_STUDY, _SERIES = NUMBERS["StudyInstanceUID"], NUMBERS["SeriesInstanceUID"]
_SOP, _CLASS = NUMBERS["SOPInstanceUID"], NUMBERS["SOPClassUID"]
_MISSING: Final = {_STUDY: StudyUidMissing.CODE, _SERIES: SeriesUidMissing.CODE, _SOP: SopUidMissing.CODE}
_PREAMBLE: Final = 132
_PEEK: Final = 16
"""Bytes of pixel data that the scan looks at in implicit VR."""


def verify(obj: DicomObject, parts: Sequence[Part]) -> None:
    """Raise OutcomeUnexpected unless the header scan reads the parts of `encode` as the tree says.

    Compared are the preamble, the syntax and encoding, the UIDs, and whether pixel data is there.
    """
    head = parts[0]
    if isinstance(head, Range):
        raise OutcomeUnexpected("The new object begins with its pixel data.")
    if obj.pixels is not None and not obj.data.explicit and len(parts) > 1:
        head = bytes(head) + bytes(obj.pixels.read_range(obj.pixels.place.start, obj.pixels.place.start + _PEEK))
    size = sum(part.end - part.start if isinstance(part, Range) else len(part) for part in parts)
    uids = {tag: _uid(obj, tag) for tag in _MISSING}
    missing = next((tag for tag, uid in uids.items() if not uid), None)
    if missing is not None and not (looks_like_dicom(head, size) and not obj.deflated):
        _verify_bare(obj, head, size)
        return
    try:
        header = read_header(head, size, frozenset())
    except Unparseable as refused:
        if missing is None or refused.code != _MISSING[missing]:
            raise OutcomeUnexpected("The new header can't be read.") from None
        _verify_bare(obj, head, size)
        return
    if missing is not None or not _agrees(obj, header, uids):
        raise OutcomeUnexpected("The new header reads otherwise than it was meant.")


def _agrees(obj: DicomObject, header: Header, uids: dict[int, str]) -> bool:
    data = obj.data
    return (
        (header.study_uid, header.series_uid, header.sop_uid) == (uids[_STUDY], uids[_SERIES], uids[_SOP])
        and (_CLASS not in data or header.sop_class == _uid(obj, _CLASS) or not _uid(obj, _CLASS))
        and header.transfer_syntax == obj.transfer_syntax
        and header.preamble == obj.preamble
        and header.implicit != data.explicit
        and header.big_endian == data.big
        and header.pixels == _pixels(obj)
        and not header.notes
    )


def _uid(obj: DicomObject, tag: int) -> str:
    return uid_text(obj.data.value(tag)) if tag in obj.data else ""


def _pixels(obj: DicomObject) -> str:
    data = obj.data
    return "whole" if any(tag in data and data.size(tag) for tag in PIXEL_DATA) else "none"


def _verify_bare(obj: DicomObject, head: Buffer, size: int) -> None:
    """Verify an object without UIDs, which is no object to the header scan: that it is read to its pixels or end."""
    if obj.deflated:
        return  # its data set was made of the tree in one go, and no scan reads it without UIDs
    start = _PREAMBLE if obj.preamble else 0
    try:
        at = read_meta(head, start, frozenset(), whole=len(head) == size)[1] if obj.meta is not None else start
        scan = Scan(head, at, frozenset(), explicit=obj.data.explicit, big=obj.data.big, size=size)
        scan.run()
    except (DeclinedError, ShortError):
        raise OutcomeUnexpected("The new header can't be read.") from None
    pixels = pixel_state(head, size, scan.start, scan.length, big=obj.data.big) if scan.stopped else "none"
    if scan.open or pixels != _pixels(obj) or (not scan.stopped and scan.pos != size):
        raise OutcomeUnexpected("The new header reads otherwise than it was meant.")
