"""Who an object is of, as it came: read before anything changes, for what has to be the same for all of a patient."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from scandock.deidentification import texts
from scandock.deidentification.errors import ValueUnfit
from scandock.deidentification.profile.dummies import is_dummy
from scandock.formats.dicom_charset import MARK
from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scandock.deidentification.data_set import DataSet
    from scandock.rules.stored_uids import StoredUids

_PATIENT_ID: Final = 0x00100020
_STUDY: Final = 0x0020000D
_OTHER_IDS: Final = 0x00101002
_BIRTH_DATE: Final = 0x00100030
_NAMES: Final = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060})
"""Names of the patient and of the patient's mother: of each, every component."""
_VALUES: Final = (
    *(0x00080050, 0x00100010, _PATIENT_ID, 0x00100030, 0x00101000, 0x00101001, 0x00101005, 0x00101060, 0x00101090),
    *(0x00380010, 0x00402016, 0x00402017),
)
"""Names, birth date, ids of the patient, accession number, numbers of orders and of a stay."""
_OF_PATIENT: Final = (0x00100010, _PATIENT_ID, 0x00101000, 0x00101001, 0x00101005, 0x00101060, 0x00101090)
_SHORTEST: Final = 4
"""Characters of a value that is looked for in what comes out."""
_SHORTEST_OTHER: Final = 2
"""The same of letters that are not Latin, as of Chinese names."""
_SHORTEST_TRACE: Final = 4
"""Bytes: two characters beyond ASCII have no fewer."""
_UIDS: Final = (_STUDY, 0x0020000E, 0x00080018, 0x00200052)
"""Of study, series, object and frame of reference."""
_SHORTEST_UID: Final = 12
"""Characters of a UID that is looked for: a shorter one could be a version, or a part of another one."""
_SHORTEST_ID: Final = 6
"""Characters of an id that is looked for without separators."""
_SEPARATORS: Final = b" \t-_./,:;+^\\"
_COMPONENTS: Final = re.compile(r"[\\^=]")
_WORDS: Final = re.compile(r"[\s,;]+")
_MOST_COMPARED: Final = 100
"""Traces that are compared with each other: a name could have thousands of words."""
_CACHED: Final = 1_000
_LONGEST_CACHED: Final = 1_024
"""Bytes of all values of an identity that is kept in memory."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the original says about its patient. Never shown, written or logged."""

    patient: str
    """PatientID, or else the StudyInstanceUID: by what dates are moved."""
    traces: tuple[bytes, ...]
    """What must not be left in what comes out: `folded` bytes."""
    unseparated: tuple[bytes, ...]
    """The same of ids and of the birth date, in three orders: folded and `unseparated`, for texts alone."""


def read_identity(data: DataSet) -> Identity:
    """Read a data set's identity."""
    return _read_identity(data, _VALUES)


def read_hidden(data: DataSet, *, patient: bool, uids: bool, stored: StoredUids) -> tuple[Identity, ...]:
    """Read what is to go of a data set's identity: the patient's names and ids, its UIDs but those that are `stored`.

    Apart, as all objects of a patient have the former.
    """
    hidden = [_read_identity(data, _OF_PATIENT)] if patient else []
    if uids:
        values = [value.strip(b" \0") for value in data.values(_UIDS) if value is not None]
        long = _shortest({uid for uid in values if len(uid) >= _SHORTEST_UID and uid not in stored})
        hidden.append(Identity(patient="", traces=long, unseparated=()))
    return tuple(hidden)


def _read_identity(data: DataSet, tags: tuple[int, ...]) -> Identity:
    study, *values = data.values((_STUDY, *tags))
    if tags and _OTHER_IDS in data:
        ids = (item.value(_PATIENT_ID) for item in data.items(_OTHER_IDS) or () if _PATIENT_ID in item)
        values += filter(None, ids)
    identity = _identity if sum(map(len, filter(None, values))) <= _LONGEST_CACHED else _identity.__wrapped__
    return identity(tags, tuple(values), study or b"", data.character_set)


@lru_cache(maxsize=_CACHED)
def _identity(tags: tuple[int, ...], raw: tuple[bytes | None, ...], study: bytes, charsets: bytes) -> Identity:
    """The identity by the values of some elements, and behind them by other ids."""
    patient = ""
    traces: set[bytes] = set()
    ids: set[bytes] = set()
    for tag, value in zip(chain(tags, repeat(_OTHER_IDS)), raw, strict=False):
        if not value:
            continue
        is_name = tag in _NAMES
        values = texts.decode(value, "PN" if is_name else "LO", charsets, big=False)
        if tag == _PATIENT_ID:
            patient = "\\".join(values)
        for text in values:
            if MARK in text:
                traces.add(folded(value.strip(b" \0")))
            for part in _parts(text) if is_name else [text]:
                traces.update(_bytes_of(part, charsets))
            if not is_name:
                ids.update(_unseparated_of(text, is_date=tag == _BIRTH_DATE))
    patient = patient or study.strip(b" \0").decode("latin-1")
    return Identity(patient, _shortest({trace for trace in traces if len(trace) >= _SHORTEST_TRACE}), _shortest(ids))


def _shortest(traces: set[bytes]) -> tuple[bytes, ...]:
    """Those of several traces that hold no other: where one of the rest is, a shorter one is, too."""
    if len(traces) > _MOST_COMPARED:
        return tuple(traces)
    shortest: list[bytes] = []
    for trace in sorted(traces, key=len):
        if not any(shorter in trace for shorter in shortest):
            shortest.append(trace)
    return tuple(shortest)


def _parts(name: str) -> Iterator[str]:
    """A name as it is, with blanks, and by its components and words: those of short ones are not looked for alone."""
    yield name
    yield " ".join(part for part in _COMPONENTS.split(name) if part)
    for component in _COMPONENTS.split(name):
        yield component.strip()
        yield from _WORDS.split(component)


def _bytes_of(text: str, charsets: bytes) -> Iterator[bytes]:
    """A text as it could stand in a file; nothing of one that is too short, or that the profile itself writes."""
    if len(text) < _SHORTEST and sum(map(_is_beyond_latin, text)) < _SHORTEST_OTHER:
        return
    if MARK in text or is_dummy(text):
        return
    yield folded(text.encode("utf-8", "ignore"))
    if text.isascii():
        return
    for variant in (text, text.lower(), text.upper(), text.title()):
        for codec in ("utf-8", "utf-16-le", "utf-16-be"):
            yield folded(variant.encode(codec, "ignore"))
        try:
            yield folded(texts.encode_text(variant, charsets, "LO"))
        except ValueUnfit:
            continue


def _unseparated_of(text: str, *, is_date: bool) -> Iterator[bytes]:
    """An id without separators, if it has a digit; a date in the orders in which people write it."""
    raw = unseparated(folded(text.encode("ascii", "ignore")))
    if len(raw) < _SHORTEST_ID or is_dummy(text) or not _DIGIT.search(raw):
        return
    yield raw
    if is_date and _DATE.fullmatch(raw):
        year, month, day = raw[:4], raw[4:6], raw[6:]
        yield day + month + year
        yield month + day + year


_DIGIT: Final = re.compile(rb"[0-9]")
_DATE: Final = re.compile(rb"[0-9]{8}")


def unseparated(raw: bytes) -> bytes:
    """Bytes without what people write between the digits of dates and numbers."""
    return raw.translate(None, _SEPARATORS)


def _is_beyond_latin(character: str) -> bool:
    """Whether a character is neither of ASCII nor a Latin letter, of which short words are in every text."""
    return character >= _BEHIND_LATIN


_BEHIND_LATIN: Final = "\u0250"
_LOWER: Final = bytes(range(256)).lower()


def folded(raw: bytes) -> bytes:
    """Bytes in which traces are looked for: letters of ASCII small, and without NULs, so that UTF-16 reads as ASCII."""
    return raw.translate(_LOWER, b"\0")
