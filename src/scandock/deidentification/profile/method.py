"""What an object says of its de-identification: that its patient's identity is removed, by what, and what of its dates.

Written after the scripts and the profile, and only where one of them was run (PS3.3 C.7.1.1, C.12.1.1, CID 7050).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
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
    record = _record(profile, tuple(scripts), has_clean_pixels=has_clean_pixels)
    data.set_value(_REMOVED, "CS", b"YES")
    texts = list(record.texts)
    if profile is None:
        texts = list(dict.fromkeys([*data.texts(_METHOD), *texts]))
    data.set_text(_METHOD, "\\".join(texts), "LO")
    _write_codes(data, profile, record.codes)
    if profile is not None:
        data.set_value(_DATES, "CS", _dates(profile))
    if has_clean_pixels:
        data.set_value(_BURNED_IN, "CS", b"NO")


class _Record(NamedTuple):
    """What is written: values of the method in words, and codes as scheme, value and meaning."""

    texts: tuple[str, ...]
    codes: tuple[tuple[bytes, bytes, bytes], ...]


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
    encoded = (
        (scheme.encode("ascii"), code.encode("ascii"), meaning.encode("ascii")) for scheme, code, meaning in codes
    )
    return _Record(tuple(text[:_LONGEST] for text in texts), tuple(encoded))


def _dates(profile: Profile) -> bytes:
    if FULL_DATES in profile.options:
        return b"UNMODIFIED"
    return b"MODIFIED" if MODIFIED_DATES in profile.options else b"REMOVED"


def _write_codes(data: DataSet, profile: Profile | None, codes: Sequence[tuple[bytes, bytes, bytes]]) -> None:
    items = _earlier_items(data, profile)
    known = {(item.text(_SCHEME), item.text(_CODE_VALUE)) for item in items}
    for scheme, code, meaning in codes:
        if (scheme.decode(), code.decode()) not in known:
            item = data.new_item()
            item.set_value(_CODE_VALUE, "SH", code)
            item.set_value(_SCHEME, "SH", scheme)
            item.set_value(_MEANING, "LO", meaning)
            items.append(item)
    data.set_items(_CODES, items)


def _earlier_items(data: DataSet, profile: Profile | None) -> list[DataSet]:
    """Items of earlier steps; under a profile only those whose codes are known, as others could say anything."""
    items = list(data.items(_CODES) or ()) if _CODES in data else []
    if profile is None:
        return items
    return [item for item in items if item.text(_SCHEME) == _DICOM and item.text(_CODE_VALUE) in _OWN_CODES]
