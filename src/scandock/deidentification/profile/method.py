"""What an object says of its de-identification: that its patient's identity is removed, by what, and what of its dates.

Written after the scripts and the profile, and only where one of them was run (PS3.3 C.7.1.1, C.12.1.1, CID 7050).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock import __version__
from scandock.deidentification.profile.options import BASIC_METHOD, FULL_DATES, MODIFIED_DATES, OPTIONS, PIXELS_METHOD
from scandock.deidentification.profile.table import EDITION

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet
    from scandock.deidentification.profile.options import Profile

_REMOVED: Final = 0x00120062
_METHOD: Final = 0x00120063
_CODES: Final = 0x00120064
_BURNED_IN: Final = 0x00280301
_DATES: Final = 0x00280303
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
    data.set_value(_REMOVED, "CS", b"YES")
    _write_texts(data, profile, scripts)
    _write_codes(data, profile, scripts, has_clean_pixels=has_clean_pixels)
    if profile is not None:
        data.set_value(_DATES, "CS", _dates(profile))
    if has_clean_pixels:
        data.set_value(_BURNED_IN, "CS", b"NO")


def _dates(profile: Profile) -> bytes:
    if FULL_DATES in profile.options:
        return b"UNMODIFIED"
    return b"MODIFIED" if MODIFIED_DATES in profile.options else b"REMOVED"


def _write_texts(data: DataSet, profile: Profile | None, scripts: Sequence[ScriptName]) -> None:
    texts = [f"Scandock {__version__}"]
    if profile is not None:
        texts.append(f"PS3.15 {EDITION} Annex E")
    texts += [f"Script {script.fingerprint}" for script in scripts]
    earlier = data.texts(_METHOD) if profile is None else []
    every = list(dict.fromkeys([*earlier, *(text[:_LONGEST] for text in texts)]))
    data.set_text(_METHOD, "\\".join(every), "LO")


def _write_codes(
    data: DataSet, profile: Profile | None, scripts: Sequence[ScriptName], *, has_clean_pixels: bool
) -> None:
    codes = [(_DICOM, method.code, method.meaning) for method in profile.methods] if profile is not None else []
    if has_clean_pixels:
        codes.append((_DICOM, *PIXELS_METHOD))
    codes += [(_XNAT, script.id[:_LONGEST_CODE], _SCRIPT) for script in scripts]
    items = _earlier_items(data, profile)
    known = {(item.text(_SCHEME), item.text(_CODE_VALUE)) for item in items}
    for scheme, code, meaning in codes:
        if (scheme, code) not in known:
            item = data.new_item()
            item.set_text(_CODE_VALUE, code, "SH")
            item.set_text(_SCHEME, scheme, "SH")
            item.set_text(_MEANING, meaning, "LO")
            items.append(item)
    data.set_items(_CODES, items)


def _earlier_items(data: DataSet, profile: Profile | None) -> list[DataSet]:
    """Items of earlier steps; under a profile only those whose codes are known, as others could say anything."""
    items = list(data.items(_CODES) or ()) if _CODES in data else []
    if profile is None:
        return items
    return [item for item in items if item.text(_SCHEME) == _DICOM and item.text(_CODE_VALUE) in _OWN_CODES]
