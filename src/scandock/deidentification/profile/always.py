"""What goes whatever the table and the options say: places that Annex E forgets, and those that no object needs."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import MOST_SHORT, tag_text
from scandock.deidentification.dictionary import transfer_syntaxes
from scandock.deidentification.errors import ObjectUnreadable, ValueUnfit
from scandock.deidentification.splicing import encode_element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scandock.deidentification.data_set import Change, DicomObject

_GROUPS: Final = frozenset({0x0000, 0x0002, 0x0004, 0x0006, 0x1000, 0x1010, 0xFFFC})
"""Groups of commands, meta information and directories, which have no place in a data set; retired ones; padding."""
_ELEMENTS: Final = frozenset(
    (
        *(0x00080001, 0x00120063, 0x04000500, 0x04000520, 0x04000550),
        *(0x00080202, 0x0008041B, 0x0008041C, 0x00280020, 0x0040A074, 0x0040A089, 0x00686300),
        *(0x00100033, 0x00100034),
        *(0x00401006, 0x00401007, 0x00402006, 0x00402007, 0x21000010, 0x21000160, 0x21100099),
        *(0x00720008, 0x00720010, 0x0074100C),
    )
)
"""The length of everything, an earlier method of de-identification in words, what is encrypted, attributes before they
were modified;
bytes that may be anything: keys of records, retired binary identifiers, a drawing;
birth and death in other calendars; numbers of orders and print jobs; who made a hanging protocol or is to be called."""
_CURVES: Final = 0x50
_VARIABLE_PIXELS: Final = 0x7F
_PIXELS: Final = 0x7FE0
_GROUP_LENGTH: Final = 0x00020000
_CLASS_IN_META: Final = 0x00020002
_CLASS: Final = 0x00080016
SOP_IN_META: Final = 0x00020003
_SYNTAX: Final = 0x00020010
_YOUNG_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2.{number}" for number in ("4.110", "4.111", "4.112", "4.201", "4.202", "4.203", "8.1")
)
"""Transfer syntaxes of the standard that pydicom's dictionary may not have yet: JPEG XL, HTJ2K, deflated frames."""
_GE_BIG_PIXELS: Final = "1.2.840.113619.5.2"
"""A private syntax of GE: implicit VR little endian, but for its pixel data, which are big endian and passed on."""
_UID: Final = re.compile(rb"[0-9]+(?:\.[0-9]+)*")
SOP: Final = 0x00080018
_SAME: Final = ((_CLASS_IN_META, _CLASS), (SOP_IN_META, SOP))
"""Elements of the meta information, and those of the data set that they repeat."""
_OWN: Final[Mapping[int, Change]] = {
    tag: (vr, value, None, False, encode_element(tag, vr, value, undefined=False, explicit=True, big=False))
    for tag, vr, value in (
        (0x00020001, "OB", b"\0\1"),
        (0x00020012, "UI", b"2.25.326189640310489170963164403210716129713"),
        (0x00020013, "SH", b"SCANDOCK"),
    )
}
"""The version of meta information, and who has written the file (PS3.10 7.1): never who wrote the original."""


def is_never_kept(tag: int) -> bool:
    """Whether an element of an even group goes from every data set, and from every item."""
    group = tag >> 16
    is_retired = group >> 8 == _CURVES or (group >> 8 == _VARIABLE_PIXELS and group != _PIXELS)
    return group in _GROUPS or tag & 0xFFFF == 0 or tag in _ELEMENTS or is_retired


def clean_meta(obj: DicomObject, map_uid: Callable[[bytes], bytes | None]) -> None:
    """Wipe the preamble; leave of the meta information what a file needs, in agreement with its data set.

    `map_uid` is what becomes of UIDs: of an instance that the data set does not tell. ObjectUnreadable where that
    can't be: the transfer syntax is none of the standard, or class or instance are no UIDs.
    """
    if obj.preamble:
        obj.preamble_bytes = bytes(128)
    if obj.meta is None:
        return
    if obj.transfer_syntax and obj.transfer_syntax not in _transfer_syntaxes():
        raise ObjectUnreadable("Its transfer syntax isn't known.")
    meta, data = obj.meta, obj.data
    kept = {**_OWN, _SYNTAX: uid_element(_SYNTAX, obj.transfer_syntax.encode("ascii"))}
    for number, tag in _SAME:
        if tag in data:
            uid: bytes | None = data.value(tag)
        else:
            uid = meta.value(number) if number in meta else b""
            uid = map_uid(uid) if number == SOP_IN_META else uid
        kept[number] = uid_element(number, uid or b"")
    tags = meta.tags()
    for tag in tags:  # titles and addresses of applications, what is private
        if tag not in kept and tag != _GROUP_LENGTH:
            meta.remove(tag)
    meta.change_all({tag: kept[tag] for tag in tags if tag in kept})


@lru_cache(maxsize=64)
def uid_element(tag: int, uid: bytes) -> Change:
    """An element of the meta information with a UID, which may have any padding."""
    uid = uid.rstrip(b" \0")
    if uid and not _UID.fullmatch(uid):
        raise ObjectUnreadable("The class or the instance in its meta information is no UID.")
    if len(uid) > MOST_SHORT:
        raise ValueUnfit(f"The value of {tag_text(tag)} is too long: {len(uid)} bytes.")
    uid += b"\0" * (len(uid) & 1)
    return "UI", uid, None, False, encode_element(tag, "UI", uid, undefined=False, explicit=True, big=False)


@cache
def _transfer_syntaxes() -> frozenset[str]:
    return transfer_syntaxes() | _YOUNG_SYNTAXES | {_GE_BIG_PIXELS}
