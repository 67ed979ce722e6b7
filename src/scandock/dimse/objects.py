"""A received object as a file: its meta information, and what its own header says of it (PS3.10 section 7.1)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from scandock.dimse import uids
from scandock.dimse.negotiation import IMPLEMENTATION_VERSION
from scandock.dimse.records import Answer, AssociationRequest, Status, StoreRequest
from scandock.formats.dicom_encoding import Buffer
from scandock.formats.dicom_header import read_data_set, read_header
from scandock.formats.dicom_object import Header
from scandock.formats.errors import Unparseable
from scandock.model.tags import NUMBERS

_SOP_CLASS: Final = NUMBERS["SOPClassUID"]
_SOP_INSTANCE: Final = NUMBERS["SOPInstanceUID"]
_STUDY: Final = NUMBERS["StudyInstanceUID"]
_SERIES: Final = NUMBERS["SeriesInstanceUID"]
_BEGINNING: Final = bytes(128) + b"DICM"
_U32: Final = struct.Struct("<I")
_NOTHING: Final[frozenset[int]] = frozenset()


class ObjectError(Exception):
    """An object that is not kept, and how its C-STORE is answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.comment)
        self.answer = answer


def encode_meta(store: StoreRequest, association: AssociationRequest) -> bytes:
    """Preamble and meta information, behind which the data set stands as it was sent."""
    before, after = _around_instance(store.sop_class, store.transfer_syntax, association.calling, association.called)
    instance = _uid(0x0003, store.sop_instance)
    length = len(before) + len(instance) + len(after)
    return b"".join((_BEGINNING, _short(0x0000, b"UL", _U32.pack(length)), before, instance, after))


@lru_cache(maxsize=256)
def _around_instance(sop_class: str, transfer_syntax: str, calling: str, called: str) -> tuple[bytes, bytes]:
    """What all objects of a class have in their meta information: before their SOP Instance UID, and behind it."""
    before = [_long(0x0001, b"OB", b"\0\1"), _uid(0x0002, sop_class)]
    after = [
        _uid(0x0010, transfer_syntax),
        _uid(0x0012, uids.IMPLEMENTATION_CLASS),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION),
        _text(0x0016, b"AE", calling),
        _text(0x0017, b"AE", calling),
        _text(0x0018, b"AE", called),
    ]
    return b"".join(before), b"".join(after)


def study_of(store: StoreRequest, meta: bytes, head: Buffer, size: int, more: Callable[[int], Buffer]) -> str:
    """The Study Instance UID of an object of `size` bytes, whose file begins with `meta` and its data set with `head`.

    `more(n)` gives the first n bytes of the data set. Raises ObjectError: its header can't be read, lacks one of its
    UIDs, or is of another object than the command says.
    """
    header = read_data_set(bytes(head), size, store.transfer_syntax, _NOTHING, more)
    if header is None:
        header = _read_as_file(meta, head, size, more)
    for tag, value in ((_STUDY, header.study_uid), (_SERIES, header.series_uid), (_SOP_INSTANCE, header.sop_uid)):
        if not uids.is_uid(value):
            raise ObjectError(Answer(Status.CANNOT_UNDERSTAND, "A UID is missing or is none", (tag,)))
    sop_class = header.values.get(_SOP_CLASS, b"").decode("ascii", "replace").strip("\0 ")
    if sop_class != store.sop_class:
        why = "SOP class differs from that of the command"
        raise ObjectError(Answer(Status.CLASS_MISMATCH, why, (_SOP_CLASS,)))
    if header.sop_uid != store.sop_instance:
        why = "SOP instance differs from that of the command"
        raise ObjectError(Answer(Status.CLASS_MISMATCH, why, (_SOP_INSTANCE,)))
    return header.study_uid


def _read_as_file(meta: bytes, head: Buffer, size: int, more: Callable[[int], Buffer]) -> Header:
    start = len(meta)
    try:
        return read_header(meta + bytes(head), start + size, _NOTHING, lambda count: meta + bytes(more(count - start)))
    except Unparseable as error:
        raise ObjectError(Answer(Status.CANNOT_UNDERSTAND, str(error))) from None


def read_study_uid(head: bytes) -> str:
    """The Study Instance UID of an object as it was kept, of which `head` is the beginning; "" where it is none."""
    try:
        return read_header(head, len(head), _NOTHING).study_uid
    except Unparseable:
        return ""


def _uid(element: int, value: str) -> bytes:
    data = value.encode("ascii", "replace")
    return _short(element, b"UI", data + b"\0" * (len(data) % 2))


def _text(element: int, vr: bytes, value: str) -> bytes:
    data = value.encode("ascii", "replace")[:16]
    return _short(element, vr, data + b" " * (len(data) % 2))


def _short(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _long(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
