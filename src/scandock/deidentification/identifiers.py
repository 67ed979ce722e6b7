"""What a policy replaces in objects by itself: UIDs, and the patient's names and ids, at every depth.

It comes after scripts, and where a profile does not do it already. UIDs become the keyed ones that the profile writes,
too. Of the patient, `hash` writes keyed pseudonyms and `drop` leaves nothing; what a script has written from labels or
texts of its own stays, unless it has something of the original's values in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.dictionary import UNKNOWN
from scandock.deidentification.ecat import PATIENT_ID, PATIENT_NAME
from scandock.deidentification.uids import UidMapper, is_class
from scandock.formats.dicom_encoding import DeclinedError
from scandock.model.dataclass import dataclass
from scandock.model.tags import NUMBERS, PIXEL_DATA
from scandock.rules.keyed_values import id_pseudonym, name_pseudonym
from scandock.rules.labels import is_placeholder
from scandock.rules.patients import fold_name
from scandock.rules.stored_uids import NO_UIDS

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet, DicomObject
    from scandock.rules.privacy_policy import Level, Policy
    from scandock.rules.stored_uids import StoredUids

STUDY: Final = NUMBERS["StudyInstanceUID"]
_SOP: Final = NUMBERS["SOPInstanceUID"]
_SOP_IN_META: Final = 0x00020003
_ISSUER: Final = 0x00100021
IDS: Final = frozenset({PATIENT_ID, _ISSUER, 0x00101000, 0x00101090})
"""PatientID, its issuer, OtherPatientIDs, MedicalRecordLocator."""
NAMES: Final = frozenset({PATIENT_NAME, 0x00100012, 0x00101001, 0x00101005, 0x00101060, 0x00102297})
"""PatientName, NameToUse, OtherPatientNames, PatientBirthName, PatientMotherBirthName, ResponsiblePerson."""
_OF_PATIENT: Final = IDS | NAMES
_OTHER_IDS: Final = 0x00101002
_SEQUENCES: Final = frozenset({0x00100011, 0x00100024, 0x00101100})
"""Names to use, qualifiers of the issuer, photographs: sequences in which nothing is left to be hashed."""
_ALWAYS_THERE: Final = frozenset({PATIENT_ID, PATIENT_NAME})
"""Elements that objects have to have, be they empty (type 2)."""
_REPEATING: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs of elements that may repeat a patient's name or id as a whole, as StudyID often does."""
_WITH_UIDS: Final = _REPEATING | {"UI", "UR", UNKNOWN}
_SHORTEST_PART: Final = 4
"""Characters of what is looked for within other texts; what is shorter counts where it is a word of its own."""
_SHORTEST_WORD: Final = 2
"""Characters of a word of a name that counts, and of a text that may be a part of a name or an id."""
_SHORTEST_REPEAT: Final = 4
_LONGEST_REPEAT: Final = 1024
"""Characters of a value that is replaced in elements that are not about the patient."""
_UID: Final = re.compile(rb"[0-2](?:\.(?:0|[1-9][0-9]*)){5,}[ \0]?")
_UID_IN_TEXT: Final = re.compile(rb"(?<![0-9.])[0-2](?:\.(?:0|[1-9][0-9]*)){5,}(?!\.?[0-9])")
"""A UID by its looks: six numbers and more, as addresses and versions have fewer."""
_FEWEST_POINTS: Final = 5
_LONGEST_TEXT: Final = 1024 * 1024
_LONGEST_KEPT: Final = 512
"""Bytes of an element that is remembered."""
_MOST_KEPT: Final = 10_000
_PLACES: Final = 8
"""Elements, and patients with their encodings, of which these are remembered."""
_WORD: Final = re.compile(r"[^\W_]+")
_COMPONENTS: Final = re.compile(r"[\\^=,\s]+")


@dataclass(frozen=True, slots=True)
class Originals:
    """What an object said before anything changed it. Never shown, written or logged."""

    study: bytes | None = field(repr=False, default=None)
    """Its StudyInstanceUID as it is written."""
    ids: frozenset[str] = field(repr=False, default=frozenset())
    """The patient's ids, small letters; those that name nobody left out."""
    names: frozenset[str] = field(repr=False, default=frozenset())
    """The patient's names as they are compared (`fold_name`)."""
    issuers: frozenset[str] = field(repr=False, default=frozenset())
    """Who has given the ids: of the patient in elements of the patient alone."""
    is_partial: bool = False
    """Whether there was more that could not be read plainly: then any name and id may be the patient's."""

    def has_part_in(self, text: str) -> bool:
        """Whether a text has one of the values in it, or is a part of one."""
        return self.is_partial or _has_part(self.ids | self.issuers, self.names, text)


def read_originals(obj: DicomObject, policy: Policy) -> Originals:
    """Read what a policy has to know of an object before scripts run."""
    study = obj.data.value(STUDY) if STUDY in obj.data else None
    if policy.patient == "keep":
        return Originals(study)
    values: list[tuple[int, str]] = []
    try:
        values.extend(_patient_values(obj.data))
    except DeclinedError:
        return replace(_make_originals(study, values), is_partial=True)
    return _make_originals(study, values)


def originals_of_ecat(fields: Mapping[int, str]) -> Originals:
    """The same of an ECAT file, by its fields."""
    return _make_originals(None, ((tag, fields[tag]) for tag in (PATIENT_ID, PATIENT_NAME)))


def _make_originals(study: bytes | None, values: Iterable[tuple[int, str]]) -> Originals:
    ids: set[str] = set()
    names: set[str] = set()
    issuers: set[str] = set()
    for tag, text in values:
        if is_placeholder(text):
            continue
        if tag in NAMES:
            names.add(fold_name(text))
        else:
            (issuers if tag == _ISSUER else ids).add(text.strip().casefold())
    return Originals(study, frozenset(ids), frozenset(names), frozenset(issuers))


def _patient_values(data_set: DataSet) -> Iterator[tuple[int, str]]:
    """Names and ids of the patient at every depth, by their tags."""
    for tag in _OF_PATIENT & data_set.elements.keys():
        for text in data_set.texts(tag):
            yield tag, text
    for tag in _OF_PATIENT & data_set.changes.keys():  # of what was read slowly
        for text in data_set.texts(tag):
            yield tag, text
    for tag in data_set.sequence_tags():
        for item in data_set.plain_items(tag):
            yield from _patient_values(item)


@lru_cache(maxsize=4_096)
def _has_part(ids: frozenset[str], names: frozenset[str], text: str) -> bool:
    folded, name = text.strip().casefold(), fold_name(text)
    words = {folded, name, *_WORD.findall(folded)}
    of_names = {part for whole in names for part in _COMPONENTS.split(whole) if len(part) >= _SHORTEST_WORD}
    for part in (*ids, *names, *of_names):
        if part in words or (len(part) >= _SHORTEST_PART and (part in folded or part in name)):
            return True
    return len(folded) > _SHORTEST_WORD and any(folded in whole for whole in (*ids, *names))


def replace_identifiers(
    obj: DicomObject, policy: Policy, originals: Originals, key: bytes, stored: StoredUids = NO_UIDS
) -> None:
    """Replace UIDs and the patient's names and ids as a policy says, in the data set and the meta information.

    `originals` are those of before scripts: a StudyInstanceUID always follows from the one that the object came with,
    so that studies are known again whatever scripts do. UIDs that are `stored` stay.
    """
    restore_study(obj, policy, originals)
    _replacer(policy, key, stored).apply(obj.data, originals)
    if policy.study_uid != "keep":
        _update_meta(obj, UidMapper(key, stored))


def restore_study(obj: DicomObject, policy: Policy, originals: Originals) -> None:
    """Undo what scripts made of the StudyInstanceUID where a policy replaces it."""
    data = obj.data
    if policy.study_uid == "keep" or originals.study is None:
        return
    if STUDY not in data or data.value(STUDY) != originals.study:
        data.set_value(STUDY, "UI", originals.study)


def _update_meta(obj: DicomObject, mapper: UidMapper) -> None:
    """Let the meta information name the instance as the data set does."""
    meta, data = obj.meta, obj.data
    if meta is None or _SOP_IN_META not in meta:
        return
    meta.set_value(_SOP_IN_META, "UI", data.value(_SOP) if _SOP in data else mapper[meta.value(_SOP_IN_META)])


@lru_cache(maxsize=16)
def _replacer(policy: Policy, key: bytes, stored: StoredUids) -> _Replacer:
    """A replacer with all UIDs that it has mapped before."""
    return _Replacer(policy, key, stored)


class _Replacer:
    """What becomes of each element."""

    def __init__(self, policy: Policy, key: bytes, stored: StoredUids) -> None:
        self._key = key
        self._maps_uids = policy.study_uid != "keep"
        self._patient: Level = policy.patient
        self._uids = UidMapper(key, stored)
        self._unchanged: dict[tuple[Originals, bool, bool, bytes], set[bytes]] = {}
        """By what beside an element's bytes says what becomes of it: those that stay, as most of a series do."""

    def apply(self, data_set: DataSet, originals: Originals) -> None:
        """Replace what stands in a data set and in all below it."""
        place = (originals, data_set.explicit, data_set.big, data_set.character_set)
        unchanged = self._unchanged.get(place)
        if unchanged is None:
            if len(self._unchanged) >= _PLACES:
                self._unchanged.clear()
            unchanged = self._unchanged[place] = set()
        changes, elements, buf = data_set.changes, data_set.elements, data_set.buf
        for tag in data_set.tags():
            raw = b""
            if tag not in changes:
                at, _, _, end = elements[tag]
                raw = bytes(buf[at:end]) if end - at <= _LONGEST_KEPT else b""
                if raw in unchanged:
                    continue
            self._replace(data_set, tag, originals)
            if raw and tag not in changes:
                if len(unchanged) >= _MOST_KEPT:
                    unchanged.clear()
                unchanged.add(raw)

    def _replace(self, data_set: DataSet, tag: int, originals: Originals) -> None:
        hides = self._patient != "keep"
        if tag in PIXEL_DATA:
            return
        if (hides and tag in _SEQUENCES) or (self._patient == "drop" and tag == _OTHER_IDS):
            data_set.remove(tag)
            return
        vr = data_set.meant_vr(tag)
        if vr in {"SQ", UNKNOWN} and (items := data_set.items(tag)) is not None:
            for item in items:
                self.apply(item, originals)
        elif hides and tag in _OF_PATIENT:
            self._replace_patient(data_set, tag, originals)
        elif (
            hides and (vr in _REPEATING or vr == UNKNOWN) and self._replace_repeat(data_set, tag, originals)
        ) or not self._maps_uids:
            return
        elif vr in _WITH_UIDS:
            self._replace_uids(data_set, tag, vr)

    def _replace_patient(self, data_set: DataSet, tag: int, originals: Originals) -> None:
        values = data_set.texts(tag)
        if not any(originals.has_part_in(value) for value in values):
            return
        if self._patient == "hash":
            data_set.set_text(tag, "\\".join(self._pseudonym(value, is_name=tag in NAMES) for value in values))
        elif tag in _ALWAYS_THERE:
            data_set.set_value(tag, data_set.vr(tag), b"")
        else:
            data_set.remove(tag)

    def _replace_repeat(self, data_set: DataSet, tag: int, originals: Originals) -> bool:
        """Replace an element that says as a whole what an element of the patient says."""
        size = data_set.size(tag)
        if not _SHORTEST_REPEAT <= size <= _LONGEST_REPEAT:
            return False
        values = [value.strip(" \0") for value in data_set.texts(tag)]
        is_id = [value.casefold() in originals.ids for value in values]
        is_name = [fold_name(value) in originals.names for value in values]
        replaced = [len(value) >= _SHORTEST_REPEAT and (is_id[at] or is_name[at]) for at, value in enumerate(values)]
        if not any(replaced):
            return False
        new = [
            ("" if self._patient == "drop" else self._pseudonym(value, is_name=not is_id[at]))
            if replaced[at]
            else value
            for at, value in enumerate(values)
        ]
        data_set.set_text(tag, "\\".join(new) if any(new) else "")
        return True

    def _pseudonym(self, value: str, *, is_name: bool) -> str:
        return name_pseudonym(self._key, value) if is_name else id_pseudonym(self._key, value)

    def _replace_uids(self, data_set: DataSet, tag: int, vr: str) -> None:
        if vr == "UI":
            if not is_class(tag):
                value = data_set.value(tag)
                mapped = self._uids[value]
                if mapped != value:
                    data_set.set_value(tag, data_set.vr(tag), mapped)
            return
        if data_set.size(tag) > _LONGEST_TEXT:
            return
        value = data_set.value(tag)
        if value.count(b".") < _FEWEST_POINTS:
            return
        if vr != UNKNOWN:
            mapped = _UID_IN_TEXT.sub(lambda match: self._uids[match[0]], value)
        else:
            mapped = self._uids[value] if _UID.fullmatch(value) else value
        if mapped != value:
            data_set.set_value(tag, data_set.vr(tag), mapped)


def replace_in_ecat(
    fields: Mapping[int, str], changes: Mapping[int, str], policy: Policy, originals: Originals, key: bytes
) -> dict[int, str]:
    """The changes to an ECAT file's fields by scripts, and those that a policy makes then."""
    if policy.patient == "keep":
        return dict(changes)
    changed = dict(changes)
    for tag, own in fields.items():
        text = changed.get(tag, own)
        if tag in {PATIENT_ID, PATIENT_NAME}:
            is_name, is_to_go = tag == PATIENT_NAME, originals.has_part_in(text)
        else:
            is_name = fold_name(text) in originals.names
            is_to_go = len(text) >= _SHORTEST_REPEAT and (is_name or text.casefold() in originals.ids)
        if is_to_go:
            pseudonym = name_pseudonym(key, text) if is_name else id_pseudonym(key, text)
            changed[tag] = pseudonym if policy.patient == "hash" else ""
    return changed
