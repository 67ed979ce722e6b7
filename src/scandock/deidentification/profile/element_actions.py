"""What can be done with one element, whatever its tag: the parts that `actions` puts together.

An action is None (the element stays as it is), bytes (they stand in the place of a value that is not empty), a function
of the value, which answers the new one or None for an element that goes, or a function of the element in its data set,
in a tuple of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.profile.day_shift import readable_dates, shift_dates, shift_datetimes
from scandock.deidentification.profile.dummies import REMOVED, dummy_item, dummy_value
from scandock.deidentification.profile.vocabulary import is_code_term, keep_words

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet
    from scandock.deidentification.uids import UidMapper
    from scandock.formats.dicom_encoding import Buffer


class Run:
    """What one object has beside the profile: its UIDs' mapper, and by how many days its dates move."""

    __slots__ = ("days", "map_uid")

    def __init__(self, map_uid: UidMapper, days: int) -> None:
        self.map_uid = map_uid
        self.days = days


ValueAction = Callable[[Run, bytes], bytes | None]
ElementAction = Callable[[Run, "DataSet", int], None]
Action = bytes | ValueAction | tuple[ElementAction] | None

ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""How a value begins that holds items."""
DIGITS: Final = b"0123456789.+-eE\\ \0"
"""Bytes of numbers that are written as texts."""
_PERFORMED_STEP: Final = 0x00081111
_REFERENCED_UID: Final = 0x00081155
_OTHER: Final = b"OTHER"
_ZONE: Final = re.compile(rb"[+-]\d{4}[ \0]?")
_AGE: Final = re.compile(rb"\d{3}[DWMY]|[ \0]*")
_UID: Final = re.compile(rb"[0-9]+(?:\.[0-9]+){3,}[ \0]?")
_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\f\r\x1b\0")
_CACHED: Final = 20_000


def act(action: Action, run: Run, data_set: DataSet, tag: int) -> None:
    """Do with an element what an action says."""
    if action is None:
        return
    if isinstance(action, tuple):
        action[0](run, data_set, tag)
        return
    value = data_set.value(tag)
    changed = new_value(action, run, value)
    if changed is None:
        data_set.remove(tag)
    elif changed != value:
        data_set.set_value(tag, data_set.vr(tag), changed)


def new_value(action: bytes | ValueAction, run: Run, value: bytes) -> bytes | None:
    """What an action makes of a value."""
    if isinstance(action, bytes):
        return action if value else value
    return action(run, value)


UNCHANGED: Final = b"unchanged"
"""What `evaluate` answers, the very object, where a value stays."""


def evaluate(action: bytes | ValueAction, run: Run, buf: Buffer, start: int, end: int) -> bytes | None:
    """What an action makes of the value in [start, end): a new one, None where the element goes, or `UNCHANGED`."""
    if action is remove:
        return None
    if isinstance(action, bytes):
        return action if end > start else UNCHANGED
    value = bytes(buf[start:end])
    new = action(run, value)
    return UNCHANGED if new == value else new


# Functions of a value.


def remove(_run: Run, _value: bytes) -> None:
    return None


def map_uids(run: Run, value: bytes) -> bytes:
    return run.map_uid(value)


def map_if_uid(run: Run, value: bytes) -> bytes | None:
    """Of a value whose representation nobody knows: items in it go, a UID is mapped, all else stays."""
    if value[:4] in ITEM_TAGS:
        return None
    return run.map_uid(value) if _UID.fullmatch(value) else value


def keep_digits(_run: Run, value: bytes) -> bytes:
    """Keep a UID, if it is one."""
    return b"" if value.translate(None, b"0123456789.\\ \0") else value


def move_dates(run: Run, value: bytes) -> bytes:
    return shift_dates(value, run.days)


def move_datetimes(run: Run, value: bytes) -> bytes:
    return shift_datetimes(value, run.days)


def keep_dates(_run: Run, value: bytes) -> bytes:
    return readable_dates(value, "DA")


def keep_datetimes(_run: Run, value: bytes) -> bytes:
    return readable_dates(value, "DT")


def keep_times(_run: Run, value: bytes) -> bytes:
    return readable_dates(value, "TM")


def keep_zone(_run: Run, value: bytes) -> bytes | None:
    return value if _ZONE.fullmatch(value) else None


def keep_number(_run: Run, value: bytes) -> bytes | None:
    rest = value.translate(None, DIGITS)
    return value if not rest or rest.lower() in {b"nan", b"inf"} else None


def keep_age(_run: Run, value: bytes) -> bytes | None:
    return value if _AGE.fullmatch(value) else None


@lru_cache(maxsize=64)
def terms_or(otherwise: bytes | ValueAction) -> ValueAction:
    """Keep a code string whose values are terms; of several values those that are none become OTHER."""

    def keep_terms(run: Run, value: bytes) -> bytes | None:
        known = known_codes(value)
        return new_value(otherwise, run, value) if not known and value else known

    return keep_terms


@lru_cache(maxsize=_CACHED)
def known_codes(value: bytes) -> bytes:
    """The values of a code string; b"" if its only value is no term, OTHER in the place of one of several."""
    terms = value.decode("latin-1").rstrip(" \0").split("\\")
    known = [is_code_term(term) for term in terms]
    if all(known):
        return value
    pairs = zip(terms, known, strict=True)
    others = (term.encode("latin-1") if is_known else _OTHER for term, is_known in pairs)
    return b"\\".join(others) if len(terms) > 1 else b""


# Functions of an element.


def keep_text(run: Run, data_set: DataSet, tag: int) -> None:
    """Keep a text whose bytes are all of its character set; what can't be read can only be replaced whole."""
    if not data_set.value(tag).isascii() and not data_set.is_decodable(tag):
        act(REMOVED, run, data_set, tag)


def keep_printable(run: Run, data_set: DataSet, tag: int) -> None:
    """Keep a value of VR UN whose element is a text, if it is one."""
    value = data_set.value(tag)
    if value[:4] in ITEM_TAGS or len(value.translate(None, _CONTROLS)) < len(value) or not data_set.is_decodable(tag):
        act(REMOVED, run, data_set, tag)


@lru_cache(maxsize=64)
def words_or(otherwise: bytes | ValueAction) -> tuple[ElementAction]:
    """Keep the words of a text that name nobody."""

    def keep(run: Run, data_set: DataSet, tag: int) -> None:
        values = data_set.texts(tag)
        kept = [keep_words(value) for value in values]
        if not any(kept):
            act(otherwise, run, data_set, tag)
        elif kept != values:
            data_set.set_text(tag, "\\".join(kept))

    return (keep,)


def keep_at_top(_run: Run, data_set: DataSet, tag: int) -> None:
    """Keep pixel data of the object itself, not those of icons and the like."""
    if data_set.parent is not None:
        data_set.remove(tag)


def empty_sequence(_run: Run, data_set: DataSet, tag: int) -> None:
    data_set.set_items(tag, [])


def hide_sequence(run: Run, data_set: DataSet, tag: int) -> None:
    """Put one item that says nothing in the place of all of a sequence."""
    items = data_set.items(tag)
    if items is None:
        data_set.remove(tag)
    elif items:
        uids = [item.value(_REFERENCED_UID) for item in items if _REFERENCED_UID in item]
        uid = run.map_uid(uids[0]) if uids and tag == _PERFORMED_STEP else b""
        data_set.set_items(tag, [dummy_item(data_set, tag, uid)])


def dummy_of(vr: str) -> bytes | tuple[ElementAction]:
    """What stands for an element of a VR, never the original."""
    return (hide_sequence,) if vr == "SQ" else dummy_value(vr)
