"""The profile applied to a tree: every element at every depth gets the action of its row, or else of its kind.

What is to be done with an element depends on its tag and on the value representation that it is written with, so it is
decided once for each pair and kept (`_Plan`). Elements that no row names are judged by their value representation: UIDs
are replaced, names and unreadable values go, free text keeps the words that name nobody, codes have to be terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import keyword_for_tag

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.deidentification.errors import ObjectUnreadable
from scandock.deidentification.profile.always import is_never_kept
from scandock.deidentification.profile.day_shift import days_of_patient, readable_dates, shift_dates, shift_datetimes
from scandock.deidentification.profile.dummies import REMOVED, TEXTS, dummy_item, dummy_value
from scandock.deidentification.profile.options import FULL_DATES, MODIFIED_DATES
from scandock.deidentification.profile.table import AttributeRow, attribute_rows
from scandock.deidentification.profile.vocabulary import is_code_term, keep_words
from scandock.deidentification.uids import UidMapper
from scandock.formats.dicom_encoding import LONG_VRS, SHORT_VRS

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet
    from scandock.deidentification.profile.options import Profile

_DATES: Final = frozenset({"DA", "DT", "TM"})
_FREE: Final = frozenset({"ST", "LT", "UT", "UC"})
_LABELS: Final = frozenset({"LO", "SH"})
_SHORT: Final = frozenset({*_LABELS, "CS", "AS"})
_NUMBERS: Final = frozenset({"DS", "IS"})

_NAMES: Final = {int.from_bytes(vr, "little"): vr.decode() for vr in SHORT_VRS + LONG_VRS}
_NUMBER_OF: Final = {name: number for number, name in _NAMES.items()}

_CONTENT: Final = 0x0040A730
_PERFORMED_STEP: Final = 0x00081111
_CODE_VALUES: Final = (0x00080100, 0x00080119, 0x00080120)
_SCHEME: Final = 0x00080102
_MEANING: Final = 0x00080104
_ADMINISTRATIVE_CODES: Final = frozenset({0x00080005, 0x00080105, 0x0008010F, 0x00200020, 0x0040DB00})
"""Code strings whose values are no terms by their nature: character sets, context groups, letters of directions."""
_CODE_TEXTS: Final = frozenset({0x00080119, 0x00080120})
"""Codes themselves, in a VR of free text."""
_LABEL_CODES: Final = frozenset({0x00700002, 0x00700080})
"""Code strings that a user makes up and that have to be there: labels of contents and of layers."""
_NEEDED_TEXTS: Final = frozenset({0x0040A160, 0x00620020})
"""Free texts that have to be there: those of content items, and ids of what is tracked."""
_IMAGE_TYPE_OTHER: Final = b"OTHER"
_CLASSES: Final = re.compile(
    r"SOPClass|TransferSyntaxUID|^ImplementationClassUID$|^CodingSchemeUID$|^ContextUID$|^MappingResourceUID$"
)
"""UIDs that say what kind of thing something is, by their keywords."""
_OVERLAY_TYPE: Final = 0x40
_OVERLAY_DATA: Final = 0x3000
_REGION: Final = b"R"
_UID: Final = re.compile(rb"[0-9]+(?:\.[0-9]+){3,}")
_ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PUBLIC_SCHEMES: Final = frozenset(
    (
        "DCM",
        "SCT",
        "SRT",
        "SNM3",
        "99SDM",
        "LN",
        "UCUM",
        "UMLS",
        "FMA",
        "RADLEX",
        "NCIt",
        "I9C",
        "I10",
        "ICD10",
        "BI",
        "C4",
    )
)
"""Coding schemes whose codes are published, so that a code and its scheme identify nobody."""


class Run:
    """What one object has beside the profile: its UIDs' mapper, and by how many days its dates move."""

    __slots__ = ("days", "map_uid")

    def __init__(self, map_uid: UidMapper, days: int) -> None:
        self.map_uid = map_uid
        self.days = days


Handler = Callable[["Run", "DataSet", int], None]
"""What is done with an element; None in its place: nothing."""


class _Key(NamedTuple):
    tag: int
    written: str
    in_code: bool


@lru_cache(maxsize=8)
def _mapper(key: bytes) -> UidMapper:
    return UidMapper(key)


def run_of(key: bytes, project: str, patient: str, profile: Profile) -> Run:
    """What an object of a patient needs; dates move only with the option for it."""
    days = days_of_patient(key, project, patient) if MODIFIED_DATES in profile.options else 0
    return Run(_mapper(key), days)


@lru_cache(maxsize=16)
def actions_of(profile: Profile) -> Actions:
    """The actions of a profile, with all that was decided for objects before."""
    return Actions(profile)


class Actions:
    """What a profile does with each element."""

    def __init__(self, profile: Profile) -> None:
        self._options = profile.options
        self._keeps_uids = "retain-uids" in profile.options
        self._keeps_devices = "retain-device" in profile.options
        self._keeps_regions = "clean-graphics" in profile.options
        self._keeps_dates = FULL_DATES in profile.options
        self._modifies_dates = MODIFIED_DATES in profile.options
        self._safe = profile.safe_private if "safe-private" in profile.options else frozenset()
        self._plans: tuple[dict[int, Handler | None], dict[int, Handler | None]] = ({}, {})

    def apply(self, run: Run, data_set: DataSet) -> None:
        """Apply the profile to a data set and to all below it."""
        elements, changes, by_number = data_set.elements, data_set.changes, not data_set.big
        in_code = any(tag in data_set for tag in _CODE_VALUES)
        plan = self._plans[in_code]
        kept = self._kept_private(data_set) if self._safe else ()
        for tag in data_set.tags():
            if tag & 0x10000:
                if tag not in kept:
                    data_set.remove(tag)
                elif tag & 0xFF00:
                    self._private(run, data_set, tag)
                continue
            if by_number and tag not in changes:
                number = elements[tag][1]
            else:
                number = _NUMBER_OF.get(data_set.vr(tag), 0) if data_set.explicit else 0
            key = tag << 16 | number
            if key in plan:
                handler = plan[key]
            else:
                handler = self._decide(_Key(tag, _NAMES.get(number, ""), in_code))
                if handler is not _remove or tag in attribute_numbers():
                    plan[key] = handler
            if handler is _remove:
                data_set.remove(tag)
            elif handler is not None:
                handler(run, data_set, tag)

    # What is to be done with an element: its row, or its kind.

    def _decide(self, key: _Key) -> Handler | None:
        tag = key.tag
        if is_never_kept(tag):
            return _remove
        if tag >> 24 == 0x60:
            return self._overlay
        row = attribute_numbers().get(tag)
        if row is not None:
            return self._decide_row(row, key)
        if dictionary_vr(tag) == UNKNOWN:
            return _remove
        return self._by_kind(key, is_kept=False)

    def _decide_row(self, row: AttributeRow, key: _Key) -> Handler | None:
        letters = {option: letter for option, letter in row.options.items() if option in self._options}
        if MODIFIED_DATES in letters:
            return self._modified(row, key)
        if "K" in letters.values():
            return self._by_kind(key, is_kept=True)
        for option in letters:
            return self._cleaned(option, row, key)
        return self._basic(row, key)

    def _basic(self, row: AttributeRow, key: _Key) -> Handler | None:
        match row.basic:
            case "X":
                return _remove
            case "Z" | "X/Z":
                return _empty
            case "U":
                return None if self._keeps_uids else _map
            case "X/Z/U*":
                return self._recurse
            case _:
                return _dummy if _vr_of(key.tag) != "UI" else _map

    def _modified(self, row: AttributeRow, key: _Key) -> Handler | None:
        vr = _vr_of(key.tag)
        if vr == "DA":
            return _shift_dates
        if vr == "DT":
            return _shift_datetimes
        if vr == "TM":
            return _keep_readable("TM")
        return _keep_zone if vr == "SH" else self._basic(row, key)

    def _cleaned(self, option: str, row: AttributeRow, key: _Key) -> Handler | None:
        vr, basic = _vr_of(key.tag), self._basic(row, key)
        if option == "clean-structured" and key.tag == _CONTENT:
            return self._content
        if vr == "AE":
            return _set_removed
        if vr == "SQ":
            return self._codes if "Code Sequence" in row.name else self._recurse
        if vr == "CS":
            return _code(_remove if basic is None else basic)
        return _words(basic or _remove) if vr in _LABELS or vr in _FREE else basic

    def _by_kind(self, key: _Key, *, is_kept: bool) -> Handler | None:
        """What is done with an element that no row names, or (`is_kept`) that an option keeps."""
        tag, vr = key.tag, _vr_of(key.tag)
        written = key.written if key.written not in {"", UNKNOWN} else vr
        kinds = {vr, written}
        if "SQ" in kinds:
            return self._recurse if kinds == {"SQ"} or key.written == UNKNOWN else _remove
        if "UI" in kinds:
            is_class = _CLASSES.search(keyword_for_tag(tag)) is not None
            return _keep_digits if is_kept or self._keeps_uids or is_class else _map
        if "PN" in kinds:
            return _dummy
        if kinds & _DATES:
            return self._date(next(iter(kinds & _DATES)), is_kept=is_kept)
        if "AE" in kinds:
            return _keep_text if is_kept else _set_removed if self._keeps_devices else _remove
        if "UR" in kinds:
            return _keep_text if is_kept or tag in _CODE_TEXTS else _remove
        if kinds & _FREE and not is_kept and tag not in _CODE_TEXTS:
            return _remove if key.in_code else _words(_dummy if tag in _NEEDED_TEXTS else _remove)
        if vr == "CS" and tag not in _ADMINISTRATIVE_CODES:
            return _code(_dummy if tag in _LABEL_CODES else _remove)
        if kinds & _NUMBERS and not kinds & _SHORT:
            return _keep_number
        if vr == "AS":
            return _keep_age
        if vr in TEXTS:
            return _keep_printable if key.written == UNKNOWN else _keep_text
        return _words(_remove) if kinds & _SHORT else None

    def _date(self, vr: str, *, is_kept: bool) -> Handler | None:
        if self._modifies_dates:
            return {"DA": _shift_dates, "DT": _shift_datetimes, "TM": _keep_readable("TM")}[vr]
        return _keep_readable(vr) if is_kept or self._keeps_dates else _dummy

    # What needs the profile: sequences, overlays, content items, private elements.

    def _recurse(self, run: Run, data_set: DataSet, tag: int) -> None:
        items = data_set.items(tag)
        if items is None:
            data_set.remove(tag)
        for item in items or ():
            self.apply(run, item)

    def _codes(self, run: Run, data_set: DataSet, tag: int) -> None:
        """Keep the items of a sequence of codes whose scheme is published; meanings keep their words."""
        items = data_set.items(tag) or []
        kept = [item for item in items if item.text(_SCHEME) in _PUBLIC_SCHEMES]
        if not kept:
            data_set.remove(tag)
            return
        if len(kept) < len(items):
            data_set.set_items(tag, kept)
        for item in kept:
            self.apply(run, item)
            if _MEANING in item:
                _words(_dummy)(run, item, _MEANING)

    def _overlay(self, _run: Run, data_set: DataSet, tag: int) -> None:
        """Keep the plane of a region of interest, which holds no text, if graphics are to be kept."""
        group = tag & 0xFFFF0000
        kind = data_set.value(group | _OVERLAY_TYPE).strip() if group | _OVERLAY_TYPE in data_set else b""
        if not self._keeps_regions or kind != _REGION or tag & 0xFFFF not in _OF_REGIONS:
            data_set.remove(tag)

    def _content(self, run: Run, data_set: DataSet, tag: int) -> None:
        from scandock.deidentification.profile.content_items import clean_content

        clean_content(self, run, data_set, tag, self._options)

    def _kept_private(self, data_set: DataSet) -> set[int]:
        """Private elements of a data set that are known to be safe, and the creators of their blocks."""
        creators: dict[int, str] = {}
        kept: set[int] = set()
        for tag in data_set.tags():
            number = tag & 0xFFFF
            if not tag & 0x10000 or number < 0x10:
                continue
            if number < 0x100:
                creators[tag & 0xFFFF0000 | number << 8] = (data_set.text(tag) or "").strip()
                continue
            creator = creators.get(tag & 0xFFFFFF00)
            if creator is not None and (creator, tag >> 16, tag & 0xFF) in self._safe:
                kept |= {tag, tag & 0xFFFF0000 | number >> 8}
        return kept

    def _private(self, run: Run, data_set: DataSet, tag: int) -> None:
        """Clean a private element that is known to be safe, as an element of its kind."""
        try:
            items = data_set.items(tag)
        except ObjectUnreadable:
            items = []
        vr = data_set.vr(tag)
        if items is not None:
            for item in items:
                self.apply(run, item)
            if not items:
                data_set.remove(tag)
        elif vr == UNKNOWN:
            value = data_set.value(tag)
            if value[:4] in _ITEM_TAGS:
                data_set.remove(tag)
            elif _UID.fullmatch(value.strip(b" \0")) and not self._keeps_uids:
                data_set.set_value(tag, vr, run.map_uid(value))
        elif vr == "UI":
            if not self._keeps_uids:
                _map(run, data_set, tag)
        elif vr == "PN":
            _dummy(run, data_set, tag)
        elif vr in _DATES:
            handler = self._date(vr, is_kept=False)
            if handler is not None:
                handler(run, data_set, tag)
        elif vr in TEXTS:
            _keep_text(run, data_set, tag)


@lru_cache(maxsize=1)
def attribute_numbers() -> dict[int, AttributeRow]:
    """Rows of the table that are of one attribute, by its number."""
    return {int(row.tag, 16): row for row in attribute_rows().values() if re.fullmatch("[0-9A-F]{8}", row.tag)}


@lru_cache(maxsize=4_096)
def _vr_of(tag: int) -> str:
    """The VR of the standard; of what the dictionary does not know yet, by the name in the table."""
    vr = dictionary_vr(tag)
    if vr == UNKNOWN and (row := attribute_numbers().get(tag)) is not None:
        return "DT" if row.name.endswith("DateTime") else "SQ" if row.name.endswith("Sequence") else "LO"
    return vr


# What is done with one element.


def _remove(_run: Run, data_set: DataSet, tag: int) -> None:
    data_set.remove(tag)


def _empty(_run: Run, data_set: DataSet, tag: int) -> None:
    vr = data_set.vr(tag)
    if vr == "SQ" or (vr == UNKNOWN and _vr_of(tag) == "SQ"):
        data_set.set_items(tag, [])
    elif data_set.value(tag):
        data_set.set_value(tag, vr, b"")


def _dummy(run: Run, data_set: DataSet, tag: int) -> None:
    vr = data_set.vr(tag)
    if vr == "SQ" or (vr == UNKNOWN and _vr_of(tag) == "SQ"):
        items = data_set.items(tag)
        uids = [item.value(0x00081155) for item in items or () if 0x00081155 in item][:1]
        uid = run.map_uid(uids[0]) if uids and tag == _PERFORMED_STEP else b""
        if items:
            data_set.set_items(tag, [dummy_item(data_set, tag, uid)])
    elif data_set.value(tag):
        known = _vr_of(tag) if vr == UNKNOWN else vr
        data_set.set_value(tag, vr, dummy_value(known if known in TEXTS else vr))


def _set_removed(_run: Run, data_set: DataSet, tag: int) -> None:
    if data_set.value(tag):
        data_set.set_value(tag, data_set.vr(tag), REMOVED)


def _map(run: Run, data_set: DataSet, tag: int) -> None:
    value = data_set.value(tag)
    mapped = run.map_uid(value)
    if mapped != value:
        data_set.set_value(tag, data_set.vr(tag), mapped)


def _keep_digits(_run: Run, data_set: DataSet, tag: int) -> None:
    """Keep a UID if it is one."""
    if data_set.value(tag).translate(None, b"0123456789.\\ \0"):
        data_set.set_value(tag, data_set.vr(tag), b"")


def _shift_dates(run: Run, data_set: DataSet, tag: int) -> None:
    data_set.set_value(tag, data_set.vr(tag), shift_dates(data_set.value(tag), run.days))


def _shift_datetimes(run: Run, data_set: DataSet, tag: int) -> None:
    data_set.set_value(tag, data_set.vr(tag), shift_datetimes(data_set.value(tag), run.days))


def _keep_readable_as(vr: str) -> Handler:
    def keep(_run: Run, data_set: DataSet, tag: int) -> None:
        value = data_set.value(tag)
        readable = readable_dates(value, vr)
        if readable != value:
            data_set.set_value(tag, data_set.vr(tag), readable)

    return keep


_READABLE: Final = {vr: _keep_readable_as(vr) for vr in _DATES}


def _keep_readable(vr: str) -> Handler:
    return _READABLE[vr]


_ZONE: Final = re.compile(rb"[+-]\d{4}[ \0]?")


def _keep_zone(_run: Run, data_set: DataSet, tag: int) -> None:
    if not _ZONE.fullmatch(data_set.value(tag)):
        data_set.remove(tag)


def _keep_text(run: Run, data_set: DataSet, tag: int) -> None:
    """Keep a text whose bytes are all of its character set; what can't be read can only be replaced whole."""
    if not data_set.value(tag).isascii() and not data_set.is_decodable(tag):
        _dummy(run, data_set, tag)


_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\f\r\x1b\0")


def _keep_printable(run: Run, data_set: DataSet, tag: int) -> None:
    """Keep a value of VR UN whose element is a text, if it is one."""
    value = data_set.value(tag)
    if value[:4] in _ITEM_TAGS or len(value.translate(None, _CONTROLS)) < len(value) or not data_set.is_decodable(tag):
        _dummy(run, data_set, tag)


def _keep_number(_run: Run, data_set: DataSet, tag: int) -> None:
    rest = data_set.value(tag).translate(None, b"0123456789.+-eE\\ \0")
    if rest and rest.lower() not in {b"nan", b"inf"}:
        data_set.remove(tag)


_AGE: Final = re.compile(rb"\d{3}[DWMY]|[ \0]*")


def _keep_age(_run: Run, data_set: DataSet, tag: int) -> None:
    if not _AGE.fullmatch(data_set.value(tag)):
        data_set.remove(tag)


@lru_cache(maxsize=20_000)
def _known_codes(value: bytes) -> bytes:
    """The values of a code string; b"" if one value is no term, OTHER for each of several."""
    terms = value.decode("latin-1").rstrip(" \0").split("\\")
    known = [is_code_term(term) for term in terms]
    if all(known):
        return value
    if len(terms) == 1:
        return b""
    pairs = zip(terms, known, strict=True)
    return b"\\".join(term.encode("latin-1") if is_known else _IMAGE_TYPE_OTHER for term, is_known in pairs)


@lru_cache(maxsize=8)
def _code(otherwise: Handler) -> Handler:
    def keep_terms(run: Run, data_set: DataSet, tag: int) -> None:
        value = data_set.value(tag)
        known = _known_codes(value)
        if known == value:
            return
        if known:
            data_set.set_value(tag, data_set.vr(tag), known)
        else:
            otherwise(run, data_set, tag)

    return keep_terms


@lru_cache(maxsize=8)
def _words(otherwise: Handler) -> Handler:
    def keep(run: Run, data_set: DataSet, tag: int) -> None:
        values = data_set.texts(tag)
        kept = [keep_words(value) for value in values]
        if not any(kept):
            otherwise(run, data_set, tag)
        elif kept != values:
            data_set.set_text(tag, "\\".join(kept))

    return keep


_OF_REGIONS: Final = frozenset(
    {0x0010, 0x0011, 0x0012, 0x0015, 0x0040, 0x0045, 0x0050, 0x0051, 0x0052, 0x0100, 0x0102, 0x1301, 0x1302, 0x1303}
) | {_OVERLAY_DATA}
"""Elements of an overlay plane that say where and what kind of region it is."""
