"""Whether bytes are something that can be de-identified, by their beginning."""

from __future__ import annotations

import struct
from typing import Final

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.formats.dicom_encoding import Buffer
from scandock.formats.dicom_sniff import looks_like_dicom
from scandock.formats.ecat import looks_like_ecat

_ELEMENT: Final = 8
"""Bytes of an element's head."""
_FIRST_GROUP: Final = 0x0008
_LAST_GROUP: Final = 0x0088


def is_image(head: Buffer, size: int) -> bool:
    """Whether what begins so is ECAT 7 or DICOM, also a data set that has neither meta information nor UIDs."""
    return looks_like_ecat(head) or looks_like_dicom(head, size) or _begins_with_element(head, size)


def _begins_with_element(head: Buffer, size: int) -> bool:
    """Whether the first element is one of the dictionary, with its VR; or in implicit VR with another one behind it."""
    if min(size, len(head)) < _ELEMENT:
        return False
    for order in "<>":
        group, element = struct.unpack_from(f"{order}HH", head)
        if group & 1 or not _FIRST_GROUP <= group <= _LAST_GROUP:
            continue
        vr = dictionary_vr(group << 16 | element)
        if vr == UNKNOWN:
            continue
        if bytes(head[4:6]).decode("latin-1") in vr:
            return True
        end = _ELEMENT + int(struct.unpack_from(f"{order}I", head, 4)[0])
        if order == "<" and (end == size or (end + _ELEMENT <= min(size, len(head)) and _is_next(head, end, group))):
            return True
    return False


def _is_next(head: Buffer, at: int, group: int) -> bool:
    following, element = struct.unpack_from("<HH", head, at)
    return following >= group and dictionary_vr(following << 16 | element) != UNKNOWN
