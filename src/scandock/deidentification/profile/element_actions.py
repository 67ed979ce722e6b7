"""What can be done with one element, whatever its tag: the parts that `actions` puts together.

An action is None (the element stays as it is), bytes (they take the place of a value that is not empty), a function of
the value (it answers the new one, or None for an element that goes, as `remove` always does), or a function of the
element in its data set, in a tuple of its own, whose first argument are the days by which the patient's dates move. A
range holds the lengths of binary numbers that stay: others go, and those that are a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from scandock.deidentification.data_set import Change
from scandock.deidentification.profile.binary_numbers import are_numbers
from scandock.deidentification.profile.day_shift import readable_dates, shift_dates, shift_datetimes
from scandock.deidentification.profile.dummies import REMOVED, dummy_item, dummy_value
from scandock.deidentification.profile.vocabulary import (
    is_context_group,
    is_method_name,
    is_template,
    keep_words,
    known_codes,
)

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet

ValueAction = Callable[[bytes], bytes | None]
ElementAction = Callable[[int, "DataSet", int], None]
Action = bytes | ValueAction | tuple[ElementAction] | range | None

ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""How a value begins that holds items."""
DIGITS: Final = b"0123456789.+-eE\\ \0"
"""Bytes of numbers that are written as texts."""
_PIXEL_VRS: Final = frozenset({"OB", "OW", "OF", "OD", "UN"})
_OF_IMAGES: Final = (0x00280010, 0x00280011, 0x00280100)
"""Rows, columns and bits of a sample, which all pixel data need (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25)."""
_ZERO: Final = b"\0\0"
_OTHER: Final = b"OTHER"
_ZONE: Final = re.compile(rb"[+-]\d{4}[ \0]?")
_DIRECTION: Final = rb"[AFHLPR]{0,3}|(?:LE|RT|DI|PR|CD|CR|PA|PL|[DMVL]){1,3}"
_DIRECTIONS: Final = re.compile(rb"(?:%b)(?:\\(?:%b))?[ \0]?" % (_DIRECTION, _DIRECTION))
"""Of rows and columns; of quadrupeds in letters of their own (PS3.3 C.7.6.1.1.1)."""
_CHARACTER_SETS: Final = re.compile(
    rb"(?:ISO[_ ](?:2022[_ ])?(?:IR[_ ]?)?\d{1,3}|ISO[_ ]2022[_ ]GBK|GB18030|GBK)?[ \0]*"
)
_LONG_CODE: Final = re.compile(rb"(?=[^0-9]*[0-9])[A-Za-z0-9._:-]{17,64}[ \0]?")
"""A code that is too long for CodeValue (PS3.3 8.1), and no word."""
_URN: Final = re.compile(rb"urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}:[!-\[\]-~]{1,256}[ \0]?")
_SCHEME: Final = 0x00080102
_AGE: Final = re.compile(rb"\d{3}[DWMY]|[ \0]*")
_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\f\r\x1b\0")


STAYS: Final = False
"""In the place of a change: there is none."""
Outcome = Change | Literal[False] | None
"""What becomes of an element: what takes its place, STAYS, or None for one that goes."""


def act(action: Action, days: int, data_set: DataSet, tag: int) -> None:
    """Do with an element what an action says."""
    if isinstance(action, tuple):
        action[0](days, data_set, tag)
        return
    result = outcome(action, days, data_set, tag)
    if result is None:
        data_set.remove(tag)
    elif result is not STAYS:
        data_set.set_value(tag, result[0], bytes(result[1] or b""))


def outcome(action: Action, days: int, data_set: DataSet, tag: int) -> Outcome:
    """What an action makes of an element of the original that was not changed before.

    The element itself stays as it is, so that those beside it are judged by the same, whatever is remembered.
    """
    if action is None:
        return STAYS
    if isinstance(action, tuple):
        action[0](days, data_set, tag)
        return data_set.changes.pop(tag, STAYS)
    if isinstance(action, range):
        return STAYS if are_numbers(action, data_set, tag, data_set.size(tag)) else None
    value = data_set.value(tag)
    changed = new_value(action, value)
    if changed is None:
        return None
    return STAYS if changed == value else data_set.replacement(tag, data_set.vr(tag), changed)


def new_value(action: bytes | ValueAction, value: bytes) -> bytes | None:
    """What an action makes of a value."""
    if isinstance(action, bytes):
        return action if value else value
    return action(value)


# Functions of a value.


def remove(_value: bytes) -> None:
    return None


def keep_digits(value: bytes) -> bytes:
    """Keep a UID, if it is one."""
    return b"" if value.translate(None, b"0123456789.\\ \0") else value


def keep_dates(value: bytes) -> bytes:
    return readable_dates(value, "DA")


def keep_datetimes(value: bytes) -> bytes:
    return readable_dates(value, "DT")


def keep_times(value: bytes) -> bytes:
    return readable_dates(value, "TM")


def keep_zone(value: bytes) -> bytes | None:
    return value if _ZONE.fullmatch(value) else None


def keep_number(value: bytes) -> bytes | None:
    rest = value.translate(None, DIGITS)
    return value if not rest or rest.lower() in {b"nan", b"inf"} else None


def keep_age(value: bytes) -> bytes | None:
    return value if _AGE.fullmatch(value) else None


def keep_directions(value: bytes) -> bytes:
    """Keep the letters of a patient's orientation, as `AR` or `AFR`, if they are such."""
    return value if _DIRECTIONS.fullmatch(value) else b""


def keep_character_sets(value: bytes) -> bytes:
    """Keep the terms of SpecificCharacterSet (PS3.3 C.12.1.1.2) in their places; what is none becomes empty."""
    terms = [term if _CHARACTER_SETS.fullmatch(term) else b"" for term in value.split(b"\\")]
    return b"\\".join(terms) if any(terms) else b""


@lru_cache(maxsize=64)
def terms_or(otherwise: bytes | ValueAction) -> ValueAction:
    """Keep a code string whose values are terms; of several values those that are none become OTHER."""

    def keep_terms(value: bytes) -> bytes | None:
        known = _known_codes(value)
        return new_value(otherwise, value) if not known and value else known

    return keep_terms


def keep_method(value: bytes) -> bytes | None:
    """Keep the term of a method that may be called by somebody."""
    return value if is_method_name(value.decode("latin-1")) else terms_or(remove)(value)


def keep_context_group(value: bytes) -> bytes:
    """Keep the number of a context group of PS3.16; others, which somebody makes up, could say anything."""
    return value if is_context_group(value.decode("latin-1").strip(" ")) else new_value(REMOVED, value) or b""


def keep_template(value: bytes) -> bytes:
    """Keep the number of a template of PS3.16."""
    return value if is_template(value.decode("latin-1").strip(" ")) else new_value(REMOVED, value) or b""


def keep_urn(value: bytes) -> bytes | None:
    return value if _URN.fullmatch(value) else None


def _known_codes(value: bytes) -> bytes:
    """The values of a code string; b"" if its only value is no term, OTHER in the place of one of several."""
    terms = value.decode("latin-1").rstrip(" \0").split("\\")
    known = known_codes(terms)
    if all(known):
        return value
    pairs = zip(terms, known, strict=True)
    others = (term.encode("latin-1") if is_known else _OTHER for term, is_known in pairs)
    return b"\\".join(others) if len(terms) > 1 else b""


# Functions of an element.


def move_dates(days: int, data_set: DataSet, tag: int) -> None:
    data_set.set_value(tag, data_set.vr(tag), shift_dates(data_set.value(tag), days))


def move_datetimes(days: int, data_set: DataSet, tag: int) -> None:
    data_set.set_value(tag, data_set.vr(tag), shift_datetimes(data_set.value(tag), days))


def keep_text(days: int, data_set: DataSet, tag: int) -> None:
    """Keep a text whose bytes are all of its character set; what can't be read can only be replaced whole."""
    if not data_set.value(tag).isascii() and not data_set.is_decodable(tag):
        act(REMOVED, days, data_set, tag)


def keep_printable(days: int, data_set: DataSet, tag: int) -> None:
    """Keep a value of VR UN whose element is a text, if it is one."""
    value = data_set.value(tag)
    if value[:4] in ITEM_TAGS or len(value.translate(None, _CONTROLS)) < len(value) or not data_set.is_decodable(tag):
        act(REMOVED, days, data_set, tag)


@lru_cache(maxsize=64)
def words_or(otherwise: bytes | ValueAction) -> tuple[ElementAction]:
    """Keep the words of a text that name nobody."""

    def keep(days: int, data_set: DataSet, tag: int) -> None:
        values = data_set.texts(tag)
        kept = [keep_words(value) for value in values]
        if not any(kept):
            act(otherwise, days, data_set, tag)
        elif kept != values:
            data_set.set_text(tag, "\\".join(kept))

    return (keep,)


def keep_long_code(_days: int, data_set: DataSet, tag: int) -> None:
    """Keep a long code of an item that says of which coding scheme it is."""
    scheme = data_set.value(_SCHEME).strip(b" \0") if _SCHEME in data_set else b""
    if data_set.parent is None or not scheme or not _LONG_CODE.fullmatch(data_set.value(tag)):
        data_set.remove(tag)


def keep_at_top(_days: int, data_set: DataSet, tag: int) -> None:
    """Keep pixel data of an image itself, not those of icons and the like, nor what is written as a text.

    What has no rows, columns or bits is no image: anything could stand in the place of its pixels.
    """
    if data_set.parent is not None or data_set.vr(tag) not in _PIXEL_VRS or not _is_image(data_set):
        data_set.remove(tag)


def _is_image(data_set: DataSet) -> bool:
    return not any(value is None or len(value) != 2 or value == _ZERO for value in data_set.values(_OF_IMAGES))


def empty_sequence(_days: int, data_set: DataSet, tag: int) -> None:
    data_set.set_items(tag, [])


def hide_sequence(_days: int, data_set: DataSet, tag: int) -> None:
    """Put one item that says nothing in the place of all of a sequence."""
    items = data_set.items(tag)
    if items is None:
        data_set.remove(tag)
    elif items:
        data_set.set_items(tag, [dummy_item(data_set, tag, b"")])


def dummy_of(vr: str) -> bytes | tuple[ElementAction]:
    """What stands for an element of a VR, never the original."""
    return (hide_sequence,) if vr == "SQ" else dummy_value(vr)
