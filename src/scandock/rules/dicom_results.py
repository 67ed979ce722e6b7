"""Results of a search in the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from scandock.rules.dicom_attributes import IN_REQUESTS, Attribute

Result = Mapping[str, str]
"""The values of a study, series or instance by tag, as texts; several values joined by a backslash."""
Element = dict[str, Any]

_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_NUMERIC: Final = frozenset({"IS", "US"})
_SINGLE: Final = frozenset({"DA", "TM", "UI"})
_INTEGER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)


def to_json(attributes: Iterable[Attribute], result: Result, retrieve_url: str) -> dict[str, Element]:
    """A result with these attributes, those that are empty without a value, and where it can be retrieved."""
    elements = {
        "00080005": _element("CS", ["ISO_IR 192"]),
        "00080056": _element("CS", ["ONLINE"]),
        "00081190": _element("UR", [retrieve_url]),
    }
    for one in attributes:
        text = result.get(one.tag, "")
        elements[one.tag] = _element(one.vr, _requests(text) if one.vr == "SQ" else _values(one.vr, text))
    return dict(sorted(elements.items()))


def _element(vr: str, values: list[Any]) -> Element:
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _values(vr: str, text: str) -> list[Any]:
    """The values of a text, `None` for an empty one among several."""
    if not text:
        return []
    if vr in _SINGLE:
        return [text]
    values: list[Any] = [part.strip() or None for part in text.split("\\")]
    if vr in _NUMERIC:
        return [_number(value) if value else None for value in values]
    if vr == "PN":
        return [_name(value) if value else None for value in values]
    return values


def _number(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _name(text: str) -> dict[str, str] | None:
    groups = zip(_GROUPS, text.split("="), strict=False)
    return {group: value for group, value in groups if value} or None


def _requests(text: str) -> list[dict[str, Element]]:
    """The items of a RequestAttributesSequence, as `SeriesTally.nested` has them."""
    return [
        {
            one.tag.partition(".")[2]: _element(one.vr, [value] if value else [])
            for one, value in zip(IN_REQUESTS, item, strict=True)
        }
        for item in (json.loads(text) if text else ())
    ]
