"""What an object says of its de-identification: that its patient's identity is removed, by what, and what of its dates.

Written after the scripts and the profile, and only where one of them was run (PS3.3 C.7.1.1, C.12.1.1, CID 7050).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock import __version__
from scandock.deidentification.data_set import DataSet
from scandock.deidentification.profile.options import BASIC_METHOD, FULL_DATES, MODIFIED_DATES, OPTIONS, PIXELS_METHOD
from scandock.deidentification.profile.table import EDITION
from scandock.deidentification.splicing import encode_items
from scandock.deidentification.walking import Budget, Walked
from scandock.formats.dicom_encoding import BIG, LITTLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.deidentification.data_set import Change
    from scandock.deidentification.profile.options import Profile

_REMOVED: Final = 0x00120062
_METHOD: Final = 0x00120063
_CODES: Final = 0x00120064
_BURNED_IN: Final = 0x00280301
_DATES: Final = 0x00280303
OF_METHOD: Final = frozenset({_REMOVED, _METHOD, _CODES, _BURNED_IN, _DATES})
"""Elements that are written, whatever stood there."""
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_DICOM: Final = "DCM"
_XNAT: Final = "XNAT"
_SCRIPT: Final = "XNAT DicomEdit 6 Script"
_LONGEST: Final = 64
_LONGEST_CODE: Final = 16
_OWN_CODES: Final = {method.code: method.meaning for method in (BASIC_METHOD, PIXELS_METHOD, *OPTIONS.values())}


class ScriptName(NamedTuple):
    """A script that was run: its id, as its code item says, and a fingerprint of its text."""

    id: str
    fingerprint: str


def record_method(
    data: DataSet, profile: Profile | None, scripts: Sequence[ScriptName] = (), *, has_clean_pixels: bool = False
) -> None:
    """Write the method into a data set; `has_clean_pixels` where areas of its pixels were filled."""
    items = list(data.items(_CODES) or ()) if _CODES in data else []
    earlier = () if items and profile is None else _earlier_codes(items)
    elements = _elements(
        profile, tuple(scripts), earlier, has_clean_pixels=has_clean_pixels, explicit=data.explicit, big=data.big
    )
    if profile is None:
        record = _record(profile, tuple(scripts), has_clean_pixels=has_clean_pixels)
        data.set_text(_METHOD, "\\".join(dict.fromkeys([*data.texts(_METHOD), *record.texts])), "LO")
        if items:
            _add_codes(data, items, record.codes)
            elements = {tag: element for tag, element in elements.items() if tag != _CODES}
    data.change_all(elements)


_Code = tuple[bytes, bytes, bytes]
"""Scheme, value and meaning."""


class _Record(NamedTuple):
    """What is written: values of the method in words, and codes."""

    texts: tuple[str, ...]
    codes: tuple[_Code, ...]


@lru_cache(maxsize=64)
def _record(profile: Profile | None, scripts: tuple[ScriptName, ...], *, has_clean_pixels: bool) -> _Record:
    texts = [f"Scandock {__version__}"]
    codes = [(_DICOM, method.code, method.meaning) for method in profile.methods] if profile is not None else []
    if profile is not None:
        texts.append(f"PS3.15 {EDITION} Annex E")
    if has_clean_pixels:
        codes.append((_DICOM, *PIXELS_METHOD))
    codes += [(_XNAT, script.id[:_LONGEST_CODE], _SCRIPT) for script in scripts]
    texts += [f"Script {script.fingerprint}" for script in scripts]
    return _Record(tuple(text[:_LONGEST] for text in texts), tuple(_encoded(*code) for code in codes))


def _dates(profile: Profile) -> bytes:
    if FULL_DATES in profile.options:
        return b"UNMODIFIED"
    return b"MODIFIED" if MODIFIED_DATES in profile.options else b"REMOVED"


@lru_cache(maxsize=64)
def _elements(
    profile: Profile | None,
    scripts: tuple[ScriptName, ...],
    earlier: tuple[_Code, ...],
    *,
    has_clean_pixels: bool,
    explicit: bool,
    big: bool,
) -> Mapping[int, Change]:
    """The elements of an encoding that say it: many objects have the same. `earlier` codes stand before the others."""
    record = _record(profile, scripts, has_clean_pixels=has_clean_pixels)
    data = DataSet(Walked({}, {}, [], 0, 0, 0, BIG if big else LITTLE, explicit), b"", Budget())
    items = [_item_of(data, code) for code in dict.fromkeys([*earlier, *record.codes])]
    texts = {_REMOVED: ("CS", b"YES")}
    if profile is not None:
        texts |= {_METHOD: ("LO", "\\".join(record.texts).encode("ascii")), _DATES: ("CS", _dates(profile))}
    if has_clean_pixels:
        texts[_BURNED_IN] = "CS", b"NO"
    elements = {tag: data.replacement(tag, vr, value) for tag, (vr, value) in texts.items()}
    return {_CODES: ("SQ", encode_items(items, big=big), None, False, None), **elements}


def _add_codes(data: DataSet, items: list[DataSet], codes: Sequence[_Code]) -> None:
    known = {(item.text(_SCHEME), item.text(_CODE_VALUE)) for item in items}
    items += [_item_of(data, code) for code in codes if (code[0].decode(), code[1].decode()) not in known]
    data.set_items(_CODES, items)


def _item_of(data: DataSet, code: _Code) -> DataSet:
    scheme, value, meaning = code
    item = data.new_item()
    item.set_value(_CODE_VALUE, "SH", value)
    item.set_value(_SCHEME, "SH", scheme)
    item.set_value(_MEANING, "LO", meaning)
    return item


def _earlier_codes(items: list[DataSet]) -> tuple[_Code, ...]:
    """Codes of earlier steps that are known, as the standard has them: what else an item holds could say anything."""
    codes = [item.text(_CODE_VALUE) or "" for item in items if item.text(_SCHEME) == _DICOM]
    return tuple(_encoded(_DICOM, code, _OWN_CODES[code]) for code in dict.fromkeys(codes) if code in _OWN_CODES)


def _encoded(scheme: str, code: str, meaning: str) -> _Code:
    return scheme.encode("ascii"), code.encode("ascii"), meaning.encode("ascii")
