"""The profile applied to a tree: every element at every depth gets the action of its row, or else of its kind.

What is to be done with an element depends on its tag and on the value representation that it is written with, so it is
decided once for each pair and kept. Elements that no row names are judged by their value representation: UIDs are
replaced, names and unreadable values go, free text keeps the words that name nobody, codes have to be terms.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from scandock.deidentification.data_set import DataSet
from scandock.deidentification.dictionary import UNKNOWN, dictionary_keyword, dictionary_vr
from scandock.deidentification.errors import ObjectUnreadable
from scandock.deidentification.profile import element_actions as do
from scandock.deidentification.profile.always import clean_meta, is_never_kept
from scandock.deidentification.profile.binary_numbers import NUMBERS, OPAQUE, any_number_of, sizes_of
from scandock.deidentification.profile.content_items import CONTENT, clean_content
from scandock.deidentification.profile.day_shift import days_of_patient
from scandock.deidentification.profile.dummies import REMOVED, TEXTS, dummy_item
from scandock.deidentification.profile.element_actions import Action
from scandock.deidentification.profile.memory import LONGEST, Memory
from scandock.deidentification.profile.options import FULL_DATES, MODIFIED_DATES
from scandock.deidentification.profile.regions import OF_REGIONS, OVERLAY_DATA, cut_region, is_region
from scandock.deidentification.profile.table import AttributeRow, attribute_rows
from scandock.deidentification.splicing import encode_element
from scandock.deidentification.uids import UidMapper, is_class
from scandock.deidentification.walking import Budget, Walked
from scandock.formats.dicom_encoding import LITTLE
from scandock.model.tags import PIXEL_DATA
from scandock.rules.stored_uids import NO_UIDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scandock.deidentification.data_set import Change, DicomObject
    from scandock.deidentification.profile.element_actions import ElementAction, ValueAction
    from scandock.deidentification.profile.identity import Identity
    from scandock.deidentification.profile.options import Profile
    from scandock.rules.stored_uids import StoredUids

    Renewal = Callable[[bytes], bytes]

_DATES: Final = frozenset({"DA", "DT", "TM"})
_MOVED: Final[dict[str, Action]] = {"DA": (do.move_dates,), "DT": (do.move_datetimes,), "TM": do.keep_times}
_KEPT: Final[dict[str, Action]] = {"DA": do.keep_dates, "DT": do.keep_datetimes, "TM": do.keep_times}
_FREE: Final = frozenset({"ST", "LT", "UT", "UC"})
_LABELS: Final = frozenset({"LO", "SH"})
_SHORT: Final = frozenset({*_LABELS, "CS", "AS"})
_NUMBERS: Final = frozenset({"DS", "IS"})
_TEXTUAL: Final = _DATES | _NUMBERS | {"AS"}

_MOST_DECIDED: Final = 20_000
_UNDECIDED: Final = True
"""In the place of an outcome: none is remembered."""
_NONE: Final[Mapping[int, str]] = {}
_BY_OTHERS: Final = frozenset({0x7FE0, *range(0x6000, 0x6100, 2)})
"""Groups of elements for which it counts where they are, and beside what: pixel data and overlays."""
_KEEP_TEXT: Final[Action] = (do.keep_text,)

_CONTENTS: Final = frozenset({CONTENT, 0x00400555, 0x00400612})
"""Sequences of content items: of reports, acquisition contexts, and steps of a specimen's preparation."""
_CODE_VALUE: Final = 0x00080100
_LONG_CODE: Final = 0x00080119
_URN_CODE: Final = 0x00080120
_SCHEME: Final = 0x00080102
_MEANING: Final = 0x00080104
_CHARACTER_SET: Final = 0x00080005
_CS: Final = int.from_bytes(b"CS", "little")
_MAY_HAVE_ITEMS: Final = frozenset({"SQ", UNKNOWN})
_ORIENTATION: Final = 0x00200020
_CODE_TEXTS: Final[dict[int, Action]] = {_LONG_CODE: (do.keep_long_code,), _URN_CODE: do.keep_urn}
"""Codes themselves, in a VR of free text."""
_NEEDED_CODES: Final = frozenset({0x00080105, 0x00700002, 0x00700080})
"""Code strings that somebody makes up and that have to be there: resources of mappings, labels of contents."""
_CODES: Final[dict[int, ValueAction]] = {
    0x0008010F: do.keep_context_group,
    0x0040DB00: do.keep_template,
    0x00189064: do.keep_method,
    0x300A0232: do.keep_method,
}
"""Code strings with terms of their own: numbers of context groups and templates; filters and applicators."""
_NEEDED_TEXTS: Final = frozenset({0x0040A160, 0x00620020})
"""Free texts that have to be there: those of content items, and ids of what is tracked."""
_DESCRIPTIONS: Final = re.compile(r"(?:Description|Comment|Notes)(?:Trial)?$")
"""Short texts in which people write what they like, by their keywords."""
_OPTIONAL_SEQUENCES: Final = frozenset({0x00081110})
"""Sequences that need not be there, but have an item where they are."""
_PERFORMED_STEP: Final = 0x00081111
_REFERENCED_UID: Final = 0x00081155
_UID: Final = re.compile(rb"[0-9]+(?:\.[0-9]+){3,}[ \0]?")
_OVERLAYS: Final = 0x60
_SUBTYPE: Final = 0x45
"""Of an overlay: a term, though it is a text."""
_DOCUMENT_TITLE: Final = 0x00420010
_BODY_MASS: Final = 0x00101022
_DEVICE_ID: Final = 0x00181003
"""An index made of size and weight, which the table has."""
_PUBLIC_SCHEMES: Final = frozenset(
    (*("DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "UCUM", "UMLS"), *("FMA", "RADLEX", "NCIt", "I9C", "I10", "ICD10"))
)
"""Coding schemes whose codes are published, so that a code and its scheme identify nobody."""


def apply_profile(
    obj: DicomObject, profile: Profile, identity: Identity, *, key: bytes, project: str, stored: StoredUids = NO_UIDS
) -> None:
    """Apply a profile to an object, meta information and preamble included.

    `identity` is that of the original, before any script: UIDs follow `key`, dates `key`, project and patient. UIDs
    that are `stored` stay.
    """
    actions = actions_of(profile, key, stored)
    actions.apply(days_of(profile, identity, key=key, project=project), obj.data)
    clean_meta(obj, actions.keep_uid)


def days_of(profile: Profile, identity: Identity, *, key: bytes, project: str) -> int:
    """The days by which a profile moves a patient's dates."""
    return days_of_patient(key, project, identity.patient) if MODIFIED_DATES in profile.options else 0


@lru_cache(maxsize=16)
def actions_of(profile: Profile, key: bytes, stored: StoredUids) -> Actions:
    """The actions of a profile, with all that was decided for objects before."""
    return Actions(profile, key, stored)


class Actions:
    """What a profile does with each element."""

    def __init__(self, profile: Profile, key: bytes, stored: StoredUids) -> None:
        self._map_uids = UidMapper(key, stored).__getitem__
        self._options = profile.options
        self._keeps_uids = "retain-uids" in profile.options
        self.keep_uid: ValueAction = do.keep_digits if self._keeps_uids else self._map_uids
        """What becomes of a UID of which nothing else is known."""
        self._keeps_devices = "retain-device" in profile.options
        self._keeps_regions = "clean-graphics" in profile.options
        self._keeps_dates = FULL_DATES in profile.options
        self._modifies_dates = MODIFIED_DATES in profile.options
        self._safe = {(creator, group, element): vr for creator, group, element, vr in profile.safe_private}
        self._memory = Memory()
        self._plans: dict[bool, dict[tuple[int, str], Action]] = {False: {}, True: {}}
        """Actions by tag and VR, within code sequences and elsewhere."""

    def apply(self, days: int, data_set: DataSet) -> None:
        """Apply the profile to a data set and to all below it; dates move by `days`."""
        buf: Any = data_set.buf  # bytes, or a view of them
        scripted, names = dict(data_set.changes), data_set.vr_names
        in_code = _CODE_VALUE in data_set or _LONG_CODE in data_set or _URN_CODE in data_set
        kept_private = self._kept_private(data_set) if self._safe else _NONE
        remembered = self._memory.of(data_set, days, in_code=in_code)
        find, is_bytes = remembered.get, isinstance(buf, bytes)
        changed: dict[int, Change | None] = {}
        by_others: list[int] = []
        for tag, (at, vr, _, end) in data_set.elements.items():
            if tag & 0x10000:
                if tag not in kept_private:
                    changed[tag] = None
                continue
            if scripted and tag in scripted:
                continue
            element = buf[at:end] if end - at <= LONGEST else b""
            if not is_bytes:
                element = bytes(element)
            outcome = find(element, _UNDECIDED)
            if outcome is _UNDECIDED:
                if is_by_others(tag):
                    by_others.append(tag)
                    continue
                outcome = do.outcome(self._action(tag, names[vr], in_code=in_code), days, data_set, tag)
                if element:
                    self._memory.remember(remembered, element, data_set, tag, outcome)
            if outcome is not False:  # do.STAYS
                changed[tag] = outcome
        data_set.change_all(changed)
        if scripted or kept_private:
            self._apply_to_others(days, data_set, scripted, kept_private, in_code=in_code)
        for tag in by_others:
            self._act(days, data_set, tag, in_code=in_code)

    def renewal(self, days: int, tag: int, vr: int, charset: bytes) -> Renewal | None:
        """What makes of an element's bytes those that are written, b"" where it goes, as `apply` does.

        It is an element of an object's data set in explicit VR little endian that has no items and is in no code; `vr`
        is the number that stands there, `charset` the element of the character set, b"" where there is none. None where
        it counts what stands beside the element.
        """
        if tag & 0x10000:
            return gone if not self._safe else None
        model = alone(charset, b"", tag, vr)
        name = model.vr_names[vr]
        if is_by_others(tag) or name in _MAY_HAVE_ITEMS:
            return None
        action = self._action(tag, name, in_code=False)
        if action is None:
            return same
        if action is do.remove:
            return gone
        start = 8 if vr in model.order.short else 12

        def renew_value(element: bytes) -> bytes:
            assert not isinstance(action, range | tuple)
            value = element[start:]
            changed = do.new_value(action, value)
            if changed is None:
                return b""
            if changed == value:
                return element
            return _written(model, tag, model.replacement(tag, name, changed))

        def renew_element(element: bytes) -> bytes:
            remembered = self._memory.of(model, days, in_code=False)
            outcome = remembered.get(element, _UNDECIDED)
            if outcome is _UNDECIDED:
                data_set = alone(charset, element, tag, vr)
                outcome = do.outcome(action, days, data_set, tag)
                if len(element) <= LONGEST:
                    self._memory.remember(remembered, element, data_set, tag, outcome)
            if outcome is None:
                return b""
            return _written(model, tag, outcome) if outcome is not False else element  # do.STAYS

        return renew_element if isinstance(action, range | tuple) else renew_value

    def _apply_to_others(
        self, days: int, data_set: DataSet, scripted: Mapping[int, object], kept: Mapping[int, str], *, in_code: bool
    ) -> None:
        """Apply the profile to elements that a script has made or changed, and to private ones that are kept."""
        for tag in sorted(scripted, key=is_by_others):
            if tag & 0x10000:
                if tag not in kept:
                    data_set.remove(tag)
            elif scripted[tag] is not None:
                self._act(days, data_set, tag, in_code=in_code)
        for tag, vr in kept.items():
            self._private(days, data_set, tag, vr)

    def _act(self, days: int, data_set: DataSet, tag: int, *, in_code: bool) -> None:
        written = data_set.vr(tag) if data_set.explicit else ""
        do.act(self._action(tag, written, in_code=in_code), days, data_set, tag)

    # What is to be done with an element: its row, or its kind.

    def _action(self, tag: int, written: str, *, in_code: bool) -> Action:
        """What is done with a tag in the VR that it is written with, if with any; decided once for all objects."""
        plan = self._plans[in_code]
        try:
            return plan[tag, written]
        except KeyError:
            pass
        action = self._decide(tag, written, in_code=in_code)
        if action is not do.remove or tag in _numbered_rows():
            if len(plan) >= _MOST_DECIDED:
                plan.clear()
            plan[tag, written] = action  # what the dictionary does not know is not kept: there is no end of it
        return action

    def _decide(self, tag: int, written: str, *, in_code: bool) -> Action:
        if is_never_kept(tag) or (written == "SQ" and _vr_of(tag) != "SQ"):
            return do.remove
        if tag >> 24 == _OVERLAYS:
            return (self._overlay,)
        if tag in PIXEL_DATA:
            return (do.keep_at_top,)
        if tag == _DOCUMENT_TITLE:
            return b""
        if tag == _BODY_MASS and "retain-patient" not in self._options:
            return do.remove
        if tag == _DEVICE_ID and not self._keeps_devices:
            return do.remove
        row = _numbered_rows().get(tag)
        if row is not None:
            return self._of_row(row, tag, written)
        if dictionary_vr(tag) == UNKNOWN:
            return do.remove
        return self._of_kind(tag, written, in_code=in_code)

    def _of_row(self, row: AttributeRow, tag: int, written: str) -> Action:
        letters = {option: letter for option, letter in row.options.items() if option in self._options}
        if MODIFIED_DATES in letters:
            vr = _vr_of(tag)
            if vr in _DATES:
                return _MOVED[vr]
            return do.keep_zone if vr == "SH" else self._basic(row, tag, written)
        if FULL_DATES in letters and _vr_of(tag) == "SH":
            return do.keep_zone
        if "K" in letters.values():
            return self._of_kind(tag, written, is_kept=True)
        if letters:
            return self._cleaned(next(iter(letters)), row, tag, written)
        return self._basic(row, tag, written)

    def _basic(self, row: AttributeRow, tag: int, written: str) -> Action:
        is_sequence = "SQ" in {written, _vr_of(tag)}
        match row.basic:
            case "X":
                return do.remove
            case "X/Z" if tag in _OPTIONAL_SEQUENCES:
                return do.remove
            case "Z" | "X/Z":
                return (do.empty_sequence,) if is_sequence else b""
            case "X/Z/D" if tag == _PERFORMED_STEP and is_sequence:
                return (self._hide_performed_step,)
            case "X/Z/U*":
                return (self._recurse,)
            case "U":
                return self.keep_uid
            case _:
                return self._map_uids if _vr_of(tag) == "UI" else _dummy(tag, written)

    def _cleaned(self, option: str, row: AttributeRow, tag: int, written: str) -> Action:
        vr, basic = _vr_of(tag), self._basic(row, tag, written)
        if option == "clean-structured" and tag in _CONTENTS:
            return (self._content,)
        if vr == "AE":
            return REMOVED
        if vr == "SQ":
            return (self._codes,) if row.name.endswith("Code Sequence") else (self._recurse,)
        otherwise = do.remove if basic is None or isinstance(basic, tuple) else basic
        if vr == "CS":
            return do.terms_or(otherwise)
        return do.words_or(otherwise) if vr in _LABELS or vr in _FREE else basic

    def _of_kind(self, tag: int, written: str, *, is_kept: bool = False, in_code: bool = False) -> Action:
        """What is done with an element that no row names, or (`is_kept`) that an option keeps."""
        vr = _vr_of(tag)
        kinds = {vr, vr if written in {"", UNKNOWN} else written}
        if tag in _CONTENTS and "clean-structured" in self._options:
            return (self._content,)
        if "SQ" in kinds:
            return (self._recurse,) if kinds == {"SQ"} else do.remove
        if "UI" in kinds:
            return do.keep_digits if is_kept or self._keeps_uids or is_class(tag) else self._map_uids
        if kinds & _DATES:
            return self._of_date(written if written in _DATES else vr, _dummy(tag, written), is_kept=is_kept)
        text = self._of_text(tag, written, kinds, is_kept=is_kept, in_code=in_code)
        if text is not None or kinds & TEXTS:
            return text
        if kinds & _NUMBERS and not kinds & _SHORT:
            return do.keep_number
        if vr == "AS":
            return do.keep_age
        if kinds & _SHORT or (vr in NUMBERS and written in OPAQUE):
            return do.words_or(do.remove)
        if vr in NUMBERS or vr in OPAQUE:
            return sizes_of(tag, written if written in NUMBERS and vr in NUMBERS else vr)
        return self._map_if_uid if written == UNKNOWN else None

    def _of_text(self, tag: int, written: str, kinds: set[str], *, is_kept: bool, in_code: bool) -> Action:
        vr, dummy = _vr_of(tag), _dummy(tag, written)
        if "PN" in kinds:
            return dummy
        if "AE" in kinds and not is_kept:
            return REMOVED if self._keeps_devices else do.remove
        if tag in _CODE_TEXTS:
            return _CODE_TEXTS[tag]
        if "UR" in kinds and not is_kept:
            return do.remove
        if kinds & _FREE and not is_kept:
            is_needed = tag in _NEEDED_TEXTS and isinstance(dummy, bytes)
            return do.remove if in_code else do.words_or(dummy if is_needed else do.remove)
        if tag == _ORIENTATION:
            return do.keep_directions
        if tag == _CHARACTER_SET:
            return do.keep_character_sets
        if vr == "CS":
            return _CODES.get(tag) or do.terms_or(REMOVED if tag in _NEEDED_CODES else do.remove)
        if vr in _LABELS and not is_kept and _DESCRIPTIONS.search(dictionary_keyword(tag)):
            return do.words_or(REMOVED)
        if vr in TEXTS:
            return (do.keep_printable,) if written == UNKNOWN else _KEEP_TEXT
        return do.words_or(do.remove) if kinds & TEXTS else None

    def _of_date(self, vr: str, dummy: Action, *, is_kept: bool) -> Action:
        if self._modifies_dates:
            return _MOVED[vr]
        return _KEPT[vr] if is_kept or self._keeps_dates else dummy

    # What needs the profile: sequences, overlays, content items, private elements.

    def _recurse(self, days: int, data_set: DataSet, tag: int) -> None:
        items = data_set.items(tag)
        if items is None:
            data_set.remove(tag)
        for item in items or ():
            self.apply(days, item)

    def _codes(self, days: int, data_set: DataSet, tag: int) -> None:
        """Keep the items of a sequence of codes whose scheme is published; meanings keep their words."""
        items = data_set.items(tag) or []
        kept = [item for item in items if item.text(_SCHEME) in _PUBLIC_SCHEMES]
        if not kept:
            data_set.remove(tag)
            return
        if len(kept) < len(items):
            data_set.set_items(tag, kept)
        for item in kept:
            self.apply(days, item)
            if _MEANING in item:
                do.act(do.words_or(REMOVED), days, item, _MEANING)

    def _hide_performed_step(self, _days: int, data_set: DataSet, tag: int) -> None:
        items = data_set.items(tag)
        uid = next((item.value(_REFERENCED_UID) for item in items or () if _REFERENCED_UID in item), b"")
        if items:
            data_set.set_items(tag, [dummy_item(data_set, tag, self._map_uids(uid))])
        elif items is None:
            data_set.remove(tag)

    def _map_if_uid(self, value: bytes) -> bytes | None:
        """Of a value whose representation nobody knows: items in it go, a UID is mapped, all else stays."""
        if value[:4] in do.ITEM_TAGS:
            return None
        return value if self._keeps_uids or not _UID.fullmatch(value) else self._map_uids(value)

    def _overlay(self, days: int, data_set: DataSet, tag: int) -> None:
        """Keep the plane of a region of interest, which holds no text, if graphics are to be kept."""
        number = tag & 0xFFFF
        if not self._keeps_regions or number not in OF_REGIONS or not is_region(data_set, tag & 0xFFFF0000):
            data_set.remove(tag)
        elif number == OVERLAY_DATA:
            cut_region(data_set, tag)
        elif number == _SUBTYPE:
            do.act(do.terms_or(do.remove), days, data_set, tag)
        else:
            do.act(self._of_kind(tag, data_set.vr(tag) if data_set.explicit else ""), days, data_set, tag)

    def _content(self, days: int, data_set: DataSet, tag: int) -> None:
        clean_content(data_set, tag, self._options, lambda item: self.apply(days, item))

    def _kept_private(self, data_set: DataSet) -> Mapping[int, str]:
        """Private elements of a data set that are known to be safe, by their VR, and the creators of their blocks."""
        creators: dict[int, str] = {}
        kept: dict[int, str] = {}
        for tag in data_set.tags():
            number = tag & 0xFFFF
            if not tag & 0x10000 or number < 0x10:
                continue
            if number < 0x100:
                creators[tag & 0xFFFF0000 | number << 8] = (data_set.text(tag) or "").strip()
                continue
            creator = creators.get(tag & 0xFFFFFF00, "")
            vr = self._safe.get((creator, tag >> 16, tag & 0xFF))
            if vr is not None:
                kept[tag] = vr
                kept[tag & 0xFFFF0000 | number >> 8] = "LO"
        return kept

    def _private(self, days: int, data_set: DataSet, tag: int, vr: str) -> None:
        """Clean a private element that is known to be safe, or the creator of one, as an element of its kind.

        `vr` is what it is known to be, which counts but for binary values, and where no other kind of value is written.
        """
        written = data_set.vr(tag)
        is_binary, is_text = written in NUMBERS or written in OPAQUE, written not in {"SQ", UNKNOWN}
        if vr == UNKNOWN or (is_binary and vr != "SQ"):
            vr = written
        elif is_text and (vr == "SQ" or vr in NUMBERS or vr in OPAQUE):
            vr = ""
        try:
            items = data_set.items(tag)
        except ObjectUnreadable:
            items, vr = None, ""
        if items is not None and vr in {"SQ", UNKNOWN}:
            for item in items:
                self.apply(days, item)
        elif items is not None or vr in {"SQ", ""}:
            data_set.remove(tag)
        else:
            do.act(self._of_private(vr), days, data_set, tag)

    def _of_private(self, vr: str) -> Action:
        if vr == UNKNOWN:
            return self._map_if_uid
        if vr == "UI":
            return self.keep_uid
        if vr in _DATES:
            return self._of_date(vr, do.dummy_of(vr), is_kept=False)
        if vr == "PN":
            return REMOVED
        if vr in _FREE:
            return do.words_or(do.remove)
        if vr == "CS":
            return do.terms_or(do.remove)
        if vr in _NUMBERS:
            return do.keep_number
        if vr in NUMBERS or vr in OPAQUE:
            return any_number_of(vr)
        return (do.keep_printable,)


def gone(_element: bytes) -> bytes:
    """Of an element that goes, whatever it says."""
    return b""


def same(element: bytes) -> bytes:
    """Of an element that stays, whatever it says."""
    return element


def alone(charset: bytes, element: bytes, tag: int, vr: int) -> DataSet:
    """A data set of one element of explicit VR little endian, beside the character set."""
    at = len(charset)
    entries = {_CHARACTER_SET: (0, _CS, 8, at)} if charset else {}
    if element:
        entries[tag] = at, vr, at + (8 if vr in LITTLE.short else 12), at + len(element)
    return DataSet(Walked(entries, {}, [], 0, 0, 0, LITTLE, True), charset + element, Budget())


def _written(data_set: DataSet, tag: int, change: Change) -> bytes:
    """The bytes of an element, which has no items but may have become an empty sequence."""
    if change[4] is not None:
        return change[4]
    vr, value, items, _, _ = change
    assert not items
    return encode_element(tag, vr, value or b"", undefined=False, explicit=data_set.explicit, big=data_set.big)


def is_by_others(tag: int) -> bool:
    """Whether it counts for an element what is beside it: it is judged last, by what is left there."""
    return tag >> 16 in _BY_OTHERS or tag == _LONG_CODE


def _dummy(tag: int, written: str) -> bytes | tuple[ElementAction]:
    """What stands for an element as it is written; UN of a text is written as that text is."""
    vr = _vr_of(tag)
    if "SQ" in {vr, written}:
        return do.dummy_of("SQ")
    if written == UNKNOWN:
        return REMOVED + b" " if vr in TEXTS else do.dummy_of(vr if vr in _TEXTUAL else UNKNOWN)
    return do.dummy_of(written or vr)


@cache
def _numbered_rows() -> dict[int, AttributeRow]:
    """Rows of the table that are of one attribute, by its number."""
    return {int(row.tag, 16): row for row in attribute_rows().values() if re.fullmatch("[0-9A-F]{8}", row.tag)}


@lru_cache(maxsize=8_192)
def _vr_of(tag: int) -> str:
    """The VR of the standard, one of several; of what the dictionary does not know yet, by the name in the table."""
    vr = dictionary_vr(tag)
    if vr == UNKNOWN and not dictionary_keyword(tag) and (row := _numbered_rows().get(tag)) is not None:
        return "DT" if row.name.endswith("DateTime") else "SQ" if row.name.endswith("Sequence") else "LO"
    return "OW" if "OW" in vr else vr[:2]
