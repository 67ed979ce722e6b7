"""The standard's dictionary of elements and UIDs (PS3.6), as pydicom has it.

Its tables alone are loaded: pydicom as a whole, with numpy and what decodes pixels, takes each reader half a second.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

UNKNOWN = "UN"


@cache
def _table(name: str) -> ModuleType:
    """A module of pydicom that imports nothing, without the package around it."""
    loaded = sys.modules.get(f"pydicom.{name}")
    if loaded is not None:
        return loaded
    package = importlib.util.find_spec("pydicom")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        spec = importlib.util.spec_from_file_location(f"scandock_pydicom{name}", f"{folder}/{name}.py")
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ImportError(f"pydicom has no {name}")


@cache
def _masks() -> tuple[tuple[int, int, Any], ...]:
    """Elements of repeating groups: the digits that are given, which these are, and the entry."""
    return tuple(
        (int(text.replace("x", "0"), 16), int("".join("0" if c == "x" else "F" for c in text), 16), entry)
        for text, entry in _table("_dicom_dict").RepeatersDictionary.items()
    )


@lru_cache(maxsize=65_536)
def _entry(tag: int) -> tuple[str, ...] | None:
    """VR, VM, name, whether it is retired, and keyword of a public element; None where the standard has none."""
    entry: tuple[str, ...] | None = _table("_dicom_dict").DicomDictionary.get(tag)
    if entry is None and tag & 0x10000 == 0:
        entry = next((entry for digits, mask, entry in _masks() if (tag ^ digits) & mask == 0), None)
    return entry


@lru_cache(maxsize=65_536)
def dictionary_vr(tag: int) -> str:
    """The VR that the standard gives an element, alternatives as `US or SS`; `UN` where it has none.

    Private elements are `UN` but for their creators (LO); group lengths are UL.
    """
    if tag & 0xFFFF == 0:
        return "UL"
    if tag & 0x10000:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else UNKNOWN
    entry = _entry(tag)
    return entry[0] if entry is not None and entry[0] != "NONE" else UNKNOWN  # of delimiters


@lru_cache(maxsize=65_536)
def private_dictionary_vr(tag: int, creator: str) -> str:
    """The VR that a private element has of a creator that is known; `UN` where it is not."""
    table = _table("_private_dict").private_dictionaries.get(creator)
    if table is None:
        return UNKNOWN
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    for key in (f"{group}{element}", f"{group}xx{element[2:]}", f"{group[:2]}xxxx{element[2:]}"):
        if key in table:
            return str(table[key][0])
    return UNKNOWN


def dictionary_vm(tag: int) -> str:
    """The multiplicity of an element, as `1-n`; "1" where the standard does not have it."""
    entry = _entry(tag)
    return entry[1] if entry is not None else "1"


def dictionary_keyword(tag: int) -> str:
    """The keyword of an element; "" where the standard does not have it."""
    entry = _entry(tag)
    return entry[4] if entry is not None else ""


def transfer_syntaxes() -> frozenset[str]:
    """The UIDs of all transfer syntaxes."""
    table = _table("_uid_dict").UID_dictionary
    return frozenset(uid for uid, (_, kind, *_) in table.items() if kind == "Transfer Syntax")
