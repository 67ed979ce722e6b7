"""What an object's header must have to be kept, and the sentence where it has not (bad-input.md, DICOM)."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import Final, Literal

from scandock.formats.dicom_encoding import BIG, LITTLE, UNDEFINED, Buffer
from scandock.formats.errors import (
    HeaderDamaged,
    HeaderTruncated,
    SeriesUidMissing,
    SopUidMissing,
    StudyUidMissing,
    Unparseable,
)
from scandock.model.slot_values import SlotValues
from scandock.model.tags import DICOMDIR_CLASS, NUMBERS

LYING_LENGTH: Final = 1 << 30
"""An element that claims this many bytes or more beyond the object's end was never whole: damage, no cut."""

MAX_UID: Final = 512
"""Characters of a UID that is taken: eight times what PS3.5 9.1 allows, and few enough for any index."""

_MEDIA_CLASS: Final = NUMBERS["MediaStorageSOPClassUID"]
_CLASS, _SOP = NUMBERS["SOPClassUID"], NUMBERS["SOPInstanceUID"]
_STUDY, _SERIES = NUMBERS["StudyInstanceUID"], NUMBERS["SeriesInstanceUID"]
_FIRST_GROUP: Final = 0x0008
"""Of a data set in a file: PS3.5 7.1 has lower ones for commands, file meta information and directories."""
_LAST_IDENTIFYING_GROUP: Final = 0x0028
IMPATIENCE: Final = frozenset({"RecursionError", "MemoryError", "BudgetError"})
"""What ends a reading that is too deep or too much, and not because the bytes are wrong."""
_IMPATIENT: Final = {
    "RecursionError": "its sequences are nested too deeply",
    "MemoryError": "it takes more memory than a header is given",
    "BudgetError": "it has too many elements and items",
    "DeflatedUnbounded": "it is deflated, and its meta information is unusual",
}
_FRAGMENTS: Final = 4096
"""Fragments of encapsulated pixel data that are looked at."""


class Header(SlotValues):
    """What is known of one object. UIDs are text without padding; `values` are raw bytes as they stand in the file.

    `dataset_at` is the offset behind group 0002 (0 where there is no meta information). `pixels` tells whether the
    pixel data that the header announces is there: by its length, or for encapsulated pixels by the fragments at hand.
    """

    __slots__ = (
        "big_endian", "dataset_at", "implicit", "notes", "pixels", "preamble", "series_uid", "sop_class", "sop_uid",
        "study_uid", "transfer_syntax", "values",
    )  # fmt: skip

    def __init__(
        self,
        values: dict[int, bytes],
        transfer_syntax: str,
        implicit: bool,
        big_endian: bool,
        dataset_at: int,
        preamble: bool,
        pixels: Literal["none", "whole", "cut"],
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        sop_class: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.values = values
        self.transfer_syntax = transfer_syntax
        self.implicit = implicit
        self.big_endian = big_endian
        self.dataset_at = dataset_at
        self.preamble = preamble
        self.pixels = pixels
        self.study_uid = study_uid
        self.series_uid = series_uid
        self.sop_uid = sop_uid
        self.sop_class = sop_class
        self.notes = notes

    def copy(self) -> Header:
        """Give the same, with values of its own."""
        copied = copy(self)
        copied.values = self.values.copy()
        return copied

    @property
    def is_dicomdir(self) -> bool:
        """Whether this is a directory of a disc (media storage class 1.2.840.10008.1.3.10), which is no image."""
        return shared_uid(self.values.get(_MEDIA_CLASS)) == DICOMDIR_CLASS


class SharedValues:
    """What objects that are written alike have in common: all have the same elements, but these may differ in values.

    It is known by its identity: objects that have it in common are of one kind.
    """

    __slots__ = ("differing", "values")

    def __init__(self, values: dict[int, bytes], differing: frozenset[int]) -> None:
        """`values`: those that all have. `differing`: elements of which each object has a value of its own."""
        self.values = values
        self.differing = differing


def set_identifiers(header: Header) -> None:
    """Fill in the identifiers from the values. The media storage class serves where the data set names no class."""
    values = header.values
    header.study_uid = shared_uid(values.get(_STUDY))
    header.series_uid = shared_uid(values.get(_SERIES))
    header.sop_uid = uid_text(values.get(_SOP))
    header.sop_class = shared_uid(values.get(_CLASS)) or header.sop_class


def check_identifiers(header: Header) -> Header:
    """The header, where the object has its three UIDs, of a length that can be one."""
    if not header.study_uid:
        raise StudyUidMissing
    if not header.series_uid:
        raise SeriesUidMissing
    if not header.sop_uid:
        raise SopUidMissing
    for name, uid in (("Study", header.study_uid), ("Series", header.series_uid), ("SOP", header.sop_uid)):
        if len(uid) > MAX_UID:
            raise HeaderDamaged(f"Its {name} Instance UID has {len(uid)} characters; 64 are allowed.")
    return header


def handle_cut(header: Header, number: int, length: int) -> None:
    """An element of the header goes beyond the end of the object: refuse it, or keep it with a note.

    Kept is what has its identifying groups (0008 to 0028) whole and all UIDs, as pydicom reads it.
    """
    where, lies = f"element {tag_text(number)}", length >= LYING_LENGTH
    if number >> 16 > _LAST_IDENTIFYING_GROUP and header.study_uid and header.series_uid and header.sop_uid:
        what = f"{where} claims {length} bytes" if lies else f"it is cut in {where}"
        header.notes += (f"The header does not end within the object ({what}); all that identifies it is there.",)
    elif lies:
        raise HeaderDamaged(f"Its header is damaged: {where} claims {length} bytes.")
    elif number >> 16 < _FIRST_GROUP:
        raise HeaderDamaged(f"Its header is damaged: {where} is none of a data set.")
    else:
        raise truncated_error(where)


def handle_odd_vr(header: Header, number: int) -> Header:
    """The element `number` has a VR that does not exist, and nothing readable follows: keep what stands before it.

    Kept is what is odd behind all that tells a study, a series and an object (groups 0008 to 0020), with a note.
    """
    why = f"element {tag_text(number)} has a value representation that does not exist, and nothing readable follows"
    if number >> 16 < _LAST_IDENTIFYING_GROUP:
        raise HeaderDamaged(f"Its header is damaged: {why}.")
    header.values = {tag: value for tag, value in header.values.items() if tag < number}
    set_identifiers(header)
    header.notes += (f"The header could not be read to its end ({why}); it is judged from its leading elements.",)
    return check_identifiers(header)


def handle_failure(header: Header, failed: str, number: int, *, whole: bool) -> None:
    """Pydicom gave up behind the element `number`: refuse the object, or keep it by its leading elements.

    Kept is what has all UIDs, and is too deep, too much, not read to its end, or wrong behind its identifying groups.
    """
    why = _IMPATIENT.get(failed)
    if why is None:
        why = f"it is damaged behind element {tag_text(number)}" if number else "its first element is damaged"
    is_kept = failed in IMPATIENCE or not whole or number >> 16 > _LAST_IDENTIFYING_GROUP
    if not (is_kept and header.study_uid and header.series_uid and header.sop_uid):
        raise HeaderDamaged(f"Its header can't be read: {why}.")
    header.notes += (f"The header could not be read to its end ({why}); it is judged from its leading elements.",)


def pixel_state(head: Buffer, size: int, start: int, length: int, *, big: bool) -> Literal["none", "whole", "cut"]:
    """Whether the pixel data element's value is there; encapsulated, whether the fragments at hand are."""
    if length == 0:
        return "none"
    if length != UNDEFINED:
        return "whole" if start + length <= size else "cut"
    order = BIG if big else LITTLE
    for _ in range(_FRAGMENTS):
        if start + 8 > size:
            return "cut"
        if start + 8 > len(head):
            break
        tag, length = order.pair(head, start)
        if tag != order.item:
            break
        start += 8 + length
    return "whole"


def uid_text(raw: bytes | None) -> str:
    """A UID's text without padding (NULs, spaces); what can't stand in a text becomes a replacement mark."""
    if not raw:
        return ""
    text = raw.decode("latin-1").strip("\0 \t\r\n")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


shared_uid = lru_cache(maxsize=1024)(uid_text)
"""`uid_text` for UIDs that many objects share."""


def tag_text(number: int) -> str:
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def truncated_error(where: str) -> Unparseable:
    return HeaderTruncated(where)
